/* Casts, LIKE and its family, regular expressions, = ANY, subscripts, arrays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "sql/pg/rewrite.h"

/* ---- types as they are written ---- */

size_t pg_read_type(struct pg_rewrite *r, size_t i, struct pg_type_ref *ref)
{
    const char *name;
    size_t k = 0;

    *ref = (struct pg_type_ref){.modifier = {-1, -1}};
    if (pg_is_name(r, i) && pg_punct(r, i + 1, "."))
        i += 2; /* pg_catalog. */
    if (!pg_is_name(r, i)) {
        pg_fail(r, i, ERR_SYNTAX, "syntax error: a type is missing");
        return i + 1;
    }
    name = pg_name(r, i);
    ref->type = pg_type_by_name(name, strlen(name));
    if (pg_at(r, i)->type == PG_TOKEN_QUOTED && strcmp(name, "char") == 0)
        ref->type = pg_type_by_oid(PG_OID_CHAR);
    ref->serial = strstr(name, "serial") != NULL;
    i++;
    if (pg_word(r, i, "PRECISION"))
        i++;
    if (pg_word(r, i, "VARYING")) {
        ref->type = pg_type_by_oid(PG_OID_VARCHAR);
        i++;
    }
    if (pg_punct(r, i, "(")) {
        for (size_t j = i + 1; j < r->match[i] && k < 2; j++)
            if (pg_at(r, j)->type == PG_TOKEN_NUMBER && pg_at(r, j)->len < 8)
                ref->modifier[k++] = (int)strtol(pg_at(r, j)->text, NULL, 10);
        i = pg_skip(r, i);
    }
    if ((pg_word(r, i, "WITH") || pg_word(r, i, "WITHOUT")) && pg_words(r, i + 1, "TIME", "ZONE")) {
        if (ref->type && pg_word(r, i, "WITH"))
            ref->type = pg_type_by_oid(ref->type->oid == PG_OID_TIMESTAMP ? PG_OID_TIMESTAMPTZ
                                                                          : PG_OID_TIMETZ);
        i += 3;
    }
    while (pg_punct(r, i, "[") || (pg_word(r, i, "ARRAY") && !pg_punct(r, i + 1, "["))) {
        ref->array = true;
        i = pg_skip(r, i);
    }
    return i;
}

/* ---- casts ---- */

static bool is_reg(const struct pg_type *t)
{
    return t->oid == PG_OID_REGCLASS || t->oid == PG_OID_REGTYPE || t->oid == PG_OID_REGPROC ||
           t->oid == PG_OID_REGNAMESPACE || t->oid == PG_OID_REGROLE;
}

/* What stands around the operand that begins with piece `open` and ends with the last one. */
static void wrap(struct pg_rewrite *r, size_t open, const struct pg_type_ref *ref, bool literal,
                 bool to_number)
{
    const struct pg_type *t = ref->type;

    if (ref->array || !t)
        return; /* arrays are text; of an unknown type nothing is known */
    if (is_reg(t)) {
        /* 'name'::regclass is the number, number::regclass is shown as its name. */
        pg_put_before(r, open,
                      pg_format(r, "pg_%s_%s(", t->name, literal || to_number ? "oid" : "name"));
        pg_put_end(r, ")", open);
        return;
    }
    if (!r->schema && t->convert) {
        pg_put_before(r, open, pg_format(r, "%s(", t->convert));
        pg_put_end(r, ")", open);
        return;
    }
    if (t->oid == PG_OID_DATE) {
        pg_put_before(r, open, "date(");
        pg_put_end(r, ")", open);
        return;
    }
    if ((t->oid == PG_OID_VARCHAR || t->oid == PG_OID_BPCHAR) && ref->modifier[0] > 0) {
        pg_put_before(r, open, "substr(");
        pg_put_end(r, pg_format(r, ", 1, %d)", (int)ref->modifier[0]), open);
        return;
    }
    if (literal && !r->schema && strcmp(t->cast, "TEXT") == 0)
        return; /* it is text already; and pg_catalog's names stay comparable */
    pg_put_before(r, open, "CAST(");
    pg_put_end(r, pg_format(r, " AS %s)", t->cast), open);
}

/* '\x00ff'::bytea as a blob's own literal. */
static bool hex_literal(struct pg_rewrite *r, size_t open)
{
    const struct pg_piece *p = &r->out[open];

    if (p->len < 4 || memcmp(p->text, "'\\x", 3) != 0 || !hex_is_bytes(p->text + 3, p->len - 4))
        return false;
    r->out[open].text = pg_format(r, "X'%.*s'", (int)p->len - 4, p->text + 3);
    r->out[open].len -= 1;
    return true;
}

size_t pg_cast(struct pg_rewrite *r, size_t i, size_t to)
{
    struct pg_type_ref ref, next;
    size_t open, behind = pg_read_type(r, i + 1, &ref);
    bool literal, to_number = false;

    (void)to;
    if (r->n_out == 0 || r->failed) {
        pg_fail(r, i, ERR_SYNTAX, "syntax error at or near \"::\"");
        return behind;
    }
    r->at = i;
    open = pg_operand(r);
    literal =
        open == r->n_out - 1 && (pg_is_string(r, i - 1) || pg_at(r, i - 1)->type == PG_TOKEN_PARAM);
    if (pg_at(r, behind)->type == PG_TOKEN_CAST) {
        pg_read_type(r, behind + 1, &next);
        to_number = next.type && (next.type->category == 'N' && !is_reg(next.type));
    }
    if (ref.type && ref.type->oid == PG_OID_INTERVAL) {
        pg_fail(r, i, ERR_UNSUPPORTED,
                "an interval can only be added to a time or subtracted from one");
        return behind;
    }
    if (ref.type && ref.type->oid == PG_OID_BYTEA && !ref.array && literal && hex_literal(r, open))
        return behind;
    wrap(r, open, &ref, literal, to_number);
    return behind;
}

/* CAST(… AS type), type '…' */
void pg_cast_range(struct pg_rewrite *r, size_t from, size_t to, const struct pg_type_ref *ref)
{
    size_t open = r->n_out;
    bool literal =
        to == from + 1 && (pg_is_string(r, from) || pg_at(r, from)->type == PG_TOKEN_PARAM);

    pg_range(r, from, to);
    if (r->n_out == open)
        return;
    if (ref->type && ref->type->oid == PG_OID_BYTEA && literal && hex_literal(r, open))
        return;
    wrap(r, open, ref, literal, false);
}

/* ---- LIKE ---- */

/* The pattern of LIKE as GLOB's; false: it ends with the escape character. */
static bool glob_of(struct buf *b, const char *p, size_t n, char escape)
{
    for (size_t i = 0; i < n; i++) {
        if (escape && p[i] == escape) {
            if (++i == n)
                return false;
        } else if (p[i] == '%' || p[i] == '_') {
            buf_putc(b, p[i] == '%' ? '*' : '?');
            continue;
        }
        if (strchr("*?[", p[i]) && p[i])
            buf_printf(b, "[%c]", p[i]);
        else
            buf_putc(b, p[i]);
    }
    return true;
}

/* ESCAPE at i, if it is there: *escape is its character, *at its operand (PG_NONE: none). */
static size_t read_escape(struct pg_rewrite *r, size_t i, size_t to, char *escape, size_t *at)
{
    size_t n;
    const char *s;

    *at = PG_NONE;
    *escape = '\\';
    if (i >= to || !pg_word(r, i, "ESCAPE"))
        return i;
    *at = i + 1;
    if (pg_is_string(r, i + 1)) {
        s = pg_string(r, i + 1, &n);
        if (n > 1)
            pg_fail(r, i + 1, ERR_PARAM,
                    "invalid escape string: it must be empty or one character");
        *escape = n ? s[0] : '\0';
    } else {
        *escape = 1; /* not known here */
    }
    return pg_operand_end(r, i + 1, to);
}

static void put_glob(struct pg_rewrite *r, size_t from, size_t to, char escape, size_t escape_at)
{
    size_t n;
    const char *s;
    struct buf b = BUF_INIT;

    if (to == from + 1 && pg_is_string(r, from) && escape != 1) {
        s = pg_string(r, from, &n);
        if (!glob_of(&b, s, n, escape))
            pg_fail(r, from, ERR_PARAM, "LIKE pattern must not end with escape character");
        else
            pg_put_string(r, b.data ? b.data : "", b.len);
        buf_free(&b);
    } else if (r->schema) {
        if (escape_at != PG_NONE)
            pg_fail(r, escape_at, ERR_UNSUPPORTED,
                    "LIKE … ESCAPE with a pattern that is computed cannot be put into the schema");
        pg_put(r, "replace(replace(replace(replace(replace(");
        pg_range(r, from, to);
        pg_put(r, ", '[', '[[]'), '*', '[*]'), '?', '[?]'), '%', '*'), '_', '?')");
    } else {
        pg_put(r, "pg_glob(");
        pg_range(r, from, to);
        if (escape_at != PG_NONE) {
            pg_put(r, ",");
            pg_range(r, escape_at, pg_operand_end(r, escape_at, r->n));
        }
        pg_put(r, ")");
    }
}

/* x LIKE p → x GLOB p'. `i` is the pattern's first token. */
static size_t like(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t end = pg_operand_end(r, i, to), escape_at, behind;
    char escape;

    behind = read_escape(r, end, to, &escape, &escape_at);
    pg_put(r, "GLOB");
    put_glob(r, i, end, escape, escape_at);
    return behind;
}

/* SQLite's LIKE ignores the case, as ILIKE does, but knows no escape character by itself. */
static size_t ilike(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t end = pg_operand_end(r, i, to), escape_at, behind;
    char escape;

    behind = read_escape(r, end, to, &escape, &escape_at);
    pg_put(r, "LIKE");
    pg_range(r, i, end);
    if (escape_at != PG_NONE && escape != '\0') {
        pg_put(r, "ESCAPE");
        pg_range(r, escape_at, behind);
    } else if (escape_at == PG_NONE && (!pg_is_string(r, i) || end != i + 1 ||
                                        memchr(pg_at(r, i)->text, '\\', pg_at(r, i)->len))) {
        pg_put(r, "ESCAPE '\\'");
    }
    return behind;
}

/* ---- regular expressions ---- */

static size_t regexp(struct pg_rewrite *r, size_t i, size_t to, bool negated, bool ignore_case)
{
    size_t end = pg_operand_end(r, i, to);

    if (r->schema)
        pg_fail(r, i, ERR_UNSUPPORTED,
                "regular expressions cannot be put into the schema: plain SQLite has none");
    pg_put(r, negated ? "NOT REGEXP" : "REGEXP");
    if (ignore_case)
        pg_put(r, "('(?i)' ||");
    pg_range(r, i, end);
    if (ignore_case)
        pg_put(r, ")");
    return end;
}

static size_t similar(struct pg_rewrite *r, size_t i, size_t to, bool negated)
{
    size_t end = pg_operand_end(r, i, to);

    if (r->schema)
        pg_fail(r, i, ERR_UNSUPPORTED, "SIMILAR TO cannot be put into the schema");
    pg_put(r, negated ? "NOT REGEXP pg_similar(" : "REGEXP pg_similar(");
    pg_range(r, i, end);
    pg_put(r, ")");
    return end;
}

/* ---- = ANY, <> ALL ---- */

static void put_array_members(struct pg_rewrite *r, size_t from, size_t to)
{
    /* ANY((ARRAY[1, 2])::int[]): look through parentheses and the cast of an array written out */
    while (pg_punct(r, from, "(") && r->match[from] < to)
        from++;
    if (pg_word(r, from, "ARRAY") && pg_punct(r, from + 1, "[")) {
        pg_put(r, "(");
        pg_range(r, from + 2, r->match[from + 1]);
        pg_put(r, ")");
        return;
    }
    if (r->schema)
        pg_fail(r, from, ERR_UNSUPPORTED, "ANY of an array cannot be put into the schema");
    /* +: without an affinity of its own, so that a column of texts meets texts */
    pg_put(r, "(SELECT +value FROM unnest(");
    pg_range(r, from, to);
    pg_put(r, "))");
}

/* `i` is the operator, behind it ANY, SOME or ALL and a parenthesis. */
static size_t quantified(struct pg_rewrite *r, size_t i, const char *op, size_t op_len)
{
    bool all = pg_word(r, i + 1, "ALL");
    size_t open = i + 2, close = r->match[open];
    bool equal = op_len == 1 && *op == '=';
    bool unequal = op_len == 2 && (memcmp(op, "<>", 2) == 0 || memcmp(op, "!=", 2) == 0);
    size_t inner = open + 1;

    if (!(equal && !all) && !(unequal && all)) {
        pg_fail(r, i, ERR_UNSUPPORTED, "%.*s %s is not supported; only = ANY and <> ALL are",
                (int)op_len, op, all ? "ALL" : "ANY");
        return close + 1;
    }
    r->at = i;
    pg_put(r, all ? "NOT IN" : "IN");
    while (pg_punct(r, inner, "(") && r->match[inner] == close - 1 &&
           (pg_word(r, inner + 1, "SELECT") || pg_punct(r, inner + 1, "(")))
        inner++;
    if (pg_word(r, inner, "SELECT") || pg_word(r, inner, "VALUES") || pg_word(r, inner, "WITH")) {
        pg_copy(r, open);
        pg_range(r, open + 1, close);
        pg_copy(r, close);
    } else {
        put_array_members(r, open + 1, close);
    }
    return close + 1;
}

/* ---- operators ---- */

static size_t subscript(struct pg_rewrite *r, size_t i)
{
    size_t close = r->match[i], open = pg_operand(r);

    if (r->schema || pg_find_punct(r, i + 1, close, ":") != close) {
        pg_fail(r, i, ERR_UNSUPPORTED, "array slices, and arrays in the schema, are not supported");
        return close + 1;
    }
    pg_put_before(r, open, "pg_subscript(");
    pg_put(r, ",");
    pg_range(r, i + 1, close);
    pg_put_end(r, ")", open);
    return close + 1;
}

static size_t array(struct pg_rewrite *r, size_t i)
{
    size_t open = r->n_out;

    if (r->schema) {
        pg_fail(r, i, ERR_UNSUPPORTED, "arrays cannot be put into the schema");
        return r->n;
    }
    r->at = i;
    if (pg_punct(r, i + 1, "(")) { /* ARRAY(SELECT …) */
        size_t close = r->match[i + 1];
        pg_put(r, "(SELECT array_agg(value) FROM (WITH \"array\"(value) AS (");
        pg_range(r, i + 2, close);
        pg_put(r, ") SELECT value FROM \"array\"))");
        return close + 1;
    }
    pg_put(r, "pg_array(");
    pg_range(r, i + 2, r->match[i + 1]);
    pg_put_end(r, ")", open);
    return r->match[i + 1] + 1;
}

static bool is_binary_position(const struct pg_rewrite *r)
{
    const struct pg_piece *p = r->n_out ? &r->out[r->n_out - 1] : NULL;
    struct pg_token t;

    if (!p || p->len == 0)
        return false;
    t = (struct pg_token){.type = PG_TOKEN_WORD, .text = p->text, .len = p->len};
    if (strchr("(,=<>+-*/%|&~", p->text[0]) && p->len <= 2)
        return false;
    return !pg_reserved(&t) || pg_lex_is(&t, "END") || pg_lex_is(&t, "NULL");
}

/* The operator with this text at i (its last token at `last`). */
static size_t operate(struct pg_rewrite *r, size_t i, size_t last, size_t to)
{
    static const char *const unknown[] = {"@>", "<@", "&&", "#>",  "#>>", "#-", "?|",
                                          "?&", "@@", "|/", "||/", "@?",  "#",  "<->"};
    const struct pg_token *t = pg_at(r, last);
    size_t n = t->len, quantifier = (i == last ? i : pg_skip(r, i + 1) - 1) + 1;
    const char *op = t->text;
    size_t next = quantifier, open;

    if ((pg_word(r, next, "ANY") || pg_word(r, next, "ALL") || pg_word(r, next, "SOME")) &&
        pg_punct(r, next + 1, "("))
        return quantified(r, next - 1, op, n);
#define IS(s) (n == sizeof(s) - 1 && memcmp(op, s, n) == 0)
    if (IS("~") && is_binary_position(r))
        return regexp(r, next, to, false, false);
    if (IS("!~"))
        return regexp(r, next, to, true, false);
    if (IS("~*"))
        return regexp(r, next, to, false, true);
    if (IS("!~*"))
        return regexp(r, next, to, true, true);
    if (IS("~~"))
        return like(r, next, to);
    if (IS("~~*"))
        return ilike(r, next, to);
    if (IS("!~~") || IS("!~~*")) {
        pg_put(r, "NOT");
        return IS("!~~") ? like(r, next, to) : ilike(r, next, to);
    }
    if (IS("^") && is_binary_position(r)) {
        size_t end = pg_operand_end(r, next, next + 1 > to ? to : pg_skip(r, next));
        open = pg_operand(r);
        pg_put_before(r, open, "pow(");
        pg_put(r, ",");
        pg_range(r, next, end);
        pg_put_end(r, ")", open);
        return end;
    }
#undef IS
    for (size_t k = 0; k < sizeof unknown / sizeof unknown[0]; k++)
        if (pg_lex_is_op(t, unknown[k]))
            pg_fail(r, i, ERR_UNSUPPORTED, "the operator %s is not supported", unknown[k]);
    if (i == last)
        return i;
    pg_copy(r, last);
    return next;
}

size_t pg_operator(struct pg_rewrite *r, size_t i, size_t to)
{
    const struct pg_token *t = pg_at(r, i);
    bool negated = i > 0 && pg_word(r, i - 1, "NOT");

    if (t->type == PG_TOKEN_OP)
        return operate(r, i, i, to);
    if (pg_punct(r, i, "[") && r->n_out > 0)
        return subscript(r, i);
    if (t->type != PG_TOKEN_WORD)
        return i;
    if (pg_lex_is(t, "LIKE"))
        return like(r, i + 1, to);
    if (pg_lex_is(t, "ILIKE"))
        return ilike(r, i + 1, to);
    if (pg_words(r, i, "SIMILAR", "TO")) {
        if (negated && r->n_out)
            r->n_out--;
        return similar(r, i + 2, to, negated);
    }
    if (pg_lex_is(t, "OPERATOR") && pg_punct(r, i + 1, "(")) {
        size_t close = r->match[i + 1];
        return close > i + 2 && pg_at(r, close - 1)->type == PG_TOKEN_OP
                   ? operate(r, i, close - 1, to)
                   : i;
    }
    if (pg_lex_is(t, "ARRAY") &&
        (pg_punct(r, i + 1, "[") || (pg_punct(r, i + 1, "(") && pg_word(r, i + 2, "SELECT"))))
        return array(r, i);
    /* pg_catalog's default collation, and the one of bytes */
    if (pg_lex_is(t, "COLLATE") && pg_is_name(r, i + 1)) {
        size_t end = pg_skip_name(r, i + 1);
        const char *name = pg_name(r, end - 1);
        if (strcmp(name, "default") == 0)
            return end;
        if (strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0 || strcmp(name, "c") == 0 ||
            strcmp(name, "ucs_basic") == 0) {
            pg_put(r, "COLLATE BINARY");
            return end;
        }
    }
    return i;
}
