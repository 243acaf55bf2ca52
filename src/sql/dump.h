/*
 * Rows and schema of a whole file as changes, for a log that begins with an existing file. Reads
 * through the write connection, writes through its capture. Bounded memory. One thread at a time.
 */
#ifndef HA_SQL_DUMP_H
#define HA_SQL_DUMP_H

#include <stdbool.h>

#include "base/err.h"
#include "sql/capture.h"
#include "sql/conn.h"
#include "sql/schema.h"
#include "sql/sequence.h"

/* All rows of a table of `main` as INSERTs. */
enum err_code dump_rows(struct conn *c, struct capture *cap, const struct table *t, struct err *e);

/* Everything, in an order in which it can be applied: tables with their rows, virtual tables with
 * the rows behind them, indexes, views, triggers, sequences, statistics, user_version,
 * application_id. Without `ddl`: the rows alone. The descriptions in `s` are fresh. */
enum err_code dump_file(struct conn *c, struct capture *cap, struct schema *s, struct sequence *q,
                        bool ddl, struct err *e);

#endif
