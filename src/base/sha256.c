#include "base/sha256.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/hex.h"

void sha256(const void *bytes, size_t len, unsigned char out[SHA256_SIZE])
{
    unsigned int n = 0;

    if (EVP_Digest(bytes, len, out, &n, EVP_sha256(), NULL) != 1 || n != SHA256_SIZE)
        abort();
}

/* EVP's context under a name of our own. */
struct sha256 *sha256_new(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    if (!c || EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
        abort();
    return (struct sha256 *)c;
}

void sha256_add(struct sha256 *s, const void *bytes, size_t len)
{
    if (EVP_DigestUpdate((EVP_MD_CTX *)s, bytes, len) != 1)
        abort();
}

void sha256_end(struct sha256 *s, unsigned char out[SHA256_SIZE])
{
    EVP_MD_CTX *c = (EVP_MD_CTX *)s;
    unsigned int n = 0;

    if (EVP_DigestFinal_ex(c, out, &n) != 1 || n != SHA256_SIZE ||
        EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1)
        abort();
}

void sha256_free(struct sha256 *s)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)s);
}

void sha256_text(const unsigned char digest[SHA256_SIZE], char out[SHA256_TEXT_SIZE])
{
    hex_encode(digest, SHA256_SIZE, out);
    out[2 * (size_t)SHA256_SIZE] = '\0';
}
