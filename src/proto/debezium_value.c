/*
 * By the name of the schema where it has one that is known (semantic types), else by its type.
 *
 *   debezium_value → semantic → put_… | plain → integer, real …
 *   debezium_declared
 */
#include "proto/debezium_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "proto/debezium_decimal.h"
#include "proto/debezium_time.h"
#include "proto/pgtype.h"

#define UNAVAILABLE        "__debezium_unavailable_value"
#define UNAVAILABLE_BASE64 "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="

enum meaning {
    PLAIN,
    DATE,
    TIME,
    TIMESTAMP,
    ZONED,
    ZONED_TIME,
    DECIMAL,
    VARIABLE_DECIMAL,
    BITS,
    UUID,
    JSON
};

#define IO      "io.debezium.time."
#define DATA    "io.debezium.data."
#define CONNECT "org.apache.kafka.connect.data."
#define MS      1000
#define US      1000000
#define NS      1000000000

static const struct semantic {
    const char *name;
    enum meaning meaning;
    int64_t per_second; /* of the count that it is */
    const char *declared;
} semantics[] = {
    {IO "Date", DATE, 0, "DATE"},
    {IO "Time", TIME, MS, "TIME"},
    {IO "MicroTime", TIME, US, "TIME"},
    {IO "NanoTime", TIME, NS, "TIME"},
    {IO "Timestamp", TIMESTAMP, MS, "TIMESTAMP"},
    {IO "MicroTimestamp", TIMESTAMP, US, "TIMESTAMP"},
    {IO "NanoTimestamp", TIMESTAMP, NS, "TIMESTAMP"},
    {IO "ZonedTimestamp", ZONED, 0, "TIMESTAMPTZ"},
    {IO "IsoTimestamp", ZONED, 0, "TIMESTAMP"},
    {IO "ZonedTime", ZONED_TIME, 0, "TEXT"},
    {IO "IsoDate", ZONED_TIME, 0, "DATE"},
    {IO "IsoTime", ZONED_TIME, 0, "TIME"},
    {CONNECT "Date", DATE, 0, "DATE"},
    {CONNECT "Time", TIME, MS, "TIME"},
    {CONNECT "Timestamp", TIMESTAMP, MS, "TIMESTAMP"},
    {CONNECT "Decimal", DECIMAL, 0, "NUMERIC"},
    {DATA "VariableScaleDecimal", VARIABLE_DECIMAL, 0, "NUMERIC"},
    {DATA "Bits", BITS, 0, "TEXT"},
    {DATA "Uuid", UUID, 0, "UUID"},
    {DATA "Json", JSON, 0, "JSON"},
};

static const struct semantic none = {"", PLAIN, 0, NULL};

static const struct semantic *semantic_of(const struct jsondoc *schema)
{
    const char *name = jsondoc_string(schema, "name");

    for (size_t i = 0; name && i < sizeof semantics / sizeof *semantics; i++)
        if (strcmp(semantics[i].name, name) == 0)
            return &semantics[i];
    return &none;
}

/* ---- pieces ---- */

static enum err_code mismatch(const char *wanted, struct err *e)
{
    return err_set(e, ERR_FORMAT, "its schema says %s, and it is something else", wanted);
}

/* What was written becomes a text of the arena; `b` is freed. */
static enum err_code text_of(struct arena *a, struct buf *b, struct value *out, struct err *e)
{
    char *copy = buf_ok(b) ? arena_strndup(a, buf_cstr(b), b->len) : NULL;

    *out = value_text(copy, b->len);
    buf_free(b);
    return copy ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

static enum err_code json_of(struct arena *a, const struct jsondoc *v, struct value *out,
                             struct err *e)
{
    struct buf b = BUF_INIT;

    jsondoc_put(&b, v);
    return text_of(a, &b, out, e);
}

static enum err_code integer_of(const struct jsondoc *v, struct value *out, struct err *e)
{
    int64_t i;

    if (!jsondoc_integer(v, &i))
        return mismatch("an integer of 64 bits", e);
    *out = value_int(i);
    return ERR_OK;
}

static struct value real_of(const char *text)
{
    return value_real(strtod(text, NULL)); /* yajl has checked what a number is */
}

/* Java's doubles beyond numbers are strings. SQLite would make NULL of NaN, which the column may
 * not allow. */
static enum err_code double_of(const struct jsondoc *v, struct value *out, struct err *e)
{
    if (v->type == JSONDOC_NUMBER)
        *out = real_of(v->text);
    else if (v->type == JSONDOC_STRING && strcmp(v->text, "NaN") == 0)
        *out = value_text(v->text, v->len);
    else if (v->type == JSONDOC_STRING && strcmp(v->text, "Infinity") == 0)
        *out = value_real((double)INFINITY);
    else if (v->type == JSONDOC_STRING && strcmp(v->text, "-Infinity") == 0)
        *out = value_real(-(double)INFINITY);
    else
        return mismatch("a number", e);
    return ERR_OK;
}

static enum err_code string_of(const struct jsondoc *v, struct value *out, struct err *e)
{
    if (v->type != JSONDOC_STRING)
        return mismatch("a string", e);
    *out = value_text(v->text, v->len);
    return ERR_OK;
}

static enum err_code bytes_of(struct arena *a, const struct jsondoc *v, struct value *out,
                              struct err *e)
{
    size_t room = v->len / 4 * 3 + 3;
    char *bytes;

    *out = value_null();
    if (v->type != JSONDOC_STRING)
        return mismatch("bytes", e);
    bytes = arena_alloc(a, room);
    if (!bytes)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    *out = value_blob(bytes, 0);
    if (!base64_decode_into(v->text, v->len, bytes, room, &out->u.s.len))
        return mismatch("bytes in base64", e);
    return ERR_OK;
}

/* ---- what has no schema ---- */

static enum err_code plain(struct arena *a, const struct jsondoc *v, struct value *out,
                           struct err *e)
{
    int64_t i;

    switch (v->type) {
    case JSONDOC_NULL:
        *out = value_null();
        return ERR_OK;
    case JSONDOC_FALSE:
    case JSONDOC_TRUE:
        *out = value_int(v->type == JSONDOC_TRUE);
        return ERR_OK;
    case JSONDOC_NUMBER:
        if (jsondoc_integer(v, &i))
            *out = value_int(i);
        else if (strpbrk(v->text, ".eE"))
            *out = real_of(v->text);
        else
            *out = value_text(v->text, v->len);
        return ERR_OK;
    case JSONDOC_STRING:
        *out = value_text(v->text, v->len);
        return ERR_OK;
    default:
        return json_of(a, v, out, e);
    }
}

/* ---- semantic types ---- */

static enum err_code moment_of(struct arena *a, const struct semantic *s, const struct jsondoc *v,
                               struct value *out, struct err *e)
{
    struct buf b = BUF_INIT;
    int64_t count;

    if (!jsondoc_integer(v, &count))
        return mismatch("a date or time, as a number", e);
    if (s->meaning == DATE)
        debezium_put_date(&b, count);
    else if (s->meaning == TIME)
        debezium_put_time(&b, count, s->per_second);
    else
        debezium_put_timestamp(&b, count, s->per_second);
    return text_of(a, &b, out, e);
}

static enum err_code zoned_of(struct arena *a, enum debezium_origin origin,
                              const struct semantic *s, const struct jsondoc *v, struct value *out,
                              struct err *e)
{
    struct buf b = BUF_INIT;

    if (v->type != JSONDOC_STRING)
        return mismatch("a date or time, as a string", e);
    bool utc = v->len > 0 && v->text[v->len - 1] == 'Z';
    bool zone = strcmp(s->declared, "TIMESTAMPTZ") == 0 && origin != DEBEZIUM_MYSQL;
    if (s->meaning == ZONED) {
        debezium_put_zoned(&b, v->text, v->len, zone);
        return text_of(a, &b, out, e);
    }
    buf_put(&b, v->text, v->len - utc);
    if (utc && strcmp(s->declared, "TEXT") == 0)
        buf_puts(&b, "+00");
    return text_of(a, &b, out, e);
}

static bool parameter(const struct jsondoc *schema, const char *name, int64_t *out)
{
    const struct jsondoc *v = jsondoc_member(jsondoc_member(schema, "parameters"), name);
    struct jsondoc number = {.type = JSONDOC_NUMBER};

    if (!jsondoc_is(v, JSONDOC_STRING) || v->len == 0)
        return false;
    number.text = v->text;
    return jsondoc_integer(&number, out);
}

/* As PostgreSQL's numeric is held: as a number where that is exact enough. */
static enum err_code number_of(struct value *v)
{
    struct buf unused = BUF_INIT;
    struct value number;
    bool in_scratch;

    if (pgtype_get(PGTYPE_NUMERIC, false, v->u.s.data, v->u.s.len, &number, &unused, &in_scratch) ==
        PGTYPE_FINE)
        *v = number;
    buf_free(&unused);
    return ERR_OK;
}

static enum err_code decimal_of(struct arena *a, const struct jsondoc *v, int64_t scale,
                                struct value *out, struct err *e)
{
    struct buf b = BUF_INIT;
    enum err_code code;

    if (v->type == JSONDOC_NUMBER) { /* decimal.format=NUMERIC */
        *out = value_text(v->text, v->len);
        return number_of(out);
    }
    code = bytes_of(a, v, out, e);
    if (code != ERR_OK)
        return code;
    if (!debezium_put_decimal(&b, out->u.s.data, out->u.s.len, scale)) {
        buf_free(&b);
        return err_set(e, ERR_TOO_BIG, "a decimal number with too many digits");
    }
    code = text_of(a, &b, out, e);
    return code == ERR_OK ? number_of(out) : code;
}

static enum err_code variable_decimal_of(struct arena *a, const struct jsondoc *v,
                                         struct value *out, struct err *e)
{
    const struct jsondoc *unscaled = jsondoc_member(v, "value");
    int64_t scale;

    if (!unscaled || !jsondoc_integer(jsondoc_member(v, "scale"), &scale))
        return mismatch("a decimal number with its scale", e);
    return decimal_of(a, unscaled, scale, out, e);
}

/* The least significant byte comes first. PostgreSQL's `bit varying` is told by too few bytes; its
 * leading zeros are not sent. */
static enum err_code bits_of(struct arena *a, enum debezium_origin origin,
                             const struct jsondoc *schema, const struct jsondoc *v,
                             struct value *out, struct err *e)
{
    struct buf b = BUF_INIT;
    int64_t length = 0;
    uint64_t number = 0;
    enum err_code code = bytes_of(a, v, out, e);

    if (code != ERR_OK)
        return code;
    const unsigned char *bytes = (const unsigned char *)out->u.s.data;
    size_t bits = out->u.s.len * 8;
    if (origin == DEBEZIUM_MYSQL && bits <= 64) {
        for (size_t i = bits / 8; i-- > 0;)
            number = number << 8 | bytes[i];
        if (number <= INT64_MAX) {
            *out = value_int((int64_t)number);
            return ERR_OK;
        }
        buf_u64(&b, number);
        return text_of(a, &b, out, e);
    }
    if (parameter(schema, "length", &length) && length > 0 && (uint64_t)length <= bits)
        bits = (size_t)length;
    else
        while (bits > 0 && !(bytes[(bits - 1) / 8] >> (bits - 1) % 8 & 1))
            bits--;
    while (bits-- > 0)
        buf_putc(&b, bytes[bits / 8] >> bits % 8 & 1 ? '1' : '0');
    return text_of(a, &b, out, e);
}

static enum err_code uuid_of(struct arena *a, const struct jsondoc *v, struct value *out,
                             struct err *e)
{
    struct buf b = BUF_INIT;

    if (v->type != JSONDOC_STRING)
        return mismatch("a string", e);
    if (!pgtype_format_uuid(&b, v->text, v->len)) {
        buf_reset(&b);
        buf_put(&b, v->text, v->len);
    }
    return text_of(a, &b, out, e);
}

/* ---- arrays ---- */

static void put_element(struct buf *b, const struct value *v, bool boolean)
{
    struct buf text = BUF_INIT;

    switch (v->type) {
    case VALUE_NULL:
        pgtype_array_element(b, NULL, 0);
        return;
    case VALUE_INTEGER:
        if (boolean)
            buf_putc(b, v->u.i ? 't' : 'f');
        else
            buf_i64(b, v->u.i);
        return;
    case VALUE_REAL:
        pgtype_format_double(b, v->u.r, false);
        return;
    case VALUE_TEXT:
        pgtype_array_element(b, v->u.s.data ? v->u.s.data : "", v->u.s.len);
        return;
    case VALUE_BLOB:
        buf_puts(&text, "\\x");
        for (size_t i = 0; i < v->u.s.len; i++)
            buf_printf(&text, "%02x", (unsigned char)v->u.s.data[i]);
        if (buf_ok(&text))
            pgtype_array_element(b, text.data, text.len);
        b->failed |= text.failed;
        buf_free(&text);
        return;
    }
}

static enum err_code array_of(struct arena *a, const struct jsondoc *schema,
                              const struct jsondoc *v, struct value *out, struct err *e)
{
    const struct jsondoc *items = jsondoc_member(schema, "items");
    const char *type = jsondoc_string(items, "type");
    bool boolean = type && strcmp(type, "boolean") == 0;
    struct buf b = BUF_INIT;

    buf_putc(&b, '{');
    for (const struct jsondoc *m = v->first; m; m = m->next) {
        struct value element;
        enum err_code code = debezium_value(a, DEBEZIUM_POSTGRES, items, m, &element, e);
        if (code != ERR_OK) {
            buf_free(&b);
            return code;
        }
        if (m != v->first)
            buf_putc(&b, ',');
        put_element(&b, &element, boolean);
    }
    buf_putc(&b, '}');
    return text_of(a, &b, out, e);
}

/* ---- the interface ---- */

static bool one_of(const char *type, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(type, *names) == 0)
            return true;
    return false;
}

static const char *const integers[] = {"int8", "int16", "int32", "int64", NULL};
/* Kafka's own names, and those that JsonConverter writes. */
static const char *const reals[] = {"float", "double", "float32", "float64", NULL};

static enum err_code by_type(struct arena *a, enum debezium_origin origin,
                             const struct jsondoc *schema, const struct jsondoc *v,
                             struct value *out, struct err *e)
{
    const char *type = jsondoc_string(schema, "type");

    if (!type)
        return plain(a, v, out, e);
    if (one_of(type, integers))
        return integer_of(v, out, e);
    if (one_of(type, reals))
        return double_of(v, out, e);
    if (strcmp(type, "string") == 0)
        return string_of(v, out, e);
    if (strcmp(type, "bytes") == 0)
        return bytes_of(a, v, out, e);
    if (strcmp(type, "boolean") == 0) {
        if (v->type != JSONDOC_TRUE && v->type != JSONDOC_FALSE)
            return mismatch("true or false", e);
        return plain(a, v, out, e);
    }
    if (strcmp(type, "array") == 0 && origin == DEBEZIUM_POSTGRES && v->type == JSONDOC_ARRAY &&
        !jsondoc_string(schema, "name"))
        return array_of(a, schema, v, out, e);
    return json_of(a, v, out, e);
}

enum err_code debezium_value(struct arena *a, enum debezium_origin origin,
                             const struct jsondoc *schema, const struct jsondoc *v,
                             struct value *out, struct err *e)
{
    const struct semantic *s = semantic_of(schema);
    int64_t scale = 0;

    if (v->type == JSONDOC_NULL || !schema)
        return plain(a, v, out, e);
    switch (s->meaning) {
    case DATE:
    case TIME:
    case TIMESTAMP:
        return moment_of(a, s, v, out, e);
    case ZONED:
    case ZONED_TIME:
        return zoned_of(a, origin, s, v, out, e);
    case DECIMAL:
        if (v->type == JSONDOC_STRING && !parameter(schema, "scale", &scale))
            return err_set(e, ERR_FORMAT, "a decimal number without a scale");
        return decimal_of(a, v, scale, out, e);
    case VARIABLE_DECIMAL:
        return variable_decimal_of(a, v, out, e);
    case BITS:
        return bits_of(a, origin, schema, v, out, e);
    case UUID:
        return uuid_of(a, v, out, e);
    case JSON:
    case PLAIN:
        break;
    }
    return by_type(a, origin, schema, v, out, e);
}

static const char *declared_decimal(struct arena *a, const struct jsondoc *schema)
{
    int64_t precision, scale;
    char text[64];

    if (!parameter(schema, "connect.decimal.precision", &precision) || precision < 1 ||
        !parameter(schema, "scale", &scale) || scale < 0 || scale > precision)
        return "NUMERIC";
    (void)snprintf(text, sizeof text, "NUMERIC(%" PRId64 ",%" PRId64 ")", precision, scale);
    return arena_strdup(a, text);
}

const char *debezium_declared(struct arena *a, enum debezium_origin origin,
                              const struct jsondoc *schema)
{
    const struct semantic *s = semantic_of(schema);
    const char *type = jsondoc_string(schema, "type");

    if (s->meaning == DECIMAL)
        return declared_decimal(a, schema);
    if (s->meaning == BITS && origin == DEBEZIUM_MYSQL)
        return "BIGINT";
    if (s->meaning == ZONED && origin == DEBEZIUM_MYSQL)
        return "TIMESTAMP";
    if (s->declared)
        return s->declared;
    if (!type)
        return "TEXT";
    if (strcmp(type, "int64") == 0)
        return "BIGINT";
    if (strcmp(type, "int32") == 0)
        return "INT4";
    if (one_of(type, integers))
        return "SMALLINT";
    if (one_of(type, reals))
        return "DOUBLE PRECISION";
    if (strcmp(type, "boolean") == 0)
        return "BOOLEAN";
    return strcmp(type, "bytes") == 0 ? "BLOB" : "TEXT";
}

bool debezium_is_unavailable(const struct jsondoc *v)
{
    if (jsondoc_is(v, JSONDOC_ARRAY) && v->len == 1)
        v = v->first;
    return jsondoc_is(v, JSONDOC_STRING) &&
           (strcmp(v->text, UNAVAILABLE) == 0 || strcmp(v->text, UNAVAILABLE_BASE64) == 0);
}
