/* Answers: grpcsql.h. Field numbers are those of proto/. */
#include "proto/grpcsql.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "proto/pbwire.h"

#define URL "type.googleapis.com/google.protobuf."

/* buf_puts() without the strlen(). */
#define PUT(b, literal) buf_put((b), (literal), sizeof(literal) - 1)

/* ---- text ---- */

bool grpcsql_is_text(const char *s, size_t len)
{
    size_t at = 0;

    while (at < len) {
        at += json_text_prefix(s + at, len - at);
        if (at < len && s[at++] != '\0')
            return false;
    }
    return true;
}

/* A string field; what is not UTF-8 becomes U+FFFD, for one invalid byte would make the client
 * refuse the whole message. */
static void put_string(struct buf *b, unsigned field, const char *s, size_t len)
{
    struct buf mended = BUF_INIT;

    if (grpcsql_is_text(s, len)) {
        pb_bytes(b, field, s, len);
        return;
    }
    for (size_t at = 0; at < len;) {
        size_t n = json_text_prefix(s + at, len - at);
        buf_put(&mended, s + at, n);
        at += n;
        if (at < len)
            PUT(&mended, "\xEF\xBF\xBD");
        at += at < len;
    }
    pb_bytes(b, field, buf_ok(&mended) ? mended.data : "", buf_ok(&mended) ? mended.len : 0);
    buf_free(&mended);
}

/* ---- rows ---- */

void grpcsql_put_column(struct buf *b, const char *name)
{
    put_string(b, 1, name ? name : "", name ? strlen(name) : 0);
}

void grpcsql_put_column_type(struct buf *b, const char *decltype)
{
    put_string(b, 1000, decltype ? decltype : "", decltype ? strlen(decltype) : 0);
}

/* An Any with a message whose one field has a number: `n` bytes of it, 0 = its default. */
static void put_any(struct buf *b, const char *url, size_t url_len, const void *message, size_t n)
{
    size_t value = n > 0 ? 1 + pb_varint_size(n) + n : 0;

    pb_head(b, 1, 1 + pb_varint_size(url_len) + url_len + value);
    pb_bytes(b, 1, url, url_len);
    if (n > 0)
        pb_bytes(b, 2, message, n);
}

#define PUT_ANY(b, type, message, n) put_any((b), URL type, sizeof(URL type) - 1, (message), (n))

static void put_int(struct buf *b, int64_t i)
{
    unsigned char bytes[1 + PB_VARINT_MAX] = {1 << 3 | PB_VARINT};
    uint64_t v = (uint64_t)i;
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (unsigned char)(v | 0x80);
    bytes[n++] = (unsigned char)v;
    PUT_ANY(b, "Int64Value", bytes, i == 0 ? 0 : n);
}

static void put_real(struct buf *b, double r)
{
    unsigned char bytes[1 + sizeof(uint64_t)] = {1 << 3 | PB_FIXED64};
    uint64_t bits;

    memcpy(&bits, &r, sizeof bits);
    uint64_t wire = htole64(bits);
    memcpy(bytes + 1, &wire, sizeof wire);
    PUT_ANY(b, "DoubleValue", bytes, bits == 0 ? 0 : sizeof bytes);
}

/* The bytes are not copied to where they do not stay. */
static void put_long(struct buf *b, const char *url, size_t url_len, const char *s, size_t len)
{
    size_t message = len > 0 ? 1 + pb_varint_size(len) + len : 0;
    size_t value = len > 0 ? 1 + pb_varint_size(message) + message : 0;

    pb_head(b, 1, 1 + pb_varint_size(url_len) + url_len + value);
    pb_bytes(b, 1, url, url_len);
    if (len == 0)
        return;
    pb_head(b, 2, message);
    pb_bytes(b, 1, s, len);
}

static void put_value(struct buf *b, const struct value *v)
{
    static const char text[] = URL "StringValue", bytes[] = URL "BytesValue";

    switch (v->type) {
    case VALUE_NULL:
        PUT_ANY(b, "Empty", "", 0);
        break;
    case VALUE_INTEGER:
        put_int(b, v->u.i);
        break;
    case VALUE_REAL:
        put_real(b, v->u.r);
        break;
    case VALUE_TEXT:
        if (grpcsql_is_text(v->u.s.data, v->u.s.len)) {
            put_long(b, text, sizeof text - 1, v->u.s.data, v->u.s.len);
            break;
        }
        /* fall through */
    case VALUE_BLOB:
        put_long(b, bytes, sizeof bytes - 1, v->u.s.data, v->u.s.len);
        break;
    }
}

void grpcsql_put_row(struct buf *b, struct buf *scratch, const struct value *values, unsigned n)
{
    buf_reset(scratch);
    for (unsigned i = 0; i < n; i++)
        put_value(scratch, &values[i]);
    if (!buf_ok(scratch))
        b->failed = true;
    pb_bytes(b, 2, scratch->data, scratch->len);
}

/* ---- the rest ---- */

void grpcsql_put_data_head(struct buf *b, uint64_t data_len)
{
    pb_head(b, 1, data_len);
}

void grpcsql_put_tail(struct buf *b, const struct grpcsql_tail *t)
{
    pb_number(b, 2, (uint64_t)t->rows_affected);
    pb_number(b, 3, (uint64_t)t->last_insert_id);
    pb_number(b, 4, t->txseq);
    pb_number(b, 1001, t->more);
}

void grpcsql_put_error(struct buf *b, const struct err *e, size_t statement)
{
    struct buf detail = BUF_INIT;
    const char *name = err_name(e->code), *state = err_sqlstate(e->code);
    const char *msg = *e->msg ? e->msg : err_text(e->code);

    put_string(b, 5, msg, strlen(msg));
    pb_bytes(&detail, 1, name, strlen(name));
    pb_number(&detail, 2, (uint64_t)err_grpc(e->code));
    pb_bytes(&detail, 3, state, strlen(state));
    pb_number(&detail, 4, (uint64_t)e->sqlite_code);
    pb_number(&detail, 5, e->offset >= 0 ? (uint64_t)e->offset + 1 : 0);
    pb_number(&detail, 6, statement);
    if (buf_ok(&detail))
        pb_bytes(b, 1000, detail.data, detail.len);
    buf_free(&detail);
}

/* An entry of a map<string, string>. */
static void put_entry(struct buf *b, unsigned field, const char *key, const char *value)
{
    size_t k = strlen(key), v = strlen(value);

    pb_head(b, field, 1 + pb_varint_size(k) + k + 1 + pb_varint_size(v) + v);
    pb_bytes(b, 1, key, k);
    pb_bytes(b, 2, value, v);
}

static void put_number_entry(struct buf *b, unsigned field, const char *key, int value)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%d", value);
    put_entry(b, field, key, text);
}

void grpcsql_put_status(struct buf *b, const struct err *e)
{
    static const char url[] = "type.googleapis.com/google.rpc.ErrorInfo", domain[] = "ha";
    const char *name = err_name(e->code), *msg = *e->msg ? e->msg : err_text(e->code);
    struct buf info = BUF_INIT, any = BUF_INIT;

    pb_bytes(&info, 1, name, strlen(name));
    pb_bytes(&info, 2, domain, sizeof domain - 1);
    put_entry(&info, 3, "sqlstate", err_sqlstate(e->code));
    if (e->sqlite_code > 0)
        put_number_entry(&info, 3, "sqlite_code", e->sqlite_code);
    if (e->offset >= 0)
        put_number_entry(&info, 3, "offset", e->offset);
    pb_bytes(&any, 1, url, sizeof url - 1);
    pb_bytes(&any, 2, info.data, info.len);
    pb_number(b, 1, (uint64_t)err_grpc(e->code));
    put_string(b, 2, msg, strlen(msg));
    pb_bytes(b, 3, any.data, any.len);
    if (!buf_ok(&info) || !buf_ok(&any))
        b->failed = true;
    buf_free(&info);
    buf_free(&any);
}

void grpcsql_put_batch_item(struct buf *b, const void *response, size_t len)
{
    pb_bytes(b, 1, response, len);
}

void grpcsql_put_batch_tail(struct buf *b, uint64_t txseq)
{
    pb_number(b, 2, txseq);
}

void grpcsql_put_piece_head(struct buf *b, uint64_t len)
{
    pb_head(b, 1, len);
}

void grpcsql_put_name(struct buf *b, const char *name)
{
    put_string(b, 1, name, strlen(name));
}
