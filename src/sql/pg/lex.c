/* The tokenizer of pg/lex.h: one function for each kind of token. */
#include "sql/pg/lex.h"

#include <stdint.h>
#include <string.h>

#include "base/hex.h"
#include "sql/chars.h"
#include "sql/lex.h"

/* Subscripts may follow a name, but these words are none: a [ behind them opens SQLite's [name]. */
static const char *const not_subscripted[] = {
    "SELECT", "FROM",   "JOIN",       "WHERE", "AND",  "OR",       "ON",     "BY",
    "INTO",   "UPDATE", "TABLE",      "SET",   "AS",   "DISTINCT", "NOT",    "EXISTS",
    "VIEW",   "INDEX",  "WHEN",       "THEN",  "ELSE", "CASE",     "HAVING", "COLUMN",
    "TO",     "KEY",    "REFERENCES", "ADD",   "LIKE", "RENAME",   "DROP",   "RETURNING"};

static bool is_operator(char c)
{
    return c != '\0' && strchr("+-*/<>=~!@#%^&|`?", c) != NULL;
}

void pg_lex_init(struct pg_lexer *x, const char *sql, size_t len)
{
    *x = (struct pg_lexer){sql, sql + len, PG_TOKEN_END, false};
}

/* Behind a comment, which may hold others; NULL where it does not end. */
static const char *skip_comment(const char *p, const char *end, bool *differs)
{
    size_t depth = 1;

    for (p += 2; p + 1 < end; p++) {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p++;
            *differs = true; /* SQLite's comments do not nest */
        } else if (p[0] == '*' && p[1] == '/') {
            p++;
            if (--depth == 0)
                return p + 1;
        }
    }
    return NULL;
}

/* Behind a comment of one line. PostgreSQL ends it at a carriage return, too, SQLite does not. */
static const char *skip_line(const char *p, const char *end, bool *differs)
{
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    if (p < end && *p == '\r' && !(end - p >= 2 && p[1] == '\n'))
        *differs = true;
    return p;
}

/* Behind blanks and comments; at an unfinished comment it stops. */
static const char *skip_blank(const char *p, const char *end, struct pg_token *t)
{
    while (p < end) {
        if (char_is_blank(*p)) {
            p++;
        } else if (end - p >= 2 && p[0] == '-' && p[1] == '-') {
            p = skip_line(p, end, &t->comment);
        } else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
            const char *behind = skip_comment(p, end, &t->comment);
            if (!behind)
                break;
            p = behind;
        } else if (end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
            p += 3;
        } else {
            break;
        }
        t->space = true;
    }
    return p;
}

size_t pg_lex_blank(const char *sql, size_t len)
{
    struct pg_token t = {.type = PG_TOKEN_END};

    return (size_t)(skip_blank(sql, sql + len, &t) - sql);
}

/* Behind the closing quote, which doubled stands for itself; NULL where there is none. */
static const char *skip_quoted(const char *p, const char *end, bool backslash)
{
    const char quote = *p == '[' ? ']' : *p;

    for (p++; p < end; p++) {
        if (backslash && *p == '\\') {
            p++;
        } else if (*p == quote) {
            if (quote == ']' || p + 1 == end || p[1] != quote)
                return p + 1;
            p++;
        }
    }
    return NULL;
}

/* $tag$…$tag$, or NULL: no such string begins here. *ends tells whether it does end. */
static const char *skip_dollar(const char *p, const char *end, bool *ends)
{
    const char *tag = p + 1, *found;
    size_t n;

    if (tag < end && char_is_digit(*tag))
        return NULL;
    while (tag < end && *tag != '$' && char_continues_word(*tag))
        tag++;
    if (tag == end || *tag != '$')
        return NULL;
    n = (size_t)(tag + 1 - p);
    found = memmem(tag + 1, (size_t)(end - tag - 1), p, n);
    *ends = found != NULL;
    return found ? found + n : end;
}

static const char *skip_number(const char *p, const char *end)
{
    if (end - p >= 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        for (p += 2; p < end && char_continues_word(*p);)
            p++;
        return p;
    }
    while (p < end && (char_is_digit(*p) || *p == '_'))
        p++;
    if (p < end && *p == '.') {
        p++;
        while (p < end && char_is_digit(*p))
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *exp = p + 1;
        if (exp < end && (*exp == '+' || *exp == '-'))
            exp++;
        if (exp < end && char_is_digit(*exp)) {
            for (p = exp; p < end && char_is_digit(*p);)
                p++;
        }
    }
    return p;
}

/* As PostgreSQL does it: the longest run of operator characters, before a comment, and without a
 * trailing + or - unless one of ~ ! @ # % ^ & | ` ? is in it. */
static const char *skip_operator(const char *p, const char *end)
{
    const char *stop = p;
    bool special = false;

    for (; stop < end && is_operator(*stop); stop++) {
        if (end - stop >= 2 &&
            ((stop[0] == '-' && stop[1] == '-') || (stop[0] == '/' && stop[1] == '*')))
            break;
        special = special || strchr("~!@#%^&|`?", *stop);
    }
    while (!special && stop - p > 1 && (stop[-1] == '+' || stop[-1] == '-')) {
        if (stop - p == 2 && p[0] == '-' && stop[-1] == '>')
            break;
        stop--;
    }
    return stop;
}

static const char *skip_word(const char *p, const char *end)
{
    while (p < end && char_continues_word(*p))
        p++;
    return p;
}

static bool can_be_subscripted(const struct pg_token *t)
{
    switch (t->type) {
    case PG_TOKEN_WORD:
        for (size_t i = 0; i < sizeof not_subscripted / sizeof not_subscripted[0]; i++)
            if (pg_lex_is(t, not_subscripted[i]))
                return false;
        return true;
    case PG_TOKEN_QUOTED:
    case PG_TOKEN_PARAM:
    case PG_TOKEN_STRING:
    case PG_TOKEN_ESCAPED:
        return true;
    case PG_TOKEN_PUNCT:
        return t->text[0] == ')' || t->text[0] == ']';
    default:
        return false;
    }
}

static bool may_name_a_parameter(const struct pg_lexer *x, const char *p)
{
    return p + 1 < x->end && char_begins_word(p[1]);
}

/* Sets t->type and answers where the token ends; NULL: it is a quote that does not end. */
static const char *read_token(const struct pg_lexer *x, const char *p, struct pg_token *t)
{
    const char *end = x->end, *stop;
    bool ends = true;

    if ((*p == 'e' || *p == 'E') && end - p >= 2 && p[1] == '\'') {
        t->type = PG_TOKEN_ESCAPED;
        return skip_quoted(p + 1, end, true);
    }
    if (strchr("xXbB", *p) && *p && end - p >= 2 && p[1] == '\'') {
        t->type = PG_TOKEN_BITS;
        return skip_quoted(p + 1, end, false);
    }
    if (char_begins_word(*p)) {
        t->type = PG_TOKEN_WORD;
        return skip_word(p, end);
    }
    if (char_is_digit(*p) || (*p == '.' && end - p >= 2 && char_is_digit(p[1]))) {
        t->type = PG_TOKEN_NUMBER;
        return skip_number(p, end);
    }
    switch (*p) {
    case '\'':
        t->type = PG_TOKEN_STRING;
        return skip_quoted(p, end, false);
    case '"':
    case '`':
        t->type = PG_TOKEN_QUOTED;
        return skip_quoted(p, end, false);
    case '[':
        t->type = x->before_closes ? PG_TOKEN_PUNCT : PG_TOKEN_QUOTED;
        return x->before_closes ? p + 1 : skip_quoted(p, end, false);
    case '$':
        t->type = PG_TOKEN_DOLLAR;
        if ((stop = skip_dollar(p, end, &ends)) != NULL)
            return ends ? stop : NULL;
        t->type = PG_TOKEN_PARAM;
        stop = skip_word(p + 1, end);
        if (stop == p + 1)
            t->type = PG_TOKEN_ILLEGAL;
        return stop;
    case '?':
        t->type = PG_TOKEN_PARAM;
        for (stop = p + 1; stop < end && char_is_digit(*stop);)
            stop++;
        return stop;
    case ':':
        t->type = PG_TOKEN_CAST;
        if (end - p >= 2 && p[1] == ':')
            return p + 2;
        t->type = may_name_a_parameter(x, p) && !x->before_closes ? PG_TOKEN_PARAM : PG_TOKEN_PUNCT;
        return t->type == PG_TOKEN_PARAM ? skip_word(p + 1, end) : p + 1;
    case '@':
        if (may_name_a_parameter(x, p) && !x->before_closes) {
            t->type = PG_TOKEN_PARAM;
            return skip_word(p + 1, end);
        }
        break;
    case ';':
        t->type = PG_TOKEN_SEMI;
        return p + 1;
    case '(':
    case ')':
    case ']':
    case ',':
    case '.':
        t->type = PG_TOKEN_PUNCT;
        return p + 1;
    default:
        break;
    }
    if (is_operator(*p) && !(end - p >= 2 && p[0] == '/' && p[1] == '*')) {
        t->type = PG_TOKEN_OP;
        return skip_operator(p, end);
    }
    t->type = PG_TOKEN_ILLEGAL;
    return *p == '/' ? NULL : p + 1;
}

bool pg_lex_next(struct pg_lexer *x, struct pg_token *t)
{
    const char *p, *stop;

    *t = (struct pg_token){.type = PG_TOKEN_END};
    p = skip_blank(x->at, x->end, t);
    t->text = p;
    if (p >= x->end) {
        x->at = x->end;
        return false;
    }
    stop = read_token(x, p, t);
    if (!stop) {
        t->type = PG_TOKEN_ILLEGAL;
        stop = x->end;
    }
    t->len = (size_t)(stop - p);
    x->at = stop;
    x->before = t->type;
    x->before_closes = can_be_subscripted(t);
    return true;
}

bool pg_lex_is(const struct pg_token *t, const char *keyword)
{
    return t->type == PG_TOKEN_WORD && lex_word_is(t->text, t->len, keyword);
}

bool pg_lex_is_op(const struct pg_token *t, const char *op)
{
    return (t->type == PG_TOKEN_OP || t->type == PG_TOKEN_PUNCT) && strlen(op) == t->len &&
           memcmp(t->text, op, t->len) == 0;
}

/* ---- what a string stands for ---- */

/* Up to `most` digits of a base up to 16; *n says how many there were. */
static uint32_t read_digits(const char *p, const char *end, int base, size_t most, size_t *n)
{
    uint32_t v = 0;

    for (*n = 0; *n < most && p + *n < end; ++*n) {
        int digit = hex_value(p[*n]);
        if (digit < 0 || digit >= base)
            break;
        v = v * (uint32_t)base + (uint32_t)digit;
    }
    return v;
}

static size_t put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* \uXXXX and \UXXXXXXXX, a pair of surrogates as one. Bytes behind the letter that were used; 0:
 * wrong. */
static size_t read_unicode(const char *p, const char *end, size_t digits, char *out, size_t *n_out)
{
    size_t n, used = digits;
    uint32_t c = read_digits(p, end, 16, digits, &n), low;

    if (n != digits)
        return 0;
    if (c >= 0xD800 && c < 0xDC00 && end - (p + used) >= 6 && p[used] == '\\' &&
        p[used + 1] == 'u') {
        low = read_digits(p + used + 2, end, 16, 4, &n);
        if (n != 4 || low < 0xDC00 || low > 0xDFFF)
            return 0;
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        used += 6;
    }
    if (c == 0 || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    *n_out = put_utf8(c, out);
    return used;
}

/* One escape behind its backslash: bytes used, 0: wrong. */
static size_t read_escape(const char *p, const char *end, char *out, size_t *n_out)
{
    static const char letters[] = "bfnrtv", meant[] = "\b\f\n\r\t\v";
    const char *letter;
    size_t n;
    uint32_t v;

    *n_out = 1;
    if (p >= end)
        return 0;
    if (*p && (letter = strchr(letters, *p)) != NULL) {
        *out = meant[letter - letters];
        return 1;
    }
    if (*p >= '0' && *p <= '7') {
        v = read_digits(p, end, 8, 3, &n);
        *out = (char)v;
        return (v & 0xFF) ? n : 0;
    }
    if (*p == 'x') {
        v = read_digits(p + 1, end, 16, 2, &n);
        *out = n ? (char)v : 'x';
        return n && v == 0 ? 0 : n + 1;
    }
    if (*p == 'u' || *p == 'U') {
        n = read_unicode(p + 1, end, *p == 'u' ? 4 : 8, out, n_out);
        return n ? n + 1 : 0;
    }
    *out = *p;
    return 1;
}

static size_t escaped_value(const char *p, const char *end, char *out)
{
    size_t n = 0, used, made;

    while (p < end) {
        if (*p == '\\') {
            used = read_escape(p + 1, end, out + n, &made);
            if (!used)
                return SIZE_MAX;
            p += 1 + used;
            n += made;
        } else {
            out[n++] = *p;
            p += *p == '\'' ? 2 : 1;
        }
    }
    return n;
}

size_t pg_lex_value(const struct pg_token *t, char *out)
{
    const char *p = t->text, *end = t->text + t->len;
    size_t n = 0;

    switch (t->type) {
    case PG_TOKEN_ESCAPED:
        return escaped_value(p + 2, end - 1, out);
    case PG_TOKEN_DOLLAR: {
        size_t tag = (size_t)((const char *)memchr(p + 1, '$', t->len - 1) - p) + 1;
        n = t->len - 2 * tag;
        memcpy(out, p + tag, n);
        return n;
    }
    case PG_TOKEN_STRING:
    case PG_TOKEN_QUOTED:
        for (const char *q = p + 1; q < end - 1; q++) {
            out[n++] = *q;
            if (*q == *p && *p != '[')
                q++; /* the second of a pair */
        }
        return n;
    default:
        memcpy(out, p, t->len);
        return t->len;
    }
}
