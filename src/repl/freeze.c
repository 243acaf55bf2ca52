#include "repl/freeze.h"

#include "base/clock.h"
#include "repl/impl.h"

/* On the stack of whoever waits in freeze_at(), in the list r->wishes meanwhile. All guarded by
 * r->wish_mu, which is held while a view is fixed. */
struct wish {
    uint64_t seq;
    struct freeze *out;
    enum err_code code;
    struct err err;
    bool done;
    struct wish *next;
};

static void fix(struct wish *w)
{
    w->code = content_freeze(w->out->view, &w->out->seq, &w->out->outbox, &w->err);
    w->done = true;
}

/* r->wish_mu is held. */
static void least_locked(struct replica *r)
{
    uint64_t least = UINT64_MAX;
    for (const struct wish *w = r->wishes; w; w = w->next)
        if (!w->done && w->seq < least)
            least = w->seq;
    atomic_store(&r->wish_seq, least);
}

void freeze_reached(struct replica *r, uint64_t seq)
{
    if (seq < atomic_load(&r->wish_seq))
        return;
    pthread_mutex_lock(&r->wish_mu);
    for (struct wish *w = r->wishes; w; w = w->next)
        if (!w->done && w->seq <= seq)
            fix(w);
    least_locked(r);
    pthread_mutex_unlock(&r->wish_mu);
}

enum err_code freeze_at(struct replica *r, uint64_t seq, int64_t wait_ns, struct freeze *out,
                        struct err *e)
{
    struct wish w = {.seq = seq, .out = out, .err = ERR_INIT};
    struct err ignored = ERR_INIT;
    *out = (struct freeze){0};
    enum err_code code = content_open(&out->view, &r->opt.conn, e);
    if (code != ERR_OK)
        return code;
    pthread_mutex_lock(&r->wish_mu);
    w.next = r->wishes;
    r->wishes = &w;
    least_locked(r);
    pthread_mutex_unlock(&r->wish_mu);

    if (replica_position(r) < seq)
        (void)replica_wait(r, seq, clock_deadline(wait_ns), &ignored);

    pthread_mutex_lock(&r->wish_mu);
    if (!w.done)
        fix(&w);
    struct wish **at = &r->wishes;
    while (*at != &w)
        at = &(*at)->next;
    *at = w.next;
    least_locked(r);
    pthread_mutex_unlock(&r->wish_mu);
    if (w.code != ERR_OK) {
        content_close(out->view);
        out->view = NULL;
        *e = w.err;
    }
    return w.code;
}
