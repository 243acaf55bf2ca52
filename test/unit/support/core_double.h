/*
 * A stand-in for the core, so that the HTTP server can be tested without SQLite and NATS. To be
 * included by one file of a test program, whose definitions then come before the library's.
 *
 * SQL is a toy language here, statements separated by semicolons:
 *     rows N            N rows (n INTEGER, name TEXT), pausing where the sink is full
 *     rows N fail       the same, then an error
 *     values            one row with every kind of value
 *     echo              one row: the parameters of the query
 *     write             1 row affected, last insert id 3, seq 7
 *     begin, commit, rollback
 *     error CODE        fails with that code
 *     wait              until cancelled, or the client is gone, or the timeout has passed
 *     options           one row: atomic, local, min_seq, timeout_ns
 */
#ifndef HA_TEST_CORE_DOUBLE_H
#define HA_TEST_CORE_DOUBLE_H

#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/node.h"
#include "core/session.h"

/* What tests look at and turn. */
static struct {
    struct node_options options;
    atomic_int open_sessions, open_requests, connections, saw_gone, saw_cancel, waiting;
    atomic_bool not_ready, idle_rollback;
    size_t download_bytes;
    bool download_fails_early, download_fails_late;
    char created[64], dropped[64], removed[64];
} core = {.options = {.name = "node-1", .version = "9.9.9", .token = ""}};

struct session {
    bool (*gone)(void *);
    void *arg;
    char id[64];
    bool in_tx;
    atomic_bool cancelled;
};

struct request {
    struct session *s;
    const struct query *queries;
    size_t n, index;
    const char *at; /* rest of the current query */
    long row;       /* of a paused statement, -1 = none */
    uint64_t seq;
    bool array;
    struct request_options opt;
};

/* ---- node ---- */

const struct node_options *node_options(const struct node *n)
{
    (void)n;
    return &core.options;
}

bool node_leader(struct node *n, char *address, size_t size)
{
    (void)n;
    if (size > 0)
        address[0] = '\0';
    return false;
}

bool node_ready(struct node *n, bool sync, int64_t deadline_ns, struct buf *why)
{
    (void)n;
    (void)deadline_ns;
    if (!core.not_ready)
        return true;
    buf_puts(why, sync ? "a.db is 5 behind" : "a.db is catching up");
    return false;
}

void node_list_databases(struct node *n, struct buf *json)
{
    (void)n;
    buf_puts(json, "{\"databases\":[\"a.db\",\"b c.db\"]}\n");
}

enum err_code node_create_database(struct node *n, const char *dsn, struct err *e)
{
    (void)n;
    if (strcmp(dsn, "a.db") == 0)
        return err_set(e, ERR_DATABASE_EXISTS, "a.db exists");
    snprintf(core.created, sizeof core.created, "%s", dsn);
    return ERR_OK;
}

enum err_code node_drop_database(struct node *n, const char *id, struct err *e)
{
    (void)n;
    if (strcmp(id, "a.db") != 0 && strcmp(id, "b c.db") != 0)
        return err_set(e, ERR_NO_DATABASE, "no database %s", id);
    snprintf(core.dropped, sizeof core.dropped, "%s", id);
    return ERR_OK;
}

enum err_code node_download(struct node *n, const char *id,
                            bool (*write)(void *arg, const void *bytes, size_t len), void *arg,
                            struct err *e)
{
    char page[4096];

    (void)n;
    (void)id;
    if (core.download_fails_early)
        return err_set(e, ERR_STOPPED, "stopped");
    for (size_t left = core.download_bytes; left > 0;) {
        size_t len = left < sizeof page ? left : sizeof page;
        memset(page, 'p', len);
        if (!write(arg, page, len))
            return err_set(e, ERR_INTERRUPTED, "not wanted");
        left -= len;
    }
    return core.download_fails_late ? err_set(e, ERR_IO, "disk") : ERR_OK;
}

enum err_code node_snapshot(struct node *n, const char *id, uint64_t *seq, struct buf *json,
                            struct err *e)
{
    (void)n;
    if (core.download_fails_early)
        return err_set(e, ERR_LOG_UNAVAILABLE, "no NATS");
    *seq = 42;
    buf_printf(json, "{\"database\":\"%s\",\"seq\":42}\n", id ? id : "a.db");
    return ERR_OK;
}

enum err_code node_snapshot_download(struct node *n, const char *id,
                                     void (*begin)(void *arg, uint64_t seq),
                                     bool (*write)(void *arg, const void *bytes, size_t len),
                                     void *arg, struct err *e)
{
    if (core.download_fails_early)
        return err_set(e, ERR_NOT_FOUND, "there is no snapshot");
    begin(arg, 41);
    return node_download(n, id, write, arg, e);
}

enum err_code node_verify(struct node *n, const char *id, const char *expected, struct buf *json,
                          struct err *e)
{
    (void)n;
    (void)e;
    buf_printf(json, "{\"database\":\"%s\",\"expected\":\"%s\",\"equal\":true}\n", id ? id : "a.db",
               expected ? expected : "");
    return ERR_OK;
}

enum err_code node_history(struct node *n, const char *id, const char *from, uint64_t limit,
                           bool (*gone)(void *arg), void *arg, struct buf *json, struct err *e)
{
    (void)n;
    if (gone(arg))
        return err_set(e, ERR_INTERRUPTED, "the client has left");
    if (from && strcmp(from, "1") == 0)
        return err_set(e, ERR_TOO_OLD, "the oldest message is 7");
    buf_printf(json, "{\"history\":[],\"database\":\"%s\",\"from\":\"%s\",\"limit\":%u}\n",
               id ? id : "a.db", from ? from : "", (unsigned)limit);
    return ERR_OK;
}

enum err_code node_undo(struct node *n, const char *id, const char *statement, const char *from,
                        bool (*gone)(void *arg), void *arg, uint64_t *seq, struct buf *json,
                        struct err *e)
{
    (void)n;
    if (gone(arg))
        return err_set(e, ERR_INTERRUPTED, "the client has left");
    if (strcmp(from, "9") == 0)
        return err_set(e, ERR_CHANGED, "row id=5 of table t has changed since");
    *seq = 171;
    buf_printf(json, "{\"database\":\"%s\",\"statement\":\"%s %s\"}\n", id ? id : "a.db", statement,
               from);
    return ERR_OK;
}

enum err_code node_replications(struct node *n, const char *id, const char *name, struct buf *json,
                                struct err *e)
{
    (void)n;
    if (name && strcmp(name, "node 2") != 0)
        return err_set(e, ERR_NOT_FOUND, "no replication %s", name);
    buf_printf(json, "{\"replications\":[{\"name\":\"node 2\",\"database\":\"%s\"}]}\n",
               id ? id : "a.db");
    return ERR_OK;
}

enum err_code node_remove_replication(struct node *n, const char *id, const char *name,
                                      struct err *e)
{
    (void)n;
    (void)id;
    (void)e;
    snprintf(core.removed, sizeof core.removed, "%s", name);
    return ERR_OK;
}

void node_status(struct node *n, struct buf *json)
{
    (void)n;
    buf_puts(json, "{\"node\":\"node-1\"}\n");
}

void node_metrics(struct node *n, struct buf *text)
{
    (void)n;
    buf_puts(text, "ha_up 1\n");
}

void node_connection_opened(struct node *n, const char *protocol)
{
    (void)n;
    (void)protocol;
    atomic_fetch_add(&core.connections, 1);
}

void node_connection_closed(struct node *n, const char *protocol)
{
    (void)n;
    (void)protocol;
    atomic_fetch_sub(&core.connections, 1);
}

/* ---- session ---- */

enum err_code session_open(struct session **out, struct node *n, const char *protocol,
                           bool (*gone)(void *arg), void *arg, struct err *e)
{
    struct session *s = calloc(1, sizeof *s);

    (void)n;
    (void)protocol;
    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "no memory");
    s->gone = gone;
    s->arg = arg;
    atomic_fetch_add(&core.open_sessions, 1);
    *out = s;
    return ERR_OK;
}

void session_close(struct session *s)
{
    if (!s)
        return;
    atomic_fetch_sub(&core.open_sessions, 1);
    free(s);
}

enum err_code session_use(struct session *s, const char *id, struct err *e)
{
    if (!id)
        id = "a.db";
    if (strcmp(id, "a.db") != 0 && strcmp(id, "b c.db") != 0)
        return err_set(e, ERR_NO_DATABASE, "there is no database %s", id);
    snprintf(s->id, sizeof s->id, "%s", id);
    return ERR_OK;
}

const char *session_database(const struct session *s)
{
    return s->id[0] ? s->id : NULL; /* none before the first use */
}

enum session_state session_state(const struct session *s)
{
    return s->in_tx ? SESSION_IN_TX : SESSION_IDLE;
}

void session_cancel(struct session *s)
{
    atomic_store(&s->cancelled, true);
}

/* ---- request ---- */

enum err_code request_new(struct request **out, struct session *s, const struct query *queries,
                          size_t n, const struct request_options *opt, struct err *e)
{
    struct request *r = calloc(1, sizeof *r);

    *out = r;
    if (!r)
        return err_set(e, ERR_NO_MEMORY, "no memory");
    *r = (struct request){
        .s = s, .queries = queries, .n = n, .at = queries[0].sql, .row = -1, .opt = *opt};
    atomic_fetch_add(&core.open_requests, 1);
    return ERR_OK;
}

static const struct sink_column double_columns[] = {{"n", "INTEGER"}, {"name", "TEXT"}};

static void double_done(struct sink *sink, bool rows, int64_t affected)
{
    struct sink_done d = {.has_rows = rows,
                          .rows_affected = affected,
                          .elapsed_ns = 1500000,
                          .last_insert_id = affected ? 3 : 0};
    sink->ops->done(sink, &d);
}

static enum request_status double_rows(struct request *r, struct sink *sink, const char *rest,
                                       struct err *e)
{
    char *end;
    long n = strtol(rest, &end, 10);

    if (r->row < 0) {
        sink->ops->columns(sink, double_columns, 2);
        r->row = 0;
    }
    while (r->row < n) {
        char name[32];
        int len = snprintf(name, sizeof name, "name %ld", r->row);
        struct value v[] = {value_int(r->row), value_text(name, (size_t)len)};
        r->row++;
        if (sink->ops->row(sink, v, 2) == SINK_FULL)
            return REQUEST_PAUSED;
    }
    if (strncmp(end, " fail", 5) == 0) {
        err_set(e, ERR_CORRUPT, "page 7");
        return REQUEST_FAILED;
    }
    r->row = -1;
    double_done(sink, true, 0);
    return REQUEST_DONE;
}

static enum request_status double_wait(struct request *r, struct err *e)
{
    int64_t deadline = r->opt.timeout_ns ? clock_deadline(r->opt.timeout_ns) : CLOCK_EVER;

    atomic_fetch_add(&core.waiting, 1);
    for (;;) {
        if (atomic_load(&r->s->cancelled)) {
            atomic_fetch_add(&core.saw_cancel, 1);
            err_set(e, ERR_INTERRUPTED, "canceled");
            return REQUEST_FAILED;
        }
        if (r->s->gone && r->s->gone(r->s->arg)) {
            atomic_fetch_add(&core.saw_gone, 1);
            err_set(e, ERR_INTERRUPTED, "the client has left");
            return REQUEST_FAILED;
        }
        if (clock_mono_ns() > deadline) {
            err_set(e, ERR_TIMEOUT, "too long");
            return REQUEST_FAILED;
        }
        (void)poll(NULL, 0, 1);
    }
}

static void double_row(struct sink *sink, const struct value *v, unsigned n)
{
    struct sink_column cols[16];
    static const char *const names[] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"};

    for (unsigned i = 0; i < n; i++)
        cols[i] = (struct sink_column){names[i], NULL};
    sink->ops->columns(sink, cols, n);
    sink->ops->row(sink, v, n);
    double_done(sink, true, 0);
}

static enum request_status double_echo(struct request *r, struct sink *sink)
{
    const struct query *q = &r->queries[r->index];
    struct value v[10];
    struct sink_column cols[10];
    unsigned n = q->n_params < 10 ? q->n_params : 10;

    for (unsigned i = 0; i < n; i++) {
        cols[i] = (struct sink_column){q->params[i].name ? q->params[i].name : "?", NULL};
        v[i] = q->params[i].value;
    }
    sink->ops->columns(sink, cols, n);
    sink->ops->row(sink, v, n);
    double_done(sink, true, 0);
    return REQUEST_DONE;
}

static enum request_status double_values(struct sink *sink)
{
    static const char blob[] = {0, 1, (char)0xFF};
    struct value v[] = {value_null(),          value_int(INT64_MIN),
                        value_real(1.0),       value_real(0.1),
                        value_real(-INFINITY), value_text("a\"\n\xC3\xA9", 5),
                        value_text("a\0b", 3), value_text("\xFF", 1),
                        value_blob(blob, 3),   value_blob(NULL, 0)};
    double_row(sink, v, 10);
    return REQUEST_DONE;
}

static enum request_status double_error(const char *name, struct err *e)
{
    for (int c = 1; c < ERR_COUNT; c++) {
        if (strncmp(name, err_name((enum err_code)c), strlen(err_name((enum err_code)c))) != 0)
            continue;
        err_set(e, (enum err_code)c, "as \"asked\"");
        e->sqlite_code = c == ERR_UNIQUE ? 2067 : 0;
        e->offset = c == ERR_NO_TABLE ? 14 : -1;
        return REQUEST_FAILED;
    }
    err_set(e, ERR_SYNTAX, "near %s", name);
    return REQUEST_FAILED;
}

static enum request_status double_statement(struct request *r, const char *sql, struct sink *sink,
                                            struct err *e)
{
    if (r->s->in_tx && core.idle_rollback) {
        r->s->in_tx = false;
        err_set(e, ERR_TX_IDLE, "idle for too long");
        return REQUEST_FAILED;
    }
    if (strncmp(sql, "rows ", 5) == 0)
        return double_rows(r, sink, sql + 5, e);
    if (strncmp(sql, "values", 6) == 0)
        return double_values(sink);
    if (strncmp(sql, "echo", 4) == 0)
        return double_echo(r, sink);
    if (strncmp(sql, "error ", 6) == 0)
        return double_error(sql + 6, e);
    if (strncmp(sql, "wait", 4) == 0)
        return double_wait(r, e);
    if (strncmp(sql, "options", 7) == 0) {
        struct value v[] = {value_int(r->opt.atomic), value_int(r->opt.local),
                            value_int((int64_t)r->opt.min_seq), value_int(r->opt.timeout_ns)};
        double_row(sink, v, 4);
        return REQUEST_DONE;
    }
    if (strncmp(sql, "write", 5) == 0) {
        if (!r->s->in_tx)
            r->seq = 7;
        double_done(sink, false, 1);
        return REQUEST_DONE;
    }
    if (strncasecmp(sql, "begin", 5) == 0)
        r->s->in_tx = true;
    else if (strncasecmp(sql, "commit", 6) == 0)
        r->s->in_tx = false, r->seq = 8;
    else if (strncasecmp(sql, "rollback", 8) == 0)
        r->s->in_tx = false;
    else
        return double_error(sql, e);
    double_done(sink, false, 0);
    return REQUEST_DONE;
}

enum request_status request_run(struct request *r, struct sink *sink, struct err *e)
{
    for (; r->index < r->n; r->index++, r->at = r->index < r->n ? r->queries[r->index].sql : NULL) {
        while (*(r->at += strspn(r->at, "; \n")) != '\0') {
            enum request_status status = double_statement(r, r->at, sink, e);
            if (status != REQUEST_DONE)
                return status;
            r->at += strcspn(r->at, ";");
        }
    }
    r->index--;
    return REQUEST_DONE;
}

uint64_t request_seq(const struct request *r)
{
    return r->seq;
}
uint64_t request_position(const struct request *r)
{
    (void)r;
    return 41;
}
size_t request_index(const struct request *r)
{
    return r->index;
}
void request_free(struct request *r)
{
    if (r)
        atomic_fetch_sub(&core.open_requests, 1);
    free(r);
}

#endif
