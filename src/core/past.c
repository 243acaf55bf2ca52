/* A message may hold some hundred transactions; it is read once, for all of them. */
#include "core/past.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"
#include "base/json.h"
#include "sql/change_text.h"

#define TXS_MAX 65536 /* of a message; a node writes 256 at most */

/* A transaction of the message: its pieces of what follows. */
struct part {
    struct past_item item;
    size_t sql, table; /* where its own begin */
};

struct past {
    struct history *log;
    struct history_range range;
    const struct history_message *message;
    unsigned index; /* of the transaction that was told last */

    /* of the message */
    struct part *parts;
    size_t n_parts, cap_parts;
    struct buf sql, scratch;
    struct past_table *tables;
    size_t n_tables, cap_tables;
};

enum err_code past_open(struct past **out, struct replica *r, const struct history_range *range,
                        const struct conn_guard *guard, struct err *e)
{
    struct past *p = calloc(1, sizeof *p);

    *out = p;
    if (!p)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    p->range = *range;
    buf_init(&p->scratch, PAST_SQL_BYTES);
    return history_open(&p->log, r, range->from, range->to, HISTORY_BEGIN_LATER, guard, e);
}

static void forget(struct past *p)
{
    while (p->n_tables > 0)
        free(p->tables[--p->n_tables].name);
    p->n_parts = 0;
    buf_reset(&p->sql);
}

void past_close(struct past *p)
{
    if (!p)
        return;
    history_close(p->log);
    forget(p);
    free(p->tables);
    free(p->parts);
    buf_free(&p->sql);
    buf_free(&p->scratch);
    free(p);
}

/* ---- a message ---- */

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* Transactions up to `index` are there. */
static enum err_code begin_parts(struct past *p, unsigned index, struct err *e)
{
    const struct history_message *m = p->message;

    if (index > TXS_MAX)
        return err_set(e, ERR_TOO_BIG, "message %llu has too many transactions",
                       (unsigned long long)m->seq);
    while (p->n_parts < index) {
        struct part *room = array_room(p->parts, p->n_parts, &p->cap_parts, sizeof *room);
        if (!room)
            return no_memory(e);
        p->parts = room;
        room += p->n_parts++;
        *room = (struct part){.item = {.at = {m->seq, (unsigned)p->n_parts},
                                       .alone = m->txs == 1,
                                       .node = m->info->node},
                              .sql = p->sql.len,
                              .table = p->n_tables};
        room->item.timestamp_ns = history_tx(m, (unsigned)p->n_parts).timestamp_ns;
        if (room->item.timestamp_ns == 0)
            room->item.timestamp_ns = m->time_ns;
    }
    return ERR_OK;
}

static struct past_table *find_table(struct past *p, const struct part *t, const char *name)
{
    for (size_t i = p->n_tables; i > t->table; i--) /* that of the change before is the last */
        if (strcasecmp(p->tables[i - 1].name, name) == 0)
            return &p->tables[i - 1];
    if (p->n_tables - t->table >= PAST_TABLES)
        return NULL;
    struct past_table *room = array_room(p->tables, p->n_tables, &p->cap_tables, sizeof *room);
    if (!room)
        return NULL;
    p->tables = room;
    room += p->n_tables;
    *room = (struct past_table){.name = strdup(name)};
    if (!room->name)
        return NULL;
    p->n_tables++;
    return room;
}

static void count(struct past *p, struct part *part, const struct change *c)
{
    struct past_table *t = c->op == CHANGE_SQL ? NULL : find_table(p, part, c->table);

    part->item.changes++;
    if (!t)
        return;
    t->inserted += c->op == CHANGE_INSERT;
    t->updated += c->op == CHANGE_UPDATE;
    t->deleted += c->op == CHANGE_DELETE;
}

static void put_statement(struct past *p, struct part *part, const struct change *c)
{
    struct past_item *item = &part->item;

    if (item->n_hidden == 0 && p->sql.len - part->sql < PAST_SQL_BYTES) {
        buf_reset(&p->scratch);
        change_put_sql(&p->scratch, c);
        if (buf_ok(&p->scratch)) {
            const char *text = buf_cstr(&p->scratch);
            buf_put(&p->sql, text, strlen(text) + 1);
            item->n_sql++;
            return;
        }
    }
    item->n_hidden++;
}

static enum err_code on_change(void *arg, unsigned index, const struct change *c, struct err *e)
{
    struct past *p = arg;

    if (index == 0)
        return ERR_OK;
    if (begin_parts(p, index, e) != ERR_OK)
        return e->code;
    if (c->op != CHANGE_SQL && strncmp(c->table, "sqlite_", 7) == 0)
        return ERR_OK;
    count(p, &p->parts[index - 1], c);
    put_statement(p, &p->parts[index - 1], c);
    return buf_ok(&p->sql) ? ERR_OK : no_memory(e);
}

static enum err_code read_message(struct past *p, struct err *e)
{
    forget(p);
    enum err_code code = history_changes(p->log, on_change, p, e);
    return code == ERR_OK ? begin_parts(p, p->message->txs, e) : code;
}

/* The first message begins with the transaction that was asked for. */
static enum err_code begin_message(struct past *p, struct err *e)
{
    const struct address *first = &p->range.first;
    const struct history_message *m = p->message;

    p->index = 0;
    if (first->index > 0 && first->seq >= m->first && first->seq <= m->seq) {
        if (first->index > m->txs)
            return history_no_such(m, first->index, e);
        p->index = first->index - 1;
    }
    return read_message(p, e);
}

enum err_code past_next(struct past *p, const struct past_item **item, struct err *e)
{
    *item = NULL;
    while (!p->message || p->index >= p->message->txs) {
        enum err_code code = history_next(p->log, &p->message, e);
        if (code == ERR_OK && p->message)
            code = begin_message(p, e);
        if (code != ERR_OK || !p->message)
            return code;
    }
    struct part *part = &p->parts[p->index++];
    bool last = p->index == p->n_parts;
    part->item.sql = p->sql.len > 0 ? p->sql.data + part->sql : "";
    part->item.tables = p->tables ? p->tables + part->table : NULL;
    part->item.n_tables = (last ? p->n_tables : part[1].table) - part->table;
    *item = &part->item;
    return ERR_OK;
}

static void put_count(struct buf *json, const char *name, uint64_t n, const char **comma)
{
    if (n == 0)
        return;
    buf_printf(json, "%s\"%s\":", *comma, name);
    buf_u64(json, n);
    *comma = ",";
}

void past_put_tables(struct buf *json, const struct past_item *item)
{
    buf_putc(json, '{');
    for (size_t i = 0; i < item->n_tables; i++) {
        const struct past_table *t = &item->tables[i];
        const char *comma = "";

        buf_puts(json, i > 0 ? "," : "");
        json_put_string(json, t->name, strlen(t->name));
        buf_puts(json, ":{");
        put_count(json, "inserted", t->inserted, &comma);
        put_count(json, "updated", t->updated, &comma);
        put_count(json, "deleted", t->deleted, &comma);
        buf_putc(json, '}');
    }
    buf_putc(json, '}');
}
