#include "core/rowset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS 20000 /* some MB: most of them are in the file */

/* Row i: its number, and a text whose length depends on it. */
static size_t text_of(uint64_t i, char out[600])
{
    size_t n = (size_t)(i * 7919 % 500);

    memset(out, 'a' + (char)(i % 26), n);
    return n;
}

static struct rowset *make(void)
{
    struct rowset *r = rowset_new("/tmp");
    struct sink *s = rowset_sink(r);

    for (uint64_t i = 0; i < ROWS; i++) {
        char text[600];
        size_t n = text_of(i, text);
        const struct value row[] = {value_int((int64_t)i), value_text(text, n), value_null()};
        assert_int_equal(s->ops->row(s, row, i % 2 == 0 ? 2 : 3), SINK_MORE);
    }
    return r;
}

static void expect(struct rowset *r, uint64_t i)
{
    const struct value *values;
    char text[600];
    size_t len = text_of(i, text);
    unsigned n;

    assert_true(rowset_next(r, &values, &n));
    assert_int_equal(n, i % 2 == 0 ? 2 : 3);
    assert_int_equal(values[0].u.i, i);
    assert_int_equal(values[1].u.s.len, len);
    assert_memory_equal(values[1].u.s.data, text, len);
}

static void test_in_order(void **state)
{
    struct rowset *r = make();
    const struct value *values;
    unsigned n;

    (void)state;
    assert_int_equal(rowset_count(r), ROWS);
    for (uint64_t i = 0; i < ROWS; i++)
        expect(r, i);
    assert_false(rowset_next(r, &values, &n));
    assert_true(rowset_ok(r));
    rowset_free(r);
    rowset_free(NULL);
}

/* Each step back costs the same; from the beginning it would take minutes. */
static void test_backwards(void **state)
{
    struct rowset *r = make();

    (void)state;
    for (uint64_t i = ROWS; i > 0; i--) {
        rowset_seek(r, i - 1);
        expect(r, i - 1);
    }
    assert_true(rowset_ok(r));
    rowset_free(r);
}

static void test_anywhere(void **state)
{
    struct rowset *r = make();
    const struct value *values;
    unsigned n, seed = 3;

    (void)state;
    for (int i = 0; i < 200; i++) {
        uint64_t row = (uint64_t)rand_r(&seed) % (ROWS + 10);
        rowset_seek(r, row);
        if (row < ROWS)
            expect(r, row);
        else
            assert_false(rowset_next(r, &values, &n));
    }
    assert_true(rowset_ok(r));
    rowset_free(r);
}

static void test_none(void **state)
{
    struct rowset *r = rowset_new("/tmp");
    const struct value *values;
    unsigned n;

    (void)state;
    rowset_seek(r, 5);
    assert_false(rowset_next(r, &values, &n));
    rowset_seek(r, 0);
    assert_false(rowset_next(r, &values, &n));
    assert_true(rowset_ok(r));
    rowset_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_backwards),
        cmocka_unit_test(test_anywhere),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
