/*
 * What a password is proved against, by MySQL's two methods. `--mysql-pass` is the password itself,
 * or, as in mysql.user:
 *
 *     *2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19     mysql_native_password: SHA1(SHA1(password))
 *     $A$005$ salt(20) hash(43)                     caching_sha2_password: SHA-256 crypt
 *
 * With the latter the server learns the password's fast proof only when it has seen the password
 * itself once, over TLS or RSA ("full authentication"); it is kept in memory from then on.
 *
 * Any thread: what is learned is behind a lock.
 */
#ifndef HA_WIRE_MYSQL_SECRET_H
#define HA_WIRE_MYSQL_SECRET_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define SECRET_SHA1_BYTES   20u
#define SECRET_SHA256_BYTES 32u

struct secret {
    /* immutable after secret_init() */
    bool open;                               /* no password is asked for */
    bool has_native;                         /* `native` is known: mysql_native_password works */
    bool is_crypt;                           /* only salt and hash are known */
    unsigned char native[SECRET_SHA1_BYTES]; /* SHA1(SHA1(password)) */
    char salt[21], hash[44];
    unsigned rounds;
    /* guarded by mu */
    pthread_mutex_t mu;
    bool has_fast;
    unsigned char fast[SECRET_SHA256_BYTES]; /* SHA256(SHA256(password)) */
};

enum err_code secret_init(struct secret *s, const char *pass, struct err *e);
void secret_fini(struct secret *s);

/* mysql_native_password: 20 bytes on this nonce of 20. */
bool secret_check_native(const struct secret *s, const char *nonce, const void *proof, size_t len);

/* caching_sha2_password: 32 bytes on this nonce. UNKNOWN: the password itself has to be asked for.
 */
enum secret_fast { SECRET_RIGHT, SECRET_WRONG, SECRET_UNKNOWN };
enum secret_fast secret_check_fast(struct secret *s, const char *nonce, const void *proof,
                                   size_t len);
/* The password itself; remembers its fast proof where it is right. */
bool secret_check_password(struct secret *s, const char *pass, size_t len);

#endif
