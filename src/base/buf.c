/* The growing buffer of buf.h. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 256 /* bytes of the first allocation */
#define BUF_MAX                                                                                    \
    (SIZE_MAX / 4) /* bytes of the largest: sizes beyond are mistakes, and would overflow */

void buf_init(struct buf *b, size_t limit)
{
    *b = (struct buf){.limit = limit};
}

void buf_free(struct buf *b)
{
    free(b->data);
    buf_init(b, b->limit);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

void buf_cut(struct buf *b, size_t len)
{
    if (len < b->len)
        b->len = len;
}

bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

/* Grows without regard to the limit, so that buf_cstr() finds room for its NUL. */
static bool grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    char *data;

    while (cap < need)
        cap *= 2;
    data = realloc(b->data, cap);
    if (!data)
        return false;
    b->data = data;
    b->cap = cap;
    return true;
}

char *buf_grow(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (n > BUF_MAX - b->len || (b->limit && b->len + n > b->limit)) {
        b->failed = true;
        return NULL;
    }
    if ((b->len + n > b->cap || !b->data) && !grow(b, b->len + n)) {
        b->failed = true;
        return NULL;
    }
    return b->data + b->len;
}

void buf_puts(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    int n;

    if (b->failed)
        return;
    va_start(ap, fmt);
    n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if ((size_t)n < sizeof small) {
        buf_put(b, small, (size_t)n);
        return;
    }
    /* vsnprintf wants a byte for its terminator, which may lie beyond the limit: grow for it. */
    if (!buf_reserve(b, (size_t)n))
        return;
    if (b->len + (size_t)n + 1 > b->cap && !grow(b, b->len + (size_t)n + 1)) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

static void put_decimal(struct buf *b, uint64_t v, bool negative)
{
    char text[21];
    char *p = text + sizeof text;

    do {
        *--p = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    if (negative)
        *--p = '-';
    buf_put(b, p, (size_t)(text + sizeof text - p));
}

void buf_i64(struct buf *b, int64_t v)
{
    put_decimal(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void buf_u64(struct buf *b, uint64_t v)
{
    put_decimal(b, v, false);
}

const char *buf_cstr(struct buf *b)
{
    if (b->failed || b->len == 0)
        return "";
    if (b->len == b->cap && !grow(b, b->len + 1)) {
        b->failed = true;
        return "";
    }
    b->data[b->len] = '\0';
    return b->data;
}
