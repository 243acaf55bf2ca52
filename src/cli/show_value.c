/* Single values, in each of the forms. */
#include <math.h>
#include <string.h>

#include "base/hex.h"
#include "base/json.h"
#include "cli/show.h"
#include "cli/text.h"

static void put_real(struct buf *b, double r)
{
    if (isfinite(r))
        json_put_double(b, r);
    else
        buf_puts(b, r > 0 ? "inf" : "-inf");
}

void show_put_plain(struct buf *b, const struct value *v, const char *null_text)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_puts(b, null_text);
        break;
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        put_real(b, v->u.r);
        break;
    case VALUE_TEXT:
        text_put_plain(b, v->u.s.data, v->u.s.len, false);
        break;
    case VALUE_BLOB:
        buf_puts(b, "x'");
        hex_put(b, v->u.s.data, v->u.s.len);
        buf_putc(b, '\'');
        break;
    }
}

void show_put_tabs(struct buf *b, const struct value *v, const char *null_text)
{
    if (v->type != VALUE_TEXT) {
        show_put_plain(b, v, null_text);
        return;
    }
    for (size_t i = 0; i < v->u.s.len; i++) {
        char c = v->u.s.data[i];
        if (c == '\t' || c == '\n' || c == '\\')
            buf_putc(b, '\\');
        buf_putc(b, (char)(c == '\t' ? 't' : c == '\n' ? 'n' : c));
    }
}
