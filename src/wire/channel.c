#include "wire/channel.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

void channel_init(struct channel *c, int fd)
{
    *c = (struct channel){.fd = fd, .socket = {.fd = fd}};
}

void channel_fini(struct channel *c)
{
    tls_free(c->ssl, &c->socket);
    c->ssl = NULL;
}

bool channel_accept(struct channel *c, SSL_CTX *tls, int64_t deadline_ns)
{
    ERR_clear_error();
    c->ssl = tls_new(tls, &c->socket);
    return c->ssl && tls_accept(c->ssl, &c->socket, deadline_ns);
}

enum err_code channel_connect(struct channel *c, SSL_CTX *tls, const char *host,
                              int64_t deadline_ns, struct err *e)
{
    c->ssl = tls_new(tls, &c->socket);
    return c->ssl ? tls_connect(c->ssl, &c->socket, host, deadline_ns, e)
                  : err_set(e, ERR_NO_MEMORY, "no memory for TLS");
}

bool channel_speaks(const struct channel *c, const char *protocol)
{
    const unsigned char *name = NULL;
    unsigned n = 0;

    if (c->ssl)
        SSL_get0_alpn_selected(c->ssl, &name, &n);
    return n > 0 && n == strlen(protocol) && memcmp(name, protocol, n) == 0;
}

/* What OpenSSL's `n` means, as recv() and send() would say it. */
static ssize_t outcome(const struct channel *c, int n)
{
    if (n > 0)
        return n;
    switch (SSL_get_error(c->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        ERR_clear_error();
        errno = ECONNRESET;
        return -1;
    }
}

static int at_most(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

ssize_t channel_recv(struct channel *c, void *to, size_t room, bool waits)
{
    ssize_t n;

    if (c->ssl) {
        c->socket.waits = waits;
        ERR_clear_error(); /* of another connection of this thread */
        return outcome(c, SSL_read(c->ssl, to, at_most(room)));
    }
    do
        n = recv(c->fd, to, room, waits ? 0 : MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n;
}

ssize_t channel_send(struct channel *c, const void *bytes, size_t n)
{
    ssize_t sent;

    if (c->ssl) {
        c->socket.waits = false;
        ERR_clear_error();
        return outcome(c, SSL_write(c->ssl, bytes, at_most(n)));
    }
    do
        sent = send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent;
}

bool channel_has_more(const struct channel *c)
{
    return c->ssl && SSL_pending(c->ssl) > 0;
}
