#include "repl/debt.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repl/impl.h"
#include "repl/search.h"

#define DEBT_GRACE_NS  (2 * CLOCK_S) /* for the delivery of what was acknowledged */
#define DEBT_AGAIN_NS  CLOCK_S       /* between two looks */
#define DEBT_LOOKS     3             /* at least, before anything is done */
#define DEBT_PLACES    1024          /* that are remembered */
#define DEBT_REPORT_NS (60 * CLOCK_S)

struct place {
    uint64_t id, seq;
};

struct debt {
    struct replica *r;   /* borrowed */
    struct conn *outbox; /* borrowed */
    /* Where the log has acknowledged what, in the order of ids. The oldest ones are kept: they are
     * asked for first. One that is not here is searched for. */
    struct place places[DEBT_PLACES];
    unsigned n;
    int64_t due_ns;
    uint64_t oldest;    /* what was the oldest message at the last look, 0 = none */
    int64_t suspect_ns; /* since when the log seems to have lost it, 0 = it does not */
    unsigned looks;     /* that found it missing */
    int64_t reported_ns;
};

struct debt *debt_new(struct replica *r, struct conn *outbox)
{
    struct debt *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->r = r;
    d->outbox = outbox;
    d->due_ns = CLOCK_EVER;
    return d;
}

void debt_free(struct debt *d)
{
    free(d);
}

/* What lies before `oldest` has been delivered. */
static void forget_paid(struct debt *d, uint64_t oldest)
{
    unsigned paid = 0;
    while (paid < d->n && d->places[paid].id < oldest)
        paid++;
    d->n -= paid;
    memmove(d->places, d->places + paid, d->n * sizeof d->places[0]);
}

void debt_add(struct debt *d, const struct outbox_entry *entry, uint64_t seq)
{
    uint64_t id = 0;
    bool found = false;
    struct err e = ERR_INIT;
    if (d->due_ns == CLOCK_EVER)
        d->due_ns = clock_deadline(DEBT_GRACE_NS);
    if (d->n == DEBT_PLACES && outbox_first(d->outbox, &id, &found, &e) == ERR_OK)
        forget_paid(d, found ? id : UINT64_MAX);
    if (d->n < DEBT_PLACES)
        d->places[d->n++] = (struct place){.id = entry->id, .seq = seq};
}

int64_t debt_due(const struct debt *d)
{
    return atomic_load(&d->r->overtaken) ? 0 : d->due_ns;
}

bool debt_holds(const struct debt *d)
{
    return d->suspect_ns != 0 || atomic_load(&d->r->overtaken);
}

void debt_overtaken(struct replica *r)
{
    atomic_store(&r->overtaken, true);
}

static void clear_suspicion(struct debt *d)
{
    d->suspect_ns = 0;
    d->looks = 0;
}

/* ---- the place where it was acknowledged ---- */

enum whereabouts {
    DEBT_COMING,  /* the log has it, or the file has got it meanwhile */
    DEBT_PASSED,  /* the log has it, before the file's position */
    DEBT_MISSING, /* the log has something else there, or nothing */
    DEBT_UNKNOWN  /* nobody answers */
};

/* The log has the message at `seq`. What moves the position takes it out, so who has seen that
 * position and still finds the message knows that the file was moved over it without it. */
static enum whereabouts met(struct debt *d, const char *msg_id, uint64_t seq, struct err *e)
{
    uint64_t id = 0;
    bool found = false;
    if (seq > atomic_load(&d->r->seq))
        return DEBT_COMING;
    if (outbox_find(d->outbox, msg_id, &id, &found, e) != ERR_OK)
        return DEBT_UNKNOWN;
    if (found)
        atomic_store(&d->r->passed_seq, seq);
    return found ? DEBT_PASSED : DEBT_COMING;
}

/* A place that was not remembered says nothing while the file lacks something of the log. */
static enum whereabouts unplaced(struct debt *d, struct err *e)
{
    struct stream_state st;
    bool found = false;
    if (stream_info(d->r->opt.client, d->r->stream, &st, &found, e) != ERR_OK || !found)
        return DEBT_UNKNOWN;
    return atomic_load(&d->r->tail_seq) < st.last_seq ? DEBT_COMING : DEBT_MISSING;
}

static enum whereabouts look_at_place(struct debt *d, const struct outbox_entry *entry,
                                      struct err *e)
{
    struct stream_message m;
    bool found = false;
    forget_paid(d, entry->id);
    if (d->n == 0 || d->places[0].id != entry->id)
        return unplaced(d, e);
    if (stream_get(d->r->opt.client, d->r->stream, d->places[0].seq, &m, &found, e) != ERR_OK)
        return DEBT_UNKNOWN;
    bool same = found && strcmp(m.id, entry->msg_id) == 0;
    stream_message_free(&m);
    return same ? met(d, entry->msg_id, d->places[0].seq, e) : DEBT_MISSING;
}

/* ---- publishing again ---- */

/* What was known of the replica when the log was searched. */
struct stand {
    uint64_t last_seq; /* of the log */
    uint64_t restores;
};

/* The file is the one that it was, and has all of the log up to there. */
static bool still_stands(struct replica *r, const struct stand *s)
{
    pthread_mutex_lock(&r->mu);
    bool still = r->state == REPLICA_FOLLOWING && !r->verify && r->stats.restores == s->restores &&
                 atomic_load(&r->tail_seq) >= s->last_seq;
    pthread_mutex_unlock(&r->mu);
    return still;
}

/* True when the file has all that the leader has. A log that ends before the file has lost more
 * than a message: that is for the verification to find. */
static bool is_whole(struct debt *d, struct stand *s, struct err *e)
{
    struct replica *r = d->r;
    struct stream_state st;
    bool found = false;
    if (stream_info(r->opt.client, r->stream, &st, &found, e) != ERR_OK)
        return false;
    pthread_mutex_lock(&r->mu);
    *s = (struct stand){.last_seq = st.last_seq, .restores = r->stats.restores};
    pthread_mutex_unlock(&r->mu);
    if (!found || st.last_seq < atomic_load(&r->seq)) {
        replica_doubt(r);
        return false;
    }
    if (st.last_seq > 0)
        lock_wait_tail(r, st.last_seq - 1, clock_deadline(DEBT_GRACE_NS));
    return still_stands(r, s);
}

static enum err_code seen_in_log(void *arg, uint64_t id, uint64_t seq, struct err *e)
{
    struct place *hit = arg;
    (void)e;
    if (hit->seq == 0)
        *hit = (struct place){.id = id, .seq = seq};
    return ERR_OK;
}

/* Is nothing of the outbox in the log, from where it could be on? */
static enum err_code search_outbox(struct debt *d, const struct stand *s, struct place *hit,
                                   struct err *e)
{
    uint64_t from = 0;
    bool found = false;
    enum err_code code = outbox_least_base(d->outbox, &from, &found, e);
    if (code != ERR_OK || !found)
        return code;
    from++;
    /* The log may have been shorter for a while than it was when a message was written. */
    for (unsigned i = 0; i < d->n; i++)
        from = d->places[i].seq < from ? d->places[i].seq : from;
    return search_log(d->r, d->outbox, from, s->last_seq, seen_in_log, hit, e);
}

/* All that is acknowledged and still there gets new ids (O4), in one transaction. An import keeps
 * its id, which the file is marked with (import.c). */
static enum err_code rename_owed(struct debt *d, uint64_t published, struct err *e)
{
    struct replica *r = d->r;
    struct outbox_entry entry = {0};
    bool found = true;
    enum err_code code = writer_begin(r->writer, e);
    while (code == ERR_OK && r->pos.seq > 0) {
        char as[ID_SIZE];
        code = outbox_next(writer_conn(r->writer), entry.last_id, &entry, &found, e);
        if (code != ERR_OK || !found || entry.last_id > published)
            break;
        id_next(as);
        code = outbox_rename(writer_conn(r->writer), entry.msg_id, as, r->pos.seq, e);
    }
    if (code == ERR_OK)
        code = writer_commit(r->writer, e);
    if (code != ERR_OK)
        writer_rollback(r->writer);
    return code;
}

/* The log has lost the message. True when it is to be published again. */
static bool repeat(struct debt *d, const struct outbox_entry *entry, uint64_t published,
                   struct err *e)
{
    struct replica *r = d->r;
    struct stand s;
    struct place hit = {0};
    struct stream_message m;
    bool found = false;
    if (!is_whole(d, &s, e) || search_outbox(d, &s, &hit, e) != ERR_OK)
        return false;
    if (hit.seq > 0) {
        if (stream_get(r->opt.client, r->stream, hit.seq, &m, &found, e) == ERR_OK && found) {
            met(d, m.id, hit.seq, e);
            stream_message_free(&m);
        }
        return false;
    }
    if (lock_write(r, clock_deadline(r->opt.timeout_ns), e) != ERR_OK)
        return false;
    bool go = still_stands(r, &s) && rename_owed(d, published, e) == ERR_OK;
    lock_release(r);
    if (go)
        LOG_WARN("the log has lost messages that it had acknowledged; they are published again",
                 LOG_STR("db", r->opt.id), LOG_STR("first", entry->msg_id),
                 LOG_UINT("acknowledged_at", d->n > 0 ? d->places[0].seq : 0),
                 LOG_UINT("log", s.last_seq));
    return go;
}

/* ---- looking ---- */

/* Says, now and then, why it waits. */
static void report(struct debt *d, const struct outbox_entry *entry, const char *what,
                   const char *reason)
{
    int64_t now = clock_mono_ns();
    if (d->reported_ns != 0 && now - d->reported_ns < DEBT_REPORT_NS)
        return;
    d->reported_ns = now;
    LOG_WARN(what, LOG_STR("db", d->r->opt.id), LOG_STR("message", entry->msg_id),
             LOG_UINT("acknowledged_at", d->n > 0 ? d->places[0].seq : 0),
             LOG_UINT("seq", atomic_load(&d->r->seq)), LOG_STR("reason", reason));
}

/* True when it is to be published again. */
static bool is_lost(struct debt *d, const struct outbox_entry *entry, uint64_t published,
                    struct err *e)
{
    int64_t now = clock_mono_ns();
    if (d->suspect_ns == 0) {
        d->suspect_ns = now;
        report(d, entry, "the log does not have a message that it has acknowledged", "");
        replica_doubt(d->r); /* what has lost one may have lost others */
    }
    d->looks++;
    return d->looks >= DEBT_LOOKS && now - d->suspect_ns >= RESTORE_PATIENCE_NS &&
           repeat(d, entry, published, e);
}

void debt_look(struct debt *d, uint64_t *published)
{
    struct err e = ERR_INIT;
    struct outbox_entry entry;
    bool found = false;
    d->due_ns = clock_deadline(DEBT_AGAIN_NS);
    bool overtaken = atomic_exchange(&d->r->overtaken, false);
    if (outbox_next(d->outbox, 0, &entry, &found, &e) != ERR_OK)
        return;
    if (!found || entry.last_id > *published) {
        clear_suspicion(d);
        d->oldest = 0;
        d->n = 0;
        d->due_ns = CLOCK_EVER;
        return;
    }
    if (entry.id != d->oldest) {
        d->oldest = entry.id;
        clear_suspicion(d);
        d->due_ns = clock_deadline(DEBT_GRACE_NS);
        if (!overtaken)
            return;
    }
    switch (look_at_place(d, &entry, &e)) {
    case DEBT_COMING:
        clear_suspicion(d);
        d->due_ns = clock_deadline(DEBT_GRACE_NS);
        break;
    case DEBT_PASSED:
        report(d, &entry, "the log has a message of the outbox where the file has passed it", "");
        if (d->r->opt.mend)
            replica_doubt(d->r);
        break;
    case DEBT_MISSING:
        d->due_ns = clock_deadline(DEBT_AGAIN_NS);
        if (!is_lost(d, &entry, *published, &e))
            break;
        *published = entry.id - 1;
        clear_suspicion(d);
        d->oldest = 0;
        d->n = 0;
        d->due_ns = CLOCK_EVER;
        break;
    case DEBT_UNKNOWN:
        report(d, &entry, "the log does not say what became of a message", e.msg);
        break;
    }
}

/* ---- for the applier ---- */

enum err_code debt_check(struct replica *r, struct err *e)
{
    struct stream_message m;
    uint64_t id = 0, seq = atomic_load(&r->passed_seq);
    bool found = false, owed = false;
    if (r->opt.mode != REPLICA_ASYNC || seq == 0)
        return ERR_OK;
    enum err_code code = stream_get(r->opt.client, r->stream, seq, &m, &found, e);
    if (code != ERR_OK)
        return code;
    if (found && seq <= r->pos.seq)
        code = outbox_find(apply_conn(r->apply), m.id, &id, &owed, e);
    stream_message_free(&m);
    if (code == ERR_OK && owed)
        code = err_set(e, ERR_DIVERGED,
                       "message %" PRIu64 " of the log is this node's, and the file has passed it "
                       "without it: the log was rolled back and written anew",
                       seq);
    else if (code == ERR_OK)
        atomic_store(&r->passed_seq, 0);
    return code;
}
