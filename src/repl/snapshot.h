/*
 * Snapshots of a database in the object store <stream>_SNAPSHOTS: the whole SQLite file,
 * consistent, with its position inside, compressed with zstd. Two generations of each database are
 * kept:
 *
 *     <id>              the newest
 *     <id>/previous     the one before, the same chunks under another name
 *     <id>/aside-<UTC>  one that did not belong to the log any more when a newer one came
 *
 * A snapshot gets its name only after its bytes were read back and found to be those of the file
 * that was checked; names are given by compare-and-set on the bucket's stream, so that an older
 * snapshot never replaces a newer one. The meta message's tags say what is inside.
 *
 * Memory is bounded; the file lies on disk once more while a snapshot is taken or loaded. Any
 * thread; blocks. Nothing here has state of its own.
 */
#ifndef HA_REPL_SNAPSHOT_H
#define HA_REPL_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "nats/client.h"
#include "nats/object.h"
#include "nats/stream.h"
#include "sql/position.h"

/* What a snapshot is of; everything borrowed. */
struct snapshot_place {
    struct nats_client *client;
    const char *stream;            /* --replication-stream: the bucket is named after it */
    const char *log;               /* the database's own stream */
    const char *id;                /* of the database */
    const char *node;              /* who takes it */
    int replicas;                  /* of a bucket that has to be created */
    const char *const *extensions; /* NULL-terminated; NULL = none */
    const atomic_bool *cancel;     /* ends it with ERR_INTERRUPTED; NULL = never */
    void (*begun)(void *arg);      /* taking: the moment that it shows has passed; may be NULL */
    void *arg;
};

/* How far a run has got: written by the one that does it, read by anyone. */
struct snapshot_progress {
    _Atomic uint64_t done_bytes, total_bytes; /* of the file, over all passes; total 0 = unknown */
};

enum snapshot_generation { SNAPSHOT_NEWEST, SNAPSHOT_PREVIOUS, SNAPSHOT_GENERATIONS };

struct snapshot {
    struct object_info object;
    struct position pos; /* that the file inside has */
    uint64_t file_bytes; /* uncompressed */
    char sha256[65];     /* of the file */
    char node[256];      /* that took it */
    enum snapshot_generation generation;
};

/* Takes a snapshot of the file `path`; `temp` is a name for the copy. *fresh = false where the
 * store has one of this or a newer position already, which is then described. ERR_BUSY while the
 * file holds what the log does not have yet. */
enum err_code snapshot_take(const struct snapshot_place *at, const char *path, const char *temp,
                            struct snapshot_progress *progress, struct snapshot *s, bool *fresh,
                            struct err *e);

/* Both generations; of a database that is dropped. None is fine. */
enum err_code snapshot_remove(const struct snapshot_place *at, struct err *e);

/* Those that belong to a log that was created at one of `n` times, and no others. */
enum err_code snapshot_remove_of(const struct snapshot_place *at, const int64_t *created, size_t n,
                                 unsigned *removed, struct err *e);

/* *found = false where there is none, or none that can be understood. */
enum err_code snapshot_find(const struct snapshot_place *at, enum snapshot_generation g,
                            struct snapshot *s, bool *found, struct err *e);

/* Does the log continue this very snapshot, with all that came after it? The log says so by the
 * message at the snapshot's position or, where that has been dropped already, by its creation. */
enum err_code snapshot_fits(const struct snapshot_place *at, const struct stream_state *log,
                            const struct snapshot *s, bool *fits, struct err *e);

/* The file's bytes, in pieces; `write` answers false to end early (ERR_INTERRUPTED) and may be
 * NULL: then they are only compared with what the snapshot says. ERR_CORRUPT, after the last piece
 * at the latest. */
enum err_code snapshot_read(const struct snapshot_place *at, const struct snapshot *s,
                            bool (*write)(void *arg, const void *bytes, size_t len), void *arg,
                            struct snapshot_progress *progress, struct err *e);

/* Into the new file `path`, checked (PRAGMA integrity_check, position). */
enum err_code snapshot_load(const struct snapshot_place *at, const struct snapshot *s,
                            const char *path, struct snapshot_progress *progress, struct err *e);

#endif
