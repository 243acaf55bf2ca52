/*
 * Schema statements of the dialect, for pg_*.c only. Each answers false where the statement is none
 * of its own, before it has written anything.
 */
#ifndef HA_SQL_PG_DDL_H
#define HA_SQL_PG_DDL_H

#include "sql/pg_rewrite.h"

/* pg_ddl.c */
bool pg_ddl_create_table(struct pg_rewrite *r);
/* A column's definition [from, to). `key`: the table's PRIMARY KEY (…) has it; `alone`: and no
 * other. */
void pg_ddl_column(struct pg_rewrite *r, size_t from, size_t to, bool key, bool alone);
bool pg_ddl_is_constraint(const struct pg_rewrite *r, size_t i);

/* pg_alter.c */
bool pg_ddl_alter_table(struct pg_rewrite *r);

/* pg_index.c */
bool pg_ddl_create_index(struct pg_rewrite *r);
bool pg_ddl_create_view(struct pg_rewrite *r);
bool pg_ddl_drop(struct pg_rewrite *r);
bool pg_ddl_create_other(struct pg_rewrite *r);

#endif
