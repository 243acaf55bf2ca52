#include "os/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct connection {
    int here, there;
    int port, peer_port;
};

static int port_of(int fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;

    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    return ntohs(a.sin_port);
}

static void set_up(struct connection *c)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    c->here = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->here, (struct sockaddr *)&a, sizeof a), 0);
    c->there = accept(listener, NULL, NULL);
    assert_true(c->there >= 0);
    c->port = port_of(c->here);
    c->peer_port = port_of(listener);
    (void)close(listener);
}

static void tear_down(struct connection *c)
{
    (void)close(c->here);
    (void)close(c->there);
}

static void test_one_connection_is_cut(void **state)
{
    struct connection c, other;
    char byte;

    (void)state;
    set_up(&c);
    set_up(&other);
    assert_int_equal(socket_cut("127.0.0.1", c.port, other.peer_port), 0);
    assert_int_equal(socket_cut("127.0.0.1", c.port, c.peer_port), 1);
    assert_int_equal(recv(c.here, &byte, 1, MSG_DONTWAIT), 0); /* its end */
    assert_int_equal(recv(other.here, &byte, 1, MSG_DONTWAIT), -1);
    tear_down(&other);
    tear_down(&c);
}

/* Open file descriptions are not processes, so one of our own shows what another process would see.
 */
static bool is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

    assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
    return lock.l_type != F_UNLCK;
}

/* As SQLite locks its files: for the process, so whichever descriptor is closed takes it away. */
static void test_locks_of_files_stay(void **state)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    char path[] = "/tmp/ha-socket-test-XXXXXX";
    int fd = mkstemp(path);
    struct connection c;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
    assert_true(is_locked(fd));
    set_up(&c);
    assert_int_equal(socket_cut("127.0.0.1", c.port, c.peer_port), 1);
    assert_true(is_locked(fd));
    tear_down(&c);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_connection_is_cut),
                                       cmocka_unit_test(test_locks_of_files_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
