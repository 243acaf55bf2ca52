#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_writers(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    assert_string_equal(buf_cstr(&b), "");
    buf_puts(&b, "a");
    buf_putc(&b, 'b');
    buf_put(&b, NULL, 0);
    buf_i64(&b, INT64_MIN);
    buf_putc(&b, ' ');
    buf_i64(&b, INT64_MAX);
    buf_putc(&b, ' ');
    buf_u64(&b, UINT64_MAX);
    buf_putc(&b, ' ');
    buf_i64(&b, 0);
    buf_printf(&b, " %s-%d", "x", 5);
    assert_string_equal(buf_cstr(&b),
                        "ab-9223372036854775808 9223372036854775807 18446744073709551615 0 x-5");
    buf_reset(&b);
    buf_u8(&b, 1);
    buf_be16(&b, 0x0203);
    buf_be32(&b, 0x04050607);
    buf_be64(&b, UINT64_C(0x08090A0B0C0D0EFF));
    assert_int_equal(b.len, 15);
    assert_memory_equal(b.data, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\xFF", 15);
    buf_free(&b);
    buf_free(&b);
}

static void test_long_printf(void **state)
{
    struct buf b = BUF_INIT;
    char text[5000];

    (void)state;
    memset(text, 'q', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 20; i++)
        buf_printf(&b, "%s", text);
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, 20 * (sizeof text - 1));
    assert_int_equal(strlen(buf_cstr(&b)), b.len);
    buf_cut(&b, 3);
    assert_string_equal(buf_cstr(&b), "qqq");
    buf_cut(&b, 10);
    assert_int_equal(b.len, 3);
    buf_free(&b);
}

static void test_limit_is_sticky(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 4);
    buf_puts(&b, "abcd");
    assert_true(buf_ok(&b));
    assert_string_equal(buf_cstr(&b), "abcd"); /* the terminator does not count */
    buf_putc(&b, 'e');
    assert_false(buf_ok(&b));
    buf_cut(&b, 0);
    buf_putc(&b, 'e');
    assert_false(buf_ok(&b));
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_cstr(&b), "");
    assert_null(buf_reserve(&b, 1));
    buf_reset(&b);
    buf_printf(&b, "%s", "wxyz");
    assert_string_equal(buf_cstr(&b), "wxyz");
    buf_free(&b);
    assert_int_equal(b.limit, 4);
}

static void test_impossible_sizes(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_putc(&b, 'x');
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_false(buf_ok(&b));
    buf_reset(&b);
    assert_null(buf_reserve(&b, SIZE_MAX / 2 - 100));
    assert_false(buf_ok(&b));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers),
        cmocka_unit_test(test_long_printf),
        cmocka_unit_test(test_limit_is_sticky),
        cmocka_unit_test(test_impossible_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
