/*
 * zstd-compressed bytes back into a file's, as they come: decompressed piece by piece, counted, and
 * compared with the size and SHA-256 that they should have. Bounded memory, whatever the bytes say
 * of themselves. One thread at a time.
 */
#ifndef HA_REPL_UNPACK_H
#define HA_REPL_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct unpack;

#define UNPACK_ANY UINT64_MAX

/* `size` may be UNPACK_ANY and `sha256` NULL: whatever comes, and zstd's own checksum has to do.
 * Otherwise `sha256` is hexadecimal, and copied; `write` answers false to end early
 * (ERR_INTERRUPTED). */
enum err_code unpack_new(struct unpack **out, uint64_t size, const char *sha256,
                         bool (*write)(void *arg, const void *bytes, size_t len), void *arg,
                         struct err *e);
/* ERR_CORRUPT: not zstd, damaged, or more than `size` bytes. */
enum err_code unpack_add(struct unpack *u, const void *bytes, size_t n, struct err *e);
/* ERR_CORRUPT: there is less than there should be, or other bytes. */
enum err_code unpack_end(struct unpack *u, struct err *e);
void unpack_free(struct unpack *u); /* NULL is fine */

#endif
