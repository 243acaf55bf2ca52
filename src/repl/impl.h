/* What the files of src/repl share: the replica's fields, grouped by guard. See replica.h. */
#ifndef HA_REPL_IMPL_H
#define HA_REPL_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/id.h"
#include "base/name.h"
#include "base/spool.h"
#include "nats/stream.h"
#include "repl/chain.h"
#include "repl/digest.h"
#include "repl/message.h"
#include "repl/replica.h"
#include "repl/restore.h"
#include "repl/snapshot.h"
#include "repl/turn.h"

#define GROUP_MAX_TXNS 256
#define GROUP_MAX_BYTES                                                                            \
    ((uint64_t)512 * 1024) /* a group stops growing here; one txn may exceed it */
#define SPOOL_MEMORY   ((size_t)4 * 1024 * 1024)
/* Messages behind a wrong one that a feed is not believed, either. */
#define FEED_DOUBTED   65536u
#define CHAIN_STALL_NS (3 * CLOCK_S) /* parts of a message that stop coming count as abandoned */

struct waiting; /* queue.h */
struct outbox;  /* outbox.c */
struct interceptor;
struct wish;  /* freeze.c */
struct heard; /* suspect.c */

/* Messages in (from, to] may not be those of the log; to = 0: there is no such suspicion. */
struct suspicion {
    uint64_t from, to;
    int64_t look_ns; /* when the log's leader is to be asked (again) */
};

struct replica {
    /* immutable after open */
    struct replica_options opt;
    char token[NAME_TOKEN_SIZE]; /* the id as a NATS token */
    char stream[256];            /* as long as struct position remembers */
    char subject[256];
    uint64_t opened_seq; /* of the file, when it was opened */
    bool has_applier, has_outbox;
    pthread_t applier_thread;
    pthread_t outbox_thread;

    /* guarded by mu; `changed` is broadcast when any of these changes */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    enum replica_state state;
    struct err reason;
    bool connected;
    bool closing;
    bool verify;              /* the log has to be verified again before anything else */
    bool write_held;          /* the write lock: leader or applier */
    bool applier_wants;       /* the applier waits for it */
    unsigned quiet;           /* who wants no local writes just now: replica_quiesce() */
    char publishing[ID_SIZE]; /* the message of the group that runs, or ran last */
    bool applier_wanted;      /* somebody waits for the applier: it is not to nap */
    pthread_cond_t nap;       /* signalled when that is set, or the applier has to look around */
    bool chain_open;          /* parts of an unfinished message lie behind the position */
    int64_t chain_time_ns;    /* when its newest part came */
    uint64_t target_seq;      /* the log's end when it was last verified */
    struct waiting *head, *tail;
    unsigned queued; /* how many these are */
    bool leading;
    struct waiting *gatherer;       /* the leader, while it waits for more to come … */
    unsigned gather;                /* … than this */
    unsigned flock;                 /* how many write at the same time, as of the last group */
    int64_t group_ns;               /* how long that one took */
    struct stream_feed *feed;       /* the applier's; here so that others can wake it */
    struct turns turns;             /* no broadcast */
    int64_t led_ns;                 /* when a group of own transactions was run here last */
    int64_t run_for_ns;             /* when one of another node's was */
    char seq_id[CHANGESET_ID_SIZE]; /* = pos.msg_id, as seq is pos.seq */
    char handed_id[ID_SIZE];        /* what was handed over last, … */
    uint64_t handed_seq;        /* … and the message that holds some of it; 0 = not seen yet */
    struct tx *tx;              /* the explicit transaction that leads, if one does */
    struct suspicion suspicion; /* that the file has other messages than the log: suspect.c */
    struct replica_status stats;

    /* guards itself; NULL without a log */
    struct digest *digest;

    /* guarded by peers_mu, which is taken before mu and the digest's own */
    pthread_mutex_t peers_mu;
    struct heard *peers;      /* PEERS_MAX of them, the one heard of last in front; NULL = none */
    struct digest_state told; /* what the others have been told last */
    int64_t told_ns;

    /* guarded by wish_mu, which is taken last */
    pthread_mutex_t wish_mu;
    struct wish *wishes;       /* views that are to be fixed at a certain seq */
    _Atomic uint64_t wish_seq; /* the least of these, UINT64_MAX = none; read by anyone */

    /* held by whoever holds the write lock; seq and version are read by anyone */
    struct position pos;
    bool hearsay;         /* pos came with a feed, that is, from some server's copy of the log */
    bool log_copies;      /* the log has replicas, which may differ */
    uint64_t expect_seq;  /* the log's end that the running group was begun on */
    _Atomic uint64_t seq; /* = pos.seq */
    _Atomic uint64_t version; /* changes of the content, of any origin */
    _Atomic uint64_t
        tail_seq; /* newest seq seen in the log: position + parts of an unfinished message */
    _Atomic uint64_t last_seq;
    /* A message of this node's own that the applier is to bring: until the file is there nobody
     * writes on what it was before. 0 = none. */
    _Atomic uint64_t owed_seq;
    _Atomic int64_t log_created; /* = pos.stream_created */
    /* The file has a place in a log. Before that nobody knows whether what it holds is the log's
     * beginning, or gives way to it: not even asynchronous writers may add to it. */
    atomic_bool begun;
    struct writer *writer;
    struct spool *changes; /* of the group that runs */
    struct buf message;
    struct outbox *outbox;             /* asynchronous replication only */
    char import_id[CHANGESET_ID_SIZE]; /* of the import that is under way (import.c), "" = none */
    uint64_t import_tail;              /* where parts of others ended, and since when */
    int64_t import_tail_ns;

    /* atomic */
    atomic_bool cancel;          /* closing: a restore ends */
    atomic_bool unreadable;      /* see replica_readable() */
    atomic_bool disputed;        /* see struct replica_status */
    atomic_bool overtaken;       /* debt_overtaken(), not looked at yet */
    _Atomic uint64_t passed_seq; /* a message of the outbox that the file has passed, 0 = none */
    atomic_bool mending;         /* a copy is looked for, or on its way into the file */
    struct snapshot_progress restoring;

    /* applier thread only */
    enum verdict verdict;      /* of the last look at the log */
    enum verdict verdict_held; /* the one that has been the last one since verdict_since_ns */
    int64_t verdict_since_ns;
    unsigned verdict_looks;
    uint64_t hole_seq; /* a message that two feeds left out and the log does not have, 0 = none */
    struct suspicion proved; /* the leader has other messages in there than the file */
    bool has_aside;          /* the file was kept aside, as it was at … */
    uint64_t aside_version;  /* … this version */
    bool apply_stale;        /* `apply` is older than the file that was put in place */
    struct apply *apply;
    struct interceptor *interceptor; /* NULL = there is none */
    uint64_t next_seq;               /* what the feed must deliver next */
    uint64_t leader_to;              /* until there the log's leader is asked, message by message */
    uint64_t
        broken_seq; /* does not follow the message before it, as the leader has them; 0 = none */
    bool joined;    /* the file has had, in this process or before, all that the log had */
    uint64_t missing_seq; /* left out by the last feed, 0 = none */
    uint64_t trouble_seq; /* where the message begins that could not be applied, 0 = none */
    uint64_t behind_seq;  /* a restored file is not served before it has come this far, 0 = it is */
    struct chain chain;
    bool foreign;       /* outbox: the running batch has applied a message of another node */
    int64_t reapply_ns; /* how long the outbox took the last time that it was applied again */
};

/* ---- lock.c: the write lock and the state ---- */

/* For the group's leader: waits until the replica follows its log, the applier does not want the
 * lock and no unfinished message is being written by somebody else. ERR_LOG_UNAVAILABLE,
 * ERR_STOPPED, ERR_SHUTDOWN. */
enum err_code lock_write(struct replica *r, int64_t deadline_ns, struct err *e);
/* For the applier, with the message `id` at `seq`: false if the position has reached `seq` before
 * the lock was free, or on closing. */
bool lock_apply(struct replica *r, uint64_t seq, const char *id);
/* For the applier without its usual conditions: until the log is verified nobody may write. False
 * on closing. */
bool lock_take(struct replica *r);
/* For the applier: sleeps for a moment; false if somebody waits for it. */
bool lock_nap(struct replica *r, int64_t ns);
void lock_release(struct replica *r);
/* Something stands in the log behind `from`: waits until it has come. False at the deadline; true,
 * too, when it is not to be waited for any more. */
bool lock_wait_tail(struct replica *r, uint64_t from, int64_t deadline_ns);
void replica_set_state(struct replica *r, enum replica_state state, const struct err *reason);
/* The log is to be verified again, soon. */
void replica_doubt(struct replica *r);
/* The applier shall look around, wherever it waits. r->mu is held. */
void replica_wake_applier_locked(struct replica *r);
/* The write lock is held: the file is now at `p`, with other content than before. */
void replica_advance(struct replica *r, const struct position *p);
/* The same where only the log was settled and the content is what it was: whoever has read it may
 * still write. */
void replica_stand(struct replica *r, const struct position *p);

/* ---- commit.c: changes in the spool → message → log → file ---- */

enum commit_result { COMMIT_DONE, COMMIT_CONFLICT, COMMIT_FAILED };

/* The write lock is held and the writer's transaction is open with everything in r->changes. Ends
 * the SQLite transaction in every case; after COMMIT_DONE the transactions are in the log at *seq.
 */
enum commit_result commit_group(struct replica *r, const struct changeset_txs *txs, uint64_t *seq,
                                struct err *e);

/* The same with a message that holds no transaction: whatever else expected to be next behind the
 * file's state comes too late. The write lock is held, and nothing is open. */
enum commit_result commit_fence(struct replica *r, struct err *e);

/* ---- tx.c ---- */

/* r->mu is held. A message of another node has come: the open transaction cannot commit any more.
 */
void tx_doom_locked(struct replica *r);
/* r->mu is held. The replica closes: ends the open transaction if its session is not in it just
 * now. */
void tx_abort_locked(struct replica *r);

/* ---- verify.c: is this our log? ---- */

/* Applier thread. Verifies the log against the file (I8), creates or imports it where it does not
 * exist yet, and sets r->next_seq and target_seq. */
enum err_code verify_log(struct replica *r, struct err *e);
/* The file belongs to this log from now on, and stands at `seq`, which has the message `id`. */
enum err_code verify_tie(struct replica *r, const struct stream_state *st, uint64_t seq,
                         const char *id, struct err *e);

/* ---- suspect.c: does the file contain the log's messages, and not only its last one? ---- */

/* Any thread. False where the same was suspected already. */
bool suspect(struct replica *r, uint64_t from, uint64_t to);
/* The file was replaced: nothing is suspected of what takes its place. */
void suspect_forget(struct replica *r);
/* Applier thread: is there a suspicion that is to be looked into? */
bool suspect_due(struct replica *r);
/* Applier thread: asks the log's leader. r->proved is set where the suspicion is right. */
void suspect_look(struct replica *r);
/* Applier thread, with r->proved set: once more. ERR_DIVERGED and r->verdict where the leader still
 * says so; else r->proved is cleared. */
enum err_code suspect_judge(struct replica *r, struct err *e);

/* ---- import.c: the content of an existing file becomes the log's first message ---- */

/* Position 0 with a message id in the file is the mark of an import under way: puts it into
 * import_id. */
void import_take_mark(struct replica *r);
/* The log holds nothing, or nothing but the dead parts of unfinished messages. */
enum err_code import_begin(struct replica *r, const struct stream_state *st, struct err *e);
/* There is a mark. *foreign: it is not our log after all. */
enum err_code import_resume(struct replica *r, const struct stream_state *st, bool *foreign,
                            struct err *e);

/* ---- group.c ---- */

/* Writes the content of the file into the log behind `last_seq`, as the message r->import_id, while
 * the replica is not FOLLOWING yet. */
enum err_code group_import(struct replica *r, uint64_t last_seq, struct err *e);

/* ---- applier.c ---- */
void *applier_main(void *replica);

/* ---- outbox.c ---- */

enum err_code outbox_open(struct replica *r, struct err *e);
void outbox_close(struct replica *r);
/* Inside the writer's open transaction: keeps the message for later instead of publishing it. */
enum err_code outbox_put(struct replica *r, const char *id, const struct message_source *src,
                         struct err *e);
/* Inside the applier's transaction: the message `id`, at `seq`, has been delivered. *own = true:
 * its changes are in the file, on top of all that came before it, so it needs no applying. */
enum err_code outbox_delivered(struct replica *r, const char *id, uint64_t seq, bool *own,
                               struct err *e);
/* At the end of the applier's transaction: what is in the outbox goes on top of what others wrote.
 */
enum err_code outbox_reapply(struct replica *r, struct err *e);
void *outbox_main(void *replica);

#endif
