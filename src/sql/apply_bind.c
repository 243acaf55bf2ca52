#include "sql/apply_bind.h"

#include "sql/value.h"

bool target_whole_pk(const struct plan *p, const struct value *values)
{
    for (unsigned i = 0; i < p->n_pk; i++)
        if (values[p->pk[i]].type == VALUE_NULL)
            return false;
    return p->n_pk > 0;
}

struct target target_find(enum row_identify identify, const struct plan *p,
                          const struct value *values, bool has_rowid, int64_t rowid)
{
    struct target t = {PLAN_BY_FULL, values, has_rowid, rowid};
    bool by_rowid = has_rowid && p->t->rowid_name;
    bool by_pk = target_whole_pk(p, values);

    if (identify == ROW_BY_FULL)
        return t;
    if (by_rowid && identify == ROW_BY_ROWID)
        t.where = PLAN_BY_ROWID;
    else if (by_rowid && !by_pk)
        t.where = p->n_pk > 0 ? PLAN_BY_NULL_KEY : PLAN_BY_ROWID;
    else if (by_pk)
        t.where = PLAN_BY_PK;
    return t;
}

int bind_value(sqlite3_stmt *st, unsigned param, const struct value *v)
{
    int i = (int)param;

    switch (v->type) {
    case VALUE_INTEGER:
        return sqlite3_bind_int64(st, i, v->u.i);
    case VALUE_REAL:
        return sqlite3_bind_double(st, i, v->u.r);
    case VALUE_TEXT: /* a NULL pointer would mean NULL */
        return sqlite3_bind_text64(st, i, v->u.s.data ? v->u.s.data : "", v->u.s.len, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case VALUE_BLOB:
        return sqlite3_bind_blob64(st, i, v->u.s.data ? v->u.s.data : "", v->u.s.len,
                                   SQLITE_STATIC);
    default:
        return sqlite3_bind_null(st, i);
    }
}

int bind_rowid(sqlite3_stmt *st, unsigned param, bool known, int64_t rowid)
{
    return known ? sqlite3_bind_int64(st, (int)param, rowid) : sqlite3_bind_null(st, (int)param);
}

int bind_key(sqlite3_stmt *st, const struct plan *p, const struct target *t, unsigned param)
{
    int rc = SQLITE_OK;

    switch (t->where) {
    case PLAN_BY_PK:
        for (unsigned i = 0; i < p->n_pk && rc == SQLITE_OK; i++)
            rc = bind_value(st, param + i, &t->values[p->pk[i]]);
        return rc;
    case PLAN_BY_ROWID:
    case PLAN_BY_NULL_KEY:
        return sqlite3_bind_int64(st, (int)param, t->rowid);
    case PLAN_BY_FULL:
    case PLAN_BY_VALUES:
        for (unsigned i = 0; i < p->n && rc == SQLITE_OK; i++)
            rc = bind_value(st, param + i, &t->values[i]);
        if (rc == SQLITE_OK && t->where == PLAN_BY_FULL && p->t->rowid_name)
            rc = bind_rowid(st, param + p->n, t->has_rowid, t->rowid);
        return rc;
    }
    return SQLITE_MISUSE;
}

int bind_new_values(sqlite3_stmt *st, const struct plan *p, const struct change *c)
{
    int rc = SQLITE_OK;

    for (unsigned i = 0; i < p->n_use && rc == SQLITE_OK; i++)
        rc = bind_value(st, i + 1, &c->new_values[p->use[i]]);
    return rc;
}

unsigned plan_move_flag(const struct plan *p, const struct change *c)
{
    bool moves =
        p->hidden_rowid && c->has_old_rowid && c->has_new_rowid && c->old_rowid != c->new_rowid;

    return moves ? PLAN_MOVE : 0;
}

/* The columns that an UPDATE changes, 0 where that is none or cannot be said. */
static uint64_t changed_columns(const struct plan *p, const struct change *c)
{
    uint64_t set = 0;

    if (p->n_use > PLAN_PARTIAL_COLUMNS)
        return 0;
    for (unsigned i = 0; i < p->n_use; i++)
        if (!value_same(&c->old_values[p->use[i]], &c->new_values[p->use[i]]))
            set |= UINT64_C(1) << i;
    return set;
}

int bind_update(struct plans *ps, struct plan *p, const struct change *c, const struct target *t,
                sqlite3_stmt **st, struct err *e)
{
    const struct plan_kind kind = {PLAN_UPDATE, t->where, plan_move_flag(p, c),
                                   changed_columns(p, c)};
    uint64_t set = kind.set;
    unsigned next = 1;
    int rc = SQLITE_OK;

    *st = NULL;
    if (set && plan_partial(ps, p, c, &kind, st, e))
        return -1;
    if (!*st) {
        set = UINT64_MAX;
        if (plan_statement(ps, p, c, &kind, st, e))
            return -1;
    }
    for (unsigned i = 0; i < p->n_use && rc == SQLITE_OK; i++)
        if (i >= PLAN_PARTIAL_COLUMNS || set >> i & 1)
            rc = bind_value(*st, next++, &c->new_values[p->use[i]]);
    if (rc == SQLITE_OK && (kind.flags & PLAN_MOVE))
        rc = sqlite3_bind_int64(*st, (int)next++, c->new_rowid);
    return rc == SQLITE_OK ? bind_key(*st, p, t, next) : rc;
}
