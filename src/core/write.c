/*
 * The executor's writes: one statement on the write connection, through the write group or inside
 * an explicit transaction. Results are kept until they are true (I2).
 */
#include "base/clock.h"
#include "core/request_impl.h"
#include "core/statement.h"
#include "sql/pg/session.h"

enum err_code request_may_write(const struct session *s, struct err *e)
{
    return s->read_only ? err_set(e, ERR_READ_ONLY, "this session is read-only") : ERR_OK;
}

/* ---- writing: one statement on the write connection, results into the recorder ---- */

static enum err_code step_all(struct request *r, struct stmt *st, uint64_t *rows, struct err *e)
{
    struct sink *sink = &r->recorder.sink;
    bool row = false;
    for (bool first = true;; first = false) {
        enum err_code code = stmt_step(st, &row, e);
        if (code != ERR_OK)
            return code;
        /* Only now: SQLite may have compiled it anew, for another schema with other columns. */
        if (first && stmt_column_count(st) > 0)
            statement_columns(st, sink);
        if (!row)
            return ERR_OK;
        (*rows)++;
        if (statement_row(st, sink) == SINK_STOP) {
            stmt_reset(st);
            return request_too_big(e);
        }
    }
}

static enum err_code write_statement(struct request *r, struct writer *w, struct cursor *at,
                                     bool savepoint, struct err *e)
{
    struct conn *c = writer_conn(w);
    struct stmt *st = NULL;
    struct cursor after;
    int64_t start = clock_mono_ns();
    r->failed_at = at->query;
    enum err_code code = request_prepare(r, c, at, &st, &after, e);
    if (code != ERR_OK)
        return code;
    if (!st) {
        *at = after;
        return ERR_OK;
    }
    code = statement_bind(st, &r->queries[at->query], e);
    if (code == ERR_OK)
        code = writer_stmt_begin(w, st, savepoint, e);
    if (code == ERR_OK) {
        struct err second = ERR_INIT;
        struct sink_done d = {.has_rows = stmt_column_count(st) > 0};
        code = step_all(r, st, &d.rows, e);
        if (code == ERR_OK && r->s->homesick && *r->s->homesick)
            code = err_set(e, ERR_UNSUPPORTED, "the statement asks for its session's own node");
        stmt_reset(st);
        enum err_code ended = writer_stmt_end(w, st, code == ERR_OK, &second);
        if (code == ERR_OK && ended != ERR_OK) {
            *e = second;
            code = ended;
        }
        if (code == ERR_OK) {
            d.rows_affected = writer_changes(w);
            d.last_insert_id = writer_last_rowid(w);
            d.elapsed_ns = clock_mono_ns() - start;
            r->recorder.sink.ops->done(&r->recorder.sink, &d);
            if (!buf_ok(&r->recorder.bytes))
                code = request_too_big(e);
        }
    }
    stmt_release(st);
    if (code == ERR_OK)
        *at = after;
    return code;
}

enum err_code request_run_write(void *arg, struct writer *w, struct err *e)
{
    struct request *r = arg;
    struct cursor at = r->at;
    struct lex lex;
    enum err_code code = ERR_OK;
    /* Whoever leads the group runs it, perhaps another session's thread. */
    const struct pg_session *before = pg_session_current();
    pg_session_enter(r->s->front);
    recorder_reset(&r->recorder);
    r->s->last_rowid = r->rowid;
    request_guard(r, writer_conn(w));
    while (code == ERR_OK && request_next(r, &at, &r->end, &lex)) {
        if (request_is_control(lex.kind)) {
            r->failed_at = at.query;
            code = err_set(e, ERR_TX_ACTIVE, "these statements are one transaction already");
        } else if (lex.kind == LEX_HISTORY || lex.kind == LEX_UNDO) {
            r->failed_at = at.query;
            code = err_set(e, ERR_TX_ACTIVE,
                           "HISTORY and UNDO cannot run in one transaction with writes");
        } else {
            code = write_statement(r, w, &at, false, e);
        }
    }
    if (code == ERR_OK)
        r->s->last_rowid = writer_last_rowid(w);
    r->reached = at;
    conn_unguard(writer_conn(w));
    pg_session_enter(before);
    return code;
}

static enum err_code write_here(struct request *r, struct sink *sink, struct err *e)
{
    struct txn t = {.run = request_run_write,
                    .arg = r,
                    .travel = &request_travel,
                    .deadline_ns = r->deadline_ns};
    if (request_may_write(r->s, e) != ERR_OK)
        return e->code;
    if (t.deadline_ns == CLOCK_EVER)
        t.deadline_ns = clock_deadline(r->s->node->opt.replication_timeout_ns);
    r->rowid = r->s->last_rowid;
    enum err_code code = replica_write(database_replica(r->s->db), &t, e);
    if (code != ERR_OK) {
        r->s->last_rowid = r->rowid;
        r->last = r->failed_at;
        return code;
    }
    if (t.seq > r->seq)
        r->seq = t.seq;
    r->last = r->failed_at;
    r->at = r->reached;
    return recorder_replay(&r->recorder, sink) ? ERR_OK : request_too_big(e);
}

enum err_code request_write(struct request *r, struct sink *sink, struct err *e)
{
    if (request_is_away(r)) {
        bool here = false;
        enum err_code code = request_write_away(r, &here, sink, e);
        if (!here)
            return code;
    }
    return write_here(r, sink, e);
}

/* ---- inside an explicit transaction ---- */

static enum err_code control(const struct lex *lex, struct writer *w, struct err *e)
{
    switch (lex->kind) {
    case LEX_SAVEPOINT:
        return writer_savepoint(w, lex->name, lex->name_len, e);
    case LEX_RELEASE:
        return writer_release(w, lex->name, lex->name_len, e);
    case LEX_ROLLBACK_TO:
        return writer_rollback_to(w, lex->name, lex->name_len, e);
    default:
        return err_set(e, ERR_INTERNAL, "not a savepoint statement");
    }
}

enum err_code request_write_in_tx(struct request *r, const struct lex *lex, struct sink *sink,
                                  struct err *e)
{
    struct session *s = r->s;
    struct writer *w = NULL;
    enum err_code code = tx_enter(s->tx, &w, e);
    if (code != ERR_OK) {
        transaction_fail(s, e);
        return code;
    }
    struct cursor at = r->at;
    recorder_reset(&r->recorder);
    request_guard(r, writer_conn(w));
    if (request_is_control(lex->kind)) {
        code = control(lex, w, e);
        at.offset += lex->len;
        struct sink_done d = {.last_insert_id = s->last_rowid};
        if (code == ERR_OK)
            r->recorder.sink.ops->done(&r->recorder.sink, &d);
    } else {
        code = write_statement(r, w, &at, true, e);
        if (code == ERR_OK)
            s->last_rowid = writer_last_rowid(w);
    }
    conn_unguard(writer_conn(w));
    tx_leave(s->tx);
    if (!tx_open(s->tx)) {
        struct err why = ERR_INIT;
        if (code == ERR_OK || code == ERR_INTERRUPTED) { /* ended from outside, and that is why */
            code = tx_enter(s->tx, &w, &why);
            *e = why;
        }
        transaction_fail(s, e);
        return code;
    }
    if (code != ERR_OK)
        return code;
    r->at = at;
    return recorder_replay(&r->recorder, sink) ? ERR_OK : request_too_big(e);
}
