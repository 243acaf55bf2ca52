/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, as PostgreSQL speaks it. Pure; any thread.
 *
 *   client-first    n,,n=user,r=nonce            (or p=tls-server-end-point,,… or y,,…)
 *   server-first    r=nonce+ours,s=salt,i=iterations
 *   client-final    c=base64(header+binding),r=nonce+ours,p=proof
 *   server-final    v=signature
 *
 * Deviations: the user name in the message is not looked at (PostgreSQL's startup packet has it);
 * passwords are not normalised by SASLprep (RFC 4013), which leaves ASCII as it is; the optional
 * extensions "m=…" are refused.
 */
#ifndef HA_PROTO_SCRAM_H
#define HA_PROTO_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SCRAM_KEY_BYTES  32
#define SCRAM_SALT_BYTES 16
#define SCRAM_ITERATIONS 4096

/* What a server keeps of a password. */
struct scram_secret {
    uint32_t iterations;
    unsigned char salt[64];
    size_t salt_len;
    unsigned char stored_key[SCRAM_KEY_BYTES];
    unsigned char server_key[SCRAM_KEY_BYTES];
};

/* False where OpenSSL fails. */
bool scram_derive(struct scram_secret *out, const char *password, size_t len, const void *salt,
                  size_t salt_len, uint32_t iterations);
/* "SCRAM-SHA-256$4096:salt$stored:server", as in pg_authid. */
bool scram_parse_secret(struct scram_secret *out, const char *text);

struct scram {
    const struct scram_secret *secret; /* borrowed */
    const unsigned char *binding;      /* tls-server-end-point data; NULL = none can be */
    size_t binding_len;
    bool plus;               /* the mechanism chosen was SCRAM-SHA-256-PLUS */
    struct buf first_bare;   /* client-first-message-bare */
    struct buf server_first; /* what we answered */
    struct buf header;       /* the GS2 header */
    char nonce[160];         /* both parts */
};

void scram_init(struct scram *s, const struct scram_secret *secret, bool plus, const void *binding,
                size_t binding_len);
void scram_fini(struct scram *s);
/* `ours` is this server's part of the nonce, printable, without commas. Appends to `out`. *why is a
 * static text after false. */
bool scram_first(struct scram *s, const char *msg, size_t len, const char *ours, struct buf *out,
                 const char **why);
/* *proven tells whether the password was right; false only for a malformed message. */
bool scram_final(struct scram *s, const char *msg, size_t len, bool *proven, struct buf *out,
                 const char **why);

#endif
