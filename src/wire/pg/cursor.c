/*
 * DECLARE, FETCH, MOVE, CLOSE. A cursor is a portal whose statement was named in SQL. One that only
 * goes forward reads as it is fetched from, until another statement of the session runs: then the
 * rest is put aside. With SCROLL all rows are put aside by the first FETCH.
 *
 *   DECLARE name [BINARY] [INSENSITIVE | ASENSITIVE] [[NO] SCROLL] CURSOR [{WITH|WITHOUT} HOLD] FOR
 * … {FETCH | MOVE} [NEXT | PRIOR | FIRST | LAST | ABSOLUTE n | RELATIVE n | n | ALL | FORWARD [n |
 * ALL] | BACKWARD [n | ALL]] [FROM | IN] name
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rowset.h"
#include "wire/pg/words.h"

#define NAME_BYTES 256
#define ALL_ROWS   INT64_MAX

/* ---- DECLARE ---- */

struct declare {
    char name[NAME_BYTES];
    bool binary, scroll, hold;
    const char *query;
    size_t len;
};

static bool read_declare(struct pg_words *r, struct declare *d)
{
    memset(d, 0, sizeof *d);
    if (!pg_words_skip(r, "DECLARE") || !pg_words_name(r, d->name, sizeof d->name))
        return false;
    for (;;) {
        if (pg_words_skip(r, "BINARY"))
            d->binary = true;
        else if (pg_words_skip(r, "SCROLL"))
            d->scroll = true;
        else if (pg_words_skip(r, "NO"))
            (void)pg_words_skip(r, "SCROLL");
        else if (!pg_words_skip(r, "INSENSITIVE") && !pg_words_skip(r, "ASENSITIVE"))
            break;
    }
    if (!pg_words_skip(r, "CURSOR"))
        return false;
    if (pg_words_skip(r, "WITH"))
        d->hold = pg_words_skip(r, "HOLD");
    else if (pg_words_skip(r, "WITHOUT"))
        (void)pg_words_skip(r, "HOLD");
    if (!pg_words_is(r, "FOR"))
        return false;
    d->query = r->t.text + r->t.len;
    d->len = (size_t)(r->lex.end - d->query);
    return true;
}

bool pg_cursor_query(const struct pg_text *t, struct pg_text *query)
{
    struct pg_words r;
    struct declare d;

    if (t->kind != PG_CURSOR)
        return false;
    pg_words_begin(&r, t);
    if (!read_declare(&r, &d))
        return false;
    pg_classify(query, d.query, d.len);
    return pg_is_sql(query);
}

/* May a cursor of this name be declared here? False with an error written. */
static bool may_declare(struct pg_conn *c, const struct declare *d)
{
    if (c->tx != PG_TX_BLOCK && !d->hold) {
        pg_error(c, "25P01", "DECLARE CURSOR can only be used in transaction blocks");
        return false;
    }
    if (pg_portal_find(c, d->name)) {
        pg_error(c, "42P03", "cursor \"%s\" already exists", d->name);
        return false;
    }
    return true;
}

/* Its query, translated; false with an error written. */
static bool read_query(struct pg_conn *c, const struct declare *d, struct pg_text *t)
{
    struct err e = ERR_INIT;

    pg_classify(t, d->query, d->len);
    if (!pg_is_sql(t))
        err_set(&e, ERR_SYNTAX, "a cursor needs a query");
    else if (pg_translate(c, t, &e) == ERR_OK)
        return true;
    t->changed = false;
    pg_error_text(c, &e, t);
    return false;
}

/* Its statement, with columns that are promised; the reference is the caller's. NULL with an error
 * written. */
static struct pg_prepared *prepare(struct pg_conn *c, const struct pg_text *t, unsigned n_params)
{
    struct pg_prepared *s = pg_prepared_new(c, "", t);

    if (s && !pg_prepared_describe(c, s)) {
        pg_prepared_unref(s);
        return NULL;
    }
    if (s && (!s->shape.has_rows || n_params < s->n_params))
        pg_error(c, "42601", "a cursor needs a query, and all of its parameters");
    else if (!s || !pg_prepared_promise(s))
        pg_error(c, "53200", "out of memory");
    else
        return s;
    pg_prepared_unref(s);
    return NULL;
}

/* Takes the reference over; false with an error written. */
static bool open_cursor(struct pg_conn *c, const struct declare *d, struct pg_prepared *s,
                        const struct pg_params *params)
{
    struct pg_portal *p = pg_portal_new(c, d->name);

    if (!p) {
        pg_prepared_unref(s);
        pg_error(c, "53200", "too many cursors");
        return false;
    }
    p->prepared = s;
    p->cursor = true;
    p->held = d->hold;
    p->scroll = d->scroll;
    p->result.promised = s->types;
    p->result.n_promised = s->n_types;
    if (d->binary) {
        buf_be16(&p->formats, 1);
        p->result.formats = p->formats.data;
        p->result.n_formats = 1;
    }
    if (!buf_ok(&p->formats) || (params && !pg_params_copy(&p->params, params))) {
        pg_portal_remove(c, p);
        pg_error(c, "53200", "out of memory");
        return false;
    }
    /* Outside a block nothing keeps its snapshot. */
    if (c->tx != PG_TX_BLOCK) {
        pg_portal_park(c, p);
        p->kept = true;
    }
    return true;
}

static bool declare(struct pg_conn *c, struct pg_words *r, const struct pg_portal *from)
{
    const struct pg_params *params = from ? &from->params : NULL;
    struct declare d;
    struct pg_text t;

    if (!read_declare(r, &d))
        return pg_words_syntax(c, r);
    if (!may_declare(c, &d) || !read_query(c, &d, &t))
        return false;
    struct pg_prepared *s = prepare(c, &t, params ? params->n : 0);
    return s && open_cursor(c, &d, s, params);
}

/* ---- FETCH and MOVE ---- */

enum direction { RELATIVE_ROWS, ABSOLUTE_ROW, RELATIVE_ROW };

struct fetch {
    bool move;
    enum direction direction;
    int64_t n; /* RELATIVE_ROWS: how many, backwards if negative */
    char name[NAME_BYTES];
};

static bool take_number(struct pg_words *r, int64_t *n)
{
    bool negative = pg_words_is_op(r, "-");
    char text[24], *end;

    if (negative || pg_words_is_op(r, "+"))
        pg_words_next(r);
    if (r->t.type != PG_TOKEN_NUMBER || r->t.len >= sizeof text)
        return false;
    memcpy(text, r->t.text, r->t.len);
    text[r->t.len] = '\0';
    *n = strtoll(text, &end, 10);
    if (negative)
        *n = -*n;
    pg_words_next(r);
    return *end == '\0';
}

static bool is_number(const struct pg_words *r)
{
    return r->t.type == PG_TOKEN_NUMBER || pg_words_is_op(r, "-") || pg_words_is_op(r, "+");
}

static bool read_count(struct pg_words *r, int64_t sign, int64_t *n)
{
    *n = sign;
    if (pg_words_skip(r, "ALL"))
        *n = sign * ALL_ROWS;
    else if (is_number(r)) {
        if (!take_number(r, n))
            return false;
        *n *= sign;
    }
    return true;
}

static bool read_fetch(struct pg_words *r, struct fetch *f)
{
    bool ok = true;

    memset(f, 0, sizeof *f);
    f->n = 1;
    f->move = pg_words_skip(r, "MOVE");
    if (!f->move && !pg_words_skip(r, "FETCH"))
        return false;
    if (pg_words_skip(r, "NEXT")) {
    } else if (pg_words_skip(r, "PRIOR")) {
        f->n = -1;
    } else if (pg_words_skip(r, "FIRST")) {
        f->direction = ABSOLUTE_ROW;
    } else if (pg_words_skip(r, "LAST")) {
        f->direction = ABSOLUTE_ROW;
        f->n = -1;
    } else if (pg_words_skip(r, "ABSOLUTE")) {
        f->direction = ABSOLUTE_ROW;
        ok = take_number(r, &f->n);
    } else if (pg_words_skip(r, "RELATIVE")) {
        f->direction = RELATIVE_ROW;
        ok = take_number(r, &f->n);
    } else if (pg_words_skip(r, "BACKWARD")) {
        ok = read_count(r, -1, &f->n);
    } else {
        (void)pg_words_skip(r, "FORWARD");
        ok = read_count(r, 1, &f->n);
    }
    if (!pg_words_skip(r, "FROM"))
        (void)pg_words_skip(r, "IN");
    return ok && pg_words_name(r, f->name, sizeof f->name);
}

/* What FETCH runs goes straight to the executor. So a portal with a COMMIT, which the connection
 * has to know of, is none to fetch from. */
static struct pg_portal *find_cursor(struct pg_conn *c, const char *name)
{
    struct pg_portal *p = pg_portal_find(c, name);

    return p && pg_is_sql(&p->prepared->text) ? p : NULL;
}

struct pg_portal *pg_cursor_of_fetch(struct pg_conn *c, const struct pg_text *t)
{
    struct pg_words r;
    struct fetch f;

    pg_words_begin(&r, t);
    return read_fetch(&r, &f) && !f.move ? find_cursor(c, f.name) : NULL;
}

static bool no_way_back(struct pg_conn *c)
{
    pg_error(c, "55000", "cursor can only scan forward");
    return false;
}

/* One row of a scrolling cursor, 1-based; false where there is none, or nobody to send it to. */
static bool send_row(struct pg_conn *c, struct pg_portal *p, uint64_t row)
{
    const struct value *values;
    unsigned n;

    if (row == 0 || row > rowset_count(p->rows))
        return false;
    rowset_seek(p->rows, row - 1);
    if (!rowset_next(p->rows, &values, &n))
        return false;
    enum sink_verdict v = p->result.sink.ops->row(&p->result.sink, values, n);
    if (v == SINK_FULL)
        stream_flush(&c->io);
    return v != SINK_STOP && !c->io.dead;
}

/* The rows from where it stands, one after the other. */
static void walk(struct pg_conn *c, struct pg_portal *p, int64_t n)
{
    uint64_t left = n < 0 ? (uint64_t)(-(n + 1)) + 1 : (uint64_t)n;

    for (; left > 0; left--) {
        if (n > 0 ? p->at > rowset_count(p->rows) : p->at == 0)
            break;
        p->at = n > 0 ? p->at + 1 : p->at - 1;
        if (!send_row(c, p, p->at))
            break;
    }
}

/* ABSOLUTE and RELATIVE; a row too far away is the place behind the last one, or before the first.
 */
static void jump(struct pg_conn *c, struct pg_portal *p, const struct fetch *f)
{
    int64_t count = (int64_t)rowset_count(p->rows), from = 0, target;

    if (f->direction == RELATIVE_ROW)
        from = (int64_t)p->at;
    else if (f->n < 0)
        from = count + 1;
    if (__builtin_add_overflow(from, f->n, &target)) /* only upwards: `from` is not negative */
        target = INT64_MAX;
    p->at = target <= 0 ? 0 : target > count ? (uint64_t)count + 1 : (uint64_t)target;
    (void)send_row(c, p, p->at);
}

static bool scroll(struct pg_conn *c, struct pg_portal *p, const struct fetch *f, uint64_t *rows)
{
    if (!p->rows)
        pg_portal_park(c, p);
    if (p->state == PORTAL_FAILED) {
        pg_error(c, "55000", "the rows of cursor \"%s\" cannot be read", p->name);
        return false;
    }
    p->result.max_rows = 0;
    p->result.rows = 0;
    p->result.text = &p->prepared->text;
    if (f->direction == RELATIVE_ROWS)
        walk(c, p, f->n);
    else
        jump(c, p, f);
    *rows = p->result.rows;
    if (p->result.failed) {
        pgwire_write_error(&c->io.out, 'E', &p->result.fault);
        pg_tx_failed(c);
        return false;
    }
    if (!rowset_ok(p->rows)) {
        pg_error(c, "53100", "rows that were put aside cannot be read again");
        return false;
    }
    return true;
}

static bool forward(struct pg_conn *c, struct pg_portal *p, const struct fetch *f, uint64_t *rows)
{
    uint64_t n = f->n == ALL_ROWS ? 0 : (uint64_t)f->n;

    if (f->direction != RELATIVE_ROWS || f->n < 0)
        return no_way_back(c);
    if (f->n == 0 || p->state == PORTAL_DONE)
        return true;
    if (pg_portal_advance(c, p, n) == PG_ADVANCE_FAILED)
        return false;
    *rows = p->result.rows;
    return true;
}

static bool fetch(struct pg_conn *c, struct pg_words *r, bool describe, char tag[PG_TAG_BYTES])
{
    struct fetch f;
    struct pg_portal *p;
    uint64_t rows = 0;

    if (!read_fetch(r, &f))
        return pg_words_syntax(c, r);
    p = find_cursor(c, f.name);
    if (!p) {
        pg_error(c, "34000", "cursor \"%s\" does not exist", f.name);
        return false;
    }
    p->result.silent = f.move;
    p->result.describe = false;
    if (describe && !f.move)
        pg_prepared_write_columns(c, p->prepared, p->formats.data, p->result.n_formats);
    if (!(p->scroll ? scroll(c, p, &f, &rows) : forward(c, p, &f, &rows)))
        return false;
    (void)snprintf(tag, PG_TAG_BYTES, "%s %llu", f.move ? "MOVE" : "FETCH",
                   (unsigned long long)rows);
    return true;
}

/* ---- CLOSE ---- */

static bool close_cursor(struct pg_conn *c, struct pg_words *r)
{
    char name[NAME_BYTES];
    struct pg_portal *p, *next;

    pg_words_next(r);
    if (pg_words_skip(r, "ALL")) {
        for (p = c->portals; p; p = next) {
            next = p->next;
            if (p->cursor)
                pg_portal_remove(c, p);
        }
        return true;
    }
    if (!pg_words_name(r, name, sizeof name))
        return pg_words_syntax(c, r);
    p = pg_portal_find(c, name);
    if (!p) {
        pg_error(c, "34000", "cursor \"%s\" does not exist", name);
        return false;
    }
    pg_portal_remove(c, p);
    return true;
}

bool pg_run_cursor(struct pg_conn *c, const struct pg_text *t, bool describe,
                   const struct pg_portal *from, char tag[PG_TAG_BYTES])
{
    struct pg_words r;

    pg_words_begin(&r, t);
    pg_tag(tag, t->tag);
    if (pg_words_is(&r, "DECLARE"))
        return declare(c, &r, from);
    if (pg_words_is(&r, "CLOSE"))
        return close_cursor(c, &r);
    return fetch(c, &r, describe, tag);
}
