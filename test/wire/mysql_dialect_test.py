"""What MySQL writes differently: each statement through a client, with the answer that MySQL gives."""

import datetime
import decimal

import pytest

from mysql_target import fails, rows, value

EXPRESSIONS = [
    # strings
    ("CONCAT('a', 1, 'b')", "a1b"), ("CONCAT('a', NULL)", None), ("CONCAT_WS('-', 'a', NULL, 'b')", "a-b"),
    ("LENGTH('ä')", 2), ("CHAR_LENGTH('ä')", 1), ("LEFT('abc', 2)", "ab"), ("RIGHT('äbc', 2)", "bc"),
    ("SUBSTRING('abcdef', 2, 3)", "bcd"), ("SUBSTRING('abcdef' FROM 3 FOR 2)", "cd"), ("MID('abc', 2, 1)", "b"),
    ("LOCATE('c', 'abcabc')", 3), ("LOCATE('c', 'abcabc', 4)", 6), ("POSITION('b' IN 'abc')", 2), ("INSTR('abc', 'b')", 2),
    ("SUBSTRING_INDEX('a.b.c', '.', 2)", "a.b"), ("SUBSTRING_INDEX('a.b.c', '.', -1)", "c"),
    ("LPAD('5', 3, '0')", "005"), ("REPEAT('ab', 2)", "abab"), ("REVERSE('abc')", "cba"), ("UCASE('a')", "A"),
    ("TRIM(LEADING 'x' FROM 'xxa')", "a"), ("TRIM('  a ')", "a"), ("REPLACE('aba', 'a', 'c')", "cbc"),
    ("FIND_IN_SET('b', 'a,b,c')", 2), ("FIELD('b', 'a', 'b')", 2), ("ELT(2, 'a', 'b')", "b"), ("SPACE(2)", "  "),
    ("HEX(255)", "FF"), ("HEX('a')", "61"), ("BIN(5)", "101"), ("ASCII('a')", 97), ("STRCMP('a', 'b')", -1),
    ("MD5('a')", "0cc175b9c0f1b6a831c399e269772661"), ("SHA1('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
    ("SHA2('a', 256)", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"), ("CRC32('a')", 3904355907),
    ("'a' LIKE 'A'", 1), (r"'50%' LIKE '50\%'", 1), (r"'50x' LIKE '50\%'", 0), ("'abc' REGEXP '^A'", 1), ("'abc' RLIKE 'x'", 0),
    ("'b' IN ('a', 'b')", 1), ("LENGTH(UUID())", 36), ("FORMAT(1234567.891, 2)", "1,234,567.89"),
    ("INET_ATON('10.0.5.9')", 167773449), ("INET_NTOA(167773449)", "10.0.5.9"),
    # conditions and numbers
    ("IF(1 > 2, 'y', 'n')", "n"), ("IFNULL(NULL, 5)", 5), ("NULLIF(1, 1)", None), ("ISNULL(NULL)", 1),
    ("NULL <=> NULL", 1), ("1 <=> 2", 0), ("1 && 0", 0), ("!0", 1), ("7 DIV 2", 3), ("7 MOD 4", 3), ("MOD(7, 4)", 3), ("7 / 2", 3.5),
    ("GREATEST(1, 3, 2)", 3), ("LEAST(1, 3, NULL)", None), ("TRUNCATE(1.999, 1)", 1.9), ("POWER(2, 3)", 8.0), ("ROUND(2.567, 1)", 2.6),
    ("RAND() BETWEEN 0 AND 1", 1), ("CAST('12' AS SIGNED)", 12), ("CAST(3 AS CHAR)", "3"), ("CONVERT('7', UNSIGNED)", 7),
    ("CONVERT('ä' USING utf8mb4)", "ä"), ("BINARY 'a' = 'A'", 0), ("'a' = 'A' COLLATE utf8mb4_general_ci", 1),
    # moments
    ("DATE_ADD('2024-01-31', INTERVAL 1 MONTH)", "2024-02-29"), ("DATE_SUB('2024-03-01', INTERVAL 1 DAY)", "2024-02-29"),
    ("'2024-01-01' + INTERVAL 90 MINUTE", "2024-01-01 01:30:00"), ("'2024-01-01 00:00:00' - INTERVAL 1 SECOND", "2023-12-31 23:59:59"),
    ("ADDDATE('2024-01-01', 31)", "2024-02-01"), ("DATEDIFF('2024-03-01', '2024-02-01')", 29),
    ("DATE_ADD('2024-01-01', INTERVAL '1:30' HOUR_MINUTE)", "2024-01-01 01:30:00"),
    ("TIMESTAMPDIFF(MONTH, '2024-01-31', '2024-03-30')", 1), ("TIMESTAMPDIFF(HOUR, '2024-01-01', '2024-01-02')", 24),
    ("TIMESTAMPADD(DAY, 1, '2024-02-28')", "2024-02-29"), ("LAST_DAY('2024-02-05')", "2024-02-29"),
    ("YEAR('2024-02-05')", 2024), ("MONTH('2024-02-05')", 2), ("DAYOFWEEK('2024-02-05')", 2), ("WEEKDAY('2024-02-05')", 0),
    ("EXTRACT(YEAR_MONTH FROM '2024-02-05')", 202402), ("QUARTER('2024-05-01')", 2), ("DAYNAME('2024-02-05')", "Monday"),
    ("DATE_FORMAT('2024-02-03 04:05:06', '%d.%m.%y %H:%i:%s %W %j')", "03.02.24 04:05:06 Saturday 034"),
    ("STR_TO_DATE('3 Feb 2024', '%e %b %Y')", "2024-02-03"), ("STR_TO_DATE('x', '%Y')", None),
    ("UNIX_TIMESTAMP('2024-01-01')", 1704067200), ("FROM_UNIXTIME(1704067200)", "2024-01-01 00:00:00"),
    ("TIME_TO_SEC('01:00:01')", 3601), ("SEC_TO_TIME(3661)", "01:01:01"), ("LENGTH(NOW())", 19), ("LENGTH(NOW(6)) > 19", 1),
    ("CURDATE() = CURRENT_DATE", 1), ("DATE('2024-02-03 04:05:06')", "2024-02-03"),
    ("CONVERT_TZ('2024-01-01 00:00:00', 'UTC', '+02:30')", "2024-01-01 02:30:00"), ("CONVERT_TZ('2024-01-01', 'UTC', 'Mars')", None),
    # JSON
    ('JSON_EXTRACT(\'{"a": [1, "x"]}\', "$.a[1]")', '"x"'), ('JSON_UNQUOTE(JSON_EXTRACT(\'{"a": "x"}\', "$.a"))', "x"),
    ("JSON_LENGTH('[1, 2]')", 2), ("JSON_OBJECT('a', 1)", '{"a":1}'), ("JSON_VALID('x')", 0),
]


@pytest.fixture
def c(my):
    with my.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def shared(mysql_server):
    with mysql_server.connect() as connection:
        yield connection


@pytest.mark.parametrize("text,expected", EXPRESSIONS, ids=[e[0][:60] for e in EXPRESSIONS])
def test_expression(shared, text, expected):
    with shared.cursor() as cur:
        cur.execute("SELECT " + text)
        assert cur.description[0][0] == text  # the column is called as it was written
        got = cur.fetchone()[0]
    assert got == expected and type(got) is type(expected)  # pylint: disable=unidiomatic-typecheck


def test_inserts(c):
    rows(c, "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT DEFAULT 7, b VARCHAR(10) NOT NULL DEFAULT 'x', UNIQUE KEY (a))")
    rows(c, "INSERT t VALUES (1, 1, 'one')")
    rows(c, "INSERT INTO t SET a = 2, b = \"two\"")
    rows(c, "INSERT INTO t () VALUES ()")
    rows(c, "INSERT INTO t (id, a, b) VALUES (DEFAULT, 4, DEFAULT), (DEFAULT, DEFAULT, 'y') ON DUPLICATE KEY UPDATE b = 'dup'")
    assert rows(c, "SELECT * FROM t ORDER BY id") == [(1, 1, "one"), (2, 2, "two"), (3, 7, "dup"), (4, 4, "x")]
    rows(c, "INSERT IGNORE INTO t VALUES (1, 1, 'no'), (9, 9, 'nine')")
    rows(c, "INSERT INTO t (id, a, b) VALUES (9, 10, 'ten') ON DUPLICATE KEY UPDATE a = VALUES(a), b = CONCAT(b, VALUES(b))")
    rows(c, "INSERT INTO t (id, a) VALUES (1, 5) AS new ON DUPLICATE KEY UPDATE a = t.a + new.a")
    rows(c, "REPLACE INTO t VALUES (2, 20, 'again')")
    rows(c, "INSERT INTO t (a, b) SELECT a + 100, b FROM t WHERE id < 3 ON DUPLICATE KEY UPDATE b = 'never'")
    rows(c, "INSERT INTO t (id, a) SELECT id, a FROM t ON DUPLICATE KEY UPDATE b = UPPER(t.b)")
    assert rows(c, "SELECT a, b FROM t ORDER BY a") == \
        [(4, "X"), (6, "ONE"), (7, "DUP"), (10, "NINETEN"), (20, "AGAIN"), (106, "ONE"), (120, "AGAIN")]


def test_updates_and_deletes(c):
    rows(c, "CREATE TABLE a (id INT PRIMARY KEY, n INT)")
    rows(c, "CREATE TABLE b (a_id INT, m INT)")
    rows(c, "INSERT INTO a VALUES (1, 1), (2, 2), (3, 3)")
    rows(c, "INSERT INTO b VALUES (1, 10), (2, 20)")
    rows(c, "UPDATE a SET a.n = a.n * 2 WHERE a.id > 0 ORDER BY id DESC LIMIT 2")
    assert rows(c, "SELECT n FROM a ORDER BY id") == [(1,), (4,), (6,)]
    rows(c, "UPDATE a JOIN b ON a.id = b.a_id SET a.n = b.m WHERE b.m > 5")
    rows(c, "UPDATE a x, b SET x.n = x.n + 1 WHERE x.id = b.a_id AND b.m = 20")
    assert rows(c, "SELECT n FROM a ORDER BY id") == [(10,), (21,), (6,)]
    fails(c, 1235, "UPDATE a JOIN b ON a.id = b.a_id SET b.m = 1")
    rows(c, "DELETE x FROM a x JOIN b ON x.id = b.a_id WHERE b.m = 10")
    rows(c, "DELETE FROM a ORDER BY id LIMIT 1")
    assert rows(c, "SELECT id FROM a") == [(3,)]
    rows(c, "TRUNCATE TABLE a")
    assert value(c, "SELECT COUNT(*) FROM a") == 0


def test_selects(c):
    rows(c, "CREATE TABLE t (id INT PRIMARY KEY, g INT, v VARCHAR(10), KEY k (g))")
    rows(c, "INSERT INTO t VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'c')")
    assert rows(c, "SELECT SQL_CALC_FOUND_ROWS v FROM t USE INDEX (k) ORDER BY id LIMIT 1, 18446744073709551615") == [("b",), ("c",)]
    assert rows(c, "SELECT GROUP_CONCAT(v ORDER BY v DESC SEPARATOR '-'), GROUP_CONCAT(DISTINCT g) FROM t") == [("c-b-a", "1,2")]
    assert rows(c, "SELECT t1.v FROM t AS t1 STRAIGHT_JOIN t AS t2 ON t1.id = t2.g WHERE t2.id = 3 FOR UPDATE") == [("b",)]
    assert rows(c, "SELECT v FROM t WHERE id = 1 LOCK IN SHARE MODE") == [("a",)]
    assert rows(c, "SELECT v \"alias\", v 'b' FROM t WHERE id=1 # comment\n") == [("a", "a")]
    assert rows(c, "SELECT 1 FROM DUAL WHERE EXISTS (SELECT * FROM t)") == [(1,)]
    assert rows(c, "SELECT /*!50000 STRAIGHT_JOIN */ /* none */ v FROM t WHERE id=2 -- end") == [("b",)]
    assert rows(c, "SELECT v FROM (t) WHERE v LIKE %s AND id--1 > 0", ("a%",)) == [("a",)]
    assert rows(c, "SELECT COUNT(*) FROM t GROUP BY g HAVING COUNT(*) > 1") == [(2,)]


def test_having_without_groups(c):
    """It filters rows, and knows the names of the list before those of the tables; ORDER BY knows both."""
    rows(c, "CREATE TABLE t (id INT PRIMARY KEY, g INT, v VARCHAR(10))")
    rows(c, "INSERT INTO t VALUES (1, 2, 'a'), (2, 1, 'b'), (3, 1, 'c')")
    assert rows(c, "SELECT UPPER(v) AS v, 10 * id AS n FROM t HAVING n > 10 ORDER BY g DESC, id DESC") == [("C", 30), ("B", 20)]
    assert rows(c, "SELECT CASE WHEN g = 1 THEN 'one' ELSE 'more' END AS g FROM t WHERE id > 1 HAVING g IN (%s, 'x') LIMIT 1", ("one",)) == [("one",)]
    assert rows(c, "SELECT id FROM t AS a HAVING a.id = 2") == [(2,)]
    assert rows(c, "SELECT id, v FROM t HAVING id = 2 AND EXISTS (SELECT 1 AS o HAVING o = 1)") == [(2, "b")]
    assert rows(c, "SELECT id FROM t HAVING id = 1 UNION ALL SELECT id FROM t HAVING id > 1 ORDER BY id DESC") == [(3,), (2,), (1,)]
    assert rows(c, "SELECT a.id, b.v FROM t a JOIN t b ON a.id = b.id HAVING id > 2") == [(3, "c")]
    assert rows(c, "SELECT COUNT(*) AS n FROM t HAVING n > 2") == [(3,)]
    assert rows(c, "SELECT v FROM t WHERE id IN (SELECT id FROM t HAVING id = 3)") == [("c",)]
    rows(c, "CREATE TABLE u AS SELECT id, v AS w FROM t HAVING w <> 'a'")
    assert rows(c, "SELECT * FROM u ORDER BY id") == [(2, "b"), (3, "c")]


def test_schema_changes(c):
    rows(c, "CREATE TABLE t (a INT NOT NULL, b VARCHAR(10) DEFAULT 'x', PRIMARY KEY (a)) ENGINE=MyISAM DEFAULT CHARSET=latin1")
    rows(c, "INSERT INTO t VALUES (1, 'one')")
    rows(c, "ALTER TABLE t ADD COLUMN c INT NOT NULL AFTER a, ADD UNIQUE KEY ub (b), ADD INDEX ic (c), ENGINE=InnoDB")
    rows(c, "ALTER TABLE t MODIFY COLUMN b VARCHAR(50) NOT NULL DEFAULT 'y', CHANGE c cc BIGINT")
    assert rows(c, "SELECT * FROM t") == [(1, "one", 0)]
    assert rows(c, "SHOW COLUMNS FROM t") == [("a", "int", "NO", "PRI", None, ""), ("b", "varchar(50)", "NO", "UNI", "y", ""),
                                              ("cc", "bigint", "YES", "MUL", None, "")]
    rows(c, "CREATE INDEX i2 USING BTREE ON t (cc DESC)")
    rows(c, "ALTER TABLE t RENAME INDEX i2 TO i3")
    rows(c, "DROP INDEX i3 ON t")
    rows(c, "ALTER TABLE t DROP INDEX ub, DROP COLUMN cc")
    rows(c, "RENAME TABLE t TO t2")
    rows(c, "ALTER TABLE t2 RENAME TO t3")
    # An index's name belongs to its table in MySQL.
    rows(c, "CREATE TABLE u (a INT, KEY k (a))")
    rows(c, "CREATE TABLE v (a INT, KEY k (a))")
    rows(c, "ALTER TABLE v DROP KEY k")
    assert [r[2] for r in rows(c, "SHOW INDEX FROM u")] == ["k"] and rows(c, "SHOW INDEX FROM v") == []
    rows(c, "DROP TABLE IF EXISTS u, v, nothing")
    assert rows(c, "SHOW TABLES") == [("t3",)]
    fails(c, 1235, "CREATE TABLE w (a INT, id INT AUTO_INCREMENT, PRIMARY KEY (a, id))")


def test_on_update_current_timestamp(c):
    rows(c, "CREATE TABLE t (id INT PRIMARY KEY, v INT, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)")
    rows(c, "INSERT INTO t VALUES (1, 1, '2020-01-01 00:00:00')")
    rows(c, "UPDATE t SET v = 2")
    assert value(c, "SELECT at FROM t").year > 2020
    rows(c, "UPDATE t SET v = 3, at = '2021-01-01'")
    assert value(c, "SELECT at FROM t") == datetime.datetime(2021, 1, 1)
    assert rows(c, "SHOW TRIGGERS") == []


def test_choices(c):
    rows(c, "CREATE TABLE t (e ENUM('a', 'b') NOT NULL DEFAULT 'a', s SET('x','y'), n DECIMAL(6,2) UNSIGNED, y YEAR, o BIT(1))")
    rows(c, "INSERT INTO t VALUES ('b', 'x,y', 12.345, 2024, b'1')")
    assert rows(c, "SELECT * FROM t") == [("b", "x,y", decimal.Decimal("12.35"), 2024, 1)]
    fails(c, 3819, "INSERT INTO t (e) VALUES ('c')")


def test_plain_sqlite_statements(c, my):
    """They mean what they mean to SQLite; what they make is there for other protocols as it is."""
    rows(c, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT) STRICT")
    rows(c, "INSERT INTO t (v) VALUES ('a'), ('b') RETURNING id")
    assert rows(c, "INSERT INTO t VALUES (1, 'c') ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING id, v") == [(1, "c")]
    assert rows(c, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT group_concat(i, ';') FROM n") == \
        [("1;2;3",)]
    assert rows(c, "SELECT v || '!' FROM t WHERE v IS NOT NULL ORDER BY id LIMIT 1 OFFSET 1") == [("b!",)]
    assert my.node.query("SELECT sql FROM sqlite_schema WHERE name = 't'", db=my.database).value.startswith("CREATE TABLE t")


def test_session_values_do_not_land_in_the_schema(c):
    rows(c, "SET @x = 5")
    fails(c, 1235, "CREATE VIEW v AS SELECT @x")
    fails(c, 1235, "CREATE TABLE t (a INT DEFAULT (CONNECTION_ID()))")
