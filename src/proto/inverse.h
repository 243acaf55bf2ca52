/*
 * Changes turned round: what takes them back, in the order in which it has to be done.
 *
 * The inverse of an INSERT is the DELETE of what was inserted, that of a DELETE the INSERT of what
 * was deleted, and that of an UPDATE swaps its two images. A list of them is filled in the order of
 * the log, and read from its end: the newest change first. Old images of an inverse are what the
 * row has to be now, new ones what it was before.
 *
 * A list of any size takes bounded memory: it lies in a spool, and no more than its largest change
 * and a piece of it are in memory at a time. One thread at a time.
 */
#ifndef HA_PROTO_INVERSE_H
#define HA_PROTO_INVERSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/changeset.h"

/* The inverse, borrowed from `c`. False: a schema statement has none. */
bool inverse_of(const struct change *c, struct change *out);

struct inverse_list;

/* `dir` as for a spool (copied); NULL: no memory. */
struct inverse_list *inverse_list_new(const char *dir, size_t memory_limit);
void inverse_list_free(struct inverse_list *l); /* NULL is fine */

/* Turns `c` round and appends it: a change of the transaction `index` (1-based) of message `seq`. A
 * schema statement is left out. Failures are sticky, and told by inverse_list_error(). */
void inverse_list_add(struct inverse_list *l, const struct change *c, uint64_t seq, unsigned index);
enum err_code inverse_list_error(const struct inverse_list *l, struct err *e);

/* Where its end is: what is added later has a greater place. Cutting forgets what lies behind. */
uint64_t inverse_list_end(const struct inverse_list *l);
void inverse_list_cut(struct inverse_list *l, uint64_t end);

struct inverse {
    struct change change; /* `shape` as that of the change that was added; `database` is "main" */
    uint64_t seq;
    unsigned index;
    uint64_t place; /* at or behind inverse_list_end() of before it was added, and before that of
                       afterwards */
};

/* Reading begins at the end (anew). */
void inverse_list_rewind(struct inverse_list *l);
/* The one before the last that was read. *out is borrowed until the next call; NULL: there is none
 * left. */
enum err_code inverse_list_back(struct inverse_list *l, const struct inverse **out, struct err *e);

#endif
