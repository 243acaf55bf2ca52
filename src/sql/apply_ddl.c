/*
 * Schema changes, which travel as SQL text.
 *
 * A message may do no more than the statement of a peer's user may: one statement of the kinds that
 * writer.c ships, on objects of `main` that are not the node's own. Everything else is ERR_FORMAT.
 *
 * Last writer wins: what has already happened counts as done, so that a message may be applied
 * again. A statement or a row of such a message may also be about a table that a later statement of
 * the same message has dropped or renamed the first time. So what is absent is only noted, and has
 * to be explained before the message ends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sql/alter.h"
#include "sql/apply_impl.h"
#include "sql/ddl_text.h"
#include "sql/lex.h"
#include "sql/policy.h"
#include "sql/quote.h"

/* ---- what is absent ---- */

static bool has_name(const struct buf *list, const char *name)
{
    for (size_t at = 0; at < list->len; at += strlen(list->data + at) + 1)
        if (sqlite3_stricmp(list->data + at, name) == 0)
            return true;
    return false;
}

static enum err_code add_name(struct buf *list, const char *name, struct err *e)
{
    if (has_name(list, name))
        return ERR_OK;
    if (list->len + strlen(name) + 1 > NAMES_MAX_BYTES)
        return err_set(e, ERR_DIVERGED, "a message is about too many tables that are not there");
    buf_put(list, name, strlen(name) + 1);
    return buf_ok(list) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

enum err_code absent_note(struct apply *a, const char *table, struct err *e)
{
    return add_name(&a->absent, table, e);
}

/* The table has been dropped or renamed, and with it what a virtual table keeps behind it. */
void absent_explain(struct apply *a, const char *table)
{
    size_t len = strlen(table), kept = 0;

    for (size_t at = 0, n; at < a->absent.len; at += n) {
        char *name = a->absent.data + at;
        bool behind =
            sqlite3_strnicmp(name, table, (int)len) == 0 && (name[len] == '\0' || name[len] == '_');

        n = strlen(name) + 1;
        if (behind)
            continue;
        memmove(a->absent.data + kept, name, n);
        kept += n;
    }
    buf_cut(&a->absent, kept);
}

enum err_code absent_check(struct apply *a, struct err *e)
{
    if (a->absent.len == 0)
        return ERR_OK;
    if (a->mode == APPLY_LWW) {
        /* Dropped or altered by a message that came first, which every node has seen in the same
         * order: there is nothing left for this one to win against. */
        LOG_WARN("changes of a table that is gone or has other columns are passed over",
                 LOG_STR("table", a->absent.data));
        return ERR_OK;
    }
    return err_set(e, ERR_DIVERGED,
                   "the message changes table %.100s, which is missing or has other columns",
                   a->absent.data);
}

/* ---- what may be run ---- */

static enum err_code refuse(const struct change *c, struct err *e, const char *why)
{
    return err_set(e, ERR_FORMAT, "a message must not run this statement (%s): %.200s", why,
                   c->command);
}

static enum err_code check(const struct change *c, const struct ddl_text *d, struct err *e)
{
    const struct stmt_ddl *s = &d->ddl;

    if (s->kind == DDL_NONE)
        return refuse(c, e, "it changes no schema");
    if (s->kind == DDL_PRAGMA && sqlite3_stricmp(s->name, "user_version") != 0 &&
        sqlite3_stricmp(s->name, "application_id") != 0)
        return refuse(c, e, "this pragma is each node's own");
    if (d->temp || (s->schema[0] != '\0' && sqlite3_stricmp(s->schema, "main") != 0))
        return refuse(c, e, "not in main");
    if (schema_is_ours(s->name) || schema_is_ours(s->table) || policy_is_reserved(s->rename))
        return refuse(c, e, "its name belongs to the node");
    return ERR_OK;
}

/* Only blanks, comments and semicolons may follow. */
static bool is_last(const char *tail, const char *end)
{
    struct lex_token t;

    while (lex_next(&tail, end, &t))
        if (t.type != LEX_TOKEN_SEMI)
            return false;
    return true;
}

/* ---- what has happened already ---- */

static bool says(const char *msg, const char *part)
{
    return strstr(msg, part) != NULL;
}

/* Does the failure mean that the statement's effect is there? */
static bool is_done(const struct stmt_ddl *d, const char *msg)
{
    switch (d->kind) {
    case DDL_CREATE_TABLE:
    case DDL_CREATE_VTABLE:
    case DDL_CREATE_OTHER:
        return says(msg, "already exists") || says(msg, "there is already");
    case DDL_DROP_TABLE:
    case DDL_DROP_OTHER:
        return says(msg, "no such") || says(msg, "use DROP ");
    case DDL_ALTER:
        return says(msg, "no such table") || says(msg, "no such column") ||
               says(msg, "duplicate column name") || says(msg, "there is already");
    case DDL_ANALYZE:
    case DDL_REINDEX:
        return says(msg, "no such") || says(msg, "unable to identify");
    default:
        return false;
    }
}

/* An index or trigger on a table that has gone since: to be explained. */
static bool is_on_absent(const struct stmt_ddl *d, const char *msg)
{
    return d->kind == DDL_CREATE_OTHER && says(msg, "no such table") && d->table[0] != '\0';
}

static void explain(struct apply *a, const struct stmt_ddl *d)
{
    if (d->kind == DDL_DROP_TABLE || d->kind == DDL_ALTER || d->kind == DDL_DROP_OTHER)
        absent_explain(a, d->name);
}

/* ---- running ---- */

/* SQLITE_DONE, or the failure. -1: more than one statement. */
static int run(struct apply *a, const struct change *c)
{
    const char *tail = NULL;
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(a->db, c->command, (int)c->command_len + 1, &st, &tail);

    if (rc != SQLITE_OK)
        return rc;
    if (!is_last(tail, c->command + c->command_len)) {
        sqlite3_finalize(st);
        return -1;
    }
    do
        rc = sqlite3_step(st);
    while (rc == SQLITE_ROW);
    sqlite3_finalize(st);
    return rc;
}

/* Files from elsewhere may hold "strings" in double quotes in their schema. */
static void accept_quotes(struct apply *a, bool on)
{
    (void)sqlite3_db_config(a->db, SQLITE_DBCONFIG_DQS_DDL, (int)on, NULL);
}

/* Its rows are those that the renamed one had at first. */
static enum err_code drop_again(struct apply *a, const char *table, struct err *e)
{
    struct buf sql = BUF_INIT;
    enum err_code code;

    buf_puts(&sql, "DROP TABLE main.");
    quote_put_name(&sql, table);
    code = conn_exec(a->conn, buf_cstr(&sql), e);
    buf_free(&sql);
    return code;
}

static enum err_code failed(struct apply *a, const struct change *c, const struct stmt_ddl *d,
                            int rc, struct err *e)
{
    const char *msg = sqlite3_errmsg(a->db);

    if (rc == -1)
        return refuse(c, e, "it is more than one");
    if (a->mode == APPLY_LWW && (rc & 0xFF) == SQLITE_ERROR) {
        if (is_on_absent(d, msg))
            return absent_note(a, d->table, e);
        if (is_done(d, msg)) {
            LOG_INFO("schema change has happened already", LOG_STR("sql", c->command),
                     LOG_STR("reason", msg));
            if (d->kind == DDL_ALTER && d->rename[0] != '\0' && has_name(&a->created, d->name))
                return drop_again(a, d->name, e);
            return ERR_OK;
        }
    }
    if (a->mode == APPLY_LWW && (rc & 0xFF) == SQLITE_CONSTRAINT && d->kind == DDL_CREATE_OTHER) {
        /* Rows that came first do not allow the index, on any node. */
        LOG_WARN("schema change is passed over", LOG_STR("sql", c->command),
                 LOG_STR("reason", msg));
        return ERR_OK;
    }
    return apply_failed(a, c, rc, e);
}

/* Last writer wins: what came first may have done it, or does not allow it, on every node. */
static enum err_code run_alter(struct apply *a, const struct change *c, struct err *e)
{
    enum err_code code = alter_run(a->conn, c->command, c->command_len, e);

    if (a->mode != APPLY_LWW || code == ERR_OK || code == ERR_NO_MEMORY || code == ERR_IO ||
        code == ERR_DISK_FULL || code == ERR_CORRUPT || code == ERR_BUSY ||
        code == ERR_INTERRUPTED || code == ERR_INTERNAL)
        return code;
    LOG_WARN("schema change is passed over", LOG_STR("sql", c->command), LOG_STR("reason", e->msg));
    err_clear(e);
    return ERR_OK;
}

static enum err_code run_checked(struct apply *a, const struct change *c, const struct stmt_ddl *d,
                                 struct err *e)
{
    bool creates = d->kind == DDL_CREATE_TABLE || d->kind == DDL_CREATE_OTHER;
    enum err_code code = ERR_OK;
    int rc;

    a->ran_ddl = true;
    schema_stale(a->schema);
    plans_drop(a->plans);
    if (alter_is(c->command, c->command_len)) {
        code = run_alter(a, c, e);
        if (!code)
            explain(a, d);
        return code;
    }
    if (creates)
        accept_quotes(a, true);
    rc = run(a, c);
    if (rc != SQLITE_DONE)
        code = failed(a, c, d, rc, e);
    else if (a->mode == APPLY_LWW && (d->kind == DDL_CREATE_TABLE || d->kind == DDL_CREATE_VTABLE))
        code = add_name(&a->created, d->name, e);
    if (creates)
        accept_quotes(a, false);
    if (!code)
        explain(a, d);
    return code;
}

enum err_code apply_ddl(struct apply *a, const struct change *c, struct err *e)
{
    struct ddl_text d;
    enum err_code code;

    if (c->command_len > INT32_MAX - 1)
        return refuse(c, e, "it is too long");
    if (!ddl_text_read(&d, c->command, c->command_len))
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    code = check(c, &d, e);
    if (!code)
        code = run_checked(a, c, &d.ddl, e);
    ddl_text_free(&d);
    return code;
}
