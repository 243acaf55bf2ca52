/*
 * Following the log. Transactions come whole, one behind the other, in the order of their commits.
 * As many of them as have come already go into one local transaction, up to GROUP_BYTES.
 *
 *   MySQL     GTID ─ QUERY 'BEGIN' ─ { TABLE_MAP… ROWS… }… ─ XID (or QUERY 'COMMIT')
 *   MariaDB   GTID ─ { TABLE_MAP… ROWS… }… ─ XID (or QUERY 'COMMIT')
 *   both      GTID ─ QUERY of a schema statement
 *
 * A place in the log is where one of these ends. The tracker is moved together with the rows; where
 * nothing of interest happens, it is moved now and then all the same, so that the server may forget
 * what is before.
 */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/fault.h"
#include "base/log.h"
#include "proto/mysqltype.h"
#include "proto/mysqlwire.h"
#include "proxy/my_cascade.h"
#include "proxy/my_impl.h"
#include "proxy/my_log.h"

#define GROUP_BYTES        ((uint64_t)4 * 1024 * 1024) /* put aside, then the group is committed */
#define GROUP_TRANSACTIONS 10000
#define IDLE_NS            (10 * CLOCK_S) /* the tracker is moved where nothing else moves it */
#define TABLES_MOST        100000         /* that one transaction describes */

/* A table as the log describes it, and which column of the source's catalog each of its is. */
struct described {
    struct binlog_table log;
    const struct my_table *table; /* NULL: it is of no interest */
    struct my_column *columns;    /* of the log's columns, name NULL where the catalog has none */
    bool has_key;
    bool is_parent; /* rows of others go with its rows */
};

struct follower {
    struct my_source *p;
    struct my_log *log;
    struct my_charsets *charsets;
    struct my_position at; /* behind the last whole transaction */
    struct my_gtid gtid;   /* of the transaction that is under way */
    bool has_gtid;
    char file[sizeof((struct my_position *)0)->file]; /* in which events come now */
    /* the transaction that is under way */
    bool in_tx;
    struct arena *described_arena;
    struct described **described;
    size_t n_described, cap_described;
    bool *by_place; /* of each of the source's tables: its rows were read by the columns' places */
    /* the group */
    bool group_open;       /* the mirror has a transaction begun */
    uint64_t transactions; /* whole ones in it */
    int64_t time_ns;       /* when the last of them was committed */
    bool moved;            /* `at` is not the tracker's */
    int64_t committed_ns;  /* when the tracker was moved last */
    /* of a row */
    struct arena *arena;
    struct binlog_cell *before, *after;
    struct mirror_column *columns, *keys;
    size_t cap;
    struct buf scratch, rows_scratch;
    struct my_ddl ddl;
};

/* ---- tables ---- */

static void forget_tables(struct follower *f)
{
    f->n_described = 0;
    arena_reset(f->described_arena);
}

static struct described *find_described(struct follower *f, uint64_t id)
{
    for (size_t i = f->n_described; i > 0; i--)
        if (f->described[i - 1]->log.id == id)
            return f->described[i - 1];
    return NULL;
}

static bool is_blob(uint8_t type)
{
    return type >= MYSQLTYPE_TINY_BLOB && type <= MYSQLTYPE_BLOB;
}

/* How many bytes the length of a text of this type has. */
static unsigned length_bytes(const struct my_column *c)
{
    if (strncmp(c->type, "tiny", 4) == 0)
        return 1;
    if (strncmp(c->type, "medium", 6) == 0)
        return 3;
    return strncmp(c->type, "long", 4) == 0 ? 4 : 2;
}

static bool fits_text(const struct binlog_column *l, const struct my_column *c)
{
    bool big = strstr(c->type, "text") || strstr(c->type, "blob");

    if (c->labels)
        return l->type == (strcmp(c->type, "enum") == 0 ? MYSQLTYPE_ENUM : MYSQLTYPE_SET);
    if (strcmp(c->type, "json") == 0)
        return l->type == MYSQLTYPE_JSON;
    if (big)
        return is_blob(l->type) && l->meta == length_bytes(c);
    if (strcmp(c->type, "varchar") == 0 || strcmp(c->type, "varbinary") == 0)
        return (l->type == MYSQLTYPE_VARCHAR || l->type == MYSQLTYPE_VAR_STRING) &&
               l->meta == c->octets;
    if (strcmp(c->type, "char") == 0 || strcmp(c->type, "binary") == 0)
        return l->type == MYSQLTYPE_STRING && l->meta == c->octets;
    return l->type == MYSQLTYPE_GEOMETRY;
}

static bool fits_integer(const struct binlog_column *l, const struct my_column *c)
{
    static const struct {
        const char *type;
        uint8_t log;
    } types[] = {{"tinyint", MYSQLTYPE_TINY},    {"smallint", MYSQLTYPE_SHORT},
                 {"mediumint", MYSQLTYPE_INT24}, {"int", MYSQLTYPE_LONG},
                 {"bigint", MYSQLTYPE_LONGLONG}, {"year", MYSQLTYPE_YEAR}};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].type, c->type) == 0)
            return types[i].log == l->type;
    return false;
}

static bool fits_moment(const struct binlog_column *l, const struct my_column *c)
{
    bool old = l->type == MYSQLTYPE_TIME || l->type == MYSQLTYPE_DATETIME ||
               l->type == MYSQLTYPE_TIMESTAMP;

    if (strcmp(c->type, "date") == 0)
        return l->type == MYSQLTYPE_DATE || l->type == BINLOG_NEWDATE;
    /* Types of before MySQL 5.6: MariaDB's could have a fraction, which the log does not tell. */
    if (old && c->precision > 0)
        return false;
    if (!old && l->meta != c->precision)
        return false;
    if (strcmp(c->type, "time") == 0)
        return l->type == MYSQLTYPE_TIME || l->type == BINLOG_TIME2;
    if (strcmp(c->type, "datetime") == 0)
        return l->type == MYSQLTYPE_DATETIME || l->type == BINLOG_DATETIME2;
    return l->type == MYSQLTYPE_TIMESTAMP || l->type == BINLOG_TIMESTAMP2;
}

/* Can the log's column be the catalog's? */
static bool fits(const struct binlog_column *l, const struct my_column *c)
{
    switch (c->kind) {
    case MY_INTEGER:
        return fits_integer(l, c);
    case MY_DECIMAL:
        return l->type == MYSQLTYPE_NEWDECIMAL && l->meta == (c->precision << 8 | c->scale);
    case MY_FLOAT:
        return l->type == MYSQLTYPE_FLOAT;
    case MY_DOUBLE:
        return l->type == MYSQLTYPE_DOUBLE;
    case MY_BIT:
        return l->type == MYSQLTYPE_BIT;
    case MY_MOMENT:
        return fits_moment(l, c);
    case MY_TEXT:
    case MY_BYTES:
        return fits_text(l, c);
    default:
        return l->type == MYSQLTYPE_STRING;
    }
}

static enum err_code does_not_fit(struct follower *f, const struct described *d, struct err *e)
{
    return MY_COPY_AGAIN(f->p, e,
                         "table %.60s.%.60s has changed since this part of the source's log was "
                         "written (binlog_row_metadata = FULL would say how it was): it is copied "
                         "anew",
                         d->log.schema, d->log.name);
}

/* What the decoder has to know of a column, from the catalog. */
static void tell_decoder(struct binlog_column *l, const struct my_column *c)
{
    l->is_unsigned = c->is_unsigned;
    l->collation =
        c->kind == MY_BYTES || c->kind == MY_UUID || c->kind == MY_INET6 || c->kind == MY_INET4
            ? MYSQLWIRE_CHARSET_BINARY
            : 0;
    l->labels = c->labels;
    l->n_labels = c->n_labels;
    l->is_key = c->is_key;
}

/* The log says what its columns are called: the catalog may have more of them, or fewer. */
static bool map_by_name(struct described *d)
{
    for (unsigned i = 0; i < d->log.n_columns; i++) {
        struct binlog_column *l = &d->log.columns[i];
        const struct my_column *c = my_table_column(d->table, l->name.data);
        if (!c)
            continue; /* gone again; its bytes have to be read over all the same */
        if (!fits(l, c))
            return false;
        d->columns[i] = *c;
        tell_decoder(l, c);
    }
    return true;
}

static bool map_by_place(struct described *d)
{
    unsigned n = d->table->n_columns;

    if (d->log.n_columns < n || d->log.n_columns - n > d->table->n_hidden)
        return false;
    for (unsigned i = n; i < d->log.n_columns; i++)
        if (d->log.columns[i].type != MYSQLTYPE_LONGLONG) /* a hash of a key */
            return false;
    for (unsigned i = 0; i < n; i++) {
        if (!d->table->columns[i].virtual && !fits(&d->log.columns[i], &d->table->columns[i]))
            return false;
        d->columns[i] = d->table->columns[i];
        tell_decoder(&d->log.columns[i], &d->table->columns[i]);
    }
    return true;
}

static enum err_code room_for_columns(struct follower *f, size_t n, struct err *e)
{
    if (n <= f->cap)
        return ERR_OK;
    free(f->before);
    free(f->after);
    free(f->columns);
    free(f->keys);
    f->before = calloc(n, sizeof *f->before);
    f->after = calloc(n, sizeof *f->after);
    f->columns = calloc(n, sizeof *f->columns);
    f->keys = calloc(n, sizeof *f->keys);
    bool ok = f->before && f->after && f->columns && f->keys;
    f->cap = ok ? n : 0;
    return ok ? ERR_OK : my_out_of_memory(e);
}

static enum err_code on_table(struct follower *f, const struct binlog_event *ev, struct err *e)
{
    struct described *d = arena_alloc(f->described_arena, sizeof *d);
    struct described **room =
        array_room(f->described, f->n_described, &f->cap_described, sizeof(struct described *));

    if (room)
        f->described = room;
    if (!d || !room)
        return my_out_of_memory(e);
    if (f->n_described == TABLES_MOST || !binlog_read_table(ev, f->described_arena, &d->log))
        return err_set(e, ERR_FORMAT,
                       "the description of a table in the source's log cannot be read");
    d->table = my_tables_find(&f->p->tables, d->log.schema, d->log.name);
    f->described[f->n_described++] = d;
    if (!d->table)
        return ERR_OK;
    d->columns = arena_alloc(f->described_arena, d->log.n_columns * sizeof *d->columns);
    if (!d->columns)
        return my_out_of_memory(e);
    if (!(d->log.has_names ? map_by_name(d) : map_by_place(d)))
        return does_not_fit(f, d, e);
    if (!d->log.has_names)
        f->by_place[d->table - f->p->tables.all] = true;
    for (unsigned i = 0; i < d->log.n_columns; i++)
        d->has_key = d->has_key || d->columns[i].is_key;
    d->is_parent = my_is_parent(&f->p->tables, d->table);
    return room_for_columns(f, d->log.n_columns, e);
}

/* ---- rows ---- */

static enum err_code put_cells(struct follower *f, const struct described *d,
                               const struct binlog_cell *cells, bool keys,
                               struct mirror_column *out, size_t *n, struct err *e)
{
    for (unsigned i = 0; i < d->log.n_columns; i++) {
        const struct my_column *c = &d->columns[i];
        if (!c->name || c->virtual || !cells[i].present || (keys && d->has_key && !c->is_key))
            continue;
        struct mirror_column *m = &out[(*n)++];
        *m = (struct mirror_column){.name = c->name, .value = cells[i].value};
        if (my_value_of_log(f->charsets, c, f->arena, &m->value, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}

/* What the row's going or changing does to those that refer to it. */
static enum err_code put_cascade(struct follower *f, const struct described *d,
                                 enum binlog_change change, struct err *e)
{
    struct mirror_column *old = arena_alloc(f->arena, d->log.n_columns * sizeof *old);
    struct mirror_column *new = arena_alloc(f->arena, d->log.n_columns * sizeof *new);
    size_t n_old = 0, n_new = 0;

    if (!old || !new)
        return my_out_of_memory(e);
    enum err_code code = put_cells(f, d, f->before, false, old, &n_old, e);
    if (code == ERR_OK && change == BINLOG_UPDATE)
        code = put_cells(f, d, f->after, false, new, &n_new, e);
    struct my_gone gone = {d->table, old, n_old, change == BINLOG_UPDATE ? new : NULL, n_new};
    return code == ERR_OK ? my_cascade(f->p, &gone, e) : code;
}

static enum err_code put_row(struct follower *f, const struct described *d,
                             enum binlog_change change, struct err *e)
{
    static const enum mirror_op ops[] = {[BINLOG_INSERT] = MIRROR_INSERT,
                                         [BINLOG_UPDATE] = MIRROR_UPDATE,
                                         [BINLOG_DELETE] = MIRROR_DELETE};
    struct mirror_change m = {
        .op = ops[change], .table = d->table->name, .columns = f->columns, .keys = f->keys};
    enum err_code code = ERR_OK;

    arena_reset(f->arena);
    if (change != BINLOG_DELETE)
        code = put_cells(f, d, f->after, false, f->columns, &m.n_columns, e);
    if (code == ERR_OK && change != BINLOG_INSERT)
        code = put_cells(f, d, f->before, true, f->keys, &m.n_keys, e);
    if (code == ERR_OK && change != BINLOG_INSERT && d->is_parent)
        code = put_cascade(f, d, change, e);
    return code == ERR_OK ? mirror_change(f->p->mirror, &m, e) : code;
}

static enum err_code begin(struct follower *f, struct err *e)
{
    enum err_code code = f->group_open ? ERR_OK : mirror_begin(f->p->mirror, e);

    f->group_open = f->group_open || code == ERR_OK;
    return code;
}

static enum err_code on_rows(struct follower *f, const struct binlog_event *ev, struct err *e)
{
    struct described *d = find_described(f, ev->u.rows.table_id);
    struct binlog_rows rows;
    enum binlog_step step = BINLOG_BAD;

    if (!d)
        return err_set(e, ERR_FORMAT,
                       "the source's log has rows of a table that it has not described");
    if (!d->table)
        return ERR_OK;
    enum err_code code = begin(f, e);
    if (code == ERR_OK && binlog_read_rows(ev, &d->log, &f->rows_scratch, &rows))
        while ((step = binlog_next_row(&rows, f->before, f->after, &f->scratch)) == BINLOG_ROW)
            if (put_row(f, d, ev->u.rows.change, e) != ERR_OK)
                return e->code;
    FAULT_POINT("my_follow.rows");
    if (code == ERR_OK && step == BINLOG_BAD)
        code = err_set(e, ERR_FORMAT, "rows of %.60s.%.60s in the source's log cannot be read",
                       d->log.schema, d->log.name);
    return code;
}

/* ---- transactions ---- */

static enum err_code commit_group(struct follower *f, struct err *e)
{
    struct buf text = BUF_INIT;
    enum err_code code = begin(f, e);

    my_position_put(&text, &f->at);
    FAULT_POINT("my_follow.commit");
    if (code == ERR_OK)
        code = buf_ok(&text)
                   ? source_commit(f->p->source, buf_cstr(&text), f->time_ns, f->transactions, e)
                   : my_out_of_memory(e);
    buf_free(&text);
    /* The tables here are not what they were when this part of the log was written. */
    if (source_options(f->p->source)->use_schema &&
        (code == ERR_NO_TABLE || code == ERR_NO_COLUMN || code == ERR_NOT_NULL))
        f->p->copy_again = true;
    f->group_open = false;
    f->transactions = 0;
    f->moved = false;
    f->committed_ns = clock_mono_ns();
    return code;
}

/* Behind a whole transaction: the group is committed, unless more is there already. */
static enum err_code settle(struct follower *f, struct err *e)
{
    if (f->group_open) {
        bool full = mirror_pending_bytes(f->p->mirror) >= GROUP_BYTES ||
                    f->transactions >= GROUP_TRANSACTIONS;
        return full || !my_log_has_more(f->log) ? commit_group(f, e) : ERR_OK;
    }
    bool due = clock_mono_ns() - f->committed_ns >= IDLE_NS;
    bool prompt = f->p->opt.prompt && !my_log_has_more(f->log);
    return f->moved && (due || prompt) ? commit_group(f, e) : ERR_OK;
}

/* The transaction that is under way ends with this event. */
static void end_transaction(struct follower *f, const struct binlog_event *ev)
{
    f->in_tx = false;
    forget_tables(f);
    (void)my_position_set_file(&f->at, f->file, strlen(f->file));
    f->at.pos = ev->next_pos;
    if (f->has_gtid)
        (void)my_position_add_gtid(&f->at, &f->gtid);
    f->has_gtid = false;
    f->time_ns = (int64_t)ev->time_s * CLOCK_S;
    f->transactions++;
    f->moved = true;
}

/* ---- statements ---- */

static enum err_code forget_places(struct follower *f, struct err *e)
{
    free(f->by_place);
    f->by_place = calloc(f->p->tables.n + 1, sizeof *f->by_place);
    return f->by_place ? ERR_OK : my_out_of_memory(e);
}

/* Did the catalog that was read before know already what the log tells only now? */
static bool is_ahead(const struct follower *f, const struct binlog_event *ev)
{
    struct my_position here = {.pos = ev->next_pos};

    (void)my_position_set_file(&here, f->file, strlen(f->file));
    return my_position_reached(&f->p->tables_at, &here);
}

/* Then rows that have come meanwhile, without the columns' names, may have been taken for others.
 */
static enum err_code check_places(struct follower *f, struct err *e)
{
    for (size_t i = 0; i < f->ddl.n; i++) {
        const struct my_table *t =
            my_tables_find(&f->p->tables, f->ddl.tables[i].schema, f->ddl.tables[i].table);
        if (t && f->ddl.kind != MY_DDL_TRUNCATE && f->by_place[t - f->p->tables.all])
            return MY_COPY_AGAIN(f->p, e,
                                 "table %.60s.%.60s had changed already when this part of the "
                                 "source's log was read (binlog_row_metadata = FULL would say how "
                                 "it was): it is copied anew",
                                 t->schema, t->name);
    }
    return ERR_OK;
}

static enum err_code on_schema_statement(struct follower *f, const struct binlog_event *ev,
                                         struct err *e)
{
    enum err_code code = ERR_OK;

    if (!my_ddl_concerns(f->p, &f->ddl)) {
        if (f->in_tx)
            return ERR_OK;
        end_transaction(f, ev);
        return settle(f, e);
    }
    bool ahead = is_ahead(f, ev);
    if (ahead)
        code = check_places(f, e);
    /* It looks at the tables as they are here, so what came before has to be in them. */
    if (code == ERR_OK && f->group_open && !f->in_tx)
        code = commit_group(f, e);
    if (code == ERR_OK)
        code = begin(f, e);
    forget_tables(f); /* they are the old catalog's */
    if (code == ERR_OK)
        code = my_apply_ddl(f->p, &f->ddl, ahead, e);
    if (code == ERR_OK)
        code = forget_places(f, e);
    if (code != ERR_OK || f->in_tx)
        return code;
    end_transaction(f, ev);
    return commit_group(f, e);
}

static enum err_code on_query(struct follower *f, const struct binlog_event *ev, struct err *e)
{
    enum err_code code = my_ddl_read(&f->ddl, ev->u.query.schema, ev->u.query.schema_len,
                                     ev->u.query.sql, ev->u.query.sql_len, e);

    if (code != ERR_OK)
        return code;
    switch (f->ddl.kind) {
    case MY_DDL_BEGIN:
        f->in_tx = true;
        return ERR_OK;
    case MY_DDL_COMMIT:
        end_transaction(f, ev);
        return settle(f, e);
    case MY_DDL_NOTHING:
        if (f->in_tx) /* SAVEPOINT and its like */
            return ERR_OK;
        end_transaction(f, ev);
        return settle(f, e);
    case MY_DDL_ROLLBACK:
    case MY_DDL_PARTIAL:
        return MY_COPY_AGAIN(f->p, e,
                             "the source's log has a transaction that was rolled back in part, or "
                             "is of XA: it cannot be followed row by row");
    case MY_DDL_ROWS:
        return MY_COPY_AGAIN(f->p, e,
                             "rows of the source were changed with binlog_format = STATEMENT or "
                             "MIXED: what they are now is not in its log");
    default:
        return on_schema_statement(f, ev, e);
    }
}

static enum err_code on_rotate(struct follower *f, const struct binlog_event *ev, struct err *e)
{
    size_t n = ev->u.rotate.file_len;

    if (n == 0 || n >= sizeof f->file || memchr(ev->u.rotate.file, '\0', n))
        return err_set(e, ERR_FORMAT, "the source's log goes on in a file without a name");
    memcpy(f->file, ev->u.rotate.file, n);
    f->file[n] = '\0';
    return ERR_OK;
}

static enum err_code on_event(struct follower *f, const struct binlog_event *ev, struct err *e)
{
    switch (ev->kind) {
    case BINLOG_ROTATE:
        return on_rotate(f, ev, e);
    case BINLOG_GTID:
        f->gtid = (struct my_gtid){ev->u.gtid.domain, ev->server_id, ev->u.gtid.sequence};
        f->has_gtid = true;
        f->in_tx = !ev->u.gtid.standalone;
        return ERR_OK;
    case BINLOG_TABLE:
        return on_table(f, ev, e);
    case BINLOG_ROWS:
        return on_rows(f, ev, e);
    case BINLOG_COMMIT:
        end_transaction(f, ev);
        return settle(f, e);
    case BINLOG_QUERY:
        return on_query(f, ev, e);
    case BINLOG_HEARTBEAT:
        source_behind(f->p->source, 0);
        return f->in_tx ? ERR_OK : settle(f, e);
    case BINLOG_INCIDENT:
        return MY_COPY_AGAIN(f->p, e, "the source says that something is missing in its log");
    case BINLOG_UNSUPPORTED:
        return MY_COPY_AGAIN(f->p, e,
                             "the source's log has an event of type %u, which cannot be followed",
                             ev->type);
    default:
        return ERR_OK;
    }
}

/* ---- the whole ---- */

static void tell_lag(struct follower *f, const struct binlog_event *ev)
{
    /* The log's moments are whole seconds. */
    int64_t behind = clock_wall_ns() / CLOCK_S - (int64_t)ev->time_s;

    if (ev->time_s && !ev->artificial && ev->kind != BINLOG_HEARTBEAT)
        source_behind(f->p->source, behind > 1 ? (uint64_t)behind * 1000 : 0);
}

static enum err_code run(struct follower *f, struct err *e)
{
    struct binlog_event ev;
    enum err_code code = my_log_next(f->log, &ev, e);

    if (code != ERR_OK)
        return code;
    source_is_following(f->p->source);
    while (code == ERR_OK) {
        tell_lag(f, &ev);
        code = on_event(f, &ev, e);
        if (code == ERR_OK && source_stopping(f->p->source))
            code = err_set(e, ERR_INTERRUPTED, "the source is being stopped");
        if (code == ERR_OK)
            code = my_log_next(f->log, &ev, e);
    }
    return code;
}

enum err_code my_follow(struct my_source *p, const struct my_position *from, struct err *e)
{
    struct follower f = {.p = p,
                         .at = *from,
                         .described_arena = arena_new(),
                         .arena = arena_new(),
                         .committed_ns = clock_mono_ns()};
    enum err_code code = f.described_arena && f.arena ? ERR_OK : my_out_of_memory(e);

    buf_init(&f.rows_scratch, BINLOG_EVENT_MAX);
    buf_init(&f.scratch, 0);
    memcpy(f.file, from->file, sizeof f.file);
    p->tables_compared = false;
    memcpy(f.at.server, p->server, sizeof f.at.server);
    if (code == ERR_OK)
        code = forget_places(&f, e);
    if (code == ERR_OK)
        code = my_charsets_new(&f.charsets, e);
    if (code == ERR_OK)
        code = my_log_open(&f.log, &p->dsn, p->server_id, from, &p->wait, e);
    if (code == ERR_OK)
        code = run(&f, e);
    my_log_close(f.log);
    my_charsets_free(f.charsets);
    if (f.described_arena)
        arena_free(f.described_arena);
    if (f.arena)
        arena_free(f.arena);
    free(f.described);
    free(f.by_place);
    free(f.before);
    free(f.after);
    free(f.columns);
    free(f.keys);
    buf_free(&f.scratch);
    buf_free(&f.rows_scratch);
    return code;
}
