/*
 *   the pool             take(), give()
 *   canceling            struct call, check_call()
 *   statements           make_text(), run_one(), run_query()
 *   the operations       write_alone(), begin(), run(), commit(), close_tx(), wait_for()
 *
 * A connection that is lost before anything was sent means that nothing has happened
 * (ERR_LOG_UNAVAILABLE: try again); lost while a COMMIT, or a statement that commits by itself, was
 * under way, nobody can tell (ERR_UNKNOWN_OUTCOME).
 */
#include "proxy/my_upstream.h"

#include <inttypes.h>
#include <mysqld_error.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "proto/pgtype.h"
#include "proxy/foreign_text.h"
#include "proxy/mirror.h"
#include "proxy/my_link.h"
#include "proxy/my_position.h"
#include "proxy/my_result.h"
#include "sql/lex.h"
#include "sql/mysql/dialect.h"
#include "sql/mysql/lex.h"

#define IDLE_MAX   16            /* connections kept */
#define CANCEL_NS  (5 * CLOCK_S) /* that a canceled statement has to end */
#define KILL_NS    (2 * CLOCK_S) /* to tell the server so */
#define CONNECT_NS (10 * CLOCK_S)

/* A connection, and how it reads texts. */
struct session_link {
    struct my_link *link;
    bool as_sqlite; /* names in double quotes, || between texts, no escapes */
};

struct my_upstream {
    struct my_upstream_options opt;
    struct my_dsn dsn;
    pthread_mutex_t mu;
    struct session_link idle[IDLE_MAX]; /* guarded by mu */
    size_t n_idle;
};

struct transaction {
    struct my_upstream *u;
    struct session_link l; /* link NULL: it is over */
};

/* ---- life ---- */

enum err_code my_upstream_new(struct my_upstream **out, const struct my_upstream_options *o,
                              struct err *e)
{
    struct my_upstream *u = calloc(1, sizeof *u);

    *out = u;
    if (!u)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    u->opt = *o;
    pthread_mutex_init(&u->mu, NULL);
    return my_load(e) == ERR_OK ? my_dsn_read(&u->dsn, o->dsn, e) : e->code;
}

void my_upstream_free(struct my_upstream *u)
{
    if (!u)
        return;
    while (u->n_idle > 0)
        my_link_close(u->idle[--u->n_idle].link);
    my_dsn_free(&u->dsn);
    pthread_mutex_destroy(&u->mu);
    free(u);
}

/* ---- canceling ---- */

/* What ends the waits of one call. A statement that has to end is killed, and then heard out: it
 * may have been faster. */
struct call {
    struct my_upstream *u;
    struct upstream_call *c;
    struct my_link *running; /* NULL = nothing that could be killed */
    bool killed;
    int64_t until_ns; /* that it has to end, once it is */
    struct err why;
};

static void kill_statement(struct call *k)
{
    struct wait w = {.deadline_ns = clock_deadline(KILL_NS), .wake_fd = -1};
    struct err ignored = ERR_INIT;
    struct my_link *l = NULL;
    struct buf sql = BUF_INIT;

    buf_printf(&sql, "KILL QUERY %lu", my.thread_id(my_link_handle(k->running)));
    if (my_link_open(&l, &k->u->dsn, &(struct my_link_options){.flags = 0}, &w, &ignored) == ERR_OK)
        (void)my_link_run(l, buf_cstr(&sql), NULL, &w, &ignored);
    my_link_close(l);
    buf_free(&sql);
}

static enum err_code check_call(void *arg, struct err *e)
{
    struct call *k = arg;

    if (!k->killed) {
        if (upstream_check(k->c, &k->why) == ERR_OK)
            return ERR_OK;
        k->killed = true;
        if (k->running)
            kill_statement(k);
        k->until_ns = clock_deadline(k->running ? CANCEL_NS : 0);
    }
    if (clock_mono_ns() < k->until_ns)
        return ERR_OK;
    *e = k->why;
    return e->code;
}

static struct wait wait_of(struct call *k)
{
    return (struct wait){.deadline_ns = CLOCK_EVER, .wake_fd = -1, .check = check_call, .arg = k};
}

/* ---- the pool ---- */

/* What an idle connection has to say is its end. */
static bool is_alive(struct my_link *l)
{
    struct pollfd p = {.fd = (int)my.get_socket(my_link_handle(l)), .events = POLLIN};

    return poll(&p, 1, 0) == 0;
}

static enum err_code take(struct call *k, struct session_link *out, struct err *e)
{
    struct my_upstream *u = k->u;
    struct wait w = wait_of(k);

    for (;;) {
        pthread_mutex_lock(&u->mu);
        *out = u->n_idle > 0 ? u->idle[--u->n_idle] : (struct session_link){NULL, false};
        pthread_mutex_unlock(&u->mu);
        if (!out->link)
            break;
        if (is_alive(out->link))
            return ERR_OK;
        my_link_close(out->link);
    }
    w.deadline_ns = clock_deadline(CONNECT_NS);
    /* As everywhere here, a row that is found counts, whether it had the value already or not. */
    enum err_code code = my_link_open(&out->link, &u->dsn,
                                      &(struct my_link_options){.flags = CLIENT_FOUND_ROWS}, &w, e);
    if (code == ERR_OK || code == ERR_INTERRUPTED || code == ERR_AUTH || code == ERR_TOO_MANY)
        return code;
    e->code = ERR_LOG_UNAVAILABLE;
    e->sqlstate[0] = '\0';
    e->number = 0;
    return err_wrap(e, "the source cannot be reached");
}

static void give(struct my_upstream *u, struct session_link l)
{
    if (l.link && !my_link_broken(l.link)) {
        pthread_mutex_lock(&u->mu);
        if (u->n_idle < IDLE_MAX) {
            u->idle[u->n_idle++] = l;
            l.link = NULL;
        }
        pthread_mutex_unlock(&u->mu);
    }
    my_link_close(l.link);
}

/* ---- texts ---- */

static bool is_own(const struct query *q)
{
    return q->written && strcmp(q->written_in, "mysql") == 0;
}

static void put_literal(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_puts(b, "NULL");
        break;
    case VALUE_INTEGER:
        buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        pgtype_format_double(b, v->u.r, true);
        break;
    case VALUE_TEXT:
        my_put_text(b, v->u.s.data, v->u.s.len);
        break;
    case VALUE_BLOB:
        buf_puts(b, "_binary X'");
        hex_put(b, v->u.s.data, v->u.s.len);
        buf_putc(b, '\'');
        break;
    }
}

/* Puts the values where a ? stands. */
static enum err_code put_values(const char *sql, size_t len, bool own,
                                const struct value *const *values, size_t n, struct buf *out,
                                struct err *e)
{
    struct mysql_lexer x;
    struct mysql_token t;
    const char *at = sql;
    size_t i = 0;

    mysql_lex_init(&x, sql, len);
    x.ansi_quotes = x.no_backslash = !own;
    while (mysql_lex_next(&x, &t)) {
        if (t.type != MYSQL_TOKEN_PARAM)
            continue;
        if (i == n)
            return err_set(e, ERR_PARAM, "no value is given for parameter %zu", i + 1);
        buf_put(out, at, (size_t)(t.text - at));
        put_literal(out, values[i++]);
        at = t.text + t.len;
    }
    buf_put(out, at, (size_t)(sql + len - at));
    return buf_ok(out) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

static enum err_code make_text(const struct query *q, const char *sql, size_t len, struct buf *out,
                               struct err *e)
{
    struct foreign_params params = {0};
    struct buf text = BUF_INIT;
    enum err_code code = ERR_OK;

    if (is_own(q)) {
        for (unsigned i = 0; i < q->n_params && code == ERR_OK; i++)
            code = foreign_params_add(&params, &q->params[i].value, e);
        if (code == ERR_OK)
            code = put_values(q->written, q->written_len, true, params.all, params.n, out, e);
    } else {
        code = foreign_text(q, sql, len, false, &text, &params, e);
        if (code == ERR_OK)
            code = put_values(text.data, text.len, false, params.all, params.n, out, e);
    }
    foreign_params_free(&params);
    buf_free(&text);
    return code;
}

/* ---- statements ---- */

static enum err_code set_mode(struct call *k, struct session_link *l, bool as_sqlite, struct err *e)
{
    struct wait w = wait_of(k);

    if (l->as_sqlite == as_sqlite)
        return ERR_OK;
    enum err_code code = my_link_run(
        l->link,
        as_sqlite
            ? "SET SESSION sql_mode ="
              " CONCAT(@@global.sql_mode, ',ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES')"
            : "SET SESSION sql_mode = @@global.sql_mode",
        NULL, &w, e);
    if (code == ERR_OK)
        l->as_sqlite = as_sqlite;
    return code;
}

/* One statement; its results go into `sink`. */
static enum err_code run_text(struct call *k, struct session_link *l, const char *sql, size_t len,
                              struct sink *sink, struct err *e)
{
    struct wait w = wait_of(k);
    int64_t since = clock_mono_ns();
    bool more = true;

    k->running = l->link;
    enum err_code code = my_link_send(l->link, sql, len, &w, e);
    if (code == ERR_OK)
        code = my_result_put(l->link, since, &k->c->last_rowid, sink, &w, e);
    /* A procedure has a result more, which says how it ended. */
    while ((code == ERR_OK || code == ERR_TOO_BIG) && more) {
        struct err next = ERR_INIT;
        struct sink *nowhere = &sink_nowhere;
        if (my_link_next(l->link, &more, &w, &next) != ERR_OK ||
            (more &&
             my_result_put(l->link, since, &k->c->last_rowid, nowhere, &w, &next) != ERR_OK)) {
            *e = next;
            code = next.code;
        }
    }
    k->running = NULL;
    if (code == ERR_INTERRUPTED && k->killed) {
        *e = k->why;
        code = e->code;
    }
    return code;
}

static enum err_code run_one(struct call *k, struct session_link *l, const struct query *q,
                             const char *sql, size_t len, struct sink *sink, struct err *e)
{
    struct buf text = BUF_INIT;
    enum err_code code = make_text(q, sql, len, &text, e);

    if (code == ERR_OK)
        code = set_mode(k, l, !is_own(q), e);
    if (code == ERR_OK)
        code = run_text(k, l, text.data, text.len, sink, e);
    buf_free(&text);
    return code;
}

/* RELEASE "a" is RELEASE SAVEPOINT "a" for MySQL. */
static enum err_code run_release(struct call *k, struct session_link *l, const char *sql,
                                 size_t len, struct sink *sink, struct err *e)
{
    struct mysql_lexer x;
    struct mysql_token t, last = {.text = sql, .len = 0};
    struct buf text = BUF_INIT;

    mysql_lex_init(&x, sql, len);
    x.ansi_quotes = true;
    while (mysql_lex_next(&x, &t))
        if (t.type != MYSQL_TOKEN_SEMI)
            last = t;
    buf_puts(&text, "RELEASE SAVEPOINT ");
    buf_put(&text, last.text, last.len);
    enum err_code code = set_mode(k, l, true, e);
    if (code == ERR_OK)
        code = run_text(k, l, text.data, text.len, sink, e);
    buf_free(&text);
    return code;
}

/* The statements of a query one after the other. */
static enum err_code run_query(struct call *k, struct session_link *l, const struct query *q,
                               struct sink *sink, struct err *e)
{
    const char *at = q->sql, *end = q->sql + q->len;
    enum err_code code = ERR_OK;

    if (is_own(q))
        return run_one(k, l, q, q->sql, q->len, sink, e);
    while (code == ERR_OK && at < end) {
        size_t len = lex_length(at, (size_t)(end - at));
        enum lex_kind kind = lex_statement(at, len).kind;
        if (kind == LEX_RELEASE)
            code = run_release(k, l, at, len, sink, e);
        else if (kind != LEX_EMPTY)
            code = run_one(k, l, q, at, len, sink, e);
        at += len;
    }
    return code;
}

static enum err_code run_all(struct call *k, struct session_link *l, struct recorder *results,
                             struct err *e)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < k->c->n && code == ERR_OK; i++) {
        k->c->failed = i;
        code = run_query(k, l, &k->c->queries[i], &results->sink, e);
    }
    e->offset = -1;
    return code;
}

static enum err_code command(struct call *k, struct session_link *l, const char *sql, struct err *e)
{
    struct wait w = wait_of(k);

    return my_link_run(l->link, sql, NULL, &w, e);
}

/* What a lost connection means for a statement that commits. */
static enum err_code unknown(const struct session_link *l, struct err *e)
{
    if (!my_link_broken(l->link) || e->number)
        return e->code;
    e->code = ERR_UNKNOWN_OUTCOME;
    return err_wrap(e, "whether the source has committed is not known");
}

/* The place in the log behind what was committed; none without --proxy-read-your-writes. */
static void note_position(struct call *k, struct session_link *l)
{
    struct wait w = wait_of(k);
    struct err ignored = ERR_INIT;
    struct my_position at = {.pos = 0};
    struct buf text = BUF_INIT;
    bool known;

    if (!k->u->opt.read_your_writes)
        return;
    if (my_link_is_mariadb(l->link)) {
        known = my_link_ask(l->link, "SELECT @@last_gtid", 0, &text, &w, &ignored) == ERR_OK &&
                text.len > 0 && my_position_set_gtids(&at, text.data, text.len) &&
                my_position_set_file(&at, "gtid", 4);
    } else {
        MYSQL_RES *result = NULL;
        if (my_link_run(l->link, "SHOW MASTER STATUS", &result, &w, &ignored) != ERR_OK)
            (void)my_link_run(l->link, "SHOW BINARY LOG STATUS", &result, &w, &ignored);
        MYSQL_ROW row = my_link_first(result);
        known = row && row[0] && row[1] && my_position_set_file(&at, row[0], strlen(row[0]));
        if (known)
            at.pos = strtoull(row[1], NULL, 10);
        if (result)
            my.free_result(result);
    }
    if (known)
        my_position_put(&k->c->position, &at);
    buf_free(&text);
}

/* ---- the operations ---- */

static bool away(void *arg, const char *database)
{
    const struct my_upstream *u = arg;

    return strcmp(u->opt.database, database) == 0;
}

/* MySQL commits with it, whatever was meant. */
static bool is_schema_statement(const char *sql, size_t len)
{
    static const struct mysql_context none = {.schema = ""};

    return mysql_command(&none, sql, len) == MYSQL_COMMAND_DDL;
}

/* How many statements there are, and whether one is of the schema. */
static size_t count(const struct upstream_call *c, bool *schema)
{
    size_t n = 0;

    *schema = false;
    for (size_t i = 0; i < c->n; i++) {
        const struct query *q = &c->queries[i];
        if (is_own(q)) {
            n++;
            *schema = *schema || is_schema_statement(q->written, q->written_len);
            continue;
        }
        for (size_t at = 0; at < q->len;) {
            size_t len = lex_length(q->sql + at, q->len - at);
            n += lex_statement(q->sql + at, len).kind != LEX_EMPTY;
            *schema = *schema || is_schema_statement(q->sql + at, len);
            at += len;
        }
    }
    return n;
}

static enum err_code refuse_schema(struct err *e)
{
    return err_set(e, ERR_UNSUPPORTED,
                   "a schema statement among others of a transaction: the source is a MySQL, which "
                   "commits with it");
}

static enum err_code write_alone(void *arg, struct upstream_call *c, struct recorder *results,
                                 struct err *e)
{
    struct call k = {.u = arg, .c = c};
    struct session_link l = {NULL, false};
    struct err ignored = ERR_INIT;
    bool schema;
    bool several = count(c, &schema) > 1;

    if (several && schema)
        return refuse_schema(e);
    enum err_code code = take(&k, &l, e);
    if (code == ERR_OK && several)
        code = command(&k, &l, "START TRANSACTION", e);
    if (code != ERR_OK) {
        give(k.u, l);
        return code;
    }
    code = run_all(&k, &l, results, e);
    if (code == ERR_OK && several) {
        code = command(&k, &l, "COMMIT", e);
        code = code == ERR_OK ? ERR_OK : unknown(&l, e);
    } else if (code != ERR_OK && !several) {
        code = unknown(&l, e); /* what commits by itself may be committed */
    } else if (code != ERR_OK && !my_link_broken(l.link)) {
        struct wait w = {.deadline_ns = clock_deadline(CANCEL_NS), .wake_fd = -1};
        if (my_link_run(l.link, "ROLLBACK", NULL, &w, &ignored) != ERR_OK)
            my_link_break(l.link);
    }
    if (code == ERR_OK)
        note_position(&k, &l);
    give(k.u, l);
    return code;
}

static enum err_code begin(void *arg, struct upstream_call *c, uint64_t base, void **tx,
                           struct err *e)
{
    struct call k = {.u = arg, .c = c};
    struct transaction *t = calloc(1, sizeof *t);

    (void)base; /* it begins at once */
    *tx = NULL;
    if (!t)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    t->u = arg;
    enum err_code code = take(&k, &t->l, e);
    if (code == ERR_OK)
        code = command(&k, &t->l, "START TRANSACTION", e);
    if (code != ERR_OK) {
        give(t->u, t->l);
        free(t);
        return code;
    }
    *tx = t;
    return ERR_OK;
}

static void end(struct transaction *t)
{
    give(t->u, t->l);
    t->l.link = NULL;
}

static enum err_code run(void *tx, struct upstream_call *c, struct recorder *results, struct err *e)
{
    struct transaction *t = tx;
    struct call k = {.u = t->u, .c = c};
    bool schema;

    c->ended = !t->l.link;
    if (c->ended)
        return err_set(e, ERR_TX_NONE, "the transaction has ended");
    (void)count(c, &schema);
    if (schema)
        return refuse_schema(e);
    enum err_code code = run_all(&k, &t->l, results, e);
    if (code == ERR_OK)
        return ERR_OK;
    /* An error takes back its statement; a deadlock, and a lost connection, the transaction. */
    if (my_link_broken(t->l.link)) {
        e->code = ERR_LOG_UNAVAILABLE;
        code = err_wrap(e, "the transaction is rolled back, its connection to the source is lost");
    } else if (code != ERR_CONFLICT) {
        return code;
    }
    c->ended = true;
    end(t);
    return code;
}

static enum err_code commit(void *tx, struct upstream_call *c, struct err *e)
{
    struct transaction *t = tx;
    struct call k = {.u = t->u, .c = c};

    c->ended = true;
    if (!t->l.link)
        return err_set(e, ERR_TX_NONE, "the transaction has ended");
    enum err_code code = command(&k, &t->l, "COMMIT", e);
    if (code != ERR_OK) {
        code = unknown(&t->l, e);
        my_link_break(t->l.link); /* whatever is open ends with it */
    } else {
        note_position(&k, &t->l);
    }
    end(t);
    return code;
}

static void close_tx(void *tx)
{
    struct transaction *t = tx;
    struct err ignored = ERR_INIT;

    if (t->l.link) {
        struct wait w = {.deadline_ns = clock_deadline(CANCEL_NS), .wake_fd = -1};
        if (my_link_run(t->l.link, "ROLLBACK", NULL, &w, &ignored) != ERR_OK)
            my_link_break(t->l.link);
        end(t);
    }
    free(t);
}

static bool has_come_to(const void *wanted, const char *position, size_t len)
{
    struct my_position at;

    return my_position_read(&at, position, len) && my_position_reached(&at, wanted);
}

/* The tracker moves when the write comes back through the log. */
static enum err_code wait_for(void *arg, const struct upstream_call *c, int64_t deadline_ns,
                              struct err *e)
{
    const struct my_upstream *u = arg;
    struct my_position wanted;

    if (c->position.len == 0 || !my_position_read(&wanted, c->position.data, c->position.len))
        return ERR_OK;
    return mirror_await(u->opt.node, c, has_come_to, &wanted, deadline_ns, e);
}

const struct upstream_ops my_upstream_ops = {.name = "mysql",
                                             .begins_at_once = true,
                                             .away = away,
                                             .write = write_alone,
                                             .begin = begin,
                                             .run = run,
                                             .commit = commit,
                                             .close = close_tx,
                                             .wait = wait_for};
