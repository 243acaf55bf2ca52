#include "base/name.h"

#include <stdbool.h>
#include <string.h>

#include "base/hex.h"
#include "base/sha256.h"

#define NAME_KEPT   96 /* bytes of a long token that stay readable */
#define NAME_DIGEST 16 /* bytes of the digest that make it unique */

static bool is_plain(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* Encodes as much of `name` as fits into `max` bytes without cutting an escape. Returns the token's
 * length; *all tells whether the whole name fitted. */
static size_t encode(const char *name, char *out, size_t max, bool *all)
{
    size_t len = 0;

    for (; *name; name++) {
        char c = *name;

        if (len + (is_plain(c) ? 1 : 3) > max)
            break;
        if (is_plain(c)) {
            out[len++] = c;
        } else {
            out[len++] = '=';
            hex_encode_upper(name, 1, out + len);
            len += 2;
        }
    }
    *all = !*name;
    return len;
}

void name_encode(const char *name, char out[NAME_TOKEN_SIZE])
{
    unsigned char digest[SHA256_SIZE];
    bool all;
    size_t len = encode(name, out, NAME_TOKEN_MAX, &all);

    if (len == 0 && all) {
        memcpy(out, "=e", 3);
        return;
    }
    if (!all) {
        len = encode(name, out, NAME_KEPT, &all);
        sha256(name, strlen(name), digest);
        out[len++] = '=';
        out[len++] = 'h';
        hex_encode_upper(digest, NAME_DIGEST, out + len);
        len += 2 * (size_t)NAME_DIGEST;
    }
    out[len] = '\0';
}

bool name_decode(const char *token, char out[NAME_TOKEN_SIZE])
{
    char again[NAME_TOKEN_SIZE];
    size_t len = 0;

    for (const char *p = token; *p && len < NAME_TOKEN_MAX; len++) {
        int byte = *p == '=' ? hex_pair(p + 1) : *p;

        if (byte <= 0)
            return false;
        out[len] = (char)byte;
        p += *p == '=' ? 3 : 1;
    }
    out[len] = '\0';
    name_encode(out, again);
    return strcmp(again, token) == 0;
}
