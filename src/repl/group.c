/*
 * The write group. Who wants to write queues itself; who stands at the head of the queue when
 * nobody leads becomes the leader, runs what is queued as one group, and wakes the others with
 * their results.
 *
 *   QUEUED ──(taken by a leader)──> TAKEN ──(committed, failed)──> DONE
 *      ^                              │
 *      └──(did not fit, try again)────┘
 *
 * A lone writer leads its own group and meets no other thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "repl/impl.h"
#include "repl/queue.h"

struct member {
    struct waiting *w;
    struct changeset_tx tx;
};

struct group {
    struct replica *r;
    struct member m[GROUP_MAX_TXNS];
    size_t n;
};

static void fail_member(struct member *m, const struct err *e)
{
    m->w->err = *e;
    m->w->txn->seq = 0;
    m->tx.changes = 0;
}

/* Everybody from `from` on goes back to the head of the queue, in order. */
static void put_back(struct group *g, size_t from)
{
    pthread_mutex_lock(&g->r->mu);
    while (g->n > from)
        queue_unshift_locked(g->r, g->m[--g->n].w);
    pthread_mutex_unlock(&g->r->mu);
}

enum run_result {
    RUN_OK,     /* the writer's transaction is open, with everybody's changes */
    RUN_AGAIN,  /* rolled back, run those that are left */
    RUN_FAILED, /* rolled back, those that are left have their errors */
    RUN_BROKEN  /* nothing can run, everybody gets the error */
};

/* SQLite has ended the whole transaction under member `i` (INSERT OR ROLLBACK and the like). The
 * error is its result if it ran on committed state; otherwise it has to be run first in a group to
 * tell. */
static enum run_result lost(struct group *g, size_t i, const struct err *e)
{
    writer_rollback(g->r->writer);
    put_back(g, i + 1);
    if (i > 0) {
        put_back(g, i);
        return RUN_AGAIN;
    }
    fail_member(&g->m[0], e);
    return RUN_FAILED;
}

static enum err_code run_member(struct group *g, size_t i, struct err *e)
{
    struct writer *w = g->r->writer;
    struct txn *t = g->m[i].w->txn;
    enum err_code code = writer_tx_begin(w, e);
    if (code != ERR_OK)
        return code;
    g->m[i].tx.timestamp_ns = clock_wall_ns();
    code = t->run(t->arg, w, e);
    if (code == ERR_OK && !writer_lost(w))
        code = writer_tx_end(w, &g->m[i].tx.changes, e);
    if (code != ERR_OK && !writer_lost(w))
        writer_tx_undo(w);
    return code;
}

/* Runs the members one after the other. */
static enum run_result run_members(struct group *g, struct err *e)
{
    struct replica *r = g->r;
    spool_reset(r->changes);
    FAULT_POINT("group.begin");
    if (writer_begin(r->writer, e) != ERR_OK)
        return RUN_BROKEN;
    for (size_t i = 0; i < g->n; i++) {
        struct member *m = &g->m[i];
        struct err own = ERR_INIT;
        m->tx = (struct changeset_tx){0, 0};
        m->w->err = own;
        enum err_code code = run_member(g, i, &own);
        if (writer_lost(r->writer))
            return lost(g, i, &own);
        if (code != ERR_OK)
            fail_member(m, &own);
        if (spool_len(r->changes) >= GROUP_MAX_BYTES && i + 1 < g->n)
            put_back(g, i + 1);
    }
    return RUN_OK;
}

/* Hands out sequence and place: only transactions that hold changes are in the message. */
static size_t collect(const struct group *g, struct changeset_tx *txs)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++)
        if (g->m[i].tx.changes > 0)
            txs[n++] = g->m[i].tx;
    return n;
}

static void committed(struct group *g, uint64_t seq)
{
    unsigned place = 0;
    for (size_t i = 0; i < g->n; i++) {
        bool in = g->m[i].tx.changes > 0;
        g->m[i].w->txn->seq = in ? seq : 0;
        g->m[i].w->txn->index = in ? ++place : 0;
    }
}

/* Every member that has not failed by itself fails with `e`. */
static void failed(struct group *g, const struct err *e)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->m[i].w->err.code == ERR_OK)
            fail_member(&g->m[i], e);
}

/* One turn with the write lock held. True when the members' results are final. */
static bool turn(struct group *g, bool *conflict)
{
    struct replica *r = g->r;
    struct changeset_tx txs[GROUP_MAX_TXNS];
    struct err e = ERR_INIT;
    uint64_t seq = 0;
    *conflict = false;
    switch (run_members(g, &e)) {
    case RUN_AGAIN:
        return false;
    case RUN_BROKEN:
        failed(g, &e);
        return true;
    case RUN_FAILED:
        return true;
    case RUN_OK:
        break;
    }
    FAULT_POINT("group.ran");
    size_t n = collect(g, txs);
    switch (commit_group(r, txs, n, &seq, &e)) {
    case COMMIT_DONE:
        committed(g, seq);
        return true;
    case COMMIT_CONFLICT:
        *conflict = true;
        return false;
    case COMMIT_FAILED:
        failed(g, &e);
        return true;
    }
    return true;
}

/* Another node has extended the log behind `from`: its messages have to be in the file before
 * another try. */
static enum err_code catch_up(struct group *g, uint64_t from, int64_t deadline_ns, struct err *e)
{
    struct replica *r = g->r;
    pthread_mutex_lock(&r->mu);
    r->stats.retries += g->n;
    pthread_mutex_unlock(&r->mu);
    if (lock_wait_tail(r, from, deadline_ns))
        return ERR_OK;
    return err_set(e, ERR_CONFLICT,
                   "other nodes write faster than this one can; run the transaction again");
}

/* The log has it, the file perhaps not yet: whoever wrote it shall find it in the next read. */
static void settle(struct group *g)
{
    struct err e = ERR_INIT;
    uint64_t seq = 0;
    for (size_t i = 0; i < g->n; i++)
        if (g->m[i].w->txn->seq > seq)
            seq = g->m[i].w->txn->seq;
    if (seq > atomic_load(&g->r->seq))
        replica_wait(g->r, seq, clock_deadline(g->r->opt.timeout_ns), &e);
}

/* r->mu is held. */
static void take_queued_locked(struct group *g)
{
    struct replica *r = g->r;
    while (g->n < GROUP_MAX_TXNS && r->head && r->head->txn)
        g->m[g->n++].w = queue_shift_locked(r);
}

static void lead(struct group *g)
{
    struct replica *r = g->r;
    struct err e = ERR_INIT;
    bool done = false, begun = false;
    int64_t start = clock_mono_ns();
    int64_t deadline = clock_deadline(r->opt.timeout_ns);
    while (!done) {
        bool conflict = false;
        if (lock_write(r, deadline, &e) != ERR_OK) {
            failed(g, &e);
            return;
        }
        if (!begun) { /* who has come while this node waited for its turn */
            pthread_mutex_lock(&r->mu);
            take_queued_locked(g);
            pthread_mutex_unlock(&r->mu);
        }
        begun = true; /* from now on put_back() may have left there whom it must not run with */
        uint64_t from = r->expect_seq;
        done = turn(g, &conflict);
        lock_release(r);
        if (conflict && catch_up(g, from, deadline, &e) != ERR_OK) {
            failed(g, &e);
            return;
        }
    }
    settle(g);
    pthread_mutex_lock(&r->mu);
    r->stats.commit_seconds += (double)(clock_mono_ns() - start) / (double)CLOCK_S;
    pthread_mutex_unlock(&r->mu);
}

/* The caller stands at the head of the queue and leads: takes what is queued behind it, too. */
static void lead_queue(struct replica *r, struct waiting *self)
{
    struct group *g = malloc(sizeof *g);
    pthread_mutex_lock(&r->mu);
    if (!g) {
        queue_shift_locked(r);
        err_set(&self->err, ERR_NO_MEMORY, "out of memory");
        queue_release_locked(r);
        pthread_mutex_unlock(&r->mu);
        return;
    }
    g->r = r;
    g->n = 0;
    take_queued_locked(g);
    pthread_mutex_unlock(&r->mu);
    lead(g);
    for (size_t i = 0; i < g->n; i++)
        if (g->m[i].w != self)
            queue_done(g->m[i].w);
    pthread_mutex_lock(&r->mu);
    queue_release_locked(r);
    pthread_mutex_unlock(&r->mu);
    free(g);
}

enum err_code replica_write(struct replica *r, struct txn *t, struct err *e)
{
    struct waiting w;
    bool leads = false;
    t->seq = 0;
    t->index = 0;
    enum err_code code = queue_wait(r, &w, t, t->deadline_ns, &leads, e);
    if (leads)
        lead_queue(r, &w);
    if (code != ERR_OK)
        return code;
    if (w.err.code != ERR_OK)
        *e = w.err;
    return w.err.code;
}

/* The caller holds the write lock. */
enum err_code group_import(struct replica *r, uint64_t last_seq, struct err *e)
{
    struct changeset_tx tx = {0, clock_wall_ns()};
    uint64_t seq = 0;
    uint32_t dumped = 0;
    spool_reset(r->changes);
    r->expect_seq = last_seq;
    enum err_code code = writer_begin(r->writer, e);
    if (code == ERR_OK)
        code = writer_tx_begin(r->writer, e);
    /* What waits to be published is in the file, and goes into the log with it. */
    if (code == ERR_OK && r->opt.mode == REPLICA_ASYNC)
        code = conn_exec(writer_conn(r->writer), "DELETE FROM ha_outbox", e);
    if (code == ERR_OK)
        code = writer_dump(r->writer, &dumped, e);
    if (code == ERR_OK)
        code = writer_tx_end(r->writer, &tx.changes, e);
    if (code == ERR_OK && r->opt.mode == REPLICA_ASYNC) /* the outbox answers for it from here on */
        code = position_store(writer_conn(r->writer), &r->pos, e);
    if (code != ERR_OK) {
        writer_rollback(r->writer);
        return code;
    }
    if (commit_group(r, &tx, 1, &seq, e) == COMMIT_DONE)
        return ERR_OK;
    return e->code;
}
