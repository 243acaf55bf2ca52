/*
 * ALTER where SQLite's own does not reach: on an origin and, through the log, on a copy; every file
 * is checked for its integrity, rows and rowids are compared, and plain SQLite reads what has
 * become of the schema.
 */
#include "sql/alter.h"

#include "sql/table_text.h"
#include "sql_pair.h"

static struct pair p;

static int setup(void **state)
{
    (void)state;
    pair_open(&p, APPLY_STRICT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pair_close(&p);
    return 0;
}

/* One transaction of the origin, applied and compared. */
static void run(const char *sql)
{
    pair_run(&p, sql);
    pair_same(&p);
}

static void expect(const char *sql, const char *rows)
{
    sqlite3 *db = pair_look(p.copy);
    struct buf b = BUF_INIT;
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    while (sqlite3_step(st) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const char *v = (const char *)sqlite3_column_text(st, i);
            buf_printf(&b, "%s%s", i ? "|" : "", v ? v : "");
        }
        buf_putc(&b, '\n');
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    if (strcmp(buf_cstr(&b), rows) != 0)
        fail_msg("%s:\n%s", sql, buf_cstr(&b));
    buf_free(&b);
}

/* It fails so, and leaves no trace, neither in the file nor in the log. */
static void refuse(const char *sql, enum err_code code)
{
    struct err e;
    enum err_code got;

    pair_begin(&p);
    got = pair_step(&p, sql, true);
    e = p.e;
    pair_end(&p);
    if (got != code)
        fail_msg("%s: %s: %s", sql, err_name(got), e.msg);
    assert_int_equal(p.changes, 0);
    pair_apply(&p);
    pair_same(&p);
}

#define TEXT_OF(table) "SELECT sql FROM sqlite_schema WHERE name = '" table "'"

/* ---- the reader of CREATE TABLE ---- */

static void test_table_text(void **state)
{
    static const char sql[] =
        "CREATE TABLE \"a b\"(id INTEGER PRIMARY KEY AUTOINCREMENT, -- the, key\n"
        " 'n' VARCHAR(10, 2) CONSTRAINT nn NOT NULL ON CONFLICT IGNORE DEFAULT -1.5e-3 UNIQUE,"
        " [r] REFERENCES x(y) ON DELETE SET NULL NOT DEFERRABLE INITIALLY DEFERRED DEFAULT NULL,"
        " g AS (n || ',)') STORED, b UNSIGNED BIG INT CHECK (b > 0) DEFAULT x'00' COLLATE nocase,"
        " CONSTRAINT uq UNIQUE (n, \"g\" COLLATE binary DESC) ON CONFLICT FAIL"
        " CHECK (b IN (1, 2)), FOREIGN KEY (n, g) REFERENCES y ON UPDATE NO ACTION) STRICT";
    static const struct {
        enum text_constraint_kind kind;
        const char *name;
    } expected[] = {
        {TEXT_PRIMARY_KEY, "a b_pkey"},
        {TEXT_NOT_NULL, "nn"},
        {TEXT_DEFAULT, NULL},
        {TEXT_UNIQUE, "a b_n_key"},
        {TEXT_FOREIGN_KEY, "a b_r_fkey"},
        {TEXT_DEFAULT, NULL},
        {TEXT_GENERATED, NULL},
        {TEXT_CHECK, "a b_b_check"},
        {TEXT_DEFAULT, NULL},
        {TEXT_OTHER, NULL},
        {TEXT_UNIQUE, "uq"},
        {TEXT_CHECK, "a b_check"},
        {TEXT_FOREIGN_KEY, "a b_n_g_fkey"},
    };
    struct arena *a = arena_new();
    struct table_text t;

    (void)state;
    assert_true(table_text_read(&t, a, sql, strlen(sql)));
    assert_int_equal(t.n_columns, 5);
    assert_string_equal(t.columns[2].name, "r");
    assert_int_equal(t.columns[2].type.from, t.columns[2].type.to);
    assert_memory_equal(sql + t.columns[1].type.from, "VARCHAR(10, 2)", 14);
    assert_int_equal(t.columns[4].type.to - t.columns[4].type.from, strlen("UNSIGNED BIG INT"));
    assert_int_equal(t.n_constraints, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < t.n_constraints; i++) {
        const char *name = table_text_constraint_name(&t, a, "a b", i);
        assert_int_equal(t.constraints[i].kind, expected[i].kind);
        if (!expected[i].name && t.constraints[i].kind != TEXT_NOT_NULL)
            assert_null(name);
        else
            assert_string_equal(name, expected[i].name);
    }
    assert_memory_equal(sql + t.constraints[2].list.from, "-1.5e-3 ", 8);
    assert_int_equal(t.constraints[2].list.to - t.constraints[2].list.from, 7);
    assert_int_equal(t.constraints[8].list.to - t.constraints[8].list.from, 5);
    assert_int_equal(sql[t.close], ')');
    assert_false(table_text_read(&t, a, "CREATE VIRTUAL TABLE t USING fts5(a)", 36));
    assert_false(table_text_read(&t, a, "CREATE TABLE t (a, b", 20));
    arena_free(a);
}

static void test_which_is_ours(void **state)
{
    static const struct {
        const char *sql;
        bool ours;
    } cases[] = {
        {"ALTER TABLE t ALTER COLUMN c TYPE int", true},
        {"/* x */ alter table \"t\" alter c set data type text", true},
        {"ALTER TABLE t ALTER c SET DEFAULT 5", true},
        {"ALTER TABLE t ALTER c DROP DEFAULT", true},
        {"ALTER TABLE t ADD CONSTRAINT x FOREIGN KEY (a) REFERENCES b", true},
        {"ALTER TABLE t ADD UNIQUE (a)", true},
        {"ALTER TABLE t ADD PRIMARY KEY (a)", true},
        {"ALTER TABLE t DROP CONSTRAINT x", true},
        {"ALTER TABLE t DROP COLUMN c CASCADE", true},
        {"ALTER TABLE t ADD COLUMN IF NOT EXISTS c int", true},
        {"ALTER INDEX i RENAME TO j", true},
        {"ALTER TABLE t ADD COLUMN c int", false},
        {"ALTER TABLE t ADD CHECK (a > 0)", false},
        {"ALTER TABLE t ALTER COLUMN c SET NOT NULL", false},
        {"ALTER TABLE t DROP COLUMN c", false},
        {"ALTER TABLE t RENAME COLUMN a TO b", false},
        {"ALTER TABLE t RENAME TO u", false},
        {"SELECT 'ALTER TABLE t DROP CONSTRAINT x'", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (alter_is(cases[i].sql, strlen(cases[i].sql)) != cases[i].ours)
            fail_msg("%s", cases[i].sql);
}

/* ---- defaults ---- */

static void test_defaults(void **state)
{
    (void)state;
    run("CREATE TABLE d (id INTEGER PRIMARY KEY, a TEXT DEFAULT 'x' NOT NULL, b);"
        "INSERT INTO d(b) VALUES (1), (2)");
    run("ALTER TABLE d ALTER COLUMN a SET DEFAULT 'it''s'");
    run("ALTER TABLE d ALTER b SET DEFAULT 1 + 2; INSERT INTO d DEFAULT VALUES");
    run("ALTER TABLE d ALTER a DROP DEFAULT");
    expect(TEXT_OF("d"),
           "CREATE TABLE d (id INTEGER PRIMARY KEY, a TEXT  NOT NULL, b DEFAULT (1 + 2))\n");
    expect("SELECT a, b FROM d", "x|1\nx|2\nit's|3\n");
    refuse("INSERT INTO d(b) VALUES (1)", ERR_NOT_NULL);
    refuse("ALTER TABLE d ALTER nope SET DEFAULT 1", ERR_NO_COLUMN);
    refuse("ALTER TABLE nope ALTER a SET DEFAULT 1", ERR_NO_TABLE);
    refuse("ALTER TABLE d ALTER a SET DEFAULT 1, c TEXT", ERR_SYNTAX);
    refuse("ALTER TABLE d ALTER a SET DEFAULT (", ERR_SYNTAX);
    refuse("ALTER TABLE d ALTER a SET DEFAULT", ERR_SYNTAX);
}

/* Rows that are older than a column show its default: the one that they have always shown. */
static void old_rows(const char *create, const char *insert)
{
    run(create);
    run(insert);
    run("ALTER TABLE o ADD COLUMN c INTEGER DEFAULT 5; ALTER TABLE o ADD COLUMN e TEXT;"
        "CREATE INDEX o_c ON o(c); CREATE INDEX o_e ON o(e) WHERE c = 5;"
        "INSERT INTO o(a, c, e) VALUES (10, 6, 'new')");
    run("CREATE TRIGGER o_u AFTER UPDATE ON o BEGIN SELECT RAISE(FAIL, 'no'); END");
    run("ALTER TABLE o ALTER COLUMN c SET DEFAULT 7; ALTER TABLE o ALTER COLUMN e SET DEFAULT 'y'");
    run("INSERT INTO o(a) VALUES (11)");
    expect("SELECT a, c, e FROM o ORDER BY a", "1|5|\n2|5|\n10|6|new\n11|7|y\n");
    expect("SELECT a FROM o INDEXED BY o_c WHERE c = 5 ORDER BY a", "1\n2\n");
    run("ALTER TABLE o ALTER COLUMN c DROP DEFAULT");
    expect("SELECT a, c FROM o ORDER BY a", "1|5\n2|5\n10|6\n11|7\n");
    run("DROP TABLE o");
}

static void test_rows_older_than_their_column(void **state)
{
    (void)state;
    old_rows("CREATE TABLE o (a INTEGER PRIMARY KEY)", "INSERT INTO o VALUES (1), (2)");
    old_rows("CREATE TABLE o (a)", "INSERT INTO o VALUES (1), (2)");
    old_rows("CREATE TABLE o (rowid, a UNIQUE NOT NULL, oid, _rowid_)",
             "INSERT INTO o(a) VALUES (1), (2)");
    old_rows("CREATE TABLE o (a PRIMARY KEY) WITHOUT ROWID", "INSERT INTO o VALUES (1), (2)");
    old_rows("CREATE TABLE o (a INTEGER UNIQUE) STRICT", "INSERT INTO o VALUES (1), (2)");
}

/* ---- types ---- */

static void test_types(void **state)
{
    (void)state;
    run("CREATE TABLE y (id INTEGER PRIMARY KEY, a VARCHAR(10) NOT NULL UNIQUE, b, c INTEGER);"
        "INSERT INTO y VALUES (1, '5', 1, 1), (2, '10', 2, 2), (3, 'x', NULL, NULL);"
        "CREATE INDEX y_a ON y(a); CREATE INDEX y_p ON y(b) WHERE a > 7;"
        "CREATE VIEW v AS SELECT a FROM y");
    run("ALTER TABLE y ALTER a TYPE VARCHAR(200)");
    run("ALTER TABLE y ALTER b TYPE TEXT; UPDATE y SET b = CAST(b AS TEXT)");
    run("ALTER TABLE y ALTER COLUMN a SET DATA TYPE INTEGER; UPDATE y SET a = a");
    run("ALTER TABLE y ALTER c TYPE REAL; UPDATE y SET c = c");
    run("ALTER TABLE y ALTER id TYPE BIGINT");
    expect(TEXT_OF("y"),
           "CREATE TABLE y (id INTEGER PRIMARY KEY, a INTEGER NOT NULL UNIQUE, b TEXT, c REAL)\n");
    expect("SELECT id, a, typeof(a), typeof(b), typeof(c) FROM y INDEXED BY y_a WHERE a < 100",
           "1|5|integer|text|real\n2|10|integer|text|real\n");
    expect("SELECT b FROM y INDEXED BY y_p WHERE a > 7 AND b > '0'", "2\n");
    expect("SELECT count(*) FROM v", "3\n");
    refuse("ALTER TABLE y ALTER id TYPE TEXT", ERR_UNSUPPORTED);
    refuse("ALTER TABLE y ALTER c TYPE int) --", ERR_SYNTAX);
    refuse("ALTER TABLE y ALTER c TYPE INT, d INT", ERR_UNSUPPORTED);
    run("CREATE TABLE w (a TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID; INSERT INTO w VALUES ('1', "
        "'2')");
    run("ALTER TABLE w ALTER b TYPE INT; UPDATE w SET b = b");
    expect("SELECT typeof(b) FROM w", "integer\n");
    refuse("ALTER TABLE w ALTER a TYPE INT", ERR_UNSUPPORTED);
}

static void test_type_of_rows_older_than_their_column(void **state)
{
    (void)state;
    run("CREATE TABLE o (a INTEGER PRIMARY KEY); INSERT INTO o VALUES (1), (2)");
    run("ALTER TABLE o ADD COLUMN c TEXT DEFAULT '5'; CREATE INDEX o_c ON o(c)");
    run("ALTER TABLE o ALTER c TYPE INTEGER; UPDATE o SET c = c; INSERT INTO o(a) VALUES (3)");
    expect("SELECT a, c, typeof(c) FROM o INDEXED BY o_c WHERE c = 5",
           "1|5|integer\n2|5|integer\n3|5|integer\n");
}

/* ---- constraints ---- */

static void test_foreign_keys(void **state)
{
    (void)state;
    run("CREATE TABLE p (id INTEGER PRIMARY KEY, n TEXT UNIQUE);"
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p INT, n TEXT, CHECK (p <> 13));"
        "INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (1, 1, 'a'), (2, 9, 'z')");
    refuse("ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p (id)", ERR_FOREIGN_KEY);
    run("ALTER TABLE c ADD CONSTRAINT c_n FOREIGN KEY (n) REFERENCES p (n) NOT VALID");
    run("DELETE FROM c WHERE id = 2");
    run("ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE");
    refuse("ALTER TABLE c ADD CONSTRAINT c_n FOREIGN KEY (p) REFERENCES p (id)", ERR_TABLE_EXISTS);
    refuse("INSERT INTO c VALUES (3, 9, 'a')", ERR_FOREIGN_KEY);
    refuse("INSERT INTO c VALUES (3, 1, 'z')", ERR_FOREIGN_KEY);
    refuse("INSERT INTO c VALUES (3, 13, NULL)", ERR_CHECK);
    run("ALTER TABLE c DROP CONSTRAINT c_n; INSERT INTO c VALUES (3, 1, 'z')");
    run("DELETE FROM p WHERE id = 1");
    expect("SELECT count(*) FROM c", "0\n");
    run("ALTER TABLE c DROP CONSTRAINT c_p_fkey; INSERT INTO c VALUES (4, 99, NULL)");
    run("ALTER TABLE c DROP CONSTRAINT c_check; INSERT INTO c VALUES (5, 13, NULL)");
    expect(TEXT_OF("c"), "CREATE TABLE c (id INTEGER PRIMARY KEY, p INT, n TEXT)\n");
    refuse("ALTER TABLE c DROP CONSTRAINT nope", ERR_NO_OBJECT);
    run("ALTER TABLE c DROP CONSTRAINT IF EXISTS nope");
}

static void test_keys(void **state)
{
    (void)state;
    run("CREATE TABLE k (a INTEGER NOT NULL, b TEXT, c, UNIQUE (b), UNIQUE (c, b));"
        "INSERT INTO k VALUES (1, 'x', 1), (2, 'y', 1), (3, NULL, NULL)");
    run("ALTER TABLE k ADD CONSTRAINT k_c UNIQUE (c DESC, a)");
    run("ALTER TABLE k ADD CONSTRAINT k_pk PRIMARY KEY (a)");
    refuse("ALTER TABLE k ADD UNIQUE (c)", ERR_UNIQUE);
    refuse("ALTER TABLE k ADD PRIMARY KEY (b)", ERR_SQL);
    refuse("INSERT INTO k VALUES (2, 'z', 1)", ERR_UNIQUE);
    refuse("INSERT INTO k VALUES (9, 'x', 1)", ERR_UNIQUE);
    expect("SELECT name, origin FROM pragma_index_list('k') ORDER BY name",
           "sqlite_autoindex_k_1|u\nsqlite_autoindex_k_2|u\nsqlite_autoindex_k_3|u\n"
           "sqlite_autoindex_k_4|pk\n");
    run("CREATE TABLE child (k REFERENCES k)"); /* finds the new key */
    run("INSERT INTO child VALUES (3)");
    run("ALTER TABLE k DROP CONSTRAINT k_b_key; INSERT INTO k VALUES (4, 'x', 2)");
    expect("SELECT name, origin FROM pragma_index_list('k') ORDER BY name",
           "sqlite_autoindex_k_1|u\nsqlite_autoindex_k_2|u\nsqlite_autoindex_k_3|pk\n");
    run("ALTER TABLE k RENAME CONSTRAINT k_c TO \"k c\"; ALTER TABLE k RENAME CONSTRAINT k_c_b_key "
        "TO u");
    refuse("ALTER TABLE k RENAME CONSTRAINT u TO \"k c\"", ERR_TABLE_EXISTS);
    run("ALTER TABLE k DROP CONSTRAINT u; ALTER TABLE k DROP CONSTRAINT \"k c\"");
    run("DROP TABLE child; ALTER TABLE k DROP CONSTRAINT k_pk");
    expect("SELECT count(*) FROM pragma_index_list('k')", "0\n");
    run("INSERT INTO k VALUES (1, 'x', 1)");
    refuse("ALTER TABLE k ADD PRIMARY KEY (a)", ERR_UNIQUE);
    refuse("ALTER TABLE k ADD PRIMARY KEY (c, a)", ERR_NOT_NULL);
    run("CREATE UNIQUE INDEX by_hand ON k(a, b, c) WHERE a > 1");
    run("ALTER TABLE k DROP CONSTRAINT by_hand");
    run("CREATE TABLE r (id INTEGER PRIMARY KEY); CREATE TABLE wr (a PRIMARY KEY, b) WITHOUT "
        "ROWID");
    refuse("ALTER TABLE r DROP CONSTRAINT r_pkey", ERR_UNSUPPORTED);
    refuse("ALTER TABLE wr DROP CONSTRAINT wr_pkey", ERR_SQL);
    run("ALTER TABLE wr ADD UNIQUE (b); INSERT INTO wr VALUES (1, 1)");
    refuse("INSERT INTO wr VALUES (2, 1)", ERR_UNIQUE);
}

static void test_columns(void **state)
{
    (void)state;
    run("CREATE TABLE p (id INTEGER PRIMARY KEY);"
        "CREATE TABLE t (a, b UNIQUE REFERENCES p, c CHECK (c > 0), UNIQUE (a, b), "
        "CONSTRAINT bc CHECK (b < c), FOREIGN KEY (b) REFERENCES p(id));"
        "CREATE INDEX t_b ON t(b); CREATE INDEX t_e ON t(abs(\"B\")); CREATE INDEX t_w ON t(a) "
        "WHERE b > 1; "
        "INSERT INTO t VALUES (1, NULL, 3), (2, NULL, 4)");
    run("ALTER TABLE t ADD COLUMN IF NOT EXISTS d INT DEFAULT 1; ALTER TABLE t ADD COLUMN IF NOT "
        "EXISTS a TEXT");
    run("ALTER TABLE t DROP COLUMN b CASCADE");
    expect("SELECT sql FROM sqlite_schema WHERE tbl_name = 't'",
           "CREATE TABLE t (a, c CHECK (c > 0), d INT DEFAULT 1)\n");
    expect("SELECT * FROM t", "1|3|1\n2|4|1\n");
    run("ALTER TABLE t DROP COLUMN IF EXISTS nope");
    refuse("ALTER TABLE t DROP COLUMN nope CASCADE", ERR_NO_COLUMN);
    run("CREATE INDEX \"T a\" ON t(a) WHERE c IS NOT NULL; ALTER INDEX \"T a\" RENAME TO j");
    expect(TEXT_OF("j"), "CREATE INDEX \"j\" ON t(a) WHERE c IS NOT NULL\n");
    refuse("ALTER INDEX nope RENAME TO x", ERR_NO_TABLE);
    refuse("ALTER INDEX j RENAME TO p", ERR_TABLE_EXISTS);
    run("ALTER INDEX IF EXISTS nope RENAME TO x");
    run("ALTER TABLE p ALTER id ADD GENERATED BY DEFAULT AS IDENTITY");
    refuse("ALTER TABLE t ALTER a ADD GENERATED ALWAYS AS IDENTITY", ERR_UNSUPPORTED);
}

static void test_references(void **state)
{
    (void)state;
    run("CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);"
        "CREATE TABLE a (x INT UNIQUE REFERENCES p ON DELETE CASCADE, y INT REFERENCES a(x) "
        "UNIQUE);"
        "CREATE TABLE b (x INT, p INT, FOREIGN KEY (x) REFERENCES \"P\"(id), FOREIGN KEY (p) "
        "REFERENCES p DEFERRABLE INITIALLY DEFERRED, CHECK (x > 0))");
    run("INSERT INTO a VALUES (1, NULL); INSERT INTO b VALUES (1, 1)");
    run("ALTER TABLE p DROP REFERENCES; DROP TABLE p");
    expect(
        "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name IN ('a', 'b') ORDER BY name",
        "CREATE TABLE a (x INT UNIQUE, y INT REFERENCES a(x) UNIQUE)\n"
        "CREATE TABLE b (x INT, p INT, CHECK (x > 0))\n");
    expect("SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)", "1|1\n");
    run("ALTER TABLE IF EXISTS nope DROP REFERENCES");
    refuse("ALTER TABLE nope DROP REFERENCES", ERR_NO_TABLE);
}

static void test_enums(void **state)
{
    (void)state;
    run("CREATE VIEW mood(enumlabel, enumsortorder) AS VALUES ('sad', 1), ('it''s', 2)");
    run("ALTER TYPE mood ADD VALUE 'ok'; ALTER TYPE mood ADD VALUE 'b' BEFORE 'it''s'");
    run("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'ok'; ALTER TYPE mood ADD VALUE 'c' AFTER 'ok'");
    refuse("ALTER TYPE mood ADD VALUE 'ok'", ERR_TABLE_EXISTS);
    refuse("ALTER TYPE mood ADD VALUE 'x' AFTER 'nope'", ERR_NO_OBJECT);
    run("ALTER TYPE mood RENAME TO \"m m\"");
    refuse("ALTER TYPE mood ADD VALUE 'x'", ERR_NO_OBJECT);
    expect("SELECT * FROM \"m m\"", "sad|1\nb|2\nit's|3\nok|4\nc|5\n");
    run("DROP VIEW \"m m\"; CREATE VIEW v AS SELECT 1");
    refuse("ALTER TYPE v RENAME TO w", ERR_NO_OBJECT);
}

/* Other statements of the transaction see it, and a rollback takes all of it back. */
static void test_rollback(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    run("CREATE TABLE t (a INTEGER, b); INSERT INTO t VALUES (1, 2)");
    pair_begin(&p);
    PAIR_OK(&p, pair_step(&p, "ALTER TABLE t ADD UNIQUE (a)", true));
    assert_int_equal(pair_step(&p, "INSERT INTO t VALUES (1, 1)", true), ERR_UNIQUE);
    PAIR_OK(&p, writer_savepoint(p.w, "s", 1, &p.e));
    PAIR_OK(&p, pair_step(&p, "ALTER TABLE t ALTER b TYPE TEXT", true));
    PAIR_OK(&p, pair_step(&p, "INSERT INTO t VALUES (2, 5)", true));
    PAIR_OK(&p, writer_rollback_to(p.w, "s", 1, &p.e));
    PAIR_OK(&p, pair_step(&p, "INSERT INTO t VALUES (3, 5)", true));
    pair_end(&p);
    pair_apply(&p);
    pair_same(&p);
    expect("SELECT a, typeof(b) FROM t", "1|integer\n3|integer\n");
    pair_begin(&p);
    PAIR_OK(&p, pair_step(&p, "ALTER TABLE t DROP CONSTRAINT t_a_key", true));
    PAIR_OK(&p, pair_step(&p, "INSERT INTO t VALUES (1, 1)", true));
    writer_tx_undo(p.w);
    writer_rollback(p.w);
    assert_int_equal(e.code, ERR_OK);
    refuse("INSERT INTO t VALUES (1, 1)", ERR_UNIQUE);
}

static void test_not_permitted(void **state)
{
    (void)state;
    run("CREATE TABLE t (a)");
    refuse("ALTER TABLE ha_position ALTER a SET DEFAULT 1", ERR_DENIED);
    refuse("ALTER TABLE t RENAME CONSTRAINT x TO ha_x", ERR_DENIED);
    refuse("ALTER TABLE temp.t ALTER a SET DEFAULT 1", ERR_UNSUPPORTED);
    refuse("ALTER TABLE sqlite_schema ALTER name SET DEFAULT 1", ERR_NO_TABLE);
    run("CREATE VIEW v AS SELECT a FROM t; CREATE VIRTUAL TABLE f USING fts5(x)");
    refuse("ALTER TABLE v ALTER a SET DEFAULT 1", ERR_NO_TABLE);
    refuse("ALTER TABLE f ALTER x SET DEFAULT 1", ERR_UNSUPPORTED);
}

/* Last writer wins: a message may come again, and what it was about may have gone. */
static void test_last_writer_wins(void **state)
{
    (void)state;
    pair_close(&p);
    pair_open(&p, APPLY_LWW);
    run("CREATE TABLE t (a INTEGER, b); INSERT INTO t VALUES (1, 2)");
    run("ALTER TABLE t ADD CONSTRAINT u UNIQUE (a); ALTER TABLE t ALTER b SET DEFAULT 5; INSERT "
        "INTO t(a) VALUES (2)");
    pair_apply(&p);
    pair_same(&p);
    run("ALTER TABLE t DROP CONSTRAINT u; DROP TABLE t");
    pair_apply(&p);
    pair_same(&p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_text),
        cmocka_unit_test(test_which_is_ours),
        TEST(test_defaults),
        TEST(test_rows_older_than_their_column),
        TEST(test_types),
        TEST(test_type_of_rows_older_than_their_column),
        TEST(test_foreign_keys),
        TEST(test_keys),
        TEST(test_columns),
        TEST(test_references),
        TEST(test_enums),
        TEST(test_rollback),
        TEST(test_not_permitted),
        TEST(test_last_writer_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
