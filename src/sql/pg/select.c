/*
 * The select list: names of its columns, set-returning functions in it, DISTINCT ON.
 *
 *   SELECT unnest(a) FROM t WHERE …   →   SELECT srf1.value AS "unnest" FROM t
 *                                         JOIN unnest(a) AS srf1 WHERE …
 */
#include <string.h>

#include "sql/pg/rewrite.h"

static bool is_srf(const char *name)
{
    static const char *const names[] = {
        "unnest",          "generate_series", "generate_subscripts",
        "_pg_expandarray", "string_to_table", "regexp_split_to_table"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

bool pg_is_srf(struct pg_rewrite *r, size_t i)
{
    return pg_is_name(r, i) && pg_punct(r, i + 1, "(") && is_srf(pg_name(r, i));
}

/* ---- where things end ---- */

static bool is_set_operator(const struct pg_rewrite *r, size_t i)
{
    return pg_word(r, i, "UNION") || pg_word(r, i, "EXCEPT") || pg_word(r, i, "INTERSECT");
}

static bool ends_select_list(const struct pg_rewrite *r, size_t i)
{
    static const char *const words[] = {"FROM",  "WHERE", "GROUP",  "HAVING", "ORDER",
                                        "LIMIT", "FETCH", "WINDOW", "OFFSET", "FOR"};

    if (pg_punct(r, i, ")") || is_set_operator(r, i))
        return true;
    if (pg_word(r, i, "FROM") && pg_word(r, i - 1, "DISTINCT"))
        return false; /* IS DISTINCT FROM */
    if (pg_punct(r, i - 1, ".") || pg_word(r, i - 1, "AS"))
        return false;
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (pg_word(r, i, words[k]))
            return true;
    return false;
}

static size_t list_end(const struct pg_rewrite *r, size_t i, size_t to)
{
    while (i < to && !ends_select_list(r, i))
        i = pg_skip(r, i);
    return i < to ? i : to;
}

/* The end of FROM: where WHERE and its like begin. `i` is FROM itself. */
static size_t from_end(const struct pg_rewrite *r, size_t i, size_t to)
{
    return list_end(r, i + 1, to);
}

static size_t query_end(const struct pg_rewrite *r, size_t i, size_t to)
{
    while (i < to && !pg_punct(r, i, ")") && !is_set_operator(r, i))
        i = pg_skip(r, i);
    return i < to ? i : to;
}

/* ---- the names of columns ---- */

static const char *name_of(struct pg_rewrite *r, size_t from, size_t to, unsigned depth);

static const char *name_of_cast(struct pg_rewrite *r, size_t from, size_t cast, unsigned depth)
{
    struct pg_type_ref ref;
    const char *inner = name_of(r, from, cast, depth);

    if (strcmp(inner, "?column?") != 0)
        return inner;
    pg_read_type(r, cast + 1, &ref);
    return ref.type ? ref.type->name : inner;
}

static const char *name_of_call(struct pg_rewrite *r, size_t name, size_t close, unsigned depth)
{
    const char *s = pg_name(r, name);
    size_t as;

    if (strcmp(s, "cast") == 0) {
        as = pg_find(r, name + 2, close, "AS");
        return name_of_cast(r, name + 2, as, depth);
    }
    if (strcmp(s, "trim") == 0)
        return "btrim";
    return s;
}

static const char *name_of(struct pg_rewrite *r, size_t from, size_t to, unsigned depth)
{
    size_t name = pg_skip_name(r, from), last = PG_NONE, close;

    if (from >= to || depth > PG_DEPTH_MAX)
        return "?column?";
    for (size_t i = from; i < to; i = pg_skip(r, i)) /* the last cast of all */
        if (pg_at(r, i)->type == PG_TOKEN_CAST)
            last = i;
        else if (pg_at(r, i)->type == PG_TOKEN_OP)
            return "?column?";
    if (last != PG_NONE)
        return name_of_cast(r, from, last, depth + 1);
    if (pg_word(r, from, "CASE"))
        return "case";
    if (pg_word(r, from, "EXISTS"))
        return "exists";
    if (pg_word(r, from, "ARRAY"))
        return "array";
    if (pg_word(r, from, "TRUE") || pg_word(r, from, "FALSE"))
        return "bool";
    if (pg_word(r, from, "NULL") || pg_word(r, from, "NOT"))
        return "?column?";
    if (pg_punct(r, from, "(")) {
        close = r->match[from];
        if (pg_word(r, from + 1, "SELECT"))
            return name_of(r, from + 2, list_end(r, from + 2, close), depth + 1);
        if (pg_punct(r, close + 1, ".") && pg_is_name(r, close + 2))
            return pg_name(r, close + 2);
        return close + 1 == to ? name_of(r, from + 1, close, depth + 1) : "?column?";
    }
    if (name > from) {
        if (pg_punct(r, name, "("))
            return name_of_call(r, name - 1, r->match[name], depth + 1);
        if (name == to || pg_punct(r, name, "["))
            return pg_name(r, name - 1);
    }
    return "?column?";
}

const char *pg_column_name_of(struct pg_rewrite *r, size_t from, size_t to)
{
    return name_of(r, from, to, 0);
}

/* ---- one item ---- */

static bool ends_operand(const struct pg_rewrite *r, size_t i)
{
    switch (pg_at(r, i)->type) {
    case PG_TOKEN_WORD:
        return !pg_reserved(pg_at(r, i)) || pg_word(r, i, "END") || pg_word(r, i, "NULL");
    case PG_TOKEN_PUNCT:
        return pg_punct(r, i, ")") || pg_punct(r, i, "]");
    case PG_TOKEN_OP:
    case PG_TOKEN_CAST:
        return false;
    default:
        return true;
    }
}

/* The alias of the item [from, to); PG_NONE if it has none. *end is where its expression ends. */
static size_t find_alias(const struct pg_rewrite *r, size_t from, size_t to, size_t *end)
{
    *end = to;
    if (to - from >= 3 && pg_word(r, to - 2, "AS")) {
        *end = to - 2;
        return to - 1;
    }
    if (to - from >= 2 && pg_is_name(r, to - 1) && !pg_reserved(pg_at(r, to - 1)) &&
        ends_operand(r, to - 2) && !pg_word(r, to - 1, "PRECISION") &&
        !pg_word(r, to - 1, "VARYING") && !pg_word(r, to - 1, "ZONE") &&
        !pg_interval_field(r, to - 1) && r->match[to - 1] == PG_NONE) {
        *end = to - 1;
        return to - 1;
    }
    return PG_NONE;
}

static void put_alias(struct pg_rewrite *r, size_t alias)
{
    size_t n;

    r->at = alias;
    if (pg_at(r, alias)->type == PG_TOKEN_WORD) {
        pg_putf(r, "AS \"%.*s\"", (int)pg_at(r, alias)->len, pg_at(r, alias)->text);
    } else if (pg_is_string(r, alias)) {
        pg_putf(r, "AS \"%s\"", pg_string(r, alias, &n));
    } else {
        pg_put(r, "AS");
        pg_copy(r, alias);
    }
}

static bool is_plain_column(const struct pg_rewrite *r, size_t from, size_t to)
{
    if (pg_punct(r, to - 1, "*"))
        return true;
    return pg_skip_name(r, from) == to;
}

/* Tokens as the text of their translation, which is not kept as pieces. */
static const char *render(struct pg_rewrite *r, size_t from, size_t to)
{
    size_t first = r->n_out, kept;
    struct buf b = BUF_INIT;
    struct pg_rewrite part;
    const char *text;

    pg_range(r, from, to);
    kept = r->n_out;
    part = *r;
    part.out = r->out + first;
    part.n_out = kept - first;
    pg_rewrite_emit(&part, &b, 0);
    r->n_out = first;
    text = pg_format(r, "%.*s", (int)b.len, b.data ? b.data : "");
    buf_free(&b);
    return text;
}

/* The set-returning functions of one select list. */
struct srfs {
    struct {
        const char *name, *args;
        unsigned number;
    } v[8];
    size_t n;
};

/* Moves the call at `name` to FROM; the number under which it is found there. */
static unsigned move_srf(struct pg_rewrite *r, struct srfs *s, size_t name)
{
    const char *args = render(r, name + 2, r->match[name + 1]);
    const char *f = pg_name(r, name);

    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i].name, f) == 0 && strcmp(s->v[i].args, args) == 0)
            return s->v[i].number;
    if (s->n == sizeof s->v / sizeof s->v[0]) {
        pg_fail(r, name, ERR_UNSUPPORTED, "too many set-returning functions in one select list");
        return 0;
    }
    s->v[s->n].name = f;
    s->v[s->n].args = args;
    s->v[s->n].number = ++r->srf;
    return s->v[s->n++].number;
}

/* srf(…), (srf(…)).n; false: the item is neither. */
static bool srf_item(struct pg_rewrite *r, struct srfs *s, size_t from, size_t to)
{
    size_t name = from + (pg_punct(r, from, "(") ? 1 : 0);
    const char *column = "value";

    while (pg_punct(r, name + 1, ".") && pg_is_name(r, name + 2))
        name += 2; /* information_schema. */
    if (r->schema || !pg_is_srf(r, name))
        return false;
    if (pg_punct(r, from, "(")) {
        if (r->match[from] != r->match[name + 1] + 1 || !pg_punct(r, r->match[from] + 1, ".") ||
            r->match[from] + 3 != to)
            return false;
        if (strcmp(pg_name(r, to - 1), "n") == 0)
            column = "ordinality";
    } else if (r->match[name + 1] + 1 != to) {
        return false;
    }
    r->at = from;
    pg_putf(r, "srf%u.%s", move_srf(r, s, name), column);
    return true;
}

static void item(struct pg_rewrite *r, struct srfs *s, size_t from, size_t to)
{
    size_t end, alias;

    if (from >= to)
        return;
    alias = find_alias(r, from, to, &end);
    if (!srf_item(r, s, from, end)) {
        size_t first = r->n_out;
        pg_range(r, from, end);
        /* A column that was renamed keeps the name that it was asked by. */
        if (is_plain_column(r, from, end) && alias == PG_NONE &&
            (pg_punct(r, end - 1, "*") ||
             (r->n_out > first && r->out[r->n_out - 1].text == pg_at(r, end - 1)->text)))
            return;
    }
    if (alias != PG_NONE)
        put_alias(r, alias);
    else
        pg_putf(r, "AS \"%s\"", pg_column_name_of(r, from, end));
}

static void items(struct pg_rewrite *r, struct srfs *s, size_t from, size_t to)
{
    while (from < to && !r->failed) {
        size_t comma = pg_find_punct(r, from, to, ",");
        item(r, s, from, comma);
        if (comma < to)
            pg_copy(r, comma);
        from = comma + 1;
    }
}

/* ---- FROM gets what the list's functions became ---- */

static void attach(struct pg_rewrite *r, const struct srfs *s, size_t list, size_t to)
{
    bool has_from = pg_word(r, list, "FROM");
    size_t at = has_from ? from_end(r, list, to) : list;
    const char *text = r->insert[at] ? r->insert[at] : "";

    for (size_t i = 0; i < s->n; i++) {
        bool first = i == 0;
        text = pg_format(r, "%s %s %s(%s) AS srf%u", text, first && !has_from ? "FROM" : "JOIN",
                         s->v[i].name, s->v[i].args, s->v[i].number);
        if (!first)
            text = pg_format(r, "%s ON srf%u.ordinality = srf%u.ordinality", text, s->v[i].number,
                             s->v[0].number);
    }
    if (s->n == 0)
        return;
    if (at < r->n && at < to)
        r->insert[at] = text;
    else if (at == list)
        pg_put(r, text);
    else
        pg_fail(r, list, ERR_INTERNAL, "a set-returning function was lost");
}

/* ---- DISTINCT ON ---- */

static void put_order(struct pg_rewrite *r, size_t order, size_t end)
{
    if (order < end) {
        pg_put(r, "ORDER BY");
        pg_range(r, order + 2, end);
    }
}

/* The names of the items, as the outer query lists them. */
static void outer_items(struct pg_rewrite *r, size_t from, size_t to)
{
    while (from < to && !r->failed) {
        size_t comma = pg_find_punct(r, from, to, ","), end, alias;
        const char *name;

        alias = find_alias(r, from, comma, &end);
        if (pg_punct(r, comma - 1, "*"))
            pg_fail(r, from, ERR_UNSUPPORTED,
                    "DISTINCT ON with * is not supported: name the columns");
        name = alias != PG_NONE ? pg_name(r, alias) : pg_column_name_of(r, from, end);
        pg_putf(r, "\"%s\"%s", name, comma < to ? "," : "");
        from = comma + 1;
    }
}

/* SELECT DISTINCT ON (k) items FROM … ORDER BY o LIMIT l: numbered in groups of k, the first of
 * each group, in the order o. */
static size_t distinct_on(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t on = i + 3, from = r->match[on] + 1, end = query_end(r, i, to);
    size_t list = list_end(r, from, end), order = pg_find(r, list, end, "ORDER");
    size_t limit = end, rest;
    struct srfs s = {.n = 0};

    for (size_t k = list; k < end && limit == end; k = pg_skip(r, k))
        if (pg_word(r, k, "LIMIT") || pg_word(r, k, "OFFSET") || pg_word(r, k, "FETCH") ||
            pg_word(r, k, "FOR"))
            limit = k;
    rest = order < limit ? order : limit;
    r->at = i;
    pg_put(r, "SELECT");
    outer_items(r, from, list);
    pg_put(r, "FROM (SELECT");
    items(r, &s, from, list);
    pg_put(r, ", row_number() OVER (PARTITION BY");
    pg_range(r, on + 1, r->match[on]);
    put_order(r, order, limit);
    pg_put(r, ") AS \"pg distinct\", row_number() OVER (");
    put_order(r, order, limit);
    pg_put(r, ") AS \"pg order\"");
    if (s.n)
        pg_fail(r, i, ERR_UNSUPPORTED, "DISTINCT ON with a set-returning function");
    pg_range(r, list, rest);
    pg_put(r, ") WHERE \"pg distinct\" = 1 ORDER BY \"pg order\"");
    return limit;
}

size_t pg_select(struct pg_rewrite *r, size_t i, size_t to)
{
    struct srfs s = {.n = 0};
    size_t list, from = i + 1;

    if (!pg_word(r, i, "SELECT"))
        return i;
    if (pg_words(r, i + 1, "DISTINCT", "ON") && pg_punct(r, i + 3, "("))
        return distinct_on(r, i, to);
    pg_copy(r, i);
    if (pg_word(r, from, "DISTINCT") || pg_word(r, from, "ALL"))
        pg_copy(r, from++);
    list = list_end(r, from, to);
    if (list == from) /* SELECT FROM t: no columns; SQLite wants one */
        pg_put(r, "NULL AS \"?column?\"");
    items(r, &s, from, list);
    attach(r, &s, list, to);
    return list;
}
