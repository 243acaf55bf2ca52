/* A password without TLS: the client encrypts it with the server's public key, RSA-OAEP. The key is
 * made when the first client asks for it, and lives as long as the server. */
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "wire/mysql/conn.h"

#define RSA_BITS 2048

static EVP_PKEY *key(struct mysql_server *s)
{
    pthread_mutex_lock(&s->rsa_mu);
    if (!s->rsa)
        s->rsa = EVP_RSA_gen(RSA_BITS);
    EVP_PKEY *k = s->rsa;
    pthread_mutex_unlock(&s->rsa_mu);
    return k;
}

bool mysql_rsa_public(struct mysql_server *s, struct buf *pem)
{
    EVP_PKEY *k = key(s);
    BIO *b = k ? BIO_new(BIO_s_mem()) : NULL;
    char *text = NULL;
    long n = b && PEM_write_bio_PUBKEY(b, k) == 1 ? BIO_get_mem_data(b, &text) : 0;

    if (n > 0)
        buf_put(pem, text, (size_t)n);
    BIO_free(b);
    return n > 0;
}

bool mysql_rsa_decrypt(struct mysql_server *s, const void *data, size_t len, struct buf *out)
{
    EVP_PKEY *k = key(s);
    EVP_PKEY_CTX *ctx = k ? EVP_PKEY_CTX_new(k, NULL) : NULL;
    size_t n = RSA_BITS / 8;
    char *to = buf_reserve(out, n);
    bool ok = ctx && to && EVP_PKEY_decrypt_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
              EVP_PKEY_decrypt(ctx, (unsigned char *)to, &n, data, len) == 1;

    EVP_PKEY_CTX_free(ctx);
    if (ok)
        out->len += n;
    return ok;
}
