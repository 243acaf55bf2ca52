/*
 * A replica: this node's copy of one database, kept equal to a prefix of its log.
 *
 * The log decides. A transaction is committed when its message is in the stream; the file follows.
 * Two parties ever write to the file, and take turns through the replica's write lock: whoever
 * leads the write group (group.c, tx.c) and the applier thread (applier.c), which goes first when
 * it wants.
 *
 *           +-----------+   connected, log verified (I8)   +-----------+
 *           |  OFFLINE  | -------------------------------> | FOLLOWING | writes allowed
 *           +-----------+ <------------------------------- +-----------+
 *                 |  ^             connection lost               |
 *    not our log, |  | cause gone, or another try                | message cannot be applied
 *    gap, damage  v  |                                           v
 *           +-----------+ <--------------------------------------+
 *           |  STOPPED  | readable; the reason is shown; never skips a message (I3)
 *           +-----------+
 *
 * A replica without NATS (standalone) is FOLLOWING from the start and has no applier.
 * Every function may be called by any thread unless it says otherwise.
 */
#ifndef HA_REPL_REPLICA_H
#define HA_REPL_REPLICA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "nats/client.h"
#include "repl/digest.h"
#include "repl/start.h"
#include "script/script.h"
#include "sql/apply.h"
#include "sql/conn.h"
#include "sql/writer.h"

struct replica;

enum replica_mode {
    REPLICA_SERIALIZABLE, /* I4: a message extends exactly the state it was made on */
    REPLICA_LWW,          /* stream order decides, nobody waits for the others */
    REPLICA_ASYNC         /* lww; the client is told before the log is: outbox in the same commit */
};

struct replica_options {
    const char *id;          /* database id */
    const char *node;        /* this node's name */
    struct conn_config conn; /* strings borrowed, as all of them here; they outlive the replica */
    const char *spool_dir;   /* where big transactions are put aside */
    enum replica_mode mode;
    enum row_identify row_identify;
    bool replicate_ddl;
    /* Only ever follows the log: it makes none, writes nothing into one and changes none, and what
     * its file holds always gives way to it. There is no writer; replica_write() and tx_begin() are
     * not for it. */
    bool read_only;
    const struct script *interceptor; /* decides what messages do; REPLICA_LWW only; NULL = none */
    bool log_wins; /* -m: content of a file that the log does not know gives way to the log */

    struct nats_client *client; /* NULL = standalone */
    const char *stream;         /* --replication-stream; the database's own is named after it */
    int replicas;
    bool replicas_explicit;
    int64_t max_age_ns;
    bool max_age_explicit;
    int64_t timeout_ns; /* of one publish; also how long a write waits for the log to come back */
    enum replica_start start;
    uint64_t start_seq;
    int64_t start_time_ns;
    int64_t tx_idle_ns; /* 0 = no limit */

    bool mend;                 /* a file that the log cannot continue is restored (restore.h) */
    bool from_latest_snapshot; /* an empty file begins with the newest snapshot */
    bool adopt;                /* a file whose log is gone, or emptied, begins a new one */
    const char *aside_dir;     /* where files are kept aside; NULL = beside the database */
    /* Has another node ever held this database? Asked by the applier; needed with `mend`. */
    enum err_code (*others)(void *arg, const char *id, bool *any, struct err *e);
    void *others_arg;
};

enum replica_state { REPLICA_OFFLINE, REPLICA_FOLLOWING, REPLICA_STOPPED };

struct replica_status {
    enum replica_state state;
    char reason[ERR_MSG_SIZE];     /* why OFFLINE or STOPPED */
    char last_error[ERR_MSG_SIZE]; /* the last failure to follow the log, over or not; "" = none */
    int64_t last_error_wall_ns;
    uint64_t seq;      /* position of the file */
    uint64_t last_seq; /* newest seq of the log that this node has heard of */
    int64_t last_apply_wall_ns;
    uint64_t commits, conflicts, groups, published_bytes, applied, apply_errors, outbox;
    uint64_t retries; /* transactions run again because another node was first */
    uint64_t handed_over, run_for_others;   /* transactions: handover.h */
    double publish_seconds, commit_seconds; /* sums, for rates */
    uint64_t gaps, divergences, restores;
    bool restoring; /* a copy is looked for, or on its way into the file */
    uint64_t restore_done_bytes, restore_total_bytes; /* total 0 = no snapshot is being loaded */
    char aside[4096]; /* where the last file that was no prefix of the log is kept; "" = none */
    bool readable;    /* what the file holds may be shown */
    bool disputed;    /* JetStream answers, and what it says is not what the file says */
    bool suspected;   /* the log's leader is yet to be asked whether the file has its messages */
    bool caught_up;   /* holds all that the log had when it was last verified */
};

/* Opens the file and its write connection and, with NATS, starts the applier. */
enum err_code replica_open(struct replica **out, const struct replica_options *opt, struct err *e);
/* New writes are refused from now on; an open transaction is rolled back at `deadline_ns`. */
void replica_stop(struct replica *r, int64_t deadline_ns);
/* Stops if that was not done, checkpoints, joins the applier. NULL is fine. */
void replica_close(struct replica *r);

/* The connection to NATS came or went (callback of the client). That it is there is no news to a
 * replica that knows it; after a loss the log is verified again. */
void replica_connection_changed(struct replica *r, bool connected);

void replica_status(struct replica *r, struct replica_status *st);
uint64_t replica_position(const struct replica *r);
/* The position that the file had when it was opened. */
uint64_t replica_opened(const struct replica *r);
/* Counts commits of any origin: equal before and after means that the file did not change. */
uint64_t replica_version(const struct replica *r);
/* When the stream that the file belongs to was created; 0 = it belongs to none yet. */
int64_t replica_log_created(const struct replica *r);
const char *replica_stream(const struct replica *r);
const char *replica_subject(const struct replica *r);

/* ERR_STOPPED while the file is known not to be what the log says, and is about to be replaced. */
enum err_code replica_readable(struct replica *r, struct err *e);

/* Waits until the file's position is at least `seq`; ERR_LAGGING at the deadline. */
enum err_code replica_wait(struct replica *r, uint64_t seq, int64_t deadline_ns, struct err *e);
/* Asks the server for the log's end, and waits for it. */
enum err_code replica_sync(struct replica *r, int64_t deadline_ns, struct err *e);

/* Asynchronous replication: local writes wait until replica_resume(), and what was in the outbox is
 * in the log: the file is a prefix of it. ERR_BUSY at the deadline; then nothing waits. Else at
 * once: a file is always a prefix. Several at a time are fine. */
enum err_code replica_quiesce(struct replica *r, int64_t deadline_ns, struct err *e);
void replica_resume(struct replica *r);

/* Housekeeping, about once a second: ends an explicit transaction that idles too long. */
void replica_tick(struct replica *r, int64_t now_ns);

/* ---- do the nodes have the same messages? (digest.h) ---- */

/* What the others are to be told; false: nothing new. About once a second, one thread. */
bool replica_tell(struct replica *r, int64_t now_ns, struct digest_state *out);
/* Node `node` (a token, base/name.h), the process `process` (rpc_self()), has told `state`. If its
 * messages are not those of this file, the log's leader is asked, and whoever has others than that
 * restores itself. If it is ahead, the log goes on: a feed that does not bring that soon is lost,
 * and nobody need wait for its heartbeats to notice. */
void replica_hear(struct replica *r, const char *node, const char *process,
                  const struct digest_state *state);

/* ---- autocommit: one transaction through the write group ---- */

/*
 * `run` executes the transaction's statements on `w`, inside writer_tx_begin … writer_tx_end, which
 * the group calls. It may be called several times (another node was first; a neighbour in the group
 * destroyed the SQLite transaction), each time from the start, and by another thread than the one
 * that waits in replica_write(). A failure undoes this transaction alone.
 */
typedef enum err_code txn_fn(void *arg, struct writer *w, struct err *e);

/* How a transaction travels to another node, which runs it in this one's place (handover.h). The
 * thread that leads the group calls these, perhaps another one than waits in replica_write(). */
struct txn_travel {
    /* Appends all that is needed to run it; false: it cannot travel. */
    bool (*pack)(void *arg, struct buf *out);
    /* Takes what came of it there: *result as if run() had been called and its group committed, or
     * its error. False: these bytes cannot be read. */
    bool (*take)(void *arg, const void *bytes, size_t len, struct err *result);
};

struct handover; /* handover.h */

struct txn {
    txn_fn *run;
    void *arg;
    const struct txn_travel *travel; /* NULL: only this node can run it */
    const struct handover *from;     /* another node has handed it over; NULL: nobody */
    bool alone;          /* it runs on committed state: no other transaction is in its group */
    int64_t deadline_ns; /* for getting its turn; CLOCK_EVER = none */
    /* out */
    uint64_t seq;   /* of its message; 0 if it changed nothing that is replicated */
    unsigned index; /* its place among the message's transactions, 1-based */
};

/* Returns once the transaction is committed (I2) or has failed. */
enum err_code replica_write(struct replica *r, struct txn *t, struct err *e);

/* The same for several at once, each for itself: errs[i] is what replica_write() would answer for
 * txns[i]. An error: none has been run. */
enum err_code replica_write_all(struct replica *r, struct txn *txns, size_t n, struct err *errs,
                                struct err *e);

/* VACUUM, between groups. */
enum err_code replica_vacuum(struct replica *r, int64_t deadline_ns, struct err *e);

/* ---- explicit transactions: the write connection is the caller's until the end ---- */

struct tx;

enum err_code tx_begin(struct tx **out, struct replica *r, int64_t deadline_ns, struct err *e);
/* The write connection for one statement; ERR_CONFLICT, ERR_TX_IDLE … if the transaction was ended
 * from outside meanwhile (it is then rolled back already). Pair with tx_leave(). */
enum err_code tx_enter(struct tx *tx, struct writer **w, struct err *e);
void tx_leave(struct tx *tx);
/* ERR_FOREIGN_KEY (deferred) leaves it open, everything else ends it. *seq = 0: nothing to
 * replicate. */
enum err_code tx_commit(struct tx *tx, uint64_t *seq, struct err *e);
void tx_rollback(struct tx *tx); /* ends it if it is open */
bool tx_open(struct tx *tx);
void tx_free(struct tx *tx); /* rolls back; NULL is fine */

#endif
