/* Tokens in, pieces out: what all parts of the dialect stand on. */
#include "sql/pg/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "sql/chars.h"

/* ---- life ---- */

static bool read_tokens(struct pg_rewrite *r, const char *sql, size_t len)
{
    struct pg_lexer x;
    size_t cap = 0;
    bool more = true;

    pg_lex_init(&x, sql, len);
    while (more) {
        struct pg_token *t = array_room(r->in, r->n, &cap, sizeof *r->in);
        if (!t)
            return false;
        r->in = t;
        t += r->n;
        more = pg_lex_next(&x, t);
        if (more && t->type != PG_TOKEN_SEMI)
            r->n++;
    }
    return true;
}

static bool opens(const struct pg_token *t)
{
    return pg_lex_is_op(t, "(") || pg_lex_is_op(t, "[") || pg_lex_is(t, "CASE");
}

static bool closes(const struct pg_token *open, const struct pg_token *t)
{
    if (pg_lex_is_op(open, "("))
        return pg_lex_is_op(t, ")");
    if (pg_lex_is_op(open, "["))
        return pg_lex_is_op(t, "]");
    return pg_lex_is(t, "END");
}

/* Pairs; a word that only looks like CASE or END (t.end) pairs with nothing. */
static bool match_pairs(struct pg_rewrite *r)
{
    size_t *stack = malloc((r->n + 1) * sizeof *stack), top = 0;

    r->match = malloc((r->n + 1) * sizeof *r->match);
    r->piece = calloc(r->n + 1, sizeof *r->piece);
    r->insert = calloc(r->n + 1, sizeof *r->insert);
    if (!stack || !r->match || !r->piece || !r->insert) {
        free(stack);
        return false;
    }
    for (size_t i = 0; i <= r->n; i++) {
        const struct pg_token *t = &r->in[i];
        bool named = i > 0 && pg_lex_is_op(&r->in[i - 1], ".");

        r->match[i] = PG_NONE;
        if (i == r->n || (named && t->type == PG_TOKEN_WORD))
            continue;
        if (opens(t)) {
            stack[top++] = i;
            continue;
        }
        /* An unpaired CASE inside parentheses is forgotten at their end. */
        if (pg_lex_is_op(t, ")") || pg_lex_is_op(t, "]"))
            while (top > 0 && pg_lex_is(&r->in[stack[top - 1]], "CASE"))
                top--;
        if (top > 0 && closes(&r->in[stack[top - 1]], t)) {
            r->match[i] = stack[--top];
            r->match[stack[top]] = i;
        }
    }
    free(stack);
    return true;
}

bool pg_rewrite_init(struct pg_rewrite *r, const char *sql, size_t len, struct err *e)
{
    *r = (struct pg_rewrite){.sql = sql, .e = e, .arena = arena_new()};
    if (!r->arena || !read_tokens(r, sql, len) || !match_pairs(r)) {
        r->failed = true;
        err_set(e, ERR_NO_MEMORY, "out of memory");
        return false;
    }
    for (size_t i = 0; i < r->n; i++) {
        if (r->in[i].type == PG_TOKEN_ILLEGAL)
            pg_fail(r, i, ERR_SYNTAX, "%s at or near \"%.*s\"",
                    r->in[i].len > 1 ? "unterminated quoted string or comment" : "syntax error",
                    r->in[i].len > 40 ? 40 : (int)r->in[i].len, r->in[i].text);
        else if (opens(&r->in[i]) && r->match[i] == PG_NONE && r->in[i].type != PG_TOKEN_WORD)
            pg_fail(r, r->n, ERR_SYNTAX, "syntax error at end of input");
        else if (r->match[i] == PG_NONE &&
                 (pg_lex_is_op(&r->in[i], ")") || pg_lex_is_op(&r->in[i], "]")))
            pg_fail(r, i, ERR_SYNTAX, "syntax error at or near \"%c\"", r->in[i].text[0]);
    }
    return !r->failed;
}

void pg_rewrite_fini(struct pg_rewrite *r)
{
    free(r->in);
    free(r->match);
    free(r->piece);
    free(r->insert);
    free(r->out);
    arena_free(r->arena);
}

/* A blank between what would otherwise become one token. */
static void put_apart(struct buf *out, size_t start, const char *s, size_t n)
{
    char last;

    if (n == 0)
        return;
    if (out->len > start && buf_ok(out)) {
        last = out->data[out->len - 1];
        if ((char_continues_word(last) &&
             (char_continues_word(*s) || *s == '\'' || *s == '"' || *s == '?')) ||
            (last == *s && strchr("-'\"|/<>.", *s)) || (last == '/' && *s == '*') ||
            (strchr("?:@", last) && (char_continues_word(*s) || strchr("?:@", *s))) ||
            (strchr("<>=!|-~+*/%", last) && strchr("<>=!|-~+*/%", *s)))
            buf_putc(out, ' ');
    }
    buf_put(out, s, n);
}

size_t pg_rewrite_emit(const struct pg_rewrite *r, struct buf *out, size_t until)
{
    size_t start = out->len, found = PG_NONE;

    for (size_t i = 0; i < r->n_out; i++) {
        const struct pg_piece *p = &r->out[i];

        if (p->space && out->len > start)
            buf_putc(out, ' ');
        for (const struct pg_before *b = p->before; b; b = b->next)
            put_apart(out, start, b->text, strlen(b->text));
        put_apart(out, start, p->text, p->len);
        if (found == PG_NONE && out->len - start > until)
            found = i;
    }
    return found != PG_NONE ? found : r->n_out ? r->n_out - 1 : 0;
}

void pg_fail(struct pg_rewrite *r, size_t i, enum err_code code, const char *fmt, ...)
{
    char msg[ERR_MSG_SIZE];
    va_list ap;

    if (r->failed)
        return;
    r->failed = true;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    err_set(r->e, code, "%s", msg);
    if (i <= r->n)
        r->e->offset = (int)(r->in[i].text - r->sql);
}

/* ---- reading ---- */

const struct pg_token *pg_at(const struct pg_rewrite *r, size_t i)
{
    static const struct pg_token end = {.type = PG_TOKEN_END, .text = ""};

    return i < r->n ? &r->in[i] : &end;
}

bool pg_word(const struct pg_rewrite *r, size_t i, const char *keyword)
{
    return pg_lex_is(pg_at(r, i), keyword);
}

bool pg_words(const struct pg_rewrite *r, size_t i, const char *a, const char *b)
{
    return pg_word(r, i, a) && pg_word(r, i + 1, b);
}

bool pg_punct(const struct pg_rewrite *r, size_t i, const char *op)
{
    return pg_lex_is_op(pg_at(r, i), op);
}

static bool is_one_of(const struct pg_token *t, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pg_lex_is(t, words[i]))
            return true;
    return false;
}

bool pg_reserved(const struct pg_token *t)
{
    static const char *const words[] = {
        "ALL",     "AND",     "AS",         "ASC",       "BETWEEN", "BY",       "CASE",
        "CHECK",   "COLLATE", "CROSS",      "DEFAULT",   "DESC",    "DISTINCT", "DO",
        "ELSE",    "END",     "ESCAPE",     "EXCEPT",    "EXISTS",  "FETCH",    "FILTER",
        "FOR",     "FOREIGN", "FROM",       "FULL",      "GLOB",    "GROUP",    "HAVING",
        "ILIKE",   "IN",      "INNER",      "INTERSECT", "INTO",    "IS",       "ISNULL",
        "JOIN",    "LATERAL", "LEFT",       "LIKE",      "LIMIT",   "NATURAL",  "NOT",
        "NOTNULL", "NULL",    "OFFSET",     "ON",        "OR",      "ORDER",    "OUTER",
        "OVER",    "PRIMARY", "REFERENCES", "RETURNING", "REGEXP",  "RIGHT",    "SELECT",
        "SET",     "SIMILAR", "SOME",       "TABLE",     "THEN",    "UNION",    "UNIQUE",
        "USING",   "VALUES",  "WHEN",       "WHERE",     "WINDOW",  "WITH",     "ANY"};

    return is_one_of(t, words, sizeof words / sizeof words[0]);
}

bool pg_needs_quotes(const struct pg_token *t)
{
    static const char *const words[] = {
        "ADD",     "ALTER",      "CHECK",  "COLLATE", "CONSTRAINT", "CREATE", "DEFAULT",
        "DELETE",  "DROP",       "EXISTS", "FOREIGN", "FROM",       "GROUP",  "HAVING",
        "IN",      "INDEX",      "INSERT", "INTO",    "IS",         "LIMIT",  "NULL",
        "ON",      "OR",         "ORDER",  "SET",     "TABLE",      "THEN",   "TO",
        "PRIMARY", "REFERENCES", "UNION",  "UNIQUE",  "UPDATE",     "WHEN",   "TRANSACTION"};

    return is_one_of(t, words, sizeof words / sizeof words[0]);
}

bool pg_is_name(const struct pg_rewrite *r, size_t i)
{
    enum pg_token_type t = pg_at(r, i)->type;

    return t == PG_TOKEN_WORD || t == PG_TOKEN_QUOTED;
}

bool pg_is_string(const struct pg_rewrite *r, size_t i)
{
    enum pg_token_type t = pg_at(r, i)->type;

    return t == PG_TOKEN_STRING || t == PG_TOKEN_ESCAPED || t == PG_TOKEN_DOLLAR;
}

const char *pg_string(struct pg_rewrite *r, size_t i, size_t *n)
{
    const struct pg_token *t = pg_at(r, i);
    char *s = arena_alloc(r->arena, t->len + 1);

    *n = 0;
    if (!s) {
        pg_fail(r, PG_NONE, ERR_NO_MEMORY, "out of memory");
        return "";
    }
    *n = pg_lex_value(t, s);
    if (*n == PG_NONE) {
        pg_fail(r, i, ERR_SYNTAX, "invalid escape in a string");
        *n = 0;
    }
    s[*n] = '\0';
    return s;
}

const char *pg_name(struct pg_rewrite *r, size_t i)
{
    size_t n;
    char *s = (char *)(uintptr_t)pg_string(r, i, &n);

    if (pg_at(r, i)->type == PG_TOKEN_WORD)
        for (size_t k = 0; k < n; k++)
            if (s[k] >= 'A' && s[k] <= 'Z')
                s[k] = (char)(s[k] - 'A' + 'a');
    return s;
}

size_t pg_skip(const struct pg_rewrite *r, size_t i)
{
    if (i < r->n && r->match[i] != PG_NONE && r->match[i] > i)
        return r->match[i] + 1;
    return i + 1;
}

size_t pg_find(const struct pg_rewrite *r, size_t i, size_t to, const char *word)
{
    for (; i < to; i = pg_skip(r, i))
        if (pg_word(r, i, word) && !(i > 0 && pg_punct(r, i - 1, ".")))
            return i;
    return to;
}

size_t pg_find_punct(const struct pg_rewrite *r, size_t i, size_t to, const char *op)
{
    for (; i < to; i = pg_skip(r, i))
        if (pg_punct(r, i, op))
            return i;
    return to;
}

size_t pg_skip_name(const struct pg_rewrite *r, size_t i)
{
    if (!pg_is_name(r, i))
        return i;
    for (i++; pg_punct(r, i, ".") && pg_is_name(r, i + 1);)
        i += 2;
    return i;
}

/* ---- writing ---- */

static struct pg_piece *add(struct pg_rewrite *r, const char *text, size_t len)
{
    static struct pg_piece nowhere;
    struct pg_piece *p = array_room(r->out, r->n_out, &r->cap_out, sizeof *p);

    if (!p) {
        pg_fail(r, PG_NONE, ERR_NO_MEMORY, "out of memory");
        nowhere = (struct pg_piece){0};
        return &nowhere;
    }
    r->out = p;
    p += r->n_out;
    *p = (struct pg_piece){.text = text,
                           .len = len,
                           .space = true,
                           .open = r->n_out,
                           .source = (size_t)(r->in[r->at].text - r->sql)};
    r->n_out++;
    return p;
}

/* In the arena; without memory the rewrite has failed, and it is "". */
static const char *format(struct pg_rewrite *r, const char *fmt, va_list ap)
{
    char *s = NULL, *copy;
    int n = vasprintf(&s, fmt, ap);

    copy = n >= 0 ? arena_strndup(r->arena, s, (size_t)n) : NULL;
    if (n >= 0)
        free(s);
    if (!copy)
        pg_fail(r, PG_NONE, ERR_NO_MEMORY, "out of memory");
    return copy ? copy : "";
}

const char *pg_format(struct pg_rewrite *r, const char *fmt, ...)
{
    va_list ap;
    const char *s;

    va_start(ap, fmt);
    s = format(r, fmt, ap);
    va_end(ap);
    return s;
}

void pg_put(struct pg_rewrite *r, const char *text)
{
    add(r, text, strlen(text));
}

void pg_putf(struct pg_rewrite *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    pg_put(r, format(r, fmt, ap));
    va_end(ap);
}

void pg_put_string(struct pg_rewrite *r, const char *text, size_t n)
{
    char *s = arena_alloc(r->arena, 2 * n + 3);
    size_t k = 0;

    if (!s) {
        pg_fail(r, PG_NONE, ERR_NO_MEMORY, "out of memory");
        return;
    }
    s[k++] = '\'';
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\'')
            s[k++] = '\'';
        s[k++] = text[i];
    }
    s[k++] = '\'';
    add(r, s, k);
}

void pg_copy(struct pg_rewrite *r, size_t i)
{
    const struct pg_token *t = pg_at(r, i);
    struct pg_piece *p;

    if (i >= r->n)
        return;
    r->at = i;
    p = add(r, t->text, t->len);
    p->space = t->space;
    if (r->match[i] == PG_NONE)
        return;
    if (r->match[i] > i)
        r->piece[i] = p->open;
    else if (r->piece[r->match[i]] < p->open)
        p->open = r->piece[r->match[i]]; /* where the operand began that ends here */
}

static bool is_function_name(const struct pg_piece *p)
{
    struct pg_token t = {.type = PG_TOKEN_WORD, .text = p->text, .len = p->len};

    return p->len > 0 && char_continues_word(p->text[0]) && !pg_reserved(&t);
}

size_t pg_operand(const struct pg_rewrite *r)
{
    size_t k = r->n_out ? r->out[r->n_out - 1].open : 0;

    for (;;) {
        const struct pg_piece *p = r->n_out ? &r->out[k] : NULL;
        bool paren = p && p->len == 1 && *p->text == '(';

        /* f( … ): the name belongs to it; a keyword does not, and stands apart from its ( */
        if (paren && !p->space && !p->before && k > 0 && is_function_name(&r->out[k - 1]))
            k = r->out[k - 1].open;
        else if (k >= 2 && r->out[k - 1].len == 1 && *r->out[k - 1].text == '.')
            k = r->out[k - 2].open;
        else
            return k;
    }
}

void pg_put_before(struct pg_rewrite *r, size_t piece, const char *text)
{
    struct pg_before *b;
    struct pg_piece *p;

    if (piece >= r->n_out || r->failed)
        return;
    p = &r->out[piece];
    if (p->n_before++ == PG_WRAPS_MAX) {
        pg_fail(r, r->at, ERR_TOO_BIG, "the statement is nested too deeply");
        return;
    }
    b = arena_alloc(r->arena, sizeof *b);
    if (!b) {
        pg_fail(r, PG_NONE, ERR_NO_MEMORY, "out of memory");
        return;
    }
    *b = (struct pg_before){text, p->before};
    p->before = b;
}

void pg_put_end(struct pg_rewrite *r, const char *text, size_t open)
{
    struct pg_piece *p = add(r, text, strlen(text));

    p->space = false;
    p->open = open;
}
