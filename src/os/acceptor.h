/*
 * A server's accept thread: one for every protocol's server. It sleeps while there is nothing to
 * do.
 *
 *     acceptor_start ──► accepting ──acceptor_stop──► ended, the port is free ──► acceptor_fini
 *
 * acceptor_wake() may be called by any thread from the first to the last, the others by the owner.
 */
#ifndef HA_OS_ACCEPTOR_H
#define HA_OS_ACCEPTOR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct acceptor_options {
    const char *address; /* as listen_open() takes them, borrowed until the start is over */
    uint16_t port;
    const char *what;
    int flags; /* of accept4() */
    /* The accept thread: a connection, which belongs to the callee from then on. */
    void (*take)(void *arg, int fd, const struct sockaddr_storage *from, socklen_t len);
    /* The accept thread, whenever it wakes up, and after so many milliseconds as the last call has
     * said (-1 = never). NULL = nothing is to be looked after. */
    int (*tend)(void *arg);
    void *arg;
};

#define ACCEPTOR_INIT ((struct acceptor){.listener = -1, .wake = -1})

struct acceptor {
    /* immutable after acceptor_start() */
    struct acceptor_options opt;
    int listener, wake; /* -1 = none */
    uint16_t port;      /* that it listens on */
    pthread_t thread;
    bool runs;
    /* atomic */
    atomic_bool stopping;
};

/* ERR_CONFIG, ERR_IO: what listen_open() says, or there is no thread to be had. */
enum err_code acceptor_start(struct acceptor *a, const struct acceptor_options *opt, struct err *e);
void acceptor_wake(struct acceptor *a);
/* Not started, or stopped already, is fine; so it is for the other. */
void acceptor_stop(struct acceptor *a);
void acceptor_fini(struct acceptor *a);

#endif
