/*
 * The first copy. The slot is made inside a transaction that sees the source exactly as it is at
 * the slot's beginning; the same transaction copies the tables. All of it, what was in the tables
 * here before included, becomes one local transaction whose position is the slot's beginning. So
 * nobody ever sees half a copy, and one that dies leaves nothing but the slot, which the next
 * one makes anew.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "proto/pgcopy.h"
#include "proto/pgtype.h"
#include "proxy/pg_impl.h"
#include "sql/quote.h"

#define ROW_MAX_BYTES ((size_t)1024 * 1024 * 1024) /* PostgreSQL has none that is larger */
#define TELL_ROWS     1000                         /* how often progress is told */

static enum err_code out_of_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- the slot ---- */

static enum err_code drop_slot(struct pg_source *p, struct err *e)
{
    struct buf sql = BUF_INIT;

    /* Names of slots need no quotes. */
    buf_printf(&sql,
               "SELECT pg_drop_replication_slot('%s') FROM pg_replication_slots"
               " WHERE slot_name = '%s'",
               p->opt.slot, p->opt.slot);
    enum err_code code = pg_link_run(p->link, buf_cstr(&sql), NULL, 0, &p->wait, NULL, e);
    buf_free(&sql);
    return code;
}

/* Begins the transaction that sees what the slot begins with. */
static enum err_code make_slot(struct pg_source *p, char **begin, struct err *e)
{
    struct buf sql = BUF_INIT;
    PGresult *r = NULL;

    *begin = NULL;
    enum err_code code = drop_slot(p, e);
    if (code == ERR_OK)
        code = pg_link_run(p->link, "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ", NULL, 0,
                           &p->wait, NULL, e);
    buf_printf(&sql, "CREATE_REPLICATION_SLOT %s LOGICAL pgoutput USE_SNAPSHOT", p->opt.slot);
    if (code == ERR_OK)
        code = pg_link_run(p->link, buf_cstr(&sql), NULL, 0, &p->wait, &r, e);
    buf_free(&sql);
    if (code != ERR_OK)
        return code;
    if (pq.ntuples(r) != 1 || pq.nfields(r) < 2)
        code = err_set(e, ERR_PROTOCOL, "PostgreSQL does not say where the slot begins");
    else if (!(*begin = strdup(pq.getvalue(r, 0, 1))))
        code = out_of_memory(e);
    pq.clear(r);
    return code;
}

/* ---- the tables here ---- */

static enum err_code change_sql(struct pg_source *p, const char *sql, struct err *e)
{
    return mirror_change(p->mirror, &(struct mirror_change){.op = MIRROR_SQL, .sql = sql}, e);
}

static enum err_code add_index(void *arg, const char *sql, struct err *e)
{
    return change_sql(arg, sql, e);
}

static enum err_code drop_table(struct pg_source *p, const char *name, struct err *e)
{
    struct buf sql = BUF_INIT;

    buf_puts(&sql, "DROP TABLE ");
    quote_put_name(&sql, name);
    enum err_code code = buf_ok(&sql) ? change_sql(p, buf_cstr(&sql), e) : out_of_memory(e);
    buf_free(&sql);
    return code;
}

/* What the table lacks of the source's; a copy with --proxy-use-schema makes it anew then. */
static enum err_code fits(struct pg_source *p, const struct pg_table *t, bool *there, bool *whole,
                          struct err *e)
{
    struct mirror_table local;
    enum err_code code = mirror_describe(p->mirror, t->name, &local, e);

    *there = *whole = false;
    if (code != ERR_OK)
        return code;
    *there = *whole = local.n_columns > 0;
    for (size_t i = 0; i < t->n_columns; i++)
        *whole = *whole && mirror_table_has(&local, t->columns[i].name);
    mirror_table_free(&local);
    return ERR_OK;
}

static enum err_code prepare_table(struct pg_source *p, const struct pg_table *t, struct err *e)
{
    struct buf sql = BUF_INIT;
    bool there = false, whole = false;
    enum err_code code = fits(p, t, &there, &whole, e);

    if (code == ERR_OK && there &&
        (!source_options(p->source)->use_schema || (whole && !p->copy_again)))
        return mirror_change(p->mirror,
                             &(struct mirror_change){.op = MIRROR_TRUNCATE, .table = t->name}, e);
    if (code == ERR_OK && there)
        code = drop_table(p, t->name, e);
    if (code == ERR_OK)
        code = pg_table_create(t, &sql, e);
    if (code == ERR_OK)
        code = change_sql(p, buf_cstr(&sql), e);
    buf_free(&sql);
    return code == ERR_OK ? pg_table_indexes(t, p->link, &p->wait, add_index, p, e) : code;
}

/* Without --proxy-use-schema the tables are the user's: those that are missing, all at once. */
static enum err_code check_tables(struct pg_source *p, const struct pg_tables *all, struct err *e)
{
    struct buf missing = BUF_INIT;
    enum err_code code = pg_tables_check(all, e);

    for (size_t i = 0; i < all->n && code == ERR_OK && !source_options(p->source)->use_schema;
         i++) {
        bool there = false, whole = false;
        code = fits(p, &all->all[i], &there, &whole, e);
        if (code == ERR_OK && !whole) {
            buf_puts(&missing, missing.len ? ", " : "");
            buf_puts(&missing, all->all[i].name);
            buf_puts(&missing, there ? " (columns of it)" : "");
        }
    }
    if (code == ERR_OK && missing.len > 0)
        code = err_set(e, ERR_NO_TABLE,
                       "the local database lacks tables of the source (--proxy-use-schema makes "
                       "them): %s",
                       buf_cstr(&missing));
    buf_free(&missing);
    return code;
}

/* ---- rows ---- */

struct table_copy {
    struct pg_source *p;
    const struct pg_table *t;
    struct copy_reader *reader;
    const char **names;
    struct mirror_column *columns;
    bool *in_scratch;
    struct buf scratch;
    uint64_t rows, told;
};

static enum err_code put_copy(struct pg_source *p, const struct pg_table *t, struct buf *sql,
                              struct err *e)
{
    buf_puts(sql, "COPY (SELECT ");
    for (size_t i = 0; i < t->n_columns; i++) {
        buf_puts(sql, i ? ", " : "");
        quote_put_name(sql, t->columns[i].name);
    }
    /* A partitioned table's rows are its partitions'; all others have rows of their own. */
    buf_puts(sql, t->partitioned ? " FROM " : " FROM ONLY ");
    quote_put_name(sql, t->schema);
    buf_putc(sql, '.');
    quote_put_name(sql, t->name);
    if (t->filter)
        buf_printf(sql, " WHERE %s", t->filter);
    buf_puts(sql, ") TO STDOUT");
    if (!buf_ok(sql))
        return out_of_memory(e);
    return pg_link_copy(p->link, buf_cstr(sql), &p->wait, e);
}

static enum err_code put_row(struct table_copy *c, const struct value *fields, struct err *e)
{
    const struct pg_table *t = c->t;

    buf_reset(&c->scratch);
    for (size_t i = 0; i < t->n_columns; i++) {
        struct mirror_column *m = &c->columns[i];
        c->in_scratch[i] = false;
        m->name = t->columns[i].name;
        if (fields[i].type == VALUE_NULL)
            m->value = value_null();
        else
            pg_value(t->columns[i].type, fields[i].u.s.data, fields[i].u.s.len, &m->value,
                     &c->scratch, &c->in_scratch[i]);
    }
    if (!buf_ok(&c->scratch))
        return out_of_memory(e);
    for (size_t i = 0; i < t->n_columns; i++)
        if (c->in_scratch[i])
            pgtype_settle(&c->columns[i].value, &c->scratch);
    if (++c->rows - c->told == TELL_ROWS) {
        source_copied(c->p->source, TELL_ROWS);
        c->told = c->rows;
        FAULT_POINT("pg_copy.rows");
    }
    return mirror_change(c->p->mirror,
                         &(struct mirror_change){.op = MIRROR_INSERT,
                                                 .table = t->name,
                                                 .columns = c->columns,
                                                 .n_columns = t->n_columns},
                         e);
}

static enum err_code take_rows(struct table_copy *c, bool *end, struct err *e)
{
    const struct value *fields;
    enum copy_step step;

    while ((step = copy_reader_row(c->reader, &fields, e)) == COPY_ROW)
        if (put_row(c, fields, e) != ERR_OK)
            return e->code;
    *end = step == COPY_END;
    return step == COPY_FAILED ? e->code : ERR_OK;
}

static enum err_code copy_rows(struct table_copy *c, struct err *e)
{
    char *bytes = NULL;
    size_t len = 0;
    bool end = false;
    enum err_code code;

    for (;;) {
        code = pg_link_copied(c->p->link, &bytes, &len, &c->p->wait, e);
        if (code != ERR_OK || !bytes)
            break;
        copy_reader_feed(c->reader, bytes, len);
        pq.freemem(bytes);
        code = take_rows(c, &end, e);
        if (code != ERR_OK)
            return code;
    }
    if (code != ERR_OK)
        return code;
    copy_reader_finish(c->reader);
    code = take_rows(c, &end, e);
    source_copied(c->p->source, c->rows - c->told);
    return code;
}

static enum err_code copy_table(struct pg_source *p, const struct pg_table *t, struct err *e)
{
    struct copy_options text;
    struct buf sql = BUF_INIT;
    struct table_copy c = {.p = p, .t = t, .scratch = BUF_INIT};

    if (t->n_columns == 0)
        return ERR_OK;
    copy_options_init(&text, COPY_TEXT);
    c.names = calloc(t->n_columns, sizeof *c.names);
    c.columns = calloc(t->n_columns, sizeof *c.columns);
    c.in_scratch = calloc(t->n_columns, sizeof *c.in_scratch);
    for (size_t i = 0; c.names && i < t->n_columns; i++)
        c.names[i] = t->columns[i].name;
    c.reader = copy_reader_new(&text, c.names, (unsigned)t->n_columns, ROW_MAX_BYTES);
    enum err_code code = c.names && c.columns && c.in_scratch && c.reader ? put_copy(p, t, &sql, e)
                                                                          : out_of_memory(e);
    if (code == ERR_OK)
        code = copy_rows(&c, e);
    if (code == ERR_OK)
        LOG_INFO("table copied from the source", LOG_STR("table", t->name),
                 LOG_UINT("rows", c.rows));
    copy_reader_free(c.reader);
    free(c.names);
    free(c.columns);
    free(c.in_scratch);
    buf_free(&c.scratch);
    buf_free(&sql);
    return code == ERR_OK ? ERR_OK : err_wrap(e, "copy of table %.100s", t->name);
}

/* ---- the whole ---- */

static enum err_code load_tables(struct pg_source *p, struct pg_tables *all, struct err *e)
{
    enum err_code code =
        pg_tables_load(all, p->link, p->opt.publication, NULL, NULL, &p->domains, &p->wait, e);

    return code == ERR_OK ? check_tables(p, all, e) : code;
}

/* Before there is a slot, which makes the source keep all that it writes. */
static enum err_code look_ahead(struct pg_source *p, struct err *e)
{
    struct pg_tables all;
    enum err_code code = load_tables(p, &all, e);

    if (code == ERR_OK && all.n == 0)
        LOG_WARN("the publication has no tables", LOG_STR("publication", p->opt.publication));
    pg_tables_free(&all);
    return code;
}

static enum err_code copy_tables(struct pg_source *p, struct err *e)
{
    struct pg_tables all;
    enum err_code code = load_tables(p, &all, e);

    for (size_t i = 0; i < all.n && code == ERR_OK; i++) {
        code = prepare_table(p, &all.all[i], e);
        if (code == ERR_OK)
            code = copy_table(p, &all.all[i], e);
    }
    pg_tables_free(&all);
    return code;
}

enum err_code pg_copy_all(struct pg_source *p, struct err *e)
{
    char *begin = NULL;
    int64_t started = clock_mono_ns();

    source_is_copying(p->source);
    enum err_code code = look_ahead(p, e);
    if (code == ERR_OK)
        code = mirror_begin(p->mirror, e);
    if (code == ERR_OK)
        code = make_slot(p, &begin, e);
    FAULT_POINT("pg_copy.slot");
    if (code == ERR_OK)
        code = copy_tables(p, e);
    if (code == ERR_OK)
        code = pg_link_run(p->link, "COMMIT", NULL, 0, &p->wait, NULL, e);
    uint64_t rows = mirror_pending_changes(p->mirror);
    FAULT_POINT("pg_copy.copied");
    if (code == ERR_OK)
        code = source_commit(p->source, begin, clock_wall_ns(), 0, e);
    if (code == ERR_OK) {
        p->copy_again = false;
        LOG_INFO("the source is copied", LOG_STR("db", source_options(p->source)->database),
                 LOG_STR("position", begin), LOG_UINT("changes", rows),
                 LOG_INT("ms", (clock_mono_ns() - started) / CLOCK_MS));
    }
    free(begin);
    return code;
}
