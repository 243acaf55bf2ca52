/*
 * TLS for every protocol that speaks it: a server's certificate, OpenSSL's way to a client's
 * socket, the handshake. tls_load(), tls_client(): any thread; the rest belongs to its connection,
 * and is one thread's at a time.
 */
#ifndef HA_WIRE_TLS_H
#define HA_WIRE_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* TLS 1.2 and newer with the certificate chain and the key of two PEM files; `cert_flag` and
 * `key_flag` are those that name them, "--pg-cert". ERR_CONFIG says which of them is of no use. */
enum err_code tls_load(SSL_CTX **out, const char *cert, const char *cert_flag, const char *key,
                       const char *key_flag, struct err *e);

/* A client's side: certificates are verified against the system's CAs, or those of the file that
 * SSL_CERT_FILE names; it speaks `protocol` (ALPN). */
enum err_code tls_client(SSL_CTX **out, const char *protocol, struct err *e);

/*
 * OpenSSL's way to a socket. Its own would stay in send() and recv() for as long as the client
 * likes. This one never waits in send(), and in recv() only where `waits` says so, as long as the
 * socket's own time-out; callers wait with poll() where SSL_get_error() says for what.
 */
struct tls_socket {
    int fd;
    bool waits;
    struct buf early; /* bytes that had come before TLS began: they are read first */
    size_t early_at;
};

/* NULL: no memory. `s` is borrowed until SSL_free(). */
SSL *tls_new(SSL_CTX *ctx, struct tls_socket *s);
/* The server's side of the handshake, until the deadline (monotonic). */
bool tls_accept(SSL *ssl, const struct tls_socket *s, int64_t deadline_ns);
/* The client's side, with a server that is to prove that it is `host`, a name or an address.
 * ERR_IO. */
enum err_code tls_connect(SSL *ssl, const struct tls_socket *s, const char *host,
                          int64_t deadline_ns, struct err *e);
/* Says goodbye, waits for nothing, frees it. NULL is fine. */
void tls_free(SSL *ssl, struct tls_socket *s);

#endif
