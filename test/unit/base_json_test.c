#include "base/json.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *print(struct buf *b, double r)
{
    buf_reset(b);
    json_put_double(b, r);
    return buf_cstr(b);
}

static void test_double_texts(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    assert_string_equal(print(&b, 0.0), "0.0");
    assert_string_equal(print(&b, -0.0), "-0.0");
    assert_string_equal(print(&b, 1.0), "1.0");
    assert_string_equal(print(&b, -12.0), "-12.0");
    assert_string_equal(print(&b, 0.1), "0.1");
    assert_string_equal(print(&b, -12.34), "-12.34");
    assert_string_equal(print(&b, 0.0001), "0.0001");
    assert_string_equal(print(&b, 0.000001), "1e-06");
    assert_string_equal(print(&b, 3.141592653589793), "3.141592653589793");
    assert_string_equal(print(&b, 0.1 + 0.2), "0.30000000000000004");
    assert_string_equal(print(&b, 1e15), "1e+15");
    assert_string_equal(print(&b, 999999999999999.0), "999999999999999.0");
    assert_string_equal(print(&b, 1234567890123456.0), "1.234567890123456e+15");
    assert_string_equal(print(&b, 1e300), "1e+300");
    assert_string_equal(print(&b, 5e-324), "5e-324");
    buf_free(&b);
}

static void check_double(struct buf *b, double r)
{
    const char *s = print(b, r);
    char *end;
    double back = strtod(s, &end);

    assert_true(*end == '\0');
    assert_non_null(strpbrk(s, ".e"));
    assert_memory_equal(&back, &r, sizeof r);
}

static void test_doubles_read_back(void **state)
{
    struct buf b = BUF_INIT;
    uint64_t x = 88172645463325252U;

    (void)state;
    check_double(&b, DBL_MAX);
    check_double(&b, -DBL_MIN);
    check_double(&b, 9007199254740993.0);
    for (int i = 0; i < 300000; i++) {
        double r;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        switch (i % 4) {
        case 0: /* any bits */
            memcpy(&r, &x, sizeof r);
            break;
        case 1: /* money */
            r = (double)(int64_t)(x % 2000000000) / 100 - 1e7;
            break;
        case 2: /* coordinates */
            r = (double)(int64_t)(x % 36000000000) / 1e8 - 180;
            break;
        default:
            r = (double)(int64_t)x * 1e-6;
        }
        if (isfinite(r))
            check_double(&b, r);
    }
    buf_free(&b);
}

static const char *quote(struct buf *b, const char *s, size_t n)
{
    buf_reset(b);
    json_put_string(b, s, n);
    return buf_cstr(b);
}

static void test_strings(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    assert_string_equal(quote(&b, "", 0), "\"\"");
    assert_string_equal(quote(&b, "plain", 5), "\"plain\"");
    assert_string_equal(quote(&b, "a\"b\\c/\n\r\t\b\f\x01\x7F", 13),
                        "\"a\\\"b\\\\c/\\n\\r\\t\\b\\f\\u0001\x7F\"");
    assert_string_equal(quote(&b, "a\0b", 3), "\"a\\u0000b\"");
    assert_string_equal(quote(&b, "h\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 10),
                        "\"h\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
    assert_string_equal(quote(&b, "a\xFFz\xC3", 4), "\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
    buf_reset(&b);
    json_put_cstr(&b, NULL);
    json_put_cstr(&b, "x");
    assert_string_equal(buf_cstr(&b), "null\"x\"");
    buf_free(&b);
}

/* Every byte at every place among plain ones: as by itself. */
static void test_strings_at_every_place(void **state)
{
    struct buf b = BUF_INIT, alone = BUF_INIT, want = BUF_INIT;
    char text[24];

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        for (size_t at = 0; at < sizeof text; at++) {
            memset(text, c % 2 ? 'a' : ' ', sizeof text);
            text[at] = (char)c;
            const char *one = quote(&alone, text + at, 1);
            buf_reset(&want);
            buf_putc(&want, '"');
            buf_put(&want, text, at);
            buf_put(&want, one + 1, strlen(one) - 2);
            buf_put(&want, text + at + 1, sizeof text - at - 1);
            buf_putc(&want, '"');
            assert_string_equal(quote(&b, text, sizeof text), buf_cstr(&want));
        }
    }
    buf_free(&b);
    buf_free(&alone);
    buf_free(&want);
}

static void test_is_text(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xC0\x80",
        "\xC1\xBF",
        "\xE0\x80\x80",
        "\xED\xA0\x80",
        "\xED\xBF\xBF",
        "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xC3",
        "\xE2\x82",
        "\xF0\x9F\x98",
        "\xFF",
        "12345678\xC3",
        "1234567\xFE",
    };
    static const char *const good[] = {
        "",
        "a",
        "12345678",
        "123456789012345678",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "12345678\xC3\xA9yz345678\xE2\x82\xAC",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(json_is_text(bad[i], strlen(bad[i])));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(json_is_text(good[i], strlen(good[i])));
    for (size_t at = 0; at < 20; at++) {
        char text[20];
        memset(text, 'x', sizeof text);
        text[at] = '\0';
        assert_false(json_is_text(text, sizeof text));
        assert_true(json_is_text(text, at));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_double_texts), cmocka_unit_test(test_doubles_read_back),
        cmocka_unit_test(test_strings),      cmocka_unit_test(test_strings_at_every_place),
        cmocka_unit_test(test_is_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
