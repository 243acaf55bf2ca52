/*
 * The PostgreSQL dialect: stays within its text whatever that is, and what it makes can be read as
 * tokens again, by its own tokenizer as by SQLite's.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sql/lex.h"
#include "sql/pg/dialect.h"
#include "sql/pg/lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void tokens(const char *sql, size_t len, bool legal)
{
    struct pg_lexer x;
    struct pg_token t;
    const char *before = sql;

    pg_lex_init(&x, sql, len);
    while (pg_lex_next(&x, &t)) {
        char *value = malloc(t.len ? t.len : 1);
        check(value && t.len > 0 && t.text >= before && t.text + t.len == x.at && x.at <= x.end);
        if (t.type != PG_TOKEN_ILLEGAL) {
            size_t n = pg_lex_value(&t, value);
            check(n == SIZE_MAX || n <= t.len);
        }
        check(!legal || t.type != PG_TOKEN_ILLEGAL);
        free(value);
        before = x.at;
    }
    check(x.at == x.end);
}

static void translate(const char *sql, size_t len)
{
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;
    bool changed = false;
    enum err_code code = pg_dialect(sql, len, &out, &changed, &e);

    check(code == e.code);
    if (code != ERR_OK)
        check(e.msg[0] && e.offset <= (int)len);
    if (code == ERR_OK && changed) {
        const char *at = out.data ? out.data : "", *end = at + out.len;
        struct lex_token t;
        tokens(at, out.len, true);
        while (lex_next(&at, end, &t))
            ;
        check(pg_dialect_position(sql, len, out.len / 2) <= len);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *sql = malloc(size ? size : 1); /* exactly as long as the input */
    char tag[PG_TAG_SIZE];
    size_t at = 0;

    check(sql != NULL);
    memcpy(sql, data, size);
    tokens(sql, size, false);
    while (at < size) {
        size_t n = pg_dialect_split(sql + at, size - at);
        check(n > 0 && n <= size - at);
        pg_command(sql + at, n, tag);
        check(memchr(tag, '\0', sizeof tag) != NULL);
        translate(sql + at, n);
        at += n;
    }
    free(sql);
    return 0;
}
