/* SQL over HTTP against a stand-in for the core: bodies, formats, streaming, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/http_fixture.h"

/* ---- SQL ---- */

static void object_body(void **state)
{
    (void)state;
    assert_int_equal(post("/query", "{\"sql\":\"write\"}"), 200);
    assert_body(ONE_WRITE "\n");
    assert_header("Content-Type", "application/json");
    assert_header("HA-Node", "node-1");
    assert_header("HA-Seq", "7");
    assert_null(answer_header(&a, "HA-Position"));
    assert_header("Access-Control-Allow-Origin", "*");
    assert_int_equal(post("/", "{\"sql\":\"rows 1\"}"), 200);
    assert_body("{\"columns\":[\"n\",\"name\"],\"rows\":[[0,\"name 0\"]]}\n");
    assert_header("HA-Position", "41");
    assert_null(answer_header(&a, "HA-Seq"));
    assert_int_equal(post("/databases/b%20c.db", "{\"sql\":\"write\"}"), 200);
    assert_int_equal(post("/databases/x.db", "{\"sql\":\"write\"}"), 404);
    assert_body_has("\"code\":\"NO_DATABASE\"");
}

static void array_body(void **state)
{
    (void)state;
    assert_int_equal(post("/query", "[{\"sql\":\"write\"},{\"sql\":\"rows 1\"}]"), 200);
    assert_body("{\"results\":[" ONE_WRITE
                ",{\"columns\":[\"n\",\"name\"],\"rows\":[[0,\"name 0\"]]}]}\n");
    assert_int_equal(post("/query", "[{\"sql\":\"write\"}]"), 200);
    assert_body("{\"results\":[" ONE_WRITE "]}\n");
    assert_int_equal(post("/query", "{\"sql\":\"write; write\"}"), 200);
    assert_body("{\"results\":[" ONE_WRITE "," ONE_WRITE "]}\n");
    assert_int_equal(post("/query", "{\"sql\":\"write;\"}"), 200);
    assert_body(ONE_WRITE "\n");
    assert_int_equal(post("/query", "{\"sql\":\" ; \"}"), 200);
    assert_body_has("[[0,0]]");
}

static void parameters(void **state)
{
    (void)state;
    assert_int_equal(post("/query", "{\"sql\":\"echo\",\"params\":{\":a\":9223372036854775807,"
                                    "\"b\":{\"type\":\"blob\",\"base64\":\"AAH/\"},\"c\":0.1}}"),
                     200);
    assert_body("{\"columns\":[\":a\",\"b\",\"c\"],\"rows\":[[9223372036854775807,"
                "{\"type\":\"blob\",\"base64\":\"AAH/\"},0.1]]}\n");
    assert_int_equal(post("/query", "{\"sql\":\"echo\",\"params\":[true,null,\"x\"]}"), 200);
    assert_body("{\"columns\":[\"?\",\"?\",\"?\"],\"rows\":[[1,null,\"x\"]]}\n");
    assert_int_equal(post("/query", "{\"sql\":\"echo\",\"params\":{\"n\":9223372036854775808}}"),
                     400);
    assert_body_has("\"code\":\"PARAM\"");
    assert_body_has("parameter \\\"n\\\"");
}

static void options_reach_the_core(void **state)
{
    (void)state;
    assert_int_equal(post("/query", "{\"sql\":\"options\"}"), 200);
    assert_body_has("[[0,0,0,0]]");
    assert_int_equal(request("POST", "/query?local=true&timeout=1.5s", "HA-Min-Seq: 12\r\n",
                             "[{\"sql\":\"options\"}]"),
                     200);
    assert_body_has("[[1,1,12,1500000000]]");
    assert_int_equal(
        request("POST", "/query?local", "HA-Timeout: 2ms\r\n", "{\"sql\":\"options\"}"), 200);
    assert_body_has("[[0,1,0,2000000]]");
    assert_int_equal(
        request("POST", "/query?timeout=1%2E5s&local=false", "", "{\"sql\":\"options\"}"), 200);
    assert_body_has("[[0,0,0,1500000000]]");
    assert_int_equal(request("POST", "/query", "HA-Min-Seq: -1\r\n", "{\"sql\":\"options\"}"), 400);
    assert_int_equal(request("POST", "/query", "HA-Min-Seq: \r\n", "{\"sql\":\"options\"}"), 400);
    assert_int_equal(post("/query?timeout=soon", "{\"sql\":\"options\"}"), 400);
    assert_int_equal(post("/query?timeout=0", "{\"sql\":\"options\"}"), 400);
    assert_int_equal(post("/query?timeout=%zz", "{\"sql\":\"options\"}"), 400);
    assert_int_equal(post("/query?local=maybe", "{\"sql\":\"options\"}"), 400);
}

static void formats(void **state)
{
    (void)state;
    assert_int_equal(
        request("POST", "/query", "Accept: application/x-ndjson\r\n", "{\"sql\":\"rows 2\"}"), 200);
    assert_header("Content-Type", "application/x-ndjson");
    assert_body("{\"columns\":[\"n\",\"name\"],\"types\":[\"INTEGER\",\"TEXT\"]}\n"
                "[0,\"name 0\"]\n[1,\"name 1\"]\n");
    assert_int_equal(request("POST", "/query", "Accept: text/csv, application/json;q=0.5\r\n",
                             "{\"sql\":\"rows 2\"}"),
                     200);
    assert_body("n,name\r\n0,name 0\r\n1,name 1\r\n");
    assert_int_equal(request("POST", "/query", "Accept: */*\r\n", "{\"sql\":\"rows 0\"}"), 200);
    assert_body("{\"columns\":[\"n\",\"name\"],\"rows\":[]}\n");
    assert_int_equal(post("/query?associative", "{\"sql\":\"rows 1\"}"), 200);
    assert_body("{\"columns\":[\"n\",\"name\"],\"rows\":[{\"n\":0,\"name\":\"name 0\"}]}\n");
    assert_int_equal(post("/query?details=true", "{\"sql\":\"rows 1\"}"), 200);
    assert_body(
        "{\"columns\":[\"n\",\"name\"],\"types\":[\"INTEGER\",\"TEXT\"],"
        "\"rows\":[[0,\"name 0\"]],\"returns_rows\":true,\"rows_affected\":0,\"last_insert_id\":0,"
        "\"time\":0.0015}\n");
    assert_int_equal(request("POST", "/query", "Accept: application/json; details=true\r\n",
                             "{\"sql\":\"write\"}"),
                     200);
    assert_body_has(
        "\"returns_rows\":false,\"rows_affected\":1,\"last_insert_id\":3,\"time\":0.0015}");
}

static void all_values(void **state)
{
    (void)state;
    assert_int_equal(post("/query", "{\"sql\":\"values\"}"), 200);
    assert_body_has(
        "[[null,-9223372036854775808,1.0,0.1,{\"type\":\"real\",\"value\":\"-inf\"},"
        "\"a\\\"\\n\xC3\xA9\",{\"type\":\"text\",\"base64\":\"YQBi\"},"
        "{\"type\":\"text\",\"base64\":\"/w==\"},"
        "{\"type\":\"blob\",\"base64\":\"AAH/\"},{\"type\":\"blob\",\"base64\":\"\"}]]");
}

/* ---- streaming ---- */

/* Counts rows and looks at their order. */
static void assert_rows(const char *text, long n, const char *between)
{
    char want[64];

    for (long i = 0; i < n; i++) {
        int len =
            snprintf(want, sizeof want, "[%ld,\"name %ld\"]%s", i, i, i + 1 < n ? between : "");
        if (strncmp(text, want, (size_t)len) != 0)
            fail_msg("row %ld: %.60s", i, text);
        text += len;
    }
}

static void large_results_are_streamed(void **state)
{
    static const char head[] = "{\"columns\":[\"n\",\"name\"],\"rows\":[";

    (void)state;
    assert_int_equal(post("/query", "{\"sql\":\"rows 100000\"}"), 200);
    assert_true(a.chunked && a.complete);
    assert_header("HA-Position", "41");
    assert_memory_equal(a.body.data, head, sizeof head - 1);
    assert_rows(a.body.data + sizeof head - 1, 100000, ",");
    assert_memory_equal(a.body.data + a.body.len - 4, "]]}\n", 4);

    assert_int_equal(
        request("POST", "/query", "Accept: application/x-ndjson\r\n", "{\"sql\":\"rows 100000\"}"),
        200);
    assert_true(a.chunked && a.complete);
    assert_rows(strchr(buf_cstr(&a.body), '\n') + 1, 100000, "\n");
}

static void several_large_results(void **state)
{
    (void)state;
    assert_int_equal(post("/query", "{\"sql\":\"rows 20000; rows 20000\"}"), 200);
    assert_true(a.complete);
    assert_memory_equal(a.body.data, "{\"results\":[{", 13);
    assert_memory_equal(a.body.data + a.body.len - 6, "]]}]}\n", 6);
    assert_int_equal(post("/query", "[{\"sql\":\"rows 20000\"}]"), 200);
    assert_memory_equal(a.body.data, "{\"results\":[{", 13);
    assert_int_equal(post("/query", "{\"sql\":\"rows 20000 -- ; one\"}"), 200);
    assert_memory_equal(a.body.data, "{\"columns\":[", 12);
}

static void keep_alive_after_a_stream(void **state)
{
    int fd = client_connect(http_port(server));

    (void)state;
    for (int i = 0; i < 3; i++) {
        answer_free(&a);
        client_request(fd, 0, "POST", "/query", "", "{\"sql\":\"rows 30000\"}", &a);
        assert_true(a.status == 200 && a.complete && a.chunked);
        answer_free(&a);
        client_request(fd, 0, "POST", "/query", "", "{\"sql\":\"write\"}", &a);
        assert_int_equal(a.status, 200);
        assert_body(ONE_WRITE "\n");
    }
    close(fd);
}

static void an_error_after_the_beginning_breaks_off(void **state)
{
    (void)state;
    assert_int_equal(post("/query", "{\"sql\":\"rows 50000 fail\"}"), 200);
    assert_false(a.complete);
    assert_int_equal(
        request("POST", "/query", "Accept: text/csv\r\n", "{\"sql\":\"rows 50000 fail\"}"), 200);
    assert_false(a.complete);
    assert_int_equal(request("POST", "/query", "Accept: application/x-ndjson\r\n",
                             "{\"sql\":\"rows 50000 fail\"}"),
                     200);
    assert_true(a.complete);
    assert_body_has("\n[49999,\"name 49999\"]\n{\"error\":{\"type\":\"urn:ha:error:CORRUPT\"");
    assert_int_equal(post("/query", "{\"sql\":\"rows 5 fail\"}"), 500);
    assert_body_has("\"detail\":\"page 7\"");
}

static void a_reader_that_leaves_ends_the_request(void **state)
{
    static const char text[] = "POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n"
                               "{\"sql\":\"rows 100000000\"}";
    int fd = client_connect(http_port(server));
    char piece[1000];

    (void)state;
    assert_true(client_send(fd, text, sizeof text - 1));
    assert_true(recv(fd, piece, sizeof piece, 0) > 0);
    assert_int_equal(core.open_requests, 1);
    close(fd);
    wait_for(&core.open_requests, 0);
    wait_for(&core.open_sessions, 0);
}

static void a_client_that_leaves_is_noticed(void **state)
{
    static const char text[] = "POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n"
                               "{\"sql\":\"wait\"}";
    int fd = client_connect(http_port(server));

    (void)state;
    assert_true(client_send(fd, text, sizeof text - 1));
    wait_for(&core.waiting, 1);
    assert_int_equal(core.saw_gone, 0);
    close(fd);
    wait_for(&core.saw_gone, 1);
    wait_for(&core.open_sessions, 0);
}

/* ---- errors ---- */

static void errors(void **state)
{
    (void)state;
    assert_int_equal(post("/query", "[{\"sql\":\"write\"},{\"sql\":\"error UNIQUE\"}]"), 409);
    assert_header("Content-Type", "application/problem+json");
    assert_body("{\"type\":\"urn:ha:error:UNIQUE\",\"title\":\"unique constraint failed\","
                "\"status\":409,\"detail\":\"as \\\"asked\\\"\",\"code\":\"UNIQUE\","
                "\"sqlstate\":\"23505\",\"sqlite_code\":19,\"sqlite_extended_code\":2067,"
                "\"statement\":1}\n");
    assert_null(answer_header(&a, "HA-Seq"));
    assert_int_equal(post("/query", "{\"sql\":\"error NO_TABLE\"}"), 400);
    assert_body_has("\"offset\":14");
    assert_int_equal(post("/query", "{\"sql\":\"error LOG_UNAVAILABLE\"}"), 503);
    assert_header("Retry-After", "1");
    assert_int_equal(post("/query", "{\"sql\":\"error CONFLICT\"}"), 409);
    assert_int_equal(post("/query?timeout=20ms", "{\"sql\":\"wait\"}"), 408);
    assert_int_equal(post("/query", "{\"sql\":\"begin; write\"}"), 400);
    assert_body_has("\"code\":\"TX_ACTIVE\"");
    assert_null(answer_header(&a, "HA-Seq"));
    assert_int_equal(post("/query", "{\"sql\":\"begin; write; commit\"}"), 200);
    assert_header("HA-Seq", "8");
}

static void bad_bodies(void **state)
{
    (void)state;
    assert_int_equal(post("/query", ""), 400);
    assert_int_equal(request("POST", "/query", "", NULL), 400);
    assert_int_equal(post("/query", "{"), 400);
    assert_int_equal(post("/query", "{\"sql\":5}"), 400);
    assert_body_has("\"code\":\"PROTOCOL\"");
    assert_int_equal(post("/query", "[]"), 400);
    assert_int_equal(post("/databases", ""), 400);
    assert_int_equal(post("/databases", "{}"), 400);
    assert_int_equal(post("/databases", "[]"), 400);
}

static void bodies_too_large(void **state)
{
    struct buf big = BUF_INIT;
    int fd;

    (void)state;
    http_free(server);
    start_with(&(struct http_options){.address = "127.0.0.1", .max_body_bytes = 100000});
    buf_puts(&big, "{\"sql\":\"echo\",\"params\":[\"");
    while (big.len < 99990)
        buf_putc(&big, 'x');
    buf_puts(&big, "\"]}");
    assert_int_equal(post("/query", buf_cstr(&big)), 200);
    while (big.len < 100001)
        buf_putc(&big, ' ');
    /* Small enough to be drained: the connection stays. */
    fd = client_connect(http_port(server));
    answer_free(&a);
    client_request(fd, 0, "POST", "/query", "", buf_cstr(&big), &a);
    assert_int_equal(a.status, 413);
    answer_free(&a);
    client_request(fd, 0, "POST", "/query", "", "{\"sql\":\"write\"}", &a);
    assert_int_equal(a.status, 200);
    close(fd);
    /* Not small enough: answered before it is sent. */
    fd = client_connect(http_port(server));
    answer_free(&a);
    client_request(fd, 0, "POST", "/query", "Expect: 100-continue\r\nContent-Length: 2000000\r\n",
                   NULL, &a);
    assert_int_equal(a.status, 413);
    close(fd);
    /* Sent all the same: the answer arrives nevertheless. */
    while (big.len < 8000000)
        buf_putc(&big, ' ');
    assert_int_equal(post("/query", buf_cstr(&big)), 413);
    assert_true(a.complete);
    buf_free(&big);
}

/* Of 64 KiB each. */
static void send_chunks(int fd, const char *path, unsigned n)
{
    static char chunk[65536];
    struct buf b = BUF_INIT;

    memset(chunk, ' ', sizeof chunk);
    buf_printf(&b, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", path);
    for (unsigned i = 0; i < n; i++) {
        buf_puts(&b, "10000\r\n");
        buf_put(&b, chunk, sizeof chunk);
        buf_puts(&b, "\r\n");
    }
    (void)client_send(fd, b.data, b.len); /* it may be cut off */
    buf_free(&b);
}

/* Nobody knows how long it is going to be: refused in the middle, and told so. */
static void endless_bodies(void **state)
{
    static const struct {
        const char *path;
        int status;
    } cases[] = {{"/query", 413}, {"/transactions", 413}, {"/nowhere", 404}};

    (void)state;
    http_free(server);
    start_with(&(struct http_options){.address = "127.0.0.1", .max_body_bytes = 100000});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = client_connect(http_port(server));
        answer_free(&a);
        send_chunks(fd, cases[i].path, 40);
        client_read(fd, &a, false);
        assert_int_equal(a.status, cases[i].status);
        assert_true(a.complete);
        close(fd);
    }
}

static void chunked_bodies(void **state)
{
    static const char good[] =
        "POST /query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "6\r\n{\"sql\"\r\n9\r\n:\"write\"}\r\n0\r\n\r\n";
    int fd = client_connect(http_port(server));

    (void)state;
    answer_free(&a);
    assert_true(client_send(fd, good, sizeof good - 1));
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    assert_body(ONE_WRITE "\n");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(object_body),
        T(array_body),
        T(parameters),
        T(options_reach_the_core),
        T(formats),
        T(all_values),
        T(large_results_are_streamed),
        T(several_large_results),
        T(keep_alive_after_a_stream),
        T(an_error_after_the_beginning_breaks_off),
        T(a_reader_that_leaves_ends_the_request),
        T(a_client_that_leaves_is_noticed),
        T(errors),
        T(bad_bodies),
        T(bodies_too_large),
        T(chunked_bodies),
        T(endless_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
