/*
 * SQL texts: the tokenizer stays within its bounds and always moves on, and where SQLite accepts a
 * statement, it ends where lex_length() says, and is what lex_statement() says.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sql/conn.h"
#include "sql/ddl_text.h"
#include "sql/lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void tokens(const char *sql, size_t len)
{
    const char *at = sql, *end = sql + len, *before = sql;
    struct lex_token t;

    while (lex_next(&at, end, &t)) {
        char *name = malloc(t.len + 1);
        check(name && t.len > 0 && t.text >= before && t.text + t.len == at && at <= end);
        check(lex_unquote(&t, name) <= t.len);
        free(name);
        before = at;
    }
    check(at == end && t.type == LEX_TOKEN_END && t.len == 0);
}

/* Behind statements that hold nothing. */
static const char *skip_empty(const char *at, const char *end, struct lex *x)
{
    for (;;) {
        *x = lex_statement(at, (size_t)(end - at));
        check(x->len <= (size_t)(end - at));
        if (x->kind != LEX_EMPTY || at == end)
            return at;
        check(x->len > 0);
        at += x->len;
    }
}

static bool is_control(enum lex_kind k)
{
    return k >= LEX_BEGIN && k <= LEX_ROLLBACK_TO;
}

static sqlite3 *open_memory(void)
{
    static sqlite3 *db;
    struct err e = ERR_INIT;

    if (!db) {
        check(conn_library_init(&e) == ERR_OK);
        check(sqlite3_open(":memory:", &db) == SQLITE_OK);
        check(sqlite3_exec(db, "CREATE TABLE t(a, b); CREATE TABLE u(a, b)", NULL, NULL, NULL) ==
              SQLITE_OK);
    }
    return db;
}

static void against_sqlite(const char *sql, size_t len)
{
    sqlite3_stmt *s = NULL;
    const char *tail = NULL;
    struct lex x;
    const char *start = skip_empty(sql, sql + len, &x);
    size_t n = lex_length(start, (size_t)(sql + len - start));
    int rc = sqlite3_prepare_v2(open_memory(), sql, (int)len, &s, &tail);

    check(n <= (size_t)(sql + len - start));
    if (rc == SQLITE_OK && !s)
        check(x.kind == LEX_EMPTY);
    if (rc == SQLITE_OK && s) {
        check(x.kind != LEX_EMPTY);
        check(tail == start + n);
        if (is_control(x.kind))
            check(x.len == n);
    }
    sqlite3_finalize(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *sql = malloc(size ? size : 1); /* exactly as long as the input */
    struct ddl_text d;

    check(sql != NULL);
    memcpy(sql, data, size);
    tokens(sql, size);
    check(ddl_text_read(&d, sql, size));
    ddl_text_free(&d);
    if (size < 65536 && !memchr(sql, '\0', size))
        against_sqlite(sql, size);
    else
        lex_length(sql, size);
    free(sql);
    return 0;
}
