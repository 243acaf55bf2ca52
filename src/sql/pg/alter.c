/*
 * ALTER TABLE: each action becomes statements of its own, which run in one transaction. What SQLite
 * has not is left to alter.h, in the words that it takes.
 *
 *   ADD c int NOT NULL            ADD COLUMN c int; ALTER COLUMN c SET NOT NULL
 *   ADD t timestamp DEFAULT now() ADD COLUMN t TIMESTAMP; ALTER COLUMN t SET DEFAULT …; UPDATE
 *   ALTER c TYPE bigint           ALTER COLUMN c TYPE bigint; UPDATE … SET c = pg_int8(c) …
 *   ALTER c TYPE text USING f(c)  ALTER COLUMN c TYPE BLOB; UPDATE … SET c = (f(c)) …; … TYPE TEXT
 */
#include <string.h>

#include "sql/pg/ddl.h"

/* The table of the statement. */
struct table {
    size_t name, end; /* its tokens */
};

static void separate(struct pg_rewrite *r)
{
    if (r->n_out)
        pg_put(r, ";");
}

static void head(struct pg_rewrite *r, const struct table *t)
{
    separate(r);
    pg_put(r, "ALTER TABLE");
    pg_range(r, t->name, t->end);
}

/* UPDATE of the table up to SET column = */
static void update(struct pg_rewrite *r, const struct table *t, size_t column)
{
    separate(r);
    pg_put(r, "UPDATE");
    pg_range(r, t->name, t->end);
    pg_put(r, "SET");
    pg_copy(r, column);
    pg_put(r, "=");
}

/* ---- ADD ---- */

static void add_constraint(struct pg_rewrite *r, size_t i, size_t to, const struct table *t)
{
    size_t kind = pg_word(r, i, "CONSTRAINT") ? i + 2 : i;
    size_t list = pg_find_punct(r, kind, to, "(");

    if (pg_word(r, kind, "EXCLUDE") || pg_word(r, kind, "LIKE") || list == to) {
        pg_fail(r, kind, ERR_UNSUPPORTED, "this form of ADD CONSTRAINT is not supported");
        return;
    }
    head(r, t);
    pg_put(r, "ADD");
    if (pg_word(r, kind, "CHECK")) /* whose rows SQLite checks in any case */
        to = to >= 2 && pg_words(r, to - 2, "NOT", "VALID") ? to - 2 : to;
    else if (!pg_word(r, kind, "FOREIGN"))
        to = pg_skip(r, list); /* INCLUDE, DEFERRABLE, WITH, TABLESPACE mean nothing here */
    for (; i < kind; i++)
        pg_copy(r, i);
    if (pg_word(r, kind, "PRIMARY") || pg_word(r, kind, "UNIQUE")) {
        pg_put(r, pg_word(r, kind, "PRIMARY") ? "PRIMARY KEY" : "UNIQUE");
        kind = list;
    }
    pg_range(r, kind, to);
}

/* Is what a DEFAULT says the same for all rows at all times? SQLite adds no column otherwise. */
static bool is_constant(const struct pg_rewrite *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if ((pg_is_name(r, i) && pg_punct(r, i + 1, "(") &&
             pg_at(r, i - 1)->type != PG_TOKEN_CAST && !pg_word(r, i - 1, "VARYING")) ||
            pg_word(r, i, "CURRENT_TIMESTAMP") || pg_word(r, i, "CURRENT_DATE") ||
            pg_word(r, i, "CURRENT_TIME") || pg_word(r, i, "LOCALTIMESTAMP") ||
            pg_word(r, i, "LOCALTIME"))
            return false;
    return true;
}

/* What ADD COLUMN of SQLite does not do is done behind it. */
static void complete_column(struct pg_rewrite *r, size_t i, size_t to, const struct table *t,
                            unsigned without)
{
    size_t at, end;

    if (without & PG_WITHOUT_DEFAULT) {
        at = pg_ddl_find_constraint(r, i, to, "DEFAULT", &end);
        head(r, t);
        pg_put(r, "ALTER COLUMN");
        pg_copy(r, i);
        pg_put(r, "SET DEFAULT");
        pg_ddl_default(r, pg_word(r, at, "CONSTRAINT") ? at + 3 : at + 1, end);
        update(r, t, i);
        pg_put(r, "pg_default(");
        pg_put_string(r, pg_name(r, t->end - 1), strlen(pg_name(r, t->end - 1)));
        pg_put(r, ",");
        pg_put_string(r, pg_name(r, i), strlen(pg_name(r, i)));
        pg_put(r, ")");
    }
    if (without & PG_WITHOUT_NOT_NULL) {
        head(r, t);
        pg_put(r, "ALTER COLUMN");
        pg_copy(r, i);
        pg_put(r, "SET NOT NULL");
    }
    if (without & PG_WITHOUT_UNIQUE) {
        at = pg_ddl_find_constraint(r, i, to, "UNIQUE", &end);
        head(r, t);
        pg_put(r, "ADD");
        pg_range(r, at, pg_word(r, at, "CONSTRAINT") ? at + 2 : at);
        pg_put(r, "UNIQUE (");
        pg_copy(r, i);
        pg_put(r, ")");
    }
    if (without & PG_WITHOUT_REFERENCES) {
        at = pg_ddl_find_constraint(r, i, to, "REFERENCES", &end);
        head(r, t);
        pg_put(r, "ADD");
        if (pg_word(r, at, "CONSTRAINT")) {
            pg_range(r, at, at + 2);
            at += 2;
        }
        pg_put(r, "FOREIGN KEY (");
        pg_copy(r, i);
        pg_put(r, ")");
        pg_range(r, at, end);
    }
}

static void add_column(struct pg_rewrite *r, size_t i, size_t to, const struct table *t)
{
    bool exists, dflt, constant;
    unsigned without = PG_WITHOUT_STORED;
    size_t at, end;

    if (pg_word(r, i, "COLUMN"))
        i++;
    exists = pg_word(r, i, "IF");
    if (exists)
        i += 3;
    at = pg_ddl_find_constraint(r, i, to, "DEFAULT", &end);
    dflt = at < to && !pg_word(r, at + 1, "NULL");
    constant = at == to || is_constant(r, at, end);
    if (!constant)
        without |= PG_WITHOUT_DEFAULT;
    if ((!dflt || !constant) && pg_ddl_find_constraint(r, i, to, "NOT", &end) < to)
        without |= PG_WITHOUT_NOT_NULL;
    if (pg_ddl_find_constraint(r, i, to, "UNIQUE", &end) < to)
        without |= PG_WITHOUT_UNIQUE;
    if (dflt && pg_ddl_find_constraint(r, i, to, "REFERENCES", &end) < to)
        without |= PG_WITHOUT_REFERENCES;
    if (exists && without != PG_WITHOUT_STORED)
        pg_fail(r, i, ERR_UNSUPPORTED,
                "ADD COLUMN IF NOT EXISTS with such a constraint is not supported");
    head(r, t);
    pg_put(r, exists ? "ADD COLUMN IF NOT EXISTS" : "ADD COLUMN");
    pg_ddl_column(r, i, to, false, false, without);
    complete_column(r, i, to, t, without);
}

/* ---- DROP ---- */

static void drop(struct pg_rewrite *r, size_t i, size_t to, const struct table *t)
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
    head(r, t);
    pg_put(r, constraint ? "DROP CONSTRAINT" : "DROP COLUMN");
    if (exists)
        pg_put(r, "IF EXISTS");
    pg_copy(r, i);
    if (!constraint) /* PostgreSQL drops the column's own indexes and constraints in any case */
        pg_put(r, "CASCADE");
}

/* ---- ALTER COLUMN ---- */

/* The column's values in their new type. */
static void put_converted(struct pg_rewrite *r, size_t column, size_t from, size_t to,
                          const struct pg_type_ref *ref)
{
    const struct pg_type *type = ref->array ? NULL : ref->type;

    if (from < to) {
        pg_put(r, "(");
        pg_range(r, from, to);
        pg_put(r, ")");
    } else if (type && type->convert) {
        pg_putf(r, "%s(", type->convert);
        pg_copy(r, column);
        pg_put(r, ")");
    } else {
        pg_put(r, "CAST(");
        pg_copy(r, column);
        pg_putf(r, "AS %s)", type ? type->cast : "TEXT");
    }
}

static void set_type(struct pg_rewrite *r, size_t column, size_t i, size_t to,
                     const struct table *t)
{
    size_t using_at = pg_find(r, i, to, "USING"), from = using_at < to ? using_at + 1 : to;
    size_t collate = pg_find(r, i, using_at, "COLLATE");
    struct pg_type_ref ref = {.type = NULL};

    head(r, t);
    pg_put(r, "ALTER COLUMN");
    pg_copy(r, column);
    if (from < to) { /* between the two types, values may be of any */
        pg_put(r, "TYPE BLOB");
    } else {
        pg_put(r, "TYPE");
        ref = pg_ddl_type(r, i, collate);
    }
    r->schema = false;
    update(r, t, column);
    put_converted(r, column, from, to, &ref);
    pg_put(r, "WHERE");
    pg_copy(r, column);
    pg_put(r, "IS NOT");
    put_converted(r, column, from, to, &ref);
    pg_put(r, "OR typeof(");
    pg_copy(r, column);
    pg_put(r, ") <> typeof(");
    put_converted(r, column, from, to, &ref);
    pg_put(r, ")");
    r->schema = true;
    if (from < to) {
        head(r, t);
        pg_put(r, "ALTER COLUMN");
        pg_copy(r, column);
        pg_put(r, "TYPE");
        (void)pg_ddl_type(r, i, collate);
    }
}

static void set_default(struct pg_rewrite *r, size_t column, size_t i, size_t to,
                        const struct table *t)
{
    size_t name = i;

    while (pg_punct(r, name + 1, "."))
        name += 2;
    head(r, t);
    pg_put(r, "ALTER COLUMN");
    pg_copy(r, column);
    if (pg_word(r, name, "NEXTVAL")) { /* which the rowid does by itself, and nothing else can */
        pg_put(r, "ADD GENERATED BY DEFAULT AS IDENTITY");
        return;
    }
    pg_put(r, "SET DEFAULT");
    pg_ddl_default(r, i, to);
}

static void alter_column(struct pg_rewrite *r, size_t i, size_t to, const struct table *t)
{
    size_t column = i + (pg_word(r, i, "COLUMN") ? 1 : 0), what = column + 1;

    if (pg_words(r, what, "SET", "DATA"))
        what += 2;
    if (pg_word(r, what, "TYPE")) {
        set_type(r, column, what + 1, to, t);
    } else if (pg_words(r, what, "SET", "DEFAULT")) {
        set_default(r, column, what + 2, to, t);
    } else if (pg_words(r, what + 1, "NOT", "NULL") || pg_words(r, what, "DROP", "DEFAULT") ||
               pg_words(r, what, "ADD", "GENERATED")) {
        head(r, t);
        pg_put(r, "ALTER COLUMN");
        pg_copy(r, column);
        pg_copy(r, what);
        if (pg_word(r, what, "ADD"))
            pg_put(r, "GENERATED BY DEFAULT AS IDENTITY");
        else
            pg_range(r, what + 1, to);
    } else if (!pg_words(r, what, "SET", "STATISTICS") && !pg_words(r, what, "SET", "STORAGE") &&
               !pg_words(r, what, "DROP", "IDENTITY") && !pg_words(r, what, "SET", "GENERATED") &&
               !pg_word(r, what, "RESTART")) {
        pg_fail(r, what, ERR_UNSUPPORTED, "this form of ALTER COLUMN is not supported");
    }
}

/* ---- the statement ---- */

static bool is_ignored(const struct pg_rewrite *r, size_t i)
{
    static const char *const words[] = {"OWNER",   "ENABLE", "DISABLE", "CLUSTER", "VALIDATE",
                                        "REPLICA", "SET",    "RESET",   "FORCE",   "NO"};

    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (pg_word(r, i, words[k]))
            return true;
    return false;
}

static void action(struct pg_rewrite *r, size_t i, size_t to, const struct table *t)
{
    if (pg_word(r, i, "ADD") && pg_ddl_is_constraint(r, i + 1))
        add_constraint(r, i + 1, to, t);
    else if (pg_word(r, i, "ADD"))
        add_column(r, i + 1, to, t);
    else if (pg_word(r, i, "DROP"))
        drop(r, i + 1, to, t);
    else if (pg_word(r, i, "ALTER"))
        alter_column(r, i + 1, to, t);
    else if (pg_words(r, i, "SET", "SCHEMA") || pg_word(r, i, "INHERIT"))
        pg_fail(r, i, ERR_UNSUPPORTED, "there is one schema, public, and no inheritance");
    else if (!is_ignored(r, i)) {
        head(r, t);
        pg_range(r, i, to);
    }
}

bool pg_ddl_alter_table(struct pg_rewrite *r)
{
    size_t i = 2;
    struct table t;

    if (!pg_words(r, 0, "ALTER", "TABLE"))
        return false;
    r->schema = true;
    if (pg_words(r, i, "IF", "EXISTS"))
        i += 2;
    if (pg_word(r, i, "ONLY"))
        i++;
    t = (struct table){i, pg_skip_name(r, i)};
    if (t.end == t.name)
        pg_fail(r, i, ERR_SYNTAX, "syntax error in ALTER TABLE: its name is missing");
    for (i = t.end; i < r->n && !r->failed;) {
        size_t comma = pg_find_punct(r, i, r->n, ",");
        action(r, i, comma, &t);
        i = comma + 1;
    }
    return true;
}

bool pg_ddl_alter_index(struct pg_rewrite *r)
{
    size_t i = pg_word(r, 2, "IF") ? 4 : 2, end = pg_skip_name(r, i);

    if (!pg_words(r, 0, "ALTER", "INDEX"))
        return false;
    if (!pg_words(r, end, "RENAME", "TO"))
        return true; /* where and how it is stored */
    r->schema = true;
    pg_put(r, i > 2 ? "ALTER INDEX IF EXISTS" : "ALTER INDEX");
    pg_range(r, i, r->n);
    return true;
}
