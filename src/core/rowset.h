/*
 * Rows put aside, in memory and then in a temporary file: what is left of a paused read when its
 * session has something else to do, and what a cursor moves about in. One thread at a time.
 */
#ifndef HA_CORE_ROWSET_H
#define HA_CORE_ROWSET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/sink.h"

struct rowset;

struct rowset *rowset_new(const char *spool_dir); /* NULL: no memory */
void rowset_free(struct rowset *r);               /* NULL is fine */
/* Rows put in here (columns are forgotten) … */
struct sink *rowset_sink(struct rowset *r);
bool rowset_ok(const struct rowset *r); /* false: no memory, disk full */
/* … come out here in order; values are borrowed until the next call. False behind the last one. */
bool rowset_next(struct rowset *r, const struct value **values, unsigned *n);
uint64_t rowset_count(const struct rowset *r);
/* Chooses the row that comes next, 0-based. Costs a walk over the rows between. */
void rowset_seek(struct rowset *r, uint64_t row);

#endif
