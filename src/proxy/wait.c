#include "proxy/wait.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"

#define CHECK_NS (100 * CLOCK_MS)

enum err_code wait_fd(int fd, short events, const struct wait *w, const char *who, short *got,
                      struct err *e)
{
    for (;;) {
        int64_t now = clock_mono_ns();
        if (w->check && w->check(w->arg, e) != ERR_OK)
            return e->code;
        if (now >= w->deadline_ns)
            return err_set(e, ERR_TIMEOUT, "%s has not answered in time", who);
        int64_t most = w->deadline_ns - now < CHECK_NS ? w->deadline_ns - now : CHECK_NS;
        struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = w->wake_fd, .events = POLLIN}};
        int n = poll(p, w->wake_fd >= 0 ? 2 : 1, (int)(most / CLOCK_MS) + 1);
        if (n < 0 && errno != EINTR)
            return err_set(e, ERR_IO, "poll: %s", strerror(errno));
        if (n > 0 && p[0].revents) {
            *got = p[0].revents;
            return ERR_OK;
        }
    }
}
