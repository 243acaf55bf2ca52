/* Keys, indexes and constraints of a table. In SQLite their names are one for all tables: where
 * another table has an index of that name, the table's stands in front. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sql/mysql/rewrite.h"

#define KEY_COLUMNS_MAX 64

/* ---- names ---- */

static bool has_index(struct mysql_rewrite *r, const char *name, const char *table, bool *other)
{
    struct buf b = BUF_INIT;
    bool found;

    if (r->context->index_table)
        r->context->index_table(r->context->arg, name, &b);
    found = b.len > 0 && strcasecmp(buf_cstr(&b), table) == 0;
    *other = b.len > 0 && !found;
    buf_free(&b);
    return found;
}

bool mysql_has_index(struct mysql_rewrite *r, const char *table, const char *name)
{
    bool other;

    return has_index(r, name, table, &other);
}

const char *mysql_index_name(struct mysql_rewrite *r, const char *table, const char *name,
                             bool existing)
{
    size_t n = strlen(table) + strlen(name) + 2;
    char *both = arena_alloc(r->arena, n);
    bool other, ignored;

    if (!both) {
        mysql_fail(r, MYSQL_NONE, ERR_NO_MEMORY, "out of memory");
        return name;
    }
    (void)snprintf(both, n, "%s_%s", table, name);
    if (has_index(r, name, table, &other))
        return name;
    if (existing)
        return has_index(r, both, table, &ignored) ? both : name;
    return other ? both : name;
}

/* REFERENCES t (a) ON DELETE CASCADE MATCH FULL … */
size_t mysql_references(struct mysql_rewrite *r, size_t i, size_t to)
{
    mysql_copy(r, i++);
    mysql_put(r, "");
    i = mysql_table(r, i, false);
    if (mysql_op(r, i, "("))
        i = mysql_key_columns(r, i);
    while (i < to && (mysql_word(r, i, "ON") || mysql_word(r, i, "MATCH"))) {
        if (mysql_word(r, i, "MATCH")) {
            i += 2;
            continue;
        }
        size_t end = i + 3 + (mysql_word(r, i + 2, "SET") || mysql_word(r, i + 2, "NO"));
        for (; i < end && i < to; i++)
            mysql_copy(r, i);
    }
    return i;
}

/* ---- keys and constraints ---- */

size_t mysql_key_columns(struct mysql_rewrite *r, size_t i)
{
    struct mysql_arg args[KEY_COLUMNS_MAX];
    size_t n = mysql_args(r, i, args, KEY_COLUMNS_MAX), close = r->match[i];

    if (n > KEY_COLUMNS_MAX) {
        mysql_fail(r, i, ERR_TOO_BIG, "too many columns in a key");
        return close + 1;
    }
    mysql_put(r, "(");
    for (size_t k = 0; k < n; k++) {
        if (k > 0)
            buf_puts(r->out, ", ");
        for (size_t at = args[k].from; at < args[k].to;) {
            /* the length of a prefix */
            bool prefix = mysql_op(r, at, "(") && at == args[k].from + 1 &&
                          mysql_at(r, at + 1)->type == MYSQL_TOKEN_NUMBER;
            if (!prefix && mysql_op(r, at, "("))
                mysql_range(r, at, mysql_skip(r, at));
            else if (!prefix)
                mysql_copy(r, at);
            at = mysql_skip(r, at);
        }
    }
    buf_puts(r->out, ")");
    return close + 1;
}

bool mysql_is_key(const struct mysql_rewrite *r, size_t i)
{
    if (mysql_word(r, i, "CONSTRAINT"))
        i += mysql_word(r, i + 1, "UNIQUE") ? 1 : 2;
    return mysql_word(r, i, "KEY") || mysql_word(r, i, "INDEX") || mysql_word(r, i, "FULLTEXT") ||
           mysql_word(r, i, "SPATIAL") || mysql_word(r, i, "UNIQUE");
}

/* The ( of a key's columns, and its name: of the CONSTRAINT, its own, or its first column's. */
static size_t key_parts(struct mysql_rewrite *r, size_t from, size_t to, bool *unique,
                        const char **name)
{
    size_t i = from;

    *name = NULL;
    *unique = false;
    if (mysql_word(r, i, "CONSTRAINT")) {
        if (!mysql_word(r, i + 1, "UNIQUE"))
            *name = mysql_name(r, ++i);
        i++;
    }
    for (; mysql_word(r, i, "KEY") || mysql_word(r, i, "INDEX") || mysql_word(r, i, "UNIQUE") ||
           mysql_word(r, i, "FULLTEXT") || mysql_word(r, i, "SPATIAL");
         i++)
        *unique = *unique || mysql_word(r, i, "UNIQUE");
    if (mysql_is_name(r, i) && !mysql_word(r, i, "USING"))
        *name = mysql_name(r, i++);
    while (i < to && !mysql_op(r, i, "("))
        i++;
    if (!*name)
        *name = mysql_name(r, i + 1);
    return i;
}

void mysql_create_key(struct mysql_rewrite *r, const char *table, size_t from, size_t to)
{
    bool unique;
    const char *name;
    size_t open = key_parts(r, from, to, &unique, &name);

    if (mysql_word(r, from, "FULLTEXT") || mysql_word(r, from, "SPATIAL"))
        return; /* SQLite has other means for these, FTS5 and R*Tree */
    if (open >= to) {
        mysql_fail_syntax(r, from);
        return;
    }
    mysql_put(r, unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    mysql_put_name(r, mysql_index_name(r, table, name, false));
    mysql_put(r, "ON ");
    mysql_put_name(r, table);
    mysql_put(r, "");
    (void)mysql_key_columns(r, open);
}

bool mysql_table_constraint(struct mysql_rewrite *r, size_t from, size_t to)
{
    size_t i = from;

    if (mysql_word(r, i, "CONSTRAINT")) {
        if (mysql_word(r, i + 1, "FOREIGN") || mysql_word(r, i + 1, "PRIMARY") ||
            mysql_word(r, i + 1, "CHECK")) {
            i++;
        } else {
            mysql_copy(r, i);
            mysql_put_name(r, mysql_name(r, i + 1));
            i += 2;
        }
    }
    if (mysql_words(r, i, "PRIMARY", "KEY")) {
        mysql_put(r, "PRIMARY KEY");
        while (i < to && !mysql_op(r, i, "("))
            i++;
        if (i < to)
            (void)mysql_key_columns(r, i);
        return true;
    }
    if (mysql_words(r, i, "FOREIGN", "KEY")) {
        mysql_put(r, "FOREIGN KEY");
        while (i < to && !mysql_op(r, i, "("))
            i++;
        if (i < to)
            i = mysql_key_columns(r, i);
        if (mysql_word(r, i, "REFERENCES"))
            (void)mysql_references(r, i, to);
        else
            mysql_fail_syntax(r, i);
        return true;
    }
    if (mysql_word(r, i, "CHECK")) {
        size_t end = mysql_skip(r, i + 1);
        mysql_put(r, "CHECK");
        mysql_range(r, i + 1, end);
        return true;
    }
    return false;
}
