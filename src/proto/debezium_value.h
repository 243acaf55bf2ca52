/*
 * Values of Debezium's events by their Kafka Connect schema, as the other sources and servers of
 * this program hold them (pgtype.h):
 *
 *   int8 … int64, Year, MicroDuration, NanoDuration   INTEGER, exact
 *   boolean                                           INTEGER 0, 1
 *   float, double                                     REAL; TEXT NaN
 *   string, Enum, EnumSet, Json, Xml, Interval        TEXT
 *   Uuid                                              TEXT, lower case
 *   bytes                                             BLOB
 *   Date                                              TEXT 2026-01-31
 *   Time, MicroTime, NanoTime                         TEXT 12:34:56.789
 *   Timestamp, MicroTimestamp, NanoTimestamp          TEXT 2026-01-31 12:34:56.789
 *   ZonedTimestamp                                    TEXT 2026-01-31 12:34:56.789+00:00 in UTC; of
 *                                                     MySQL without the zone
 *   Decimal, VariableScaleDecimal                     INTEGER or REAL where that is exact enough
 *                                                     (15 digits), else TEXT with all digits
 *   Bits                                              TEXT of 0 and 1; of MySQL INTEGER
 *   arrays of PostgreSQL                              TEXT {a,"b c",NULL}
 *   other arrays, maps and structs                    TEXT, JSON
 *
 * Without a schema: strings TEXT, integers INTEGER (TEXT beyond 64 bits), other numbers REAL,
 * true and false 1 and 0, arrays and objects JSON. Pure; used through debezium.h.
 */
#ifndef HA_PROTO_DEBEZIUM_VALUE_H
#define HA_PROTO_DEBEZIUM_VALUE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/value.h"
#include "proto/jsondoc.h"

/* Which system it comes from, where that makes a difference. */
enum debezium_origin { DEBEZIUM_ANY, DEBEZIUM_POSTGRES, DEBEZIUM_MYSQL };

/* `schema` NULL: there is none. Text is borrowed from `v` or lies in the arena. ERR_FORMAT where
 * the value is not what its schema says; the message does not say which one it is. */
enum err_code debezium_value(struct arena *a, enum debezium_origin origin,
                             const struct jsondoc *schema, const struct jsondoc *v,
                             struct value *out, struct err *e);

/* The type that a column of that schema gets in CREATE TABLE. In the arena, or static; NULL: no
 * memory. */
const char *debezium_declared(struct arena *a, enum debezium_origin origin,
                              const struct jsondoc *schema);

/* Is that what stands for a value which the source did not send, because it is as before? */
bool debezium_is_unavailable(const struct jsondoc *v);

#endif
