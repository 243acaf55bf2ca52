#include "sql/content.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define CONTENT_CANCEL_ROWS 256u /* between two looks at `cancel` */

struct content_view {
    struct conn *conn;
};

/* A sum of digests: 4 words, little end first. */
struct sum {
    uint64_t word[4];
    uint64_t rows;
};

static sqlite3 *handle(const struct content_view *v)
{
    return conn_handle(v->conn);
}

enum err_code content_open(struct content_view **out, const struct conn_config *cfg, struct err *e)
{
    struct content_view *v = calloc(1, sizeof *v);
    *out = NULL;
    if (!v)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = conn_open(&v->conn, cfg, CONN_READER, e);
    if (code != ERR_OK) {
        free(v);
        return code;
    }
    conn_trust(v->conn, true);
    *out = v;
    return ERR_OK;
}

void content_close(struct content_view *v)
{
    if (!v)
        return;
    if (!sqlite3_get_autocommit(handle(v)))
        (void)sqlite3_exec(handle(v), "ROLLBACK", NULL, NULL, NULL);
    conn_trust(v->conn, false);
    conn_close(v->conn);
    free(v);
}

static enum err_code number(struct content_view *v, const char *sql, uint64_t *out, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(handle(v), sql, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(s);
    *out = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
    enum err_code code =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : conn_error(v->conn, rc, e);
    sqlite3_finalize(s);
    return code;
}

enum err_code content_freeze(struct content_view *v, uint64_t *seq, uint64_t *outbox, struct err *e)
{
    uint64_t there = 0;
    *outbox = 0;
    enum err_code code = conn_exec(v->conn, "BEGIN", e);
    if (code == ERR_OK) /* the first read is what fixes the moment */
        code = number(v, "SELECT seq FROM main.ha_position WHERE id = 1", seq, e);
    if (code == ERR_OK)
        code = number(v, "SELECT count(*) FROM main.sqlite_schema WHERE name = 'ha_outbox'", &there,
                      e);
    if (code == ERR_OK && there > 0)
        code = number(v, "SELECT count(*) FROM main.ha_outbox", outbox, e);
    return code;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void put_value(struct buf *b, sqlite3_stmt *s, int i)
{
    double real;
    uint64_t bits;
    const void *bytes;
    int type = sqlite3_column_type(s, i);
    buf_u8(b, (uint8_t)type);
    switch (type) {
    case SQLITE_INTEGER:
        buf_be64(b, (uint64_t)sqlite3_column_int64(s, i));
        break;
    case SQLITE_FLOAT:
        real = sqlite3_column_double(s, i);
        memcpy(&bits, &real, sizeof bits);
        buf_be64(b, bits);
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        bytes = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(s, i)
                                    : sqlite3_column_blob(s, i);
        buf_be64(b, (uint64_t)sqlite3_column_bytes(s, i));
        buf_put(b, bytes, (size_t)sqlite3_column_bytes(s, i));
        break;
    default:
        break;
    }
}

static void add(struct sum *sum, const unsigned char digest[SHA256_SIZE])
{
    unsigned carry = 0;
    for (size_t w = 0; w < 4; w++) {
        uint64_t x = 0;
        for (size_t i = 0; i < 8; i++)
            x |= (uint64_t)digest[8 * w + i] << (8 * i);
        uint64_t with = sum->word[w] + x;
        uint64_t all = with + carry;
        carry = with < x || all < with;
        sum->word[w] = all;
    }
    sum->rows++;
}

/* All rows of a statement. */
static enum err_code add_rows(struct content_view *v, const char *sql, const atomic_bool *cancel,
                              struct sum *sum, struct err *e)
{
    sqlite3_stmt *s = NULL;
    struct buf row = BUF_INIT;
    enum err_code code = ERR_OK;
    int rc = sqlite3_prepare_v2(handle(v), sql, -1, &s, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        unsigned char digest[SHA256_SIZE];
        rc = sqlite3_step(s);
        if (rc != SQLITE_ROW)
            break;
        buf_reset(&row);
        for (int i = 0; i < sqlite3_column_count(s); i++)
            put_value(&row, s, i);
        if (!buf_ok(&row)) {
            code = err_set(e, ERR_NO_MEMORY, "out of memory");
            break;
        }
        sha256(row.data, row.len, digest);
        add(sum, digest);
        if (sum->rows % CONTENT_CANCEL_ROWS == 0 && cancel && atomic_load(cancel)) {
            code = err_set(e, ERR_INTERRUPTED, "canceled");
            break;
        }
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = conn_error(v->conn, rc, e);
    sqlite3_finalize(s);
    buf_free(&row);
    return code;
}

static void tell(const char *name, const struct sum *sum,
                 void (*each)(void *arg, const struct content_table *t), void *arg)
{
    struct content_table t = {.name = name, .rows = sum->rows};
    for (size_t i = 0; i < SHA256_SIZE; i++)
        t.digest[i] = (unsigned char)(sum->word[i / 8] >> (8 * (i % 8)));
    each(arg, &t);
}

static enum err_code one_table(struct content_view *v, const char *name, const atomic_bool *cancel,
                               struct sum *sum, struct err *e)
{
    /* Counters of the ha_ tables are the node's own. */
    bool counters = strcmp(name, "sqlite_sequence") == 0;
    char *sql = sqlite3_mprintf("SELECT * FROM main.\"%w\"%s", name,
                                counters ? " WHERE name NOT LIKE 'ha\\_%' ESCAPE '\\'" : "");
    *sum = (struct sum){0};
    if (!sql)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = add_rows(v, sql, cancel, sum, e);
    sqlite3_free(sql);
    return code == ERR_OK ? code : err_wrap(e, "table \"%.100s\"", name);
}

enum err_code content_digest(struct content_view *v, const atomic_bool *cancel,
                             void (*each)(void *arg, const struct content_table *t), void *arg,
                             struct err *e)
{
    struct sum sum = {0};
    sqlite3_stmt *s = NULL;
    enum err_code code = add_rows(v,
                                  "SELECT type, name, tbl_name, sql FROM main.sqlite_schema"
                                  " WHERE tbl_name NOT LIKE 'ha\\_%' ESCAPE '\\'"
                                  " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                                  cancel, &sum, e);
    if (code == ERR_OK)
        code = add_rows(v, "PRAGMA main.user_version", cancel, &sum, e);
    if (code == ERR_OK)
        code = add_rows(v, "PRAGMA main.application_id", cancel, &sum, e);
    if (code != ERR_OK)
        return code;
    tell(CONTENT_SCHEMA, &sum, each, arg);
    int rc = sqlite3_prepare_v2(handle(v),
                                "SELECT name FROM main.sqlite_schema"
                                " WHERE type = 'table' AND rootpage > 0"
                                " AND name NOT LIKE 'ha\\_%' ESCAPE '\\'"
                                " AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY name",
                                -1, &s, NULL);
    while (code == ERR_OK && (rc == SQLITE_OK || rc == SQLITE_ROW)) {
        rc = sqlite3_step(s);
        if (rc != SQLITE_ROW)
            break;
        const char *name = (const char *)sqlite3_column_text(s, 0);
        code = one_table(v, name ? name : "", cancel, &sum, e);
        if (code == ERR_OK)
            tell(name ? name : "", &sum, each, arg);
    }
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = conn_error(v->conn, rc, e);
    sqlite3_finalize(s);
    return code;
}
