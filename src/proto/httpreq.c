/*
 * Bodies of HTTP requests by yajl's event parser.
 *
 *   httpreq_begin → httpreq_feed… → httpreq_end, httpreq_free
 *
 * yajl begins a token anew with every piece of it that comes, so what arrives is collected into
 * pieces that are at least as long as the part of the token that is there already: see
 * parse_piece().
 *
 * Where the parser stands is one of the states below; each event is legal in some of them and an
 * error, with its place named, in the others.
 *
 *     START ──[──▶ ARRAY ──{──▶ FIELD ──"sql":──▶ SQL
 *        └──────{──────────────▶ │ ▲ ──"params":─▶ PARAMS ──[──▶ LISTED ──{──▶ TYPED
 *                                │ │                   └──{──▶ NAMED ──key──▶ NAMED_VALUE ──{──▶
 * TYPED └─┴──other key──▶ SKIPPED
 */
#include "proto/httpreq.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "base/array.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/json.h"
#include "proto/httpreq_escape.h"

#define MAX_VALUES  8000000u          /* parameters of all queries of one body */
#define NUMBER_SIZE 64u               /* longer numbers are copied to the arena to be read */
#define PIECE_BYTES ((size_t)1 << 20) /* to collect of a body that is known to be long */

enum at {
    AT_START,
    AT_ARRAY,       /* between the queries of an array */
    AT_FIELD,       /* in a query, before a key or its end */
    AT_SQL,         /* the value of "sql" */
    AT_PARAMS,      /* the value of "params" */
    AT_LISTED,      /* in an array of parameters */
    AT_NAMED,       /* in an object of parameters, before a key or its end */
    AT_NAMED_VALUE, /* behind that key */
    AT_TYPED,       /* in a {"type": …} object, before a key or its end */
    AT_TYPED_VALUE, /* behind a key of it that counts */
    AT_SKIPPED,     /* behind a key that does not */
    AT_END,
};

struct httpreq {
    struct arena *arena;
    yajl_handle yajl;
    struct err err;
    uint64_t fed; /* bytes of earlier pieces */

    /* What has come and is not parsed yet. */
    struct buf held;
    size_t expected; /* bytes of the whole body, 0 = unknown */
    size_t want;     /* to be held before they are parsed */
    size_t open;     /* bytes that the token which is not complete may have by now */
    bool event;      /* in this piece a token was complete */

    struct httpreq_escapes escapes;

    enum at at;
    enum at after_skip;
    unsigned depth, skipping; /* open containers; those within a skipped value */
    bool array;

    /* The query being read. */
    bool has_sql, has_params;
    const char *name; /* of the parameter being read */
    struct httpreq_query query;

    /* The {"type": …} object being read, and where it stands. */
    enum at typed_in;
    enum { SLOT_TYPE, SLOT_VALUE, SLOT_BASE64 } slot;
    const char *type;
    bool has_value, has_base64;
    struct value typed; /* the value as written, or the decoded bytes */

    /* Collected here (owned), then copied into the arena in their final size. */
    struct httpreq_param *params;
    size_t n_params, cap_params, total_params;
    struct httpreq_query *queries;
    size_t n_queries, cap_queries;
};

/* ---- errors ---- */

static int fail(struct httpreq *h, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Keeps the first error and answers 0, which ends yajl's run. */
static int fail(struct httpreq *h, enum err_code code, const char *fmt, ...)
{
    char text[ERR_MSG_SIZE];
    va_list args;

    if (h->err.code != ERR_OK)
        return 0;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    err_set(&h->err, code, "byte %llu: %s",
            (unsigned long long)(h->fed + yajl_get_bytes_consumed(h->yajl)), text);
    return 0;
}

static int fail_memory(struct httpreq *h)
{
    if (h->err.code == ERR_OK)
        err_set(&h->err, ERR_NO_MEMORY, "no memory for the request's body");
    return 0;
}

/* Says which parameter it was. */
static int fail_param(struct httpreq *h, const char *what)
{
    char query[40] = "";

    if (h->array)
        (void)snprintf(query, sizeof query, "query %zu: ", h->n_queries + 1);
    if (h->name)
        return fail(h, ERR_PARAM, "%sparameter \"%s\": %s", query, h->name, what);
    return fail(h, ERR_PARAM, "%sparameter %zu: %s", query, h->n_params + 1, what);
}

static int fail_query(struct httpreq *h, const char *what)
{
    if (h->array)
        return fail(h, ERR_PROTOCOL, "query %zu: %s", h->n_queries + 1, what);
    return fail(h, ERR_PROTOCOL, "%s", what);
}

/* ---- pieces ---- */

static int param_add(struct httpreq *h, struct value v)
{
    struct httpreq_param *more;

    if (h->n_params >= HTTPREQ_MAX_PARAMS)
        return fail_param(h, "too many parameters");
    if (h->total_params >= MAX_VALUES)
        return fail(h, ERR_TOO_BIG, "more than %u parameters in one body", MAX_VALUES);
    more = array_room(h->params, h->n_params, &h->cap_params, sizeof *h->params);
    if (!more)
        return fail_memory(h);
    h->params = more;
    h->params[h->n_params++] = (struct httpreq_param){h->name, v};
    h->total_params++;
    h->name = NULL;
    return 1;
}

static int params_end(struct httpreq *h)
{
    size_t size = h->n_params * sizeof *h->params;

    if (h->n_params > 0) {
        struct httpreq_param *p = arena_alloc(h->arena, size);
        if (!p)
            return fail_memory(h);
        memcpy(p, h->params, size);
        h->query.params = p;
        h->query.n_params = (unsigned)h->n_params;
    }
    h->n_params = 0;
    h->at = AT_FIELD;
    return 1;
}

static int query_begin(struct httpreq *h)
{
    if (h->n_queries >= HTTPREQ_MAX_QUERIES)
        return fail(h, ERR_TOO_BIG, "more than %u queries in one body", HTTPREQ_MAX_QUERIES);
    h->query = (struct httpreq_query){0};
    h->has_sql = h->has_params = false;
    h->at = AT_FIELD;
    return 1;
}

static int query_end(struct httpreq *h)
{
    struct httpreq_query *more;

    if (!h->has_sql)
        return fail_query(h, "\"sql\" is missing");
    more = array_room(h->queries, h->n_queries, &h->cap_queries, sizeof *h->queries);
    if (!more)
        return fail_memory(h);
    h->queries = more;
    h->queries[h->n_queries++] = h->query;
    h->at = h->array ? AT_ARRAY : AT_END;
    return 1;
}

/* ---- numbers ---- */

enum number { NUMBER_INTEGER, NUMBER_REAL, NUMBER_OUT_OF_RANGE, NUMBER_NONE };

static enum number number_integer(const char *s, size_t len, struct value *out)
{
    bool negative = len > 0 && s[0] == '-';
    uint64_t most = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t u = 0;

    for (size_t i = negative; i < len; i++) {
        unsigned digit = (unsigned)(s[i] - '0');
        if (u > (most - digit) / 10)
            return NUMBER_OUT_OF_RANGE;
        u = u * 10 + digit;
    }
    *out = value_int((int64_t)(negative ? 0 - u : u));
    return NUMBER_INTEGER;
}

/* JSON's grammar for numbers, because texts in typed values did not go through a JSON parser. */
static enum number number_shape(const char *s, size_t len)
{
    size_t i = 0, digits;
    enum number shape = NUMBER_INTEGER;

    if (i < len && s[i] == '-')
        i++;
    for (digits = 0; i < len && s[i] >= '0' && s[i] <= '9'; i++)
        digits++;
    if (digits == 0)
        return NUMBER_NONE;
    if (i < len && s[i] == '.') {
        shape = NUMBER_REAL;
        for (i++, digits = 0; i < len && s[i] >= '0' && s[i] <= '9'; i++)
            digits++;
        if (digits == 0)
            return NUMBER_NONE;
    }
    if (i < len && (s[i] == 'e' || s[i] == 'E')) {
        shape = NUMBER_REAL;
        i++;
        if (i < len && (s[i] == '+' || s[i] == '-'))
            i++;
        for (digits = 0; i < len && s[i] >= '0' && s[i] <= '9'; i++)
            digits++;
        if (digits == 0)
            return NUMBER_NONE;
    }
    return i == len ? shape : NUMBER_NONE;
}

/* A real by the C library, which rounds correctly. */
static enum number number_real(struct httpreq *h, const char *s, size_t len, struct value *out)
{
    char small[NUMBER_SIZE];
    char *text = small;
    double r;

    if (len >= sizeof small) {
        text = arena_strndup(h->arena, s, len);
        if (!text) {
            fail_memory(h);
            return NUMBER_NONE;
        }
    } else {
        memcpy(small, s, len);
        small[len] = '\0';
    }
    r = strtod(text, NULL);
    if (!isfinite(r))
        return NUMBER_OUT_OF_RANGE;
    *out = value_real(r);
    return NUMBER_REAL;
}

static int number_value(struct httpreq *h, const char *s, size_t len, struct value *out)
{
    enum number kind = number_shape(s, len);

    if (kind == NUMBER_INTEGER) {
        if (number_integer(s, len, out) == NUMBER_OUT_OF_RANGE)
            return fail_param(h, "the integer does not fit into 64 bits (write 1e20 for a real)");
        return 1;
    }
    if (kind == NUMBER_REAL)
        kind = number_real(h, s, len, out);
    if (kind == NUMBER_OUT_OF_RANGE)
        return fail_param(h, "the number does not fit into a double");
    return kind == NUMBER_NONE ? fail_param(h, "not a number") : 1;
}

/* ---- {"type": …} ---- */

static int typed_begin(struct httpreq *h)
{
    h->typed_in = h->at == AT_NAMED_VALUE ? AT_NAMED : AT_LISTED;
    h->type = NULL;
    h->has_value = h->has_base64 = false;
    h->at = AT_TYPED;
    return 1;
}

static int typed_key(struct httpreq *h, const char *key, size_t len)
{
    h->at = AT_TYPED_VALUE;
    if (len == 4 && memcmp(key, "type", 4) == 0) {
        h->slot = SLOT_TYPE;
    } else if ((len == 5 && memcmp(key, "value", 5) == 0) ||
               (len == 4 && memcmp(key, "text", 4) == 0)) {
        h->slot = SLOT_VALUE;
    } else if (len == 6 && memcmp(key, "base64", 6) == 0) {
        h->slot = SLOT_BASE64;
    } else {
        h->at = AT_SKIPPED;
        h->after_skip = AT_TYPED;
    }
    return 1;
}

static int typed_base64(struct httpreq *h, const char *s, size_t len)
{
    size_t room = len / 4 * 3 + 3;
    char *bytes = arena_alloc(h->arena, room);
    struct buf out = {bytes, 0, room, room, false};

    if (!bytes)
        return fail_memory(h);
    if (!base64_decode(&out, s, len))
        return fail_param(h, "\"base64\" is not valid base64");
    h->typed = value_blob(bytes, out.len);
    h->has_base64 = true;
    return 1;
}

static int typed_string(struct httpreq *h, const char *s, size_t len)
{
    char *copy;

    h->at = AT_TYPED;
    if (h->slot == SLOT_BASE64 ? h->has_value || h->has_base64
                               : h->slot == SLOT_VALUE && (h->has_value || h->has_base64))
        return fail_param(h, "more than one of \"value\", \"text\" and \"base64\"");
    if (h->slot == SLOT_BASE64)
        return typed_base64(h, s, len);
    copy = arena_strndup(h->arena, s, len);
    if (!copy)
        return fail_memory(h);
    if (h->slot == SLOT_TYPE) {
        h->type = strlen(copy) == len ? copy : "";
    } else {
        h->typed = value_text(copy, len);
        h->has_value = true;
    }
    return 1;
}

static int typed_number(struct httpreq *h, const char *s, size_t len)
{
    if (h->slot != SLOT_VALUE)
        return fail_param(h, h->slot == SLOT_TYPE ? "\"type\" is not a string"
                                                  : "\"base64\" is not a string");
    return typed_string(h, s, len); /* its text says all; read when the type is known */
}

static int typed_real(struct httpreq *h, struct value *out)
{
    const char *s = h->typed.u.s.data;
    size_t len = h->typed.u.s.len;

    if ((len == 3 && memcmp(s, "inf", 3) == 0) || (len == 4 && memcmp(s, "+inf", 4) == 0)) {
        *out = value_real(INFINITY);
        return 1;
    }
    if (len == 4 && memcmp(s, "-inf", 4) == 0) {
        *out = value_real(-INFINITY);
        return 1;
    }
    switch (number_shape(s, len)) {
    case NUMBER_INTEGER:
    case NUMBER_REAL:
        if (number_real(h, s, len, out) == NUMBER_OUT_OF_RANGE)
            return fail_param(h, "the number does not fit into a double");
        return h->err.code == ERR_OK;
    default:
        return fail_param(h, "a real is a number, \"inf\" or \"-inf\"");
    }
}

static int typed_value(struct httpreq *h, struct value *out)
{
    const char *type = h->type;
    bool given = h->has_value || h->has_base64;

    if (!type)
        return fail_param(h, "an object needs a \"type\"");
    if (strcmp(type, "null") == 0) {
        *out = value_null();
        return 1;
    }
    if (strcmp(type, "blob") == 0) {
        *out = h->typed;
        return h->has_base64 ? 1 : fail_param(h, "a blob needs \"base64\"");
    }
    if (strcmp(type, "text") == 0) {
        *out = value_text(h->typed.u.s.data, h->typed.u.s.len);
        return given ? 1 : fail_param(h, "a text needs \"value\" or \"base64\"");
    }
    if (strcmp(type, "integer") == 0) {
        const char *s = h->typed.u.s.data;
        if (!h->has_value || number_shape(s, h->typed.u.s.len) != NUMBER_INTEGER)
            return fail_param(h, "an integer needs \"value\" with decimal digits");
        return number_value(h, s, h->typed.u.s.len, out);
    }
    if (strcmp(type, "real") == 0)
        return h->has_value ? typed_real(h, out) : fail_param(h, "a real needs \"value\"");
    return fail_param(h, "\"type\" is none of null, integer, real, text, blob");
}

static int typed_end(struct httpreq *h)
{
    struct value v;

    if (!typed_value(h, &v))
        return 0;
    h->at = h->typed_in;
    return param_add(h, v);
}

/* ---- events ---- */

static const char *unexpected(const struct httpreq *h)
{
    switch (h->at) {
    case AT_START:
        return "the body is neither an object nor an array";
    case AT_ARRAY:
        return "not an object";
    case AT_SQL:
        return "\"sql\" is not a string";
    default:
        return "\"params\" is neither an object nor an array";
    }
}

/* A scalar is complete as `v`, which is already in the arena. */
static int on_value(struct httpreq *h, struct value v)
{
    switch (h->at) {
    case AT_NAMED_VALUE:
        h->at = AT_NAMED;
        return param_add(h, v);
    case AT_LISTED:
        return param_add(h, v);
    case AT_TYPED_VALUE:
        return fail_param(h, "\"type\", \"value\" and \"base64\" are strings");
    case AT_SKIPPED:
        h->at = h->after_skip;
        return 1;
    default:
        return fail_query(h, unexpected(h));
    }
}

static int on_null(void *arg)
{
    struct httpreq *h = arg;

    h->event = true;
    if (h->skipping)
        return 1;
    if (h->at == AT_PARAMS) { /* as if they were not there */
        h->at = AT_FIELD;
        return 1;
    }
    return on_value(h, value_null());
}

static int on_boolean(void *arg, int truth)
{
    struct httpreq *h = arg;

    h->event = true;
    return h->skipping ? 1 : on_value(h, value_int(truth != 0));
}

static int on_number(void *arg, const char *s, size_t len)
{
    struct httpreq *h = arg;
    struct value v;

    h->event = true;
    if (h->skipping)
        return 1;
    if (h->at == AT_TYPED_VALUE)
        return typed_number(h, s, len);
    if (h->at != AT_NAMED_VALUE && h->at != AT_LISTED)
        return on_value(h, value_null());
    return number_value(h, s, len, &v) && on_value(h, v);
}

static int on_string(void *arg, const unsigned char *bytes, size_t len)
{
    struct httpreq *h = arg;
    const char *s = (const char *)bytes;
    char *copy;

    h->event = true;
    if (h->skipping)
        return 1;
    if (h->at == AT_TYPED_VALUE)
        return typed_string(h, s, len);
    if (h->at != AT_SQL && h->at != AT_NAMED_VALUE && h->at != AT_LISTED)
        return on_value(h, value_null());
    copy = arena_strndup(h->arena, s, len);
    if (!copy)
        return fail_memory(h);
    if (h->at != AT_SQL)
        return on_value(h, value_text(copy, len));
    h->query.sql = copy;
    h->query.len = len;
    h->at = AT_FIELD;
    return 1;
}

static int field_key(struct httpreq *h, const char *key, size_t len)
{
    bool *seen = NULL;

    if (len == 3 && memcmp(key, "sql", 3) == 0) {
        seen = &h->has_sql;
        h->at = AT_SQL;
    } else if (len == 6 && memcmp(key, "params", 6) == 0) {
        seen = &h->has_params;
        h->at = AT_PARAMS;
    } else {
        h->at = AT_SKIPPED;
        h->after_skip = AT_FIELD;
        return 1;
    }
    if (*seen)
        return fail_query(h, "\"sql\" or \"params\" is given twice");
    *seen = true;
    return 1;
}

static int on_key(void *arg, const unsigned char *bytes, size_t len)
{
    struct httpreq *h = arg;
    const char *key = (const char *)bytes;

    h->event = true;
    if (h->skipping)
        return 1;
    if (h->at == AT_FIELD)
        return field_key(h, key, len);
    if (h->at == AT_TYPED)
        return typed_key(h, key, len);
    if (len == 0 || len > HTTPREQ_MAX_NAME || memchr(key, '\0', len))
        return fail_query(h, "a parameter's name is empty, too long or has a NUL byte");
    h->name = arena_strndup(h->arena, key, len);
    h->at = AT_NAMED_VALUE;
    return h->name ? 1 : fail_memory(h);
}

static int container_begin(struct httpreq *h, bool map)
{
    h->event = true;
    if (++h->depth > HTTPREQ_MAX_DEPTH)
        return fail(h, ERR_PROTOCOL, "nested deeper than %u levels", HTTPREQ_MAX_DEPTH);
    if (h->skipping || h->at == AT_SKIPPED) {
        h->skipping++;
        return 1;
    }
    switch (h->at) {
    case AT_START:
        h->array = !map;
        if (map)
            return query_begin(h);
        h->at = AT_ARRAY;
        return 1;
    case AT_ARRAY:
        return map ? query_begin(h) : fail_query(h, unexpected(h));
    case AT_PARAMS:
        h->name = NULL;
        h->at = map ? AT_NAMED : AT_LISTED;
        return 1;
    case AT_NAMED_VALUE:
    case AT_LISTED:
        return map ? typed_begin(h) : fail_param(h, "an array cannot be bound");
    case AT_TYPED_VALUE:
        return fail_param(h, "\"type\", \"value\" and \"base64\" are strings");
    default:
        return fail_query(h, unexpected(h));
    }
}

static int container_end(struct httpreq *h)
{
    h->event = true;
    h->depth--;
    if (h->skipping) {
        if (--h->skipping == 0)
            h->at = h->after_skip;
        return 1;
    }
    switch (h->at) {
    case AT_FIELD:
        return query_end(h);
    case AT_NAMED:
    case AT_LISTED:
        return params_end(h);
    case AT_TYPED:
        return typed_end(h);
    default: /* AT_ARRAY: yajl has matched the brackets */
        h->at = AT_END;
        return 1;
    }
}

static int on_start_map(void *arg)
{
    return container_begin(arg, true);
}
static int on_start_array(void *arg)
{
    return container_begin(arg, false);
}
static int on_end(void *arg)
{
    return container_end(arg);
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

/* ---- interface ---- */

struct httpreq *httpreq_begin(struct arena *a, size_t expected)
{
    struct httpreq *h = arena_alloc(a, sizeof *h);

    if (!h)
        return NULL;
    h->arena = a;
    h->expected = expected;
    h->want = expected < PIECE_BYTES ? expected : PIECE_BYTES;
    h->yajl = yajl_alloc(&callbacks, NULL, h);
    return h->yajl ? h : NULL;
}

void httpreq_free(struct httpreq *h)
{
    if (!h)
        return;
    yajl_free(h->yajl);
    buf_free(&h->held);
    free(h->params);
    free(h->queries);
}

/* "lexical error: invalid char in json text.\n" without its line end. */
static void syntax_error(struct httpreq *h)
{
    unsigned char *text = yajl_get_error(h->yajl, 0, NULL, 0);
    const char *s = text ? (const char *)text : "not valid JSON";

    fail(h, ERR_PROTOCOL, "%.*s", (int)strcspn(s, "\n"), s);
    if (text)
        yajl_free_error(h->yajl, text);
}

static enum err_code answer(struct httpreq *h, struct err *e)
{
    if (h->err.code != ERR_OK)
        *e = h->err;
    return h->err.code;
}

static void parse_piece(struct httpreq *h, const char *bytes, size_t n)
{
    yajl_status status;
    /* Up to the half only: an error before it comes first, wherever the pieces were cut. */
    size_t half = httpreq_escapes_check(&h->escapes, bytes, n);

    h->event = false;
    status = yajl_parse(h->yajl, (const unsigned char *)bytes, half);
    if (half < n && status == yajl_status_ok)
        err_set(&h->err, ERR_PROTOCOL, "byte %llu: half of a surrogate pair",
                (unsigned long long)(h->fed + half));
    if (status != yajl_status_ok && h->err.code == ERR_OK)
        syntax_error(h);
    h->fed += n;
    /* Twice the part that is there: so all of a token's beginnings together are not longer than
     * twice the token. */
    h->open = h->event ? n : h->open + n;
    h->want = h->expected < PIECE_BYTES ? h->expected : PIECE_BYTES;
    if (!h->event && h->want < h->open)
        h->want = h->open;
}

static void parse_held(struct httpreq *h)
{
    if (h->held.len > 0 && h->err.code == ERR_OK)
        parse_piece(h, h->held.data, h->held.len);
    buf_reset(&h->held);
}

enum err_code httpreq_feed(struct httpreq *h, const char *bytes, size_t n, struct err *e)
{
    bool whole = h->expected > 0 && h->fed + h->held.len + n == h->expected;

    if (h->err.code != ERR_OK || n == 0)
        return answer(h, e);
    if (h->held.len == 0 && (n >= h->want || whole)) {
        parse_piece(h, bytes, n);
        return answer(h, e);
    }
    if (h->held.len == 0)
        (void)buf_reserve(&h->held, h->want);
    buf_put(&h->held, bytes, n);
    if (!buf_ok(&h->held))
        fail_memory(h);
    else if (h->held.len >= h->want || whole)
        parse_held(h);
    return answer(h, e);
}

enum err_code httpreq_end(struct httpreq *h, struct httpreq_body *out, struct err *e)
{
    parse_held(h);
    if (h->err.code == ERR_OK && h->fed == 0)
        err_set(&h->err, ERR_PROTOCOL, "the body is empty");
    if (h->err.code == ERR_OK) {
        /* yajl counts the final space it feeds itself; nothing follows, so nothing is reported. */
        yajl_status status = yajl_complete_parse(h->yajl);
        if (status != yajl_status_ok || h->at != AT_END)
            fail(h, ERR_PROTOCOL, "the body ends too early");
    }
    if (h->err.code == ERR_OK && h->n_queries == 0)
        err_set(&h->err, ERR_PROTOCOL, "the array holds no query");
    if (answer(h, e) != ERR_OK)
        return h->err.code;
    *out = (struct httpreq_body){h->queries, h->n_queries, h->array};
    /* One query, the usual case, and many alike move to where the caller expects them. */
    out->queries = arena_alloc(h->arena, h->n_queries * sizeof *h->queries);
    if (!out->queries)
        return err_set(e, ERR_NO_MEMORY, "no memory for the request's body");
    memcpy((void *)out->queries, h->queries, h->n_queries * sizeof *h->queries);
    return ERR_OK;
}
