#include "script/db.h"

#include <inttypes.h>
#include <lauxlib.h>

#include "script/sandbox.h"
#include "script/value.h"
#include "sql/apply_ask.h"

#define DB "db"

static const char db_key; /* of the registry */

/* A statement may have rolled everything back, and then nothing is worth catching. */
static int raise(lua_State *L, const struct err *e)
{
    struct sandbox *s = sandbox_of(L);
    struct err lost = ERR_INIT;
    if (!ask_lost(s->apply))
        return sandbox_raise(L, e, apply_is_local(e->code));
    err_set(&lost, ERR_SCRIPT, "a statement has ended the applier's transaction: %s", e->msg);
    return sandbox_raise(L, &lost, true);
}

/* Statements of the script's that an error has left running are released by the next one, or by
 * sandbox_call(). */
static struct stmt *start(lua_State *L)
{
    struct sandbox *s = sandbox_of(L);
    struct err e = ERR_INIT;
    size_t len;
    luaL_checkudata(L, 1, DB);
    const char *sql = luaL_checklstring(L, 2, &len);
    unsigned given = (unsigned)lua_gettop(L) - 2;
    if (!s->apply)
        luaL_error(L, "there is no database here");
    stmt_release(s->stmt);
    s->stmt = NULL;
    if (ask_prepare(s->apply, sql, len, &s->stmt, &e) != ERR_OK)
        raise(L, &e);
    if (stmt_param_count(s->stmt) != given)
        luaL_error(L, "the statement has %d parameters, and %d values are given",
                   (int)stmt_param_count(s->stmt), (int)given);
    for (unsigned i = 1; i <= given; i++) {
        struct value v = value_get(L, (int)i + 2, "a parameter");
        if (stmt_bind(s->stmt, i, &v, &e) != ERR_OK)
            raise(L, &e);
    }
    return s->stmt;
}

static bool step(lua_State *L, struct stmt *st)
{
    struct err e = ERR_INIT;
    bool row = false;
    if (stmt_step(st, &row, &e) != ERR_OK)
        raise(L, &e);
    return row;
}

static void finish(lua_State *L)
{
    struct sandbox *s = sandbox_of(L);
    stmt_release(s->stmt);
    s->stmt = NULL;
}

static int query(lua_State *L)
{
    struct stmt *st = start(L);
    unsigned n = stmt_column_count(st);
    lua_newtable(L);
    for (lua_Integer rows = 1; step(L, st); rows++) {
        lua_createtable(L, (int)n, (int)n);
        for (unsigned i = 0; i < n; i++) {
            struct value v = stmt_column(st, i);
            value_push(L, &v);
            lua_pushvalue(L, -1);
            lua_rawseti(L, -3, (lua_Integer)i + 1);
            lua_setfield(L, -2, stmt_column_name(st, i));
        }
        lua_rawseti(L, -2, rows);
    }
    finish(L);
    return 1;
}

static int value(lua_State *L)
{
    struct stmt *st = start(L);
    if (stmt_column_count(st) == 0)
        return luaL_error(L, "the statement answers no rows");
    if (step(L, st)) {
        struct value v = stmt_column(st, 0);
        value_push(L, &v);
    } else {
        lua_pushnil(L);
    }
    finish(L);
    return 1;
}

static int exec(lua_State *L)
{
    struct stmt *st = start(L);
    bool writes = stmt_class(st) == STMT_WRITE;
    while (step(L, st))
        ;
    lua_pushinteger(L, writes ? ask_changes(sandbox_of(L)->apply) : 0);
    finish(L);
    return 1;
}

void db_open(lua_State *L)
{
    static const struct luaL_Reg methods[] = {
        {"query", query}, {"value", value}, {"exec", exec}, {NULL, NULL}};
    lua_newuserdatauv(L, 0, 0);
    luaL_newmetatable(L, DB);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &db_key);
}

void db_push(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &db_key);
}
