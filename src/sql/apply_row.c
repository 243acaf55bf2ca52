/*
 * Row changes.
 *
 *   apply_diverged, apply_failed    what went wrong, and where
 *   apply_row                       by mode and by the table's kind:
 *     strict_*                      exactly the row that the change was made on
 *     lww_*                         the change wins over whatever is there
 *     sequence, statistics          tables of SQLite's own
 *
 * Last writer wins, in words. A row is what its primary key says, or its rowid where it has none.
 *   INSERT  a row of that key is set to the new image in place (columns that the change does not
 * know stay); other rows that stand in the way of a UNIQUE constraint go. A hidden rowid is taken
 *           over, too: a row of another key that has it gets the next free one, and is not lost.
 *   UPDATE  of a row that is missing is an INSERT of its new image.
 *   DELETE  of a row that is missing is nothing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sql/apply_bind.h"
#include "sql/apply_impl.h"
#include "sql/change_text.h"
#include "sql/value.h"

/* ---- what went wrong ---- */

static const char *op_name(enum change_op op)
{
    switch (op) {
    case CHANGE_INSERT:
        return "INSERT";
    case CHANGE_UPDATE:
        return "UPDATE";
    case CHANGE_DELETE:
        return "DELETE";
    default:
        return "SQL";
    }
}

/* "UPDATE of t, id=5" */
static void describe(struct buf *b, const struct change *c)
{
    const struct value *values = c->old_values ? c->old_values : c->new_values;

    if (c->op == CHANGE_SQL) {
        buf_printf(b, "%.200s", c->command);
        return;
    }
    buf_printf(b, "%s of table %.100s", op_name(c->op), c->table);
    size_t before = b->len;
    buf_puts(b, ", ");
    size_t key = b->len;
    change_put_key(b, c, values);
    if (b->len == key)
        buf_cut(b, before);
}

enum err_code apply_diverged(const struct change *c, struct err *e, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    char why[ERR_MSG_SIZE];
    int sqlite_code = e->sqlite_code;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    describe(&b, c);
    (void)err_set(e, ERR_DIVERGED, "%s: %s", buf_cstr(&b), why);
    e->sqlite_code = sqlite_code;
    buf_free(&b);
    return e->code;
}

enum err_code apply_failed(struct apply *a, const struct change *c, int rc, struct err *e)
{
    enum err_code code = conn_error(a->conn, rc, e);
    char why[ERR_MSG_SIZE];

    if (apply_is_local(code) || code == ERR_TOO_BIG)
        return code;
    (void)snprintf(why, sizeof why, "%s", e->msg);
    return apply_diverged(c, e, "%s", why);
}

/* ---- running a plan's statements ---- */

/* Steps to the end. SQLITE_DONE and *rows, or the failure; the statement is ready for its next use.
 */
static int run(struct apply *a, sqlite3_stmt *st, int64_t *rows)
{
    int rc = sqlite3_step(st);

    *rows = rc == SQLITE_DONE ? sqlite3_changes64(a->db) : 0;
    (void)sqlite3_reset(st);
    return rc;
}

/* These answer SQLITE_DONE and *rows, or SQLite's failure; a statement that cannot even be prepared
 * fills `e` and answers -1. */

static int run_insert(struct apply *a, struct plan *p, const struct change *c, unsigned flags,
                      int64_t *rows, struct err *e)
{
    const struct plan_kind kind = {PLAN_INSERT, PLAN_BY_PK, flags, 0};
    sqlite3_stmt *st;
    int rc;

    if (plan_statement(a->plans, p, c, &kind, &st, e))
        return -1;
    rc = bind_new_values(st, p, c);
    if (p->hidden_rowid && rc == SQLITE_OK)
        rc = bind_rowid(st, p->n_use + 1, c->has_new_rowid, c->new_rowid);
    return rc == SQLITE_OK ? run(a, st, rows) : rc;
}

static int run_update(struct apply *a, struct plan *p, const struct change *c,
                      const struct target *t, unsigned flags, int64_t *rows, struct err *e)
{
    const struct plan_kind kind = {PLAN_UPDATE, t->where, flags, 0};
    sqlite3_stmt *st;
    unsigned next = p->n_use + 1;
    int rc;

    if (plan_statement(a->plans, p, c, &kind, &st, e))
        return -1;
    rc = bind_new_values(st, p, c);
    if (rc == SQLITE_OK && (flags & PLAN_MOVE))
        rc = sqlite3_bind_int64(st, (int)next++, c->new_rowid);
    if (rc == SQLITE_OK)
        rc = bind_key(st, p, t, next);
    return rc == SQLITE_OK ? run(a, st, rows) : rc;
}

static int run_delete(struct apply *a, struct plan *p, const struct change *c,
                      const struct target *t, int64_t *rows, struct err *e)
{
    const struct plan_kind kind = {PLAN_DELETE, t->where, 0, 0};
    sqlite3_stmt *st;
    int rc;

    if (plan_statement(a->plans, p, c, &kind, &st, e))
        return -1;
    rc = bind_key(st, p, t, 1);
    return rc == SQLITE_OK ? run(a, st, rows) : rc;
}

static enum err_code outcome(struct apply *a, const struct change *c, int rc, struct err *e)
{
    if (rc == SQLITE_DONE)
        return ERR_OK;
    if (rc == -1) { /* cannot be prepared: a column is missing, or there is no memory */
        char why[ERR_MSG_SIZE];

        if (e->code == ERR_NO_MEMORY || e->code == ERR_IO || e->code == ERR_CORRUPT)
            return e->code;
        (void)snprintf(why, sizeof why, "%s", e->msg);
        return apply_diverged(c, e, "%s", why);
    }
    return apply_failed(a, c, rc, e);
}

/* ---- which row ---- */

static struct target old_target(const struct apply *a, const struct plan *p, const struct change *c)
{
    return target_find(a->identify, p, c->old_values, c->has_old_rowid, c->old_rowid);
}

/* ---- strict ---- */

/* The row is as it was at the origin, so what has not changed needs no writing. */
static int strict_update(struct apply *a, struct plan *p, const struct change *c,
                         const struct target *t, int64_t *rows, struct err *e)
{
    sqlite3_stmt *st = NULL;
    int rc = bind_update(a->plans, p, c, t, &st, e);

    return rc == SQLITE_OK ? run(a, st, rows) : rc;
}

static enum err_code strict_row(struct apply *a, struct plan *p, const struct change *c,
                                struct err *e)
{
    struct target t;
    enum err_code code;
    int64_t rows = 0;
    int rc;

    if (p->lacks)
        return apply_diverged(c, e, "the table does not have all of the columns");
    if (c->op == CHANGE_INSERT) {
        rc = run_insert(a, p, c, 0, &rows, e);
    } else {
        t = old_target(a, p, c);
        rc = c->op == CHANGE_UPDATE ? strict_update(a, p, c, &t, &rows, e)
                                    : run_delete(a, p, c, &t, &rows, e);
    }
    code = outcome(a, c, rc, e);
    if (!code && rows != 1)
        code = apply_diverged(c, e, "%lld rows instead of one", (long long)rows);
    return code;
}

/* ---- last writer wins ---- */

static bool in_the_way(int rc)
{
    return rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_UNIQUE ||
           rc == SQLITE_CONSTRAINT_ROWID;
}

/* May the hidden rowid that the row wants be that of a row with another key? */
static bool may_collide(const struct plan *p, const struct change *c)
{
    return p->hidden_rowid && c->has_new_rowid && p->n_pk > 0;
}

/* Makes the change's hidden rowid free of rows with other keys than `key`. */
static int run_kick(struct apply *a, struct plan *p, const struct change *c,
                    const struct value *key, struct err *e)
{
    const struct plan_kind kind = {PLAN_KICK, PLAN_BY_PK, 0, 0};
    struct target t = {PLAN_BY_PK, key, false, 0};
    sqlite3_stmt *st;
    int64_t rows;
    int rc;

    if (plan_statement(a->plans, p, c, &kind, &st, e))
        return -1;
    rc = sqlite3_bind_int64(st, 1, c->new_rowid);
    if (rc == SQLITE_OK)
        rc = bind_key(st, p, &t, 2);
    return rc == SQLITE_OK ? run(a, st, &rows) : rc;
}

static enum err_code lww_insert(struct apply *a, struct plan *p, const struct change *c,
                                struct err *e)
{
    struct target same = {PLAN_BY_PK, c->new_values, c->has_new_rowid, c->new_rowid};
    bool by_pk = target_whole_pk(p, c->new_values);
    bool by_rowid = !by_pk && c->has_new_rowid && p->t->rowid_name;
    unsigned move = 0;
    int64_t rows = 0;
    int rc = run_insert(a, p, c, 0, &rows, e);

    if (!in_the_way(rc))
        return outcome(a, c, rc, e);
    if (may_collide(p, c)) {
        rc = run_kick(a, p, c, c->new_values, e);
        if (rc != SQLITE_DONE)
            return outcome(a, c, rc, e);
        move = PLAN_MOVE;
    }
    if (by_rowid)
        same.where = p->n_pk > 0 ? PLAN_BY_NULL_KEY : PLAN_BY_ROWID;
    if (by_pk || by_rowid) {
        rc = run_update(a, p, c, &same, move | PLAN_REPLACE, &rows, e);
        if (rc != SQLITE_DONE || rows > 0)
            return outcome(a, c, rc, e);
    }
    return outcome(a, c, run_insert(a, p, c, PLAN_REPLACE, &rows, e), e);
}

/* A row that loses its key is what its rowid says from now on, so that has to be the origin's. */
static bool loses_key(const struct plan *p, const struct change *c)
{
    return p->hidden_rowid && c->has_new_rowid && target_whole_pk(p, c->old_values) &&
           !target_whole_pk(p, c->new_values);
}

static enum err_code lww_update(struct apply *a, struct plan *p, const struct change *c,
                                struct err *e)
{
    struct target t = old_target(a, p, c);
    unsigned move = plan_move_flag(p, c);
    int64_t rows = 0;
    int rc;

    if (loses_key(p, c))
        move = PLAN_MOVE;
    if (p->n_use == 0 && !move)
        return ERR_OK;
    rc = run_update(a, p, c, &t, move, &rows, e);
    if (in_the_way(rc)) {
        rc = SQLITE_DONE;
        if (move && may_collide(p, c))
            rc = run_kick(a, p, c, c->old_values, e);
        if (rc == SQLITE_DONE)
            rc = run_update(a, p, c, &t, move | PLAN_REPLACE, &rows, e);
    }
    if (rc == SQLITE_DONE && rows == 0)
        return lww_insert(a, p, c, e);
    return outcome(a, c, rc, e);
}

/* A change whose columns the table has not all: it was made before a schema statement of the same
 * message that has run already. What can be said of the row is said; what cannot, has been said the
 * first time. */
static enum err_code lww_part(struct apply *a, struct plan *p, const struct change *c,
                              struct err *e)
{
    struct target t;
    enum err_code code = absent_note(a, p->t->name, e);
    int64_t rows = 0;

    if (code || p->n_use == 0 || (p->n_pk == 0 && c->n_pk > 0))
        return code;
    if (c->op == CHANGE_INSERT)
        code = lww_insert(a, p, c, e);
    t = c->op == CHANGE_INSERT ? (struct target){0} : old_target(a, p, c);
    if (c->op == CHANGE_UPDATE && t.where != PLAN_BY_FULL)
        code = lww_update(a, p, c, e);
    if (c->op == CHANGE_DELETE && t.where != PLAN_BY_FULL)
        code = outcome(a, c, run_delete(a, p, c, &t, &rows, e), e);
    if (code == ERR_DIVERGED) { /* a column that must not be NULL, and is not known */
        err_clear(e);
        code = ERR_OK;
    }
    return code;
}

static enum err_code lww_row(struct apply *a, struct plan *p, const struct change *c, struct err *e)
{
    struct target t;
    int64_t rows = 0;

    if (p->lacks)
        return lww_part(a, p, c, e);
    switch (c->op) {
    case CHANGE_INSERT:
        return lww_insert(a, p, c, e);
    case CHANGE_UPDATE:
        return lww_update(a, p, c, e);
    default:
        t = old_target(a, p, c);
        return outcome(a, c, run_delete(a, p, c, &t, &rows, e), e);
    }
}

/* ---- SQLite's own tables ---- */

/* Statistics are nobody's data: whatever comes is put in, once. Every node also makes its own. */
static enum err_code statistics_row(struct apply *a, struct plan *p, const struct change *c,
                                    struct err *e)
{
    struct target t = {PLAN_BY_VALUES, c->old_values ? c->old_values : c->new_values, false, 0};
    int64_t rows = 0;
    int rc;

    if (p->lacks)
        return ERR_OK;
    rc = run_delete(a, p, c, &t, &rows, e);
    if (rc == SQLITE_DONE && c->op != CHANGE_DELETE)
        rc = run_insert(a, p, c, 0, &rows, e);
    return outcome(a, c, rc, e);
}

enum sequence_statement { SEQUENCE_SET, SEQUENCE_RAISE, SEQUENCE_INSERT, SEQUENCE_DELETE };

/* ?1 is the name, ?2 the value. */
static const char *const sequence_sql[SEQUENCE_STATEMENTS] = {
    [SEQUENCE_SET] = "UPDATE main.sqlite_sequence SET seq=?2 WHERE name=?1",
    [SEQUENCE_RAISE] = "UPDATE main.sqlite_sequence SET seq=CASE WHEN typeof(seq)='integer' AND"
                       " typeof(?2)='integer' THEN max(seq,?2) ELSE ?2 END WHERE name=?1",
    [SEQUENCE_INSERT] = "INSERT INTO main.sqlite_sequence(name,seq) VALUES(?1,?2)",
    [SEQUENCE_DELETE] = "DELETE FROM main.sqlite_sequence WHERE name=?1",
};

static int run_sequence(struct apply *a, enum sequence_statement which, const struct value *name,
                        const struct value *seq, int64_t *rows)
{
    sqlite3_stmt **st = &a->sequence[which];
    int rc = SQLITE_OK;

    if (!*st)
        rc =
            sqlite3_prepare_v3(a->db, sequence_sql[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
    if (rc == SQLITE_OK)
        rc = bind_value(*st, 1, name);
    if (rc == SQLITE_OK && which != SEQUENCE_DELETE)
        rc = bind_value(*st, 2, seq);
    return rc == SQLITE_OK ? run(a, *st, rows) : rc;
}

static const struct value *named_value(const struct change *c, const struct value *values,
                                       const char *name)
{
    for (unsigned i = 0; i < c->n_columns; i++)
        if (sqlite3_stricmp(c->columns[i], name) == 0)
            return &values[i];
    return NULL;
}

/*
 * sequence.h says what the operations mean. Here the row may be there already: inserting rows with
 * their rowids moves the sequence, too.
 */
static enum err_code sequence_row(struct apply *a, const struct change *c, struct err *e)
{
    const struct value *values = c->op == CHANGE_DELETE ? c->old_values : c->new_values;
    const struct value *name = named_value(c, values, "name");
    const struct value *seq = named_value(c, values, "seq");
    bool exact = a->mode == APPLY_STRICT || c->op == CHANGE_UPDATE;
    int64_t rows = 0;
    int rc;

    if (!name || !seq)
        return err_set(e, ERR_FORMAT, "a change of sqlite_sequence without name or seq");
    if (c->op == CHANGE_DELETE) {
        rc = run_sequence(a, SEQUENCE_DELETE, name, NULL, &rows);
        return outcome(a, c, rc, e);
    }
    rc = run_sequence(a, exact ? SEQUENCE_SET : SEQUENCE_RAISE, name, seq, &rows);
    if (rc == SQLITE_DONE && rows == 0)
        rc = run_sequence(a, SEQUENCE_INSERT, name, seq, &rows);
    return outcome(a, c, rc, e);
}

/* ---- all ---- */

/* There is one only after the first table with AUTOINCREMENT, which may be gone again. */
static enum err_code make_sequence(struct apply *a, struct err *e)
{
    a->ran_ddl = true;
    schema_stale(a->schema);
    plans_drop(a->plans);
    return conn_exec(a->conn,
                     "CREATE TABLE main.ha_sequence(id INTEGER PRIMARY KEY AUTOINCREMENT);"
                     "DROP TABLE main.ha_sequence",
                     e);
}

static enum err_code no_table(struct apply *a, const struct change *c, struct err *e)
{
    if (sqlite3_strnicmp(c->table, "sqlite_stat", 11) == 0)
        return ERR_OK; /* this node has never made any */
    if (sqlite3_stricmp(c->table, "sqlite_sequence") == 0) {
        enum err_code code = make_sequence(a, e);

        return code ? code : sequence_row(a, c, e);
    }
    if (sqlite3_strnicmp(c->table, "sqlite_", 7) == 0)
        return err_set(e, ERR_FORMAT, "a message must not change table %.100s", c->table);
    if (a->mode == APPLY_LWW)
        return absent_note(a, c->table, e);
    return apply_diverged(c, e, "no such table");
}

enum err_code apply_row(struct apply *a, const struct change *c, struct err *e)
{
    struct plan *p = NULL;
    enum err_code code;

    code = plans_get(a->plans, a->schema, c, &p, e);
    if (code)
        return code;
    if (!p)
        return no_table(a, c, e);
    switch (p->t->kind) {
    case TABLE_USER:
        return a->mode == APPLY_STRICT ? strict_row(a, p, c, e) : lww_row(a, p, c, e);
    case TABLE_SEQUENCE:
        return sequence_row(a, c, e);
    case TABLE_STAT:
        return statistics_row(a, p, c, e);
    case TABLE_VIRTUAL:
        return apply_diverged(c, e, "a virtual table has no rows of its own");
    case TABLE_OURS:
        break;
    }
    return err_set(e, ERR_FORMAT, "a message must not change table %.100s", c->table);
}
