/*
 * The node's life and its list of databases. What it tells about itself is in report.c, what the
 * nodes tell each other in catalog.c and roster.c.
 */
#include "core/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/stack.h"
#include "core/impl.h"
#include "core/session.h"
#include "nats/rpc.h"
#include "sql/backup.h"

#define NODE_TICK_NS CLOCK_S

enum err_code node_new(struct node **out, const struct node_options *opt, struct err *e)
{
    *out = NULL;
    struct node *n = calloc(1, sizeof *n);
    if (!n)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    n->opt = *opt;
    n->memory_lock = -1;
    n->started_wall_ns = clock_wall_ns();
    pthread_mutex_init(&n->mu, NULL);
    pthread_mutex_init(&n->opening, NULL);
    clock_cond_init(&n->changed);
    enum err_code code = ERR_OK;
    if (opt->memory)
        code = file_temp_dir(n->memory_dir, &n->memory_lock, &n->memory_real, e);
    if (code != ERR_OK) {
        node_free(n);
        return code;
    }
    if (opt->memory && !n->memory_real)
        LOG_WARN("no file system in memory: -m uses a temporary directory",
                 LOG_STR("directory", n->memory_dir));
    *out = n;
    return ERR_OK;
}

/* n->mu is held. */
static struct database *find_locked(const struct node *n, const char *id)
{
    if (!id)
        return n->n_dbs > 0 ? n->dbs[0] : NULL;
    for (size_t i = 0; i < n->n_dbs; i++)
        if (strcmp(database_id(n->dbs[i]), id) == 0)
            return n->dbs[i];
    return NULL;
}

enum err_code node_find(struct node *n, const char *id, struct database **out, struct err *e)
{
    pthread_mutex_lock(&n->mu);
    struct database *d = find_locked(n, id);
    *out = d ? database_ref(d) : NULL;
    pthread_mutex_unlock(&n->mu);
    if (*out)
        return ERR_OK;
    return id ? err_set(e, ERR_NO_DATABASE, "there is no database \"%s\" on this node", id)
              : err_set(e, ERR_NO_DATABASE, "this node has no database");
}

/* n->mu is held. */
static enum err_code append_locked(struct node *n, struct database *d, struct err *e)
{
    if (find_locked(n, database_id(d)))
        return err_set(e, ERR_DATABASE_EXISTS, "there is a database \"%s\" already",
                       database_id(d));
    if (n->n_dbs == NODE_MAX_DATABASES)
        return err_set(e, ERR_TOO_BIG, "a node holds at most %d databases", NODE_MAX_DATABASES);
    struct database **grown = realloc(n->dbs, (n->n_dbs + 1) * sizeof(struct database *));
    if (!grown)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    n->dbs = grown;
    n->dbs[n->n_dbs++] = d;
    return ERR_OK;
}

/* n->opening is held, or the node is not started yet. `losses` is for link_catch_up_locked(). */
static enum err_code open_over_link(struct node *n, struct database *d, struct link **l,
                                    uint64_t *losses, struct err *e)
{
    enum err_code code = link_choose(n, l, e);
    if (code != ERR_OK)
        return code;
    pthread_mutex_lock(&n->mu);
    *losses = (*l)->losses;
    pthread_mutex_unlock(&n->mu);
    return database_open(d, n, *l, e);
}

/* n->opening is held: two threads that create the same database must not open its file at once. */
static enum err_code open_and_list(struct node *n, struct database *d, struct err *e)
{
    enum err_code code = ERR_OK;
    pthread_mutex_lock(&n->mu);
    if (n->stopping)
        code = err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    else if (find_locked(n, database_id(d)))
        code =
            err_set(e, ERR_DATABASE_EXISTS, "there is a database \"%s\" already", database_id(d));
    bool open = n->started;
    pthread_mutex_unlock(&n->mu);
    struct link *l = NULL;
    uint64_t losses = 0;
    if (code == ERR_OK && open)
        code = open_over_link(n, d, &l, &losses, e);
    pthread_mutex_lock(&n->mu);
    if (code == ERR_OK)
        code = append_locked(n, d, e);
    if (code == ERR_OK && open) /* nobody has told it, because it was not listed yet */
        link_catch_up_locked(l, d, losses);
    pthread_mutex_unlock(&n->mu);
    return code;
}

struct database *node_find_log(struct node *n, const char *subject)
{
    struct database *d = NULL;
    pthread_mutex_lock(&n->mu);
    for (size_t i = 0; i < n->n_dbs && !d; i++)
        if (database_replica(n->dbs[i]) &&
            strcmp(replica_subject(database_replica(n->dbs[i])), subject) == 0)
            d = database_ref(n->dbs[i]);
    pthread_mutex_unlock(&n->mu);
    return d;
}

enum err_code node_adopt(struct node *n, struct database *d, struct err *e)
{
    pthread_mutex_lock(&n->opening);
    enum err_code code = open_and_list(n, d, e);
    pthread_mutex_unlock(&n->opening);
    if (code != ERR_OK)
        database_unref(d);
    return code;
}

void node_discard(struct node *n, struct database *d)
{
    pthread_mutex_lock(&n->mu);
    bool listed = false;
    for (size_t i = 0; i < n->n_dbs && !listed; i++) {
        listed = n->dbs[i] == d;
        if (listed) {
            memmove(&n->dbs[i], &n->dbs[i + 1], (n->n_dbs - i - 1) * sizeof(struct database *));
            n->n_dbs--;
        }
    }
    pthread_mutex_unlock(&n->mu);
    if (!listed)
        return;
    database_remove_files(d);
    database_stop(d, clock_mono_ns());
    database_unref(d);
}

enum err_code node_add_file(struct node *n, const char *dsn, struct err *e)
{
    struct database *d = NULL;
    enum err_code code = database_new(&d, &n->opt, dsn, n->opt.memory ? n->memory_dir : NULL, e);
    return code == ERR_OK ? node_adopt(n, d, e) : code;
}

/* n->mu is held. Is there not one database that follows its log? */
static bool log_is_quiet_locked(struct node *n)
{
    if (n->n_dbs == 0)
        return false;
    for (size_t i = 0; i < n->n_dbs; i++) {
        struct replica_status rs;
        if (!database_replica(n->dbs[i]))
            return false;
        replica_status(database_replica(n->dbs[i]), &rs);
        if (rs.state != REPLICA_OFFLINE || rs.disputed)
            return false;
    }
    return true;
}

static void *tick(void *arg)
{
    struct node *n = arg;
    int64_t heard_ns = clock_mono_ns();
    bool was_connected = false;
    pthread_mutex_lock(&n->mu);
    while (!n->stopping) {
        clock_cond_wait(&n->changed, &n->mu, clock_deadline(NODE_TICK_NS));
        int64_t now = clock_mono_ns();
        for (size_t i = 0; i < n->n_dbs && !n->stopping; i++)
            if (database_replica(n->dbs[i])) {
                replica_tick(database_replica(n->dbs[i]), now);
                database_tend(n->dbs[i], now);
            }
        session_tick_locked(n, now);
        bool quiet = log_is_quiet_locked(n);
        pthread_mutex_unlock(&n->mu);
        bool connected = node_connected(n);
        if (!quiet || (connected && !was_connected)) /* a server that was started anew has time */
            heard_ns = now;
        else if (n->opt.log_quiet)
            n->opt.log_quiet(n->opt.log_quiet_arg, now - heard_ns, connected);
        was_connected = connected;
        if (node_connected(n)) {
            peers_serve(n);
            roster_publish(n);
            agreement_tell(n);
            check_look(n);
        }
        pthread_mutex_lock(&n->mu);
    }
    pthread_mutex_unlock(&n->mu);
    return NULL;
}

static enum err_code start_thread(pthread_t *thread, void *(*run)(void *), struct node *n,
                                  struct err *e)
{
    int rc = stack_start(thread, run, n);
    return rc == 0 ? ERR_OK : err_set(e, ERR_NO_MEMORY, "cannot start a thread: %s", strerror(rc));
}

enum err_code node_start(struct node *n, struct err *e)
{
    enum err_code code = ERR_OK;
    if (n->opt.nats_url && *n->opt.nats_url)
        code = link_open(&n->links[0], n, e);
    n->client = n->links[0].client;
    for (size_t i = 0; i < n->n_dbs && code == ERR_OK; i++) {
        struct link *l = NULL;
        uint64_t losses = 0;
        code = open_over_link(n, n->dbs[i], &l, &losses, e);
        pthread_mutex_lock(&n->mu);
        if (code == ERR_OK) /* what has come or gone while it was being opened */
            link_catch_up_locked(l, n->dbs[i], losses);
        pthread_mutex_unlock(&n->mu);
    }
    pthread_mutex_lock(&n->mu);
    n->started = true;
    pthread_mutex_unlock(&n->mu);
    if (code == ERR_OK && n->client)
        peers_serve(n); /* otherwise the ticker does, as soon as the connection is there */
    if (code == ERR_OK) {
        code = start_thread(&n->ticker, tick, n, e);
        n->has_ticker = code == ERR_OK;
    }
    if (code == ERR_OK && n->client) {
        code = start_thread(&n->catalog, catalog_main, n, e);
        n->has_catalog = code == ERR_OK;
    }
    if (code == ERR_OK)
        code = leader_start(n, e);
    if (code == ERR_OK && n->client) {
        code = start_thread(&n->watch, watch_main, n, e);
        n->has_watch = code == ERR_OK;
    }
    if (code == ERR_OK && n->client && n->opt.snapshot_interval_ns > 0) {
        code = start_thread(&n->snapshots, snapshots_main, n, e);
        n->has_snapshots = code == ERR_OK;
    }
    return code;
}

enum err_code node_enter(struct node *n, struct err *e)
{
    pthread_mutex_lock(&n->mu);
    bool open = n->started && !n->stopping;
    if (open)
        n->running++;
    pthread_mutex_unlock(&n->mu);
    return open ? ERR_OK : err_set(e, ERR_SHUTDOWN, "the node is shutting down");
}

void node_leave(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    if (--n->running == 0 && n->stopping)
        pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
}

void node_stop(struct node *n, int64_t deadline_ns)
{
    pthread_mutex_lock(&n->mu);
    n->stopping = true;
    atomic_store(&n->leave, true);
    pthread_cond_broadcast(&n->changed);
    if (n->catalog_feed && node_connected(n))
        stream_feed_wake(n->catalog_feed);
    while (n->running > 0 && clock_cond_wait(&n->changed, &n->mu, deadline_ns))
        ;
    if (n->running > 0)
        LOG_WARN("requests still running are interrupted", LOG_UINT("requests", n->running));
    atomic_store(&n->interrupt, true);
    for (struct session *s = n->sessions; s; s = session_list_next(s))
        session_cancel(s);
    pthread_mutex_unlock(&n->mu);

    if (n->leader_lease)
        lease_stop(n->leader_lease);
    if (n->has_ticker)
        pthread_join(n->ticker, NULL);
    check_end(n);
    if (n->has_catalog)
        pthread_join(n->catalog, NULL);
    if (n->has_snapshots)
        pthread_join(n->snapshots, NULL);
    if (n->has_watch)
        pthread_join(n->watch, NULL);
    n->has_ticker = n->has_catalog = n->has_snapshots = n->has_watch = false;
    rpc_service_close(n->peers);
    n->peers = NULL;
    if (node_connected(n))
        roster_publish(n);
    for (size_t i = 0; i < n->n_dbs; i++)
        database_stop(n->dbs[i], deadline_ns);
    for (size_t i = 0; i < NODE_LINKS; i++)
        link_leave(&n->links[i]);
}

void node_free(struct node *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n_dbs; i++)
        database_unref(n->dbs[i]);
    lease_close(n->leader_lease);
    for (size_t i = 0; i < NODE_LINKS; i++)
        link_close(&n->links[i]);
    if (n->memory_dir[0])
        file_temp_remove(n->memory_dir, n->memory_lock);
    free(n->dbs);
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->mu);
    pthread_mutex_destroy(&n->opening);
    free(n);
}

const struct node_options *node_options(const struct node *n)
{
    return &n->opt;
}

/* ---- databases, as the protocols see them ---- */

bool node_database_at(struct node *n, size_t index, char *id, size_t size)
{
    pthread_mutex_lock(&n->mu);
    bool there = index < n->n_dbs;
    if (size > 0)
        snprintf(id, size, "%s", there ? database_id(n->dbs[index]) : "");
    pthread_mutex_unlock(&n->mu);
    return there;
}

static bool listed(struct node *n, const char *id)
{
    pthread_mutex_lock(&n->mu);
    bool there = find_locked(n, id) != NULL;
    pthread_mutex_unlock(&n->mu);
    return there;
}

/* The cluster is told first: if that fails nothing has happened, and if this node fails after it
 * the catalog brings it there. Not before what lies here in its place has been looked at. */
static enum err_code create_database(struct node *n, const char *dsn, struct err *e)
{
    struct database *d = NULL;
    enum err_code code = catalog_database(n, dsn, &d, e);
    if (code != ERR_OK)
        return code;
    const char *id = database_id(d);
    if (listed(n, id))
        code = err_set(e, ERR_DATABASE_EXISTS, "there is a database \"%s\" already", id);
    int64_t unused = 0;
    bool there = false;
    if (code == ERR_OK)
        code = database_peek(d, &there, &unused, e);
    if (code == ERR_OK && n->client)
        code = catalog_announce_create(n, dsn, id, e);
    if (code == ERR_OK && !there)
        database_set_created(d);
    if (code != ERR_OK) {
        database_unref(d);
        return code;
    }
    code = node_adopt(n, d, e);
    if (code == ERR_DATABASE_EXISTS) /* the catalog's thread was faster */
        code = ERR_OK;
    return code;
}

enum err_code node_create_database(struct node *n, const char *dsn, struct err *e)
{
    if (!n->opt.memory && !*n->opt.create_db_dir)
        return err_set(e, ERR_DENIED,
                       "creating databases is switched off: start the node with --create-db-dir");
    enum err_code code = node_enter(n, e);
    if (code != ERR_OK)
        return code;
    code = create_database(n, dsn, e);
    node_leave(n);
    return code;
}

enum err_code node_drop_database(struct node *n, const char *id, struct err *e)
{
    struct database *d = NULL;
    enum err_code code = node_enter(n, e);
    if (code != ERR_OK)
        return code;
    code = node_find(n, id, &d, e);
    if (code == ERR_OK && n->client)
        code = catalog_announce_drop(n, d, e);
    if (code == ERR_OK) {
        LOG_INFO("database dropped", LOG_STR("db", id));
        node_discard(n, d);
    }
    database_unref(d);
    node_leave(n);
    return code;
}

enum err_code node_download(struct node *n, const char *id,
                            bool (*write)(void *arg, const void *bytes, size_t len), void *arg,
                            struct err *e)
{
    struct database *d = NULL;
    enum err_code code = node_enter(n, e);
    if (code != ERR_OK)
        return code;
    code = node_find(n, id, &d, e);
    if (code == ERR_OK)
        code = backup_stream(database_path(d), n->opt.data_dir,
                             &(struct backup_sink){.write = write, .arg = arg},
                             &(struct watch){.cancel = &n->interrupt}, e);
    database_unref(d);
    node_leave(n);
    return code;
}
