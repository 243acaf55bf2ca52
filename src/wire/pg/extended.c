/*
 * Parse, Bind, Describe, Execute, Close. After an error everything is skipped up to Sync.
 *
 * Outside a block, what runs between two Syncs is one transaction, as in PostgreSQL. The common
 * case, one Execute with Sync right behind it, is recognised by looking ahead in what has been
 * received: it commits alone, through the write group. The answer to Describe of a portal waits for
 * the Execute behind it, so that a statement is prepared once.
 */
#include <stdlib.h>
#include <string.h>

#include "wire/pg/session.h"

static void fail(struct pg_conn *c)
{
    c->skipping = true;
}

static void failure(struct pg_conn *c, const char *sqlstate, const char *text)
{
    pg_error(c, sqlstate, "%s", text);
    fail(c);
}

/* ---- Parse ---- */

static bool parse_params(struct pg_prepared *p, const struct pgwire_parse *m)
{
    if (m->n_types == 0)
        return true;
    p->params = calloc(m->n_types, sizeof *p->params);
    if (!p->params)
        return false;
    p->n_params = m->n_types;
    for (unsigned i = 0; i < m->n_types; i++) {
        p->params[i] = pgwire_parse_type(m, i);
        if (p->params[i] == PGTYPE_UNKNOWN)
            p->params[i] = PGTYPE_NONE;
    }
    return true;
}

/* The unnamed statement sent again with the same text and types is the one that is there. */
static bool is_same(const struct pg_prepared *p, const struct pgwire_parse *m)
{
    if (p->text.len != m->sql_len || memcmp(p->sql, m->sql, m->sql_len) != 0 ||
        p->n_sent != m->n_types)
        return false;
    for (unsigned i = 0; i < m->n_types; i++)
        if (pgwire_parse_type(m, i) != p->sent[i])
            return false;
    return true;
}

/* What the text is, translated; false with an error written. */
static bool read_text(struct pg_conn *c, const struct pgwire_parse *m, struct pg_text *t)
{
    size_t first = pg_split(m->sql, m->sql_len);
    struct pg_text rest;
    struct err e = ERR_INIT;

    pg_classify(t, m->sql, m->sql_len);
    pg_classify(&rest, m->sql + first, m->sql_len - first);
    if (rest.kind != PG_EMPTY) {
        pg_error(c, "42601", "cannot insert multiple commands into a prepared statement");
        return false;
    }
    if (!pg_tx_allows(c, t))
        return false;
    if (pg_is_sql(t) && pg_translate(c, t, &e) != ERR_OK) {
        t->changed = false;
        pg_error_text(c, &e, t);
        return false;
    }
    return true;
}

/* Adds the statement; false with an error written. */
static bool prepare(struct pg_conn *c, const struct pgwire_parse *m, const struct pg_text *t)
{
    struct pg_prepared *p = pg_prepared_new(c, m->name, t);

    if (!p || !parse_params(p, m) || !pg_prepared_sent(p, m)) {
        pg_prepared_unref(p);
        pg_error(c, "53200", "out of memory");
        return false;
    }
    /* Errors of a text that nothing follows yet are to be told now. */
    char follows = pg_peek(c, 0);
    if (follows != 'B' && follows != 'D' && !pg_prepared_describe(c, p)) {
        pg_prepared_unref(p);
        return false;
    }
    if (!pg_prepared_add(c, p)) {
        pg_error(c, "54000", "too many prepared statements");
        return false;
    }
    return true;
}

static void parse(struct pg_conn *c, const struct pg_message *msg)
{
    struct pgwire_parse m;
    struct pg_text t;

    if (!pgwire_read_parse(msg->body, msg->len, &m)) {
        failure(c, "08P01", "invalid Parse message");
        return;
    }
    if (!pg_check_text(c, m.sql, m.sql_len)) {
        fail(c);
        return;
    }
    struct pg_prepared *p = pg_prepared_find(c, m.name);
    if (p && *m.name) {
        pg_error(c, "42P05", "prepared statement \"%s\" already exists", m.name);
        fail(c);
        return;
    }
    if (p && c->tx != PG_TX_FAILED && is_same(p, &m) && !p->promised) {
        pgwire_write_empty(&c->io.out, '1');
        return;
    }
    if (p)
        pg_prepared_remove(c, "");
    if (read_text(c, &m, &t) && prepare(c, &m, &t))
        pgwire_write_empty(&c->io.out, '1');
    else
        fail(c);
}

/* ---- Bind ---- */

static void bad_param(struct pg_conn *c, unsigned i, uint32_t type, bool binary, const char *data,
                      size_t len, enum pgtype_fault f)
{
    int shown = binary ? 0 : (int)(len < 100 ? len : 100);

    if (f == PGTYPE_ENCODING)
        (void)pg_check_text(c, data, len);
    else if (f == PGTYPE_RANGE)
        pg_error(c, pgtype_sqlstate(type, f), "value \"%.*s\" is out of range for type %s", shown,
                 data, pgtype_name(type));
    else if (binary)
        pg_error(c, f == PGTYPE_NO_BINARY ? "42883" : "22P03",
                 "incorrect binary data format in bind parameter %u", i + 1);
    else
        pg_error(c, pgtype_sqlstate(type, f), "invalid input syntax for type %s: \"%.*s\"",
                 pgtype_name(type), shown, data);
}

static bool take_params(struct pg_conn *c, struct pg_params *to, const struct pg_prepared *s,
                        struct pgwire_bind *m)
{
    for (unsigned i = 0; i < m->n_params; i++) {
        uint32_t type = i < s->n_params ? s->params[i] : PGTYPE_NONE;
        bool binary = pgwire_param_is_binary(m, i);
        const char *data;
        size_t len;

        pgwire_next_param(m, &data, &len);
        if (!data) {
            pg_params_add_null(to);
            continue;
        }
        enum pgtype_fault f = pg_params_add(to, type, binary, data, len);
        if (f != PGTYPE_FINE) {
            bad_param(c, i, type, binary, data, len, f);
            return false;
        }
    }
    if (pg_params_settle(to))
        return true;
    pg_error(c, "53200", "out of memory");
    return false;
}

/* Does a parameter need its type to be known before its value can be read? */
static bool wants_types(const struct pg_prepared *s, const struct pgwire_bind *m)
{
    if (m->n_params != s->n_params)
        return true;
    for (unsigned i = 0; i < s->n_params; i++)
        if (s->params[i] == PGTYPE_NONE)
            return true;
    return false;
}

/* May the statement be bound to that? False with an error written. */
static bool may_bind(struct pg_conn *c, const struct pgwire_bind *m, struct pg_prepared *s)
{
    if (!s) {
        pg_error(c, "26000", "prepared statement \"%s\" does not exist", m->statement);
        return false;
    }
    if (!pg_tx_allows(c, &s->text) || (wants_types(s, m) && !pg_prepared_describe(c, s)))
        return false;
    if (m->n_params != s->n_params) {
        pg_error(c, "08P01",
                 "bind message supplies %u parameters, but prepared statement \"%s\" requires %u",
                 m->n_params, m->statement, s->n_params);
        return false;
    }
    return true;
}

/* In place of an unnamed one; NULL with an error written. */
static struct pg_portal *new_portal(struct pg_conn *c, const char *name)
{
    struct pg_portal *p = pg_portal_find(c, name);

    if (p && *name) {
        pg_error(c, "42P03", "cursor \"%s\" already exists", name);
        return NULL;
    }
    if (p)
        pg_portal_remove(c, p);
    p = pg_portal_new(c, name);
    if (!p)
        pg_error(c, "54000", "too many portals");
    return p;
}

static bool take_formats(struct pg_conn *c, struct pg_portal *p, const struct pgwire_bind *m)
{
    buf_put(&p->formats, m->results, (size_t)m->n_results * 2);
    p->result.formats = p->formats.data;
    p->result.n_formats = m->n_results;
    if (buf_ok(&p->formats))
        return true;
    pg_error(c, "53200", "out of memory");
    return false;
}

static void bind_portal(struct pg_conn *c, const struct pg_message *msg)
{
    struct pgwire_bind m;
    struct pg_prepared *s;
    struct pg_portal *p;

    if (!pgwire_read_bind(msg->body, msg->len, &m)) {
        failure(c, "08P01", "invalid Bind message");
        return;
    }
    s = pg_prepared_find(c, m.statement);
    if (!may_bind(c, &m, s) || !(p = new_portal(c, m.portal))) {
        fail(c);
        return;
    }
    /* Until it has its statement it is no portal: an error does not end it with the others, and
     * nothing finds it afterwards. */
    if (!take_params(c, &p->params, s, &m) || !take_formats(c, p, &m)) {
        pg_portal_remove(c, p);
        fail(c);
        return;
    }
    p->prepared = pg_prepared_ref(s);
    if (s->promised) {
        p->result.promised = s->types;
        p->result.n_promised = s->n_types;
    }
    pgwire_write_empty(&c->io.out, '2');
}

/* ---- Describe ---- */

static void write_command_columns(struct pg_conn *c, const struct pg_text *t)
{
    const char *names[32];
    unsigned n = t->kind == PG_COMMAND ? pg_show_columns(c, t, names, 32) : 0;

    struct pg_portal *cursor = t->kind == PG_CURSOR ? pg_cursor_of_fetch(c, t) : NULL;

    if (cursor)
        pg_prepared_write_columns(c, cursor->prepared, cursor->formats.data,
                                  cursor->result.n_formats);
    else if (n > 0)
        pg_write_text_columns(c, names, n);
    else
        pgwire_write_empty(&c->io.out, 'n');
}

static void describe_statement(struct pg_conn *c, const char *name)
{
    struct pg_prepared *s = pg_prepared_find(c, name);
    size_t start;

    if (!s) {
        pg_error(c, "26000", "prepared statement \"%s\" does not exist", name);
        fail(c);
        return;
    }
    if (!pg_tx_allows(c, &s->text) || !pg_prepared_describe(c, s)) {
        fail(c);
        return;
    }
    start = pgwire_begin(&c->io.out, 't');
    buf_be16(&c->io.out, (uint16_t)s->n_params);
    for (unsigned i = 0; i < s->n_params; i++)
        buf_be32(&c->io.out, s->params[i] ? s->params[i] : PGTYPE_TEXT);
    pgwire_end(&c->io.out, start);
    if (!pg_is_sql(&s->text))
        write_command_columns(c, &s->text);
    else if (pg_prepared_promise(s))
        pg_prepared_write_columns(c, s, NULL, 0);
    else
        failure(c, "53200", "out of memory");
}

/* The answer to Describe that no Execute follows at once. */
static bool describe_portal_now(struct pg_conn *c, struct pg_portal *p)
{
    struct pg_prepared *s = p->prepared;

    p->describe = false;
    if (!pg_is_sql(&s->text)) {
        write_command_columns(c, &s->text);
        return true;
    }
    if (p->state == PORTAL_READY && (!pg_prepared_describe(c, s) || !pg_prepared_promise(s))) {
        fail(c);
        return false;
    }
    p->result.promised = s->types;
    p->result.n_promised = s->n_types;
    pg_prepared_write_columns(c, s, p->formats.data, p->result.n_formats);
    return true;
}

static void describe_portal(struct pg_conn *c, const char *name)
{
    struct pg_portal *p = pg_portal_find(c, name);

    if (!p) {
        pg_error(c, "34000", "portal \"%s\" does not exist", name);
        fail(c);
        return;
    }
    if (!pg_tx_allows(c, &p->prepared->text)) {
        fail(c);
        return;
    }
    if (p->state == PORTAL_READY && pg_peek(c, 0) == 'E' && pg_is_sql(&p->prepared->text))
        p->describe = true;
    else
        (void)describe_portal_now(c, p);
}

/* ---- Execute ---- */

/* Is there nothing between here and Sync that runs? */
static bool is_alone(const struct pg_conn *c)
{
    for (unsigned i = 0; i < 4; i++) {
        char type = pg_peek(c, i);
        if (type == 'S')
            return true;
        if (type != 'C' && type != 'H')
            return false;
    }
    return false;
}

static bool execute_sql(struct pg_conn *c, struct pg_portal *p, uint32_t max_rows)
{
    const struct pg_text *t = &p->prepared->text;

    if (p->state == PORTAL_READY && t->kind == PG_WRITE && c->tx == PG_TX_IDLE && !is_alone(c) &&
        !pg_begin_implicit(c))
        return false;
    p->result.describe = p->result.no_data = p->describe;
    p->describe = false;
    return pg_portal_execute(c, p, max_rows);
}

static bool execute_other(struct pg_conn *c, struct pg_portal *p)
{
    const struct pg_text *t = &p->prepared->text;
    char tag[PG_TAG_BYTES] = "";
    bool ok;

    switch (t->kind) {
    case PG_EMPTY:
        pgwire_write_empty(&c->io.out, 'I');
        return true;
    case PG_COMMAND:
        ok = pg_run_command(c, t, false, tag);
        break;
    case PG_CURSOR:
        ok = pg_run_cursor(c, t, false, p, tag);
        break;
    case PG_COPY:
        ok = pg_run_copy(c, t, tag);
        break;
    default:
        ok = pg_control(c, t, tag); /* it may end the portal */
        break;
    }
    if (ok)
        pgwire_write_complete(&c->io.out, tag);
    return ok;
}

static void execute(struct pg_conn *c, const struct pg_message *msg)
{
    const char *name;
    uint32_t max_rows;
    struct pg_portal *p;

    if (!pgwire_read_execute(msg->body, msg->len, &name, &max_rows)) {
        failure(c, "08P01", "invalid Execute message");
        return;
    }
    p = pg_portal_find(c, name);
    if (!p) {
        pg_error(c, "34000", "portal \"%s\" does not exist", name);
        fail(c);
        return;
    }
    struct pg_prepared *s = pg_prepared_ref(p->prepared);
    bool ok = pg_tx_allows(c, &s->text) &&
              (pg_is_sql(&s->text) ? execute_sql(c, p, max_rows) : execute_other(c, p));
    pg_prepared_unref(s);
    if (!ok)
        fail(c);
}

/* ---- Close ---- */

static void close_target(struct pg_conn *c, char what, const char *name)
{
    if (what == 'S') {
        pg_prepared_remove(c, name);
    } else {
        struct pg_portal *p = pg_portal_find(c, name);
        if (p)
            pg_portal_remove(c, p);
    }
    pgwire_write_empty(&c->io.out, '3');
}

void pg_extended(struct pg_conn *c, const struct pg_message *m)
{
    const char *name;
    char what;

    switch (m->type) {
    case 'P':
        parse(c, m);
        return;
    case 'B':
        bind_portal(c, m);
        return;
    case 'E':
        execute(c, m);
        return;
    default:
        break;
    }
    if (!pgwire_read_target(m->body, m->len, &what, &name))
        failure(c, "08P01", "invalid Describe or Close message");
    else if (m->type == 'C')
        close_target(c, what, name);
    else if (what == 'S')
        describe_statement(c, name);
    else
        describe_portal(c, name);
}
