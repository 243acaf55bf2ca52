#include "ext/table.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum column { COLUMN_SUBJECT, COLUMN_DURABLE, COLUMN_POLICY, COLUMNS };

#define ROWID 1 /* of the one row */

struct table {
    sqlite3_vtab base;
    struct host *host;
    struct host_table *kept;
};

struct cursor {
    sqlite3_vtab_cursor base;
    bool at_end;
};

static int fail(char **message, const struct err *e)
{
    sqlite3_free(*message);
    *message = sqlite3_mprintf("%s", e->msg);
    return e->code == ERR_NO_MEMORY ? SQLITE_NOMEM : SQLITE_ERROR;
}

/* ---- life ---- */

/* One log for the process, since all threads of the extension share it: the table that was made
 * last says where it goes. A descriptor that is not used any more stays open, for other threads may
 * be writing to it just now; what stays the same is not opened again. */
static enum err_code set_logger(const char *where, struct err *e)
{
    static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    static char now[4096];
    int fd = -1;

    pthread_mutex_lock(&mu);
    bool same = !*where || strcmp(where, now) == 0; /* who says nothing changes nothing */
    if (strcmp(where, "stdout") == 0)
        fd = STDOUT_FILENO;
    else if (strcmp(where, "stderr") == 0)
        fd = STDERR_FILENO;
    else if (!same && (fd = open(where + strlen("file:"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                                 0644)) < 0)
        err_set(e, ERR_CONFIG, "\"logger\": cannot open %.200s", where);
    if (!same && e->code == ERR_OK) {
        (void)snprintf(now, sizeof now, "%s", where);
        log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_LOGFMT);
        log_to(fd);
    }
    pthread_mutex_unlock(&mu);
    return e->code;
}

static enum err_code read_arguments(struct ext_params *p, int argc, const char *const *argv,
                                    struct err *e)
{
    enum err_code code = ext_params_init(p) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");

    for (int i = 3; i < argc && code == ERR_OK; i++)
        code = ext_params_take(p, argv[i], e);
    return code == ERR_OK ? ext_params_check(p, e) : code;
}

/* SQL alone must not be able to load anything: the host has to allow that, as for its own. */
static enum err_code may_load(sqlite3 *db, const struct ext_params *p, struct err *e)
{
    int on = 0;

    if (*p->extensions)
        (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, -1, &on);
    return on || !*p->extensions
               ? ERR_OK
               : err_set(e, ERR_DENIED,
                         "\"extensions\" is for connections that may load extensions just now");
}

static enum err_code create_kept(struct host *h, int argc, const char *const *argv,
                                 struct host_table **out, struct err *e)
{
    char path[4096];
    struct ext_params p = {0};
    enum err_code code = ERR_OK;

    if (sqlite3_stricmp(argv[1], "temp") != 0)
        code =
            err_set(e, ERR_UNSUPPORTED,
                    "a table of ha is this connection's own, and not a part of the replica: CREATE "
                    "VIRTUAL TABLE temp.%.100s USING ha(…)",
                    argv[2]);
    if (code == ERR_OK)
        code = host_file(h->db, path, sizeof path, e);
    if (code == ERR_OK)
        code = read_arguments(&p, argc, argv, e);
    if (code == ERR_OK)
        code = may_load(h->db, &p, e);
    if (code == ERR_OK)
        code = set_logger(p.logger, e);
    if (code != ERR_OK) {
        ext_params_free(&p);
        return code;
    }
    *out = host_add(h, argv[2], &p);
    return *out ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

static int open_table(struct host *h, struct host_table *kept, sqlite3_vtab **out)
{
    int rc = sqlite3_declare_vtab(h->db, "CREATE TABLE x(subject TEXT, durable TEXT, policy TEXT)");
    struct table *t = rc == SQLITE_OK ? sqlite3_malloc(sizeof *t) : NULL;

    if (!t)
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    (void)sqlite3_vtab_config(h->db, SQLITE_VTAB_DIRECTONLY); /* not for a file's triggers */
    *t = (struct table){.host = h, .kept = kept};
    *out = &t->base;
    return SQLITE_OK;
}

static int table_create(sqlite3 *db, void *aux, int argc, const char *const *argv,
                        sqlite3_vtab **out, char **message)
{
    struct host_table *kept = NULL;
    struct err e = ERR_INIT;

    (void)db;
    if (create_kept(aux, argc, argv, &kept, &e) != ERR_OK)
        return fail(message, &e);
    int rc = open_table(aux, kept, out);
    if (rc != SQLITE_OK)
        host_remove(aux, kept);
    return rc;
}

/* The schema was read again. */
static int table_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **message)
{
    struct host_table *kept = host_find(aux, argv[2]);

    return kept ? open_table(aux, kept, out) : table_create(db, aux, argc, argv, out, message);
}

static int table_disconnect(sqlite3_vtab *vtab)
{
    sqlite3_free(vtab);
    return SQLITE_OK;
}

static int table_destroy(sqlite3_vtab *vtab)
{
    struct table *t = (struct table *)vtab;

    host_remove(t->host, t->kept);
    return table_disconnect(vtab);
}

/* ---- reading ---- */

static int table_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
    (void)vtab;
    info->estimatedCost = 1;
    info->estimatedRows = 1;
    return SQLITE_OK;
}

static int table_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
    struct cursor *c = sqlite3_malloc(sizeof *c);

    (void)vtab;
    if (!c)
        return SQLITE_NOMEM;
    *c = (struct cursor){.at_end = true};
    *out = &c->base;
    return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *cursor)
{
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int table_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int argc,
                        sqlite3_value **argv)
{
    (void)number;
    (void)text;
    (void)argc;
    (void)argv;
    ((struct cursor *)cursor)->at_end = !((struct table *)cursor->pVtab)->kept->follower;
    return SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *cursor)
{
    ((struct cursor *)cursor)->at_end = true;
    return SQLITE_OK;
}

static int table_eof(sqlite3_vtab_cursor *cursor)
{
    return ((struct cursor *)cursor)->at_end;
}

static int table_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int i)
{
    const struct host_table *t = ((struct table *)cursor->pVtab)->kept;
    const char *texts[COLUMNS] = {t->subject, t->durable, t->policy};

    if (i >= 0 && i < COLUMNS && texts[i])
        sqlite3_result_text(context, texts[i], -1, SQLITE_TRANSIENT);
    return SQLITE_OK;
}

static int table_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
    (void)cursor;
    *out = ROWID;
    return SQLITE_OK;
}

/* ---- writing ---- */

static const char *text(sqlite3_value *v)
{
    return sqlite3_value_type(v) == SQLITE_NULL ? NULL : (const char *)sqlite3_value_text(v);
}

static enum err_code insert(struct table *t, sqlite3_value **values, struct err *e)
{
    const char *subject = text(values[COLUMN_SUBJECT]);

    if (!subject || !*subject)
        return err_set(e, ERR_CONFIG,
                       "subject is missing: it is STREAM.DATABASE, as "
                       "ha_replication.ha.db");
    return host_start(t->host, t->kept, subject, text(values[COLUMN_DURABLE]),
                      text(values[COLUMN_POLICY]), e);
}

/* argc = 1: DELETE. Else argv[0] is NULL for an INSERT, and the columns come behind argv[1]. */
static int table_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv, sqlite3_int64 *rowid)
{
    struct table *t = (struct table *)vtab;
    struct err e = ERR_INIT;

    if (argc == 1) {
        if (sqlite3_value_int64(argv[0]) == ROWID)
            host_stop(t->host, t->kept);
        return SQLITE_OK;
    }
    if (sqlite3_value_type(argv[0]) != SQLITE_NULL)
        err_set(&e, ERR_UNSUPPORTED,
                "UPDATE of \"%.60s\" is not supported: DELETE the row, and INSERT another",
                t->kept->name);
    else
        (void)insert(t, argv + 2, &e);
    *rowid = ROWID;
    return e.code == ERR_OK ? SQLITE_OK : fail(&vtab->zErrMsg, &e);
}

const sqlite3_module table_module = {
    .iVersion = 0,
    .xCreate = table_create,
    .xConnect = table_connect,
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xDestroy = table_destroy,
    .xOpen = table_open,
    .xClose = table_close,
    .xFilter = table_filter,
    .xNext = table_next,
    .xEof = table_eof,
    .xColumn = table_column,
    .xRowid = table_rowid,
    .xUpdate = table_update,
};
