#include "proto/httpreq_escape.h"

#include <string.h>

#include "base/hex.h"

/* The fourth digit has come: false if the code is half a pair where it must not be. */
static bool escape_complete(struct httpreq_escapes *x)
{
    bool high = x->code >= 0xD800 && x->code <= 0xDBFF;
    bool low = x->code >= 0xDC00 && x->code <= 0xDFFF;

    if (low != x->high)
        return false;
    x->high = high;
    x->state = high ? ESC_WANT_BACKSLASH : ESC_NONE;
    return true;
}

static bool escape_step(struct httpreq_escapes *x, char c)
{
    int digit;

    switch (x->state) {
    case ESC_BACKSLASH:
        x->state = c == 'u' ? ESC_HEX : ESC_NONE;
        x->digits = x->code = 0;
        return true;
    case ESC_WANT_BACKSLASH:
        x->state = ESC_WANT_U;
        return c == '\\';
    case ESC_WANT_U:
        x->state = ESC_HEX;
        x->digits = x->code = 0;
        return c == 'u';
    case ESC_HEX:
        digit = hex_value(c);
        if (digit < 0) { /* yajl will say so */
            x->state = ESC_NONE;
            x->high = false;
            return true;
        }
        x->code = x->code << 4 | (unsigned)digit;
        return ++x->digits < 4 || escape_complete(x);
    default:
        return true;
    }
}

size_t httpreq_escapes_check(struct httpreq_escapes *x, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (x->state == ESC_NONE) {
            const char *p = memchr(s + i, '\\', n - i);
            if (!p)
                break;
            i = (size_t)(p - s);
            x->state = ESC_BACKSLASH;
        } else if (!escape_step(x, s[i])) {
            return i;
        }
    }
    return n;
}
