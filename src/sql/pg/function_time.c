/* date_trunc, date_part, to_char, to_timestamp, age, interval arithmetic; and casts to times. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "sql/pg/function.h"
#include "sql/pg/span.h"
#include "sql/pg/time.h"

#define YEAR_MAX    9999 /* of SQLite's own functions, too */
#define SPAN_MAX_US 4e17 /* some 12,000 years */

/* It looks like a time, so its fields must be what is wrong. */
static bool looks_like_time(const char *s)
{
    return *s >= '0' && *s <= '9' && strpbrk(s, "-:") && s[strspn(s, "0123456789-:.+ TZ")] == '\0';
}

/* Text, or seconds since 1970 as SQLite programs keep them. Answers 1, 0 = NULL, -1 = failed. */
static int read_as(sqlite3_context *ctx, sqlite3_value *v, const char *type, struct pg_time *t)
{
    size_t n;
    const char *s;

    switch (sqlite3_value_type(v)) {
    case SQLITE_NULL:
        return 0;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        t->has_date = t->has_time = true;
        pg_time_from_micros((int64_t)(sqlite3_value_double(v) * 1e6), t);
        return 1;
    default:
        s = pg_arg(v, &n);
        if (s && n == 3 && strncasecmp(s, "now", 3) == 0) {
            t->has_date = t->has_time = true;
            pg_time_from_micros(clock_wall_ns() / 1000, t);
            return 1;
        }
        if (s && pg_time_read(s, n, t))
            return 1;
        s = s ? s : "";
        if (looks_like_time(s))
            pg_result_error(ctx, "date/time field value out of range: \"%.80s\"", s);
        else
            pg_result_error(ctx, "invalid input syntax for type %s: \"%.80s\"", type, s);
        return -1;
    }
}

static int read_arg(sqlite3_context *ctx, sqlite3_value *v, struct pg_time *t)
{
    return read_as(ctx, v, "timestamp", t);
}

static void put(sqlite3_context *ctx, const struct pg_time *t, bool date, bool time)
{
    char out[PG_TIME_SIZE];

    pg_time_put(t, date, time, out);
    sqlite3_result_text(ctx, out, -1, SQLITE_TRANSIENT);
}

/* ---- casts ---- */

static void to_date(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_time t;

    (void)n;
    if (read_as(ctx, v[0], "date", &t) == 1)
        put(ctx, &t, true, false);
}

static void to_time(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_time t;

    (void)n;
    if (read_as(ctx, v[0], "time", &t) == 1)
        put(ctx, &t, false, true);
}

static void to_timestamp(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_time t;

    (void)n;
    if (read_arg(ctx, v[0], &t) == 1)
        put(ctx, &t, true, true);
}

/* ---- fields ---- */

static int day_of_week(const struct pg_time *t)
{
    int64_t d = (pg_time_days(t->year, t->month, t->day) + 4) % 7;

    return (int)(d < 0 ? d + 7 : d);
}

/* The Thursday of the ISO week decides its year. */
static int iso_week(const struct pg_time *t, int *year)
{
    int64_t days = pg_time_days(t->year, t->month, t->day);
    int dow = (day_of_week(t) + 6) % 7; /* Monday is 0 */
    struct pg_time thursday = *t;

    pg_time_from_micros((days - dow + 3) * 86400000000LL, &thursday);
    *year = thursday.year;
    return (int)((pg_time_days(thursday.year, thursday.month, thursday.day) -
                  pg_time_days(thursday.year, 1, 1)) /
                 7) +
           1;
}

static int day_of_year(const struct pg_time *t)
{
    return (int)(pg_time_days(t->year, t->month, t->day) - pg_time_days(t->year, 1, 1)) + 1;
}

static int quarter(const struct pg_time *t)
{
    return (t->month - 1) / 3 + 1;
}

static bool field(const struct pg_time *t, const char *name, double *out)
{
    int year;

#define IS(s) (strcasecmp(name, s) == 0)
    if (IS("year"))
        *out = t->year;
    else if (IS("month"))
        *out = t->month;
    else if (IS("day"))
        *out = t->day;
    else if (IS("hour"))
        *out = t->hour;
    else if (IS("minute"))
        *out = t->minute;
    else if (IS("second"))
        *out = t->second + t->micro / 1e6;
    else if (IS("milliseconds"))
        *out = t->second * 1e3 + t->micro / 1e3;
    else if (IS("microseconds"))
        *out = t->second * 1e6 + t->micro;
    else if (IS("epoch"))
        *out = (double)pg_time_micros(t) / 1e6;
    else if (IS("dow"))
        *out = day_of_week(t);
    else if (IS("isodow"))
        *out = day_of_week(t) ? day_of_week(t) : 7;
    else if (IS("doy"))
        *out = day_of_year(t);
    else if (IS("quarter"))
        *out = quarter(t);
    else if (IS("week"))
        *out = iso_week(t, &year);
    else if (IS("isoyear")) {
        iso_week(t, &year);
        *out = year;
    } else if (IS("decade"))
        *out = floor(t->year / 10.0);
    else if (IS("century"))
        *out = ceil(t->year / 100.0);
    else if (IS("timezone"))
        *out = 0;
    else
        return false;
    return true;
}

static void date_part(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *name = pg_arg(v[0], &len);
    struct pg_time t;
    double d;

    (void)n;
    if (!name || read_arg(ctx, v[1], &t) != 1)
        return;
    if (!field(&t, name, &d))
        pg_result_error(ctx, "unit \"%.40s\" not recognized for type timestamp", name);
    else if (d == (double)(int64_t)d)
        sqlite3_result_int64(ctx, (int64_t)d);
    else
        sqlite3_result_double(ctx, d);
}

static void date_trunc(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    static const char *const units[] = {"microseconds", "milliseconds", "second", "minute",
                                        "hour",         "day",          "month",  "year"};
    size_t len, unit = 0;
    const char *name = pg_arg(v[0], &len);
    struct pg_time t;
    bool week, quarter;

    (void)n;
    if (!name || read_arg(ctx, v[1], &t) != 1)
        return;
    week = IS("week");
    quarter = IS("quarter");
    while (unit < 8 && !IS(units[unit]))
        unit++;
    if (week || quarter)
        unit = week ? 5 : 6;
    if (unit == 8 && !IS("decade") && !IS("century")) {
        pg_result_error(ctx, "unit \"%.40s\" not recognized for type timestamp", name);
        return;
    }
    if (unit == 8)
        t.year -= IS("decade") ? t.year % 10 : (t.year - 1) % 100;
#undef IS
    if (unit >= 1)
        t.micro = unit == 1 ? t.micro / 1000 * 1000 : 0;
    if (unit >= 3)
        t.second = 0;
    if (unit >= 4)
        t.minute = 0;
    if (unit >= 5)
        t.hour = 0;
    if (week)
        pg_time_from_micros(pg_time_micros(&t) - (day_of_week(&t) + 6) % 7 * 86400000000LL, &t);
    if (unit >= 6)
        t.day = 1;
    if (quarter)
        t.month -= (t.month - 1) % 3;
    if (unit >= 7)
        t.month = 1;
    put(ctx, &t, true, true);
}

/* ---- to_char ---- */

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* One pattern of to_char() at p: bytes of it, 0: it is none. */
static size_t pattern(const char *p, const struct pg_time *t, bool fill, struct buf *b)
{
    int year, hour12 = t->hour % 12 ? t->hour % 12 : 12;
    int week = iso_week(t, &year);
    const struct {
        const char *text;
        int width, value;
    } numbers[] = {
        /* longer ones before those that they begin with */
        {"YYYY", 4, t->year},       {"YY", 2, t->year % 100},
        {"IYYY", 4, year},          {"IW", 2, week},
        {"MM", 2, t->month},        {"MI", 2, t->minute},
        {"DDD", 3, day_of_year(t)}, {"DD", 2, t->day},
        {"HH24", 2, t->hour},       {"HH12", 2, hour12},
        {"HH", 2, hour12},          {"SSSS", 1, t->hour * 3600 + t->minute * 60 + t->second},
        {"SS", 2, t->second},       {"MS", 3, t->micro / 1000},
        {"US", 6, t->micro},        {"Q", 1, quarter(t)}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strncmp(p, numbers[i].text, strlen(numbers[i].text)) == 0) {
            buf_printf(b, "%0*d", fill ? numbers[i].width : 1, numbers[i].value);
            return strlen(numbers[i].text);
        }
#define AT(s) (strncmp(p, s, sizeof(s) - 1) == 0)
    if (AT("Month") || AT("MONTH") || AT("month") || AT("Mon") || AT("MON") || AT("mon") ||
        AT("Day") || AT("DAY") || AT("day") || AT("Dy") || AT("DY") || AT("dy")) {
        bool month = p[0] == 'M' || p[0] == 'm';
        bool longer = strncasecmp(p, "month", 5) == 0 || strncasecmp(p, "day", 3) == 0;
        const char *name = month ? months[t->month - 1] : days[day_of_week(t)];
        size_t n = longer ? strlen(name) : 3;
        for (size_t i = 0; i < n; i++) {
            char c = name[i];
            if (p[0] != 'M' && p[0] != 'D')
                c = (char)(c | 0x20);
            else if (p[1] >= 'A' && p[1] <= 'Z')
                c = (char)(c >= 'a' ? c - 32 : c);
            buf_putc(b, c);
        }
        for (; longer && fill && n < 9; n++)
            buf_putc(b, ' ');
        return longer ? (month ? 5 : 3) : (month ? 3 : 2);
    }
    if (AT("D")) {
        buf_printf(b, "%d", day_of_week(t) + 1);
        return 1;
    }
    if (AT("AM") || AT("PM") || AT("am") || AT("pm")) {
        const char *s = t->hour < 12 ? "AM" : "PM";
        buf_puts(b, p[0] >= 'a' ? (t->hour < 12 ? "am" : "pm") : s);
        return 2;
    }
    if (AT("TZ") || AT("tz")) {
        buf_puts(b, p[0] == 'T' ? "UTC" : "utc");
        return 2;
    }
#undef AT
    return 0;
}

static void to_char_number(sqlite3_context *ctx, sqlite3_value *v, const char *format)
{
    const char *point = strpbrk(format, ".D");
    int decimals = 0;
    bool fill = strncasecmp(format, "FM", 2) == 0, zeros = strchr(format, '0') != NULL;
    int whole = 0;
    char out[128];

    for (const char *p = format; *p; p++)
        if (*p == '9' || *p == '0') {
            if (point && p > point)
                decimals++;
            else
                whole++;
        }
    snprintf(out, sizeof out, zeros ? "%0*.*f" : "%*.*f",
             fill && !zeros ? 0 : whole + (decimals ? decimals + 1 : 0) + (fill ? 0 : 1), decimals,
             sqlite3_value_double(v));
    sqlite3_result_text(ctx, out, -1, SQLITE_TRANSIENT);
}

static void to_char(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, used;
    const char *p = pg_arg(v[1], &len);
    struct buf b = BUF_INIT;
    struct pg_time t;

    (void)n;
    if (!p || sqlite3_value_type(v[0]) == SQLITE_NULL)
        return;
    if (sqlite3_value_type(v[0]) != SQLITE_TEXT) {
        to_char_number(ctx, v[0], p);
        return;
    }
    if (read_arg(ctx, v[0], &t) != 1)
        return;
    while (*p) {
        bool fill = strncmp(p, "FM", 2) != 0;
        if (!fill)
            p += 2;
        if (*p == '"') {
            for (p++; *p && *p != '"'; p++)
                buf_putc(&b, *p);
            p += *p == '"';
        } else if ((used = pattern(p, &t, fill, &b)) != 0) {
            p += used;
        } else if (*p) {
            buf_putc(&b, *p++);
        }
    }
    pg_result_buf(ctx, &b);
}

/* to_date(text, format), to_timestamp(text, format): fields by name, anything between them. */
static void from_format(sqlite3_context *ctx, sqlite3_value **v, bool time)
{
    static const struct {
        const char *name;
        size_t width, at;
    } fields[] = {{"YYYY", 4, 0}, {"MM", 2, 1}, {"DD", 2, 2}, {"HH24", 2, 3},
                  {"HH", 2, 3},   {"MI", 2, 4}, {"SS", 2, 5}, {"US", 6, 6}};
    size_t s_len, f_len;
    const char *s = pg_arg(v[0], &s_len), *f = pg_arg(v[1], &f_len);
    int value[7] = {1970, 1, 1, 0, 0, 0, 0};
    struct pg_time t;

    if (!s || !f)
        return;
    while (*f) {
        size_t k = 0;
        while (k < 8 && strncasecmp(f, fields[k].name, strlen(fields[k].name)) != 0)
            k++;
        if (k == 8) {
            f++;
            s += *s != '\0';
            continue;
        }
        f += strlen(fields[k].name);
        value[fields[k].at] = 0;
        for (size_t i = 0; i < fields[k].width && *s >= '0' && *s <= '9'; i++)
            value[fields[k].at] = value[fields[k].at] * 10 + (*s++ - '0');
    }
    t = (struct pg_time){value[0], value[1], value[2], value[3], value[4],
                         value[5], value[6], true,     true};
    if (t.month < 1 || t.month > 12 || t.day < 1 || t.day > 31)
        pg_result_error(ctx, "date/time field value out of range");
    else
        put(ctx, &t, true, time);
}

static void to_date2(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    from_format(ctx, v, false);
}

static void to_timestamp2(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    from_format(ctx, v, true);
}

/* ---- intervals ---- */

static void shift(sqlite3_context *ctx, sqlite3_value **v, int sign)
{
    size_t n;
    const char *s = pg_arg(v[1], &n);
    struct pg_time t;
    struct pg_span span;
    int64_t month;
    int day;

    if (!s || read_arg(ctx, v[0], &t) != 1)
        return;
    if (strlen(s) != n || !pg_span_read(s, "s", 1, &span)) {
        pg_result_error(ctx, "invalid input syntax for type interval: \"%.80s\"", s);
        return;
    }
    month = (int64_t)t.year * 12 + t.month - 1 + sign * (int64_t)span.months;
    double us = sign * (span.days * 86400 + span.seconds) * 1e6;
    if (month < 0 || month / 12 > YEAR_MAX || fabs(us) > SPAN_MAX_US) {
        pg_result_error(ctx, "timestamp out of range");
        return;
    }
    t.year = (int)(month / 12);
    t.month = (int)(month % 12) + 1;
    for (day = t.day; day > 28 && pg_time_days(t.year, t.month, day) >=
                                      (t.month == 12 ? pg_time_days(t.year + 1, 1, 1)
                                                     : pg_time_days(t.year, t.month + 1, 1));)
        day--;
    t.day = day;
    pg_time_from_micros(pg_time_micros(&t) + llround(us), &t);
    put(ctx, &t, true, true);
}

static void add_interval(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    shift(ctx, v, 1);
}

static void subtract_interval(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    shift(ctx, v, -1);
}

/* age(a, b): years, months, days and the clock between them. */
static void age(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_time a, b;
    int64_t us, month;
    struct buf out = BUF_INIT;
    bool minus;

    if (n == 1) {
        a = (struct pg_time){.has_date = true};
        pg_time_from_micros(clock_wall_ns() / 1000 / 86400000000LL * 86400000000LL, &a);
        if (read_arg(ctx, v[0], &b) != 1)
            return;
    } else if (read_arg(ctx, v[0], &a) != 1 || read_arg(ctx, v[1], &b) != 1) {
        return;
    }
    minus = pg_time_micros(&a) < pg_time_micros(&b);
    if (minus) {
        struct pg_time swap = a;
        a = b;
        b = swap;
    }
    month = (a.year - b.year) * 12 + a.month - b.month;
    us = (a.day - b.day) * 86400000000LL + (a.hour - b.hour) * 3600000000LL +
         (a.minute - b.minute) * 60000000LL + (a.second - b.second) * 1000000LL + a.micro - b.micro;
    if (us < 0) {
        month--;
        us +=
            (pg_time_days(b.month == 12 ? b.year + 1 : b.year, b.month == 12 ? 1 : b.month + 1, 1) -
             pg_time_days(b.year, b.month, 1)) *
            86400000000LL;
    }
#define PART(value, name)                                                                          \
    if (value)                                                                                     \
    buf_printf(&out, "%s%s%lld %s%s", out.len ? " " : "", minus ? "-" : "", (long long)(value),    \
               name, (value) == 1 && !minus ? "" : "s")
    PART(month / 12, "year");
    PART(month % 12, "mon");
    PART(us / 86400000000LL, "day");
#undef PART
    us %= 86400000000LL;
    if (us || out.len == 0)
        buf_printf(&out, "%s%s%02d:%02d:%02d", out.len ? " " : "", minus && us ? "-" : "",
                   (int)(us / 3600000000LL), (int)(us / 60000000 % 60), (int)(us / 1000000 % 60));
    pg_result_buf(ctx, &out);
}

int pg_function_time_open(sqlite3 *db, int flags)
{
    enum { D = SQLITE_DETERMINISTIC };
    static const struct pg_function functions[] = {
        {"pg_date", 1, to_date, NULL, 0},
        {"pg_time", 1, to_time, NULL, 0},
        {"pg_timestamp", 1, to_timestamp, NULL, 0},
        {"to_timestamp", 1, to_timestamp, NULL, D},
        {"to_timestamp", 2, to_timestamp2, NULL, D},
        {"to_date", 2, to_date2, NULL, D},
        {"date_part", 2, date_part, NULL, 0},
        {"date_trunc", 2, date_trunc, NULL, 0},
        {"date_trunc", 3, date_trunc, NULL, 0},
        {"to_char", 2, to_char, NULL, 0},
        {"age", 1, age, NULL, 0},
        {"age", 2, age, NULL, 0},
        {"pg_add_interval", 2, add_interval, NULL, 0},
        {"pg_subtract_interval", 2, subtract_interval, NULL, 0},
    };

    return pg_functions_register(db, functions, sizeof functions / sizeof functions[0], NULL,
                                 flags);
}
