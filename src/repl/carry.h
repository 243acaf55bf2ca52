/*
 * The outbox of a file that is replaced by a copy: transactions of this node that are committed
 * there and not in the log yet (asynchronous replication) go into the copy and on top of what it
 * holds, as they are in the file. Applier thread.
 */
#ifndef HA_REPL_CARRY_H
#define HA_REPL_CARRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "sql/apply.h"

struct replica;

/* Which messages of the outbox does a copy at `seq` contain? Their ids (uint64_t each) come
 * to `in_log`, which is empty, in ascending order. The log has them before that position, and the
 * applier, which begins behind it, never meets them. What the log has dropped by its age it does
 * not tell: such a message counts as not contained. `prefix`: the file is a prefix of the log, so
 * they stand behind their base. */
enum err_code carry_find(struct replica *r, bool prefix, uint64_t seq, struct buf *in_log,
                         struct err *e);
/* Into the copy at `seq`, in the transaction that is open in `a`. A message that the copy contains
 * does not go along, unless the log has lost an older one that goes: see O2 in debt.h. */
enum err_code carry_outbox(struct replica *r, const struct buf *in_log, uint64_t seq,
                           struct apply *a, struct err *e);

#endif
