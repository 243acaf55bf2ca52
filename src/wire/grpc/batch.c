/*
 * ha.v1.Database/Batch: several requests as one transaction, their answers in one message. Each of
 * them is one statement, so that each has one answer.
 */
#include <string.h>

#include "sql/lex.h"
#include "wire/grpc/sql.h"

struct batch {
    struct sink sink;
    const struct grpcsql_request *requests;
    size_t n, at; /* whose answer is being written */
    struct buf *out;
    struct buf data, item, scratch;
    size_t max_bytes;
    bool has_set, too_big;
};

/* ---- the sink ---- */

static bool wants_rows(const struct batch *b)
{
    return b->at < b->n && b->requests[b->at].type != GRPCSQL_UPDATE;
}

static void on_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct batch *b = (struct batch *)s;

    buf_reset(&b->data);
    b->has_set = wants_rows(b);
    for (unsigned i = 0; b->has_set && i < n; i++)
        grpcsql_put_column(&b->data, cols[i].name);
    for (unsigned i = 0; b->has_set && i < n; i++)
        grpcsql_put_column_type(&b->data, cols[i].decltype);
}

static enum sink_verdict on_row(struct sink *s, const struct value *values, unsigned n)
{
    struct batch *b = (struct batch *)s;

    if (!b->has_set)
        return SINK_MORE;
    grpcsql_put_row(&b->data, &b->scratch, values, n);
    b->too_big = b->data.len + b->out->len > b->max_bytes;
    return b->too_big || !buf_ok(&b->data) ? SINK_STOP : SINK_MORE;
}

static void on_done(struct sink *s, const struct sink_done *d)
{
    struct batch *b = (struct batch *)s;
    const struct grpcsql_tail tail = {.rows_affected = d->rows_affected,
                                      .last_insert_id = d->last_insert_id};

    buf_reset(&b->item);
    if (b->has_set || (b->at < b->n && b->requests[b->at].type == GRPCSQL_QUERY))
        grpcsql_put_data_head(&b->item, b->has_set ? b->data.len : 0);
    if (b->has_set)
        buf_put(&b->item, b->data.data, b->data.len);
    grpcsql_put_tail(&b->item, &tail);
    if (!buf_ok(&b->item) || !buf_ok(&b->data))
        b->out->failed = true;
    grpcsql_put_batch_item(b->out, b->item.data, b->item.len);
    b->has_set = false;
    b->at++;
}

static const struct sink_ops ops = {on_columns, on_row, on_done};

/* ---- the call ---- */

static bool is_one_statement(const struct grpcsql_request *r)
{
    size_t len;

    if (r->type == GRPCSQL_PING || lex_statement(r->sql, r->sql_len).kind == LEX_EMPTY)
        return false;
    len = lex_length(r->sql, r->sql_len);
    return lex_statement(r->sql + len, r->sql_len - len).kind == LEX_EMPTY;
}

/* The one database they are for, and the position that they wait for. */
static enum err_code agree(const struct grpcsql_request *r, size_t n, const char **database,
                           uint64_t *min_seq, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_one_statement(&r[i]))
            return err_set(e, ERR_PARAM, "request %zu is not one statement", i);
        if (r[i].database && *database && strcmp(r[i].database, *database) != 0)
            return err_set(e, ERR_PARAM, "request %zu is for another database", i);
        if (r[i].database)
            *database = r[i].database;
        if (r[i].min_seq > *min_seq)
            *min_seq = r[i].min_seq;
    }
    return ERR_OK;
}

static enum err_code run(struct grpc_sql *q, const struct grpcsql_request *r, size_t n,
                         struct batch *b, struct err *e)
{
    struct query *queries = arena_alloc(q->call->request, (n + 1) * sizeof *queries);
    const char *database = NULL;
    uint64_t min_seq = 0;

    if (agree(r, n, &database, &min_seq, e) != ERR_OK)
        return e->code;
    if (!queries)
        return err_set(e, ERR_NO_MEMORY, "no memory for the request");
    for (size_t i = 0; i < n; i++)
        queries[i] = grpc_sql_query(q->call->request, &r[i], e);
    struct request_options options = grpc_sql_options(q, min_seq);
    options.atomic = true;
    if (e->code != ERR_OK || grpc_sql_use(q, database, e) != ERR_OK)
        return e->code;
    enum err_code code = grpc_sql_run(q, queries, n, &options, &b->sink, e);
    if (code != ERR_OK && b->too_big)
        return err_set(e, ERR_TOO_BIG, "the rows take more than %zu bytes (--max-result-size)",
                       b->max_bytes);
    if (code != ERR_OK)
        grpc_call_trailer(q->call, "ha-statement", q->failed);
    return code;
}

static enum err_code reply(struct grpc_sql *q, struct err *e)
{
    grpcsql_put_batch_tail(&q->call->reply, q->seq ? q->seq : q->position);
    if (q->seq)
        grpc_call_trailer(q->call, "ha-seq", q->seq);
    else if (q->position)
        grpc_call_trailer(q->call, "ha-position", q->position);
    return grpc_call_reply(q->call, e);
}

enum err_code grpc_batch(struct grpc_call *call, struct err *e)
{
    struct grpcsql_request *requests = NULL;
    const char *bytes = NULL;
    struct grpc_sql q;
    size_t len = 0, n = 0;

    if (grpc_call_read_one(call, &bytes, &len, e) != ERR_OK ||
        grpcsql_read_batch(call->request, bytes, len, &requests, &n, e) != ERR_OK ||
        grpc_sql_begin(&q, call, e) != ERR_OK)
        return e->code;
    grpc_call_forget(call);
    struct batch b = {.sink.ops = &ops,
                      .requests = requests,
                      .n = n,
                      .out = &call->reply,
                      .max_bytes = grpc_sql_node(&q)->max_result_bytes};
    if (b.max_bytes == 0 || b.max_bytes > INT32_MAX)
        b.max_bytes = INT32_MAX; /* a message's own limit */
    if (run(&q, requests, n, &b, e) == ERR_OK)
        (void)reply(&q, e);
    buf_free(&b.data);
    buf_free(&b.item);
    buf_free(&b.scratch);
    grpc_sql_end(&q);
    return e->code;
}
