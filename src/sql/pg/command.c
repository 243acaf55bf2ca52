/* What a statement is, by its first words; what a column without a name is called. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sql/pg/dialect.h"
#include "sql/pg/lex.h"

static const struct {
    const char *word, *second; /* second: NULL = anything */
    enum pg_command command;
    const char *tag; /* NULL: the first word */
} commands[] = {
    {"BEGIN", NULL, PG_COMMAND_BEGIN, NULL},
    {"START", "TRANSACTION", PG_COMMAND_BEGIN, "START TRANSACTION"},
    {"COMMIT", NULL, PG_COMMAND_COMMIT, NULL},
    {"END", NULL, PG_COMMAND_COMMIT, "COMMIT"},
    {"ABORT", NULL, PG_COMMAND_ROLLBACK, "ROLLBACK"},
    {"ROLLBACK", NULL, PG_COMMAND_ROLLBACK, NULL},
    {"SAVEPOINT", NULL, PG_COMMAND_SAVEPOINT, NULL},
    {"RELEASE", NULL, PG_COMMAND_RELEASE, NULL},
    {"SET", "CONSTRAINTS", PG_COMMAND_SET, "SET CONSTRAINTS"},
    {"SET", NULL, PG_COMMAND_SET, NULL},
    {"RESET", NULL, PG_COMMAND_RESET, NULL},
    {"SHOW", NULL, PG_COMMAND_SHOW, NULL},
    {"DECLARE", NULL, PG_COMMAND_DECLARE, "DECLARE CURSOR"},
    {"FETCH", NULL, PG_COMMAND_FETCH, NULL},
    {"MOVE", NULL, PG_COMMAND_MOVE, NULL},
    {"CLOSE", "ALL", PG_COMMAND_CLOSE, "CLOSE CURSOR ALL"},
    {"CLOSE", NULL, PG_COMMAND_CLOSE, "CLOSE CURSOR"},
    {"COPY", NULL, PG_COMMAND_COPY, NULL},
    {"LISTEN", NULL, PG_COMMAND_LISTEN, NULL},
    {"UNLISTEN", NULL, PG_COMMAND_UNLISTEN, NULL},
    {"NOTIFY", NULL, PG_COMMAND_NOTIFY, NULL},
    {"DISCARD", "ALL", PG_COMMAND_DISCARD, "DISCARD ALL"},
    {"DISCARD", "TEMP", PG_COMMAND_DISCARD, "DISCARD TEMP"},
    {"DISCARD", "PLANS", PG_COMMAND_DISCARD, "DISCARD PLANS"},
    {"DISCARD", "SEQUENCES", PG_COMMAND_DISCARD, "DISCARD SEQUENCES"},
    {"PREPARE", "TRANSACTION", PG_COMMAND_SQL, "PREPARE TRANSACTION"},
    {"PREPARE", NULL, PG_COMMAND_PREPARE, NULL},
    {"EXECUTE", NULL, PG_COMMAND_EXECUTE, NULL},
    {"DEALLOCATE", "ALL", PG_COMMAND_DEALLOCATE, "DEALLOCATE ALL"},
    {"DEALLOCATE", NULL, PG_COMMAND_DEALLOCATE, NULL},
    {"CREATE", "DATABASE", PG_COMMAND_CREATE_DATABASE, "CREATE DATABASE"},
    {"DROP", "DATABASE", PG_COMMAND_DROP_DATABASE, "DROP DATABASE"},
    {"VALUES", NULL, PG_COMMAND_SQL, "SELECT"},
    {"TABLE", NULL, PG_COMMAND_SQL, "SELECT"},
    {"PRAGMA", NULL, PG_COMMAND_SQL, "SELECT"},
    {"REPLACE", NULL, PG_COMMAND_SQL, "INSERT"},
    {"TRUNCATE", NULL, PG_COMMAND_SQL, "TRUNCATE TABLE"},
    {"ANALYSE", NULL, PG_COMMAND_SQL, "ANALYZE"},
    {"LOCK", NULL, PG_COMMAND_SQL, "LOCK TABLE"},
};

/* CREATE, DROP, ALTER: the tag is the word and the kind of object. */
static const char *const objects[] = {"TABLE",  "VIEW",      "INDEX",    "TRIGGER", "SEQUENCE",
                                      "SCHEMA", "EXTENSION", "FUNCTION", "TYPE",    "DOMAIN",
                                      "ROLE",   "DATABASE",  "RULE",     "POLICY",  "PROCEDURE",
                                      "SYSTEM", "AGGREGATE", "COLLATION"};

static void set_tag(char tag[PG_TAG_SIZE], const char *s, size_t n)
{
    n = n < PG_TAG_SIZE - 1 ? n : PG_TAG_SIZE - 1;
    for (size_t i = 0; i < n; i++)
        tag[i] = s[i] >= 'a' && s[i] <= 'z' ? (char)(s[i] - 'a' + 'A') : s[i];
    tag[n] = '\0';
}

static void object_tag(struct pg_lexer *x, const struct pg_token *first, char tag[PG_TAG_SIZE])
{
    struct pg_token t;

    set_tag(tag, first->text, first->len);
    for (unsigned words = 0; words < 6 && pg_lex_next(x, &t); words++) {
        for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++) {
            if (pg_lex_is(&t, objects[i])) {
                snprintf(tag + first->len, PG_TAG_SIZE - first->len, " %s", objects[i]);
                return;
            }
        }
    }
}

/* WITH …: the first of these words outside parentheses. */
static void with_tag(struct pg_lexer *x, char tag[PG_TAG_SIZE])
{
    static const char *const words[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "VALUES"};
    struct pg_token t;
    size_t depth = 0;

    set_tag(tag, "SELECT", 6);
    while (pg_lex_next(x, &t)) {
        if (pg_lex_is_op(&t, "("))
            depth++;
        else if (pg_lex_is_op(&t, ")") && depth > 0)
            depth--;
        for (size_t i = 0; depth == 0 && i < 4; i++) {
            if (pg_lex_is(&t, words[i])) {
                set_tag(tag, words[i], strlen(words[i]));
                return;
            }
        }
    }
}

enum pg_command pg_command(const char *sql, size_t len, char tag[PG_TAG_SIZE])
{
    struct pg_lexer x, ahead;
    struct pg_token t, second, third;

    tag[0] = '\0';
    pg_lex_init(&x, sql, len);
    if (!pg_lex_next(&x, &t) || t.type == PG_TOKEN_SEMI)
        return PG_COMMAND_EMPTY;
    while (pg_lex_is_op(&t, "(") && pg_lex_next(&x, &t)) /* (SELECT …) UNION … */
        ;
    ahead = x;
    pg_lex_next(&ahead, &second);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        enum pg_command c = commands[i].command;
        if (!pg_lex_is(&t, commands[i].word) ||
            (commands[i].second && !pg_lex_is(&second, commands[i].second)))
            continue;
        if (commands[i].tag)
            set_tag(tag, commands[i].tag, strlen(commands[i].tag));
        else
            set_tag(tag, t.text, t.len);
        if (c == PG_COMMAND_ROLLBACK) {
            pg_lex_next(&ahead, &third);
            if (pg_lex_is(&second, "TO") || pg_lex_is(&third, "TO"))
                return PG_COMMAND_ROLLBACK_TO;
        }
        return c;
    }
    if (pg_lex_is(&t, "WITH"))
        with_tag(&x, tag);
    else if (pg_lex_is(&t, "CREATE") || pg_lex_is(&t, "DROP") || pg_lex_is(&t, "ALTER"))
        object_tag(&x, &t, tag);
    else
        set_tag(tag, t.text, t.len);
    return PG_COMMAND_SQL;
}

/* ---- names of columns ---- */

static const char *unknown_column(size_t *n)
{
    *n = 8;
    return "?column?";
}

/* Is what follows the call's parentheses nothing, FILTER (…) or OVER (…)? x stands behind the (. */
static bool call_is_all(struct pg_lexer *x)
{
    struct pg_token t;
    size_t depth = 1;

    while (pg_lex_next(x, &t)) {
        if (pg_lex_is_op(&t, "("))
            depth++;
        else if (pg_lex_is_op(&t, ")") && depth > 0)
            depth--;
        else if (depth == 0 && !pg_lex_is(&t, "FILTER") && !pg_lex_is(&t, "OVER") &&
                 t.type != PG_TOKEN_SEMI)
            return false;
    }
    return true;
}

/* CAST(a.b AS t): b. x stands behind the (. */
static const char *cast_name(struct pg_lexer *x, size_t *n)
{
    struct pg_token t, next;

    while (pg_lex_next(x, &t)) {
        if (t.type != PG_TOKEN_WORD && t.type != PG_TOKEN_QUOTED)
            break;
        if (!pg_lex_next(x, &next))
            break;
        if (pg_lex_is(&next, "AS")) {
            bool quoted = t.type == PG_TOKEN_QUOTED;
            *n = t.len - (quoted ? 2 : 0);
            return t.text + (quoted ? 1 : 0);
        }
        if (!pg_lex_is_op(&next, "."))
            break;
    }
    return unknown_column(n);
}

const char *pg_column_name(const char *name, size_t *n)
{
    struct pg_lexer x;
    struct pg_token t, next;
    size_t len = strlen(name);

    pg_lex_init(&x, name, len);
    if (!pg_lex_next(&x, &t) || t.type == PG_TOKEN_ILLEGAL)
        return unknown_column(n);
    if (t.type != PG_TOKEN_WORD)
        goto other;
    if (!pg_lex_next(&x, &next)) {
        *n = len;
        if (pg_lex_is(&t, "NULL"))
            return unknown_column(n);
        if (pg_lex_is(&t, "TRUE") || pg_lex_is(&t, "FALSE")) {
            *n = 4;
            return "bool";
        }
        return name;
    }
    if (pg_lex_is(&t, "CASE")) {
        *n = 4;
        return "case";
    }
    if (pg_lex_is_op(&next, "(")) {
        if (pg_lex_is(&t, "CAST"))
            return cast_name(&x, n);
        if (call_is_all(&x)) {
            *n = t.len;
            return t.text;
        }
        return unknown_column(n);
    }
other:
    /* An alias that is no plain word is taken for one as long as nothing in it is an operator or a
     * literal's quote. */
    if (strpbrk(name, "()'+*/=<>|$?") || t.type == PG_TOKEN_NUMBER)
        return unknown_column(n);
    *n = len;
    return name;
}
