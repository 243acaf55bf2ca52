#include "repl/handover.h"

#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/reader.h"
#include "nats/rpc.h"
#include "repl/impl.h"
#include "repl/peer.h"
#include "repl/queue.h"

#define FORMAT           1
#define PATIENCE_MAX_NS  (10 * CLOCK_S)
#define REST_DECLINED_NS (50 * CLOCK_MS) /* before the same node is asked again */
#define REST_SILENT_NS   CLOCK_S
#define RESULT_NS        (2 * CLOCK_S)       /* that a result is waited for which the log has */
#define PACKED_MAX       ((size_t)64 * 1024) /* bytes of a transaction that travels */
#define HEADROOM         ((size_t)4 * 1024)  /* of max_payload */

enum fate { FATE_DONE = 'D', FATE_HOME = 'H', FATE_UNKNOWN = '?' };

bool handover_stands(struct replica *r, const struct handover *h)
{
    pthread_mutex_lock(&r->mu);
    bool stands = turn_newest_of(&r->turns, h->origin) <= h->base;
    pthread_mutex_unlock(&r->mu);
    return stands && digest_has(r->digest, h->base, h->base_id);
}

/* ---- the runner ----------------------------------------------------------------------------- */

enum err_code handover_read(struct handover *h, const char *body, size_t len, struct err *e)
{
    struct reader in = reader_of(body, len);
    bool known = reader_u8(&in) == FORMAT;
    const char *id = reader_bytes(&in, ID_LEN);
    h->base = reader_u64(&in);
    h->patience_ns = reader_u32(&in) * CLOCK_MS;
    h->base_id = reader_cstr(&in);
    const char *origin = reader_cstr(&in);
    h->subject = reader_cstr(&in);
    h->n = reader_u16(&in);
    bool fits = known && id && strlen(origin) < sizeof h->origin && h->n <= HANDOVER_MAX;
    for (unsigned i = 0; fits && i < h->n; i++) {
        h->txns[i].len = reader_u32(&in);
        h->txns[i].data = reader_bytes(&in, h->txns[i].len);
    }
    if (!fits || h->n == 0 || !reader_done(&in))
        return err_set(e, ERR_FORMAT, "what was handed over cannot be read");
    if (h->patience_ns > PATIENCE_MAX_NS)
        h->patience_ns = PATIENCE_MAX_NS;
    memcpy(h->id, id, ID_LEN);
    h->id[ID_LEN] = '\0';
    memcpy(h->origin, origin, strlen(origin) + 1);
    return ERR_OK;
}

/* A node that has nothing to write itself lets the origin do it, so that a lone writer soon writes
 * at its own node; and whoever waits for an explicit transaction might wait for long. */
static enum err_code may_run(struct replica *r, struct err *e)
{
    pthread_mutex_lock(&r->mu);
    bool busy = clock_mono_ns() - r->led_ns < turn_recent_ns(&r->turns);
    bool may = busy && !r->tx && !r->closing && r->state == REPLICA_FOLLOWING &&
               r->opt.mode == REPLICA_SERIALIZABLE; /* or nothing expects the log's end */
    pthread_mutex_unlock(&r->mu);
    return may ? ERR_OK : err_set(e, ERR_BUSY, "this node runs no other node's transactions now");
}

enum err_code handover_run(struct replica *r, const struct handover *h, struct txn *txns,
                           struct err *errs, struct err *e)
{
    int64_t deadline = clock_deadline(h->patience_ns / 2); /* "not run" is to come in time, too */
    if (may_run(r, e) != ERR_OK || replica_wait(r, h->base, deadline, e) != ERR_OK)
        return e->code;
    for (unsigned i = 0; i < h->n; i++) {
        txns[i].from = h;
        txns[i].deadline_ns = deadline;
    }
    if (replica_write_all(r, txns, h->n, errs, e) != ERR_OK)
        return e->code;
    /* What they have seen without being in the log themselves: a row that was there already, … */
    uint64_t seen = atomic_load(&r->seq);
    for (unsigned i = 0; i < h->n; i++)
        seen = txns[i].seq > seen ? txns[i].seq : seen;
    for (unsigned i = 0; i < h->n; i++)
        txns[i].seq = txns[i].index == 0 ? seen : txns[i].seq;
    return ERR_OK;
}

/* A failure that follows from the data alone would be the same at the origin. All others may be
 * this node's: it has other extensions, or no room, or no time. */
static enum fate fate_of(const struct err *e)
{
    switch (e->code) {
    case ERR_OK:
    case ERR_UNIQUE:
    case ERR_NOT_NULL:
    case ERR_FOREIGN_KEY:
    case ERR_CHECK:
    case ERR_CONSTRAINT:
    case ERR_RAISED:
    case ERR_MISMATCH:
        return FATE_DONE;
    case ERR_UNKNOWN_OUTCOME:
        return FATE_UNKNOWN;
    default:
        return FATE_HOME;
    }
}

bool handover_put(struct buf *answer, const struct txn *t, const struct err *e)
{
    enum fate fate = fate_of(e);
    buf_u8(answer, (uint8_t)fate);
    buf_be64(answer, t->seq);
    buf_be32(answer, t->index);
    if (fate != FATE_DONE)
        buf_be32(answer, 0);
    return fate == FATE_DONE;
}

void handover_put_result(struct buf *answer, const struct buf *result)
{
    buf_be32(answer, (uint32_t)result->len);
    buf_put(answer, result->data, result->len);
}

/* ---- the origin ----------------------------------------------------------------------------- */

struct handing {
    struct replica *r;
    struct waiting *const *members;
    size_t n;
    bool *settled; /* of each */
    size_t n_settled;
    bool home[HANDOVER_MAX]; /* the runner says that it has not run it */
    char process[ID_SIZE];
    int64_t patience_ns;
    uint64_t base; /* what the file ended with */
    char base_id[CHANGESET_ID_SIZE];
    char sum[ID_SIZE]; /* the name of the sum over its messages then */
    uint64_t seen;     /* what the results are of: the client is to find that here, too */
    struct rpc_pending *pending;
    struct buf answer;
    bool answered; /* nothing more will come */
    bool open;     /* there are members that may have been run and have no result */
};

static void settle(struct handing *h, size_t i)
{
    h->settled[i] = true;
    h->n_settled++;
}

/* It has another name when the file has not come to where it stands message by message. */
static void sum_name(struct replica *r, char name[ID_SIZE])
{
    struct digest_state st;
    digest_read(r->digest, &st);
    memcpy(name, st.name, ID_SIZE);
}

static bool choose(struct handing *h)
{
    struct replica *r = h->r;
    if (r->opt.mode != REPLICA_SERIALIZABLE || !r->opt.client)
        return false;
    for (size_t i = 0; i < h->n; i++)
        if (!h->members[i]->txn->travel || h->members[i]->txn->from)
            return false;
    sum_name(r, h->sum); /* before `base` is read, so that no jump goes unnoticed */
    pthread_mutex_lock(&r->mu);
    bool chosen = r->state == REPLICA_FOLLOWING && r->connected &&
                  turn_runner(&r->turns, clock_mono_ns(), h->process);
    h->patience_ns = turn_recent_ns(&r->turns);
    h->base = atomic_load(&r->seq);
    memcpy(h->base_id, r->seq_id, sizeof h->base_id);
    pthread_mutex_unlock(&r->mu);
    return chosen;
}

static void rest(struct handing *h, int64_t ns)
{
    pthread_mutex_lock(&h->r->mu);
    turn_rest(&h->r->turns, h->process, clock_deadline(ns));
    pthread_mutex_unlock(&h->r->mu);
}

static bool pack(struct handing *h, const char *id, struct buf *body)
{
    char node[NAME_TOKEN_SIZE];
    struct buf one;
    buf_init(&one, PACKED_MAX);
    name_encode(h->r->opt.node, node);
    buf_u8(body, FORMAT);
    buf_put(body, id, ID_LEN);
    buf_be64(body, h->base);
    buf_be32(body, (uint32_t)(h->patience_ns / CLOCK_MS));
    buf_put(body, h->base_id, strlen(h->base_id) + 1);
    buf_put(body, node, strlen(node) + 1);
    buf_put(body, h->r->subject, strlen(h->r->subject) + 1);
    buf_be16(body, (uint16_t)h->n);
    bool travels = true;
    for (size_t i = 0; i < h->n && travels; i++) {
        const struct txn *t = h->members[i]->txn;
        buf_reset(&one);
        travels = t->travel->pack(t->arg, &one) && buf_ok(&one);
        buf_be32(body, (uint32_t)one.len);
        buf_put(body, one.data, one.len);
    }
    buf_free(&one);
    return travels && buf_ok(body);
}

static bool send(struct handing *h)
{
    struct replica *r = h->r;
    char prefix[PEER_PREFIX_SIZE], id[ID_SIZE];
    struct buf body;
    struct err ignored = ERR_INIT; /* then it is run here */
    size_t max = nats_client_max_payload(r->opt.client);
    max = max > 2 * HEADROOM ? max - HEADROOM : HEADROOM;
    buf_init(&body, max < RPC_BODY_MAX ? max : RPC_BODY_MAX);
    id_next(id);
    peer_prefix(r->opt.stream, prefix);
    bool sent = pack(h, id, &body);
    if (sent) {
        pthread_mutex_lock(&r->mu);
        memcpy(r->handed_id, id, sizeof id);
        r->handed_seq = 0;
        pthread_mutex_unlock(&r->mu);
        const struct rpc_question q = {.prefix = prefix,
                                       .method = HANDOVER_METHOD,
                                       .target = h->process,
                                       .body = body.data,
                                       .len = body.len};
        sent = rpc_send(&h->pending, r->opt.client, &q, &ignored) == ERR_OK;
    }
    buf_free(&body);
    return sent;
}

/* One member's result. False where it cannot be read. */
static bool take(struct handing *h, size_t i, struct reader *in)
{
    struct waiting *w = h->members[i];
    struct txn *t = w->txn;
    uint8_t fate = reader_u8(in);
    uint64_t seq = reader_u64(in);
    uint32_t index = reader_u32(in);
    uint32_t len = reader_u32(in);
    const char *bytes = reader_bytes(in, len);
    if (in->bad)
        return false;
    h->home[i] = fate == FATE_HOME;
    h->open = h->open || (fate != FATE_DONE && fate != FATE_HOME);
    if (fate != FATE_DONE)
        return true;
    h->seen = seq > h->seen ? seq : h->seen;
    err_clear(&w->err);
    if (!t->travel->take(t->arg, bytes, len, &w->err))
        return false;
    t->index = w->err.code == ERR_OK ? index : 0;
    t->seq = t->index > 0 ? seq : 0;
    settle(h, i);
    return true;
}

static void take_all(struct handing *h)
{
    struct reader in = reader_of(h->answer.data, h->answer.len);
    h->open = false;
    bool good = true;
    for (size_t i = 0; i < h->n && good; i++)
        good = h->settled[i] || take(h, i, &in);
    h->open = h->open || !good || !reader_done(&in);
}

/* Waits for the answer; afterwards `open` says whether anything is not known. */
static void receive(struct handing *h, int64_t deadline_ns)
{
    struct err e = ERR_INIT;
    bool got = false;
    enum err_code code = rpc_receive(h->pending, deadline_ns, &h->answer, &got, &e);
    if (code == ERR_OK && !got)
        return;
    h->answered = true;
    if (got && code == ERR_OK)
        take_all(h);
    else if (got || code == ERR_NOT_FOUND) /* it says so, or nobody has heard it */
        h->open = code == ERR_UNKNOWN_OUTCOME;
    if (h->n_settled == 0)
        rest(h, REST_DECLINED_NS);
}

/* The fate of those that have no result will stay unknown. */
static void give_up(struct handing *h, const char *why)
{
    for (size_t i = 0; i < h->n; i++) {
        if (h->settled[i] || h->home[i])
            continue;
        err_set(&h->members[i]->err, ERR_UNKNOWN_OUTCOME,
                "the node that ran the transaction for this one does not answer, and %s", why);
        settle(h, i);
    }
    h->open = false;
}

enum sight { SIGHT_NONE, SIGHT_SEEN, SIGHT_BLIND };

static enum sight look(struct handing *h)
{
    pthread_mutex_lock(&h->r->mu);
    bool seen = h->r->handed_seq > 0;
    pthread_mutex_unlock(&h->r->mu);
    char name[ID_SIZE];
    sum_name(h->r, name);
    return seen ? SIGHT_SEEN : strcmp(name, h->sum) == 0 ? SIGHT_NONE : SIGHT_BLIND;
}

/* The log has some of it: what came of each only the runner can tell. */
static void wait_for_results(struct handing *h)
{
    if (!h->answered)
        receive(h, clock_deadline(RESULT_NS));
    if (h->open)
        give_up(h, "the log has some of what was handed over to it");
}

/* No answer: makes sure that none of it happens any more, or learns that it has. */
static void take_back(struct handing *h)
{
    struct replica *r = h->r;
    int64_t deadline = clock_deadline(r->opt.timeout_ns);
    LOG_INFO("a node does not say what came of what was handed over to it",
             LOG_STR("db", r->opt.id));
    rest(h, REST_SILENT_NS);
    while (h->open) {
        struct err e = ERR_INIT;
        if (lock_write(r, deadline, &e) != ERR_OK) {
            give_up(h, e.msg);
            return;
        }
        uint64_t from = r->expect_seq;
        enum sight sight = look(h);
        enum commit_result fence = sight == SIGHT_NONE ? commit_fence(r, &e) : COMMIT_FAILED;
        lock_release(r);
        if (sight == SIGHT_SEEN)
            wait_for_results(h);
        else if (sight == SIGHT_BLIND)
            give_up(h, "this node's file was replaced meanwhile");
        else if (fence == COMMIT_DONE)
            h->open = false;
        else if (fence == COMMIT_FAILED || !lock_wait_tail(r, from, deadline))
            give_up(h, fence == COMMIT_FAILED ? e.msg : "other nodes write faster than this one");
    }
}

size_t handover_group(struct replica *r, struct waiting *const *members, size_t n, bool *settled)
{
    struct handing h = {.r = r, .members = members, .n = n, .settled = settled};
    memset(settled, 0, n * sizeof *settled);
    if (n > HANDOVER_MAX || !choose(&h) || !send(&h))
        return 0;
    h.open = true;
    FAULT_POINT("handover.sent");
    receive(&h, clock_deadline(h.patience_ns));
    if (h.open)
        take_back(&h);
    rpc_forget(h.pending);
    buf_free(&h.answer);
    if (h.seen > atomic_load(&r->seq)) {
        struct err ignored = ERR_INIT;
        replica_wait(r, h.seen, clock_deadline(r->opt.timeout_ns), &ignored);
    }
    pthread_mutex_lock(&r->mu);
    r->stats.handed_over += h.n_settled;
    pthread_mutex_unlock(&r->mu);
    return h.n_settled;
}
