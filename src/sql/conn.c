/*
 * Opening and configuring connections, the guard around running statements, errors.
 *
 *   life        conn_open, conn_close
 *   guard       conn_guard, conn_unguard, conn_interrupt; the progress and the busy handler
 *   the rest    conn_exec, conn_error, conn_trust, conn_checkpoint, last rowid
 *
 * conn_params.c reads DSN parameters, library.c sets SQLite up.
 */
#include "sql/conn.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sql/error.h"
#include "sql/front.h"
#include "sql/policy.h"
#include "sql/room.h"
#include "sql/stmt.h"

/* The progress handler is called every so many instructions of SQLite's machine (about 10 µs),
 * reads the clock at every CONN_CLOCK_CALLS-th call, and asks for the client at most so often. */
#define CONN_PROGRESS_OPS    1000
#define CONN_CLOCK_CALLS     4
#define CONN_GONE_EVERY_NS   (50 * CLOCK_MS)
/* Our own writers take turns, but a reader that finds the WAL index in the middle of a change takes
 * SQLite's write lock for a moment, too. */
#define CONN_BUSY_LEAST_MS   2000
#define CONN_BUSY_FIRST_NS   (1 * CLOCK_MS)  /* pause of the busy handler, doubled each time … */
#define CONN_BUSY_LONGEST_NS (20 * CLOCK_MS) /* … up to this */
#define CONN_PRAGMAS_SIZE    512

enum stop_reason { STOP_NONE, STOP_DEADLINE, STOP_CANCEL };

struct conn {
    sqlite3 *db;              /* immutable after open */
    enum conn_role role;      /* immutable */
    int busy_ms;              /* immutable */
    struct policy *policy;    /* owned */
    struct stmt_cache *cache; /* owned */

    struct conn_guard guard;
    bool guarded;
    atomic_bool interrupted;  /* by conn_interrupt(), until conn_resume() */
    enum stop_reason stopped; /* by the guard, since conn_guard() */
    unsigned calls;           /* of the progress handler */
    int64_t gone_asked_ns;
    bool no_wait; /* the busy handler gives up at once */
    int64_t busy_since_ns;
};

/* ---- guard ---- */

static bool is_canceled(const struct conn *c)
{
    const atomic_bool *cancel = c->guard.cancel;

    return atomic_load_explicit(&c->interrupted, memory_order_relaxed) ||
           (cancel && atomic_load_explicit(cancel, memory_order_relaxed));
}

static bool stop_now(struct conn *c)
{
    const struct conn_guard *g = &c->guard;
    int64_t now;

    if (c->stopped != STOP_NONE)
        return true;
    if (is_canceled(c)) {
        c->stopped = STOP_CANCEL;
        return true;
    }
    if (g->deadline_ns == CLOCK_EVER && !g->gone)
        return false;
    now = clock_mono_ns();
    if (now >= g->deadline_ns) {
        c->stopped = STOP_DEADLINE;
        return true;
    }
    if (g->gone && now - c->gone_asked_ns >= CONN_GONE_EVERY_NS) {
        c->gone_asked_ns = now;
        if (g->gone(g->arg))
            c->stopped = STOP_CANCEL;
    }
    return c->stopped != STOP_NONE;
}

static int on_progress(void *arg)
{
    struct conn *c = arg;

    if (++c->calls % CONN_CLOCK_CALLS == 0)
        return stop_now(c);
    return is_canceled(c) && stop_now(c);
}

/* Waits for a foreign process that holds the file, but no longer than the guard allows. */
static int on_busy(void *arg, int attempt)
{
    struct conn *c = arg;
    int64_t now = clock_mono_ns();
    int64_t pause = attempt < 5 ? CONN_BUSY_FIRST_NS << attempt : CONN_BUSY_LONGEST_NS;

    if (attempt == 0)
        c->busy_since_ns = now;
    if (c->no_wait || now - c->busy_since_ns >= c->busy_ms * CLOCK_MS ||
        (c->guarded && stop_now(c)))
        return 0;
    clock_nap(pause);
    return 1;
}

void conn_guard(struct conn *c, const struct conn_guard *g)
{
    c->guard = *g;
    c->guarded = true;
    c->stopped = STOP_NONE;
    c->calls = 0;
    c->gone_asked_ns = clock_mono_ns();
    sqlite3_progress_handler(c->db, CONN_PROGRESS_OPS, on_progress, c);
}

void conn_unguard(struct conn *c)
{
    if (!c->guarded)
        return;
    sqlite3_progress_handler(c->db, 0, NULL, NULL);
    c->guarded = false;
    c->stopped = STOP_NONE;
}

/* Not sqlite3_interrupt(): that holds until no statement of the connection is active, and the blob
 * handles that FTS5 and R-tree tables keep open inside a transaction count as active. It would stop
 * the ROLLBACK, too, however often that is tried, and so leave the transaction open. */
void conn_interrupt(struct conn *c)
{
    atomic_store(&c->interrupted, true);
}

void conn_resume(struct conn *c)
{
    atomic_store(&c->interrupted, false);
}

/* ---- life ---- */

static enum err_code check_path(const struct conn_config *cfg, enum conn_role role, struct err *e)
{
    if (role == CONN_SCRATCH && cfg->path && cfg->path[0] == '\0')
        return ERR_OK;
    if (!cfg->path || cfg->path[0] == '\0' || cfg->path[0] == ':')
        return err_set(e, ERR_CONFIG, "'%s' is not the name of a file: a database needs one",
                       cfg->path ? cfg->path : "");
    return ERR_OK;
}

static enum err_code open_file(struct conn *c, const struct conn_config *cfg, struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc;

    if ((cfg->create && c->role != CONN_READER) || c->role == CONN_SCRATCH)
        flags |= SQLITE_OPEN_CREATE;
    rc = sqlite3_open_v2(cfg->path, &c->db, flags, NULL);
    if (rc != SQLITE_OK && c->db && sqlite3_system_errno(c->db) == ENOENT)
        return flags & SQLITE_OPEN_CREATE
                   ? err_set(e, ERR_NO_DATABASE,
                             "%s cannot be created: its directory is not there, or not writable",
                             cfg->path)
                   : err_set(e, ERR_NO_DATABASE, "%s does not exist", cfg->path);
    if (rc != SQLITE_OK) {
        conn_error(c, rc, e);
        return err_wrap(e, "cannot open %s", cfg->path);
    }
    if (sqlite3_db_readonly(c->db, "main") == 1 && c->role != CONN_READER)
        return err_set(e, ERR_READ_ONLY, "%s cannot be written", cfg->path);
    return ERR_OK;
}

/* Settings that cost no statement. */
static enum err_code set_options(struct conn *c, const struct conn_config *cfg, struct err *e)
{
    const struct {
        int option, value;
    } options[] = {
        {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        /* The applier writes the rows behind FTS5 and R-tree tables itself. */
        {SQLITE_DBCONFIG_DEFENSIVE, c->role != CONN_APPLIER},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, c->role != CONN_APPLIER},
        {SQLITE_DBCONFIG_ENABLE_FKEY, c->role != CONN_APPLIER && cfg->foreign_keys},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int rc = sqlite3_db_config(c->db, options[i].option, options[i].value, NULL);
        if (rc != SQLITE_OK)
            return conn_error(c, rc, e);
    }
    return ERR_OK;
}

static int keep_journal_mode(void *arg, int n, char **values, char **names)
{
    (void)names;
    if (n > 0 && values[0])
        snprintf(arg, 16, "%s", values[0]);
    return 0;
}

static enum err_code set_pragmas(struct conn *c, const struct conn_config *cfg, struct err *e)
{
    char sql[CONN_PRAGMAS_SIZE];
    char mode[16] = "";
    size_t n = 0;
    int rc;

    if (c->role == CONN_SCRATCH) {
        rc = sqlite3_exec(c->db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;", NULL, NULL,
                          NULL);
        return rc == SQLITE_OK ? ERR_OK : conn_error(c, rc, e);
    }
#define ADD(...) n += (size_t)snprintf(sql + n, sizeof sql - n, __VA_ARGS__)
    sql[0] = '\0';
    if (c->role == CONN_READER)
        ADD("PRAGMA query_only=1;");
    ADD("PRAGMA synchronous=%s;", cfg->full_sync ? "FULL" : "NORMAL");
    if (cfg->recursive_triggers)
        ADD("PRAGMA recursive_triggers=1;");
    if (cfg->case_sensitive_like)
        ADD("PRAGMA case_sensitive_like=1;");
    if (cfg->cache_kib > 0)
        ADD("PRAGMA cache_size=-%d;", cfg->cache_kib);
    if (cfg->mmap_bytes > 0)
        ADD("PRAGMA mmap_size=%lld;", (long long)cfg->mmap_bytes);
    /* Last, because only its row is looked at. */
    if (c->role != CONN_READER)
        ADD("PRAGMA journal_mode=WAL;");
#undef ADD
    rc = sqlite3_exec(c->db, sql, keep_journal_mode, mode, NULL);
    if (rc != SQLITE_OK)
        return conn_error(c, rc, e);
    if (c->role != CONN_READER && strcmp(mode, "wal") != 0)
        return err_set(e, ERR_CONFIG, "the file system of this file has no write-ahead log");
    return ERR_OK;
}

enum err_code conn_load_extensions(sqlite3 *db, const char *const *x, struct err *e)
{
    char *why = NULL;

    if (!x || !x[0])
        return ERR_OK;
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    for (; *x; x++) {
        if (sqlite3_load_extension(db, *x, NULL, &why) != SQLITE_OK) {
            err_set(e, ERR_CONFIG, "extension %s cannot be loaded: %s", *x, why ? why : "unknown");
            sqlite3_free(why);
            break;
        }
    }
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    return *x ? ERR_CONFIG : ERR_OK;
}

static enum err_code configure(struct conn *c, const struct conn_config *cfg, struct err *e)
{
    enum err_code code;
    int rc = SQLITE_OK;

    sqlite3_busy_handler(c->db, on_busy, c);
    if ((code = set_options(c, cfg, e)) != ERR_OK)
        return code;
    if ((code = set_pragmas(c, cfg, e)) != ERR_OK)
        return code;
    if ((code = conn_load_extensions(c->db, cfg->extensions, e)) != ERR_OK)
        return code;
    /* The applier runs nothing but what the log says, and so needs none of it. */
    if (c->role != CONN_APPLIER)
        rc = front_open(c->db, c->policy, c->role != CONN_SCRATCH);
    if (rc != SQLITE_OK)
        return conn_error(c, rc, e);
    policy_install(c->policy, c->db);
    return ERR_OK;
}

enum err_code conn_open(struct conn **out, const struct conn_config *cfg, enum conn_role role,
                        struct err *e)
{
    struct conn *c;
    enum err_code code;

    *out = NULL;
    if ((code = conn_library_init(e)) != ERR_OK || (code = check_path(cfg, role, e)) != ERR_OK)
        return code;
    c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    c->role = role;
    c->busy_ms = cfg->busy_ms > CONN_BUSY_LEAST_MS ? cfg->busy_ms : CONN_BUSY_LEAST_MS;
    c->policy = policy_new(cfg, role);
    c->cache = stmt_cache_new();
    if (!c->policy || !c->cache) {
        conn_close(c);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    if ((code = open_file(c, cfg, e)) == ERR_OK && (code = configure(c, cfg, e)) != ERR_OK)
        err_wrap(e, "%s", cfg->path);
    if (code != ERR_OK) {
        conn_close(c);
        return code;
    }
    *out = c;
    return ERR_OK;
}

void conn_close(struct conn *c)
{
    if (!c)
        return;
    stmt_cache_free(c->cache);
    sqlite3_close_v2(c->db);
    policy_free(c->policy);
    free(c);
}

sqlite3 *conn_handle(struct conn *c)
{
    return c->db;
}

struct policy *conn_policy(struct conn *c)
{
    return c->policy;
}

struct stmt_cache *conn_statements(struct conn *c)
{
    return c->cache;
}

enum conn_role conn_role(const struct conn *c)
{
    return c->role;
}

/* ---- the rest ---- */

enum err_code conn_exec(struct conn *c, const char *sql, struct err *e)
{
    int rc;

    policy_trust(c->policy, true);
    rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    policy_trust(c->policy, false);
    return rc == SQLITE_OK ? ERR_OK : conn_error(c, rc, e);
}

/* A refusal inside a virtual table's own statement comes out as a plain error with this text. */
static bool is_denial(struct conn *c, int primary, const char *msg)
{
    return policy_denial(c->policy)[0] != '\0' &&
           (primary == SQLITE_AUTH ||
            (primary == SQLITE_ERROR && strstr(msg, "not authorized") != NULL));
}

enum err_code conn_error(struct conn *c, int rc, struct err *e)
{
    const char *msg = c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc);
    enum err_code code = error_from_sqlite(rc, msg, room_errno(c->db, rc));
    int primary = rc & 0xff;
    int offset = c->db && primary == SQLITE_ERROR ? sqlite3_error_offset(c->db) : -1;

    if (code == ERR_OK)
        code = ERR_INTERNAL; /* asked about a success: our own mistake */
    if (is_denial(c, primary, msg))
        err_set(e, ERR_DENIED, "%s", policy_denial(c->policy));
    else if (c->stopped == STOP_DEADLINE && (primary == SQLITE_INTERRUPT || code == ERR_BUSY))
        err_set(e, ERR_TIMEOUT, "the statement ran into its time limit");
    else if (c->stopped == STOP_CANCEL && (primary == SQLITE_INTERRUPT || code == ERR_BUSY))
        err_set(e, ERR_INTERRUPTED, "the statement was canceled");
    else if (primary == SQLITE_FULL && code == ERR_TOO_BIG)
        err_set(e, code,
                "%s: not the disk; a number has come to its end, as that of an "
                "AUTOINCREMENT table at 9223372036854775807",
                msg);
    else
        err_set(e, code, "%s", msg);
    e->sqlite_code = rc;
    e->offset = offset;
    return e->code;
}

void conn_trust(struct conn *c, bool trusted)
{
    policy_trust(c->policy, trusted);
}

void conn_set_last_rowid(struct conn *c, int64_t rowid)
{
    sqlite3_set_last_insert_rowid(c->db, rowid);
}

int64_t conn_last_rowid(struct conn *c)
{
    return sqlite3_last_insert_rowid(c->db);
}

enum err_code conn_checkpoint(struct conn *c, bool truncate, struct err *e)
{
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int rc;

    /* Without waiting for readers: what cannot be done now is done by the next one. */
    c->no_wait = true;
    rc = sqlite3_wal_checkpoint_v2(c->db, "main", mode, NULL, NULL);
    c->no_wait = false;
    if (rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
        return ERR_OK;
    return conn_error(c, rc, e);
}
