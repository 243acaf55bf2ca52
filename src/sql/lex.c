/*
 * A tokenizer that finds the same borders as SQLite's, and the little that is read from its tokens.
 *
 *   class table → token → { first keywords → kind, end of the statement }
 */
#include "sql/lex.h"

#include <string.h>

enum lex_class {
    C_ILLEGAL,
    C_SPACE,
    C_WORD,  /* may begin an identifier */
    C_DIGIT, /* may continue one */
    C_DOLLAR,
    C_VAR, /* @ # : */
    C_ASK, /* ? */
    C_QUOTE,
    C_BRACKET,
    C_MINUS,
    C_SLASH,
    C_DOT,
    C_SEMI,
    C_BOM, /* first byte of a byte order mark, which SQLite takes for a blank */
    C_PUNCT
};

static const unsigned char classes[256] = {
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\f'] = C_SPACE,
    ['\r'] = C_SPACE,
    [' '] = C_SPACE,
    ['A' ... 'Z'] = C_WORD,
    ['a' ... 'z'] = C_WORD,
    ['_'] = C_WORD,
    [0x80 ... 0xEE] = C_WORD,
    [0xEF] = C_BOM,
    [0xF0 ... 0xFF] = C_WORD,
    ['0' ... '9'] = C_DIGIT,
    ['$'] = C_DOLLAR,
    ['@'] = C_VAR,
    ['#'] = C_VAR,
    [':'] = C_VAR,
    ['?'] = C_ASK,
    ['\''] = C_QUOTE,
    ['"'] = C_QUOTE,
    ['`'] = C_QUOTE,
    ['['] = C_BRACKET,
    ['-'] = C_MINUS,
    ['/'] = C_SLASH,
    ['.'] = C_DOT,
    [';'] = C_SEMI,
    ['!'] = C_PUNCT,
    ['%'] = C_PUNCT,
    ['&'] = C_PUNCT,
    ['('] = C_PUNCT,
    [')'] = C_PUNCT,
    ['*'] = C_PUNCT,
    ['+'] = C_PUNCT,
    [','] = C_PUNCT,
    ['<'] = C_PUNCT,
    ['='] = C_PUNCT,
    ['>'] = C_PUNCT,
    ['|'] = C_PUNCT,
    ['~'] = C_PUNCT,
};

static enum lex_class class_of(char c)
{
    return (enum lex_class)classes[(unsigned char)c];
}

static bool is_word_byte(char c)
{
    enum lex_class k = class_of(c);

    return k == C_WORD || k == C_DIGIT || k == C_DOLLAR || k == C_BOM;
}

/* SQLite takes a vertical tab for a blank behind another blank, but not in front of one. */
static bool continues_space(char c)
{
    return class_of(c) == C_SPACE || c == '\v';
}

static bool is_bom(const char *p, const char *end)
{
    return end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0;
}

/* Behind blanks, byte order marks and comments. */
static const char *skip_blank(const char *p, const char *end)
{
    while (p < end) {
        enum lex_class k = class_of(*p);

        if (k == C_SPACE) {
            while (p < end && continues_space(*p))
                p++;
        } else if (k == C_BOM && is_bom(p, end)) {
            p += 3;
        } else if (k == C_MINUS && end - p >= 2 && p[1] == '-') {
            const char *nl = memchr(p, '\n', (size_t)(end - p));
            p = nl ? nl : end; /* the newline is a blank, which a vertical tab may continue */
        } else if (k == C_SLASH && end - p >= 3 && p[1] == '*') {
            /* A comment that does not end reaches to the end of the text, as in SQLite. */
            const char *close = memmem(p + 2, (size_t)(end - p) - 2, "*/", 2);
            p = close ? close + 2 : end;
        } else {
            break;
        }
    }
    return p;
}

/* Behind the closing quote; NULL if there is none. A doubled quote stands for itself. */
static const char *skip_quoted(const char *p, const char *end)
{
    const char quote = *p++;

    while (p < end) {
        const char *close = memchr(p, quote, (size_t)(end - p));
        if (!close)
            return NULL;
        if (close + 1 == end || close[1] != quote)
            return close + 1;
        p = close + 2;
    }
    return NULL;
}

static const char *skip_word(const char *p, const char *end)
{
    while (p < end && is_word_byte(*p))
        p++;
    return p;
}

/* $name, :name, @name, also Tcl's $a::b(c), whose parentheses may hold anything but a blank. */
static const char *skip_variable(const char *p, const char *end, bool *legal)
{
    bool named = false;

    *legal = true;
    for (p++; p < end; p++) {
        if (is_word_byte(*p)) {
            named = true;
        } else if (*p == '(' && named) {
            for (p++; p < end && !continues_space(*p) && *p != ')'; p++)
                ;
            *legal = p < end && *p == ')';
            return *legal ? p + 1 : p;
        } else if (*p == ':' && p + 1 < end && p[1] == ':') {
            p++;
        } else {
            break;
        }
    }
    *legal = named;
    return p;
}

bool lex_next(const char **at, const char *end, struct lex_token *t)
{
    const char *p = skip_blank(*at, end);
    const char *stop = p + 1;

    t->text = p;
    if (p >= end) {
        *at = end;
        t->type = LEX_TOKEN_END;
        t->len = 0;
        return false;
    }
    switch (class_of(*p)) {
    case C_WORD:
    case C_BOM:
        t->type = LEX_TOKEN_WORD;
        stop = skip_word(p, end);
        break;
    case C_DIGIT:
        t->type = LEX_TOKEN_NUMBER;
        stop = skip_word(p, end);
        break;
    case C_DOT:
        t->type = LEX_TOKEN_PUNCT;
        if (stop < end && class_of(*stop) == C_DIGIT) {
            t->type = LEX_TOKEN_NUMBER;
            stop = skip_word(stop, end);
        }
        break;
    case C_DOLLAR:
    case C_VAR: {
        bool legal;
        stop = skip_variable(p, end, &legal);
        t->type = legal ? LEX_TOKEN_VARIABLE : LEX_TOKEN_ILLEGAL;
        break;
    }
    case C_ASK:
        t->type = LEX_TOKEN_VARIABLE;
        while (stop < end && class_of(*stop) == C_DIGIT)
            stop++;
        break;
    case C_QUOTE:
        t->type = *p == '\'' ? LEX_TOKEN_STRING : LEX_TOKEN_QUOTED;
        stop = skip_quoted(p, end);
        break;
    case C_BRACKET:
        t->type = LEX_TOKEN_QUOTED;
        stop = memchr(p, ']', (size_t)(end - p));
        if (stop)
            stop++;
        break;
    case C_SEMI:
        t->type = LEX_TOKEN_SEMI;
        break;
    case C_MINUS:
    case C_SLASH:
    case C_PUNCT:
        t->type = LEX_TOKEN_PUNCT;
        break;
    case C_SPACE:
    case C_ILLEGAL:
        t->type = LEX_TOKEN_ILLEGAL;
        break;
    }
    if (!stop) { /* a quote that does not end */
        t->type = LEX_TOKEN_ILLEGAL;
        stop = end;
    }
    t->len = (size_t)(stop - p);
    *at = stop;
    return true;
}

bool lex_word_is(const char *text, size_t len, const char *keyword)
{
    /* Most words are told from most keywords by their first letter. */
    if (len == 0 || (text[0] & ~0x20) != keyword[0])
        return len == 0 && keyword[0] == '\0';
    for (size_t i = 1; i < len; i++) {
        char c = text[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (keyword[i] == '\0' || c != keyword[i])
            return false;
    }
    return keyword[len] == '\0';
}

bool lex_is(const struct lex_token *t, const char *keyword)
{
    return t->type == LEX_TOKEN_WORD && lex_word_is(t->text, t->len, keyword);
}

size_t lex_unquote(const struct lex_token *t, char *out)
{
    size_t n = 0;

    if ((t->type != LEX_TOKEN_QUOTED && t->type != LEX_TOKEN_STRING) || t->len < 2) {
        memcpy(out, t->text, t->len);
        n = t->len;
    } else {
        const char quote = t->text[0];
        for (size_t i = 1; i < t->len - 1; i++) {
            out[n++] = t->text[i];
            if (t->text[i] == quote && quote != '[')
                i++; /* the second of a pair */
        }
    }
    out[n] = '\0';
    return n;
}

/* ---- where a statement ends ---- */

/* The states of sqlite3_complete(): only CREATE [TEMP] TRIGGER … ; END ; holds semicolons. */
enum lex_state { S_START, S_NORMAL, S_EXPLAIN, S_CREATE, S_TRIGGER, S_SEMI, S_END };

static enum lex_state next_state(enum lex_state s, const struct lex_token *t)
{
    switch (s) {
    case S_START:
        return lex_is(t, "CREATE") ? S_CREATE : lex_is(t, "EXPLAIN") ? S_EXPLAIN : S_NORMAL;
    case S_EXPLAIN: /* EXPLAIN QUERY PLAN CREATE … */
        return lex_is(t, "CREATE")                       ? S_CREATE
               : lex_is(t, "QUERY") || lex_is(t, "PLAN") ? S_EXPLAIN
                                                         : S_NORMAL;
    case S_CREATE:
        return lex_is(t, "TRIGGER")                          ? S_TRIGGER
               : lex_is(t, "TEMP") || lex_is(t, "TEMPORARY") ? S_CREATE
                                                             : S_NORMAL;
    case S_TRIGGER:
        return t->type == LEX_TOKEN_SEMI ? S_SEMI : S_TRIGGER;
    case S_SEMI:
        return t->type == LEX_TOKEN_SEMI ? S_SEMI : lex_is(t, "END") ? S_END : S_TRIGGER;
    case S_END: /* the semicolon that ends it all is seen by the caller */
        return S_TRIGGER;
    case S_NORMAL:
        break;
    }
    return S_NORMAL;
}

size_t lex_split(struct lex_split *s, const char *sql, size_t len)
{
    const char *at = sql + s->at, *end = sql + len;
    enum lex_state state = (enum lex_state)s->state;
    struct lex_token t;

    while (lex_next(&at, end, &t)) {
        if (t.type == LEX_TOKEN_SEMI && state != S_TRIGGER && state != S_SEMI)
            return (size_t)(at - sql);
        state = next_state(state, &t);
        /* Two bytes further on nothing changes a token any more: a slash may yet begin a comment,
         * whose star does not do without a third byte, and $a may go on with two colons. */
        if (end - at >= 2) {
            s->at = (size_t)(at - sql);
            s->state = (int)state;
        }
    }
    return 0;
}

size_t lex_length(const char *sql, size_t len)
{
    struct lex_split s = LEX_SPLIT_INIT;
    size_t length = lex_split(&s, sql, len);

    return length > 0 ? length : len;
}

/* ---- what a statement is ---- */

static const struct {
    const char *word;
    enum lex_kind kind;
} first_words[] = {
    {"SELECT", LEX_READ},     {"INSERT", LEX_WRITE},        {"UPDATE", LEX_WRITE},
    {"DELETE", LEX_WRITE},    {"BEGIN", LEX_BEGIN},         {"START", LEX_BEGIN},
    {"COMMIT", LEX_COMMIT},   {"END", LEX_COMMIT},          {"ROLLBACK", LEX_ROLLBACK},
    {"REPLACE", LEX_WRITE},   {"SAVEPOINT", LEX_SAVEPOINT}, {"RELEASE", LEX_RELEASE},
    {"VALUES", LEX_READ},     {"EXPLAIN", LEX_READ},        {"CREATE", LEX_DDL},
    {"DROP", LEX_DDL},        {"ALTER", LEX_DDL},           {"REINDEX", LEX_DDL},
    {"ANALYZE", LEX_DDL},     {"PRAGMA", LEX_PRAGMA},       {"VACUUM", LEX_VACUUM},
    {"HISTORY", LEX_HISTORY}, {"UNDO", LEX_UNDO},           {"UNDOE", LEX_UNDO},
    {"UNDOT", LEX_UNDO},
};

static enum lex_kind kind_of(const struct lex_token *t)
{
    for (size_t i = 0; i < sizeof first_words / sizeof first_words[0]; i++)
        if (lex_is(t, first_words[i].word))
            return first_words[i].kind;
    return LEX_OTHER;
}

/* A name as SQLite's `nm`: bare, quoted, or even a string. */
static bool is_name(const struct lex_token *t)
{
    return t->type == LEX_TOKEN_WORD || t->type == LEX_TOKEN_QUOTED || t->type == LEX_TOKEN_STRING;
}

static void take_name(struct lex *x, const struct lex_token *t)
{
    bool quoted = t->type != LEX_TOKEN_WORD;

    x->name = t->text + (quoted ? 1 : 0);
    x->name_len = t->len - (quoted ? 2 : 0);
}

/* [TRANSACTION [name]]: SQLite takes the name and forgets it. `t` is the token in question. */
static void skip_transaction(const char **at, const char *end, struct lex_token *t)
{
    if (!lex_is(t, "TRANSACTION"))
        return;
    lex_next(at, end, t);
    if (is_name(t) && !lex_is(t, "TO"))
        lex_next(at, end, t);
}

static bool read_begin(struct lex *x, const struct lex_token *first, const char **at,
                       const char *end, struct lex_token *t)
{
    if (lex_is(first, "START")) {
        if (!lex_is(t, "TRANSACTION"))
            return false;
        lex_next(at, end, t);
        return true;
    }
    if (lex_is(t, "IMMEDIATE") || lex_is(t, "EXCLUSIVE"))
        x->kind = LEX_BEGIN_WRITE;
    if (x->kind == LEX_BEGIN_WRITE || lex_is(t, "DEFERRED"))
        lex_next(at, end, t);
    skip_transaction(at, end, t);
    return true;
}

/* [SAVEPOINT] name, or the bare name where the keyword has been read. */
static bool read_savepoint(struct lex *x, bool keyword, const char **at, const char *end,
                           struct lex_token *t)
{
    if (keyword && lex_is(t, "SAVEPOINT"))
        lex_next(at, end, t);
    if (!is_name(t))
        return false;
    take_name(x, t);
    lex_next(at, end, t);
    return true;
}

/* The rest of a transaction-control statement, `t` being the first token behind its first word. */
static bool read_control(struct lex *x, const struct lex_token *first, const char **at,
                         const char *end, struct lex_token *t)
{
    switch (x->kind) {
    case LEX_BEGIN:
        return read_begin(x, first, at, end, t);
    case LEX_COMMIT:
        skip_transaction(at, end, t);
        return true;
    case LEX_ROLLBACK:
        skip_transaction(at, end, t);
        if (!lex_is(t, "TO"))
            return true;
        x->kind = LEX_ROLLBACK_TO;
        lex_next(at, end, t);
        return read_savepoint(x, true, at, end, t);
    case LEX_SAVEPOINT:
        return read_savepoint(x, false, at, end, t);
    case LEX_RELEASE:
        return read_savepoint(x, true, at, end, t);
    default:
        return false;
    }
}

struct lex lex_statement(const char *sql, size_t len)
{
    const char *at = sql, *end = sql + len;
    struct lex x = {.kind = LEX_OTHER};
    struct lex_token first, t;

    if (!lex_next(&at, end, &first) || first.type == LEX_TOKEN_SEMI) {
        x.kind = LEX_EMPTY;
        x.len = (size_t)(at - sql);
        return x;
    }
    x.kind = kind_of(&first);
    if (x.kind == LEX_HISTORY || x.kind == LEX_UNDO)
        x.len = lex_length(sql, len);
    if (x.kind < LEX_BEGIN || x.kind > LEX_ROLLBACK_TO)
        return x;
    lex_next(&at, end, &t);
    if (!read_control(&x, &first, &at, end, &t) ||
        (t.type != LEX_TOKEN_SEMI && t.type != LEX_TOKEN_END))
        return (struct lex){.kind = LEX_OTHER};
    x.len = (size_t)(at - sql);
    return x;
}
