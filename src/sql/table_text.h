/*
 * What the text of a CREATE TABLE says, piece by piece, with where each piece stands: SQLite tells
 * neither the names of constraints nor their texts. For statements that SQLite has accepted, as
 * sqlite_schema keeps them. Pure; any thread.
 */
#ifndef HA_SQL_TABLE_TEXT_H
#define HA_SQL_TABLE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

/* Bytes [from, to) of the text. */
struct text_span {
    size_t from, to;
};

enum text_constraint_kind {
    TEXT_PRIMARY_KEY,
    TEXT_UNIQUE,
    TEXT_CHECK,
    TEXT_FOREIGN_KEY,
    TEXT_NOT_NULL,
    TEXT_DEFAULT,
    TEXT_GENERATED,
    TEXT_OTHER /* NULL, COLLATE */
};

struct text_constraint {
    enum text_constraint_kind kind;
    const char *name;    /* unquoted; NULL = none was written */
    struct text_span at; /* with CONSTRAINT name, without the comma */
    struct text_span name_at;
    struct text_span list; /* ( … ) of the columns, of CHECK, of the generated expression; DEFAULT's
                              expression */
    size_t column;         /* of which it is; TABLE_TEXT_NONE = the table's */
    const char *parent;    /* of a foreign key: the table that it refers to */
    const char **columns; /* of a key: their names */
    size_t n_columns;
};

struct text_column {
    const char *name;    /* unquoted */
    struct text_span at; /* the whole definition, without the comma */
    struct text_span name_at;
    struct text_span type; /* empty where there is none: it would stand there */
};

#define TABLE_TEXT_NONE ((size_t)-1)

struct table_text {
    const char *sql; /* borrowed */
    struct text_span name_at;
    size_t close; /* the ) behind the last column or constraint */
    struct text_column *columns;
    size_t n_columns;
    struct text_constraint *constraints; /* in the text's order, columns' and table's */
    size_t n_constraints;
};

/* Memory from the arena. False: no memory, or the text is none that can be read. */
bool table_text_read(struct table_text *t, struct arena *a, const char *sql, size_t len);

/* Is the column, a rowid, of PostgreSQL's type integer? SQLite wants it to be called INTEGER, which
 * means 64 bits; `CONSTRAINT int4 NOT NULL` behind it tells. */
bool table_text_is_int4(const struct table_text *t, size_t column);

/* Index by name, in any case; TABLE_TEXT_NONE: there is none. */
size_t table_text_column(const struct table_text *t, const char *name);

/* The name that the constraint has for PostgreSQL's clients: its own, or t_pkey, t_a_b_key,
 * t_a_fkey, t_check … as PostgreSQL makes them up. In the arena; NULL: it has none, or no memory.
 */
const char *table_text_constraint_name(const struct table_text *t, struct arena *a,
                                       const char *table, size_t constraint);
/* Index of the constraint of this name, in any case; TABLE_TEXT_NONE: there is none. */
size_t table_text_constraint(const struct table_text *t, struct arena *a, const char *table,
                             const char *name);

#endif
