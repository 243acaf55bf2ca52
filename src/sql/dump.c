#include "sql/dump.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "sql/lex.h"
#include "sql/quote.h"
#include "sql/value.h"

/* An object of sqlite_schema. */
struct object {
    char *type, *name, *sql;
    char *table; /* that an index or a trigger belongs to; otherwise the object's own name */
    bool is_virtual;
    bool backed; /* a table that a virtual table makes for itself */
};

struct dump {
    struct conn *conn;
    sqlite3 *db;
    struct capture *capture;
    struct schema *schema;
    bool ddl;
    struct object *objects;
    size_t n, cap;
};

/* ---- rows ---- */

/* SELECT rowid or NULL, the columns that are sent … FROM database.table */
static void put_select(struct buf *b, const struct table *t, const char *database)
{
    buf_puts(b, "SELECT ");
    if (t->rowid_name)
        quote_put_name(b, t->rowid_name);
    else
        buf_puts(b, "NULL");
    for (unsigned i = 0; i < t->n_sent; i++) {
        buf_putc(b, ',');
        quote_put_name(b, t->columns[t->sent[i]].name);
    }
    buf_printf(b, " FROM %s.", database);
    quote_put_name(b, t->name);
}

static enum err_code ship_rows(struct conn *c, struct capture *cap, sqlite3_stmt *st,
                               const struct table *t, bool inserted, struct err *e)
{
    struct value *values = calloc(t->n_sent + 1, sizeof *values);
    int rc;

    if (!values)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int64_t rowid = sqlite3_column_int64(st, 0);

        for (unsigned i = 0; i < t->n_sent; i++)
            values[i] = value_view(sqlite3_column_value(st, (int)i + 1));
        capture_row(cap, t, inserted, t->rowid_name ? &rowid : NULL, values);
    }
    free(values);
    return rc == SQLITE_DONE ? capture_check(cap, e) : conn_error(c, rc, e);
}

static enum err_code dump_table(struct conn *c, struct capture *cap, const struct table *t,
                                const char *database, bool inserted, struct err *e)
{
    struct buf sql = BUF_INIT;
    sqlite3_stmt *st = NULL;
    enum err_code code;
    int rc;

    put_select(&sql, t, database);
    conn_trust(c, true);
    rc = sqlite3_prepare_v2(conn_handle(c), buf_cstr(&sql), -1, &st, NULL);
    code = rc == SQLITE_OK ? ship_rows(c, cap, st, t, inserted, e) : conn_error(c, rc, e);
    sqlite3_finalize(st);
    conn_trust(c, false);
    buf_free(&sql);
    return code;
}

enum err_code dump_rows(struct conn *c, struct capture *cap, const struct table *t, struct err *e)
{
    return dump_table(c, cap, t, "main", true, e);
}

/* ---- schema ---- */

static void free_objects(struct dump *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->objects[i].type);
        free(d->objects[i].name);
        free(d->objects[i].sql);
        free(d->objects[i].table);
    }
    free(d->objects);
}

static enum err_code add_object(struct dump *d, sqlite3_stmt *st, struct err *e)
{
    struct object *o = array_room(d->objects, d->n, &d->cap, sizeof *o);

    if (!o)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    d->objects = o;
    o += d->n++;
    *o = (struct object){
        .type = strdup((const char *)sqlite3_column_text(st, 0)),
        .name = strdup((const char *)sqlite3_column_text(st, 1)),
        .sql = strdup((const char *)sqlite3_column_text(st, 2)),
        .table = strdup((const char *)sqlite3_column_text(st, 3)),
        .is_virtual = sqlite3_column_int(st, 4) != 0,
    };
    return o->type && o->name && o->sql && o->table ? ERR_OK
                                                    : err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* Read as a whole first: what comes later drops tables, which SQLite allows only while nothing
 * reads. Indexes and triggers of ha_ tables are ours, too. */
static enum err_code list_objects(struct dump *d, struct err *e)
{
    static const char sql[] =
        "SELECT type, name, sql, tbl_name, type = 'table' AND rootpage = 0 FROM main.sqlite_schema"
        " WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND (name = '" SCHEMA_TRACKER "' OR (name NOT LIKE 'ha\\_%' ESCAPE '\\'"
        " AND tbl_name NOT LIKE 'ha\\_%' ESCAPE '\\'))"
        " ORDER BY rowid";
    sqlite3_stmt *st = NULL;
    enum err_code code = ERR_OK;
    int rc;

    conn_trust(d->conn, true);
    rc = sqlite3_prepare_v2(d->db, sql, -1, &st, NULL);
    while (rc == SQLITE_OK && !code && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        code = add_object(d, st, e);
        rc = SQLITE_OK;
    }
    if (!code && rc != SQLITE_DONE)
        code = conn_error(d->conn, rc, e);
    sqlite3_finalize(st);
    conn_trust(d->conn, false);
    return code;
}

/* Does the object belong to a table that makes its own indexes wherever it is created? */
static bool is_of_backed(const struct dump *d, const struct object *o)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->objects[i].backed && sqlite3_stricmp(d->objects[i].name, o->table) == 0)
            return true;
    return false;
}

static void ship_sql(struct dump *d, const char *sql)
{
    if (d->ddl)
        capture_sql(d->capture, sql, strlen(sql));
}

static enum err_code ship_pragma(struct dump *d, const char *name, struct err *e)
{
    char sql[64];
    sqlite3_stmt *st = NULL;
    int rc, value = 0;

    (void)snprintf(sql, sizeof sql, "PRAGMA main.%s", name);
    conn_trust(d->conn, true);
    rc = sqlite3_prepare_v2(d->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        value = sqlite3_column_int(st, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    conn_trust(d->conn, false);
    if (rc != SQLITE_OK)
        return conn_error(d->conn, rc, e);
    if (value != 0) {
        (void)snprintf(sql, sizeof sql, "PRAGMA %s = %d", name, value);
        ship_sql(d, sql);
    }
    return ERR_OK;
}

/* ---- virtual tables ---- */

/*
 * CREATE VIRTUAL TABLE makes tables and puts rows into them, here and on every node that applies
 * it. What these are is seen by making the same one in `temp`: those rows are deleted again, then
 * come the real ones. False where it cannot be made there (FTS4 that takes its columns from another
 * table): such modules start without rows.
 */
static bool make_scratch(struct dump *d, const struct object *o)
{
    struct buf sql = BUF_INIT;
    struct err ignored = ERR_INIT;
    struct lex_token t;
    const char *at = o->sql, *end = o->sql + strlen(o->sql);
    bool made = false;

    /* CREATE VIRTUAL TABLE name USING … */
    for (int i = 0; i < 5; i++)
        if (!lex_next(&at, end, &t))
            return false;
    if (!lex_is(&t, "USING"))
        return false;
    buf_puts(&sql, "CREATE VIRTUAL TABLE temp.");
    quote_put_name(&sql, o->name);
    buf_putc(&sql, ' ');
    buf_puts(&sql, t.text);
    made = buf_ok(&sql) && conn_exec(d->conn, buf_cstr(&sql), &ignored) == ERR_OK;
    buf_free(&sql);
    return made;
}

static enum err_code drop_scratch(struct dump *d, const struct object *o, struct err *e)
{
    struct buf sql = BUF_INIT;
    enum err_code code;

    buf_puts(&sql, "DROP TABLE temp.");
    quote_put_name(&sql, o->name);
    code = conn_exec(d->conn, buf_cstr(&sql), e);
    buf_free(&sql);
    return code;
}

static bool has_scratch_table(struct dump *d, const char *name)
{
    /* Found in `temp` by its full name only, so an answer means that it is there. */
    return sqlite3_table_column_metadata(d->db, "temp", name, NULL, NULL, NULL, NULL, NULL, NULL) ==
           SQLITE_OK;
}

static bool is_shadow(struct dump *d, const char *name)
{
    sqlite3_stmt *st = NULL;
    bool yes = false;

    conn_trust(d->conn, true);
    if (sqlite3_prepare_v2(d->db,
                           "SELECT 1 FROM pragma_table_list(?1) WHERE schema = 'main'"
                           " AND type = 'shadow'",
                           -1, &st, NULL) == SQLITE_OK &&
        sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) == SQLITE_OK)
        yes = sqlite3_step(st) == SQLITE_ROW;
    sqlite3_finalize(st);
    conn_trust(d->conn, false);
    return yes;
}

/* Calls ship_… for each table behind `o`; without `ship` only marks them. */
static enum err_code each_backing(struct dump *d, const struct object *o, bool ship, struct err *e)
{
    enum err_code code = ERR_OK;
    size_t len = strlen(o->name);
    bool made = make_scratch(d, o);

    for (size_t i = 0; i < d->n && !code; i++) {
        struct object *b = &d->objects[i];
        const struct table *t;

        if (b == o || b->is_virtual || strcmp(b->type, "table") != 0 ||
            sqlite3_strnicmp(b->name, o->name, (int)len) != 0 || b->name[len] != '_')
            continue;
        t = schema_table(d->schema, b->name);
        if (!t || !(made ? has_scratch_table(d, b->name) : is_shadow(d, b->name)))
            continue;
        b->backed = true;
        if (ship && made)
            code = dump_table(d->conn, d->capture, t, "temp", false, e);
        if (ship && !code)
            code = dump_table(d->conn, d->capture, t, "main", true, e);
    }
    if (made && !code)
        code = drop_scratch(d, o, e);
    return code;
}

/* ---- the whole ---- */

static enum err_code dump_tables(struct dump *d, struct err *e)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < d->n && !code; i++)
        if (d->objects[i].is_virtual)
            code = each_backing(d, &d->objects[i], false, e);
    for (size_t i = 0; i < d->n && !code; i++) {
        const struct object *o = &d->objects[i];
        const struct table *t;

        if (strcmp(o->type, "table") != 0 || o->is_virtual || o->backed)
            continue;
        ship_sql(d, o->sql);
        t = schema_table(d->schema, o->name);
        if (t)
            code = dump_rows(d->conn, d->capture, t, e);
    }
    for (size_t i = 0; i < d->n && !code; i++) {
        if (!d->objects[i].is_virtual)
            continue;
        ship_sql(d, d->objects[i].sql);
        code = each_backing(d, &d->objects[i], true, e);
    }
    return code;
}

static void dump_others(struct dump *d, const char *type)
{
    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->objects[i].type, type) == 0 && !is_of_backed(d, &d->objects[i]))
            ship_sql(d, d->objects[i].sql);
}

/* Makes the tables of statistics without computing any; then come the rows. */
static enum err_code dump_statistics(struct dump *d, struct err *e)
{
    enum err_code code = ERR_OK;
    bool made = false;

    for (const struct table *t = schema_next(d->schema, NULL); t && !code;
         t = schema_next(d->schema, t)) {
        if (t->kind != TABLE_STAT)
            continue;
        if (!made)
            ship_sql(d, "ANALYZE sqlite_schema");
        made = true;
        code = dump_rows(d->conn, d->capture, t, e);
    }
    return code;
}

enum err_code dump_file(struct conn *c, struct capture *cap, struct schema *s, struct sequence *q,
                        bool ddl, struct err *e)
{
    struct dump d = {.conn = c, .db = conn_handle(c), .capture = cap, .schema = s, .ddl = ddl};
    enum err_code code = list_objects(&d, e);

    if (!code)
        code = ship_pragma(&d, "user_version", e);
    if (!code)
        code = ship_pragma(&d, "application_id", e);
    if (!code)
        code = dump_tables(&d, e);
    if (!code) {
        dump_others(&d, "index");
        dump_others(&d, "view");
        dump_others(&d, "trigger");
        code = sequence_dump(q, cap, e);
    }
    if (!code)
        code = dump_statistics(&d, e);
    free_objects(&d);
    return code;
}
