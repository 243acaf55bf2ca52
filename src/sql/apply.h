/*
 * Applying the log to the file: changes → rows, on a connection of its own (I3, I6, I7).
 *
 *   begin ─ { message }* ─ commit(position) | rollback
 *
 * APPLY_STRICT (serializable): every change must meet exactly the row it was made on; anything else
 * is ERR_DIVERGED. APPLY_LWW: the last writer wins; a row that is missing is inserted, one that
 * stands in the way is replaced, DDL that has already happened is noted on the log and passed over,
 * so that any message may be applied any number of times (I5). One thread at a time.
 */
#ifndef HA_SQL_APPLY_H
#define HA_SQL_APPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/spool.h"
#include "proto/changeset.h"
#include "sql/conn.h"
#include "sql/position.h"

enum apply_mode { APPLY_STRICT, APPLY_LWW };
enum row_identify { ROW_BY_PK, ROW_BY_ROWID, ROW_BY_FULL };

struct apply;

enum err_code apply_open(struct apply **out, const struct conn_config *cfg, enum apply_mode mode,
                         enum row_identify identify, struct err *e);
void apply_close(struct apply *a);
struct conn *apply_conn(struct apply *a);

enum err_code apply_begin(struct apply *a, struct err *e); /* BEGIN IMMEDIATE */
/* One whole message from memory, or from a spool of any size. After a failure: roll back.
 * *info (id, prev, …) is borrowed until the next message. */
enum err_code apply_message(struct apply *a, const void *bytes, size_t n,
                            const struct changeset_info **info, struct err *e);
enum err_code apply_spooled(struct apply *a, struct spool *s, const struct changeset_info **info,
                            struct err *e);
enum err_code apply_commit(struct apply *a, const struct position *p, struct err *e);
void apply_rollback(struct apply *a);

/*
 * Somebody decides what becomes of the messages' changes (src/script): each is handed to `fn`
 * instead of being applied, and `fn` applies what it sees fit. NULL: nobody.
 */
void apply_divert(struct apply *a, changeset_fn *fn, void *arg);
/* Applies a change, or one that is like it but for its values, inside `fn`; its shape is one that
 * `fn` was handed. */
enum err_code apply_change(struct apply *a, const struct change *c, struct err *e);
/* Inside `fn`: between these what is done may be undone; not nested. */
enum err_code apply_mark(struct apply *a, struct err *e);
enum err_code apply_keep(struct apply *a, struct err *e);
enum err_code apply_undo(struct apply *a, struct err *e);
/* Is a failure with this code this node's own (its disk, its memory, a time limit), which other
 * nodes need not have with the same change? */
bool apply_is_local(enum err_code code);

/* True if a transaction committed since the last call changed the schema. */
bool apply_took_schema(struct apply *a);

#endif
