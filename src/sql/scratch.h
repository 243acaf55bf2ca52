/*
 * Rows of several databases put together by SQLite itself: a temporary database with the table
 * "ha:rows" (cross_text.h). It grows into a temporary file where it does not stay small, and is
 * gone when it is closed. One thread.
 */
#ifndef HA_SQL_SCRATCH_H
#define HA_SQL_SCRATCH_H

#include <stdbool.h>

#include "base/err.h"
#include "base/value.h"
#include "sql/conn.h"

struct scratch;

/* For rows of `columns` columns and perhaps added ones; so far only scratch_can() works. */
enum err_code scratch_open(struct scratch **out, unsigned columns, const char *const *extensions,
                           struct err *e);
void scratch_close(struct scratch *s); /* NULL is fine; its statements are released before */
struct conn *scratch_conn(struct scratch *s);

/* A cross_probe; `arg` is the scratch. */
bool scratch_can(void *arg, const char *merge);

/* `collations`: of all columns, the added ones behind the others. */
enum err_code scratch_begin(struct scratch *s, unsigned hidden, const char *const *collations,
                            struct err *e);
enum err_code scratch_add(struct scratch *s, const struct value *values, struct err *e);
/* No more rows. */
enum err_code scratch_end(struct scratch *s, struct err *e);

#endif
