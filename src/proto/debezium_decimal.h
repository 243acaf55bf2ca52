/* Kafka Connect's decimal numbers: a big-endian two's complement integer, and where the point
 * stands. Pure; any thread. */
#ifndef HA_PROTO_DEBEZIUM_DECIMAL_H
#define HA_PROTO_DEBEZIUM_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* PostgreSQL's numeric has up to 147,455 digits; the time is quadratic in the bytes. */
#define DEBEZIUM_DECIMAL_BYTES ((size_t)62 << 10)
#define DEBEZIUM_DECIMAL_SCALE 150000

/* Appends the number with `scale` digits behind the point (a negative one: zeros before it).
 * False, and nothing usable is appended: beyond the limits above, or no memory. */
bool debezium_put_decimal(struct buf *b, const void *unscaled, size_t len, int64_t scale);

#endif
