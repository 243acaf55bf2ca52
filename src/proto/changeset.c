/* The writing half of changeset.h; the reading half is changeset_read.c. */
#include "proto/changeset.h"

#include <math.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"

void changeset_put_head(struct buf *b, const char *node)
{
    buf_puts(b, "{\"node\":");
    json_put_string(b, node, strlen(node));
    buf_puts(b, ",\"changes\":[");
}

static void put_tagged(struct buf *b, const char *tag, const char *data, size_t len)
{
    buf_puts(b, tag);
    base64_encode(b, data, len);
    buf_puts(b, "\"}");
}

/* Plain ASCII without anything to escape, which is most of the text there is, in one pass. */
static bool put_plain(struct buf *b, const char *s, size_t len)
{
    char *p;

    if (len > 4096 || !(p = buf_reserve(b, len + 2)))
        return false;
    *p++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            return false;
        p[i] = (char)c;
    }
    p[len] = '"';
    b->len += len + 2;
    return true;
}

void changeset_put_value(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_put(b, "null", 4);
        break;
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        if (isfinite(v->u.r))
            json_put_double(b, v->u.r);
        else if (isnan(v->u.r)) /* SQLite has none: it stores NULL */
            buf_put(b, "null", 4);
        else
            buf_puts(b, v->u.r > 0 ? "{\"$real\":\"inf\"}" : "{\"$real\":\"-inf\"}");
        break;
    case VALUE_TEXT:
        if (put_plain(b, v->u.s.data, v->u.s.len))
            break;
        if (json_is_text(v->u.s.data, v->u.s.len))
            json_put_string(b, v->u.s.data, v->u.s.len);
        else
            put_tagged(b, "{\"$text\":\"", v->u.s.data, v->u.s.len);
        break;
    case VALUE_BLOB:
        put_tagged(b, "{\"$blob\":\"", v->u.s.data, v->u.s.len);
        break;
    }
}

void changeset_put_sql(struct buf *b, const char *database, const char *command, size_t len)
{
    buf_puts(b, "{\"database\":");
    json_put_string(b, database, strlen(database));
    buf_puts(b, ",\"operation\":\"SQL\",\"command\":");
    json_put_string(b, command, len);
    buf_putc(b, '}');
}

void changeset_put_tail(struct buf *b, const char *id, const char *prev, const char *filename,
                        int64_t timestamp_ns, const struct changeset_txs *txs)
{
    buf_puts(b, "],\"timestamp_ns\":");
    buf_i64(b, timestamp_ns);
    buf_puts(b, ",\"id\":");
    json_put_string(b, id, strlen(id));
    buf_puts(b, ",\"prev\":");
    json_put_string(b, prev, strlen(prev));
    buf_puts(b, ",\"filename\":");
    json_put_string(b, filename, strlen(filename));
    buf_puts(b, ",\"txs\":[");
    for (size_t i = 0; i < txs->n; i++) {
        buf_puts(b, i > 0 ? ",{\"changes\":" : "{\"changes\":");
        buf_u64(b, txs->txs[i].changes);
        buf_puts(b, ",\"timestamp_ns\":");
        buf_i64(b, txs->txs[i].timestamp_ns);
        buf_putc(b, '}');
    }
    for (size_t i = 0; i < txs->n_handed; i++) {
        buf_puts(b, i > 0 ? "," : "],\"handed\":[");
        json_put_string(b, txs->handed[i], strlen(txs->handed[i]));
    }
    buf_puts(b, txs->content ? "],\"content\":1,\"format\":" : "],\"format\":");
    buf_i64(b, CHANGESET_FORMAT);
    buf_putc(b, '}');
}
