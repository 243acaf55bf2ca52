/* COM_QUERY: statements one after the other, each with a result of its own; the first error ends
 * them. COM_FIELD_LIST. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "sql/quote.h"
#include "wire/mysql/session.h"

#define STATEMENTS_MAX 100000 /* of one string */

/* The next statement that is one; false at the end. */
static bool next(const struct mysql_context *x, const char **at, const char *end, size_t *len)
{
    while (*at < end) {
        *len = mysql_dialect_split(x, *at, (size_t)(end - *at));
        if (mysql_command(x, *at, *len) != MYSQL_COMMAND_EMPTY)
            return true;
        *at += *len;
    }
    return false;
}

void mysql_query(struct mysql_conn *c, const char *sql, size_t len)
{
    const char *at = sql, *end = sql + len;
    struct mysql_context x = mysql_context(c);
    size_t n = 0, rest = 0;

    if (!next(&x, &at, end, &n)) {
        mysql_error(c, MYSQL_ER_EMPTY_QUERY, "Query was empty");
        return;
    }
    for (unsigned i = 0; i < STATEMENTS_MAX; i++) {
        const char *behind = at + n;
        struct mysql_statement t;
        c->more = next(&x, &behind, end, &rest);
        if (c->more && !(c->capabilities & MYSQLWIRE_MULTI_STATEMENTS)) {
            c->more = false;
            mysql_error(c, MYSQL_ER_PARSE,
                        "You have an error in your SQL syntax; one statement a query, unless the "
                        "client asks for more, near '%.*s'",
                        rest < 80 ? (int)rest : 80, behind);
            break;
        }
        if (!mysql_statement_read(c, at, n, &t) || !mysql_statement_run(c, &t, NULL) || !c->more ||
            c->io.dead || c->closing)
            break;
        at = behind;
        n = rest;
        x = mysql_context(c); /* SET sql_mode changes what a string is */
    }
    c->more = false;
}

/* ---- COM_FIELD_LIST ---- */

static void nothing_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

struct field_sink {
    struct sink sink;
    struct mysql_conn *conn;
    const char *table;
};

static void field_columns(struct sink *sink, const struct sink_column *cols, unsigned n)
{
    struct field_sink *f = (struct field_sink *)sink;

    for (unsigned i = 0; i < n; i++) {
        const char *decl = cols[i].decltype;
        struct mysqltype_ref t = mysqltype_of_declared(decl, decl ? strlen(decl) : 0);
        if (t.type == MYSQLTYPE_NULL)
            t = mysqltype_text();
        const struct mysqlwire_column column = {.schema = f->conn->schema,
                                                .table = f->table,
                                                .org_table = f->table,
                                                .name = cols[i].name,
                                                .charset = t.charset,
                                                .flags = t.flags,
                                                .length = t.length,
                                                .type = t.type,
                                                .decimals = t.decimals,
                                                .has_default = true};
        mysqlwire_write_column(&f->conn->out, &column);
    }
}

void mysql_field_list(struct mysql_conn *c, const char *body, size_t len)
{
    static const struct sink_ops ops = {.columns = field_columns, .done = nothing_done};
    struct reader r = reader_of(body, len);
    const char *table = reader_cstr(&r); /* a pattern for the columns follows: all are told */
    struct field_sink f = {.sink = {&ops}, .conn = c, .table = table};
    struct buf sql = BUF_INIT;
    struct session_shape shape;
    struct err e = ERR_INIT;

    mysql_clear_warnings(c);
    if (r.bad) {
        mysql_error(c, MYSQL_ER_MALFORMED, "Malformed communication packet");
        return;
    }
    buf_puts(&sql, "SELECT * FROM ");
    quote_put_name(&sql, table);
    const struct query q = {.sql = buf_cstr(&sql), .len = sql.len};
    if (!buf_ok(&sql)) {
        mysql_error(c, MYSQL_ER_OUT_OF_MEMORY, "Out of memory");
    } else if (session_describe(c->session, &q, &f.sink, &shape, &e) != ERR_OK) {
        mysql_error_core(c, &e);
        mysql_tx_after_error(c);
    } else {
        mysql_write_end(c, mysql_status(c));
    }
    buf_free(&sql);
}
