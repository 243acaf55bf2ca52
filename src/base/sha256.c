#include "base/sha256.h"

#include <openssl/evp.h>
#include <stdlib.h>

void sha256(const void *bytes, size_t len, unsigned char out[SHA256_SIZE])
{
    unsigned int n = 0;

    if (EVP_Digest(bytes, len, out, &n, EVP_sha256(), NULL) != 1 || n != SHA256_SIZE)
        abort();
}
