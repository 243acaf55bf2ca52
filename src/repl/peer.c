#include "repl/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "os/file.h"
#include "sql/backup.h"
#include "sql/image.h"

#define PEER_ASK_NS   CLOCK_S /* answers of other nodes are waited for */
#define PEER_MAX      64      /* nodes that are looked at */
#define PEER_ROUNDS   2
#define PEER_SAY_NS   (5 * CLOCK_S) /* between two lines about progress */
#define PEER_FILE_RW  0644
#define PEER_QUIET_NS (2 * CLOCK_S) /* that local writes may wait for a copy to begin */

void peer_prefix(const char *stream, char out[PEER_PREFIX_SIZE])
{
    snprintf(out, PEER_PREFIX_SIZE, "%s_RPC", stream);
}

/* ---- serving -------------------------------------------------------------------------------- */

static enum err_code following(struct replica *r, const char *node, struct replica_status *rs,
                               struct err *e)
{
    replica_status(r, rs);
    if (rs->suspected) /* whoever asks may want to get rid of just that */
        return err_set(e, ERR_STOPPED, "node \"%s\" has to ask the log's leader about its messages",
                       node);
    if (rs->state == REPLICA_FOLLOWING)
        return ERR_OK;
    return err_set(e, ERR_STOPPED, "node \"%s\" does not follow the log: %s", node, rs->reason);
}

enum err_code peer_serve_position(struct rpc_call *call, struct replica *r, const char *node,
                                  struct err *e)
{
    struct replica_status rs;
    (void)e;
    replica_status(r, &rs);
    if (rs.state == REPLICA_FOLLOWING)
        buf_printf(rpc_call_answer(call), "%" PRIu64 " %" PRId64 " %s", rs.seq,
                   replica_log_created(r), node);
    else
        buf_printf(rpc_call_answer(call), "! %s\n%s", node,
                   rs.reason[0] ? rs.reason : "it does not follow the log yet");
    return ERR_OK;
}

struct serving {
    struct rpc_call *call;
    struct replica *replica;
    bool quiet; /* local writes pause */
};

static void serve_size(void *arg, uint64_t bytes)
{
    rpc_call_size(((struct serving *)arg)->call, bytes);
}

static bool serve_write(void *arg, const void *bytes, size_t len)
{
    return rpc_call_write(((struct serving *)arg)->call, bytes, len);
}

static void serve_begun(void *arg)
{
    struct serving *s = arg;
    if (s->quiet)
        replica_resume(s->replica);
    s->quiet = false;
}

enum err_code peer_serve_copy(struct rpc_call *call, struct replica *r, const char *node,
                              const char *file, const char *tmp_dir, struct err *e)
{
    struct replica_status rs;
    struct serving s = {.call = call, .replica = r};
    const struct backup_sink sink = {.size = serve_size, .write = serve_write, .arg = &s};
    const struct watch watch = {.cancel = rpc_call_cancel(call), .begun = serve_begun, .arg = &s};
    int64_t begin = clock_mono_ns();
    if (following(r, node, &rs, e) != ERR_OK)
        return e->code;
    LOG_INFO("another node takes a copy", LOG_STR("db", file), LOG_UINT("seq", rs.seq));
    enum err_code code = replica_quiesce(r, clock_deadline(PEER_QUIET_NS), e);
    s.quiet = code == ERR_OK;
    if (code == ERR_OK)
        code = backup_stream(file, tmp_dir, &sink, &watch, e);
    else
        err_wrap(e, "node \"%s\"", node);
    serve_begun(&s);
    if (code == ERR_OK)
        LOG_INFO("another node has taken a copy", LOG_STR("db", file),
                 LOG_INT("ms", (clock_mono_ns() - begin) / CLOCK_MS));
    else
        LOG_WARN("another node could not take a copy", LOG_STR("db", file),
                 LOG_STR("reason", e->msg));
    return code;
}

/* ---- who has it ----------------------------------------------------------------------------- */

struct candidate {
    char node[ID_SIZE]; /* as rpc_self() */
    struct peer_position is;
};

struct candidates {
    const char *self;
    size_t n;
    struct candidate at[PEER_MAX];
};

bool peer_read_position(const struct rpc_answer *a, struct peer_position *out)
{
    char text[PEER_NAME_SIZE + ERR_MSG_SIZE + 64], *name = NULL;
    *out = (struct peer_position){0};
    if (a->err.code != ERR_OK || a->len >= sizeof text)
        return false;
    memcpy(text, a->data, a->len);
    text[a->len] = '\0';
    if (text[0] == '!' && text[1] == ' ') {
        char *why = strchr(text, '\n');
        if (!why)
            return false;
        *why = '\0';
        snprintf(out->name, sizeof out->name, "%.*s", PEER_NAME_SIZE - 1, text + 2);
        snprintf(out->stopped, sizeof out->stopped, "%.*s", ERR_MSG_SIZE - 1, why + 1);
        return out->stopped[0] != '\0';
    }
    out->seq = strtoull(text, &name, 10);
    if (name == text || *name != ' ')
        return false;
    (void)strtoll(name + 1, &name, 10);
    if (*name != ' ')
        return false;
    snprintf(out->name, sizeof out->name, "%.*s", PEER_NAME_SIZE - 1, name + 1);
    return true;
}

static bool take_candidate(void *arg, const struct rpc_answer *a)
{
    struct candidates *all = arg;
    struct candidate *c = &all->at[all->n];
    if (strcmp(a->node, all->self) == 0 || !peer_read_position(a, &c->is) || c->is.stopped[0])
        return true;
    memcpy(c->node, a->node, sizeof c->node);
    all->n++;
    return all->n < PEER_MAX;
}

static int furthest_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->is.seq < y->is.seq ? 1 : x->is.seq > y->is.seq ? -1 : 0;
}

/* ---- taking --------------------------------------------------------------------------------- */

struct taking {
    const char *id, *from;
    int fd;
    int failed; /* errno */
    uint64_t done, total;
    int64_t say_ns;
};

static void take_size(void *arg, uint64_t bytes)
{
    ((struct taking *)arg)->total = bytes;
}

static bool take_write(void *arg, const void *bytes, size_t len)
{
    struct taking *t = arg;
    t->done += len;
    t->failed = file_write_all(t->fd, bytes, len);
    if (t->failed != 0)
        return false;
    if (clock_mono_ns() >= t->say_ns) {
        t->say_ns = clock_deadline(PEER_SAY_NS);
        LOG_INFO("copying from another node", LOG_STR("db", t->id), LOG_STR("from", t->from),
                 LOG_UINT("bytes", t->done), LOG_UINT("of", t->total));
    }
    return true;
}

/* Is what came worth keeping? */
static enum err_code check(const struct peer_wanted *w, struct position *pos, struct err *e)
{
    struct image img;
    enum err_code code =
        image_check(w->path, w->extensions, &(struct watch){.cancel = w->cancel}, &img, e);
    if (code != ERR_OK)
        return code;
    if (!img.has_position)
        return err_set(e, ERR_CORRUPT, "the copy has no position");
    if (img.outbox > 0) /* they would be published twice */
        return err_set(e, ERR_BUSY, "the copy holds transactions that are not in the log yet");
    *pos = img.pos;
    if (pos->seq < w->least)
        return err_set(e, ERR_NOT_FOUND, "another node's copy is not as far as the log's rest");
    return w->fits ? w->fits(w->arg, pos, e) : ERR_OK;
}

/* *ours: it would fail in the same way with any other node. */
static enum err_code take_from(struct nats_client *c, const char *prefix,
                               const struct candidate *from, const struct peer_wanted *w,
                               struct position *pos, bool *ours, struct err *e)
{
    struct taking t = {.id = w->id, .from = from->is.name, .say_ns = clock_deadline(PEER_SAY_NS)};
    const struct rpc_reader reader = {
        .size = take_size, .write = take_write, .arg = &t, .cancel = w->cancel};
    const struct rpc_question q = {.prefix = prefix,
                                   .method = PEER_COPY,
                                   .target = from->node,
                                   .body = w->id,
                                   .len = strlen(w->id)};
    *ours = true;
    t.fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, PEER_FILE_RW);
    if (t.fd < 0)
        return file_error(e, "create", w->path, errno);
    LOG_INFO("copying from another node", LOG_STR("db", w->id), LOG_STR("from", from->is.name),
             LOG_UINT("seq", from->is.seq));
    enum err_code code = rpc_fetch(c, &q, &reader, NULL, e);
    if (t.failed)
        code = file_error(e, "write", w->path, t.failed);
    else if (code == ERR_OK && fsync(t.fd) != 0)
        code = file_error(e, "sync", w->path, errno);
    else if (code != ERR_OK)
        *ours = w->cancel && atomic_load(w->cancel);
    close(t.fd);
    if (code == ERR_OK) {
        code = check(w, pos, e);
        *ours = code != ERR_CORRUPT && code != ERR_BUSY && code != ERR_NOT_FOUND;
    }
    if (code != ERR_OK) {
        image_remove(w->path);
        return code;
    }
    LOG_INFO("copied from another node", LOG_STR("db", w->id), LOG_STR("from", from->is.name),
             LOG_UINT("seq", pos->seq), LOG_UINT("bytes", t.done));
    return ERR_OK;
}

static enum err_code round_of(struct nats_client *c, const char *prefix,
                              const struct peer_wanted *w, struct position *pos, bool *final,
                              struct err *e)
{
    struct candidates all = {.self = rpc_self(c)};
    const struct rpc_question q = {
        .prefix = prefix, .method = PEER_POSITION, .body = w->id, .len = strlen(w->id)};
    enum err_code code = rpc_ask(c, &q, clock_deadline(PEER_ASK_NS), take_candidate, &all, e);
    if (code != ERR_OK)
        return code;
    qsort(all.at, all.n, sizeof *all.at, furthest_first);
    while (all.n > 0 && all.at[all.n - 1].is.seq < w->least)
        all.n--;
    *final = all.n == 0;
    if (*final)
        return err_set(e, ERR_NOT_FOUND, "no other node has database \"%s\"", w->id);
    for (size_t i = 0; i < all.n && !*final; i++) {
        bool ours = false;
        err_clear(e);
        code = take_from(c, prefix, &all.at[i], w, pos, &ours, e);
        *final = code == ERR_OK || ours;
        if (!*final)
            LOG_WARN("no copy from another node", LOG_STR("db", w->id),
                     LOG_STR("from", all.at[i].is.name), LOG_STR("reason", e->msg));
    }
    return code;
}

enum err_code peer_copy(struct nats_client *c, const struct peer_wanted *w, struct position *pos,
                        struct err *e)
{
    char prefix[PEER_PREFIX_SIZE];
    enum err_code code = ERR_OK;
    bool final = false;
    peer_prefix(w->stream, prefix);
    for (int i = 0; i < PEER_ROUNDS && !final; i++) {
        err_clear(e);
        code = round_of(c, prefix, w, pos, &final, e);
    }
    return code;
}
