#include "os/port.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_port(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int port;

    (void)state;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* one address is enough to be in the way */
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    port = ntohs(a.sin_port);
    assert_false(port_is_free(port));
    (void)close(fd);
    assert_true(port_is_free(port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_port)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
