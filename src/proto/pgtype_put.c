/* SQLite's values as PostgreSQL's types: text, then binary. A described type is a promise: what
 * cannot be that type is a fault, never other bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "proto/pgtype.h"

#define US_DAY INT64_C(86400000000)

/* ---- views of a value ---- */

static bool parse_int(const char *s, size_t len, int64_t *out)
{
    const char *p = s, *end = s + len;
    bool negative = false;
    uint64_t v = 0;

    while (p < end && *p == ' ')
        p++;
    while (end > p && end[-1] == ' ')
        end--;
    if (p < end && (*p == '-' || *p == '+'))
        negative = *p++ == '-';
    if (p == end)
        return false;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9' || v > UINT64_MAX / 10)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
        if (v > (uint64_t)INT64_MAX + 1)
            return false;
    }
    if (!negative && v > INT64_MAX)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool parse_double(const char *s, size_t len, double *out)
{
    char text[64], *stop;

    if (len == 0 || len >= sizeof text)
        return false;
    memcpy(text, s, len);
    text[len] = '\0';
    *out = strtod(text, &stop);
    while (*stop == ' ')
        stop++;
    return *stop == '\0' && stop > text;
}

static enum pgtype_fault to_int(const struct value *v, int64_t least, int64_t most, int64_t *out)
{
    switch (v->type) {
    case VALUE_INTEGER:
        *out = v->u.i;
        break;
    case VALUE_REAL:
        if (!(fabs(v->u.r) < 9.2e18))
            return PGTYPE_RANGE;
        if (v->u.r != nearbyint(v->u.r))
            return PGTYPE_SYNTAX;
        *out = (int64_t)v->u.r;
        break;
    case VALUE_TEXT:
        if (!parse_int(v->u.s.data, v->u.s.len, out))
            return PGTYPE_SYNTAX;
        break;
    default:
        return PGTYPE_SYNTAX;
    }
    return *out < least || *out > most ? PGTYPE_RANGE : PGTYPE_FINE;
}

static enum pgtype_fault to_double(const struct value *v, double *out)
{
    switch (v->type) {
    case VALUE_INTEGER:
        *out = (double)v->u.i;
        return PGTYPE_FINE;
    case VALUE_REAL:
        *out = v->u.r;
        return PGTYPE_FINE;
    case VALUE_TEXT:
        return parse_double(v->u.s.data, v->u.s.len, out) ? PGTYPE_FINE : PGTYPE_SYNTAX;
    default:
        return PGTYPE_SYNTAX;
    }
}

static bool word(const char *s, size_t len, const char *w)
{
    return len == strlen(w) && strncasecmp(s, w, len) == 0;
}

static enum pgtype_fault to_bool(const struct value *v, bool *out)
{
    const char *s = v->u.s.data;
    size_t n = v->u.s.len;

    switch (v->type) {
    case VALUE_INTEGER:
        *out = v->u.i != 0;
        return PGTYPE_FINE;
    case VALUE_REAL:
        *out = v->u.r != 0;
        return PGTYPE_FINE;
    case VALUE_TEXT:
        *out = word(s, n, "t") || word(s, n, "true") || word(s, n, "1") || word(s, n, "yes") ||
               word(s, n, "on") || word(s, n, "y");
        if (*out || word(s, n, "f") || word(s, n, "false") || word(s, n, "0") || word(s, n, "no") ||
            word(s, n, "off") || word(s, n, "n"))
            return PGTYPE_FINE;
        return PGTYPE_SYNTAX;
    default:
        return PGTYPE_SYNTAX;
    }
}

/* Is it text that is spelt like a bytea? An INSERT of the literal '\x00ff' leaves that in a column
 * of this type: SQLite does not know the type, and the dialect not the column. */
static bool is_bytea_literal(const struct value *v)
{
    return v->type == VALUE_TEXT && v->u.s.len >= 2 && memcmp(v->u.s.data, "\\x", 2) == 0 &&
           hex_is_bytes(v->u.s.data + 2, v->u.s.len - 2);
}

/* As SQLite's own cast to text, with bytes in PostgreSQL's spelling. */
static void put_as_text(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        break;
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        pgtype_format_double(b, v->u.r, true);
        break;
    case VALUE_TEXT:
        buf_put(b, v->u.s.data, v->u.s.len);
        break;
    case VALUE_BLOB:
        buf_puts(b, "\\x");
        hex_put(b, v->u.s.data, v->u.s.len);
        break;
    }
}

bool pgtype_format_uuid(struct buf *b, const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (s[i] == '-' || s[i] == '{' || s[i] == '}')
            continue;
        if (hex_value(s[i]) < 0 || n == 32)
            return false;
        if (n == 8 || n == 12 || n == 16 || n == 20)
            buf_putc(b, '-');
        buf_putc(b, "0123456789abcdef"[hex_value(s[i])]);
        n++;
    }
    return n == 32;
}

static bool is_uuid(const char *s, size_t len)
{
    if (len != 36)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : hex_value(s[i]) < 0)
            return false;
    }
    return true;
}

static enum pgtype_fault put_uuid_text(struct buf *b, const struct value *v)
{
    char digits[32];

    if (v->type == VALUE_TEXT && is_uuid(v->u.s.data, v->u.s.len)) {
        buf_put(b, v->u.s.data, v->u.s.len);
        return PGTYPE_FINE;
    }
    if (v->type != VALUE_BLOB || v->u.s.len != 16)
        return PGTYPE_SYNTAX;
    hex_encode(v->u.s.data, 16, digits);
    (void)pgtype_format_uuid(b, digits, sizeof digits);
    return PGTYPE_FINE;
}

/* ---- text ---- */

static enum pgtype_fault put_int_text(struct buf *b, const struct value *v, int64_t least,
                                      int64_t most)
{
    int64_t i;
    enum pgtype_fault fault = to_int(v, least, most, &i);

    if (fault == PGTYPE_FINE)
        buf_i64(b, i);
    return fault;
}

static enum pgtype_fault put_numeric_text(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        return PGTYPE_FINE;
    case VALUE_REAL:
        pgtype_format_decimal(b, v->u.r);
        return PGTYPE_FINE;
    case VALUE_TEXT:
        if (!pgtype_is_numeric_text(v->u.s.data, v->u.s.len))
            return PGTYPE_SYNTAX;
        buf_put(b, v->u.s.data, v->u.s.len);
        return PGTYPE_FINE;
    default:
        return PGTYPE_SYNTAX;
    }
}

/* The ends of time, which a source may have sent. */
static bool is_endless(const struct value *v, uint32_t oid, bool *negative)
{
    static const char word[] = "infinity";
    size_t n = sizeof word - 1;

    if (v->type != VALUE_TEXT || oid == PGTYPE_TIME)
        return false;
    *negative = v->u.s.len == n + 1 && v->u.s.data[0] == '-';
    return v->u.s.len == n + *negative && memcmp(v->u.s.data + *negative, word, n) == 0;
}

static enum pgtype_fault put_time_text(struct buf *b, uint32_t oid, const struct value *v)
{
    int64_t us;
    bool negative;

    if (is_endless(v, oid, &negative)) {
        buf_put(b, v->u.s.data, v->u.s.len);
        return PGTYPE_FINE;
    }
    if (!pgtype_time_of_value(v, oid, &us))
        return PGTYPE_SYNTAX;
    pgtype_format_moment(b, oid, us);
    if (oid == PGTYPE_TIMESTAMPTZ)
        buf_puts(b, "+00");
    return PGTYPE_FINE;
}

enum pgtype_fault pgtype_put_text(struct buf *b, uint32_t oid, const struct value *v)
{
    enum pgtype_fault fault;
    double r;
    bool is;

    switch (oid) {
    case PGTYPE_BOOL:
        fault = to_bool(v, &is);
        if (fault == PGTYPE_FINE)
            buf_putc(b, is ? 't' : 'f');
        return fault;
    case PGTYPE_INT2:
        return put_int_text(b, v, INT16_MIN, INT16_MAX);
    case PGTYPE_INT4:
        return put_int_text(b, v, INT32_MIN, INT32_MAX);
    case PGTYPE_INT8:
        return put_int_text(b, v, INT64_MIN, INT64_MAX);
    case PGTYPE_OID:
        return put_int_text(b, v, 0, UINT32_MAX);
    case PGTYPE_FLOAT4:
    case PGTYPE_FLOAT8:
        fault = to_double(v, &r);
        if (fault == PGTYPE_FINE)
            pgtype_format_double(b, r, false);
        return fault;
    case PGTYPE_NUMERIC:
        return put_numeric_text(b, v);
    case PGTYPE_BYTEA:
        if (is_bytea_literal(v)) {
            buf_put(b, v->u.s.data, v->u.s.len);
            return PGTYPE_FINE;
        }
        buf_puts(b, "\\x");
        if (v->type == VALUE_TEXT || v->type == VALUE_BLOB) {
            hex_put(b, v->u.s.data, v->u.s.len);
            return PGTYPE_FINE;
        }
        struct buf text = BUF_INIT;
        put_as_text(&text, v);
        hex_put(b, text.data, text.len);
        buf_free(&text);
        return PGTYPE_FINE;
    case PGTYPE_DATE:
    case PGTYPE_TIME:
    case PGTYPE_TIMESTAMP:
    case PGTYPE_TIMESTAMPTZ:
        return put_time_text(b, oid, v);
    case PGTYPE_UUID:
        return put_uuid_text(b, v);
    default:
        put_as_text(b, v);
        return PGTYPE_FINE;
    }
}

/* ---- binary ---- */

static uint64_t double_bits(double r)
{
    uint64_t bits;

    memcpy(&bits, &r, sizeof bits);
    return bits;
}

static enum pgtype_fault put_int(struct buf *b, const struct value *v, unsigned bytes)
{
    int64_t least = bytes == 2 ? INT16_MIN : bytes == 4 ? INT32_MIN : INT64_MIN;
    int64_t most = bytes == 2 ? INT16_MAX : bytes == 4 ? INT32_MAX : INT64_MAX;
    int64_t i;
    enum pgtype_fault fault = to_int(v, least, most, &i);

    if (fault != PGTYPE_FINE)
        return fault;
    if (bytes == 2)
        buf_be16(b, (uint16_t)i);
    else if (bytes == 4)
        buf_be32(b, (uint32_t)i);
    else
        buf_be64(b, (uint64_t)i);
    return PGTYPE_FINE;
}

static enum pgtype_fault put_float(struct buf *b, uint32_t oid, const struct value *v)
{
    double r;
    enum pgtype_fault fault = to_double(v, &r);

    if (fault != PGTYPE_FINE)
        return fault;
    if (oid == PGTYPE_FLOAT8) {
        buf_be64(b, double_bits(r));
    } else {
        float f = (float)r;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        buf_be32(b, bits);
    }
    return PGTYPE_FINE;
}

static enum pgtype_fault put_time(struct buf *b, uint32_t oid, const struct value *v)
{
    int64_t us;
    bool negative;

    if (is_endless(v, oid, &negative)) {
        if (oid == PGTYPE_DATE)
            buf_be32(b, (uint32_t)(negative ? INT32_MIN : INT32_MAX));
        else
            buf_be64(b, (uint64_t)(negative ? INT64_MIN : INT64_MAX));
        return PGTYPE_FINE;
    }
    if (!pgtype_time_of_value(v, oid, &us))
        return PGTYPE_SYNTAX;
    if (oid == PGTYPE_DATE)
        buf_be32(b, (uint32_t)(int32_t)(us / US_DAY));
    else
        buf_be64(b, (uint64_t)us);
    return PGTYPE_FINE;
}

static enum pgtype_fault put_uuid(struct buf *b, const struct value *v)
{
    struct buf text = BUF_INIT;
    enum pgtype_fault fault = put_uuid_text(&text, v);

    if (!buf_ok(&text))
        b->failed = true;
    for (size_t i = 0; buf_ok(&text) && fault == PGTYPE_FINE && i < text.len; i += 2) {
        i += text.data[i] == '-'; /* between bytes only */
        buf_u8(b, (uint8_t)hex_pair(text.data + i));
    }
    buf_free(&text);
    return fault;
}

static enum pgtype_fault put_numeric(struct buf *b, const struct value *v)
{
    struct buf text = BUF_INIT;
    enum pgtype_fault fault = put_numeric_text(&text, v);

    if (fault == PGTYPE_FINE && !pgtype_numeric_put(b, text.data, text.len))
        fault = PGTYPE_SYNTAX;
    buf_free(&text);
    return fault;
}

static enum pgtype_fault put_binary(struct buf *b, uint32_t oid, const struct value *v)
{
    enum pgtype_fault fault;
    int64_t i;
    bool is;

    switch (oid) {
    case PGTYPE_BOOL:
        fault = to_bool(v, &is);
        if (fault == PGTYPE_FINE)
            buf_u8(b, is);
        return fault;
    case PGTYPE_INT2:
        return put_int(b, v, 2);
    case PGTYPE_INT4:
        return put_int(b, v, 4);
    case PGTYPE_INT8:
        return put_int(b, v, 8);
    case PGTYPE_OID:
    case PGTYPE_REGCLASS:
    case PGTYPE_REGTYPE:
    case PGTYPE_REGPROC:
        fault = to_int(v, 0, UINT32_MAX, &i);
        if (fault == PGTYPE_FINE)
            buf_be32(b, (uint32_t)i);
        return fault;
    case PGTYPE_FLOAT4:
    case PGTYPE_FLOAT8:
        return put_float(b, oid, v);
    case PGTYPE_NUMERIC:
        return put_numeric(b, v);
    case PGTYPE_BYTEA:
        if (is_bytea_literal(v))
            (void)hex_decode(v->u.s.data + 2, v->u.s.len - 2, b);
        else if (v->type == VALUE_TEXT || v->type == VALUE_BLOB)
            buf_put(b, v->u.s.data, v->u.s.len);
        else
            put_as_text(b, v);
        return PGTYPE_FINE;
    case PGTYPE_DATE:
    case PGTYPE_TIME:
    case PGTYPE_TIMESTAMP:
    case PGTYPE_TIMESTAMPTZ:
        return put_time(b, oid, v);
    case PGTYPE_UUID:
        return put_uuid(b, v);
    case PGTYPE_JSONB:
        buf_u8(b, 1);
        put_as_text(b, v);
        return PGTYPE_FINE;
    default:
        if (oid == PGTYPE_INT2VECTOR || oid == PGTYPE_OIDVECTOR)
            return PGTYPE_NO_BINARY;
        if (pgtype_element_of(oid) != PGTYPE_NONE)
            return v->type == VALUE_TEXT ? pgtype_array_put(b, oid, v) : PGTYPE_SYNTAX;
        put_as_text(b, v);
        return PGTYPE_FINE;
    }
}

enum pgtype_fault pgtype_put(struct buf *b, uint32_t oid, bool binary, const struct value *v)
{
    size_t start = b->len;
    enum pgtype_fault fault;

    if (v->type == VALUE_NULL) {
        buf_be32(b, UINT32_MAX);
        return PGTYPE_FINE;
    }
    buf_be32(b, 0);
    fault = binary ? put_binary(b, oid, v) : pgtype_put_text(b, oid, v);
    if (fault != PGTYPE_FINE) {
        buf_cut(b, start);
        return fault;
    }
    if (buf_ok(b)) {
        uint32_t n = (uint32_t)(b->len - start - 4);
        unsigned char *p = (unsigned char *)b->data + start;
        p[0] = (unsigned char)(n >> 24);
        p[1] = (unsigned char)(n >> 16);
        p[2] = (unsigned char)(n >> 8);
        p[3] = (unsigned char)n;
    }
    return PGTYPE_FINE;
}
