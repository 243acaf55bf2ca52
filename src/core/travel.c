/*
 * A write that another node runs in this one's place (repl/handover.h): packed here, run there by a
 * visitor, its result taken here.
 *
 *     packed   front (parcel.h) · u64 last insert rowid · u64 ns left, 0 = no limit
 *              u32 bytes that its recording may have · queries (parcel.h)
 *     result   as parcel.h has it
 *
 * Numbers are big-endian.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "core/parcel.h"
#include "core/request_impl.h"
#include "nats/rpc.h"
#include "repl/handover.h"

/* ---- packing -------------------------------------------------------------------------------- */

static bool may_travel(enum lex_kind kind)
{
    return kind == LEX_WRITE || kind == LEX_READ || kind == LEX_OTHER;
}

/* Where the request's write ends. False: it holds something that only this node can run. */
static bool extent(const struct request *r, struct cursor *end)
{
    struct cursor at = r->at;
    struct lex lex;
    bool any = false;
    while (request_next(r, &at, &r->end, &lex)) {
        if (!may_travel(lex.kind))
            return false;
        const struct query *q = &r->queries[at.query];
        at.offset += lex_length(q->sql + at.offset, q->len - at.offset);
        *end = at;
        any = true;
    }
    return any;
}

static bool pack(void *arg, struct buf *out)
{
    const struct request *r = arg;
    struct cursor end = r->at;
    struct query *slices = NULL;
    if (!extent(r, &end) || end.query - r->at.query >= PARCEL_QUERIES_MAX)
        return false;
    size_t n = request_slice(r, &end, &slices);
    if (n == 0)
        return false;
    parcel_put_front(out, r->s->front);
    buf_be64(out, (uint64_t)r->rowid);
    int64_t left = r->deadline_ns - clock_mono_ns();
    buf_be64(out, r->deadline_ns == CLOCK_EVER ? 0 : left > 0 ? (uint64_t)left : 1);
    size_t limit = r->recorder.bytes.limit;
    buf_be32(out, limit > 0 && limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
    parcel_put_queries(out, slices, n);
    free(slices);
    return buf_ok(out);
}

/* ---- taking the result ---------------------------------------------------------------------- */

static bool take(void *arg, const void *bytes, size_t len, struct err *result)
{
    struct request *r = arg;
    struct reader in = reader_of(bytes, len);
    struct parcel_result p;
    if (!parcel_get_result(&in, &p) || p.failed >= r->n - r->at.query)
        return false;
    r->failed_at = r->at.query + p.failed;
    if (p.err.code != ERR_OK) {
        *result = p.err;
        if (result->offset >= 0 && p.failed == 0)
            result->offset += (int)r->at.offset;
        return true;
    }
    r->s->last_rowid = p.last_rowid;
    return extent(r, &r->reached) && recorder_load(&r->recorder, p.recording, p.len);
}

const struct txn_travel request_travel = {pack, take};

/* ---- running it for another node ------------------------------------------------------------ */

/* A transaction of another node's client: as much of a session as a write needs. */
struct visitor {
    struct session session;
    struct request request;
    struct pg_session front;
    bool homesick; /* it has asked for something that only its own node knows */
};

struct visit {
    struct arena *arena;
    struct handover handover;
    struct visitor *visitors; /* handover.n of each, in the arena */
    struct txn *txns;
    struct err *errs;
};

static const char *no_setting(void *arg, const char *name)
{
    (void)name;
    ((struct visitor *)arg)->homesick = true;
    return NULL;
}

static enum pg_set no_set(void *arg, const char *name, const char *value, bool local)
{
    (void)name;
    (void)value;
    (void)local;
    ((struct visitor *)arg)->homesick = true;
    return PG_SET_FIXED;
}

static bool no_database(void *arg, size_t i, char *id, size_t size)
{
    (void)i;
    (void)id;
    (void)size;
    ((struct visitor *)arg)->homesick = true;
    return false;
}

static void unpack_front(struct visitor *v, struct reader *in)
{
    if (!parcel_get_front(in, &v->front))
        return;
    v->front.setting = no_setting;
    v->front.set = no_set;
    v->front.database_at = no_database;
    v->front.arg = v;
    v->session.front = &v->front;
}

/* Everything is borrowed from the question and the arena. `room` is what there is for its
 * recording. */
static bool unpack(struct visit *visit, struct visitor *v, const char *bytes, size_t len,
                   size_t room)
{
    struct reader in = reader_of(bytes, len);
    struct request *r = &v->request;
    unpack_front(v, &in);
    r->rowid = (int64_t)reader_u64(&in);
    uint64_t left = reader_u64(&in);
    /* Its client can neither cancel it here nor leave it, and soon nobody waits for it any more. */
    int64_t patience = visit->handover.patience_ns;
    r->deadline_ns =
        clock_deadline(left > 0 && left < (uint64_t)patience ? (int64_t)left : patience);
    size_t limit = reader_u32(&in);
    recorder_init(&r->recorder, limit < room ? limit : room);
    r->queries = parcel_get_queries(&in, visit->arena, &r->n);
    r->end = (struct cursor){r->n, 0};
    r->s = &v->session;
    return reader_done(&in);
}

static enum err_code run_visitor(void *arg, struct writer *w, struct err *e)
{
    struct visitor *v = arg;
    v->homesick = false;
    enum err_code code = request_run_write(&v->request, w, e);
    if (v->homesick || !buf_ok(&v->request.recorder.bytes))
        code = err_set(e, ERR_BUSY, "only the node that has handed it over can run it");
    return code;
}

static void put_result(struct buf *answer, const struct visitor *v, const struct err *e)
{
    struct buf b = BUF_INIT;
    parcel_put_result(&b, v->request.failed_at, e, v->session.last_rowid,
                      &v->request.recorder.bytes);
    handover_put_result(answer, &b);
    buf_free(&b);
}

static enum err_code admit(struct node *n, struct visit *visit, struct err *e)
{
    const struct handover *h = &visit->handover;
    size_t payload = nats_client_max_payload(n->client) / 2;
    size_t room = (payload < HANDOVER_ANSWER ? payload : HANDOVER_ANSWER) / h->n;
    visit->txns = arena_alloc(visit->arena, h->n * sizeof *visit->txns);
    visit->errs = arena_alloc(visit->arena, h->n * sizeof *visit->errs);
    visit->visitors = arena_alloc(visit->arena, h->n * sizeof *visit->visitors);
    if (!visit->txns || !visit->errs || !visit->visitors)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (unsigned i = 0; i < h->n; i++) {
        struct visitor *v = &visit->visitors[i];
        v->session.node = n;
        visit->txns[i] = (struct txn){.run = run_visitor, .arg = v};
        if (!unpack(visit, v, h->txns[i].data, h->txns[i].len, room))
            return err_set(e, ERR_FORMAT, "a transaction that was handed over cannot be read");
    }
    return ERR_OK;
}

static void visit_free(struct visit *visit)
{
    for (unsigned i = 0; visit->visitors && i < visit->handover.n; i++)
        recorder_free(&visit->visitors[i].request.recorder);
    arena_free(visit->arena);
}

enum err_code travel_serve(struct node *n, struct rpc_call *call, struct err *e)
{
    size_t len;
    const char *body = rpc_call_body(call, &len);
    struct buf *answer = rpc_call_answer(call);
    struct database *d = NULL;
    struct visit visit = {.arena = arena_new()};
    if (!visit.arena)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = handover_read(&visit.handover, body, len, e);
    if (code == ERR_OK && !(d = node_find_log(n, visit.handover.subject)))
        code = err_set(e, ERR_NO_DATABASE, "there is no such database here");
    if (code == ERR_OK)
        code = admit(n, &visit, e);
    if (code == ERR_OK)
        code = handover_run(database_replica(d), &visit.handover, visit.txns, visit.errs, e);
    for (unsigned i = 0; code == ERR_OK && i < visit.handover.n; i++)
        if (handover_put(answer, &visit.txns[i], &visit.errs[i]))
            put_result(answer, &visit.visitors[i], &visit.errs[i]);
    if (code == ERR_OK && !buf_ok(answer))
        code = err_set(e, ERR_UNKNOWN_OUTCOME, "the results do not fit into one answer");
    database_unref(d);
    visit_free(&visit);
    return code;
}
