/*
 * A statement while pg_dialect() rewrites it: its tokens, and the pieces of its translation.
 *
 * For the pg_*.c files of the dialect only. Everything lives in one arena. Failure is sticky:
 * pg_fail() notes the first error, the rest goes on and is thrown away.
 */
#ifndef HA_SQL_PG_REWRITE_H
#define HA_SQL_PG_REWRITE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "sql/pg/lex.h"
#include "sql/pg/type.h"

#define PG_NONE ((size_t)-1)
#define PG_DEPTH_MAX                                                                               \
    100 /* constructs inside constructs; SQLite's own limit is 1000 expressions                    \
         */

#define PG_RENAMES_MAX 2000 /* columns of functions in FROM, two each; SQLite joins 64 tables */
#define PG_WRAPS_MAX   1000 /* calls around one operand, one in the other: as deep as SQLite goes */

/* Texts that were put in front of a piece later on, the last one first. */
struct pg_before {
    const char *text;
    const struct pg_before *next;
};

/* One token of the translation. */
struct pg_piece {
    const struct pg_before *before; /* NULL = none */
    unsigned n_before;
    const char *text;
    size_t len;
    bool space;
    size_t open;   /* the piece with which the operand begins that ends here; itself for names */
    size_t source; /* byte in the statement that it stands for */
};

/* A name that stands for another: the column of a function in FROM. */
struct pg_rename {
    const char *name; /* unquoted */
    const char *text;
    size_t from, to; /* the tokens among which it does: those of the SELECT with that FROM */
    struct pg_rename *next;
};

/* What stands around a token: tokens before it, pairs that have ended left out. PG_NONE = none. */
struct pg_place {
    size_t paren;  /* the ( */
    size_t open;   /* the ( or the CASE */
    size_t change; /* the INSERT INTO or UPDATE, whatever parentheses lie between */
    bool in_from;  /* of the words SELECT, FROM, WHERE, BY, VALUES and the ( the last one is FROM */
};

/* Does a name of the statement's stand for a catalog? Looked for once, when it is asked. */
enum pg_catalog_use { PG_CATALOG_UNKNOWN, PG_CATALOG_NOT_READ, PG_CATALOG_READ };

struct pg_rewrite {
    struct arena *arena;
    const char *sql;
    struct pg_token *in; /* n tokens and an END behind them */
    size_t n;
    size_t *match;       /* of each ( [ CASE and its end: the other one; PG_NONE otherwise */
    size_t *piece;       /* of each ( [ CASE that was copied: its piece */
    const char **insert; /* text to put in front of token i, NULL = none */
    struct pg_piece *out;
    size_t n_out, cap_out;
    struct pg_rename *renames;
    unsigned n_renames;
    bool schema;   /* what is written lands in the schema */
    bool strict;   /* a STRICT table, which knows SQLite's own types only */
    bool deleting; /* in DELETE FROM … USING */
    unsigned srf;  /* set-returning functions moved to FROM so far */
    unsigned depth;
    enum pg_catalog_use catalog;
    const struct pg_place *places; /* of all tokens; NULL until pg_place() is asked */
    size_t at;                     /* input token whose translation is being written */
    struct err *e;
    bool failed;
};

/* False: no memory, or a token that PostgreSQL would refuse, too. */
bool pg_rewrite_init(struct pg_rewrite *r, const char *sql, size_t len, struct err *e);
void pg_rewrite_fini(struct pg_rewrite *r);
/* The translation, appended. Answers the piece during which `until` more bytes had been written
 * (the last one, if they never were). */
size_t pg_rewrite_emit(const struct pg_rewrite *r, struct buf *out, size_t until);

/* Notes an error at token i (PG_NONE: nowhere). */
void pg_fail(struct pg_rewrite *r, size_t i, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- reading ---- */

const struct pg_token *pg_at(const struct pg_rewrite *r, size_t i); /* END beyond the end */
bool pg_word(const struct pg_rewrite *r, size_t i, const char *keyword);
bool pg_words(const struct pg_rewrite *r, size_t i, const char *a, const char *b);
bool pg_punct(const struct pg_rewrite *r, size_t i, const char *op);
/* A bare word or a quoted identifier. */
bool pg_is_name(const struct pg_rewrite *r, size_t i);
/* A word that cannot be a name, so that no alias and no function is called so. */
bool pg_reserved(const struct pg_token *t);
/* A word that PostgreSQL takes as a column's alias behind AS, and SQLite only in quotes. */
bool pg_needs_quotes(const struct pg_token *t);
/* Unquoted, terminated, in the arena; bare words in lower case. */
const char *pg_name(struct pg_rewrite *r, size_t i);
/* What a string token stands for; *n its bytes. */
const char *pg_string(struct pg_rewrite *r, size_t i, size_t *n);
bool pg_is_string(const struct pg_rewrite *r, size_t i);
/* The first token from i on, outside parentheses, that is this word; `to` if there is none. */
size_t pg_find(const struct pg_rewrite *r, size_t i, size_t to, const char *word);
size_t pg_find_punct(const struct pg_rewrite *r, size_t i, size_t to, const char *op);
/* Behind token i, or behind the pair that it opens. */
size_t pg_skip(const struct pg_rewrite *r, size_t i);
/* Behind a name with its prefixes: a, a.b, a.b.c */
size_t pg_skip_name(const struct pg_rewrite *r, size_t i);

/* pg/place.c */
const struct pg_place *pg_place(struct pg_rewrite *r, size_t i);

/* ---- writing ---- */

/* A piece of its own; an operand of its own, too. */
void pg_put(struct pg_rewrite *r, const char *text);
void pg_putf(struct pg_rewrite *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pg_copy(struct pg_rewrite *r, size_t i);
/* 'text' with quotes doubled. */
void pg_put_string(struct pg_rewrite *r, const char *text, size_t n);
const char *pg_format(struct pg_rewrite *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Text in front of the operand that the last piece ends. */
size_t pg_operand(const struct pg_rewrite *r);
void pg_put_before(struct pg_rewrite *r, size_t piece, const char *text);
/* Ends an operand that began with piece `open`. */
void pg_put_end(struct pg_rewrite *r, const char *text, size_t open);

/* ---- the parts ---- */

/* pg/expr.c: tokens [from, to) translated as expressions, clauses, names. */
void pg_range(struct pg_rewrite *r, size_t from, size_t to);
/* Behind the operand that begins at i, with what binds tighter than comparisons. */
size_t pg_operand_end(const struct pg_rewrite *r, size_t i, size_t to);
/* pg/operator.c: casts, LIKE, ANY, regular expressions, subscripts. They answer the token behind
 * what they translated, `i` itself if it was nothing of theirs. */
size_t pg_operator(struct pg_rewrite *r, size_t i, size_t to);
size_t pg_cast(struct pg_rewrite *r, size_t i, size_t to);
/* Reads a type at i; answers the token behind it. */
size_t pg_read_type(struct pg_rewrite *r, size_t i, struct pg_type_ref *ref);
void pg_cast_range(struct pg_rewrite *r, size_t from, size_t to, const struct pg_type_ref *type);
/* pg/call.c: functions with a syntax of their own, keywords that are functions. */
size_t pg_call(struct pg_rewrite *r, size_t i, size_t to);
/* pg/boolean.c: a string that is compared with a boolean; false: it is none. */
bool pg_boolean(struct pg_rewrite *r, size_t i);
/* 't', 'false' …; false: it is no boolean's text. */
bool pg_is_boolean_text(const struct pg_token *t, bool *value);
/* pg/interval.c */
size_t pg_interval(struct pg_rewrite *r, size_t i, size_t to);
/* Does token i say what the number before it counts, as in INTERVAL '2' HOUR? */
bool pg_interval_field(const struct pg_rewrite *r, size_t i);
/* pg/select.c */
size_t pg_select(struct pg_rewrite *r, size_t i, size_t to);
size_t pg_clause(struct pg_rewrite *r, size_t i, size_t to);
size_t pg_from_item(struct pg_rewrite *r, size_t i, size_t to);
/* pg/insert.c: INSERT with values that depend on their column, SET column = such a value. */
size_t pg_stored_value(struct pg_rewrite *r, size_t i, size_t to);
bool pg_is_hex(const struct pg_token *t);       /* '\x00ff' */
bool pg_is_odd_uuid(const struct pg_token *t);  /* 'A0EE…', '{a0ee…}': one, not as it is kept */
bool pg_is_srf(struct pg_rewrite *r, size_t i); /* a call of a set-returning function */
void pg_find_renames(struct pg_rewrite *r);
size_t pg_star(struct pg_rewrite *r, size_t i); /* SELECT * with such names in FROM */
/* The name that an unnamed result column gets, from its tokens. */
const char *pg_column_name_of(struct pg_rewrite *r, size_t from, size_t to);
/* pg/ddl.c, pg/utility.c: whole statements; false: not one of theirs. */
bool pg_ddl(struct pg_rewrite *r);
bool pg_utility(struct pg_rewrite *r);

#endif
