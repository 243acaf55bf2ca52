/*
 * The database for a script, as it is inside the applier's transaction:
 *
 *   db:query(sql, …)   the rows, in a table; of each row row[1] and row.name are the columns
 *   db:value(sql, …)   the first row's first column; nil where there is no row
 *   db:exec(sql, …)    runs it; how many rows it has changed
 *
 * What stands behind the text are its parameters' values, in order. sql/apply_ask.h says what is
 * refused. A failure is a Lua error; one that is this node's own cannot be caught (sandbox.h).
 */
#ifndef HA_SCRIPT_DB_H
#define HA_SCRIPT_DB_H

#include <lua.h>

void db_open(lua_State *L);
/* Pushes it. */
void db_push(lua_State *L);

#endif
