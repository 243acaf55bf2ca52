/* What the catalog's queries (catalog.c, show.c) ask about types, defaults and constraints. */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "proto/mysqltype.h"
#include "sql/lex.h"
#include "sql/mysql/function.h"
#include "sql/pg/function.h"
#include "sql/quote.h"
#include "sql/table_text.h"

#define D SQLITE_DETERMINISTIC

/* "('a', 'b')" of the check that an ENUM is known by (column.c); false: it is none. */
static bool find_enum(struct buf *b, const char *sql, size_t len, const char *column)
{
    static const char suffix[] = "_enum";
    size_t n = strlen(column);
    struct arena *a = arena_new();
    struct table_text t;
    bool found = false;

    if (a && memmem(sql, len, suffix, sizeof suffix - 1) && table_text_read(&t, a, sql, len))
        for (size_t i = 0; i < t.n_constraints && !found; i++) {
            const struct text_constraint *c = &t.constraints[i];
            const char *in;
            if (c->kind != TEXT_CHECK || !c->name || strncasecmp(c->name, column, n) != 0 ||
                strcmp(c->name + n, suffix) != 0)
                continue;
            const char *from = sql + c->list.from, *to = sql + c->list.to;
            in = memmem(from, (size_t)(to - from), " IN", 3);
            while (in && in < to && *in != '(')
                in++;
            if (!in || to - in < 2)
                continue;
            found = true;
            buf_puts(b, "enum(");
            for (const char *p = in + 1; p < to - 2;
                 p++) /* the list, without blanks behind commas */
                if (!(*p == ' ' && p[-1] == ','))
                    buf_putc(b, *p);
            buf_putc(b, ')');
        }
    arena_free(a);
    return found;
}

/* A declared type as MySQL names it; the table's text and the column's name tell an ENUM. */
static void column_type(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, sql_len;
    const char *s = pg_arg(v[0], &len), *sql = pg_arg(v[1], &sql_len);
    const char *column = (const char *)sqlite3_value_text(v[2]);
    struct buf b = BUF_INIT;

    (void)n;
    if (!sql || !column || !s || !lex_word_is(s, len, "TEXT") ||
        !find_enum(&b, sql, sql_len, column))
        mysqltype_name(&b, s, len);
    pg_result_buf(ctx, &b);
}

/* "(6)" of DATETIME(6); nothing where there are no digits behind the second. */
static void fraction(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *s = (const char *)sqlite3_value_text(v[0]);
    const char *open = s ? strchr(s, '(') : NULL;

    (void)n;
    sqlite3_result_text(ctx, open && open[1] != '0' ? open : "", -1, SQLITE_TRANSIENT);
}

/* "decimal(10,2) unsigned" → "decimal" */
static void data_type(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *s = (const char *)sqlite3_value_text(v[0]);

    (void)n;
    if (s)
        sqlite3_result_text(ctx, s, (int)strcspn(s, "( "), SQLITE_TRANSIENT);
}

static bool begins(const char *s, const char *word)
{
    size_t n = strlen(word);

    return strncmp(s, word, n) == 0 && (s[n] == '\0' || s[n] == '(' || s[n] == ' ');
}

static int64_t text_length(const char *s)
{
    const char *open = strchr(s, '(');

    if (begins(s, "tinytext") || begins(s, "tinyblob"))
        return 255;
    if (begins(s, "text") || begins(s, "blob"))
        return 65535;
    if (begins(s, "mediumtext") || begins(s, "mediumblob"))
        return 16777215;
    if (begins(s, "longtext") || begins(s, "longblob"))
        return INT64_C(4294967295);
    return open ? strtoll(open + 1, NULL, 10) : 1;
}

/* 'length', 'octets', 'precision', 'scale', 'fraction', 'charset', 'collation' of MySQL's name of a
 * type; NULL where it has none. */
static void type_detail(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *s = (const char *)sqlite3_value_text(v[0]);
    const char *what = (const char *)sqlite3_value_text(v[1]);

    (void)n;
    if (!s || !what)
        return;
    bool text = begins(s, "char") || begins(s, "varchar") || strstr(s, "text");
    bool bytes = begins(s, "binary") || begins(s, "varbinary") || strstr(s, "blob");
    bool moment = begins(s, "time") || begins(s, "datetime") || begins(s, "timestamp");
    const char *open = strchr(s, '(');

    if (strcmp(what, "charset") == 0 || strcmp(what, "collation") == 0) {
        if (text)
            sqlite3_result_text(ctx, what[1] == 'h' ? "utf8mb4" : "utf8mb4_0900_ai_ci", -1,
                                SQLITE_STATIC);
    } else if (strcmp(what, "length") == 0) {
        if (text || bytes)
            sqlite3_result_int64(ctx, text_length(s));
    } else if (strcmp(what, "octets") == 0) {
        if (text || bytes) {
            int64_t k = text_length(s);
            sqlite3_result_int64(ctx, (begins(s, "char") || begins(s, "varchar")) ? k * 4 : k);
        }
    } else if (strcmp(what, "fraction") == 0) {
        if (moment)
            sqlite3_result_int64(ctx, open ? strtoll(open + 1, NULL, 10) : 0);
    } else {
        static const struct {
            const char *type;
            int digits;
        } numbers[] = {{"tinyint", 3}, {"smallint", 5}, {"mediumint", 7}, {"int", 10},
                       {"bigint", 19}, {"double", 22},  {"float", 12},    {"bit", 1}};
        bool precision = strcmp(what, "precision") == 0;
        if (begins(s, "decimal") && open) {
            const char *comma = strchr(open, ',');
            sqlite3_result_int64(ctx, precision ? strtoll(open + 1, NULL, 10)
                                      : comma   ? strtoll(comma + 1, NULL, 10)
                                                : 0);
            return;
        }
        for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
            if (begins(s, numbers[i].type)) {
                if (precision)
                    sqlite3_result_int(ctx, numbers[i].digits);
                else if (i < 5)
                    sqlite3_result_int(ctx, 0);
                return;
            }
    }
}

/* ---- defaults, as PRAGMA table_xinfo has them: SQL ---- */

/* Is it one literal, or CURRENT_TIMESTAMP and its like? *t gets the token. */
static bool is_literal(const char *s, size_t len, struct lex_token *t)
{
    const char *at = s, *end = s + len;
    struct lex_token rest;

    if (!lex_next(&at, end, t))
        return false;
    if (t->type == LEX_TOKEN_PUNCT && (*t->text == '-' || *t->text == '+') && at < end) {
        struct lex_token number;
        if (!lex_next(&at, end, &number) || number.type != LEX_TOKEN_NUMBER)
            return false;
        t->type = LEX_TOKEN_NUMBER;
    }
    while (t->type == LEX_TOKEN_NUMBER && lex_next(&at, end, &rest))
        if (rest.type != LEX_TOKEN_NUMBER && rest.type != LEX_TOKEN_PUNCT &&
            rest.type != LEX_TOKEN_WORD)
            return false;
    return !lex_next(&at, end, &rest);
}

/* What the dialect makes of NOW(6) and its like (call.c), as MySQL calls it; NULL: another one. */
static const char *moment_name(const char *s, size_t len)
{
    static const struct {
        const char *text, *name;
    } moments[] = {{"strftime('%Y-%m-%d %H:%M:%f', 'now')", "CURRENT_TIMESTAMP(6)"},
                   {"datetime('now')", "CURRENT_TIMESTAMP"},
                   {"CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"}};

    while (len > 0 && (*s == '(' || *s == ' ')) {
        s++;
        len--;
        while (len > 0 && s[len - 1] == ' ')
            len--;
        if (len > 0 && s[-1] == '(' && s[len - 1] == ')')
            len--;
    }
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
        if (strlen(moments[i].text) == len && strncasecmp(moments[i].text, s, len) == 0)
            return moments[i].name;
    return NULL;
}

/* What it stands for; NULL = there is none. */
static void default_value(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    struct lex_token t;
    char *text;

    (void)n;
    if (!s || lex_word_is(s, len, "NULL"))
        return;
    if (is_literal(s, len, &t) && (t.type == LEX_TOKEN_STRING || t.type == LEX_TOKEN_QUOTED)) {
        text = malloc(t.len + 1);
        if (!text) {
            sqlite3_result_error_nomem(ctx);
            return;
        }
        size_t k = lex_unquote(&t, text);
        sqlite3_result_text64(ctx, text, k, SQLITE_TRANSIENT, SQLITE_UTF8);
        free(text);
        return;
    }
    if (moment_name(s, len))
        sqlite3_result_text(ctx, moment_name(s, len), -1, SQLITE_STATIC);
    else if (lex_word_is(s, len, "TRUE") || lex_word_is(s, len, "FALSE"))
        sqlite3_result_text(ctx, *s == 't' || *s == 'T' ? "1" : "0", 1, SQLITE_STATIC);
    else
        sqlite3_result_text64(ctx, s, len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void default_is_expression(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    struct lex_token t;

    (void)n;
    sqlite3_result_int(ctx,
                       s && (!is_literal(s, len, &t) || lex_word_is(s, len, "CURRENT_TIMESTAMP")));
}

/* As SHOW CREATE TABLE has it: 'a', CURRENT_TIMESTAMP, (an expression), '5'. */
static void default_text(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    struct lex_token t;
    struct buf b = BUF_INIT;

    (void)n;
    if (!s)
        return;
    bool literal = is_literal(s, len, &t);
    if (literal && t.type == LEX_TOKEN_NUMBER) {
        quote_put(&b, s, len, '\'');
    } else if (moment_name(s, len)) {
        buf_puts(&b, moment_name(s, len));
    } else if (literal && (t.type == LEX_TOKEN_STRING || t.type == LEX_TOKEN_WORD)) {
        buf_put(&b, s, len);
    } else {
        buf_putc(&b, '(');
        buf_put(&b, s, len);
        buf_putc(&b, ')');
    }
    pg_result_buf(ctx, &b);
}

/* ---- what the table's text says ---- */

/* The name of a foreign key by its number in PRAGMA foreign_key_list, which counts from the last
 * one written. */
static void foreign_key(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, count = 0;
    const char *sql = pg_arg(v[0], &len), *table = (const char *)sqlite3_value_text(v[1]);
    int64_t id = sqlite3_value_int64(v[2]);
    struct arena *a = arena_new();
    struct table_text t;
    const char *name = NULL;

    (void)n;
    if (a && sql && table && table_text_read(&t, a, sql, len)) {
        for (size_t i = 0; i < t.n_constraints; i++)
            count += t.constraints[i].kind == TEXT_FOREIGN_KEY;
        for (size_t i = 0; i < t.n_constraints; i++)
            if (t.constraints[i].kind == TEXT_FOREIGN_KEY && (int64_t)--count == id)
                name = table_text_constraint_name(&t, a, table, i);
    }
    if (name)
        sqlite3_result_text(ctx, name, -1, SQLITE_TRANSIENT);
    else
        sqlite3_result_text(ctx, "", 0, SQLITE_STATIC);
    arena_free(a);
}

/* The CHECKs of a table but those of ENUMs, as a JSON array of names and clauses, a pair each. */
static void checks(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *sql = pg_arg(v[0], &len), *table = (const char *)sqlite3_value_text(v[1]);
    struct arena *a = arena_new();
    struct table_text t;
    struct buf b = BUF_INIT;
    bool any = false;

    (void)n;
    buf_putc(&b, '[');
    if (a && sql && table && table_text_read(&t, a, sql, len))
        for (size_t i = 0; i < t.n_constraints; i++) {
            const struct text_constraint *c = &t.constraints[i];
            const char *name = table_text_constraint_name(&t, a, table, i);
            size_t k = name ? strlen(name) : 0;
            if (c->kind != TEXT_CHECK || !name || (k > 5 && strcmp(name + k - 5, "_enum") == 0))
                continue;
            buf_puts(&b, any ? ", [" : "[");
            any = true;
            json_put_string(&b, name, k);
            buf_puts(&b, ", ");
            json_put_string(&b, sql + c->list.from, c->list.to - c->list.from);
            buf_putc(&b, ']');
        }
    buf_putc(&b, ']');
    pg_result_buf(ctx, &b);
    arena_free(a);
}

/* " GENERATED ALWAYS AS (…) STORED" of a column. */
static void generated(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *sql = pg_arg(v[0], &len), *column = (const char *)sqlite3_value_text(v[1]);
    struct arena *a = arena_new();
    struct table_text t;
    struct buf b = BUF_INIT;

    (void)n;
    if (a && sql && column && table_text_read(&t, a, sql, len)) {
        size_t at = table_text_column(&t, column);
        for (size_t i = 0; at != TABLE_TEXT_NONE && i < t.n_constraints; i++) {
            const struct text_constraint *c = &t.constraints[i];
            if (c->kind != TEXT_GENERATED || c->column != at)
                continue;
            bool stored = memmem(sql + c->at.from, c->at.to - c->at.from, "STORED", 6) != NULL;
            buf_puts(&b, " GENERATED ALWAYS AS ");
            buf_put(&b, sql + c->list.from, c->list.to - c->list.from);
            buf_puts(&b, stored ? " STORED" : " VIRTUAL");
        }
    }
    pg_result_buf(ctx, &b);
    arena_free(a);
}

int mysql_function_catalog_open(sqlite3 *db)
{
    static const struct pg_function f[] = {
        {"mysql_column_type", 3, column_type, NULL, D},
        {"mysql_fraction", 1, fraction, NULL, D},
        {"mysql_data_type", 1, data_type, NULL, D},
        {"mysql_type_detail", 2, type_detail, NULL, D},
        {"mysql_default_value", 1, default_value, NULL, D},
        {"mysql_default_is_expression", 1, default_is_expression, NULL, D},
        {"mysql_default_text", 1, default_text, NULL, D},
        {"mysql_foreign_key", 3, foreign_key, NULL, D},
        {"mysql_checks", 2, checks, NULL, D},
        {"mysql_generated", 2, generated, NULL, D},
    };

    return pg_functions_register(db, f, sizeof f / sizeof f[0], NULL, SQLITE_DIRECTONLY);
}
