#include "repl/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "repl/impl.h"

#define MESSAGE_HEADROOM ((size_t)1024) /* of max_payload, for headers */
#define MESSAGE_RETRIES  64             /* of a whole chain of parts, where any place will do */
#define MESSAGE_JITTER   4              /* doublings of a millisecond */
#define MESSAGE_NAP_NS   (5 * CLOCK_MS) /* between looks at a chain of somebody else */
#define PART_ID_SIZE     (CHANGESET_ID_SIZE + 32)

/* Appends the bytes [from, from + n) of a piece that begins at `start` within the message. */
static void copy_piece(struct buf *out, const struct buf *piece, uint64_t start, uint64_t from,
                       uint64_t n)
{
    uint64_t a = from > start ? from : start;
    uint64_t end = start + piece->len;
    uint64_t b = from + n < end ? from + n : end;
    if (a < b)
        buf_put(out, piece->data + (a - start), (size_t)(b - a));
}

static enum err_code read_pieces(void *arg, uint64_t from, uint64_t n, struct buf *out,
                                 struct err *e)
{
    struct message *m = arg;
    uint64_t start = m->head.len;
    uint64_t end = start + spool_len(m->changes);
    copy_piece(out, &m->head, 0, from, n);
    uint64_t a = from > start ? from : start;
    uint64_t b = from + n < end ? from + n : end;
    if (a < b) {
        size_t got = 0;
        char *room = buf_reserve(out, (size_t)(b - a));
        if (!room)
            return err_set(e, ERR_NO_MEMORY, "out of memory");
        enum err_code code = spool_read(m->changes, a - start, room, (size_t)(b - a), &got, e);
        if (code != ERR_OK)
            return code;
        if (got != b - a)
            return err_set(e, ERR_IO, "the spool of a transaction is shorter than it was");
        out->len += got;
    }
    copy_piece(out, &m->tail, end, from, n);
    return buf_ok(out) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

enum err_code message_make(struct message *m, struct spool *changes, const char *node,
                           const char *id, const char *prev, const char *path,
                           const struct changeset_txs *txs, struct err *e)
{
    *m = (struct message){.changes = changes, .head = BUF_INIT, .tail = BUF_INIT};
    const char *slash = strrchr(path, '/');
    changeset_put_head(&m->head, node);
    changeset_put_tail(&m->tail, id, prev, slash ? slash + 1 : path, clock_wall_ns(), txs);
    m->source = (struct message_source){
        .len = m->head.len + spool_len(changes) + m->tail.len, .read = read_pieces, .arg = m};
    if (!buf_ok(&m->head) || !buf_ok(&m->tail))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    return spool_error(changes, e);
}

void message_free(struct message *m)
{
    buf_free(&m->head);
    buf_free(&m->tail);
}

static enum publish_result publish_piece(const struct message_source *src, uint64_t from,
                                         uint64_t n, const struct message_target *to,
                                         struct publish *p, uint64_t *seq, struct err *e)
{
    buf_reset(to->scratch);
    if (src->read(src->arg, from, n, to->scratch, e) != ERR_OK)
        return PUBLISH_REFUSED;
    p->stream = to->stream;
    p->subject = to->subject;
    p->data = to->scratch->data;
    p->len = to->scratch->len;
    return stream_publish(to->client, p, clock_deadline(to->timeout_ns), seq, e);
}

static enum publish_result publish_parts(const struct message_source *src, const char *id,
                                         unsigned attempt, size_t part_len,
                                         const struct message_target *to, uint64_t *first,
                                         uint64_t *last, struct err *e)
{
    uint64_t parts = (src->len + part_len - 1) / part_len;
    char own[PART_ID_SIZE], previous[PART_ID_SIZE] = "";
    if (parts > UINT32_MAX) {
        err_set(e, ERR_TOO_BIG, "the transaction is too big for the log");
        return PUBLISH_REFUSED;
    }
    for (uint64_t i = 0; i < parts; i++) {
        bool final = i + 1 == parts;
        if (final)
            snprintf(own, sizeof own, "%s", id);
        else /* the attempt keeps an abandoned chain's parts from being taken for duplicates */
            snprintf(own, sizeof own, "%s.%u.%" PRIu64, id, attempt, i + 1);
        struct publish p = {.id = own,
                            .expect_seq = i == 0 ? to->expect_seq : *last,
                            .expect_id = i == 0 ? NULL : previous,
                            .part = (uint32_t)(i + 1),
                            .parts = (uint32_t)parts};
        uint64_t n = final ? src->len - i * part_len : part_len;
        enum publish_result result = publish_piece(src, i * part_len, n, to, &p, last, e);
        if (result == PUBLISH_UNKNOWN && !final) { /* without its last part it does not count */
            result = PUBLISH_REFUSED;
            err_set(e, ERR_LOG_UNAVAILABLE,
                    "the log did not answer in time; the transaction is not in it");
        }
        if (result != PUBLISH_ACKED)
            return result;
        if (i == 0)
            *first = *last;
        memcpy(previous, own, sizeof own);
        FAULT_POINT("commit.part");
    }
    return PUBLISH_ACKED;
}

/* A chain was cut off. If another one did it, that one is let through: two that begin again at once
 * would cut each other off for ever. */
static void give_way(const struct message_target *to, unsigned attempt)
{
    int64_t deadline = clock_deadline(to->timeout_ns);
    int64_t since = clock_mono_ns();
    uint64_t seen = 0;
    clock_nap(since %
              (CLOCK_MS << (attempt < MESSAGE_JITTER ? attempt : MESSAGE_JITTER))); /* jitter */
    while (clock_mono_ns() < deadline) {
        struct stream_message m;
        struct err e = ERR_INIT;
        bool found = false;
        if (stream_last(to->client, to->stream, to->subject, &m, &found, &e) != ERR_OK || !found)
            return;
        bool finished = m.part == m.parts;
        bool grows = m.seq != seen;
        seen = m.seq;
        stream_message_free(&m);
        if (grows)
            since = clock_mono_ns();
        if (finished || clock_mono_ns() - since >= CHAIN_STALL_NS)
            return;
        clock_nap(MESSAGE_NAP_NS);
    }
}

enum publish_result message_publish(const struct message_source *src, const char *id,
                                    const struct message_target *to, uint64_t *first,
                                    uint64_t *last, struct err *e)
{
    size_t part_len = nats_client_max_payload(to->client);
    part_len = part_len > 2 * MESSAGE_HEADROOM ? part_len - MESSAGE_HEADROOM : MESSAGE_HEADROOM;
    if (src->len <= part_len) {
        struct publish p = {.id = id, .expect_seq = to->expect_seq};
        enum publish_result result = publish_piece(src, 0, src->len, to, &p, last, e);
        *first = *last;
        return result;
    }
    unsigned tries = to->expect_seq == PUBLISH_ANY_SEQ ? MESSAGE_RETRIES : 1;
    enum publish_result result = PUBLISH_CONFLICT;
    for (unsigned i = 0; i < tries && result == PUBLISH_CONFLICT; i++) {
        if (i > 0)
            give_way(to, i);
        result = publish_parts(src, id, i, part_len, to, first, last, e);
    }
    return result;
}
