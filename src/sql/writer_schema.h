/*
 * Queries about the schema that the write connection makes around users' transactions. Internal to
 * the writer; one thread at a time.
 */
#ifndef HA_SQL_WRITER_SCHEMA_H
#define HA_SQL_WRITER_SCHEMA_H

#include <stdbool.h>

#include "base/err.h"
#include "sql/conn.h"
#include "sql/schema.h"
#include "sql/stmt.h"

/* The connection is everybody's: nothing of a user's stays in `temp`. */
enum err_code writer_drop_temp(struct conn *c, struct err *e);

/* Has the statement made a foreign key refer to a table behind a virtual table? ERR_UNSUPPORTED
 * then. `has_virtual`: there was a virtual table before. */
enum err_code writer_check_parents(struct conn *c, const struct stmt_ddl *d, bool has_virtual,
                                   struct err *e);

/* What matters of a table before an ALTER; all false where there is none. */
struct writer_rowids {
    bool hidden, alike;
};
struct writer_rowids writer_rowids(const struct table *t); /* NULL is fine */
/* May the table become what it is now? Else ERR_UNSUPPORTED, with what to do. */
enum err_code writer_check_rowids(const struct table *t, struct writer_rowids before,
                                  struct err *e);
/* The same for all tables of a file that is to become a log's beginning. */
enum err_code writer_check_file(const struct schema *s, struct err *e);

#endif
