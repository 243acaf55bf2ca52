#include "repl/queue.h"

#include "base/clock.h"
#include "repl/impl.h"

static void append(struct replica *r, struct waiting *w)
{
    w->next = NULL;
    if (r->tail)
        r->tail->next = w;
    else
        r->head = w;
    r->tail = w;
}

static void unlink_waiting(struct replica *r, struct waiting *w)
{
    struct waiting *previous = NULL;
    struct waiting **at = &r->head;
    while (*at && *at != w) {
        previous = *at;
        at = &(*at)->next;
    }
    if (!*at)
        return;
    *at = w->next;
    if (r->tail == w)
        r->tail = previous;
}

enum err_code queue_wait_locked(struct replica *r, struct waiting *w, struct txn *t,
                                int64_t deadline_ns, struct err *e)
{
    *w = (struct waiting){.state = WAITING_QUEUED, .txn = t, .err = ERR_INIT};
    clock_cond_init(&w->turn);
    append(r, w);
    bool late = false;
    while (w->state != WAITING_DONE) {
        if (w->state == WAITING_QUEUED) {
            if (r->closing || late) {
                bool head = r->head == w;
                unlink_waiting(r, w);
                if (head && r->head && !r->leading)
                    pthread_cond_signal(&r->head->turn);
                return r->closing ? err_set(e, ERR_SHUTDOWN, "the node is shutting down")
                                  : err_set(e, ERR_BUSY,
                                            "the write connection did not become free "
                                            "in time");
            }
            if (r->head == w && !r->leading) {
                r->leading = true;
                return ERR_OK;
            }
        }
        /* Once taken, its leader answers for it within deadlines of its own. */
        bool waits = w->state == WAITING_QUEUED;
        if (!clock_cond_wait(&w->turn, &r->mu, waits ? deadline_ns : CLOCK_EVER))
            late = true;
    }
    return ERR_OK;
}

void queue_forget(struct waiting *w)
{
    pthread_cond_destroy(&w->turn);
}

struct waiting *queue_shift_locked(struct replica *r)
{
    struct waiting *w = r->head;
    r->head = w->next;
    if (!r->head)
        r->tail = NULL;
    w->next = NULL;
    w->state = WAITING_TAKEN;
    return w;
}

void queue_unshift_locked(struct replica *r, struct waiting *w)
{
    w->state = WAITING_QUEUED;
    w->next = r->head;
    r->head = w;
    if (!r->tail)
        r->tail = w;
}

void queue_done_locked(struct waiting *w)
{
    w->state = WAITING_DONE;
    pthread_cond_signal(&w->turn);
}

void queue_release_locked(struct replica *r)
{
    r->leading = false;
    if (r->closing)
        pthread_cond_broadcast(&r->changed);
    if (r->head)
        pthread_cond_signal(&r->head->turn);
}

void queue_wake_all_locked(struct replica *r)
{
    for (struct waiting *w = r->head; w; w = w->next)
        pthread_cond_signal(&w->turn);
}
