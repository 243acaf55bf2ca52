/*
 * A row in the spool, with its length at both ends so that it can be walked in both directions:
 *
 *   length (size_t) │ number of values, then of each struct value and its bytes │ length again
 *                     <──────────────────────── length ────────────────────────>
 */
#include "core/rowset.h"

#include <stdlib.h>
#include <string.h>

#include "base/spool.h"

#define MEMORY_BYTES ((size_t)1 << 20)

struct rowset {
    struct sink sink;
    struct spool *spool;
    uint64_t count, at, offset;
    char *row; /* the bytes of the current one */
    size_t row_cap;
    struct value *values;
    unsigned values_cap;
    bool failed;
};

static void on_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

static bool has_bytes(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BLOB;
}

static enum sink_verdict on_row(struct sink *s, const struct value *values, unsigned n)
{
    struct rowset *r = (struct rowset *)s;
    struct buf *b = spool_tail(r->spool);
    size_t bytes = sizeof n;

    for (unsigned i = 0; i < n; i++)
        bytes += sizeof *values + (has_bytes(&values[i]) ? values[i].u.s.len : 0);
    buf_put(b, &bytes, sizeof bytes);
    buf_put(b, &n, sizeof n);
    for (unsigned i = 0; i < n; i++) {
        buf_put(b, &values[i], sizeof *values);
        if (has_bytes(&values[i]))
            buf_put(b, values[i].u.s.data, values[i].u.s.len);
    }
    buf_put(b, &bytes, sizeof bytes);
    spool_flush(r->spool);
    r->count++;
    return spool_ok(r->spool) ? SINK_MORE : SINK_STOP;
}

static void on_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

struct rowset *rowset_new(const char *spool_dir)
{
    static const struct sink_ops ops = {on_columns, on_row, on_done};
    struct rowset *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->sink.ops = &ops;
    r->spool = spool_new(spool_dir, MEMORY_BYTES);
    if (r->spool)
        return r;
    free(r);
    return NULL;
}

void rowset_free(struct rowset *r)
{
    if (!r)
        return;
    spool_free(r->spool);
    free(r->row);
    free(r->values);
    free(r);
}

struct sink *rowset_sink(struct rowset *r)
{
    return &r->sink;
}

bool rowset_ok(const struct rowset *r)
{
    return !r->failed && spool_ok(r->spool);
}

uint64_t rowset_count(const struct rowset *r)
{
    return r->count;
}

static bool read_bytes(struct rowset *r, void *out, size_t n)
{
    struct err e = ERR_INIT;
    size_t got = 0;

    if (spool_read(r->spool, r->offset, out, n, &got, &e) != ERR_OK || got != n) {
        r->failed = true;
        return false;
    }
    r->offset += n;
    return true;
}

static bool room(struct rowset *r, size_t bytes)
{
    if (bytes <= r->row_cap)
        return true;
    char *more = realloc(r->row, bytes);
    if (!more) {
        r->failed = true;
        return false;
    }
    r->row = more;
    r->row_cap = bytes;
    return true;
}

static bool value_room(struct rowset *r, unsigned n)
{
    if (n <= r->values_cap)
        return true;
    struct value *more = realloc(r->values, n * sizeof *more);
    if (!more) {
        r->failed = true;
        return false;
    }
    r->values = more;
    r->values_cap = n;
    return true;
}

bool rowset_next(struct rowset *r, const struct value **values, unsigned *n)
{
    size_t bytes = 0;

    if (r->failed || r->at >= r->count || !read_bytes(r, &bytes, sizeof bytes) || !room(r, bytes) ||
        !read_bytes(r, r->row, bytes))
        return false;
    r->offset += sizeof bytes;
    const char *p = r->row;
    memcpy(n, p, sizeof *n);
    p += sizeof *n;
    if (!value_room(r, *n))
        return false;
    for (unsigned i = 0; i < *n; i++) {
        memcpy(&r->values[i], p, sizeof *r->values);
        p += sizeof *r->values;
        if (has_bytes(&r->values[i])) {
            r->values[i].u.s.data = p;
            p += r->values[i].u.s.len;
        }
    }
    r->at++;
    *values = r->values;
    return true;
}

static bool forwards(struct rowset *r)
{
    size_t bytes = 0;

    if (!read_bytes(r, &bytes, sizeof bytes))
        return false;
    r->offset += bytes + sizeof bytes;
    r->at++;
    return true;
}

static bool backwards(struct rowset *r)
{
    size_t bytes = 0;

    r->offset -= sizeof bytes;
    if (!read_bytes(r, &bytes, sizeof bytes))
        return false;
    r->offset -= bytes + 2 * sizeof bytes;
    r->at--;
    return true;
}

/* From where it stands, or from the nearer one of the two ends. */
void rowset_seek(struct rowset *r, uint64_t row)
{
    if (row > r->count)
        row = r->count;
    uint64_t walk = row < r->at ? r->at - row : row - r->at;

    if (row < walk) {
        r->at = r->offset = 0;
    } else if (r->count - row < walk) {
        r->at = r->count;
        r->offset = spool_len(r->spool);
    }
    while (r->at < row && forwards(r))
        ;
    while (r->at > row && backwards(r))
        ;
}
