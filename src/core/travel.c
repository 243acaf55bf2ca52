/*
 * A write that another node runs in this one's place (repl/handover.h): packed here, run there by a
 * visitor, its result taken here.
 *
 *     packed   u8 flags · [user, database, u32 pid]
 *              u64 last insert rowid · u64 ns left, 0 = no limit
 *              u32 bytes that its recording may have
 *              u16 n · n × { u32 length, statements · u8 numbered
 *                            u32 parameters × { u8 named, [name], value } }
 *     result   u32 query that failed or ran last
 *              error's name · u32 SQLite's code · u32 offset + 1 · message
 *              u64 last insert rowid · recording (recorder.h)
 *
 * Numbers are big-endian, strings have their NUL, values are as in base/value_pack.h.
 */
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/value_pack.h"
#include "core/request_impl.h"
#include "nats/rpc.h"
#include "repl/handover.h"
#include "sql/pg/session.h"

#define HAS_FRONT    1u /* flags */
#define IS_READ_ONLY 2u
#define IN_RECOVERY  4u

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

static void pack_text(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

static void pack_front(struct buf *b, const struct pg_session *front)
{
    unsigned flags = front ? HAS_FRONT : 0;
    if (front && front->read_only)
        flags |= IS_READ_ONLY;
    if (front && front->in_recovery)
        flags |= IN_RECOVERY;
    buf_u8(b, (uint8_t)flags);
    if (!front)
        return;
    pack_text(b, front->user);
    pack_text(b, front->database);
    buf_be32(b, (uint32_t)front->pid);
}

static void pack_query(struct buf *b, const struct query *q, size_t from, size_t to)
{
    buf_be32(b, (uint32_t)(to - from));
    buf_put(b, q->sql + from, to - from);
    buf_u8(b, q->numbered);
    buf_be32(b, q->n_params);
    for (unsigned i = 0; i < q->n_params && buf_ok(b); i++) {
        buf_u8(b, q->params[i].name != NULL);
        if (q->params[i].name)
            pack_text(b, q->params[i].name);
        value_pack(b, &q->params[i].value);
    }
}

static bool pack(void *arg, struct buf *out)
{
    const struct request *r = arg;
    struct cursor end = r->at;
    if (!extent(r, &end) || end.query - r->at.query >= UINT16_MAX)
        return false;
    pack_front(out, r->s->front);
    buf_be64(out, (uint64_t)r->rowid);
    int64_t left = r->deadline_ns - clock_mono_ns();
    buf_be64(out, r->deadline_ns == CLOCK_EVER ? 0 : left > 0 ? (uint64_t)left : 1);
    size_t limit = r->recorder.bytes.limit;
    buf_be32(out, limit > 0 && limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
    buf_be16(out, (uint16_t)(end.query - r->at.query + 1));
    for (size_t i = r->at.query; i <= end.query; i++)
        pack_query(out, &r->queries[i], i == r->at.query ? r->at.offset : 0,
                   i == end.query ? end.offset : r->queries[i].len);
    return buf_ok(out);
}

/* ---- taking the result ---------------------------------------------------------------------- */

static bool take(void *arg, const void *bytes, size_t len, struct err *result)
{
    struct request *r = arg;
    struct reader in = reader_of(bytes, len);
    uint32_t failed = reader_u32(&in);
    const char *name = reader_cstr(&in);
    result->sqlite_code = (int)reader_u32(&in);
    result->offset = (int)reader_u32(&in) - 1;
    const char *message = reader_cstr(&in);
    uint64_t rowid = reader_u64(&in);
    if (in.bad || failed >= r->n - r->at.query)
        return false;
    r->failed_at = r->at.query + failed;
    if (strcmp(name, err_name(ERR_OK)) != 0) {
        int sqlite_code = result->sqlite_code, offset = result->offset;
        err_set(result, err_of_name(name, strlen(name)), "%s", message);
        result->sqlite_code = sqlite_code;
        result->offset = offset >= 0 && failed == 0 ? offset + (int)r->at.offset : offset;
        return true;
    }
    r->s->last_rowid = (int64_t)rowid;
    return extent(r, &r->reached) && recorder_load(&r->recorder, in.at, (size_t)(in.end - in.at));
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
    unsigned flags = reader_u8(in);
    if (!(flags & HAS_FRONT))
        return;
    v->front = (struct pg_session){.read_only = flags & IS_READ_ONLY,
                                   .in_recovery = flags & IN_RECOVERY,
                                   .setting = no_setting,
                                   .set = no_set,
                                   .database_at = no_database,
                                   .arg = v};
    v->front.user = reader_cstr(in);
    v->front.database = reader_cstr(in);
    v->front.pid = (int32_t)reader_u32(in);
    v->session.front = &v->front;
}

static void unpack_query(struct arena *a, struct query *q, struct reader *in)
{
    q->len = reader_u32(in);
    q->sql = reader_bytes(in, q->len);
    q->numbered = reader_u8(in) != 0;
    q->n_params = reader_u32(in);
    if (q->n_params > (size_t)(in->end - in->at))
        in->bad = true;
    struct param *params = in->bad ? NULL : arena_alloc(a, (q->n_params + 1) * sizeof *params);
    in->bad = !params;
    for (unsigned i = 0; i < q->n_params && !in->bad; i++) {
        params[i].name = reader_u8(in) ? reader_cstr(in) : NULL;
        params[i].value = value_unpack(in);
    }
    q->params = params;
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
    r->n = reader_u16(&in);
    struct query *queries = in.bad ? NULL : arena_alloc(visit->arena, (r->n + 1) * sizeof *queries);
    in.bad = !queries;
    for (size_t i = 0; i < r->n && !in.bad; i++)
        unpack_query(visit->arena, &queries[i], &in);
    r->queries = queries;
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
    buf_be32(&b, (uint32_t)v->request.failed_at);
    pack_text(&b, err_name(e->code));
    buf_be32(&b, (uint32_t)e->sqlite_code);
    buf_be32(&b, (uint32_t)(e->offset + 1));
    pack_text(&b, e->msg);
    buf_be64(&b, (uint64_t)v->session.last_rowid);
    if (e->code == ERR_OK)
        buf_put(&b, v->request.recorder.bytes.data, v->request.recorder.bytes.len);
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
