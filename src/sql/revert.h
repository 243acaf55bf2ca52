/*
 * Inverse changes (proto/inverse.h) on the write connection, inside a transaction of the group:
 *
 *   writer_tx_begin ─ revert_begin ─ [revert_watch…] ─ revert_row… ─ revert_end ─ writer_tx_end
 *
 * A row is changed only if it is, value by value and bit by bit, what the change that is taken back
 * had made of it. The capture sees what is done like any other write. Triggers do not fire, and
 * foreign-key actions must not: their effects are changes of their own. Foreign keys are not
 * enforced meanwhile, because rows and what refers to them come back one after the other, in either
 * order. Whoever takes back everything comes to a state that there was, and need not ask; whoever
 * takes back a part has them checked at the end.
 *
 * One thread at a time.
 */
#ifndef HA_SQL_REVERT_H
#define HA_SQL_REVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/inverse.h"
#include "sql/writer.h"

struct revert;

enum err_code revert_begin(struct revert **out, struct writer *w, struct err *e);
/* Rows of this table are going to change: after it no more rows may violate a foreign key of the
 * table, or one that refers to it, than now. Does nothing where the database does not enforce them.
 * Reads all rows that have such a key. Before the first row. */
enum err_code revert_watch(struct revert *r, const char *table, struct err *e);
/*
 * ERR_CHANGED: the row is another one by now, or its place is taken. ERR_SCHEMA_CHANGED: the table
 * is gone, or has other columns. Both name table, key and transaction. Tables of SQLite's own
 * (sequences, statistics) are passed over: what an AUTOINCREMENT has given away stays given away.
 */
enum err_code revert_row(struct revert *r, const struct inverse *x, struct err *e);
uint64_t revert_rows(const struct revert *r); /* that have been changed */
/* Puts the connection back to what it is for; to be called in any case. With `ok` the foreign keys
 * that were watched are checked: ERR_FOREIGN_KEY. NULL is fine. */
enum err_code revert_end(struct revert *r, bool ok, struct err *e);

/* Is it one of the tables behind a virtual table (FTS5, R-tree …)? Asks `c`, any connection. */
enum err_code revert_is_shadow(struct conn *c, const char *table, bool *shadow, struct err *e);

#endif
