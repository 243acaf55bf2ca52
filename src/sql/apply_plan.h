/*
 * How the changes of one shape meet a table of the file: which of their columns it has, which are
 * its key, and the statements for them, prepared when first needed and kept.
 *
 * Plans hold descriptions of `schema`, so all of them are dropped when it is read anew. Internal to
 * apply; one thread at a time.
 */
#ifndef HA_SQL_APPLY_PLAN_H
#define HA_SQL_APPLY_PLAN_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/err.h"
#include "proto/changeset.h"
#include "sql/conn.h"
#include "sql/schema.h"

#define PLAN_MAX 1024 /* plans kept */

enum plan_op {
    PLAN_INSERT,
    PLAN_UPDATE,
    PLAN_DELETE,
    PLAN_SELECT,
    PLAN_KICK, /* gives a row that has another key, and stands at this hidden rowid, another rowid
                */
    PLAN_OPS
};

/* Which row an UPDATE or DELETE means. */
enum plan_where {
    PLAN_BY_PK,
    PLAN_BY_ROWID,
    PLAN_BY_NULL_KEY, /* the rowid, of a row whose primary key has a NULL in it */
    PLAN_BY_FULL,  /* all old values; of equal rows one, that with the change's rowid if it is there
                    */
    PLAN_BY_VALUES /* all old values; every such row */
};
#define PLAN_WHERES 5

/* May be added up. */
#define PLAN_REPLACE 1U /* what stands in the way is removed */
#define PLAN_MOVE    2U /* UPDATE: sets the hidden rowid, too */
#define PLAN_FLAGS   4U

/* Which of the statements for a change. */
struct plan_kind {
    enum plan_op op;
    enum plan_where where;
    unsigned flags;
    uint64_t set; /* plan_partial(): those columns alone, bit i is column use[i] */
};

/*
 * An UPDATE of some columns only. Assigning a column makes SQLite write all indexes that have it,
 * and assigning the key is a DELETE and an INSERT, whether the value is another or not.
 */
#define PLAN_PARTIAL_COLUMNS 64 /* of wider changes all columns are assigned */
#define PLAN_PARTIALS        8  /* sets of columns that a plan keeps statements for */
struct plan_partial {
    struct plan_kind kind;
    sqlite3_stmt *st;
};

struct plan {
    uint64_t shape;
    const struct table *t;
    unsigned n;    /* columns of the change */
    unsigned *use; /* those of them that are assigned, as places in the change */
    unsigned n_use;
    unsigned *pk;            /* the key's columns, as places in the change */
    const char **collations; /* of those, as struct column has them */
    unsigned n_pk;           /* 0 = none, or not all of them are in the change */
    bool lacks;              /* the table lacks some of the columns */
    bool hidden_rowid;       /* the rowid is no column, and has a name */
    sqlite3_stmt *st[PLAN_OPS][PLAN_WHERES][PLAN_FLAGS];
    struct plan_partial partials[PLAN_PARTIALS];
    unsigned n_partials;
};

struct plans;

struct plans *plans_new(struct conn *c); /* NULL: no memory */
void plans_free(struct plans *p);        /* NULL is fine; before conn_close() */
void plans_drop(struct plans *p);

/* *out = NULL where the file has no such table. Borrowed until the next call. */
enum err_code plans_get(struct plans *p, const struct schema *s, const struct change *c,
                        struct plan **out, struct err *e);

/*
 * The statement, ready to be bound. Its parameters, from 1:
 *   INSERT  the values (n_use), the rowid if hidden_rowid (NULL = the next free one)
 *   UPDATE  the new values (n_use), the new rowid if PLAN_MOVE, then the key
 *   DELETE  the key
 *   SELECT  the key; its columns are those of the INSERT's values
 *   KICK    the rowid, then the PK's values of the row that wants it
 * The key is the PK's old values (n_pk) | the old rowid | all old values (n), and for PLAN_BY_FULL
 * the old rowid behind them where the table has one.
 */
enum err_code plan_statement(struct plans *ps, struct plan *p, const struct change *c,
                             const struct plan_kind *kind, sqlite3_stmt **out, struct err *e);

/* UPDATE of the columns in `set` alone, whose values come first. *out = NULL where no statement is
 * kept for one set more: then that of all columns does. */
enum err_code plan_partial(struct plans *ps, struct plan *p, const struct change *c,
                           const struct plan_kind *kind, sqlite3_stmt **out, struct err *e);

#endif
