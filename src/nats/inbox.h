/*
 * Inboxes: where an answer to one request is waited for.
 *
 * The library's own requests share one inbox, which a thread of the library reads to hand each
 * answer on to the thread that waits for it. Here each request that is under way has an inbox of
 * its own, and the thread that asks reads it: one wake-up less between the socket and the writer.
 *
 * An inbox to which an answer is still owed is thrown away instead of used again: what comes late
 * must not be taken for the answer to something else.
 *
 * A pool serves any thread; an inbox belongs to the thread that has taken it.
 */
#ifndef HA_NATS_INBOX_H
#define HA_NATS_INBOX_H

#include <nats/nats.h>
#include <pthread.h>
#include <stdint.h>

struct inbox;

struct inbox_pool {
    pthread_mutex_t mu;
    /* guarded by mu */
    struct inbox *asking; /* taken */
    struct inbox *idle;
    unsigned n_idle;
};

void inbox_pool_init(struct inbox_pool *p);
/* Everything has been given back. The connection may be gone already. */
void inbox_pool_fini(struct inbox_pool *p);
/* The connection is lost, and with it the answers: whoever waits for one stops waiting. */
void inbox_pool_lost(struct inbox_pool *p);

natsStatus inbox_take(struct inbox_pool *p, natsConnection *nc, struct inbox **out);
void inbox_give(struct inbox_pool *p, struct inbox *in); /* NULL is fine */

/* What a request names as its reply subject; borrowed. */
const char *inbox_subject(const struct inbox *in);
/*
 * Sends `msg`, which names the inbox as its reply subject, and waits for an answer (the caller's
 * to free). May be repeated: then the answer may be that to an earlier sending of the same message.
 * After NATS_CONNECTION_DISCONNECTED the inbox is of no more use, another one is to be taken.
 */
natsStatus inbox_ask(struct inbox *in, natsConnection *nc, natsMsg *msg, int64_t timeout_ms,
                     natsMsg **answer);

#endif
