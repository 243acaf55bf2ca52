/*
 * The copy: one transaction of the source that sees all tables as they are at one place of the log,
 * and one of the mirror with all rows and that place. So nobody ever sees half a copy, and one that
 * dies leaves nothing.
 *
 * MariaDB says by itself which place of its log a consistent snapshot belongs to. With MySQL
 * nothing may be written while the snapshot begins: FLUSH TABLES WITH READ LOCK, for a moment.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "proxy/my_impl.h"
#include "proxy/my_log.h"

#define TELL_ROWS 1000 /* how often progress is told */

static enum err_code run(struct my_source *p, const char *sql, struct err *e)
{
    return my_link_run(p->link, sql, NULL, &p->wait, e);
}

/* ---- the snapshot ---- */

static enum err_code no_place(struct err *e)
{
    return err_set(e, ERR_CONFIG, "the source does not say where its log ends: is log_bin on?");
}

static enum err_code take_place(MYSQL_RES *result, unsigned file, unsigned pos,
                                struct my_position *at, struct err *e)
{
    MYSQL_ROW row = my_link_first(result);
    bool ok = row && pos < my.num_fields(result) && row[file] && row[pos] &&
              my_position_set_file(at, row[file], strlen(row[file]));

    if (ok)
        at->pos = strtoull(row[pos], NULL, 10);
    return ok ? ERR_OK : no_place(e);
}

static enum err_code ask_gtids(struct my_source *p, struct my_position *at, struct err *e)
{
    struct buf sql = BUF_INIT, text = BUF_INIT;

    buf_puts(&sql, "SELECT BINLOG_GTID_POS(");
    my_put_text(&sql, at->file, strlen(at->file));
    buf_printf(&sql, ", %" PRIu64 ")", at->pos);
    enum err_code code = buf_ok(&sql) ? my_link_ask(p->link, buf_cstr(&sql), 0, &text, &p->wait, e)
                                      : my_out_of_memory(e);
    if (code == ERR_OK)
        (void)my_position_set_gtids(at, text.data ? text.data : "", text.len);
    buf_free(&sql);
    buf_free(&text);
    return code;
}

static enum err_code snapshot_mariadb(struct my_source *p, struct my_position *at, struct err *e)
{
    MYSQL_RES *result = NULL;
    enum err_code code = run(p, "START TRANSACTION WITH CONSISTENT SNAPSHOT", e);

    if (code == ERR_OK)
        code = my_link_run(p->link,
                           "SELECT f.VARIABLE_VALUE, o.VARIABLE_VALUE"
                           " FROM information_schema.SESSION_STATUS f"
                           " JOIN information_schema.SESSION_STATUS o"
                           " WHERE f.VARIABLE_NAME = 'binlog_snapshot_file'"
                           " AND o.VARIABLE_NAME = 'binlog_snapshot_position'",
                           &result, &p->wait, e);
    if (code == ERR_OK)
        code = take_place(result, 0, 1, at, e);
    if (result)
        my.free_result(result);
    return code == ERR_OK ? ask_gtids(p, at, e) : code;
}

/* SHOW MASTER STATUS was taken away in 8.4. */
enum err_code my_show_place(struct my_source *p, struct my_position *at, struct err *e)
{
    MYSQL_RES *result = NULL;
    enum err_code code = my_link_run(p->link, "SHOW MASTER STATUS", &result, &p->wait, e);

    if (code == ERR_SYNTAX)
        code = my_link_run(p->link, "SHOW BINARY LOG STATUS", &result, &p->wait, e);
    if (code == ERR_OK)
        code = take_place(result, 0, 1, at, e);
    if (result)
        my.free_result(result);
    return code;
}

static enum err_code snapshot_mysql(struct my_source *p, struct my_position *at, struct err *e)
{
    enum err_code code = run(p, "FLUSH TABLES WITH READ LOCK", e);

    if (code == ERR_OK)
        code = run(p, "START TRANSACTION WITH CONSISTENT SNAPSHOT", e);
    else
        (void)err_wrap(e, "a consistent copy needs the privilege RELOAD for a moment");
    if (code == ERR_OK)
        code = my_show_place(p, at, e);
    struct err ignored = ERR_INIT;
    if (code == ERR_OK)
        code = run(p, "UNLOCK TABLES", e);
    else if (!my_link_broken(p->link))
        (void)run(p, "UNLOCK TABLES", &ignored);
    return code;
}

static enum err_code begin_snapshot(struct my_source *p, struct my_position *at, struct err *e)
{
    enum err_code code = run(p, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", e);

    *at = (struct my_position){.pos = 0};
    memcpy(at->server, p->server, sizeof at->server);
    if (code != ERR_OK)
        return code;
    return my_link_is_mariadb(p->link) ? snapshot_mariadb(p, at, e) : snapshot_mysql(p, at, e);
}

/* Before much is copied: may this user read the log at all? */
static enum err_code try_log(struct my_source *p, const struct my_position *at, struct err *e)
{
    struct my_log *log = NULL;
    struct binlog_event event;
    enum err_code code = my_log_open(&log, &p->dsn, p->server_id, at, &p->wait, e);

    if (code == ERR_OK)
        code = my_log_next(log, &event, e);
    my_log_close(log);
    return code == ERR_OK ? ERR_OK : err_wrap(e, "the source's log cannot be read");
}

/* ---- rows ---- */

struct table_copy {
    struct my_source *p;
    const struct my_table *t;
    const struct my_column **source; /* those that are copied */
    struct mirror_column *columns;
    unsigned n;
    struct arena *arena; /* of a row */
    uint64_t rows, told;
};

static enum err_code put_row(struct table_copy *c, MYSQL_ROW row, const unsigned long *lengths,
                             struct err *e)
{
    arena_reset(c->arena);
    for (unsigned i = 0; i < c->n; i++) {
        c->columns[i] = (struct mirror_column){.name = c->source[i]->name, .value = value_null()};
        if (row[i] && my_value_of_text(c->source[i], row[i], lengths[i], c->arena,
                                       &c->columns[i].value, e) != ERR_OK)
            return e->code;
    }
    if (++c->rows - c->told == TELL_ROWS) {
        source_copied(c->p->source, TELL_ROWS);
        c->told = c->rows;
        FAULT_POINT("my_copy.rows");
    }
    return mirror_change(
        c->p->mirror,
        &(struct mirror_change){
            .op = MIRROR_INSERT, .table = c->t->name, .columns = c->columns, .n_columns = c->n},
        e);
}

static enum err_code copy_rows(struct table_copy *c, struct err *e)
{
    MYSQL_ROW row = NULL;
    unsigned long *lengths = NULL;
    MYSQL_RES *result = my.use_result(my_link_handle(c->p->link));
    enum err_code code = result ? ERR_OK : my_link_error(c->p->link, e);

    do {
        if (code == ERR_OK)
            code = my_link_row(c->p->link, result, &row, &lengths, &c->p->wait, e);
        if (code == ERR_OK && row)
            code = put_row(c, row, lengths, e);
    } while (code == ERR_OK && row);
    if (code != ERR_OK) /* the rest would be read, whatever it takes */
        my_link_break(c->p->link);
    if (result && code == ERR_OK)
        my.free_result(result);
    source_copied(c->p->source, c->rows - c->told);
    return code;
}

static void put_select(struct table_copy *c, struct buf *sql)
{
    buf_puts(sql, "SELECT ");
    for (unsigned i = 0; i < c->n; i++) {
        buf_puts(sql, i ? ", " : "");
        my_put_selected(sql, c->source[i]);
    }
    buf_puts(sql, " FROM ");
    my_put_name(sql, c->t->schema);
    buf_putc(sql, '.');
    my_put_name(sql, c->t->name);
}

static enum err_code copy_table(struct my_source *p, const struct my_table *t, struct err *e)
{
    struct table_copy c = {.p = p, .t = t, .arena = arena_new()};
    struct buf sql = BUF_INIT;

    c.source = calloc(t->n_columns, sizeof *c.source); /* NOLINT(bugprone-sizeof-expression) */
    c.columns = calloc(t->n_columns, sizeof *c.columns);
    bool room = c.source && c.columns && c.arena;
    enum err_code code = room ? ERR_OK : my_out_of_memory(e);
    for (unsigned i = 0; i < t->n_columns && room; i++)
        if (!t->columns[i].virtual)
            c.source[c.n++] = &t->columns[i];
    if (room) {
        put_select(&c, &sql);
        code = buf_ok(&sql) ? my_link_send(p->link, sql.data, sql.len, &p->wait, e)
                            : my_out_of_memory(e);
    }
    if (room && code == ERR_OK)
        code = copy_rows(&c, e);
    if (code == ERR_OK)
        LOG_INFO("table copied from the source", LOG_STR("table", t->name),
                 LOG_UINT("rows", c.rows));
    buf_free(&sql);
    free(c.source);
    free(c.columns);
    if (c.arena)
        arena_free(c.arena);
    return code == ERR_OK ? ERR_OK : err_wrap(e, "copy of table %.100s", t->name);
}

/* ---- the whole ---- */

/* --mysql-dump-db and --mysql-dump-include: what is copied; the others are only followed. */
static bool is_copied(const struct my_source *p, const struct my_table *t)
{
    bool found = p->dumped == NULL;

    for (char **name = p->dumped; name && *name; name++)
        found = found || strcmp(*name, t->name) == 0;
    return found && (!*p->opt.dump_db || strcmp(p->opt.dump_db, t->schema) == 0);
}

enum err_code my_load_tables(struct my_source *p, struct err *e)
{
    my_tables_free(&p->tables);
    enum err_code code = my_tables_load(&p->tables, p->link, p->filter, &p->wait, e);

    p->tables_at = (struct my_position){.pos = 0};
    if (code == ERR_OK)
        code = my_tables_check(&p->tables, e);
    return code == ERR_OK ? my_show_place(p, &p->tables_at, e) : code;
}

static enum err_code copy_tables(struct my_source *p, struct err *e)
{
    enum err_code code = my_load_tables(p, e);

    if (code == ERR_OK && p->tables.n == 0)
        LOG_WARN("the source has no table that --mysql-include takes",
                 LOG_STR("include", p->opt.include));
    if (code == ERR_OK)
        code = my_check_tables(p, e);
    for (size_t i = 0; i < p->tables.n && code == ERR_OK; i++) {
        code = my_prepare_table(p, &p->tables.all[i], e);
        if (code == ERR_OK && is_copied(p, &p->tables.all[i]))
            code = copy_table(p, &p->tables.all[i], e);
    }
    return code;
}

static enum err_code commit(struct my_source *p, const struct my_position *at, struct err *e)
{
    struct buf text = BUF_INIT;

    my_position_put(&text, at);
    enum err_code code = buf_ok(&text)
                             ? source_commit(p->source, buf_cstr(&text), clock_wall_ns(), 0, e)
                             : my_out_of_memory(e);
    buf_free(&text);
    return code;
}

enum err_code my_copy_all(struct my_source *p, struct err *e)
{
    struct my_position at;
    int64_t started = clock_mono_ns();

    source_is_copying(p->source);
    enum err_code code = mirror_begin(p->mirror, e);
    if (code == ERR_OK)
        code = begin_snapshot(p, &at, e);
    if (code == ERR_OK)
        code = try_log(p, &at, e);
    FAULT_POINT("my_copy.snapshot");
    if (code == ERR_OK)
        code = copy_tables(p, e);
    if (code == ERR_OK)
        code = run(p, "COMMIT", e);
    uint64_t rows = mirror_pending_changes(p->mirror);
    FAULT_POINT("my_copy.copied");
    if (code == ERR_OK)
        code = commit(p, &at, e);
    if (code == ERR_OK) {
        p->copy_again = false;
        LOG_INFO("the source is copied", LOG_STR("db", source_options(p->source)->database),
                 LOG_STR("file", at.file), LOG_UINT("pos", at.pos), LOG_UINT("changes", rows),
                 LOG_INT("ms", (clock_mono_ns() - started) / CLOCK_MS));
    }
    return code;
}
