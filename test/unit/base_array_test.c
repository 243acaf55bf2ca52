#include "base/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_grows(void **state)
{
    int *items = NULL;
    size_t cap = 0;
    int sum = 0;

    (void)state;
    for (size_t n = 0; n < 1000; n++) {
        size_t before = cap;
        int *more = array_room(items, n, &cap, sizeof *items);

        if (!more)
            break;
        assert_true(cap > n);
        if (n < before)
            assert_ptr_equal(more, items);
        items = more;
        items[n] = (int)n;
        sum += items[n / 2];
    }
    assert_int_equal(sum, 249500); /* what was there has moved along */
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
