/*
 * Schema statements of the dialect, for pg_*.c only. Each answers false where the statement is none
 * of its own, before it has written anything.
 */
#ifndef HA_SQL_PG_DDL_H
#define HA_SQL_PG_DDL_H

#include "sql/pg/rewrite.h"

/* pg/ddl.c */
bool pg_ddl_create_table(struct pg_rewrite *r);
/* A column's definition [from, to). `key`: the table's PRIMARY KEY (…) has it; `alone`: and no
 * other. `without`: constraints that are left out. */
enum {
    PG_WITHOUT_DEFAULT = 1,
    PG_WITHOUT_NOT_NULL = 2,
    PG_WITHOUT_UNIQUE = 4,
    PG_WITHOUT_REFERENCES = 8,
    PG_WITHOUT_STORED = 16 /* generated columns are computed when they are read */
};
void pg_ddl_column(struct pg_rewrite *r, size_t from, size_t to, bool key, bool alone,
                   unsigned without);
/* The column's constraint that begins with this word, with its CONSTRAINT name; `to`: there is
 * none. *end is behind it. */
size_t pg_ddl_find_constraint(const struct pg_rewrite *r, size_t from, size_t to, const char *word,
                              size_t *end);
bool pg_ddl_is_constraint(const struct pg_rewrite *r, size_t i);
/* A type [from, to) as SQLite is to keep it. Answers what it is. */
struct pg_type_ref pg_ddl_type(struct pg_rewrite *r, size_t from, size_t to);
/* An expression [from, to) of a DEFAULT, in parentheses unless it is a literal. */
void pg_ddl_default(struct pg_rewrite *r, size_t from, size_t to);

/* pg/alter.c */
bool pg_ddl_alter_table(struct pg_rewrite *r);
bool pg_ddl_alter_index(struct pg_rewrite *r);

/* pg/enum.c */
bool pg_ddl_create_type(struct pg_rewrite *r);
bool pg_ddl_alter_type(struct pg_rewrite *r);
bool pg_do(struct pg_rewrite *r);

/* pg/index.c */
bool pg_ddl_create_index(struct pg_rewrite *r);
bool pg_ddl_create_view(struct pg_rewrite *r);
bool pg_ddl_drop(struct pg_rewrite *r);
bool pg_ddl_create_other(struct pg_rewrite *r);

#endif
