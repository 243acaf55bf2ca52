/*
 * A prepared statement out of its connection's cache.
 *
 * Life: stmt_prepare → stmt_bind… → stmt_step until it answers no row → stmt_release (reset,
 * cleared, back in the cache). A statement belongs to its connection's thread. Values handed out by
 * stmt_column() are borrowed until the next step or release.
 */
#ifndef HA_SQL_STMT_H
#define HA_SQL_STMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/value.h"
#include "sql/conn.h"

struct stmt;

enum stmt_class {
    STMT_READ,   /* changes nothing in `main` */
    STMT_WRITE,  /* row changes, captured by the hook */
    STMT_DDL,    /* travels as SQL text, user_version, application_id, ANALYZE and REINDEX too */
    STMT_TEMP,   /* changes temp objects only: runs on the writer, is not replicated */
    STMT_VACUUM, /* runs outside transactions, local */
};

/* What a STMT_DDL (or STMT_TEMP) statement does to the schema, as far as its text says. */
enum stmt_ddl_kind {
    DDL_NONE, /* no schema statement at all (a STMT_TEMP that writes rows of a temp table) */
    DDL_CREATE_TABLE,
    DDL_CREATE_VTABLE,
    DDL_DROP_TABLE,
    DDL_ALTER,        /* ALTER TABLE of every kind */
    DDL_CREATE_OTHER, /* index, view, trigger */
    DDL_DROP_OTHER,
    DDL_PRAGMA, /* user_version, application_id */
    DDL_ANALYZE,
    DDL_REINDEX
};

/* Strings are unquoted, terminated, never NULL, of any length, and owned by the statement. */
struct stmt_ddl {
    enum stmt_ddl_kind kind;
    bool has_select;    /* CREATE TABLE … AS SELECT */
    bool if_exists;     /* IF EXISTS or IF NOT EXISTS was written */
    const char *schema; /* as written before the point: "main", "" = not written */
    const char *name;  /* the object's (ALTER: the table's before it, PRAGMA: the pragma's); ANALYZE
                          and REINDEX without argument: "" */
    const char *table; /* index, trigger: their table, as far as the text names it; else "" */
    const char *rename; /* ALTER TABLE … RENAME TO: the new name; else "" */
};

/*
 * Prepares the first statement of `sql` (len bytes, not necessarily terminated). *tail is set
 * behind it; *out is NULL when there was only white space or comment. Refusals of the policy
 * (ATTACH, DETACH, load_extension, VACUUM INTO, writable_schema, journal_mode, settings that other
 * sessions of a shared connection would see, writes to ha_ tables, transaction control) are
 * ERR_DENIED. e->offset counts from the beginning of `sql`.
 */
enum err_code stmt_prepare(struct conn *c, const char *sql, size_t len, const char **tail,
                           struct stmt **out, struct err *e);
void stmt_release(struct stmt *s); /* NULL is fine */
/* Looks whether the schema has changed. SQLite itself finds out when a statement is stepped, which
 * then is compiled anew and may have other columns than before: whoever tells columns without
 * stepping looks first. */
enum err_code stmt_refresh(struct conn *c, struct err *e);

enum stmt_class stmt_class(const struct stmt *s);
bool stmt_is_alter(const struct stmt *s); /* of alter.h */
/* NULL unless the class is STMT_DDL or STMT_TEMP. */
const struct stmt_ddl *stmt_ddl(const struct stmt *s);
/* The one statement's own text, terminated: without comments and blanks before it, and without its
 * semicolon. */
const char *stmt_sql(const struct stmt *s);

unsigned stmt_param_count(const struct stmt *s);
/* Name of parameter i (1-based) with its prefix, ":a" "?12"; NULL for a bare "?". */
const char *stmt_param_name(const struct stmt *s, unsigned i);
/* Index of a parameter by name, with prefix or bare ("a" finds :a, @a or $a); 0 = none. */
unsigned stmt_param_index(const struct stmt *s, const char *name, size_t len);
/* Copies the value. */
enum err_code stmt_bind(struct stmt *s, unsigned i, const struct value *v, struct err *e);

/* *row = false at the end. After an error or the end the statement has been reset. */
enum err_code stmt_step(struct stmt *s, bool *row, struct err *e);
/* Ends the execution early; keeps bindings. */
void stmt_reset(struct stmt *s);

unsigned stmt_column_count(const struct stmt *s);
const char *stmt_column_name(const struct stmt *s, unsigned i);
/* As declared, but "INT4" for a rowid that table_text_is_int4(); NULL for expressions. */
const char *stmt_column_decltype(struct stmt *s, unsigned i);
/* By which its column's texts are compared; "BINARY" for expressions. */
const char *stmt_column_collation(const struct stmt *s, unsigned i);
struct value stmt_column(const struct stmt *s, unsigned i);

/* ---- the cache, for conn.c ---- */

struct stmt_cache *stmt_cache_new(void); /* NULL: no memory */
void stmt_cache_free(struct stmt_cache *k);

#endif
