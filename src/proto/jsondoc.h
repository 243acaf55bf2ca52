/*
 * A JSON text as a tree in an arena: for messages of others whose shape is known only once they
 * were read, and whose values have to come out as they went in. Unlike base/json_tree.h, numbers
 * keep their digits, strings their length (they may hold NUL), and depth and size are bounded.
 *
 * Pure. Nodes and texts are borrowed from the arena. One thread at a time.
 */
#ifndef HA_PROTO_JSONDOC_H
#define HA_PROTO_JSONDOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define JSONDOC_MAX_DEPTH 64u      /* nested objects and arrays */
#define JSONDOC_MAX_NODES 2000000u /* of one text: at 72 bytes each */

enum jsondoc_type {
    JSONDOC_NULL,
    JSONDOC_FALSE,
    JSONDOC_TRUE,
    JSONDOC_NUMBER,
    JSONDOC_STRING,
    JSONDOC_ARRAY,
    JSONDOC_OBJECT
};

struct jsondoc {
    enum jsondoc_type type;
    const char *name; /* of a member: terminated; NULL elsewhere */
    const char *text; /* terminated; a number as it was written, a string without its escapes, "" */
    size_t len;       /* of that text; but of an array or object: how many are in it */
    struct jsondoc *first, *next; /* what is in it; what stands behind it in the same one */
};

/* ERR_FORMAT where that is no JSON (UTF-8, one value, nothing behind it), or a name holds a NUL;
 * ERR_TOO_BIG beyond the limits above; ERR_NO_MEMORY. */
enum err_code jsondoc_parse(struct arena *a, const char *text, size_t len,
                            const struct jsondoc **out, struct err *e);

/* NULL is of no type. */
static inline bool jsondoc_is(const struct jsondoc *d, enum jsondoc_type type)
{
    return d && d->type == type;
}

/* The member of an object with that name, else NULL; `d` may be NULL, or no object. */
const struct jsondoc *jsondoc_member(const struct jsondoc *d, const char *name);
/* The same where it is a string, else NULL. */
const char *jsondoc_string(const struct jsondoc *d, const char *name);

/* A number that is written as an integer of 64 bits. */
bool jsondoc_integer(const struct jsondoc *d, int64_t *out);

/* As JSON again, without blanks. */
void jsondoc_put(struct buf *b, const struct jsondoc *d);

#endif
