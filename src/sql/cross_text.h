/*
 * A SELECT that runs in several databases, as text: what each of them is to run, and what puts
 * their rows together. SQLite stays the only parser; here the borders of the clauses are found by
 * the tokens, on a text that SQLite has taken already.
 *
 *     SELECT dept, avg(pay) AS a FROM t WHERE x GROUP BY dept HAVING count(*) > 1 ORDER BY a LIMIT
 * 3
 *
 *   each    SELECT dept, avg(pay) AS a, total(pay), count(pay), count(*), dept FROM t WHERE x
 *           GROUP BY dept
 *   merge   SELECT "ha:c1" AS "dept", (total("ha:h1") / …) AS "a" FROM "ha:rows" GROUP BY "ha:h4"
 *           HAVING sum("ha:h3") > 1 ORDER BY a LIMIT 3
 *
 * "ha:rows" has the statement's own columns, "ha:c1" …, and behind them those that were added,
 * "ha:h1" …
 * Where an aggregate cannot be put together from parts (DISTINCT in it, an ORDER BY, any that is
 * not known here) the rows themselves are fetched, and the merge computes it.
 *
 * Pure; one thread for each struct.
 */
#ifndef HA_SQL_CROSS_TEXT_H
#define HA_SQL_CROSS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* The expression of the hint that stands in a comment of the statement: behind "db=" in a comment
 * that begins with a plus sign, without blanks around it. False where there is none. Borrowed. */
bool cross_hint(const char *sql, size_t len, const char **pattern, size_t *n);

/* For a dialect's translation `out` of `sql`, which may have left comments out, but may not leave
 * out this one: it is put behind the rest, so that the places in that stay what they are. */
void cross_hint_keep(struct buf *out, const char *sql, size_t len);

enum cross_kind {
    CROSS_CONCAT, /* rows one after the other, as each database gives them */
    CROSS_LIMIT,  /* the same, within a LIMIT */
    CROSS_MERGE   /* put together by SQLite */
};

struct cross_text; /* the statement, taken apart */

/* `sql` is one statement; copied. With $1 and :a kept, a bare ? gets the number that SQLite gives
 * it, so that the parts of the text may be moved. ERR_UNSUPPORTED for what cannot be put together.
 */
enum err_code cross_text_new(struct cross_text **out, const char *sql, size_t len, struct err *e);
void cross_text_free(struct cross_text *t); /* NULL is fine */
enum cross_kind cross_text_kind(const struct cross_text *t);
/* The whole of it, with its parameters numbered and without the hint. */
const char *cross_text_whole(const struct cross_text *t);
/* What stands at that byte of it stands where in the statement, which is given once more? */
int cross_text_place(const struct cross_text *t, const char *sql, size_t len, int offset);
/* "SELECT limit, offset"; "" where there is no LIMIT. */
const char *cross_text_bounds(const struct cross_text *t);

#define CROSS_HIDDEN 64          /* columns added at most */
#define CROSS_BOUND  ":ha__rows" /* parameter of `each`: limit + offset, or less than 0 */

struct cross_plan {
    struct buf each, merge;
    unsigned hidden;             /* columns that were added */
    bool compared[CROSS_HIDDEN]; /* its texts are compared as those of the next one */
};

/* Can this be prepared where "ha:rows" has the columns "ha:c1" … and 64 of the others? */
typedef bool cross_probe(void *arg, const char *merge);

/* `names` are those of the statement's n columns. `alias`: GROUP BY may mean one of them (asked for
 * when `each` does not compile without). */
enum err_code cross_text_plan(const struct cross_text *t, const char *const *names, unsigned n,
                              bool alias, cross_probe *probe, void *arg, struct cross_plan *plan,
                              struct err *e);
void cross_plan_free(struct cross_plan *plan);

/* Does the hint's expression match a database's id, anywhere in it? Compiled once, by PCRE2; an id
 * that is too much work counts as no match. */
struct cross_pattern;
/* ERR_PARAM with what is wrong with it. */
enum err_code cross_pattern_new(struct cross_pattern **out, const char *pattern, size_t n,
                                struct err *e);
bool cross_pattern_matches(const struct cross_pattern *p, const char *id);
void cross_pattern_free(struct cross_pattern *p); /* NULL is fine */

#endif
