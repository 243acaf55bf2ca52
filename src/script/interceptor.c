/*
 * Two passes over a message: where its transactions end stands behind its changes, so the first one
 * only looks for that. The second one collects the changes of a transaction, and where they are
 * complete runs the script and applies what it has left of them.
 */
#include "script/interceptor.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "script/change.h"
#include "script/db.h"
#include "script/sandbox.h"
#include "sql/apply_ask.h"

struct interceptor {
    struct sandbox *sandbox;
    struct changeset_reader *look; /* the first pass */
    const atomic_bool *cancel;
    const char *id;

    /* of the running message */
    struct apply *apply;
    uint64_t seq;
    char node[256];
    struct changeset_tx *txs; /* owned */
    size_t n_txs, cap_txs;
    size_t next;   /* of txs: the running transaction's place, 1-based */
    uint32_t left; /* of its changes */

    /* of the running transaction */
    bool has_before, has_after;
    bool skip;
    struct change_list changes;
    const char *failed; /* why it could not be applied; NULL: it could */
};

static const char cs_key; /* of the registry: the table that before() and after() get */

/* ---- opening ---- */

static enum err_code ignore_change(void *arg, const struct change *c, struct err *e)
{
    (void)arg;
    (void)c;
    (void)e;
    return ERR_OK;
}

enum err_code interceptor_open(struct interceptor **out, const struct script *script,
                               const char *id, const atomic_bool *cancel, struct err *e)
{
    struct interceptor *i = calloc(1, sizeof *i);
    *out = NULL;
    if (!i)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    i->id = id;
    i->cancel = cancel;
    i->look = changeset_reader_new(ignore_change, i);
    enum err_code code = i->look ? sandbox_open(&i->sandbox, script, id, cancel, e)
                                 : err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code != ERR_OK) {
        interceptor_close(i);
        return code;
    }
    *out = i;
    return ERR_OK;
}

void interceptor_close(struct interceptor *i)
{
    if (!i)
        return;
    sandbox_close(i->sandbox);
    changeset_reader_free(i->look);
    free(i->txs);
    free(i);
}

/* ---- what the script is given, and answers ---- */

static int reset(lua_State *L)
{
    change_reset(L);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cs_key);
    return 0;
}

static int add(lua_State *L)
{
    change_add(L, lua_touserdata(L, 1));
    return 0;
}

static void set_integer(lua_State *L, const char *name, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

static int make_cs(lua_State *L)
{
    const struct interceptor *i = lua_touserdata(L, 1);
    lua_createtable(L, 0, 6);
    lua_pushstring(L, i->node);
    lua_setfield(L, -2, "node");
    lua_pushstring(L, i->id);
    lua_setfield(L, -2, "database");
    set_integer(L, "seq", (int64_t)i->seq);
    set_integer(L, "tx", (int64_t)i->next);
    set_integer(L, "timestamp_ns", i->txs[i->next - 1].timestamp_ns);
    change_push_list(L);
    lua_setfield(L, -2, "changes");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cs_key);
    return 0;
}

static int call_before(lua_State *L)
{
    struct interceptor *i = lua_touserdata(L, 1);
    sandbox_push_function(L, "before");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &cs_key);
    db_push(L);
    lua_call(L, 2, 1);
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
        return luaL_error(L, "%s: before() answers a %s, and should true (skip), false or nothing",
                          sandbox_of(L)->script->path, luaL_typename(L, -1));
    i->skip = lua_toboolean(L, -1);
    return 0;
}

static int take_changes(lua_State *L)
{
    struct interceptor *i = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &cs_key);
    lua_pushliteral(L, "changes");
    lua_rawget(L, -2);
    change_take_list(L, lua_gettop(L), &i->changes);
    return 0;
}

static int call_after(lua_State *L)
{
    const struct interceptor *i = lua_touserdata(L, 1);
    sandbox_push_function(L, "after");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &cs_key);
    db_push(L);
    lua_pushstring(L, i->failed);
    lua_call(L, 3, 1);
    if (lua_isnil(L, -1))
        return 0;
    if (lua_type(L, -1) != LUA_TSTRING)
        return luaL_error(L, "%s: after() answers a %s, and should nothing or an error's text",
                          sandbox_of(L)->script->path, luaL_typename(L, -1));
    return lua_error(L);
}

/* ---- a transaction ---- */

/* With the applier's connection under a guard: what SQL the script runs ends, too. */
static enum err_code call(struct interceptor *i, lua_CFunction fn, int64_t deadline_ns,
                          struct err *e)
{
    struct conn *c = apply_conn(i->apply);
    conn_guard(c, &(struct conn_guard){.deadline_ns = deadline_ns, .cancel = i->cancel});
    enum err_code code = sandbox_call(i->sandbox, fn, i, e);
    conn_unguard(c);
    return code;
}

/* `failed` is set where the script may decide about it. */
static enum err_code apply_changes(struct interceptor *i, struct err *failed, struct err *e)
{
    enum err_code code = sandbox_call(i->sandbox, take_changes, i, e);
    for (size_t k = 0; code == ERR_OK && k < i->changes.n; k++)
        code = apply_change(i->apply, i->changes.changes[k], e);
    if (code != ERR_DIVERGED || !i->has_after)
        return code;
    *failed = *e;
    err_clear(e);
    return apply_undo(i->apply, e);
}

static enum err_code decide(struct interceptor *i, struct err *e)
{
    struct err failed = ERR_INIT;
    int64_t deadline = clock_deadline(INTERCEPTOR_TIME_NS);
    enum err_code code = sandbox_call(i->sandbox, make_cs, i, e);
    i->skip = false;
    if (code == ERR_OK && i->has_after)
        code = apply_mark(i->apply, e);
    if (code == ERR_OK && i->has_before)
        code = call(i, call_before, deadline, e);
    if (code == ERR_OK && !i->skip)
        code = apply_changes(i, &failed, e);
    if (code == ERR_OK && i->has_after && failed.code == ERR_OK)
        code = apply_keep(i->apply, e);
    i->failed = failed.code == ERR_OK ? NULL : failed.msg;
    if (code == ERR_OK && i->has_after)
        code = call(i, call_after, deadline, e);
    return code;
}

static enum err_code begin(struct interceptor *i, struct err *e)
{
    while (i->next < i->n_txs && i->txs[i->next].changes == 0)
        i->next++;
    if (i->next == i->n_txs)
        return err_set(e, ERR_INTERNAL, "a message has more changes than were counted");
    i->left = i->txs[i->next++].changes;
    int64_t steps = SANDBOX_STEPS + SANDBOX_CHANGE_STEPS * i->left;
    enum err_code code = sandbox_begin(i->sandbox, steps, &i->has_before, &i->has_after, e);
    return code == ERR_OK ? sandbox_call(i->sandbox, reset, NULL, e) : code;
}

static enum err_code on_change(void *arg, const struct change *c, struct err *e)
{
    struct interceptor *i = arg;
    enum err_code code = i->left == 0 ? begin(i, e) : ERR_OK;
    if (code == ERR_OK)
        code = sandbox_call(i->sandbox, add, (void *)(uintptr_t)c, e);
    if (code == ERR_OK && --i->left == 0)
        code = decide(i, e);
    return code;
}

/* ---- a message ---- */

static enum err_code keep_txs(struct interceptor *i, const struct changeset_info *info,
                              struct err *e)
{
    /* The seed's own program has one transaction in a message, and says so by saying nothing. */
    struct changeset_tx all = {(uint32_t)info->changes, info->timestamp_ns};
    const struct changeset_tx *txs = info->n_txs > 0 ? info->txs : &all;
    size_t n = info->n_txs > 0 ? info->n_txs : 1;
    if (info->changes > UINT32_MAX)
        return err_set(e, ERR_FORMAT, "a message with too many changes");
    i->n_txs = 0;
    while (i->n_txs < n) {
        struct changeset_tx *more = array_room(i->txs, i->n_txs, &i->cap_txs, sizeof *more);
        if (!more)
            return err_set(e, ERR_NO_MEMORY, "out of memory");
        i->txs = more;
        more[i->n_txs] = txs[i->n_txs];
        i->n_txs++;
    }
    return ERR_OK;
}

static enum err_code look_at(struct interceptor *i, const struct interceptor_message *m,
                             bool *content, struct err *e)
{
    const struct changeset_info *info = NULL;
    changeset_reader_reset(i->look);
    enum err_code code = m->bytes ? changeset_feed(i->look, m->bytes, m->len, e)
                                  : changeset_feed_spool(i->look, m->spool, e);
    if (code == ERR_OK)
        code = changeset_finish(i->look, &info, e);
    if (code != ERR_OK)
        return code;
    *content = info->content;
    snprintf(i->node, sizeof i->node, "%s", info->node);
    return keep_txs(i, info, e);
}

enum err_code interceptor_apply(struct interceptor *i, struct apply *a,
                                const struct interceptor_message *m,
                                const struct changeset_info **info, struct err *e)
{
    bool content = false;
    enum err_code code = look_at(i, m, &content, e);
    if (code != ERR_OK)
        return code;
    ask_open(a);
    i->apply = i->sandbox->apply = a;
    i->seq = m->seq;
    i->next = 0;
    i->left = 0;
    apply_divert(a, content ? NULL : on_change, i);
    code = m->bytes ? apply_message(a, m->bytes, m->len, info, e)
                    : apply_spooled(a, m->spool, info, e);
    apply_divert(a, NULL, NULL);
    i->sandbox->apply = NULL;
    return code;
}
