/* Connections of the HTTP server as bytes: pipelines, pieces, old clients, and what is no HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/http_fixture.h"

#define ONE "{\"sql\":\"write\"}"

static void put_request(struct buf *b, size_t padding)
{
    buf_printf(b, "POST /query HTTP/1.1\r\nHost: x\r\nX: ");
    for (size_t i = 0; i < padding; i++)
        buf_putc(b, 'x');
    buf_printf(b, "\r\nContent-Length: %zu\r\n\r\n%s", strlen(ONE), ONE);
}

static void assert_answers(int fd, int n)
{
    for (int i = 0; i < n; i++) {
        answer_free(&a);
        client_read(fd, &a, false);
        assert_int_equal(a.status, 200);
        assert_body(ONE_WRITE "\n");
    }
}

static void assert_ended(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

/* Heads and bodies lie across every place in the input buffer. */
static void pipelines(void **state)
{
    static const size_t paddings[] = {0, 100, 5000, 30000};
    struct buf b = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof paddings / sizeof *paddings; i++) {
        int fd = client_connect(http_port(server));
        buf_reset(&b);
        for (int k = 0; k < 50; k++)
            put_request(&b, paddings[i]);
        assert_true(client_send(fd, b.data, b.len));
        assert_answers(fd, 50);
        close(fd);
    }
    buf_free(&b);
}

static void a_large_body_in_a_pipeline(void **state)
{
    struct buf b = BUF_INIT;
    int fd = client_connect(http_port(server));

    (void)state;
    put_request(&b, 20000);
    buf_printf(&b, "POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
               strlen(ONE) + 500000, ONE);
    for (int i = 0; i < 500000; i++)
        buf_putc(&b, ' ');
    put_request(&b, 0);
    assert_true(client_send(fd, b.data, b.len));
    assert_answers(fd, 3);
    close(fd);
    buf_free(&b);
}

static void byte_by_byte(void **state)
{
    static const char text[] =
        "\r\nPOST /query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "\r\nf\r\n" ONE "\r\n0\r\nT: x\r\n\r\n"
        "POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n" ONE;
    int fd = client_connect(http_port(server));

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++)
        assert_true(client_send(fd, text + i, 1));
    assert_answers(fd, 2);
    close(fd);
}

static void leave_to_send(void **state)
{
    static const char head[] = "POST /query HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                               "Content-Length: 15\r\n\r\n";
    static const char leave[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char got[sizeof leave] = "";
    int fd = client_connect(http_port(server));

    (void)state;
    assert_true(client_send(fd, head, sizeof head - 1));
    assert_int_equal(recv(fd, got, sizeof leave - 1, MSG_WAITALL), sizeof leave - 1);
    assert_string_equal(got, leave);
    assert_true(client_send(fd, ONE, strlen(ONE)));
    assert_answers(fd, 1);
    close(fd);
    /* Whoever is not going to be heard is told so instead. */
    answer_free(&a);
    client_request(-1, http_port(server), "POST", "/nowhere",
                   "Expect: 100-continue\r\nContent-Length: 15\r\n", NULL, &a);
    assert_int_equal(a.status, 404);
    assert_header("Connection", "close");
}

static void old_clients(void **state)
{
    static const char keeps[] = "POST /query HTTP/1.0\r\nConnection: keep-alive\r\n"
                                "Content-Length: 15\r\n\r\n" ONE;
    static const char rows[] = "POST /query HTTP/1.0\r\nConnection: keep-alive\r\n"
                               "Content-Length: 20\r\n\r\n{\"sql\":\"rows 30000\"}";
    struct buf all = BUF_INIT;
    char piece[4096];
    ssize_t n;
    int fd = client_connect(http_port(server));

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(client_send(fd, keeps, sizeof keeps - 1));
        assert_answers(fd, 1);
        assert_header("Connection", "keep-alive");
    }
    /* They know no chunks: a long result lasts as long as the connection. */
    assert_true(client_send(fd, rows, sizeof rows - 1));
    while ((n = recv(fd, piece, sizeof piece, 0)) > 0)
        buf_put(&all, piece, (size_t)n);
    assert_int_equal(n, 0);
    assert_null(strstr(buf_cstr(&all), "Transfer-Encoding"));
    assert_non_null(strstr(buf_cstr(&all), "\r\nConnection: close\r\n"));
    assert_memory_equal(all.data + all.len - 4, "]]}\n", 4);
    buf_free(&all);
    close(fd);
    fd = client_connect(http_port(server));
    assert_true(client_send(fd, "GET /healthz HTTP/1.0\r\n\r\n", 25));
    answer_free(&a);
    client_read(fd, &a, false);
    assert_int_equal(a.status, 200);
    assert_ended(fd);
}

static void refused(const char *text, int status)
{
    int fd = client_connect(http_port(server));

    assert_true(client_send(fd, text, strlen(text)));
    answer_free(&a);
    client_read(fd, &a, false);
    if (a.status != status)
        fail_msg("%d for %.100s", a.status, text);
    assert_header("Connection", "close");
    assert_true(a.complete);
    assert_ended(fd);
}

static void what_is_no_http(void **state)
{
    struct buf b = BUF_INIT;

    (void)state;
    refused("GET\r\n\r\n", 400);
    refused("GET / HTTP/1.1\nHost: x\n\n", 400);
    refused("PRI * HTTP/2.0\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400);
    refused("POST /query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400);
    refused("POST /query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc", 400);
    buf_puts(&b, "GET / HTTP/1.1\r\nHost: ");
    for (size_t i = 0; i < 200000; i++)
        buf_putc(&b, 'x');
    refused(buf_cstr(&b), 413);
    buf_free(&b);
}

/* The part of a request that has come says nothing. */
static void a_client_that_leaves_in_the_middle(void **state)
{
    static const char *const parts[] = {
        "", "\r\n", "POST /query HTT",
        "POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{",
        "POST /query HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{"};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int fd = client_connect(http_port(server));
        assert_true(client_send(fd, parts[i], strlen(parts[i])));
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        assert_ended(fd);
    }
    wait_for(&core.connections, 0);
}

static void a_client_that_takes_nothing(void **state)
{
    static const char text[] = "GET /download HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd;

    (void)state;
    core.download_bytes = (size_t)1 << 40;
    http_free(server);
    start_with(&(struct http_options){.address = "127.0.0.1", .idle_timeout_s = 1});
    fd = client_connect(http_port(server));
    assert_true(client_send(fd, text, sizeof text - 1));
    wait_for(&core.connections, 1);
    wait_for(&core.connections, 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(pipelines),
        T(a_large_body_in_a_pipeline),
        T(byte_by_byte),
        T(leave_to_send),
        T(old_clients),
        T(what_is_no_http),
        T(a_client_that_leaves_in_the_middle),
        T(a_client_that_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
