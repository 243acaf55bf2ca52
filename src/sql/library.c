/*
 * SQLite as this program sets it up for itself. The loadable extension, which works with the SQLite
 * of whoever has loaded it, has another one of these (ext/library.c).
 */
#include <pthread.h>
#include <sqlite3.h>

#include "sql/conn.h"
#include "sql/room.h"

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_rc;

static void init_library(void)
{
    library_rc = sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    if (library_rc == SQLITE_OK)
        library_rc = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (library_rc == SQLITE_OK)
        library_rc = sqlite3_initialize();
    if (library_rc == SQLITE_OK)
        room_watch();
}

enum err_code conn_library_init(struct err *e)
{
    pthread_once(&library_once, init_library);
    if (library_rc != SQLITE_OK) {
        err_set(e, ERR_INTERNAL, "SQLite cannot be set up: %s", sqlite3_errstr(library_rc));
        e->sqlite_code = library_rc;
        return e->code;
    }
    if (sqlite3_threadsafe() == 0)
        return err_set(e, ERR_INTERNAL, "SQLite was built without thread support");
    return ERR_OK;
}
