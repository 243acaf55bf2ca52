/*
 * JetStream's object store: bytes of any size under a name, in a bucket, as every NATS client reads
 * and writes them.
 *
 * A bucket is the stream OBJ_<bucket>. An object's bytes are chunks on $O.<bucket>.C.<nuid>, and
 * its meta message on $O.<bucket>.M.<base64url(name)> says which nuid that is, how many bytes and
 * chunks there are, and their SHA-256. So bytes are written first and appear with the meta message,
 * in one step; and two names may point at the same chunks, which is how an older generation is kept
 * without copying it.
 *
 * Memory is bounded by one chunk. Every function may be called by any thread; a struct object_put
 * or object_get is used by one thread at a time.
 */
#ifndef HA_NATS_OBJECT_H
#define HA_NATS_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "nats/client.h"
#include "nats/stream.h"
#include "proto/object_meta.h"

/* Creates the bucket if it is missing. */
enum err_code object_bucket(struct nats_client *c, const char *bucket, int replicas, struct err *e);
/* *found = false where there is no such bucket; the state is that of its stream. */
enum err_code object_bucket_state(struct nats_client *c, const char *bucket,
                                  struct stream_state *state, bool *found, struct err *e);

/* *found = false where there is no such object, or it was deleted. */
enum err_code object_find(struct nats_client *c, const char *bucket, const char *name,
                          struct object_info *info, bool *found, struct err *e);
/* ---- writing ---- */

struct object_put;

enum err_code object_put_open(struct object_put **out, struct nats_client *c, const char *bucket,
                              struct err *e);
enum err_code object_put_write(struct object_put *p, const void *bytes, size_t n, struct err *e);
/* The last chunk; fills nuid, size, chunks and digest of `info`. The object has no name yet. */
enum err_code object_put_end(struct object_put *p, struct object_info *info, struct err *e);
void object_put_free(struct object_put *p); /* the chunks stay; NULL is fine */

/* Makes the chunks visible under `name`, if the bucket's stream ends with `expect_seq`:
 * PUBLISH_CONFLICT if it does not. The old chunks of that name stay. */
enum publish_result object_name(struct nats_client *c, const char *bucket, const char *name,
                                const struct object_info *info, uint64_t expect_seq, uint64_t *seq,
                                struct err *e);
/* Deletes chunks. */
enum err_code object_drop(struct nats_client *c, const char *bucket, const char *nuid,
                          struct err *e);
/* Takes the name away, and deletes its chunks. No such object is fine. */
enum err_code object_delete(struct nats_client *c, const char *bucket, const char *name,
                            struct err *e);
/* The same for that very object, `info` as object_find() has given it: one that has got the name
 * since then stays. *deleted = false where it has the name no more. */
enum err_code object_delete_exactly(struct nats_client *c, const char *bucket,
                                    const struct object_info *info, bool *deleted, struct err *e);
/* Deletes chunks that no name points at and that are older than `age_ns`: somebody began to write
 * an object and was killed. *dropped counts objects. */
enum err_code object_sweep(struct nats_client *c, const char *bucket, int64_t age_ns,
                           unsigned *dropped, struct err *e);

/* ---- reading ---- */

struct object_get;

/* `info` is copied. */
enum err_code object_get_open(struct object_get **out, struct nats_client *c, const char *bucket,
                              const struct object_info *info, struct err *e);
/* The next chunk, borrowed until the next call; *n = 0 at the end. ERR_CORRUPT where size or digest
 * are not what the meta message says, at the latest with the end. */
enum err_code object_get_next(struct object_get *g, const char **bytes, size_t *n, struct err *e);
void object_get_free(struct object_get *g); /* NULL is fine */

#endif
