/*
 * Asynchronous replication: the client is told when the file has its transaction, and the message
 * waits in the outbox, in the same SQLite transaction. A thread of its own brings the outbox to the
 * log, in order; the applier takes a message out when the log delivers it, in the transaction that
 * moves the position over it, so that no crash loses or repeats one.
 *
 * At every commit the file is: the log up to the position, then the outbox on top of it. So when
 * messages of others are applied, what the outbox holds is applied again behind them, in the same
 * transaction: nobody here sees his own rows as they were before, and a message of our own that the
 * log delivers later changes nothing.
 *
 * What the log has acknowledged and then lost is published again: debt.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/log.h"
#include "repl/debt.h"
#include "repl/impl.h"
#include "sql/image.h"
#include "sql/outbox.h"

#define OUTBOX_NAP_NS  (200 * CLOCK_MS) /* after a publish that failed */
#define OUTBOX_LOOK_NS (5 * CLOCK_MS)   /* between two looks whether it is empty */

struct outbox {
    /* write lock */
    uint64_t next_id;
    /* outbox thread only */
    struct conn *conn;
    uint64_t published; /* everything up to this id has been acknowledged */
    struct debt *debt;  /* what of it has not been delivered */
    struct buf scratch;
    /* applier thread only */
    struct spool *again; /* one message on its way from the outbox into the file */
};

enum err_code outbox_open(struct replica *r, struct err *e)
{
    uint64_t last = 0, messages = 0;
    struct outbox *o = calloc(1, sizeof *o);
    if (!o)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    r->outbox = o;
    enum err_code code = outbox_create(writer_conn(r->writer), e);
    if (code == ERR_OK)
        code = outbox_extent(writer_conn(r->writer), &last, &messages, e);
    if (code == ERR_OK)
        code = conn_open(&o->conn, &r->opt.conn, CONN_READER, e);
    o->again = spool_new(r->opt.spool_dir, SPOOL_MEMORY);
    if (code == ERR_OK && !o->again)
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    o->debt = debt_new(r, o->conn);
    if (code == ERR_OK && !o->debt)
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    o->next_id = last + 1;
    r->stats.outbox = messages;
    return code;
}

void outbox_close(struct replica *r)
{
    if (!r->outbox)
        return;
    debt_free(r->outbox->debt);
    conn_close(r->outbox->conn);
    buf_free(&r->outbox->scratch);
    spool_free(r->outbox->again);
    free(r->outbox);
}

enum err_code outbox_put(struct replica *r, const char *id, const struct message_source *src,
                         struct err *e)
{
    uint64_t part = 0;
    for (uint64_t from = 0; from < src->len; from += OUTBOX_PART_BYTES, part++) {
        uint64_t n = src->len - from < OUTBOX_PART_BYTES ? src->len - from : OUTBOX_PART_BYTES;
        buf_reset(&r->message);
        enum err_code code = src->read(src->arg, from, n, &r->message, e);
        if (code == ERR_OK)
            code = outbox_insert(writer_conn(r->writer),
                                 &(struct outbox_place){.id = r->outbox->next_id++,
                                                        .msg_id = id,
                                                        .base = atomic_load(&r->seq),
                                                        .part = part},
                                 r->message.data, r->message.len, e);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

enum err_code outbox_delivered(struct replica *r, const char *id, uint64_t seq, bool *own,
                               struct err *e)
{
    struct conn *c = apply_conn(r->apply);
    uint64_t at = 0, first = 0;
    bool found = false, any = false;
    enum err_code code = outbox_find(c, id, &at, &found, e);
    if (code == ERR_OK && found)
        code = outbox_first(c, &first, &any, e);
    if (code == ERR_OK && found && at > first) {
        /* O2: it is in the log without the older one, and will be there again behind that. What the
         * file shows stays as it is: that one, and on top of it this one. */
        char as[ID_SIZE];
        id_next(as);
        code = outbox_rename(c, id, as, seq, e);
        debt_overtaken(r);
    } else if (code == ERR_OK && found) {
        code = outbox_take(c, id, e);
    }
    *own = code == ERR_OK && found && !r->foreign;
    r->foreign = r->foreign || !found;
    return code;
}

/* One message of the outbox, in pieces because it may be of any size. */
static enum err_code apply_again(struct replica *r, const struct outbox_entry *entry, struct err *e)
{
    struct spool *s = r->outbox->again;
    const struct changeset_info *info = NULL;
    enum err_code code = ERR_OK;
    spool_reset(s);
    for (uint64_t from = 0; code == ERR_OK && from < entry->len; from += OUTBOX_PART_BYTES) {
        uint64_t n = entry->len - from < OUTBOX_PART_BYTES ? entry->len - from : OUTBOX_PART_BYTES;
        code = outbox_read(apply_conn(r->apply), entry, from, n, spool_tail(s), e);
        spool_flush(s);
    }
    if (code == ERR_OK)
        code = spool_error(s, e);
    if (code == ERR_OK)
        code = apply_spooled(r->apply, s, &info, e);
    spool_reset(s);
    return code == ERR_OK ? ERR_OK : err_wrap(e, "message \"%s\" of the outbox", entry->msg_id);
}

enum err_code outbox_reapply(struct replica *r, struct err *e)
{
    uint64_t after = 0;
    int64_t start = clock_mono_ns();
    enum err_code code = ERR_OK;
    while (code == ERR_OK && r->foreign) {
        struct outbox_entry entry;
        bool found = false;
        code = outbox_next(apply_conn(r->apply), after, &entry, &found, e);
        if (code != ERR_OK || !found)
            break;
        code = apply_again(r, &entry, e);
        after = entry.last_id;
    }
    r->reapply_ns = r->foreign ? clock_mono_ns() - start : r->reapply_ns;
    r->foreign = false;
    return code;
}

static enum err_code read_entry(void *arg, uint64_t from, uint64_t n, struct buf *out,
                                struct err *e)
{
    void **both = arg;
    return outbox_read(both[0], both[1], from, n, out, e);
}

/* Waits until the log is followed and, the first time, until all of it that was there is in the
 * file: messages published before a crash are thereby taken out. And until there is something to
 * publish, or to look after. */
static bool wait_turn(struct replica *r, uint64_t *version)
{
    pthread_mutex_lock(&r->mu);
    while (!r->closing) {
        bool follows = r->state == REPLICA_FOLLOWING && atomic_load(&r->tail_seq) >= r->target_seq;
        int64_t due = debt_due(r->outbox->debt);
        if (follows && (*version != atomic_load(&r->version) || clock_mono_ns() >= due))
            break;
        clock_cond_wait(&r->changed, &r->mu, follows ? due : CLOCK_EVER);
    }
    *version = atomic_load(&r->version);
    bool go = !r->closing;
    pthread_mutex_unlock(&r->mu);
    return go;
}

static void nap(struct replica *r)
{
    int64_t until = clock_deadline(OUTBOX_NAP_NS);
    pthread_mutex_lock(&r->mu);
    while (!r->closing && clock_cond_wait(&r->changed, &r->mu, until))
        ;
    pthread_mutex_unlock(&r->mu);
}

static enum publish_result publish(struct outbox *o, struct outbox_entry *entry,
                                   const struct message_target *to, uint64_t *seq, struct err *e)
{
    void *both[2] = {o->conn, entry};
    struct message_source src = {entry->len, read_entry, both};
    uint64_t first = 0;
    FAULT_POINT("outbox.publish");
    if (FAULT_FAILS("outbox.lost")) { /* acknowledged, and then the log is rolled back */
        struct stream_state st = {0};
        bool found = false;
        stream_info(to->client, to->stream, &st, &found, e);
        *seq = st.last_seq + 1;
        return PUBLISH_ACKED;
    }
    return message_publish(&src, entry->msg_id, to, &first, seq, e);
}

/* How many messages are left. `version`: of the file before it was looked into. */
static void count_left(struct replica *r, struct outbox *o, uint64_t version)
{
    uint64_t last_id, messages = 0;
    struct err e = ERR_INIT;
    if (outbox_extent(o->conn, &last_id, &messages, &e) != ERR_OK)
        return;
    pthread_mutex_lock(&r->mu);
    if (atomic_load(&r->version) == version) /* else it comes here again, at once */
        r->stats.outbox = messages;
    pthread_mutex_unlock(&r->mu);
}

/* Publishes everything behind o->published. False after a failure, to be tried again. */
static bool drain(struct replica *r, struct outbox *o)
{
    struct message_target to = {.client = r->opt.client,
                                .stream = r->stream,
                                .subject = r->subject,
                                .timeout_ns = r->opt.timeout_ns,
                                .expect_seq = PUBLISH_ANY_SEQ,
                                .scratch = &o->scratch};
    for (;;) {
        struct outbox_entry entry;
        struct err e = ERR_INIT;
        bool found = false;
        uint64_t seq = 0, version = atomic_load(&r->version);
        bool look = clock_mono_ns() >= debt_due(o->debt);
        if (look)
            debt_look(o->debt, &o->published);
        bool holds = debt_holds(o->debt);
        enum err_code code = ERR_OK;
        if (!holds)
            code = outbox_next(o->conn, o->published, &entry, &found, &e);
        if (code == ERR_OK && !found) {
            if (!holds || look) /* not for each that is written meanwhile */
                count_left(r, o, version);
            return true;
        }
        if (code == ERR_OK) {
            enum publish_result result = publish(o, &entry, &to, &seq, &e);
            if (result == PUBLISH_ACKED)
                debt_add(o->debt, &entry, seq);
            if (result == PUBLISH_ACKED || e.code == ERR_NOT_FOUND) {
                o->published = entry.last_id;
                continue;
            }
        }
        LOG_WARN("outbox is not drained", LOG_STR("db", r->opt.id), LOG_STR("reason", e.msg));
        return false;
    }
}

void *outbox_main(void *replica)
{
    struct replica *r = replica;
    uint64_t version = UINT64_MAX;
    while (wait_turn(r, &version)) {
        if (!drain(r, r->outbox)) {
            version = UINT64_MAX;
            nap(r);
        }
    }
    return NULL;
}

/* ---- nothing in it ---- */

static bool is_async(const struct replica *r)
{
    return r->opt.mode == REPLICA_ASYNC && r->opt.client;
}

enum err_code replica_quiesce(struct replica *r, int64_t deadline_ns, struct err *e)
{
    struct image img = {0};
    if (!is_async(r))
        return ERR_OK;
    pthread_mutex_lock(&r->mu);
    r->quiet++;
    /* Whoever writes now may still commit; after that it can only be the applier. */
    bool in_time = true;
    while (r->write_held && !r->closing && in_time)
        in_time = clock_cond_wait(&r->changed, &r->mu, deadline_ns);
    enum err_code code = ERR_OK;
    bool empty = false;
    while (code == ERR_OK && !empty && in_time && !r->closing) {
        pthread_mutex_unlock(&r->mu);
        code = image_describe(r->opt.conn.path, &img, e);
        pthread_mutex_lock(&r->mu);
        empty = code == ERR_OK && img.outbox == 0;
        in_time = clock_mono_ns() < deadline_ns;
        if (!empty)
            clock_cond_wait(&r->changed, &r->mu, clock_deadline(OUTBOX_LOOK_NS));
    }
    if (code == ERR_OK && r->closing)
        code = err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    else if (code == ERR_OK && !empty)
        code = err_set(e, ERR_BUSY,
                       "database \"%s\" holds transactions that are not in the log yet; again when "
                       "its outbox is empty",
                       r->opt.id);
    pthread_mutex_unlock(&r->mu);
    if (code != ERR_OK)
        replica_resume(r);
    return code;
}

void replica_resume(struct replica *r)
{
    if (!is_async(r))
        return;
    pthread_mutex_lock(&r->mu);
    r->quiet--;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
}
