#include "sql/quote.h"

#include <math.h>
#include <string.h>

#include "base/json.h"

void quote_put(struct buf *b, const char *s, size_t len, char quote)
{
    buf_putc(b, quote);
    for (size_t i = 0; i < len; i++) {
        if (s[i] == quote)
            buf_putc(b, quote);
        buf_putc(b, s[i]);
    }
    buf_putc(b, quote);
}

void quote_put_name(struct buf *b, const char *name)
{
    quote_put(b, name, strlen(name), '"');
}

static void put_hex(struct buf *b, const char *data, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";

    buf_puts(b, "X'");
    for (size_t i = 0; i < len && buf_ok(b); i++) {
        buf_putc(b, digits[(unsigned char)data[i] >> 4]);
        buf_putc(b, digits[(unsigned char)data[i] & 15]);
    }
    buf_putc(b, '\'');
}

static void put_real(struct buf *b, double r)
{
    if (isinf(r))
        buf_puts(b, r > 0 ? "9e999" : "-9e999");
    else
        json_put_double(b, r);
}

void quote_put_value(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_puts(b, "NULL");
        break;
    case VALUE_INTEGER: /* which SQLite would read as a REAL */
        if (v->u.i == INT64_MIN)
            buf_puts(b, "-9223372036854775807 - 1");
        else
            buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        put_real(b, v->u.r);
        break;
    case VALUE_TEXT:
        if (json_is_text(v->u.s.data, v->u.s.len)) {
            quote_put(b, v->u.s.data, v->u.s.len, '\'');
            break;
        }
        buf_puts(b, "CAST(");
        put_hex(b, v->u.s.data, v->u.s.len);
        buf_puts(b, " AS TEXT)");
        break;
    case VALUE_BLOB:
        put_hex(b, v->u.s.data, v->u.s.len);
        break;
    }
}
