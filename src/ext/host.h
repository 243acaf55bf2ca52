/*
 * What the extension knows about one connection of its host: the tables that were made on it with
 * the module `ha`, by name, and what follows for them.
 *
 * A virtual table's own object does not live long enough: whenever the schema of the file changes,
 * and DDL that is replicated changes it, SQLite forgets the temporary schema, too, disconnects its
 * tables, and connects them again when they are used next. So they are kept here, until they are
 * dropped or the connection is closed.
 *
 * Only the thread that uses the connection calls these.
 */
#ifndef HA_EXT_HOST_H
#define HA_EXT_HOST_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ext/follower.h"
#include "ext/params.h"

/* A table of the module. */
struct host_table {
    struct host_table *next;
    char *name;
    struct ext_params params;
    /* of its one row */
    struct follower *follower; /* NULL: it has none */
    char *subject, *durable, *policy;
};

struct host {
    sqlite3 *db;
    struct host_table *tables;
    bool guarded;      /* guard.c */
    struct host *next; /* of the process: host.c */
};

/* The one of this connection. *known: the extension was loaded into it before. NULL: out of memory.
 */
struct host *host_of(sqlite3 *db, bool *known);
/* Of type void (*)(void *): the module is destroyed, with its connection. */
void host_close(void *host);

struct host_table *host_find(struct host *h, const char *name);
/* In the place of one of that name, which is stopped. `params` is taken over with its texts, in
 * every case. */
struct host_table *host_add(struct host *h, const char *name, struct ext_params *params);
void host_remove(struct host *h, struct host_table *t);
/* The one that has a row, NULL = none. */
struct host_table *host_following(struct host *h);

/* The row: subject is not NULL, durable and policy may be. */
enum err_code host_start(struct host *h, struct host_table *t, const char *subject,
                         const char *durable, const char *policy, struct err *e);
void host_stop(struct host *h, struct host_table *t);

/* The absolute name of the connection's main file; ERR_UNSUPPORTED, with the reason, where a
 * replica cannot live in it. */
enum err_code host_file(sqlite3 *db, char *out, size_t size, struct err *e);

/* `seq` of the position that this connection sees just now, and its log's name. *found = false: the
 * file is no replica. */
bool host_position(sqlite3 *db, uint64_t *seq, char *stream, size_t size);

/* From now on this connection's statements may not write to its main file, or may again. */
void guard_set(struct host *h, bool on);

#endif
