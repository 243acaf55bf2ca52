/*
 * Tables of a PostgreSQL source: as its catalog describes them, and as the local database is to
 * have them. One thread at a time.
 *
 * A local table is what `CREATE TABLE` over the PostgreSQL port would make of the source's columns:
 * types, NOT NULL, the primary key, and defaults that are a literal, the time or a random UUID.
 * Types that this program does not know (enums, inet, ranges …) are TEXT. Generated columns are
 * left out, as in what the source sends.
 */
#ifndef HA_PROXY_PG_TABLE_H
#define HA_PROXY_PG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proxy/pg_link.h"

/* Domains and the types beneath them. */
struct pg_domains {
    struct pg_domain {
        uint32_t oid, base;
    } * all;
    size_t n;
};

enum err_code pg_domains_load(struct pg_domains *d, struct pg_link *l, const struct wait *w,
                              struct err *e);
void pg_domains_free(struct pg_domains *d);
/* The type that values of `oid` are of. */
uint32_t pg_domains_base(const struct pg_domains *d, uint32_t oid);

struct pg_column {
    char *name;
    uint32_t type;    /* OID, of a domain the one beneath it */
    int32_t modifier; /* -1 = none */
    bool not_null;
    int key;           /* 1-based place in the primary key; 0 = not in it */
    char *default_sql; /* in PostgreSQL's words; NULL = none */
    /* Rows that are older than the column have this in it (its text); NULL = they have NULL. */
    char *missing;
};

struct pg_table {
    char *schema, *name;
    bool partitioned; /* the rows are its partitions' */
    char *filter;     /* only rows for which this holds are published; NULL = all */
    struct pg_column *columns;
    size_t n_columns;
};

struct pg_tables {
    struct pg_table *all;
    size_t n;
};

/* Those of a publication, each with the columns that it publishes; `schema` and `name` (NULL: all)
 * choose one. */
enum err_code pg_tables_load(struct pg_tables *t, struct pg_link *l, const char *publication,
                             const char *schema, const char *name, const struct pg_domains *d,
                             const struct wait *w, struct err *e);
void pg_tables_free(struct pg_tables *t);
/* Two tables of different schemas with one name have one local table: ERR_UNSUPPORTED. */
enum err_code pg_tables_check(const struct pg_tables *t, struct err *e);

/* Appends CREATE TABLE as SQLite takes it. */
enum err_code pg_table_create(const struct pg_table *t, struct buf *sql, struct err *e);
/* ALTER TABLE … ADD COLUMN. ERR_UNSUPPORTED where the rows that are there could not get what they
 * have in the source. */
enum err_code pg_table_add_column(const struct pg_table *t, const struct pg_column *c,
                                  struct buf *sql, struct err *e);

/* Calls each() with a CREATE INDEX statement for every index of the table on plain columns. */
enum err_code pg_table_indexes(const struct pg_table *t, struct pg_link *l, const struct wait *w,
                               enum err_code (*each)(void *arg, const char *sql, struct err *e),
                               void *arg, struct err *e);

#endif
