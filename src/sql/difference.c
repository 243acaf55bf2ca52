#include "sql/difference.h"

#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/json.h"
#include "sql/conn.h"
#include "sql/error.h"
#include "sql/quote.h"
#include "sql/room.h"
#include "sql/schema.h"

#define DIFFERENCE_BUSY_MS 5000
#define DIFFERENCE_STEPS   10000 /* instructions of SQLite between two looks at the watch */
#define DIFFERENCE_COLUMNS 2000  /* of a table; SQLite's own limit as it is built here */

/* KEPT is `main`, LIVE is attached as `live`. */
struct search {
    sqlite3 *db;
    bool (*write)(void *arg, const char *bytes, size_t len);
    void *arg;
    struct difference *out;
    struct err *e;
    struct buf line;
};

/* A table that both have, with the same columns. */
struct pair {
    const char *name;
    char *columns[DIFFERENCE_COLUMNS]; /* those that are stored and named */
    int n;
    int key[DIFFERENCE_COLUMNS];          /* indices of the primary key's columns */
    char *collations[DIFFERENCE_COLUMNS]; /* that the key's index has for those; NULL = their own */
    int n_key;
};

static enum err_code failure(struct search *s, int rc)
{
    if (rc == SQLITE_INTERRUPT)
        return err_set(s->e, ERR_INTERRUPTED, "canceled");
    return err_set(s->e, error_from_sqlite(rc, sqlite3_errmsg(s->db), room_errno(s->db, rc)), "%s",
                   sqlite3_errmsg(s->db));
}

/* Sends s->line; a comment must stay one line. */
static enum err_code put_line(struct search *s, bool comment)
{
    for (size_t i = 0; comment && i < s->line.len; i++)
        if (s->line.data[i] == '\n' || s->line.data[i] == '\r')
            s->line.data[i] = ' ';
    buf_putc(&s->line, '\n');
    if (!buf_ok(&s->line))
        return err_set(s->e, ERR_NO_MEMORY, "out of memory");
    bool more = s->write(s->arg, s->line.data, s->line.len);
    buf_reset(&s->line);
    return more ? ERR_OK : err_set(s->e, ERR_INTERRUPTED, "canceled");
}

/* ---- values --------------------------------------------------------------------------------- */

static void put_blob(struct buf *b, const void *bytes, int n)
{
    buf_puts(b, "x'");
    hex_put(b, bytes, (size_t)n);
    buf_putc(b, '\'');
}

/* Control characters would end a comment, or the terminal's patience. */
static bool is_plain(const char *text, int n)
{
    for (int i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            return false;
    return json_is_text(text, (size_t)n);
}

static void put_text(struct buf *b, const char *text, int n)
{
    if (!is_plain(text, n)) {
        buf_puts(b, "CAST(");
        put_blob(b, text, n);
        buf_puts(b, " AS TEXT)");
        return;
    }
    quote_put(b, text, (size_t)n, '\'');
}

static void put_value(struct buf *b, sqlite3_stmt *st, int i)
{
    const void *bytes;
    double real;
    switch (sqlite3_column_type(st, i)) {
    case SQLITE_INTEGER:
        buf_i64(b, sqlite3_column_int64(st, i));
        break;
    case SQLITE_FLOAT:
        real = sqlite3_column_double(st, i);
        if (isinf(real))
            buf_puts(b, real < 0 ? "-9e999" : "9e999");
        else
            json_put_double(b, real);
        break;
    case SQLITE_TEXT:
        bytes = sqlite3_column_text(st, i);
        put_text(b, bytes, sqlite3_column_bytes(st, i));
        break;
    case SQLITE_BLOB:
        bytes = sqlite3_column_blob(st, i);
        put_blob(b, bytes, sqlite3_column_bytes(st, i));
        break;
    default:
        buf_puts(b, "NULL");
    }
}

/* ---- queries -------------------------------------------------------------------------------- */

/* "k.<column>", of the two tables k (KEPT) and l (LIVE). */
static void put_of(struct buf *b, char which, const char *column)
{
    buf_printf(b, "%c.", which);
    quote_put_name(b, column);
}

static void put_columns(struct buf *b, const struct pair *p, char which)
{
    for (int i = 0; i < p->n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        put_of(b, which, p->columns[i]);
    }
}

static void put_collation(struct buf *b, const char *collation)
{
    if (!collation)
        return;
    buf_puts(b, " COLLATE ");
    quote_put_name(b, collation);
}

static void put_key_match(struct buf *b, const struct pair *p)
{
    for (int i = 0; i < p->n_key; i++) {
        const char *column = p->columns[p->key[i]];
        buf_puts(b, i > 0 ? " AND " : "");
        put_of(b, 'l', column);
        buf_puts(b, " IS ");
        put_of(b, 'k', column);
        put_collation(b, p->collations[i]);
    }
}

static void put_from(struct buf *b, const struct pair *p, char which)
{
    buf_puts(b, which == 'k' ? "main." : "live.");
    quote_put_name(b, p->name);
    buf_printf(b, " AS %c", which);
}

/* Rows of `which` that the other does not have. By key where there is one; else by all columns and
 * their storage classes, which EXCEPT compares. */
static void put_lone_rows(struct buf *b, const struct pair *p, char which)
{
    char other = which == 'k' ? 'l' : 'k';
    buf_puts(b, "SELECT ");
    if (p->n_key > 0) {
        put_columns(b, p, which);
        buf_puts(b, " FROM ");
        put_from(b, p, which);
        buf_puts(b, " WHERE NOT EXISTS (SELECT 1 FROM ");
        put_from(b, p, other);
        buf_puts(b, " WHERE ");
        put_key_match(b, p);
        buf_putc(b, ')');
        return;
    }
    for (int side = 0; side < 2; side++) {
        char at = side == 0 ? which : other;
        buf_puts(b, side == 0 ? "" : " EXCEPT SELECT ");
        for (int i = 0; i < p->n; i++) {
            buf_puts(b, i > 0 ? "," : "");
            put_of(b, at, p->columns[i]);
            buf_puts(b, " COLLATE BINARY");
        }
        for (int i = 0; i < p->n; i++) {
            buf_puts(b, ",typeof(");
            put_of(b, at, p->columns[i]);
            buf_putc(b, ')');
        }
        buf_puts(b, " FROM ");
        put_from(b, p, at);
    }
}

/* Rows that both have, with other values: KEPT's columns, then LIVE's. */
static void put_other_rows(struct buf *b, const struct pair *p)
{
    buf_puts(b, "SELECT ");
    put_columns(b, p, 'k');
    buf_putc(b, ',');
    put_columns(b, p, 'l');
    buf_puts(b, " FROM ");
    put_from(b, p, 'k');
    buf_puts(b, " JOIN ");
    put_from(b, p, 'l');
    buf_puts(b, " ON ");
    put_key_match(b, p);
    buf_puts(b, " WHERE ");
    for (int i = 0; i < p->n; i++) {
        buf_puts(b, i > 0 ? " OR typeof(" : "typeof(");
        put_of(b, 'k', p->columns[i]);
        buf_puts(b, ") IS NOT typeof(");
        put_of(b, 'l', p->columns[i]);
        buf_puts(b, ") OR ");
        put_of(b, 'k', p->columns[i]);
        buf_puts(b, " IS NOT ");
        put_of(b, 'l', p->columns[i]);
        buf_puts(b, " COLLATE BINARY");
    }
}

/* ---- statements ----------------------------------------------------------------------------- */

typedef enum err_code row_fn(struct search *s, const struct pair *p, sqlite3_stmt *st);

static void put_insert(struct search *s, const struct pair *p, sqlite3_stmt *st)
{
    struct buf *b = &s->line;
    buf_puts(b, "INSERT INTO ");
    quote_put_name(b, p->name);
    buf_puts(b, " (");
    for (int i = 0; i < p->n; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        quote_put_name(b, p->columns[i]);
    }
    buf_puts(b, ") VALUES (");
    for (int i = 0; i < p->n; i++) {
        buf_puts(b, i > 0 ? ", " : "");
        put_value(b, st, i);
    }
    buf_puts(b, ");");
}

static enum err_code insert_row(struct search *s, const struct pair *p, sqlite3_stmt *st)
{
    s->out->only_kept++;
    put_insert(s, p, st);
    return put_line(s, false);
}

/* WHERE with the values from column `base` on: of the key, or of all columns. */
static void put_where(struct buf *b, const struct pair *p, sqlite3_stmt *st, int base)
{
    int n = p->n_key > 0 ? p->n_key : p->n;
    buf_puts(b, " WHERE ");
    for (int i = 0; i < n; i++) {
        int column = p->n_key > 0 ? p->key[i] : i;
        buf_puts(b, i > 0 ? " AND " : "");
        quote_put_name(b, p->columns[column]);
        buf_puts(b, " IS ");
        put_value(b, st, base + column);
        if (p->n_key > 0)
            put_collation(b, p->collations[i]);
    }
}

static bool is_same(sqlite3_stmt *st, int i, int k)
{
    struct buf a = BUF_INIT, b = BUF_INIT;
    put_value(&a, st, i);
    put_value(&b, st, k);
    bool same = a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
    buf_free(&a);
    buf_free(&b);
    return same;
}

static enum err_code update_row(struct search *s, const struct pair *p, sqlite3_stmt *st)
{
    struct buf *b = &s->line;
    bool first = true;
    s->out->other++;
    buf_puts(b, "-- UPDATE ");
    quote_put_name(b, p->name);
    for (int i = 0; i < p->n; i++) {
        if (is_same(st, i, p->n + i))
            continue;
        buf_puts(b, first ? " SET " : ", ");
        first = false;
        quote_put_name(b, p->columns[i]);
        buf_puts(b, " = ");
        put_value(b, st, i);
    }
    put_where(b, p, st, p->n);
    buf_puts(b, "; -- now");
    for (int i = 0; i < p->n; i++) {
        if (is_same(st, i, p->n + i))
            continue;
        buf_putc(b, ' ');
        quote_put_name(b, p->columns[i]);
        buf_puts(b, " is ");
        put_value(b, st, p->n + i);
    }
    return put_line(s, true);
}

static enum err_code delete_row(struct search *s, const struct pair *p, sqlite3_stmt *st)
{
    s->out->only_live++;
    buf_puts(&s->line, "-- DELETE FROM ");
    quote_put_name(&s->line, p->name);
    put_where(&s->line, p, st, 0);
    buf_putc(&s->line, ';');
    return put_line(s, true);
}

static enum err_code each_row(struct search *s, const struct pair *p, struct buf *sql, row_fn *each)
{
    sqlite3_stmt *st = NULL;
    enum err_code code = buf_ok(sql) ? ERR_OK : err_set(s->e, ERR_NO_MEMORY, "out of memory");
    int rc = SQLITE_DONE;
    if (code == ERR_OK) {
        rc = sqlite3_prepare_v2(s->db, buf_cstr(sql), -1, &st, NULL);
        while (rc == SQLITE_OK && code == ERR_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
            code = each(s, p, st);
            rc = SQLITE_OK;
        }
        if (code == ERR_OK && rc != SQLITE_DONE)
            code = failure(s, rc);
    }
    sqlite3_finalize(st);
    buf_reset(sql);
    return code;
}

/* ---- tables --------------------------------------------------------------------------------- */

static enum err_code read_columns(struct search *s, struct pair *p)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(s->db,
                                "SELECT name, pk FROM pragma_table_xinfo(?1, 'main')"
                                " WHERE hidden = 0 ORDER BY cid",
                                -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, p->name, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && p->n < DIFFERENCE_COLUMNS) {
        int pk = sqlite3_column_int(st, 1);
        p->columns[p->n] = strdup((const char *)sqlite3_column_text(st, 0));
        rc = p->columns[p->n] ? SQLITE_OK : SQLITE_NOMEM;
        if (pk == 1) /* of more columns only the index tells */
            p->key[p->n_key++] = p->n;
        p->n++;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? ERR_OK : failure(s, rc);
}

static int find_column(const struct pair *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (sqlite3_stricmp(p->columns[i], name) == 0)
            return i;
    return 0; /* cannot be: a key's columns are stored */
}

/* The next column of the key: PRIMARY KEY(a COLLATE x) may tell values apart that are equal to the
 * column itself. */
static int add_key_column(struct search *s, struct pair *p, int at, const char *name,
                          const char *collation)
{
    const char *own = NULL;
    int rc =
        sqlite3_table_column_metadata(s->db, "main", p->name, name, NULL, &own, NULL, NULL, NULL);
    p->key[at] = find_column(p, name);
    if (rc != SQLITE_OK || sqlite3_stricmp(own, collation) == 0)
        return rc;
    p->collations[at] = strdup(collation);
    return p->collations[at] ? SQLITE_OK : SQLITE_NOMEM;
}

static enum err_code read_key(struct search *s, struct pair *p)
{
    sqlite3_stmt *st = NULL;
    int n = 0;
    int rc = sqlite3_prepare_v2(s->db, SCHEMA_KEY_SQL, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(st, 1, p->name, -1, SQLITE_STATIC);
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && n < DIFFERENCE_COLUMNS) {
        rc = add_key_column(s, p, n, (const char *)sqlite3_column_text(st, 1),
                            (const char *)sqlite3_column_text(st, 2));
        p->n_key = ++n;
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? ERR_OK : failure(s, rc);
}

static enum err_code compare_rows(struct search *s, const struct pair *p, bool in_both)
{
    struct buf sql = BUF_INIT;
    enum err_code code;
    if (!in_both) {
        buf_puts(&sql, "SELECT ");
        put_columns(&sql, p, 'k');
        buf_puts(&sql, " FROM ");
        put_from(&sql, p, 'k');
        code = each_row(s, p, &sql, insert_row);
        buf_free(&sql);
        return code;
    }
    put_lone_rows(&sql, p, 'k');
    code = each_row(s, p, &sql, insert_row);
    if (code == ERR_OK && p->n_key > 0) {
        put_other_rows(&sql, p);
        code = each_row(s, p, &sql, update_row);
    }
    if (code == ERR_OK) {
        put_lone_rows(&sql, p, 'l');
        code = each_row(s, p, &sql, delete_row);
    }
    buf_free(&sql);
    return code;
}

static enum err_code say_left_out(struct search *s, const char *name, const char *why)
{
    s->out->left_out++;
    buf_puts(&s->line, "-- not compared: table ");
    quote_put_name(&s->line, name);
    buf_printf(&s->line, ", %s", why);
    return put_line(s, true);
}

static enum err_code compare_table(struct search *s, const char *name, bool in_both,
                                   const char *why_not)
{
    if (why_not)
        return say_left_out(s, name, why_not);
    struct pair *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(s->e, ERR_NO_MEMORY, "out of memory");
    p->name = name;
    enum err_code code = read_columns(s, p);
    if (code == ERR_OK)
        code = read_key(s, p);
    if (code == ERR_OK && p->n > 0)
        code = compare_rows(s, p, in_both);
    for (int i = 0; i < p->n; i++)
        free(p->columns[i]);
    for (int i = 0; i < p->n_key; i++)
        free(p->collations[i]);
    free(p);
    return code;
}

/* Tables of KEPT in the order in which they were made: those that LIVE lacks are created first. */
static const char tables_sql[] =
    "SELECT k.name, k.sql, l.name IS NOT NULL,"
    " CASE WHEN k.rootpage = 0 THEN 'which is virtual'"
    "  WHEN l.name IS NOT NULL AND"
    "   (SELECT group_concat(name || ' ' || pk || ' ' || hidden) FROM"
    "     (SELECT * FROM pragma_table_xinfo(k.name, 'main') ORDER BY name)) IS NOT"
    "   (SELECT group_concat(name || ' ' || pk || ' ' || hidden) FROM"
    "     (SELECT * FROM pragma_table_xinfo(k.name, 'live') ORDER BY name))"
    "  THEN 'which has other columns in each file' END"
    " FROM main.sqlite_schema k LEFT JOIN live.sqlite_schema l"
    "  ON l.type = 'table' AND l.name = k.name COLLATE NOCASE"
    " WHERE k.type = 'table' AND k.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND k.name NOT LIKE 'ha\\_%' ESCAPE '\\'"
    " AND NOT EXISTS (SELECT 1 FROM pragma_table_list(k.name) t WHERE t.schema = 'main'"
    "  AND t.type = 'shadow') ORDER BY k.rowid";

static const char others_sql[] =
    "SELECT k.sql FROM main.sqlite_schema k WHERE k.type <> 'table' AND k.sql IS NOT NULL"
    " AND k.tbl_name NOT LIKE 'ha\\_%' ESCAPE '\\'"
    " AND NOT EXISTS (SELECT 1 FROM live.sqlite_schema l"
    "  WHERE l.type = k.type AND l.name = k.name COLLATE NOCASE)"
    " AND NOT EXISTS (SELECT 1 FROM pragma_table_list(k.tbl_name) t WHERE t.schema = 'main'"
    "  AND t.type = 'shadow') ORDER BY k.type = 'trigger', k.rowid";

static enum err_code put_object(struct search *s, const char *sql)
{
    s->out->objects++;
    buf_printf(&s->line, "%s;", sql);
    return put_line(s, false);
}

static enum err_code compare_tables(struct search *s)
{
    sqlite3_stmt *st = NULL;
    enum err_code code = ERR_OK;
    int rc = sqlite3_prepare_v2(s->db, tables_sql, -1, &st, NULL);
    while (rc == SQLITE_OK && code == ERR_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        bool in_both = sqlite3_column_int(st, 2) != 0;
        if (!in_both)
            code = put_object(s, (const char *)sqlite3_column_text(st, 1));
        if (code == ERR_OK)
            code = compare_table(s, (const char *)sqlite3_column_text(st, 0), in_both,
                                 (const char *)sqlite3_column_text(st, 3));
        rc = SQLITE_OK;
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = failure(s, rc);
    sqlite3_finalize(st);
    return code;
}

static enum err_code compare_others(struct search *s)
{
    sqlite3_stmt *st = NULL;
    enum err_code code = ERR_OK;
    int rc = sqlite3_prepare_v2(s->db, others_sql, -1, &st, NULL);
    while (rc == SQLITE_OK && code == ERR_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        code = put_object(s, (const char *)sqlite3_column_text(st, 0));
        rc = SQLITE_OK;
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = failure(s, rc);
    sqlite3_finalize(st);
    return code;
}

/* ---- both files ----------------------------------------------------------------------------- */

static int look_around(void *watch)
{
    watch_moved(watch, 0, 0);
    return watch_canceled(watch);
}

static enum err_code open_both(struct search *s, const char *kept, const char *live)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(kept, &s->db, flags, NULL);
    char *attach = NULL;
    if (rc != SQLITE_OK)
        return err_set(s->e, ERR_NO_DATABASE, "%s: %s", kept, sqlite3_errmsg(s->db));
    sqlite3_busy_timeout(s->db, DIFFERENCE_BUSY_MS);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    attach = sqlite3_mprintf("ATTACH %Q AS live; PRAGMA query_only = 1; BEGIN;"
                             "SELECT 1 FROM main.sqlite_schema; SELECT 1 FROM live.sqlite_schema",
                             live);
    rc = attach ? sqlite3_exec(s->db, attach, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(attach);
    return rc == SQLITE_OK ? ERR_OK : failure(s, rc);
}

enum err_code difference_find(const char *kept, const char *live,
                              bool (*write)(void *arg, const char *bytes, size_t len), void *arg,
                              const struct watch *watch, struct difference *out, struct err *e)
{
    struct search s = {.write = write, .arg = arg, .out = out, .e = e, .line = BUF_INIT};
    enum err_code code = conn_library_init(e);
    *out = (struct difference){0};
    if (code == ERR_OK)
        code = open_both(&s, kept, live);
    if (code == ERR_OK) {
        sqlite3_progress_handler(s.db, DIFFERENCE_STEPS, look_around, (void *)watch);
        code = compare_tables(&s);
    }
    if (code == ERR_OK)
        code = compare_others(&s);
    sqlite3_close(s.db);
    buf_free(&s.line);
    return code;
}
