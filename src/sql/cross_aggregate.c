#include <string.h>
#include <strings.h>

#include "sql/cross_impl.h"

/* How an aggregate comes out of parts: %a are the arguments, %f the filter; %1 and %2 the columns
 * of the parts, %2 also the second argument (of group_concat). */
struct cross_merge {
    const char *name;
    unsigned parts;
    const char *each, *merge;
};

static const struct cross_merge merges[] = {
    {"count", 1, "count(%a)%f", "sum(%1)"},
    {"sum", 1, "sum(%a)%f", "sum(%1)"},
    {"total", 1, "total(%a)%f", "total(%1)"},
    {"min", 1, "min(%a)%f", "min(%1)"},
    {"max", 1, "max(%a)%f", "max(%1)"},
    {"avg", 2, "total(%a)%f, count(%a)%f", "CASE WHEN sum(%2) > 0 THEN total(%1) / sum(%2) END"},
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

/* The arguments one by one, without DISTINCT and ORDER BY. */
static unsigned put_arguments(const struct cross_text *t, const struct cross_aggregate *a,
                              struct buf *b)
{
    unsigned depth = t->tokens[a->begin].depth + 1, n = 0;
    struct cross_span one = {a->args.begin + (a->distinct ? 1 : 0), 0};
    for (size_t i = one.begin; i <= a->args.end && !a->star; i++) {
        bool ends = i == a->args.end || (t->tokens[i].depth == depth &&
                                         (cross_is_punct(t, i, ',') || cross_is(t, i, "ORDER")));
        if (!ends)
            continue;
        one.end = i;
        buf_puts(b, n++ > 0 ? ", " : "");
        cross_put(t, b, one);
        one.begin = i + 1 + (cross_is(t, i, "ORDER") ? 1 : 0);
        if (cross_is(t, i, "ORDER")) { /* its terms are columns, too, without their directions */
            for (; i < a->args.end; i++)
                if (cross_is(t, i, "ASC") || cross_is(t, i, "DESC") || cross_is(t, i, "NULLS"))
                    break;
            one.end = i;
            buf_puts(b, ", ");
            cross_put(t, b, one);
            return n + 1;
        }
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
    unsigned depth = t->tokens[a->begin].depth + 1, k = first;
    buf_put(b, t->tokens[a->begin].t.text, t->tokens[a->begin].t.len);
    buf_puts(b, a->distinct ? "(DISTINCT " : "(");
    if (cross_is_punct(t, a->args.begin, '*'))
        buf_putc(b, '*');
    else if (!a->star)
        buf_printf(b, "\"ha:h%u\"", k++);
    for (size_t i = a->args.begin; i < a->args.end && !a->star; i++) {
        if (t->tokens[i].depth != depth)
            continue;
        if (cross_is_punct(t, i, ','))
            buf_printf(b, ", \"ha:h%u\"", k++);
        if (!cross_is(t, i, "ORDER"))
            continue;
        buf_printf(b, " ORDER BY \"ha:h%u\"", k++);
        for (; i < a->args.end; i++)
            if (cross_is(t, i, "ASC") || cross_is(t, i, "DESC") || cross_is(t, i, "NULLS")) {
                buf_putc(b, ' ');
                cross_put(t, b, (struct cross_span){i, a->args.end});
                break;
            }
        break;
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
        buf_printf(merge, "\"ha:h%u\"", first + (unsigned)(*++p - '1'));
    }
    buf_putc(merge, ')');
}
