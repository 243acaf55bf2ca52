/*
 *   names      follower_state_name
 *   choosing   which of the databases that a subject may mean
 *   running    one turn with the file's lock: client, replica, until it ends
 *   registry   follower_join, follower_leave; what happens when the process ends
 *   looking    follower_status, follower_settle
 */
#include "ext/follower.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/stack.h"
#include "core/claim.h"
#include "nats/client.h"
#include "nats/stream.h"
#include "repl/replica.h"
#include "sql/image.h"

#define FOLLOWER_CLAIM_NS     (250 * CLOCK_MS) /* for one try at the file's lock */
#define FOLLOWER_RETRY_MIN_NS (250 * CLOCK_MS)
#define FOLLOWER_RETRY_MAX_NS (5 * CLOCK_S)
#define FOLLOWER_LOOK_NS      (20 * CLOCK_MS)
#define FOLLOWER_JS_MS        3000
#define FOLLOWER_BUSY_MS      5000 /* for whoever else writes to the file */
#define FOLLOWER_PUBLISH_NS   (15 * CLOCK_S)

struct follower {
    /* immutable */
    char path[PATH_MAX];
    char directory[PATH_MAX]; /* where big messages are put aside */
    char name[256];           /* shown to others */
    struct ext_params params;
    char **extensions; /* of the params; NULL-terminated */
    struct ext_subject subject;
    enum replica_start start;
    uint64_t start_seq;
    int64_t start_time_ns;
    pid_t pid; /* a forked child has the memory, but not the thread */
    pthread_t thread;

    /* guarded by the registry's mutex */
    struct follower *next;
    unsigned refs;

    /* guarded by mu; `changed` is broadcast when any of these changes */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool stop;
    bool connected;
    uint64_t losses; /* of the connection */
    enum follower_state state;
    struct err reason;
    struct err last_error; /* that ended a replica, or kept one from coming about */
    int64_t last_error_wall_ns;
    bool known; /* the file was a replica of this log already */
    struct nats_client *client;
    struct replica *replica;
};

const char *follower_state_name(enum follower_state s)
{
    static const char *const names[] = {
        [FOLLOWER_STANDBY] = "standby", [FOLLOWER_CONNECTING] = "connecting",
        [FOLLOWER_OFFLINE] = "offline", [FOLLOWER_COPYING] = "copying",
        [FOLLOWER_BEHIND] = "behind",   [FOLLOWER_FOLLOWING] = "following",
        [FOLLOWER_STOPPED] = "stopped", [FOLLOWER_FAILED] = "failed",
    };
    return names[s];
}

static void set_state(struct follower *f, enum follower_state state, const struct err *why)
{
    pthread_mutex_lock(&f->mu);
    f->state = state;
    if (why)
        f->reason = *why;
    else
        err_clear(&f->reason);
    if (state == FOLLOWER_FAILED && why) {
        f->last_error = *why;
        f->last_error_wall_ns = clock_wall_ns();
    }
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mu);
}

/* Until the deadline; true: it is to stop. */
static bool rests(struct follower *f, int64_t ns)
{
    int64_t until = clock_deadline(ns);
    pthread_mutex_lock(&f->mu);
    while (!f->stop && clock_cond_wait(&f->changed, &f->mu, until))
        ;
    bool stop = f->stop;
    pthread_mutex_unlock(&f->mu);
    return stop;
}

/* Called by a thread of the NATS library. */
static void connection_changed(void *arg, bool connected)
{
    struct follower *f = arg;
    pthread_mutex_lock(&f->mu);
    f->connected = connected;
    f->losses += connected ? 0 : 1;
    if (f->replica)
        replica_connection_changed(f->replica, connected);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mu);
}

/* ---- choosing ---- */

static void stream_of(const struct follower *f, unsigned i, char out[256])
{
    char token[NAME_TOKEN_SIZE];
    name_encode(f->subject.ids[i], token);
    (void)snprintf(out, 256, "%s-%s", f->subject.stream, token);
}

/* The one whose log the file belongs to already. *found = false: it belongs to none. */
static enum err_code choose_by_file(struct follower *f, unsigned *which, bool *found, struct err *e)
{
    struct image img = {0};
    char stream[256];
    enum err_code code = access(f->path, F_OK) == 0 ? image_describe(f->path, &img, e) : ERR_OK;
    *found = code == ERR_OK && img.has_position && img.pos.stream[0];
    if (code != ERR_OK || !*found)
        return code;
    for (*which = 0; *which < f->subject.n; ++*which) {
        stream_of(f, *which, stream);
        if (strcmp(stream, img.pos.stream) == 0) {
            pthread_mutex_lock(&f->mu);
            f->known = img.pos.seq > 0;
            pthread_mutex_unlock(&f->mu);
            return ERR_OK;
        }
    }
    return err_set(e, ERR_CONFIG, "the file is a replica of the log \"%s\" already",
                   img.pos.stream);
}

/* The one that there is a log of. */
static enum err_code choose_by_log(struct follower *f, unsigned *which, struct err *e)
{
    char stream[256];
    if (f->subject.n == 1) {
        *which = 0;
        return ERR_OK;
    }
    if (!nats_client_connected(f->client))
        return err_set(e, ERR_LOG_UNAVAILABLE, "NATS is not connected yet");
    for (*which = 0; *which < f->subject.n; ++*which) {
        struct stream_state st;
        bool found = false;
        stream_of(f, *which, stream);
        if (stream_info(f->client, stream, &st, &found, e) != ERR_OK || found)
            return e->code;
    }
    stream_of(f, 0, stream);
    return err_set(e, ERR_LOG_UNAVAILABLE, "there is no log \"%s\"", stream);
}

/* ---- running ---- */

/* A replica that reads only is never the last one to know something: the log, or whoever follows it
 * for clients, is always right, and what the file has beyond it is kept aside. */
static enum err_code there_are_others(void *arg, const char *id, bool *any, struct err *e)
{
    (void)arg;
    (void)id;
    (void)e;
    *any = true;
    return ERR_OK;
}

static void end_all(void);

static void at_exit(void)
{
    (void)atexit(end_all);
}

static enum err_code open_client(struct follower *f, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct ext_params *p = &f->params;
    const struct nats_client_options o = {.url = p->servers,
                                          .user = p->username,
                                          .pass = p->password,
                                          .token = p->token,
                                          .ca_file = p->ca_file,
                                          .cert_file = p->cert_file,
                                          .key_file = p->cert_key_file,
                                          .insecure = p->insecure,
                                          .name = p->client_name,
                                          .timeout_ms = FOLLOWER_JS_MS,
                                          .feeds = 1,
                                          .changed = connection_changed,
                                          .arg = f};
    struct nats_client *c = NULL;
    enum err_code code = nats_client_open(&c, &o, e);
    pthread_once(&once, at_exit); /* before what the libraries have registered just now */
    pthread_mutex_lock(&f->mu);
    f->client = c;
    pthread_mutex_unlock(&f->mu);
    return code;
}

static enum err_code open_replica(struct follower *f, const char *id, struct err *e)
{
    bool whole = f->start == REPLICA_START_ALL;
    const struct replica_options o = {
        .id = id,
        .node = f->name,
        .conn = {.path = f->path,
                 .create = true,
                 .busy_ms = FOLLOWER_BUSY_MS,
                 .extensions = (const char *const *)f->extensions},
        .spool_dir = f->directory,
        .mode = f->params.serializable ? REPLICA_SERIALIZABLE : REPLICA_LWW,
        .row_identify = f->params.row_identify,
        .replicate_ddl = true,
        .read_only = true,
        .client = f->client,
        .stream = f->subject.stream,
        .replicas = 1,
        .timeout_ns = FOLLOWER_PUBLISH_NS,
        .start = f->start,
        .start_seq = f->start_seq,
        .start_time_ns = f->start_time_ns,
        .mend = true,
        .from_latest_snapshot = whole && f->params.snapshot,
        .others = there_are_others,
    };
    struct replica *r = NULL;
    pthread_mutex_lock(&f->mu);
    uint64_t losses = f->losses;
    pthread_mutex_unlock(&f->mu);
    enum err_code code = replica_open(&r, &o, e);
    if (code != ERR_OK)
        return code;
    pthread_mutex_lock(&f->mu);
    f->replica = r;
    if (f->losses != losses) /* and nobody has told the replica */
        replica_connection_changed(r, false);
    replica_connection_changed(r, nats_client_connected(f->client));
    pthread_mutex_unlock(&f->mu);
    return ERR_OK;
}

static void close_all(struct follower *f)
{
    pthread_mutex_lock(&f->mu);
    struct replica *r = f->replica;
    struct nats_client *c = f->client;
    f->replica = NULL;
    pthread_mutex_unlock(&f->mu);
    if (r)
        replica_stop(r, clock_mono_ns());
    if (c)
        nats_client_leave(c);
    replica_close(r);
    pthread_mutex_lock(&f->mu);
    f->client = NULL;
    pthread_mutex_unlock(&f->mu);
    nats_client_close(c);
}

/* The file's lock is held. Ends when it is to stop, or with the reason why there is no replica. */
static enum err_code run(struct follower *f, struct err *e)
{
    unsigned which = 0;
    bool found = false;
    set_state(f, FOLLOWER_CONNECTING, NULL);
    enum err_code code = choose_by_file(f, &which, &found, e);
    if (code == ERR_OK)
        code = open_client(f, e);
    while (code == ERR_OK && !found) {
        code = choose_by_log(f, &which, e);
        found = code == ERR_OK;
        if (code != ERR_LOG_UNAVAILABLE)
            continue;
        set_state(f, FOLLOWER_CONNECTING, e);
        err_clear(e);
        code = ERR_OK;
        if (rests(f, FOLLOWER_RETRY_MIN_NS))
            return ERR_OK;
    }
    if (code == ERR_OK)
        code = open_replica(f, f->subject.ids[which], e);
    if (code != ERR_OK)
        return code;
    LOG_INFO("a replica is open", LOG_STR("file", f->path), LOG_STR("db", f->subject.ids[which]),
             LOG_UINT("seq", replica_position(f->replica)));
    (void)rests(f, CLOCK_EVER);
    return ERR_OK;
}

static void *follower_main(void *arg)
{
    struct follower *f = arg;
    int64_t pause = FOLLOWER_RETRY_MIN_NS;
    while (!rests(f, 0)) {
        struct err e = ERR_INIT;
        enum err_code code = claim_path(f->path, clock_deadline(FOLLOWER_CLAIM_NS), &e);
        if (code == ERR_BUSY) {
            set_state(f, FOLLOWER_STANDBY, &e);
            continue;
        }
        bool claimed = code == ERR_OK;
        if (claimed)
            code = run(f, &e);
        close_all(f);
        if (claimed)
            claim_release(f->path);
        if (code == ERR_OK)
            continue;
        LOG_WARN("no replica", LOG_STR("file", f->path), LOG_STR("reason", e.msg));
        set_state(f, FOLLOWER_FAILED, &e);
        (void)rests(f, pause);
        pause = pause * 2 < FOLLOWER_RETRY_MAX_NS ? pause * 2 : FOLLOWER_RETRY_MAX_NS;
    }
    return NULL;
}

/* ---- registry ---- */

static pthread_mutex_t registry_mu = PTHREAD_MUTEX_INITIALIZER;
static struct follower *registry; /* guarded by registry_mu */

static void follower_free(struct follower *f)
{
    ext_params_free(&f->params);
    list_free(f->extensions);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mu);
    free(f);
}

static void end(struct follower *f)
{
    if (f->pid != getpid()) /* nothing here runs, and nothing of it is ours to close */
        return;
    pthread_mutex_lock(&f->mu);
    f->stop = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->mu);
    pthread_join(f->thread, NULL);
    follower_free(f);
}

/* A process that ends without closing its connections: libraries of ours would be cleaned up under
 * threads that use them. */
static void end_all(void)
{
    pthread_mutex_lock(&registry_mu);
    while (registry) {
        struct follower *f = registry;
        registry = f->next;
        if (f->pid == getpid()) {
            pthread_mutex_lock(&f->mu);
            f->stop = true;
            pthread_cond_broadcast(&f->changed);
            pthread_mutex_unlock(&f->mu);
            pthread_join(f->thread, NULL);
        } /* whoever has it may still look at it: it is not freed */
    }
    pthread_mutex_unlock(&registry_mu);
}

static struct follower *follower_new(const struct follower_start *how)
{
    struct follower *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    pthread_mutex_init(&f->mu, NULL);
    clock_cond_init(&f->changed);
    f->refs = 1;
    f->state = FOLLOWER_CONNECTING;
    err_clear(&f->reason);
    err_clear(&f->last_error);
    f->subject = *how->subject;
    f->start = how->start;
    f->start_seq = how->start_seq;
    f->start_time_ns = how->start_time_ns;
    f->pid = getpid();
    (void)snprintf(f->path, sizeof f->path, "%s", how->path);
    (void)snprintf(f->directory, sizeof f->directory, "%s", how->path);
    char *slash = strrchr(f->directory, '/');
    (void)snprintf(slash ? slash + 1 : f->directory, 2, "%s", slash ? "" : ".");
    if (*how->durable)
        (void)snprintf(f->name, sizeof f->name, "%s", how->durable);
    else if (gethostname(f->name, sizeof f->name - 1) != 0)
        (void)snprintf(f->name, sizeof f->name, "ha-sync");
    bool copied = ext_params_copy(&f->params, how->params);
    f->extensions = copied ? list_split(f->params.extensions) : NULL;
    if (!f->extensions) {
        follower_free(f);
        return NULL;
    }
    return f;
}

static void at_fork(void)
{
    (void)pthread_atfork(NULL, NULL, claim_forget);
}

/* Threads of a host's process take no signal of its, and neither do those that they start. */
static int start_thread(struct follower *f)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    sigset_t all, was;
    pthread_once(&once, at_fork);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    int rc = stack_start(&f->thread, follower_main, f);
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return rc;
}

static bool same_subject(const struct ext_subject *a, const struct ext_subject *b)
{
    return strcmp(a->stream, b->stream) == 0 && a->n > 0 && b->n > 0 &&
           strcmp(a->ids[0], b->ids[0]) == 0;
}

static enum err_code join_locked(struct follower **out, const struct follower_start *how,
                                 struct err *e)
{
    struct follower *f = registry;
    while (f && (strcmp(f->path, how->path) != 0 || f->pid != getpid()))
        f = f->next;
    if (f && !same_subject(&f->subject, how->subject))
        return err_set(e, ERR_BUSY, "this process has the file follow %s.%s already",
                       f->subject.stream, f->subject.ids[0]);
    if (f) {
        f->refs++;
        *out = f;
        return ERR_OK;
    }
    f = follower_new(how);
    if (!f)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    int rc = start_thread(f);
    if (rc != 0) {
        follower_free(f);
        return err_set(e, ERR_NO_MEMORY, "cannot start a thread: %s", strerror(rc));
    }
    f->next = registry;
    registry = f;
    *out = f;
    return ERR_OK;
}

enum err_code follower_join(struct follower **out, const struct follower_start *how, struct err *e)
{
    *out = NULL;
    if (strlen(how->path) >= PATH_MAX - 64)
        return err_set(e, ERR_CONFIG, "the name of the database file is too long");
    pthread_mutex_lock(&registry_mu);
    enum err_code code = join_locked(out, how, e);
    pthread_mutex_unlock(&registry_mu);
    return code;
}

void follower_leave(struct follower *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&registry_mu);
    struct follower **at = &registry;
    while (*at && *at != f)
        at = &(*at)->next;
    bool last = *at && --f->refs == 0;
    if (last)
        *at = f->next;
    pthread_mutex_unlock(&registry_mu);
    if (last)
        end(f);
}

/* ---- looking ---- */

static enum follower_state state_of(const struct replica_status *rs)
{
    if (rs->restoring)
        return FOLLOWER_COPYING;
    switch (rs->state) {
    case REPLICA_OFFLINE:
        return FOLLOWER_OFFLINE;
    case REPLICA_FOLLOWING:
        return rs->caught_up ? FOLLOWER_FOLLOWING : FOLLOWER_BEHIND;
    case REPLICA_STOPPED:
        break;
    }
    return FOLLOWER_STOPPED;
}

/* f->mu is held. False: a connection was tried, and why there is none is told. */
static bool was_connected_locked(struct follower *f, char *why, size_t size)
{
    why[0] = '\0';
    if (f->client && !f->connected)
        nats_client_reason(f->client, why, size);
    return why[0] == '\0';
}

/* f->mu is held. What the client knows of a connection that never was says more. */
static void add_reason_locked(struct follower *f, struct follower_status *st)
{
    char why[256];
    if (!was_connected_locked(f, why, sizeof why))
        (void)snprintf(st->reason, sizeof st->reason, "NATS is not connected: %s", why);
}

static void status_locked(struct follower *f, struct follower_status *st, bool *final)
{
    struct replica_status rs;
    *st = (struct follower_status){.state = f->state};
    *final = f->state == FOLLOWER_FAILED;
    (void)snprintf(st->reason, sizeof st->reason, "%s", f->reason.msg);
    (void)snprintf(st->last_error, sizeof st->last_error, "%s", f->last_error.msg);
    st->last_error_wall_ns = f->last_error_wall_ns;
    if (f->replica) {
        replica_status(f->replica, &rs);
        if (rs.last_error_wall_ns > st->last_error_wall_ns) {
            (void)snprintf(st->last_error, sizeof st->last_error, "%s", rs.last_error);
            st->last_error_wall_ns = rs.last_error_wall_ns;
        }
        st->state = state_of(&rs);
        if (st->state != FOLLOWER_COPYING || rs.state == REPLICA_STOPPED)
            (void)snprintf(st->reason, sizeof st->reason, "%s", rs.reason);
        (void)snprintf(st->aside, sizeof st->aside, "%s", rs.aside);
        st->log_seq = rs.last_seq;
        st->restores = rs.restores;
        st->applied_wall_ns = rs.last_apply_wall_ns;
        *final = st->state == FOLLOWER_STOPPED && rs.apply_errors > 0;
    }
    if (st->state == FOLLOWER_OFFLINE || st->state == FOLLOWER_CONNECTING)
        add_reason_locked(f, st);
}

void follower_status(struct follower *f, struct follower_status *st)
{
    bool final;
    pthread_mutex_lock(&f->mu);
    status_locked(f, st, &final);
    pthread_mutex_unlock(&f->mu);
}

enum err_code follower_settle(struct follower *f, int64_t deadline_ns, struct err *e)
{
    struct follower_status st;
    char why[256];
    bool final = false, works = false;
    pthread_mutex_lock(&f->mu);
    for (;;) {
        status_locked(f, &st, &final);
        works = st.state == FOLLOWER_STANDBY || st.state == FOLLOWER_FOLLOWING;
        bool alone = f->known && f->replica && !was_connected_locked(f, why, sizeof why);
        if (works || alone || (final && !f->known) || clock_mono_ns() >= deadline_ns)
            break;
        clock_cond_wait(&f->changed, &f->mu, clock_deadline(FOLLOWER_LOOK_NS));
    }
    bool replica = f->known && st.state != FOLLOWER_FAILED;
    pthread_mutex_unlock(&f->mu);
    if (works || replica || st.state == FOLLOWER_COPYING || st.state == FOLLOWER_BEHIND)
        return ERR_OK;
    return err_set(e, ERR_LOG_UNAVAILABLE, "%s",
                   st.reason[0] ? st.reason : "the log has not been found in time");
}
