/* One statement a line: its class, or what the refusal says. */
#include "sql/policy.h"

#include <sqlite3.h>

#include "sql_temp.h"

static struct temp t;

static const char schema[] =
    "CREATE TABLE ha_secret(a);"
    "CREATE TABLE u(a INTEGER PRIMARY KEY, b);"
    "CREATE TABLE v(a, b);"
    "CREATE INDEX i ON u(b);"
    "CREATE VIEW w AS SELECT * FROM u;"
    "CREATE TRIGGER wi INSTEAD OF INSERT ON w BEGIN INSERT INTO u VALUES(new.a, new.b); END;"
    "CREATE VIEW bad AS SELECT 1 AS a;"
    "CREATE TRIGGER badi INSTEAD OF INSERT ON bad BEGIN DELETE FROM ha_secret; END;"
    "CREATE VIRTUAL TABLE f USING fts5(x);"
    "CREATE TEMP TABLE tt(a);";

struct row {
    const char *sql;
    int class;        /* -1: refused */
    const char *says; /* refused: part of the message */
};

#define DENIED (-1)

static const struct row rows[] = {
    {"SELECT 1", STMT_READ, NULL},
    {"SELECT * FROM u, tt", STMT_READ, NULL},
    {"SELECT * FROM ha_secret", STMT_READ, NULL},
    {"WITH x AS (SELECT 1) SELECT * FROM x", STMT_READ, NULL},
    {"VALUES(1)", STMT_READ, NULL},
    {"EXPLAIN INSERT INTO u VALUES(1, 2)", STMT_READ, NULL},
    {"EXPLAIN QUERY PLAN DELETE FROM u", STMT_READ, NULL},
    {"EXPLAIN CREATE TABLE x(a)", STMT_READ, NULL},
    {"EXPLAIN PRAGMA user_version = 3", STMT_READ, NULL},

    {"INSERT INTO u VALUES(1, 2)", STMT_WRITE, NULL},
    {"INSERT INTO u VALUES(1, 2) RETURNING a", STMT_WRITE, NULL},
    {"REPLACE INTO u VALUES(1, 2)", STMT_WRITE, NULL},
    {"WITH x AS (SELECT 1) INSERT INTO u SELECT 1, 2", STMT_WRITE, NULL},
    {"UPDATE u SET b = 1", STMT_WRITE, NULL},
    {"DELETE FROM u", STMT_WRITE, NULL},
    {"INSERT INTO w VALUES(1, 2)", STMT_WRITE, NULL},
    {"INSERT INTO f VALUES('x')", STMT_WRITE, NULL},
    {"INSERT INTO f(f) VALUES('rebuild')", STMT_WRITE, NULL},
    {"UPDATE u SET b = 1 FROM ha_secret", STMT_WRITE, NULL},
    {"INSERT INTO u SELECT a, a FROM ha_secret", STMT_WRITE, NULL},

    {"CREATE TABLE x(a)", STMT_DDL, NULL},
    {"CREATE TABLE IF NOT EXISTS u(a)", STMT_DDL, NULL},
    {"CREATE TABLE x AS SELECT * FROM u", STMT_DDL, NULL},
    {"CREATE TABLE x AS SELECT * FROM tt", STMT_DDL, NULL},
    {"/* c */ -- d\n create table main.x(a)", STMT_DDL, NULL},
    {"CREATE VIRTUAL TABLE x USING fts5(a)", STMT_DDL, NULL},
    {"CREATE VIRTUAL TABLE x USING rtree(a, b, c)", STMT_DDL, NULL},
    {"CREATE INDEX x ON u(b)", STMT_DDL, NULL},
    {"CREATE INDEX IF NOT EXISTS i ON u(b)", STMT_DDL, NULL},
    {"CREATE VIEW x AS SELECT 1", STMT_DDL, NULL},
    {"CREATE TRIGGER x AFTER INSERT ON u BEGIN SELECT 1; END", STMT_DDL, NULL},
    {"CREATE TRIGGER IF NOT EXISTS wi INSTEAD OF INSERT ON w BEGIN SELECT 1; END", STMT_DDL, NULL},
    {"DROP TABLE u", STMT_DDL, NULL},
    {"DROP TABLE f", STMT_DDL, NULL},
    {"DROP TABLE IF EXISTS missing", STMT_DDL, NULL},
    {"DROP INDEX i", STMT_DDL, NULL},
    {"DROP VIEW w", STMT_DDL, NULL},
    {"DROP TRIGGER wi", STMT_DDL, NULL},
    {"ALTER TABLE u RENAME TO x", STMT_DDL, NULL},
    {"ALTER TABLE u RENAME COLUMN b TO ha_b", STMT_DDL, NULL},
    {"ALTER TABLE u ADD COLUMN c", STMT_DDL, NULL},
    {"ALTER TABLE u DROP COLUMN b", STMT_DDL, "error in index"},
    {"ALTER TABLE v DROP COLUMN b", STMT_DDL, NULL},
    {"ALTER TABLE v RENAME TO ha", STMT_DDL, NULL},
    {"CREATE TABLE ha(a)", STMT_DDL, NULL},
    {"CREATE TABLE hax(a)", STMT_DDL, NULL},
    {"ANALYZE", STMT_DDL, NULL},
    {"ANALYZE u", STMT_DDL, NULL},
    {"REINDEX", STMT_DDL, NULL},
    {"REINDEX i", STMT_DDL, NULL},
    {"PRAGMA user_version = 7", STMT_DDL, NULL},
    {"PRAGMA main.user_version(7)", STMT_DDL, NULL},
    {"PRAGMA application_id = -7", STMT_DDL, NULL},
    {"PRAGMA temp.user_version = 7", DENIED, "temporary database"},

    {"CREATE TEMP TABLE x(a)", STMT_TEMP, NULL},
    {"CREATE TABLE temp.x(a)", STMT_TEMP, NULL},
    {"CREATE TEMP TABLE x AS SELECT * FROM u", STMT_TEMP, NULL},
    {"CREATE TEMP TABLE IF NOT EXISTS tt(a)", STMT_TEMP, NULL},
    {"CREATE INDEX temp.x ON tt(a)", STMT_TEMP, NULL},
    {"CREATE TEMP VIEW x AS SELECT * FROM u", STMT_TEMP, NULL},
    {"CREATE TEMP TRIGGER x AFTER INSERT ON u BEGIN SELECT 1; END", STMT_TEMP, NULL},
    {"INSERT INTO tt VALUES(1)", STMT_TEMP, NULL},
    {"INSERT INTO tt SELECT a FROM u", STMT_TEMP, NULL},
    {"UPDATE tt SET a = 1", STMT_TEMP, NULL},
    {"DELETE FROM temp.tt", STMT_TEMP, NULL},
    {"ALTER TABLE tt ADD b", STMT_TEMP, NULL},
    {"DROP TABLE tt", STMT_TEMP, NULL},
    {"DROP TABLE IF EXISTS temp.missing", STMT_TEMP, NULL},
    {"PRAGMA defer_foreign_keys = 1", STMT_TEMP, NULL},

    {"VACUUM", STMT_VACUUM, NULL},
    {"VACUUM main", STMT_VACUUM, NULL},
    {"VACUUM INTO 'x.db'", DENIED, "VACUUM INTO"},
    {"VACUUM /* c */ main into :file", DENIED, "VACUUM INTO"},

    {"ATTACH 'x.db' AS y", DENIED, "ATTACH is not permitted"},
    {"ATTACH DATABASE :a AS y", DENIED, "ATTACH is not permitted"},
    {"EXPLAIN ATTACH 'x.db' AS y", DENIED, "ATTACH is not permitted"},
    {"DETACH y", DENIED, "DETACH is not permitted"},
    {"SELECT load_extension('x')", DENIED, "load_extension() is not permitted"},
    {"SELECT Load_Extension('x', 'y')", DENIED, "load_extension() is not permitted"},

    {"BEGIN", DENIED, "transaction control"},
    {"BEGIN IMMEDIATE", DENIED, "transaction control"},
    {"COMMIT", DENIED, "transaction control"},
    {"ROLLBACK", DENIED, "transaction control"},
    {"SAVEPOINT a", DENIED, "transaction control"},
    {"RELEASE a", DENIED, "transaction control"},
    {"ROLLBACK TO a", DENIED, "transaction control"},

    {"INSERT INTO ha_secret VALUES(1)", DENIED, "ha_secret is not permitted"},
    {"INSERT INTO main.\"HA_Secret\" VALUES(1)", DENIED, "ha_secret is not permitted"},
    {"UPDATE ha_secret SET a = 1", DENIED, "ha_secret is not permitted"},
    {"DELETE FROM ha_secret", DENIED, "ha_secret is not permitted"},
    {"INSERT INTO bad VALUES(1)", DENIED, "ha_secret is not permitted"},
    {"CREATE TABLE ha_x(a)", DENIED, "ha_x is not permitted"},
    {"CREATE TABLE HA_x(a)", DENIED, "HA_x is not permitted"},
    {"CREATE TABLE ha_x AS SELECT 1", DENIED, "ha_x is not permitted"},
    {"CREATE TEMP TABLE ha_position(a)", DENIED, "ha_position is not permitted"},
    {"CREATE VIEW ha_x AS SELECT 1", DENIED, "ha_x is not permitted"},
    {"CREATE TEMP VIEW ha_x AS SELECT 1", DENIED, "ha_x is not permitted"},
    {"CREATE INDEX ha_i ON u(b)", DENIED, "ha_i is not permitted"},
    {"CREATE INDEX x ON ha_secret(a)", DENIED, "ha_secret is not permitted"},
    {"CREATE TRIGGER x AFTER INSERT ON ha_secret BEGIN SELECT 1; END", DENIED,
     "ha_secret is not permitted"},
    {"CREATE TEMP TRIGGER x AFTER INSERT ON ha_secret BEGIN SELECT 1; END", DENIED,
     "ha_secret is not permitted"},
    {"CREATE VIRTUAL TABLE ha_f USING fts5(x)", DENIED, "ha_f is not permitted"},
    {"CREATE VIRTUAL TABLE Ha USING fts5(x)", DENIED, "virtual table named ha"},
    {"DROP TABLE ha_secret", DENIED, "ha_secret is not permitted"},
    {"ALTER TABLE ha_secret ADD b", DENIED, "ha_secret is not permitted"},
    {"ALTER TABLE ha_secret RENAME TO x", DENIED, "ha_secret is not permitted"},
    {"ALTER TABLE u RENAME TO ha_u", DENIED, "ha_u is not permitted"},
    {"ALTER TABLE main.[u] RENAME TO \"HA_u\"", DENIED, "HA_u is not permitted"},
    {"ALTER TABLE f RENAME TO ha", DENIED, "virtual table named ha"},
};

static struct conn *open_with_schema(void)
{
    struct conn *c;

    temp_init(&t);
    c = temp_open(&t, CONN_WRITER);
    OK(conn_exec(c, schema, e));
    return c;
}

static void test_rows(void **state)
{
    struct conn *c = open_with_schema();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct err e = ERR_INIT;
        struct stmt *s = NULL;
        enum err_code code = temp_prepare(c, r->sql, &s, &e);

        if (r->class == DENIED) {
            if (code != ERR_DENIED || !strstr(e.msg, r->says) || s)
                fail_msg("%s: %s '%s'", r->sql, err_name(code), e.msg);
        } else if (r->says) {
            if (code == ERR_OK)
                code = stmt_class(s) == STMT_DDL ? temp_run(c, r->sql, &e) : ERR_OK;
            if (code == ERR_OK || !strstr(e.msg, r->says))
                fail_msg("%s: %s '%s'", r->sql, err_name(code), e.msg);
        } else if (code != ERR_OK || (int)stmt_class(s) != r->class) {
            fail_msg("%s: %s '%s', class %d", r->sql, err_name(code), e.msg,
                     s ? (int)stmt_class(s) : -1);
        }
        stmt_release(s);
    }
    conn_close(c);
    temp_fini(&t);
}

/* ---- PRAGMA ---- */

struct pragma_row {
    const char *name, *arg;
    enum policy_pragma what;
};

static const struct pragma_row pragma_rows[] = {
    {"table_info", "u", POLICY_PRAGMA_READ},
    {"TABLE_XINFO", "u", POLICY_PRAGMA_READ},
    {"table_list", NULL, POLICY_PRAGMA_READ},
    {"index_list", "u", POLICY_PRAGMA_READ},
    {"index_info", "i", POLICY_PRAGMA_READ},
    {"index_xinfo", "i", POLICY_PRAGMA_READ},
    {"foreign_key_list", "u", POLICY_PRAGMA_READ},
    {"foreign_key_check", NULL, POLICY_PRAGMA_READ},
    {"foreign_key_check", "u", POLICY_PRAGMA_READ},
    {"integrity_check", NULL, POLICY_PRAGMA_READ},
    {"integrity_check", "u", POLICY_PRAGMA_READ},
    {"quick_check", NULL, POLICY_PRAGMA_READ},
    {"database_list", NULL, POLICY_PRAGMA_READ},
    {"collation_list", NULL, POLICY_PRAGMA_READ},
    {"function_list", NULL, POLICY_PRAGMA_READ},
    {"module_list", NULL, POLICY_PRAGMA_READ},
    {"pragma_list", NULL, POLICY_PRAGMA_READ},
    {"compile_options", NULL, POLICY_PRAGMA_READ},
    {"page_count", NULL, POLICY_PRAGMA_READ},
    {"freelist_count", NULL, POLICY_PRAGMA_READ},
    {"data_version", NULL, POLICY_PRAGMA_READ},
    {"stats", NULL, POLICY_PRAGMA_READ},

    {"optimize", NULL, POLICY_PRAGMA_NOOP},
    {"optimize", "0xfffe", POLICY_PRAGMA_NOOP},
    {"shrink_memory", NULL, POLICY_PRAGMA_NOOP},

    {"user_version", NULL, POLICY_PRAGMA_READ},
    {"user_version", "3", POLICY_PRAGMA_DDL},
    {"application_id", NULL, POLICY_PRAGMA_READ},
    {"application_id", "3", POLICY_PRAGMA_DDL},
    {"defer_foreign_keys", NULL, POLICY_PRAGMA_READ},
    {"defer_foreign_keys", "1", POLICY_PRAGMA_LOCAL},
    {"defer_foreign_keys", "off", POLICY_PRAGMA_LOCAL},

    {"foreign_keys", NULL, POLICY_PRAGMA_READ},
    {"foreign_keys", "1", POLICY_PRAGMA_NOOP},
    {"foreign_keys", "ON", POLICY_PRAGMA_NOOP},
    {"foreign_keys", "true", POLICY_PRAGMA_NOOP},
    {"foreign_keys", "0", POLICY_PRAGMA_REFUSED},
    {"foreign_keys", "off", POLICY_PRAGMA_REFUSED},
    {"foreign_keys", "maybe", POLICY_PRAGMA_REFUSED},
    {"recursive_triggers", "no", POLICY_PRAGMA_NOOP},
    {"recursive_triggers", "yes", POLICY_PRAGMA_REFUSED},
    {"case_sensitive_like", "0", POLICY_PRAGMA_NOOP},
    {"case_sensitive_like", "1", POLICY_PRAGMA_REFUSED},
    {"synchronous", NULL, POLICY_PRAGMA_READ},
    {"synchronous", "normal", POLICY_PRAGMA_NOOP},
    {"synchronous", "1", POLICY_PRAGMA_NOOP},
    {"synchronous", "FULL", POLICY_PRAGMA_REFUSED},
    {"synchronous", "off", POLICY_PRAGMA_REFUSED},
    {"cache_size", NULL, POLICY_PRAGMA_READ},
    {"cache_size", "-4000", POLICY_PRAGMA_NOOP},
    {"cache_size", "-2000", POLICY_PRAGMA_REFUSED},
    {"cache_size", "10", POLICY_PRAGMA_REFUSED},
    {"query_only", "0", POLICY_PRAGMA_NOOP},
    {"query_only", "1", POLICY_PRAGMA_REFUSED},
    {"locking_mode", NULL, POLICY_PRAGMA_READ},
    {"locking_mode", "NORMAL", POLICY_PRAGMA_READ},
    {"locking_mode", "exclusive", POLICY_PRAGMA_REFUSED},
    {"journal_mode", NULL, POLICY_PRAGMA_READ},
    {"journal_mode", "WAL", POLICY_PRAGMA_READ},
    {"journal_mode", "delete", POLICY_PRAGMA_REFUSED},
    {"journal_mode", "off", POLICY_PRAGMA_REFUSED},
    {"journal_size_limit", "-1", POLICY_PRAGMA_NOOP},
    {"journal_size_limit", "0", POLICY_PRAGMA_REFUSED},
    {"busy_timeout", NULL, POLICY_PRAGMA_READ},
    {"busy_timeout", "250", POLICY_PRAGMA_NOOP},
    {"busy_timeout", "9", POLICY_PRAGMA_REFUSED},
    {"mmap_size", NULL, POLICY_PRAGMA_READ},
    {"mmap_size", "0", POLICY_PRAGMA_NOOP},
    {"mmap_size", "4096", POLICY_PRAGMA_REFUSED},
    {"wal_autocheckpoint", "1000", POLICY_PRAGMA_NOOP},
    {"wal_autocheckpoint", "0", POLICY_PRAGMA_REFUSED},
    {"wal_checkpoint", NULL, POLICY_PRAGMA_REFUSED},
    {"wal_checkpoint", "TRUNCATE", POLICY_PRAGMA_REFUSED},
    {"incremental_vacuum", NULL, POLICY_PRAGMA_REFUSED},
    {"writable_schema", NULL, POLICY_PRAGMA_READ},
    {"writable_schema", "0", POLICY_PRAGMA_NOOP},
    {"writable_schema", "1", POLICY_PRAGMA_REFUSED},
    {"writable_schema", "reset", POLICY_PRAGMA_REFUSED},
    {"schema_version", NULL, POLICY_PRAGMA_READ},
    {"schema_version", "9", POLICY_PRAGMA_REFUSED},
    {"encoding", NULL, POLICY_PRAGMA_READ},
    {"encoding", "UTF-8", POLICY_PRAGMA_NOOP},
    {"encoding", "UTF-16le", POLICY_PRAGMA_REFUSED},
    {"page_size", NULL, POLICY_PRAGMA_READ},
    {"page_size", "4096", POLICY_PRAGMA_REFUSED},
    {"auto_vacuum", "1", POLICY_PRAGMA_REFUSED},
    {"max_page_count", "1", POLICY_PRAGMA_REFUSED},
    {"temp_store", "0", POLICY_PRAGMA_NOOP},
    {"temp_store", "MEMORY", POLICY_PRAGMA_REFUSED},
    {"temp_store_directory", "x", POLICY_PRAGMA_REFUSED},
    {"temp_store_directory", NULL, POLICY_PRAGMA_REFUSED},
    {"data_store_directory", "x", POLICY_PRAGMA_REFUSED},
    {"ignore_check_constraints", "1", POLICY_PRAGMA_REFUSED},
    {"ignore_check_constraints", "0", POLICY_PRAGMA_NOOP},
    {"trusted_schema", "0", POLICY_PRAGMA_REFUSED},
    {"trusted_schema", "1", POLICY_PRAGMA_NOOP},
    {"legacy_alter_table", "1", POLICY_PRAGMA_REFUSED},
    {"reverse_unordered_selects", "1", POLICY_PRAGMA_REFUSED},
    {"read_uncommitted", "1", POLICY_PRAGMA_REFUSED},
    {"count_changes", "1", POLICY_PRAGMA_REFUSED},
    {"full_column_names", "1", POLICY_PRAGMA_REFUSED},
    {"short_column_names", "0", POLICY_PRAGMA_REFUSED},
    {"empty_result_callbacks", "1", POLICY_PRAGMA_REFUSED},
    {"cell_size_check", "1", POLICY_PRAGMA_REFUSED},
    {"fullfsync", "1", POLICY_PRAGMA_REFUSED},
    {"checkpoint_fullfsync", "1", POLICY_PRAGMA_REFUSED},
    {"automatic_index", "0", POLICY_PRAGMA_REFUSED},
    {"cache_spill", "0", POLICY_PRAGMA_REFUSED},
    {"secure_delete", "1", POLICY_PRAGMA_REFUSED},
    {"analysis_limit", "5", POLICY_PRAGMA_REFUSED},
    {"threads", "4", POLICY_PRAGMA_REFUSED},
    {"soft_heap_limit", "1", POLICY_PRAGMA_REFUSED},
    {"hard_heap_limit", "1", POLICY_PRAGMA_REFUSED},
    {"default_cache_size", "1", POLICY_PRAGMA_REFUSED},
    {"key", "x", POLICY_PRAGMA_REFUSED},
    {"activate_extensions", "x", POLICY_PRAGMA_REFUSED},
    {"no_such_thing", NULL, POLICY_PRAGMA_REFUSED},
};

/* By the table, and then as SQL in all three spellings on a writer and a reader. */
static void test_pragmas(void **state)
{
    static const char *const spellings[][3] = {
        {"PRAGMA ", " = '", "'"}, {"PRAGMA ", "('", "')"}, {"PRAGMA main.", " = '", "'"}};
    struct conn *w, *r;

    (void)state;
    temp_init(&t);
    t.cfg.foreign_keys = true;
    t.cfg.cache_kib = 4000;
    t.cfg.busy_ms = 250;
    w = temp_open(&t, CONN_WRITER);
    r = temp_open(&t, CONN_READER);
    OK(conn_exec(w, "CREATE TABLE u(a)", e));
    for (size_t i = 0; i < sizeof pragma_rows / sizeof pragma_rows[0]; i++) {
        const struct pragma_row *p = &pragma_rows[i];
        const char *why;
        enum policy_pragma what = policy_pragma(&t.cfg, p->name, p->arg, &why);

        if (what != p->what)
            fail_msg("%s(%s): %d", p->name, p->arg ? p->arg : "", what);
        for (size_t k = 0; k < (p->arg ? 6U : 2U); k++) {
            struct conn *c = k % 2 ? r : w;
            struct err e = ERR_INIT;
            struct stmt *s = NULL;
            enum err_code code;
            char sql[128];

            if (p->arg)
                snprintf(sql, sizeof sql, "%s%s%s%s%s", spellings[k / 2][0], p->name,
                         spellings[k / 2][1], p->arg, spellings[k / 2][2]);
            else
                snprintf(sql, sizeof sql, "PRAGMA %s", p->name);
            code = temp_prepare(c, sql, &s, &e);
            if (code != (what == POLICY_PRAGMA_REFUSED ? ERR_DENIED : ERR_OK))
                fail_msg("%s: %s '%s'", sql, err_name(code), e.msg);
            if (code == ERR_OK)
                assert_int_equal(stmt_class(s), what == POLICY_PRAGMA_DDL     ? STMT_DDL
                                                : what == POLICY_PRAGMA_LOCAL ? STMT_TEMP
                                                                              : STMT_READ);
            else
                assert_non_null(strstr(e.msg, p->name));
            stmt_release(s);
        }
    }
    conn_close(r);
    conn_close(w);
    temp_fini(&t);
}

/* What is compiled to nothing must really do nothing, and reading goes on. */
static void test_settings_stay(void **state)
{
    struct conn *r;
    struct conn *w;
    char out[256];

    (void)state;
    temp_init(&t);
    w = temp_open(&t, CONN_WRITER);
    r = temp_open(&t, CONN_READER);
    OK(temp_run(r, "PRAGMA query_only = 0", e));
    assert_string_equal(temp_text(r, "PRAGMA query_only", out), "1");
    OK(temp_run(w, "PRAGMA synchronous = NORMAL", e));
    assert_string_equal(temp_text(w, "PRAGMA synchronous", out), "1");
    assert_string_equal(temp_text(w, "PRAGMA journal_mode = wal", out), "wal");
    assert_string_equal(temp_text(r, "PRAGMA journal_mode = wal", out), "wal");
    assert_string_equal(temp_text(r, "PRAGMA locking_mode = normal", out), "normal");
    OK(temp_run(w, "PRAGMA cache_size = -2000", e));
    OK(temp_run(w, "PRAGMA integrity_check(5)", e));
    OK(conn_exec(w, "CREATE TABLE u(a); INSERT INTO u VALUES(1), (2), (3)", e));
    OK(temp_run(w, "PRAGMA optimize(-1)", e));
    OK(temp_run(w, "PRAGMA optimize = 0x10002", e));
    assert_string_equal(
        temp_text(w, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'", out),
        "0");
    conn_close(r);
    conn_close(w);
    temp_fini(&t);
}

/* While a statement runs, SQLite compiles more: table functions, virtual tables, a new schema. */
static void test_while_running(void **state)
{
    struct conn *c = open_with_schema();
    struct stmt *s = NULL;
    struct err e1 = ERR_INIT;
    bool row;
    char out[256];

    (void)state;
    assert_string_equal(temp_text(c, "SELECT name FROM pragma_table_info('u') WHERE pk", out), "a");
    OK(temp_run(c, "SELECT * FROM pragma_optimize", e));
    assert_int_equal(temp_run(c, "SELECT * FROM pragma_page_size('x')", &e1), ERR_SQL);
    assert_int_equal(temp_run(c, "SELECT * FROM pragma_wal_checkpoint", &e1), ERR_NO_TABLE);

    /* A trigger made after the statement was prepared. */
    OK(temp_prepare(c, "INSERT INTO u VALUES(77, 0)", &s, e));
    OK(conn_exec(c, "CREATE TRIGGER late AFTER INSERT ON u BEGIN DELETE FROM ha_secret; END", e));
    assert_int_equal(stmt_step(s, &row, &e1), ERR_DENIED);
    assert_non_null(strstr(e1.msg, "ha_secret"));
    stmt_release(s);
    OK(conn_exec(c, "DROP TRIGGER late", e));
    OK(temp_run(c, "INSERT INTO u VALUES(77, 0)", e));

    /* FTS3 runs savepoints, FTS5 and R-tree schema statements of their own. */
    OK(temp_run(c, "CREATE VIRTUAL TABLE f3 USING fts3(x)", e));
    OK(temp_run(c, "INSERT INTO f3 VALUES('hello world')", e));
    OK(temp_run(c, "INSERT INTO f3(f3) VALUES('optimize')", e));
    /* It would make a table of its own for these, which only schema statements may. */
    assert_int_equal(temp_run(c, "INSERT INTO f3(f3) VALUES('merge=2,2')", &e1), ERR_DENIED);
    assert_non_null(strstr(e1.msg, "f3_stat"));
    assert_int_equal(temp_run(c, "INSERT INTO f3(f3) VALUES('automerge=4')", &e1), ERR_DENIED);
    OK(temp_run(c, "CREATE VIRTUAL TABLE temp.tf3 USING fts3(x)", e));
    OK(temp_run(c, "INSERT INTO tf3(tf3) VALUES('automerge=4')", e));
    OK(temp_prepare(c, "EXPLAIN CREATE TABLE explained(x)", &s, e));
    OK(conn_exec(c, "CREATE TABLE late(x)", e)); /* it is compiled again */
    OK(stmt_step(s, &row, e));
    stmt_release(s);
    OK(temp_run(c, "CREATE VIRTUAL TABLE f5 USING fts5(x)", e));
    OK(temp_run(c, "INSERT INTO f5 VALUES('hello world')", e));
    assert_string_equal(temp_text(c, "SELECT count(*) FROM f5('hello')", out), "1");
    OK(temp_run(c, "CREATE VIRTUAL TABLE r USING rtree(id, a, b)", e));
    OK(temp_run(c, "INSERT INTO r VALUES(1, 2, 3)", e));
    OK(temp_run(c, "ALTER TABLE f5 RENAME TO f6", e));
    OK(temp_run(c, "DROP TABLE f6", e));
    OK(temp_run(c, "VACUUM", e));
    conn_close(c);
    temp_fini(&t);
}

/* Statements of our own: exempt, also from the cache's point of view, and brackets nest. */
static void test_trust(void **state)
{
    struct conn *c = open_with_schema();
    const char *sql = "INSERT INTO ha_secret VALUES(1)";
    struct err e1 = ERR_INIT;
    struct stmt *s = NULL;
    bool row;
    char out[256];

    (void)state;
    conn_trust(c, true);
    conn_trust(c, true);
    conn_trust(c, false);
    OK(temp_prepare(c, sql, &s, e));
    conn_trust(c, false);
    OK(conn_exec(c, "CREATE TABLE newer(a)", e)); /* compiled again when it is run */
    OK(stmt_step(s, &row, e));
    stmt_release(s);
    assert_int_equal(temp_run(c, sql, &e1), ERR_DENIED);
    OK(conn_exec(c, sql, e));
    assert_string_equal(temp_text(c, "SELECT count(*) FROM ha_secret", out), "2");

    /* A refusal does not stick to the next failure. */
    assert_int_equal(temp_run(c, "ATTACH 'x' AS y", &e1), ERR_DENIED);
    assert_int_equal(conn_exec(c, "SELECT * FROM missing", &e1), ERR_NO_TABLE);
    conn_close(c);

    c = temp_open(&t, CONN_APPLIER);
    OK(temp_run(c, sql, e));
    OK(temp_run(c, "BEGIN", e));
    OK(temp_run(c, "INSERT INTO f_data VALUES(99, x'00')", e)); /* rows behind FTS5 */
    OK(temp_run(c, "ROLLBACK", e));
    conn_close(c);
    temp_fini(&t);
}

static void test_defensive(void **state)
{
    struct conn *c = open_with_schema();
    struct err e = ERR_INIT;

    (void)state;
    assert_int_not_equal(temp_run(c, "INSERT INTO f_data VALUES(99, x'00')", &e), ERR_OK);
    assert_int_not_equal(temp_run(c, "UPDATE sqlite_schema SET sql = ''", &e), ERR_OK);
    assert_int_equal(temp_run(c, "SELECT \"no such\"", &e), ERR_NO_COLUMN); /* DQS is off */
    assert_int_equal(temp_run(c, "CREATE TABLE dq(a DEFAULT \"x\" CHECK (a = \"y\"))", &e),
                     ERR_NO_COLUMN);
    conn_close(c);
    temp_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_pragmas),
        cmocka_unit_test(test_settings_stay), cmocka_unit_test(test_while_running),
        cmocka_unit_test(test_trust),         cmocka_unit_test(test_defensive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
