/*
 * PostgreSQL's COPY statement, taken apart: which table or query, which way, which options. Both
 * spellings of the options are read, WITH (FORMAT csv, …) and the older WITH CSV HEADER ….
 *
 * Everything that is handed out lives in the arena. Pure; any thread. Errors: ERR_SYNTAX with
 * e->offset, ERR_UNSUPPORTED (files and programs of the server, WHERE, encodings other than UTF-8),
 * ERR_PARAM and ERR_UNSUPPORTED of copy_options_check().
 */
#ifndef HA_SQL_PG_COPY_H
#define HA_SQL_PG_COPY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "proto/pgcopy.h"

struct pg_copy_names {
    const char **list; /* unquoted */
    unsigned n;
    bool all; /* FORCE_QUOTE * */
};

struct pg_copy {
    bool reading;      /* COPY … FROM STDIN */
    const char *query; /* COPY (query) TO STDOUT: the client's text; NULL = a table */
    size_t query_len;
    const char *table;            /* unquoted, without its schema */
    struct pg_copy_names columns; /* n = 0: none named */
    struct copy_options options;  /* its force_ arrays are not set yet: */
    struct pg_copy_names force_quote, force_not_null, force_null;
};

enum err_code pg_copy_parse(struct arena *a, const char *sql, size_t len, struct pg_copy *out,
                            struct err *e);

/* Once the columns are known: turns the names of the FORCE_ options into the arrays of
 * out->options, and checks the options as a whole. A name that is no column is ERR_NO_COLUMN. */
enum err_code pg_copy_resolve(struct arena *a, struct pg_copy *c, const char *const *names,
                              unsigned n, struct err *e);

#endif
