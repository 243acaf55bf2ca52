#include "os/spin.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define SPIN_NS   (50 * CLOCK_MS / 1000)
#define SPIN_VAIN 1023u

/* A stretch: long enough to meet what else wants the processor, short enough to try both. */
#define STRETCH_NS    (50 * CLOCK_MS)
#define STRETCH_WAITS 64             /* the clock is read once in so many */
#define STRETCH_TRY   16             /* one in so many is of the other kind than it should be */
#define SLOW_NS       (2 * CLOCK_MS) /* an exchange that takes longer has waited for something else */

static atomic_uint spinning; /* threads of this process */
static unsigned limit;       /* of them; immutable after `once` */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    limit = n > 0 ? (unsigned)n : 1;
}

/* Also true of what poll() does not like: the owner's own call will say what it is. */
static bool came(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLRDHUP};

    return poll(&p, 1, 0) != 0;
}

/* What the looks are for: to see whether something is there, or to take it. */
struct look {
    int fd;
    void *to; /* NULL: to see */
    size_t room;
    ssize_t n; /* taken */
};

static bool succeeds(struct look *l)
{
    if (!l->to)
        return came(l->fd);
    l->n = recv(l->fd, l->to, l->room, MSG_DONTWAIT);
    return l->n >= 0 || (errno != EAGAIN && errno != EINTR);
}

static bool look_often(struct look *l)
{
    int64_t until = clock_deadline(SPIN_NS);

    do {
        if (succeeds(l))
            return true;
        sched_yield();
    } while (clock_mono_ns() < until);
    return false;
}

/* One of the times that a stretch may end: it counts towards the average of its kind, and the next
 * one is of the better kind, or, now and then, of the other. */
static void stretch(struct spin *w)
{
    int64_t now = clock_mono_ns(), *took = &w->took_ns[w->sleeps];
    int64_t each = (now - w->begun_ns) / (int64_t)w->waits;

    if (w->begun_ns > 0 && now - w->begun_ns < STRETCH_NS)
        return;
    if (w->begun_ns > 0 && each < SLOW_NS) {
        *took = *took == 0 ? each : (3 * *took + each) / 4;
        /* Looks that save less than an eighth are not worth the processor's time. */
        w->sleeps = w->took_ns[1] - w->took_ns[1] / 8 < w->took_ns[0];
        w->sleeps ^= ++w->stretches % STRETCH_TRY == 0;
    }
    w->begun_ns = now;
    w->waits = 0;
}

/* True where it has come while the thread looked. */
static bool spin(struct spin *w, struct look *l)
{
    bool found = false;

    (void)pthread_once(&once, count_processors);
    if (++w->waits % STRETCH_WAITS == 0)
        stretch(w);
    if (w->sleeps)
        return false;
    if (w->skip > 0) {
        w->skip--;
        return false;
    }
    if (atomic_fetch_add(&spinning, 1) < limit) {
        found = look_often(l);
        if (found) {
            w->in_vain /= 2;
        } else {
            w->in_vain = w->in_vain < SPIN_VAIN ? w->in_vain * 2 + 1 : SPIN_VAIN;
            w->skip = w->in_vain;
        }
    }
    atomic_fetch_sub(&spinning, 1);
    return found;
}

void spin_on(struct spin *w, int fd)
{
    (void)spin(w, &(struct look){.fd = fd});
}

ssize_t spin_recv(struct spin *w, int fd, void *to, size_t room)
{
    struct look l = {.fd = fd, .to = to, .room = room};

    return spin(w, &l) ? l.n : recv(fd, to, room, 0);
}
