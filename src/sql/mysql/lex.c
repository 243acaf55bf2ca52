#include "sql/mysql/lex.h"

#include <string.h>

#include "sql/chars.h"
#include "sql/lex.h"

#define VERSION_HERE 80099 /* version comments up to this one are read */

void mysql_lex_init(struct mysql_lexer *x, const char *sql, size_t len)
{
    *x = (struct mysql_lexer){.at = sql, .end = sql + len};
}

/* ---- blanks and comments ---- */

/* Behind the beginning of a version comment; NULL where the comment is for a newer server. */
static const char *enter_version(const char *p, const char *end)
{
    unsigned version = 0, digits = 0;

    for (p += 3; p < end && char_is_digit(*p) && digits < 6; p++, digits++)
        version = version * 10 + (unsigned)(*p - '0');
    return digits >= 5 && version > VERSION_HERE ? NULL : p;
}

/* Behind a comment that ends; NULL where it does not. */
static const char *skip_comment(const char *p, const char *end)
{
    const char *close = end - p >= 4 ? memmem(p + 2, (size_t)(end - p) - 2, "*/", 2) : NULL;

    return close ? close + 2 : NULL;
}

/* "--" begins a comment only before a blank or the end. */
static bool begins_dashes(const char *p, const char *end)
{
    return end - p >= 2 && p[0] == '-' && p[1] == '-' &&
           (end - p == 2 || char_is_blank(p[2]) || (unsigned char)p[2] < ' ');
}

static const char *skip_blank(struct mysql_lexer *x, struct mysql_token *t)
{
    const char *p = x->at, *end = x->end;

    while (p < end) {
        if (char_is_blank(*p)) {
            p++;
        } else if (begins_dashes(p, end) || *p == '#') {
            t->differs = t->differs || *p == '#';
            while (p < end && *p != '\n')
                p++;
        } else if (end - p >= 3 && p[0] == '/' && p[1] == '*' && p[2] == '!') {
            const char *inside = enter_version(p, end), *behind = skip_comment(p, end);
            t->differs = true;
            if (!behind)
                break;
            x->in_version = x->in_version || inside;
            p = inside ? inside : behind;
        } else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
            const char *behind = skip_comment(p, end);
            if (!behind)
                break;
            p = behind;
        } else if (x->in_version && end - p >= 2 && p[0] == '*' && p[1] == '/') {
            x->in_version = false;
            p += 2;
        } else if (end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
            p += 3;
        } else {
            break;
        }
        t->space = true;
    }
    return p;
}

/* ---- tokens ---- */

/* Behind the closing quote, which doubled stands for itself; NULL where there is none. */
static const char *skip_quoted(const char *p, const char *end, bool backslash)
{
    const char quote = *p;

    for (p++; p < end; p++) {
        if (backslash && *p == '\\') {
            p++;
        } else if (*p == quote) {
            if (p + 1 == end || p[1] != quote)
                return p + 1;
            p++;
        }
    }
    return NULL;
}

static const char *skip_word(const char *p, const char *end)
{
    while (p < end && char_continues_word(*p))
        p++;
    return p;
}

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && char_is_digit(*p))
        p++;
    return p;
}

/* 0x1f and 0b01 are strings of bytes, 1.5e3 a number, and 1a a name. */
static const char *read_number(const char *p, const char *end, struct mysql_token *t)
{
    const char *stop;

    if (end - p >= 3 && *p == '0' && (p[1] == 'x' || p[1] == 'b')) {
        const char *digits = p[1] == 'x' ? "0123456789abcdefABCDEF" : "01";
        for (stop = p + 2; stop < end && *stop && strchr(digits, *stop);)
            stop++;
        if (stop > p + 2 && (stop == end || !char_continues_word(*stop))) {
            t->type = MYSQL_TOKEN_BITS;
            return stop;
        }
    }
    t->type = MYSQL_TOKEN_NUMBER;
    stop = skip_digits(p, end);
    if (stop < end && *stop == '.')
        stop = skip_digits(stop + 1, end);
    if (stop < end && (*stop == 'e' || *stop == 'E')) {
        const char *exponent = stop + 1;
        if (exponent < end && (*exponent == '+' || *exponent == '-'))
            exponent++;
        if (exponent < end && char_is_digit(*exponent))
            return skip_digits(exponent, end);
    }
    if (stop < end && char_continues_word(*stop) && !memchr(p, '.', (size_t)(stop - p))) {
        t->type = MYSQL_TOKEN_WORD;
        return skip_word(stop, end);
    }
    return stop;
}

static const char *read_operator(const char *p, const char *end)
{
    static const char *const ops[] = {
        "<=>", "->>", ":=", "<=", ">=", "<>", "!=", "<<", ">>", "||", "&&", "->", "=="};

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        size_t n = strlen(ops[i]);
        if ((size_t)(end - p) >= n && memcmp(p, ops[i], n) == 0)
            return p + n;
    }
    return p + 1;
}

/* @a, @`a`, @'a', @@a, @@session.a; NULL where a quote does not end. */
static const char *read_variable(const struct mysql_lexer *x, const char *p, struct mysql_token *t)
{
    const char *end = x->end, *stop = p + 1;

    t->type = MYSQL_TOKEN_USER;
    if (stop < end && *stop == '@') {
        t->type = MYSQL_TOKEN_SYSTEM;
        for (stop++; stop < end && (char_continues_word(*stop) || *stop == '.' || *stop == '`');)
            stop++;
        if (stop == p + 2)
            t->type = MYSQL_TOKEN_ILLEGAL;
        return stop;
    }
    if (stop < end && strchr("`'\"", *stop) && *stop)
        return skip_quoted(stop, end, *stop != '`' && !x->no_backslash);
    while (stop < end && (char_continues_word(*stop) || *stop == '.'))
        stop++;
    return stop;
}

static const char *read_token(const struct mysql_lexer *x, const char *p, struct mysql_token *t)
{
    const char *end = x->end;

    if (*p && strchr("xXbBnN", *p) && end - p >= 2 && p[1] == '\'') {
        t->type = *p == 'n' || *p == 'N' ? MYSQL_TOKEN_STRING : MYSQL_TOKEN_BITS;
        return skip_quoted(p + 1, end, t->type == MYSQL_TOKEN_STRING && !x->no_backslash);
    }
    if (char_begins_word(*p)) {
        t->type = MYSQL_TOKEN_WORD;
        return skip_word(p, end);
    }
    if (char_is_digit(*p) || (*p == '.' && end - p >= 2 && char_is_digit(p[1]) && !x->after_name))
        return read_number(p, end, t);
    switch (*p) {
    case '\'':
        t->type = MYSQL_TOKEN_STRING;
        return skip_quoted(p, end, !x->no_backslash);
    case '"':
        t->type = x->ansi_quotes ? MYSQL_TOKEN_QUOTED : MYSQL_TOKEN_STRING;
        return skip_quoted(p, end, !x->ansi_quotes && !x->no_backslash);
    case '`':
        t->type = MYSQL_TOKEN_QUOTED;
        return skip_quoted(p, end, false);
    case '@':
        return read_variable(x, p, t);
    case '?':
        t->type = MYSQL_TOKEN_PARAM;
        return skip_digits(p + 1, end);
    case ':':
    case '$':
        if (end - p >= 2 && p[1] != '=' && char_continues_word(p[1])) {
            t->type = MYSQL_TOKEN_PARAM;
            return skip_word(p + 1, end);
        }
        break;
    case ';':
        t->type = MYSQL_TOKEN_SEMI;
        return p + 1;
    case '(':
    case ')':
    case ',':
    case '.':
        t->type = MYSQL_TOKEN_PUNCT;
        return p + 1;
    default:
        break;
    }
    if (*p == '\0' || !strchr("+-*/%<>=!|&^~:[]{}", *p)) {
        t->type = MYSQL_TOKEN_ILLEGAL;
        return p + 1;
    }
    if (*p == '/' && end - p >= 2 && p[1] == '*')
        return NULL; /* a comment that does not end */
    t->type = MYSQL_TOKEN_OP;
    return read_operator(p, end);
}

bool mysql_lex_next(struct mysql_lexer *x, struct mysql_token *t)
{
    const char *p, *stop;

    *t = (struct mysql_token){.type = MYSQL_TOKEN_END};
    p = skip_blank(x, t);
    t->text = p;
    if (p >= x->end) {
        x->at = x->end;
        return false;
    }
    stop = read_token(x, p, t);
    if (!stop || stop > x->end) {
        t->type = MYSQL_TOKEN_ILLEGAL;
        stop = x->end;
    }
    t->len = (size_t)(stop - p);
    x->at = stop;
    x->after_name = t->type == MYSQL_TOKEN_WORD || t->type == MYSQL_TOKEN_QUOTED;
    return true;
}

bool mysql_lex_is(const struct mysql_token *t, const char *keyword)
{
    return t->type == MYSQL_TOKEN_WORD && lex_word_is(t->text, t->len, keyword);
}

bool mysql_lex_is_op(const struct mysql_token *t, const char *op)
{
    return (t->type == MYSQL_TOKEN_OP || t->type == MYSQL_TOKEN_PUNCT) && strlen(op) == t->len &&
           memcmp(t->text, op, t->len) == 0;
}

/* ---- what a string stands for ---- */

size_t mysql_lex_value(const struct mysql_lexer *x, const struct mysql_token *t, char *out)
{
    static const char letters[] = "0bnrtZ", meant[] = "\0\b\n\r\t\032";
    const char *p = t->text, *end = t->text + t->len;
    size_t n = 0;
    bool backslash = t->type == MYSQL_TOKEN_STRING && !x->no_backslash;
    char quote;

    if ((t->type != MYSQL_TOKEN_STRING && t->type != MYSQL_TOKEN_QUOTED) || t->len < 2) {
        memcpy(out, p, t->len);
        return t->len;
    }
    if (*p == 'n' || *p == 'N')
        p++;
    quote = *p;
    for (p++; p < end - 1; p++) {
        if (backslash && *p == '\\' && p + 1 < end - 1) {
            const char *letter = p[1] ? strchr(letters, p[1]) : NULL;
            p++;
            if (*p == '%' || *p == '_')
                out[n++] = '\\';
            out[n++] = letter ? meant[letter - letters] : *p;
        } else {
            out[n++] = *p;
            if (*p == quote)
                p++; /* the second of a pair */
        }
    }
    return n;
}
