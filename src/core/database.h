/*
 * A database of the node: its replica and its pool of read connections. Counted: a session that
 * uses it keeps it alive, and closing waits for the last one. Any thread.
 */
#ifndef HA_CORE_DATABASE_H
#define HA_CORE_DATABASE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "core/node.h"
#include "repl/replica.h"
#include "repl/snapshot.h"

struct database;
struct link;

/* What this node knows of the database's snapshots. */
struct snapshot_record {
    struct snapshot_progress progress; /* of the one that is under way */
    atomic_bool running;
    _Atomic uint64_t seq, file_bytes, stored_bytes; /* of the newest known */
    _Atomic int64_t success_ns;                     /* wall clock, 0 = never */
    _Atomic uint64_t taken, failed;
    int64_t next_ns; /* the snapshot thread only: when to look again */
    /* guarded by mu */
    pthread_mutex_t mu;
    char reason[ERR_MSG_SIZE]; /* why the last one failed; "" = it did not */
};

/* How it compares with the other nodes after a restore. */
struct check_record {
    /* the ticker, or the thread that it has started for this database */
    uint64_t restores; /* those that have been looked at */
    unsigned tries;
    int64_t next_ns; /* not before */
    /* atomic; of the last comparison */
    _Atomic uint64_t seq;
    _Atomic int64_t time_ns; /* wall clock, 0 = there was none */
    atomic_bool equal;
};

/* `dsn` as on the command line; `memory_dir` is where files of -m live. Looks at names and
 * parameters and loads an existing file for -m; opens nothing else yet. */
enum err_code database_new(struct database **out, const struct node_options *opt, const char *dsn,
                           const char *memory_dir, struct err *e);
/* Instead of opening it: is there a file in its place, and when was the log created that this
 * belongs to, 0 = it belongs to none? An error: there is one, and it is no database that can be
 * read. */
enum err_code database_peek(const struct database *d, bool *there, int64_t *log_created,
                            struct err *e);
/* Opens the file and, where the node replicates, follows the log over `l`. Takes the node's mu. */
enum err_code database_open(struct database *d, struct node *n, struct link *l, struct err *e);
/* A reference to a database of the node; NULL id = the default one. ERR_NO_DATABASE. */
enum err_code node_find(struct node *n, const char *id, struct database **out, struct err *e);
struct database *database_ref(struct database *d);
void database_unref(struct database *d); /* the last one closes; NULL is fine */
/* No new statements from now on; running ones until the deadline. */
void database_stop(struct database *d, int64_t deadline_ns);
/* Its file did not exist: the catalog had it created by this process. */
void database_set_created(struct database *d);
bool database_is_created(const struct database *d);
/* After stop: deletes the files when the last reference goes. */
void database_remove_files(struct database *d);

const char *database_id(const struct database *d);
const char *database_path(const struct database *d);
struct replica *database_replica(const struct database *d); /* NULL before database_open() */
const struct link *database_link(const struct database *d); /* the same */

struct snapshot_record *database_snapshots(struct database *d);
struct check_record *database_checks(struct database *d);

/* The position that the roster last heard of (UINT64_MAX: none). */
uint64_t database_told(const struct database *d);
void database_set_told(struct database *d, uint64_t seq);

/* A read connection out of the pool, no longer than `deadline_ns` waited for (ERR_BUSY). */
enum err_code database_reader(struct database *d, int64_t deadline_ns, struct conn **out,
                              struct err *e);
void database_give(struct database *d, struct conn *c);
/* Now and then, from one thread: closes some of the read connections that have not been needed for
 * a second. Whoever gives one back closes none: where many clients read, another one wants it at
 * once, and to open one costs far more than a read. */
void database_tend(struct database *d, int64_t now_ns);

#endif
