/* Reading, then writing; see pgwire.h. */
#include "proto/pgwire.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

static uint16_t be16(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static uint32_t be32(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- frontend messages ---- */

#define LIMIT_NAME (UINT32_C(64) << 10) /* bytes of a message that only names something */
#define LIMIT_SQL  (UINT32_C(64) << 20)
#define LIMIT_BIND (UINT32_C(1) << 30) /* SQLite's own limit of a value is just below it */

uint32_t pgwire_limit(char type)
{
    switch (type) {
    case 'H': /* Flush */
    case 'S': /* Sync */
    case 'X': /* Terminate */
    case 'c': /* CopyDone */
        return 4;
    case 'C': /* Close */
    case 'D': /* Describe */
    case 'E': /* Execute */
    case 'f': /* CopyFail */
    case 'p': /* a password, or an answer of SASL */
        return LIMIT_NAME;
    case 'P': /* Parse */
    case 'Q': /* Query */
    case 'd': /* CopyData */
    case 'F': /* FunctionCall: refused, but a known type */
        return LIMIT_SQL;
    case 'B': /* Bind */
        return LIMIT_BIND;
    default:
        return 0;
    }
}

bool pgwire_startup_next(struct reader *r, const char **key, const char **value)
{
    *key = reader_cstr(r);
    if (r->bad || **key == '\0')
        return false;
    *value = reader_cstr(r);
    return !r->bad;
}

bool pgwire_read_parse(const char *body, size_t len, struct pgwire_parse *out)
{
    struct reader r = reader_of(body, len);
    out->name = reader_cstr(&r);
    out->sql = reader_cstr(&r);
    out->sql_len = r.bad ? 0 : (size_t)(r.at - out->sql) - 1;
    out->n_types = reader_u16(&r);
    out->types = reader_bytes(&r, (size_t)out->n_types * 4);
    return reader_done(&r);
}

uint32_t pgwire_parse_type(const struct pgwire_parse *p, unsigned i)
{
    return i < p->n_types ? be32(p->types + (size_t)i * 4) : 0;
}

static const char *read_codes(struct reader *r, unsigned *n)
{
    *n = reader_u16(r);
    const char *codes = reader_bytes(r, (size_t)*n * 2);

    for (unsigned i = 0; codes && i < *n; i++)
        if (be16(codes + (size_t)i * 2) > 1)
            r->bad = true;
    return codes;
}

bool pgwire_read_bind(const char *body, size_t len, struct pgwire_bind *out)
{
    struct reader r = reader_of(body, len);
    out->portal = reader_cstr(&r);
    out->statement = reader_cstr(&r);
    out->formats = read_codes(&r, &out->n_formats);
    out->n_params = reader_u16(&r);
    if (out->n_formats > 1 && out->n_formats != out->n_params)
        return false;
    out->params = r;
    for (unsigned i = 0; i < out->n_params && !r.bad; i++) {
        int32_t n = (int32_t)reader_u32(&r);
        if (n < -1)
            return false;
        if (n > 0)
            (void)reader_bytes(&r, (size_t)n);
    }
    out->results = read_codes(&r, &out->n_results);
    return reader_done(&r);
}

bool pgwire_result_is_binary(const char *codes, unsigned n, unsigned i)
{
    if (n == 0)
        return false;
    if (n == 1)
        i = 0;
    return i < n && be16(codes + (size_t)i * 2) == 1;
}

bool pgwire_param_is_binary(const struct pgwire_bind *b, unsigned i)
{
    return pgwire_result_is_binary(b->formats, b->n_formats, i);
}

void pgwire_next_param(struct pgwire_bind *b, const char **data, size_t *len)
{
    int32_t n = (int32_t)reader_u32(&b->params);

    *data = n < 0 ? NULL : reader_bytes(&b->params, (size_t)n);
    *len = *data ? (size_t)n : 0;
}

bool pgwire_read_target(const char *body, size_t len, char *what, const char **name)
{
    struct reader r = reader_of(body, len);
    *what = (char)reader_u8(&r);
    *name = reader_cstr(&r);
    return reader_done(&r) && (*what == 'S' || *what == 'P');
}

bool pgwire_read_execute(const char *body, size_t len, const char **portal, uint32_t *max_rows)
{
    struct reader r = reader_of(body, len);
    *portal = reader_cstr(&r);
    *max_rows = reader_u32(&r);
    if (*max_rows > INT32_MAX) /* PostgreSQL takes zero and less for "all" */
        *max_rows = 0;
    return reader_done(&r);
}

bool pgwire_read_string(const char *body, size_t len, const char **s)
{
    struct reader r = reader_of(body, len);
    *s = reader_cstr(&r);
    return reader_done(&r);
}

/* ---- backend messages ---- */

size_t pgwire_begin(struct buf *b, char type)
{
    size_t start = b->len;

    buf_putc(b, type);
    buf_be32(b, 0);
    return start;
}

void pgwire_end(struct buf *b, size_t start)
{
    size_t len = b->len - start - 1;
    unsigned char *p;

    if (!buf_ok(b))
        return;
    p = (unsigned char *)b->data + start + 1;
    p[0] = (unsigned char)(len >> 24);
    p[1] = (unsigned char)(len >> 16);
    p[2] = (unsigned char)(len >> 8);
    p[3] = (unsigned char)len;
}

void pgwire_put_cstr(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

void pgwire_write_empty(struct buf *b, char type)
{
    buf_putc(b, type);
    buf_be32(b, 4);
}

void pgwire_write_ready(struct buf *b, char status)
{
    buf_putc(b, 'Z');
    buf_be32(b, 5);
    buf_putc(b, status);
}

void pgwire_write_complete(struct buf *b, const char *tag)
{
    size_t start = pgwire_begin(b, 'C');

    pgwire_put_cstr(b, tag);
    pgwire_end(b, start);
}

void pgwire_write_parameter(struct buf *b, const char *name, const char *value)
{
    size_t start = pgwire_begin(b, 'S');

    pgwire_put_cstr(b, name);
    pgwire_put_cstr(b, value);
    pgwire_end(b, start);
}

void pgwire_write_auth(struct buf *b, uint32_t code, const void *data, size_t len)
{
    size_t start = pgwire_begin(b, 'R');

    buf_be32(b, code);
    buf_put(b, data, len);
    pgwire_end(b, start);
}

void pgwire_write_key(struct buf *b, uint32_t pid, const void *key, size_t len)
{
    size_t start = pgwire_begin(b, 'K');

    buf_be32(b, pid);
    buf_put(b, key, len);
    pgwire_end(b, start);
}

void pgwire_write_negotiate(struct buf *b, uint32_t version, const char *const *unknown, unsigned n)
{
    size_t start = pgwire_begin(b, 'v');

    buf_be32(b, version);
    buf_be32(b, n);
    for (unsigned i = 0; i < n; i++)
        pgwire_put_cstr(b, unknown[i]);
    pgwire_end(b, start);
}

void pgwire_write_field(struct buf *b, const struct pgwire_field *f)
{
    pgwire_put_cstr(b, f->name);
    buf_be32(b, f->table);
    buf_be16(b, f->attribute);
    buf_be32(b, f->type);
    buf_be16(b, (uint16_t)f->size);
    buf_be32(b, (uint32_t)f->modifier);
    buf_be16(b, f->binary);
}

void pgwire_write_copy(struct buf *b, char type, bool binary, unsigned n_columns)
{
    size_t start = pgwire_begin(b, type);

    buf_u8(b, binary);
    buf_be16(b, (uint16_t)n_columns);
    for (unsigned i = 0; i < n_columns; i++)
        buf_be16(b, binary);
    pgwire_end(b, start);
}

/* What a message quotes may be cut inside a character, or never have been text. */
static void put_field(struct buf *b, char code, const char *text)
{
    if (!text)
        return;
    buf_putc(b, code);
    for (size_t left = strlen(text); left > 0;) {
        size_t n = json_text_prefix(text, left);
        buf_put(b, text, n);
        if (n < left)
            buf_putc(b, '?');
        n += n < left;
        text += n;
        left -= n;
    }
    buf_putc(b, '\0');
}

void pgwire_write_error(struct buf *b, char type, const struct pgwire_error *e)
{
    size_t start = pgwire_begin(b, type);
    char position[24];

    (void)snprintf(position, sizeof position, "%zu", e->position);
    put_field(b, 'S', e->severity);
    put_field(b, 'V', e->severity);
    put_field(b, 'C', e->sqlstate);
    put_field(b, 'M', e->message);
    put_field(b, 'D', e->detail);
    put_field(b, 'H', e->hint);
    put_field(b, 'P', e->position > 0 ? position : NULL);
    put_field(b, 'W', e->where);
    put_field(b, 's', e->schema);
    put_field(b, 't', e->table);
    put_field(b, 'c', e->column);
    put_field(b, 'n', e->constraint);
    buf_putc(b, '\0');
    pgwire_end(b, start);
}
