/* Statements that are neither queries nor schema: transactions, TRUNCATE, VACUUM, EXPLAIN, and
 * those that mean nothing here. */
#include "sql/pg/ddl.h"

/* BEGIN and START TRANSACTION with modes, COMMIT WORK, ABORT, ROLLBACK WORK TO SAVEPOINT … */
static bool transaction(struct pg_rewrite *r)
{
    size_t i = 1;

    if (pg_word(r, 0, "BEGIN") || pg_words(r, 0, "START", "TRANSACTION")) {
        if (pg_word(r, 1, "IMMEDIATE") || pg_word(r, 1, "EXCLUSIVE") || pg_word(r, 1, "DEFERRED"))
            return false;
        pg_put(r, "BEGIN");
        return true;
    }
    if (pg_word(r, 1, "WORK") || pg_word(r, 1, "TRANSACTION"))
        i = 2;
    if (pg_word(r, 0, "COMMIT") || pg_word(r, 0, "END") || pg_word(r, 0, "ROLLBACK") ||
        pg_word(r, 0, "ABORT")) {
        if (pg_words(r, i, "AND", "CHAIN"))
            pg_fail(r, i, ERR_UNSUPPORTED, "AND CHAIN is not supported");
        else if (pg_word(r, i, "PREPARED"))
            pg_fail(r, i, ERR_UNSUPPORTED, "two-phase commit is not supported");
    }
    if (pg_word(r, 0, "COMMIT") || pg_word(r, 0, "END")) {
        pg_put(r, "COMMIT");
        return true;
    }
    if (pg_word(r, 0, "ROLLBACK") || pg_word(r, 0, "ABORT")) {
        pg_put(r, "ROLLBACK");
        if (pg_word(r, i, "TO")) {
            pg_put(r, "TO");
            pg_range(r, i + 1, r->n);
        }
        return true;
    }
    return false;
}

static bool truncate(struct pg_rewrite *r)
{
    size_t i = pg_word(r, 1, "TABLE") ? 2 : 1;

    if (!pg_word(r, 0, "TRUNCATE"))
        return false;
    for (bool first = true; i < r->n && !r->failed; first = false) {
        size_t name = pg_word(r, i, "ONLY") ? i + 1 : i, end = pg_skip_name(r, name);
        if (end == name) {
            pg_fail(r, name, ERR_SYNTAX, "syntax error at or near \"%.*s\"",
                    (int)pg_at(r, name)->len, pg_at(r, name)->text);
            break;
        }
        pg_put(r, first ? "DELETE FROM" : "; DELETE FROM");
        pg_range(r, name, end);
        i = pg_punct(r, end, "*") ? end + 1 : end;
        if (!pg_punct(r, i, ","))
            break;
        i++;
    }
    return true;
}

/* The tables of VACUUM and ANALYZE, each with a statement of its own. */
static void analyze_each(struct pg_rewrite *r, size_t i)
{
    if (i >= r->n)
        pg_put(r, "ANALYZE");
    for (bool first = true; i < r->n; first = false) {
        size_t end = pg_skip_name(r, i);
        if (end == i) {
            pg_fail(r, i, ERR_SYNTAX, "syntax error at or near \"%.*s\"", (int)pg_at(r, i)->len,
                    pg_at(r, i)->text);
            return;
        }
        pg_put(r, first ? "ANALYZE" : "; ANALYZE");
        pg_range(r, i, end);
        i = pg_punct(r, end, "(") ? pg_skip(r, end) : end;
        if (pg_punct(r, i, ","))
            i++;
    }
}

static bool vacuum(struct pg_rewrite *r)
{
    bool analyze = false, full = false, any = false;
    size_t i = 1;

    if (pg_word(r, 0, "ANALYZE") || pg_word(r, 0, "ANALYSE")) {
        if (pg_punct(r, i, "("))
            i = pg_skip(r, i);
        if (pg_word(r, i, "VERBOSE"))
            i++;
        analyze_each(r, i);
        return true;
    }
    if (!pg_word(r, 0, "VACUUM"))
        return false;
    if (pg_punct(r, i, "(")) {
        for (; i < r->match[1]; i++) {
            analyze = analyze || pg_word(r, i, "ANALYZE");
            full = full || pg_word(r, i, "FULL");
        }
        i++;
        any = true;
    }
    for (;; i++, any = true) {
        if (pg_word(r, i, "ANALYZE") || pg_word(r, i, "ANALYSE"))
            analyze = true;
        else if (pg_word(r, i, "FULL"))
            full = true;
        else if (!pg_word(r, i, "FREEZE") && !pg_word(r, i, "VERBOSE"))
            break;
    }
    if (!any && (i >= r->n || pg_word(r, i, "MAIN") || pg_word(r, i, "TEMP") ||
                 pg_word(r, i, "INTO") || pg_word(r, i + 1, "INTO")))
        return false; /* SQLite's own */
    if (analyze)
        analyze_each(r, i);
    else if (full && i >= r->n)
        pg_put(r, "VACUUM");
    return true; /* VACUUM t: SQLite has nothing to clean behind single tables */
}

static bool explain(struct pg_rewrite *r)
{
    size_t i = 1;

    if (!pg_word(r, 0, "EXPLAIN"))
        return false;
    if (pg_punct(r, i, "("))
        i = pg_skip(r, i);
    while (pg_word(r, i, "ANALYZE") || pg_word(r, i, "VERBOSE"))
        i++;
    if (i > 1)
        pg_put(r, "EXPLAIN QUERY PLAN");
    else
        pg_copy(r, 0);
    pg_range(r, i, r->n);
    return true;
}

static bool reindex(struct pg_rewrite *r)
{
    size_t i = 1;

    if (!pg_word(r, 0, "REINDEX"))
        return false;
    if (pg_punct(r, i, "("))
        i = pg_skip(r, i);
    if (pg_word(r, i, "DATABASE") || pg_word(r, i, "SYSTEM") || pg_word(r, i, "SCHEMA")) {
        pg_put(r, "REINDEX");
        return true;
    }
    if (pg_word(r, i, "TABLE") || pg_word(r, i, "INDEX"))
        i++;
    if (pg_word(r, i, "CONCURRENTLY"))
        i++;
    pg_copy(r, 0);
    pg_range(r, i, r->n);
    return true;
}

/* Rights, comments, locks: nothing here has them. */
static bool is_ignored(const struct pg_rewrite *r)
{
    static const char *const words[] = {"COMMENT",    "GRANT",   "REVOKE", "SECURITY", "LOCK",
                                        "CHECKPOINT", "CLUSTER", "LOAD",   "REASSIGN"};

    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (pg_word(r, 0, words[k]))
            return true;
    return pg_word(r, 0, "ALTER") && !pg_word(r, 1, "TABLE") && !pg_word(r, 1, "INDEX") &&
           !pg_word(r, 1, "TYPE");
}

/* ALTER VIEW v RENAME TO w: not to be passed over in silence. */
static bool renames_other(struct pg_rewrite *r)
{
    if (!pg_word(r, 0, "ALTER") || pg_word(r, 1, "TABLE") || pg_word(r, 1, "INDEX") ||
        pg_word(r, 1, "TYPE") || pg_find(r, 1, r->n, "RENAME") == r->n)
        return false;
    pg_fail(r, 1, ERR_UNSUPPORTED, "ALTER %.*s … RENAME is not supported", (int)pg_at(r, 1)->len,
            pg_at(r, 1)->text);
    return true;
}

bool pg_ddl(struct pg_rewrite *r)
{
    if (pg_word(r, 0, "CREATE"))
        return pg_ddl_create_table(r) || pg_ddl_create_index(r) || pg_ddl_create_view(r) ||
               pg_ddl_create_other(r);
    if (pg_word(r, 0, "DROP"))
        return pg_ddl_drop(r);
    return pg_ddl_alter_table(r) || pg_ddl_alter_index(r) || pg_ddl_alter_type(r);
}

bool pg_utility(struct pg_rewrite *r)
{
    if (transaction(r) || truncate(r) || vacuum(r) || explain(r) || reindex(r))
        return true;
    if (pg_word(r, 0, "TABLE") && pg_is_name(r, 1)) {
        pg_put(r, "SELECT * FROM");
        pg_range(r, 1, r->n);
        return true;
    }
    if (pg_words(r, 0, "REFRESH", "MATERIALIZED"))
        pg_fail(r, 0, ERR_UNSUPPORTED, "materialized views are not supported");
    if (pg_do(r))
        return true;
    if (pg_word(r, 0, "CALL"))
        pg_fail(r, 0, ERR_UNSUPPORTED, "there is no procedural language here");
    return renames_other(r) || r->failed || is_ignored(r);
}
