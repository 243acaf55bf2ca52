/* Results as messages: one for all rows, pages, or none; what protobuf-c reads of them. */
#include <setjmp.h>
#include <sql/v1/sql.pb-c.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/grpcframe.h"
#include "wire/grpc/rows.h"

static const struct sink_column columns[] = {{"id", "INTEGER"}, {"v", NULL}};

static struct grpc_rows begin(enum grpc_rows_mode mode, size_t max_bytes, unsigned max_rows)
{
    struct grpc_rows r = {.mode = mode};
    struct err e = ERR_INIT;

    assert_int_equal(grpc_rows_begin(&r, mode, max_bytes, max_rows, "/tmp", &e), ERR_OK);
    return r;
}

static enum sink_verdict add(struct grpc_rows *r, int64_t id, size_t bytes)
{
    static const char zeros[1 << 20];
    const struct value row[] = {value_int(id), value_blob(zeros, bytes)};

    assert_true(bytes <= sizeof zeros);
    return r->sink.ops->row(&r->sink, row, 2);
}

static void done(struct grpc_rows *r, int64_t changed, int64_t rowid)
{
    const struct sink_done d = {.rows_affected = changed, .last_insert_id = rowid};

    r->sink.ops->done(&r->sink, &d);
}

/* The message that stands at *at, which moves behind it; NULL at the end. */
static Sql__V1__QueryResponse *next(const struct buf *b, size_t *at)
{
    struct grpcframe f;
    Sql__V1__QueryResponse *m;

    if (*at == b->len)
        return NULL;
    assert_int_equal(grpcframe_look(b->data + *at, b->len - *at, &f), GRPCFRAME_WHOLE);
    m = sql__v1__query_response__unpack(NULL, f.len,
                                        (const uint8_t *)b->data + *at + GRPCFRAME_HEAD);
    assert_non_null(m);
    *at += GRPCFRAME_HEAD + f.len;
    return m;
}

static size_t rows_of(const struct buf *b, size_t *messages)
{
    Sql__V1__QueryResponse *m;
    size_t at = 0, n = 0;

    for (*messages = 0; (m = next(b, &at)); ++*messages) {
        assert_true(m->more);
        assert_int_equal(m->result_set->n_columns, *messages == 0 ? 2 : 0);
        n += m->result_set->n_rows;
        sql__v1__query_response__free_unpacked(m, NULL);
    }
    return n;
}

static void test_pages_by_rows(void **state)
{
    struct grpc_rows r = begin(GRPC_ROWS_PAGES, 1 << 20, 3);
    size_t messages;

    (void)state;
    r.sink.ops->columns(&r.sink, columns, 2);
    for (int64_t i = 1; i <= 10; i++)
        assert_int_equal(add(&r, i, 1), i % 3 == 0 ? SINK_FULL : SINK_MORE);
    done(&r, 0, 7);
    assert_int_equal(rows_of(&r.ready, &messages), 9);
    assert_int_equal(messages, 3);
    assert_int_equal(r.page_rows, 1);
    assert_int_equal(r.last_insert_id, 7);
    grpc_rows_fini(&r);
}

static void test_pages_by_bytes(void **state)
{
    struct grpc_rows r = begin(GRPC_ROWS_PAGES, 1 << 20, 0);
    size_t messages, full = 0;

    (void)state;
    r.sink.ops->columns(&r.sink, columns, 2);
    for (int64_t i = 0; i < 100; i++)
        full += add(&r, i, 10000) == SINK_FULL;
    (void)rows_of(&r.ready, &messages);
    assert_int_equal(messages, full);
    assert_in_range(messages, 5, 10); /* 128 KiB each */
    grpc_rows_fini(&r);
}

static void test_pages_of_several_statements(void **state)
{
    struct grpc_rows r = begin(GRPC_ROWS_PAGES, 1 << 20, 0);
    size_t at = 0;

    (void)state;
    r.sink.ops->columns(&r.sink, columns, 2);
    assert_int_equal(add(&r, 1, 1), SINK_MORE);
    done(&r, 2, 0);
    r.sink.ops->columns(&r.sink, columns, 1);
    done(&r, 3, 9);
    Sql__V1__QueryResponse *m = next(&r.ready, &at);
    assert_non_null(m);
    assert_int_equal(m->result_set->n_rows, 1);
    sql__v1__query_response__free_unpacked(m, NULL);
    assert_null(next(&r.ready, &at)); /* the second one waits in the page */
    assert_true(r.page.len > 0);
    assert_int_equal(r.rows_affected, 5);
    grpc_rows_fini(&r);
}

static void test_row_that_is_too_large(void **state)
{
    struct grpc_rows r = begin(GRPC_ROWS_PAGES, 5000, 0);
    struct err e = ERR_INIT;

    (void)state;
    r.sink.ops->columns(&r.sink, columns, 2);
    assert_int_equal(add(&r, 1, 4000), SINK_MORE);
    assert_int_equal(add(&r, 2, 6000), SINK_STOP);
    err_set(&e, ERR_TOO_BIG, "the executor's words");
    assert_int_equal(grpc_rows_failed(&r, &e), ERR_TOO_BIG);
    assert_non_null(strstr(e.msg, "a row"));
    grpc_rows_fini(&r);
}

static void test_whole(void **state)
{
    struct grpc_rows r = begin(GRPC_ROWS_WHOLE, 8 << 20, 0);
    struct err e = ERR_INIT;
    uint64_t len = 0;
    size_t got = 0;

    (void)state;
    r.sink.ops->columns(&r.sink, columns, 2); /* the rows of the first statement give way */
    assert_int_equal(add(&r, 1, 100), SINK_MORE);
    done(&r, 0, 0);
    r.sink.ops->columns(&r.sink, columns, 2);
    for (int64_t i = 0; i < 6; i++) /* more than memory is given for */
        assert_int_equal(add(&r, i, 1 << 20), SINK_MORE);
    done(&r, 0, 0);
    done(&r, 4, 2); /* one without rows changes nothing about them */
    assert_int_equal(grpc_rows_len(&r, &len, &e), ERR_OK);
    uint8_t *bytes = malloc((size_t)len);
    assert_non_null(bytes);
    assert_int_equal(spool_read(r.spool, 0, bytes, (size_t)len, &got, &e), ERR_OK);
    assert_int_equal(got, len);
    Sql__V1__Data *d = sql__v1__data__unpack(NULL, got, bytes);
    assert_non_null(d);
    assert_int_equal(d->n_columns, 2);
    assert_int_equal(d->n_column_types, 2);
    assert_int_equal(d->n_rows, 6);
    sql__v1__data__free_unpacked(d, NULL);
    free(bytes);
    assert_int_equal(r.rows_affected, 4);
    assert_int_equal(grpc_rows_begin(&r, GRPC_ROWS_WHOLE, 0, 0, "/tmp", &e), ERR_OK);
    assert_int_equal(grpc_rows_len(&r, &len, &e), ERR_OK);
    assert_int_equal(len, 0); /* begun anew */
    assert_false(r.has_set);
    grpc_rows_fini(&r);
}

static void test_whole_that_is_too_large(void **state)
{
    struct grpc_rows r = begin(GRPC_ROWS_WHOLE, 10000, 0);
    struct err e = ERR_INIT;

    (void)state;
    r.sink.ops->columns(&r.sink, columns, 2);
    assert_int_equal(add(&r, 1, 6000), SINK_MORE);
    assert_int_equal(add(&r, 2, 6000), SINK_STOP);
    err_set(&e, ERR_TOO_BIG, "the executor's words");
    assert_int_equal(grpc_rows_failed(&r, &e), ERR_TOO_BIG);
    assert_non_null(strstr(e.msg, "max_rows"));
    err_set(&e, ERR_SYNTAX, "another reason");
    r.too_big = false;
    assert_int_equal(grpc_rows_failed(&r, &e), ERR_SYNTAX);
    grpc_rows_fini(&r);
}

static void test_no_rows(void **state)
{
    struct grpc_rows r = begin(GRPC_ROWS_NONE, 10, 0);

    (void)state;
    r.sink.ops->columns(&r.sink, columns, 2);
    for (int64_t i = 0; i < 100; i++)
        assert_int_equal(add(&r, i, 1000), SINK_MORE);
    done(&r, 1, 1);
    assert_false(r.has_set);
    assert_int_equal(r.page.len + r.ready.len, 0);
    assert_null(r.spool);
    grpc_rows_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_by_rows),
        cmocka_unit_test(test_pages_by_bytes),
        cmocka_unit_test(test_pages_of_several_statements),
        cmocka_unit_test(test_row_that_is_too_large),
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_whole_that_is_too_large),
        cmocka_unit_test(test_no_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
