/*
 * Streams whose leader answers no publish. It may lead, be read, answer questions about the stream,
 * and store nothing (nats-server 2.9.10 that was started again after its disk had been full; it
 * complains about "high message lag"). Another server may do better: so the leader is asked to step
 * down when it has kept silent for STALL_NS and a bit more, is still the same one, and there are
 * others to follow it. Every node of a cluster may find that out; the bit more differs, and who
 * finds another leader than before begins to count anew.
 *
 * Part of a client; any thread.
 */
#ifndef HA_NATS_STALL_H
#define HA_NATS_STALL_H

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct nats_client;
struct stall;

struct stall_list {
    pthread_mutex_t mu;
    struct stall *first;     /* guarded by mu */
    atomic_uint n;           /* streams in it: mostly none */
    atomic_ullong stepdowns; /* that were granted */
};

void stall_list_init(struct stall_list *l);
void stall_list_fini(struct stall_list *l);

/* A publish to `stream` was answered, in whatever way, or nobody could answer. */
void stall_over(struct nats_client *c, const char *stream);
/* A publish was waited for so long, connected all the time, and got no answer. Now and then it asks
 * the stream's leader something, or to step down: a second at most for each, two for both. */
void stall_silent(struct nats_client *c, const char *stream, int64_t waited_ns);

/* May a leader step down: with its own vote, are there enough current followers to elect another?
 * Of `replicas` copies of the stream, itself included. */
bool stall_has_followers(const jsClusterInfo *ci, int64_t replicas);

#endif
