/*
 * .dump: SQL that makes what the database holds, for sqlite3 or for `ha -r`. All of it is read in
 * one transaction, so it is of one moment.
 *
 *     BEGIN; tables; their rows; sequences; indexes, triggers, views; versions; COMMIT;
 *
 * Tables come first because a row may have a foreign key to any of them, which is looked at when
 * all is there; triggers come behind the rows, so that they do not fire.
 */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "cli/shell.h"
#include "sql/quote.h"

/* What a node keeps for itself, and SQLite. */
#define USERS_OWN                                                                                  \
    "s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND s.tbl_name NOT LIKE 'ha\\_%' ESCAPE '\\'"

#define DUMP_OBJECTS ((size_t)1 << 20)
#define LINE_BYTES   ((size_t)64 << 10) /* of memory that is kept between rows */

struct object {
    char *name, *sql;
    bool is_table; /* else an index, a trigger, a view */
    bool is_virtual;
};

struct dump {
    struct shell *sh;
    struct object *objects;
    size_t n, cap;
    struct buf columns; /* of the table that is read: "a","b" */
    struct buf head;    /* what stands in front of the values of each of its rows */
    struct buf line;
    bool all_columns; /* nothing is left out, so that they need no names */
    bool no_memory;
};

/* A statement of ours, whose rows go to `row`. */
struct question {
    struct sink sink;
    struct dump *d;
    enum sink_verdict (*row)(struct dump *d, const struct value *values, unsigned n);
};

static void no_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

static void no_done(struct sink *s, const struct sink_done *done)
{
    (void)s;
    (void)done;
}

static enum sink_verdict hand_over(struct sink *s, const struct value *values, unsigned n)
{
    struct question *q = (struct question *)s;
    return q->row(q->d, values, n);
}

static enum err_code ask(struct dump *d, const char *sql, const char *param,
                         enum sink_verdict (*row)(struct dump *d, const struct value *values,
                                                  unsigned n),
                         struct err *e)
{
    static const struct sink_ops ops = {no_columns, hand_over, no_done};
    struct question q = {{&ops}, d, row};
    struct value v = value_text(param, param ? strlen(param) : 0);
    enum err_code code = remote_sql(d->sh->remote, sql, strlen(sql), &v, param ? 1 : 0, &q.sink, e);
    if (d->no_memory)
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    return code;
}

static enum sink_verdict nothing(struct dump *d, const struct value *values, unsigned n)
{
    (void)d;
    (void)values;
    (void)n;
    return SINK_MORE;
}

static enum sink_verdict print(struct dump *d)
{
    (void)fwrite(d->line.data, 1, d->line.len, d->sh->show.out);
    d->no_memory = d->no_memory || !buf_ok(&d->line);
    return !d->no_memory && show_ok(&d->sh->show) ? SINK_MORE : SINK_STOP;
}

/* ---- what there is ---- */

static char *copy(const struct value *v)
{
    return v->type == VALUE_TEXT ? strndup(v->u.s.data, v->u.s.len) : NULL;
}

static bool is_text(const struct value *v, const char *text)
{
    return v->type == VALUE_TEXT && v->u.s.len == strlen(text) &&
           memcmp(v->u.s.data, text, v->u.s.len) == 0;
}

/* name, sql, type, kind of table */
static enum sink_verdict add_object(struct dump *d, const struct value *v, unsigned n)
{
    if (n < 4 || is_text(&v[3], "shadow")) /* its virtual table makes it */
        return SINK_MORE;
    struct object *more =
        d->n < DUMP_OBJECTS ? array_room(d->objects, d->n, &d->cap, sizeof *more) : NULL;
    d->no_memory = !more;
    if (!more)
        return SINK_STOP;
    d->objects = more;
    struct object *o = &more[d->n++];
    *o = (struct object){.name = copy(&v[0]),
                         .sql = copy(&v[1]),
                         .is_table = is_text(&v[2], "table"),
                         .is_virtual = is_text(&v[3], "virtual")};
    d->no_memory = !o->name || !o->sql;
    return d->no_memory ? SINK_STOP : SINK_MORE;
}

static void print_sql(struct dump *d, const struct object *o)
{
    (void)fprintf(d->sh->show.out, "%s;\n", o->sql);
}

/* ---- rows ---- */

/* name, hidden: 1 in virtual tables, 2 and 3 what is generated */
static enum sink_verdict add_column(struct dump *d, const struct value *v, unsigned n)
{
    if (n < 2 || v[0].type != VALUE_TEXT || v[1].type != VALUE_INTEGER || v[1].u.i != 0) {
        d->all_columns = false;
        return SINK_MORE;
    }
    buf_puts(&d->columns, d->columns.len > 0 ? "," : "");
    quote_put(&d->columns, v[0].u.s.data, v[0].u.s.len, '"');
    return SINK_MORE;
}

static enum sink_verdict print_row(struct dump *d, const struct value *values, unsigned n)
{
    buf_reset(&d->line);
    buf_put(&d->line, d->head.data, d->head.len);
    for (unsigned i = 0; i < n; i++) {
        buf_puts(&d->line, i > 0 ? "," : "");
        quote_put_value(&d->line, &values[i]);
    }
    buf_puts(&d->line, ");\n");
    enum sink_verdict verdict = print(d);
    if (d->line.cap > LINE_BYTES)
        buf_free(&d->line);
    return verdict;
}

/* Full-text tables are found by their rowids, which are no columns. */
static bool has_own_rowid(const struct object *o)
{
    const char *module = o->is_virtual ? strcasestr(o->sql, "USING") : NULL;
    return module && strncasecmp(module + 5 + strspn(module + 5, " \t\r\n"), "fts", 3) == 0;
}

static enum err_code dump_rows(struct dump *d, const struct object *o, struct err *e)
{
    struct buf sql = BUF_INIT;
    buf_reset(&d->columns);
    d->all_columns = !o->is_virtual;
    if (has_own_rowid(o))
        buf_puts(&d->columns, "rowid");
    enum err_code code =
        ask(d, "SELECT name, hidden FROM pragma_table_xinfo(?)", o->name, add_column, e);
    buf_reset(&d->head);
    buf_puts(&d->head, "INSERT INTO ");
    quote_put_name(&d->head, o->name);
    if (!d->all_columns)
        buf_printf(&d->head, "(%s)", buf_cstr(&d->columns));
    buf_puts(&d->head, " VALUES(");
    buf_printf(&sql, "SELECT %s FROM main.", buf_cstr(&d->columns));
    quote_put_name(&sql, o->name);
    if (code == ERR_OK && buf_ok(&sql) && buf_ok(&d->head))
        code = ask(d, buf_cstr(&sql), NULL, print_row, e);
    else if (code == ERR_OK)
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    buf_free(&sql);
    return code;
}

/* name, seq */
static enum sink_verdict print_sequence(struct dump *d, const struct value *v, unsigned n)
{
    if (n < 2)
        return SINK_MORE;
    buf_reset(&d->line);
    buf_puts(&d->line, "DELETE FROM sqlite_sequence WHERE name=");
    quote_put_value(&d->line, &v[0]);
    buf_puts(&d->line, ";\nINSERT INTO sqlite_sequence(name,seq) VALUES(");
    quote_put_value(&d->line, &v[0]);
    buf_putc(&d->line, ',');
    quote_put_value(&d->line, &v[1]);
    buf_puts(&d->line, ");\n");
    return print(d);
}

static enum sink_verdict note_any(struct dump *d, const struct value *v, unsigned n)
{
    (void)v;
    (void)n;
    d->all_columns = true;
    return SINK_MORE;
}

static enum err_code dump_sequences(struct dump *d, const char *like, struct err *e)
{
    d->all_columns = false;
    enum err_code code =
        ask(d, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'", NULL, note_any, e);
    if (code == ERR_OK && d->all_columns)
        code = ask(d,
                   "SELECT s.name, s.seq FROM sqlite_sequence AS s WHERE s.name LIKE ?"
                   " AND s.name NOT LIKE 'ha\\_%' ESCAPE '\\' ORDER BY s.name",
                   like, print_sequence, e);
    return code;
}

static enum sink_verdict print_text(struct dump *d, const struct value *v, unsigned n)
{
    buf_reset(&d->line);
    if (n > 0 && v[0].type == VALUE_TEXT)
        buf_put(&d->line, v[0].u.s.data, v[0].u.s.len);
    buf_putc(&d->line, '\n');
    return print(d);
}

/* ---- all of it ---- */

static enum err_code dump_all(struct dump *d, const char *like, struct err *e)
{
    const char *pattern = like ? like : "%";
    enum err_code code =
        ask(d,
            "SELECT s.name, s.sql, s.type, coalesce(l.type, '') FROM sqlite_schema AS s"
            " LEFT JOIN pragma_table_list AS l"
            " ON l.schema = 'main' AND l.name = s.name AND s.type = 'table'"
            " WHERE s.sql IS NOT NULL AND " USERS_OWN " AND s.tbl_name LIKE ? ORDER BY s.rowid",
            pattern, add_object, e);
    for (size_t i = 0; i < d->n && code == ERR_OK; i++)
        if (d->objects[i].is_table)
            print_sql(d, &d->objects[i]);
    for (size_t i = 0; i < d->n && code == ERR_OK; i++)
        if (d->objects[i].is_table)
            code = dump_rows(d, &d->objects[i], e);
    if (code == ERR_OK)
        code = dump_sequences(d, pattern, e);
    for (size_t i = 0; i < d->n && code == ERR_OK; i++)
        if (!d->objects[i].is_table)
            print_sql(d, &d->objects[i]);
    if (code == ERR_OK && !like)
        code = ask(d,
                   "SELECT 'PRAGMA user_version=' || user_version || ';'"
                   " FROM pragma_user_version WHERE user_version <> 0"
                   " UNION ALL SELECT 'PRAGMA application_id=' || application_id || ';'"
                   " FROM pragma_application_id WHERE application_id <> 0",
                   NULL, print_text, e);
    return code;
}

enum err_code shell_dump(struct shell *sh, const char *like, struct err *e)
{
    struct dump d = {.sh = sh};
    struct err ignored = ERR_INIT;
    bool own = remote_transaction(sh->remote) == REMOTE_NO_TX;
    enum err_code code = own ? ask(&d, "BEGIN", NULL, nothing, e) : ERR_OK;
    if (code != ERR_OK)
        return code;
    (void)fputs("BEGIN;\nPRAGMA defer_foreign_keys=ON;\n", sh->show.out);
    code = dump_all(&d, like, e);
    /* Who runs what was written so far gets nothing of it. */
    (void)fputs(code == ERR_OK ? "COMMIT;\n" : "ROLLBACK; -- not all of it could be read\n",
                sh->show.out);
    if (own)
        (void)ask(&d, "ROLLBACK", NULL, nothing, &ignored);
    for (size_t i = 0; i < d.n; i++) {
        free(d.objects[i].name);
        free(d.objects[i].sql);
    }
    free(d.objects);
    buf_free(&d.columns);
    buf_free(&d.head);
    buf_free(&d.line);
    return code;
}
