/*
 * The local database as a mirror of a source: what the source's transactions did goes, together
 * with the source's position, into one local transaction, which is replicated like any other.
 *
 *   mirror_open ─ mirror_position ─ { mirror_begin ─ mirror_change… ─ mirror_commit | _rollback }
 *
 * The position is in the row with rowid 1 of the table ha_proxied_tracker (position TEXT,
 * server_time), which travels with the data: whatever node goes on, it goes on where the data ends.
 *
 * Changes are put aside, in memory and then in a temporary file, and run at the commit, in one go.
 * So nobody waits for a slow source, memory is bounded whatever a transaction's size, and a
 * transaction that another node has overtaken is run again without asking the source. What is wrong
 * with a change (no such table) is therefore told by mirror_commit().
 *
 * Several transactions of the source may go into one local one: the position is the last one's.
 *
 * After any error of mirror_commit() the caller asks mirror_position() anew and goes on from there;
 * ERR_UNKNOWN_OUTCOME is decided by it, too.
 *
 * Used by one thread at a time; only `stop` is set by others.
 */
#ifndef HA_PROXY_MIRROR_H
#define HA_PROXY_MIRROR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/value.h"

struct mirror;
struct node;
struct upstream_call;

enum mirror_op { MIRROR_INSERT, MIRROR_UPDATE, MIRROR_DELETE, MIRROR_TRUNCATE, MIRROR_SQL };

struct mirror_column {
    const char *name;
    struct value value;
};

struct mirror_change {
    enum mirror_op op;
    const char *table;                   /* NULL with MIRROR_SQL */
    const struct mirror_column *columns; /* INSERT, UPDATE: the new row; unknown ones left out */
    size_t n_columns;
    const struct mirror_column *keys; /* UPDATE, DELETE: the old row's key, or all its columns */
    size_t n_keys;                    /* UPDATE: 0 = the key is as in the new row */
    const char *sql;                  /* MIRROR_SQL: one statement, under the policy of users' */
};

/* `database` is an id, NULL the node's default one; it is kept open until mirror_close(). `stop`
 * (borrowed; NULL = none): as soon as it is true commits end with ERR_INTERRUPTED. */
enum err_code mirror_open(struct mirror **out, struct node *n, const char *database,
                          const atomic_bool *stop, struct err *e);
void mirror_close(struct mirror *m); /* NULL is fine */

/* Replaces `position` by what the tracker says once the file holds all that the log has now; empty:
 * nothing was ever followed. Commits are compared with it from then on. */
enum err_code mirror_position(struct mirror *m, struct buf *position, struct err *e);
/* When the log of the database was created, the same on all nodes; 0 = it has none. */
int64_t mirror_log_created(const struct mirror *m);
/* What the tracker of this node's file says just now: nothing is waited for, and commits are not
 * compared with it. */
enum err_code mirror_look(struct mirror *m, struct buf *position, struct err *e);
/* The same for whoever has no mirror; `database` is an id. Any thread. */
enum err_code mirror_peek(struct node *n, const char *database, struct buf *position,
                          struct err *e);
/* Waits until this node's file holds what `c` has written at the source: until `reached` says so of
 * the tracker. ERR_LAGGING behind the deadline; the call may end it, too. Any thread. */
enum err_code mirror_await(struct node *n, const struct upstream_call *c,
                           bool (*reached)(const void *wanted, const char *position, size_t len),
                           const void *wanted, int64_t deadline_ns, struct err *e);
/* A table of the local database as this node's file has it now: what is put aside does not count.
 */
struct mirror_table {
    char **columns;   /* names; generated ones, too */
    size_t n_columns; /* 0 = there is no such table */
};
enum err_code mirror_describe(struct mirror *m, const char *table, struct mirror_table *out,
                              struct err *e);
bool mirror_table_has(const struct mirror_table *t, const char *column); /* in any case */
/* For whoever keeps a description up to date with what it puts aside. */
enum err_code mirror_table_add(struct mirror_table *t, const char *column, struct err *e);
void mirror_table_free(struct mirror_table *t); /* a zeroed one is fine, too */
/* Is there such a table? */
enum err_code mirror_has_table(struct mirror *m, const char *table, bool *has, struct err *e);

enum err_code mirror_begin(struct mirror *m, struct err *e);
/* INSERT replaces a row of the same key, UPDATE of a missing row inserts it, DELETE of none is
 * fine. Everything is copied. Fails where memory or the disk for what is put aside does. */
enum err_code mirror_change(struct mirror *m, const struct mirror_change *c, struct err *e);
/* Compare-and-set: ERR_CONFLICT, and nothing is changed, where the tracker is not what
 * mirror_position() or the last commit has found. `server_time_ns` is when the source committed, in
 * ns since 1970; 0 = not known. Returns when the transaction is committed (I2). */
enum err_code mirror_commit(struct mirror *m, const char *position, int64_t server_time_ns,
                            struct err *e);
void mirror_rollback(struct mirror *m);

/* Of what is put aside, between begin and commit: for whoever decides when to commit. */
uint64_t mirror_pending_changes(const struct mirror *m);
uint64_t mirror_pending_bytes(const struct mirror *m);

#endif
