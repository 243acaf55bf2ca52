/*
 * Portals: a statement bound to its parameters, run at once or in pieces. A read that stops in the
 * middle keeps its request paused; as soon as anything else wants the session, what is left of it
 * is put aside (core/rowset.h) and served from there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rowset.h"
#include "wire/pg/session.h"

#define PORTALS_MAX 10000 /* of one connection */

struct pg_portal *pg_portal_find(struct pg_conn *c, const char *name)
{
    for (struct pg_portal *p = c->portals; p; p = p->next)
        if (p->prepared && strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

/* Ends what it does; its memory stays for the next one. */
static void empty(struct pg_portal *p)
{
    request_free(p->request);
    p->request = NULL;
    rowset_free(p->rows);
    p->rows = NULL;
    pg_prepared_unref(p->prepared);
    p->prepared = NULL;
    p->describe = p->held = p->kept = p->scroll = p->cursor = false;
    p->at = 0;
    p->state = PORTAL_READY;
    pg_params_reset(&p->params);
    buf_reset(&p->formats);
    pg_result_again(&p->result);
}

struct pg_portal *pg_portal_new(struct pg_conn *c, const char *name)
{
    struct pg_portal *p = c->portals;

    while (p && (p->prepared || strcmp(p->name, name) != 0))
        p = p->next;
    if (p) {
        p->depth = pg_tx_depth(c);
        return p;
    }
    if (c->n_portals >= PORTALS_MAX || !(p = calloc(1, sizeof *p)))
        return NULL;
    p->name = strdup(name);
    if (!p->name) {
        free(p);
        return NULL;
    }
    pg_result_init(&p->result, c);
    p->depth = pg_tx_depth(c);
    p->next = c->portals;
    c->portals = p;
    c->n_portals++;
    return p;
}

static void destroy(struct pg_portal *p)
{
    empty(p);
    pg_result_fini(&p->result);
    pg_params_free(&p->params);
    buf_free(&p->formats);
    free(p->name);
    free(p);
}

/* The unnamed one keeps its memory. */
void pg_portal_remove(struct pg_conn *c, struct pg_portal *p)
{
    struct pg_portal **at = &c->portals;

    if (*p->name == '\0') {
        empty(p);
        return;
    }
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    c->n_portals--;
    destroy(p);
}

void pg_portals_end(struct pg_conn *c, bool committed)
{
    struct pg_portal *p, *next;

    for (p = c->portals; p; p = next) {
        next = p->next;
        if (!p->prepared)
            continue;
        p->kept = p->kept || (p->held && committed);
        if (!p->kept)
            pg_portal_remove(c, p);
    }
}

void pg_portals_commit(struct pg_conn *c)
{
    struct pg_portal *p, *next;

    for (p = c->portals; p; p = next) {
        next = p->next;
        if (p->prepared && !p->held)
            pg_portal_remove(c, p);
    }
    pg_portals_park(c);
}

void pg_portals_roll_back_to(struct pg_conn *c, unsigned depth)
{
    struct pg_portal *p, *next;

    for (p = c->portals; p; p = next) {
        next = p->next;
        if (p->prepared && !p->kept && p->depth >= depth)
            pg_portal_remove(c, p);
    }
}

void pg_portals_release(struct pg_conn *c, unsigned depth)
{
    for (struct pg_portal *p = c->portals; p; p = p->next)
        if (p->depth >= depth)
            p->depth = depth - 1;
}

void pg_portals_clear(struct pg_conn *c)
{
    while (c->portals) {
        struct pg_portal *p = c->portals;
        c->portals = p->next;
        destroy(p);
    }
    c->n_portals = 0;
}

/* ---- putting rows aside ---- */

static struct rowset *new_rows(struct pg_conn *c)
{
    return rowset_new(node_options(c->server->node)->data_dir);
}

/* Rows go aside; columns, where the request has not begun yet, to the portal's result. */
struct aside {
    struct sink sink;
    struct pg_result *result;
    struct rowset *rows;
};

static void aside_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct pg_result *r = ((struct aside *)s)->result;

    r->describe = false;
    r->sink.ops->columns(&r->sink, cols, n);
}

static enum sink_verdict aside_row(struct sink *s, const struct value *values, unsigned n)
{
    struct sink *to = rowset_sink(((struct aside *)s)->rows);

    return to->ops->row(to, values, n);
}

static void aside_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

static void park(struct pg_conn *c, struct pg_portal *p)
{
    static const struct sink_ops ops = {aside_columns, aside_row, aside_done};
    struct err e = ERR_INIT;
    struct rowset *rows = new_rows(c);
    struct aside to = {{&ops}, &p->result, rows};
    bool ok = rows && request_run(p->request, &to.sink, &e) == REQUEST_DONE && rowset_ok(rows);

    request_free(p->request);
    p->request = NULL;
    if (ok) {
        p->rows = rows;
    } else { /* whoever wants its rows is told so */
        rowset_free(rows);
    }
    p->state = ok ? PORTAL_ACTIVE : PORTAL_FAILED;
}

/* All but `p` (may be NULL): the session has one request at a time. */
static void give_way(struct pg_conn *c, const struct pg_portal *p)
{
    for (struct pg_portal *other = c->portals; other; other = other->next)
        if (other != p && other->request)
            park(c, other);
}

void pg_portals_park(struct pg_conn *c)
{
    give_way(c, NULL);
    for (struct pg_portal *p = c->portals; p; p = p->next)
        if (p->prepared && p->cursor && p->state == PORTAL_READY)
            pg_portal_park(c, p);
}

/* ---- running ---- */

/* Its request borrows it until the end. */
static void make_query(struct pg_portal *p)
{
    const struct pg_text *t = &p->prepared->text;

    p->query = pg_query_of(t);
    p->query.params = p->params.list;
    p->query.n_params = p->params.n;
}

/* A Describe has asked already. */
static struct infer *look_ahead(struct pg_conn *c, const struct pg_portal *p)
{
    return p->result.promised ? NULL : pg_infer_ahead(c, &p->prepared->text);
}

/* Rows from what was put aside. */
static enum pg_advance serve(struct pg_conn *c, struct pg_portal *p)
{
    struct pg_result *r = &p->result;
    const struct value *values;
    unsigned n;

    while (rowset_next(p->rows, &values, &n)) {
        enum sink_verdict v = r->sink.ops->row(&r->sink, values, n);
        if (v == SINK_STOP) {
            p->state = PORTAL_FAILED;
            if (!r->failed)
                return PG_ADVANCE_FAILED;
            pgwire_write_error(&c->io.out, 'E', &r->fault);
            pg_tx_failed(c);
            return PG_ADVANCE_FAILED;
        }
        if (r->max_rows > 0 && r->rows >= r->max_rows)
            return PG_ADVANCE_SUSPENDED;
        if (v == SINK_FULL)
            stream_flush(&c->io);
    }
    if (!rowset_ok(p->rows)) {
        p->state = PORTAL_FAILED;
        pg_error(c, "53100", "rows that were put aside cannot be read again");
        return PG_ADVANCE_FAILED;
    }
    const struct sink_done d = {.has_rows = true};
    r->sink.ops->done(&r->sink, &d);
    p->state = PORTAL_DONE;
    return PG_ADVANCE_DONE;
}

static enum pg_advance run(struct pg_conn *c, struct pg_portal *p)
{
    struct pg_result *r = &p->result;
    struct infer *ahead = NULL;
    enum request_status status;

    if (!p->request) {
        make_query(p);
        ahead = look_ahead(c, p);
    }
    p->state = PORTAL_FAILED; /* until it is known: an error may take the portal with it */
    r->ahead = &ahead;
    status = pg_run_some(c, r, &p->request, &p->query, p->prepared->text.compound);
    if (status != REQUEST_FAILED)
        r->ahead = NULL;
    switch (status) {
    case REQUEST_PAUSED:
        p->state = PORTAL_ACTIVE;
        return PG_ADVANCE_SUSPENDED;
    case REQUEST_FAILED:
        return PG_ADVANCE_FAILED;
    case REQUEST_DONE:
        break;
    }
    if (!r->spill) {
        p->state = PORTAL_DONE;
        return PG_ADVANCE_DONE;
    }
    p->rows = r->spill; /* of a write's rows, which cannot pause */
    r->spill = NULL;
    p->state = PORTAL_ACTIVE;
    return PG_ADVANCE_SUSPENDED;
}

enum pg_advance pg_portal_advance(struct pg_conn *c, struct pg_portal *p, uint64_t max_rows)
{
    struct pg_result *r = &p->result;

    r->max_rows = max_rows;
    r->rows = 0;
    r->text = &p->prepared->text;
    if (p->state == PORTAL_FAILED) {
        pg_error(c, "55000", "portal \"%s\" cannot be run", p->name);
        return PG_ADVANCE_FAILED;
    }
    if (p->rows)
        return serve(c, p);
    give_way(c, p);
    return run(c, p);
}

void pg_portal_park(struct pg_conn *c, struct pg_portal *p)
{
    struct err e = ERR_INIT;
    const struct request_options o = pg_request_options(c, false);
    struct infer *ahead = NULL;

    give_way(c, p);
    if (p->state == PORTAL_READY) {
        make_query(p);
        ahead = look_ahead(c, p);
        (void)request_new(&p->request, c->session, &p->query, 1, &o, &e);
    }
    p->result.ahead = &ahead;
    if (p->request)
        park(c, p);
    p->result.ahead = NULL;
}

bool pg_portal_execute(struct pg_conn *c, struct pg_portal *p, uint32_t max_rows)
{
    struct pg_result *r = &p->result;

    if (p->state == PORTAL_DONE) {
        /* As PostgreSQL: a portal that has come to its end has no more rows. */
        if (r->has_rows && p->prepared->text.count == PG_COUNT_ROWS) {
            char tag[PG_TAG_BYTES];
            (void)snprintf(tag, sizeof tag, "%s 0", p->prepared->text.tag);
            pgwire_write_complete(&c->io.out, tag);
            return true;
        }
        pg_error(c, "55000", "portal \"%s\" cannot be run", p->name);
        return false;
    }
    r->silent = false; /* a MOVE may have come before */
    switch (pg_portal_advance(c, p, max_rows)) {
    case PG_ADVANCE_FAILED:
        return false;
    case PG_ADVANCE_SUSPENDED:
        pgwire_write_empty(&c->io.out, 's');
        return true;
    case PG_ADVANCE_DONE:
        break;
    }
    pgwire_write_complete(&c->io.out, r->tag);
    return true;
}
