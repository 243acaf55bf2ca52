/*
 * CREATE TABLE and ALTER TABLE. What they say lands in the schema, so that nothing may be left in
 * it that only a node understands.
 *
 *   id SERIAL, PRIMARY KEY (id)      id INTEGER PRIMARY KEY's semantics: SQLite counts
 *   at timestamptz DEFAULT now()     at TIMESTAMPTZ DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now'))
 */
#include <string.h>
#include <strings.h>

#include "sql/pg/ddl.h"

/* ---- columns ---- */

/* Does a constraint of a column begin here? */
static bool begins_constraint(const struct pg_rewrite *r, size_t i)
{
    static const char *const words[] = {"NOT",        "NULL",      "DEFAULT",    "PRIMARY",
                                        "UNIQUE",     "CHECK",     "COLLATE",    "REFERENCES",
                                        "CONSTRAINT", "GENERATED", "AS",         "DEFERRABLE",
                                        "INITIALLY",  "STORAGE",   "COMPRESSION"};

    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (pg_word(r, i, words[k]))
            return true;
    return false;
}

static size_t next_constraint(const struct pg_rewrite *r, size_t i, size_t to)
{
    while (i < to && !begins_constraint(r, i))
        i = pg_skip(r, i);
    return i < to ? i : to;
}

/* SQLite wants what is no literal in parentheses. */
void pg_ddl_default(struct pg_rewrite *r, size_t from, size_t to)
{
    bool plain = to == from + 1 || (pg_punct(r, from, "(") && pg_skip(r, from) == to);

    if (!plain)
        pg_put(r, "(");
    pg_range(r, from, to);
    if (!plain)
        pg_put(r, ")");
}

static size_t column_default(struct pg_rewrite *r, size_t i, size_t to, bool key)
{
    size_t end = next_constraint(r, i + 1 < to && pg_word(r, i + 1, "NULL") ? i + 2 : i + 1, to);
    size_t name = i + 1;

    while (pg_punct(r, name + 1, "."))
        name += 2;
    if (pg_word(r, name, "NEXTVAL")) {
        if (!key)
            pg_fail(r, i, ERR_UNSUPPORTED,
                    "nextval() as a default is only supported for the primary key");
        return end;
    }
    pg_copy(r, i);
    pg_ddl_default(r, i + 1, end);
    return end;
}

static size_t generated(struct pg_rewrite *r, size_t i, bool key)
{
    size_t as = i + 1;

    while (!pg_word(r, as, "AS") && as < i + 4)
        as++;
    if (pg_word(r, as, "AS") && pg_word(r, as + 1, "IDENTITY")) {
        if (!key)
            pg_fail(r, i, ERR_UNSUPPORTED,
                    "an identity column that is not the primary key is not supported");
        return pg_punct(r, as + 2, "(") ? pg_skip(r, as + 2) : as + 2;
    }
    for (; i <= as; i++)
        pg_copy(r, i);
    return i;
}

/* One constraint of a column at i. *not_null is noted. */
static size_t column_constraint(struct pg_rewrite *r, size_t i, size_t to, bool key, bool *not_null)
{
    size_t end;

    if (pg_word(r, i, "DEFAULT"))
        return column_default(r, i, to, key);
    if (pg_word(r, i, "GENERATED"))
        return generated(r, i, key);
    if (pg_words(r, i, "NOT", "NULL")) {
        *not_null = true;
        pg_copy(r, i);
        pg_copy(r, i + 1);
        return i + 2;
    }
    if (pg_word(r, i, "NULL"))
        return i + 1; /* what every column may be */
    if (pg_word(r, i, "STORAGE") || pg_word(r, i, "COMPRESSION"))
        return i + 2;
    if (pg_word(r, i, "NOT") || pg_word(r, i, "DEFERRABLE") || pg_word(r, i, "INITIALLY") ||
        pg_word(r, i, "AS") || pg_word(r, i, "COLLATE")) {
        /* NOT DEFERRABLE; what follows is copied with it */
        size_t next = pg_operator(r, i, to); /* COLLATE "C" */
        if (next != i)
            return next;
        pg_copy(r, i);
        end = next_constraint(r, i + 1, to);
        pg_range(r, i + 1, end);
        return end;
    }
    pg_copy(r, i);
    end = next_constraint(r, i + 1, to);
    /* ON DELETE SET NULL | SET DEFAULT are no constraints */
    while (end < to && end > i + 1 && pg_word(r, end - 1, "SET") &&
           (pg_word(r, end, "NULL") || pg_word(r, end, "DEFAULT")))
        end = next_constraint(r, end + 1, to);
    pg_range(r, i + 1, end);
    return end;
}

static bool has_words(const struct pg_rewrite *r, size_t i, size_t to, const char *a, const char *b)
{
    for (; i < to; i = pg_skip(r, i))
        if (pg_words(r, i, a, b))
            return true;
    return false;
}

/* The name of an enumerated type, as it seems, and none of SQLite's own. */
static bool is_users_type(const struct pg_rewrite *r, size_t from, size_t to)
{
    static const char *const parts[] = {"INT",  "CHAR", "CLOB", "TEXT", "BLOB", "REAL", "FLOA",
                                        "DOUB", "NUM",  "DEC",  "DATE", "TIME", "LONG", "YEAR"};
    const struct pg_token *t = pg_at(r, from);

    if (to != from + 1 && !(to == from + 3 && pg_punct(r, from + 1, ".")))
        return false;
    if (to != from + 1 || t->type == PG_TOKEN_QUOTED)
        return true;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (size_t k = 0; k + strlen(parts[i]) <= t->len; k++)
            if (strncasecmp(t->text + k, parts[i], strlen(parts[i])) == 0)
                return false;
    return !pg_word(r, from, "ANY");
}

/* SQLite's INTEGER has 64 bits, PostgreSQL's 32; the name INT4 means the latter to this server
 * only. The rowid must be called INTEGER: a constraint, which no rowid violates, says how long it
 * is (table_text.h). */
static void put_type(struct pg_rewrite *r, size_t from, size_t to, const struct pg_type_ref *ref,
                     bool rowid)
{
    const struct pg_type *t = ref->type;

    r->at = from;
    if (ref->array) {
        pg_put(r, "TEXT");
    } else if (rowid) {
        pg_put(r, "INTEGER");
        if (t && t->oid != PG_OID_INT8)
            pg_put(r, "CONSTRAINT int4 NOT NULL");
    } else if (t && t->oid == PG_OID_INT4 && !r->strict) {
        pg_put(r, "INT4");
    } else if (!t && is_users_type(r, from, to)) {
        pg_put(r,
               "TEXT"); /* first: of a type that begins with a quote SQLite keeps the name only */
        pg_copy(r, to - 1);
    } else if (!t || t->category == 'N' || t->oid == PG_OID_BOOL) {
        /* SQLite's own names mean themselves */
        if (t && t->oid == PG_OID_MONEY)
            pg_put(r, "NUMERIC");
        else
            for (size_t i = from + (pg_punct(r, from + 1, ".") ? 2 : 0); i < to; i++)
                pg_copy(r, i);
    } else if (ref->modifier[0] > 0 && (t->oid == PG_OID_VARCHAR || t->oid == PG_OID_BPCHAR)) {
        pg_putf(r, "%s(%d)", t->declared, (int)ref->modifier[0]);
    } else {
        pg_put(r, t->declared);
    }
}

/* Where the type that begins at i ends: words that only SQLite takes are part of it, too. */
static size_t read_column_type(struct pg_rewrite *r, size_t i, size_t to, struct pg_type_ref *ref)
{
    size_t end = pg_read_type(r, i, ref);

    if (ref->type && end == next_constraint(r, i, to))
        return end;
    if (!ref->array && !ref->serial && (!ref->type || ref->type->category == 'N'))
        ref->type = NULL; /* UNSIGNED BIG INT */
    return next_constraint(r, i, to);
}

struct pg_type_ref pg_ddl_type(struct pg_rewrite *r, size_t from, size_t to)
{
    struct pg_type_ref ref = {.type = NULL};

    put_type(r, from, read_column_type(r, from, to, &ref), &ref, false);
    return ref;
}

/* ---- constraints that are left out ---- */

static bool is_default_of(const struct pg_rewrite *r, size_t i)
{
    return pg_word(r, i, "DEFAULT") && !pg_word(r, i - 1, "BY") && !pg_word(r, i - 1, "SET");
}

static bool is_left_out(const struct pg_rewrite *r, size_t i, unsigned without)
{
    return ((without & PG_WITHOUT_DEFAULT) && is_default_of(r, i)) ||
           ((without & PG_WITHOUT_NOT_NULL) && pg_words(r, i, "NOT", "NULL")) ||
           ((without & PG_WITHOUT_UNIQUE) && pg_word(r, i, "UNIQUE")) ||
           ((without & PG_WITHOUT_REFERENCES) && pg_word(r, i, "REFERENCES"));
}

size_t pg_ddl_find_constraint(const struct pg_rewrite *r, size_t from, size_t to, const char *word,
                              size_t *end)
{
    for (size_t i = from + 1; i < to; i = pg_skip(r, i)) {
        if (!pg_word(r, i, word) || (pg_word(r, i, "DEFAULT") && !is_default_of(r, i)) ||
            (pg_word(r, i, "NOT") && !pg_word(r, i + 1, "NULL")))
            continue;
        *end = next_constraint(r, pg_words(r, i, "NOT", "NULL") ? i + 2 : i + 1, to);
        while (pg_word(r, i, "REFERENCES") && *end < to &&
               (pg_word(r, *end - 1, "SET") || pg_words(r, *end, "NOT", "DEFERRABLE") ||
                pg_word(r, *end, "DEFERRABLE") || pg_word(r, *end, "INITIALLY")))
            *end = next_constraint(r, *end + (pg_word(r, *end, "NOT") ? 2 : 1), to);
        return pg_word(r, i - 2, "CONSTRAINT") ? i - 2 : i;
    }
    return to;
}

/* A column's definition. `key`: a PRIMARY KEY elsewhere consists of it alone, or has it. */
void pg_ddl_column(struct pg_rewrite *r, size_t from, size_t to, bool key, bool key_alone,
                   unsigned without)
{
    struct pg_type_ref ref = {.type = NULL};
    bool inline_key = has_words(r, from, to, "PRIMARY", "KEY"), not_null = false, rowid = false;
    bool identity = has_words(r, from, to, "AS", "IDENTITY");
    size_t i = from + 1;

    if ((without & PG_WITHOUT_STORED) && to > i && pg_word(r, to - 1, "STORED"))
        to--;
    pg_copy(r, from);
    if (i < to && !begins_constraint(r, i)) {
        size_t end = read_column_type(r, i, to, &ref);
        rowid = (inline_key || key_alone) && ref.type && ref.type->category == 'N' && !ref.array &&
                (ref.serial || identity || pg_word(r, i, "INTEGER"));
        put_type(r, i, end, &ref, rowid);
        i = end;
    }
    if (ref.serial && !inline_key && !key_alone)
        pg_fail(r, from + 1, ERR_UNSUPPORTED,
                "a serial column that is not the primary key is not supported");
    while (i < to && !r->failed) {
        bool named = pg_word(r, i, "CONSTRAINT");
        size_t mark = r->n_out, what = named ? i + 2 : i;
        if (is_left_out(r, what, without)) {
            (void)column_constraint(r, what, to, inline_key || key_alone, &not_null);
            r->n_out = mark;
            i = next_constraint(r, pg_words(r, what, "NOT", "NULL") ? what + 2 : what + 1, to);
            if (pg_word(r, what, "REFERENCES"))
                pg_ddl_find_constraint(r, what - 1, to, "REFERENCES", &i);
            continue;
        }
        i = column_constraint(r, i, to, inline_key || key_alone, &not_null);
    }
    /* PostgreSQL's keys are never NULL; SQLite's are, unless they are rowids. */
    if ((inline_key || key) && !not_null && !rowid)
        pg_put(r, "NOT NULL");
}

/* ---- constraints of a table ---- */

static size_t constraint_kind(const struct pg_rewrite *r, size_t i)
{
    return pg_word(r, i, "CONSTRAINT") ? i + 2 : i;
}

bool pg_ddl_is_constraint(const struct pg_rewrite *r, size_t i)
{
    return pg_word(r, i, "CONSTRAINT") || pg_words(r, i, "PRIMARY", "KEY") ||
           (pg_word(r, i, "UNIQUE") && pg_punct(r, i + 1, "(")) ||
           (pg_word(r, i, "CHECK") && pg_punct(r, i + 1, "(")) ||
           pg_words(r, i, "FOREIGN", "KEY") || pg_word(r, i, "EXCLUDE") ||
           (pg_word(r, i, "LIKE") && pg_is_name(r, i + 1));
}

static void table_constraint(struct pg_rewrite *r, size_t from, size_t to)
{
    size_t kind = constraint_kind(r, from), i;

    if (pg_word(r, kind, "EXCLUDE") || pg_word(r, kind, "LIKE")) {
        pg_fail(r, kind, ERR_UNSUPPORTED, "%.*s in CREATE TABLE is not supported",
                (int)pg_at(r, kind)->len, pg_at(r, kind)->text);
        return;
    }
    if (!pg_word(r, kind, "PRIMARY") && !pg_word(r, kind, "UNIQUE")) {
        size_t end = has_words(r, from, to, "NOT", "VALID") ? to - 2 : to;
        pg_range(r, from, end);
        return;
    }
    /* Up to the columns, then what SQLite knows: ON CONFLICT. */
    i = pg_find_punct(r, kind, to, "(");
    for (size_t k = from; k < i; k++)
        if (!pg_word(r, k, "NULLS") && !pg_words(r, k - 1, "NULLS", "NOT") &&
            !pg_word(r, k, "DISTINCT"))
            pg_copy(r, k);
    pg_range(r, i, pg_skip(r, i));
    if (pg_words(r, pg_skip(r, i), "ON", "CONFLICT"))
        pg_range(r, pg_skip(r, i), to);
}

/* ---- CREATE TABLE ---- */

/* The columns of PRIMARY KEY (…) as a constraint of the table: the ( of the list, PG_NONE. */
static size_t find_key(const struct pg_rewrite *r, size_t from, size_t to)
{
    while (from < to) {
        size_t comma = pg_find_punct(r, from, to, ","), kind = constraint_kind(r, from);
        if (pg_ddl_is_constraint(r, from) && pg_words(r, kind, "PRIMARY", "KEY"))
            return pg_find_punct(r, kind, comma, "(");
        from = comma + 1;
    }
    return PG_NONE;
}

static bool in_key(struct pg_rewrite *r, size_t key, size_t column, bool *alone)
{
    bool found = false;
    unsigned n = 0;

    *alone = false;
    if (key >= r->n || !pg_punct(r, key, "("))
        return false;
    for (size_t i = key + 1; i < r->match[key];
         i = pg_find_punct(r, i, r->match[key], ",") + 1, n++)
        if (pg_is_name(r, i) && strcasecmp(pg_name(r, i), pg_name(r, column)) == 0)
            found = true;
    *alone = found && n == 1;
    return found;
}

static void table_body(struct pg_rewrite *r, size_t open)
{
    size_t close = r->match[open], i = open + 1, key = find_key(r, open + 1, close);
    bool alone;

    pg_copy(r, open);
    while (i < close && !r->failed) {
        size_t comma = pg_find_punct(r, i, close, ",");
        if (pg_ddl_is_constraint(r, i)) {
            table_constraint(r, i, comma);
        } else {
            bool in = in_key(r, key, i, &alone);
            pg_ddl_column(r, i, comma, in, alone, 0);
        }
        if (comma < close)
            pg_copy(r, comma);
        i = comma + 1;
    }
    pg_copy(r, close);
}

/* Behind the list of columns: WITHOUT ROWID and STRICT stay, the rest is PostgreSQL's storage. */
static void table_options(struct pg_rewrite *r, size_t i)
{
    while (i < r->n && !r->failed) {
        if (pg_word(r, i, "WITHOUT") || pg_word(r, i, "STRICT") || pg_word(r, i, "ROWID") ||
            pg_punct(r, i, ",")) {
            pg_copy(r, i++);
        } else if (pg_words(r, i, "WITH", "OIDS") || pg_word(r, i, "WITH") ||
                   pg_word(r, i, "TABLESPACE") || pg_word(r, i, "USING")) {
            i = pg_skip(r, i + 1);
        } else if (pg_words(r, i, "ON", "COMMIT")) {
            if (!pg_word(r, i + 2, "DROP") && !pg_word(r, i + 2, "DELETE") &&
                !pg_word(r, i + 2, "PRESERVE"))
                pg_fail(r, i, ERR_SYNTAX, "syntax error at ON COMMIT");
            i += pg_word(r, i + 2, "DROP") ? 3 : 4;
        } else {
            pg_fail(r, i, ERR_UNSUPPORTED, "%.*s of CREATE TABLE is not supported",
                    (int)pg_at(r, i)->len, pg_at(r, i)->text);
        }
    }
}

bool pg_ddl_create_table(struct pg_rewrite *r)
{
    size_t i = 1, temp = 0;

    while (pg_word(r, i, "GLOBAL") || pg_word(r, i, "LOCAL") || pg_word(r, i, "UNLOGGED"))
        i++;
    if (pg_word(r, i, "TEMP") || pg_word(r, i, "TEMPORARY"))
        temp = i++;
    if (!pg_word(r, i, "TABLE"))
        return false;
    r->schema = temp == 0;
    pg_copy(r, 0);
    if (temp)
        pg_copy(r, temp);
    pg_copy(r, i++);
    if (pg_word(r, i, "IF")) {
        pg_copy(r, i);
        pg_copy(r, i + 1);
        pg_copy(r, i + 2);
        i += 3;
    }
    pg_range(r, i, pg_skip_name(r, i));
    i = pg_skip_name(r, i);
    if (pg_punct(r, i, "(") && !pg_word(r, pg_skip(r, i), "AS")) {
        r->strict = pg_find(r, pg_skip(r, i), r->n, "STRICT") < r->n;
        table_body(r, i);
        table_options(r, pg_skip(r, i));
        return true;
    }
    /* … AS query: the schema that results has no expression in it, and its rows travel as rows. */
    size_t as = pg_find(r, i, r->n, "AS"), end = r->n;
    if (as == r->n || as > i)
        pg_fail(r, i, ERR_UNSUPPORTED, "this form of CREATE TABLE is not supported");
    if (end >= 2 && pg_word(r, end - 1, "DATA"))
        end -= pg_word(r, end - 2, "NO") ? 3 : 2;
    r->schema = false;
    pg_copy(r, as);
    pg_range(r, as + 1, end);
    if (end < r->n && pg_word(r, r->n - 2, "NO"))
        pg_put(r, "LIMIT 0");
    return true;
}
