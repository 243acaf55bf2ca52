/*
 *   tokens → clauses → { aggregates } → each database's text, the merge's text
 */
#include "sql/cross_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sql/cross_impl.h"

/* ---- the hint ---- */

/* In blanks and comments between two tokens; its comment goes from *from to *to. */
static bool hint_in(const char *p, const char *end, const char **pattern, size_t *n,
                    const char **from, const char **to)
{
    while (end - p >= 2) {
        if (p[0] == '-' && p[1] == '-') {
            const char *nl = memchr(p, '\n', (size_t)(end - p));
            p = nl ? nl : end;
        } else if (p[0] == '/' && p[1] == '*') {
            const char *close = memmem(p + 2, (size_t)(end - p) - 2, "*/", 2);
            const char *stop = close ? close : end, *at = p + 2;
            if (at < stop && *at == '+') {
                for (at++; at < stop && strchr(" \t\r\n", *at); at++)
                    ;
                if (stop - at > 3 && strncasecmp(at, "db=", 3) == 0) {
                    for (at += 3; at < stop && strchr(" \t\r\n", *at); at++)
                        ;
                    while (stop > at && strchr(" \t\r\n", stop[-1]))
                        stop--;
                    *from = p;
                    *to = close ? close + 2 : end;
                    *pattern = at;
                    *n = (size_t)(stop - at);
                    return true;
                }
            }
            p = close ? close + 2 : end;
        } else {
            p++;
        }
    }
    return false;
}

bool cross_hint(const char *sql, size_t len, const char **pattern, size_t *n)
{
    const char *at = sql, *end = sql + len, *before = sql, *from, *to;
    struct lex_token t;
    bool more = true;

    if (!memmem(sql, len, "/*+", 3))
        return false;
    while (more) {
        more = lex_next(&at, end, &t);
        if (hint_in(before, more ? t.text : end, pattern, n, &from, &to))
            return true;
        if (more && t.type == LEX_TOKEN_SEMI)
            return false;
        before = at;
    }
    return false;
}

void cross_hint_keep(struct buf *out, const char *sql, size_t len)
{
    const char *pattern, *there;
    size_t n, m;

    if (out->len == 0 || !cross_hint(sql, len, &pattern, &n) ||
        cross_hint(out->data, out->len, &there, &m))
        return;
    while (out->len > 0 && strchr(" \t\r\n;", out->data[out->len - 1]))
        buf_cut(out, out->len - 1);
    buf_puts(out, " /*+ db=");
    buf_put(out, pattern, n);
    buf_puts(out, " */");
}

/* ---- tokens ---- */

bool cross_is(const struct cross_text *t, size_t i, const char *word)
{
    return i < t->n && lex_is(&t->tokens[i].t, word);
}

bool cross_is_punct(const struct cross_text *t, size_t i, char c)
{
    return i < t->n && t->tokens[i].t.type == LEX_TOKEN_PUNCT && *t->tokens[i].t.text == c;
}

size_t cross_close(const struct cross_text *t, size_t open)
{
    size_t i = open + 1;
    while (i < t->n && t->tokens[i].depth > t->tokens[open].depth)
        i++;
    return i;
}

/* Bare question marks get their numbers: 1 + the highest so far, as SQLite counts. */
struct numbering {
    struct lex_token names[256];
    unsigned n, highest;
};

static void number(struct numbering *x, const struct lex_token *t, struct buf *out)
{
    if (*t->text == '?' && t->len == 1) {
        buf_printf(out, "?%u", ++x->highest);
        return;
    }
    buf_put(out, t->text, t->len);
    if (*t->text == '?') {
        unsigned k = 0;
        for (size_t i = 1; i < t->len && k < 100000; i++)
            k = k * 10 + (unsigned)(t->text[i] - '0');
        x->highest = k > x->highest ? k : x->highest;
        return;
    }
    for (unsigned i = 0; i < x->n; i++)
        if (x->names[i].len == t->len && memcmp(x->names[i].text, t->text, t->len) == 0)
            return;
    x->highest++;
    if (x->n < sizeof x->names / sizeof *x->names)
        x->names[x->n++] = *t;
}

/* Without the hint, which would be part of a column's name. */
static void copy_gap(struct buf *out, const char *p, const char *end)
{
    const char *pattern, *from, *to;
    size_t n;
    while (hint_in(p, end, &pattern, &n, &from, &to)) {
        buf_put(out, p, (size_t)(from - p));
        buf_putc(out, ' ');
        p = to;
    }
    buf_put(out, p, (size_t)(end - p));
}

static bool copy_numbered(struct buf *out, const char *sql, size_t len)
{
    const char *at = sql, *end = sql + len, *before = sql;
    struct numbering x = {.n = 0};
    struct lex_token t;
    while (lex_next(&at, end, &t) && t.type != LEX_TOKEN_SEMI) {
        copy_gap(out, before, t.text);
        if (t.type == LEX_TOKEN_VARIABLE)
            number(&x, &t, out);
        else
            buf_put(out, t.text, t.len);
        before = at;
    }
    (void)buf_cstr(out);
    return buf_ok(out);
}

static bool cut(struct cross_text *t)
{
    const char *at = cross_text_whole(t), *end = at + t->text.len;
    size_t cap = 0;
    struct cross_token k = {.depth = 0};
    while (lex_next(&at, end, &k.t)) {
        bool closes = k.t.type == LEX_TOKEN_PUNCT && *k.t.text == ')';
        if (t->n == cap) {
            struct cross_token *grown = realloc(t->tokens, (cap = cap * 2 + 64) * sizeof k);
            if (!grown)
                return false;
            t->tokens = grown;
        }
        k.depth -= closes && k.depth > 0;
        t->tokens[t->n++] = k;
        k.depth += k.t.type == LEX_TOKEN_PUNCT && *k.t.text == '(';
    }
    return true;
}

/* ---- clauses ---- */

/* IS [NOT] DISTINCT FROM is no clause. */
static bool is_from(const struct cross_text *t, size_t i)
{
    return cross_is(t, i, "FROM") && !(i >= 2 && cross_is(t, i - 1, "DISTINCT") &&
                                       (cross_is(t, i - 2, "IS") || cross_is(t, i - 2, "NOT")));
}

static bool is_window(const struct cross_text *t, size_t i)
{
    return cross_is(t, i, "WINDOW") && cross_is(t, i + 2, "AS") && cross_is_punct(t, i + 3, '(');
}

static enum cross_clause clause_at(const struct cross_text *t, size_t i)
{
    if (is_from(t, i))
        return CLAUSE_FROM;
    if (cross_is(t, i, "WHERE"))
        return CLAUSE_WHERE;
    if (cross_is(t, i, "GROUP") && cross_is(t, i + 1, "BY"))
        return CLAUSE_GROUP;
    if (cross_is(t, i, "HAVING"))
        return CLAUSE_HAVING;
    if (is_window(t, i))
        return CLAUSE_WINDOW;
    if (cross_is(t, i, "ORDER") && cross_is(t, i + 1, "BY"))
        return CLAUSE_ORDER;
    if (cross_is(t, i, "LIMIT"))
        return CLAUSE_LIMIT;
    return CLAUSE_NONE;
}

static void find_clauses(struct cross_text *t)
{
    enum cross_clause in = CLAUSE_LIST;
    t->clauses[CLAUSE_LIST].begin = t->select + 1;
    for (size_t i = t->select + 1; i <= t->n; i++) {
        enum cross_clause c = i < t->n && t->tokens[i].depth == 0 ? clause_at(t, i) : CLAUSE_NONE;
        if (i == t->n || c != CLAUSE_NONE)
            t->clauses[in].end = i;
        if (c == CLAUSE_NONE)
            continue;
        in = c;
        t->clauses[in] =
            (struct cross_span){i + (c == CLAUSE_GROUP || c == CLAUSE_ORDER ? 2 : 1), t->n};
    }
    struct cross_span *list = &t->clauses[CLAUSE_LIST];
    t->distinct = cross_is(t, list->begin, "DISTINCT");
    if (t->distinct || cross_is(t, list->begin, "ALL"))
        list->begin++;
}

/* LIMIT l, LIMIT l OFFSET o, LIMIT o, l. */
static void find_limit(struct cross_text *t)
{
    struct cross_span s = t->clauses[CLAUSE_LIMIT];
    t->limit = s;
    for (size_t i = s.begin; i < s.end; i++) {
        if (t->tokens[i].depth > 0)
            continue;
        struct cross_span first = {s.begin, i}, second = {i + 1, s.end};
        if (cross_is(t, i, "OFFSET")) {
            t->limit = first;
            t->offset = second;
        } else if (cross_is_punct(t, i, ',')) {
            t->offset = first;
            t->limit = second;
        }
    }
}

/* UNION and its like, between which the same clauses may stand several times. */
static enum err_code find_compound(struct cross_text *t, struct err *e)
{
    bool all = false, sets = false;
    for (size_t i = t->select; i < t->n; i++) {
        if (t->tokens[i].depth > 0)
            continue;
        bool is_all = cross_is(t, i, "UNION") && cross_is(t, i + 1, "ALL");
        all = all || is_all;
        sets = sets || (!is_all && (cross_is(t, i, "UNION") || cross_is(t, i, "INTERSECT") ||
                                    cross_is(t, i, "EXCEPT")));
    }
    t->compound = all || sets;
    if (!t->compound)
        return ERR_OK;
    for (size_t i = t->select; i < t->n; i++)
        if (t->tokens[i].depth == 0 && (cross_is(t, i, "GROUP") || cross_aggregate_at(t, i)))
            return err_set(e, ERR_UNSUPPORTED,
                           "a query over several databases may not aggregate in an arm of a "
                           "compound SELECT");
    if (all && sets)
        return err_set(e, ERR_UNSUPPORTED,
                       "a query over several databases may not mix UNION ALL with UNION, "
                       "INTERSECT or EXCEPT");
    t->distinct = sets;
    return ERR_OK;
}

static bool has_aggregates(const struct cross_text *t)
{
    static const enum cross_clause places[] = {CLAUSE_LIST, CLAUSE_HAVING, CLAUSE_ORDER};
    struct cross_aggregate a;
    for (size_t k = 0; k < sizeof places / sizeof *places; k++)
        for (size_t i = t->clauses[places[k]].begin; i < t->clauses[places[k]].end;
             i = cross_next_aggregate(t, i, t->clauses[places[k]].end, &a))
            if (cross_aggregate_from(t, i, t->clauses[places[k]].end, &a))
                return true;
    return cross_has(t, CLAUSE_GROUP);
}

static enum err_code analyse(struct cross_text *t, struct err *e)
{
    /* Behind WITH, whose tables stand in parentheses. */
    while (t->select < t->n &&
           (t->tokens[t->select].depth > 0 || !cross_is(t, t->select, "SELECT")))
        t->select++;
    bool first_word = cross_is(t, 0, "SELECT") || cross_is(t, 0, "WITH");
    if (t->select == t->n || !first_word)
        return ERR_OK; /* VALUES, EXPLAIN, a PRAGMA: one after the other */
    find_clauses(t);
    find_limit(t);
    if (find_compound(t, e) != ERR_OK)
        return e->code;
    t->aggregate = !t->compound && has_aggregates(t);
    if (t->aggregate || t->distinct || cross_has(t, CLAUSE_ORDER))
        t->kind = CROSS_MERGE;
    else if (cross_has(t, CLAUSE_LIMIT))
        t->kind = CROSS_LIMIT;
    if (cross_has(t, CLAUSE_LIMIT)) {
        buf_puts(&t->bounds, "SELECT (");
        cross_put(t, &t->bounds, t->limit);
        buf_puts(&t->bounds, ") + 0, (");
        if (t->offset.end > t->offset.begin)
            cross_put(t, &t->bounds, t->offset);
        else
            buf_putc(&t->bounds, '0');
        buf_puts(&t->bounds, ") + 0");
    }
    (void)buf_cstr(&t->bounds);
    return buf_ok(&t->bounds) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- the whole ---- */

enum err_code cross_text_new(struct cross_text **out, const char *sql, size_t len, struct err *e)
{
    struct cross_text *t = calloc(1, sizeof *t);
    enum err_code code = ERR_OK;
    *out = NULL;
    if (!t || !copy_numbered(&t->text, sql, len) || !cut(t))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    else
        code = analyse(t, e);
    if (code != ERR_OK) {
        cross_text_free(t);
        return code;
    }
    *out = t;
    return ERR_OK;
}

void cross_text_free(struct cross_text *t)
{
    if (!t)
        return;
    buf_free(&t->text);
    buf_free(&t->bounds);
    free(t->tokens);
    free(t);
}

enum cross_kind cross_text_kind(const struct cross_text *t)
{
    return t->kind;
}

const char *cross_text_whole(const struct cross_text *t)
{
    return t->text.data ? t->text.data : "";
}

int cross_text_place(const struct cross_text *t, const char *sql, size_t len, int offset)
{
    const char *at = sql, *end = sql + len, *place = cross_text_whole(t) + offset;
    struct lex_token k;
    if (offset < 0)
        return offset;
    for (size_t i = 0; i < t->n && lex_next(&at, end, &k); i++) {
        const struct lex_token *mine = &t->tokens[i].t;
        if (place <= mine->text)
            return (int)(k.text - sql);
        if (place < mine->text + mine->len)
            return (int)(k.text - sql) + (mine->len == k.len ? (int)(place - mine->text) : 0);
    }
    return (int)len;
}

const char *cross_text_bounds(const struct cross_text *t)
{
    return t->bounds.data ? t->bounds.data : "";
}
