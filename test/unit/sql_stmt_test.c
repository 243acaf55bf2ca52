/* Preparing, cache, parameters, values, schema statements' texts. */
#include "sql/stmt.h"

#include <math.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "sql_temp.h"

static struct temp t;
static struct conn *c;

static int setup(void **state)
{
    (void)state;
    temp_init(&t);
    c = temp_open(&t, CONN_WRITER);
    OK(conn_exec(c, "CREATE TABLE u(a INTEGER PRIMARY KEY, b)", e));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conn_close(c);
    temp_fini(&t);
    return 0;
}

/* Several statements in one text: own texts and tails. */
static void test_split(void **state)
{
    static const char sql[] =
        " ;; -- first\n SELECT 1 ; /* x */ CREATE TRIGGER tr AFTER INSERT ON u "
        "BEGIN SELECT 1; SELECT 2; END;\n\tSELECT ';' -- last";
    static const char *const want[] = {
        "SELECT 1", "CREATE TRIGGER tr AFTER INSERT ON u BEGIN SELECT 1; SELECT 2; END",
        "SELECT ';' -- last"};
    const char *at = sql;
    struct stmt *s;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        OK(stmt_prepare(c, at, strlen(at), &at, &s, e));
        assert_non_null(s);
        assert_string_equal(stmt_sql(s), want[i]);
        stmt_release(s);
    }
    assert_string_equal(at, "");
    OK(stmt_prepare(c, at, 0, &at, &s, e));
    assert_null(s);
    at = " ; /* only */ ; -- this";
    OK(stmt_prepare(c, at, strlen(at), &at, &s, e));
    assert_null(s);
    assert_string_equal(at, "");
}

/* Not terminated, and nothing behind `len` may be read. */
static void test_exact_length(void **state)
{
    static const char text[] = "SELECT 12";
    char *sql = malloc(sizeof text - 1);
    const char *tail;
    struct stmt *s;
    bool row;

    (void)state;
    memcpy(sql, text, sizeof text - 1);
    OK(stmt_prepare(c, sql, sizeof text - 1, &tail, &s, e));
    assert_ptr_equal(tail, sql + sizeof text - 1);
    free(sql);
    OK(stmt_step(s, &row, e));
    assert_int_equal(stmt_column(s, 0).u.i, 12);
    stmt_release(s);
}

static void test_offsets(void **state)
{
    static const struct {
        const char *sql;
        enum err_code code;
        int offset;
    } cases[] = {
        {"SELEC 1", ERR_SYNTAX, 0},
        {"  SELECT * FORM u", ERR_SYNTAX, 11},
        {"; /* c */ SELECT nope FROM u", ERR_NO_COLUMN, 17},
        {"SELECT * FROM nope", ERR_NO_TABLE, -1},
        {"SELECT nope(1)", ERR_NO_FUNCTION, 7},
        {"SELECT (1", ERR_SYNTAX, -1},
        {"SELECT 'x", ERR_SYNTAX, 7},
        {"INSERT INTO u(nope) VALUES(1)", ERR_NO_COLUMN, -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err e = ERR_INIT;
        struct stmt *s;

        if (temp_prepare(c, cases[i].sql, &s, &e) != cases[i].code || e.offset != cases[i].offset)
            fail_msg("%s: %s '%s' at %d", cases[i].sql, err_name(e.code), e.msg, e.offset);
        assert_null(s);
    }
}

static void test_nul(void **state)
{
    static const char sql[] = " SELECT 1\0; DROP TABLE u";
    struct err e = ERR_INIT;
    const char *tail;
    struct stmt *s;

    (void)state;
    assert_int_equal(stmt_prepare(c, sql, sizeof sql - 1, &tail, &s, &e), ERR_SYNTAX);
    assert_int_equal(e.offset, 9);
    assert_null(s);
}

static void test_cache(void **state)
{
    struct stmt *a, *b, *d, *first;
    char sql[64];

    (void)state;
    OK(temp_prepare(c, "SELECT * FROM u", &a, e));
    first = a;
    OK(temp_prepare(c, "SELECT * FROM u", &b, e)); /* in use: a second one */
    assert_ptr_not_equal(b, first);
    stmt_release(a);
    stmt_release(b);
    OK(temp_prepare(c, "  SELECT * FROM u ; ", &a, e)); /* blanks around do not count */
    assert_ptr_equal(a, first);
    OK(temp_prepare(c, "SELECT  * FROM u", &b, e)); /* blanks within do */
    assert_ptr_not_equal(b, first);
    stmt_release(b);

    /* Many others push it out only once it is free. */
    for (int i = 0; i < 500; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        OK(temp_prepare(c, sql, &b, e));
        stmt_release(b);
    }
    assert_string_equal(stmt_sql(a), "SELECT * FROM u");
    stmt_release(a);
    for (int i = 500; i < 1000; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        OK(temp_prepare(c, sql, &b, e));
        stmt_release(b);
    }
    OK(temp_prepare(c, "SELECT 999", &b, e));
    OK(temp_prepare(c, "SELECT 999", &d, e));
    stmt_release(d);
    stmt_release(b);
}

/* How many statements SQLite holds, and how many bytes of text. */
static void count_raw(size_t *n, size_t *bytes)
{
    *n = *bytes = 0;
    for (sqlite3_stmt *s = NULL; (s = sqlite3_next_stmt(conn_handle(c), s)) != NULL; ++*n)
        *bytes += strlen(sqlite3_sql(s));
}

static void test_cache_limits(void **state)
{
    enum { LONG = 30000 };
    char *sql = malloc(LONG + 64);
    size_t n, bytes;

    (void)state;
    for (int i = 0; i < 400; i++) {
        struct stmt *s;
        int len = snprintf(sql, 64, "SELECT %d, '", i);
        memset(sql + len, 'x', LONG);
        memcpy(sql + len + LONG, "'", 2);
        OK(temp_prepare(c, sql, &s, e));
        stmt_release(s);
    }
    count_raw(&n, &bytes);
    assert_in_range(bytes, 1, 2 * 1024 * 1024);
    for (int i = 0; i < 400; i++) {
        snprintf(sql, 64, "SELECT %d", i);
        OK(temp_run(c, sql, e));
    }
    count_raw(&n, &bytes);
    assert_int_equal(n, 128);
    free(sql);
}

/* A kept statement after the schema has changed. */
static void test_schema_change(void **state)
{
    struct stmt *s;
    bool row;

    (void)state;
    OK(temp_prepare(c, "SELECT * FROM u", &s, e));
    assert_int_equal(stmt_column_count(s), 2);
    stmt_release(s);
    OK(temp_run(c, "INSERT INTO u VALUES(1, 2)", e));
    OK(temp_run(c, "ALTER TABLE u ADD COLUMN d DEFAULT 7", e));
    OK(temp_prepare(c, "SELECT * FROM u", &s, e));
    OK(stmt_step(s, &row, e));
    assert_true(row);
    assert_int_equal(stmt_column_count(s), 3);
    assert_int_equal(stmt_column(s, 2).u.i, 7);
    stmt_release(s);

    /* The same words first mean a temp table, then a real one. */
    OK(temp_run(c, "CREATE TEMP TABLE v(a)", e));
    OK(temp_prepare(c, "INSERT INTO v VALUES(1)", &s, e));
    assert_int_equal(stmt_class(s), STMT_TEMP);
    stmt_release(s);
    OK(temp_run(c, "DROP TABLE v", e));
    OK(temp_run(c, "CREATE TABLE v(a)", e));
    OK(temp_prepare(c, "INSERT INTO v VALUES(1)", &s, e));
    assert_int_equal(stmt_class(s), STMT_WRITE);
    stmt_release(s);
}

static void test_parameters(void **state)
{
    struct stmt *s;
    struct err e1 = ERR_INIT;
    struct value v = value_int(5);
    bool row;

    (void)state;
    OK(temp_prepare(c, "SELECT :a, @b, $c, ?, ?9, $d::e(f)", &s, e));
    assert_int_equal(stmt_param_count(s), 10);
    assert_string_equal(stmt_param_name(s, 1), ":a");
    assert_null(stmt_param_name(s, 4));
    assert_string_equal(stmt_param_name(s, 9), "?9");
    assert_null(stmt_param_name(s, 11));
    assert_int_equal(stmt_param_index(s, "a", 1), 1);
    assert_int_equal(stmt_param_index(s, ":a", 2), 1);
    assert_int_equal(stmt_param_index(s, "@a", 2), 0);
    assert_int_equal(stmt_param_index(s, "bxyz", 1), 2);
    assert_int_equal(stmt_param_index(s, "c", 1), 3);
    assert_int_equal(stmt_param_index(s, "9", 1), 9);
    assert_int_equal(stmt_param_index(s, "?9", 2), 9);
    assert_int_equal(stmt_param_index(s, "d::e(f)", 7), 10);
    assert_int_equal(stmt_param_index(s, "", 0), 0);
    assert_int_equal(stmt_param_index(s, "A", 1), 0);
    assert_int_equal(stmt_bind(s, 0, &v, &e1), ERR_PARAM);
    assert_int_equal(stmt_bind(s, 11, &v, &e1), ERR_PARAM);
    OK(stmt_bind(s, 2, &v, e));
    OK(stmt_step(s, &row, e));
    assert_int_equal(stmt_column(s, 1).u.i, 5);
    stmt_release(s);

    OK(temp_prepare(c, "SELECT :a, @b, $c, ?, ?9, $d::e(f)", &s, e)); /* bindings are gone */
    OK(stmt_step(s, &row, e));
    assert_int_equal(stmt_column(s, 1).type, VALUE_NULL);
    stmt_release(s);
}

/* Every value comes back as it was bound, through a column without affinity. */
static void test_values(void **state)
{
    const struct value values[] = {
        value_null(),
        value_int(0),
        value_int(INT64_MIN),
        value_int(INT64_MAX),
        value_real(0.1),
        value_real(-0.0),
        value_real(1.0),
        value_real(5e-324),
        value_real(1.7976931348623157e308),
        value_real(INFINITY),
        value_real(-INFINITY),
        value_text("", 0),
        value_text(NULL, 0),
        value_text("hello", 5),
        value_text("a\0b", 3),
        value_text("\0", 1),
        value_text("\xff\xfe\xc3", 3),
        value_text("\xF0\x9F\x90\xA6", 4),
        value_blob("", 0),
        value_blob(NULL, 0),
        value_blob("\0\1\xff", 3),
    };
    struct stmt *in, *out;
    bool row;

    (void)state;
    OK(temp_prepare(c, "INSERT INTO u(b) VALUES(?)", &in, e));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const struct value *v = &values[i];
        struct value got;

        OK(stmt_bind(in, 1, v, e));
        OK(stmt_step(in, &row, e));
        assert_false(row);
        OK(temp_prepare(c, "SELECT b FROM u WHERE a = last_insert_rowid()", &out, e));
        OK(stmt_step(out, &row, e));
        assert_true(row);
        got = stmt_column(out, 0);
        assert_int_equal(got.type, v->type);
        if (v->type == VALUE_INTEGER) {
            assert_true(got.u.i == v->u.i);
        } else if (v->type == VALUE_REAL) {
            /* A file keeps -0.0 as the integer 0: SQLite's own choice. */
            if (v->u.r != 0)
                assert_memory_equal(&got.u.r, &v->u.r, sizeof got.u.r);
        } else if (v->type != VALUE_NULL) {
            assert_int_equal(got.u.s.len, v->u.s.len);
            if (v->u.s.len)
                assert_memory_equal(got.u.s.data, v->u.s.data, v->u.s.len);
        }
        stmt_release(out);
    }
    stmt_release(in);

    OK(temp_prepare(c, "SELECT ?", &in, e));
    OK(stmt_bind(in, 1, &(struct value){.type = VALUE_REAL, .u.r = NAN}, e));
    OK(stmt_step(in, &row, e));
    assert_int_equal(stmt_column(in, 0).type, VALUE_NULL);
    stmt_release(in);
}

static void test_columns(void **state)
{
    struct stmt *s;
    bool row;

    (void)state;
    OK(conn_exec(c, "CREATE TABLE typed(i INTEGER, \"odd name\" VARCHAR(10), n)", e));
    OK(temp_prepare(c, "SELECT i, \"odd name\", n, 1 + 1 AS two FROM typed", &s, e));
    assert_int_equal(stmt_column_count(s), 4);
    assert_string_equal(stmt_column_name(s, 1), "odd name");
    assert_string_equal(stmt_column_name(s, 3), "two");
    assert_string_equal(stmt_column_decltype(s, 0), "INTEGER");
    assert_string_equal(stmt_column_decltype(s, 1), "VARCHAR(10)");
    assert_null(stmt_column_decltype(s, 2));
    assert_null(stmt_column_decltype(s, 3));
    OK(stmt_step(s, &row, e));
    assert_false(row);
    stmt_release(s);
    OK(temp_prepare(c, "INSERT INTO typed VALUES(1, 2, 3)", &s, e));
    assert_int_equal(stmt_column_count(s), 0);
    stmt_release(s);
    OK(temp_prepare(c, "INSERT INTO typed VALUES(1, 2, 3) RETURNING i", &s, e));
    assert_int_equal(stmt_column_count(s), 1);
    OK(stmt_step(s, &row, e));
    assert_true(row);
    OK(stmt_step(s, &row, e));
    assert_false(row);
    stmt_release(s);
    OK(temp_prepare(c, "ALTER TABLE typed ALTER COLUMN i SET NOT NULL", &s, e));
    assert_int_equal(stmt_column_count(s), 0);
    stmt_release(s);
}

/* After an error, and after the end, a statement can be run again at once. */
static void test_again(void **state)
{
    struct stmt *s;
    struct err e1 = ERR_INIT;
    struct value v = value_int(1);
    bool row;

    (void)state;
    OK(temp_prepare(c, "INSERT INTO u VALUES(?, 0)", &s, e));
    OK(stmt_bind(s, 1, &v, e));
    OK(stmt_step(s, &row, e));
    assert_int_equal(stmt_step(s, &row, &e1), ERR_UNIQUE);
    assert_int_equal(e1.sqlite_code, SQLITE_CONSTRAINT_PRIMARYKEY);
    assert_false(row);
    v = value_int(2);
    OK(stmt_bind(s, 1, &v, e));
    OK(stmt_step(s, &row, e));
    stmt_release(s);
    stmt_release(NULL);
}

/* ---- schema statements ---- */

static const struct {
    const char *sql;
    struct stmt_ddl ddl;
} ddls[] = {
    {"CREATE TABLE x(a)", {DDL_CREATE_TABLE, false, false, "", "x", "", ""}},
    {"create table main . \"x\"\"y\"(a)", {DDL_CREATE_TABLE, false, false, "main", "x\"y", "", ""}},
    {"CREATE TABLE IF NOT EXISTS [u](a)", {DDL_CREATE_TABLE, false, true, "", "u", "", ""}},
    {"CREATE TABLE x AS SELECT 1", {DDL_CREATE_TABLE, true, false, "", "x", "", ""}},
    {"CREATE TABLE IF NOT EXISTS u /* c */ AS VALUES(1)",
     {DDL_CREATE_TABLE, true, true, "", "u", "", ""}},
    {"CREATE TABLE \"as\"(a)", {DDL_CREATE_TABLE, false, false, "", "as", "", ""}},
    {"CREATE TEMP TABLE x AS SELECT 1", {DDL_CREATE_TABLE, true, false, "", "x", "", ""}},
    {"CREATE VIRTUAL TABLE IF NOT EXISTS main.x USING fts5(a)",
     {DDL_CREATE_VTABLE, false, true, "main", "x", "", ""}},
    {"CREATE UNIQUE INDEX IF NOT EXISTS \"on\" ON u(b)",
     {DDL_CREATE_OTHER, false, true, "", "on", "u", ""}},
    {"CREATE INDEX main.x ON `u`(b) WHERE b > 1",
     {DDL_CREATE_OTHER, false, false, "main", "x", "u", ""}},
    {"CREATE VIEW x(a) AS SELECT 1", {DDL_CREATE_OTHER, false, false, "", "x", "", ""}},
    {"CREATE TRIGGER x BEFORE UPDATE OF a, b ON main.u BEGIN SELECT 1; END",
     {DDL_CREATE_OTHER, false, false, "", "x", "u", ""}},
    {"DROP TABLE u", {DDL_DROP_TABLE, false, false, "", "u", "", ""}},
    {"DROP TABLE IF EXISTS main.missing", {DDL_DROP_TABLE, false, true, "main", "missing", "", ""}},
    {"DROP INDEX IF EXISTS x", {DDL_DROP_OTHER, false, true, "", "x", "", ""}},
    {"ALTER TABLE u RENAME TO 'x y'", {DDL_ALTER, false, false, "", "u", "", "x y"}},
    {"ALTER TABLE main.u RENAME COLUMN b TO d", {DDL_ALTER, false, false, "main", "u", "", ""}},
    {"ALTER TABLE u ADD COLUMN d", {DDL_ALTER, false, false, "", "u", "", ""}},
    {"PRAGMA user_version = 3", {DDL_PRAGMA, false, false, "", "user_version", "", ""}},
    {"PRAGMA main.application_id(3)", {DDL_PRAGMA, false, false, "main", "application_id", "", ""}},
    {"ANALYZE", {DDL_ANALYZE, false, false, "", "", "", ""}},
    {"ANALYZE main.u", {DDL_ANALYZE, false, false, "main", "u", "", ""}},
    {"REINDEX", {DDL_REINDEX, false, false, "", "", "", ""}},
    {"REINDEX u", {DDL_REINDEX, false, false, "", "u", "", ""}},
};

static void test_ddl(void **state)
{
    struct stmt *s;

    (void)state;
    for (size_t i = 0; i < sizeof ddls / sizeof ddls[0]; i++) {
        const struct stmt_ddl *want = &ddls[i].ddl, *got;

        OK(temp_prepare(c, ddls[i].sql, &s, e));
        got = stmt_ddl(s);
        assert_non_null(got);
        if (got->kind != want->kind || got->has_select != want->has_select ||
            got->if_exists != want->if_exists || strcmp(got->schema, want->schema) != 0 ||
            strcmp(got->name, want->name) != 0 || strcmp(got->table, want->table) != 0 ||
            strcmp(got->rename, want->rename) != 0)
            fail_msg("%s: %d %d %d '%s' '%s' '%s' '%s'", ddls[i].sql, got->kind, got->has_select,
                     got->if_exists, got->schema, got->name, got->table, got->rename);
        stmt_release(s);
    }
    OK(temp_prepare(c, "SELECT 1", &s, e));
    assert_null(stmt_ddl(s));
    stmt_release(s);
    OK(conn_exec(c, "CREATE TEMP TABLE tt(a)", e));
    OK(temp_prepare(c, "INSERT INTO tt VALUES(1)", &s, e));
    assert_int_equal(stmt_ddl(s)->kind, DDL_NONE);
    stmt_release(s);
}

/* A text of many statements must not cost a copy of its rest for each. */
static void test_long_script(void **state)
{
    enum { STATEMENTS = 50000 };
    static const char one[] = "INSERT INTO u(b) VALUES('some text that makes it longer');\n";
    size_t len = STATEMENTS * (sizeof one - 1);
    char *sql = malloc(len);
    const char *at = sql, *end = sql + len;
    int64_t start = clock_mono_ns();
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < STATEMENTS; i++)
        memcpy(sql + i * (sizeof one - 1), one, sizeof one - 1);
    while (at < end) {
        struct stmt *s;
        OK(stmt_prepare(c, at, (size_t)(end - at), &at, &s, e));
        n += s != NULL;
        stmt_release(s);
    }
    assert_int_equal(n, STATEMENTS);
    assert_true(clock_mono_ns() - start < 20 * CLOCK_S);
    free(sql);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_split),         TEST(test_exact_length), TEST(test_offsets),
        TEST(test_nul),           TEST(test_cache),        TEST(test_cache_limits),
        TEST(test_schema_change), TEST(test_parameters),   TEST(test_values),
        TEST(test_columns),       TEST(test_again),        TEST(test_ddl),
        TEST(test_long_script),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
