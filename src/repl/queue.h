/*
 * The queue in front of the write connection: transactions for the group and sessions that want the
 * connection for themselves, first come, first served. The queue is guarded by the replica's mutex.
 *
 * Each waiting thread sleeps on a word of its own, and learns its result without the replica's
 * mutex: a leader wakes dozens at once, and they would only wake up to stand in line for it.
 */
#ifndef HA_REPL_QUEUE_H
#define HA_REPL_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "repl/replica.h"

#define WAITING_NEWS 1u /* look around */
#define WAITING_DONE 2u /* the result is there; whoever says so does not touch the struct again */

/* Lives on the stack of the thread that waits. */
struct waiting {
    /* immutable after init */
    struct txn *txn; /* NULL: wants to lead alone (an explicit transaction) */
    /* guarded by the replica's mutex */
    struct waiting *next;
    bool taken; /* a leader has it: it is in no queue */
    /* atomic: WAITING_* bits; the thread sleeps while it is 0 */
    _Atomic uint32_t word;
    /* the leader's until done */
    struct err err; /* result, ERR_OK when committed */
};

/* Queues `w` for `t`. r->mu is held. */
void queue_join_locked(struct replica *r, struct waiting *w, struct txn *t);
/* Waits until `w`, which is queued, is done (*leads = false), or until it is its turn to lead
 * (*leads = true: it stands at the head, and r->leading is set). An error: neither happened until
 * the deadline, or the replica is closing; it is out of the queue again. r->mu must not be held. A
 * thread that has queued several waits for them in their order. */
enum err_code queue_stand(struct replica *r, struct waiting *w, int64_t deadline_ns, bool *leads,
                          struct err *e);
/* Both. */
enum err_code queue_wait(struct replica *r, struct waiting *w, struct txn *t, int64_t deadline_ns,
                         bool *leads, struct err *e);

/* The leader, which stands at the head, waits until `n` are queued, or for the deadline. r->mu is
 * held, but for the time of waiting. */
void queue_gather_locked(struct replica *r, struct waiting *leader, unsigned n,
                         int64_t deadline_ns);

struct waiting *queue_shift_locked(struct replica *r);
void queue_unshift_locked(struct replica *r, struct waiting *w);
/* A leader is through with a waiting that it has taken, its own too. r->mu need not be held. */
void queue_done(struct waiting *w);
/* The leader steps down: the next one at the head leads. */
void queue_release_locked(struct replica *r);
/* Wakes everybody, so that they see that the replica is closing. */
void queue_wake_all_locked(struct replica *r);

#endif
