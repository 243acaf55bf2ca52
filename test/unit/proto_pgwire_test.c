/* The codec of PostgreSQL's messages: bytes as the manual draws them, and every way to cut them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/pgwire.h"

static void test_reader(void **state)
{
    struct reader r;

    (void)state;
    r = reader_of("\x01\x02\x03\x04\x05\x06\x07hi", 10);
    assert_int_equal(reader_u8(&r), 1);
    assert_int_equal(reader_u16(&r), 0x0203);
    assert_int_equal(reader_u32(&r), 0x04050607);
    assert_string_equal(reader_cstr(&r), "hi");
    assert_true(reader_done(&r));
    assert_int_equal(reader_u8(&r), 0);
    assert_true(r.bad);
    assert_false(reader_done(&r));
    assert_string_equal(reader_cstr(&r), "");
}

static void test_string_without_end(void **state)
{
    struct reader r;
    const char *s;

    (void)state;
    r = reader_of("abc", 3);
    assert_string_equal(reader_cstr(&r), "");
    assert_true(r.bad);
    assert_false(pgwire_read_string("abc", 3, &s));
    assert_false(pgwire_read_string("abc\0d", 5, &s));
    assert_true(pgwire_read_string("abc", 4, &s));
}

static void test_limits(void **state)
{
    (void)state;
    for (int type = 0; type < 256; type++) {
        bool known = type && strchr("QPBDECSHXdcfpF", type);
        assert_int_equal(pgwire_limit((char)type) > 0, known);
    }
    assert_int_equal(pgwire_limit('S'), 4);
}

static const char parse_body[] = "s1\0SELECT $1\0\0\2\0\0\0\x17\0\0\0\0";

static void test_parse(void **state)
{
    struct pgwire_parse p;

    (void)state;
    assert_true(pgwire_read_parse(parse_body, sizeof parse_body - 1, &p));
    assert_string_equal(p.name, "s1");
    assert_string_equal(p.sql, "SELECT $1");
    assert_int_equal(p.sql_len, 9);
    assert_int_equal(p.n_types, 2);
    assert_int_equal(pgwire_parse_type(&p, 0), 23);
    assert_int_equal(pgwire_parse_type(&p, 1), 0);
    assert_int_equal(pgwire_parse_type(&p, 2), 0);
    for (size_t n = 0; n < sizeof parse_body - 1; n++)
        assert_false(pgwire_read_parse(parse_body, n, &p));
}

static const char bind_body[] = "p\0s\0\0\1\0\1\0\3\0\0\0\2ab\xff\xff\xff\xff\0\0\0\0\0\2\0\0\0\1";

static void test_bind(void **state)
{
    struct pgwire_bind b;
    const char *data;
    size_t len;

    (void)state;
    assert_true(pgwire_read_bind(bind_body, sizeof bind_body - 1, &b));
    assert_string_equal(b.portal, "p");
    assert_string_equal(b.statement, "s");
    assert_int_equal(b.n_params, 3);
    assert_true(pgwire_param_is_binary(&b, 0));
    assert_true(pgwire_param_is_binary(&b, 2));
    assert_false(pgwire_result_is_binary(b.results, b.n_results, 0));
    assert_true(pgwire_result_is_binary(b.results, b.n_results, 1));
    assert_false(pgwire_result_is_binary(b.results, b.n_results, 2));
    pgwire_next_param(&b, &data, &len);
    assert_int_equal(len, 2);
    assert_memory_equal(data, "ab", 2);
    pgwire_next_param(&b, &data, &len);
    assert_null(data);
    pgwire_next_param(&b, &data, &len);
    assert_non_null(data);
    assert_int_equal(len, 0);
    for (size_t n = 0; n < sizeof bind_body - 1; n++)
        assert_false(pgwire_read_bind(bind_body, n, &b));
}

static void test_bind_refusals(void **state)
{
    struct pgwire_bind b;
    static const char format_2[] = "\0\0\0\1\0\2\0\0\0\0";
    static const char two_formats[] = "\0\0\0\2\0\0\0\0\0\1\xff\xff\xff\xff\0\0";
    static const char minus_2[] = "\0\0\0\0\0\1\xff\xff\xff\xfe\0\0";
    static const char too_long[] = "\0\0\0\0\0\1\x7f\xff\xff\xff\0\0";

    (void)state;
    assert_false(pgwire_read_bind(format_2, sizeof format_2 - 1, &b));
    assert_false(pgwire_read_bind(two_formats, sizeof two_formats - 1, &b));
    assert_false(pgwire_read_bind(minus_2, sizeof minus_2 - 1, &b));
    assert_false(pgwire_read_bind(too_long, sizeof too_long - 1, &b));
}

static void test_execute_and_targets(void **state)
{
    const char *name;
    uint32_t max;
    char what;

    (void)state;
    assert_true(pgwire_read_execute("c\0\0\0\0\5", 6, &name, &max));
    assert_int_equal(max, 5);
    assert_true(pgwire_read_execute("\0\xff\xff\xff\xff", 5, &name, &max));
    assert_int_equal(max, 0);
    assert_false(pgwire_read_execute("c\0\0\0\0", 5, &name, &max));
    assert_true(pgwire_read_target("Sx", 3, &what, &name));
    assert_int_equal(what, 'S');
    assert_string_equal(name, "x");
    assert_false(pgwire_read_target("Tx", 3, &what, &name));
    assert_false(pgwire_read_target("Sx", 2, &what, &name));
}

static void test_startup(void **state)
{
    static const char body[] = "user\0ha\0database\0d\0";
    struct reader r;
    const char *key, *value;

    (void)state;
    r = reader_of(body, sizeof body); /* the array's own NUL ends the list */
    assert_true(pgwire_startup_next(&r, &key, &value));
    assert_string_equal(key, "user");
    assert_string_equal(value, "ha");
    assert_true(pgwire_startup_next(&r, &key, &value));
    assert_false(pgwire_startup_next(&r, &key, &value));
    assert_true(reader_done(&r));
    r = reader_of(body, sizeof body - 1);
    while (pgwire_startup_next(&r, &key, &value))
        ;
    assert_false(reader_done(&r));
}

static void expect(struct buf *b, const void *bytes, size_t n)
{
    assert_true(buf_ok(b));
    assert_int_equal(b->len, n);
    assert_memory_equal(b->data, bytes, n);
    buf_reset(b);
}

#define EXPECT(b, literal) expect(b, literal, sizeof(literal) - 1)

static void test_writing(void **state)
{
    struct buf b = BUF_INIT;
    static const char *const unknown[] = {"_pq_.x"};
    const struct pgwire_field f = {
        .name = "a", .type = 23, .size = 4, .modifier = -1, .binary = true};

    (void)state;
    pgwire_write_ready(&b, 'I');
    EXPECT(&b, "Z\0\0\0\5I");
    pgwire_write_complete(&b, "SELECT 1");
    EXPECT(&b, "C\0\0\0\x0dSELECT 1\0");
    pgwire_write_empty(&b, '1');
    EXPECT(&b, "1\0\0\0\4");
    pgwire_write_parameter(&b, "a", "b");
    EXPECT(&b, "S\0\0\0\x08"
               "a\0b\0");
    pgwire_write_auth(&b, 5, "salt", 4);
    EXPECT(&b, "R\0\0\0\x0c\0\0\0\5salt");
    pgwire_write_key(&b, 7, "key!", 4);
    EXPECT(&b, "K\0\0\0\x0c\0\0\0\7key!");
    pgwire_write_negotiate(&b, PGWIRE_3_2, unknown, 1);
    EXPECT(&b, "v\0\0\0\x13\0\3\0\2\0\0\0\1_pq_.x\0");
    pgwire_write_copy(&b, 'G', true, 2);
    EXPECT(&b, "G\0\0\0\x0b\1\0\2\0\1\0\1");
    pgwire_write_field(&b, &f);
    EXPECT(&b, "a\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\1");
    buf_free(&b);
}

static void test_error_fields(void **state)
{
    struct buf b = BUF_INIT;
    const struct pgwire_error e = {.severity = "ERROR",
                                   .sqlstate = "23505",
                                   .message = "m",
                                   .detail = "d",
                                   .position = 8,
                                   .table = "t",
                                   .constraint = "k"};

    (void)state;
    pgwire_write_error(&b, 'E', &e);
    EXPECT(&b, "E\0\0\0\x29SERROR\0VERROR\0C23505\0Mm\0Dd\0P8\0tt\0nk\0\0");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader),  cmocka_unit_test(test_string_without_end),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_parse),
        cmocka_unit_test(test_bind),    cmocka_unit_test(test_bind_refusals),
        cmocka_unit_test(test_startup), cmocka_unit_test(test_execute_and_targets),
        cmocka_unit_test(test_writing), cmocka_unit_test(test_error_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
