/* Between infer.c (expressions), infer_table.c (tables) and infer_list.c (parameters, select
 * lists). */
#ifndef HA_WIRE_PG_INFER_H
#define HA_WIRE_PG_INFER_H

#include "base/arena.h"
#include "sql/pg/lex.h"
#include "wire/pg/session.h"

#define INFER_TABLES 16  /* of one statement; more are not looked at */
#define INFER_ITEMS  255 /* of a select list; one with more is not looked at */

/* One of a select list: [from, to) is its expression, `name` the token that it is called by. */
struct infer_item {
    size_t from, to, name;
    bool star; /* * or t.*; what comes behind it is not told */
};

struct infer_table {
    char *name, *alias;
    struct {
        char *name;
        uint32_t type;
    } * columns;
    unsigned n;
};

/* A statement's tokens and its tables' columns, in the arena. */
struct infer {
    struct arena *arena;
    struct pg_token *t;
    size_t n;
    struct infer_table tables[INFER_TABLES];
    unsigned n_tables;
    bool *missed; /* set when a column is asked for that no table has; may be NULL */
};

/* False: no memory, or too long to be looked at. */
bool infer_open(struct infer *x, struct arena *a, const char *sql, size_t len);
/* Asks the session, so not while a request runs. */
void infer_tables(struct infer *x, struct session *s);

bool infer_is(const struct infer *x, size_t i, const char *keyword);
bool infer_op(const struct infer *x, size_t i, const char *text);
bool infer_is_name(const struct infer *x, size_t i);
char *infer_name(const struct infer *x, size_t i);
size_t infer_behind(const struct infer *x, size_t i, size_t to);
uint32_t infer_column(const struct infer *x, size_t i); /* [q .] name, the name being token i */
/* Does a query stand in place of a table? */
bool infer_has_queries(const struct infer *x);
/* Where the list of the SELECT at token i begins. */
size_t infer_list_start(const struct infer *x, size_t i);
/* The items of the list that begins at `from`, and how many they are: 0 for more than `max`, but
 * where that is 1 the first one. */
unsigned infer_items(const struct infer *x, size_t from, size_t to, struct infer_item *items,
                     unsigned max);
uint32_t infer_table_column(const struct infer_table *t, const char *name);
uint32_t infer_type_name(const struct infer *x, size_t i, size_t to);
uint32_t infer_expression(const struct infer *x, size_t from, size_t to);

#endif
