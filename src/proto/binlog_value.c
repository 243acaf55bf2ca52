/*
 * Values of rows.
 *
 *   binlog_get, binlog_put_decimal, binlog_float, binlog_number, binlog_unsigned
 *
 * Lengths of what has one are little-endian; DECIMAL, BIT and the moments of 5.6 and newer are
 * big-endian, so that their bytes sort.
 */
#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/binlog_impl.h"
#include "proto/mysqltype.h"
#include "proto/mysqlwire.h"
#include "proto/pgtype.h"

#define DIGITS_WORD     9u /* digits that four bytes of a DECIMAL hold */
#define PRECISION_MAX   65u
#define MICRO_DIGITS    6u
#define COLLATION_BYTES 63u

/* `n` bytes, at most 8. */
static uint64_t little(struct reader *r, unsigned n)
{
    const uint8_t *p = (const uint8_t *)reader_bytes(r, n);
    uint64_t v = 0;

    for (unsigned i = n; p && i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static uint64_t big(struct reader *r, unsigned n)
{
    const uint8_t *p = (const uint8_t *)reader_bytes(r, n);
    uint64_t v = 0;

    for (unsigned i = 0; p && i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* What was appended since `start`, as an offset until scratch is settled. */
static struct value since(const struct buf *scratch, size_t start, bool *in_scratch)
{
    *in_scratch = true;
    return value_text((const char *)start,
                      scratch->len - start); // NOLINT(performance-no-int-to-ptr)
}

/* ---- numbers ---- */

struct value binlog_unsigned(uint64_t v, struct buf *scratch, bool *in_scratch)
{
    size_t start = scratch->len;

    if (v <= INT64_MAX)
        return value_int((int64_t)v);
    buf_u64(scratch, v);
    return since(scratch, start, in_scratch);
}

static struct value integer(struct reader *r, unsigned bytes, bool is_unsigned, struct buf *scratch,
                            bool *in_scratch)
{
    uint64_t v = little(r, bytes);
    uint64_t sign = UINT64_C(1) << (bytes * 8 - 1);

    if (is_unsigned)
        return binlog_unsigned(v, scratch, in_scratch);
    return value_int((int64_t)((v ^ sign) - sign));
}

double binlog_float(float f)
{
    char text[32];

    if (!isfinite(f))
        return (double)f;
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)f);
        if (strtof(text, NULL) == f)
            break;
    }
    return strtod(text, NULL);
}

struct value binlog_number(const char *text, size_t len)
{
    struct value v;
    struct buf none = BUF_INIT;
    bool in_scratch = false;

    if (pgtype_get(PGTYPE_NUMERIC, false, text, len, &v, &none, &in_scratch) != PGTYPE_FINE)
        return value_text(text, len);
    return v;
}

/* Digits in groups of nine, four bytes each; what is left over, in front and behind, in as few
 * bytes as hold it. The first bit is inverted; of a negative number all are. */
bool binlog_put_decimal(struct buf *out, struct reader *r, unsigned precision, unsigned scale)
{
    static const uint8_t bytes_of[DIGITS_WORD + 1] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
    unsigned whole = precision - scale;
    uint8_t copy[64];
    bool any = false;

    if (precision == 0 || precision > PRECISION_MAX || scale > precision)
        return false;
    size_t size = whole / DIGITS_WORD * 4 + bytes_of[whole % DIGITS_WORD] +
                  scale / DIGITS_WORD * 4 + bytes_of[scale % DIGITS_WORD];
    if (size > sizeof copy)
        return false;
    reader_copy(r, copy, size);
    if (r->bad)
        return false;
    bool negative = (copy[0] & 0x80u) == 0;
    copy[0] ^= 0x80u;
    for (size_t i = 0; negative && i < size; i++)
        copy[i] = (uint8_t)~copy[i];
    struct reader d = reader_of(copy, size);
    size_t start = out->len;
    if (negative)
        buf_putc(out, '-');
    for (unsigned left = whole; left > 0;) {
        unsigned n = left % DIGITS_WORD ? left % DIGITS_WORD : DIGITS_WORD;
        unsigned v = (unsigned)big(&d, bytes_of[n]);
        if (v > 999999999u)
            return false;
        if (any)
            buf_printf(out, "%0*u", (int)n, v);
        else if (v > 0)
            buf_printf(out, "%u", v);
        any = any || v > 0;
        left -= n;
    }
    if (!any)
        buf_putc(out, '0');
    if (scale > 0)
        buf_putc(out, '.');
    for (unsigned left = scale; left > 0;) {
        unsigned n = left < DIGITS_WORD ? left : DIGITS_WORD;
        unsigned v = (unsigned)big(&d, bytes_of[n]);
        if (v > 999999999u)
            return false;
        buf_printf(out, "%0*u", (int)n, v);
        left -= n;
    }
    /* More digits than its bytes are for would be no DECIMAL. */
    return buf_ok(out) && out->len - start <= (size_t)precision + 3;
}

static bool decimal(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                    struct value *out, bool *in_scratch)
{
    size_t start = scratch->len;

    if (!binlog_put_decimal(scratch, r, c->meta >> 8, c->meta & 0xFFu))
        return false;
    struct value v = binlog_number(scratch->data + start, scratch->len - start);
    *out = v.type == VALUE_TEXT ? since(scratch, start, in_scratch) : v;
    return true;
}

/* ---- moments ---- */

static void put_fraction(struct buf *b, unsigned micros, unsigned digits)
{
    char text[16];

    if (digits == 0)
        return;
    (void)snprintf(text, sizeof text, ".%06u", micros % 1000000u);
    buf_put(b, text, 1 + (digits < MICRO_DIGITS ? digits : MICRO_DIGITS));
}

void binlog_put_date(struct buf *b, const struct binlog_moment *m)
{
    buf_printf(b, "%04u-%02u-%02u", m->year, m->month, m->day);
}

void binlog_put_time(struct buf *b, const struct binlog_moment *m, unsigned digits)
{
    buf_printf(b, "%s%02u:%02u:%02u", m->negative ? "-" : "", m->hour, m->minute, m->second);
    put_fraction(b, m->micros, digits);
}

void binlog_put_datetime(struct buf *b, const struct binlog_moment *m, unsigned digits)
{
    binlog_put_date(b, m);
    buf_printf(b, " %02u:%02u:%02u", m->hour, m->minute, m->second);
    put_fraction(b, m->micros, digits);
}

void binlog_unpack_time(uint64_t packed, struct binlog_moment *m)
{
    m->hour = (unsigned)(packed >> 12 & 0x3FF);
    m->minute = (unsigned)(packed >> 6 & 0x3F);
    m->second = (unsigned)(packed & 0x3F);
}

void binlog_unpack_datetime(uint64_t packed, struct binlog_moment *m)
{
    uint64_t months = packed >> 22;

    m->year = (unsigned)(months / 13);
    m->month = (unsigned)(months % 13);
    m->day = (unsigned)(packed >> 17 & 0x1F);
    m->hour = (unsigned)(packed >> 12 & 0x1F);
    m->minute = (unsigned)(packed >> 6 & 0x3F);
    m->second = (unsigned)(packed & 0x3F);
}

/* Hundredths in one byte, ten-thousandths in two, microseconds in three. */
static unsigned fraction(struct reader *r, unsigned digits)
{
    static const unsigned unit[] = {0, 10000, 100, 1};
    unsigned bytes = (digits + 1) / 2;

    if (bytes > 3) {
        r->bad = true;
        return 0;
    }
    return (unsigned)big(r, bytes) * unit[bytes];
}

static void put_epoch(struct buf *b, uint32_t seconds, unsigned micros, unsigned digits)
{
    struct binlog_moment m = {.micros = micros};
    time_t t = (time_t)seconds;
    struct tm tm;

    if ((seconds != 0 || micros != 0) && gmtime_r(&t, &tm))
        m = (struct binlog_moment){.year = (unsigned)tm.tm_year + 1900u,
                                   .month = (unsigned)tm.tm_mon + 1u,
                                   .day = (unsigned)tm.tm_mday,
                                   .hour = (unsigned)tm.tm_hour,
                                   .minute = (unsigned)tm.tm_min,
                                   .second = (unsigned)tm.tm_sec,
                                   .micros = micros};
    binlog_put_datetime(b, &m, digits); /* zero is MySQL's zero date */
}

/* Negative ones are stored so that the bytes sort: the fraction counts from the second before. */
static void put_time2(struct buf *b, struct reader *r, unsigned digits)
{
    struct binlog_moment m = {.negative = false};
    int64_t packed = (int64_t)big(r, 3) - 0x800000;
    unsigned bytes = (digits + 1) / 2;
    static const int64_t unit[] = {0, 10000, 100, 1}, span[] = {0, 0x100, 0x10000, 0x1000000};

    if (bytes > 3) {
        r->bad = true;
        return;
    }
    int64_t part = (int64_t)big(r, bytes);
    if (packed < 0 && part != 0) {
        packed++;
        part -= span[bytes];
    }
    m.negative = packed < 0 || part < 0;
    binlog_unpack_time((uint64_t)(packed < 0 ? -packed : packed), &m);
    m.micros = (unsigned)((part < 0 ? -part : part) * unit[bytes]);
    binlog_put_time(b, &m, digits);
}

/* Digits of a number: yyyymmddhhmmss, and hhmmss. The types of 5.5 and older. */
static void put_old_datetime(struct buf *b, uint64_t v)
{
    struct binlog_moment m = {.year = (unsigned)(v / 10000000000 % 10000),
                              .month = (unsigned)(v / 100000000 % 100),
                              .day = (unsigned)(v / 1000000 % 100),
                              .hour = (unsigned)(v / 10000 % 100),
                              .minute = (unsigned)(v / 100 % 100),
                              .second = (unsigned)(v % 100)};

    binlog_put_datetime(b, &m, 0);
}

static void put_old_time(struct buf *b, struct reader *r)
{
    int64_t v = (int64_t)((little(r, 3) ^ 0x800000) - 0x800000);
    uint64_t u = (uint64_t)(v < 0 ? -v : v);
    struct binlog_moment m = {.negative = v < 0,
                              .hour = (unsigned)(u / 10000),
                              .minute = (unsigned)(u / 100 % 100),
                              .second = (unsigned)(u % 100)};

    binlog_put_time(b, &m, 0);
}

static bool moment(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                   struct value *out, bool *in_scratch)
{
    struct binlog_moment m = {.negative = false};
    size_t start = scratch->len;
    unsigned digits = c->meta;
    uint64_t v;

    switch (c->type) {
    case MYSQLTYPE_DATE:
    case BINLOG_NEWDATE:
        v = little(r, 3);
        m.year = (unsigned)(v >> 9);
        m.month = (unsigned)(v >> 5 & 0xF);
        m.day = (unsigned)(v & 0x1F);
        binlog_put_date(scratch, &m);
        break;
    case MYSQLTYPE_TIME:
        put_old_time(scratch, r);
        break;
    case MYSQLTYPE_DATETIME:
        put_old_datetime(scratch, little(r, 8));
        break;
    case MYSQLTYPE_TIMESTAMP:
        put_epoch(scratch, (uint32_t)little(r, 4), 0, 0);
        break;
    case BINLOG_TIMESTAMP2:
        v = big(r, 4);
        put_epoch(scratch, (uint32_t)v, fraction(r, digits), digits);
        break;
    case BINLOG_DATETIME2:
        v = big(r, 5);
        if (v < UINT64_C(0x8000000000))
            return false; /* a negative one: there is none */
        binlog_unpack_datetime(v - UINT64_C(0x8000000000), &m);
        m.micros = fraction(r, digits);
        binlog_put_datetime(scratch, &m, digits);
        break;
    default: /* TIME2 */
        put_time2(scratch, r, digits);
        break;
    }
    *out = since(scratch, start, in_scratch);
    return !r->bad;
}

/* ---- texts ---- */

static bool is_bytes(const struct binlog_column *c)
{
    return c->collation == COLLATION_BYTES;
}

static struct value text_or_bytes(const struct binlog_column *c, const char *data, size_t len)
{
    return is_bytes(c) ? value_blob(data, len) : value_text(data, len);
}

static bool text(struct reader *r, const struct binlog_column *c, unsigned length_bytes,
                 struct value *out)
{
    size_t len = (size_t)little(r, length_bytes);
    const char *data = reader_bytes(r, len);

    *out = text_or_bytes(c, data, len);
    return data != NULL;
}

/* The log leaves out the zeros at the end of a BINARY(n). */
static bool fixed_text(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                       struct value *out, bool *in_scratch)
{
    size_t start = scratch->len;

    if (!text(r, c, c->meta > 255 ? 2 : 1, out))
        return false;
    size_t len = out->u.s.len;
    if (!is_bytes(c) || len >= c->meta)
        return true;
    buf_put(scratch, out->u.s.data, len);
    char *zeros = buf_reserve(scratch, c->meta - len);
    if (!zeros)
        return false;
    memset(zeros, 0, c->meta - len);
    scratch->len += c->meta - len;
    *out = since(scratch, start, in_scratch);
    out->type = VALUE_BLOB;
    return true;
}

static bool choice(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                   struct value *out, bool *in_scratch)
{
    unsigned bytes = c->meta;
    size_t start = scratch->len;

    if (bytes == 0 || bytes > (c->type == MYSQLTYPE_ENUM ? 2u : 8u))
        return false;
    uint64_t v = little(r, bytes);
    if (c->type == MYSQLTYPE_ENUM) {
        if (v > c->n_labels)
            return false;
        /* 0 is what MySQL puts where a value was none of the labels. */
        *out = v == 0 ? value_text("", 0) : value_text(c->labels[v - 1].data, c->labels[v - 1].len);
        return true;
    }
    for (unsigned i = 0; i < 64 && v >> i; i++) {
        if (!(v >> i & 1))
            continue;
        if (i >= c->n_labels)
            return false;
        if (scratch->len > start)
            buf_putc(scratch, ',');
        buf_put(scratch, c->labels[i].data, c->labels[i].len);
    }
    *out = since(scratch, start, in_scratch);
    return true;
}

static bool json(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                 struct value *out, bool *in_scratch)
{
    size_t start = scratch->len;
    struct value bytes;

    if (!text(r, c, c->meta, &bytes) || !binlog_put_json(scratch, bytes.u.s.data, bytes.u.s.len))
        return false;
    *out = since(scratch, start, in_scratch);
    return true;
}

static bool bits(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                 struct value *out, bool *in_scratch)
{
    unsigned n = (c->meta & 0xFFu) * 8 + (c->meta >> 8); /* whole bytes, and bits beyond them */

    if (n == 0 || n > 64 || c->meta >> 8 > 7)
        return false;
    *out = binlog_unsigned(big(r, (n + 7) / 8), scratch, in_scratch);
    return true;
}

static bool floating(struct reader *r, const struct binlog_column *c, struct value *out)
{
    if (c->type == MYSQLTYPE_FLOAT) {
        uint32_t bytes = mysqlwire_u32(r);
        float f;
        memcpy(&f, &bytes, sizeof f);
        *out = value_real(binlog_float(f));
        return true;
    }
    uint64_t bytes = mysqlwire_u64(r);
    double d;
    memcpy(&d, &bytes, sizeof d);
    *out = value_real(d);
    return true;
}

static bool get(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                struct value *out, bool *in_scratch)
{
    bool plus = c->is_unsigned;

    switch (c->type) {
    case MYSQLTYPE_TINY:
        *out = integer(r, 1, plus, scratch, in_scratch);
        return true;
    case MYSQLTYPE_SHORT:
        *out = integer(r, 2, plus, scratch, in_scratch);
        return true;
    case MYSQLTYPE_INT24:
        *out = integer(r, 3, plus, scratch, in_scratch);
        return true;
    case MYSQLTYPE_LONG:
        *out = integer(r, 4, plus, scratch, in_scratch);
        return true;
    case MYSQLTYPE_LONGLONG:
        *out = integer(r, 8, plus, scratch, in_scratch);
        return true;
    case MYSQLTYPE_YEAR: {
        uint8_t year = reader_u8(r);
        *out = value_int(year == 0 ? 0 : 1900 + year);
        return true;
    }
    case MYSQLTYPE_FLOAT:
    case MYSQLTYPE_DOUBLE:
        return floating(r, c, out);
    case MYSQLTYPE_NEWDECIMAL:
        return decimal(r, c, scratch, out, in_scratch);
    case MYSQLTYPE_BIT:
        return bits(r, c, scratch, out, in_scratch);
    case MYSQLTYPE_DATE:
    case MYSQLTYPE_TIME:
    case MYSQLTYPE_DATETIME:
    case MYSQLTYPE_TIMESTAMP:
    case BINLOG_NEWDATE:
    case BINLOG_TIMESTAMP2:
    case BINLOG_DATETIME2:
    case BINLOG_TIME2:
        return moment(r, c, scratch, out, in_scratch);
    case MYSQLTYPE_VARCHAR:
    case MYSQLTYPE_VAR_STRING:
        return text(r, c, c->meta > 255 ? 2 : 1, out);
    case MYSQLTYPE_STRING:
        return fixed_text(r, c, scratch, out, in_scratch);
    case MYSQLTYPE_TINY_BLOB:
    case MYSQLTYPE_MEDIUM_BLOB:
    case MYSQLTYPE_LONG_BLOB:
    case MYSQLTYPE_BLOB:
        return c->meta >= 1 && c->meta <= 4 && text(r, c, c->meta, out);
    case MYSQLTYPE_GEOMETRY:
        if (c->meta < 1 || c->meta > 4 || !text(r, c, c->meta, out))
            return false;
        out->type = VALUE_BLOB;
        return true;
    case MYSQLTYPE_JSON:
        return c->meta >= 1 && c->meta <= 4 && json(r, c, scratch, out, in_scratch);
    case MYSQLTYPE_ENUM:
    case MYSQLTYPE_SET:
        return choice(r, c, scratch, out, in_scratch);
    default:
        return false;
    }
}

bool binlog_get(struct reader *r, const struct binlog_column *c, struct buf *scratch,
                struct value *out, bool *in_scratch)
{
    *in_scratch = false;
    return get(r, c, scratch, out, in_scratch) && !r->bad && buf_ok(scratch);
}
