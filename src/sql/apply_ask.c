#include "sql/apply_ask.h"

#include "sql/apply_impl.h"
#include "sql/lex.h"
#include "sql/policy.h"

/* Of each node, or of the moment. DEFAULT CURRENT_TIME and its like come here, too. */
static const char *const impure[] = {
    "random",       "randomblob",        "date",     "time",          "datetime",
    "julianday",    "unixepoch",         "strftime", "timediff",      "current_date",
    "current_time", "current_timestamp", "changes",  "total_changes", "last_insert_rowid",
};

static const char *check_function(const char *name)
{
    for (size_t i = 0; i < sizeof impure / sizeof *impure; i++)
        if (sqlite3_stricmp(name, impure[i]) == 0)
            return "this function is not permitted here: it may answer something else on another "
                   "node, or at another time";
    return NULL;
}

static const char *check_table(const struct apply *a, const char *name)
{
    const struct table *t = schema_table(a->schema, name);

    if (policy_is_reserved(name))
        return "tables whose names begin with ha_ belong to the node";
    if (t && t->kind == TABLE_VIRTUAL)
        return "virtual tables are not permitted here: they may know an older state";
    if (t && t->kind == TABLE_STAT)
        return "statistics are each node's own";
    return NULL;
}

static const char *check(void *apply, int report, const char *a, const char *b)
{
    switch (report) {
    case SQLITE_FUNCTION:
        return check_function(b);
    case SQLITE_READ:
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return check_table(apply, a);
    case SQLITE_PRAGMA:
        return "PRAGMA is not permitted here";
    default:
        return NULL;
    }
}

void ask_open(struct apply *a)
{
    policy_check(conn_policy(a->conn), check, a);
}

static enum err_code prepare(struct apply *a, const char *sql, size_t len, struct stmt **out,
                             struct err *e)
{
    struct policy *p = conn_policy(a->conn);
    const char *tail = NULL;
    struct lex_token t;
    struct policy_state before = policy_enter(p, false, true);
    enum err_code code = stmt_prepare(a->conn, sql, len, &tail, out, e);

    policy_leave(p, before);
    if (code)
        return code;
    if (!*out)
        return err_set(e, ERR_SYNTAX, "there is no statement");
    while (lex_next(&tail, sql + len, &t))
        if (t.type != LEX_TOKEN_SEMI)
            return err_set(e, ERR_SYNTAX, "one statement at a time");
    if (stmt_class(*out) != STMT_READ && stmt_class(*out) != STMT_WRITE)
        return err_set(e, ERR_DENIED, "only SELECT, INSERT, UPDATE and DELETE are permitted here");
    return ERR_OK;
}

enum err_code ask_prepare(struct apply *a, const char *sql, size_t len, struct stmt **out,
                          struct err *e)
{
    enum err_code code = apply_refresh(a, e);

    *out = NULL;
    if (!code)
        code = prepare(a, sql, len, out, e);
    if (code) {
        stmt_release(*out);
        *out = NULL;
    }
    return code;
}

int64_t ask_changes(struct apply *a)
{
    return sqlite3_changes64(a->db);
}

bool ask_lost(struct apply *a)
{
    return a->open && sqlite3_get_autocommit(a->db);
}
