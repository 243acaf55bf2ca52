#include "os/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOTIFY_US 1000 /* nanoseconds */

/* A path, or with '@' in front a name in the abstract namespace. False: nobody wants to know. */
static bool notify_address(struct sockaddr_un *a, socklen_t *len)
{
    const char *name = getenv("NOTIFY_SOCKET");
    size_t n = name ? strlen(name) : 0;

    memset(a, 0, sizeof *a);
    if (n < 2 || n >= sizeof a->sun_path || (name[0] != '/' && name[0] != '@'))
        return false;
    a->sun_family = AF_UNIX;
    memcpy(a->sun_path, name, n);
    if (name[0] == '@')
        a->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

bool notify_wanted(void)
{
    struct sockaddr_un a;
    socklen_t len;

    return notify_address(&a, &len);
}

void notify_send(const char *lines)
{
    struct sockaddr_un a;
    socklen_t len;
    int fd;

    if (!notify_address(&a, &len))
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&a, len);
    (void)close(fd);
}

int64_t notify_watchdog_ns(void)
{
    const char *us = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    long long n = us ? strtoll(us, NULL, 10) : 0;

    if (n <= 0 || n > INT64_MAX / NOTIFY_US || (pid && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    return n * NOTIFY_US;
}
