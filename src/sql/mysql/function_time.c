/*
 * Moments: DATE_FORMAT, STR_TO_DATE, intervals, differences. They are texts, as SQLite has them; a
 * text that is no moment is NULL, as in MySQL.
 */
#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "sql/mysql/function.h"
#include "sql/pg/function.h"
#include "sql/pg/time.h"

#define D          SQLITE_DETERMINISTIC
#define US_S       INT64_C(1000000)
#define US_DAY     (86400 * US_S)
#define YEAR_LEAST 1
#define YEAR_MOST  9999

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

static bool read_moment(sqlite3_value *v, struct pg_time *t)
{
    size_t n;
    const char *s = sqlite3_value_type(v) == SQLITE_NULL ? NULL : pg_arg(v, &n);

    return s && pg_time_read(s, n, t);
}

static void put_moment(sqlite3_context *ctx, const struct pg_time *t, bool date, bool time)
{
    char text[PG_TIME_SIZE];

    if (date && (t->year < YEAR_LEAST || t->year > YEAR_MOST))
        return;
    pg_time_put(t, date, time, text);
    sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

/* ---- DATE_FORMAT ---- */

static int weekday(const struct pg_time *t)
{
    int64_t d = (pg_time_days(t->year, t->month, t->day) + 4) % 7;

    return (int)(d < 0 ? d + 7 : d);
}

static int day_of_year(const struct pg_time *t)
{
    return (int)(pg_time_days(t->year, t->month, t->day) - pg_time_days(t->year, 1, 1)) + 1;
}

/* Weeks that begin on Sunday (0) or Monday (1), 00 before the first of them. */
static int week(const struct pg_time *t, int first)
{
    int d = (weekday(t) + 7 - first) % 7;

    return (day_of_year(t) + 6 - d) / 7;
}

static void put_specifier(struct buf *b, char c, const struct pg_time *t)
{
    static const char *const suffixes[] = {"th", "st", "nd", "rd"};
    int hour12 = t->hour % 12 == 0 ? 12 : t->hour % 12;

    switch (c) {
    case 'Y':
        buf_printf(b, "%04d", t->year);
        break;
    case 'y':
        buf_printf(b, "%02d", t->year % 100);
        break;
    case 'm':
        buf_printf(b, "%02d", t->month);
        break;
    case 'c':
        buf_printf(b, "%d", t->month);
        break;
    case 'M':
        buf_puts(b, months[t->month - 1]);
        break;
    case 'b':
        buf_put(b, months[t->month - 1], 3);
        break;
    case 'd':
        buf_printf(b, "%02d", t->day);
        break;
    case 'e':
        buf_printf(b, "%d", t->day);
        break;
    case 'D':
        buf_printf(b, "%d%s", t->day,
                   suffixes[t->day % 10 < 4 && t->day / 10 != 1 ? t->day % 10 : 0]);
        break;
    case 'j':
        buf_printf(b, "%03d", day_of_year(t));
        break;
    case 'W':
        buf_puts(b, days[weekday(t)]);
        break;
    case 'a':
        buf_put(b, days[weekday(t)], 3);
        break;
    case 'w':
        buf_printf(b, "%d", weekday(t));
        break;
    case 'U':
        buf_printf(b, "%02d", week(t, 0));
        break;
    case 'u':
        buf_printf(b, "%02d", week(t, 1));
        break;
    case 'H':
        buf_printf(b, "%02d", t->hour);
        break;
    case 'k':
        buf_printf(b, "%d", t->hour);
        break;
    case 'h':
    case 'I':
        buf_printf(b, "%02d", hour12);
        break;
    case 'l':
        buf_printf(b, "%d", hour12);
        break;
    case 'i':
        buf_printf(b, "%02d", t->minute);
        break;
    case 's':
    case 'S':
        buf_printf(b, "%02d", t->second);
        break;
    case 'f':
        buf_printf(b, "%06d", t->micro);
        break;
    case 'p':
        buf_puts(b, t->hour < 12 ? "AM" : "PM");
        break;
    case 'T':
        buf_printf(b, "%02d:%02d:%02d", t->hour, t->minute, t->second);
        break;
    case 'r':
        buf_printf(b, "%02d:%02d:%02d %s", hour12, t->minute, t->second,
                   t->hour < 12 ? "AM" : "PM");
        break;
    default:
        buf_putc(b, c);
        break;
    }
}

static void date_format(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_time t;
    size_t len;
    const char *f = pg_arg(v[1], &len);
    struct buf b = BUF_INIT;

    (void)n;
    if (!f || !read_moment(v[0], &t))
        return;
    if (!t.has_date) { /* a time alone: of no particular day */
        t.year = 2000;
        t.month = t.day = 1;
    }
    for (size_t i = 0; i < len; i++) {
        if (f[i] == '%' && i + 1 < len)
            put_specifier(&b, f[++i], &t);
        else
            buf_putc(&b, f[i]);
    }
    pg_result_buf(ctx, &b);
}

/* ---- STR_TO_DATE ---- */

static bool take_number(const char **p, const char *end, unsigned most, int *out)
{
    unsigned n = 0;

    for (*out = 0; *p < end && n < most && **p >= '0' && **p <= '9'; (*p)++, n++)
        *out = *out * 10 + (**p - '0');
    return n > 0;
}

static bool take_month(const char **p, const char *end, bool is_short, int *out)
{
    for (int i = 0; i < 12; i++) {
        size_t n = is_short ? 3 : strlen(months[i]);
        if ((size_t)(end - *p) >= n && strncasecmp(*p, months[i], n) == 0) {
            *p += n;
            *out = i + 1;
            return true;
        }
    }
    return false;
}

static bool take_specifier(char c, const char **p, const char *end, struct pg_time *t, int *pm)
{
    int n;

    switch (c) {
    case 'Y':
        t->has_date = true;
        return take_number(p, end, 4, &t->year);
    case 'y':
        t->has_date = true;
        if (!take_number(p, end, 2, &n))
            return false;
        t->year = n < 70 ? 2000 + n : 1900 + n;
        return true;
    case 'm':
    case 'c':
        t->has_date = true;
        return take_number(p, end, 2, &t->month);
    case 'M':
    case 'b':
        t->has_date = true;
        return take_month(p, end, c == 'b', &t->month);
    case 'd':
    case 'e':
        t->has_date = true;
        return take_number(p, end, 2, &t->day);
    case 'H':
    case 'k':
    case 'h':
    case 'I':
    case 'l':
        t->has_time = true;
        return take_number(p, end, 2, &t->hour);
    case 'i':
        t->has_time = true;
        return take_number(p, end, 2, &t->minute);
    case 's':
    case 'S':
        t->has_time = true;
        return take_number(p, end, 2, &t->second);
    case 'f': {
        const char *from = *p;
        t->has_time = true;
        if (!take_number(p, end, 6, &t->micro))
            return false;
        for (long k = *p - from; k < 6; k++)
            t->micro *= 10;
        return true;
    }
    case 'p':
        if (end - *p < 2)
            return false;
        *pm = strncasecmp(*p, "PM", 2) == 0;
        *p += 2;
        return true;
    case 'T':
        t->has_time = true;
        return take_number(p, end, 2, &t->hour) && *p < end && *(*p)++ == ':' &&
               take_number(p, end, 2, &t->minute) && *p < end && *(*p)++ == ':' &&
               take_number(p, end, 2, &t->second);
    default:
        return false;
    }
}

static void str_to_date(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_time t = {.year = 0, .month = 0, .day = 0};
    size_t len, f_len;
    const char *s = pg_arg(v[0], &len), *f = pg_arg(v[1], &f_len);
    int pm = -1;

    (void)n;
    if (!s || !f)
        return;
    const char *p = s, *end = s + len;
    for (size_t i = 0; i < f_len; i++) {
        if (f[i] == '%' && i + 1 < f_len) {
            if (!take_specifier(f[++i], &p, end, &t, &pm))
                return;
        } else if (f[i] == ' ') {
            while (p < end && *p == ' ')
                p++;
        } else if (p == end || *p++ != f[i]) {
            return;
        }
    }
    if (pm >= 0)
        t.hour = t.hour % 12 + (pm ? 12 : 0);
    if ((t.has_date && (t.month < 1 || t.month > 12 || t.day < 1 || t.day > 31)) || t.hour > 23 ||
        t.minute > 59 || t.second > 59)
        return;
    put_moment(ctx, &t, t.has_date, t.has_time);
}

/* ---- intervals ---- */

struct span {
    int64_t months, micros;
    bool time; /* the result has a time of day */
};

/* '1 2:30' by fields: as many as the unit has, from the right. */
static bool compound(const char *text, const double *factors, unsigned n, struct span *s)
{
    double fields[5] = {0}, micros = 0;
    unsigned count = 0;
    bool negative = false;
    const char *p = text;

    while (*p && count < 5) {
        if (*p == '-' && count == 0)
            negative = true;
        if (*p >= '0' && *p <= '9') {
            char *end;
            fields[count++] = (double)strtoll(p, &end, 10);
            p = end;
        } else {
            p++;
        }
    }
    if (count == 0 || count > n)
        return false;
    for (unsigned i = 0; i < count; i++)
        micros += fields[i] * factors[n - count + i];
    s->micros = (int64_t)(negative ? -micros : micros);
    s->time = true;
    return true;
}

static bool read_span(sqlite3_value *v, const char *unit, struct span *s)
{
    static const struct {
        const char *unit;
        double factors[5];
        unsigned n;
    } units[] = {{"DAY_HOUR", {86400e6, 3600e6}, 2},
                 {"DAY_MINUTE", {86400e6, 3600e6, 60e6}, 3},
                 {"DAY_SECOND", {86400e6, 3600e6, 60e6, 1e6}, 4},
                 {"DAY_MICROSECOND", {86400e6, 3600e6, 60e6, 1e6, 1}, 5},
                 {"HOUR_MINUTE", {3600e6, 60e6}, 2},
                 {"HOUR_SECOND", {3600e6, 60e6, 1e6}, 3},
                 {"HOUR_MICROSECOND", {3600e6, 60e6, 1e6, 1}, 4},
                 {"MINUTE_SECOND", {60e6, 1e6}, 2},
                 {"MINUTE_MICROSECOND", {60e6, 1e6, 1}, 3},
                 {"SECOND_MICROSECOND", {1e6, 1}, 2}};
    double n = sqlite3_value_double(v), whole = round(n);

    memset(s, 0, sizeof *s);
    if (!(fabs(n) < 1e12))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(units[i].unit, unit) == 0)
            return compound((const char *)sqlite3_value_text(v), units[i].factors, units[i].n, s);
    if (strcasecmp(unit, "YEAR_MONTH") == 0) {
        const char *text = (const char *)sqlite3_value_text(v);
        struct span parts;
        static const double factors[] = {12, 1};
        if (!text || !compound(text, factors, 2, &parts))
            return false;
        s->months = parts.micros; /* which are months here */
    } else if (strcasecmp(unit, "YEAR") == 0) {
        s->months = (int64_t)whole * 12;
    } else if (strcasecmp(unit, "QUARTER") == 0) {
        s->months = (int64_t)whole * 3;
    } else if (strcasecmp(unit, "MONTH") == 0) {
        s->months = (int64_t)whole;
    } else if (strcasecmp(unit, "WEEK") == 0) {
        s->micros = fabs(whole) < 1e6 ? (int64_t)whole * 7 * US_DAY : 0;
    } else if (strcasecmp(unit, "DAY") == 0) {
        s->micros = fabs(whole) < 1e7 ? (int64_t)whole * US_DAY : 0;
    } else {
        s->time = true;
        if (strcasecmp(unit, "HOUR") == 0)
            s->micros = (int64_t)fmin(fmax(whole * 3600e6, -9e17), 9e17);
        else if (strcasecmp(unit, "MINUTE") == 0)
            s->micros = (int64_t)fmin(fmax(whole * 60e6, -9e17), 9e17);
        else if (strcasecmp(unit, "SECOND") == 0)
            s->micros = (int64_t)fmin(fmax(n * 1e6, -9e17), 9e17);
        else if (strcasecmp(unit, "MICROSECOND") == 0)
            s->micros = (int64_t)whole;
        else
            return false;
    }
    return true;
}

static int days_in_month(int year, int month)
{
    return (int)(pg_time_days(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1) -
                 pg_time_days(year, month, 1));
}

static void add(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_time t;
    struct span s;
    const char *unit = (const char *)sqlite3_value_text(v[2]);

    (void)n;
    if (sqlite3_value_type(v[1]) == SQLITE_NULL || !unit || !read_moment(v[0], &t) || !t.has_date)
        return;
    if (!read_span(v[1], unit, &s)) {
        pg_result_error(ctx, "invalid interval of unit \"%.40s\"", unit);
        return;
    }
    bool time = t.has_time || s.time;
    if (s.months != 0) {
        int64_t month = (int64_t)t.year * 12 + t.month - 1 + s.months;
        if (month < 12 || month >= (int64_t)(YEAR_MOST + 1) * 12)
            return;
        t.year = (int)(month / 12);
        t.month = (int)(month % 12) + 1;
        if (t.day > days_in_month(t.year, t.month))
            t.day = days_in_month(t.year, t.month);
    }
    int64_t us = pg_time_micros(&t) + s.micros;
    if (us < pg_time_days(YEAR_LEAST, 1, 1) * US_DAY ||
        us >= pg_time_days(YEAR_MOST + 1, 1, 1) * US_DAY)
        return;
    pg_time_from_micros(us, &t);
    put_moment(ctx, &t, true, time);
}

/* Whole months between two moments. */
static int64_t month_difference(const struct pg_time *a, const struct pg_time *b)
{
    int64_t months_between = ((int64_t)b->year - a->year) * 12 + b->month - a->month;
    struct pg_time x = *a, y = *b;

    x.year = y.year = 2000;
    x.month = y.month = 1;
    if (months_between > 0 && pg_time_micros(&y) < pg_time_micros(&x))
        months_between--;
    else if (months_between < 0 && pg_time_micros(&y) > pg_time_micros(&x))
        months_between++;
    return months_between;
}

static void timestampdiff(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    static const struct {
        const char *unit;
        int64_t micros;
    } units[] = {{"MICROSECOND", 1},    {"SECOND", US_S}, {"MINUTE", 60 * US_S},
                 {"HOUR", 3600 * US_S}, {"DAY", US_DAY},  {"WEEK", 7 * US_DAY}};
    const char *unit = (const char *)sqlite3_value_text(v[0]);
    struct pg_time a, b;

    (void)n;
    if (!unit || !read_moment(v[1], &a) || !read_moment(v[2], &b))
        return;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(units[i].unit, unit) == 0) {
            sqlite3_result_int64(ctx, (pg_time_micros(&b) - pg_time_micros(&a)) / units[i].micros);
            return;
        }
    int64_t m = month_difference(&a, &b);
    if (strcasecmp(unit, "MONTH") == 0)
        sqlite3_result_int64(ctx, m);
    else if (strcasecmp(unit, "QUARTER") == 0)
        sqlite3_result_int64(ctx, m / 3);
    else if (strcasecmp(unit, "YEAR") == 0)
        sqlite3_result_int64(ctx, m / 12);
    else
        pg_result_error(ctx, "unknown unit \"%.40s\"", unit);
}

static void extract(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *unit = (const char *)sqlite3_value_text(v[0]);
    struct pg_time t;
    int64_t out;

    (void)n;
    if (!unit || !read_moment(v[1], &t))
        return;
    int64_t minutes = t.minute, hms = (int64_t)t.hour * 10000 + minutes * 100 + t.second;
    if (strcasecmp(unit, "YEAR") == 0)
        out = t.year;
    else if (strcasecmp(unit, "QUARTER") == 0)
        out = (t.month + 2) / 3;
    else if (strcasecmp(unit, "MONTH") == 0)
        out = t.month;
    else if (strcasecmp(unit, "WEEK") == 0)
        out = week(&t, 0);
    else if (strcasecmp(unit, "DAY") == 0)
        out = t.day;
    else if (strcasecmp(unit, "HOUR") == 0)
        out = t.hour;
    else if (strcasecmp(unit, "MINUTE") == 0)
        out = t.minute;
    else if (strcasecmp(unit, "SECOND") == 0)
        out = t.second;
    else if (strcasecmp(unit, "MICROSECOND") == 0)
        out = t.micro;
    else if (strcasecmp(unit, "YEAR_MONTH") == 0)
        out = (int64_t)t.year * 100 + t.month;
    else if (strcasecmp(unit, "DAY_HOUR") == 0)
        out = (int64_t)t.day * 100 + t.hour;
    else if (strcasecmp(unit, "DAY_MINUTE") == 0)
        out = ((int64_t)t.day * 100 + t.hour) * 100 + t.minute;
    else if (strcasecmp(unit, "DAY_SECOND") == 0)
        out = (int64_t)t.day * 1000000 + hms;
    else if (strcasecmp(unit, "HOUR_MINUTE") == 0)
        out = (int64_t)t.hour * 100 + t.minute;
    else if (strcasecmp(unit, "HOUR_SECOND") == 0)
        out = hms;
    else if (strcasecmp(unit, "MINUTE_SECOND") == 0)
        out = minutes * 100 + t.second;
    else {
        pg_result_error(ctx, "unknown unit \"%.40s\"", unit);
        return;
    }
    sqlite3_result_int64(ctx, out);
}

/* Seconds east of UTC; false: a zone by its name, which nobody knows here but UTC itself. */
static bool read_zone(sqlite3_value *v, int *seconds)
{
    const char *s = (const char *)sqlite3_value_text(v);
    const char *p, *end;
    int h, m;

    *seconds = 0;
    if (!s)
        return false;
    if (strcasecmp(s, "UTC") == 0 || strcasecmp(s, "SYSTEM") == 0 || strcasecmp(s, "GMT") == 0)
        return true;
    p = s + 1;
    end = s + strlen(s);
    if ((*s != '+' && *s != '-') || !take_number(&p, end, 2, &h) || p == end || *p++ != ':' ||
        !take_number(&p, end, 2, &m) || p != end || h > 14 || m > 59)
        return false;
    *seconds = (*s == '-' ? -1 : 1) * (h * 3600 + m * 60);
    return true;
}

static void convert_tz(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_time t;
    int from, to;

    (void)n;
    if (!read_moment(v[0], &t) || !t.has_date || !read_zone(v[1], &from) || !read_zone(v[2], &to))
        return;
    pg_time_from_micros(pg_time_micros(&t) + (to - from) * US_S, &t);
    put_moment(ctx, &t, true, true);
}

static void time_to_sec(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *s = (const char *)sqlite3_value_text(v[0]);
    const char *end;
    struct pg_time t;
    int64_t sign = 1, hours, minutes;
    int h, m, sec = 0;

    (void)n;
    if (!s)
        return;
    if (read_moment(v[0], &t)) {
        hours = t.hour;
        minutes = t.minute;
        sqlite3_result_int64(ctx, hours * 3600 + minutes * 60 + t.second);
        return;
    }
    end = s + strlen(s);
    if (*s == '-') {
        sign = -1;
        s++;
    }
    if (!take_number(&s, end, 3, &h) || s == end || *s++ != ':' || !take_number(&s, end, 2, &m) ||
        (s < end && (*s++ != ':' || !take_number(&s, end, 2, &sec))))
        return;
    hours = h;
    minutes = m;
    sqlite3_result_int64(ctx, sign * (hours * 3600 + minutes * 60 + sec));
}

static void sec_to_time(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    int64_t s = sqlite3_value_int64(v[0]), most = INT64_C(3020399) /* 838:59:59 */;
    char text[24];

    (void)n;
    if (sqlite3_value_type(v[0]) == SQLITE_NULL)
        return;
    bool negative = s < 0;
    s = s > most || s < -most ? most : negative ? -s : s;
    (void)snprintf(text, sizeof text, "%s%02d:%02d:%02d", negative ? "-" : "", (int)(s / 3600),
                   (int)(s / 60 % 60), (int)(s % 60));
    sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

int mysql_function_time_open(sqlite3 *db)
{
    static const struct pg_function f[] = {
        {"mysql_date_format", 2, date_format, NULL, D},
        {"mysql_str_to_date", 2, str_to_date, NULL, D},
        {"mysql_add", 3, add, NULL, D},
        {"mysql_timestampdiff", 3, timestampdiff, NULL, D},
        {"mysql_extract", 2, extract, NULL, D},
        {"mysql_convert_tz", 3, convert_tz, NULL, D},
        {"mysql_time_to_sec", 1, time_to_sec, NULL, D},
        {"mysql_sec_to_time", 1, sec_to_time, NULL, D},
    };

    return pg_functions_register(db, f, sizeof f / sizeof f[0], NULL, SQLITE_DIRECTONLY);
}
