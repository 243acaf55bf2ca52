#include "sql/apply_plan.h"

#include <stdlib.h>
#include <string.h>

#include "sql/quote.h"

/* An AND of hundreds of terms would be deeper than SQLite lets an expression be. */
#define TERMS_PER_GROUP 50

struct plans {
    struct conn *conn;
    sqlite3 *db;
    struct plan *at[PLAN_MAX]; /* by shape modulo the size; a newer one takes the place */
};

struct plans *plans_new(struct conn *c)
{
    struct plans *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->conn = c;
    p->db = conn_handle(c);
    return p;
}

static void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (int op = 0; op < PLAN_OPS; op++)
        for (int where = 0; where < PLAN_WHERES; where++)
            for (unsigned flags = 0; flags < PLAN_FLAGS; flags++)
                sqlite3_finalize(p->st[op][where][flags]);
    for (unsigned i = 0; i < p->n_partials; i++)
        sqlite3_finalize(p->partials[i].st);
    free(p->use);
    free(p->pk);
    free(p->collations);
    free(p);
}

void plans_drop(struct plans *p)
{
    for (size_t i = 0; i < PLAN_MAX; i++) {
        plan_free(p->at[i]);
        p->at[i] = NULL;
    }
}

void plans_free(struct plans *p)
{
    if (!p)
        return;
    plans_drop(p);
    free(p);
}

/* ---- making a plan ---- */

static const struct column *find_column(const struct table *t, const char *name)
{
    for (unsigned i = 0; i < t->n_columns; i++)
        if (sqlite3_stricmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

static bool find_place(const struct change *c, const char *name, unsigned *place)
{
    for (unsigned i = 0; i < c->n_columns; i++) {
        if (sqlite3_stricmp(c->columns[i], name) == 0) {
            *place = i;
            return true;
        }
    }
    return false;
}

/* The key that the change names, or else the table's own. */
static void find_pk(struct plan *p, const struct change *c)
{
    unsigned n = c->n_pk > 0 ? c->n_pk : p->t->n_pk;

    for (unsigned i = 0; i < n; i++) {
        const char *name = c->n_pk > 0 ? c->pk_columns[i] : p->t->columns[p->t->pk[i]].name;
        const struct column *col = find_column(p->t, name);

        if (!col || !find_place(c, name, &p->pk[i])) {
            p->n_pk = 0;
            return;
        }
        p->collations[i] = col->key_collation;
    }
    p->n_pk = n;
}

static enum err_code plan_new(const struct table *t, const struct change *c, struct plan **out,
                              struct err *e)
{
    struct plan *p = calloc(1, sizeof *p);
    unsigned n_pk = c->n_pk > t->n_pk ? c->n_pk : t->n_pk;

    *out = p;
    if (!p)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    p->shape = c->shape;
    p->t = t;
    p->n = c->n_columns;
    p->use = calloc(c->n_columns + 1, sizeof *p->use);
    p->pk = calloc(n_pk + 1, sizeof *p->pk);
    p->collations = calloc(n_pk + 1, sizeof *p->collations);
    if (!p->use || !p->pk || !p->collations)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < c->n_columns; i++) {
        const struct column *col = find_column(t, c->columns[i]);

        if (!col)
            p->lacks = true;
        else if (!col->generated)
            p->use[p->n_use++] = i;
    }
    find_pk(p, c);
    p->hidden_rowid = t->rowid_name && !t->rowid_alias && t->kind != TABLE_STAT;
    return ERR_OK;
}

enum err_code plans_get(struct plans *p, const struct schema *s, const struct change *c,
                        struct plan **out, struct err *e)
{
    struct plan **at = &p->at[c->shape % PLAN_MAX];
    const struct table *t;
    enum err_code code;

    if (*at && (*at)->shape == c->shape) {
        *out = *at;
        return ERR_OK;
    }
    *out = NULL;
    t = schema_table(s, c->table);
    if (!t)
        return ERR_OK;
    plan_free(*at);
    code = plan_new(t, c, at, e);
    if (code) {
        plan_free(*at);
        *at = NULL;
        return code;
    }
    *out = *at;
    return ERR_OK;
}

/* ---- statements ---- */

static void put_table(struct buf *b, const struct plan *p)
{
    buf_puts(b, "main.");
    quote_put_name(b, p->t->name);
}

static void put_insert(struct buf *b, const struct plan *p, const struct change *c, unsigned flags)
{
    unsigned params = p->n_use + p->hidden_rowid;

    /* Always said, because a constraint may have an ON CONFLICT clause of its own, ROLLBACK even.
     */
    buf_printf(b, "INSERT OR %s INTO ", flags & PLAN_REPLACE ? "REPLACE" : "ABORT");
    put_table(b, p);
    buf_puts(b, "(");
    for (unsigned i = 0; i < p->n_use; i++) {
        if (i > 0)
            buf_putc(b, ',');
        quote_put_name(b, c->columns[p->use[i]]);
    }
    if (p->hidden_rowid) {
        buf_puts(b, p->n_use > 0 ? "," : "");
        buf_puts(b, p->t->rowid_name);
    }
    buf_puts(b, ") VALUES (");
    for (unsigned i = 0; i < params; i++)
        buf_printf(b, "%s?%u", i > 0 ? "," : "", i + 1);
    buf_puts(b, ")");
}

static const char *term_end(unsigned i, unsigned n)
{
    return i % TERMS_PER_GROUP == TERMS_PER_GROUP - 1 || i == n - 1 ? ")" : "";
}

/* name IS ?first AND … in groups. All columns, bytes by bytes. */
static void put_match_all(struct buf *b, const struct plan *p, const struct change *c,
                          unsigned first)
{
    for (unsigned i = 0; i < p->n; i++) {
        buf_puts(b, i > 0 ? " AND " : "");
        buf_puts(b, i % TERMS_PER_GROUP == 0 ? "(" : "");
        quote_put_name(b, c->columns[i]);
        buf_printf(b, " IS ?%u COLLATE BINARY%s", first + i, term_end(i, p->n));
    }
}

/* The key as its index sees it: a column compares by its own collation, which may call two keys
 * equal. */
static void put_match_key(struct buf *b, const struct plan *p, const struct change *c,
                          unsigned first)
{
    for (unsigned i = 0; i < p->n_pk; i++) {
        buf_puts(b, i > 0 ? " AND " : "");
        buf_puts(b, i % TERMS_PER_GROUP == 0 ? "(" : "");
        quote_put_name(b, c->columns[p->pk[i]]);
        buf_printf(b, " IS ?%u", first + i);
        if (p->collations[i]) {
            buf_puts(b, " COLLATE ");
            quote_put_name(b, p->collations[i]);
        }
        buf_puts(b, term_end(i, p->n_pk));
    }
}

static void put_where(struct buf *b, const struct plan *p, const struct change *c,
                      enum plan_where where, unsigned first)
{
    buf_puts(b, " WHERE ");
    switch (where) {
    case PLAN_BY_PK:
        put_match_key(b, p, c, first);
        return;
    case PLAN_BY_ROWID:
        quote_put_name(b, p->t->rowid_name);
        buf_printf(b, " = ?%u", first);
        return;
    case PLAN_BY_NULL_KEY:
        quote_put_name(b, p->t->rowid_name);
        buf_printf(b, " = ?%u AND (", first);
        for (unsigned i = 0; i < p->n_pk; i++) {
            buf_puts(b, i > 0 ? " OR " : "");
            quote_put_name(b, c->columns[p->pk[i]]);
            buf_puts(b, " IS NULL");
        }
        buf_puts(b, ")");
        return;
    case PLAN_BY_FULL:
        if (!p->t->rowid_name)
            break;
        quote_put_name(b, p->t->rowid_name);
        buf_puts(b, " = (SELECT ");
        quote_put_name(b, p->t->rowid_name);
        buf_puts(b, " FROM ");
        put_table(b, p);
        buf_puts(b, " WHERE ");
        put_match_all(b, p, c, first);
        buf_puts(b, " ORDER BY ");
        quote_put_name(b, p->t->rowid_name);
        buf_printf(b, " IS ?%u DESC LIMIT 1)", first + p->n);
        return;
    case PLAN_BY_VALUES:
        break;
    }
    put_match_all(b, p, c, first);
}

/* All columns, or (partial) those of the set. */
static void put_update(struct buf *b, const struct plan *p, const struct change *c,
                       const struct plan_kind *kind, bool partial)
{
    unsigned next = 1;

    buf_printf(b, "UPDATE OR %s ", kind->flags & PLAN_REPLACE ? "REPLACE" : "ABORT");
    put_table(b, p);
    buf_puts(b, " SET ");
    for (unsigned i = 0; i < p->n_use; i++) {
        if (partial && !(kind->set >> i & 1))
            continue;
        buf_puts(b, next > 1 ? "," : "");
        quote_put_name(b, c->columns[p->use[i]]);
        buf_printf(b, "=?%u", next++);
    }
    if (kind->flags & PLAN_MOVE) {
        buf_puts(b, next > 1 ? "," : "");
        buf_printf(b, "%s=?%u", p->t->rowid_name, next++);
    }
    put_where(b, p, c, kind->where, next);
}

static void put_select(struct buf *b, const struct plan *p, const struct change *c,
                       const struct plan_kind *kind)
{
    buf_puts(b, "SELECT ");
    for (unsigned i = 0; i < p->n_use; i++) {
        buf_puts(b, i > 0 ? "," : "");
        quote_put_name(b, c->columns[p->use[i]]);
    }
    buf_puts(b, p->n_use > 0 ? " FROM " : "1 FROM ");
    put_table(b, p);
    put_where(b, p, c, kind->where, 1);
}

/* Rows without a whole key are what their rowid says: they are not moved. */
static void put_kick(struct buf *b, const struct plan *p, const struct change *c)
{
    const char *r = p->t->rowid_name;

    buf_puts(b, "UPDATE OR ABORT ");
    put_table(b, p);
    buf_printf(b,
               " SET %s=(SELECT CASE WHEN max(%s)<9223372036854775807 THEN max(%s)+1"
               " ELSE min(%s)-1 END FROM ",
               r, r, r, r);
    put_table(b, p);
    buf_printf(b, ") WHERE %s=?1 AND NOT (", r);
    put_match_key(b, p, c, 2);
    buf_puts(b, ")");
    for (unsigned i = 0; i < p->n_pk; i++) {
        buf_puts(b, " AND ");
        quote_put_name(b, c->columns[p->pk[i]]);
        buf_puts(b, " IS NOT NULL");
    }
}

static enum err_code prepare(struct plans *ps, struct buf *b, sqlite3_stmt **st, struct err *e)
{
    int rc = SQLITE_NOMEM;

    if (buf_ok(b))
        rc = sqlite3_prepare_v3(ps->db, buf_cstr(b), (int)b->len + 1, SQLITE_PREPARE_PERSISTENT, st,
                                NULL);
    buf_free(b);
    return rc == SQLITE_OK ? ERR_OK : conn_error(ps->conn, rc, e);
}

enum err_code plan_statement(struct plans *ps, struct plan *p, const struct change *c,
                             const struct plan_kind *kind, sqlite3_stmt **out, struct err *e)
{
    sqlite3_stmt **st = &p->st[kind->op][kind->where][kind->flags];
    struct buf b = BUF_INIT;
    enum err_code code;

    *out = *st;
    if (*st)
        return ERR_OK;
    if (kind->op == PLAN_INSERT) {
        put_insert(&b, p, c, kind->flags);
    } else if (kind->op == PLAN_UPDATE) {
        put_update(&b, p, c, kind, false);
    } else if (kind->op == PLAN_SELECT) {
        put_select(&b, p, c, kind);
    } else if (kind->op == PLAN_KICK) {
        put_kick(&b, p, c);
    } else {
        buf_puts(&b, "DELETE FROM ");
        put_table(&b, p);
        put_where(&b, p, c, kind->where, 1);
    }
    code = prepare(ps, &b, st, e);
    *out = *st;
    return code;
}

enum err_code plan_partial(struct plans *ps, struct plan *p, const struct change *c,
                           const struct plan_kind *kind, sqlite3_stmt **out, struct err *e)
{
    struct plan_partial *x = p->partials;
    struct buf b = BUF_INIT;
    enum err_code code;

    for (unsigned i = 0; i < p->n_partials; i++, x++) {
        if (x->kind.set == kind->set && x->kind.where == kind->where &&
            x->kind.flags == kind->flags) {
            *out = x->st;
            return ERR_OK;
        }
    }
    *out = NULL;
    if (p->n_partials == PLAN_PARTIALS)
        return ERR_OK;
    *x = (struct plan_partial){.kind = *kind};
    put_update(&b, p, c, kind, true);
    code = prepare(ps, &b, &x->st, e);
    if (!code) {
        p->n_partials++;
        *out = x->st;
    }
    return code;
}
