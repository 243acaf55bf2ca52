/*
 * What kind of statement begins here? Reads just enough of the text (comments, white space, the
 * first keywords, a savepoint's name) to tell, without a connection. SQLite stays the only parser:
 * whatever is not listed answers LEX_OTHER and is prepared. Pure; any thread.
 */
#ifndef HA_SQL_LEX_H
#define HA_SQL_LEX_H

#include <stddef.h>

enum lex_kind {
    LEX_EMPTY,          /* nothing but white space, comments and semicolons */
    LEX_BEGIN,          /* BEGIN [DEFERRED|IMMEDIATE|EXCLUSIVE] [TRANSACTION], START TRANSACTION */
    LEX_BEGIN_WRITE,    /* BEGIN IMMEDIATE | EXCLUSIVE */
    LEX_COMMIT,         /* COMMIT | END [TRANSACTION] */
    LEX_ROLLBACK,       /* ROLLBACK [TRANSACTION] */
    LEX_SAVEPOINT,      /* SAVEPOINT name */
    LEX_RELEASE,        /* RELEASE [SAVEPOINT] name */
    LEX_ROLLBACK_TO,    /* ROLLBACK [TRANSACTION] TO [SAVEPOINT] name */
    LEX_READ,           /* SELECT, VALUES, EXPLAIN: very likely a read */
    LEX_WRITE,          /* INSERT, UPDATE, DELETE, REPLACE */
    LEX_DDL,            /* CREATE, DROP, ALTER, REINDEX, ANALYZE */
    LEX_PRAGMA,
    LEX_VACUUM,         /* VACUUM, with or without INTO */
    LEX_OTHER           /* WITH and everything else: prepare it and see */
};

struct lex {
    enum lex_kind kind;
    const char *name; /* savepoint name without quotes' outer pair, borrowed from the text */
    size_t name_len;
    size_t len; /* for transaction control and LEX_EMPTY: bytes up to and including its semicolon */
};

/* A transaction-control statement that does not end after its last word is LEX_OTHER (SQLite then
 * reports the syntax error). */
struct lex lex_statement(const char *sql, size_t len);

#endif
