/*
 * undo_run: reads the log (gather), then goes through the write group, which calls take_back() with
 * the write connection: that reads what the log has got meanwhile, and turns all of it round.
 *
 *   gather ── each message ── each change ── select_change ──> inverse_list
 *   take_back ── the rest of the log ── list, from its end ──> revert_row
 *
 * take_back() may run several times, each time on the file's newest state; what was gathered stays.
 * With asynchronous replication what the file has and the log has not comes last.
 */
#include "repl/undo.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "proto/inverse.h"
#include "repl/impl.h"
#include "repl/undo_rows.h"
#include "repl/undo_tables.h"
#include "sql/revert.h"

struct undo {
    struct replica *r;
    enum undo_kind kind;
    struct history_range range;
    struct undo_where where;
    struct conn_guard guard;
    struct history *log;
    struct inverse_list *list;
    struct table_marks marks;
    struct row_set rows; /* that count; not UNDO_ALL */
    struct conn *reader; /* to ask what a table is; not UNDO_ALL */
    uint64_t taken;      /* transactions in the list */
    uint64_t reverted;   /* rows, by the last run */
    bool broken;         /* what was gathered is not whole */
    bool begun;          /* a transaction was read */

    /* the transaction that is being read */
    const struct history_message *message;
    bool in_tx;
    struct address tx;
    uint64_t begin; /* of the list */
    bool first;     /* it is the one that the others are compared with */
    bool touches;   /* a row of the set */
    bool shadow;    /* tables behind a virtual table */
    /* the table of the last change, and whether it is one of those */
    char *table;
    bool table_shadow;
    bool table_listed;

    /* that have changes in the list, or had; not UNDO_ALL */
    char **tables; /* owned, with the names */
    size_t n_tables, cap_tables;
};

static void undo_free(struct undo *u)
{
    history_close(u->log);
    inverse_list_free(u->list);
    table_marks_fini(&u->marks);
    row_set_fini(&u->rows);
    conn_close(u->reader);
    free(u->table);
    while (u->n_tables > 0)
        free(u->tables[--u->n_tables]);
    free(u->tables);
    free(u);
}

static enum err_code undo_new(struct undo **out, struct replica *r, const struct undo_question *q,
                              const struct conn_guard *guard, struct err *e)
{
    struct undo *u = calloc(1, sizeof *u);
    enum err_code code;

    *out = u;
    if (!u)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    u->r = r;
    u->kind = q->kind;
    u->range = q->range;
    u->where = q->where;
    u->guard = *guard;
    u->list = inverse_list_new(r->opt.spool_dir, SPOOL_MEMORY);
    if (!u->list)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    code = history_open(&u->log, r, q->range.from, q->range.to, HISTORY_REFUSE, guard, e);
    if (code == ERR_OK && q->kind != UNDO_ALL)
        code = conn_open(&u->reader, &r->opt.conn, CONN_READER, e);
    return code;
}

/* ---- gathering ---- */

/* SQLite's own tables are nobody's rows. */
static bool is_sqlites(const char *table)
{
    return strncmp(table, "sqlite_", 7) == 0;
}

static enum err_code look_at_table(struct undo *u, const char *table, struct err *e)
{
    enum err_code code = ERR_OK;

    if (u->table && strcmp(u->table, table) == 0)
        return ERR_OK;
    free(u->table);
    u->table = strdup(table);
    if (!u->table)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    u->table_shadow = u->table_listed = false;
    if (u->reader)
        code = revert_is_shadow(u->reader, table, &u->table_shadow, e);
    return code;
}

/* The table of the last change. */
static enum err_code list_table(struct undo *u, struct err *e)
{
    if (u->kind == UNDO_ALL || u->table_listed)
        return ERR_OK;
    u->table_listed = true;
    for (size_t i = 0; i < u->n_tables; i++)
        if (strcmp(u->tables[i], u->table) == 0)
            return ERR_OK;
    char **room = array_room(u->tables, u->n_tables, &u->cap_tables, sizeof *room);
    if (!room)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    u->tables = room;
    room[u->n_tables] = strdup(u->table);
    if (!room[u->n_tables])
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    u->n_tables++;
    return ERR_OK;
}

static bool has_rowid(const struct undo_where *w, bool known, int64_t rowid)
{
    for (size_t i = 0; known && i < w->n; i++)
        if (w->rowids[i] == rowid)
            return true;
    return false;
}

/* Is it one that the others are compared with? */
static bool is_named(const struct undo *u, const struct change *c)
{
    const struct undo_where *w = &u->where;

    if (w->n == 0)
        return u->first;
    return strcasecmp(w->table, c->table) == 0 && (has_rowid(w, c->has_old_rowid, c->old_rowid) ||
                                                   has_rowid(w, c->has_new_rowid, c->new_rowid));
}

/* One whose rows count, and that it concerns. A row that gets another key is the same row. */
static enum err_code select_change(struct undo *u, const struct change *c, struct err *e)
{
    enum err_code code = look_at_table(u, c->table, e);
    bool touches = u->kind == UNDO_ALL;

    if (code != ERR_OK)
        return code;
    u->shadow = u->shadow || u->table_shadow;
    if (u->kind != UNDO_ALL && !u->table_shadow) {
        touches = is_named(u, c) || row_set_touches(&u->rows, c);
        if (touches)
            code = row_set_add(&u->rows, c, UNDO_MAX_ROWS, e);
    }
    u->touches = u->touches || touches;
    if (code != ERR_OK || (!touches && u->kind != UNDO_TRANSACTION))
        return code;
    inverse_list_add(u->list, c, u->tx.seq, u->tx.index);
    code = inverse_list_error(u->list, e);
    return code == ERR_OK ? list_table(u, e) : code;
}

static enum err_code end_tx(struct undo *u, struct err *e)
{
    char name[ADDRESS_SIZE];

    if (!u->in_tx)
        return ERR_OK;
    if (u->kind == UNDO_ENTITY && u->touches && u->shadow) {
        address_print(&u->tx, name);
        return err_set(e, ERR_UNSUPPORTED,
                       "transaction %s has changed an index of its own kind (full-text, R-tree …) "
                       "along with its rows, and which entry belongs to which row cannot be told: "
                       "UNDOT and UNDO take back whole transactions",
                       name);
    }
    if (u->kind == UNDO_TRANSACTION && !u->touches) {
        inverse_list_cut(u->list, u->begin);
        table_marks_cut(&u->marks, u->begin);
    }
    if (inverse_list_end(u->list) > u->begin)
        u->taken++;
    u->in_tx = false;
    return ERR_OK;
}

/* Before what is meant: in the message that holds the first one, or, of what is not in the log yet,
 * made before the time from which on it counts. */
static bool is_before(const struct undo *u, unsigned index)
{
    const struct address *first = &u->range.first;
    const struct history_message *m = u->message;

    if (m->seq == 0)
        return !u->begun && history_tx(m, index).timestamp_ns < u->range.since_ns;
    return first->seq >= m->first && first->seq <= m->seq && index < first->index;
}

static enum err_code on_change(void *arg, unsigned index, const struct change *c, struct err *e)
{
    struct undo *u = arg;
    enum err_code code;

    if (is_before(u, index))
        return ERR_OK;
    if (!u->in_tx || u->tx.index != index) {
        code = end_tx(u, e);
        if (code != ERR_OK)
            return code;
        u->in_tx = true;
        u->tx = (struct address){u->message->seq, index};
        u->begin = inverse_list_end(u->list);
        u->first = !u->begun;
        u->begun = true;
        u->touches = u->shadow = false;
    }
    if (c->op == CHANGE_SQL)
        return table_marks_note(&u->marks, c, inverse_list_end(u->list), &u->tx, e);
    return is_sqlites(c->table) ? ERR_OK : select_change(u, c, e);
}

/* The first transaction has to be there, where one was named. */
static enum err_code check_first(struct undo *u, const struct history_message *m, struct err *e)
{
    const struct address *first = &u->range.first;

    if (first->seq < m->first || first->seq > m->seq)
        return ERR_OK;
    if (first->index > m->txs)
        return history_no_such(m, first->index, e);
    if (m->txs == 0 && u->kind != UNDO_ALL)
        return err_set(e, ERR_NOT_FOUND, "message %llu holds no transaction",
                       (unsigned long long)m->seq);
    return ERR_OK;
}

static enum err_code gather_message(struct undo *u, struct err *e)
{
    enum err_code code = history_changes(u->log, on_change, u, e);

    return code == ERR_OK ? end_tx(u, e) : code;
}

/* What the file has and the log has not. Once: the next time it might stand in the log. */
static enum err_code gather_unlogged(struct undo *u, struct writer *w, struct err *e)
{
    uint64_t after = 0;
    enum err_code code = ERR_OK;

    while (code == ERR_OK) {
        code = history_next_unlogged(u->log, writer_conn(w), &after, &u->message, e);
        if (code != ERR_OK || !u->message)
            return code;
        u->broken = true;
        code = gather_message(u, e);
    }
    return code;
}

/* Up to u->log's end. */
static enum err_code gather(struct undo *u, struct err *e)
{
    enum err_code code = ERR_OK;

    while (code == ERR_OK) {
        code = history_next(u->log, &u->message, e);
        if (code != ERR_OK || !u->message)
            break;
        code = check_first(u, u->message, e);
        if (code == ERR_OK)
            code = gather_message(u, e);
    }
    u->broken = code != ERR_OK;
    return code;
}

/* ---- taking back ---- */

static enum err_code revert_all(struct undo *u, struct writer *w, struct revert *rv, struct err *e)
{
    const struct inverse *x = NULL;
    enum err_code code;

    inverse_list_rewind(u->list);
    table_marks_again(&u->marks);
    while ((code = inverse_list_back(u->list, &x, e)) == ERR_OK && x) {
        code = table_marks_check(&u->marks, writer_conn(w), x, e);
        if (code == ERR_OK)
            code = revert_row(rv, x, e);
        if (code != ERR_OK)
            break;
    }
    u->reverted = revert_rows(rv);
    return code;
}

/* Does the file go on from what was gathered? */
static enum err_code check_state(const struct undo *u, struct err *e)
{
    const struct position *p = &u->r->pos;

    if (u->broken || p->stream_created != u->range.log_created || p->seq < history_to(u->log))
        return err_set(e, ERR_CONFLICT,
                       "the file has become another one meanwhile; run the statement again");
    return ERR_OK;
}

static enum err_code take_back(void *arg, struct writer *w, struct err *e)
{
    struct undo *u = arg;
    struct revert *rv = NULL;
    struct err second = ERR_INIT;
    enum err_code code = check_state(u, e);

    if (code == ERR_OK) {
        history_extend(u->log, u->r->pos.seq);
        code = gather(u, e);
    }
    if (code == ERR_OK)
        code = history_proves(u->log, u->r->pos.seq, u->r->pos.msg_id, e);
    if (code == ERR_OK && u->r->opt.mode == REPLICA_ASYNC)
        code = gather_unlogged(u, w, e);
    if (code != ERR_OK)
        return code;
    conn_guard(writer_conn(w), &u->guard);
    code = revert_begin(&rv, w, e);
    for (size_t i = 0; code == ERR_OK && i < u->n_tables; i++)
        code = revert_watch(rv, u->tables[i], e);
    if (code == ERR_OK)
        code = revert_all(u, w, rv, e);
    enum err_code ended = revert_end(rv, code == ERR_OK, &second);
    if (code == ERR_OK && ended != ERR_OK) {
        *e = second;
        code = ended;
    }
    conn_unguard(writer_conn(w));
    return code;
}

enum err_code undo_run(struct replica *r, const struct undo_question *q,
                       const struct conn_guard *guard, int64_t deadline_ns, struct undo_result *out,
                       struct err *e)
{
    struct undo *u = NULL;
    enum err_code code = undo_new(&u, r, q, guard, e);
    struct txn t = {.run = take_back, .arg = u, .alone = true, .deadline_ns = deadline_ns};

    *out = (struct undo_result){0};
    if (code == ERR_OK)
        code = gather(u, e);
    FAULT_POINT("undo.gathered");
    if (code == ERR_OK)
        code = replica_write(r, &t, e);
    if (code == ERR_OK) {
        *out = (struct undo_result){u->taken, u->reverted, {t.seq, t.index}};
        LOG_INFO("transactions were taken back", LOG_STR("db", r->opt.id),
                 LOG_UINT("from", q->range.from), LOG_UINT("transactions", u->taken),
                 LOG_UINT("rows", u->reverted), LOG_UINT("seq", t.seq));
    }
    if (u)
        undo_free(u);
    return code;
}
