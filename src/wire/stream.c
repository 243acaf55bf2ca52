/*
 * Bytes in and out.
 *
 *   stream_init, stream_fini, stream_wait
 *   stream_flush, stream_gone
 *   stream_need, stream_drain
 *   stream_accept_tls
 *
 * The socket is a blocking one; but with TLS or without nobody waits in send(), and in recv() only
 * where there is no deadline. Else it is poll() that waits. A thread that waits for the next query
 * sleeps in recv(), which costs no call more than that.
 */
#include "wire/stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"

#define READ_BYTES       8192u
#define READ_AHEAD_BYTES (128u << 10)
#define KEEP_BYTES       ((size_t)64 << 10) /* a buffer that has grown beyond this is given back */
#define SEND_WAIT_S      60 /* a client that takes less than SEND_LEAST_BYTES in so long has left */
#define SEND_LEAST_BYTES ((size_t)16 << 10)

void stream_init(struct stream *s, int fd, const atomic_bool *stopping)
{
    *s = (struct stream){.fd = fd, .socket = {.fd = fd}, .stopping = stopping, .spin = SPIN_INIT};
    buf_init(&s->in, 0);
    buf_init(&s->out, 0);
}

void stream_fini(struct stream *s)
{
    tls_free(s->ssl, &s->socket);
    buf_free(&s->in);
    buf_free(&s->out);
}

/* ---- waiting ---- */

/* False when the deadline has passed. Interrupted by shutdown() of the socket, like recv(). */
bool stream_wait(const struct stream *s, short events, int64_t deadline_ns)
{
    struct pollfd p = {.fd = s->fd, .events = events};

    for (;;) {
        int64_t left = deadline_ns - clock_mono_ns();
        int ms = deadline_ns == CLOCK_EVER ? -1 : left <= 0 ? 0 : (int)(left / CLOCK_MS) + 1;
        int n = poll(&p, 1, ms);
        if (n > 0)
            return true;
        if (n == 0 && ms >= 0 && clock_mono_ns() >= deadline_ns)
            return false;
        if (n < 0 && errno != EINTR)
            return true; /* recv() or send() will tell */
    }
}

/* ---- sending ---- */

/* False when it has lasted too long. *deadline_ns 0: this is the first time that it is waited. */
static bool wait_to_send(const struct stream *s, short events, int64_t *deadline_ns)
{
    if (*deadline_ns == 0)
        *deadline_ns = clock_deadline((FAULT_FAILS("wire.impatient") ? 1 : SEND_WAIT_S) * CLOCK_S);
    return stream_wait(s, events, *deadline_ns);
}

static ssize_t send_plain(struct stream *s, const char *p, size_t n, int64_t *deadline_ns)
{
    for (;;) {
        ssize_t sent = send(s->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            return sent;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -1;
        if (!wait_to_send(s, POLLOUT, deadline_ns))
            return -1;
    }
}

static ssize_t send_tls(struct stream *s, const char *p, size_t n, int64_t *deadline_ns)
{
    for (;;) {
        int sent = SSL_write(s->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
        if (sent > 0)
            return sent;
        int why = SSL_get_error(s->ssl, sent);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            return -1;
        if (!wait_to_send(s, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_ns))
            return -1;
    }
}

/* Whoever takes a byte now and then holds a query's slot no longer than who takes nothing. */
void stream_flush(struct stream *s)
{
    size_t at = 0, since = 0;
    int64_t deadline_ns = 0;

    if (!buf_ok(&s->out))
        s->dead = true; /* out of memory in the middle of a message */
    while (!s->dead && at < s->out.len) {
        ssize_t n = s->ssl ? send_tls(s, s->out.data + at, s->out.len - at, &deadline_ns)
                           : send_plain(s, s->out.data + at, s->out.len - at, &deadline_ns);
        if (n < 0) {
            s->dead = true;
            break;
        }
        at += (size_t)n;
        if (at - since >= SEND_LEAST_BYTES) {
            since = at;
            deadline_ns = 0;
        }
    }
    if (s->out.cap > KEEP_BYTES * 2)
        buf_free(&s->out);
    else
        buf_reset(&s->out);
}

bool stream_gone(void *stream)
{
    struct stream *s = stream;
    struct pollfd p = {.fd = s->fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0 &&
           !atomic_load(s->stopping);
}

/* ---- reading ---- */

static void compact(struct stream *s)
{
    size_t left = s->in.len - s->in_at;

    if (s->in_at == 0)
        return;
    if (left == 0 && s->in.cap > KEEP_BYTES * 2) {
        buf_free(&s->in);
    } else {
        memmove(s->in.data, s->in.data + s->in_at, left);
        buf_cut(&s->in, left);
    }
    s->in_at = 0;
}

static ssize_t receive(struct stream *s, char *to, size_t room)
{
    for (;;) {
        if (s->ssl) {
            s->socket.waits = s->deadline_ns == CLOCK_EVER;
            int n = SSL_read(s->ssl, to, room > INT32_MAX ? INT32_MAX : (int)room);
            if (n > 0)
                return n;
            int why = SSL_get_error(s->ssl, n);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
                return 0;
            if (!stream_wait(s, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, s->deadline_ns))
                return -1;
            continue;
        }
        if (s->deadline_ns != CLOCK_EVER && !stream_wait(s, POLLIN, s->deadline_ns))
            return -1;
        /* Most of the time it is the next query that is waited for. */
        ssize_t n = s->deadline_ns == CLOCK_EVER ? spin_recv(&s->spin, s->fd, to, room)
                                                 : recv(s->fd, to, room, 0);
        if (n >= 0)
            return n;
        if (errno == EAGAIN)
            (void)stream_wait(s, POLLIN, s->deadline_ns);
        else if (errno != EINTR)
            return 0;
    }
}

/* More bytes behind those that are here; `want` is how many would be of use now. */
static enum stream_status fill(struct stream *s, size_t want)
{
    if (s->out.len > 0)
        stream_flush(s);
    if (s->dead)
        return STREAM_CLOSED;
    compact(s);
    /* What a length word promises is not reserved before some of it has come. */
    size_t most = s->in.len + READ_AHEAD_BYTES;
    size_t room = want < READ_BYTES ? READ_BYTES : want > most ? most : want;
    char *to = buf_reserve(&s->in, room);
    if (!to)
        return STREAM_CLOSED;
    if (s->ssl && s->deadline_ns == CLOCK_EVER && !SSL_has_pending(s->ssl))
        spin_on(&s->spin, s->fd);
    ssize_t n = receive(s, to, room);
    if (n < 0)
        return STREAM_TIMEOUT;
    if (n == 0)
        return STREAM_CLOSED;
    s->in.len += (size_t)n;
    return STREAM_OK;
}

enum stream_status stream_need(struct stream *s, size_t n)
{
    while (stream_here(s) < n) {
        enum stream_status r = fill(s, n - stream_here(s));
        if (r != STREAM_OK)
            return r;
    }
    return STREAM_OK;
}

enum stream_status stream_drain(struct stream *s, uint64_t n)
{
    while (n > 0) {
        if (stream_here(s) == 0) {
            enum stream_status r = fill(s, 0);
            if (r != STREAM_OK)
                return r;
        }
        size_t take = stream_here(s) < n ? stream_here(s) : (size_t)n;
        s->in_at += take;
        n -= take;
    }
    return STREAM_OK;
}

/* ---- the handshake ---- */

bool stream_accept_tls(struct stream *s, SSL_CTX *tls)
{
    if (stream_here(s) > 0)
        buf_put(&s->socket.early, stream_at(s), stream_here(s));
    stream_take(s, stream_here(s));
    s->socket.waits = false;
    s->ssl = tls_new(tls, &s->socket);
    return s->ssl && tls_accept(s->ssl, &s->socket, s->deadline_ns);
}
