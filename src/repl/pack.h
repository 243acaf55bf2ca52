/*
 * A file's bytes as a zstd stream, piece by piece; the other way round is unpack.h. Bounded memory.
 * One thread at a time.
 */
#ifndef HA_REPL_PACK_H
#define HA_REPL_PACK_H

#include <stddef.h>

#include "base/err.h"

struct pack;

/* `write` gets what comes out; its failure is that of the function that called it. */
enum err_code pack_new(struct pack **out,
                       enum err_code (*write)(void *arg, const void *bytes, size_t len,
                                              struct err *e),
                       void *arg, struct err *e);
enum err_code pack_add(struct pack *p, const void *bytes, size_t n, struct err *e);
/* Writes the rest; with zstd's own checksum. */
enum err_code pack_end(struct pack *p, struct err *e);
void pack_free(struct pack *p); /* NULL is fine */

#endif
