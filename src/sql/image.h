/*
 * A database file at rest, with no replica on it: a copy on its way out of a node or into one.
 * Memory is bounded whatever the size. Any thread; blocks.
 */
#ifndef HA_SQL_IMAGE_H
#define HA_SQL_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sql/position.h"
#include "sql/watch.h"

struct image {
    uint64_t bytes;
    int page_size;
    bool has_position; /* where not, pos is zeroed */
    struct position pos;
    uint64_t outbox; /* messages that its node had not published yet */
};

/* Reads the whole file (PRAGMA integrity_check): ERR_CORRUPT where it is no sound database. Needs
 * the extensions (NULL-terminated, NULL = none) that its indexes and virtual tables use. `watch`
 * may be NULL, here and below; nobody can tell how far a check is. The file is not changed. */
enum err_code image_check(const char *path, const char *const *extensions,
                          const struct watch *watch, struct image *out, struct err *e);
/* The same without the check. */
enum err_code image_describe(const char *path, struct image *out, struct err *e);

/* An empty database with pages of that size; `path` must not exist. */
enum err_code image_create(const char *path, int page_size, struct err *e);

/* Writes a file that nobody has open anew, with pages of that size and the same content, rowids
 * included. Needs its size once more beside it, as `<path>.pages`, for as long as it takes. */
enum err_code image_repage(const char *path, int page_size, const char *const *extensions,
                           const struct watch *watch, struct err *e);

/*
 * Puts the content of `source` into the live file `dest`, in place of everything that is there, in
 * one transaction: readers keep what they see until they begin anew, and a crash leaves the old
 * content or the new. Nobody else may write meanwhile. Both need pages of the same size
 * (ERR_UNSUPPORTED): see image_repage().
 */
enum err_code image_over(const char *source, const char *dest, const struct watch *watch,
                         struct err *e);

/* The file forgets which log it is a prefix of, and what it had not published yet: its content is
 * the beginning of a new one. `replace`: it remembers when that log was created, which is to make
 * room (position.h). Nobody may have it open. */
enum err_code image_untie(const char *path, bool replace, struct err *e);

/* Is it called like what SQLite puts beside a database? It would be taken for that. */
bool image_is_companion(const char *path);
/* Deletes the file and what SQLite puts beside it. */
void image_remove(const char *path);

#endif
