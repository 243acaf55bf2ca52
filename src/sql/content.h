/*
 * What a database file holds, as digests that two nodes can compare: one for each table and one for
 * the schema, of one moment.
 *
 * A table's digest is the sum (modulo 2^256) of its rows' SHA-256, so the order in which a file
 * keeps its rows does not count; a row is its columns' storage classes and values. Left out are
 * ha_ tables, sqlite_stat tables and virtual tables (the tables behind them are in).
 *
 * A view is used by one thread at a time, not always the same.
 */
#ifndef HA_SQL_CONTENT_H
#define HA_SQL_CONTENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"
#include "sql/conn.h"
#include "sql/position.h"

#define CONTENT_SCHEMA "(schema)" /* the name of the schema's digest */

struct content_view;

struct content_table {
    const char *name; /* borrowed */
    uint64_t rows;
    unsigned char digest[SHA256_SIZE];
};

enum err_code content_open(struct content_view **out, const struct conn_config *cfg, struct err *e);
/* The view shows what is committed now, until it is closed; the WAL is not reset meanwhile. Takes
 * well under a millisecond. *seq is the file's position, *outbox the messages that are in the file
 * and not yet in the log. */
enum err_code content_freeze(struct content_view *v, uint64_t *seq, uint64_t *outbox,
                             struct err *e);
/* Reads everything. *cancel (may be NULL): ERR_INTERRUPTED. */
enum err_code content_digest(struct content_view *v, const atomic_bool *cancel,
                             void (*each)(void *arg, const struct content_table *t), void *arg,
                             struct err *e);
void content_close(struct content_view *v); /* NULL is fine */

#endif
