/* Rows that are known by their rowid: what would make that another one on another node is refused.
 */
#include "sql_pair.h"

#include "base/log.h"

/* A row without a key is its rowid, which has to have a name. */
static void equal_rows_need_a_name_or_a_key(void **state)
{
    static const char *const refused[] = {
        "CREATE TABLE t(rowid, _rowid_, oid)",
        "CREATE TABLE t(ROWID TEXT PRIMARY KEY, _rowid_ UNIQUE, Oid NOT NULL)",
        "CREATE TABLE t(rowid NOT NULL, _rowid_, oid, UNIQUE(rowid, oid))",
        "CREATE TABLE t AS SELECT rowid, rowid AS _rowid_, rowid AS oid FROM two",
        "ALTER TABLE two ADD COLUMN oid",
        "ALTER TABLE two RENAME COLUMN a TO oid",
        "ALTER TABLE keyed ALTER COLUMN a DROP NOT NULL",
        "ALTER TABLE keyed RENAME COLUMN oid TO b",
        "ALTER TABLE keyed DROP COLUMN oid",
    };
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE two(rowid, _rowid_, a); INSERT INTO two VALUES (1, 1, 1), (1, 1, 1);"
                 "CREATE TABLE keyed(rowid, _rowid_, oid, a NOT NULL UNIQUE);"
                 "INSERT INTO keyed VALUES (1, 1, 1, 1), (1, 1, 1, 2);"
                 "CREATE TABLE alias(rowid, _rowid_, oid, i INTEGER PRIMARY KEY);"
                 "CREATE TABLE without(rowid PRIMARY KEY, _rowid_, oid) WITHOUT ROWID");
    pair_begin(&p);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (pair_step(&p, refused[i], true) != ERR_UNSUPPORTED && /* or SQLite says so, from 3.54 */
            !strstr(p.e.msg, "rowid alias: oid"))
            fail_msg("%s: %s", refused[i], p.e.msg);
    PAIR_OK(&p, pair_step(&p, "ALTER TABLE two ADD COLUMN b", true));
    PAIR_OK(&p, pair_step(&p, "ALTER TABLE keyed ADD COLUMN b", true));
    PAIR_OK(&p, pair_step(&p, "ALTER TABLE two RENAME TO t", true));
    PAIR_OK(&p, pair_step(&p, "DELETE FROM t", true));
    PAIR_OK(&p, pair_step(&p, "DELETE FROM keyed WHERE a = 1", true));
    pair_end(&p);
    pair_apply(&p);
    pair_same(&p);
    pair_close(&p);
}

/* Made by others, before the file was ours. */
static void a_file_of_equal_rows_is_not_dumped(void **state)
{
    struct pair p;
    sqlite3 *db;
    uint32_t n;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    db = pair_look(p.origin);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(rowid, _rowid_, oid)", NULL, NULL, NULL),
                     SQLITE_OK);
    pair_begin(&p);
    assert_int_equal(writer_dump(p.w, &n, &p.e), ERR_UNSUPPORTED);
    assert_non_null(strstr(p.e.msg, "another name"));
    writer_rollback(p.w);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TABLE u(a, b, c); INSERT INTO u SELECT * FROM t;"
                                  "DROP TABLE t",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    pair_begin(&p);
    PAIR_OK(&p, writer_dump(p.w, &n, &p.e));
    pair_end(&p);
    pair_apply(&p);
    pair_same(&p);
    pair_close(&p);
}

static void vacuum_is_refused_where_it_would_renumber(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a INTEGER PRIMARY KEY, g AS (1)); INSERT INTO t VALUES (1)");
    assert_int_equal(writer_vacuum(p.w, &p.e), ERR_OK);
    pair_run(&p, "INSERT INTO t VALUES (2); CREATE TABLE u(a)");
    assert_int_equal(writer_vacuum(p.w, &p.e), ERR_DENIED);
    pair_begin(&p);
    assert_int_equal(writer_vacuum(p.w, &p.e), ERR_TX_ACTIVE);
    writer_rollback(p.w);
    pair_run(&p, "DROP TABLE u; INSERT INTO t VALUES (3)");
    pair_same(&p);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_rows_need_a_name_or_a_key),
        cmocka_unit_test(a_file_of_equal_rows_is_not_dumped),
        cmocka_unit_test(vacuum_is_refused_where_it_would_renumber),
    };

    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
