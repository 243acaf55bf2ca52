#include "ext/host.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct host *hosts; /* guarded by mu */

struct host *host_of(sqlite3 *db, bool *known)
{
    pthread_mutex_lock(&mu);
    struct host *h = hosts;
    while (h && h->db != db)
        h = h->next;
    *known = h != NULL;
    if (!h && (h = calloc(1, sizeof *h))) {
        h->db = db;
        h->next = hosts;
        hosts = h;
    }
    pthread_mutex_unlock(&mu);
    return h;
}

static void table_free(struct host_table *t)
{
    follower_leave(t->follower);
    ext_params_free(&t->params);
    free(t->name);
    free(t->subject);
    free(t->durable);
    free(t->policy);
    free(t);
}

void host_close(void *host)
{
    struct host *h = host;
    if (h->guarded) /* modules can be dropped from a connection that stays open */
        (void)sqlite3_set_authorizer(h->db, NULL, NULL);
    pthread_mutex_lock(&mu);
    struct host **at = &hosts;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    pthread_mutex_unlock(&mu);
    while (h->tables) {
        struct host_table *t = h->tables;
        h->tables = t->next;
        table_free(t);
    }
    free(h);
}

struct host_table *host_find(struct host *h, const char *name)
{
    struct host_table *t = h->tables;
    while (t && sqlite3_stricmp(t->name, name) != 0)
        t = t->next;
    return t;
}

struct host_table *host_add(struct host *h, const char *name, struct ext_params *params)
{
    struct host_table *old = host_find(h, name); /* its CREATE was rolled back */
    if (old)
        host_remove(h, old);
    struct host_table *t = calloc(1, sizeof *t);
    if (t)
        t->name = strdup(name);
    if (!t || !t->name) {
        free(t);
        ext_params_free(params);
        return NULL;
    }
    t->params = *params;
    t->next = h->tables;
    h->tables = t;
    return t;
}

void host_remove(struct host *h, struct host_table *t)
{
    struct host_table **at = &h->tables;
    host_stop(h, t);
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    table_free(t);
}

struct host_table *host_following(struct host *h)
{
    struct host_table *t = h->tables;
    while (t && !t->follower)
        t = t->next;
    return t;
}

/* ---- the file ---- */

static int first_text(void *arg, int n, char **values, char **names)
{
    (void)names;
    if (n > 0 && values[0])
        (void)snprintf(arg, 16, "%s", values[0]);
    return 0;
}

enum err_code host_file(sqlite3 *db, char *out, size_t size, struct err *e)
{
    const char *name = sqlite3_db_filename(db, "main");
    char mode[16] = "", full[PATH_MAX];
    sqlite3_vfs *vfs = NULL;

    (void)sqlite3_exec(db, "PRAGMA main.journal_mode", first_text, mode, NULL);
    if (!name || !*name || strcmp(mode, "memory") == 0)
        return err_set(
            e, ERR_UNSUPPORTED,
            "the database is in memory, where only this connection sees it: a replica "
            "lives in a file, as that of sqlite3 replica.db (on a tmpfs it is in memory, "
            "too)");
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) != SQLITE_OK || !vfs ||
        vfs != sqlite3_vfs_find(NULL))
        return err_set(e, ERR_UNSUPPORTED,
                       "the database was opened with the VFS \"%.60s\": a replica needs SQLite's "
                       "default one",
                       vfs ? vfs->zName : "?");
    if (sqlite3_uri_boolean(name, "immutable", 0) || sqlite3_uri_boolean(name, "nolock", 0))
        return err_set(
            e, ERR_UNSUPPORTED,
            "the database was opened as immutable or without locks: it would not see what "
            "the replica is told");
    if (!realpath(name, full) || strlen(full) >= size)
        return err_set(e, ERR_UNSUPPORTED, "there is no file %.200s", name);
    (void)snprintf(out, size, "%s", full);
    return ERR_OK;
}

bool host_position(sqlite3 *db, uint64_t *seq, char *stream, size_t size)
{
    sqlite3_stmt *s = NULL;
    bool found = false;

    if (sqlite3_prepare_v2(db, "SELECT seq, stream FROM main.ha_position WHERE id = 1", -1, &s,
                           NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(s, 1);
        *seq = (uint64_t)sqlite3_column_int64(s, 0);
        (void)snprintf(stream, size, "%s", text ? (const char *)text : "");
        found = stream[0] != '\0';
    }
    sqlite3_finalize(s);
    return found;
}

/* ---- the row ---- */

static bool keep(char **to, const char *text)
{
    free(*to);
    *to = strdup(text ? text : "");
    return *to != NULL;
}

enum err_code host_start(struct host *h, struct host_table *t, const char *subject,
                         const char *durable, const char *policy, struct err *e)
{
    char path[PATH_MAX];
    struct ext_subject s;
    struct follower_start how = {
        .path = path, .params = &t->params, .subject = &s, .durable = durable ? durable : ""};
    struct host_table *other = host_following(h);

    if (other)
        return err_set(e, ERR_BUSY,
                       "the database follows \"%.200s\" already: it can be the replica of one "
                       "database; DELETE FROM temp.%.60s ends that",
                       other->subject, other->name);
    enum err_code code = ext_subject_parse(subject, &s, e);
    if (code == ERR_OK)
        code = start_parse(policy ? policy : "", &how.start, &how.start_seq, &how.start_time_ns, e);
    if (code == ERR_OK)
        code = host_file(h->db, path, sizeof path, e);
    if (code == ERR_OK && sqlite3_txn_state(h->db, "main") == SQLITE_TXN_WRITE)
        code =
            err_set(e, ERR_BUSY,
                    "this connection has a transaction open that writes to the file, and nothing "
                    "else can: COMMIT it before");
    if (code == ERR_OK &&
        !(keep(&t->subject, subject) && keep(&t->durable, durable) && keep(&t->policy, policy)))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code == ERR_OK)
        code = follower_join(&t->follower, &how, e);
    if (code == ERR_OK && t->params.timeout_ms > 0)
        code = follower_settle(t->follower, clock_deadline(t->params.timeout_ms * CLOCK_MS), e);
    if (code != ERR_OK) {
        follower_leave(t->follower);
        t->follower = NULL;
    } else if (!t->params.allow_writes) {
        guard_set(h, true);
    }
    return code;
}

void host_stop(struct host *h, struct host_table *t)
{
    if (!t->follower)
        return;
    follower_leave(t->follower);
    t->follower = NULL;
    if (!t->params.allow_writes)
        guard_set(h, false);
}
