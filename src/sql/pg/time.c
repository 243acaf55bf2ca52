/* Reading and writing times. */
#include "sql/pg/time.h"

#include <stdio.h>
#include <string.h>

#define DAY_US 86400000000LL

/* Reads `least` to `most` digits. */
static bool digits(const char **p, const char *end, int least, int most, int *out)
{
    int n = 0, v = 0;

    while (n < most && *p < end && **p >= '0' && **p <= '9') {
        v = v * 10 + (**p - '0');
        ++*p;
        n++;
    }
    *out = v;
    return n >= least;
}

static bool accept(const char **p, const char *end, char c)
{
    if (*p >= end || **p != c)
        return false;
    ++*p;
    return true;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : days[month - 1];
}

static bool read_clock(const char **p, const char *end, struct pg_time *t)
{
    int unit = 100000;

    if (!digits(p, end, 1, 2, &t->hour) || !accept(p, end, ':') ||
        !digits(p, end, 2, 2, &t->minute))
        return false;
    if (accept(p, end, ':')) {
        if (!digits(p, end, 2, 2, &t->second))
            return false;
        if (accept(p, end, '.') || accept(p, end, ','))
            for (; *p < end && **p >= '0' && **p <= '9'; ++*p, unit /= 10)
                t->micro += (**p - '0') * unit;
    }
    t->has_time = true;
    return t->hour <= 24 && t->minute < 60 && t->second <= 60;
}

/* Z, ±hh, ±hhmm, ±hh:mm, UTC: minutes to take away. */
static bool read_zone(const char **p, const char *end, int *minutes)
{
    int h, m = 0, sign;

    *minutes = 0;
    while (accept(p, end, ' '))
        ;
    if (*p == end || accept(p, end, 'Z') || accept(p, end, 'z'))
        return true;
    if (end - *p >= 3 && memcmp(*p, "UTC", 3) == 0) {
        *p += 3;
        return true;
    }
    sign = accept(p, end, '+') ? 1 : accept(p, end, '-') ? -1 : 0;
    if (!sign || !digits(p, end, 2, 2, &h))
        return false;
    accept(p, end, ':');
    digits(p, end, 0, 2, &m);
    *minutes = sign * (h * 60 + m);
    return h < 16 && m < 60;
}

bool pg_time_read(const char *s, size_t n, struct pg_time *t)
{
    const char *p = s, *end = s + n;
    int zone = 0;

    *t = (struct pg_time){.year = 1970, .month = 1, .day = 1};
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (end - p >= 5 && p[2] != ':' && p[1] != ':') {
        if (!digits(&p, end, 4, 5, &t->year) || !accept(&p, end, '-') ||
            !digits(&p, end, 1, 2, &t->month) || !accept(&p, end, '-') ||
            !digits(&p, end, 1, 2, &t->day))
            return false;
        t->has_date = true;
        if (t->month < 1 || t->month > 12 || t->day < 1 || t->day > month_days(t->year, t->month))
            return false;
        if (p == end)
            return true;
        if (!accept(&p, end, 'T') && !accept(&p, end, ' '))
            return read_zone(&p, end, &zone) && p == end;
    }
    if (!read_clock(&p, end, t) || !read_zone(&p, end, &zone) || p != end)
        return false;
    if (zone && t->has_date)
        pg_time_from_micros(pg_time_micros(t) - zone * 60000000LL, t);
    return true;
}

int64_t pg_time_days(int year, int month, int day)
{
    /* Years that begin in March, so that the leap day is the last. */
    int64_t y = month <= 2 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400, doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int64_t pg_time_micros(const struct pg_time *t)
{
    int64_t minutes = pg_time_days(t->year, t->month, t->day) * 1440 + t->hour * 60LL + t->minute;

    return (minutes * 60 + t->second) * 1000000 + t->micro;
}

void pg_time_from_micros(int64_t us, struct pg_time *t)
{
    int64_t days = us / DAY_US, rest = us % DAY_US, era, doe, yoe, doy, mp;
    bool date = t->has_date, time = t->has_time;

    if (rest < 0) {
        rest += DAY_US;
        days--;
    }
    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    doe = days - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    *t = (struct pg_time){.day = (int)(doy - (153 * mp + 2) / 5 + 1),
                          .month = (int)(mp < 10 ? mp + 3 : mp - 9),
                          .hour = (int)(rest / 3600000000LL),
                          .minute = (int)(rest / 60000000 % 60),
                          .second = (int)(rest / 1000000 % 60),
                          .micro = (int)(rest % 1000000),
                          .has_date = date,
                          .has_time = time};
    t->year = (int)(yoe + era * 400 + (t->month <= 2 ? 1 : 0));
}

void pg_time_put(const struct pg_time *t, bool date, bool time, char out[PG_TIME_SIZE])
{
    size_t n = 0;

    out[0] = '\0';
    if (date)
        n = (size_t)snprintf(out, PG_TIME_SIZE, "%04d-%02d-%02d%s", t->year, t->month, t->day,
                             time ? " " : "");
    if (!time || n >= PG_TIME_SIZE)
        return;
    n += (size_t)snprintf(out + n, PG_TIME_SIZE - n, "%02d:%02d:%02d", t->hour, t->minute,
                          t->second);
    if (t->micro && n < PG_TIME_SIZE) {
        n += (size_t)snprintf(out + n, PG_TIME_SIZE - n, ".%06d", t->micro);
        while (out[n - 1] == '0')
            out[--n] = '\0';
    }
}
