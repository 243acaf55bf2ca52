/*
 * Fills a database's log quickly: publishes, without waiting for each, the messages that one-row
 * inserts into the benchmark's table make, `group` transactions to a message.
 *
 *   fill url=nats://127.0.0.1:4222 database=bench.db transactions=1000000 group=64 first=1
 *
 * The node that has created the table must be idle meanwhile: the messages continue the identity
 * chain from the stream's last one, and expect the sequence before them, as a node's do. The table:
 * CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, value REAL).
 *
 * Prints {"transactions", "messages", "bytes", "seconds", "last_seq"}.
 */
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/name.h"
#include "proto/changeset.h"
#include "support/item.h"
#include "support/jetstream.h"

#define MAX_GROUP   256
#define MAX_PENDING 2048 /* messages that are not acknowledged yet */
#define FINISH_MS   60000

struct log {
    struct jetstream j;
    char stream[256], subject[256];
    char prev[CHANGESET_ID_SIZE]; /* id of the newest message */
    uint64_t seq;                 /* and its sequence */
    uint64_t bytes;
};

static void find_end(struct log *l)
{
    natsMsg *last = NULL;
    const char *id = NULL;
    jsErrCode jerr = 0;
    jetstream_must(js_GetLastMsg(&last, l->j.js, l->stream, l->subject, NULL, &jerr), jerr,
                   "the log's last message");
    jetstream_must(natsMsgHeader_Get(last, "Nats-Msg-Id", &id), 0, "the log's last message's id");
    snprintf(l->prev, sizeof l->prev, "%s", id);
    l->seq = natsMsg_GetSequence(last);
    natsMsg_Destroy(last);
}

static void put_change(struct buf *b, int64_t id)
{
    char name[ITEM_NAME_SIZE];
    item_name(name, id);
    struct value v[3] = {value_int(id), value_text(name, strlen(name)), value_real(item_value(id))};
    buf_puts(b, "{\"database\":\"main\",\"table\":\"item\",\"columns\":[\"id\",\"name\",\"value\"],"
                "\"pk_columns\":[\"id\"],\"operation\":\"INSERT\",\"new_rowid\":");
    buf_i64(b, id);
    buf_puts(b, ",\"new_values\":[");
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            buf_putc(b, ',');
        changeset_put_value(b, &v[i]);
    }
    buf_puts(b, "]}");
}

static void put_message(struct log *l, struct buf *b, const char *id, int64_t first, long n)
{
    struct changeset_tx txs[MAX_GROUP];
    buf_reset(b);
    changeset_put_head(b, "bench");
    for (long i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        put_change(b, first + i);
        txs[i] = (struct changeset_tx){1, clock_wall_ns()};
    }
    changeset_put_tail(b, id, l->prev, "bench.db", clock_wall_ns(),
                       &(struct changeset_txs){.txs = txs, .n = (size_t)n});
    if (!buf_ok(b))
        measure_fail("out of memory");
}

static void publish(struct log *l, const struct buf *b, const char *id)
{
    natsMsg *msg = NULL;
    char seq[32];
    snprintf(seq, sizeof seq, "%llu", (unsigned long long)l->seq);
    natsStatus s = natsMsg_Create(&msg, l->subject, NULL, b->data, (int)b->len);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(msg, "Nats-Msg-Id", id);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(msg, "Nats-Expected-Last-Sequence", seq);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(msg, "Nats-Expected-Stream", l->stream);
    if (s == NATS_OK)
        s = js_PublishMsgAsync(l->j.js, &msg, NULL);
    jetstream_must(s, 0, "publishing");
    memcpy(l->prev, id, strlen(id) + 1);
    l->seq++;
    l->bytes += b->len;
}

/* Waits for the acknowledgements; one that did not come, or was a refusal, ends the program. */
static void finish(struct log *l)
{
    jsPubOptions o;
    jsPubOptions_Init(&o);
    o.MaxWait = FINISH_MS;
    jetstream_must(js_PublishAsyncComplete(l->j.js, &o), 0, "waiting for acknowledgements");
    uint64_t expected = l->seq;
    find_end(l);
    if (l->seq != expected)
        measure_fail(
            "the log ends at %llu, not at %llu: somebody else wrote, or messages were refused",
            (unsigned long long)l->seq, (unsigned long long)expected);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"url",   "database", "stream", "transactions",
                                        "group", "first",    NULL};
    measure_check(argc, argv, names);
    const char *stream = measure_text(argc, argv, "stream", "ha_replication");
    long transactions = measure_number(argc, argv, "transactions", 1000, 1, 100000000);
    long group = measure_number(argc, argv, "group", 1, 1, MAX_GROUP);
    long first = measure_number(argc, argv, "first", 1, 1, LONG_MAX / 2);
    char token[NAME_TOKEN_SIZE];
    struct log l = {0};
    struct buf b = BUF_INIT;
    long messages = 0;

    name_encode(measure_text(argc, argv, "database", "bench.db"), token);
    snprintf(l.stream, sizeof l.stream, "%.80s-%s", stream, token);
    snprintf(l.subject, sizeof l.subject, "%.80s.%s", stream, token);
    jetstream_open(&l.j, measure_text(argc, argv, "url", "nats://127.0.0.1:4222"), MAX_PENDING);
    find_end(&l);
    int64_t start = measure_now_ns();
    for (long at = 0; at < transactions; at += group, messages++) {
        char id[ID_SIZE];
        long n = transactions - at < group ? transactions - at : group;
        id_next(id);
        put_message(&l, &b, id, first + at, n);
        publish(&l, &b, id);
    }
    finish(&l);
    printf("{\"transactions\":%ld,\"messages\":%ld,\"bytes\":%llu,\"seconds\":%.4f,\"last_seq\":%"
           "llu}\n",
           transactions, messages, (unsigned long long)l.bytes,
           (double)(measure_now_ns() - start) / 1e9, (unsigned long long)l.seq);
    buf_free(&b);
    jetstream_close(&l.j);
    return 0;
}
