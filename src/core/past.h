/*
 * Transactions of the log as a client gets to see them, one by one, from a place on. Blocks; one
 * thread at a time.
 */
#ifndef HA_CORE_PAST_H
#define HA_CORE_PAST_H

#include "base/buf.h"
#include "core/command.h"
#include "repl/history.h"

#define PAST_SQL_BYTES                                                                             \
    ((size_t)64 * 1024)  /* of a transaction's statements, about; then they end                    \
                          */
#define PAST_TABLES 1000 /* whose changes are counted one by one */

struct past_table {
    char *name; /* owned */
    uint64_t inserted, updated, deleted;
};

/* Everything is borrowed until the next one. */
struct past_item {
    struct address at;    /* with the place even where it is the first */
    bool alone;           /* the message holds no other transaction */
    const char *node;     /* that has made it */
    int64_t timestamp_ns; /* when it was made, by that node's clock */
    uint64_t changes;     /* of rows and of the schema; those of SQLite's own tables do not count */
    const char *sql;      /* statements, each with a NUL behind it, … */
    size_t n_sql;         /* … so many, … */
    uint64_t n_hidden;    /* … and so many behind them that are not shown */
    const struct past_table *tables;
    size_t n_tables;
};

struct past;

enum err_code past_open(struct past **out, struct replica *r, const struct history_range *range,
                        const struct conn_guard *guard, struct err *e);
void past_close(struct past *p); /* NULL is fine */
/* *item = NULL at the end. */
enum err_code past_next(struct past *p, const struct past_item **item, struct err *e);

/* {"t": {"inserted": 1}, …} */
void past_put_tables(struct buf *json, const struct past_item *item);

#endif
