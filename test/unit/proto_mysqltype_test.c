/* MySQL's types: declared ones, values in both protocols, parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/mysqltype.h"

static struct mysqltype_ref of(const char *decltype)
{
    return mysqltype_of_declared(decltype, strlen(decltype));
}

static void declared_types(void **state)
{
    static const struct {
        const char *decltype;
        uint8_t type;
        const char *name;
    } cases[] = {
        {"INT", MYSQLTYPE_LONG, "int"},
        {"INTEGER", MYSQLTYPE_LONGLONG, "bigint"},
        {"int unsigned", MYSQLTYPE_LONG, "int unsigned"},
        {"TINYINT(1)", MYSQLTYPE_TINY, "tinyint(1)"},
        {"TINYINT(4)", MYSQLTYPE_TINY, "tinyint"},
        {"smallint", MYSQLTYPE_SHORT, "smallint"},
        {"mediumint(8)", MYSQLTYPE_INT24, "mediumint"},
        {"BIGINT UNSIGNED", MYSQLTYPE_LONGLONG, "bigint unsigned"},
        {"boolean", MYSQLTYPE_TINY, "tinyint(1)"},
        {"DECIMAL(10,2)", MYSQLTYPE_NEWDECIMAL, "decimal(10,2)"},
        {"DECIMAL UNSIGNED(6, 3)", MYSQLTYPE_NEWDECIMAL, "decimal(6,3) unsigned"},
        {"DOUBLE PRECISION", MYSQLTYPE_DOUBLE, "double"},
        {"VARCHAR(20)", MYSQLTYPE_VAR_STRING, "varchar(20)"},
        {"char", MYSQLTYPE_STRING, "char(1)"},
        {"TEXT", MYSQLTYPE_BLOB, "text"},
        {"VARBINARY(16)", MYSQLTYPE_VAR_STRING, "varbinary(16)"},
        {"LONGBLOB", MYSQLTYPE_BLOB, "longblob"},
        {"DATETIME(6)", MYSQLTYPE_DATETIME, "datetime(6)"},
        {"timestamp with time zone", MYSQLTYPE_TIMESTAMP, "timestamp"},
        {"JSONB", MYSQLTYPE_JSON, "json"},
        {"UUID", MYSQLTYPE_STRING, "char(36)"},
        {"FLOATING POINT", MYSQLTYPE_LONGLONG, "bigint"}, /* SQLite's affinity: it has INT in it */
        {"STRING", MYSQLTYPE_NULL, "string"},
        {"", MYSQLTYPE_NULL, "blob"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf b = BUF_INIT;
        assert_int_equal(of(cases[i].decltype).type, cases[i].type);
        mysqltype_name(&b, cases[i].decltype, strlen(cases[i].decltype));
        assert_string_equal(buf_cstr(&b), cases[i].name);
        buf_free(&b);
    }
    assert_int_equal(mysqltype_of_declared(NULL, 0).type, MYSQLTYPE_NULL);
    assert_int_equal(of("TEXT").charset, 255);
    assert_int_equal(of("BLOB").charset, 63);
}

static struct value text(const char *s)
{
    return value_text(s, strlen(s));
}

static void assert_text(const char *decltype, struct value v, const char *expected)
{
    struct buf b = BUF_INIT;
    struct mysqltype_ref t = of(decltype);
    enum mysqltype_fault f = mysqltype_put_text(&b, &t, &v);

    if (!expected) {
        assert_int_not_equal(f, MYSQLTYPE_FINE);
        assert_int_equal(b.len, 0);
    } else {
        assert_int_equal(f, MYSQLTYPE_FINE);
        assert_int_equal((unsigned char)b.data[0], strlen(expected));
        assert_memory_equal(b.data + 1, expected, strlen(expected));
        assert_int_equal(b.len, strlen(expected) + 1);
    }
    buf_free(&b);
}

static void texts(void **state)
{
    (void)state;
    assert_text("INT", value_int(INT64_MIN), "-9223372036854775808");
    assert_text("INT", value_real(5), "5");
    assert_text("INT", value_real(5.5), NULL);
    assert_text("INT", text("12"), "12");
    assert_text("INT", text("x"), NULL);
    assert_text("INT", value_blob("1", 1), NULL);
    assert_text("DOUBLE", value_real(0.1), "0.1");
    assert_text("DOUBLE", value_int(3), "3");
    assert_text("DOUBLE", text("1e3"), "1000");
    assert_text("DECIMAL(6,2)", value_real(12.345), "12.35");
    assert_text("DECIMAL(6,2)", value_int(7), "7.00");
    assert_text("NUMERIC", text("123456789012345678901234567890.5"),
                "123456789012345678901234567890.5");
    assert_text("DECIMAL(6,2)", text("x"), NULL);
    assert_text("DATETIME", text("2024-02-29 12:34:56"), "2024-02-29 12:34:56");
    assert_text("DATETIME", text("2024-02-29T12:34:56Z"), "2024-02-29 12:34:56");
    assert_text("DATETIME", text("2024-02-29 12:34:56+02:00"), "2024-02-29 10:34:56");
    assert_text("DATETIME", value_int(1709210096), "2024-02-29 12:34:56");
    assert_text("DATETIME", text("0000-00-00 00:00:00"), "0000-00-00 00:00:00");
    assert_text("DATETIME", text("2024-02-30 00:00:00x"), NULL);
    assert_text("DATE", text("2024-02-29 12:34:56"), "2024-02-29");
    assert_text("TIME", text("-838:59:59"), "-838:59:59");
    assert_text("TIME", text("12:00:99"), NULL);
    assert_text("VARCHAR(5)", value_int(5), "5");
    assert_text("VARCHAR(5)", text("ä"), "ä");
    assert_text("BLOB", value_blob("ab", 2), "ab");
}

static void assert_binary(const char *decltype, struct value v, const char *expected, size_t n)
{
    struct buf b = BUF_INIT;
    struct mysqltype_ref t = of(decltype);

    assert_int_equal(mysqltype_put_binary(&b, &t, &v), MYSQLTYPE_FINE);
    assert_int_equal(b.len, n);
    assert_memory_equal(b.data, expected, n);
    buf_free(&b);
}

static void binaries(void **state)
{
    struct buf b = BUF_INIT;
    struct mysqltype_ref t = of("TINYINT(1)");
    struct value big = value_int(300), none = text("no moment");

    (void)state;
    assert_binary("BIGINT", value_int(-2), "\xfe\xff\xff\xff\xff\xff\xff\xff", 8);
    assert_binary("INT", value_int(-2), "\xfe\xff\xff\xff", 4);
    assert_binary("INT UNSIGNED", value_int(4294967295), "\xff\xff\xff\xff", 4);
    assert_binary("SMALLINT", value_int(-2), "\xfe\xff", 2);
    assert_binary("BOOLEAN", value_int(1), "\x01", 1);
    assert_binary("DOUBLE", value_real(1), "\0\0\0\0\0\0\xf0\x3f", 8);
    assert_binary("DATE", text("2024-02-29"), "\x04\xe8\x07\x02\x1d", 5);
    assert_binary("DATETIME", text("2024-02-29 12:34:56"), "\x07\xe8\x07\x02\x1d\x0c\x22\x38", 8);
    assert_binary("DATETIME", text("2024-02-29 12:34:56.5"),
                  "\x0b\xe8\x07\x02\x1d\x0c\x22\x38\x20\xa1\x07\0", 12);
    assert_binary("DATETIME", text("0000-00-00"), "\0", 1);
    assert_binary("TIME", text("-30:01:02"), "\x08\x01\x01\0\0\0\x06\x01\x02", 9);
    assert_binary("TEXT", text("hi"), "\x02hi", 3);
    assert_binary("DECIMAL(5,1)", value_real(2.5),
                  "\x03"
                  "2.5",
                  4);
    assert_int_equal(mysqltype_put_binary(&b, &t, &big), MYSQLTYPE_RANGE);
    big = value_int(2147483648);
    t = of("INT");
    assert_int_equal(mysqltype_put_binary(&b, &t, &big), MYSQLTYPE_RANGE);
    t = of("INTEGER");
    assert_int_equal(mysqltype_put_binary(&b, &t, &big), MYSQLTYPE_FINE);
    buf_reset(&b);
    t = of("DATETIME");
    assert_int_equal(mysqltype_put_binary(&b, &t, &none), MYSQLTYPE_SYNTAX);
    assert_int_equal(b.len, 0);
    buf_free(&b);
}

/* What was written in the binary protocol is read as a parameter of the same type again. */
static void parameters(void **state)
{
    static const struct {
        uint8_t type;
        bool is_unsigned;
        const char *bytes;
        size_t n;
        const char *expected; /* as SQLite would print it */
        enum value_type kind;
    } cases[] = {
        {MYSQLTYPE_TINY, false, "\xff", 1, "-1", VALUE_INTEGER},
        {MYSQLTYPE_TINY, true, "\xff", 1, "255", VALUE_INTEGER},
        {MYSQLTYPE_SHORT, false, "\xfe\xff", 2, "-2", VALUE_INTEGER},
        {MYSQLTYPE_LONG, true, "\xff\xff\xff\xff", 4, "4294967295", VALUE_INTEGER},
        {MYSQLTYPE_LONGLONG, false, "\0\0\0\0\0\0\0\x80", 8, "-9223372036854775808", VALUE_INTEGER},
        {MYSQLTYPE_LONGLONG, true, "\0\0\0\0\0\0\0\x80", 8, "9.223372036854775807e+18", VALUE_REAL},
        {MYSQLTYPE_DOUBLE, false, "\0\0\0\0\0\0\x14\x40", 8, "5", VALUE_INTEGER}, /* JavaScript */
        {MYSQLTYPE_DOUBLE, false, "\0\0\0\0\0\0\x16\x40", 8, "5.5", VALUE_REAL},
        {MYSQLTYPE_FLOAT, false, "\0\0\0\x3f", 4, "0.5", VALUE_REAL},
        {MYSQLTYPE_DATE, false, "\x04\xe8\x07\x02\x1d", 5, "2024-02-29", VALUE_TEXT},
        {MYSQLTYPE_DATETIME, false, "\x0b\xe8\x07\x02\x1d\x0c\x22\x38\x20\xa1\x07\0", 12,
         "2024-02-29 12:34:56.500000", VALUE_TEXT},
        {MYSQLTYPE_TIME, false, "\x08\x01\x01\0\0\0\x06\x01\x02", 9, "-30:01:02", VALUE_TEXT},
        {MYSQLTYPE_NEWDECIMAL, false,
         "\x04"
         "12.5",
         5, "12.5", VALUE_REAL},
        {MYSQLTYPE_NEWDECIMAL, false,
         "\x14"
         "12345678901234567.89",
         21, "12345678901234567.89", VALUE_TEXT},
        {MYSQLTYPE_VAR_STRING, false,
         "\x03"
         "ab\xff",
         4, "ab\xff", VALUE_BLOB},
        {MYSQLTYPE_VAR_STRING, false, "\x02hi", 3, "hi", VALUE_TEXT},
        {MYSQLTYPE_BLOB, false, "\x02hi", 3, "hi", VALUE_BLOB},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader r = reader_of(cases[i].bytes, cases[i].n);
        struct buf scratch = BUF_INIT, out = BUF_INIT;
        struct value v;
        bool in_scratch;
        assert_true(
            mysqltype_get(&r, cases[i].type, cases[i].is_unsigned, &v, &scratch, &in_scratch));
        assert_true(reader_done(&r));
        if (in_scratch)
            v.u.s.data = scratch.data + (uintptr_t)v.u.s.data;
        assert_int_equal(v.type, cases[i].kind);
        mysqltype_put_any(&out, &v);
        if (cases[i].kind != VALUE_REAL || strchr(cases[i].expected, 'e') == NULL) {
            assert_int_equal(out.len, strlen(cases[i].expected) + 1);
            assert_memory_equal(out.data + 1, cases[i].expected, strlen(cases[i].expected));
        }
        buf_free(&scratch);
        buf_free(&out);
        for (size_t n = 0; n < cases[i].n; n++) { /* cut short, it is none */
            struct buf none = BUF_INIT;
            r = reader_of(cases[i].bytes, n);
            assert_false(
                mysqltype_get(&r, cases[i].type, cases[i].is_unsigned, &v, &none, &in_scratch));
            r = reader_of(cases[i].bytes, n);
            mysqltype_skip(&r, cases[i].type);
            assert_true(r.bad);
            buf_free(&none);
        }
        r = reader_of(cases[i].bytes, cases[i].n);
        mysqltype_skip(&r, cases[i].type);
        assert_true(reader_done(&r));
    }
}

static void parameters_that_are_none(void **state)
{
    static const struct {
        uint8_t type;
        const char *bytes;
        size_t n;
    } cases[] = {
        {MYSQLTYPE_DATE, "\x03\0\0\0", 4},
        {MYSQLTYPE_DATETIME, "\x07\xe8\x07\x0d\x1d\x0c\x22\x38", 8},
        {MYSQLTYPE_DATETIME, "\x07\xff\xff\x01\x1d\x0c\x22\x38", 8},
        {MYSQLTYPE_TIME, "\x08\0\xff\xff\xff\xff\x06\x01\x02", 9},
        {MYSQLTYPE_TIME, "\x0c\0\0\0\0\0\x06\x01\x02\xff\xff\xff\xff", 13},
        {MYSQLTYPE_VAR_STRING, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff", 9},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reader r = reader_of(cases[i].bytes, cases[i].n);
        struct buf scratch = BUF_INIT;
        struct value v;
        bool in_scratch;
        assert_false(mysqltype_get(&r, cases[i].type, false, &v, &scratch, &in_scratch));
        assert_int_equal(scratch.len, 0);
        buf_free(&scratch);
    }
}

static void wider_types(void **state)
{
    struct value i = value_int(1), r = value_real(1.5), s = text("x"), b = value_blob("x", 1),
                 null = value_null();
    struct mysqltype_ref t = mysqltype_of_value(&null);

    (void)state;
    assert_int_equal(t.type, MYSQLTYPE_NULL);
    t = mysqltype_widen(t, &i);
    assert_int_equal(t.type, MYSQLTYPE_LONGLONG);
    t = mysqltype_widen(t, &null);
    assert_int_equal(t.type, MYSQLTYPE_LONGLONG);
    t = mysqltype_widen(t, &r);
    assert_int_equal(t.type, MYSQLTYPE_DOUBLE);
    t = mysqltype_widen(t, &i);
    assert_int_equal(t.type, MYSQLTYPE_DOUBLE);
    t = mysqltype_widen(t, &s);
    assert_int_equal(t.type, MYSQLTYPE_VAR_STRING);
    t = mysqltype_widen(t, &b);
    assert_int_equal(t.type, MYSQLTYPE_BLOB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declared_types),
        cmocka_unit_test(texts),
        cmocka_unit_test(binaries),
        cmocka_unit_test(parameters),
        cmocka_unit_test(parameters_that_are_none),
        cmocka_unit_test(wider_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
