/*
 * Bodies of HTTP requests. The first byte says in which pieces the rest arrives; whole and in
 * pieces the answer must be the same, and everything it points at must be readable.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/httpreq.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t seen;

static void touch(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;

    for (size_t i = 0; i < len; i++)
        seen ^= p[i];
}

static void touch_body(const struct httpreq_body *body)
{
    if (body->n == 0)
        abort();
    for (size_t i = 0; i < body->n; i++) {
        const struct httpreq_query *q = &body->queries[i];

        touch(q->sql, q->len + 1);
        for (unsigned j = 0; j < q->n_params; j++) {
            const struct value *v = &q->params[j].value;

            if (q->params[j].name)
                touch(q->params[j].name, strlen(q->params[j].name));
            if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
                touch(v->u.s.data, v->u.s.len);
        }
    }
}

static enum err_code parse(struct arena *a, const char *s, size_t n, size_t piece, size_t *queries)
{
    const size_t announced[] = {0, n, n / 2}; /* which must not matter */
    struct httpreq *h = httpreq_begin(a, announced[piece % 3]);
    struct httpreq_body body = {0};
    struct err e = ERR_INIT;
    enum err_code code = ERR_OK;

    if (!h)
        return ERR_NO_MEMORY;
    for (size_t at = 0; at < n && code == ERR_OK; at += piece)
        code = httpreq_feed(h, s + at, n - at < piece ? n - at : piece, &e);
    code = httpreq_end(h, &body, &e);
    if (code != e.code)
        abort();
    if (code == ERR_OK)
        touch_body(&body);
    httpreq_free(h);
    *queries = body.n;
    arena_reset(a);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"dsn", "database"};
    const char *values[2];
    const char *s = (const char *)data + 1;
    struct arena *a;
    struct err e = ERR_INIT;
    size_t whole = 0, pieces = 0;

    if (size == 0)
        return 0;
    a = arena_new();
    if (!a)
        return 0;
    if (parse(a, s, size - 1, size, &whole) != parse(a, s, size - 1, data[0] % 16 + 1U, &pieces) ||
        whole != pieces)
        abort();
    if (httpreq_fields(a, s, size - 1, names, values, 2, &e) == ERR_OK)
        for (size_t i = 0; i < 2; i++)
            if (values[i])
                touch(values[i], strlen(values[i]));
    arena_free(a);
    return 0;
}
