#include "cli/text.h"

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "base/json.h"

#define HEX_ESCAPE 4 /* \x1b */

void text_locale(void)
{
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE, "C.UTF-8");
}

/* Of valid UTF-8. */
static size_t decode(const char *s, wchar_t *c)
{
    unsigned char first = (unsigned char)*s;
    size_t n = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t u = n == 1 ? first : first & (0x7FU >> n);
    for (size_t i = 1; i < n; i++)
        u = u << 6 | ((unsigned char)s[i] & 0x3FU);
    *c = (wchar_t)u;
    return n;
}

/* One character, or one byte that is none: its bytes, how wide it comes out, and whether it comes
 * out as it is. */
static size_t next(const char *s, size_t len, size_t *width, bool *plain)
{
    wchar_t c = 0;
    size_t n = (unsigned char)*s < 0x80 ? 1 : json_text_prefix(s, len < 4 ? len : 4);
    if (n > 0)
        n = decode(s, &c);
    int w = n > 0 ? wcwidth(c) : -1;
    *plain = w >= 0 && c != 0;
    *width = *plain ? (size_t)w : n > 1 ? HEX_ESCAPE * n : HEX_ESCAPE;
    if (c == '\n' || c == '\r' || c == '\t')
        *width = 2;
    return n > 0 ? n : 1;
}

size_t text_width(const char *s, size_t len)
{
    size_t total = 0, width, n;
    bool plain;
    for (size_t i = 0; i < len; i += n) {
        if ((unsigned char)(s[i] - ' ') < 0x7F - ' ') {
            n = 1;
            total++;
            continue;
        }
        n = next(s + i, len - i, &width, &plain);
        total += width;
    }
    return total;
}

static void put_escape(struct buf *b, const char *s, size_t n)
{
    if (*s == '\n' || *s == '\r' || *s == '\t') {
        buf_puts(b, *s == '\n' ? "\\n" : *s == '\r' ? "\\r" : "\\t");
        return;
    }
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "\\x%02x", (unsigned)(unsigned char)s[i]);
}

void text_put_plain(struct buf *b, const char *s, size_t len, bool lines)
{
    size_t width, n, run = 0;
    bool plain;
    for (size_t i = 0; i < len; i += n) {
        if ((unsigned char)(s[i] - ' ') < 0x7F - ' ' || (lines && (s[i] == '\n' || s[i] == '\t'))) {
            n = 1;
            continue;
        }
        n = next(s + i, len - i, &width, &plain);
        if (plain)
            continue;
        buf_put(b, s + run, i - run);
        put_escape(b, s + i, n);
        run = i + n;
    }
    buf_put(b, s + run, len - run);
}
