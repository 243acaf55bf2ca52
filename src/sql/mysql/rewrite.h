/*
 * A statement while mysql_dialect() rewrites it: its tokens, and the text that they become.
 *
 * For the files of the dialect only. What lives as long as the statement is in one arena. Failure
 * is sticky: mysql_fail() notes the first error, the rest goes on and is thrown away.
 */
#ifndef HA_SQL_MYSQL_REWRITE_H
#define HA_SQL_MYSQL_REWRITE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sql/mysql/dialect.h"
#include "sql/mysql/lex.h"

#define MYSQL_NONE ((size_t)-1)
#define MYSQL_DEPTH_MAX                                                                            \
    100 /* parentheses in parentheses; SQLite's own limit is 1000 expressions                      \
         */

struct mysql_rewrite {
    const struct mysql_context *context;
    struct arena *arena;
    struct mysql_lexer lexer; /* its modes, for strings */
    const char *sql;
    struct mysql_token *in; /* n tokens and an END behind them */
    size_t n;
    size_t *match;   /* of each ( and ): the other one; MYSQL_NONE otherwise */
    unsigned *param; /* of each ?: its number, from 1 */
    unsigned n_params;
    size_t *place;                       /* of each token: where in `out` its translation begins */
    size_t interval_end, interval_start; /* tokens of the last a + INTERVAL …; 0 = none */
    struct buf *out;
    unsigned touched;      /* how often something was translated */
    bool schema;           /* what is written lands in the schema */
    bool rowid;            /* the column that is written is the whole primary key */
    bool excluded;         /* in ON DUPLICATE KEY UPDATE: VALUES(a) is excluded.a */
    const char *new_alias; /* … and what INSERT … AS new calls it; NULL = nothing */
    bool several;          /* more than one statement was written */
    bool is_session;
    unsigned depth;
    struct err *e;
    bool failed;
};

bool mysql_rewrite_init(struct mysql_rewrite *r, const struct mysql_context *x, const char *sql,
                        size_t len, struct buf *out, struct err *e);
void mysql_rewrite_fini(struct mysql_rewrite *r);

/* Notes an error at token i (MYSQL_NONE: nowhere). */
void mysql_fail(struct mysql_rewrite *r, size_t i, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* ERR_SYNTAX near token i. */
void mysql_fail_syntax(struct mysql_rewrite *r, size_t i);

/* ---- reading ---- */

const struct mysql_token *mysql_at(const struct mysql_rewrite *r,
                                   size_t i); /* END beyond the end */
bool mysql_word(const struct mysql_rewrite *r, size_t i, const char *keyword);
bool mysql_words(const struct mysql_rewrite *r, size_t i, const char *a, const char *b);
bool mysql_op(const struct mysql_rewrite *r, size_t i, const char *op);
/* A bare word or a quoted identifier. */
bool mysql_is_name(const struct mysql_rewrite *r, size_t i);
/* One of these words; `n` of them. */
bool mysql_one_of(const struct mysql_token *t, const char *const *words, size_t n);
/* Unquoted, terminated, in the arena. */
const char *mysql_name(struct mysql_rewrite *r, size_t i);
/* What a string token stands for; *n its bytes. */
const char *mysql_string(struct mysql_rewrite *r, size_t i, size_t *n);
/* Behind token i, or behind the pair that it opens. */
size_t mysql_skip(const struct mysql_rewrite *r, size_t i);
/* The first token from i on, outside parentheses, that is this word or operator; `to` if there is
 * none. */
size_t mysql_find(const struct mysql_rewrite *r, size_t i, size_t to, const char *word);
size_t mysql_find_op(const struct mysql_rewrite *r, size_t i, size_t to, const char *op);
/* Behind a name with its prefixes: a, a.b, a.b.c; i itself where there is none. */
size_t mysql_skip_name(const struct mysql_rewrite *r, size_t i);
/* The last part of such a name. */
const char *mysql_last_name(struct mysql_rewrite *r, size_t from, size_t to);

/* ---- writing ---- */

/* Blanks are put where tokens would run into each other. */
void mysql_put(struct mysql_rewrite *r, const char *text);
void mysql_putf(struct mysql_rewrite *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Right behind what is there. */
void mysql_put_close(struct mysql_rewrite *r, const char *text);
void mysql_put_string(struct mysql_rewrite *r, const char *s, size_t n);
void mysql_put_name(struct mysql_rewrite *r, const char *name);
/* Another statement begins. */
void mysql_put_semicolon(struct mysql_rewrite *r);
/* One token as it is, strings and parameters in SQLite's form. */
void mysql_copy(struct mysql_rewrite *r, size_t i);

/* ---- translating: each writes the tokens [from, to) ---- */

/* select.c: queries and expressions, whatever is in them. */
void mysql_range(struct mysql_rewrite *r, size_t from, size_t to);
/* A table's name at i, qualified or not, in a place where a table belongs; answers where it ends.
 * `alias`: one may follow, so a table of information_schema can stand here. */
size_t mysql_table(struct mysql_rewrite *r, size_t i, bool alias);
/* expr.c: the token at i where something begins that an expression knows; answers where it ends, or
 * i itself: nothing of the kind. */
size_t mysql_expr(struct mysql_rewrite *r, size_t i, size_t to);
/* DAY, HOUR_MINUTE … of an interval. */
bool mysql_is_unit(const struct mysql_token *t);
/* call.c: the same for a call of a function. */
size_t mysql_call(struct mysql_rewrite *r, size_t i, size_t to);
bool mysql_is_call(const struct mysql_rewrite *r, size_t i);
/* The arguments of the ( at i, [from, to) each; how many there are, at most `max`. */
struct mysql_arg {
    size_t from, to;
};
size_t mysql_args(const struct mysql_rewrite *r, size_t i, struct mysql_arg *args, size_t max);
/* insert.c, change.c, ddl.c, alter.c, show.c: whole statements; false: not one of theirs. */
bool mysql_insert(struct mysql_rewrite *r);
bool mysql_update(struct mysql_rewrite *r);
bool mysql_delete(struct mysql_rewrite *r);
bool mysql_ddl(struct mysql_rewrite *r);
bool mysql_alter(struct mysql_rewrite *r);
bool mysql_show(struct mysql_rewrite *r);

/* ---- show.c and show_create.c ---- */

/* What stands behind SHOW CREATE, from token i on. */
void mysql_show_create(struct mysql_rewrite *r, size_t i);
/* A table's name at i, maybe with its database, and where it ends. */
const char *mysql_show_table_name(struct mysql_rewrite *r, size_t i, size_t *end);
/* A condition that fails where there is no such table. */
void mysql_show_must_exist(struct mysql_rewrite *r, const char *table);

/* ---- column.c and key.c, for ddl.c and alter.c ---- */

/* What a column's definition asks for beyond itself. */
struct mysql_column {
    const char *name;
    bool auto_increment, primary;
    bool on_update, fraction; /* ON UPDATE CURRENT_TIMESTAMP, with its (6) */
};
#define MYSQL_WITHOUT_DEFAULT  1u
#define MYSQL_WITHOUT_NOT_NULL 2u
/* A column's definition, its name first, up to `to`, without some of it. `key`: it is to be the
 * table's rowid. */
void mysql_column_def(struct mysql_rewrite *r, size_t from, size_t to, bool key, unsigned without,
                      struct mysql_column *c);
/* Its DEFAULT at i, the word included; answers where it ends. */
size_t mysql_column_default(struct mysql_rewrite *r, size_t i, size_t to);
/* The trigger that ON UPDATE CURRENT_TIMESTAMP becomes, or the end of one. */
void mysql_on_update(struct mysql_rewrite *r, const char *table, const struct mysql_column *c);
bool mysql_is_enum(const struct mysql_rewrite *r, size_t i);
/* The check that keeps other texts out of an ENUM whose type is at i. */
void mysql_enum_check(struct mysql_rewrite *r, size_t i, const char *column);
/* The type alone, of an ENUM with its check unless `column` is NULL; answers where it ends. */
size_t mysql_column_type(struct mysql_rewrite *r, size_t i, size_t to, const char *column);
/* REFERENCES t (a) ON DELETE …; answers where it ends. */
size_t mysql_references(struct mysql_rewrite *r, size_t i, size_t to);
/* ( a, b(10) DESC ) as SQLite has it; answers where it ends. */
size_t mysql_key_columns(struct mysql_rewrite *r, size_t i);
/* CREATE INDEX of a KEY's definition that begins at `from`. */
void mysql_create_key(struct mysql_rewrite *r, const char *table, size_t from, size_t to);
/* FOREIGN KEY, CHECK, PRIMARY KEY with or without CONSTRAINT; false: it was none to be written. */
bool mysql_table_constraint(struct mysql_rewrite *r, size_t from, size_t to);
bool mysql_is_key(const struct mysql_rewrite *r, size_t i);
bool mysql_has_index(struct mysql_rewrite *r, const char *table, const char *name);
/* The index's name in the file: its own, or with the table's in front where another table has it.
 */
const char *mysql_index_name(struct mysql_rewrite *r, const char *table, const char *name,
                             bool existing);

#endif
