/*
 * The token that a request has to carry, for every protocol that takes one. Any thread.
 */
#ifndef HA_BASE_TOKEN_H
#define HA_BASE_TOKEN_H

#include <stdbool.h>

#include "base/sha256.h"

struct token {
    bool wanted; /* without it everybody is let in */
    unsigned char digest[SHA256_SIZE];
};

/* NULL and "": none is wanted. */
void token_init(struct token *t, const char *text);

/* May come in who has sent this as Authorization, "Bearer <token>" or "<token>"? NULL: nothing was
 * sent. Digests are compared, so that neither length nor content shows in the time it takes. */
bool token_accepts(const struct token *t, const char *authorization);

#endif
