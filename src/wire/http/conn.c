/*
 * A connection's bytes in and out, over a blocking socket whose time-outs are the server's for
 * idling. A request costs one recv() and one sendmsg() where its body fits in with the header.
 *
 *     bytes   ┌───────────────┬──────────────┬───────────────────┬────────────┐
 *             │ earlier heads │ head, parsed │ pieces of its body│   unused   │
 *             └───────────────┴──────────────┴───────────────────┴────────────┘
 *                                            body_at        at…end
 *
 * A head begins in the first third, and is no longer than a third. So there is always room for a
 * whole head behind what there is of it, and for pieces of the body behind it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/clock.h"
#include "wire/http/exchange.h"

#define HEAD_BYTES  ((size_t)32 << 10) /* the longest header */
#define INPUT_BYTES (3 * HEAD_BYTES)

#define RECORD_BYTES ((size_t)16 << 10) /* the most that one of TLS's holds */

#define LINGER_NS       (10 * CLOCK_S) /* at most, after an early answer */
#define LINGER_PAUSE_MS 2000           /* without a byte */

bool http_conn_init(struct exchange *x, int fd)
{
    const struct timeval idle = {.tv_sec = (time_t)x->server->idle_timeout_s};
    static const int on = 1;

    x->in = (struct http_input){.bytes = malloc(INPUT_BYTES), .spin = SPIN_INIT};
    x->fd = fd;
    channel_init(&x->channel, fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof idle);
    return x->in.bytes != NULL;
}

void http_conn_fini(struct exchange *x)
{
    free(x->in.bytes);
    x->in.bytes = NULL;
}

/* ---- in ---- */

/* More bytes behind those that are there. False: there are none to come. */
static bool receive(struct exchange *x, bool is_next_request)
{
    struct http_input *in = &x->in;
    char *to = in->bytes + in->end;
    size_t room = INPUT_BYTES - in->end;
    ssize_t n;

    if (is_next_request && x->channel.ssl && !channel_has_more(&x->channel))
        spin_on(&in->spin, x->fd);
    do
        n = is_next_request && !x->channel.ssl ? spin_recv(&in->spin, x->fd, to, room)
                                               : channel_recv(&x->channel, to, room, true);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    in->end += (size_t)n;
    return true;
}

/* So that the head begins in the first third. */
static void move_down(struct http_input *in)
{
    if (in->at < in->end && in->at < HEAD_BYTES)
        return;
    memmove(in->bytes, in->bytes + in->at, in->end - in->at);
    in->end -= in->at;
    in->at = 0;
}

/* Empty lines before a request are those of clients that end a body with one (RFC 9112, 2.2). */
static bool skip_empty_line(struct http_input *in)
{
    const char *p = in->bytes + in->at;

    if (in->end - in->at < 2 || p[0] != '\r' || p[1] != '\n')
        return false;
    in->at += 2;
    return true;
}

static void body_begins(struct exchange *x)
{
    struct http_input *in = &x->in;

    in->body_at = in->at;
    in->left = x->request_head.length;
    in->chunk = HTTPCHUNK_INIT;
}

enum http_got http_conn_head(struct exchange *x)
{
    struct http_input *in = &x->in;
    size_t len = 0, seen = 0;

    move_down(in);
    while (len == 0) {
        while (skip_empty_line(in))
            seen = 0;
        size_t here = in->end - in->at;
        len = here > 0 ? httphead_end(in->bytes + in->at, here, seen) : 0;
        if (len > HEAD_BYTES || (len == 0 && here > HEAD_BYTES)) {
            x->request_head.n = 0; /* what stands there is the request's before it */
            x->request_head.old = false;
            err_set(&x->err, ERR_TOO_BIG, "the header is larger than %zu bytes", HEAD_BYTES);
            return HTTP_GOT_NONSENSE;
        }
        seen = here;
        if (len > 0)
            break;
        move_down(in);
        if (!receive(x, here == 0))
            return HTTP_GOT_NOTHING;
    }
    char *head = in->bytes + in->at;
    in->at += len;
    if (httphead_parse(&x->request_head, head, len, &x->err) != ERR_OK)
        return HTTP_GOT_NONSENSE;
    body_begins(x);
    return HTTP_GOT_IT;
}

/* What was read of the body gives way to what comes now. */
static bool receive_body(struct exchange *x)
{
    x->in.at = x->in.end = x->in.body_at;
    return receive(x, false);
}

static enum http_got body_in_chunks(struct exchange *x, const char **bytes, size_t *n)
{
    struct http_input *in = &x->in;

    for (;;) {
        const char *p = in->bytes + in->at;
        size_t here = in->end - in->at;
        enum httpchunk_verdict v = httpchunk_next(&in->chunk, &p, &here, bytes, n);

        in->at = in->end - here;
        switch (v) {
        case HTTPCHUNK_DATA:
            return HTTP_GOT_IT;
        case HTTPCHUNK_END:
            x->request_head.chunked = false; /* and no bytes are left */
            *n = 0;
            return HTTP_GOT_IT;
        case HTTPCHUNK_BAD:
            err_set(&x->err, ERR_PROTOCOL, "the body does not come in chunks, as its header says");
            return HTTP_GOT_NONSENSE;
        case HTTPCHUNK_MORE:
            if (!receive_body(x))
                return HTTP_GOT_NOTHING;
        }
    }
}

enum http_got http_conn_body(struct exchange *x, const char **bytes, size_t *n)
{
    struct http_input *in = &x->in;

    *n = 0;
    if (x->request_head.chunked)
        return body_in_chunks(x, bytes, n);
    if (in->left == 0)
        return HTTP_GOT_IT;
    if (in->at == in->end && !receive_body(x))
        return HTTP_GOT_NOTHING;
    *bytes = in->bytes + in->at;
    *n = in->end - in->at < in->left ? in->end - in->at : in->left;
    in->at += *n;
    in->left -= *n;
    return HTTP_GOT_IT;
}

/* ---- out ---- */

/* What fits goes into one record, so that a header and a short body are one packet. */
static size_t gather(struct iovec **parts, size_t *n, char *to, size_t room)
{
    size_t used = 0;

    while (*n > 0 && used < room) {
        struct iovec *part = *parts;
        size_t take = part->iov_len < room - used ? part->iov_len : room - used;
        memcpy(to + used, part->iov_base, take);
        used += take;
        part->iov_base = (char *)part->iov_base + take;
        part->iov_len -= take;
        if (part->iov_len > 0)
            break;
        (*parts)++;
        (*n)--;
    }
    return used;
}

static bool send_record(struct exchange *x, const char *bytes, size_t n)
{
    struct pollfd p = {.fd = x->fd, .events = POLLOUT};

    for (size_t at = 0; at < n;) {
        ssize_t sent = channel_send(&x->channel, bytes + at, n - at);
        if (sent > 0)
            at += (size_t)sent;
        else if (sent == 0 || errno != EAGAIN ||
                 poll(&p, 1, (int)x->server->idle_timeout_s * 1000) <= 0)
            return false;
    }
    return true;
}

static bool send_tls(struct exchange *x, struct iovec *parts, size_t n)
{
    char record[RECORD_BYTES];

    while (n > 0)
        if (!send_record(x, record, gather(&parts, &n, record, sizeof record)))
            return false;
    return true;
}

bool http_conn_send(struct exchange *x, struct iovec *parts, size_t n)
{
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = n};

    if (x->channel.ssl)
        return send_tls(x, parts, n);
    for (;;) {
        while (m.msg_iovlen > 0 && m.msg_iov->iov_len == 0) {
            m.msg_iov++;
            m.msg_iovlen--;
        }
        if (m.msg_iovlen == 0)
            return true;
        ssize_t sent = sendmsg(x->fd, &m, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        for (size_t left = (size_t)sent; left > 0;) {
            struct iovec *part = m.msg_iov;
            size_t taken = left < part->iov_len ? left : part->iov_len;
            part->iov_base = (char *)part->iov_base + taken;
            part->iov_len -= taken;
            left -= taken;
            if (part->iov_len > 0)
                break;
            m.msg_iov++;
            m.msg_iovlen--;
        }
    }
}

/* The client may still be sending. Closing now would make the kernel send a reset, which may
 * overtake the answer; so the rest is read, for a while, until the client closes. It learns of the
 * end from ours. */
void http_conn_linger(struct exchange *x)
{
    int64_t end = clock_deadline(LINGER_NS);
    struct pollfd p = {.fd = x->fd, .events = POLLIN};

    channel_fini(&x->channel);
    (void)shutdown(x->fd, SHUT_WR);
    while (clock_mono_ns() < end && poll(&p, 1, LINGER_PAUSE_MS) > 0) {
        ssize_t n = recv(x->fd, x->in.bytes, INPUT_BYTES, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}
