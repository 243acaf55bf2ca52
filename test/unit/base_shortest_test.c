#include "base/shortest.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *print(double r)
{
    static char text[SHORTEST_BYTES + 1];
    size_t n = shortest_put(text, r);

    assert_true(n <= SHORTEST_BYTES);
    text[n] = '\0';
    return text;
}

/* What PostgreSQL 15 prints, but for the sign of zero. */
static void test_texts(void **state)
{
    static const struct {
        double r;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-12, "-12"},
        {100, "100"},
        {0.1, "0.1"},
        {-12.34, "-12.34"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.00001, "1e-05"},
        {-1.25e-7, "-1.25e-07"},
        {0.1 + 0.2, "0.30000000000000004"},
        {99999.5, "99999.5"},
        {999999999999999.0, "999999999999999"},
        {1e15, "1e+15"},
        {1234567890123456.0, "1.234567890123456e+15"},
        {123456789012345.6, "123456789012345.6"},
        {9007199254740993.0, "9.007199254740992e+15"},
        {35012940380562088.0, "3.5012940380562088e+16"},
        {9.999999999999999e22, "9.999999999999999e+22"},
        {1e23, "9.999999999999999e+22"},
        {1e300, "1e+300"},
        {-DBL_MAX, "-1.7976931348623157e+308"},
        {DBL_MIN, "2.2250738585072014e-308"},
        {5e-324, "5e-324"},
        {1e-323, "1e-323"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(print(cases[i].r), cases[i].text);
}

/* Does this text lie just between r, which is positive, and a double next to it? */
static bool is_between(const char *text, double r)
{
    long double v = strtold(text, NULL);

    return v == ((long double)r + nextafter(r, 0)) / 2 ||
           v == ((long double)r + nextafter(r, INFINITY)) / 2;
}

/* Reads back, is not longer than the first %e that does unless that is a matter of rounding, and
 * where as long has its digits. */
static void check(double r)
{
    char text[64], reference[64];
    struct shortest s = shortest_of(r);
    int digits = 1;

    if (!isfinite(r) || r == 0)
        return;
    r = fabs(r);
    assert_true(strtod(print(r), NULL) == r);
    assert_true(s.digits % 10 != 0);
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)s.digits);
    size_t n = strlen(text);
    for (; digits < 17; digits++) {
        (void)snprintf(reference, sizeof reference, "%.*e", digits - 1, r);
        if (strtod(reference, NULL) == r)
            break;
    }
    assert_true(n <= (size_t)digits || is_between(reference, r));
    if (n == (size_t)digits) {
        (void)snprintf(text, sizeof text, "%llue%d", (unsigned long long)s.digits, s.exponent);
        (void)snprintf(reference, sizeof reference, "%.*e", digits - 1, r);
        assert_true(strtod(text, NULL) == strtod(reference, NULL));
    }
}

static void test_powers(void **state)
{
    (void)state;
    for (int i = -1074; i < 1024; i++) {
        check(ldexp(1, i));
        check(nextafter(ldexp(1, i), 0));
        check(nextafter(ldexp(1, i), INFINITY));
    }
    for (int i = -330; i <= 308; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "1e%d", i);
        double r = strtod(text, NULL);
        check(r);
        check(nextafter(r, 0));
        check(nextafter(r, INFINITY));
    }
}

static void test_any(void **state)
{
    uint64_t x = 88172645463325252U;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double r;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(&r, &x, sizeof r);
        check(r);
        check((double)(int64_t)(x % 2000000000) / 100 - 1e7);
        check(ldexp((double)(x >> 11), (int)(x % 60) - 30));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_powers),
        cmocka_unit_test(test_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
