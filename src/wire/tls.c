#include "wire/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

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

/* After a step of it: waits for what it wants. False: it goes no further. */
static bool wait_for(SSL *ssl, int n, const struct tls_socket *s, int64_t deadline_ns)
{
    int why = SSL_get_error(ssl, n);
    int64_t left_ms = (deadline_ns - clock_mono_ns()) / CLOCK_MS;
    struct pollfd p = {.fd = s->fd, .events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
    bool again = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;

    return again && left_ms > 0 && poll(&p, 1, (int)left_ms) > 0;
}

bool tls_accept(SSL *ssl, const struct tls_socket *s, int64_t deadline_ns)
{
    int n;

    while ((n = SSL_accept(ssl)) != 1 && wait_for(ssl, n, s, deadline_ns))
        ;
    if (n != 1)
        ERR_clear_error();
    return n == 1;
}

/* ---- the other side ---- */

enum err_code tls_client(SSL_CTX **out, const char *protocol, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    unsigned char names[64];
    size_t len = strlen(protocol);

    *out = NULL;
    if (!ctx)
        return err_set(e, ERR_NO_MEMORY, "no memory for TLS");
    names[0] = (unsigned char)len;
    memcpy(names + 1, protocol, len < sizeof names ? len : 0);
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(ctx,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_default_verify_paths(ctx) != 1 || len >= sizeof names ||
        SSL_CTX_set_alpn_protos(ctx, names, (unsigned)len + 1) != 0)
        return failed(ctx, "TLS", protocol, e);
    *out = ctx;
    return ERR_OK;
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static enum err_code refused(SSL *ssl, struct err *e)
{
    char text[160] = "the connection was closed, or nothing came in time";
    long verified = SSL_get_verify_result(ssl);
    unsigned long why = ERR_get_error();

    if (why)
        ERR_error_string_n(why, text, sizeof text);
    ERR_clear_error();
    if (verified != X509_V_OK)
        return err_set(e, ERR_IO, "its certificate: %s", X509_verify_cert_error_string(verified));
    return err_set(e, ERR_IO, "TLS: %s", text);
}

enum err_code tls_connect(SSL *ssl, const struct tls_socket *s, const char *host,
                          int64_t deadline_ns, struct err *e)
{
    int n = 0;
    bool named = is_address(host)
                     ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1
                     : SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;

    ERR_clear_error();
    while (named && (n = SSL_connect(ssl)) != 1 && wait_for(ssl, n, s, deadline_ns))
        ;
    return n == 1 ? ERR_OK : refused(ssl, e);
}
