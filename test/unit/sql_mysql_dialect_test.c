/* The MySQL dialect: statement by statement, and what is left as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sql/mysql/dialect.h"

static void put_variable(void *arg, const char *name, struct buf *out)
{
    (void)arg;
    buf_printf(out, "'<%s>'", name);
}

static bool put_function(void *arg, const char *name, struct buf *out)
{
    (void)arg;
    if (strcmp(name, "DATABASE") != 0)
        return false;
    buf_puts(out, "'shop'");
    return true;
}

static void put_index_table(void *arg, const char *name, struct buf *out)
{
    (void)arg;
    if (strcmp(name, "taken") == 0 || strcmp(name, "t_other") == 0)
        buf_puts(out, strcmp(name, "taken") == 0 ? "another" : "t");
}

static const struct mysql_context context = {.schema = "shop",
                                             .system_variable = put_variable,
                                             .user_variable = put_variable,
                                             .session_function = put_function,
                                             .index_table = put_index_table};

static void assert_same(const char *sql)
{
    struct buf out = BUF_INIT;
    struct mysql_translation t;
    struct err e = ERR_INIT;

    assert_int_equal(mysql_dialect(&context, sql, strlen(sql), &out, &t, &e), ERR_OK);
    if (t.changed)
        fail_msg("%s became %s", sql, buf_cstr(&out));
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void assert_becomes(const char *sql, const char *expected)
{
    struct buf out = BUF_INIT;
    struct mysql_translation t;
    struct err e = ERR_INIT;

    if (mysql_dialect(&context, sql, strlen(sql), &out, &t, &e) != ERR_OK)
        fail_msg("%s: %s", sql, e.msg);
    assert_true(t.changed);
    assert_string_equal(buf_cstr(&out), expected);
    buf_free(&out);
}

static void assert_refused(const char *sql, enum err_code code)
{
    struct buf out = BUF_INIT;
    struct mysql_translation t;
    struct err e = ERR_INIT;

    assert_int_equal(mysql_dialect(&context, sql, strlen(sql), &out, &t, &e), code);
    assert_true(e.msg[0] != '\0' && e.offset <= (int)strlen(sql));
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

static void plain_statements_stay(void **state)
{
    (void)state;
    assert_same(
        "SELECT a, count(*) FROM t WHERE b = 'x' AND c IN (1, 2) GROUP BY a ORDER BY a LIMIT 5");
    assert_same("SELECT * FROM t WHERE id = ?");
    assert_same("INSERT INTO t (a, b) VALUES (1, 'it''s'), (?2, $1)");
    assert_same("INSERT OR REPLACE INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING id");
    assert_same("UPDATE t SET a = a + 1, b = ? WHERE id = 3");
    assert_same("DELETE FROM t WHERE a LIKE 'x%'");
    assert_same("WITH x AS (SELECT 1 AS a) SELECT a || 'b' FROM x JOIN t USING (a)");
    assert_same("SELECT `a b`, t.`c` FROM `t` -- a comment");
    assert_same("PRAGMA table_info(t)");
}

static void queries(void **state)
{
    (void)state;
    assert_becomes("SELECT \"a\\\"b\"", "SELECT 'a\"b' AS \"a\"\"b\"");
    assert_becomes("SELECT CONCAT(a, ?) FROM shop.t",
                   "SELECT ((a) || ( ?1)) AS \"CONCAT(a, ?)\" FROM \"t\"");
    assert_becomes("SELECT 1 # x\n+ 1", "SELECT 1 + 1");
    assert_becomes("SELECT a/b AS c FROM t FOR UPDATE", "SELECT a * 1.0 /b AS c FROM t");
    assert_becomes("SELECT @@a, @b, DATABASE()",
                   "SELECT '<a>' AS \"@@a\", '<b>' AS \"@b\", 'shop' AS \"DATABASE()\"");
    assert_becomes("SELECT a FROM t WHERE b LIKE ? AND c <=> 1",
                   "SELECT a FROM t WHERE b LIKE ?1 ESCAPE '\\' AND c IS 1");
    assert_becomes("SELECT a - INTERVAL 1 DAY FROM t",
                   "SELECT mysql_add(a, -( 1), 'DAY') AS \"a - INTERVAL 1 DAY\" FROM t");
    assert_becomes("SELECT 1 FROM dual", "SELECT 1");
    assert_becomes("/*!40101 SELECT */ 1 /*!99999 + 1 */", "SELECT 1");
    assert_becomes("SELECT x'4142', 0x41, b'11'",
                   "SELECT X'4142', X'41' AS \"0x41\", 3 AS \"b'11'\"");
}

static void changes(void **state)
{
    (void)state;
    assert_becomes("INSERT IGNORE INTO t SET a = 1, b = ?",
                   "INSERT OR IGNORE INTO t (\"a\", \"b\") VALUES ( 1, ?1)");
    assert_becomes(
        "INSERT INTO t (a, b) VALUES (1, 2) ON DUPLICATE KEY UPDATE b = b + VALUES(b)",
        "INSERT INTO t (\"a\", \"b\") VALUES (1, 2) ON CONFLICT DO UPDATE SET \"b\" = b + "
        "excluded.b");
    assert_becomes("INSERT INTO t () VALUES ()", "INSERT INTO t DEFAULT VALUES");
    assert_becomes("INSERT INTO t (a, b) VALUES (1, DEFAULT), (2, DEFAULT)",
                   "INSERT INTO t (\"a\") VALUES (1), (2)");
    assert_becomes("UPDATE t SET t.a = 1 LIMIT 2",
                   "UPDATE t SET \"a\" = 1 WHERE rowid IN (SELECT rowid FROM t LIMIT 2)");
    assert_becomes(
        "DELETE FROM t WHERE a = 1 ORDER BY b LIMIT 1",
        "DELETE FROM t WHERE rowid IN (SELECT rowid FROM t WHERE a = 1 ORDER BY b LIMIT 1)");
    assert_becomes("TRUNCATE t", "DELETE FROM t");
}

static void schema(void **state)
{
    (void)state;
    assert_becomes(
        "CREATE TABLE t (id INT(11) UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'x', a "
        "VARCHAR(5) CHARACTER SET utf8 COLLATE utf8_bin, PRIMARY KEY (id), KEY k (a(3))) "
        "ENGINE=InnoDB COMMENT='y'",
        "CREATE TABLE t (\"id\" INTEGER CONSTRAINT int4 NOT NULL PRIMARY KEY "
        "AUTOINCREMENT, \"a\" VARCHAR(5) COLLATE BINARY); CREATE INDEX \"k\" ON \"t\" (a)");
    assert_becomes("CREATE TABLE t (a INT, KEY taken (a))",
                   "CREATE TABLE t (\"a\" INT); CREATE INDEX \"t_taken\" ON \"t\" (a)");
    assert_becomes("DROP INDEX other ON t", "DROP INDEX \"t_other\"");
    assert_becomes("DROP TABLE IF EXISTS a, shop.b CASCADE",
                   "DROP TABLE IF EXISTS a; DROP TABLE IF EXISTS \"b\"");
    assert_becomes("ALTER TABLE t ENGINE=InnoDB", "");
    assert_becomes(
        "ALTER TABLE t ADD c INT NOT NULL AFTER a, DROP b",
        "ALTER TABLE \"t\" ADD COLUMN \"c\" INT NOT NULL DEFAULT 0; ALTER TABLE \"t\" DROP "
        "COLUMN \"b\" CASCADE");
    assert_refused("CREATE VIEW v AS SELECT @a", ERR_UNSUPPORTED);
    assert_refused("CREATE TABLE t (a INT, b INT AUTO_INCREMENT, PRIMARY KEY (a, b))",
                   ERR_UNSUPPORTED);
}

static void what_is_refused(void **state)
{
    (void)state;
    assert_refused("SELECT 'open", ERR_SYNTAX);
    assert_refused("SELECT (1", ERR_SYNTAX);
    assert_refused("SELECT 1)", ERR_SYNTAX);
    assert_refused("SELECT @a := 1", ERR_UNSUPPORTED);
    assert_refused("SELECT 1 ^ 2", ERR_UNSUPPORTED);
    assert_refused("SELECT a FROM t GROUP BY a WITH ROLLUP", ERR_UNSUPPORTED);
    assert_refused("SHOW NONSENSE", ERR_UNSUPPORTED);
    assert_refused("SHOW TABLES FROM elsewhere", ERR_UNSUPPORTED);
    assert_refused("SELECT `a\xff`", ERR_SYNTAX);
}

static void nested_too_deeply(void **state)
{
    char sql[2000] = "SELECT /* \\ */ \"x\", ";
    size_t n = strlen(sql), deep = 500;

    (void)state;
    memset(sql + n, '(', deep);
    sql[n + deep] = '1';
    memset(sql + n + deep + 1, ')', deep);
    sql[n + 2 * deep + 1] = '\0';
    assert_refused(sql, ERR_TOO_BIG);
}

static void commands(void **state)
{
    static const struct {
        const char *sql;
        enum mysql_command command;
    } cases[] = {
        {" -- nothing\n;", MYSQL_COMMAND_EMPTY},
        {"# x", MYSQL_COMMAND_EMPTY},
        {"/*!40101 SET a = 1 */", MYSQL_COMMAND_SET},
        {"(SELECT 1)", MYSQL_COMMAND_READ},
        {"replace into t values (1)", MYSQL_COMMAND_INSERT},
        {"START TRANSACTION READ ONLY", MYSQL_COMMAND_BEGIN},
        {"START SLAVE", MYSQL_COMMAND_UNSUPPORTED},
        {"ROLLBACK WORK TO SAVEPOINT a", MYSQL_COMMAND_ROLLBACK_TO},
        {"ROLLBACK", MYSQL_COMMAND_ROLLBACK},
        {"CREATE TEMPORARY TABLE t (a INT)", MYSQL_COMMAND_TEMP},
        {"CREATE DATABASE IF NOT EXISTS x", MYSQL_COMMAND_CREATE_DATABASE},
        {"CREATE DEFINER=`a`@`b` PROCEDURE p () BEGIN END", MYSQL_COMMAND_UNSUPPORTED},
        {"DROP SCHEMA x", MYSQL_COMMAND_DROP_DATABASE},
        {"ALTER TABLE t ADD a INT", MYSQL_COMMAND_DDL},
        {"ANALYZE TABLE t", MYSQL_COMMAND_SHOW},
        {"ANALYZE", MYSQL_COMMAND_DDL},
        {"LOCK TABLES t READ", MYSQL_COMMAND_LOCK},
        {"PRAGMA user_version", MYSQL_COMMAND_WRITE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (mysql_command(&context, cases[i].sql, strlen(cases[i].sql)) != cases[i].command)
            fail_msg("%s", cases[i].sql);
}

static void where_statements_end(void **state)
{
    static const char several[] = "SELECT ';' /* ; */, \";\", `;` # ;\n; SELECT 2";
    static const char trigger[] =
        "CREATE TRIGGER a AFTER INSERT ON t BEGIN UPDATE t SET b = CASE WHEN 1 THEN 2 END; END; X";

    (void)state;
    assert_int_equal(mysql_dialect_split(&context, several, sizeof several - 1),
                     strlen(several) - strlen(" SELECT 2"));
    assert_int_equal(mysql_dialect_split(&context, trigger, sizeof trigger - 1),
                     strlen(trigger) - 2);
    assert_int_equal(mysql_dialect_split(&context, "SELECT 1", 8), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_statements_stay),
        cmocka_unit_test(queries),
        cmocka_unit_test(changes),
        cmocka_unit_test(schema),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(nested_too_deeply),
        cmocka_unit_test(commands),
        cmocka_unit_test(where_statements_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
