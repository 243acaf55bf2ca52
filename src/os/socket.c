#include "os/socket.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Port of an internet address, and its text; 0 for any other. */
static int describe(const struct sockaddr_storage *a, char ip[INET6_ADDRSTRLEN])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    ip[0] = '\0';
    if (a->ss_family == AF_INET) {
        memcpy(&v4, a, sizeof v4);
        (void)inet_ntop(AF_INET, &v4.sin_addr, ip, INET6_ADDRSTRLEN);
        return ntohs(v4.sin_port);
    }
    if (a->ss_family == AF_INET6) {
        memcpy(&v6, a, sizeof v6);
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, ip, INET6_ADDRSTRLEN);
        return ntohs(v6.sin6_port);
    }
    return 0;
}

static bool is_it(int fd, const char *local_ip, int local_port, int peer_port)
{
    struct sockaddr_storage here, there;
    socklen_t here_len = sizeof here, there_len = sizeof there;
    char ip[INET6_ADDRSTRLEN], peer_ip[INET6_ADDRSTRLEN];

    memset(&here, 0, sizeof here);
    memset(&there, 0, sizeof there);
    return getsockname(fd, (struct sockaddr *)&here, &here_len) == 0 &&
           describe(&here, ip) == local_port && strcmp(ip, local_ip) == 0 &&
           getpeername(fd, (struct sockaddr *)&there, &there_len) == 0 &&
           describe(&there, peer_ip) == peer_port;
}

static bool is_socket(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* The owner may close `fd` at any moment and somebody else get its number, so what is looked at and
 * what is shut down is a duplicate. Only of a socket: closing any descriptor of a file takes away
 * all locks that this process has on the file, and SQLite's are among them. Where the number has
 * become a file's between the look and the duplicate, that one stays open for ever. */
static bool cut(int fd, const char *local_ip, int local_port, int peer_port)
{
    int own = is_socket(fd) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

    if (own < 0 || !is_socket(own))
        return false;
    bool done = is_it(own, local_ip, local_port, peer_port) && shutdown(own, SHUT_RDWR) == 0;
    (void)close(own);
    return done;
}

unsigned socket_cut(const char *local_ip, int local_port, int peer_port)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *entry;
    unsigned n = 0;

    while (d && (entry = readdir(d))) {
        char *end;
        long fd = strtol(entry->d_name, &end, 10);

        if (end != entry->d_name && *end == '\0' && fd != dirfd(d) &&
            cut((int)fd, local_ip, local_port, peer_port))
            n++;
    }
    if (d)
        (void)closedir(d);
    return n;
}
