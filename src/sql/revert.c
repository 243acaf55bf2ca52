#include "sql/revert.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "proto/address.h"
#include "sql/apply_bind.h"
#include "sql/change_text.h"
#include "sql/value.h"

/* What the connection is set to otherwise. */
struct setting {
    int option;
    int meanwhile;
    int before;
};

#define SETTINGS 3

/* A table with foreign keys that are watched. */
struct child {
    char *name;         /* owned */
    int64_t violations; /* before */
};

struct revert {
    struct conn *conn;
    sqlite3 *db;
    struct schema *schema; /* borrowed from the writer */
    struct plans *plans;
    struct setting settings[SETTINGS];
    unsigned n_set;
    bool enforced; /* foreign keys are, otherwise */
    struct child *children;
    size_t n_children, cap_children;
    uint64_t rows;
};

/* ---- the connection ---- */

static enum err_code change_settings(struct revert *r, struct err *e)
{
    static const struct setting wanted[SETTINGS] = {
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 0, 0},
        /* The tables behind FTS5 and R-tree tables are written as such. */
        {SQLITE_DBCONFIG_DEFENSIVE, 0, 0},
    };

    for (; r->n_set < SETTINGS; r->n_set++) {
        struct setting *s = &r->settings[r->n_set];
        *s = wanted[r->n_set];
        int rc = sqlite3_db_config(r->db, s->option, -1, &s->before);
        if (rc == SQLITE_OK)
            rc = sqlite3_db_config(r->db, s->option, s->meanwhile, NULL);
        if (rc != SQLITE_OK)
            return conn_error(r->conn, rc, e);
        if (s->option == SQLITE_DBCONFIG_ENABLE_FKEY)
            r->enforced = s->before != 0;
    }
    return ERR_OK;
}

enum err_code revert_begin(struct revert **out, struct writer *w, struct err *e)
{
    struct revert *r = calloc(1, sizeof *r);

    *out = r;
    if (!r)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    r->conn = writer_conn(w);
    r->db = conn_handle(r->conn);
    conn_trust(r->conn, true);
    r->plans = plans_new(r->conn);
    if (!r->plans)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = writer_rows(w, &r->schema, e);
    return code == ERR_OK ? change_settings(r, e) : code;
}

/* ---- foreign keys ---- */

static enum err_code count_violations(struct revert *r, const char *table, int64_t *n,
                                      struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(
        r->db, "SELECT count(*) FROM pragma_foreign_key_check(?1) WHERE schema = 'main'", -1, &st,
        NULL);

    *n = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *n = sqlite3_column_int64(st, 0);
    enum err_code code = rc == SQLITE_ROW ? ERR_OK : conn_error(r->conn, rc, e);
    sqlite3_finalize(st);
    return code;
}

static enum err_code add_child(struct revert *r, const char *name, struct err *e)
{
    for (size_t i = 0; i < r->n_children; i++)
        if (sqlite3_stricmp(r->children[i].name, name) == 0)
            return ERR_OK;
    struct child *room = array_room(r->children, r->n_children, &r->cap_children, sizeof *room);
    if (!room)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    r->children = room;
    room += r->n_children;
    *room = (struct child){.name = strdup(name)};
    if (!room->name)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    r->n_children++;
    return count_violations(r, room->name, &room->violations, e);
}

enum err_code revert_watch(struct revert *r, const char *table, struct err *e)
{
    sqlite3_stmt *st = NULL;
    enum err_code code = ERR_OK;

    if (!r->enforced)
        return ERR_OK;
    int rc = sqlite3_prepare_v2(r->db,
                                "SELECT DISTINCT s.name FROM main.sqlite_schema s,"
                                " pragma_foreign_key_list(s.name) f WHERE s.type = 'table'"
                                " AND f.schema = 'main' AND (s.name = ?1 COLLATE NOCASE"
                                " OR f.\"table\" = ?1 COLLATE NOCASE)",
                                -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && code == ERR_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        code = add_child(r, (const char *)sqlite3_column_text(st, 0), e);
        rc = SQLITE_OK;
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = conn_error(r->conn, rc, e);
    sqlite3_finalize(st);
    return code;
}

static enum err_code check_foreign_keys(struct revert *r, struct err *e)
{
    for (size_t i = 0; i < r->n_children; i++) {
        const struct child *c = &r->children[i];
        int64_t now = 0;
        if (count_violations(r, c->name, &now, e) != ERR_OK)
            return e->code;
        if (now <= c->violations)
            continue;
        (void)err_set(
            e, ERR_FOREIGN_KEY,
            "FOREIGN KEY constraint failed: rows of table %.100s would be left that refer "
            "to rows which are not there",
            c->name);
        e->sqlite_code = SQLITE_CONSTRAINT_FOREIGNKEY;
        return e->code;
    }
    return ERR_OK;
}

/* ---- the end ---- */

enum err_code revert_end(struct revert *r, bool ok, struct err *e)
{
    struct err ignored = ERR_INIT;
    enum err_code code = ERR_OK;

    if (!r)
        return ERR_OK;
    plans_free(r->plans);
    if (ok)
        code = check_foreign_keys(r, e);
    while (r->n_set > 0) {
        const struct setting *s = &r->settings[--r->n_set];
        (void)sqlite3_db_config(r->db, s->option, s->before, NULL);
    }
    /* FTS5 remembers the structure of its index, and looks whether it is another one only where
     * another connection has written. So it has to be opened anew. */
    if (r->schema && schema_has_virtual(r->schema)) {
        enum err_code reset =
            conn_exec(r->conn, "PRAGMA writable_schema=RESET", code == ERR_OK ? e : &ignored);
        code = code == ERR_OK ? reset : code;
    }
    conn_trust(r->conn, false);
    while (r->n_children > 0)
        free(r->children[--r->n_children].name);
    free(r->children);
    free(r);
    return code;
}

uint64_t revert_rows(const struct revert *r)
{
    return r->rows;
}

enum err_code revert_is_shadow(struct conn *c, const char *table, bool *shadow, struct err *e)
{
    sqlite3_stmt *st = NULL;

    *shadow = false;
    conn_trust(c, true);
    int rc = sqlite3_prepare_v2(conn_handle(c),
                                "SELECT 1 FROM pragma_table_list(?1)"
                                " WHERE schema = 'main' AND type = 'shadow'",
                                -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    enum err_code code = rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : conn_error(c, rc, e);
    *shadow = rc == SQLITE_ROW;
    sqlite3_finalize(st);
    conn_trust(c, false);
    return code;
}

/* ---- what is told ---- */

/* "row id=5 of table t, transaction 150" */
static void put_where(struct buf *b, const struct inverse *x)
{
    const struct change *c = &x->change;
    char name[ADDRESS_SIZE];

    address_print(&(struct address){x->seq, x->index}, name);
    buf_puts(b, "row ");
    change_put_key(b, c, c->op == CHANGE_INSERT ? c->new_values : c->old_values);
    buf_printf(b, " of table %.100s, transaction %s", c->table, name);
}

static enum err_code refuse(const struct inverse *x, struct err *e, enum err_code code,
                            const char *why)
{
    struct buf b = BUF_INIT;
    int sqlite_code = e->sqlite_code;

    put_where(&b, x);
    (void)err_set(e, code, "%s: %s", buf_cstr(&b), why);
    e->sqlite_code = sqlite_code;
    buf_free(&b);
    return code;
}

/* SQLite's failure `rc`, or -1 where `e` says it already. */
static enum err_code failed(struct revert *r, const struct inverse *x, int rc, struct err *e)
{
    char why[ERR_MSG_SIZE + 64];

    if (rc != -1)
        (void)conn_error(r->conn, rc, e);
    switch (e->code) {
    case ERR_UNIQUE:
        (void)snprintf(why, sizeof why, "another row has taken its place (%s)", e->msg);
        return refuse(x, e, ERR_CHANGED, why);
    case ERR_NOT_NULL:
    case ERR_CHECK:
    case ERR_CONSTRAINT:
    case ERR_MISMATCH:
    case ERR_NO_TABLE:
    case ERR_NO_COLUMN:
    case ERR_SQL:
        (void)snprintf(why, sizeof why, "the table does not take it any more (%s)", e->msg);
        return refuse(x, e, ERR_SCHEMA_CHANGED, why);
    default:
        return e->code;
    }
}

/* ---- a row ---- */

/* All the columns that the table has, and no other ones. */
static bool fits(const struct plan *p, const struct change *c)
{
    return !p->lacks && p->n_use == c->n_columns && p->t->n_sent == c->n_columns;
}

static enum err_code compare(struct revert *r, struct plan *p, const struct inverse *x,
                             sqlite3_stmt *st, struct err *e)
{
    int rc = sqlite3_step(st);

    if (rc == SQLITE_DONE)
        return refuse(x, e, ERR_CHANGED, "the row is not there any more");
    if (rc != SQLITE_ROW)
        return failed(r, x, rc, e);
    for (unsigned i = 0; i < p->n_use; i++) {
        struct value v = value_view(sqlite3_column_value(st, (int)i));
        char why[160];

        if (value_same(&v, &x->change.old_values[p->use[i]]))
            continue;
        (void)snprintf(why, sizeof why, "its column %.100s has changed since",
                       x->change.columns[p->use[i]]);
        return refuse(x, e, ERR_CHANGED, why);
    }
    return ERR_OK;
}

/* Is the row what the change had made of it? */
static enum err_code look(struct revert *r, struct plan *p, const struct inverse *x,
                          const struct target *t, struct err *e)
{
    const struct plan_kind kind = {PLAN_SELECT, t->where, 0, 0};
    sqlite3_stmt *st = NULL;

    if (plan_statement(r->plans, p, &x->change, &kind, &st, e))
        return failed(r, x, -1, e);
    int rc = bind_key(st, p, t, 1);
    enum err_code code = rc == SQLITE_OK ? compare(r, p, x, st, e) : failed(r, x, rc, e);
    (void)sqlite3_reset(st);
    return code;
}

/* Where a row has a key its hidden rowid is nobody's, and may have gone to another row meanwhile:
 * then it gets the next free one. */
static int insert(struct revert *r, struct plan *p, const struct change *c, struct err *e)
{
    const struct plan_kind kind = {PLAN_INSERT, PLAN_BY_PK, 0, 0};
    bool keyed = p->hidden_rowid && target_whole_pk(p, c->new_values);
    sqlite3_stmt *st = NULL;
    int rc;

    if (plan_statement(r->plans, p, c, &kind, &st, e))
        return -1;
    rc = bind_new_values(st, p, c);
    if (rc == SQLITE_OK && p->hidden_rowid)
        rc = bind_rowid(st, p->n_use + 1, c->has_new_rowid, c->new_rowid);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    (void)sqlite3_reset(st);
    if (rc == SQLITE_CONSTRAINT_ROWID && keyed) {
        rc = bind_rowid(st, p->n_use + 1, false, 0);
        if (rc == SQLITE_OK)
            rc = sqlite3_step(st);
        (void)sqlite3_reset(st);
    }
    return rc;
}

static int update(struct revert *r, struct plan *p, const struct change *c, const struct target *t,
                  struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = bind_update(r->plans, p, c, t, &st, e);

    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    (void)sqlite3_reset(st);
    return rc;
}

static int delete (struct revert *r, struct plan *p, const struct change *c, const struct target *t,
                   struct err *e)
{
    const struct plan_kind kind = {PLAN_DELETE, t->where, 0, 0};
    sqlite3_stmt *st = NULL;
    int rc;

    if (plan_statement(r->plans, p, c, &kind, &st, e))
        return -1;
    rc = bind_key(st, p, t, 1);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(st);
    (void)sqlite3_reset(st);
    return rc;
}

static enum err_code put_back(struct revert *r, struct plan *p, const struct inverse *x,
                              struct err *e)
{
    const struct change *c = &x->change;
    int64_t before = sqlite3_total_changes64(r->db);
    struct target t = {0};
    enum err_code code;
    int rc;

    if ((c->op != CHANGE_INSERT && !c->old_values) || (c->op != CHANGE_DELETE && !c->new_values))
        return refuse(x, e, ERR_UNSUPPORTED, "the log does not say what the row was");
    if (c->op == CHANGE_INSERT) {
        rc = insert(r, p, c, e);
    } else {
        t = target_find(ROW_BY_PK, p, c->old_values, c->has_old_rowid, c->old_rowid);
        code = look(r, p, x, &t, e);
        if (code != ERR_OK)
            return code;
        rc = c->op == CHANGE_UPDATE ? update(r, p, c, &t, e) : delete (r, p, c, &t, e);
    }
    if (rc != SQLITE_DONE)
        return failed(r, x, rc, e);
    int64_t changed = sqlite3_total_changes64(r->db) - before;
    if (changed > 1)
        return refuse(x, e, ERR_CHANGED, "another row is equal to it, and none has a key");
    r->rows++;
    return ERR_OK;
}

enum err_code revert_row(struct revert *r, const struct inverse *x, struct err *e)
{
    struct plan *p = NULL;
    enum err_code code;

    if (sqlite3_strnicmp(x->change.table, "sqlite_", 7) == 0)
        return ERR_OK;
    code = plans_get(r->plans, r->schema, &x->change, &p, e);
    if (code != ERR_OK)
        return code;
    if (!p)
        return refuse(x, e, ERR_SCHEMA_CHANGED, "the table is not there any more");
    if (p->t->kind != TABLE_USER)
        return refuse(x, e, ERR_SCHEMA_CHANGED, "the table is not a user's");
    if (!fits(p, &x->change))
        return refuse(x, e, ERR_SCHEMA_CHANGED, "the table has other columns by now");
    return put_back(r, p, x, e);
}
