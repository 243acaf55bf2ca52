#include "repl/replica.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stack.h"
#include "repl/impl.h"
#include "repl/queue.h"
#include "script/interceptor.h"

#define REPLICA_NAP_NS     (20 * CLOCK_MS)
#define REPLICA_MAX_STREAM 64 /* with the token it stays under JetStream's limit of 255 */

static enum err_code open_apply(struct replica *r, struct err *e)
{
    enum apply_mode mode = r->opt.mode == REPLICA_SERIALIZABLE ? APPLY_STRICT : APPLY_LWW;
    enum err_code code = apply_open(&r->apply, &r->opt.conn, mode, r->opt.row_identify, e);
    if (code == ERR_OK && r->opt.interceptor)
        code = interceptor_open(&r->interceptor, r->opt.interceptor, r->opt.id, &r->cancel, e);
    return code;
}

/* The connection that is always there. */
static struct conn *own_conn(struct replica *r)
{
    return r->writer ? writer_conn(r->writer) : r->apply ? apply_conn(r->apply) : NULL;
}

static enum err_code open_files(struct replica *r, struct err *e)
{
    bool found = false;
    r->changes = spool_new(r->opt.spool_dir, SPOOL_MEMORY);
    if (!r->changes || chain_init(&r->chain, r->opt.spool_dir, SPOOL_MEMORY, e) != ERR_OK)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = r->opt.read_only ? open_apply(r, e)
                                          : writer_open(&r->writer, &r->opt.conn, r->changes,
                                                        r->opt.replicate_ddl, e);
    if (code == ERR_OK)
        code = position_init(own_conn(r), e);
    if (code == ERR_OK)
        code = position_load(own_conn(r), &r->pos, &found, e);
    if (code != ERR_OK || !r->opt.client)
        return code;
    if (!r->opt.read_only)
        code = open_apply(r, e);
    if (code == ERR_OK && r->opt.mode == REPLICA_ASYNC)
        code = outbox_open(r, e);
    r->digest = digest_new();
    if (code == ERR_OK && !r->digest)
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    return code;
}

static enum err_code start_thread(pthread_t *thread, void *(*run)(void *), struct replica *r,
                                  struct err *e)
{
    int rc = stack_start(thread, run, r);
    return rc == 0 ? ERR_OK : err_set(e, ERR_NO_MEMORY, "cannot start a thread: %s", strerror(rc));
}

static void free_replica(struct replica *r)
{
    writer_close(r->writer);
    interceptor_close(r->interceptor);
    apply_close(r->apply);
    outbox_close(r);
    spool_free(r->changes);
    chain_fini(&r->chain);
    buf_free(&r->message);
    digest_free(r->digest);
    free(r->peers);
    pthread_mutex_destroy(&r->peers_mu);
    pthread_cond_destroy(&r->changed);
    pthread_cond_destroy(&r->nap);
    pthread_mutex_destroy(&r->mu);
    pthread_mutex_destroy(&r->wish_mu);
    free(r);
}

static void name_stream(struct replica *r)
{
    name_encode(r->opt.id, r->token);
    /* Stream names cannot hold the dot that subjects are made with. */
    snprintf(r->stream, sizeof r->stream, "%s-%s", r->opt.stream, r->token);
    snprintf(r->subject, sizeof r->subject, "%s.%s", r->opt.stream, r->token);
}

enum err_code replica_open(struct replica **out, const struct replica_options *opt, struct err *e)
{
    *out = NULL;
    struct replica *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    r->opt = *opt;
    if (strlen(opt->stream) > REPLICA_MAX_STREAM) {
        free(r);
        return err_set(e, ERR_CONFIG, "--replication-stream is longer than %d characters",
                       REPLICA_MAX_STREAM);
    }
    r->opt.conn.create = true;
    r->opt.conn.full_sync = opt->mode == REPLICA_ASYNC || !opt->client;
    pthread_mutex_init(&r->mu, NULL);
    pthread_mutex_init(&r->wish_mu, NULL);
    pthread_mutex_init(&r->peers_mu, NULL);
    atomic_init(&r->wish_seq, UINT64_MAX);
    clock_cond_init(&r->changed);
    clock_cond_init(&r->nap);
    err_clear(&r->reason);
    buf_init(&r->message, 0);
    name_stream(r);
    restore_clean(r);
    enum err_code code = open_files(r, e);
    if (code != ERR_OK) {
        err_wrap(e, "database \"%s\"", opt->id);
        free_replica(r);
        return code;
    }
    if (r->digest)
        digest_stand(r->digest, r->pos.seq);
    atomic_store(&r->seq, r->pos.seq);
    memcpy(r->seq_id, r->pos.msg_id, sizeof r->seq_id);
    atomic_store(&r->tail_seq, r->pos.seq);
    atomic_store(&r->last_seq, r->pos.seq);
    atomic_store(&r->log_created, r->pos.stream_created);
    atomic_store(&r->begun, r->pos.seq > 0 || (r->pos.stream_created && !r->pos.msg_id[0]));
    r->opened_seq = r->pos.seq;
    r->joined = r->pos.seq > 0;
    r->state = opt->client ? REPLICA_OFFLINE : REPLICA_FOLLOWING;
    if (opt->client) {
        err_set(&r->reason, ERR_LOG_UNAVAILABLE, "NATS is not connected yet");
        r->connected = nats_client_connected(opt->client);
        code = start_thread(&r->applier_thread, applier_main, r, e);
        r->has_applier = code == ERR_OK;
    }
    if (code == ERR_OK && opt->client && opt->mode == REPLICA_ASYNC) {
        code = start_thread(&r->outbox_thread, outbox_main, r, e);
        r->has_outbox = code == ERR_OK;
    }
    if (code != ERR_OK) {
        replica_close(r);
        return code;
    }
    *out = r;
    return ERR_OK;
}

void replica_wake_applier_locked(struct replica *r)
{
    pthread_cond_broadcast(&r->changed);
    pthread_cond_signal(&r->nap);
    if (r->feed && r->connected)
        stream_feed_wake(r->feed);
}

void replica_stop(struct replica *r, int64_t deadline_ns)
{
    pthread_mutex_lock(&r->mu);
    r->closing = true;
    atomic_store(&r->cancel, true);
    queue_wake_all_locked(r);
    replica_wake_applier_locked(r);
    while (r->leading) {
        if (clock_mono_ns() >= deadline_ns) {
            if (r->tx)
                tx_abort_locked(r);
            conn_interrupt(writer_conn(r->writer));
        }
        int64_t nap = clock_deadline(REPLICA_NAP_NS);
        clock_cond_wait(&r->changed, &r->mu, nap);
    }
    pthread_mutex_unlock(&r->mu);
}

void replica_close(struct replica *r)
{
    if (!r)
        return;
    replica_stop(r, clock_mono_ns());
    if (r->has_applier)
        pthread_join(r->applier_thread, NULL);
    if (r->has_outbox)
        pthread_join(r->outbox_thread, NULL);
    struct err e = ERR_INIT;
    struct conn *own = own_conn(r);
    if (own && conn_checkpoint(own, true, &e) != ERR_OK)
        LOG_WARN("checkpoint failed", LOG_STR("db", r->opt.id), LOG_STR("reason", e.msg));
    free_replica(r);
}

void replica_connection_changed(struct replica *r, bool connected)
{
    pthread_mutex_lock(&r->mu);
    if (connected && r->connected) { /* it was, already when the replica was opened */
        pthread_mutex_unlock(&r->mu);
        return;
    }
    r->connected = connected;
    r->verify = true;
    if (!connected && r->state == REPLICA_FOLLOWING) {
        r->state = REPLICA_OFFLINE;
        err_set(&r->reason, ERR_LOG_UNAVAILABLE, "the connection to NATS is lost");
    }
    replica_wake_applier_locked(r);
    pthread_mutex_unlock(&r->mu);
}

void replica_doubt(struct replica *r)
{
    pthread_mutex_lock(&r->mu);
    r->verify = true;
    replica_wake_applier_locked(r);
    pthread_mutex_unlock(&r->mu);
}

void replica_status(struct replica *r, struct replica_status *st)
{
    pthread_mutex_lock(&r->mu);
    *st = r->stats;
    st->state = r->state;
    snprintf(st->reason, sizeof st->reason, "%s",
             r->state == REPLICA_FOLLOWING ? "" : r->reason.msg);
    st->seq = atomic_load(&r->seq);
    st->last_seq = atomic_load(&r->last_seq);
    st->readable = !atomic_load(&r->unreadable);
    st->disputed = atomic_load(&r->disputed);
    st->suspected = r->suspicion.to > 0;
    st->restoring = atomic_load(&r->mending);
    st->restore_done_bytes = atomic_load(&r->restoring.done_bytes);
    st->restore_total_bytes = atomic_load(&r->restoring.total_bytes);
    st->caught_up = !r->opt.client || (r->state == REPLICA_FOLLOWING && st->seq >= r->target_seq) ||
                    (r->state == REPLICA_FOLLOWING && atomic_load(&r->tail_seq) >= r->target_seq);
    pthread_mutex_unlock(&r->mu);
}

uint64_t replica_opened(const struct replica *r)
{
    return r->opened_seq;
}

uint64_t replica_position(const struct replica *r)
{
    return atomic_load(&r->seq);
}

uint64_t replica_version(const struct replica *r)
{
    return atomic_load(&r->version);
}

int64_t replica_log_created(const struct replica *r)
{
    return atomic_load(&r->log_created);
}

const char *replica_stream(const struct replica *r)
{
    return r->stream;
}

const char *replica_subject(const struct replica *r)
{
    return r->subject;
}

enum err_code replica_sync(struct replica *r, int64_t deadline_ns, struct err *e)
{
    if (!r->opt.client)
        return ERR_OK;
    struct stream_state st;
    bool found = false;
    enum err_code code = stream_info(r->opt.client, r->stream, &st, &found, e);
    if (code != ERR_OK || !found)
        return code != ERR_OK ? code : err_set(e, ERR_LOG_UNAVAILABLE, "there is no log yet");
    if (st.last_seq > 0)
        lock_wait_tail(r, st.last_seq - 1, deadline_ns);
    if (atomic_load(&r->tail_seq) >= st.last_seq)
        return ERR_OK;
    return err_set(e, ERR_LAGGING, "database \"%s\" is behind its log", r->opt.id);
}

enum err_code replica_vacuum(struct replica *r, int64_t deadline_ns, struct err *e)
{
    struct waiting w;
    bool leads = false;
    enum err_code code = queue_wait(r, &w, NULL, deadline_ns, &leads, e);
    pthread_mutex_lock(&r->mu);
    if (leads)
        queue_shift_locked(r);
    pthread_mutex_unlock(&r->mu);
    if (code != ERR_OK)
        return code;
    code = lock_write(r, deadline_ns, e);
    if (code == ERR_OK) {
        code = writer_vacuum(r->writer, e);
        lock_release(r);
    }
    pthread_mutex_lock(&r->mu);
    queue_release_locked(r);
    pthread_mutex_unlock(&r->mu);
    return code;
}
