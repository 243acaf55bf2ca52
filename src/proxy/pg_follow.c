/*
 * Following a slot. Transactions of the source come whole, one behind the other, in the order of
 * their commits. As many of them as have come already go into one local transaction, up to
 * GROUP_BYTES: while one group is committed the next one gathers.
 *
 *   Begin ─ { Relation | Insert | Update | Delete | Truncate }… ─ Commit ─ more there? ─ no ─
 * commit └─ yes ─► Begin …
 *
 * What is confirmed to the server is the tracker's position, never more: it may forget that. Where
 * nothing that is published happens for a long time, the tracker is moved all the same now and
 * then, so that the server need not keep everything else that was written.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "proto/pgoutput.h"
#include "proto/pgtype.h"
#include "proxy/pg_impl.h"

#define GROUP_BYTES        ((uint64_t)4 * 1024 * 1024) /* put aside, then the group is committed */
#define GROUP_TRANSACTIONS 10000
#define STATUS_NS          (5 * CLOCK_S)                /* between two confirmations, at most */
#define STATUS_LEAST_NS    (200 * CLOCK_MS)             /* … and at least */
#define IDLE_BYTES         ((uint64_t)16 * 1024 * 1024) /* of the WAL, then the tracker is moved */

/* A table as the server has described it in this session. */
struct relation {
    uint32_t id;
    char *schema, *table;
    struct pgoutput_column *columns; /* names are owned; types of domains resolved */
    size_t n;
};

/* A table as it is here, what was put aside included: only this thread changes it. */
struct local {
    char *name;
    struct mirror_table table;
};

struct follower {
    struct pg_source *p;
    struct pgoutput *decoder;
    struct local *locals;
    size_t n_locals, cap_locals;
    struct relation *relations;
    size_t n_relations, cap_relations;
    uint64_t position;     /* the tracker's */
    uint64_t confirmed;    /* last told */
    uint64_t received;     /* the end of what has come */
    int64_t status_ns;     /* when it was told */
    bool in_tx;            /* between Begin and Commit */
    uint64_t transactions; /* whole ones in the open group */
    uint64_t next;         /* the position of the last of them … */
    int64_t next_time_ns;  /* … and when it was committed */
    /* of a change; kept for the next one */
    struct mirror_column *columns, *keys;
    bool *columns_scratch, *keys_scratch;
    size_t cap;
    struct buf scratch;
};

static enum err_code out_of_memory(struct err *e)
{
    err_set(e, ERR_NO_MEMORY, "out of memory");
    return ERR_NO_MEMORY;
}

/* ---- tables ---- */

static void clear_relation(struct relation *r)
{
    for (size_t i = 0; i < r->n; i++)
        free((char *)(uintptr_t)r->columns[i].name);
    free(r->columns);
    free(r->schema);
    free(r->table);
    *r = (struct relation){.id = r->id};
}

static struct relation *find_relation(struct follower *f, uint32_t id)
{
    for (size_t i = 0; i < f->n_relations; i++)
        if (f->relations[i].id == id)
            return &f->relations[i];
    return NULL;
}

static enum err_code find_local(struct follower *f, const char *name, struct local **out,
                                struct err *e)
{
    for (size_t i = 0; i < f->n_locals; i++)
        if (strcasecmp(f->locals[i].name, name) == 0) {
            *out = &f->locals[i];
            return ERR_OK;
        }
    struct local *l = array_room(f->locals, f->n_locals, &f->cap_locals, sizeof *l);
    if (!l)
        return out_of_memory(e);
    f->locals = l;
    l += f->n_locals;
    *l = (struct local){.name = strdup(name)};
    if (!l->name)
        return out_of_memory(e);
    f->n_locals++;
    *out = l;
    return mirror_describe(f->p->mirror, name, &l->table, e);
}

static enum err_code room_for_columns(struct follower *f, size_t n, struct err *e)
{
    if (n <= f->cap)
        return ERR_OK;
    free(f->columns);
    free(f->keys);
    free(f->columns_scratch);
    free(f->keys_scratch);
    f->columns = calloc(n, sizeof *f->columns);
    f->keys = calloc(n, sizeof *f->keys);
    f->columns_scratch = calloc(n, sizeof *f->columns_scratch);
    f->keys_scratch = calloc(n, sizeof *f->keys_scratch);
    bool ok = f->columns && f->keys && f->columns_scratch && f->keys_scratch;
    f->cap = ok ? n : 0;
    return ok ? ERR_OK : out_of_memory(e);
}

static enum err_code keep_relation(struct follower *f, const struct pgoutput_message *m,
                                   struct relation **out, struct err *e)
{
    struct relation *r = find_relation(f, m->relation);

    if (!r) {
        r = array_room(f->relations, f->n_relations, &f->cap_relations, sizeof *r);
        if (!r)
            return out_of_memory(e);
        f->relations = r;
        r += f->n_relations++;
        *r = (struct relation){.id = m->relation};
    }
    clear_relation(r);
    r->schema = strdup(m->schema);
    r->table = strdup(m->table);
    r->columns = calloc(m->n_columns + 1, sizeof *r->columns);
    bool ok = r->schema && r->table && r->columns;
    for (size_t i = 0; ok && i < m->n_columns; i++) {
        r->columns[i] = m->columns[i];
        r->columns[i].type = pg_domains_base(&f->p->domains, m->columns[i].type);
        r->columns[i].name = strdup(m->columns[i].name);
        ok = r->columns[i].name != NULL;
        r->n = i + 1;
    }
    *out = r;
    return ok ? room_for_columns(f, r->n, e) : out_of_memory(e);
}

static enum err_code forget_fit(struct follower *f, struct err *e)
{
    f->p->copy_again = true;
    return err_wrap(e, "the tables are made and copied anew");
}

/* The catalog's word on the table; its columns may be newer than the message. */
static enum err_code load_table(struct follower *f, const struct relation *r, struct pg_tables *out,
                                struct err *e)
{
    struct pg_source *p = f->p;
    struct pg_link *l = NULL;
    enum err_code code = pg_link_open(&l, p->opt.dsn, NULL, &p->wait, e);

    *out = (struct pg_tables){0};
    if (code == ERR_OK)
        code = pg_tables_load(out, l, p->opt.publication, r->schema, r->table, &p->domains,
                              &p->wait, e);
    pg_link_close(l);
    if (code == ERR_OK && out->n == 0)
        code =
            err_set(e, ERR_NO_TABLE, "table %.100s is not in the publication any more", r->table);
    return code;
}

static const struct pg_column *catalog_column(const struct pg_table *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

static enum err_code change_sql(struct follower *f, struct buf *sql, struct err *e)
{
    enum err_code code = mirror_change(
        f->p->mirror, &(struct mirror_change){.op = MIRROR_SQL, .sql = buf_cstr(sql)}, e);

    buf_reset(sql);
    return code;
}

static enum err_code add_columns(struct follower *f, const struct relation *r, struct local *local,
                                 const struct pg_table *t, struct err *e)
{
    struct buf sql = BUF_INIT;
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < r->n && code == ERR_OK; i++) {
        if (mirror_table_has(&local->table, r->columns[i].name))
            continue;
        const struct pg_column *c = catalog_column(t, r->columns[i].name);
        if (!c) {
            code = err_set(e, ERR_NO_COLUMN, "column %.60s of table %.60s is gone again",
                           r->columns[i].name, r->table);
            break;
        }
        code = pg_table_add_column(t, c, &sql, e);
        if (code == ERR_OK)
            code = change_sql(f, &sql, e);
        if (code == ERR_OK)
            code = mirror_table_add(&local->table, c->name, e);
    }
    buf_free(&sql);
    return code == ERR_UNSUPPORTED || code == ERR_NO_COLUMN ? forget_fit(f, e) : code;
}

static enum err_code create_table(struct follower *f, struct local *local, const struct pg_table *t,
                                  struct err *e)
{
    struct buf sql = BUF_INIT;
    enum err_code code = pg_table_create(t, &sql, e);

    if (code == ERR_OK)
        code = change_sql(f, &sql, e);
    for (size_t i = 0; i < t->n_columns && code == ERR_OK; i++)
        code = mirror_table_add(&local->table, t->columns[i].name, e);
    buf_free(&sql);
    return code;
}

/* Has the table here a column that the source's has not (any more)? */
static bool has_more(const struct mirror_table *local, const struct relation *r)
{
    for (size_t i = 0; i < local->n_columns; i++) {
        size_t k = 0;
        while (k < r->n && strcasecmp(r->columns[k].name, local->columns[i]) != 0)
            k++;
        if (k == r->n)
            return true;
    }
    return false;
}

static enum err_code table_changed(struct follower *f, const struct relation *r, struct err *e)
{
    err_set(e, ERR_UNSUPPORTED, "table %.100s of the source has changed", r->table);
    return forget_fit(f, e);
}

/* --proxy-use-schema: the table here becomes what the source's is. */
static enum err_code follow_schema(struct follower *f, const struct relation *r, struct err *e)
{
    struct pg_tables t;
    struct local *local = NULL;
    enum err_code code = find_local(f, r->table, &local, e);
    if (code != ERR_OK)
        return code;
    if (has_more(&local->table, r))
        return table_changed(f, r, e);
    bool fits = local->table.n_columns > 0;
    for (size_t i = 0; i < r->n; i++)
        fits = fits && mirror_table_has(&local->table, r->columns[i].name);
    if (fits)
        return ERR_OK;
    code = load_table(f, r, &t, e);
    if (code == ERR_OK)
        code = local->table.n_columns > 0 ? add_columns(f, r, local, &t.all[0], e)
                                          : create_table(f, local, &t.all[0], e);
    pg_tables_free(&t);
    return code;
}

/* Is a column gone, or another one's type changed? Then rows have changed that nobody sends. */
static bool has_changed(const struct relation *r, const struct pgoutput_message *m,
                        const struct pg_domains *d)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct pgoutput_column *was = &r->columns[i];
        size_t k = 0;
        while (k < m->n_columns && strcmp(m->columns[k].name, was->name) != 0)
            k++;
        if (k == m->n_columns || pg_domains_base(d, m->columns[k].type) != was->type)
            return true;
    }
    return false;
}

/* The server describes a table before its first row, and again when it has changed. */
static enum err_code on_relation(struct follower *f, const struct pgoutput_message *m,
                                 struct err *e)
{
    bool use_schema = source_options(f->p->source)->use_schema;
    struct relation *r = find_relation(f, m->relation);

    if (use_schema && r && has_changed(r, m, &f->p->domains))
        return table_changed(f, r, e);
    enum err_code code = keep_relation(f, m, &r, e);
    return code == ERR_OK && use_schema ? follow_schema(f, r, e) : code;
}

/* ---- rows ---- */

static void put_value(struct follower *f, const struct relation *r, size_t i,
                      const struct pgoutput_value *v, struct mirror_column *out, bool *in_scratch)
{
    out->name = r->columns[i].name;
    *in_scratch = false;
    if (v->kind == 'n')
        out->value = value_null();
    else
        pg_value(r->columns[i].type, v->data, v->len, &out->value, &f->scratch, in_scratch);
}

static enum err_code check_row(const struct relation *r, const struct pgoutput_tuple *t,
                               struct err *e)
{
    if (t->n != r->n)
        return err_set(e, ERR_FORMAT, "a row of table %.100s has %zu columns instead of %zu",
                       r->table, t->n, r->n);
    for (size_t i = 0; i < t->n; i++)
        if (t->values[i].kind == 'b')
            return err_set(e, ERR_FORMAT, "a value of table %.100s is not text", r->table);
    return ERR_OK;
}

/* The new row: what was not sent because it is stored apart and has not changed is left out. */
static void put_columns(struct follower *f, const struct relation *r,
                        const struct pgoutput_tuple *t, struct mirror_change *c)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->values[i].kind != 'u') {
            put_value(f, r, i, &t->values[i], &f->columns[c->n_columns],
                      &f->columns_scratch[c->n_columns]);
            c->n_columns++;
        }
}

/* By what the old row is known: `t` is the old row or, where its identity has not changed, the new
 * one. */
static void put_keys(struct follower *f, const struct relation *r, const struct pgoutput_tuple *t,
                     bool identity, struct mirror_change *c)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->values[i].kind != 'u' && (!identity || r->columns[i].key)) {
            put_value(f, r, i, &t->values[i], &f->keys[c->n_keys], &f->keys_scratch[c->n_keys]);
            c->n_keys++;
        }
}

static enum err_code on_row(struct follower *f, const struct pgoutput_message *m, struct err *e)
{
    static const enum mirror_op ops[] = {[PGOUTPUT_INSERT] = MIRROR_INSERT,
                                         [PGOUTPUT_UPDATE] = MIRROR_UPDATE,
                                         [PGOUTPUT_DELETE] = MIRROR_DELETE};
    const struct relation *r = find_relation(f, m->relation);
    bool new = m->type != PGOUTPUT_DELETE;

    if (!r)
        return err_set(e, ERR_FORMAT, "a row of a table that was not described");
    enum err_code code = m->old_row.values ? check_row(r, &m->old_row, e) : ERR_OK;
    if (code == ERR_OK && new)
        code = check_row(r, &m->new_row, e);
    if (code != ERR_OK)
        return code;
    struct mirror_change c = {
        .op = ops[m->type], .table = r->table, .columns = f->columns, .keys = f->keys};
    buf_reset(&f->scratch);
    if (new)
        put_columns(f, r, &m->new_row, &c);
    if (m->old_row.values)
        put_keys(f, r, &m->old_row, m->old_key, &c);
    else if (m->type == PGOUTPUT_UPDATE)
        put_keys(f, r, &m->new_row, true, &c);
    if (!buf_ok(&f->scratch))
        return out_of_memory(e);
    for (size_t i = 0; i < c.n_columns; i++)
        if (f->columns_scratch[i])
            pgtype_settle(&f->columns[i].value, &f->scratch);
    for (size_t i = 0; i < c.n_keys; i++)
        if (f->keys_scratch[i])
            pgtype_settle(&f->keys[i].value, &f->scratch);
    return mirror_change(f->p->mirror, &c, e);
}

static enum err_code on_truncate(struct follower *f, const struct pgoutput_message *m,
                                 struct err *e)
{
    for (size_t i = 0; i < m->n_relations; i++) {
        const struct relation *r = find_relation(f, m->relations[i]);
        if (!r)
            return err_set(e, ERR_FORMAT, "TRUNCATE of a table that was not described");
        struct mirror_change c = {.op = MIRROR_TRUNCATE, .table = r->table};
        if (mirror_change(f->p->mirror, &c, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}

/* ---- what is confirmed ---- */

static enum err_code tell(struct follower *f, struct err *e)
{
    struct buf b = BUF_INIT;

    pgoutput_put_status(&b, f->received > f->position ? f->received : f->position, f->position,
                        f->position, clock_wall_ns());
    enum err_code code =
        buf_ok(&b) ? pg_link_put(f->p->link, b.data, b.len, &f->p->wait, e) : out_of_memory(e);
    buf_free(&b);
    f->confirmed = f->position;
    f->status_ns = clock_mono_ns();
    return code;
}

/* How long ago the source committed what is just coming (0 = nothing is), by both clocks. Where its
 * WAL ends the messages do not say. */
static void tell_lag(struct follower *f, int64_t committed_ns)
{
    int64_t ms = committed_ns ? (clock_wall_ns() - committed_ns) / CLOCK_MS : 0;

    source_behind(f->p->source, ms > 0 ? (uint64_t)ms : 0);
}

static enum err_code commit_at(struct follower *f, uint64_t position, int64_t time_ns,
                               uint64_t transactions, struct err *e)
{
    char text[PGOUTPUT_LSN_SIZE];

    pgoutput_print_lsn(position, text);
    enum err_code code = source_commit(f->p->source, text, time_ns, transactions, e);
    if (code == ERR_OK) {
        f->position = position;
        FAULT_POINT("pg_follow.committed");
    }
    return code;
}

/* A change that the tables here do not take: they are not what they were made as. */
static bool is_misfit(enum err_code code)
{
    return code == ERR_NO_TABLE || code == ERR_NO_COLUMN || code == ERR_NOT_NULL ||
           code == ERR_CHECK || code == ERR_MISMATCH || code == ERR_UNSUPPORTED;
}

static enum err_code commit_group(struct follower *f, struct err *e)
{
    bool use_schema = source_options(f->p->source)->use_schema;
    uint64_t transactions = f->transactions;

    f->transactions = 0;
    enum err_code code = commit_at(f, f->next, f->next_time_ns, transactions, e);
    return code != ERR_OK && use_schema && is_misfit(code) ? forget_fit(f, e) : code;
}

/* Nothing is under way, and what the server has written since is not published: the tracker moves
 * over it. A server that asks for a status may be waiting for it to be confirmed before it shuts
 * down. */
static enum err_code move_on(struct follower *f, bool asked, struct err *e)
{
    uint64_t step = asked ? 1 : IDLE_BYTES;

    if (f->in_tx || f->transactions || f->received < f->position + step)
        return ERR_OK;
    enum err_code code = mirror_begin(f->p->mirror, e);
    return code == ERR_OK ? commit_at(f, f->received, 0, 0, e) : code;
}

/* ---- messages ---- */

static enum err_code on_begin(struct follower *f, const struct pgoutput_message *m, struct err *e)
{
    if (f->in_tx)
        return err_set(e, ERR_FORMAT, "a transaction begins inside another one");
    f->in_tx = true;
    tell_lag(f, m->time_ns);
    return f->transactions == 0 ? mirror_begin(f->p->mirror, e) : ERR_OK;
}

static enum err_code on_commit(struct follower *f, const struct pgoutput_message *m, struct err *e)
{
    if (!f->in_tx)
        return err_set(e, ERR_FORMAT, "a commit without a transaction");
    f->in_tx = false;
    f->transactions++;
    f->next = m->lsn;
    f->next_time_ns = m->time_ns;
    return ERR_OK;
}

static enum err_code on_message(struct follower *f, const struct pgoutput_frame *frame,
                                struct err *e)
{
    struct pgoutput_message m;

    if (!pgoutput_read(f->decoder, frame->data, frame->len, &m))
        return err_set(e, ERR_FORMAT, "a message of the source cannot be read (kind '%c')",
                       frame->len > 0 && frame->data[0] > ' ' ? frame->data[0] : '?');
    if (!f->in_tx && m.type != PGOUTPUT_BEGIN && m.type != PGOUTPUT_OTHER)
        return err_set(e, ERR_FORMAT, "a change outside of a transaction");
    switch (m.type) {
    case PGOUTPUT_BEGIN:
        return on_begin(f, &m, e);
    case PGOUTPUT_COMMIT:
        return on_commit(f, &m, e);
    case PGOUTPUT_RELATION:
        return on_relation(f, &m, e);
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE:
        return on_row(f, &m, e);
    case PGOUTPUT_TRUNCATE:
        return on_truncate(f, &m, e);
    case PGOUTPUT_OTHER:
        break;
    }
    return ERR_OK;
}

static enum err_code on_frame(struct follower *f, const char *bytes, size_t len, struct err *e)
{
    struct pgoutput_frame frame;

    if (!pgoutput_frame(bytes, len, &frame))
        return err_set(e, ERR_FORMAT, "the source sends what is no replication message");
    if (frame.kind == PGOUTPUT_DATA) {
        if (frame.start > f->received)
            f->received = frame.start;
        return on_message(f, &frame, e);
    }
    /* Everything before that which is published has been sent. */
    if (frame.end > f->received)
        f->received = frame.end;
    enum err_code code = move_on(f, frame.reply, e);
    return code == ERR_OK && frame.reply ? tell(f, e) : code;
}

/* ---- the loop ---- */

static bool is_due(const struct follower *f)
{
    int64_t since = clock_mono_ns() - f->status_ns;

    return since >= STATUS_NS || (f->position != f->confirmed && since >= STATUS_LEAST_NS);
}

/* Nothing has come: a good time for what waits. */
static enum err_code pause_for(struct follower *f, struct err *e)
{
    struct wait w = f->p->wait;
    enum err_code code = ERR_OK;

    if (f->transactions > 0 && !f->in_tx)
        code = commit_group(f, e);
    if (code == ERR_OK && !f->in_tx)
        tell_lag(f, 0);
    if (code == ERR_OK && is_due(f))
        code = tell(f, e);
    if (code != ERR_OK)
        return code;
    w.deadline_ns = f->status_ns + (f->position != f->confirmed ? STATUS_LEAST_NS : STATUS_NS);
    code = pg_link_wait(f->p->link, &w, e);
    if (code != ERR_TIMEOUT)
        return code;
    err_clear(e);
    return ERR_OK;
}

static enum err_code run(struct follower *f, struct err *e)
{
    enum err_code code = ERR_OK;
    char *bytes = NULL;
    size_t len = 0;
    bool end = false;

    while (code == ERR_OK && !source_stopping(f->p->source)) {
        code = pg_link_try_copied(f->p->link, &bytes, &len, &end, e);
        if (code != ERR_OK)
            return code;
        if (end)
            return pg_link_ended(f->p->link, &f->p->wait, e) == ERR_OK
                       ? err_set(e, ERR_SHUTDOWN, "the source has ended the replication")
                       : e->code;
        if (!bytes) {
            code = pause_for(f, e);
            continue;
        }
        code = on_frame(f, bytes, len, e);
        pq.freemem(bytes);
        if (code == ERR_OK && !f->in_tx && f->transactions > 0 &&
            (mirror_pending_bytes(f->p->mirror) >= GROUP_BYTES ||
             f->transactions >= GROUP_TRANSACTIONS))
            code = commit_group(f, e);
        if (code == ERR_OK && is_due(f))
            code = tell(f, e);
    }
    return code;
}

static enum err_code start(struct follower *f, struct err *e)
{
    struct pg_source *p = f->p;
    struct buf sql = BUF_INIT;
    char at[PGOUTPUT_LSN_SIZE];
    char *name = pg_link_name(p->link, p->opt.publication);

    pgoutput_print_lsn(f->position, at);
    buf_printf(&sql, "START_REPLICATION SLOT %s LOGICAL %s (proto_version '1', publication_names ",
               p->opt.slot, at);
    pg_link_put_literal(p->link, &sql, name ? name : "");
    free(name);
    /* Marks of those who wait for their own writes (pg_upstream.c): transactions of their own. */
    buf_puts(&sql,
             pq.serverVersion(pg_link_handle(p->link)) >= 140000 ? ", messages 'true')" : ")");
    enum err_code code =
        buf_ok(&sql) ? pg_link_copy(p->link, buf_cstr(&sql), &p->wait, e) : out_of_memory(e);
    buf_free(&sql);
    return code;
}

enum err_code pg_follow(struct pg_source *p, uint64_t position, struct err *e)
{
    struct follower f = {.p = p,
                         .position = position,
                         .confirmed = position,
                         .received = position,
                         .decoder = pgoutput_new()};
    enum err_code code = f.decoder ? start(&f, e) : out_of_memory(e);

    f.status_ns = clock_mono_ns();
    if (code == ERR_OK) {
        source_is_following(p->source);
        code = run(&f, e);
    }
    while (f.n_relations > 0)
        clear_relation(&f.relations[--f.n_relations]);
    free(f.relations);
    while (f.n_locals > 0) {
        mirror_table_free(&f.locals[--f.n_locals].table);
        free(f.locals[f.n_locals].name);
    }
    free(f.locals);
    free(f.columns);
    free(f.keys);
    free(f.columns_scratch);
    free(f.keys_scratch);
    buf_free(&f.scratch);
    pgoutput_free(f.decoder);
    return code;
}
