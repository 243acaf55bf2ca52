/*
 * SQL's values in Lua, and back:
 *
 *   NULL      nil
 *   INTEGER   an integer
 *   REAL      a float
 *   TEXT      a string
 *   BLOB      blob(string): #b is its length, tostring(b) its bytes, == compares them
 *
 * From Lua, true and false are 1 and 0, and a NaN is NULL, as SQLite has it.
 */
#ifndef HA_SCRIPT_VALUE_H
#define HA_SCRIPT_VALUE_H

#include <lua.h>

#include "base/value.h"

/* With the script's world on top of the stack: adds blob(). */
void value_open(lua_State *L);

void value_push(lua_State *L, const struct value *v);
/* Bytes are borrowed from the Lua value, which has to be kept. Raises an error, with `what` in it,
 * for anything else than the above. */
struct value value_get(lua_State *L, int index, const char *what);

#endif
