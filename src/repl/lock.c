/*
 * The write lock: two parties, the leader of the write group and the applier. The applier goes
 * first, because until foreign messages are in the file every local transaction would lose anyway.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repl/freeze.h"
#include "repl/impl.h"

/* r->mu is held. Nothing in the way of a local transaction? Otherwise *until is when to look again.
 */
static bool may_write_locked(const struct replica *r, int64_t *until)
{
    *until = CLOCK_EVER;
    if (r->state != REPLICA_FOLLOWING && !(r->opt.mode == REPLICA_ASYNC && atomic_load(&r->begun)))
        return false;
    if (r->write_held || r->applier_wants || r->quiet > 0)
        return false;
    if (atomic_load(&r->owed_seq) > atomic_load(&r->tail_seq))
        return false;
    if (r->chain_open && r->opt.mode != REPLICA_ASYNC) {
        /* Extending the log now would cut off a big transaction of somebody else: give it the time
         * that a living publisher needs for its next part. */
        int64_t stalled = r->chain_time_ns + CHAIN_STALL_NS;
        if (clock_mono_ns() < stalled) {
            *until = stalled;
            return false;
        }
    }
    if (r->opt.mode == REPLICA_SERIALIZABLE) {
        int64_t now = clock_mono_ns(), begins = turn_begins(&r->turns, now);
        if (begins > now) {
            *until = begins;
            return false;
        }
    }
    return true;
}

/* r->mu is held. */
static enum err_code refusal_locked(const struct replica *r, struct err *e)
{
    if (r->closing)
        return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    if (r->state == REPLICA_STOPPED)
        return err_set(e, ERR_STOPPED, "database \"%s\" is stopped on this node: %s", r->opt.id,
                       r->reason.msg);
    return ERR_OK;
}

/* r->mu is held. The caller is about to wait for what the applier does. */
static void want_applier_locked(struct replica *r)
{
    r->applier_wanted = true;
    pthread_cond_signal(&r->nap);
}

enum err_code lock_write(struct replica *r, int64_t deadline_ns, struct err *e)
{
    pthread_mutex_lock(&r->mu);
    enum err_code code;
    for (;;) {
        code = refusal_locked(r, e);
        if (code != ERR_OK)
            break;
        int64_t until;
        if (may_write_locked(r, &until)) {
            r->write_held = true;
            r->expect_seq = atomic_load(&r->tail_seq);
            break;
        }
        if (clock_mono_ns() >= deadline_ns) {
            code = r->state == REPLICA_FOLLOWING
                       ? err_set(e, ERR_BUSY, "another write did not end in time")
                       : err_set(e, ERR_LOG_UNAVAILABLE, "the log cannot be reached: %s",
                                 r->reason.msg[0] ? r->reason.msg : "NATS is not connected");
            break;
        }
        if (until != CLOCK_EVER) /* for somebody else's message */
            want_applier_locked(r);
        clock_cond_wait(&r->changed, &r->mu, until < deadline_ns ? until : deadline_ns);
    }
    pthread_mutex_unlock(&r->mu);
    return code;
}

bool lock_apply(struct replica *r, uint64_t seq, const char *id)
{
    bool got = false;
    pthread_mutex_lock(&r->mu);
    /* The group that has published it commits it in a moment: nobody has to make way for that. */
    bool own = strcmp(id, r->publishing) == 0;
    r->applier_wants = !own;
    while (!r->closing) {
        if (atomic_load(&r->seq) >= seq)
            break;
        if (!r->write_held) {
            r->write_held = got = true;
            break;
        }
        if (r->tx && !own)
            tx_doom_locked(r);
        if (r->write_held)
            clock_cond_wait(&r->changed, &r->mu, CLOCK_EVER);
    }
    r->applier_wants = false;
    if (!got)
        pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
    return got;
}

bool lock_take(struct replica *r)
{
    pthread_mutex_lock(&r->mu);
    r->applier_wants = true; /* tx_begin() may have the lock already, and r->tx not be set yet */
    while (r->write_held && !r->closing) {
        if (r->tx)
            tx_doom_locked(r);
        if (r->write_held)
            clock_cond_wait(&r->changed, &r->mu, CLOCK_EVER);
    }
    r->applier_wants = false;
    bool got = !r->closing;
    if (got)
        r->write_held = true;
    else
        pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
    return got;
}

bool lock_nap(struct replica *r, int64_t ns)
{
    int64_t until = clock_deadline(ns);
    bool in_time = true;
    pthread_mutex_lock(&r->mu);
    while (!r->applier_wanted && !r->closing && !r->verify && in_time)
        in_time = clock_cond_wait(&r->nap, &r->mu, until);
    r->applier_wanted = false;
    pthread_mutex_unlock(&r->mu);
    return !in_time;
}

void lock_release(struct replica *r)
{
    pthread_mutex_lock(&r->mu);
    r->write_held = false;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
}

bool lock_wait_tail(struct replica *r, uint64_t from, int64_t deadline_ns)
{
    bool in_time = true;
    pthread_mutex_lock(&r->mu);
    if (atomic_load(&r->last_seq) <= from) {
        atomic_store(&r->last_seq, from + 1);
        replica_wake_applier_locked(r); /* it may be waiting at a feed that is lost */
    }
    want_applier_locked(r);
    while (atomic_load(&r->tail_seq) <= from && !r->closing && r->state == REPLICA_FOLLOWING &&
           in_time)
        in_time = clock_cond_wait(&r->changed, &r->mu, deadline_ns);
    pthread_mutex_unlock(&r->mu);
    return in_time; /* whatever else has happened, lock_write() tells it */
}

enum err_code replica_readable(struct replica *r, struct err *e)
{
    if (!atomic_load(&r->unreadable))
        return ERR_OK;
    pthread_mutex_lock(&r->mu);
    enum err_code code = err_set(e, ERR_STOPPED, "database \"%s\" is not served on this node: %s",
                                 r->opt.id, r->reason.msg);
    pthread_mutex_unlock(&r->mu);
    return code;
}

void replica_set_state(struct replica *r, enum replica_state state, const struct err *reason)
{
    pthread_mutex_lock(&r->mu);
    if (state == REPLICA_FOLLOWING && (!r->connected || r->verify)) {
        pthread_mutex_unlock(&r->mu); /* what was verified may be another server's by now */
        return;
    }
    bool news = state != r->state || (reason && strcmp(reason->msg, r->reason.msg) != 0);
    r->state = state;
    if (state == REPLICA_FOLLOWING)
        atomic_store(&r->unreadable, false);
    if (reason)
        r->reason = *reason;
    else
        err_clear(&r->reason);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
    if (!news)
        return;
    if (state == REPLICA_STOPPED)
        LOG_ERROR("database stopped", LOG_STR("db", r->opt.id), LOG_STR("reason", r->reason.msg),
                  LOG_INT("sqlite_code", r->reason.sqlite_code),
                  LOG_UINT("seq", atomic_load(&r->seq)));
    else if (state == REPLICA_FOLLOWING)
        LOG_INFO("following the log", LOG_STR("db", r->opt.id), LOG_STR("stream", r->stream),
                 LOG_UINT("seq", atomic_load(&r->seq)));
    else if (reason)
        LOG_WARN("the log cannot be reached", LOG_STR("db", r->opt.id),
                 LOG_STR("reason", r->reason.msg));
}

void replica_advance(struct replica *r, const struct position *p)
{
    atomic_fetch_add(&r->version, 1);
    replica_stand(r, p);
}

void replica_stand(struct replica *r, const struct position *p)
{
    r->pos = *p;
    atomic_store(&r->log_created, p->stream_created);
    atomic_store(&r->begun, p->stream_created != 0 && !r->import_id[0]);
    freeze_reached(r, p->seq);
    if (r->digest)
        digest_stand(r->digest, p->seq);
    pthread_mutex_lock(&r->mu);
    atomic_store(&r->seq, p->seq);
    memcpy(r->seq_id, p->msg_id, sizeof r->seq_id);
    if (atomic_load(&r->tail_seq) < p->seq)
        atomic_store(&r->tail_seq, p->seq);
    if (atomic_load(&r->last_seq) < p->seq)
        atomic_store(&r->last_seq, p->seq);
    if (r->chain_open && atomic_load(&r->tail_seq) == p->seq)
        r->chain_open = false;
    r->stats.last_apply_wall_ns = clock_wall_ns();
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
}

enum err_code replica_wait(struct replica *r, uint64_t seq, int64_t deadline_ns, struct err *e)
{
    enum err_code code = ERR_OK;
    if (atomic_load(&r->seq) >= seq)
        return ERR_OK;
    pthread_mutex_lock(&r->mu);
    want_applier_locked(r);
    while (atomic_load(&r->seq) < seq) {
        if (r->closing) {
            code = err_set(e, ERR_SHUTDOWN, "the node is shutting down");
            break;
        }
        if (r->state == REPLICA_STOPPED) {
            code = refusal_locked(r, e);
            break;
        }
        if (!clock_cond_wait(&r->changed, &r->mu, deadline_ns)) {
            code = err_set(e, ERR_LAGGING,
                           "database \"%s\" is at %llu on this node, %llu was asked for", r->opt.id,
                           (unsigned long long)atomic_load(&r->seq), (unsigned long long)seq);
            break;
        }
    }
    pthread_mutex_unlock(&r->mu);
    return code;
}
