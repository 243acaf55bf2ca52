/*
 * When snapshots are taken, by whom, and what is told about them. Each node of a cluster may have
 * --snapshot-interval: whoever's turn comes first takes one, the others see it in the store and
 * wait for another interval. One at a time on a node, because each reads a whole file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "core/impl.h"
#include "repl/snapshot.h"

#define SNAPSHOT_LOOK_NS  CLOCK_S
#define SNAPSHOT_QUIET_NS (2 * CLOCK_S)  /* that asynchronous writes may wait for one to begin */
#define SNAPSHOT_RETRY_NS (10 * CLOCK_S) /* after a failure; a shorter interval wins */

static struct snapshot_place place_of(struct node *n, struct database *d)
{
    return (struct snapshot_place){.client = n->client,
                                   .stream = n->opt.stream,
                                   .log = replica_stream(database_replica(d)),
                                   .id = database_id(d),
                                   .node = n->opt.name,
                                   .replicas = n->opt.replicas,
                                   .extensions = n->opt.extensions,
                                   .cancel = &n->leave};
}

enum err_code snapshots_forget(struct node *n, struct database *d, struct err *e)
{
    struct snapshot_place at = place_of(n, d);
    return snapshot_remove(&at, e);
}

void snapshots_collect(struct node *n, const char *id, const int64_t *dropped, size_t n_dropped)
{
    struct snapshot_place at = {.client = n->client, .stream = n->opt.stream, .id = id};
    struct err e = ERR_INIT;
    unsigned removed = 0;
    FAULT_POINT("drop.collect");
    enum err_code code = snapshot_remove_of(&at, dropped, n_dropped, &removed, &e);
    if (removed > 0)
        LOG_INFO("snapshots of a dropped database are deleted", LOG_STR("db", id),
                 LOG_UINT("snapshots", removed));
    if (code != ERR_OK)
        LOG_WARN("snapshots of a dropped database may be left", LOG_STR("db", id),
                 LOG_STR("reason", e.msg));
}

/* ---- one at a time ---- */

static enum err_code take_turn(struct node *n, struct err *e)
{
    pthread_mutex_lock(&n->mu);
    while (n->snapshotting && !n->stopping)
        clock_cond_wait(&n->changed, &n->mu, clock_deadline(SNAPSHOT_LOOK_NS));
    bool mine = !n->stopping;
    if (mine)
        n->snapshotting = true;
    pthread_mutex_unlock(&n->mu);
    return mine ? ERR_OK : err_set(e, ERR_SHUTDOWN, "the node is shutting down");
}

static void end_turn(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    n->snapshotting = false;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->mu);
}

static void note_success(struct snapshot_record *rec, const struct snapshot *s, bool fresh)
{
    atomic_store(&rec->seq, s->pos.seq);
    atomic_store(&rec->file_bytes, s->file_bytes);
    atomic_store(&rec->stored_bytes, s->object.size);
    atomic_store(&rec->success_ns, clock_wall_ns());
    atomic_fetch_add(&rec->taken, fresh ? 1 : 0);
}

static void note_failure(struct snapshot_record *rec, const struct err *e)
{
    pthread_mutex_lock(&rec->mu);
    snprintf(rec->reason, sizeof rec->reason, "%s", e ? e->msg : "");
    pthread_mutex_unlock(&rec->mu);
    if (e)
        atomic_fetch_add(&rec->failed, 1);
}

struct pause {
    struct replica *replica;
    bool on; /* its local writes pause (asynchronous replication) */
};

static void end_pause(void *arg)
{
    struct pause *p = arg;
    if (p->on)
        replica_resume(p->replica);
    p->on = false;
}

static enum err_code take(struct node *n, struct database *d, struct snapshot *s, bool *fresh,
                          struct err *e)
{
    struct snapshot_record *rec = database_snapshots(d);
    struct snapshot_place at = place_of(n, d);
    struct pause pause = {.replica = database_replica(d)};
    char *temp = NULL;
    enum err_code code = take_turn(n, e);
    if (code != ERR_OK)
        return code;
    if (asprintf(&temp, "%s.snapshot", database_path(d)) < 0) {
        end_turn(n);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    atomic_store(&rec->progress.done_bytes, 0);
    atomic_store(&rec->progress.total_bytes, 0);
    atomic_store(&rec->running, true);
    at.begun = end_pause;
    at.arg = &pause;
    code = replica_quiesce(pause.replica, clock_deadline(SNAPSHOT_QUIET_NS), e);
    pause.on = code == ERR_OK;
    if (code == ERR_OK)
        code = snapshot_take(&at, database_path(d), temp, &rec->progress, s, fresh, e);
    end_pause(&pause);
    atomic_store(&rec->running, false);
    free(temp);
    end_turn(n);
    if (code == ERR_OK)
        note_success(rec, s, *fresh);
    note_failure(rec, code == ERR_OK ? NULL : e);
    return code;
}

/* ---- by the clock ---- */

/* The store's newest one, as long as it is younger than the interval: until when that is so, on the
 * monotonic clock; else now. */
static int64_t due_ns(struct node *n, struct database *d)
{
    struct snapshot_place at = place_of(n, d);
    struct snapshot s = {0};
    struct err e = ERR_INIT;
    bool found = false;
    int64_t now = clock_mono_ns();
    if (snapshot_find(&at, SNAPSHOT_NEWEST, &s, &found, &e) != ERR_OK)
        return now + SNAPSHOT_RETRY_NS;
    int64_t age = found ? clock_wall_ns() - s.object.time_ns : n->opt.snapshot_interval_ns;
    if (age < 0 || age >= n->opt.snapshot_interval_ns)
        return now;
    if (s.pos.seq > atomic_load(&database_snapshots(d)->seq))
        note_success(database_snapshots(d), &s, false);
    return now + n->opt.snapshot_interval_ns - age;
}

static void look_at(struct node *n, struct database *d)
{
    struct snapshot_record *rec = database_snapshots(d);
    struct replica_status rs;
    struct snapshot s = {0};
    struct err e = ERR_INIT;
    bool fresh = false;
    int64_t interval = n->opt.snapshot_interval_ns;
    if (!database_replica(d) || clock_mono_ns() < rec->next_ns)
        return;
    replica_status(database_replica(d), &rs);
    if (rs.state != REPLICA_FOLLOWING || !rs.caught_up || rs.seq == 0)
        return;
    rec->next_ns = due_ns(n, d);
    if (clock_mono_ns() < rec->next_ns)
        return;
    if (take(n, d, &s, &fresh, &e) == ERR_OK) {
        rec->next_ns = clock_mono_ns() + interval;
        return;
    }
    rec->next_ns = clock_mono_ns() + (interval < SNAPSHOT_RETRY_NS ? interval : SNAPSHOT_RETRY_NS);
    if (e.code != ERR_INTERRUPTED && e.code != ERR_SHUTDOWN)
        LOG_WARN("no snapshot", LOG_STR("db", database_id(d)), LOG_STR("reason", e.msg));
}

void *snapshots_main(void *node)
{
    struct node *n = node;
    pthread_mutex_lock(&n->mu);
    while (!n->stopping) {
        clock_cond_wait(&n->changed, &n->mu, clock_deadline(SNAPSHOT_LOOK_NS));
        for (size_t i = 0; i < n->n_dbs && !n->stopping && node_connected(n); i++) {
            struct database *d = database_ref(n->dbs[i]);
            pthread_mutex_unlock(&n->mu);
            look_at(n, d);
            database_unref(d);
            pthread_mutex_lock(&n->mu);
        }
    }
    pthread_mutex_unlock(&n->mu);
    return NULL;
}

/* ---- when asked ---- */

static enum err_code find(struct node *n, const char *id, struct database **d, struct err *e)
{
    enum err_code code = node_find(n, id, d, e);
    if (code == ERR_OK && !n->client)
        code = err_set(e, ERR_LOG_UNAVAILABLE, "this node has no NATS: there are no snapshots");
    return code;
}

enum err_code node_snapshot(struct node *n, const char *id, uint64_t *seq, struct buf *json,
                            struct err *e)
{
    struct database *d = NULL;
    struct snapshot s = {0};
    bool fresh = false;
    enum err_code code = node_enter(n, e);
    if (code != ERR_OK)
        return code;
    code = find(n, id, &d, e);
    if (code == ERR_OK)
        code = take(n, d, &s, &fresh, e);
    if (code == ERR_OK) {
        *seq = s.pos.seq;
        buf_puts(json, "{\"database\":");
        json_put_cstr(json, database_id(d));
        buf_printf(json, ",\"seq\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"stored_bytes\":%" PRIu64,
                   s.pos.seq, s.file_bytes, s.object.size);
        buf_printf(json, ",\"sha256\":\"%s\",\"taken\":%s,\"node\":", s.sha256,
                   fresh ? "true" : "false");
        json_put_cstr(json, s.node);
        buf_puts(json, "}\n");
    }
    database_unref(d);
    node_leave(n);
    return code;
}

/* The newest snapshot whose bytes are what they should be: a client cannot tell half-way. */
static enum err_code sound(const struct snapshot_place *at, struct snapshot *s, struct err *e)
{
    for (int g = 0; g < SNAPSHOT_GENERATIONS; g++) {
        bool found = false;
        err_clear(e);
        enum err_code code = snapshot_find(at, (enum snapshot_generation)g, s, &found, e);
        if (code == ERR_OK && found)
            code = snapshot_read(at, s, NULL, NULL, NULL, e);
        if (code == ERR_OK && found)
            return ERR_OK;
        if (code != ERR_OK && code != ERR_CORRUPT)
            return code;
        if (code == ERR_CORRUPT)
            LOG_WARN("a snapshot is damaged", LOG_STR("db", at->id), LOG_STR("reason", e->msg));
    }
    return e->code == ERR_CORRUPT
               ? e->code
               : err_set(e, ERR_NOT_FOUND, "there is no snapshot of \"%s\"", at->id);
}

enum err_code node_snapshot_download(struct node *n, const char *id,
                                     void (*begin)(void *arg, uint64_t seq),
                                     bool (*write)(void *arg, const void *bytes, size_t len),
                                     void *arg, struct err *e)
{
    struct database *d = NULL;
    enum err_code code = node_enter(n, e);
    if (code != ERR_OK)
        return code;
    code = find(n, id, &d, e);
    if (code == ERR_OK) {
        struct snapshot_place at = place_of(n, d);
        struct snapshot s = {0};
        code = sound(&at, &s, e);
        if (code == ERR_OK) {
            begin(arg, s.pos.seq);
            code = snapshot_read(&at, &s, write, arg, NULL, e);
        }
    }
    database_unref(d);
    node_leave(n);
    return code;
}

/* ---- what is told ---- */

void snapshots_put_status(struct database *d, struct buf *json)
{
    struct snapshot_record *rec = database_snapshots(d);
    char when[CLOCK_TEXT_SIZE];
    int64_t success = atomic_load(&rec->success_ns);
    buf_puts(json, ",\"snapshot\":{\"seq\":");
    buf_u64(json, atomic_load(&rec->seq));
    buf_puts(json, ",\"last_success\":");
    clock_format(success, when);
    json_put_cstr(json, success ? when : NULL);
    buf_printf(json, ",\"bytes\":%" PRIu64 ",\"stored_bytes\":%" PRIu64 ",\"taken\":%" PRIu64,
               atomic_load(&rec->file_bytes), atomic_load(&rec->stored_bytes),
               atomic_load(&rec->taken));
    buf_printf(json, ",\"failed\":%" PRIu64 ",\"reason\":", atomic_load(&rec->failed));
    pthread_mutex_lock(&rec->mu);
    json_put_cstr(json, rec->reason);
    pthread_mutex_unlock(&rec->mu);
    buf_puts(json, atomic_load(&rec->running) ? ",\"running\":true" : ",\"running\":false");
    buf_printf(json, ",\"done_bytes\":%" PRIu64 ",\"total_bytes\":%" PRIu64 "}",
               atomic_load(&rec->progress.done_bytes), atomic_load(&rec->progress.total_bytes));
}
