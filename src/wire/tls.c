#include "wire/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

#define LOOK_MS 50 /* between looks whether somebody still wants the connection */

/* ---- the certificate ---- */

static enum err_code failed(SSL_CTX *ctx, const char *what, const char *file, struct err *e)
{
    char text[160] = "unknown reason";
    unsigned long why = ERR_get_error();

    if (why)
        ERR_error_string_n(why, text, sizeof text);
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return err_set(e, ERR_CONFIG, "%s \"%s\": %s", what, file, text);
}

enum err_code tls_load(SSL_CTX **out, const char *cert, const char *cert_flag, const char *key,
                       const char *key_flag, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    *out = NULL;
    if (!ctx)
        return err_set(e, ERR_NO_MEMORY, "no memory for TLS");
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(ctx,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return failed(ctx, cert_flag, cert, e);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return failed(ctx, key_flag, key, e);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return failed(ctx, "the certificate does not fit the private key", key, e);
    *out = ctx;
    return ERR_OK;
}

enum err_code tls_load_client(SSL_CTX **out, const char *cacert, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    *out = NULL;
    if (!ctx)
        return err_set(e, ERR_NO_MEMORY, "no memory for TLS");
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(ctx,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (cacert && *cacert) {
        if (SSL_CTX_load_verify_locations(ctx, cacert, NULL) != 1)
            return failed(ctx, "--cacert", cacert, e);
    } else {
        (void)SSL_CTX_set_default_verify_paths(ctx);
    }
    *out = ctx;
    return ERR_OK;
}

/* ---- the way to the socket ---- */

static int bio_write(BIO *b, const char *p, int n)
{
    const struct tls_socket *s = BIO_get_data(b);
    ssize_t sent;

    BIO_clear_retry_flags(b);
    do {
        sent = send(s->fd, p, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN)
        BIO_set_retry_write(b);
    return (int)sent;
}

static int bio_read(BIO *b, char *to, int room)
{
    struct tls_socket *s = BIO_get_data(b);
    size_t early = s->early.len - s->early_at;
    ssize_t n;

    BIO_clear_retry_flags(b);
    if (early > 0) {
        early = early < (size_t)room ? early : (size_t)room;
        memcpy(to, s->early.data + s->early_at, early);
        s->early_at += early;
        return (int)early;
    }
    do {
        n = recv(s->fd, to, (size_t)room, s->waits ? 0 : MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        BIO_set_retry_read(b);
    return (int)n;
}

static long bio_control(BIO *b, int command, long number, void *p)
{
    (void)b;
    (void)number;
    (void)p;
    return command == BIO_CTRL_FLUSH; /* nothing is kept back */
}

static BIO_METHOD *method; /* immutable after `once`; NULL = no memory */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "client's socket");
    if (!method)
        return;
    (void)BIO_meth_set_write(method, bio_write);
    (void)BIO_meth_set_read(method, bio_read);
    (void)BIO_meth_set_ctrl(method, bio_control);
}

SSL *tls_new(SSL_CTX *ctx, struct tls_socket *s)
{
    SSL *ssl;
    BIO *b;

    (void)pthread_once(&once, make_method);
    b = method ? BIO_new(method) : NULL;
    ssl = b ? SSL_new(ctx) : NULL;
    if (!ssl) {
        BIO_free(b);
        return NULL;
    }
    BIO_set_data(b, s);
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b); /* transferred */
    return ssl;
}

void tls_free(SSL *ssl, struct tls_socket *s)
{
    buf_free(&s->early);
    if (!ssl)
        return;
    s->waits = false;
    (void)SSL_shutdown(ssl);
    ERR_clear_error();
    SSL_free(ssl);
}

/* ---- the handshake ---- */

bool tls_accept(SSL *ssl, const struct tls_socket *s, int64_t deadline_ns)
{
    for (;;) {
        int n = SSL_accept(ssl);
        if (n == 1)
            return true;
        int why = SSL_get_error(ssl, n);
        int64_t left_ms = (deadline_ns - clock_mono_ns()) / CLOCK_MS;
        struct pollfd p = {.fd = s->fd, .events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
        bool again = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
        if (!again || left_ms <= 0 || poll(&p, 1, (int)left_ms) <= 0) {
            ERR_clear_error();
            return false;
        }
    }
}

/* The certificate has to be for this name, or this address. */
static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[16];

    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool expect_protocol(SSL *ssl, const char *protocol)
{
    unsigned char list[32];
    size_t n = strlen(protocol);

    if (n + 1 > sizeof list)
        return false;
    list[0] = (unsigned char)n;
    memcpy(list + 1, protocol, n);
    return SSL_set_alpn_protos(ssl, list, (unsigned)n + 1) == 0;
}

/* What the handshake has failed of. */
static void explain(const SSL *ssl, char *why, size_t size)
{
    long verdict = SSL_get_verify_result(ssl);
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    if (verdict != X509_V_OK)
        reason = X509_verify_cert_error_string(verdict);
    (void)snprintf(why, size, "TLS: %s", reason ? reason : "the connection was closed");
    ERR_clear_error();
}

bool tls_connect(SSL *ssl, const struct tls_socket *s, const struct tls_server *server, char *why,
                 size_t size)
{
    ERR_clear_error();
    if (!expect_host(ssl, server->host) || !expect_protocol(ssl, server->protocol)) {
        (void)snprintf(why, size, "no memory for TLS");
        return false;
    }
    while (!atomic_load(server->cancel) && clock_mono_ns() < server->deadline_ns) {
        int n = SSL_connect(ssl);
        if (n == 1)
            return true;
        int wanted = SSL_get_error(ssl, n);
        struct pollfd p = {.fd = s->fd,
                           .events = wanted == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
        if (wanted != SSL_ERROR_WANT_READ && wanted != SSL_ERROR_WANT_WRITE) {
            explain(ssl, why, size);
            return false;
        }
        (void)poll(&p, 1, LOOK_MS);
    }
    (void)snprintf(why, size, "TLS: no handshake in time");
    return false;
}
