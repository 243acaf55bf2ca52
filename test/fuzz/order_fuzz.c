/*
 * What a follower and a leader send to each other: the first byte chooses between an order and an
 * answer, both in the message of gRPC that carries them. What was read is written, and read again
 * as the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/order.h"
#include "proto/pbwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void written(const struct order *o)
{
    const struct upstream_call c = {.database = o->database,
                                    .queries = o->queries,
                                    .n = o->n,
                                    .atomic = o->atomic,
                                    .front = o->has_front ? &o->front : NULL,
                                    .deadline_ns = INT64_MAX,
                                    .last_rowid = o->last_rowid};
    struct buf b = BUF_INIT;
    struct order again;
    struct arena *a = arena_new();
    order_put(&b, o->what, &c, o->base, o->limit_bytes, NULL);
    if (a && buf_ok(&b) &&
        (!order_get(&again, a, b.data, b.len) || again.n != o->n || again.what != o->what ||
         again.base != o->base || strcmp(again.database, o->database) != 0))
        abort();
    arena_free(a);
    buf_free(&b);
}

static void order(const char *bytes, size_t len)
{
    struct arena *a = arena_new();
    struct order o;
    if (a && order_get(&o, a, bytes, len)) {
        for (size_t i = 0; i < o.n; i++)
            if (o.queries[i].sql < bytes || o.queries[i].sql + o.queries[i].len > bytes + len)
                abort();
        written(&o);
    }
    arena_free(a);
}

static void answer(const char *bytes, size_t len)
{
    struct order_answer a, again;
    struct buf b = BUF_INIT;
    if (!order_get_answer(&a, bytes, len))
        return;
    if (a.result.recording < bytes || a.result.recording + a.result.len > bytes + len)
        abort();
    order_put_answer(&b, &a, NULL);
    if (buf_ok(&b) && (!order_get_answer(&again, b.data, b.len) || again.seq != a.seq ||
                       again.result.err.code != a.result.err.code))
        abort();
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data + 1;
    size_t len = size - 1;
    if (size == 0)
        return 0;
    if (data[0] & 2u && !pb_content(&bytes, &len))
        return 0;
    if (data[0] & 1u)
        order(bytes, len);
    else
        answer(bytes, len);
    return 0;
}
