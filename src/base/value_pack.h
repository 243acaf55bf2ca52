/*
 * Values as bytes, for what goes from node to node: u8 type (enum value_type), then INTEGER and
 * REAL 8 bytes, TEXT and BLOB u32 length and the bytes; all big-endian. Any thread.
 */
#ifndef HA_BASE_VALUE_PACK_H
#define HA_BASE_VALUE_PACK_H

#include "base/buf.h"
#include "base/reader.h"
#include "base/value.h"

static inline void value_pack(struct buf *b, const struct value *v)
{
    uint64_t bits = 0;
    buf_u8(b, (uint8_t)v->type);
    switch (v->type) {
    case VALUE_NULL:
        break;
    case VALUE_INTEGER:
        buf_be64(b, (uint64_t)v->u.i);
        break;
    case VALUE_REAL:
        memcpy(&bits, &v->u.r, sizeof bits);
        buf_be64(b, bits);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
        buf_be32(b, (uint32_t)v->u.s.len);
        buf_put(b, v->u.s.data, v->u.s.len);
        break;
    }
}

/* NULL where there is none; then the reader has failed. Text and blobs are borrowed. */
static inline struct value value_unpack(struct reader *r)
{
    struct value v = {.type = (enum value_type)reader_u8(r)};
    uint64_t bits;
    switch (v.type) {
    case VALUE_NULL:
        break;
    case VALUE_INTEGER:
        v.u.i = (int64_t)reader_u64(r);
        break;
    case VALUE_REAL:
        bits = reader_u64(r);
        memcpy(&v.u.r, &bits, sizeof bits);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
        v.u.s.len = reader_u32(r);
        v.u.s.data = reader_bytes(r, v.u.s.len);
        break;
    default:
        r->bad = true;
        break;
    }
    return r->bad ? value_null() : v;
}

#endif
