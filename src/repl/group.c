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
#include "repl/handover.h"
#include "repl/impl.h"
#include "repl/queue.h"

#define GATHER_MAX_NS TURN_RECENT_MIN_NS /* the last group may have waited for something else */

struct member {
    struct waiting *w;
    struct changeset_tx tx;
};

struct group {
    struct replica *r;
    struct waiting *self;          /* the leader's own */
    const struct handover *judged; /* what was looked at last, and … */
    bool stands;                   /* … whether it may be run */
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

/* Once for all that was handed over together: nothing changes while the write lock is held. */
static bool stands(struct group *g, const struct handover *from)
{
    if (g->judged != from)
        g->stands = handover_stands(g->r, from);
    g->judged = from;
    return g->stands;
}

static enum err_code run_member(struct group *g, size_t i, struct err *e)
{
    struct writer *w = g->r->writer;
    struct txn *t = g->m[i].w->txn;
    if (t->from && !stands(g, t->from))
        return err_set(e, ERR_CONFLICT, "the node that has handed it over has taken it back");
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
    g->judged = NULL;
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

/* What the group's message holds. */
struct contents {
    struct changeset_tx txs[GROUP_MAX_TXNS];
    const char *handed[GROUP_MAX_TXNS];
};

/* Only transactions that have changes are in the message. */
static struct changeset_txs collect(const struct group *g, struct contents *c)
{
    struct changeset_txs all = {.txs = c->txs, .handed = c->handed};
    const struct handover *last = NULL; /* what was handed over together stands together */
    for (size_t i = 0; i < g->n; i++) {
        const struct handover *from = g->m[i].w->txn->from;
        if (g->m[i].tx.changes == 0)
            continue;
        c->txs[all.n++] = g->m[i].tx;
        if (from && from != last)
            c->handed[all.n_handed++] = from->id;
        last = from;
    }
    return all;
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
    struct contents contents;
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
    const struct changeset_txs txs = collect(g, &contents);
    switch (commit_group(r, &txs, &seq, &e)) {
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

/* May it come to those that the group has? */
static bool joins(const struct group *g, const struct txn *t)
{
    return g->n == 0 || (!t->alone && !g->m[0].w->txn->alone);
}

/* r->mu is held. */
static void take_queued_locked(struct group *g)
{
    struct replica *r = g->r;
    while (g->n < GROUP_MAX_TXNS && r->head && r->head->txn && joins(g, r->head->txn))
        g->m[g->n++].w = queue_shift_locked(r);
}

/* How many will soon stand in the queue: who does so now, and `n` who are about to get their
 * results. Those who have got them may be back at once, and would count twice. */
static void note_flock(struct replica *r, size_t n)
{
    pthread_mutex_lock(&r->mu);
    r->flock = (unsigned)n + r->queued;
    pthread_mutex_unlock(&r->mu);
}

/* The group's leader is through with these; the members behind them move up. */
static void dismiss(struct group *g, const bool *settled, size_t n_settled)
{
    size_t left = 0;
    settle(g);
    note_flock(g->r, n_settled);
    for (size_t i = 0; i < g->n; i++) {
        if (!settled[i])
            g->m[left++] = g->m[i];
        else if (g->m[i].w != g->self)
            queue_done(g->m[i].w);
    }
    g->n = left;
}

static void hand_over(struct group *g)
{
    struct waiting *members[GROUP_MAX_TXNS];
    bool settled[GROUP_MAX_TXNS];
    for (size_t i = 0; i < g->n; i++)
        members[i] = g->m[i].w;
    size_t n_settled = handover_group(g->r, members, g->n, settled);
    if (n_settled > 0)
        dismiss(g, settled, n_settled);
}

/* r->mu is held. A node that writes for its own clients may be asked to do so for others. */
static void note_led_locked(struct group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        if (g->m[i].w->txn->from) {
            g->r->stats.run_for_others++;
            g->r->run_for_ns = clock_mono_ns();
        } else
            g->r->led_ns = clock_mono_ns();
    }
}

/* Runs what is in the group until each member has its result. */
static void run_here(struct group *g)
{
    struct replica *r = g->r;
    struct err e = ERR_INIT;
    bool done = false, begun = false;
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
            note_led_locked(g);
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
        if (conflict) /* who is faster than this node may as well run it */
            hand_over(g);
        done = done || g->n == 0;
    }
    settle(g);
}

static void lead(struct group *g)
{
    struct replica *r = g->r;
    int64_t start = clock_mono_ns();
    hand_over(g);
    if (g->n > 0)
        run_here(g);
    pthread_mutex_lock(&r->mu);
    r->group_ns = clock_mono_ns() - start;
    r->stats.commit_seconds += (double)r->group_ns / (double)CLOCK_S;
    pthread_mutex_unlock(&r->mu);
}

/* r->mu is held. Where nodes write together a message costs all of them, and whoever has just got
 * its answer is about to come again: so the group waits for them, for as long as the last one took.
 * A node by itself does not: its next group forms while the log answers. */
static void gather_locked(struct group *g)
{
    struct replica *r = g->r;
    char process[ID_SIZE];
    int64_t now = clock_mono_ns();
    bool together =
        now - r->run_for_ns < turn_recent_ns(&r->turns) || turn_runner(&r->turns, now, process);
    int64_t limit = r->group_ns < GATHER_MAX_NS ? r->group_ns : GATHER_MAX_NS;
    if (together && r->opt.mode == REPLICA_SERIALIZABLE)
        queue_gather_locked(r, g->self, r->flock - r->flock / 8, now + limit);
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
    g->self = self;
    g->n = 0;
    gather_locked(g);
    take_queued_locked(g);
    pthread_mutex_unlock(&r->mu);
    lead(g);
    if (g->n > 0)
        note_flock(r, g->n);
    for (size_t i = 0; i < g->n; i++)
        if (g->m[i].w != self)
            queue_done(g->m[i].w);
    pthread_mutex_lock(&r->mu);
    queue_release_locked(r);
    pthread_mutex_unlock(&r->mu);
    free(g);
}

enum err_code replica_write_all(struct replica *r, struct txn *txns, size_t n, struct err *errs,
                                struct err *e)
{
    struct waiting *w = calloc(n, sizeof *w);
    if (!w)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    pthread_mutex_lock(&r->mu);
    for (size_t i = 0; i < n; i++)
        queue_join_locked(r, &w[i], &txns[i]);
    pthread_mutex_unlock(&r->mu);
    for (size_t i = 0; i < n; i++) {
        bool leads = false;
        err_clear(&errs[i]);
        enum err_code code = queue_stand(r, &w[i], txns[i].deadline_ns, &leads, &errs[i]);
        if (leads)
            lead_queue(r, &w[i]);
        if (code == ERR_OK)
            errs[i] = w[i].err;
    }
    free(w);
    return ERR_OK;
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
    const struct changeset_txs txs = {.txs = &tx, .n = 1, .content = true};
    if (commit_group(r, &txs, &seq, e) == COMMIT_DONE)
        return ERR_OK;
    return e->code;
}
