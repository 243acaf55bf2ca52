/* The tables of a statement, and what is a table in it without being one: queries in FROM and WITH.
 * All of them are in one list, wherever in the statement they stand. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/quote.h"
#include "wire/pg/infer.h"

struct column_sink {
    struct sink sink;
    struct arena *arena;
    struct infer_table *table;
};

static void on_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    struct column_sink *x = (struct column_sink *)s;

    x->table->columns = arena_alloc(x->arena, n * sizeof *x->table->columns);
    if (!x->table->columns)
        return;
    x->table->n = n;
    for (unsigned i = 0; i < n; i++) {
        const char *decl = cols[i].decltype;
        x->table->columns[i].name = arena_strdup(x->arena, cols[i].name);
        x->table->columns[i].type = pgtype_of_declared(decl, decl ? strlen(decl) : 0).oid;
    }
}

static void load(struct infer *x, struct session *session, struct infer_table *table)
{
    static const struct sink_ops ops = {.columns = on_columns};
    struct column_sink sink = {{&ops}, x->arena, table};
    struct buf sql = BUF_INIT;
    struct session_shape shape;
    struct err e = ERR_INIT;

    buf_puts(&sql, "SELECT * FROM ");
    quote_put_name(&sql, table->name);
    const struct query q = {.sql = buf_cstr(&sql), .len = sql.len};
    if (buf_ok(&sql))
        (void)session_describe(session, &q, &sink.sink, &shape, &e);
    buf_free(&sql);
}

static bool ends_alias(const struct infer *x, size_t i)
{
    static const char *const words[] = {
        "WHERE",  "SET",     "VALUES",    "ON",        "JOIN",      "LEFT",   "INNER",
        "CROSS",  "NATURAL", "GROUP",     "ORDER",     "LIMIT",     "USING",  "UNION",
        "SELECT", "DEFAULT", "RETURNING", "FULL",      "RIGHT",     "HAVING", "OFFSET",
        "FOR",    "WINDOW",  "EXCEPT",    "INTERSECT", "OVERRIDING"};

    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (infer_is(x, i, words[k]))
            return true;
    return false;
}

/* [schema .] name [[AS] alias] at i; answers where it ends. */
static size_t add_table(struct infer *x, struct session *s, size_t i)
{
    struct infer_table *t = &x->tables[x->n_tables];
    bool call_like = i > 0 && infer_is(x, i - 1, "INTO"); /* t (a, b): columns, no function */

    while (infer_is_name(x, i) && infer_op(x, i + 1, ".") && infer_is_name(x, i + 2))
        i += 2;
    if (!infer_is_name(x, i) || (infer_op(x, i + 1, "(") && !call_like) ||
        x->n_tables == INFER_TABLES)
        return i + 1;
    memset(t, 0, sizeof *t);
    t->name = t->alias = infer_name(x, i);
    i++;
    if (infer_is(x, i, "AS"))
        i++;
    if (infer_is_name(x, i) && !ends_alias(x, i))
        t->alias = infer_name(x, i++);
    if (!t->name || !t->alias)
        return i;
    load(x, s, t);
    if (t->n > 0)
        x->n_tables++;
    return i;
}

static void add_tables(struct infer *x, struct session *s)
{
    for (size_t i = 0; i < x->n; i++) {
        bool many = infer_is(x, i, "FROM") || infer_is(x, i, "USING");
        if (!many && !infer_is(x, i, "JOIN") && !infer_is(x, i, "INTO") &&
            !infer_is(x, i, "UPDATE"))
            continue;
        size_t at = i + 1;
        if (infer_is(x, at, "ONLY") || infer_is(x, at, "OR"))
            at += infer_is(x, at, "OR") ? 2 : 1;
        at = add_table(x, s, at);
        while (many && infer_op(x, at, ","))
            at = add_table(x, s, at + 1);
    }
}

/* ---- queries in place of tables ---- */

/* What the SELECT at token i answers under this name; `list`, where it is not 0, is the token
 * behind the parenthesis that gives its columns other names. Its own tables are known already, and
 * so are those queries that stand in its FROM. */
static void add_query(struct infer *x, size_t i, size_t to, char *name, size_t list)
{
    struct infer_table *t = &x->tables[x->n_tables];
    struct infer_item *items = arena_alloc(x->arena, INFER_ITEMS * sizeof *items);
    unsigned n = items ? infer_items(x, infer_list_start(x, i), to, items, INFER_ITEMS) : 0;

    if (!name || n == 0 || x->n_tables == INFER_TABLES)
        return;
    memset(t, 0, sizeof *t);
    t->name = t->alias = name;
    t->columns = arena_alloc(x->arena, n * sizeof *t->columns);
    if (!t->columns)
        return;
    for (; t->n < n && !items[t->n].star; t->n++) {
        const struct infer_item *item = &items[t->n];
        size_t last = list ? list + (size_t)2 * t->n : item->name;
        t->columns[t->n].name = infer_is_name(x, last) ? infer_name(x, last) : NULL;
        t->columns[t->n].type = infer_expression(x, item->from, item->to);
    }
    x->n_tables++;
}

/* FROM ( SELECT … ) [AS] name, and WITH name [( columns )] AS [[NOT] MATERIALIZED] ( SELECT … ):
 * `i` is the parenthesis. */
static void add_parenthesis(struct infer *x, size_t i)
{
    size_t behind = infer_behind(x, i, x->n), before = i - 1, list = 0;

    if (infer_is(x, before, "FROM") || infer_is(x, before, "JOIN") || infer_op(x, before, ",")) {
        behind += infer_is(x, behind, "AS");
        if (infer_is_name(x, behind) && !ends_alias(x, behind))
            add_query(x, i + 1, behind, infer_name(x, behind), 0);
        return;
    }
    while (before > 1 && (infer_is(x, before, "MATERIALIZED") || infer_is(x, before, "NOT")))
        before--;
    if (before == 0 || !infer_is(x, before, "AS"))
        return;
    before--;
    if (infer_op(x, before, ")")) {
        while (before > 1 && !infer_op(x, before, "("))
            before--;
        list = before + 1;
        before--;
    }
    if (infer_is_name(x, before))
        add_query(x, i + 1, behind - 1, infer_name(x, before), list);
}

void infer_tables(struct infer *x, struct session *s)
{
    add_tables(x, s);
    for (size_t i = x->n; i-- > 1 && x->n_tables < INFER_TABLES;) /* the inner ones first */
        if (infer_op(x, i, "(") && infer_is(x, i + 1, "SELECT"))
            add_parenthesis(x, i);
}

bool infer_has_queries(const struct infer *x)
{
    for (size_t i = 1; i < x->n; i++)
        if (infer_op(x, i, "(") && infer_is(x, i + 1, "SELECT") &&
            (infer_is(x, i - 1, "FROM") || infer_is(x, i - 1, "JOIN") || infer_op(x, i - 1, ",") ||
             infer_is(x, i - 1, "AS") || infer_is(x, i - 1, "MATERIALIZED")))
            return true;
    return false;
}

/* ---- columns ---- */

uint32_t infer_table_column(const struct infer_table *t, const char *name)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->columns[i].name && strcasecmp(t->columns[i].name, name) == 0)
            return t->columns[i].type;
    return PGTYPE_NONE;
}

uint32_t infer_column(const struct infer *x, size_t i)
{
    char *name = infer_is_name(x, i) ? infer_name(x, i) : NULL;
    char *qualifier = NULL;

    if (!name)
        return PGTYPE_NONE;
    if (i >= 2 && infer_op(x, i - 1, ".") && infer_is_name(x, i - 2))
        qualifier = infer_name(x, i - 2);
    for (unsigned k = 0; k < x->n_tables; k++) {
        const struct infer_table *t = &x->tables[k];
        if (qualifier && strcasecmp(t->alias, qualifier) != 0 &&
            strcasecmp(t->name, qualifier) != 0)
            continue;
        uint32_t type = infer_table_column(t, name);
        if (type != PGTYPE_NONE)
            return type;
    }
    if (x->missed)
        *x->missed = true;
    return PGTYPE_NONE;
}
