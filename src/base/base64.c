#include "base/base64.h"

#include <stdint.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *b, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    for (; len > 0; p += len < 3 ? len : 3, len -= len < 3 ? len : 3) {
        uint32_t v = (uint32_t)p[0] << 16;
        if (len > 1)
            v |= (uint32_t)p[1] << 8;
        if (len > 2)
            v |= p[2];
        buf_putc(b, letters[v >> 18]);
        buf_putc(b, letters[v >> 12 & 63]);
        buf_putc(b, len > 1 ? letters[v >> 6 & 63] : '=');
        buf_putc(b, len > 2 ? letters[v & 63] : '=');
    }
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

bool base64_decode(const char *text, size_t len, void *out, size_t size, size_t *got)
{
    unsigned char *to = out;
    size_t pad = 0;

    *got = 0;
    if (len % 4 != 0)
        return false;
    while (pad < 2 && len > 0 && text[len - 1] == '=') {
        pad++;
        len--;
    }
    uint32_t v = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        int d = digit(text[i]);
        if (d < 0)
            return false;
        v = v << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (*got == size)
                return false;
            to[(*got)++] = (unsigned char)(v >> bits);
        }
    }
    return true;
}
