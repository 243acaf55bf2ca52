/*
 * Changes exactly as our own writers put them (changeset.h, sql/capture.c), read without a JSON
 * parser:
 *
 *   prefix of a shape met before, "INSERT"|"UPDATE"|"DELETE" [,"old_rowid":n] [,"new_rowid":n]
 *   [,"old_values":[…]] [,"new_values":[…]] }
 *
 * without white space, and with strings that need no escape. Whatever is different is not wrong,
 * only not read here: the reader gives it to yajl. Halves the time of a replay, because nearly all
 * changes of a log are of this kind. Internal to the changeset reader; one thread at a time.
 */
#ifndef HA_PROTO_CHANGESET_FAST_H
#define HA_PROTO_CHANGESET_FAST_H

#include <stdbool.h>

#include "proto/changeset.h"
#include "proto/changeset_shape.h"

struct fast {
    struct value *values; /* old and new ones, one behind the other */
    unsigned n, cap;
    struct buf bytes;  /* decoded base64 */
    unsigned *decoded; /* which values lie in `bytes`, as offsets until the change is complete */
    unsigned n_decoded;
};

void fast_free(struct fast *f); /* a zeroed one is ready for use */

/* A change that begins at p and ends before `end`: *c and *next are set, and *c is good until the
 * next call and while the input is. False: it is not (wholly) such a change. */
bool fast_change(struct fast *f, struct shape_set *shapes, const char *p, const char *end,
                 struct change *c, const char **next);

/* Finds the end of a JSON object in pieces, by counting braces outside of strings. */
struct fast_scan {
    unsigned depth;
    bool in_string, escaped;
};
/* Behind the brace that closes the object, or NULL if that is not in p … end. */
const char *fast_scan(struct fast_scan *s, const char *p, const char *end);

#endif
