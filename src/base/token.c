#include "base/token.h"

#include <openssl/crypto.h>
#include <string.h>
#include <strings.h>

void token_init(struct token *t, const char *text)
{
    t->wanted = text && *text;
    memset(t->digest, 0, sizeof t->digest);
    if (t->wanted)
        sha256(text, strlen(text), t->digest);
}

static bool is_it(const struct token *t, const char *text)
{
    unsigned char digest[SHA256_SIZE];

    sha256(text, strlen(text), digest);
    return CRYPTO_memcmp(digest, t->digest, sizeof digest) == 0;
}

bool token_accepts(const struct token *t, const char *authorization)
{
    if (!t->wanted)
        return true;
    if (!authorization)
        return false;
    if (strncasecmp(authorization, "Bearer ", 7) == 0 &&
        is_it(t, authorization + 7 + strspn(authorization + 7, " ")))
        return true;
    return is_it(t, authorization);
}
