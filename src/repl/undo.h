/*
 * Undo: a new transaction that takes committed ones back, computed from the row images of the log.
 *
 *   UNDO_ALL           every transaction from the first one on
 *   UNDO_ENTITY        of those, what they have done to the rows that the first one changed
 *   UNDO_TRANSACTION   those of them that changed a row which the first one changed
 *
 * Newest change first, each only if the row is still what that change had made of it (revert.h). It
 * goes through the write group like every other transaction, alone in its group: what is read of
 * the log reaches exactly to the state that it runs on, and where another node was first it is
 * computed again with that one's messages. So it is replicated, stands in the history, and can be
 * undone.
 *
 * Schema statements are not taken back. Where one of them has made, changed or dropped a table
 * since, older changes of that table are refused (ERR_SCHEMA_CHANGED).
 *
 * Memory is bounded but for UNDO_ENTITY and _TRANSACTION, which keep 16 bytes for each row that
 * counts, and refuse more than UNDO_MAX_ROWS of them (ERR_TOO_BIG). Any thread; blocks.
 */
#ifndef HA_REPL_UNDO_H
#define HA_REPL_UNDO_H

#include "repl/history.h"

#define UNDO_MAX_ROWS (1u << 20)

enum undo_kind { UNDO_ALL, UNDO_ENTITY, UNDO_TRANSACTION };

struct undo_result {
    uint64_t transactions; /* that were taken back, wholly or (UNDO_ENTITY) in part */
    uint64_t rows;         /* changes of rows that this took */
    struct address at;     /* the new transaction; seq 0: nothing was to be done, or the log has it
                              later (asynchronous replication) */
};

/* `range` as history_from() or history_since() have given it with HISTORY_REFUSE. `guard` as in
 * history_open(), for everything; `deadline_ns` is for getting its turn. */
enum err_code undo_run(struct replica *r, enum undo_kind kind, const struct history_range *range,
                       const struct conn_guard *guard, int64_t deadline_ns, struct undo_result *out,
                       struct err *e);

#endif
