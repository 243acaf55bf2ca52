#include "repl/queue.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "repl/impl.h"

/* A futex, and not a mutex with a condition: once DONE is set the thread may be
 * gone and `w` with it, so nothing may be written behind that; waking whoever
 * sleeps at the same address by then does no harm. */
static void wake(struct waiting *w, uint32_t bits)
{
    if (atomic_fetch_or(&w->word, bits) == 0)
        (void)syscall(SYS_futex, &w->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void queue_join_locked(struct replica *r, struct waiting *w, struct txn *t)
{
    *w = (struct waiting){.txn = t, .err = ERR_INIT};
    if (r->tail)
        r->tail->next = w;
    else
        r->head = w;
    r->tail = w;
    r->queued++;
    if (r->gatherer && r->queued >= r->gather)
        wake(r->gatherer, WAITING_NEWS);
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
    r->queued--;
    *at = w->next;
    if (r->tail == w)
        r->tail = previous;
}

/* Sleeps until there is news, and answers it; 0 at the deadline. */
static uint32_t nap(struct waiting *w, int64_t deadline_ns)
{
    struct timespec until = {(time_t)(deadline_ns / CLOCK_S), (long)(deadline_ns % CLOCK_S)};
    const struct timespec *limit = deadline_ns == CLOCK_EVER ? NULL : &until;
    for (;;) {
        uint32_t bits = atomic_exchange(&w->word, 0);
        if (bits != 0)
            return bits;
        if (syscall(SYS_futex, &w->word, FUTEX_WAIT_BITSET_PRIVATE, 0, limit, NULL,
                    FUTEX_BITSET_MATCH_ANY) != 0 &&
            errno == ETIMEDOUT)
            return atomic_exchange(&w->word, 0);
    }
}

/* r->mu is held, `w` stands in the queue. */
static enum err_code leave_locked(struct replica *r, struct waiting *w, struct err *e)
{
    bool head = r->head == w;
    unlink_waiting(r, w);
    if (head && r->head && !r->leading)
        wake(r->head, WAITING_NEWS);
    if (r->closing)
        return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    return err_set(e, ERR_BUSY, "the write connection did not become free in time");
}

enum err_code queue_stand(struct replica *r, struct waiting *w, int64_t deadline_ns, bool *leads,
                          struct err *e)
{
    *leads = false;
    enum err_code code = ERR_OK;
    bool late = false;
    pthread_mutex_lock(&r->mu);
    for (;;) {
        bool taken = w->taken;
        if (!taken && (r->closing || late)) {
            code = leave_locked(r, w, e);
            break;
        }
        if (!taken && r->head == w && !r->leading) {
            r->leading = *leads = true;
            break;
        }
        pthread_mutex_unlock(&r->mu);
        /* Once taken, its leader answers for it within deadlines of its own. */
        uint32_t news = nap(w, taken ? CLOCK_EVER : deadline_ns);
        if (news & WAITING_DONE)
            return ERR_OK;
        late = late || news == 0;
        pthread_mutex_lock(&r->mu);
    }
    pthread_mutex_unlock(&r->mu);
    return code;
}

enum err_code queue_wait(struct replica *r, struct waiting *w, struct txn *t, int64_t deadline_ns,
                         bool *leads, struct err *e)
{
    pthread_mutex_lock(&r->mu);
    queue_join_locked(r, w, t);
    pthread_mutex_unlock(&r->mu);
    return queue_stand(r, w, deadline_ns, leads, e);
}

void queue_gather_locked(struct replica *r, struct waiting *leader, unsigned n, int64_t deadline_ns)
{
    r->gatherer = leader;
    r->gather = n;
    while (r->queued < n && !r->closing && clock_mono_ns() < deadline_ns) {
        pthread_mutex_unlock(&r->mu);
        (void)nap(leader, deadline_ns);
        pthread_mutex_lock(&r->mu);
    }
    r->gatherer = NULL;
}

struct waiting *queue_shift_locked(struct replica *r)
{
    struct waiting *w = r->head;
    r->queued--;
    r->head = w->next;
    if (!r->head)
        r->tail = NULL;
    w->next = NULL;
    w->taken = true;
    return w;
}

void queue_unshift_locked(struct replica *r, struct waiting *w)
{
    w->taken = false;
    w->next = r->head;
    r->head = w;
    r->queued++;
    if (!r->tail)
        r->tail = w;
    wake(w, WAITING_NEWS); /* its deadline counts again */
}

void queue_done(struct waiting *w)
{
    wake(w, WAITING_DONE);
}

void queue_release_locked(struct replica *r)
{
    r->leading = false;
    if (r->closing)
        pthread_cond_broadcast(&r->changed);
    if (r->head)
        wake(r->head, WAITING_NEWS);
}

void queue_wake_all_locked(struct replica *r)
{
    for (struct waiting *w = r->head; w; w = w->next)
        wake(w, WAITING_NEWS);
}
