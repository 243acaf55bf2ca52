/*
 * An exchange: the header, the body piece by piece, then the answer, and what is left to clean up.
 *
 *     head ──▶ begin ──▶ body… ──▶ finish ──▶ end ──▶ the next one, or the connection's end
 *
 * A request that will be refused (no token, no such path, …) has its body read and thrown away if
 * it is small, so that the connection can stay; otherwise the answer goes out at once and the
 * connection is closed behind it.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "wire/http/exchange.h"

/* ---- a connection's exchange ---- */

struct exchange *http_exchange_new(struct http_server *s, int fd)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (!x)
        return NULL;
    x->server = s;
    x->arena = arena_new();
    buf_init(&x->raw, HTTP_SMALL_BODY_BYTES);
    pthread_mutex_init(&x->mu, NULL);
    if (!http_conn_init(x, fd) || !x->arena) {
        http_exchange_free(x);
        return NULL;
    }
    return x;
}

void http_exchange_free(struct exchange *x)
{
    if (!x)
        return;
    http_rows_fini(&x->rows);
    buf_free(&x->out);
    buf_free(&x->raw);
    buf_free(&x->header);
    http_conn_fini(x);
    arena_free(x->arena);
    pthread_mutex_destroy(&x->mu);
    free(x);
}

bool http_client_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void http_exchange_session(struct exchange *x, struct session *s)
{
    pthread_mutex_lock(&x->mu);
    x->session = s;
    pthread_mutex_unlock(&x->mu);
}

void http_exchange_download(struct exchange *x, struct download *d)
{
    pthread_mutex_lock(&x->mu);
    x->download = d;
    pthread_mutex_unlock(&x->mu);
}

void http_exchange_cancel(struct exchange *x)
{
    pthread_mutex_lock(&x->mu);
    if (x->session)
        session_cancel(x->session);
    if (x->download)
        http_download_cancel(x->download);
    pthread_mutex_unlock(&x->mu);
}

/* ---- the header ---- */

static void route(struct exchange *x)
{
    const char *method = x->request_head.method;
    struct http_captures c = {0};
    enum http_method m = http_method_parse(method);

    x->head = strcmp(method, "HEAD") == 0;
    x->route = http_route_find(m, x->request_head.path, &c, &x->allowed);
    if (m == HTTP_OPTIONS && x->allowed)
        return;
    if (!(x->route && x->route->open) &&
        !token_accepts(&x->server->token, http_header(x, "Authorization"))) {
        err_set(&x->err, ERR_AUTH, "a valid token is needed: Authorization: Bearer <token>");
        return;
    }
    if (!x->allowed) {
        err_set(&x->err, ERR_NOT_FOUND, "there is nothing at this path; see /openapi.yaml");
        return;
    }
    if (!x->route) {
        err_set(&x->err, ERR_METHOD, "this path does not know the method %s", method);
        return;
    }
    if (c.id)
        x->id = http_decode(x, c.id, c.id_len);
    if (c.name && x->err.code == ERR_OK)
        x->name = http_decode(x, c.name, c.name_len);
}

/* ---- the body ---- */

static size_t body_limit(const struct exchange *x)
{
    if (x->err.code != ERR_OK || !x->route || x->route->body == HTTP_BODY_NONE)
        return HTTP_DRAIN_BYTES;
    return x->route->body == HTTP_BODY_SQL ? x->server->max_body_bytes : HTTP_SMALL_BODY_BYTES;
}

static void body_too_big(struct exchange *x)
{
    err_set(&x->err, ERR_TOO_BIG, "the body is larger than %zu bytes", body_limit(x));
}

static void reset(struct exchange *x)
{
    buf_reset(&x->out);
    buf_reset(&x->raw);
    x->head = false;
    x->route = NULL;
    x->allowed = 0;
    x->id = x->name = NULL;
    x->body = NULL;
    x->received = 0;
    x->early = x->last = false;
    err_clear(&x->err);
    x->seq = x->position = x->snapshot_seq = 0;
    x->statement = -1;
    x->request = NULL;
    x->tx = NULL;
    x->sent = 0;
    x->ended = x->aborted = false;
}

/* Decides what becomes of the request. x->early: its body is not to be read. */
static void begin(struct exchange *x)
{
    const struct httphead *h = &x->request_head;
    bool refused;

    if (atomic_load(&x->server->stopping)) /* after busy: http_stop() reads them in reverse */
        err_set(&x->err, ERR_SHUTDOWN, "the node is shutting down");
    else
        route(x);
    if (h->length > body_limit(x) && x->err.code == ERR_OK)
        body_too_big(x);
    refused = x->err.code != ERR_OK;
    x->early = refused && (h->length > HTTP_DRAIN_BYTES || h->expects);
}

/* The client sends on what nobody wants, and has not said how much of it there is. */
static bool refuse_the_rest(struct exchange *x)
{
    if (x->err.code == ERR_OK)
        body_too_big(x);
    return false;
}

/* False: enough, the connection ends with the answer. */
static bool body_piece(struct exchange *x, const char *bytes, size_t n)
{
    x->received += n;
    if (x->received > body_limit(x)) {
        if (x->err.code != ERR_OK || x->route->body == HTTP_BODY_NONE)
            return refuse_the_rest(x);
        body_too_big(x);
        x->received = 0; /* from here on it is drained */
        return true;
    }
    if (x->err.code != ERR_OK || !x->route)
        return true;
    if (x->route->body == HTTP_BODY_SMALL) {
        buf_put(&x->raw, bytes, n);
        return true;
    }
    if (x->route->body == HTTP_BODY_NONE)
        return true;
    if (!x->body)
        x->body = httpreq_begin(x->arena, x->request_head.length);
    if (!x->body)
        err_set(&x->err, ERR_NO_MEMORY, "no memory for the request's body");
    else
        (void)httpreq_feed(x->body, bytes, n, &x->err);
    return true;
}

/* The client waits for leave to send its body, unless it has begun already. */
static bool give_leave(struct exchange *x)
{
    static char leave[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec part = {leave, sizeof leave - 1};

    if (!x->request_head.expects || x->in.at < x->in.end)
        return true;
    if (!x->request_head.chunked && x->request_head.length == 0)
        return true;
    return http_conn_send(x, &part, 1);
}

/* False: no answer is wanted, the client has gone. */
static bool read_body(struct exchange *x)
{
    const char *bytes = NULL;
    size_t n;

    if (!give_leave(x))
        return false;
    for (;;) {
        switch (http_conn_body(x, &bytes, &n)) {
        case HTTP_GOT_NOTHING:
            return false;
        case HTTP_GOT_NONSENSE:
            x->early = true;
            return true;
        case HTTP_GOT_IT:
            break;
        }
        if (n == 0)
            return true;
        if (!body_piece(x, bytes, n)) {
            x->early = true;
            return true;
        }
    }
}

/* ---- the whole ---- */

static bool finish(struct exchange *x)
{
    if (x->err.code != ERR_OK)
        return http_reply_error(x, &x->err);
    if (!x->route) /* OPTIONS */
        return http_reply_options(x);
    return x->route->handle(x);
}

/* False: it has not been answered. */
static bool serve(struct exchange *x, bool head_is_good)
{
    if (head_is_good)
        begin(x);
    else
        x->early = true;
    if (!x->early && !read_body(x))
        return false;
    return finish(x);
}

static void end(struct exchange *x)
{
    http_query_end(x);
    http_download_end(x);
    httpreq_free(x->body);
    x->body = NULL;
    arena_reset(x->arena);
    if (x->out.cap > HTTP_KEEP_BYTES)
        buf_free(&x->out);
}

bool http_exchange_run(struct exchange *x)
{
    enum http_got got;
    bool answered;

    reset(x);
    got = http_conn_head(x);
    if (got == HTTP_GOT_NOTHING)
        return false;
    atomic_store(&x->busy, true);
    answered = serve(x, got == HTTP_GOT_IT);
    end(x);
    if (answered && x->early)
        http_conn_linger(x);
    atomic_store(&x->busy, false);
    return answered && !x->last && !atomic_load(&x->server->stopping);
}
