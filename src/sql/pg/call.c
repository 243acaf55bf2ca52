/* Functions with a syntax or a name of their own, and keywords that are functions. */
#include <string.h>
#include <strings.h>

#include "sql/pg/rewrite.h"

#define NOW "strftime('%Y-%m-%d %H:%M:%f', 'now')"
/* The same twice in other words, so that a default is shown as it was written. */
#define UUID_V4                                                                                    \
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), " \
    "2) || '-' || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' "  \
    "|| hex(randomblob(6)))"
#define UUID                                                                                       \
    "(lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' || "                   \
    "substr(lower(hex(randomblob(2))), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || "     \
    "substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6))))"

/* Other names for what SQLite has. */
static const struct {
    const char *name, *sqlite;
} renames[] = {
    {"char_length", "length"},
    {"character_length", "length"},
    {"strpos", "instr"},
    {"btrim", "trim"},
    {"chr", "char"},
    {"ascii", "unicode"},
    {"json_agg", "json_group_array"},
    {"jsonb_agg", "json_group_array"},
    {"json_object_agg", "json_group_object"},
    {"jsonb_object_agg", "json_group_object"},
    {"json_build_object", "json_object"},
    {"jsonb_build_object", "json_object"},
    {"json_build_array", "json_array"},
    {"jsonb_build_array", "json_array"},
    {"jsonb_array_length", "json_array_length"},
    {"bool_and", "min"},
    {"every", "min"},
    {"bool_or", "max"},
    {"jsonb_array_elements", "json_each"},
    {"json_array_elements", "json_each"},
    {"jsonb_array_elements_text", "json_each"},
    {"json_array_elements_text", "json_each"},
};

/* Calls without arguments, as a whole; NULL in the second place: the same in the schema. */
static const struct {
    const char *name, *text, *in_schema, *shown;
} constants[] = {
    {"now", NOW, NULL, "now()"},
    {"transaction_timestamp", NOW, NULL, "now()"},
    {"statement_timestamp", NOW, NULL, "now()"},
    {"clock_timestamp", NOW, NULL, "now()"},
    {"gen_random_uuid", "gen_random_uuid()", UUID, "gen_random_uuid()"},
    {"uuid_generate_v4", "gen_random_uuid()", UUID_V4, "uuid_generate_v4()"},
    {"lastval", "last_insert_rowid()", "", NULL},
};

const char *pg_shown_default(const char *sql)
{
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        const char *kept = constants[i].in_schema ? constants[i].in_schema : constants[i].text;
        size_t n = strlen(kept), len = strlen(sql);
        while (n > 0 && len > 2 && *sql == '(' && strncmp(sql, kept, n) != 0) {
            sql += strspn(sql + 1, " ") + 1; /* parentheses around it all */
            len = strlen(sql);
        }
        if (n > 0 && strncmp(sql, kept, n) == 0 && strspn(sql + n, " )") == strlen(sql + n))
            return constants[i].shown;
    }
    return sql;
}

/* Keywords that are functions; in the schema they would mean the node that happens to look. */
static const struct {
    const char *name, *text;
} keywords[] = {
    {"CURRENT_USER", "current_user()"},     {"SESSION_USER", "session_user()"},
    {"CURRENT_ROLE", "current_user()"},     {"CURRENT_CATALOG", "current_database()"},
    {"CURRENT_SCHEMA", "current_schema()"},
};

/* Names of functions that only a node has, and that people put into defaults and views. */
static const char *const nodes_own[] = {"date_trunc",
                                        "date_part",
                                        "to_char",
                                        "to_date",
                                        "to_timestamp",
                                        "age",
                                        "lpad",
                                        "rpad",
                                        "split_part",
                                        "initcap",
                                        "md5",
                                        "repeat",
                                        "reverse",
                                        "translate",
                                        "starts_with",
                                        "array_agg",
                                        "greatest",
                                        "least",
                                        "regexp_replace",
                                        "regexp_match",
                                        "regexp_matches",
                                        "unnest",
                                        "generate_series",
                                        "quote_ident",
                                        "quote_literal",
                                        "current_setting",
                                        "version",
                                        "current_database",
                                        "current_schema",
                                        "pg_get_userbyid"};

/* ---- pieces of the arguments ---- */

/* f(a, b): the tokens between the parentheses of the call whose name is at i. */
struct call {
    size_t from, to;
};

static void put_args(struct pg_rewrite *r, const char *open, size_t from, size_t to)
{
    pg_put(r, open);
    pg_range(r, from, to);
}

static void end_call(struct pg_rewrite *r, size_t open)
{
    pg_put_end(r, ")", open);
}

static size_t substring(struct pg_rewrite *r, struct call c)
{
    size_t from = pg_find(r, c.from, c.to, "FROM"), count = pg_find(r, c.from, c.to, "FOR");
    size_t open = r->n_out, end = from < count ? from : count;

    if (from == c.to && count == c.to) {
        put_args(r, "substr(", c.from, c.to);
    } else if (from != c.to && count == c.to && pg_is_string(r, from + 1)) {
        put_args(r, "pg_substring(", c.from, from);
        put_args(r, ",", from + 1, c.to);
    } else {
        put_args(r, "substr(", c.from, end);
        pg_put(r, ",");
        if (from == c.to)
            pg_put(r, "1");
        else
            pg_range(r, from + 1, count > from ? count : c.to);
        if (count != c.to)
            put_args(r, ",", count + 1, from > count ? from : c.to);
    }
    end_call(r, open);
    return c.to + 1;
}

static size_t trim(struct pg_rewrite *r, struct call c)
{
    size_t from = pg_find(r, c.from, c.to, "FROM"), open = r->n_out, i = c.from;
    const char *name = "trim(";

    if (pg_word(r, i, "LEADING"))
        name = "ltrim(";
    else if (pg_word(r, i, "TRAILING"))
        name = "rtrim(";
    if (*name != 't' || pg_word(r, i, "BOTH"))
        i++;
    if (from == c.to) {
        put_args(r, name, i, c.to);
    } else {
        put_args(r, name, from + 1, c.to);
        if (from > i)
            put_args(r, ",", i, from);
    }
    end_call(r, open);
    return c.to + 1;
}

static size_t position(struct pg_rewrite *r, struct call c)
{
    size_t in = pg_find(r, c.from, c.to, "IN"), open = r->n_out;

    if (in == c.to) {
        pg_fail(r, c.from, ERR_SYNTAX, "syntax error: position(part IN whole)");
        return c.to + 1;
    }
    put_args(r, "instr(", in + 1, c.to);
    put_args(r, ",", c.from, in);
    end_call(r, open);
    return c.to + 1;
}

static size_t overlay(struct pg_rewrite *r, struct call c)
{
    size_t placing = pg_find(r, c.from, c.to, "PLACING"), from = pg_find(r, c.from, c.to, "FROM");
    size_t count = pg_find(r, c.from, c.to, "FOR"), open = r->n_out;

    if (placing >= from || from >= count + 1) {
        pg_fail(r, c.from, ERR_SYNTAX, "syntax error: overlay(text PLACING text FROM n FOR n)");
        return c.to + 1;
    }
    put_args(r, "pg_overlay(", c.from, placing);
    put_args(r, ",", placing + 1, from);
    put_args(r, ",", from + 1, count);
    if (count != c.to)
        put_args(r, ",", count + 1, c.to);
    end_call(r, open);
    return c.to + 1;
}

static size_t extract(struct pg_rewrite *r, struct call c)
{
    static const struct {
        const char *field, *format;
    } formats[] = {{"year", "%Y"},   {"month", "%m"}, {"day", "%d"}, {"hour", "%H"},
                   {"minute", "%M"}, {"epoch", "%s"}, {"dow", "%w"}, {"doy", "%j"},
                   {"week", "%V"},   {"isodow", "%u"}};
    size_t from = pg_find(r, c.from, c.to, "FROM"), open = r->n_out, n;
    const char *field = pg_is_string(r, c.from) ? pg_string(r, c.from, &n) : pg_name(r, c.from);

    if (from != c.from + 1 || from == c.to) {
        pg_fail(r, c.from, ERR_SYNTAX, "syntax error: extract(field FROM time)");
        return c.to + 1;
    }
    if (!r->schema) {
        pg_put(r, "date_part(");
        pg_put_string(r, field, strlen(field));
        put_args(r, ",", from + 1, c.to);
        end_call(r, open);
        return c.to + 1;
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].field, field) == 0) {
            pg_putf(r, "CAST(strftime('%s',", formats[i].format);
            pg_range(r, from + 1, c.to);
            pg_put_end(r, ") AS INTEGER)", open);
            return c.to + 1;
        }
    }
    pg_fail(r, c.from, ERR_UNSUPPORTED, "extract(%s …) cannot be put into the schema", field);
    return c.to + 1;
}

static size_t cast(struct pg_rewrite *r, struct call c)
{
    struct pg_type_ref ref;
    size_t as = pg_find(r, c.from, c.to, "AS");

    if (as == c.to) {
        pg_fail(r, c.to, ERR_SYNTAX, "syntax error: CAST(value AS type)");
        return c.to + 1;
    }
    if (pg_read_type(r, as + 1, &ref) != c.to)
        pg_fail(r, as + 1, ERR_SYNTAX, "syntax error in the type of CAST");
    if (ref.type) {
        pg_cast_range(r, c.from, as, &ref);
    } else { /* SQLite takes any name for a type */
        size_t open = r->n_out;
        put_args(r, "CAST(", c.from, as);
        pg_put(r, "AS");
        for (size_t i = as + 1; i < c.to; i++)
            pg_copy(r, i);
        end_call(r, open);
    }
    return c.to + 1;
}

/* a, b → (a) op (b) */
static size_t infix(struct pg_rewrite *r, struct call c, const char *op)
{
    size_t comma = pg_find_punct(r, c.from, c.to, ","), open = r->n_out;

    put_args(r, "((", c.from, comma);
    pg_put(r, op);
    pg_range(r, comma + 1, c.to);
    pg_put_end(r, "))", open);
    return c.to + 1;
}

/* nextval() as a value of INSERT: NULL, for which SQLite counts on. */
static size_t nextval(struct pg_rewrite *r, size_t i, struct call c)
{
    if (!pg_word(r, 0, "INSERT"))
        pg_fail(r, i, ERR_UNSUPPORTED,
                "nextval() is only supported as a value of INSERT: there are no sequences here");
    pg_put(r, "NULL");
    return c.to + 1;
}

/* left(x, n) and right(x, n), whose n may be negative outside the schema. */
static size_t left_right(struct pg_rewrite *r, struct call c, bool left)
{
    size_t comma = pg_find_punct(r, c.from, c.to, ","), open = r->n_out;

    if (r->schema) {
        put_args(r, "substr(", c.from, comma);
        pg_put(r, left ? ", 1," : ", -(");
        pg_range(r, comma + 1, c.to);
        pg_put_end(r, left ? ")" : "))", open);
    } else {
        put_args(r, left ? "pg_left(" : "pg_right(", c.from, c.to);
        end_call(r, open);
    }
    return c.to + 1;
}

static void refuse_in_schema(struct pg_rewrite *r, size_t i, const char *name)
{
    for (size_t k = 0; r->schema && k < sizeof nodes_own / sizeof nodes_own[0]; k++)
        if (strcmp(nodes_own[k], name) == 0)
            pg_fail(r, i, ERR_UNSUPPORTED,
                    "%s() cannot be put into the schema: plain SQLite does not have it", name);
}

static size_t constant(struct pg_rewrite *r, size_t i, const char *name)
{
    for (size_t k = 0; k < sizeof constants / sizeof constants[0]; k++) {
        const char *text = constants[k].text;
        if (strcmp(constants[k].name, name) != 0)
            continue;
        if (r->schema && constants[k].in_schema)
            text = constants[k].in_schema;
        if (!*text)
            pg_fail(r, i, ERR_UNSUPPORTED, "%s() cannot be put into the schema", name);
        pg_put(r, text);
        return i + 3;
    }
    return i;
}

/* INSERT INTO sum(…), WITH sum(…) AS (…): what looks like a call gives a table's columns. */
static bool is_table(const struct pg_rewrite *r, size_t i)
{
    size_t behind = r->match[i + 1] + 1;

    if (i >= 2 && pg_punct(r, i - 1, "."))
        i -= 2;
    return (i > 0 && pg_word(r, i - 1, "INTO")) ||
           (pg_word(r, behind, "AS") && pg_punct(r, behind + 1, "("));
}

static size_t special(struct pg_rewrite *r, size_t i, const char *name)
{
    struct call c = {i + 2, r->match[i + 1]};
    size_t next;

#define IS(s) (strcmp(name, s) == 0)
    if (c.to == c.from && (next = constant(r, i, name)) != i)
        return next;
    if (IS("substring"))
        return substring(r, c);
    if (IS("trim"))
        return trim(r, c);
    if (IS("position"))
        return position(r, c);
    if (IS("overlay"))
        return overlay(r, c);
    if (IS("extract"))
        return extract(r, c);
    if (IS("cast"))
        return cast(r, c);
    if (IS("mod"))
        return infix(r, c, ") % (");
    if (IS("left") || IS("right"))
        return left_right(r, c, IS("left"));
    if (IS("nextval"))
        return nextval(r, i, c);
    if (IS("currval")) {
        pg_put(r, "last_insert_rowid()");
        return c.to + 1;
    }
    if ((IS("greatest") || IS("least")) && r->schema) {
        size_t open = r->n_out;
        put_args(r, IS("greatest") ? "max(" : "min(", c.from, c.to);
        end_call(r, open);
        return c.to + 1;
    }
    if (IS("current_timestamp") || IS("localtimestamp")) {
        pg_put(r, NOW);
        return c.to + 1;
    }
    if (IS("sum") && !r->schema && !is_table(r, i)) { /* the schema's keeps SQLite's overflow */
        pg_put(r, "pg_sum");
        return i + 1;
    }
    if (IS("row")) {
        pg_copy(r, i + 1);
        return i + 2;
    }
#undef IS
    return i;
}

static size_t call(struct pg_rewrite *r, size_t i)
{
    const char *name = pg_name(r, i);
    bool space = pg_at(r, i)->space;
    size_t first = r->n_out, next, n;

    r->at = i;
    if (strcmp(name, "timezone") == 0 && pg_is_string(r, i + 2) && pg_punct(r, i + 3, ",") &&
        strcasecmp(pg_string(r, i + 2, &n), "utc") == 0) { /* times are always UTC */
        pg_put(r, "(");
        pg_range(r, i + 4, r->match[i + 1]);
        pg_put(r, ")");
        return r->match[i + 1] + 1;
    }
    next = special(r, i, name);
    if (next != i) {
        if (first < r->n_out)
            r->out[first].space = space;
        return next;
    }
    refuse_in_schema(r, i, name);
    for (size_t k = 0; k < sizeof renames / sizeof renames[0]; k++) {
        if (strcmp(renames[k].name, name) == 0) {
            pg_put(r, renames[k].sqlite);
            r->out[r->n_out - 1].space = space;
            return i + 1;
        }
    }
    return i;
}

/* date '2024-01-01' and the like. */
static size_t typed_literal(struct pg_rewrite *r, size_t i)
{
    struct pg_type_ref ref;
    size_t string;

    if (pg_word(r, i, "INTERVAL") || pg_reserved(pg_at(r, i)) || pg_word(r, i, "X"))
        return i;
    if (pg_at(r, i)->type != PG_TOKEN_WORD || (i > 0 && pg_word(r, i - 1, "AS")))
        return i;
    if (!pg_is_string(r, i + 1) && !pg_words(r, i + 1, "WITH", "TIME") &&
        !pg_words(r, i + 1, "WITHOUT", "TIME") && !pg_is_string(r, pg_skip(r, i + 1)))
        return i;
    if (!pg_type_by_name(pg_at(r, i)->text, pg_at(r, i)->len))
        return i;
    string = pg_read_type(r, i, &ref);
    if (!pg_is_string(r, string) || !ref.type)
        return i;
    pg_cast_range(r, string, string + 1, &ref);
    return string + 1;
}

/* USER is a keyword of PostgreSQL's, and a good name for a column here: only where a statement
 * reads the information schema, none of whose columns is called so, is it the keyword. */
static bool is_user_keyword(const struct pg_rewrite *r, size_t i)
{
    if (!pg_word(r, i, "USER") || (i > 0 && pg_punct(r, i - 1, ".")))
        return false;
    for (size_t k = 0; k < r->n; k++)
        if (pg_word(r, k, "INFORMATION_SCHEMA"))
            return true;
    return false;
}

size_t pg_call(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t next;

    (void)to;
    if (!pg_is_name(r, i))
        return i;
    if (pg_punct(r, i + 1, "("))
        return call(r, i);
    if ((next = typed_literal(r, i)) != i)
        return next;
    if (pg_punct(r, i + 1, ".") || (i > 0 && pg_word(r, i - 1, "AS")))
        return i;
    if (pg_word(r, i, "LOCALTIMESTAMP") || pg_word(r, i, "LOCALTIME")) {
        r->at = i;
        pg_put(r, pg_word(r, i, "LOCALTIME") ? "CURRENT_TIME" : NOW);
        return i + 1;
    }
    if (is_user_keyword(r, i)) {
        r->at = i;
        pg_put(r, "current_user()");
        return i + 1;
    }
    for (size_t k = 0; k < sizeof keywords / sizeof keywords[0]; k++) {
        if (pg_word(r, i, keywords[k].name)) {
            if (r->schema)
                pg_fail(r, i, ERR_UNSUPPORTED, "%s cannot be put into the schema",
                        keywords[k].name);
            r->at = i;
            pg_put(r, keywords[k].text);
            return i + 1;
        }
    }
    return i;
}
