#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_there_and_back(void **state)
{
    static const struct {
        const char *plain, *coded;
    } pairs[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xFF\xEF\xBE", "/+++"}};
    static const char *const bad[] = {"Z",    "Zg=",  "Zg==Zg==", "Zm9v\n", "Z===", "Zh==",
                                      "Zm9=", "====", "=",        "Zm 9",   "-_-_", "Zm9vY"};
    struct buf b = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t n = strlen(pairs[i].coded);

        buf_reset(&b);
        base64_encode(&b, pairs[i].plain, strlen(pairs[i].plain));
        assert_string_equal(buf_cstr(&b), pairs[i].coded);
        for (int padded = 0; padded < 2; padded++) {
            buf_reset(&b);
            assert_true(base64_decode(&b, pairs[i].coded, n));
            assert_string_equal(buf_cstr(&b), pairs[i].plain);
            while (n > 0 && pairs[i].coded[n - 1] == '=')
                n--;
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_reset(&b);
        assert_false(base64_decode(&b, bad[i], strlen(bad[i])));
    }
    buf_free(&b);
}

static void test_into(void **state)
{
    char out[16];
    size_t n = 0;

    (void)state;
    assert_true(base64_decode_into("Zm9vYg==", 8, out, 4, &n));
    assert_int_equal(n, 4);
    assert_memory_equal(out, "foob", 4);
    assert_false(base64_decode_into("Zm9vYg==", 8, out, 3, &n)); /* does not fit */
    assert_false(base64_decode_into("Zg=", 3, out, sizeof out, &n));
    assert_false(base64_decode_into("Zg", 2, out, sizeof out, &n)); /* padding is wanted */
    assert_false(base64_decode_into("Z!==", 4, out, sizeof out, &n));
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_into),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
