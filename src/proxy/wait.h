/*
 * Waiting for another system's socket, no longer than somebody allows. Any thread.
 */
#ifndef HA_PROXY_WAIT_H
#define HA_PROXY_WAIT_H

#include <stdint.h>

#include "base/err.h"

/* What ends a wait: an error of check() (asked about ten times a second; NULL = nobody asks), or
 * the deadline (ERR_TIMEOUT; CLOCK_EVER = none). `wake_fd` becomes readable when check() is to be
 * asked at once; -1 = none. */
struct wait {
    int64_t deadline_ns;
    int wake_fd;
    enum err_code (*check)(void *arg, struct err *e);
    void *arg;
};

/* Until poll(2) tells one of the `events` of `fd`, in *got. `who` has not answered, says the error.
 */
enum err_code wait_fd(int fd, short events, const struct wait *w, const char *who, short *got,
                      struct err *e);

#endif
