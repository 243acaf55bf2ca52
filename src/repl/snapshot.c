/*
 * Taking a snapshot:
 *
 *     copy ─ check ─ compress and write ─ read back ─ give the names
 *
 * What is killed in between leaves chunks without a name, which the next one that is taken sweeps
 * away when they are old enough.
 */
#include "repl/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/sha256.h"
#include "os/file.h"
#include "repl/pack.h"
#include "repl/unpack.h"
#include "sql/backup.h"
#include "sql/image.h"

#define SNAPSHOT_PIECE_BYTES ((size_t)128 * 1024)
#define SNAPSHOT_PASSES      3                /* over the file: copied, written, read back */
#define SNAPSHOT_SWEEP_NS    (3600 * CLOCK_S) /* how long an upload may take at most */
#define SNAPSHOT_NAME_NS     (30 * CLOCK_S)   /* while others keep writing into the bucket */
#define SNAPSHOT_SAY_NS      (5 * CLOCK_S)    /* between two lines about progress */

#define BUCKET_SIZE 128
#define NAME_SIZE   320

static void bucket_of(const struct snapshot_place *at, char out[BUCKET_SIZE])
{
    snprintf(out, BUCKET_SIZE, "%s_SNAPSHOTS", at->stream);
}

static void name_of(const struct snapshot_place *at, enum snapshot_generation g,
                    char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "%s%s", at->id, g == SNAPSHOT_PREVIOUS ? "/previous" : "");
}

static bool canceled(const struct snapshot_place *at, struct err *e)
{
    if (!at->cancel || !atomic_load(at->cancel))
        return false;
    err_set(e, ERR_INTERRUPTED, "the snapshot was canceled");
    return true;
}

/* ---- what a meta message says ---- */

static void describe(const struct snapshot_place *at, struct snapshot *s)
{
    char text[64];
    struct object_info *o = &s->object;
    o->n_tags = 0;
    object_set_tag(o, "ha-format", "1");
    object_set_tag(o, "ha-database", at->id);
    object_set_tag(o, "ha-node", s->node);
    object_set_tag(o, "ha-compression", "zstd");
    snprintf(text, sizeof text, "%" PRIu64, s->pos.seq);
    object_set_tag(o, "ha-seq", text);
    object_set_tag(o, "ha-message-id", s->pos.msg_id);
    object_set_tag(o, "ha-stream", s->pos.stream);
    snprintf(text, sizeof text, "%" PRId64, s->pos.stream_created);
    object_set_tag(o, "ha-stream-created", text);
    snprintf(text, sizeof text, "%" PRIu64, s->file_bytes);
    object_set_tag(o, "ha-size", text);
    object_set_tag(o, "ha-sha256", s->sha256);
}

static bool tag_number(const struct object_info *o, const char *key, uint64_t *out)
{
    const char *text = object_tag(o, key);
    char *end = NULL;
    if (!text || *text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool tag_text(const struct object_info *o, const char *key, char *out, size_t size)
{
    const char *text = object_tag(o, key);
    snprintf(out, size, "%s", text ? text : "");
    return text && strlen(text) < size;
}

static bool understand(struct snapshot *s)
{
    const struct object_info *o = &s->object;
    uint64_t created = 0;
    const char *format = object_tag(o, "ha-format"), *packed = object_tag(o, "ha-compression");
    if (!format || strcmp(format, "1") != 0 || !packed || strcmp(packed, "zstd") != 0)
        return false;
    bool ok = tag_number(o, "ha-seq", &s->pos.seq) &&
              tag_number(o, "ha-stream-created", &created) &&
              tag_number(o, "ha-size", &s->file_bytes) &&
              tag_text(o, "ha-message-id", s->pos.msg_id, sizeof s->pos.msg_id) &&
              tag_text(o, "ha-stream", s->pos.stream, sizeof s->pos.stream) &&
              tag_text(o, "ha-sha256", s->sha256, sizeof s->sha256);
    (void)tag_text(o, "ha-node", s->node, sizeof s->node);
    s->pos.stream_created = (int64_t)created;
    return ok;
}

enum err_code snapshot_find(const struct snapshot_place *at, enum snapshot_generation g,
                            struct snapshot *s, bool *found, struct err *e)
{
    char bucket[BUCKET_SIZE], name[NAME_SIZE];
    bucket_of(at, bucket);
    name_of(at, g, name);
    *s = (struct snapshot){.generation = g};
    enum err_code code = object_find(at->client, bucket, name, &s->object, found, e);
    if (code != ERR_OK || !*found)
        return code;
    *found = understand(s);
    if (!*found)
        LOG_WARN("an object in the snapshot store is no snapshot", LOG_STR("db", at->id),
                 LOG_STR("bucket", bucket), LOG_STR("object", name));
    return ERR_OK;
}

enum err_code snapshot_fits(const struct snapshot_place *at, const struct stream_state *log,
                            const struct snapshot *s, bool *fits, struct err *e)
{
    struct stream_message m;
    bool found = false;
    bool same = log->created_ns == s->pos.stream_created;
    *fits = false;
    if (s->pos.seq == 0 || s->pos.seq > log->last_seq || s->pos.seq + 1 < log->first_seq)
        return ERR_OK;
    if (s->pos.seq < log->first_seq) {
        *fits = same;
        return ERR_OK;
    }
    enum err_code code = stream_get(at->client, at->log, s->pos.seq, &m, &found, e);
    if (code != ERR_OK)
        return code;
    *fits = found ? strcmp(m.id, s->pos.msg_id) == 0 : same;
    stream_message_free(&m);
    return ERR_OK;
}

/* ---- reading ---- */

struct reading {
    const struct snapshot_place *at;
    const char *what;
    bool (*write)(void *arg, const void *bytes, size_t len);
    void *arg;
    struct snapshot_progress *progress;
    int64_t say_ns;
};

static void advance(struct reading *r, size_t n)
{
    if (!r->progress)
        return;
    uint64_t done = atomic_fetch_add(&r->progress->done_bytes, n) + n;
    if (clock_mono_ns() < r->say_ns)
        return;
    r->say_ns = clock_deadline(SNAPSHOT_SAY_NS);
    LOG_INFO(r->what, LOG_STR("db", r->at->id), LOG_UINT("bytes", done),
             LOG_UINT("of", atomic_load(&r->progress->total_bytes)));
}

static bool unpacked(void *arg, const void *bytes, size_t len)
{
    struct reading *r = arg;
    advance(r, len);
    return !(r->at->cancel && atomic_load(r->at->cancel)) &&
           (!r->write || r->write(r->arg, bytes, len));
}

static enum err_code read_object(struct reading *r, const struct snapshot *s, struct err *e)
{
    char bucket[BUCKET_SIZE];
    struct object_get *get = NULL;
    struct unpack *u = NULL;
    bucket_of(r->at, bucket);
    enum err_code code = object_get_open(&get, r->at->client, bucket, &s->object, e);
    if (code == ERR_OK)
        code = unpack_new(&u, s->file_bytes, s->sha256, unpacked, r, e);
    while (code == ERR_OK) {
        const char *bytes = NULL;
        size_t n = 0;
        code = object_get_next(get, &bytes, &n, e);
        if (code != ERR_OK || n == 0)
            break;
        code = unpack_add(u, bytes, n, e);
    }
    if (code == ERR_OK)
        code = unpack_end(u, e);
    unpack_free(u);
    object_get_free(get);
    return code == ERR_OK ? ERR_OK
                          : err_wrap(e, "snapshot %" PRIu64 " of \"%s\"", s->pos.seq, r->at->id);
}

enum err_code snapshot_read(const struct snapshot_place *at, const struct snapshot *s,
                            bool (*write)(void *arg, const void *bytes, size_t len), void *arg,
                            struct snapshot_progress *progress, struct err *e)
{
    struct reading r = {.at = at,
                        .what = "reading a snapshot",
                        .write = write,
                        .arg = arg,
                        .progress = progress,
                        .say_ns = clock_deadline(SNAPSHOT_SAY_NS)};
    return read_object(&r, s, e);
}

struct target {
    int fd;
    int failed; /* errno */
};

static bool write_file(void *arg, const void *bytes, size_t len)
{
    struct target *t = arg;
    t->failed = file_write_all(t->fd, bytes, len);
    return t->failed == 0;
}

static enum err_code check_loaded(const struct snapshot_place *at, const struct snapshot *s,
                                  const char *path, struct err *e)
{
    struct image img;
    enum err_code code =
        image_check(path, at->extensions, &(struct watch){.cancel = at->cancel}, &img, e);
    if (code != ERR_OK)
        return code;
    if (!img.has_position || img.pos.seq != s->pos.seq ||
        strcmp(img.pos.msg_id, s->pos.msg_id) != 0)
        return err_set(e, ERR_CORRUPT,
                       "snapshot %" PRIu64 " of \"%s\" holds a file at position %" PRIu64,
                       s->pos.seq, at->id, img.pos.seq);
    return ERR_OK;
}

enum err_code snapshot_load(const struct snapshot_place *at, const struct snapshot *s,
                            const char *path, struct snapshot_progress *progress, struct err *e)
{
    image_remove(path);
    struct target t = {open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), 0};
    if (t.fd < 0)
        return file_error(e, "create", path, errno);
    enum err_code code = snapshot_read(at, s, write_file, &t, progress, e);
    if (t.failed)
        code = file_error(e, "write", path, t.failed);
    if (close(t.fd) != 0 && code == ERR_OK)
        code = file_error(e, "write", path, errno);
    FAULT_POINT("snapshot.loaded");
    if (code == ERR_OK)
        code = check_loaded(at, s, path, e);
    if (code != ERR_OK)
        image_remove(path);
    return code;
}

/* ---- writing ---- */

static enum err_code put_packed(void *put, const void *bytes, size_t len, struct err *e)
{
    return object_put_write(put, bytes, len, e);
}

/* Reads the file to its end: hashed, and compressed into the object. */
static enum err_code pour(struct reading *r, int fd, const char *path, struct pack *pack,
                          struct sha256 *sha, struct snapshot *s, struct err *e)
{
    char *piece = malloc(SNAPSHOT_PIECE_BYTES);
    enum err_code code = piece ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
    while (code == ERR_OK) {
        ssize_t n = read(fd, piece, SNAPSHOT_PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = file_error(e, "read", path, errno);
        else if (canceled(r->at, e))
            code = e->code;
        if (code != ERR_OK || n == 0)
            break;
        FAULT_POINT("snapshot.piece");
        sha256_add(sha, piece, (size_t)n);
        s->file_bytes += (size_t)n;
        code = pack_add(pack, piece, (size_t)n, e);
        advance(r, (size_t)n);
    }
    free(piece);
    return code == ERR_OK ? pack_end(pack, e) : code;
}

static enum err_code compress_file(struct reading *r, int fd, const char *path,
                                   struct object_put *put, struct snapshot *s, struct err *e)
{
    unsigned char digest[SHA256_SIZE];
    struct pack *pack = NULL;
    struct sha256 *sha = sha256_new();
    enum err_code code = pack_new(&pack, put_packed, put, e);
    if (code == ERR_OK)
        code = pour(r, fd, path, pack, sha, s, e);
    pack_free(pack);
    sha256_end(sha, digest);
    sha256_text(digest, s->sha256);
    sha256_free(sha);
    return code;
}

/* Writes the chunks, and reads them back. */
static enum err_code upload(struct reading *r, const char *bucket, const char *temp,
                            struct snapshot *s, struct err *e)
{
    struct object_put *put = NULL;
    int fd = open(temp, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return file_error(e, "open", temp, errno);
    enum err_code code = object_put_open(&put, r->at->client, bucket, e);
    if (code == ERR_OK)
        code = compress_file(r, fd, temp, put, s, e);
    if (code == ERR_OK)
        code = object_put_end(put, &s->object, e);
    object_put_free(put);
    close(fd);
    if (code != ERR_OK)
        return code;
    FAULT_POINT("snapshot.written");
    return read_object(r, s, e);
}

/* ---- the names ---- */

static enum publish_result give(const struct snapshot_place *at, const char *bucket,
                                const char *name, const struct snapshot *s, uint64_t *end,
                                struct err *e)
{
    struct snapshot named = *s;
    uint64_t seq = 0;
    describe(at, &named);
    enum publish_result result =
        object_name(at->client, bucket, name, &named.object, *end, &seq, e);
    if (result == PUBLISH_ACKED)
        *end = seq;
    return result;
}

/* The newest one is not a prefix of the log that we follow: what only it has must not be lost. */
static enum publish_result put_aside(const struct snapshot_place *at, const char *bucket,
                                     const struct snapshot *old, uint64_t *end, struct err *e)
{
    char name[NAME_SIZE + 32], when[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ns(), when);
    snprintf(name, sizeof name, "%s/aside-%s", at->id, when);
    enum publish_result result = give(at, bucket, name, old, end, e);
    if (result == PUBLISH_ACKED)
        LOG_WARN("a snapshot that does not belong to the log is kept under another name",
                 LOG_STR("db", at->id), LOG_UINT("seq", old->pos.seq), LOG_STR("object", name));
    return result;
}

struct state_of_names {
    struct snapshot newest, previous;
    bool has_newest, has_previous;
    uint64_t end; /* of the bucket's stream, from before the names were read */
};

static enum err_code read_names(const struct snapshot_place *at, const char *bucket,
                                struct state_of_names *n, struct err *e)
{
    struct stream_state st;
    bool found = false;
    enum err_code code = object_bucket_state(at->client, bucket, &st, &found, e);
    if (code == ERR_OK && !found)
        code = err_set(e, ERR_LOG_UNAVAILABLE, "the bucket \"%s\" is gone", bucket);
    if (code != ERR_OK)
        return code;
    n->end = st.last_seq;
    code = snapshot_find(at, SNAPSHOT_NEWEST, &n->newest, &n->has_newest, e);
    if (code == ERR_OK)
        code = snapshot_find(at, SNAPSHOT_PREVIOUS, &n->previous, &n->has_previous, e);
    return code;
}

enum relation { RELATION_OLDER, RELATION_NOT_OLDER, RELATION_FOREIGN };

/* What the store's newest snapshot is to a file at `pos`, which belongs to the log. */
static enum err_code compare(const struct snapshot_place *at, const struct snapshot *have,
                             const struct position *pos, enum relation *relation, struct err *e)
{
    struct stream_state log;
    bool found = false, fits = false;
    enum err_code code = stream_info(at->client, at->log, &log, &found, e);
    if (code != ERR_OK)
        return code;
    if (!found)
        return err_set(e, ERR_LOG_UNAVAILABLE, "there is no stream \"%s\"", at->log);
    if (have->pos.stream_created == pos->stream_created && have->pos.seq < log.first_seq)
        fits = true; /* older than all that is left of the log */
    else
        code = snapshot_fits(at, &log, have, &fits, e);
    *relation = !fits                      ? RELATION_FOREIGN
                : have->pos.seq < pos->seq ? RELATION_OLDER
                                           : RELATION_NOT_OLDER;
    return code;
}

/* One attempt; PUBLISH_CONFLICT: somebody wrote into the bucket meanwhile. */
static enum publish_result try_names(const struct snapshot_place *at, const char *bucket,
                                     struct snapshot *s, bool *fresh, struct err *e)
{
    struct state_of_names n;
    char name[NAME_SIZE];
    enum relation relation = RELATION_OLDER;
    enum publish_result result = PUBLISH_ACKED;
    if (read_names(at, bucket, &n, e) != ERR_OK)
        return PUBLISH_REFUSED;
    if (n.has_newest && compare(at, &n.newest, &s->pos, &relation, e) != ERR_OK)
        return PUBLISH_REFUSED;
    if (n.has_newest && relation == RELATION_NOT_OLDER && n.newest.pos.seq > s->pos.seq) {
        object_drop(at->client, bucket, s->object.nuid, e);
        err_clear(e);
        *s = n.newest;
        *fresh = false;
        return PUBLISH_ACKED;
    }
    if (n.has_newest && relation == RELATION_FOREIGN) {
        result = put_aside(at, bucket, &n.newest, &n.end, e);
    } else if (n.has_newest && n.newest.pos.seq < s->pos.seq) {
        name_of(at, SNAPSHOT_PREVIOUS, name);
        result = give(at, bucket, name, &n.newest, &n.end, e);
    } /* else: the newest is of this very position, and damaged */
    FAULT_POINT("snapshot.named");
    name_of(at, SNAPSHOT_NEWEST, name);
    if (result == PUBLISH_ACKED)
        result = give(at, bucket, name, s, &n.end, e);
    if (result != PUBLISH_ACKED)
        return result;
    const struct snapshot *gone = relation == RELATION_FOREIGN     ? NULL
                                  : n.newest.pos.seq == s->pos.seq ? &n.newest
                                  : n.has_previous                 ? &n.previous
                                                                   : NULL;
    bool shared = gone == &n.previous && strcmp(gone->object.nuid, n.newest.object.nuid) == 0;
    struct err ignored = ERR_INIT;
    if (n.has_newest && gone && !shared)
        object_drop(at->client, bucket, gone->object.nuid, &ignored);
    return PUBLISH_ACKED;
}

static enum err_code give_names(const struct snapshot_place *at, const char *bucket,
                                struct snapshot *s, bool *fresh, struct err *e)
{
    int64_t deadline = clock_deadline(SNAPSHOT_NAME_NS);
    enum publish_result result = PUBLISH_CONFLICT;
    struct err ignored = ERR_INIT;
    while (result == PUBLISH_CONFLICT && clock_mono_ns() < deadline && !canceled(at, e)) {
        err_clear(e);
        result = try_names(at, bucket, s, fresh, e);
    }
    if (result == PUBLISH_ACKED)
        return ERR_OK;
    if (result != PUBLISH_UNKNOWN) /* then the chunks may have a name */
        (void)object_drop(at->client, bucket, s->object.nuid, &ignored);
    if (e->code == ERR_OK || (result == PUBLISH_CONFLICT && e->code != ERR_INTERRUPTED))
        err_set(e, ERR_LOG_UNAVAILABLE, "others keep writing into the bucket \"%s\"", bucket);
    return e->code;
}

/* Whoever drops a database deletes its log first and then its snapshots. So a name that was given
 * while the log was still there is found by him, and one that was given later is taken back here.
 */
static enum err_code take_back_if_dropped(const struct snapshot_place *at, const char *bucket,
                                          const struct snapshot *s, struct err *e)
{
    struct stream_state log;
    bool found = false;
    char name[NAME_SIZE];
    FAULT_POINT("snapshot.listed");
    enum err_code code = stream_info(at->client, at->log, &log, &found, e);
    bool same = found && log.created_ns == s->pos.stream_created;
    /* Servers do not always agree on when a stream was created: the message decides. */
    if (code == ERR_OK && found && !same)
        code = snapshot_fits(at, &log, s, &same, e);
    if (code != ERR_OK || same)
        return code;
    for (int g = 0; g < SNAPSHOT_GENERATIONS && code == ERR_OK; g++) {
        struct snapshot there;
        code = snapshot_find(at, (enum snapshot_generation)g, &there, &found, e);
        if (code != ERR_OK || !found || there.pos.stream_created != s->pos.stream_created)
            continue;
        name_of(at, (enum snapshot_generation)g, name);
        code = object_delete(at->client, bucket, name, e);
    }
    return code == ERR_OK
               ? err_set(e, ERR_NO_DATABASE,
                         "database \"%s\" was dropped while its snapshot was taken", at->id)
               : code;
}

enum err_code snapshot_remove(const struct snapshot_place *at, struct err *e)
{
    char bucket[BUCKET_SIZE], name[NAME_SIZE];
    enum err_code code = ERR_OK;
    bucket_of(at, bucket);
    for (int g = 0; g < SNAPSHOT_GENERATIONS && code == ERR_OK; g++) {
        name_of(at, (enum snapshot_generation)g, name);
        code = object_delete(at->client, bucket, name, e);
    }
    return code;
}

enum err_code snapshot_remove_of(const struct snapshot_place *at, const int64_t *created, size_t n,
                                 unsigned *removed, struct err *e)
{
    char bucket[BUCKET_SIZE];
    bucket_of(at, bucket);
    *removed = 0;
    for (int g = 0; g < SNAPSHOT_GENERATIONS; g++) {
        struct snapshot s;
        bool found = false, gone = false;
        if (snapshot_find(at, (enum snapshot_generation)g, &s, &found, e) != ERR_OK)
            return e->code;
        for (size_t i = 0; found && !gone && i < n; i++)
            if (s.pos.stream_created == created[i] &&
                object_delete_exactly(at->client, bucket, &s.object, &gone, e) != ERR_OK)
                return e->code;
        *removed += gone ? 1 : 0;
    }
    return ERR_OK;
}

/* ---- all of it ---- */

/* What this node has must be what the log says, or the snapshot would spread it. */
static enum err_code check_prefix(const struct snapshot_place *at, const struct position *pos,
                                  struct err *e)
{
    struct stream_state log;
    struct snapshot own = {.pos = *pos};
    bool found = false, fits = false;
    enum err_code code = stream_info(at->client, at->log, &log, &found, e);
    if (code == ERR_OK && found)
        code = snapshot_fits(at, &log, &own, &fits, e);
    if (code != ERR_OK || fits)
        return code;
    return err_set(e, ERR_DIVERGED,
                   "the file of \"%s\" at %" PRIu64 " is not a prefix of its log: no snapshot",
                   at->id, pos->seq);
}

/* Does the store have this position already, undamaged? */
static enum err_code is_there(struct reading *r, const struct position *pos, struct snapshot *have,
                              bool *there, struct err *e)
{
    enum relation relation = RELATION_FOREIGN;
    enum err_code code = snapshot_find(r->at, SNAPSHOT_NEWEST, have, there, e);
    if (code != ERR_OK || !*there)
        return code;
    code = compare(r->at, have, pos, &relation, e);
    *there = code == ERR_OK && relation == RELATION_NOT_OLDER;
    if (!*there)
        return code;
    code = read_object(r, have, e);
    if (code != ERR_CORRUPT)
        return code;
    LOG_WARN("the newest snapshot is damaged, another one is taken", LOG_STR("db", r->at->id),
             LOG_UINT("seq", have->pos.seq), LOG_STR("reason", e->msg));
    err_clear(e);
    *there = false;
    return ERR_OK;
}

static void copy_begun(void *reading)
{
    const struct snapshot_place *at = ((struct reading *)reading)->at;
    if (at->begun)
        at->begun(at->arg);
}

/* Of a copy that is being made, or checked: then nobody can tell how far that is. */
static void copy_moved(void *reading, uint64_t done, uint64_t total)
{
    struct reading *r = reading;
    if (total > 0) {
        atomic_store(&r->progress->done_bytes, done);
        atomic_store(&r->progress->total_bytes, SNAPSHOT_PASSES * total);
    }
    if (clock_mono_ns() < r->say_ns)
        return;
    r->say_ns = clock_deadline(SNAPSHOT_SAY_NS);
    LOG_INFO(total > 0 ? "copying for a snapshot" : "checking the copy for a snapshot",
             LOG_STR("db", r->at->id), LOG_UINT("bytes", atomic_load(&r->progress->done_bytes)));
}

static enum err_code copy_and_check(struct reading *r, const char *path, const char *temp,
                                    struct image *img, struct err *e)
{
    const struct snapshot_place *at = r->at;
    const struct watch watch = {
        .cancel = at->cancel, .begun = copy_begun, .moved = copy_moved, .arg = r};
    enum err_code code = backup_to_file(path, temp, &watch, e);
    if (code == ERR_OK)
        code = image_check(temp, at->extensions, &watch, img, e);
    if (code != ERR_OK)
        return code;
    if (!img->has_position || img->pos.seq == 0)
        return err_set(e, ERR_LOG_UNAVAILABLE,
                       "database \"%s\" holds nothing of its log yet: there is nothing to snapshot",
                       at->id);
    if (img->outbox > 0)
        return err_set(e, ERR_BUSY,
                       "database \"%s\" holds %" PRIu64
                       " messages that are not in the log yet: a snapshot would not be a prefix of "
                       "it",
                       at->id, img->outbox);
    return ERR_OK;
}

static enum err_code take(const struct snapshot_place *at, const char *path, const char *temp,
                          struct snapshot_progress *progress, struct snapshot *s, bool *fresh,
                          struct err *e)
{
    char bucket[BUCKET_SIZE];
    struct image img;
    unsigned swept = 0;
    bool there = false;
    bucket_of(at, bucket);
    struct reading r = {.at = at,
                        .what = "taking a snapshot",
                        .progress = progress,
                        .say_ns = clock_deadline(SNAPSHOT_SAY_NS)};
    enum err_code code = copy_and_check(&r, path, temp, &img, e);
    FAULT_POINT("snapshot.copied");
    if (code == ERR_OK)
        code = check_prefix(at, &img.pos, e);
    if (code == ERR_OK)
        code = object_bucket(at->client, bucket, at->replicas, e);
    if (code == ERR_OK && object_sweep(at->client, bucket, SNAPSHOT_SWEEP_NS, &swept, e) != ERR_OK)
        code = e->code;
    if (swept > 0)
        LOG_INFO("left-overs of unfinished snapshots are deleted", LOG_UINT("objects", swept));
    if (code == ERR_OK)
        code = is_there(&r, &img.pos, s, &there, e);
    if (code != ERR_OK)
        return code;
    *fresh = !there;
    if (there)
        return ERR_OK;
    *s = (struct snapshot){.pos = img.pos};
    snprintf(s->node, sizeof s->node, "%s", at->node);
    atomic_store(&progress->done_bytes, img.bytes);
    atomic_store(&progress->total_bytes, SNAPSHOT_PASSES * img.bytes);
    code = upload(&r, bucket, temp, s, e);
    if (code == ERR_OK)
        code = give_names(at, bucket, s, fresh, e);
    return code == ERR_OK && *fresh ? take_back_if_dropped(at, bucket, s, e) : code;
}

enum err_code snapshot_take(const struct snapshot_place *at, const char *path, const char *temp,
                            struct snapshot_progress *progress, struct snapshot *s, bool *fresh,
                            struct err *e)
{
    int64_t start = clock_mono_ns();
    *s = (struct snapshot){0};
    *fresh = false;
    image_remove(temp);
    enum err_code code = take(at, path, temp, progress, s, fresh, e);
    image_remove(temp);
    if (code == ERR_OK && *fresh)
        LOG_INFO("snapshot taken", LOG_STR("db", at->id), LOG_UINT("seq", s->pos.seq),
                 LOG_UINT("bytes", s->file_bytes), LOG_UINT("stored", s->object.size),
                 LOG_INT("ms", (clock_mono_ns() - start) / CLOCK_MS));
    return code;
}
