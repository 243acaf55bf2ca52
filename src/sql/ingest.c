#include "sql/ingest.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/quote.h"
#include "sql/schema.h"

/* Where a parameter's value is. */
struct slot {
    bool key; /* among the keys, not the columns */
    size_t index;
};

/* A statement of the shape, and what its parameters are. */
struct action {
    struct stmt *st; /* NULL = not prepared */
    struct slot *slots;
    size_t n;
};

struct ingest {
    struct writer *w;
    struct conn *conn;
    sqlite3 *db;
    struct schema *schema; /* the writer's */
    bool enforced;         /* foreign keys are, otherwise */
    struct buf text;
    enum ingest_op op;
    struct action act;
    struct action insert; /* UPDATE: of a row that is not there */
};

/* ---- the beginning and the end ---- */

static enum err_code out_of_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

static enum err_code set_foreign_keys(struct ingest *g, int on, struct err *e)
{
    int rc = sqlite3_db_config(g->db, SQLITE_DBCONFIG_ENABLE_FKEY, on, NULL);

    return rc == SQLITE_OK ? ERR_OK : conn_error(g->conn, rc, e);
}

enum err_code ingest_begin(struct ingest **out, struct writer *w, struct err *e)
{
    struct ingest *g = calloc(1, sizeof *g);
    int before = 0;

    *out = g;
    if (!g)
        return out_of_memory(e);
    g->w = w;
    g->conn = writer_conn(w);
    g->db = conn_handle(g->conn);
    enum err_code code = writer_rows(w, &g->schema, e);
    /* Where they are off already this is left alone: it makes SQLite compile everything anew. */
    (void)sqlite3_db_config(g->db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &before);
    if (code == ERR_OK && before) {
        code = set_foreign_keys(g, 0, e);
        g->enforced = code == ERR_OK;
    }
    return code;
}

static void drop_action(struct action *a)
{
    stmt_release(a->st);
    free(a->slots);
    *a = (struct action){0};
}

static void drop_shape(struct ingest *g)
{
    drop_action(&g->act);
    drop_action(&g->insert);
}

void ingest_end(struct ingest *g)
{
    struct err ignored = ERR_INIT;

    if (!g)
        return;
    drop_shape(g);
    if (g->enforced)
        (void)set_foreign_keys(g, 1, &ignored);
    buf_free(&g->text);
    free(g);
}

/* ---- the shape ---- */

static const struct column *find_column(const struct table *t, const char *name)
{
    for (unsigned i = 0; i < t->n_columns; i++)
        if (strcasecmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

static bool is_computed(const struct table *t, const char *name)
{
    const struct column *c = find_column(t, name);

    return c && c->generated;
}

static bool find_name(const char *const *names, size_t n, const char *name, size_t *place)
{
    for (*place = 0; *place < n; (*place)++)
        if (strcasecmp(names[*place], name) == 0)
            return true;
    return false;
}

static enum err_code room_for(struct action *a, size_t n, struct err *e)
{
    a->slots = calloc(n ? n : 1, sizeof *a->slots);
    return a->slots ? ERR_OK : out_of_memory(e);
}

static void put_separator(struct buf *b, bool first, const char *separator)
{
    if (!first)
        buf_puts(b, separator);
}

/* "name = ?" or the like for slot `slot`. */
static void put_term(struct ingest *g, struct action *a, const char *name, const char *operator,
                     struct slot slot)
{
    quote_put_name(&g->text, name);
    buf_puts(&g->text, operator);
    a->slots[a->n++] = slot;
}

/* By the primary key, if all of it is among the names. */
static bool put_primary_key(struct ingest *g, const struct table *t, const char *const *names,
                            size_t n, bool keys, struct action *a)
{
    size_t place;

    for (unsigned i = 0; i < t->n_pk; i++)
        if (!find_name(names, n, t->columns[t->pk[i]].name, &place))
            return false;
    if (t->n_pk == 0)
        return false;
    buf_puts(&g->text, " WHERE ");
    for (unsigned i = 0; i < t->n_pk; i++) {
        const char *name = t->columns[t->pk[i]].name;
        (void)find_name(names, n, name, &place);
        put_separator(&g->text, i == 0, " AND ");
        put_term(g, a, name, " IS ?", (struct slot){keys, place});
    }
    return true;
}

static enum err_code put_where(struct ingest *g, const struct table *t,
                               const struct ingest_shape *s, struct action *a, struct err *e)
{
    struct buf *b = &g->text;
    bool first = true;

    if (put_primary_key(g, t, s->keys, s->n_keys, true, a))
        return ERR_OK;
    if (s->op == INGEST_UPDATE && s->n_keys == 0 &&
        put_primary_key(g, t, s->columns, s->n_columns, false, a))
        return ERR_OK;
    if (s->n_keys == 0)
        return err_set(e, ERR_UNSUPPORTED,
                       "a row of table %.100s cannot be found: no key came with the change",
                       s->table);
    if (!t->rowid_name)
        return err_set(e, ERR_UNSUPPORTED,
                       "a row of table %.100s cannot be found: its primary key is not among what "
                       "came with the change",
                       s->table);
    buf_printf(b, " WHERE %s = (SELECT %s FROM main.", t->rowid_name, t->rowid_name);
    quote_put_name(b, s->table);
    buf_puts(b, " WHERE ");
    for (size_t i = 0; i < s->n_keys; i++) {
        if (is_computed(t, s->keys[i]))
            continue;
        put_separator(b, first, " AND ");
        put_term(g, a, s->keys[i], " IS ?", (struct slot){true, i});
        first = false;
    }
    buf_puts(b, " LIMIT 1)");
    return ERR_OK;
}

static void put_insert(struct ingest *g, const struct table *t, const struct ingest_shape *s,
                       struct action *a)
{
    struct buf *b = &g->text;
    size_t place;

    buf_puts(b, "INSERT OR REPLACE INTO main.");
    quote_put_name(b, s->table);
    buf_puts(b, " (");
    for (size_t i = 0; i < s->n_columns; i++) {
        if (is_computed(t, s->columns[i]))
            continue;
        put_separator(b, a->n == 0, ", ");
        put_term(g, a, s->columns[i], "", (struct slot){false, i});
    }
    for (size_t i = 0; i < s->n_keys; i++) {
        if (is_computed(t, s->keys[i]) || find_name(s->columns, s->n_columns, s->keys[i], &place))
            continue;
        put_separator(b, a->n == 0, ", ");
        put_term(g, a, s->keys[i], "", (struct slot){true, i});
    }
    buf_puts(b, ") VALUES (");
    for (size_t i = 0; i < a->n; i++)
        buf_puts(b, i ? ", ?" : "?");
    buf_puts(b, ")");
    if (a->n == 0) { /* a row without columns */
        buf_reset(b);
        buf_puts(b, "INSERT INTO main.");
        quote_put_name(b, s->table);
        buf_puts(b, " DEFAULT VALUES");
    }
}

static enum err_code put_update(struct ingest *g, const struct table *t,
                                const struct ingest_shape *s, struct action *a, struct err *e)
{
    struct buf *b = &g->text;

    buf_puts(b, "UPDATE OR REPLACE main.");
    quote_put_name(b, s->table);
    buf_puts(b, " SET ");
    for (size_t i = 0; i < s->n_columns; i++) {
        if (is_computed(t, s->columns[i]))
            continue;
        put_separator(b, a->n == 0, ", ");
        put_term(g, a, s->columns[i], " = ?", (struct slot){false, i});
    }
    return put_where(g, t, s, a, e);
}

static enum err_code prepare(struct ingest *g, struct action *a, struct err *e)
{
    const char *tail;

    if (!buf_ok(&g->text))
        return out_of_memory(e);
    enum err_code code = stmt_prepare(g->conn, g->text.data, g->text.len, &tail, &a->st, e);
    /* The offset is in a text that nobody has written. */
    e->offset = -1;
    return code;
}

enum err_code ingest_shape(struct ingest *g, const struct ingest_shape *s, struct err *e)
{
    const struct table *t = schema_table(g->schema, s->table);
    enum err_code code;

    drop_shape(g);
    g->op = s->op;
    if (!t)
        return err_set(e, ERR_NO_TABLE, "there is no table %.100s in the local database", s->table);
    if (t->kind != TABLE_USER)
        return err_set(e, ERR_UNSUPPORTED, "table %.100s is not one that rows can be put into",
                       s->table);
    code = room_for(&g->act, s->n_columns + s->n_keys + t->n_pk, e);
    if (code != ERR_OK)
        return code;
    buf_reset(&g->text);
    switch (s->op) {
    case INGEST_INSERT:
        put_insert(g, t, s, &g->act);
        break;
    case INGEST_UPDATE:
        code = put_update(g, t, s, &g->act, e);
        break;
    case INGEST_DELETE:
        buf_puts(&g->text, "DELETE FROM main.");
        quote_put_name(&g->text, s->table);
        code = put_where(g, t, s, &g->act, e);
        break;
    case INGEST_CLEAR:
        buf_puts(&g->text, "DELETE FROM main.");
        quote_put_name(&g->text, s->table);
        break;
    }
    if (code == ERR_OK)
        code = prepare(g, &g->act, e);
    if (code != ERR_OK || s->op != INGEST_UPDATE)
        return code;
    code = room_for(&g->insert, s->n_columns + s->n_keys, e);
    if (code != ERR_OK)
        return code;
    buf_reset(&g->text);
    put_insert(g, t, s, &g->insert);
    return prepare(g, &g->insert, e);
}

/* ---- rows ---- */

static enum err_code run(const struct action *a, const struct value *columns,
                         const struct value *keys, struct err *e)
{
    enum err_code code = ERR_OK;
    bool row = false;

    for (size_t i = 0; i < a->n && code == ERR_OK; i++) {
        const struct slot *x = &a->slots[i];
        code = stmt_bind(a->st, (unsigned)i + 1, x->key ? &keys[x->index] : &columns[x->index], e);
    }
    return code == ERR_OK ? stmt_step(a->st, &row, e) : code;
}

enum err_code ingest_row(struct ingest *g, const struct value *columns, const struct value *keys,
                         struct err *e)
{
    if (!g->act.st)
        return err_set(e, ERR_INTERNAL, "a row without a shape");
    enum err_code code = run(&g->act, columns, keys, e);
    if (code == ERR_OK && g->op == INGEST_UPDATE && sqlite3_changes64(g->db) == 0)
        code = run(&g->insert, columns, keys, e);
    return code;
}

/* ---- statements ---- */

enum err_code ingest_sql(struct ingest *g, const char *sql, struct err *e)
{
    struct stmt *st = NULL;
    const char *tail;
    bool row = true;
    struct err second = ERR_INIT;

    drop_shape(g);
    enum err_code code = stmt_prepare(g->conn, sql, strlen(sql), &tail, &st, e);
    if (code != ERR_OK || !st)
        return code;
    code = writer_stmt_begin(g->w, st, false, e);
    if (code == ERR_OK) {
        while (code == ERR_OK && row)
            code = stmt_step(st, &row, e);
        enum err_code ended = writer_stmt_end(g->w, st, code == ERR_OK, &second);
        if (code == ERR_OK && ended != ERR_OK) {
            *e = second;
            code = ended;
        }
    }
    stmt_release(st);
    return code == ERR_OK ? writer_rows(g->w, &g->schema, e) : code;
}

/* ---- the position ---- */

static enum err_code read_row(struct conn *c, struct buf *position, struct err *e)
{
    static const char sql[] = "SELECT position FROM main." SCHEMA_TRACKER " WHERE rowid = 1";
    struct stmt *st = NULL;
    const char *tail;
    bool row = false;
    enum err_code code = stmt_prepare(c, sql, sizeof sql - 1, &tail, &st, e);

    if (code != ERR_OK)
        return code;
    code = stmt_step(st, &row, e);
    if (code == ERR_OK && row) {
        struct value v = stmt_column(st, 0);
        if (v.type == VALUE_TEXT || v.type == VALUE_BLOB)
            buf_put(position, v.u.s.data, v.u.s.len);
        else if (v.type == VALUE_INTEGER)
            buf_i64(position, v.u.i);
    }
    stmt_release(st);
    if (code == ERR_OK && !buf_ok(position))
        code = out_of_memory(e);
    return code;
}

enum err_code ingest_read_position(struct conn *c, struct buf *position, struct err *e)
{
    enum err_code code = read_row(c, position, e);

    if (code != ERR_NO_TABLE)
        return code;
    err_clear(e);
    return ERR_OK;
}

enum err_code ingest_position(struct ingest *g, struct buf *position, struct err *e)
{
    return schema_table(g->schema, SCHEMA_TRACKER) ? read_row(g->conn, position, e) : ERR_OK;
}

static enum err_code store_row(struct ingest *g, const char *position, const char *time,
                               struct err *e)
{
    static const char sql[] =
        "INSERT INTO main." SCHEMA_TRACKER "(rowid, position, server_time) VALUES (1, ?, ?)"
        " ON CONFLICT DO UPDATE SET position = excluded.position,"
        " server_time = excluded.server_time";
    struct value p = value_text(position, strlen(position));
    struct value t = time ? value_text(time, strlen(time)) : value_null();
    struct stmt *st = NULL;
    const char *tail;
    bool row = false;
    enum err_code code = stmt_prepare(g->conn, sql, sizeof sql - 1, &tail, &st, e);

    if (code == ERR_OK)
        code = stmt_bind(st, 1, &p, e);
    if (code == ERR_OK)
        code = stmt_bind(st, 2, &t, e);
    if (code == ERR_OK)
        code = stmt_step(st, &row, e);
    stmt_release(st);
    return code;
}

enum err_code ingest_move(struct ingest *g, const char *position, const char *time, struct err *e)
{
    enum err_code code = ERR_OK;

    drop_shape(g);
    conn_trust(g->conn, true); /* users may not write to it */
    if (!schema_table(g->schema, SCHEMA_TRACKER))
        code = ingest_sql(g,
                          "CREATE TABLE " SCHEMA_TRACKER
                          " (id INTEGER PRIMARY KEY CHECK (id = 1), position TEXT, server_time)",
                          e);
    if (code == ERR_OK)
        code = store_row(g, position, time, e);
    conn_trust(g->conn, false);
    return code;
}
