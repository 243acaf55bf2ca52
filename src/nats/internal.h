/* What the files of src/nats share and nobody else sees. */
#ifndef HA_NATS_INTERNAL_H
#define HA_NATS_INTERNAL_H

#include <nats/nats.h>
#include <pthread.h>

#include "nats/client.h"
#include "nats/stream.h"

/* Borrowed from the client, thread safe. */
jsCtx *nats_client_js(const struct nats_client *c);
/* For subscriptions. With the last use of one the library deletes its consumer, and waits for the
 * answer as long as the context says: with a server that has just gone there is none. */
jsCtx *nats_client_js_feeds(const struct nats_client *c);

natsConnection *nats_client_connection(const struct nats_client *c); /* borrowed */
const char *nats_client_self(const struct nats_client *c);           /* see rpc_self() */

/*
 * Unsubscribes, and frees `sub` when that is safe: until then the library's reading thread may
 * still be handing it a message (libnats before 3.6 reads what natsSubscription_Destroy() frees).
 * It is safe once an answer to something sent later has come through that thread; where none comes,
 * the next call that gets one frees it, or nats_client_close(). NULL is fine.
 */
void nats_client_retire(struct nats_client *c, natsSubscription *sub);

/* The open feeds of a client, so that what the library tells in a callback reaches them. */
struct feed_list {
    pthread_mutex_t mu;
    unsigned expected; /* immutable after open: as many at least */
    /* guarded by mu */
    struct stream_feed *first;
    unsigned n;
};
struct feed_list *nats_client_feeds(struct nats_client *c);
/* The server's heartbeats for a subscription stay out: its consumer is gone. */
void feed_list_missed(struct feed_list *l, const natsSubscription *sub);

/*
 * How long to wait for the answer to a request that may be repeated, on the first attempt (0), the
 * second, …; 0 = no more of them. A request may go down with the server that was to answer it, in
 * the moment in which another one takes over: so the client's timeout is spent on several.
 *
 *     for (unsigned i = 0; nats_client_wait(c, i, &o.Wait) && s == NATS_TIMEOUT; i++)
 *         s = js_…(…, &o, …);
 */
bool nats_client_wait(const struct nats_client *c, unsigned attempt, int64_t *wait_ms);

/* One attempt at stream_get(). */
enum err_code stream_get_within(struct nats_client *c, const char *stream, uint64_t seq,
                                int64_t timeout_ms, struct stream_message *m, bool *found,
                                struct err *e);

struct stall_list;
struct stall_list *nats_client_stalls(struct nats_client *c);

/* Options of a connection to one server only, as the client would connect to it, that neither comes
 * back nor learns of other servers. The caller destroys them. */
natsStatus nats_client_single(const struct nats_client *c, const char *url, natsOptions **out);

struct inbox_pool *nats_client_inboxes(struct nats_client *c);

/* Translates a library status and JetStream error into `e`; `doing` names what failed. Must be
 * called by the thread that made the failing call, right after it: the library's error text is per
 * thread. */
enum err_code nats_failure(natsStatus s, jsErrCode jerr, const char *doing, struct err *e);

#endif
