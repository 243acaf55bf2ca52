/* Dates, times and decimal numbers as Kafka Connect counts them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/debezium_decimal.h"
#include "proto/debezium_time.h"

static void check(struct buf *b, const char *expected)
{
    assert_string_equal(buf_cstr(b), expected);
    buf_reset(b);
}

static void dates(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    debezium_put_date(&b, 0);
    check(&b, "1970-01-01");
    debezium_put_date(&b, -1);
    check(&b, "1969-12-31");
    debezium_put_date(&b, 11016);
    check(&b, "2000-02-29");
    debezium_put_date(&b, -719162);
    check(&b, "0001-01-01");
    debezium_put_date(&b, -719163);
    check(&b, "0001-12-31 BC");
    debezium_put_date(&b, 2932897);
    check(&b, "10000-01-01");
    debezium_put_date(&b, INT32_MAX);
    check(&b, "5881580-07-11");
    buf_free(&b);
}

static void times(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    debezium_put_time(&b, 0, 1000);
    check(&b, "00:00:00");
    debezium_put_time(&b, 86399999, 1000);
    check(&b, "23:59:59.999");
    debezium_put_time(&b, INT64_C(3020399000001), 1000000);
    check(&b, "838:59:59.000001");
    debezium_put_time(&b, -1, 1000000);
    check(&b, "-00:00:00.000001");
    debezium_put_time(&b, 100000000, 1000000000);
    check(&b, "00:00:00.1");
    buf_free(&b);
}

static void timestamps(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    debezium_put_timestamp(&b, -1, 1000);
    check(&b, "1969-12-31 23:59:59.999");
    debezium_put_timestamp(&b, 1, 1000000000);
    check(&b, "1970-01-01 00:00:00.000000001");
    debezium_put_timestamp(&b, INT64_C(9223372036825200000), 1000000);
    check(&b, "infinity");
    debezium_put_timestamp(&b, INT64_C(-9223372036832400), 1000);
    check(&b, "-infinity");
    debezium_put_timestamp(&b, INT64_C(-62135596800001), 1000);
    check(&b, "0001-12-31 23:59:59.999 BC");
    debezium_put_timestamp(&b, INT64_MAX, 1000);
    debezium_put_timestamp(&b, INT64_MIN, 1000000000);
    buf_reset(&b);
    buf_free(&b);
}

static void zoned(void **state)
{
    static const char *const cases[][2] = {
        {"2026-01-31T12:34:56Z", "2026-01-31 12:34:56+00:00"},
        {"2026-01-31T12:34:56.100Z", "2026-01-31 12:34:56.1+00:00"},
        {"2026-01-31T00:34:56.123456789+02:00", "2026-01-30 22:34:56.123456789+00:00"},
        {"1969-12-31T23:59:59.5-01:00", "1970-01-01 00:59:59.5+00:00"},
        {"+12026-01-01T00:00:00Z", "+12026-01-01T00:00:00Z"},
        {"infinity", "infinity"},
        {"", ""},
    };
    struct buf b = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        debezium_put_zoned(&b, cases[i][0], strlen(cases[i][0]), true);
        check(&b, cases[i][1]);
    }
    debezium_put_zoned(&b, "2026-01-31T12:34:56Z", 20, false);
    check(&b, "2026-01-31 12:34:56");
    buf_free(&b);
}

static void decimal(const char *bytes, size_t len, int64_t scale, const char *expected)
{
    struct buf b = BUF_INIT;

    assert_true(debezium_put_decimal(&b, bytes, len, scale));
    check(&b, expected);
    buf_free(&b);
}

static void decimals(void **state)
{
    char big[200000] = {1};
    struct buf b = BUF_INIT;

    (void)state;
    decimal("", 0, 0, "0");
    decimal("\0", 1, 2, "0.00");
    decimal("\0", 1, -3, "0");
    decimal("\x7F", 1, 0, "127");
    decimal("\x80", 1, 0, "-128");
    decimal("\xFF", 1, 4, "-0.0001");
    decimal("\xFF", 1, -2, "-100");
    decimal("\0\xFF", 2, 1, "25.5");
    decimal("\x3B\x9A\xCA\x00", 4, 0, "1000000000");
    decimal("\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8, 0, "9223372036854775807");
    decimal("\x80\0\0\0\0\0\0\0", 8, 18, "-9.223372036854775808");
    decimal("\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17, 0,
            "340282366920938463463374607431768211456");
    decimal("\x80\0\0\0\0\0\0\0\0", 9, 0, "-2361183241434822606848");
    assert_true(debezium_put_decimal(&b, big, DEBEZIUM_DECIMAL_BYTES, 0));
    assert_int_equal(b.len, 152892); /* 2^(8 * (62 * 1024 - 1)) */
    assert_false(debezium_put_decimal(&b, big, DEBEZIUM_DECIMAL_BYTES + 1, 0));
    assert_false(debezium_put_decimal(&b, "\1", 1, INT64_MAX));
    assert_false(debezium_put_decimal(&b, "\1", 1, INT64_MIN));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dates), cmocka_unit_test(times),
                                       cmocka_unit_test(timestamps), cmocka_unit_test(zoned),
                                       cmocka_unit_test(decimals)};

    return cmocka_run_group_tests_name("proto_debezium_time", tests, NULL, NULL);
}
