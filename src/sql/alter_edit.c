/*
 * Editing sqlite_schema. A new text of a table is tried out first, as a temporary table of the same
 * connection, which has all the collations and functions that it may name:
 *
 *   temp.ha_alter and main.t have the same columns, in the same places, hidden or not, and the same
 *   rowid or key of a WITHOUT ROWID table: so every record of t is one of the new table
 *
 * Indexes of keys are found again by what they index. SQLite numbers them by the keys' places in
 * the text (sqlite_autoindex_t_1 …), so they are renamed to the numbers that the temporary table's
 * have.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sql/alter_impl.h"

#define SHAPE_MAX 2000 /* keys of one table; SQLite has no more columns */

enum err_code alter_no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- running SQL ---- */

const char *alter_format(struct alter_run *r, const char *fmt, ...)
{
    va_list ap;
    char *s, *copy = NULL;

    va_start(ap, fmt);
    s = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    if (s)
        copy = arena_strdup(r->arena, s);
    sqlite3_free(s);
    return copy;
}

enum err_code alter_exec(struct alter_run *r, struct err *e, const char *fmt, ...)
{
    va_list ap;
    char *sql;
    enum err_code code;

    va_start(ap, fmt);
    sql = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    code = sql ? conn_exec(r->conn, sql, e) : alter_no_memory(e);
    sqlite3_free(sql);
    return code;
}

enum err_code alter_value(struct alter_run *r, const char **out, struct err *e, const char *fmt,
                          ...)
{
    sqlite3_stmt *st = NULL;
    va_list ap;
    char *sql;
    int rc;
    enum err_code code = ERR_OK;

    *out = NULL;
    va_start(ap, fmt);
    sql = sqlite3_vmprintf(fmt, ap);
    va_end(ap);
    if (!sql)
        return alter_no_memory(e);
    rc = sqlite3_prepare_v2(r->db, sql, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL) {
        *out = arena_strdup(r->arena, (const char *)sqlite3_column_text(st, 0));
        if (!*out)
            code = alter_no_memory(e);
    } else if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        code = conn_error(r->conn, rc, e);
    }
    sqlite3_finalize(st);
    sqlite3_free(sql);
    return code;
}

/* ---- text ---- */

static int by_place(const void *a, const void *b)
{
    const struct alter_splice *x = a, *y = b;

    return x->from < y->from ? -1 : x->from > y->from;
}

const char *alter_spliced(struct alter_run *r, struct alter_splice *s, size_t n)
{
    struct buf b = BUF_INIT;
    const char *copy = NULL;
    size_t at = 0;

    qsort(s, n, sizeof *s, by_place);
    for (size_t i = 0; i < n; i++) {
        buf_put(&b, r->sql + at, s[i].from - at);
        buf_puts(&b, s[i].text);
        at = s[i].to;
    }
    buf_puts(&b, r->sql + at);
    if (buf_ok(&b))
        copy = arena_strndup(r->arena, buf_cstr(&b), b.len);
    buf_free(&b);
    return copy;
}

/* ---- sqlite_schema ---- */

/* Other connections see by its version that the schema has changed, this one is told. */
static enum err_code reload(struct alter_run *r, struct err *e)
{
    const char *version;
    enum err_code code = alter_value(r, &version, e, "PRAGMA main.schema_version");

    if (!code)
        code = alter_exec(r, e, "PRAGMA main.schema_version=%lld",
                          version ? (strtoll(version, NULL, 10) + 1) & 0x7FFFFFFF : 1);
    if (!code)
        code = alter_exec(r, e, "PRAGMA writable_schema=RESET");
    return code;
}

static enum err_code put_row(struct alter_run *r, const char *type, const char *name,
                             const char *new_name, const char *sql, struct err *e)
{
    return alter_exec(r, e,
                      "UPDATE main.sqlite_schema SET name = %Q, sql = %Q, "
                      "tbl_name = iif(type = 'view', %Q, tbl_name) "
                      "WHERE type = %Q AND name = %Q COLLATE NOCASE",
                      new_name, sql, new_name, type, name);
}

static void unlock(struct alter_run *r)
{
    (void)sqlite3_db_config(r->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, NULL);
}

enum err_code alter_put(struct alter_run *r, const char *type, const char *name,
                        const char *new_name, const char *sql, struct err *e)
{
    enum err_code code;

    unlock(r);
    code = put_row(r, type, name, new_name, sql, e);
    return code ? code : reload(r, e);
}

/* ---- trying a text out ---- */

static enum err_code shape(struct alter_run *r, const char *schema, const char *table,
                           const char **out, struct err *e)
{
    return alter_value(
        r, out, e,
        "SELECT (SELECT group_concat(cid || ' ' || lower(name) || ' ' || hidden || "
        "CASE WHEN l.wr THEN ' ' || pk ELSE '' END, char(10)) FROM pragma_table_xinfo(%Q, %Q)) || "
        "' ' || l.wr || l.strict || CASE WHEN (SELECT sum(pk) FROM pragma_table_xinfo(%Q, %Q)) = 1 "
        "AND NOT l.wr AND NOT EXISTS (SELECT 1 FROM pragma_index_list(%Q, %Q) WHERE origin = 'pk') "
        "THEN (SELECT ' ' || cid FROM pragma_table_xinfo(%Q, %Q) WHERE pk) ELSE '' END "
        "FROM pragma_table_list(%Q) l WHERE l.schema = %Q",
        table, schema, table, schema, table, schema, table, schema, table, schema);
}

static enum err_code try_out(struct alter_run *r, const char *sql, struct err *e)
{
    struct table_text t;
    const char *before, *after;
    enum err_code code;

    if (!table_text_read(&t, r->arena, sql, strlen(sql)))
        return err_set(e, ERR_SYNTAX, "syntax error in ALTER TABLE");
    (void)alter_exec(r, e, "DROP TABLE IF EXISTS temp.ha_alter");
    code = alter_exec(r, e, "CREATE TABLE temp.ha_alter%s", sql + t.name_at.to);
    if (!code)
        code = shape(r, "main", r->table, &before, e);
    if (!code)
        code = shape(r, "temp", "ha_alter", &after, e);
    if (!code && (!before || !after || strcmp(before, after) != 0))
        code = err_set(e, ERR_UNSUPPORTED,
                       "rows of table %.100s would be stored in another way (its rowid or primary "
                       "key): create another table and copy them",
                       r->table);
    return code;
}

/* ---- indexes of keys ---- */

struct key_index {
    const char *name;
    const char *what; /* its columns, with order and collation */
    bool matched;
};

/* Those that constraints have made, in the order of their numbers. */
static enum err_code key_indexes(struct alter_run *r, const char *schema, const char *table,
                                 struct key_index *list, size_t *n, struct err *e)
{
    char *sql = sqlite3_mprintf(
        "SELECT name, (SELECT group_concat(cid || ' ' || desc || ' ' || coll) FROM "
        "pragma_index_xinfo(l.name, %Q) WHERE key) FROM pragma_index_list(%Q, %Q) l "
        "WHERE origin IN ('u', 'pk') AND name LIKE 'sqlite_autoindex_%%' "
        "ORDER BY CAST(substr(name, length('sqlite_autoindex_') + length(%Q) + 2) AS INTEGER)",
        schema, table, schema, table);
    sqlite3_stmt *st = NULL;
    int rc = sql ? sqlite3_prepare_v2(r->db, sql, -1, &st, NULL) : SQLITE_NOMEM;

    *n = 0;
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && *n < SHAPE_MAX) {
        list[*n] = (struct key_index){
            .name = arena_strdup(r->arena, (const char *)sqlite3_column_text(st, 0)),
            .what = arena_strdup(r->arena, (const char *)sqlite3_column_text(st, 1))};
        rc = list[*n].name && list[*n].what ? SQLITE_OK : SQLITE_NOMEM;
        (*n)++;
    }
    sqlite3_finalize(st);
    sqlite3_free(sql);
    return rc == SQLITE_DONE ? ERR_OK : conn_error(r->conn, rc, e);
}

/* sqlite_autoindex_ha_alter_2 → sqlite_autoindex_t_2 */
static const char *name_in_main(struct alter_run *r, const char *name)
{
    return alter_format(r, "sqlite_autoindex_%s%s", r->table,
                        name + strlen("sqlite_autoindex_ha_alter"));
}

/* An index that no key needs any more becomes one that can be dropped. */
static enum err_code release_index(struct alter_run *r, const char *name, struct err *e)
{
    const char *list;
    enum err_code code = alter_value(
        r, &list, e,
        "SELECT group_concat('\"' || replace(name, '\"', '\"\"') || '\" COLLATE \"' || "
        "coll || '\"' || iif(desc, ' DESC', ''), ', ') FROM pragma_index_xinfo(%Q) WHERE key",
        name);

    if (!code && !list)
        return alter_no_memory(e);
    if (!code)
        code = put_row(
            r, "index", name, "ha_alter_gone",
            alter_format(r, "CREATE UNIQUE INDEX ha_alter_gone ON \"%w\" (%s)", r->table, list), e);
    return code;
}

/* Old indexes get their new numbers, by way of names that cannot meet. */
static enum err_code renumber(struct alter_run *r, struct key_index *old, size_t n_old,
                              const struct key_index *new, size_t n_new, bool final, struct err *e)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < n_new && !code; i++)
        for (size_t k = 0; k < n_old && !code; k++)
            if (strcmp(new[i].what, old[k].what) == 0) {
                const char *mid = alter_format(r, "ha_alter_%d", (int)k);
                old[k].matched = true;
                code = final ? put_row(r, "index", mid, name_in_main(r, new[i].name), NULL, e)
                             : put_row(r, "index", old[k].name, mid, NULL, e);
            }
    return code;
}

static enum err_code make_index(struct alter_run *r, const struct key_index *x, const char *list,
                                struct err *e)
{
    enum err_code code;

    if (!list)
        return err_set(e, ERR_UNSUPPORTED, "the index of a key would have to be made anew");
    code = alter_exec(r, e, "CREATE UNIQUE INDEX main.ha_alter_new ON \"%w\" %s", r->table, list);
    if (code)
        return code;
    unlock(r);
    return put_row(r, "index", "ha_alter_new", name_in_main(r, x->name), NULL, e);
}

static bool is_among(const struct key_index *x, const struct key_index *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].what, x->what) == 0)
            return true;
    return false;
}

static enum err_code move_indexes(struct alter_run *r, const char *sql, const char *list,
                                  struct key_index *old, struct key_index *new, struct err *e)
{
    size_t n_old = 0, n_new = 0, gone = 0;
    enum err_code code = key_indexes(r, "main", r->table, old, &n_old, e);

    if (!code)
        code = key_indexes(r, "temp", "ha_alter", new, &n_new, e);
    unlock(r);
    if (!code)
        code = renumber(r, old, n_old, new, n_new, false, e);
    for (size_t k = 0; k < n_old && !code; k++)
        if (!old[k].matched && gone++ == 0)
            code = release_index(r, old[k].name, e);
    if (!code && gone > 1)
        code = err_set(e, ERR_INTERNAL, "several keys have gone at once");
    if (!code)
        code = renumber(r, old, n_old, new, n_new, true, e);
    for (size_t i = 0; i < n_new && !code; i++)
        if (!is_among(&new[i], old, n_old))
            code = make_index(r, &new[i], list, e);
    if (!code)
        code = alter_put(r, "table", r->table, r->table, sql, e);
    if (!code && gone > 0)
        code = alter_exec(r, e, "DROP INDEX main.ha_alter_gone");
    return code;
}

enum err_code alter_edit(struct alter_run *r, const char *sql, const char *list, struct err *e)
{
    struct key_index *both = calloc((size_t)SHAPE_MAX * 2, sizeof *both);
    struct err ignored = ERR_INIT;
    enum err_code code;

    if (!sql || !both) {
        free(both);
        return alter_no_memory(e);
    }
    code = try_out(r, sql, e);
    if (!code)
        code = move_indexes(r, sql, list, both, both + SHAPE_MAX, e);
    free(both);
    (void)alter_exec(r, &ignored, "DROP TABLE IF EXISTS temp.ha_alter");
    if (!code && !table_text_read(&r->text, r->arena, sql, strlen(sql)))
        code = alter_no_memory(e);
    r->sql = sql;
    return code;
}
