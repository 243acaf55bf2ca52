/*
 * Queries and whatever stands in them: a walk over the tokens that knows which clause it is in.
 *
 *   SELECT SQL_NO_CACHE CONCAT(a, "b") FROM db.t USE INDEX (i) WHERE … FOR UPDATE
 *   SELECT (a || 'b') AS "CONCAT(a, ""b"")" FROM t WHERE …
 */
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "sql/mysql/catalog.h"
#include "sql/mysql/rewrite.h"
#include "sql/quote.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Where a list of columns, or of tables, ends. */
static const char *const clauses[] = {"FROM",  "WHERE", "GROUP",     "HAVING", "ORDER",
                                      "LIMIT", "UNION", "EXCEPT",    "INTO",   "WINDOW",
                                      "FOR",   "LOCK",  "PROCEDURE", "ON",     "INTERSECT"};

static const char *const modifiers[] = {"SQL_NO_CACHE",     "SQL_CACHE",      "SQL_CALC_FOUND_ROWS",
                                        "SQL_SMALL_RESULT", "SQL_BIG_RESULT", "SQL_BUFFER_RESULT",
                                        "HIGH_PRIORITY",    "STRAIGHT_JOIN"};

/* Behind these a word is an operand, and never a column's name. */
static const char *const operators[] = {
    "AND",  "OR",  "NOT",      "XOR",  "LIKE",   "RLIKE",    "REGEXP", "IN",      "IS",
    "DIV",  "MOD", "BETWEEN",  "CASE", "WHEN",   "THEN",     "ELSE",   "COLLATE", "BINARY",
    "FROM", "AS",  "DISTINCT", "ALL",  "ESCAPE", "INTERVAL", "EXISTS", "GLOB",    "MATCH"};

static const char *const operands[] = {"END", "NULL", "TRUE", "FALSE"};

/* Names to MySQL, and keywords to SQLite. */
static const char *const sqlite_words[] = {"AUTOINCREMENT", "COMMIT",  "DEFERRABLE", "ESCAPE",
                                           "ISNULL",        "NOTHING", "NOTNULL",    "TRANSACTION"};

/* ---- tables ---- */

/* A name that a bare alias cannot be. */
static bool ends_table(const struct mysql_rewrite *r, size_t i)
{
    static const char *const words[] = {"JOIN",    "LEFT",          "RIGHT", "INNER",     "CROSS",
                                        "NATURAL", "USING",         "USE",   "FORCE",     "IGNORE",
                                        "SET",     "STRAIGHT_JOIN", "FULL",  "PARTITION", "VALUES",
                                        "SELECT",  "OUTER"};

    return !mysql_is_name(r, i) || mysql_one_of(mysql_at(r, i), clauses, COUNT(clauses)) ||
           mysql_one_of(mysql_at(r, i), words, COUNT(words));
}

size_t mysql_table(struct mysql_rewrite *r, size_t i, bool alias)
{
    size_t end = mysql_skip_name(r, i);
    const char *text;

    if (end - i < 3) {
        if (mysql_one_of(mysql_at(r, i), sqlite_words, COUNT(sqlite_words)))
            mysql_put_name(r, mysql_name(r, i));
        else
            mysql_copy(r, i);
        return i + 1;
    }
    const char *schema = mysql_name(r, i), *name = mysql_name(r, i + 2);
    if (strcasecmp(schema, "information_schema") == 0) {
        text = alias ? mysql_catalog(name) : NULL;
        if (!text) {
            mysql_fail(r, i, ERR_NO_TABLE, "no such table: information_schema.%.100s", name);
            return end;
        }
        mysql_put(r, "(");
        mysql_catalog_put(r, text);
        mysql_put(r, ")");
        if (ends_table(r, end) && !mysql_word(r, end, "AS")) {
            mysql_put(r, "AS");
            mysql_put_name(r, name);
        }
        r->touched++;
        return end;
    }
    if (strcasecmp(schema, r->context->schema) == 0) {
        r->touched++;
        if (mysql_at(r, i)->space)
            mysql_put(r, "");
        mysql_put_name(r, name);
        return end;
    }
    for (size_t k = i; k < end; k++)
        mysql_copy(r, k);
    return end;
}

/* db.t.c in an expression: without its db. */
static size_t long_name(struct mysql_rewrite *r, size_t i)
{
    size_t end = mysql_skip_name(r, i);

    if (end - i != 5 || strcasecmp(mysql_name(r, i), r->context->schema) != 0)
        return i;
    if (mysql_at(r, i)->space)
        mysql_put(r, "");
    mysql_put_name(r, mysql_name(r, i + 2));
    mysql_copy(r, i + 3);
    mysql_copy(r, i + 4);
    r->touched++;
    return end;
}

/* USE INDEX FOR JOIN (a, b) */
static size_t index_hint(const struct mysql_rewrite *r, size_t i)
{
    size_t at = i + 2;

    if (!(mysql_word(r, i, "USE") || mysql_word(r, i, "FORCE") || mysql_word(r, i, "IGNORE")) ||
        !(mysql_word(r, i + 1, "INDEX") || mysql_word(r, i + 1, "KEY")))
        return i;
    while (at < r->n && !mysql_op(r, at, "("))
        at++;
    return mysql_skip(r, at);
}

/* FOR UPDATE, FOR SHARE, with OF a and NOWAIT; LOCK IN SHARE MODE. */
static size_t locking(const struct mysql_rewrite *r, size_t i, size_t to)
{
    if (mysql_words(r, i, "LOCK", "IN") && mysql_words(r, i + 2, "SHARE", "MODE"))
        return i + 4;
    if (!mysql_word(r, i, "FOR") ||
        !(mysql_word(r, i + 1, "UPDATE") || mysql_word(r, i + 1, "SHARE")))
        return i;
    size_t at = i + 2;
    while (at < to && (mysql_is_name(r, at) || mysql_op(r, at, ",") || mysql_op(r, at, ".")) &&
           !mysql_word(r, at, "INTO"))
        at++;
    return at;
}

/* ---- columns ---- */

static bool has_alias(const struct mysql_rewrite *r, size_t from, size_t to)
{
    const struct mysql_token *last = mysql_at(r, to - 1), *before = mysql_at(r, to - 2);

    if (mysql_find(r, from, to, "AS") < to)
        return true;
    if (to - from < 2 || (last->type != MYSQL_TOKEN_WORD && last->type != MYSQL_TOKEN_QUOTED &&
                          last->type != MYSQL_TOKEN_STRING))
        return false;
    if (mysql_one_of(last, operands, COUNT(operands)) ||
        (mysql_is_unit(last) && mysql_find(r, from, to, "INTERVAL") < to))
        return false;
    switch (before->type) {
    case MYSQL_TOKEN_WORD:
        if (*before->text == '_' && last->type == MYSQL_TOKEN_STRING)
            return false;
        return !mysql_one_of(before, operators, COUNT(operators));
    case MYSQL_TOKEN_STRING:
        return last->type != MYSQL_TOKEN_STRING;
    case MYSQL_TOKEN_QUOTED:
    case MYSQL_TOKEN_NUMBER:
    case MYSQL_TOKEN_PARAM:
    case MYSQL_TOKEN_BITS:
    case MYSQL_TOKEN_SYSTEM:
    case MYSQL_TOKEN_USER:
        return true;
    default:
        return mysql_lex_is_op(before, ")");
    }
}

/* A column that was translated keeps the name that MySQL would give it: its text. */
static void column(struct mysql_rewrite *r, size_t from, size_t to)
{
    unsigned before = r->touched;
    const struct mysql_token *first = mysql_at(r, from), *last = mysql_at(r, to - 1);
    size_t n;

    mysql_range(r, from, to);
    if (to <= from || has_alias(r, from, to))
        return;
    if (to - from == 1 && first->type == MYSQL_TOKEN_STRING) {
        const char *s = mysql_string(r, from, &n);
        if (!json_is_text(s, n))
            return;
        mysql_put(r, "AS");
        mysql_put(r, "");
        quote_put(r->out, s, n, '"');
        return;
    }
    if (r->touched == before)
        return;
    mysql_put(r, "AS");
    mysql_put(r, "");
    quote_put(r->out, first->text, (size_t)(last->text + last->len - first->text), '"');
}

static size_t columns(struct mysql_rewrite *r, size_t i, size_t to)
{
    size_t end = i;

    while (end < to &&
           !(mysql_one_of(mysql_at(r, end), clauses, COUNT(clauses)) && !mysql_op(r, end - 1, ".")))
        end = mysql_skip(r, end);
    if (end > to)
        end = to;
    for (size_t from = i; from < end;) {
        size_t stop = mysql_find_op(r, from, end, ",");
        column(r, from, stop);
        if (stop < end)
            mysql_copy(r, stop);
        from = stop + 1;
    }
    return end;
}

static size_t select_list(struct mysql_rewrite *r, size_t i, size_t to)
{
    mysql_copy(r, i++);
    while (i < to) {
        if (mysql_one_of(mysql_at(r, i), modifiers, COUNT(modifiers))) {
            i++;
        } else if (mysql_word(r, i, "DISTINCT") || mysql_word(r, i, "ALL")) {
            mysql_copy(r, i++);
        } else if (mysql_word(r, i, "DISTINCTROW")) {
            mysql_put(r, "DISTINCT");
            i++;
        } else {
            break;
        }
    }
    return columns(r, i, to);
}

/* ---- HAVING without groups ---- */

static bool is_aggregate(const struct mysql_rewrite *r, size_t i)
{
    static const char *const names[] = {
        "COUNT",      "SUM",     "AVG",      "MIN",       "MAX",           "GROUP_CONCAT",
        "BIT_AND",    "BIT_OR",  "BIT_XOR",  "STD",       "STDDEV",        "STDDEV_POP",
        "VARIANCE",   "VAR_POP", "VAR_SAMP", "ANY_VALUE", "JSON_ARRAYAGG", "JSON_OBJECTAGG",
        "STDDEV_SAMP"};

    return mysql_op(r, i + 1, "(") && mysql_one_of(mysql_at(r, i), names, COUNT(names));
}

/* Of the SELECT at i: where a HAVING stands that is about its rows, not about groups; `to`: none.
 */
static size_t plain_having(const struct mysql_rewrite *r, size_t i, size_t to)
{
    static const char *const ends[] = {"UNION", "EXCEPT", "INTERSECT"};

    for (size_t k = 0; k < COUNT(ends); k++)
        to = mysql_find(r, i, to, ends[k]);
    size_t having = mysql_find(r, i, to, "HAVING");
    if (having == to || mysql_find(r, i, to, "GROUP") < to)
        return to;
    for (size_t k = i; k < to; k++)
        if (is_aggregate(r, k))
            return to;
    return having;
}

/* The name by which the only table of the SELECT at i is known; NULL: there are several, or none.
 */
static const char *only_table(struct mysql_rewrite *r, size_t i, size_t to)
{
    static const char *const more[] = {"JOIN", "STRAIGHT_JOIN"};
    size_t from = mysql_find(r, i, to, "FROM"), end = mysql_find(r, from, to, "WHERE");

    for (size_t k = 0; k < COUNT(more); k++)
        if (mysql_find(r, from, end, more[k]) < end)
            return NULL;
    if (from == to || mysql_find_op(r, from, end, ",") < end || !mysql_is_name(r, from + 1))
        return NULL;
    size_t behind = mysql_skip_name(r, from + 1);
    if (behind + mysql_word(r, behind, "AS") < end && index_hint(r, behind) == behind)
        return mysql_name(r, behind + mysql_word(r, behind, "AS"));
    return mysql_name(r, behind - 1);
}

/* Where the clauses of the SELECT that has its HAVING at i end that go into the subquery with it:
 * *order is where ORDER BY begins, and the answer where it ends. What orders a UNION does not. */
static size_t order_of(const struct mysql_rewrite *r, size_t select, size_t i, size_t to,
                       size_t *order)
{
    static const char *const compound[] = {"UNION", "ALL", "DISTINCT", "EXCEPT", "INTERSECT"};
    static const char *const ends[] = {"LIMIT",     "FOR",  "LOCK", "UNION", "EXCEPT",
                                       "INTERSECT", "INTO", "ON",   "AS"};

    for (size_t k = 0; k < COUNT(ends); k++)
        to = mysql_find(r, i, to, ends[k]);
    *order = mysql_find(r, i, to, "ORDER");
    if (select > 0 && mysql_one_of(mysql_at(r, select - 1), compound, COUNT(compound)))
        *order = to;
    return to;
}

/*
 * In MySQL HAVING filters rows, too, and knows what the list calls its columns before it knows the
 * tables'; ORDER BY still knows both:
 *
 *   SELECT UPPER(a) AS a FROM t WHERE b HAVING a = 'X' ORDER BY c LIMIT 1
 *   SELECT * FROM (SELECT UPPER(a) AS a FROM t WHERE b ORDER BY c) AS t WHERE a = 'X' LIMIT 1
 *
 * SQLite keeps the order of a subquery that is all that a query reads.
 */
static size_t having(struct mysql_rewrite *r, size_t i, size_t to)
{
    size_t at = plain_having(r, i, to), order;

    if (at >= to || !mysql_word(r, at, "HAVING"))
        return i;
    const char *table = only_table(r, i, at);
    size_t end = order_of(r, i, at, to, &order);
    mysql_put(r, "SELECT * FROM (");
    mysql_range(r, i, at);
    if (order < end) {
        mysql_put(r, "");
        mysql_range(r, order, end);
    }
    mysql_put(r, ")");
    if (table) {
        mysql_put(r, "AS");
        mysql_put_name(r, table);
    }
    mysql_put(r, "WHERE");
    mysql_range(r, at + 1, order);
    r->touched++;
    return end;
}

/* ---- the walk ---- */

struct place {
    bool in_from; /* commas stand between tables */
    bool table;   /* a table comes next */
};

static void look_at_word(const struct mysql_rewrite *r, size_t i, struct place *p)
{
    static const char *const tables[] = {"FROM", "JOIN", "STRAIGHT_JOIN"};
    static const char *const ends[] = {"WHERE", "GROUP",  "HAVING", "ORDER",  "LIMIT",
                                       "UNION", "SELECT", "SET",    "EXCEPT", "INTERSECT"};

    if (mysql_one_of(mysql_at(r, i), tables, COUNT(tables)))
        *p = (struct place){true, true};
    else if (mysql_one_of(mysql_at(r, i), ends, COUNT(ends)))
        *p = (struct place){false, false};
    else
        p->table = p->in_from && mysql_op(r, i, ",");
}

/* FROM DUAL is no table at all. */
static size_t dual(const struct mysql_rewrite *r, size_t i)
{
    return mysql_words(r, i, "FROM", "DUAL") && !mysql_op(r, i + 2, ".") ? i + 2 : i;
}

static size_t one(struct mysql_rewrite *r, size_t i, size_t to, struct place *p)
{
    size_t end;

    if (p->table && mysql_is_name(r, i) && !mysql_word(r, i, "SELECT")) {
        p->table = false;
        if (!(mysql_op(r, i + 1, "(")))
            return mysql_table(r, i, true);
    }
    if (mysql_word(r, i, "SELECT")) {
        *p = (struct place){false, false};
        if ((end = having(r, i, to)) > i)
            return end;
        return select_list(r, i, to);
    }
    if ((end = dual(r, i)) > i || (p->in_from && (end = index_hint(r, i)) > i) ||
        (end = locking(r, i, to)) > i) {
        r->touched++;
        return end;
    }
    if (mysql_word(r, i, "STRAIGHT_JOIN")) {
        mysql_put(r, "JOIN");
        r->touched++;
        return i + 1;
    }
    if (mysql_op(r, i, "(") && r->match[i] != MYSQL_NONE && r->match[i] < to) {
        mysql_copy(r, i);
        if (p->table) { /* FROM (a, b) */
            struct place inner = {true, true};
            size_t k = i + 1;
            while (k < r->match[i] && !r->failed) {
                size_t next = one(r, k, r->match[i], &inner);
                for (size_t w = k; w < next; w++)
                    look_at_word(r, w, &inner);
                k = next;
            }
            p->table = false;
        } else {
            mysql_range(r, i + 1, r->match[i]);
        }
        mysql_copy(r, r->match[i]);
        return r->match[i] + 1;
    }
    if ((end = long_name(r, i)) > i || (end = mysql_expr(r, i, to)) > i)
        return end;
    mysql_copy(r, i);
    return i + 1;
}

void mysql_range(struct mysql_rewrite *r, size_t from, size_t to)
{
    struct place p = {false, false};

    if (++r->depth > MYSQL_DEPTH_MAX)
        mysql_fail(r, from, ERR_TOO_BIG, "the statement is nested too deeply");
    while (from < to && !r->failed) {
        r->place[from] = r->out->len;
        size_t end = one(r, from, to, &p);
        if (end == from + 1)
            look_at_word(r, from, &p);
        else if (mysql_op(r, end - 1, ","))
            p.table = p.in_from;
        from = end;
    }
    r->depth--;
}
