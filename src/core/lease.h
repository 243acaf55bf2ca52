/*
 * A named lease: of all nodes of the cluster that want it at most one holds it at a time.
 *
 * A lease is a stream of its own, <stream>_LEASE_<name>, whose last message says who holds it.
 * Every message is published with the stream's last sequence as its expectation (a compare-and-set;
 * the check of one subject's sequence is not reliable in nats-server 2.9 with replicas), so of two
 * that want to take it at the same moment one is refused:
 *
 *     {"holder": "node1", "note": "host:8080", "session": "<id>", "since": 17, "ttl_ms": 4000}
 *     {"holder": "node1", …, "released": true}
 *
 * Nobody compares clocks. The holder counts LEASE_TTL_NS from the moment before it sent its last
 * message that is stored; the others from the moment in which they saw it, and half a second more.
 * So the holder has stopped to believe in its lease before anybody else takes it. It renews four
 * times in that span. Whoever has just come waits a whole span, too, unless the lease was released.
 *
 *     FREE ──take──► HELD ──renew──► HELD ──release──► FREE
 *       ▲              │ no renewal is stored for LEASE_TTL_NS
 *       └──────────────┘
 *
 * A lease says who should act; it cannot stop a process that was frozen between looking and acting.
 * What must not be done twice needs a check of its own where it is written: the log's expected end
 * (I4), or the place of `since`, which grows with every holder.
 *
 * Everything runs in a thread of the lease. All functions but open, stop and close may be called by
 * any thread.
 */
#ifndef HA_CORE_LEASE_H
#define HA_CORE_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "nats/client.h"

#define LEASE_TTL_NS   (4 * CLOCK_S)
#define LEASE_RENEW_NS CLOCK_S
#define LEASE_GRACE_NS (500 * CLOCK_MS) /* that the others wait longer than the holder */
#define LEASE_HANDICAP_NS                                                                          \
    (2 * CLOCK_S)                     /* who is not fit leaves a free lease to others for so long */
#define LEASE_UNFIT_NS  (5 * CLOCK_S) /* … and gives it up when it has not been for so long … */
#define LEASE_YIELD_NS  (60 * CLOCK_S) /* … but not more often */
#define LEASE_NAME_SIZE 256            /* of a holder and of a note; more is cut off */

struct lease;

/* Strings are copied. */
struct lease_options {
    const char *stream; /* the node's --replication-stream */
    const char *name;   /* of the lease: "leader", "source-a.db" */
    const char *holder; /* this node's name */
    const char *note;   /* what the others are told with it, such as an address; "" = nothing */
    int replicas;       /* of the stream, where it is created */
    bool candidate;     /* takes it where it can; false: only watches */
    /* Called by the lease's thread whenever who holds it has changed, as far as this node knows;
     * must not block, nor close the lease. It may come late where the log does not answer: ask
     * lease_held() before acting. NULL = nobody wants to know. */
    void (*changed)(void *arg);
    /* Is this node fit for it just now? Called by the lease's thread; quick. NULL = always. */
    bool (*fit)(void *arg);
    void *arg;
};

/* What this node knows of a lease. */
struct lease_view {
    bool held;      /* somebody holds it, as far as is known */
    bool mine;      /* this one does */
    uint64_t since; /* the sequence with which the holder took it: grows with every holder */
    char holder[LEASE_NAME_SIZE];
    char note[LEASE_NAME_SIZE];
};

/* Returns at once; the client must stay open until lease_stop(). ERR_NO_MEMORY. */
enum err_code lease_open(struct lease **out, struct nats_client *c, const struct lease_options *opt,
                         struct err *e);
/* Gives it up where it is held, and does not take it again; goes on watching who does. */
void lease_resign(struct lease *l);
/* Gives it up, so that another one may take it at once (where the log does not answer within a
 * second: when the span is over), and ends the thread. Then nobody holds it, as far as is known. A
 * second call is fine. */
void lease_stop(struct lease *l);
void lease_close(struct lease *l); /* stops and frees it; NULL is fine */

/* Does this node hold it right now? Exact, whatever the log does: the span counts. */
bool lease_held(struct lease *l);
void lease_look(struct lease *l, struct lease_view *out);
/* Waits until somebody holds it, as far as is known, and describes that; false: until the deadline
 * nobody did. With `not_since` another holder than the one of that number is waited for (0 = any).
 */
bool lease_wait(struct lease *l, uint64_t not_since, int64_t deadline_ns, struct lease_view *out);

#endif
