/*
 * The executor's results as messages. A read writes its rows straight into the output buffer and
 * pauses when that is full; what a write returns comes after its commit.
 *
 * A column's type is the one promised, else the declared one, else what the text and its tables say
 * (infer.c), else what the first row holds: then the RowDescription waits for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rowset.h"
#include "sql/pg/dialect.h"
#include "wire/pg/session.h"

#define OUT_BYTES ((size_t)64 << 10) /* then the rows are sent */

void pg_tag(char tag[PG_TAG_BYTES], const char *text)
{
    (void)snprintf(tag, PG_TAG_BYTES, "%s", text);
}

static void make_tag(struct pg_result *r, const struct sink_done *d)
{
    const struct pg_text *t = r->text;
    int64_t n = r->has_rows ? (int64_t)r->rows : d->rows_affected;

    if (!t) {
        r->tag[0] = '\0';
    } else if (t->count == PG_COUNT_NONE) {
        pg_tag(r->tag, t->tag);
    } else {
        /* Never more than its limit, so it never grows. */
        struct buf b = {.data = r->tag, .cap = sizeof r->tag, .limit = sizeof r->tag};
        buf_puts(&b, t->tag);
        buf_puts(&b, t->count == PG_COUNT_INSERT ? " 0 " : " ");
        buf_i64(&b, n);
        buf_putc(&b, '\0');
    }
}

/* ---- columns ---- */

static bool column_room(struct pg_result *r, unsigned n)
{
    if (n <= r->cap_columns)
        return true;
    struct pg_column *more = realloc(r->columns, n * sizeof *more);
    if (!more)
        return false;
    memset(more + r->cap_columns, 0, (n - r->cap_columns) * sizeof *more);
    r->columns = more;
    r->cap_columns = n;
    return true;
}

void pg_result_write_columns(struct pg_result *r)
{
    struct buf *b = &r->conn->io.out;
    size_t start = pgwire_begin(b, 'T');

    buf_be16(b, (uint16_t)r->n_columns);
    for (unsigned i = 0; i < r->n_columns; i++) {
        const struct pg_column *c = &r->columns[i];
        uint32_t type = c->type.oid ? c->type.oid : PGTYPE_TEXT;
        const struct pgwire_field f = {.name = c->name,
                                       .type = type,
                                       .size = pgtype_size(type),
                                       .modifier = c->type.modifier,
                                       .binary = c->binary};
        pgwire_write_field(b, &f);
    }
    pgwire_end(b, start);
}

static void describe_now(struct pg_result *r)
{
    r->pending = false;
    if (r->describe && !r->silent)
        pg_result_write_columns(r);
}

/* An expression without an alias is called as PostgreSQL calls it. */
static bool name_column(struct pg_column *c, const struct sink_column *from)
{
    size_t n = strlen(from->name);
    const char *name = from->decltype ? from->name : pg_column_name(from->name, &n);

    if (c->name && strlen(c->name) == n && memcmp(c->name, name, n) == 0)
        return true;
    free(c->name);
    c->name = strndup(name, n);
    return c->name != NULL;
}

/* The declared type of a column. A statement that runs again mostly has what it had: then what the
 * text came to is still known. */
static struct pgtype_ref type_of(struct pg_column *c, const char *decltype)
{
    if (!decltype)
        return pgtype_of_declared(NULL, 0);
    if (!c->decltype || strcmp(c->decltype, decltype) != 0) {
        free(c->decltype);
        c->decltype = strdup(decltype);
        c->of_decltype = pgtype_of_declared(decltype, strlen(decltype));
    }
    return c->of_decltype;
}

static void on_columns(struct sink *sink, const struct sink_column *cols, unsigned n)
{
    struct pg_result *r = (struct pg_result *)sink;
    bool open = false;

    r->has_rows = true;
    r->rows = 0;
    r->n_columns = 0;
    if (!column_room(r, n)) {
        r->conn->io.dead = true;
        return;
    }
    r->n_columns = n;
    for (unsigned i = 0; i < n; i++) {
        struct pg_column *c = &r->columns[i];
        if (!name_column(c, &cols[i]))
            r->conn->io.dead = true;
        c->type = type_of(c, cols[i].decltype);
        if (r->promised && i < r->n_promised)
            c->type.oid = r->promised[i];
        c->declared = c->type.oid != PGTYPE_NONE;
        c->binary = pgwire_result_is_binary(r->formats, r->n_formats, i);
        open = open || !c->declared;
    }
    if (open && r->text)
        pg_infer_columns(r->conn, r->text, r->ahead ? *r->ahead : NULL, r->columns, n);
    open = false;
    for (unsigned i = 0; i < n; i++)
        open = open || r->columns[i].type.oid == PGTYPE_NONE;
    if (r->promised && r->n_promised != n) {
        r->failed = true;
        r->fault = (struct pgwire_error){.severity = "ERROR",
                                         .sqlstate = "0A000",
                                         .message = "cached plan must not change result type"};
        return;
    }
    if (r->conn->io.dead)
        return;
    if (open)
        r->pending = true;
    else
        describe_now(r);
}

/* ---- rows ---- */

static void fault(struct pg_result *r, const struct pg_column *c, enum pgtype_fault f,
                  const struct value *v)
{
    int n = v->type == VALUE_TEXT ? (int)(v->u.s.len < 80 ? v->u.s.len : 80) : 0;

    r->failed = true;
    if (f == PGTYPE_NO_BINARY)
        (void)snprintf(r->fault_text, sizeof r->fault_text,
                       "no binary output function available for the type of column \"%s\"",
                       c->name);
    else
        (void)snprintf(r->fault_text, sizeof r->fault_text,
                       "column \"%s\" holds a value that is no %s: \"%.*s\"", c->name,
                       pgtype_name(c->type.oid), n, n > 0 ? v->u.s.data : "");
    r->fault = (struct pgwire_error){.severity = "ERROR",
                                     .sqlstate = pgtype_sqlstate(c->type.oid, f),
                                     .message = r->fault_text,
                                     .column = c->name};
}

/* A write's results are handed over in one go: those that the client has not asked for yet wait. */
static enum sink_verdict spill(struct pg_result *r, const struct value *values, unsigned n)
{
    if (!r->spill)
        r->spill = rowset_new(node_options(r->conn->server->node)->data_dir);
    if (!r->spill)
        return SINK_STOP;
    struct sink *to = rowset_sink(r->spill);
    return to->ops->row(to, values, n) == SINK_STOP ? SINK_STOP : SINK_FULL;
}

/* numeric(10, 2) shows 12.5 as 12.50. */
static enum pgtype_fault put_value(struct pg_result *r, struct buf *b, const struct pg_column *c,
                                   const struct value *v)
{
    struct value scaled;

    if (c->type.oid != PGTYPE_NUMERIC || c->type.modifier < 0)
        return pgtype_put(b, c->type.oid, c->binary, v);
    buf_reset(&r->scratch);
    if (!pgtype_scale(&r->scratch, c->type.modifier, v))
        return pgtype_put(b, c->type.oid, c->binary, v);
    scaled = value_text(r->scratch.data, r->scratch.len);
    return pgtype_put(b, c->type.oid, c->binary, &scaled);
}

static enum sink_verdict on_row(struct sink *sink, const struct value *values, unsigned n)
{
    struct pg_result *r = (struct pg_result *)sink;
    struct buf *b = &r->conn->io.out;
    size_t start;

    if (r->conn->io.dead || r->failed)
        return SINK_STOP;
    if (r->max_rows > 0 && r->rows >= r->max_rows)
        return spill(r, values, n);
    if (r->silent) {
        r->rows++;
        return r->max_rows > 0 && r->rows >= r->max_rows ? SINK_FULL : SINK_MORE;
    }
    if (r->pending) {
        for (unsigned i = 0; i < n; i++)
            if (r->columns[i].type.oid == PGTYPE_NONE)
                r->columns[i].type.oid = pgtype_of_value(&values[i]);
        describe_now(r);
    }
    start = pgwire_begin(b, 'D');
    buf_be16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        const struct pg_column *c = &r->columns[i];
        enum pgtype_fault f = put_value(r, b, c, &values[i]);
        if (f != PGTYPE_FINE && !c->declared && !c->binary)
            f = pgtype_put(b, PGTYPE_TEXT, false, &values[i]);
        if (f != PGTYPE_FINE) {
            buf_cut(b, start);
            fault(r, c, f, &values[i]);
            return SINK_STOP;
        }
    }
    pgwire_end(b, start);
    r->rows++;
    if (r->max_rows > 0 && r->rows >= r->max_rows)
        return SINK_FULL;
    return b->len >= OUT_BYTES ? SINK_FULL : SINK_MORE;
}

static void on_done(struct sink *sink, const struct sink_done *d)
{
    struct pg_result *r = (struct pg_result *)sink;

    if (r->pending)
        describe_now(r);
    if (r->no_data && !r->has_rows)
        pgwire_write_empty(&r->conn->io.out, 'n');
    r->no_data = false;
    make_tag(r, d);
    if (r->several && !r->silent) {
        pgwire_write_complete(&r->conn->io.out, r->tag);
        r->text++;
        r->ahead += r->ahead != NULL;
    }
    if (r->several)
        r->has_rows = false;
}

static const struct sink_ops result_ops = {on_columns, on_row, on_done};

void pg_result_init(struct pg_result *r, struct pg_conn *c)
{
    memset(r, 0, sizeof *r);
    r->sink.ops = &result_ops;
    r->conn = c;
}

void pg_result_again(struct pg_result *r)
{
    rowset_free(r->spill);
    buf_free(&r->scratch);
    struct pg_column *columns = r->columns;
    unsigned cap = r->cap_columns;

    pg_result_init(r, r->conn);
    r->columns = columns;
    r->cap_columns = cap;
}

void pg_result_fini(struct pg_result *r)
{
    for (unsigned i = 0; i < r->cap_columns; i++) {
        free(r->columns[i].name);
        free(r->columns[i].decltype);
    }
    free(r->columns);
    rowset_free(r->spill);
    buf_free(&r->scratch);
    r->spill = NULL;
    r->columns = NULL;
    r->cap_columns = r->n_columns = 0;
}

/* ---- running ---- */

static void write_failure(struct pg_conn *c, const struct pg_result *r, const struct request *q,
                          const struct err *e)
{
    const struct pg_text *t = r->text;

    if (r->failed) {
        pgwire_write_error(&c->io.out, 'E', &r->fault);
        pg_tx_failed(c);
        return;
    }
    if (r->several && q) /* results are written after the commit, so r->text stands at the first */
        t = r->text + request_index(q);
    pg_error_text(c, e, t);
}

struct request_options pg_request_options(const struct pg_conn *c, bool atomic)
{
    return (struct request_options){.atomic = atomic,
                                    .timeout_ns = c->settings.statement_timeout_ns};
}

enum request_status pg_run_some(struct pg_conn *c, struct pg_result *r, struct request **request,
                                const struct query *q, bool atomic)
{
    const struct request_options o = pg_request_options(c, atomic);
    struct err e = ERR_INIT;
    enum request_status st = REQUEST_FAILED;

    if (!*request && request_new(request, c->session, q, 1, &o, &e) != ERR_OK) {
        write_failure(c, r, NULL, &e);
        return REQUEST_FAILED;
    }
    for (;;) {
        st = request_run(*request, &r->sink, &e);
        if (st != REQUEST_PAUSED || (r->max_rows > 0 && r->rows >= r->max_rows) || c->io.dead)
            break;
        stream_flush(&c->io);
    }
    if (st == REQUEST_PAUSED && !c->io.dead)
        return st;
    if (st == REQUEST_FAILED || c->io.dead) {
        struct request *old = *request;
        *request = NULL;
        request_free(old);
        write_failure(c, r, NULL, &e);
        return REQUEST_FAILED;
    }
    request_free(*request);
    *request = NULL;
    return REQUEST_DONE;
}

bool pg_run(struct pg_conn *c, struct pg_result *r, const struct query *queries, size_t n,
            bool atomic)
{
    const struct request_options o = pg_request_options(c, atomic);
    struct err e = ERR_INIT;
    struct request *q;
    enum request_status st;

    if (n == 1) {
        q = NULL;
        return pg_run_some(c, r, &q, queries, atomic) == REQUEST_DONE;
    }
    if (request_new(&q, c->session, queries, n, &o, &e) != ERR_OK) {
        write_failure(c, r, NULL, &e);
        return false;
    }
    while ((st = request_run(q, &r->sink, &e)) == REQUEST_PAUSED && !c->io.dead)
        stream_flush(&c->io);
    if (st == REQUEST_FAILED)
        write_failure(c, r, q, &e);
    request_free(q);
    return st == REQUEST_DONE;
}

enum err_code pg_exec(struct pg_conn *c, const char *sql, struct err *e)
{
    const struct request_options o = {.atomic = false};
    const struct query q = {.sql = sql, .len = strlen(sql)};
    struct pg_result r;
    struct request *request;
    enum request_status st;

    pg_result_init(&r, c);
    r.silent = true;
    if (request_new(&request, c->session, &q, 1, &o, e) != ERR_OK)
        return e->code;
    st = request_run(request, &r.sink, e);
    request_free(request);
    pg_result_fini(&r);
    return st == REQUEST_DONE ? ERR_OK : e->code;
}

/* ---- statements of our own ---- */

void pg_write_text_columns(struct pg_conn *c, const char *const *names, unsigned n)
{
    size_t start = pgwire_begin(&c->io.out, 'T');

    buf_be16(&c->io.out, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        const struct pgwire_field f = {
            .name = names[i], .type = PGTYPE_TEXT, .size = -1, .modifier = -1};
        pgwire_write_field(&c->io.out, &f);
    }
    pgwire_end(&c->io.out, start);
}

void pg_write_text_row(struct pg_conn *c, const char *const *values, unsigned n)
{
    size_t start = pgwire_begin(&c->io.out, 'D');

    buf_be16(&c->io.out, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        struct value v = values[i] ? value_text(values[i], strlen(values[i])) : value_null();
        (void)pgtype_put(&c->io.out, PGTYPE_TEXT, false, &v);
    }
    pgwire_end(&c->io.out, start);
}
