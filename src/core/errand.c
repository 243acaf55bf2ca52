#include "core/errand.h"

#include <stdlib.h>
#include <string.h>

#include "core/order.h"
#include "core/request_impl.h"

struct errand {
    struct session *session;
    struct arena *arena; /* of one order */
    struct recorder recorder;
    struct order order;
    /* what came of it */
    bool homesick;     /* it has asked for something that only its own node has */
    const char *lacks; /* a setting; NULL where it is something that cannot be sent along */
    struct order_answer answer;
};

static const char *known_setting(void *arg, const char *name)
{
    struct errand *x = arg;
    for (size_t i = 0; i < x->order.n_settings; i++)
        if (strcmp(x->order.settings[i].name, name) == 0)
            return x->order.settings[i].value;
    if (!x->homesick)
        x->lacks = arena_strdup(x->arena, name);
    x->homesick = true;
    return NULL;
}

static enum pg_set no_set(void *arg, const char *name, const char *value, bool local)
{
    (void)name;
    (void)value;
    (void)local;
    ((struct errand *)arg)->homesick = true;
    return PG_SET_FIXED;
}

static bool no_database(void *arg, size_t i, char *id, size_t size)
{
    (void)i;
    (void)id;
    (void)size;
    ((struct errand *)arg)->homesick = true;
    return false;
}

enum err_code errand_open(struct errand **out, struct node *n, bool (*gone)(void *arg), void *arg,
                          struct err *e)
{
    *out = NULL;
    struct errand *x = calloc(1, sizeof *x);
    if (x)
        x->arena = arena_new();
    if (!x || !x->arena) {
        free(x);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    if (session_open(&x->session, n, "leader", gone, arg, e) != ERR_OK) {
        errand_close(x);
        return e->code;
    }
    x->session->homesick = &x->homesick;
    recorder_init(&x->recorder, n->opt.max_result_bytes);
    *out = x;
    return ERR_OK;
}

void errand_close(struct errand *x)
{
    if (!x)
        return;
    session_close(x->session);
    recorder_free(&x->recorder);
    arena_free(x->arena);
    free(x);
}

struct session *errand_session(struct errand *x)
{
    return x->session;
}

static bool take_order(struct errand *x, const void *bytes, size_t len)
{
    struct order *o = &x->order;
    size_t most = x->session->node->opt.max_result_bytes;
    arena_reset(x->arena);
    if (!order_get(o, x->arena, bytes, len))
        return false;
    x->recorder.bytes.limit = most > 0 && most < o->limit_bytes ? most : o->limit_bytes;
    o->front.setting = known_setting;
    o->front.set = no_set;
    o->front.database_at = no_database;
    o->front.arg = x;
    return true;
}

/* ---- running one ---- */

static struct request_options options_of(const struct errand *x)
{
    const struct order *o = &x->order;
    return (struct request_options){
        .atomic = o->atomic,
        .local = true,
        .min_seq = o->what == ORDER_WRITE || o->what == ORDER_BEGIN ? o->min_seq : 0,
        .timeout_ns = o->left_ns};
}

static enum err_code run_queries(struct errand *x, const struct query *queries, size_t n,
                                 const struct request_options *opt, struct err *e)
{
    struct request *r = NULL;
    if (request_new(&r, x->session, queries, n, opt, e) != ERR_OK)
        return e->code;
    enum request_status st = request_run(r, &x->recorder.sink, e);
    x->answer.result.failed = request_index(r);
    x->answer.seq = request_seq(r);
    request_free(r);
    if (st == REQUEST_DONE && !buf_ok(&x->recorder.bytes))
        return request_too_big(e);
    return st == REQUEST_DONE ? ERR_OK : e->code;
}

static enum err_code run_text(struct errand *x, const char *sql, const struct request_options *opt,
                              struct err *e)
{
    const struct query q = {.sql = sql, .len = strlen(sql)};
    return run_queries(x, &q, 1, opt, e);
}

/* The write lock is held from here on: what the follower's client has read must be what the file
 * holds now. If the log has gone on without this node knowing it yet, the commit will fail. */
static enum err_code begin(struct errand *x, struct err *e)
{
    struct request_options opt = options_of(x);
    uint64_t base = x->order.base;
    if (run_text(x, "BEGIN IMMEDIATE", &opt, e) != ERR_OK)
        return e->code;
    if (base == UPSTREAM_ANY || replica_position(database_replica(x->session->db)) == base)
        return ERR_OK;
    struct err ignored = ERR_INIT;
    (void)run_text(x, "ROLLBACK", &opt, &ignored);
    return err_set(e, ERR_CONFLICT, "data that the transaction has read was changed; run it again");
}

static enum err_code run_order(struct errand *x, struct err *e)
{
    const struct order *o = &x->order;
    struct request_options opt = options_of(x);
    bool open = session_state(x->session) != SESSION_IDLE;
    bool begins = o->what == ORDER_WRITE || o->what == ORDER_BEGIN;
    if (begins == open)
        return err_set(e, open ? ERR_TX_ACTIVE : ERR_TX_NONE, "the order has come out of turn");
    if (begins && session_use(x->session, o->database, e) != ERR_OK)
        return e->code;
    switch (o->what) {
    case ORDER_BEGIN:
        return begin(x, e);
    case ORDER_WRITE:
    case ORDER_RUN:
        return run_queries(x, o->queries, o->n, &opt, e);
    case ORDER_DESCRIBE:
        return o->n == 1 ? session_describe(x->session, o->queries, &x->recorder.sink,
                                            &x->answer.shape, e)
                         : err_set(e, ERR_FORMAT, "nothing to describe");
    case ORDER_COMMIT:
        return run_text(x, "COMMIT", &opt, e);
    default:
        return err_set(e, ERR_FORMAT, "there is no such order");
    }
}

enum err_code errand_run(struct errand *x, const void *bytes, size_t len, struct buf *answer,
                         bool *more, struct err *e)
{
    struct order_answer *a = &x->answer;
    *more = true;
    if (!take_order(x, bytes, len))
        return err_set(e, ERR_FORMAT, "this is no order of a node");
    if (x->order.what == ORDER_CANCEL)
        return ERR_OK;
    x->homesick = false;
    x->lacks = NULL;
    *a = (struct order_answer){.result.err = ERR_INIT};
    recorder_reset(&x->recorder);
    x->session->last_rowid = x->order.last_rowid;
    session_set_front(x->session, x->order.has_front ? &x->order.front : NULL);
    enum err_code code = run_order(x, &a->result.err);
    /* A statement that only reads was not undone, but what it has answered is void. */
    if (x->homesick && (code == ERR_OK || !x->lacks))
        err_set(&a->result.err, ERR_UNSUPPORTED,
                "the leader runs this statement, and only the node of its session can: it changes "
                "a setting, or lists the databases");
    a->lacks = x->homesick ? x->lacks : NULL;
    a->open = session_state(x->session) == SESSION_IN_TX;
    a->result.last_rowid = x->session->last_rowid;
    order_put_answer(answer, a, &x->recorder.bytes);
    session_set_front(x->session, NULL); /* it ends with the order */
    *more = session_state(x->session) != SESSION_IDLE;
    return buf_ok(answer) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}
