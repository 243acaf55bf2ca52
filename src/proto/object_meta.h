/*
 * The meta message of an object in JetStream's object store: JSON that says where the object's
 * chunks are, how many bytes they have and what their digest is, and whatever tags its writer put
 * there ("metadata"). Pure; any thread.
 */
#ifndef HA_PROTO_OBJECT_META_H
#define HA_PROTO_OBJECT_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define OBJECT_TAGS       16
#define OBJECT_KEY_SIZE   32
#define OBJECT_VALUE_SIZE 512

struct object_tag {
    char key[OBJECT_KEY_SIZE];
    char value[OBJECT_VALUE_SIZE];
};

struct object_info {
    char nuid[64]; /* where the chunks are */
    uint64_t size; /* bytes */
    uint32_t chunks;
    char digest[64]; /* "SHA-256=…", of all bytes */
    int64_t time_ns; /* when the meta message was stored, by the server's clock */
    uint64_t seq;    /* of the meta message in the bucket's stream */
    unsigned n_tags; /* the meta message's `metadata` */
    struct object_tag tags[OBJECT_TAGS];
};

/* NULL where there is no such tag. */
const char *object_tag(const struct object_info *info, const char *key);
/* A value that is too long is cut; more than OBJECT_TAGS are left out. */
void object_set_tag(struct object_info *info, const char *key, const char *value);

/* Appends the message; `chunk_bytes` is the largest chunk's size. Chunks, tags and digest come from
 * `info`. */
void object_meta_put(struct buf *b, const char *bucket, const char *name,
                     const struct object_info *info, size_t chunk_bytes, int64_t now_ns);

/* False: it describes nothing that could be read, an object that was deleted, say. Fills everything
 * but time_ns and seq. */
bool object_meta_read(const char *data, size_t len, struct object_info *info);

#endif
