/*
 * The PostgreSQL front's dialect: what PostgreSQL clients write, as SQLite understands it.
 *
 * SQLite stays the only parser. One statement is read as tokens once; where nothing in it needs
 * translating, that is all (no allocation, *changed = false), and the text goes to SQLite as it is.
 * Otherwise the tokens are written anew, with what SQLite does not know put into its terms:
 *
 *   SELECT id::text FROM public.t WHERE name ILIKE E'a\'%' AND id = ANY($1) FOR UPDATE
 *   SELECT CAST(id AS TEXT) AS id FROM t
 *     WHERE name LIKE 'a''%' AND id IN (SELECT +value FROM unnest($1))
 *
 * What is left over may call the functions of pg/function.h and read the tables of pg/catalog.h,
 * which every connection of a node has. What can land in the schema (defaults, views, triggers,
 * indexes, generated columns) is translated to SQLite's own functions only, or refused: DDL travels
 * as text and must mean the same on every node, for every protocol, and in plain sqlite3.
 *
 * Differences on purpose: LIKE is case-sensitive here (it becomes GLOB, which uses indexes where
 * the pattern is written out); ILIKE ignores the case of ASCII letters only; random() is SQLite's.
 *
 * No state, no I/O; any thread. Errors are ERR_SYNTAX (42601) and ERR_UNSUPPORTED (0A000) with
 * e->offset in the text that was given.
 */
#ifndef HA_SQL_PG_DIALECT_H
#define HA_SQL_PG_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Translates ONE statement (as pg_dialect_split() cuts it; with or without its semicolon).
 *
 * *changed = false: run `sql` itself; `out` is untouched. Otherwise the translation is appended to
 * `out`: one statement; several, separated by "; " (TRUNCATE a, b; DROP TABLE a, b; they are one
 * unit, run them in one transaction); or nothing at all, where the statement means nothing here
 * (COMMENT ON, GRANT, CREATE EXTENSION …): answer its tag, and a NOTICE that it was ignored.
 *
 * Parameters keep their names: $1 stays $1 (to SQLite a named parameter: bind by name).
 *
 * Statements that the server itself answers (pg_command_is_server()) are not for this function; it
 * leaves them as they are.
 */
enum err_code pg_dialect(const char *sql, size_t len, struct buf *out, bool *changed,
                         struct err *e);

/* Bytes of the first statement up to and including its semicolon; `len` where it has none. Knows
 * strings of all kinds, nested comments, parentheses, BEGIN ATOMIC no, CREATE TRIGGER … END yes. */
size_t pg_dialect_split(const char *sql, size_t len);

/* Where in `sql` that stands which SQLite complained about at byte `offset` of the translation.
 * Translates once more, so for errors only. Answers `offset` itself where nothing is changed. */
size_t pg_dialect_position(const char *sql, size_t len, size_t offset);

/* ---- what a statement is, by its first words ---- */

enum pg_command {
    PG_COMMAND_EMPTY, /* blanks, comments, a semicolon: EmptyQueryResponse */
    PG_COMMAND_SQL,   /* everything that SQLite runs (after translation) */
    PG_COMMAND_BEGIN, /* BEGIN, START TRANSACTION, with any isolation level */
    PG_COMMAND_COMMIT,
    PG_COMMAND_ROLLBACK, /* ABORT, too */
    PG_COMMAND_SAVEPOINT,
    PG_COMMAND_RELEASE,
    PG_COMMAND_ROLLBACK_TO,
    /* from here on the server's own: pg_command_is_server() */
    PG_COMMAND_SET,
    PG_COMMAND_RESET,
    PG_COMMAND_SHOW,
    PG_COMMAND_DECLARE,
    PG_COMMAND_FETCH,
    PG_COMMAND_MOVE,
    PG_COMMAND_CLOSE,
    PG_COMMAND_COPY,
    PG_COMMAND_LISTEN,
    PG_COMMAND_UNLISTEN,
    PG_COMMAND_NOTIFY,
    PG_COMMAND_DISCARD,
    PG_COMMAND_PREPARE,
    PG_COMMAND_EXECUTE,
    PG_COMMAND_DEALLOCATE,
    PG_COMMAND_CREATE_DATABASE,
    PG_COMMAND_DROP_DATABASE
};

/* `tag` gets the command tag's words, "CREATE TABLE", without the counts that SELECT, INSERT,
 * UPDATE, DELETE … carry. A WITH is tagged by the statement that follows it. */
#define PG_TAG_SIZE 48
enum pg_command pg_command(const char *sql, size_t len, char tag[PG_TAG_SIZE]);

static inline bool pg_command_is_server(enum pg_command c)
{
    return c >= PG_COMMAND_SET;
}

/* The name that PostgreSQL gives to a result column which SQLite calls `name` because it has no
 * alias: "count(*)" → "count", "CAST(x AS TEXT)" → "x", "1 + 1" → "?column?". Borrowed from `name`
 * or static; *n is its length. Call it only where sqlite3_column_origin_name() is NULL. */
const char *pg_column_name(const char *name, size_t *n);

#endif
