#include "sql/writer_schema.h"

#include <sqlite3.h>
#include <string.h>

#include "base/buf.h"
#include "sql/quote.h"
#include "sql/schema.h"

/* One pass over what lies in `temp`; *left is what it could not drop (yet: a parent before its
 * child, a shadow table before its virtual table). */
static enum err_code drop_temp_pass(struct conn *c, unsigned *dropped, unsigned *left,
                                    struct err *e)
{
    static const char list[] =
        "SELECT type, name FROM temp.sqlite_schema WHERE type IN ('table', 'view', 'trigger')"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type = 'table', type = 'view'";
    struct buf drops = BUF_INIT; /* terminated texts, one behind the other */
    sqlite3_stmt *st = NULL;
    enum err_code code = ERR_OK;
    int rc = sqlite3_prepare_v2(conn_handle(c), list, -1, &st, NULL);

    *dropped = *left = 0;
    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        buf_printf(&drops, "DROP %s temp.", (const char *)sqlite3_column_text(st, 0));
        quote_put_name(&drops, (const char *)sqlite3_column_text(st, 1));
        buf_putc(&drops, '\0');
        rc = SQLITE_OK;
    }
    if (rc != SQLITE_DONE)
        code = conn_error(c, rc, e);
    else if (!buf_ok(&drops))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    sqlite3_finalize(st);
    for (size_t at = 0; !code && at < drops.len; at += strlen(drops.data + at) + 1)
        *(conn_exec(c, drops.data + at, e) == ERR_OK ? dropped : left) += 1;
    buf_free(&drops);
    return code;
}

enum err_code writer_drop_temp(struct conn *c, struct err *e)
{
    unsigned dropped, left;
    enum err_code code;

    do {
        conn_trust(c, true);
        code = drop_temp_pass(c, &dropped, &left, e);
        conn_trust(c, false);
    } while (!code && left > 0 && dropped > 0);
    return code || left == 0 ? code : e->code;
}

/*
 * A foreign key that refers to a table behind a virtual one makes SQLite open a savepoint whenever
 * FTS5 writes there, which makes FTS5 write there, until the stack has run out (seen in 3.54.1). So
 * there shall be none.
 */
enum err_code writer_check_parents(struct conn *c, const struct stmt_ddl *d, bool has_virtual,
                                   struct err *e)
{
    static const char sql[] =
        "SELECT m.name, f.\"table\" FROM main.sqlite_schema m,"
        " pragma_foreign_key_list(m.name, 'main') f"
        " WHERE m.type = 'table' AND m.sql LIKE '%REFERENCES%'"
        " AND (?1 IS NULL OR m.name = ?1 COLLATE NOCASE)"
        " AND EXISTS (SELECT 1 FROM main.sqlite_schema v WHERE v.type = 'table' AND v.rootpage = 0"
        " AND lower(substr(f.\"table\", 1, length(v.name) + 1)) = lower(v.name) || '_') LIMIT 1";
    bool one = d->kind == DDL_CREATE_TABLE || (d->kind == DDL_ALTER && d->rename[0] == '\0');
    enum err_code code = ERR_OK;
    sqlite3_stmt *st = NULL;
    int rc;

    if (!one && d->kind != DDL_ALTER && d->kind != DDL_CREATE_VTABLE)
        return ERR_OK;
    if (d->kind != DDL_CREATE_VTABLE && !has_virtual)
        return ERR_OK;
    conn_trust(c, true);
    rc = sqlite3_prepare_v2(conn_handle(c), sql, -1, &st, NULL);
    if (rc == SQLITE_OK && one)
        rc = sqlite3_bind_text(st, 1, d->name, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        code = err_set(e, ERR_UNSUPPORTED,
                       "table %.100s must not refer to %.100s, which belongs to a virtual table",
                       (const char *)sqlite3_column_text(st, 0),
                       (const char *)sqlite3_column_text(st, 1));
    else if (rc != SQLITE_DONE)
        code = conn_error(c, rc, e);
    sqlite3_finalize(st);
    conn_trust(c, false);
    return code;
}

/*
 * A row without a key is known to the other nodes by its rowid. Where columns of the names rowid,
 * _rowid_ and oid hide that, it is known by its values alone, so there must never be two rows of
 * the same ones. Nor can such rows be given their rowids elsewhere: nobody must come to see them.
 */
struct writer_rowids writer_rowids(const struct table *t)
{
    bool hidden = t && t->kind == TABLE_USER && !t->without_rowid && !t->rowid_name;

    return (struct writer_rowids){hidden, hidden && t->alike};
}

enum err_code writer_check_rowids(const struct table *t, struct writer_rowids before, struct err *e)
{
    struct writer_rowids now = writer_rowids(t);

    if (now.alike && !before.alike)
        return err_set(e, ERR_UNSUPPORTED,
                       "equal rows of table %.100s could not be told apart on other nodes: it has "
                       "columns rowid, _rowid_ and oid, and no key; declare a PRIMARY KEY of NOT "
                       "NULL columns, or give one of the three another name",
                       t->name);
    if (before.hidden && !now.hidden && !t->without_rowid && !t->rowid_alias)
        return err_set(e, ERR_UNSUPPORTED,
                       "table %.100s has had columns rowid, _rowid_ and oid, and its rows may have "
                       "other rowids on other nodes; create a new table and copy the rows instead",
                       t->name);
    return ERR_OK;
}

enum err_code writer_check_file(const struct schema *s, struct err *e)
{
    enum err_code code = ERR_OK;

    for (const struct table *t = schema_next(s, NULL); t && !code; t = schema_next(s, t))
        code = writer_check_rowids(t, writer_rowids(NULL), e);
    return code;
}
