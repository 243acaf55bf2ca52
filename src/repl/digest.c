#include "repl/digest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* The last `count` points, at most `size` of them, in ascending order of seq. */
struct ring {
    struct digest_point *points;
    size_t size, first, count; /* size is a power of two */
};

struct digest {
    pthread_mutex_t mu;
    char name[ID_SIZE];
    uint64_t base;
    struct digest_point end;
    struct ring newest, marks;
    struct digest_point points[DIGEST_NEWEST + DIGEST_MARKS]; /* the rings' */
};

/* ---- rings ---- */

static struct digest_point *ring_at(const struct ring *r, size_t i)
{
    return &r->points[(r->first + i) & (r->size - 1)];
}

static void ring_push(struct ring *r, const struct digest_point *p)
{
    if (r->count == r->size) {
        r->first = (r->first + 1) & (r->size - 1);
        r->count--;
    }
    *ring_at(r, r->count++) = *p;
}

static void ring_cut(struct ring *r, uint64_t seq)
{
    while (r->count > 0 && ring_at(r, r->count - 1)->seq > seq)
        r->count--;
}

/* Index of the first point at `seq` or behind it; r->count where there is none. */
static size_t ring_search(const struct ring *r, uint64_t seq)
{
    size_t low = 0, high = r->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring_at(r, middle)->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct digest_point *ring_find(const struct ring *r, uint64_t seq)
{
    size_t i = ring_search(r, seq);
    return i < r->count && ring_at(r, i)->seq == seq ? ring_at(r, i) : NULL;
}

/* ---- the sum ---- */

uint64_t digest_of(uint64_t seq, const char *id)
{
    uint64_t h = hash_bytes(HASH_BEGIN, id, strlen(id));
    /* Sums of values that differ in few bits would be the same too often; the finalizer of
     * SplitMix64 mixes all of them. */
    h += seq * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

static void begin_locked(struct digest *d, uint64_t seq)
{
    id_next(d->name);
    d->base = seq;
    d->end = (struct digest_point){.seq = seq};
    d->newest.count = d->marks.count = 0;
    ring_push(&d->newest, &d->end);
    ring_push(&d->marks, &d->end);
}

struct digest *digest_new(void)
{
    struct digest *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    pthread_mutex_init(&d->mu, NULL);
    d->newest = (struct ring){.points = d->points, .size = DIGEST_NEWEST};
    d->marks = (struct ring){.points = d->points + DIGEST_NEWEST, .size = DIGEST_MARKS};
    begin_locked(d, 0);
    return d;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    pthread_mutex_destroy(&d->mu);
    free(d);
}

void digest_stand(struct digest *d, uint64_t seq)
{
    pthread_mutex_lock(&d->mu);
    if (d->end.seq != seq)
        begin_locked(d, seq);
    pthread_mutex_unlock(&d->mu);
}

void digest_restart(struct digest *d, uint64_t seq)
{
    pthread_mutex_lock(&d->mu);
    begin_locked(d, seq);
    pthread_mutex_unlock(&d->mu);
}

void digest_add(struct digest *d, uint64_t seq, const char *id)
{
    pthread_mutex_lock(&d->mu);
    d->end.seq = seq;
    d->end.sum += digest_of(seq, id);
    ring_push(&d->newest, &d->end);
    if (seq % DIGEST_STEP == 0)
        ring_push(&d->marks, &d->end);
    pthread_mutex_unlock(&d->mu);
}

void digest_cut(struct digest *d, uint64_t seq)
{
    pthread_mutex_lock(&d->mu);
    ring_cut(&d->newest, seq);
    ring_cut(&d->marks, seq);
    if (d->newest.count > 0)
        d->end = *ring_at(&d->newest, d->newest.count - 1);
    if (d->newest.count == 0 || d->marks.count == 0 || d->end.seq != seq)
        begin_locked(d, seq);
    pthread_mutex_unlock(&d->mu);
}

void digest_read(struct digest *d, struct digest_state *out)
{
    *out = (struct digest_state){0};
    pthread_mutex_lock(&d->mu);
    memcpy(out->name, d->name, sizeof out->name);
    out->base = d->base;
    out->end = d->end;
    out->mark = *ring_at(&d->marks, d->marks.count - 1);
    pthread_mutex_unlock(&d->mu);
}

static bool at_locked(const struct digest *d, uint64_t seq, uint64_t *sum)
{
    const struct digest_point *p = ring_find(&d->newest, seq);
    if (!p)
        p = ring_find(&d->marks, seq);
    if (p)
        *sum = p->sum;
    return p != NULL;
}

/* What the message at `seq` has added, and the place of the one in front of it. False: not known.
 */
static bool added_locked(const struct digest *d, uint64_t seq, uint64_t *sum, uint64_t *before)
{
    size_t i = ring_search(&d->newest, seq);
    if (i == 0 || i >= d->newest.count || ring_at(&d->newest, i)->seq != seq)
        return false;
    const struct digest_point *last = ring_at(&d->newest, i - 1);
    *sum = ring_at(&d->newest, i)->sum - last->sum;
    *before = last->seq;
    return true;
}

bool digest_denies(struct digest *d, uint64_t seq, const char *id, uint64_t *before)
{
    uint64_t sum;
    pthread_mutex_lock(&d->mu);
    bool denies = added_locked(d, seq, &sum, before) && sum != digest_of(seq, id);
    pthread_mutex_unlock(&d->mu);
    return denies;
}

bool digest_has(struct digest *d, uint64_t seq, const char *id)
{
    uint64_t sum, before;
    pthread_mutex_lock(&d->mu);
    bool has = added_locked(d, seq, &sum, &before) && sum == digest_of(seq, id);
    pthread_mutex_unlock(&d->mu);
    return has;
}

size_t digest_points(struct digest *d, uint64_t from, uint64_t to, struct digest_point *out,
                     size_t max)
{
    size_t n = 0;
    uint64_t ignored;
    pthread_mutex_lock(&d->mu);
    if (!at_locked(d, from, &ignored))
        max = 0;
    /* Marks as far as they are older than the newest messages, then these. */
    uint64_t dense = ring_at(&d->newest, 0)->seq;
    const struct ring *rings[] = {&d->marks, &d->newest};
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = ring_search(rings[k], from); i < rings[k]->count && n < max; i++) {
            const struct digest_point *p = ring_at(rings[k], i);
            if (p->seq > to || (k == 0 && p->seq >= dense))
                break;
            out[n++] = *p;
        }
    }
    pthread_mutex_unlock(&d->mu);
    return n;
}

/* ---- another node's ---- */

/* d->mu is held. True: the two differ between p->agreed and `told`. */
static bool compare_locked(struct digest *d, struct digest_peer *p, const struct digest_point *told)
{
    uint64_t own;
    if (told->seq == 0 || (p->met && told->seq <= p->agreed))
        return false;
    if (told->seq > d->end.seq) {
        /* The oldest of those that are to come stays: a node that is always a little behind would
         * otherwise never compare anything. */
        if (p->later.seq == 0)
            p->later = *told;
        return false;
    }
    if (!at_locked(d, told->seq, &own))
        return false;
    if (p->met && told->sum - own != p->difference)
        return true;
    p->met = true;
    p->difference = told->sum - own;
    p->agreed = told->seq;
    return false;
}

bool digest_compare(struct digest *d, struct digest_peer *p, const struct digest_state *told,
                    uint64_t *from, uint64_t *to)
{
    bool differs = false;
    pthread_mutex_lock(&d->mu);
    if (strcmp(p->own, d->name) != 0 || (told && strcmp(p->name, told->name) != 0)) {
        /* Sums that both began with nothing, at the log's beginning, are to be the same. */
        *p = (struct digest_peer){.met = told && told->base == 0 && d->base == 0};
        memcpy(p->own, d->name, sizeof p->own);
        if (told)
            memcpy(p->name, told->name, sizeof p->name);
    }
    const struct digest_point waited = p->later;
    const struct digest_point points[] = {waited, told ? told->mark : (struct digest_point){0},
                                          told ? told->end : (struct digest_point){0}};
    p->later = (struct digest_point){0};
    for (size_t i = 0; i < sizeof points / sizeof *points && !differs; i++) {
        differs = compare_locked(d, p, &points[i]);
        *from = p->agreed;
        *to = points[i].seq;
    }
    if (differs)
        p->met = false; /* told once; what is found out begins a new comparison */
    pthread_mutex_unlock(&d->mu);
    return differs;
}
