/*
 * What the tables of `main` look like, as capture and apply need to know it: columns, primary key,
 * rowid, affinity.
 *
 * Descriptions are read as a whole by schema_refresh(), never on demand, because the preupdate hook
 * that uses them must not run SQL. Only tables whose text in sqlite_schema has changed are read
 * anew, so that a script of many CREATE TABLE and INSERT statements stays linear.
 *
 * One thread at a time. A `struct table` is owned by its schema and valid until the next refresh.
 */
#ifndef HA_SQL_SCHEMA_H
#define HA_SQL_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/value.h"
#include "sql/conn.h"

enum table_kind {
    TABLE_USER,     /* shadow tables of virtual tables are among them */
    TABLE_VIRTUAL,  /* has no rows of its own */
    TABLE_SEQUENCE, /* sqlite_sequence: shipped by sequence.c, not row by row */
    TABLE_STAT,     /* sqlite_stat1 and its like */
    TABLE_OURS      /* schema_is_ours(), and what else is not replicated */
};

/* How far a database that mirrors a source has come (ingest.h): like all ha_ tables not for users
 * to write, but replicated, for another node goes on where this one has stopped. */
#define SCHEMA_TRACKER "ha_proxied_tracker"

/* Is a table of this name (NULL: no) each node's own? */
bool schema_is_ours(const char *name);

struct column {
    char *name;
    const char *affinity; /* a type of that affinity: "INTEGER", "REAL", …, static */
    char *default_sql;    /* the DEFAULT expression's text; NULL = none */
    bool generated;       /* VIRTUAL or STORED: recomputed everywhere, never sent */
    bool real;            /* of REAL affinity */
    unsigned pk;          /* 1-based place in the primary key, 0 = not part of it */
    /* By which the primary key's index tells its values apart: PRIMARY KEY(a COLLATE x) may name
     * another than the column's. NULL where no index has the column. */
    char *key_collation;

    /* schema_default()'s own: what default_sql comes to, once it was asked for */
    bool default_known;
    struct value default_value; /* owned */
};

struct table {
    char *name;
    char *sql; /* as in sqlite_schema */
    enum table_kind kind;
    struct column *columns; /* in the table's order, all of them */
    unsigned n_columns;
    unsigned *sent; /* indices of the columns that changes carry */
    unsigned n_sent;
    unsigned *pk; /* indices of the primary key's columns, in the key's order */
    unsigned n_pk;
    bool without_rowid;
    bool strict;
    bool rowid_alias; /* the primary key is INTEGER PRIMARY KEY: pk[0] is the rowid */
    bool autoincrement;
    const char
        *rowid_name;   /* a name by which the rowid can be had; NULL where columns hide all three */
    bool alike;        /* it has none, nor a key that tells any two rows apart */
    struct buf prefix; /* the beginning of each change as JSON, see capture.c */

    /* schema.c's own */
    struct table *next;
    uint64_t seen;
    uint64_t insert_epoch;
    int64_t insert_max;
};

/* The columns (cid, name) and collations of table ?1's primary key, from its index; a rowid that is
 * the key has none. */
#define SCHEMA_KEY_SQL                                                                             \
    "SELECT x.cid, x.name, x.coll FROM pragma_index_list(?1, 'main') l,"                           \
    " pragma_index_xinfo(l.name, 'main') x WHERE l.origin = 'pk' AND x.key ORDER BY x.seqno"

struct schema;

struct schema *schema_new(struct conn *c); /* NULL: no memory. `c` is borrowed. */
void schema_free(struct schema *s);        /* NULL is fine; before conn_close() */

/* The descriptions may be out of date: the next refresh reads. */
void schema_stale(struct schema *s);
bool schema_is_stale(const struct schema *s);
/* Reads if stale. */
enum err_code schema_refresh(struct schema *s, struct err *e);
/* Counts the refreshes that read something: a pointer to a table is good while this stays. */
uint64_t schema_generation(const struct schema *s);

/* By name, in any case; NULL = there is none. */
const struct table *schema_table(const struct schema *s, const char *name);
/* In no particular order: begin with NULL, ends with NULL. */
const struct table *schema_next(const struct schema *s, const struct table *t);
bool schema_has_virtual(const struct schema *s);
bool schema_has_sequence(const struct schema *s);

/* What a row that is older than the column holds in it (ALTER TABLE … ADD COLUMN … DEFAULT). Runs
 * SQL on a connection of its own, so the hook may call it. False: it cannot be had. */
bool schema_default(const struct table *t, unsigned column, struct value *out);

/* Notes the greatest rowid inserted in an epoch of the caller's, and tells it (false: none). */
void schema_note_insert(const struct table *t, uint64_t epoch, int64_t rowid);
bool schema_inserted(const struct table *t, uint64_t epoch, int64_t *rowid);

#endif
