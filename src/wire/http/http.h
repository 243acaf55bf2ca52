/*
 * The HTTP/1.1 server: routes, bodies and answers on top of core's sessions. It knows nothing of
 * SQLite or NATS. The paths and shapes are in openapi.yaml, which is part of the binary.
 *
 * Threads: one accepts (and sweeps abandoned transactions), one serves each connection, blocking.
 * The functions below are called by whoever wires the program together, one thread at a time:
 * http_start → http_stop → http_free. The node is borrowed and must outlive the server.
 */
#ifndef HA_WIRE_HTTP_HTTP_H
#define HA_WIRE_HTTP_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct channel;
struct http_server;
struct node;

#define HTTP_DEFAULT_MAX_BODY_BYTES  ((size_t)256 << 20)
#define HTTP_DEFAULT_MAX_CONNECTIONS 4096u
#define HTTP_DEFAULT_IDLE_TIMEOUT_S  120u

/* Zeroed is a valid set of options (any free port). Strings are copied by http_start(). */
struct http_options {
    const char *address;   /* numeric IPv4 or IPv6 to listen on; NULL or "" = all, both families */
    uint16_t port;         /* 0 = any free one, see http_port() */
    size_t max_body_bytes; /* of a request's body (413); 0 = HTTP_DEFAULT_MAX_BODY_BYTES */
    unsigned max_connections; /* one more is told 503; 0 = HTTP_DEFAULT_MAX_CONNECTIONS */
    unsigned idle_timeout_s;  /* without a byte in either direction; 0 = the default */
    /* PEM files of a certificate chain and its key: only TLS is spoken then. NULL or "" = none. */
    const char *cert, *key;
    /* Serves a connection that begins with HTTP/2's preface, or has agreed on it with TLS (ALPN),
     * until its end; by the connection's own thread, which closes it. http_stop() waits for it, and
     * shuts the socket down where it takes too long. NULL = such a connection is told that this is
     * no request. */
    void (*h2)(void *arg, struct channel *channel);
    void *h2_arg;
};

/* Are the certificate and the key of use? ERR_CONFIG. Reads, and changes nothing. */
enum err_code http_check(const struct http_options *o, struct err *e);

/* Listens and serves until http_stop(). ERR_CONFIG for an address that is none, ERR_IO where the
 * port cannot be had. On failure *out is NULL. */
enum err_code http_start(struct http_server **out, struct node *n, const struct http_options *o,
                         struct err *e);

/* The port that is listened on. */
uint16_t http_port(const struct http_server *s);

/* Stops accepting at once, closes connections without a request, lets running requests end until
 * the deadline (monotonic ns, as clock_deadline() makes them), then cancels them; rolls back open
 * transactions; joins every thread. Call it before node_stop(). NULL is fine, so is a second call.
 */
void http_stop(struct http_server *s, int64_t deadline_ns);
void http_free(struct http_server *s); /* stops at once if nobody has; NULL is fine */

#endif
