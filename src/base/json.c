/*
 * JSON out.
 *
 *   json_put_string, json_put_cstr   quoted and escaped
 *   json_put_double                  shortest text that reads back as the same double
 *   json_is_text, json_text_prefix   strict UTF-8 without NUL
 */
#include "base/json.h"

#include <string.h>

#include "base/hex.h"
#include "base/shortest.h"

/* Length of the valid UTF-8 sequence at s (n > 0 bytes left), 0 if there is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    unsigned char c = s[0];
    unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte */
    size_t want;

    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF) {
        want = 2;
    } else if (c >= 0xE0 && c <= 0xEF) {
        want = 3;
        if (c == 0xE0)
            low = 0xA0; /* overlong */
        if (c == 0xED)
            high = 0x9F; /* surrogates */
    } else if (c >= 0xF0 && c <= 0xF4) {
        want = 4;
        if (c == 0xF0)
            low = 0x90; /* overlong */
        if (c == 0xF4)
            high = 0x8F; /* over U+10FFFF */
    } else {
        return 0;
    }
    if (n < want || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < want; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return want;
}

size_t json_text_prefix(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;

    for (size_t i = 0; i < len;) {
        size_t n;

        /* Eight plain bytes at once: no high bit, and no zero byte among them. */
        while (len - i >= 8) {
            uint64_t w;
            memcpy(&w, p + i, 8);
            if ((w & UINT64_C(0x8080808080808080)) ||
                ((w - UINT64_C(0x0101010101010101)) & ~w & UINT64_C(0x8080808080808080)))
                break;
            i += 8;
        }
        if (i == len)
            break;
        if (p[i] == 0)
            return i;
        n = utf8_length(p + i, len - i);
        if (n == 0)
            return i;
        i += n;
    }
    return len;
}

bool json_is_text(const char *s, size_t len)
{
    return json_text_prefix(s, len) == len;
}

static void put_escape(struct buf *b, unsigned char c)
{
    char text[6] = "\\u00";
    size_t n = 2;

    switch (c) {
    case '"':
    case '\\':
        text[1] = (char)c;
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\r':
        text[1] = 'r';
        break;
    case '\t':
        text[1] = 't';
        break;
    case '\b':
        text[1] = 'b';
        break;
    case '\f':
        text[1] = 'f';
        break;
    default:
        n = sizeof text;
        hex_encode(&c, 1, text + 4);
    }
    buf_put(b, text, n);
}

/* Do eight bytes go out as they are: no control character, no quote, no backslash, ASCII? A borrow
 * from a lower byte can only make it say no. */
static bool plain_eight(const unsigned char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    uint64_t w, quote, backslash;

    memcpy(&w, p, 8);
    quote = w ^ ones * '"';
    backslash = w ^ ones * '\\';
    return ((w | (w - ones * 0x20) | (quote - ones) | (backslash - ones)) & tops) == 0;
}

void json_put_string(struct buf *b, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t run = 0; /* start of bytes that go out as they are */
    size_t i = 0;

    buf_putc(b, '"');
    while (i < len) {
        unsigned char c = p[i];
        size_t n = 1;

        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            while (len - i >= 8 && plain_eight(p + i))
                i += 8;
            continue;
        }
        if (c >= 0x80 && (n = utf8_length(p + i, len - i)) > 0) {
            i += n;
            continue;
        }
        buf_put(b, s + run, i - run);
        if (c >= 0x80)
            buf_puts(b, "\xEF\xBF\xBD");
        else
            put_escape(b, c);
        run = ++i;
    }
    if (len > run)
        buf_put(b, s + run, len - run);
    buf_putc(b, '"');
}

void json_put_cstr(struct buf *b, const char *s)
{
    if (s)
        json_put_string(b, s, strlen(s));
    else
        buf_puts(b, "null");
}

void json_put_double(struct buf *b, double r)
{
    char text[SHORTEST_BYTES + 2];
    size_t n = shortest_put(text, r);

    if (!memchr(text, '.', n) && !memchr(text, 'e', n)) {
        text[n++] = '.';
        text[n++] = '0';
    }
    buf_put(b, text, n);
}
