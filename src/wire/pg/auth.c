/* SCRAM-SHA-256 and -PLUS, md5, clear text. Whoever fails learns only that it failed. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/base64.h"
#include "base/hex.h"
#include "wire/pg/conn.h"

#define AUTH_OK            0
#define AUTH_CLEARTEXT     3
#define AUTH_MD5           5
#define AUTH_SASL          10
#define AUTH_SASL_CONTINUE 11
#define AUTH_SASL_FINAL    12

static bool refuse(struct pg_conn *c)
{
    pg_fatal(c, "28P01", "password authentication failed for user \"%s\"", c->user_name);
    return false;
}

static bool malformed(struct pg_conn *c, const char *why)
{
    pg_fatal(c, "08P01", "%s", why);
    return false;
}

/* The next message, which has to be a 'p'. */
static bool read_answer(struct pg_conn *c, struct pg_message *m)
{
    switch (pg_read(c, m)) {
    case PG_READ_OK:
        if (m->type == 'p')
            return true;
        return malformed(c, "expected a password response");
    case PG_READ_TIMEOUT:
        pg_fatal(c, "57014", "canceling authentication due to timeout");
        return false;
    case PG_READ_CLOSED: /* psql does so before it asks for the password */
        return false;
    default:
        return malformed(c, "expected a password response");
    }
}

/* ---- SCRAM ---- */

static void offer(struct pg_conn *c)
{
    static const char plain[] = "SCRAM-SHA-256\0";
    static const char both[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";

    if (c->io.ssl)
        pgwire_write_auth(&c->io.out, AUTH_SASL, both, sizeof both);
    else
        pgwire_write_auth(&c->io.out, AUTH_SASL, plain, sizeof plain);
}

static bool make_nonce(struct buf *b)
{
    unsigned char bytes[18];

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    base64_encode(b, bytes, sizeof bytes);
    return buf_ok(b);
}

/* SASLInitialResponse: mechanism, then the client's first message. */
static bool scram_begin(struct pg_conn *c, struct scram *s, const struct scram_secret *secret,
                        const unsigned char *binding, size_t binding_len)
{
    struct pg_message m;
    struct reader r;
    struct buf nonce = BUF_INIT, out = BUF_INIT;
    const char *why = "out of memory";

    offer(c);
    if (!read_answer(c, &m))
        return false;
    r = reader_of(m.body, m.len);
    const char *mechanism = reader_cstr(&r);
    uint32_t n = reader_u32(&r);
    const char *msg = reader_bytes(&r, n);
    bool plus = strcmp(mechanism, "SCRAM-SHA-256-PLUS") == 0;
    if (!reader_done(&r) || (!plus && strcmp(mechanism, "SCRAM-SHA-256") != 0) ||
        (plus && !c->io.ssl))
        return malformed(c, "client selected an invalid SASL authentication mechanism");
    scram_init(s, secret, plus, binding_len > 0 ? binding : NULL, binding_len);
    bool ok = make_nonce(&nonce) && scram_first(s, msg, n, buf_cstr(&nonce), &out, &why);
    if (ok)
        pgwire_write_auth(&c->io.out, AUTH_SASL_CONTINUE, out.data, out.len);
    buf_free(&nonce);
    buf_free(&out);
    return ok || malformed(c, why);
}

static bool scram(struct pg_conn *c)
{
    const struct pg_user *u = pg_users_find(&c->server->users, c->user_name);
    unsigned char binding[64];
    size_t binding_len = c->io.ssl ? pg_tls_binding(c->server->tls, binding) : 0;
    struct scram_secret mock;
    struct scram s = {0};
    struct buf out = BUF_INIT;
    struct pg_message m;
    const char *why = "";
    bool proven = false;

    if (!u && !pg_users_mock(&c->server->users, c->user_name, &mock))
        return malformed(c, "no random numbers");
    bool ok =
        scram_begin(c, &s, u ? &u->secret : &mock, binding, binding_len) && read_answer(c, &m);
    if (ok && !scram_final(&s, m.body, m.len, &proven, &out, &why))
        ok = malformed(c, why);
    if (ok && (!proven || !u))
        ok = refuse(c);
    if (ok) {
        c->user = u;
        pgwire_write_auth(&c->io.out, AUTH_SASL_FINAL, out.data, out.len);
    }
    scram_fini(&s);
    buf_free(&out);
    return ok;
}

/* ---- passwords ---- */

static bool md5_hex(const void *a, size_t a_len, const void *b, size_t b_len, char out[33])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 &&
              EVP_DigestUpdate(ctx, a, a_len) == 1 && EVP_DigestUpdate(ctx, b, b_len) == 1 &&
              EVP_DigestFinal_ex(ctx, digest, &n) == 1 && n == 16;

    EVP_MD_CTX_free(ctx);
    if (ok)
        hex_encode(digest, n, out);
    out[32] = '\0';
    return ok;
}

static bool same(const char *a, const char *b)
{
    size_t n = strlen(a);

    return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}

/* "md5" + md5(md5(password + user) + salt) */
static bool md5_matches(const struct pg_user *u, const char *answer, const unsigned char salt[4])
{
    char inner[33], want[36] = "md5";

    return md5_hex(u->pass, strlen(u->pass), u->name, strlen(u->name), inner) &&
           md5_hex(inner, 32, salt, 4, want + 3) && same(answer, want);
}

static bool password(struct pg_conn *c, bool md5)
{
    const struct pg_user *u = pg_users_find(&c->server->users, c->user_name);
    unsigned char salt[4];
    struct pg_message m;
    const char *answer;

    if (RAND_bytes(salt, sizeof salt) != 1)
        return malformed(c, "no random numbers");
    pgwire_write_auth(&c->io.out, md5 ? AUTH_MD5 : AUTH_CLEARTEXT, salt, md5 ? sizeof salt : 0);
    if (!read_answer(c, &m))
        return false;
    if (!pgwire_read_string(m.body, m.len, &answer))
        return malformed(c, "invalid password packet");
    if (!u || !u->pass || !(md5 ? md5_matches(u, answer, salt) : same(answer, u->pass)))
        return refuse(c);
    c->user = u;
    return true;
}

bool pg_authenticate(struct pg_conn *c)
{
    const struct pg_user *u = pg_users_find(&c->server->users, c->user_name);
    bool ok = true;

    if (u && u->open)
        c->user = u;
    else if (c->server->auth == PG_AUTH_SCRAM)
        ok = scram(c);
    else
        ok = password(c, c->server->auth == PG_AUTH_MD5);
    if (ok)
        pgwire_write_auth(&c->io.out, AUTH_OK, NULL, 0);
    return ok;
}
