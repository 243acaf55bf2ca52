#include "sql/position.h"

#include <stdio.h>
#include <string.h>

#include "sql/stmt.h"

/* Always with the schema's name: nothing temporary may stand before it. */
static const char sql_create[] =
    "CREATE TABLE IF NOT EXISTS main.ha_position("
    "id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, msg_id TEXT NOT NULL, "
    "stream TEXT NOT NULL, stream_created INTEGER NOT NULL)";
static const char sql_exists[] =
    "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND lower(name) = 'ha_position'";
static const char sql_load[] =
    "SELECT seq, msg_id, stream, stream_created FROM main.ha_position WHERE id = 1";
static const char sql_store[] =
    "INSERT INTO main.ha_position(id, seq, msg_id, stream, stream_created) VALUES(1, ?1, ?2, ?3, "
    "?4)"
    " ON CONFLICT(id) DO UPDATE SET seq = excluded.seq, msg_id = excluded.msg_id,"
    " stream = excluded.stream, stream_created = excluded.stream_created";
/* An index, a trigger or an internal table counts with the table it belongs to. */
static const char sql_content[] =
    "SELECT 1 FROM main.sqlite_schema WHERE lower(substr(tbl_name, 1, 3)) <> 'ha_'"
    " AND lower(substr(tbl_name, 1, 7)) <> 'sqlite_' LIMIT 1";

static enum err_code prepare(struct conn *c, const char *sql, struct stmt **s, struct err *e)
{
    const char *tail;
    enum err_code code;

    conn_trust(c, true);
    code = stmt_prepare(c, sql, strlen(sql), &tail, s, e);
    conn_trust(c, false);
    return code;
}

/* Does a query of ours answer a row? */
static enum err_code has_row(struct conn *c, const char *sql, bool *row, struct err *e)
{
    struct stmt *s;
    enum err_code code = prepare(c, sql, &s, e);

    *row = false;
    if (code == ERR_OK)
        code = stmt_step(s, row, e);
    stmt_release(s);
    return code;
}

enum err_code position_init(struct conn *c, struct err *e)
{
    bool exists;
    enum err_code code = has_row(c, sql_exists, &exists, e);

    if (code != ERR_OK || exists)
        return code;
    return conn_exec(c, sql_create, e);
}

static bool read_text(const struct value *v, char *out, size_t size)
{
    if (v->type != VALUE_TEXT || v->u.s.len >= size || memchr(v->u.s.data, '\0', v->u.s.len))
        return false;
    memcpy(out, v->u.s.data, v->u.s.len);
    out[v->u.s.len] = '\0';
    return true;
}

static enum err_code read_row(struct stmt *s, struct position *p, struct err *e)
{
    struct value seq = stmt_column(s, 0), id = stmt_column(s, 1);
    struct value stream = stmt_column(s, 2), created = stmt_column(s, 3);

    if (seq.type != VALUE_INTEGER || seq.u.i < 0 || created.type != VALUE_INTEGER ||
        !read_text(&id, p->msg_id, sizeof p->msg_id) ||
        !read_text(&stream, p->stream, sizeof p->stream))
        return err_set(e, ERR_CORRUPT, "the row of ha_position is damaged");
    p->seq = (uint64_t)seq.u.i;
    p->stream_created = created.u.i;
    return ERR_OK;
}

enum err_code position_load(struct conn *c, struct position *p, bool *found, struct err *e)
{
    struct stmt *s = NULL;
    bool exists;
    enum err_code code;

    *found = false;
    memset(p, 0, sizeof *p);
    code = has_row(c, sql_exists, &exists, e);
    if (code != ERR_OK || !exists)
        return code;
    code = prepare(c, sql_load, &s, e);
    if (code == ERR_OK)
        code = stmt_step(s, found, e);
    if (code == ERR_OK && *found)
        code = read_row(s, p, e);
    stmt_release(s);
    if (code != ERR_OK) {
        *found = false;
        memset(p, 0, sizeof *p);
    }
    return code;
}

enum err_code position_store(struct conn *c, const struct position *p, struct err *e)
{
    const struct value values[] = {
        value_int((int64_t)p->seq),
        value_text(p->msg_id, strnlen(p->msg_id, sizeof p->msg_id)),
        value_text(p->stream, strnlen(p->stream, sizeof p->stream)),
        value_int(p->stream_created),
    };
    int64_t last_rowid = conn_last_rowid(c);
    struct stmt *s;
    enum err_code code = prepare(c, sql_store, &s, e);
    bool row;

    for (unsigned i = 0; i < 4 && code == ERR_OK; i++)
        code = stmt_bind(s, i + 1, &values[i], e);
    if (code == ERR_OK)
        code = stmt_step(s, &row, e);
    stmt_release(s);
    conn_set_last_rowid(c, last_rowid); /* the users' own stays what it was */
    return code;
}

enum err_code position_has_content(struct conn *c, bool *content, struct err *e)
{
    return has_row(c, sql_content, content, e);
}
