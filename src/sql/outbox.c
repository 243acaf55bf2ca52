#include "sql/outbox.h"

#include <stdio.h>
#include <string.h>

#include "sql/stmt.h"

/* Runs one of our own statements up to its first row, or to its end if it has none. The caller
 * releases *out, which is NULL after a failure. */
static enum err_code query(struct conn *c, const char *sql, const struct value *params, unsigned n,
                           struct stmt **out, bool *row, struct err *e)
{
    const char *tail;
    *out = NULL;
    *row = false;
    conn_trust(c, true);
    enum err_code code = stmt_prepare(c, sql, strlen(sql), &tail, out, e);
    conn_trust(c, false);
    for (unsigned i = 0; code == ERR_OK && i < n; i++)
        code = stmt_bind(*out, i + 1, &params[i], e);
    if (code == ERR_OK)
        code = stmt_step(*out, row, e);
    if (code != ERR_OK) {
        stmt_release(*out);
        *out = NULL;
    }
    return code;
}

static enum err_code run(struct conn *c, const char *sql, const struct value *params, unsigned n,
                         struct err *e)
{
    struct stmt *s;
    bool row;
    enum err_code code = query(c, sql, params, n, &s, &row, e);
    stmt_release(s);
    return code;
}

static struct value text(const char *s)
{
    return value_text(s, strlen(s));
}

enum err_code outbox_create(struct conn *c, struct err *e)
{
    return conn_exec(c,
                     "CREATE TABLE IF NOT EXISTS ha_outbox (id INTEGER PRIMARY KEY, "
                     "msg_id TEXT NOT NULL, base INTEGER NOT NULL, part INTEGER NOT NULL, "
                     "body BLOB NOT NULL);"
                     "CREATE INDEX IF NOT EXISTS ha_outbox_msg ON ha_outbox (msg_id, part)",
                     e);
}

enum err_code outbox_extent(struct conn *c, uint64_t *last_id, uint64_t *messages, struct err *e)
{
    struct stmt *s;
    bool row;
    enum err_code code =
        query(c, "SELECT coalesce(max(id), 0), count(DISTINCT msg_id) FROM ha_outbox", NULL, 0, &s,
              &row, e);
    if (code == ERR_OK && row) {
        *last_id = (uint64_t)stmt_column(s, 0).u.i;
        *messages = (uint64_t)stmt_column(s, 1).u.i;
    }
    stmt_release(s);
    return code;
}

enum err_code outbox_insert(struct conn *c, const struct outbox_place *at, const void *body,
                            size_t len, struct err *e)
{
    const struct value params[] = {value_int((int64_t)at->id), text(at->msg_id),
                                   value_int((int64_t)at->base), value_int((int64_t)at->part),
                                   value_blob(body, len)};
    return run(c, "INSERT INTO ha_outbox (id, msg_id, base, part, body) VALUES (?, ?, ?, ?, ?)",
               params, 5, e);
}

enum err_code outbox_next(struct conn *c, uint64_t after, struct outbox_entry *entry, bool *found,
                          struct err *e)
{
    struct stmt *s;
    bool row;
    struct value v = value_int((int64_t)after);
    *found = false;
    enum err_code code = query(
        c, "SELECT id, msg_id FROM ha_outbox WHERE id > ? ORDER BY id LIMIT 1", &v, 1, &s, &row, e);
    if (code != ERR_OK || !row) {
        stmt_release(s);
        return code;
    }
    struct value id = stmt_column(s, 1);
    entry->id = (uint64_t)stmt_column(s, 0).u.i;
    snprintf(entry->msg_id, sizeof entry->msg_id, "%.*s", (int)id.u.s.len, id.u.s.data);
    stmt_release(s);

    v = text(entry->msg_id);
    code = query(c, "SELECT max(id), sum(length(body)), min(base) FROM ha_outbox WHERE msg_id = ?",
                 &v, 1, &s, &row, e);
    if (code == ERR_OK && row) {
        entry->last_id = (uint64_t)stmt_column(s, 0).u.i;
        entry->len = (uint64_t)stmt_column(s, 1).u.i;
        entry->base = (uint64_t)stmt_column(s, 2).u.i;
        *found = entry->last_id >= entry->id; /* the applier may have taken it just now */
    }
    stmt_release(s);
    return code;
}

enum err_code outbox_read(struct conn *c, const struct outbox_entry *entry, uint64_t from,
                          uint64_t n, struct buf *out, struct err *e)
{
    for (uint64_t end = from + n; from < end;) {
        struct stmt *s;
        bool row;
        uint64_t part = from / OUTBOX_PART_BYTES;
        uint64_t skip = from % OUTBOX_PART_BYTES;
        const struct value params[] = {text(entry->msg_id), value_int((int64_t)part)};
        enum err_code code = query(c, "SELECT body FROM ha_outbox WHERE msg_id = ? AND part = ?",
                                   params, 2, &s, &row, e);
        if (code != ERR_OK)
            return code;
        struct value body = row ? stmt_column(s, 0) : value_null();
        if (body.type != VALUE_BLOB || body.u.s.len <= skip) {
            stmt_release(s);
            return err_set(e, ERR_NOT_FOUND, "the message is no longer in the outbox");
        }
        uint64_t here = body.u.s.len - skip;
        if (here > end - from)
            here = end - from;
        buf_put(out, body.u.s.data + skip, (size_t)here);
        from += here;
        stmt_release(s);
    }
    return buf_ok(out) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

enum err_code outbox_find(struct conn *c, const char *msg_id, uint64_t *id, bool *found,
                          struct err *e)
{
    struct stmt *s;
    struct value v = text(msg_id);
    enum err_code code = query(c, "SELECT id FROM ha_outbox WHERE msg_id = ? ORDER BY part LIMIT 1",
                               &v, 1, &s, found, e);
    if (code == ERR_OK && *found)
        *id = (uint64_t)stmt_column(s, 0).u.i;
    stmt_release(s);
    return code;
}

static enum err_code least(struct conn *c, const char *sql, uint64_t *least, bool *found,
                           struct err *e)
{
    struct stmt *s;
    bool row;
    *found = false;
    enum err_code code = query(c, sql, NULL, 0, &s, &row, e);
    if (code == ERR_OK && row && stmt_column(s, 0).type == VALUE_INTEGER) {
        *least = (uint64_t)stmt_column(s, 0).u.i;
        *found = true;
    }
    stmt_release(s);
    return code;
}

enum err_code outbox_first(struct conn *c, uint64_t *id, bool *found, struct err *e)
{
    return least(c, "SELECT min(id) FROM ha_outbox", id, found, e);
}

enum err_code outbox_least_base(struct conn *c, uint64_t *base, bool *found, struct err *e)
{
    return least(c, "SELECT min(base) FROM ha_outbox", base, found, e);
}

enum err_code outbox_take(struct conn *c, const char *msg_id, struct err *e)
{
    struct value v = text(msg_id);
    return run(c, "DELETE FROM ha_outbox WHERE msg_id = ?", &v, 1, e);
}

enum err_code outbox_rename(struct conn *c, const char *msg_id, const char *as, uint64_t base,
                            struct err *e)
{
    const struct value params[] = {text(as), value_int((int64_t)base), text(msg_id)};
    return run(c, "UPDATE ha_outbox SET msg_id = ?, base = ? WHERE msg_id = ?", params, 3, e);
}
