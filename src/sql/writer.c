/*
 * The write connection: brackets around the statements of users, and what their changes are.
 *
 *   opening           writer_open, _close, _conn, _schema_changed
 *   the group         writer_begin, _commit, _rollback, _lost
 *   a transaction     writer_tx_begin, _tx_end, _tx_undo
 *   a statement       writer_stmt_begin, _stmt_end, _changes, _last_rowid
 *   savepoints        writer_savepoint, _release, _rollback_to
 *   the rest          writer_dump, _vacuum
 *
 * How the brackets nest in SQLite, each with a mark to which the capture is cut when it is rolled
 * back:
 *
 *   BEGIN IMMEDIATE
 *     SAVEPOINT ha_tx                     a transaction of the group
 *       SAVEPOINT ha_u0 … ha_u<n>         users' savepoints, by their place in the stack
 *         SAVEPOINT ha_stmt               a statement that may fail alone
 *
 * SAVEPOINT and RELEASE themselves may write: FTS5 keeps index rows back until then. So a mark is
 * taken after SAVEPOINT, and the capture stays on until the transaction's RELEASE is done.
 */
#include "sql/writer.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "sql/capture.h"
#include "sql/dump.h"
#include "sql/schema.h"
#include "sql/sequence.h"
#include "sql/writer_schema.h"

#define WRITER_MAX_SAVEPOINTS 1000 /* open at once in one transaction */

/* Our own statements, prepared once. */
enum fixed {
    F_BEGIN,
    F_COMMIT,
    F_ROLLBACK,
    F_TX,
    F_TX_RELEASE,
    F_TX_ROLLBACK,
    F_STMT,
    F_STMT_RELEASE,
    F_STMT_ROLLBACK,
    F_FLUSH,
    F_FLUSH_RELEASE,
    F_SCHEMA_VERSION,
    F_DATA_VERSION,
    F_COUNT
};

static const char *const fixed_sql[F_COUNT] = {
    [F_BEGIN] = "BEGIN IMMEDIATE",
    [F_COMMIT] = "COMMIT",
    [F_ROLLBACK] = "ROLLBACK",
    [F_TX] = "SAVEPOINT ha_tx",
    [F_TX_RELEASE] = "RELEASE ha_tx",
    [F_TX_ROLLBACK] = "ROLLBACK TO ha_tx",
    [F_STMT] = "SAVEPOINT ha_stmt",
    [F_STMT_RELEASE] = "RELEASE ha_stmt",
    [F_STMT_ROLLBACK] = "ROLLBACK TO ha_stmt",
    [F_FLUSH] = "SAVEPOINT ha_flush",
    [F_FLUSH_RELEASE] = "RELEASE ha_flush",
    [F_SCHEMA_VERSION] = "PRAGMA main.schema_version",
    [F_DATA_VERSION] = "PRAGMA main.data_version",
};

struct user_savepoint {
    char *name;
    size_t len;
    struct capture_mark mark;
};

struct writer {
    struct conn *conn;
    sqlite3 *db;
    bool replicate_ddl; /* immutable */
    struct schema *schema;
    struct capture *capture;
    struct sequence *sequence;
    sqlite3_stmt *fixed[F_COUNT];
    atomic_bool schema_changed; /* by another connection; the only field of other threads */

    bool open;        /* between begin and its end */
    bool broken;      /* open, but can only be rolled back */
    int data_version; /* when this connection last began */
    int cookie;       /* of the schema that `schema` describes */
    struct capture_mark begin_mark;

    /* the transaction */
    bool in_tx;
    bool wrote;     /* a statement that may write has run */
    bool ran_ddl;   /* schema descriptions do not survive its undoing */
    bool used_temp; /* may have left temp objects behind */
    bool deferred;  /* PRAGMA defer_foreign_keys has been touched */
    struct capture_mark tx_mark;
    struct user_savepoint *savepoints;
    size_t n_savepoints, savepoints_cap;

    /* the statement */
    bool in_stmt, stmt_savepoint;
    struct capture_mark stmt_mark;
    uint64_t sequence_writes; /* before it */
    int cookie_before;
    int64_t total_before;
    int64_t changes; /* of the one that ended last */
};

/* ---- our own statements ---- */

static enum err_code run(struct writer *w, enum fixed f, int *answer, struct err *e)
{
    sqlite3_stmt *st = w->fixed[f];
    enum err_code code = ERR_OK;
    int rc;

    conn_trust(w->conn, true); /* SQLite may compile it anew */
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW && answer)
        *answer = sqlite3_column_int(st, 0);
    else if (rc != SQLITE_DONE)
        code = conn_error(w->conn, rc, e);
    sqlite3_reset(st);
    conn_trust(w->conn, false);
    return code;
}

static enum err_code prepare_fixed(struct writer *w, struct err *e)
{
    int rc = SQLITE_OK;

    conn_trust(w->conn, true);
    for (int i = 0; i < F_COUNT && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(w->db, fixed_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &w->fixed[i],
                                NULL);
    conn_trust(w->conn, false);
    return rc == SQLITE_OK ? ERR_OK : conn_error(w->conn, rc, e);
}

/* ---- opening ---- */

static enum err_code open_parts(struct writer *w, const struct conn_config *cfg,
                                struct spool *spool, struct err *e)
{
    enum err_code code = conn_open(&w->conn, cfg, CONN_WRITER, e);

    if (code)
        return code;
    w->db = conn_handle(w->conn);
    w->schema = schema_new(w->conn);
    w->sequence = w->schema ? sequence_new(w->conn, w->schema) : NULL;
    if (!w->sequence)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    code = capture_open(&w->capture, w->conn, w->schema, spool, e);
    if (code)
        return code;
    return prepare_fixed(w, e);
}

enum err_code writer_open(struct writer **out, const struct conn_config *cfg, struct spool *spool,
                          bool replicate_ddl, struct err *e)
{
    struct writer *w = calloc(1, sizeof *w);
    enum err_code code;

    *out = NULL;
    if (!w)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    w->replicate_ddl = replicate_ddl;
    atomic_init(&w->schema_changed, false);
    code = open_parts(w, cfg, spool, e);
    if (code) {
        writer_close(w);
        return code;
    }
    *out = w;
    return ERR_OK;
}

static void forget_savepoints(struct writer *w, size_t keep)
{
    while (w->n_savepoints > keep)
        free(w->savepoints[--w->n_savepoints].name);
}

void writer_close(struct writer *w)
{
    if (!w)
        return;
    forget_savepoints(w, 0);
    free(w->savepoints);
    for (int i = 0; i < F_COUNT; i++)
        sqlite3_finalize(w->fixed[i]);
    capture_close(w->capture);
    sequence_free(w->sequence);
    schema_free(w->schema);
    conn_close(w->conn);
    free(w);
}

struct conn *writer_conn(struct writer *w)
{
    return w->conn;
}

void writer_schema_changed(struct writer *w)
{
    if (w)
        atomic_store_explicit(&w->schema_changed, true, memory_order_release);
}

/* Descriptions as of now. Before a statement that may write, never from inside the hook. */
static enum err_code refresh(struct writer *w, struct err *e)
{
    enum err_code code;

    if (atomic_exchange_explicit(&w->schema_changed, false, memory_order_acquire))
        schema_stale(w->schema);
    if (!schema_is_stale(w->schema))
        return ERR_OK;
    code = schema_refresh(w->schema, e);
    return code ? code : run(w, F_SCHEMA_VERSION, &w->cookie, e);
}

/* ---- the group ---- */

static enum err_code lost_error(struct err *e)
{
    return err_set(e, ERR_TX_ABORTED, "the whole transaction has been rolled back");
}

bool writer_lost(const struct writer *w)
{
    return w->open && (w->broken || sqlite3_get_autocommit(w->db));
}

/* What other connections have done since our last transaction. */
static enum err_code look_around(struct writer *w, struct err *e)
{
    int version = 0, cookie = 0;
    enum err_code code = run(w, F_DATA_VERSION, &version, e);

    if (code || version == w->data_version)
        return code;
    code = run(w, F_SCHEMA_VERSION, &cookie, e);
    if (code)
        return code;
    w->data_version = version;
    sequence_forget(w->sequence);
    if (cookie != w->cookie)
        schema_stale(w->schema);
    return ERR_OK;
}

enum err_code writer_begin(struct writer *w, struct err *e)
{
    enum err_code code;

    if (w->open)
        return err_set(e, ERR_INTERNAL, "the write connection is in a transaction already");
    conn_resume(w->conn); /* what was to be interrupted has ended */
    code = run(w, F_BEGIN, NULL, e);
    if (code)
        return code;
    w->open = true;
    w->broken = false;
    capture_restart(w->capture);
    w->begin_mark = capture_mark(w->capture);
    code = look_around(w, e);
    if (code)
        writer_rollback(w);
    return code;
}

static void end_transaction(struct writer *w)
{
    capture_on(w->capture, false);
    capture_ddl(w->capture, false, NULL);
    forget_savepoints(w, 0);
    w->in_tx = false;
    w->in_stmt = false;
}

enum err_code writer_commit(struct writer *w, struct err *e)
{
    enum err_code code;

    if (!w->open)
        return err_set(e, ERR_INTERNAL, "there is nothing to commit");
    if (writer_lost(w))
        return lost_error(e);
    code = run(w, F_COMMIT, NULL, e);
    if (code)
        return code;
    w->open = false;
    return ERR_OK;
}

void writer_rollback(struct writer *w)
{
    struct err ignored = ERR_INIT;

    if (!w->open)
        return;
    end_transaction(w);
    if (!sqlite3_get_autocommit(w->db))
        (void)run(w, F_ROLLBACK, NULL, &ignored);
    /* The caller may have emptied the spool already. */
    if (capture_mark(w->capture).len >= w->begin_mark.len)
        capture_cut(w->capture, w->begin_mark);
    schema_stale(w->schema);
    sequence_forget(w->sequence);
    w->open = false;
    w->broken = false;
}

/* ---- a transaction ---- */

enum err_code writer_tx_begin(struct writer *w, struct err *e)
{
    enum err_code code;

    if (!w->open || w->in_tx)
        return err_set(e, ERR_INTERNAL, "a transaction begins in the wrong place");
    if (writer_lost(w))
        return lost_error(e);
    code = refresh(w, e); /* are there sequences? */
    if (!code)
        code = sequence_before(w->sequence, e);
    if (!code)
        code = run(w, F_TX, NULL, e);
    if (code)
        return code;
    w->in_tx = true;
    w->wrote = w->ran_ddl = w->used_temp = w->deferred = false;
    w->tx_mark = capture_mark(w->capture);
    capture_on(w->capture, true);
    return ERR_OK;
}

static enum err_code check_foreign_keys(struct writer *w, struct err *e)
{
    int open = 0, highest = 0;

    (void)sqlite3_db_status(w->db, SQLITE_DBSTATUS_DEFERRED_FKS, &open, &highest, 0);
    if (!open)
        return ERR_OK;
    (void)err_set(e, ERR_FOREIGN_KEY, "FOREIGN KEY constraint failed");
    e->sqlite_code = SQLITE_CONSTRAINT_FOREIGNKEY;
    return e->code;
}

/* PRAGMA defer_foreign_keys lasts until SQLite's COMMIT, which would be that of the group. */
static void end_deferral(struct writer *w)
{
    struct err ignored = ERR_INIT;

    if (w->deferred)
        (void)conn_exec(w->conn, "PRAGMA defer_foreign_keys=0", &ignored);
    w->deferred = false;
}

/* Before a mark, too: a failure behind it would be forgotten with what is cut. */
static enum err_code settle_capture(struct writer *w, struct err *e)
{
    capture_settle(w->capture);
    return capture_check(w->capture, e);
}

/* All that a transaction does besides its statements; may still be undone as a whole. */
static enum err_code settle(struct writer *w, struct err *e)
{
    enum err_code code = ERR_OK;

    if (w->used_temp)
        code = writer_drop_temp(w->conn, e);
    if (!code && w->wrote && schema_has_virtual(w->schema)) {
        /* FTS writes out what it holds back: at the transaction's own RELEASE it might not. */
        code = run(w, F_FLUSH, NULL, e);
        if (!code)
            code = run(w, F_FLUSH_RELEASE, NULL, e);
    }
    if (!code && w->wrote) {
        if (w->ran_ddl)
            code = refresh(w, e);
        if (!code)
            code = sequence_after(w->sequence, w->capture, e);
    }
    return code ? code : settle_capture(w, e);
}

enum err_code writer_tx_end(struct writer *w, uint32_t *changes, struct err *e)
{
    enum err_code code;
    uint64_t n;

    *changes = 0;
    if (!w->in_tx)
        return err_set(e, ERR_INTERNAL, "no transaction to end");
    if (writer_lost(w))
        return lost_error(e);
    code = check_foreign_keys(w, e);
    if (!code)
        code = settle(w, e);
    if (code)
        return code;
    n = capture_mark(w->capture).changes - w->tx_mark.changes;
    if (n > UINT32_MAX)
        return err_set(e, ERR_TOO_BIG, "the transaction has too many changes");
    code = run(w, F_TX_RELEASE, NULL, e);
    if (!code)
        code = capture_check(w->capture, e);
    if (!code && capture_mark(w->capture).changes - w->tx_mark.changes != n)
        code = err_set(e, ERR_INTERNAL, "a virtual table has written after its last statement");
    end_deferral(w);
    end_transaction(w);
    if (code)
        w->broken = true; /* its savepoint is gone: only all of the group can be undone */
    else
        *changes = (uint32_t)n;
    return code;
}

void writer_tx_undo(struct writer *w)
{
    struct err ignored = ERR_INIT;

    if (!w->in_tx)
        return;
    end_deferral(w);
    end_transaction(w);
    if (!writer_lost(w)) {
        if (run(w, F_TX_ROLLBACK, NULL, &ignored) || run(w, F_TX_RELEASE, NULL, &ignored))
            w->broken = true;
    }
    capture_cut(w->capture, w->tx_mark);
    if (w->ran_ddl)
        schema_stale(w->schema);
    sequence_forget(w->sequence);
}

/* ---- a statement ---- */

/* The savepoint of a statement that failed, or that the capture could not follow. */
static enum err_code undo_statement(struct writer *w, struct err *e)
{
    enum err_code code;

    if (w->ran_ddl)
        schema_stale(w->schema);
    if (writer_lost(w))
        return lost_error(e);
    if (!w->stmt_savepoint)
        return ERR_OK; /* the caller undoes the transaction */
    code = run(w, F_STMT_ROLLBACK, NULL, e);
    if (!code)
        code = run(w, F_STMT_RELEASE, NULL, e);
    capture_cut(w->capture, w->stmt_mark);
    if (code)
        w->broken = true;
    return code;
}

static bool is_pragma(const struct stmt *s)
{
    const struct stmt_ddl *d = stmt_ddl(s);

    return d && (d->kind == DDL_PRAGMA || sqlite3_strnicmp(stmt_sql(s), "PRAGMA", 6) == 0);
}

static enum err_code begin_writing(struct writer *w, struct stmt *s, bool savepoint, struct err *e)
{
    const struct stmt_ddl *d = stmt_ddl(s);
    enum err_code code = refresh(w, e);

    if (!code && savepoint)
        code = run(w, F_STMT, NULL, e);
    if (code)
        return code;
    w->stmt_savepoint = savepoint;
    code = settle_capture(w, e);
    if (code)
        return code;
    w->stmt_mark = capture_mark(w->capture);
    w->sequence_writes = capture_sequence_writes(w->capture);
    w->wrote = true;
    if (stmt_class(s) == STMT_TEMP) {
        w->used_temp = w->used_temp || !is_pragma(s);
        w->deferred = w->deferred || is_pragma(s);
    }
    if (stmt_class(s) == STMT_DDL) {
        w->ran_ddl = true;
        schema_stale(w->schema);
        capture_ddl(w->capture, true,
                    d && (d->kind == DDL_DROP_TABLE || stmt_is_alter(s)) ? d->name : NULL);
        code = run(w, F_SCHEMA_VERSION, &w->cookie_before, e);
    }
    return code;
}

enum err_code writer_stmt_begin(struct writer *w, struct stmt *s, bool savepoint, struct err *e)
{
    enum err_code code = ERR_OK;

    if (!w->in_tx || w->in_stmt)
        return err_set(e, ERR_INTERNAL, "a statement begins in the wrong place");
    if (writer_lost(w))
        return lost_error(e);
    if (stmt_class(s) == STMT_VACUUM)
        return err_set(e, ERR_TX_ACTIVE, "cannot VACUUM from within a transaction");
    w->stmt_savepoint = false;
    w->total_before = sqlite3_total_changes64(w->db);
    if (stmt_class(s) != STMT_READ)
        code = begin_writing(w, s, savepoint, e);
    if (!code)
        w->in_stmt = true;
    return code;
}

/* CREATE TABLE … AS SELECT would be computed anew elsewhere: what it made travels instead. */
static enum err_code ship_created(struct writer *w, const char *name, struct err *e)
{
    const struct table *t;
    enum err_code code = refresh(w, e);

    if (code)
        return code;
    t = schema_table(w->schema, name);
    if (!t)
        return err_set(e, ERR_INTERNAL, "table %s is not there after it was created", name);
    if (w->replicate_ddl)
        capture_sql(w->capture, t->sql, strlen(t->sql));
    return dump_rows(w->conn, w->capture, t, e);
}

static enum err_code check_rowids(struct writer *w, const struct stmt_ddl *d, struct err *e)
{
    /* As described before the statement. */
    struct writer_rowids before = writer_rowids(schema_table(w->schema, d->name));
    const struct table *t;
    enum err_code code;

    if (d->kind != DDL_CREATE_TABLE && (d->kind != DDL_ALTER || d->rename[0] != '\0'))
        return ERR_OK;
    code = refresh(w, e);
    t = code ? NULL : schema_table(w->schema, d->name);
    return t ? writer_check_rowids(t, before, e) : code;
}

static enum err_code ship_ddl(struct writer *w, struct stmt *s, struct err *e)
{
    const struct stmt_ddl *d = stmt_ddl(s);
    const char *sql = stmt_sql(s);
    bool always = d && (d->kind == DDL_PRAGMA || d->kind == DDL_ANALYZE || d->kind == DDL_REINDEX);
    int cookie = 0;
    enum err_code code = run(w, F_SCHEMA_VERSION, &cookie, e);

    if (code || (cookie == w->cookie_before && !always))
        return code;
    if (d)
        code = writer_check_parents(w->conn, d, schema_has_virtual(w->schema), e);
    if (!code && d)
        code = check_rowids(w, d, e);
    if (code)
        return code;
    if (!json_is_text(sql, strlen(sql)))
        return err_set(e, ERR_PARAM, "the text of a schema statement must be valid UTF-8");
    if (d && d->kind == DDL_CREATE_TABLE && d->has_select)
        return ship_created(w, d->name, e);
    if (w->replicate_ddl)
        capture_sql(w->capture, sql, strlen(sql));
    return ERR_OK;
}

/* Only row statements count rows; SQLite's own counter stays what it was at all others. */
static int64_t count_changes(const struct writer *w, struct stmt *s)
{
    bool rows = stmt_class(s) == STMT_WRITE || stmt_class(s) == STMT_TEMP;

    if (!rows || sqlite3_total_changes64(w->db) == w->total_before)
        return 0;
    return sqlite3_changes64(w->db);
}

/* What a statement that succeeded has done: all of it can be shipped? */
static enum err_code check_effects(struct writer *w, struct stmt *s, struct err *e)
{
    enum err_code code = ERR_OK;

    if (stmt_class(s) == STMT_DDL)
        code = ship_ddl(w, s, e);
    if (!code)
        code = settle_capture(w, e);
    if (!code && capture_sequence_writes(w->capture) != w->sequence_writes)
        code = sequence_check(w->sequence, e);
    return code;
}

enum err_code writer_stmt_end(struct writer *w, struct stmt *s, bool ok, struct err *e)
{
    enum err_code code = ERR_OK;
    struct err ignored = ERR_INIT;
    bool ddl = stmt_class(s) == STMT_DDL;

    if (!w->in_stmt)
        return err_set(e, ERR_INTERNAL, "no statement to end");
    w->in_stmt = false;
    stmt_reset(s);
    w->changes = ok ? count_changes(w, s) : 0;
    capture_ddl(w->capture, false, NULL);
    if (ddl)
        schema_stale(w->schema);
    if (!ok)
        return undo_statement(w, e);
    if (writer_lost(w))
        return lost_error(e);
    if (stmt_class(s) == STMT_READ)
        return ERR_OK;
    code = check_effects(w, s, e);
    if (!code && w->stmt_savepoint)
        code = run(w, F_STMT_RELEASE, NULL, e);
    if (code)
        (void)undo_statement(w, &ignored);
    return code;
}

static enum err_code check_in_tx(struct writer *w, struct err *e)
{
    if (!w->in_tx || w->in_stmt)
        return err_set(e, ERR_TX_NONE, "no transaction is active");
    return writer_lost(w) ? lost_error(e) : ERR_OK;
}

enum err_code writer_rows(struct writer *w, struct schema **schema, struct err *e)
{
    enum err_code code = check_in_tx(w, e);

    *schema = w->schema;
    w->wrote = true;
    return code ? code : refresh(w, e);
}

int64_t writer_changes(const struct writer *w)
{
    return w->changes;
}

int64_t writer_last_rowid(const struct writer *w)
{
    return sqlite3_last_insert_rowid(w->db);
}

/* ---- users' savepoints ---- */

static enum err_code exec_savepoint(struct writer *w, const char *what, size_t place, struct err *e)
{
    char sql[64];

    (void)snprintf(sql, sizeof sql, "%s ha_u%zu", what, place);
    return conn_exec(w->conn, sql, e);
}

enum err_code writer_savepoint(struct writer *w, const char *name, size_t len, struct err *e)
{
    struct user_savepoint *sp;
    enum err_code code = check_in_tx(w, e);

    if (code)
        return code;
    if (w->n_savepoints >= WRITER_MAX_SAVEPOINTS)
        return err_set(e, ERR_TOO_MANY, "too many savepoints");
    sp = array_room(w->savepoints, w->n_savepoints, &w->savepoints_cap, sizeof *sp);
    if (!sp)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    w->savepoints = sp;
    sp += w->n_savepoints;
    sp->name = strndup(name, len);
    sp->len = len;
    if (!sp->name)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    code = exec_savepoint(w, "SAVEPOINT", w->n_savepoints, e);
    if (!code)
        code = settle_capture(w, e);
    if (code) {
        free(sp->name);
        return code;
    }
    sp->mark = capture_mark(w->capture);
    w->n_savepoints++;
    return ERR_OK;
}

/* The innermost of the name, as in SQLite. */
static enum err_code find_savepoint(struct writer *w, const char *name, size_t len, size_t *place,
                                    struct err *e)
{
    enum err_code code = check_in_tx(w, e);

    if (code)
        return code;
    for (size_t i = w->n_savepoints; i > 0; i--) {
        const struct user_savepoint *sp = &w->savepoints[i - 1];

        if (sp->len == len && sqlite3_strnicmp(sp->name, name, (int)len) == 0) {
            *place = i - 1;
            return ERR_OK;
        }
    }
    return err_set(e, ERR_SAVEPOINT, "no such savepoint: %.*s", (int)(len < 100 ? len : 100), name);
}

enum err_code writer_release(struct writer *w, const char *name, size_t len, struct err *e)
{
    size_t place = 0;
    enum err_code code = find_savepoint(w, name, len, &place, e);

    if (!code)
        code = exec_savepoint(w, "RELEASE", place, e);
    if (!code)
        forget_savepoints(w, place);
    return code;
}

enum err_code writer_rollback_to(struct writer *w, const char *name, size_t len, struct err *e)
{
    size_t place = 0;
    enum err_code code = find_savepoint(w, name, len, &place, e);

    if (!code)
        code = exec_savepoint(w, "ROLLBACK TO", place, e);
    if (code)
        return code;
    forget_savepoints(w, place + 1);
    capture_cut(w->capture, w->savepoints[place].mark);
    if (w->ran_ddl)
        schema_stale(w->schema);
    return ERR_OK;
}

/* ---- the rest ---- */

enum err_code writer_dump(struct writer *w, uint32_t *changes, struct err *e)
{
    struct capture_mark before = capture_mark(w->capture);
    enum err_code code = ERR_OK;
    uint64_t n;

    *changes = 0;
    if (!w->open)
        return err_set(e, ERR_INTERNAL, "a dump needs a transaction");
    if (writer_lost(w))
        return lost_error(e);
    /* It makes virtual tables in `temp` to see what is in them at first. */
    w->used_temp = true;
    w->wrote = true;
    code = refresh(w, e);
    if (!code)
        code = writer_check_file(w->schema, e);
    if (!code)
        code = dump_file(w->conn, w->capture, w->schema, w->sequence, w->replicate_ddl, e);
    if (!code)
        code = capture_check(w->capture, e);
    n = capture_mark(w->capture).changes - before.changes;
    if (!code && n > UINT32_MAX)
        code = err_set(e, ERR_TOO_BIG, "the file has too many rows");
    if (code) {
        capture_cut(w->capture, before);
        return code;
    }
    *changes = (uint32_t)n;
    return ERR_OK;
}

enum err_code writer_vacuum(struct writer *w, struct err *e)
{
    enum err_code code;

    if (w->open)
        return err_set(e, ERR_TX_ACTIVE, "cannot VACUUM from within a transaction");
    schema_stale(w->schema);
    code = refresh(w, e);
    if (code)
        return code;
    for (const struct table *t = schema_next(w->schema, NULL); t; t = schema_next(w->schema, t))
        if (t->kind == TABLE_USER && !t->without_rowid && !t->rowid_alias)
            return err_set(e, ERR_DENIED,
                           "VACUUM is not permitted: table %s has no INTEGER PRIMARY KEY, and its "
                           "rows would get other rowids here than on the other nodes",
                           t->name);
    return conn_exec(w->conn, "VACUUM", e);
}
