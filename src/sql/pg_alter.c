/* ALTER TABLE: each action becomes a statement of its own, or nothing, or an index. */
#include "sql/pg_ddl.h"

static void head(struct pg_rewrite *r, size_t name, size_t end)
{
    if (r->n_out)
        pg_put(r, ";");
    pg_put(r, "ALTER TABLE");
    pg_range(r, name, end);
}

/* The names of a key's columns, for an index's name: t_a_b_key. */
static const char *index_name(struct pg_rewrite *r, size_t table, size_t list, const char *suffix)
{
    const char *s = pg_name(r, table);

    for (size_t i = list + 1; i < r->match[list] && *suffix != 'p'; i++)
        if (pg_is_name(r, i))
            s = pg_format(r, "%s_%s", s, pg_name(r, i));
    return pg_format(r, "%s_%s", s, suffix);
}

/* ADD [CONSTRAINT n] PRIMARY KEY | UNIQUE (…): an index that sees to it. */
static void add_key(struct pg_rewrite *r, size_t from, size_t to, size_t name, size_t end)
{
    bool named = pg_word(r, from, "CONSTRAINT");
    size_t kind = named ? from + 2 : from, list = pg_find_punct(r, kind, to, "(");
    const char *index;

    if (list == to) {
        pg_fail(r, kind, ERR_UNSUPPORTED, "this form of ADD CONSTRAINT is not supported");
        return;
    }
    index = named ? pg_name(r, from + 1)
                  : index_name(r, end - 1, list, pg_word(r, kind, "UNIQUE") ? "key" : "pkey");
    if (r->n_out)
        pg_put(r, ";");
    pg_putf(r, "CREATE UNIQUE INDEX \"%s\" ON", index);
    pg_range(r, name, end);
    pg_range(r, list, pg_skip(r, list));
}

static void add(struct pg_rewrite *r, size_t i, size_t to, size_t name, size_t end)
{
    size_t kind;

    if (pg_ddl_is_constraint(r, i)) {
        kind = pg_word(r, i, "CONSTRAINT") ? i + 2 : i;
        if (pg_word(r, kind, "FOREIGN"))
            return; /* SQLite takes them in CREATE TABLE only; the caller is told (a NOTICE) */
        if (!pg_word(r, kind, "CHECK")) {
            add_key(r, i, to, name, end);
            return;
        }
        head(r, name, end);
        pg_put(r, "ADD");
        pg_range(r, i, to >= 2 && pg_words(r, to - 2, "NOT", "VALID") ? to - 2 : to);
        return;
    }
    if (pg_word(r, i, "COLUMN"))
        i++;
    if (pg_word(r, i, "IF")) {
        pg_fail(r, i, ERR_UNSUPPORTED, "ADD COLUMN IF NOT EXISTS is not supported");
        return;
    }
    head(r, name, end);
    pg_put(r, "ADD COLUMN");
    pg_ddl_column(r, i, to, false, false);
}

static void drop(struct pg_rewrite *r, size_t i, size_t to, size_t name, size_t end)
{
    bool constraint = pg_word(r, i, "CONSTRAINT"), exists;

    if (constraint || pg_word(r, i, "COLUMN"))
        i++;
    exists = pg_word(r, i, "IF");
    if (exists)
        i += 2;
    if (i >= to || !pg_is_name(r, i)) {
        pg_fail(r, i, ERR_SYNTAX, "syntax error in ALTER TABLE … DROP");
        return;
    }
    if (exists && !constraint) {
        pg_fail(r, i, ERR_UNSUPPORTED, "DROP COLUMN IF EXISTS is not supported");
        return;
    }
    head(r, name, end);
    pg_put(r, constraint ? "DROP CONSTRAINT" : "DROP COLUMN");
    pg_copy(r, i);
}

static void alter_column(struct pg_rewrite *r, size_t i, size_t to, size_t name, size_t end)
{
    size_t column = i + (pg_word(r, i, "COLUMN") ? 1 : 0), what = column + 1;

    if (pg_words(r, what + 1, "NOT", "NULL") && to == what + 3) {
        head(r, name, end);
        pg_put(r, "ALTER COLUMN");
        pg_range(r, column, to);
    } else if (!pg_word(r, what + 1, "STATISTICS") && !pg_word(r, what + 1, "STORAGE")) {
        pg_fail(r, what, ERR_UNSUPPORTED,
                "ALTER COLUMN can only SET and DROP NOT NULL: SQLite keeps types and defaults");
    }
}

static bool is_ignored(const struct pg_rewrite *r, size_t i)
{
    static const char *const words[] = {"OWNER",   "ENABLE", "DISABLE", "CLUSTER", "VALIDATE",
                                        "REPLICA", "SET",    "RESET",   "FORCE",   "INHERIT"};

    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (pg_word(r, i, words[k]))
            return true;
    return pg_words(r, i, "RENAME", "CONSTRAINT");
}

bool pg_ddl_alter_table(struct pg_rewrite *r)
{
    size_t i = 2, name, end;

    if (!pg_words(r, 0, "ALTER", "TABLE"))
        return false;
    r->schema = true;
    if (pg_words(r, i, "IF", "EXISTS"))
        i += 2;
    if (pg_word(r, i, "ONLY"))
        i++;
    name = i;
    end = pg_skip_name(r, i);
    if (end == i)
        pg_fail(r, i, ERR_SYNTAX, "syntax error in ALTER TABLE: its name is missing");
    for (i = end; i < r->n && !r->failed;) {
        size_t comma = pg_find_punct(r, i, r->n, ",");
        if (pg_word(r, i, "ADD"))
            add(r, i + 1, comma, name, end);
        else if (pg_word(r, i, "DROP"))
            drop(r, i + 1, comma, name, end);
        else if (pg_word(r, i, "ALTER"))
            alter_column(r, i + 1, comma, name, end);
        else if (!is_ignored(r, i)) {
            head(r, name, end);
            pg_range(r, i, comma);
        }
        i = comma + 1;
    }
    return true;
}
