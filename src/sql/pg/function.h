/*
 * The functions of PostgreSQL that clients call and SQLite does not have, and those that the
 * dialect's translations call (pg_…). All are SQLITE_DIRECTONLY: the schema cannot use them, since
 * the same schema is read by programs that do not have them.
 *
 * A connection's thread. Registered when a connection is opened.
 */
#ifndef HA_SQL_PG_FUNCTION_H
#define HA_SQL_PG_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_context sqlite3_context;
typedef struct sqlite3_value sqlite3_value;

struct pg_function {
    const char *name;
    int n_arg; /* -1 = any */
    void (*call)(sqlite3_context *ctx, int n, sqlite3_value **v);
    void (*final)(sqlite3_context *ctx); /* aggregates: call is their step */
    int flags;                           /* SQLITE_DETERMINISTIC */
};

/* SQLite's result code. `app` is what the functions get from sqlite3_user_data(). `flags` is
 * SQLITE_DIRECTONLY, or 0 in the catalogs' own database, whose views call them. */
int pg_functions_register(sqlite3 *db, const struct pg_function *f, size_t n, void *app, int flags);

/* All that need no catalog, those of FROM (unnest, generate_series) included. */
int pg_functions_open(sqlite3 *db, int flags);

/* The parts, each with its own table. */
int pg_function_text_open(sqlite3 *db, int flags);
int pg_function_cast_open(sqlite3 *db, int flags);
int pg_function_time_open(sqlite3 *db, int flags);
int pg_function_regexp_open(sqlite3 *db, int flags);
int pg_function_array_open(sqlite3 *db, int flags);
int pg_function_system_open(sqlite3 *db, int flags);
int pg_function_privilege_open(sqlite3 *db, int flags);
int pg_function_column_open(sqlite3 *db, int flags);
int pg_function_sum_open(sqlite3 *db, int flags);
int pg_series_open(sqlite3 *db, int flags);

/* ---- for the parts ---- */

/* The argument as text; NULL where it is NULL. *n its bytes. */
const char *pg_arg(sqlite3_value *v, size_t *n);
/* Takes the buffer's text as the result and frees the buffer; "out of memory" if it failed. */
void pg_result_buf(sqlite3_context *ctx, struct buf *b);
/* Fails with SQLITE_MISMATCH (ERR_MISMATCH) and the message. */
void pg_result_error(sqlite3_context *ctx, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* format_type(), of the types that every server has. */
void pg_format_type(sqlite3_context *ctx, int n, sqlite3_value **v);

/* ---- arrays: '{1,"a b",NULL}', or '1 2 3' as int2vector ---- */

struct pg_array {
    const char *at, *end;
    bool vector; /* numbers with blanks between, counted from 0 */
};

void pg_array_open(struct pg_array *a, const char *text, size_t n);
/* The next element into `b` (emptied); *null: it is NULL. False at the end. */
bool pg_array_next(struct pg_array *a, struct buf *b, bool *null);
/* Appends an element to an array being built: "{" before the first, "," before others. */
void pg_array_put(struct buf *b, sqlite3_value *v);
/* The same of a text; NULL = NULL. */
void pg_array_add(struct buf *b, const char *s, size_t n);

#endif
