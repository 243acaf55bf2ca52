/*
 * The executor's results as packets. A read writes its rows straight into the output buffer and
 * pauses when that is full; what a write returns comes after its commit.
 *
 * A column's type is the declared one. That of an expression is what its first rows hold: where
 * there is one, up to MYSQL_LOOK_AHEAD rows wait until all of them have been looked at.
 */
#include "wire/mysql/session.h"

#include <stdio.h>
#include <string.h>

#define OUT_BYTES ((size_t)64 << 10) /* then the rows are sent */

/* ---- packets ---- */

void mysql_write_fields(struct mysql_conn *c, const struct mysql_field *fields, unsigned n,
                        bool with_count, uint16_t status)
{
    if (with_count)
        mysqlwire_write_count(&c->out, n);
    for (unsigned i = 0; i < n; i++) {
        const struct mysqltype_ref *t = &fields[i].type;
        const struct mysqlwire_column column = {.schema = "",
                                                .table = "",
                                                .org_table = "",
                                                .name = fields[i].name,
                                                .charset = t->charset,
                                                .flags = t->flags,
                                                .length = t->length,
                                                .type = t->type,
                                                .decimals = t->decimals};
        mysqlwire_write_column(&c->out, &column);
    }
    if (!(c->capabilities & MYSQLWIRE_DEPRECATE_EOF))
        mysqlwire_write_eof(&c->out, status, 0);
}

static uint16_t warnings(const struct mysql_conn *c)
{
    return (uint16_t)c->n_warnings;
}

void mysql_write_end(struct mysql_conn *c, uint16_t status)
{
    if (c->capabilities & MYSQLWIRE_DEPRECATE_EOF) {
        const struct mysqlwire_ok ok = {.status = status, .warnings = warnings(c)};
        mysqlwire_write_ok(&c->out, c->capabilities, &ok, true);
    } else {
        mysqlwire_write_eof(&c->out, status, warnings(c));
    }
}

void mysql_write_ok(struct mysql_conn *c, uint64_t affected, uint64_t last_insert_id,
                    const char *info)
{
    const struct mysqlwire_ok ok = {.affected = affected,
                                    .last_insert_id = last_insert_id,
                                    .status = mysql_status(c),
                                    .warnings = warnings(c),
                                    .info = info,
                                    .schema = c->schema_changed ? c->schema : NULL};

    mysqlwire_write_ok(&c->out, c->capabilities, &ok, false);
    c->schema_changed = false;
}

/* ---- columns ---- */

static void on_columns(struct sink *sink, const struct sink_column *cols, unsigned n)
{
    struct mysql_result *r = (struct mysql_result *)sink;

    r->has_rows = true;
    r->rows = 0;
    r->n_fields = n;
    r->fields = arena_alloc(r->arena, n * sizeof *r->fields);
    r->ahead = arena_alloc(r->arena, MYSQL_LOOK_AHEAD * sizeof(void *));
    for (unsigned i = 0; r->fields && i < n; i++) {
        struct mysql_field *f = &r->fields[i];
        const char *decl = cols[i].decltype;
        f->name = arena_strdup(r->arena, cols[i].name);
        f->type = mysqltype_of_declared(decl, decl ? strlen(decl) : 0);
        f->declared = f->type.type != MYSQLTYPE_NULL;
        if (!f->name)
            r->conn->io.dead = true;
    }
    if (!r->fields || !r->ahead)
        r->conn->io.dead = true;
}

static bool all_declared(const struct mysql_result *r)
{
    for (unsigned i = 0; i < r->n_fields; i++)
        if (!r->fields[i].declared)
            return false;
    return true;
}

static void describe(struct mysql_result *r)
{
    r->described = true;
    for (unsigned i = 0; i < r->n_fields; i++)
        if (r->fields[i].type.type == MYSQLTYPE_NULL)
            r->fields[i].type = mysqltype_text();
    if (!r->cursor)
        mysql_write_fields(r->conn, r->fields, r->n_fields, true, mysql_status(r->conn));
}

/* ---- rows ---- */

static void fault(struct mysql_result *r, unsigned i, enum mysqltype_fault f, const struct value *v)
{
    int n = v->type == VALUE_TEXT ? (int)(v->u.s.len < 80 ? v->u.s.len : 80) : 0;

    if (f == MYSQLTYPE_RANGE) {
        r->fault = MYSQL_ER_OUT_OF_RANGE;
        (void)snprintf(r->fault_text, sizeof r->fault_text,
                       "Out of range value for column '%.100s'", r->fields[i].name);
        return;
    }
    r->fault = MYSQL_ER_INCORRECT_VALUE;
    (void)snprintf(r->fault_text, sizeof r->fault_text,
                   "Incorrect value: '%.*s' is not of the type of column '%.100s'", n,
                   n > 0 ? v->u.s.data : "", r->fields[i].name);
}

static enum mysqltype_fault put_binary(struct mysql_result *r, struct buf *b,
                                       const struct value *values, unsigned n, unsigned *at)
{
    size_t nulls = b->len + 1, n_nulls = (n + 9) / 8;
    char *room;

    buf_u8(b, 0);
    room = buf_reserve(b, n_nulls);
    if (!room)
        return MYSQLTYPE_FINE;
    memset(room, 0, n_nulls);
    b->len += n_nulls;
    for (*at = 0; *at < n; ++*at) {
        const struct value *v = &values[*at];
        if (v->type == VALUE_NULL) {
            if (buf_ok(b))
                b->data[nulls + (*at + 2) / 8] |= (char)(1u << (*at + 2) % 8);
            continue;
        }
        enum mysqltype_fault f = mysqltype_put_binary(b, &r->fields[*at].type, v);
        if (f != MYSQLTYPE_FINE)
            return f;
    }
    return MYSQLTYPE_FINE;
}

static enum mysqltype_fault put_text(struct mysql_result *r, struct buf *b,
                                     const struct value *values, unsigned n, unsigned *at)
{
    for (*at = 0; *at < n; ++*at) {
        const struct mysql_field *field = &r->fields[*at];
        enum mysqltype_fault f = mysqltype_put_text(b, &field->type, &values[*at]);
        if (f != MYSQLTYPE_FINE && field->declared)
            return f;
        if (f != MYSQLTYPE_FINE) /* its type was a guess, and the text says what it is */
            mysqltype_put_any(b, &values[*at]);
    }
    return MYSQLTYPE_FINE;
}

bool mysql_write_row(struct mysql_result *r, const struct value *values, unsigned n)
{
    struct mysqlwire_out *o = &r->conn->out;
    size_t start = mysqlwire_begin(o);
    unsigned at = 0;
    enum mysqltype_fault f =
        r->binary ? put_binary(r, o->b, values, n, &at) : put_text(r, o->b, values, n, &at);

    if (f != MYSQLTYPE_FINE) {
        buf_cut(o->b, start);
        fault(r, at, f, &values[at]);
        return false;
    }
    mysqlwire_end(o, start);
    return true;
}

/* A copy in the result's arena. */
static bool keep(struct mysql_result *r, const struct value *values, unsigned n)
{
    struct value *copy = arena_alloc(r->arena, (n ? n : 1) * sizeof *copy);

    if (!copy)
        return false;
    for (unsigned i = 0; i < n; i++) {
        copy[i] = values[i];
        if ((copy[i].type == VALUE_TEXT || copy[i].type == VALUE_BLOB) && copy[i].u.s.len > 0) {
            copy[i].u.s.data = arena_strndup(r->arena, values[i].u.s.data, values[i].u.s.len);
            if (!copy[i].u.s.data)
                return false;
        }
    }
    r->ahead[r->n_ahead++] = copy;
    return true;
}

static void widen(struct mysql_result *r, const struct value *values, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (!r->fields[i].declared)
            r->fields[i].type = mysqltype_widen(r->fields[i].type, &values[i]);
}

static bool release(struct mysql_result *r)
{
    describe(r);
    for (unsigned i = 0; i < r->n_ahead; i++)
        if (!r->cursor && !mysql_write_row(r, r->ahead[i], r->n_fields))
            return false;
    r->n_ahead = 0;
    return true;
}

static enum sink_verdict on_row(struct sink *sink, const struct value *values, unsigned n)
{
    struct mysql_result *r = (struct mysql_result *)sink;

    if (r->conn->io.dead || r->fault || n != r->n_fields)
        return SINK_STOP;
    r->rows++;
    if (r->cursor) {
        if (r->rows <= MYSQL_LOOK_AHEAD)
            widen(r, values, n);
        struct sink *to = rowset_sink(r->cursor);
        return to->ops->row(to, values, n) == SINK_STOP ? SINK_STOP : SINK_MORE;
    }
    if (!r->described && !all_declared(r)) {
        widen(r, values, n);
        if (!keep(r, values, n))
            return SINK_STOP;
        if (r->n_ahead < MYSQL_LOOK_AHEAD)
            return SINK_MORE;
        return release(r) ? SINK_FULL : SINK_STOP;
    }
    if (!r->described)
        describe(r);
    if (!mysql_write_row(r, values, n))
        return SINK_STOP;
    return r->conn->io.out.len >= OUT_BYTES ? SINK_FULL : SINK_MORE;
}

static void on_done(struct sink *sink, const struct sink_done *d)
{
    struct mysql_result *r = (struct mysql_result *)sink;

    r->affected += d->rows_affected;
    r->last_insert_id = d->last_insert_id;
}

static const struct sink_ops result_ops = {on_columns, on_row, on_done};

bool mysql_result_init(struct mysql_result *r, struct mysql_conn *c)
{
    memset(r, 0, sizeof *r);
    r->sink.ops = &result_ops;
    r->conn = c;
    r->arena = arena_new();
    return r->arena != NULL;
}

void mysql_result_fini(struct mysql_result *r)
{
    arena_free(r->arena);
    r->arena = NULL;
}

void mysql_result_finish(struct mysql_result *r)
{
    if (r->has_rows && !r->described)
        (void)release(r);
}
