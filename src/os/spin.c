#include "os/spin.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "base/clock.h"

#define SPIN_NS   (50 * CLOCK_MS / 1000)
#define SPIN_VAIN 1023u

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

static bool look(int fd)
{
    int64_t until = clock_deadline(SPIN_NS);

    do {
        if (came(fd))
            return true;
        sched_yield();
    } while (clock_mono_ns() < until);
    return false;
}

void spin_on(struct spin *w, int fd)
{
    (void)pthread_once(&once, count_processors);
    if (w->skip > 0) {
        w->skip--;
        return;
    }
    if (atomic_fetch_add(&spinning, 1) < limit) {
        if (look(fd)) {
            w->in_vain /= 2;
        } else {
            w->in_vain = w->in_vain < SPIN_VAIN ? w->in_vain * 2 + 1 : SPIN_VAIN;
            w->skip = w->in_vain;
        }
    }
    atomic_fetch_sub(&spinning, 1);
}
