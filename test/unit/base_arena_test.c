#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_pieces(void **state)
{
    struct arena *a = arena_new();
    char *pieces[500];

    (void)state;
    assert_non_null(a);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 500; i++) {
            size_t n = i * 13 % 3000;

            pieces[i] = arena_alloc(a, n);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
            for (size_t j = 0; j < n; j++)
                assert_int_equal(pieces[i][j], 0);
            memset(pieces[i], (int)(i & 0xFF), n);
        }
        for (size_t i = 0; i < 500; i++)
            for (size_t j = 0; j < i * 13 % 3000; j++)
                assert_int_equal((unsigned char)pieces[i][j], i & 0xFF);
        arena_reset(a);
    }
    arena_free(a);
    arena_free(NULL);
}

static void test_strings(void **state)
{
    struct arena *a = arena_new();

    (void)state;
    assert_string_equal(arena_strdup(a, "hello"), "hello");
    assert_string_equal(arena_strndup(a, "hello", 3), "hel");
    assert_string_equal(arena_strndup(a, NULL, 0), "");
    assert_null(arena_strndup(a, "x", SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX));
    assert_null(arena_alloc(a, SIZE_MAX / 2 - 64));
    assert_non_null(arena_alloc(a, 0));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
