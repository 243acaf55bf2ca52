/*
 * Rows that another system has, on the write connection, inside a transaction of the group:
 *
 *   writer_tx_begin ─ ingest_begin ─ { ingest_shape ─ ingest_row… | ingest_sql }… ─ ingest_end ─
 * writer_tx_end
 *
 * The other system has checked them: foreign keys are not enforced meanwhile, and do nothing. Local
 * triggers run, for what they do is in no row that comes. What is done replaces rows that stand in
 * its way, whatever the unique key: the system that decides has no such row any more, or is about
 * to change it.
 *
 * A row is found by the local table's primary key where what came names all of its columns, else by
 * all that came, and then it is one row of those that are the same.
 *
 * One thread at a time, the one that has the writer.
 */
#ifndef HA_SQL_INGEST_H
#define HA_SQL_INGEST_H

#include "base/buf.h"
#include "base/err.h"
#include "base/value.h"
#include "sql/writer.h"

struct ingest;

enum ingest_op {
    INGEST_INSERT, /* a row that is there already is replaced */
    INGEST_UPDATE, /* a row that is not there is inserted, with what the key says besides */
    INGEST_DELETE, /* a row that is not there is fine */
    INGEST_CLEAR   /* all rows; neither columns nor keys */
};

/* What the rows that follow consist of. Names in any case; columns that the local table computes
 * itself are passed over. */
struct ingest_shape {
    enum ingest_op op;
    const char *table;
    const char *const *columns; /* INSERT, UPDATE: of the new row, as far as it is known */
    size_t n_columns;
    const char *const *keys; /* UPDATE, DELETE: of the old row; UPDATE: 0 = the key is as in the new
                                row */
    size_t n_keys;
};

/* `w` is borrowed. ingest_end() is to be called in any case. */
enum err_code ingest_begin(struct ingest **out, struct writer *w, struct err *e);
void ingest_end(struct ingest *g); /* NULL is fine */

/* Borrowed until it returns. ERR_NO_TABLE, ERR_NO_COLUMN; ERR_UNSUPPORTED where no row could be
 * found by it. */
enum err_code ingest_shape(struct ingest *g, const struct ingest_shape *s, struct err *e);
/* Values in the shape's order; borrowed until it returns. */
enum err_code ingest_row(struct ingest *g, const struct value *columns, const struct value *keys,
                         struct err *e);

/* One statement under the policy of users' SQL; a schema statement travels as its text. Ends the
 * shape. */
enum err_code ingest_sql(struct ingest *g, const char *sql, struct err *e);

/* The row of SCHEMA_TRACKER: how far the other system's changes are in the file, in its own words.
 * Appended; nothing where there is none yet. */
enum err_code ingest_position(struct ingest *g, struct buf *position, struct err *e);
/* Makes the table if it is missing. `time` (NULL = not known) is when the other system committed.
 * Ends the shape. */
enum err_code ingest_move(struct ingest *g, const char *position, const char *time, struct err *e);

/* The same for whoever only reads: `c` is any connection. */
enum err_code ingest_read_position(struct conn *c, struct buf *position, struct err *e);

#endif
