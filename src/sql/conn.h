/*
 * One SQLite connection, opened for one of its roles and configured the same way everywhere.
 *
 *   CONN_WRITER   runs users' writes; the preupdate hook is registered at open (capture.h), policy
 * on CONN_READER   runs users' reads; query_only, policy on CONN_APPLIER  applies changes of the
 * log; triggers off, foreign keys off, no policy, never reads for users (FTS5 caches structure per
 * connection)
 *   CONN_SCRATCH  a temporary database of its own, which has no file name and is gone with it;
 * users' functions, our own statements
 *
 * All of them: WAL, synchronous as configured, DQS off, extended result codes, trusted_schema as
 * SQLite's default, statement cache. A connection is used by one thread at a time; conn_interrupt()
 * alone may be called by any thread while the connection is open.
 *
 * src/sql is the only caller of sqlite3.
 */
#ifndef HA_SQL_CONN_H
#define HA_SQL_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef struct sqlite3 sqlite3;

enum conn_role { CONN_WRITER, CONN_READER, CONN_APPLIER, CONN_SCRATCH };

/* What a database's connections have in common. Strings are owned by whoever owns the struct and
 * outlive every connection opened with it. */
struct conn_config {
    const char *path;        /* file name as SQLite takes it, no "file:" and no parameters */
    bool create;             /* create the file if it is missing */
    bool foreign_keys;       /* enforced on the writer */
    bool recursive_triggers; /* on the writer */
    bool case_sensitive_like;
    bool full_sync; /* synchronous=FULL instead of NORMAL (asynchronous outbox) */
    int cache_kib;  /* page cache, KiB; 0 = SQLite's default */
    int busy_ms;    /* for foreign processes that hold the file; never less than conn.c's least */
    int64_t mmap_bytes;            /* 0 = none */
    const char *const *extensions; /* loadable extensions, NULL-terminated; NULL = none */
};

struct conn;
struct policy;
struct stmt_cache;

/* Once per process, before anything else in src/sql: threading mode, memory statistics off. */
enum err_code conn_library_init(struct err *e);

/* Reads the query part of a SQLite DSN ("_foreign_keys=1&_journal=WAL&cache_size=…", with or
 * without the leading underscore, mattn and modernc `_pragma=foreign_keys(1)` spellings) into
 * `cfg`. Parameters that would break replication (journal_mode other than WAL, mode=memory,
 * immutable, nolock, vfs, locking_mode) and unknown ones are refused with ERR_CONFIG, by name. */
enum err_code conn_parse_params(struct conn_config *cfg, const char *params, struct err *e);

enum err_code conn_open(struct conn **out, const struct conn_config *cfg, enum conn_role role,
                        struct err *e);
/* NULL is fine; finalises the cached statements. Every statement must have been released before. */
void conn_close(struct conn *c);

/* For the rest of src/sql only. */
sqlite3 *conn_handle(struct conn *c);
struct policy *conn_policy(struct conn *c);
struct stmt_cache *conn_statements(struct conn *c);
enum conn_role conn_role(const struct conn *c);
/* NULL-terminated; NULL = none. */
enum err_code conn_load_extensions(sqlite3 *db, const char *const *x, struct err *e);

/* Fixed SQL of our own, no rows wanted; not subject to policy. */
enum err_code conn_exec(struct conn *c, const char *sql, struct err *e);

/* Translates the connection's last failure `rc` into `e` and returns the code. Finds the constraint
 * class, "no such table" and friends, and the SQL offset. */
enum err_code conn_error(struct conn *c, int rc, struct err *e);

/* While set, a running statement stops with ERR_TIMEOUT after `deadline_ns` (monotonic), with
 * ERR_INTERRUPTED as soon as *cancel is true (may be NULL) or gone(arg) says so (may be NULL; asked
 * at most every 50 ms; answers whether the client has left). conn_unguard() takes it all away. */
struct conn_guard {
    int64_t deadline_ns; /* CLOCK_EVER = none */
    const atomic_bool *cancel;
    bool (*gone)(void *arg);
    void *arg;
};
void conn_guard(struct conn *c, const struct conn_guard *g);
void conn_unguard(struct conn *c);

/* Stops the statement that runs under a guard, and each later one, until conn_resume(). SQLite
 * rolls the whole transaction back when a statement that writes is stopped, by this or by the
 * guard. */
void conn_interrupt(struct conn *c);
void conn_resume(struct conn *c);

/* Policy as an exception: own statements in src/sql bracket themselves with these; brackets may be
 * nested. A statement prepared inside keeps the exception until it is released. */
void conn_trust(struct conn *c, bool trusted);

/* last_insert_rowid() of the session about to run, so that it reads its own value on any connection
 */
void conn_set_last_rowid(struct conn *c, int64_t rowid);
int64_t conn_last_rowid(struct conn *c);

/* PRAGMA wal_checkpoint(TRUNCATE) or (PASSIVE). Busy is not an error. */
enum err_code conn_checkpoint(struct conn *c, bool truncate, struct err *e);

#endif
