/*
 * UPDATE and DELETE:
 *
 *   UPDATE t SET a = 1 ORDER BY b LIMIT 2        … WHERE rowid IN (SELECT rowid FROM t … LIMIT 2)
 *   UPDATE t JOIN u ON t.a = u.a SET t.b = u.b   UPDATE t SET b = u.b FROM u WHERE (t.a = u.a)
 *   DELETE t FROM t JOIN u … WHERE …             DELETE FROM t WHERE rowid IN (SELECT t.rowid …)
 *   DELETE FROM t LIMIT 2                        … WHERE rowid IN (SELECT rowid FROM t LIMIT 2)
 */
#include <string.h>
#include <strings.h>

#include "sql/mysql/rewrite.h"

static size_t clause(const struct mysql_rewrite *r, size_t i, const char *word)
{
    return mysql_find(r, i, r->n, word);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* a = 1, t.b = 2: SQLite wants bare names on the left. */
static void assignments(struct mysql_rewrite *r, size_t from, size_t to)
{
    while (from < to && !r->failed) {
        size_t stop = mysql_find_op(r, from, to, ","), equals = mysql_find_op(r, from, stop, "=");
        if (equals == stop || equals == from) {
            mysql_fail_syntax(r, from);
            return;
        }
        if (mysql_op(r, from, "("))
            mysql_range(r, from, equals);
        else
            mysql_put_name(r, mysql_last_name(r, from, equals));
        mysql_put(r, "=");
        if (stop == equals + 2 && mysql_word(r, equals + 1, "DEFAULT"))
            mysql_fail(r, equals + 1, ERR_UNSUPPORTED, "DEFAULT is not supported in UPDATE");
        mysql_range(r, equals + 1, stop);
        if (stop < to)
            buf_puts(r->out, ",");
        from = stop + 1;
    }
}

/* WHERE rowid IN (SELECT rowid FROM t … ORDER BY … LIMIT …) */
static void limited(struct mysql_rewrite *r, size_t table, size_t table_end, size_t where)
{
    mysql_put(r, "WHERE rowid IN (SELECT rowid FROM ");
    (void)mysql_table(r, table, false);
    (void)table_end;
    mysql_range(r, where, r->n);
    buf_puts(r->out, ")");
}

/* What is left of a list of tables without the one at `skip`: the first of `FROM a JOIN b ON c`. */
static bool joined_update(struct mysql_rewrite *r, size_t i, size_t set)
{
    size_t end = mysql_skip_name(r, i), where = clause(r, set, "WHERE"), on, right;
    const char *target = mysql_last_name(r, i, end), *alias = NULL;

    if (clause(r, set, "LIMIT") < r->n || clause(r, set, "ORDER") < r->n)
        return false;
    if (mysql_word(r, end, "AS"))
        end++;
    if (mysql_is_name(r, end) && !mysql_word(r, end, "JOIN") && !mysql_word(r, end, "INNER") &&
        !mysql_word(r, end, "LEFT") && !mysql_word(r, end, "CROSS"))
        alias = mysql_name(r, end++);
    if (mysql_word(r, end, "LEFT")) /* rows without a partner would be changed, too */
        return false;
    end += mysql_word(r, end, "INNER") || mysql_word(r, end, "CROSS");
    if (!mysql_word(r, end, "JOIN") && !mysql_op(r, end, ","))
        return false;
    right = end + 1;
    on = mysql_find(r, right, set, "ON");
    if (mysql_find(r, right, set, "USING") < set || mysql_find(r, on + 1, set, "ON") < set ||
        mysql_find(r, right, set, "LEFT") < set)
        return false;
    mysql_put(r, "UPDATE ");
    mysql_put_name(r, target);
    if (alias) {
        mysql_put(r, "AS");
        mysql_put_name(r, alias);
    }
    mysql_put(r, "SET");
    for (size_t k = set + 1; k < where;) { /* only the first table's columns can be set */
        size_t stop = mysql_find_op(r, k, where, ",");
        if (mysql_op(r, k + 1, ".") && strcasecmp(mysql_name(r, k), alias ? alias : target) != 0)
            return false;
        k = stop + 1;
    }
    assignments(r, set + 1, where);
    mysql_put(r, "FROM ");
    if (mysql_is_name(r, right)) {
        size_t k = mysql_table(r, right, true);
        mysql_range(r, k, on);
    } else {
        mysql_range(r, right, on);
    }
    if (on < set || where < r->n)
        mysql_put(r, "WHERE");
    if (on < set) {
        mysql_put(r, "(");
        mysql_range(r, on + 1, set);
        mysql_put(r, ")");
    }
    if (where < r->n) {
        mysql_put(r, on < set ? "AND (" : "(");
        mysql_range(r, where + 1, r->n);
        mysql_put(r, ")");
    }
    return true;
}

bool mysql_update(struct mysql_rewrite *r)
{
    size_t i = 1, set, where, tail;
    bool ignore = false;

    if (!mysql_word(r, 0, "UPDATE") || mysql_word(r, 1, "OR"))
        return false;
    for (; mysql_word(r, i, "LOW_PRIORITY") || mysql_word(r, i, "IGNORE"); i++)
        ignore = ignore || mysql_word(r, i, "IGNORE");
    set = clause(r, i, "SET");
    if (set == r->n) {
        mysql_fail_syntax(r, r->n);
        return true;
    }
    r->touched++;
    if (mysql_find_op(r, i, set, ",") < set || mysql_find(r, i, set, "JOIN") < set) {
        if (!ignore && joined_update(r, i, set))
            return true;
        mysql_fail(r, i, ERR_UNSUPPORTED,
                   "an UPDATE of several tables is supported as UPDATE a JOIN b ON … SET a.c = …");
        return true;
    }
    where = clause(r, set, "WHERE");
    tail = least(clause(r, set, "ORDER"), clause(r, set, "LIMIT"));
    mysql_put(r, ignore ? "UPDATE OR IGNORE " : "UPDATE ");
    size_t table = i, end = mysql_table(r, i, false);
    mysql_range(r, end, set + 1);
    assignments(r, set + 1, least(least(where, tail), clause(r, set, "RETURNING")));
    if (tail < r->n)
        limited(r, table, end, least(where, tail));
    else
        mysql_range(r, least(where, clause(r, set, "RETURNING")), r->n);
    return true;
}

/* DELETE a FROM a JOIN b …, DELETE FROM a USING a JOIN b … */
static void joined_delete(struct mysql_rewrite *r, size_t target, size_t tables)
{
    size_t end = mysql_skip_name(r, target), at;
    const char *name, *table;

    if (mysql_op(r, end, ".")) /* a.* */
        end += 2;
    if (mysql_op(r, end, ",")) {
        mysql_fail(r, target, ERR_UNSUPPORTED, "a DELETE from several tables is not supported");
        return;
    }
    name = table = mysql_last_name(r, target, mysql_skip_name(r, target));
    /* The target may be an alias of a table. */
    for (at = tables; at < r->n; at++) {
        if (!mysql_is_name(r, at) || (at > tables && !mysql_is_name(r, at - 1)))
            continue;
        size_t back = mysql_word(r, at - 1, "AS") ? at - 2 : at - 1;
        if (at > tables && strcasecmp(mysql_name(r, at), name) == 0 && back >= tables &&
            mysql_is_name(r, back) && !mysql_word(r, back, "JOIN") && !mysql_word(r, back, "AND") &&
            !mysql_word(r, back, "ON") && !mysql_word(r, back, "WHERE")) {
            table = mysql_name(r, back);
            break;
        }
    }
    mysql_put(r, "DELETE FROM ");
    mysql_put_name(r, table);
    mysql_put(r, "WHERE rowid IN (SELECT ");
    mysql_put_name(r, name);
    buf_puts(r->out, ".rowid FROM");
    if (mysql_is_name(r, tables)) {
        mysql_put(r, "");
        at = mysql_table(r, tables, true);
        mysql_range(r, at, r->n);
    } else {
        mysql_range(r, tables, r->n);
    }
    buf_puts(r->out, ")");
}

bool mysql_delete(struct mysql_rewrite *r)
{
    size_t i = 1, from, using, where, tail;

    if (!mysql_word(r, 0, "DELETE"))
        return false;
    while (mysql_word(r, i, "LOW_PRIORITY") || mysql_word(r, i, "QUICK") ||
           mysql_word(r, i, "IGNORE"))
        i++;
    r->touched++;
    from = clause(r, i, "FROM");
    using = clause(r, i, "USING");
    if (from > i && from < r->n) {
        joined_delete(r, i, from + 1);
        return true;
    }
    if (from == i && using < clause(r, i, "WHERE")) {
        joined_delete(r, i + 1, using + 1);
        return true;
    }
    if (from != i) {
        mysql_fail_syntax(r, i);
        return true;
    }
    where = clause(r, i, "WHERE");
    tail = least(clause(r, i, "ORDER"), clause(r, i, "LIMIT"));
    mysql_put(r, "DELETE FROM ");
    size_t end = mysql_table(r, i + 1, false);
    if (tail < r->n)
        limited(r, i + 1, end, least(where, tail));
    else
        mysql_range(r, end, r->n);
    return true;
}
