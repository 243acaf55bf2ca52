/* What PostgreSQL adds to TLS: the protocol's name (ALPN), and the certificate's digest that
 * SCRAM's PLUS is bound to. */
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "wire/pg/conn.h"
#include "wire/tls.h"

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
    enum err_code code = tls_load(out, cert, "--pg-cert", key, "--pg-key", e);

    if (code == ERR_OK)
        SSL_CTX_set_alpn_select_cb(*out, choose_protocol, NULL);
    return code;
}

bool pg_tls_has_alpn(const struct pg_conn *c)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(c->io.ssl, &name, &n);
    return n > 0;
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
