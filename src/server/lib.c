/*
 * libha: include/ha/ha.h on top of the server and core's sessions.
 *
 *   fail, quiet_*          errors, and the caller's signals
 *   ha_open … ha_close     nodes
 *   ha_session_*           sessions
 *   ha_exec, ha_batch      rows are handed on as they come
 *
 * Cursors are in lib_rows.c.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/node.h"
#include "server/lib_impl.h"
#include "server/server.h"

#define LIB_MAX_SETTINGS 10000
#define LIB_MAX_PARAMS   32766 /* SQLite's own limit */
#define LIB_READY_NAP_NS (2 * CLOCK_MS)

struct ha_node {
    /* immutable after open */
    struct config config;
    struct server *server;
    /* atomic */
    atomic_size_t sessions;
};

/* ---- errors and signals ---------------------------------------------------------------------- */

bool lib_result(struct ha_error *out, const struct err *e)
{
    bool ok = e->code == ERR_OK;

    if (out) {
        out->code = err_name(e->code);
        out->sqlstate = err_sqlstate(e->code);
        out->sqlite_code = e->sqlite_code;
        out->offset = ok ? -1 : e->offset;
        out->retry = !ok && err_is_transient(e->code);
        memcpy(out->message, e->msg, sizeof out->message);
        if (ok)
            out->message[0] = '\0';
    }
    return ok;
}

_Static_assert(HA_MESSAGE_SIZE == ERR_MSG_SIZE, "messages are copied whole");

void lib_quiet_begin(struct lib_quiet *q)
{
    sigset_t pipe;

    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, &q->before);
}

void lib_quiet_end(const struct lib_quiet *q)
{
    const struct timespec now = {0, 0};
    sigset_t pipe;

    if (sigismember(&q->before, SIGPIPE) == 1)
        return;
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    while (sigtimedwait(&pipe, NULL, &now) == SIGPIPE)
        ;
    (void)pthread_sigmask(SIG_SETMASK, &q->before, NULL);
}

/* ---- nodes ----------------------------------------------------------------------------------- */

const char *ha_version(void)
{
    return HA_VERSION;
}

static enum err_code load(struct config *c, const char *const *settings, struct err *e)
{
    size_t n = 0;
    char **argv;
    enum err_code code;

    while (settings && settings[n])
        if (++n > LIB_MAX_SETTINGS)
            return err_set(e, ERR_CONFIG, "more than %d settings: is the NULL at the end missing?",
                           LIB_MAX_SETTINGS);
    argv = calloc(n + 2, sizeof *argv);
    if (!argv)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    argv[0] = (char *)(uintptr_t) "ha"; /* config_load() only reads them */
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = (char *)(uintptr_t)settings[i];
    code = config_load(c, (int)n + 1, argv, NULL, e);
    free(argv);
    if (code != ERR_OK)
        return code;
    if (c->help || c->version || c->help_markdown || c->print_config || c->check_config)
        return err_set(e, ERR_CONFIG,
                       "--help, --version, --print-config and --check-config are for the program");
    if (!config_is_set(c, CONFIG_PORT))
        c->port = 0;
    if (!config_is_set(c, CONFIG_LOG_LEVEL))
        c->log_level = LOG_LEVEL_WARN;
    return config_check(c, e);
}

/* The threads that start here inherit the mask: signals are for the application's own threads. The
 * NATS library ignores SIGPIPE for the whole process when it is first used, which is not its to
 * decide here. */
static enum err_code start(struct ha_node *n, struct err *e)
{
    const struct server_host host = {.gave_up = NULL, .greet = false};
    struct sigaction pipe;
    sigset_t all, before;
    enum err_code code;

    log_configure((enum log_level)n->config.log_level, (enum log_format)n->config.log_format);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)sigaction(SIGPIPE, NULL, &pipe);
    code = server_start(&n->server, &n->config, &host, e);
    (void)sigaction(SIGPIPE, &pipe, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code;
}

bool ha_open(struct ha_node **out, const char *const *settings, struct ha_error *error)
{
    struct err e = ERR_INIT;
    struct ha_node *n = calloc(1, sizeof *n);
    enum err_code code;

    *out = NULL;
    if (!n) {
        err_set(&e, ERR_NO_MEMORY, "out of memory");
        return lib_result(error, &e);
    }
    code = config_init(&n->config, &e);
    if (code == ERR_OK)
        code = load(&n->config, settings, &e);
    if (code == ERR_OK)
        code = start(n, &e);
    if (code != ERR_OK) {
        config_free(&n->config);
        free(n);
        return lib_result(error, &e);
    }
    *out = n;
    return lib_result(error, &e);
}

bool ha_wait_ready(struct ha_node *n, int64_t timeout_ms, struct ha_error *error)
{
    int64_t most = INT64_MAX / CLOCK_MS;
    int64_t deadline = clock_deadline((timeout_ms < most ? timeout_ms : most) * CLOCK_MS);
    struct buf why = BUF_INIT;
    struct err e = ERR_INIT;

    while (!node_ready(server_node(n->server), false, deadline, &why)) {
        if (clock_mono_ns() >= deadline) {
            err_set(&e, ERR_LAGGING, "the node is not ready: %s", buf_cstr(&why));
            break;
        }
        buf_reset(&why);
        clock_nap(LIB_READY_NAP_NS);
    }
    buf_free(&why);
    return lib_result(error, &e);
}

const char *ha_nats_url(const struct ha_node *n)
{
    return server_nats_url(n->server);
}

bool ha_close(struct ha_node *n, struct ha_error *error)
{
    struct err e = ERR_INIT;
    struct lib_quiet q;

    if (!n)
        return lib_result(error, &e);
    if (atomic_load(&n->sessions) > 0) {
        err_set(&e, ERR_BUSY, "%zu sessions of the node are still open", atomic_load(&n->sessions));
        return lib_result(error, &e);
    }
    lib_quiet_begin(&q);
    server_stop(n->server);
    lib_quiet_end(&q);
    config_free(&n->config);
    free(n);
    return lib_result(error, &e);
}

/* ---- sessions -------------------------------------------------------------------------------- */

bool ha_session_open(struct ha_session **out, struct ha_node *n, const char *database,
                     struct ha_error *error)
{
    struct err e = ERR_INIT;
    struct ha_session *s = calloc(1, sizeof *s);
    enum err_code code;

    *out = NULL;
    if (!s) {
        err_set(&e, ERR_NO_MEMORY, "out of memory");
        return lib_result(error, &e);
    }
    code = session_open(&s->core, server_node(n->server), "embedded", NULL, NULL, &e);
    if (code == ERR_OK)
        code = session_use(s->core, database, &e);
    if (code != ERR_OK) {
        session_close(s->core);
        free(s);
        return lib_result(error, &e);
    }
    s->node = n;
    atomic_fetch_add(&n->sessions, 1);
    *out = s;
    return lib_result(error, &e);
}

void ha_session_close(struct ha_session *s)
{
    struct lib_quiet q;

    if (!s)
        return;
    lib_quiet_begin(&q);
    lib_rows_abandon(s->rows);
    session_close(s->core);
    lib_quiet_end(&q);
    atomic_fetch_sub(&s->node->sessions, 1);
    free(s);
}

void ha_session_min_seq(struct ha_session *s, uint64_t seq)
{
    s->min_seq = seq;
}

void ha_session_timeout(struct ha_session *s, int64_t timeout_ms)
{
    int64_t most = INT64_MAX / CLOCK_MS;

    if (timeout_ms < 0)
        timeout_ms = 0;
    s->timeout_ns = (timeout_ms < most ? timeout_ms : most) * CLOCK_MS;
}

bool ha_session_in_transaction(const struct ha_session *s)
{
    return session_state(s->core) != SESSION_IDLE;
}

void ha_session_interrupt(struct ha_session *s)
{
    session_cancel(s->core);
}

/* ---- statements ------------------------------------------------------------------------------ */

struct value lib_value_in(const struct ha_value *v)
{
    switch (v->type) {
    case HA_NULL:
        return value_null();
    case HA_INTEGER:
        return value_int(v->u.i);
    case HA_REAL:
        return value_real(v->u.r);
    case HA_TEXT:
        return value_text(v->u.s.data, v->u.s.len);
    case HA_BLOB:
        return value_blob(v->u.s.data, v->u.s.len);
    }
    return value_null();
}

struct ha_value lib_value_out(const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        return ha_null();
    case VALUE_INTEGER:
        return ha_int(v->u.i);
    case VALUE_REAL:
        return ha_real(v->u.r);
    case VALUE_TEXT:
        return ha_text_n(v->u.s.data, v->u.s.len);
    case VALUE_BLOB:
        return ha_blob(v->u.s.data, v->u.s.len);
    }
    return ha_null();
}

enum err_code lib_params(struct param **out, const struct ha_param *params, size_t n, struct err *e)
{
    struct param *list;

    *out = NULL;
    if (n > LIB_MAX_PARAMS)
        return err_set(e, ERR_PARAM, "more than %d parameters", LIB_MAX_PARAMS);
    if (n == 0)
        return ERR_OK;
    list = calloc(n, sizeof *list);
    if (!list)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        list[i].name = params[i].name;
        list[i].value = lib_value_in(&params[i].value);
    }
    *out = list;
    return ERR_OK;
}

enum err_code lib_request(struct request **out, struct ha_session *s, const struct query *queries,
                          size_t n, bool atomic, struct err *e)
{
    struct request_options o = {
        .atomic = atomic, .min_seq = s->min_seq, .timeout_ns = s->timeout_ns};

    *out = NULL;
    if (s->rows)
        return err_set(e, ERR_BUSY, "a cursor of this session is still open");
    if (s->running)
        return err_set(e, ERR_BUSY,
                       "the session runs something else: a row callback needs its own");
    return request_new(out, s->core, queries, n, &o, e);
}

/* Where rows go straight to the caller's function. */
struct hand_on {
    struct sink sink;
    ha_row_fn *row;
    void *arg;
    struct ha_result *result;
    const char **names;
    struct ha_value *values;
    unsigned n;
    bool enough, no_memory;
};

static void on_columns(struct sink *sink, const struct sink_column *cols, unsigned n)
{
    struct hand_on *h = (struct hand_on *)sink;
    const char **names = realloc(h->names, n * sizeof *names);
    struct ha_value *values;

    if (names)
        h->names = names;
    values = realloc(h->values, n * sizeof *values);
    if (values)
        h->values = values;
    h->no_memory = !names || !values;
    h->n = h->no_memory ? 0 : n;
    for (unsigned i = 0; i < h->n; i++)
        h->names[i] = cols[i].name;
}

static enum sink_verdict on_row(struct sink *sink, const struct value *v, unsigned n)
{
    struct hand_on *h = (struct hand_on *)sink;
    struct ha_row row = {n, h->names, h->values};

    if (h->no_memory || n != h->n)
        return SINK_STOP;
    if (!h->row)
        return SINK_MORE;
    for (unsigned i = 0; i < n; i++)
        h->values[i] = lib_value_out(&v[i]);
    h->enough = !h->row(h->arg, &row);
    return h->enough ? SINK_STOP : SINK_MORE;
}

void lib_count(struct ha_result *result, const struct sink_done *d)
{
    result->rows += d->rows;
    result->rows_affected += d->rows_affected;
    result->last_insert_id = d->last_insert_id;
}

static void on_done(struct sink *sink, const struct sink_done *d)
{
    lib_count(((struct hand_on *)sink)->result, d);
}

static const struct sink_ops hand_on_ops = {on_columns, on_row, on_done};

static enum err_code run(struct ha_session *s, const struct query *queries, size_t n, bool atomic,
                         struct hand_on *h, struct err *e)
{
    struct request *r = NULL;
    struct lib_quiet q;

    if (lib_request(&r, s, queries, n, atomic, e) != ERR_OK)
        return e->code;
    lib_quiet_begin(&q);
    s->running = true;
    while (request_run(r, &h->sink, e) == REQUEST_PAUSED)
        ;
    s->running = false;
    h->result->seq = request_seq(r);
    h->result->position = request_position(r);
    request_free(r);
    lib_quiet_end(&q);
    if (h->enough)
        err_set(e, ERR_INTERRUPTED, "the row callback wanted no more rows");
    else if (h->no_memory)
        err_set(e, ERR_NO_MEMORY, "out of memory");
    return e->code;
}

static bool run_all(struct ha_session *s, const struct ha_statement *statements, size_t n,
                    bool atomic, struct hand_on *h, struct ha_result *result,
                    struct ha_error *error)
{
    struct err e = ERR_INIT;
    struct ha_result own = {0};
    struct query *queries = calloc(n ? n : 1, sizeof *queries);
    enum err_code code = ERR_OK;

    if (!queries) {
        err_set(&e, ERR_NO_MEMORY, "out of memory");
        return lib_result(error, &e);
    }
    h->sink.ops = &hand_on_ops;
    h->result = &own;
    for (size_t i = 0; i < n && code == ERR_OK; i++) {
        struct param *params = NULL;
        const struct ha_statement *st = &statements[i];

        code = st->sql ? lib_params(&params, st->params, st->n_params, &e)
                       : err_set(&e, ERR_PARAM, "statement %zu has no text", i + 1);
        queries[i] = (struct query){.sql = st->sql,
                                    .len = st->sql ? strlen(st->sql) : 0,
                                    .params = params,
                                    .n_params = (unsigned)st->n_params};
    }
    if (code == ERR_OK)
        run(s, queries, n, atomic, h, &e);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)queries[i].params);
    free(queries);
    free(h->names);
    free(h->values);
    h->result = NULL;
    if (result)
        *result = own;
    return lib_result(error, &e);
}

bool ha_exec(struct ha_session *s, const char *sql, const struct ha_param *params, size_t n_params,
             ha_row_fn *row, void *arg, struct ha_result *result, struct ha_error *error)
{
    struct ha_statement one = {sql, params, n_params};
    struct hand_on h = {.row = row, .arg = arg};

    return run_all(s, &one, 1, false, &h, result, error);
}

bool ha_batch(struct ha_session *s, const struct ha_statement *statements, size_t n, ha_row_fn *row,
              void *arg, struct ha_result *result, struct ha_error *error)
{
    struct hand_on h = {.row = row, .arg = arg};

    return run_all(s, statements, n, true, &h, result, error);
}
