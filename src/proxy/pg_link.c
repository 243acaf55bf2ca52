#include "proxy/pg_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

#define CONNECT_LIMIT_NS (15 * CLOCK_S)
#define END_NS           (5 * CLOCK_S) /* between a statement's result and its end */

struct pg_link {
    PGconn *conn;
    bool broken;
};

/* ---- waiting ---- */

static enum err_code wait_for(struct pg_link *l, short events, const struct wait *w, struct err *e)
{
    short got;

    return wait_fd(pq.socket(l->conn), events, w, "PostgreSQL", &got, e);
}

/* libpq's messages end with a line feed, and may have several lines. */
static void put_message(struct buf *b, const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
        len--;
    for (size_t i = 0; i < len; i++)
        buf_putc(b, text[i] == '\n' ? ' ' : text[i]);
}

static enum err_code lost(struct pg_link *l, struct err *e)
{
    struct buf b = BUF_INIT;

    l->broken = true;
    put_message(&b, pq.errorMessage(l->conn));
    err_set(e, ERR_IO, "PostgreSQL: %s", b.len ? buf_cstr(&b) : "the connection is lost");
    buf_free(&b);
    return e->code;
}

enum err_code pg_link_wait(struct pg_link *l, const struct wait *w, struct err *e)
{
    enum err_code code = wait_for(l, POLLIN, w, e);

    if (code == ERR_OK && !pq.consumeInput(l->conn))
        return lost(l, e);
    return code;
}

/* ---- life ---- */

enum err_code pg_link_check(const char *dsn, struct err *e)
{
    char *why = NULL;
    struct buf b = BUF_INIT;
    PQconninfoOption *o = pq.conninfoParse(dsn, &why);

    if (o) {
        pq.conninfoFree(o);
        return ERR_OK;
    }
    put_message(&b, why ? why : "out of memory");
    err_set(e, ERR_CONFIG, "%s", buf_cstr(&b));
    buf_free(&b);
    pq.freemem(why);
    return e->code;
}

static void no_notices(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static enum err_code connect_to(struct pg_link *l, const struct wait *w, struct err *e)
{
    struct wait limited = *w;
    int64_t limit = clock_deadline(CONNECT_LIMIT_NS);
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;

    if (limit < limited.deadline_ns)
        limited.deadline_ns = limit;
    if (pq.status(l->conn) == CONNECTION_BAD)
        return lost(l, e);
    while (step != PGRES_POLLING_OK) {
        enum err_code code =
            wait_for(l, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, &limited, e);
        if (code != ERR_OK)
            return code;
        step = pq.connectPoll(l->conn);
        if (step == PGRES_POLLING_FAILED)
            return lost(l, e);
    }
    (void)pq.setNoticeReceiver(l->conn, no_notices, NULL);
    return pq.setnonblocking(l->conn, 1) == 0 ? ERR_OK : lost(l, e);
}

enum err_code pg_link_open(struct pg_link **out, const char *dsn, const char *replication,
                           const struct wait *w, struct err *e)
{
    static const char setup[] = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC';"
                                " SET intervalstyle = 'postgres'; SET bytea_output = 'hex';"
                                " SET extra_float_digits = 3; SET xmloption = 'content'";
    const char *keys[] = {"dbname",
                          "fallback_application_name",
                          "client_encoding",
                          "keepalives_idle",
                          "keepalives_interval",
                          "keepalives_count",
                          replication ? "replication" : NULL,
                          "application_name",
                          NULL};
    const char *values[] = {dsn, "ha", "UTF8", "20", "5", "4", "database", replication, NULL};
    struct pg_link *l = calloc(1, sizeof *l);

    *out = NULL;
    if (!l)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    l->conn = pq.connectStartParams(keys, values, 1);
    enum err_code code = l->conn ? connect_to(l, w, e) : err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code == ERR_OK)
        code = pg_link_run(l, setup, NULL, 0, w, NULL, e);
    if (code != ERR_OK) {
        pg_link_close(l);
        return code;
    }
    *out = l;
    return ERR_OK;
}

void pg_link_close(struct pg_link *l)
{
    if (!l)
        return;
    if (l->conn)
        pq.finish(l->conn);
    free(l);
}

bool pg_link_broken(const struct pg_link *l)
{
    return l->broken;
}

void pg_link_break(struct pg_link *l)
{
    l->broken = true;
}

PGconn *pg_link_handle(struct pg_link *l)
{
    return l->conn;
}

/* ---- errors ---- */

enum err_code pg_link_error(const PGresult *result, struct err *e)
{
    const char *state = pq.resultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = pq.resultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = pq.resultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = pq.resultErrorField(result, PG_DIAG_MESSAGE_HINT);
    struct buf b = BUF_INIT;

    put_message(&b, text ? text : pq.resultErrorMessage(result));
    if (detail) {
        buf_puts(&b, ": ");
        put_message(&b, detail);
    }
    if (hint) {
        buf_puts(&b, " (");
        put_message(&b, hint);
        buf_putc(&b, ')');
    }
    err_set(e, err_of_sqlstate(state ? state : ""), "%s", buf_cstr(&b));
    if (state && strlen(state) < sizeof e->sqlstate)
        memcpy(e->sqlstate, state, strlen(state) + 1);
    buf_free(&b);
    return e->code;
}

/* ---- statements ---- */

static enum err_code flush(struct pg_link *l, const struct wait *w, struct err *e)
{
    int left;

    while ((left = pq.flush(l->conn)) > 0) {
        /* The server may be waiting for us to read. */
        enum err_code code = wait_for(l, POLLOUT | POLLIN, w, e);
        if (code != ERR_OK)
            return code;
        if (!pq.consumeInput(l->conn))
            return lost(l, e);
    }
    return left < 0 ? lost(l, e) : ERR_OK;
}

enum err_code pg_link_result(struct pg_link *l, PGresult **out, const struct wait *w, struct err *e)
{
    *out = NULL;
    while (pq.isBusy(l->conn))
        if (pg_link_wait(l, w, e) != ERR_OK)
            return e->code;
    *out = pq.getResult(l->conn);
    if (*out && pq.resultStatus(*out) == PGRES_FATAL_ERROR &&
        pq.status(l->conn) == CONNECTION_BAD && !pq.resultErrorField(*out, PG_DIAG_SQLSTATE)) {
        pq.clear(*out);
        *out = NULL;
        return lost(l, e);
    }
    return ERR_OK;
}

static enum err_code send(struct pg_link *l, const char *sql, const char *const *values, size_t n,
                          const struct wait *w, struct err *e)
{
    int sent = n == 0 ? pq.sendQuery(l->conn, sql)
                      : pq.sendQueryParams(l->conn, sql, (int)n, NULL, values, NULL, NULL, 0);

    return sent ? flush(l, w, e) : lost(l, e);
}

enum err_code pg_link_run(struct pg_link *l, const char *sql, const char *const *values, size_t n,
                          const struct wait *w, PGresult **out, struct err *e)
{
    PGresult *last = NULL, *r = NULL;
    enum err_code code = send(l, sql, values, n, w, e);

    while (code == ERR_OK) {
        /* With its first result a statement is as good as through: its caller hears of it even if
         * nobody wants to know any more. */
        struct wait end = {.deadline_ns = clock_deadline(END_NS), .wake_fd = -1};
        code = pg_link_result(l, &r, last ? &end : w, e);
        if (last && code != ERR_OK)
            l->broken = true;
        if (code != ERR_OK || !r)
            break;
        if (last)
            pq.clear(last);
        last = r;
        ExecStatusType status = pq.resultStatus(r);
        if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH)
            break;
    }
    if (code == ERR_OK && !last)
        code = err_set(e, ERR_PROTOCOL, "PostgreSQL has answered nothing");
    if (code == ERR_OK && pq.resultStatus(last) == PGRES_FATAL_ERROR) {
        struct err ignored = ERR_INIT;
        code = pg_link_error(last, e);
        while (pg_link_result(l, &r, w, &ignored) == ERR_OK && r)
            pq.clear(r);
    }
    if (code == ERR_OK && out)
        *out = last;
    else if (last)
        pq.clear(last);
    return code;
}

/* ---- COPY ---- */

enum err_code pg_link_copy(struct pg_link *l, const char *sql, const struct wait *w, struct err *e)
{
    PGresult *r = NULL;
    enum err_code code = pg_link_run(l, sql, NULL, 0, w, &r, e);

    if (code != ERR_OK)
        return code;
    ExecStatusType status = pq.resultStatus(r);
    pq.clear(r);
    return status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH
               ? ERR_OK
               : err_set(e, ERR_PROTOCOL, "PostgreSQL does not copy");
}

enum err_code pg_link_ended(struct pg_link *l, const struct wait *w, struct err *e)
{
    struct err second = ERR_INIT;
    PGresult *r = NULL;
    enum err_code code = ERR_OK; /* the first one says why */

    while (pg_link_result(l, &r, w, &second) == ERR_OK && r) {
        if (code == ERR_OK && pq.resultStatus(r) == PGRES_FATAL_ERROR)
            code = pg_link_error(r, e);
        pq.clear(r);
    }
    if (code != ERR_OK || second.code == ERR_OK)
        return code;
    *e = second;
    return e->code;
}

enum err_code pg_link_try_copied(struct pg_link *l, char **bytes, size_t *len, bool *end,
                                 struct err *e)
{
    int n = pq.getCopyData(l->conn, bytes, 1);

    *end = n == -1;
    *len = n > 0 ? (size_t)n : 0;
    if (n <= 0)
        *bytes = NULL;
    return n == -2 ? lost(l, e) : ERR_OK;
}

enum err_code pg_link_copied(struct pg_link *l, char **bytes, size_t *len, const struct wait *w,
                             struct err *e)
{
    bool end = false;

    for (;;) {
        enum err_code code = pg_link_try_copied(l, bytes, len, &end, e);
        if (code != ERR_OK || *bytes)
            return code;
        if (end)
            return pg_link_ended(l, w, e);
        code = pg_link_wait(l, w, e);
        if (code != ERR_OK)
            return code;
    }
}

enum err_code pg_link_put(struct pg_link *l, const void *bytes, size_t len, const struct wait *w,
                          struct err *e)
{
    if (pq.putCopyData(l->conn, bytes, (int)len) <= 0)
        return lost(l, e);
    return flush(l, w, e);
}

/* ---- the rest ---- */

void pg_link_cancel(struct pg_link *l)
{
    char why[256];
    PGcancel *c = pq.getCancel(l->conn);

    if (c) {
        (void)pq.cancel(c, why, sizeof why);
        pq.freeCancel(c);
    }
}

void pg_link_put_literal(struct pg_link *l, struct buf *sql, const char *text)
{
    char *quoted = pq.escapeLiteral(l->conn, text, strlen(text));

    buf_puts(sql, quoted ? quoted : "NULL");
    pq.freemem(quoted);
}

char *pg_link_name(struct pg_link *l, const char *name)
{
    char *quoted = pq.escapeIdentifier(l->conn, name, strlen(name));
    char *copy = quoted ? strdup(quoted) : NULL;

    pq.freemem(quoted);
    return copy;
}
