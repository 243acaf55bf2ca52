/* Tokens in, text out: what all parts of the dialect stand on. */
#include "sql/mysql/rewrite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "sql/chars.h"
#include "sql/quote.h"

/* ---- life ---- */

static bool read_tokens(struct mysql_rewrite *r, const char *sql, size_t len)
{
    struct mysql_lexer x;
    size_t cap = 0;
    bool more = true;

    mysql_lex_init(&x, sql, len);
    x.ansi_quotes = r->context->ansi_quotes;
    x.no_backslash = r->context->no_backslash;
    while (more) {
        struct mysql_token *t = array_room(r->in, r->n, &cap, sizeof *r->in);
        if (!t)
            return false;
        r->in = t;
        t += r->n;
        more = mysql_lex_next(&x, t);
        if (more && t->type != MYSQL_TOKEN_SEMI)
            r->n++;
        else if (more) /* inside a trigger they stay */
            r->n += mysql_lex_is(&r->in[0], "CREATE");
    }
    while (r->n > 0 && r->in[r->n - 1].type == MYSQL_TOKEN_SEMI)
        r->n--;
    r->lexer = x;
    return true;
}

static bool match_pairs(struct mysql_rewrite *r)
{
    size_t *stack = malloc((r->n + 1) * sizeof *stack), top = 0;

    r->match = malloc((r->n + 1) * sizeof *r->match);
    r->param = calloc(r->n + 1, sizeof *r->param);
    r->place = calloc(r->n + 1, sizeof *r->place);
    if (!stack || !r->match || !r->param || !r->place) {
        free(stack);
        return false;
    }
    for (size_t i = 0; i <= r->n; i++) {
        r->match[i] = MYSQL_NONE;
        if (i == r->n)
            break;
        if (r->in[i].type == MYSQL_TOKEN_PARAM && r->in[i].len == 1)
            r->param[i] = ++r->n_params;
        if (mysql_lex_is_op(&r->in[i], "(")) {
            stack[top++] = i;
        } else if (mysql_lex_is_op(&r->in[i], ")")) {
            if (top == 0)
                continue;
            r->match[i] = stack[--top];
            r->match[stack[top]] = i;
        }
    }
    free(stack);
    return true;
}

bool mysql_rewrite_init(struct mysql_rewrite *r, const struct mysql_context *x, const char *sql,
                        size_t len, struct buf *out, struct err *e)
{
    *r = (struct mysql_rewrite){.context = x, .sql = sql, .out = out, .e = e, .arena = arena_new()};
    if (!r->arena || !read_tokens(r, sql, len) || !match_pairs(r)) {
        r->failed = true;
        err_set(e, ERR_NO_MEMORY, "out of memory");
        return false;
    }
    for (size_t i = 0; i < r->n; i++)
        if (mysql_is_name(r, i) && !json_is_text(r->in[i].text, r->in[i].len))
            mysql_fail(r, i, ERR_SYNTAX, "a name is not utf8mb4");
        else if (r->in[i].type == MYSQL_TOKEN_ILLEGAL ||
                 (r->match[i] == MYSQL_NONE &&
                  (mysql_lex_is_op(&r->in[i], "(") || mysql_lex_is_op(&r->in[i], ")"))))
            mysql_fail_syntax(r, i);
    return !r->failed;
}

void mysql_rewrite_fini(struct mysql_rewrite *r)
{
    free(r->in);
    free(r->match);
    free(r->param);
    free(r->place);
    arena_free(r->arena);
}

void mysql_fail(struct mysql_rewrite *r, size_t i, enum err_code code, const char *fmt, ...)
{
    char msg[ERR_MSG_SIZE];
    va_list ap;

    if (r->failed)
        return;
    r->failed = true;
    va_start(ap, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    err_set(r->e, code, "%s", msg);
    if (i <= r->n && r->in)
        r->e->offset = (int)(r->in[i].text - r->sql);
}

void mysql_fail_syntax(struct mysql_rewrite *r, size_t i)
{
    const struct mysql_token *t = mysql_at(r, i);

    mysql_fail(r, i < r->n ? i : r->n, ERR_SYNTAX, "near \"%.*s\": syntax error",
               t->len < 60 ? (int)t->len : 60, t->text);
}

/* ---- reading ---- */

const struct mysql_token *mysql_at(const struct mysql_rewrite *r, size_t i)
{
    static const struct mysql_token end = {.type = MYSQL_TOKEN_END, .text = ""};

    return i < r->n ? &r->in[i] : &end;
}

bool mysql_word(const struct mysql_rewrite *r, size_t i, const char *keyword)
{
    return mysql_lex_is(mysql_at(r, i), keyword);
}

bool mysql_words(const struct mysql_rewrite *r, size_t i, const char *a, const char *b)
{
    return mysql_word(r, i, a) && mysql_word(r, i + 1, b);
}

bool mysql_op(const struct mysql_rewrite *r, size_t i, const char *op)
{
    return mysql_lex_is_op(mysql_at(r, i), op);
}

bool mysql_is_name(const struct mysql_rewrite *r, size_t i)
{
    enum mysql_token_type t = mysql_at(r, i)->type;

    return t == MYSQL_TOKEN_WORD || t == MYSQL_TOKEN_QUOTED;
}

bool mysql_one_of(const struct mysql_token *t, const char *const *words, size_t n)
{
    if (t->type != MYSQL_TOKEN_WORD)
        return false;
    for (size_t i = 0; i < n; i++)
        if (mysql_lex_is(t, words[i]))
            return true;
    return false;
}

const char *mysql_string(struct mysql_rewrite *r, size_t i, size_t *n)
{
    const struct mysql_token *t = mysql_at(r, i);
    char *s = arena_alloc(r->arena, t->len + 1);

    *n = 0;
    if (!s) {
        mysql_fail(r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
        return "";
    }
    *n = mysql_lex_value(&r->lexer, t, s);
    s[*n] = '\0';
    return s;
}

const char *mysql_name(struct mysql_rewrite *r, size_t i)
{
    size_t n;

    return mysql_string(r, i, &n);
}

size_t mysql_skip(const struct mysql_rewrite *r, size_t i)
{
    if (i < r->n && r->match[i] != MYSQL_NONE && r->match[i] > i)
        return r->match[i] + 1;
    return i + 1;
}

size_t mysql_find(const struct mysql_rewrite *r, size_t i, size_t to, const char *word)
{
    for (; i < to; i = mysql_skip(r, i))
        if (mysql_word(r, i, word) && !(i > 0 && mysql_op(r, i - 1, ".")))
            return i;
    return to;
}

size_t mysql_find_op(const struct mysql_rewrite *r, size_t i, size_t to, const char *op)
{
    for (; i < to; i = mysql_skip(r, i))
        if (mysql_op(r, i, op))
            return i;
    return to;
}

size_t mysql_skip_name(const struct mysql_rewrite *r, size_t i)
{
    if (!mysql_is_name(r, i))
        return i;
    for (i++; mysql_op(r, i, ".") && mysql_is_name(r, i + 1);)
        i += 2;
    return i;
}

const char *mysql_last_name(struct mysql_rewrite *r, size_t from, size_t to)
{
    return to > from ? mysql_name(r, to - 1) : "";
}

size_t mysql_args(const struct mysql_rewrite *r, size_t i, struct mysql_arg *args, size_t max)
{
    size_t close = r->match[i], n = 0;

    if (close == MYSQL_NONE || close == i + 1)
        return 0;
    for (size_t from = i + 1; from <= close;) {
        size_t to = mysql_find_op(r, from, close, ",");
        if (n < max)
            args[n] = (struct mysql_arg){from, to};
        n++;
        from = to + 1;
    }
    return n;
}

/* ---- writing ---- */

static bool run_together(char last, char first)
{
    return (char_continues_word(last) && (char_continues_word(first) || strchr("'\"`?", first))) ||
           (strchr("'\"`", last) && (char_continues_word(first) || first == last)) ||
           (strchr("<>=!|-~+*/%&", last) && strchr("<>=!|-~+*/%&", first)) ||
           (strchr("?:@", last) && (char_continues_word(first) || strchr("?:@", first)));
}

static void put_bytes(struct mysql_rewrite *r, const char *s, size_t n)
{
    struct buf *b = r->out;

    if (n == 0)
        return;
    if (b->len > 0 && buf_ok(b) && run_together(b->data[b->len - 1], *s))
        buf_putc(b, ' ');
    buf_put(b, s, n);
}

void mysql_put(struct mysql_rewrite *r, const char *text)
{
    struct buf *b = r->out;

    if (b->len > 0 && buf_ok(b) && !strchr(" (", b->data[b->len - 1]) &&
        (*text == '\0' || !strchr(",)", *text)))
        buf_putc(b, ' ');
    buf_puts(b, text);
}

void mysql_put_close(struct mysql_rewrite *r, const char *text)
{
    put_bytes(r, text, strlen(text));
}

void mysql_putf(struct mysql_rewrite *r, const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;

    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0) {
        mysql_fail(r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
        return;
    }
    mysql_put(r, s);
    free(s);
}

static void put_hex(struct buf *b, const char *s, size_t n)
{
    buf_puts(b, "X'");
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%02X", (unsigned char)s[i]);
    buf_putc(b, '\'');
}

/* What is no text is bytes, in a literal as in a parameter. */
void mysql_put_string(struct mysql_rewrite *r, const char *s, size_t n)
{
    if (r->out->len > 0 && buf_ok(r->out) && run_together(r->out->data[r->out->len - 1], '\''))
        buf_putc(r->out, ' ');
    if (json_is_text(s, n))
        quote_put(r->out, s, n, '\'');
    else
        put_hex(r->out, s, n);
}

void mysql_put_name(struct mysql_rewrite *r, const char *name)
{
    mysql_put(r, "");
    if (r->out->len > 0 && buf_ok(r->out) && run_together(r->out->data[r->out->len - 1], '"'))
        buf_putc(r->out, ' ');
    quote_put_name(r->out, name);
}

void mysql_put_semicolon(struct mysql_rewrite *r)
{
    buf_puts(r->out, "; ");
    r->several = true;
}

/* 0xFF and x'FF' are bytes, 0b101 and b'101' a number. */
static void put_bits(struct mysql_rewrite *r, size_t i)
{
    const struct mysql_token *t = mysql_at(r, i);
    bool quoted = t->text[1] == '\'', binary = t->text[quoted ? 0 : 1] == 'b' || t->text[0] == 'B';
    const char *digits = t->text + 2;
    size_t n = t->len - (quoted ? 3 : 2);
    uint64_t v = 0;

    if (!quoted || binary)
        r->touched++;
    if (binary) {
        for (size_t k = 0; k < n; k++) {
            if ((digits[k] != '0' && digits[k] != '1') || k >= 63) {
                mysql_fail_syntax(r, i);
                return;
            }
            v = v << 1 | (uint64_t)(digits[k] - '0');
        }
        mysql_putf(r, "%llu", (unsigned long long)v);
        return;
    }
    mysql_put(r, n % 2 ? "X'0" : "X'");
    buf_put(r->out, digits, n);
    buf_putc(r->out, '\'');
}

/* _utf8mb4'…': the charset of a string, _binary'…' bytes. */
static bool is_introducer(const struct mysql_rewrite *r, size_t i)
{
    const struct mysql_token *t = mysql_at(r, i), *next = mysql_at(r, i + 1);

    return t->type == MYSQL_TOKEN_WORD && t->len > 3 && *t->text == '_' &&
           (next->type == MYSQL_TOKEN_STRING || next->type == MYSQL_TOKEN_BITS);
}

void mysql_copy(struct mysql_rewrite *r, size_t i)
{
    const struct mysql_token *t = mysql_at(r, i);
    size_t n;
    const char *s;

    if (i >= r->n || (i > 0 && t->type == MYSQL_TOKEN_STRING && is_introducer(r, i - 1) &&
                      mysql_word(r, i - 1, "_BINARY")))
        return;
    if (t->space && r->out->len > 0 && buf_ok(r->out) && r->out->data[r->out->len - 1] != ' ')
        buf_putc(r->out, ' ');
    switch (t->type) {
    case MYSQL_TOKEN_STRING:
        s = mysql_string(r, i, &n);
        mysql_put_string(r, s, n);
        r->touched += *t->text != '\'' || memchr(t->text, '\\', t->len);
        break;
    case MYSQL_TOKEN_BITS:
        put_bits(r, i);
        break;
    case MYSQL_TOKEN_PARAM:
        if (r->param[i]) {
            put_bytes(r, "?", 1);
            buf_printf(r->out, "%u", r->param[i]);
        } else {
            put_bytes(r, t->text, t->len);
        }
        break;
    case MYSQL_TOKEN_WORD:
        if (!is_introducer(r, i)) {
            put_bytes(r, t->text, t->len);
        } else if (mysql_lex_is(t, "_BINARY") && mysql_at(r, i + 1)->type == MYSQL_TOKEN_STRING) {
            s = mysql_string(r, i + 1, &n);
            if (r->out->len > 0 && buf_ok(r->out) &&
                char_continues_word(r->out->data[r->out->len - 1]))
                buf_putc(r->out, ' ');
            put_hex(r->out, s, n);
            r->touched++;
        }
        break;
    default:
        put_bytes(r, t->text, t->len);
        break;
    }
}
