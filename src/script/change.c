/*
 * How a change lies in Lua's memory:
 *
 *   change     struct held, then its values and their bytes
 *     1        names: the table's and its columns', shared by all changes of one shape
 *     2        what was assigned to new_values, so that its bytes stay
 *   row        struct row, old_values or new_values
 *     1        the change
 *   names      struct names, then the texts
 *     1, 2     columns, pk_columns, as tables
 *
 * The numbers are those of user values.
 */
#include "script/change.h"

#include <lauxlib.h>
#include <string.h>
#include <strings.h>

#include "script/value.h"

#define CHANGE "change"
#define ROW    "row of a change"

/* Of the registry: the transaction's changes, their names by shape, what change_take_list() gave.
 */
static const char list_key, names_key, taken_key;

struct names {
    const char *table;
    const char **columns, **pk_columns;
};

struct held {
    struct change c;
    struct value *new_values; /* = c.new_values */
};

struct row {
    struct held *of;
    const struct value *values;
};

static const char *const operations[] = {[CHANGE_INSERT] = "INSERT",
                                         [CHANGE_UPDATE] = "UPDATE",
                                         [CHANGE_DELETE] = "DELETE",
                                         [CHANGE_SQL] = "SQL"};

/* ---- names ---- */

static size_t names_bytes(const char *const *names, unsigned n)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < n; i++)
        bytes += sizeof *names + strlen(names[i]) + 1;
    return bytes;
}

static char *copy_text(char *to, const char *from, const char **at)
{
    size_t size = strlen(from) + 1;
    *at = memcpy(to, from, size);
    return to + size;
}

/* As a table, which becomes user value `n` of what is on top of the stack. */
static void put_table(lua_State *L, const char *const *names, unsigned n, int user_value)
{
    lua_createtable(L, (int)n, 0);
    for (unsigned i = 0; i < n; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setiuservalue(L, -2, user_value);
}

/* Pushes the names of the change's shape, and answers where they lie. */
static struct names *push_names(lua_State *L, const struct change *c)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &names_key);
    if (lua_rawgeti(L, -1, (lua_Integer)c->shape) == LUA_TUSERDATA) {
        lua_remove(L, -2);
        return lua_touserdata(L, -1);
    }
    lua_pop(L, 1);
    struct names *n =
        lua_newuserdatauv(L,
                          sizeof *n + strlen(c->table) + 1 + names_bytes(c->columns, c->n_columns) +
                              names_bytes(c->pk_columns, c->n_pk),
                          2);
    n->columns = (const char **)(n + 1);
    n->pk_columns = n->columns + c->n_columns;
    char *text = copy_text((char *)(n->pk_columns + c->n_pk), c->table, &n->table);
    for (unsigned i = 0; i < c->n_columns; i++)
        text = copy_text(text, c->columns[i], &n->columns[i]);
    for (unsigned i = 0; i < c->n_pk; i++)
        text = copy_text(text, c->pk_columns[i], &n->pk_columns[i]);
    put_table(L, c->columns, c->n_columns, 1);
    put_table(L, c->pk_columns, c->n_pk, 2);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, (lua_Integer)c->shape);
    lua_remove(L, -2);
    return n;
}

/* ---- taking a change over ---- */

static size_t values_bytes(const struct value *values, unsigned n)
{
    size_t bytes = 0;
    for (unsigned i = 0; values && i < n; i++) {
        bytes += sizeof *values;
        if (values[i].type == VALUE_TEXT || values[i].type == VALUE_BLOB)
            bytes += values[i].u.s.len;
    }
    return bytes;
}

/* Copies the bytes of values that have some to *bytes. */
static void copy_values(struct value *to, const struct value *from, unsigned n, char **bytes)
{
    for (unsigned i = 0; i < n; i++) {
        to[i] = from[i];
        if ((from[i].type != VALUE_TEXT && from[i].type != VALUE_BLOB) || from[i].u.s.len == 0)
            continue;
        memcpy(*bytes, from[i].u.s.data, from[i].u.s.len);
        to[i].u.s.data = *bytes;
        *bytes += from[i].u.s.len;
    }
}

/* Pushes a copy, whose names are on top of the stack (or NULL: it is SQL). */
static void push_copy(lua_State *L, const struct change *c, const struct names *names)
{
    size_t size = sizeof(struct held) + values_bytes(c->old_values, c->n_columns) +
                  values_bytes(c->new_values, c->n_columns) + strlen(c->database) + 1 +
                  (c->command ? c->command_len + 1 : 0);
    struct held *h = lua_newuserdatauv(L, size, 2);
    struct value *values = (struct value *)(h + 1);
    unsigned images = (c->old_values ? 1U : 0U) + (c->new_values ? 1U : 0U);
    char *bytes = (char *)(values + (size_t)images * c->n_columns);
    h->c = *c;
    h->new_values = NULL;
    if (c->old_values) {
        copy_values(values, c->old_values, c->n_columns, &bytes);
        h->c.old_values = values;
        values += c->n_columns;
    }
    if (c->new_values) {
        copy_values(values, c->new_values, c->n_columns, &bytes);
        h->c.new_values = h->new_values = values;
    }
    bytes = copy_text(bytes, c->database, &h->c.database);
    if (c->command) {
        memcpy(bytes, c->command, c->command_len + 1);
        h->c.command = bytes;
    }
    if (names) {
        h->c.table = names->table;
        h->c.columns = names->columns;
        h->c.pk_columns = names->pk_columns;
    }
    luaL_setmetatable(L, CHANGE);
}

void change_reset(lua_State *L)
{
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_newtable(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &names_key);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &taken_key);
}

void change_push_list(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
}

void change_add(lua_State *L, const struct change *c)
{
    change_push_list(L);
    if (c->op == CHANGE_SQL) {
        push_copy(L, c, NULL);
    } else {
        push_copy(L, c, push_names(L, c));
        lua_insert(L, -2);
        lua_setiuservalue(L, -2, 1);
    }
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

void change_take_list(lua_State *L, int index, struct change_list *out)
{
    if (!lua_istable(L, index))
        luaL_error(L, "changes is a %s, and should be a table", luaL_typename(L, index));
    size_t n = lua_rawlen(L, index);
    const struct change **list = lua_newuserdatauv(L, n * sizeof(struct change *), 1);
    int at = lua_gettop(L);
    /* The table may become another one; these are kept. */
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, index, (lua_Integer)i + 1);
        const struct held *h = luaL_testudata(L, -1, CHANGE);
        if (!h)
            luaL_error(L, "changes[%d] is a %s: only changes of this transaction may be there",
                       (int)i + 1, luaL_typename(L, -1));
        list[i] = &h->c;
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setiuservalue(L, at, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &taken_key);
    *out = (struct change_list){list, n};
}

/* ---- rows ---- */

/* The place of a column; an error where there is none of that name. */
static unsigned column_at(lua_State *L, const struct row *r, int index)
{
    const struct change *c = &r->of->c;
    if (lua_isinteger(L, index)) {
        lua_Integer i = lua_tointeger(L, index);
        return i >= 1 && i <= (lua_Integer)c->n_columns ? (unsigned)i - 1 : c->n_columns;
    }
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "a column is named by a string or a number, not by a %s",
                   luaL_typename(L, index));
    const char *name = lua_tostring(L, index);
    for (unsigned i = 0; i < c->n_columns; i++)
        if (strcasecmp(c->columns[i], name) == 0)
            return i;
    luaL_error(L, "this change of table %s has no column %s", c->table, name);
    return 0;
}

static int row_index(lua_State *L)
{
    const struct row *r = luaL_checkudata(L, 1, ROW);
    unsigned i = column_at(L, r, 2);
    if (i < r->of->c.n_columns)
        value_push(L, &r->values[i]);
    else
        lua_pushnil(L);
    return 1;
}

static int row_newindex(lua_State *L)
{
    const struct row *r = luaL_checkudata(L, 1, ROW);
    unsigned i = column_at(L, r, 2);
    if (r->values != r->of->new_values)
        return luaL_error(L, "old_values cannot be assigned");
    if (i >= r->of->c.n_columns)
        return luaL_error(L, "there is no such column");
    struct value v = value_get(L, 3, r->of->c.columns[i]);
    lua_getiuservalue(L, 1, 1); /* the change */
    if (lua_getiuservalue(L, -1, 2) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, -3, 2);
    }
    lua_pushvalue(L, 3);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
    r->of->new_values[i] = v;
    return 0;
}

static int row_len(lua_State *L)
{
    const struct row *r = luaL_checkudata(L, 1, ROW);
    lua_pushinteger(L, r->of->c.n_columns);
    return 1;
}

/* For pairs(): the column behind the one named, and its value. */
static int row_next(lua_State *L)
{
    const struct row *r = luaL_checkudata(L, 1, ROW);
    unsigned i = lua_isnil(L, 2) ? 0 : column_at(L, r, 2) + 1;
    if (i >= r->of->c.n_columns) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, r->of->c.columns[i]);
    value_push(L, &r->values[i]);
    return 2;
}

static int row_pairs(lua_State *L)
{
    luaL_checkudata(L, 1, ROW);
    lua_pushcfunction(L, row_next);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* ---- changes ---- */

static void push_row(lua_State *L, struct held *h, const struct value *values)
{
    if (!values) {
        lua_pushnil(L);
        return;
    }
    struct row *r = lua_newuserdatauv(L, sizeof *r, 1);
    *r = (struct row){h, values};
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, ROW);
}

static void push_column_names(lua_State *L, const struct held *h, int user_value)
{
    if (h->c.op == CHANGE_SQL) {
        lua_pushnil(L);
        return;
    }
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, -1, user_value);
}

static void push_rowid(lua_State *L, bool has, int64_t rowid)
{
    if (has)
        lua_pushinteger(L, rowid);
    else
        lua_pushnil(L);
}

static int change_index(lua_State *L)
{
    static const char *const fields[] = {"operation", "table",    "new_values", "old_values",
                                         "command",   "columns",  "pk_columns", "old_rowid",
                                         "new_rowid", "database", NULL};
    struct held *h = luaL_checkudata(L, 1, CHANGE);
    const struct change *c = &h->c;
    switch (luaL_checkoption(L, 2, NULL, fields)) {
    case 0:
        lua_pushstring(L, operations[c->op]);
        return 1;
    case 1:
        lua_pushstring(L, c->op == CHANGE_SQL ? NULL : c->table);
        return 1;
    case 2:
        push_row(L, h, c->new_values);
        return 1;
    case 3:
        push_row(L, h, c->old_values);
        return 1;
    case 4:
        lua_pushlstring(L, c->command ? c->command : "", c->command_len);
        if (!c->command)
            lua_pushnil(L);
        return 1;
    case 5:
        push_column_names(L, h, 1);
        return 1;
    case 6:
        push_column_names(L, h, 2);
        return 1;
    case 7:
        push_rowid(L, c->has_old_rowid, c->old_rowid);
        return 1;
    case 8:
        push_rowid(L, c->has_new_rowid, c->new_rowid);
        return 1;
    default:
        lua_pushstring(L, c->database);
        return 1;
    }
}

static int change_newindex(lua_State *L)
{
    return luaL_error(L, "a change's %s cannot be assigned; the columns of new_values can",
                      luaL_tolstring(L, 2, NULL));
}

static int change_tostring(lua_State *L)
{
    const struct held *h = luaL_checkudata(L, 1, CHANGE);
    if (h->c.op == CHANGE_SQL)
        lua_pushstring(L, h->c.command);
    else
        lua_pushfstring(L, "%s of table %s", operations[h->c.op], h->c.table);
    return 1;
}

static void make_metatable(lua_State *L, const char *name, const struct luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    luaL_setfuncs(L, methods, 0);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

void change_open(lua_State *L)
{
    static const struct luaL_Reg change_methods[] = {{"__index", change_index},
                                                     {"__newindex", change_newindex},
                                                     {"__tostring", change_tostring},
                                                     {NULL, NULL}};
    static const struct luaL_Reg row_methods[] = {{"__index", row_index},
                                                  {"__newindex", row_newindex},
                                                  {"__len", row_len},
                                                  {"__pairs", row_pairs},
                                                  {NULL, NULL}};
    make_metatable(L, CHANGE, change_methods);
    make_metatable(L, ROW, row_methods);
    change_reset(L);
}
