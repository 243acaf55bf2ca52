/*
 * Consistent copies of a database file: to another file (loading into memory, restoring), or as a
 * stream of bytes (download). The copy is the state of one moment, its ha_ tables included, so that
 * it says itself which prefix of the log it holds.
 *
 * The source is read in one read transaction: writers go on meanwhile, in WAL mode without noticing
 * (the WAL cannot be reset as long as the copy runs). The copy is a plain database file without
 * WAL, which also opens from a read-only medium. Memory is bounded whatever the size. Any thread;
 * blocks.
 */
#ifndef HA_SQL_BACKUP_H
#define HA_SQL_BACKUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sql/watch.h"

/* `dest` must not exist (ERR_DATABASE_EXISTS); it appears complete and synced, or not at all.
 * `watch` may be NULL. */
enum err_code backup_to_file(const char *source, const char *dest, const struct watch *watch,
                             struct err *e);

/* The copy is first written to a nameless file in `tmp_dir`, so that a slow receiver holds nothing
 * of the database. `size` is called once before the first byte (may be NULL); `write` gets pieces
 * of up to 64 KiB and answers false to end early (ERR_INTERRUPTED). `watch` may be NULL.
 */
struct backup_sink {
    void (*size)(void *arg, uint64_t bytes);
    bool (*write)(void *arg, const void *bytes, size_t len);
    void *arg;
};
enum err_code backup_stream(const char *source, const char *tmp_dir, const struct backup_sink *sink,
                            const struct watch *watch, struct err *e);

#endif
