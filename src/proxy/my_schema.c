/*
 * The local schema: made for a copy, and changed behind the source's own.
 *
 * Schema statements are not translated. Their words tell which tables they are about, and what
 * those look like now is read from the source's catalog; the difference is what happens here. The
 * catalog may be further than the log: a table that the log is still going to drop is not there any
 * more, a column that it is going to add is. Rows that do not fit are noticed where they come
 * (my_follow.c), and end in a new copy.
 */
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "proxy/my_impl.h"
#include "sql/quote.h"

enum err_code my_change_sql(struct my_source *p, const char *sql, struct err *e)
{
    return mirror_change(p->mirror, &(struct mirror_change){.op = MIRROR_SQL, .sql = sql}, e);
}

/* Runs what was put into `sql`, and frees it. */
static enum err_code change(struct my_source *p, struct buf *sql, struct err *e)
{
    enum err_code code = buf_ok(sql) ? my_change_sql(p, buf_cstr(sql), e) : my_out_of_memory(e);

    buf_free(sql);
    return code;
}

static enum err_code truncate_table(struct my_source *p, const char *name, struct err *e)
{
    return mirror_change(p->mirror, &(struct mirror_change){.op = MIRROR_TRUNCATE, .table = name},
                         e);
}

static enum err_code add_index(void *arg, const char *sql, struct err *e)
{
    return my_change_sql(arg, sql, e);
}

static enum err_code drop_table(struct my_source *p, const char *name, struct err *e)
{
    struct buf sql = BUF_INIT;

    buf_puts(&sql, "DROP TABLE ");
    quote_put_name(&sql, name);
    return change(p, &sql, e);
}

static enum err_code create_table(struct my_source *p, const struct my_table *t, struct err *e)
{
    struct buf sql = BUF_INIT;
    enum err_code code = my_table_create(t, &sql, e);

    if (code == ERR_OK)
        code = change(p, &sql, e);
    buf_free(&sql);
    return code == ERR_OK ? my_table_indexes(t, p->link, &p->wait, add_index, p, e) : code;
}

/* ---- for a copy ---- */

/* Is the table here, and has it all that the source's has? */
static enum err_code look_at(struct my_source *p, const struct my_table *t, bool *there,
                             bool *whole, struct err *e)
{
    struct mirror_table local;
    enum err_code code = mirror_describe(p->mirror, t->name, &local, e);

    *there = *whole = false;
    if (code != ERR_OK)
        return code;
    *there = *whole = local.n_columns > 0;
    for (unsigned i = 0; i < t->n_columns; i++)
        *whole = *whole && (t->columns[i].virtual || mirror_table_has(&local, t->columns[i].name));
    mirror_table_free(&local);
    return ERR_OK;
}

enum err_code my_prepare_table(struct my_source *p, const struct my_table *t, struct err *e)
{
    bool there = false, whole = false;
    enum err_code code = look_at(p, t, &there, &whole, e);

    if (code != ERR_OK)
        return code;
    if (there && (!source_options(p->source)->use_schema || (whole && !p->copy_again)))
        return truncate_table(p, t->name, e);
    if (there)
        code = drop_table(p, t->name, e);
    return code == ERR_OK ? create_table(p, t, e) : code;
}

enum err_code my_check_tables(struct my_source *p, struct err *e)
{
    struct buf missing = BUF_INIT;
    enum err_code code = ERR_OK;

    if (source_options(p->source)->use_schema)
        return ERR_OK;
    for (size_t i = 0; i < p->tables.n && code == ERR_OK; i++) {
        bool there = false, whole = false;
        code = look_at(p, &p->tables.all[i], &there, &whole, e);
        if (code == ERR_OK && !whole)
            buf_printf(&missing, "%s%s%s", missing.len ? ", " : "", p->tables.all[i].name,
                       there ? " (columns of it)" : "");
    }
    if (code == ERR_OK && missing.len > 0)
        code = err_set(e, ERR_NO_TABLE,
                       "the local database lacks tables of the source (--proxy-use-schema makes "
                       "them): %s",
                       buf_cstr(&missing));
    buf_free(&missing);
    return code;
}

/* ---- columns ---- */

static enum err_code rename_column(struct my_source *p, const char *table, const char *from,
                                   const char *to, struct err *e)
{
    struct buf sql = BUF_INIT;

    buf_puts(&sql, "ALTER TABLE ");
    quote_put_name(&sql, table);
    buf_puts(&sql, " RENAME COLUMN ");
    quote_put_name(&sql, from);
    buf_puts(&sql, " TO ");
    quote_put_name(&sql, to);
    return change(p, &sql, e);
}

static enum err_code drop_column(struct my_source *p, const char *table, const char *column,
                                 struct err *e)
{
    struct buf sql = BUF_INIT;

    buf_puts(&sql, "ALTER TABLE ");
    quote_put_name(&sql, table);
    buf_puts(&sql, " DROP COLUMN ");
    quote_put_name(&sql, column);
    return change(p, &sql, e);
}

/* Would the same value come as another one? A text may get longer, an integer wider. */
static bool comes_otherwise(const struct my_column *a, const struct my_column *b)
{
    if (a->kind != b->kind || a->virtual != b->virtual || a->is_key != b->is_key)
        return true;
    if (a->kind == MY_MOMENT)
        return strcmp(a->type, b->type) != 0 || a->precision != b->precision;
    if (a->kind == MY_DECIMAL)
        return a->scale != b->scale || a->precision > b->precision;
    if (a->kind == MY_INTEGER)
        return a->is_unsigned != b->is_unsigned || strcmp(a->type, b->type) != 0;
    if (a->kind == MY_TEXT) /* an ENUM's labels may have got other names */
        return a->labels || b->labels
                   ? strcmp(a->full_type, b->full_type) != 0
                   : strcmp(a->type, b->type) != 0 &&
                         (strcmp(a->type, "char") == 0 || strcmp(b->type, "char") == 0);
    return a->kind == MY_BYTES && strcmp(a->type, b->type) != 0;
}

/* Columns that changed their names only: those of the same place, where nothing else has. */
static enum err_code rename_columns(struct my_source *p, const struct my_table *was,
                                    const struct my_table *now, struct err *e)
{
    enum err_code code = ERR_OK;

    if (was->n_columns != now->n_columns)
        return MY_COPY_AGAIN(p, e, "table %.60s.%.60s has got columns renamed and others besides",
                             now->schema, now->name);
    for (unsigned i = 0; i < now->n_columns && code == ERR_OK; i++) {
        const struct my_column *a = &was->columns[i], *b = &now->columns[i];
        if (strcasecmp(a->name, b->name) == 0)
            continue;
        if (my_table_column(now, a->name) || my_table_column(was, b->name))
            return MY_COPY_AGAIN(p, e, "table %.60s.%.60s has got columns renamed crosswise",
                                 now->schema, now->name);
        code = rename_column(p, now->name, a->name, b->name, e);
    }
    return code;
}

static enum err_code check_types(struct my_source *p, const struct my_table *was,
                                 const struct my_table *now, bool renames, struct err *e)
{
    for (unsigned i = 0; i < now->n_columns; i++) {
        const struct my_column *b = &now->columns[i], *a = my_table_column(was, b->name);
        if (!a && renames && was->n_columns == now->n_columns)
            a = &was->columns[i];
        if (a && comes_otherwise(a, b))
            return MY_COPY_AGAIN(p, e, "column %.60s of table %.60s.%.60s has got another type",
                                 b->name, now->schema, now->name);
    }
    return ERR_OK;
}

static enum err_code add_and_drop(struct my_source *p, const struct my_table *was,
                                  const struct my_table *now, const struct mirror_table *local,
                                  struct err *e)
{
    struct buf sql = BUF_INIT;
    enum err_code code = ERR_OK;

    for (unsigned i = 0; i < now->n_columns && code == ERR_OK; i++) {
        if (now->columns[i].virtual || mirror_table_has(local, now->columns[i].name))
            continue;
        code = my_table_add_column(now, &now->columns[i], &sql, e);
        if (code == ERR_UNSUPPORTED)
            p->copy_again = true;
        if (code == ERR_OK)
            code = change(p, &sql, e);
    }
    buf_free(&sql);
    for (unsigned i = 0; was && i < was->n_columns && code == ERR_OK; i++) {
        const struct my_column *c = &was->columns[i];
        if (my_table_column(now, c->name) || !mirror_table_has(local, c->name))
            continue;
        if (c->is_key)
            return MY_COPY_AGAIN(p, e, "the key of table %.60s.%.60s has changed", now->schema,
                                 now->name);
        code = drop_column(p, now->name, c->name, e);
    }
    return code;
}

static enum err_code alter_table(struct my_source *p, const struct my_table *was,
                                 const struct my_table *now, const struct my_ddl *d, struct err *e)
{
    struct mirror_table local;
    enum err_code code = mirror_describe(p->mirror, now->name, &local, e);

    if (code != ERR_OK)
        return code;
    if (local.n_columns == 0)
        code = create_table(p, now, e);
    else if (d->moves)
        code = MY_COPY_AGAIN(p, e, "table %.60s.%.60s has got or lost rows with a part of it",
                             now->schema, now->name);
    else if (was)
        code = check_types(p, was, now, d->renames, e);
    if (code == ERR_OK && local.n_columns > 0) {
        if (was && d->renames)
            code = rename_columns(p, was, now, e);
        else
            code = add_and_drop(p, was, now, &local, e);
        if (code == ERR_OK)
            code = my_table_indexes(now, p->link, &p->wait, add_index, p, e);
    }
    mirror_table_free(&local);
    return code;
}

/* ---- tables ---- */

/* Drops the local table of one that the filter takes, if it is there. */
static enum err_code drop_if_there(struct my_source *p, const char *schema, const char *table,
                                   struct err *e)
{
    bool there = false;
    enum err_code code = ERR_OK;

    if (!my_filter_takes(p->filter, schema, table))
        return ERR_OK;
    code = mirror_has_table(p->mirror, table, &there, e);
    return code == ERR_OK && there ? drop_table(p, table, e) : code;
}

static enum err_code rename_table(struct my_source *p, const struct my_ddl_name *from,
                                  const struct my_ddl_name *to, struct err *e)
{
    bool was = my_filter_takes(p->filter, from->schema, from->table);
    bool is = my_filter_takes(p->filter, to->schema, to->table), there = false;
    struct buf sql = BUF_INIT;

    if (!was && !is)
        return ERR_OK;
    if (!is)
        return drop_if_there(p, from->schema, from->table, e);
    if (!was)
        return MY_COPY_AGAIN(p, e, "table %.60s.%.60s has got rows by becoming %.60s.%.60s",
                             from->schema, from->table, to->schema, to->table);
    if (strcasecmp(from->table, to->table) == 0)
        return ERR_OK; /* it went to another schema */
    enum err_code code = mirror_has_table(p->mirror, from->table, &there, e);
    if (code != ERR_OK)
        return code;
    if (!there) /* the catalog knew already that it would not stay, so its rows were passed over */
        return MY_COPY_AGAIN(p, e, "table %.60s.%.60s was renamed soon after it was made",
                             from->schema, from->table);
    buf_puts(&sql, "ALTER TABLE ");
    quote_put_name(&sql, from->table);
    buf_puts(&sql, " RENAME TO ");
    quote_put_name(&sql, to->table);
    return change(p, &sql, e);
}

static enum err_code drop_schema(struct my_source *p, const char *schema, struct err *e)
{
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < p->tables.n && code == ERR_OK; i++)
        if (strcmp(p->tables.all[i].schema, schema) == 0)
            code = drop_if_there(p, schema, p->tables.all[i].name, e);
    return code;
}

/* Where the catalog of before knew the change already, nothing is seen of it when it is compared.
 * New columns are missing here all the same, and whatever an earlier comparison has found is done;
 * but a column that is dropped may have come again, and one with another name is a new one. */
static bool is_lost(const struct my_source *p, const struct my_ddl *d)
{
    return d->renames || d->drops || (d->modifies && !p->tables_compared);
}

static enum err_code create_or_alter(struct my_source *p, const struct my_tables *old,
                                     const struct my_ddl *d, bool ahead, struct err *e)
{
    const struct my_ddl_name *n = &d->tables[0];
    const struct my_table *now = my_tables_find(&p->tables, n->schema, n->table);
    const struct my_table *was = my_tables_find(old, n->schema, n->table);

    if (!now)
        return ERR_OK; /* not one of ours, or the log is going to drop it */
    if (ahead && is_lost(p, d))
        return MY_COPY_AGAIN(p, e,
                             "table %.60s.%.60s was changed, perhaps more than once, before this "
                             "part of the source's log was read",
                             n->schema, n->table);
    if (d->replaces) {
        bool there = false;
        enum err_code code = mirror_has_table(p->mirror, n->table, &there, e);
        if (code == ERR_OK && there)
            code = drop_table(p, n->table, e);
        return code == ERR_OK ? create_table(p, now, e) : code;
    }
    return alter_table(p, was, now, d, e);
}

static enum err_code apply(struct my_source *p, const struct my_tables *old, const struct my_ddl *d,
                           bool ahead, struct err *e)
{
    enum err_code code = ERR_OK;

    switch (d->kind) {
    case MY_DDL_CREATE:
    case MY_DDL_ALTER:
        return create_or_alter(p, old, d, ahead, e);
    case MY_DDL_DROP:
        for (size_t i = 0; i < d->n && code == ERR_OK; i++)
            code = drop_if_there(p, d->tables[i].schema, d->tables[i].table, e);
        return code;
    case MY_DDL_RENAME:
        for (size_t i = 0; i + 1 < d->n && code == ERR_OK; i += 2)
            code = rename_table(p, &d->tables[i], &d->tables[i + 1], e);
        return code;
    default:
        return ERR_OK;
    }
}

bool my_ddl_concerns(const struct my_source *p, const struct my_ddl *d)
{
    if (d->kind == MY_DDL_DROP_SCHEMA)
        return true;
    for (size_t i = 0; i < d->n; i++)
        if (my_filter_takes(p->filter, d->tables[i].schema, d->tables[i].table))
            return true;
    return false;
}

enum err_code my_apply_ddl(struct my_source *p, const struct my_ddl *d, bool ahead, struct err *e)
{
    bool use_schema = source_options(p->source)->use_schema;
    enum err_code code = ERR_OK;

    if (d->kind == MY_DDL_TRUNCATE) {
        bool there = false;
        code = mirror_has_table(p->mirror, d->tables[0].table, &there, e);
        return code == ERR_OK && there ? truncate_table(p, d->tables[0].table, e) : code;
    }
    if (d->kind == MY_DDL_DROP_SCHEMA && use_schema)
        code = drop_schema(p, d->tables[0].schema, e);
    struct my_tables old = p->tables;
    if (code == ERR_OK)
        p->tables = (struct my_tables){.n = 0};
    if (code == ERR_OK)
        code = my_load_tables(p, e);
    if (code == ERR_OK && use_schema)
        code = apply(p, &old, d, ahead, e);
    else if (code == ERR_OK)
        LOG_INFO("the source's schema has changed; the local one is the user's to change",
                 LOG_STR("table", d->tables[0].table));
    p->tables_compared = code == ERR_OK;
    if (old.arena != p->tables.arena)
        my_tables_free(&old);
    return code;
}
