/*
 *             ┌─ next database ◀─────────────┐
 *   begin ──▶ open ──▶ rows ──▶ end of it ───┤
 *                       │                    └─▶ merge ──▶ rows ──▶ done
 *                       └─ CONCAT, LIMIT: to the sink; MERGE: into the scratch
 */
#include "core/cross.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/statement.h"
#include "sql/cross_text.h"
#include "sql/scratch.h"

/* A value for a parameter, by the name that it has in every text. */
struct cross_param {
    char *name; /* owned: "?3", ":a", "$1" */
    const struct value *value;
};

struct cross_column {
    char *name, *decltype; /* owned; decltype NULL = none */
};

struct cross {
    struct request *r;
    const struct query *query;
    struct database **dbs; /* owned references */
    size_t n, at;
    struct cross_text *text;
    struct cross_plan plan;
    struct cross_param *params;
    unsigned n_params;
    struct cross_column *columns;
    unsigned n_columns;
    char **each_names; /* owned: of the columns of each database's text; n_each of them */
    unsigned n_each;
    size_t begin, len; /* of the statement in the query's text */
    struct scratch *scratch;
    struct conn *reader; /* of dbs[at]; NULL = none */
    bool is_sessions;    /* the reader is the session's own */
    struct stmt *stmt;   /* of the reader, or of the scratch when all databases are done */
    bool planned, shown; /* shown: the sink has the columns */
    bool bounded;        /* CROSS_LIMIT: `skip` and `left` hold */
    int64_t skip, left;
    struct value bound; /* of each database */
    uint64_t rows;
    int64_t started_ns;
};

/* ---- is it asked for? ---- */

static bool find_hint(const struct query *q, size_t offset, const char **pattern, size_t *n)
{
    return cross_hint(q->sql + offset, q->len - offset, pattern, n) &&
           !(*n == 4 && memcmp(*pattern, "self", 4) == 0);
}

bool cross_is_asked(struct request *r, const struct cursor *at)
{
    const struct query *q = &r->queries[at->query];
    const char *pattern;
    size_t n;
    if (r->looked != at->query + 1) {
        r->looked = at->query + 1;
        r->may_cross = memmem(q->sql, q->len, "/*+", 3) != NULL;
    }
    return r->may_cross && find_hint(q, at->offset, &pattern, &n);
}

/* ---- which databases ---- */

static enum err_code choose(struct node *n, const char *pattern, size_t len, struct database ***out,
                            size_t *count, struct err *e)
{
    struct cross_pattern *p = NULL;
    enum err_code code = cross_pattern_new(&p, pattern, len, e);
    *out = NULL;
    *count = 0;
    if (code != ERR_OK)
        return code;
    pthread_mutex_lock(&n->mu);
    *out = calloc(n->n_dbs + 1, sizeof(struct database *));
    for (size_t i = 0; *out && i < n->n_dbs; i++)
        if (cross_pattern_matches(p, database_id(n->dbs[i])))
            (*out)[(*count)++] = database_ref(n->dbs[i]);
    pthread_mutex_unlock(&n->mu);
    cross_pattern_free(p);
    if (!*out)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (*count == 0)
        return err_set(e, ERR_NO_DATABASE, "no database of this node matches db=%.*s",
                       (int)(len < 200 ? len : 200), pattern);
    return ERR_OK;
}

enum err_code cross_first(struct session *s, const struct query *q, struct database **out,
                          struct err *e)
{
    struct database **dbs;
    const char *pattern;
    size_t len, n;
    *out = NULL;
    if (!find_hint(q, 0, &pattern, &len))
        return ERR_OK;
    enum err_code code = choose(s->node, pattern, len, &dbs, &n, e);
    if (code == ERR_OK)
        *out = database_ref(dbs[0]);
    for (size_t i = 0; i < n; i++)
        database_unref(dbs[i]);
    free(dbs);
    return code;
}

/* ---- beginning ---- */

static enum err_code may_run(const struct request *r, const struct lex *lex, size_t behind,
                             struct err *e)
{
    struct cursor after = {r->at.query, behind};
    struct lex next;
    if (lex->kind != LEX_READ && lex->kind != LEX_OTHER && lex->kind != LEX_PRAGMA)
        return err_set(e, ERR_UNSUPPORTED,
                       "only a query runs in several databases: a statement with the hint db= may "
                       "not write");
    if (r->s->phase == TX_WRITING || r->s->phase == TX_AWAY)
        return err_set(e, ERR_TX_ACTIVE,
                       "a query over several databases does not see what its transaction has "
                       "written: end that first");
    if (r->opt.atomic && (r->at.query > 0 || request_next(r, &after, NULL, &next)))
        return err_set(e, ERR_UNSUPPORTED,
                       "a query over several databases is no part of a transaction: send it alone");
    return ERR_OK;
}

enum err_code cross_begin(struct request *r, const struct lex *lex, struct err *e)
{
    const struct query *q = &r->queries[r->at.query];
    const char *sql = q->sql + r->at.offset, *pattern = NULL;
    size_t len = lex_length(sql, q->len - r->at.offset), n = 0;
    r->last = r->at.query;
    if (may_run(r, lex, r->at.offset + len, e) != ERR_OK)
        return e->code;
    struct cross *x = calloc(1, sizeof *x);
    if (!x)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    x->r = r;
    x->query = q;
    x->started_ns = clock_mono_ns();
    x->begin = r->at.offset;
    x->len = len;
    r->cross = x;
    (void)find_hint(q, r->at.offset, &pattern, &n);
    enum err_code code = choose(r->s->node, pattern, n, &x->dbs, &x->n, e);
    if (code == ERR_OK)
        code = cross_text_new(&x->text, sql, len, e);
    r->at.offset += len;
    return code;
}

/* ---- planning: on the first of them ---- */

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

static enum err_code keep_params(struct cross *x, const struct stmt *st, struct err *e)
{
    unsigned n = stmt_param_count(st);
    x->params = calloc(n > 0 ? n : 1, sizeof *x->params);
    if (!x->params)
        return no_memory(e);
    for (unsigned i = 1; i <= n; i++) {
        struct cross_param *p = &x->params[x->n_params];
        const char *name = stmt_param_name(st, i);
        char number[16];
        (void)snprintf(number, sizeof number, "?%u", i);
        p->value = statement_value(st, x->query, i);
        p->name = p->value ? strdup(name ? name : number) : NULL;
        if (p->value && !p->name)
            return no_memory(e);
        x->n_params += p->value != NULL;
    }
    return ERR_OK;
}

static enum err_code keep_columns(struct cross *x, struct stmt *st, struct err *e)
{
    unsigned n = stmt_column_count(st);
    x->columns = calloc(n > 0 ? n : 1, sizeof *x->columns);
    if (!x->columns)
        return no_memory(e);
    for (; x->n_columns < n; x->n_columns++) {
        struct cross_column *c = &x->columns[x->n_columns];
        const char *decltype = stmt_column_decltype(st, x->n_columns);
        c->name = strdup(stmt_column_name(st, x->n_columns));
        c->decltype = decltype ? strdup(decltype) : NULL;
        if (!c->name || (decltype && !c->decltype)) {
            x->n_columns++;
            return no_memory(e);
        }
    }
    return ERR_OK;
}

/* By name, as every text of it has them. */
static enum err_code bind(const struct cross *x, struct stmt *st, struct err *e)
{
    for (unsigned i = 1; i <= stmt_param_count(st); i++) {
        const char *name = stmt_param_name(st, i);
        if (name && strcmp(name, CROSS_BOUND) == 0 && stmt_bind(st, i, &x->bound, e) != ERR_OK)
            return e->code;
        for (unsigned k = 0; name && k < x->n_params; k++) {
            if (strcmp(x->params[k].name, name) != 0)
                continue;
            enum err_code code = stmt_bind(st, i, x->params[k].value, e);
            if (code != ERR_OK)
                return code;
        }
    }
    return ERR_OK;
}

static enum err_code prepare(const struct cross *x, struct conn *c, const char *sql, size_t len,
                             struct stmt **st, struct err *e)
{
    const char *tail;
    enum err_code code = stmt_prepare(c, sql, len, &tail, st, e);
    if (code == ERR_OK && !*st)
        code = err_set(e, ERR_INTERNAL, "a query over several databases has no text");
    if (code == ERR_OK)
        code = bind(x, *st, e);
    return code;
}

static enum err_code open_scratch(struct cross *x, struct err *e)
{
    enum err_code code = scratch_open(&x->scratch, x->n_columns, x->r->s->node->opt.extensions, e);
    if (code == ERR_OK)
        request_guard(x->r, scratch_conn(x->scratch));
    return code;
}

/* As SQLite takes a LIMIT. */
static bool whole(const struct value *v, int64_t *n)
{
    if (v->type == VALUE_REAL && v->u.r >= -9e15 && v->u.r <= 9e15)
        *n = (int64_t)v->u.r;
    else if (v->type == VALUE_INTEGER)
        *n = v->u.i;
    else
        return false;
    return v->type == VALUE_INTEGER || (double)*n == v->u.r;
}

/* How many rows are passed over, and how many are wanted (-1: all). */
static enum err_code find_bounds(struct cross *x, struct err *e)
{
    const char *sql = cross_text_bounds(x->text);
    struct stmt *st = NULL;
    bool row = false;
    enum err_code code = prepare(x, scratch_conn(x->scratch), sql, strlen(sql), &st, e);
    if (code == ERR_OK)
        code = stmt_step(st, &row, e);
    if (code == ERR_OK && row) {
        struct value limit = stmt_column(st, 0), offset = stmt_column(st, 1);
        if (!whole(&limit, &x->left) || !whole(&offset, &x->skip))
            code = err_set(e, ERR_MISMATCH, "datatype mismatch: LIMIT and OFFSET are integers");
        x->left = x->left < 0 ? -1 : x->left;
        x->skip = x->skip > 0 ? x->skip : 0;
        x->bounded = cross_text_kind(x->text) == CROSS_LIMIT;
        x->bound = value_int(x->left < 0 || x->skip > INT64_MAX - x->left ? -1 : x->left + x->skip);
    }
    stmt_release(st);
    return code;
}

static enum err_code make_plan(struct cross *x, struct err *e)
{
    struct err second = ERR_INIT;
    struct stmt *st = NULL;
    const char **names = calloc(x->n_columns > 0 ? x->n_columns : 1, sizeof *names);
    enum cross_kind kind = cross_text_kind(x->text);
    enum err_code code = names ? ERR_OK : no_memory(e);
    for (unsigned i = 0; names && i < x->n_columns; i++)
        names[i] = x->columns[i].name;
    if (code == ERR_OK && kind != CROSS_CONCAT)
        code = open_scratch(x, e);
    if (code == ERR_OK && *cross_text_bounds(x->text))
        code = find_bounds(x, e);
    if (code == ERR_OK)
        code = cross_text_plan(x->text, names, x->n_columns, false, scratch_can, x->scratch,
                               &x->plan, e);
    /* GROUP BY may name a column of the result instead of one of a table. */
    if (code == ERR_OK && kind == CROSS_MERGE &&
        prepare(x, x->reader, x->plan.each.data, x->plan.each.len, &st, &second) == ERR_NO_COLUMN) {
        cross_plan_free(&x->plan);
        code = cross_text_plan(x->text, names, x->n_columns, true, scratch_can, x->scratch,
                               &x->plan, e);
    }
    stmt_release(st);
    free(names);
    return code;
}

/* What it is, with the places of its errors as the client knows them. */
static enum err_code plan(struct cross *x, struct err *e)
{
    const char *sql = cross_text_whole(x->text), *tail;
    struct stmt *st = NULL;
    enum err_code code = stmt_prepare(x->reader, sql, strlen(sql), &tail, &st, e);
    if (code != ERR_OK && e->offset >= 0)
        e->offset =
            cross_text_place(x->text, x->query->sql + x->begin, x->len, e->offset) + (int)x->begin;
    if (code == ERR_OK && (!st || stmt_class(st) != STMT_READ))
        code = err_set(e, ERR_UNSUPPORTED,
                       "only a query runs in several databases: a statement with the hint db= may "
                       "not write");
    if (code == ERR_OK)
        code = statement_bind(st, x->query, e);
    if (code == ERR_OK)
        code = keep_params(x, st, e);
    if (code == ERR_OK)
        code = keep_columns(x, st, e);
    stmt_release(st);
    if (code == ERR_OK)
        code = make_plan(x, e);
    x->planned = code == ERR_OK;
    return code;
}

/* ---- each of them ---- */

static void give_reader(struct cross *x)
{
    if (!x->reader)
        return;
    conn_unguard(x->reader);
    if (!x->is_sessions)
        database_give(x->dbs[x->at], x->reader);
    x->reader = NULL;
}

static enum err_code take_reader(struct cross *x, struct err *e)
{
    struct session *s = x->r->s;
    struct database *d = x->dbs[x->at];
    int64_t until = x->r->deadline_ns;
    x->is_sessions = s->phase == TX_READING && d == s->db;
    if (x->is_sessions) {
        s->has_read = true;
        x->reader = s->reader;
    } else {
        if (s->phase == TX_READING &&
            until == CLOCK_EVER) /* another one may hold what it waits for */
            until = clock_deadline(s->node->opt.replication_timeout_ns);
        if (database_reader(d, until, &x->reader, e) != ERR_OK)
            return e->code;
    }
    request_guard(x->r, x->reader);
    return ERR_OK;
}

static enum err_code keep_names(struct cross *x, struct err *e)
{
    unsigned n = stmt_column_count(x->stmt);
    x->each_names = calloc(n > 0 ? n : 1, sizeof *x->each_names);
    if (!x->each_names)
        return no_memory(e);
    for (; x->n_each < n; x->n_each++)
        if (!(x->each_names[x->n_each] = strdup(stmt_column_name(x->stmt, x->n_each))))
            return no_memory(e);
    return ERR_OK;
}

/* Their results are put together by place: the same names have to stand there. */
static enum err_code check_columns(const struct cross *x, struct err *e)
{
    unsigned n = stmt_column_count(x->stmt);
    if (n != x->n_each)
        return err_set(e, ERR_MISMATCH, "it has %u columns, and database \"%s\" has %u",
                       n - x->plan.hidden, database_id(x->dbs[0]), x->n_columns);
    for (unsigned i = 0; i < n; i++)
        if (strcasecmp(stmt_column_name(x->stmt, i), x->each_names[i]) != 0)
            return err_set(e, ERR_MISMATCH,
                           "column %u is \"%.100s\", and \"%.100s\" in database \"%s\"", i + 1,
                           stmt_column_name(x->stmt, i), x->each_names[i], database_id(x->dbs[0]));
    return ERR_OK;
}

static enum err_code begin_scratch(struct cross *x, struct err *e)
{
    unsigned n = x->n_columns + x->plan.hidden;
    const char **collations = calloc(n > 0 ? n : 1, sizeof *collations);
    enum err_code code = collations ? ERR_OK : no_memory(e);
    for (unsigned i = 0; collations && i < n; i++)
        collations[i] = stmt_column_collation(
            x->stmt, i >= x->n_columns && x->plan.compared[i - x->n_columns] ? i + 1 : i);
    if (code == ERR_OK)
        code = scratch_begin(x->scratch, x->plan.hidden, collations, e);
    free(collations);
    return code;
}

static enum err_code open_next(struct cross *x, struct err *e)
{
    enum err_code code = take_reader(x, e);
    if (code == ERR_OK && !x->planned)
        code = plan(x, e);
    if (code == ERR_OK)
        code = stmt_refresh(x->reader, e);
    if (code == ERR_OK) {
        code = prepare(x, x->reader, x->plan.each.data, x->plan.each.len, &x->stmt, e);
        if (code != ERR_OK)
            e->offset = -1; /* into a text that is ours */
    }
    if (code == ERR_OK && stmt_class(x->stmt) != STMT_READ)
        code = err_set(e, ERR_UNSUPPORTED, "only a query runs in several databases");
    if (code == ERR_OK)
        code = x->each_names ? check_columns(x, e) : keep_names(x, e);
    if (code == ERR_OK && x->at == 0 && cross_text_kind(x->text) == CROSS_MERGE)
        code = begin_scratch(x, e);
    return code;
}

/* ---- rows ---- */

static void show_columns(struct cross *x, struct sink *sink)
{
    struct sink_column *cols = calloc(x->n_columns > 0 ? x->n_columns : 1, sizeof *cols);
    for (unsigned i = 0; cols && i < x->n_columns; i++)
        cols[i] = (struct sink_column){x->columns[i].name, x->columns[i].decltype};
    if (cols && x->n_columns > 0)
        sink->ops->columns(sink, cols, x->n_columns);
    free(cols);
    x->shown = true;
}

static enum err_code keep_row(struct cross *x, struct err *e)
{
    struct value fixed[64];
    unsigned n = stmt_column_count(x->stmt);
    struct value *values = n <= 64 ? fixed : calloc(n, sizeof *values);
    if (!values)
        return no_memory(e);
    for (unsigned i = 0; i < n; i++)
        values[i] = stmt_column(x->stmt, i);
    enum err_code code = scratch_add(x->scratch, values, e);
    if (values != fixed)
        free(values);
    return code;
}

/* Gives the row to the sink, where it is within the bounds. */
static enum sink_verdict show_row(struct cross *x, struct sink *sink)
{
    if (x->bounded && x->skip > 0) {
        x->skip--;
        return SINK_MORE;
    }
    if (x->bounded && x->left > 0)
        x->left--;
    x->rows++;
    return statement_row(x->stmt, sink);
}

static bool is_full(const struct cross *x)
{
    return x->bounded && x->left == 0;
}

/* Until the end of the statement that is open, or a pause. */
static enum request_status run_rows(struct cross *x, bool collect, struct sink *sink, struct err *e)
{
    bool row = false;
    while (!is_full(x)) {
        if (stmt_step(x->stmt, &row, e) != ERR_OK)
            return REQUEST_FAILED;
        if (!collect && !x->shown)
            show_columns(x, sink);
        if (!row)
            break;
        if (collect) {
            if (keep_row(x, e) != ERR_OK)
                return REQUEST_FAILED;
            continue;
        }
        enum sink_verdict verdict = show_row(x, sink);
        if (verdict == SINK_STOP) {
            request_too_big(e);
            return REQUEST_FAILED;
        }
        if (verdict == SINK_FULL)
            return REQUEST_PAUSED;
    }
    stmt_release(x->stmt);
    x->stmt = NULL;
    return REQUEST_DONE;
}

/* What is wrong with the statement as such is no database's. */
static void name_database(const struct cross *x, struct err *e)
{
    if (x->planned || (e->code != ERR_UNSUPPORTED && e->code != ERR_PARAM && e->code != ERR_SYNTAX))
        err_wrap(e, "database \"%s\"", database_id(x->dbs[x->at]));
}

static enum request_status run_each(struct cross *x, struct sink *sink, struct err *e)
{
    bool collect = cross_text_kind(x->text) == CROSS_MERGE;
    while (x->at < x->n && !(x->planned && is_full(x))) {
        enum request_status st = REQUEST_DONE;
        if (!x->stmt && open_next(x, e) != ERR_OK)
            st = REQUEST_FAILED;
        if (st == REQUEST_DONE)
            st = run_rows(x, collect, sink, e);
        if (st == REQUEST_FAILED)
            name_database(x, e);
        if (st != REQUEST_DONE)
            return st;
        give_reader(x);
        x->at++;
    }
    x->at = x->n;
    return REQUEST_DONE;
}

static enum request_status run_merge(struct cross *x, struct sink *sink, struct err *e)
{
    if (!x->stmt && (scratch_end(x->scratch, e) != ERR_OK ||
                     prepare(x, scratch_conn(x->scratch), x->plan.merge.data, x->plan.merge.len,
                             &x->stmt, e) != ERR_OK)) {
        e->offset = -1;
        return REQUEST_FAILED;
    }
    return run_rows(x, false, sink, e);
}

enum request_status cross_run(struct request *r, struct sink *sink, struct err *e)
{
    struct cross *x = r->cross;
    enum request_status st = run_each(x, sink, e);
    if (st == REQUEST_DONE && cross_text_kind(x->text) == CROSS_MERGE)
        st = run_merge(x, sink, e);
    if (st != REQUEST_DONE)
        return st;
    if (!x->shown)
        show_columns(x, sink); /* LIMIT 0 */
    struct sink_done d = {.has_rows = x->n_columns > 0,
                          .rows = x->rows,
                          .last_insert_id = r->s->last_rowid,
                          .elapsed_ns = clock_mono_ns() - x->started_ns};
    cross_free(x);
    r->cross = NULL;
    sink->ops->done(sink, &d);
    return REQUEST_DONE;
}

void cross_free(struct cross *x)
{
    if (!x)
        return;
    stmt_release(x->stmt);
    give_reader(x);
    scratch_close(x->scratch);
    for (size_t i = 0; i < x->n; i++)
        database_unref(x->dbs[i]);
    free(x->dbs);
    for (unsigned i = 0; i < x->n_params; i++)
        free(x->params[i].name);
    free(x->params);
    for (unsigned i = 0; i < x->n_columns; i++) {
        free(x->columns[i].name);
        free(x->columns[i].decltype);
    }
    free(x->columns);
    for (unsigned i = 0; i < x->n_each; i++)
        free(x->each_names[i]);
    free(x->each_names);
    cross_plan_free(&x->plan);
    cross_text_free(x->text);
    free(x);
}
