/*
 * ALTER TABLE: each of its actions becomes a statement of what SQLite and sql/alter.h know.
 *
 *   ALTER TABLE t ADD a INT AFTER b, ADD KEY k (a), MODIFY c BIGINT NOT NULL, ENGINE=InnoDB
 *   ALTER TABLE t ADD COLUMN a INT; CREATE INDEX k ON t (a);
 *   ALTER TABLE t ALTER COLUMN c TYPE BIGINT; ALTER TABLE t ALTER COLUMN c SET NOT NULL; …
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sql/mysql/rewrite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct alter {
    struct mysql_rewrite *r;
    const char *table;
    bool any; /* a statement has been written */
};

static void next(struct alter *x)
{
    if (x->any)
        mysql_put_semicolon(x->r);
    x->any = true;
}

static void begin(struct alter *x)
{
    next(x);
    mysql_put(x->r, "ALTER TABLE ");
    mysql_put_name(x->r, x->table);
}

static void begin_column(struct alter *x, const char *name)
{
    begin(x);
    mysql_put(x->r, "ALTER COLUMN ");
    mysql_put_name(x->r, name);
}

/* ---- columns ---- */

static bool is_number_type(const struct mysql_rewrite *r, size_t i)
{
    static const char *const types[] = {"INT",    "INTEGER", "TINYINT", "SMALLINT", "MEDIUMINT",
                                        "BIGINT", "FLOAT",   "DOUBLE",  "DECIMAL",  "NUMERIC",
                                        "REAL",   "BIT",     "BOOL",    "BOOLEAN",  "YEAR"};

    return mysql_one_of(mysql_at(r, i), types, COUNT(types));
}

/* FIRST and AFTER x end a definition: SQLite adds columns at the end. */
static size_t without_place(const struct mysql_rewrite *r, size_t from, size_t to)
{
    size_t after = mysql_find(r, from, to, "AFTER");

    if (after < to)
        return after;
    return to > from + 1 && mysql_word(r, to - 1, "FIRST") ? to - 1 : to;
}

/* SQLite takes no moment and no expression for the default of a column that it adds. */
static bool is_constant(const struct mysql_rewrite *r, size_t dflt)
{
    const struct mysql_token *t = mysql_at(r, dflt + 1);

    return !mysql_op(r, dflt + 1, "(") && !mysql_op(r, dflt + 2, "(") &&
           !mysql_lex_is(t, "CURRENT_TIMESTAMP") && !mysql_lex_is(t, "CURRENT_DATE") &&
           !mysql_lex_is(t, "CURRENT_TIME") && !mysql_lex_is(t, "LOCALTIME") &&
           !mysql_lex_is(t, "LOCALTIMESTAMP");
}

static bool says_not_null(const struct mysql_rewrite *r, size_t from, size_t to)
{
    for (size_t k = from; k < to; k++)
        if (mysql_words(r, k, "NOT", "NULL"))
            return true;
    return false;
}

/* SET DEFAULT, and with it what the rows have that are there. */
static void set_default(struct alter *x, const char *name, size_t dflt, size_t to, bool fill)
{
    struct mysql_rewrite *r = x->r;
    struct buf text = BUF_INIT, *out = r->out;
    static const size_t word = sizeof "DEFAULT " - 1;

    r->out = &text;
    (void)mysql_column_default(r, dflt, to);
    r->out = out;
    const char *value = text.len > word ? buf_cstr(&text) + word : "NULL";
    begin_column(x, name);
    mysql_put(r, "SET DEFAULT ");
    buf_puts(r->out, value);
    if (fill) {
        next(x);
        mysql_put(r, "UPDATE ");
        mysql_put_name(r, x->table);
        mysql_put(r, "SET ");
        mysql_put_name(r, name);
        mysql_put(r, "= ");
        buf_puts(r->out, value);
    }
    buf_free(&text);
}

static void add_column(struct alter *x, size_t from, size_t to)
{
    struct mysql_rewrite *r = x->r;
    struct mysql_column c;
    size_t unique, dflt;

    to = without_place(r, from, to);
    unique = mysql_find(r, from, to, "UNIQUE");
    begin(x);
    mysql_put(r, "ADD COLUMN ");
    if (mysql_words(r, from, "IF", "NOT")) {
        mysql_put(r, "IF NOT EXISTS ");
        from += 3;
    }
    dflt = mysql_find(r, from, to, "DEFAULT");
    bool later = dflt < to && !is_constant(r, dflt), not_null = says_not_null(r, from, to);
    /* SQLite adds no UNIQUE column, but an index does the same. */
    mysql_column_def(r, from, unique, false,
                     later ? MYSQL_WITHOUT_DEFAULT | MYSQL_WITHOUT_NOT_NULL : 0, &c);
    /* MySQL fills a NOT NULL column with its type's zero. */
    if (not_null && dflt == to && mysql_find(r, from, to, "GENERATED") == to &&
        mysql_find(r, from, to, "AS") == to)
        mysql_put(r, is_number_type(r, from + 1) ? "DEFAULT 0" : "DEFAULT ''");
    if (later) {
        set_default(x, c.name, dflt, to, true);
        if (not_null) {
            begin_column(x, c.name);
            mysql_put(r, "SET NOT NULL");
        }
    }
    if (c.on_update) {
        next(x);
        mysql_on_update(r, x->table, &c);
    }
    if (unique == to)
        return;
    next(x);
    mysql_put(r, "CREATE UNIQUE INDEX ");
    mysql_put_name(r, mysql_index_name(r, x->table, c.name, false));
    mysql_put(r, "ON ");
    mysql_put_name(r, x->table);
    mysql_put(r, "(");
    mysql_put_name(r, c.name);
    buf_puts(r->out, ")");
}

/* The check of the ENUM that the column was, and of the one that it is now. */
static void modify_enum(struct alter *x, size_t type, const char *name)
{
    struct mysql_rewrite *r = x->r;
    size_t n = strlen(name) + sizeof "_enum";
    char *check = arena_alloc(r->arena, n);

    if (!check)
        return;
    (void)snprintf(check, n, "%s_enum", name);
    begin(x);
    mysql_put(r, "DROP CONSTRAINT IF EXISTS ");
    mysql_put_name(r, check);
    if (!mysql_is_enum(r, type))
        return;
    begin(x);
    mysql_put(r, "ADD ");
    mysql_enum_check(r, type, name);
}

/* What MODIFY and CHANGE say of a column, piece by piece. */
static void modify_column(struct alter *x, size_t from, size_t to)
{
    struct mysql_rewrite *r = x->r;
    const char *name = mysql_name(r, from);
    size_t dflt;

    to = without_place(r, from, to);
    if (mysql_find(r, from, to, "AUTO_INCREMENT") < to) { /* fine where it is the rowid already */
        begin_column(x, name);
        mysql_put(r, "ADD GENERATED BY DEFAULT AS IDENTITY");
        return;
    }
    begin_column(x, name);
    mysql_put(r, "TYPE ");
    (void)mysql_column_type(r, from + 1, to, NULL);
    modify_enum(x, from + 1, name);
    begin_column(x, name);
    mysql_put(r, says_not_null(r, from, to) ? "SET NOT NULL" : "DROP NOT NULL");
    dflt = mysql_find(r, from, to, "DEFAULT");
    if (dflt == to || mysql_word(r, dflt + 1, "NULL")) {
        begin_column(x, name);
        mysql_put(r, "DROP DEFAULT");
    } else {
        set_default(x, name, dflt, to, false);
    }
    struct mysql_column c = {.name = name};
    next(x);
    mysql_on_update(r, x->table, &c);
    for (size_t k = from; k < to; k++)
        if (mysql_words(r, k, "ON", "UPDATE")) {
            c.on_update = true;
            c.fraction = mysql_op(r, k + 3, "(") && !mysql_op(r, k + 4, ")");
            next(x);
            mysql_on_update(r, x->table, &c);
        }
}

static void change_column(struct alter *x, size_t from, size_t to)
{
    struct mysql_rewrite *r = x->r;
    const char *old = mysql_name(r, from), *name = mysql_name(r, from + 1);

    if (strcmp(old, name) != 0) {
        begin(x);
        mysql_put(r, "RENAME COLUMN ");
        mysql_put_name(r, old);
        mysql_put(r, "TO ");
        mysql_put_name(r, name);
    }
    modify_column(x, from + 1, to);
}

/* ---- the actions ---- */

static void add(struct alter *x, size_t i, size_t to)
{
    struct mysql_rewrite *r = x->r;

    if (mysql_is_key(r, i)) {
        if (mysql_word(r, i, "FULLTEXT") || mysql_word(r, i, "SPATIAL"))
            mysql_fail(r, i, ERR_UNSUPPORTED,
                       "FULLTEXT and SPATIAL indexes are virtual tables here: FTS5, R*Tree");
        next(x);
        mysql_create_key(r, x->table, i, to);
        return;
    }
    if (mysql_word(r, i, "CONSTRAINT") || mysql_words(r, i, "FOREIGN", "KEY") ||
        mysql_words(r, i, "PRIMARY", "KEY") || mysql_word(r, i, "CHECK")) {
        begin(x);
        mysql_put(r, "ADD ");
        if (!mysql_table_constraint(r, i, to))
            mysql_fail_syntax(r, i);
        return;
    }
    i += mysql_word(r, i, "COLUMN");
    if (mysql_op(r, i, "(")) {
        size_t close = r->match[i];
        for (size_t from = i + 1; from < close && !r->failed;) {
            size_t stop = mysql_find_op(r, from, close, ",");
            add_column(x, from, stop);
            from = stop + 1;
        }
        return;
    }
    add_column(x, i, to);
}

static void drop(struct alter *x, size_t i, size_t to)
{
    struct mysql_rewrite *r = x->r;

    if (mysql_word(r, i, "INDEX") || mysql_word(r, i, "KEY")) {
        i += mysql_words(r, i + 1, "IF", "EXISTS") ? 2 : 0;
        next(x);
        mysql_put(r, "DROP INDEX ");
        mysql_put_name(r, mysql_index_name(r, x->table, mysql_name(r, i + 1), true));
        return;
    }
    if (mysql_word(r, i, "CONSTRAINT")) { /* a UNIQUE one is an index here */
        const char *index = mysql_index_name(r, x->table, mysql_name(r, i + 1), true);
        if (mysql_has_index(r, x->table, index)) {
            next(x);
            mysql_put(r, "DROP INDEX ");
            mysql_put_name(r, index);
            return;
        }
    }
    begin(x);
    if (mysql_words(r, i, "PRIMARY", "KEY")) {
        mysql_put(r, "DROP CONSTRAINT ");
        size_t n = strlen(x->table);
        char *name = arena_alloc(r->arena, n + sizeof "_pkey");
        if (name) {
            memcpy(name, x->table, n);
            memcpy(name + n, "_pkey", sizeof "_pkey");
        }
        mysql_put_name(r, name ? name : "");
        return;
    }
    if (mysql_words(r, i, "FOREIGN", "KEY") || mysql_word(r, i, "CONSTRAINT") ||
        mysql_word(r, i, "CHECK")) {
        i += mysql_word(r, i, "FOREIGN") ? 2 : 1;
        mysql_put(r, "DROP CONSTRAINT ");
        mysql_put_name(r, mysql_name(r, i));
        return;
    }
    i += mysql_word(r, i, "COLUMN");
    mysql_put(r, "DROP COLUMN ");
    if (mysql_words(r, i, "IF", "EXISTS")) {
        mysql_put(r, "IF EXISTS ");
        i += 2;
    }
    if (i >= to)
        mysql_fail_syntax(r, i);
    mysql_put_name(r, mysql_name(r, i));
    mysql_put(r, "CASCADE");
}

static void rename_what(struct alter *x, size_t i, size_t to)
{
    struct mysql_rewrite *r = x->r;

    if (mysql_word(r, i, "INDEX") || mysql_word(r, i, "KEY")) {
        next(x);
        mysql_put(r, "ALTER INDEX ");
        mysql_put_name(r, mysql_index_name(r, x->table, mysql_name(r, i + 1), true));
        mysql_put(r, "RENAME TO ");
        mysql_put_name(r, mysql_name(r, i + 3));
        return;
    }
    begin(x);
    if (mysql_word(r, i, "COLUMN")) {
        mysql_put(r, "RENAME COLUMN ");
        mysql_put_name(r, mysql_name(r, i + 1));
        mysql_put(r, "TO ");
        mysql_put_name(r, mysql_name(r, i + 3));
        return;
    }
    i += mysql_word(r, i, "TO") || mysql_word(r, i, "AS");
    mysql_put(r, "RENAME TO ");
    const char *name = mysql_last_name(r, i, mysql_skip_name(r, i));
    mysql_put_name(r, name);
    x->table = name;
    (void)to;
}

static void action(struct alter *x, size_t i, size_t to)
{
    static const char *const ignored[] = {"ENGINE",         "AUTO_INCREMENT", "COMMENT",
                                          "CONVERT",        "DEFAULT",        "CHARSET",
                                          "CHARACTER",      "COLLATE",        "ROW_FORMAT",
                                          "ALGORITHM",      "LOCK",           "ENABLE",
                                          "DISABLE",        "FORCE",          "ORDER",
                                          "KEY_BLOCK_SIZE", "MAX_ROWS",       "STATS_PERSISTENT",
                                          "PACK_KEYS",      "CHECKSUM",       "DELAY_KEY_WRITE",
                                          "AVG_ROW_LENGTH", "MIN_ROWS"};
    struct mysql_rewrite *r = x->r;

    if (mysql_word(r, i, "ADD")) {
        add(x, i + 1, to);
    } else if (mysql_word(r, i, "DROP")) {
        drop(x, i + 1, to);
    } else if (mysql_word(r, i, "MODIFY")) {
        modify_column(x, i + 1 + mysql_word(r, i + 1, "COLUMN"), to);
    } else if (mysql_word(r, i, "CHANGE")) {
        change_column(x, i + 1 + mysql_word(r, i + 1, "COLUMN"), to);
    } else if (mysql_word(r, i, "RENAME")) {
        rename_what(x, i + 1, to);
    } else if (mysql_word(r, i, "ALTER") &&
               (mysql_word(r, i + 1, "INDEX") || mysql_word(r, i + 1, "CHECK"))) {
        return; /* visible or not, enforced or not */
    } else if (mysql_word(r, i, "ALTER")) {
        begin(x);
        mysql_range(r, i, to);
    } else if (!mysql_one_of(mysql_at(r, i), ignored, COUNT(ignored))) {
        mysql_fail_syntax(r, i);
    }
}

bool mysql_alter(struct mysql_rewrite *r)
{
    struct alter x = {.r = r};
    size_t i = 1, end;

    if (!mysql_word(r, 0, "ALTER"))
        return false;
    i += mysql_word(r, i, "IGNORE");
    if (!mysql_word(r, i, "TABLE"))
        return false;
    i++;
    i += mysql_words(r, i, "IF", "EXISTS") ? 2 : 0;
    end = mysql_skip_name(r, i);
    x.table = mysql_last_name(r, i, end);
    if (end == i || end >= r->n) {
        mysql_fail_syntax(r, i);
        return true;
    }
    while (end < r->n && !r->failed) {
        size_t to = mysql_find_op(r, end, r->n, ",");
        action(&x, end, to);
        end = to + 1;
    }
    r->touched++;
    return true;
}
