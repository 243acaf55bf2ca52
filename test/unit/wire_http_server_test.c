/* The HTTP server against a stand-in for the core: real sockets, every path, streaming, errors. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/core_double.h"
#include "support/http_client.h"
#include "wire/http/http.h"

#define PATIENCE_NS (10 * CLOCK_S)

static struct http_server *server;
static struct answer a;

static void start_with(const struct http_options *o)
{
    struct err e = ERR_INIT;

    if (http_start(&server, NULL, o, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static int setup(void **state)
{
    (void)state;
    core.options.token = "";
    core.options.max_result_bytes = 0;
    core.options.tx_idle_timeout_ns = 10 * CLOCK_S;
    core.not_ready = core.idle_rollback = false;
    core.download_bytes = 0;
    core.download_fails_early = core.download_fails_late = false;
    core.saw_gone = core.saw_cancel = core.waiting = 0;
    start_with(&(struct http_options){.address = "127.0.0.1"});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    answer_free(&a);
    http_free(server);
    server = NULL;
    assert_int_equal(core.open_sessions, 0);
    assert_int_equal(core.open_requests, 0);
    assert_int_equal(core.connections, 0);
    return 0;
}

static int request(const char *method, const char *path, const char *headers, const char *body)
{
    answer_free(&a);
    client_request(-1, http_port(server), method, path, headers, body, &a);
    return a.status;
}

static int post(const char *path, const char *body)
{
    return request("POST", path, "", body);
}

static int get(const char *path)
{
    return request("GET", path, "", NULL);
}

static void assert_body(const char *text)
{
    assert_string_equal(buf_cstr(&a.body), text);
}

static void assert_body_has(const char *text)
{
    if (!strstr(buf_cstr(&a.body), text))
        fail_msg("%s is not in %s", text, buf_cstr(&a.body));
}

static void assert_header(const char *name, const char *value)
{
    const char *has = answer_header(&a, name);

    if (!has)
        fail_msg("no header %s in %s", name, buf_cstr(&a.head));
    assert_string_equal(has, value);
}

static void wait_for(atomic_int *what, int value)
{
    int64_t deadline = clock_deadline(PATIENCE_NS);

    while (atomic_load(what) != value) {
        if (clock_mono_ns() > deadline)
            fail_msg("still %d, not %d", atomic_load(what), value);
        (void)poll(NULL, 0, 1);
    }
}

#define ONE_WRITE "{\"columns\":[\"rows_affected\",\"last_insert_id\"],\"rows\":[[1,3]]}"

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
    assert_body("{\"columns\":[\"n\",\"name\"],\"types\":[\"INTEGER\",\"TEXT\"],"
                "\"rows\":[[0,\"name 0\"]],\"rows_affected\":0,\"last_insert_id\":0,"
                "\"time\":0.0015}\n");
    assert_int_equal(request("POST", "/query", "Accept: application/json; details=true\r\n",
                             "{\"sql\":\"write\"}"),
                     200);
    assert_body_has("\"rows_affected\":1,\"last_insert_id\":3,\"time\":0.0015}");
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

static void wrong_paths_and_methods(void **state)
{
    (void)state;
    assert_int_equal(get("/nothing"), 404);
    assert_body_has("\"code\":\"NOT_FOUND\"");
    assert_int_equal(post("/snapshot", "x"), 404);
    assert_int_equal(get("/query"), 405);
    assert_header("Allow", "POST, OPTIONS");
    assert_int_equal(request("PUT", "/databases/a.db", "", "x"), 405);
    assert_header("Allow", "GET, HEAD, POST, DELETE, OPTIONS");
    assert_int_equal(get("/databases/%"), 400);
    assert_int_equal(get("/databases/%00"), 400);
    assert_int_equal(get("/databases/%ff"), 400);
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

static void token(void **state)
{
    (void)state;
    http_free(server);
    core.options.token = "s3cret";
    start_with(&(struct http_options){.address = "127.0.0.1"});
    assert_int_equal(post("/query", "{\"sql\":\"write\"}"), 401);
    assert_header("WWW-Authenticate", "Bearer");
    assert_int_equal(
        request("POST", "/query", "Authorization: Bearer wrong\r\n", "{\"sql\":\"write\"}"), 401);
    assert_int_equal(
        request("POST", "/query", "Authorization: Bearer s3cre\r\n", "{\"sql\":\"write\"}"), 401);
    assert_int_equal(
        request("POST", "/query", "Authorization: Bearer s3cret\r\n", "{\"sql\":\"write\"}"), 200);
    assert_int_equal(
        request("POST", "/query", "Authorization: bearer s3cret\r\n", "{\"sql\":\"write\"}"), 200);
    assert_int_equal(request("POST", "/query", "Authorization: s3cret\r\n", "{\"sql\":\"write\"}"),
                     200);
    assert_int_equal(get("/metrics"), 401);
    assert_int_equal(get("/nothing"), 401);
    assert_int_equal(get("/healthz"), 200);
    assert_int_equal(get("/livez"), 200);
    assert_int_equal(get("/readyz"), 200);
    assert_int_equal(request("OPTIONS", "/query", "", NULL), 204);
}

static void cors(void **state)
{
    (void)state;
    assert_int_equal(request("OPTIONS", "/query",
                             "Origin: http://a\r\nAccess-Control-Request-Method: POST\r\n", NULL),
                     204);
    assert_header("Access-Control-Allow-Origin", "*");
    assert_header("Access-Control-Allow-Methods", "POST, OPTIONS");
    assert_non_null(strstr(answer_header(&a, "Access-Control-Allow-Headers"), "HA-Min-Seq"));
    assert_int_equal(request("OPTIONS", "/nothing", "", NULL), 404);
    assert_int_equal(request("GET", "/databases", "Origin: http://a\r\n", NULL), 200);
    assert_non_null(strstr(answer_header(&a, "Access-Control-Expose-Headers"), "HA-Seq"));
}

/* ---- everything else ---- */

static void databases(void **state)
{
    (void)state;
    assert_int_equal(get("/databases"), 200);
    assert_body("{\"databases\":[\"a.db\",\"b c.db\"]}\n");
    assert_int_equal(post("/databases", "{\"dsn\":\"new.db?x=1\"}"), 201);
    assert_string_equal(core.created, "new.db?x=1");
    assert_int_equal(post("/databases", "{\"dsn\":\"a.db\"}"), 409);
    assert_int_equal(request("DELETE", "/databases/b%20c.db", "", NULL), 200);
    assert_string_equal(core.dropped, "b c.db");
    assert_int_equal(request("DELETE", "/databases/x", "", NULL), 404);
}

static void replications(void **state)
{
    (void)state;
    assert_int_equal(get("/replications"), 200);
    assert_body("{\"replications\":[{\"name\":\"node 2\",\"database\":\"a.db\"}]}\n");
    assert_int_equal(get("/databases/b%20c.db/replications/node%202"), 200);
    assert_body_has("b c.db");
    assert_int_equal(get("/replications/node+2"), 404);
    assert_int_equal(request("DELETE", "/replications/node%2F2", "", NULL), 204);
    assert_string_equal(core.removed, "node/2");
}

static void node_paths(void **state)
{
    (void)state;
    assert_int_equal(get("/healthz"), 200);
    assert_body("ok\n");
    assert_int_equal(get("/status"), 200);
    assert_int_equal(get("/metrics"), 200);
    assert_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    assert_int_equal(get("/version"), 200);
    assert_body("{\"version\":\"9.9.9\",\"node\":\"node-1\"}\n");
    assert_int_equal(get("/openapi.yaml"), 200);
    assert_memory_equal(a.body.data, "openapi: 3.1", 12);
    assert_int_equal(get("/readyz"), 200);
    core.not_ready = true;
    assert_int_equal(get("/readyz"), 503);
    assert_body("a.db is catching up\n");
    assert_int_equal(get("/readyz?sync"), 503);
    assert_body("a.db is 5 behind\n");
    assert_int_equal(request("HEAD", "/healthz", "", NULL), 200);
    assert_header("Content-Length", "3");
}

static void download(void **state)
{
    (void)state;
    core.download_bytes = 5000000;
    assert_int_equal(get("/download"), 200);
    assert_true(a.complete);
    assert_int_equal(a.body.len, 5000000);
    assert_memory_equal(answer_header(&a, "Content-Disposition"), "attachment; filename=\"a-", 24);
    assert_int_equal(get("/databases/b%20c.db"), 200);
    assert_memory_equal(answer_header(&a, "Content-Disposition"), "attachment; filename=\"b_c-",
                        26);
    assert_int_equal(request("HEAD", "/download", "", NULL), 200);
    assert_int_equal(get("/databases/x"), 404);
    core.download_fails_late = true;
    assert_int_equal(get("/download"), 200);
    assert_false(a.complete);
    core.download_fails_early = true;
    assert_int_equal(get("/download"), 503);
}

static void a_download_that_is_left(void **state)
{
    static const char text[] = "GET /download HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = client_connect(http_port(server));
    char piece[1000];

    (void)state;
    core.download_bytes = (size_t)1 << 40;
    assert_true(client_send(fd, text, sizeof text - 1));
    assert_true(recv(fd, piece, sizeof piece, 0) > 0);
    close(fd);
    wait_for(&core.connections, 0);
}

/* ---- transactions ---- */

static void begin_transaction(const char *body, char header[128])
{
    const char *at;

    assert_int_equal(request("POST", "/transactions", "", body), 201);
    at = strstr(buf_cstr(&a.body), "\"transaction\":\"");
    assert_non_null(at);
    snprintf(header, 128, "HA-Transaction: %.32s\r\n", at + 15);
    assert_memory_equal(answer_header(&a, "Location"), "/transactions/", 14);
}

static const char *tx_path(const char *header, const char *verb)
{
    static char path[128];

    snprintf(path, sizeof path, "/transactions/%.32s/%s", header + 16, verb);
    return path;
}

static void transactions(void **state)
{
    char tx[128], other[128];

    (void)state;
    begin_transaction(NULL, tx);
    assert_body_has("\"database\":\"a.db\"");
    begin_transaction("{\"database\":\"b c.db\"}", other);
    assert_body_has("\"database\":\"b c.db\"");
    assert_string_not_equal(tx, other);
    assert_int_equal(core.open_sessions, 2);
    assert_int_equal(request("POST", "/query", tx, "{\"sql\":\"write\"}"), 200);
    assert_null(answer_header(&a, "HA-Seq"));
    assert_int_equal(request("POST", "/databases/a.db", tx, "{\"sql\":\"rows 30000\"}"), 200);
    assert_true(a.complete);
    assert_int_equal(request("POST", "/databases/b%20c.db", tx, "{\"sql\":\"write\"}"), 400);
    assert_int_equal(request("POST", "/query", tx, "{\"sql\":\"error UNIQUE\"}"), 409);
    assert_int_equal(post(tx_path(tx, "commit"), NULL), 200);
    assert_body("{\"seq\":8}\n");
    assert_header("HA-Seq", "8");
    assert_int_equal(post(tx_path(tx, "commit"), NULL), 404);
    assert_int_equal(request("POST", "/query", tx, "{\"sql\":\"write\"}"), 404);
    assert_int_equal(post(tx_path(other, "rollback"), NULL), 204);
    assert_int_equal(core.open_sessions, 0);
    begin_transaction(NULL, tx);
    assert_int_equal(request("POST", "/query", tx, "{\"sql\":\"commit\"}"), 200);
    assert_header("HA-Seq", "8");
    assert_int_equal(core.open_sessions, 0);
    assert_int_equal(request("POST", "/transactions", "", "{\"database\":\"x\"}"), 404);
    assert_int_equal(request("POST", "/query", "HA-Transaction: x\r\n", "{\"sql\":\"write\"}"),
                     404);
}

static void idle_transactions(void **state)
{
    char tx[128];

    (void)state;
    begin_transaction(NULL, tx);
    core.idle_rollback = true;
    assert_int_equal(request("POST", "/query", tx, "{\"sql\":\"write\"}"), 409);
    assert_body_has("\"code\":\"TX_IDLE\"");
    assert_int_equal(request("POST", "/query", tx, "{\"sql\":\"write\"}"), 404);
    assert_int_equal(core.open_sessions, 0);
    core.idle_rollback = false;
    begin_transaction(NULL, tx); /* left to http_free() */
    assert_int_equal(core.open_sessions, 1);
}

static void many_transactions(void **state)
{
    char tx[128];

    (void)state;
    for (int i = 0; i < 256; i++)
        begin_transaction(NULL, tx);
    assert_int_equal(request("POST", "/transactions", "", NULL), 503);
    assert_int_equal(post(tx_path(tx, "rollback"), NULL), 204);
    begin_transaction(NULL, tx);
}

static void a_transaction_in_use(void **state)
{
    char tx[128];
    char text[256];
    int fd = client_connect(http_port(server));

    (void)state;
    begin_transaction(NULL, tx);
    snprintf(text, sizeof text, "POST /query HTTP/1.1\r\nHost: x\r\n%sContent-Length: 14\r\n\r\n%s",
             tx, "{\"sql\":\"wait\"}");
    assert_true(client_send(fd, text, strlen(text)));
    wait_for(&core.waiting, 1);
    assert_int_equal(request("POST", "/query", tx, "{\"sql\":\"write\"}"), 503);
    assert_int_equal(post(tx_path(tx, "commit"), NULL), 503);
    close(fd);
    wait_for(&core.saw_gone, 1);
}

/* ---- connections ---- */

static void connection_limit(void **state)
{
    int fd[3];

    (void)state;
    http_free(server);
    start_with(&(struct http_options){.address = "127.0.0.1", .max_connections = 2});
    for (int i = 0; i < 2; i++) {
        fd[i] = client_connect(http_port(server));
        answer_free(&a);
        client_request(fd[i], 0, "GET", "/healthz", "", NULL, &a);
        assert_int_equal(a.status, 200);
    }
    fd[2] = client_connect(http_port(server));
    answer_free(&a);
    client_request(fd[2], 0, "GET", "/healthz", "", NULL, &a);
    assert_int_equal(a.status, 503);
    assert_true(a.complete);
    assert_body_has("TOO_MANY");
    close(fd[2]);
    close(fd[0]);
    wait_for(&core.connections, 1);
    for (int64_t deadline = clock_deadline(PATIENCE_NS); get("/healthz") != 200;)
        assert_true(clock_mono_ns() < deadline);
    close(fd[1]);
}

static void idle_connections_are_closed(void **state)
{
    char byte;
    int fd;

    (void)state;
    http_free(server);
    start_with(&(struct http_options){.address = "127.0.0.1", .idle_timeout_s = 1});
    fd = client_connect(http_port(server));
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static void a_long_statement_is_not_idle(void **state)
{
    int fd;

    (void)state;
    http_free(server);
    start_with(&(struct http_options){.address = "127.0.0.1", .idle_timeout_s = 1});
    fd = client_connect(http_port(server));
    answer_free(&a);
    client_request(fd, 0, "POST", "/query?timeout=3s", "", "{\"sql\":\"wait\"}", &a);
    assert_int_equal(a.status, 408);
    answer_free(&a);
    client_request(fd, 0, "POST", "/query", "", "{\"sql\":\"write\"}", &a);
    assert_int_equal(a.status, 200);
    close(fd);
}

static void addresses(void **state)
{
    struct http_server *other = NULL;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(http_start(&other, NULL, &(struct http_options){.address = "nowhere"}, &e),
                     ERR_CONFIG);
    assert_null(other);
    assert_int_equal(
        http_start(&other, NULL,
                   &(struct http_options){.address = "127.0.0.1", .port = http_port(server)}, &e),
        ERR_IO);
    assert_int_equal(http_start(&other, NULL, &(struct http_options){0}, &e), ERR_OK);
    answer_free(&a);
    client_request(-1, http_port(other), "GET", "/healthz", "", NULL, &a);
    assert_int_equal(a.status, 200);
    http_free(other);
    http_free(NULL);
    http_stop(NULL, 0);
}

/* ---- stopping ---- */

static void *stop_soon(void *arg)
{
    http_stop(server, *(int64_t *)arg);
    return NULL;
}

static void stopping_lets_requests_end(void **state)
{
    static const char text[] = "POST /query?timeout=300ms HTTP/1.1\r\nHost: x\r\n"
                               "Content-Length: 14\r\n\r\n{\"sql\":\"wait\"}";
    int64_t deadline = clock_deadline(PATIENCE_NS);
    int fd = client_connect(http_port(server));
    int idle = client_connect(http_port(server));
    pthread_t thread;
    char byte;

    (void)state;
    wait_for(&core.connections, 2);
    assert_true(client_send(fd, text, sizeof text - 1));
    wait_for(&core.waiting, 1);
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &deadline), 0);
    assert_int_equal(recv(idle, &byte, 1, 0), 0); /* at once */
    answer_free(&a);
    client_read(fd, &a, false);
    assert_int_equal(a.status, 408);
    assert_header("Connection", "close");
    pthread_join(thread, NULL);
    assert_int_equal(core.saw_cancel, 0);
    assert_true(clock_mono_ns() < deadline);
    assert_int_equal(client_connect(http_port(server)), -1);
    close(fd);
    close(idle);
}

static void stopping_cancels_at_the_deadline(void **state)
{
    static const char text[] = "POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n"
                               "{\"sql\":\"wait\"}";
    static const char get_file[] = "GET /download HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char get_rows[] = "POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 24\r\n\r\n"
                                   "{\"sql\":\"rows 100000000\"}";
    int fd[3];
    char byte;

    (void)state;
    core.download_bytes = (size_t)1 << 40;
    for (int i = 0; i < 3; i++)
        fd[i] = client_connect(http_port(server));
    assert_true(client_send(fd[0], text, sizeof text - 1));
    assert_true(client_send(fd[1], get_file, sizeof get_file - 1));
    assert_true(client_send(fd[2], get_rows, sizeof get_rows - 1));
    wait_for(&core.waiting, 1);
    assert_int_equal(recv(fd[1], &byte, 1, 0), 1);
    assert_int_equal(recv(fd[2], &byte, 1, 0), 1);
    http_stop(server, clock_deadline(50 * CLOCK_MS));
    assert_int_equal(core.saw_cancel + core.saw_gone, 1);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
}

/* ---- load ---- */

static void *hammer(void *arg)
{
    struct answer mine = {0};
    int fd = client_connect(http_port(server));

    (void)arg;
    for (int i = 0; i < 200; i++) {
        client_request(fd, 0, "POST", "/query", "",
                       i % 50 == 0 ? "{\"sql\":\"rows 5000\"}" : "{\"sql\":\"write\"}", &mine);
        if (mine.status != 200 || !mine.complete) {
            close(fd);
            answer_free(&mine);
            return NULL;
        }
        answer_free(&mine);
    }
    close(fd);
    return &a;
}

static void many_clients(void **state)
{
    pthread_t threads[16];
    void *result;

    (void)state;
    for (int i = 0; i < 16; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, NULL), 0);
    for (int i = 0; i < 16; i++) {
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

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
        T(wrong_paths_and_methods),
        T(bodies_too_large),
        T(chunked_bodies),
        T(token),
        T(cors),
        T(databases),
        T(replications),
        T(node_paths),
        T(download),
        T(a_download_that_is_left),
        T(transactions),
        T(idle_transactions),
        T(many_transactions),
        T(a_transaction_in_use),
        T(connection_limit),
        T(idle_connections_are_closed),
        T(a_long_statement_is_not_idle),
        T(addresses),
        T(stopping_lets_requests_end),
        T(stopping_cancels_at_the_deadline),
        T(many_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
