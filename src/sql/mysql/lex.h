/*
 * Tokens as MySQL sees them: backslashes in strings, "…" as strings, # comments, and the insides of
 * version comments, which are read as if they stood there. What only SQLite knows is seen, too:
 * ?1, :a, $a. Pure, allocates nothing; any thread.
 */
#ifndef HA_SQL_MYSQL_LEX_H
#define HA_SQL_MYSQL_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum mysql_token_type {
    MYSQL_TOKEN_END,
    MYSQL_TOKEN_WORD,   /* keyword or bare identifier */
    MYSQL_TOKEN_QUOTED, /* `…`, and "…" with ANSI_QUOTES */
    MYSQL_TOKEN_STRING, /* '…', "…" */
    MYSQL_TOKEN_BITS,   /* X'…', B'…', 0x…, 0b… */
    MYSQL_TOKEN_NUMBER,
    MYSQL_TOKEN_PARAM,  /* ? ?1 :a $a */
    MYSQL_TOKEN_SYSTEM, /* @@a, @@session.a */
    MYSQL_TOKEN_USER,   /* @a, @`a`, @'a' */
    MYSQL_TOKEN_OP,     /* + || <= <=> := -> … */
    MYSQL_TOKEN_PUNCT,  /* one of ( ) , . */
    MYSQL_TOKEN_SEMI,
    MYSQL_TOKEN_ILLEGAL /* a quote or comment that does not end, a control character */
};

struct mysql_token {
    enum mysql_token_type type;
    bool space;       /* a blank or a comment lies before it */
    bool differs;     /* … which SQLite reads otherwise; also of the END */
    const char *text; /* borrowed; with its quotes */
    size_t len;
};

struct mysql_lexer {
    const char *at, *end;
    bool ansi_quotes, no_backslash; /* of sql_mode; false at first */
    bool in_version;                /* inside a version comment */
    bool after_name;                /* the token before can end an operand */
};

void mysql_lex_init(struct mysql_lexer *x, const char *sql, size_t len);
/* The next token; false at the end (t->type is then MYSQL_TOKEN_END). */
bool mysql_lex_next(struct mysql_lexer *x, struct mysql_token *t);

/* Is it this keyword (in upper case), whatever its case in the text? */
bool mysql_lex_is(const struct mysql_token *t, const char *keyword);
/* Is it this operator or punctuation? */
bool mysql_lex_is_op(const struct mysql_token *t, const char *op);

/* The characters that a string or a quoted identifier stands for, at most t->len bytes, to `out`;
 * answers how many. A backslash before % and _ stays, as in MySQL. A word comes out as it is
 * written. */
size_t mysql_lex_value(const struct mysql_lexer *x, const struct mysql_token *t, char *out);

#endif
