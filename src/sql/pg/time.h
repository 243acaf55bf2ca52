/*
 * Times as text: 'YYYY-MM-DD[ T]HH:MM:SS[.ffffff][Z|±hh[:mm]]' to fields and back. Pure.
 */
#ifndef HA_SQL_PG_TIME_H
#define HA_SQL_PG_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_TIME_SIZE 48 /* bytes of any text that is made here */

struct pg_time {
    int year, month, day, hour, minute, second, micro; /* UTC */
    bool has_date, has_time;
};

/* False: it is no time. An offset is applied, so that the fields are UTC. */
bool pg_time_read(const char *s, size_t n, struct pg_time *t);
/* Microseconds since 1970-01-01 00:00, and back. */
int64_t pg_time_micros(const struct pg_time *t);
void pg_time_from_micros(int64_t us, struct pg_time *t);
/* Days since 1970-01-01. */
int64_t pg_time_days(int year, int month, int day);
/* 'YYYY-MM-DD HH:MM:SS[.f…]', only the date, only the time. */
void pg_time_put(const struct pg_time *t, bool date, bool time, char out[PG_TIME_SIZE]);

#endif
