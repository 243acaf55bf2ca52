/* The authorizer: every report is either refused, or noted for the statement's class. */
#include "sql/policy.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/lex.h"

#define POLICY_DENIAL_SIZE 256

struct policy {
    struct conn_config cfg; /* immutable; for the values in force */
    int trust;              /* > 0: our own SQL */
    bool rows;              /* no schema changes now */
    struct policy_seen *seen;
    policy_check_fn *check; /* NULL: none */
    void *check_arg;
    char denial[POLICY_DENIAL_SIZE];
};

struct policy *policy_new(const struct conn_config *cfg, enum conn_role role)
{
    struct policy *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->cfg = *cfg;
    /* They only ever run what the log says, and our own. */
    p->trust = role == CONN_APPLIER || role == CONN_SCRATCH ? 1 : 0;
    return p;
}

void policy_free(struct policy *p)
{
    free(p);
}

void policy_watch(struct policy *p, struct policy_seen *seen)
{
    if (seen) {
        *seen = (struct policy_seen){.pragma = POLICY_PRAGMA_READ};
        p->denial[0] = '\0';
    }
    p->seen = seen;
}

void policy_trust(struct policy *p, bool trusted)
{
    p->trust += trusted ? 1 : -1;
}

bool policy_trusted(const struct policy *p)
{
    return p->trust > 0;
}

struct policy_state policy_enter(struct policy *p, bool trusted, bool rows)
{
    struct policy_state before = {p->trust, p->rows};

    p->trust = trusted ? 1 : 0;
    p->rows = rows;
    p->denial[0] = '\0';
    return before;
}

void policy_leave(struct policy *p, struct policy_state before)
{
    p->trust = before.trust;
    p->rows = before.rows;
}

void policy_check(struct policy *p, policy_check_fn *check, void *arg)
{
    p->check = check;
    p->check_arg = arg;
}

const char *policy_denial(const struct policy *p)
{
    return p->denial;
}

bool policy_is_reserved(const char *name)
{
    return name && sqlite3_strnicmp(name, "ha_", 3) == 0;
}

static int deny(struct policy *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The first refusal is the one that is told. */
static int deny(struct policy *p, const char *fmt, ...)
{
    va_list ap;

    if (p->denial[0] == '\0') {
        va_start(ap, fmt);
        vsnprintf(p->denial, sizeof p->denial, fmt, ap);
        va_end(ap);
    }
    return SQLITE_DENY;
}

static int deny_reserved(struct policy *p, const char *name)
{
    return deny(p, "%.100s is not permitted: tables whose names begin with ha_ belong to the node",
                name);
}

static void note(struct policy *p, const char *db)
{
    if (!p->seen)
        return;
    if (db && sqlite3_stricmp(db, "temp") == 0)
        p->seen->temp = true;
    else
        p->seen->main = true;
}

/* The schema's own tables do not count: a TEMP trigger on a table of `main` is reported as if it
 * went to main's, and every schema statement has a report of its own besides. */
static bool is_schema_table(const char *name)
{
    return name && (sqlite3_stricmp(name, "sqlite_master") == 0 ||
                    sqlite3_stricmp(name, "sqlite_temp_master") == 0);
}

/* A report about an object that is written, created, altered or dropped. */
static int on_object(struct policy *p, const char *db, const char *name, const char *table)
{
    note(p, db);
    if (p->trust > 0)
        return SQLITE_OK;
    if (policy_is_reserved(name))
        return deny_reserved(p, name);
    if (policy_is_reserved(table))
        return deny_reserved(p, table);
    return SQLITE_OK;
}

static int on_schema(struct policy *p, const char *db, const char *name, const char *table)
{
    if (p->rows && p->trust == 0 && !(db && sqlite3_stricmp(db, "temp") == 0))
        return deny(p,
                    "changing %.100s in the schema is not permitted here: it is no schema "
                    "statement, and the other nodes would not make the change",
                    name);
    return on_object(p, db, name, table);
}

static int on_rows(struct policy *p, const char *db, const char *table)
{
    return is_schema_table(table) ? SQLITE_OK : on_object(p, db, table, NULL);
}

static int on_vtable(struct policy *p, const char *db, const char *name)
{
    if (p->trust == 0 && sqlite3_stricmp(name, "ha") == 0)
        return deny(p, "a virtual table named ha is not permitted: the tables behind it would have "
                       "names that begin with ha_");
    return on_schema(p, db, name, NULL);
}

static int on_pragma(struct policy *p, const char *name, const char *arg, const char *db)
{
    const char *why;
    enum policy_pragma what = policy_pragma(&p->cfg, name, arg, &why);

    if (p->trust > 0) {
        if (p->seen && what == POLICY_PRAGMA_DDL)
            p->seen->pragma = what;
        return SQLITE_OK;
    }
    /* The temporary database ends with the transaction: a number kept in it would be lost. */
    if (what == POLICY_PRAGMA_DDL && db && sqlite3_stricmp(db, "temp") == 0) {
        what = POLICY_PRAGMA_REFUSED;
        why = "the temporary database ends with the transaction";
    }
    if (what == POLICY_PRAGMA_REFUSED)
        return deny(p, "PRAGMA %.60s%s%.60s is not permitted: %s", name, arg ? " = " : "",
                    arg ? arg : "", why);
    if (p->seen && what > p->seen->pragma)
        p->seen->pragma = what;
    return what == POLICY_PRAGMA_NOOP ? SQLITE_IGNORE : SQLITE_OK;
}

/* Only while a user's statement is compiled: FTS3 and others use savepoints of their own. */
static int on_transaction(struct policy *p, const char *word)
{
    if (p->trust > 0 || !p->seen)
        return SQLITE_OK;
    return deny(
        p, "%.20s is not permitted here: transaction control must be a statement of its own", word);
}

static int on_function(struct policy *p, const char *name)
{
    if (p->trust == 0 && sqlite3_stricmp(name, "load_extension") == 0)
        return deny(p, "load_extension() is not permitted: name extensions when the node starts");
    return SQLITE_OK;
}

static int on_attach(struct policy *p, const char *word)
{
    if (p->trust > 0)
        return SQLITE_OK;
    return deny(p, "%s is not permitted: every database is served by its own name", word);
}

static int authorize(void *arg, int code, const char *a, const char *b, const char *db,
                     const char *trigger)
{
    struct policy *p = arg;

    (void)trigger;
    if (p->check && p->trust == 0) {
        const char *why = p->check(p->check_arg, code, a, b);

        if (why)
            return deny(p, "%s", why);
    }
    switch (code) {
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return on_rows(p, db, a);
    case SQLITE_CREATE_TABLE:
    case SQLITE_DROP_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_VTABLE:
        return on_schema(p, db, a, NULL);
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_DROP_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_DROP_TEMP_VIEW:
        return on_object(p, "temp", a, NULL);
    case SQLITE_CREATE_INDEX:
    case SQLITE_DROP_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_TRIGGER:
        return on_schema(p, db, a, b);
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_DROP_TEMP_TRIGGER:
        return on_object(p, "temp", a, b);
    case SQLITE_ALTER_TABLE:
        return on_schema(p, a, b, NULL);
    case SQLITE_CREATE_VTABLE:
        return on_vtable(p, db, a);
    case SQLITE_ANALYZE:
    case SQLITE_REINDEX:
        note(p, db);
        return SQLITE_OK;
    case SQLITE_PRAGMA:
        return on_pragma(p, a, b, db);
    case SQLITE_TRANSACTION:
        return on_transaction(p, a);
    case SQLITE_SAVEPOINT:
        return on_transaction(p, "SAVEPOINT");
    case SQLITE_ATTACH:
        return on_attach(p, "ATTACH");
    case SQLITE_DETACH:
        return on_attach(p, "DETACH");
    case SQLITE_FUNCTION:
        return on_function(p, b);
    default: /* SQLITE_READ, SQLITE_SELECT, SQLITE_RECURSIVE */
        return SQLITE_OK;
    }
}

void policy_install(struct policy *p, sqlite3 *db)
{
    sqlite3_set_authorizer(db, authorize, p);
}

/* ---- by text ---- */

static bool is_virtual_table(struct policy *p, sqlite3 *db, const char *name)
{
    sqlite3_stmt *s = NULL;
    bool found = false;

    policy_trust(p, true);
    if (sqlite3_prepare_v2(db,
                           "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0"
                           " AND name = ?1 COLLATE NOCASE",
                           -1, &s, NULL) == SQLITE_OK &&
        sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC) == SQLITE_OK)
        found = sqlite3_step(s) == SQLITE_ROW;
    sqlite3_finalize(s);
    policy_trust(p, false);
    return found;
}

enum err_code policy_check_ddl(struct policy *p, sqlite3 *db, const struct stmt_ddl *d,
                               struct err *e)
{
    if (p->trust > 0 || d->kind != DDL_ALTER)
        return ERR_OK;
    if (policy_is_reserved(d->rename)) {
        deny_reserved(p, d->rename);
        return err_set(e, ERR_DENIED, "%s", p->denial);
    }
    if (sqlite3_stricmp(d->rename, "ha") == 0 && is_virtual_table(p, db, d->name))
        return err_set(e, ERR_DENIED,
                       "a virtual table named ha is not permitted: the tables behind it would have "
                       "names that begin with ha_");
    return ERR_OK;
}

enum err_code policy_check_vacuum(struct policy *p, const char *sql, size_t len, struct err *e)
{
    const char *at = sql;
    struct lex_token t;

    if (p->trust > 0)
        return ERR_OK;
    while (lex_next(&at, sql + len, &t))
        if (lex_is(&t, "INTO"))
            return err_set(e, ERR_DENIED,
                           "VACUUM INTO is not permitted: it would write a file on the node");
    return ERR_OK;
}
