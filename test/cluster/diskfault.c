/*
 * Preloaded into a node by a test: writing below the folder $DISKFAULT_DIR fails while the file
 * $DISKFAULT_FILE exists, with the errno whose number it holds, or, if that says "slow N", takes N
 * milliseconds longer, as does syncing. A mounted folder cannot be made read-only while files in it
 * are open for writing; a disk that has failed can.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int is_below(const char *path)
{
    const char *dir = getenv("DISKFAULT_DIR");

    return dir && strncmp(path, dir, strlen(dir)) == 0;
}

static int armed(void)
{
    const char *file = getenv("DISKFAULT_FILE");
    char text[16] = "";
    int fd = file ? (int)open(file, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(fd);
    if (strncmp(text, "slow ", 5) == 0) {
        (void)poll(NULL, 0, (int)strtol(text + 5, NULL, 10)); /* the fault itself */
        return 0;
    }
    return (int)strtol(text, NULL, 10);
}

/* The errno to fail with, or 0. */
static int fails(int fd)
{
    char link[64], path[4096];
    ssize_t n;
    int saved = errno, error = 0;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n > 0) {
        path[n] = '\0';
        if (is_below(path))
            error = armed();
    }
    errno = saved;
    return error;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define REFUSE(fd)                                                                                 \
    do {                                                                                           \
        int error = fails(fd);                                                                     \
        if (error) {                                                                               \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    REAL(pwrite);
    REFUSE(fd);
    return real(fd, data, n, at);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    REAL(pwrite64);
    REFUSE(fd);
    return real(fd, data, n, at);
}

ssize_t write(int fd, const void *data, size_t n)
{
    REAL(write);
    REFUSE(fd);
    return real(fd, data, n);
}

int ftruncate64(int fd, off64_t len)
{
    REAL(ftruncate64);
    REFUSE(fd);
    return real(fd, len);
}

int ftruncate(int fd, off_t len)
{
    REAL(ftruncate);
    REFUSE(fd);
    return real(fd, len);
}

/* Syncing only gets slow: what it reports when it fails is another story. */
int fsync(int fd)
{
    REAL(fsync);
    (void)fails(fd);
    return real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    (void)fails(fd);
    return real(fd);
}
