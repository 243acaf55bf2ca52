/* Texts, numbers, digests, JSON. What is NULL in an argument is NULL in the result, unless MySQL
 * has it otherwise. */
#include <math.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "sql/mysql/function.h"
#include "sql/pg/function.h"

#define TEXT_MAX (64 << 20) /* bytes that a function may make of a number */
#define NAP_MS   2
#define D        SQLITE_DETERMINISTIC

static bool any_null(int n, sqlite3_value **v)
{
    for (int i = 0; i < n; i++)
        if (sqlite3_value_type(v[i]) == SQLITE_NULL)
            return true;
    return false;
}

static bool is_lead(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

/* Byte offset of character `n` (0-based); the length where there are fewer. */
static size_t char_at(const char *s, size_t len, int64_t n)
{
    size_t i = 0;

    for (; i < len; i++)
        if (is_lead(s[i]) && n-- == 0)
            return i;
    return len;
}

static int64_t count_chars(const char *s, size_t len)
{
    int64_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += is_lead(s[i]);
    return n;
}

static void result_text(sqlite3_context *ctx, const char *s, size_t n)
{
    sqlite3_result_text64(ctx, s, n, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void right(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    int64_t want = sqlite3_value_int64(v[1]), chars;

    if (any_null(n, v) || !s)
        return;
    chars = count_chars(s, len);
    size_t from = want <= 0 ? len : want >= chars ? 0 : char_at(s, len, chars - want);
    result_text(ctx, s + from, len - from);
}

static void locate(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t sub_len, len;
    const char *sub = pg_arg(v[0], &sub_len), *s = pg_arg(v[1], &len), *found;
    int64_t pos = sqlite3_value_int64(v[2]);

    if (any_null(n, v) || !s || !sub)
        return;
    size_t from = pos < 1 ? len : char_at(s, len, pos - 1);
    found = pos < 1 ? NULL : memmem(s + from, len - from, sub, sub_len);
    sqlite3_result_int64(ctx, found ? count_chars(s, (size_t)(found - s)) + 1 : 0);
}

static void substring_index(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, d_len;
    const char *s = pg_arg(v[0], &len), *d = pg_arg(v[1], &d_len);
    int64_t count = sqlite3_value_int64(v[2]);

    if (any_null(n, v) || !s || !d)
        return;
    if (d_len == 0 || count == 0) {
        result_text(ctx, "", 0);
        return;
    }
    if (count > 0) {
        const char *at = s, *end = s + len, *found;
        while ((found = memmem(at, (size_t)(end - at), d, d_len)) != NULL && --count > 0)
            at = found + d_len;
        result_text(ctx, s, found ? (size_t)(found - s) : len);
        return;
    }
    for (size_t i = len; i >= d_len; i--)
        if (memcmp(s + i - d_len, d, d_len) == 0 && ++count == 0) {
            result_text(ctx, s + i, len - i);
            return;
        }
    result_text(ctx, s, len);
}

static void find_in_set(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, set_len;
    const char *s = pg_arg(v[0], &len), *set = pg_arg(v[1], &set_len);
    int64_t place = 1;

    if (any_null(n, v) || !s || !set)
        return;
    for (const char *p = set, *end = set + set_len; p <= end && set_len > 0; place++) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t k = (size_t)((comma ? comma : end) - p);
        if (k == len && strncasecmp(p, s, k) == 0) {
            sqlite3_result_int64(ctx, place);
            return;
        }
        if (!comma)
            break;
        p = comma + 1;
    }
    sqlite3_result_int64(ctx, 0);
}

/* FIELD(a, b, c): the place of a among the others, 0 = none. */
static void field(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, k;
    const char *s = pg_arg(v[0], &len);

    for (int i = 1; s && i < n; i++) {
        const char *other = pg_arg(v[i], &k);
        if (other && k == len && strncasecmp(s, other, k) == 0) {
            sqlite3_result_int(ctx, i);
            return;
        }
    }
    sqlite3_result_int(ctx, 0);
}

static void elt(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    int64_t i = sqlite3_value_int64(v[0]);

    if (i >= 1 && i < n)
        sqlite3_result_value(ctx, v[i]);
}

static void space(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    int64_t k = sqlite3_value_int64(v[0]);
    struct buf b = BUF_INIT;

    if (any_null(n, v))
        return;
    if (k > TEXT_MAX) {
        sqlite3_result_error_toobig(ctx);
        return;
    }
    char *to = k > 0 ? buf_reserve(&b, (size_t)k) : NULL;
    if (to) {
        memset(to, ' ', (size_t)k);
        b.len += (size_t)k;
    }
    pg_result_buf(ctx, &b);
}

/* HEX of a number are its digits, of a text its bytes. */
static void hex(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct buf b = BUF_INIT;
    int type = sqlite3_value_type(v[0]);

    if (any_null(n, v))
        return;
    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) {
        buf_printf(&b, "%llX", (unsigned long long)sqlite3_value_int64(v[0]));
    } else {
        const unsigned char *p = sqlite3_value_blob(v[0]);
        int len = sqlite3_value_bytes(v[0]);
        for (int i = 0; i < len; i++)
            buf_printf(&b, "%02X", p[i]);
    }
    pg_result_buf(ctx, &b);
}

static void bin(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    uint64_t x = (uint64_t)sqlite3_value_int64(v[0]);
    char text[65];
    size_t at = sizeof text;

    if (any_null(n, v))
        return;
    do {
        text[--at] = (char)('0' + (x & 1));
        x >>= 1;
    } while (x > 0);
    result_text(ctx, text + at, sizeof text - at);
}

/* ---- digests ---- */

static void digest(sqlite3_context *ctx, const EVP_MD *md, sqlite3_value *v)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct buf b = BUF_INIT;
    const void *p = sqlite3_value_blob(v);

    if (EVP_Digest(p ? p : "", (size_t)sqlite3_value_bytes(v), bytes, &n, md, NULL) != 1) {
        sqlite3_result_error(ctx, "OpenSSL cannot make a digest", -1);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        buf_printf(&b, "%02x", bytes[i]);
    pg_result_buf(ctx, &b);
}

static void sha1(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    if (!any_null(n, v))
        digest(ctx, EVP_sha1(), v[0]);
}

static void sha2(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    if (any_null(n, v))
        return;
    switch (sqlite3_value_int(v[1])) {
    case 224:
        digest(ctx, EVP_sha224(), v[0]);
        break;
    case 0:
    case 256:
        digest(ctx, EVP_sha256(), v[0]);
        break;
    case 384:
        digest(ctx, EVP_sha384(), v[0]);
        break;
    case 512:
        digest(ctx, EVP_sha512(), v[0]);
        break;
    default: /* NULL */
        break;
    }
}

static void crc32(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const unsigned char *p = sqlite3_value_blob(v[0]);
    int len = sqlite3_value_bytes(v[0]);
    uint32_t c = 0xFFFFFFFFu;

    if (any_null(n, v))
        return;
    for (int i = 0; i < len; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0xEDB88320u : 0);
    }
    sqlite3_result_int64(ctx, (int64_t)(c ^ 0xFFFFFFFFu));
}

static void uuid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    unsigned char x[16];
    char text[40];

    (void)n;
    (void)v;
    if (RAND_bytes(x, sizeof x) != 1) {
        sqlite3_result_error(ctx, "OpenSSL has no random numbers", -1);
        return;
    }
    x[6] = (unsigned char)((x[6] & 0x0F) | 0x40);
    x[8] = (unsigned char)((x[8] & 0x3F) | 0x80);
    (void)snprintf(text, sizeof text,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", x[0],
                   x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], x[12], x[13],
                   x[14], x[15]);
    result_text(ctx, text, 36);
}

/* ---- numbers ---- */

/* FORMAT(1234567.891, 2): 1,234,567.89 */
static void format(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    int digits = sqlite3_value_int(v[1]);
    char text[400];
    struct buf b = BUF_INIT;

    if (any_null(n, v))
        return;
    digits = digits < 0 ? 0 : digits > 30 ? 30 : digits;
    (void)snprintf(text, sizeof text, "%.*f", digits, sqlite3_value_double(v[0]));
    const char *p = text;
    if (*p == '-')
        buf_putc(&b, *p++);
    size_t whole = strcspn(p, ".");
    for (size_t i = 0; i < whole; i++) {
        if (i > 0 && (whole - i) % 3 == 0)
            buf_putc(&b, ',');
        buf_putc(&b, p[i]);
    }
    buf_puts(&b, p + whole);
    pg_result_buf(ctx, &b);
}

static void truncate_number(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    int digits = sqlite3_value_int(v[1]);

    if (any_null(n, v))
        return;
    if (sqlite3_value_type(v[0]) == SQLITE_INTEGER && digits >= 0) {
        sqlite3_result_value(ctx, v[0]);
        return;
    }
    double scale = pow(10, digits < -300 ? -300 : digits > 300 ? 300 : digits);
    double x = trunc(sqlite3_value_double(v[0]) * scale) / scale;
    sqlite3_result_double(ctx, isfinite(x) ? x : sqlite3_value_double(v[0]));
}

static void mod(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    if (any_null(n, v))
        return;
    if (sqlite3_value_numeric_type(v[0]) == SQLITE_INTEGER &&
        sqlite3_value_numeric_type(v[1]) == SQLITE_INTEGER) {
        int64_t by = sqlite3_value_int64(v[1]);
        if (by == -1)
            sqlite3_result_int(ctx, 0);
        else if (by != 0)
            sqlite3_result_int64(ctx, sqlite3_value_int64(v[0]) % by);
        return;
    }
    double by = sqlite3_value_double(v[1]);
    if (by != 0)
        sqlite3_result_double(ctx, fmod(sqlite3_value_double(v[0]), by));
}

static void inet_aton_(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    const char *s = (const char *)sqlite3_value_text(v[0]);
    uint32_t address = 0;

    if (any_null(n, v) || !s)
        return;
    for (unsigned i = 0; i < 4; i++) {
        unsigned part = 0, digits = 0;
        for (; *s >= '0' && *s <= '9' && digits < 3; s++, digits++)
            part = part * 10 + (unsigned)(*s - '0');
        if (digits == 0 || part > 255 || *s != (i < 3 ? '.' : '\0'))
            return;
        address = address << 8 | part;
        s++;
    }
    sqlite3_result_int64(ctx, address);
}

static void inet_ntoa_(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    int64_t x = sqlite3_value_int64(v[0]);
    char text[20];

    if (any_null(n, v) || x < 0 || x > UINT32_MAX)
        return;
    (void)snprintf(text, sizeof text, "%u.%u.%u.%u", (unsigned)(x >> 24), (unsigned)(x >> 16 & 255),
                   (unsigned)(x >> 8 & 255), (unsigned)(x & 255));
    result_text(ctx, text, strlen(text));
}

/* A step of SLEEP(): a moment, or what is left; answers how many seconds. SQLite looks between two
 * steps whether the statement has been canceled. */
static void nap(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    double left_ms = sqlite3_value_double(v[0]) * 1000;
    int ms = left_ms < NAP_MS ? (int)ceil(left_ms) : NAP_MS;
    struct pollfd none = {.fd = -1};

    (void)n;
    if (ms > 0)
        (void)poll(&none, 1, ms);
    sqlite3_result_double(ctx, (ms > 0 ? ms : 1) / 1000.0);
}

/* ---- JSON ---- */

/* One value out of a query of SQLite's own JSON functions. */
static void ask(sqlite3_context *ctx, const char *sql, int n, sqlite3_value **v)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(sqlite3_context_db_handle(ctx), sql, -1, &s, NULL);

    for (int i = 0; rc == SQLITE_OK && i < n; i++)
        rc = sqlite3_bind_value(s, i + 1, v[i]);
    if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW)
        sqlite3_result_value(ctx, sqlite3_column_value(s, 0));
    else if (rc != SQLITE_DONE)
        sqlite3_result_error(ctx, sqlite3_errmsg(sqlite3_context_db_handle(ctx)), -1);
    sqlite3_finalize(s);
}

static void json_unquote(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);

    if (any_null(n, v) || !s)
        return;
    if (len >= 2 && *s == '"' && s[len - 1] == '"')
        ask(ctx, "SELECT ?1 ->> '$'", 1, v);
    else
        sqlite3_result_value(ctx, v[0]);
}

static void json_length(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    if (any_null(n, v))
        return;
    if (n == 2)
        ask(ctx, "SELECT count(*) FROM json_each(?1, ?2)", 2, v);
    else
        ask(ctx, "SELECT count(*) FROM json_each(?1)", 1, v);
}

int mysql_function_text_open(sqlite3 *db)
{
    static const struct pg_function f[] = {
        {"mysql_right", 2, right, NULL, D},
        {"mysql_locate", 3, locate, NULL, D},
        {"mysql_substring_index", 3, substring_index, NULL, D},
        {"mysql_find_in_set", 2, find_in_set, NULL, D},
        {"mysql_field", -1, field, NULL, D},
        {"mysql_elt", -1, elt, NULL, D},
        {"mysql_space", 1, space, NULL, D},
        {"mysql_hex", 1, hex, NULL, D},
        {"mysql_bin", 1, bin, NULL, D},
        {"mysql_sha1", 1, sha1, NULL, D},
        {"mysql_sha2", 2, sha2, NULL, D},
        {"mysql_crc32", 1, crc32, NULL, D},
        {"mysql_uuid", 0, uuid, NULL, 0},
        {"mysql_format", 2, format, NULL, D},
        {"mysql_truncate", 2, truncate_number, NULL, D},
        {"mysql_mod", 2, mod, NULL, D},
        {"mysql_inet_aton", 1, inet_aton_, NULL, D},
        {"mysql_inet_ntoa", 1, inet_ntoa_, NULL, D},
        {"mysql_nap", 1, nap, NULL, 0},
        {"mysql_json_unquote", 1, json_unquote, NULL, D},
        {"mysql_json_length", 1, json_length, NULL, D},
        {"mysql_json_length", 2, json_length, NULL, D},
    };

    return pg_functions_register(db, f, sizeof f / sizeof f[0], NULL, SQLITE_DIRECTONLY);
}

int mysql_functions_open(sqlite3 *db)
{
    int rc = mysql_function_text_open(db);

    if (rc == SQLITE_OK)
        rc = mysql_function_time_open(db);
    if (rc == SQLITE_OK)
        rc = mysql_function_catalog_open(db);
    if (rc == SQLITE_OK)
        rc = mysql_function_session_open(db);
    return rc;
}
