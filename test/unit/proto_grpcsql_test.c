/* Requests and answers: what protobuf-c packs is read, and what is written protobuf-c unpacks. */
#include <google/protobuf/wrappers.pb-c.h>
#include <ha/v1/database.pb-c.h>
#include <math.h>
#include <setjmp.h>
#include <sql/v1/sql.pb-c.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/grpcsql.h"

#define URL "type.googleapis.com/google.protobuf."

static int setup(void **state)
{
    *state = arena_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static ProtobufCBinaryData text(const char *s)
{
    return (ProtobufCBinaryData){strlen(s), (uint8_t *)(uintptr_t)s};
}

/* The bytes live in the arena. */
static const void *packed(struct arena *a, const ProtobufCMessage *m, size_t *len)
{
    uint8_t *bytes;

    *len = protobuf_c_message_get_packed_size(m);
    bytes = arena_alloc(a, *len + 1);
    assert_non_null(bytes);
    assert_int_equal(protobuf_c_message_pack(m, bytes), *len);
    return bytes;
}

static void wrap(struct arena *a, Google__Protobuf__Any *any, const char *url,
                 const ProtobufCMessage *m)
{
    size_t len = 0;
    const void *bytes = m ? packed(a, m, &len) : "";

    google__protobuf__any__init(any);
    any->type_url = text(url);
    any->value = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)bytes};
}

/* ---- requests ---- */

static void test_request(void **state)
{
    struct arena *a = *state;
    Sql__V1__QueryRequest q = SQL__V1__QUERY_REQUEST__INIT;
    Sql__V1__NamedValue first = SQL__V1__NAMED_VALUE__INIT, second = SQL__V1__NAMED_VALUE__INIT;
    Sql__V1__NamedValue *params[] = {&second, &first};
    Google__Protobuf__StringValue s = GOOGLE__PROTOBUF__STRING_VALUE__INIT;
    Google__Protobuf__Int64Value i = GOOGLE__PROTOBUF__INT64_VALUE__INIT;
    Google__Protobuf__Any any[2];
    struct grpcsql_request r;
    struct err e = ERR_INIT;
    size_t len;

    s.value = (ProtobufCBinaryData){3, (uint8_t *)(uintptr_t) "a\0b"};
    i.value = INT64_MIN;
    wrap(a, &any[0], URL "StringValue", &s.base);
    wrap(a, &any[1], "anything/at/all/google.protobuf.Int64Value", &i.base);
    first.ordinal = 1;
    first.value = &any[0];
    second.ordinal = 2;
    second.value = &any[1];
    q.type = SQL__V1__QUERY_TYPE__QUERY_TYPE_EXEC_QUERY;
    q.sql = (ProtobufCBinaryData){10, (uint8_t *)(uintptr_t) "SELECT\0?,?"};
    q.params = params;
    q.n_params = 2;
    q.replication_id = text("a.db");
    q.max_rows = 7;
    q.min_seq = UINT64_MAX;
    const void *bytes = packed(a, &q.base, &len);
    if (grpcsql_read(a, bytes, len, &r, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    assert_int_equal(r.type, GRPCSQL_QUERY);
    assert_int_equal(r.sql_len, 10);
    assert_memory_equal(r.sql, "SELECT\0?,?", 10);
    assert_int_equal(r.n_params, 2);
    assert_int_equal(r.params[0].value.type, VALUE_TEXT);
    assert_int_equal(r.params[0].value.u.s.len, 3);
    assert_memory_equal(r.params[0].value.u.s.data, "a\0b", 3);
    assert_int_equal(r.params[1].value.type, VALUE_INTEGER);
    assert_true(r.params[1].value.u.i == INT64_MIN);
    assert_string_equal(r.database, "a.db");
    assert_int_equal(r.max_rows, 7);
    assert_true(r.min_seq == UINT64_MAX);
}

static void test_empty_request(void **state)
{
    struct grpcsql_request r;
    struct err e = ERR_INIT;

    assert_int_equal(grpcsql_read(*state, "", 0, &r, &e), ERR_OK);
    assert_int_equal(r.type, GRPCSQL_ANY);
    assert_int_equal(r.sql_len, 0);
    assert_null(r.database);
    assert_int_equal(grpcsql_read(*state, "\x08\x63", 2, &r, &e),
                     ERR_OK); /* a type from the future */
    assert_int_equal(r.type, GRPCSQL_ANY);
    assert_int_equal(grpcsql_read(*state, "\x08\x03\x1a\x00", 4, &r, &e), ERR_OK);
    assert_int_equal(r.type, GRPCSQL_PING);
    assert_int_equal(r.n_params, 0);
}

static void test_bad_requests(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        enum err_code code;
    } bad[] = {
        {"\xff", 1, ERR_PROTOCOL},
        {"\x12\x05"
         "ab",
         4, ERR_PROTOCOL},
        {"\x12\xff\xff\xff\xff\x0f", 6, ERR_PROTOCOL},
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, ERR_PROTOCOL},
        {"\x1a\x02\x0a\x7f", 4, ERR_PROTOCOL},
        {"\x22\x01\x00", 3, ERR_PROTOCOL}, /* a NUL in a database's name */
        {"\x1a\x00", 2, ERR_PARAM},        /* neither name nor ordinal */
        {"\x1a\x02\x10\x02", 4, ERR_PARAM},
        {"\x1a\x02\x10\x01\x1a\x02\x10\x01", 8, ERR_PARAM},
        {"\x1a\x03\x0a\x01"
         "a\x1a\x02\x10\x01",
         9, ERR_PARAM},
        {"\x1a\x09\x10\x01\x1a\x05\x0a\x03"
         "x/y",
         11, ERR_PARAM}, /* of a type that is none */
    };
    struct grpcsql_request r;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        assert_int_equal(grpcsql_read(*state, bad[i].bytes, bad[i].len, &r, &e), bad[i].code);
        assert_int_equal(e.code, bad[i].code);
    }
}

/* A million fields of two bytes would take a hundred times as much. */
static void test_budget(void **state)
{
    size_t len = (size_t)2 << 20;
    char *bytes = malloc(len);
    struct grpcsql_request r;
    struct err e = ERR_INIT;

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i += 2)
        memcpy(bytes + i, "\x1a\x00", 2);
    assert_int_equal(grpcsql_read(*state, bytes, len, &r, &e), ERR_TOO_BIG);
    free(bytes);
}

static void test_batch(void **state)
{
    struct arena *a = *state;
    Ha__V1__BatchRequest b = HA__V1__BATCH_REQUEST__INIT;
    Sql__V1__QueryRequest q[2] = {SQL__V1__QUERY_REQUEST__INIT, SQL__V1__QUERY_REQUEST__INIT};
    Sql__V1__QueryRequest *list[] = {&q[0], &q[1]};
    struct grpcsql_request *r = NULL;
    struct err e = ERR_INIT;
    size_t len, n = 0;

    q[0].sql = text("one");
    q[1].sql = text("two");
    b.requests = list;
    b.n_requests = 2;
    const void *bytes = packed(a, &b.base, &len);
    assert_int_equal(grpcsql_read_batch(a, bytes, len, &r, &n, &e), ERR_OK);
    assert_int_equal(n, 2);
    assert_memory_equal(r[0].sql, "one", 3);
    assert_memory_equal(r[1].sql, "two", 3);
    assert_int_equal(grpcsql_read_batch(a, "", 0, &r, &n, &e), ERR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(grpcsql_read_batch(a, "\x0a\x02\x1a\x00", 4, &r, &n, &e), ERR_PARAM);
    assert_string_equal(e.msg, "request 0: a parameter's ordinal is 0, and there are 1");
}

static void test_database(void **state)
{
    const char *name = NULL;
    struct err e = ERR_INIT;

    assert_int_equal(grpcsql_read_database(*state,
                                           "\x0a\x04"
                                           "a.db",
                                           6, &name, &e),
                     ERR_OK);
    assert_string_equal(name, "a.db");
    assert_int_equal(grpcsql_read_database(*state, "", 0, &name, &e), ERR_OK);
    assert_null(name);
    assert_int_equal(grpcsql_read_database(*state,
                                           "\x0a\x02"
                                           "a",
                                           3, &name, &e),
                     ERR_PROTOCOL);
    assert_int_equal(grpcsql_read_database(*state,
                                           "\x0a\x02"
                                           "a\0",
                                           4, &name, &e),
                     ERR_PROTOCOL);
}

/* ---- answers ---- */

static const Google__Protobuf__Any *cell(const Sql__V1__QueryResponse *r, size_t row, size_t col)
{
    assert_true(row < r->result_set->n_rows);
    assert_true(col < r->result_set->rows[row]->n_values);
    return r->result_set->rows[row]->values[col];
}

static bool is_type(const Google__Protobuf__Any *any, const char *url)
{
    return any->type_url.len == strlen(url) && memcmp(any->type_url.data, url, strlen(url)) == 0;
}

static void test_response(void **state)
{
    static const int64_t ints[] = {0, 1, -1, 127, 128, INT64_MAX, INT64_MIN};
    static const double reals[] = {0.0, -0.0, 1.5, 1e308, INFINITY, -INFINITY};
    struct buf data = BUF_INIT, out = BUF_INIT, scratch = BUF_INIT;
    struct value row[3];
    const struct grpcsql_tail tail = {-1, INT64_MAX, UINT64_MAX, true};

    (void)state;
    grpcsql_put_column(&data, "i");
    grpcsql_put_column(&data, "bad \xff name");
    grpcsql_put_column_type(&data, "INTEGER");
    grpcsql_put_column_type(&data, NULL);
    for (size_t i = 0; i < 7; i++) {
        row[0] = value_int(ints[i]);
        row[1] = i < 6 ? value_real(reals[i]) : value_null();
        row[2] = value_text("te\0xt", i < 5 ? i : 5);
        grpcsql_put_row(&data, &scratch, row, 3);
    }
    row[0] = value_text("\xffno", 3);
    row[1] = value_blob("\0\xff", 2);
    row[2] = value_blob(NULL, 0);
    grpcsql_put_row(&data, &scratch, row, 3);
    grpcsql_put_data_head(&out, data.len);
    buf_put(&out, data.data, data.len);
    grpcsql_put_tail(&out, &tail);
    assert_true(buf_ok(&out));

    Sql__V1__QueryResponse *r =
        sql__v1__query_response__unpack(NULL, out.len, (const uint8_t *)out.data);
    assert_non_null(r);
    assert_int_equal(r->rows_affected, -1);
    assert_true(r->last_insert_id == INT64_MAX);
    assert_true(r->txseq == UINT64_MAX);
    assert_true(r->more);
    assert_int_equal(r->result_set->n_columns, 2);
    assert_int_equal(r->result_set->n_column_types, 2);
    assert_memory_equal(r->result_set->columns[1].data, "bad \xEF\xBF\xBD name", 12);
    assert_int_equal(r->result_set->column_types[1].len, 0);
    assert_int_equal(r->result_set->n_rows, 8);
    for (size_t i = 0; i < 7; i++) {
        const Google__Protobuf__Any *any = cell(r, i, 0);
        assert_true(is_type(any, URL "Int64Value"));
        Google__Protobuf__Int64Value *v =
            google__protobuf__int64_value__unpack(NULL, any->value.len, any->value.data);
        assert_non_null(v);
        assert_true(v->value == ints[i]);
        google__protobuf__int64_value__free_unpacked(v, NULL);
    }
    for (size_t i = 0; i < 6; i++) {
        const Google__Protobuf__Any *any = cell(r, i, 1);
        assert_true(is_type(any, URL "DoubleValue"));
        Google__Protobuf__DoubleValue *v =
            google__protobuf__double_value__unpack(NULL, any->value.len, any->value.data);
        assert_non_null(v);
        assert_memory_equal(&v->value, &reals[i], sizeof reals[i]);
        google__protobuf__double_value__free_unpacked(v, NULL);
    }
    assert_true(is_type(cell(r, 6, 1), URL "Empty"));
    assert_int_equal(cell(r, 6, 1)->value.len, 0);
    for (size_t i = 0; i < 7; i++) {
        const Google__Protobuf__Any *any = cell(r, i, 2);
        assert_true(is_type(any, URL "StringValue"));
        Google__Protobuf__StringValue *v =
            google__protobuf__string_value__unpack(NULL, any->value.len, any->value.data);
        assert_non_null(v);
        assert_int_equal(v->value.len, i < 5 ? i : 5);
        if (i > 0)
            assert_memory_equal(v->value.data, "te\0xt", v->value.len);
        google__protobuf__string_value__free_unpacked(v, NULL);
    }
    assert_true(is_type(cell(r, 7, 0), URL "BytesValue")); /* no UTF-8: no string */
    assert_true(is_type(cell(r, 7, 1), URL "BytesValue"));
    assert_int_equal(cell(r, 7, 2)->value.len, 0);
    sql__v1__query_response__free_unpacked(r, NULL);
    buf_free(&data);
    buf_free(&out);
    buf_free(&scratch);
}

static void test_error(void **state)
{
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    err_set(&e, ERR_UNIQUE, "no \xff way");
    e.sqlite_code = 2067;
    e.offset = 0;
    grpcsql_put_error(&out, &e, 3);
    Sql__V1__QueryResponse *r =
        sql__v1__query_response__unpack(NULL, out.len, (const uint8_t *)out.data);
    assert_non_null(r);
    assert_int_equal(r->error.len, strlen("no \xEF\xBF\xBD way"));
    assert_memory_equal(r->error_detail->name.data, "UNIQUE", 6);
    assert_memory_equal(r->error_detail->sqlstate.data, "23505", 5);
    assert_int_equal(r->error_detail->status, 6);
    assert_int_equal(r->error_detail->sqlite_code, 2067);
    assert_int_equal(r->error_detail->offset, 1);
    assert_int_equal(r->error_detail->statement, 3);
    sql__v1__query_response__free_unpacked(r, NULL);
    buf_free(&out);
}

/* No generated code knows google.rpc.Status, so its bytes are looked at. */
static void test_status(void **state)
{
    static const char want[] = "\x08\x06\x12\x02no\x1a\x6d"
                               "\x0a\x28type.googleapis.com/google.rpc.ErrorInfo"
                               "\x12\x41\x0a\x06UNIQUE\x12\x02ha"
                               "\x1a\x11\x0a\x08sqlstate\x12\x05"
                               "23505"
                               "\x1a\x13\x0a\x0bsqlite_code\x12\x04"
                               "2067"
                               "\x1a\x0b\x0a\x06offset\x12\x01"
                               "7";
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;

    (void)state;
    err_set(&e, ERR_UNIQUE, "no");
    e.sqlite_code = 2067;
    e.offset = 7;
    grpcsql_put_status(&out, &e);
    assert_int_equal(out.len, sizeof want - 1);
    assert_memory_equal(out.data, want, sizeof want - 1);
    buf_free(&out);
}

static void test_names_and_pieces(void **state)
{
    struct buf out = BUF_INIT;

    (void)state;
    grpcsql_put_name(&out, "a.db");
    grpcsql_put_name(&out, "b.db");
    Sql__V1__ReplicationIDsResponse *r =
        sql__v1__replication_ids_response__unpack(NULL, out.len, (const uint8_t *)out.data);
    assert_non_null(r);
    assert_int_equal(r->n_replication_id, 2);
    assert_memory_equal(r->replication_id[1].data, "b.db", 4);
    sql__v1__replication_ids_response__free_unpacked(r, NULL);
    buf_reset(&out);
    grpcsql_put_piece_head(&out, 3);
    buf_puts(&out, "abc");
    Sql__V1__DownloadResponse *d =
        sql__v1__download_response__unpack(NULL, out.len, (const uint8_t *)out.data);
    assert_non_null(d);
    assert_int_equal(d->data.len, 3);
    sql__v1__download_response__free_unpacked(d, NULL);
    buf_free(&out);
}

static void test_batch_response(void **state)
{
    struct buf out = BUF_INIT;

    (void)state;
    grpcsql_put_batch_item(&out, "\x10\x05", 2); /* rows_affected 5 */
    grpcsql_put_batch_item(&out, "", 0);
    grpcsql_put_batch_tail(&out, 9);
    Ha__V1__BatchResponse *r =
        ha__v1__batch_response__unpack(NULL, out.len, (const uint8_t *)out.data);
    assert_non_null(r);
    assert_int_equal(r->n_responses, 2);
    assert_int_equal(r->responses[0]->rows_affected, 5);
    assert_int_equal(r->txseq, 9);
    ha__v1__batch_response__free_unpacked(r, NULL);
    buf_free(&out);
}

static void test_is_text(void **state)
{
    (void)state;
    assert_true(grpcsql_is_text("", 0));
    assert_true(grpcsql_is_text("a\0\0b\0", 5));
    assert_true(grpcsql_is_text("\xc3\xbc\xf0\x9f\x8e\x88", 6));
    assert_false(grpcsql_is_text("\xc3", 1));
    assert_false(grpcsql_is_text("a\0\xff", 3));
    assert_false(grpcsql_is_text("\xed\xa0\x80", 3)); /* a surrogate */
    assert_false(grpcsql_is_text("\xc0\x80", 2));     /* an overlong NUL */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_database, setup, teardown),
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_names_and_pieces),
        cmocka_unit_test(test_batch_response),
        cmocka_unit_test(test_is_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
