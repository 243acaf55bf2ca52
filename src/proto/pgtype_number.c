/* Doubles as texts, and numeric: decimal texts and groups of four digits (base 10000). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/shortest.h"
#include "proto/pgtype.h"

#define NUMERIC_DIGITS_MAX 1000 /* of a text that is taken for a number; PostgreSQL: 147,455 */
#define NUMERIC_POS        0x0000
#define NUMERIC_NEG        0x4000
#define NUMERIC_NAN        0xC000

struct decimal {
    bool negative;
    const char *whole, *fraction; /* digits; whole without leading zeros */
    size_t n_whole, n_fraction;
    long exponent;
};

static size_t count_digits(const char *s, const char *end)
{
    const char *p = s;

    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return (size_t)(p - s);
}

static bool parse(const char *s, size_t len, struct decimal *d)
{
    const char *end = s + len;

    memset(d, 0, sizeof *d);
    while (s < end && *s == ' ')
        s++;
    while (end > s && end[-1] == ' ')
        end--;
    if (s < end && (*s == '-' || *s == '+'))
        d->negative = *s++ == '-';
    d->whole = s;
    d->n_whole = count_digits(s, end);
    s += d->n_whole;
    d->fraction = s;
    if (s < end && *s == '.') {
        d->fraction = ++s;
        d->n_fraction = count_digits(s, end);
        s += d->n_fraction;
    }
    if (d->n_whole + d->n_fraction == 0)
        return false;
    if (s < end && (*s == 'e' || *s == 'E')) {
        bool negative = false;
        s++;
        if (s < end && (*s == '-' || *s == '+'))
            negative = *s++ == '-';
        size_t n = count_digits(s, end);
        if (n == 0 || n > 4)
            return false;
        for (size_t i = 0; i < n; i++)
            d->exponent = d->exponent * 10 + (s[i] - '0');
        if (negative)
            d->exponent = -d->exponent;
        s += n;
    }
    return s == end && d->n_whole + d->n_fraction <= NUMERIC_DIGITS_MAX &&
           labs(d->exponent) <= NUMERIC_DIGITS_MAX;
}

bool pgtype_is_numeric_text(const char *s, size_t len)
{
    struct decimal d;

    return parse(s, len, &d);
}

void pgtype_format_double(struct buf *b, double r, bool sqlite)
{
    char text[SHORTEST_BYTES];

    if (isnan(r)) {
        buf_puts(b, "NaN");
    } else if (isinf(r)) {
        buf_puts(b, sqlite ? (r < 0 ? "-Inf" : "Inf") : (r < 0 ? "-Infinity" : "Infinity"));
    } else {
        size_t n = shortest_put(text, r);
        buf_put(b, text, n);
        if (sqlite && !memchr(text, '.', n) && !memchr(text, 'e', n))
            buf_puts(b, ".0");
    }
}

/* Its digits with the point moved to where the exponent says. */
static void put_plain(struct buf *b, const struct decimal *d)
{
    long point = (long)d->n_whole + d->exponent; /* digits before the point */
    long n = (long)(d->n_whole + d->n_fraction);

    if (d->negative)
        buf_putc(b, '-');
    if (point <= 0)
        buf_putc(b, '0');
    for (long i = point < 0 ? point : 0; i < (n > point ? n : point); i++) {
        if (i == point || (i == point && point <= 0))
            buf_putc(b, '.');
        if (i < 0 || i >= n)
            buf_putc(b, '0');
        else
            buf_putc(b, i < (long)d->n_whole ? d->whole[i] : d->fraction[i - (long)d->n_whole]);
    }
}

void pgtype_format_decimal(struct buf *b, double r)
{
    char text[SHORTEST_BYTES];
    struct decimal d;

    if (isnan(r) || isinf(r)) {
        pgtype_format_double(b, r, false);
        return;
    }
    if (parse(text, shortest_put(text, r), &d))
        put_plain(b, &d);
}

/* Cuts the decimal number that begins at `start` at `end`, half away from zero. */
static bool round_decimal(struct buf *b, size_t start, size_t end)
{
    bool up = b->data[end] >= '5';
    size_t first = start + (b->data[start] == '-'), i = end;

    buf_cut(b, b->data[end - 1] == '.' ? end - 1 : end);
    while (up && i-- > first) {
        if (b->data[i] == '.')
            continue;
        up = b->data[i] == '9';
        b->data[i] = up ? '0' : (char)(b->data[i] + 1);
    }
    if (up) { /* 9.99 */
        buf_putc(b, '0');
        if (buf_ok(b)) {
            memmove(b->data + first + 1, b->data + first, b->len - first - 1);
            b->data[first] = '1';
        }
    }
    return buf_ok(b);
}

bool pgtype_scale(struct buf *out, int32_t modifier, const struct value *v)
{
    size_t scale = (size_t)(((uint32_t)modifier - 4) & 0xFFFF), start = out->len, digits = 0;
    const char *point;

    if (modifier < 4 || scale > NUMERIC_DIGITS_MAX)
        return false;
    if (v->type == VALUE_INTEGER)
        buf_i64(out, v->u.i);
    else if (v->type == VALUE_REAL && isfinite(v->u.r))
        pgtype_format_decimal(out, v->u.r);
    else
        return false;
    if (!buf_ok(out))
        return false;
    point = memchr(out->data + start, '.', out->len - start);
    if (point)
        digits = (size_t)(out->data + out->len - point) - 1;
    if (digits > scale)
        return round_decimal(out, start, (size_t)(point - out->data) + 1 + scale);
    if (!point && scale > 0)
        buf_putc(out, '.');
    for (; digits < scale; digits++)
        buf_putc(out, '0');
    return buf_ok(out);
}

bool pgtype_numeric_put(struct buf *b, const char *s, size_t len)
{
    struct decimal d;
    struct buf plain = BUF_INIT;
    const char *p, *point;
    size_t whole, fraction, start;
    int weight;
    unsigned n = 0;
    uint16_t groups[2 * NUMERIC_DIGITS_MAX / 4 + 8];

    if ((len == 3 && memcmp(s, "NaN", 3) == 0)) {
        buf_be64(b, (uint64_t)NUMERIC_NAN << 16);
        return true;
    }
    if (!parse(s, len, &d))
        return false;
    bool negative = d.negative;
    d.negative = false;
    put_plain(&plain, &d);
    if (!buf_ok(&plain)) {
        buf_free(&plain);
        return false;
    }
    p = plain.data;
    point = memchr(p, '.', plain.len);
    whole = point ? (size_t)(point - p) : plain.len;
    fraction = point ? plain.len - whole - 1 : 0;
    /* Groups of four to the left and right of the point; `at` counts digits from the first group's
     * beginning, which may lie before the first digit. */
    weight = (int)((whole + 3) / 4) - 1;
    long at = -(long)((4 - whole % 4) % 4);
    for (; at < (long)(whole + fraction) && n < sizeof groups / sizeof *groups; at += 4) {
        unsigned g = 0;
        for (long i = at; i < at + 4; i++) {
            unsigned digit = 0;
            if (i >= 0 && i < (long)whole)
                digit = (unsigned)(p[i] - '0');
            else if (i >= (long)whole && i < (long)(whole + fraction))
                digit = (unsigned)(p[i + 1] - '0');
            g = g * 10 + digit;
        }
        groups[n++] = (uint16_t)g;
    }
    start = 0;
    while (n > 0 && groups[n - 1] == 0)
        n--;
    while (start < n && groups[start] == 0) {
        start++;
        weight--;
    }
    buf_be16(b, (uint16_t)(n - start));
    buf_be16(b, (uint16_t)(n > start ? weight : 0));
    buf_be16(b, negative && n > start ? NUMERIC_NEG : NUMERIC_POS);
    buf_be16(b, (uint16_t)fraction);
    for (size_t i = start; i < n; i++)
        buf_be16(b, groups[i]);
    buf_free(&plain);
    return true;
}

static int be16s(const char *p)
{
    return (int16_t)((unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

/* The i-th group of four digits of a binary numeric. */
static int group_at(const char *numeric, int i)
{
    return be16s(numeric + 8 + 2 * (ptrdiff_t)i);
}

bool pgtype_numeric_get(struct buf *b, const char *data, size_t len)
{
    int n, weight, sign, scale;

    if (len < 8)
        return false;
    n = be16s(data);
    weight = be16s(data + 2);
    sign = be16s(data + 4) & 0xFFFF;
    scale = be16s(data + 6);
    if (n < 0 || len != 8 + (size_t)n * 2 || scale < 0 || scale > NUMERIC_DIGITS_MAX ||
        weight > NUMERIC_DIGITS_MAX / 4 || weight < -NUMERIC_DIGITS_MAX / 4)
        return false;
    for (int i = 0; i < n; i++)
        if (group_at(data, i) < 0 || group_at(data, i) > 9999)
            return false;
    if (sign == NUMERIC_NAN) {
        buf_puts(b, "NaN");
        return true;
    }
    if (sign != NUMERIC_POS && sign != NUMERIC_NEG)
        return false;
    if (sign == NUMERIC_NEG)
        buf_putc(b, '-');
    bool started = false;
    for (int w = weight > 0 ? weight : 0; w >= 0; w--) {
        int i = weight - w;
        int g = i >= 0 && i < n ? group_at(data, i) : 0;
        if (started)
            buf_printf(b, "%04d", g);
        else if (g > 0 || w == 0)
            buf_printf(b, "%d", g);
        started = started || g > 0;
    }
    if (scale > 0)
        buf_putc(b, '.');
    for (int digit = 0; digit < scale; digit++) {
        int i = weight + 1 + digit / 4;
        int g = i >= 0 && i < n ? group_at(data, i) : 0;
        static const int power[] = {1000, 100, 10, 1};
        buf_putc(b, (char)('0' + g / power[digit % 4] % 10));
    }
    return true;
}
