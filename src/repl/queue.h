/*
 * The queue in front of the write connection: transactions for the group and sessions that want the
 * connection for themselves, first come, first served. All of it under the replica's mutex.
 */
#ifndef HA_REPL_QUEUE_H
#define HA_REPL_QUEUE_H

#include <pthread.h>

#include "base/err.h"
#include "repl/replica.h"

enum waiting_state { WAITING_QUEUED, WAITING_TAKEN, WAITING_DONE };

/* Lives on the stack of the thread that waits. */
struct waiting {
    struct waiting *next;
    pthread_cond_t turn;
    enum waiting_state state;
    struct txn *txn; /* NULL: wants to lead alone (an explicit transaction) */
    struct err err;  /* result, ERR_OK when committed */
};

/* Queues `w` and waits until it is done, or until it is its turn to lead (w->state stays QUEUED, it
 * stands at the head, and r->leading is set). An error: neither happened until the deadline, or the
 * replica is closing; it is out of the queue again. queue_forget() must follow in every case. */
enum err_code queue_wait_locked(struct replica *r, struct waiting *w, struct txn *t,
                                int64_t deadline_ns, struct err *e);
void queue_forget(struct waiting *w);

struct waiting *queue_shift_locked(struct replica *r);
void queue_unshift_locked(struct replica *r, struct waiting *w);
void queue_done_locked(struct waiting *w);
/* The leader steps down: the next one at the head leads. */
void queue_release_locked(struct replica *r);
/* Wakes everybody, so that they see that the replica is closing. */
void queue_wake_all_locked(struct replica *r);

#endif
