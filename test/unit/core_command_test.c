/* HISTORY, UNDO, UNDOE and UNDOT, one statement a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/command.h"

static const struct param params[] = {
    {NULL, {.type = VALUE_INTEGER, .u.i = 7}},
    {NULL, {.type = VALUE_TEXT, .u.s = {"8.2", 3}}},
    {NULL, {.type = VALUE_TEXT, .u.s = {"10m", 3}}},
    {NULL, {.type = VALUE_NULL}},
    {NULL, {.type = VALUE_INTEGER, .u.i = -1}},
    {NULL, {.type = VALUE_TEXT, .u.s = {"1\0002", 3}}},
    {NULL, {.type = VALUE_BLOB, .u.s = {"9", 1}}},
    {NULL, {.type = VALUE_REAL, .u.r = 1.5}},
};

static enum err_code read_sql(const char *sql, struct command *c, unsigned *n_params, struct err *e)
{
    /* A copy of exactly the text's length, so that a sanitizer sees every byte too far. */
    size_t len = strlen(sql);
    char *copy = malloc(len ? len : 1);
    const struct query q = {
        .sql = copy, .len = len, .params = params, .n_params = sizeof params / sizeof *params};

    memcpy(copy, sql, len);
    err_clear(e);
    enum err_code code = command_read(c, copy, len, &q, n_params, e);
    free(copy);
    return code;
}

static void good(void **state)
{
    static const struct {
        const char *sql;
        enum command_kind kind;
        uint64_t seq;
        unsigned index, n_params;
        int64_t ns; /* 0 = not by time */
    } cases[] = {
        {"HISTORY", COMMAND_HISTORY, 0, 0, 0, 0},
        {"HISTORY;", COMMAND_HISTORY, 0, 0, 0, 0},
        {"history 100", COMMAND_HISTORY, 100, 0, 0, 0},
        {"HISTORY '5m'", COMMAND_HISTORY, 0, 0, 0, 300 * CLOCK_S},
        {"HISTORY 5m", COMMAND_HISTORY, 0, 0, 0, 300 * CLOCK_S},
        {"UNDO 150 ;", COMMAND_UNDO, 150, 0, 0, 0},
        {"UNDO 150.2", COMMAND_UNDO, 150, 2, 0, 0},
        {"UNDO 150.20", COMMAND_UNDO, 150, 20, 0, 0},
        {"UNDO '150.2'", COMMAND_UNDO, 150, 2, 0, 0},
        {"UNDO 1.5h", COMMAND_UNDO, 0, 0, 0, 5400 * CLOCK_S},
        {"UNDO '1h30m'", COMMAND_UNDO, 0, 0, 0, 5400 * CLOCK_S},
        {"/* a */ undoe -- b\n 200;", COMMAND_UNDOE, 200, 0, 0, 0},
        {"UNDOT 0", COMMAND_UNDOT, 0, 0, 0, 0},
        {"UNDO $1", COMMAND_UNDO, 7, 0, 1, 0},
        {"UNDO ?", COMMAND_UNDO, 7, 0, 1, 0},
        {"UNDO ?2", COMMAND_UNDO, 8, 2, 1, 0},
        {"UNDO :n", COMMAND_UNDO, 7, 0, 1, 0},
        {"HISTORY $3", COMMAND_HISTORY, 0, 0, 1, 600 * CLOCK_S},
        {"UNDO $7", COMMAND_UNDO, 9, 0, 1, 0},
    };
    struct command c;
    struct err e;
    unsigned n;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (read_sql(cases[i].sql, &c, &n, &e) != ERR_OK)
            fail_msg("'%s': %s", cases[i].sql, e.msg);
        assert_int_equal(c.kind, cases[i].kind);
        assert_int_equal(c.by_time, cases[i].ns > 0);
        assert_int_equal(n, cases[i].n_params);
        if (c.by_time) {
            assert_true(c.ns == cases[i].ns);
        } else {
            assert_true(c.at.seq == cases[i].seq);
            assert_int_equal(c.at.index, cases[i].index);
        }
    }
}

static void rows_are_named(void **state)
{
    struct command c;
    struct err e = ERR_INIT;
    struct buf many = BUF_INIT;
    unsigned n;

    (void)state;
    assert_int_equal(read_sql("UNDOE 200 WHERE users(1)", &c, &n, &e), ERR_OK);
    assert_true(c.kind == COMMAND_UNDOE && c.at.seq == 200 && c.where.n == 1);
    assert_string_equal(c.where.table, "users");
    assert_int_equal(
        read_sql("undot ? where \"a \"\"b\" (1, -2,9223372036854775807, -9223372036854775808);", &c,
                 &n, &e),
        ERR_OK);
    assert_true(c.kind == COMMAND_UNDOT && n == 1 && c.where.n == 4);
    assert_string_equal(c.where.table, "a \"b");
    assert_true(c.where.rowids[1] == -2 && c.where.rowids[2] == INT64_MAX &&
                c.where.rowids[3] == INT64_MIN);
    assert_int_equal(read_sql("UNDOE 200", &c, &n, &e), ERR_OK);
    assert_int_equal((int)c.where.n, 0);
    buf_puts(&many, "UNDOE 1 WHERE t(1");
    for (unsigned i = 1; i < UNDO_WHERE_ROWS; i++)
        buf_puts(&many, ",1");
    buf_puts(&many, ")");
    assert_int_equal(read_sql(buf_cstr(&many), &c, &n, &e), ERR_OK);
    assert_int_equal((int)c.where.n, (int)UNDO_WHERE_ROWS);
    buf_cut(&many, many.len - 1);
    buf_puts(&many, ",1)");
    assert_int_equal(read_sql(buf_cstr(&many), &c, &n, &e), ERR_SYNTAX);
    buf_free(&many);
}

static void bad(void **state)
{
    static const struct {
        const char *sql;
        enum err_code code;
    } cases[] = {
        {"UNDO", ERR_SYNTAX},
        {"UNDO;", ERR_SYNTAX},
        {"UNDO x", ERR_SYNTAX},
        {"UNDO 1 2", ERR_SYNTAX},
        {"UNDO 1 .2", ERR_SYNTAX},
        {"UNDO -1", ERR_SYNTAX},
        {"UNDO 1 WHERE", ERR_SYNTAX},
        {"UNDO 1 WHERE t(1)", ERR_SYNTAX},
        {"HISTORY 1 WHERE t(1)", ERR_SYNTAX},
        {"UNDOE 1 WHERE", ERR_SYNTAX},
        {"UNDOE 1 WHERE t", ERR_SYNTAX},
        {"UNDOE 1 WHERE t(", ERR_SYNTAX},
        {"UNDOE 1 WHERE t()", ERR_SYNTAX},
        {"UNDOE 1 WHERE t(1", ERR_SYNTAX},
        {"UNDOE 1 WHERE t(1,)", ERR_SYNTAX},
        {"UNDOE 1 WHERE t(1.5)", ERR_SYNTAX},
        {"UNDOE 1 WHERE t(1x)", ERR_SYNTAX},
        {"UNDOE 1 WHERE t(--1)", ERR_SYNTAX},
        {"UNDOE 1 WHERE t('1')", ERR_SYNTAX},
        {"UNDOE 1 WHERE t(1) 2", ERR_SYNTAX},
        {"UNDOE 1 WHERE (1)", ERR_SYNTAX},
        {"UNDOE 1 WHERE t(99999999999999999999)", ERR_SYNTAX},
        {"UNDOE '5m' WHERE t(1)", ERR_PARAM},
        {"UNDO \"1\"", ERR_SYNTAX},
        {"UNDO '1", ERR_SYNTAX},
        {"UNDO '1' '2'", ERR_SYNTAX},
        {"HISTORY x", ERR_SYNTAX},
        {"UNDO (1)", ERR_SYNTAX},
        {"UNDO 1.0", ERR_PARAM},
        {"UNDO ''", ERR_PARAM},
        {"UNDO 'x'", ERR_PARAM},
        {"UNDO 1x", ERR_PARAM},
        {"UNDO '0s'", ERR_PARAM},
        {"UNDO '-5m'", ERR_PARAM},
        {"UNDOE '5m'", ERR_PARAM},
        {"UNDOT 5m", ERR_PARAM},
        {"UNDO $9", ERR_PARAM},
        {"UNDO $0", ERR_PARAM},
        {"UNDO $4", ERR_PARAM},
        {"UNDO $5", ERR_PARAM},
        {"UNDO $6", ERR_PARAM},
        {"UNDO $8", ERR_PARAM},
        {"UNDO 1.2.3", ERR_PARAM},
        {"UNDO 99999999999999999999", ERR_PARAM},
        {"UNDO 111111111111111111111111111111111111111111111111111111111111111111111", ERR_SYNTAX},
        {"UNDO '11111111111111111111111111111111111111111111111111111111111111111111'", ERR_SYNTAX},
    };
    struct command c;
    struct err e;
    unsigned n;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum err_code code = read_sql(cases[i].sql, &c, &n, &e);
        if (code != cases[i].code)
            fail_msg("'%s': %s %s", cases[i].sql, err_name(code), e.msg);
        assert_true(e.offset <= (int)strlen(cases[i].sql));
    }
}

/* A statement that is only described: its parameters have no values yet. */
static void described(void **state)
{
    struct command c;
    struct err e = ERR_INIT;
    unsigned n;

    (void)state;
    assert_int_equal(command_read(&c, "UNDOE $1", 8, NULL, &n, &e), ERR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(c.kind, COMMAND_UNDOE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(rows_are_named),
                                       cmocka_unit_test(bad), cmocka_unit_test(described)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
