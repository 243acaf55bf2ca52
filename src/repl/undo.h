/*
 * Undo: a new transaction that takes committed ones back, computed from the row images of the log.
 *
 *   UNDO_ALL           every transaction from the first one on
 *   UNDO_ENTITY        of those, what they have done to the rows that the first one changed
 *   UNDO_TRANSACTION   those of them that changed a row which the first one changed
 *
 * With `where` the rows of the latter two are named by their rowids, instead of being those that
 * the first transaction changed. Newest change first, each only if the row is still what that
 * change had made of it (revert.h). It goes through the write group like every other transaction,
 * alone in its group: what is read of the log reaches exactly to the state that it runs on, and
 * where another node was first it is computed again with that one's messages. So it is replicated,
 * stands in the history, and can be undone.
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

#define UNDO_MAX_ROWS   (1u << 20)
#define UNDO_WHERE_ROWS 256u
#define UNDO_WHERE_NAME 256u /* bytes of a table's name, terminator included */

enum undo_kind { UNDO_ALL, UNDO_ENTITY, UNDO_TRANSACTION };

/* Rows by their rowids; n = 0: none are named. */
struct undo_where {
    char table[UNDO_WHERE_NAME];
    int64_t rowids[UNDO_WHERE_ROWS];
    size_t n;
};

struct undo_result {
    uint64_t transactions; /* that were taken back, wholly or (UNDO_ENTITY) in part */
    uint64_t rows;         /* changes of rows that this took */
    struct address at;     /* the new transaction; seq 0: nothing was to be done, or the log has it
                              later (asynchronous replication) */
};

struct undo_question {
    enum undo_kind kind;
    struct history_range range; /* of history_from() or history_since(), with HISTORY_REFUSE */
    struct undo_where where;    /* not with UNDO_ALL */
};

/* `guard` as in history_open(), for everything; `deadline_ns` is for getting its turn. */
enum err_code undo_run(struct replica *r, const struct undo_question *q,
                       const struct conn_guard *guard, int64_t deadline_ns, struct undo_result *out,
                       struct err *e);

#endif
