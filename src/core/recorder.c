#include "core/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "base/reader.h"
#include "base/value_pack.h"

static void put_text(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

static void record_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct buf *b = &((struct recorder *)s)->bytes;
    buf_putc(b, 'C');
    buf_be32(b, n);
    for (unsigned i = 0; i < n; i++) {
        put_text(b, cols[i].name ? cols[i].name : "");
        buf_u8(b, cols[i].decltype != NULL);
        if (cols[i].decltype)
            put_text(b, cols[i].decltype);
    }
}

static enum sink_verdict record_row(struct sink *s, const struct value *values, unsigned n)
{
    struct buf *b = &((struct recorder *)s)->bytes;
    buf_putc(b, 'R');
    buf_be32(b, n);
    for (unsigned i = 0; i < n; i++)
        value_pack(b, &values[i]);
    return buf_ok(b) ? SINK_MORE : SINK_STOP;
}

static void record_done(struct sink *s, const struct sink_done *d)
{
    struct buf *b = &((struct recorder *)s)->bytes;
    buf_putc(b, 'D');
    buf_u8(b, d->has_rows);
    buf_be64(b, d->rows);
    buf_be64(b, (uint64_t)d->rows_affected);
    buf_be64(b, (uint64_t)d->last_insert_id);
    buf_be64(b, (uint64_t)d->elapsed_ns);
}

static const struct sink_ops ops = {record_columns, record_row, record_done};

void recorder_init(struct recorder *r, size_t limit_bytes)
{
    r->sink.ops = &ops;
    buf_init(&r->bytes, limit_bytes);
}

void recorder_free(struct recorder *r)
{
    buf_free(&r->bytes);
}

void recorder_reset(struct recorder *r)
{
    buf_reset(&r->bytes);
}

/* As many of `size` bytes as there are columns or values; NULL: no memory, or more than the
 * recording can hold. */
static void *room(struct reader *in, unsigned n, size_t size)
{
    if (n > (size_t)(in->end - in->at))
        in->bad = true;
    return in->bad ? NULL : calloc(n ? n : 1, size);
}

static bool replay_columns(struct reader *in, struct sink *to)
{
    unsigned n = reader_u32(in);
    struct sink_column *cols = room(in, n, sizeof *cols);
    if (!cols)
        return false;
    for (unsigned i = 0; i < n; i++) {
        cols[i].name = reader_cstr(in);
        cols[i].decltype = reader_u8(in) ? reader_cstr(in) : NULL;
    }
    if (!in->bad)
        to->ops->columns(to, cols, n);
    free(cols);
    return !in->bad;
}

static bool replay_row(struct reader *in, struct sink *to)
{
    struct value fixed[64];
    unsigned n = reader_u32(in);
    struct value *values = n <= 64 ? fixed : room(in, n, sizeof *values);
    if (!values)
        return false;
    for (unsigned i = 0; i < n; i++)
        values[i] = value_unpack(in);
    bool taken = !in->bad && to->ops->row(to, values, n) != SINK_STOP;
    if (values != fixed)
        free(values);
    return taken;
}

static bool replay_done(struct reader *in, struct sink *to)
{
    struct sink_done d;
    d.has_rows = reader_u8(in) != 0;
    d.rows = reader_u64(in);
    d.rows_affected = (int64_t)reader_u64(in);
    d.last_insert_id = (int64_t)reader_u64(in);
    d.elapsed_ns = (int64_t)reader_u64(in);
    if (!in->bad)
        to->ops->done(to, &d);
    return !in->bad;
}

bool recorder_replay(const struct recorder *r, struct sink *to)
{
    struct reader in = reader_of(r->bytes.data, r->bytes.len);
    bool ok = true;
    while (ok && !reader_done(&in)) {
        switch (reader_u8(&in)) {
        case 'C':
            ok = replay_columns(&in, to);
            break;
        case 'R':
            ok = replay_row(&in, to);
            break;
        case 'D':
            ok = replay_done(&in, to);
            break;
        default:
            ok = false;
        }
    }
    return ok;
}

bool recorder_load(struct recorder *r, const void *bytes, size_t len)
{
    recorder_reset(r);
    buf_put(&r->bytes, bytes, len);
    return buf_ok(&r->bytes) && recorder_replay(r, &sink_nowhere);
}
