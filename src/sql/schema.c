/*
 * Table descriptions.
 *
 *   schema_new, _free, _stale, _refresh, _generation
 *   schema_table, _next, _has_virtual, _has_sequence
 *   schema_default       values that rows take from ALTER TABLE … ADD COLUMN
 *   schema_note_insert, _inserted, _put_name
 */
#include "sql/schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/json.h"
#include "sql/lex.h"
#include "sql/value.h"

#define SCHEMA_BUCKETS 256

struct schema {
    struct conn *conn;
    sqlite3 *db;
    bool stale;
    uint64_t generation;
    struct table *buckets[SCHEMA_BUCKETS];
    unsigned n_virtual, n_sequence;
    sqlite3_stmt *list, *info, *key, *distinct;
};

static const char list_sql[] =
    "SELECT name, sql, rootpage FROM main.sqlite_schema WHERE type = 'table'";
static const char info_sql[] =
    "SELECT name, type, dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid";
/* A constraint that keeps any two rows of the table apart: NULLs would be equal to none. */
static const char distinct_sql[] =
    "SELECT 1 FROM pragma_index_list(?1, 'main') l WHERE l.origin IN ('pk', 'u') AND NOT EXISTS"
    " (SELECT 1 FROM pragma_index_xinfo(l.name, 'main') x"
    " JOIN pragma_table_xinfo(?1, 'main') c ON c.cid = x.cid WHERE x.key AND NOT c.\"notnull\")";

struct schema *schema_new(struct conn *c)
{
    struct schema *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->conn = c;
    s->db = conn_handle(c);
    s->stale = true;
    return s;
}

static void table_free(struct table *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < t->n_columns; i++) {
        free(t->columns[i].name);
        free(t->columns[i].default_sql);
        free(t->columns[i].key_collation);
        value_drop(&t->columns[i].default_value);
    }
    free(t->columns);
    free(t->sent);
    free(t->pk);
    buf_free(&t->prefix);
    free(t->name);
    free(t->sql);
    free(t);
}

void schema_free(struct schema *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < SCHEMA_BUCKETS; i++) {
        while (s->buckets[i]) {
            struct table *t = s->buckets[i];
            s->buckets[i] = t->next;
            table_free(t);
        }
    }
    sqlite3_finalize(s->list);
    sqlite3_finalize(s->info);
    sqlite3_finalize(s->key);
    sqlite3_finalize(s->distinct);
    free(s);
}

void schema_stale(struct schema *s)
{
    s->stale = true;
}

bool schema_is_stale(const struct schema *s)
{
    return s->stale;
}

uint64_t schema_generation(const struct schema *s)
{
    return s->generation;
}

/* SQLite compares names by folding ASCII letters only. */
static size_t bucket_of(const char *name)
{
    uint32_t h = 2166136261U;

    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c + ('a' - 'A'));
        h = (h ^ c) * 16777619U;
    }
    return h % SCHEMA_BUCKETS;
}

const struct table *schema_table(const struct schema *s, const char *name)
{
    for (const struct table *t = s->buckets[bucket_of(name)]; t; t = t->next)
        if (sqlite3_stricmp(t->name, name) == 0)
            return t;
    return NULL;
}

const struct table *schema_next(const struct schema *s, const struct table *t)
{
    size_t i = 0;

    if (t) {
        if (t->next)
            return t->next;
        i = bucket_of(t->name) + 1;
    }
    for (; i < SCHEMA_BUCKETS; i++)
        if (s->buckets[i])
            return s->buckets[i];
    return NULL;
}

bool schema_has_virtual(const struct schema *s)
{
    return s->n_virtual > 0;
}

bool schema_has_sequence(const struct schema *s)
{
    return s->n_sequence > 0;
}

void schema_note_insert(const struct table *t, uint64_t epoch, int64_t rowid)
{
    struct table *note = (struct table *)(uintptr_t)t; /* made by table_new(): not const */

    if (note->insert_epoch != epoch || rowid > note->insert_max)
        note->insert_max = rowid;
    note->insert_epoch = epoch;
}

bool schema_inserted(const struct table *t, uint64_t epoch, int64_t *rowid)
{
    *rowid = t->insert_max;
    return t->insert_epoch == epoch;
}

/* ---- reading ---- */

static enum err_code prepare(struct schema *s, sqlite3_stmt **st, const char *sql, struct err *e)
{
    int rc;

    if (*st)
        return ERR_OK;
    rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
    return rc == SQLITE_OK ? ERR_OK : conn_error(s->conn, rc, e);
}

static char *column_dup(sqlite3_stmt *st, int i)
{
    const char *text = (const char *)sqlite3_column_text(st, i);

    return strdup(text ? text : "");
}

static bool contains(const char *type, const char *word)
{
    size_t n = strlen(word);

    for (; *type; type++)
        if (sqlite3_strnicmp(type, word, (int)n) == 0)
            return true;
    return false;
}

/* SQLite's rules of column affinity (datatype3.html, section 3.1). */
static const char *affinity_of(const char *type, bool strict)
{
    if (strict && sqlite3_stricmp(type, "ANY") == 0)
        return "BLOB";
    if (contains(type, "INT"))
        return "INTEGER";
    if (contains(type, "CHAR") || contains(type, "CLOB") || contains(type, "TEXT"))
        return "TEXT";
    if (*type == '\0' || contains(type, "BLOB"))
        return "BLOB";
    if (contains(type, "REAL") || contains(type, "FLOA") || contains(type, "DOUB"))
        return "REAL";
    return "NUMERIC";
}

bool schema_is_ours(const char *name)
{
    return name && sqlite3_strnicmp(name, "ha_", 3) == 0 &&
           sqlite3_stricmp(name, SCHEMA_TRACKER) != 0;
}

static enum table_kind kind_of(const char *name, int rootpage)
{
    if (schema_is_ours(name))
        return TABLE_OURS;
    if (rootpage == 0)
        return TABLE_VIRTUAL;
    if (sqlite3_stricmp(name, "sqlite_sequence") == 0)
        return TABLE_SEQUENCE;
    if (sqlite3_strnicmp(name, "sqlite_stat", 11) == 0)
        return TABLE_STAT;
    if (sqlite3_strnicmp(name, "sqlite_", 7) == 0)
        return TABLE_OURS;
    return TABLE_USER;
}

static enum err_code add_column(struct table *t, sqlite3_stmt *st, size_t *cap, struct err *e)
{
    const char *type = (const char *)sqlite3_column_text(st, 1);
    struct column *c = array_room(t->columns, t->n_columns, cap, sizeof *c);

    if (!c)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    t->columns = c;
    c += t->n_columns++;
    *c = (struct column){
        .name = column_dup(st, 0),
        .affinity = affinity_of(type ? type : "", t->strict),
        .default_sql = sqlite3_column_type(st, 2) == SQLITE_NULL ? NULL : column_dup(st, 2),
        .pk = (unsigned)sqlite3_column_int(st, 3),
        .generated = sqlite3_column_int(st, 4) != 0,
    };
    if (!c->name)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    c->real = strcmp(c->affinity, "REAL") == 0;
    return ERR_OK;
}

static enum err_code read_columns(struct schema *s, struct table *t, struct err *e)
{
    enum err_code code = ERR_OK;
    size_t cap = 0;
    int rc;

    sqlite3_bind_text(s->info, 1, t->name, -1, SQLITE_STATIC);
    while ((rc = sqlite3_step(s->info)) == SQLITE_ROW && !code)
        code = add_column(t, s->info, &cap, e);
    if (!code && rc != SQLITE_DONE)
        code = conn_error(s->conn, rc, e);
    sqlite3_reset(s->info);
    if (code)
        return code;
    t->sent = calloc(t->n_columns + 1, sizeof *t->sent);
    t->pk = calloc(t->n_columns + 1, sizeof *t->pk);
    if (!t->sent || !t->pk)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];

        if (!c->generated)
            t->sent[t->n_sent++] = i;
        if (c->pk == 1) /* of more columns only the index tells, see read_key() */
            t->pk[t->n_pk++] = i;
    }
    return ERR_OK;
}

/* WITHOUT ROWID and STRICT stand behind the columns' closing parenthesis; before it they may be the
 * table's name. PRAGMA table_list would tell, too, but compiles all views of the schema each time.
 */
static void read_options(struct table *t)
{
    const char *at = t->sql, *end = t->sql + strlen(t->sql);
    struct lex_token token;
    int depth = 0;
    bool behind = false;

    while (lex_next(&at, end, &token)) {
        bool punct = token.type == LEX_TOKEN_PUNCT;

        if (punct && *token.text == '(')
            depth++;
        else if (punct && *token.text == ')')
            behind = --depth == 0;
        else if (behind && depth == 0 && lex_is(&token, "ROWID"))
            t->without_rowid = true;
        else if (behind && depth == 0 && lex_is(&token, "STRICT"))
            t->strict = true;
    }
}

/* A column may be there twice. If by two collations, none of them alone makes a row's key; equal
 * bytes do at least never mean two rows. */
static enum err_code add_key_column(struct table *t, sqlite3_stmt *st, struct err *e)
{
    int cid = sqlite3_column_int(st, 0);
    const char *collation = (const char *)sqlite3_column_text(st, 2);
    struct column *c = cid >= 0 && (unsigned)cid < t->n_columns ? &t->columns[cid] : NULL;

    if (!c || !collation)
        return err_set(e, ERR_INTERNAL, "the primary key of table %s cannot be read", t->name);
    if (c->key_collation && sqlite3_stricmp(c->key_collation, collation) != 0)
        collation = "BINARY";
    if (!c->key_collation)
        t->pk[t->n_pk++] = (unsigned)cid;
    free(c->key_collation);
    c->key_collation = strdup(collation);
    return c->key_collation ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* An INTEGER PRIMARY KEY that is the rowid needs no index, any other primary key has one. */
static enum err_code read_key(struct schema *s, struct table *t, bool *has_index, struct err *e)
{
    enum err_code code = ERR_OK;
    int rc;

    *has_index = false;
    sqlite3_bind_text(s->key, 1, t->name, -1, SQLITE_STATIC);
    while (!code && (rc = sqlite3_step(s->key)) == SQLITE_ROW) {
        if (!*has_index)
            t->n_pk = 0;
        *has_index = true;
        code = add_key_column(t, s->key, e);
    }
    if (!code && rc != SQLITE_DONE)
        code = conn_error(s->conn, rc, e);
    sqlite3_reset(s->key);
    return code;
}

static void find_rowid_name(struct table *t)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};

    t->rowid_name = NULL;
    if (t->without_rowid)
        return;
    if (t->rowid_alias) {
        t->rowid_name = t->columns[t->pk[0]].name;
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names && !t->rowid_name; i++) {
        bool taken = false;
        for (unsigned k = 0; k < t->n_columns; k++)
            taken = taken || sqlite3_stricmp(t->columns[k].name, names[i]) == 0;
        if (!taken)
            t->rowid_name = names[i];
    }
}

/* Asked of few tables: those whose columns hide the rowid. */
static enum err_code read_alike(struct schema *s, struct table *t, struct err *e)
{
    enum err_code code = prepare(s, &s->distinct, distinct_sql, e);
    int rc;

    if (code)
        return code;
    sqlite3_bind_text(s->distinct, 1, t->name, -1, SQLITE_STATIC);
    rc = sqlite3_step(s->distinct);
    t->alike = rc == SQLITE_DONE;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = conn_error(s->conn, rc, e);
    sqlite3_reset(s->distinct);
    return code;
}

static enum err_code read_rowid(struct schema *s, struct table *t, struct err *e)
{
    bool has_index = false;
    int autoincrement = 0;
    enum err_code code = ERR_OK;

    if (t->n_pk > 0)
        code = read_key(s, t, &has_index, e);
    if (code)
        return code;
    t->rowid_alias = t->n_pk == 1 && !t->without_rowid && !has_index;
    find_rowid_name(t);
    if (!t->rowid_name && !t->without_rowid)
        return read_alike(s, t, e);
    if (t->rowid_alias) {
        int rc = sqlite3_table_column_metadata(s->db, "main", t->name, t->columns[t->pk[0]].name,
                                               NULL, NULL, NULL, NULL, &autoincrement);
        if (rc != SQLITE_OK)
            return conn_error(s->conn, rc, e);
        t->autoincrement = autoincrement != 0;
    }
    return ERR_OK;
}

static void put_names(struct buf *b, const struct table *t, const unsigned *which, unsigned n)
{
    buf_putc(b, '[');
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        json_put_cstr(b, t->columns[which[i]].name);
    }
    buf_putc(b, ']');
}

static enum err_code put_prefix(struct table *t, struct err *e)
{
    struct buf *b = &t->prefix;

    buf_puts(b, "{\"database\":\"main\",\"table\":");
    json_put_cstr(b, t->name);
    buf_puts(b, ",\"columns\":");
    put_names(b, t, t->sent, t->n_sent);
    buf_puts(b, ",\"pk_columns\":");
    put_names(b, t, t->pk, t->n_pk);
    buf_puts(b, ",\"operation\":");
    return buf_ok(b) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

static enum err_code table_read(struct schema *s, struct table *t, struct err *e)
{
    enum err_code code;

    if (t->kind == TABLE_VIRTUAL || t->kind == TABLE_OURS)
        return ERR_OK;
    read_options(t);
    code = read_columns(s, t, e);
    if (!code)
        code = read_rowid(s, t, e);
    if (!code)
        code = put_prefix(t, e);
    return code;
}

static struct table *table_new(const char *name, const char *sql, int rootpage)
{
    struct table *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->name = strdup(name);
    t->sql = strdup(sql);
    if (!t->name || !t->sql) {
        table_free(t);
        return NULL;
    }
    t->kind = kind_of(name, rootpage);
    return t;
}

static enum err_code note_table(struct schema *s, const char *name, const char *sql, int rootpage,
                                struct err *e)
{
    struct table **bucket = &s->buckets[bucket_of(name)];
    struct table *t;
    enum err_code code;

    for (t = *bucket; t; t = t->next) {
        if (strcmp(t->name, name) == 0 && strcmp(t->sql, sql) == 0) {
            t->seen = s->generation;
            return ERR_OK;
        }
    }
    t = table_new(name, sql, rootpage);
    if (!t)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    code = table_read(s, t, e);
    if (code) {
        table_free(t);
        return code;
    }
    t->seen = s->generation;
    t->next = *bucket;
    *bucket = t;
    return ERR_OK;
}

/* Drops what the last reading has not met, and counts the rest. */
static void sweep(struct schema *s)
{
    s->n_virtual = s->n_sequence = 0;
    for (size_t i = 0; i < SCHEMA_BUCKETS; i++) {
        struct table **at = &s->buckets[i];

        while (*at) {
            struct table *t = *at;
            if (t->seen != s->generation) {
                *at = t->next;
                table_free(t);
                continue;
            }
            s->n_virtual += t->kind == TABLE_VIRTUAL;
            s->n_sequence += t->kind == TABLE_SEQUENCE;
            at = &t->next;
        }
    }
}

static enum err_code read_all(struct schema *s, struct err *e)
{
    enum err_code code = prepare(s, &s->list, list_sql, e);
    int rc = SQLITE_DONE;

    if (!code)
        code = prepare(s, &s->info, info_sql, e);
    if (!code)
        code = prepare(s, &s->key, SCHEMA_KEY_SQL, e);
    if (code)
        return code;
    s->generation++;
    while (!code && (rc = sqlite3_step(s->list)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s->list, 0);
        const char *sql = (const char *)sqlite3_column_text(s->list, 1);

        code = note_table(s, name ? name : "", sql ? sql : "", sqlite3_column_int(s->list, 2), e);
    }
    if (!code && rc != SQLITE_DONE)
        code = conn_error(s->conn, rc, e);
    sqlite3_reset(s->list);
    return code;
}

enum err_code schema_refresh(struct schema *s, struct err *e)
{
    enum err_code code;

    if (!s->stale)
        return ERR_OK;
    conn_trust(s->conn, true);
    code = read_all(s, e);
    conn_trust(s->conn, false);
    if (code)
        return code;
    sweep(s);
    s->stale = false;
    return ERR_OK;
}

/* ---- defaults of added columns ---- */

/* Lets SQLite apply the column's affinity to its default: a table with that column alone. */
static bool default_read(struct column *c, const char *format)
{
    char *text = sqlite3_mprintf(format, c->affinity, c->default_sql);
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    bool ok = false;

    if (text && sqlite3_open(":memory:", &db) == SQLITE_OK &&
        sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT c FROM t", -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        ok = value_copy(&c->default_value, sqlite3_column_value(st, 0));
    sqlite3_finalize(st);
    sqlite3_close(db);
    sqlite3_free(text);
    return ok;
}

bool schema_default(const struct table *t, unsigned column, struct value *out)
{
    struct column *c = &t->columns[column];

    *out = value_null();
    if (!c->default_sql)
        return true;
    /* The text stands without the parentheses that an expression needs; a bare word must have none.
     */
    if (!c->default_known)
        c->default_known =
            default_read(c, "CREATE TABLE t(a, c %s DEFAULT (%s)); INSERT INTO t(a) VALUES (1)") ||
            default_read(c, "CREATE TABLE t(a, c %s DEFAULT %s); INSERT INTO t(a) VALUES (1)");
    *out = c->default_value;
    return c->default_known;
}
