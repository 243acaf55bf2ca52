#include "sql/sequence.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "proto/changeset.h"
#include "sql/value.h"

struct row {
    char *name;
    struct value seq; /* users may have put anything there; text and blobs are owned */
};

struct rows {
    struct row *at;
    size_t n, cap;
};

struct sequence {
    struct conn *conn;
    sqlite3 *db;
    struct schema *schema;
    bool known;         /* `before` is what the file holds */
    struct rows before; /* in the table's order */
    sqlite3_stmt *list;
};

struct sequence *sequence_new(struct conn *c, struct schema *schema)
{
    struct sequence *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->conn = c;
    s->db = conn_handle(c);
    s->schema = schema;
    return s;
}

static void row_clear(struct row *r)
{
    value_drop(&r->seq);
    free(r->name);
}

static void rows_clear(struct rows *r)
{
    for (size_t i = 0; i < r->n; i++)
        row_clear(&r->at[i]);
    free(r->at);
    *r = (struct rows){0};
}

void sequence_free(struct sequence *s)
{
    if (!s)
        return;
    rows_clear(&s->before);
    sqlite3_finalize(s->list);
    free(s);
}

void sequence_forget(struct sequence *s)
{
    s->known = false;
}

/* ---- reading ---- */

static struct row *find(const struct rows *r, const char *name, size_t hint)
{
    if (hint < r->n && strcmp(r->at[hint].name, name) == 0)
        return &r->at[hint];
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->at[i].name, name) == 0)
            return &r->at[i];
    return NULL;
}

static enum err_code add_row(struct rows *r, const char *name, sqlite3_value *seq, struct err *e)
{
    struct row *to = array_room(r->at, r->n, &r->cap, sizeof *r->at);

    if (!to)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    r->at = to;
    to += r->n;
    *to = (struct row){.name = strdup(name)};
    if (!to->name || !value_copy(&to->seq, seq)) {
        free(to->name);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    r->n++;
    return ERR_OK;
}

static enum err_code start(struct sequence *s, struct err *e)
{
    int rc;

    if (s->list)
        return ERR_OK;
    rc = sqlite3_prepare_v3(s->db, "SELECT name, seq FROM main.sqlite_sequence ORDER BY rowid", -1,
                            SQLITE_PREPARE_PERSISTENT, &s->list, NULL);
    return rc == SQLITE_OK ? ERR_OK : conn_error(s->conn, rc, e);
}

typedef enum err_code row_fn(struct sequence *s, void *arg, const char *name, sqlite3_value *seq,
                             struct err *e);

static enum err_code each_row(struct sequence *s, row_fn *fn, void *arg, struct err *e)
{
    enum err_code code;
    int rc = SQLITE_DONE;

    if (!schema_has_sequence(s->schema))
        return ERR_OK;
    conn_trust(s->conn, true);
    code = start(s, e);
    /* Rows whose name is no text, which only a user can have made, mean nothing to SQLite. */
    while (!code && (rc = sqlite3_step(s->list)) == SQLITE_ROW)
        if (sqlite3_column_type(s->list, 0) == SQLITE_TEXT)
            code = fn(s, arg, (const char *)sqlite3_column_text(s->list, 0),
                      sqlite3_column_value(s->list, 1), e);
    if (!code && rc != SQLITE_DONE)
        code = conn_error(s->conn, rc, e);
    sqlite3_reset(s->list);
    conn_trust(s->conn, false);
    return code;
}

static enum err_code remember_row(struct sequence *s, void *arg, const char *name,
                                  sqlite3_value *seq, struct err *e)
{
    struct rows *r = arg;

    (void)s;
    return add_row(r, name, seq, e);
}

enum err_code sequence_before(struct sequence *s, struct err *e)
{
    enum err_code code;

    if (s->known)
        return ERR_OK;
    rows_clear(&s->before);
    code = each_row(s, remember_row, &s->before, e);
    s->known = code == ERR_OK;
    return code;
}

/* Only the first that is found is told. */
#define ODD_ROWS                                                                                   \
    "SELECT NULL FROM main.sqlite_sequence WHERE typeof(name)<>'text' OR instr(name,char(0))"      \
    " UNION ALL "                                                                                  \
    "SELECT name FROM main.sqlite_sequence GROUP BY name HAVING count(*)>1 LIMIT 1"

static enum err_code refuse_row(const char *name, struct err *e)
{
    if (!name)
        return err_set(e, ERR_UNSUPPORTED, "the name of a row of sqlite_sequence must be text");
    return err_set(e, ERR_UNSUPPORTED,
                   "sqlite_sequence has a row for %.100s already: UPDATE that row instead", name);
}

enum err_code sequence_check(struct sequence *s, struct err *e)
{
    sqlite3_stmt *st = NULL;
    enum err_code code = ERR_OK;
    int rc;

    if (!schema_has_sequence(s->schema))
        return ERR_OK;
    conn_trust(s->conn, true);
    rc = sqlite3_prepare_v2(s->db, ODD_ROWS, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        code = refuse_row((const char *)sqlite3_column_text(st, 0), e);
    else if (rc != SQLITE_DONE)
        code = conn_error(s->conn, rc, e);
    sqlite3_finalize(st);
    conn_trust(s->conn, false);
    return code;
}

/* ---- comparing ---- */

static void put_image(struct buf *b, const char *field, const char *name, const struct value *seq)
{
    struct value v = value_text(name, strlen(name));

    buf_puts(b, field);
    changeset_put_value(b, &v);
    buf_putc(b, ',');
    changeset_put_value(b, seq);
    buf_putc(b, ']');
}

static bool is_lowered(const struct value *old, const struct value *now)
{
    return old && now &&
           (now->type != VALUE_INTEGER || old->type != VALUE_INTEGER || now->u.i < old->u.i);
}

/* old = NULL: an INSERT; now = NULL: a DELETE; both: an UPDATE. */
static void ship(struct sequence *s, struct capture *c, const char *name, const struct value *old,
                 const struct value *now)
{
    const struct table *t = schema_table(s->schema, "sqlite_sequence");
    struct buf *b = capture_begin(c);

    buf_put(b, t->prefix.data, t->prefix.len);
    buf_puts(b, !now ? "\"DELETE\"" : old ? "\"UPDATE\"" : "\"INSERT\"");
    if (old)
        put_image(b, ",\"old_values\":[", name, old);
    if (now)
        put_image(b, ",\"new_values\":[", name, now);
    buf_putc(b, '}');
    capture_end(c);
}

/* A quick look without allocation: is anything different at all? */
struct look {
    size_t i;
    bool different;
};

static enum err_code look_row(struct sequence *s, void *arg, const char *name, sqlite3_value *seq,
                              struct err *e)
{
    struct look *l = arg;
    const struct row *r = l->i < s->before.n ? &s->before.at[l->i] : NULL;

    (void)e;
    if (l->different)
        return ERR_OK;
    l->i++;
    l->different = !r || strcmp(r->name, name) != 0 || r->seq.type != VALUE_INTEGER ||
                   sqlite3_value_type(seq) != SQLITE_INTEGER ||
                   r->seq.u.i != sqlite3_value_int64(seq);
    return ERR_OK;
}

/* The rows that were inserted bring the sequence there by themselves, which is the usual case. */
static bool follows_from_rows(struct sequence *s, struct capture *c, const struct row *now,
                              const struct row *old)
{
    const struct table *t = schema_table(s->schema, now->name);

    return t && t->autoincrement && now->seq.type == VALUE_INTEGER &&
           (!old || (old->seq.type == VALUE_INTEGER && old->seq.u.i < now->seq.u.i)) &&
           capture_inserted(c, t, now->seq.u.i);
}

static void ship_differences(struct sequence *s, struct capture *c, const struct rows *now)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct row *r = &now->at[i], *old = find(&s->before, r->name, i);

        if ((old && value_same(&old->seq, &r->seq)) || follows_from_rows(s, c, r, old))
            continue;
        ship(s, c, r->name, old && is_lowered(&old->seq, &r->seq) ? &old->seq : NULL, &r->seq);
    }
    for (size_t i = 0; i < s->before.n; i++) {
        const struct row *old = &s->before.at[i];

        /* Where the table is gone, its DROP or RENAME has taken the row everywhere. */
        if (!find(now, old->name, i) && schema_table(s->schema, old->name))
            ship(s, c, old->name, &old->seq, NULL);
    }
}

/* All rows as they are, whatever those of the tables make of the sequences elsewhere: a user has
 * written to sqlite_sequence by hand, perhaps after inserting rows. */
static void ship_all(struct sequence *s, struct capture *c, const struct rows *now)
{
    const struct value none = value_null();

    for (size_t i = 0; i < now->n; i++)
        ship(s, c, now->at[i].name, &now->at[i].seq, &now->at[i].seq);
    for (size_t i = 0; i < s->before.n; i++)
        if (!find(now, s->before.at[i].name, i))
            ship(s, c, s->before.at[i].name, &s->before.at[i].seq, NULL);
    for (const struct table *t = schema_next(s->schema, NULL); t; t = schema_next(s->schema, t))
        if (t->autoincrement && !find(now, t->name, 0) && !find(&s->before, t->name, 0))
            ship(s, c, t->name, &none, NULL);
}

enum err_code sequence_after(struct sequence *s, struct capture *c, struct err *e)
{
    struct look l = {0, false};
    struct rows now = {0};
    bool by_hand = capture_sequence_writes(c) > 0;
    enum err_code code = by_hand ? ERR_OK : each_row(s, look_row, &l, e);

    if (code || (!by_hand && !l.different && l.i == s->before.n))
        return code;
    code = each_row(s, remember_row, &now, e);
    if (code) {
        rows_clear(&now);
        return code;
    }
    if (by_hand)
        ship_all(s, c, &now);
    else
        ship_differences(s, c, &now);
    rows_clear(&s->before);
    s->before = now;
    return ERR_OK;
}

enum err_code sequence_dump(struct sequence *s, struct capture *c, struct err *e)
{
    enum err_code code;

    sequence_forget(s);
    code = sequence_before(s, e);
    if (code)
        return code;
    ship_all(s, c, &s->before);
    return ERR_OK;
}
