/*
 * A set of rows, by table and key, that answers whether a change touches one of them. 16 bytes of a
 * digest stand for a row. Internal to undo; one thread at a time.
 */
#ifndef HA_REPL_UNDO_ROWS_H
#define HA_REPL_UNDO_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/changeset.h"

struct row_id {
    uint64_t a, b;
};

struct row_set {
    struct row_id *at; /* open addressing; all zeros = free */
    size_t n, cap;     /* cap: a power of two, or 0 */
    struct buf scratch;
};

void row_set_fini(struct row_set *s); /* a zeroed one is an empty set */
/* Its row before the change or afterwards is in the set. */
bool row_set_touches(struct row_set *s, const struct change *c);
/* Both of them. ERR_TOO_BIG beyond `max`. */
enum err_code row_set_add(struct row_set *s, const struct change *c, size_t max, struct err *e);

#endif
