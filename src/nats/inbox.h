/*
 * Inboxes: where an answer to one request is waited for.
 *
 * The library's own requests share one inbox, which a thread of the library reads to hand each
 * answer on to the thread that waits for it. Here each request that is under way has an inbox of
 * its own, and the thread that asks reads it: one wake-up less between the socket and the writer.
 *
 * Every taking has a reply subject of its own, and answers to others are thrown away: what comes
 * late, or twice, must not be taken for the answer to something else. (Around an election two
 * servers may answer one publish: seen with nats-server 2.15.2.)
 *
 * A pool serves any thread; an inbox belongs to the thread that has taken it.
 */
#ifndef HA_NATS_INBOX_H
#define HA_NATS_INBOX_H

#include <nats/nats.h>
#include <pthread.h>
#include <stdint.h>

struct inbox;
struct nats_client;

struct inbox_pool {
    struct nats_client *client; /* borrowed; immutable */
    pthread_mutex_t mu;
    /* guarded by mu */
    struct inbox *asking; /* taken */
    struct inbox *idle;
    unsigned n_idle;
};

void inbox_pool_init(struct inbox_pool *p, struct nats_client *c);
/* Everything has been given back. The connection is closed already. */
void inbox_pool_fini(struct inbox_pool *p);
/* The connection is lost, and with it the answers: whoever waits for one stops waiting. */
void inbox_pool_lost(struct inbox_pool *p);

natsStatus inbox_take(struct inbox_pool *p, natsConnection *nc, struct inbox **out);
void inbox_give(struct inbox_pool *p, struct inbox *in); /* NULL is fine */

/* What a request names as its reply subject; borrowed, until the inbox is given back. */
const char *inbox_subject(const struct inbox *in);
/*
 * Sends `msg`, which names the inbox as its reply subject, and waits for an answer (the caller's
 * to free). May be repeated: then the answer may be that to an earlier sending of the same message.
 * NULL: sends nothing, and waits on for an answer to what was sent before.
 * After NATS_CONNECTION_DISCONNECTED the inbox is of no more use, another one is to be taken.
 */
natsStatus inbox_ask(struct inbox *in, natsConnection *nc, natsMsg *msg, int64_t timeout_ms,
                     natsMsg **answer);

#endif
