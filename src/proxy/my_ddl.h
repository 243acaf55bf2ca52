/*
 * What a statement in a MySQL source's log means to a mirror, by its words: which tables it
 * concerns, and whether it can be followed at all. What their columns are is asked of the source's
 * catalog (my_table.h), so definitions are not read here. Pure; any thread.
 */
#ifndef HA_PROXY_MY_DDL_H
#define HA_PROXY_MY_DDL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum my_ddl_kind {
    MY_DDL_NOTHING, /* nothing of a mirror's: users, views, routines, SET … */
    MY_DDL_BEGIN,
    MY_DDL_COMMIT,
    MY_DDL_ROLLBACK,
    MY_DDL_PARTIAL, /* ROLLBACK TO, XA: transactions that cannot be followed row by row */
    MY_DDL_ROWS,    /* rows changed by a statement that travels as such: binlog_format is not ROW */
    MY_DDL_TRUNCATE,
    MY_DDL_CREATE,
    MY_DDL_ALTER, /* indexes, too */
    MY_DDL_DROP,
    MY_DDL_RENAME,
    MY_DDL_DROP_SCHEMA
};

#define MY_DDL_TABLES_MAX 64 /* that one statement names */
#define MY_DDL_NAME_BYTES 260

struct my_ddl_name {
    char schema[MY_DDL_NAME_BYTES], table[MY_DDL_NAME_BYTES];
};

struct my_ddl {
    enum my_ddl_kind kind;
    /* ALTER: columns … */
    bool renames;  /* may have got another name */
    bool drops;    /* are gone */
    bool modifies; /* may have got another type */
    bool replaces; /* CREATE OR REPLACE: an older one's rows are gone */
    bool moves;    /* ALTER: rows come or go with partitions or tablespaces */
    size_t n;
    struct my_ddl_name tables[MY_DDL_TABLES_MAX]; /* RENAME: from, to, from, to … */
};

/* `schema` is the one in which names without a schema are. ERR_UNSUPPORTED where it is about more
 * tables than there is room for, or a table's name is too long. */
enum err_code my_ddl_read(struct my_ddl *d, const char *schema, size_t schema_len, const char *sql,
                          size_t len, struct err *e);

#endif
