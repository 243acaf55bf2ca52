/*
 * An interceptor: the script of --interceptor at work in one database. Every message that the
 * applier brings, this node's own included, goes through it transaction by transaction:
 *
 *   before(cs, db) ── true ─────────────────────────────┐ skipped
 *        │ may take changes out of cs.changes, alter     │
 *        │ their new values, write to db                 │
 *        ▼                                               │
 *   what is left is applied ── a failure: undone, with ──┤
 *        │                     what before() has written │
 *        ▼                                               ▼
 *   after(cs, db, err) ── nothing: it stands ── or else an error stops the database here
 *
 * So on every node the same script gets the same changes on the same state, in the order of the
 * log, and comes to the same rows (I5). Failures that are this node's own are never shown to it.
 *
 * The message that an existing file's content came with is applied as it is: the node that has
 * the file has never applied it.
 *
 * The applier's thread, but for cancel.
 */
#ifndef HA_SCRIPT_INTERCEPTOR_H
#define HA_SCRIPT_INTERCEPTOR_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "base/spool.h"
#include "proto/changeset.h"
#include "script/script.h"
#include "sql/apply.h"

/* The longest that a transaction's functions may take, SQL included. */
#define INTERCEPTOR_TIME_NS (10 * (int64_t)1000000000)

struct interceptor;

/* `id` is the database's, `cancel` becomes true when the node ends. All borrowed. */
enum err_code interceptor_open(struct interceptor **out, const struct script *script,
                               const char *id, const atomic_bool *cancel, struct err *e);
void interceptor_close(struct interceptor *i); /* NULL is fine */

/* A whole message, from memory or from a spool. */
struct interceptor_message {
    const void *bytes; /* NULL: it is in the spool */
    size_t len;
    struct spool *spool;
    uint64_t seq;
};
/* As apply_message() and apply_spooled(): inside the transaction of `a`, and after a failure that
 * is to be rolled back. ERR_SCRIPT where the script has failed, or wants the database to stop. */
enum err_code interceptor_apply(struct interceptor *i, struct apply *a,
                                const struct interceptor_message *m,
                                const struct changeset_info **info, struct err *e);

#endif
