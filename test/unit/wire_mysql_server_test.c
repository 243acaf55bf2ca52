/* Connections of the MySQL server on a node without NATS: how many, and how long until they have
 * proved who they are. */
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
#include "proto/mysqlwire.h"
#include "support/http_client.h"
#include "support/node_fixture.h"
#include "wire/mysql/mysql.h"

#define PATIENCE_NS (10 * CLOCK_S)

struct fixture {
    char dir[NODE_DIR_SIZE];
    struct node *node;
    struct mysql_server *server;
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

    mysql_stop(f->server, clock_deadline(CLOCK_S));
    node_stop(f->node, clock_deadline(CLOCK_S));
    mysql_free(f->server);
    node_fixture_close(f->node, f->dir);
    free(f);
    return 0;
}

static void start(struct fixture *f, const char *pass, unsigned max_connections)
{
    const struct mysql_options o = {.address = "127.0.0.1",
                                    .user = "ha",
                                    .pass = pass,
                                    .max_connections = max_connections,
                                    .auth_timeout_s = 1};
    struct err e = ERR_INIT;

    if (mysql_start(&f->server, f->node, &o, &e) != ERR_OK)
        fail_msg("%s", e.msg);
}

/* The next payload; false at the end of the connection. */
static bool read_packet(int fd, struct buf *b)
{
    unsigned char head[MYSQLWIRE_HEADER_BYTES];
    size_t n = 0, want = sizeof head;

    buf_reset(b);
    while (n < want) {
        char bytes[4096];
        ssize_t k = n < sizeof head
                        ? recv(fd, head + n, sizeof head - n, 0)
                        : recv(fd, bytes, want - n < sizeof bytes ? want - n : sizeof bytes, 0);
        if (k <= 0)
            return false;
        if (n >= sizeof head)
            buf_put(b, bytes, (size_t)k);
        n += (size_t)k;
        if (n == sizeof head)
            want += (size_t)head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    }
    return true;
}

static bool is_error(const struct buf *b, unsigned code)
{
    return b->len > 2 && (unsigned char)b->data[0] == 0xFF &&
           ((unsigned)(unsigned char)b->data[1] | (unsigned)(unsigned char)b->data[2] << 8) == code;
}

static void send_payload(int fd, const void *payload, size_t n, uint8_t sequence)
{
    char packet[256] = {(char)n, 0, 0, (char)sequence};

    assert_true(n < sizeof packet - 4);
    memcpy(packet + 4, payload, n);
    assert_true(client_send(fd, packet, n + 4));
}

/* Greeted, and the login without a password sent. */
static int begin(const struct fixture *f)
{
    static const char login[] = "\x00\x82\x08\x00\0\0\0\x01\x2d"
                                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                "ha\0\0caching_sha2_password";
    struct buf b = BUF_INIT;
    int fd = client_connect(mysql_port(f->server));

    assert_true(fd >= 0);
    if (read_packet(fd, &b) && b.data[0] == 10)
        send_payload(fd, login, sizeof login, 1);
    buf_free(&b);
    return fd;
}

static bool is_let_in(int fd)
{
    struct buf b = BUF_INIT;
    bool in = read_packet(fd, &b) && b.data[0] == 0;

    buf_free(&b);
    return in;
}

static void whoever_does_not_prove_himself_in_time_is_sent_away(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT;

    start(f, "secret", 0);
    int64_t began = clock_mono_ns();
    int silent = client_connect(mysql_port(f->server)),
        half = client_connect(mysql_port(f->server));
    assert_true(client_send(half, "\x20\0\0\1xyz", 7));
    assert_true(read_packet(silent, &b) && b.data[0] == 10);
    assert_false(read_packet(silent, &b));
    assert_true(clock_mono_ns() - began >= CLOCK_S);
    assert_true(read_packet(half, &b));
    assert_false(read_packet(half, &b));
    int wrong = begin(f);
    assert_true(read_packet(wrong, &b) && is_error(&b, 1045));
    assert_false(read_packet(wrong, &b));
    close(silent);
    close(half);
    close(wrong);
    buf_free(&b);
}

/* The limit is one of all the time until then, not of each byte. */
static void drips_do_not_win_time(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT;
    int64_t deadline = clock_deadline(PATIENCE_NS);
    bool sent = true;

    start(f, "secret", 0);
    int fd = client_connect(mysql_port(f->server));
    assert_true(read_packet(fd, &b));
    assert_true(client_send(fd, "\x10\x27\0\1", 4)); /* promises 10,000 bytes */
    while (sent) {
        struct timeval pause = {.tv_usec = 20000};
        char byte;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
        sent = recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN && client_send(fd, "x", 1);
        assert_true(clock_mono_ns() < deadline);
    }
    close(fd);
    buf_free(&b);
}

static void time_does_not_count_afterwards(void **state)
{
    static const char query[] = "\x03SELECT 42";
    struct fixture *f = *state;
    struct buf b = BUF_INIT;

    start(f, "", 0);
    int ready = begin(f);
    assert_true(is_let_in(ready));
    int silent = client_connect(mysql_port(f->server)); /* is sent away after the other's time */
    assert_true(read_packet(silent, &b));
    assert_false(read_packet(silent, &b));
    send_payload(ready, query, sizeof query - 1, 0);
    assert_true(read_packet(ready, &b) && b.len == 1 && b.data[0] == 1); /* one column */
    assert_true(read_packet(ready, &b));                                 /* its definition */
    assert_true(read_packet(ready, &b) && (unsigned char)b.data[0] == 0xFE);
    assert_true(read_packet(ready, &b) && b.len == 3 &&
                memcmp(b.data,
                       "\x02"
                       "42",
                       3) == 0);
    close(silent);
    close(ready);
    buf_free(&b);
}

static void one_connection_too_many(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT;
    int64_t deadline = clock_deadline(PATIENCE_NS);
    bool in;

    start(f, "", 2);
    int first = begin(f), second = begin(f);
    assert_true(is_let_in(first) && is_let_in(second));
    int third = client_connect(mysql_port(f->server));
    assert_true(read_packet(third, &b) && is_error(&b, 1040));
    close(third);
    close(first);
    do { /* until the first one's thread has noticed */
        third = begin(f);
        in = is_let_in(third);
        close(third);
        assert_true(clock_mono_ns() < deadline);
    } while (!in);
    close(second);
    buf_free(&b);
}

/* Whoever idles is told when the server ends. */
static void the_end_is_told(void **state)
{
    struct fixture *f = *state;
    struct buf b = BUF_INIT;

    start(f, "", 0);
    int fd = begin(f);
    assert_true(is_let_in(fd));
    mysql_stop(f->server, clock_deadline(CLOCK_S));
    assert_true(read_packet(fd, &b) && is_error(&b, 1053));
    assert_false(read_packet(fd, &b));
    close(fd);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whoever_does_not_prove_himself_in_time_is_sent_away, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(drips_do_not_win_time, setup, teardown),
        cmocka_unit_test_setup_teardown(time_does_not_count_afterwards, setup, teardown),
        cmocka_unit_test_setup_teardown(one_connection_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_is_told, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
