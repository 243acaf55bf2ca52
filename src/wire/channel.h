/*
 * A socket, a client's or one to a server, with TLS or without, for protocols that keep buffers of
 * their own (HTTP, gRPC): what recv() and send() do, answer and say in errno, channel_recv() and
 * channel_send() do. A stream (stream.h) is more than that.
 *
 * One thread at a time; only the socket may be shut down by another one, which wakes whoever waits.
 * The descriptor itself is closed by its owner.
 */
#ifndef HA_WIRE_CHANNEL_H
#define HA_WIRE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/tls.h"

struct channel {
    int fd;
    SSL *ssl; /* NULL = none */
    struct tls_socket socket;
};

void channel_init(struct channel *c, int fd);
/* Says goodbye where there is TLS, and waits for nothing. */
void channel_fini(struct channel *c);

/* The server's side of a TLS handshake. False: there is none, and the connection is of no use. */
bool channel_accept(struct channel *c, SSL_CTX *tls, int64_t deadline_ns);
/* The client's side, see tls_connect(). Where it fails the channel is of no use. */
enum err_code channel_connect(struct channel *c, SSL_CTX *tls, const char *host,
                              int64_t deadline_ns, struct err *e);
/* Has the handshake agreed on this protocol (ALPN)? */
bool channel_speaks(const struct channel *c, const char *protocol);

/* `waits`: as long as the socket's time-out (SO_RCVTIMEO); else EAGAIN. 0: the end. */
ssize_t channel_recv(struct channel *c, void *to, size_t room, bool waits);
/* Does not wait: EAGAIN. After that the same bytes come first in the next call. */
ssize_t channel_send(struct channel *c, const void *bytes, size_t n);
/* Is there something to be had that poll() does not tell? */
bool channel_has_more(const struct channel *c);

#endif
