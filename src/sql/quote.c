#include "sql/quote.h"

#include <string.h>

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
