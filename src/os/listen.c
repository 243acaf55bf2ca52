#include "os/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512

static enum err_code listen_failed(int fd, const char *what, uint16_t port, struct err *e)
{
    int cause = errno;

    if (fd >= 0)
        close(fd);
    return err_set(e, ERR_IO, "listening for %s on port %u: %s", what, port, strerror(cause));
}

static enum err_code listen_on(const struct sockaddr *addr, socklen_t len, const char *what,
                               uint16_t port, int *out, struct err *e)
{
    static const int on = 1, off = 0;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return listen_failed(fd, what, port, e);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (addr->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, addr, len) != 0 || listen(fd, BACKLOG) != 0)
        return listen_failed(fd, what, port, e);
    *out = fd;
    return ERR_OK;
}

enum err_code listen_open(int *out, const char *address, uint16_t port, const char *what,
                          struct err *e)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    bool all = !address || *address == '\0';
    struct err first = ERR_INIT;

    if (all || inet_pton(AF_INET6, address, &v6.sin6_addr) == 1) {
        if (listen_on((struct sockaddr *)&v6, sizeof v6, what, port, out, &first) == ERR_OK)
            return ERR_OK;
        if (!all || errno == EADDRINUSE || errno == EACCES)
            return *e = first, e->code;
        v4.sin_addr.s_addr = htonl(INADDR_ANY); /* a kernel without IPv6 */
        return listen_on((struct sockaddr *)&v4, sizeof v4, what, port, out, e);
    }
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return listen_on((struct sockaddr *)&v4, sizeof v4, what, port, out, e);
    return err_set(e, ERR_CONFIG, "not an IPv4 or IPv6 address to listen on: %s", address);
}

uint16_t listen_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } addr = {.v6 = {0}};
    socklen_t len = sizeof addr;

    if (getsockname(fd, &addr.any, &len) != 0)
        return 0;
    return ntohs(addr.any.sa_family == AF_INET6 ? addr.v6.sin6_port : addr.v4.sin_port);
}

bool listen_accept(int fd, int flags,
                   void (*take)(void *arg, int fd, const struct sockaddr_storage *from,
                                socklen_t len),
                   void *arg)
{
    for (unsigned i = 0; i < BACKLOG; i++) { /* then the caller's other duties have their turn */
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int got = accept4(fd, (struct sockaddr *)&from, &len, flags);

        if (got >= 0)
            take(arg, got, &from, len);
        else if (errno == EAGAIN)
            return false;
        else if (errno != EINTR && errno != ECONNABORTED)
            return true;
    }
    return false;
}
