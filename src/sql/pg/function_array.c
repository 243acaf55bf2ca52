/* Arrays are texts, '{1,2}', or '1 2' where the catalogs have an int2vector. */
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proto/pgtype.h"
#include "sql/pg/function.h"

void pg_array_open(struct pg_array *a, const char *text, size_t n)
{
    a->at = text;
    a->end = text + n;
    a->vector = n == 0 || text[0] != '{';
    if (!a->vector)
        a->at++;
}

static bool next_number(struct pg_array *a, struct buf *b)
{
    while (a->at < a->end && *a->at == ' ')
        a->at++;
    if (a->at == a->end)
        return false;
    while (a->at < a->end && *a->at != ' ')
        buf_putc(b, *a->at++);
    return true;
}

bool pg_array_next(struct pg_array *a, struct buf *b, bool *null)
{
    bool quoted = false;

    buf_reset(b);
    *null = false;
    if (a->vector)
        return next_number(a, b);
    while (a->at < a->end && (*a->at == ' ' || *a->at == ','))
        a->at++;
    if (a->at >= a->end || *a->at == '}')
        return false;
    if (*a->at == '"') {
        quoted = true;
        for (a->at++; a->at < a->end && *a->at != '"'; a->at++) {
            if (*a->at == '\\' && a->at + 1 < a->end)
                a->at++;
            buf_putc(b, *a->at);
        }
        a->at += a->at < a->end;
    } else {
        while (a->at < a->end && *a->at != ',' && *a->at != '}')
            buf_putc(b, *a->at++);
    }
    *null = !quoted && b->len == 4 && strncasecmp(b->data, "null", 4) == 0;
    return true;
}

void pg_array_add(struct buf *b, const char *s, size_t n)
{
    buf_putc(b, b->len ? ',' : '{');
    pgtype_array_element(b, s, n);
}

void pg_array_put(struct buf *b, sqlite3_value *v)
{
    size_t n;
    const char *s = pg_arg(v, &n);

    pg_array_add(b, s, n);
}

static void array(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct buf b = BUF_INIT;

    for (int i = 0; i < n; i++)
        pg_array_put(&b, v[i]);
    buf_puts(&b, b.len ? "}" : "{}");
    pg_result_buf(ctx, &b);
}

static void array_agg_step(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    struct buf *b = sqlite3_aggregate_context(ctx, sizeof *b);

    (void)n;
    if (b)
        pg_array_put(b, v[0]);
}

static void array_agg_final(sqlite3_context *ctx)
{
    struct buf *b = sqlite3_aggregate_context(ctx, 0);

    if (!b || b->len == 0)
        return; /* of no rows: NULL */
    buf_putc(b, '}');
    pg_result_buf(ctx, b);
}

static size_t members(const char *s, size_t n)
{
    struct pg_array a;
    struct buf b = BUF_INIT;
    bool null;
    size_t k = 0;

    for (pg_array_open(&a, s, n); pg_array_next(&a, &b, &null);)
        k++;
    buf_free(&b);
    return k;
}

/* An element as the number that it looks like, or as text. */
static void result_element(sqlite3_context *ctx, struct buf *b)
{
    char *end;
    const char *s = buf_cstr(b);
    long long i = strtoll(s, &end, 10);

    if (b->len > 0 && b->len < 19 && *end == '\0' && (s[0] != '0' || b->len == 1) && s[0] != '+' &&
        s[0] != ' ')
        sqlite3_result_int64(ctx, i);
    else
        sqlite3_result_text64(ctx, s, b->len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void subscript(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    struct pg_array a;
    struct buf b = BUF_INIT;
    bool null;
    int64_t k = sqlite3_value_int64(v[1]);

    (void)n;
    if (!s || sqlite3_value_type(v[1]) == SQLITE_NULL)
        return;
    pg_array_open(&a, s, len);
    for (k -= a.vector ? 0 : 1; k >= 0 && pg_array_next(&a, &b, &null); k--) {
        if (k == 0 && !null) {
            result_element(ctx, &b);
            break;
        }
    }
    buf_free(&b);
}

static void array_length(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, k;
    const char *s = pg_arg(v[0], &len);

    (void)n;
    if (s && (k = members(s, len)) > 0)
        sqlite3_result_int64(ctx, (int64_t)k);
}

/* int2vectors are counted from 0. */
static void array_upper(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, k;
    const char *s = pg_arg(v[0], &len);

    (void)n;
    if (s && (k = members(s, len)) > 0)
        sqlite3_result_int64(ctx, (int64_t)k - (s[0] == '{' ? 0 : 1));
}

static void array_lower(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);

    (void)n;
    if (s && members(s, len) > 0)
        sqlite3_result_int(ctx, s[0] == '{');
}

static void cardinality(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);

    (void)n;
    if (s)
        sqlite3_result_int64(ctx, (int64_t)members(s, len));
}

static void array_to_string(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, sep_len, null_len = 0;
    const char *s = pg_arg(v[0], &len), *sep = pg_arg(v[1], &sep_len);
    const char *for_null = n > 2 ? pg_arg(v[2], &null_len) : NULL;
    struct pg_array a;
    struct buf b = BUF_INIT, out = BUF_INIT;
    bool null, first = true;

    if (!s || !sep)
        return;
    for (pg_array_open(&a, s, len); pg_array_next(&a, &b, &null);) {
        if (null && !for_null)
            continue;
        if (!first)
            buf_put(&out, sep, sep_len);
        if (null)
            buf_put(&out, for_null, null_len);
        else
            buf_put(&out, b.data ? b.data : "", b.len);
        first = false;
    }
    buf_free(&b);
    pg_result_buf(ctx, &out);
}

/* string_to_array(text, separator [, what stands for NULL]) */
static void string_to_array(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, sep_len, null_len = 0;
    const char *s = pg_arg(v[0], &len), *sep = pg_arg(v[1], &sep_len);
    const char *for_null = n > 2 ? pg_arg(v[2], &null_len) : NULL;
    struct buf out = BUF_INIT;
    bool more = s && len > 0;

    if (!s)
        return;
    while (more) {
        /* Without a separator each character stands alone; an empty one takes the text whole. */
        const char *hit = sep && sep_len > 0 ? memmem(s, len, sep, sep_len) : NULL;
        if (!sep && len > 1)
            for (hit = s + 1; hit && ((unsigned char)*hit & 0xC0) == 0x80;)
                hit = hit + 1 < s + len ? hit + 1 : NULL;
        size_t k = hit ? (size_t)(hit - s) : len;
        bool is_null = for_null && k == null_len && memcmp(s, for_null, k) == 0;
        pg_array_add(&out, is_null ? NULL : s, k);
        more = hit != NULL;
        k += more && sep ? sep_len : 0;
        s += k;
        len -= k;
    }
    buf_puts(&out, out.len ? "}" : "{}");
    pg_result_buf(ctx, &out);
}

static void array_position(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len, want_len;
    const char *s = pg_arg(v[0], &len), *want = pg_arg(v[1], &want_len);
    struct pg_array a;
    struct buf b = BUF_INIT;
    bool null;
    int64_t k = 0;

    (void)n;
    if (!s || !want)
        return;
    pg_array_open(&a, s, len);
    for (k = a.vector ? 0 : 1; pg_array_next(&a, &b, &null); k++) {
        if (!null && b.len == want_len && memcmp(b.data ? b.data : "", want, want_len) == 0) {
            sqlite3_result_int64(ctx, k);
            break;
        }
    }
    buf_free(&b);
}

int pg_function_array_open(sqlite3 *db, int flags)
{
    enum { D = SQLITE_DETERMINISTIC };
    static const struct pg_function functions[] = {
        {"pg_array", -1, array, NULL, D},
        {"array_agg", 1, array_agg_step, array_agg_final, 0},
        {"pg_subscript", 2, subscript, NULL, D},
        {"array_length", 2, array_length, NULL, D},
        {"array_upper", 2, array_upper, NULL, D},
        {"array_lower", 2, array_lower, NULL, D},
        {"cardinality", 1, cardinality, NULL, D},
        {"array_to_string", 2, array_to_string, NULL, D},
        {"array_to_string", 3, array_to_string, NULL, D},
        {"string_to_array", 2, string_to_array, NULL, D},
        {"string_to_array", 3, string_to_array, NULL, D},
        {"array_position", 2, array_position, NULL, D},
    };

    return pg_functions_register(db, functions, sizeof functions / sizeof functions[0], NULL,
                                 flags);
}
