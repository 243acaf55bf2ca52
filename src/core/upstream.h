/*
 * Upstream: where the writes of a node's clients go, if not into the log by this node itself. It is
 * another node (the leader: wire/grpc/upstream.c), or the source that a database mirrors. Whoever
 * knows such a place gives the node a table of functions; the executor (away.c) calls them:
 *
 *   reads outside of explicit transactions    here, always
 *   a write, DDL, an atomic request           write(), a transaction of its own
 *   explicit transactions                     begin(), run() for each statement, commit() or
 *                                             rollback(); with BEGIN, or with the first write
 *   what a statement is (session_describe)    here, but for a transaction that has begun upstream
 *
 * After a write, and after a commit, the executor waits until this node's file holds what was
 * written, so that the client reads its own writes here.
 *
 * What the functions owe their caller:
 *   - Nothing is run twice. Where it is not known whether something was, it is
 *     ERR_UNKNOWN_OUTCOME, and where nobody can be asked ERR_NO_LEADER or ERR_LOG_UNAVAILABLE;
 *     those say that nothing has happened.
 *   - Errors are those of err.h, with their SQLite code and the offset into the query that failed.
 *   - They end by the call's deadline, and soon after it was canceled or its client has left
 *     (upstream_check()).
 *   - They may be called by many threads at once, but for one transaction by one at a time.
 *   - They may block; no lock but the session's is held.
 */
#ifndef HA_CORE_UPSTREAM_H
#define HA_CORE_UPSTREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/recorder.h"
#include "core/session.h"

struct node;

#define UPSTREAM_ANY UINT64_MAX /* as a `base`: nothing has been read yet */

/* One call. Everything that goes in is borrowed until the call returns. */
struct upstream_call {
    const char *database;        /* id */
    const struct query *queries; /* n of them: each is one or more statements in SQLite's SQL … */
    size_t n;
    bool atomic;                    /* … that are one transaction even if they are several */
    const struct pg_session *front; /* whose session it is (sql/pg/session.h); NULL = nobody's */
    uint64_t min_seq;               /* what this node's file holds: the client may have seen it */
    int64_t deadline_ns;            /* CLOCK_EVER = none but the upstream's own */
    const atomic_bool *cancel;
    bool (*gone)(void *arg); /* the client has left; may be NULL */
    void *gone_arg;

    /* Goes in and comes out: the session's last insert id. */
    int64_t last_rowid;

    /* What comes out. */
    size_t failed;       /* the query that failed or ran last */
    bool here;           /* write, begin: nothing was done; this node is to do it by itself */
    bool ended;          /* run, describe: with its error the transaction is over */
    uint64_t seq;        /* write, commit: the message of the log that holds it, if one does */
    struct buf position; /* … or where it will be found, in the upstream's words; the executor's
                            storage, empty at first */
};

/* Where the results of a call go: those of each query's statements in order, through
 * results->sink, or as another recorder's bytes. They are shown to the client when the call has
 * succeeded. */
struct upstream_ops {
    const char *name; /* for people: "leader", "postgresql" */
    /* Explicit transactions begin upstream with BEGIN. Otherwise they read the file here until
     * their first write, and begin() is told the position that they have read. */
    bool begins_at_once;

    /* Do the writes of this database go upstream just now? Quick. */
    bool (*away)(void *arg, const char *database);

    enum err_code (*write)(void *arg, struct upstream_call *c, struct recorder *results,
                           struct err *e);

    /* Begins a transaction that writes. `base`: what it has read up to now was this file at that
     * position; where the upstream's data is another by now, ERR_CONFLICT. UPSTREAM_ANY: it has
     * read nothing. The queries of `c` are none. */
    enum err_code (*begin)(void *arg, struct upstream_call *c, uint64_t base, void **tx,
                           struct err *e);
    /* A statement in it, savepoints too; never COMMIT or ROLLBACK. Where it fails, and c->ended is
     * not set, the statement has done nothing, and the transaction goes on. */
    enum err_code (*run)(void *tx, struct upstream_call *c, struct recorder *results,
                         struct err *e);
    /* session_describe() of c->queries[0] in it. NULL: the file here knows enough. */
    enum err_code (*describe)(void *tx, struct upstream_call *c, struct sink *columns,
                              struct session_shape *shape, struct err *e);
    /* Ends it; with ERR_FOREIGN_KEY and without c->ended it stands, and may be mended. */
    enum err_code (*commit)(void *tx, struct upstream_call *c, struct err *e);
    /* Ends it, if commit() has not, and frees it. */
    void (*close)(void *tx);

    /* Waits until the file here holds what `c` has written: c->seq, c->position. NULL: the executor
     * waits for c->seq. It was written in any case, so an error here is no error of the write. */
    enum err_code (*wait)(void *arg, const struct upstream_call *c, int64_t deadline_ns,
                          struct err *e);
};

/* Before node_start(), once at most. Both are borrowed, and must outlive the node's sessions. */
void node_set_upstream(struct node *n, const struct upstream_ops *ops, void *arg);

/* ERR_INTERRUPTED where the call was canceled or its client has left, ERR_TIMEOUT behind its
 * deadline: to be asked now and then by whoever waits. */
enum err_code upstream_check(const struct upstream_call *c, struct err *e);

#endif
