#include <string.h>
#include <strings.h>

#include "sql/cross_impl.h"

/* How an aggregate comes out of parts: %a are the arguments, %f the filter, %c how the arguments
 * say that they are compared; %1 and %2 the columns of the parts. */
struct cross_merge {
    const char *name;
    unsigned parts;
    bool compares; /* the first part as the second, which is the argument itself */
    const char *each, *merge;
};

static const struct cross_merge merges[] = {
    {"count", 1, false, "count(%a)%f", "sum(%1)"},
    {"sum", 1, false, "sum(%a)%f", "sum(%1)"},
    {"total", 1, false, "total(%a)%f", "total(%1)"},
    {"min", 2, true, "min(%a)%f, %a", "min(%1%c)"},
    {"max", 2, true, "max(%a)%f, %a", "max(%1%c)"},
    {"avg", 2, false, "total(%a)%f, count(%a)%f",
     "CASE WHEN sum(%2) > 0 THEN total(%1) / sum(%2) END"},
};

/* The rest of them, of SQLite and of PostgreSQL's dialect. */
static const char *const others[] = {
    "group_concat",
    "string_agg",
    "json_group_array",
    "json_group_object",
    "jsonb_group_array",
    "jsonb_group_object",
    "array_agg",
    "pg_sum",
    "median",
    "percentile",
    "percentile_cont",
    "percentile_disc",
};

static bool is_name(const struct lex_token *t, const char *name)
{
    return t->type == LEX_TOKEN_WORD && t->len == strlen(name) &&
           strncasecmp(t->text, name, t->len) == 0;
}

static bool find(const struct lex_token *t, const struct cross_merge **how)
{
    *how = NULL;
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++)
        if (is_name(t, merges[i].name)) {
            *how = &merges[i];
            return true;
        }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (is_name(t, others[i]))
            return true;
    return false;
}

static unsigned count_commas(const struct cross_text *t, struct cross_span s, unsigned depth)
{
    unsigned n = 0;
    for (size_t i = s.begin; i < s.end; i++)
        n += t->tokens[i].depth == depth && cross_is_punct(t, i, ',');
    return n;
}

static bool has_order(const struct cross_text *t, struct cross_span s, unsigned depth)
{
    for (size_t i = s.begin; i < s.end; i++)
        if (t->tokens[i].depth == depth && cross_is(t, i, "ORDER"))
            return true;
    return false;
}

bool cross_aggregate_from(const struct cross_text *t, size_t i, size_t end,
                          struct cross_aggregate *a)
{
    if (i + 2 >= t->n || !cross_is_punct(t, i + 1, '(') || !find(&t->tokens[i].t, &a->how))
        return false;
    if (i > 0 && cross_is_punct(t, i - 1, '.'))
        return false;
    size_t close = cross_close(t, i + 1);
    unsigned depth = t->tokens[i].depth + 1;
    a->begin = i;
    a->end = close + 1;
    a->args = (struct cross_span){i + 2, close};
    a->filter = (struct cross_span){0, 0};
    a->star = cross_is_punct(t, i + 2, '*') || close == i + 2;
    a->distinct = cross_is(t, i + 2, "DISTINCT");
    if (cross_is(t, a->end, "FILTER") && cross_is_punct(t, a->end + 1, '(')) {
        size_t open = a->end + 1;
        a->filter = (struct cross_span){open + 2, cross_close(t, open)}; /* behind WHERE */
        a->end = a->filter.end + 1;
    }
    if (a->end > end || cross_is(t, a->end, "OVER")) /* a window */
        return false;
    bool few = is_name(&t->tokens[i].t, "min") || is_name(&t->tokens[i].t, "max");
    if (few && count_commas(t, a->args, depth) > 0) /* of several values, not of rows */
        return false;
    if (few && a->distinct) { /* says nothing there */
        a->distinct = false;
        a->args.begin++;
    }
    if (a->distinct || has_order(t, a->args, depth))
        a->how = NULL;
    return true;
}

bool cross_aggregate_at(const struct cross_text *t, size_t i)
{
    struct cross_aggregate a;
    return cross_aggregate_from(t, i, t->n, &a);
}

size_t cross_next_aggregate(const struct cross_text *t, size_t i, size_t end,
                            struct cross_aggregate *a)
{
    if (cross_aggregate_from(t, i, end, a))
        return a->end;
    /* A query of its own aggregates for itself. */
    if (cross_is_punct(t, i, '(') && (cross_is(t, i + 1, "SELECT") || cross_is(t, i + 1, "WITH") ||
                                      cross_is(t, i + 1, "VALUES")))
        return cross_close(t, i) + 1;
    return i + 1;
}

/* ---- texts ---- */

static void put_filter(const struct cross_text *t, const struct cross_aggregate *a, struct buf *b)
{
    if (a->filter.end == a->filter.begin)
        return;
    buf_puts(b, " FILTER (WHERE ");
    cross_put(t, b, a->filter);
    buf_putc(b, ')');
}

/* " COLLATE x" where an expression ends with it. */
static void put_collation(const struct cross_text *t, struct cross_span s, struct buf *b)
{
    if (s.end - s.begin <= 2 || !cross_is(t, s.end - 2, "COLLATE"))
        return;
    buf_putc(b, ' ');
    cross_put(t, b, (struct cross_span){s.end - 2, s.end});
}

bool cross_aggregate_compares(const struct cross_aggregate *a)
{
    return a->how && a->how->compares;
}

/* Where the next argument, or term of its ORDER BY, ends. */
static size_t argument_end(const struct cross_text *t, const struct cross_aggregate *a, size_t i)
{
    unsigned depth = t->tokens[a->begin].depth + 1;
    while (i < a->args.end &&
           !(t->tokens[i].depth == depth && (cross_is_punct(t, i, ',') || cross_is(t, i, "ORDER"))))
        i++;
    return i;
}

size_t cross_direction(const struct cross_text *t, struct cross_span s)
{
    while (s.end > s.begin && (cross_is(t, s.end - 1, "ASC") || cross_is(t, s.end - 1, "DESC") ||
                               cross_is(t, s.end - 1, "NULLS") || cross_is(t, s.end - 1, "FIRST") ||
                               cross_is(t, s.end - 1, "LAST")))
        s.end--;
    return s.end;
}

/* The arguments one by one, the terms of an ORDER BY among them. */
static unsigned put_arguments(const struct cross_text *t, const struct cross_aggregate *a,
                              struct buf *b)
{
    unsigned n = 0;
    size_t i = a->args.begin + (a->distinct ? 1 : 0);
    while (i < a->args.end && !a->star) {
        struct cross_span arg = {i, argument_end(t, a, i)};
        i = arg.end + (cross_is(t, arg.end, "ORDER") ? 2 : 1);
        arg.end = cross_direction(t, arg);
        buf_puts(b, n++ > 0 ? ", " : "");
        cross_put(t, b, arg);
    }
    return n;
}

unsigned cross_aggregate_parts(const struct cross_text *t, const struct cross_aggregate *a,
                               bool raw, struct buf *each)
{
    if (raw) {
        unsigned n = put_arguments(t, a, each);
        if (a->filter.end == a->filter.begin)
            return n;
        buf_puts(each, n > 0 ? ", " : "");
        cross_put(t, each, a->filter);
        return n + 1;
    }
    for (const char *p = a->how->each; *p; p++) {
        if (*p != '%')
            buf_putc(each, *p);
        else if (*++p == 'a')
            cross_put(t, each, a->args);
        else
            put_filter(t, a, each);
    }
    return a->how->parts;
}

static void merge_raw(const struct cross_text *t, const struct cross_aggregate *a, unsigned first,
                      struct buf *b)
{
    unsigned k = first;
    size_t i = a->args.begin + (a->distinct ? 1 : 0);
    buf_put(b, t->tokens[a->begin].t.text, t->tokens[a->begin].t.len);
    buf_puts(b, a->distinct ? "(DISTINCT " : "(");
    if (a->star)
        cross_put(t, b, a->args);
    while (i < a->args.end && !a->star) {
        struct cross_span arg = {i, argument_end(t, a, i)};
        size_t direction = cross_direction(t, arg);
        buf_printf(b, "\"ha:h%u\"", k++);
        put_collation(t, (struct cross_span){arg.begin, direction}, b);
        if (direction < arg.end) {
            buf_putc(b, ' ');
            cross_put(t, b, (struct cross_span){direction, arg.end});
        }
        bool order = cross_is(t, arg.end, "ORDER") && arg.end < a->args.end;
        if (arg.end < a->args.end)
            buf_puts(b, order ? " ORDER BY " : ", ");
        i = arg.end + (order ? 2 : 1);
    }
    buf_putc(b, ')');
    if (a->filter.end > a->filter.begin)
        buf_printf(b, " FILTER (WHERE \"ha:h%u\")", k);
}

void cross_aggregate_merge(const struct cross_text *t, const struct cross_aggregate *a, bool raw,
                           unsigned first, struct buf *merge)
{
    if (raw) {
        merge_raw(t, a, first, merge);
        return;
    }
    buf_putc(merge, '(');
    for (const char *p = a->how->merge; *p; p++) {
        if (*p != '%') {
            buf_putc(merge, *p);
            continue;
        }
        if (*++p == 'c')
            put_collation(t, a->args, merge);
        else
            buf_printf(merge, "\"ha:h%u\"", first + (unsigned)(*p - '1'));
    }
    buf_putc(merge, ')');
}
