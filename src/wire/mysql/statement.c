/* One statement, whatever brought it: read, translated, run, answered. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sql/cross_text.h"
#include "sql/mysql/lex.h"
#include "wire/mysql/session.h"

/* ---- reading ---- */

static bool no_memory(struct mysql_conn *c)
{
    mysql_error(c, MYSQL_ER_OUT_OF_MEMORY, "Out of memory");
    return false;
}

/* SHOW WARNINGS and what counts them tell about the statement before. */
static bool asks_for_warnings(const char *sql, size_t len)
{
    static const char *const words[] = {"WARNINGS", "warnings", "ERRORS", "errors", "_count"};

    if (len > 64)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (memmem(sql, len, words[i], strlen(words[i])))
            return true;
    return false;
}

static bool translate(struct mysql_conn *c, struct mysql_statement *t)
{
    const struct mysql_context x = mysql_context(c);
    struct buf out = BUF_INIT;
    struct mysql_translation tr = {0};
    struct err e = ERR_INIT;

    if (mysql_dialect(&x, t->sql, t->len, &out, &tr, &e) != ERR_OK) {
        buf_free(&out);
        mysql_error_core(c, &e);
        return false;
    }
    t->n_params = tr.n_params;
    t->calculates = tr.calculates;
    if (tr.changed) {
        cross_hint_keep(&out, t->sql, t->len);
        t->run = arena_strndup(c->arena, buf_cstr(&out), out.len);
        t->run_len = out.len;
        t->nothing = out.len == 0;
        t->several = tr.several;
        t->is_session = tr.is_session;
    }
    bool ok = buf_ok(&out) && t->run;
    buf_free(&out);
    return ok || no_memory(c);
}

bool mysql_statement_read(struct mysql_conn *c, const char *sql, size_t len,
                          struct mysql_statement *t)
{
    const struct mysql_context x = mysql_context(c);

    *t = (struct mysql_statement){.sql = sql, .len = len, .run = sql, .run_len = len};
    t->command = mysql_command(&x, sql, len);
    if (t->command > MYSQL_COMMAND_SHOW || !asks_for_warnings(sql, len))
        mysql_clear_warnings(c);
    return mysql_command_is_server(t->command) || translate(c, t);
}

/* ---- running ---- */

struct request_options mysql_request_options(const struct mysql_conn *c)
{
    const char *ms = mysql_variable(&c->variables, "max_execution_time");

    return (struct request_options){.timeout_ns = strtoll(ms, NULL, 10) * CLOCK_MS};
}

enum err_code mysql_exec(struct mysql_conn *c, const char *sql, struct err *e)
{
    const struct request_options o = {.atomic = false};
    const struct query q = {.sql = sql, .len = strlen(sql)};
    struct request *r;
    enum request_status st;

    if (request_new(&r, c->session, &q, 1, &o, e) != ERR_OK)
        return e->code;
    while ((st = request_run(r, &sink_nowhere, e)) == REQUEST_PAUSED)
        ;
    request_free(r);
    return st == REQUEST_DONE ? ERR_OK : e->code;
}

/* The id that the first row of an INSERT was given: SQLite tells the last one's, and rows that get
 * theirs by themselves get them in order. */
static uint64_t first_id(const struct mysql_result *r)
{
    int64_t first = r->last_insert_id - (r->affected - 1);

    if (r->affected <= 0 || r->last_insert_id <= 0)
        return 0;
    return (uint64_t)(first > 0 ? first : r->last_insert_id);
}

static bool fail(struct mysql_conn *c, const struct mysql_result *r, const struct err *e)
{
    if (r->fault)
        mysql_error(c, r->fault, "%s", r->fault_text);
    else
        mysql_error_core(c, e);
    return false;
}

static void succeed(struct mysql_conn *c, const struct mysql_statement *t, struct mysql_result *r,
                    const struct mysql_prepared *p)
{
    if (r->has_rows) {
        uint16_t status = mysql_status(c);
        c->found_rows = r->rows;
        c->row_count = t->command == MYSQL_COMMAND_READ ? -1 : r->affected;
        if (p && p->cursor) {
            status |= MYSQLWIRE_CURSOR;
            mysql_write_fields(c, r->fields, r->n_fields, true, status);
            if (c->capabilities & MYSQLWIRE_DEPRECATE_EOF)
                mysql_write_end(c, status);
        } else {
            mysql_write_end(c, status);
        }
        return;
    }
    uint64_t id = t->command == MYSQL_COMMAND_INSERT ? first_id(r) : 0;
    if (id)
        c->last_insert_id = id;
    c->row_count = r->affected;
    mysql_write_ok(c, r->affected > 0 ? (uint64_t)r->affected : 0, id, NULL);
}

/* The cursor, where one was asked for and there are rows. */
static void keep_cursor(struct mysql_prepared *p, struct mysql_result *r)
{
    if (!r->has_rows) {
        rowset_free(p->cursor);
        p->cursor = NULL;
        return;
    }
    p->shape = *r;
    p->has_shape = true;
    r->arena = NULL; /* transferred */
}

static bool first_of(struct mysql_conn *c, const struct query *q, struct value *out, struct err *e);

/* SQL_CALC_FOUND_ROWS: the result has been written, so a failure goes unsaid. */
static void count_rows(struct mysql_conn *c, const struct mysql_statement *t,
                       const struct mysql_prepared *p)
{
    const struct mysql_context x = mysql_context(c);
    struct buf sql = BUF_INIT;
    struct err e = ERR_INIT;
    struct value n;

    if (mysql_dialect_count(&x, t->sql, t->len, &sql, &e) == ERR_OK) {
        const struct query q = {.sql = buf_cstr(&sql),
                                .len = sql.len,
                                .params = p ? p->params : NULL,
                                .n_params = p ? p->n_params : 0,
                                .numbered = true};
        if (first_of(c, &q, &n, &e) && n.type == VALUE_INTEGER && n.u.i >= 0)
            c->found_rows = (uint64_t)n.u.i;
    }
    buf_free(&sql);
}

static bool run_sql(struct mysql_conn *c, const struct mysql_statement *t, struct mysql_prepared *p)
{
    /* What only this session knows is in the translation alone. */
    const struct query q = {.sql = t->run,
                            .len = t->run_len,
                            .params = p ? p->params : NULL,
                            .n_params = p ? p->n_params : 0,
                            .numbered = true,
                            .written = t->is_session ? NULL : t->sql,
                            .written_len = t->len,
                            .written_in = "mysql"};
    struct request_options o = mysql_request_options(c);
    struct err e = ERR_INIT;
    struct mysql_result r;
    struct request *request;
    enum request_status st = REQUEST_FAILED;

    o.atomic = t->several;
    if (!mysql_result_init(&r, c))
        return no_memory(c);
    r.binary = p != NULL;
    r.cursor = p ? p->cursor : NULL;
    if (request_new(&request, c->session, &q, 1, &o, &e) == ERR_OK) {
        while ((st = request_run(request, &r.sink, &e)) == REQUEST_PAUSED && !c->io.dead)
            stream_flush(&c->io);
        request_free(request);
    }
    if (st == REQUEST_DONE)
        mysql_result_finish(&r);
    bool ok = st == REQUEST_DONE && !r.fault;
    if (!ok) {
        (void)fail(c, &r, &e);
        mysql_tx_after_error(c);
    } else {
        succeed(c, t, &r, p);
        if (t->calculates)
            count_rows(c, t, p);
        if (p && p->cursor)
            keep_cursor(p, &r);
    }
    mysql_result_fini(&r);
    return ok;
}

/* DO expression: a query whose answer nobody wants. */
static bool do_expression(struct mysql_conn *c, const struct mysql_statement *t)
{
    struct mysql_lexer x;
    struct mysql_token word;
    struct value ignored;

    mysql_lex_init(&x, t->sql, t->len);
    (void)mysql_lex_next(&x, &word);
    return mysql_value_of(c, x.at, (size_t)(x.end - x.at), &ignored);
}

static bool run_own(struct mysql_conn *c, const struct mysql_statement *t)
{
    switch (t->command) {
    case MYSQL_COMMAND_BEGIN:
    case MYSQL_COMMAND_COMMIT:
    case MYSQL_COMMAND_ROLLBACK:
    case MYSQL_COMMAND_SAVEPOINT:
    case MYSQL_COMMAND_RELEASE:
    case MYSQL_COMMAND_ROLLBACK_TO:
        return mysql_control(c, t);
    case MYSQL_COMMAND_SET:
        return mysql_run_set(c, t);
    case MYSQL_COMMAND_DO:
        return do_expression(c, t);
    default:
        return mysql_run_command(c, t);
    }
}

bool mysql_statement_run(struct mysql_conn *c, const struct mysql_statement *t,
                         struct mysql_prepared *p)
{
    if (mysql_command_is_server(t->command)) {
        if (!run_own(c, t))
            return false;
        c->row_count = 0;
        mysql_write_ok(c, 0, 0, NULL);
        return true;
    }
    if (!mysql_tx_before(c, t))
        return false;
    if (!t->nothing)
        return run_sql(c, t, p);
    mysql_write_ok(c, 0, 0, NULL);
    return true;
}

/* ---- one value ---- */

struct first_value {
    struct sink sink;
    struct mysql_conn *conn;
    struct value *out;
    bool has;
};

static void first_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

static enum sink_verdict first_row(struct sink *s, const struct value *values, unsigned n)
{
    struct first_value *f = (struct first_value *)s;

    if (f->has || n == 0)
        return SINK_MORE;
    f->has = true;
    *f->out = values[0];
    if (values[0].type == VALUE_TEXT || values[0].type == VALUE_BLOB)
        f->out->u.s.data = arena_strndup(
            f->conn->arena, values[0].u.s.data ? values[0].u.s.data : "", values[0].u.s.len);
    return SINK_MORE;
}

static void first_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

/* The first value of what it returns, NULL where that is nothing; in the arena. */
static bool first_of(struct mysql_conn *c, const struct query *q, struct value *out, struct err *e)
{
    static const struct sink_ops ops = {first_columns, first_row, first_done};
    struct first_value f = {.sink = {&ops}, .conn = c, .out = out};
    const struct request_options o = mysql_request_options(c);
    enum request_status st;
    struct request *r;

    *out = value_null();
    if (request_new(&r, c->session, q, 1, &o, e) != ERR_OK)
        return false;
    while ((st = request_run(r, &f.sink, e)) == REQUEST_PAUSED)
        ;
    request_free(r);
    return st == REQUEST_DONE;
}

bool mysql_value_of(struct mysql_conn *c, const char *expression, size_t len, struct value *out)
{
    static const char select[] = "SELECT ";
    char *sql = arena_alloc(c->arena, sizeof select + len);
    struct mysql_statement t;
    struct err e = ERR_INIT;

    *out = value_null();
    if (!sql)
        return no_memory(c);
    memcpy(sql, select, sizeof select - 1);
    memcpy(sql + sizeof select - 1, expression, len);
    t = (struct mysql_statement){
        .sql = sql, .len = sizeof select - 1 + len, .run = sql, .run_len = sizeof select - 1 + len};
    if (!translate(c, &t))
        return false;
    const struct query q = {.sql = t.run, .len = t.run_len, .numbered = true};
    if (first_of(c, &q, out, &e))
        return true;
    mysql_error_core(c, &e);
    mysql_tx_after_error(c);
    return false;
}
