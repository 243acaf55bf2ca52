#include "repl/restore.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "repl/carry.h"
#include "repl/impl.h"
#include "repl/peer.h"
#include "repl/snapshot.h"
#include "sql/backup.h"
#include "sql/image.h"
#include "sql/outbox.h"

#define RESTORE_CONFIRM_LOOKS 3
#define RESTORE_CONFIRM_NS    (2 * CLOCK_S)
#define RESTORE_ASIDE_TRIES   100 /* in one second */

const char *verdict_name(enum verdict v)
{
    static const char *const names[] = {
        [VERDICT_OURS] = "ours",         [VERDICT_GAP] = "gap",
        [VERDICT_HOLE] = "hole",         [VERDICT_BROKEN] = "broken",
        [VERDICT_ANEW] = "created anew", [VERDICT_REWRITTEN] = "rewritten",
        [VERDICT_DIFFERS] = "differs",   [VERDICT_LOST_END] = "lost its end",
        [VERDICT_GONE] = "gone",
    };
    return names[v];
}

/* The file is a prefix of the log, but messages that follow it are gone, or cannot follow it. */
static bool is_prefix(enum verdict v)
{
    return v == VERDICT_GAP || v == VERDICT_HOLE || v == VERDICT_BROKEN;
}

static void temp_path(const struct replica *r, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s.restore", r->opt.conn.path);
}

void restore_clean(const struct replica *r)
{
    char temp[PATH_MAX];
    temp_path(r, temp);
    image_remove(temp);
    snprintf(temp, sizeof temp, "%s.restore.pages", r->opt.conn.path);
    image_remove(temp);
}

static struct snapshot_place place_of(const struct replica *r)
{
    return (struct snapshot_place){.client = r->opt.client,
                                   .stream = r->opt.stream,
                                   .log = r->stream,
                                   .id = r->opt.id,
                                   .node = r->opt.node,
                                   .replicas = r->opt.replicas,
                                   .extensions = r->opt.conn.extensions,
                                   .cancel = &r->cancel};
}

/* ---- a copy that the log continues ---- */

struct copy {
    char path[PATH_MAX];
    char from[160]; /* for people */
    struct position pos;
    struct buf
        in_log; /* ids (uint64_t) of the messages of the outbox that it contains, ascending */
};

static enum err_code from_beginning(struct replica *r, struct copy *c, struct err *e)
{
    struct image live;
    enum err_code code = image_describe(r->opt.conn.path, &live, e);
    if (code == ERR_OK)
        code = image_create(c->path, live.page_size, e);
    c->pos = (struct position){0};
    snprintf(c->from, sizeof c->from, "the log's beginning");
    return code;
}

/* ERR_NOT_FOUND: no snapshot that the log continues between `least` and `most`, or none that is
 * sound. */
static enum err_code from_snapshot(struct replica *r, const struct stream_state *st, uint64_t least,
                                   uint64_t most, struct copy *c, struct err *e)
{
    struct snapshot_place at = place_of(r);
    struct snapshot s;
    for (int g = 0; g < SNAPSHOT_GENERATIONS; g++) {
        bool found = false, fits = st->last_seq == 0;
        enum err_code code = snapshot_find(&at, (enum snapshot_generation)g, &s, &found, e);
        if (code == ERR_OK && found && !fits)
            code = snapshot_fits(&at, st, &s, &fits, e);
        if (code != ERR_OK)
            return code;
        if (!found || !fits || s.pos.seq < least || s.pos.seq > most)
            continue;
        atomic_store(&r->restoring.done_bytes, 0);
        atomic_store(&r->restoring.total_bytes, s.file_bytes);
        LOG_INFO("loading a snapshot", LOG_STR("db", r->opt.id), LOG_UINT("seq", s.pos.seq),
                 LOG_UINT("bytes", s.file_bytes));
        code = snapshot_load(&at, &s, c->path, &r->restoring, e);
        if (code == ERR_OK) {
            c->pos = s.pos;
            snprintf(c->from, sizeof c->from, "%s snapshot of node %.100s",
                     g == SNAPSHOT_NEWEST ? "the newest" : "the previous", s.node);
            return ERR_OK;
        }
        if (code != ERR_CORRUPT)
            return code;
        LOG_WARN("a snapshot is damaged", LOG_STR("db", r->opt.id), LOG_STR("reason", e->msg));
        err_clear(e);
    }
    return err_set(e, ERR_NOT_FOUND, "there is no snapshot that the log continues");
}

/* Does the log continue what another node has? */
static enum err_code peer_fits(void *replica, const struct position *pos, struct err *e)
{
    struct replica *r = replica;
    struct snapshot_place at = place_of(r);
    const struct snapshot copied = {.pos = *pos};
    struct stream_state log;
    bool found = false, fits = false;
    enum err_code code = stream_info(r->opt.client, r->stream, &log, &found, e);
    if (code == ERR_OK && found)
        code = snapshot_fits(&at, &log, &copied, &fits, e);
    if (code != ERR_OK || fits)
        return code;
    return err_set(e, ERR_NOT_FOUND, "another node's copy is not continued by the log");
}

/* What another node that follows the log has. ERR_NOT_FOUND: nobody, or nothing that the log
 * continues at `least` or later. */
static enum err_code from_peer(struct replica *r, uint64_t least, struct copy *c, struct err *e)
{
    const struct peer_wanted wanted = {.stream = r->opt.stream,
                                       .id = r->opt.id,
                                       .path = c->path,
                                       .extensions = r->opt.conn.extensions,
                                       .cancel = &r->cancel,
                                       .least = least,
                                       .fits = peer_fits,
                                       .arg = r};
    LOG_INFO("other nodes are asked for a copy", LOG_STR("db", r->opt.id));
    snprintf(c->from, sizeof c->from, "another node");
    return peer_copy(r->opt.client, &wanted, &c->pos, e);
}

/* Does the file hold transactions that are not in the log yet? They cannot be put on top of an
 * empty file. */
static enum err_code has_pending(const struct replica *r, bool *pending, struct err *e)
{
    struct image live;
    enum err_code code = image_describe(r->opt.conn.path, &live, e);
    *pending = code == ERR_OK && live.outbox > 0;
    return code;
}

static enum err_code find_copy(struct replica *r, const struct stream_state *st, struct copy *c,
                               struct err *e)
{
    uint64_t least = r->verdict == VERDICT_HOLE     ? r->hole_seq
                     : r->verdict == VERDICT_BROKEN ? r->broken_seq
                                                    : 0;
    /* A later one may be of this very file, or of one that is like it. */
    uint64_t most = r->verdict == VERDICT_DIFFERS ? r->proved.from : UINT64_MAX;
    bool pending = false;
    if (r->opt.mode == REPLICA_ASYNC && has_pending(r, &pending, e) != ERR_OK)
        return e->code;
    if (!is_prefix(r->verdict) && st->first_seq <= 1 && !pending)
        return from_beginning(r, c, e);
    enum err_code code = from_snapshot(r, st, least, most, c, e);
    if (code != ERR_NOT_FOUND)
        return code;
    err_clear(e);
    return from_peer(r, least, c, e);
}

/* ---- making it ready ---- */

/* SQLite puts a copy into a live file only if both have pages of the same size. */
static enum err_code fit_pages(struct replica *r, const struct copy *c, struct err *e)
{
    struct image live, copy;
    enum err_code code = image_describe(r->opt.conn.path, &live, e);
    if (code == ERR_OK)
        code = image_describe(c->path, &copy, e);
    if (code != ERR_OK || live.page_size == copy.page_size)
        return code;
    LOG_INFO("the copy is given pages of the file's size", LOG_STR("db", r->opt.id),
             LOG_INT("from", copy.page_size), LOG_INT("to", live.page_size));
    return image_repage(c->path, live.page_size, r->opt.conn.extensions,
                        &(struct watch){.cancel = &r->cancel}, e);
}

/* The copy belongs to this log, as this node knows it. */
static enum err_code tie(struct replica *r, const struct copy *c, struct err *e)
{
    struct conn_config cfg = r->opt.conn;
    struct apply *a = NULL;
    cfg.path = c->path;
    cfg.create = false;
    enum err_code code = apply_open(&a, &cfg, APPLY_LWW, r->opt.row_identify, e);
    if (code == ERR_OK)
        code = position_init(apply_conn(a), e);
    if (code == ERR_OK && r->opt.mode == REPLICA_ASYNC)
        code = outbox_create(apply_conn(a), e);
    if (code == ERR_OK)
        code = apply_begin(a, e);
    if (code == ERR_OK && r->opt.mode == REPLICA_ASYNC)
        code = carry_outbox(r, &c->in_log, c->pos.seq, a, e);
    if (code == ERR_OK)
        code = apply_commit(a, &c->pos, e);
    if (code != ERR_OK && a)
        apply_rollback(a);
    apply_close(a);
    return code;
}

/* ---- what is in the way ---- */

static void aside_name(const struct replica *r, unsigned attempt, char out[PATH_MAX])
{
    char stamp[32], again[16] = "";
    const char *path = r->opt.conn.path;
    const char *slash = strrchr(path, '/');
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    if (attempt > 0)
        snprintf(again, sizeof again, "-%u", attempt + 1);
    if (r->opt.aside_dir)
        snprintf(out, PATH_MAX, "%s/%s.diverged-%s%s", r->opt.aside_dir, slash ? slash + 1 : path,
                 stamp, again);
    else
        snprintf(out, PATH_MAX, "%s.diverged-%s%s", path, stamp, again);
}

/* The write lock is held. Nothing that only this file has is ever thrown away. */
static enum err_code keep_aside(struct replica *r, struct err *e)
{
    char name[PATH_MAX];
    bool content = false;
    enum err_code code = position_has_content(apply_conn(r->apply), &content, e);
    uint64_t version = atomic_load(&r->version);
    /* Another try at the same restore does not copy it again. */
    if (code != ERR_OK || !content || (r->has_aside && r->aside_version == version))
        return code;
    unsigned attempt = 0;
    do {
        err_clear(e);
        aside_name(r, attempt, name);
        code = backup_to_file(r->opt.conn.path, name, &(struct watch){.cancel = &r->cancel}, e);
    } while (code == ERR_DATABASE_EXISTS && ++attempt < RESTORE_ASIDE_TRIES);
    if (code != ERR_OK)
        return err_wrap(e, "keeping the file aside");
    FAULT_POINT("restore.aside");
    r->has_aside = true;
    r->aside_version = version;
    char full[PATH_MAX], live[PATH_MAX];
    const char *shown = realpath(name, full) ? full : name;
    pthread_mutex_lock(&r->mu);
    snprintf(r->stats.aside, sizeof r->stats.aside, "%s", shown);
    r->stats.divergences++;
    pthread_mutex_unlock(&r->mu);
    LOG_WARN(
        "the file is not a prefix of the log and is kept aside; ha diff FILE LIVE says what only "
        "it has",
        LOG_STR("db", r->opt.id), LOG_STR("file", shown),
        LOG_STR("live", realpath(r->opt.conn.path, live) ? live : r->opt.conn.path),
        LOG_UINT("seq", r->pos.seq), LOG_STR("verdict", verdict_name(r->verdict)));
    return ERR_OK;
}

/* ---- putting it in place ---- */

enum err_code restore_settle(struct replica *r, struct err *e)
{
    struct apply *fresh = NULL;
    if (!r->apply_stale)
        return ERR_OK;
    enum apply_mode mode = r->opt.mode == REPLICA_SERIALIZABLE ? APPLY_STRICT : APPLY_LWW;
    enum err_code code = apply_open(&fresh, &r->opt.conn, mode, r->opt.row_identify, e);
    if (code != ERR_OK)
        return code;
    apply_close(r->apply); /* it describes tables that are no more */
    r->apply = fresh;
    r->apply_stale = false;
    return ERR_OK;
}

/* The write lock is held. */
static enum err_code put_in_place(struct replica *r, const struct copy *c, bool aside,
                                  struct err *e)
{
    const struct watch watch = {.cancel = &r->cancel};
    enum err_code code = aside ? keep_aside(r, e) : ERR_OK;
    if (code == ERR_OK)
        code = tie(r, c, e);
    FAULT_POINT("restore.ready");
    if (code == ERR_OK)
        code = image_over(c->path, r->opt.conn.path, &watch, e);
    if (code != ERR_OK)
        return code;
    FAULT_POINT("restore.done");
    writer_schema_changed(r->writer);
    pthread_mutex_lock(&r->mu);
    r->stats.restores++;
    pthread_mutex_unlock(&r->mu);
    atomic_store(&r->tail_seq, c->pos.seq);
    atomic_store(&r->last_seq, c->pos.seq);
    r->import_id[0] = '\0';
    r->trouble_seq = 0; /* that was another file */
    digest_restart(r->digest, c->pos.seq);
    replica_advance(r, &c->pos);
    suspect_forget(r);
    r->apply_stale = true;
    return restore_settle(r, e);
}

static enum err_code replace(struct replica *r, struct copy *c, bool aside, struct err *e)
{
    /* As in verify_and_open(): asynchronous writers have gone on until here. */
    bool lock = r->opt.mode == REPLICA_ASYNC && r->pos.seq > 0;
    if (fit_pages(r, c, e) != ERR_OK)
        return e->code;
    if (r->opt.mode == REPLICA_ASYNC && c->pos.seq > 0 &&
        carry_find(r, is_prefix(r->verdict), c->pos.seq, &c->in_log, e) != ERR_OK)
        return err_wrap(e, "looking for the outbox's messages in the log");
    if (lock && !lock_take(r))
        return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    enum err_code code = put_in_place(r, c, aside, e);
    if (lock)
        lock_release(r);
    struct err ignored = ERR_INIT;
    if (code == ERR_OK)
        (void)conn_checkpoint(apply_conn(r->apply), true, &ignored);
    return code;
}

/* From here on nobody writes until the file stands in the log again; and nobody reads what is no
 * prefix of the log, or nothing at all. An old prefix may be read, as on a node that has lost its
 * connection. */
static void announce(struct replica *r, const struct err *why)
{
    pthread_mutex_lock(&r->mu);
    atomic_store(&r->unreadable, !is_prefix(r->verdict) || r->pos.seq == 0);
    bool news = r->state != REPLICA_STOPPED; /* else the reason is known, and longer */
    if (news) {
        r->state = REPLICA_STOPPED;
        r->reason = *why;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->mu);
    if (news)
        LOG_WARN("the log does not continue the file: a copy is looked for",
                 LOG_STR("db", r->opt.id), LOG_STR("reason", why->msg),
                 LOG_UINT("seq", r->pos.seq));
}

/* The file is about to be replaced; what is to be minded from then on. */
static void distrust(struct replica *r, const struct stream_state *st)
{
    uint64_t wrong = r->verdict == VERDICT_DIFFERS     ? r->proved.to
                     : r->verdict == VERDICT_REWRITTEN ? r->pos.seq
                                                       : 0;
    /* What was read here before is not to be missing from what is read next. */
    if (!is_prefix(r->verdict))
        r->behind_seq = st->last_seq;
    /* The next feed may read the same copy of the log, which still has the wrong message, and after
     * that perhaps more of them. */
    if (wrong > 0 && st->replicas > 1)
        r->leader_to = wrong + FEED_DOUBTED < st->last_seq ? wrong + FEED_DOUBTED : st->last_seq;
}

static enum err_code mend(struct replica *r, const struct stream_state *st, struct err *e)
{
    struct copy c = {.in_log = BUF_INIT};
    struct err why = *e;
    int64_t start = clock_mono_ns();
    announce(r, &why);
    atomic_store(&r->mending, true);
    temp_path(r, c.path);
    image_remove(c.path);
    err_clear(e);
    enum err_code code = find_copy(r, st, &c, e);
    FAULT_POINT("restore.loaded");
    if (code == ERR_OK) {
        c.pos.stream_created = st->created_ns;
        snprintf(c.pos.stream, sizeof c.pos.stream, "%s", r->stream);
        distrust(r, st);
        code = replace(r, &c, !is_prefix(r->verdict), e);
    }
    image_remove(c.path);
    buf_free(&c.in_log);
    atomic_store(&r->restoring.total_bytes, 0);
    atomic_store(&r->mending, false);
    if (code == ERR_NOT_FOUND) {
        *e = why;
        return err_wrap(e, "neither a snapshot nor another node has a copy that the log continues");
    }
    if (code != ERR_OK)
        return err_wrap(e, "restoring");
    LOG_INFO("database restored", LOG_STR("db", r->opt.id), LOG_STR("from", c.from),
             LOG_STR("because", why.msg), LOG_UINT("seq", c.pos.seq),
             LOG_INT("ms", (clock_mono_ns() - start) / CLOCK_MS));
    return ERR_OK;
}

/* ---- which side is right? ---- */

/* What the log has, it has; what it lacks may still come: three seconds after kills, servers of
 * 2.10.27 answered with an end 48 messages before the one that they knew soon after. And where only
 * a sum says that something is wrong, whoever answers as the leader is to be the leader. */
static bool may_still_come(enum verdict v)
{
    return v == VERDICT_LOST_END || v == VERDICT_GONE || v == VERDICT_DIFFERS;
}

/* The same verdict for a while: a server that was elected a moment ago may not know its own log. */
static bool is_confirmed(struct replica *r)
{
    int64_t now = clock_mono_ns();
    if (r->verdict_held != r->verdict) {
        r->verdict_held = r->verdict;
        r->verdict_since_ns = now;
        r->verdict_looks = 0;
    }
    r->verdict_looks++;
    int64_t patience = may_still_come(r->verdict) ? RESTORE_PATIENCE_NS : RESTORE_CONFIRM_NS;
    return r->verdict_looks >= RESTORE_CONFIRM_LOOKS && now - r->verdict_since_ns >= patience;
}

/* Does only this node have what the log lost? */
static enum err_code is_alone(struct replica *r, bool *alone, struct err *e)
{
    bool others = false;
    enum err_code code = r->opt.others(r->opt.others_arg, r->opt.id, &others, e);
    *alone = !others;
    return code;
}

enum err_code restore_anew(struct replica *r, const struct stream_state *st, struct err *e)
{
    const struct position none = {0};
    uint64_t was = r->pos.seq;
    enum err_code code = ERR_OK;
    if (st->last_seq > 0) /* nothing in it that the file does not have */
        code = stream_delete(r->opt.client, r->stream, e);
    if (code == ERR_OK)
        code = apply_begin(r->apply, e);
    if (code == ERR_OK) {
        code = apply_commit(r->apply, &none, e);
        if (code != ERR_OK)
            apply_rollback(r->apply);
    }
    if (code != ERR_OK)
        return code;
    atomic_store(&r->tail_seq, 0);
    atomic_store(&r->last_seq, 0);
    r->trouble_seq = 0;
    replica_advance(r, &none);
    LOG_WARN("the file begins a new log (--adopt)", LOG_STR("db", r->opt.id),
             LOG_STR("verdict", verdict_name(r->verdict)), LOG_UINT("seq", was));
    return ERR_OK;
}

enum err_code restore_mend(struct replica *r, const struct stream_state *st, bool *anew,
                           struct err *e)
{
    *anew = false;
    enum verdict v = r->verdict;
    if (is_prefix(v)) {
        pthread_mutex_lock(&r->mu);
        r->stats.gaps += r->verdict_held != v ? 1 : 0;
        pthread_mutex_unlock(&r->mu);
        r->verdict_held = v;
        return mend(r, st, e);
    }
    struct err why = *e;
    if (!is_confirmed(r)) /* asked again soon, like any server that has no answer yet */
        return may_still_come(v) ? err_set(e, ERR_LOG_UNAVAILABLE,
                                           "%.300s, or does not know it again yet", why.msg)
                                 : e->code;
    bool alone = false;
    if (v == VERDICT_LOST_END && is_alone(r, &alone, e) != ERR_OK)
        return e->code;
    *e = why;
    bool only = v == VERDICT_GONE || st->last_seq == 0 || alone;
    if (only && r->opt.adopt) {
        err_clear(e);
        *anew = true;
        return ERR_OK;
    }
    if (only && r->opt.read_only)
        return err_set(e, ERR_DIVERGED, "%.300s; remove the file to take the log as it is now",
                       why.msg);
    if (only)
        return err_set(e, ERR_DIVERGED,
                       "%.300s; start the node with --adopt to begin a new log with this file, or "
                       "move the file away to take the log's state",
                       why.msg);
    return mend(r, st, e);
}

enum err_code restore_begin(struct replica *r, const struct stream_state *st, bool *done,
                            struct err *e)
{
    struct copy c = {.in_log = BUF_INIT};
    atomic_store(&r->mending, true);
    temp_path(r, c.path);
    image_remove(c.path);
    enum err_code code = from_snapshot(r, st, 0, UINT64_MAX, &c, e);
    *done = code == ERR_OK;
    if (code == ERR_NOT_FOUND) {
        LOG_INFO("there is no snapshot to begin with", LOG_STR("db", r->opt.id));
        atomic_store(&r->mending, false);
        err_clear(e);
        return ERR_OK;
    }
    uint64_t seq = c.pos.seq;
    if (code == ERR_OK && st->last_seq == 0) {
        c.pos = (struct position){0};
    } else if (code == ERR_OK) {
        c.pos.stream_created = st->created_ns;
        snprintf(c.pos.stream, sizeof c.pos.stream, "%s", r->stream);
    }
    if (code == ERR_OK)
        code = replace(r, &c, false, e);
    image_remove(c.path);
    buf_free(&c.in_log);
    atomic_store(&r->restoring.total_bytes, 0);
    atomic_store(&r->mending, false);
    if (code == ERR_OK)
        LOG_INFO("database begins with a snapshot", LOG_STR("db", r->opt.id),
                 LOG_STR("from", c.from), LOG_UINT("seq", seq));
    return code == ERR_OK ? ERR_OK : err_wrap(e, "restoring");
}
