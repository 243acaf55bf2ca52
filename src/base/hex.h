/* Hexadecimal digits: of either case when read, of the case that is asked for when written. Any
 * thread. */
#ifndef HA_BASE_HEX_H
#define HA_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* 0 to 15, or -1: no such digit. */
static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that the two digits at `s` stand for, 0 to 255, or -1 where they are not two digits.
 * Looks at the second only if the first is one: a terminated string needs no check of its length.
 */
int hex_pair(const char *s);

/* Are these `n` bytes digits, two for each byte that they stand for? So is nothing at all. */
bool hex_is_bytes(const char *s, size_t n);

/* Appends the bytes that `n` digits stand for. False where hex_is_bytes() is: then `out` holds what
 * it held. That there is no memory shows in buf_ok(). */
bool hex_decode(const char *s, size_t n, struct buf *out);

/* 2 * n digits to `out`, not terminated. */
void hex_encode(const void *bytes, size_t n, char *out);       /* 0123456789abcdef */
void hex_encode_upper(const void *bytes, size_t n, char *out); /* 0123456789ABCDEF */

/* The same as hex_encode(), appended. */
void hex_put(struct buf *out, const void *bytes, size_t n);

#endif
