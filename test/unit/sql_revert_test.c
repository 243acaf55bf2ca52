/* Inverse changes on the write connection: what is put back, what is refused, and what the
 * connection is afterwards. */
#include "sql_pair.h"

#include "sql/change_text.h"
#include "sql/revert.h"

struct book {
    struct inverse_list *list;
    struct changeset_reader *reader;
    uint64_t seq;
    struct buf text; /* of the changes, as SQL */
};

static enum err_code on_change(void *arg, const struct change *c, struct err *e)
{
    struct book *b = arg;

    (void)e;
    inverse_list_add(b->list, c, b->seq, 1);
    change_put_sql(&b->text, c);
    buf_puts(&b->text, "\n");
    return ERR_OK;
}

static void book_open(struct book *b, struct pair *p)
{
    memset(b, 0, sizeof *b);
    b->list = inverse_list_new(p->dir, 1 << 20);
    b->reader = changeset_reader_new(on_change, b);
}

static void book_close(struct book *b)
{
    inverse_list_free(b->list);
    changeset_reader_free(b->reader);
    buf_free(&b->text);
}

static void note(struct book *b, struct pair *p)
{
    const struct changeset_info *info = NULL;

    b->seq = p->seq;
    changeset_reader_reset(b->reader);
    PAIR_OK(p, changeset_feed(b->reader, p->message.data, p->message.len, &p->e));
    PAIR_OK(p, changeset_finish(b->reader, &info, &p->e));
}

/* One transaction, through to the copy, and into the book. */
static void run(struct pair *p, struct book *b, const char *sql)
{
    pair_run(p, sql);
    note(b, p);
}

/* Takes the book back; ERR_OK has it committed and applied to the copy. */
static enum err_code take_back(struct pair *p, struct book *b, const char *watched)
{
    const struct inverse *x = NULL;
    struct revert *r = NULL;
    struct err second = ERR_INIT;
    enum err_code code;

    pair_begin(p);
    PAIR_OK(p, revert_begin(&r, p->w, &p->e));
    if (watched)
        PAIR_OK(p, revert_watch(r, watched, &p->e));
    inverse_list_rewind(b->list);
    while ((code = inverse_list_back(b->list, &x, &p->e)) == ERR_OK && x)
        if ((code = revert_row(r, x, &p->e)) != ERR_OK)
            break;
    enum err_code ended = revert_end(r, code == ERR_OK, &second);
    if (code == ERR_OK && ended != ERR_OK) {
        p->e = second;
        code = ended;
    }
    inverse_list_cut(b->list, 0);
    if (code != ERR_OK) {
        writer_tx_undo(p->w);
        writer_rollback(p->w);
        return code;
    }
    pair_end(p);
    pair_apply(p);
    pair_same(p);
    return ERR_OK;
}

static void holds(struct pair *p, const char *sql, const char *rows)
{
    sqlite3 *db = pair_look(p->origin);
    struct buf b = BUF_INIT;

    pair_query(db, sql, &b);
    assert_string_equal(buf_cstr(&b), rows);
    buf_free(&b);
    sqlite3_close(db);
}

static void refused(struct pair *p, struct book *b, enum err_code code, const char *text)
{
    enum err_code got = take_back(p, b, NULL);

    if (got != code || !strstr(p->e.msg, text))
        fail_msg("%s: %s", err_name(got), p->e.msg);
}

static void rows_that_have_changed_since(void **state)
{
    struct pair p;
    struct book b;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    book_open(&b, &p);
    pair_run(&p,
             "CREATE TABLE t(id INTEGER PRIMARY KEY, v, k UNIQUE); INSERT INTO t VALUES (1, 1, 1)");
    run(&p, &b, "UPDATE t SET v = 2");
    pair_run(&p, "UPDATE t SET v = 2.0"); /* equal, and not the same */
    refused(&p, &b, ERR_CHANGED, "row id=1 of table t, transaction 2: its column v has changed");
    run(&p, &b, "INSERT INTO t VALUES (7, 'x', 7)");
    pair_run(&p, "DELETE FROM t WHERE id = 7");
    refused(&p, &b, ERR_CHANGED,
            "row id=7 of table t, transaction 4: the row is not there any more");
    run(&p, &b, "DELETE FROM t WHERE id = 1");
    pair_run(&p, "INSERT INTO t VALUES (1, 'other', 5)");
    refused(&p, &b, ERR_CHANGED, "row id=1 of table t, transaction 6: another row has taken");
    run(&p, &b, "DELETE FROM t WHERE id = 1");
    pair_run(&p, "INSERT INTO t VALUES (2, 'other', 5)");
    refused(&p, &b, ERR_CHANGED, "UNIQUE constraint failed: t.k");
    /* Nothing is left of those, and the connection does what it did before. */
    run(&p, &b, "UPDATE t SET v = 'y'");
    assert_int_equal(take_back(&p, &b, NULL), ERR_OK);
    holds(&p, "SELECT * FROM t", "int:2|text:other|int:5|\n");
    book_close(&b);
    pair_close(&p);
}

static void tables_that_have_changed_since(void **state)
{
    struct pair p;
    struct book b;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    book_open(&b, &p);
    pair_run(&p, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
    run(&p, &b, "INSERT INTO t VALUES (1, 1)");
    pair_run(&p, "ALTER TABLE t ADD COLUMN w DEFAULT 5");
    refused(&p, &b, ERR_SCHEMA_CHANGED, "the table has other columns by now");
    run(&p, &b, "INSERT INTO t VALUES (2, 2, 2)");
    pair_run(&p, "ALTER TABLE t RENAME COLUMN v TO u");
    refused(&p, &b, ERR_SCHEMA_CHANGED, "the table has other columns by now");
    run(&p, &b, "DELETE FROM t WHERE id = 2");
    pair_run(&p, "DROP TABLE t");
    refused(&p, &b, ERR_SCHEMA_CHANGED,
            "row id=2 of table t, transaction 6: the table is not there");
    pair_run(&p, "CREATE TABLE t(id INTEGER PRIMARY KEY, u CHECK (u <> 2), w)");
    run(&p, &b, "INSERT INTO t VALUES (1, 1, 1)"); /* and what is in the book of before */
    assert_int_equal(take_back(&p, &b, NULL), ERR_OK);
    book_close(&b);
    pair_close(&p);
}

static void triggers_and_settings(void **state)
{
    struct pair p;
    struct book b;
    int on = -1;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    book_open(&b, &p);
    pair_run(
        &p,
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE l(x);"
        "CREATE TRIGGER a AFTER DELETE ON t BEGIN INSERT INTO l VALUES ('fired'); END;"
        "CREATE TRIGGER b BEFORE DELETE ON t WHEN old.id = 9 BEGIN SELECT RAISE(ABORT, 'no'); END");
    run(&p, &b, "INSERT INTO t VALUES (9, 'x')");
    assert_int_equal(take_back(&p, &b, NULL), ERR_OK);
    holds(&p, "SELECT * FROM l", "");
    for (int i = 0; i < 2; i++) {
        int option = i ? SQLITE_DBCONFIG_DEFENSIVE : SQLITE_DBCONFIG_ENABLE_TRIGGER;
        assert_int_equal(sqlite3_db_config(conn_handle(writer_conn(p.w)), option, -1, &on),
                         SQLITE_OK);
        assert_int_equal(on, 1);
    }
    pair_run(&p, "INSERT INTO t VALUES (1, 1); DELETE FROM t");
    holds(&p, "SELECT * FROM l", "text:fired|\n");
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "INSERT INTO ha_position(id) VALUES (1)", false), ERR_DENIED);
    writer_rollback(p.w);
    book_close(&b);
    pair_close(&p);
}

static void foreign_keys(void **state)
{
    struct pair p;
    struct book b;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    book_open(&b, &p);
    pair_run(&p, "CREATE TABLE p(id INTEGER PRIMARY KEY, v);"
                 "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE)");
    run(&p, &b, "INSERT INTO p VALUES (1, 'a')");
    pair_run(&p, "INSERT INTO c VALUES (1, 1)");
    assert_int_equal(take_back(&p, &b, "p"), ERR_FOREIGN_KEY);
    assert_non_null(strstr(p.e.msg, "table c"));
    holds(&p, "SELECT * FROM c", "int:1|int:1|\n");
    run(&p, &b, "DELETE FROM p"); /* and its child */
    assert_int_equal(take_back(&p, &b, "p"), ERR_OK);
    holds(&p, "SELECT * FROM c", "int:1|int:1|\n");
    /* Enforced again. */
    pair_begin(&p);
    assert_int_equal(pair_step(&p, "INSERT INTO c VALUES (2, 7)", false), ERR_FOREIGN_KEY);
    writer_rollback(p.w);
    /* A violation that was there before is nobody's. */
    pair_begin(&p);
    (void)sqlite3_db_config(conn_handle(writer_conn(p.w)), SQLITE_DBCONFIG_ENABLE_FKEY, 0, NULL);
    PAIR_OK(&p, pair_step(&p, "INSERT INTO c VALUES (3, 33)", false));
    (void)sqlite3_db_config(conn_handle(writer_conn(p.w)), SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
    pair_end(&p);
    pair_apply(&p);
    run(&p, &b, "INSERT INTO p VALUES (5, 'b')");
    assert_int_equal(take_back(&p, &b, "p"), ERR_OK);
    book_close(&b);
    pair_close(&p);
}

static void rows_of_every_kind(void **state)
{
    static const char *const schemas[] = {
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v, w)",
        "CREATE TABLE t(id, v, w)",
        "CREATE TABLE t(id, v, w, PRIMARY KEY (id, v))",
        "CREATE TABLE t(id TEXT COLLATE NOCASE, v, w, PRIMARY KEY (v, id)) WITHOUT ROWID",
        "CREATE TABLE t(id UNIQUE, v, w, g AS (id || v) STORED, h AS (w))",
        "CREATE TABLE t(rowid, oid, _rowid_, id NOT NULL PRIMARY KEY, v, w)",
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v, w)",
    };

    (void)state;
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        struct pair p;
        struct book b;
        struct buf then = BUF_INIT;
        sqlite3 *db;

        pair_open(&p, APPLY_STRICT);
        book_open(&b, &p);
        pair_run(&p, schemas[i]);
        pair_run(&p, "INSERT INTO t(id, v, w) VALUES (1, 9223372036854775807, 5e-324),"
                     " (2, 'a' || char(0) || 'b', CAST(x'ff80' AS TEXT)), (3, x'', x'00ff'), (4, "
                     "-0.0, 9e999)");
        db = pair_look(p.origin);
        pair_query(db, "SELECT * FROM t ORDER BY id", &then);
        run(&p, &b,
            "UPDATE t SET v = 'n' || id, w = NULL WHERE id < 3; DELETE FROM t WHERE id = 2");
        run(&p, &b, "INSERT INTO t(id, v, w) VALUES (7, 7, 7); UPDATE t SET id = id + 100");
        run(&p, &b, "REPLACE INTO t(id, v, w) VALUES (101, 'n1', 'again'); DELETE FROM t");
        assert_int_equal(take_back(&p, &b, NULL), ERR_OK);
        holds(&p, "SELECT * FROM t ORDER BY id", buf_cstr(&then));
        note(&b, &p);
        assert_int_equal(take_back(&p, &b, NULL), ERR_OK);
        holds(&p, "SELECT * FROM t", "");
        sqlite3_close(db);
        buf_free(&then);
        book_close(&b);
        pair_close(&p);
    }
}

/* What a change is called, and the statement that would do the same. */
static void as_text(void **state)
{
    struct pair p;
    struct book b;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    book_open(&b, &p);
    pair_run(&p, "CREATE TABLE t(id INTEGER PRIMARY KEY, v, \"q\"\"x\")");
    run(&p, &b,
        "INSERT INTO t VALUES (-9223372036854775808, 'it''s', 1.5), (2, x'00ff', 9e999);"
        "UPDATE t SET v = CAST(x'ff' AS TEXT), \"q\"\"x\" = -0.0 WHERE id = 2;"
        "DELETE FROM t WHERE id = 2");
    assert_string_equal(
        buf_cstr(&b.text),
        "INSERT INTO \"t\" (\"id\", \"v\", \"q\"\"x\") VALUES (-9223372036854775807 - 1, 'it''s', "
        "1.5)\n"
        "INSERT INTO \"t\" (\"id\", \"v\", \"q\"\"x\") VALUES (2, X'00FF', 9e999)\n"
        "UPDATE \"t\" SET \"v\" = CAST(X'FF' AS TEXT), \"q\"\"x\" = -0.0 WHERE \"id\" = 2\n"
        "DELETE FROM \"t\" WHERE \"id\" = 2\n");
    buf_reset(&b.text);
    run(&p, &b,
        "CREATE TABLE n(a, b) -- comment\n ;INSERT INTO n VALUES (NULL, 1);"
        "UPDATE n SET a = a; UPDATE n SET rowid = 5; DELETE FROM n");
    assert_string_equal(buf_cstr(&b.text), "CREATE TABLE n(a, b) -- comment\n"
                                           "INSERT INTO \"n\" (\"a\", \"b\") VALUES (NULL, 1)\n"
                                           "UPDATE \"n\" SET \"a\" = \"a\" WHERE rowid = 1\n"
                                           "UPDATE \"n\" SET rowid = 5 WHERE rowid = 1\n"
                                           "DELETE FROM \"n\" WHERE rowid = 5\n");
    book_close(&b);
    pair_close(&p);
}

static void shadow_tables(void **state)
{
    struct pair p;
    bool shadow = false;

    (void)state;
    pair_open(&p, APPLY_STRICT);
    pair_run(&p, "CREATE VIRTUAL TABLE f USING fts5(x); CREATE TABLE f_other(a)");
    PAIR_OK(&p, revert_is_shadow(writer_conn(p.w), "f_data", &shadow, &p.e));
    assert_true(shadow);
    PAIR_OK(&p, revert_is_shadow(writer_conn(p.w), "f_other", &shadow, &p.e));
    assert_false(shadow);
    PAIR_OK(&p, revert_is_shadow(writer_conn(p.w), "nothing", &shadow, &p.e));
    assert_false(shadow);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_have_changed_since),
        cmocka_unit_test(tables_that_have_changed_since),
        cmocka_unit_test(triggers_and_settings),
        cmocka_unit_test(foreign_keys),
        cmocka_unit_test(rows_of_every_kind),
        cmocka_unit_test(as_text),
        cmocka_unit_test(shadow_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
