/*
 * Statements that a script asks for inside the applier's transaction (src/script): queries, and
 * INSERT, UPDATE, DELETE. What they change is neither captured nor published: whoever asks for it
 * does so on every node.
 *
 * So that it comes to the same everywhere, refused are: whatever policy.h refuses, schema
 * statements, PRAGMA, the node's own tables (ha_…, reading them, too), virtual tables (the applier
 * writes what is behind them itself, so that they may know an older state), statistics, and
 * functions that answer something else on each node or at each time: random(), date() and its like,
 * last_insert_rowid(). Triggers do not run, and foreign keys and CHECK constraints are not looked
 * at, as when changes are applied.
 *
 * The applier's thread, between apply_begin() and its end.
 */
#ifndef HA_SQL_APPLY_ASK_H
#define HA_SQL_APPLY_ASK_H

#include "sql/apply.h"
#include "sql/stmt.h"

/* Before the first statement; again is fine. Without it ask_prepare() refuses nothing of the above
 * but what policy.h says. */
void ask_open(struct apply *a);

/* One statement, ready to be bound, stepped and released (stmt.h). ERR_DENIED, ERR_SYNTAX, … */
enum err_code ask_prepare(struct apply *a, const char *sql, size_t len, struct stmt **out,
                          struct err *e);
/* Rows that the last statement has changed. */
int64_t ask_changes(struct apply *a);
/* A statement (INSERT OR ROLLBACK) has ended the applier's transaction. */
bool ask_lost(struct apply *a);

#endif
