/*
 * A statement of the session's own (SET, SHOW, FETCH …), read word by word. One thread at a time;
 * everything is borrowed from the statement, which has to stay.
 */
#ifndef HA_WIRE_PG_WORDS_H
#define HA_WIRE_PG_WORDS_H

#include "sql/pg/lex.h"
#include "wire/pg/session.h"

#define PG_WORD_BYTES 512

struct pg_words {
    struct pg_lexer lex;
    struct pg_token t;        /* the one that stands next */
    char text[PG_WORD_BYTES]; /* what it stands for, cut where it is longer: without its quotes */
    bool has;                 /* there is one; a semicolon is the end, too */
};

void pg_words_begin(struct pg_words *w, const struct pg_text *t);
void pg_words_next(struct pg_words *w);

/* Is the next one this keyword (in upper case), bare, whatever its case? skip: then it is passed.
 */
bool pg_words_is(const struct pg_words *w, const char *keyword);
bool pg_words_skip(struct pg_words *w, const char *keyword);

/* Is the next one this operator or punctuation? */
bool pg_words_is_op(const struct pg_words *w, const char *op);

/* Is it quoted, as a text or as a name? */
bool pg_words_is_quoted(const struct pg_words *w);

/* Takes a name: a bare one in lower case, as PostgreSQL folds it. False where none stands there, or
 * one that does not fit into `size` bytes; then it is not passed. */
bool pg_words_name(struct pg_words *w, char *out, size_t size);

/* What is left as it is written, without the semicolon; cut where it is longer than `size`. */
void pg_words_rest(const struct pg_words *w, char *out, size_t size);

/* Writes the error that what stands next is wrong; answers false. */
bool pg_words_syntax(struct pg_conn *c, const struct pg_words *w);

#endif
