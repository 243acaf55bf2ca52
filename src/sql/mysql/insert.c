/*
 * INSERT and REPLACE:
 *
 *   INSERT IGNORE t VALUES (1, DEFAULT)         INSERT OR IGNORE INTO t …
 *   INSERT INTO t SET a = 1, b = 2              INSERT INTO t (a, b) VALUES (1, 2)
 *   INSERT INTO t () VALUES ()                  INSERT INTO t DEFAULT VALUES
 *   … ON DUPLICATE KEY UPDATE n = VALUES(n)     … ON CONFLICT DO UPDATE SET n = excluded.n
 *   … VALUES (1) AS new ON DUPLICATE … new.a    … excluded.a
 *
 * A column whose value is DEFAULT in every row is left out; in some rows only it takes the column's
 * default, which pg_default() looks up when it runs.
 */
#include <string.h>

#include "sql/mysql/rewrite.h"

#define COLUMNS_MAX 2000 /* SQLite's own limit */
#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))

struct insert {
    struct mysql_rewrite *r;
    const char *table;
    size_t columns; /* the ( of the list; MYSQL_NONE = there is none */
    size_t values;  /* VALUES, VALUE, SET or the first word of a query */
    size_t end;     /* of the rows or the query */
    size_t update;  /* ON DUPLICATE KEY UPDATE; n = there is none */
    bool skip[COLUMNS_MAX];
};

static bool is_default(const struct mysql_rewrite *r, const struct mysql_arg *a)
{
    return a->to == a->from + 1 && mysql_word(r, a->from, "DEFAULT");
}

/* The next row's ( from i on; `end` where there is none. */
static size_t next_row(const struct mysql_rewrite *r, size_t i, size_t end)
{
    while (i < end && !mysql_op(r, i, "("))
        i++;
    return i;
}

/* Which columns are DEFAULT in every row? */
static void find_defaults(struct insert *x, size_t n_columns)
{
    struct mysql_rewrite *r = x->r;
    static const size_t most = COLUMNS_MAX;
    struct mysql_arg *args = arena_alloc(r->arena, most * sizeof *args);
    bool any = false;

    if (!args || n_columns > most)
        return;
    for (size_t k = 0; k < n_columns; k++)
        x->skip[k] = true;
    for (size_t i = next_row(r, x->values, x->end); i < x->end;
         i = next_row(r, r->match[i] + 1, x->end)) {
        size_t n = mysql_args(r, i, args, most);
        for (size_t k = 0; k < n_columns; k++)
            x->skip[k] = x->skip[k] && k < n && is_default(r, &args[k]);
        any = true;
    }
    for (size_t k = 0; k < n_columns && !any; k++)
        x->skip[k] = false;
}

static void put_value(struct insert *x, const struct mysql_arg *a, const struct mysql_arg *column)
{
    struct mysql_rewrite *r = x->r;
    const char *name;

    if (!is_default(r, a)) {
        mysql_range(r, a->from, a->to);
        return;
    }
    r->touched++;
    if (!column) { /* by place: NULL is what an AUTO_INCREMENT column makes its value of */
        mysql_put(r, "NULL");
        return;
    }
    name = mysql_last_name(r, column->from, column->to);
    mysql_put(r, "pg_default(");
    mysql_put_string(r, x->table, strlen(x->table));
    buf_puts(r->out, ", ");
    mysql_put_string(r, name, strlen(name));
    buf_puts(r->out, ")");
}

static void put_row(struct insert *x, size_t open, const struct mysql_arg *columns,
                    size_t n_columns)
{
    struct mysql_rewrite *r = x->r;
    struct mysql_arg *args = arena_alloc(r->arena, COLUMNS_MAX * sizeof *args);
    size_t n = args ? mysql_args(r, open, args, COLUMNS_MAX) : 0;
    bool any = false;

    if (n > COLUMNS_MAX) {
        mysql_fail(r, open, ERR_TOO_BIG, "too many values in a row");
        return;
    }
    mysql_put(r, "(");
    for (size_t k = 0; k < n && !r->failed; k++) {
        if (k < n_columns && x->skip[k])
            continue;
        if (any)
            buf_puts(r->out, ",");
        put_value(x, &args[k], k < n_columns ? &columns[k] : NULL);
        any = true;
    }
    buf_puts(r->out, ")");
}

/* (a, b) VALUES (…), (…) */
static void put_rows(struct insert *x)
{
    struct mysql_rewrite *r = x->r;
    struct mysql_arg *columns = arena_alloc(r->arena, COLUMNS_MAX * sizeof *columns);
    size_t n = 0, kept = 0, first = next_row(r, x->values, x->end);

    if (columns && x->columns != MYSQL_NONE)
        n = mysql_args(r, x->columns, columns, COLUMNS_MAX);
    if (!columns || n > COLUMNS_MAX) {
        mysql_fail(r, x->values, ERR_TOO_BIG, "too many columns");
        return;
    }
    find_defaults(x, n);
    for (size_t k = 0; k < n; k++)
        kept += !x->skip[k];
    if (first < x->end && (r->match[first] == first + 1 || (n > 0 && kept == 0))) {
        mysql_put(r, "DEFAULT VALUES");
        if (next_row(r, r->match[first] + 1, x->end) < x->end)
            mysql_fail(r, first, ERR_UNSUPPORTED, "several rows of defaults in one INSERT");
        return;
    }
    if (n > 0) {
        bool any = false;
        mysql_put(r, "(");
        for (size_t k = 0; k < n; k++) {
            if (x->skip[k])
                continue;
            if (any)
                buf_puts(r->out, ", ");
            mysql_put_name(r, mysql_last_name(r, columns[k].from, columns[k].to));
            any = true;
        }
        buf_puts(r->out, ")");
    }
    mysql_put(r, "VALUES");
    for (size_t i = first, k = 0; i < x->end && !r->failed;
         i = next_row(r, r->match[i] + 1, x->end), k++) {
        if (k > 0)
            buf_puts(r->out, ",");
        put_row(x, i, columns, n);
    }
}

/* SET a = 1, b = 2 */
static void put_set(struct insert *x)
{
    struct mysql_rewrite *r = x->r;

    for (int pass = 0; pass < 2; pass++) {
        mysql_put(r, pass == 0 ? "(" : "VALUES (");
        bool any = false;
        for (size_t from = x->values + 1; from < x->end && !r->failed;) {
            size_t to = mysql_find_op(r, from, x->end, ","),
                   equals = mysql_find_op(r, from, to, "=");
            struct mysql_arg value = {equals + 1, to};
            if (equals == to || equals == from) {
                mysql_fail_syntax(r, from);
                return;
            }
            if (!is_default(r, &value)) {
                if (any)
                    buf_puts(r->out, ", ");
                if (pass == 0)
                    mysql_put_name(r, mysql_last_name(r, from, equals));
                else
                    mysql_range(r, value.from, value.to);
                any = true;
            }
            from = to + 1;
        }
        buf_puts(r->out, ")");
    }
}

/* A query in front of ON CONFLICT needs a WHERE, or its ON would look like a join's. */
static void put_query(struct insert *x)
{
    struct mysql_rewrite *r = x->r;
    static const char *const behind[] = {"GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW"};
    size_t at = x->values, where = mysql_find(r, at, x->end, "WHERE");

    if (x->columns != MYSQL_NONE)
        mysql_range(r, x->columns, r->match[x->columns] + 1);
    if (x->update >= r->n || where < x->end || mysql_find(r, at, x->end, "UNION") < x->end) {
        mysql_range(r, at, x->end);
        return;
    }
    while (at < x->end && !mysql_one_of(mysql_at(r, at), behind, COUNT(behind)))
        at = mysql_skip(r, at);
    mysql_range(r, x->values, at);
    mysql_put(r, "WHERE true");
    mysql_range(r, at, x->end);
}

/* a = VALUES(a), t.b = b + 1 */
static void put_update(struct insert *x)
{
    struct mysql_rewrite *r = x->r;

    mysql_put(r, "ON CONFLICT DO UPDATE SET");
    r->excluded = true;
    for (size_t from = x->update + 4; from < r->n && !r->failed;) {
        size_t to = mysql_find_op(r, from, r->n, ","), equals = mysql_find_op(r, from, to, "=");
        if (equals == to) {
            mysql_fail_syntax(r, from);
            return;
        }
        mysql_put_name(r, mysql_last_name(r, from, equals));
        mysql_put(r, "=");
        mysql_range(r, equals + 1, to);
        if (to < r->n)
            buf_puts(r->out, ",");
        from = to + 1;
    }
}

bool mysql_insert(struct mysql_rewrite *r)
{
    struct insert x = {.r = r, .columns = MYSQL_NONE};
    bool replace = mysql_word(r, 0, "REPLACE"), ignore = false;
    size_t i = 1;

    if (!replace && !mysql_word(r, 0, "INSERT"))
        return false;
    if (mysql_word(r, i, "OR")) { /* SQLite's own */
        mysql_range(r, 0, r->n);
        return true;
    }
    for (; mysql_word(r, i, "LOW_PRIORITY") || mysql_word(r, i, "DELAYED") ||
           mysql_word(r, i, "HIGH_PRIORITY") || mysql_word(r, i, "IGNORE");
         i++)
        ignore = ignore || mysql_word(r, i, "IGNORE");
    i += mysql_word(r, i, "INTO");
    mysql_put(r, replace ? "REPLACE INTO" : ignore ? "INSERT OR IGNORE INTO" : "INSERT INTO");
    mysql_put(r, "");
    x.table = mysql_last_name(r, i, mysql_skip_name(r, i));
    i = mysql_table(r, i, false);
    if (mysql_word(r, i, "AS") && !mysql_op(r, i + 2, "(")) { /* SQLite's own alias */
        mysql_copy(r, i);
        mysql_copy(r, i + 1);
        i += 2;
    }
    if (mysql_op(r, i, "(") && !mysql_word(r, i + 1, "SELECT") && !mysql_word(r, i + 1, "WITH")) {
        x.columns = i;
        i = mysql_skip(r, i);
    }
    x.values = i;
    x.update = mysql_find(r, i, r->n, "ON");
    while (x.update < r->n && !mysql_words(r, x.update + 1, "DUPLICATE", "KEY"))
        x.update = mysql_find(r, x.update + 1, r->n, "ON");
    x.end = x.update;
    if (x.columns != MYSQL_NONE && r->match[x.columns] == x.columns + 1)
        x.columns = MYSQL_NONE; /* () VALUES () */
    bool values = mysql_word(r, i, "VALUES") || mysql_word(r, i, "VALUE");
    bool set = mysql_word(r, i, "SET");
    size_t as = values || set ? mysql_find(r, i, x.end, "AS") : x.end;
    if (as < x.end) {
        r->new_alias = mysql_name(r, as + 1);
        x.end = as;
    }
    /* What follows the rows otherwise (RETURNING, ON CONFLICT) is SQLite's. */
    size_t rest = x.end;
    if (values)
        for (rest = i + 1; rest < x.end && (mysql_op(r, rest, "(") || mysql_op(r, rest, ",") ||
                                            mysql_word(r, rest, "ROW"));)
            rest = mysql_skip(r, rest);
    size_t until = x.end;
    if (values)
        x.end = rest;
    if (values)
        put_rows(&x);
    else if (set)
        put_set(&x);
    else
        put_query(&x);
    if (values && rest < until)
        mysql_range(r, rest, until);
    if (x.update < r->n)
        put_update(&x);
    r->touched++;
    return true;
}
