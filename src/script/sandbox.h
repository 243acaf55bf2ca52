/*
 * Where a script runs: a Lua state of its own, with no way to files, processes, other modules or
 * the clock, with limits on memory and instructions, and without a memory from one transaction to
 * the next. Everything that calls Lua goes through sandbox_call().
 *
 * A limit that was reached, a failure of this node's own (its disk, a time limit) and the node's
 * end are noted in `failure`: the script cannot catch them, so that it cannot come to another
 * result than on a node that has not met them.
 *
 * One thread at a time: the applier's of its database.
 */
#ifndef HA_SCRIPT_SANDBOX_H
#define HA_SCRIPT_SANDBOX_H

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "script/script.h"

struct apply;
struct stmt;

/* Instructions of Lua's machine for a transaction, and for each of its changes. */
#define SANDBOX_STEPS        ((int64_t)10 * 1000 * 1000)
#define SANDBOX_CHANGE_STEPS ((int64_t)100 * 1000)

struct sandbox {
    lua_State *L;
    const struct script *script; /* borrowed */
    const char *id;              /* of the database, for the log; borrowed */
    const atomic_bool *cancel;   /* the node ends; may be NULL; borrowed */
    size_t used_bytes;
    int64_t steps; /* left */
    struct err failure;

    /* for db.c */
    struct apply *apply; /* NULL: there is no database */
    struct stmt *stmt;   /* runs, or was left by an error */
};

/* Compiles the script. ERR_SCRIPT, "FILE:LINE: …". */
enum err_code sandbox_open(struct sandbox **out, const struct script *script, const char *id,
                           const atomic_bool *cancel, struct err *e);
void sandbox_close(struct sandbox *s); /* NULL is fine */

/* A transaction begins: the script runs from its top, in a world in which nothing has happened
 * yet, and has `steps` instructions for all of the transaction. *before, *after: it has defined
 * these functions. */
enum err_code sandbox_begin(struct sandbox *s, int64_t steps, bool *before, bool *after,
                            struct err *e);

/* Runs `fn` with one argument, `arg` as a light userdata, where it may fail as Lua's functions do.
 * ERR_SCRIPT, or what `failure` says. */
enum err_code sandbox_call(struct sandbox *s, lua_CFunction fn, void *arg, struct err *e);

/* Inside it: pushes the script's function, or nil. */
void sandbox_push_function(lua_State *L, const char *name);

struct sandbox *sandbox_of(lua_State *L);
/* Raises `e` in the script; if `final`, so that it cannot be caught. Does not return. */
int sandbox_raise(lua_State *L, const struct err *e, bool final);

#endif
