/*
 * Arrays: a text here, as PostgreSQL writes it, "{1,2,NULL,"a b"}". In the binary format, of one
 * dimension:
 *
 *   dimensions(4) has NULLs(4) element's type(4)  [count(4) lower bound(4)]  elements with lengths
 */
#include <string.h>
#include <strings.h>

#include "proto/pgtype.h"
#include "proto/pgwire.h"

static const struct {
    uint32_t element, array;
} arrays[] = {
    {PGTYPE_BOOL, 1000},     {PGTYPE_BYTEA, 1001},     {PGTYPE_CHAR, 1002},
    {PGTYPE_NAME, 1003},     {PGTYPE_INT2, 1005},      {PGTYPE_INT4, 1007},
    {PGTYPE_TEXT, 1009},     {PGTYPE_INT8, 1016},      {PGTYPE_OID, 1028},
    {PGTYPE_JSON, 199},      {PGTYPE_FLOAT4, 1021},    {PGTYPE_FLOAT8, 1022},
    {PGTYPE_BPCHAR, 1014},   {PGTYPE_VARCHAR, 1015},   {PGTYPE_DATE, 1182},
    {PGTYPE_TIME, 1183},     {PGTYPE_TIMESTAMP, 1115}, {PGTYPE_TIMESTAMPTZ, 1185},
    {PGTYPE_NUMERIC, 1231},  {PGTYPE_UUID, 2951},      {PGTYPE_JSONB, 3807},
    {PGTYPE_INTERVAL, 1187},
};

uint32_t pgtype_array_of(uint32_t element)
{
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i].element == element)
            return arrays[i].array;
    return PGTYPE_NONE;
}

uint32_t pgtype_element_of(uint32_t array)
{
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i].array == array)
            return arrays[i].element;
    return PGTYPE_NONE;
}

/* ---- binary → text ---- */

static bool wants_quotes(const char *s, size_t n)
{
    if (n == 0 || (n == 4 && strncasecmp(s, "NULL", 4) == 0))
        return true;
    for (size_t i = 0; i < n; i++)
        if (strchr("{},\"\\ \t\n\r\v\f", s[i]))
            return true;
    return false;
}

void pgtype_array_element(struct buf *b, const char *s, size_t n)
{
    if (!s) {
        buf_puts(b, "NULL");
        return;
    }
    if (!wants_quotes(s, n)) {
        buf_put(b, s, n);
        return;
    }
    buf_putc(b, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\')
            buf_putc(b, '\\');
        buf_putc(b, s[i]);
    }
    buf_putc(b, '"');
}

static enum pgtype_fault get_element(uint32_t type, struct reader *r, struct buf *out)
{
    struct buf scratch = BUF_INIT, text = BUF_INIT;
    uint32_t n = reader_u32(r);
    const char *data = n == UINT32_MAX ? NULL : reader_bytes(r, n);
    bool in_scratch = false;
    struct value v;

    if (r->bad)
        return PGTYPE_SYNTAX;
    if (!data) {
        buf_puts(out, "NULL");
        return PGTYPE_FINE;
    }
    enum pgtype_fault fault = pgtype_get(type, true, data, n, &v, &scratch, &in_scratch);
    if (fault == PGTYPE_FINE && in_scratch)
        pgtype_settle(&v, &scratch);
    if (fault == PGTYPE_FINE && v.type != VALUE_NULL)
        fault = pgtype_put_text(&text, type, &v);
    if (fault == PGTYPE_FINE && v.type == VALUE_NULL)
        buf_puts(out, "NULL");
    else if (fault == PGTYPE_FINE)
        pgtype_array_element(out, text.data ? text.data : "", text.len);
    buf_free(&scratch);
    buf_free(&text);
    return fault;
}

enum pgtype_fault pgtype_array_get(uint32_t array, const char *data, size_t len, struct buf *out)
{
    struct reader r;
    uint32_t type = pgtype_element_of(array), n = 0;
    size_t start = out->len;
    enum pgtype_fault fault = PGTYPE_FINE;

    r = reader_of(data, len);
    uint32_t dimensions = reader_u32(&r);
    (void)reader_u32(&r); /* whether there are NULLs is seen */
    uint32_t sent = reader_u32(&r);
    if (!r.bad && dimensions > 1)
        return PGTYPE_NO_BINARY;
    if (r.bad || sent != type)
        return PGTYPE_SYNTAX;
    if (dimensions == 1) {
        n = reader_u32(&r);
        (void)reader_u32(&r); /* everything counts from 1 here */
    }
    buf_putc(out, '{');
    for (uint32_t i = 0; i < n && fault == PGTYPE_FINE; i++) {
        if (i > 0)
            buf_putc(out, ',');
        fault = get_element(type, &r, out);
    }
    buf_putc(out, '}');
    if (fault == PGTYPE_FINE && !reader_done(&r))
        fault = PGTYPE_SYNTAX;
    if (fault != PGTYPE_FINE)
        buf_cut(out, start);
    return fault;
}

/* ---- text → binary ---- */

struct text_array {
    const char *at, *end;
};

static void skip_blanks(struct text_array *t)
{
    while (t->at < t->end && strchr(" \t\n\r\v\f", *t->at))
        t->at++;
}

/* One element, unquoted, into `out`; *is_null for NULL without quotes. False: there is none. */
static bool next_element(struct text_array *t, struct buf *out, bool *is_null)
{
    bool quoted = false;

    buf_reset(out);
    skip_blanks(t);
    if (t->at < t->end && *t->at == '"') {
        quoted = true;
        for (t->at++; t->at < t->end && *t->at != '"'; t->at++) {
            if (*t->at == '\\' && t->at + 1 < t->end)
                t->at++;
            buf_putc(out, *t->at);
        }
        if (t->at == t->end)
            return false;
        t->at++;
    } else {
        for (; t->at < t->end && !strchr(",{}\"", *t->at); t->at++) {
            if (*t->at == '\\' && t->at + 1 < t->end)
                t->at++;
            buf_putc(out, *t->at);
        }
        while (out->len > 0 && strchr(" \t\n\r\v\f", out->data[out->len - 1]))
            buf_cut(out, out->len - 1);
    }
    skip_blanks(t);
    *is_null = !quoted && out->len == 4 && strncasecmp(out->data, "NULL", 4) == 0;
    return quoted || out->len > 0;
}

static enum pgtype_fault put_binary_element(struct buf *b, uint32_t type, const struct buf *text)
{
    struct buf scratch = BUF_INIT;
    bool in_scratch = false;
    struct value v;
    enum pgtype_fault fault =
        pgtype_get(type, false, text->data ? text->data : "", text->len, &v, &scratch, &in_scratch);

    if (fault == PGTYPE_FINE && in_scratch)
        pgtype_settle(&v, &scratch);
    if (fault == PGTYPE_FINE)
        fault = pgtype_put(b, type, true, &v);
    buf_free(&scratch);
    return fault;
}

/* All elements; *n of them. */
static enum pgtype_fault put_elements(struct buf *b, uint32_t type, struct text_array *t,
                                      uint32_t *n, bool *nulls)
{
    struct buf text = BUF_INIT;
    enum pgtype_fault fault = PGTYPE_FINE;
    bool more = true, is_null;

    while (more && fault == PGTYPE_FINE) {
        if (!next_element(t, &text, &is_null)) {
            fault = t->at < t->end && *t->at == '{' ? PGTYPE_NO_BINARY : PGTYPE_SYNTAX;
            break;
        }
        if (is_null)
            buf_be32(b, UINT32_MAX);
        else
            fault = put_binary_element(b, type, &text);
        *nulls = *nulls || is_null;
        (*n)++;
        more = t->at < t->end && *t->at == ',';
        t->at += more;
    }
    buf_free(&text);
    return fault;
}

enum pgtype_fault pgtype_array_put(struct buf *b, uint32_t array, const struct value *v)
{
    struct text_array t = {v->u.s.data, v->u.s.data + v->u.s.len};
    struct buf elements = BUF_INIT;
    uint32_t type = pgtype_element_of(array), n = 0;
    bool nulls = false;
    enum pgtype_fault fault = PGTYPE_FINE;

    skip_blanks(&t);
    if (t.at == t.end || *t.at++ != '{')
        return PGTYPE_SYNTAX;
    skip_blanks(&t);
    if (t.at == t.end || *t.at != '}')
        fault = put_elements(&elements, type, &t, &n, &nulls);
    if (fault == PGTYPE_FINE && (t.at == t.end || *t.at++ != '}'))
        fault = PGTYPE_SYNTAX;
    skip_blanks(&t);
    if (fault == PGTYPE_FINE && (t.at != t.end || !buf_ok(&elements)))
        fault = PGTYPE_SYNTAX;
    if (fault == PGTYPE_FINE) {
        buf_be32(b, n > 0);
        buf_be32(b, nulls);
        buf_be32(b, type);
        if (n > 0) {
            buf_be32(b, n);
            buf_be32(b, 1);
        }
        buf_put(b, elements.data, elements.len);
    }
    buf_free(&elements);
    return fault;
}
