#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_format(void **state)
{
    char text[CLOCK_TEXT_SIZE];

    (void)state;
    clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_format(INT64_C(1769862896789999999), text);
    assert_string_equal(text, "2026-01-31T12:34:56.789Z");
    clock_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    clock_format(INT64_MAX, text);
    assert_string_equal(text, "2262-04-11T23:47:16.854Z");
    clock_format(INT64_MIN, text);
    assert_string_equal(text, "1677-09-21T00:12:43.145Z");
}

static void test_deadlines(void **state)
{
    int64_t now = clock_mono_ns();

    (void)state;
    assert_true(now > 0);
    assert_true(clock_deadline(CLOCK_EVER) == CLOCK_EVER);
    assert_true(clock_deadline(INT64_MAX - 5) == CLOCK_EVER);
    assert_true(clock_deadline(CLOCK_S) >= now + CLOCK_S);
    assert_true(clock_deadline(0) >= now);
    assert_true(clock_wall_ns() > INT64_C(1600000000) * CLOCK_S);
}

static void test_nap(void **state)
{
    int64_t start = clock_mono_ns();

    (void)state;
    clock_nap(5 * CLOCK_MS);
    assert_true(clock_mono_ns() - start >= 5 * CLOCK_MS);
}

static void test_cond_wait_ends(void **state)
{
    pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    int64_t start = clock_mono_ns();

    (void)state;
    clock_cond_init(&cond);
    pthread_mutex_lock(&mu);
    while (clock_cond_wait(&cond, &mu, start + 20 * CLOCK_MS))
        ;
    assert_true(clock_mono_ns() - start >= 20 * CLOCK_MS);
    assert_false(clock_cond_wait(&cond, &mu, -1)); /* long past */
    pthread_mutex_unlock(&mu);
    pthread_cond_destroy(&cond);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_nap),
        cmocka_unit_test(test_cond_wait_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
