/* What the files of a statement over several databases share: cross_text.c takes it apart,
 * cross_aggregate.c knows the aggregates, cross_plan.c writes the texts. See cross_text.h. */
#ifndef HA_SQL_CROSS_IMPL_H
#define HA_SQL_CROSS_IMPL_H

#include "sql/cross_text.h"
#include "sql/lex.h"

struct cross_token {
    struct lex_token t;
    unsigned depth; /* parentheses that are open around it; those themselves stand outside */
};

struct cross_span {
    size_t begin, end; /* tokens */
};

enum cross_clause {
    CLAUSE_NONE,
    CLAUSE_LIST,
    CLAUSE_FROM,
    CLAUSE_WHERE,
    CLAUSE_GROUP,
    CLAUSE_HAVING,
    CLAUSE_WINDOW,
    CLAUSE_ORDER,
    CLAUSE_LIMIT,
    CLAUSE_COUNT
};

struct cross_text {
    struct buf text; /* of the statement; the tokens point into it */
    struct cross_token *tokens;
    size_t n;
    size_t select; /* the token SELECT; n where it is another statement */
    struct cross_span clauses[CLAUSE_COUNT];
    struct cross_span limit, offset;
    bool distinct, compound, aggregate;
    enum cross_kind kind;
    struct buf bounds;
};

static inline bool cross_has(const struct cross_text *t, enum cross_clause c)
{
    return t->clauses[c].end > t->clauses[c].begin;
}

bool cross_is(const struct cross_text *t, size_t i, const char *word);
bool cross_is_punct(const struct cross_text *t, size_t i, char c);
/* Of the parenthesis that opens at token `open`: the token that closes it. */
size_t cross_close(const struct cross_text *t, size_t open);
/* The text of a span as it stands, blanks and comments inside included. */
void cross_put(const struct cross_text *t, struct buf *b, struct cross_span s);

/* ---- cross_aggregate.c ---- */

struct cross_aggregate {
    size_t begin, end;      /* its tokens, FILTER included */
    struct cross_span args; /* "*" is one token */
    struct cross_span filter;
    bool star, distinct;
    const struct cross_merge *how; /* NULL: only from the rows themselves */
};

/* Does a call of an aggregate (not of a window) begin at token i? */
bool cross_aggregate_at(const struct cross_text *t, size_t i);
bool cross_aggregate_from(const struct cross_text *t, size_t i, size_t end,
                          struct cross_aggregate *a);
/* Where to look on behind token i: behind what begins there, if it is an aggregate, a window or a
 * query of its own. `a` is for its use. */
size_t cross_next_aggregate(const struct cross_text *t, size_t i, size_t end,
                            struct cross_aggregate *a);
/* The columns that each database adds for it, with commas between: its parts, or (`raw`) its
 * arguments; how many. */
unsigned cross_aggregate_parts(const struct cross_text *t, const struct cross_aggregate *a,
                               bool raw, struct buf *each);
/* Are its parts min() or max(), whose texts are compared as the second part's column has it? */
bool cross_aggregate_compares(const struct cross_aggregate *a);
/* Of a term of ORDER BY: the token where ASC, DESC, NULLS FIRST or NULLS LAST begins, or its end.
 */
size_t cross_direction(const struct cross_text *t, struct cross_span s);
/* The merge's expression over them, the first of which is "ha:h<first>". */
void cross_aggregate_merge(const struct cross_text *t, const struct cross_aggregate *a, bool raw,
                           unsigned first, struct buf *merge);

#endif
