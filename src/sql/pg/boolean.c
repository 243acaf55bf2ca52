/*
 * Texts that mean a boolean: indisprimary = 'f', CASE indisunique WHEN 't' THEN …, 't' IN (…). The
 * catalogs' booleans are numbers here, and no number equals a text. In a statement that reads a
 * catalog, what is compared with a column that a catalog declares as boolean becomes a number, too.
 */
#include <string.h>
#include <strings.h>

#include "sql/pg/catalog.h"
#include "sql/pg/rewrite.h"

bool pg_boolean_of(const char *s, size_t n, bool *value)
{
    static const char *const words[] = {"t",  "f",  "true", "false", "yes",
                                        "no", "on", "off",  "y",     "n"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (n == strlen(words[i]) && strncasecmp(s, words[i], n) == 0) {
            *value = i % 2 == 0;
            return true;
        }
    }
    return false;
}

bool pg_is_boolean_text(const struct pg_token *t, bool *value)
{
    return t->type == PG_TOKEN_STRING && t->len > 2 &&
           pg_boolean_of(t->text + 1, t->len - 2, value);
}

static bool reads_catalog(struct pg_rewrite *r)
{
    if (r->catalog == PG_CATALOG_UNKNOWN) {
        r->catalog = PG_CATALOG_NOT_READ;
        for (size_t i = 0; i < r->n && r->catalog == PG_CATALOG_NOT_READ; i++)
            if (pg_is_name(r, i) && pg_catalog_has(pg_name(r, i)))
                r->catalog = PG_CATALOG_READ;
    }
    return r->catalog == PG_CATALOG_READ;
}

static bool is_column(struct pg_rewrite *r, size_t i)
{
    return i < r->n && pg_is_name(r, i) && pg_catalog_is_boolean(pg_name(r, i));
}

static bool compares(const struct pg_rewrite *r, size_t i)
{
    return pg_punct(r, i, "=") || pg_punct(r, i, "<>") || pg_punct(r, i, "!=");
}

/* The column whose values are compared with those in the parentheses around token i; PG_NONE. */
static size_t column_of_list(struct pg_rewrite *r, size_t i)
{
    i = pg_place(r, i)->paren;
    if (i == PG_NONE || i < 2 || !pg_word(r, i - 1, "IN"))
        return PG_NONE;
    return pg_word(r, i - 2, "NOT") ? i - 3 : i - 2;
}

/* The column of CASE column WHEN token i; PG_NONE. */
static size_t column_of_case(struct pg_rewrite *r, size_t i)
{
    i = pg_place(r, i)->open;
    if (i == PG_NONE || !pg_word(r, i, "CASE") || !pg_word(r, pg_skip_name(r, i + 1), "WHEN"))
        return PG_NONE;
    return pg_skip_name(r, i + 1) - 1;
}

static size_t compared_column(struct pg_rewrite *r, size_t i)
{
    if (i >= 2 && compares(r, i - 1))
        return i - 2;
    if (compares(r, i + 1) && pg_is_name(r, i + 2))
        return pg_skip_name(r, i + 2) - 1;
    if (i > 0 && pg_word(r, i - 1, "WHEN"))
        return column_of_case(r, i);
    if (i > 0 && (pg_punct(r, i - 1, "(") || pg_punct(r, i - 1, ",")))
        return column_of_list(r, i);
    if (i > 3 && pg_words(r, i - 2, "DISTINCT", "FROM"))
        return pg_word(r, i - 3, "NOT") ? i - 5 : i - 4;
    return PG_NONE;
}

bool pg_boolean(struct pg_rewrite *r, size_t i)
{
    bool value;
    size_t column;

    if (r->schema || !pg_is_boolean_text(pg_at(r, i), &value) ||
        pg_at(r, i + 1)->type == PG_TOKEN_CAST)
        return false;
    column = compared_column(r, i);
    if (!is_column(r, column) || !reads_catalog(r))
        return false;
    pg_put(r, value ? "1" : "0");
    return true;
}
