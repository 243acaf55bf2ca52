/*
 * SET: system variables, user variables, NAMES, CHARACTER SET, TRANSACTION.
 *
 *   SET [SESSION | GLOBAL | LOCAL | @@session. …] a = value, @b := value, NAMES utf8mb4 …
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sql/mysql/lex.h"
#include "wire/mysql/session.h"

#define NAME_BYTES 128

struct setter {
    struct mysql_conn *c;
    struct mysql_lexer x;
    struct mysql_token t; /* the next one */
    bool has;
};

static void advance(struct setter *s)
{
    s->has = mysql_lex_next(&s->x, &s->t) && s->t.type != MYSQL_TOKEN_SEMI;
}

static bool is(const struct setter *s, const char *word)
{
    return s->has && mysql_lex_is(&s->t, word);
}

static bool is_op(const struct setter *s, const char *op)
{
    return s->has && mysql_lex_is_op(&s->t, op);
}

static bool syntax(struct setter *s)
{
    mysql_error(s->c, MYSQL_ER_PARSE, "You have an error in your SQL syntax; near '%.*s' in SET",
                s->has ? (s->t.len < 80 ? (int)s->t.len : 80) : 0, s->has ? s->t.text : "");
    return false;
}

/* Of the token, unquoted. */
static bool take_name(struct setter *s, char name[NAME_BYTES])
{
    char value[NAME_BYTES];
    size_t n;

    if (!s->has || s->t.len >= NAME_BYTES)
        return syntax(s);
    n = mysql_lex_value(&s->x, &s->t, value);
    if (memchr(value, '\0', n))
        return syntax(s);
    memcpy(name, value, n);
    name[n] = '\0';
    advance(s);
    return true;
}

/* @name, @`name`: without the sign and quotes. */
static bool take_user_name(struct setter *s, char name[NAME_BYTES])
{
    size_t n = s->t.len - 1;
    const char *p = s->t.text + 1;

    if (n >= 2 && strchr("`'\"", *p) && *p) {
        p++;
        n -= 2;
    }
    if (n == 0 || n >= NAME_BYTES)
        return syntax(s);
    memcpy(name, p, n);
    name[n] = '\0';
    advance(s);
    return true;
}

/* ---- values ---- */

/* The tokens up to the next comma. */
static const char *take_expression(struct setter *s, size_t *len, struct mysql_token *only)
{
    const char *from = s->has ? s->t.text : "", *to = from;
    unsigned depth = 0, n = 0;

    for (; s->has; advance(s)) {
        if (is_op(s, "("))
            depth++;
        else if (is_op(s, ")") && depth > 0)
            depth--;
        else if (is_op(s, ",") && depth == 0)
            break;
        *only = s->t;
        to = s->t.text + s->t.len;
        n++;
    }
    if (n != 1)
        only->type = MYSQL_TOKEN_END;
    *len = (size_t)(to - from);
    return from;
}

/* Evaluated: a word is itself (utf8mb4, ON), the rest a query says. */
static bool take_value(struct setter *s, struct value *out)
{
    struct mysql_token only = {.type = MYSQL_TOKEN_END};
    size_t len;
    const char *text = take_expression(s, &len, &only);

    if (len == 0)
        return syntax(s);
    if (only.type == MYSQL_TOKEN_WORD && !mysql_lex_is(&only, "NULL") &&
        !mysql_lex_is(&only, "TRUE") && !mysql_lex_is(&only, "FALSE")) {
        *out = value_text(only.text, only.len);
        return true;
    }
    return mysql_value_of(s->c, text, len, out);
}

static bool as_text(const struct value *v, char text[MYSQL_VARIABLE_BYTES])
{
    switch (v->type) {
    case VALUE_NULL:
        text[0] = '\0';
        return true;
    case VALUE_INTEGER:
        (void)snprintf(text, MYSQL_VARIABLE_BYTES, "%lld", (long long)v->u.i);
        return true;
    case VALUE_REAL:
        (void)snprintf(text, MYSQL_VARIABLE_BYTES, "%g", v->u.r);
        return true;
    default:
        if (v->u.s.len >= MYSQL_VARIABLE_BYTES)
            return false;
        memcpy(text, v->u.s.data, v->u.s.len);
        text[v->u.s.len] = '\0';
        return true;
    }
}

/* ---- assignments ---- */

static bool set_one(struct mysql_conn *c, const char *name, const char *value)
{
    switch (mysql_variable_set(&c->variables, name, value)) {
    case MYSQL_SET_OK:
        return true;
    case MYSQL_SET_UNKNOWN: /* more of them are known to MySQL than to us */
        mysql_warn(c, "Warning", MYSQL_ER_UNKNOWN_VARIABLE, "Unknown system variable '%s'", name);
        return true;
    case MYSQL_SET_FIXED:
        mysql_error(c, MYSQL_ER_READ_ONLY_VAR, "Variable '%s' is a read only variable", name);
        return false;
    case MYSQL_SET_INVALID:
        mysql_error(c, MYSQL_ER_WRONG_VALUE, "Variable '%s' can't be set to the value of '%.80s'",
                    name, value ? value : "");
        return false;
    default:
        mysql_error(c, MYSQL_ER_OUT_OF_MEMORY, "Out of memory");
        return false;
    }
}

/* What a variable means beyond its value. */
static bool apply(struct mysql_conn *c, const char *name)
{
    const char *value = mysql_variable(&c->variables, name);

    if (strcasecmp(name, "autocommit") == 0)
        return mysql_set_autocommit(c, strcmp(value, "ON") == 0);
    if (strcasecmp(name, "tx_read_only") == 0 && !set_one(c, "transaction_read_only", value))
        return false;
    if (strcasecmp(name, "tx_read_only") == 0 || strcasecmp(name, "transaction_read_only") == 0)
        mysql_apply_read_only(c);
    return true;
}

static bool assign_system(struct setter *s, const char *name)
{
    char text[MYSQL_VARIABLE_BYTES];
    struct value v;

    if (!is_op(s, "=") && !is_op(s, ":="))
        return syntax(s);
    advance(s);
    if (is(s, "DEFAULT")) {
        advance(s);
        return set_one(s->c, name, NULL) && apply(s->c, name);
    }
    if (!take_value(s, &v))
        return false;
    if (!as_text(&v, text)) {
        mysql_error(s->c, MYSQL_ER_WRONG_VALUE, "Variable '%s' can't be set to such a value", name);
        return false;
    }
    if (strcasecmp(name, "transaction_isolation") == 0 || strcasecmp(name, "tx_isolation") == 0)
        for (char *p = text; *p; p++)
            *p = *p == ' ' ? '-' : *p;
    return set_one(s->c, name, text) && apply(s->c, name);
}

static bool assign_user(struct setter *s)
{
    char name[NAME_BYTES];
    struct value v;

    if (!take_user_name(s, name))
        return false;
    if (!is_op(s, "=") && !is_op(s, ":="))
        return syntax(s);
    advance(s);
    if (!take_value(s, &v))
        return false;
    if (mysql_user_variable_set(&s->c->variables, name, &v))
        return true;
    mysql_error(s->c, MYSQL_ER_OUT_OF_MEMORY, "Out of memory, or too many user variables");
    return false;
}

/* @@session.a, @@a: the name behind the last point. */
static bool assign_at(struct setter *s)
{
    char name[NAME_BYTES];
    size_t n = 0;
    const char *from = s->t.text + 2;

    for (const char *p = from; p < s->t.text + s->t.len && n < NAME_BYTES - 1; p++) {
        if (*p == '.')
            n = 0;
        else if (*p != '`')
            name[n++] = *p;
    }
    name[n] = '\0';
    advance(s);
    return assign_system(s, name);
}

/* NAMES utf8mb4 [COLLATE x], CHARACTER SET utf8mb4, CHARSET utf8mb4 */
static bool names(struct setter *s)
{
    static const char *const variables[] = {"character_set_client", "character_set_connection",
                                            "character_set_results"};
    char charset[NAME_BYTES], collation[NAME_BYTES];

    if (!take_name(s, charset))
        return false;
    const char *value = strcasecmp(charset, "DEFAULT") == 0 ? NULL : charset;
    /* The bytes are UTF-8 whatever is said here, and ASCII and latin1 clients mostly mean it. */
    if (value && strncasecmp(value, "utf8", 4) != 0)
        mysql_warn(s->c, "Warning", 1115, "Character set '%s' is not used: texts are utf8mb4",
                   value);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (!set_one(s->c, variables[i], value))
            return false;
    if (!is(s, "COLLATE"))
        return true;
    advance(s);
    return take_name(s, collation) &&
           set_one(s->c, "collation_connection",
                   strcasecmp(collation, "DEFAULT") == 0 ? NULL : collation);
}

/* TRANSACTION ISOLATION LEVEL x, READ ONLY | READ WRITE: every level is served by the one there is.
 */
static bool transaction(struct setter *s)
{
    bool read = false;

    for (; s->has; advance(s)) {
        if (read && is(s, "ONLY") && !set_one(s->c, "transaction_read_only", "ON"))
            return false;
        if (read && is(s, "WRITE") && !set_one(s->c, "transaction_read_only", "OFF"))
            return false;
        read = is(s, "READ");
    }
    mysql_apply_read_only(s->c);
    return true;
}

static bool is_scope(const struct setter *s)
{
    return is(s, "SESSION") || is(s, "GLOBAL") || is(s, "LOCAL") || is(s, "PERSIST") ||
           is(s, "PERSIST_ONLY");
}

static bool assign(struct setter *s)
{
    char name[NAME_BYTES];

    if (!s->has)
        return syntax(s);
    if (s->t.type == MYSQL_TOKEN_USER)
        return assign_user(s);
    if (s->t.type == MYSQL_TOKEN_SYSTEM)
        return assign_at(s);
    if (is_scope(s))
        advance(s);
    if (is(s, "TRANSACTION")) {
        advance(s);
        return transaction(s);
    }
    if (is(s, "NAMES") || is(s, "CHARSET")) {
        advance(s);
        return names(s);
    }
    if (is(s, "CHARACTER")) {
        advance(s);
        if (!is(s, "SET"))
            return syntax(s);
        advance(s);
        return names(s);
    }
    if (is(s, "PASSWORD") || is(s, "ROLE")) {
        mysql_error(s->c, MYSQL_ER_UNSUPPORTED,
                    "users are not kept in the database: --mysql-user and --mysql-pass tell a "
                    "node");
        return false;
    }
    return take_name(s, name) && assign_system(s, name);
}

bool mysql_run_set(struct mysql_conn *c, const struct mysql_statement *t)
{
    struct setter s = {.c = c};

    mysql_lex_init(&s.x, t->sql, t->len);
    advance(&s); /* SET */
    advance(&s);
    for (;;) {
        if (!assign(&s))
            return false;
        if (!s.has)
            return true;
        if (!is_op(&s, ","))
            return syntax(&s);
        advance(&s);
    }
}
