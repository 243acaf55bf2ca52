/* The paths. openapi.yaml is tested against this table; 404, 405 and Allow come from it. */
#include <string.h>

#include "wire/http/exchange.h"

#define GET    HTTP_GET
#define POST   HTTP_POST
#define DELETE HTTP_DELETE
#define NONE   HTTP_BODY_NONE
#define SQL    HTTP_BODY_SQL
#define SMALL  HTTP_BODY_SMALL

/* Searched from the top: the frequent paths come first. */
const struct http_route http_routes[] = {
    {POST, "/query", http_query, "queryMainDatabase", SQL, false},
    {POST, "/", http_query, "queryRoot", SQL, false},
    {POST, "/databases/{id}", http_query, "queryDatabase", SQL, false},

    {GET, "/healthz", http_healthz, "healthz", NONE, true},
    {GET, "/livez", http_healthz, "livez", NONE, true},
    {GET, "/readyz", http_readyz, "readyz", NONE, true},
    {GET, "/status", http_status, "status", NONE, false},
    {GET, "/metrics", http_metrics, "metrics", NONE, false},
    {GET, "/version", http_version, "version", NONE, false},
    {GET, "/openapi.yaml", http_openapi, "openapi", NONE, false},

    {GET, "/databases", http_databases_list, "listDatabases", NONE, false},
    {POST, "/databases", http_database_create, "createDatabase", SMALL, false},
    {DELETE, "/databases/{id}", http_database_drop, "deleteDatabase", NONE, false},

    {GET, "/download", http_download, "downloadMainDatabase", NONE, false},
    {GET, "/databases/{id}", http_download, "downloadDatabase", NONE, false},

    {POST, "/snapshot", http_snapshot_take, "takeMainSnapshot", NONE, false},
    {GET, "/snapshot", http_snapshot_download, "downloadMainSnapshot", NONE, false},
    {POST, "/databases/{id}/snapshot", http_snapshot_take, "takeSnapshot", NONE, false},
    {GET, "/databases/{id}/snapshot", http_snapshot_download, "downloadSnapshot", NONE, false},

    {GET, "/verify", http_verify, "verifyMainDatabase", NONE, false},
    {GET, "/databases/{id}/verify", http_verify, "verifyDatabase", NONE, false},

    {GET, "/history", http_history, "listMainHistory", NONE, false},
    {GET, "/history/{name}", http_history, "historyMainDatabase", NONE, false},
    {POST, "/undo/{name}", http_undo, "undoMainDatabase", NONE, false},
    {POST, "/undoe/{name}", http_undoe, "undoeMainDatabase", NONE, false},
    {POST, "/undot/{name}", http_undot, "undotMainDatabase", NONE, false},
    {GET, "/databases/{id}/history", http_history, "listHistory", NONE, false},
    {GET, "/databases/{id}/history/{name}", http_history, "historyDatabase", NONE, false},
    {POST, "/databases/{id}/undo/{name}", http_undo, "undoDatabase", NONE, false},
    {POST, "/databases/{id}/undoe/{name}", http_undoe, "undoeDatabase", NONE, false},
    {POST, "/databases/{id}/undot/{name}", http_undot, "undotDatabase", NONE, false},

    {GET, "/replications", http_replications_list, "listMainReplications", NONE, false},
    {GET, "/replications/{name}", http_replications_list, "getReplication", NONE, false},
    {DELETE, "/replications/{name}", http_replication_remove, "deleteReplication", NONE, false},
    {GET, "/databases/{id}/replications", http_replications_list, "listDatabaseReplications", NONE,
     false},
    {GET, "/databases/{id}/replications/{name}", http_replications_list, "getDatabaseReplication",
     NONE, false},
    {DELETE, "/databases/{id}/replications/{name}", http_replication_remove,
     "deleteDatabaseReplication", NONE, false},

    {POST, "/transactions", http_tx_begin, "beginTransaction", SMALL, false},
    {POST, "/transactions/{name}/commit", http_tx_commit, "commitTransaction", NONE, false},
    {POST, "/transactions/{name}/rollback", http_tx_rollback, "rollbackTransaction", NONE, false},

    {0, NULL, NULL, NULL, NONE, false},
};

static bool matches(const char *pattern, const char *path, struct http_captures *c)
{
    *c = (struct http_captures){0};
    for (;;) {
        if (*pattern == '{') {
            size_t len = strcspn(path, "/");
            if (len == 0)
                return false;
            if (strncmp(pattern, "{id}", 4) == 0) {
                c->id = path;
                c->id_len = len;
            } else {
                c->name = path;
                c->name_len = len;
            }
            path += len;
            pattern += strcspn(pattern, "/");
            continue;
        }
        if (*pattern != *path)
            return false;
        if (*pattern == '\0')
            return true;
        pattern++;
        path++;
    }
}

const struct http_route *http_route_find(enum http_method m, const char *path,
                                         struct http_captures *c, unsigned *allowed)
{
    struct http_captures found;

    *allowed = 0;
    for (const struct http_route *r = http_routes; r->pattern; r++) {
        if (!matches(r->pattern, path, &found))
            continue;
        *c = found;
        *allowed |= (unsigned)r->method;
        if (r->method == m)
            return r;
    }
    return NULL;
}

enum http_method http_method_parse(const char *name)
{
    if (strcmp(name, "POST") == 0)
        return HTTP_POST;
    if (strcmp(name, "GET") == 0 || strcmp(name, "HEAD") == 0)
        return HTTP_GET;
    if (strcmp(name, "DELETE") == 0)
        return HTTP_DELETE;
    if (strcmp(name, "OPTIONS") == 0)
        return HTTP_OPTIONS;
    return HTTP_OTHER;
}

void http_allow_put(struct buf *b, unsigned allowed)
{
    if (allowed & HTTP_GET)
        buf_puts(b, "GET, HEAD, ");
    if (allowed & HTTP_POST)
        buf_puts(b, "POST, ");
    if (allowed & HTTP_DELETE)
        buf_puts(b, "DELETE, ");
    buf_puts(b, "OPTIONS");
}
