/* What a long copy or check of a file asks and tells while it runs; NULL is a watch that does
 * neither. */
#ifndef HA_SQL_WATCH_H
#define HA_SQL_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct watch {
    const atomic_bool *cancel; /* true ends it with ERR_INTERRUPTED; NULL = never */
    /* Now and then: bytes that are done, of how many; both 0 where nobody can tell. NULL = nobody
     * wants to know. */
    void (*moved)(void *arg, uint64_t done, uint64_t total);
    void (*begun)(
        void *arg); /* of a copy: what is committed from now on is not in it; may be NULL */
    void *arg;
};

static inline bool watch_canceled(const struct watch *w)
{
    return w && w->cancel && atomic_load(w->cancel);
}

static inline void watch_moved(const struct watch *w, uint64_t done, uint64_t total)
{
    if (w && w->moved)
        w->moved(w->arg, done, total);
}

static inline void watch_begun(const struct watch *w)
{
    if (w && w->begun)
        w->begun(w->arg);
}

#endif
