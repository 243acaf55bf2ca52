#include "script/pairs.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

struct key {
    int type; /* LUA_TNUMBER … */
    lua_Integer i;
    lua_Number n; /* of every number */
    const char *text;
    size_t len;
};

static int rank(int type)
{
    return type == LUA_TNUMBER ? 0 : type == LUA_TSTRING ? 1 : 2;
}

static int compare(const void *x, const void *y)
{
    const struct key *a = x, *b = y;
    if (a->type != b->type)
        return rank(a->type) - rank(b->type);
    if (a->type != LUA_TSTRING) {
        if (a->n != b->n)
            return a->n < b->n ? -1 : 1;
        return a->i < b->i ? -1 : a->i > b->i;
    }
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    if (order != 0)
        return order;
    return a->len < b->len ? -1 : a->len > b->len;
}

/* Of the key on top of the stack, which stays in its table as long as nobody runs a script. */
static struct key describe(lua_State *L)
{
    struct key k = {.type = lua_type(L, -1)};
    switch (k.type) {
    case LUA_TNUMBER:
        k.i = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
        k.n = lua_tonumber(L, -1);
        break;
    case LUA_TSTRING:
        k.text = lua_tolstring(L, -1, &k.len);
        break;
    case LUA_TBOOLEAN:
        k.i = lua_toboolean(L, -1);
        break;
    default:
        luaL_error(L, "pairs() over keys that are a %s: their order is not the same everywhere",
                   lua_typename(L, k.type));
    }
    return k;
}

static void push_key(lua_State *L, const struct key *k)
{
    if (k->type == LUA_TSTRING)
        lua_pushlstring(L, k->text, k->len);
    else if (k->type == LUA_TBOOLEAN)
        lua_pushboolean(L, k->i != 0);
    else if (k->n == (lua_Number)k->i)
        lua_pushinteger(L, k->i);
    else
        lua_pushnumber(L, k->n);
}

/* Upvalues: the keys in order, how many have been gone through. Keys whose values have been taken
 * away meanwhile are left out. */
static int step(lua_State *L)
{
    lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
    lua_settop(L, 1); /* the table */
    for (;;) {
        if (lua_rawgeti(L, lua_upvalueindex(1), ++at) == LUA_TNIL)
            return 1;
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 1) != LUA_TNIL)
            break;
        lua_settop(L, 1);
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(2));
    return 2;
}

int pairs_in_order(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
        n++;
    struct key *keys = lua_newuserdatauv(L, n * sizeof *keys, 0);
    n = 0;
    for (lua_pushnil(L); lua_next(L, 1);) {
        lua_pop(L, 1);
        keys[n++] = describe(L);
    }
    if (n > 1)
        qsort(keys, n, sizeof *keys, compare);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        push_key(L, &keys[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, step, 2);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}
