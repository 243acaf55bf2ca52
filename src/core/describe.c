/* What a statement is, without running it: prepared on the connection that would run it, so that
 * inside a transaction it sees what the transaction has created. */
#include "base/clock.h"
#include "core/command.h"
#include "core/cross.h"
#include "core/session_impl.h"
#include "core/statement.h"
#include "sql/lex.h"

/* HISTORY and UNDO are no statements of SQLite's. */
static bool is_command(const struct query *q, struct sink *columns, struct session_shape *shape,
                       struct err *e, enum err_code *code)
{
    struct lex lex = lex_statement(q->sql, q->len);
    size_t at = 0;
    struct command c;

    while (lex.kind == LEX_EMPTY && lex.len > 0 && at + lex.len < q->len) {
        at += lex.len;
        lex = lex_statement(q->sql + at, q->len - at);
    }
    if (lex.kind != LEX_HISTORY && lex.kind != LEX_UNDO)
        return false;
    *shape = (struct session_shape){.reads = lex.kind == LEX_HISTORY};
    *code = command_read(&c, q->sql + at, lex.len, NULL, &shape->n_params, e);
    if (*code != ERR_OK && e->offset >= 0)
        e->offset += (int)at;
    if (*code == ERR_OK && lex.kind == LEX_HISTORY)
        history_columns(columns);
    return true;
}

static enum err_code describe_on(struct conn *c, const struct query *q, struct sink *columns,
                                 struct session_shape *shape, struct err *e)
{
    struct stmt *st = NULL;
    const char *tail;
    enum err_code code = ERR_OK;

    if (is_command(q, columns, shape, e, &code))
        return code;
    code = stmt_refresh(c, e);

    if (code == ERR_OK)
        code = stmt_prepare(c, q->sql, q->len, &tail, &st, e);
    if (code != ERR_OK)
        return code;
    *shape = (struct session_shape){.empty = !st, .reads = true};
    if (!st)
        return ERR_OK;
    shape->reads = stmt_class(st) == STMT_READ;
    for (unsigned i = 1; i <= stmt_param_count(st); i++) {
        unsigned number = statement_param_number(st, i);
        if (number > shape->n_params)
            shape->n_params = number;
    }
    if (stmt_column_count(st) > 0)
        statement_columns(st, columns);
    stmt_release(st);
    return ERR_OK;
}

static enum err_code describe_in_tx(struct session *s, const struct query *q, struct sink *columns,
                                    struct session_shape *shape, struct err *e)
{
    struct writer *w;
    enum err_code code = tx_enter(s->tx, &w, e);

    if (code != ERR_OK) {
        transaction_fail(s, e);
        return code;
    }
    code = describe_on(writer_conn(w), q, columns, shape, e);
    tx_leave(s->tx);
    return code;
}

static enum err_code describe_reading(struct session *s, const struct query *q,
                                      struct sink *columns, struct session_shape *shape,
                                      struct err *e)
{
    struct conn *reader = NULL;
    int64_t deadline = clock_deadline(s->node->opt.replication_timeout_ns);
    struct database *d = NULL;
    enum err_code code = cross_first(s, q, &d, e);

    if (code == ERR_OK && !d && !s->db)
        code = node_find(s->node, NULL, &s->db, e);
    if (code == ERR_OK && !d)
        d = database_ref(s->db);
    if (code == ERR_OK)
        code = database_reader(d, deadline, &reader, e);
    if (code == ERR_OK) {
        code = describe_on(reader, q, columns, shape, e);
        database_give(d, reader);
    }
    database_unref(d);
    return code;
}

enum err_code session_describe(struct session *s, const struct query *q, struct sink *columns,
                               struct session_shape *shape, struct err *e)
{
    enum err_code code = node_enter(s->node, e);

    if (code != ERR_OK)
        return code;
    pthread_mutex_lock(&s->mu);
    enum tx_phase phase = atomic_load(&s->phase);
    switch (phase) {
    case TX_WRITING:
        code = describe_in_tx(s, q, columns, shape, e);
        break;
    case TX_AWAY:
        code = s->node->upstream->describe ? away_describe(s, q, columns, shape, e)
                                           : describe_reading(s, q, columns, shape, e);
        break;
    case TX_READING: {
        struct database *other = NULL;
        code = cross_first(s, q, &other, e);
        if (code == ERR_OK)
            code = other && other != s->db ? describe_reading(s, q, columns, shape, e)
                                           : describe_on(s->reader, q, columns, shape, e);
        database_unref(other);
        break;
    }
    case TX_FAILED:
        *e = s->failed;
        code = e->code;
        break;
    case TX_NONE:
        code = describe_reading(s, q, columns, shape, e);
        break;
    }
    s->last_use_ns = clock_mono_ns();
    pthread_mutex_unlock(&s->mu);
    node_leave(s->node);
    return code;
}
