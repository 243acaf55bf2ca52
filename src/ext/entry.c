/*
 * Where SQLite comes in: it looks for sqlite3_extension_init(), and then for a name that it makes
 * of the file's, ha-sync.so.
 *
 * The library stays in the process once it has been loaded (-z nodelete): its threads, and those of
 * the libraries that it uses, may outlive the connection that has loaded it.
 */
#include <pthread.h>

#include "base/log.h"
#include "ext/sqlite_api.h"
#include "ext/table.h"

const sqlite3_api_routines *sqlite3_api;

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int sqlite3_extension_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);
EXPORTED int sqlite3_hasync_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);

/* Whether the library was built with threads it tells; whether the host has switched them off, only
 * a connection that asks for a mutex and gets none. */
static bool has_threads(void)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_FULLMUTEX;
    bool has = sqlite3_threadsafe() != 0 &&
               sqlite3_open_v2(":memory:", &db, flags, NULL) == SQLITE_OK && sqlite3_db_mutex(db);

    sqlite3_close(db);
    return has;
}

/* What is wrong with this host; NULL: nothing. */
static const char *check(const sqlite3_api_routines *api)
{
    if (api->libversion_number() < EXT_SQLITE_LEAST)
        return "ha-sync needs SQLite " EXT_SQLITE_LEAST_TEXT " or newer";
    if (sqlite3_api && sqlite3_api != api)
        return "ha-sync is in use by another SQLite of this process already";
    if (!sqlite3_api)
        log_to(-1); /* until a table says where */
    sqlite3_api = api;
    if (!has_threads()) {
        sqlite3_api = NULL;
        return "ha-sync follows the log in a thread of its own, and this SQLite is used without "
               "threads (SQLITE_THREADSAFE=0 or SQLITE_CONFIG_SINGLETHREAD)";
    }
    return NULL;
}

static int load(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
    static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    bool known = false;

    pthread_mutex_lock(&mu);
    const char *wrong = check(api);
    pthread_mutex_unlock(&mu);

    if (wrong) {
        *message = api->mprintf("%s", wrong);
        return SQLITE_ERROR;
    }
    struct host *h = host_of(db, &known);
    if (!h)
        return SQLITE_NOMEM;
    if (known)
        return SQLITE_OK;
    /* The module owns the host, also where this fails. */
    int rc = sqlite3_create_module_v2(db, "ha", &table_module, h, host_close);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_module_v2(db, "ha_stats", &stats_module, h, NULL);
    return rc == SQLITE_OK ? function_register(h) : rc;
}

int sqlite3_extension_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
    return load(db, message, api);
}

int sqlite3_hasync_init(sqlite3 *db, char **message, const sqlite3_api_routines *api)
{
    return load(db, message, api);
}
