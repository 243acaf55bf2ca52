#include "proxy/pg_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/clock.h"
#include "proto/pgtype.h"
#include "sql/pg/dialect.h"
#include "sql/quote.h"

#define MODIFIER_HEAD  4  /* bytes that a type modifier counts for itself */
#define NUMERIC_DIGITS 15 /* that SQLite's numbers keep */
#define NAME_MAX_DEPTH 32 /* domains over domains */

static enum err_code out_of_memory(struct err *e)
{
    err_set(e, ERR_NO_MEMORY, "out of memory");
    return ERR_NO_MEMORY;
}

/* A column of a result; NULL where it is NULL. */
static const char *text_at(const PGresult *r, int row, int column)
{
    return pq.getisnull(r, row, column) ? NULL : pq.getvalue(r, row, column);
}

static long number_at(const PGresult *r, int row, int column)
{
    return strtol(pq.getvalue(r, row, column), NULL, 10);
}

/* ---- domains ---- */

enum err_code pg_domains_load(struct pg_domains *d, struct pg_link *l, const struct wait *w,
                              struct err *e)
{
    PGresult *r = NULL;
    enum err_code code =
        pg_link_run(l, "SELECT oid::int8, typbasetype::int8 FROM pg_type WHERE typtype = 'd'", NULL,
                    0, w, &r, e);

    *d = (struct pg_domains){0};
    if (code != ERR_OK)
        return code;
    int n = pq.ntuples(r);
    d->all = calloc((size_t)n + 1, sizeof *d->all);
    for (int i = 0; d->all && i < n; i++)
        d->all[d->n++] =
            (struct pg_domain){(uint32_t)number_at(r, i, 0), (uint32_t)number_at(r, i, 1)};
    pq.clear(r);
    return d->all ? ERR_OK : out_of_memory(e);
}

void pg_domains_free(struct pg_domains *d)
{
    free(d->all);
    *d = (struct pg_domains){0};
}

uint32_t pg_domains_base(const struct pg_domains *d, uint32_t oid)
{
    for (unsigned depth = 0; depth < NAME_MAX_DEPTH; depth++) {
        size_t i = 0;
        while (i < d->n && d->all[i].oid != oid)
            i++;
        if (i == d->n)
            return oid;
        oid = d->all[i].base;
    }
    return oid;
}

/* ---- the catalog ---- */

static void free_table(struct pg_table *t)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        free(t->columns[i].name);
        free(t->columns[i].default_sql);
        free(t->columns[i].missing);
    }
    free(t->columns);
    free(t->schema);
    free(t->name);
    free(t->filter);
}

void pg_tables_free(struct pg_tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        free_table(&t->all[i]);
    free(t->all);
    *t = (struct pg_tables){0};
}

enum {
    C_SCHEMA,
    C_TABLE,
    C_KIND,
    C_FILTER,
    C_COLUMN,
    C_TYPE,
    C_MODIFIER,
    C_NOT_NULL,
    C_DEFAULT,
    C_KEY,
    C_MISSING
};

/* Row filters and column lists came with PostgreSQL 15, generated columns with 12, values that rows
 * lack with 11. */
static void put_query(struct pg_link *l, struct buf *b, const char *publication, const char *schema,
                      const char *name)
{
    int version = pq.serverVersion(pg_link_handle(l));

    buf_puts(b, "SELECT n.nspname, c.relname, c.relkind, ");
    buf_puts(b, version >= 150000 ? "p.rowfilter" : "NULL");
    buf_puts(b, ", a.attname, a.atttypid::int8, a.atttypmod, a.attnotnull,"
                " pg_get_expr(d.adbin, d.adrelid),"
                " (SELECT k.place FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(num, place)"
                " WHERE k.num = a.attnum), ");
    buf_puts(b, version >= 110000 ? "CASE WHEN a.atthasmissing THEN"
                                    " (a.attmissingval::text::text[])[1] END"
                                  : "NULL");
    buf_puts(b, " FROM pg_publication_tables p"
                " JOIN pg_namespace n ON n.nspname = p.schemaname"
                " JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename"
                " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
                " AND NOT a.attisdropped");
    if (version >= 120000)
        buf_puts(b, " AND a.attgenerated = ''");
    if (version >= 150000)
        buf_puts(b, " AND (p.attnames IS NULL OR a.attname = ANY (p.attnames))");
    buf_puts(b, " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
                " LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
                " WHERE p.pubname = ");
    pg_link_put_literal(l, b, publication);
    if (name) {
        buf_puts(b, " AND n.nspname = ");
        pg_link_put_literal(l, b, schema);
        buf_puts(b, " AND c.relname = ");
        pg_link_put_literal(l, b, name);
    }
    buf_puts(b, " ORDER BY 1, 2, a.attnum");
}

static char *copy_of(const char *s, bool *ok)
{
    char *copy = s ? strdup(s) : NULL;

    *ok = *ok && (copy || !s);
    return copy;
}

static enum err_code add_row(struct pg_tables *t, size_t *cap, const PGresult *r, int row,
                             const struct pg_domains *d, struct err *e)
{
    struct pg_table *last = t->n ? &t->all[t->n - 1] : NULL;
    bool ok = true;

    if (!last || strcmp(last->schema, pq.getvalue(r, row, C_SCHEMA)) != 0 ||
        strcmp(last->name, pq.getvalue(r, row, C_TABLE)) != 0) {
        struct pg_table *room = array_room(t->all, t->n, cap, sizeof *room);
        if (!room)
            return out_of_memory(e);
        t->all = room;
        last = room + t->n++;
        *last = (struct pg_table){.schema = copy_of(pq.getvalue(r, row, C_SCHEMA), &ok),
                                  .name = copy_of(pq.getvalue(r, row, C_TABLE), &ok),
                                  .partitioned = *pq.getvalue(r, row, C_KIND) == 'p',
                                  .filter = copy_of(text_at(r, row, C_FILTER), &ok)};
    }
    struct pg_column *columns =
        realloc(last->columns, (last->n_columns + 1) * sizeof *last->columns);
    if (!columns)
        return out_of_memory(e);
    last->columns = columns;
    columns[last->n_columns++] = (struct pg_column){
        .name = copy_of(pq.getvalue(r, row, C_COLUMN), &ok),
        .type = pg_domains_base(d, (uint32_t)number_at(r, row, C_TYPE)),
        .modifier = (int32_t)number_at(r, row, C_MODIFIER),
        .not_null = *pq.getvalue(r, row, C_NOT_NULL) == 't',
        .key = text_at(r, row, C_KEY) ? (int)number_at(r, row, C_KEY) : 0,
        .default_sql = copy_of(text_at(r, row, C_DEFAULT), &ok),
        .missing = copy_of(text_at(r, row, C_MISSING), &ok),
    };
    return ok ? ERR_OK : out_of_memory(e);
}

enum err_code pg_tables_load(struct pg_tables *t, struct pg_link *l, const char *publication,
                             const char *schema, const char *name, const struct pg_domains *d,
                             const struct wait *w, struct err *e)
{
    struct buf sql = BUF_INIT;
    PGresult *r = NULL;
    size_t cap = 0;

    *t = (struct pg_tables){0};
    put_query(l, &sql, publication, schema, name);
    enum err_code code =
        buf_ok(&sql) ? pg_link_run(l, buf_cstr(&sql), NULL, 0, w, &r, e) : out_of_memory(e);
    buf_free(&sql);
    if (code != ERR_OK)
        return code;
    int n = pq.ntuples(r);
    for (int i = 0; i < n && code == ERR_OK; i++)
        code = add_row(t, &cap, r, i, d, e);
    pq.clear(r);
    if (code != ERR_OK)
        pg_tables_free(t);
    return code;
}

enum err_code pg_tables_check(const struct pg_tables *t, struct err *e)
{
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < i; k++)
            if (strcasecmp(t->all[i].name, t->all[k].name) == 0)
                return err_set(e, ERR_UNSUPPORTED,
                               "the publication has %.60s.%.60s and %.60s.%.60s, which would be "
                               "the same table here",
                               t->all[k].schema, t->all[k].name, t->all[i].schema, t->all[i].name);
    return ERR_OK;
}

/* ---- the local table ---- */

static void put_numeric(struct buf *b, const struct pg_column *c)
{
    int32_t bits = c->modifier - MODIFIER_HEAD;
    int32_t digits = bits >> 16, scale = ((bits & 0x7ff) ^ 0x400) - 0x400;

    /* As a number it would lose digits, and two keys could become one. */
    if (c->key && (c->modifier < 0 || digits > NUMERIC_DIGITS))
        buf_puts(b, "text");
    else if (c->modifier < 0 || scale < 0 || scale > digits) /* the last two are PostgreSQL 15's */
        buf_puts(b, "numeric");
    else
        buf_printf(b, "numeric(%" PRId32 ", %" PRId32 ")", digits, scale);
}

static void put_sized(struct buf *b, const char *name, int32_t modifier)
{
    buf_puts(b, name);
    if (modifier >= MODIFIER_HEAD)
        buf_printf(b, "(%" PRId32 ")", modifier - MODIFIER_HEAD);
}

/* `rowid`: it is the whole key, and may be SQLite's rowid. */
static void put_type(struct buf *b, const struct pg_column *c, bool rowid)
{
    static const struct {
        uint32_t type;
        const char *name;
    } names[] = {{PGTYPE_BOOL, "boolean"},
                 {PGTYPE_BYTEA, "bytea"},
                 {PGTYPE_INT2, "smallint"},
                 {PGTYPE_INT4, "integer"},
                 {PGTYPE_OID, "bigint"},
                 {PGTYPE_JSON, "json"},
                 {PGTYPE_JSONB, "jsonb"},
                 {PGTYPE_FLOAT4, "real"},
                 {PGTYPE_FLOAT8, "double precision"},
                 {PGTYPE_DATE, "date"},
                 {PGTYPE_TIME, "time"},
                 {PGTYPE_TIMESTAMP, "timestamp"},
                 {PGTYPE_TIMESTAMPTZ, "timestamptz"},
                 {PGTYPE_UUID, "uuid"}};

    switch (c->type) {
    case PGTYPE_INT8:
        buf_puts(b, rowid ? "bigserial" : "bigint");
        return;
    case PGTYPE_NUMERIC:
        put_numeric(b, c);
        return;
    case PGTYPE_VARCHAR:
        put_sized(b, "varchar", c->modifier);
        return;
    case PGTYPE_BPCHAR:
        put_sized(b, "char", c->modifier);
        return;
    default:
        break;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].type == c->type) {
            buf_puts(b, names[i].name);
            return;
        }
    buf_puts(b, "text");
}

static bool is_number(const char *s)
{
    if (*s == '-')
        s++;
    return *s && strspn(s, "0123456789.") == strlen(s);
}

/* The part of a default that means the same here; false: it has none. */
static bool put_default(struct buf *b, const char *sql)
{
    static const char *const words[] = {
        "true", "false", "now()", "CURRENT_TIMESTAMP", "CURRENT_DATE", "gen_random_uuid()"};
    const char *end = sql;

    if (!sql)
        return false;
    if (*sql == '\'') { /* 'x'::type: the column has a type of its own */
        for (end = sql + 1; *end; end++)
            if (*end == '\'' && *++end != '\'')
                break;
        bool cast = strncmp(end, "::", 2) == 0 && !strpbrk(end, "'|+-*/");
        if (*end && !cast)
            return false;
        buf_put(b, sql, (size_t)(end - sql));
        return true;
    }
    bool known = is_number(sql);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        known = known || strcmp(sql, words[i]) == 0;
    if (known)
        buf_puts(b, sql);
    return known;
}

static void put_column(struct buf *b, const struct pg_column *c, bool rowid, const char *value)
{
    size_t before;

    quote_put_name(b, c->name);
    buf_putc(b, ' ');
    put_type(b, c, rowid);
    if (c->not_null && !c->key)
        buf_puts(b, " NOT NULL");
    before = b->len;
    buf_puts(b, " DEFAULT ");
    if (value)
        quote_put(b, value, strlen(value), '\'');
    else if (rowid || !put_default(b, c->default_sql))
        buf_cut(b, before);
}

static size_t key_columns(const struct pg_table *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_columns; i++)
        n += t->columns[i].key > 0;
    return n;
}

static void put_key(struct buf *b, const struct pg_table *t, size_t n)
{
    for (size_t place = 1; place <= n; place++)
        for (size_t i = 0; i < t->n_columns; i++)
            if (t->columns[i].key == (int)place) {
                buf_puts(b, place == 1 ? ", PRIMARY KEY (" : ", ");
                quote_put_name(b, t->columns[i].name);
            }
    buf_putc(b, ')');
}

static enum err_code translate(struct buf *text, struct buf *sql, struct err *e)
{
    bool changed = false;
    enum err_code code =
        buf_ok(text) ? pg_dialect(text->data, text->len, sql, &changed, e) : out_of_memory(e);

    if (code == ERR_OK && !changed)
        buf_put(sql, text->data, text->len);
    buf_free(text);
    if (code == ERR_OK && !buf_ok(sql))
        code = out_of_memory(e);
    return code;
}

enum err_code pg_table_create(const struct pg_table *t, struct buf *sql, struct err *e)
{
    struct buf b = BUF_INIT;
    size_t n = key_columns(t);

    buf_puts(&b, "CREATE TABLE ");
    quote_put_name(&b, t->name);
    buf_puts(&b, " (");
    for (size_t i = 0; i < t->n_columns; i++) {
        bool rowid = n == 1 && t->columns[i].key;
        if (i)
            buf_puts(&b, ", ");
        put_column(&b, &t->columns[i], rowid, NULL);
        if (rowid)
            buf_puts(&b, " PRIMARY KEY");
    }
    if (n > 1)
        put_key(&b, t, n);
    buf_putc(&b, ')');
    return translate(&b, sql, e) == ERR_OK ? ERR_OK : err_wrap(e, "table %.60s", t->name);
}

enum err_code pg_table_add_column(const struct pg_table *t, const struct pg_column *c,
                                  struct buf *sql, struct err *e)
{
    struct buf b = BUF_INIT;

    /* Older rows that were given a value each have come without a message. */
    if (c->key || (!c->missing && (c->not_null || c->default_sql)))
        return err_set(e, ERR_UNSUPPORTED,
                       "column %.60s of table %.60s is new in the source, and what older rows have "
                       "in it is not known here",
                       c->name, t->name);
    buf_puts(&b, "ALTER TABLE ");
    quote_put_name(&b, t->name);
    buf_puts(&b, " ADD COLUMN ");
    put_column(&b, c, false, c->missing);
    return translate(&b, sql, e);
}

/* ---- indexes ---- */

enum { I_NAME, I_UNIQUE, I_COLUMN };

/* A row for each column of each index, in order. */
static void put_index_query(struct pg_link *l, struct buf *b, const struct pg_table *t)
{
    bool includes = pq.serverVersion(pg_link_handle(l)) >= 110000;

    buf_puts(b, "SELECT ic.relname, i.indisunique, a.attname FROM pg_index i"
                " JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid"
                " JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = ic.relam"
                " CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY k(num, place)"
                " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num"
                " WHERE NOT i.indisprimary AND i.indisvalid AND i.indpred IS NULL"
                " AND i.indexprs IS NULL AND m.amname = 'btree'");
    if (includes)
        buf_puts(b, " AND k.place <= i.indnkeyatts");
    buf_puts(b, " AND n.nspname = ");
    pg_link_put_literal(l, b, t->schema);
    buf_puts(b, " AND c.relname = ");
    pg_link_put_literal(l, b, t->name);
    buf_puts(b, " ORDER BY ic.relname, k.place");
}

static bool has_column(const struct pg_table *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return true;
    return false;
}

/* The index whose rows begin at `row`; *next is behind them. False: the local table lacks one of
 * its columns. */
static bool put_index(struct buf *b, const struct pg_table *t, const PGresult *r, int row,
                      int *next)
{
    const char *name = pq.getvalue(r, row, I_NAME);
    bool whole = true;

    buf_reset(b);
    buf_puts(b, *pq.getvalue(r, row, I_UNIQUE) == 't' ? "CREATE UNIQUE INDEX IF NOT EXISTS "
                                                      : "CREATE INDEX IF NOT EXISTS ");
    quote_put_name(b, name);
    buf_puts(b, " ON ");
    quote_put_name(b, t->name);
    for (*next = row; *next < pq.ntuples(r) && strcmp(pq.getvalue(r, *next, I_NAME), name) == 0;
         (*next)++) {
        buf_puts(b, *next == row ? " (" : ", ");
        quote_put_name(b, pq.getvalue(r, *next, I_COLUMN));
        whole = whole && has_column(t, pq.getvalue(r, *next, I_COLUMN));
    }
    buf_putc(b, ')');
    return whole;
}

enum err_code pg_table_indexes(const struct pg_table *t, struct pg_link *l, const struct wait *w,
                               enum err_code (*each)(void *arg, const char *sql, struct err *e),
                               void *arg, struct err *e)
{
    struct buf b = BUF_INIT;
    PGresult *r = NULL;

    put_index_query(l, &b, t);
    enum err_code code =
        buf_ok(&b) ? pg_link_run(l, buf_cstr(&b), NULL, 0, w, &r, e) : out_of_memory(e);
    int rows = code == ERR_OK ? pq.ntuples(r) : 0;
    for (int row = 0, next = 0; row < rows && code == ERR_OK; row = next)
        if (put_index(&b, t, r, row, &next))
            code = buf_ok(&b) ? each(arg, buf_cstr(&b), e) : out_of_memory(e);
    if (r)
        pq.clear(r);
    buf_free(&b);
    return code;
}
