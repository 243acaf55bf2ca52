/*
 * A replica holds what its log says: a statement of a user that would change it is refused when it
 * is compiled. SQLite's authorizer does that, of which a connection has one; where the host needs
 * its own, it says writes='allow', or sets its own behind ours.
 *
 * SQLite has no words of ours in such an error: it says "not authorized". What it was about goes to
 * SQLite's error log.
 */
#include <string.h>

#include "ext/host.h"

static int refuse(const char *what)
{
    sqlite3_log(SQLITE_AUTH, "ha-sync: %s is refused: the database is a read-only replica", what);
    return SQLITE_DENY;
}

static bool is_main(const char *schema)
{
    return schema && sqlite3_stricmp(schema, "main") == 0;
}

/* Those that write, where they are given a value or always. */
static bool pragma_writes(const char *name, const char *value)
{
    static const char *const settings[] = {"user_version",    "application_id", "schema_version",
                                           "writable_schema", "auto_vacuum",    "encoding"};

    if (sqlite3_stricmp(name, "incremental_vacuum") == 0)
        return true;
    for (size_t i = 0; value && i < sizeof settings / sizeof settings[0]; i++)
        if (sqlite3_stricmp(name, settings[i]) == 0)
            return true;
    return false;
}

/* SQLite asks about it whenever it opens a virtual table; users' ways to it are asked about apart.
 */
static bool is_schema_table(const char *name)
{
    return sqlite3_stricmp(name, "sqlite_master") == 0 ||
           sqlite3_stricmp(name, "sqlite_schema") == 0;
}

/* An R-tree that is opened, if only to be read, has its statements compiled that write to the
 * tables behind it. */
static bool is_behind_rtree(sqlite3 *db, const char *name)
{
    static const char *const suffixes[] = {"_node", "_parent", "_rowid"};
    char table[256];
    size_t n = strlen(name);

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t m = strlen(suffixes[i]);
        if (n <= m || n - m >= sizeof table || sqlite3_stricmp(name + n - m, suffixes[i]) != 0)
            continue;
        memcpy(table, name, n - m);
        table[n - m] = '\0';
        return sqlite3_table_column_metadata(db, "main", table, NULL, NULL, NULL, NULL, NULL,
                                             NULL) == SQLITE_OK;
    }
    return false;
}

static int authorize(void *host, int action, const char *a, const char *b, const char *schema,
                     const char *inside)
{
    const struct host *h = host;

    (void)inside;
    if (!h->guarded)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        if (!is_main(schema) || is_schema_table(a) || is_behind_rtree(h->db, a))
            return SQLITE_OK;
        return refuse(a);
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_VTABLE:
    case SQLITE_ANALYZE:
    case SQLITE_REINDEX:
        return is_main(schema) ? refuse(a ? a : "a change of the schema") : SQLITE_OK;
    case SQLITE_ALTER_TABLE: /* the one whose schema stands elsewhere */
        return is_main(a) ? refuse(b ? b : "a change of a table") : SQLITE_OK;
    case SQLITE_PRAGMA:
        return (!schema || is_main(schema)) && pragma_writes(a, b) ? refuse(a) : SQLITE_OK;
    case SQLITE_ATTACH: /* VACUUM does, in a way of its own; and it gives rows other rowids */
        return a && !*a ? refuse("VACUUM") : SQLITE_OK;
    default:
        return SQLITE_OK;
    }
}

/* Ours is not taken away again: it may be the host's by then. Statements are compiled anew after it
 * was set, those too that were compiled before. */
void guard_set(struct host *h, bool on)
{
    h->guarded = on;
    if (on)
        (void)sqlite3_set_authorizer(h->db, authorize, h);
}
