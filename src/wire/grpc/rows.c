#include "wire/grpc/rows.h"

#include "proto/grpcframe.h"
#include "proto/grpcsql.h"

#define MEMORY_BYTES ((size_t)1 << 20)
#define PAGE_BYTES   ((size_t)128 << 10)
#define KEEP_BYTES   ((size_t)512 << 10)

/* ---- pages ---- */

static void close_page(struct grpc_rows *r)
{
    struct buf head = BUF_INIT, tail = BUF_INIT;
    unsigned char frame[GRPCFRAME_HEAD];

    grpcsql_put_data_head(&head, r->page.len);
    grpcsql_put_tail(&tail, &(struct grpcsql_tail){.more = true});
    if (!buf_ok(&head) || !buf_ok(&tail) || !buf_ok(&r->page))
        r->ready.failed = true;
    grpcframe_head(frame, (uint32_t)(head.len + r->page.len + tail.len));
    buf_put(&r->ready, frame, sizeof frame);
    buf_put(&r->ready, head.data, head.len);
    buf_put(&r->ready, r->page.data, r->page.len);
    buf_put(&r->ready, tail.data, tail.len);
    buf_free(&head);
    buf_free(&tail);
    buf_reset(&r->page);
    r->page_rows = 0;
}

static enum sink_verdict page_row(struct grpc_rows *r, const struct value *values, unsigned n)
{
    size_t before = r->page.len;

    grpcsql_put_row(&r->page, &r->scratch, values, n);
    r->page_rows++;
    if (!buf_ok(&r->page) || !buf_ok(&r->ready))
        return SINK_STOP;
    if (r->page.len - before > r->max_bytes) {
        r->too_big = true;
        return SINK_STOP;
    }
    if (r->page.len < PAGE_BYTES && (r->max_rows == 0 || r->page_rows < r->max_rows))
        return SINK_MORE;
    close_page(r);
    return buf_ok(&r->ready) ? SINK_FULL : SINK_STOP;
}

/* ---- the sink ---- */

static void on_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct grpc_rows *r = (struct grpc_rows *)s;
    struct buf *to = &r->page;

    if (r->mode == GRPC_ROWS_NONE)
        return;
    if (r->mode == GRPC_ROWS_WHOLE) {
        spool_reset(r->spool);
        to = spool_tail(r->spool);
    } else if (r->has_set) {
        close_page(r);
    }
    r->has_set = true;
    for (unsigned i = 0; i < n; i++)
        grpcsql_put_column(to, cols[i].name);
    for (unsigned i = 0; i < n; i++)
        grpcsql_put_column_type(to, cols[i].decltype);
    if (r->mode == GRPC_ROWS_WHOLE)
        spool_flush(r->spool);
}

static enum sink_verdict on_row(struct sink *s, const struct value *values, unsigned n)
{
    struct grpc_rows *r = (struct grpc_rows *)s;

    switch (r->mode) {
    case GRPC_ROWS_NONE:
        return SINK_MORE;
    case GRPC_ROWS_PAGES:
        return page_row(r, values, n);
    case GRPC_ROWS_WHOLE:
        break;
    }
    grpcsql_put_row(spool_tail(r->spool), &r->scratch, values, n);
    spool_flush(r->spool);
    r->too_big = spool_len(r->spool) > r->max_bytes;
    return r->too_big || !spool_ok(r->spool) ? SINK_STOP : SINK_MORE;
}

static void on_done(struct sink *s, const struct sink_done *d)
{
    struct grpc_rows *r = (struct grpc_rows *)s;

    r->rows_affected += d->rows_affected;
    r->last_insert_id = d->last_insert_id;
}

static const struct sink_ops ops = {on_columns, on_row, on_done};

/* ---- begin and end ---- */

static void tidy(struct buf *b)
{
    if (b->cap > KEEP_BYTES)
        buf_free(b);
    buf_reset(b);
}

enum err_code grpc_rows_begin(struct grpc_rows *r, enum grpc_rows_mode mode, size_t max_bytes,
                              unsigned max_rows, const char *dir, struct err *e)
{
    r->sink.ops = &ops;
    r->mode = mode;
    r->max_bytes = max_bytes ? max_bytes : INT32_MAX; /* a message's own limit */
    if (r->max_bytes > INT32_MAX)
        r->max_bytes = INT32_MAX;
    r->max_rows = max_rows;
    r->page_rows = 0;
    r->has_set = r->too_big = false;
    r->rows_affected = r->last_insert_id = 0;
    tidy(&r->page);
    tidy(&r->ready);
    tidy(&r->scratch);
    if (r->spool)
        spool_reset(r->spool);
    else if (mode == GRPC_ROWS_WHOLE)
        r->spool = spool_new(dir, MEMORY_BYTES);
    if (mode == GRPC_ROWS_WHOLE && !r->spool)
        return err_set(e, ERR_NO_MEMORY, "no memory for a result");
    return ERR_OK;
}

void grpc_rows_fini(struct grpc_rows *r)
{
    spool_free(r->spool);
    r->spool = NULL;
    buf_free(&r->page);
    buf_free(&r->ready);
    buf_free(&r->scratch);
}

enum err_code grpc_rows_len(const struct grpc_rows *r, uint64_t *len, struct err *e)
{
    *len = spool_len(r->spool);
    return spool_error(r->spool, e);
}

enum err_code grpc_rows_failed(const struct grpc_rows *r, struct err *e)
{
    if (r->too_big && r->mode == GRPC_ROWS_WHOLE)
        return err_set(e, ERR_TOO_BIG,
                       "the rows take more than %zu bytes (--max-result-size): ask for pages with "
                       "max_rows, or call ha.v1.Database/Stream",
                       r->max_bytes);
    if (r->too_big)
        return err_set(e, ERR_TOO_BIG, "a row takes more than %zu bytes (--max-result-size)",
                       r->max_bytes);
    if (e->code != ERR_TOO_BIG)
        return e->code;
    if (r->mode == GRPC_ROWS_WHOLE && spool_error(r->spool, e) != ERR_OK)
        return e->code;
    if (!buf_ok(&r->page) || !buf_ok(&r->ready))
        return err_set(e, ERR_NO_MEMORY, "no memory for a result");
    return e->code;
}
