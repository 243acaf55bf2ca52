/*
 * PostgreSQL's types and SQLite's values: which type a declared one is, and values in both formats
 * and both directions. Pure; any thread.
 *
 * How SQLite holds what it has no storage class for:
 *   bool         INTEGER 0 and 1
 *   date         TEXT 2026-01-31          (read, too: unix seconds as INTEGER, Julian day as REAL)
 *   time         TEXT 12:34:56.789
 *   timestamp    TEXT 2026-01-31 12:34:56.789
 *   timestamptz  TEXT 2026-01-31 12:34:56.789+00:00, always UTC
 *                (dates and both timestamps are read from TEXT infinity and -infinity, too)
 *   uuid         TEXT, lower case         (read, too: BLOB of 16 bytes)
 *   bytea        BLOB                     (read, too: TEXT \x00ff)
 *   json, jsonb  TEXT
 *   numeric      INTEGER or REAL where that is exact enough (15 digits), else TEXT
 */
#ifndef HA_PROTO_PGTYPE_H
#define HA_PROTO_PGTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/value.h"

enum pgtype {
    PGTYPE_NONE = 0,
    PGTYPE_BOOL = 16,
    PGTYPE_BYTEA = 17,
    PGTYPE_CHAR = 18,
    PGTYPE_NAME = 19,
    PGTYPE_INT8 = 20,
    PGTYPE_INT2 = 21,
    PGTYPE_INT2VECTOR = 22,
    PGTYPE_INT4 = 23,
    PGTYPE_REGPROC = 24,
    PGTYPE_TEXT = 25,
    PGTYPE_OID = 26,
    PGTYPE_OIDVECTOR = 30,
    PGTYPE_JSON = 114,
    PGTYPE_FLOAT4 = 700,
    PGTYPE_FLOAT8 = 701,
    PGTYPE_UNKNOWN = 705,
    PGTYPE_NAME_ARRAY = 1003,
    PGTYPE_INT4_ARRAY = 1007,
    PGTYPE_TEXT_ARRAY = 1009,
    PGTYPE_INT8_ARRAY = 1016,
    PGTYPE_BPCHAR = 1042,
    PGTYPE_VARCHAR = 1043,
    PGTYPE_DATE = 1082,
    PGTYPE_TIME = 1083,
    PGTYPE_TIMESTAMP = 1114,
    PGTYPE_TIMESTAMPTZ = 1184,
    PGTYPE_INTERVAL = 1186,
    PGTYPE_TIMETZ = 1266,
    PGTYPE_NUMERIC = 1700,
    PGTYPE_REGCLASS = 2205,
    PGTYPE_REGTYPE = 2206,
    PGTYPE_VOID = 2278,
    PGTYPE_UUID = 2950,
    PGTYPE_JSONB = 3802
};

struct pgtype_ref {
    uint32_t oid;     /* PGTYPE_NONE = not known */
    int32_t modifier; /* of varchar(n), numeric(p,s) …; -1 = none */
};

/* By a column's declared type as SQLite keeps it, or a type's name in a cast; NULL and the empty
 * text are PGTYPE_NONE. Anything not listed is decided by SQLite's rules of affinity. */
struct pgtype_ref pgtype_of_declared(const char *decltype, size_t len);
int16_t pgtype_size(uint32_t oid);     /* of RowDescription; -1 = variable */
const char *pgtype_name(uint32_t oid); /* as error messages say it: "timestamp without time zone" */

/* A type for a value of an expression that says nothing else. */
uint32_t pgtype_of_value(const struct value *v);

/* Why a conversion failed. */
enum pgtype_fault {
    PGTYPE_FINE,
    PGTYPE_SYNTAX,
    PGTYPE_RANGE,
    PGTYPE_NO_BINARY,
    PGTYPE_ENCODING /* not UTF-8, or it has a NUL: pgtype_bad_bytes() */
};
/* SQLSTATE of a fault for this type: 22P02, 22003, 22007, 0A000, 22021 */
const char *pgtype_sqlstate(uint32_t oid, enum pgtype_fault fault);

/* The bytes that are no character, as PostgreSQL's messages show them: "0xe2 0x28 0xa1". */
#define PGTYPE_BAD_BYTES 24
void pgtype_bad_bytes(const char *data, size_t len, char out[PGTYPE_BAD_BYTES]);

/* Appends length word and value, NULL too, as type `oid`. On a fault nothing is appended. */
enum pgtype_fault pgtype_put(struct buf *b, uint32_t oid, bool binary, const struct value *v);
/* The text format alone, without a length word (COPY); v is not NULL. */
enum pgtype_fault pgtype_put_text(struct buf *b, uint32_t oid, const struct value *v);

/* A parameter (not NULL) to a value. Borrows `data`, or appends to `scratch`, whose bytes may move
 * until the last call: such a value has its data as an offset, see pgtype_settle(). */
enum pgtype_fault pgtype_get(uint32_t oid, bool binary, const char *data, size_t len,
                             struct value *out, struct buf *scratch, bool *in_scratch);
/* Turns the offset of a value that is in scratch into a pointer, once scratch does not grow any
 * more. */
void pgtype_settle(struct value *v, const struct buf *scratch);

/* PGTYPE_NONE where there is none that is known. */
uint32_t pgtype_array_of(uint32_t element);
uint32_t pgtype_element_of(uint32_t array);

/* ---- parts, shared by the files of pgtype ---- */

/* An element of an array's text, appended, in quotes where it needs them; `s` NULL is NULL. */
void pgtype_array_element(struct buf *b, const char *s, size_t n);
/* The binary format of an array to its text, appended, and back: `v` is a text. Of one dimension;
 * PGTYPE_NO_BINARY for more. */
enum pgtype_fault pgtype_array_get(uint32_t array, const char *data, size_t len, struct buf *out);
enum pgtype_fault pgtype_array_put(struct buf *b, uint32_t array, const struct value *v);

/* Microseconds since 2000-01-01 00:00, or of the day (time). `zone_s` is the offset that was
 * written, *has_zone tells whether one was. */
bool pgtype_parse_timestamp(const char *s, size_t len, int64_t *us, int *zone_s, bool *has_zone);
bool pgtype_parse_time(const char *s, size_t len, int64_t *us);
bool pgtype_time_of_value(const struct value *v, uint32_t oid, int64_t *us);
/* As that type is written, without a zone. */
void pgtype_format_moment(struct buf *b, uint32_t oid, int64_t us);

/* 32 hexadecimal digits, with or without dashes and braces, in any case, as a UUID is written.
 * False where they are something else: what was appended is of no use then. */
bool pgtype_format_uuid(struct buf *b, const char *s, size_t len);

bool pgtype_is_numeric_text(const char *s, size_t len);
/* The shortest text that reads back as the same double; "1.0" and "1e+20" as SQLite has them, or
 * "1" and "1e+20" as PostgreSQL's float8 has them. */
void pgtype_format_double(struct buf *b, double r, bool sqlite);
void pgtype_format_decimal(struct buf *b, double r); /* without an exponent */
/* A number as numeric(p, s) shows it, with s digits behind the point, rounded or with zeros; false:
 * the value is none, or the modifier says no s. `modifier` is that of a pgtype_ref. */
bool pgtype_scale(struct buf *out, int32_t modifier, const struct value *v);
/* Decimal text to numeric's binary form, and back. False if it is no number. */
bool pgtype_numeric_put(struct buf *b, const char *s, size_t len);
bool pgtype_numeric_get(struct buf *b, const char *data, size_t len);

#endif
