/*
 * Reads the schema of the connection through SQLite's pragmas and writes it into the base tables of
 * the catalogs' database (pg/catalog.sql says what they are).
 */
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "sql/pg/catalog.h"
#include "sql/pg/lex.h"
#include "sql/pg/type.h"
#include "sql/policy.h"
#include "sql/quote.h"
#include "sql/table_text.h"

#define OID_FIRST 16385 /* what PostgreSQL gives to users' objects, too */

struct fill {
    struct pg_catalog *c;
    int rc;              /* sticky */
    struct arena *arena; /* of one table's text */
};

/* ---- plumbing ---- */

uint32_t pg_catalog_oid(const char *kind, const char *name)
{
    uint32_t h = 2166136261u;

    for (const char *p = kind; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    return OID_FIRST + h % 2000000000u;
}

/* Runs sql on mem with arguments bound: i int64_t, t text (may be NULL). */
static void put(struct fill *f, const char *sql, const char *types, ...)
{
    sqlite3_stmt *s = NULL;
    va_list ap;

    if (f->rc != SQLITE_OK)
        return;
    f->rc = sqlite3_prepare_v2(f->c->mem, sql, -1, &s, NULL);
    va_start(ap, types);
    for (int i = 0; f->rc == SQLITE_OK && types[i]; i++)
        f->rc = types[i] == 'i'
                    ? sqlite3_bind_int64(s, i + 1, va_arg(ap, int64_t))
                    : sqlite3_bind_text(s, i + 1, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
    va_end(ap);
    if (f->rc == SQLITE_OK && (f->rc = sqlite3_step(s)) == SQLITE_DONE)
        f->rc = SQLITE_OK;
    sqlite3_finalize(s);
}

/* A query with one name, on main or mem; NULL after a failure. Views that are broken have no
 * columns: what their pragma says then is no failure of ours. */
static sqlite3_stmt *query(struct fill *f, sqlite3 *db, const char *sql, const char *name)
{
    sqlite3_stmt *s = NULL;

    if (f->rc != SQLITE_OK)
        return NULL;
    f->rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    if (f->rc == SQLITE_OK)
        f->rc = sqlite3_bind_text(s, 1, name, -1, SQLITE_TRANSIENT);
    if (f->rc == SQLITE_OK)
        return s;
    sqlite3_finalize(s);
    return NULL;
}

static bool next(sqlite3_stmt *s)
{
    return s && sqlite3_step(s) == SQLITE_ROW;
}

static const char *text(sqlite3_stmt *s, int i)
{
    const char *t = (const char *)sqlite3_column_text(s, i);

    return t ? t : "";
}

static int64_t lookup(struct fill *f, const char *sql, const char *name)
{
    sqlite3_stmt *s = query(f, f->c->mem, sql, name);
    int64_t v = next(s) ? sqlite3_column_int64(s, 0) : 0;

    sqlite3_finalize(s);
    return v;
}

/* An OID that nothing has yet; names are looked at in their order, so it is the same everywhere. */
static int64_t new_oid(struct fill *f, const char *kind, const char *name)
{
    int64_t oid = pg_catalog_oid(kind, name);
    char number[24];

    for (;; oid++) {
        snprintf(number, sizeof number, "%lld", (long long)oid);
        if (!lookup(f, "SELECT 1 FROM rel WHERE oid = ?1 UNION SELECT 1 FROM con WHERE oid = ?1",
                    number))
            return oid;
    }
}

static void put_ident(struct buf *b, const char *name)
{
    bool plain = *name != '\0';

    for (const char *p = name; *p; p++)
        plain = plain &&
                ((*p >= 'a' && *p <= 'z') || *p == '_' || (p > name && *p >= '0' && *p <= '9'));
    if (plain)
        buf_puts(b, name);
    else
        quote_put_name(b, name);
}

/* What the table's text says; nothing where it cannot be read. */
static void read_table(struct fill *f, const char *sql, struct table_text *t)
{
    if (!table_text_read(t, f->arena, sql, strlen(sql)))
        *t = (struct table_text){.sql = ""};
}

/* The name of the table's constraint of this kind that has these columns, "_a_b", made up where
 * none is written. sqlite3_free() it. */
static char *constraint_name(struct fill *f, const char *table, enum text_constraint_kind kind,
                             const char *names, const char *suffix)
{
    sqlite3_stmt *s =
        query(f, f->c->mem, "SELECT sql FROM rel WHERE name = ?1 AND kind = 'r'", table);
    struct table_text t;
    char *found = NULL;

    if (next(s)) {
        read_table(f, text(s, 0), &t);
        for (size_t i = 0; i < t.n_constraints && !found; i++) {
            const struct text_constraint *c = &t.constraints[i];
            struct buf b = BUF_INIT;
            for (size_t k = 0; k < c->n_columns; k++)
                buf_printf(&b, "_%s", c->columns[k]);
            if (c->kind == kind && strcasecmp(buf_cstr(&b), names) == 0)
                found = sqlite3_mprintf("%s", table_text_constraint_name(&t, f->arena, table, i));
            buf_free(&b);
        }
        arena_reset(f->arena);
    }
    sqlite3_finalize(s);
    return found ? found
                 : sqlite3_mprintf("%s%s%s", table, kind == TEXT_PRIMARY_KEY ? "" : names, suffix);
}

/* ---- columns ---- */

/* "TEXT mood": the OID of the enumerated type, see pg/enum.c; 0 = it is none. */
static int64_t users_type(struct fill *f, const char *declared)
{
    size_t n = strlen(declared);
    struct pg_lexer x;
    struct pg_token t;
    char *name;
    int64_t oid;

    if (n <= 5 || strncasecmp(declared, "TEXT ", 5) != 0)
        return 0;
    pg_lex_init(&x, declared + 5, n - 5);
    name = pg_lex_next(&x, &t) ? malloc(t.len + 1) : NULL;
    if (!name)
        return 0;
    name[pg_lex_value(&t, name)] = '\0';
    oid = lookup(f, "SELECT oid FROM type WHERE name = ?1 COLLATE NOCASE AND category = 'E'", name);
    free(name);
    return oid;
}

static void columns(struct fill *f, const char *table, int64_t relid, bool rowid_table,
                    const struct table_text *t4)
{
    sqlite3_stmt *s = query(f, f->c->main, "SELECT * FROM pragma_table_xinfo(?1)", table);
    int64_t keys = 0;
    sqlite3_stmt *count =
        query(f, f->c->main, "SELECT count(*) FROM pragma_table_info(?1) WHERE pk > 0", table);

    if (next(count))
        keys = sqlite3_column_int64(count, 0);
    sqlite3_finalize(count);
    while (next(s)) {
        int32_t modifier;
        const struct pg_type *t = pg_type_declared(text(s, 2), &modifier);
        int64_t users = t->oid == PG_OID_TEXT ? users_type(f, text(s, 2)) : 0;
        int hidden = sqlite3_column_int(s, 6), pk = sqlite3_column_int(s, 5);
        bool alias = rowid_table && pk == 1 && keys == 1 && strcasecmp(text(s, 2), "integer") == 0;
        struct buf dflt = BUF_INIT;

        if (alias && table_text_is_int4(t4, table_text_column(t4, text(s, 1))))
            t = pg_type_by_oid(PG_OID_INT4);
        if (hidden == 1)
            continue;
        if (alias)
            buf_printf(&dflt, "nextval('%s_%s_seq'::regclass)", table, text(s, 1));
        else
            buf_puts(&dflt, pg_shown_default(text(s, 4)));
        put(f, "INSERT INTO col VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", "iitiiitti", relid,
            (int64_t)sqlite3_column_int(s, 0) + 1, text(s, 1), users ? users : (int64_t)t->oid,
            (int64_t)modifier, (int64_t)(sqlite3_column_int(s, 3) || pk),
            dflt.len ? buf_cstr(&dflt) : NULL, hidden == 2 || hidden == 3 ? "s" : "",
            (int64_t)(alias ? -pk : pk));
        buf_free(&dflt);
    }
    sqlite3_finalize(s);
}

/* ---- indexes ---- */

/* The members of the parenthesis behind the first `word`'s …(…): expressions of CREATE INDEX. */
static bool nth_member(const char *sql, int n, struct buf *out)
{
    struct pg_lexer x;
    struct pg_token t;
    size_t depth = 0;
    const char *from = NULL;

    pg_lex_init(&x, sql, strlen(sql));
    while (pg_lex_next(&x, &t)) {
        bool close = pg_lex_is_op(&t, ")"), comma = pg_lex_is_op(&t, ",");
        if (depth == 1 && (close || comma)) {
            if (n-- == 0 && from) {
                buf_put(out, from, (size_t)(t.text - from));
                return true;
            }
            from = NULL;
            if (close)
                return false;
        } else if (depth >= 1 && !from) {
            from = t.text;
        }
        depth += pg_lex_is_op(&t, "(");
        depth -= close && depth > 0;
    }
    return false;
}

static void index_predicate(const char *sql, struct buf *out)
{
    struct pg_lexer x;
    struct pg_token t;
    size_t depth = 0;

    pg_lex_init(&x, sql, strlen(sql));
    while (pg_lex_next(&x, &t)) {
        depth += pg_lex_is_op(&t, "(");
        depth -= pg_lex_is_op(&t, ")") && depth > 0;
        if (depth == 0 && pg_lex_is(&t, "WHERE")) {
            buf_put(out, x.at, (size_t)(x.end - x.at));
            return;
        }
    }
}

struct index {
    const char *table;
    int64_t relid;
    const char *name, *sql; /* sql: NULL where SQLite made it by itself */
    const char *origin;     /* c, u, pk */
    bool unique;
};

/* What the catalogs say of an index's columns. */
struct index_text {
    struct buf keys, opts; /* int2vectors: numbers of columns, how each is sorted */
    struct buf list;       /* as SQL */
    struct buf names;      /* each with _ before it */
    struct buf predicate;  /* as SQL; empty = none */
};

static void index_text_free(struct index_text *t)
{
    buf_free(&t->keys);
    buf_free(&t->opts);
    buf_free(&t->list);
    buf_free(&t->names);
    buf_free(&t->predicate);
}

/* Into idxcol, and *t. */
static void index_columns(struct fill *f, const struct index *x, int64_t oid, struct index_text *t)
{
    sqlite3_stmt *s =
        query(f, f->c->main, "SELECT seqno, cid, name, desc FROM pragma_index_xinfo(?1) WHERE key",
              x->name);

    while (next(s)) {
        struct buf def = BUF_INIT;
        int cid = sqlite3_column_int(s, 1), n = sqlite3_column_int(s, 0);
        bool desc = sqlite3_column_int(s, 3);

        if (cid >= 0)
            put_ident(&def, text(s, 2));
        else if (!x->sql || !nth_member(x->sql, n, &def))
            buf_puts(&def, "rowid");
        buf_printf(&t->keys, "%s%d", t->keys.len ? " " : "", cid >= 0 ? cid + 1 : 0);
        buf_printf(&t->opts, "%s%d", t->opts.len ? " " : "", desc ? 3 : 0);
        buf_printf(&t->list, "%s%s%s", t->list.len ? ", " : "", buf_cstr(&def),
                   desc && cid >= 0 ? " DESC" : "");
        buf_printf(&t->names, "_%s", cid >= 0 ? text(s, 2) : "expr");
        put(f, "INSERT INTO idxcol VALUES (?1, ?2, ?3, ?4)", "iiit", oid, (int64_t)n + 1,
            (int64_t)(cid >= 0 ? cid + 1 : 0), buf_cstr(&def));
        buf_free(&def);
    }
    sqlite3_finalize(s);
}

/* "1 2" as '{1,2}'. */
static char *as_array(struct buf *keys)
{
    char *a = sqlite3_mprintf("{%s}", buf_cstr(keys));

    for (char *p = a; p && *p; p++)
        if (*p == ' ')
            *p = ',';
    return a;
}

static void write_index(struct fill *f, const struct index *x, int64_t oid, const char *name,
                        struct index_text *t)
{
    struct buf def = BUF_INIT, con = BUF_INIT;
    bool pk = strcmp(x->origin, "pk") == 0;
    char *array = as_array(&t->keys);
    const char *predicate = t->predicate.len ? buf_cstr(&t->predicate) : NULL;

    buf_printf(&def, "CREATE %sINDEX ", x->unique ? "UNIQUE " : "");
    put_ident(&def, name);
    buf_puts(&def, " ON public.");
    put_ident(&def, x->table);
    buf_printf(&def, " USING btree (%s)", buf_cstr(&t->list));
    if (predicate)
        buf_printf(&def, " WHERE (%s)", predicate);
    put(f,
        "INSERT INTO rel VALUES (?1, ?2, 'i', ?3, (SELECT count(*) FROM idxcol WHERE idxid = ?1), "
        "0, 0)",
        "itt", oid, name, x->sql);
    put(f, "INSERT INTO idx VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", "iiiittttt", oid,
        x->relid, (int64_t)x->unique, (int64_t)pk, buf_cstr(&def), predicate, buf_cstr(&t->keys),
        buf_cstr(&t->opts), x->name);
    if (strcmp(x->origin, "c") != 0) {
        buf_printf(&con, "%s (%s)", pk ? "PRIMARY KEY" : "UNIQUE", buf_cstr(&t->list));
        put(f, "INSERT INTO con VALUES (?1, ?2, ?3, ?4, ?5, 0, ' ', ' ', ?6, NULL, ?7)",
            "ititit"
            "t",
            new_oid(f, "con", name), name, x->relid, pk ? "p" : "u", oid, array, buf_cstr(&con));
    }
    sqlite3_free(array);
    buf_free(&def);
    buf_free(&con);
}

static void one_index(struct fill *f, const struct index *x)
{
    struct index_text t = {.keys = BUF_INIT};
    int64_t oid = new_oid(f, "index", x->name);
    char *name;

    index_columns(f, x, oid, &t);
    if (x->sql)
        index_predicate(x->sql, &t.predicate);
    if (strcmp(x->origin, "pk") == 0)
        name = constraint_name(f, x->table, TEXT_PRIMARY_KEY, buf_cstr(&t.names), "_pkey");
    else if (strcmp(x->origin, "u") == 0)
        name = constraint_name(f, x->table, TEXT_UNIQUE, buf_cstr(&t.names), "_key");
    else
        name = sqlite3_mprintf("%s", x->name);
    if (name)
        write_index(f, x, oid, name, &t);
    sqlite3_free(name);
    index_text_free(&t);
}

/* INTEGER PRIMARY KEY has no index of its own; to clients it has. */
static void rowid_key(struct fill *f, const char *table, int64_t relid)
{
    sqlite3_stmt *s = query(f, f->c->mem,
                            "SELECT num, c.name FROM col c JOIN rel r ON r.oid = c.relid "
                            "WHERE r.name = ?1 AND r.kind = 'r' AND pk < 0",
                            table);
    struct index x = {table, relid, NULL, NULL, "pk", true};
    struct index_text t = {.keys = BUF_INIT};
    char *name = NULL;
    int64_t oid;

    if (next(s)) {
        char *column = sqlite3_mprintf("_%s", text(s, 1));
        name = constraint_name(f, table, TEXT_PRIMARY_KEY, column ? column : "", "_pkey");
        sqlite3_free(column);
    }
    if (name) {
        oid = new_oid(f, "index", name);
        buf_printf(&t.keys, "%d", sqlite3_column_int(s, 0));
        buf_puts(&t.opts, "0");
        put_ident(&t.list, text(s, 1));
        put(f, "INSERT INTO idxcol VALUES (?1, 1, ?2, ?3)", "iit", oid, sqlite3_column_int64(s, 0),
            buf_cstr(&t.list));
        write_index(f, &x, oid, name, &t);
    }
    sqlite3_finalize(s);
    sqlite3_free(name);
    index_text_free(&t);
}

static void indexes(struct fill *f, const char *table, int64_t relid)
{
    sqlite3_stmt *s =
        query(f, f->c->main,
              "SELECT l.name, l.\"unique\", l.origin, s.sql FROM pragma_index_list(?1) l "
              "LEFT JOIN main.sqlite_schema s ON s.name = l.name AND s.type = 'index' "
              "ORDER BY l.name",
              table);

    rowid_key(f, table, relid);
    while (next(s)) {
        struct index x = {table,      relid,
                          text(s, 0), sqlite3_column_type(s, 3) == SQLITE_NULL ? NULL : text(s, 3),
                          text(s, 2), sqlite3_column_int(s, 1) != 0};
        one_index(f, &x);
    }
    sqlite3_finalize(s);
}

/* ---- foreign keys and checks ---- */

static const char *action(const char *s)
{
    return strcmp(s, "CASCADE") == 0       ? "c"
           : strcmp(s, "SET NULL") == 0    ? "n"
           : strcmp(s, "SET DEFAULT") == 0 ? "d"
           : strcmp(s, "RESTRICT") == 0    ? "r"
                                           : "a";
}

/* One foreign key while its columns are read. */
struct foreign {
    struct buf keys, fkeys, list, flist, names;
    char *parent, *upd, *del;
};

static void write_foreign(struct fill *f, struct foreign *k, const char *table, int64_t relid)
{
    struct buf def = BUF_INIT;
    char *name;
    int64_t parent;

    if (k->keys.len == 0 || !k->parent || !k->upd || !k->del)
        return;
    parent =
        lookup(f, "SELECT oid FROM rel WHERE name = ?1 COLLATE NOCASE AND kind = 'r'", k->parent);
    name = constraint_name(f, table, TEXT_FOREIGN_KEY, buf_cstr(&k->names), "_fkey");
    buf_printf(&def, "FOREIGN KEY (%s) REFERENCES ", buf_cstr(&k->list));
    put_ident(&def, k->parent);
    buf_printf(&def, "(%s)", buf_cstr(&k->flist));
    if (strcmp(k->upd, "NO ACTION") != 0)
        buf_printf(&def, " ON UPDATE %s", k->upd);
    if (strcmp(k->del, "NO ACTION") != 0)
        buf_printf(&def, " ON DELETE %s", k->del);
    buf_puts(&k->keys, "}");
    buf_puts(&k->fkeys, "}");
    if (name && parent)
        put(f,
            "INSERT INTO con VALUES (?1, ?2, ?3, 'f', (SELECT idxid FROM con p WHERE p.relid = ?4 "
            "AND p.keys = ?8 AND p.type IN ('p', 'u')), ?4, ?5, ?6, ?7, ?8, ?9)",
            "itiittttt", new_oid(f, "con", name), name, relid, parent, action(k->upd),
            action(k->del), buf_cstr(&k->keys), buf_cstr(&k->fkeys), buf_cstr(&def));
    sqlite3_free(name);
    buf_free(&def);
}

static void reset_foreign(struct foreign *k)
{
    buf_free(&k->keys);
    buf_free(&k->fkeys);
    buf_free(&k->list);
    buf_free(&k->flist);
    buf_free(&k->names);
    sqlite3_free(k->parent);
    sqlite3_free(k->upd);
    sqlite3_free(k->del);
    *k = (struct foreign){.parent = NULL};
}

static int64_t column_number(struct fill *f, const char *table, const char *column)
{
    sqlite3_stmt *s =
        query(f, f->c->main,
              "SELECT cid + 1 FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE", table);
    int64_t n = 0;

    if (s && sqlite3_bind_text(s, 2, column, -1, SQLITE_TRANSIENT) == SQLITE_OK && next(s))
        n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static void foreign_keys(struct fill *f, const char *table, int64_t relid)
{
    /* Where the parent's columns are not written, they are its key. */
    sqlite3_stmt *s = query(f, f->c->main,
                            "SELECT k.id, k.\"table\", k.\"from\", coalesce(k.\"to\", (SELECT name "
                            "FROM pragma_table_info(k.\"table\") WHERE pk = k.seq + 1)), "
                            "k.on_update, k.on_delete FROM pragma_foreign_key_list(?1) k "
                            "ORDER BY k.id DESC, k.seq",
                            table);
    struct foreign k = {.parent = NULL};
    int id = -1;

    while (next(s)) {
        if (sqlite3_column_int(s, 0) != id) {
            write_foreign(f, &k, table, relid);
            reset_foreign(&k);
            id = sqlite3_column_int(s, 0);
            k.parent = sqlite3_mprintf("%s", text(s, 1));
            k.upd = sqlite3_mprintf("%s", text(s, 4));
            k.del = sqlite3_mprintf("%s", text(s, 5));
        }
        buf_printf(&k.keys, "%s%lld", k.keys.len ? "," : "{",
                   (long long)column_number(f, table, text(s, 2)));
        buf_printf(&k.fkeys, "%s%lld", k.fkeys.len ? "," : "{",
                   (long long)column_number(f, text(s, 1), text(s, 3)));
        buf_puts(&k.list, k.list.len ? ", " : "");
        put_ident(&k.list, text(s, 2));
        buf_puts(&k.flist, k.flist.len ? ", " : "");
        put_ident(&k.flist, text(s, 3));
        buf_printf(&k.names, "_%s", text(s, 2));
    }
    write_foreign(f, &k, table, relid);
    reset_foreign(&k);
    sqlite3_finalize(s);
}

/* CHECK (…) of CREATE TABLE's text, which no pragma tells. */
static void checks(struct fill *f, const char *table, int64_t relid, const char *sql)
{
    struct table_text t;

    read_table(f, sql, &t);
    for (size_t i = 0; i < t.n_constraints; i++) {
        const struct text_constraint *c = &t.constraints[i];
        const char *name = table_text_constraint_name(&t, f->arena, table, i);
        char *def;
        if (c->kind != TEXT_CHECK || !name)
            continue;
        def = sqlite3_mprintf("CHECK %.*s", (int)(c->list.to - c->list.from), sql + c->list.from);
        put(f, "INSERT INTO con VALUES (?1, ?2, ?3, 'c', 0, 0, ' ', ' ', NULL, NULL, ?4)", "itit",
            new_oid(f, "con", name), name, relid, def);
        sqlite3_free(def);
    }
    arena_reset(f->arena);
}

/* ---- tables, views, triggers ---- */

/* The query behind CREATE VIEW … AS. */
static const char *view_query(const char *sql)
{
    struct pg_lexer x;
    struct pg_token t;

    pg_lex_init(&x, sql, strlen(sql));
    while (pg_lex_next(&x, &t))
        if (pg_lex_is(&t, "AS")) {
            while (x.at < x.end && (*x.at == ' ' || *x.at == '\n'))
                x.at++;
            return x.at;
        }
    return sql;
}

#define IS_ENUM "s.sql LIKE 'CREATE VIEW %(enumlabel, enumsortorder) AS VALUES %'"

static void enums(struct fill *f)
{
    sqlite3_stmt *s =
        query(f, f->c->main,
              "SELECT name FROM main.sqlite_schema s WHERE type = ?1 AND " IS_ENUM " ORDER BY name",
              "view");

    while (next(s)) {
        int64_t oid = new_oid(f, "type", text(s, 0)), n = 0;
        char *sql = sqlite3_mprintf("SELECT * FROM main.\"%w\" WHERE ?1 ORDER BY enumsortorder",
                                    text(s, 0));
        sqlite3_stmt *labels = query(f, f->c->main, sql ? sql : "", "1");
        put(f, "INSERT INTO type VALUES (?1, ?2, 4, 'E', 0, 0, 0)", "it", oid, text(s, 0));
        for (; next(labels); n++)
            put(f, "INSERT INTO enum SELECT ?1 + ?2, ?1, ?2, ?3", "iit", oid, n + 1,
                text(labels, 0));
        sqlite3_finalize(labels);
        sqlite3_free(sql);
    }
    sqlite3_finalize(s);
}

static void relations(struct fill *f)
{
    static const char sql[] =
        "SELECT l.name, l.type, l.wr, s.sql FROM pragma_table_list() l "
        "JOIN main.sqlite_schema s ON s.name = l.name AND s.type IN ('table', 'view') "
        "WHERE l.schema = ?1 AND l.type IN ('table', 'view', 'virtual') "
        "AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND l.name NOT LIKE 'ha\\_%' ESCAPE '\\' "
        "AND NOT (l.type = 'view' AND " IS_ENUM ") "
        "ORDER BY l.name";
    sqlite3_stmt *s = query(f, f->c->main, sql, "main");

    while (next(s)) {
        bool view = strcmp(text(s, 1), "view") == 0;
        int64_t oid = new_oid(f, "rel", text(s, 0));
        struct table_text t;
        put(f, "INSERT INTO rel VALUES (?1, ?2, ?3, ?4, 0, 0, 0)", "ittt", oid, text(s, 0),
            view ? "v" : "r", view ? view_query(text(s, 3)) : text(s, 3));
        read_table(f, view ? "" : text(s, 3), &t);
        columns(f, text(s, 0), oid, !view && !sqlite3_column_int(s, 2), &t);
        arena_reset(f->arena);
    }
    sqlite3_finalize(s);
}

/* For each table: what `each` does. */
static void tables(struct fill *f, void (*each)(struct fill *, const char *, int64_t))
{
    sqlite3_stmt *s =
        query(f, f->c->mem, "SELECT name, oid FROM rel WHERE kind = ?1 ORDER BY name", "r");
    char *name;

    while (next(s)) {
        name = sqlite3_mprintf("%s", text(s, 0));
        if (name)
            each(f, name, sqlite3_column_int64(s, 1));
        sqlite3_free(name);
    }
    sqlite3_finalize(s);
}

static void table_checks(struct fill *f, const char *table, int64_t relid)
{
    sqlite3_stmt *s =
        query(f, f->c->mem, "SELECT sql FROM rel WHERE name = ?1 AND kind = 'r'", table);

    if (next(s))
        checks(f, table, relid, text(s, 0));
    sqlite3_finalize(s);
}

static void triggers(struct fill *f)
{
    sqlite3_stmt *s = query(f, f->c->main,
                            "SELECT name, tbl_name, sql FROM main.sqlite_schema WHERE type = ?1 "
                            "ORDER BY name",
                            "trigger");

    while (next(s))
        put(f, "INSERT INTO trg SELECT ?1, oid, ?2, ?3 FROM rel WHERE name = ?4 COLLATE NOCASE",
            "ittt", (int64_t)pg_catalog_oid("trigger", text(s, 0)), text(s, 0), text(s, 2),
            text(s, 1));
    sqlite3_finalize(s);
}

int pg_catalog_fill(struct pg_catalog *c)
{
    struct fill f = {c, SQLITE_OK, arena_new()};

    if (!f.arena)
        return SQLITE_NOMEM;
    f.rc = sqlite3_exec(c->mem,
                        "BEGIN; DELETE FROM rel; DELETE FROM col; DELETE FROM idx; "
                        "DELETE FROM idxcol; DELETE FROM con; DELETE FROM trg; DELETE FROM enum; "
                        "DELETE FROM type WHERE category = 'E'",
                        NULL, NULL, NULL);
    enums(&f);
    relations(&f);
    tables(&f, indexes);
    tables(&f, foreign_keys);
    tables(&f, table_checks);
    triggers(&f);
    if (f.rc == SQLITE_OK)
        f.rc =
            sqlite3_exec(c->mem,
                         "UPDATE rel SET natts = (SELECT count(*) FROM col WHERE relid = rel.oid) "
                         "WHERE kind <> 'i';"
                         "UPDATE rel SET has_index = 1 WHERE oid IN (SELECT relid FROM idx);"
                         "COMMIT",
                         NULL, NULL, NULL);
    if (f.rc != SQLITE_OK)
        sqlite3_exec(c->mem, "ROLLBACK", NULL, NULL, NULL);
    arena_free(f.arena);
    return f.rc;
}
