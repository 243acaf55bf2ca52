/*
 * An exchange: libmicrohttpd calls http_access() once when the header is there, once for each piece
 * of the body, and once when all of it is there; http_completed() when the answer is out or the
 * client gone.
 *
 * A request that will be refused (no token, no such path, …) has its body read and thrown away if
 * it is small, so that the connection can stay; otherwise the answer goes out at once and the
 * connection is closed behind it.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "wire/http/exchange.h"

#define LINGER_NS       (10 * CLOCK_S) /* at most, after an early answer */
#define LINGER_PAUSE_MS 2000           /* without a byte */

/* ---- a connection's exchange ---- */

struct exchange *http_exchange_new(struct http_server *s, struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct exchange *x = calloc(1, sizeof *x);

    if (!x || !info) {
        free(x);
        return NULL;
    }
    x->arena = arena_new();
    if (!x->arena) {
        free(x);
        return NULL;
    }
    x->server = s;
    x->mhd = c;
    x->spin = SPIN_INIT;
    x->fd = info->connect_fd;
    buf_init(&x->raw, HTTP_SMALL_BODY_BYTES);
    pthread_mutex_init(&x->mu, NULL);
    return x;
}

void http_exchange_free(struct exchange *x)
{
    if (!x)
        return;
    http_rows_fini(&x->rows);
    buf_free(&x->out);
    buf_free(&x->raw);
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

/* ---- the token ---- */

/* Digests are compared, so that neither length nor content shows in the time it takes. */
static bool token_is(const struct http_server *s, const char *text)
{
    unsigned char digest[SHA256_SIZE];

    sha256(text, strlen(text), digest);
    return CRYPTO_memcmp(digest, s->token, sizeof digest) == 0;
}

static bool authorized(struct exchange *x)
{
    const char *given;

    if (!x->server->has_token)
        return true;
    given = http_header(x, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!given)
        return false;
    if (strncasecmp(given, "Bearer ", 7) == 0 &&
        token_is(x->server, given + 7 + strspn(given + 7, " ")))
        return true;
    return token_is(x->server, given);
}

/* ---- the header ---- */

static void route(struct exchange *x, const char *url, const char *method)
{
    struct http_captures c = {0};
    enum http_method m = http_method_parse(method);

    x->head = strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    x->route = http_route_find(m, url, &c, &x->allowed);
    if (m == HTTP_OPTIONS && x->allowed)
        return;
    if (!(x->route && x->route->open) && !authorized(x)) {
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

/* ---- where the body ends ----
 *
 * A proxy in front that sees the end elsewhere than libmicrohttpd would take a part of the body for
 * the next request, or the other way round. What can be read in two ways is refused (RFC 9112, 6.1
 * and 6.3), and the connection ends with it. */

struct framing {
    const char *length; /* borrowed, digits; NULL = none */
    unsigned lengths, encodings;
    bool odd; /* a header that says neither */
};

static bool is_length(const char *value)
{
    return *value && value[strspn(value, "0123456789")] == '\0';
}

static size_t length_of(const char *digits)
{
    errno = 0;
    unsigned long long n = strtoull(digits, NULL, 10);
    return errno ? SIZE_MAX : (size_t)n;
}

static enum MHD_Result see_header(void *framing, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct framing *f = framing;

    (void)kind;
    if (name[strcspn(name, " \t")] != '\0') { /* "Content-Length :" is another name to some */
        f->odd = true;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        f->lengths++;
        f->length = value;
        f->odd |= !value || !is_length(value);
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        f->encodings++;
        f->odd |= !value || strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

/* *announced: how long the body is to be, SIZE_MAX for an unknown length, 0 for none. Encodings
 * came with HTTP/1.1: who still speaks 1.0 may pass them on and not know them. */
static bool read_framing(struct exchange *x, const char *version, size_t *announced)
{
    struct framing f = {0};

    (void)MHD_get_connection_values(x->mhd, MHD_HEADER_KIND, see_header, &f);
    if (f.encodings > 0 && strcmp(version, MHD_HTTP_VERSION_1_0) == 0)
        f.odd = true;
    if (!f.odd && f.lengths + f.encodings <= 1) {
        *announced = f.length ? length_of(f.length) : f.encodings > 0 ? SIZE_MAX : 0;
        return true;
    }
    err_set(&x->err, ERR_PROTOCOL,
            "a request has one Content-Length, or else Transfer-Encoding: chunked, or no body");
    return false;
}

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
    arena_reset(x->arena);
    buf_reset(&x->out);
    buf_reset(&x->raw);
    x->route = NULL;
    x->allowed = 0;
    x->id = x->name = NULL;
    x->body = NULL;
    x->received = 0;
    x->early = false;
    err_clear(&x->err);
    x->seq = x->position = x->snapshot_seq = 0;
    x->statement = -1;
    x->request = NULL;
    x->tx = NULL;
    x->sent = 0;
    x->ended = x->aborted = false;
}

static enum MHD_Result begin(struct exchange *x, const char *url, const char *method,
                             const char *version)
{
    struct http_server *s = x->server;
    size_t announced;

    reset(x);
    atomic_fetch_add(&s->running, 1);
    atomic_store(&x->busy, true);
    if (!read_framing(x, version, &announced)) {
        x->early = true;
        return http_reply_error(x, &x->err);
    }
    if (atomic_load(&s->stopping)) /* after busy: http_stop() reads them in the other order */
        err_set(&x->err, ERR_SHUTDOWN, "the node is shutting down");
    else
        route(x, url, method);
    x->announced = announced == SIZE_MAX ? 0 : announced;
    if (announced == 0)
        return MHD_YES;
    if (announced != SIZE_MAX && announced > body_limit(x) && x->err.code == ERR_OK)
        body_too_big(x);
    x->early = x->err.code != ERR_OK && announced > HTTP_DRAIN_BYTES;
    return x->early ? http_reply_error(x, &x->err) : MHD_YES;
}

/* ---- the body ---- */

/* The client sends on what nobody wants, and has not said how much of it there is. */
static bool refuse_the_rest(struct exchange *x)
{
    if (x->err.code == ERR_OK)
        body_too_big(x);
    x->early = http_reply_at_once(x, &x->err);
    return false;
}

/* False ends the connection. */
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
        x->body = httpreq_begin(x->arena, x->announced);
    if (!x->body)
        err_set(&x->err, ERR_NO_MEMORY, "no memory for the request's body");
    else
        (void)httpreq_feed(x->body, bytes, n, &x->err);
    return true;
}

/* ---- the whole ---- */

static enum MHD_Result finish(struct exchange *x)
{
    if (x->err.code != ERR_OK)
        return http_reply_error(x, &x->err);
    if (!x->route) /* OPTIONS */
        return http_reply_options(x);
    return x->route->handle(x);
}

enum MHD_Result http_access(void *server, struct MHD_Connection *c, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_size, void **slot)
{
    struct exchange *x = *slot;

    (void)server;
    if (!x) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        x = info ? info->socket_context : NULL;
        if (!x) /* no memory when the connection was made */
            return MHD_NO;
        *slot = x;
        return begin(x, url, method, version);
    }
    if (*upload_size > 0) {
        size_t n = *upload_size;
        *upload_size = 0;
        return body_piece(x, upload, n) ? MHD_YES : MHD_NO;
    }
    return finish(x);
}

/* After an early answer the client may still be sending. Closing now would make the kernel send a
 * reset, which may overtake the answer; so the rest is read, for a while, until the client closes.
 * It learns of the end from ours, which libmicrohttpd has not always shut down yet. */
static void linger(int fd)
{
    int64_t end = clock_deadline(LINGER_NS);
    char waste[16384];
    struct pollfd p = {.fd = fd, .events = POLLIN};

    (void)shutdown(fd, SHUT_WR);
    while (clock_mono_ns() < end && poll(&p, 1, LINGER_PAUSE_MS) > 0) {
        ssize_t n = recv(fd, waste, sizeof waste, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}

void http_completed(void *server, struct MHD_Connection *c, void **slot,
                    enum MHD_RequestTerminationCode why)
{
    struct exchange *x = *slot;
    struct http_server *s = server;

    (void)c;
    if (!x)
        return;
    *slot = NULL;
    http_query_end(x);
    http_download_end(x);
    httpreq_free(x->body);
    x->body = NULL;
    arena_reset(x->arena);
    if (x->early)
        linger(x->fd);
    if (x->out.cap > HTTP_KEEP_BYTES)
        buf_free(&x->out);
    atomic_store(&x->busy, false);
    atomic_fetch_sub(&s->running, 1);
    if (why == MHD_REQUEST_TERMINATED_COMPLETED_OK && !x->early && !atomic_load(&s->stopping))
        spin_on(&x->spin, x->fd);
    if (atomic_load(&s->stopping)) {
        (void)shutdown(x->fd, SHUT_RD); /* no further request */
        pthread_mutex_lock(&s->mu);
        pthread_cond_broadcast(&s->idle);
        pthread_mutex_unlock(&s->mu);
    }
}
