/*
 *   the pool             take(), give()
 *   results              put_result()
 *   statements           run_one(), run_query()
 *   the operations       write_alone(), begin(), run(), commit(), close_tx(), wait_for()
 *
 * A connection that is lost before anything was sent means that nothing has happened
 * (ERR_LOG_UNAVAILABLE: try again); lost while a COMMIT, or a statement that commits by itself, was
 * under way, nobody can tell (ERR_UNKNOWN_OUTCOME).
 */
#include "proxy/pg_upstream.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "proto/pgoutput.h"
#include "proto/pgtype.h"
#include "proxy/foreign_text.h"
#include "proxy/mirror.h"
#include "proxy/pg_impl.h"
#include "proxy/pg_link.h"
#include "sql/lex.h"

#define IDLE_MAX      16            /* connections kept */
#define CANCEL_NS     (5 * CLOCK_S) /* that a canceled statement has to end */
#define CONNECT_NS    (10 * CLOCK_S)
#define VERSION_MARKS 140000 /* of PostgreSQL, that has marks come through a slot */
#define COLUMNS_MAX   1664   /* of a result, PostgreSQL's own limit */

struct pg_upstream {
    struct pg_upstream_options opt;
    pthread_mutex_t mu;
    struct pg_link *idle[IDLE_MAX]; /* guarded by mu */
    size_t n_idle;
};

struct transaction {
    struct pg_upstream *u;
    struct pg_link *link; /* NULL: it is over */
};

/* ---- the pool ---- */

enum err_code pg_upstream_new(struct pg_upstream **out, const struct pg_upstream_options *o,
                              struct err *e)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    (*out)->opt = *o;
    pthread_mutex_init(&(*out)->mu, NULL);
    return pq_load(e);
}

void pg_upstream_free(struct pg_upstream *u)
{
    if (!u)
        return;
    while (u->n_idle > 0)
        pg_link_close(u->idle[--u->n_idle]);
    pthread_mutex_destroy(&u->mu);
    free(u);
}

/* What an idle connection has to say is its end. */
static bool is_alive(struct pg_link *l)
{
    struct pollfd p = {.fd = pq.socket(pg_link_handle(l)), .events = POLLIN};

    return poll(&p, 1, 0) == 0;
}

static enum err_code check_call(void *arg, struct err *e)
{
    return upstream_check(arg, e);
}

static struct wait wait_of(struct upstream_call *c)
{
    return (struct wait){.deadline_ns = CLOCK_EVER, .wake_fd = -1, .check = check_call, .arg = c};
}

static enum err_code take(struct pg_upstream *u, struct upstream_call *c, struct pg_link **out,
                          struct err *e)
{
    struct wait w = wait_of(c);

    for (;;) {
        pthread_mutex_lock(&u->mu);
        *out = u->n_idle > 0 ? u->idle[--u->n_idle] : NULL;
        pthread_mutex_unlock(&u->mu);
        if (!*out)
            break;
        if (is_alive(*out))
            return ERR_OK;
        pg_link_close(*out);
    }
    w.deadline_ns = clock_deadline(CONNECT_NS);
    enum err_code code = pg_link_open(out, u->opt.dsn, NULL, &w, e);
    if (code == ERR_OK || code == ERR_INTERRUPTED || code == ERR_AUTH || code == ERR_TOO_MANY)
        return code;
    e->code = ERR_LOG_UNAVAILABLE;
    e->sqlstate[0] = '\0';
    return err_wrap(e, "the source cannot be reached");
}

static void give(struct pg_upstream *u, struct pg_link *l)
{
    bool reusable = !pg_link_broken(l) && pq.transactionStatus(pg_link_handle(l)) == PQTRANS_IDLE;

    if (reusable) {
        pthread_mutex_lock(&u->mu);
        if (u->n_idle < IDLE_MAX) {
            u->idle[u->n_idle++] = l;
            l = NULL;
        }
        pthread_mutex_unlock(&u->mu);
    }
    pg_link_close(l);
}

/* ---- results ---- */

/* As a column of a table here would be declared. */
static const char *declared(uint32_t type)
{
    switch (type) {
    case PGTYPE_BOOL:
        return "BOOLEAN";
    case PGTYPE_BYTEA:
        return "BLOB";
    case PGTYPE_INT2:
        return "SMALLINT";
    case PGTYPE_INT4:
        return "INT4";
    case PGTYPE_INT8:
        return "BIGINT";
    case PGTYPE_FLOAT4:
        return "FLOAT4";
    case PGTYPE_FLOAT8:
        return "FLOAT8";
    case PGTYPE_NUMERIC:
        return "NUMERIC";
    case PGTYPE_VARCHAR:
        return "VARCHAR";
    case PGTYPE_BPCHAR:
        return "CHAR";
    case PGTYPE_DATE:
        return "DATE";
    case PGTYPE_TIME:
        return "TIME";
    case PGTYPE_TIMESTAMP:
        return "TIMESTAMP";
    case PGTYPE_TIMESTAMPTZ:
        return "TIMESTAMPTZ";
    case PGTYPE_JSON:
        return "JSON";
    case PGTYPE_JSONB:
        return "JSONB";
    case PGTYPE_UUID:
        return "UUID";
    default:
        return "TEXT";
    }
}

static enum err_code too_big(struct err *e)
{
    return err_set(e, ERR_TOO_BIG, "the result is larger than the node keeps for one transaction");
}

static enum err_code put_row(const PGresult *r, int row, int n, struct sink *sink, struct err *e)
{
    struct value values[COLUMNS_MAX];
    bool in_scratch[COLUMNS_MAX];
    struct buf scratch = BUF_INIT;

    for (int i = 0; i < n; i++) {
        in_scratch[i] = false;
        if (pq.getisnull(r, row, i))
            values[i] = value_null();
        else
            pg_value(pq.ftype(r, i), pq.getvalue(r, row, i), (size_t)pq.getlength(r, row, i),
                     &values[i], &scratch, &in_scratch[i]);
    }
    bool ok = buf_ok(&scratch);
    for (int i = 0; i < n && ok; i++)
        if (in_scratch[i])
            pgtype_settle(&values[i], &scratch);
    enum sink_verdict verdict = ok ? sink->ops->row(sink, values, (unsigned)n) : SINK_STOP;
    buf_free(&scratch);
    return verdict == SINK_STOP ? too_big(e) : ERR_OK;
}

static enum err_code put_result(const PGresult *r, const struct upstream_call *c, int64_t since_ns,
                                struct sink *sink, struct err *e)
{
    struct sink_column columns[COLUMNS_MAX];
    int n = pq.nfields(r) < COLUMNS_MAX ? pq.nfields(r) : COLUMNS_MAX;
    bool rows = pq.resultStatus(r) == PGRES_TUPLES_OK;
    enum err_code code = ERR_OK;

    if (rows) {
        for (int i = 0; i < n; i++)
            columns[i] = (struct sink_column){pq.fname(r, i), declared(pq.ftype(r, i))};
        sink->ops->columns(sink, columns, (unsigned)n);
    }
    for (int i = 0; rows && i < pq.ntuples(r) && code == ERR_OK; i++)
        code = put_row(r, i, n, sink, e);
    /* Of SELECT it is how many there are, which changed nothing. */
    bool reads = strncmp(pq.cmdStatus((PGresult *)(uintptr_t)r), "SELECT", 6) == 0;
    struct sink_done d = {.has_rows = rows,
                          .rows = rows ? (uint64_t)pq.ntuples(r) : 0,
                          .rows_affected =
                              reads ? 0 : strtol(pq.cmdTuples((PGresult *)(uintptr_t)r), NULL, 10),
                          .last_insert_id = c->last_rowid,
                          .elapsed_ns = clock_mono_ns() - since_ns};
    if (code == ERR_OK)
        sink->ops->done(sink, &d);
    return code;
}

/* ---- statements ---- */

/* Values as text, each terminated; NULL stays NULL. */
struct texts {
    const char **all;
    size_t *offsets;
    struct buf bytes;
};

static void put_value(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        break;
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        pgtype_format_double(b, v->u.r, false);
        break;
    case VALUE_TEXT:
        buf_put(b, v->u.s.data, v->u.s.len);
        break;
    case VALUE_BLOB:
        buf_puts(b, "\\x");
        hex_put(b, v->u.s.data, v->u.s.len);
        break;
    }
    buf_putc(b, '\0');
}

static enum err_code make_texts(struct texts *t, const struct value *const *values, size_t n,
                                struct err *e)
{
    *t = (struct texts){.all = calloc(n + 1, sizeof *t->all),
                        .offsets = calloc(n + 1, sizeof *t->offsets)};
    if (!t->all || !t->offsets)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const struct value *v = values[i];
        t->offsets[i] = t->bytes.len;
        if (v->type == VALUE_TEXT && v->u.s.len > 0 && memchr(v->u.s.data, '\0', v->u.s.len))
            return err_set(e, ERR_PARAM, "PostgreSQL has no text with a NUL in it");
        put_value(&t->bytes, v);
    }
    if (!buf_ok(&t->bytes))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++)
        t->all[i] = values[i]->type == VALUE_NULL ? NULL : t->bytes.data + t->offsets[i];
    return ERR_OK;
}

static void free_texts(struct texts *t)
{
    free(t->all);
    free(t->offsets);
    buf_free(&t->bytes);
}

static bool is_over(enum err_code code)
{
    return code == ERR_INTERRUPTED || code == ERR_TIMEOUT;
}

/* Runs what was prepared. A call that is over asks the server to stop, and hears what came of it.
 */
static enum err_code send(struct pg_link *l, struct upstream_call *c, const char *sql,
                          const char *const *values, size_t n, PGresult **out, struct err *e)
{
    struct wait w = wait_of(c);
    enum err_code code = pg_link_run(l, sql, values, n, &w, out, e);

    if (!is_over(code) || pq.transactionStatus(pg_link_handle(l)) != PQTRANS_ACTIVE)
        return code;
    struct err why = *e;
    struct wait rest = {.deadline_ns = clock_deadline(CANCEL_NS), .wake_fd = -1};
    PGresult *r = NULL, *last = NULL;
    pg_link_cancel(l);
    err_clear(e);
    while ((code = pg_link_result(l, &r, &rest, e)) == ERR_OK && r) {
        if (last)
            pq.clear(last);
        last = r;
    }
    if (code == ERR_OK && last && pq.resultStatus(last) != PGRES_FATAL_ERROR) {
        *out = last; /* it was faster */
        return ERR_OK;
    }
    if (code != ERR_OK || !last)
        pg_link_break(l); /* nobody knows */
    if (last)
        pq.clear(last);
    *e = why;
    return why.code;
}

/* One statement, its results into `sink`. */
static enum err_code run_one(struct pg_link *l, struct upstream_call *c, const struct query *q,
                             const char *sql, size_t len, struct sink *sink, struct err *e)
{
    bool own = q->written && strcmp(q->written_in, "postgresql") == 0;
    struct foreign_params params = {0};
    struct texts texts = {0};
    struct buf text = BUF_INIT;
    PGresult *r = NULL;
    int64_t since = clock_mono_ns();
    enum err_code code = ERR_OK;

    if (own) {
        buf_put(&text, q->written, q->written_len);
        for (unsigned i = 0; i < q->n_params && code == ERR_OK; i++)
            code = foreign_params_add(&params, &q->params[i].value, e);
    } else {
        code = foreign_text(q, sql, len, true, &text, &params, e);
    }
    if (code == ERR_OK)
        code = make_texts(&texts, params.all, params.n, e);
    if (code == ERR_OK && !buf_ok(&text))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code == ERR_OK)
        code = send(l, c, buf_cstr(&text), texts.all, params.n, &r, e);
    if (code == ERR_OK)
        code = put_result(r, c, since, sink, e);
    if (r)
        pq.clear(r);
    free_texts(&texts);
    foreign_params_free(&params);
    buf_free(&text);
    return code;
}

/* The statements of a query one after the other. */
static enum err_code run_query(struct pg_link *l, struct upstream_call *c, const struct query *q,
                               struct sink *sink, struct err *e)
{
    const char *at = q->sql, *end = q->sql + q->len;
    enum err_code code = ERR_OK;

    if (q->written && strcmp(q->written_in, "postgresql") == 0)
        return run_one(l, c, q, q->sql, q->len, sink, e);
    while (code == ERR_OK && at < end) {
        size_t len = lex_length(at, (size_t)(end - at));
        if (lex_statement(at, len).kind != LEX_EMPTY)
            code = run_one(l, c, q, at, len, sink, e);
        at += len;
    }
    return code;
}

static enum err_code command(struct pg_link *l, struct upstream_call *c, const char *sql,
                             struct err *e)
{
    PGresult *r = NULL;
    enum err_code code = send(l, c, sql, NULL, 0, &r, e);

    if (r)
        pq.clear(r);
    return code;
}

/* To leave a connection in good order, whatever became of the call. */
static bool tidy(struct pg_link *l, const char *sql)
{
    struct wait w = {.deadline_ns = clock_deadline(CANCEL_NS), .wake_fd = -1};
    struct err e = ERR_INIT;

    if (!pg_link_broken(l) && pg_link_run(l, sql, NULL, 0, &w, NULL, &e) != ERR_OK &&
        !e.sqlstate[0])
        pg_link_break(l);
    return e.code == ERR_OK;
}

/* What a lost connection means for a statement that commits. */
static enum err_code unknown(struct pg_link *l, struct err *e)
{
    if (!pg_link_broken(l) || e->sqlstate[0])
        return e->code;
    e->code = ERR_UNKNOWN_OUTCOME;
    return err_wrap(e, "whether the source has committed is not known");
}

/* The place in the WAL behind what was committed; none without --proxy-read-your-writes. */
static void note_position(struct pg_upstream *u, struct pg_link *l, struct upstream_call *c)
{
    struct err ignored = ERR_INIT;
    PGresult *r = NULL;

    if (!u->opt.read_your_writes || pq.serverVersion(pg_link_handle(l)) < VERSION_MARKS)
        return;
    if (send(l, c, "SELECT pg_current_wal_insert_lsn(), pg_logical_emit_message(true, 'ha', '')",
             NULL, 0, &r, &ignored) == ERR_OK &&
        r && pq.ntuples(r) == 1)
        buf_puts(&c->position, pq.getvalue(r, 0, 0));
    if (r)
        pq.clear(r);
}

/* ---- the operations ---- */

static bool away(void *arg, const char *database)
{
    const struct pg_upstream *u = arg;

    return strcmp(u->opt.database, database) == 0;
}

/* Is it more than one statement? */
static bool is_several(const struct upstream_call *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        const struct query *q = &c->queries[i];
        if (q->written && strcmp(q->written_in, "postgresql") == 0) {
            n++;
            continue;
        }
        for (size_t at = 0; at < q->len;) {
            size_t len = lex_length(q->sql + at, q->len - at);
            n += lex_statement(q->sql + at, len).kind != LEX_EMPTY;
            at += len;
        }
    }
    return n > 1;
}

static enum err_code run_all(struct pg_link *l, struct upstream_call *c, struct recorder *results,
                             struct err *e)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < c->n && code == ERR_OK; i++) {
        c->failed = i;
        code = run_query(l, c, &c->queries[i], &results->sink, e);
    }
    return code;
}

/* Lost before its COMMIT: nothing has happened. */
static enum err_code rolled_back(struct err *e)
{
    e->code = ERR_LOG_UNAVAILABLE;
    return err_wrap(e, "the transaction is rolled back, its connection to the source is lost");
}

static enum err_code write_several(struct pg_link *l, struct upstream_call *c,
                                   struct recorder *results, struct err *e)
{
    enum err_code code = command(l, c, "BEGIN", e);

    if (code == ERR_OK)
        code = run_all(l, c, results, e);
    if (code == ERR_OK && command(l, c, "COMMIT", e) != ERR_OK)
        return unknown(l, e);
    if (code != ERR_OK && pg_link_broken(l) && !e->sqlstate[0])
        return rolled_back(e);
    if (code != ERR_OK)
        (void)tidy(l, "ROLLBACK");
    return code;
}

static enum err_code write_one(struct pg_link *l, struct upstream_call *c, struct recorder *results,
                               struct err *e)
{
    enum err_code code = run_all(l, c, results, e);

    if (code == ERR_TOO_BIG)
        return err_wrap(e, "the source has committed");
    return code == ERR_OK ? ERR_OK : unknown(l, e);
}

static enum err_code write_alone(void *arg, struct upstream_call *c, struct recorder *results,
                                 struct err *e)
{
    struct pg_upstream *u = arg;
    struct pg_link *l = NULL;
    enum err_code code = take(u, c, &l, e);

    if (code != ERR_OK)
        return code;
    code = is_several(c) ? write_several(l, c, results, e) : write_one(l, c, results, e);
    if (code == ERR_OK)
        note_position(u, l, c);
    give(u, l);
    e->offset = -1;
    return code;
}

static enum err_code begin(void *arg, struct upstream_call *c, uint64_t base, void **tx,
                           struct err *e)
{
    struct pg_upstream *u = arg;
    struct transaction *t = calloc(1, sizeof *t);

    (void)base; /* it begins at once */
    *tx = NULL;
    if (!t)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    t->u = u;
    enum err_code code = take(u, c, &t->link, e);
    if (code == ERR_OK)
        code = command(t->link, c, "BEGIN", e);
    if (code != ERR_OK) {
        if (t->link)
            give(u, t->link);
        free(t);
        return code;
    }
    *tx = t;
    return ERR_OK;
}

/* Savepoints of users: nothing may stand between them and their transaction. */
static bool is_control(const struct query *q)
{
    enum lex_kind kind = lex_statement(q->sql, q->len).kind;

    return kind == LEX_SAVEPOINT || kind == LEX_RELEASE || kind == LEX_ROLLBACK_TO;
}

/* The transaction is over with the connection: nothing of it has happened. */
static enum err_code lost(struct transaction *t, struct upstream_call *c, struct err *e)
{
    give(t->u, t->link);
    t->link = NULL;
    c->ended = true;
    return rolled_back(e);
}

static enum err_code run(void *tx, struct upstream_call *c, struct recorder *results, struct err *e)
{
    struct transaction *t = tx;

    if (!t->link) {
        c->ended = true;
        return err_set(e, ERR_TX_NONE, "the transaction has ended");
    }
    bool control = c->n == 1 && is_control(&c->queries[0]);
    enum err_code code = control ? ERR_OK : command(t->link, c, "SAVEPOINT ha_statement", e);
    if (code == ERR_OK)
        code = run_all(t->link, c, results, e);
    if (code == ERR_OK && !control)
        code = command(t->link, c, "RELEASE SAVEPOINT ha_statement", e);
    e->offset = -1;
    if (code == ERR_OK)
        return ERR_OK;
    if (pg_link_broken(t->link))
        return lost(t, c, e);
    if (!control && tidy(t->link, "ROLLBACK TO SAVEPOINT ha_statement"))
        (void)tidy(t->link, "RELEASE SAVEPOINT ha_statement");
    c->ended = pq.transactionStatus(pg_link_handle(t->link)) != PQTRANS_INTRANS;
    return code;
}

static enum err_code commit(void *tx, struct upstream_call *c, struct err *e)
{
    struct transaction *t = tx;

    c->ended = true;
    if (!t->link)
        return err_set(e, ERR_TX_NONE, "the transaction has ended");
    enum err_code code = command(t->link, c, "COMMIT", e);
    if (code != ERR_OK)
        code = unknown(t->link, e);
    else
        note_position(t->u, t->link, c);
    give(t->u, t->link);
    t->link = NULL;
    return code;
}

static void close_tx(void *tx)
{
    struct transaction *t = tx;

    if (t->link) {
        (void)tidy(t->link, "ROLLBACK");
        give(t->u, t->link);
    }
    free(t);
}

static bool has_come_to(const void *wanted, const char *position, size_t len)
{
    uint64_t at = 0;

    (void)len;
    return pgoutput_parse_lsn(position, &at) && at >= *(const uint64_t *)wanted;
}

/* The tracker moves when the mark comes back through the slot. */
static enum err_code wait_for(void *arg, const struct upstream_call *c, int64_t deadline_ns,
                              struct err *e)
{
    const struct pg_upstream *u = arg;
    struct buf position = c->position;
    uint64_t wanted = 0;

    if (position.len == 0 || !pgoutput_parse_lsn(buf_cstr(&position), &wanted))
        return ERR_OK;
    return mirror_await(u->opt.node, c, has_come_to, &wanted, deadline_ns, e);
}

const struct upstream_ops pg_upstream_ops = {.name = "postgresql",
                                             .begins_at_once = true,
                                             .away = away,
                                             .write = write_alone,
                                             .begin = begin,
                                             .run = run,
                                             .commit = commit,
                                             .close = close_tx,
                                             .wait = wait_for};
