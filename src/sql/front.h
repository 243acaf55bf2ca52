/*
 * What the protocols' clients may call in their statements beside what SQLite has: PostgreSQL's
 * functions and catalogs, MySQL's functions.
 */
#ifndef HA_SQL_FRONT_H
#define HA_SQL_FRONT_H

#include <stdbool.h>

typedef struct sqlite3 sqlite3;
struct policy;

/* To a connection that has just been opened; without `catalogs` the functions only. A result of
 * SQLite's. Any thread that has the connection. */
int front_open(sqlite3 *db, struct policy *policy, bool catalogs);

#endif
