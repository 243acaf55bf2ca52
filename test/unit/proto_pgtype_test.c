/* Types: declared ones, values out in both formats, parameters in, and what cannot be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/pgtype.h"

static void test_declared(void **state)
{
    static const struct {
        const char *decl;
        uint32_t oid;
        int32_t modifier;
    } cases[] = {
        {"INTEGER", PGTYPE_INT8, -1},
        {"int", PGTYPE_INT8, -1},
        {"SmallInt", PGTYPE_INT2, -1},
        {"INT4", PGTYPE_INT4, -1},
        {"UNSIGNED BIG INT", PGTYPE_INT8, -1},
        {"BOOLEAN", PGTYPE_BOOL, -1},
        {"REAL", PGTYPE_FLOAT8, -1},
        {"double  precision", PGTYPE_FLOAT8, -1},
        {"NUMERIC(10, 2)", PGTYPE_NUMERIC, (10 << 16 | 2) + 4},
        {"DECIMAL", PGTYPE_NUMERIC, -1},
        {"VARCHAR(20)", PGTYPE_VARCHAR, 24},
        {"character varying(7)", PGTYPE_VARCHAR, 11},
        {"CHAR(3)", PGTYPE_BPCHAR, 7},
        {"TEXT", PGTYPE_TEXT, -1},
        {"BLOB", PGTYPE_BYTEA, -1},
        {"DATE", PGTYPE_DATE, -1},
        {"TIME", PGTYPE_TIME, -1},
        {"DATETIME", PGTYPE_TIMESTAMP, -1},
        {"timestamp(3) with time zone", PGTYPE_TIMESTAMPTZ, 3},
        {"TIMESTAMPTZ", PGTYPE_TIMESTAMPTZ, -1},
        {"JSON", PGTYPE_JSON, -1},
        {"jsonb", PGTYPE_JSONB, -1},
        {"UUID", PGTYPE_UUID, -1},
        {"whatever", PGTYPE_NUMERIC, -1},
        {"LONGTEXT", PGTYPE_TEXT, -1},
        {"", PGTYPE_NONE, -1},
        {"(", PGTYPE_NUMERIC, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pgtype_ref r = pgtype_of_declared(cases[i].decl, strlen(cases[i].decl));
        if (r.oid != cases[i].oid || r.modifier != cases[i].modifier)
            fail_msg("%s: %u, %d", cases[i].decl, r.oid, r.modifier);
    }
    assert_int_equal(pgtype_of_declared(NULL, 0).oid, PGTYPE_NONE);
}

static struct value text(const char *s)
{
    return value_text(s, strlen(s));
}

static void expect_text(uint32_t oid, struct value v, const char *want)
{
    struct buf b = BUF_INIT;
    enum pgtype_fault f = pgtype_put_text(&b, oid, &v);

    if (f != PGTYPE_FINE || strcmp(buf_cstr(&b), want) != 0)
        fail_msg("type %u: fault %d, \"%s\", not \"%s\"", oid, f, buf_cstr(&b), want);
    buf_free(&b);
}

static void test_put_text(void **state)
{
    (void)state;
    expect_text(PGTYPE_BOOL, value_int(1), "t");
    expect_text(PGTYPE_BOOL, value_int(0), "f");
    expect_text(PGTYPE_BOOL, text("true"), "t");
    expect_text(PGTYPE_INT8, value_int(INT64_MIN), "-9223372036854775808");
    expect_text(PGTYPE_INT8, value_real(3.0), "3");
    expect_text(PGTYPE_INT4, text(" 42 "), "42");
    expect_text(PGTYPE_FLOAT8, value_real(0.1), "0.1");
    expect_text(PGTYPE_FLOAT8, value_real(1.0), "1");
    expect_text(PGTYPE_FLOAT8, value_real(0.1 + 0.2), "0.30000000000000004");
    expect_text(PGTYPE_FLOAT8, value_real(-INFINITY), "-Infinity");
    expect_text(PGTYPE_TEXT, value_real(1.0), "1.0");
    expect_text(PGTYPE_NUMERIC, value_real(1e21), "1000000000000000000000");
    expect_text(PGTYPE_NUMERIC, value_real(1.5e-7), "0.00000015");
    expect_text(PGTYPE_NUMERIC, value_real(-0.25), "-0.25");
    expect_text(PGTYPE_NUMERIC, value_real(123.5), "123.5");
    expect_text(PGTYPE_BYTEA, value_blob("\0\xff", 2), "\\x00ff");
    expect_text(PGTYPE_DATE, text("2026-01-31 10:00:00"), "2026-01-31");
    expect_text(PGTYPE_DATE, value_int(0), "1970-01-01");
    expect_text(PGTYPE_DATE, value_real(2440587.5), "1970-01-01");
    expect_text(PGTYPE_TIMESTAMP, text("2026-01-31T10:00:00.5Z"), "2026-01-31 10:00:00.5");
    expect_text(PGTYPE_TIMESTAMP, text("0001-01-01"), "0001-01-01 00:00:00");
    expect_text(PGTYPE_TIMESTAMP, value_int(1700000000), "2023-11-14 22:13:20");
    expect_text(PGTYPE_TIMESTAMP, value_int(1700000000123), "2023-11-14 22:13:20.123");
    expect_text(PGTYPE_TIMESTAMPTZ, text("2026-01-31 10:00:00+02:00"), "2026-01-31 08:00:00+00");
    expect_text(PGTYPE_TIME, text("10:00"), "10:00:00");
    expect_text(PGTYPE_UUID,
                value_blob("\x12\x34\x56\x78\x9a\xbc\xde\xf0\x12\x34\x56\x78\x9a\xbc"
                           "\xde\xf0",
                           16),
                "12345678-9abc-def0-1234-56789abcdef0");
}

static void expect_fault(uint32_t oid, bool binary, struct value v, enum pgtype_fault want)
{
    struct buf b = BUF_INIT;

    buf_puts(&b, "x");
    assert_int_equal(pgtype_put(&b, oid, binary, &v), want);
    assert_int_equal(b.len, 1);
    buf_free(&b);
}

static void test_scale(void **state)
{
    static const struct {
        double value;
        int scale;
        const char *text;
    } cases[] = {
        {12.5, 2, "12.50"},   {1.25, 1, "1.3"},    {-1.25, 1, "-1.3"},
        {9.995, 2, "10.00"},  {-9.96, 1, "-10.0"}, {0.5, 0, "1"},
        {0.4, 0, "0"},        {3, 3, "3.000"},     {1e15, 1, "1000000000000000.0"},
        {0.0004, 3, "0.000"}, {99.5, 0, "100"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = BUF_INIT;
        struct value v = value_real(cases[i].value);
        assert_true(pgtype_scale(&b, (10 << 16 | cases[i].scale) + 4, &v));
        assert_string_equal(buf_cstr(&b), cases[i].text);
        buf_free(&b);
    }
    struct buf b = BUF_INIT;
    struct value v = value_int(-7);
    assert_true(pgtype_scale(&b, (10 << 16 | 2) + 4, &v));
    assert_string_equal(buf_cstr(&b), "-7.00");
    buf_free(&b);
    assert_false(pgtype_scale(&b, -1, &v));
}

static void test_put_faults(void **state)
{
    (void)state;
    expect_fault(PGTYPE_INT8, false, text("abc"), PGTYPE_SYNTAX);
    expect_fault(PGTYPE_INT8, true, value_real(1.5), PGTYPE_SYNTAX);
    expect_fault(PGTYPE_INT8, true, value_real(1e300), PGTYPE_RANGE);
    expect_fault(PGTYPE_INT8, true, value_real(NAN), PGTYPE_RANGE);
    expect_fault(PGTYPE_INT8, false, text("9223372036854775808"), PGTYPE_SYNTAX);
    expect_fault(PGTYPE_INT2, false, value_int(32768), PGTYPE_RANGE);
    expect_fault(PGTYPE_BOOL, true, text("maybe"), PGTYPE_SYNTAX);
    expect_fault(PGTYPE_DATE, true, text("2026-02-30"), PGTYPE_SYNTAX);
    expect_fault(PGTYPE_TIMESTAMP, true, value_int(INT64_MAX), PGTYPE_SYNTAX);
    expect_fault(PGTYPE_UUID, true, value_blob("x", 1), PGTYPE_SYNTAX);
    expect_fault(PGTYPE_NUMERIC, true, text("1.2.3"), PGTYPE_SYNTAX);
    expect_fault(1009, true, text("{{a}}"), PGTYPE_NO_BINARY);
    expect_fault(1009, true, text("{a"), PGTYPE_SYNTAX);
    expect_fault(1009, true, text("{a,}"), PGTYPE_SYNTAX);
    expect_fault(1009, true, text("{\"a}"), PGTYPE_SYNTAX);
    expect_fault(1009, true, text("{a}x"), PGTYPE_SYNTAX);
    expect_fault(1009, true, value_int(1), PGTYPE_SYNTAX);
    expect_fault(1007, true, text("{1,x}"), PGTYPE_SYNTAX);
    expect_fault(1007, true, text("{1,2147483648}"), PGTYPE_RANGE);
    expect_fault(PGTYPE_INT2VECTOR, true, text("1 2"), PGTYPE_NO_BINARY);
}

/* Out in binary and in again: the value that SQLite would keep. */
static void round_trip(uint32_t oid, bool binary, struct value v, const char *want)
{
    struct buf b = BUF_INIT, scratch = BUF_INIT, shown = BUF_INIT;
    struct value back;
    bool in_scratch = false;

    assert_int_equal(pgtype_put(&b, oid, binary, &v), PGTYPE_FINE);
    assert_int_equal(pgtype_get(oid, binary, b.data + 4, b.len - 4, &back, &scratch, &in_scratch),
                     PGTYPE_FINE);
    if (in_scratch)
        pgtype_settle(&back, &scratch);
    switch (back.type) {
    case VALUE_INTEGER:
        buf_printf(&shown, "i:%lld", (long long)back.u.i);
        break;
    case VALUE_REAL:
        buf_printf(&shown, "r:%.17g", back.u.r);
        break;
    case VALUE_TEXT:
        buf_puts(&shown, "t:");
        buf_put(&shown, back.u.s.data, back.u.s.len);
        break;
    default:
        buf_puts(&shown, "b:");
        buf_put(&shown, back.u.s.data, back.u.s.len);
        break;
    }
    assert_string_equal(buf_cstr(&shown), want);
    buf_free(&b);
    buf_free(&scratch);
    buf_free(&shown);
}

static void test_round_trips(void **state)
{
    (void)state;
    round_trip(1007, true, text("{1,NULL,-3}"), "t:{1,NULL,-3}");
    round_trip(1007, true, text(" { 1 , 2 } "), "t:{1,2}");
    round_trip(1009, true, text("{}"), "t:{}");
    round_trip(1009, true, text("{a,\"b c\",\"\",\"NULL\",NULL,\"q\\\"x\",\"\\\\\"}"),
               "t:{a,\"b c\",\"\",\"NULL\",NULL,\"q\\\"x\",\"\\\\\"}");
    round_trip(1231, true, text("{1.50,2}"), "t:{1.5,2}");
    round_trip(1115, true, text("{\"2024-02-29 12:00:00\"}"), "t:{\"2024-02-29 12:00:00\"}");
    for (int binary = 0; binary < 2; binary++) {
        round_trip(PGTYPE_BOOL, binary, value_int(1), "i:1");
        round_trip(PGTYPE_INT2, binary, value_int(-5), "i:-5");
        round_trip(PGTYPE_INT4, binary, value_int(INT32_MIN), "i:-2147483648");
        round_trip(PGTYPE_INT8, binary, value_int(INT64_MAX), "i:9223372036854775807");
        round_trip(PGTYPE_FLOAT8, binary, value_real(0.1), "r:0.10000000000000001");
        round_trip(PGTYPE_FLOAT8, binary, value_real(5e-324), "r:4.9406564584124654e-324");
        round_trip(PGTYPE_NUMERIC, binary, value_int(120000), "i:120000");
        round_trip(PGTYPE_NUMERIC, binary, value_real(-1234.5), "r:-1234.5");
        round_trip(PGTYPE_NUMERIC, binary, text("12345678901234567890.123"),
                   "t:12345678901234567890.123");
        round_trip(PGTYPE_NUMERIC, binary, text("0.0001"), "r:0.0001");
        round_trip(PGTYPE_NUMERIC, binary, text("10000.00010000"), "r:10000.000099999999");
        round_trip(PGTYPE_TEXT, binary, text("h\xc3\xa9"), "t:h\xc3\xa9");
        round_trip(PGTYPE_BYTEA, binary, value_blob("a\\b", 3), "b:a\\b");
        round_trip(PGTYPE_DATE, binary, text("1999-12-31"), "t:1999-12-31");
        round_trip(PGTYPE_DATE, binary, text("0001-01-01"), "t:0001-01-01");
        round_trip(PGTYPE_TIME, binary, text("23:59:59.000001"), "t:23:59:59.000001");
        round_trip(PGTYPE_TIMESTAMP, binary, text("9999-12-31 23:59:59.999999"),
                   "t:9999-12-31 23:59:59.999999");
        round_trip(PGTYPE_TIMESTAMPTZ, binary, text("1969-12-31 23:59:59Z"),
                   "t:1969-12-31 23:59:59+00:00");
        round_trip(PGTYPE_UUID, binary, text("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
                   "t:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        round_trip(PGTYPE_JSONB, binary, text("{\"a\":1}"), "t:{\"a\":1}");
    }
}

static enum pgtype_fault get(uint32_t oid, bool binary, const char *s, size_t n)
{
    struct buf scratch = BUF_INIT;
    struct value v;
    bool in_scratch;
    enum pgtype_fault f = pgtype_get(oid, binary, s, n, &v, &scratch, &in_scratch);

    buf_free(&scratch);
    return f;
}

static void test_get_faults(void **state)
{
    static const char *const no_int[] = {"", " ", "-", "1x", "1.5", "0x10", "--1", "1 2"};
    static const char *const no_time[] = {
        "", "2026", "2026-13-01", "2026-01-01 25:00", "now", "2026-01-01 10:00:00 Mars"};

    (void)state;
    for (size_t i = 0; i < sizeof no_int / sizeof *no_int; i++)
        assert_int_equal(get(PGTYPE_INT8, false, no_int[i], strlen(no_int[i])), PGTYPE_SYNTAX);
    for (size_t i = 0; i < sizeof no_time / sizeof *no_time; i++)
        assert_int_equal(get(PGTYPE_TIMESTAMP, false, no_time[i], strlen(no_time[i])),
                         PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_INT4, false, "2147483648", 10), PGTYPE_RANGE);
    assert_int_equal(get(PGTYPE_INT8, false, "99999999999999999999999999999999999", 35),
                     PGTYPE_RANGE);
    assert_int_equal(get(PGTYPE_INT4, true, "\0\0\1", 3), PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_FLOAT8, true, "\0\0\0\0", 4), PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_BOOL, false, "o", 1), PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_BYTEA, false, "\\x0", 3), PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_BYTEA, false, "a\\", 2), PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_UUID, false, "12", 2), PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_NUMERIC, true, "\0\1\0\0\0\0\0\0", 8), PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_NUMERIC, true, "\0\1\0\0\0\0\0\0\x27\x10", 10), PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_TIMESTAMP, true, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8),
                     PGTYPE_RANGE);
    assert_int_equal(get(PGTYPE_JSONB, true, "\2{}", 3), PGTYPE_SYNTAX);
    assert_int_equal(get(1009, true, "", 0), PGTYPE_SYNTAX);
    /* Two dimensions; another element's type; a count without elements. */
    assert_int_equal(get(1009, true, "\0\0\0\2\0\0\0\0\0\0\0\x19", 12), PGTYPE_NO_BINARY);
    assert_int_equal(get(1009, true, "\0\0\0\0\0\0\0\0\0\0\0\x17", 12), PGTYPE_SYNTAX);
    assert_int_equal(get(1009, true, "\0\0\0\1\0\0\0\0\0\0\0\x19\x7f\xff\xff\xff\0\0\0\1", 20),
                     PGTYPE_SYNTAX);
    assert_int_equal(get(PGTYPE_TEXT, false, "a\xff", 2), PGTYPE_ENCODING);
    assert_int_equal(get(PGTYPE_TEXT, true, "a\0b", 3), PGTYPE_ENCODING);
    assert_int_equal(get(PGTYPE_INT8, false, "\xc3", 1), PGTYPE_ENCODING);
    assert_int_equal(get(PGTYPE_JSONB, true, "\1\xff", 2), PGTYPE_ENCODING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_declared),    cmocka_unit_test(test_put_text),
        cmocka_unit_test(test_scale),       cmocka_unit_test(test_put_faults),
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_get_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
