#include "os/port.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

static bool can_listen(const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    bool is_free;

    if (fd < 0)
        return true; /* no such family here */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    /* Two sockets may be bound that way, but only one may listen. */
    is_free = (bind(fd, address, size) == 0 && listen(fd, 1) == 0) || errno != EADDRINUSE;
    (void)close(fd);
    return is_free;
}

bool port_is_free(int port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};

    v4.sin_addr.s_addr = htonl(INADDR_ANY);
    v6.sin6_addr = in6addr_any;
    return can_listen((const struct sockaddr *)&v4, sizeof v4) &&
           can_listen((const struct sockaddr *)&v6, sizeof v6);
}
