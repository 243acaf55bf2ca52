#include "script/sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "script/change.h"
#include "script/db.h"
#include "script/pairs.h"
#include "script/value.h"
#include "sql/stmt.h"

#define HOOK_STEPS      1000 /* instructions between two looks */
#define PRINT_MAX_BYTES 1000

/* Of the registry. Their addresses count. */
static const char chunk_key, world_key, env_key;

struct sandbox *sandbox_of(lua_State *L)
{
    return *(struct sandbox **)lua_getextraspace(L);
}

/* ---- limits ---- */

/* Lua expects that what becomes smaller does not fail. */
static void *allocate(void *arg, void *p, size_t old, size_t size)
{
    struct sandbox *s = arg;
    size_t had = p ? old : 0;
    if (size == 0) {
        free(p);
        s->used_bytes -= had;
        return NULL;
    }
    if (size > had && size - had > s->script->memory_bytes - s->used_bytes)
        return NULL;
    void *now = realloc(p, size);
    if (!now && size > had)
        return NULL;
    s->used_bytes += size - had;
    return now ? now : p;
}

int sandbox_raise(lua_State *L, const struct err *e, bool final)
{
    struct sandbox *s = sandbox_of(L);
    if (final && s->failure.code == ERR_OK)
        s->failure = *e;
    lua_pushstring(L, e->msg);
    return lua_error(L);
}

static void out_of_memory(struct sandbox *s)
{
    if (s->failure.code == ERR_OK)
        err_set(&s->failure, ERR_SCRIPT,
                "%s needs more memory for this transaction than --interceptor-memory, %zu MiB",
                s->script->path, s->script->memory_bytes >> 20);
}

static void look(lua_State *L, lua_Debug *at)
{
    struct sandbox *s = sandbox_of(L);
    struct err e = ERR_INIT;
    s->steps -= HOOK_STEPS;
    if (s->cancel && atomic_load(s->cancel)) {
        err_set(&e, ERR_SHUTDOWN, "the node is shutting down");
        sandbox_raise(L, &e, true);
    }
    if (s->steps < 0) {
        lua_getinfo(L, "Sl", at);
        err_set(&e, ERR_SCRIPT, "%s:%d: too many steps for this transaction: an endless loop?",
                s->script->path, at->currentline);
        sandbox_raise(L, &e, true);
    }
}

/* ---- what a script finds ---- */

/* pcall(), but for what must not be caught. */
static int safe_pcall(lua_State *L)
{
    struct sandbox *s = sandbox_of(L);
    luaL_checkany(L, 1);
    lua_pushboolean(L, 1);
    lua_insert(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    if (status == LUA_OK)
        return lua_gettop(L);
    if (status == LUA_ERRMEM)
        out_of_memory(s);
    if (s->failure.code != ERR_OK)
        return lua_error(L);
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
}

/* setmetatable(), but for finalizers: those run when Lua sees fit, and no limit ends them. */
static int safe_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_isnoneornil(L, 2) || lua_istable(L, 2), 2, "nil or table");
    lua_settop(L, 2);
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "there is no __gc here");
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

/* print() writes a line of the node's log. */
static int print(lua_State *L)
{
    struct sandbox *s = sandbox_of(L);
    char line[PRINT_MAX_BYTES];
    size_t used = 0;
    for (int i = 1; i <= lua_gettop(L); i++) {
        size_t len;
        const char *text = luaL_tolstring(L, i, &len);
        if (i > 1 && used + 1 < sizeof line)
            line[used++] = ' ';
        if (len > sizeof line - 1 - used)
            len = sizeof line - 1 - used;
        memcpy(line + used, text, len);
        used += len;
        lua_pop(L, 1);
    }
    line[used] = '\0';
    LOG_INFO("interceptor", LOG_STR("db", s->id), LOG_STR("text", line));
    return 0;
}

/* What is not here reads files, compiles code, tells the time, draws lots, or goes through tables
 * in the order of their hashes. */
static const char *const base_functions[] = {
    "assert", "error",  "getmetatable", "ipairs",   "rawequal", "rawget",   "rawlen",
    "rawset", "select", "tonumber",     "tostring", "type",     "_VERSION",
};

static const struct luaL_Reg own_functions[] = {{"pairs", pairs_in_order},
                                                {"pcall", safe_pcall},
                                                {"setmetatable", safe_setmetatable},
                                                {"print", print},
                                                {NULL, NULL}};

static const struct {
    const char *name;
    lua_CFunction open;
    const char *without[3];
} libraries[] = {
    {LUA_STRLIBNAME, luaopen_string, {"dump", NULL}},
    {LUA_TABLIBNAME, luaopen_table, {NULL}},
    {LUA_MATHLIBNAME, luaopen_math, {"random", "randomseed", NULL}},
    {LUA_UTF8LIBNAME, luaopen_utf8, {NULL}},
};

/* With the world's table on top of the stack. */
static void add_libraries(lua_State *L)
{
    luaL_requiref(L, LUA_GNAME, luaopen_base, 0);
    for (size_t i = 0; i < sizeof base_functions / sizeof *base_functions; i++) {
        lua_getfield(L, -1, base_functions[i]);
        lua_setfield(L, -3, base_functions[i]);
    }
    lua_pop(L, 1);
    luaL_setfuncs(L, own_functions, 0);
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].open, 0);
        for (const char *const *name = libraries[i].without; *name; name++) {
            lua_pushnil(L);
            lua_setfield(L, -2, *name);
        }
        lua_setfield(L, -2, libraries[i].name);
    }
    /* All strings share one metatable: nobody may leave something in it. */
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
}

static int make_world(lua_State *L)
{
    struct sandbox *s = sandbox_of(L);
    char name[512];
    lua_newtable(L);
    add_libraries(L);
    value_open(L);
    change_open(L);
    db_open(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &world_key);
    snprintf(name, sizeof name, "@%s", s->script->path);
    if (luaL_loadbufferx(L, s->script->text, s->script->len, name, "t") != LUA_OK)
        return lua_error(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &chunk_key);
    return 0;
}

/* ---- running ---- */

enum err_code sandbox_call(struct sandbox *s, lua_CFunction fn, void *arg, struct err *e)
{
    lua_State *L = s->L;
    lua_pushcfunction(L, fn); /* no memory is needed for these two, and there is always room */
    lua_pushlightuserdata(L, arg);
    int status = lua_pcall(L, 1, 0, 0);
    stmt_release(s->stmt);
    s->stmt = NULL;
    if (status == LUA_ERRMEM)
        out_of_memory(s);
    if (s->failure.code != ERR_OK) {
        *e = s->failure;
    } else if (status != LUA_OK) {
        const char *what = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        err_set(e, ERR_SCRIPT, "%s%s", what ? "" : s->script->path,
                what ? what : " has raised an error that is no text");
    }
    lua_settop(L, 0);
    return status == LUA_OK && s->failure.code == ERR_OK ? ERR_OK : e->code;
}

enum err_code sandbox_open(struct sandbox **out, const struct script *script, const char *id,
                           const atomic_bool *cancel, struct err *e)
{
    struct sandbox *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->script = script;
    s->id = id;
    s->cancel = cancel;
    s->steps = INT64_MAX;
    err_clear(&s->failure);
    s->L = lua_newstate(allocate, s);
    if (!s->L) {
        sandbox_close(s);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    *(struct sandbox **)lua_getextraspace(s->L) = s;
    lua_sethook(s->L, look, LUA_MASKCOUNT, HOOK_STEPS);
    enum err_code code = sandbox_call(s, make_world, NULL, e);
    if (code != ERR_OK) {
        sandbox_close(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

void sandbox_close(struct sandbox *s)
{
    if (!s)
        return;
    if (s->L)
        lua_close(s->L);
    free(s);
}

/* Copies the table at `from`, and the tables in it, into the one on top of the stack. */
static void copy_table(lua_State *L, int from, bool deep)
{
    int to = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, from)) {
        lua_pushvalue(L, -2);
        if (deep && lua_istable(L, -2)) {
            lua_newtable(L);
            copy_table(L, lua_gettop(L) - 2, false);
        } else {
            lua_pushvalue(L, -2);
        }
        lua_rawset(L, to);
        lua_pop(L, 1);
    }
}

struct functions {
    bool before, after;
};

static bool is_function(lua_State *L, const char *name)
{
    int type = lua_getfield(L, -1, name);
    lua_pop(L, 1);
    if (type != LUA_TNIL && type != LUA_TFUNCTION)
        luaL_error(L, "%s: %s is a %s, and should be a function", sandbox_of(L)->script->path, name,
                   lua_typename(L, type));
    return type == LUA_TFUNCTION;
}

/* The script's own variables, and the libraries as it finds them, are made anew: nothing of another
 * transaction, which a node that was started later has not seen, is left in them. */
static int begin(lua_State *L)
{
    struct functions *f = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &world_key);
    lua_newtable(L);
    copy_table(L, 2, true);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, LUA_GNAME);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &env_key);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &chunk_key);
    lua_pushvalue(L, -2);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 0);
    f->before = is_function(L, "before");
    f->after = is_function(L, "after");
    return 0;
}

enum err_code sandbox_begin(struct sandbox *s, int64_t steps, bool *before, bool *after,
                            struct err *e)
{
    struct functions f = {0};
    s->steps = steps;
    err_clear(&s->failure);
    enum err_code code = sandbox_call(s, begin, &f, e);
    *before = f.before;
    *after = f.after;
    return code;
}

void sandbox_push_function(lua_State *L, const char *name)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &env_key);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}
