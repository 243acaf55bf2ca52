/*
 * SQL over gRPC.
 *
 *   grpc_query      sql.v1.DatabaseService/Query: a session. What a statement does wrong is an
 *                   answer, and the session goes on; what the call does wrong (no message, its
 *                   deadline, …) is its status, and ends it.
 *   grpc_execute    ha.v1.Database/Execute and
 *   grpc_stream     …/Stream: one request; what goes wrong is the call's status
 */
#include <string.h>

#include "base/clock.h"
#include "proto/grpcframe.h"
#include "proto/grpcsql.h"
#include "sql/lex.h"
#include "wire/grpc/conn.h"
#include "wire/grpc/sql.h"

#define PIECE_BYTES ((size_t)16 << 10) /* of a long answer, on its way out of its file */

/* ---- a call's session ---- */

enum err_code grpc_sql_begin(struct grpc_sql *q, struct grpc_call *call, struct err *e)
{
    *q = (struct grpc_sql){.call = call};
    if (session_open(&q->session, call->conn->server->node, GRPC_PROTOCOL, grpc_call_gone, call,
                     e) != ERR_OK)
        return e->code;
    grpc_call_session(call, q->session);
    return ERR_OK;
}

void grpc_sql_end(struct grpc_sql *q)
{
    grpc_call_session(q->call, NULL);
    session_close(q->session);
    grpc_rows_fini(&q->rows);
}

const struct node_options *grpc_sql_node(const struct grpc_sql *q)
{
    return node_options(q->call->conn->server->node);
}

/* Inside a transaction a request need not name its database. */
enum err_code grpc_sql_use(struct grpc_sql *q, const char *database, struct err *e)
{
    const char *now = session_database(q->session);

    if (!database)
        database = q->call->head.database;
    if (session_state(q->session) != SESSION_IDLE &&
        (!database || (now && strcmp(database, now) == 0)))
        return ERR_OK;
    return session_use(q->session, database, e);
}

/* Until the call's deadline, or as long as the node lets a statement run. */
struct request_options grpc_sql_options(const struct grpc_sql *q, uint64_t min_seq)
{
    struct request_options o = {.min_seq = min_seq ? min_seq : q->call->head.min_seq};
    int64_t left = q->call->deadline_ns, limit = grpc_sql_node(q)->query_timeout_ns;

    if (left != CLOCK_EVER) {
        left -= clock_mono_ns();
        o.timeout_ns = left > 0 ? left : 1;
        if (limit > 0 && limit < o.timeout_ns)
            o.timeout_ns = limit;
    }
    return o;
}

/* ---- running ---- */

static enum err_code send_ready(struct grpc_sql *q, struct err *e)
{
    struct buf *ready = &q->rows.ready;

    if (!buf_ok(ready))
        return err_set(e, ERR_NO_MEMORY, "no memory for a result");
    enum err_code code = grpc_call_write(q->call, ready->data, ready->len, false, e);
    buf_reset(ready);
    return code;
}

/* Runs the statements into q->rows; pages leave on the way. */
enum err_code grpc_sql_run(struct grpc_sql *q, const struct query *queries, size_t n,
                           const struct request_options *o, struct sink *sink, struct err *e)
{
    struct request *r = NULL;
    enum request_status status;

    q->seq = q->position = 0;
    if (request_new(&r, q->session, queries, n, o, e) != ERR_OK)
        return e->code;
    do {
        status = request_run(r, sink, e);
        if (status == REQUEST_PAUSED && send_ready(q, e) != ERR_OK)
            status = REQUEST_FAILED;
    } while (status == REQUEST_PAUSED);
    if (status == REQUEST_DONE) {
        q->seq = request_seq(r);
        q->position = request_position(r);
    }
    q->failed = request_index(r);
    request_free(r);
    return status == REQUEST_DONE ? ERR_OK : e->code;
}

struct query grpc_sql_query(struct arena *a, const struct grpcsql_request *r, struct err *e)
{
    struct param *params = r->n_params ? arena_alloc(a, r->n_params * sizeof *params) : NULL;

    if (r->n_params && !params)
        err_set(e, ERR_NO_MEMORY, "no memory for the request");
    for (unsigned i = 0; params && i < r->n_params; i++)
        params[i] = (struct param){r->params[i].name, r->params[i].value};
    return (struct query){
        .sql = r->sql, .len = r->sql_len, .params = params, .n_params = params ? r->n_params : 0};
}

/* ---- answers ---- */

/* The answer's beginning is the message's length, so it comes last. */
static enum err_code send_whole(struct grpc_sql *q, bool with_rows, const struct grpcsql_tail *t,
                                struct err *e)
{
    struct buf head = BUF_INIT, tail = BUF_INIT;
    unsigned char frame[GRPCFRAME_HEAD];
    char piece[PIECE_BYTES];
    uint64_t len = 0;
    enum err_code code = ERR_OK;

    if (with_rows && q->rows.spool)
        code = grpc_rows_len(&q->rows, &len, e);
    if (with_rows)
        grpcsql_put_data_head(&head, len);
    grpcsql_put_tail(&tail, t);
    if (code == ERR_OK && (!buf_ok(&head) || !buf_ok(&tail)))
        code = err_set(e, ERR_NO_MEMORY, "no memory for an answer");
    grpcframe_head(frame, (uint32_t)(head.len + len + tail.len));
    if (code == ERR_OK)
        code = grpc_call_write(q->call, frame, sizeof frame, true, e);
    if (code == ERR_OK)
        code = grpc_call_write(q->call, head.data, head.len, true, e);
    for (uint64_t at = 0; code == ERR_OK && at < len;) {
        size_t got = 0;
        code = spool_read(q->rows.spool, at, piece, sizeof piece, &got, e);
        q->call->broken |= code != ERR_OK;
        if (code == ERR_OK)
            code = grpc_call_write(q->call, piece, got, true, e);
        at += got;
    }
    if (code == ERR_OK)
        code = grpc_call_write(q->call, tail.data, tail.len, false, e);
    buf_free(&head);
    buf_free(&tail);
    return code;
}

static struct grpcsql_tail tail_of(const struct grpc_sql *q)
{
    return (struct grpcsql_tail){.rows_affected = q->rows.rows_affected,
                                 .last_insert_id = q->rows.last_insert_id,
                                 .txseq = q->seq ? q->seq : q->position};
}

/* What is left of the last page. */
static enum err_code send_last_page(struct grpc_sql *q, const struct grpcsql_tail *t, struct err *e)
{
    struct buf *reply = &q->call->reply;

    if (send_ready(q, e) != ERR_OK)
        return e->code;
    if (q->rows.has_set) {
        grpcsql_put_data_head(reply, q->rows.page.len);
        buf_put(reply, q->rows.page.data, q->rows.page.len);
    }
    grpcsql_put_tail(reply, t);
    return grpc_call_reply(q->call, e);
}

/* Is this all there is in the text? */
static bool is_alone(const struct lex *lex, const struct grpcsql_request *r)
{
    return lex->len <= r->sql_len &&
           lex_statement(r->sql + lex->len, r->sql_len - lex->len).kind == LEX_EMPTY;
}

/* go-ha's clients may begin what is begun, and end what is not: that does nothing. */
static bool does_nothing(const struct grpc_sql *q, const struct grpcsql_request *r)
{
    struct lex lex = lex_statement(r->sql, r->sql_len);
    bool idle = session_state(q->session) == SESSION_IDLE;

    if (lex.kind == LEX_BEGIN || lex.kind == LEX_BEGIN_WRITE)
        return session_state(q->session) == SESSION_IN_TX && is_alone(&lex, r);
    if (lex.kind == LEX_COMMIT || lex.kind == LEX_ROLLBACK)
        return idle && is_alone(&lex, r);
    return false;
}

/* `alone`: the session ends behind it. */
static enum err_code answer(struct grpc_sql *q, const struct grpcsql_request *r, bool pages,
                            bool alone, struct err *e)
{
    const struct node_options *o = grpc_sql_node(q);
    struct request_options options = grpc_sql_options(q, r->min_seq);
    struct query query = grpc_sql_query(q->call->request, r, e);
    enum grpc_rows_mode mode = r->type == GRPCSQL_UPDATE ? GRPC_ROWS_NONE
                               : pages || r->max_rows    ? GRPC_ROWS_PAGES
                                                         : GRPC_ROWS_WHOLE;

    if (e->code != ERR_OK ||
        grpc_rows_begin(&q->rows, mode, o->max_result_bytes, r->max_rows, o->data_dir, e) != ERR_OK)
        return e->code;
    if (grpc_sql_run(q, &query, 1, &options, &q->rows.sink, e) != ERR_OK)
        return grpc_rows_failed(&q->rows, e);
    if (alone && session_state(q->session) != SESSION_IDLE)
        return err_set(e, ERR_TX_ACTIVE,
                       "the request left its transaction open, so it was rolled back: end it in "
                       "the same request, or use a Query stream");
    struct grpcsql_tail tail = tail_of(q);
    if (mode == GRPC_ROWS_PAGES)
        return send_last_page(q, &tail, e);
    return send_whole(q, q->rows.has_set || r->type == GRPCSQL_QUERY, &tail, e);
}

/* ---- the session ---- */

static enum err_code send_error(struct grpc_sql *q, const struct err *why, struct err *e)
{
    grpcsql_put_error(&q->call->reply, why, 0);
    return grpc_call_reply(q->call, e);
}

static enum err_code one_request(struct grpc_sql *q, const struct grpcsql_request *r, struct err *e)
{
    struct err why = ERR_INIT;

    if (r->type == GRPCSQL_PING)
        return grpc_call_reply(q->call, e);
    if (grpc_sql_use(q, r->database, &why) == ERR_OK) {
        if (does_nothing(q, r))
            return grpc_call_reply(q->call, e);
        if (answer(q, r, false, false, &why) == ERR_OK)
            return ERR_OK;
    }
    /* Nobody waits any more, the deadline is over, or a message could not go out whole: that is the
     * call's end, whatever has come of the statement. */
    if (grpc_call_check(q->call, e) != ERR_OK)
        return e->code;
    if (q->call->broken) {
        *e = why;
        return e->code;
    }
    return send_error(q, &why, e);
}

enum err_code grpc_query(struct grpc_call *call, struct err *e)
{
    struct grpc_sql q;
    const char *bytes = NULL;
    size_t len = 0;
    bool over = false;

    if (grpc_sql_begin(&q, call, e) != ERR_OK)
        return e->code;
    while (grpc_call_read(call, true, &bytes, &len, &over, e) == ERR_OK && !over) {
        struct grpcsql_request r;
        struct err why = ERR_INIT;
        arena_reset(call->request);
        enum err_code code = grpcsql_read(call->request, bytes, len, &r, &why);
        grpc_call_forget(call);
        if (code == ERR_PARAM)
            code = send_error(&q, &why, e);
        else if (code == ERR_OK)
            code = one_request(&q, &r, e);
        else
            *e = why;
        if (code != ERR_OK)
            break;
    }
    grpc_sql_end(&q);
    return e->code;
}

/* ---- single calls ---- */

static enum err_code single(struct grpc_call *call, bool pages, struct err *e)
{
    struct grpc_sql q;
    struct grpcsql_request r;
    const char *bytes = NULL;
    size_t len = 0;

    if (grpc_call_read_one(call, &bytes, &len, e) != ERR_OK ||
        grpcsql_read(call->request, bytes, len, &r, e) != ERR_OK)
        return e->code;
    grpc_call_forget(call);
    if (r.type == GRPCSQL_PING)
        return grpc_call_reply(call, e);
    if (!pages)
        r.max_rows = 0; /* one answer is what the method has */
    if (grpc_sql_begin(&q, call, e) != ERR_OK)
        return e->code;
    if (grpc_sql_use(&q, r.database, e) == ERR_OK && answer(&q, &r, pages, true, e) == ERR_OK) {
        if (q.seq)
            grpc_call_trailer(call, "ha-seq", q.seq);
        else if (q.position)
            grpc_call_trailer(call, "ha-position", q.position);
    } else {
        /* Whoever is gone or late is told that, not what it has led to. */
        struct err why = ERR_INIT;
        if (e->code != ERR_UNKNOWN_OUTCOME && grpc_call_check(call, &why) != ERR_OK)
            *e = why;
    }
    grpc_sql_end(&q);
    return e->code;
}

enum err_code grpc_execute(struct grpc_call *call, struct err *e)
{
    return single(call, false, e);
}

enum err_code grpc_stream(struct grpc_call *call, struct err *e)
{
    return single(call, true, e);
}
