/*
 * Preparing through the cache, class, parameters, stepping, columns.
 *
 *   text → [lex] first statement, trimmed → [cache] hit → struct stmt
 *                                              miss → sqlite3_prepare_v3 under policy → class →
 * checks
 *
 * The cache keeps READ and WRITE statements, which nothing that happens to the schema can turn into
 * something of another class; SQLite compiles them again by itself when the schema has changed, and
 * the policy is in force then too (policy.h).
 */
#include "sql/stmt.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "sql/alter.h"
#include "sql/ddl_text.h"
#include "sql/lex.h"
#include "sql/policy.h"
#include "sql/table_text.h"
#include "sql/value.h"

#define STMT_CACHE_STATEMENTS 128                       /* kept per connection … */
#define STMT_CACHE_BYTES      ((size_t)2 * 1024 * 1024) /* … and their memory, texts included */
#define STMT_CACHE_TEXT_BYTES ((size_t)32 * 1024)       /* a longer text is not kept */
#define STMT_CACHE_BUCKETS    256                       /* a power of two */

struct stmt {
    struct conn *conn; /* borrowed */
    sqlite3_stmt *raw; /* owned */
    enum stmt_class class;
    bool explain;
    bool alter;   /* of alter.h: raw is NULL */
    bool trusted; /* prepared as our own */
    bool in_use;
    char *int4;          /* of each column: is it shorter than its declaration? NULL = not asked */
    int int4_asked;      /* how often SQLite had compiled it anew then */
    struct ddl_text ddl; /* zeroed unless DDL or TEMP */
    size_t start;        /* where the statement began in the text of the last stmt_prepare() */

    bool cached;
    uint64_t hash;
    size_t cost; /* bytes, while cached */
    struct stmt *chain;
    struct stmt *newer, *older;

    size_t len;  /* bytes of text */
    char text[]; /* terminated */
};

struct stmt_cache {
    struct stmt *buckets[STMT_CACHE_BUCKETS];
    struct stmt *newest, *oldest;
    size_t count, bytes;
    sqlite3_stmt *look; /* stmt_refresh()'s own */
    int compiled;       /* how often SQLite had compiled that */
};

/* ---- cache ---- */

struct stmt_cache *stmt_cache_new(void)
{
    return calloc(1, sizeof(struct stmt_cache));
}

static void destroy(struct stmt *s)
{
    sqlite3_finalize(s->raw);
    ddl_text_free(&s->ddl);
    free(s->int4);
    free(s);
}

static void list_unlink(struct stmt_cache *k, struct stmt *s)
{
    *(s->newer ? &s->newer->older : &k->newest) = s->older;
    *(s->older ? &s->older->newer : &k->oldest) = s->newer;
    s->newer = s->older = NULL;
}

static void list_push(struct stmt_cache *k, struct stmt *s)
{
    s->older = k->newest;
    s->newer = NULL;
    *(k->newest ? &k->newest->newer : &k->oldest) = s;
    k->newest = s;
}

static void cache_remove(struct stmt_cache *k, struct stmt *s)
{
    struct stmt **at = &k->buckets[s->hash % STMT_CACHE_BUCKETS];

    while (*at != s)
        at = &(*at)->chain;
    *at = s->chain;
    list_unlink(k, s);
    k->count--;
    k->bytes -= s->cost;
    s->cached = false;
}

/* Makes room: the statement that was used longest ago goes, unless somebody is using it. */
static void cache_trim(struct stmt_cache *k)
{
    struct stmt *s = k->oldest;

    while (s && (k->count > STMT_CACHE_STATEMENTS || k->bytes > STMT_CACHE_BYTES)) {
        struct stmt *next = s->newer;
        if (!s->in_use) {
            cache_remove(k, s);
            destroy(s);
        }
        s = next;
    }
}

static void cache_add(struct stmt_cache *k, struct stmt *s)
{
    struct stmt **bucket = &k->buckets[s->hash % STMT_CACHE_BUCKETS];

    s->cost =
        sizeof *s + s->len + (size_t)sqlite3_stmt_status(s->raw, SQLITE_STMTSTATUS_MEMUSED, 0);
    s->chain = *bucket;
    *bucket = s;
    list_push(k, s);
    k->count++;
    k->bytes += s->cost;
    s->cached = true;
    cache_trim(k);
}

/* A kept statement of this text that nobody uses; *known is set if there is one at all. */
static struct stmt *cache_find(struct stmt_cache *k, const char *text, size_t len, uint64_t hash,
                               bool trusted, bool *known)
{
    *known = false;
    for (struct stmt *s = k->buckets[hash % STMT_CACHE_BUCKETS]; s; s = s->chain) {
        if (s->hash != hash || s->len != len || s->trusted != trusted ||
            memcmp(s->text, text, len) != 0)
            continue;
        *known = true;
        return s->in_use ? NULL : s;
    }
    return NULL;
}

void stmt_cache_free(struct stmt_cache *k)
{
    if (!k)
        return;
    sqlite3_finalize(k->look);
    while (k->oldest) {
        struct stmt *s = k->oldest;
        cache_remove(k, s);
        destroy(s);
    }
    free(k);
}

/* Eight bytes at a time; the cache is per connection and bounded, so collisions only cost time. */
static uint64_t hash_text(const char *s, size_t len)
{
    uint64_t h = len * UINT64_C(0x9E3779B97F4A7C15);

    while (len > 0) {
        uint64_t w = 0;
        size_t n = len < sizeof w ? len : sizeof w;
        memcpy(&w, s, n);
        h = (h ^ w) * UINT64_C(0xD6E8FEB86659FD93);
        h ^= h >> 32;
        s += n;
        len -= n;
    }
    return h;
}

/* ---- preparing ---- */

static struct stmt *new_stmt(struct conn *c, const char *text, size_t len)
{
    struct stmt *s = malloc(sizeof *s + len + 1);

    if (!s)
        return NULL;
    memset(s, 0, sizeof *s);
    s->conn = c;
    s->trusted = policy_trusted(conn_policy(c));
    s->in_use = true;
    s->len = len;
    memcpy(s->text, text, len);
    s->text[len] = '\0';
    return s;
}

static enum stmt_class class_of_pragma(enum policy_pragma p)
{
    switch (p) {
    case POLICY_PRAGMA_DDL:
        return STMT_DDL;
    case POLICY_PRAGMA_LOCAL:
        return STMT_TEMP;
    default:
        return STMT_READ;
    }
}

/* Objects that a schema statement did not find, or found already there, are not reported: then the
 * text decides. */
static enum stmt_class class_of(struct stmt *s, enum lex_kind kind, const struct policy_seen *seen)
{
    bool only_temp = seen->temp && !seen->main;

    if (s->explain)
        return STMT_READ;
    switch (kind) {
    case LEX_PRAGMA:
        return class_of_pragma(seen->pragma);
    case LEX_VACUUM:
        return STMT_VACUUM;
    case LEX_DDL:
        return only_temp || (!seen->main && s->ddl.temp) ? STMT_TEMP : STMT_DDL;
    default:
        if (only_temp)
            return STMT_TEMP;
        return !seen->main && sqlite3_stmt_readonly(s->raw) ? STMT_READ : STMT_WRITE;
    }
}

/* Class, and the refusals that need the text. */
static enum err_code inspect(struct stmt *s, enum lex_kind kind, const struct policy_seen *seen,
                             struct err *e)
{
    struct policy *p = conn_policy(s->conn);
    enum err_code code = ERR_OK;

    s->explain = sqlite3_stmt_isexplain(s->raw) != 0;
    if ((kind == LEX_DDL || kind == LEX_PRAGMA || seen->temp) && !s->explain &&
        !ddl_text_read(&s->ddl, s->text, s->len))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (kind == LEX_DDL && !s->explain)
        code = policy_check_ddl(p, conn_handle(s->conn), &s->ddl.ddl, e);
    else if (kind == LEX_VACUUM)
        code = policy_check_vacuum(p, s->text, s->len, e);
    s->class = class_of(s, kind, seen);
    return code;
}

/* Prepares s->text, of which only *used bytes may turn out to be the statement. */
static enum err_code compile(struct stmt *s, size_t *used, struct policy_seen *seen, struct err *e)
{
    struct conn *c = s->conn;
    const char *tail = NULL;
    int rc;

    policy_watch(conn_policy(c), seen);
    rc = sqlite3_prepare_v3(conn_handle(c), s->text, (int)s->len + 1, SQLITE_PREPARE_PERSISTENT,
                            &s->raw, &tail);
    policy_watch(conn_policy(c), NULL);
    if (rc != SQLITE_OK) {
        conn_error(c, rc, e);
        if (e->offset >= 0)
            e->offset += (int)s->start;
        return e->code;
    }
    *used = (size_t)(tail - s->text);
    return ERR_OK;
}

static enum err_code prepare_alter(struct stmt *s, struct err *e)
{
    s->alter = true;
    s->class = STMT_DDL;
    if (!ddl_text_read(&s->ddl, s->text, s->len))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    return alter_check(s->text, s->len, s->trusted, e);
}

/* The first statement's text without blanks and comments before it, and without its semicolon. */
struct span {
    const char *text;
    size_t len;
    const char *tail;
    enum lex_kind kind; /* LEX_EMPTY: there is none */
};

/* `start`: where it begins in the text that the caller was given. */
static enum err_code prepare_new(struct conn *c, const struct span *x, size_t start, size_t *used,
                                 struct stmt **out, struct err *e)
{
    const char *nul = memchr(x->text, '\0', x->len);
    struct policy_seen seen;
    struct stmt *s;
    enum err_code code;

    if (nul) {
        err_set(e, ERR_SYNTAX, "a NUL byte in the SQL text");
        e->offset = (int)(start + (size_t)(nul - x->text));
        return e->code;
    }
    s = new_stmt(c, x->text, x->len);
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->start = start;
    if (x->kind == LEX_DDL && alter_is(x->text, x->len)) {
        code = prepare_alter(s, e);
        if (code != ERR_OK)
            destroy(s);
        else
            *out = s;
        return code;
    }
    code = compile(s, used, &seen, e);
    if (code == ERR_OK && s->raw) {
        if (*used < s->len) {
            s->len = *used;
            s->text[*used] = '\0';
        }
        code = inspect(s, x->kind, &seen, e);
    }
    if (code != ERR_OK || !s->raw) {
        destroy(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

static bool is_kept(const struct stmt *s, enum lex_kind kind)
{
    return (s->class == STMT_READ || s->class == STMT_WRITE) && kind != LEX_PRAGMA &&
           s->len <= STMT_CACHE_TEXT_BYTES;
}

static struct span first_statement(const char *sql, size_t len)
{
    const char *at = sql, *end = sql + len, *p;
    struct span x = {sql, 0, end, LEX_EMPTY};
    struct lex_token t;
    struct lex l;

    do {
        if (at >= end)
            return x;
        l = lex_statement(at, (size_t)(end - at));
        p = at;
        if (l.kind == LEX_EMPTY)
            at += l.len;
    } while (l.kind == LEX_EMPTY);
    lex_next(&p, end, &t);
    x.kind = l.kind;
    x.text = t.text;
    x.len = lex_length(t.text, (size_t)(end - t.text));
    x.tail = x.text + x.len;
    while (x.len > 0 && memchr("; \t\n\f\r", x.text[x.len - 1], 6))
        x.len--;
    return x;
}

/* Looks in the cache; what is found there is the caller's now. */
static struct stmt *take_cached(struct conn *c, const char *text, size_t len, uint64_t hash,
                                size_t start, bool *known)
{
    struct stmt_cache *k = conn_statements(c);
    struct stmt *s = cache_find(k, text, len, hash, policy_trusted(conn_policy(c)), known);

    if (!s)
        return NULL;
    list_unlink(k, s);
    list_push(k, s);
    s->in_use = true;
    s->start = start;
    return s;
}

enum err_code stmt_prepare(struct conn *c, const char *sql, size_t len, const char **tail,
                           struct stmt **out, struct err *e)
{
    struct span x;
    size_t used;
    bool known;
    uint64_t hash;
    enum err_code code;

    /* Mostly all of the text is one statement that has been here before. What is kept was the first
     * statement of its text to the last byte, and still is if the same text comes alone. */
    *tail = sql + len;
    *out = len <= STMT_CACHE_TEXT_BYTES ? take_cached(c, sql, len, hash_text(sql, len), 0, &known)
                                        : NULL;
    if (*out)
        return ERR_OK;
    x = first_statement(sql, len);
    used = x.len;
    *tail = x.tail;
    if (x.kind == LEX_EMPTY)
        return ERR_OK;
    if (x.len >= INT_MAX || (size_t)(x.text - sql) >= INT_MAX - x.len)
        return err_set(e, ERR_TOO_BIG, "the SQL text is too long");
    hash = hash_text(x.text, x.len);
    *out = take_cached(c, x.text, x.len, hash, (size_t)(x.text - sql), &known);
    if (*out)
        return ERR_OK;
    code = prepare_new(c, &x, (size_t)(x.text - sql), &used, out, e);
    if (code != ERR_OK)
        return code;
    if (used < x.len)
        *tail = x.text + used;
    if (*out && !known && used >= x.len && is_kept(*out, x.kind)) {
        (*out)->hash = hash;
        cache_add(conn_statements(c), *out);
    }
    return ERR_OK;
}

enum err_code stmt_refresh(struct conn *c, struct err *e)
{
    struct stmt_cache *k = conn_statements(c);
    int rc = SQLITE_OK, compiled;

    conn_trust(c, true);
    if (!k->look)
        rc = sqlite3_prepare_v3(conn_handle(c), "SELECT 1 FROM main.sqlite_schema LIMIT 0", -1,
                                SQLITE_PREPARE_PERSISTENT, &k->look, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(k->look)) == SQLITE_DONE)
        rc = SQLITE_OK;
    sqlite3_reset(k->look);
    conn_trust(c, false);
    if (rc != SQLITE_OK)
        return conn_error(c, rc, e);
    compiled = sqlite3_stmt_status(k->look, SQLITE_STMTSTATUS_REPREPARE, 0);
    for (struct stmt *s = k->oldest, *next; s && compiled != k->compiled; s = next) {
        next = s->newer;
        if (!s->in_use) {
            cache_remove(k, s);
            destroy(s);
        }
    }
    k->compiled = compiled;
    return ERR_OK;
}

void stmt_release(struct stmt *s)
{
    if (!s)
        return;
    if (!s->cached) {
        destroy(s);
        return;
    }
    sqlite3_reset(s->raw);
    sqlite3_clear_bindings(s->raw);
    s->in_use = false;
    cache_trim(conn_statements(s->conn));
}

/* ---- what it is ---- */

enum stmt_class stmt_class(const struct stmt *s)
{
    return s->class;
}

bool stmt_is_alter(const struct stmt *s)
{
    return s->alter;
}

const struct stmt_ddl *stmt_ddl(const struct stmt *s)
{
    return s->class == STMT_DDL || s->class == STMT_TEMP ? &s->ddl.ddl : NULL;
}

const char *stmt_sql(const struct stmt *s)
{
    return s->text;
}

/* ---- parameters ---- */

unsigned stmt_param_count(const struct stmt *s)
{
    return (unsigned)sqlite3_bind_parameter_count(s->raw);
}

const char *stmt_param_name(const struct stmt *s, unsigned i)
{
    return sqlite3_bind_parameter_name(s->raw, (int)i);
}

unsigned stmt_param_index(const struct stmt *s, const char *name, size_t len)
{
    unsigned n = stmt_param_count(s);
    bool prefixed = len > 0 && memchr(":@$?", name[0], 4);

    for (unsigned i = 1; i <= n; i++) {
        const char *have = stmt_param_name(s, i);
        if (have && !prefixed)
            have++;
        if (have && strlen(have) == len && memcmp(have, name, len) == 0)
            return i;
    }
    return 0;
}

enum err_code stmt_bind(struct stmt *s, unsigned i, const struct value *v, struct err *e)
{
    const char *data = v->u.s.data;
    int rc = SQLITE_MISUSE;

    if (i == 0 || i > stmt_param_count(s))
        return err_set(e, ERR_PARAM, "there is no parameter %u: the statement has %u", i,
                       stmt_param_count(s));
    switch (v->type) {
    case VALUE_NULL:
        rc = sqlite3_bind_null(s->raw, (int)i);
        break;
    case VALUE_INTEGER:
        rc = sqlite3_bind_int64(s->raw, (int)i, v->u.i);
        break;
    case VALUE_REAL:
        rc = sqlite3_bind_double(s->raw, (int)i, v->u.r);
        break;
    case VALUE_TEXT: /* an empty text must not be a NULL pointer, which means NULL */
        rc = sqlite3_bind_text64(s->raw, (int)i, v->u.s.len ? data : "", v->u.s.len,
                                 SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    case VALUE_BLOB:
        rc = sqlite3_bind_blob64(s->raw, (int)i, v->u.s.len ? data : "", v->u.s.len,
                                 SQLITE_TRANSIENT);
        break;
    }
    return rc == SQLITE_OK ? ERR_OK : conn_error(s->conn, rc, e);
}

/* ---- running ---- */

enum err_code stmt_step(struct stmt *s, bool *row, struct err *e)
{
    struct policy *p = conn_policy(s->conn);

    if (s->alter) {
        *row = false;
        return alter_run(s->conn, s->text, s->len, e);
    }
    /* VACUUM attaches a database of its own. */
    struct policy_state before =
        policy_enter(p, s->trusted || s->class == STMT_VACUUM,
                     !s->explain && (s->class == STMT_READ || s->class == STMT_WRITE));
    int rc = sqlite3_step(s->raw);

    policy_leave(p, before);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW)
        return ERR_OK;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(s->raw);
        return ERR_OK;
    }
    conn_error(s->conn, rc, e);
    if (e->offset >= 0)
        e->offset += (int)s->start;
    sqlite3_reset(s->raw);
    return e->code;
}

void stmt_reset(struct stmt *s)
{
    sqlite3_reset(s->raw);
}

/* ---- columns ---- */

unsigned stmt_column_count(const struct stmt *s)
{
    if (s->ddl.ddl.kind ==
        DDL_ALTER) /* SET NOT NULL is prepared as a query of SQLite's own (3.53) */
        return 0;
    return (unsigned)sqlite3_column_count(s->raw);
}

const char *stmt_column_name(const struct stmt *s, unsigned i)
{
    const char *name = sqlite3_column_name(s->raw, (int)i);

    return name ? name : ""; /* NULL only where memory ran out */
}

/* Is column i a rowid of PostgreSQL's type integer? */
static bool is_int4(struct stmt *s, int i)
{
    const char *table = sqlite3_column_table_name(s->raw, i), *sql;
    const char *column = sqlite3_column_origin_name(s->raw, i);
    sqlite3 *db = conn_handle(s->conn);
    sqlite3_stmt *look = NULL;
    struct arena *a = arena_new();
    struct table_text t;
    bool is = false;

    conn_trust(s->conn, true);
    if (a && table && column &&
        sqlite3_prepare_v2(db,
                           "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?1 "
                           "AND sql LIKE '% INTEGER CONSTRAINT int4 NOT NULL%'",
                           -1, &look, NULL) == SQLITE_OK &&
        sqlite3_bind_text(look, 1, table, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(look) == SQLITE_ROW) {
        sql = (const char *)sqlite3_column_text(look, 0);
        is = sql && table_text_read(&t, a, sql, strlen(sql)) &&
             table_text_is_int4(&t, table_text_column(&t, column));
    }
    sqlite3_finalize(look);
    conn_trust(s->conn, false);
    arena_free(a);
    return is;
}

/* Looked up when the columns are first described, and after the schema has changed. */
const char *stmt_column_decltype(struct stmt *s, unsigned i)
{
    const char *type = sqlite3_column_decltype(s->raw, (int)i);
    unsigned n = stmt_column_count(s);
    int compiled = sqlite3_stmt_status(s->raw, SQLITE_STMTSTATUS_REPREPARE, 0);

    if (!type || strcmp(type, "INTEGER") != 0)
        return type;
    if (!s->int4 || s->int4_asked != compiled) {
        free(s->int4);
        s->int4_asked = compiled;
        s->int4 = calloc(n > 0 ? n : 1, 1);
        for (unsigned k = 0; s->int4 && k < n; k++) {
            const char *other = sqlite3_column_decltype(s->raw, (int)k);
            s->int4[k] = other && strcmp(other, "INTEGER") == 0 && is_int4(s, (int)k);
        }
    }
    return s->int4 && s->int4[i] ? "INT4" : type;
}

const char *stmt_column_collation(const struct stmt *s, unsigned i)
{
    const char *schema = sqlite3_column_database_name(s->raw, (int)i);
    const char *table = sqlite3_column_table_name(s->raw, (int)i);
    const char *column = sqlite3_column_origin_name(s->raw, (int)i);
    const char *collation = NULL;

    if (!schema || !table || !column ||
        sqlite3_table_column_metadata(conn_handle(s->conn), schema, table, column, NULL, &collation,
                                      NULL, NULL, NULL) != SQLITE_OK ||
        !collation)
        return "BINARY";
    return collation;
}

struct value stmt_column(const struct stmt *s, unsigned i)
{
    return value_view(sqlite3_column_value(s->raw, (int)i));
}
