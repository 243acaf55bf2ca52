#include "core/errand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/request_impl.h"

#define VERSION 1u

/* ---- the follower ---- */

static void put_settings(struct buf *b, const struct pg_session *front,
                         const struct errand_settings *known)
{
    unsigned n = known && front && front->setting ? known->n : 0;
    buf_be16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        const char *value = front->setting(front->arg, known->names[i]);
        parcel_put_text(b, known->names[i]);
        buf_u8(b, value != NULL);
        if (value)
            parcel_put_text(b, value);
    }
}

void errand_put_order(struct buf *b, enum errand_order what, const struct upstream_call *c,
                      uint64_t base, size_t limit_bytes, const struct errand_settings *known)
{
    int64_t left = c->deadline_ns - clock_mono_ns();
    buf_u8(b, VERSION);
    buf_u8(b, (uint8_t)what);
    parcel_put_text(b, c->database);
    buf_be64(b, base);
    buf_be64(b, c->deadline_ns == CLOCK_EVER ? 0 : left > 0 ? (uint64_t)left : 1);
    buf_be64(b, (uint64_t)c->last_rowid);
    buf_be32(b, limit_bytes > 0 && limit_bytes < UINT32_MAX ? (uint32_t)limit_bytes : UINT32_MAX);
    buf_u8(b, c->atomic);
    put_settings(b, c->front, known);
    parcel_put_front(b, c->front);
    parcel_put_queries(b, c->queries, c->n);
}

enum err_code errand_get_answer(const void *bytes, size_t len, struct errand_answer *out,
                                struct err *e)
{
    struct reader in = reader_of(bytes, len);
    *out = (struct errand_answer){.open = reader_u8(&in) != 0, .seq = reader_u64(&in)};
    out->shape.empty = reader_u8(&in) != 0;
    out->shape.reads = reader_u8(&in) != 0;
    out->shape.n_params = reader_u32(&in);
    out->lacks = reader_u8(&in) ? reader_cstr(&in) : NULL;
    return parcel_get_result(&in, &out->result)
               ? ERR_OK
               : err_set(e, ERR_FORMAT, "the leader's answer cannot be read");
}

bool errand_add_setting(struct errand_settings *s, const char *name)
{
    for (unsigned i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0)
            return false;
    if (s->n == ERRAND_SETTINGS_MAX || strlen(name) >= sizeof s->names[0])
        return false;
    snprintf(s->names[s->n++], sizeof s->names[0], "%s", name);
    return true;
}

/* ---- the leader ---- */

struct setting {
    const char *name, *value; /* NULL: it has none */
};

struct errand {
    struct session *session;
    struct arena *arena; /* of one order */
    struct recorder recorder;
    struct pg_session front;
    /* of one order; strings borrowed from it */
    enum errand_order what;
    const char *database;
    uint64_t base;
    int64_t left_ns;
    int64_t last_rowid;
    bool atomic, has_front;
    struct setting *settings;
    size_t n_settings;
    struct query *queries;
    size_t n;
    /* what came of it */
    bool homesick;
    const char *lacks; /* a setting; NULL where it is something that cannot be sent along */
    uint64_t seq;
    size_t failed;
    struct session_shape shape;
};

static const char *known_setting(void *arg, const char *name)
{
    struct errand *x = arg;
    for (size_t i = 0; i < x->n_settings; i++)
        if (strcmp(x->settings[i].name, name) == 0)
            return x->settings[i].value;
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

/* ---- reading an order ---- */

static void read_settings(struct errand *x, struct reader *in)
{
    x->n_settings = reader_u16(in);
    x->settings = arena_alloc(x->arena, (x->n_settings + 1) * sizeof *x->settings);
    in->bad = in->bad || !x->settings;
    for (size_t i = 0; i < x->n_settings && !in->bad; i++) {
        x->settings[i].name = reader_cstr(in);
        x->settings[i].value = reader_u8(in) ? reader_cstr(in) : NULL;
    }
    if (in->bad)
        x->n_settings = 0;
}

static bool read_order(struct errand *x, const void *bytes, size_t len)
{
    struct reader in = reader_of(bytes, len);
    size_t most = x->session->node->opt.max_result_bytes;
    arena_reset(x->arena);
    bool known = reader_u8(&in) == VERSION;
    x->what = (enum errand_order)reader_u8(&in);
    x->database = reader_cstr(&in);
    x->base = reader_u64(&in);
    uint64_t left = reader_u64(&in);
    x->left_ns = left < (uint64_t)INT64_MAX ? (int64_t)left : INT64_MAX;
    x->last_rowid = (int64_t)reader_u64(&in);
    size_t limit = reader_u32(&in);
    x->recorder.bytes.limit = most > 0 && most < limit ? most : limit;
    x->atomic = reader_u8(&in) != 0;
    read_settings(x, &in);
    x->has_front = parcel_get_front(&in, &x->front);
    x->front.setting = known_setting;
    x->front.set = no_set;
    x->front.database_at = no_database;
    x->front.arg = x;
    x->queries = parcel_get_queries(&in, x->arena, &x->n);
    return known && reader_done(&in);
}

/* ---- running one ---- */

static struct request_options options_of(const struct errand *x)
{
    return (struct request_options){.atomic = x->atomic, .local = true, .timeout_ns = x->left_ns};
}

static enum err_code run_queries(struct errand *x, const struct query *queries, size_t n,
                                 const struct request_options *opt, struct err *e)
{
    struct request *r = NULL;
    if (request_new(&r, x->session, queries, n, opt, e) != ERR_OK)
        return e->code;
    enum request_status st = request_run(r, &x->recorder.sink, e);
    x->failed = request_index(r);
    x->seq = request_seq(r);
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
    if (x->base != UPSTREAM_ANY)
        opt.min_seq = x->base;
    if (run_text(x, "BEGIN IMMEDIATE", &opt, e) != ERR_OK)
        return e->code;
    if (x->base == UPSTREAM_ANY || replica_position(database_replica(x->session->db)) == x->base)
        return ERR_OK;
    struct err ignored = ERR_INIT;
    (void)run_text(x, "ROLLBACK", &opt, &ignored);
    return err_set(e, ERR_CONFLICT, "data that the transaction has read was changed; run it again");
}

static enum err_code run_order(struct errand *x, struct err *e)
{
    struct request_options opt = options_of(x);
    bool open = session_state(x->session) != SESSION_IDLE;
    bool begins = x->what == ERRAND_WRITE || x->what == ERRAND_BEGIN;
    if (begins == open)
        return err_set(e, open ? ERR_TX_ACTIVE : ERR_TX_NONE, "the order has come out of turn");
    if (begins && session_use(x->session, x->database, e) != ERR_OK)
        return e->code;
    switch (x->what) {
    case ERRAND_BEGIN:
        return begin(x, e);
    case ERRAND_WRITE:
    case ERRAND_RUN:
        return run_queries(x, x->queries, x->n, &opt, e);
    case ERRAND_DESCRIBE:
        return x->n == 1 ? session_describe(x->session, x->queries, &x->recorder.sink, &x->shape, e)
                         : err_set(e, ERR_FORMAT, "nothing to describe");
    case ERRAND_COMMIT:
        return run_text(x, "COMMIT", &opt, e);
    default:
        return err_set(e, ERR_FORMAT, "there is no such order");
    }
}

static void put_answer(struct buf *b, const struct errand *x, const struct err *e)
{
    buf_u8(b, session_state(x->session) == SESSION_IN_TX);
    buf_be64(b, x->seq);
    buf_u8(b, x->shape.empty);
    buf_u8(b, x->shape.reads);
    buf_be32(b, x->shape.n_params);
    buf_u8(b, x->homesick && x->lacks);
    if (x->homesick && x->lacks)
        parcel_put_text(b, x->lacks);
    parcel_put_result(b, x->failed, e, x->session->last_rowid, &x->recorder.bytes);
}

enum err_code errand_run(struct errand *x, const void *bytes, size_t len, struct buf *answer,
                         bool *more, struct err *e)
{
    struct err result = ERR_INIT;
    *more = true;
    if (!read_order(x, bytes, len))
        return err_set(e, ERR_FORMAT, "this is no order of a node");
    if (x->what == ERRAND_CANCEL)
        return ERR_OK;
    x->homesick = false;
    x->lacks = NULL;
    x->seq = 0;
    x->failed = 0;
    x->shape = (struct session_shape){.empty = false};
    recorder_reset(&x->recorder);
    x->session->last_rowid = x->last_rowid;
    session_set_front(x->session, x->has_front ? &x->front : NULL);
    enum err_code code = run_order(x, &result);
    /* A statement that was read was not undone, but what it has answered is void. */
    if (x->homesick && (code == ERR_OK || !x->lacks))
        err_set(&result, ERR_UNSUPPORTED,
                "the leader runs this statement, and only the node of its session can: it changes "
                "a setting, or lists the databases");
    put_answer(answer, x, &result);
    *more = session_state(x->session) != SESSION_IDLE;
    return buf_ok(answer) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}
