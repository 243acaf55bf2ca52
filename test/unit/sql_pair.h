/*
 * For the tests of src/sql: an origin (write connection with capture) and a copy (applier), and the
 * comparison of two files: table by table, value and storage class, rowids, schema, sequences.
 */
#ifndef HA_TEST_SQL_PAIR_H
#define HA_TEST_SQL_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* keeps this order: cmocka needs those above */
#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/spool.h"
#include "proto/changeset.h"
#include "sql/apply.h"
#include "sql/conn.h"
#include "sql/position.h"
#include "sql/stmt.h"
#include "sql/writer.h"

struct pair {
    char dir[64];
    char origin[80], copy[80];
    struct conn_config origin_cfg, copy_cfg;
    struct spool *spool;
    struct writer *w;
    struct apply *a;
    struct buf message; /* the last one */
    uint64_t seq;
    uint32_t changes; /* in the last message */
    struct err e;
};

__attribute__((unused)) static void pair_files(struct pair *p)
{
    memset(p, 0, sizeof *p);
    /* In memory where that is possible: these tests write much and power never fails in them. */
    (void)snprintf(p->dir, sizeof p->dir, "/dev/shm/ha-sql-XXXXXX");
    if (!mkdtemp(p->dir)) {
        (void)snprintf(p->dir, sizeof p->dir, "/tmp/ha-sql-XXXXXX");
        assert_non_null(mkdtemp(p->dir));
    }
    (void)snprintf(p->origin, sizeof p->origin, "%s/origin.db", p->dir);
    (void)snprintf(p->copy, sizeof p->copy, "%s/copy.db", p->dir);
    p->origin_cfg = (struct conn_config){.path = p->origin, .create = true, .foreign_keys = true};
    p->copy_cfg = (struct conn_config){.path = p->copy, .create = true};
    err_clear(&p->e);
}

#define PAIR_OK(p, call)                                                                           \
    do {                                                                                           \
        if ((call) != ERR_OK)                                                                      \
            fail_msg("%s: %s: %s", #call, err_name((p)->e.code), (p)->e.msg);                      \
    } while (0)

__attribute__((unused)) static void pair_connect(struct pair *p, enum apply_mode mode,
                                                 enum row_identify identify)
{
    p->spool = spool_new(p->dir, 1 << 20);
    assert_non_null(p->spool);
    PAIR_OK(p, writer_open(&p->w, &p->origin_cfg, p->spool, true, &p->e));
    PAIR_OK(p, apply_open(&p->a, &p->copy_cfg, mode, identify, &p->e));
    PAIR_OK(p, position_init(writer_conn(p->w), &p->e));
    PAIR_OK(p, position_init(apply_conn(p->a), &p->e));
}

__attribute__((unused)) static void pair_open(struct pair *p, enum apply_mode mode)
{
    pair_files(p);
    pair_connect(p, mode, ROW_BY_PK);
}

__attribute__((unused)) static void pair_remove(struct pair *p)
{
    static const char *const names[] = {"origin.db", "copy.db", "third.db", "fourth.db"};
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[4096];

    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 3; k++) {
            (void)snprintf(path, sizeof path, "%s/%s%s", p->dir, names[i], ends[k]);
            (void)unlink(path);
        }
    }
    (void)rmdir(p->dir);
}

__attribute__((unused)) static void pair_close(struct pair *p)
{
    writer_close(p->w);
    apply_close(p->a);
    spool_free(p->spool);
    buf_free(&p->message);
    pair_remove(p);
}

/* ---- the origin ---- */

/* One statement inside a transaction; its rows are thrown away. */
__attribute__((unused)) static enum err_code pair_step(struct pair *p, const char *sql,
                                                       bool savepoint)
{
    struct stmt *s = NULL;
    const char *tail;
    bool row = true;
    enum err_code code, end;
    struct err ignored = ERR_INIT;

    err_clear(&p->e);
    code = stmt_prepare(writer_conn(p->w), sql, strlen(sql), &tail, &s, &p->e);
    if (code)
        return code;
    assert_non_null(s);
    code = writer_stmt_begin(p->w, s, savepoint, &p->e);
    if (!code) {
        while (!code && row)
            code = stmt_step(s, &row, &p->e);
        end = writer_stmt_end(p->w, s, code == ERR_OK, code ? &ignored : &p->e);
        if (!code)
            code = end;
    }
    stmt_release(s);
    return code;
}

__attribute__((unused)) static void pair_begin(struct pair *p)
{
    spool_reset(p->spool);
    PAIR_OK(p, writer_begin(p->w, &p->e));
    PAIR_OK(p, writer_tx_begin(p->w, &p->e));
}

/* Makes the message of what the spool holds and commits the origin. */
__attribute__((unused)) static void pair_publish(struct pair *p, const struct changeset_tx *txs,
                                                 size_t n)
{
    char id[CHANGESET_ID_SIZE], piece[4096];
    uint64_t at = 0;
    size_t got;

    (void)snprintf(id, sizeof id, "m%llu", (unsigned long long)++p->seq);
    buf_reset(&p->message);
    changeset_put_head(&p->message, "n1");
    do {
        PAIR_OK(p, spool_read(p->spool, at, piece, sizeof piece, &got, &p->e));
        buf_put(&p->message, piece, got);
        at += got;
    } while (got > 0);
    changeset_put_tail(&p->message, id, "", "origin.db", 1,
                       &(struct changeset_txs){.txs = txs, .n = n});
    assert_true(buf_ok(&p->message));
    PAIR_OK(p, writer_commit(p->w, &p->e));
}

__attribute__((unused)) static void pair_end(struct pair *p)
{
    struct changeset_tx tx = {0, 1};

    PAIR_OK(p, writer_tx_end(p->w, &tx.changes, &p->e));
    p->changes = tx.changes;
    pair_publish(p, &tx, 1);
}

static void compare_files(const char *origin, const char *copy, bool exact);

/* ---- the copy ---- */

__attribute__((unused)) static enum err_code pair_apply_bytes(struct pair *p, const void *bytes,
                                                              size_t n)
{
    const struct changeset_info *info = NULL;
    struct position pos = {.seq = p->seq};
    enum err_code code;

    err_clear(&p->e);
    code = apply_begin(p->a, &p->e);
    if (!code)
        code = apply_message(p->a, bytes, n, &info, &p->e);
    if (!code)
        code = apply_commit(p->a, &pos, &p->e);
    if (code)
        apply_rollback(p->a);
    return code;
}

/* The whole origin as one message, applied to a new file `name` and compared. */
__attribute__((unused)) static void pair_dump(struct pair *p, const char *name,
                                              enum row_identify identify)
{
    char path[96];
    struct conn_config cfg = p->copy_cfg;
    struct apply *copy = p->a, *fresh = NULL;
    uint32_t dumped = 0;

    (void)snprintf(path, sizeof path, "%s/%s", p->dir, name);
    cfg.path = path;
    PAIR_OK(p, apply_open(&fresh, &cfg, APPLY_STRICT, identify, &p->e));
    PAIR_OK(p, position_init(apply_conn(fresh), &p->e));
    spool_reset(p->spool);
    PAIR_OK(p, writer_begin(p->w, &p->e));
    PAIR_OK(p, writer_tx_begin(p->w, &p->e));
    PAIR_OK(p, writer_dump(p->w, &dumped, &p->e));
    pair_end(p);
    assert_int_equal(p->changes, dumped);
    p->a = fresh;
    if (pair_apply_bytes(p, p->message.data, p->message.len))
        fail_msg("dump: %s: %s", err_name(p->e.code), p->e.msg);
    p->a = copy;
    apply_close(fresh);
    compare_files(p->origin, path, true);
}

__attribute__((unused)) static void pair_apply(struct pair *p)
{
    if (pair_apply_bytes(p, p->message.data, p->message.len) != ERR_OK)
        fail_msg("apply: %s: %s\n%.*s", err_name(p->e.code), p->e.msg, (int)p->message.len,
                 p->message.data);
}

/* All statements of `sql` as one transaction, through to the copy. */
__attribute__((unused)) static void pair_run(struct pair *p, const char *sql)
{
    const char *at = sql;

    pair_begin(p);
    while (*at) {
        struct stmt *s = NULL;
        const char *tail = NULL;
        bool row = true;

        if (stmt_prepare(writer_conn(p->w), at, strlen(at), &tail, &s, &p->e))
            fail_msg("%s: %s", at, p->e.msg);
        at = tail;
        if (!s)
            break;
        PAIR_OK(p, writer_stmt_begin(p->w, s, true, &p->e));
        while (row)
            if (stmt_step(s, &row, &p->e))
                fail_msg("%s: %s", stmt_sql(s), p->e.msg);
        if (writer_stmt_end(p->w, s, true, &p->e))
            fail_msg("%s: %s", stmt_sql(s), p->e.msg);
        stmt_release(s);
    }
    pair_end(p);
    pair_apply(p);
}

/* ---- comparison ---- */

__attribute__((unused)) static sqlite3 *pair_look(const char *path)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    return db;
}

static void show_value(struct buf *b, sqlite3_value *v)
{
    static const char *const types[] = {"?", "int", "real", "text", "blob", "null"};
    int type = sqlite3_value_type(v);
    const unsigned char *bytes = sqlite3_value_blob(v);
    int n = sqlite3_value_bytes(v);

    buf_printf(b, "%s:", types[type]);
    if (type == SQLITE_INTEGER)
        buf_i64(b, sqlite3_value_int64(v));
    else if (type == SQLITE_FLOAT)
        buf_printf(b, "%a", sqlite3_value_double(v));
    else
        for (int i = 0; i < n; i++)
            buf_printf(b, bytes[i] >= 0x20 && bytes[i] < 0x7f ? "%c" : "\\x%02x", bytes[i]);
    buf_putc(b, '|');
}

/* All rows of a query as text, types included. */
__attribute__((unused)) static void pair_query(sqlite3 *db, const char *sql, struct buf *out)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(st) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(st); i++)
            show_value(out, sqlite3_column_value(st, i));
        buf_putc(out, '\n');
    }
    if (sqlite3_finalize(st) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static const char *rowid_of(sqlite3 *db, const char *table)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    char *sql = sqlite3_mprintf("SELECT name FROM pragma_table_xinfo(%Q)", table);
    char *wr = sqlite3_mprintf("SELECT wr FROM pragma_table_list(%Q) WHERE schema='main'", table);
    bool taken[3] = {false, false, false};
    sqlite3_stmt *st = NULL;
    const char *found = NULL;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        for (int i = 0; i < 3; i++)
            if (sqlite3_stricmp((const char *)sqlite3_column_text(st, 0), names[i]) == 0)
                taken[i] = true;
    sqlite3_finalize(st);
    assert_int_equal(sqlite3_prepare_v2(db, wr, -1, &st, NULL), SQLITE_OK);
    if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 0) == 0)
        for (int i = 2; i >= 0; i--)
            if (!taken[i])
                found = names[i];
    sqlite3_finalize(st);
    sqlite3_free(sql);
    sqlite3_free(wr);
    return found;
}

static void compare_query(sqlite3 *x, sqlite3 *y, const char *what, const char *sql)
{
    struct buf bx = BUF_INIT, by = BUF_INIT;

    pair_query(x, sql, &bx);
    pair_query(y, sql, &by);
    if (bx.len != by.len || (bx.len > 0 && memcmp(bx.data, by.data, bx.len) != 0)) {
        const char *tx = buf_cstr(&bx), *ty = buf_cstr(&by);
        size_t line = 0;

        for (size_t i = 0; tx[i] && tx[i] == ty[i]; i++)
            line = tx[i] == '\n' ? i + 1 : line;
        fail_msg("%s differs\n--- origin has\n%.400s\n--- copy has\n%.400s", what, tx + line,
                 ty + line);
    }
    buf_free(&bx);
    buf_free(&by);
}

static bool has_pk(sqlite3 *db, const char *table)
{
    struct buf b = BUF_INIT;
    char *sql = sqlite3_mprintf("SELECT 1 FROM pragma_table_xinfo(%Q) WHERE pk > 0", table);
    bool found;

    pair_query(db, sql, &b);
    found = b.len > 0;
    buf_free(&b);
    sqlite3_free(sql);
    return found;
}

/* Not exact: rowids count only where they are all that a row is known by. */
__attribute__((unused)) static void compare_table(sqlite3 *x, sqlite3 *y, const char *table,
                                                  bool exact)
{
    const char *rowid = exact || !has_pk(x, table) ? rowid_of(x, table) : NULL;
    char *sql;

    if (rowid)
        sql = sqlite3_mprintf("SELECT %s, * FROM main.\"%w\" NOT INDEXED ORDER BY 1", rowid, table);
    else
        sql = sqlite3_mprintf("SELECT * FROM main.\"%w\" NOT INDEXED", table);
    if (!rowid && !exact) { /* ordered by all columns */
        sqlite3_stmt *st = NULL;
        struct buf b = BUF_INIT;

        assert_int_equal(sqlite3_prepare_v2(x, sql, -1, &st, NULL), SQLITE_OK);
        buf_puts(&b, sql);
        for (int i = 0; i < sqlite3_column_count(st); i++)
            buf_printf(&b, "%s%d", i ? ", " : " ORDER BY ", i + 1);
        sqlite3_finalize(st);
        sqlite3_free(sql);
        sql = sqlite3_mprintf("%s", buf_cstr(&b));
        buf_free(&b);
    }
    compare_query(x, y, table, sql);
    sqlite3_free(sql);
}

static void assert_empty(sqlite3 *db, const char *table)
{
    struct buf b = BUF_INIT;
    char *sql = sqlite3_mprintf("SELECT * FROM %Q", table);

    pair_query(db, sql, &b);
    assert_int_equal(b.len, 0);
    buf_free(&b);
    sqlite3_free(sql);
}

__attribute__((unused)) static void compare_files(const char *origin, const char *copy, bool exact)
{
    sqlite3 *x = pair_look(origin), *y = pair_look(copy);
    sqlite3_stmt *st = NULL;

    /* Tables behind a virtual one are quoted in another way once it was renamed. */
    compare_query(x, y, "sqlite_schema",
                  "SELECT type, name, tbl_name, iif(name LIKE '%\\_%' ESCAPE '\\',"
                  " replace(sql, char(34), char(39)), sql) FROM sqlite_schema"
                  " WHERE name NOT LIKE 'ha\\_%' ESCAPE '\\' AND name <> 'sqlite_sequence'"
                  " ORDER BY 1, 2, 3, 4");
    compare_query(x, y, "user_version", "PRAGMA user_version");
    compare_query(x, y, "application_id", "PRAGMA application_id");
    assert_int_equal(
        sqlite3_prepare_v2(x,
                           "SELECT name FROM sqlite_schema WHERE type='table' AND rootpage>0"
                           " AND name NOT LIKE 'ha\\_%' ESCAPE '\\'",
                           -1, &st, NULL),
        SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);

        /* A file without AUTOINCREMENT has an empty one only if it once had such a table. */
        bool bare = strcmp(name, "sqlite_sequence") == 0 &&
                    sqlite3_table_column_metadata(y, "main", name, NULL, NULL, NULL, NULL, NULL,
                                                  NULL) != SQLITE_OK;

        if (bare && exact)
            assert_empty(x, name);
        else if (strcmp(name, "sqlite_sequence") == 0 && exact)
            compare_query(x, y, name, "SELECT name, seq FROM sqlite_sequence ORDER BY 1, 2");
        else if (strcmp(name, "sqlite_stat1") == 0 && exact)
            compare_query(x, y, name,
                          "SELECT * FROM sqlite_stat1 WHERE tbl NOT LIKE 'ha\\_%' ESCAPE '\\'"
                          " ORDER BY 1, 2, 3");
        else if (strncmp(name, "sqlite_", 7) != 0)
            compare_table(x, y, name, exact);
    }
    sqlite3_finalize(st);
    compare_query(y, y, "integrity", "PRAGMA integrity_check");
    sqlite3_close(x);
    sqlite3_close(y);
}

__attribute__((unused)) static void pair_same(struct pair *p)
{
    compare_files(p->origin, p->copy, true);
}

#endif
