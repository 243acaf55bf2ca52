#include "proto/mysqlwire.h"

#include <string.h>

#include "proto/mysqltype.h"

#define SSL_REQUEST_BYTES         32u
#define PARAMETER_COUNT_AVAILABLE 8u /* of COM_STMT_EXECUTE's flags */

/* ---- reading ---- */

uint64_t mysqlwire_lenenc(struct reader *r)
{
    uint8_t first = reader_u8(r);
    unsigned char three[3];

    switch (first) {
    case 0xFC:
        return mysqlwire_u16(r);
    case 0xFD:
        reader_copy(r, three, sizeof three);
        return (uint64_t)three[0] | (uint64_t)three[1] << 8 | (uint64_t)three[2] << 16;
    case 0xFE:
        return mysqlwire_u64(r);
    case 0xFB:
    case 0xFF:
        r->bad = true;
        return 0;
    default:
        return first;
    }
}

const char *mysqlwire_lenenc_text(struct reader *r, size_t *len)
{
    uint64_t n = mysqlwire_lenenc(r);
    const char *p = n > (uint64_t)(r->end - r->at) ? NULL : reader_bytes(r, (size_t)n);

    if (!p)
        r->bad = true;
    *len = p ? (size_t)n : 0;
    return p ? p : "";
}

/* The password's proof: with a length of one kind or another, or terminated. */
static void read_auth(struct reader *r, struct mysqlwire_login *out)
{
    if (out->capabilities & MYSQLWIRE_AUTH_LENENC) {
        out->auth = mysqlwire_lenenc_text(r, &out->auth_len);
    } else if (out->capabilities & MYSQLWIRE_SECURE) {
        out->auth_len = reader_u8(r);
        out->auth = reader_bytes(r, out->auth_len);
    } else {
        out->auth = reader_cstr(r);
        out->auth_len = strlen(out->auth);
    }
}

/* Clients leave out what stands last, and some the last terminator, too. */
static const char *read_last_name(struct reader *r)
{
    return r->at == r->end ? "" : reader_cstr(r);
}

bool mysqlwire_read_login(const char *body, size_t len, struct mysqlwire_login *out)
{
    struct reader r = reader_of(body, len);

    memset(out, 0, sizeof *out);
    out->user = out->auth = out->database = out->plugin = "";
    out->capabilities = mysqlwire_u32(&r);
    (void)mysqlwire_u32(&r); /* longest packet that the client takes: it is only told */
    out->charset = reader_u8(&r);
    (void)reader_bytes(&r, 23);
    if (r.bad || !(out->capabilities & MYSQLWIRE_PROTOCOL_41))
        return false;
    if (len == SSL_REQUEST_BYTES) {
        out->ssl_only = (out->capabilities & MYSQLWIRE_SSL) != 0;
        return out->ssl_only;
    }
    out->user = reader_cstr(&r);
    read_auth(&r, out);
    if (out->capabilities & MYSQLWIRE_CONNECT_WITH_DB)
        out->database = read_last_name(&r);
    if (out->capabilities & MYSQLWIRE_PLUGIN_AUTH)
        out->plugin = read_last_name(&r);
    return !r.bad; /* attributes of the connection follow, which nobody asks for here */
}

bool mysqlwire_read_change_user(const char *body, size_t len, uint32_t capabilities,
                                struct mysqlwire_login *out)
{
    struct reader r = reader_of(body, len);

    memset(out, 0, sizeof *out);
    out->user = out->auth = out->database = out->plugin = "";
    out->capabilities = capabilities;
    out->user = reader_cstr(&r);
    out->auth_len = reader_u8(&r);
    out->auth = reader_bytes(&r, out->auth_len);
    out->database = read_last_name(&r);
    if (r.at != r.end)
        out->charset = (uint8_t)mysqlwire_u16(&r);
    if (r.at != r.end && (capabilities & MYSQLWIRE_PLUGIN_AUTH))
        out->plugin = read_last_name(&r);
    return !r.bad;
}

/* Over the values of `n` parameters whose types are at `types`. */
static void skip_values(struct reader *r, const char *nulls, const char *types, unsigned n)
{
    for (unsigned i = 0; i < n && !r->bad; i++)
        if (!(nulls && ((unsigned char)nulls[i / 8] >> (i % 8) & 1)))
            mysqltype_skip(r, (uint8_t)types[2 * (size_t)i]);
}

bool mysqlwire_read_query(const char *body, size_t len, uint32_t capabilities, const char **sql,
                          size_t *sql_len)
{
    struct reader r = reader_of(body, len);

    if (capabilities & MYSQLWIRE_QUERY_ATTRIBUTES) {
        uint64_t n = mysqlwire_lenenc(&r);
        (void)mysqlwire_lenenc(&r); /* sets of parameters, always 1 */
        if (n > 0 && n <= MYSQLWIRE_PARAMS_MAX) {
            const char *nulls = reader_bytes(&r, (size_t)(n + 7) / 8);
            char types[2 * 64];
            if (reader_u8(&r) != 1 || n > 64)
                return false;
            for (unsigned i = 0; i < n; i++) {
                size_t name_len;
                reader_copy(&r, types + 2 * (size_t)i, 2);
                (void)mysqlwire_lenenc_text(&r, &name_len);
            }
            skip_values(&r, nulls, types, (unsigned)n);
        } else if (n > 0) {
            return false;
        }
    }
    *sql = r.at;
    *sql_len = (size_t)(r.end - r.at);
    return !r.bad;
}

uint32_t mysqlwire_execute_statement(const char *body, size_t len)
{
    struct reader r = reader_of(body, len);

    return mysqlwire_u32(&r);
}

bool mysqlwire_read_execute(const char *body, size_t len, uint32_t capabilities, unsigned n_params,
                            char *types, struct mysqlwire_execute *out)
{
    struct reader r = reader_of(body, len);
    bool attributes = (capabilities & MYSQLWIRE_QUERY_ATTRIBUTES) != 0;
    uint64_t n = n_params;

    memset(out, 0, sizeof *out);
    out->statement = mysqlwire_u32(&r);
    out->flags = reader_u8(&r);
    (void)mysqlwire_u32(&r); /* iterations, always 1 */
    /* Attributes of the query stand behind the parameters, with names. */
    if (attributes && (n_params > 0 || (out->flags & PARAMETER_COUNT_AVAILABLE)))
        n = mysqlwire_lenenc(&r);
    if (r.bad || n < n_params || n > MYSQLWIRE_PARAMS_MAX)
        return false;
    out->n_params = n_params;
    if (n > 0) {
        out->nulls = reader_bytes(&r, (size_t)(n + 7) / 8);
        bool sent = reader_u8(&r) == 1;
        if (sent && attributes && types) {
            for (unsigned i = 0; i < n; i++) {
                size_t name_len;
                reader_copy(&r, types + 2 * (size_t)i, 2);
                (void)mysqlwire_lenenc_text(&r, &name_len);
            }
            out->types = types;
        } else if (sent) {
            out->types = reader_bytes(&r, (size_t)n * 2);
        }
    }
    out->values = r;
    return !r.bad;
}

/* ---- packets ---- */

size_t mysqlwire_begin(struct mysqlwire_out *o)
{
    size_t start = o->b->len;

    buf_put(o->b, "\0\0\0", 3);
    buf_u8(o->b, 0);
    return start;
}

static void put_header(struct mysqlwire_out *o, size_t at, size_t n)
{
    unsigned char *p = (unsigned char *)o->b->data + at;

    p[0] = (unsigned char)(n & 0xFF);
    p[1] = (unsigned char)(n >> 8 & 0xFF);
    p[2] = (unsigned char)(n >> 16 & 0xFF);
    p[3] = o->sequence++;
}

/* A long payload gets a header in front of each part; the last part may be an empty one. */
void mysqlwire_end(struct mysqlwire_out *o, size_t start)
{
    size_t n, at = start;

    if (!buf_ok(o->b))
        return;
    n = o->b->len - start - MYSQLWIRE_HEADER_BYTES;
    while (n >= MYSQLWIRE_PART_BYTES) {
        static const char room[MYSQLWIRE_HEADER_BYTES];
        size_t next = at + MYSQLWIRE_HEADER_BYTES + MYSQLWIRE_PART_BYTES;
        size_t rest = n - MYSQLWIRE_PART_BYTES;
        buf_put(o->b, room, sizeof room);
        if (!buf_ok(o->b))
            return;
        memmove(o->b->data + next + MYSQLWIRE_HEADER_BYTES, o->b->data + next, rest);
        put_header(o, at, MYSQLWIRE_PART_BYTES);
        at = next;
        n = rest;
    }
    put_header(o, at, n);
}

void mysqlwire_put_lenenc(struct buf *b, uint64_t v)
{
    if (v < 0xFB) {
        buf_u8(b, (uint8_t)v);
    } else if (v <= 0xFFFF) {
        buf_u8(b, 0xFC);
        mysqlwire_put_u16(b, (uint16_t)v);
    } else if (v <= 0xFFFFFF) {
        buf_u8(b, 0xFD);
        mysqlwire_put_u16(b, (uint16_t)(v & 0xFFFF));
        buf_u8(b, (uint8_t)(v >> 16));
    } else {
        buf_u8(b, 0xFE);
        mysqlwire_put_u64(b, v);
    }
}

void mysqlwire_put_text(struct buf *b, const char *s, size_t len)
{
    mysqlwire_put_lenenc(b, len);
    buf_put(b, s, len);
}

static void put_cstr(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

/* ---- before the commands ---- */

void mysqlwire_write_greeting(struct mysqlwire_out *o, const char *version, uint32_t connection,
                              const char *nonce, uint32_t capabilities, uint16_t status,
                              const char *plugin)
{
    static const char reserved[10];
    size_t start = mysqlwire_begin(o);
    struct buf *b = o->b;

    buf_u8(b, 10);
    put_cstr(b, version);
    mysqlwire_put_u32(b, connection);
    buf_put(b, nonce, 8);
    buf_u8(b, 0);
    mysqlwire_put_u16(b, (uint16_t)(capabilities & 0xFFFF));
    buf_u8(b, MYSQLWIRE_CHARSET);
    mysqlwire_put_u16(b, status);
    mysqlwire_put_u16(b, (uint16_t)(capabilities >> 16));
    buf_u8(b, MYSQLWIRE_NONCE_BYTES + 1);
    buf_put(b, reserved, sizeof reserved);
    buf_put(b, nonce + 8, MYSQLWIRE_NONCE_BYTES - 8);
    buf_u8(b, 0);
    put_cstr(b, plugin);
    mysqlwire_end(o, start);
}

void mysqlwire_write_auth_switch(struct mysqlwire_out *o, const char *plugin, const char *nonce)
{
    size_t start = mysqlwire_begin(o);

    buf_u8(o->b, 0xFE);
    put_cstr(o->b, plugin);
    buf_put(o->b, nonce, MYSQLWIRE_NONCE_BYTES);
    buf_u8(o->b, 0);
    mysqlwire_end(o, start);
}

void mysqlwire_write_auth_more(struct mysqlwire_out *o, const void *data, size_t len)
{
    size_t start = mysqlwire_begin(o);

    buf_u8(o->b, 1);
    buf_put(o->b, data, len);
    mysqlwire_end(o, start);
}

/* ---- answers ---- */

#define TRACK_SCHEMA 1

/* Information of the session's new state: type, length, and the name with its own length. */
static void put_schema(struct buf *b, const char *schema)
{
    size_t n = strlen(schema), name = n + (n < 0xFB ? 1 : 3);

    mysqlwire_put_lenenc(b, name + (name < 0xFB ? 2 : 4));
    buf_u8(b, TRACK_SCHEMA);
    mysqlwire_put_lenenc(b, name);
    mysqlwire_put_text(b, schema, n);
}

void mysqlwire_write_ok(struct mysqlwire_out *o, uint32_t capabilities,
                        const struct mysqlwire_ok *ok, bool eof)
{
    size_t start = mysqlwire_begin(o);
    struct buf *b = o->b;
    bool track = (capabilities & MYSQLWIRE_SESSION_TRACK) != 0;
    bool changed = track && ok->schema;
    const char *info = ok->info ? ok->info : "";

    buf_u8(b, eof ? 0xFE : 0x00);
    mysqlwire_put_lenenc(b, ok->affected);
    mysqlwire_put_lenenc(b, ok->last_insert_id);
    mysqlwire_put_u16(b, (uint16_t)(ok->status | (changed ? MYSQLWIRE_STATE_CHANGED : 0)));
    mysqlwire_put_u16(b, ok->warnings);
    if (track && (*info || changed))
        mysqlwire_put_text(b, info, strlen(info));
    else if (!track)
        buf_put(b, info, strlen(info));
    if (changed)
        put_schema(b, ok->schema);
    mysqlwire_end(o, start);
}

void mysqlwire_write_eof(struct mysqlwire_out *o, uint16_t status, uint16_t warnings)
{
    size_t start = mysqlwire_begin(o);

    buf_u8(o->b, 0xFE);
    mysqlwire_put_u16(o->b, warnings);
    mysqlwire_put_u16(o->b, status);
    mysqlwire_end(o, start);
}

void mysqlwire_write_error(struct mysqlwire_out *o, unsigned code, const char *sqlstate,
                           const char *message)
{
    size_t start = mysqlwire_begin(o);

    buf_u8(o->b, 0xFF);
    mysqlwire_put_u16(o->b, (uint16_t)code);
    if (sqlstate) {
        buf_putc(o->b, '#');
        buf_put(o->b, sqlstate, 5);
    }
    buf_put(o->b, message, strlen(message));
    mysqlwire_end(o, start);
}

static void put_name(struct buf *b, const char *s)
{
    mysqlwire_put_text(b, s, strlen(s));
}

void mysqlwire_write_column(struct mysqlwire_out *o, const struct mysqlwire_column *c)
{
    size_t start = mysqlwire_begin(o);
    struct buf *b = o->b;

    put_name(b, "def");
    put_name(b, c->schema);
    put_name(b, c->table);
    put_name(b, c->org_table);
    put_name(b, c->name);
    put_name(b, *c->org_table ? c->name : "");
    mysqlwire_put_lenenc(b, 12);
    mysqlwire_put_u16(b, c->charset);
    mysqlwire_put_u32(b, c->length);
    buf_u8(b, c->type);
    mysqlwire_put_u16(b, c->flags);
    buf_u8(b, c->decimals);
    mysqlwire_put_u16(b, 0);
    if (c->has_default)
        buf_u8(b, 0xFB);
    mysqlwire_end(o, start);
}

void mysqlwire_write_count(struct mysqlwire_out *o, uint64_t n)
{
    size_t start = mysqlwire_begin(o);

    mysqlwire_put_lenenc(o->b, n);
    mysqlwire_end(o, start);
}

void mysqlwire_write_prepared(struct mysqlwire_out *o, uint32_t statement, unsigned n_columns,
                              unsigned n_params, uint16_t warnings)
{
    size_t start = mysqlwire_begin(o);

    buf_u8(o->b, 0);
    mysqlwire_put_u32(o->b, statement);
    mysqlwire_put_u16(o->b, (uint16_t)n_columns);
    mysqlwire_put_u16(o->b, (uint16_t)n_params);
    buf_u8(o->b, 0);
    mysqlwire_put_u16(o->b, warnings);
    mysqlwire_end(o, start);
}
