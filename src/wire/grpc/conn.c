/*
 * A connection: its socket, nghttp2's session, and how long it may be silent.
 *
 *   grpc_conn_init, grpc_conn_run, grpc_conn_fini     its thread
 *   grpc_conn_flush_locked                            whoever has put something into a queue
 *   grpc_conn_quit, grpc_conn_wake                    any thread
 *
 *     greeting ──SETTINGS──► open ──GOAWAY said──► no calls left ──► over
 *        │ 5 s                 │ silent for a minute: a ping, and 20 s for its answer
 *        └─────────────────────┴──► dead: every call is told, and waited for ──► over
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire/grpc/conn.h"

#define IN_BYTES     ((size_t)64 << 10) /* at most, with one recv() */
#define OUT_BYTES    ((size_t)64 << 10) /* taken from nghttp2 before they are sent */
#define OUT_KEEP     ((size_t)96 << 10) /* of memory, where nothing is to be sent */
#define CONN_WINDOW  (4 << 20)          /* bytes; a stream's own window is what holds it back */
#define FRAME_BYTES  16384u             /* HTTP/2's least, which all clients take */
#define GREETING_NS  (5 * CLOCK_S)
#define SILENCE_NS   (60 * CLOCK_S)
#define LOOK_NS      (5 * CLOCK_S) /* between two looks for stalled calls, at least */
#define PING_NS      (20 * CLOCK_S)
#define LINGER_NS    (2 * CLOCK_S)
#define LINGER_BYTES ((size_t)1 << 20)
#define LINGER_MS    500              /* without a byte */
#define IDLE_NS      (1800 * CLOCK_S) /* without a call: the client may come again */

bool grpc_conn_init(struct grpc_conn *c, struct grpc_server *s, struct channel *channel)
{
    int fd = channel->fd;
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_HEADERS_BYTES},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_BYTES},
    };
    static const int on = 1;

    *c = (struct grpc_conn){.server = s, .fd = fd, .channel = channel, .heard_ns = clock_mono_ns()};
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake < 0)
        return false;
    if (nghttp2_session_server_new2(&c->session, s->callbacks, c, s->options) != 0) {
        close(c->wake);
        return false;
    }
    pthread_mutex_init(&c->mu, NULL);
    clock_cond_init(&c->left);
    c->dead =
        nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof settings / sizeof *settings) != 0 ||
        nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW) != 0;
    return true;
}

void grpc_conn_fini(struct grpc_conn *c)
{
    nghttp2_session_del(c->session);
    buf_free(&c->out);
    close(c->wake);
    pthread_cond_destroy(&c->left);
    pthread_mutex_destroy(&c->mu);
}

void grpc_conn_wake(struct grpc_conn *c)
{
    (void)eventfd_write(c->wake, 1);
}

/* ---- out ---- */

/* Frames from nghttp2 until there are enough for one send(). */
static void fill(struct grpc_conn *c)
{
    buf_reset(&c->out);
    c->sent = 0;
    while (c->out.len < OUT_BYTES) {
        const uint8_t *bytes = NULL;
        ssize_t n = nghttp2_session_mem_send(c->session, &bytes);
        if (n < 0)
            c->dead = true;
        if (n <= 0)
            break;
        buf_put(&c->out, bytes, (size_t)n);
    }
    if (!buf_ok(&c->out))
        c->dead = true;
    if (c->out.len == 0 && c->out.cap > OUT_KEEP)
        buf_free(&c->out);
}

void grpc_conn_flush_locked(struct grpc_conn *c)
{
    bool was_blocked = c->blocked;

    c->blocked = false;
    while (!c->dead) {
        if (c->sent == c->out.len)
            fill(c);
        if (c->dead || c->sent == c->out.len)
            break;
        ssize_t n = channel_send(c->channel, c->out.data + c->sent, c->out.len - c->sent);
        if (n > 0) {
            c->sent += (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            c->blocked = true;
            break;
        } else if (n == 0 || errno != EINTR) {
            c->dead = true;
        }
    }
    if (c->dead || c->blocked != was_blocked)
        grpc_conn_wake(c);
}

void grpc_conn_say_goodbye_locked(struct grpc_conn *c)
{
    if (c->told)
        return;
    c->told = true;
    (void)nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
                                nghttp2_session_get_last_proc_stream_id(c->session),
                                NGHTTP2_NO_ERROR, NULL, 0);
}

void grpc_conn_quit(struct grpc_conn *c)
{
    pthread_mutex_lock(&c->mu);
    grpc_conn_say_goodbye_locked(c);
    for (struct grpc_call *call = c->calls; call; call = call->next)
        pthread_cond_broadcast(&call->changed);
    grpc_conn_flush_locked(c);
    pthread_mutex_unlock(&c->mu);
    grpc_conn_wake(c);
}

/* ---- in ---- */

static void take_in(struct grpc_conn *c, const uint8_t *bytes, size_t n)
{
    pthread_mutex_lock(&c->mu);
    ssize_t taken = nghttp2_session_mem_recv(c->session, bytes, n);
    grpc_conn_flush_locked(c); /* GOAWAY, too, where it has not liked them */
    if (taken < 0) {
        LOG_DEBUG("a gRPC connection ends", LOG_STR("error", nghttp2_strerror((int)taken)));
        c->dead = true;
    }
    pthread_mutex_unlock(&c->mu);
    c->heard_ns = clock_mono_ns();
    c->asked_ns = 0;
}

/* False: there is nothing more to come. */
static bool receive(struct grpc_conn *c, uint8_t *bytes)
{
    bool tls = c->channel->ssl, more;
    ssize_t n;

    do {
        if (tls) /* others send through it */
            pthread_mutex_lock(&c->mu);
        n = channel_recv(c->channel, bytes, IN_BYTES, false);
        int why = errno;
        more = channel_has_more(c->channel);
        if (tls)
            pthread_mutex_unlock(&c->mu);
        errno = why;
        if (n > 0)
            take_in(c, bytes, (size_t)n);
    } while (n > 0 && more);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

/* ---- how long it may be silent ---- */

/* A call that has ended, and whose client does not take what is left of its answer. */
static void end_stalled_locked(struct grpc_conn *c, int64_t now)
{
    if (now - c->looked_ns < grpc_patience(LOOK_NS))
        return;
    c->looked_ns = now;
    for (struct grpc_call *call = c->calls; call; call = call->next)
        if (call->out_end && !call->closed && now - call->ended_ns > grpc_patience(GRPC_STALL_NS))
            (void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, call->stream,
                                            NGHTTP2_CANCEL);
}

/* Looks after it, and says when it is to be looked after again. The mutex is held. */
static int64_t tend_locked(struct grpc_conn *c)
{
    int64_t now = clock_mono_ns();
    int64_t silence = grpc_patience(SILENCE_NS), ping = grpc_patience(PING_NS);

    end_stalled_locked(c, now);
    if (!c->greeted) {
        c->dead |= now - c->heard_ns > GREETING_NS;
        return c->heard_ns + GREETING_NS;
    }
    if (c->asked_ns != 0) {
        c->dead |= now - c->asked_ns > ping;
        return c->asked_ns + ping;
    }
    if (now - c->heard_ns > silence && c->n_calls > 0) {
        c->asked_ns = now;
        (void)nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL);
        return now + ping;
    }
    if (c->n_calls > 0)
        return c->heard_ns + silence;
    if (now - c->heard_ns > IDLE_NS)
        grpc_conn_say_goodbye_locked(c);
    return c->heard_ns + IDLE_NS;
}

/* What poll() is to wait for; false: it is over. */
static bool prepare(struct grpc_conn *c, struct pollfd p[2], int *wait_ms)
{
    pthread_mutex_lock(&c->mu);
    int64_t until = tend_locked(c);
    if (atomic_load(&c->server->stopping))
        grpc_conn_say_goodbye_locked(c);
    grpc_conn_flush_locked(c);
    bool idle = c->n_calls == 0 && c->sent == c->out.len;
    bool over = c->dead || (idle && c->told) ||
                (!nghttp2_session_want_read(c->session) && c->sent == c->out.len &&
                 !nghttp2_session_want_write(c->session));
    p[0] = (struct pollfd){.fd = c->fd, .events = POLLIN};
    if (c->blocked)
        p[0].events |= POLLOUT;
    p[1] = (struct pollfd){.fd = c->wake, .events = POLLIN};
    pthread_mutex_unlock(&c->mu);
    int64_t left = until - clock_mono_ns();
    *wait_ms = left <= 0 ? 1 : (int)(left / CLOCK_MS) + 1;
    return !over;
}

/* Everything that runs is told, and waited for: it uses the connection. */
static void end(struct grpc_conn *c)
{
    pthread_mutex_lock(&c->mu);
    c->dead = true;
    for (struct grpc_call *call = c->calls; call; call = call->next)
        grpc_call_leave_locked(call);
    while (c->n_running > 0)
        (void)clock_cond_wait(&c->left, &c->mu, CLOCK_EVER);
    while (c->calls)
        grpc_call_free_locked(c->calls);
    pthread_mutex_unlock(&c->mu);
}

/* The client may still be sending. Closing now would make the kernel send a reset, which may
 * overtake what was sent last; so what comes is thrown away until the client closes. */
static void linger(struct grpc_conn *c, uint8_t *bytes)
{
    int64_t until = clock_deadline(LINGER_NS);
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    size_t left = LINGER_BYTES;

    channel_fini(c->channel);
    (void)shutdown(c->fd, SHUT_WR);
    while (left > 0 && clock_mono_ns() < until && poll(&p, 1, LINGER_MS) > 0) {
        ssize_t n = recv(c->fd, bytes, IN_BYTES, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
        left -= n <= 0 ? 0 : (size_t)n < left ? (size_t)n : left;
    }
}

void grpc_conn_run(struct grpc_conn *c)
{
    uint8_t *bytes = malloc(IN_BYTES);
    struct pollfd p[2];
    eventfd_t ignored;
    int wait_ms;
    bool more = bytes != NULL;

    while (more && prepare(c, p, &wait_ms)) {
        if (poll(p, 2, wait_ms) < 0 && errno != EINTR)
            break;
        if (p[1].revents)
            (void)eventfd_read(c->wake, &ignored);
        if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
            more = receive(c, bytes);
    }
    end(c);
    if (more)
        linger(c, bytes);
    free(bytes);
}
