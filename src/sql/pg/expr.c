/*
 * Expressions, and whatever else is read word by word: each token is either the beginning of
 * something that one of the parts translates, or copied.
 */
#include <string.h>

#include "sql/pg/rewrite.h"

/* ---- names with prefixes ---- */

static bool is_schema(struct pg_rewrite *r, size_t i, const char *name)
{
    return pg_is_name(r, i) && pg_punct(r, i + 1, ".") && strcmp(pg_name(r, i), name) == 0;
}

/* information_schema.tables → information_schema_tables, still called "tables" in the statement. */
static size_t information_schema(struct pg_rewrite *r, size_t i)
{
    size_t next = i + 3;
    const char *name = pg_name(r, i + 2);
    bool aliased = pg_word(r, next, "AS") || (pg_is_name(r, next) && !pg_reserved(pg_at(r, next)));
    bool qualifies = pg_punct(r, next, "."); /* information_schema.tables.column */

    if (name[0] == '_') /* _pg_expandarray() and the like */
        pg_put(r, name);
    else if (qualifies)
        pg_putf(r, "\"%s\"", name);
    else
        pg_putf(r, aliased ? "information_schema_%s" : "information_schema_%s AS \"%s\"", name,
                name);
    return next;
}

static size_t prefixed_name(struct pg_rewrite *r, size_t i)
{
    if (i > 0 && pg_punct(r, i - 1, "."))
        return i;
    if (is_schema(r, i, "information_schema") && pg_is_name(r, i + 2)) {
        if (r->schema)
            pg_fail(r, i, ERR_UNSUPPORTED,
                    "information_schema cannot be used in the schema: it is the node's own");
        return information_schema(r, i);
    }
    if ((is_schema(r, i, "public") || is_schema(r, i, "pg_catalog")) && pg_is_name(r, i + 2)) {
        size_t next = pg_from_item(r, i + 2, r->n);
        if (next != i + 2 || (next = pg_call(r, i + 2, r->n)) != i + 2)
            return next;
        pg_copy(r, i + 2);
        if (r->n_out)
            r->out[r->n_out - 1].space = pg_at(r, i)->space;
        return i + 3;
    }
    return i;
}

/* ---- strings ---- */

/* b = '\x00ff', b <> '\x00ff': the bytes, or a text that is written so. An index serves both. */
static bool compared_bytes(struct pg_rewrite *r, size_t i)
{
    const struct pg_token *t = pg_at(r, i);
    struct pg_piece *op = r->n_out ? &r->out[r->n_out - 1] : NULL;
    bool equal = i > 1 && pg_punct(r, i - 1, "=");

    if (r->schema || !op || !pg_is_hex(t) || pg_at(r, i + 1)->type == PG_TOKEN_CAST ||
        (!equal && !pg_punct(r, i - 1, "<>") && !pg_punct(r, i - 1, "!=")))
        return false;
    op->text = equal ? "IN" : "NOT IN";
    op->len = strlen(op->text);
    pg_putf(r, "(%.*s, X'%.*s')", (int)t->len, t->text, (int)t->len - 4, t->text + 3);
    return true;
}

static void copy_string(struct pg_rewrite *r, size_t i)
{
    const struct pg_token *t = pg_at(r, i);
    size_t n;
    const char *s;
    bool space = t->space;

    if (t->type == PG_TOKEN_STRING) {
        if (!pg_boolean(r, i) && !compared_bytes(r, i))
            pg_copy(r, i);
        return;
    }
    r->at = i;
    if (t->type == PG_TOKEN_BITS) {
        if (*t->text == 'x' || *t->text == 'X')
            pg_copy(r, i);
        else
            pg_put_string(r, t->text + 2, t->len - 3);
    } else {
        s = pg_string(r, i, &n);
        pg_put_string(r, s, n);
    }
    if (r->n_out)
        r->out[r->n_out - 1].space = space;
}

/* ---- renamed columns ---- */

/* Answers the token behind the name that was replaced, `i` if it is none. */
static size_t renamed(struct pg_rewrite *r, size_t i)
{
    const char *name;
    size_t next = i + 1;

    if (!r->renames || pg_punct(r, i + 1, "(") ||
        (i > 0 && (pg_punct(r, i - 1, ".") || pg_word(r, i - 1, "AS") ||
                   pg_word(r, i - 1, "JOIN") || pg_word(r, i - 1, "FROM"))))
        return i;
    name = pg_name(r, i);
    if (pg_punct(r, i + 1, ".") && pg_is_name(r, i + 2)) {
        name = pg_format(r, "%s.%s", name, pg_name(r, i + 2));
        next = i + 3;
    }
    for (const struct pg_rename *x = r->renames; x; x = x->next) {
        if (strcmp(x->name, name) == 0 && i >= x->from && i < x->to) {
            r->at = i;
            pg_put(r, x->text);
            return next;
        }
    }
    return i;
}

/* (a.b).x, a field of what is no composite here: a.b */
static size_t composite(struct pg_rewrite *r, size_t i)
{
    size_t close = r->match[i];

    if (!pg_punct(r, i, "(") || pg_skip_name(r, i + 1) != close || close == i + 1 ||
        !pg_punct(r, close + 1, ".") || !pg_is_name(r, close + 2) ||
        (i > 0 && pg_is_name(r, i - 1) && !pg_reserved(pg_at(r, i - 1))))
        return i;
    pg_range(r, i + 1, close);
    return close + 3;
}

/* ---- aliases ---- */

/* AS primary */
static bool alias(struct pg_rewrite *r, size_t i)
{
    const struct pg_token *next = pg_at(r, i + 1);

    if (i == 0 || !pg_word(r, i - 1, "AS") || !pg_needs_quotes(pg_at(r, i)) ||
        (next->type != PG_TOKEN_END && !pg_lex_is_op(next, ",") && !pg_lex_is_op(next, ")") &&
         !pg_lex_is(next, "FROM")))
        return false;
    r->at = i;
    pg_putf(r, "\"%s\"", pg_name(r, i));
    return true;
}

/* ---- the loop ---- */

static size_t token(struct pg_rewrite *r, size_t i, size_t to)
{
    const struct pg_token *t = pg_at(r, i);
    size_t next;

    switch (t->type) {
    case PG_TOKEN_ESCAPED:
    case PG_TOKEN_DOLLAR:
    case PG_TOKEN_BITS:
    case PG_TOKEN_STRING:
        if (t->type == PG_TOKEN_STRING && (next = pg_stored_value(r, i, to)) != i)
            return next;
        copy_string(r, i);
        return i + 1;
    case PG_TOKEN_CAST:
        return pg_cast(r, i, to);
    case PG_TOKEN_OP:
        if ((next = pg_star(r, i)) != i)
            return next;
        if ((next = pg_interval(r, i, to)) != i || (next = pg_operator(r, i, to)) != i)
            return next;
        break;
    case PG_TOKEN_PUNCT:
        if ((next = pg_from_item(r, i, to)) != i || (next = pg_operator(r, i, to)) != i ||
            (next = composite(r, i)) != i)
            return next;
        break;
    case PG_TOKEN_QUOTED:
        if ((next = prefixed_name(r, i)) != i)
            return next;
        if ((next = renamed(r, i)) != i)
            return next;
        break;
    case PG_TOKEN_WORD:
        if (i > 0 && pg_punct(r, i - 1, "."))
            break;
        if (alias(r, i))
            return i + 1;
        if ((next = prefixed_name(r, i)) != i || (next = pg_select(r, i, to)) != i ||
            (next = pg_clause(r, i, to)) != i || (next = pg_operator(r, i, to)) != i ||
            (next = pg_call(r, i, to)) != i)
            return next;
        if ((next = renamed(r, i)) != i)
            return next;
        break;
    default:
        break;
    }
    pg_copy(r, i);
    return i + 1;
}

void pg_range(struct pg_rewrite *r, size_t from, size_t to)
{
    if (++r->depth > PG_DEPTH_MAX)
        pg_fail(r, from, ERR_TOO_BIG, "the statement is nested too deeply");
    for (size_t i = from; i < to && !r->failed;) {
        if (r->insert[i]) {
            pg_put(r, r->insert[i]);
            r->insert[i] = NULL;
        }
        i = token(r, i, to);
    }
    r->depth--;
}

/* ---- where an operand ends ---- */

/* Operators that bind tighter than LIKE, IN, = and their like. */
static bool binds_tighter(const struct pg_token *t)
{
    static const char *const ops[] = {"||", "+", "-", "*", "/", "%", "->", "->>", "&", "|", "^"};

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (pg_lex_is_op(t, ops[i]))
            return true;
    return false;
}

static size_t primary_end(const struct pg_rewrite *r, size_t i, size_t to)
{
    while (i < to && pg_at(r, i)->type == PG_TOKEN_OP) /* a sign */
        i++;
    if (pg_is_name(r, i) && r->match[i] == PG_NONE) {
        size_t name = pg_skip_name(r, i);
        i = name > i ? name : i + 1;
        /* ARRAY[…], f(…), INTERVAL '…' */
        if (pg_punct(r, i, "(") || pg_punct(r, i, "["))
            i = pg_skip(r, i);
        else if (pg_is_string(r, i))
            i++;
    } else if (i < to) {
        i = pg_skip(r, i);
    }
    for (;;) {
        if (pg_at(r, i)->type == PG_TOKEN_CAST) {
            i = pg_skip_name(r, i + 1);
            if (pg_punct(r, i, "("))
                i = pg_skip(r, i);
        } else if (pg_punct(r, i, "[")) {
            i = pg_skip(r, i);
        } else if (pg_word(r, i, "COLLATE")) {
            i = pg_skip_name(r, i + 1);
        } else {
            return i < to ? i : to;
        }
    }
}

size_t pg_operand_end(const struct pg_rewrite *r, size_t i, size_t to)
{
    i = primary_end(r, i, to);
    while (i < to && binds_tighter(pg_at(r, i)))
        i = primary_end(r, i + 1, to);
    return i;
}
