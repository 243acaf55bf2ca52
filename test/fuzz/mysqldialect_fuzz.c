/*
 * The MySQL dialect: stays within its text whatever that is, and what it makes has tokens that end,
 * for SQLite's tokenizer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sql/lex.h"
#include "sql/mysql/dialect.h"
#include "sql/mysql/lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void put_variable(void *arg, const char *name, struct buf *out)
{
    (void)arg;
    buf_printf(out, "%zu", strlen(name));
}

static bool put_function(void *arg, const char *name, struct buf *out)
{
    (void)arg;
    buf_puts(out, "'x'");
    return *name != 'V';
}

static void put_rows(void *arg, enum mysql_rows which, struct buf *out)
{
    (void)arg;
    if (which == MYSQL_ROWS_DATABASES)
        buf_puts(out, "('a'), ('b')");
}

static void put_table(void *arg, const char *name, struct buf *out)
{
    (void)arg;
    buf_puts(out, name);
}

static void tokens(const struct mysql_context *x, const char *sql, size_t len)
{
    struct mysql_lexer lex;
    struct mysql_token t;
    const char *before = sql;

    mysql_lex_init(&lex, sql, len);
    lex.ansi_quotes = x->ansi_quotes;
    lex.no_backslash = x->no_backslash;
    while (mysql_lex_next(&lex, &t)) {
        char *value = malloc(t.len ? t.len : 1);
        check(value && t.len > 0 && t.text >= before && t.text + t.len == lex.at &&
              lex.at <= lex.end);
        if (t.type != MYSQL_TOKEN_ILLEGAL)
            check(mysql_lex_value(&lex, &t, value) <= t.len);
        free(value);
        before = lex.at;
    }
    check(lex.at == lex.end);
}

static void translate(const struct mysql_context *x, const char *sql, size_t len)
{
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;
    struct mysql_translation t;
    enum err_code code = mysql_dialect(x, sql, len, &out, &t, &e);

    check(code == e.code);
    if (code != ERR_OK)
        check(e.msg[0] && e.offset <= (int)len && out.len == 0);
    if (code == ERR_OK && t.changed) {
        const char *at = out.data ? out.data : "", *end = at + out.len;
        struct lex_token token;
        while (lex_next(&at, end, &token))
            ;
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mysql_context x = {.schema = "db",
                              .system_variable = put_variable,
                              .user_variable = put_variable,
                              .session_function = put_function,
                              .rows = put_rows,
                              .index_table = put_table};
    char *sql = malloc(size ? size : 1); /* exactly as long as the input */

    check(sql != NULL);
    memcpy(sql, data, size);
    for (unsigned mode = 0; mode < 3; mode++) {
        x.ansi_quotes = mode == 1;
        x.no_backslash = mode == 2;
        tokens(&x, sql, size);
        for (size_t at = 0; at < size;) {
            size_t n = mysql_dialect_split(&x, sql + at, size - at);
            check(n > 0 && n <= size - at);
            (void)mysql_command(&x, sql + at, n);
            (void)mysql_command_has_table(&x, sql + at, n);
            translate(&x, sql + at, n);
            at += n;
        }
    }
    free(sql);
    return 0;
}
