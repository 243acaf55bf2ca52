/* What alter.c and alter_edit.c share: an ALTER while it runs. */
#ifndef HA_SQL_ALTER_IMPL_H
#define HA_SQL_ALTER_IMPL_H

#include <sqlite3.h>

#include "sql/alter.h"
#include "sql/table_text.h"

struct alter_run {
    struct conn *conn;
    sqlite3 *db;
    struct arena *arena;
    struct alter x;
    bool applies;      /* on the applier's connection: rows have been checked elsewhere */
    const char *table; /* its name as sqlite_schema has it; the index's table */
    const char *sql;   /* its text there */
    struct table_text text;
};

/* ---- alter_edit.c: the schema's text ---- */

/* One piece of the new text in the place of [from, to). */
struct alter_splice {
    size_t from, to;
    const char *text;
};

const char *alter_format(struct alter_run *r, const char *fmt, ...);

/* The table's text with the pieces put in; they must not overlap. NULL: no memory. */
const char *alter_spliced(struct alter_run *r, struct alter_splice *s, size_t n);

/* Makes `sql` the table's text. Rows, columns' places and rowids must stay what they are, which is
 * checked; keys may come and go, and with them their indexes: `list` is the ( … ) of one that
 * comes.
 */
enum err_code alter_edit(struct alter_run *r, const char *sql, const char *list, struct err *e);

/* Writes a row of sqlite_schema and reads the schema anew; no check. */
enum err_code alter_put(struct alter_run *r, const char *type, const char *name,
                        const char *new_name, const char *sql, struct err *e);

/* Runs SQL of our own: a format of sqlite3_mprintf(), with %w and %Q. */
enum err_code alter_exec(struct alter_run *r, struct err *e, const char *fmt, ...);
/* Its first row's first column as text in the arena, NULL where there is no row or it is NULL. */
enum err_code alter_value(struct alter_run *r, const char **out, struct err *e, const char *fmt,
                          ...);
/* ---- alter_enum.c ---- */

enum err_code alter_enum_add(struct alter_run *r, struct err *e);
enum err_code alter_enum_rename(struct alter_run *r, struct err *e);

enum err_code alter_no_memory(struct err *e);

#endif
