/* CREATE INDEX, CREATE VIEW, DROP, and what else CREATE may be. */
#include <string.h>

#include "sql/pg/ddl.h"

/* ---- CREATE INDEX ---- */

static const char *made_up_name(struct pg_rewrite *r, size_t table, size_t list)
{
    struct buf b = BUF_INIT;
    const char *s;

    buf_puts(&b, pg_name(r, table));
    for (size_t i = list + 1; i < r->match[list];
         i = pg_find_punct(r, i, r->match[list], ",") + 1) {
        buf_putc(&b, '_');
        buf_puts(&b, pg_is_name(r, i) && !pg_punct(r, i + 1, "(") ? pg_name(r, i) : "expr");
    }
    if (!buf_ok(&b))
        pg_fail(r, PG_NONE, ERR_NO_MEMORY, "out of memory");
    s = pg_format(r, "%s_idx", buf_ok(&b) ? buf_cstr(&b) : "");
    buf_free(&b);
    return s;
}

/* One column of an index: without its operator class, and without NULLS FIRST, which SQLite does
 * not keep. */
static void index_column(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t end = i;

    while (end < to && !pg_word(r, end, "ASC") && !pg_word(r, end, "DESC") &&
           !pg_word(r, end, "NULLS") && !pg_word(r, end, "COLLATE") &&
           !(pg_is_name(r, end) && strstr(pg_name(r, end), "_ops")))
        end = pg_skip(r, end);
    pg_range(r, i, end);
    while (end < to) {
        if (pg_word(r, end, "NULLS")) {
            end += 2;
        } else if (pg_is_name(r, end) && strstr(pg_name(r, end), "_ops")) {
            end++;
        } else {
            size_t next = pg_word(r, end, "COLLATE") ? pg_skip_name(r, end + 1) : end + 1;
            pg_range(r, end, next);
            end = next;
        }
    }
}

bool pg_ddl_create_index(struct pg_rewrite *r)
{
    size_t i = pg_word(r, 1, "UNIQUE") ? 2 : 1, table, list, close;
    bool named;

    if (!pg_word(r, i, "INDEX"))
        return false;
    r->schema = true;
    pg_range(r, 0, i + 1);
    i += pg_word(r, i + 1, "CONCURRENTLY") ? 2 : 1;
    if (pg_word(r, i, "IF")) {
        pg_put(r, "IF NOT EXISTS");
        i += 3;
    }
    named = !pg_word(r, i, "ON");
    if (named) {
        size_t end = pg_skip_name(r, i);
        pg_range(r, i, end);
        i = end;
    }
    table = i + (pg_word(r, i + 1, "ONLY") ? 2 : 1);
    list = pg_skip_name(r, table);
    if (pg_word(r, list, "USING"))
        list += 2;
    if (!pg_word(r, i, "ON") || !pg_punct(r, list, "(")) {
        pg_fail(r, i, ERR_SYNTAX, "syntax error in CREATE INDEX");
        return true;
    }
    if (!named)
        pg_putf(r, "\"%s\"", made_up_name(r, pg_skip_name(r, table) - 1, list));
    pg_copy(r, i);
    pg_range(r, table, pg_skip_name(r, table));
    pg_copy(r, list);
    close = r->match[list];
    for (i = list + 1; i < close;) {
        size_t comma = pg_find_punct(r, i, close, ",");
        index_column(r, i, comma);
        if (comma < close)
            pg_copy(r, comma);
        i = comma + 1;
    }
    pg_copy(r, close);
    /* INCLUDE, NULLS NOT DISTINCT, WITH, TABLESPACE mean nothing here. */
    i = pg_find(r, close, r->n, "WHERE");
    pg_range(r, i, r->n);
    return true;
}

/* ---- CREATE VIEW ---- */

bool pg_ddl_create_view(struct pg_rewrite *r)
{
    size_t i = 1, name, as, end = r->n;
    bool replace = pg_words(r, 1, "OR", "REPLACE"), temp;

    i += replace ? 2 : 0;
    temp = pg_word(r, i, "TEMP") || pg_word(r, i, "TEMPORARY");
    i += temp ? 1 : 0;
    if (!pg_word(r, i, "VIEW"))
        return false;
    r->schema = !temp;
    name = i + 1;
    if (pg_word(r, name, "IF"))
        name += 3;
    as = pg_find(r, name, r->n, "AS");
    if (as == r->n) {
        pg_fail(r, name, ERR_SYNTAX, "syntax error in CREATE VIEW");
        return true;
    }
    if (end > 3 && pg_words(r, end - 2, "CHECK", "OPTION")) {
        end = pg_find(r, as, r->n, "WITH");
        for (size_t k = as; k < r->n; k++)
            if (pg_word(r, k, "WITH"))
                end = k;
    }
    if (replace) {
        pg_put(r, "DROP VIEW IF EXISTS");
        pg_range(r, name, pg_skip_name(r, name));
        pg_put(r, ";");
    }
    pg_put(r, temp ? "CREATE TEMP VIEW" : "CREATE VIEW");
    pg_range(r, i + 1, name);
    pg_range(r, name, pg_skip_name(r, name));
    if (pg_punct(r, pg_skip_name(r, name), "("))
        pg_range(r, pg_skip_name(r, name), pg_skip(r, pg_skip_name(r, name)));
    pg_range(r, as, end);
    return true;
}

/* ---- DROP ---- */

/* Several names, each dropped by a statement of its own. */
static void drop_each(struct pg_rewrite *r, const char *what, size_t i)
{
    bool exists = pg_words(r, i, "IF", "EXISTS");
    bool cascades = strcmp(what, "TABLE") == 0 && pg_word(r, r->n - 1, "CASCADE");

    i += exists ? 2 : 0;
    for (bool first = true; i < r->n && !r->failed; first = false) {
        size_t end = pg_skip_name(r, i);
        if (end == i) {
            pg_fail(r, i, ERR_SYNTAX, "syntax error at or near \"%.*s\"", (int)pg_at(r, i)->len,
                    pg_at(r, i)->text);
            return;
        }
        if (!first)
            pg_put(r, ";");
        if (cascades) {
            pg_putf(r, "ALTER TABLE%s", exists ? " IF EXISTS" : "");
            pg_range(r, i, end);
            pg_put(r, "DROP REFERENCES ;");
        }
        pg_putf(r, "DROP %s%s", what, exists ? " IF EXISTS" : "");
        pg_range(r, i, end);
        i = end;
        if (pg_word(r, i, "CASCADE") || pg_word(r, i, "RESTRICT"))
            i++;
        if (i < r->n && !pg_punct(r, i, ",")) {
            pg_fail(r, i, ERR_SYNTAX, "syntax error at or near \"%.*s\"", (int)pg_at(r, i)->len,
                    pg_at(r, i)->text);
            return;
        }
        i++;
    }
}

/* What SQLite does not have, and so has not: IF EXISTS is satisfied. */
static bool is_foreign(const struct pg_rewrite *r, size_t i)
{
    static const char *const words[] = {
        "SEQUENCE", "EXTENSION", "FUNCTION",  "SCHEMA", "PROCEDURE", "DOMAIN", "ROLE",
        "USER",     "AGGREGATE", "COLLATION", "OWNED",  "POLICY",    "RULE",   "SERVER"};

    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (pg_word(r, i, words[k]))
            return true;
    return false;
}

bool pg_ddl_drop(struct pg_rewrite *r)
{
    if (pg_word(r, 1, "TABLE")) {
        drop_each(r, "TABLE", 2);
    } else if (pg_word(r, 1, "VIEW") || pg_word(r, 1, "TYPE")) { /* a type is one, see pg/enum.c */
        drop_each(r, "VIEW", 2);
    } else if (pg_words(r, 1, "MATERIALIZED", "VIEW")) {
        drop_each(r, "VIEW", 3);
    } else if (pg_word(r, 1, "INDEX")) {
        drop_each(r, "INDEX", pg_word(r, 2, "CONCURRENTLY") ? 3 : 2);
    } else if (pg_word(r, 1, "TRIGGER")) {
        size_t name = pg_word(r, 2, "IF") ? 4 : 2;
        pg_range(r, 0, pg_skip_name(r, name));
    } else if (is_foreign(r, 1)) {
        if (!pg_words(r, 2, "IF", "EXISTS") && !pg_word(r, 1, "OWNED"))
            pg_fail(r, 1, ERR_UNSUPPORTED, "there is no %.*s here to drop", (int)pg_at(r, 1)->len,
                    pg_at(r, 1)->text);
    } else {
        return false;
    }
    return true;
}

/* ---- CREATE something else ---- */

bool pg_ddl_create_other(struct pg_rewrite *r)
{
    size_t i = pg_words(r, 1, "OR", "REPLACE") ? 3 : 1;

    if (pg_word(r, i, "EXTENSION"))
        return true; /* an extension is there or is not; nothing has to be installed */
    if (pg_word(r, i, "SCHEMA")) {
        size_t name = pg_word(r, i + 1, "IF") ? i + 4 : i + 1;
        if (strcmp(pg_name(r, name), "public") != 0)
            pg_fail(r, name, ERR_UNSUPPORTED, "there is one schema, public");
        return true;
    }
    if (pg_ddl_create_type(r))
        return true;
    if (is_foreign(r, i) || pg_word(r, i, "MATERIALIZED") || pg_word(r, i, "LANGUAGE") ||
        pg_word(r, i, "PUBLICATION") || pg_word(r, i, "SUBSCRIPTION") ||
        pg_word(r, i, "STATISTICS") || pg_word(r, i, "CAST") || pg_word(r, i, "OPERATOR") ||
        pg_word(r, i, "FOREIGN") || pg_word(r, i, "TABLESPACE")) {
        pg_fail(r, i, ERR_UNSUPPORTED, "CREATE %.*s is not supported", (int)pg_at(r, i)->len,
                pg_at(r, i)->text);
        return true;
    }
    return false;
}
