/* Results as JSON, NDJSON and CSV. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/http/rows.h"

static struct http_rows rows;
static struct buf out;
static size_t skip;

static void begin(const struct http_rows_options *opt)
{
    buf_reset(&out);
    http_rows_begin(&rows, opt, &out);
}

static const char *text(void)
{
    skip = http_rows_decide(&rows, false);
    http_rows_end(&rows);
    return buf_cstr(&out) + skip;
}

static int teardown(void **state)
{
    (void)state;
    http_rows_fini(&rows);
    buf_free(&out);
    return 0;
}

static void columns(const struct sink_column *c, unsigned n)
{
    rows.sink.ops->columns(&rows.sink, c, n);
}
static enum sink_verdict row(const struct value *v, unsigned n)
{
    return rows.sink.ops->row(&rows.sink, v, n);
}
static void done(bool has_rows, int64_t affected, int64_t id)
{
    struct sink_done d = {.has_rows = has_rows,
                          .rows_affected = affected,
                          .last_insert_id = id,
                          .elapsed_ns = 1500000};
    rows.sink.ops->done(&rows.sink, &d);
}

static const struct sink_column user[] = {{"id", "INTEGER"}, {"name", NULL}};
static const struct sink_column x1[] = {{"x", NULL}};

static void two_rows(void)
{
    struct value a[] = {value_int(1), value_text("HA user", 7)};
    struct value b[] = {value_int(2), value_null()};

    columns(user, 2);
    assert_int_equal(row(a, 2), SINK_MORE);
    assert_int_equal(row(b, 2), SINK_MORE);
    done(true, 0, 0);
}

static void json_of_one(void **state)
{
    (void)state;
    begin(&(struct http_rows_options){0});
    two_rows();
    assert_string_equal(text(),
                        "{\"columns\":[\"id\",\"name\"],\"rows\":[[1,\"HA user\"],[2,null]]}\n");
    begin(&(struct http_rows_options){0});
    done(false, 1, 3);
    assert_string_equal(text(),
                        "{\"columns\":[\"rows_affected\",\"last_insert_id\"],\"rows\":[[1,3]]}\n");
    begin(&(struct http_rows_options){0});
    columns(x1, 1);
    done(true, 0, 0);
    assert_string_equal(text(), "{\"columns\":[\"x\"],\"rows\":[]}\n");
    begin(&(struct http_rows_options){0});
    assert_string_equal(text(),
                        "{\"columns\":[\"rows_affected\",\"last_insert_id\"],\"rows\":[[0,0]]}\n");
}

static void json_of_several(void **state)
{
    (void)state;
    begin(&(struct http_rows_options){0});
    done(false, 1, 3);
    two_rows();
    assert_string_equal(text(), "{\"results\":[{\"columns\":[\"rows_affected\",\"last_insert_id\"],"
                                "\"rows\":[[1,3]]},{\"columns\":[\"id\",\"name\"],"
                                "\"rows\":[[1,\"HA user\"],[2,null]]}]}\n");
    begin(&(struct http_rows_options){.array = true});
    done(false, 0, 0);
    assert_string_equal(text(), "{\"results\":[{\"columns\":[\"rows_affected\",\"last_insert_id\"],"
                                "\"rows\":[[0,0]]}]}\n");
    begin(&(struct http_rows_options){.array = true});
    assert_string_equal(text(), "{\"results\":[]}\n");
}

static void json_decided_early(void **state)
{
    (void)state;
    begin(&(struct http_rows_options){0});
    columns(x1, 1);
    assert_int_equal(http_rows_decide(&rows, true), 0);
    done(true, 0, 0);
    http_rows_end(&rows);
    assert_string_equal(buf_cstr(&out), "{\"results\":[{\"columns\":[\"x\"],\"rows\":[]}]}\n");
}

static void json_details(void **state)
{
    (void)state;
    begin(&(struct http_rows_options){.details = true});
    two_rows();
    assert_string_equal(
        text(), "{\"columns\":[\"id\",\"name\"],\"types\":[\"INTEGER\",null],"
                "\"rows\":[[1,\"HA user\"],[2,null]],\"returns_rows\":true,\"rows_affected\":0,"
                "\"last_insert_id\":0,\"time\":0.0015}\n");
}

static void json_objects(void **state)
{
    static const struct sink_column same[] = {{"a", NULL}, {"b\"", NULL}, {"a", NULL}, {"a", NULL}};
    struct value v[] = {value_int(1), value_int(2), value_int(3), value_int(4)};

    (void)state;
    begin(&(struct http_rows_options){.associative = true});
    columns(same, 4);
    row(v, 4);
    row(v, 4);
    done(true, 0, 0);
    assert_string_equal(text(), "{\"columns\":[\"a\",\"b\\\"\",\"a\",\"a\"],\"rows\":["
                                "{\"a\":1,\"b\\\"\":2,\"a:1\":3,\"a:2\":4},"
                                "{\"a\":1,\"b\\\"\":2,\"a:1\":3,\"a:2\":4}]}\n");
    begin(&(struct http_rows_options){.associative = true});
    done(false, 1, 3);
    assert_string_equal(text(), "{\"columns\":[\"rows_affected\",\"last_insert_id\"],"
                                "\"rows\":[{\"rows_affected\":1,\"last_insert_id\":3}]}\n");
}

static const char *json_of(struct value v)
{
    static const char head[] = "{\"columns\":[\"x\"],\"rows\":[[";
    char *s;

    begin(&(struct http_rows_options){0});
    columns(x1, 1);
    row(&v, 1);
    done(true, 0, 0);
    s = (char *)text() + sizeof head - 1;
    s[strlen(s) - 4] = '\0'; /* ]]}\n */
    return s;
}

static void json_values(void **state)
{
    (void)state;
    assert_string_equal(json_of(value_null()), "null");
    assert_string_equal(json_of(value_int(INT64_MIN)), "-9223372036854775808");
    assert_string_equal(json_of(value_int(INT64_MAX)), "9223372036854775807");
    assert_string_equal(json_of(value_real(1)), "1.0");
    assert_string_equal(json_of(value_real(0.1)), "0.1");
    assert_string_equal(json_of(value_real(1e300)), "1e+300");
    assert_string_equal(json_of(value_real(INFINITY)), "{\"type\":\"real\",\"value\":\"inf\"}");
    assert_string_equal(json_of(value_real(-INFINITY)), "{\"type\":\"real\",\"value\":\"-inf\"}");
    assert_string_equal(json_of(value_real(NAN)), "null");
    assert_string_equal(json_of(value_text("a\"\\\n\x01\xC3\xA9", 7)),
                        "\"a\\\"\\\\\\n\\u0001\xC3\xA9\"");
    assert_string_equal(json_of(value_text(NULL, 0)), "\"\"");
    assert_string_equal(json_of(value_text("a\0b", 3)), "{\"type\":\"text\",\"base64\":\"YQBi\"}");
    assert_string_equal(json_of(value_text("\xFF", 1)), "{\"type\":\"text\",\"base64\":\"/w==\"}");
    assert_string_equal(json_of(value_blob("\0\1\xFF", 3)),
                        "{\"type\":\"blob\",\"base64\":\"AAH/\"}");
    assert_string_equal(json_of(value_blob(NULL, 0)), "{\"type\":\"blob\",\"base64\":\"\"}");
}

static void ndjson(void **state)
{
    (void)state;
    begin(&(struct http_rows_options){.format = HTTP_NDJSON});
    two_rows();
    done(false, 1, 3);
    assert_string_equal(text(), "{\"columns\":[\"id\",\"name\"],\"types\":[\"INTEGER\",null]}\n"
                                "[1,\"HA user\"]\n[2,null]\n"
                                "{\"columns\":[\"rows_affected\",\"last_insert_id\"],"
                                "\"types\":[\"INTEGER\",\"INTEGER\"]}\n[1,3]\n");
    begin(&(struct http_rows_options){.format = HTTP_NDJSON, .details = true, .associative = true});
    columns(x1, 1);
    row(&(struct value){.type = VALUE_INTEGER, .u.i = 5}, 1);
    done(true, 0, 0);
    assert_string_equal(text(), "{\"columns\":[\"x\"],\"types\":[null]}\n{\"x\":5}\n"
                                "{\"returns_rows\":true,\"rows_affected\":0,\"last_insert_id\":0,"
                                "\"time\":0.0015}\n");
}

static void csv(void **state)
{
    static const struct sink_column cols[] = {
        {"plain", NULL}, {"with, comma", NULL}, {"\"q\"", NULL}};
    struct value a[] = {value_null(), value_text("", 0), value_text("a\"b\"", 4)};
    struct value b[] = {value_real(-INFINITY), value_int(-5), value_text("x\r\ny", 4)};
    struct value c[] = {value_blob("\0\1\xFF", 3), value_blob(NULL, 0), value_real(2)};

    (void)state;
    begin(&(struct http_rows_options){.format = HTTP_CSV});
    columns(cols, 3);
    row(a, 3);
    row(b, 3);
    row(c, 3);
    done(true, 0, 0);
    done(false, 1, 3);
    assert_string_equal(text(), "plain,\"with, comma\",\"\"\"q\"\"\"\r\n"
                                ",\"\",\"a\"\"b\"\"\"\r\n"
                                "-inf,-5,\"x\r\ny\"\r\n"
                                "AAH/,\"\",2.0\r\n"
                                "\r\nrows_affected,last_insert_id\r\n1,3\r\n");
}

static void asks_for_a_pause(void **state)
{
    char big[1000];
    struct value v[] = {value_text(big, sizeof big)};
    unsigned n = 0;

    (void)state;
    memset(big, 'x', sizeof big);
    begin(&(struct http_rows_options){0});
    columns(x1, 1);
    while (row(v, 1) == SINK_MORE)
        n++;
    assert_in_range(n, 60, 66);
}

static void refuses_a_huge_row(void **state)
{
    struct value v[] = {value_text("123456", 6), value_blob("12345", 5)};

    (void)state;
    begin(&(struct http_rows_options){.max_row_bytes = 11});
    columns(user, 2);
    assert_int_equal(row(v, 2), SINK_MORE);
    begin(&(struct http_rows_options){.max_row_bytes = 10});
    columns(user, 2);
    assert_int_equal(row(v, 2), SINK_STOP);
}

static void several_statements(void **state)
{
    static const char *const one[] = {"",
                                      "  ",
                                      ";",
                                      ";;",
                                      "SELECT 1",
                                      "SELECT 1;",
                                      "SELECT 1 ; ; ",
                                      "SELECT ';';",
                                      "SELECT \";\" -- ; x",
                                      "SELECT 1; -- x",
                                      "SELECT 1; /* x",
                                      "SELECT 1; /* ; */ ;",
                                      "SELECT [;]; \n",
                                      "SELECT `;`",
                                      "-- x; y\nSELECT 1",
                                      "SELECT 'it''s;'",
                                      ";SELECT 1",
                                      "SELECT 1 /",
                                      "SELECT 1 -",
                                      "'",
                                      "SELECT '; 2"};
    static const char *const two[] = {"SELECT 1;SELECT 2",
                                      "SELECT 1;;x",
                                      "SELECT ';'; 'x'",
                                      "a; -- b\nc",
                                      "a;/**/b",
                                      "a;-",
                                      "a;/"};

    (void)state;
    for (size_t i = 0; i < sizeof one / sizeof *one; i++)
        if (http_rows_is_several(one[i], strlen(one[i])))
            fail_msg("%s is one statement", one[i]);
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (!http_rows_is_several(two[i], strlen(two[i])))
            fail_msg("%s is two statements", two[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_of_one),
        cmocka_unit_test(json_of_several),
        cmocka_unit_test(json_decided_early),
        cmocka_unit_test(json_details),
        cmocka_unit_test(json_objects),
        cmocka_unit_test(json_values),
        cmocka_unit_test(ndjson),
        cmocka_unit_test(csv),
        cmocka_unit_test(asks_for_a_pause),
        cmocka_unit_test(refuses_a_huge_row),
        cmocka_unit_test(several_statements),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
