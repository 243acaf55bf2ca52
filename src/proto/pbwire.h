/*
 * Protocol buffers out, field by field: for what is written while it comes into being, a row at a
 * time, and would take too much memory as a tree. Fields that have their default value are left
 * out by the caller, as proto3 has it, except where a function says that it does. Like buf.h: it
 * fails in silence, buf_ok() tells. One thread at a time.
 *
 * https://protobuf.dev/programming-guides/encoding/
 */
#ifndef HA_PROTO_PBWIRE_H
#define HA_PROTO_PBWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define PB_VARINT     0u
#define PB_FIXED64    1u
#define PB_BYTES      2u
#define PB_VARINT_MAX 10u /* bytes of the longest number */

static inline size_t pb_varint_size(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static inline void pb_varint(struct buf *b, uint64_t v)
{
    unsigned char bytes[PB_VARINT_MAX];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (unsigned char)(v | 0x80);
    bytes[n++] = (unsigned char)v;
    buf_put(b, bytes, n);
}

static inline void pb_tag(struct buf *b, unsigned field, unsigned type)
{
    pb_varint(b, (uint64_t)field << 3 | type);
}

/* The head of a field whose `len` bytes the caller puts behind it. */
static inline void pb_head(struct buf *b, unsigned field, uint64_t len)
{
    pb_tag(b, field, PB_BYTES);
    pb_varint(b, len);
}

static inline void pb_bytes(struct buf *b, unsigned field, const void *bytes, size_t len)
{
    pb_head(b, field, len);
    buf_put(b, bytes, len);
}

/* A message whose one field is bytes, and has the number 1: *bytes and *len become those of the
 * field. False: it is none. */
static inline bool pb_content(const char **bytes, size_t *len)
{
    const char *p = *bytes, *end = p + *len;
    uint64_t n = 0;

    if (!p || p == end || (unsigned char)*p++ != (1u << 3 | PB_BYTES))
        return false;
    for (unsigned shift = 0;; shift += 7) {
        if (p == end || shift > 35)
            return false;
        unsigned char c = (unsigned char)*p++;
        n |= (uint64_t)(c & 0x7F) << shift;
        if (c < 0x80)
            break;
    }
    if (n != (size_t)(end - p))
        return false;
    *bytes = p;
    *len = (size_t)n;
    return true;
}

/* Not where it is 0. Negative numbers of int32 and int64 are their 64-bit complement. */
static inline void pb_number(struct buf *b, unsigned field, uint64_t v)
{
    if (v == 0)
        return;
    pb_tag(b, field, PB_VARINT);
    pb_varint(b, v);
}

#endif
