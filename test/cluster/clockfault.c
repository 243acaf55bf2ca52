/*
 * Preloaded into a node by a test: its wall clock is as many seconds off as the file
 * $CLOCKFAULT_FILE says, looked at again at every call. The monotonic clock is left alone. Who
 * waits for a time of the wall clock (libnats does) waits as the kernel would let it: a jump
 * forward ends the wait, a jump back makes it longer. (libfaketime 0.9.10 lets waits for the
 * monotonic clock return at once.)
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND        1000000000ll
#define LOOK_AGAIN_NS (SECOND / 10) /* how soon a wait notices a jump */

/* glibc keeps a condition's clock there: nptl/pthread_cond_init.c. */
#define COND_IS_MONOTONIC(cond) (((cond)->__data.__wrefs & 2) != 0)

static long long offset_ns(void)
{
    const char *file = getenv("CLOCKFAULT_FILE");
    char text[32] = "";
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(fd);
    return (long long)(strtod(text, NULL) * (double)SECOND);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    static __typeof__(&clock_gettime) real;

    if (!real)
        real = (__typeof__(&clock_gettime))dlsym(RTLD_NEXT, "clock_gettime");
    if (real(clock, t) != 0)
        return -1;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        long long ns = t->tv_sec * SECOND + t->tv_nsec + offset_ns();
        t->tv_sec = ns / SECOND;
        t->tv_nsec = ns % SECOND;
    }
    return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec t;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &t) != 0)
        return -1;
    tv->tv_sec = t.tv_sec;
    tv->tv_usec = t.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;

    if (clock_gettime(CLOCK_REALTIME, &t) != 0)
        return -1;
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    static __typeof__(&pthread_cond_timedwait) real;
    long long wall = until->tv_sec * SECOND + until->tv_nsec;

    if (!real)
        real = (__typeof__(&pthread_cond_timedwait))dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (COND_IS_MONOTONIC(cond))
        return real(cond, mutex, until);
    for (;;) {
        struct timespec t;
        long long offset = offset_ns();
        (void)clock_gettime(CLOCK_REALTIME, &t);
        long long now = t.tv_sec * SECOND + t.tv_nsec;
        long long at = (wall < now + LOOK_AGAIN_NS ? wall : now + LOOK_AGAIN_NS) - offset;
        t.tv_sec = at / SECOND;
        t.tv_nsec = at % SECOND;
        int result = real(cond, mutex, &t);
        if (result != ETIMEDOUT || now >= wall)
            return result;
    }
}
