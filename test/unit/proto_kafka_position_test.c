/* Positions in Kafka, and their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/kafka_position.h"

static void expect(const struct kafka_position *p, const char *text)
{
    struct buf b = BUF_INIT;

    kafka_position_put(&b, p);
    assert_string_equal(buf_cstr(&b), text);
    buf_free(&b);
}

static void set_and_get(void **state)
{
    struct kafka_position *p = kafka_position_new(), *q = kafka_position_new();
    int64_t offset = -1;
    size_t n;

    (void)state;
    expect(p, "{}");
    assert_true(kafka_position_set(p, "b", 0, 7));
    assert_true(kafka_position_set(p, "a", 11, 1));
    assert_true(kafka_position_set(p, "a", 2, INT64_MAX));
    assert_true(kafka_position_set(p, "b", 0, 8));
    expect(p, "{\"a\":{\"2\":9223372036854775807,\"11\":1},\"b\":{\"0\":8}}");
    assert_true(kafka_position_get(p, "a", 11, &offset));
    assert_int_equal(offset, 1);
    assert_false(kafka_position_get(p, "a", 1, &offset));
    assert_false(kafka_position_get(p, "c", 0, &offset));
    assert_true(kafka_position_copy(q, p));
    assert_true(kafka_position_set(p, "b", 1, 0));
    expect(q, "{\"a\":{\"2\":9223372036854775807,\"11\":1},\"b\":{\"0\":8}}");
    assert_non_null(kafka_position_all(p, &n));
    assert_int_equal(n, 4);
    kafka_position_free(p);
    kafka_position_free(q);
}

static void read_back(void **state)
{
    static const char text[] = "{\"a\":{\"2\":17,\"11\":1},\"sch\\u00F6n\":{\"0\":0}}";
    static const char *const wrong[] = {
        "[]",
        "{\"a\":1}",
        "{\"a\":{\"x\":1}}",
        "{\"a\":{\"-1\":1}}",
        "{",
        "{\"a\":{\"0\":-1}}",
        "{\"a\":{\"0\":1.5}}",
        "{\"a\":{\"99999999999\":1}}",
        "0/16B3748 12",
    };
    struct kafka_position *p = kafka_position_new();
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(kafka_position_read(p, text, strlen(text), &e), ERR_OK);
    expect(p, "{\"a\":{\"2\":17,\"11\":1},\"schön\":{\"0\":0}}");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(kafka_position_read(p, wrong[i], strlen(wrong[i]), &e), ERR_FORMAT);
        expect(p, "{}");
    }
    assert_int_equal(kafka_position_read(p, NULL, 0, &e), ERR_OK);
    expect(p, "{}");
    kafka_position_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(set_and_get), cmocka_unit_test(read_back)};

    return cmocka_run_group_tests_name("proto_kafka_position", tests, NULL, NULL);
}
