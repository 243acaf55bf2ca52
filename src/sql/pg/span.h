/*
 * What an interval's text stands for: '1 year 2 mons -3 days 04:05:06.7 ago', in the parts that
 * PostgreSQL keeps apart because a month and a day have no fixed length (manual, "Interval Input").
 * The ISO 8601 forms (P1Y2M) are not read. Any thread.
 */
#ifndef HA_SQL_PG_SPAN_H
#define HA_SQL_PG_SPAN_H

#include <stdbool.h>
#include <stddef.h>

/* A time moves by whole months first (to the month's last day where there is no such day), then
 * by days, then by seconds. Any of them may be negative. */
struct pg_span {
    long months;
    double days, seconds;
};

/* `text` is terminated; `unit` is that of a number without one. False: it is no interval, or one
 * of more than 178,000,000 years. */
bool pg_span_read(const char *text, const char *unit, size_t unit_len, struct pg_span *out);

#endif
