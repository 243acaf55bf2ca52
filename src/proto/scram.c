/* Keys first, then the two steps of the conversation; names are those of RFC 5802, section 3. */
#include "proto/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/sha256.h"

static bool hmac(const unsigned char key[SCRAM_KEY_BYTES], const void *data, size_t len,
                 unsigned char out[SCRAM_KEY_BYTES])
{
    unsigned n = 0;

    return HMAC(EVP_sha256(), key, SCRAM_KEY_BYTES, data, len, out, &n) && n == SCRAM_KEY_BYTES;
}

bool scram_derive(struct scram_secret *out, const char *password, size_t len, const void *salt,
                  size_t salt_len, uint32_t iterations)
{
    unsigned char salted[SCRAM_KEY_BYTES], client_key[SCRAM_KEY_BYTES];

    if (salt_len > sizeof out->salt || len > INT32_MAX)
        return false;
    out->iterations = iterations;
    out->salt_len = salt_len;
    memcpy(out->salt, salt, salt_len);
    bool ok = PKCS5_PBKDF2_HMAC(password, (int)len, salt, (int)salt_len, (int)iterations,
                                EVP_sha256(), sizeof salted, salted) == 1 &&
              hmac(salted, "Client Key", 10, client_key) &&
              hmac(salted, "Server Key", 10, out->server_key);
    if (ok)
        sha256(client_key, sizeof client_key, out->stored_key);
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
    return ok;
}

bool scram_parse_secret(struct scram_secret *out, const char *text)
{
    static const char prefix[] = "SCRAM-SHA-256$";
    size_t n;
    uint32_t iterations = 0;
    const char *p = text + sizeof prefix - 1;

    if (strncmp(text, prefix, sizeof prefix - 1) != 0)
        return false;
    for (; *p >= '0' && *p <= '9' && iterations < 100000000; p++)
        iterations = iterations * 10 + (uint32_t)(*p - '0');
    const char *dollar = strchr(p, '$');
    const char *colon = dollar ? strchr(dollar, ':') : NULL;
    if (*p++ != ':' || !colon || iterations == 0)
        return false;
    out->iterations = iterations;
    return base64_decode_into(p, (size_t)(dollar - p), out->salt, sizeof out->salt,
                              &out->salt_len) &&
           out->salt_len > 0 &&
           base64_decode_into(dollar + 1, (size_t)(colon - dollar) - 1, out->stored_key,
                              SCRAM_KEY_BYTES, &n) &&
           n == SCRAM_KEY_BYTES &&
           base64_decode_into(colon + 1, strlen(colon + 1), out->server_key, SCRAM_KEY_BYTES, &n) &&
           n == SCRAM_KEY_BYTES;
}

void scram_init(struct scram *s, const struct scram_secret *secret, bool plus, const void *binding,
                size_t binding_len)
{
    memset(s, 0, sizeof *s);
    s->secret = secret;
    s->plus = plus;
    s->binding = binding;
    s->binding_len = binding_len;
}

void scram_fini(struct scram *s)
{
    buf_free(&s->first_bare);
    buf_free(&s->server_first);
    buf_free(&s->header);
}

/* The attribute at *at, up to a comma or the end; moves behind the comma. */
static bool attribute(const char **at, const char *end, char name, const char **value, size_t *len)
{
    const char *p = *at;

    if (end - p < 2 || p[0] != name || p[1] != '=')
        return false;
    const char *comma = memchr(p, ',', (size_t)(end - p));
    const char *stop = comma ? comma : end;
    *value = p + 2;
    *len = (size_t)(stop - *value);
    *at = comma ? comma + 1 : end;
    return true;
}

/* gs2-header = cbind-flag "," [authzid] ","; false and *why where it does not suit. */
static bool read_header(struct scram *s, const char **at, const char *end, const char **why)
{
    static const char type[] = "p=tls-server-end-point,";
    const char *p = *at;
    const size_t n = sizeof type - 1;

    *why = "malformed SCRAM message";
    if (end - p >= (ptrdiff_t)n && memcmp(p, type, n) == 0) {
        *why = "channel binding was not negotiated";
        if (!s->plus)
            return false;
        p += n;
    } else if (end - p >= 2 && (p[0] == 'n' || p[0] == 'y') && p[1] == ',') {
        *why = "the mechanism needs channel binding";
        if (s->plus)
            return false;
        /* The client believes that we cannot: somebody has changed our list on the way. */
        *why = "SCRAM channel binding negotiation error";
        if (p[0] == 'y' && s->binding)
            return false;
        p += 2;
    } else {
        return false;
    }
    *why = "an authorization identity is not supported";
    if (p == end || *p != ',')
        return false;
    p++;
    buf_put(&s->header, *at, (size_t)(p - *at));
    *at = p;
    return true;
}

static bool is_printable(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x21 || s[i] > 0x7e)
            return false;
    return n > 0;
}

bool scram_first(struct scram *s, const char *msg, size_t len, const char *ours, struct buf *out,
                 const char **why)
{
    const char *at = msg, *end = msg + len, *user, *nonce;
    size_t user_len, nonce_len;

    if (!read_header(s, &at, end, why))
        return false;
    *why = "malformed SCRAM message";
    buf_put(&s->first_bare, at, (size_t)(end - at));
    if (!attribute(&at, end, 'n', &user, &user_len) ||
        !attribute(&at, end, 'r', &nonce, &nonce_len) || !is_printable(nonce, nonce_len) ||
        nonce_len + strlen(ours) >= sizeof s->nonce)
        return false;
    (void)snprintf(s->nonce, sizeof s->nonce, "%.*s%s", (int)nonce_len, nonce, ours);
    buf_printf(&s->server_first, "r=%s,s=", s->nonce);
    base64_encode(&s->server_first, s->secret->salt, s->secret->salt_len);
    buf_printf(&s->server_first, ",i=%u", s->secret->iterations);
    buf_put(out, s->server_first.data, s->server_first.len);
    return buf_ok(&s->server_first) && buf_ok(&s->first_bare) && buf_ok(&s->header);
}

/* c= must be the header, and with -PLUS the binding behind it. */
static bool check_binding(const struct scram *s, const char *text, size_t len)
{
    unsigned char have[256];
    size_t n = 0, header = s->header.len, bound = s->plus ? s->binding_len : 0;

    return base64_decode_into(text, len, have, sizeof have, &n) && n == header + bound &&
           memcmp(have, s->header.data, header) == 0 &&
           (bound == 0 || memcmp(have + header, s->binding, bound) == 0);
}

bool scram_final(struct scram *s, const char *msg, size_t len, bool *proven, struct buf *out,
                 const char **why)
{
    const char *at = msg, *end = msg + len, *c, *r, *p;
    size_t c_len, r_len, p_len, n = 0;
    unsigned char proof[SCRAM_KEY_BYTES], signature[SCRAM_KEY_BYTES], key[SCRAM_KEY_BYTES];
    struct buf auth = BUF_INIT;

    *proven = false;
    *why = "malformed SCRAM message";
    if (!attribute(&at, end, 'c', &c, &c_len) || !attribute(&at, end, 'r', &r, &r_len))
        return false;
    size_t without_proof = (size_t)(at - msg) - 1; /* the comma belongs to the proof */
    if (!attribute(&at, end, 'p', &p, &p_len) || at != end ||
        !base64_decode_into(p, p_len, proof, sizeof proof, &n) || n != sizeof proof)
        return false;
    *why = "SCRAM channel binding check failed";
    if (!check_binding(s, c, c_len))
        return false;
    *why = "the SCRAM nonce does not match";
    if (r_len != strlen(s->nonce) || memcmp(r, s->nonce, r_len) != 0)
        return false;
    *why = "out of memory";
    buf_put(&auth, s->first_bare.data, s->first_bare.len);
    buf_putc(&auth, ',');
    buf_put(&auth, s->server_first.data, s->server_first.len);
    buf_putc(&auth, ',');
    buf_put(&auth, msg, without_proof);
    bool ok = buf_ok(&auth) && hmac(s->secret->stored_key, auth.data, auth.len, signature);
    if (ok) {
        for (size_t i = 0; i < sizeof proof; i++)
            proof[i] ^= signature[i]; /* ClientKey */
        sha256(proof, sizeof proof, key);
        *proven = CRYPTO_memcmp(key, s->secret->stored_key, sizeof key) == 0;
        ok = hmac(s->secret->server_key, auth.data, auth.len, signature);
    }
    if (ok && *proven) {
        buf_puts(out, "v=");
        base64_encode(out, signature, sizeof signature);
    }
    buf_free(&auth);
    return ok;
}
