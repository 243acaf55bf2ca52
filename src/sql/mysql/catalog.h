/*
 * information_schema, as queries of SQLite's own schema and pragmas: what the dialect puts where
 * such a table is named. And what SHOW makes of them.
 *
 * The texts hold %D for the current database's name as a literal, and %R for rows that only the
 * session knows. Any thread.
 */
#ifndef HA_SQL_MYSQL_CATALOG_H
#define HA_SQL_MYSQL_CATALOG_H

struct mysql_rewrite;

/* The query of a table of information_schema, in any case; NULL: there is no such table. */
const char *mysql_catalog(const char *name);
/* Writes such a text, with what stands in it for the session. */
void mysql_catalog_put(struct mysql_rewrite *r, const char *text);

#endif
