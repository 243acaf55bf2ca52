#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_table_is_complete(void **state)
{
    (void)state;
    for (int c = 0; c < ERR_COUNT; c++) {
        assert_int_equal(strlen(err_sqlstate((enum err_code)c)), 5);
        assert_true(strlen(err_name((enum err_code)c)) > 0);
        assert_true(strlen(err_text((enum err_code)c)) > 0);
        assert_in_range(err_http((enum err_code)c), 200, 503);
        assert_in_range(err_grpc((enum err_code)c), 0, 16);
    }
    assert_string_equal(err_name(ERR_UNIQUE), "UNIQUE");
    assert_string_equal(err_sqlstate(ERR_CONFLICT), "40001");
    assert_int_equal(err_mysql(ERR_CONFLICT), 1213);
    assert_int_equal(err_http(ERR_CONFLICT), 409);
    assert_string_equal(err_name((enum err_code)ERR_COUNT), "INTERNAL");
    assert_true(err_is_transient(ERR_CONFLICT));
    assert_false(err_is_transient(ERR_UNIQUE));
}

static void test_set_and_wrap(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    e.sqlite_code = 5;
    e.offset = 7;
    assert_int_equal(err_set(&e, ERR_IO, "read %d bytes", 12), ERR_IO);
    assert_string_equal(e.msg, "read 12 bytes");
    assert_int_equal(e.sqlite_code, 0);
    assert_int_equal(e.offset, -1);
    e.sqlite_code = 10;
    assert_int_equal(err_wrap(&e, "file %s", "a.db"), ERR_IO);
    assert_string_equal(e.msg, "file a.db: read 12 bytes");
    assert_int_equal(e.sqlite_code, 10);
    /* The old message may be an argument of the new one. */
    err_set(&e, ERR_SQL, "again: %s", e.msg);
    assert_string_equal(e.msg, "again: file a.db: read 12 bytes");
    err_clear(&e);
    assert_int_equal(e.code, ERR_OK);
    assert_string_equal(e.msg, "");
}

static void test_cut_at_a_character(void **state)
{
    struct err e = ERR_INIT;
    char text[1024];

    (void)state;
    /* Two-byte characters behind 0 and 1 byte: one of the two would be cut within a character. */
    for (size_t shift = 0; shift < 2; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xC3\xA9", 3);
        err_set(&e, ERR_SQL, "%s", text);
        assert_int_equal(strlen(e.msg), shift ? ERR_MSG_SIZE - 1 : ERR_MSG_SIZE - 2);
        assert_memory_equal(e.msg + strlen(e.msg) - 2, "\xC3\xA9", 2);
        err_wrap(&e, "context");
        assert_true(strlen(e.msg) >= ERR_MSG_SIZE - 2);
        assert_memory_equal(e.msg + strlen(e.msg) - 2, "\xC3\xA9", 2);
        err_wrap(&e, "%s", text);
        assert_true(strlen(e.msg) < ERR_MSG_SIZE);
    }
}

static void states_of_others(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(err_of_sqlstate("23505"), ERR_UNIQUE);
    assert_int_equal(err_of_sqlstate("42P01"), ERR_NO_TABLE);
    assert_int_equal(err_of_sqlstate("40P01"), ERR_CONFLICT); /* by its class */
    assert_int_equal(err_of_sqlstate("22012"), ERR_PARAM);
    assert_int_equal(err_of_sqlstate("ZZ999"), ERR_SQL);
    assert_int_equal(err_of_sqlstate(""), ERR_SQL);
    err_set(&e, ERR_PARAM, "division by zero");
    assert_string_equal(err_state(&e), "22023");
    memcpy(e.sqlstate, "22012", 6);
    assert_string_equal(err_state(&e), "22012");
    err_wrap(&e, "context");
    assert_string_equal(err_state(&e), "22012");
    err_set(&e, ERR_BUSY, "another");
    assert_string_equal(err_state(&e), "55P03");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_of_others),
        cmocka_unit_test(test_table_is_complete),
        cmocka_unit_test(test_set_and_wrap),
        cmocka_unit_test(test_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
