/* Orders of a follower and answers of the leader, as bytes and back. */
#include "core/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "proto/pbwire.h"

static const char *setting(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "app.user") == 0 ? "me" : NULL;
}

static const struct pg_session front = {
    .user = "u", .database = "d", .pid = 7, .read_only = false, .setting = setting};

static void fill(struct buf *b, struct order_wanted *wanted)
{
    static const struct param params[] = {{NULL, {VALUE_INTEGER, {.i = -1}}},
                                          {":n", {VALUE_BLOB, {.s = {"a\0b", 3}}}}};
    static const struct query queries[] = {
        {.sql = "INSERT 1", .len = 8, .params = params, .n_params = 2, .numbered = true},
        {.sql = ""}};
    const struct upstream_call c = {.database = "a.db",
                                    .queries = queries,
                                    .n = 2,
                                    .atomic = true,
                                    .front = &front,
                                    .min_seq = 40,
                                    .deadline_ns = clock_deadline(10 * CLOCK_S),
                                    .last_rowid = -5};
    order_put(b, ORDER_WRITE, &c, 42, 1000, wanted);
    assert_true(buf_ok(b));
}

static void an_order(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct order o;
    struct order_wanted wanted = {.n = 0};
    struct arena *a = arena_new();
    assert_true(order_want(&wanted, "app.user"));
    assert_false(order_want(&wanted, "app.user"));
    assert_true(order_want(&wanted, "other"));
    fill(&b, &wanted);
    assert_true(order_get(&o, a, b.data, b.len));
    assert_int_equal(o.what, ORDER_WRITE);
    assert_string_equal(o.database, "a.db");
    assert_int_equal(o.base, 42);
    assert_int_equal(o.min_seq, 40);
    assert_true(o.left_ns > 0 && o.left_ns <= 10 * CLOCK_S);
    assert_int_equal(o.last_rowid, -5);
    assert_int_equal(o.limit_bytes, 1000);
    assert_true(o.atomic && o.has_front);
    assert_string_equal(o.front.user, "u");
    assert_int_equal(o.front.pid, 7);
    assert_int_equal(o.n_settings, 2);
    assert_string_equal(o.settings[0].value, "me");
    assert_null(o.settings[1].value);
    assert_int_equal(o.n, 2);
    assert_memory_equal(o.queries[0].sql, "INSERT 1", 8);
    assert_true(o.queries[0].numbered);
    assert_int_equal(o.queries[0].params[0].value.u.i, -1);
    assert_string_equal(o.queries[0].params[1].name, ":n");
    assert_memory_equal(o.queries[0].params[1].value.u.s.data, "a\0b", 3);
    for (size_t len = 0; len < b.len; len++) { /* cut anywhere it is none */
        char *cut = malloc(len + 1);
        memcpy(cut, b.data, len);
        assert_false(order_get(&o, a, cut, len));
        free(cut);
    }
    arena_free(a);
    buf_free(&b);
}

static void too_many_settings(void **state)
{
    (void)state;
    struct order_wanted wanted = {.n = 0};
    char name[ORDER_SETTING_SIZE + 8];
    for (unsigned i = 0; i < ORDER_SETTINGS_MAX; i++) {
        (void)snprintf(name, sizeof name, "a.%u", i);
        assert_true(order_want(&wanted, name));
    }
    assert_false(order_want(&wanted, "one.more"));
    wanted.n = 0;
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_false(order_want(&wanted, name));
}

static void an_answer(void **state)
{
    (void)state;
    struct buf b = BUF_INIT, recording = BUF_INIT;
    struct order_answer a = {.open = true, .seq = 9, .lacks = "app.user"}, back;
    a.shape = (struct session_shape){.reads = true, .n_params = 3};
    err_clear(&a.result.err);
    a.result.last_rowid = 4;
    buf_puts(&recording, "recorded");
    order_put_answer(&b, &a, &recording);
    assert_true(order_get_answer(&back, b.data, b.len));
    assert_true(back.open && back.shape.reads && !back.shape.empty);
    assert_int_equal(back.seq, 9);
    assert_int_equal(back.shape.n_params, 3);
    assert_string_equal(back.lacks, "app.user");
    assert_int_equal(back.result.last_rowid, 4);
    assert_int_equal(back.result.len, 8);
    assert_memory_equal(back.result.recording, "recorded", 8);

    buf_reset(&b);
    a.lacks = NULL;
    err_set(&a.result.err, ERR_UNIQUE, "taken");
    a.result.err.sqlite_code = 2067;
    a.result.err.offset = 0;
    a.result.failed = 3;
    order_put_answer(&b, &a, &recording);
    for (size_t len = 0; len < b.len; len++) {
        char *cut = malloc(len + 1);
        memcpy(cut, b.data, len);
        assert_false(order_get_answer(&back, cut, len));
        free(cut);
    }
    assert_true(order_get_answer(&back, b.data, b.len));
    assert_null(back.lacks);
    assert_int_equal(back.result.err.code, ERR_UNIQUE);
    assert_string_equal(back.result.err.msg, "taken");
    assert_int_equal(back.result.err.sqlite_code, 2067);
    assert_int_equal(back.result.err.offset, 0);
    assert_int_equal(back.result.failed, 3);
    assert_int_equal(back.result.len, 0);
    buf_free(&b);
    buf_free(&recording);
}

static void content(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    char text[300];
    memset(text, 'x', sizeof text);
    for (size_t n = 0; n < sizeof text; n += 127) {
        buf_reset(&b);
        pb_bytes(&b, 1, text, n);
        const char *bytes = b.data;
        size_t len = b.len;
        assert_true(pb_content(&bytes, &len));
        assert_int_equal(len, n);
        bytes = b.data;
        len = b.len - 1;
        assert_false(pb_content(&bytes, &len));
    }
    static const char *const bad[] = {
        "", "\x0a", "\x0a\x80", "\x12\x01x", "\x0a\x01xx", "\x0a\xff\xff\xff\xff\xff\xff\xff\x01x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *bytes = bad[i];
        size_t len = strlen(bad[i]);
        assert_false(pb_content(&bytes, &len));
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order),
        cmocka_unit_test(too_many_settings),
        cmocka_unit_test(an_answer),
        cmocka_unit_test(content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
