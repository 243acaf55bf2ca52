#include "wire/tls.h"

#include <openssl/err.h>

static enum err_code failed(SSL_CTX *ctx, const char *what, const char *which, const char *file,
                            struct err *e)
{
    char text[160] = "unknown reason";
    unsigned long why = ERR_get_error();

    if (why)
        ERR_error_string_n(why, text, sizeof text);
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return err_set(e, ERR_CONFIG, "%s%s \"%s\": %s", what, which, file, text);
}

enum err_code tls_load(SSL_CTX **out, const char *cert, const char *key, const char *flags,
                       struct err *e)
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
        return failed(ctx, flags, "-cert", cert, e);
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return failed(ctx, flags, "-key", key, e);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return failed(ctx, "the certificate does not fit the private key", "", key, e);
    *out = ctx;
    return ERR_OK;
}
