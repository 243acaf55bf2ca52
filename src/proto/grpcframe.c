#include "proto/grpcframe.h"

#include "base/clock.h"
#include "base/reader.h"

enum grpcframe_verdict grpcframe_look(const void *bytes, size_t n, struct grpcframe *f)
{
    struct reader r = reader_of(bytes, n);
    uint8_t flag = reader_u8(&r);

    if (n > 0 && flag > 1)
        return GRPCFRAME_BAD;
    f->compressed = flag == 1;
    f->len = reader_u32(&r);
    if (r.bad)
        return GRPCFRAME_MORE;
    return n - GRPCFRAME_HEAD < f->len ? GRPCFRAME_PART : GRPCFRAME_WHOLE;
}

void grpcframe_head(unsigned char out[GRPCFRAME_HEAD], uint32_t len)
{
    uint32_t wire = htobe32(len);

    out[0] = 0;
    memcpy(out + 1, &wire, sizeof wire);
}

static int64_t unit_ns(char unit)
{
    switch (unit) {
    case 'H':
        return 3600 * CLOCK_S;
    case 'M':
        return 60 * CLOCK_S;
    case 'S':
        return CLOCK_S;
    case 'm':
        return CLOCK_MS;
    case 'u':
        return CLOCK_MS / 1000;
    case 'n':
        return 1;
    default:
        return 0;
    }
}

bool grpcframe_timeout(const char *s, int64_t *ns)
{
    int64_t n = 0, unit;
    unsigned digits = 0;

    for (; *s >= '0' && *s <= '9'; s++) {
        if (++digits > 8)
            return false;
        n = n * 10 + (*s - '0');
    }
    unit = unit_ns(*s);
    if (digits == 0 || unit == 0 || s[1] != '\0')
        return false;
    *ns = n > INT64_MAX / unit ? INT64_MAX : n * unit;
    return true;
}

void grpcframe_put_text(struct buf *b, const char *s, size_t len)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c <= 0x7E && c != '%') {
            buf_putc(b, (char)c);
        } else {
            char text[] = {'%', digits[c >> 4], digits[c & 15]};
            buf_put(b, text, sizeof text);
        }
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *grpcframe_text(char *s)
{
    char *to = s;

    for (const char *p = s; *p; p++) {
        int high = *p == '%' ? hex_digit(p[1]) : -1;
        int low = high >= 0 ? hex_digit(p[2]) : -1;
        bool escape = low >= 0 && (high | low) != 0;
        char c = *p;
        if (escape)
            c = (char)(high << 4 | low);
        *to++ = c;
        p += escape ? 2 : 0;
    }
    *to = '\0';
    return s;
}
