/*
 * The object store's format. What a reader has to believe is only the meta message; chunks are
 * checked against it by their number, size and digest.
 *
 *     bucket             object_bucket, object_bucket_state
 *     names              object_find, object_name, object_delete
 *     writing chunks     object_put_*, object_drop
 *     left-overs         object_sweep
 *     reading chunks     object_get_*
 */
#include "nats/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/sha256.h"
#include "nats/internal.h"
#include "nats/message.h"

#define OBJECT_CHUNK_BYTES  ((size_t)128 * 1024)
#define OBJECT_HEAD_BYTES   ((size_t)1024)      /* of a message's headers, within max_payload */
#define OBJECT_META_MAX     ((size_t)64 * 1024) /* bytes of a meta message that are looked at */
#define OBJECT_WAIT_NS      (15 * CLOCK_S)      /* for the acknowledgement of a chunk */
#define OBJECT_GET_NS       (10 * CLOCK_S)      /* until a chunk must have come */
#define OBJECT_GET_MS       3000                /* one attempt at that */
#define OBJECT_MISSING_NS   (2 * CLOCK_S)       /* until a chunk that no replica has is lost */
#define OBJECT_PAUSE_NS     (50 * CLOCK_MS)
#define OBJECT_STREAM_SIZE  160
#define OBJECT_SUBJECT_SIZE 640

struct object_put {
    struct nats_client *client; /* borrowed */
    char stream[OBJECT_STREAM_SIZE];
    char subject[OBJECT_SUBJECT_SIZE];
    char nuid[ID_SIZE];
    struct sha256 *sha;
    char *chunk;
    size_t chunk_size, len; /* capacity, bytes that are in it */
    uint32_t chunks;        /* written */
    uint64_t size;          /* written and in the chunk */
};

struct object_get {
    struct nats_client *client; /* borrowed */
    char stream[OBJECT_STREAM_SIZE];
    char subject[OBJECT_SUBJECT_SIZE];
    struct object_info info;
    struct sha256 *sha;
    natsMsg *msg; /* the chunk that was given out last */
    uint64_t next_seq;
    uint32_t chunks;
    uint64_t size;
};

/* ---- names ---- */

static void stream_of(const char *bucket, char out[OBJECT_STREAM_SIZE])
{
    snprintf(out, OBJECT_STREAM_SIZE, "OBJ_%s", bucket);
}

static void chunk_subject(const char *bucket, const char *nuid, char out[OBJECT_SUBJECT_SIZE])
{
    snprintf(out, OBJECT_SUBJECT_SIZE, "$O.%s.C.%s", bucket, nuid);
}

static void to_url_alphabet(struct buf *b)
{
    for (size_t i = 0; i < b->len; i++) {
        if (b->data[i] == '+')
            b->data[i] = '-';
        else if (b->data[i] == '/')
            b->data[i] = '_';
    }
}

static void meta_subject(const char *bucket, const char *name, char out[OBJECT_SUBJECT_SIZE])
{
    struct buf b = BUF_INIT;
    base64_encode(&b, name, strlen(name));
    to_url_alphabet(&b);
    snprintf(out, OBJECT_SUBJECT_SIZE, "$O.%s.M.%s", bucket, buf_cstr(&b));
    buf_free(&b);
}

/* ---- bucket ---- */

enum err_code object_bucket(struct nats_client *c, const char *bucket, int replicas, struct err *e)
{
    char stream[OBJECT_STREAM_SIZE], subjects[OBJECT_SUBJECT_SIZE];
    struct stream_state st;
    stream_of(bucket, stream);
    snprintf(subjects, sizeof subjects, "$O.%s.C.>,$O.%s.M.>", bucket, bucket);
    struct stream_config cfg = {
        .name = stream, .subject = subjects, .replicas = replicas, .objects = true};
    return stream_ensure(c, &cfg, &st, e);
}

enum err_code object_bucket_state(struct nats_client *c, const char *bucket,
                                  struct stream_state *state, bool *found, struct err *e)
{
    char stream[OBJECT_STREAM_SIZE];
    stream_of(bucket, stream);
    return stream_info(c, stream, state, found, e);
}

/* ---- meta messages ---- */

static enum err_code find_subject(struct nats_client *c, const char *stream, const char *subject,
                                  struct object_info *info, bool *found, struct err *e)
{
    struct stream_message m;
    enum err_code code = stream_last(c, stream, subject, &m, found, e);
    if (code != ERR_OK || !*found)
        return code;
    *found = m.data && object_meta_read(m.data, m.len, info);
    info->seq = m.seq;
    info->time_ns = m.time_ns;
    stream_message_free(&m);
    return ERR_OK;
}

enum err_code object_find(struct nats_client *c, const char *bucket, const char *name,
                          struct object_info *info, bool *found, struct err *e)
{
    char stream[OBJECT_STREAM_SIZE], subject[OBJECT_SUBJECT_SIZE];
    stream_of(bucket, stream);
    meta_subject(bucket, name, subject);
    return find_subject(c, stream, subject, info, found, e);
}

enum publish_result object_name(struct nats_client *c, const char *bucket, const char *name,
                                const struct object_info *info, uint64_t expect_seq, uint64_t *seq,
                                struct err *e)
{
    char stream[OBJECT_STREAM_SIZE], subject[OBJECT_SUBJECT_SIZE], id[ID_SIZE];
    struct buf json = BUF_INIT;
    stream_of(bucket, stream);
    meta_subject(bucket, name, subject);
    id_next(id);
    object_meta_put(&json, bucket, name, info, OBJECT_CHUNK_BYTES, clock_wall_ns());
    enum publish_result result = PUBLISH_REFUSED;
    struct publish p = {.stream = stream,
                        .subject = subject,
                        .id = id,
                        .data = json.data,
                        .len = json.len,
                        .expect_seq = expect_seq,
                        .rollup = true};
    if (buf_ok(&json))
        result = stream_publish(c, &p, clock_deadline(OBJECT_WAIT_NS), seq, e);
    else
        err_set(e, ERR_NO_MEMORY, "out of memory");
    buf_free(&json);
    return result;
}

/* ---- writing ---- */

enum err_code object_put_open(struct object_put **out, struct nats_client *c, const char *bucket,
                              struct err *e)
{
    *out = NULL;
    struct object_put *p = calloc(1, sizeof *p);
    size_t payload = nats_client_max_payload(c);
    if (!p)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    p->client = c;
    p->chunk_size = OBJECT_CHUNK_BYTES;
    if (payload < OBJECT_CHUNK_BYTES + OBJECT_HEAD_BYTES)
        p->chunk_size = payload > 2 * OBJECT_HEAD_BYTES ? payload - OBJECT_HEAD_BYTES : 1024;
    id_next(p->nuid);
    stream_of(bucket, p->stream);
    chunk_subject(bucket, p->nuid, p->subject);
    p->sha = sha256_new();
    p->chunk = malloc(p->chunk_size);
    if (!p->chunk) {
        object_put_free(p);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    *out = p;
    return ERR_OK;
}

/* The id makes the server recognise a chunk that is sent again because its answer got lost. */
static enum err_code put_chunk(struct object_put *p, struct err *e)
{
    char id[ID_SIZE + 16];
    uint64_t seq = 0;
    snprintf(id, sizeof id, "%s.%" PRIu32, p->nuid, p->chunks);
    struct publish m = {.stream = p->stream,
                        .subject = p->subject,
                        .id = id,
                        .data = p->chunk,
                        .len = p->len,
                        .expect_seq = PUBLISH_ANY_SEQ};
    if (stream_publish(p->client, &m, clock_deadline(OBJECT_WAIT_NS), &seq, e) != PUBLISH_ACKED) {
        if (e->code == ERR_OK || e->code == ERR_UNKNOWN_OUTCOME)
            err_set(e, ERR_LOG_UNAVAILABLE, "the object store did not answer in time");
        return err_wrap(e, "writing an object");
    }
    p->chunks++;
    p->len = 0;
    return ERR_OK;
}

enum err_code object_put_write(struct object_put *p, const void *bytes, size_t n, struct err *e)
{
    const char *from = bytes;
    sha256_add(p->sha, bytes, n);
    p->size += n;
    while (n > 0) {
        size_t room = p->chunk_size - p->len;
        size_t take = n < room ? n : room;
        memcpy(p->chunk + p->len, from, take);
        p->len += take;
        from += take;
        n -= take;
        if (p->len == p->chunk_size && put_chunk(p, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}

static void digest_text(struct sha256 *s, char out[64])
{
    unsigned char digest[SHA256_SIZE];
    struct buf b = BUF_INIT;
    sha256_end(s, digest);
    base64_encode(&b, digest, sizeof digest);
    to_url_alphabet(&b);
    snprintf(out, 64, "SHA-256=%s", buf_cstr(&b));
    buf_free(&b);
}

enum err_code object_put_end(struct object_put *p, struct object_info *info, struct err *e)
{
    if (p->len > 0 && put_chunk(p, e) != ERR_OK)
        return e->code;
    snprintf(info->nuid, sizeof info->nuid, "%s", p->nuid);
    info->size = p->size;
    info->chunks = p->chunks;
    digest_text(p->sha, info->digest);
    return ERR_OK;
}

void object_put_free(struct object_put *p)
{
    if (!p)
        return;
    sha256_free(p->sha);
    free(p->chunk);
    free(p);
}

enum err_code object_drop(struct nats_client *c, const char *bucket, const char *nuid,
                          struct err *e)
{
    char stream[OBJECT_STREAM_SIZE], subject[OBJECT_SUBJECT_SIZE];
    stream_of(bucket, stream);
    chunk_subject(bucket, nuid, subject);
    return stream_purge(c, stream, subject, e);
}

enum err_code object_delete(struct nats_client *c, const char *bucket, const char *name,
                            struct err *e)
{
    char stream[OBJECT_STREAM_SIZE], subject[OBJECT_SUBJECT_SIZE];
    struct object_info info;
    bool found = false;
    enum err_code code = object_find(c, bucket, name, &info, &found, e);
    if (code != ERR_OK || !found)
        return code;
    stream_of(bucket, stream);
    meta_subject(bucket, name, subject);
    code = stream_purge(c, stream, subject, e);
    return code == ERR_OK ? object_drop(c, bucket, info.nuid, e) : code;
}

enum err_code object_delete_exactly(struct nats_client *c, const char *bucket,
                                    const struct object_info *info, bool *deleted, struct err *e)
{
    char stream[OBJECT_STREAM_SIZE];
    stream_of(bucket, stream);
    enum err_code code = stream_erase(c, stream, info->seq, deleted, e);
    return code == ERR_OK && *deleted ? object_drop(c, bucket, info->nuid, e) : code;
}

/* ---- left-overs ---- */

/* Is there a meta message among the stream's subjects that points at `nuid`? Where one cannot be
 * read the answer is yes. */
static bool is_named(struct nats_client *c, const char *stream, const jsStreamStateSubjects *list,
                     const char *meta_prefix, const char *nuid)
{
    for (int i = 0; i < list->Count; i++) {
        struct object_info info;
        struct err e = ERR_INIT;
        bool found = false;
        const char *subject = list->List[i].Subject;
        if (strncmp(subject, meta_prefix, strlen(meta_prefix)) != 0)
            continue;
        if (find_subject(c, stream, subject, &info, &found, &e) != ERR_OK ||
            (found && strcmp(info.nuid, nuid) == 0))
            return true;
    }
    return false;
}

static bool is_old(struct nats_client *c, const char *stream, const char *subject, int64_t age_ns)
{
    struct stream_message m;
    struct err e = ERR_INIT;
    bool found = false;
    if (stream_last(c, stream, subject, &m, &found, &e) != ERR_OK || !found)
        return false;
    bool old = clock_wall_ns() - m.time_ns > age_ns;
    stream_message_free(&m);
    return old;
}

enum err_code object_sweep(struct nats_client *c, const char *bucket, int64_t age_ns,
                           unsigned *dropped, struct err *e)
{
    char stream[OBJECT_STREAM_SIZE], chunks[OBJECT_SUBJECT_SIZE], metas[OBJECT_SUBJECT_SIZE];
    jsStreamInfo *si = NULL;
    jsErrCode jerr = 0;
    jsOptions o;
    *dropped = 0;
    stream_of(bucket, stream);
    chunk_subject(bucket, "", chunks);
    meta_subject(bucket, "", metas);
    jsOptions_Init(&o);
    o.Stream.Info.SubjectsFilter = "$O.>";
    natsStatus s = js_GetStreamInfo(&si, nats_client_js(c), stream, &o, &jerr);
    if (s != NATS_OK)
        return nats_failure(s, jerr, "bucket information", e);
    const jsStreamStateSubjects *list = si->State.Subjects;
    for (int i = 0; list && i < list->Count; i++) {
        const char *subject = list->List[i].Subject;
        const char *nuid = subject + strlen(chunks);
        if (strncmp(subject, chunks, strlen(chunks)) != 0 || !is_old(c, stream, subject, age_ns) ||
            is_named(c, stream, list, metas, nuid))
            continue;
        if (stream_purge(c, stream, subject, e) != ERR_OK)
            break;
        (*dropped)++;
    }
    jsStreamInfo_Destroy(si);
    return e->code;
}

/* ---- reading ---- */

enum err_code object_get_open(struct object_get **out, struct nats_client *c, const char *bucket,
                              const struct object_info *info, struct err *e)
{
    *out = NULL;
    struct object_get *g = calloc(1, sizeof *g);
    if (!g)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    g->client = c;
    g->info = *info;
    g->next_seq = 1;
    g->sha = sha256_new();
    stream_of(bucket, g->stream);
    chunk_subject(bucket, info->nuid, g->subject);
    *out = g;
    return ERR_OK;
}

/* A single message at a time, asked for: nothing ever waits in this process. Any replica may
 * answer, one that lags too, so a chunk that is not there is asked for again. */
static enum err_code fetch(struct object_get *g, struct err *e)
{
    int64_t deadline = clock_deadline(OBJECT_GET_NS);
    int64_t missing = clock_deadline(OBJECT_MISSING_NS);
    jsOptions o;
    jsDirectGetMsgOptions d;
    jsOptions_Init(&o);
    o.Wait = OBJECT_GET_MS;
    natsMsg_Destroy(g->msg);
    g->msg = NULL;
    for (;;) {
        jsDirectGetMsgOptions_Init(&d);
        d.Sequence = g->next_seq;
        d.NextBySubject = g->subject;
        natsStatus s = js_DirectGetMsg(&g->msg, nats_client_js(g->client), g->stream, &o, &d);
        if (s == NATS_OK)
            return ERR_OK;
        if (clock_mono_ns() >= (s == NATS_NOT_FOUND ? missing : deadline) || s == NATS_NO_MEMORY) {
            if (s == NATS_NOT_FOUND)
                return err_set(e, ERR_CORRUPT, "the object has %" PRIu32 " of %" PRIu32 " chunks",
                               g->chunks, g->info.chunks);
            return nats_failure(s, 0, "reading an object", e);
        }
        clock_nap(OBJECT_PAUSE_NS);
    }
}

enum err_code object_get_next(struct object_get *g, const char **bytes, size_t *n, struct err *e)
{
    char digest[64];
    *n = 0;
    if (g->chunks == g->info.chunks) {
        digest_text(g->sha, digest);
        if (g->size != g->info.size)
            return err_set(e, ERR_CORRUPT, "the object has %" PRIu64 " bytes instead of %" PRIu64,
                           g->size, g->info.size);
        if (g->info.digest[0] && strcmp(digest, g->info.digest) != 0)
            return err_set(e, ERR_CORRUPT, "the object's bytes do not have its digest");
        return ERR_OK;
    }
    if (fetch(g, e) != ERR_OK)
        return e->code;
    g->next_seq = natsMsg_GetSequence(g->msg) + 1;
    g->chunks++;
    *bytes = natsMsg_GetData(g->msg);
    *n = (size_t)natsMsg_GetDataLength(g->msg);
    g->size += *n;
    if (*n == 0 || g->size > g->info.size)
        return err_set(e, ERR_CORRUPT, "chunk %" PRIu32 " of the object has %zu bytes", g->chunks,
                       *n);
    sha256_add(g->sha, *bytes, *n);
    return ERR_OK;
}

void object_get_free(struct object_get *g)
{
    if (!g)
        return;
    natsMsg_Destroy(g->msg);
    sha256_free(g->sha);
    free(g);
}
