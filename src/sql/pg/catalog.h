/*
 * pg_catalog and information_schema, as virtual tables that are there on every connection without
 * being in any schema: pg_class, pg_attribute …, information_schema_tables …
 *
 * Behind them is a database in memory, one for each connection that has asked for a catalog at all;
 * its tables are filled from the connection's schema when that has changed since. OIDs are made of
 * names, and so are the same on every node and after every start.
 *
 * A connection's thread.
 */
#ifndef HA_SQL_PG_CATALOG_H
#define HA_SQL_PG_CATALOG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_context sqlite3_context;
typedef struct sqlite3_value sqlite3_value;

struct policy;

/* Registers catalogs and functions (pg/function.h) on `db`, which frees what they need when it is
 * closed. `policy` is borrowed until then. SQLite's result code. */
int pg_catalog_open(sqlite3 *db, struct policy *policy);

/* Does a catalog have a boolean column of this name, in lower case? From any thread. */
bool pg_catalog_is_boolean(const char *name);
/* Is it one of the catalogs' own names, pg_class? From any thread. */
bool pg_catalog_has(const char *name);

/* ---- for pg_catalog_*.c ---- */

struct pg_catalog {
    sqlite3 *main; /* the connection, borrowed */
    struct policy *policy;
    sqlite3 *mem;           /* owned; NULL until a catalog is asked for */
    int64_t schema_version; /* of main, when mem was filled; -1 = never */
    unsigned refs;          /* modules and functions that hold it */
};

/* Makes mem what main's schema says. SQLite's result code. */
int pg_catalog_refresh(struct pg_catalog *c);
/* pg/catalog_fill.c: reads main's schema into mem's empty tables. */
int pg_catalog_fill(struct pg_catalog *c);
/* pg/catalog_function.c */
int pg_catalog_functions(struct pg_catalog *c);
/* pg/catalog_size.c */
int pg_catalog_sizes(struct pg_catalog *c);

/* The OID that PostgreSQL gives a catalog itself; 0: none that clients know. */
int pg_catalog_class_oid(const char *name);
uint32_t pg_catalog_oid(const char *kind, const char *name);

#endif
