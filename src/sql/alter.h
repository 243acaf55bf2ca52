/*
 * ALTER, where SQLite's own does not reach:
 *
 *   ALTER TABLE t ALTER [COLUMN] c [SET DATA] TYPE type
 *   ALTER TABLE t ALTER [COLUMN] c SET DEFAULT expression | DROP DEFAULT
 *   ALTER TABLE t ADD [CONSTRAINT n] FOREIGN KEY … | UNIQUE (…) | PRIMARY KEY (…) [NOT VALID]
 *   ALTER TABLE t DROP CONSTRAINT [IF EXISTS] n [CASCADE]       of every kind
 *   ALTER TABLE t RENAME CONSTRAINT n TO n
 *   ALTER TABLE t ADD [COLUMN] IF NOT EXISTS …
 *   ALTER TABLE t DROP [COLUMN] [IF EXISTS] c CASCADE           with its indexes and constraints
 *   ALTER TABLE [IF EXISTS] t DROP REFERENCES                   other tables' foreign keys to it
 *   ALTER TABLE t ALTER [COLUMN] c ADD | DROP GENERATED …       of the rowid: nothing is to be done
 *   ALTER INDEX [IF EXISTS] i RENAME TO n
 *   ALTER TYPE e ADD VALUE [IF NOT EXISTS] 'label' [BEFORE | AFTER 'label'] | RENAME TO n
 *
 * The table's text in sqlite_schema is edited, as SQLite itself does for its own ALTER TABLE: rows
 * keep their rowids and mostly their bytes, and indexes, triggers and views stay as they are. A key
 * gets its index from CREATE INDEX, which then becomes the constraint's own. What that cannot do
 * (another rowid, another key of a WITHOUT ROWID table) is ERR_UNSUPPORTED, and nothing has
 * changed.
 *
 * Such a statement travels as its text, like every schema statement, and every node runs it here.
 * It never sends rows: values get their column's new affinity by themselves. A conversion that is
 * more than that is an UPDATE of its own.
 */
#ifndef HA_SQL_ALTER_H
#define HA_SQL_ALTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "sql/conn.h"

enum alter_kind {
    ALTER_NONE, /* SQLite's own, or none at all */
    ALTER_TYPE,
    ALTER_SET_DEFAULT,
    ALTER_DROP_DEFAULT,
    ALTER_ADD_FOREIGN_KEY,
    ALTER_ADD_KEY, /* UNIQUE, PRIMARY KEY */
    ALTER_DROP_CONSTRAINT,
    ALTER_RENAME_CONSTRAINT,
    ALTER_ADD_COLUMN,
    ALTER_DROP_COLUMN,
    ALTER_DROP_REFERENCES,
    ALTER_IDENTITY,
    ALTER_RENAME_INDEX,
    ALTER_ENUM_ADD,
    ALTER_ENUM_RENAME
};

/* Strings are unquoted and in the arena; `text` is borrowed from the statement. */
struct alter {
    enum alter_kind kind;
    const char *schema; /* "" = none was written */
    const char *table;  /* "" for an index or a type */
    const char *name;   /* of the column, constraint, index, type; "" = an unnamed constraint */
    const char *to;     /* RENAME: the new one; ENUM_ADD: the label */
    bool if_exists;     /* IF NOT EXISTS, too */
    bool not_valid;
    bool primary;         /* ADD_KEY: PRIMARY KEY */
    bool before;          /* ENUM_ADD: of `neighbor`, else behind it */
    const char *neighbor; /* NULL: it is the last one */
    const char *text;     /* the type, the expression, the constraint or the column's definition */
    size_t len;
};

/* Reads one statement. False: no memory. What it is not for is ALTER_NONE. */
bool alter_read(struct alter *x, struct arena *a, const char *sql, size_t len);

/* Is it one of these? */
bool alter_is(const char *sql, size_t len);
/* What can be said before it runs: ERR_SYNTAX, ERR_DENIED for tables that are the node's own. */
enum err_code alter_check(const char *sql, size_t len, bool trusted, struct err *e);
/* Runs it inside the open transaction; after an error nothing has changed. The applier's connection
 * does not check rows again. */
enum err_code alter_run(struct conn *c, const char *sql, size_t len, struct err *e);

#endif
