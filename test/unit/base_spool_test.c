#include "base/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/ha-spool-test-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir); /* fails if a spool left a file behind */
}

static void test_stays_in_memory(void **state)
{
    struct spool *s = spool_new(dir, 1000);
    const char *data = NULL;
    struct err e = ERR_INIT;

    (void)state;
    assert_true(spool_in_memory(s, &data));
    buf_puts(spool_tail(s), "hello");
    spool_flush(s);
    assert_int_equal(spool_len(s), 5);
    assert_true(spool_in_memory(s, &data));
    assert_memory_equal(data, "hello", 5);
    spool_cut(s, 4);
    assert_int_equal(spool_len(s), 4);
    assert_int_equal(spool_error(s, &e), ERR_OK);
    spool_free(s);
    spool_free(NULL);
}

/* The same random appends, cuts and reads on a spool and on plain memory. */
static void test_against_a_model(void **state)
{
    static char model[1 << 20], back[1 << 20];
    struct spool *s = spool_new(dir, 5000);
    struct err e = ERR_INIT;
    size_t len = 0, got;
    unsigned seed = 7;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        size_t n = (size_t)rand_r(&seed) % 900;
        size_t from;

        if (len + n < sizeof model) {
            for (size_t j = 0; j < n; j++)
                model[len + j] = (char)(i + (int)j);
            buf_put(spool_tail(s), model + len, n);
            spool_flush(s);
            len += n;
        }
        if (rand_r(&seed) % 50 == 0) {
            len = (size_t)rand_r(&seed) % (len + 1);
            spool_cut(s, len);
        }
        assert_int_equal(spool_len(s), len);
        from = (size_t)rand_r(&seed) % (len + 1);
        n = (size_t)rand_r(&seed) % 20000;
        assert_int_equal(spool_read(s, from, back, n, &got, &e), ERR_OK);
        assert_int_equal(got, n < len - from ? n : len - from);
        if (got)
            assert_memory_equal(back, model + from, got);
    }
    assert_true(spool_ok(s));
    assert_int_equal(spool_read(s, len + 10, back, 5, &got, &e), ERR_OK);
    assert_int_equal(got, 0);
    spool_reset(s);
    assert_int_equal(spool_len(s), 0);
    spool_free(s);
}

static void test_failure_is_sticky(void **state)
{
    struct spool *s = spool_new("/nonexistent/directory", 10);
    struct err e = ERR_INIT;

    (void)state;
    buf_puts(spool_tail(s), "0123456789");
    spool_flush(s);
    assert_true(spool_ok(s));
    buf_puts(spool_tail(s), "x");
    spool_flush(s);
    assert_false(spool_ok(s));
    assert_int_equal(spool_error(s, &e), ERR_IO);
    assert_non_null(strstr(e.msg, "/nonexistent/directory"));
    spool_cut(s, 0);
    assert_false(spool_ok(s));
    spool_reset(s);
    assert_true(spool_ok(s));
    spool_free(s);
}

static void test_tail_failure_counts(void **state)
{
    struct spool *s = spool_new(dir, 10);
    struct err e = ERR_INIT;

    (void)state;
    (void)buf_reserve(spool_tail(s), SIZE_MAX / 2);
    assert_false(spool_ok(s));
    assert_int_equal(spool_error(s, &e), ERR_NO_MEMORY);
    spool_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stays_in_memory),
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_failure_is_sticky),
        cmocka_unit_test(test_tail_failure_counts),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
