/*
 * A change as text for a person: as the statement that would do the same, and by the key of its
 * row. Pure; any thread.
 */
#ifndef HA_SQL_CHANGE_TEXT_H
#define HA_SQL_CHANGE_TEXT_H

#include "base/buf.h"
#include "proto/changeset.h"

/*
 * INSERT INTO "t" ("id", "v") VALUES (1, 'a') and the like, without a semicolon: what its values
 * say, with nothing left out. Of an UPDATE the columns that have another value. A limit of the
 * buffer that it does not fit into fails the buffer.
 */
void change_put_sql(struct buf *b, const struct change *c);

/* "id=5", "a='x', b=2", "rowid 7": the row that has `values` (old_values or new_values of `c`). Of
 * long values the beginning; nothing where it has neither. */
void change_put_key(struct buf *b, const struct change *c, const struct value *values);

#endif
