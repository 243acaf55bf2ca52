/*
 *   CREATE TABLE name ( column [type] constraint…, …, [constraint…] ) options
 *
 * A constraint ends where the next one, a comma or the closing parenthesis begins. What SQLite
 * reads as one (NOT DEFERRABLE, ON DELETE SET NULL) is read here as one.
 */
#include "sql/table_text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sql/lex.h"

#define PIECES_FIRST 16

struct reader {
    struct table_text *out;
    struct arena *arena;
    const char *at, *end;
    struct lex_token t; /* the current one */
    size_t behind;      /* where the token before it ends */
    size_t cap_columns, cap_constraints;
    bool failed;
};

/* ---- tokens ---- */

static size_t here(const struct reader *r)
{
    return (size_t)(r->t.text - r->out->sql);
}

static void step(struct reader *r)
{
    r->behind = here(r) + r->t.len;
    if (!lex_next(&r->at, r->end, &r->t)) {
        r->t.text = r->end;
        r->t.len = 0;
    }
}

static bool is(const struct reader *r, const char *keyword)
{
    return lex_is(&r->t, keyword);
}

static bool skip(struct reader *r, const char *keyword)
{
    if (!is(r, keyword))
        return false;
    step(r);
    return true;
}

static bool is_punct(const struct reader *r, char c)
{
    return r->t.type == LEX_TOKEN_PUNCT && *r->t.text == c;
}

static bool is_end(const struct reader *r)
{
    return r->t.type == LEX_TOKEN_END || r->t.type == LEX_TOKEN_ILLEGAL;
}

static bool is_name(const struct reader *r)
{
    return r->t.type == LEX_TOKEN_WORD || r->t.type == LEX_TOKEN_QUOTED ||
           r->t.type == LEX_TOKEN_STRING;
}

static const char *read_name(struct reader *r)
{
    char *name = is_name(r) ? arena_alloc(r->arena, r->t.len + 1) : NULL;

    if (!name) {
        r->failed = true;
        return "";
    }
    (void)lex_unquote(&r->t, name);
    step(r);
    return name;
}

/* ( … ) */
static struct text_span read_parens(struct reader *r)
{
    struct text_span s = {here(r), here(r)};
    int depth = 0;

    if (!is_punct(r, '(')) {
        r->failed = true;
        return s;
    }
    do {
        depth += is_punct(r, '(');
        depth -= is_punct(r, ')');
        step(r);
    } while (depth > 0 && !is_end(r));
    s.to = r->behind;
    r->failed = r->failed || depth > 0;
    return s;
}

/* The names in ( a COLLATE x DESC, b ); an expression among them stands as it is written. */
static void read_columns(struct reader *r, struct text_constraint *c)
{
    const char *p, *end;
    struct lex_token t;
    size_t cap = 0;
    int depth = 0;
    bool first = true;

    c->list = read_parens(r);
    if (r->failed)
        return;
    p = r->out->sql + c->list.from + 1;
    end = r->out->sql + c->list.to - 1;
    while (lex_next(&p, end, &t)) {
        depth += t.type == LEX_TOKEN_PUNCT && *t.text == '(';
        depth -= t.type == LEX_TOKEN_PUNCT && *t.text == ')';
        if (first) {
            char *name = arena_alloc(r->arena, t.len + 1);
            if (c->n_columns == cap) {
                const char **more = arena_alloc(r->arena, (cap * 2 + 4) * sizeof *more);
                if (more && cap)
                    memcpy(more, c->columns, cap * sizeof *more);
                cap = cap * 2 + 4;
                c->columns = more;
            }
            if (!name || !c->columns) {
                r->failed = true;
                return;
            }
            (void)lex_unquote(&t, name);
            c->columns[c->n_columns++] = name;
        }
        first = depth == 0 && t.type == LEX_TOKEN_PUNCT && *t.text == ',';
    }
}

/* ---- growing lists ---- */

static void *push(struct reader *r, void *list, size_t n, size_t *cap, size_t size)
{
    void *more;

    if (n < *cap)
        return list;
    more = arena_alloc(r->arena, (*cap ? *cap * 2 : PIECES_FIRST) * size);
    if (!more) {
        r->failed = true;
        return list;
    }
    if (n)
        memcpy(more, list, n * size);
    *cap = *cap ? *cap * 2 : PIECES_FIRST;
    return more;
}

static struct text_constraint *add_constraint(struct reader *r, size_t column)
{
    static _Thread_local struct text_constraint nowhere;
    struct table_text *t = r->out;

    t->constraints =
        push(r, t->constraints, t->n_constraints, &r->cap_constraints, sizeof *t->constraints);
    if (r->failed)
        return &nowhere;
    t->constraints[t->n_constraints] =
        (struct text_constraint){.kind = TEXT_OTHER, .column = column};
    return &t->constraints[t->n_constraints++];
}

/* ---- constraints ---- */

static void on_conflict(struct reader *r)
{
    if (is(r, "ON")) {
        step(r);
        step(r);
        step(r);
    }
}

/* REFERENCES t [(…)] with what may follow. */
static void references(struct reader *r, struct text_constraint *c)
{
    step(r);
    c->parent = read_name(r);
    if (is_punct(r, '('))
        (void)read_parens(r);
    for (;;) {
        const char *ahead = r->at;
        struct lex_token second;

        if (is(r, "ON") || is(r, "MATCH")) {
            bool on = is(r, "ON");
            step(r);
            step(r); /* DELETE, UPDATE, the word behind MATCH */
            if (on && (is(r, "SET") || is(r, "NO")))
                step(r);
            if (on)
                step(r);
        } else if (is(r, "NOT")) {
            if (!lex_next(&ahead, r->end, &second) || !lex_is(&second, "DEFERRABLE"))
                return;
            step(r);
        } else if (is(r, "DEFERRABLE")) {
            step(r);
            if (skip(r, "INITIALLY"))
                step(r);
        } else {
            return;
        }
    }
}

/* DEFAULT ( … ) | [+|-] literal | word */
static struct text_span default_value(struct reader *r)
{
    struct text_span s;

    step(r);
    s.from = here(r);
    if (is_punct(r, '(')) {
        (void)read_parens(r);
    } else {
        if (is_punct(r, '+') || is_punct(r, '-'))
            step(r);
        bool number = r->t.type == LEX_TOKEN_NUMBER, blob = is(r, "X");
        step(r);
        while (number && here(r) == r->behind && r->t.type != LEX_TOKEN_END &&
               (r->t.type != LEX_TOKEN_PUNCT || is_punct(r, '.') || is_punct(r, '-') ||
                is_punct(r, '+')))
            step(r); /* 1.5e-3 comes in pieces */
        if (blob && r->t.type == LEX_TOKEN_STRING && here(r) == r->behind)
            step(r);
    }
    s.to = r->behind;
    return s;
}

static void generated(struct reader *r, struct text_constraint *c)
{
    if (skip(r, "GENERATED"))
        skip(r, "ALWAYS");
    skip(r, "AS");
    c->kind = TEXT_GENERATED;
    c->list = read_parens(r);
    if (is(r, "STORED") || is(r, "VIRTUAL"))
        step(r);
}

static void key(struct reader *r, struct text_constraint *c, enum text_constraint_kind kind)
{
    c->kind = kind;
    step(r);
    if (kind == TEXT_PRIMARY_KEY)
        skip(r, "KEY");
    if (c->column == TABLE_TEXT_NONE) {
        read_columns(r, c);
    } else {
        if (is(r, "ASC") || is(r, "DESC"))
            step(r);
        c->columns = arena_alloc(r->arena, sizeof *c->columns);
        if (c->columns)
            c->columns[c->n_columns++] = r->out->columns[c->column].name;
    }
    on_conflict(r);
    if (kind == TEXT_PRIMARY_KEY)
        skip(r, "AUTOINCREMENT");
}

static bool begins_constraint(const struct reader *r)
{
    static const char *const words[] = {
        "CONSTRAINT", "PRIMARY",    "NOT",       "NULL", "UNIQUE",  "CHECK",      "DEFAULT",
        "COLLATE",    "REFERENCES", "GENERATED", "AS",   "FOREIGN", "DEFERRABLE", "INITIALLY"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (is(r, words[i]))
            return true;
    return false;
}

/* One constraint; `column` = TABLE_TEXT_NONE: the table's. */
static void constraint(struct reader *r, size_t column)
{
    struct text_constraint *c = add_constraint(r, column);

    c->at.from = here(r);
    if (skip(r, "CONSTRAINT")) {
        c->name_at.from = here(r);
        c->name = read_name(r);
        c->name_at.to = r->behind;
    }
    if (is(r, "PRIMARY")) {
        key(r, c, TEXT_PRIMARY_KEY);
    } else if (is(r, "UNIQUE")) {
        key(r, c, TEXT_UNIQUE);
    } else if (skip(r, "CHECK")) {
        c->kind = TEXT_CHECK;
        c->list = read_parens(r);
        on_conflict(r);
    } else if (skip(r, "FOREIGN")) {
        skip(r, "KEY");
        c->kind = TEXT_FOREIGN_KEY;
        read_columns(r, c);
        references(r, c);
    } else if (is(r, "REFERENCES")) {
        c->kind = TEXT_FOREIGN_KEY;
        c->columns = arena_alloc(r->arena, sizeof *c->columns);
        if (c->columns && column != TABLE_TEXT_NONE)
            c->columns[c->n_columns++] = r->out->columns[column].name;
        references(r, c);
    } else if (skip(r, "NOT")) {
        c->kind = TEXT_NOT_NULL;
        step(r);
        on_conflict(r);
    } else if (is(r, "DEFAULT")) {
        c->kind = TEXT_DEFAULT;
        c->list = default_value(r);
    } else if (is(r, "GENERATED") || is(r, "AS")) {
        generated(r, c);
    } else if (skip(r, "NULL")) {
        on_conflict(r);
    } else { /* COLLATE name, DEFERRABLE … */
        step(r);
        if (is_name(r))
            step(r);
    }
    c->at.to = r->behind;
}

/* ---- columns ---- */

static void column(struct reader *r)
{
    struct table_text *t = r->out;
    struct text_column *c;
    size_t i = t->n_columns;

    t->columns = push(r, t->columns, t->n_columns, &r->cap_columns, sizeof *t->columns);
    if (r->failed)
        return;
    c = &t->columns[t->n_columns++];
    *c = (struct text_column){.at = {here(r), 0}};
    c->name_at.from = here(r);
    c->name = read_name(r);
    c->name_at.to = c->type.from = c->type.to = r->behind;
    if (!begins_constraint(r) && is_name(r)) {
        c->type.from = here(r);
        while (is_name(r) && !begins_constraint(r))
            step(r);
        if (is_punct(r, '('))
            (void)read_parens(r);
        c->type.to = r->behind;
    }
    while (begins_constraint(r) && !r->failed)
        constraint(r, i);
    t->columns[i].at.to = r->behind;
    r->failed = r->failed || (!is_punct(r, ',') && !is_punct(r, ')'));
}

static bool begins_table_constraint(const struct reader *r)
{
    return is(r, "CONSTRAINT") || is(r, "PRIMARY") || is(r, "UNIQUE") || is(r, "CHECK") ||
           is(r, "FOREIGN");
}

bool table_text_read(struct table_text *t, struct arena *a, const char *sql, size_t len)
{
    struct reader r = {.out = t, .arena = a, .at = sql, .end = sql + len};

    *t = (struct table_text){.sql = sql};
    r.t.text = sql;
    step(&r);
    skip(&r, "CREATE");
    if (is(&r, "TEMP") || is(&r, "TEMPORARY"))
        step(&r);
    if (!skip(&r, "TABLE"))
        return false;
    if (skip(&r, "IF")) {
        step(&r);
        step(&r);
    }
    t->name_at.from = here(&r);
    (void)read_name(&r);
    if (is_punct(&r, '.')) {
        step(&r);
        t->name_at.from = here(&r);
        (void)read_name(&r);
    }
    t->name_at.to = r.behind;
    if (!is_punct(&r, '('))
        return false;
    do {
        step(&r);
        if (!begins_table_constraint(&r))
            column(&r);
        else
            while (begins_table_constraint(&r) && !r.failed)
                constraint(&r, TABLE_TEXT_NONE);
    } while (is_punct(&r, ',') && !r.failed);
    t->close = here(&r);
    return !r.failed && is_punct(&r, ')');
}

/* ---- names ---- */

size_t table_text_column(const struct table_text *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (strcasecmp(t->columns[i].name, name) == 0)
            return i;
    return TABLE_TEXT_NONE;
}

bool table_text_is_int4(const struct table_text *t, size_t column)
{
    for (size_t i = 0; i < t->n_constraints; i++) {
        const struct text_constraint *c = &t->constraints[i];
        if (c->column == column && c->kind == TEXT_NOT_NULL && c->name &&
            strcmp(c->name, "int4") == 0)
            return true;
    }
    return false;
}

static const char *joined(struct arena *a, const char *x, const char *y)
{
    size_t n = x && y ? strlen(x) + strlen(y) + 2 : 0;
    char *s = n ? arena_alloc(a, n) : NULL;

    if (s)
        (void)snprintf(s, n, "%s_%s", x, y);
    return s;
}

/* How many constraints of its kind that would be called the same stand before it? */
static size_t place(const struct table_text *t, size_t constraint)
{
    const struct text_constraint *c = &t->constraints[constraint];
    size_t n = 0;

    for (size_t i = 0; i < constraint; i++) {
        const struct text_constraint *o = &t->constraints[i];
        bool same = o->kind == c->kind && !o->name && o->n_columns == c->n_columns &&
                    (c->kind != TEXT_CHECK || o->column == c->column);
        for (size_t k = 0; same && k < c->n_columns; k++)
            same = strcasecmp(o->columns[k], c->columns[k]) == 0;
        n += same;
    }
    return n;
}

const char *table_text_constraint_name(const struct table_text *t, struct arena *a,
                                       const char *table, size_t constraint)
{
    const struct text_constraint *c = &t->constraints[constraint];
    const char *suffix, *s = table;
    char number[24] = "";
    size_t n;

    if (c->name)
        return c->name;
    switch (c->kind) {
    case TEXT_PRIMARY_KEY:
        return joined(a, table, "pkey");
    case TEXT_UNIQUE:
        suffix = "key";
        break;
    case TEXT_FOREIGN_KEY:
        suffix = "fkey";
        break;
    case TEXT_CHECK:
        suffix = "check";
        if (c->column != TABLE_TEXT_NONE)
            s = joined(a, s, t->columns[c->column].name);
        break;
    default:
        return NULL;
    }
    for (size_t i = 0; s && i < c->n_columns; i++)
        s = joined(a, s, c->columns[i]);
    n = place(t, constraint);
    if (n > 0)
        (void)snprintf(number, sizeof number, "%zu", n);
    s = s ? joined(a, s, suffix) : NULL;
    if (s && n > 0) {
        char *numbered = arena_alloc(a, strlen(s) + sizeof number);
        if (numbered)
            (void)snprintf(numbered, strlen(s) + sizeof number, "%s%s", s, number);
        s = numbered;
    }
    return s;
}

size_t table_text_constraint(const struct table_text *t, struct arena *a, const char *table,
                             const char *name)
{
    for (size_t i = 0; i < t->n_constraints; i++) {
        const char *s = table_text_constraint_name(t, a, table, i);
        if (s && strcasecmp(s, name) == 0)
            return i;
    }
    return TABLE_TEXT_NONE;
}
