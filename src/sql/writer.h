/*
 * The database's write connection, with capture: turns transactions into changes.
 *
 * The caller (repl/group.c) drives it in brackets; each arrow is a function below:
 *
 *   begin ─ { tx_begin ─ { stmt_begin ─ step… ─ stmt_end }* ─ tx_end | tx_undo }* ─ commit |
 * rollback
 *
 * Between begin and commit the changes of all finished transactions stand in the spool, separated
 * by commas, ready to be put between a message's head and tail. tx_undo and a failed statement take
 * theirs back. Not replicated: temp objects, ha_ tables. One thread at a time.
 */
#ifndef HA_SQL_WRITER_H
#define HA_SQL_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/spool.h"
#include "sql/conn.h"
#include "sql/stmt.h"

struct writer;

/* `spool` is borrowed; replicate_ddl = false is --disable-ddl-sync. */
enum err_code writer_open(struct writer **out, const struct conn_config *cfg, struct spool *spool,
                          bool replicate_ddl, struct err *e);
void writer_close(struct writer *w);
struct conn *writer_conn(struct writer *w);

/* Another connection (the applier) has committed a schema change: table descriptions are re-read
 * before the next statement. NULL is fine. The only function here that any thread may call. */
void writer_schema_changed(struct writer *w);

enum err_code writer_begin(struct writer *w, struct err *e); /* BEGIN IMMEDIATE; spool untouched */
enum err_code writer_commit(struct writer *w, struct err *e);
void writer_rollback(struct writer *w); /* fine when nothing is open */
/* SQLite has ended the whole transaction (OR ROLLBACK, RAISE(ROLLBACK), an interrupted write), or
 * less than all of it cannot be undone any more: only writer_rollback() helps. */
bool writer_lost(const struct writer *w);

/* A transaction of the group, in its own SAVEPOINT. */
enum err_code writer_tx_begin(struct writer *w, struct err *e);
/* Checks deferred foreign keys (ERR_FOREIGN_KEY: the transaction still stands, undo it), ships
 * AUTOINCREMENT sequences, drops temp objects, RELEASEs and closes the capture after it. *changes =
 * changes it added to the spool. */
enum err_code writer_tx_end(struct writer *w, uint32_t *changes, struct err *e);
void writer_tx_undo(struct writer *w);

/* A statement inside a transaction. With `savepoint`, a failure undoes this statement alone and the
 * transaction goes on (interactive transactions); without, the caller undoes the transaction. */
enum err_code writer_stmt_begin(struct writer *w, struct stmt *s, bool savepoint, struct err *e);
/* ok = it was stepped to its end without error. Ships DDL text, CREATE TABLE AS rows. */
enum err_code writer_stmt_end(struct writer *w, struct stmt *s, bool ok, struct err *e);

/* Users' savepoints inside a transaction. ERR_SAVEPOINT when the name is unknown. */
enum err_code writer_savepoint(struct writer *w, const char *name, size_t len, struct err *e);
enum err_code writer_release(struct writer *w, const char *name, size_t len, struct err *e);
enum err_code writer_rollback_to(struct writer *w, const char *name, size_t len, struct err *e);

/* Inside a transaction, for revert.h: rows are about to change by other means than a statement's.
 * *schema is borrowed. */
struct schema;
enum err_code writer_rows(struct writer *w, struct schema **schema, struct err *e);

/* rows changed by the statement that ended last, last insert rowid of the connection */
int64_t writer_changes(const struct writer *w);
int64_t writer_last_rowid(const struct writer *w);

/* The whole content of the file as changes (schema as SQL, rows as INSERTs, sequences), for a log
 * that begins with an existing file. Inside begin … commit, as if one transaction had written it
 * all. Bounded memory. */
enum err_code writer_dump(struct writer *w, uint32_t *changes, struct err *e);

/* VACUUM outside any transaction: refused with ERR_DENIED where it would renumber rowids (a rowid
 * table without INTEGER PRIMARY KEY). */
enum err_code writer_vacuum(struct writer *w, struct err *e);

#endif
