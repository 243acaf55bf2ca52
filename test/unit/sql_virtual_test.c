/* Virtual tables on the write connection: what they write by themselves, and how. */
#include "sql_pair.h"

#include "base/log.h"

static void virtual_tables_and_their_rows(void **state)
{
    struct pair p;
    struct buf b = BUF_INIT;
    sqlite3 *db;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE VIRTUAL TABLE f USING fts5(x)");
    assert_int_equal(p.changes, 1); /* it fills its tables by itself */
    pair_same(&p);
    pair_run(&p, "INSERT INTO f VALUES ('one two'), ('two three')");
    pair_same(&p);
    pair_run(&p, "UPDATE f SET x = 'four' WHERE rowid = 1; INSERT INTO f(f) VALUES ('optimize')");
    pair_same(&p);
    pair_run(
        &p,
        "CREATE VIRTUAL TABLE r USING rtree(id, a, b); INSERT INTO r VALUES (1, 2, 3), (4, 5, 6);"
        "DELETE FROM r WHERE id = 1");
    pair_same(&p);
    db = pair_look(p.copy);
    pair_query(db, "SELECT rowid, x FROM f WHERE f MATCH 'three OR four' ORDER BY 1", &b);
    pair_query(db, "SELECT id FROM r WHERE a > 4", &b);
    pair_query(db, "INSERT INTO f(f) VALUES ('integrity-check')", &b);
    assert_string_equal(buf_cstr(&b), "int:1|text:four|\nint:2|text:two three|\nint:4|\n");
    sqlite3_close(db);
    buf_free(&b);
    pair_run(&p, "ALTER TABLE f RENAME TO g; INSERT INTO g VALUES ('five'); DROP TABLE r");
    pair_same(&p);
    pair_close(&p);
}

/* FTS5 writes the cookie of its configuration in place, into the row that holds the structure. */
static void configure_fts5(enum apply_mode mode)
{
    static const char *const settings[] = {"'pgsz', 64",         "'automerge', 4",
                                           "'crisismerge', 8",   "'usermerge', 3",
                                           "'secure-delete', 1", "'rank', 'bm25(10.0)'"};
    struct pair p;

    pair_open(&p, mode);
    pair_run(&p, "CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('hello')");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        char sql[256];
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO f(f, rank) VALUES (%s); INSERT INTO f VALUES ('hello %zu');"
                       "INSERT INTO f(f, rank) VALUES (%s); DELETE FROM f WHERE rowid = %zu",
                       settings[i], i, settings[(i + 1) % 6], i);
        pair_run(&p, sql);
        (void)snprintf(sql, sizeof sql, "INSERT INTO f(f, rank) VALUES (%s)", settings[i]);
        pair_run(&p, sql);
        pair_same(&p);
    }
    sqlite3 *db = pair_look(p.copy);
    assert_int_equal(
        sqlite3_exec(db, "INSERT INTO f(f) VALUES ('integrity-check')", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    pair_close(&p);
}

static void fts5_is_configured(void **state)
{
    (void)state;
    configure_fts5(APPLY_STRICT);
    configure_fts5(APPLY_LWW);
}

/* As a virtual table does it (sqlite3_blob_write), inside a statement or between two. */
static void write_in_place(struct pair *p, const char *table, int64_t rowid, const char *text)
{
    sqlite3_blob *b = NULL;

    assert_int_equal(
        sqlite3_blob_open(conn_handle(writer_conn(p->w)), "main", table, "x", rowid, 1, &b),
        SQLITE_OK);
    assert_int_equal(sqlite3_blob_write(b, text, (int)strlen(text), 1), SQLITE_OK);
    assert_int_equal(sqlite3_blob_close(b), SQLITE_OK);
}

static void end_same(struct pair *p)
{
    pair_end(p);
    pair_apply(p);
    pair_same(p);
}

static void what_is_written_in_place_is_shipped(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE b(\"a \"\"key\" INTEGER PRIMARY KEY, x, r REAL);"
                 "CREATE TABLE c(x); INSERT INTO c VALUES ('......');"
                 "INSERT INTO b VALUES (1, zeroblob(6), 1), (2, x'010203040506', NULL)");
    pair_begin(&p);
    write_in_place(&p, "b", 1, "ab");
    write_in_place(&p, "b", 1, "c");
    write_in_place(&p, "c", 1, "text");
    end_same(&p);

    pair_begin(&p);
    write_in_place(&p, "b", 1, "de");
    PAIR_OK(&p, pair_step(&p, "UPDATE b SET r = 3 WHERE r = 1", true));
    write_in_place(&p, "b", 1, "fgh");
    write_in_place(&p, "b", 2, "i");
    PAIR_OK(&p, pair_step(&p, "DELETE FROM b WHERE r IS NULL", true));
    write_in_place(&p, "c", 1, "more");
    PAIR_OK(&p, pair_step(&p, "REPLACE INTO b VALUES (1, zeroblob(8), 4)", true));
    write_in_place(&p, "b", 1, "jk");
    end_same(&p);
    pair_close(&p);
}

static void what_is_written_in_place_is_undone(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE b(id INTEGER PRIMARY KEY, x);"
                 "INSERT INTO b VALUES (1, zeroblob(6)), (2, zeroblob(6)), (3, zeroblob(6))");
    pair_begin(&p); /* what was before a savepoint stays */
    write_in_place(&p, "b", 1, "ab");
    PAIR_OK(&p, writer_savepoint(p.w, "s", 1, &p.e));
    write_in_place(&p, "b", 1, "cd");
    write_in_place(&p, "b", 2, "ef");
    PAIR_OK(&p, writer_rollback_to(p.w, "s", 1, &p.e));
    end_same(&p);

    pair_begin(&p); /* and before a statement that fails */
    write_in_place(&p, "b", 3, "gh");
    assert_int_equal(pair_step(&p, "INSERT INTO b VALUES (4, 4), (1, 1)", true), ERR_UNIQUE);
    end_same(&p);

    spool_reset(p.spool);
    PAIR_OK(&p, writer_begin(p.w, &p.e));
    PAIR_OK(&p, writer_tx_begin(p.w, &p.e));
    write_in_place(&p, "b", 2, "ij");
    writer_tx_undo(p.w);
    PAIR_OK(&p, writer_tx_begin(p.w, &p.e));
    PAIR_OK(&p, pair_step(&p, "DELETE FROM b WHERE id = 1", true));
    end_same(&p);
    assert_int_equal(p.changes, 1);
    pair_close(&p);
}

/* FTS3 makes a table of its own for these. */
static void a_schema_change_of_a_row_statement_is_refused(void **state)
{
    static const char *const commands[] = {"merge=2,2", "automerge=4"};
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE VIRTUAL TABLE g USING fts3(a); CREATE VIRTUAL TABLE h USING fts4(a)");
    pair_run(&p, "INSERT INTO g VALUES ('one')");
    pair_run(&p, "INSERT INTO g VALUES ('two')");
    for (size_t i = 0; i < 4; i++) {
        char sql[64];
        (void)snprintf(sql, sizeof sql, "INSERT INTO g(g) VALUES ('%s')", commands[i % 2]);
        spool_reset(p.spool);
        PAIR_OK(&p, writer_begin(p.w, &p.e));
        PAIR_OK(&p, writer_tx_begin(p.w, &p.e));
        PAIR_OK(&p, pair_step(&p, "INSERT INTO g VALUES ('three')", true));
        assert_int_equal(pair_step(&p, sql, i < 2), ERR_DENIED);
        if (i >= 2) {
            writer_tx_undo(p.w);
            PAIR_OK(&p, writer_tx_begin(p.w, &p.e));
        }
        PAIR_OK(&p, pair_step(&p, "INSERT INTO g VALUES ('four')", true));
        end_same(&p);
    }
    pair_run(&p, "INSERT INTO g VALUES ('five'); INSERT INTO h VALUES ('six')");
    pair_run(&p, "INSERT INTO h VALUES ('seven'); INSERT INTO h(h) VALUES ('merge=2,2');"
                 "INSERT INTO h(h) VALUES ('automerge=4'); INSERT INTO g(g) VALUES ('optimize')");
    pair_same(&p);
    pair_run(&p, "DROP TABLE g; DROP TABLE h");
    pair_same(&p);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virtual_tables_and_their_rows),
        cmocka_unit_test(fts5_is_configured),
        cmocka_unit_test(what_is_written_in_place_is_shipped),
        cmocka_unit_test(what_is_written_in_place_is_undone),
        cmocka_unit_test(a_schema_change_of_a_row_statement_is_refused),
    };

    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
