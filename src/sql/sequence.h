/*
 * AUTOINCREMENT: what each table's sequence has come to, as changes on the table sqlite_sequence.
 *
 * SQLite moves sequences without telling the hook (and even where no row is inserted: INSERT OR
 * IGNORE, DO NOTHING), so the rows of sqlite_sequence are compared before and after each
 * transaction. That finds a user's own writes to the table, too.
 *
 *   INSERT  the sequence has advanced to the value (lww: the greater of the two wins)
 *   UPDATE  it was set to a lower one, by hand
 *   DELETE  its row was deleted, by hand
 *
 * Columns name, seq; key name; no rowids: they differ between nodes. One thread at a time.
 */
#ifndef HA_SQL_SEQUENCE_H
#define HA_SQL_SEQUENCE_H

#include "base/err.h"
#include "sql/capture.h"
#include "sql/conn.h"
#include "sql/schema.h"

struct sequence;

struct sequence *sequence_new(struct conn *c,
                              struct schema *schema); /* NULL: no memory. Borrowed. */
void sequence_free(struct sequence *s);               /* NULL is fine; before conn_close() */

/* The rows remembered may not be those of the file: somebody else wrote, or a rollback. */
void sequence_forget(struct sequence *s);
/* Before a transaction: makes sure that the rows are known. */
enum err_code sequence_before(struct sequence *s, struct err *e);
/* After a statement that wrote to the table by hand: ERR_UNSUPPORTED where two rows have a name, or
 * one a name that is no text. SQLite uses only one of the former, each node perhaps another, and
 * nothing tells the latter apart. */
enum err_code sequence_check(struct sequence *s, struct err *e);
/* After one: ships what is different, and remembers it. */
enum err_code sequence_after(struct sequence *s, struct capture *c, struct err *e);
/* Ships all of them (a dump). */
enum err_code sequence_dump(struct sequence *s, struct capture *c, struct err *e);

#endif
