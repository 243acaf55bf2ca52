#include "sql/pg/span.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MONTHS_MAX    (178000000.0 * 12)
#define DAYS_A_MONTH  30 /* of a fraction of one */
#define SECONDS_A_DAY 86400.0

static const struct unit {
    const char *name;
    double months, days, seconds;
} units[] = {{"microsecond", 0, 0, 1e-6},
             {"us", 0, 0, 1e-6},
             {"usec", 0, 0, 1e-6},
             {"millisecond", 0, 0, 1e-3},
             {"ms", 0, 0, 1e-3},
             {"msec", 0, 0, 1e-3},
             {"second", 0, 0, 1},
             {"sec", 0, 0, 1},
             {"s", 0, 0, 1},
             {"minute", 0, 0, 60},
             {"min", 0, 0, 60},
             {"m", 0, 0, 60},
             {"hour", 0, 0, 3600},
             {"hr", 0, 0, 3600},
             {"h", 0, 0, 3600},
             {"day", 0, 1, 0},
             {"d", 0, 1, 0},
             {"week", 0, 7, 0},
             {"w", 0, 7, 0},
             {"month", 1, 0, 0},
             {"mon", 1, 0, 0},
             {"year", 12, 0, 0},
             {"yr", 12, 0, 0},
             {"y", 12, 0, 0},
             {"decade", 120, 0, 0},
             {"century", 1200, 0, 0},
             {"centurie", 1200, 0, 0},
             {"millennium", 12000, 0, 0},
             {"millennia", 12000, 0, 0}};

static const struct unit *unit_named(const char *s, size_t n)
{
    /* "s" alone is no plural, and neither are the short forms that end with one. */
    bool plural = n > 1 && (s[n - 1] | 0x20) == 's' &&
                  !(n == 2 && (strncasecmp(s, "ms", 2) == 0 || strncasecmp(s, "us", 2) == 0));

    if (plural)
        n--;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strlen(units[i].name) == n && strncasecmp(units[i].name, s, n) == 0)
            return &units[i];
    return NULL;
}

/* [h]h:mm[:ss[.f]]: `p` stands at the first colon. NULL: it is none. */
static const char *read_clock(const char *p, double hours, double *seconds)
{
    double part[2] = {0, 0};

    for (int i = 0; i < 2 && *p == ':'; i++) {
        char *end;
        if (p[1] < '0' || p[1] > '9')
            return NULL;
        part[i] = strtod(p + 1, &end);
        p = end;
    }
    *seconds = hours * 3600 + part[0] * 60 + part[1];
    return p;
}

bool pg_span_read(const char *text, const char *unit, size_t unit_len, struct pg_span *out)
{
    const char *p = text;
    double months = 0, days = 0, seconds = 0, sign = 1;
    bool any = false;

    for (;; any = true) {
        p += strspn(p, " ,\t\n@");
        if (any && strcasecmp(p, "ago") == 0) {
            sign = -1;
            break;
        }
        if (!*p)
            break;
        /* strtod() alone would read "inf", "nan" and hexadecimal digits. */
        if (!strchr("0123456789+-.", *p) || strncasecmp(p + strspn(p, "+-"), "0x", 2) == 0 ||
            !strchr("0123456789.", p[strspn(p, "+-")]))
            return false;
        char *end;
        double v = strtod(p, &end);
        if (end == p)
            return false;
        if (*end == ':') {
            double clock;
            const char *next = read_clock(end, fabs(v), &clock);
            if (!next)
                return false;
            seconds += *p == '-' ? -clock : clock;
            p = next;
            continue;
        }
        p = end + strspn(end, " ");
        size_t n = strcspn(p, " 0123456789+-.,@\t\n");
        const struct unit *u = n > 0 ? unit_named(p, n) : NULL;
        if (n == 0 || (!u && n == 3 && strcasecmp(p, "ago") == 0)) {
            u = unit_named(unit, unit_len);
            n = 0;
        }
        if (!u)
            return false;
        months += v * u->months;
        days += v * u->days;
        seconds += v * u->seconds;
        p += n;
    }
    /* What is less than a month counts as days of thirty to the month; what is less than a day as
     * seconds. */
    double whole = trunc(months);
    days += (months - whole) * DAYS_A_MONTH;
    seconds += (days - trunc(days)) * SECONDS_A_DAY;
    if (!any || !(fabs(whole) <= MONTHS_MAX) || !isfinite(days) || !isfinite(seconds))
        return false;
    out->months = (long)(sign * whole);
    out->days = sign * trunc(days);
    out->seconds = sign * seconds;
    return true;
}
