/*
 * Prepared statements: COM_STMT_PREPARE, EXECUTE, SEND_LONG_DATA, RESET, FETCH and CLOSE.
 *
 * A statement is translated once, unless the translation holds what the session knew (@a,
 * LAST_INSERT_ID()): then at each execution.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/mysql/session.h"

#define DATA_BYTES MYSQL_PACKET_BYTES /* of one parameter sent in pieces */

/* ---- by number ---- */

static struct mysql_prepared **slot(struct mysql_conn *c, uint32_t id)
{
    return &c->prepared[id % MYSQL_PREPARED_SLOTS];
}

static struct mysql_prepared *find(struct mysql_conn *c, uint32_t id)
{
    struct mysql_prepared *p = *slot(c, id);

    while (p && p->id != id)
        p = p->next;
    return p;
}

static void close_cursor(struct mysql_prepared *p)
{
    rowset_free(p->cursor);
    p->cursor = NULL;
    if (p->has_shape)
        mysql_result_fini(&p->shape);
    p->has_shape = false;
}

static void forget_pieces(struct mysql_prepared *p)
{
    for (unsigned i = 0; p->pieces && i < p->n_params; i++)
        buf_free(&p->pieces[i].data);
    free(p->pieces);
    p->pieces = NULL;
}

static void prepared_free(struct mysql_prepared *p)
{
    if (!p)
        return;
    close_cursor(p);
    forget_pieces(p);
    buf_free(&p->data);
    free(p->params);
    free(p->types);
    free(p->run);
    free(p->sql);
    free(p);
}

static void remove_prepared(struct mysql_conn *c, uint32_t id)
{
    for (struct mysql_prepared **at = slot(c, id); *at; at = &(*at)->next) {
        struct mysql_prepared *p = *at;
        if (p->id != id)
            continue;
        *at = p->next;
        c->n_prepared--;
        prepared_free(p);
        return;
    }
}

void mysql_prepared_clear(struct mysql_conn *c)
{
    for (unsigned i = 0; i < MYSQL_PREPARED_SLOTS; i++)
        while (c->prepared[i])
            remove_prepared(c, c->prepared[i]->id);
}

static void unknown(struct mysql_conn *c, const char *what)
{
    mysql_error(c, MYSQL_ER_UNKNOWN_STATEMENT,
                "Unknown prepared statement handler given to mysqld_stmt_%s", what);
}

static void malformed(struct mysql_conn *c)
{
    mysql_error(c, MYSQL_ER_MALFORMED, "Malformed communication packet");
}

/* ---- PREPARE ---- */

/* Columns as they are before the statement runs. */
static bool describe(struct mysql_conn *c, const struct mysql_statement *t, struct mysql_result *r)
{
    const struct query q = {.sql = t->run, .len = t->run_len, .numbered = true};
    struct session_shape shape;
    struct err e = ERR_INIT;

    if (mysql_command_is_server(t->command) || t->nothing || t->several)
        return true;
    if (session_describe(c->session, &q, &r->sink, &shape, &e) == ERR_OK)
        return true;
    mysql_error_core(c, &e);
    mysql_tx_after_error(c);
    return false;
}

static void write_prepared(struct mysql_conn *c, const struct mysql_prepared *p,
                           struct mysql_result *r)
{
    uint16_t status = mysql_status(c);

    mysqlwire_write_prepared(&c->out, p->id, r->n_fields, p->n_params, (uint16_t)c->n_warnings);
    if (p->n_params > 0) {
        struct mysql_field param = {.name = (char *)(uintptr_t) "?", .type = mysqltype_text()};
        for (unsigned i = 0; i < p->n_params; i++) {
            const struct mysqlwire_column column = {.schema = "",
                                                    .table = "",
                                                    .org_table = "",
                                                    .name = param.name,
                                                    .charset = MYSQLWIRE_CHARSET_BINARY,
                                                    .flags = MYSQLTYPE_FLAG_BINARY,
                                                    .type = MYSQLTYPE_VAR_STRING};
            mysqlwire_write_column(&c->out, &column);
        }
        if (!(c->capabilities & MYSQLWIRE_DEPRECATE_EOF))
            mysqlwire_write_eof(&c->out, status, 0);
    }
    if (r->n_fields > 0) {
        for (unsigned i = 0; i < r->n_fields; i++)
            if (r->fields[i].type.type == MYSQLTYPE_NULL)
                r->fields[i].type = mysqltype_text();
        mysql_write_fields(c, r->fields, r->n_fields, false, status);
    }
}

/* Takes the statement apart into copies of its own; NULL: no memory. */
static struct mysql_prepared *make(struct mysql_conn *c, const struct mysql_statement *t)
{
    struct mysql_prepared *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->text = *t;
    p->len = t->len;
    p->n_params = t->n_params;
    p->sql = malloc(t->len + 1);
    p->params = calloc(t->n_params + 1, sizeof *p->params);
    if (t->run != t->sql && !t->is_session) {
        p->run = malloc(t->run_len + 1);
        if (p->run)
            memcpy(p->run, t->run, t->run_len + 1);
    }
    if (!p->sql || !p->params || (t->run != t->sql && !t->is_session && !p->run)) {
        prepared_free(p);
        return NULL;
    }
    memcpy(p->sql, t->sql, t->len);
    p->sql[t->len] = '\0';
    p->text.sql = p->sql;
    p->text.run = p->run ? p->run : p->sql;
    p->id = ++c->next_prepared;
    return p;
}

void mysql_prepare(struct mysql_conn *c, const char *sql, size_t len)
{
    const struct mysql_context x = mysql_context(c);
    size_t n = mysql_dialect_split(&x, sql, len);
    struct mysql_statement t;
    struct mysql_result r;
    struct mysql_prepared *p;

    if (mysql_command(&x, sql, n) == MYSQL_COMMAND_EMPTY) {
        mysql_error(c, MYSQL_ER_EMPTY_QUERY, "Query was empty");
        return;
    }
    if (n < len && mysql_command(&x, sql + n, len - n) != MYSQL_COMMAND_EMPTY) {
        mysql_error(c, MYSQL_ER_PARSE,
                    "You have an error in your SQL syntax; only one statement can be prepared");
        return;
    }
    if (c->n_prepared >= MYSQL_PREPARED_MAX) {
        mysql_error(c, MYSQL_ER_TOO_MANY_PREPARED,
                    "Can't create more than max_prepared_stmt_count statements");
        return;
    }
    if (!mysql_statement_read(c, sql, n, &t))
        return;
    if (t.n_params > MYSQLWIRE_PARAMS_MAX) {
        mysql_error(c, 1390, "Prepared statement contains too many placeholders");
        return;
    }
    p = mysql_result_init(&r, c) ? make(c, &t) : NULL;
    if (!p) {
        mysql_result_fini(&r);
        mysql_error(c, MYSQL_ER_OUT_OF_MEMORY, "Out of memory");
        return;
    }
    if (describe(c, &t, &r)) {
        p->next = *slot(c, p->id);
        *slot(c, p->id) = p;
        c->n_prepared++;
        write_prepared(c, p, &r);
    } else {
        prepared_free(p);
    }
    mysql_result_fini(&r);
}

/* ---- EXECUTE ---- */

static bool has_bytes(const struct value *v)
{
    return v->type == VALUE_TEXT || v->type == VALUE_BLOB;
}

/* Values borrow the packet, or lie in p->data: offsets become pointers at the end. */
static bool take_values(struct mysql_prepared *p, struct mysqlwire_execute *x)
{
    bool *in_data = calloc((size_t)p->n_params + 1, sizeof *in_data);
    bool ok = in_data != NULL;

    buf_reset(&p->data);
    for (unsigned i = 0; ok && i < p->n_params; i++) {
        uint8_t type = (uint8_t)p->types[2 * (size_t)i];
        bool is_unsigned = ((uint8_t)p->types[2 * (size_t)i + 1] & 0x80) != 0;
        struct value *v = &p->params[i].value;
        if (p->pieces && p->pieces[i].sent)
            *v = mysqltype_bytes(type, p->pieces[i].data.len ? p->pieces[i].data.data : "",
                                 p->pieces[i].data.len);
        else if (mysqlwire_is_null(x, i))
            *v = value_null();
        else
            ok = mysqltype_get(&x->values, type, is_unsigned, v, &p->data, &in_data[i]);
    }
    ok = ok && buf_ok(&p->data);
    for (unsigned i = 0; ok && i < p->n_params; i++)
        if (in_data[i] && has_bytes(&p->params[i].value))
            p->params[i].value.u.s.data = p->data.data + (uintptr_t)p->params[i].value.u.s.data;
    free(in_data);
    return ok;
}

static bool take_types(struct mysql_prepared *p, const struct mysqlwire_execute *x)
{
    size_t n = (size_t)p->n_params * 2;

    if (!x->types)
        return p->types || n == 0;
    free(p->types);
    p->types = malloc(n ? n : 1);
    if (p->types)
        memcpy(p->types, x->types, n);
    return p->types != NULL;
}

static void run(struct mysql_conn *c, struct mysql_prepared *p)
{
    struct mysql_statement t = p->text;

    if (t.is_session && !mysql_statement_read(c, p->sql, p->len, &t))
        return;
    if (!t.is_session)
        mysql_clear_warnings(c);
    if (p->wants_cursor) {
        p->cursor = rowset_new(node_options(c->server->node)->data_dir);
        if (!p->cursor) {
            mysql_error(c, MYSQL_ER_OUT_OF_MEMORY, "Out of memory");
            return;
        }
    }
    if (!mysql_statement_run(c, &t, p))
        close_cursor(p);
}

void mysql_execute(struct mysql_conn *c, const char *body, size_t len)
{
    struct mysql_prepared *p = find(c, mysqlwire_execute_statement(body, len));
    struct mysqlwire_execute x;
    char *types = NULL;

    if (!p) {
        unknown(c, "execute");
        return;
    }
    close_cursor(p);
    if (c->capabilities & MYSQLWIRE_QUERY_ATTRIBUTES)
        types = arena_alloc(c->arena, (size_t)MYSQLWIRE_PARAMS_MAX * 2);
    if (!mysqlwire_read_execute(body, len, c->capabilities, p->n_params, types, &x) ||
        !take_types(p, &x) || !take_values(p, &x)) {
        malformed(c);
    } else {
        p->wants_cursor = (x.flags & 1) != 0;
        run(c, p);
    }
    forget_pieces(p);
    buf_free(&p->data);
}

/* ---- the rest ---- */

/* There is no answer, whatever comes of it. */
void mysql_long_data(struct mysql_conn *c, const char *body, size_t len)
{
    struct reader r = reader_of(body, len);
    struct mysql_prepared *p = find(c, mysqlwire_u32(&r));
    uint16_t i = mysqlwire_u16(&r);
    struct mysql_param_data *d;

    if (r.bad || !p || i >= p->n_params)
        return;
    if (!p->pieces)
        p->pieces = calloc(p->n_params, sizeof *p->pieces);
    if (!p->pieces)
        return;
    d = &p->pieces[i];
    d->data.limit = DATA_BYTES;
    d->sent = true;
    buf_put(&d->data, r.at, (size_t)(r.end - r.at));
}

void mysql_close_prepared(struct mysql_conn *c, const char *body, size_t len)
{
    remove_prepared(c, mysqlwire_execute_statement(body, len));
}

void mysql_reset_prepared(struct mysql_conn *c, const char *body, size_t len)
{
    struct mysql_prepared *p = find(c, mysqlwire_execute_statement(body, len));

    mysql_clear_warnings(c);
    if (!p) {
        unknown(c, "reset");
        return;
    }
    close_cursor(p);
    forget_pieces(p);
    mysql_write_ok(c, 0, 0, NULL);
}

void mysql_fetch(struct mysql_conn *c, const char *body, size_t len)
{
    struct reader in = reader_of(body, len);
    struct mysql_prepared *p = find(c, mysqlwire_u32(&in));
    uint32_t n = mysqlwire_u32(&in);
    const struct value *values;
    unsigned count;

    if (in.bad || !p) {
        unknown(c, "fetch");
        return;
    }
    if (!p->cursor) {
        mysql_error(c, 1421, "The statement (%u) has no open cursor.", p->id);
        return;
    }
    for (; n > 0 && !c->io.dead; n--) {
        if (!rowset_next(p->cursor, &values, &count))
            break;
        if (!mysql_write_row(&p->shape, values, count)) {
            mysql_error(c, p->shape.fault, "%s", p->shape.fault_text);
            close_cursor(p);
            return;
        }
        if (c->io.out.len >= (64u << 10))
            stream_flush(&c->io);
    }
    uint16_t status = mysql_status(c);
    if (n > 0) {
        mysql_write_end(c, (uint16_t)(status | MYSQLWIRE_LAST_ROW));
        close_cursor(p);
    } else {
        mysql_write_end(c, (uint16_t)(status | MYSQLWIRE_CURSOR));
    }
}
