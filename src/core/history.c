/*
 * HISTORY and UNDO: as statements of a request, and as JSON for paths of their own.
 *
 *   request_history, _history_on, request_undo     request.c
 *   history_columns                                describe.c
 *   node_history, node_undo                        node.h
 */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "core/command.h"
#include "core/past.h"
#include "core/request_impl.h"
#include "repl/undo.h"

static enum err_code find_range(struct replica *r, const struct command *c,
                                enum history_missing missing, struct history_range *out,
                                struct err *e)
{
    return c->by_time ? history_since(r, c->ns, missing, out, e)
                      : history_from(r, &c->at, missing, out, e);
}

/* ---- HISTORY as a statement ---- */

static const struct sink_column columns[] = {
    {"seq", "BIGINT"}, {"sql", "TEXT"},       {"timestamp", "TIMESTAMPTZ"}, {"transaction", "TEXT"},
    {"node", "TEXT"},  {"changes", "BIGINT"}, {"tables", "TEXT"},
};

#define COLUMNS (sizeof columns / sizeof *columns)

void history_columns(struct sink *sink)
{
    sink->ops->columns(sink, columns, COLUMNS);
}

static void put_address(struct buf *b, const struct past_item *item)
{
    buf_u64(b, item->at.seq);
    if (!item->alone)
        buf_printf(b, ".%u", item->at.index);
}

/* A schema statement may end with a comment, which the semicolon is not to be a part of. */
static bool ends_in_comment(const char *sql)
{
    const char *line = strrchr(sql, '\n');

    return strstr(line ? line : sql, "--") != NULL;
}

static void put_statements(struct buf *b, const struct past_item *item)
{
    const char *sql = item->sql, *end = "";

    for (size_t i = 0; i < item->n_sql; i++, sql += strlen(sql) + 1) {
        buf_puts(b, end);
        buf_puts(b, sql);
        end = ends_in_comment(sql) ? "\n;\n" : ";\n";
    }
    if (item->n_hidden > 0)
        buf_printf(b, "%s-- and %llu more", end, (unsigned long long)item->n_hidden);
}

static struct value piece(const struct buf *b, size_t from, size_t to)
{
    return value_text(b->data + from, to - from);
}

static enum sink_verdict put_row(struct sink *sink, const struct past_item *item, struct buf *b)
{
    char time[CLOCK_TEXT_SIZE];

    buf_reset(b);
    put_statements(b, item);
    size_t sql = b->len;
    put_address(b, item);
    size_t address = b->len;
    past_put_tables(b, item);
    size_t tables = b->len;
    if (!buf_ok(b))
        return SINK_STOP;
    clock_format(item->timestamp_ns, time);
    const struct value row[COLUMNS] = {
        value_int((int64_t)item->at.seq),
        piece(b, 0, sql),
        value_text(time, strlen(time)),
        piece(b, sql, address),
        value_text(item->node, strlen(item->node)),
        value_int((int64_t)item->changes),
        piece(b, address, tables),
    };
    return sink->ops->row(sink, row, COLUMNS);
}

enum request_status request_history_on(struct request *r, struct sink *sink, struct err *e)
{
    const struct past_item *item = NULL;
    enum sink_verdict verdict = SINK_MORE;
    struct buf b = BUF_INIT;
    enum err_code code;

    while ((code = past_next(r->past, &item, e)) == ERR_OK && item && verdict == SINK_MORE) {
        r->rows++;
        verdict = put_row(sink, item, &b);
        if (verdict != SINK_MORE)
            break;
    }
    buf_free(&b);
    if (code == ERR_OK && verdict == SINK_FULL)
        return REQUEST_PAUSED;
    if (code == ERR_OK && verdict == SINK_STOP)
        code = request_too_big(e);
    past_close(r->past);
    r->past = NULL;
    if (code != ERR_OK)
        return REQUEST_FAILED;
    struct sink_done d = {.has_rows = true,
                          .rows = r->rows,
                          .last_insert_id = r->s->last_rowid,
                          .elapsed_ns = clock_mono_ns() - r->started_ns};
    sink->ops->done(sink, &d);
    return REQUEST_DONE;
}

/* The statement at r->at, which then stands behind it. */
static enum err_code read_command(struct request *r, const struct lex *lex, struct command *c,
                                  struct err *e)
{
    const struct query *q = &r->queries[r->at.query];
    unsigned n_params = 0;

    r->last = r->at.query;
    r->started_ns = clock_mono_ns();
    if (command_read(c, q->sql + r->at.offset, lex->len, q, &n_params, e) != ERR_OK) {
        if (e->offset >= 0)
            e->offset += (int)r->at.offset;
        return e->code;
    }
    r->at.offset += lex->len;
    return ERR_OK;
}

static struct conn_guard guard_of(const struct request *r)
{
    return (struct conn_guard){r->deadline_ns, &r->s->cancel, r->s->gone, r->s->arg};
}

enum request_status request_history(struct request *r, const struct lex *lex, struct sink *sink,
                                    struct err *e)
{
    struct replica *replica = database_replica(r->s->db);
    const struct conn_guard guard = guard_of(r);
    struct history_range range;
    struct command c;

    if (read_command(r, lex, &c, e) != ERR_OK ||
        find_range(replica, &c, HISTORY_BEGIN_LATER, &range, e) != ERR_OK ||
        past_open(&r->past, replica, &range, &guard, e) != ERR_OK)
        return REQUEST_FAILED;
    r->rows = 0;
    history_columns(sink);
    return request_history_on(r, sink, e);
}

/* ---- UNDO as a statement ---- */

static enum err_code undo(struct replica *r, const struct command *c,
                          const struct conn_guard *guard, int64_t timeout_ns,
                          struct undo_result *out, struct err *e)
{
    static const enum undo_kind kinds[] = {[COMMAND_UNDO] = UNDO_ALL,
                                           [COMMAND_UNDOE] = UNDO_ENTITY,
                                           [COMMAND_UNDOT] = UNDO_TRANSACTION};
    int64_t deadline = guard->deadline_ns;
    struct undo_question q = {.kind = kinds[c->kind], .where = c->where};

    if (deadline == CLOCK_EVER)
        deadline = clock_deadline(timeout_ns);
    if (find_range(r, c, HISTORY_REFUSE, &q.range, e) != ERR_OK)
        return e->code;
    return undo_run(r, &q, guard, deadline, out, e);
}

/* Is it the only statement of the request? */
static bool is_alone(const struct request *r, const struct lex *lex)
{
    struct cursor at = {0, 0};
    struct lex other;

    if (!request_next(r, &at, NULL, &other) || at.query != r->at.query || at.offset != r->at.offset)
        return false;
    at.offset += lex->len;
    return !request_next(r, &at, NULL, &other);
}

enum err_code request_undo(struct request *r, const struct lex *lex, struct sink *sink,
                           struct err *e)
{
    struct session *s = r->s;
    const struct conn_guard guard = guard_of(r);
    struct undo_result result = {0};
    struct command c;

    r->last = r->at.query;
    if (s->phase != TX_NONE || (r->opt.atomic && !is_alone(r, lex)))
        return err_set(e, ERR_TX_ACTIVE,
                       "UNDO is a transaction of its own, and cannot run within another one");
    if (request_may_write(s, e) != ERR_OK)
        return e->code;
    if (request_is_away(r)) {
        bool here = false;
        r->end = (struct cursor){r->at.query, r->at.offset + 1}; /* this one statement */
        enum err_code code = request_write_away(r, &here, sink, e);
        if (!here)
            return code;
    }
    if (read_command(r, lex, &c, e) != ERR_OK ||
        undo(database_replica(s->db), &c, &guard, s->node->opt.replication_timeout_ns, &result,
             e) != ERR_OK)
        return e->code;
    if (result.at.seq > r->seq)
        r->seq = result.at.seq;
    struct sink_done d = {.rows_affected = (int64_t)result.rows,
                          .last_insert_id = s->last_rowid,
                          .elapsed_ns = clock_mono_ns() - r->started_ns};
    sink->ops->done(sink, &d);
    return ERR_OK;
}

/* ---- as JSON ---- */

static void put_item(struct buf *json, const struct past_item *item)
{
    const char *sql = item->sql;
    char time[CLOCK_TEXT_SIZE];

    clock_format(item->timestamp_ns, time);
    buf_puts(json, "{\"seq\":");
    buf_u64(json, item->at.seq);
    buf_puts(json, ",\"transaction\":\"");
    put_address(json, item);
    buf_puts(json, "\",\"timestamp_ns\":");
    buf_i64(json, item->timestamp_ns);
    buf_printf(json, ",\"timestamp\":\"%s\",\"node\":", time);
    json_put_cstr(json, item->node);
    buf_puts(json, ",\"changes\":");
    buf_u64(json, item->changes);
    buf_puts(json, ",\"tables\":");
    past_put_tables(json, item);
    buf_puts(json, ",\"sql\":[");
    for (size_t i = 0; i < item->n_sql; i++, sql += strlen(sql) + 1) {
        buf_puts(json, i > 0 ? "," : "");
        json_put_string(json, sql, strlen(sql));
    }
    buf_puts(json, "],\"hidden\":");
    buf_u64(json, item->n_hidden);
    buf_putc(json, '}');
}

/* Up to `limit` transactions, or as many as there is room for. */
static enum err_code put_items(struct past *p, uint64_t limit, size_t room, struct buf *json,
                               struct err *e)
{
    const struct past_item *item = NULL;
    enum err_code code;

    buf_puts(json, "{\"history\":[");
    for (uint64_t n = 0; (code = past_next(p, &item, e)) == ERR_OK && item; n++) {
        if (n >= limit || (room > 0 && json->len >= room))
            break;
        buf_puts(json, n > 0 ? ",\n" : "\n");
        put_item(json, item);
    }
    buf_puts(json, "]");
    if (code == ERR_OK && item) {
        buf_puts(json, ",\"next\":\"");
        put_address(json, item);
        buf_puts(json, "\"");
    }
    buf_puts(json, "}\n");
    if (code == ERR_OK && !buf_ok(json))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    return code;
}

/* A deadline as for a statement. */
static struct conn_guard guard_for(const struct node *n, bool (*gone)(void *arg), void *arg)
{
    int64_t limit = n->opt.query_timeout_ns;

    return (struct conn_guard){limit > 0 ? clock_deadline(limit) : CLOCK_EVER, &n->interrupt, gone,
                               arg};
}

enum err_code node_history(struct node *n, const char *id, const char *from, uint64_t limit,
                           bool (*gone)(void *arg), void *arg, struct buf *json, struct err *e)
{
    struct database *d = NULL;
    struct past *p = NULL;
    struct history_range range;
    struct command c;
    enum err_code code = node_enter(n, e);

    if (code != ERR_OK)
        return code;
    const struct conn_guard guard = guard_for(n, gone, arg);
    if (from)
        code = command_argument(&c, COMMAND_HISTORY, from, e);
    if (code == ERR_OK)
        code = node_find(n, id, &d, e);
    if (code == ERR_OK && from)
        code = find_range(database_replica(d), &c, HISTORY_BEGIN_LATER, &range, e);
    else if (code == ERR_OK)
        code = history_last(database_replica(d), limit, &range, e);
    if (code == ERR_OK)
        code = past_open(&p, database_replica(d), &range, &guard, e);
    if (code == ERR_OK)
        code = put_items(p, limit, n->opt.max_result_bytes, json, e);
    past_close(p);
    database_unref(d);
    node_leave(n);
    return code;
}

enum err_code node_undo(struct node *n, const char *id, const char *statement, const char *from,
                        bool (*gone)(void *arg), void *arg, uint64_t *seq, struct buf *json,
                        struct err *e)
{
    enum command_kind kind = strcmp(statement, "UNDOE") == 0   ? COMMAND_UNDOE
                             : strcmp(statement, "UNDOT") == 0 ? COMMAND_UNDOT
                                                               : COMMAND_UNDO;
    struct database *d = NULL;
    struct undo_result result = {0};
    struct command c;
    char name[ADDRESS_SIZE];
    enum err_code code = node_enter(n, e);

    if (code != ERR_OK)
        return code;
    const struct conn_guard guard = guard_for(n, gone, arg);
    code = command_argument(&c, kind, from, e);
    if (code == ERR_OK)
        code = node_find(n, id, &d, e);
    if (code == ERR_OK)
        code = undo(database_replica(d), &c, &guard, n->opt.replication_timeout_ns, &result, e);
    database_unref(d);
    node_leave(n);
    if (code != ERR_OK)
        return code;
    *seq = result.at.seq;
    address_print(&result.at, name);
    buf_puts(json, "{\"transaction\":");
    json_put_cstr(json, result.at.seq > 0 ? name : NULL);
    buf_puts(json, ",\"transactions\":");
    buf_u64(json, result.transactions);
    buf_puts(json, ",\"rows\":");
    buf_u64(json, result.rows);
    buf_puts(json, "}\n");
    return ERR_OK;
}
