/*
 * The applier: a thread that brings the file along its log, message by message, each exactly once,
 * never over a gap (I3).
 *
 *   verify ──> follow ──(connection came back, feed broke)──> verify
 *                │
 *                └──(a message that cannot be decoded or applied)──> STOPPED, later verify again
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "repl/impl.h"
#include "script/interceptor.h"

#define APPLIER_WAIT_MS   10000 /* for a message; without a connection nothing else can wake us */
#define APPLIER_BEHIND_MS 250   /* the same while the log is known to go on */
#define APPLIER_OVERDUE_NS                                                                         \
    (2 * CLOCK_S) /* for what is known to be there; then the log is asked                          \
                   */
#define APPLIER_NAP_NS     (2 * CLOCK_MS)
#define APPLIER_NAPS       3 /* in a row with nothing to do, then it waits again */
#define APPLIER_BATCH_MSGS 512
#define APPLIER_BATCH_NS                                                                           \
    (10 * CLOCK_MS)                  /* a batch ends after this, so that local writers get a turn */
#define APPLIER_REOPEN_NS    CLOCK_S /* a feed that lasted for less is not replaced at once */
#define APPLIER_RETRY_MIN_NS (250 * CLOCK_MS)
#define APPLIER_RETRY_MAX_NS (15 * CLOCK_S)

/* One complete message: whole as it came, or put together from parts in the chain spool. */
struct item {
    struct stream_message m;
    bool spooled;
};

/* The log has grown by something that does not move the position. */
static void note_tail(struct replica *r, uint64_t seq, uint64_t pending)
{
    pthread_mutex_lock(&r->mu);
    if (atomic_load(&r->seq) < seq) {
        atomic_store(&r->tail_seq, seq);
        r->chain_open = r->chain.part > 0;
        r->chain_time_ns = clock_mono_ns();
    }
    if (atomic_load(&r->last_seq) < seq + pending)
        atomic_store(&r->last_seq, seq + pending);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mu);
}

/* What came does not fit what was before it, and servers' copies of a log may differ: the leader is
 * asked from here on, for a while. False where it was the leader that said so. */
static bool distrust_feed(struct replica *r, uint64_t seq)
{
    uint64_t last = atomic_load(&r->last_seq);
    if (!r->log_copies || seq <= r->leader_to)
        return false;
    r->leader_to = last > seq + FEED_DOUBTED ? seq + FEED_DOUBTED : last > seq ? last : seq;
    return true;
}

/* Message `seq` names another one before it than there is. A node that has nothing of its own yet
 * may take what the others have made of the log (BROKEN); one that has stops, and says so. */
static enum err_code broken(struct replica *r, uint64_t seq, const char *names, const char *prev,
                            struct err *e)
{
    if (distrust_feed(r, seq))
        return err_set(e, ERR_LOG_UNAVAILABLE,
                       "message %" PRIu64
                       " follows \"%s\", the feed has brought \"%s\": the log's leader is asked",
                       seq, names, prev);
    if (!r->joined || r->behind_seq > 0 || r->opt.read_only) {
        r->broken_seq = seq;
        if (strcmp(prev, r->pos.msg_id) == 0) /* the file ends with what nobody goes on from */
            atomic_store(&r->unreadable, true);
    }
    return err_set(e, ERR_DIVERGED, "message %" PRIu64 " follows \"%s\", the file ends with \"%s\"",
                   seq, names, prev);
}

/* Another node has written, perhaps what this one has handed over to it. */
static void note_writer(struct replica *r, const struct changeset_info *info, uint64_t seq)
{
    char node[NAME_TOKEN_SIZE];
    name_encode(info->node, node);
    pthread_mutex_lock(&r->mu);
    turn_of_other(&r->turns, node, seq, clock_mono_ns());
    for (size_t i = 0; i < info->n_handed; i++)
        if (strcmp(info->handed[i], r->handed_id) == 0)
            r->handed_seq = seq;
    pthread_mutex_unlock(&r->mu);
}

static enum err_code apply_changes(struct replica *r, const struct item *it,
                                   const struct changeset_info **info, struct err *e)
{
    if (r->interceptor) {
        const struct interceptor_message m = {.bytes = it->spooled ? NULL : it->m.data,
                                              .len = it->m.len,
                                              .spool = r->chain.spool,
                                              .seq = it->m.seq};
        return interceptor_apply(r->interceptor, r->apply, &m, info, e);
    }
    return it->spooled ? apply_spooled(r->apply, r->chain.spool, info, e)
                       : apply_message(r->apply, it->m.data, it->m.len, info, e);
}

static enum err_code apply_item(struct replica *r, const struct item *it, const char *prev,
                                struct err *e)
{
    const struct changeset_info *info = NULL;
    enum err_code code = apply_changes(r, it, &info, e);
    if (code != ERR_OK) {
        if (code != ERR_SCRIPT)
            (void)distrust_feed(r, it->m.seq);
        return err_wrap(e, "message %" PRIu64, it->m.seq);
    }
    if (FAULT_FAILS("apply.message"))
        return err_set(e, ERR_DISK_FULL, "message %" PRIu64 ": disk full (injected)", it->m.seq);
    if (r->opt.mode == REPLICA_SERIALIZABLE && prev[0] && info->prev[0] &&
        strcmp(info->prev, prev) != 0)
        return broken(r, it->m.seq, info->prev, prev, e);
    if (r->opt.mode == REPLICA_SERIALIZABLE && strcmp(info->node, r->opt.node) != 0)
        note_writer(r, info, it->m.seq);
    return ERR_OK;
}

/* The log goes on behind next_seq, and the feed has left that out: a message that was lost on the
 * way comes with another feed, one that is not in the log any more never does. A server that has
 * just been elected may not know it yet, so it is gone only when two feeds have left it out. `e` is
 * set. */
static enum err_code left_out(struct replica *r, struct err *e)
{
    struct stream_message m;
    bool found = false;
    enum err_code code = stream_get(r->opt.client, r->stream, r->next_seq, &m, &found, e);
    if (code != ERR_OK)
        return code;
    bool again = r->missing_seq == r->next_seq;
    r->missing_seq = found ? 0 : r->next_seq;
    if (!found && again && r->next_seq > atomic_load(&r->seq)) {
        r->trouble_seq = r->hole_seq = r->next_seq;
        return err_set(e, ERR_DIVERGED, "message %" PRIu64 " of the log is gone", r->next_seq);
    }
    stream_message_free(&m);
    return err_set(e, ERR_LOG_UNAVAILABLE, "the feed has left out message %" PRIu64, r->next_seq);
}

/* What was seen of the log behind next_seq, `seen` is its end, is not there. */
static void ends_here(struct replica *r, uint64_t seen)
{
    atomic_compare_exchange_strong(&r->last_seq, &seen, r->next_seq - 1);
    if (atomic_load(&r->owed_seq) >= r->next_seq)
        atomic_store(&r->owed_seq, 0);
}

/* Nothing comes, though the log has been seen to go on. That it has lost its end meanwhile is for
 * the next verification to find. */
static enum err_code overdue(struct replica *r, struct err *e)
{
    struct stream_state st;
    bool found = false;
    uint64_t seen = atomic_load(&r->last_seq);
    enum err_code code = stream_info(r->opt.client, r->stream, &st, &found, e);
    if (code == ERR_OK && found && st.last_seq >= r->next_seq)
        return left_out(r, e);
    if (code == ERR_OK)
        ends_here(r, seen);
    return code;
}

/* Where its log ends already, what was heard of a later end came from a server whose copy is
 * longer, or from before the log lost some: there is nothing to ask the leader for, and nothing
 * missing. */
static enum err_code leader_has_none(struct replica *r, struct err *e)
{
    struct stream_state st;
    bool found = false;
    enum err_code code = stream_info(r->opt.client, r->stream, &st, &found, e);
    if (code != ERR_OK)
        return code;
    if (found && st.last_seq >= r->next_seq)
        return left_out(r, e);
    ends_here(r, atomic_load(&r->last_seq));
    r->leader_to = r->next_seq - 1;
    return err_set(e, ERR_LOG_UNAVAILABLE, "the log ends before message %" PRIu64, r->next_seq);
}

/* The next message as the log's leader has it: a feed has brought another one there. */
static enum err_code ask_leader(struct replica *r, struct item *it, bool *got, struct err *e)
{
    enum err_code code = stream_get(r->opt.client, r->stream, r->next_seq, &it->m, got, e);
    uint64_t last = atomic_load(&r->last_seq);
    if (code != ERR_OK)
        return code;
    if (!*got)
        return leader_has_none(r, e);
    it->m.pending = last > it->m.seq ? last - it->m.seq : 0;
    return ERR_OK;
}

/* Reads the next message that the feed has. *ready: `it` is complete and lies behind the position.
 */
static enum err_code next_item(struct replica *r, int64_t timeout_ms, struct item *it, bool *got,
                               bool *ready, struct err *e)
{
    *ready = false;
    it->spooled = false;
    enum err_code code = r->next_seq <= r->leader_to
                             ? ask_leader(r, it, got, e)
                             : stream_feed_next(r->feed, timeout_ms, &it->m, got, e);
    if (code != ERR_OK || !*got)
        return code;
    if (it->m.seq != r->next_seq) {
        stream_message_free(&it->m);
        return left_out(r, e);
    }
    r->next_seq++;
    if (it->m.parts > 0) {
        code = chain_add(&r->chain, &it->m, &it->spooled, e);
        if (code == ERR_OK && !it->spooled) {
            note_tail(r, it->m.seq, it->m.pending);
            stream_message_free(&it->m);
            return ERR_OK;
        }
    } else if (r->chain.part > 0) {
        chain_drop(&r->chain);
    }
    if (code != ERR_OK) {
        stream_message_free(&it->m);
        return code;
    }
    *ready = true;
    return ERR_OK;
}

static void item_done(struct replica *r, struct item *it)
{
    if (it->spooled)
        chain_drop(&r->chain);
    stream_message_free(&it->m);
}

/* A batch was rolled back. Parts behind it may have been read meanwhile, but a group that expected
 * the log to end with them would write without what lies before them (I4). */
static void forget_tail(struct replica *r, uint64_t before)
{
    pthread_mutex_lock(&r->mu);
    atomic_store(&r->tail_seq, before);
    pthread_mutex_unlock(&r->mu);
}

/* What a batch has come to. */
struct batch {
    struct position p;
    uint64_t pending;    /* messages behind it in the log */
    uint64_t applied;    /* messages */
    uint64_t last_first; /* where the message before begins */
};

/* A message of the batch. It is done afterwards, whatever comes of it. */
static enum err_code apply_one(struct replica *r, struct item *it, struct batch *b, struct err *e)
{
    bool own = false;
    uint64_t doubted = r->leader_to;
    bool wrong = FAULT_FAILS("apply.wrong"); /* as if the feed had brought another one */
    enum err_code code = ERR_OK;
    if (r->opt.mode == REPLICA_ASYNC)
        code = outbox_delivered(r, it->m.id, it->m.seq, &own, e);
    if (code == ERR_OK && !own && !wrong)
        code = apply_item(r, it, b->p.msg_id, e);
    uint64_t first = it->m.seq - (it->m.parts > 0 ? it->m.parts - 1 : 0);
    /* Of two that do not fit the wrong one may be the first: while somebody else can be asked, the
     * leader or a member, that one is not to be seen, either. */
    bool ask = r->leader_to != doubted || r->broken_seq == it->m.seq;
    if (code != ERR_OK)
        r->trouble_seq = ask && b->last_first > 0 ? b->last_first : first;
    b->last_first = first;
    b->p.seq = it->m.seq;
    snprintf(b->p.msg_id, sizeof b->p.msg_id, "%s%s", it->m.id,
             wrong || FAULT_FAILS("apply.other") ? "x" : "");
    digest_add(r->digest, b->p.seq, b->p.msg_id);
    b->pending = it->m.pending;
    b->applied++;
    item_done(r, it);
    return code;
}

/*
 * With the write lock: applies `it` and whatever else has come meanwhile, commits once. Positions
 * that stand for nothing but unfinished parts are not stored; the last complete message's is. A
 * message that cannot be applied takes the batch with it, and the next one ends before it.
 */
static enum err_code apply_batch(struct replica *r, struct item *it, struct err *e)
{
    struct batch b = {.p = r->pos};
    uint64_t tail = atomic_load(&r->tail_seq);
    /* Where much has to be applied again behind every batch, batches are longer. */
    bool outbox = r->opt.mode == REPLICA_ASYNC;
    int64_t limit_ns =
        outbox && r->reapply_ns > APPLIER_BATCH_NS ? r->reapply_ns : APPLIER_BATCH_NS;
    int64_t until = clock_mono_ns() + limit_ns;
    enum err_code code = apply_begin(r->apply, e);
    if (code != ERR_OK)
        item_done(r, it);
    r->foreign = false;
    struct err ended = ERR_INIT; /* the feed; what came before is committed */
    bool ready = true;
    bool got = true;
    while (code == ERR_OK && got) {
        if (ready)
            code = apply_one(r, it, &b, e);
        bool full = b.applied >= APPLIER_BATCH_MSGS && limit_ns == APPLIER_BATCH_NS;
        if (code != ERR_OK || full || clock_mono_ns() >= until || r->next_seq == r->trouble_seq)
            break;
        if (b.p.seq >= atomic_load(&r->wish_seq)) /* somebody wants to see the file just here */
            break;
        if (next_item(r, 0, it, &got, &ready, &ended) != ERR_OK)
            break;
    }
    if (code == ERR_OK && outbox)
        code = outbox_reapply(r, e);
    if (code == ERR_OK)
        code = apply_commit(r->apply, &b.p, e);
    FAULT_POINT("apply.done");
    if (code != ERR_OK) {
        if (r->trouble_seq <= r->pos.seq)
            r->trouble_seq = r->pos.seq + 1;
        apply_rollback(r->apply);
        digest_cut(r->digest, r->pos.seq);
        forget_tail(r, tail);
        return code;
    }
    if (apply_took_schema(r->apply))
        writer_schema_changed(r->writer);
    replica_advance(r, &b.p);
    r->hearsay = true;
    pthread_mutex_lock(&r->mu);
    r->stats.applied += b.applied;
    if (atomic_load(&r->last_seq) < b.p.seq + b.pending)
        atomic_store(&r->last_seq, b.p.seq + b.pending);
    pthread_mutex_unlock(&r->mu);
    if (ended.code != ERR_OK)
        *e = ended;
    return ended.code;
}

/* Until here the replica was STOPPED, though it tried again now and then, or came nearer. */
static void look_for_the_end_of_trouble(struct replica *r)
{
    r->joined = r->joined || atomic_load(&r->tail_seq) >= r->target_seq;
    if (r->trouble_seq > 0 && atomic_load(&r->seq) >= r->trouble_seq)
        r->trouble_seq = 0;
    else if (r->behind_seq > 0 && atomic_load(&r->tail_seq) >= r->behind_seq)
        r->behind_seq = 0;
    else
        return;
    if (r->trouble_seq == 0 && r->behind_seq == 0)
        replica_set_state(r, REPLICA_FOLLOWING, NULL);
}

/*
 * Follows the log until something ends it; ERR_OK when it is to be verified again at once.
 *
 * Every message of this node's own comes back here, just when the group that has published it
 * commits: waking up for each of them would cost a lone writer more than SQLite does. So while only
 * own messages come, the applier takes what there is and naps, until a message of another node
 * comes, somebody waits for the applier (a group that has lost a race asks for the winner's
 * message), or nothing has come for a while; then it waits for the next message as ever. That pays
 * where messages come faster than naps end; among many databases, each written now and then, waking
 * up once for each message is less.
 */
static enum err_code follow(struct replica *r, struct err *e)
{
    enum err_code code = ERR_OK;
    int64_t opened_ns = clock_mono_ns();
    int64_t news_ns = opened_ns; /* when the feed had said all that the log was known to have */
    int64_t own_ns = 0;          /* when this node's own last message came */
    unsigned naps = 0;           /* 0: wait for messages; else one more than those taken in a row */
    while (code == ERR_OK) {
        struct item it;
        bool got = false, ready = false;
        uint64_t before = 0;
        FAULT_POINT("apply.next");
        if (suspect_due(r))
            suspect_look(r);
        pthread_mutex_lock(&r->mu);
        bool leave = r->closing || r->verify;
        pthread_mutex_unlock(&r->mu);
        if (leave)
            return ERR_OK;
        bool behind = atomic_load(&r->last_seq) >= r->next_seq;
        int64_t wait_ms = naps > 0 ? 0 : behind ? APPLIER_BEHIND_MS : APPLIER_WAIT_MS;
        code = next_item(r, wait_ms, &it, &got, &ready, e);
        if (got || !behind)
            news_ns = clock_mono_ns();
        else if (code == ERR_OK && clock_mono_ns() - news_ns >= APPLIER_OVERDUE_NS)
            code = overdue(r, e);
        if (code == ERR_OK && !got && naps > 0)
            naps = naps <= APPLIER_NAPS && lock_nap(r, APPLIER_NAP_NS) ? naps + 1 : 0;
        look_for_the_end_of_trouble(r);
        if (code != ERR_OK || !ready)
            continue;
        if (!lock_apply(r, it.m.seq, it.m.id)) { /* it is in the file already */
            if (digest_denies(r->digest, it.m.seq, it.m.id, &before))
                (void)suspect(r, before, it.m.seq);
            item_done(r, &it);
            naps = news_ns - own_ns < APPLIER_NAPS * APPLIER_NAP_NS ? 1 : 0;
            own_ns = news_ns;
            continue;
        }
        naps = 0;
        FAULT_POINT("apply.begin");
        code = apply_batch(r, &it, e);
        lock_release(r);
        look_for_the_end_of_trouble(r);
    }
    /* A feed that has served for a while, and broke: writers need not wait for the next one. */
    if (code == ERR_LOG_UNAVAILABLE && clock_mono_ns() - opened_ns >= APPLIER_REOPEN_NS) {
        LOG_INFO("following the log anew", LOG_STR("db", r->opt.id), LOG_STR("reason", e->msg));
        err_clear(e);
        return ERR_OK;
    }
    return code;
}

/* Waits for the connection; false when the replica closes. */
static bool wait_connected(struct replica *r)
{
    pthread_mutex_lock(&r->mu);
    while (!r->connected && !r->closing)
        clock_cond_wait(&r->changed, &r->mu, CLOCK_EVER);
    r->verify = false;
    bool go = !r->closing;
    pthread_mutex_unlock(&r->mu);
    return go;
}

static enum err_code verify_and_open(struct replica *r, struct err *e)
{
    /* Asynchronous writers go on while the server is asked; a file that belongs to no log yet
     * cannot. */
    bool lock = r->opt.mode != REPLICA_ASYNC || r->pos.seq == 0;
    if (lock && !lock_take(r))
        return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    enum err_code code = verify_log(r, e);
    if (lock)
        lock_release(r);
    chain_drop(&r->chain);
    struct stream_feed *feed = NULL;
    uint64_t start = r->next_seq > r->leader_to ? r->next_seq : r->leader_to + 1;
    if (code == ERR_OK)
        code = stream_feed_open(&feed, r->opt.client, r->stream, r->subject, start, e);
    pthread_mutex_lock(&r->mu);
    r->feed = feed;
    pthread_mutex_unlock(&r->mu);
    return code;
}

static void close_feed(struct replica *r)
{
    pthread_mutex_lock(&r->mu);
    struct stream_feed *feed = r->feed;
    r->feed = NULL;
    pthread_mutex_unlock(&r->mu);
    stream_feed_close(feed);
}

/* The failure is shown; how long it lasts nobody knows, so the next try comes later each time. */
static void rest(struct replica *r, const struct err *e, int64_t *pause)
{
    bool connection = e->code == ERR_LOG_UNAVAILABLE;
    pthread_mutex_lock(&r->mu);
    if (!connection)
        r->stats.apply_errors++; /* before anybody sees the state */
    (void)snprintf(r->stats.last_error, sizeof r->stats.last_error, "%s", e->msg);
    r->stats.last_error_wall_ns = clock_wall_ns();
    pthread_mutex_unlock(&r->mu);
    replica_set_state(r, connection ? REPLICA_OFFLINE : REPLICA_STOPPED, e);
    pthread_mutex_lock(&r->mu);
    int64_t until = clock_deadline(connection ? APPLIER_RETRY_MIN_NS : *pause);
    while (!r->closing && !(connection && r->verify) && clock_cond_wait(&r->changed, &r->mu, until))
        ;
    pthread_mutex_unlock(&r->mu);
    *pause = *pause * 2 < APPLIER_RETRY_MAX_NS ? *pause * 2 : APPLIER_RETRY_MAX_NS;
}

void *applier_main(void *replica)
{
    struct replica *r = replica;
    int64_t pause = APPLIER_RETRY_MIN_NS;
    while (wait_connected(r)) {
        struct err e = ERR_INIT;
        enum verdict known = r->verdict_held;
        enum err_code code = verify_and_open(r, &e);
        if (r->verdict_held != known) /* a new one is to be confirmed soon */
            pause = APPLIER_RETRY_MIN_NS;
        if (code == ERR_OK) {
            uint64_t before = atomic_load(&r->seq);
            if (r->trouble_seq <= before && r->behind_seq <= before)
                replica_set_state(r, REPLICA_FOLLOWING, NULL);
            code = follow(r, &e);
            if (atomic_load(&r->seq) > before)
                pause = APPLIER_RETRY_MIN_NS;
        }
        close_feed(r);
        if (code != ERR_OK)
            rest(r, &e, &pause);
    }
    return NULL;
}
