/*
 * Who leads: the node that all others send their clients' writes to (docs/leaders.md). With
 * --leader-addr it is whoever holds the lease "leader" (lease.h), whose note is that node's
 * address; with --leader-static it is the node at that address; with neither there is none, and
 * every node writes.
 *
 * Leadership is for routing only. A node that still believes to lead, or does again, writes like
 * any node without a leader: the log's expected end (I4) is what no two nodes get past.
 *
 * Every function may be called by any thread.
 */
#ifndef HA_CORE_LEADER_H
#define HA_CORE_LEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "core/lease.h"

struct node;

/* A lease's span, the others' grace, and the time to take it: who waits longer for a new leader
 * waits for somebody who is not there. */
#define LEADER_WAIT_NS        (LEASE_TTL_NS + LEASE_GRACE_NS + 2 * CLOCK_S)
#define LEADER_STATIC_WAIT_NS (3 * CLOCK_S) /* for one that is named, and may be restarting */

struct leader_view {
    bool wanted;                /* the node has been told to have a leader */
    bool is_static;             /* --leader-static */
    bool known;                 /* there is one */
    bool mine;                  /* it is this node */
    uint64_t since;             /* grows with every leader; 0 where it is static */
    char name[LEASE_NAME_SIZE]; /* "" where nobody has said yet */
    char address[LEASE_NAME_SIZE];
};

void leader_look(struct node *n, struct leader_view *out);
/* Does another node lead, or none? Then clients' writes are not for this one. */
bool leader_is_away(struct node *n);
/* Waits until there is one, other than the one of `not_since` (0 = any). False: the deadline came,
 * or the node stops. */
bool leader_wait(struct node *n, uint64_t not_since, int64_t deadline_ns, struct leader_view *out);
/* The node at the static address says that it is called `name`: it may be this one. */
void leader_recognize(struct node *n, const char *name);

#endif
