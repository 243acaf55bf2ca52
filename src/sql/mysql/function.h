/*
 * The functions of MySQL that the dialect's translations call and SQLite does not have, mysql_…,
 * and what the catalog's queries ask. All are SQLITE_DIRECTONLY: the schema cannot use them, since
 * the same schema is read by programs that do not have them.
 *
 * A connection's thread. Registered when a connection is opened.
 */
#ifndef HA_SQL_MYSQL_FUNCTION_H
#define HA_SQL_MYSQL_FUNCTION_H

typedef struct sqlite3 sqlite3;

/* SQLite's result code. */
int mysql_functions_open(sqlite3 *db);

/* The parts, each with its own table. */
int mysql_function_text_open(sqlite3 *db);
int mysql_function_time_open(sqlite3 *db);
int mysql_function_catalog_open(sqlite3 *db);
int mysql_function_session_open(sqlite3 *db);

#endif
