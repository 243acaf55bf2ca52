/*
 * The tables that a reader has met: (table, columns, pk_columns) → one shape with a number of its
 * own. Nearly every change has the shape of the change before it, and then finding it is three
 * memcmp.
 *
 * Names come as lists of terminated strings, one behind the other. A set keeps what it was given
 * until its limit is reached, then forgets everything; numbers are never used twice. Internal to
 * the changeset reader; one thread at a time.
 */
#ifndef HA_PROTO_CHANGESET_SHAPE_H
#define HA_PROTO_CHANGESET_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SHAPE_MAX       1024      /* shapes a set keeps */
#define SHAPE_RECENT    8         /* shapes that are looked for by their prefix */
#define SHAPE_MAX_BYTES (4 << 20) /* bytes of names a set keeps */

struct shape {
    uint64_t id;
    const char *table;
    const char *const *columns;
    const char *const *pk_columns;
    unsigned n_columns, n_pk;
    /* How our own writers begin a change of this shape: {"database":"main", … ,"operation": */
    const char *prefix;
    size_t prefix_len;
};

struct shape_set;

struct shape_set *shape_set_new(void);
void shape_set_free(struct shape_set *s); /* NULL is fine */

/* What a change says about its table, as it was read. */
struct shape_names {
    struct buf table, columns, pk_columns;
    unsigned n_columns, n_pk;
};

/* Borrowed until the next call. NULL: out of memory. */
const struct shape *shape_set_find(struct shape_set *s, const struct shape_names *names);

/* One of the shapes met last, if its prefix stands at p; else NULL. */
const struct shape *shape_set_at(struct shape_set *s, const char *p, size_t n);

#endif
