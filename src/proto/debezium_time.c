#include "proto/debezium_time.h"

#include <inttypes.h>
#include <string.h>

#include "base/civil.h"
#include "proto/pgtype.h"

#define DAY_S INT64_C(86400)
#define US_S  INT64_C(1000000)

/* How PostgreSQL's connector sends its infinities (PGStatement, in ms), beyond any timestamp. */
#define INFINITY_MS     INT64_C(9223372036825200)
#define NEG_INFINITY_MS (-INT64_C(9223372036832400))

/* Rounded down, *rest is never negative. */
static int64_t divide(int64_t n, int64_t by, int64_t *rest)
{
    int64_t q = n / by;

    *rest = n % by;
    if (*rest < 0) {
        *rest += by;
        q--;
    }
    return q;
}

/* False: the year is before Christ, and " BC" has to stand behind everything else. */
static bool put_civil(struct buf *b, int64_t days)
{
    int64_t year;
    int month, day;

    civil_of_days(days, &year, &month, &day);
    buf_printf(b, "%04" PRId64 "-%02d-%02d", year > 0 ? year : 1 - year, month, day);
    return year > 0;
}

static void put_clock(struct buf *b, int64_t seconds, int64_t fraction, int64_t per_second)
{
    char digits[24];
    size_t n = 0;

    buf_printf(b, "%02" PRId64 ":%02d:%02d", seconds / 3600, (int)(seconds / 60 % 60),
               (int)(seconds % 60));
    if (fraction == 0)
        return;
    for (int64_t unit = per_second / 10; unit > 0 && fraction > 0; unit /= 10) {
        digits[n++] = (char)('0' + fraction / unit);
        fraction %= unit;
    }
    buf_putc(b, '.');
    buf_put(b, digits, n);
}

void debezium_put_date(struct buf *b, int64_t days)
{
    if (!put_civil(b, days))
        buf_puts(b, " BC");
}

void debezium_put_time(struct buf *b, int64_t units, int64_t per_second)
{
    int64_t fraction, seconds = divide(units, per_second, &fraction);

    if (units < 0) {
        buf_putc(b, '-');
        seconds = -(units / per_second);
        fraction = -(units % per_second);
    }
    put_clock(b, seconds, fraction, per_second);
}

void debezium_put_timestamp(struct buf *b, int64_t units, int64_t per_second)
{
    int64_t fraction, rest, seconds = divide(units, per_second, &fraction);
    int64_t days = divide(seconds, DAY_S, &rest);

    if (per_second <= 1000000 && (units == INFINITY_MS * (per_second / 1000) ||
                                  units == NEG_INFINITY_MS * (per_second / 1000))) {
        buf_puts(b, units > 0 ? "infinity" : "-infinity");
        return;
    }
    bool christ = put_civil(b, days);
    buf_putc(b, ' ');
    put_clock(b, rest, fraction, per_second);
    if (!christ)
        buf_puts(b, " BC");
}

/* Of ISO 8601, with all digits but the zeros at its end: nanoseconds have more than six. */
static void put_fraction(struct buf *b, const char *text, size_t len)
{
    const char *point = memchr(text, '.', len);
    size_t n = 0;

    for (size_t i = 1; point && i < len - (size_t)(point - text); i++) {
        if (point[i] < '0' || point[i] > '9')
            break;
        if (point[i] != '0')
            n = i + 1;
    }
    buf_put(b, point, n);
}

void debezium_put_zoned(struct buf *b, const char *text, size_t len, bool zone)
{
    int64_t us, ignored;
    int zone_s;
    bool has_zone;

    if (!pgtype_parse_timestamp(text, len, &us, &zone_s, &has_zone)) {
        buf_put(b, text, len);
        return;
    }
    us = divide(us - zone_s * US_S, US_S, &ignored) * US_S;
    pgtype_format_moment(b, PGTYPE_TIMESTAMP, us);
    put_fraction(b, text, len);
    if (zone)
        buf_puts(b, "+00:00");
}
