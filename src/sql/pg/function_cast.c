/* x::type as functions that refuse what is none, where CAST would make it 0. */
#include <errno.h>
#include <math.h>
#include <openssl/rand.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "proto/pgtype.h"
#include "sql/pg/function.h"

/* ---- numbers ---- */

enum reading { READ_NONE, READ_OK, READ_TOO_BIG };

static enum reading judged(const char *s, const char *end, bool too_big)
{
    if (end == s || end[strspn(end, " \t\n")] != '\0')
        return READ_NONE;
    return too_big ? READ_TOO_BIG : READ_OK;
}

/* The whole text as an integer, with blanks around it. */
static enum reading read_int(const char *s, int64_t *out)
{
    char *end;

    s += strspn(s, " \t\n");
    errno = 0;
    *out = strtoll(s, &end, 10);
    return judged(s, end, errno == ERANGE);
}

static enum reading read_real(const char *s, double *out)
{
    char *end;

    s += strspn(s, " \t\n");
    if (strchr(s, 'x') || strchr(s, 'X'))
        return READ_NONE;
    errno = 0;
    *out = strtod(s, &end);
    return judged(s, end, errno == ERANGE && isinf(*out));
}

static void not_read(sqlite3_context *ctx, enum reading why, const char *s, const char *type)
{
    if (why == READ_TOO_BIG)
        pg_result_error(ctx, "value \"%.80s\" is out of range for type %s", s, type);
    else
        pg_result_error(ctx, "invalid input syntax for type %s: \"%.80s\"", type, s);
}

static void to_int(sqlite3_context *ctx, sqlite3_value *v, const char *type, int64_t min,
                   int64_t max)
{
    int64_t i = 0;
    double d;
    const char *s = NULL;
    enum reading reading;

    switch (sqlite3_value_type(v)) {
    case SQLITE_NULL:
        return;
    case SQLITE_INTEGER:
        i = sqlite3_value_int64(v);
        break;
    case SQLITE_FLOAT:
        d = nearbyint(sqlite3_value_double(v)); /* to even, as PostgreSQL rounds a double */
        if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0)) {
            pg_result_error(ctx, "%s out of range", type);
            return;
        }
        i = (int64_t)d;
        break;
    default:
        s = (const char *)sqlite3_value_text(v);
        s = s ? s : "";
        reading = read_int(s, &i);
        if (reading != READ_OK) {
            not_read(ctx, reading, s, type);
            return;
        }
    }
    if ((i < min || i > max) && s)
        not_read(ctx, READ_TOO_BIG, s, type);
    else if (i < min || i > max)
        pg_result_error(ctx, "%s out of range", type);
    else
        sqlite3_result_int64(ctx, i);
}

static void int2(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    to_int(ctx, v[0], "smallint", INT16_MIN, INT16_MAX);
}

static void int4(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    to_int(ctx, v[0], "integer", INT32_MIN, INT32_MAX);
}

static void int8(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    to_int(ctx, v[0], "bigint", INT64_MIN, INT64_MAX);
}

static void real_or_integer(sqlite3_context *ctx, sqlite3_value *v, bool keep_integer)
{
    const char *s;
    enum reading reading;
    int64_t i;
    double d;

    switch (sqlite3_value_type(v)) {
    case SQLITE_NULL:
        break;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
        if (keep_integer)
            sqlite3_result_value(ctx, v);
        else
            sqlite3_result_double(ctx, sqlite3_value_double(v));
        break;
    default:
        s = (const char *)sqlite3_value_text(v);
        s = s ? s : "";
        if (keep_integer && read_int(s, &i) == READ_OK)
            sqlite3_result_int64(ctx, i);
        else if ((reading = read_real(s, &d)) == READ_OK)
            sqlite3_result_double(ctx, d);
        else
            not_read(ctx, reading, s, keep_integer ? "numeric" : "double precision");
    }
}

static void float8(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    real_or_integer(ctx, v[0], false);
}

static void numeric(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    real_or_integer(ctx, v[0], true);
}

/* ---- others ---- */

static void boolean(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    static const struct {
        const char *text;
        int value;
    } words[] = {{"t", 1}, {"true", 1},  {"y", 1}, {"yes", 1}, {"on", 1},  {"1", 1},
                 {"f", 0}, {"false", 0}, {"n", 0}, {"no", 0},  {"off", 0}, {"0", 0}};
    const char *s;

    (void)n;
    if (sqlite3_value_type(v[0]) == SQLITE_NULL)
        return;
    if (sqlite3_value_type(v[0]) == SQLITE_INTEGER) {
        sqlite3_result_int(ctx, sqlite3_value_int64(v[0]) != 0);
        return;
    }
    s = (const char *)sqlite3_value_text(v[0]);
    for (size_t i = 0; s && i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i].text, s) == 0) {
            sqlite3_result_int(ctx, words[i].value);
            return;
        }
    }
    pg_result_error(ctx, "invalid input syntax for type boolean: \"%.80s\"", s ? s : "");
}

static void bytea(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s;
    struct buf b = BUF_INIT;

    (void)n;
    if (sqlite3_value_type(v[0]) == SQLITE_NULL)
        return;
    if (sqlite3_value_type(v[0]) == SQLITE_BLOB) {
        sqlite3_result_value(ctx, v[0]);
        return;
    }
    s = pg_arg(v[0], &len);
    if (!s || len < 2 || s[0] != '\\' || s[1] != 'x') {
        sqlite3_result_blob64(ctx, s ? s : "", len, SQLITE_TRANSIENT);
        return;
    }
    if (!hex_decode(s + 2, len - 2, &b))
        pg_result_error(ctx, "invalid hexadecimal data");
    else if (!buf_ok(&b))
        sqlite3_result_error_nomem(ctx);
    else
        sqlite3_result_blob64(ctx, b.data ? b.data : "", b.len, SQLITE_TRANSIENT);
    buf_free(&b);
}

static void uuid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    size_t len;
    const char *s = pg_arg(v[0], &len);
    struct buf b = BUF_INIT;

    (void)n;
    if (s && pgtype_format_uuid(&b, s, len)) {
        pg_result_buf(ctx, &b);
        return;
    }
    if (s)
        pg_result_error(ctx, "invalid input syntax for type uuid: \"%.80s\"", s);
    buf_free(&b);
}

static void random_uuid(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    unsigned char r[16];
    char digits[2 * sizeof r];
    struct buf b = BUF_INIT;

    (void)n;
    (void)v;
    if (RAND_bytes(r, sizeof r) != 1) {
        sqlite3_result_error(ctx, "no random numbers", -1);
        return;
    }
    r[6] = (unsigned char)((r[6] & 0x0F) | 0x40);
    r[8] = (unsigned char)((r[8] & 0x3F) | 0x80);
    hex_encode(r, sizeof r, digits);
    (void)pgtype_format_uuid(&b, digits, sizeof digits);
    pg_result_buf(ctx, &b);
}

/* Checked by SQLite's own JSON functions where the statement uses them; kept as it is here. */
static void json(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    sqlite3_result_value(ctx, v[0]);
}

int pg_function_cast_open(sqlite3 *db, int flags)
{
    enum { D = SQLITE_DETERMINISTIC };
    static const struct pg_function functions[] = {
        {"pg_int2", 1, int2, NULL, D},       {"pg_int4", 1, int4, NULL, D},
        {"pg_int8", 1, int8, NULL, D},       {"pg_float8", 1, float8, NULL, D},
        {"pg_numeric", 1, numeric, NULL, D}, {"pg_bool", 1, boolean, NULL, D},
        {"pg_bytea", 1, bytea, NULL, D},     {"pg_uuid", 1, uuid, NULL, D},
        {"pg_json", 1, json, NULL, D},       {"gen_random_uuid", 0, random_uuid, NULL, 0},
    };

    return pg_functions_register(db, functions, sizeof functions / sizeof functions[0], NULL,
                                 flags);
}
