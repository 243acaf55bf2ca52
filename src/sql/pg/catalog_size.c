/*
 * How large tables and indexes are: the pages of their b-trees, which dbstat counts. Where SQLite
 * was built without it, each b-tree has an equal share of the file.
 */
#include <sqlite3.h>
#include <string.h>

#include "sql/pg/catalog.h"
#include "sql/pg/function.h"
#include "sql/policy.h"

/* The first column of a query on `db` with an argument; false: no row. */
static bool ask(sqlite3 *db, const char *sql, const char *arg, int64_t *out)
{
    sqlite3_stmt *s = NULL;
    bool row = sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK &&
               sqlite3_bind_text(s, 1, arg, -1, SQLITE_TRANSIENT) == SQLITE_OK &&
               sqlite3_step(s) == SQLITE_ROW;

    if (row)
        *out = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return row;
}

static int64_t size_of(struct pg_catalog *c, const char *btree)
{
    int64_t bytes = 0;

    if (c->policy)
        policy_trust(c->policy, true);
    if (!ask(c->main, "SELECT pgsize FROM dbstat WHERE name = ?1 AND aggregate = 1", btree, &bytes))
        (void)ask(c->main,
                  "SELECT page_count * page_size / (SELECT count(*) + 1 FROM main.sqlite_schema "
                  "WHERE rootpage > 0) FROM pragma_page_count(), pragma_page_size() WHERE EXISTS "
                  "(SELECT 1 FROM main.sqlite_schema WHERE name = ?1 AND rootpage > 0)",
                  btree, &bytes);
    if (c->policy)
        policy_trust(c->policy, false);
    return bytes;
}

/* Adds up the b-trees that a query on the catalogs names for a relation, by name or OID. */
static void add_up(sqlite3_context *ctx, sqlite3_value *v, const char *sql)
{
    struct pg_catalog *c = sqlite3_user_data(ctx);
    sqlite3_stmt *s = NULL;
    int64_t bytes = 0;
    bool known = false;

    if (sqlite3_value_type(v) == SQLITE_NULL || pg_catalog_refresh(c) != SQLITE_OK)
        return;
    if (sqlite3_prepare_v2(c->mem, sql, -1, &s, NULL) == SQLITE_OK &&
        sqlite3_bind_value(s, 1, v) == SQLITE_OK)
        while (sqlite3_step(s) == SQLITE_ROW) {
            const char *btree = (const char *)sqlite3_column_text(s, 0);
            bytes += btree ? size_of(c, btree) : 0;
            known = true;
        }
    sqlite3_finalize(s);
    if (known)
        sqlite3_result_int64(ctx, bytes);
}

/* ?1 is an OID, or a name with or without its schema and quotes. */
#define RELATION                                                                                   \
    "(SELECT oid FROM rel WHERE oid = ?1 OR name = replace(replace(?1, 'public.', ''), '\"', '') " \
    "COLLATE NOCASE ORDER BY kind = 'i' LIMIT 1)"
#define OWN                                                                                        \
    "SELECT coalesce((SELECT btree FROM idx WHERE oid = r.oid), r.name) FROM rel r WHERE r.oid = "

static void relation_size(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    add_up(ctx, v[0], OWN RELATION);
}

static void indexes_size(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    add_up(ctx, v[0],
           "SELECT btree FROM rel r LEFT JOIN idx ON relid = r.oid WHERE r.oid = " RELATION);
}

static void total_size(sqlite3_context *ctx, int n, sqlite3_value **v)
{
    (void)n;
    add_up(ctx, v[0], OWN RELATION " UNION ALL SELECT btree FROM idx WHERE relid = " RELATION);
}

int pg_catalog_sizes(struct pg_catalog *c)
{
    static const struct pg_function functions[] = {
        {"pg_relation_size", 1, relation_size, NULL, 0},
        {"pg_relation_size", 2, relation_size, NULL, 0},
        {"pg_table_size", 1, relation_size, NULL, 0},
        {"pg_indexes_size", 1, indexes_size, NULL, 0},
        {"pg_total_relation_size", 1, total_size, NULL, 0},
    };

    return pg_functions_register(c->main, functions, sizeof functions / sizeof functions[0], c,
                                 SQLITE_DIRECTONLY);
}
