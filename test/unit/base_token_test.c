/* Who may come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/token.h"

static void test_none_is_wanted(void **state)
{
    struct token t;

    (void)state;
    token_init(&t, NULL);
    assert_true(token_accepts(&t, NULL));
    token_init(&t, "");
    assert_false(t.wanted);
    assert_true(token_accepts(&t, "Bearer anything"));
}

static void test_wanted(void **state)
{
    static const char *const good[] = {"s3cret", "Bearer s3cret", "bearer   s3cret"};
    static const char *const bad[] = {"",        "s3cre",   "s3crett",      "S3cret",
                                      "Bearer",  "Bearer ", "Basic s3cret", "Bearers3cret",
                                      " s3cret", "s3cret "};
    struct token t;

    (void)state;
    token_init(&t, "s3cret");
    assert_false(token_accepts(&t, NULL));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(token_accepts(&t, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(token_accepts(&t, bad[i]));
    token_init(&t, "Bearer x"); /* whoever sets it so, sends it so */
    assert_true(token_accepts(&t, "Bearer x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_is_wanted),
        cmocka_unit_test(test_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
