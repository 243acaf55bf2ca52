/*
 * Values as bytes, both ways.
 *
 *   text        mysqltype_put_text, mysqltype_put_any
 *   binary      mysqltype_put_binary, mysqltype_get, mysqltype_skip, mysqltype_bytes
 *
 * Moments in the binary protocol ("Binary Protocol Value"):
 *   date, datetime   length 0, 4, 7 or 11: year(2) month day [hour minute second [microsecond(4)]]
 *   time             length 0, 8 or 12: negative days(4) hour minute second [microsecond(4)]
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "proto/mysqltype.h"
#include "proto/mysqlwire.h"
#include "proto/pgtype.h"

#define EXACT_MAX      9007199254740992.0 /* 2^53: every integer up to here is a double */
#define NUMBER_BYTES   64
#define DECIMAL_DIGITS 15 /* that a double keeps */
#define HOURS_MAX      838

/* ---- numbers of text ---- */

static bool text_integer(const char *s, size_t len, int64_t *out)
{
    uint64_t v = 0;
    size_t i = len > 0 && (*s == '-' || *s == '+');
    bool negative = i && *s == '-';

    if (i == len)
        return false;
    for (; i < len; i++) {
        unsigned digit = (unsigned)(s[i] - '0');
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (v > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

static bool text_double(const char *s, size_t len, double *out)
{
    char text[NUMBER_BYTES], *end;

    if (len == 0 || len >= sizeof text || !pgtype_is_numeric_text(s, len))
        return false;
    memcpy(text, s, len);
    text[len] = '\0';
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

/* As an integer; a fault where it is none. */
static enum mysqltype_fault to_integer(const struct value *v, int64_t *out)
{
    switch (v->type) {
    case VALUE_INTEGER:
        *out = v->u.i;
        return MYSQLTYPE_FINE;
    case VALUE_REAL:
        if (!(fabs(v->u.r) < 9223372036854775808.0))
            return MYSQLTYPE_RANGE;
        *out = (int64_t)v->u.r;
        return (double)*out == v->u.r ? MYSQLTYPE_FINE : MYSQLTYPE_SYNTAX;
    case VALUE_TEXT:
        return text_integer(v->u.s.data, v->u.s.len, out) ? MYSQLTYPE_FINE : MYSQLTYPE_SYNTAX;
    default:
        return MYSQLTYPE_SYNTAX;
    }
}

static enum mysqltype_fault to_double(const struct value *v, double *out)
{
    switch (v->type) {
    case VALUE_INTEGER:
        *out = (double)v->u.i;
        return MYSQLTYPE_FINE;
    case VALUE_REAL:
        *out = v->u.r;
        return MYSQLTYPE_FINE;
    case VALUE_TEXT:
        return text_double(v->u.s.data, v->u.s.len, out) ? MYSQLTYPE_FINE : MYSQLTYPE_SYNTAX;
    default:
        return MYSQLTYPE_SYNTAX;
    }
}

/* ---- moments ---- */

struct span {
    bool negative;
    unsigned hours, minutes, seconds, micros;
};

static bool take_number(const char **p, const char *end, unsigned most_digits, unsigned *out)
{
    unsigned n = 0;

    for (*out = 0; *p < end && **p >= '0' && **p <= '9' && n < most_digits; (*p)++, n++)
        *out = *out * 10 + (unsigned)(**p - '0');
    return n > 0;
}

/* [-]hhh:mm:ss[.ffffff] */
static bool read_span(const char *s, size_t len, struct span *t)
{
    const char *p = s, *end = s + len;

    memset(t, 0, sizeof *t);
    if (p < end && *p == '-') {
        t->negative = true;
        p++;
    }
    if (!take_number(&p, end, 3, &t->hours) || p == end || *p++ != ':' ||
        !take_number(&p, end, 2, &t->minutes))
        return false;
    if (p < end && (*p++ != ':' || !take_number(&p, end, 2, &t->seconds)))
        return false;
    if (p < end && *p == '.') {
        const char *from = ++p;
        if (!take_number(&p, end, 6, &t->micros))
            return false;
        for (long n = p - from; n < 6; n++)
            t->micros *= 10;
        while (p < end && *p >= '0' && *p <= '9')
            p++;
    }
    return p == end && t->hours <= HOURS_MAX && t->minutes < 60 && t->seconds < 60;
}

static uint32_t oid_of(uint8_t type)
{
    switch (type) {
    case MYSQLTYPE_DATE:
        return PGTYPE_DATE;
    case MYSQLTYPE_TIME:
        return PGTYPE_TIME;
    default:
        return PGTYPE_TIMESTAMPTZ; /* an offset that was written is applied */
    }
}

static bool is_zero_date(const struct value *v)
{
    return v->type == VALUE_TEXT && v->u.s.len >= 10 && memcmp(v->u.s.data, "0000-00-00", 10) == 0;
}

/* 'YYYY-MM-DD HH:MM:SS[.f]' or 'YYYY-MM-DD', as they are sent. */
static bool is_plain_moment(const struct value *v, bool date)
{
    static const char pattern[] = "dddd-dd-dd dd:dd:dd";
    size_t want = date ? 10 : 19;

    if (v->type != VALUE_TEXT || v->u.s.len < want || (date && v->u.s.len > want))
        return false;
    for (size_t i = 0; i < v->u.s.len; i++) {
        char c = v->u.s.data[i];
        bool digit = c >= '0' && c <= '9';
        if (i < want ? (pattern[i] == 'd' ? !digit : c != pattern[i])
                     : (i == 19 ? c != '.' : !digit || i > 25))
            return false;
    }
    return true;
}

static bool is_moment(uint8_t type)
{
    return type == MYSQLTYPE_DATE || type == MYSQLTYPE_TIME || type == MYSQLTYPE_DATETIME ||
           type == MYSQLTYPE_TIMESTAMP;
}

/* Appends the text of a moment; false: the value is none. */
static bool format_moment(struct buf *b, uint8_t type, const struct value *v)
{
    struct span t;
    int64_t us;

    if (is_zero_date(v) || is_plain_moment(v, type == MYSQLTYPE_DATE) ||
        (type == MYSQLTYPE_TIME && v->type == VALUE_TEXT &&
         read_span(v->u.s.data, v->u.s.len, &t))) {
        buf_put(b, v->u.s.data, v->u.s.len);
        return true;
    }
    if (!pgtype_time_of_value(v, oid_of(type), &us))
        return false;
    pgtype_format_moment(b, oid_of(type), us);
    return true;
}

/* ---- the text protocol ---- */

void mysqltype_put_any(struct buf *b, const struct value *v)
{
    char text[NUMBER_BYTES];
    struct buf t = {.data = text, .cap = sizeof text, .limit = sizeof text};

    switch (v->type) {
    case VALUE_NULL:
        buf_u8(b, 0xFB);
        return;
    case VALUE_INTEGER:
        buf_i64(&t, v->u.i);
        break;
    case VALUE_REAL:
        pgtype_format_double(&t, v->u.r, false);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
        mysqlwire_put_text(b, v->u.s.data ? v->u.s.data : "", v->u.s.len);
        return;
    }
    mysqlwire_put_text(b, t.data, t.len);
}

/* A number, a moment: short, so its length takes one byte. */
static enum mysqltype_fault put_short(struct buf *b, const struct mysqltype_ref *t,
                                      const struct value *v)
{
    size_t start = b->len;
    enum mysqltype_fault fault = MYSQLTYPE_FINE;
    int64_t i;
    double d;

    buf_u8(b, 0);
    if (t->type == MYSQLTYPE_NEWDECIMAL) {
        if (t->modifier < 4 || !pgtype_scale(b, t->modifier, v)) {
            buf_cut(b, start + 1);
            if (v->type == VALUE_INTEGER)
                buf_i64(b, v->u.i);
            else if (v->type == VALUE_REAL && isfinite(v->u.r))
                pgtype_format_decimal(b, v->u.r);
            else if (v->type == VALUE_TEXT && v->u.s.len < 0xFB &&
                     pgtype_is_numeric_text(v->u.s.data, v->u.s.len))
                buf_put(b, v->u.s.data, v->u.s.len);
            else
                fault = MYSQLTYPE_SYNTAX;
        }
    } else if (is_moment(t->type)) {
        fault = format_moment(b, t->type, v) ? MYSQLTYPE_FINE : MYSQLTYPE_SYNTAX;
    } else if (t->type == MYSQLTYPE_DOUBLE) {
        fault = to_double(v, &d);
        if (fault == MYSQLTYPE_FINE)
            pgtype_format_double(b, d, false);
    } else {
        fault = to_integer(v, &i);
        if (fault == MYSQLTYPE_FINE)
            buf_i64(b, i);
    }
    if (fault != MYSQLTYPE_FINE || b->len - start - 1 >= 0xFB) {
        buf_cut(b, start);
        return fault != MYSQLTYPE_FINE ? fault : MYSQLTYPE_RANGE;
    }
    if (buf_ok(b))
        b->data[start] = (char)(b->len - start - 1);
    return MYSQLTYPE_FINE;
}

static bool is_string(uint8_t type)
{
    return type >= MYSQLTYPE_ENUM || type == MYSQLTYPE_JSON || type == MYSQLTYPE_VARCHAR ||
           type == MYSQLTYPE_NULL;
}

enum mysqltype_fault mysqltype_put_text(struct buf *b, const struct mysqltype_ref *t,
                                        const struct value *v)
{
    if (v->type == VALUE_NULL || is_string(t->type)) {
        mysqltype_put_any(b, v);
        return MYSQLTYPE_FINE;
    }
    return put_short(b, t, v);
}

/* ---- the binary protocol, out ---- */

static enum mysqltype_fault put_time(struct buf *b, const struct value *v)
{
    struct span t;
    int64_t us;

    if (v->type != VALUE_TEXT || !read_span(v->u.s.data, v->u.s.len, &t)) {
        if (!pgtype_time_of_value(v, PGTYPE_TIME, &us))
            return MYSQLTYPE_SYNTAX;
        t = (struct span){.hours = (unsigned)(us / 3600000000),
                          .minutes = (unsigned)(us / 60000000 % 60),
                          .seconds = (unsigned)(us / 1000000 % 60),
                          .micros = (unsigned)(us % 1000000)};
    }
    buf_u8(b, t.micros ? 12 : 8);
    buf_u8(b, t.negative);
    mysqlwire_put_u32(b, t.hours / 24);
    buf_u8(b, (uint8_t)(t.hours % 24));
    buf_u8(b, (uint8_t)t.minutes);
    buf_u8(b, (uint8_t)t.seconds);
    if (t.micros)
        mysqlwire_put_u32(b, t.micros);
    return MYSQLTYPE_FINE;
}

static unsigned digits_at(const char *p, unsigned n)
{
    unsigned v = 0;

    for (unsigned i = 0; i < n; i++)
        v = v * 10 + (unsigned)(p[i] - '0');
    return v;
}

/* By way of the text 'YYYY-MM-DD HH:MM:SS[.f]', which has all fields in fixed places. */
static enum mysqltype_fault put_date(struct buf *b, uint8_t type, const struct value *v)
{
    char text[NUMBER_BYTES];
    struct buf t = {.data = text, .cap = sizeof text, .limit = sizeof text};
    bool date = type == MYSQLTYPE_DATE;
    unsigned micros = 0;
    int64_t us;

    if (is_zero_date(v)) {
        buf_u8(b, 0);
        return MYSQLTYPE_FINE;
    }
    if (!pgtype_time_of_value(v, oid_of(type), &us))
        return MYSQLTYPE_SYNTAX;
    pgtype_format_moment(&t, oid_of(type), us);
    if (!buf_ok(&t) || t.len < (date ? 10u : 19u) || text[4] != '-') /* years beyond 9999 */
        return MYSQLTYPE_RANGE;
    if (!date && t.len > 20) {
        micros = digits_at(text + 20, (unsigned)t.len - 20);
        for (size_t n = t.len - 20; n < 6; n++)
            micros *= 10;
    }
    buf_u8(b, date ? 4 : micros ? 11 : 7);
    mysqlwire_put_u16(b, (uint16_t)digits_at(text, 4));
    buf_u8(b, (uint8_t)digits_at(text + 5, 2));
    buf_u8(b, (uint8_t)digits_at(text + 8, 2));
    if (date)
        return MYSQLTYPE_FINE;
    buf_u8(b, (uint8_t)digits_at(text + 11, 2));
    buf_u8(b, (uint8_t)digits_at(text + 14, 2));
    buf_u8(b, (uint8_t)digits_at(text + 17, 2));
    if (micros)
        mysqlwire_put_u32(b, micros);
    return MYSQLTYPE_FINE;
}

/* In as many bytes as the type has. A TINY may be a boolean or a byte: both signs are taken. */
static enum mysqltype_fault put_integer(struct buf *b, const struct mysqltype_ref *t, int64_t i)
{
    bool is_unsigned = (t->flags & MYSQLTYPE_FLAG_UNSIGNED) != 0;

    switch (t->type) {
    case MYSQLTYPE_TINY:
        if (i < INT8_MIN || i > UINT8_MAX)
            return MYSQLTYPE_RANGE;
        buf_u8(b, (uint8_t)i);
        return MYSQLTYPE_FINE;
    case MYSQLTYPE_SHORT:
        if (i < (is_unsigned ? 0 : INT16_MIN) || i > (is_unsigned ? UINT16_MAX : INT16_MAX))
            return MYSQLTYPE_RANGE;
        mysqlwire_put_u16(b, (uint16_t)i);
        return MYSQLTYPE_FINE;
    case MYSQLTYPE_LONG:
    case MYSQLTYPE_INT24:
        if (i < (is_unsigned ? 0 : INT32_MIN) ||
            i > (is_unsigned ? (int64_t)UINT32_MAX : (int64_t)INT32_MAX))
            return MYSQLTYPE_RANGE;
        mysqlwire_put_u32(b, (uint32_t)i);
        return MYSQLTYPE_FINE;
    default:
        mysqlwire_put_u64(b, (uint64_t)i);
        return MYSQLTYPE_FINE;
    }
}

enum mysqltype_fault mysqltype_put_binary(struct buf *b, const struct mysqltype_ref *t,
                                          const struct value *v)
{
    enum mysqltype_fault fault;
    uint64_t bits;
    int64_t i;
    double d;

    if (is_string(t->type) || t->type == MYSQLTYPE_NEWDECIMAL)
        return mysqltype_put_text(b, t, v);
    switch (t->type) {
    case MYSQLTYPE_DATE:
    case MYSQLTYPE_DATETIME:
    case MYSQLTYPE_TIMESTAMP:
        return put_date(b, t->type, v);
    case MYSQLTYPE_TIME:
        return put_time(b, v);
    case MYSQLTYPE_DOUBLE:
        fault = to_double(v, &d);
        if (fault != MYSQLTYPE_FINE)
            return fault;
        memcpy(&bits, &d, sizeof bits);
        mysqlwire_put_u64(b, bits);
        return MYSQLTYPE_FINE;
    default:
        fault = to_integer(v, &i);
        if (fault != MYSQLTYPE_FINE)
            return fault;
        return put_integer(b, t, i);
    }
}

/* ---- the binary protocol, in ---- */

void mysqltype_skip(struct reader *r, uint8_t type)
{
    size_t n;

    switch (type) {
    case MYSQLTYPE_NULL:
        break;
    case MYSQLTYPE_TINY:
        (void)reader_bytes(r, 1);
        break;
    case MYSQLTYPE_SHORT:
    case MYSQLTYPE_YEAR:
        (void)reader_bytes(r, 2);
        break;
    case MYSQLTYPE_LONG:
    case MYSQLTYPE_INT24:
    case MYSQLTYPE_FLOAT:
        (void)reader_bytes(r, 4);
        break;
    case MYSQLTYPE_LONGLONG:
    case MYSQLTYPE_DOUBLE:
        (void)reader_bytes(r, 8);
        break;
    default: /* strings, and moments, whose length takes one byte */
        (void)mysqlwire_lenenc_text(r, &n);
        break;
    }
}

/* Unsigned ones beyond 63 bits are kept as SQLite keeps such literals. */
static struct value unsigned_value(uint64_t v)
{
    return v > INT64_MAX ? value_real((double)v) : value_int((int64_t)v);
}

/* A number that is written as a double but is an integer: what JavaScript has. */
static struct value double_value(double d)
{
    if (d == floor(d) && fabs(d) <= EXACT_MAX && !(d == 0 && signbit(d)))
        return value_int((int64_t)d);
    return value_real(d);
}

static bool get_date(struct reader *r, struct buf *scratch)
{
    uint8_t n = reader_u8(r);
    unsigned f[6] = {0}, micros = 0;

    if (n != 0 && n != 4 && n != 7 && n != 11)
        return false;
    if (n >= 4) {
        f[0] = mysqlwire_u16(r);
        f[1] = reader_u8(r);
        f[2] = reader_u8(r);
    }
    for (unsigned i = 3; i < 6 && n >= 7; i++)
        f[i] = reader_u8(r);
    if (n == 11)
        micros = mysqlwire_u32(r);
    if (r->bad || f[0] > 9999 || f[1] > 12 || f[2] > 31 || f[3] > 23 || f[4] > 59 || f[5] > 59 ||
        micros > 999999)
        return false;
    buf_printf(scratch, "%04u-%02u-%02u", f[0], f[1], f[2]);
    if (n != 4)
        buf_printf(scratch, " %02u:%02u:%02u", f[3], f[4], f[5]);
    if (micros)
        buf_printf(scratch, ".%06u", micros);
    return true;
}

static bool get_time(struct reader *r, struct buf *scratch)
{
    uint8_t n = reader_u8(r);
    bool negative = false;
    uint32_t days = 0, micros = 0;
    unsigned f[3] = {0};

    if (n != 0 && n != 8 && n != 12)
        return false;
    if (n >= 8) {
        negative = reader_u8(r) != 0;
        days = mysqlwire_u32(r);
        for (unsigned i = 0; i < 3; i++)
            f[i] = reader_u8(r);
    }
    if (n == 12)
        micros = mysqlwire_u32(r);
    if (r->bad || days > 34 || f[0] > 23 || f[1] > 59 || f[2] > 59 || micros > 999999)
        return false;
    buf_printf(scratch, "%s%02u:%02u:%02u", negative ? "-" : "", days * 24 + f[0], f[1], f[2]);
    if (micros)
        buf_printf(scratch, ".%06u", micros);
    return true;
}

/* As a literal would be: a number where SQLite keeps all its digits. */
static struct value decimal_value(const char *s, size_t len)
{
    unsigned digits = 0;
    int64_t i;
    double d;

    if (text_integer(s, len, &i))
        return value_int(i);
    for (size_t k = 0; k < len; k++)
        digits += s[k] >= '0' && s[k] <= '9';
    if (digits <= DECIMAL_DIGITS && text_double(s, len, &d))
        return value_real(d);
    return value_text(s, len);
}

struct value mysqltype_bytes(uint8_t type, const char *data, size_t len)
{
    bool binary = type >= MYSQLTYPE_TINY_BLOB && type <= MYSQLTYPE_BLOB;

    if (type == MYSQLTYPE_NEWDECIMAL || type == MYSQLTYPE_DECIMAL)
        return decimal_value(data, len);
    /* Drivers send bytes and texts alike: what is no text is bytes. */
    if (binary || !json_is_text(data, len))
        return value_blob(data, len);
    return value_text(data, len);
}

bool mysqltype_get(struct reader *r, uint8_t type, bool is_unsigned, struct value *out,
                   struct buf *scratch, bool *in_scratch)
{
    size_t start = scratch->len, n;
    const char *p;
    uint64_t bits;
    uint32_t bits32;
    double d;
    float f;

    *in_scratch = false;
    *out = value_null();
    switch (type) {
    case MYSQLTYPE_NULL:
        break;
    case MYSQLTYPE_TINY:
        bits = reader_u8(r);
        *out = value_int(is_unsigned ? (int64_t)bits : (int8_t)bits);
        break;
    case MYSQLTYPE_SHORT:
    case MYSQLTYPE_YEAR:
        bits = mysqlwire_u16(r);
        *out = value_int(is_unsigned ? (int64_t)bits : (int16_t)bits);
        break;
    case MYSQLTYPE_LONG:
    case MYSQLTYPE_INT24:
        bits = mysqlwire_u32(r);
        *out = value_int(is_unsigned ? (int64_t)bits : (int32_t)bits);
        break;
    case MYSQLTYPE_LONGLONG:
        bits = mysqlwire_u64(r);
        *out = is_unsigned ? unsigned_value(bits) : value_int((int64_t)bits);
        break;
    case MYSQLTYPE_FLOAT:
        bits32 = mysqlwire_u32(r);
        memcpy(&f, &bits32, sizeof f);
        *out = double_value((double)f);
        break;
    case MYSQLTYPE_DOUBLE:
        bits = mysqlwire_u64(r);
        memcpy(&d, &bits, sizeof d);
        *out = double_value(d);
        break;
    case MYSQLTYPE_DATE:
    case MYSQLTYPE_DATETIME:
    case MYSQLTYPE_TIMESTAMP:
    case MYSQLTYPE_TIME:
        if (!(type == MYSQLTYPE_TIME ? get_time(r, scratch) : get_date(r, scratch))) {
            buf_cut(scratch, start);
            return false;
        }
        *out = value_text((const char *)(uintptr_t)start, scratch->len - start);
        *in_scratch = true;
        break;
    default:
        p = mysqlwire_lenenc_text(r, &n);
        *out = mysqltype_bytes(type, p, n);
        break;
    }
    return !r->bad;
}
