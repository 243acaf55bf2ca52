#include "core/database.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/claim.h"
#include "core/impl.h"
#include "os/file.h"
#include "sql/backup.h"
#include "sql/image.h"
#include "sql/position.h"

#define DATABASE_MAX_PATH   4096
#define DATABASE_MAX_ID     240 /* file systems take 255, and SQLite adds "-journal" */
#define DATABASE_CLAIM_NS   (5 * CLOCK_S)
#define DATABASE_IDLE_CONNS 16 /* read connections kept open though nobody uses them for long */
#define DATABASE_CLOSED     4  /* of the others, at a time */
#define DATABASE_TEND_NS    CLOCK_S

struct database {
    /* immutable after database_open; before that guarded by the node's mu where it is listed */
    const struct node_options *opt;
    char *id;     /* base name of the file */
    char *path;   /* where the file lives now (tmpfs for -m) */
    char *spools; /* folder for temporary files */
    struct conn_config conn;
    struct replica *replica;
    struct link *link;
    bool claimed; /* the path is ours in claim.h */
    /* atomic */
    atomic_int refs;
    atomic_bool remove;
    atomic_bool created;
    _Atomic uint64_t told;
    struct snapshot_record snapshots; /* guards itself */
    struct check_record checks;       /* the same */
    /* guarded by mu; `freed` is signalled when a connection comes back */
    pthread_mutex_t mu;
    pthread_cond_t freed;
    bool stopped;
    int busy;           /* connections handed out */
    int idle_count;     /* the one that was used last comes last */
    int idle_least;     /* of idle_count since `tended_ns`: so many were not needed */
    int64_t tended_ns;  /* when database_tend() looked last */
    struct conn **idle; /* room for as many as there may be */
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* "file:dir/a.db?x=y" → path and parameters. */
static enum err_code split_dsn(const char *dsn, char *path, size_t size, const char **params,
                               struct err *e)
{
    if (strncmp(dsn, "file:", 5) == 0)
        dsn += 5;
    const char *question = strchr(dsn, '?');
    size_t n = question ? (size_t)(question - dsn) : strlen(dsn);
    *params = question ? question + 1 : "";
    if (n == 0 || dsn[n - 1] == '/')
        return err_set(e, ERR_CONFIG, "\"%s\" names no database file", dsn);
    if (n >= size)
        return err_set(e, ERR_CONFIG, "the name of the database file is too long");
    memcpy(path, dsn, n);
    path[n] = '\0';
    if (image_is_companion(path))
        return err_set(e, ERR_PARAM,
                       "no database can be called so: SQLite keeps a database's own "
                       "-wal, -shm and -journal beside it");
    const char *slash = strrchr(path, '/');
    if (strlen(slash ? slash + 1 : path) > DATABASE_MAX_ID)
        return err_set(e, ERR_CONFIG, "the name of a database file has at most %d bytes",
                       DATABASE_MAX_ID);
    return ERR_OK;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum err_code set_paths(struct database *d, const char *file, const char *memory_dir,
                               struct err *e)
{
    const char *slash = strrchr(file, '/');
    d->id = strdup(base_name(file));
    if (memory_dir) {
        if (asprintf(&d->path, "%s/%s", memory_dir, base_name(file)) < 0)
            d->path = NULL;
        d->spools = strdup(memory_dir);
    } else {
        d->path = strdup(file);
        d->spools = slash ? strndup(file, (size_t)(slash - file) + 1) : strdup(".");
    }
    return d->id && d->path && d->spools ? ERR_OK : no_memory(e);
}

/* -m: the file on disk is where the database starts from, and is not touched again. */
static enum err_code load_into_memory(struct database *d, const char *file, struct err *e)
{
    struct stat st;
    if (stat(file, &st) != 0 || st.st_size == 0)
        return ERR_OK;
    enum err_code code = backup_to_file(file, d->path, NULL, e);
    if (code == ERR_OK)
        LOG_INFO("database loaded into memory", LOG_STR("db", d->id), LOG_STR("file", file));
    return code;
}

enum err_code database_new(struct database **out, const struct node_options *opt, const char *dsn,
                           const char *memory_dir, struct err *e)
{
    *out = NULL;
    char file[DATABASE_MAX_PATH];
    const char *params;
    struct database *d = calloc(1, sizeof *d);
    if (!d)
        return no_memory(e);
    pthread_mutex_init(&d->mu, NULL);
    clock_cond_init(&d->freed);
    atomic_init(&d->refs, 1);
    atomic_init(&d->told, UINT64_MAX);
    pthread_mutex_init(&d->snapshots.mu, NULL);
    d->opt = opt;
    d->idle = calloc((size_t)opt->concurrent_queries, sizeof(struct conn *));
    enum err_code code = d->idle ? ERR_OK : no_memory(e);
    if (code == ERR_OK)
        code = split_dsn(dsn, file, sizeof file, &params, e);
    if (code == ERR_OK)
        code = set_paths(d, file, memory_dir, e);
    if (code == ERR_OK) {
        d->conn.path = d->path;
        d->conn.extensions = opt->extensions;
        code = conn_parse_params(&d->conn, opt->db_params, e);
    }
    if (code == ERR_OK)
        code = conn_parse_params(&d->conn, params, e);
    if (code == ERR_OK && memory_dir)
        code = load_into_memory(d, file, e);
    if (code != ERR_OK) {
        err_wrap(e, "database \"%s\"", dsn);
        database_unref(d);
        return code;
    }
    *out = d;
    return ERR_OK;
}

static enum replica_mode replica_mode_of(const struct node_options *opt)
{
    if (opt->async_replication)
        return REPLICA_ASYNC;
    return opt->consistency == CONSISTENCY_LWW ? REPLICA_LWW : REPLICA_SERIALIZABLE;
}

enum err_code database_open(struct database *d, struct node *n, struct link *l, struct err *e)
{
    const struct node_options *opt = d->opt;
    struct replica_options ro = {
        .id = d->id,
        .node = opt->name,
        .conn = d->conn,
        .spool_dir = d->spools,
        .mode = replica_mode_of(opt),
        .row_identify = opt->row_identify,
        .replicate_ddl = !opt->disable_ddl_sync,
        .log_wins = opt->memory,
        .client = l->client,
        .stream = opt->stream,
        .replicas = opt->replicas,
        .replicas_explicit = opt->replicas_explicit,
        .max_age_ns = opt->max_age_ns,
        .max_age_explicit = opt->max_age_explicit,
        .timeout_ns = opt->replication_timeout_ns,
        .start = opt->policy,
        .start_seq = opt->policy_seq,
        .start_time_ns = opt->policy_time_ns,
        .tx_idle_ns = opt->tx_idle_timeout_ns,
        .interceptor = opt->interceptor,
        .mend = true,
        .from_latest_snapshot = opt->from_latest_snapshot,
        .adopt = opt->adopt,
        .aside_dir = opt->memory ? opt->data_dir : NULL,
        .others = roster_others,
        .others_arg = n,
    };
    enum err_code code = claim_path(d->path, clock_deadline(DATABASE_CLAIM_NS), e);
    if (code != ERR_OK)
        return code;
    d->claimed = true;
    struct replica *r = NULL;
    code = replica_open(&r, &ro, e);
    pthread_mutex_lock(&n->mu); /* where it is listed already, the link looks at these */
    d->link = l;
    d->replica = r;
    pthread_mutex_unlock(&n->mu);
    return code;
}

enum err_code database_peek(const struct database *d, bool *there, int64_t *log_created,
                            struct err *e)
{
    struct conn *c = NULL;
    struct position p;
    bool found = false;
    *log_created = 0;
    *there = access(d->path, F_OK) == 0;
    if (!*there)
        return ERR_OK;
    enum err_code code = conn_open(&c, &d->conn, CONN_READER, e);
    if (code == ERR_OK)
        code = position_load(c, &p, &found, e);
    if (code == ERR_OK && found)
        *log_created = p.stream_created;
    conn_close(c);
    return code == ERR_OK ? ERR_OK : err_wrap(e, "the file \"%s\" that is there", d->id);
}

struct database *database_ref(struct database *d)
{
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void database_unref(struct database *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
        return;
    for (int i = 0; i < d->idle_count; i++)
        conn_close(d->idle[i]);
    replica_close(d->replica);
    if (atomic_load(&d->remove))
        image_remove(d->path);
    if (d->claimed)
        claim_release(d->path);
    pthread_cond_destroy(&d->freed);
    pthread_mutex_destroy(&d->mu);
    pthread_mutex_destroy(&d->snapshots.mu);
    free(d->id);
    free(d->path);
    free(d->spools);
    free(d->idle);
    free(d);
}

void database_stop(struct database *d, int64_t deadline_ns)
{
    pthread_mutex_lock(&d->mu);
    d->stopped = true;
    pthread_cond_broadcast(&d->freed);
    pthread_mutex_unlock(&d->mu);
    if (d->replica)
        replica_stop(d->replica, deadline_ns);
}

void database_set_created(struct database *d)
{
    atomic_store(&d->created, true);
}

bool database_is_created(const struct database *d)
{
    return atomic_load(&d->created);
}

void database_remove_files(struct database *d)
{
    atomic_store(&d->remove, true);
}

const char *database_id(const struct database *d)
{
    return d->id;
}

const char *database_path(const struct database *d)
{
    return d->path;
}

struct replica *database_replica(const struct database *d)
{
    return d->replica;
}

const struct link *database_link(const struct database *d)
{
    return d->link;
}

struct snapshot_record *database_snapshots(struct database *d)
{
    return &d->snapshots;
}

struct check_record *database_checks(struct database *d)
{
    return &d->checks;
}

uint64_t database_told(const struct database *d)
{
    return atomic_load(&d->told);
}

void database_set_told(struct database *d, uint64_t seq)
{
    atomic_store(&d->told, seq);
}

enum err_code database_reader(struct database *d, int64_t deadline_ns, struct conn **out,
                              struct err *e)
{
    enum err_code code = ERR_OK;
    *out = NULL;
    if (d->replica && replica_readable(d->replica, e) != ERR_OK)
        return e->code;
    pthread_mutex_lock(&d->mu);
    while (!d->stopped && d->busy >= d->opt->concurrent_queries) {
        if (!clock_cond_wait(&d->freed, &d->mu, deadline_ns)) {
            pthread_mutex_unlock(&d->mu);
            return err_set(e, ERR_BUSY, "--concurrent-queries are running already");
        }
    }
    if (d->stopped) {
        pthread_mutex_unlock(&d->mu);
        return err_set(e, ERR_SHUTDOWN, "database \"%s\" is being closed", d->id);
    }
    d->busy++;
    if (d->idle_count > 0)
        *out = d->idle[--d->idle_count];
    if (d->idle_count < d->idle_least)
        d->idle_least = d->idle_count;
    pthread_mutex_unlock(&d->mu);
    if (!*out)
        code = conn_open(out, &d->conn, CONN_READER, e);
    if (code != ERR_OK) {
        pthread_mutex_lock(&d->mu);
        d->busy--;
        pthread_cond_signal(&d->freed);
        pthread_mutex_unlock(&d->mu);
    }
    return code;
}

void database_give(struct database *d, struct conn *c)
{
    pthread_mutex_lock(&d->mu);
    d->busy--;
    if (!d->stopped) {
        d->idle[d->idle_count++] = c;
        c = NULL;
    }
    pthread_cond_signal(&d->freed);
    pthread_mutex_unlock(&d->mu);
    conn_close(c);
}

void database_tend(struct database *d, int64_t now_ns)
{
    struct conn *old[DATABASE_CLOSED];
    int n = 0;
    pthread_mutex_lock(&d->mu);
    if (now_ns - d->tended_ns >= DATABASE_TEND_NS) {
        while (n < DATABASE_CLOSED && n < d->idle_least &&
               d->idle_count - n > DATABASE_IDLE_CONNS) {
            old[n] = d->idle[n];
            n++;
        }
        d->idle_count -= n;
        memmove(d->idle, d->idle + n, (size_t)d->idle_count * sizeof(struct conn *));
        d->idle_least = d->idle_count;
        d->tended_ns = now_ns;
    }
    pthread_mutex_unlock(&d->mu);
    while (n > 0)
        conn_close(old[--n]);
}
