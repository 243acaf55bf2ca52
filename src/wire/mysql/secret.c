#include "wire/mysql/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

#define NONCE_BYTES   20
#define CRYPT_PREFIX  "$A$"
#define CRYPT_BYTES   70 /* $A$005$ + 20 + 43 */
#define CRYPT_FACTOR  1000u
#define ROUNDS_LEAST  1000u
#define ROUNDS_MOST   999000u
#define PASSWORD_MOST 256u

/* Up to three parts, one after the other. */
static bool digest(const EVP_MD *md, unsigned char *out, const void *a, size_t a_len, const void *b,
                   size_t b_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned n = 0;
    bool ok = ctx && EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
              EVP_DigestUpdate(ctx, a, a_len) == 1 && EVP_DigestUpdate(ctx, b, b_len) == 1 &&
              EVP_DigestFinal_ex(ctx, out, &n) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

static bool twice(const EVP_MD *md, unsigned char *out, const char *pass, size_t len)
{
    unsigned char once[EVP_MAX_MD_SIZE];

    return digest(md, once, pass, len, "", 0) &&
           digest(md, out, once, (size_t)EVP_MD_get_size(md), "", 0);
}

/* ---- SHA-256 crypt (U. Drepper, "Unix crypt using SHA-256 and SHA-512"), with MySQL's salt of 20
 * bytes instead of up to 16 ---- */

static void put_base64(char **out, unsigned a, unsigned b, unsigned c, unsigned n)
{
    static const char alphabet[] =
        "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned w = a << 16 | b << 8 | c;

    for (; n > 0; n--, w >>= 6)
        *(*out)++ = alphabet[w & 0x3F];
}

/* Appends `n` bytes of the digest `from`, again and again. */
static bool add_times(EVP_MD_CTX *ctx, const unsigned char *from, size_t n)
{
    for (; n > SECRET_SHA256_BYTES; n -= SECRET_SHA256_BYTES)
        if (EVP_DigestUpdate(ctx, from, SECRET_SHA256_BYTES) != 1)
            return false;
    return EVP_DigestUpdate(ctx, from, n) == 1;
}

static bool begin(EVP_MD_CTX *ctx)
{
    return EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;
}

static bool end(EVP_MD_CTX *ctx, unsigned char *out)
{
    unsigned n;

    return EVP_DigestFinal_ex(ctx, out, &n) == 1;
}

/* The digest A of the description's steps 1 to 12. */
static bool first_digest(EVP_MD_CTX *ctx, const char *pass, size_t len, const char *salt,
                         size_t salt_len, unsigned char a[SECRET_SHA256_BYTES])
{
    unsigned char b[SECRET_SHA256_BYTES];
    bool ok = begin(ctx) && EVP_DigestUpdate(ctx, pass, len) == 1 &&
              EVP_DigestUpdate(ctx, salt, salt_len) == 1 && EVP_DigestUpdate(ctx, pass, len) == 1 &&
              end(ctx, b);

    ok = ok && begin(ctx) && EVP_DigestUpdate(ctx, pass, len) == 1 &&
         EVP_DigestUpdate(ctx, salt, salt_len) == 1 && add_times(ctx, b, len);
    for (size_t n = len; ok && n > 0; n >>= 1)
        ok =
            n & 1 ? EVP_DigestUpdate(ctx, b, sizeof b) == 1 : EVP_DigestUpdate(ctx, pass, len) == 1;
    return ok && end(ctx, a);
}

/* P and S: as long as password and salt, of digests of many of them (13 to 20). */
static bool sequences(EVP_MD_CTX *ctx, const char *pass, size_t len, const char *salt,
                      size_t salt_len, unsigned char first, unsigned char *p, unsigned char *s)
{
    unsigned char d[SECRET_SHA256_BYTES];
    bool ok = begin(ctx);

    for (size_t i = 0; ok && i < len; i++)
        ok = EVP_DigestUpdate(ctx, pass, len) == 1;
    ok = ok && end(ctx, d);
    for (size_t i = 0; ok && i < len; i++)
        p[i] = d[i % sizeof d];
    ok = ok && begin(ctx);
    for (unsigned i = 0; ok && i < 16u + first; i++)
        ok = EVP_DigestUpdate(ctx, salt, salt_len) == 1;
    ok = ok && end(ctx, d);
    for (size_t i = 0; ok && i < salt_len; i++)
        s[i] = d[i % sizeof d];
    return ok;
}

static bool crypt_rounds(EVP_MD_CTX *ctx, unsigned rounds, const unsigned char *p, size_t len,
                         const unsigned char *s, size_t salt_len,
                         unsigned char a[SECRET_SHA256_BYTES])
{
    bool ok = true;

    for (unsigned i = 0; ok && i < rounds; i++) {
        ok = begin(ctx) && (i & 1 ? EVP_DigestUpdate(ctx, p, len)
                                  : EVP_DigestUpdate(ctx, a, SECRET_SHA256_BYTES)) == 1;
        if (ok && i % 3)
            ok = EVP_DigestUpdate(ctx, s, salt_len) == 1;
        if (ok && i % 7)
            ok = EVP_DigestUpdate(ctx, p, len) == 1;
        ok = ok && (i & 1 ? EVP_DigestUpdate(ctx, a, SECRET_SHA256_BYTES)
                          : EVP_DigestUpdate(ctx, p, len)) == 1;
        ok = ok && end(ctx, a);
    }
    return ok;
}

static bool crypt_sha256(const char *pass, size_t len, const char *salt, unsigned rounds,
                         char hash[44])
{
    static const unsigned char order[10][3] = {{0, 10, 20}, {21, 1, 11}, {12, 22, 2}, {3, 13, 23},
                                               {24, 4, 14}, {15, 25, 5}, {6, 16, 26}, {27, 7, 17},
                                               {18, 28, 8}, {9, 19, 29}};
    unsigned char a[SECRET_SHA256_BYTES], p[PASSWORD_MOST], s[NONCE_BYTES];
    size_t salt_len = strlen(salt);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    char *at = hash;
    bool ok = ctx && len <= sizeof p && salt_len <= sizeof s &&
              first_digest(ctx, pass, len, salt, salt_len, a) &&
              sequences(ctx, pass, len, salt, salt_len, a[0], p, s) &&
              crypt_rounds(ctx, rounds, p, len, s, salt_len, a);

    EVP_MD_CTX_free(ctx);
    OPENSSL_cleanse(p, sizeof p);
    if (!ok)
        return false;
    for (unsigned i = 0; i < 10; i++)
        put_base64(&at, a[order[i][0]], a[order[i][1]], a[order[i][2]], 4);
    put_base64(&at, 0, a[31], a[30], 3);
    *at = '\0';
    return true;
}

/* ---- what is configured ---- */

static bool is_native_hash(const char *pass)
{
    return *pass == '*' && strlen(pass) == 41 && hex_is_bytes(pass + 1, 40);
}

/* "$A$005$": a thousand rounds times the hexadecimal number. */
static bool read_crypt(struct secret *s, const char *pass)
{
    unsigned factor = 0;

    if (strlen(pass) != CRYPT_BYTES || strncmp(pass, CRYPT_PREFIX, 3) != 0 || pass[6] != '$')
        return false;
    for (unsigned i = 3; i < 6; i++) {
        int digit = hex_value(pass[i]);
        if (digit < 0)
            return false;
        factor = factor * 16 + (unsigned)digit;
    }
    s->rounds = factor * CRYPT_FACTOR;
    memcpy(s->salt, pass + 7, 20);
    memcpy(s->hash, pass + 27, 43);
    return s->rounds >= ROUNDS_LEAST && s->rounds <= ROUNDS_MOST;
}

enum err_code secret_init(struct secret *s, const char *pass, struct err *e)
{
    size_t len = strlen(pass);

    memset(s, 0, sizeof *s);
    pthread_mutex_init(&s->mu, NULL);
    s->open = len == 0;
    if (read_crypt(s, pass)) {
        s->is_crypt = true;
        return ERR_OK;
    }
    s->has_native = true;
    if (is_native_hash(pass)) {
        for (unsigned i = 0; i < SECRET_SHA1_BYTES; i++)
            s->native[i] = (unsigned char)((unsigned)hex_value(pass[1 + 2 * i]) << 4 |
                                           (unsigned)hex_value(pass[2 + 2 * i]));
        return ERR_OK;
    }
    if (len > PASSWORD_MOST)
        return err_set(e, ERR_CONFIG, "--mysql-pass is longer than %u bytes", PASSWORD_MOST);
    if (!twice(EVP_sha1(), s->native, pass, len) || !twice(EVP_sha256(), s->fast, pass, len))
        return err_set(e, ERR_INTERNAL, "OpenSSL cannot make a digest");
    s->has_fast = true;
    return ERR_OK;
}

void secret_fini(struct secret *s)
{
    pthread_mutex_destroy(&s->mu);
}

/* ---- proofs ---- */

/* proof XOR digest(nonce and stage 2, in the method's order) has to hash to stage 2. */
static bool matches(const EVP_MD *md, const unsigned char *stage2, const char *nonce,
                    const unsigned char *proof, bool nonce_first)
{
    size_t n = (size_t)EVP_MD_get_size(md);
    unsigned char pad[EVP_MAX_MD_SIZE], again[EVP_MAX_MD_SIZE];

    if (!(nonce_first ? digest(md, pad, nonce, NONCE_BYTES, stage2, n)
                      : digest(md, pad, stage2, n, nonce, NONCE_BYTES)))
        return false;
    for (size_t i = 0; i < n; i++)
        pad[i] ^= proof[i];
    return digest(md, again, pad, n, "", 0) && CRYPTO_memcmp(again, stage2, n) == 0;
}

bool secret_check_native(const struct secret *s, const char *nonce, const void *proof, size_t len)
{
    return s->has_native && len == SECRET_SHA1_BYTES &&
           matches(EVP_sha1(), s->native, nonce, proof, true);
}

enum secret_fast secret_check_fast(struct secret *s, const char *nonce, const void *proof,
                                   size_t len)
{
    unsigned char fast[SECRET_SHA256_BYTES];

    if (len != SECRET_SHA256_BYTES)
        return SECRET_WRONG;
    pthread_mutex_lock(&s->mu);
    bool has = s->has_fast;
    memcpy(fast, s->fast, sizeof fast);
    pthread_mutex_unlock(&s->mu);
    if (!has)
        return SECRET_UNKNOWN;
    return matches(EVP_sha256(), fast, nonce, proof, false) ? SECRET_RIGHT : SECRET_WRONG;
}

bool secret_check_password(struct secret *s, const char *pass, size_t len)
{
    unsigned char native[SECRET_SHA1_BYTES], fast[SECRET_SHA256_BYTES];
    char hash[44];
    bool right;

    if (len > PASSWORD_MOST || !twice(EVP_sha256(), fast, pass, len))
        return false;
    if (s->is_crypt)
        right = crypt_sha256(pass, len, s->salt, s->rounds, hash) &&
                CRYPTO_memcmp(hash, s->hash, sizeof hash) == 0;
    else
        right = twice(EVP_sha1(), native, pass, len) &&
                CRYPTO_memcmp(native, s->native, sizeof native) == 0;
    if (!right)
        return false;
    pthread_mutex_lock(&s->mu);
    memcpy(s->fast, fast, sizeof fast);
    s->has_fast = true;
    pthread_mutex_unlock(&s->mu);
    return true;
}
