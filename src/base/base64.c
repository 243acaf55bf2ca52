#include "base/base64.h"

#include <stdint.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *b, const void *bytes, size_t len)
{
    const unsigned char *s = bytes;
    size_t i = 0;

    if (len > SIZE_MAX / 4 * 3 - 3) {
        b->failed = true;
        return;
    }
    char *p = buf_reserve(b, (len + 2) / 3 * 4);
    if (!p)
        return;
    for (; len - i >= 3; i += 3) {
        uint32_t v = (uint32_t)s[i] << 16 | (uint32_t)s[i + 1] << 8 | s[i + 2];
        *p++ = letters[v >> 18];
        *p++ = letters[v >> 12 & 63];
        *p++ = letters[v >> 6 & 63];
        *p++ = letters[v & 63];
    }
    if (i < len) {
        uint32_t v = (uint32_t)s[i] << 16 | (len - i > 1 ? (uint32_t)s[i + 1] << 8 : 0);
        *p++ = letters[v >> 18];
        *p++ = letters[v >> 12 & 63];
        *p++ = len - i > 1 ? letters[v >> 6 & 63] : '=';
        *p++ = '=';
    }
    b->len += (len + 2) / 3 * 4;
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many of the letters are no padding. */
static size_t digits(const char *text, size_t len)
{
    if (len == 0 || len % 4 != 0 || text[len - 1] != '=')
        return len;
    return text[len - 2] == '=' ? len - 2 : len - 1;
}

/* `n` digits to as many bytes as they stand for, n / 4 * 3 + n % 4 * 3 / 4. */
static bool decode(const char *text, size_t n, unsigned char *to)
{
    uint32_t v = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < n; i++) {
        int d = digit(text[i]);
        if (d < 0)
            return false;
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *to++ = (unsigned char)(v >> bits);
            v &= (1U << bits) - 1;
        }
    }
    return v == 0; /* left-over bits that an encoder would never have set */
}

static size_t decoded_len(size_t n)
{
    return n / 4 * 3 + n % 4 * 3 / 4;
}

bool base64_decode(struct buf *b, const char *text, size_t len)
{
    size_t n = digits(text, len);

    if (n % 4 == 1)
        return false;
    char *p = buf_reserve(b, decoded_len(n) + 1);
    if (!p || !decode(text, n, (unsigned char *)p))
        return false;
    b->len += decoded_len(n);
    return true;
}

bool base64_decode_into(const char *text, size_t len, void *out, size_t size, size_t *got)
{
    size_t n = digits(text, len);

    *got = 0;
    if (len % 4 != 0 || decoded_len(n) > size || !decode(text, n, out))
        return false;
    *got = decoded_len(n);
    return true;
}
