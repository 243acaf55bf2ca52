/*
 * Simple queries. Several statements in one string are one implicit transaction, unless BEGIN and
 * COMMIT among them say otherwise:
 *
 *   one statement               alone, through the write group
 *   several, plain SQL only     one atomic request, through the write group
 *   anything else               one after the other, in an implicit block where they need one
 */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "wire/pg/session.h"

#define STATEMENTS_MAX 100000 /* of one string */

struct string {
    struct pg_text *texts;
    size_t n, cap;
};

static bool push(struct string *s, const struct pg_text *t)
{
    struct pg_text *room = array_room(s->texts, s->n, &s->cap, sizeof *room);
    if (!room)
        return false;
    s->texts = room;
    s->texts[s->n++] = *t;
    return true;
}

/* All statements, translated; false with an error written. */
static bool split(struct pg_conn *c, struct string *s, const char *sql, size_t len)
{
    struct err e = ERR_INIT;

    while (len > 0) {
        size_t n = pg_split(sql, len);
        struct pg_text t;
        pg_classify(&t, sql, n);
        if (t.kind != PG_EMPTY) {
            if (s->n == STATEMENTS_MAX || !push(s, &t)) {
                pg_error(c, "54000", "too many statements in one query string");
                return false;
            }
            if (pg_is_sql(&t) && pg_translate(c, &s->texts[s->n - 1], &e) != ERR_OK) {
                t.changed = false;
                pg_error_text(c, &e, &t);
                return false;
            }
        }
        sql += n;
        len -= n;
    }
    return true;
}

static void nothing(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

/* Syntax errors of any statement come before anything runs; other errors may be mended by the
 * statements before it. */
static bool check_syntax(struct pg_conn *c, const struct string *s)
{
    static const struct sink_ops ops = {.columns = nothing};
    struct sink sink = {&ops};

    for (size_t i = 0; i < s->n; i++) {
        const struct pg_text *t = &s->texts[i];
        const struct query q = {.sql = t->run, .len = t->run_len};
        struct session_shape shape;
        struct err e = ERR_INIT;
        if (!pg_is_sql(t) || session_describe(c->session, &q, &sink, &shape, &e) == ERR_OK ||
            e.code != ERR_SYNTAX)
            continue;
        pg_error_text(c, &e, t);
        return false;
    }
    return true;
}

static bool run_atomic(struct pg_conn *c, const struct string *s)
{
    struct query *queries = arena_alloc(c->arena, s->n * sizeof *queries);
    struct infer **ahead = arena_alloc(c->arena, s->n * sizeof(void *));
    struct pg_result r;

    if (!queries || !ahead) {
        pg_error(c, "53200", "out of memory");
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        queries[i] = pg_query_of(&s->texts[i]);
        ahead[i] = pg_infer_ahead(c, &s->texts[i]);
    }
    pg_result_init(&r, c);
    r.text = s->texts;
    r.ahead = ahead;
    r.several = true;
    r.describe = true;
    bool ok = pg_run(c, &r, queries, s->n, true);
    pg_result_fini(&r);
    return ok;
}

static bool run_sql(struct pg_conn *c, struct pg_text *t, char tag[PG_TAG_BYTES])
{
    const struct query q = pg_query_of(t);
    struct pg_result r;

    pg_portals_park(c);
    struct infer *const ahead = pg_infer_ahead(c, t);
    pg_result_init(&r, c);
    r.text = t;
    r.ahead = &ahead;
    r.describe = true;
    bool ok = pg_run(c, &r, &q, 1, t->compound);
    pg_tag(tag, r.tag);
    pg_result_fini(&r);
    return ok;
}

static bool run_one(struct pg_conn *c, struct pg_text *t, char tag[PG_TAG_BYTES])
{
    if (!pg_tx_allows(c, t))
        return false;
    switch (t->kind) {
    case PG_COMMAND:
        return pg_run_command(c, t, true, tag);
    case PG_CURSOR:
        return pg_run_cursor(c, t, true, NULL, tag);
    case PG_COPY:
        return pg_run_copy(c, t, tag);
    case PG_READ:
    case PG_WRITE:
    case PG_ALONE:
        return run_sql(c, t, tag);
    default:
        return pg_control(c, t, tag);
    }
}

static bool run_in_order(struct pg_conn *c, const struct string *s)
{
    char tag[PG_TAG_BYTES];

    for (size_t i = 0; i < s->n; i++) {
        struct pg_text *t = &s->texts[i];
        bool needs_block = t->kind == PG_READ || t->kind == PG_WRITE || t->kind == PG_COPY;
        if (s->n > 1 && needs_block && !pg_begin_implicit(c))
            return false;
        if (s->n > 1 && t->kind == PG_ALONE && c->tx == PG_TX_IMPLICIT) {
            pg_error(c, "25001", "%s cannot run inside a transaction block", t->tag);
            return false;
        }
        if (!run_one(c, t, tag))
            return false;
        if (i + 1 == s->n && !pg_end_implicit(c))
            return false;
        pgwire_write_complete(&c->io.out, tag);
        if (c->io.dead || c->closing)
            return false;
    }
    return true;
}

static bool is_plain(const struct pg_conn *c, const struct string *s)
{
    if (s->n < 2 || c->tx != PG_TX_IDLE)
        return false;
    for (size_t i = 0; i < s->n; i++)
        if ((s->texts[i].kind != PG_READ && s->texts[i].kind != PG_WRITE) || s->texts[i].compound)
            return false;
    return true;
}

/* COPY reads messages while the string still runs, and they take the place of the one it came in.
 */
static bool keep_text(struct pg_conn *c, struct string *s, const char *sql, size_t len)
{
    char *copy = NULL;

    for (size_t i = 0; i < s->n && !copy; i++)
        if (s->texts[i].kind == PG_COPY && !(copy = arena_strndup(c->arena, sql, len))) {
            pg_error(c, "53200", "out of memory");
            return false;
        }
    if (copy)
        c->query = copy;
    for (size_t i = 0; i < s->n && copy; i++) {
        struct pg_text *t = &s->texts[i];
        bool same = t->run == t->sql;

        t->sql = copy + (t->sql - sql);
        if (same)
            t->run = t->sql;
    }
    return true;
}

void pg_query(struct pg_conn *c, const char *sql, size_t len)
{
    struct string s = {0};

    c->query = sql;
    if (pg_check_text(c, sql, len) && split(c, &s, sql, len) && keep_text(c, &s, sql, len)) {
        if (s.n == 0)
            pgwire_write_empty(&c->io.out, 'I');
        else if (s.n == 1 || c->tx == PG_TX_FAILED || check_syntax(c, &s))
            (void)(is_plain(c, &s) ? run_atomic(c, &s) : run_in_order(c, &s));
    }
    free(s.texts);
    c->query = NULL;
}
