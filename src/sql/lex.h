/*
 * What kind of statement begins here? Reads just enough of the text (comments, white space, the
 * first keywords, a savepoint's name) to tell, without a connection. SQLite stays the only parser:
 * whatever is not listed answers LEX_OTHER and is prepared. Pure; any thread.
 */
#ifndef HA_SQL_LEX_H
#define HA_SQL_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum lex_kind {
    LEX_EMPTY,       /* nothing but white space, comments and semicolons */
    LEX_BEGIN,       /* BEGIN [DEFERRED|IMMEDIATE|EXCLUSIVE] [TRANSACTION], START TRANSACTION */
    LEX_BEGIN_WRITE, /* BEGIN IMMEDIATE | EXCLUSIVE */
    LEX_COMMIT,      /* COMMIT | END [TRANSACTION] */
    LEX_ROLLBACK,    /* ROLLBACK [TRANSACTION] */
    LEX_SAVEPOINT,   /* SAVEPOINT name */
    LEX_RELEASE,     /* RELEASE [SAVEPOINT] name */
    LEX_ROLLBACK_TO, /* ROLLBACK [TRANSACTION] TO [SAVEPOINT] name */
    LEX_READ,        /* SELECT, VALUES, EXPLAIN: very likely a read */
    LEX_WRITE,       /* INSERT, UPDATE, DELETE, REPLACE */
    LEX_DDL,         /* CREATE, DROP, ALTER, REINDEX, ANALYZE */
    LEX_PRAGMA,
    LEX_VACUUM,  /* VACUUM, with or without INTO */
    LEX_HISTORY, /* HISTORY …: the log's transactions, for core/history.h */
    LEX_UNDO,    /* UNDO | UNDOE | UNDOT …, likewise */
    LEX_OTHER    /* WITH and everything else: prepare it and see */
};

struct lex {
    enum lex_kind kind;
    const char *name; /* savepoint name without quotes' outer pair, borrowed from the text */
    size_t name_len;
    size_t len; /* for transaction control, LEX_EMPTY, LEX_HISTORY and LEX_UNDO: bytes up to and
                   including its semicolon */
};

/* A transaction-control statement that does not end after its last word is LEX_OTHER (SQLite then
 * reports the syntax error). */
struct lex lex_statement(const char *sql, size_t len);

/*
 * Bytes of the first statement up to and including its semicolon; `len` where it has none. Knows
 * that CREATE TRIGGER holds semicolons, as sqlite3_complete() does. A text that SQLite would refuse
 * may come out too long, never too short.
 */
size_t lex_length(const char *sql, size_t len);

/* The same where the text still grows: where its first statement ends is looked for on from where
 * the last look has come to. */
struct lex_split {
    int state;
    size_t at; /* of what no further byte can change */
};

#define LEX_SPLIT_INIT                                                                             \
    {                                                                                              \
        0, 0                                                                                       \
    }

/* Bytes of the first statement up to and including its semicolon, or 0: it may go on. `sql` begins
 * with the bytes that the last call with this `s` had; begin anew (LEX_SPLIT_INIT) behind a
 * statement. */
size_t lex_split(struct lex_split *s, const char *sql, size_t len);

/* ---- tokens: where SQLite's tokenizer sees them, without their meaning ---- */

enum lex_token_type {
    LEX_TOKEN_END,      /* nothing left but blanks and comments */
    LEX_TOKEN_WORD,     /* keyword or bare identifier */
    LEX_TOKEN_QUOTED,   /* "…", `…` or […] */
    LEX_TOKEN_STRING,   /* '…' */
    LEX_TOKEN_NUMBER,   /* begins with a digit or with a point before one; its pieces come apart */
    LEX_TOKEN_VARIABLE, /* ?1 :a @a $a(x) */
    LEX_TOKEN_SEMI,
    LEX_TOKEN_PUNCT,  /* any other single byte */
    LEX_TOKEN_ILLEGAL /* a quote that does not end, a NUL, a control character */
};

struct lex_token {
    enum lex_token_type type;
    const char *text; /* borrowed; with its quotes */
    size_t len;
};

/* The next token between *at and `end`; moves *at behind it. False at the end. */
bool lex_next(const char **at, const char *end, struct lex_token *t);

/* Is it this keyword (in upper case), whatever its case in the text? */
bool lex_word_is(const char *text, size_t len, const char *keyword);
bool lex_is(const struct lex_token *t, const char *keyword);

/* Writes the name that the token stands for, terminated, to `out` (t->len + 1 bytes), and returns
 * its length. */
size_t lex_unquote(const struct lex_token *t, char *out);

#endif
