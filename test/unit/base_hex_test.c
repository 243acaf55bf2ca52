#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_digits(void **state)
{
    static const char digits[] = "0123456789abcdef";

    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *lower = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;

        assert_int_equal(hex_value((char)c), lower ? lower - digits : -1);
    }
    assert_int_equal(hex_pair("00"), 0);
    assert_int_equal(hex_pair("fF"), 255);
    assert_int_equal(hex_pair("7a"), 0x7A);
    assert_int_equal(hex_pair(""), -1);
    assert_int_equal(hex_pair("a"), -1);
    assert_int_equal(hex_pair("g0"), -1);
    assert_int_equal(hex_pair("0g"), -1);
}

static void test_there_and_back(void **state)
{
    unsigned char all[256];
    char lower[2 * sizeof all], upper[2 * sizeof all];
    struct buf b = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (unsigned char)i;
    hex_encode(all, sizeof all, lower);
    hex_encode_upper(all, sizeof all, upper);
    assert_memory_equal(&lower[(size_t)2 * 0xAB], "ab", 2);
    assert_memory_equal(&upper[(size_t)2 * 0xAB], "AB", 2);
    buf_puts(&b, "x");
    assert_true(hex_decode(lower, sizeof lower, &b));
    assert_true(hex_decode(upper, sizeof upper, &b));
    assert_int_equal(b.len, 1 + 2 * sizeof all);
    assert_memory_equal(b.data + 1, all, sizeof all);
    assert_memory_equal(b.data + 1 + sizeof all, all, sizeof all);
    buf_reset(&b);
    hex_put(&b, all, sizeof all);
    assert_int_equal(b.len, sizeof lower);
    assert_memory_equal(b.data, lower, sizeof lower);
    buf_free(&b);
}

static void test_what_is_no_bytes(void **state)
{
    static const char *const bad[] = {"0", "000", "0x", " 00", "00 ", "0g", "-1"};
    struct buf b = BUF_INIT;

    (void)state;
    buf_puts(&b, "kept");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(hex_is_bytes(bad[i], strlen(bad[i])));
        assert_false(hex_decode(bad[i], strlen(bad[i]), &b));
    }
    assert_true(hex_decode("", 0, &b));
    assert_string_equal(buf_cstr(&b), "kept");
    buf_free(&b);
}

static void test_no_room(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 3);
    assert_true(hex_decode("00112233", 8, &b));
    assert_false(buf_ok(&b));
    buf_free(&b);
    buf_init(&b, 3);
    hex_put(&b, "ab", 2);
    assert_false(buf_ok(&b));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_what_is_no_bytes),
        cmocka_unit_test(test_no_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
