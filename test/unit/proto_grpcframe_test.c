/* gRPC's frames, time-outs and texts in headers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/grpcframe.h"

static void test_look(void **state)
{
    static const char bytes[] = "\0\0\0\0\3abc";
    struct grpcframe f;

    (void)state;
    for (size_t n = 0; n < 5; n++)
        assert_int_equal(grpcframe_look(bytes, n, &f), GRPCFRAME_MORE);
    for (size_t n = 5; n < 8; n++) {
        assert_int_equal(grpcframe_look(bytes, n, &f), GRPCFRAME_PART);
        assert_int_equal(f.len, 3);
        assert_false(f.compressed);
    }
    assert_int_equal(grpcframe_look(bytes, 8, &f), GRPCFRAME_WHOLE);
    assert_int_equal(grpcframe_look(bytes, 9, &f), GRPCFRAME_WHOLE);
    assert_int_equal(grpcframe_look("\0\0\0\0\0", 5, &f), GRPCFRAME_WHOLE);
    assert_int_equal(grpcframe_look("\1\xff\xff\xff\xff", 5, &f), GRPCFRAME_PART);
    assert_true(f.compressed);
    assert_int_equal(f.len, UINT32_MAX);
    assert_int_equal(grpcframe_look("\2", 1, &f), GRPCFRAME_BAD);
    assert_int_equal(grpcframe_look("\xff\0\0\0\0", 5, &f), GRPCFRAME_BAD);
    assert_int_equal(grpcframe_look(NULL, 0, &f), GRPCFRAME_MORE);
}

static void test_head(void **state)
{
    static const uint32_t lens[] = {0, 1, 255, 256, 1u << 20, UINT32_MAX};
    unsigned char head[GRPCFRAME_HEAD];
    struct grpcframe f;

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        grpcframe_head(head, lens[i]);
        assert_int_not_equal(grpcframe_look(head, sizeof head, &f), GRPCFRAME_MORE);
        assert_int_equal(f.len, lens[i]);
        assert_false(f.compressed);
    }
}

static void test_timeout(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"1n", 1},
        {"20u", 20000},
        {"300m", INT64_C(300000000)},
        {"5S", INT64_C(5000000000)},
        {"2M", INT64_C(120000000000)},
        {"1H", INT64_C(3600000000000)},
        {"0S", 0},
        {"00000001S", INT64_C(1000000000)},
        {"2562047H", INT64_C(2562047) * INT64_C(3600000000000)},
        {"2562048H", INT64_MAX},
        {"99999999H", INT64_MAX},
    };
    static const char *const bad[] = {"",   "S",    "1",   "123456789S", "-1S", "+1S",
                                      "1s", "1.5S", "1 S", " 1S",        "1SS", "1h"};
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(grpcframe_timeout(good[i].text, &ns));
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (grpcframe_timeout(bad[i], &ns))
            fail_msg("%s was taken", bad[i]);
}

static void test_text(void **state)
{
    static const char text[] = "a b~\0%\n\xc3\xbc\x7f";
    struct buf b = BUF_INIT;

    (void)state;
    grpcframe_put_text(&b, text, sizeof text - 1);
    assert_string_equal(buf_cstr(&b), "a b~%00%25%0A%C3%BC%7F");
    buf_free(&b);

    char back[] = "a b~%25%0A%c3%BC%7F", odd[] = "%00%g1%4%";
    assert_string_equal(grpcframe_text(back), "a b~%\n\xc3\xbc\x7f");
    assert_string_equal(grpcframe_text(odd), "%00%g1%4%");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
