#include "sql/front.h"

#include <sqlite3.h>

#include "sql/mysql/function.h"
#include "sql/pg/catalog.h"
#include "sql/pg/function.h"

int front_open(sqlite3 *db, struct policy *policy, bool catalogs)
{
    int rc = catalogs ? pg_catalog_open(db, policy) : pg_functions_open(db, SQLITE_DIRECTONLY);

    return rc == SQLITE_OK ? mysql_functions_open(db) : rc;
}
