/*
 * Dates and times: texts as clients and SQLite write them, microseconds since 2000-01-01 as the
 * binary format has them. The calendar is the proleptic Gregorian one, years 0001 to 9999.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/civil.h"
#include "proto/pgtype.h"

#define US_S         INT64_C(1000000)
#define US_DAY       (INT64_C(86400) * US_S)
#define UNIX_EPOCH_S INT64_C(946684800) /* 2000-01-01 in unix seconds */
#define JULIAN_2000  2451544.5
#define YEARS_MAX    9999

/* Days since 2000-01-01, by the civil-from-days algorithm on years that begin in March. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 730425;
}

static bool digits(const char **p, const char *end, int least, int most, int *out)
{
    int n = 0;

    *out = 0;
    while (*p < end && n < most && **p >= '0' && **p <= '9') {
        *out = *out * 10 + (**p - '0');
        (*p)++;
        n++;
    }
    return n >= least;
}

static bool is_at(const char **p, const char *end, char c)
{
    if (*p == end || **p != c)
        return false;
    (*p)++;
    return true;
}

static bool parse_clock(const char **p, const char *end, int64_t *us)
{
    int h, m, s = 0, fraction = 0, digit;

    if (!digits(p, end, 1, 2, &h) || !is_at(p, end, ':') || !digits(p, end, 2, 2, &m))
        return false;
    if (is_at(p, end, ':') && !digits(p, end, 2, 2, &s))
        return false;
    if (is_at(p, end, '.') || is_at(p, end, ',')) {
        int scale = 100000;
        if (!digits(p, end, 1, 1, &digit))
            return false;
        do {
            fraction += digit * scale;
            scale /= 10;
        } while (digits(p, end, 1, 1, &digit));
    }
    *us = ((INT64_C(60) * h + m) * 60 + s) * US_S + fraction;
    return h <= 24 && m < 60 && s <= 60 && *us <= US_DAY;
}

/* Z, UTC, +02, +0200, +02:00, -03:30:00; nothing at all is fine, too. */
static bool parse_zone(const char **p, const char *end, int *zone_s, bool *has_zone)
{
    int h, m = 0, s = 0, sign;

    *has_zone = false;
    *zone_s = 0;
    while (*p < end && **p == ' ')
        (*p)++;
    if (*p == end)
        return true;
    *has_zone = true;
    if (is_at(p, end, 'Z') || is_at(p, end, 'z'))
        return true;
    if (end - *p >= 3 && (memcmp(*p, "UTC", 3) == 0 || memcmp(*p, "GMT", 3) == 0)) {
        *p += 3;
        return true;
    }
    if (**p != '+' && **p != '-')
        return false;
    sign = **p == '-' ? -1 : 1;
    (*p)++;
    if (!digits(p, end, 2, 2, &h))
        return false;
    if (is_at(p, end, ':') || (*p < end && **p >= '0' && **p <= '9')) {
        if (!digits(p, end, 2, 2, &m))
            return false;
        if (is_at(p, end, ':') && !digits(p, end, 2, 2, &s))
            return false;
    }
    *zone_s = sign * ((h * 60 + m) * 60 + s);
    return h <= 15 && m < 60 && s < 60;
}

static void trim(const char **s, const char **end)
{
    while (*s < *end && **s == ' ')
        (*s)++;
    while (*end > *s && (*end)[-1] == ' ')
        (*end)--;
}

bool pgtype_parse_timestamp(const char *s, size_t len, int64_t *us, int *zone_s, bool *has_zone)
{
    const char *p = s, *end = s + len;
    int y, m, d;
    int64_t clock = 0;
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    *has_zone = false;
    *zone_s = 0;
    trim(&p, &end);
    if (!digits(&p, end, 4, 4, &y) || !is_at(&p, end, '-') || !digits(&p, end, 1, 2, &m) ||
        !is_at(&p, end, '-') || !digits(&p, end, 1, 2, &d))
        return false;
    if (y < 1 || m < 1 || m > 12 || d < 1 || d > days[m - 1] ||
        (m == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0))))
        return false;
    if (p < end) {
        if (!is_at(&p, end, ' ') && !is_at(&p, end, 'T') && !is_at(&p, end, 't'))
            return false;
        while (p < end && *p == ' ')
            p++;
        if (!parse_clock(&p, end, &clock) || !parse_zone(&p, end, zone_s, has_zone))
            return false;
    }
    *us = days_from_civil(y, m, d) * US_DAY + clock;
    return p == end;
}

bool pgtype_parse_time(const char *s, size_t len, int64_t *us)
{
    const char *p = s, *end = s + len;
    int zone_s;
    bool has_zone;

    trim(&p, &end);
    return parse_clock(&p, end, us) && parse_zone(&p, end, &zone_s, &has_zone) && p == end;
}

static bool in_range(int64_t us)
{
    return us >= days_from_civil(1, 1, 1) * US_DAY &&
           us < days_from_civil(YEARS_MAX + 1, 1, 1) * US_DAY;
}

static int64_t floor_to_day(int64_t us)
{
    int64_t rest = us % US_DAY;

    return us - (rest < 0 ? rest + US_DAY : rest);
}

/* A number as SQLite's own date functions take it with 'auto': seconds since 1970 (or milliseconds,
 * as JavaScript has them), a Julian day. */
static bool from_number(const struct value *v, int64_t *us)
{
    if (v->type == VALUE_INTEGER) {
        int64_t i = v->u.i;
        if (i > INT64_C(253402300799000) || i < -INT64_C(62135596800000))
            return false;
        if (i > INT64_C(100000000000) || i < -INT64_C(100000000000))
            *us = i * 1000 - UNIX_EPOCH_S * US_S;
        else
            *us = (i - UNIX_EPOCH_S) * US_S;
        return in_range(*us);
    }
    if (!(v->u.r >= 1721425.5 && v->u.r < 5373484.5))
        return false;
    *us = llround((v->u.r - JULIAN_2000) * 86400e3) * 1000;
    return in_range(*us);
}

bool pgtype_time_of_value(const struct value *v, uint32_t oid, int64_t *us)
{
    int zone_s = 0;
    bool has_zone;

    switch (v->type) {
    case VALUE_INTEGER:
    case VALUE_REAL:
        if (!from_number(v, us))
            return false;
        break;
    case VALUE_TEXT:
        if (oid == PGTYPE_TIME && pgtype_parse_time(v->u.s.data, v->u.s.len, us))
            return true;
        if (!pgtype_parse_timestamp(v->u.s.data, v->u.s.len, us, &zone_s, &has_zone))
            return false;
        break;
    default:
        return false;
    }
    if (oid == PGTYPE_TIMESTAMPTZ) {
        *us -= zone_s * US_S;
        return in_range(*us);
    }
    if (oid == PGTYPE_DATE)
        *us = floor_to_day(*us);
    if (oid == PGTYPE_TIME)
        *us -= floor_to_day(*us);
    return true;
}

static void format_date(struct buf *b, int64_t us)
{
    int64_t y;
    int m, d;

    civil_of_days((floor_to_day(us) + UNIX_EPOCH_S * US_S) / US_DAY, &y, &m, &d);
    buf_printf(b, "%04" PRId64 "-%02d-%02d", y, m, d);
}

static void format_time(struct buf *b, int64_t us_of_day)
{
    int64_t s = us_of_day / US_S;
    int fraction = (int)(us_of_day % US_S), width = 6;

    buf_printf(b, "%02d:%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    if (fraction == 0)
        return;
    for (; fraction % 10 == 0; width--)
        fraction /= 10;
    buf_printf(b, ".%0*d", width, fraction);
}

void pgtype_format_moment(struct buf *b, uint32_t oid, int64_t us)
{
    if (oid != PGTYPE_TIME)
        format_date(b, us);
    if (oid != PGTYPE_TIME && oid != PGTYPE_DATE)
        buf_putc(b, ' ');
    if (oid != PGTYPE_DATE)
        format_time(b, oid == PGTYPE_TIME ? us : us - floor_to_day(us));
}
