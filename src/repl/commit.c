/*
 * The commit: what a group has changed goes to the log as one message, and only when the log has it
 * into the file, together with the new position (I1, I2, I4).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/log.h"
#include "repl/impl.h"
#include "repl/message.h"

#define PROVE_PAUSE_NS (20 * CLOCK_MS) /* between two questions about the log's end */

/* The applier is to bring the group's message, whose last part is at `last`. Where nothing else
 * keeps local groups from running on the file as it was (I4 does), that does. */
static void owe(struct replica *r, uint64_t last)
{
    if (r->opt.mode != REPLICA_SERIALIZABLE)
        atomic_store(&r->owed_seq, last);
    pthread_mutex_lock(&r->mu);
    if (atomic_load(&r->last_seq) < last)
        atomic_store(&r->last_seq, last);
    pthread_mutex_unlock(&r->mu);
}

/* The message stands in the log at first … last. If that is right behind what the file was made on,
 * the file follows now; if not, or if its disk does not let it, the applier brings it there. */
static void commit_file(struct replica *r, const char *id, uint64_t expected, uint64_t first,
                        uint64_t last)
{
    struct err e = ERR_INIT;
    enum err_code code = ERR_OK;
    /* I5: messages of others lie in between; or it is the interceptor's to say what this one does,
     * here as everywhere. */
    if (first != expected + 1 || (r->opt.interceptor && !r->import_id[0])) {
        writer_rollback(r->writer);
        owe(r, last);
        return;
    }
    struct position p = r->pos;
    p.seq = last;
    snprintf(p.msg_id, sizeof p.msg_id, "%s", id);
    FAULT_POINT("commit.acked");
    if (FAULT_FAILS("commit.file"))
        code = err_set(&e, ERR_DISK_FULL, "disk full (injected)");
    if (code == ERR_OK)
        code = position_store(writer_conn(r->writer), &p, &e);
    if (code == ERR_OK)
        code = writer_commit(r->writer, &e);
    if (code == ERR_OK) {
        FAULT_POINT("commit.done");
        digest_add(r->digest, p.seq, p.msg_id);
        if (r->import_id[0])
            replica_stand(r, &p); /* the message is what the file had */
        else
            replica_advance(r, &p);
        r->hearsay = false;
        return;
    }
    writer_rollback(r->writer);
    owe(r, last);
    LOG_WARN("committed in the log but not yet in the file", LOG_STR("db", r->opt.id),
             LOG_UINT("seq", last), LOG_STR("reason", e.msg));
}

/* The id of the message at the position, as the log's leader has it; "" = that message has aged
 * out. A server that leads no more, and does not know it yet, may answer instead: it has none
 * there. */
static enum err_code ask_leader(struct replica *r, char id[CHANGESET_ID_SIZE], struct err *e)
{
    struct stream_message m;
    struct stream_state st;
    bool found = false;
    id[0] = '\0';
    enum err_code code = stream_get(r->opt.client, r->stream, r->pos.seq, &m, &found, e);
    if (code != ERR_OK)
        return code;
    if (found) {
        snprintf(id, CHANGESET_ID_SIZE, "%s", m.id);
        stream_message_free(&m);
        return ERR_OK;
    }
    code = stream_info(r->opt.client, r->stream, &st, &found, e);
    if (code == ERR_OK && !(found && st.first_seq > r->pos.seq))
        code = err_set(e, ERR_LOG_UNAVAILABLE, "the log does not know its message %" PRIu64 " yet",
                       r->pos.seq);
    return code;
}

/*
 * The file ends with a message of another node that came with a feed, and a feed reads the copy of
 * the log that one of the servers has. A follower that had no room for a message goes on without it
 * and takes what the leader refused, until it is started again (seen with nats-server 2.10.27). To
 * extend that would put two histories into one log; so the leader is asked first (I4, I8).
 */
static enum err_code prove_end(struct replica *r, struct err *e)
{
    char id[CHANGESET_ID_SIZE];
    if (!r->hearsay || !r->log_copies || !r->pos.msg_id[0])
        return ERR_OK;
    int64_t deadline = clock_deadline(r->opt.timeout_ns);
    enum err_code code;
    while ((code = ask_leader(r, id, e)) != ERR_OK) {
        if (clock_mono_ns() >= deadline)
            return code;
        err_clear(e);
        clock_nap(PROVE_PAUSE_NS);
    }
    r->hearsay = false;
    if (!id[0] || strcmp(id, r->pos.msg_id) == 0)
        return ERR_OK;
    r->hearsay = true;
    LOG_ERROR("the file ends with a message that the log's leader does not have",
              LOG_STR("db", r->opt.id), LOG_UINT("seq", r->pos.seq), LOG_STR("file", r->pos.msg_id),
              LOG_STR("log", id));
    code = err_set(e, ERR_LOG_UNAVAILABLE,
                   "message %" PRIu64 " came from a server whose copy of the log is another one "
                   "than its leader's; the file is verified again",
                   r->pos.seq);
    replica_set_state(r, REPLICA_OFFLINE, e); /* nobody writes before it is known who is right */
    replica_doubt(r);
    return code;
}

static void count(struct replica *r, enum publish_result result, size_t txs, uint64_t bytes,
                  int64_t elapsed_ns)
{
    pthread_mutex_lock(&r->mu);
    r->stats.publish_seconds += (double)elapsed_ns / (double)CLOCK_S;
    if (result == PUBLISH_ACKED) {
        turn_of_own(&r->turns, clock_mono_ns(), elapsed_ns);
        r->stats.groups++;
        r->stats.commits += txs;
        r->stats.published_bytes += bytes;
    } else if (result == PUBLISH_CONFLICT) {
        r->stats.conflicts++;
    }
    pthread_mutex_unlock(&r->mu);
}

static enum commit_result commit_logged(struct replica *r, const struct changeset_txs *txs,
                                        uint64_t *seq, struct err *e)
{
    char id[ID_SIZE];
    struct message m;
    bool strict = r->opt.mode == REPLICA_SERIALIZABLE || r->import_id[0];
    if (strict && prove_end(r, e) != ERR_OK) {
        writer_rollback(r->writer);
        return COMMIT_FAILED;
    }
    if (r->import_id[0])
        memcpy(id, r->import_id, sizeof id);
    else
        id_next(id);
    if (message_make(&m, r->changes, r->opt.node, id, r->pos.msg_id, r->opt.conn.path, txs, e) !=
        ERR_OK) {
        message_free(&m);
        writer_rollback(r->writer);
        return COMMIT_FAILED;
    }
    /* Parts of an unfinished message behind the position hold no committed state: extending the log
     * behind them extends the position's state, and ends them. */
    uint64_t expected = r->expect_seq;
    struct message_target to = {
        .client = r->opt.client,
        .stream = r->stream,
        .subject = r->subject,
        .timeout_ns = r->opt.timeout_ns,
        .expect_seq = strict ? expected : PUBLISH_ANY_SEQ,
        .scratch = &r->message,
    };
    uint64_t first = 0;
    pthread_mutex_lock(&r->mu);
    memcpy(r->publishing, id, sizeof id);
    pthread_mutex_unlock(&r->mu);
    int64_t start = clock_mono_ns();
    FAULT_POINT("commit.publish");
    enum publish_result result = message_publish(&m.source, id, &to, &first, seq, e);
    count(r, result, txs->n, m.source.len, clock_mono_ns() - start);
    message_free(&m);
    if (result == PUBLISH_ACKED) {
        commit_file(r, id, expected, first, *seq);
        return COMMIT_DONE;
    }
    writer_rollback(r->writer);
    if (result != PUBLISH_CONFLICT)
        return COMMIT_FAILED;
    err_set(e, ERR_CONFLICT, "another node wrote first; run the transaction again");
    return COMMIT_CONFLICT;
}

/* No log (standalone), or the log later (asynchronous): the file's commit is the commit. */
static enum commit_result commit_local(struct replica *r, const struct changeset_txs *txs,
                                       struct err *e)
{
    enum err_code code = ERR_OK;
    if (r->opt.client) {
        char id[ID_SIZE];
        struct message m;
        id_next(id);
        code =
            message_make(&m, r->changes, r->opt.node, id, r->pos.msg_id, r->opt.conn.path, txs, e);
        if (code == ERR_OK)
            code = outbox_put(r, id, &m.source, e);
        message_free(&m);
    }
    FAULT_POINT("commit.local");
    if (code == ERR_OK)
        code = writer_commit(r->writer, e);
    if (code != ERR_OK) {
        writer_rollback(r->writer);
        return COMMIT_FAILED;
    }
    atomic_fetch_add(&r->version, 1);
    pthread_mutex_lock(&r->mu);
    r->stats.groups++;
    r->stats.commits += txs->n;
    r->stats.outbox += r->opt.client ? 1 : 0;
    pthread_cond_broadcast(&r->changed); /* the outbox's thread has something to do */
    pthread_mutex_unlock(&r->mu);
    return COMMIT_DONE;
}

enum commit_result commit_fence(struct replica *r, struct err *e)
{
    const struct changeset_txs none = {0};
    uint64_t seq;
    spool_reset(r->changes);
    if (writer_begin(r->writer, e) != ERR_OK)
        return COMMIT_FAILED;
    return commit_logged(r, &none, &seq, e);
}

enum commit_result commit_group(struct replica *r, const struct changeset_txs *txs, uint64_t *seq,
                                struct err *e)
{
    *seq = 0;
    if (!spool_ok(r->changes)) {
        spool_error(r->changes, e);
        writer_rollback(r->writer);
        return COMMIT_FAILED;
    }
    if (spool_len(r->changes) > 0) {
        bool logged = r->opt.client && r->opt.mode != REPLICA_ASYNC;
        return logged ? commit_logged(r, txs, seq, e) : commit_local(r, txs, e);
    }
    if (writer_commit(r->writer, e) == ERR_OK)
        return COMMIT_DONE;
    writer_rollback(r->writer);
    return COMMIT_FAILED;
}
