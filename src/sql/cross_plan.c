/*
 * The two texts. What the merge can say with the names of the result's columns it says with them;
 * what it cannot is computed by each database in an added column.
 */
#include <stdlib.h>
#include <string.h>

#include "sql/cross_impl.h"

struct maker {
    const struct cross_text *t;
    const char *const *names;
    unsigned n;
    bool alias, raw;
    cross_probe *probe;
    void *arg;
    struct buf added; /* columns that each database adds, each with a comma in front */
    unsigned hidden;
    bool compared[CROSS_HIDDEN];
    struct buf list, group, having, order; /* of the merge */
    bool having_each;                      /* HAVING is each database's own */
};

void cross_put(const struct cross_text *t, struct buf *b, struct cross_span s)
{
    if (s.end <= s.begin)
        return;
    const struct lex_token *first = &t->tokens[s.begin].t, *last = &t->tokens[s.end - 1].t;
    buf_put(b, first->text, (size_t)(last->text + last->len - first->text));
}

/* ---- pieces ---- */

static bool any_aggregate(const struct cross_text *t, struct cross_span s)
{
    struct cross_aggregate a;
    for (size_t i = s.begin; i < s.end; i = cross_next_aggregate(t, i, s.end, &a))
        if (cross_aggregate_from(t, i, s.end, &a))
            return true;
    return false;
}

/* The span's text, its aggregates replaced by what they come out of. */
static void put_merged(struct maker *m, struct buf *b, struct cross_span s)
{
    const struct cross_text *t = m->t;
    struct cross_aggregate a;
    size_t run = s.begin;
    for (size_t i = s.begin; i < s.end; i = cross_next_aggregate(t, i, s.end, &a)) {
        if (!cross_aggregate_from(t, i, s.end, &a))
            continue;
        cross_put(t, b, (struct cross_span){run, i});
        buf_putc(b, ' ');
        struct buf parts = BUF_INIT;
        unsigned n = cross_aggregate_parts(t, &a, m->raw, &parts);
        if (n > 0)
            buf_printf(&m->added, ", %s", buf_cstr(&parts));
        buf_free(&parts);
        cross_aggregate_merge(t, &a, m->raw, m->hidden + 1, b);
        if (!m->raw && cross_aggregate_compares(&a) && m->hidden < CROSS_HIDDEN)
            m->compared[m->hidden] = true;
        buf_putc(b, ' ');
        m->hidden += n;
        run = a.end;
    }
    cross_put(t, b, (struct cross_span){run, s.end});
}

static void add_hidden(struct maker *m, struct cross_span s)
{
    buf_puts(&m->added, ", ");
    cross_put(m->t, &m->added, s);
    m->hidden++;
}

/* The next of the expressions between commas; false at the end. */
static bool next_term(const struct cross_text *t, struct cross_span all, struct cross_span *term)
{
    term->begin = term->end == 0 ? all.begin : term->end + 1;
    if (term->begin >= all.end)
        return false;
    for (term->end = term->begin; term->end < all.end; term->end++)
        if (t->tokens[term->end].depth == t->tokens[all.begin].depth &&
            cross_is_punct(t, term->end, ','))
            break;
    return true;
}

/* "x COLLATE y" without and with what is behind x; where there is nothing both are empty. */
static struct cross_span split_collation(const struct cross_text *t, struct cross_span *s)
{
    struct cross_span collation = {s->end, s->end};
    if (s->end - s->begin > 2 && cross_is(t, s->end - 2, "COLLATE")) {
        collation.begin = s->end - 2;
        s->end -= 2;
    }
    return collation;
}

/* Words behind which an operand stands, or which end an expression themselves. */
static bool is_operator(const struct cross_text *t, size_t i)
{
    static const char *const words[] = {
        "AND",    "OR",      "NOT",    "IS",   "LIKE",   "GLOB",    "MATCH",    "REGEXP",
        "IN",     "FROM",    "ESCAPE", "THEN", "ELSE",   "WHEN",    "CASE",     "BETWEEN",
        "EXISTS", "COLLATE", "END",    "NULL", "ISNULL", "NOTNULL", "DISTINCT",
    };
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (cross_is(t, i, words[k]))
            return true;
    return false;
}

/* Takes the alias from an item of the list: AS name, or a name alone behind an expression. */
static void cut_alias(const struct cross_text *t, struct cross_span *s)
{
    size_t n = s->end - s->begin;
    if (n > 2 && cross_is(t, s->end - 2, "AS"))
        s->end -= 2;
    else if (n > 1 && t->tokens[s->end - 2].depth == t->tokens[s->begin].depth &&
             (t->tokens[s->end - 1].t.type == LEX_TOKEN_WORD ||
              t->tokens[s->end - 1].t.type == LEX_TOKEN_QUOTED) &&
             !is_operator(t, s->end - 1) &&
             (!is_operator(t, s->end - 2) || cross_is(t, s->end - 2, "END") ||
              cross_is(t, s->end - 2, "NULL")) &&
             !cross_is_punct(t, s->end - 2, '.') &&
             (t->tokens[s->end - 2].t.type != LEX_TOKEN_PUNCT ||
              cross_is_punct(t, s->end - 2, ')')))
        s->end--;
}

static bool is_star(const struct cross_text *t, struct cross_span s)
{
    return s.end > s.begin && cross_is_punct(t, s.end - 1, '*') &&
           (s.end - s.begin == 1 || cross_is_punct(t, s.end - 2, '.'));
}

static void put_name(struct buf *b, const char *name)
{
    buf_puts(b, " AS \"");
    for (; *name; name++) {
        if (*name == '"')
            buf_putc(b, '"');
        buf_putc(b, *name);
    }
    buf_putc(b, '"');
}

static bool is_number(const struct cross_text *t, struct cross_span s)
{
    return s.end - s.begin == 1 && t->tokens[s.begin].t.type == LEX_TOKEN_NUMBER;
}

/* ---- the merge's clauses ---- */

static enum err_code make_list(struct maker *m, struct err *e)
{
    struct cross_span all = m->t->clauses[CLAUSE_LIST], item = {0, 0};
    bool stars = m->t->compound;
    for (; !stars && next_term(m->t, all, &item);)
        stars = is_star(m->t, item);
    if (stars && m->t->aggregate)
        return err_set(e, ERR_UNSUPPORTED,
                       "a query over several databases may not have * beside an aggregate or "
                       "GROUP BY: name the columns");
    item = (struct cross_span){0, 0};
    for (unsigned i = 0; i < m->n; i++) {
        struct cross_span expr, collation = {0, 0};
        buf_puts(&m->list, i > 0 ? ", " : "");
        if (!stars && next_term(m->t, all, &item)) {
            expr = item;
            cut_alias(m->t, &expr);
            struct cross_span whole = expr;
            collation = split_collation(m->t, &expr);
            if (m->t->aggregate && any_aggregate(m->t, whole)) {
                put_merged(m, &m->list, whole);
                put_name(&m->list, m->names[i]);
                continue;
            }
        }
        buf_printf(&m->list, "\"ha:c%u\"", i + 1);
        if (collation.end > collation.begin) {
            buf_putc(&m->list, ' ');
            cross_put(m->t, &m->list, collation);
        }
        put_name(&m->list, m->names[i]);
    }
    return ERR_OK;
}

/* Where a GROUP BY's name is none of a table but of a result's column. */
static int column_named(const struct maker *m, struct cross_span s)
{
    char name[256];
    const struct lex_token *t = &m->t->tokens[s.begin].t;
    if (s.end - s.begin != 1 || t->len >= sizeof name)
        return -1;
    size_t len = lex_unquote(t, name);
    for (unsigned i = 0; i < m->n; i++)
        if (strlen(m->names[i]) == len && strncasecmp(m->names[i], name, len) == 0)
            return (int)i;
    return -1;
}

static void make_group(struct maker *m)
{
    struct cross_span all = m->t->clauses[CLAUSE_GROUP], term = {0, 0};
    while (cross_has(m->t, CLAUSE_GROUP) && next_term(m->t, all, &term)) {
        struct cross_span expr = term;
        struct cross_span collation = split_collation(m->t, &expr);
        int column = m->alias ? column_named(m, expr) : -1;
        buf_puts(&m->group, m->group.len > 0 ? ", " : "");
        if (is_number(m->t, expr)) {
            buf_puts(&m->group, "\"ha:c");
            cross_put(m->t, &m->group, expr);
            buf_putc(&m->group, '"');
        } else if (column >= 0) {
            buf_printf(&m->group, "\"ha:c%d\"", column + 1);
        } else {
            add_hidden(m, expr);
            buf_printf(&m->group, "\"ha:h%u\"", m->hidden);
        }
        if (collation.end > collation.begin) {
            buf_putc(&m->group, ' ');
            cross_put(m->t, &m->group, collation);
        }
    }
}

static void put_merge(const struct maker *m, struct buf *b, const struct buf *order)
{
    buf_puts(b, m->t->distinct ? "SELECT DISTINCT " : "SELECT ");
    buf_put(b, m->list.data, m->list.len);
    buf_puts(b, " FROM \"ha:rows\"");
    if (m->group.len > 0) {
        buf_puts(b, " GROUP BY ");
        buf_put(b, m->group.data, m->group.len);
    }
    if (m->having.len > 0) {
        buf_puts(b, " HAVING ");
        buf_put(b, m->having.data, m->having.len);
    }
    if (order->len > 0) {
        buf_puts(b, " ORDER BY ");
        buf_put(b, order->data, order->len);
    }
}

static bool can_be_merged(const struct maker *m, const struct buf *order)
{
    struct buf b = BUF_INIT;
    put_merge(m, &b, order);
    bool can = m->probe(m->arg, buf_cstr(&b));
    buf_free(&b);
    return can;
}

static enum err_code make_having(struct maker *m, struct err *e)
{
    static const struct buf none = BUF_INIT;
    struct cross_span all = m->t->clauses[CLAUSE_HAVING];
    if (!cross_has(m->t, CLAUSE_HAVING))
        return ERR_OK;
    put_merged(m, &m->having, all);
    if (can_be_merged(m, &none))
        return ERR_OK;
    /* A condition on the keys alone holds in each database as in all of them. */
    if (any_aggregate(m->t, all) || m->raw)
        return err_set(e, ERR_UNSUPPORTED,
                       "HAVING of a query over several databases takes aggregates and columns of "
                       "the result only");
    buf_reset(&m->having);
    m->having_each = true;
    return ERR_OK;
}

static enum err_code make_order(struct maker *m, struct err *e)
{
    struct cross_span all = m->t->clauses[CLAUSE_ORDER], term = {0, 0};
    while (cross_has(m->t, CLAUSE_ORDER) && next_term(m->t, all, &term)) {
        struct buf one = BUF_INIT;
        struct cross_span expr = term, rest;
        put_merged(m, &one, term);
        bool can = can_be_merged(m, &one);
        if (!can && (m->t->compound || any_aggregate(m->t, term))) {
            buf_free(&one);
            return err_set(e, ERR_UNSUPPORTED,
                           "ORDER BY of such a query over several databases takes columns of the "
                           "result and aggregates only");
        }
        if (!can) {
            buf_reset(&one);
            expr.end = cross_direction(m->t, expr);
            struct cross_span collation = split_collation(m->t, &expr);
            rest = (struct cross_span){collation.begin, term.end};
            add_hidden(m, expr);
            buf_printf(&one, "\"ha:h%u\" ", m->hidden);
            cross_put(m->t, &one, rest);
        }
        buf_puts(&m->order, m->order.len > 0 ? ", " : "");
        buf_put(&m->order, one.data, one.len);
        buf_free(&one);
    }
    return ERR_OK;
}

/* ---- each database's text ---- */

/* As many rows as can be wanted of one of them: a number, because SQLite would not take every
 * expression of the two for one. */
static void put_limit(const struct maker *m, struct buf *b)
{
    if (m->t->limit.end > m->t->limit.begin)
        buf_puts(b, " LIMIT " CROSS_BOUND);
}

static void put_clause(const struct maker *m, struct buf *b, const char *word, enum cross_clause c)
{
    if (!cross_has(m->t, c))
        return;
    buf_puts(b, word);
    cross_put(m->t, b, m->t->clauses[c]);
}

/* Where the rows themselves are fetched an aggregate has no value yet. */
static void put_own_list(const struct maker *m, struct buf *b)
{
    struct cross_span all = m->t->clauses[CLAUSE_LIST], item = {0, 0};
    bool first = true;
    if (!m->raw) {
        cross_put(m->t, b, all);
        return;
    }
    for (; next_term(m->t, all, &item); first = false) {
        buf_puts(b, first ? "" : ", ");
        if (any_aggregate(m->t, item))
            buf_puts(b, "NULL");
        else
            cross_put(m->t, b, item);
    }
}

static void put_each(const struct maker *m, struct buf *b)
{
    const struct cross_text *t = m->t;
    size_t end = t->n; /* of what all of them run as it stands */
    if (t->compound || t->kind == CROSS_LIMIT) {
        size_t limit = cross_has(t, CLAUSE_LIMIT) ? t->clauses[CLAUSE_LIMIT].begin - 1 : end;
        bool only_merge = cross_has(t, CLAUSE_ORDER) && !cross_has(t, CLAUSE_LIMIT);
        cross_put(t, b,
                  (struct cross_span){0, only_merge ? t->clauses[CLAUSE_ORDER].begin - 2 : limit});
        put_limit(m, b);
        return;
    }
    cross_put(t, b, (struct cross_span){0, t->select});
    buf_puts(b, t->distinct && !t->aggregate ? " SELECT DISTINCT " : " SELECT ");
    put_own_list(m, b);
    buf_put(b, m->added.data, m->added.len);
    put_clause(m, b, " FROM ", CLAUSE_FROM);
    put_clause(m, b, " WHERE ", CLAUSE_WHERE);
    if (!m->raw)
        put_clause(m, b, " GROUP BY ", CLAUSE_GROUP);
    if (m->having_each)
        put_clause(m, b, " HAVING ", CLAUSE_HAVING);
    put_clause(m, b, " WINDOW ", CLAUSE_WINDOW);
    if (!t->aggregate && cross_has(t, CLAUSE_LIMIT) && !(t->distinct && m->hidden > 0)) {
        put_clause(m, b, " ORDER BY ", CLAUSE_ORDER);
        put_limit(m, b);
    }
}

static bool needs_rows(const struct cross_text *t)
{
    struct cross_aggregate a;
    for (size_t i = t->select; t->aggregate && i < t->n; i = cross_next_aggregate(t, i, t->n, &a))
        if (cross_aggregate_from(t, i, t->n, &a) && !a.how)
            return true;
    return false;
}

static enum err_code make(struct maker *m, struct cross_plan *plan, struct err *e)
{
    const struct cross_text *t = m->t;
    if (t->kind == CROSS_CONCAT) {
        buf_put(&plan->each, t->text.data, t->text.len);
        return ERR_OK;
    }
    if (t->kind == CROSS_LIMIT) {
        put_each(m, &plan->each);
        return ERR_OK;
    }
    if (make_list(m, e) != ERR_OK)
        return e->code;
    make_group(m);
    if (!can_be_merged(m, &(struct buf)BUF_INIT))
        return err_set(e, ERR_UNSUPPORTED,
                       "a query over several databases may have columns inside of aggregates and "
                       "beside them, but not in one expression with them");
    if (make_having(m, e) != ERR_OK || make_order(m, e) != ERR_OK)
        return e->code;
    if (m->hidden > CROSS_HIDDEN)
        return err_set(e, ERR_UNSUPPORTED,
                       "a query over several databases has too many aggregates and sort keys");
    put_each(m, &plan->each);
    put_merge(m, &plan->merge, &m->order);
    if (cross_has(t, CLAUSE_LIMIT)) {
        buf_puts(&plan->merge, " LIMIT ");
        cross_put(t, &plan->merge, t->clauses[CLAUSE_LIMIT]);
    }
    plan->hidden = m->hidden;
    memcpy(plan->compared, m->compared, sizeof plan->compared);
    return ERR_OK;
}

enum err_code cross_text_plan(const struct cross_text *t, const char *const *names, unsigned n,
                              bool alias, cross_probe *probe, void *arg, struct cross_plan *plan,
                              struct err *e)
{
    struct maker m = {.t = t,
                      .names = names,
                      .n = n,
                      .alias = alias,
                      .raw = needs_rows(t),
                      .probe = probe,
                      .arg = arg};
    *plan = (struct cross_plan){.each = BUF_INIT, .merge = BUF_INIT};
    enum err_code code = make(&m, plan, e);
    bool ok = buf_ok(&m.added) && buf_ok(&m.list) && buf_ok(&m.group) && buf_ok(&m.having) &&
              buf_ok(&m.order) && buf_ok(&plan->each) && buf_ok(&plan->merge);
    if (code == ERR_OK && !ok)
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    buf_free(&m.added);
    buf_free(&m.list);
    buf_free(&m.group);
    buf_free(&m.having);
    buf_free(&m.order);
    if (code != ERR_OK)
        cross_plan_free(plan);
    return code;
}

void cross_plan_free(struct cross_plan *plan)
{
    buf_free(&plan->each);
    buf_free(&plan->merge);
}
