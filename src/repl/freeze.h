/*
 * A view of a replica's file at one and the same place of the log on every node.
 *
 * All nodes are asked for the first state at or behind a seq S. Whoever holds the write lock fixes
 * the view right after the commit that reaches S, before anyone can commit more; and the applier
 * ends its batch there. So nodes that have not passed S yet when they are asked all show the same
 * prefix of the log, while writes go on.
 */
#ifndef HA_REPL_FREEZE_H
#define HA_REPL_FREEZE_H

#include <stdint.h>

#include "base/err.h"
#include "repl/replica.h"
#include "sql/content.h"

struct freeze {
    struct content_view *view; /* the caller's, to be closed */
    uint64_t seq;              /* of what it shows */
    uint64_t outbox;           /* messages in it that the log does not have */
};

/* Waits at most `wait_ns` for the file to reach `seq`; then, or if it is further already, the view
 * shows what there is. Any thread. */
enum err_code freeze_at(struct replica *r, uint64_t seq, int64_t wait_ns, struct freeze *out,
                        struct err *e);

/* For replica_advance(): the write lock is held, the file stands at `seq`. */
void freeze_reached(struct replica *r, uint64_t seq);

#endif
