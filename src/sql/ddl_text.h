/*
 * What the text of a schema statement says, for statements that SQLite has already accepted: it
 * is the only parser, and its authorizer is silent about IF EXISTS, AS SELECT, RENAME TO and about
 * objects that turn out to be there, or not to be there, already. Pure; any thread.
 */
#ifndef HA_SQL_DDL_TEXT_H
#define HA_SQL_DDL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "sql/stmt.h"

struct ddl_text {
    struct stmt_ddl ddl; /* its strings lie in `mem` or are static */
    bool temp;           /* the TEMP keyword, or temp. before the name */
    char *mem;           /* owned */
};

/* False: no memory. A text that is no schema statement answers kind DDL_NONE. */
bool ddl_text_read(struct ddl_text *d, const char *sql, size_t len);
void ddl_text_free(struct ddl_text *d);

#endif
