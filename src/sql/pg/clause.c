/* Clauses: FROM's functions and column lists, LIMIT and FETCH, FOR UPDATE, DELETE … USING. */
#include <string.h>
#include <strings.h>

#include "sql/pg/rewrite.h"

/* ---- functions in FROM ---- */

static bool in_from(struct pg_rewrite *r, size_t i)
{
    size_t k = i;

    while (k >= 2 && pg_punct(r, k - 1, ".")) /* pg_catalog. */
        k -= 2;
    if (k > 0 && pg_word(r, k - 1, "LATERAL"))
        k--;
    if (k == 0)
        return false;
    if (pg_word(r, k - 1, "FROM") || pg_word(r, k - 1, "JOIN"))
        return true;
    return pg_punct(r, k - 1, ",") && pg_place(r, k - 1)->in_from;
}

/* What may follow an item of FROM: [AS] alias [(column, …)]. */
struct alias {
    size_t name;    /* its token; PG_NONE = none */
    size_t columns; /* the ( of the list; PG_NONE = none */
    size_t end;
};

static struct alias read_alias(const struct pg_rewrite *r, size_t i)
{
    struct alias a = {PG_NONE, PG_NONE, i};

    if (pg_words(r, i, "WITH", "ORDINALITY"))
        i += 2;
    a.end = i;
    if (pg_word(r, i, "AS"))
        i++;
    if (!pg_is_name(r, i) || (pg_at(r, i)->type == PG_TOKEN_WORD && pg_reserved(pg_at(r, i))))
        return a;
    a.name = i;
    a.end = i + 1;
    if (pg_punct(r, i + 1, "(")) {
        a.columns = i + 1;
        a.end = r->match[i + 1] + 1;
    }
    return a;
}

/* Column n of the list, as a name; NULL if there is none. Types behind names are passed over. */
static const char *listed(struct pg_rewrite *r, const struct alias *a, unsigned n)
{
    size_t i, close;

    if (a->columns == PG_NONE)
        return NULL;
    close = r->match[a->columns];
    for (i = a->columns + 1; n > 0 && i < close; n--)
        i = pg_find_punct(r, i, close, ",") + 1;
    return i < close && pg_is_name(r, i) ? pg_name(r, i) : NULL;
}

/* Do the arguments name anything, such as a column of an item before? */
static bool has_names(const struct pg_rewrite *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (pg_is_name(r, i) && !pg_punct(r, i + 1, "(") && !pg_punct(r, i + 1, "[") &&
            pg_at(r, i - 1)->type != PG_TOKEN_CAST && !pg_reserved(pg_at(r, i)) &&
            !pg_word(r, i, "INTERVAL") && !pg_is_string(r, i + 1))
            return true;
    return false;
}

/* The ( of the SELECT that token i is in; PG_NONE: the statement's own. */
static size_t enclosing(struct pg_rewrite *r, size_t i)
{
    return pg_place(r, i)->paren;
}

static void add_rename(struct pg_rewrite *r, size_t open, const char *name, const char *text)
{
    struct pg_rename *x;

    if (r->n_renames++ == PG_RENAMES_MAX) {
        pg_fail(r, PG_NONE, ERR_TOO_BIG, "too many columns of functions in FROM");
        return;
    }
    x = arena_alloc(r->arena, sizeof *x);
    if (!x) {
        pg_fail(r, PG_NONE, ERR_NO_MEMORY, "out of memory");
        return;
    }
    *x = (struct pg_rename){name, text, open == PG_NONE ? 0 : open + 1,
                            open == PG_NONE ? r->n : r->match[open], r->renames};
    r->renames = x;
}

/* The function's own name for column n of the list behind its alias: f(x, y) AS a(p, q, o). */
static const char *own_column(const struct pg_rewrite *r, size_t function, unsigned n)
{
    static const char *const names[] = {"value", "second", "third"};
    size_t i = function + 2, close = r->match[function + 1];
    unsigned arrays = 0;

    for (; i < close; i = pg_find_punct(r, i, close, ",") + 1)
        arrays++;
    return n < arrays && n < 3 ? names[n] : "ordinality";
}

/* A function whose arguments are columns of FROM's other items. */
static bool is_lateral(struct pg_rewrite *r, size_t i, struct alias *a)
{
    if (!pg_is_srf(r, i) || !in_from(r, i))
        return false;
    *a = read_alias(r, r->match[i + 1] + 1);
    return a->name != PG_NONE && has_names(r, i + 2, r->match[i + 1]);
}

/* They keep their place; the names that the statement gives to their columns are replaced. */
void pg_find_renames(struct pg_rewrite *r)
{
    for (size_t i = 0; i < r->n && !r->failed; i++) {
        struct alias a;
        const char *alias, *column;
        size_t open;

        if (!is_lateral(r, i, &a))
            continue;
        alias = pg_name(r, a.name);
        open = enclosing(r, i);
        for (unsigned n = 0; n == 0 || listed(r, &a, n); n++) {
            const char *text = pg_format(r, "\"%s\".%s", alias, own_column(r, i, n));
            column = listed(r, &a, n);
            add_rename(r, open, column ? column : alias, text);
            add_rename(r, open, pg_format(r, "%s.%s", alias, column ? column : alias), text);
        }
    }
}

static bool ends_from(const struct pg_rewrite *r, size_t i)
{
    return pg_word(r, i, "WHERE") || pg_word(r, i, "GROUP") || pg_word(r, i, "ORDER") ||
           pg_word(r, i, "HAVING") || pg_word(r, i, "LIMIT") || pg_word(r, i, "UNION") ||
           pg_word(r, i, "OFFSET");
}

/* The columns that SELECT * gets from the item at i. */
static void star_of_item(struct pg_rewrite *r, size_t i)
{
    struct alias a;
    size_t behind;

    if (pg_word(r, i, "LATERAL"))
        i++;
    if (is_lateral(r, i, &a)) {
        for (unsigned n = 0; n == 0 || listed(r, &a, n); n++)
            pg_putf(r, "%s\"%s\".%s AS \"%s\"", n ? ", " : "", pg_name(r, a.name),
                    own_column(r, i, n), listed(r, &a, n) ? listed(r, &a, n) : pg_name(r, a.name));
        return;
    }
    behind = pg_punct(r, i, "(") ? pg_skip(r, i) : pg_skip_name(r, i);
    a = read_alias(r, pg_punct(r, behind, "(") ? pg_skip(r, behind) : behind);
    pg_putf(r, "\"%s\".*", pg_name(r, a.name != PG_NONE ? a.name : behind - 1));
}

size_t pg_star(struct pg_rewrite *r, size_t i)
{
    size_t open, to, from;
    bool renamed = false;

    if (i == 0 || !r->renames || !pg_punct(r, i, "*") || !pg_word(r, i - 1, "SELECT"))
        return i;
    open = enclosing(r, i);
    to = open == PG_NONE ? r->n : r->match[open];
    from = pg_find(r, i, to, "FROM");
    if (from == to)
        return i;
    for (const struct pg_rename *x = r->renames; x; x = x->next)
        renamed = renamed || x->from == (open == PG_NONE ? 0 : open + 1);
    if (!renamed)
        return i;
    r->at = i;
    star_of_item(r, from + 1);
    for (size_t k = from + 1; k < to && !ends_from(r, k); k = pg_skip(r, k)) {
        if (!pg_punct(r, k, ",") && !pg_word(r, k, "JOIN"))
            continue;
        pg_put(r, ",");
        star_of_item(r, k + 1);
    }
    return i + 1;
}

static size_t from_function(struct pg_rewrite *r, size_t i)
{
    size_t close = r->match[i + 1];
    struct alias a = read_alias(r, close + 1);
    const char *alias = a.name != PG_NONE ? pg_name(r, a.name) : pg_name(r, i);
    const char *first = listed(r, &a, 0), *second = listed(r, &a, 1);
    bool lateral = has_names(r, i + 2, close);

    r->at = i;
    if (!lateral) {
        pg_putf(r, "(SELECT value AS \"%s\"", first ? first : alias);
        if (second || pg_word(r, close + 1, "WITH"))
            pg_putf(r, ", ordinality AS \"%s\"", second ? second : "ordinality");
        pg_put(r, "FROM");
    }
    pg_copy(r, i);
    pg_copy(r, i + 1);
    pg_range(r, i + 2, close);
    pg_copy(r, close);
    if (!lateral)
        pg_put(r, ")");
    pg_putf(r, "AS \"%s\"", alias);
    return a.end;
}

/* (SELECT …) AS t(a, b) → (WITH t(a, b) AS (SELECT …) SELECT * FROM t) AS t */
static size_t from_subquery(struct pg_rewrite *r, size_t i)
{
    struct alias a;
    const char *alias;

    if (!pg_word(r, i + 1, "SELECT") && !pg_word(r, i + 1, "VALUES") && !pg_word(r, i + 1, "WITH"))
        return i;
    a = read_alias(r, r->match[i] + 1);
    if (a.columns == PG_NONE || !in_from(r, i))
        return i;
    alias = pg_name(r, a.name);
    r->at = i;
    pg_putf(r, "(WITH \"%s\"", alias);
    pg_copy(r, a.columns);
    for (unsigned n = 0; listed(r, &a, n); n++)
        pg_putf(r, "%s\"%s\"", n ? ", " : "", listed(r, &a, n));
    pg_put(r, ") AS (");
    pg_range(r, i + 1, r->match[i]);
    pg_putf(r, ") SELECT * FROM \"%s\") AS \"%s\"", alias, alias);
    return a.end;
}

/* What PostgreSQL has of partitions, here nothing: functions of FROM that give no row. */
static size_t from_nothing(struct pg_rewrite *r, size_t i)
{
    struct alias a;

    if (!pg_is_name(r, i) || !pg_punct(r, i + 1, "(") || !in_from(r, i) ||
        (strcmp(pg_name(r, i), "pg_partition_ancestors") != 0 &&
         strcmp(pg_name(r, i), "pg_partition_tree") != 0))
        return i;
    a = read_alias(r, r->match[i + 1] + 1);
    r->at = i;
    pg_put(r, "(SELECT NULL AS relid, NULL AS depth, NULL AS parentrelid, NULL AS isleaf, "
              "NULL AS level WHERE 0)");
    if (a.name != PG_NONE)
        pg_putf(r, "AS \"%s\"", pg_name(r, a.name));
    return a.end;
}

/* FROM current_schema(): a row with what the function answers. */
static size_t from_scalar(struct pg_rewrite *r, size_t i)
{
    static const char *const names[] = {"current_schema",
                                        "current_database",
                                        "current_setting",
                                        "current_schemas",
                                        "pg_backend_pid",
                                        "version",
                                        "set_config",
                                        "pg_is_in_recovery",
                                        "current_catalog",
                                        "current_user",
                                        "now",
                                        "pg_database_size"};
    const char *name, *alias;
    struct alias a;

    if (!pg_is_name(r, i) || !pg_punct(r, i + 1, "(") || !in_from(r, i))
        return i;
    name = pg_name(r, i);
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (strcmp(name, names[k]) != 0)
            continue;
        a = read_alias(r, r->match[i + 1] + 1);
        alias = a.name != PG_NONE ? pg_name(r, a.name) : name;
        pg_put(r, "(SELECT");
        if (pg_call(r, i, r->n) == i) {
            pg_copy(r, i);
            pg_range(r, i + 1, r->match[i + 1] + 1);
        }
        pg_putf(r, "AS \"%s\") AS \"%s\"", listed(r, &a, 0) ? listed(r, &a, 0) : alias, alias);
        return a.end;
    }
    return i;
}

size_t pg_from_item(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t next;

    (void)to;
    if (pg_punct(r, i, "("))
        return from_subquery(r, i);
    if (!r->schema && pg_is_srf(r, i) && in_from(r, i))
        return from_function(r, i);
    if (!r->schema && ((next = from_nothing(r, i)) != i || (next = from_scalar(r, i)) != i))
        return next;
    return i;
}

/* ---- LIMIT, OFFSET, FETCH, FOR, in any order ---- */

static bool begins_limit(const struct pg_rewrite *r, size_t i)
{
    if (i > 0 && (pg_punct(r, i - 1, ".") || pg_punct(r, i - 1, ",") || pg_punct(r, i - 1, "(") ||
                  pg_at(r, i - 1)->type == PG_TOKEN_OP || pg_word(r, i - 1, "AS")))
        return false;
    if (pg_word(r, i, "LIMIT"))
        return true;
    if (pg_word(r, i, "FETCH"))
        return pg_word(r, i + 1, "FIRST") || pg_word(r, i + 1, "NEXT");
    if (pg_word(r, i, "OFFSET"))
        return pg_at(r, i + 1)->type == PG_TOKEN_NUMBER ||
               pg_at(r, i + 1)->type == PG_TOKEN_PARAM || pg_punct(r, i + 1, "(") ||
               (pg_is_name(r, i + 1) && !pg_reserved(pg_at(r, i + 1)));
    return pg_word(r, i, "FOR") &&
           (pg_word(r, i + 1, "UPDATE") || pg_word(r, i + 1, "SHARE") ||
            pg_words(r, i + 1, "NO", "KEY") || pg_words(r, i + 1, "KEY", "SHARE"));
}

static size_t skip_lock(const struct pg_rewrite *r, size_t i)
{
    for (i++; pg_word(r, i, "NO") || pg_word(r, i, "KEY") || pg_word(r, i, "UPDATE") ||
              pg_word(r, i, "SHARE");)
        i++;
    if (pg_word(r, i, "OF")) {
        i = pg_skip_name(r, i + 1);
        while (pg_punct(r, i, ","))
            i = pg_skip_name(r, i + 1);
    }
    if (pg_word(r, i, "NOWAIT"))
        i++;
    if (pg_words(r, i, "SKIP", "LOCKED"))
        i += 2;
    return i;
}

/* The operand of LIMIT, OFFSET or FETCH at i: what it is lies in [*from, *end). */
static size_t read_limit(const struct pg_rewrite *r, size_t i, size_t to, size_t *from, size_t *end)
{
    bool fetch = pg_word(r, i, "FETCH");

    i += fetch ? 2 : 1;
    *from = i;
    *end = i;
    if (!fetch || (!pg_word(r, i, "ROW") && !pg_word(r, i, "ROWS")))
        *end = pg_operand_end(r, i, to);
    i = *end;
    if (pg_word(r, i, "ROW") || pg_word(r, i, "ROWS"))
        i++;
    if (fetch && pg_word(r, i, "ONLY"))
        i++;
    return i;
}

static void put_limit(struct pg_rewrite *r, const char *word, size_t from, size_t end,
                      const char *otherwise)
{
    pg_put(r, word);
    if (end > from)
        pg_range(r, from, end);
    else
        pg_put(r, otherwise);
}

static size_t limits(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t limit[2] = {0, 0}, offset[2] = {0, 0};
    bool has_limit = false, has_offset = false;

    r->at = i;
    while (i < to && begins_limit(r, i)) {
        if (pg_word(r, i, "FOR")) {
            i = skip_lock(r, i);
        } else if (pg_word(r, i, "OFFSET")) {
            i = read_limit(r, i, to, &offset[0], &offset[1]);
            has_offset = true;
        } else if (pg_words(r, i, "LIMIT", "ALL") || pg_words(r, i, "LIMIT", "NULL")) {
            i += 2;
        } else {
            i = read_limit(r, i, to, &limit[0], &limit[1]);
            has_limit = true;
            if (pg_words(r, i, "WITH", "TIES"))
                pg_fail(r, i, ERR_UNSUPPORTED, "WITH TIES is not supported");
            if (pg_punct(r, i, ",")) { /* SQLite's LIMIT offset, count */
                offset[0] = limit[0];
                offset[1] = limit[1];
                has_offset = true;
                i = read_limit(r, i, to, &limit[0], &limit[1]);
            }
        }
    }
    if (has_limit)
        put_limit(r, "LIMIT", limit[0], limit[1], "1");
    else if (has_offset)
        pg_put(r, "LIMIT -1");
    if (has_offset)
        put_limit(r, "OFFSET", offset[0], offset[1], "0");
    return i;
}

/* ---- DELETE FROM t USING u WHERE … ---- */

static size_t delete_using(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t name = i + 2, end, using_at, where, returning, alias;

    if (!pg_words(r, i, "DELETE", "FROM"))
        return i;
    if (pg_word(r, name, "ONLY"))
        name++;
    end = pg_skip_name(r, name);
    using_at = pg_find(r, end, to, "USING");
    if (using_at == to)
        return i;
    where = pg_find(r, using_at, to, "WHERE");
    returning = pg_find(r, using_at, to, "RETURNING");
    alias = using_at > end ? using_at - 1 : end - 1;
    pg_copy(r, i);
    pg_copy(r, i + 1);
    pg_range(r, name, end);
    if (using_at > end)
        pg_putf(r, "AS \"%s\"", pg_name(r, alias));
    pg_putf(r, "WHERE rowid IN (SELECT \"%s\".rowid FROM", pg_name(r, alias));
    pg_range(r, name, end);
    if (using_at > end)
        pg_putf(r, "AS \"%s\"", pg_name(r, alias));
    pg_put(r, ",");
    pg_range(r, using_at + 1, where < returning ? where : returning);
    if (where < to)
        pg_range(r, where, returning);
    pg_put(r, ")");
    return returning;
}

/* ---- words ---- */

static size_t timezone(struct pg_rewrite *r, size_t i)
{
    size_t n;
    const char *zone = pg_is_string(r, i + 3) ? pg_string(r, i + 3, &n) : "";

    if (strcasecmp(zone, "utc") != 0 && strcasecmp(zone, "gmt") != 0 &&
        strcasecmp(zone, "etc/utc") != 0)
        pg_fail(r, i, ERR_UNSUPPORTED, "AT TIME ZONE is only supported for 'UTC'");
    return i + 4;
}

/* A function of one value in FROM is a row of one column, which has the item's name:
 *   FROM string_to_array(a, ',') s   →   FROM (SELECT string_to_array(a, ',') AS s) s */
static size_t value_in_from(struct pg_rewrite *r, size_t i)
{
    static const char *const names[] = {"STRING_TO_ARRAY",
                                        "CURRENT_SCHEMAS",
                                        "CURRENT_SCHEMA",
                                        "CURRENT_SETTING",
                                        "CURRENT_DATABASE",
                                        "VERSION",
                                        "NOW"};
    size_t open = i + 1;
    struct alias a;

    if (!pg_punct(r, open, "(") || r->match[open] == PG_NONE || !in_from(r, i))
        return i;
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (!pg_word(r, i, names[k]))
            continue;
        a = read_alias(r, r->match[open] + 1);
        if (a.columns != PG_NONE)
            return i;
        pg_put(r, "(SELECT ");
        pg_copy(r, i);
        pg_range(r, open, r->match[open] + 1);
        pg_put(r, " AS ");
        pg_copy(r, a.name == PG_NONE ? i : a.name);
        pg_put(r, ")");
        return r->match[open] + 1;
    }
    return i;
}

size_t pg_clause(struct pg_rewrite *r, size_t i, size_t to)
{
    size_t next;

    if ((next = value_in_from(r, i)) != i)
        return next;

    if ((next = pg_from_item(r, i, to)) != i)
        return next;
    if (begins_limit(r, i))
        return limits(r, i, to);
    if (pg_word(r, i, "LATERAL") && (pg_punct(r, i + 1, "(") || pg_is_name(r, i + 1)))
        return i + 1;
    if (pg_word(r, i, "ONLY") && i > 0 &&
        (pg_word(r, i - 1, "FROM") || pg_word(r, i - 1, "UPDATE") || pg_word(r, i - 1, "JOIN")) &&
        pg_is_name(r, i + 1))
        return i + 1;
    if (pg_words(r, i, "ON", "CONSTRAINT") && i > 0 && pg_word(r, i - 1, "CONFLICT"))
        return i + 3;
    if ((pg_word(r, i, "EXCEPT") || pg_word(r, i, "INTERSECT")) && pg_word(r, i + 1, "ALL"))
        pg_fail(r, i, ERR_UNSUPPORTED, "EXCEPT ALL and INTERSECT ALL are not supported");
    if (pg_word(r, i, "AT") && pg_words(r, i + 1, "TIME", "ZONE") && i > 0)
        return timezone(r, i);
    if (pg_word(r, i, "UNKNOWN") && i > 0 &&
        (pg_word(r, i - 1, "IS") || pg_word(r, i - 1, "NOT"))) {
        pg_put(r, "NULL");
        return i + 1;
    }
    if ((next = pg_stored_value(r, i, to)) != i)
        return next;
    if (pg_word(r, i, "DELETE"))
        return delete_using(r, i, to);
    return i;
}
