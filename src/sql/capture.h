/*
 * Row events of the write connection as changes in the spool.
 *
 * SQLite's preupdate hook reports every row that is about to change, effects of triggers and
 * foreign keys included; each becomes one change of JSON at the spool's end. What was written is
 * taken back by cutting to a mark. The hook is registered when the capture is opened, before any
 * user's statement is prepared, and does nothing while the capture is off.
 *
 * Not captured: other databases than `main`, ha_ tables, sqlite_sequence (sequence.h), and, while a
 * schema statement runs, whatever its text does by itself on the other nodes.
 *
 * The hook runs no SQL on its connection. What it cannot do (no memory, a table it has no
 * description of) it remembers; capture_check() tells. One thread at a time.
 */
#ifndef HA_SQL_CAPTURE_H
#define HA_SQL_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/spool.h"
#include "base/value.h"
#include "sql/conn.h"
#include "sql/schema.h"

struct capture;

/* All borrowed. */
enum err_code capture_open(struct capture **out, struct conn *c, struct schema *schema,
                           struct spool *spool, struct err *e);
void capture_close(struct capture *c); /* NULL is fine */

void capture_on(struct capture *c, bool on);
/* While a schema statement runs; `dropped` (borrowed, NULL = none) is the table that goes. */
void capture_ddl(struct capture *c, bool running, const char *dropped);

/* Behind a statement, before its effects are checked, and before a mark: what SQLite lets be seen
 * only now. Cutting forgets what has not been settled. */
void capture_settle(struct capture *c);
/* The first failure since the last cut, or of the spool. */
enum err_code capture_check(const struct capture *c, struct err *e);

struct capture_mark {
    uint64_t len;
    uint64_t changes;
};
struct capture_mark capture_mark(const struct capture *c);
void capture_cut(struct capture *c, struct capture_mark m); /* forgets a failure, too */
/* Forgets how many changes there are: what comes next is the spool's first. */
void capture_restart(struct capture *c);

/* Has a row with this rowid been inserted, as the table's greatest, since the capture was switched
 * on or cut? Inserting it elsewhere moves an AUTOINCREMENT sequence just as far. */
bool capture_inserted(const struct capture *c, const struct table *t, int64_t rowid);
/* How many rows of sqlite_sequence itself have been written by statements since the capture was
 * switched on. */
uint64_t capture_sequence_writes(const struct capture *c);

/* Changes that no hook reports. begin writes the comma that is due; what stands between is one
 * change. */
struct buf *capture_begin(struct capture *c);
void capture_end(struct capture *c);
void capture_sql(struct capture *c, const char *sql, size_t len);
/* A row that was inserted or deleted; `values` holds t->n_sent of them. The rowid (NULL = unknown)
 * is left out where the table's changes carry none. */
void capture_row(struct capture *c, const struct table *t, bool inserted, const int64_t *rowid,
                 const struct value *values);

#endif
