#include "base/value_text.h"

#include <math.h>

#include "base/base64.h"
#include "base/json.h"

/* buf_puts() without the strlen(). */
#define PUT(b, literal) buf_put((b), (literal), sizeof(literal) - 1)

static void put_tagged(struct buf *b, const char *head, size_t n, const struct value *v)
{
    buf_put(b, head, n);
    base64_encode(b, v->u.s.data, v->u.s.len);
    PUT(b, "\"}");
}

#define PUT_TAGGED(b, literal, v) put_tagged((b), (literal), sizeof(literal) - 1, (v))

void value_put_json(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        PUT(b, "null");
        break;
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        if (isfinite(v->u.r))
            json_put_double(b, v->u.r);
        else if (isnan(v->u.r)) /* SQLite hands out NULL for it; kept valid all the same */
            PUT(b, "null");
        else if (v->u.r > 0)
            PUT(b, "{\"type\":\"real\",\"value\":\"inf\"}");
        else
            PUT(b, "{\"type\":\"real\",\"value\":\"-inf\"}");
        break;
    case VALUE_TEXT:
        if (json_is_text(v->u.s.data, v->u.s.len))
            json_put_string(b, v->u.s.data, v->u.s.len);
        else
            PUT_TAGGED(b, "{\"type\":\"text\",\"base64\":\"", v);
        break;
    case VALUE_BLOB:
        PUT_TAGGED(b, "{\"type\":\"blob\",\"base64\":\"", v);
        break;
    }
}

void csv_put_text(struct buf *b, const char *s, size_t len)
{
    size_t run = 0;
    bool plain = len > 0;

    for (size_t i = 0; plain && i < len; i++)
        plain = s[i] != '"' && s[i] != ',' && s[i] != '\n' && s[i] != '\r';
    if (plain) {
        buf_put(b, s, len);
        return;
    }
    buf_putc(b, '"');
    for (size_t i = 0; i < len; i++) {
        if (s[i] != '"')
            continue;
        buf_put(b, s + run, i + 1 - run);
        run = i; /* the quote once more */
    }
    buf_put(b, s + run, len - run);
    buf_putc(b, '"');
}

void value_put_csv(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        break;
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        if (isfinite(v->u.r))
            json_put_double(b, v->u.r);
        else
            buf_puts(b, v->u.r > 0 ? "inf" : "-inf");
        break;
    case VALUE_TEXT:
        csv_put_text(b, v->u.s.data, v->u.s.len);
        break;
    case VALUE_BLOB:
        if (v->u.s.len == 0)
            PUT(b, "\"\"");
        base64_encode(b, v->u.s.data, v->u.s.len);
        break;
    }
}
