/*
 * The COPY statement.
 *
 *   COPY { [schema.]table [(column, …)] | (query) } { FROM STDIN | TO STDOUT } [options]
 *   options: [WITH] (name [value], …)
 *          | [WITH] [BINARY] [DELIMITER [AS] 's'] [NULL [AS] 's'] [CSV [HEADER] [QUOTE [AS] 's']
 *            [ESCAPE [AS] 's'] [FORCE QUOTE …] [FORCE NOT NULL …] [FORCE NULL …]]
 */
#include "sql/pg/copy.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "sql/pg/lex.h"

#define MAX_NAMES 2000u /* of one list: SQLite's limit of columns */

struct parser {
    struct arena *arena;
    const char *sql;
    struct pg_lexer lexer;
    struct pg_token t; /* the next one, not taken yet */
    struct pg_copy *out;
    struct err *e;
    /* What was said; the format's own defaults come first, whatever the order. */
    enum copy_format format;
    const char *delimiter, *quote, *escape, *null;
    size_t null_len;
    bool has_format;
};

static void advance(struct parser *p)
{
    (void)pg_lex_next(&p->lexer, &p->t);
}

static bool fail(struct parser *p, enum err_code code, const char *text)
{
    if (p->e->code != ERR_OK)
        return false;
    (void)err_set(p->e, code, "%s", text);
    p->e->offset = (int)(p->t.text - p->sql);
    return false;
}

static bool syntax(struct parser *p)
{
    if (p->t.type == PG_TOKEN_END || p->t.type == PG_TOKEN_SEMI)
        return fail(p, ERR_SYNTAX, "syntax error at end of input");
    if (p->e->code == ERR_OK) {
        (void)err_set(p->e, ERR_SYNTAX, "syntax error at or near \"%.*s\"",
                      (int)(p->t.len < 60 ? p->t.len : 60), p->t.text);
        p->e->offset = (int)(p->t.text - p->sql);
    }
    return false;
}

static bool take(struct parser *p, const char *keyword)
{
    if (p->t.type != PG_TOKEN_WORD || !pg_lex_is(&p->t, keyword))
        return false;
    advance(p);
    return true;
}

static bool take_op(struct parser *p, const char *op)
{
    if (!pg_lex_is_op(&p->t, op))
        return false;
    advance(p);
    return true;
}

static bool need_op(struct parser *p, const char *op)
{
    return take_op(p, op) || syntax(p);
}

/* The characters that the token stands for, terminated. */
static const char *value(struct parser *p, size_t *len)
{
    char *s = arena_alloc(p->arena, p->t.len + 1);
    size_t n = s ? pg_lex_value(&p->t, s) : 0;

    if (!s) {
        (void)fail(p, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    if (n == SIZE_MAX) {
        (void)fail(p, ERR_SYNTAX, "invalid escape in a string");
        return NULL;
    }
    s[n] = '\0';
    if (len)
        *len = n;
    return s;
}

static const char *name(struct parser *p)
{
    const char *s;

    if (p->t.type != PG_TOKEN_WORD && p->t.type != PG_TOKEN_QUOTED) {
        (void)syntax(p);
        return NULL;
    }
    s = value(p, NULL);
    advance(p);
    return s;
}

static const char *string(struct parser *p, size_t *len)
{
    const char *s;

    if (p->t.type != PG_TOKEN_STRING && p->t.type != PG_TOKEN_ESCAPED &&
        p->t.type != PG_TOKEN_DOLLAR) {
        (void)syntax(p);
        return NULL;
    }
    s = value(p, len);
    advance(p);
    return s;
}

static bool names(struct parser *p, struct pg_copy_names *out, bool parentheses)
{
    const char *list[MAX_NAMES];
    unsigned n = 0;

    out->all = take_op(p, "*");
    if (out->all)
        return true;
    if (parentheses && !need_op(p, "("))
        return false;
    do {
        if (n == MAX_NAMES)
            return fail(p, ERR_TOO_BIG, "too many columns");
        list[n] = name(p);
        if (!list[n++])
            return false;
    } while (take_op(p, ","));
    if (parentheses && !need_op(p, ")"))
        return false;
    out->list = arena_alloc(p->arena, n * sizeof *out->list);
    if (!out->list)
        return fail(p, ERR_NO_MEMORY, "out of memory");
    memcpy(out->list, list, n * sizeof *list);
    out->n = n;
    return true;
}

/* ---- options ---- */

static bool one_byte(struct parser *p, const char **out, const char *complaint)
{
    size_t len;
    const char *s = string(p, &len);

    if (s && len != 1)
        return fail(p, ERR_UNSUPPORTED, complaint);
    *out = s;
    return s != NULL;
}

static bool delimiter(struct parser *p)
{
    return one_byte(p, &p->delimiter, "COPY delimiter must be a single one-byte character");
}

static bool quote(struct parser *p)
{
    return one_byte(p, &p->quote, "COPY quote must be a single one-byte character");
}

static bool escape(struct parser *p)
{
    return one_byte(p, &p->escape, "COPY escape must be a single one-byte character");
}

static bool null_marker(struct parser *p)
{
    p->null = string(p, &p->null_len);
    if (p->null && p->null_len > COPY_MAX_NULL)
        return fail(p, ERR_UNSUPPORTED, "COPY null representation is too long");
    return p->null != NULL;
}

static bool format(struct parser *p)
{
    const char *s = p->t.type == PG_TOKEN_STRING ? string(p, NULL) : name(p);

    if (!s)
        return false;
    p->has_format = true;
    if (strcasecmp(s, "text") == 0)
        p->format = COPY_TEXT;
    else if (strcasecmp(s, "csv") == 0)
        p->format = COPY_CSV;
    else if (strcasecmp(s, "binary") == 0)
        p->format = COPY_BINARY;
    else
        return fail(p, ERR_PARAM, "COPY format not recognized");
    return true;
}

/* A boolean option may stand without its value. */
static bool boolean(struct parser *p, bool *out)
{
    static const char *const yes[] = {"true", "on", "1"}, *const no[] = {"false", "off", "0"};
    const char *s;

    *out = true;
    if (pg_lex_is_op(&p->t, ",") || pg_lex_is_op(&p->t, ")"))
        return true;
    s = value(p, NULL);
    if (!s)
        return false;
    for (unsigned i = 0; i < 3; i++) {
        if (strcasecmp(s, yes[i]) != 0 && strcasecmp(s, no[i]) != 0)
            continue;
        *out = strcasecmp(s, yes[i]) == 0;
        advance(p);
        return true;
    }
    return fail(p, ERR_PARAM, "COPY option requires a Boolean value");
}

static bool header(struct parser *p)
{
    bool on;

    if (take(p, "MATCH")) {
        p->out->options.header = COPY_HEADER_MATCH;
        return true;
    }
    if (!boolean(p, &on))
        return false;
    p->out->options.header = on ? COPY_HEADER_YES : COPY_HEADER_NONE;
    return true;
}

static bool encoding(struct parser *p)
{
    const char *s = string(p, NULL);

    if (!s)
        return false;
    if (strcasecmp(s, "utf8") != 0 && strcasecmp(s, "utf-8") != 0 && strcasecmp(s, "unicode") != 0)
        return fail(p, ERR_UNSUPPORTED, "COPY knows no encoding but UTF8");
    return true;
}

static bool named_option(struct parser *p)
{
    struct pg_copy *c = p->out;
    bool ignored;

    if (take(p, "FORMAT"))
        return format(p);
    if (take(p, "FREEZE"))
        return boolean(p, &ignored);
    if (take(p, "DELIMITER"))
        return delimiter(p);
    if (take(p, "NULL"))
        return null_marker(p);
    if (take(p, "HEADER"))
        return header(p);
    if (take(p, "QUOTE"))
        return quote(p);
    if (take(p, "ESCAPE"))
        return escape(p);
    if (take(p, "FORCE_QUOTE"))
        return names(p, &c->force_quote, true);
    if (take(p, "FORCE_NOT_NULL"))
        return names(p, &c->force_not_null, true);
    if (take(p, "FORCE_NULL"))
        return names(p, &c->force_null, true);
    if (take(p, "ENCODING"))
        return encoding(p);
    return fail(p, ERR_SYNTAX, "COPY option not recognized");
}

static bool forced(struct parser *p)
{
    if (take(p, "QUOTE"))
        return names(p, &p->out->force_quote, false);
    if (take(p, "NULL"))
        return names(p, &p->out->force_null, false);
    if (take(p, "NOT") && take(p, "NULL"))
        return names(p, &p->out->force_not_null, false);
    return syntax(p);
}

/* An option of the older spelling; *end where there is none left. */
static bool old_option(struct parser *p, bool *end)
{
    if (take(p, "BINARY")) {
        p->format = COPY_BINARY;
    } else if (take(p, "CSV")) {
        p->format = COPY_CSV;
    } else if (take(p, "HEADER")) {
        p->out->options.header = COPY_HEADER_YES;
    } else if (take(p, "FREEZE")) {
        return true;
    } else if (take(p, "DELIMITER") || take(p, "DELIMITERS")) {
        (void)take(p, "AS");
        return delimiter(p);
    } else if (take(p, "NULL")) {
        (void)take(p, "AS");
        return null_marker(p);
    } else if (take(p, "QUOTE")) {
        (void)take(p, "AS");
        return quote(p);
    } else if (take(p, "ESCAPE")) {
        (void)take(p, "AS");
        return escape(p);
    } else if (take(p, "FORCE")) {
        return forced(p);
    } else if (take(p, "ENCODING")) {
        return encoding(p);
    } else {
        *end = true;
    }
    return true;
}

static bool options(struct parser *p)
{
    bool end = false;

    (void)take(p, "WITH");
    if (take_op(p, "(")) {
        do {
            if (!named_option(p))
                return false;
        } while (take_op(p, ","));
        return need_op(p, ")");
    }
    while (!end)
        if (!old_option(p, &end))
            return false;
    return true;
}

/* ---- the statement ---- */

/* (query): its text between the parentheses. */
static bool query(struct parser *p)
{
    const char *start = p->t.text;
    unsigned depth = 1;

    while (p->t.type != PG_TOKEN_END && p->t.type != PG_TOKEN_ILLEGAL) {
        if (pg_lex_is_op(&p->t, "("))
            depth++;
        else if (pg_lex_is_op(&p->t, ")") && --depth == 0)
            break;
        advance(p);
    }
    if (depth > 0)
        return syntax(p);
    p->out->query = start;
    p->out->query_len = (size_t)(p->t.text - start);
    advance(p);
    return true;
}

static bool target(struct parser *p)
{
    struct pg_copy *c = p->out;

    if (take_op(p, "("))
        return query(p);
    if (take(p, "BINARY"))
        p->format = COPY_BINARY;
    c->table = name(p);
    while (c->table && take_op(p, "."))
        c->table = name(p);
    if (!c->table)
        return false;
    return !pg_lex_is_op(&p->t, "(") || names(p, &c->columns, true);
}

static bool direction(struct parser *p)
{
    struct pg_copy *c = p->out;

    c->reading = take(p, "FROM");
    if (!c->reading && !take(p, "TO"))
        return syntax(p);
    if (c->reading && c->query)
        return syntax(p);
    if (take(p, "STDIN") || take(p, "STDOUT"))
        return true;
    if (pg_lex_is(&p->t, "PROGRAM") || p->t.type == PG_TOKEN_STRING ||
        p->t.type == PG_TOKEN_ESCAPED)
        return fail(p, ERR_UNSUPPORTED,
                    "COPY with files and programs of the server is not supported; use STDIN, "
                    "STDOUT or psql's \\copy");
    return syntax(p);
}

static bool statement(struct parser *p)
{
    if (!take(p, "COPY"))
        return syntax(p);
    if (!target(p) || !direction(p) || !options(p))
        return false;
    if (p->out->reading && pg_lex_is(&p->t, "WHERE"))
        return fail(p, ERR_UNSUPPORTED, "COPY FROM with WHERE is not supported");
    (void)(p->t.type == PG_TOKEN_SEMI && (advance(p), true));
    return p->t.type == PG_TOKEN_END || syntax(p);
}

/* What was said, on top of the format's defaults. */
static bool settle(struct parser *p)
{
    struct copy_options *o = &p->out->options;
    enum copy_header said = o->header;

    if (p->format != COPY_CSV && (p->quote || p->escape))
        return fail(p, ERR_UNSUPPORTED,
                    p->quote ? "COPY quote available only in CSV mode"
                             : "COPY escape available only in CSV mode");
    if (p->format == COPY_BINARY && p->delimiter)
        return fail(p, ERR_SYNTAX, "cannot specify DELIMITER in BINARY mode");
    if (p->format == COPY_BINARY && p->null)
        return fail(p, ERR_SYNTAX, "cannot specify NULL in BINARY mode");
    copy_options_init(o, p->format);
    o->header = said;
    if (p->delimiter)
        o->delimiter = *p->delimiter;
    if (p->quote)
        o->quote = o->escape = *p->quote;
    if (p->escape)
        o->escape = *p->escape;
    if (p->null) {
        memcpy(o->null, p->null, p->null_len + 1);
        o->null_len = p->null_len;
    }
    return true;
}

enum err_code pg_copy_parse(struct arena *a, const char *sql, size_t len, struct pg_copy *out,
                            struct err *e)
{
    struct parser p = {.arena = a, .sql = sql, .out = out, .e = e, .format = COPY_TEXT};

    *out = (struct pg_copy){0};
    err_clear(e);
    pg_lex_init(&p.lexer, sql, len);
    advance(&p);
    if (statement(&p))
        (void)settle(&p);
    return e->code;
}

static const bool *flags(struct arena *a, const struct pg_copy_names *chosen,
                         const char *const *all, unsigned n, struct err *e)
{
    bool *out = chosen->n > 0 ? arena_alloc(a, n * sizeof *out) : NULL;

    if (chosen->n > 0 && !out)
        (void)err_set(e, ERR_NO_MEMORY, "out of memory");
    for (unsigned i = 0; out && i < chosen->n; i++) {
        unsigned at = 0;

        while (at < n && strcasecmp(all[at], chosen->list[i]) != 0)
            at++;
        if (at == n) {
            (void)err_set(e, ERR_NO_COLUMN, "column \"%s\" is not among those of COPY",
                          chosen->list[i]);
            return NULL;
        }
        out[at] = true;
    }
    return out;
}

enum err_code pg_copy_resolve(struct arena *a, struct pg_copy *c, const char *const *all,
                              unsigned n, struct err *e)
{
    err_clear(e);
    c->options.force_quote_all = c->force_quote.all;
    c->options.force_quote = flags(a, &c->force_quote, all, n, e);
    c->options.force_not_null = flags(a, &c->force_not_null, all, n, e);
    c->options.force_null = flags(a, &c->force_null, all, n, e);
    if (e->code == ERR_OK)
        (void)copy_options_check(&c->options, c->reading, e);
    return e->code;
}
