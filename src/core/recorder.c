/*
 * The recording is a sequence of native structs and bytes, never stored nor sent:
 *   'C' n { name length, name, NUL, has decltype, [length, decltype, NUL] }…
 *   'R' n { struct value, [bytes] }…
 *   'D' struct sink_done
 */
#include "core/recorder.h"

#include <stdlib.h>
#include <string.h>

static void put_text(struct buf *b, const char *s)
{
    size_t n = s ? strlen(s) + 1 : 0; /* with its NUL; 0 stands for no text at all */
    buf_put(b, &n, sizeof n);
    buf_put(b, s, n);
}

static void record_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct buf *b = &((struct recorder *)s)->bytes;
    buf_putc(b, 'C');
    buf_put(b, &n, sizeof n);
    for (unsigned i = 0; i < n; i++) {
        put_text(b, cols[i].name);
        put_text(b, cols[i].decltype);
    }
}

static enum sink_verdict record_row(struct sink *s, const struct value *values, unsigned n)
{
    struct buf *b = &((struct recorder *)s)->bytes;
    buf_putc(b, 'R');
    buf_put(b, &n, sizeof n);
    for (unsigned i = 0; i < n; i++) {
        buf_put(b, &values[i], sizeof values[i]);
        if (values[i].type == VALUE_TEXT || values[i].type == VALUE_BLOB)
            buf_put(b, values[i].u.s.data, values[i].u.s.len);
    }
    return buf_ok(b) ? SINK_MORE : SINK_STOP;
}

static void record_done(struct sink *s, const struct sink_done *d)
{
    struct buf *b = &((struct recorder *)s)->bytes;
    buf_putc(b, 'D');
    buf_put(b, d, sizeof *d);
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

/* Copies out of the recording, which keeps no alignment. */
static void take(const char **at, void *out, size_t n)
{
    memcpy(out, *at, n);
    *at += n;
}

static const char *take_text(const char **at)
{
    size_t n;
    take(at, &n, sizeof n);
    const char *s = n > 0 ? *at : NULL;
    *at += n;
    return s;
}

static bool replay_columns(const char **at, struct sink *to)
{
    unsigned n;
    take(at, &n, sizeof n);
    struct sink_column *cols = calloc(n ? n : 1, sizeof *cols);
    if (!cols)
        return false;
    for (unsigned i = 0; i < n; i++) {
        cols[i].name = take_text(at);
        cols[i].decltype = take_text(at);
    }
    to->ops->columns(to, cols, n);
    free(cols);
    return true;
}

static bool replay_row(const char **at, struct sink *to)
{
    unsigned n;
    take(at, &n, sizeof n);
    struct value *values = calloc(n ? n : 1, sizeof *values);
    if (!values)
        return false;
    for (unsigned i = 0; i < n; i++) {
        take(at, &values[i], sizeof values[i]);
        if (values[i].type == VALUE_TEXT || values[i].type == VALUE_BLOB) {
            values[i].u.s.data = *at;
            *at += values[i].u.s.len;
        }
    }
    bool taken = to->ops->row(to, values, n) != SINK_STOP;
    free(values);
    return taken;
}

bool recorder_replay(struct recorder *r, struct sink *to)
{
    const char *at = r->bytes.data;
    const char *end = at + r->bytes.len;
    bool ok = true;
    while (ok && at < end) {
        char what = *at++;
        if (what == 'C') {
            ok = replay_columns(&at, to);
        } else if (what == 'R') {
            ok = replay_row(&at, to);
        } else {
            struct sink_done d;
            take(&at, &d, sizeof d);
            to->ops->done(to, &d);
        }
    }
    return ok;
}
