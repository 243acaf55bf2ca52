/*
 * Tables of a MySQL source: as its information_schema describes them, and as the local database is
 * to have them. One thread at a time.
 *
 * A local table is what `CREATE TABLE` over the MySQL port would make of the source's columns, with
 * what a mirror needs changed: no foreign keys, checks and triggers (the source has done what they
 * do), no defaults but literals. Columns that SQLite's numbers cannot hold exactly (DECIMAL with
 * more than 15 digits, BIGINT UNSIGNED) have no type, so that each value stays as it came. Virtual
 * generated columns are left out, as in what the source sends; the schema's name, too.
 */
#ifndef HA_PROXY_MY_TABLE_H
#define HA_PROXY_MY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "proto/binlog.h"
#include "proxy/my_link.h"

/* How values of a type come. */
enum my_kind {
    MY_INTEGER, /* also BIT, YEAR */
    MY_DECIMAL,
    MY_FLOAT,
    MY_DOUBLE,
    MY_BIT,
    MY_MOMENT, /* DATE, TIME, DATETIME, TIMESTAMP */
    MY_TEXT,   /* also ENUM, SET, JSON */
    MY_BYTES,  /* also geometry */
    MY_UUID,   /* MariaDB's UUID, INET6 and INET4: texts that its log has as bytes */
    MY_INET6,
    MY_INET4,
    MY_UNKNOWN
};

struct my_column {
    const char *name, *type, *full_type; /* "int", "int(10) unsigned" */
    const char *charset;                 /* of texts, ENUM and SET, else "" */
    const char *collation;
    const char *fallback; /* the default as the source shows it; NULL = none */
    enum my_kind kind;
    bool is_unsigned, nullable, is_key, is_auto, is_computed;
    bool virtual;       /* computed when it is read: in no row of the log */
    unsigned precision; /* digits of DECIMAL; of moments those behind the second's point */
    unsigned scale;
    uint64_t octets;                  /* most bytes of texts */
    const struct binlog_text *labels; /* of ENUM and SET */
    unsigned n_labels;
};

struct my_table {
    const char *schema, *name;
    struct my_column *columns;
    unsigned n_columns, n_keys;
    unsigned n_hidden; /* at most so many columns more are in its log, behind these: MariaDB has one
                          for a unique key that is too long for an index */
};

enum my_rule { MY_RULE_NONE, MY_RULE_CASCADE, MY_RULE_SET_NULL };

/* A foreign key whose rows go with those that they refer to. The server does that beneath its log.
 */
struct my_reference {
    const char *schema, *table, *name; /* of the table that refers to … */
    const char *parent_schema, *parent;
    enum my_rule on_delete, on_update;
    const char **columns, **parent_columns; /* pairs */
    unsigned n;
};

struct my_tables {
    struct arena *arena; /* owns everything */
    struct my_table *all;
    size_t n;
    struct my_reference *references; /* those with a rule, between tables of `all` */
    size_t n_references;
};

/* Which tables: patterns over "schema.table". */
struct my_filter;
/* Regular expressions; `exclude` "" = nothing. ERR_CONFIG with the flag's name. */
enum err_code my_filter_new(struct my_filter **out, const char *include, const char *exclude,
                            struct err *e);
void my_filter_free(struct my_filter *f); /* NULL is fine */
bool my_filter_takes(const struct my_filter *f, const char *schema, const char *table);

/* Those that the filter takes; system schemas never are. */
enum err_code my_tables_load(struct my_tables *t, struct my_link *l, const struct my_filter *f,
                             const struct wait *w, struct err *e);
void my_tables_free(struct my_tables *t); /* a zeroed one is fine */
/* Two tables of different schemas with one name have one local table: ERR_UNSUPPORTED. */
enum err_code my_tables_check(const struct my_tables *t, struct err *e);
const struct my_table *my_tables_find(const struct my_tables *t, const char *schema,
                                      const char *name);
const struct my_column *my_table_column(const struct my_table *t, const char *name);

/* Appends CREATE TABLE as SQLite takes it. */
enum err_code my_table_create(const struct my_table *t, struct buf *sql, struct err *e);
/* ALTER TABLE … ADD COLUMN. ERR_UNSUPPORTED where the rows that are there could not get what they
 * have in the source. */
enum err_code my_table_add_column(const struct my_table *t, const struct my_column *c,
                                  struct buf *sql, struct err *e);
/* Calls each() with a CREATE INDEX statement for every index of the table on plain columns. */
enum err_code my_table_indexes(const struct my_table *t, struct my_link *l, const struct wait *w,
                               enum err_code (*each)(void *arg, const char *sql, struct err *e),
                               void *arg, struct err *e);

#endif
