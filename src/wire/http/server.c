/*
 * The server's threads.
 *
 *   http_start, http_port, http_stop, http_free
 *
 * The accept thread hands sockets to libmicrohttpd, which has a thread for each; so it is here
 * where the number of connections is limited, and later where a socket may turn out to speak
 * HTTP/2. It also sweeps transactions that nobody has come back to. It sleeps while there is
 * nothing to do.
 *
 * Stopping:
 *
 *     stopping = true ─▶ accept thread joined, listener closed
 *       ─▶ idle connections shut down, running exchanges end (each closes its connection)
 *       ─▶ deadline: what still runs is cancelled ─▶ libmicrohttpd joins every connection's thread
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
#define SWEEP_MS        5000               /* while transactions are open */
#define CONN_MEMORY     ((size_t)32 << 10) /* of libmicrohttpd for a connection: its longest header */

/* ---- connections ---- */

static void connection_begins(struct http_server *s, struct MHD_Connection *c, void **context)
{
    struct exchange *x = http_exchange_new(s, c);

    *context = x;
    if (!x) /* http_access() will end it */
        return;
    pthread_mutex_lock(&s->mu);
    x->next = s->first;
    if (x->next)
        x->next->prev = x;
    s->first = x;
    pthread_mutex_unlock(&s->mu);
    node_connection_opened(s->node, "http");
}

static void connection_ends(struct http_server *s, struct exchange *x)
{
    atomic_fetch_sub(&s->connections, 1);
    if (!x)
        return;
    pthread_mutex_lock(&s->mu);
    if (x->prev)
        x->prev->next = x->next;
    else
        s->first = x->next;
    if (x->next)
        x->next->prev = x->prev;
    pthread_mutex_unlock(&s->mu);
    node_connection_closed(s->node, "http");
    http_exchange_free(x);
}

static void on_connection(void *server, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        connection_begins(server, c, context);
    else
        connection_ends(server, *context);
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

static void refuse(struct lingerers *l, int fd)
{
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
    static const int on = 1;
    struct http_server *s = arg;

    if (atomic_load(&s->connections) >= s->max_connections) {
        refuse(s->lingerers, fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    atomic_fetch_add(&s->connections, 1);
    /* On failure libmicrohttpd has closed the socket, and has not told on_connection(). */
    if (MHD_add_connection(s->daemon, fd, (const struct sockaddr *)addr, len) != MHD_YES)
        atomic_fetch_sub(&s->connections, 1);
}

static int tend(void *arg)
{
    struct http_server *s = arg;
    unsigned open_txs = http_tx_sweep(s, false);

    linger_tend(s->lingerers);
    return s->lingerers->n > 0 ? REFUSED_LOOK_MS : open_txs > 0 ? SWEEP_MS : -1;
}

/* ---- libmicrohttpd ---- */

/* Leaves texts as they are: http_decode() does it per part, so that %2F stays within one. */
static size_t unescape(void *arg, struct MHD_Connection *c, char *s)
{
    (void)arg;
    (void)c;
    return strlen(s);
}

static void mhd_log(void *arg, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));

static void mhd_log(void *arg, const char *fmt, va_list args)
{
    char line[ERR_MSG_SIZE];

    (void)arg;
    (void)vsnprintf(line, sizeof line, fmt, args);
    line[strcspn(line, "\n")] = '\0';
    LOG_DEBUG("libmicrohttpd", LOG_STR("text", line));
}

static enum err_code daemon_start(struct http_server *s, struct err *e)
{
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC |
                     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG;

    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, http_access, s,                 /**/
        MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,            /* first: it sees the others */
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,       /**/
        MHD_OPTION_NOTIFY_COMPLETED, http_completed, s,       /**/
        MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,         /**/
        MHD_OPTION_CONNECTION_LIMIT, s->max_connections + 64, /* ours comes first */
        MHD_OPTION_CONNECTION_TIMEOUT, s->idle_timeout_s,     /**/
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONN_MEMORY,      /**/
        MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES, MHD_OPTION_END);
    if (!s->daemon)
        return err_set(e, ERR_INTERNAL, "libmicrohttpd does not start");
    return ERR_OK;
}

/* ---- start and stop ---- */

static void configure(struct http_server *s, struct node *n, const struct http_options *o)
{
    const struct node_options *no = node_options(n);

    s->node = n;
    s->node_name = no->name ? no->name : "";
    s->acceptor = ACCEPTOR_INIT;
    s->max_body_bytes = o->max_body_bytes ? o->max_body_bytes : HTTP_DEFAULT_MAX_BODY_BYTES;
    s->max_connections = o->max_connections ? o->max_connections : HTTP_DEFAULT_MAX_CONNECTIONS;
    s->idle_timeout_s = o->idle_timeout_s ? o->idle_timeout_s : HTTP_DEFAULT_IDLE_TIMEOUT_S;
    s->has_token = no->token && *no->token;
    if (s->has_token)
        sha256(no->token, strlen(no->token), s->token);
    pthread_mutex_init(&s->mu, NULL);
    clock_cond_init(&s->idle);
}

static enum err_code start(struct http_server *s, const struct http_options *o, struct err *e)
{
    const struct acceptor_options ao = {.address = o->address,
                                        .port = o->port,
                                        .what = "HTTP",
                                        .flags = SOCK_CLOEXEC | SOCK_NONBLOCK,
                                        .take = take,
                                        .tend = tend,
                                        .arg = s};

    s->lingerers = calloc(1, sizeof *s->lingerers);
    if (!s->lingerers)
        return err_set(e, ERR_NO_MEMORY, "no memory for the HTTP server");
    if (daemon_start(s, e) != ERR_OK)
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

static void cancel_running(struct http_server *s)
{
    pthread_mutex_lock(&s->mu);
    for (struct exchange *x = s->first; x; x = x->next) {
        http_exchange_cancel(x);
        (void)shutdown(x->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->mu);
}

void http_stop(struct http_server *s, int64_t deadline_ns)
{
    bool in_time = true;

    if (!s)
        return;
    atomic_store(&s->stopping, true);
    acceptor_stop(&s->acceptor);
    while (s->lingerers && s->lingerers->n > 0)
        linger_drop(s->lingerers, 0);
    if (!s->daemon)
        return;
    pthread_mutex_lock(&s->mu);
    shut_idle_locked(s);
    while (atomic_load(&s->running) > 0 && in_time)
        in_time = clock_cond_wait(&s->idle, &s->mu, deadline_ns);
    pthread_mutex_unlock(&s->mu);
    if (!in_time)
        cancel_running(s);
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    (void)http_tx_sweep(s, true);
}

void http_free(struct http_server *s)
{
    if (!s)
        return;
    http_stop(s, 0);
    acceptor_fini(&s->acceptor);
    free(s->lingerers);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->mu);
    free(s);
}
