/*
 * Reading the log from a place on.
 *
 *   history_from, _since, _last      where that is
 *   history_open, _extend, _close
 *   history_next                     parts put together, dead ones passed over
 *   history_next_unlogged            what an asynchronous node has not published yet
 *   history_changes, _tx             what is in a message
 *   history_proves
 *
 * Which transaction a change belongs to stands at a message's end, so each message is parsed twice:
 * for what it says of itself, and for its changes.
 */
#include "repl/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repl/chain.h"
#include "repl/impl.h"
#include "sql/outbox.h"

#define ASK_MAX     64   /* messages that the log's leader is asked for one by one */
#define WAIT_MS     1000 /* for the next message of a feed, … */
#define PATIENCE    3    /* … so often in a row; then the leader is asked */
#define GONE_ASK_NS (50 * CLOCK_MS)

/* ---- where to begin ---- */

static enum err_code look_at_log(struct replica *r, struct stream_state *st, struct err *e)
{
    bool found = false;

    if (!r->opt.client)
        return err_set(e, ERR_UNSUPPORTED,
                       "this node keeps no log, and so there is no history: it runs without NATS");
    enum err_code code = stream_info(r->opt.client, r->stream, st, &found, e);
    if (code != ERR_OK)
        return code;
    if (!found || st->created_ns != replica_log_created(r))
        return err_set(e, ERR_LOG_UNAVAILABLE,
                       "the log is not the one that the file was made of, or not verified yet");
    return ERR_OK;
}

static enum err_code too_old(const struct stream_state *st, struct err *e)
{
    if (st->first_seq > st->last_seq)
        return err_set(e, ERR_TOO_OLD,
                       "the log has nothing left of that time; its next message is "
                       "%" PRIu64,
                       st->last_seq + 1);
    return err_set(
        e, ERR_TOO_OLD,
        "the log does not reach back that far; the oldest message that it has is %" PRIu64,
        st->first_seq);
}

/* The leader has no message `seq`: ERR_TOO_OLD and a newer *st where the log has dropped it. */
static enum err_code not_there(struct replica *r, struct stream_state *st, uint64_t seq,
                               struct err *e)
{
    enum err_code code = look_at_log(r, st, e);

    if (code != ERR_OK)
        return code;
    if (seq < st->first_seq)
        return too_old(st, e);
    return err_set(e, ERR_LOG_UNAVAILABLE, "the log does not have its message %" PRIu64, seq);
}

/* Where the message at `seq` begins, if that is one of its parts. */
static enum err_code begin_of(struct replica *r, struct stream_state *st, uint64_t seq,
                              uint64_t *first, struct err *e)
{
    struct stream_message m = {0};
    bool found = false;
    enum err_code code = stream_get(r->opt.client, r->stream, seq, &m, &found, e);

    if (code != ERR_OK || !found)
        return code != ERR_OK ? code : not_there(r, st, seq, e);
    *first = m.part > 1 && m.part <= m.seq ? m.seq - (m.part - 1) : m.seq;
    stream_message_free(&m);
    return *first < st->first_seq ? too_old(st, e) : ERR_OK;
}

/* The range from message `seq` on, which may be a part. */
static enum err_code begin_at(struct replica *r, struct stream_state *st, uint64_t seq,
                              enum history_missing missing, struct history_range *out,
                              struct err *e)
{
    enum err_code code = ERR_OK;

    out->from = seq;
    if (seq < st->first_seq)
        code = too_old(st, e);
    else if (seq <= out->to)
        code = begin_of(r, st, seq, &out->from, e);
    if (code != ERR_TOO_OLD || missing == HISTORY_REFUSE)
        return code;
    err_clear(e);
    out->from = st->first_seq;
    return ERR_OK;
}

static enum err_code count_txs(struct replica *r, uint64_t from, uint64_t to, uint64_t *n,
                               struct address *last, struct err *e)
{
    static const struct conn_guard none = {.deadline_ns = CLOCK_EVER};
    const struct history_message *m = NULL;
    struct history *h = NULL;
    enum err_code code = history_open(&h, r, from, to, HISTORY_BEGIN_LATER, &none, e);

    *n = 0;
    while (code == ERR_OK && (code = history_next(h, &m, e)) == ERR_OK && m) {
        *n += m->txs;
        if (m->txs > 0)
            *last = (struct address){m->seq, m->txs};
    }
    history_close(h);
    return code;
}

/* Goes back until `n` transactions lie behind out->from, or nothing is left before it. */
static enum err_code go_back(struct replica *r, struct stream_state *st, uint64_t n,
                             uint64_t *found, struct history_range *out, struct address *last,
                             struct err *e)
{
    uint64_t step = n;

    for (;;) {
        uint64_t seq = out->to > step ? out->to - step + 1 : 1;
        enum err_code code = begin_at(r, st, seq, HISTORY_BEGIN_LATER, out, e);
        if (code == ERR_OK)
            code = count_txs(r, out->from, out->to, found, last, e);
        if (code != ERR_OK || *found >= n || out->from <= st->first_seq)
            return code;
        step *= 2;
    }
}

static enum err_code begin_range(struct replica *r, struct stream_state *st,
                                 struct history_range *out, struct err *e)
{
    enum err_code code = look_at_log(r, st, e);

    *out = (struct history_range){.to = replica_position(r), .log_created = st->created_ns};
    return code;
}

/* Passes over `skip` transactions at the range's beginning. */
static enum err_code skip_txs(struct replica *r, uint64_t skip, struct history_range *out,
                              struct err *e)
{
    static const struct conn_guard none = {.deadline_ns = CLOCK_EVER};
    const struct history_message *m = NULL;
    struct history *h = NULL;
    enum err_code code = history_open(&h, r, out->from, out->to, HISTORY_BEGIN_LATER, &none, e);

    while (code == ERR_OK && (code = history_next(h, &m, e)) == ERR_OK && m) {
        if (skip < m->txs) {
            out->from = m->first;
            out->first = (struct address){m->seq, (unsigned)skip + 1};
            break;
        }
        skip -= m->txs;
    }
    history_close(h);
    return code;
}

enum err_code history_last(struct replica *r, uint64_t n, struct history_range *out, struct err *e)
{
    struct stream_state st = {0};
    struct address last = {0};
    uint64_t found = 0;
    enum err_code code = begin_range(r, &st, out, e);

    if (code != ERR_OK)
        return code;
    if (n == 0 || out->to == 0) {
        out->from = out->to + 1;
        return ERR_OK;
    }
    code = go_back(r, &st, n, &found, out, &last, e);
    return code == ERR_OK && found > n ? skip_txs(r, found - n, out, e) : code;
}

static enum err_code last_one(struct replica *r, struct stream_state *st, struct history_range *out,
                              struct err *e)
{
    uint64_t found = 0;
    enum err_code code = ERR_OK;

    if (out->to > 0 && out->to >= st->first_seq)
        code = go_back(r, st, 1, &found, out, &out->first, e);
    if (code != ERR_OK)
        return code;
    if (found == 0 && st->first_seq > 1)
        return too_old(st, e);
    if (found == 0)
        return err_set(e, ERR_NOT_FOUND, "there is no transaction yet");
    return begin_at(r, st, out->first.seq, HISTORY_REFUSE, out, e);
}

enum err_code history_from(struct replica *r, const struct address *a, enum history_missing missing,
                           struct history_range *out, struct err *e)
{
    struct stream_state st = {0};
    enum err_code code = begin_range(r, &st, out, e);

    if (code != ERR_OK)
        return code;
    if (a->seq == 0)
        return last_one(r, &st, out, e);
    if (a->seq > out->to)
        return err_set(e, ERR_NOT_FOUND,
                       "there is no transaction %" PRIu64 ": the newest message is %" PRIu64,
                       a->seq, out->to);
    out->first = *a;
    return begin_at(r, &st, a->seq, missing, out, e);
}

/* Has the log lost something that it took since then? */
static enum err_code reaches_back(struct replica *r, const struct stream_state *st, int64_t since,
                                  struct err *e)
{
    struct stream_message m = {0};
    bool found = false, younger = true;

    if (st->first_seq <= 1)
        return ERR_OK;
    if (st->first_seq <= st->last_seq) {
        enum err_code code = stream_get(r->opt.client, r->stream, st->first_seq, &m, &found, e);
        if (code != ERR_OK)
            return code;
        younger = !found || m.time_ns > since;
        stream_message_free(&m);
    } else if (st->max_age_ns > 0) { /* what is gone is older than that */
        younger = clock_wall_ns() - since > st->max_age_ns;
    }
    return younger ? too_old(st, e) : ERR_OK;
}

enum err_code history_since(struct replica *r, int64_t ns, enum history_missing missing,
                            struct history_range *out, struct err *e)
{
    struct stream_state st = {0};
    int64_t since = clock_wall_ns() - ns;
    uint64_t seq = 0;
    enum err_code code = begin_range(r, &st, out, e);

    out->since_ns = since;
    if (code == ERR_OK && missing == HISTORY_REFUSE)
        code = reaches_back(r, &st, since, e);
    if (code == ERR_OK)
        code = stream_seq_at(r->opt.client, r->stream, since, &seq, e);
    if (code != ERR_OK)
        return code;
    if (seq > out->to) {
        out->from = out->to + 1;
        return ERR_OK;
    }
    return begin_at(r, &st, seq, missing, out, e);
}

/* ---- reading ---- */

struct history {
    struct replica *r;
    struct conn_guard guard;
    enum history_missing missing;
    int64_t gone_asked_ns;
    uint64_t next, to;
    struct stream_feed *feed;
    bool no_feed;                 /* it has failed */
    struct stream_message behind; /* what the feed has brought too early; seq 0 = nothing */

    struct stream_message m; /* the current message, or its last part */
    struct chain chain;
    bool chained; /* it stands in chain.spool */
    struct changeset_reader *about, *changes;
    struct history_message out;

    char last_id[CHANGESET_ID_SIZE]; /* of the message that was read last */
    uint64_t last_seq;
    bool fits; /* each message has named the one before it */

    /* while changes are read */
    history_fn *each;
    void *arg;
    unsigned index;
    uint32_t left; /* changes of that transaction */
};

static enum err_code nothing(void *arg, const struct change *c, struct err *e)
{
    (void)arg;
    (void)c;
    (void)e;
    return ERR_OK;
}

static enum err_code on_change(void *arg, const struct change *c, struct err *e)
{
    struct history *h = arg;

    while (h->left == 0 && h->index < h->out.txs) {
        h->index++;
        h->left = history_tx(&h->out, h->index).changes;
    }
    h->left -= h->left > 0;
    return h->each(h->arg, h->index, c, e);
}

enum err_code history_open(struct history **out, struct replica *r, uint64_t from, uint64_t to,
                           enum history_missing missing, const struct conn_guard *guard,
                           struct err *e)
{
    struct history *h = calloc(1, sizeof *h);

    *out = h;
    if (!h)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    h->r = r;
    h->guard = *guard;
    h->missing = missing;
    h->next = from > 0 ? from : 1;
    h->to = to;
    h->fits = true;
    h->about = changeset_reader_new(nothing, h);
    h->changes = changeset_reader_new(on_change, h);
    if (!h->about || !h->changes)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    return chain_init(&h->chain, r->opt.spool_dir, SPOOL_MEMORY, e);
}

static void close_feed(struct history *h)
{
    stream_feed_close(h->feed);
    h->feed = NULL;
    stream_message_free(&h->behind);
    h->behind = (struct stream_message){0};
}

void history_close(struct history *h)
{
    if (!h)
        return;
    close_feed(h);
    stream_message_free(&h->m);
    chain_fini(&h->chain);
    changeset_reader_free(h->about);
    changeset_reader_free(h->changes);
    free(h);
}

void history_extend(struct history *h, uint64_t to)
{
    if (to > h->to)
        h->to = to;
}

uint64_t history_to(const struct history *h)
{
    return h->to;
}

static enum err_code may_go_on(struct history *h, struct err *e)
{
    int64_t now = clock_mono_ns();

    if (atomic_load(&h->r->cancel))
        return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    if (h->guard.cancel && atomic_load(h->guard.cancel))
        return err_set(e, ERR_INTERRUPTED, "the statement was canceled");
    if (h->guard.deadline_ns != CLOCK_EVER && now > h->guard.deadline_ns)
        return err_set(e, ERR_TIMEOUT, "the statement ran into its time limit");
    if (h->guard.gone && now - h->gone_asked_ns > GONE_ASK_NS) {
        h->gone_asked_ns = now;
        if (h->guard.gone(h->guard.arg))
            return err_set(e, ERR_INTERRUPTED, "the client has left");
    }
    return ERR_OK;
}

/* Asks the leader for h->next, or where that is too old for the first one that there is. */
static enum err_code ask(struct history *h, struct err *e)
{
    struct stream_state st = {0};
    bool found = false;
    enum err_code code = stream_get(h->r->opt.client, h->r->stream, h->next, &h->m, &found, e);

    if (code != ERR_OK || found)
        return code;
    code = not_there(h->r, &st, h->next, e);
    if (code == ERR_TOO_OLD && h->missing == HISTORY_BEGIN_LATER) {
        err_clear(e);
        code = ERR_OK;
        h->next = st.first_seq;
        chain_drop(&h->chain);
    }
    return code;
}

/* What the feed has brought is message h->next, or one behind it. False: the feed is of no use. */
static enum err_code wait_for_feed(struct history *h, struct err *e)
{
    for (unsigned quiet = 0; quiet < PATIENCE && h->behind.seq < h->next;) {
        struct err why = ERR_INIT;
        bool got = false;
        enum err_code code = may_go_on(h, e);
        if (code != ERR_OK)
            return code;
        stream_message_free(&h->behind);
        h->behind = (struct stream_message){0};
        if (stream_feed_next(h->feed, WAIT_MS, &h->behind, &got, &why) != ERR_OK)
            break;
        quiet = got ? 0 : quiet + 1;
    }
    if (h->behind.seq < h->next) {
        close_feed(h);
        h->no_feed = true;
    }
    return ERR_OK;
}

/* The message h->next goes to h->m. */
static enum err_code fetch(struct history *h, struct err *e)
{
    struct err why = ERR_INIT;
    enum err_code code = may_go_on(h, e);

    stream_message_free(&h->m);
    h->m = (struct stream_message){0};
    if (code != ERR_OK)
        return code;
    if (!h->feed && !h->no_feed && h->to - h->next >= ASK_MAX)
        h->no_feed = stream_feed_open(&h->feed, h->r->opt.client, h->r->stream, h->r->subject,
                                      h->next, &why) != ERR_OK;
    if (h->feed)
        code = wait_for_feed(h, e);
    if (code != ERR_OK)
        return code;
    if (!h->feed || h->behind.seq != h->next)
        return ask(h, e);
    h->m = h->behind;
    h->behind = (struct stream_message){0};
    return ERR_OK;
}

static enum err_code feed_reader(struct history *h, struct changeset_reader *to,
                                 const struct changeset_info **info, struct err *e)
{
    changeset_reader_reset(to);
    enum err_code code = h->chained ? changeset_feed_spool(to, h->chain.spool, e)
                                    : changeset_feed(to, h->m.data, h->m.len, e);
    return code == ERR_OK ? changeset_finish(to, info, e) : code;
}

static enum err_code describe(struct history *h, struct err *e)
{
    const struct changeset_info *info = NULL;
    enum err_code code = feed_reader(h, h->about, &info, e);

    if (code != ERR_OK)
        return err_wrap(e, "message %" PRIu64, h->m.seq);
    h->out = (struct history_message){
        .first = h->m.seq - (h->chained ? h->m.parts - 1 : 0),
        .seq = h->m.seq,
        .time_ns = h->m.time_ns,
        .info = info,
        .txs = info->n_txs > 0 ? (unsigned)info->n_txs : info->changes > 0,
    };
    return ERR_OK;
}

/* What history_proves() asks for. */
static void note_order(struct history *h)
{
    const struct changeset_info *info = h->out.info;

    if (h->last_seq > 0 && info->prev[0] && strcmp(info->prev, h->last_id) != 0)
        h->fits = false;
    (void)snprintf(h->last_id, sizeof h->last_id, "%s", h->m.id);
    h->last_seq = h->m.seq;
}

/* Takes h->m, a message or a part of one. */
static enum err_code take(struct history *h, bool *complete, struct err *e)
{
    enum err_code code = ERR_OK;

    *complete = h->m.parts == 0;
    if (*complete)
        chain_drop(&h->chain);
    else
        code = chain_add(&h->chain, &h->m, complete, e);
    h->next++;
    return code;
}

enum err_code history_next(struct history *h, const struct history_message **m, struct err *e)
{
    enum err_code code = ERR_OK;
    bool complete = false;

    *m = NULL;
    h->chained = false;
    while (code == ERR_OK && !complete && h->next <= h->to) {
        code = fetch(h, e);
        if (code == ERR_OK && h->m.seq == h->next)
            code = take(h, &complete, e);
    }
    if (code == ERR_OK && !complete) {
        chain_drop(&h->chain);
        close_feed(h);
    }
    if (code != ERR_OK || !complete)
        return code;
    h->chained = h->m.parts > 0;
    code = describe(h, e);
    if (code != ERR_OK)
        return code;
    note_order(h);
    *m = &h->out;
    return ERR_OK;
}

enum err_code history_next_unlogged(struct history *h, struct conn *c, uint64_t *after,
                                    const struct history_message **m, struct err *e)
{
    struct outbox_entry entry;
    bool found = false;
    enum err_code code = outbox_next(c, *after, &entry, &found, e);

    *m = NULL;
    if (code != ERR_OK || !found)
        return code;
    *after = entry.last_id;
    stream_message_free(&h->m);
    h->m = (struct stream_message){0};
    chain_drop(&h->chain);
    for (uint64_t from = 0; code == ERR_OK && from < entry.len; from += OUTBOX_PART_BYTES) {
        uint64_t left = entry.len - from;
        code = outbox_read(c, &entry, from, left < OUTBOX_PART_BYTES ? left : OUTBOX_PART_BYTES,
                           spool_tail(h->chain.spool), e);
        spool_flush(h->chain.spool);
    }
    if (code == ERR_OK)
        code = spool_error(h->chain.spool, e);
    h->chained = true;
    if (code == ERR_OK)
        code = describe(h, e);
    if (code != ERR_OK)
        return code;
    h->out.first = 0;
    *m = &h->out;
    return ERR_OK;
}

struct changeset_tx history_tx(const struct history_message *m, unsigned index)
{
    if (index >= 1 && index <= m->info->n_txs)
        return m->info->txs[index - 1];
    return (struct changeset_tx){m->info->changes > UINT32_MAX ? UINT32_MAX
                                                               : (uint32_t)m->info->changes,
                                 m->info->timestamp_ns};
}

enum err_code history_no_such(const struct history_message *m, unsigned index, struct err *e)
{
    return err_set(e, ERR_NOT_FOUND,
                   "there is no transaction %" PRIu64 ".%u: message %" PRIu64 " holds %u", m->seq,
                   index, m->seq, m->txs);
}

enum err_code history_changes(struct history *h, history_fn *each, void *arg, struct err *e)
{
    const struct changeset_info *info = NULL;

    h->each = each;
    h->arg = arg;
    h->index = 0;
    h->left = 0;
    return feed_reader(h, h->changes, &info, e);
}

enum err_code history_proves(const struct history *h, uint64_t seq, const char *id, struct err *e)
{
    bool same = h->last_seq == 0 || (h->last_seq == seq && strcmp(h->last_id, id) == 0);

    if (same && (h->fits || h->r->opt.mode != REPLICA_SERIALIZABLE))
        return ERR_OK;
    return err_set(e, ERR_LOG_UNAVAILABLE,
                   "the log's messages do not follow one another up to what the file holds; try "
                   "again");
}
