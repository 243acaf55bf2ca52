#include "base/hex.h"

int hex_pair(const char *s)
{
    int high = hex_value(s[0]);
    int low = high >= 0 ? hex_value(s[1]) : -1;

    return low >= 0 ? high << 4 | low : -1;
}

bool hex_is_bytes(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (hex_value(s[i]) < 0)
            return false;
    return n % 2 == 0;
}

bool hex_decode(const char *s, size_t n, struct buf *out)
{
    char *p;

    if (!hex_is_bytes(s, n))
        return false;
    p = buf_reserve(out, n / 2);
    if (!p)
        return true;
    for (size_t i = 0; i < n; i += 2)
        *p++ = (char)hex_pair(s + i);
    out->len += n / 2;
    return true;
}

static void encode(const unsigned char *bytes, size_t n, const char *digits, char *out)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void hex_encode(const void *bytes, size_t n, char *out)
{
    encode(bytes, n, "0123456789abcdef", out);
}

void hex_encode_upper(const void *bytes, size_t n, char *out)
{
    encode(bytes, n, "0123456789ABCDEF", out);
}

void hex_put(struct buf *out, const void *bytes, size_t n)
{
    char *p = buf_reserve(out, 2 * n);

    if (!p)
        return;
    hex_encode(bytes, n, p);
    out->len += 2 * n;
}
