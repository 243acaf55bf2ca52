/*
 * The MySQL front's dialect: what MySQL's clients write, as SQLite understands it.
 *
 * SQLite stays the only parser. One statement is read as tokens once; where nothing in it needs
 * translating, that is all, and the text goes to SQLite as it is. Otherwise the tokens are written
 * anew, with what SQLite does not know put into its terms:
 *
 *   INSERT INTO t SET a = "it\'s" ON DUPLICATE KEY UPDATE n = n + VALUES(n)
 *   INSERT INTO t (a) VALUES ('it''s') ON CONFLICT DO UPDATE SET n = n + excluded.n
 *
 * SHOW, DESCRIBE and information_schema become queries of SQLite's own pragmas (catalog.h). What a
 * session knows (@a, @@a, DATABASE(), LAST_INSERT_ID()) becomes a literal, so that the statement
 * means the same wherever it runs. What is left over may call the functions of function.h, which
 * every connection of a node has. What can land in the schema is translated to SQLite's own
 * functions only: DDL travels as text and must mean the same on every node, for every protocol.
 *
 * No state, no I/O but for what the context asks; any thread. Errors are ERR_SYNTAX and
 * ERR_UNSUPPORTED, with e->offset in the text that was given.
 */
#ifndef HA_SQL_MYSQL_DIALECT_H
#define HA_SQL_MYSQL_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Rows that only the session or its server knows: appended as "(…), (…)", literals in parentheses.
 */
enum mysql_rows {
    MYSQL_ROWS_VARIABLES, /* name, value */
    MYSQL_ROWS_STATUS,    /* name, value */
    MYSQL_ROWS_DATABASES, /* name */
    MYSQL_ROWS_PROCESSES, /* id, user, host, db, command, seconds, state, info */
    MYSQL_ROWS_WARNINGS,  /* level, code, message */
    MYSQL_ROWS_ERRORS
};

/* What the dialect asks the session; functions may be NULL: then nothing is known. */
struct mysql_context {
    const char *schema; /* the current database, by which a name may be qualified; never NULL */
    bool ansi_quotes, no_backslash; /* of sql_mode */
    /* Append the value as a literal of SQLite's; what is unknown is '' and NULL. */
    void (*system_variable)(void *arg, const char *name, struct buf *out);
    void (*user_variable)(void *arg, const char *name, struct buf *out);
    /* Of a function without arguments that the session answers, "DATABASE"; false: it is none. */
    bool (*session_function)(void *arg, const char *name, struct buf *out);
    void (*rows)(void *arg, enum mysql_rows which, struct buf *out);
    /* The table whose index is called `name`, appended; nothing where there is none. */
    void (*index_table)(void *arg, const char *name, struct buf *out);
    void *arg;
};

struct mysql_translation {
    bool changed;      /* `out` has the translation, which may be nothing at all: an ignored one */
    bool several;      /* … of several statements, which are one unit */
    bool is_session;   /* … made of what the session knew: translate again next time */
    bool calculates;   /* SQL_CALC_FOUND_ROWS: mysql_dialect_count() */
    unsigned n_params; /* parameters of the text as it was given */
};

/*
 * Translates ONE statement (as mysql_dialect_split() cuts it; with or without its semicolon), which
 * mysql_command() has found to be SQL or SHOW. Parameters become ?1, ?2 … wherever they go to.
 */
enum err_code mysql_dialect(const struct mysql_context *x, const char *sql, size_t len,
                            struct buf *out, struct mysql_translation *t, struct err *e);

/* The query that tells how many rows a query would have without its LIMIT; its parameters have the
 * same numbers. */
enum err_code mysql_dialect_count(const struct mysql_context *x, const char *sql, size_t len,
                                  struct buf *out, struct err *e);

/* Bytes of the first statement up to and including its semicolon; `len` where it has none. Knows
 * strings, comments, and that CREATE TRIGGER holds semicolons. */
size_t mysql_dialect_split(const struct mysql_context *x, const char *sql, size_t len);

/* ---- what a statement is, by its first words ---- */

enum mysql_command {
    MYSQL_COMMAND_EMPTY,
    MYSQL_COMMAND_READ,   /* SELECT, WITH, VALUES, EXPLAIN … */
    MYSQL_COMMAND_INSERT, /* REPLACE, too */
    MYSQL_COMMAND_WRITE,  /* UPDATE, DELETE, and whatever SQLite knows */
    MYSQL_COMMAND_DDL,    /* ends an open transaction, as in MySQL */
    MYSQL_COMMAND_TEMP,   /* of a temporary table: does not */
    MYSQL_COMMAND_SHOW,   /* SHOW, DESCRIBE, CHECK TABLE …: a query after translation */
    /* from here on the server's own: mysql_command_is_server() */
    MYSQL_COMMAND_BEGIN,
    MYSQL_COMMAND_COMMIT,
    MYSQL_COMMAND_ROLLBACK,
    MYSQL_COMMAND_SAVEPOINT,
    MYSQL_COMMAND_RELEASE,
    MYSQL_COMMAND_ROLLBACK_TO,
    MYSQL_COMMAND_SET,
    MYSQL_COMMAND_USE,
    MYSQL_COMMAND_KILL,
    MYSQL_COMMAND_DO,
    MYSQL_COMMAND_LOCK, /* LOCK TABLES and UNLOCK TABLES: nothing but their implicit commit */
    MYSQL_COMMAND_UNLOCK,
    MYSQL_COMMAND_CREATE_DATABASE,
    MYSQL_COMMAND_DROP_DATABASE,
    MYSQL_COMMAND_IGNORED,    /* FLUSH, ALTER DATABASE …: accepted, with a note */
    MYSQL_COMMAND_UNSUPPORTED /* CALL, LOAD DATA, GRANT …: refused */
};

enum mysql_command mysql_command(const struct mysql_context *x, const char *sql, size_t len);

static inline bool mysql_command_is_server(enum mysql_command c)
{
    return c >= MYSQL_COMMAND_BEGIN;
}

/* Does the statement read or write a table, as far as its words tell? */
bool mysql_command_has_table(const struct mysql_context *x, const char *sql, size_t len);

#endif
