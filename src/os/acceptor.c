#include "os/acceptor.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "os/listen.h"

#define ACCEPT_BREAK_MS 100 /* when the process is out of descriptors */

static void *accept_run(void *arg)
{
    struct acceptor *a = arg;
    int next_ms = -1;
    bool full = false;

    while (!atomic_load(&a->stopping)) {
        struct pollfd p[] = {{.fd = a->wake, .events = POLLIN},
                             {.fd = full ? -1 : a->listener, .events = POLLIN}};
        eventfd_t ignored;

        if (poll(p, 2, full ? ACCEPT_BREAK_MS : next_ms) < 0 && errno != EINTR)
            LOG_ERROR("waiting for connections", LOG_STR("error", strerror(errno)));
        if (p[0].revents)
            (void)eventfd_read(a->wake, &ignored);
        full = listen_accept(a->listener, a->opt.flags, a->opt.take, a->opt.arg);
        next_ms = a->opt.tend ? a->opt.tend(a->opt.arg) : -1;
    }
    return NULL;
}

static enum err_code start(struct acceptor *a, struct err *e)
{
    if (listen_open(&a->listener, a->opt.address, a->opt.port, a->opt.what, e) != ERR_OK)
        return e->code;
    a->port = listen_port(a->listener);
    a->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->wake < 0)
        return err_set(e, ERR_IO, "eventfd: %s", strerror(errno));
    int rc = pthread_create(&a->thread, NULL, accept_run, a);
    if (rc != 0)
        return err_set(e, ERR_IO, "no thread to accept connections: %s", strerror(rc));
    a->runs = true;
    return ERR_OK;
}

enum err_code acceptor_start(struct acceptor *a, const struct acceptor_options *opt, struct err *e)
{
    a->opt = *opt;
    enum err_code code = start(a, e);
    a->opt.address = a->opt.what = NULL;
    return code;
}

void acceptor_wake(struct acceptor *a)
{
    (void)eventfd_write(a->wake, 1);
}

void acceptor_stop(struct acceptor *a)
{
    atomic_store(&a->stopping, true);
    if (a->runs) {
        acceptor_wake(a);
        pthread_join(a->thread, NULL);
        a->runs = false;
    }
    if (a->listener >= 0)
        close(a->listener);
    a->listener = -1;
}

void acceptor_fini(struct acceptor *a)
{
    acceptor_stop(a);
    if (a->wake >= 0)
        close(a->wake);
    a->wake = -1;
}
