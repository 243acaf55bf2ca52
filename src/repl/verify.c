/*
 * Is this our log? Asked whenever the connection to NATS has come (back), before a single message
 * is read or written. JetStream is trusted, and verified (I8).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repl/debt.h"
#include "repl/impl.h"
#include "sql/wipe.h"

static enum err_code gap(struct replica *r, const struct stream_state *st, struct err *e)
{
    r->verdict = VERDICT_GAP;
    return err_set(e, ERR_DIVERGED,
                   "the log begins at %" PRIu64 ", the file ends at %" PRIu64
                   ": messages in between are gone",
                   st->first_seq, r->pos.seq);
}

static enum err_code anew(struct replica *r, struct err *e)
{
    r->verdict = VERDICT_ANEW;
    return err_set(e, ERR_DIVERGED,
                   "stream \"%s\" was created anew: it is not the log that this file belongs to",
                   r->stream);
}

/* A file that belongs to a log: the same log, not shortened, the same message at our position, and
 * everything behind it still there.
 *
 * Servers of a cluster do not always agree on when a stream was created: after kills of a
 * nats-server 2.9 the time may change with the stream's leader. So another time only means that it
 * must be proved to be our log, by the message at our position. */
static enum err_code check_tied(struct replica *r, const struct stream_state *st, struct err *e)
{
    bool other = st->created_ns != r->pos.stream_created;
    bool provable = r->pos.seq > 0 && r->pos.msg_id[0] != '\0' && st->first_seq <= r->pos.seq;
    if (other && (!provable || st->last_seq < r->pos.seq))
        return anew(r, e);
    if (st->last_seq < r->pos.seq) {
        r->verdict = VERDICT_LOST_END;
        return err_set(e, ERR_DIVERGED,
                       "the log ends at %" PRIu64 ", the file is already at %" PRIu64
                       ": the log has lost its end",
                       st->last_seq, r->pos.seq);
    }
    if (st->first_seq > r->pos.seq + 1)
        return gap(r, st, e);
    if (!provable)
        return ERR_OK;
    struct stream_message m;
    bool found = false;
    enum err_code code = stream_get(r->opt.client, r->stream, r->pos.seq, &m, &found, e);
    if (code != ERR_OK)
        return code;
    if (!found) { /* aged out just now, or unknown to who answered: asked again before a write */
        r->hearsay = true;
        return other ? anew(r, e) : ERR_OK;
    }
    if (strcmp(m.id, r->pos.msg_id) != 0) {
        r->verdict = VERDICT_REWRITTEN;
        code = other ? anew(r, e)
                     : err_set(e, ERR_DIVERGED,
                               "message %" PRIu64
                               " of the log is \"%.40s\", the file contains \"%s\": the log was "
                               "rolled back and written anew",
                               r->pos.seq, m.id, r->pos.msg_id);
    }
    stream_message_free(&m);
    return code;
}

static enum err_code create_log(struct replica *r, struct stream_state *st, struct err *e)
{
    if (r->opt.read_only)
        return err_set(e, ERR_LOG_UNAVAILABLE, "there is no log \"%s\"", r->stream);
    struct stream_config cfg = {.name = r->stream,
                                .subject = r->subject,
                                .replicas = r->opt.replicas,
                                .max_age_ns = r->opt.max_age_ns};
    return stream_ensure(r->opt.client, &cfg, st, e);
}

static enum err_code start_position(struct replica *r, const struct stream_state *st,
                                    uint64_t *start, struct err *e)
{
    switch (r->opt.start) {
    case REPLICA_START_ALL:
        *start = 1;
        break;
    case REPLICA_START_LAST:
        *start = st->last_seq > 0 ? st->last_seq : 1;
        break;
    case REPLICA_START_NEW:
        *start = st->last_seq + 1;
        break;
    case REPLICA_START_SEQ:
        *start = r->opt.start_seq > 0 ? r->opt.start_seq : 1;
        if (*start > st->last_seq + 1)
            return err_set(e, ERR_CONFIG,
                           "--replication-policy asks for sequence %" PRIu64
                           ", the log ends at %" PRIu64,
                           *start, st->last_seq);
        break;
    case REPLICA_START_TIME:
        return stream_seq_at(r->opt.client, r->stream, r->opt.start_time_ns, start, e);
    }
    return ERR_OK;
}

enum err_code verify_tie(struct replica *r, const struct stream_state *st, uint64_t seq,
                         const char *id, struct err *e)
{
    struct position p = {.seq = seq, .stream_created = st->created_ns};
    memcpy(p.stream, r->stream, sizeof p.stream);
    snprintf(p.msg_id, sizeof p.msg_id, "%s", id);
    enum err_code code = apply_begin(r->apply, e);
    if (code != ERR_OK)
        return code;
    code = apply_commit(r->apply, &p, e);
    if (code != ERR_OK) {
        apply_rollback(r->apply);
        return code;
    }
    replica_stand(r, &p);
    atomic_store(&r->tail_seq, seq);
    return ERR_OK;
}

/* The file was chosen to begin the log anew (ha force-recover --replace-log): the one that it
 * belonged to, and no other, makes room. */
static enum err_code replace_log(struct replica *r, struct stream_state *st, struct err *e)
{
    LOG_WARN("the log gives way to the file, as ha force-recover has said",
             LOG_STR("db", r->opt.id), LOG_STR("stream", r->stream),
             LOG_UINT("messages", st->messages));
    enum err_code code = stream_delete(r->opt.client, r->stream, e);
    return code == ERR_OK ? create_log(r, st, e) : code;
}

/* A file that has not met a log yet. Empty: it begins where the policy says. With content and an
 * empty log: the content becomes the log's first message. With content and a log that has its own:
 * only one of them can be right, and nobody but the user knows which. */
static enum err_code adopt(struct replica *r, struct stream_state *st, struct err *e)
{
    bool content = false;
    uint64_t start = 1;
    enum err_code code = position_has_content(apply_conn(r->apply), &content, e);
    if (code == ERR_OK)
        code = start_position(r, st, &start, e);
    if (code != ERR_OK)
        return code;
    bool from_start = r->opt.start == REPLICA_START_ALL;
    if (content && from_start && r->opt.read_only)
        return err_set(e, ERR_DIVERGED,
                       "the file has content that is not of the log \"%s\": a replica begins with "
                       "an empty file, or with a copy of a node's",
                       r->stream);
    bool old = !r->pos.stream[0] && r->pos.stream_created == st->created_ns;
    if (content && from_start && st->last_seq > 0 && old) {
        code = replace_log(r, st, e);
        if (code != ERR_OK)
            return code;
    }
    if (content && from_start && st->last_seq == 0)
        return import_begin(r, st, e);
    if (content && from_start) {
        if (!r->opt.log_wins)
            return err_set(
                e, ERR_DIVERGED,
                "the file has content of its own, and the log \"%s\" already has %" PRIu64
                " messages; move the file away to take the log's, or give this "
                "database another name",
                r->stream, st->messages);
        LOG_WARN("content of the file gives way to the log", LOG_STR("db", r->opt.id));
        code = conn_wipe(apply_conn(r->apply), e);
        if (code == ERR_OK)
            code = position_init(apply_conn(r->apply), e);
        if (code != ERR_OK)
            return code;
        writer_schema_changed(r->writer);
        atomic_fetch_add(&r->version, 1);
    }
    if (from_start && r->opt.from_latest_snapshot && (st->last_seq > 0 || !r->opt.read_only)) {
        bool done = false;
        code = restore_begin(r, st, &done, e);
        if (code != ERR_OK)
            return code;
        if (done)
            return st->last_seq > 0 ? ERR_OK : import_begin(r, st, e);
    }
    if (from_start && st->first_seq > 1)
        return gap(r, st, e);
    r->import_id[0] = '\0';
    return verify_tie(r, st, start - 1, "", e);
}

/* Position 0: the file may belong to the log without holding anything of it yet. */
static enum err_code check_beginning(struct replica *r, struct stream_state *st, struct err *e)
{
    bool foreign = st->created_ns != r->pos.stream_created;
    if (r->opt.read_only && r->pos.msg_id[0])
        return err_set(e, ERR_DIVERGED,
                       "a node was about to make the content of this file the beginning of the log "
                       "\"%s\": it is that node's",
                       r->pos.stream);
    if (r->import_id[0]) {
        enum err_code code = import_resume(r, st, &foreign, e);
        if (code != ERR_OK || !foreign)
            return code;
    }
    return foreign ? adopt(r, st, e) : check_tied(r, st, e);
}

/* Settings of an existing stream are changed only where this node's flags ask for it. */
static enum err_code settle_settings(struct replica *r, const struct stream_state *st,
                                     struct err *e)
{
    if (r->opt.read_only)
        return ERR_OK;
    int replicas =
        r->opt.replicas_explicit && r->opt.replicas != st->replicas ? r->opt.replicas : -1;
    int64_t age =
        r->opt.max_age_explicit && r->opt.max_age_ns != st->max_age_ns ? r->opt.max_age_ns : -1;
    if (replicas < 0 && age < 0)
        return ERR_OK;
    return stream_change(r->opt.client, r->stream, replicas, age, e);
}

/* Two feeds have left a message out. It may have come back with a server that was away. */
static enum err_code hole(struct replica *r, struct err *e)
{
    struct stream_message m;
    bool found = false;
    enum err_code code = stream_get(r->opt.client, r->stream, r->hole_seq, &m, &found, e);
    if (code != ERR_OK)
        return code;
    stream_message_free(&m);
    if (found)
        return ERR_OK;
    r->verdict = VERDICT_HOLE;
    return err_set(e, ERR_DIVERGED, "message %" PRIu64 " of the log is gone", r->hole_seq);
}

/* Whose log is it, and does it continue the file? r->verdict tells what is wrong. */
static enum err_code judge(struct replica *r, struct stream_state *st, struct err *e)
{
    bool found = false;
    r->verdict = VERDICT_OURS;
    enum err_code code = stream_info(r->opt.client, r->stream, st, &found, e);
    if (code != ERR_OK)
        return code;
    bool tied = r->pos.stream[0] != '\0';
    if (!found && tied && r->pos.seq > 0) {
        r->verdict = VERDICT_GONE;
        return err_set(e, ERR_DIVERGED,
                       "the log is gone: there is no stream \"%s\", but the file contains it up to "
                       "%" PRIu64,
                       r->stream, r->pos.seq);
    }
    if (!found) {
        code = create_log(r, st, e);
        if (code != ERR_OK)
            return code;
        tied = false;
    } else {
        code = settle_settings(r, st, e);
        if (code != ERR_OK)
            return code;
    }
    if (!r->opt.read_only)
        import_take_mark(r);
    if (!tied)
        code = adopt(r, st, e);
    else if (r->pos.seq == 0)
        code = check_beginning(r, st, e);
    else
        code = check_tied(r, st, e);
    if (code == ERR_OK && r->proved.to > 0)
        code = suspect_judge(r, e);
    if (code == ERR_OK && r->opt.mend && r->broken_seq > r->pos.seq) {
        r->verdict = VERDICT_BROKEN;
        return err_set(e, ERR_DIVERGED,
                       "message %" PRIu64
                       " of the log follows another one than the log has before it",
                       r->broken_seq);
    }
    if (code == ERR_OK && r->opt.mend && debt_check(r, e) != ERR_OK) {
        r->verdict = e->code == ERR_DIVERGED ? VERDICT_REWRITTEN : r->verdict;
        code = e->code;
    }
    bool missing = r->hole_seq > r->pos.seq && r->hole_seq <= st->last_seq;
    return code == ERR_OK && r->opt.mend && missing ? hole(r, e) : code;
}

/* A restored file may be too old again: messages have gone while the copy was made. */
static enum err_code check_restored(struct replica *r, struct stream_state *st, struct err *e)
{
    bool found = false;
    enum err_code code = stream_info(r->opt.client, r->stream, st, &found, e);
    if (code != ERR_OK)
        return code;
    if (!found || st->last_seq < r->pos.seq)
        return err_set(e, ERR_LOG_UNAVAILABLE, "the log changed while its copy was restored");
    return st->first_seq > r->pos.seq + 1 ? gap(r, st, e) : ERR_OK;
}

/* As in verify_and_open(): asynchronous writers have gone on until here. They wait until the new
 * log begins with all that the file has. */
static enum err_code begin_anew(struct replica *r, struct stream_state *st, struct err *e)
{
    bool lock = r->opt.mode == REPLICA_ASYNC && r->pos.seq > 0;
    if (lock && !lock_take(r))
        return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
    enum err_code code = restore_anew(r, st, e);
    if (code == ERR_OK)
        code = judge(r, st, e);
    if (lock)
        lock_release(r);
    return code;
}

enum err_code verify_log(struct replica *r, struct err *e)
{
    struct stream_state st = {0};
    enum err_code code = restore_settle(r, e);
    if (code == ERR_OK)
        code = judge(r, &st, e);
    atomic_store(&r->disputed, code == ERR_DIVERGED);
    if (code == ERR_DIVERGED && r->verdict != VERDICT_OURS && r->opt.mend) {
        bool new_log = false;
        code = restore_mend(r, &st, &new_log, e);
        if (code == ERR_OK)
            code = new_log ? begin_anew(r, &st, e) : check_restored(r, &st, e);
    }
    if (code != ERR_OK)
        return code;
    r->verdict_held = VERDICT_OURS;
    r->log_copies = st.replicas > 1;
    r->hole_seq = 0;
    r->proved = (struct suspicion){0};
    r->broken_seq = 0;
    if (r->trouble_seq <= r->pos.seq || r->trouble_seq > st.last_seq)
        r->trouble_seq = 0;
    if (r->behind_seq > st.last_seq)
        r->behind_seq = st.last_seq;
    if (r->behind_seq <= r->pos.seq)
        r->behind_seq = 0;
    r->next_seq = r->pos.seq + 1;
    if (atomic_load(&r->owed_seq) > st.last_seq) /* the log has lost it */
        atomic_store(&r->owed_seq, 0);
    pthread_mutex_lock(&r->mu);
    r->target_seq = st.last_seq;
    if (atomic_load(&r->last_seq) < st.last_seq)
        atomic_store(&r->last_seq, st.last_seq);
    atomic_store(&r->tail_seq, r->pos.seq);
    r->chain_open = false;
    pthread_mutex_unlock(&r->mu);
    return ERR_OK;
}
