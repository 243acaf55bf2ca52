/*
 * Values that depend on the column they are stored in: DEFAULT, '\x00ff' for a bytea, 't' for a
 * boolean, 'A0EE…' for a uuid. The dialect does not know the columns; the functions of
 * pg/function_column.c look when they run.
 *
 *   INSERT INTO t (a, b) VALUES (1, DEFAULT), (2, DEFAULT)   … t (a) VALUES (1), (2)
 *   INSERT INTO t (a, b) VALUES (1, DEFAULT), (2, 3)         … VALUES (1, pg_default('t', 'b')),
 * (2, 3) UPDATE t SET a = DEFAULT                                 … SET a = pg_default('t', 'a')
 *   UPDATE t SET a = '\x00'                                  … SET a = pg_stored('t', 'a', '\x00')
 */
#include <string.h>

#include "base/hex.h"
#include "sql/pg/rewrite.h"

enum { INSERT_COLUMNS_MAX = 2000 }; /* SQLite's own limit of columns */

/* The column that a value goes to: its name where one is written, else its place, from 1. */
struct target {
    const char *table;
    const char *column;
    unsigned place;
};

bool pg_is_hex(const struct pg_token *t)
{
    return t->type == PG_TOKEN_STRING && t->len >= 4 && t->text[1] == '\\' && t->text[2] == 'x' &&
           hex_is_bytes(t->text + 3, t->len - 4);
}

bool pg_is_odd_uuid(const struct pg_token *t)
{
    size_t digits = 0, dashes = 0;
    bool odd = false;

    if (t->type != PG_TOKEN_STRING || t->len < 34 || t->len > 47)
        return false;
    for (size_t i = 1; i + 1 < t->len; i++) {
        char c = t->text[i];
        if (hex_value(c) >= 0)
            digits++;
        else if (c == '-')
            dashes++;
        else if (c != '{' && c != '}')
            return false;
        odd = odd || (c >= 'A' && c <= 'F') || c == '{';
    }
    return digits == 32 && (odd || dashes != 4);
}

/* ---- one value ---- */

static bool ends_value(const struct pg_rewrite *r, size_t i, size_t to)
{
    return i >= to || pg_punct(r, i, ",") || pg_punct(r, i, ")") || pg_word(r, i, "WHERE") ||
           pg_word(r, i, "FROM") || pg_word(r, i, "RETURNING");
}

static bool is_default(const struct pg_rewrite *r, size_t i, size_t to)
{
    return pg_word(r, i, "DEFAULT") && ends_value(r, i + 1, to);
}

/* A text that may stand for something else. */
static bool is_literal(const struct pg_rewrite *r, size_t i, size_t to)
{
    bool value;

    return (pg_is_hex(pg_at(r, i)) || pg_is_boolean_text(pg_at(r, i), &value) ||
            pg_is_odd_uuid(pg_at(r, i))) &&
           ends_value(r, i + 1, to);
}

static void put_target(struct pg_rewrite *r, const char *function, const struct target *x)
{
    pg_putf(r, "%s(", function);
    pg_put_string(r, x->table, strlen(x->table));
    pg_put(r, ",");
    if (x->column)
        pg_put_string(r, x->column, strlen(x->column));
    else
        pg_putf(r, "%u", x->place);
}

/* The value [from, to). */
static void put_value(struct pg_rewrite *r, size_t from, size_t to, const struct target *x)
{
    if (is_default(r, from, to) && from + 1 == to) {
        r->at = from;
        put_target(r, "pg_default", x);
        pg_put(r, ")");
    } else if (is_literal(r, from, to) && from + 1 == to) {
        r->at = from;
        put_target(r, "pg_stored", x);
        pg_put(r, ",");
        pg_put_string(r, pg_at(r, from)->text + 1, pg_at(r, from)->len - 2);
        pg_put(r, ")");
    } else {
        pg_range(r, from, to);
    }
}

/* ---- INSERT … VALUES ---- */

/* Is value n of the list that opens at `open` DEFAULT? */
static bool nth_is_default(const struct pg_rewrite *r, size_t open, unsigned n)
{
    size_t close = r->match[open], i = open + 1;

    for (; n > 0 && i <= close; n--)
        i = pg_find_punct(r, i, close, ",") + 1;
    return i < close && is_default(r, i, close);
}

static bool column_is_default(const struct pg_rewrite *r, size_t values, size_t to, unsigned n)
{
    for (size_t i = values + 1; i < to && pg_punct(r, i, "("); i = r->match[i] + 2) {
        if (!nth_is_default(r, i, n))
            return false;
        if (!pg_punct(r, r->match[i] + 1, ","))
            break;
    }
    return true;
}

/* A list in parentheses, the names of columns or the values of a row, without the members of which
 * `drop` tells. `columns` is the ( of the names where the members are values; PG_NONE: none. */
static void put_list(struct pg_rewrite *r, size_t open, const bool *drop, size_t columns,
                     const char *table)
{
    size_t close = r->match[open], i = open + 1;
    size_t name = columns == PG_NONE ? PG_NONE : columns + 1;
    bool any = false;

    pg_copy(r, open);
    for (unsigned n = 0; i < close; n++) {
        size_t comma = pg_find_punct(r, i, close, ",");
        if (n >= INSERT_COLUMNS_MAX || !drop[n]) {
            struct target x = {table, NULL, n + 1};
            if (name != PG_NONE && name < r->match[columns])
                x.column = pg_name(r, name);
            if (any)
                pg_copy(r, i - 1);
            if (open == columns)
                pg_range(r, i, comma);
            else
                put_value(r, i, comma, &x);
            any = true;
        }
        if (name != PG_NONE && name < r->match[columns])
            name = pg_find_punct(r, name, r->match[columns], ",") + 1;
        i = comma + 1;
    }
    pg_copy(r, close);
}

static size_t put_rows(struct pg_rewrite *r, size_t values, const bool *drop, size_t columns,
                       const char *table)
{
    size_t i = values + 1;

    pg_copy(r, values);
    while (pg_punct(r, i, "(")) {
        put_list(r, i, drop, columns, table);
        i = r->match[i] + 1;
        if (!pg_punct(r, i, ","))
            break;
        pg_copy(r, i++);
    }
    return i;
}

/* At the list of columns, PG_NONE where there is none, of an INSERT with such a value somewhere. */
static size_t insert_values(struct pg_rewrite *r, size_t columns, size_t values, size_t to,
                            const char *table)
{
    bool drop[INSERT_COLUMNS_MAX] = {false};
    unsigned n = 0, dropped = 0;

    if (columns == PG_NONE)
        return put_rows(r, values, drop, columns, table);
    for (size_t i = columns + 1; i < r->match[columns] && n < INSERT_COLUMNS_MAX; n++) {
        drop[n] = column_is_default(r, values, to, n);
        dropped += drop[n];
        i = pg_find_punct(r, i, r->match[columns], ",") + 1;
    }
    if (dropped == n && !pg_punct(r, r->match[values + 1] + 1, ",")) {
        pg_put(r, "DEFAULT VALUES"); /* of which SQLite takes one row */
        return r->match[values + 1] + 1;
    }
    if (dropped == n)
        drop[0] = false;
    put_list(r, columns, drop, columns, table);
    return put_rows(r, values, drop, columns, table);
}

static size_t insert(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t name = pg_skip_name(r, i + 2), at = name, values, columns = PG_NONE;
    bool special = false;

    if (!pg_words(r, i, "INSERT", "INTO") || name == i + 2)
        return i;
    if (pg_word(r, at, "AS"))
        at += 2;
    if (pg_punct(r, at, "(") && !pg_word(r, at + 1, "SELECT")) {
        columns = at;
        at = pg_skip(r, at);
    }
    values = at;
    if (pg_word(r, values, "OVERRIDING"))
        values += 3;
    if (!pg_word(r, values, "VALUES") || !pg_punct(r, values + 1, "("))
        return i;
    for (size_t k = values; k < to && !special; k++)
        special = is_default(r, k, to) || is_literal(r, k, to);
    if (!special && values == at)
        return i;
    pg_copy(r, i);
    pg_copy(r, i + 1);
    pg_range(r, i + 2, columns == PG_NONE ? at : columns);
    if (special)
        return insert_values(r, columns, values, to, pg_name(r, name - 1));
    if (columns != PG_NONE)
        pg_range(r, columns, at);
    return values;
}

/* ---- SET column = … ---- */

/* The table whose columns the SET before token i changes; NULL: none. */
static const char *changed_table(struct pg_rewrite *r, size_t i)
{
    size_t at = pg_place(r, i)->change, name = at + 1;

    if (at == PG_NONE)
        return NULL;
    if (pg_word(r, at, "INSERT"))
        return pg_name(r, pg_skip_name(r, at + 2) - 1);
    name += pg_word(r, name, "ONLY");
    return pg_is_name(r, name) ? pg_name(r, pg_skip_name(r, name) - 1) : NULL;
}

static size_t set_value(struct pg_rewrite *r, size_t i, size_t to)
{
    struct target x = {NULL, NULL, 0};

    if (i < 3 || !pg_punct(r, i - 1, "=") || !pg_is_name(r, i - 2) ||
        (!pg_word(r, i - 3, "SET") && !pg_punct(r, i - 3, ",")) ||
        (!is_default(r, i, to) && !is_literal(r, i, to)))
        return i;
    x.table = changed_table(r, i);
    if (!x.table)
        return i;
    x.column = pg_name(r, i - 2);
    put_value(r, i, i + 1, &x);
    return i + 1;
}

size_t pg_stored_value(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t next;

    if (r->schema)
        return i;
    if (pg_word(r, i, "INSERT"))
        return insert(r, i, to);
    if ((next = set_value(r, i, to)) != i)
        return next;
    if (is_default(r, i, to))
        pg_fail(r, i, ERR_UNSUPPORTED, "DEFAULT is not supported here");
    return i;
}
