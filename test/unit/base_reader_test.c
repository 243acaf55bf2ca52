/* What one node packs and another one reads: base/reader.h, base/value_pack.h. */
#include "base/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/value_pack.h"

/* A copy that ends where the memory does, for AddressSanitizer. */
static char *exact(const void *bytes, size_t n)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, bytes, n);
    return copy;
}

static void test_numbers(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    buf_u8(&b, 0xfe);
    buf_be16(&b, 0xfedc);
    buf_be32(&b, 0xfedcba98);
    buf_be64(&b, UINT64_C(0xfedcba9876543210));
    buf_put(&b, "text", 5);
    buf_put(&b, "", 1);
    struct reader r = reader_of(b.data, b.len);
    assert_int_equal(reader_u8(&r), 0xfe);
    assert_int_equal(reader_u16(&r), 0xfedc);
    assert_int_equal(reader_u32(&r), 0xfedcba98);
    assert_true(reader_u64(&r) == UINT64_C(0xfedcba9876543210));
    assert_string_equal(reader_cstr(&r), "text");
    assert_false(reader_done(&r));
    assert_string_equal(reader_cstr(&r), "");
    assert_true(reader_done(&r));
    assert_int_equal(reader_u8(&r), 0);
    assert_false(reader_done(&r));
    buf_free(&b);
}

/* A failure sticks, also where there would be something to read. */
static void test_failure_sticks(void **state)
{
    static const char bytes[] = {0, 0, 0, 9, 'a', '\0'};
    struct reader r = reader_of(bytes, sizeof bytes);

    (void)state;
    assert_true(reader_u64(&r) == 0 && r.bad);
    assert_null(reader_bytes(&r, 0));
    assert_int_equal(reader_u8(&r), 0);
    assert_int_equal(reader_u16(&r), 0);
    assert_int_equal(reader_u32(&r), 0);
    assert_string_equal(reader_cstr(&r), "");
    assert_false(reader_done(&r));

    r = reader_of(bytes, sizeof bytes);
    assert_null(reader_bytes(&r, SIZE_MAX)); /* no sum that wraps around */
    r = reader_of(bytes + 4, 1);
    assert_string_equal(reader_cstr(&r), ""); /* its terminator is beyond the end */
    assert_true(r.bad);
    r = reader_of(NULL, 0);
    assert_true(reader_done(&r));
    assert_string_equal(reader_cstr(&r), "");
    assert_true(r.bad);
}

static void same(const struct value *a, const struct value *b)
{
    assert_int_equal(a->type, b->type);
    switch (a->type) {
    case VALUE_NULL:
        break;
    case VALUE_INTEGER:
        assert_true(a->u.i == b->u.i);
        break;
    case VALUE_REAL: /* bit by bit: NaN, -0.0 */
        assert_memory_equal(&a->u.r, &b->u.r, sizeof a->u.r);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB:
        assert_int_equal(a->u.s.len, b->u.s.len);
        if (a->u.s.len > 0)
            assert_memory_equal(a->u.s.data, b->u.s.data, a->u.s.len);
        break;
    }
}

static const char long_text[70000] = {'x', 0, 'y'};

#define VALUES                                                                                     \
    {                                                                                              \
        value_null(), value_int(0), value_int(-1), value_int(INT64_MAX), value_int(INT64_MIN),     \
            value_real(0.0), value_real(-0.0), value_real(DBL_MAX), value_real(5e-324),            \
            value_real((double)INFINITY), value_real((double)-INFINITY), value_real((double)NAN),  \
            value_text("", 0), value_text(NULL, 0), value_blob("", 0), value_blob(NULL, 0),        \
            value_text("a\0b", 3), value_text("\xff", 1), value_blob("\0\1\2", 3),                 \
            value_text(long_text, sizeof long_text), value_blob(long_text, sizeof long_text),      \
    }

static void test_values(void **state)
{
    const struct value values[] = VALUES;
    size_t n = sizeof values / sizeof *values;
    struct buf b = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < n; i++)
        value_pack(&b, &values[i]);
    assert_true(buf_ok(&b));
    char *copy = exact(b.data, b.len);
    struct reader r = reader_of(copy, b.len);
    for (size_t i = 0; i < n; i++) {
        struct value v = value_unpack(&r);
        same(&v, &values[i]);
    }
    assert_true(reader_done(&r));
    free(copy);
    buf_free(&b);
}

/* What is cut off anywhere is a failure and no value. */
static void test_cut(void **state)
{
    const struct value values[] = {value_int(-2), value_real(0.5), value_text("abc", 3),
                                   value_blob("de", 2), value_text("", 0)};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buf b = BUF_INIT;
        value_pack(&b, &values[i]);
        for (size_t len = 0; len < b.len; len++) {
            char *copy = exact(b.data, len);
            struct reader r = reader_of(copy, len);
            struct value v = value_unpack(&r);
            assert_true(r.bad);
            assert_int_equal(v.type, VALUE_NULL);
            free(copy);
        }
        buf_free(&b);
    }
}

static void test_wrong_types(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        char bytes[13] = {(char)type};
        struct reader r = reader_of(bytes, sizeof bytes);
        struct value v = value_unpack(&r);
        assert_int_equal(r.bad, type > VALUE_BLOB);
        assert_int_equal(v.type, type > VALUE_BLOB ? VALUE_NULL : type);
    }
}

/* Whatever is read lies within what there is. */
static void test_mutated(void **state)
{
    const struct value values[] = {value_int(-2),       value_text("abc", 3), value_null(),
                                   value_blob("de", 2), value_real(0.5),      value_text("", 0)};
    struct buf b = BUF_INIT;
    uint32_t random = 1;
    unsigned bad = 0;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        value_pack(&b, &values[i]);
    for (int round = 0; round < 20000; round++) {
        random = random * 1664525 + 1013904223;
        size_t len = b.len - (random >> 8) % 3;
        char *copy = exact(b.data, len);
        copy[(random >> 12) % len] = (char)(random >> 24);
        struct reader r = reader_of(copy, len);
        for (size_t i = 0; i < sizeof values / sizeof *values && !r.bad; i++) {
            struct value v = value_unpack(&r);
            if (v.type != VALUE_TEXT && v.type != VALUE_BLOB)
                continue;
            assert_true(v.u.s.data >= copy && v.u.s.len <= (size_t)(copy + len - v.u.s.data));
            for (size_t k = 0; k < v.u.s.len; k++) /* reads it */
                random += (unsigned char)v.u.s.data[k];
        }
        bad += !reader_done(&r);
        free(copy);
    }
    assert_true(bad > 1000 && bad < 20000);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_failure_sticks),
        cmocka_unit_test(test_values),      cmocka_unit_test(test_cut),
        cmocka_unit_test(test_wrong_types), cmocka_unit_test(test_mutated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
