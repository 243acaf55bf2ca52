#include "sql/wipe.h"

#include <sqlite3.h>

enum err_code conn_wipe(struct conn *c, struct err *e)
{
    sqlite3 *db = conn_handle(c);
    sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 1, (int *)0);
    int rc = sqlite3_exec(db, "VACUUM", NULL, NULL, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_RESET_DATABASE, 0, (int *)0);
    return rc == SQLITE_OK ? ERR_OK : conn_error(c, rc, e);
}
