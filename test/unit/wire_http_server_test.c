/* Connections of the HTTP server: limits, time-outs, stopping, load. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/http_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(connection_limit), T(idle_connections_are_closed), T(a_long_statement_is_not_idle),
        T(addresses),        T(stopping_lets_requests_end),  T(stopping_cancels_at_the_deadline),
        T(many_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
