/*
 * OpenSSL: the certificate at start, a handshake for each connection.
 *
 * The socket is a blocking one, and OpenSSL's own BIO would stay in send() and recv() for as long
 * as the client likes. Ours never waits in send(), and in recv() only where there is no deadline:
 * the callers wait with poll(), as they do for plain connections. A thread that waits for the next
 * query sleeps in recv(), which costs no call more than that.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "wire/pg/conn.h"

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

/* TLS 1.3's ALPN of direct connections: "postgresql", and nothing else. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\012postgresql";

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, sizeof ours - 1, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

enum err_code pg_tls_load(SSL_CTX **out, const char *cert, const char *key, struct err *e)
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
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        return failed(ctx, "--pg-cert", cert, e);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return failed(ctx, "--pg-key", key, e);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return failed(ctx, "the certificate does not fit the private key", key, e);
    *out = ctx;
    return ERR_OK;
}

/* ---- its way to the socket ---- */

static int bio_write(BIO *b, const char *p, int n)
{
    const struct pg_conn *c = BIO_get_data(b);
    ssize_t sent;

    BIO_clear_retry_flags(b);
    do {
        sent = send(c->fd, p, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno == EAGAIN)
        BIO_set_retry_write(b);
    return (int)sent;
}

static int bio_read(BIO *b, char *to, int room)
{
    const struct pg_conn *c = BIO_get_data(b);
    ssize_t n;

    BIO_clear_retry_flags(b);
    do {
        n = recv(c->fd, to, (size_t)room, c->deadline_ns == CLOCK_EVER ? 0 : MSG_DONTWAIT);
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
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "PostgreSQL connection");
    if (!method)
        return;
    (void)BIO_meth_set_write(method, bio_write);
    (void)BIO_meth_set_read(method, bio_read);
    (void)BIO_meth_set_ctrl(method, bio_control);
}

static BIO *new_bio(struct pg_conn *c)
{
    BIO *b;

    (void)pthread_once(&once, make_method);
    b = method ? BIO_new(method) : NULL;
    if (!b)
        return NULL;
    BIO_set_data(b, c);
    BIO_set_init(b, 1);
    return b;
}

/* ---- the handshake ---- */

bool pg_tls_has_alpn(const struct pg_conn *c)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(c->ssl, &name, &n);
    return n > 0;
}

bool pg_tls_accept(struct pg_conn *c)
{
    BIO *b = new_bio(c);

    c->ssl = b ? SSL_new(c->server->tls) : NULL;
    if (!c->ssl) {
        BIO_free(b);
        return false;
    }
    SSL_set_bio(c->ssl, b, b); /* transferred */
    for (;;) {
        int n = SSL_accept(c->ssl);
        if (n == 1)
            return true;
        int why = SSL_get_error(c->ssl, n);
        int64_t left_ms = (c->deadline_ns - clock_mono_ns()) / CLOCK_MS;
        struct pollfd p = {.fd = c->fd, .events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
        bool again = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
        if (!again || left_ms <= 0 || poll(&p, 1, (int)left_ms) <= 0) {
            ERR_clear_error();
            return false;
        }
    }
}

size_t pg_tls_binding(SSL_CTX *tls, unsigned char out[64])
{
    X509 *cert = tls ? SSL_CTX_get0_certificate(tls) : NULL;
    int digest_nid = NID_undef;
    const EVP_MD *md = NULL;
    unsigned n = 0;

    if (!cert)
        return 0;
    /* Of RSA-PSS the digest stands in the parameters; Ed25519 has none. */
    if (X509_get_signature_info(cert, &digest_nid, NULL, NULL, NULL) == 1)
        md = EVP_get_digestbynid(digest_nid);
    if (!md || digest_nid == NID_md5 || digest_nid == NID_sha1) /* RFC 5929, section 4.1 */
        md = EVP_sha256();
    if (X509_digest(cert, md, out, &n) != 1)
        return 0;
    return n;
}
