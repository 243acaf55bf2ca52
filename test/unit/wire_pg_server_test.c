/* Connections of the PostgreSQL server on a node without NATS: how many, and how long until they
 * have proved who they are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/node.h"
#include "proto/pgwire.h"
#include "support/http_client.h"
#include "support/node_fixture.h"
#include "wire/pg/pg.h"

#define PATIENCE_NS (10 * CLOCK_S)

struct fixture {
    char dir[NODE_DIR_SIZE];
    struct node *node;
    struct pg_server *server;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    f->node = node_fixture_open(f->dir, "");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    pg_stop(f->server, clock_deadline(CLOCK_S));
    node_stop(f->node, clock_deadline(CLOCK_S));
    pg_free(f->server);
    node_fixture_close(f->node, f->dir);
    free(f);
    return 0;
}

static void start(struct fixture *f, const char *pass, unsigned max_connections)
{
    const struct pg_options o = {.address = "127.0.0.1",
                                 .user = "ha",
                                 .pass = pass,
                                 .max_connections = max_connections,
                                 .auth_timeout_s = 1};
    struct err e = ERR_INIT;

    if (pg_start(&f->server, f->node, &o, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

static int begin(const struct fixture *f)
{
    static const char packet[] = "\0\0\0\x11\0\3\0\0user\0ha\0";
    int fd = client_connect(pg_port(f->server));

    assert_true(fd >= 0 && client_send(fd, packet, sizeof packet));
    return fd;
}

/* All that comes up to the end of the connection, or up to ReadyForQuery. */
static void read_answer(int fd, struct buf *b)
{
    char bytes[4096];
    ssize_t n;

    buf_reset(b);
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        buf_put(b, bytes, (size_t)n);
        if (b->len >= 6 && memcmp(b->data + b->len - 6, "Z\0\0\0\5I", 6) == 0)
            return;
    }
    assert_int_equal(n, 0);
}

static bool says(const struct buf *b, const char *text)
{
    return b->len > 0 && memmem(b->data, b->len, text, strlen(text)) != NULL;
}

static void whoever_does_not_prove_himself_in_time_is_sent_away(void **state)
{
    struct fixture *f = *state;
    struct buf answer = BUF_INIT;

    start(f, "secret", 0);
    int64_t began = clock_mono_ns();
    int silent = client_connect(pg_port(f->server)), half = client_connect(pg_port(f->server));
    int challenged = begin(f);
    assert_true(client_send(half, "\0\0", 2));
    read_answer(silent, &answer);
    assert_int_equal(answer.len, 0);
    assert_true(clock_mono_ns() - began >= CLOCK_S);
    read_answer(half, &answer);
    assert_int_equal(answer.len, 0);
    read_answer(challenged, &answer);
    assert_true(says(&answer, "SCRAM-SHA-256"));
    assert_true(says(&answer, "57014"));
    close(silent);
    close(half);
    close(challenged);
    buf_free(&answer);
}

/* The limit is one of all the time until then, not of each byte. */
static void drips_do_not_win_time(void **state)
{
    struct fixture *f = *state;
    struct buf answer = BUF_INIT;
    int64_t deadline = clock_deadline(PATIENCE_NS);
    bool sent = true;

    start(f, "secret", 0);
    int fd = client_connect(pg_port(f->server));
    assert_true(client_send(fd, "\0\0\x27\x10\0\3\0\0", 8)); /* promises 10,000 bytes */
    while (sent) {
        struct timeval pause = {.tv_usec = 20000};
        char byte;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
        sent = recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN && client_send(fd, "x", 1);
        assert_true(clock_mono_ns() < deadline);
    }
    close(fd);
    buf_free(&answer);
}

static void time_does_not_count_afterwards(void **state)
{
    struct fixture *f = *state;
    struct buf answer = BUF_INIT;

    start(f, "", 0);
    int ready = begin(f);
    read_answer(ready, &answer);
    assert_true(says(&answer, "server_version"));
    int silent =
        client_connect(pg_port(f->server)); /* is sent away after the time of the other one */
    struct buf nothing = BUF_INIT;
    read_answer(silent, &nothing);
    assert_true(client_send(ready, "Q\0\0\0\x0eSELECT 42\0", 15));
    read_answer(ready, &answer);
    assert_true(says(&answer, "42") && says(&answer, "SELECT 1"));
    close(silent);
    close(ready);
    buf_free(&answer);
    buf_free(&nothing);
}

static void one_connection_too_many(void **state)
{
    struct fixture *f = *state;
    struct buf answer = BUF_INIT;
    int64_t deadline = clock_deadline(PATIENCE_NS);

    start(f, "", 2);
    int first = begin(f), second = begin(f);
    read_answer(first, &answer);
    read_answer(second, &answer);
    int third = client_connect(pg_port(f->server));
    read_answer(third, &answer);
    assert_true(says(&answer, "53300"));
    close(third);
    close(first);
    do { /* until the first one's thread has noticed */
        third = begin(f);
        read_answer(third, &answer);
        close(third);
        assert_true(clock_mono_ns() < deadline);
    } while (!says(&answer, "server_version"));
    close(second);
    buf_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_does_not_prove_himself_in_time_is_sent_away, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(drips_do_not_win_time, setup, teardown),
        cmocka_unit_test_setup_teardown(time_does_not_count_afterwards, setup, teardown),
        cmocka_unit_test_setup_teardown(one_connection_too_many, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
