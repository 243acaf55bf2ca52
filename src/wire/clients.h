/*
 * The connections of one server, each with a thread of its own: no more than so many, listed so
 * that a statement can be canceled and all of them ended.
 *
 * Stopping:
 *
 *     clients.stopping = true ─▶ accept thread joined, listener closed (its owner)
 *       ─▶ reading ends on every socket: who idles says goodbye and leaves, who works answers first
 *       ─▶ deadline: what still runs is canceled ─▶ every connection has left
 *
 * clients_start() is called by the accept thread, clients_stop() by the server's owner, the rest by
 * connections' threads.
 */
#ifndef HA_WIRE_CLIENTS_H
#define HA_WIRE_CLIENTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/stream.h"

struct session;

/* Part of a protocol's connection. */
struct client {
    /* guarded by the list's mu */
    struct client *next, *prev;
    struct session *session; /* what is canceled at the end; see clients_set_session() */
    struct stream *io;       /* borrowed from the connection */
};

struct clients {
    /* immutable after clients_init() */
    unsigned max;
    /* atomic */
    atomic_bool stopping;
    /* guarded by mu; `changed` when a connection has ended */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct client *first;
    unsigned n;
};

void clients_init(struct clients *l, unsigned max);
void clients_fini(struct clients *l); /* after clients_stop() */

/* As many as there may be? */
bool clients_full(struct clients *l);
/* Sets what a socket of a client's needs: answers at once, and notices who is gone. */
void clients_prepare_socket(int fd);
/* Lists `c`, whose io is open, and starts run(arg) on a thread that nobody joins. False: there is
 * no thread, and it is not listed. */
bool clients_start(struct clients *l, struct client *c, void *(*run)(void *), void *arg);
/* What a cancellation is for from now on; NULL takes it away, before the session is closed. */
void clients_set_session(struct clients *l, struct client *c, struct session *s);
/* The thread's last call but free(): closes the socket, and takes `c` off the list. */
void clients_end(struct clients *l, struct client *c);

/* Ends them all, and waits for that. A second call is fine. */
void clients_stop(struct clients *l, int64_t deadline_ns);

#endif
