/* Functions on strings. Lengths and positions count characters, as PostgreSQL's do. */
#include <ctype.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "sql/pg/function.h"
#include "sql/quote.h"

#define TEXT_MAX (16 << 20) /* bytes of a result that grows by a number */

/* ---- characters ---- */

static bool continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

static int64_t count(const char *s, size_t n)
{
    int64_t k = 0;

    for (size_t i = 0; i < n; i++)
        k += !continues(s[i]);
    return k;
}

/* Byte at which character k (from 0) begins. */
static size_t at_char(const char *s, size_t n, int64_t k)
{
    size_t i = 0;

    while (i < n && k > 0) {
        for (i++; i < n && continues(s[i]);)
            i++;
        k--;
    }
    return i;
}

static void result(sqlite3_context *ctx, const char *s, size_t n)
{
    sqlite3_result_text64(ctx, s, n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* ---- parts ---- */

static void left(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    int64_t k = sqlite3_value_int64(v[1]);

    (void)n;
    if (!s || sqlite3_value_type(v[1]) == SQLITE_NULL)
        return;
    if (k < 0)
        k = count(s, len) + k;
    result(ctx, s, at_char(s, len, k));
}

static void right(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, from;
    const char *s = pg_arg(v[0], &len);
    int64_t k = sqlite3_value_int64(v[1]), all;

    (void)n;
    if (!s || sqlite3_value_type(v[1]) == SQLITE_NULL)
        return;
    all = count(s, len);
    from = at_char(s, len, k < 0 ? -(k + 1) + 1 : k < all ? all - k : 0);
    result(ctx, s + from, len - from);
}

static void pad(sqlite3_context *ctx, int n, sqlite3_value **v, bool before)
{
    size_t len, fill_len = 1;
    const char *s = pg_arg(v[0], &len), *fill = n > 2 ? pg_arg(v[2], &fill_len) : " ";
    int64_t want = sqlite3_value_int64(v[1]), have;
    struct buf b = BUF_INIT;

    if (!s || !fill || sqlite3_value_type(v[1]) == SQLITE_NULL)
        return;
    have = count(s, len);
    if (want > TEXT_MAX) {
        sqlite3_result_error_toobig(ctx);
        return;
    }
    if (have >= want || fill_len == 0) {
        result(ctx, s, at_char(s, len, want > 0 ? want : 0));
        return;
    }
    if (!before)
        buf_put(&b, s, len);
    for (size_t i = 0; have < want; have++) {
        size_t k = i + at_char(fill + i, fill_len - i, 1);
        buf_put(&b, fill + i, k - i);
        i = k < fill_len ? k : 0;
    }
    if (before)
        buf_put(&b, s, len);
    pg_result_buf(ctx, &b);
}

static void lpad(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    pad(ctx, n, v, true);
}

static void rpad(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    pad(ctx, n, v, false);
}

static void split_part(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, sep_len;
    const char *s = pg_arg(v[0], &len), *sep = pg_arg(v[1], &sep_len), *p, *next;
    int64_t k = sqlite3_value_int64(v[2]), parts = 1;

    (void)n;
    if (!s || !sep)
        return;
    if (k == 0) {
        pg_result_error(ctx, "field position must not be zero");
        return;
    }
    if (sep_len == 0) {
        result(ctx, k == 1 || k == -1 ? s : "", k == 1 || k == -1 ? len : 0);
        return;
    }
    if (k < 0) { /* from the end */
        for (p = s; (p = memmem(p, len - (size_t)(p - s), sep, sep_len)) != NULL; p += sep_len)
            parts++;
        k = parts + k + 1;
    }
    for (p = s; k > 0; k--, p = next + sep_len) {
        next = memmem(p, len - (size_t)(p - s), sep, sep_len);
        if (k == 1) {
            result(ctx, p, next ? (size_t)(next - p) : len - (size_t)(p - s));
            return;
        }
        if (!next)
            break;
    }
    result(ctx, "", 0);
}

static void repeat(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    int64_t k = sqlite3_value_int64(v[1]);
    struct buf b = BUF_INIT;

    (void)n;
    if (!s || sqlite3_value_type(v[1]) == SQLITE_NULL)
        return;
    if (k > 0 && len > 0 && k > TEXT_MAX / (int64_t)len) {
        sqlite3_result_error_toobig(ctx);
        return;
    }
    for (; k > 0 && len > 0; k--)
        buf_put(&b, s, len);
    pg_result_buf(ctx, &b);
}

static void reverse(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, end;
    const char *s = pg_arg(v[0], &len);
    struct buf b = BUF_INIT;

    (void)n;
    if (!s)
        return;
    for (size_t i = end = len; i-- > 0;) {
        if (!continues(s[i])) {
            buf_put(&b, s + i, end - i);
            end = i;
        }
    }
    buf_put(&b, s, end);
    pg_result_buf(ctx, &b);
}

static void initcap(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    struct buf b = BUF_INIT;
    bool inside = false;

    (void)n;
    if (!s)
        return;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        buf_putc(&b, (char)(c >= 0x80 ? c : inside ? tolower(c) : toupper(c)));
        inside = c >= 0x80 || isalnum(c);
    }
    pg_result_buf(ctx, &b);
}

static void translate(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, from_len, to_len, f, t;
    const char *s = pg_arg(v[0], &len), *from = pg_arg(v[1], &from_len),
               *to = pg_arg(v[2], &to_len);
    struct buf b = BUF_INIT;

    (void)n;
    if (!s || !from || !to)
        return;
    for (size_t i = 0; i < len;) {
        size_t k = i + at_char(s + i, len - i, 1);
        for (f = t = 0; f < from_len;) {
            size_t fn = at_char(from + f, from_len - f, 1), tn = at_char(to + t, to_len - t, 1);
            if (fn == k - i && memcmp(from + f, s + i, fn) == 0) {
                buf_put(&b, to + t, tn);
                break;
            }
            f += fn;
            t += tn;
        }
        if (f >= from_len)
            buf_put(&b, s + i, k - i);
        i = k;
    }
    pg_result_buf(ctx, &b);
}

static void starts_with(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, p_len;
    const char *s = pg_arg(v[0], &len), *p = pg_arg(v[1], &p_len);

    (void)n;
    if (s && p)
        sqlite3_result_int(ctx, p_len <= len && memcmp(s, p, p_len) == 0);
}

static void overlay(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, new_len, a, z;
    const char *s = pg_arg(v[0], &len), *new = pg_arg(v[1], &new_len);
    int64_t from = sqlite3_value_int64(v[2]), replaced;
    struct buf b = BUF_INIT;

    if (!s || !new || from < 1)
        return;
    replaced = n > 3 ? sqlite3_value_int64(v[3]) : count(new, new_len);
    a = at_char(s, len, from - 1);
    z = replaced > 0 ? a + at_char(s + a, len - a, replaced) : a;
    buf_put(&b, s, a);
    buf_put(&b, new, new_len);
    buf_put(&b, s + z, len - z);
    pg_result_buf(ctx, &b);
}

/* ---- digests, quoting ---- */

static void digest(sqlite3_context *ctx, sqlite3_value *v, const EVP_MD *md, bool hex)
{
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned out_len = 0;
    const void *data = sqlite3_value_blob(v);
    size_t len = (size_t)sqlite3_value_bytes(v);
    struct buf b = BUF_INIT;

    if (sqlite3_value_type(v) == SQLITE_NULL)
        return;
    if (EVP_Digest(data ? data : "", len, out, &out_len, md, NULL) != 1) {
        sqlite3_result_error(ctx, "the digest is not available", -1);
        return;
    }
    if (!hex) {
        sqlite3_result_blob(ctx, out, (int)out_len, SQLITE_TRANSIENT);
        return;
    }
    hex_put(&b, out, out_len);
    pg_result_buf(ctx, &b);
}

static void md5(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    digest(ctx, v[0], EVP_md5(), true);
}

static void sha256(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    digest(ctx, v[0], EVP_sha256(), false);
}

static void quote(sqlite3_context *ctx, const char *s, size_t n, char q)
{
    struct buf b = BUF_INIT;

    quote_put(&b, s, n, q);
    pg_result_buf(ctx, &b);
}

static void quote_ident(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    static const char *const reserved[] = {
        "all",   "and", "as",    "case",   "check", "column", "default", "desc",  "end",    "from",
        "group", "in",  "limit", "not",    "null",  "on",     "or",      "order", "select", "table",
        "then",  "to",  "union", "unique", "user",  "using",  "when",    "where", "with"};
    size_t len;
    const char *s = pg_arg(v[0], &len);
    bool plain = len > 0;

    (void)n;
    if (!s)
        return;
    for (size_t i = 0; i < len; i++)
        plain = plain && ((s[i] >= 'a' && s[i] <= 'z') || s[i] == '_' ||
                          (i > 0 && s[i] >= '0' && s[i] <= '9'));
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        plain = plain && strcmp(s, reserved[i]) != 0;
    if (plain)
        result(ctx, s, len);
    else
        quote(ctx, s, len, '"');
}

static void quote_literal(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);

    (void)n;
    if (s)
        quote(ctx, s, len, '\'');
}

static void quote_nullable(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    if (sqlite3_value_type(v[0]) == SQLITE_NULL)
        result(ctx, "NULL", 4);
    else
        quote_literal(ctx, n, v);
}

/* ---- LIKE's patterns as GLOB's ---- */

static void glob(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, e_len = 0;
    const char *s = pg_arg(v[0], &len), *e = n > 1 ? pg_arg(v[1], &e_len) : "\\";
    struct buf b = BUF_INIT;

    if (!s || !e)
        return;
    if (n > 1 && count(e, e_len) > 1) {
        pg_result_error(ctx, "invalid escape string: it must be empty or one character");
        return;
    }
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (*e && c == *e) {
            if (++i == len) {
                pg_result_error(ctx, "LIKE pattern must not end with escape character");
                buf_free(&b);
                return;
            }
            c = s[i];
        } else if (c == '%' || c == '_') {
            buf_putc(&b, c == '%' ? '*' : '?');
            continue;
        }
        if (c == '*' || c == '?' || c == '[')
            buf_printf(&b, "[%c]", c);
        else
            buf_putc(&b, c);
    }
    pg_result_buf(ctx, &b);
}

/* ---- greatest, least: NULLs do not count ---- */

/* SQLite's own order: numbers before texts before blobs. */
static int compare(sqlite3_value *a, sqlite3_value *b)
{
    int ta = sqlite3_value_type(a), tb = sqlite3_value_type(b);
    bool na = ta == SQLITE_INTEGER || ta == SQLITE_FLOAT,
         nb = tb == SQLITE_INTEGER || tb == SQLITE_FLOAT;
    int la, lb, c;

    if (ta == SQLITE_INTEGER && tb == SQLITE_INTEGER)
        return (sqlite3_value_int64(a) > sqlite3_value_int64(b)) -
               (sqlite3_value_int64(a) < sqlite3_value_int64(b));
    if (na && nb)
        return (sqlite3_value_double(a) > sqlite3_value_double(b)) -
               (sqlite3_value_double(a) < sqlite3_value_double(b));
    if (na != nb)
        return na ? -1 : 1;
    la = sqlite3_value_bytes(a);
    lb = sqlite3_value_bytes(b);
    c = memcmp(sqlite3_value_blob(a) ? sqlite3_value_blob(a) : "",
               sqlite3_value_blob(b) ? sqlite3_value_blob(b) : "", (size_t)(la < lb ? la : lb));
    return c ? c : (la > lb) - (la < lb);
}

static void extreme(sqlite3_context *ctx, int n, sqlite3_value **v, int sign)
{
    sqlite3_value *best = NULL;

    for (int i = 0; i < n; i++)
        if (sqlite3_value_type(v[i]) != SQLITE_NULL && (!best || sign * compare(v[i], best) > 0))
            best = v[i];
    if (best)
        sqlite3_result_value(ctx, best);
}

static void greatest(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    extreme(ctx, n, v, 1);
}

static void least(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    extreme(ctx, n, v, -1);
}

int pg_function_text_open(sqlite3 *db, int flags)
{
    enum { D = SQLITE_DETERMINISTIC };
    static const struct pg_function functions[] = {
        {"pg_left", 2, left, NULL, D},
        {"pg_right", 2, right, NULL, D},
        {"lpad", 2, lpad, NULL, D},
        {"lpad", 3, lpad, NULL, D},
        {"rpad", 2, rpad, NULL, D},
        {"rpad", 3, rpad, NULL, D},
        {"split_part", 3, split_part, NULL, D},
        {"repeat", 2, repeat, NULL, D},
        {"reverse", 1, reverse, NULL, D},
        {"initcap", 1, initcap, NULL, D},
        {"translate", 3, translate, NULL, D},
        {"starts_with", 2, starts_with, NULL, D},
        {"pg_overlay", 3, overlay, NULL, D},
        {"pg_overlay", 4, overlay, NULL, D},
        {"md5", 1, md5, NULL, D},
        {"sha256", 1, sha256, NULL, D},
        {"quote_ident", 1, quote_ident, NULL, D},
        {"quote_literal", 1, quote_literal, NULL, D},
        {"quote_nullable", 1, quote_nullable, NULL, D},
        {"pg_glob", 1, glob, NULL, D},
        {"pg_glob", 2, glob, NULL, D},
        {"greatest", -1, greatest, NULL, D},
        {"least", -1, least, NULL, D},
    };

    return pg_functions_register(db, functions, sizeof functions / sizeof functions[0], NULL,
                                 flags);
}
