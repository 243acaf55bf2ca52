/*
 * The executor: one for all protocols. A request is a list of statement texts; it goes through them
 * statement by statement and sends each down one of the paths that session.h names.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/cross.h"
#include "core/request_impl.h"
#include "core/statement.h"
#include "sql/pg/session.h"

enum err_code request_new(struct request **out, struct session *s, const struct query *queries,
                          size_t n, const struct request_options *opt, struct err *e)
{
    *out = NULL;
    struct request *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    r->s = s;
    r->queries = queries;
    r->n = n;
    r->opt = *opt;
    recorder_init(&r->recorder, s->node->opt.max_result_bytes);
    *out = r;
    return ERR_OK;
}

/* ---- helpers ---- */

void request_guard(struct request *r, struct conn *c)
{
    struct conn_guard g = {r->deadline_ns, &r->s->cancel, r->s->gone, r->s->arg};
    conn_guard(c, &g);
    conn_set_last_rowid(c, r->s->last_rowid);
}

enum err_code request_too_big(struct err *e)
{
    return err_set(e, ERR_TOO_BIG, "the result is larger than the node keeps for one transaction");
}

bool request_next(const struct request *r, struct cursor *at, const struct cursor *end,
                  struct lex *lex)
{
    while (at->query < r->n) {
        if (end && at->query == end->query && at->offset >= end->offset)
            return false;
        const struct query *q = &r->queries[at->query];
        *lex = lex_statement(q->sql + at->offset, q->len - at->offset);
        if (lex->kind != LEX_EMPTY)
            return true;
        at->offset += lex->len;
        if (lex->len == 0 || at->offset >= q->len) {
            at->query++;
            at->offset = 0;
        }
    }
    return false;
}

bool request_is_control(enum lex_kind kind)
{
    return kind == LEX_BEGIN || kind == LEX_BEGIN_WRITE || kind == LEX_COMMIT ||
           kind == LEX_ROLLBACK || kind == LEX_SAVEPOINT || kind == LEX_RELEASE ||
           kind == LEX_ROLLBACK_TO;
}

enum err_code request_prepare(struct request *r, struct conn *c, const struct cursor *at,
                              struct stmt **st, struct cursor *after, struct err *e)
{
    const struct query *q = &r->queries[at->query];
    const char *tail = NULL;
    enum err_code code = stmt_prepare(c, q->sql + at->offset, q->len - at->offset, &tail, st, e);
    if (code != ERR_OK) {
        if (e->offset >= 0)
            e->offset += (int)at->offset;
        return code;
    }
    after->query = at->query;
    after->offset = (size_t)(tail - q->sql);
    return ERR_OK;
}

size_t request_slice(const struct request *r, const struct cursor *end, struct query **out)
{
    size_t n = end->query - r->at.query + (end->query < r->n && end->offset > 0);
    *out = n > 0 ? calloc(n, sizeof **out) : NULL;
    if (!*out)
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct query *q = &(*out)[i];
        *q = r->queries[r->at.query + i];
        if ((i == 0 && r->at.offset > 0) || (r->at.query + i == end->query && end->offset < q->len))
            q->written = NULL; /* that is the whole text */
        if (r->at.query + i == end->query)
            q->len = end->offset;
        if (i == 0) {
            q->sql += r->at.offset;
            q->len -= r->at.offset;
        }
    }
    return n;
}

/* ---- reading ---- */

static void end_read(struct request *r)
{
    struct err ignored = ERR_INIT;
    stmt_release(r->stmt);
    r->stmt = NULL;
    past_close(r->past);
    r->past = NULL;
    if (r->reader && r->reader != r->s->reader) {
        conn_unguard(r->reader);
        if (r->snapshot)
            conn_exec(r->reader, "COMMIT", &ignored);
        database_give(r->s->db, r->reader);
    } else if (r->reader) {
        conn_unguard(r->reader);
    }
    r->snapshot = false;
    r->reader = NULL;
}

/* Steps the current read statement until its end or a pause. */
static enum request_status read_rows(struct request *r, struct sink *sink, struct err *e)
{
    bool row = false;
    for (;;) {
        if (stmt_step(r->stmt, &row, e) != ERR_OK)
            return REQUEST_FAILED;
        if (!r->stmt_started && stmt_column_count(r->stmt) > 0) /* as in step_all() */
            statement_columns(r->stmt, sink);
        r->stmt_started = true;
        if (!row)
            break;
        r->rows++;
        enum sink_verdict verdict = statement_row(r->stmt, sink);
        if (verdict == SINK_STOP) {
            request_too_big(e);
            return REQUEST_FAILED;
        }
        if (verdict == SINK_FULL)
            return REQUEST_PAUSED;
    }
    struct sink_done d = {.has_rows = stmt_column_count(r->stmt) > 0,
                          .rows = r->rows,
                          .last_insert_id = r->s->last_rowid,
                          .elapsed_ns = clock_mono_ns() - r->started_ns};
    stmt_release(r->stmt);
    r->stmt = NULL;
    sink->ops->done(sink, &d);
    return REQUEST_DONE;
}

static enum err_code take_reader(struct request *r, struct err *e)
{
    struct session *s = r->s;
    if (r->reader)
        return ERR_OK;
    if (s->phase == TX_READING)
        r->reader = s->reader;
    else if (database_reader(s->db, r->deadline_ns, &r->reader, e) != ERR_OK)
        return e->code;
    request_guard(r, r->reader);
    return ERR_OK;
}

/* Prepares the statement at r->at on a read connection. *is_read tells whether it may run there; if
 * so it is r->stmt, bound, and r->at stands behind it. */
static enum err_code try_read(struct request *r, bool *is_read, struct err *e)
{
    struct cursor after;
    *is_read = false;
    r->started_ns = clock_mono_ns();
    enum err_code code = take_reader(r, e);
    if (code == ERR_OK)
        code = request_prepare(r, r->reader, &r->at, &r->stmt, &after, e);
    if (code != ERR_OK)
        return code;
    if (r->stmt && stmt_class(r->stmt) != STMT_READ) {
        stmt_release(r->stmt);
        r->stmt = NULL;
        return ERR_OK;
    }
    *is_read = true;
    if (r->stmt)
        code = statement_bind(r->stmt, &r->queries[r->at.query], e);
    if (code == ERR_OK) {
        r->last = r->at.query;
        r->at = after;
        r->rows = 0;
    }
    return code;
}

static enum request_status start_read(struct request *r, struct sink *sink, struct err *e)
{
    if (!r->stmt)
        return REQUEST_DONE;
    r->stmt_started = false;
    if (r->s->phase == TX_READING)
        r->s->has_read = true;
    return read_rows(r, sink, e);
}

/* Does every statement of the request only read? Looks, on a read connection, until the first one
 * that does not; a text that cannot be prepared counts as a read if nothing before it writes. */
static enum err_code all_read(struct request *r, bool *reads, struct err *e)
{
    struct cursor at = r->at;
    struct lex lex;
    *reads = true;
    while (request_next(r, &at, NULL, &lex)) {
        struct stmt *st = NULL;
        struct cursor after = at;
        if (lex.kind == LEX_HISTORY) {
            at.offset += lex.len;
            continue;
        }
        *reads = lex.kind == LEX_READ || lex.kind == LEX_OTHER || lex.kind == LEX_PRAGMA;
        if (!*reads)
            return ERR_OK;
        enum err_code code = take_reader(r, e);
        if (code == ERR_OK)
            code = request_prepare(r, r->reader, &at, &st, &after, e);
        if (code != ERR_OK) {
            r->last = at.query;
            return code;
        }
        *reads = !st || stmt_class(st) == STMT_READ;
        stmt_release(st);
        if (!*reads)
            return ERR_OK;
        at = after;
    }
    return ERR_OK;
}

/* ---- the paths ---- */

static enum err_code begin_or_end(struct request *r, const struct lex *lex, struct sink *sink,
                                  struct err *e)
{
    struct session *s = r->s;
    enum err_code code = ERR_OK;
    uint64_t seq = 0;
    r->last = r->at.query;
    switch (lex->kind) {
    case LEX_BEGIN:
    case LEX_BEGIN_WRITE:
        if (s->phase != TX_NONE)
            return err_set(e, ERR_TX_ACTIVE, "a transaction is already active");
        code = transaction_begin(s, lex->kind == LEX_BEGIN_WRITE, request_is_away(r),
                                 r->deadline_ns, e);
        break;
    case LEX_COMMIT:
        if (s->phase == TX_NONE)
            return err_set(e, ERR_TX_NONE, "no transaction is active");
        end_read(r);
        code = transaction_commit(s, r->deadline_ns, &seq, e);
        if (seq > r->seq)
            r->seq = seq;
        break;
    default: /* LEX_ROLLBACK */
        if (s->phase == TX_NONE)
            return err_set(e, ERR_TX_NONE, "no transaction is active");
        end_read(r);
        transaction_rollback(s);
        break;
    }
    if (code != ERR_OK)
        return code;
    struct sink_done d = {.last_insert_id = s->last_rowid};
    r->at.offset += lex->len;
    sink->ops->done(sink, &d);
    return ERR_OK;
}

static enum request_status status_of(enum err_code code)
{
    return code == ERR_OK ? REQUEST_DONE : REQUEST_FAILED;
}

static enum request_status in_transaction(struct request *r, const struct lex *lex,
                                          struct sink *sink, struct err *e)
{
    struct session *s = r->s;
    r->last = r->at.query;
    if (s->phase == TX_FAILED) {
        if (s->failed.code == ERR_OK || s->failed.code == ERR_TX_ABORTED)
            err_set(e, ERR_TX_ABORTED, "the transaction has failed; ROLLBACK it");
        else
            *e = s->failed;
        return REQUEST_FAILED;
    }
    if (s->phase == TX_READING && !request_is_control(lex->kind)) {
        bool is_read = false;
        if (lex->kind != LEX_WRITE && lex->kind != LEX_DDL) {
            if (try_read(r, &is_read, e) != ERR_OK)
                return REQUEST_FAILED;
            if (is_read)
                return start_read(r, sink, e);
        }
    }
    if (lex->kind == LEX_VACUUM) {
        err_set(e, ERR_TX_ACTIVE, "cannot VACUUM from within a transaction");
        return REQUEST_FAILED;
    }
    if (!request_is_control(lex->kind) && request_may_write(s, e) != ERR_OK)
        return REQUEST_FAILED;
    if (s->phase == TX_READING) {
        end_read(r);
        if (transaction_upgrade(s, request_is_away(r), r->deadline_ns, e) != ERR_OK)
            return REQUEST_FAILED;
    }
    if (s->phase == TX_AWAY)
        return status_of(request_run_away(r, lex, sink, e));
    return status_of(request_write_in_tx(r, lex, sink, e));
}

/* VACUUM is prepared for the sake of policy, and then run between two groups. */
static enum request_status vacuum(struct request *r, struct sink *sink, struct err *e)
{
    struct stmt *st = NULL;
    struct cursor after = r->at;
    enum err_code code = take_reader(r, e);
    r->last = r->at.query;
    if (code == ERR_OK)
        code = request_prepare(r, r->reader, &r->at, &st, &after, e);
    stmt_release(st);
    end_read(r);
    if (code == ERR_OK)
        code = replica_vacuum(database_replica(r->s->db),
                              clock_deadline(r->s->node->opt.replication_timeout_ns), e);
    if (code != ERR_OK)
        return REQUEST_FAILED;
    struct sink_done d = {.last_insert_id = r->s->last_rowid};
    r->at = after;
    sink->ops->done(sink, &d);
    return REQUEST_DONE;
}

/* One statement that commits alone. */
static enum request_status alone(struct request *r, const struct lex *lex, struct sink *sink,
                                 struct err *e)
{
    bool is_read = false;
    if (lex->kind == LEX_VACUUM)
        return vacuum(r, sink, e);
    if (lex->kind != LEX_WRITE && lex->kind != LEX_DDL) {
        r->last = r->at.query;
        if (try_read(r, &is_read, e) != ERR_OK)
            return REQUEST_FAILED;
        if (is_read)
            return start_read(r, sink, e);
    }
    end_read(r);
    r->end = (struct cursor){r->at.query, r->at.offset + 1}; /* this one statement */
    return status_of(request_write(r, sink, e));
}

/* All that is left of an atomic request. */
static enum request_status atomic_request(struct request *r, struct sink *sink, struct err *e)
{
    bool reads = false;
    struct lex lex;
    if (r->snapshot) { /* came back from a pause, and all of it reads */
        reads = true;
    } else if (all_read(r, &reads, e) != ERR_OK) {
        return REQUEST_FAILED;
    }
    if (!reads) {
        end_read(r);
        r->end = (struct cursor){r->n, 0};
        return status_of(request_write(r, sink, e));
    }
    if (!r->snapshot) {
        if (take_reader(r, e) != ERR_OK || conn_exec(r->reader, "BEGIN", e) != ERR_OK)
            return REQUEST_FAILED;
        r->snapshot = true;
    }
    while (request_next(r, &r->at, NULL, &lex)) {
        bool is_read = false;
        enum request_status st = REQUEST_DONE;
        if (lex.kind == LEX_HISTORY) {
            st = request_history(r, &lex, sink, e);
            if (st != REQUEST_DONE)
                return st;
            continue;
        }
        r->last = r->at.query;
        if (try_read(r, &is_read, e) != ERR_OK)
            return REQUEST_FAILED;
        if (!is_read) {
            err_set(e, ERR_CONFLICT, "the schema changed meanwhile; run the request again");
            return REQUEST_FAILED;
        }
        st = start_read(r, sink, e);
        if (st != REQUEST_DONE)
            return st;
    }
    return REQUEST_DONE;
}

static enum request_status run_statements(struct request *r, struct sink *sink, struct err *e)
{
    struct session *s = r->s;
    struct lex lex;
    enum request_status st = REQUEST_DONE;
    while (st == REQUEST_DONE && request_next(r, &r->at, NULL, &lex)) {
        if (cross_is_asked(r, &r->at) && s->phase != TX_FAILED) {
            st = cross_begin(r, &lex, e) == ERR_OK ? cross_run(r, sink, e) : REQUEST_FAILED;
            continue;
        }
        bool boundary = lex.kind == LEX_BEGIN || lex.kind == LEX_BEGIN_WRITE ||
                        lex.kind == LEX_COMMIT || lex.kind == LEX_ROLLBACK;
        if (lex.kind == LEX_HISTORY && s->phase != TX_FAILED &&
            !(r->opt.atomic && s->phase == TX_NONE)) {
            st = request_history(r, &lex, sink, e);
            continue;
        }
        if (lex.kind == LEX_UNDO && s->phase != TX_FAILED) {
            st = status_of(request_undo(r, &lex, sink, e));
            continue;
        }
        if (r->opt.atomic && s->phase == TX_NONE)
            return request_is_control(lex.kind)
                       ? status_of(err_set(e, ERR_TX_ACTIVE,
                                           "these statements are one transaction already"))
                       : atomic_request(r, sink, e);
        if (boundary)
            st = status_of(begin_or_end(r, &lex, sink, e));
        else if (s->phase == TX_NONE && request_is_control(lex.kind))
            st = status_of(err_set(e, ERR_TX_NONE, "savepoints need a transaction: BEGIN first"));
        else if (s->phase != TX_NONE)
            st = in_transaction(r, &lex, sink, e);
        else
            st = alone(r, &lex, sink, e);
    }
    return st;
}

/* ---- the whole ---- */

static enum err_code begin_request(struct request *r, struct err *e)
{
    struct session *s = r->s;
    struct node *n = s->node;
    enum err_code code = node_enter(n, e);
    if (code != ERR_OK)
        return code;
    r->entered = true;
    atomic_store(&s->cancel, false);
    atomic_fetch_add(&n->requests, 1);
    int64_t limit = r->opt.timeout_ns > 0 ? r->opt.timeout_ns : n->opt.query_timeout_ns;
    r->deadline_ns = limit > 0 ? clock_deadline(limit) : CLOCK_EVER;
    if (!s->db)
        code = node_find(n, NULL, &s->db, e);
    if (code == ERR_OK && r->opt.min_seq > 0) {
        int64_t until = limit > 0 ? r->deadline_ns : clock_deadline(n->opt.replication_timeout_ns);
        code = replica_wait(database_replica(s->db), r->opt.min_seq, until, e);
    }
    if (code == ERR_OK)
        r->position = replica_position(database_replica(s->db));
    return code;
}

enum request_status request_run(struct request *r, struct sink *sink, struct err *e)
{
    enum request_status st = REQUEST_DONE;
    pthread_mutex_lock(&r->s->mu);
    pg_session_enter(r->s->front);
    if (!r->entered)
        st = status_of(begin_request(r, e));
    if (st == REQUEST_DONE && r->stmt)
        st = read_rows(r, sink, e);
    else if (st == REQUEST_DONE && r->past)
        st = request_history_on(r, sink, e);
    if (st == REQUEST_DONE && r->cross)
        st = cross_run(r, sink, e);
    if (st == REQUEST_DONE)
        st = run_statements(r, sink, e);
    if (st != REQUEST_PAUSED) {
        end_read(r);
        cross_free(r->cross);
        r->cross = NULL;
    }
    if (st == REQUEST_FAILED)
        atomic_fetch_add(&r->s->node->request_errors, 1);
    r->s->paused = st == REQUEST_PAUSED;
    r->s->last_use_ns = clock_mono_ns();
    pg_session_enter(NULL);
    pthread_mutex_unlock(&r->s->mu);
    return st;
}

uint64_t request_seq(const struct request *r)
{
    return r->seq;
}

uint64_t request_position(const struct request *r)
{
    return r->position;
}

size_t request_index(const struct request *r)
{
    return r->last;
}

void request_free(struct request *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->s->mu);
    end_read(r);
    cross_free(r->cross);
    if (r->s->paused)
        r->s->last_use_ns = clock_mono_ns();
    r->s->paused = false;
    pthread_mutex_unlock(&r->s->mu);
    if (r->entered)
        node_leave(r->s->node);
    recorder_free(&r->recorder);
    free(r);
}
