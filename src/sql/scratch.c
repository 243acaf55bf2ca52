#include "sql/scratch.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sql/cross_text.h"
#include "sql/stmt.h"

struct scratch {
    struct conn *conn;
    unsigned columns, all; /* all: with the added ones */
    struct stmt *insert;
};

/* With the collations of all columns, or NULL. */
static enum err_code make_table(struct scratch *s, unsigned hidden, const char *const *collations,
                                struct err *e)
{
    struct buf b = BUF_INIT;
    s->all = s->columns + hidden;
    buf_puts(&b, "DROP TABLE IF EXISTS \"ha:rows\"; CREATE TABLE \"ha:rows\" (");
    for (unsigned i = 0; i < s->all; i++) {
        bool added = i >= s->columns;
        buf_printf(&b, "%s\"ha:%c%u\"", i > 0 ? ", " : "", added ? 'h' : 'c',
                   added ? i - s->columns + 1 : i + 1);
        if (collations)
            buf_printf(&b, " COLLATE \"%s\"", collations[i]);
    }
    buf_putc(&b, ')');
    enum err_code code = buf_ok(&b) ? conn_exec(s->conn, buf_cstr(&b), e)
                                    : err_set(e, ERR_NO_MEMORY, "out of memory");
    buf_free(&b);
    return code;
}

enum err_code scratch_open(struct scratch **out, unsigned columns, const char *const *extensions,
                           struct err *e)
{
    const struct conn_config config = {.path = "", .extensions = extensions};
    struct scratch *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->columns = columns;
    enum err_code code = conn_open(&s->conn, &config, CONN_SCRATCH, e);
    if (code == ERR_OK)
        code = make_table(s, CROSS_HIDDEN, NULL, e);
    if (code != ERR_OK) {
        scratch_close(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

void scratch_close(struct scratch *s)
{
    if (!s)
        return;
    stmt_release(s->insert);
    conn_close(s->conn);
    free(s);
}

struct conn *scratch_conn(struct scratch *s)
{
    return s->conn;
}

bool scratch_can(void *arg, const char *merge)
{
    struct scratch *s = arg;
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(conn_handle(s->conn), merge, -1, &st, NULL);
    sqlite3_finalize(st);
    return rc == SQLITE_OK;
}

enum err_code scratch_begin(struct scratch *s, unsigned hidden, const char *const *collations,
                            struct err *e)
{
    struct buf b = BUF_INIT;
    const char *tail;
    enum err_code code = make_table(s, hidden, collations, e);
    if (code == ERR_OK)
        code = conn_exec(s->conn, "BEGIN", e);
    buf_puts(&b, "INSERT INTO \"ha:rows\" VALUES (");
    for (unsigned i = 0; i < s->all; i++)
        buf_puts(&b, i > 0 ? ", ?" : "?");
    buf_putc(&b, ')');
    if (code == ERR_OK && !buf_ok(&b))
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code == ERR_OK)
        code = stmt_prepare(s->conn, b.data, b.len, &tail, &s->insert, e);
    buf_free(&b);
    return code;
}

enum err_code scratch_add(struct scratch *s, const struct value *values, struct err *e)
{
    bool row = false;
    enum err_code code = ERR_OK;
    for (unsigned i = 0; i < s->all && code == ERR_OK; i++)
        code = stmt_bind(s->insert, i + 1, &values[i], e);
    if (code == ERR_OK)
        code = stmt_step(s->insert, &row, e);
    stmt_reset(s->insert);
    return code;
}

enum err_code scratch_end(struct scratch *s, struct err *e)
{
    stmt_release(s->insert);
    s->insert = NULL;
    return conn_exec(s->conn, "COMMIT", e);
}
