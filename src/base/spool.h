/*
 * A byte sequence of any size in bounded memory: the first bytes live in memory, and once they
 * exceed a limit everything goes to an unlinked temporary file in a directory of the caller's
 * choice. Appended at the end, cut back to an earlier length, read at any offset.
 *
 * Failure is sticky as in buf.h: append returns nothing, spool_ok() tells at the end.
 * One thread at a time.
 */
#ifndef HA_BASE_SPOOL_H
#define HA_BASE_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct spool;

/* `dir` (copied) must exist; `memory_limit` in bytes. NULL when out of memory. */
struct spool *spool_new(const char *dir, size_t memory_limit);
void spool_free(struct spool *s);
void spool_reset(struct spool *s); /* empty again; gives the file back, clears a failure */

/* The tail to append to: any buf_* writer may be used on it. Call spool_flush() after each batch of
 * appends (once a change): it moves the tail to the file where the limit is exceeded. */
struct buf *spool_tail(struct spool *s);
void spool_flush(struct spool *s);

uint64_t spool_len(const struct spool *s);
void spool_cut(struct spool *s, uint64_t len); /* to an earlier length */
bool spool_ok(const struct spool *s);
enum err_code spool_error(const struct spool *s, struct err *e); /* why it failed: ERR_OK if not */

/* All bytes in memory? Then *data points at them (borrowed until the next append). */
bool spool_in_memory(const struct spool *s, const char **data);

/* Reads up to `n` bytes from `offset`; *got < n only at the end. */
enum err_code spool_read(struct spool *s, uint64_t offset, void *out, size_t n, size_t *got,
                         struct err *e);

#endif
