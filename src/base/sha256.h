/* SHA-256 of bytes in memory, by OpenSSL. Any thread. Aborts if OpenSSL cannot (out of memory). */
#ifndef HA_BASE_SHA256_H
#define HA_BASE_SHA256_H

#include <stddef.h>

#define SHA256_SIZE 32 /* bytes of a digest */

void sha256(const void *bytes, size_t len, unsigned char out[SHA256_SIZE]);

#endif
