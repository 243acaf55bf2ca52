/*
 * MySQL's types and SQLite's values: which type a declared one is, and values in the text and the
 * binary protocol, both ways. Pure; any thread.
 *
 * SQLite keeps what it has no storage class for as proto/pgtype.h says, so that all protocols read
 * the same. A declared width is a promise in the binary protocol: SQLite's columns hold 64 bits
 * whatever their declaration says, and what does not fit is a fault. INTEGER, SQLite's own, has 64.
 * TINYINT(1) and BOOLEAN are TINY with the display width 1, by which drivers know a boolean.
 */
#ifndef HA_PROTO_MYSQLTYPE_H
#define HA_PROTO_MYSQLTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/reader.h"
#include "base/value.h"

enum mysqltype {
    MYSQLTYPE_DECIMAL = 0,
    MYSQLTYPE_TINY = 1,
    MYSQLTYPE_SHORT = 2,
    MYSQLTYPE_LONG = 3,
    MYSQLTYPE_FLOAT = 4,
    MYSQLTYPE_DOUBLE = 5,
    MYSQLTYPE_NULL = 6,
    MYSQLTYPE_TIMESTAMP = 7,
    MYSQLTYPE_LONGLONG = 8,
    MYSQLTYPE_INT24 = 9,
    MYSQLTYPE_DATE = 10,
    MYSQLTYPE_TIME = 11,
    MYSQLTYPE_DATETIME = 12,
    MYSQLTYPE_YEAR = 13,
    MYSQLTYPE_VARCHAR = 15,
    MYSQLTYPE_BIT = 16,
    MYSQLTYPE_JSON = 245,
    MYSQLTYPE_NEWDECIMAL = 246,
    MYSQLTYPE_ENUM = 247,
    MYSQLTYPE_SET = 248,
    MYSQLTYPE_TINY_BLOB = 249,
    MYSQLTYPE_MEDIUM_BLOB = 250,
    MYSQLTYPE_LONG_BLOB = 251,
    MYSQLTYPE_BLOB = 252,
    MYSQLTYPE_VAR_STRING = 253,
    MYSQLTYPE_STRING = 254,
    MYSQLTYPE_GEOMETRY = 255
};

/* Of a column definition's flags. */
#define MYSQLTYPE_FLAG_NOT_NULL 1u
#define MYSQLTYPE_FLAG_PRI_KEY  2u
#define MYSQLTYPE_FLAG_BLOB     16u
#define MYSQLTYPE_FLAG_UNSIGNED 32u
#define MYSQLTYPE_FLAG_BINARY   128u
#define MYSQLTYPE_FLAG_AUTO     512u
#define MYSQLTYPE_FLAG_NUMBER   32768u

struct mysqltype_ref {
    uint8_t type; /* MYSQLTYPE_NULL = not known */
    uint8_t decimals;
    uint16_t charset, flags;
    uint32_t length;  /* in bytes */
    int32_t modifier; /* of DECIMAL(p, s), as pgtype_scale() takes it; -1 = none */
};

/* By a column's declared type as SQLite keeps it; NULL and the empty text are not known. What is
 * not listed is decided by SQLite's rules of affinity; NUMERIC affinity is not known, too. */
struct mysqltype_ref mysqltype_of_declared(const char *decltype, size_t len);
/* A type for a value of an expression. */
struct mysqltype_ref mysqltype_of_value(const struct value *v);
/* One that has room for another value, too; `t` may be not known. */
struct mysqltype_ref mysqltype_widen(struct mysqltype_ref t, const struct value *v);
struct mysqltype_ref mysqltype_text(void); /* of what is not known to the end */

enum mysqltype_fault { MYSQLTYPE_FINE, MYSQLTYPE_SYNTAX, MYSQLTYPE_RANGE };

/* Appends a value, with its length in front, or NULL. On a fault nothing is appended. */
enum mysqltype_fault mysqltype_put_text(struct buf *b, const struct mysqltype_ref *t,
                                        const struct value *v);
/* The same for what is not of its type: as SQLite would print it. */
void mysqltype_put_any(struct buf *b, const struct value *v);
/* The binary protocol's; `v` is not NULL. On a fault nothing is appended. */
enum mysqltype_fault mysqltype_put_binary(struct buf *b, const struct mysqltype_ref *t,
                                          const struct value *v);

/* Over a parameter's value of this type. */
void mysqltype_skip(struct reader *r, uint8_t type);
/*
 * A parameter's value, not NULL. What is made anew is appended to `scratch`, whose bytes may move
 * until the last one is there: such a value has an offset for its data (*in_scratch). False: it is
 * not of its type; a reader that has failed, too.
 */
bool mysqltype_get(struct reader *r, uint8_t type, bool is_unsigned, struct value *out,
                   struct buf *scratch, bool *in_scratch);
/* What was sent in pieces (COM_STMT_SEND_LONG_DATA). */
struct value mysqltype_bytes(uint8_t type, const char *data, size_t len);

/* "int unsigned", as SHOW COLUMNS has it, from a declared type. Appended. */
void mysqltype_name(struct buf *b, const char *decltype, size_t len);

#endif
