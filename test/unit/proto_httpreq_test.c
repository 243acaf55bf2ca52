/* Bodies of HTTP requests: shapes, values, limits, and the same answer however the bytes are cut.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proto/httpreq.h"

static struct arena *arena;
static struct httpreq_body body;
static struct err e;

static int setup(void **state)
{
    (void)state;
    arena = arena_new();
    return arena ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static enum err_code parse_expected(const char *text, size_t len, size_t piece, size_t expected)
{
    struct httpreq *h;
    enum err_code code = ERR_OK;

    arena_reset(arena);
    err_clear(&e);
    h = httpreq_begin(arena, expected);
    assert_non_null(h);
    for (size_t at = 0; at < len && code == ERR_OK; at += piece)
        code = httpreq_feed(h, text + at, len - at < piece ? len - at : piece, &e);
    code = httpreq_end(h, &body, &e);
    httpreq_free(h);
    assert_int_equal(code, e.code);
    return code;
}

static enum err_code parse_pieces(const char *text, size_t len, size_t piece)
{
    return parse_expected(text, len, piece, 0);
}

static enum err_code parse(const char *text)
{
    size_t len = strlen(text);
    enum err_code whole = parse_pieces(text, len, len ? len : 1);
    char msg[ERR_MSG_SIZE];

    memcpy(msg, e.msg, sizeof msg);
    for (size_t piece = 1; piece < 8; piece++) {
        assert_int_equal(parse_pieces(text, len, piece), whole);
        assert_int_equal(parse_expected(text, len, piece, len), whole);
        assert_int_equal(parse_expected(text, len, piece, len / 2), whole);
        assert_int_equal(parse_expected(text, len, piece, len * 2), whole);
    }
    (void)parse_pieces(text, len, len ? len : 1);
    return whole;
}

/* The single parameter of {"sql": "x", "params": [text]}. */
static const struct value *value_of(const char *text)
{
    struct buf b = BUF_INIT;
    enum err_code code;

    buf_printf(&b, "{\"sql\":\"x\",\"params\":[%s]}", text);
    code = parse(buf_cstr(&b));
    buf_free(&b);
    if (code != ERR_OK)
        return NULL;
    assert_int_equal(body.queries[0].n_params, 1);
    assert_null(body.queries[0].params[0].name);
    return &body.queries[0].params[0].value;
}

static void assert_refused(const char *text, enum err_code code, const char *says)
{
    assert_int_equal(parse(text), code);
    if (!strstr(e.msg, says))
        fail_msg("%s does not say %s", e.msg, says);
}

/* ---- shapes ---- */

static void one_object(void **state)
{
    (void)state;
    assert_int_equal(parse(" {\"sql\": \"SELECT 1\"} \n"), ERR_OK);
    assert_false(body.array);
    assert_int_equal(body.n, 1);
    assert_int_equal(body.queries[0].len, 8);
    assert_string_equal(body.queries[0].sql, "SELECT 1");
    assert_int_equal(body.queries[0].n_params, 0);
}

static void an_array(void **state)
{
    (void)state;
    assert_int_equal(parse("[{\"sql\":\"a\",\"params\":{\":x\":1,\"y\":null}},"
                           "{\"params\":[1,2,3],\"sql\":\"b\"},{\"sql\":\"c\",\"params\":null}]"),
                     ERR_OK);
    assert_true(body.array);
    assert_int_equal(body.n, 3);
    assert_int_equal(body.queries[0].n_params, 2);
    assert_string_equal(body.queries[0].params[0].name, ":x");
    assert_string_equal(body.queries[0].params[1].name, "y");
    assert_int_equal(body.queries[0].params[1].value.type, VALUE_NULL);
    assert_int_equal(body.queries[1].n_params, 3);
    assert_int_equal(body.queries[1].params[2].value.u.i, 3);
    assert_int_equal(body.queries[2].n_params, 0);
}

static void array_of_one_stays_an_array(void **state)
{
    (void)state;
    assert_int_equal(parse("[{\"sql\":\"a\"}]"), ERR_OK);
    assert_true(body.array);
    assert_int_equal(body.n, 1);
}

static void other_fields_are_skipped(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"x\":{\"sql\":[1,{\"sql\":2}]},\"sql\":\"a\",\"y\":[[]],\"z\":true,"
                           "\"params\":{\"p\":{\"type\":\"null\",\"more\":[{}],\"again\":1}}}"),
                     ERR_OK);
    assert_string_equal(body.queries[0].sql, "a");
    assert_int_equal(body.queries[0].n_params, 1);
}

static void sql_may_hold_anything(void **state)
{
    (void)state;
    assert_int_equal(parse("{\"sql\":\"a\\u0000\\n\\ud83d\\ude00é\"}"), ERR_OK);
    assert_int_equal(body.queries[0].len, 9);
    assert_memory_equal(body.queries[0].sql, "a\0\n\xF0\x9F\x98\x80\xC3\xA9", 10);
}

static void wrong_shapes(void **state)
{
    (void)state;
    assert_refused("", ERR_PROTOCOL, "empty");
    assert_refused("  ", ERR_PROTOCOL, "too early");
    assert_refused("[]", ERR_PROTOCOL, "no query");
    assert_refused("5", ERR_PROTOCOL, "neither an object nor an array");
    assert_refused("\"x\"", ERR_PROTOCOL, "neither an object nor an array");
    assert_refused("null", ERR_PROTOCOL, "neither an object nor an array");
    assert_refused("[5]", ERR_PROTOCOL, "query 1: not an object");
    assert_refused("[{\"sql\":\"a\"},[]]", ERR_PROTOCOL, "query 2: not an object");
    assert_refused("{}", ERR_PROTOCOL, "\"sql\" is missing");
    assert_refused("[{\"sql\":\"a\"},{}]", ERR_PROTOCOL, "query 2: \"sql\" is missing");
    assert_refused("{\"sql\":1}", ERR_PROTOCOL, "\"sql\" is not a string");
    assert_refused("{\"sql\":null}", ERR_PROTOCOL, "\"sql\" is not a string");
    assert_refused("{\"sql\":[]}", ERR_PROTOCOL, "\"sql\" is not a string");
    assert_refused("{\"sql\":\"a\",\"sql\":\"b\"}", ERR_PROTOCOL, "twice");
    assert_refused("{\"sql\":\"a\",\"params\":5}", ERR_PROTOCOL, "\"params\" is neither");
    assert_refused("{\"sql\":\"a\"", ERR_PROTOCOL, "too early");
    assert_refused("{\"sql\":\"a\"}x", ERR_PROTOCOL, "byte");
    assert_refused("{\"sql\":\"a\"}{\"sql\":\"a\"}", ERR_PROTOCOL, "byte");
    assert_refused("{\"sql\" \"a\"}", ERR_PROTOCOL, "byte 10");
    assert_refused("{'sql':'a'}", ERR_PROTOCOL, "byte");
    assert_refused("{\"sql\":\"a\"} // no", ERR_PROTOCOL, "byte");
    assert_refused("{\"sql\":\"\xFF\"}", ERR_PROTOCOL, "UTF");
}

/* ---- values ---- */

static void numbers(void **state)
{
    const struct value *v;

    (void)state;
    v = value_of("9223372036854775807");
    assert_int_equal(v->type, VALUE_INTEGER);
    assert_true(v->u.i == INT64_MAX);
    v = value_of("-9223372036854775808");
    assert_true(v->type == VALUE_INTEGER && v->u.i == INT64_MIN);
    v = value_of("0");
    assert_true(v->type == VALUE_INTEGER && v->u.i == 0);
    v = value_of("-0");
    assert_true(v->type == VALUE_INTEGER && v->u.i == 0);
    v = value_of("1.0");
    assert_true(v->type == VALUE_REAL && v->u.r == 1.0);
    v = value_of("0.1");
    assert_true(v->type == VALUE_REAL && v->u.r == 0.1);
    v = value_of("-2.5e-3");
    assert_true(v->type == VALUE_REAL && v->u.r == -2.5e-3);
    v = value_of("1e20");
    assert_true(v->type == VALUE_REAL && v->u.r == 1e20);
    v = value_of("5e-324");
    assert_true(v->type == VALUE_REAL && v->u.r == 5e-324);
    v = value_of("1.7976931348623157e308");
    assert_true(v->type == VALUE_REAL && v->u.r == 1.7976931348623157e308);
    v = value_of(
        "0.1000000000000000055511151231257827021181583404541015625000000000000000000000001");
    assert_true(v->type == VALUE_REAL && v->u.r == 0.1);
}

static void numbers_out_of_range_are_named(void **state)
{
    (void)state;
    assert_refused("{\"sql\":\"a\",\"params\":[1,9223372036854775808]}", ERR_PARAM, "parameter 2");
    assert_refused("{\"sql\":\"a\",\"params\":{\":big\":-9223372036854775809}}", ERR_PARAM,
                   "parameter \":big\"");
    assert_refused("[{\"sql\":\"a\"},{\"sql\":\"a\",\"params\":{\"n\":100000000000000000000}}]",
                   ERR_PARAM, "query 2: parameter \"n\"");
    assert_refused("{\"sql\":\"a\",\"params\":[1e400]}", ERR_PARAM, "double");
}

static void scalars(void **state)
{
    const struct value *v;

    (void)state;
    assert_int_equal(value_of("null")->type, VALUE_NULL);
    v = value_of("true");
    assert_true(v->type == VALUE_INTEGER && v->u.i == 1);
    v = value_of("false");
    assert_true(v->type == VALUE_INTEGER && v->u.i == 0);
    v = value_of("\"a\\u0000b\"");
    assert_int_equal(v->type, VALUE_TEXT);
    assert_int_equal(v->u.s.len, 3);
    assert_memory_equal(v->u.s.data, "a\0b", 3);
    v = value_of("\"\"");
    assert_true(v->type == VALUE_TEXT && v->u.s.len == 0);
}

static void typed_values(void **state)
{
    const struct value *v;

    (void)state;
    v = value_of("{\"type\":\"blob\",\"base64\":\"AAH/\"}");
    assert_int_equal(v->type, VALUE_BLOB);
    assert_int_equal(v->u.s.len, 3);
    assert_memory_equal(v->u.s.data, "\0\1\xFF", 3);
    v = value_of("{\"base64\":\"\",\"type\":\"blob\"}");
    assert_true(v->type == VALUE_BLOB && v->u.s.len == 0);
    v = value_of("{\"type\":\"text\",\"base64\":\"/wA=\"}");
    assert_true(v->type == VALUE_TEXT && v->u.s.len == 2);
    v = value_of("{\"type\":\"text\",\"value\":\"é\"}");
    assert_true(v->type == VALUE_TEXT && v->u.s.len == 2);
    v = value_of("{\"type\":\"integer\",\"value\":\"9223372036854775807\"}");
    assert_true(v->type == VALUE_INTEGER && v->u.i == INT64_MAX);
    v = value_of("{\"text\":\"-5\",\"type\":\"integer\"}");
    assert_true(v->type == VALUE_INTEGER && v->u.i == -5);
    v = value_of("{\"type\":\"integer\",\"value\":7}");
    assert_true(v->type == VALUE_INTEGER && v->u.i == 7);
    v = value_of("{\"type\":\"real\",\"value\":\"inf\"}");
    assert_true(v->type == VALUE_REAL && isinf(v->u.r) && v->u.r > 0);
    v = value_of("{\"type\":\"real\",\"value\":\"-inf\"}");
    assert_true(v->type == VALUE_REAL && isinf(v->u.r) && v->u.r < 0);
    v = value_of("{\"type\":\"real\",\"value\":3}");
    assert_true(v->type == VALUE_REAL && v->u.r == 3.0);
    v = value_of("{\"type\":\"real\",\"value\":\"-0.0\"}");
    assert_true(v->type == VALUE_REAL && v->u.r == 0 && signbit(v->u.r));
    assert_int_equal(value_of("{\"type\":\"null\"}")->type, VALUE_NULL);
}

static void wrong_values(void **state)
{
    static const char *const wrong[] = {
        "[]",
        "[1]",
        "{}",
        "{\"type\":5}",
        "{\"type\":\"\"}",
        "{\"type\":\"date\"}",
        "{\"type\":\"blob\"}",
        "{\"type\":\"blob\",\"value\":\"x\"}",
        "{\"type\":\"blob\",\"base64\":\"A\"}",
        "{\"type\":\"blob\",\"base64\":\"A*==\"}",
        "{\"type\":\"blob\",\"base64\":5}",
        "{\"type\":\"blob\",\"base64\":[]}",
        "{\"type\":\"text\"}",
        "{\"type\":\"integer\"}",
        "{\"type\":\"integer\",\"value\":\"9223372036854775808\"}",
        "{\"type\":\"integer\",\"value\":\"1.0\"}",
        "{\"type\":\"integer\",\"value\":\" 1\"}",
        "{\"type\":\"integer\",\"value\":\"\"}",
        "{\"type\":\"integer\",\"base64\":\"MQ==\"}",
        "{\"type\":\"real\"}",
        "{\"type\":\"real\",\"value\":\"nan\"}",
        "{\"type\":\"real\",\"value\":\"0x10\"}",
        "{\"type\":\"real\",\"value\":\"1e999\"}",
        "{\"type\":\"real\",\"value\":{}}",
        "{\"type\":\"text\",\"value\":\"a\",\"text\":\"b\"}",
        "{\"type\":\"text\",\"value\":\"a\",\"base64\":\"\"}",
        "{\"value\":null}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (value_of(wrong[i]) || e.code != ERR_PARAM || !strstr(e.msg, "parameter 1"))
            fail_msg("%s: %s %s", wrong[i], err_name(e.code), e.msg);
    }
}

static void wrong_names(void **state)
{
    char name[HTTPREQ_MAX_NAME + 2];
    struct buf b = BUF_INIT;

    (void)state;
    assert_refused("{\"sql\":\"a\",\"params\":{\"\":1}}", ERR_PROTOCOL, "name");
    assert_refused("{\"sql\":\"a\",\"params\":{\"a\\u0000\":1}}", ERR_PROTOCOL, "name");
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    buf_printf(&b, "{\"sql\":\"a\",\"params\":{\"%s\":1}}", name);
    assert_refused(buf_cstr(&b), ERR_PROTOCOL, "name");
    buf_free(&b);
}

static void halves_of_surrogate_pairs(void **state)
{
    const struct value *v = value_of("\"\\uD83D\\uDE00\"");

    (void)state;
    assert_int_equal(v->u.s.len, 4);
    assert_refused("{\"sql\":\"\\ud83d\"}", ERR_PROTOCOL, "surrogate");
    assert_refused("{\"sql\":\"\\ude00\"}", ERR_PROTOCOL, "surrogate");
    assert_refused("{\"sql\":\"\\ud83d\\n\"}", ERR_PROTOCOL, "surrogate");
    assert_refused("{\"sql\":\"\\ud83d\\u0041\"}", ERR_PROTOCOL, "surrogate");
    assert_refused("{\"sql\":\"\\ud83d\\ud83d\"}", ERR_PROTOCOL, "surrogate");
    assert_int_equal(parse("{\"sql\":\"\\\\ud83d\"}"), ERR_OK);
    assert_string_equal(body.queries[0].sql, "\\ud83d");
}

/* ---- limits ---- */

static void depth(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_puts(&b, "{\"sql\":\"a\",\"x\":");
    for (unsigned i = 1; i < HTTPREQ_MAX_DEPTH; i++)
        buf_putc(&b, '[');
    for (unsigned i = 1; i < HTTPREQ_MAX_DEPTH; i++)
        buf_putc(&b, ']');
    buf_putc(&b, '}');
    assert_int_equal(parse(buf_cstr(&b)), ERR_OK);
    buf_reset(&b);
    for (unsigned i = 0; i < 100000; i++)
        buf_putc(&b, '[');
    assert_int_equal(parse_pieces(b.data, b.len, b.len), ERR_PROTOCOL);
    buf_reset(&b);
    buf_puts(&b, "{\"x\":");
    for (unsigned i = 0; i < HTTPREQ_MAX_DEPTH; i++)
        buf_putc(&b, '[');
    assert_refused(buf_cstr(&b), ERR_PROTOCOL, "nested");
    buf_free(&b);
}

static void many_params(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_puts(&b, "{\"sql\":\"a\",\"params\":[0");
    for (unsigned i = 1; i < HTTPREQ_MAX_PARAMS; i++)
        buf_printf(&b, ",%u", i);
    buf_puts(&b, "]}");
    assert_int_equal(parse_pieces(b.data, b.len, b.len), ERR_OK);
    assert_int_equal(body.queries[0].n_params, HTTPREQ_MAX_PARAMS);
    assert_int_equal(body.queries[0].params[HTTPREQ_MAX_PARAMS - 1].value.u.i,
                     HTTPREQ_MAX_PARAMS - 1);
    buf_cut(&b, b.len - 2);
    buf_puts(&b, ",1]}");
    assert_int_equal(parse_pieces(b.data, b.len, b.len), ERR_PARAM);
    buf_free(&b);
}

static void many_queries(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_putc(&b, '[');
    for (unsigned i = 0; i < 10000; i++)
        buf_printf(&b, "%s{\"sql\":\"q%u\",\"params\":[%u]}", i ? "," : "", i, i);
    buf_putc(&b, ']');
    assert_int_equal(parse_pieces(b.data, b.len, 1000), ERR_OK);
    assert_int_equal(body.n, 10000);
    assert_string_equal(body.queries[9999].sql, "q9999");
    assert_int_equal(body.queries[9999].params[0].value.u.i, 9999);
    buf_free(&b);
}

/* A long token that comes in many pieces is not looked through from its beginning with each of
 * them: that would be 24 GB here. */
static void long_strings(void **state)
{
    static const char head[] = "{\"sql\":\"x\",\"params\":[\"";
    const size_t len = (size_t)7 << 20;
    struct buf b = BUF_INIT;

    (void)state;
    buf_puts(&b, head);
    for (size_t i = 0; i < len; i++)
        buf_putc(&b, (char)('a' + i % 26));
    buf_puts(&b, "\",17]}");
    const size_t expected[] = {0, b.len, len / 2, 2 * len};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(parse_expected(b.data, b.len, 1000, expected[i]), ERR_OK);
        assert_int_equal(body.queries[0].n_params, 2);
        assert_int_equal(body.queries[0].params[0].value.u.s.len, len);
        assert_memory_equal(body.queries[0].params[0].value.u.s.data, b.data + sizeof head - 1,
                            len);
        assert_int_equal(body.queries[0].params[1].value.u.i, 17);
    }
    buf_free(&b);
}

/* ---- small objects ---- */

static void fields(void **state)
{
    static const char *const names[] = {"dsn", "other"};
    const char *values[2];
    const char *good = "{\"x\":{\"dsn\":1},\"dsn\":\"a b\",\"y\":[1,\"s\"],\"other\":null}";
    static const char *const bad[] = {"",
                                      "5",
                                      "[]",
                                      "[\"dsn\"]",
                                      "{\"dsn\":5}",
                                      "{\"dsn\":{}}",
                                      "{\"dsn\":[]}",
                                      "{\"dsn\":true}",
                                      "{\"dsn\":\"a\\u0000\"}",
                                      "{\"dsn\":\"a\"",
                                      "{\"dsn\":\"\\ud800\"}"};

    (void)state;
    assert_int_equal(httpreq_fields(arena, good, strlen(good), names, values, 2, &e), ERR_OK);
    assert_string_equal(values[0], "a b");
    assert_null(values[1]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(httpreq_fields(arena, bad[i], strlen(bad[i]), names, values, 2, &e),
                         ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_object, setup, teardown),
        cmocka_unit_test_setup_teardown(an_array, setup, teardown),
        cmocka_unit_test_setup_teardown(array_of_one_stays_an_array, setup, teardown),
        cmocka_unit_test_setup_teardown(other_fields_are_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(sql_may_hold_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_out_of_range_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(scalars, setup, teardown),
        cmocka_unit_test_setup_teardown(typed_values, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_values, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_names, setup, teardown),
        cmocka_unit_test_setup_teardown(halves_of_surrogate_pairs, setup, teardown),
        cmocka_unit_test_setup_teardown(depth, setup, teardown),
        cmocka_unit_test_setup_teardown(many_params, setup, teardown),
        cmocka_unit_test_setup_teardown(many_queries, setup, teardown),
        cmocka_unit_test_setup_teardown(long_strings, setup, teardown),
        cmocka_unit_test_setup_teardown(fields, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
