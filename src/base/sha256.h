/* SHA-256 of bytes in memory, by OpenSSL. Any thread. Aborts if OpenSSL cannot (out of memory). */
#ifndef HA_BASE_SHA256_H
#define HA_BASE_SHA256_H

#include <stddef.h>

#define SHA256_SIZE 32 /* bytes of a digest */

void sha256(const void *bytes, size_t len, unsigned char out[SHA256_SIZE]);

/* The same piece by piece; one thread at a time. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *s, const void *bytes, size_t len);
/* Gives the digest of everything added and begins anew. */
void sha256_end(struct sha256 *s, unsigned char out[SHA256_SIZE]);
void sha256_free(struct sha256 *s); /* NULL is fine */

/* Lower-case hexadecimal, terminated. */
#define SHA256_TEXT_SIZE (2 * SHA256_SIZE + 1)
void sha256_text(const unsigned char digest[SHA256_SIZE], char out[SHA256_TEXT_SIZE]);

#endif
