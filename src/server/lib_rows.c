/*
 * Cursors of libha. Rows come from the executor in batches into a store, out of which they are
 * handed one by one; when it is empty, the request, which has paused meanwhile, goes on.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "server/lib_impl.h"

#define ROWS_BATCH       256
#define ROWS_BATCH_BYTES ((size_t)64 * 1024)

/* The column names of a statement. */
struct names {
    struct names *next; /* of an earlier statement */
    unsigned n;
    const char *list[]; /* the texts lie behind it */
};

/* A row in the store: where its values begin. */
struct stored {
    const struct names *names;
    size_t first;
};

struct ha_rows {
    struct sink sink;
    struct ha_session *s; /* until the end, or until it is closed under the cursor */
    bool abandoned;
    /* the request, and what it borrows */
    struct request *request;
    struct query query;
    char *sql;
    struct param *params;
    struct buf texts; /* of the parameters */
    bool done;
    bool no_memory;
    struct err failed; /* handed out behind the rows that came before it */
    struct ha_result result;
    /* the store: rows, values, and their bytes, to which a value's data is an offset */
    struct buf rows, values, bytes;
    struct names *names; /* the newest one's columns are those of the rows to come */
    size_t next;         /* row to hand out */
    /* handed out */
    struct ha_value *shown;
    unsigned n_shown;
    struct ha_row row;
};

/* ---- the store ------------------------------------------------------------------------------- */

static void on_columns(struct sink *sink, const struct sink_column *cols, unsigned n)
{
    struct ha_rows *q = (struct ha_rows *)sink;
    size_t len = 0;
    struct names *names;
    char *text;

    for (unsigned i = 0; i < n; i++)
        len += strlen(cols[i].name) + 1;
    names = malloc(sizeof *names + n * sizeof(char *) + len);
    if (!names) {
        q->no_memory = true;
        return;
    }
    names->n = n;
    names->next = q->names;
    q->names = names;
    text = (char *)&names->list[n];
    for (unsigned i = 0; i < n; i++) {
        size_t size = strlen(cols[i].name) + 1;
        memcpy(text, cols[i].name, size);
        names->list[i] = text;
        text += size;
    }
}

static enum sink_verdict on_row(struct sink *sink, const struct value *v, unsigned n)
{
    struct ha_rows *q = (struct ha_rows *)sink;
    struct stored row = {q->names, q->values.len / sizeof(struct value)};

    if (q->no_memory || !q->names || n != q->names->n)
        return SINK_STOP;
    for (unsigned i = 0; i < n; i++) {
        struct value copy = v[i];
        if (copy.type == VALUE_TEXT || copy.type == VALUE_BLOB) {
            size_t offset = q->bytes.len;
            buf_put(&q->bytes, copy.u.s.data, copy.u.s.len);
            copy.u.s.data = (const char *)(uintptr_t)offset;
        }
        buf_put(&q->values, &copy, sizeof copy);
    }
    buf_put(&q->rows, &row, sizeof row);
    q->no_memory = !buf_ok(&q->bytes) || !buf_ok(&q->values) || !buf_ok(&q->rows);
    if (q->no_memory)
        return SINK_STOP;
    return q->rows.len >= ROWS_BATCH * sizeof row || q->bytes.len >= ROWS_BATCH_BYTES ? SINK_FULL
                                                                                      : SINK_MORE;
}

static void on_done(struct sink *sink, const struct sink_done *d)
{
    lib_count(&((struct ha_rows *)sink)->result, d);
}

static const struct sink_ops ops = {on_columns, on_row, on_done};

static void drop_names(struct ha_rows *q, size_t keep)
{
    struct names **at = &q->names;

    for (; *at && keep > 0; keep--)
        at = &(*at)->next;
    while (*at) {
        struct names *old = *at;
        *at = old->next;
        free(old);
    }
}

static void end_request(struct ha_rows *q)
{
    if (q->request) {
        q->result.seq = request_seq(q->request);
        q->result.position = request_position(q->request);
        request_free(q->request);
        q->request = NULL;
    }
    q->done = true;
}

/* The session may run something else. */
static void release(struct ha_rows *q)
{
    end_request(q);
    if (q->s)
        q->s->rows = NULL;
    q->s = NULL;
}

/* The store is empty: fills it with the next batch. */
static void refill(struct ha_rows *q)
{
    struct lib_quiet quiet;
    enum request_status st;

    buf_reset(&q->rows);
    buf_reset(&q->values);
    buf_reset(&q->bytes);
    drop_names(q, 1);
    q->next = 0;
    lib_quiet_begin(&quiet);
    st = request_run(q->request, &q->sink, &q->failed);
    if (st != REQUEST_PAUSED)
        end_request(q);
    lib_quiet_end(&quiet);
    if (q->no_memory)
        err_set(&q->failed, ERR_NO_MEMORY, "out of memory");
}

/* ---- interface ------------------------------------------------------------------------------- */

/* The statement runs on after ha_query() has returned, so it needs copies. */
static enum err_code copy_query(struct ha_rows *q, const char *sql, const struct ha_param *params,
                                size_t n, struct err *e)
{
    if (!sql)
        return err_set(e, ERR_PARAM, "there is no statement");
    if (lib_params(&q->params, params, n, e) != ERR_OK)
        return e->code;
    q->sql = strdup(sql);
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        const struct value *v = &q->params[i].value;
        total += q->params[i].name ? strlen(q->params[i].name) + 1 : 0;
        total += v->type == VALUE_TEXT || v->type == VALUE_BLOB ? v->u.s.len : 0;
    }
    /* Reserved at once, so that the bytes do not move. */
    if (!q->sql || (total > 0 && !buf_reserve(&q->texts, total)))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct param *p = &q->params[i];
        if (p->name) {
            const char *copy = q->texts.data + q->texts.len;
            buf_put(&q->texts, p->name, strlen(p->name) + 1);
            p->name = copy;
        }
        if ((p->value.type == VALUE_TEXT || p->value.type == VALUE_BLOB) && p->value.u.s.len > 0) {
            const char *copy = q->texts.data + q->texts.len;
            buf_put(&q->texts, p->value.u.s.data, p->value.u.s.len);
            p->value.u.s.data = copy;
        }
    }
    q->query = (struct query){
        .sql = q->sql, .len = strlen(q->sql), .params = q->params, .n_params = (unsigned)n};
    return ERR_OK;
}

bool ha_query(struct ha_rows **out, struct ha_session *s, const char *sql,
              const struct ha_param *params, size_t n_params, struct ha_error *error)
{
    struct err e = ERR_INIT;
    struct ha_rows *q = calloc(1, sizeof *q);
    enum err_code code;

    *out = NULL;
    if (!q) {
        err_set(&e, ERR_NO_MEMORY, "out of memory");
        return lib_result(error, &e);
    }
    q->sink.ops = &ops;
    err_clear(&q->failed);
    code = copy_query(q, sql, params, n_params, &e);
    if (code == ERR_OK)
        code = lib_request(&q->request, s, &q->query, 1, false, &e);
    if (code == ERR_OK) {
        q->s = s;
        s->rows = q;
        refill(q);
        if (q->failed.code != ERR_OK && q->rows.len == 0) {
            e = q->failed;
            code = e.code;
        }
    }
    if (code != ERR_OK) {
        ha_rows_close(q, NULL);
        return lib_result(error, &e);
    }
    *out = q;
    return lib_result(error, &e);
}

static bool show(struct ha_rows *q, struct err *e)
{
    const struct stored *row = (const struct stored *)(const void *)q->rows.data + q->next++;
    const struct value *v = (const struct value *)(const void *)q->values.data + row->first;
    unsigned n = row->names->n;

    if (n > q->n_shown) {
        struct ha_value *more = realloc(q->shown, n * sizeof *more);
        if (!more) {
            err_set(e, ERR_NO_MEMORY, "out of memory");
            return false;
        }
        q->shown = more;
        q->n_shown = n;
    }
    for (unsigned i = 0; i < n; i++) {
        struct value copy = v[i];
        if (copy.type == VALUE_TEXT || copy.type == VALUE_BLOB)
            copy.u.s.data = copy.u.s.len > 0 ? q->bytes.data + (uintptr_t)copy.u.s.data : "";
        q->shown[i] = lib_value_out(&copy);
    }
    q->row = (struct ha_row){n, row->names->list, q->shown};
    return true;
}

static bool has_stored(const struct ha_rows *q)
{
    return q->next * sizeof(struct stored) < q->rows.len;
}

enum ha_next ha_rows_next(struct ha_rows *q, const struct ha_row **row, struct ha_error *error)
{
    struct err e = ERR_INIT;
    enum ha_next answer = HA_END;

    *row = NULL;
    if (q->abandoned) {
        err_set(&e, ERR_SHUTDOWN, "the session of the cursor has been closed");
        lib_result(error, &e);
        return HA_FAILED;
    }
    while (!has_stored(q) && !q->done)
        refill(q);
    if (has_stored(q)) {
        if (show(q, &e)) {
            *row = &q->row;
            answer = HA_ROW;
        }
    } else {
        e = q->failed;
        release(q);
    }
    return lib_result(error, &e) ? answer : HA_FAILED;
}

void lib_rows_abandon(struct ha_rows *q)
{
    if (!q)
        return;
    release(q);
    q->abandoned = true;
}

void ha_rows_close(struct ha_rows *q, struct ha_result *result)
{
    struct lib_quiet quiet;

    if (!q)
        return;
    lib_quiet_begin(&quiet);
    release(q);
    lib_quiet_end(&quiet);
    if (result)
        *result = q->result;
    drop_names(q, 0);
    free(q->sql);
    free(q->params);
    free(q->shown);
    buf_free(&q->texts);
    buf_free(&q->rows);
    buf_free(&q->values);
    buf_free(&q->bytes);
    free(q);
}
