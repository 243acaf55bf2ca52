/*
 * Messages of the outbox that the log has acknowledged and not delivered yet: it owes them. A log
 * that was rolled back has forgotten some. Here that is noticed, and they are published again.
 *
 * Invariants, for an outbox whose file is at position p:
 *
 *   O1  No message of the outbox stands in the log at or before p. The applier takes it out in the
 *       transaction that moves the position over it, and a restore does not carry over what the
 *       copy contains (carry.h). `base` is a place up to which that was known when the row was
 *       written.
 *   O2  Messages are published in the order of their ids, one after the other, so the log has them
 *       in this order. One that comes while an older one is in the outbox proves that the log lost
 *       the older one. To repeat that alone would put an older row of this node over a newer one;
 *       so what came stays in the outbox, as another message, and is repeated behind it.
 *   O3  Nothing is repeated before the log's leader has for RESTORE_PATIENCE_NS had another
 *       message, or none, where it acknowledged the oldest one; the file has all that the leader
 *       has; and the log was searched by id, from the lowest base on. In that time nothing is
 *       published, so nothing of the outbox can stand behind what was searched.
 *   O4  What is repeated has a new id: the server remembers the old one for two minutes, whatever
 *       became of its message, and would call it a duplicate.
 *
 * By O2 the last write of a node to a row is its last one in the log, too; and all nodes apply the
 * log in its order, this one with its outbox on top. So all end with the same (I5).
 *
 * A message that stands in the log before p although it is in the outbox contradicts O1: the file
 * was not made from this log. Then the file is verified again, as rewritten (debt_check()).
 *
 * All of it belongs to the outbox's thread, but for debt_overtaken() and debt_check().
 */
#ifndef HA_REPL_DEBT_H
#define HA_REPL_DEBT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "sql/conn.h"
#include "sql/outbox.h"

struct replica;
struct debt;

/* `outbox`: a connection to the file, borrowed. NULL: out of memory. */
struct debt *debt_new(struct replica *r, struct conn *outbox);
void debt_free(struct debt *d); /* NULL is fine */

/* The log says that it has this message at `seq`. */
void debt_add(struct debt *d, const struct outbox_entry *entry, uint64_t seq);
/* When debt_look() is to be called next; CLOCK_EVER = nothing is owed. */
int64_t debt_due(const struct debt *d);
/* Nothing is to be published until this is false again. */
bool debt_holds(const struct debt *d);
/* Looks after the oldest message. *published, the id up to which all is acknowledged, goes back to
 * before that one when it is to be published again. */
void debt_look(struct debt *d, uint64_t *published);

/* Applier: a message has come while an older one is still in the outbox (O2). */
void debt_overtaken(struct replica *r);
/* Applier: ERR_DIVERGED if the log has a message of the outbox where the file has passed it. */
enum err_code debt_check(struct replica *r, struct err *e);

#endif
