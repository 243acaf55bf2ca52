/*
 *   CREATE [UNIQUE] INDEX [IF NOT EXISTS] [schema.]name ON table …
 *   CREATE [TEMP] TABLE | VIEW [IF NOT EXISTS] [schema.]name [AS select | …]
 *   CREATE [TEMP] TRIGGER [IF NOT EXISTS] [schema.]name … ON [schema.]table …
 *   CREATE VIRTUAL TABLE [IF NOT EXISTS] [schema.]name USING …
 *   DROP TABLE | VIEW | INDEX | TRIGGER [IF EXISTS] [schema.]name
 *   ALTER TABLE [schema.]name [RENAME TO name | …]
 *   ALTER INDEX [IF EXISTS] [schema.]name RENAME TO name
 *   ALTER TYPE [schema.]name ADD VALUE … | RENAME TO name
 *   ANALYZE | REINDEX [[schema.]name]
 *   PRAGMA [schema.]name …
 */
#include "sql/ddl_text.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "sql/lex.h"

#define DDL_NAMES 4 /* schema, name, table, rename */

struct reader {
    const char *at, *end;
    struct lex_token t; /* the current token */
    char *free;         /* room for the next string */
};

static void step(struct reader *r)
{
    lex_next(&r->at, r->end, &r->t);
}

static bool skip(struct reader *r, const char *keyword)
{
    if (!lex_is(&r->t, keyword))
        return false;
    step(r);
    return true;
}

static bool is_punct(const struct reader *r, char c)
{
    return r->t.type == LEX_TOKEN_PUNCT && r->t.text[0] == c;
}

static bool is_name(const struct reader *r)
{
    return r->t.type == LEX_TOKEN_WORD || r->t.type == LEX_TOKEN_QUOTED ||
           r->t.type == LEX_TOKEN_STRING;
}

static const char *read_name(struct reader *r)
{
    char *name = r->free;

    if (!is_name(r))
        return "";
    r->free += lex_unquote(&r->t, name) + 1;
    step(r);
    return name;
}

/* [schema.]name */
static const char *read_full_name(struct reader *r, const char **schema)
{
    const char *name = read_name(r);

    if (!is_punct(r, '.'))
        return name;
    step(r);
    *schema = name;
    return read_name(r);
}

static void skip_if_exists(struct reader *r, struct stmt_ddl *d)
{
    if (!skip(r, "IF"))
        return;
    skip(r, "NOT");
    skip(r, "EXISTS");
    d->if_exists = true;
}

/* The table of an index or a trigger: behind the first ON. The words before it cannot be ON unless
 * they are quoted, because SQLite takes ON for a keyword everywhere. */
static const char *read_on_table(struct reader *r)
{
    const char *schema = "";

    while (r->t.type != LEX_TOKEN_END && !lex_is(&r->t, "ON"))
        step(r);
    step(r);
    return read_full_name(r, &schema);
}

static void read_create(struct reader *r, struct ddl_text *x)
{
    struct stmt_ddl *d = &x->ddl;
    bool with_table = false;

    skip(r, "UNIQUE");
    if (skip(r, "TEMP") || skip(r, "TEMPORARY"))
        x->temp = true;
    d->kind = DDL_CREATE_OTHER;
    if (skip(r, "VIRTUAL")) {
        skip(r, "TABLE");
        d->kind = DDL_CREATE_VTABLE;
    } else if (skip(r, "TABLE")) {
        d->kind = DDL_CREATE_TABLE;
    } else {
        with_table = !lex_is(&r->t, "VIEW");
        step(r);
    }
    skip_if_exists(r, d);
    d->name = read_full_name(r, &d->schema);
    if (d->kind == DDL_CREATE_TABLE)
        d->has_select = lex_is(&r->t, "AS");
    if (with_table)
        d->table = read_on_table(r);
}

static void read_drop(struct reader *r, struct stmt_ddl *d)
{
    d->kind = lex_is(&r->t, "TABLE") ? DDL_DROP_TABLE : DDL_DROP_OTHER;
    step(r);
    skip_if_exists(r, d);
    d->name = read_full_name(r, &d->schema);
}

static void read_alter(struct reader *r, struct stmt_ddl *d)
{
    d->kind = DDL_ALTER;
    if (!skip(r, "INDEX") && !skip(r, "TABLE"))
        skip(r, "TYPE");
    skip_if_exists(r, d);
    d->name = read_full_name(r, &d->schema);
    if (skip(r, "RENAME") && skip(r, "TO"))
        d->rename = read_name(r);
}

bool ddl_text_read(struct ddl_text *x, const char *sql, size_t len)
{
    struct reader r = {.at = sql, .end = sql + len};
    struct stmt_ddl *d = &x->ddl;

    *x = (struct ddl_text){.ddl = {DDL_NONE, false, false, "", "", "", ""}};
    /* The names are disjoint pieces of the text. */
    x->mem = malloc(len + DDL_NAMES + 1);
    if (!x->mem)
        return false;
    r.free = x->mem;
    step(&r);
    if (skip(&r, "CREATE")) {
        read_create(&r, x);
    } else if (skip(&r, "DROP")) {
        read_drop(&r, d);
    } else if (skip(&r, "ALTER")) {
        read_alter(&r, d);
    } else if (skip(&r, "ANALYZE")) {
        d->kind = DDL_ANALYZE;
        d->name = read_full_name(&r, &d->schema);
    } else if (skip(&r, "REINDEX")) {
        d->kind = DDL_REINDEX;
        d->name = read_full_name(&r, &d->schema);
    } else if (skip(&r, "PRAGMA")) {
        d->kind = DDL_PRAGMA;
        d->name = read_full_name(&r, &d->schema);
    }
    if (sqlite3_stricmp(d->schema, "temp") == 0)
        x->temp = true;
    return true;
}

void ddl_text_free(struct ddl_text *x)
{
    free(x->mem);
    x->mem = NULL;
}
