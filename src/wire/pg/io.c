/*
 * Bytes in and out. Input is read as far as it has come, so that a pipeline costs one recv(); what
 * there is to send leaves when the buffer is full and before the thread waits for input.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "os/spin.h"
#include "wire/pg/conn.h"

#define READ_BYTES       8192u
#define READ_AHEAD_BYTES (128u << 10)
#define KEEP_BYTES       ((size_t)64 << 10) /* a buffer that has grown beyond this is given back */
#define SEND_WAIT_S      60 /* a client that takes less than SEND_LEAST_BYTES in so long has left */
#define SEND_LEAST_BYTES ((size_t)16 << 10)

void pg_io_init(struct pg_conn *c, int fd)
{
    c->fd = fd;
    buf_init(&c->in, 0);
    buf_init(&c->out, 0);
    c->in_at = 0;
    c->spin = SPIN_INIT;
}

void pg_io_fini(struct pg_conn *c)
{
    if (c->ssl) {
        (void)SSL_shutdown(c->ssl); /* says so, and waits for nothing */
        SSL_free(c->ssl);
    }
    buf_free(&c->in);
    buf_free(&c->out);
}

/* ---- waiting ---- */

/* False when the deadline has passed. Interrupted by shutdown() of the socket, like recv(). */
static bool wait_for(const struct pg_conn *c, short events, int64_t deadline_ns)
{
    struct pollfd p = {.fd = c->fd, .events = events};

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
static bool wait_to_send(const struct pg_conn *c, short events, int64_t *deadline_ns)
{
    if (*deadline_ns == 0)
        *deadline_ns = clock_deadline((FAULT_FAILS("pg.impatient") ? 1 : SEND_WAIT_S) * CLOCK_S);
    return wait_for(c, events, *deadline_ns);
}

static ssize_t send_plain(struct pg_conn *c, const char *p, size_t n, int64_t *deadline_ns)
{
    for (;;) {
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0)
            return sent;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -1;
        if (!wait_to_send(c, POLLOUT, deadline_ns))
            return -1;
    }
}

static ssize_t send_tls(struct pg_conn *c, const char *p, size_t n, int64_t *deadline_ns)
{
    for (;;) {
        int sent = SSL_write(c->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
        if (sent > 0)
            return sent;
        int why = SSL_get_error(c->ssl, sent);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            return -1;
        if (!wait_to_send(c, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_ns))
            return -1;
    }
}

/* Whoever takes a byte now and then holds a query's slot no longer than who takes nothing. */
void pg_flush(struct pg_conn *c)
{
    size_t at = 0, since = 0;
    int64_t deadline_ns = 0;

    if (!buf_ok(&c->out))
        c->dead = true; /* out of memory in the middle of a message */
    while (!c->dead && at < c->out.len) {
        ssize_t n = c->ssl ? send_tls(c, c->out.data + at, c->out.len - at, &deadline_ns)
                           : send_plain(c, c->out.data + at, c->out.len - at, &deadline_ns);
        if (n < 0) {
            c->dead = true;
            break;
        }
        at += (size_t)n;
        if (at - since >= SEND_LEAST_BYTES) {
            since = at;
            deadline_ns = 0;
        }
    }
    if (c->out.cap > KEEP_BYTES * 2)
        buf_free(&c->out);
    else
        buf_reset(&c->out);
}

bool pg_gone(void *conn)
{
    struct pg_conn *c = conn;
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0 &&
           !atomic_load(&c->server->stopping);
}

/* ---- reading ---- */

static void compact(struct pg_conn *c)
{
    size_t left = c->in.len - c->in_at;

    if (c->in_at == 0)
        return;
    if (left == 0 && c->in.cap > KEEP_BYTES * 2) {
        buf_free(&c->in);
    } else {
        memmove(c->in.data, c->in.data + c->in_at, left);
        buf_cut(&c->in, left);
    }
    c->in_at = 0;
}

static ssize_t receive(struct pg_conn *c, char *to, size_t room)
{
    for (;;) {
        if (c->ssl) {
            int n = SSL_read(c->ssl, to, room > INT32_MAX ? INT32_MAX : (int)room);
            if (n > 0)
                return n;
            int why = SSL_get_error(c->ssl, n);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
                return 0;
            if (!wait_for(c, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, c->deadline_ns))
                return -1;
            continue;
        }
        if (c->deadline_ns != CLOCK_EVER && !wait_for(c, POLLIN, c->deadline_ns))
            return -1;
        /* Most of the time it is the next query that is waited for. */
        ssize_t n = c->deadline_ns == CLOCK_EVER ? spin_recv(&c->spin, c->fd, to, room)
                                                 : recv(c->fd, to, room, 0);
        if (n >= 0)
            return n;
        if (errno == EAGAIN)
            (void)wait_for(c, POLLIN, c->deadline_ns);
        else if (errno != EINTR)
            return 0;
    }
}

/* More bytes behind those that are here; `want` is how many would be of use now. */
static enum pg_read fill(struct pg_conn *c, size_t want)
{
    if (c->out.len > 0)
        pg_flush(c);
    if (c->dead)
        return PG_READ_CLOSED;
    compact(c);
    /* What a length word promises is not reserved before some of it has come. */
    size_t most = c->in.len + READ_AHEAD_BYTES;
    size_t room = want < READ_BYTES ? READ_BYTES : want > most ? most : want;
    char *to = buf_reserve(&c->in, room);
    if (!to)
        return PG_READ_CLOSED;
    if (c->ssl && c->deadline_ns == CLOCK_EVER && !SSL_has_pending(c->ssl))
        spin_on(&c->spin, c->fd);
    ssize_t n = receive(c, to, room);
    if (n < 0)
        return PG_READ_TIMEOUT;
    if (n == 0)
        return PG_READ_CLOSED;
    c->in.len += (size_t)n;
    return PG_READ_OK;
}

static size_t here(const struct pg_conn *c)
{
    return c->in.len - c->in_at;
}

static enum pg_read need(struct pg_conn *c, size_t n)
{
    while (here(c) < n) {
        enum pg_read r = fill(c, n - here(c));
        if (r != PG_READ_OK)
            return r;
    }
    return PG_READ_OK;
}

static uint32_t word_at(const struct pg_conn *c, size_t offset)
{
    const unsigned char *p = (const unsigned char *)c->in.data + c->in_at + offset;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum pg_read pg_read_startup(struct pg_conn *c, const char **body, size_t *len)
{
    enum pg_read r = need(c, 4);
    uint32_t n;

    if (r != PG_READ_OK)
        return r;
    n = word_at(c, 0);
    if (n < 8 || n > PGWIRE_STARTUP_BYTES)
        return PG_READ_TOO_LONG;
    r = need(c, n);
    if (r != PG_READ_OK)
        return r;
    *body = c->in.data + c->in_at + 4;
    *len = n - 4;
    c->in_at += n;
    return PG_READ_OK;
}

static enum pg_read drain(struct pg_conn *c, uint64_t n)
{
    while (n > 0) {
        if (here(c) == 0) {
            enum pg_read r = fill(c, 0);
            if (r != PG_READ_OK)
                return r;
        }
        size_t take = here(c) < n ? here(c) : (size_t)n;
        c->in_at += take;
        n -= take;
    }
    return PG_READ_TOO_LONG;
}

enum pg_read pg_read(struct pg_conn *c, struct pg_message *m)
{
    enum pg_read r = need(c, PGWIRE_HEADER_BYTES);
    uint32_t n, limit;

    if (r != PG_READ_OK)
        return r;
    m->type = c->in.data[c->in_at];
    /* Whoever is still to prove who he is has nothing to send but the proof, which is short. */
    limit = c->user || m->type == 'p' ? pgwire_limit(m->type) : 0;
    if (limit == 0)
        return PG_READ_UNKNOWN;
    n = word_at(c, 1);
    if (n < 4 || n > INT32_MAX)
        return PG_READ_UNKNOWN;
    if (n > limit) {
        c->in_at += PGWIRE_HEADER_BYTES;
        return drain(c, n - 4);
    }
    r = need(c, (size_t)n + 1);
    if (r != PG_READ_OK)
        return r;
    m->body = c->in.data + c->in_at + PGWIRE_HEADER_BYTES;
    m->len = n - 4;
    c->in_at += (size_t)n + 1;
    return PG_READ_OK;
}

char pg_peek(const struct pg_conn *c, unsigned i)
{
    size_t at = 0;

    for (;; i--) {
        if (here(c) < at + PGWIRE_HEADER_BYTES)
            return 0;
        size_t n = word_at(c, at + 1);
        if (n < 4 || here(c) < at + 1 + n)
            return 0;
        if (i == 0)
            return c->in.data[c->in_at + at];
        at += 1 + n;
    }
}
