/* How a transaction is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/address.h"

static void reads(void **state)
{
    static const struct {
        const char *text;
        uint64_t seq;
        unsigned index;
    } good[] = {
        {"0", 0, 0},         {"150", 150, 0},
        {"150.1", 150, 1},   {"150.2", 150, 2},
        {"150.20", 150, 20}, /* is not 150.2 */
        {"007", 7, 0},       {"18446744073709551615.4294967295", UINT64_MAX, UINT32_MAX},
    };
    static const char *const bad[] = {"",
                                      ".",
                                      "x",
                                      "1.",
                                      ".1",
                                      "1.0",
                                      "1.2.3",
                                      "1 ",
                                      " 1",
                                      "-1",
                                      "+1",
                                      "1e3",
                                      "1.2m",
                                      "5m",
                                      "0x10",
                                      "1,2",
                                      "1.-2",
                                      "1. 2",
                                      "1.2 ",
                                      "18446744073709551616",
                                      "1.4294967296"};
    struct address a;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(address_parse(good[i].text, &a));
        assert_true(a.seq == good[i].seq);
        assert_int_equal(a.index, good[i].index);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (address_parse(bad[i], &a))
            fail_msg("'%s' was taken", bad[i]);
}

static void prints(void **state)
{
    char text[ADDRESS_SIZE];

    (void)state;
    address_print(&(struct address){150, 0}, text);
    assert_string_equal(text, "150");
    address_print(&(struct address){150, 1}, text);
    assert_string_equal(text, "150");
    address_print(&(struct address){150, 2}, text);
    assert_string_equal(text, "150.2");
    address_print(&(struct address){0, 2}, text);
    assert_string_equal(text, "not in the log yet");
    address_print(&(struct address){UINT64_MAX, UINT32_MAX}, text);
    assert_string_equal(text, "18446744073709551615.4294967295");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(prints)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
