/*
 * The changes of a transaction as a script sees them. Each is a userdata with the fields of
 * proto/changeset.h:
 *
 *   operation, database, table, columns, pk_columns, old_rowid, new_rowid, command
 *   old_values, new_values   by name, row.hits, or by number, row[1]; #row, and pairs(row) in the
 *                            columns' order; those of new_values may be assigned
 *
 * A field that does not apply is nil. Values become Lua's when somebody looks at them.
 */
#ifndef HA_SCRIPT_CHANGE_H
#define HA_SCRIPT_CHANGE_H

#include <lua.h>

#include "proto/changeset.h"

void change_open(lua_State *L);

/* These are called inside sandbox_call(). */

/* A transaction begins: forgets the changes of the one before. */
void change_reset(lua_State *L);
/* Copies it, and adds it to the transaction's. */
void change_add(lua_State *L, const struct change *c);
/* Pushes the table of those that were added. */
void change_push_list(lua_State *L);

/* What the script has left of them. Alive until the next change_reset(). */
struct change_list {
    const struct change **changes;
    size_t n;
};
/* From the table at `index`; raises an error where something else is in it. */
void change_take_list(lua_State *L, int index, struct change_list *out);

#endif
