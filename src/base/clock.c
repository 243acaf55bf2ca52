/* Time as clock.h promises it. */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * CLOCK_S + ts.tv_nsec;
}

int64_t clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_deadline(int64_t duration_ns)
{
    int64_t now = clock_mono_ns();

    if (duration_ns > 0 && duration_ns > CLOCK_EVER - now)
        return CLOCK_EVER;
    return now + duration_ns;
}

int64_t clock_jitter(int64_t most_ns)
{
    uint64_t bits = 0;

    if (most_ns <= 0)
        return 0;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != (ssize_t)sizeof bits)
        bits = (uint64_t)clock_mono_ns() * UINT64_C(0x9E3779B97F4A7C15) >> 16;
    return (int64_t)(bits % (uint64_t)most_ns);
}

void clock_format(int64_t wall_ns, char out[CLOCK_TEXT_SIZE])
{
    int64_t s = wall_ns / CLOCK_S;
    int64_t ns = wall_ns % CLOCK_S;
    time_t t;
    struct tm tm;
    size_t n;

    if (ns < 0) {
        ns += CLOCK_S;
        s--;
    }
    t = (time_t)s;
    (void)gmtime_r(&t, &tm); /* 64 bits of nanoseconds end in 2262: always representable */
    n = strftime(out, CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + n, CLOCK_TEXT_SIZE - n, ".%03dZ", (int)(ns / CLOCK_MS));
}

void clock_nap(int64_t duration_ns)
{
    struct timespec ts = {(time_t)(duration_ns / CLOCK_S), (long)(duration_ns % CLOCK_S)};

    (void)nanosleep(&ts, NULL);
}

void clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

bool clock_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mu, int64_t deadline_ns)
{
    struct timespec ts;

    if (deadline_ns == CLOCK_EVER) {
        (void)pthread_cond_wait(cond, mu);
        return true;
    }
    if (deadline_ns < 0)
        deadline_ns = 0;
    ts.tv_sec = (time_t)(deadline_ns / CLOCK_S);
    ts.tv_nsec = (long)(deadline_ns % CLOCK_S);
    return pthread_cond_clockwait(cond, mu, CLOCK_MONOTONIC, &ts) != ETIMEDOUT;
}
