/*
 * Backups as zstd streams. Written where the name says so (FILE.zst); read whatever the name, for a
 * stream says itself what it is. Bounded memory.
 */
#ifndef HA_CLI_PACKED_H
#define HA_CLI_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/bar.h"

bool packed_is_name(const char *file);
/* Is the open file a zstd stream? Reads its first bytes, whatever its offset. */
bool packed_is_file(int fd);

/* Writes the whole file `from` to the file `path`, open as `to`, compressed, and syncs it. */
enum err_code packed_write(int from, int to, const char *path, struct bar *bar, struct err *e);

/* Bytes on their way into a file, decompressed there if they are compressed. */
struct packed_sink {
    int fd;
    const char *path, *name; /* of the file, and of where the bytes come from, for messages */
    struct unpack *unpack;
    char head[4]; /* the first bytes, until there are enough to tell */
    size_t n_head;
    bool decided;
    int failed; /* errno */
    struct err *e;
};

/* All of it is borrowed. `e` gets what goes wrong. */
void packed_begin(struct packed_sink *s, int fd, const char *path, const char *name, struct err *e);
/* False: it cannot go on; *e says why. `sink` is a struct packed_sink. */
bool packed_take(void *sink, const void *bytes, size_t len);
/* Ends and syncs it; `code` is how it went so far. */
enum err_code packed_end(struct packed_sink *s, enum err_code code);

/* The bytes of the local file `name`, open as `from`, into the file `path`, open as `to`. */
enum err_code packed_read(int from, const char *name, int to, const char *path, struct bar *bar,
                          struct err *e);

#endif
