/*
 * Tokens as PostgreSQL sees them: '' and E'' strings, $tag$ strings, nested comments, operators of
 * several characters. What only SQLite knows is seen, too: `a`, [a] where no subscript can stand,
 * ?1, :a and @a. Pure, allocates nothing; any thread.
 */
#ifndef HA_SQL_PG_LEX_H
#define HA_SQL_PG_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum pg_token_type {
    PG_TOKEN_END,
    PG_TOKEN_WORD,    /* keyword or bare identifier */
    PG_TOKEN_QUOTED,  /* "…", `…`, […] */
    PG_TOKEN_STRING,  /* '…' */
    PG_TOKEN_ESCAPED, /* E'…' */
    PG_TOKEN_DOLLAR,  /* $tag$…$tag$ */
    PG_TOKEN_BITS,    /* X'…', B'…' */
    PG_TOKEN_NUMBER,
    PG_TOKEN_PARAM, /* $1 ?1 ? :a @a */
    PG_TOKEN_CAST,  /* :: */
    PG_TOKEN_OP,    /* one operator: + || <= !~* -> … */
    PG_TOKEN_PUNCT, /* one of ( ) [ ] , . : */
    PG_TOKEN_SEMI,
    PG_TOKEN_ILLEGAL /* a quote or comment that does not end, a control character */
};

struct pg_token {
    enum pg_token_type type;
    bool space;       /* a blank or a comment lies before it */
    bool comment;     /* a comment that SQLite ends elsewhere lies before it; also of the END */
    const char *text; /* borrowed; with its quotes */
    size_t len;
};

struct pg_lexer {
    const char *at, *end;
    enum pg_token_type before; /* the token before, for what a [ may be */
    bool before_closes;        /* … and whether a subscript may follow it */
};

void pg_lex_init(struct pg_lexer *x, const char *sql, size_t len);
/* Bytes of blanks and comments in front of the first token. */
size_t pg_lex_blank(const char *sql, size_t len);

/* The next token; false at the end (t->type is then PG_TOKEN_END). */
bool pg_lex_next(struct pg_lexer *x, struct pg_token *t);

/* Is it this keyword (in upper case), whatever its case in the text? */
bool pg_lex_is(const struct pg_token *t, const char *keyword);
/* Is it this operator or punctuation? */
bool pg_lex_is_op(const struct pg_token *t, const char *op);

/* The characters that a string or a quoted identifier stands for, at most t->len bytes, to `out`.
 * Answers how many; SIZE_MAX where an escape is wrong or stands for a NUL. A word comes out as it
 * is written. */
size_t pg_lex_value(const struct pg_token *t, char *out);

#endif
