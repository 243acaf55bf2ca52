/* What session.c, request.c and transaction.c share. */
#ifndef HA_CORE_SESSION_IMPL_H
#define HA_CORE_SESSION_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/impl.h"
#include "core/session.h"
#include "core/upstream.h"

/*
 *              BEGIN                first write                COMMIT, ROLLBACK
 *   TX_NONE ──────────> TX_READING ─────────────> TX_WRITING ──────────────────> TX_NONE
 *      │  BEGIN IMMEDIATE                             ^   │
 *      └──────────────────────────────────────────────┘   └─(ended from outside)─> TX_FAILED
 *
 * TX_AWAY stands where TX_WRITING does, for a transaction that was begun upstream.
 */
enum tx_phase { TX_NONE, TX_READING, TX_WRITING, TX_AWAY, TX_FAILED };

struct session {
    /* immutable */
    struct node *node;
    const char *protocol;
    bool (*gone)(void *arg);
    void *arg;
    /* guarded by the node's mu */
    struct session *next, *previous;
    /* guarded by mu, which a running request holds */
    pthread_mutex_t mu;
    struct database *db; /* owned reference */
    int64_t last_rowid;
    _Atomic enum tx_phase phase;    /* written under mu; session_state() reads it without */
    struct err failed;              /* why, in TX_FAILED */
    struct conn *reader;            /* TX_READING: the snapshot it reads */
    const struct pg_session *front; /* borrowed; NULL = none */
    const bool *homesick; /* borrowed: a statement has asked for what is not here, and is undone */
    bool read_only;       /* writes are refused */
    bool has_read;        /* the client has seen data of the snapshot */
    uint64_t version, base; /* of the file, and its position, from before the snapshot */
    struct tx *tx;          /* TX_WRITING */
    void *away;             /* TX_AWAY: the upstream's */
    bool paused;            /* a request has stopped in the middle, and will come back */
    int64_t last_use_ns;
    /* atomic */
    atomic_bool cancel;
};

/* The session's mutex is held by the caller of everything below. */

/* `away`: what the transaction writes goes upstream. */
enum err_code transaction_begin(struct session *s, bool write, bool away, int64_t deadline_ns,
                                struct err *e);
enum err_code transaction_commit(struct session *s, int64_t deadline_ns, uint64_t *seq,
                                 struct err *e);
void transaction_rollback(struct session *s);
/* TX_READING → TX_WRITING or TX_AWAY: ERR_CONFLICT where the file has changed since what the client
 * has read.
 */
enum err_code transaction_upgrade(struct session *s, bool away, int64_t deadline_ns, struct err *e);
/* It was ended from outside, or has lost: only ROLLBACK gets out of it. */
void transaction_fail(struct session *s, const struct err *why);

/* ---- away.c: explicit transactions upstream ---- */

/* → TX_AWAY, unless *here: then nothing was done. */
enum err_code away_begin(struct session *s, uint64_t base, int64_t deadline_ns, bool *here,
                         struct err *e);
/* Whatever comes of it, it is over, but for a foreign key that can be mended; the phase stays. */
enum err_code away_commit(struct session *s, int64_t deadline_ns, uint64_t *seq, struct err *e);
void away_close(struct session *s); /* rolls back; none is fine */
enum err_code away_describe(struct session *s, const struct query *q, struct sink *columns,
                            struct session_shape *shape, struct err *e);

/* What HISTORY answers. */
void history_columns(struct sink *sink);

#endif
