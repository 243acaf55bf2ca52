#include "os/dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define LOOK_MS 50 /* between two looks whether somebody still wants the connection */

bool dial_split(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : 0;

    if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    }
    if (len == 0 || len >= host_size || !colon[1] || strlen(colon + 1) >= port_size)
        return false;
    snprintf(host, host_size, "%.*s", (int)len, address);
    snprintf(port, port_size, "%s", colon + 1);
    return true;
}

static void prepare(int fd, unsigned patience_ms)
{
    static const int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof patience_ms);
}

/* 0, or an errno value. */
static int await(int fd, const atomic_bool *give_up, int64_t deadline_ns)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};

    while (!atomic_load(give_up) && clock_mono_ns() < deadline_ns) {
        int error = 0;
        socklen_t len = sizeof error;
        if (poll(&p, 1, LOOK_MS) <= 0)
            continue;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
    }
    return ETIMEDOUT;
}

/* -1: *error says why. */
static int try_address(const struct addrinfo *a, const atomic_bool *give_up, int64_t deadline_ns,
                       int *error)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);

    *error = errno;
    if (fd < 0)
        return -1;
    *error = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
    if (*error == EINPROGRESS)
        *error = await(fd, give_up, deadline_ns);
    if (*error == 0)
        return fd;
    close(fd);
    return -1;
}

enum err_code dial(int *out, const char *host, const char *port, unsigned patience_ms,
                   const atomic_bool *give_up, int64_t deadline_ns, struct err *e)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    int fd = -1, error = 0;
    int rc = getaddrinfo(host, port, &hints, &list);

    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = try_address(a, give_up, deadline_ns, &error);
    if (list)
        freeaddrinfo(list);
    *out = fd;
    if (rc != 0)
        return err_set(e, ERR_IO, "%s", gai_strerror(rc));
    if (fd < 0)
        return err_set(e, ERR_IO, "%s", strerror(error));
    prepare(fd, patience_ms);
    return ERR_OK;
}
