/* The write connection and its capture: what reaches the spool, and what does not. */
#include "sql_pair.h"

#include "base/log.h"

/* What of each change matters most: "INSERT t 1 [1,2]" with rowid and values as they stand in the
 * JSON. */
struct seen {
    struct buf text;
    unsigned n;
};

static enum err_code see(void *arg, const struct change *c, struct err *e)
{
    static const char *const ops[] = {"INSERT", "UPDATE", "DELETE", "SQL"};
    struct seen *s = arg;

    (void)e;
    s->n++;
    buf_puts(&s->text, ops[c->op]);
    if (c->op == CHANGE_SQL)
        buf_printf(&s->text, " %s", c->command);
    else
        buf_printf(&s->text, " %s", c->table);
    for (int i = 0; i < 2; i++) {
        const struct value *v = i ? c->new_values : c->old_values;
        if (!v)
            continue;
        buf_puts(&s->text, " (");
        for (unsigned k = 0; k < c->n_columns; k++) {
            buf_puts(&s->text, k ? "," : "");
            changeset_put_value(&s->text, &v[k]);
        }
        buf_puts(&s->text, ")");
    }
    buf_putc(&s->text, '\n');
    return ERR_OK;
}

static void assert_message(struct pair *p, const char *expected)
{
    struct seen s = {BUF_INIT, 0};
    struct changeset_reader *r = changeset_reader_new(see, &s);
    const struct changeset_info *info;

    PAIR_OK(p, changeset_feed(r, p->message.data, p->message.len, &p->e));
    PAIR_OK(p, changeset_finish(r, &info, &p->e));
    assert_string_equal(buf_cstr(&s.text), expected);
    changeset_reader_free(r);
    buf_free(&s.text);
}

static void assert_next(struct pair *p, const char *sql, const char *expected)
{
    pair_run(p, sql);
    assert_message(p, expected);
    pair_same(p);
}

/* ---- the table of facts ---- */

static void replace_reports_the_rows_it_removes(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p,
             "CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE, c); INSERT INTO t VALUES (1, 1, 1),"
             "(2, 2, 2)");
    assert_next(&p, "REPLACE INTO t VALUES (1, 2, 3)",
                "DELETE t (1,1,1)\nDELETE t (2,2,2)\nINSERT t (1,2,3)\n");
    assert_next(&p, "INSERT INTO t VALUES (5, 5, 5); UPDATE OR REPLACE t SET b = 5 WHERE a = 1",
                "INSERT t (5,5,5)\nDELETE t (5,5,5)\nUPDATE t (1,2,3) (1,5,3)\n");
    pair_close(&p);
}

static void without_rowid_tables_are_captured(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(v REAL, k TEXT PRIMARY KEY, w) WITHOUT ROWID");
    assert_next(&p,
                "INSERT INTO t VALUES (1, 'a', 2); UPDATE t SET k = 'b'; UPDATE t SET v = 3;"
                "DELETE FROM t",
                "INSERT t (1.0,\"a\",2)\nUPDATE t (1.0,\"a\",2) (1.0,\"b\",2)\n"
                "UPDATE t (1.0,\"b\",2) (3.0,\"b\",2)\nDELETE t (3.0,\"b\",2)\n");
    assert_null(strstr(buf_cstr(&p.message), "rowid"));
    pair_close(&p);
}

static void triggers_and_cascades_are_captured_and_not_run_again(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p"
                 " REFERENCES p ON DELETE CASCADE ON UPDATE SET NULL); CREATE TABLE log(x);"
                 "CREATE TRIGGER r BEFORE DELETE ON c BEGIN INSERT INTO log VALUES (old.id); END;"
                 "INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (10, 1), (20, 2)");
    assert_next(&p, "DELETE FROM p WHERE id = 1",
                "DELETE p (1)\nINSERT log (10)\nDELETE c (10,1)\n");
    assert_next(&p, "UPDATE p SET id = 3", "UPDATE p (2) (3)\nUPDATE c (20,2) (20,null)\n");
    pair_close(&p);
}

static void delete_without_where_reports_each_row(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a); INSERT INTO t VALUES (1), (2)");
    assert_next(&p, "DELETE FROM t", "DELETE t (1)\nDELETE t (2)\n");
    pair_close(&p);
}

static void upsert_ignore_and_no_op_updates(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 1)");
    assert_next(&p, "INSERT INTO t VALUES (1, 2) ON CONFLICT DO UPDATE SET b = excluded.b",
                "UPDATE t (1,1) (1,2)\n");
    assert_next(&p,
                "INSERT INTO t VALUES (1, 2) ON CONFLICT DO NOTHING; INSERT OR IGNORE INTO t VALUES"
                "(1, 3)",
                "");
    assert_next(&p, "UPDATE t SET b = b", "UPDATE t (1,2) (1,2)\n");
    assert_next(&p, "UPDATE t SET a = 7", "UPDATE t (1,2) (7,2)\n");
    pair_close(&p);
}

static void real_columns_are_sent_as_reals(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a REAL, b FLOAT, c INT, d, e TEXT); CREATE TABLE s(a REAL) STRICT;"
                 "CREATE TABLE g(g AS (1.5), a REAL, h AS (a + 1) STORED)");
    assert_next(&p,
                "INSERT INTO t VALUES (1, 2, 3.0, 4, 5); INSERT INTO s VALUES (7); INSERT INTO g"
                " VALUES (8); UPDATE t SET a = 9",
                "INSERT t (1.0,2.0,3,4,\"5\")\nINSERT s (7.0)\nINSERT g (8.0)\n"
                "UPDATE t (1.0,2.0,3,4,\"5\") (9.0,2.0,3,4,\"5\")\n");
    pair_close(&p);
}

/* INSERT INTO t SELECT * FROM s copies records that are older than a column of s. */
static void copied_rows_have_the_defaults_of_added_columns(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p,
             "CREATE TABLE s(a); CREATE TABLE t(a); INSERT INTO s VALUES (1);"
             "ALTER TABLE s ADD COLUMN b INTEGER NOT NULL DEFAULT '5';"
             "ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT '5';"
             "ALTER TABLE s ADD COLUMN c REAL DEFAULT 2; ALTER TABLE t ADD COLUMN c REAL DEFAULT 2;"
             "ALTER TABLE s ADD COLUMN d DEFAULT x'00'; ALTER TABLE t ADD COLUMN d DEFAULT x'00';"
             "ALTER TABLE s ADD COLUMN e DEFAULT word; ALTER TABLE t ADD COLUMN e DEFAULT word;"
             "INSERT INTO s VALUES (2, 3, NULL, NULL, NULL)");
    assert_next(
        &p, "INSERT INTO t SELECT * FROM s",
        "INSERT t (1,5,2.0,{\"$blob\":\"AA==\"},\"word\")\nINSERT t (2,3,null,null,null)\n");
    pair_run(&p,
             "CREATE TABLE v(k PRIMARY KEY) WITHOUT ROWID; CREATE TABLE w(k PRIMARY KEY) WITHOUT"
             " ROWID; INSERT INTO v VALUES (1); ALTER TABLE v ADD COLUMN b NOT NULL DEFAULT 7;"
             "ALTER TABLE w ADD COLUMN b NOT NULL DEFAULT 7");
    assert_next(&p, "INSERT INTO w SELECT * FROM v", "INSERT w (1,7)\n");
    assert_next(
        &p, "UPDATE s SET a = 9 WHERE a = 1; DELETE FROM s WHERE a = 9",
        "UPDATE s (1,5,2.0,{\"$blob\":\"AA==\"},\"word\") (9,5,2.0,{\"$blob\":\"AA==\"},\"word\")\n"
        "DELETE s (9,5,2.0,{\"$blob\":\"AA==\"},\"word\")\n");
    pair_close(&p);
}

static void values_arrive_as_they_left(void **state)
{
    static const char *const values[] = {"9223372036854775807",
                                         "-9223372036854775808",
                                         "9e999",
                                         "-9e999",
                                         "5e-324",
                                         "2.2250738585072011e-308",
                                         "1.7976931348623157e308",
                                         "-0.0",
                                         "0.1",
                                         "1e15",
                                         "1e16",
                                         "123456789012345678.0",
                                         "4.35",
                                         "''",
                                         "x''",
                                         "NULL",
                                         "'a' || char(0) || 'b'",
                                         "char(0)",
                                         "CAST(x'ff80c0afeda080' AS TEXT)",
                                         "char(0x10ffff)",
                                         "char(0xfffd)",
                                         "'\"\\/' || char(1) || char(0x2028)",
                                         "x'00'",
                                         "zeroblob(3)",
                                         "randomblob(100000)",
                                         "hex(randomblob(100000))",
                                         "'1'",
                                         "1",
                                         "1.0"};
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(
        &p,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, n, r REAL, t TEXT, i INTEGER, b BLOB, m NUMERIC)");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char sql[800];
        const char *v = values[i];
        (void)snprintf(sql, sizeof sql,
                       "INSERT INTO t(n, r, t, i, b, m) VALUES (%s, %s, %s, %s, %s, %s);"
                       "UPDATE t SET n = m, r = %s, b = %s WHERE id = %zu",
                       v, v, v, v, v, v, v, v, i);
        pair_run(&p, sql);
    }
    pair_same(&p);
    pair_close(&p);
}

static void only_main_is_captured(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a)");
    assert_next(&p,
                "CREATE TEMP TABLE x(a); INSERT INTO x VALUES (1); CREATE TEMP VIEW y AS SELECT 1;"
                "CREATE TEMP TRIGGER z AFTER INSERT ON t BEGIN INSERT INTO x VALUES (2); END;"
                "INSERT INTO t SELECT a + 1 FROM x; CREATE VIRTUAL TABLE temp.f USING fts5(q)",
                "INSERT t (2)\n");
    /* and nothing is left of it for the next transaction */
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "SELECT * FROM x", true), ERR_NO_TABLE);
    assert_int_equal(pair_step(&p, "SELECT * FROM y", true), ERR_NO_TABLE);
    assert_int_equal(pair_step(&p, "SELECT * FROM f", true), ERR_NO_TABLE);
    assert_int_equal(pair_step(&p, "CREATE TEMP TABLE u(a)", true), ERR_OK);
    writer_tx_undo(p.w);
    PAIR_OK(&p, writer_tx_begin(p.w, &p.e));
    assert_int_equal(pair_step(&p, "SELECT * FROM u", true), ERR_NO_TABLE);
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (5)", true), ERR_OK);
    pair_end(&p);
    pair_apply(&p);
    assert_message(&p, "INSERT t (5)\n");
    pair_same(&p);
    pair_close(&p);
}

/* ---- schema statements ---- */

static void schema_statements_travel_as_text(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    assert_next(&p, "  /* a comment */ create  TABLE t(a) ; -- behind\n",
                "SQL create  TABLE t(a)\n");
    assert_next(
        &p, "CREATE TABLE IF NOT EXISTS t(a); DROP TABLE IF EXISTS u; DROP VIEW IF EXISTS v", "");
    assert_next(
        &p, "INSERT INTO t VALUES (1); ALTER TABLE t ADD COLUMN b DEFAULT 2; UPDATE t SET a = 3",
        "INSERT t (1)\nSQL ALTER TABLE t ADD COLUMN b DEFAULT 2\nUPDATE t (1,2) (3,2)\n");
    assert_next(
        &p,
        "ALTER TABLE t RENAME COLUMN a TO c; ALTER TABLE t RENAME TO u; CREATE INDEX i ON u(c);"
        "CREATE VIEW v AS SELECT c FROM u; REINDEX; ALTER TABLE u ADD COLUMN z; ALTER TABLE u"
        " DROP COLUMN z; DROP VIEW v",
        "SQL ALTER TABLE t RENAME COLUMN a TO c\nSQL ALTER TABLE t RENAME TO u\n"
        "SQL CREATE INDEX i ON u(c)\nSQL CREATE VIEW v AS SELECT c FROM u\nSQL REINDEX\n"
        "SQL ALTER TABLE u ADD COLUMN z\nSQL ALTER TABLE u DROP COLUMN z\nSQL DROP VIEW v\n");
    assert_next(&p, "PRAGMA user_version = 7; PRAGMA application_id = 8; ANALYZE",
                "SQL PRAGMA user_version = 7\nSQL PRAGMA application_id = 8\nSQL ANALYZE\n");
    assert_next(&p, "PRAGMA user_version", "");
    assert_next(&p, "DROP TABLE u", "SQL DROP TABLE u\n");
    pair_close(&p);
}

static void create_as_select_travels_as_what_it_made(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a REAL, b TEXT); INSERT INTO t VALUES (1, 'x'), (NULL, 'y')");
    assert_next(&p, "CREATE TABLE u AS SELECT a, b || 'z' AS c FROM t",
                "SQL CREATE TABLE u(a REAL,c)\nINSERT u (1.0,\"xz\")\nINSERT u (null,\"yz\")\n");
    pair_run(&p, "CREATE TABLE IF NOT EXISTS main.r AS WITH q AS (SELECT random() AS n) SELECT n,"
                 " randomblob(10) AS b FROM q");
    pair_same(&p);
    assert_next(&p, "CREATE TABLE IF NOT EXISTS r AS SELECT 1", "");
    pair_close(&p);
}

static void rows_that_a_drop_takes_along_travel_before_it(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(
        &p,
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p"
        " REFERENCES p ON DELETE CASCADE); INSERT INTO p VALUES (1); INSERT INTO c VALUES (2, 1)");
    assert_next(&p, "DROP TABLE p", "DELETE c (2,1)\nSQL DROP TABLE p\n");
    pair_close(&p);
}

static void keys_into_virtual_tables_are_refused(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE VIRTUAL TABLE f USING fts5(x)");
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "CREATE TABLE c(a REFERENCES f_data(id))", true),
                     ERR_UNSUPPORTED);
    assert_int_equal(pair_step(&p, "CREATE TABLE c(a REFERENCES g_data(id))", true), ERR_OK);
    assert_int_equal(pair_step(&p, "CREATE VIRTUAL TABLE g USING fts5(x)", true), ERR_UNSUPPORTED);
    assert_int_equal(pair_step(&p, "ALTER TABLE f RENAME TO g", true), ERR_UNSUPPORTED);
    assert_int_equal(pair_step(&p, "ALTER TABLE c ADD COLUMN b REFERENCES F_data", true),
                     ERR_UNSUPPORTED);
    pair_end(&p);
    pair_apply(&p);
    pair_same(&p);
    pair_close(&p);
}

static void without_ddl_rows_still_travel(void **state)
{
    struct pair p;
    sqlite3 *db;

    (void)state;
    pair_files(&p);
    pair_connect(&p, APPLY_STRICT, ROW_BY_PK);
    writer_close(p.w);
    PAIR_OK(&p, writer_open(&p.w, &p.origin_cfg, p.spool, false, &p.e));
    db = pair_look(p.copy);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(a); CREATE TABLE u(a)", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    assert_next(&p,
                "CREATE TABLE t(a); INSERT INTO t VALUES (1); CREATE TABLE u AS SELECT * FROM t",
                "INSERT t (1)\nINSERT u (1)\n");
    pair_close(&p);
}

static void text_of_schema_must_be_utf8(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "CREATE TABLE t(a DEFAULT '\xff')", true), ERR_PARAM);
    assert_int_equal(pair_step(&p, "SELECT * FROM t", true), ERR_NO_TABLE);
    pair_end(&p);
    pair_close(&p);
}

/* ---- taking back ---- */

static void failed_statements_leave_nothing(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a INTEGER PRIMARY KEY); INSERT INTO t VALUES (3)");
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (1), (2), (3)", true), ERR_UNIQUE);
    assert_int_equal(pair_step(&p, "INSERT OR FAIL INTO t VALUES (1), (2), (3)", true), ERR_UNIQUE);
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (4)", true), ERR_OK);
    assert_int_equal((int)writer_changes(p.w), 1);
    assert_int_equal((int)writer_last_rowid(p.w), 4);
    pair_end(&p);
    pair_apply(&p);
    assert_message(&p, "INSERT t (4)\n");
    pair_same(&p);
    pair_close(&p);
}

static void savepoints_nest_and_are_found_by_name(void **state)
{
    struct pair p;
    struct err e = ERR_INIT;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a); CREATE VIRTUAL TABLE f USING fts5(x)");
    pair_begin(&p);
    assert_int_equal(writer_savepoint(p.w, "One", 3, &e), ERR_OK);
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (1)", true), ERR_OK);
    assert_int_equal(pair_step(&p, "INSERT INTO f VALUES ('gone')", true), ERR_OK);
    assert_int_equal(writer_savepoint(p.w, "two", 3, &e), ERR_OK);
    assert_int_equal(pair_step(&p, "CREATE TABLE u(a)", true), ERR_OK);
    assert_int_equal(pair_step(&p, "INSERT INTO u VALUES (2)", true), ERR_OK);
    assert_int_equal(writer_savepoint(p.w, "one", 3, &e), ERR_OK);
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (3)", true), ERR_OK);
    assert_int_equal(writer_rollback_to(p.w, "ONE", 3, &e), ERR_OK); /* the inner one */
    assert_int_equal(pair_step(&p, "INSERT INTO u VALUES (4)", true), ERR_OK);
    assert_int_equal(writer_release(p.w, "one", 3, &e), ERR_OK);
    assert_int_equal(writer_rollback_to(p.w, "one", 3, &e), ERR_OK); /* the outer one: u is gone */
    assert_int_equal(writer_release(p.w, "two", 3, &e), ERR_SAVEPOINT);
    assert_int_equal(pair_step(&p, "SELECT * FROM u", true), ERR_NO_TABLE);
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (5)", true), ERR_OK);
    assert_int_equal(pair_step(&p, "INSERT INTO f VALUES ('stays')", true), ERR_OK);
    assert_int_equal(writer_release(p.w, "one", 3, &e), ERR_OK);
    assert_int_equal(writer_release(p.w, "one", 3, &e), ERR_SAVEPOINT);
    pair_end(&p);
    pair_apply(&p);
    pair_same(&p);
    pair_close(&p);
}

static void a_group_holds_finished_transactions_only(void **state)
{
    struct changeset_tx txs[2] = {{0, 1}, {0, 2}};
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a)");
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (1)", false), ERR_OK);
    PAIR_OK(&p, writer_tx_end(p.w, &txs[0].changes, &p.e));
    PAIR_OK(&p, writer_tx_begin(p.w, &p.e));
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (2)", false), ERR_OK);
    assert_int_equal(pair_step(&p, "CREATE TABLE u(a)", false), ERR_OK);
    writer_tx_undo(p.w);
    PAIR_OK(&p, writer_tx_begin(p.w, &p.e));
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (3), (4)", false), ERR_OK);
    PAIR_OK(&p, writer_tx_end(p.w, &txs[1].changes, &p.e));
    pair_publish(&p, txs, 2);
    pair_apply(&p);
    assert_message(&p, "INSERT t (1)\nINSERT t (3)\nINSERT t (4)\n");
    assert_int_equal(txs[0].changes, 1);
    assert_int_equal(txs[1].changes, 2);
    pair_same(&p);
    pair_close(&p);
}

static void or_rollback_ends_the_group(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a UNIQUE); INSERT INTO t VALUES (1)");
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (2)", true), ERR_OK);
    assert_false(writer_lost(p.w));
    assert_int_equal(pair_step(&p, "INSERT OR ROLLBACK INTO t VALUES (1)", true), ERR_UNIQUE);
    assert_true(writer_lost(p.w));
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (3)", true), ERR_TX_ABORTED);
    writer_rollback(p.w);
    assert_false(writer_lost(p.w));
    assert_int_equal((int)spool_len(p.spool), 0);
    assert_next(&p, "INSERT INTO t VALUES (4)", "INSERT t (4)\n");
    pair_close(&p);
}

static void deferred_keys_are_checked_at_the_end(void **state)
{
    struct pair p;
    uint32_t n;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p DEFERRABLE"
                 " INITIALLY DEFERRED); CREATE TABLE i(p REFERENCES p)");
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "INSERT INTO c VALUES (1)", true), ERR_OK);
    assert_int_equal(writer_tx_end(p.w, &n, &p.e), ERR_FOREIGN_KEY);
    assert_int_equal(pair_step(&p, "INSERT INTO p VALUES (1)", true), ERR_OK); /* mended */
    pair_end(&p);
    pair_apply(&p);
    /* PRAGMA defer_foreign_keys ends with its transaction. */
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "PRAGMA defer_foreign_keys = 1", true), ERR_OK);
    assert_int_equal(pair_step(&p, "INSERT INTO i VALUES (2)", true), ERR_OK);
    assert_int_equal(pair_step(&p, "INSERT INTO p VALUES (2)", true), ERR_OK);
    PAIR_OK(&p, writer_tx_end(p.w, &n, &p.e));
    PAIR_OK(&p, writer_tx_begin(p.w, &p.e));
    assert_int_equal(pair_step(&p, "INSERT INTO i VALUES (3)", true), ERR_FOREIGN_KEY);
    writer_rollback(p.w);
    pair_same(&p);
    pair_close(&p);
}

/* ---- AUTOINCREMENT ---- */

static void sequences_move_with_their_rows_or_are_shipped(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, u UNIQUE)");
    assert_next(&p, "INSERT INTO t(u) VALUES ('a')", "INSERT t (1,\"a\")\n");
    assert_next(&p, "INSERT INTO t(u) VALUES ('b'); DELETE FROM t WHERE id = 2",
                "INSERT t (2,\"b\")\nDELETE t (2,\"b\")\n");
    assert_next(&p, "INSERT OR IGNORE INTO t(u) VALUES ('a')",
                "INSERT sqlite_sequence (\"t\",3)\n");
    assert_next(&p, "UPDATE sqlite_sequence SET seq = 1",
                "UPDATE sqlite_sequence (\"t\",1) (\"t\",1)\n");
    assert_next(&p, "INSERT INTO t(u) VALUES ('c'); DELETE FROM sqlite_sequence",
                "INSERT t (2,\"c\")\nDELETE sqlite_sequence (\"t\",1)\n");
    assert_next(&p, "ALTER TABLE t RENAME TO v; INSERT INTO v(u) VALUES ('d')",
                "SQL ALTER TABLE t RENAME TO v\nINSERT v (3,\"d\")\n");
    assert_next(&p, "DROP TABLE v", "SQL DROP TABLE v\n");
    pair_close(&p);
}

/* SQLite would use one of two rows of a name, and none of another name. */
static void odd_rows_of_sqlite_sequence_are_refused(void **state)
{
    static const char *const refused[] = {
        "INSERT INTO sqlite_sequence VALUES ('t', 50)",
        "INSERT INTO sqlite_sequence VALUES (NULL, 50)",
        "INSERT INTO sqlite_sequence VALUES (7, 50)",
        "INSERT INTO sqlite_sequence VALUES ('t' || char(0), 50)",
        "UPDATE sqlite_sequence SET name = 'u'",
        "UPDATE sqlite_sequence SET name = x'74' WHERE name = 't'",
    };
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, x);"
                 "CREATE TABLE u(id INTEGER PRIMARY KEY AUTOINCREMENT, x);"
                 "INSERT INTO t(x) VALUES (1); INSERT INTO u(x) VALUES (1)");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        pair_begin(&p);
        assert_int_equal(pair_step(&p, refused[i], true), ERR_UNSUPPORTED);
        PAIR_OK(&p, pair_step(&p, "INSERT INTO t(x) VALUES (2)", true));
        pair_end(&p);
        pair_apply(&p);
        pair_same(&p);
    }
    pair_run(&p, "DELETE FROM sqlite_sequence; INSERT INTO sqlite_sequence VALUES ('t', 50);"
                 "INSERT INTO sqlite_sequence VALUES ('u', 60); INSERT INTO t(x) VALUES (3)");
    pair_same(&p);
    pair_run(&p,
             "UPDATE sqlite_sequence SET seq = 90 WHERE name = 't'; INSERT INTO t(x) VALUES (3)");
    pair_same(&p);
    pair_close(&p);
}

/* Another connection moves the sequence and the schema: both are seen. */
static void what_others_write_is_noticed(void **state)
{
    struct pair p;
    sqlite3 *db;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p,
             "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t DEFAULT VALUES");
    for (int i = 0; i < 2; i++) {
        db = pair_look(i ? p.copy : p.origin);
        assert_int_equal(sqlite3_exec(db,
                                      "INSERT INTO t VALUES (10); ALTER TABLE t ADD COLUMN x REAL;"
                                      "CREATE TABLE u(a, b)",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        sqlite3_close(db);
    }
    writer_schema_changed(p.w);
    assert_next(&p, "INSERT INTO t(x) VALUES (1); INSERT INTO u VALUES (1, 2)",
                "INSERT t (11,1.0)\nINSERT u (1,2)\n");
    pair_close(&p);
}

/* ---- the rest ---- */

static void a_dump_is_the_file(void **state)
{
    static const enum row_identify ways[] = {ROW_BY_PK, ROW_BY_ROWID, ROW_BY_FULL};

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct pair p;

        pair_open(&p, APPLY_STRICT);
        pair_run(
            &p,
            "CREATE TABLE t(a, b REAL); INSERT INTO t VALUES (1, 2), (3, x'00'); DELETE FROM t"
            " WHERE a = 1; CREATE INDEX i ON t(a); CREATE VIEW v AS SELECT * FROM t;"
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; END;"
            "CREATE TABLE s(id INTEGER PRIMARY KEY AUTOINCREMENT, g AS (id * 2), h AS (1) STORED);"
            "INSERT INTO s(id) VALUES (5); DELETE FROM s;"
            "CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES ('x', 1.5);"
            "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('some words');"
            "CREATE VIRTUAL TABLE e USING fts5(x, content='t', content_rowid='rowid');"
            "CREATE VIRTUAL TABLE q USING rtree(id, a, b); INSERT INTO q VALUES (1, 2, 3);"
            "CREATE VIRTUAL TABLE f4 USING fts4(x); INSERT INTO f4 VALUES ('more words');"
            "CREATE VIRTUAL TABLE c4 USING fts4(content='w');"
            "CREATE VIRTUAL TABLE vocab USING fts5vocab(f, row);"
            "CREATE TABLE f_not_a_shadow(a); INSERT INTO f_not_a_shadow VALUES (1);"
            "PRAGMA user_version = -3; PRAGMA application_id = 99; ANALYZE");
        pair_dump(&p, "fourth.db", ways[i]);
        pair_close(&p);
    }
}

/* A dump of more than the spool holds in memory; applied from the spool. */
static void a_large_dump_needs_little_memory(void **state)
{
    const struct changeset_info *info;
    struct position pos = {.seq = 1};
    struct buf head = BUF_INIT;
    struct spool *whole;
    uint32_t n;
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE TABLE t(a, b)");
    pair_begin(&p);
    assert_int_equal(
        pair_step(&p,
                  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE"
                  " i < 50000) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n",
                  true),
        ERR_OK);
    assert_int_equal((int)writer_changes(p.w), 50000);
    PAIR_OK(&p, writer_tx_end(p.w, &n, &p.e));
    assert_int_equal(n, 50000);
    assert_true(spool_len(p.spool) > 8 << 20);
    whole = spool_new(p.dir, 64 << 10);
    changeset_put_head(spool_tail(whole), "n");
    for (uint64_t at = 0; at < spool_len(p.spool);) {
        char piece[9000];
        size_t got;
        PAIR_OK(&p, spool_read(p.spool, at, piece, sizeof piece, &got, &p.e));
        buf_put(spool_tail(whole), piece, got);
        spool_flush(whole);
        at += got;
    }
    changeset_put_tail(spool_tail(whole), "id", "prev", "f", 1,
                       &(struct changeset_txs){.txs = &(struct changeset_tx){n, 1}, .n = 1});
    PAIR_OK(&p, writer_commit(p.w, &p.e));
    PAIR_OK(&p, apply_begin(p.a, &p.e));
    PAIR_OK(&p, apply_spooled(p.a, whole, &info, &p.e));
    assert_int_equal((int)info->changes, 50000);
    PAIR_OK(&p, apply_commit(p.a, &pos, &p.e));
    pair_same(&p);
    spool_free(whole);
    buf_free(&head);
    pair_close(&p);
}

/* FTS5 and R-tree tables keep blob handles open until the transaction ends. */
static void a_rollback_is_not_stopped(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE VIRTUAL TABLE f USING fts5(x); INSERT INTO f VALUES ('one');"
                 "CREATE VIRTUAL TABLE r USING rtree(id, a, b); INSERT INTO r VALUES (1, 2, 3)");
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "INSERT INTO f VALUES ('two')", true), ERR_OK);
    assert_int_equal(pair_step(&p, "INSERT INTO r VALUES (4, 5, 6)", true), ERR_OK);
    conn_interrupt(writer_conn(p.w));
    writer_rollback(p.w);
    pair_run(&p, "INSERT INTO r VALUES (7, 8, 9); INSERT INTO f VALUES ('three')");
    pair_same(&p);
    pair_close(&p);
}

static void odd_names(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(
        &p,
        "CREATE TABLE \"a\"\"b'%s\\\"(\"select\" PRIMARY KEY, [x y] REAL, `\xd0\x9a`, \"rowid\","
        " \"\" INT, 'q' TEXT);"
        "INSERT INTO \"a\"\"b'%s\\\" VALUES (1, 2, 3, 4, 5, 6); UPDATE \"a\"\"b'%s\\\" SET \"\" = "
        "9;"
        "INSERT INTO \"a\"\"b'%s\\\"(oid, rowid) VALUES (77, 'x')");
    pair_same(&p);
    pair_run(
        &p,
        "CREATE TABLE all3(rowid, oid, _rowid_, k NOT NULL PRIMARY KEY); INSERT INTO all3 VALUES "
        "(1, 2, 3, "
        "4);"
        "UPDATE all3 SET oid = 7; CREATE TABLE none(rowid, oid, _rowid_ UNIQUE NOT NULL); INSERT "
        "INTO none VALUES"
        " (1, 2, 3); UPDATE none SET oid = NULL; INSERT INTO none VALUES (3, 4, 5); DELETE FROM "
        "none"
        " WHERE rowid = 1");
    pair_same(&p);
    pair_dump(&p, "fourth.db", ROW_BY_PK);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_reports_the_rows_it_removes),
        cmocka_unit_test(without_rowid_tables_are_captured),
        cmocka_unit_test(triggers_and_cascades_are_captured_and_not_run_again),
        cmocka_unit_test(delete_without_where_reports_each_row),
        cmocka_unit_test(upsert_ignore_and_no_op_updates),
        cmocka_unit_test(real_columns_are_sent_as_reals),
        cmocka_unit_test(copied_rows_have_the_defaults_of_added_columns),
        cmocka_unit_test(values_arrive_as_they_left),
        cmocka_unit_test(only_main_is_captured),
        cmocka_unit_test(schema_statements_travel_as_text),
        cmocka_unit_test(create_as_select_travels_as_what_it_made),
        cmocka_unit_test(rows_that_a_drop_takes_along_travel_before_it),
        cmocka_unit_test(keys_into_virtual_tables_are_refused),
        cmocka_unit_test(without_ddl_rows_still_travel),
        cmocka_unit_test(text_of_schema_must_be_utf8),
        cmocka_unit_test(failed_statements_leave_nothing),
        cmocka_unit_test(savepoints_nest_and_are_found_by_name),
        cmocka_unit_test(a_group_holds_finished_transactions_only),
        cmocka_unit_test(or_rollback_ends_the_group),
        cmocka_unit_test(deferred_keys_are_checked_at_the_end),
        cmocka_unit_test(sequences_move_with_their_rows_or_are_shipped),
        cmocka_unit_test(odd_rows_of_sqlite_sequence_are_refused),
        cmocka_unit_test(what_others_write_is_noticed),
        cmocka_unit_test(a_dump_is_the_file),
        cmocka_unit_test(a_large_dump_needs_little_memory),
        cmocka_unit_test(a_rollback_is_not_stopped),
        cmocka_unit_test(odd_names),
    };

    log_configure(LOG_LEVEL_WARN, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
