/* The other paths of the HTTP server, tokens, CORS, and transactions that span requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/http_fixture.h"

static void wrong_paths_and_methods(void **state)
{
    (void)state;
    assert_int_equal(get("/nothing"), 404);
    assert_body_has("\"code\":\"NOT_FOUND\"");
    assert_int_equal(post("/snapshots", "x"), 404);
    assert_int_equal(get("/query"), 405);
    assert_header("Allow", "POST, OPTIONS");
    assert_int_equal(request("PUT", "/databases/a.db", "", "x"), 405);
    assert_header("Allow", "GET, HEAD, POST, DELETE, OPTIONS");
    assert_int_equal(get("/databases/%"), 400);
    assert_int_equal(get("/databases/%00"), 400);
    assert_int_equal(get("/databases/%ff"), 400);
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

/* Its answer, and then the end: what stands behind it is no request. */
static void refused_for_good(const char *headers, const char *rest)
{
    char text[512];
    char byte;
    int fd = client_connect(http_port(server));

    snprintf(text, sizeof text, "POST /query HTTP/1.1\r\nHost: x\r\n%s\r\n%s", headers, rest);
    assert_true(client_send(fd, text, strlen(text)));
    answer_free(&a);
    client_read(fd, &a, false);
    if (a.status != 400)
        fail_msg("%d for %s", a.status, headers);
    assert_header("Connection", "close");
    assert_body_has("\"code\":\"PROTOCOL\"");
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static void bodies_with_two_ends(void **state)
{
    static const char body[] = "{\"sql\":\"write\"}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char chunks[] = "f\r\n{\"sql\":\"write\"}\r\n0\r\n\r\n"
                                 "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

    (void)state;
    refused_for_good("Content-Length: 15\r\nContent-Length: 20\r\n", body);
    refused_for_good("Content-Length: 20\r\nContent-Length: 15\r\n", body);
    refused_for_good("Content-Length: 15\r\nTransfer-Encoding: chunked\r\n", chunks);
    refused_for_good("Transfer-Encoding: chunked\r\nContent-Length: 15\r\n", chunks);
    refused_for_good("Content-Length: 0\r\ntransfer-encoding: chunked\r\n", chunks);
    refused_for_good("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunks);
    refused_for_good("Transfer-Encoding: xchunked\r\n", chunks);
    refused_for_good("Transfer-Encoding: gzip, chunked\r\n", chunks);
    refused_for_good("Transfer-Encoding: identity\r\nContent-Length: 15\r\n", body);
    refused_for_good("Transfer-Encoding: xchunked\r\n", "");
    refused_for_good("Content-Length : 15\r\n", body);
    refused_for_good("Transfer-Encoding : chunked\r\n", chunks);
    assert_int_equal(request("POST", "/query", "", "{\"sql\":\"write\"}"), 200);
}

static void a_body_in_chunks(void **state)
{
    static const char text[] =
        "POST /query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
        "f\r\n{\"sql\":\"write\"}\r\n0\r\n\r\n";
    int fd = client_connect(http_port(server));

    (void)state;
    assert_true(client_send(fd, text, sizeof text - 1));
    answer_free(&a);
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    answer_free(&a);
    client_request(fd, 0, "GET", "/healthz", "", NULL, &a);
    assert_int_equal(a.status, 200);
    close(fd);
}

static void expected_nodes(void **state)
{
    (void)state;
    assert_int_equal(get("/verify?expect=3"), 200);
    assert_body_has("\"expected\":\"3\"");
    assert_int_equal(get("/verify?expect=node-1,node-2"), 200);
    assert_int_equal(get("/verify?expect=99999999999999999999999"), 400);
    assert_body_has("\"code\":\"PARAM\"");
}

static void history(void **state)
{
    (void)state;
    assert_int_equal(get("/history"), 200);
    assert_body_has("\"database\":\"a.db\",\"from\":\"\",\"limit\":100");
    assert_int_equal(get("/databases/b.db/history/150.2?limit=7"), 200);
    assert_body_has("\"database\":\"b.db\",\"from\":\"150.2\",\"limit\":7");
    assert_int_equal(get("/history/10m"), 200);
    assert_body_has("\"from\":\"10m\"");
    assert_int_equal(get("/history/1"), 410);
    assert_body_has("\"code\":\"TOO_OLD\"");
    assert_int_equal(get("/history?limit=0"), 400);
    assert_int_equal(get("/history?limit=x"), 400);
    assert_int_equal(get("/history?limit=99999999999999999999999"), 400);
    assert_int_equal(request("POST", "/history", "", ""), 405);
}

static void undo(void **state)
{
    (void)state;
    assert_int_equal(request("POST", "/undo/150", "", ""), 200);
    assert_header("HA-Seq", "171");
    assert_body_has("\"statement\":\"UNDO 150\"");
    assert_int_equal(request("POST", "/databases/b.db/undoe/150.2", "", ""), 200);
    assert_body_has("\"database\":\"b.db\",\"statement\":\"UNDOE 150.2\"");
    assert_int_equal(request("POST", "/undot/0", "", ""), 200);
    assert_body_has("\"statement\":\"UNDOT 0\"");
    assert_int_equal(request("POST", "/undo/9", "", ""), 409);
    assert_body_has("\"code\":\"CHANGED\"");
    assert_int_equal(get("/undo/1"), 405);
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
    assert_int_equal(get("/snapshot"), 404);
    assert_int_equal(post("/snapshot", NULL), 503);
    core.download_fails_early = false;
    assert_int_equal(post("/snapshot", NULL), 200);
    assert_header("X-Sequence", "42");
    assert_body("{\"database\":\"a.db\",\"seq\":42}\n");
    assert_int_equal(post("/databases/b%20c.db/snapshot", NULL), 200);
    assert_body("{\"database\":\"b c.db\",\"seq\":42}\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(wrong_paths_and_methods),
        T(token),
        T(bodies_with_two_ends),
        T(a_body_in_chunks),
        T(expected_nodes),
        T(history),
        T(undo),
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
