/*
 * Moments of Debezium's events, counted in units since 1970-01-01 or midnight, as text: as
 * PostgreSQL writes them (ISO), with as many digits behind the second as are not zero. Pure.
 */
#ifndef HA_PROTO_DEBEZIUM_TIME_H
#define HA_PROTO_DEBEZIUM_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

void debezium_put_date(struct buf *b, int64_t days);
/* `per_second`: 1000 for milliseconds … A time may be negative, and longer than a day (MySQL). */
void debezium_put_time(struct buf *b, int64_t units, int64_t per_second);
void debezium_put_timestamp(struct buf *b, int64_t units, int64_t per_second);

/* ISO 8601 as Debezium writes it ("2026-01-31T12:34:56.789Z", "+12026-01-01T00:00:00Z"): appended
 * as PostgreSQL does, in UTC. With `zone`, "+00:00" stands behind it. What is none of that
 * ("infinity") is appended as it stands. */
void debezium_put_zoned(struct buf *b, const char *text, size_t len, bool zone);

#endif
