/*
 * pairs() with an order: Lua's own goes through a table as its hashes fall, which is another order
 * in each process, and what a script does must not depend on that. Here numbers come first, then
 * strings, byte by byte, then false and true; a table with other keys is refused.
 */
#ifndef HA_SCRIPT_PAIRS_H
#define HA_SCRIPT_PAIRS_H

#include <lua.h>

int pairs_in_order(lua_State *L);

#endif
