/* Health checks and reflection. */
#include <grpc/health/v1/health.pb-c.h>
#include <grpc/reflection/v1/reflection.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/grpcinfo.h"

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

static void test_health(void **state)
{
    const char *service = NULL;
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT;

    assert_int_equal(grpcinfo_read_health(*state, "", 0, &service, &e), ERR_OK);
    assert_string_equal(service, "");
    assert_int_equal(grpcinfo_read_health(*state,
                                          "\x0a\x03"
                                          "a.b",
                                          5, &service, &e),
                     ERR_OK);
    assert_string_equal(service, "a.b");
    assert_int_equal(grpcinfo_read_health(*state,
                                          "\x0a\x04"
                                          "a.b",
                                          5, &service, &e),
                     ERR_PROTOCOL);
    grpcinfo_put_health(&out, GRPCINFO_NOT_SERVING);
    Grpc__Health__V1__HealthCheckResponse *r =
        grpc__health__v1__health_check_response__unpack(NULL, out.len, (const uint8_t *)out.data);
    assert_non_null(r);
    assert_int_equal(r->status, 2);
    grpc__health__v1__health_check_response__free_unpacked(r, NULL);
    buf_free(&out);
}

static void test_questions(void **state)
{
    static const struct {
        const char *bytes;
        enum grpcinfo_ask ask;
        const char *name;
    } questions[] = {
        {"", GRPCINFO_OTHER, ""},
        {"\x0a\x01h\x1a\x01"
         "f",
         GRPCINFO_FILE, "f"},
        {"\x22\x03"
         "a.b",
         GRPCINFO_SYMBOL, "a.b"},
        {"\x3a\x01*", GRPCINFO_SERVICES, ""},
        {"\x32\x01x", GRPCINFO_OTHER, ""},
        {"\x22\x03"
         "a.b\x1a\x01"
         "f",
         GRPCINFO_FILE, "f"}, /* the last of several */
    };
    struct grpcinfo_question q;
    struct err e = ERR_INIT;

    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        const char *bytes = questions[i].bytes;
        assert_int_equal(grpcinfo_read_question(*state, bytes, strlen(bytes), &q, &e), ERR_OK);
        assert_int_equal(q.ask, questions[i].ask);
        assert_string_equal(q.name, questions[i].name);
    }
    assert_int_equal(grpcinfo_read_question(*state, "\x22\x7f", 2, &q, &e), ERR_PROTOCOL);
}

static Grpc__Reflection__V1__ServerReflectionResponse *unpacked(const struct buf *b)
{
    Grpc__Reflection__V1__ServerReflectionResponse *r =
        grpc__reflection__v1__server_reflection_response__unpack(NULL, b->len,
                                                                 (const uint8_t *)b->data);
    assert_non_null(r);
    return r;
}

static void test_answers(void **state)
{
    static const char *const names[] = {"a.A", "b.B"};
    Grpc__Reflection__V1__ServerReflectionResponse *r;
    struct buf out = BUF_INIT;

    (void)state;
    grpcinfo_put_question(&out, "\x3a\x01*", 3);
    grpcinfo_put_services(&out, names, 2);
    r = unpacked(&out);
    assert_memory_equal(r->original_request->list_services.data, "*", 1);
    assert_int_equal(r->list_services_response->n_service, 2);
    assert_memory_equal(r->list_services_response->service[1]->name.data, "b.B", 3);
    grpc__reflection__v1__server_reflection_response__free_unpacked(r, NULL);
    buf_reset(&out);
    grpcinfo_put_file(&out, "bytes", 5);
    r = unpacked(&out);
    assert_int_equal(r->file_descriptor_response->n_file_descriptor_proto, 1);
    assert_memory_equal(r->file_descriptor_response->file_descriptor_proto[0].data, "bytes", 5);
    grpc__reflection__v1__server_reflection_response__free_unpacked(r, NULL);
    buf_reset(&out);
    grpcinfo_put_error(&out, 5, "none");
    r = unpacked(&out);
    assert_int_equal(r->error_response->error_code, 5);
    assert_memory_equal(r->error_response->error_message.data, "none", 4);
    grpc__reflection__v1__server_reflection_response__free_unpacked(r, NULL);
    buf_free(&out);
}

static void test_files(void **state)
{
    static const char set[] = "\x0a\x05\x0a\x01"
                              "a\x10\x01\x0a\x04\x0a\x02"
                              "bc";
    const char *at = set, *end = set + sizeof set - 1;
    struct grpcinfo_file f;

    (void)state;
    assert_true(grpcinfo_next_file(&at, end, &f));
    assert_int_equal(f.len, 5);
    assert_memory_equal(f.name, "a", f.name_len);
    assert_true(grpcinfo_next_file(&at, end, &f));
    assert_int_equal(f.name_len, 2);
    assert_false(grpcinfo_next_file(&at, end, &f));
    for (size_t n = 0; n < 7; n++) { /* cut off anywhere in the first */
        at = set;
        assert_false(grpcinfo_next_file(&at, set + n, &f));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_health, setup, teardown),
        cmocka_unit_test_setup_teardown(test_questions, setup, teardown),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
