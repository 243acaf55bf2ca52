/*
 * CREATE, DROP, TRUNCATE and RENAME. What SQLite cannot keep (engines, comments, character sets) is
 * left out; keys inside CREATE TABLE become indexes of their own:
 *
 *   CREATE TABLE t (id INT UNSIGNED NOT NULL AUTO_INCREMENT, a VARCHAR(9) COMMENT 'x',
 *                   PRIMARY KEY (id), KEY k (a(4))) ENGINE=InnoDB
 *   CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, a VARCHAR(9));
 *   CREATE INDEX k ON t (a)
 *
 * An AUTO_INCREMENT column is SQLite's rowid, which must be called INTEGER (column.c; key.c for the
 * rest).
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sql/mysql/rewrite.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define PARTS_MAX   2000 /* columns, as SQLite has them, and keys */
#define UPDATED_MAX 16

static bool is_constraint(const struct mysql_rewrite *r, size_t i)
{
    return mysql_word(r, i, "CONSTRAINT") || mysql_words(r, i, "PRIMARY", "KEY") ||
           mysql_words(r, i, "FOREIGN", "KEY") ||
           (mysql_word(r, i, "CHECK") && mysql_op(r, i + 1, "("));
}

/* ---- CREATE TABLE ---- */

struct table {
    struct mysql_rewrite *r;
    const char *name;
    struct mysql_arg parts[PARTS_MAX];
    size_t n;
    const char *rowid;                        /* the AUTO_INCREMENT column; NULL = none */
    struct mysql_column updated[UPDATED_MAX]; /* with ON UPDATE CURRENT_TIMESTAMP */
    size_t n_updated;
};

/* Is this PRIMARY KEY of that one column? */
static bool is_key_of(struct mysql_rewrite *r, const struct mysql_arg *a, const char *column)
{
    size_t i = a->from;

    if (mysql_word(r, i, "CONSTRAINT") && !mysql_word(r, i + 1, "PRIMARY"))
        i++;
    i += mysql_word(r, i, "CONSTRAINT") || (i > a->from);
    if (!mysql_words(r, i, "PRIMARY", "KEY") && !mysql_is_key(r, i))
        return false;
    while (i < a->to && !mysql_op(r, i, "("))
        i++;
    return i < a->to && r->match[i] == i + 2 && strcasecmp(mysql_name(r, i + 1), column) == 0;
}

/* The AUTO_INCREMENT column has to be the only one of the primary key. */
static void find_rowid(struct table *t)
{
    for (size_t k = 0; k < t->n; k++) {
        const struct mysql_arg *a = &t->parts[k];
        if (is_constraint(t->r, a->from) || mysql_is_key(t->r, a->from) ||
            mysql_find(t->r, a->from, a->to, "AUTO_INCREMENT") == a->to)
            continue;
        t->rowid = mysql_name(t->r, a->from);
        return;
    }
}

static bool primary_key_is(struct table *t, const char *column, bool *any)
{
    *any = false;
    for (size_t k = 0; k < t->n; k++) {
        size_t i = t->parts[k].from;
        if (mysql_word(t->r, i, "CONSTRAINT"))
            i += mysql_word(t->r, i + 1, "PRIMARY") ? 1 : 2;
        if (!mysql_words(t->r, i, "PRIMARY", "KEY"))
            continue;
        *any = true;
        return is_key_of(t->r, &t->parts[k], column);
    }
    return false;
}

static void put_parts(struct table *t)
{
    struct mysql_rewrite *r = t->r;
    bool any = false, has_key = false;
    bool key = t->rowid && primary_key_is(t, t->rowid, &has_key);

    if (t->rowid && has_key && !key) {
        mysql_fail(r, MYSQL_NONE, ERR_UNSUPPORTED,
                   "an AUTO_INCREMENT column has to be the whole primary key");
        return;
    }
    mysql_put(r, "(");
    for (size_t k = 0; k < t->n && !r->failed; k++) {
        const struct mysql_arg *a = &t->parts[k];
        bool constraint = is_constraint(r, a->from) && !mysql_is_key(r, a->from);
        if (!constraint && mysql_is_key(r, a->from) &&
            !(mysql_at(r, a->from)->type == MYSQL_TOKEN_QUOTED))
            continue;
        if (constraint && key && is_key_of(r, a, t->rowid))
            continue;
        if (any)
            buf_puts(r->out, ", ");
        any = true;
        if (constraint) {
            (void)mysql_table_constraint(r, a->from, a->to);
            continue;
        }
        struct mysql_column c;
        bool ignored;
        r->rowid = !t->rowid && primary_key_is(t, mysql_name(r, a->from), &ignored);
        mysql_column_def(r, a->from, a->to, t->rowid != NULL, 0, &c);
        r->rowid = false;
        if (c.on_update && t->n_updated < UPDATED_MAX)
            t->updated[t->n_updated++] = c;
    }
    buf_puts(r->out, ")");
}

static size_t if_not_exists(struct mysql_rewrite *r, size_t i)
{
    if (mysql_words(r, i, "IF", "NOT") && mysql_word(r, i + 2, "EXISTS")) {
        mysql_put(r, "IF NOT EXISTS");
        return i + 3;
    }
    return i;
}

static bool create_table(struct mysql_rewrite *r, size_t i)
{
    struct table t = {.r = r};
    bool temp = mysql_word(r, i, "TEMPORARY") || mysql_word(r, i, "TEMP");
    size_t open, at;

    if (!mysql_word(r, i + temp, "TABLE"))
        return false;
    i += temp + 1;
    mysql_put(r, temp ? "CREATE TEMP TABLE" : "CREATE TABLE");
    size_t before = i;
    i = if_not_exists(r, i);
    bool maybe = i > before;
    size_t name_end = mysql_skip_name(r, i);
    t.name = mysql_last_name(r, i, name_end);
    mysql_put(r, "");
    if (name_end == i) {
        mysql_fail_syntax(r, i);
        return true;
    }
    open = mysql_table(r, i, false);
    if (mysql_word(r, open, "LIKE") ||
        (mysql_op(r, open, "(") && mysql_word(r, open + 1, "LIKE"))) {
        mysql_fail(r, open, ERR_UNSUPPORTED, "CREATE TABLE … LIKE is not supported");
        return true;
    }
    if (!mysql_op(r, open, "(") || mysql_word(r, open + 1, "SELECT")) { /* … SELECT */
        size_t select = mysql_find(r, open, r->n, "SELECT");
        if (select == r->n && mysql_op(r, open, "("))
            select = open;
        mysql_put(r, "AS");
        r->schema = false; /* what it returns is stored, not what it says */
        mysql_range(r, select, r->n);
        return true;
    }
    t.n = mysql_args(r, open, t.parts, COUNT(t.parts));
    if (t.n > COUNT(t.parts)) {
        mysql_fail(r, open, ERR_TOO_BIG, "too many columns");
        return true;
    }
    find_rowid(&t);
    put_parts(&t);
    /* Of the options only SQLite's mean anything here. */
    at = r->match[open] + 1;
    for (bool any = false; at < r->n; at++)
        if (mysql_words(r, at, "WITHOUT", "ROWID") || mysql_word(r, at, "STRICT")) {
            mysql_put(r, any ? ", " : "");
            mysql_put(r, mysql_word(r, at, "STRICT") ? "STRICT" : "WITHOUT ROWID");
            any = true;
        }
    for (size_t k = 0; k < t.n && !r->failed; k++)
        if (mysql_is_key(r, t.parts[k].from) &&
            mysql_at(r, t.parts[k].from)->type != MYSQL_TOKEN_QUOTED &&
            !(t.rowid && is_key_of(r, &t.parts[k], t.rowid)) &&
            !mysql_word(r, t.parts[k].from, "FULLTEXT") &&
            !mysql_word(r, t.parts[k].from, "SPATIAL")) {
            mysql_put_semicolon(r);
            size_t start = r->out->len;
            mysql_create_key(r, t.name, t.parts[k].from, t.parts[k].to);
            if (maybe && buf_ok(r->out)) { /* the table may be there, and its indexes, too */
                const char *word = strstr(buf_cstr(r->out) + start, "INDEX ");
                size_t place = word ? (size_t)(word - r->out->data) + 6 : 0;
                static const char clause[] = "IF NOT EXISTS ";
                size_t len = sizeof clause - 1;
                if (place && buf_reserve(r->out, len)) {
                    memmove(r->out->data + place + len, r->out->data + place, r->out->len - place);
                    memcpy(r->out->data + place, clause, len);
                    r->out->len += len;
                }
            }
        }
    for (size_t k = 0; k < t.n_updated && !maybe; k++) {
        mysql_put_semicolon(r);
        mysql_on_update(r, t.name, &t.updated[k]);
    }
    return true;
}

/* ---- the others ---- */

/* CREATE [UNIQUE] INDEX a USING BTREE ON t (b(10)) ALGORITHM = … */
static bool create_index(struct mysql_rewrite *r, size_t i)
{
    size_t start = i, name, on, open;

    while (mysql_word(r, i, "UNIQUE") || mysql_word(r, i, "FULLTEXT") ||
           mysql_word(r, i, "SPATIAL"))
        i++;
    if (!mysql_word(r, i, "INDEX"))
        return false;
    if (mysql_word(r, start, "FULLTEXT") || mysql_word(r, start, "SPATIAL")) {
        mysql_fail(r, start, ERR_UNSUPPORTED,
                   "FULLTEXT and SPATIAL indexes are virtual tables here: FTS5, R*Tree");
        return true;
    }
    mysql_put(r, mysql_word(r, start, "UNIQUE") ? "CREATE UNIQUE INDEX" : "CREATE INDEX");
    name = if_not_exists(r, i + 1);
    on = mysql_find(r, name, r->n, "ON");
    size_t table_end = mysql_skip_name(r, on + 1);
    const char *table = mysql_last_name(r, on + 1, table_end);
    size_t name_end = mysql_skip_name(r, name);
    mysql_put(r, "");
    mysql_put_name(r, mysql_index_name(r, table, mysql_last_name(r, name, name_end), false));
    mysql_put(r, "ON ");
    open = mysql_table(r, on + 1, false);
    while (open < r->n && !mysql_op(r, open, "("))
        open++;
    if (open >= r->n) {
        mysql_fail_syntax(r, on);
        return true;
    }
    mysql_put(r, "");
    size_t end = mysql_key_columns(r, open);
    if (mysql_word(r, end, "WHERE")) /* SQLite's own */
        mysql_range(r, end, r->n);
    return true;
}

/* CREATE [OR REPLACE] [ALGORITHM = …] [DEFINER = …] [SQL SECURITY …] VIEW | TRIGGER … */
static bool create_view(struct mysql_rewrite *r, size_t i)
{
    bool replace = mysql_words(r, i, "OR", "REPLACE");
    size_t view = i;

    while (view < r->n && !mysql_word(r, view, "VIEW") && !mysql_word(r, view, "TRIGGER") &&
           !mysql_op(r, view, "("))
        view++;
    if (mysql_word(r, view, "TRIGGER")) {
        mysql_put(r, "CREATE");
        if (mysql_word(r, i, "TEMP") || mysql_word(r, i, "TEMPORARY"))
            mysql_put(r, "TEMP");
        mysql_range(r, view, r->n);
        return true;
    }
    if (!mysql_word(r, view, "VIEW"))
        return false;
    size_t name = view + 1, end;
    if (replace) {
        mysql_put(r, "DROP VIEW IF EXISTS ");
        (void)mysql_table(r, name, false);
        mysql_put_semicolon(r);
    }
    mysql_put(r, mysql_word(r, i, "TEMPORARY") ? "CREATE TEMP VIEW" : "CREATE VIEW");
    name = if_not_exists(r, name);
    mysql_put(r, "");
    end = mysql_table(r, name, false);
    size_t check = r->n;
    if (mysql_words(r, r->n - 2, "CHECK", "OPTION"))
        check = mysql_find(r, end, r->n, "WITH") < r->n - 2 ? r->n - 2 : r->n;
    while (check < r->n && !mysql_word(r, check, "WITH"))
        check--;
    mysql_range(r, end, check);
    return true;
}

/* DROP [TEMPORARY] TABLE | VIEW [IF EXISTS] a, b [CASCADE] */
static bool drop_tables(struct mysql_rewrite *r)
{
    size_t i = 1;
    bool exists = false, first = true;
    const char *what;

    i += mysql_word(r, i, "TEMPORARY");
    if (mysql_word(r, i, "TABLE") || mysql_word(r, i, "TABLES"))
        what = "DROP TABLE";
    else if (mysql_word(r, i, "VIEW"))
        what = "DROP VIEW";
    else
        return false;
    i++;
    if (mysql_words(r, i, "IF", "EXISTS")) {
        exists = true;
        i += 2;
    }
    while (i < r->n && !r->failed) {
        if (mysql_word(r, i, "CASCADE") || mysql_word(r, i, "RESTRICT"))
            break;
        if (!mysql_is_name(r, i)) {
            mysql_fail_syntax(r, i);
            break;
        }
        if (!first)
            mysql_put_semicolon(r);
        first = false;
        mysql_put(r, what);
        if (exists)
            mysql_put(r, "IF EXISTS");
        mysql_put(r, "");
        i = mysql_table(r, i, false);
        i += mysql_op(r, i, ",");
    }
    return true;
}

/* DROP INDEX a ON t */
static bool drop_index(struct mysql_rewrite *r)
{
    size_t on;

    if (!mysql_words(r, 0, "DROP", "INDEX"))
        return false;
    on = mysql_find(r, 2, r->n, "ON");
    if (on == r->n)
        return false;
    const char *table = mysql_last_name(r, on + 1, mysql_skip_name(r, on + 1));
    mysql_put(r, "DROP INDEX ");
    mysql_put_name(r, mysql_index_name(r, table, mysql_name(r, 2), true));
    return true;
}

/* RENAME TABLE a TO b, c TO d */
static bool rename_tables(struct mysql_rewrite *r)
{
    bool first = true;

    if (!mysql_words(r, 0, "RENAME", "TABLE") && !mysql_words(r, 0, "RENAME", "TABLES"))
        return false;
    for (size_t i = 2; i < r->n && !r->failed;) {
        size_t to = mysql_skip_name(r, i), end = mysql_skip_name(r, to + 1);
        if (to == i || !mysql_word(r, to, "TO") || end == to + 1) {
            mysql_fail_syntax(r, i);
            break;
        }
        if (!first)
            mysql_put_semicolon(r);
        first = false;
        mysql_put(r, "ALTER TABLE ");
        (void)mysql_table(r, i, false);
        mysql_put(r, "RENAME TO ");
        mysql_put_name(r, mysql_last_name(r, to + 1, end));
        i = end + mysql_op(r, end, ",");
    }
    return true;
}

static bool truncate(struct mysql_rewrite *r)
{
    size_t i = 1;

    if (!mysql_word(r, 0, "TRUNCATE"))
        return false;
    i += mysql_word(r, i, "TABLE");
    mysql_put(r, "DELETE FROM ");
    (void)mysql_table(r, i, false);
    return true;
}

bool mysql_ddl(struct mysql_rewrite *r)
{
    bool done = false;

    if (truncate(r)) {
        r->touched++;
        return true;
    }
    r->schema = mysql_word(r, 0, "CREATE") || mysql_word(r, 0, "DROP") ||
                mysql_word(r, 0, "RENAME") || mysql_word(r, 0, "ALTER");
    if (mysql_word(r, 0, "CREATE"))
        done = create_table(r, 1) || create_index(r, 1) || create_view(r, 1);
    else if (mysql_word(r, 0, "DROP"))
        done = drop_tables(r) || drop_index(r);
    else if (mysql_word(r, 0, "RENAME"))
        done = rename_tables(r);
    else if (mysql_word(r, 0, "ALTER"))
        return mysql_alter(r);
    r->touched += done;
    return done;
}
