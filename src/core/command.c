#include "core/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digits.h"
#include "base/duration.h"
#include "sql/lex.h"

#define ARGUMENT_MAX 64 /* bytes */

static const char *const names[] = {[COMMAND_HISTORY] = "HISTORY",
                                    [COMMAND_UNDO] = "UNDO",
                                    [COMMAND_UNDOE] = "UNDOE",
                                    [COMMAND_UNDOT] = "UNDOT"};

enum err_code command_argument(struct command *c, enum command_kind kind, const char *text,
                               struct err *e)
{
    *c = (struct command){.kind = kind};
    if (address_parse(text, &c->at))
        return ERR_OK;
    if (!duration_parse(text, &c->ns))
        return err_set(e, ERR_PARAM,
                       "%s: '%.60s' is neither a transaction (150 or 150.2) nor a duration ('10m')",
                       names[kind], text);
    c->by_time = true;
    if (kind == COMMAND_UNDOE || kind == COMMAND_UNDOT)
        return err_set(e, ERR_PARAM, "%s: it takes a transaction (150 or 150.2), not a duration",
                       names[kind]);
    if (c->ns <= 0)
        return err_set(e, ERR_PARAM, "%s: a duration has to be greater than 0", names[kind]);
    return ERR_OK;
}

static enum command_kind kind_of(const struct lex_token *t)
{
    for (int k = COMMAND_UNDO; k <= COMMAND_UNDOT; k++)
        if (lex_is(t, names[k]))
            return (enum command_kind)k;
    return COMMAND_HISTORY;
}

static enum err_code syntax(enum command_kind kind, const char *sql, const struct lex_token *t,
                            struct err *e)
{
    const char *usage = kind == COMMAND_HISTORY ? "HISTORY [n | 'duration']"
                        : kind == COMMAND_UNDO  ? "UNDO n | 'duration'"
                        : kind == COMMAND_UNDOE ? "UNDOE n [WHERE table(rowid, …)]"
                                                : "UNDOT n [WHERE table(rowid, …)]";

    if (t->type == LEX_TOKEN_END || t->type == LEX_TOKEN_SEMI)
        err_set(e, ERR_SYNTAX, "incomplete input: the statement is %s", usage);
    else
        err_set(e, ERR_SYNTAX, "near \"%.*s\": syntax error; the statement is %s",
                (int)(t->len < 40 ? t->len : 40), t->text, usage);
    e->offset = (int)(t->text - sql);
    return e->code;
}

/* $2, ?2 → 2; a bare ?, a name → 1. */
static uint64_t number_of(const struct lex_token *t)
{
    char text[24] = "";
    const char *p = text;
    uint64_t n = 0;

    if (t->len - 1 < sizeof text)
        memcpy(text, t->text + 1, t->len - 1);
    return digits_read(&p, &n) && *p == '\0' ? n : 1;
}

static enum err_code parameter(char out[ARGUMENT_MAX], enum command_kind kind,
                               const struct lex_token *t, const struct query *q, struct err *e)
{
    uint64_t n = number_of(t);

    if (n == 0 || n > q->n_params)
        return err_set(e, ERR_PARAM, "no value is given for the parameter %.*s",
                       (int)(t->len < 40 ? t->len : 40), t->text);
    const struct value *v = &q->params[n - 1].value;
    if (v->type == VALUE_INTEGER && v->u.i >= 0) {
        (void)snprintf(out, ARGUMENT_MAX, "%lld", (long long)v->u.i);
        return ERR_OK;
    }
    /* Bytes are a text whose type the client has not told. */
    if ((v->type != VALUE_TEXT && v->type != VALUE_BLOB) || v->u.s.len >= ARGUMENT_MAX ||
        v->u.s.len == 0 || memchr(v->u.s.data, '\0', v->u.s.len))
        return err_set(e, ERR_PARAM,
                       "%s: the parameter has to be a transaction (150 or '150.2') or a duration",
                       names[kind]);
    memcpy(out, v->u.s.data, v->u.s.len);
    out[v->u.s.len] = '\0';
    return ERR_OK;
}

/* A number may come in pieces: 150 .2 and 1 .5h, with nothing between them. */
static bool join(char out[ARGUMENT_MAX], const char **at, const char *end, struct lex_token *t)
{
    const char *start = t->text;
    size_t n = 0;

    while (t->type == LEX_TOKEN_NUMBER && t->text == start + n) {
        n += t->len;
        if (n >= ARGUMENT_MAX)
            return false;
        lex_next(at, end, t);
    }
    memcpy(out, start, n);
    out[n] = '\0';
    return true;
}

static bool is_punct(const struct lex_token *t, char c)
{
    return t->type == LEX_TOKEN_PUNCT && *t->text == c;
}

/* Behind WHERE: table(1, -2, …). `t` is the token behind it afterwards, or the one that is wrong.
 */
static bool where(struct undo_where *w, const char **at, const char *end, struct lex_token *t)
{
    lex_next(at, end, t);
    if ((t->type != LEX_TOKEN_WORD && t->type != LEX_TOKEN_QUOTED) || t->len >= UNDO_WHERE_NAME)
        return false;
    (void)lex_unquote(t, w->table);
    lex_next(at, end, t);
    if (!is_punct(t, '('))
        return false;
    do {
        char text[ARGUMENT_MAX];
        char *rest = NULL;
        lex_next(at, end, t);
        bool negative = is_punct(t, '-');
        if (negative)
            lex_next(at, end, t);
        if (t->type != LEX_TOKEN_NUMBER || t->len + 2 > sizeof text || w->n == UNDO_WHERE_ROWS)
            return false;
        (void)snprintf(text, sizeof text, "%s%.*s", negative ? "-" : "", (int)t->len, t->text);
        errno = 0;
        w->rowids[w->n++] = strtoll(text, &rest, 10);
        if (errno != 0 || *rest)
            return false;
        lex_next(at, end, t);
    } while (is_punct(t, ','));
    if (!is_punct(t, ')'))
        return false;
    lex_next(at, end, t);
    return true;
}

enum err_code command_read(struct command *c, const char *sql, size_t len, const struct query *q,
                           unsigned *n_params, struct err *e)
{
    const char *at = sql, *end = sql + len;
    char text[ARGUMENT_MAX] = "0";
    struct undo_where rows = {.n = 0};
    struct lex_token t;
    enum err_code code;

    *n_params = 0;
    lex_next(&at, end, &t);
    enum command_kind kind = kind_of(&t);
    *c = (struct command){.kind = kind};
    lex_next(&at, end, &t);
    if (t.type == LEX_TOKEN_VARIABLE) {
        *n_params = 1;
        code = q ? parameter(text, kind, &t, q, e) : ERR_OK;
        if (code != ERR_OK)
            return code;
        lex_next(&at, end, &t);
    } else if (t.type == LEX_TOKEN_STRING && t.len < ARGUMENT_MAX) {
        (void)lex_unquote(&t, text);
        lex_next(&at, end, &t);
    } else if (t.type == LEX_TOKEN_NUMBER) {
        if (!join(text, &at, end, &t))
            return syntax(kind, sql, &t, e);
    } else if (kind != COMMAND_HISTORY) {
        return syntax(kind, sql, &t, e);
    }
    bool named = (kind == COMMAND_UNDOE || kind == COMMAND_UNDOT) && lex_is(&t, "WHERE");
    if ((named && !where(&rows, &at, end, &t)) ||
        (t.type != LEX_TOKEN_END && t.type != LEX_TOKEN_SEMI))
        return syntax(kind, sql, &t, e);
    code = command_argument(c, kind, text, e);
    c->where = rows;
    return code;
}
