/*
 * COPY … FROM STDIN: rows out of CopyData messages into the table, as one transaction (the
 * client's block, else an implicit one), in bounded memory.
 *
 * Rows are collected and inserted many at a time by one statement; where that fails it has changed
 * nothing, and they are inserted one by one to find the row that is to blame. An error names the
 * line, and everything is rolled back with the transaction.
 */
#include <stdio.h>
#include <string.h>

#include "sql/quote.h"
#include "wire/pg/copy.h"

#define MAX_ROW_BYTES ((size_t)256 << 20)
#define BATCH_ROWS    64u
#define BATCH_BYTES   ((size_t)256 << 10)
#define BATCH_VALUES  16384u /* below SQLite's limit of 32766 parameters */
#define SHOWN_BYTES   100    /* of a value, in an error's context */

struct copy_in {
    struct pg_conn *conn;
    const struct pg_copy_plan *plan;
    struct copy_reader *reader;
    uint64_t rows; /* inserted */
    /* The batch. */
    unsigned n_rows, max_rows;
    struct pg_params params; /* n_rows times the columns */
    uint64_t lines[BATCH_ROWS];
    struct buf sql;
    unsigned sql_rows; /* that `sql` inserts */
    char context[COPY_CONTEXT_BYTES];
};

static const char *at_line(struct copy_in *in, uint64_t line)
{
    (void)snprintf(in->context, sizeof in->context, "COPY %.100s, line %llu", in->plan->stmt.table,
                   (unsigned long long)line);
    return in->context;
}

static bool fail_core(struct copy_in *in, const struct err *e, uint64_t line)
{
    in->conn->context = at_line(in, line);
    pg_error_core(in->conn, e, NULL, 0);
    in->conn->context = NULL;
    return false;
}

static bool no_memory(struct copy_in *in)
{
    pg_error(in->conn, "53200", "out of memory");
    return false;
}

/* ---- inserting ---- */

/* INSERT INTO t (columns) VALUES (?, …), … of that many rows. */
static void make_sql(struct copy_in *in, unsigned rows)
{
    const struct pg_copy_plan *p = in->plan;
    struct buf *b = &in->sql;

    if (in->sql_rows == rows)
        return;
    in->sql_rows = rows;
    buf_reset(b);
    buf_puts(b, "INSERT INTO ");
    quote_put_name(b, p->stmt.table);
    for (unsigned i = 0; i < p->n; i++) {
        buf_puts(b, i == 0 ? " (" : ", ");
        quote_put_name(b, p->names[i]);
    }
    buf_puts(b, ") VALUES ");
    for (unsigned r = 0; r < rows; r++) {
        buf_puts(b, r == 0 ? "(?" : ", (?");
        for (unsigned i = 1; i < p->n; i++)
            buf_puts(b, ", ?");
        buf_putc(b, ')');
    }
}

/* Of rows whose parameters are settled. */
static enum err_code insert(struct copy_in *in, unsigned first, unsigned rows, struct err *e)
{
    const struct request_options o = pg_request_options(in->conn, false);
    struct query q = {.params = in->params.list + (size_t)first * in->plan->n,
                      .n_params = rows * in->plan->n};
    struct request *r;
    enum request_status st;

    make_sql(in, rows);
    if (!buf_ok(&in->sql))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    q.sql = in->sql.data;
    q.len = in->sql.len;
    if (request_new(&r, in->conn->session, &q, 1, &o, e) != ERR_OK)
        return e->code;
    st = request_run(r, &sink_nowhere, e);
    request_free(r);
    return st == REQUEST_FAILED ? e->code : ERR_OK;
}

/* Inserts what was collected. */
static bool flush(struct copy_in *in)
{
    unsigned n = in->n_rows;
    struct err e = ERR_INIT;

    if (n == 0)
        return true;
    if (!pg_params_settle(&in->params))
        return no_memory(in);
    in->n_rows = 0;
    if (insert(in, 0, n, &e) != ERR_OK) {
        if (n == 1 || session_state(in->conn->session) != SESSION_IN_TX)
            return fail_core(in, &e, in->lines[n - 1]);
        for (unsigned i = 0; i < n; i++)
            if (insert(in, i, 1, &e) != ERR_OK)
                return fail_core(in, &e, in->lines[i]);
    }
    in->rows += n;
    pg_params_reset(&in->params);
    return true;
}

/* ---- rows ---- */

static bool bad_value(struct copy_in *in, unsigned column, const struct value *v,
                      enum pgtype_fault fault)
{
    uint32_t type = in->plan->types[column].oid;
    int shown = (int)(v->u.s.len < SHOWN_BYTES ? v->u.s.len : SHOWN_BYTES);

    if (v->type == VALUE_BLOB)
        shown = 0;
    (void)snprintf(in->context, sizeof in->context, "COPY %.60s, line %llu, column %.60s: \"%.*s\"",
                   in->plan->stmt.table, (unsigned long long)copy_reader_line(in->reader),
                   in->plan->names[column], shown, v->u.s.len > 0 ? v->u.s.data : "");
    in->conn->context = in->context;
    if (fault == PGTYPE_ENCODING)
        (void)pg_check_text(in->conn, v->u.s.data, v->u.s.len);
    else
        pg_error(in->conn, pgtype_sqlstate(type, fault),
                 "invalid input syntax for type %s: \"%.*s\"", pgtype_name(type), shown,
                 v->u.s.len > 0 ? v->u.s.data : "");
    in->conn->context = NULL;
    return false;
}

static bool add_row(struct copy_in *in, const struct value *fields)
{
    const struct pg_copy_plan *p = in->plan;
    bool binary = p->stmt.options.format == COPY_BINARY;

    for (unsigned i = 0; i < p->n; i++) {
        const struct value *v = &fields[i];

        if (v->type == VALUE_NULL) {
            pg_params_add_null(&in->params);
            continue;
        }
        enum pgtype_fault fault =
            pg_params_add(&in->params, p->types[i].oid, binary, v->u.s.data, v->u.s.len);
        if (fault != PGTYPE_FINE) /* rows before it may have errors, too */
            return flush(in) && bad_value(in, i, v, fault);
    }
    in->lines[in->n_rows++] = copy_reader_line(in->reader);
    return in->n_rows < in->max_rows && in->params.data.len < BATCH_BYTES ? true : flush(in);
}

/* All rows that are complete; *end at the end of the data. */
static bool take_rows(struct copy_in *in, bool *end)
{
    const struct value *fields;
    struct err e = ERR_INIT;

    for (;;) {
        switch (copy_reader_row(in->reader, &fields, &e)) {
        case COPY_ROW:
            if (!add_row(in, fields))
                return false;
            break;
        case COPY_MORE:
            return true;
        case COPY_END:
            *end = true;
            return true;
        default:
            return flush(in) && fail_core(in, &e, copy_reader_line(in->reader));
        }
    }
}

/* ---- messages ---- */

static bool refuse(struct pg_conn *c, const struct pg_message *m)
{
    const char *reason;

    if (m->type == 'f' && pgwire_read_string(m->body, m->len, &reason))
        pg_error(c, "57014", "COPY from stdin failed: %s", reason);
    else
        pg_error(c, "08P01", "unexpected message type 0x%02x during COPY from stdin",
                 (unsigned char)m->type);
    if (m->type == 'X')
        c->closing = true;
    return false;
}

static bool read_failed(struct pg_conn *c, enum pg_read why)
{
    if (why == PG_READ_TOO_LONG) {
        pg_error(c, "08P01", "message is too long");
        return false;
    }
    if (why == PG_READ_UNKNOWN)
        pg_fatal(c, "08P01", "invalid frontend message type or length");
    c->closing = true;
    pg_tx_failed(c);
    return false;
}

static bool conversation(struct copy_in *in)
{
    struct pg_conn *c = in->conn;
    struct pg_message m;
    bool end = false;

    pgwire_write_copy(&c->io.out, 'G', in->plan->stmt.options.format == COPY_BINARY, in->plan->n);
    for (;;) {
        enum pg_read got = pg_read(c, &m);

        if (got != PG_READ_OK)
            return read_failed(c, got);
        switch (m.type) {
        case 'd':
            copy_reader_feed(in->reader, m.body, m.len);
            if (!take_rows(in, &end))
                return false;
            break;
        case 'c':
            copy_reader_finish(in->reader);
            return take_rows(in, &end) && flush(in);
        case 'H': /* as PostgreSQL: a driver may have sent its Sync already */
        case 'S':
            break;
        default:
            return refuse(c, &m);
        }
    }
}

bool pg_copy_in(struct pg_conn *c, struct pg_copy_plan *p, uint64_t *rows)
{
    struct copy_in in = {.conn = c, .plan = p};
    bool ok = false;

    if (!pg_begin_implicit(c))
        return false;
    in.max_rows = BATCH_VALUES / p->n > 0 ? BATCH_VALUES / p->n : 1;
    if (in.max_rows > BATCH_ROWS)
        in.max_rows = BATCH_ROWS;
    in.reader = copy_reader_new(&p->stmt.options, p->names, p->n, MAX_ROW_BYTES);
    if (in.reader)
        ok = conversation(&in);
    else
        (void)no_memory(&in);
    copy_reader_free(in.reader);
    pg_params_free(&in.params);
    buf_free(&in.sql);
    *rows = in.rows;
    return ok;
}
