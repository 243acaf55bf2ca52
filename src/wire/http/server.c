/*
 * The server's threads.
 *
 *   http_start, http_port, http_stop, http_free
 *
 * The accept thread starts a thread for each connection; so it is here where their number is
 * limited, and where one turns out to speak HTTP/2, which is gRPC's. It also sweeps transactions
 * that nobody has come back to. It sleeps while there is nothing to do.
 *
 * Stopping:
 *
 *     stopping = true ─▶ accept thread joined, listener closed
 *       ─▶ idle connections shut down, running exchanges end (each closes its connection)
 *       ─▶ deadline: what still runs is cancelled ─▶ every connection has left
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stack.h"
#include "wire/http/exchange.h"

#define REFUSED_SLOTS   32u /* refused connections that are still being told so */
#define REFUSED_NS      CLOCK_S
#define REFUSED_LOOK_MS 100
#define SWEEP_MS        5000 /* while transactions are open */

/* ---- connections ---- */

static void list(struct exchange *x)
{
    struct http_server *s = x->server;

    pthread_mutex_lock(&s->mu);
    x->next = s->first;
    if (x->next)
        x->next->prev = x;
    s->first = x;
    s->connections++;
    pthread_mutex_unlock(&s->mu);
}

/* Also closes the socket: under the mutex, lest http_stop() shuts down another one that has got its
 * number. */
static void unlist(struct exchange *x)
{
    struct http_server *s = x->server;

    pthread_mutex_lock(&s->mu);
    close(x->fd);
    if (x->prev)
        x->prev->next = x->next;
    else
        s->first = x->next;
    if (x->next)
        x->next->prev = x->prev;
    s->connections--;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
}

/* It keeps its place in the list, so that http_stop() waits for it, too, and cuts it when its time
 * is over; but it is not idle in the sense of shut_idle_locked(). */
static void serve_h2(struct exchange *x)
{
    atomic_store(&x->busy, true);
    http_conn_fini(x);
    x->server->h2(x->server->h2_arg, &x->channel);
}

static void serve_h1(struct exchange *x)
{
    node_connection_opened(x->server->node, "http");
    while (http_exchange_run(x))
        ;
    node_connection_closed(x->server->node, "http");
}

static void *connection_run(void *arg)
{
    struct exchange *x = arg;

    switch (http_first(x)) {
    case HTTP_FIRST_H1:
        serve_h1(x);
        break;
    case HTTP_FIRST_H2:
        serve_h2(x);
        break;
    case HTTP_FIRST_NOTHING:
        break;
    }
    channel_fini(&x->channel);
    unlist(x);
    http_exchange_free(x);
    return NULL;
}

/* ---- refusing ---- */

/* Connections that were told "503" and are given a moment to read it: closing at once, with the
 * request still unread, would make the kernel send a reset that may overtake the answer. */
struct lingerers {
    int fd[REFUSED_SLOTS];
    int64_t until[REFUSED_SLOTS];
    unsigned n;
};

static void linger_drop(struct lingerers *l, unsigned i)
{
    close(l->fd[i]);
    l->n--;
    l->fd[i] = l->fd[l->n];
    l->until[i] = l->until[l->n];
}

static void refuse(struct http_server *s, int fd)
{
    struct lingerers *l = s->lingerers;
    static const char body[] =
        "{\"type\":\"urn:ha:error:TOO_MANY\",\"title\":\"too many connections\","
        "\"status\":503,\"code\":\"TOO_MANY\",\"sqlstate\":\"53300\"}\n";
    char answer[512];
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 503 Service Unavailable\r\n"
                     "Content-Type: application/problem+json\r\n"
                     "Retry-After: 1\r\n"
                     "Connection: close\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     sizeof body - 1, body);

    if (!s->tls) /* a handshake would be work for one that is too many */
        (void)send(fd, answer, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    if (l->n == REFUSED_SLOTS)
        linger_drop(l, 0);
    l->fd[l->n] = fd;
    l->until[l->n] = clock_deadline(REFUSED_NS);
    l->n++;
}

/* Reads on and drops those that have closed or had their time. */
static void linger_tend(struct lingerers *l)
{
    char waste[4096];

    for (unsigned i = l->n; i-- > 0;) {
        ssize_t n = recv(l->fd[i], waste, sizeof waste, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN) || clock_mono_ns() > l->until[i])
            linger_drop(l, i);
    }
}

/* ---- accepting ---- */

static void take(void *arg, int fd, const struct sockaddr_storage *addr, socklen_t len)
{
    struct http_server *s = arg;
    struct exchange *x;

    (void)addr;
    (void)len;
    pthread_mutex_lock(&s->mu);
    bool full = s->connections >= s->max_connections;
    pthread_mutex_unlock(&s->mu);
    x = full ? NULL : http_exchange_new(s, fd);
    if (!x) {
        refuse(s, fd);
        return;
    }
    list(x);
    if (stack_start(NULL, connection_run, x) != 0) {
        LOG_ERROR("no thread for a connection");
        unlist(x);
        http_exchange_free(x);
    }
}

static int tend(void *arg)
{
    struct http_server *s = arg;
    unsigned open_txs = http_tx_sweep(s, false);

    linger_tend(s->lingerers);
    return s->lingerers->n > 0 ? REFUSED_LOOK_MS : open_txs > 0 ? SWEEP_MS : -1;
}

/* ---- start and stop ---- */

static void configure(struct http_server *s, struct node *n, const struct http_options *o)
{
    const struct node_options *no = node_options(n);

    s->node = n;
    buf_printf(&s->common, "HA-Node: %s\r\nAccess-Control-Allow-Origin: *\r\n",
               no->name ? no->name : "");
    s->acceptor = ACCEPTOR_INIT;
    s->max_body_bytes = o->max_body_bytes ? o->max_body_bytes : HTTP_DEFAULT_MAX_BODY_BYTES;
    s->max_connections = o->max_connections ? o->max_connections : HTTP_DEFAULT_MAX_CONNECTIONS;
    s->idle_timeout_s = o->idle_timeout_s ? o->idle_timeout_s : HTTP_DEFAULT_IDLE_TIMEOUT_S;
    s->h2 = o->h2;
    s->h2_arg = o->h2_arg;
    token_init(&s->token, no->token);
    pthread_mutex_init(&s->mu, NULL);
    clock_cond_init(&s->changed);
}

static enum err_code start(struct http_server *s, const struct http_options *o, struct err *e)
{
    const struct acceptor_options ao = {.address = o->address,
                                        .port = o->port,
                                        .what = "HTTP",
                                        .flags = SOCK_CLOEXEC,
                                        .take = take,
                                        .tend = tend,
                                        .arg = s};

    s->lingerers = calloc(1, sizeof *s->lingerers);
    if (!s->lingerers || !buf_ok(&s->common))
        return err_set(e, ERR_NO_MEMORY, "no memory for the HTTP server");
    if (http_tls_load(s, o, e) != ERR_OK)
        return e->code;
    return acceptor_start(&s->acceptor, &ao, e);
}

enum err_code http_start(struct http_server **out, struct node *n, const struct http_options *o,
                         struct err *e)
{
    struct http_server *s = calloc(1, sizeof *s);
    enum err_code code;

    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "no memory for the HTTP server");
    configure(s, n, o);
    code = start(s, o, e);
    if (code != ERR_OK) {
        http_free(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

uint16_t http_port(const struct http_server *s)
{
    return s->acceptor.port;
}

/* Connections without an exchange end; the others find `stopping` when theirs is over. */
static void shut_idle_locked(struct http_server *s)
{
    for (struct exchange *x = s->first; x; x = x->next)
        if (!atomic_load(&x->busy))
            (void)shutdown(x->fd, SHUT_RD);
}

static void cancel_locked(struct http_server *s)
{
    for (struct exchange *x = s->first; x; x = x->next) {
        http_exchange_cancel(x);
        (void)shutdown(x->fd, SHUT_RDWR);
    }
}

void http_stop(struct http_server *s, int64_t deadline_ns)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    acceptor_stop(&s->acceptor);
    while (s->lingerers && s->lingerers->n > 0)
        linger_drop(s->lingerers, 0);
    pthread_mutex_lock(&s->mu);
    shut_idle_locked(s);
    while (s->connections > 0 && clock_cond_wait(&s->changed, &s->mu, deadline_ns))
        ;
    cancel_locked(s);
    while (s->connections > 0)
        (void)clock_cond_wait(&s->changed, &s->mu, CLOCK_EVER);
    pthread_mutex_unlock(&s->mu);
    (void)http_tx_sweep(s, true);
}

void http_free(struct http_server *s)
{
    if (!s)
        return;
    http_stop(s, 0);
    acceptor_fini(&s->acceptor);
    free(s->lingerers);
    SSL_CTX_free(s->tls);
    buf_free(&s->common);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mu);
    free(s);
}
