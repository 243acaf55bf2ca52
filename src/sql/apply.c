/*
 * Applying messages: the transaction, the reader, what a change is.
 *
 *   apply_open, _close, _conn
 *   apply_begin, _commit, _rollback
 *   apply_message, _spooled
 *   apply_divert, _change, _mark, _keep, _undo
 *   apply_took_schema
 *
 * Rows are in apply_row.c, schema statements in apply_ddl.c, prepared statements in apply_plan.c.
 */
#include "sql/apply_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

static enum err_code on_change(void *arg, const struct change *c, struct err *e);

/* ---- opening ---- */

static enum err_code prepare(struct apply *a, const char *sql, sqlite3_stmt **st, struct err *e)
{
    int rc = sqlite3_prepare_v3(a->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);

    return rc == SQLITE_OK ? ERR_OK : conn_error(a->conn, rc, e);
}

static enum err_code open_parts(struct apply *a, const struct conn_config *cfg, struct err *e)
{
    enum err_code code = conn_open(&a->conn, cfg, CONN_APPLIER, e);

    if (code)
        return code;
    a->db = conn_handle(a->conn);
    a->schema = schema_new(a->conn);
    a->plans = plans_new(a->conn);
    a->reader = changeset_reader_new(on_change, a);
    if (!a->schema || !a->plans || !a->reader)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    /* A row that is in the log has passed the checks, or was there before them. */
    code = conn_exec(a->conn, "PRAGMA ignore_check_constraints=1", e);
    if (!code)
        code = prepare(a, "BEGIN IMMEDIATE", &a->begin, e);
    if (!code)
        code = prepare(a, "COMMIT", &a->commit, e);
    if (!code)
        code = prepare(a, "ROLLBACK", &a->rollback, e);
    if (!code)
        code = prepare(a, "PRAGMA main.schema_version", &a->schema_version, e);
    if (!code)
        code = prepare(a, "SELECT 1 FROM main.sqlite_schema LIMIT 1", &a->schema_look, e);
    return code;
}

enum err_code apply_open(struct apply **out, const struct conn_config *cfg, enum apply_mode mode,
                         enum row_identify identify, struct err *e)
{
    struct apply *a = calloc(1, sizeof *a);
    enum err_code code;

    *out = NULL;
    if (!a)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    a->mode = mode;
    a->identify = identify;
    code = open_parts(a, cfg, e);
    if (code) {
        apply_close(a);
        return code;
    }
    *out = a;
    return ERR_OK;
}

void apply_close(struct apply *a)
{
    if (!a)
        return;
    sqlite3_finalize(a->begin);
    sqlite3_finalize(a->commit);
    sqlite3_finalize(a->rollback);
    sqlite3_finalize(a->schema_version);
    sqlite3_finalize(a->schema_look);
    for (size_t i = 0; i < SEQUENCE_STATEMENTS; i++)
        sqlite3_finalize(a->sequence[i]);
    changeset_reader_free(a->reader);
    plans_free(a->plans);
    schema_free(a->schema);
    buf_free(&a->absent);
    buf_free(&a->created);
    conn_close(a->conn);
    free(a);
}

struct conn *apply_conn(struct apply *a)
{
    return a->conn;
}

/* ---- the transaction ---- */

static enum err_code run(struct apply *a, sqlite3_stmt *st, int *answer, struct err *e)
{
    enum err_code code = ERR_OK;
    int rc = sqlite3_step(st);

    if (rc == SQLITE_ROW && answer)
        *answer = sqlite3_column_int(st, 0);
    else if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        code = conn_error(a->conn, rc, e);
    sqlite3_reset(st);
    return code;
}

enum err_code apply_refresh(struct apply *a, struct err *e)
{
    enum err_code code;

    if (!schema_is_stale(a->schema))
        return ERR_OK;
    plans_drop(a->plans);
    code = schema_refresh(a->schema, e);
    return code ? code : run(a, a->schema_version, &a->cookie, e);
}

enum err_code apply_begin(struct apply *a, struct err *e)
{
    int cookie = 0;
    enum err_code code;

    if (a->open)
        return err_set(e, ERR_INTERNAL, "the applier is in a transaction already");
    code = run(a, a->begin, NULL, e);
    if (code)
        return code;
    a->open = true;
    a->failed = a->ran_ddl = false;
    code = run(a, a->schema_version, &cookie, e);
    if (!code && cookie != a->cookie) {
        schema_stale(a->schema);
        /* SQLite finds out, too: what it refuses while it compiles ("duplicate column name") it
         * refuses by the schema that it remembers, and the pragma does not make it look. */
        code = run(a, a->schema_look, NULL, e);
    }
    if (code)
        apply_rollback(a);
    return code;
}

enum err_code apply_commit(struct apply *a, const struct position *p, struct err *e)
{
    enum err_code code;

    if (!a->open || a->failed || sqlite3_get_autocommit(a->db))
        return err_set(e, ERR_INTERNAL, "there is nothing to commit");
    code = position_store(a->conn, p, e);
    if (!code && FAULT_FAILS("apply.commit"))
        code = err_set(e, ERR_DISK_FULL, "disk full (injected)");
    if (!code)
        code = run(a, a->commit, NULL, e);
    if (code) {
        a->failed = true;
        return code;
    }
    a->open = false;
    a->took_schema = a->took_schema || a->ran_ddl;
    return ERR_OK;
}

void apply_rollback(struct apply *a)
{
    struct err ignored = ERR_INIT;

    if (!a->open)
        return;
    if (!sqlite3_get_autocommit(a->db))
        (void)run(a, a->rollback, NULL, &ignored);
    if (a->ran_ddl)
        schema_stale(a->schema);
    a->open = false;
}

bool apply_took_schema(struct apply *a)
{
    bool took = a->took_schema;

    a->took_schema = false;
    return took;
}

/* ---- messages ---- */

enum err_code apply_change(struct apply *a, const struct change *c, struct err *e)
{
    enum err_code code;

    if (sqlite3_stricmp(c->database, "main") != 0)
        return err_set(e, ERR_FORMAT, "a change of database %.100s, which is not main",
                       c->database);
    if (c->op == CHANGE_SQL)
        return apply_ddl(a, c, e);
    code = apply_refresh(a, e);
    return code ? code : apply_row(a, c, e);
}

static enum err_code on_change(void *arg, const struct change *c, struct err *e)
{
    struct apply *a = arg;

    return a->divert ? a->divert(a->divert_arg, c, e) : apply_change(a, c, e);
}

void apply_divert(struct apply *a, changeset_fn *fn, void *arg)
{
    a->divert = fn;
    a->divert_arg = arg;
}

enum err_code apply_mark(struct apply *a, struct err *e)
{
    a->marked_created = a->created.len;
    return conn_exec(a->conn, "SAVEPOINT ha_mark", e);
}

enum err_code apply_keep(struct apply *a, struct err *e)
{
    return conn_exec(a->conn, "RELEASE ha_mark", e);
}

enum err_code apply_undo(struct apply *a, struct err *e)
{
    buf_cut(&a->created, a->marked_created);
    if (a->ran_ddl) {
        schema_stale(a->schema);
        plans_drop(a->plans);
    }
    return conn_exec(a->conn, "ROLLBACK TO ha_mark; RELEASE ha_mark", e);
}

bool apply_is_local(enum err_code code)
{
    switch (code) {
    case ERR_NO_MEMORY:
    case ERR_DISK_FULL:
    case ERR_IO:
    case ERR_BUSY:
    case ERR_CORRUPT:
    case ERR_READ_ONLY:
    case ERR_INTERRUPTED:
    case ERR_TIMEOUT:
    case ERR_SHUTDOWN:
    case ERR_INTERNAL:
        return true;
    default:
        return false;
    }
}

static enum err_code check_open(struct apply *a, struct err *e)
{
    if (!a->open || a->failed)
        return err_set(e, ERR_INTERNAL, "the applier is in no transaction");
    return ERR_OK;
}

static void start_message(struct apply *a)
{
    buf_reset(&a->absent);
    buf_reset(&a->created);
    changeset_reader_reset(a->reader);
}

static enum err_code end_message(struct apply *a, const struct changeset_info **info,
                                 enum err_code code, struct err *e)
{
    if (!code)
        code = changeset_finish(a->reader, info, e);
    if (!code)
        code = absent_check(a, e);
    if (code)
        a->failed = true;
    return code;
}

enum err_code apply_message(struct apply *a, const void *bytes, size_t n,
                            const struct changeset_info **info, struct err *e)
{
    enum err_code code = check_open(a, e);

    if (code)
        return code;
    start_message(a);
    return end_message(a, info, changeset_feed(a->reader, bytes, n, e), e);
}

enum err_code apply_spooled(struct apply *a, struct spool *s, const struct changeset_info **info,
                            struct err *e)
{
    enum err_code code = check_open(a, e);

    if (code)
        return code;
    start_message(a);
    return end_message(a, info, changeset_feed_spool(a->reader, s, e), e);
}
