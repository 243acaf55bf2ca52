/*
 * What users' SQL may do on a connection, and what a statement turned out to do, both from what
 * SQLite's compiler reports to its authorizer.
 *
 * Refused, with a message that says why:
 *   - ATTACH, DETACH, load_extension()
 *   - writing to tables named ha_… (any case), and schema statements on such names; reading is fine
 *   - a virtual table named ha, because the tables behind it would be named ha_…
 *   - BEGIN, COMMIT, ROLLBACK, SAVEPOINT, RELEASE inside stmt_prepare(): the executor runs them
 *   - VACUUM INTO
 *   - schema changes that a row statement makes while it runs: FTS3 makes a table for merge= and
 *     automerge=, and that would not reach the other nodes
 *   - PRAGMA: policy_pragma.c has the table
 *
 * In force while users' statements are prepared and also while they run, since SQLite may compile
 * again behind our back (schema change, pragma_… table functions, virtual tables' own statements).
 * Statements of our own are exempt (policy_trust). One connection, its thread.
 */
#ifndef HA_SQL_POLICY_H
#define HA_SQL_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "sql/conn.h"
#include "sql/stmt.h"

/* What a PRAGMA amounts to. */
enum policy_pragma {
    POLICY_PRAGMA_READ,
    POLICY_PRAGMA_NOOP, /* compiled to nothing: the value is in force already, or needs no answer */
    POLICY_PRAGMA_DDL,  /* user_version, application_id */
    POLICY_PRAGMA_LOCAL,  /* ends with the transaction: defer_foreign_keys */
    POLICY_PRAGMA_REFUSED /* *why says why */
};

/* Seen by the authorizer while one statement was compiled. */
struct policy_seen {
    bool main; /* changes something in `main`, schema or rows */
    bool temp; /* changes something in `temp` */
    enum policy_pragma pragma;
};

struct policy;

struct policy *policy_new(const struct conn_config *cfg, enum conn_role role); /* NULL: no memory */
void policy_free(struct policy *p);
void policy_install(struct policy *p, sqlite3 *db);

/* A statement is about to be compiled: collect into `seen` (zeroed here); NULL ends it. */
void policy_watch(struct policy *p, struct policy_seen *seen);

/* Nested exceptions for our own statements; false takes one back. */
void policy_trust(struct policy *p, bool trusted);
bool policy_trusted(const struct policy *p);

/* Around the execution of a statement that was prepared under that trust; `rows`: it is no schema
 * statement, and must not become one. Returns what policy_leave() puts back. */
struct policy_state {
    int trust;
    bool rows;
};
struct policy_state policy_enter(struct policy *p, bool trusted, bool rows);
void policy_leave(struct policy *p, struct policy_state before);

/* A further check of what is not trusted: the reason why a report of the authorizer (sqlite3.h says
 * what they hold) is refused, static text, or NULL. */
typedef const char *policy_check_fn(void *arg, int report, const char *a, const char *b);
void policy_check(struct policy *p, policy_check_fn *check, void *arg);

/* The refusal since policy_watch() or policy_enter(), "" = none. */
const char *policy_denial(const struct policy *p);

/* What no authorizer report tells: a new name in ALTER TABLE … RENAME TO. */
enum err_code policy_check_ddl(struct policy *p, sqlite3 *db, const struct stmt_ddl *d,
                               struct err *e);
/* VACUUM … INTO, by its text. */
enum err_code policy_check_vacuum(struct policy *p, const char *sql, size_t len, struct err *e);

/* The PRAGMA table. `arg` is NULL where none was written; *why is static text. */
enum policy_pragma policy_pragma(const struct conn_config *cfg, const char *name, const char *arg,
                                 const char **why);

/* Does the name begin with ha_? */
bool policy_is_reserved(const char *name);

#endif
