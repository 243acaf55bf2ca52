/* Functions that look things up in the catalogs: definitions of indexes, names of OIDs, OIDs of
 * names. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/pg/catalog.h"
#include "sql/pg/function.h"
#include "sql/pg/lex.h"
#include "sql/pg/type.h"

#define OID_USERS 16384 /* what users make has greater ones */

/* The first column of a query on the catalogs with the arguments bound; NULL where there is no
 * row. */
static void answer(sqlite3_context *ctx, const char *sql, int n, sqlite3_value **v)
{
    struct pg_catalog *c = sqlite3_user_data(ctx);
    sqlite3_stmt *s = NULL;
    int rc = pg_catalog_refresh(c);

    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(c->mem, sql, -1, &s, NULL);
    for (int i = 0; rc == SQLITE_OK && i < n && i < sqlite3_bind_parameter_count(s); i++)
        rc = sqlite3_bind_value(s, i + 1, v[i]);
    if (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        sqlite3_result_value(ctx, sqlite3_column_value(s, 0));
    else if (rc != SQLITE_OK)
        sqlite3_result_error_code(ctx, rc);
    sqlite3_finalize(s);
}

static void indexdef(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    if (n > 1 && sqlite3_value_int(v[1]) > 0)
        answer(ctx, "SELECT def FROM idxcol WHERE idxid = ?1 AND num = ?2", n, v);
    else
        answer(ctx, "SELECT def FROM idx WHERE oid = ?1", 1, v);
}

static void constraintdef(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    answer(ctx, "SELECT def FROM con WHERE oid = ?1", 1, v);
}

static void viewdef(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    answer(ctx, "SELECT ' ' || sql || ';' FROM rel WHERE kind = 'v' AND (oid = ?1 OR name = ?1)", 1,
           v);
}

static void triggerdef(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    answer(ctx, "SELECT def FROM trg WHERE oid = ?1", 1, v);
}

static void format_type(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    if (sqlite3_value_int64(v[0]) < OID_USERS)
        pg_format_type(ctx, n, v);
    else
        answer(ctx,
               "SELECT coalesce((SELECT quote_ident(name) FROM type WHERE oid = ?1), "
               "'\?\?\?')",
               1, v);
}

/* ---- names and OIDs ---- */

/* The last part of a name that may have a schema and quotes, folded as PostgreSQL folds it. */
static void last_name(const char *s, size_t n, struct buf *b)
{
    struct pg_lexer x;
    struct pg_token t;

    pg_lex_init(&x, s, n);
    while (pg_lex_next(&x, &t)) {
        if (t.type != PG_TOKEN_WORD && t.type != PG_TOKEN_QUOTED)
            continue;
        buf_reset(b);
        char *out = buf_reserve(b, t.len);
        if (out)
            b->len += pg_lex_value(&t, out);
    }
}

/* A number as it is, a name as its OID; *missing: what is said where there is none (NULL: NULL). */
static void to_oid(sqlite3_context *ctx, sqlite3_value *v, const char *sql, const char *missing)
{
    struct pg_catalog *c = sqlite3_user_data(ctx);
    struct buf b = BUF_INIT;
    sqlite3_stmt *s = NULL;
    size_t n;
    const char *text;

    if (sqlite3_value_type(v) == SQLITE_NULL)
        return;
    if (sqlite3_value_numeric_type(v) == SQLITE_INTEGER) {
        sqlite3_result_int64(ctx, sqlite3_value_int64(v));
        return;
    }
    text = pg_arg(v, &n);
    last_name(text ? text : "", n, &b);
    if (pg_catalog_refresh(c) == SQLITE_OK &&
        sqlite3_prepare_v2(c->mem, sql, -1, &s, NULL) == SQLITE_OK &&
        sqlite3_bind_text(s, 1, buf_cstr(&b), -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        sqlite3_result_value(ctx, sqlite3_column_value(s, 0));
    else if (missing)
        pg_result_error(ctx, "%s \"%.80s\" does not exist", missing, text ? text : "");
    sqlite3_finalize(s);
    buf_free(&b);
}

#define REL_OID "SELECT oid FROM rel WHERE name = ?1 COLLATE NOCASE ORDER BY kind = 'i'"

static void regclass_oid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = sqlite3_value_type(v[0]) == SQLITE_TEXT ? pg_arg(v[0], &len) : NULL;
    (void)n;
    if (s && strncasecmp(s, "pg_catalog.", 11) == 0)
        s += 11;
    int own = s ? pg_catalog_class_oid(s) : 0; /* clients compare with the catalogs' own */
    if (own)
        sqlite3_result_int(ctx, own);
    else
        to_oid(ctx, v[0], REL_OID, "relation");
}

static void to_regclass(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    to_oid(ctx, v[0], REL_OID, NULL);
}

static void regclass_name(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    if (sqlite3_value_type(v[0]) == SQLITE_TEXT)
        sqlite3_result_value(ctx, v[0]);
    else
        answer(ctx, "SELECT coalesce((SELECT name FROM rel WHERE oid = ?1), CAST(?1 AS TEXT))", 1,
               v);
}

/* format_type()'s names and pg_type's own. */
static void regtype_oid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = sqlite3_value_numeric_type(v[0]) == SQLITE_TEXT ? pg_arg(v[0], &len) : NULL;
    const struct pg_type *t;

    (void)n;
    if (s && strncasecmp(s, "pg_catalog.", 11) == 0)
        s += 11;
    if (s && (t = pg_type_by_name(s, strlen(s))) != NULL) {
        sqlite3_result_int64(ctx, t->oid);
        return;
    }
    for (size_t i = 0; s && (t = pg_type_nth(i)) != NULL; i++) {
        if (strcasecmp(t->sql_name, s) == 0) {
            sqlite3_result_int64(ctx, t->oid);
            return;
        }
    }
    to_oid(ctx, v[0], "SELECT oid FROM type WHERE name = ?1", "type");
}

static void to_regtype(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    to_oid(ctx, v[0], "SELECT oid FROM type WHERE name = ?1", NULL);
}

/* '"pg_catalog"."int4"'::regtype as it is shown: integer */
static void regtype_text(sqlite3_context *ctx, sqlite3_value *v)
{
    struct buf b = BUF_INIT;
    size_t n;
    const char *s = pg_arg(v, &n);
    const struct pg_type *t;

    last_name(s ? s : "", n, &b);
    t = b.len ? pg_type_by_name(b.data, b.len) : NULL;
    if (t)
        sqlite3_result_text(ctx, t->sql_name, -1, SQLITE_STATIC);
    else
        sqlite3_result_value(ctx, v);
    buf_free(&b);
}

static void regtype_name(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    if (sqlite3_value_numeric_type(v[0]) == SQLITE_TEXT)
        regtype_text(ctx, v[0]);
    else if (sqlite3_value_type(v[0]) != SQLITE_NULL)
        format_type(ctx, n, v);
}

/*
 * setval() of a serial column's sequence. There is none: the next key follows the greatest one of
 * the table. So that is all it can be set to; anything else would be forgotten.
 */
static void setval(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct pg_catalog *c = sqlite3_user_data(ctx);
    int64_t last = sqlite3_value_int64(v[1]) - (n > 2 && !sqlite3_value_int(v[2])), max = 0;
    struct buf b = BUF_INIT;
    sqlite3_stmt *s = NULL;
    char *sql = NULL;
    size_t len;
    const char *name = pg_arg(v[0], &len);

    if (sqlite3_value_type(v[0]) == SQLITE_NULL || sqlite3_value_type(v[1]) == SQLITE_NULL)
        return;
    last_name(name ? name : "", len, &b);
    if (pg_catalog_refresh(c) == SQLITE_OK &&
        sqlite3_prepare_v2(c->mem,
                           "SELECT r.name, c.name FROM rel r JOIN col c ON c.relid = r.oid WHERE "
                           "c.dflt LIKE 'nextval(%' AND r.name || '_' || c.name || '_seq' = ?1",
                           -1, &s, NULL) == SQLITE_OK &&
        sqlite3_bind_text(s, 1, buf_cstr(&b), -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        sql = sqlite3_mprintf("SELECT max(\"%w\") FROM main.\"%w\"", sqlite3_column_text(s, 1),
                              sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    s = NULL;
    if (sql && sqlite3_prepare_v2(c->main, sql, -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        max = sqlite3_column_int64(s, 0);
    if (!sql)
        pg_result_error(ctx, "relation \"%.80s\" does not exist", name ? name : "");
    else if (last > max && !(max == 0 && last == 1))
        pg_result_error(ctx,
                        "sequence \"%.80s\" follows the greatest key of its table, %lld: it "
                        "cannot be set beyond it",
                        buf_cstr(&b), (long long)max);
    else
        sqlite3_result_value(ctx, v[1]);
    sqlite3_finalize(s);
    sqlite3_free(sql);
    buf_free(&b);
}

static void regproc_oid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    to_oid(ctx, v[0], "SELECT oid FROM proc WHERE name = ?1", NULL);
}

static void regproc_name(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    answer(ctx, "SELECT coalesce((SELECT name FROM proc WHERE oid = ?1), '-')", 1, v);
}

static void regnamespace_oid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    to_oid(ctx, v[0], "SELECT oid FROM pg_namespace WHERE nspname = ?1", "schema");
}

static void regnamespace_name(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    answer(ctx, "SELECT coalesce((SELECT nspname FROM pg_namespace WHERE oid = ?1), ?1)", 1, v);
}

static void regrole_oid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    to_oid(ctx, v[0], "SELECT oid FROM pg_roles WHERE rolname = ?1", "role");
}

static void regrole_name(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    answer(ctx, "SELECT coalesce((SELECT rolname FROM pg_roles WHERE oid = ?1), ?1)", 1, v);
}

static void serial_sequence(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct buf b = BUF_INIT;
    size_t len;
    const char *s = pg_arg(v[0], &len), *column = (const char *)sqlite3_value_text(v[1]);
    char *name;

    (void)n;
    if (!s || !column)
        return;
    last_name(s, len, &b);
    name = sqlite3_mprintf("public.%s_%s_seq", buf_cstr(&b), column);
    buf_free(&b);
    if (name)
        sqlite3_result_text(ctx, name, -1, sqlite3_free);
}

int pg_catalog_functions(struct pg_catalog *c)
{
    static const struct pg_function functions[] = {
        {"pg_get_indexdef", 1, indexdef, NULL, 0},
        {"pg_get_indexdef", 3, indexdef, NULL, 0},
        {"pg_get_constraintdef", 1, constraintdef, NULL, 0},
        {"pg_get_constraintdef", 2, constraintdef, NULL, 0},
        {"pg_get_viewdef", 1, viewdef, NULL, 0},
        {"pg_get_viewdef", 2, viewdef, NULL, 0},
        {"pg_get_triggerdef", 1, triggerdef, NULL, 0},
        {"pg_get_triggerdef", 2, triggerdef, NULL, 0},
        {"pg_get_serial_sequence", 2, serial_sequence, NULL, 0},
        {"format_type", 2, format_type, NULL, 0},
        {"setval", 2, setval, NULL, 0},
        {"setval", 3, setval, NULL, 0},
        {"to_regclass", 1, to_regclass, NULL, 0},
        {"to_regtype", 1, to_regtype, NULL, 0},
        {"pg_regclass_oid", 1, regclass_oid, NULL, 0},
        {"pg_regclass_name", 1, regclass_name, NULL, 0},
        {"pg_regtype_oid", 1, regtype_oid, NULL, 0},
        {"pg_regtype_name", 1, regtype_name, NULL, 0},
        {"pg_regproc_oid", 1, regproc_oid, NULL, 0},
        {"pg_regproc_name", 1, regproc_name, NULL, 0},
        {"pg_regnamespace_oid", 1, regnamespace_oid, NULL, 0},
        {"pg_regnamespace_name", 1, regnamespace_name, NULL, 0},
        {"pg_regrole_oid", 1, regrole_oid, NULL, 0},
        {"pg_regrole_name", 1, regrole_name, NULL, 0},
    };

    return pg_functions_register(c->main, functions, sizeof functions / sizeof functions[0], c,
                                 SQLITE_DIRECTONLY);
}
