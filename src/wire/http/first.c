/*
 * What a connection begins with: TLS or not, HTTP/1 or HTTP/2.
 *
 *   http_tls_load, http_check     the certificate
 *   http_first                    a new connection
 *
 * Who offers both versions with TLS (browsers, curl) gets HTTP/1.1, for that is what everything but
 * gRPC is spoken in; gRPC's clients offer HTTP/2 alone.
 */
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "wire/http/exchange.h"

#define HANDSHAKE_NS (10 * CLOCK_S) /* from the connection's beginning */
#define H2           "h2"

/* ---- the certificate ---- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\010http/1.1\002" H2;
    const struct http_server *s = arg;
    unsigned len = s->h2 ? sizeof ours - 1 : sizeof ours - 1 - sizeof H2;

    (void)ssl;
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, len, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

static enum err_code load(SSL_CTX **tls, const struct http_options *o, struct err *e)
{
    bool cert = o->cert && *o->cert, key = o->key && *o->key;

    *tls = NULL;
    if (cert != key)
        return err_set(e, ERR_CONFIG, "--cert and --key go together");
    return cert ? tls_load(tls, o->cert, "--cert", o->key, "--key", e) : ERR_OK;
}

enum err_code http_check(const struct http_options *o, struct err *e)
{
    SSL_CTX *tls;
    enum err_code code = load(&tls, o, e);

    SSL_CTX_free(tls);
    return code;
}

enum err_code http_tls_load(struct http_server *s, const struct http_options *o, struct err *e)
{
    enum err_code code = load(&s->tls, o, e);

    if (s->tls)
        SSL_CTX_set_alpn_select_cb(s->tls, choose_protocol, s);
    return code;
}

/* ---- a connection ---- */

/* HTTP/2 with prior knowledge begins with a request that no server of HTTP/1 knows (RFC 9113, 3.4);
 * no request of HTTP/1 is shorter than what is looked at. */
static enum http_first plain(struct exchange *x)
{
    static const char preface[] = "PRI";
    char first[sizeof preface - 1];
    ssize_t n;

    if (!x->server->h2)
        return HTTP_FIRST_H1;
    do
        n = recv(x->fd, first, sizeof first, MSG_PEEK | MSG_WAITALL);
    while (n < 0 && errno == EINTR);
    if (n != sizeof first) {
        /* Bytes that nobody has read would make of the connection's end a reset. */
        (void)recv(x->fd, first, sizeof first, MSG_DONTWAIT);
        return HTTP_FIRST_NOTHING;
    }
    return memcmp(first, preface, sizeof first) == 0 ? HTTP_FIRST_H2 : HTTP_FIRST_H1;
}

/* A request without TLS is told so; who sent a token with it had better know. */
static void refuse_plain(struct exchange *x)
{
    static const char answer[] =
        "HTTP/1.1 400 Bad Request\r\n"
        "Content-Type: application/problem+json\r\n"
        "Connection: close\r\n"
        "\r\n"
        "{\"type\":\"urn:ha:error:PROTOCOL\",\"title\":\"malformed request\",\"status\":400,"
        "\"detail\":\"this port speaks TLS: https://\",\"code\":\"PROTOCOL\","
        "\"sqlstate\":\"08P01\"}\n";

    (void)send(x->fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    http_conn_linger(x);
}

static bool is_plain(struct exchange *x, int64_t deadline_ns)
{
    struct pollfd p = {.fd = x->fd, .events = POLLIN};
    int64_t left_ms = (deadline_ns - clock_mono_ns()) / CLOCK_MS;
    char first;

    return poll(&p, 1, (int)left_ms) > 0 && recv(x->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 &&
           isupper((unsigned char)first);
}

enum http_first http_first(struct exchange *x)
{
    int64_t deadline = clock_deadline(HANDSHAKE_NS);

    if (!x->server->tls)
        return plain(x);
    if (is_plain(x, deadline)) {
        refuse_plain(x);
        return HTTP_FIRST_NOTHING;
    }
    if (!channel_accept(&x->channel, x->server->tls, deadline))
        return HTTP_FIRST_NOTHING;
    return channel_speaks(&x->channel, H2) ? HTTP_FIRST_H2 : HTTP_FIRST_H1;
}
