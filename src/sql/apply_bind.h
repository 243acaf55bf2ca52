/*
 * Which row a change means, and the binding of a plan's statements. Internal to apply and revert;
 * one thread at a time.
 */
#ifndef HA_SQL_APPLY_BIND_H
#define HA_SQL_APPLY_BIND_H

#include <sqlite3.h>

#include "sql/apply.h"
#include "sql/apply_plan.h"

/* How a change finds its row; borrowed from the change. */
struct target {
    enum plan_where where;
    const struct value *values; /* of the change's columns; of a row that is there, or should be */
    bool has_rowid;
    int64_t rowid;
};

/* No part of the primary key is NULL, and there is one. */
bool target_whole_pk(const struct plan *p, const struct value *values);
struct target target_find(enum row_identify identify, const struct plan *p,
                          const struct value *values, bool has_rowid, int64_t rowid);

/* These answer what SQLite does. Values are not copied: they last until the statement is reset. */
int bind_value(sqlite3_stmt *st, unsigned param, const struct value *v);
int bind_rowid(sqlite3_stmt *st, unsigned param, bool known, int64_t rowid); /* or NULL */
/* What stands behind WHERE, from parameter `param` on. */
int bind_key(sqlite3_stmt *st, const struct plan *p, const struct target *t, unsigned param);
/* The values that an INSERT, or an UPDATE without its key, assigns. */
int bind_new_values(sqlite3_stmt *st, const struct plan *p, const struct change *c);

/* The UPDATE of the columns that the change sets to another value, bound; where it sets none, or no
 * statement is kept for them, of all. -1: it cannot be prepared, and `e` says why. */
int bind_update(struct plans *ps, struct plan *p, const struct change *c, const struct target *t,
                sqlite3_stmt **st, struct err *e);

/* The hidden rowid is another one afterwards? PLAN_MOVE, or 0. */
unsigned plan_move_flag(const struct plan *p, const struct change *c);

#endif
