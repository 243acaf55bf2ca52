/*
 * The virtual tables: each is a window on the table or view of its name in the database in memory,
 * with equalities passed on.
 */
#include "sql/pg/catalog.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/hash.h"
#include "sql/pg/function.h"
#include "sql/pg/lex.h"
#include "sql/pg/session.h"
#include "sql/pg/type.h"
#include "sql/policy.h"

#define CATALOG_EQUALITIES 8 /* of one scan that are passed on */

extern const char pg_catalog_sql[];

__asm__(".section .rodata, \"a\", @progbits\n"
        ".global pg_catalog_sql\n"
        ".hidden pg_catalog_sql\n"
        "pg_catalog_sql:\n"
        ".incbin \"src/sql/pg/catalog.sql\"\n"
        ".byte 0\n"
        ".previous\n");

struct window {
    sqlite3_vtab base;
    struct pg_catalog *catalog;
    int n;   /* columns, the hidden ones not counted */
    int oid; /* tableoid */
    char name[64];
};

struct window_cursor {
    sqlite3_vtab_cursor base;
    sqlite3_stmt *stmt; /* on mem */
    char *columns;      /* the idxStr that it was prepared for */
    bool end;
};

/* ---- the database in memory ---- */

static int open_memory(struct pg_catalog *c)
{
    const char *name, *value;
    char *sql;
    int rc =
        sqlite3_open_v2(":memory:", &c->mem, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    if (rc == SQLITE_OK)
        rc = pg_functions_open(c->mem, 0);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->mem, "BEGIN", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->mem, pg_catalog_sql, NULL, NULL, NULL);
    for (unsigned i = 0; rc == SQLITE_OK && pg_session_default(i, &name, &value); i++) {
        sql = sqlite3_mprintf("INSERT INTO pg_setting_names VALUES (%Q)", name);
        rc = sql ? sqlite3_exec(c->mem, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
        sqlite3_free(sql);
    }
    for (size_t i = 0; rc == SQLITE_OK && pg_type_nth(i); i++) {
        const struct pg_type *t = pg_type_nth(i);
        sql = sqlite3_mprintf("INSERT INTO type VALUES (%u, %Q, %d, '%c', 0, %u, 0)", t->oid,
                              t->name, t->len, t->category, t->array_oid);
        if (sql && t->array_oid) {
            char *both =
                sqlite3_mprintf("%s; INSERT INTO type VALUES (%u, '_%q', -1, 'A', %u, 0, 750)", sql,
                                t->array_oid, t->name, t->oid);
            sqlite3_free(sql);
            sql = both;
        }
        rc = sql ? sqlite3_exec(c->mem, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
        sqlite3_free(sql);
    }
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->mem,
                          "INSERT INTO proc VALUES (750, 'array_in', 3, 2277, 'f'),"
                          "(89, 'version', 0, 25, 'f'), (2147, 'count', 1, 20, 'a'); COMMIT",
                          NULL, NULL, NULL);
    if (rc != SQLITE_OK) {
        sqlite3_close(c->mem);
        c->mem = NULL;
    }
    c->schema_version = -1;
    return rc;
}

/* A number that changes with the schema. The schema's version alone would not do: after a rollback
 * it is given once more, to another schema. */
static int read_schema_version(struct pg_catalog *c, int64_t *out)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->main,
                                "SELECT schema_version * 1000003 + (SELECT count(*) * 1009 + "
                                "total(rowid) * 31 + total(length(sql)) + total(rootpage) * 7 "
                                "FROM main.sqlite_schema) FROM pragma_schema_version",
                                -1, &s, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        *out = sqlite3_column_int64(s, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(s);
    return rc;
}

int pg_catalog_refresh(struct pg_catalog *c)
{
    int64_t version = 0;
    int rc = c->mem ? SQLITE_OK : open_memory(c);

    if (rc != SQLITE_OK)
        return rc;
    if (c->policy)
        policy_trust(c->policy, true);
    rc = read_schema_version(c, &version);
    if (rc == SQLITE_OK && version != c->schema_version) {
        c->schema_version = -1;
        rc = pg_catalog_fill(c);
        if (rc == SQLITE_OK)
            c->schema_version = version;
    }
    if (c->policy)
        policy_trust(c->policy, false);
    return rc;
}

static void unref(void *p)
{
    struct pg_catalog *c = p;

    if (--c->refs > 0)
        return;
    sqlite3_close(c->mem);
    free(c);
}

/* ---- the windows ---- */

/* Columns that every row has and SELECT * does not show: tableoid is compared with the classoid of
 * descriptions, by the OIDs that PostgreSQL gives its catalogs. */
static const char hidden[] = ", tableoid INTEGER HIDDEN, xmin INTEGER HIDDEN, ctid TEXT HIDDEN)";

static const struct {
    const char *name;
    int oid;
} class_oids[] = {
    {"pg_type", 1247},          {"pg_attribute", 1249},      {"pg_proc", 1255},
    {"pg_class", 1259},         {"pg_authid", 1260},         {"pg_database", 1262},
    {"pg_tablespace", 1213},    {"pg_foreign_server", 1417}, {"pg_am", 2601},
    {"pg_aggregate", 2600},     {"pg_cast", 2605},           {"pg_constraint", 2606},
    {"pg_conversion", 2607},    {"pg_index", 2610},          {"pg_attrdef", 2604},
    {"pg_language", 2612},      {"pg_namespace", 2615},      {"pg_opclass", 2616},
    {"pg_operator", 2617},      {"pg_rewrite", 2618},        {"pg_trigger", 2620},
    {"pg_opfamily", 2753},      {"pg_extension", 3079},      {"pg_policy", 3256},
    {"pg_statistic_ext", 3381}, {"pg_collation", 3456},      {"pg_event_trigger", 3466},
    {"pg_publication", 6104},   {"pg_subscription", 6100}};

int pg_catalog_class_oid(const char *name)
{
    for (size_t i = 0; i < sizeof class_oids / sizeof class_oids[0]; i++)
        if (strcasecmp(class_oids[i].name, name) == 0)
            return class_oids[i].oid;
    return 0;
}

bool pg_catalog_is_boolean(const char *name)
{
    char entry[96];

    return (size_t)snprintf(entry, sizeof entry, "('%s', 'BOOLEAN')", name) < sizeof entry &&
           strstr(pg_catalog_sql, entry) != NULL;
}

bool pg_catalog_has(const char *name)
{
    char entry[2][96];

    return strncmp(name, "pg_", 3) == 0 &&
           (size_t)snprintf(entry[0], sizeof entry[0], "\nCREATE TABLE %s(", name) <
               sizeof entry[0] &&
           (size_t)snprintf(entry[1], sizeof entry[1], "\nCREATE VIEW %s AS", name) <
               sizeof entry[1] &&
           (strstr(pg_catalog_sql, entry[0]) || strstr(pg_catalog_sql, entry[1]));
}

/* The columns as CREATE TABLE says them: those of mem's table of that name. What clients get as
 * INT4 they read as a number, where an INT8 may become a text. *n of them, and
 * the hidden ones. */
static char *declaration(struct pg_catalog *c, const char *name, int *n)
{
    sqlite3_stmt *s = NULL;
    char *text = NULL;

    if (sqlite3_prepare_v2(
            c->mem,
            "SELECT 'CREATE TABLE x(' || group_concat('\"' || i.name || '\" ' || coalesce(t.type, "
            /* what table_info says of an expression is BLOB; no catalog holds blobs */
            "CASE WHEN i.type IN ('INT', 'INTEGER') THEN 'INT4' WHEN i.type = 'BLOB' THEN '' "
            "ELSE i.type END), ', ') || ?2, count(*) FROM pragma_table_info(?1) i "
            "LEFT JOIN column_types t ON t.name = i.name",
            -1, &s, NULL) == SQLITE_OK &&
        sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_bind_text(s, 2, hidden, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL) {
        text = sqlite3_mprintf("%s", sqlite3_column_text(s, 0));
        *n = sqlite3_column_int(s, 1);
    }
    sqlite3_finalize(s);
    return text;
}

static int on_connect(sqlite3 *db, void *app, int argc, const char *const *argv, sqlite3_vtab **out,
                      char **why)
{
    struct pg_catalog *c = app;
    struct window *w;
    char *sql;
    int n = 0, rc = c->mem ? SQLITE_OK : open_memory(c);

    (void)argc;
    if (rc != SQLITE_OK) {
        *why = sqlite3_mprintf("the catalogs cannot be made: %s", sqlite3_errstr(rc));
        return rc;
    }
    sql = declaration(c, argv[0], &n);
    rc = sql ? sqlite3_declare_vtab(db, sql) : SQLITE_NOMEM;
    sqlite3_free(sql);
    if (rc != SQLITE_OK)
        return rc;
    w = sqlite3_malloc(sizeof *w);
    if (!w)
        return SQLITE_NOMEM;
    *w = (struct window){.catalog = c, .n = n, .oid = pg_catalog_class_oid(argv[0])};
    snprintf(w->name, sizeof w->name, "%s", argv[0]);
    sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    *out = &w->base;
    return SQLITE_OK;
}

static int on_disconnect(sqlite3_vtab *t)
{
    sqlite3_free(t);
    return SQLITE_OK;
}

static int on_open(sqlite3_vtab *t, sqlite3_vtab_cursor **out)
{
    struct window_cursor *c;
    struct pg_catalog *catalog = ((struct window *)t)->catalog;
    int rc = pg_catalog_refresh(catalog);

    if (rc != SQLITE_OK) {
        sqlite3_free(t->zErrMsg);
        t->zErrMsg = sqlite3_mprintf("the catalogs cannot be read: %s; %s", sqlite3_errstr(rc),
                                     catalog->mem ? sqlite3_errmsg(catalog->mem) : "no memory");
        return rc;
    }
    c = sqlite3_malloc(sizeof *c);
    if (!c)
        return SQLITE_NOMEM;
    *c = (struct window_cursor){.end = true};
    *out = &c->base;
    return SQLITE_OK;
}

static int on_close(sqlite3_vtab_cursor *base)
{
    struct window_cursor *c = (struct window_cursor *)base;

    sqlite3_finalize(c->stmt);
    sqlite3_free(c->columns);
    sqlite3_free(c);
    return SQLITE_OK;
}

/* idxStr: the columns' numbers, "0 4", in the order of the arguments. */
static int on_best_index(sqlite3_vtab *t, sqlite3_index_info *x)
{
    struct buf b = BUF_INIT;
    bool key = false;
    int n = 0;

    for (int i = 0; i < x->nConstraint && n < CATALOG_EQUALITIES; i++) {
        if (x->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ || !x->aConstraint[i].usable ||
            x->aConstraint[i].iColumn < 0 || x->aConstraint[i].iColumn >= ((struct window *)t)->n ||
            sqlite3_stricmp(sqlite3_vtab_collation(x, i), "BINARY") != 0)
            continue;
        x->aConstraintUsage[i].argvIndex = ++n;
        buf_printf(&b, "%d ", x->aConstraint[i].iColumn);
        key = key || x->aConstraint[i].iColumn == 0; /* the OID, in most of them */
    }
    x->estimatedRows = n == 0 ? 1000 : key ? (n > 1 ? 1 : 4) : 200 / n;
    x->estimatedCost = n == 0 ? 100000 : key ? 5 : 5000.0 / n;
    if (n) {
        x->idxStr = sqlite3_mprintf("%s", buf_cstr(&b));
        x->needToFreeIdxStr = 1;
    }
    buf_free(&b);
    return n && !x->idxStr ? SQLITE_NOMEM : SQLITE_OK;
}

static int prepare(struct window_cursor *c, const struct window *w, const char *columns)
{
    struct buf b = BUF_INIT;
    sqlite3_stmt *names = NULL;
    const char *p = columns;
    int rc, n = 0;

    rc = sqlite3_prepare_v2(
        w->catalog->mem, "SELECT name FROM pragma_table_info(?1) WHERE cid = ?2", -1, &names, NULL);
    buf_printf(&b, "SELECT * FROM \"%s\"", w->name);
    while (rc == SQLITE_OK && *p) {
        char *end;
        long cid = strtol(p, &end, 10);
        if (end == p)
            break;
        p = end + (*end == ' ');
        sqlite3_bind_text(names, 1, w->name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(names, 2, cid);
        if (sqlite3_step(names) == SQLITE_ROW)
            buf_printf(&b, " %s \"%s\" = ?%d", n ? "AND" : "WHERE",
                       (const char *)sqlite3_column_text(names, 0), n + 1);
        n++;
        sqlite3_reset(names);
    }
    sqlite3_finalize(names);
    sqlite3_finalize(c->stmt);
    c->stmt = NULL;
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(w->catalog->mem, buf_cstr(&b), -1, &c->stmt, NULL);
    buf_free(&b);
    sqlite3_free(c->columns);
    c->columns = sqlite3_mprintf("%s", columns);
    return rc;
}

static int step(struct window_cursor *c)
{
    int rc = sqlite3_step(c->stmt);

    c->end = rc != SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return SQLITE_OK;
    return rc;
}

static int on_filter(sqlite3_vtab_cursor *base, int idx, const char *columns, int n,
                     sqlite3_value **v)
{
    struct window_cursor *c = (struct window_cursor *)base;
    struct window *w = (struct window *)base->pVtab;
    int rc = SQLITE_OK;

    (void)idx;
    columns = columns ? columns : "";
    if (c->stmt)
        sqlite3_reset(c->stmt);
    if (!c->stmt || !c->columns || strcmp(c->columns, columns) != 0)
        rc = prepare(c, w, columns);
    for (int i = 0; rc == SQLITE_OK && i < n; i++)
        rc = sqlite3_bind_value(c->stmt, i + 1, v[i]);
    c->end = true;
    if (rc == SQLITE_OK)
        rc = step(c);
    if (rc != SQLITE_OK) {
        sqlite3_free(w->base.zErrMsg);
        w->base.zErrMsg = sqlite3_mprintf("%s: %s", w->name, sqlite3_errmsg(w->catalog->mem));
    }
    return rc;
}

static int on_next(sqlite3_vtab_cursor *base)
{
    return step((struct window_cursor *)base);
}

static int on_eof(sqlite3_vtab_cursor *base)
{
    return ((struct window_cursor *)base)->end;
}

static int on_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int i)
{
    struct window_cursor *c = (struct window_cursor *)base;
    const struct window *w = (struct window *)base->pVtab;

    if (i < w->n)
        sqlite3_result_value(ctx, sqlite3_column_value(c->stmt, i));
    else if (i == w->n)
        sqlite3_result_int(ctx, w->oid);
    else if (i == w->n + 1)
        sqlite3_result_int(ctx, 1);
    return SQLITE_OK;
}

/* SQLite asks for it where several scans of one table find rows (OR), to know which it has had: it
 * must be the row's own, whatever the scan. */
static int on_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *out)
{
    sqlite3_stmt *s = ((struct window_cursor *)base)->stmt;
    uint64_t h = HASH_BEGIN;

    for (int i = 0; i < sqlite3_column_count(s); i++) {
        const void *p = sqlite3_column_blob(s, i);
        h = hash_part(h, p, (size_t)sqlite3_column_bytes(s, i));
    }
    *out = (sqlite3_int64)h;
    return SQLITE_OK;
}

/* ---- registration ---- */

static const sqlite3_module window_module = {.xConnect = on_connect,
                                             .xBestIndex = on_best_index,
                                             .xDisconnect = on_disconnect,
                                             .xOpen = on_open,
                                             .xClose = on_close,
                                             .xFilter = on_filter,
                                             .xNext = on_next,
                                             .xEof = on_eof,
                                             .xColumn = on_column,
                                             .xRowid = on_rowid};

/* The names behind CREATE TABLE and CREATE VIEW that clients may see. */
static int register_windows(struct pg_catalog *c)
{
    const char *p = pg_catalog_sql;
    int rc = SQLITE_OK;

    while (rc == SQLITE_OK && (p = strstr(p, "\nCREATE ")) != NULL) {
        char name[64];
        size_t n;

        p += sizeof "\nCREATE " - 1;
        if (strncmp(p, "TABLE ", 6) != 0 && strncmp(p, "VIEW ", 5) != 0)
            continue;
        p = strchr(p, ' ') + 1;
        n = strcspn(p, " (");
        if (n >= sizeof name ||
            (strncmp(p, "pg_", 3) != 0 && strncmp(p, "information_schema_", 19) != 0))
            continue;
        memcpy(name, p, n);
        name[n] = '\0';
        c->refs++;
        rc = sqlite3_create_module_v2(c->main, name, &window_module, c, unref);
    }
    return rc;
}

int pg_catalog_open(sqlite3 *db, struct policy *policy)
{
    struct pg_catalog *c = calloc(1, sizeof *c);
    int rc;

    if (!c)
        return SQLITE_NOMEM;
    *c = (struct pg_catalog){.main = db, .policy = policy, .schema_version = -1, .refs = 1};
    rc = pg_functions_open(db, SQLITE_DIRECTONLY);
    if (rc == SQLITE_OK)
        rc = pg_catalog_functions(c);
    if (rc == SQLITE_OK)
        rc = pg_catalog_sizes(c);
    if (rc == SQLITE_OK)
        rc = register_windows(c);
    unref(c);
    return rc;
}
