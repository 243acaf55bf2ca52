#include "script/value.h"

#include <lauxlib.h>
#include <string.h>

#define BLOB "blob"

static void push_blob(lua_State *L, const char *data, size_t len)
{
    void *to = lua_newuserdatauv(L, len, 0);
    if (len > 0)
        memcpy(to, data, len);
    luaL_setmetatable(L, BLOB);
}

static int blob(lua_State *L)
{
    size_t len;
    const char *data = luaL_checklstring(L, 1, &len);
    push_blob(L, data, len);
    return 1;
}

static int blob_tostring(lua_State *L)
{
    lua_pushlstring(L, luaL_checkudata(L, 1, BLOB), lua_rawlen(L, 1));
    return 1;
}

static int blob_len(lua_State *L)
{
    luaL_checkudata(L, 1, BLOB);
    lua_pushinteger(L, (lua_Integer)lua_rawlen(L, 1));
    return 1;
}

static int blob_eq(lua_State *L)
{
    const void *a = luaL_testudata(L, 1, BLOB), *b = luaL_testudata(L, 2, BLOB);
    size_t len = lua_rawlen(L, 1);
    lua_pushboolean(L, a && b && len == lua_rawlen(L, 2) && memcmp(a, b, len) == 0);
    return 1;
}

void value_open(lua_State *L)
{
    static const struct luaL_Reg methods[] = {
        {"__tostring", blob_tostring}, {"__len", blob_len}, {"__eq", blob_eq}, {NULL, NULL}};
    luaL_newmetatable(L, BLOB);
    luaL_setfuncs(L, methods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, blob);
    lua_setfield(L, -2, "blob");
}

void value_push(lua_State *L, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        lua_pushnil(L);
        break;
    case VALUE_INTEGER:
        lua_pushinteger(L, v->u.i);
        break;
    case VALUE_REAL:
        lua_pushnumber(L, v->u.r);
        break;
    case VALUE_TEXT:
        lua_pushlstring(L, v->u.s.len > 0 ? v->u.s.data : "", v->u.s.len);
        break;
    case VALUE_BLOB:
        push_blob(L, v->u.s.data, v->u.s.len);
        break;
    }
}

struct value value_get(lua_State *L, int index, const char *what)
{
    size_t len;
    const char *text;
    double real;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return value_null();
    case LUA_TBOOLEAN:
        return value_int(lua_toboolean(L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return value_int(lua_tointeger(L, index));
        real = lua_tonumber(L, index);
        return real == real ? value_real(real) : value_null();
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &len);
        return value_text(text, len);
    default:
        text = luaL_testudata(L, index, BLOB);
        if (!text)
            luaL_error(L, "%s: a %s is no SQL value", what, luaL_typename(L, index));
        return value_blob(text, lua_rawlen(L, index));
    }
}
