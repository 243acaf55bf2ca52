/* Statements by name. A portal keeps its statement alive, so that Close and a new Parse of the
 * unnamed one do not pull it from under a running portal. */
#include <stdlib.h>
#include <string.h>

#include "wire/pg/session.h"

#define BUCKETS      (sizeof((struct pg_conn *)0)->prepared / sizeof(struct pg_prepared *))
#define PREPARED_MAX 20000 /* of one connection */

struct pg_prepared *pg_prepared_new(struct pg_conn *c, const char *name, const struct pg_text *t)
{
    struct pg_prepared *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->refs = 1;
    p->name = strdup(name);
    p->sql = strndup(t->sql, t->len);
    p->run = t->run != t->sql ? strndup(t->run, t->run_len) : NULL;
    p->text = *t;
    pg_result_init(&p->shape, c);
    if (!p->name || !p->sql || (t->run != t->sql && !p->run)) {
        pg_prepared_unref(p);
        return NULL;
    }
    p->text.sql = p->sql;
    p->text.run = p->run ? p->run : p->sql;
    return p;
}

struct pg_prepared *pg_prepared_ref(struct pg_prepared *p)
{
    p->refs++;
    return p;
}

void pg_prepared_unref(struct pg_prepared *p)
{
    if (!p || --p->refs > 0)
        return;
    pg_result_fini(&p->shape);
    free(p->name);
    free(p->sql);
    free(p->run);
    free(p->params);
    free(p->sent);
    free(p->types);
    free(p);
}

static struct pg_prepared **bucket(struct pg_conn *c, const char *name)
{
    size_t h = 5381;

    for (; *name; name++)
        h = h * 33 + (unsigned char)*name;
    return &c->prepared[h % BUCKETS];
}

struct pg_prepared *pg_prepared_find(struct pg_conn *c, const char *name)
{
    for (struct pg_prepared *p = *bucket(c, name); p; p = p->next)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

bool pg_prepared_add(struct pg_conn *c, struct pg_prepared *p)
{
    struct pg_prepared **b = bucket(c, p->name);

    if (c->n_prepared >= PREPARED_MAX) {
        pg_prepared_unref(p);
        return false;
    }
    p->next = *b;
    *b = p;
    c->n_prepared++;
    return true;
}

void pg_prepared_remove(struct pg_conn *c, const char *name)
{
    for (struct pg_prepared **at = bucket(c, name); *at; at = &(*at)->next) {
        struct pg_prepared *p = *at;
        if (strcmp(p->name, name) != 0)
            continue;
        *at = p->next;
        p->next = NULL;
        c->n_prepared--;
        pg_prepared_unref(p);
        return;
    }
}

void pg_prepared_clear(struct pg_conn *c)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (c->prepared[i]) {
            struct pg_prepared *p = c->prepared[i];
            c->prepared[i] = p->next;
            pg_prepared_unref(p);
        }
    }
    c->n_prepared = 0;
}

bool pg_prepared_sent(struct pg_prepared *p, const struct pgwire_parse *m)
{
    p->sent = calloc(m->n_types ? m->n_types : 1, sizeof *p->sent);
    if (!p->sent)
        return false;
    p->n_sent = m->n_types;
    for (unsigned i = 0; i < m->n_types; i++)
        p->sent[i] = pgwire_parse_type(m, i);
    return true;
}

static bool param_room(struct pg_prepared *p, unsigned n)
{
    if (n <= p->n_params)
        return true;
    uint32_t *more = realloc(p->params, n * sizeof *more);
    if (!more)
        return false;
    memset(more + p->n_params, 0, (n - p->n_params) * sizeof *more);
    p->params = more;
    p->n_params = n;
    return true;
}

/* DECLARE: its parameters are those of its query. */
static bool describe_cursor(struct pg_conn *c, struct pg_prepared *p, const struct pg_text *t)
{
    struct pg_prepared *query = pg_prepared_new(c, "", t);
    bool ok = query && pg_prepared_describe(c, query) && param_room(p, query->n_params);

    for (unsigned i = 0; ok && i < query->n_params; i++)
        if (p->params[i] == PGTYPE_NONE)
            p->params[i] = query->params[i];
    if (!query)
        pg_error(c, "53200", "out of memory");
    pg_prepared_unref(query);
    p->known_params = ok;
    return ok;
}

bool pg_prepared_describe(struct pg_conn *c, struct pg_prepared *p)
{
    const struct query q = {.sql = p->text.run, .len = p->text.run_len};
    struct session_shape shape = {0};
    struct err e = ERR_INIT;

    if (p->known_params)
        return true;
    struct pg_text inner;
    if (pg_cursor_query(&p->text, &inner))
        return describe_cursor(c, p, &inner);
    if (pg_is_sql(&p->text)) {
        pg_portals_park(c);
        pg_result_again(&p->shape);
        p->shape.silent = true;
        p->shape.text =
            NULL; /* types that only the text tells are inferred below, with the tables */
        enum err_code code = session_describe(c->session, &q, &p->shape.sink, &shape, &e);
        p->shape.text = &p->text;
        p->shape.pending = false;
        if (code != ERR_OK) {
            pg_error_text(c, &e, &p->text);
            return false;
        }
        if (shape.n_params > PGWIRE_MAX_PARAMETERS || !param_room(p, shape.n_params)) {
            pg_error(c, "54023", "too many parameters");
            return false;
        }
        pg_infer_params(c, &p->text, p->params, p->n_params);
        if (p->shape.has_rows)
            pg_infer_columns(c, &p->text, pg_infer_ahead(c, &p->text), p->shape.columns,
                             p->shape.n_columns);
    }
    p->known_params = true;
    return true;
}

bool pg_prepared_promise(struct pg_prepared *p)
{
    unsigned n = p->shape.n_columns;

    if (p->promised)
        return true;
    p->types = calloc(n ? n : 1, sizeof *p->types);
    if (!p->types)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (p->shape.columns[i].type.oid == PGTYPE_NONE)
            p->shape.columns[i].type.oid = PGTYPE_TEXT;
        p->types[i] = p->shape.columns[i].type.oid;
    }
    p->n_types = n;
    p->promised = true;
    return true;
}

void pg_prepared_write_columns(struct pg_conn *c, struct pg_prepared *p, const char *formats,
                               unsigned n_formats)
{
    if (!p->shape.has_rows) {
        pgwire_write_empty(&c->io.out, 'n');
        return;
    }
    for (unsigned i = 0; i < p->shape.n_columns; i++)
        p->shape.columns[i].binary = pgwire_result_is_binary(formats, n_formats, i);
    pg_result_write_columns(&p->shape);
}
