/*
 * SQL over HTTP.
 *
 * The request runs until it is done or its result fills the buffer. Done: the answer is one buffer
 * with its length. Full (reads only): the status line goes out, and from then on the request runs
 * on whenever the client has taken some, a buffer at a time. What goes wrong before the status line
 * is an error answer; afterwards NDJSON has a line for it, and for the other formats the connection
 * breaks off, so that nobody takes half a result for a whole.
 *
 *     http_query ── run ──┬── DONE ───▶ close session ──▶ http_reply
 *                         ├── FAILED ─▶ close session ──▶ http_reply_error
 *                         └── PAUSED ─▶ http_reply_stream ──▶ more… ──▶ http_query_end
 */
#include <stdio.h>
#include <string.h>

#include "wire/http/exchange.h"

#define PROTOCOL "http"

static const char *const content_types[] = {
    [HTTP_JSON] = "application/json",
    [HTTP_NDJSON] = "application/x-ndjson",
    [HTTP_CSV] = "text/csv; charset=utf-8",
};

/* ---- what is asked for ---- */

/* The first format of Accept that is known here; weights are not looked at. */
static enum http_format accepted_format(const char *accept)
{
    const char *ndjson = accept ? strstr(accept, "ndjson") : NULL;
    const char *csv = accept ? strstr(accept, "text/csv") : NULL;
    const char *json = accept ? strstr(accept, "application/json") : NULL;

    if (ndjson && (!csv || ndjson < csv) && (!json || ndjson < json))
        return HTTP_NDJSON;
    if (csv && (!json || csv < json))
        return HTTP_CSV;
    return HTTP_JSON;
}

static enum err_code rows_options(struct exchange *x, struct http_rows_options *o, struct err *e)
{
    const char *accept = http_header(x, "Accept");

    *o = (struct http_rows_options){
        .format = accepted_format(accept),
        .max_row_bytes = node_options(x->server->node)->max_result_bytes,
    };
    if (http_arg_bool(x, "associative", &o->associative, e) != ERR_OK)
        return e->code;
    if (http_arg_bool(x, "details", &o->details, e) != ERR_OK)
        return e->code;
    if (accept && strstr(accept, "details=true"))
        o->details = true;
    return ERR_OK;
}

/* The parser's structs as the session's: pointers only. */
static struct query *queries_convert(struct exchange *x, const struct httpreq_body *body)
{
    struct query *out = arena_alloc(x->arena, body->n * sizeof *out);

    for (size_t i = 0; out && i < body->n; i++) {
        const struct httpreq_query *q = &body->queries[i];
        struct param *params = NULL;

        if (q->n_params > 0) {
            params = arena_alloc(x->arena, q->n_params * sizeof *params);
            if (!params)
                return NULL;
        }
        for (unsigned j = 0; j < q->n_params; j++)
            params[j] = (struct param){q->params[j].name, q->params[j].value};
        out[i] =
            (struct query){.sql = q->sql, .len = q->len, .params = params, .n_params = q->n_params};
    }
    return out;
}

/* ---- the session ---- */

static bool gone(void *arg)
{
    const struct exchange *x = arg;

    return http_client_gone(x->fd);
}

/* A session for this exchange, or the one of the transaction that it names. */
static enum err_code session_get(struct exchange *x, struct session **out, struct err *e)
{
    const char *token = http_header(x, "HA-Transaction");

    if (token) {
        if (http_tx_take(x, token, &x->tx, e) != ERR_OK)
            return e->code;
        *out = http_tx_session(x->tx);
        if (x->id && strcmp(x->id, session_database(*out)) != 0)
            return err_set(e, ERR_PARAM, "the transaction is one of database %s",
                           session_database(*out));
        return ERR_OK;
    }
    if (session_open(out, x->server->node, PROTOCOL, gone, x, e) != ERR_OK)
        return e->code;
    http_exchange_session(x, *out);
    return x->id ? session_use(*out, x->id, e) : ERR_OK;
}

void http_query_end(struct exchange *x)
{
    struct session *s = x->session;

    request_free(x->request);
    x->request = NULL;
    if (s)
        http_exchange_session(x, NULL);
    if (x->tx)
        http_tx_give(x, x->tx, false);
    else
        session_close(s);
    x->tx = NULL;
}

/* An exchange's own session must not end inside a transaction: closing it rolls back, and what was
 * answered to the client would not be true. */
static enum err_code left_open(struct exchange *x, struct err *e)
{
    if (x->tx || session_state(x->session) == SESSION_IDLE)
        return ERR_OK;
    return err_set(e, ERR_TX_ACTIVE,
                   "the request left its transaction open, so it was rolled back: end it in the "
                   "same request, or use POST /transactions");
}

/* ---- running ---- */

/* Runs until done, failed or paused; numbers for the headers on the way. */
static enum request_status run(struct exchange *x, struct err *e)
{
    enum request_status status = request_run(x->request, &x->rows.sink, e);

    if (status == REQUEST_FAILED) {
        x->statement = (long)request_index(x->request);
        return status;
    }
    x->seq = status == REQUEST_DONE ? request_seq(x->request) : 0;
    x->position = request_position(x->request);
    if (status == REQUEST_DONE && left_open(x, e) != ERR_OK)
        return REQUEST_FAILED;
    return status;
}

/* May statements follow the one in which the request paused? */
static bool more_statements(const struct httpreq_body *body)
{
    return body->array || http_rows_is_several(body->queries[0].sql, body->queries[0].len);
}

static bool fail(struct exchange *x, const struct err *e)
{
    x->seq = x->position = 0;
    http_query_end(x);
    return http_reply_error(x, e);
}

/* The stream goes on where the client has taken everything. */
static void stream_more(struct exchange *x)
{
    struct err e = ERR_INIT;

    buf_reset(&x->out);
    x->sent = 0;
    switch (run(x, &e)) {
    case REQUEST_PAUSED:
        break;
    case REQUEST_DONE:
        http_rows_end(&x->rows);
        x->ended = true;
        break;
    case REQUEST_FAILED:
        x->ended = true;
        if (x->rows.opt.format != HTTP_NDJSON) {
            x->aborted = true;
            break;
        }
        buf_puts(&x->out, "{\"error\":");
        http_problem_put(x, &x->out, &e);
        buf_puts(&x->out, "}\n");
        break;
    }
    if (!buf_ok(&x->out))
        x->aborted = x->ended = true;
    if (x->ended)
        http_query_end(x); /* the snapshot is held no longer than needed */
}

static bool stream_next(struct exchange *x, const char **bytes, size_t *n)
{
    while (x->sent >= x->out.len && !x->aborted && !x->ended)
        stream_more(x);
    if (x->aborted) /* what came before the error is of no use */
        return false;
    *bytes = x->out.data + x->sent;
    *n = x->out.len - x->sent;
    x->sent = x->out.len;
    return true;
}

static bool run_first(struct exchange *x, const struct httpreq_body *body)
{
    const char *type = content_types[x->rows.opt.format];
    struct err e = ERR_INIT;
    size_t skip;

    switch (run(x, &e)) {
    case REQUEST_FAILED:
        return fail(x, &e);
    case REQUEST_PAUSED:
        if (!buf_ok(&x->out)) {
            err_set(&e, ERR_NO_MEMORY, "no memory for the result");
            return fail(x, &e);
        }
        x->sent = http_rows_decide(&x->rows, more_statements(body));
        return http_reply_stream(x, type, NULL, stream_next);
    case REQUEST_DONE:
        break;
    }
    http_query_end(x);
    skip = http_rows_decide(&x->rows, false);
    http_rows_end(&x->rows);
    return http_reply(x, 200, type, skip);
}

bool http_query(struct exchange *x)
{
    struct http_rows_options rows;
    struct request_options options;
    struct httpreq_body body;
    struct query *queries;
    struct session *s = NULL;
    struct err e = ERR_INIT;

    if (!x->body) {
        err_set(&e, ERR_PROTOCOL, "the body is empty");
        return http_reply_error(x, &e);
    }
    if (http_request_options(x, &options, &e) != ERR_OK || rows_options(x, &rows, &e) != ERR_OK ||
        httpreq_end(x->body, &body, &e) != ERR_OK)
        return http_reply_error(x, &e);
    queries = queries_convert(x, &body);
    if (!queries) {
        err_set(&e, ERR_NO_MEMORY, "no memory for the request");
        return http_reply_error(x, &e);
    }
    rows.array = body.array;
    options.atomic = body.array;
    if (session_get(x, &s, &e) != ERR_OK)
        return fail(x, &e);
    if (request_new(&x->request, s, queries, body.n, &options, &e) != ERR_OK)
        return fail(x, &e);
    http_rows_begin(&x->rows, &rows, &x->out);
    return run_first(x, &body);
}

/* ---- fixed statements ---- */

enum err_code http_run_text(struct session *s, const char *sql, uint64_t *seq, struct err *e)
{
    struct query q = {.sql = sql, .len = strlen(sql)};
    struct request_options options = {0};
    struct request *r = NULL;
    enum request_status status;

    if (request_new(&r, s, &q, 1, &options, e) != ERR_OK)
        return e->code;
    do
        status = request_run(r, &sink_nowhere, e);
    while (status == REQUEST_PAUSED);
    *seq = status == REQUEST_DONE ? request_seq(r) : 0;
    request_free(r);
    return status == REQUEST_DONE ? ERR_OK : e->code;
}
