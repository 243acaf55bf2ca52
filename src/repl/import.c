/*
 * A file with content that meets an empty log becomes the log's first message. It has to end in one
 * of two ways, whatever is killed meanwhile and whoever else tries the same: the log begins with
 * this file's content and the file stands behind that message, or the log is somebody else's.
 *
 * So the file is marked before anything is published: position 0 of this log, with the id that the
 * message is going to have. As long as the mark is there, the log is asked what has become of it:
 *
 *   the message is there          the file contains it: the position moves behind it
 *   nothing but unfinished parts  they are dead, or somebody is writing: the import begins again
 * behind them once no more come another message               the log is somebody else's
 *
 * An asynchronous replica needs no more than the transaction that puts the message into the outbox:
 * it takes the mark away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/id.h"
#include "base/log.h"
#include "repl/impl.h"

void import_take_mark(struct replica *r)
{
    if (r->pos.seq > 0 || r->pos.msg_id[0] == '\0')
        return;
    memcpy(r->import_id, r->pos.msg_id, sizeof r->import_id);
    r->pos.msg_id[0] = '\0';
    atomic_store(&r->begun, false);
}

enum err_code import_begin(struct replica *r, const struct stream_state *st, struct err *e)
{
    char id[ID_SIZE];
    id_next(id);
    enum err_code code = verify_tie(r, st, 0, id, e);
    if (code != ERR_OK)
        return code;
    import_take_mark(r);
    FAULT_POINT("import.marked");
    code = group_import(r, st->last_seq, e);
    if (code == ERR_CONFLICT || code == ERR_UNKNOWN_OUTCOME)
        return err_set(
            e, ERR_LOG_UNAVAILABLE,
            "whether the content of the file has become the log's beginning will be seen");
    if (code != ERR_OK)
        return code;
    if (r->pos.seq == 0 && r->opt.mode != REPLICA_ASYNC)
        return err_set(
            e, ERR_DISK_FULL,
            "the content of the file is in the log, but its position not in the file yet");
    r->import_id[0] = '\0';
    atomic_store(&r->begun, true);
    LOG_INFO("the log begins with the content of the file", LOG_STR("db", r->opt.id),
             LOG_UINT("seq", r->pos.seq));
    return ERR_OK;
}

/* The part ids of one message are "<id>.<attempt>.<n>", its last one's is "<id>". */
static bool same_message(const char *part_id, const char *id)
{
    size_t n = strlen(id);
    return strncmp(part_id, id, n) == 0 && (part_id[n] == '\0' || part_id[n] == '.');
}

struct finding {
    uint64_t complete; /* seq of the last part of the log's first complete message, 0 = none yet */
    bool own;          /* it, or the last part found, is the import's */
};

static enum err_code look(struct replica *r, const struct stream_state *st, struct finding *f,
                          struct err *e)
{
    *f = (struct finding){0, true};
    for (uint64_t seq = st->first_seq > 0 ? st->first_seq : 1; seq <= st->last_seq; seq++) {
        struct stream_message m;
        bool found = false;
        enum err_code code = stream_get(r->opt.client, r->stream, seq, &m, &found, e);
        if (code != ERR_OK)
            return code;
        if (!found)
            continue;
        f->own = same_message(m.id, r->import_id);
        /* The last part is only ever written behind all the others. */
        if (m.part == m.parts)
            f->complete = seq;
        stream_message_free(&m);
        if (f->complete)
            return ERR_OK;
    }
    return ERR_OK;
}

static enum err_code settle(struct replica *r, uint64_t seq, struct err *e)
{
    struct position p = r->pos;
    p.seq = seq;
    memcpy(p.msg_id, r->import_id, sizeof p.msg_id);
    enum err_code code = apply_begin(r->apply, e);
    if (code == ERR_OK)
        code = apply_commit(r->apply, &p, e);
    if (code != ERR_OK) {
        apply_rollback(r->apply);
        return code;
    }
    r->import_id[0] = '\0';
    replica_stand(r, &p);
    LOG_INFO("the content of the file had reached the log", LOG_STR("db", r->opt.id),
             LOG_UINT("seq", seq));
    return ERR_OK;
}

enum err_code import_resume(struct replica *r, const struct stream_state *st, bool *foreign,
                            struct err *e)
{
    struct finding f;
    *foreign = false;
    if (st->created_ns != r->pos.stream_created) {
        *foreign = true;
        return ERR_OK;
    }
    enum err_code code = look(r, st, &f, e);
    if (code != ERR_OK)
        return code;
    if (f.complete && f.own)
        return settle(r, f.complete, e);
    if (f.complete) {
        *foreign = true;
        return ERR_OK;
    }
    if (!f.own &&
        (r->import_tail != st->last_seq || clock_mono_ns() - r->import_tail_ns < CHAIN_STALL_NS)) {
        if (r->import_tail != st->last_seq)
            r->import_tail_ns = clock_mono_ns();
        r->import_tail = st->last_seq;
        return err_set(e, ERR_LOG_UNAVAILABLE, "another node is writing the log's first message");
    }
    return import_begin(r, st, e);
}
