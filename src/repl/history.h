/*
 * The log as history: its transactions, in its order, up to what this node's file holds.
 *
 * Every function blocks (it asks JetStream) and may be called by any thread; a struct history is
 * used by one thread at a time. A message is read through a feed, which has the copy of one server,
 * or from the log's leader where the range is small; history_proves() tells whether what was read
 * is what the file was made of.
 */
#ifndef HA_REPL_HISTORY_H
#define HA_REPL_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/address.h"
#include "proto/changeset.h"
#include "repl/replica.h"
#include "sql/conn.h"

/* From where on. */
struct history_range {
    uint64_t from;        /* where the first message begins (its first part) … */
    struct address first; /* … of which this is the first transaction that is meant */
    uint64_t to;          /* the file's position */
    int64_t since_ns;     /* wall clock: history_since() was asked; else 0 */
    int64_t log_created;
};

/* What is to be done where the log does not reach back as far as it is asked to (any more). */
enum history_missing { HISTORY_REFUSE, HISTORY_BEGIN_LATER };

/*
 * From transaction `a` on; seq 0 is the last transaction that there is.
 * ERR_NOT_FOUND: there is no such message (yet). ERR_TOO_OLD: the log has it no more, the error
 * names the oldest one that it has. ERR_UNSUPPORTED: this node keeps no log.
 */
enum err_code history_from(struct replica *r, const struct address *a, enum history_missing missing,
                           struct history_range *out, struct err *e);
/* All that the log took in the last `ns`. */
enum err_code history_since(struct replica *r, int64_t ns, enum history_missing missing,
                            struct history_range *out, struct err *e);
/* At most the last `n` transactions. */
enum err_code history_last(struct replica *r, uint64_t n, struct history_range *out, struct err *e);

/* A message. Everything is borrowed until the next one. */
struct history_message {
    uint64_t first, seq; /* its parts stand there; both the same for a whole one */
    int64_t time_ns;     /* since 1970, when the log took it */
    const struct changeset_info *info;
    unsigned txs; /* how many transactions it holds; 0 = it only says that nothing follows others */
};

struct history;

/* `guard` (copied) ends the reading early: ERR_TIMEOUT, ERR_INTERRUPTED. */
enum err_code history_open(struct history **out, struct replica *r, uint64_t from, uint64_t to,
                           enum history_missing missing, const struct conn_guard *guard,
                           struct err *e);
void history_close(struct history *h);               /* NULL is fine */
void history_extend(struct history *h, uint64_t to); /* goes on to there */
uint64_t history_to(const struct history *h);

/* *m = NULL at the end. */
enum err_code history_next(struct history *h, const struct history_message **m, struct err *e);

/* With asynchronous replication a file is the log up to its position, and then what waits in its
 * outbox: the message behind *after (0 at first) there, as `c` sees it, the oldest first. Its seq
 * is 0. *m = NULL at the end. */
enum err_code history_next_unlogged(struct history *h, struct conn *c, uint64_t *after,
                                    const struct history_message **m, struct err *e);

/* Called with each change of the message, in order, and the 1-based place of its transaction.
 * Another result than ERR_OK ends it. Numbers of shapes are those of one reader for all messages.
 */
typedef enum err_code history_fn(void *arg, unsigned index, const struct change *c, struct err *e);
enum err_code history_changes(struct history *h, history_fn *each, void *arg, struct err *e);
/* How many changes transaction `index` has, and when it was made. */
struct changeset_tx history_tx(const struct history_message *m, unsigned index);

/* ERR_NOT_FOUND: the message holds no transaction `index`. */
enum err_code history_no_such(const struct history_message *m, unsigned index, struct err *e);

/* At the end: each message has named the one before it (serializable), and the last one is `id`, at
 * `seq`. ERR_LOG_UNAVAILABLE if not: the servers' copies of the log are different just now. */
enum err_code history_proves(const struct history *h, uint64_t seq, const char *id, struct err *e);

#endif
