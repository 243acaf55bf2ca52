/*
 * The extension's SQLite is the host's: how that is set up is the host's business, and nothing of
 * it is changed here. Beside sql/library.c, of which it takes the place.
 */
#include <sqlite3.h>

#include "sql/conn.h"

enum err_code conn_library_init(struct err *e)
{
    return sqlite3_threadsafe()
               ? ERR_OK
               : err_set(e, ERR_INTERNAL, "SQLite was built without thread support");
}
