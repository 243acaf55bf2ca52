/* Named locks, of the thread's session. GET_LOCK() itself waits in steps of mysql_nap() (call.c).
 */
#include <sqlite3.h>
#include <string.h>

#include "sql/mysql/function.h"
#include "sql/mysql/session.h"
#include "sql/pg/function.h"

#define NAME_BYTES 64 /* of a lock's name, as in MySQL */

static _Thread_local const struct mysql_session *current;

void mysql_session_enter(const struct mysql_session *s)
{
    current = s;
}

/* NULL, with the call's error or its NULL. */
static const char *name_of(sqlite3_context *ctx, sqlite3_value *v)
{
    const char *name = (const char *)sqlite3_value_text(v);

    if (!current)
        pg_result_error(ctx, "only sessions of MySQL's protocol have named locks");
    else if (!name || *name == '\0' || strlen(name) > NAME_BYTES)
        pg_result_error(ctx, "a lock's name has 1 to %d characters", NAME_BYTES);
    else
        return name;
    return NULL;
}

static void try_lock(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *name = name_of(ctx, v[0]);

    (void)n;
    if (name)
        sqlite3_result_int(ctx, current->lock(current->arg, name));
}

static void release_lock(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *name = name_of(ctx, v[0]);
    int rc = name ? current->unlock(current->arg, name) : -1;

    (void)n;
    if (name && rc >= 0)
        sqlite3_result_int(ctx, rc);
}

static void is_free_lock(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *name = name_of(ctx, v[0]);

    (void)n;
    if (name)
        sqlite3_result_int(ctx, current->owner(current->arg, name) == 0);
}

static void is_used_lock(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *name = name_of(ctx, v[0]);
    int64_t owner = name ? current->owner(current->arg, name) : 0;

    (void)n;
    if (owner)
        sqlite3_result_int64(ctx, owner);
}

static void release_all_locks(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    (void)v;
    sqlite3_result_int64(ctx, current ? current->unlock_all(current->arg) : 0);
}

int mysql_function_session_open(sqlite3 *db)
{
    static const struct pg_function f[] = {
        {"mysql_try_lock", 1, try_lock, NULL, 0},
        {"mysql_release_lock", 1, release_lock, NULL, 0},
        {"mysql_is_free_lock", 1, is_free_lock, NULL, 0},
        {"mysql_is_used_lock", 1, is_used_lock, NULL, 0},
        {"mysql_release_all_locks", 0, release_all_locks, NULL, 0},
    };

    return pg_functions_register(db, f, sizeof f / sizeof f[0], NULL, SQLITE_DIRECTONLY);
}
