/*
 * Values of a MySQL source as they are stored, from a SELECT's text and from the log: both ways end
 * at the same value (binlog.h says which).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digits.h"
#include "base/hex.h"
#include "proto/pgtype.h"
#include "proxy/my_impl.h"

#define UUID_BYTES    16
#define CHARSETS_MOST 48
#define UTF8_MOST     4 /* bytes of a character */

/* ---- from a SELECT ---- */

void my_put_selected(struct buf *b, const struct my_column *c)
{
    /* FLOAT's own text has six digits. */
    buf_puts(b, c->kind == MY_FLOAT ? "CAST(" : "");
    my_put_name(b, c->name);
    buf_puts(b, c->kind == MY_FLOAT ? " AS DOUBLE)" : "");
}

static enum err_code no_value(const struct my_column *c, struct err *e)
{
    return err_set(e, ERR_FORMAT, "the source shows something in column %.60s that is no %.60s",
                   c->name, c->full_type);
}

/* A copy that ends, since what a result hands out does not have to. */
static char *terminated(struct arena *a, const char *text, size_t len)
{
    return arena_strndup(a, text, len);
}

static enum err_code integer_of_text(const struct my_column *c, const char *text, size_t len,
                                     struct arena *a, struct value *out, struct err *e)
{
    char *s = terminated(a, text, len);
    const char *p = s;
    uint64_t u;

    if (!s)
        return my_out_of_memory(e);
    bool negative = *p == '-';
    p += negative;
    if (!digits_read(&p, &u) || *p)
        return no_value(c, e);
    if (!negative && u > INT64_MAX)
        *out = value_text(text, len);
    else
        *out = value_int(negative ? (int64_t)(0 - u) : (int64_t)u);
    return ERR_OK;
}

static enum err_code number_of_text(const struct my_column *c, const char *text, size_t len,
                                    struct arena *a, struct value *out, struct err *e)
{
    char *s = terminated(a, text, len), *end;

    if (!s)
        return my_out_of_memory(e);
    double d = strtod(s, &end);
    if (end == s || *end)
        return no_value(c, e);
    *out = value_real(c->kind == MY_FLOAT ? binlog_float((float)d) : d);
    return ERR_OK;
}

static enum err_code bits_of_text(const struct my_column *c, const char *text, size_t len,
                                  struct arena *a, struct value *out, struct err *e)
{
    struct buf digits = BUF_INIT;
    bool moved = false;
    uint64_t v = 0;

    if (len > 8)
        return no_value(c, e);
    for (size_t i = 0; i < len; i++)
        v = v << 8 | (uint8_t)text[i];
    *out = binlog_unsigned(v, &digits, &moved);
    if (moved) {
        const char *copy = terminated(a, digits.data, digits.len);
        *out = value_text(copy, digits.len);
        buf_free(&digits);
        return copy ? ERR_OK : my_out_of_memory(e);
    }
    return ERR_OK;
}

enum err_code my_value_of_text(const struct my_column *c, const char *text, size_t len,
                               struct arena *a, struct value *out, struct err *e)
{
    switch (c->kind) {
    case MY_INTEGER:
        return integer_of_text(c, text, len, a, out, e);
    case MY_DECIMAL:
        *out = binlog_number(text, len);
        return ERR_OK;
    case MY_FLOAT:
    case MY_DOUBLE:
        return number_of_text(c, text, len, a, out, e);
    case MY_BIT:
        return bits_of_text(c, text, len, a, out, e);
    case MY_BYTES:
        *out = value_blob(text, len);
        return ERR_OK;
    default:
        *out = value_text(text, len);
        return ERR_OK;
    }
}

/* ---- from the log ---- */

struct my_charsets {
    struct {
        char name[32];
        iconv_t handle;
    } open[CHARSETS_MOST];
    size_t n;
};

enum err_code my_charsets_new(struct my_charsets **out, struct err *e)
{
    *out = calloc(1, sizeof **out);
    return *out ? ERR_OK : my_out_of_memory(e);
}

void my_charsets_free(struct my_charsets *s)
{
    for (size_t i = 0; s && i < s->n; i++)
        (void)iconv_close(s->open[i].handle);
    free(s);
}

static bool is_utf8(const char *charset)
{
    return strcmp(charset, "utf8mb4") == 0 || strcmp(charset, "utf8mb3") == 0 ||
           strcmp(charset, "utf8") == 0 || strcmp(charset, "ascii") == 0 || !*charset;
}

/* As iconv names it. MySQL's latin1 is Windows' code page. */
static const char *iconv_name(const char *charset)
{
    static const char *const names[][2] = {{"latin1", "CP1252"},
                                           {"latin2", "ISO-8859-2"},
                                           {"latin5", "ISO-8859-9"},
                                           {"latin7", "ISO-8859-13"},
                                           {"greek", "ISO-8859-7"},
                                           {"hebrew", "ISO-8859-8"},
                                           {"ucs2", "UCS-2BE"},
                                           {"utf16", "UTF-16BE"},
                                           {"utf16le", "UTF-16LE"},
                                           {"utf32", "UTF-32BE"},
                                           {"sjis", "SHIFT_JIS"},
                                           {"ujis", "EUC-JP"},
                                           {"eucjpms", "EUC-JP-MS"},
                                           {"euckr", "EUC-KR"},
                                           {"gb2312", "GB2312"},
                                           {"gbk", "GBK"},
                                           {"gb18030", "GB18030"},
                                           {"big5", "BIG5"},
                                           {"koi8r", "KOI8-R"},
                                           {"koi8u", "KOI8-U"},
                                           {"tis620", "TIS-620"},
                                           {"macroman", "MACINTOSH"},
                                           {"macce", "MAC-CENTRALEUROPE"},
                                           {"cp932", "CP932"},
                                           {"hp8", "HP-ROMAN8"},
                                           {"armscii8", "ARMSCII-8"},
                                           {"geostd8", "GEORGIAN-PS"},
                                           {"cp850", "CP850"},
                                           {"cp852", "CP852"},
                                           {"cp866", "CP866"},
                                           {"cp1250", "CP1250"},
                                           {"cp1251", "CP1251"},
                                           {"cp1256", "CP1256"},
                                           {"cp1257", "CP1257"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], charset) == 0)
            return names[i][1];
    return NULL;
}

static iconv_t handle_of(struct my_charsets *s, const char *charset)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->open[i].name, charset) == 0)
            return s->open[i].handle;
    const char *name = iconv_name(charset);
    if (!name || s->n == CHARSETS_MOST || strlen(charset) >= sizeof s->open[0].name)
        return (iconv_t)-1;
    iconv_t handle = iconv_open("UTF-8", name);
    if (handle != (iconv_t)-1) {
        (void)snprintf(s->open[s->n].name, sizeof s->open[0].name, "%s", charset);
        s->open[s->n++].handle = handle;
    }
    return handle;
}

/* What is no character of the set becomes a question mark, as MySQL itself converts it. The five
 * bytes that Windows' code page leaves open are control characters in MySQL's latin1. */
static void convert(iconv_t h, const char *charset, const char *text, size_t len, char *out,
                    size_t room, size_t *written)
{
    char *in = (char *)text, *to = out; // NOLINT: iconv's interface, it does not write there
    size_t left = len, size = room;

    (void)iconv(h, NULL, NULL, NULL, NULL);
    while (left > 0 && iconv(h, &in, &left, &to, &size) == (size_t)-1 && left > 0 && size >= 2) {
        if (strcmp(charset, "latin1") == 0) {
            *to++ = (char)0xC2;
            *to++ = *in;
            size -= 2;
        } else {
            *to++ = '?';
            size--;
        }
        in++;
        left--;
    }
    *written = (size_t)(to - out);
}

static enum err_code text_of_log(struct my_charsets *s, const struct my_column *c, struct arena *a,
                                 struct value *v, struct err *e)
{
    size_t room = v->u.s.len * UTF8_MOST + UTF8_MOST, n = 0;
    iconv_t h = handle_of(s, c->charset);

    if (h == (iconv_t)-1)
        return err_set(e, ERR_UNSUPPORTED,
                       "column %.60s has the character set %.40s, which is not known here", c->name,
                       c->charset);
    char *out = arena_alloc(a, room);
    if (!out)
        return my_out_of_memory(e);
    convert(h, c->charset, v->u.s.data, v->u.s.len, out, room, &n);
    *v = value_text(out, n);
    return ERR_OK;
}

static enum err_code uuid_of_log(const struct my_column *c, struct arena *a, struct value *v,
                                 struct err *e)
{
    struct buf text = BUF_INIT;
    char digits[2 * UUID_BYTES];

    if (v->u.s.len != UUID_BYTES)
        return no_value(c, e);
    hex_encode(v->u.s.data, UUID_BYTES, digits);
    (void)pgtype_format_uuid(&text, digits, sizeof digits);
    char *copy = buf_ok(&text) ? terminated(a, text.data, text.len) : NULL;
    *v = value_text(copy, text.len);
    buf_free(&text);
    return copy ? ERR_OK : my_out_of_memory(e);
}

static enum err_code address_of_log(const struct my_column *c, struct arena *a, struct value *v,
                                    struct err *e)
{
    bool six = c->kind == MY_INET6;
    char *text = arena_alloc(a, INET6_ADDRSTRLEN);

    if (v->u.s.len != (six ? 16u : 4u))
        return no_value(c, e);
    if (!text || !inet_ntop(six ? AF_INET6 : AF_INET, v->u.s.data, text, INET6_ADDRSTRLEN))
        return my_out_of_memory(e);
    *v = value_text(text, strlen(text));
    return ERR_OK;
}

enum err_code my_value_of_log(struct my_charsets *s, const struct my_column *c, struct arena *a,
                              struct value *v, struct err *e)
{
    bool choice = c->labels != NULL; /* labels are UTF-8 already */

    if (v->type != VALUE_TEXT && v->type != VALUE_BLOB)
        return ERR_OK;
    if (c->kind == MY_UUID)
        return uuid_of_log(c, a, v, e);
    if (c->kind == MY_INET6 || c->kind == MY_INET4)
        return address_of_log(c, a, v, e);
    if (c->kind == MY_TEXT && !choice && !is_utf8(c->charset) && strcmp(c->type, "json") != 0)
        return text_of_log(s, c, a, v, e);
    return ERR_OK;
}
