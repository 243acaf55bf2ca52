/*
 * MySQL's binary JSON as text, the way MySQL prints it: {"a": 1, "b": [true, null]}.
 *
 *   binlog_put_json
 *
 *   value    type(1) and what the type says
 *   array    count size, then a type(1) and an offset or a small value for each element
 *   object   count size, then offset and length(2) of each key, then as in an array
 *
 * In small ones count, size and offsets have two bytes, in large ones four. Offsets count from the
 * count. Format: MySQL's sql/json_binary.h.
 */
#include <endian.h>
#include <math.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/shortest.h"
#include "proto/binlog_impl.h"
#include "proto/mysqltype.h"
#include "proto/mysqlwire.h"

#define DEPTH_MAX 100 /* MySQL's own limit */
#define TEXT_MAX  (1u << 30)

enum {
    SMALL_OBJECT = 0,
    LARGE_OBJECT = 1,
    SMALL_ARRAY = 2,
    LARGE_ARRAY = 3,
    LITERAL = 4,
    INT16 = 5,
    UINT16 = 6,
    INT32 = 7,
    UINT32 = 8,
    INT64 = 9,
    UINT64 = 10,
    DOUBLE = 11,
    STRING = 12,
    OPAQUE = 15
};

static bool put_value(struct buf *out, uint8_t type, struct reader r, unsigned depth);

static size_t word(struct reader *r, bool large)
{
    return large ? mysqlwire_u32(r) : mysqlwire_u16(r);
}

/* Seven bits a byte, the lowest first; the highest bit says that more follow. */
static size_t varying(struct reader *r)
{
    uint64_t n = 0;

    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = reader_u8(r);
        n |= (uint64_t)(byte & 0x7Fu) << shift;
        if (!(byte & 0x80u) && n <= UINT32_MAX)
            return (size_t)n;
    }
    r->bad = true;
    return 0;
}

/* Is it small enough to stand where the offset would? */
static bool is_inlined(uint8_t type, bool large)
{
    return type == LITERAL || type == INT16 || type == UINT16 ||
           (large && (type == INT32 || type == UINT32));
}

/* The element whose type and offset stand at `entry`. */
static bool put_element(struct buf *out, struct reader whole, struct reader *entry, bool large,
                        unsigned depth)
{
    uint8_t type = reader_u8(entry);
    struct reader value = *entry;
    size_t offset = word(entry, large);

    if (entry->bad)
        return false;
    if (!is_inlined(type, large)) {
        value = whole;
        (void)reader_bytes(&value, offset);
    }
    return !value.bad && put_value(out, type, value, depth + 1);
}

static bool put_key(struct buf *out, struct reader whole, struct reader *entry, bool large)
{
    size_t offset = word(entry, large), len = mysqlwire_u16(entry);

    (void)reader_bytes(&whole, offset);
    const char *key = reader_bytes(&whole, len);
    if (entry->bad || !key)
        return false;
    json_put_string(out, key, len);
    buf_puts(out, ": ");
    return true;
}

static bool put_many(struct buf *out, struct reader r, bool large, bool object, unsigned depth)
{
    struct reader head = r;
    size_t count = word(&head, large), size = word(&head, large);
    size_t width = large ? 4 : 2;

    if (head.bad || size > (size_t)(r.end - r.at) || depth > DEPTH_MAX)
        return false;
    r.end = r.at + size; /* offsets stay inside */
    if (size < 2 * width || count > size)
        return false;
    struct reader whole = reader_of(r.at, size);
    head.end = r.end;
    struct reader keys = head;
    if (object)
        (void)reader_bytes(&head, count * (width + 2));
    buf_putc(out, object ? '{' : '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_puts(out, ", ");
        if ((object && !put_key(out, whole, &keys, large)) ||
            !put_element(out, whole, &head, large, depth) || !buf_ok(out))
            return false;
    }
    buf_putc(out, object ? '}' : ']');
    return !head.bad;
}

static bool put_literal(struct buf *out, struct reader *r)
{
    static const char *const names[] = {"null", "true", "false"};
    uint8_t which = reader_u8(r);

    if (r->bad || which > 2)
        return false;
    buf_puts(out, names[which]);
    return true;
}

/* 1.0, 1e100, 1.5e-7: MySQL writes neither plus nor zeros into an exponent. */
static bool put_double(struct buf *out, uint64_t bits)
{
    char text[SHORTEST_BYTES];
    double d;

    memcpy(&d, &bits, sizeof d);
    if (!isfinite(d))
        return false;
    size_t n = shortest_put(text, d);
    const char *e = memchr(text, 'e', n);
    size_t mantissa = e ? (size_t)(e - text) : n;
    buf_put(out, text, mantissa);
    if (!e) {
        if (!memchr(text, '.', n))
            buf_puts(out, ".0");
        return true;
    }
    size_t i = mantissa + 1;
    buf_putc(out, 'e');
    if (text[i] == '-')
        buf_putc(out, '-');
    i += text[i] == '-' || text[i] == '+';
    while (i + 1 < n && text[i] == '0')
        i++;
    buf_put(out, text + i, n - i);
    return true;
}

/* DECIMAL: precision(1) scale(1) and its binary form. Moments: eight bytes, the fraction in the
 * lower three. What else there is comes as base64, as MySQL prints it. */
static bool put_opaque(struct buf *out, struct reader *r)
{
    uint8_t type = reader_u8(r);
    size_t len = varying(r);
    const char *data = reader_bytes(r, len);
    struct binlog_moment m = {.negative = false};

    if (!data)
        return false;
    struct reader body = reader_of(data, len);
    if (type == MYSQLTYPE_NEWDECIMAL) {
        uint8_t precision = reader_u8(&body), scale = reader_u8(&body);
        return binlog_put_decimal(out, &body, precision, scale);
    }
    if (type != MYSQLTYPE_DATE && type != MYSQLTYPE_TIME && type != MYSQLTYPE_DATETIME &&
        type != MYSQLTYPE_TIMESTAMP) {
        buf_printf(out, "\"base64:type%u:", type);
        base64_encode(out, data, len);
        buf_putc(out, '"');
        return true;
    }
    int64_t packed = (int64_t)mysqlwire_u64(&body);
    if (body.bad || packed == INT64_MIN)
        return false;
    m.negative = packed < 0;
    uint64_t u = (uint64_t)(packed < 0 ? -packed : packed);
    m.micros = (unsigned)(u & 0xFFFFFF);
    buf_putc(out, '"');
    if (type == MYSQLTYPE_TIME) {
        binlog_unpack_time(u >> 24, &m);
        binlog_put_time(out, &m, 6);
    } else {
        binlog_unpack_datetime(u >> 24, &m);
        if (type == MYSQLTYPE_DATE)
            binlog_put_date(out, &m);
        else
            binlog_put_datetime(out, &m, 6);
    }
    buf_putc(out, '"');
    return true;
}

static bool put_value(struct buf *out, uint8_t type, struct reader r, unsigned depth)
{
    size_t len;
    const char *s;

    switch (type) {
    case SMALL_OBJECT:
    case LARGE_OBJECT:
        return put_many(out, r, type == LARGE_OBJECT, true, depth);
    case SMALL_ARRAY:
    case LARGE_ARRAY:
        return put_many(out, r, type == LARGE_ARRAY, false, depth);
    case LITERAL:
        return put_literal(out, &r);
    case INT16:
        buf_i64(out, (int16_t)mysqlwire_u16(&r));
        break;
    case UINT16:
        buf_u64(out, mysqlwire_u16(&r));
        break;
    case INT32:
        buf_i64(out, (int32_t)mysqlwire_u32(&r));
        break;
    case UINT32:
        buf_u64(out, mysqlwire_u32(&r));
        break;
    case INT64:
        buf_i64(out, (int64_t)mysqlwire_u64(&r));
        break;
    case UINT64:
        buf_u64(out, mysqlwire_u64(&r));
        break;
    case DOUBLE:
        if (!put_double(out, mysqlwire_u64(&r)))
            return false;
        break;
    case STRING:
        len = varying(&r);
        s = reader_bytes(&r, len);
        if (s)
            json_put_string(out, s, len);
        break;
    case OPAQUE:
        return put_opaque(out, &r) && !r.bad;
    default:
        return false;
    }
    return !r.bad;
}

bool binlog_put_json(struct buf *out, const void *json, size_t len)
{
    struct reader r = reader_of(json, len);
    size_t start = out->len;

    if (len == 0) { /* what MySQL writes where a NOT NULL column was given nothing */
        buf_puts(out, "null");
        return true;
    }
    uint8_t type = reader_u8(&r);
    bool ok = put_value(out, type, r, 0);
    /* Offsets may point at the same bytes again and again: such a text is no document's. */
    return ok && buf_ok(out) && out->len - start <= TEXT_MAX;
}
