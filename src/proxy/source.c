#include "proxy/source.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "core/database.h"
#include "core/lease.h"
#include "core/link.h"
#include "core/node.h"

#define LOOK_NS CLOCK_S /* while another node follows: how often the file is looked at */

enum state { STARTING, WAITING, COPYING, FOLLOWING, STOPPED };

static const char *const state_names[] = {[STARTING] = "starting",
                                          [WAITING] = "waiting",
                                          [COPYING] = "copying",
                                          [FOLLOWING] = "following",
                                          [STOPPED] = "stopped"};

struct source {
    /* immutable */
    struct source_options opt;
    struct node_source report;
    struct mirror *mirror; /* the thread's */
    struct lease *lease;   /* NULL: there is no other node */
    int wake_fd;
    pthread_t thread;
    bool started;
    /* atomic */
    atomic_bool stop;  /* the node stops */
    atomic_bool leave; /* this try is to end */
    _Atomic uint64_t transactions, changes, copied_rows, failures, lag;
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    enum state state;
    bool copied;
    char reason[ERR_MSG_SIZE], last_error[ERR_MSG_SIZE], position[1024];
    int64_t source_time_ns;
};

/* ---- what people are told ---- */

static void look(void *arg, struct node_source_status *out)
{
    struct source *s = arg;

    out->kind = s->opt.driver->kind;
    out->unit = s->opt.driver->unit;
    out->transactions = atomic_load(&s->transactions);
    out->changes = atomic_load(&s->changes);
    out->copied_rows = atomic_load(&s->copied_rows);
    out->failures = atomic_load(&s->failures);
    out->lag = atomic_load(&s->lag);
    pthread_mutex_lock(&s->mu);
    out->state = state_names[s->state];
    out->copied = s->copied;
    out->source_time_ns = s->source_time_ns;
    memcpy(out->reason, s->reason, sizeof out->reason);
    memcpy(out->last_error, s->last_error, sizeof out->last_error);
    memcpy(out->position, s->position, sizeof out->position);
    pthread_mutex_unlock(&s->mu);
}

static void set_state(struct source *s, enum state state, const char *reason)
{
    pthread_mutex_lock(&s->mu);
    bool news = s->state != state;
    s->state = state;
    snprintf(s->reason, sizeof s->reason, "%s", reason);
    pthread_mutex_unlock(&s->mu);
    if (news && (state == COPYING || state == FOLLOWING))
        LOG_INFO(state == COPYING ? "copying the source" : "following the source",
                 LOG_STR("source", s->opt.driver->kind), LOG_STR("db", s->opt.database));
}

static void set_position(struct source *s, const char *position, int64_t time_ns)
{
    pthread_mutex_lock(&s->mu);
    s->copied = *position != '\0';
    snprintf(s->position, sizeof s->position, "%s", position);
    if (time_ns)
        s->source_time_ns = time_ns;
    pthread_mutex_unlock(&s->mu);
}

static void fail(struct source *s, const struct err *e)
{
    pthread_mutex_lock(&s->mu);
    /* Once for each cause: it is tried again and again. */
    bool news = strcmp(s->last_error, e->msg) != 0 || s->state == FOLLOWING;
    s->state = STOPPED;
    snprintf(s->reason, sizeof s->reason, "%s", e->msg);
    snprintf(s->last_error, sizeof s->last_error, "%s", e->msg);
    pthread_mutex_unlock(&s->mu);
    atomic_fetch_add(&s->failures, 1);
    if (news)
        LOG_WARN("following the source has stopped, and is tried again",
                 LOG_STR("source", s->opt.driver->kind), LOG_STR("db", s->opt.database),
                 LOG_STR("error", err_name(e->code)), LOG_STR("reason", e->msg));
}

/* ---- for the driver ---- */

struct mirror *source_mirror(struct source *s)
{
    return s->mirror;
}

const struct source_options *source_options(const struct source *s)
{
    return &s->opt;
}

bool source_stopping(const struct source *s)
{
    return atomic_load(&s->leave);
}

const atomic_bool *source_stop_flag(const struct source *s)
{
    return &s->leave;
}

int source_wake_fd(const struct source *s)
{
    return s->wake_fd;
}

bool source_pause(struct source *s, int64_t duration_ns)
{
    int64_t deadline = clock_deadline(duration_ns);

    pthread_mutex_lock(&s->mu);
    while (!source_stopping(s) && clock_cond_wait(&s->changed, &s->mu, deadline))
        ;
    pthread_mutex_unlock(&s->mu);
    return !source_stopping(s);
}

void source_is_copying(struct source *s)
{
    set_state(s, COPYING, "");
}

void source_is_following(struct source *s)
{
    set_state(s, FOLLOWING, "");
}

void source_note(struct source *s, const char *note)
{
    pthread_mutex_lock(&s->mu);
    bool news = s->state == FOLLOWING && strcmp(s->reason, note) != 0;
    if (news)
        snprintf(s->reason, sizeof s->reason, "%s", note);
    pthread_mutex_unlock(&s->mu);
    if (news && *note)
        LOG_WARN("following the source", LOG_STR("source", s->opt.driver->kind),
                 LOG_STR("db", s->opt.database), LOG_STR("note", note));
}

void source_copied(struct source *s, uint64_t rows)
{
    atomic_fetch_add(&s->copied_rows, rows);
}

enum err_code source_commit(struct source *s, const char *position, int64_t server_time_ns,
                            uint64_t transactions, struct err *e)
{
    uint64_t changes = mirror_pending_changes(s->mirror);
    enum err_code code = mirror_commit(s->mirror, position, server_time_ns, e);

    if (code != ERR_OK)
        return code;
    atomic_fetch_add(&s->transactions, transactions);
    atomic_fetch_add(&s->changes, changes);
    set_position(s, position, server_time_ns);
    return ERR_OK;
}

void source_behind(struct source *s, uint64_t amount)
{
    atomic_store(&s->lag, amount);
}

/* ---- whose turn it is ---- */

/* s->mu is held. */
static void tell_to_leave(struct source *s)
{
    uint64_t one = 1;

    atomic_store(&s->leave, true);
    pthread_cond_broadcast(&s->changed);
    if (write(s->wake_fd, &one, sizeof one) < 0) /* it is readable already */
        return;
}

/* The lease's thread. */
static void lease_changed(void *arg)
{
    struct source *s = arg;

    pthread_mutex_lock(&s->mu);
    if (s->lease && !lease_held(s->lease))
        tell_to_leave(s);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mu);
}

static enum err_code open_lease(struct source *s, struct err *e)
{
    const struct node_options *n = node_options(s->opt.node);
    struct database *d = NULL;
    struct lease *l = NULL;
    char name[LEASE_NAME_SIZE];

    if (node_find(s->opt.node, s->opt.database, &d, e) != ERR_OK)
        return e->code;
    struct nats_client *client = database_link(d)->client;
    database_unref(d);
    if (!client)
        return ERR_OK;
    snprintf(name, sizeof name, "source-%s", s->opt.database);
    const struct lease_options o = {.stream = n->stream,
                                    .name = name,
                                    .holder = n->name,
                                    .note = "",
                                    .replicas = n->replicas,
                                    .candidate = true,
                                    .changed = lease_changed,
                                    .arg = s};
    enum err_code code = lease_open(&l, client, &o, e);
    pthread_mutex_lock(&s->mu);
    s->lease = l;
    pthread_mutex_unlock(&s->mu);
    return code;
}

/* What the file says already: a node that has been here before need not wait to be of use. */
static void look_at_file(struct source *s)
{
    struct buf position = BUF_INIT;
    struct err ignored = ERR_INIT;

    if (mirror_look(s->mirror, &position, &ignored) == ERR_OK)
        set_position(s, buf_cstr(&position), 0);
    buf_free(&position);
}

static void tell_who_follows(struct source *s)
{
    struct lease_view v;
    char reason[ERR_MSG_SIZE] = "the lease of the source is not taken yet";

    lease_look(s->lease, &v);
    if (v.held && !v.mine)
        snprintf(reason, sizeof reason, "node %.200s follows it", v.holder);
    set_state(s, WAITING, reason);
}

static bool is_turn(struct source *s)
{
    return !s->lease || lease_held(s->lease);
}

/* Until it is this node's turn; false: the node stops. */
static bool wait_for_turn(struct source *s)
{
    uint64_t drained;
    bool turn = false;

    while (!turn && !atomic_load(&s->stop)) {
        if (!is_turn(s)) {
            tell_who_follows(s);
            look_at_file(s);
        }
        pthread_mutex_lock(&s->mu);
        while (!atomic_load(&s->stop) && !is_turn(s) &&
               clock_cond_wait(&s->changed, &s->mu, clock_deadline(LOOK_NS)))
            ;
        if (!atomic_load(&s->stop)) {
            atomic_store(&s->leave, false);
            if (read(s->wake_fd, &drained, sizeof drained) < 0)
                drained = 0;   /* nothing was in it */
            turn = is_turn(s); /* lost again before that would not be told once more */
        }
        pthread_mutex_unlock(&s->mu);
    }
    return turn;
}

/* ---- the thread ---- */

static uint64_t progress(const struct source *s)
{
    return atomic_load(
        &s->transactions); /* a copy is none: one that does not help is not repeated soon */
}

static void *follow(void *arg)
{
    struct source *s = arg;
    int64_t pause = SOURCE_PAUSE_LEAST_NS;

    look_at_file(s);
    while (wait_for_turn(s)) {
        struct err e = ERR_INIT;
        uint64_t before = progress(s);
        enum err_code code = s->opt.driver->follow(s->opt.arg, s, &e);
        mirror_rollback(s->mirror);
        if (source_stopping(s))
            continue;
        if (code == ERR_OK)
            err_set(&e, ERR_INTERNAL, "the source has ended without a reason");
        fail(s, &e);
        if (progress(s) != before)
            pause = SOURCE_PAUSE_LEAST_NS;
        source_pause(s, pause + clock_jitter(pause / 4));
        pause = pause * 2 < SOURCE_PAUSE_MOST_NS ? pause * 2 : SOURCE_PAUSE_MOST_NS;
    }
    set_state(s, STOPPED, "the node is shutting down");
    return NULL;
}

enum err_code source_start(struct source **out, const struct source_options *opt, struct err *e)
{
    struct source *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->opt = *opt;
    s->report = (struct node_source){.database = opt->database, .look = look, .arg = s};
    pthread_mutex_init(&s->mu, NULL);
    clock_cond_init(&s->changed);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum err_code code = ERR_OK;
    if (s->wake_fd < 0)
        code = err_set(e, ERR_IO, "eventfd: %s", strerror(errno));
    if (code == ERR_OK)
        code = mirror_open(&s->mirror, opt->node, opt->database, &s->leave, e);
    if (code == ERR_OK)
        code = open_lease(s, e);
    if (code == ERR_OK && pthread_create(&s->thread, NULL, follow, s) != 0)
        code = err_set(e, ERR_NO_MEMORY, "no thread for the source");
    if (code != ERR_OK) {
        source_free(s);
        return code;
    }
    s->started = true;
    node_set_source(opt->node, &s->report);
    *out = s;
    return ERR_OK;
}

void source_stop(struct source *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->mu);
    atomic_store(&s->stop, true);
    tell_to_leave(s);
    pthread_mutex_unlock(&s->mu);
}

void source_free(struct source *s)
{
    if (!s)
        return;
    if (s->started) {
        source_stop(s);
        pthread_join(s->thread, NULL);
        node_set_source(s->opt.node, NULL);
    }
    lease_close(s->lease);
    mirror_close(s->mirror);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mu);
    free(s);
}
