#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_split(const char *text, size_t n, const char *const *want)
{
    char **list = list_split(text);

    assert_non_null(list);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(list[i], want[i]);
    assert_null(list[n]);
    list_free(list);
}

static void test_split(void **state)
{
    (void)state;
    assert_split("a.so, b.so,,/c d.so", 3, (const char *const[]){"a.so", "b.so", "/c d.so"});
    assert_split(" \t x \t", 1, (const char *const[]){"x"});
    assert_split("x", 1, (const char *const[]){"x"});
    assert_split("", 0, NULL);
    assert_split(" , ,", 0, NULL);
    list_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_split)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
