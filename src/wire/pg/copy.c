/*
 * COPY: the statement, its columns, and the direction TO STDOUT.
 *
 *   pg_run_copy → plan (parse, columns and types) → copy_out here, or pg_copy_in (copy_in.c)
 *
 *   COPY TO     → CopyOutResponse, a CopyData for each row, CopyDone
 *   COPY FROM   → CopyInResponse; ← CopyData…, CopyDone or CopyFail
 *
 * A table is read and written in the columns that are named, else in all but the generated ones.
 */
#include "wire/pg/copy.h"

#include <stdio.h>
#include <string.h>

#include "sql/quote.h"

#define OUT_BYTES ((size_t)64 << 10) /* then the rows are sent */

/* ---- columns ---- */

/* Takes names and types of the columns that a statement returns, and, of rows, their first value.
 */
struct column_sink {
    struct sink sink;
    struct arena *arena;
    struct pg_copy_plan *plan;
    const char **values;
    unsigned n_values, cap_values;
    bool failed;
};

static void take_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct column_sink *cs = (struct column_sink *)s;
    struct pg_copy_plan *p = cs->plan;

    if (!p)
        return;
    p->names = arena_alloc(cs->arena, (n + 1) * sizeof *p->names);
    p->types = arena_alloc(cs->arena, (n + 1) * sizeof *p->types);
    cs->failed = !p->names || !p->types;
    if (cs->failed)
        return;
    p->n = n;
    for (unsigned i = 0; i < n; i++) {
        size_t len = cols[i].decltype ? strlen(cols[i].decltype) : 0;

        p->names[i] = arena_strdup(cs->arena, cols[i].name);
        p->types[i] = pgtype_of_declared(cols[i].decltype, len);
        if (!p->names[i])
            cs->failed = true;
    }
}

static enum sink_verdict take_row(struct sink *s, const struct value *values, unsigned n)
{
    struct column_sink *cs = (struct column_sink *)s;

    (void)n;
    if (cs->n_values == cs->cap_values) {
        unsigned cap = cs->cap_values ? cs->cap_values * 2 : 64;
        const char **more = arena_alloc(cs->arena, cap * sizeof *more);
        if (!more) {
            cs->failed = true;
            return SINK_STOP;
        }
        if (cs->n_values > 0)
            memcpy(more, cs->values, cs->n_values * sizeof *more);
        cs->values = more;
        cs->cap_values = cap;
    }
    cs->values[cs->n_values] = arena_strndup(cs->arena, values[0].u.s.data, values[0].u.s.len);
    cs->failed = !cs->values[cs->n_values++];
    return SINK_MORE;
}

static void take_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

static const struct sink_ops column_ops = {take_columns, take_row, take_done};

static bool out_of_memory(struct pg_conn *c)
{
    pg_error(c, "53200", "out of memory");
    return false;
}

static bool describe(struct pg_conn *c, struct pg_copy_plan *p, const struct buf *sql)
{
    struct column_sink cs = {.sink = {&column_ops}, .arena = c->arena, .plan = p};
    const struct query q = {.sql = sql->data, .len = sql->len};
    struct session_shape shape;
    struct err e = ERR_INIT;

    if (!buf_ok(sql))
        return out_of_memory(c);
    if (session_describe(c->session, &q, &cs.sink, &shape, &e) != ERR_OK) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    return cs.failed ? out_of_memory(c) : true;
}

/* The columns of the table that are no generated ones. */
static bool own_columns(struct pg_conn *c, struct pg_copy_plan *p)
{
    static const char sql[] = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0";
    struct column_sink cs = {.sink = {&column_ops}, .arena = c->arena};
    const struct param param = {.value = value_text(p->stmt.table, strlen(p->stmt.table))};
    const struct query q = {.sql = sql, .len = sizeof sql - 1, .params = &param, .n_params = 1};
    const struct request_options o = pg_request_options(c, false);
    struct request *r;
    struct err e = ERR_INIT;
    enum request_status st;

    if (request_new(&r, c->session, &q, 1, &o, &e) != ERR_OK) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    while ((st = request_run(r, &cs.sink, &e)) == REQUEST_PAUSED)
        ;
    request_free(r);
    if (st == REQUEST_FAILED) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    p->stmt.columns.list = cs.values;
    p->stmt.columns.n = cs.n_values;
    return cs.failed ? out_of_memory(c) : true;
}

static void select_columns(struct buf *b, const struct pg_copy_plan *p)
{
    buf_puts(b, "SELECT ");
    for (unsigned i = 0; i < p->stmt.columns.n; i++) {
        if (i > 0)
            buf_puts(b, ", ");
        quote_put_name(b, p->stmt.columns.list[i]);
    }
    if (p->stmt.columns.n == 0)
        buf_putc(b, '*');
    buf_puts(b, " FROM ");
    quote_put_name(b, p->stmt.table);
}

/* The query's text as SQLite understands it: one, for what followed would run as well, a COMMIT
 * that the connection does not hear of, or rows of another width. */
static bool put_query(struct pg_conn *c, struct buf *b, const struct pg_copy_plan *p)
{
    const char *sql = p->stmt.query;
    size_t len = p->stmt.query_len, first = pg_split(sql, len);
    struct pg_text t, rest;
    struct err e = ERR_INIT;

    pg_classify(&t, sql, len);
    pg_classify(&rest, sql + first, len - first);
    if (!pg_is_sql(&t) || rest.kind != PG_EMPTY) {
        pg_error(c, "42601", "COPY needs one query");
        return false;
    }
    if (pg_translate(c, &t, &e) != ERR_OK) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    buf_put(b, t.run, t.run_len);
    return true;
}

static bool plan(struct pg_conn *c, const struct pg_text *t, struct pg_copy_plan *p,
                 struct buf *sql)
{
    struct err e = ERR_INIT;

    memset(p, 0, sizeof *p);
    if (pg_copy_parse(c->arena, t->sql, t->len, &p->stmt, &e) != ERR_OK) {
        pg_error_text(c, &e, t);
        return false;
    }
    if (p->stmt.table && p->stmt.columns.n == 0 && !own_columns(c, p))
        return false;
    if (p->stmt.table)
        select_columns(sql, p);
    else if (!put_query(c, sql, p))
        return false;
    if (!describe(c, p, sql))
        return false;
    if (p->n == 0) {
        pg_error(c, "42601", "COPY query must return columns");
        return false;
    }
    if (pg_copy_resolve(c->arena, &p->stmt, p->names, p->n, &e) != ERR_OK) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    return true;
}

/* ---- TO STDOUT ---- */

struct out_sink {
    struct sink sink;
    struct pg_conn *conn;
    const struct pg_copy_plan *plan;
    struct value *fields;
    struct buf text; /* of one row's fields */
    uint64_t rows;
    enum pgtype_fault fault;
    uint32_t fault_type;
    bool no_memory, changed;
};

/* One field in COPY's form: text without a length, or the binary format. */
static enum pgtype_fault put_field(struct out_sink *o, uint32_t type, bool binary,
                                   const struct value *v, size_t *start, size_t *len)
{
    enum pgtype_fault fault;

    *start = o->text.len;
    if (!binary) {
        fault = pgtype_put_text(&o->text, type, v);
        if (fault != PGTYPE_FINE)
            fault = pgtype_put_text(&o->text, PGTYPE_TEXT, v);
    } else {
        fault = pgtype_put(&o->text, type, true, v);
        *start += sizeof(uint32_t); /* its length word */
    }
    *len = o->text.len >= *start ? o->text.len - *start : 0;
    return fault;
}

static enum sink_verdict out_row(struct sink *s, const struct value *values, unsigned n)
{
    struct out_sink *o = (struct out_sink *)s;
    const struct copy_options *options = &o->plan->stmt.options;
    bool binary = options->format == COPY_BINARY;
    struct buf *out = &o->conn->io.out;
    size_t start;

    o->changed =
        n != o->plan->n; /* another connection's ALTER TABLE, after the columns were told */
    if (o->changed)
        return SINK_STOP;
    buf_reset(&o->text);
    for (unsigned i = 0; i < n; i++) {
        uint32_t type = o->plan->types[i].oid;
        size_t at, len;

        o->fields[i] = value_null();
        if (values[i].type == VALUE_NULL)
            continue;
        if (type == PGTYPE_NONE)
            type = pgtype_of_value(&values[i]);
        o->fault = put_field(o, type, binary, &values[i], &at, &len);
        if (o->fault != PGTYPE_FINE) {
            o->fault_type = type;
            return SINK_STOP;
        }
        /* An offset until all of them are there. */
        o->fields[i] = (struct value){.type = VALUE_TEXT, .u.s = {NULL, len}};
        o->fields[i].u.s.data = (const char *)(uintptr_t)at;
    }
    if (!buf_ok(&o->text)) {
        o->no_memory = true;
        return SINK_STOP;
    }
    for (unsigned i = 0; i < n; i++)
        if (o->fields[i].type != VALUE_NULL)
            o->fields[i].u.s.data = o->text.data + (uintptr_t)o->fields[i].u.s.data;
    start = pgwire_begin(out, 'd');
    if (binary && o->rows == 0)
        copy_write_begin(out, options, NULL, 0);
    copy_write_row(out, options, o->fields, n);
    pgwire_end(out, start);
    o->rows++;
    return out->len >= OUT_BYTES ? SINK_FULL : SINK_MORE;
}

static void out_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

static const struct sink_ops out_ops = {out_columns, out_row, take_done};

/* What goes before and after the rows. As from PostgreSQL, binary's signature is in one message
 * with what follows it: there are clients that take it for the head of the first row. */
static void put_head(struct pg_conn *c, const struct pg_copy_plan *p)
{
    const struct copy_options *o = &p->stmt.options;

    if (o->format == COPY_BINARY || o->header == COPY_HEADER_NONE)
        return;
    size_t start = pgwire_begin(&c->io.out, 'd');
    copy_write_begin(&c->io.out, o, p->names, p->n);
    pgwire_end(&c->io.out, start);
}

static void put_tail(struct pg_conn *c, const struct pg_copy_plan *p, uint64_t rows)
{
    const struct copy_options *o = &p->stmt.options;

    if (o->format == COPY_BINARY) {
        size_t start = pgwire_begin(&c->io.out, 'd');
        if (rows == 0)
            copy_write_begin(&c->io.out, o, p->names, p->n);
        copy_write_end(&c->io.out, o);
        pgwire_end(&c->io.out, start);
    }
    pgwire_write_empty(&c->io.out, 'c');
}

static bool out_failed(struct pg_conn *c, const struct out_sink *o, const struct err *e)
{
    if (o->no_memory)
        return out_of_memory(c);
    if (o->changed)
        pg_error(c, "0A000", "the number of columns changed meanwhile");
    else if (o->fault != PGTYPE_FINE)
        pg_error(c, pgtype_sqlstate(o->fault_type, o->fault), "a value is no valid %s",
                 pgtype_name(o->fault_type));
    else
        pg_error_core(c, e, NULL, 0);
    return false;
}

static bool copy_out(struct pg_conn *c, struct pg_copy_plan *p, const struct buf *sql,
                     uint64_t *rows)
{
    struct out_sink o = {.sink = {&out_ops}, .conn = c, .plan = p};
    const struct query q = {.sql = sql->data, .len = sql->len, .numbered = true};
    const struct request_options options = pg_request_options(c, false);
    struct request *r = NULL;
    struct err e = ERR_INIT;
    enum request_status st = REQUEST_FAILED;

    o.fields = arena_alloc(c->arena, p->n * sizeof *o.fields);
    if (!o.fields)
        return out_of_memory(c);
    if (request_new(&r, c->session, &q, 1, &options, &e) != ERR_OK) {
        pg_error_core(c, &e, NULL, 0);
        return false;
    }
    pgwire_write_copy(&c->io.out, 'H', p->stmt.options.format == COPY_BINARY, p->n);
    put_head(c, p);
    while ((st = request_run(r, &o.sink, &e)) == REQUEST_PAUSED && !c->io.dead)
        stream_flush(&c->io);
    request_free(r);
    if (st == REQUEST_DONE) {
        put_tail(c, p, o.rows);
    } else if (!c->io.dead) {
        (void)out_failed(c, &o, &e);
    }
    buf_free(&o.text);
    *rows = o.rows;
    return st == REQUEST_DONE;
}

bool pg_run_copy(struct pg_conn *c, const struct pg_text *t, char tag[PG_TAG_BYTES])
{
    struct pg_copy_plan p;
    struct buf sql = BUF_INIT;
    uint64_t rows = 0;
    bool ok;

    pg_portals_park(c);
    ok = plan(c, t, &p, &sql);
    if (ok)
        ok = p.stmt.reading ? pg_copy_in(c, &p, &rows) : copy_out(c, &p, &sql, &rows);
    buf_free(&sql);
    (void)snprintf(tag, PG_TAG_BYTES, "COPY %llu", (unsigned long long)rows);
    return ok;
}
