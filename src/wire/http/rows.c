/*
 * Rows as JSON, NDJSON and CSV.
 *
 *   http_rows_begin → (columns, row…, done)… → http_rows_decide → http_rows_end, http_rows_fini
 *
 * Whether JSON is one result or {"results": [ … ]} is known only when the second statement begins,
 * or the request ends. So the wider form's beginning is always written, and left away on sending
 * when there turns out to be one statement.
 */
#include "wire/http/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/value_text.h"
#include "sql/lex.h"

#define WIDE     "{\"results\":["
#define WIDE_LEN (sizeof WIDE - 1)

/* buf_puts() without the strlen(). */
#define PUT(b, literal) buf_put((b), (literal), sizeof(literal) - 1)

/* ---- keys of rows as objects ---- */

static bool keys_reserve(struct http_rows *r, unsigned n)
{
    size_t *p;

    if (n <= r->cap_keys)
        return true;
    p = realloc(r->key_ends, n * sizeof *p);
    if (!p) {
        r->out->failed = true;
        return false;
    }
    r->key_ends = p;
    r->cap_keys = n;
    return true;
}

/* How many columns before `i` have its name: the second "a" becomes "a:1", so that no value hides
 * another. */
static unsigned same_names(const struct sink_column *cols, unsigned i)
{
    unsigned same = 0;

    for (unsigned j = 0; j < i; j++)
        same += strcmp(cols[j].name, cols[i].name) == 0;
    return same;
}

static void keys_set(struct http_rows *r, const struct sink_column *cols, unsigned n)
{
    buf_reset(&r->keys);
    if (!keys_reserve(r, n))
        return;
    for (unsigned i = 0; i < n; i++) {
        unsigned same = same_names(cols, i);

        json_put_cstr(&r->keys, cols[i].name);
        if (same > 0) {
            buf_cut(&r->keys, r->keys.len - 1);
            buf_putc(&r->keys, ':');
            buf_u64(&r->keys, same);
            buf_putc(&r->keys, '"');
        }
        buf_putc(&r->keys, ':');
        r->key_ends[i] = r->keys.len;
    }
    if (!buf_ok(&r->keys))
        r->out->failed = true;
}

/* ---- the beginning of a statement ---- */

static void json_columns(struct buf *b, const struct sink_column *cols, unsigned n, bool types)
{
    if (types)
        PUT(b, ",\"types\":[");
    else
        PUT(b, "\"columns\":[");
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        json_put_cstr(b, types ? cols[i].decltype : cols[i].name);
    }
    buf_putc(b, ']');
}

static void csv_names(struct http_rows *r, const struct sink_column *cols, unsigned n)
{
    if (r->statements > 1)
        PUT(r->out, "\r\n");
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(r->out, ',');
        csv_put_text(r->out, cols[i].name, strlen(cols[i].name));
    }
    PUT(r->out, "\r\n");
}

static void rows_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct http_rows *r = (struct http_rows *)s;
    struct buf *b = r->out;

    r->statements++;
    r->open = true;
    r->any_row = false;
    r->n_columns = n;
    if (r->opt.associative)
        keys_set(r, cols, n);
    if (r->opt.format == HTTP_CSV) {
        csv_names(r, cols, n);
        return;
    }
    if (r->opt.format == HTTP_JSON && r->statements > 1)
        buf_putc(b, ',');
    buf_putc(b, '{');
    json_columns(b, cols, n, false);
    if (r->opt.details || r->opt.format == HTTP_NDJSON)
        json_columns(b, cols, n, true);
    if (r->opt.format == HTTP_JSON)
        PUT(b, ",\"rows\":[");
    else
        PUT(b, "}\n");
}

/* ---- rows ---- */

static void json_row(struct http_rows *r, const struct value *values, unsigned n)
{
    struct buf *b = r->out;

    buf_putc(b, '[');
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        value_put_json(b, &values[i]);
    }
    buf_putc(b, ']');
}

static void json_object(struct http_rows *r, const struct value *values, unsigned n)
{
    struct buf *b = r->out;
    size_t at = 0;

    if (n > r->cap_keys || !buf_ok(&r->keys)) /* no memory for the names: the result has failed */
        return;
    buf_putc(b, '{');
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        buf_put(b, r->keys.data + at, r->key_ends[i] - at);
        at = r->key_ends[i];
        value_put_json(b, &values[i]);
    }
    buf_putc(b, '}');
}

static void csv_row(struct buf *b, const struct value *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(b, ',');
        value_put_csv(b, &values[i]);
    }
    PUT(b, "\r\n");
}

static bool row_too_big(const struct http_rows *r, const struct value *values, unsigned n)
{
    size_t bytes = 0;

    if (r->opt.max_row_bytes == 0)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (values[i].type == VALUE_TEXT || values[i].type == VALUE_BLOB)
            bytes += values[i].u.s.len;
    return bytes > r->opt.max_row_bytes;
}

static enum sink_verdict rows_row(struct sink *s, const struct value *values, unsigned n)
{
    struct http_rows *r = (struct http_rows *)s;
    struct buf *b = r->out;

    if (row_too_big(r, values, n))
        return SINK_STOP;
    if (r->opt.format == HTTP_JSON && r->any_row)
        buf_putc(b, ',');
    r->any_row = true;
    if (r->opt.format == HTTP_CSV)
        csv_row(b, values, n);
    else if (r->opt.associative)
        json_object(r, values, n);
    else
        json_row(r, values, n);
    if (r->opt.format == HTTP_NDJSON)
        buf_putc(b, '\n');
    if (!buf_ok(b))
        return SINK_STOP;
    return b->len >= HTTP_ROWS_FULL_BYTES ? SINK_FULL : SINK_MORE;
}

/* ---- the end of a statement ---- */

static void json_details(struct buf *b, const struct sink_done *d)
{
    if (d->has_rows)
        PUT(b, "\"returns_rows\":true,\"rows_affected\":");
    else
        PUT(b, "\"returns_rows\":false,\"rows_affected\":");
    buf_i64(b, d->rows_affected);
    PUT(b, ",\"last_insert_id\":");
    buf_i64(b, d->last_insert_id);
    PUT(b, ",\"time\":");
    json_put_double(b, (double)d->elapsed_ns / 1e9);
}

static void rows_done(struct sink *s, const struct sink_done *d)
{
    static const struct sink_column cols[] = {{"rows_affected", "INTEGER"},
                                              {"last_insert_id", "INTEGER"}};
    struct http_rows *r = (struct http_rows *)s;
    struct buf *b = r->out;

    if (!r->open) {
        struct value values[] = {value_int(d->rows_affected), value_int(d->last_insert_id)};
        rows_columns(s, cols, 2);
        (void)rows_row(s, values, 2);
    }
    r->open = false;
    if (r->opt.format == HTTP_JSON) {
        buf_putc(b, ']');
        if (r->opt.details) {
            buf_putc(b, ',');
            json_details(b, d);
        }
        buf_putc(b, '}');
    } else if (r->opt.format == HTTP_NDJSON && r->opt.details) {
        buf_putc(b, '{');
        json_details(b, d);
        PUT(b, "}\n");
    }
}

static const struct sink_ops ops = {
    .columns = rows_columns,
    .row = rows_row,
    .done = rows_done,
};

/* ---- the whole ---- */

void http_rows_begin(struct http_rows *r, const struct http_rows_options *opt, struct buf *out)
{
    r->sink.ops = &ops;
    r->opt = *opt;
    r->out = out;
    r->n_columns = 0;
    r->statements = 0;
    r->open = r->any_row = r->several = r->decided = false;
    if (opt->format == HTTP_JSON)
        buf_put(out, WIDE, WIDE_LEN);
}

size_t http_rows_decide(struct http_rows *r, bool more_statements)
{
    r->several = r->opt.array || more_statements || r->statements > 1;
    r->decided = true;
    return r->opt.format == HTTP_JSON && !r->several ? WIDE_LEN : 0;
}

void http_rows_end(struct http_rows *r)
{
    static const struct sink_done nothing = {0};

    if (r->statements == 0 && !r->opt.array) /* a text without a statement did nothing */
        rows_done(&r->sink, &nothing);
    if (r->opt.format == HTTP_JSON && (r->decided ? r->several : r->opt.array || r->statements > 1))
        PUT(r->out, "]}");
    if (r->opt.format == HTTP_JSON)
        buf_putc(r->out, '\n');
}

void http_rows_fini(struct http_rows *r)
{
    buf_free(&r->keys);
    free(r->key_ends);
    r->key_ends = NULL;
    r->cap_keys = 0;
}

/* ---- more than one statement? ---- */

bool http_rows_is_several(const char *sql, size_t len)
{
    bool inside = false; /* the first statement has begun */
    bool behind = false; /* and has ended */
    struct lex_token t;

    for (const char *at = sql; lex_next(&at, sql + len, &t);) {
        if (t.type == LEX_TOKEN_SEMI)
            behind = inside;
        else if (behind)
            return true;
        else
            inside = true;
    }
    return false;
}
