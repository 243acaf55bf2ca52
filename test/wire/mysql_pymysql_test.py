"""PyMySQL: types, transactions, errors, large results, killed statements, logins."""

import datetime
import decimal
import threading

import pymysql
import pymysql.cursors
import pytest

import ha
from mysql_target import fails, rows, value

CREATE = ("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, i BIGINT, f DOUBLE, n DECIMAL(12,4), s VARCHAR(100), x TEXT, "
          "b BLOB, d DATE, t DATETIME(6), e TIME, o BOOLEAN, j JSON)")
VALUES = [
    (1, 9223372036854775807, 0.1, decimal.Decimal("12.3400"), "ä'\"\\\n\r\t%_☃", "", b"\0\xff'\\\x1a", datetime.date(2024, 2, 29),
     datetime.datetime(2024, 2, 29, 23, 59, 59, 123456), datetime.timedelta(hours=30, minutes=5), 1, '{"a": [1, null]}'),
    (2, -9223372036854775808, -1.5e300, decimal.Decimal("-0.0001"), "", "x" * 100000, b"", datetime.date(1, 1, 1),
     datetime.datetime(9999, 12, 31), datetime.timedelta(0), 0, "null"),
    (3, *[None] * 11),
]


@pytest.fixture
def c(my):
    with my.connect() as connection:
        yield connection


# ---- types ----


def test_types_round_trip(c):
    rows(c, CREATE)
    for v in VALUES:
        rows(c, f"INSERT INTO t VALUES ({', '.join(['%s'] * len(v))})", v)
    assert rows(c, "SELECT * FROM t ORDER BY id") == VALUES


def test_literals(c):
    assert rows(c, r"""SELECT 'a\'b\"c\\d\n\0e', "it's", 'a' 'b', X'4142', 0x4142, b'101', N'n', _utf8mb4'u', 1e3, .5, TRUE, NULL""") == \
        [(b"a'b\"c\\d\n\0e", "it's", "ab", b"AB", b"AB", 5, "n", "u", 1000.0, 0.5, 1, None)]


def test_types_of_expressions(c):
    with c.cursor() as cur:
        cur.execute("SELECT COUNT(*), 1.5, 'x', X'00', CAST('2024-01-01' AS DATE), NULL")
        assert [d[1] for d in cur.description] == [8, 5, 253, 252, 253, 253]
    # The first rows decide: an integer beside fractions, NULL before numbers.
    assert rows(c, "SELECT column1 FROM (VALUES (NULL), (1), (2.5))") == [(None,), (1.0,), (2.5,)]
    assert rows(c, "SELECT column1 FROM (VALUES (1), ('x'))") == [("1",), ("x",)]


def test_a_value_that_is_not_of_its_type(c):
    rows(c, "CREATE TABLE t (i INT, d DATETIME)")
    rows(c, "INSERT INTO t VALUES ('abc', 'no moment')")
    assert "'abc' is not of the type of column 'i'" in fails(c, 1366, "SELECT i FROM t")
    fails(c, 1366, "SELECT d FROM t")
    assert value(c, "SELECT 1") == 1


# ---- what statements answer ----


def test_affected_rows_and_ids(c):
    with c.cursor() as cur:
        cur.execute("CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT, v TEXT, PRIMARY KEY (id))")
        assert (cur.execute("INSERT INTO t (v) VALUES ('a'), ('b'), ('c')"), cur.lastrowid) == (3, 1)
        assert (cur.execute("INSERT INTO t VALUES (10, 'd')"), cur.lastrowid) == (1, 10)
        assert value(c, "SELECT LAST_INSERT_ID()") == 10
        assert cur.execute("UPDATE t SET v = 'x' WHERE id < 4") == 3
        assert value(c, "SELECT ROW_COUNT()") == 3
        assert (cur.execute("DELETE FROM t WHERE id = 1"), cur.lastrowid) == (1, 0)
        cur.execute("SELECT * FROM t LIMIT 2")
        assert value(c, "SELECT FOUND_ROWS()") == 2
        cur.execute("SELECT SQL_CALC_FOUND_ROWS v FROM t WHERE id > %s ORDER BY id LIMIT 1, 1", (1,))
        assert value(c, "SELECT FOUND_ROWS()") == 3


def test_several_statements(my):
    with my.connect(client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS) as c, c.cursor() as cur:
        cur.execute("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2);; SELECT * FROM t; SELECT 'last';")
        results = []
        while True:
            results.append((cur.rowcount, cur.fetchall()))
            if not cur.nextset():
                break
        assert [r[1] for r in results[2:]] == [((1,), (2,)), (("last",),)] and results[1][0] == 2
        # The first error ends them; what was done before stays.
        with pytest.raises(pymysql.MySQLError):
            cur.execute("INSERT INTO t VALUES (3); SELECT * FROM missing; INSERT INTO t VALUES (4)")
            while cur.nextset():
                pass
        assert rows(c, "SELECT MAX(a) FROM t") == [(3,)]


def test_several_statements_have_to_be_asked_for(my):
    with my.connect(client_flag=0) as c:
        c.client_flag &= ~pymysql.constants.CLIENT.MULTI_STATEMENTS
        c.ping(reconnect=True)
        fails(c, 1064, "SELECT 1; SELECT 2")
        assert value(c, "SELECT 1;") == 1


def test_warnings(c):
    with c.cursor() as cur:
        cur.execute("SET some_unknown_variable = 1")
        cur.execute("SHOW WARNINGS")
        assert cur.fetchall() == (("Warning", 1193, "Unknown system variable 'some_unknown_variable'"),)
        cur.execute("SELECT 1")
        cur.execute("SHOW WARNINGS")
        assert cur.fetchall() == ()
        fails(c, 1146, "SELECT * FROM missing")
        assert rows(c, "SHOW ERRORS")[0][1] == 1146
        assert rows(c, "SHOW COUNT(*) ERRORS") == [(1,)]


def test_a_large_result(c):
    rows(c, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))")
    with c.cursor() as cur:
        cur.executemany("INSERT INTO t VALUES (%s, %s)", [(i, f"row {i}") for i in range(100000)])
        assert cur.rowcount == 100000
    assert rows(c, "SELECT * FROM t ORDER BY id")[-1] == (99999, "row 99999")
    # Row by row: the server waits for a client that takes its time, and another client is served meanwhile.
    with c.cursor(pymysql.cursors.SSCursor) as cur:
        cur.execute("SELECT id, CONCAT(v, '!') FROM t ORDER BY id")
        assert sum(1 for _ in cur) == 100000


def test_a_packet_of_more_than_16_mib(c):
    big = "x" * ((17 << 20) + 5)
    rows(c, "CREATE TABLE t (v LONGTEXT)")
    rows(c, "INSERT INTO t VALUES (%s)", (big,))
    assert value(c, "SELECT v FROM t") == big
    exact = "y" * 0xFFFFFF
    assert value(c, "SELECT %s", (exact,)) == exact


def test_too_long_a_packet(my):
    with my.connect() as c:
        with pytest.raises(pymysql.MySQLError) as e:
            rows(c, "SELECT %s", ("x" * (65 << 20),))
        assert e.value.args[0] in (1153, 2006, 2013)
    with my.connect() as c:
        assert value(c, "SELECT 1") == 1


# ---- transactions ----


def test_transactions(c, my):
    rows(c, "CREATE TABLE t (a INT PRIMARY KEY)")
    c.begin()
    rows(c, "INSERT INTO t VALUES (1)")
    with my.connect() as other:
        assert rows(other, "SELECT * FROM t") == []
    c.commit()
    c.begin()
    rows(c, "INSERT INTO t VALUES (2)")
    fails(c, 1062, "INSERT INTO t VALUES (1)")  # takes back the statement alone
    rows(c, "SAVEPOINT `a b`")
    rows(c, "INSERT INTO t VALUES (3)")
    rows(c, "ROLLBACK TO SAVEPOINT `a b`")
    rows(c, "RELEASE SAVEPOINT `a b`")
    fails(c, 1305, "ROLLBACK TO missing")
    c.commit()
    assert rows(c, "SELECT a FROM t ORDER BY a") == [(1,), (2,)]
    c.begin()
    rows(c, "DELETE FROM t")
    c.rollback()
    assert value(c, "SELECT COUNT(*) FROM t") == 2


def in_transaction(c):
    return bool(c.server_status & pymysql.constants.SERVER_STATUS.SERVER_STATUS_IN_TRANS)


def test_without_autocommit(my):
    with my.connect(autocommit=False) as c, my.connect() as other:
        rows(c, "CREATE TABLE t (a INT)")  # commits by itself
        assert rows(other, "SELECT * FROM t") == []
        assert not in_transaction(c)
        rows(c, "SELECT 1")
        rows(c, "SHOW TABLES")
        c.ping()
        assert not in_transaction(c)  # none of these needs a table
        rows(c, "INSERT INTO t VALUES (1)")
        c.ping()
        assert in_transaction(c)
        assert rows(other, "SELECT * FROM t") == []
        rows(c, "CREATE TABLE u (a INT)")  # DDL commits what is open
        assert rows(other, "SELECT * FROM t") == [(1,)]
        rows(c, "INSERT INTO t VALUES (2)")
        c.rollback()
        rows(c, "INSERT INTO t VALUES (3)")
        rows(c, "SET autocommit = 1")
        assert rows(other, "SELECT * FROM t ORDER BY a") == [(1,), (3,)]
        assert value(c, "SELECT @@autocommit") == 1


def test_begin_commits_what_is_open(c, my):
    rows(c, "CREATE TABLE t (a INT)")
    c.begin()
    rows(c, "INSERT INTO t VALUES (1)")
    rows(c, "START TRANSACTION READ ONLY")
    with my.connect() as other:
        assert rows(other, "SELECT * FROM t") == [(1,)]
    fails(c, 1290, "INSERT INTO t VALUES (2)")
    c.rollback()
    rows(c, "INSERT INTO t VALUES (2)")


def test_conflicts_are_1213(my):
    with my.connect(autocommit=False) as a, my.connect() as b:
        rows(b, "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
        rows(b, "INSERT INTO t VALUES (1, 0)")
        assert value(a, "SELECT n FROM t") == 0
        rows(b, "UPDATE t SET n = 1")
        assert "try restarting transaction" in fails(a, 1213, "UPDATE t SET n = 5")
        # As in MySQL the transaction is over with that, and the next one begins.
        a.ping()
        assert not in_transaction(a)
        rows(a, "UPDATE t SET n = n + 1")
        a.commit()
        assert value(b, "SELECT n FROM t") == 2


# ---- errors ----


def test_errors(c):
    rows(c, "CREATE TABLE p (id INT PRIMARY KEY, v TEXT NOT NULL, n INT CHECK (n > 0), UNIQUE KEY u (v(10)))")
    rows(c, "CREATE TABLE k (p INT, CONSTRAINT kp FOREIGN KEY (p) REFERENCES p (id))")
    rows(c, "INSERT INTO p VALUES (1, 'a', 1)")
    assert "p.id" in fails(c, 1062, "INSERT INTO p VALUES (1, 'b', 1)")
    assert "p.v" in fails(c, 1062, "INSERT INTO p VALUES (2, 'a', 1)")
    assert fails(c, 1048, "INSERT INTO p VALUES (2, NULL, 1)") == "Column 'v' cannot be null"
    fails(c, 3819, "INSERT INTO p VALUES (2, 'b', 0)")
    fails(c, 1452, "INSERT INTO k VALUES (99)")
    fails(c, 1146, "SELECT * FROM missing")
    assert fails(c, 1054, "SELECT missing FROM p") == "Unknown column 'missing' in 'field list'"
    fails(c, 1050, "CREATE TABLE p (a INT)")
    fails(c, 1064, "SELECT FROM WHERE")
    fails(c, 1064, "SELECT 'unterminated")
    fails(c, 1305, "SELECT no_such_function(1)")
    fails(c, 1065, " ")
    fails(c, 1235, "CALL p()")
    fails(c, 1049, "USE nowhere")
    fails(c, 1238, "SET version = '5'")
    fails(c, 1235, "GRANT ALL ON *.* TO x")
    assert value(c, "SELECT 1") == 1


def test_exception_classes(c):
    """The drivers make classes of numbers."""
    rows(c, "CREATE TABLE t (a INT PRIMARY KEY)")
    rows(c, "INSERT INTO t VALUES (1)")
    with pytest.raises(pymysql.IntegrityError):
        rows(c, "INSERT INTO t VALUES (1)")
    with pytest.raises(pymysql.ProgrammingError):
        rows(c, "SELECT * FROM missing")


# ---- databases and sessions ----


def test_databases(c, my):
    name = my.database + "new"
    rows(c, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    assert (name,) in rows(c, "SHOW DATABASES")
    fails(c, 1007, f"CREATE DATABASE {name}")
    rows(c, f"CREATE DATABASE IF NOT EXISTS {name}")
    c.select_db(name)
    assert value(c, "SELECT DATABASE()") == name
    rows(c, "CREATE TABLE t (a INT)")
    rows(c, f"INSERT INTO {name}.t VALUES (1)")
    assert rows(c, f"SELECT `{name}`.`t`.`a` FROM `{name}`.`t`") == [(1,)]
    rows(c, f"USE `{my.database}`")
    assert rows(c, "SHOW TABLES") == []
    rows(c, f"DROP DATABASE {name}")
    fails(c, 1008, f"DROP DATABASE {name}")
    rows(c, f"DROP DATABASE IF EXISTS {name}")


def test_variables(c):
    assert rows(c, "SELECT @@session.sql_mode LIKE '%STRICT%', @@max_allowed_packet, @@tx_isolation, @@no_such_thing") == \
        [(1, 67108864, "SERIALIZABLE", "")]
    rows(c, "SET @a = 1 + 2, @b := 'x', SESSION sort_buffer_size = 1000000, NAMES utf8mb4 COLLATE utf8mb4_general_ci")
    assert rows(c, "SELECT @a, @B, @c, @@sort_buffer_size, @@collation_connection") == \
        [(3, "x", None, 1000000, "utf8mb4_general_ci")]
    rows(c, "SET @@session.sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
    rows(c, 'CREATE TABLE "t" ("a b" INT)')
    rows(c, "SET sql_mode = DEFAULT")
    assert value(c, 'SELECT "a b"') == "a b"
    assert rows(c, "SHOW VARIABLES LIKE 'version'") == [("version", "8.0.36-ha")]
    assert rows(c, "SHOW SESSION VARIABLES WHERE Variable_name = 'autocommit'") == [("autocommit", "ON")]
    assert dict(rows(c, "SHOW STATUS LIKE 'Threads%'"))["Threads_running"] == "1"


def test_information_schema(c, my):
    rows(c, "CREATE TABLE p (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) NOT NULL DEFAULT 'x', UNIQUE KEY u (v))")
    rows(c, "CREATE TABLE k (a INT, b DECIMAL(5,2), CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id), KEY ab (a, b))")
    rows(c, "CREATE VIEW w AS SELECT * FROM p")
    assert rows(c, "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY 1") == \
        [("k", "BASE TABLE"), ("p", "BASE TABLE"), ("w", "VIEW")]
    assert rows(c, "SELECT COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_KEY, COLUMN_DEFAULT, EXTRA, CHARACTER_MAXIMUM_LENGTH "
                   "FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'p'", (my.database,)) == \
        [("id", "int", "NO", "PRI", None, "auto_increment", None), ("v", "varchar(20)", "NO", "UNI", "x", "", 20)]
    assert rows(c, "SELECT INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE FROM information_schema.statistics "
                   "WHERE TABLE_NAME = 'k' ORDER BY 1, 2") == [("ab", 1, "a", 1), ("ab", 2, "b", 1)]
    assert rows(c, "SELECT CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM "
                   "information_schema.KEY_COLUMN_USAGE WHERE TABLE_NAME = 'k'") == [("f", "a", "p", "id")]
    fails(c, 1146, "SELECT * FROM information_schema.no_such_table")
    fails(c, 1146, "DESCRIBE missing")
    assert [r[0] for r in rows(c, "SHOW FULL TABLES WHERE Table_type = 'VIEW'")] == ["w"]
    assert [r[0] for r in rows(c, "SHOW TABLES LIKE 'p%'")] == ["p"]
    assert rows(c, "CHECK TABLE p") == [(f"{my.database}.p", "check", "status", "OK")]


def test_killed_statement(my):
    endless = "SELECT SLEEP(600)"
    with my.connect() as c, my.connect() as killer:
        thread_id = value(c, "SELECT CONNECTION_ID()")
        result = []
        t = threading.Thread(target=lambda: result.append(fails(c, 1317, endless)))
        t.start()

        def is_running():
            return any(r[0] == thread_id and r[4] == "Query" for r in rows(killer, "SHOW PROCESSLIST"))

        ha.wait_until(is_running, what="the statement runs")
        rows(killer, f"KILL QUERY {thread_id}")
        t.join(30 * ha.SLOW)
        assert result
        assert value(c, "SELECT 1") == 1
        rows(killer, f"KILL {thread_id}")
        with pytest.raises(pymysql.MySQLError):
            rows(c, "SELECT 1")
        fails(killer, 1094, "KILL QUERY 4000000000")


def test_named_locks(my):
    """What migration tools hold while they run."""
    a = my.connect()
    with my.connect() as b:
        assert value(a, "SELECT GET_LOCK('migrate', 10)") == 1
        assert value(a, "SELECT GET_LOCK('Migrate', 0)") == 1
        assert rows(b, "SELECT GET_LOCK('migrate', 0), IS_FREE_LOCK('migrate'), IS_USED_LOCK('migrate') = %s, RELEASE_LOCK('migrate')",
                    (value(a, "SELECT CONNECTION_ID()"),)) == [(0, 0, 1, 0)]
        got = []
        t = threading.Thread(target=lambda: got.append(value(b, "SELECT GET_LOCK('migrate', 600) AS got")))
        t.start()
        assert value(a, "SELECT RELEASE_LOCK('migrate')") == 1
        assert not got
        a.close()  # with the second one
        t.join(30 * ha.SLOW)
        assert got == [1]
        assert rows(b, "SELECT RELEASE_ALL_LOCKS(), RELEASE_LOCK('migrate'), IS_FREE_LOCK('migrate')") == [(1, None, 1)]
        fails(b, 1235, "CREATE TABLE t AS SELECT GET_LOCK('x', 1)")


def test_statement_timeout(c):
    rows(c, "SET max_execution_time = 100")
    fails(c, 3024, "SELECT SLEEP(60)")
    rows(c, "SET max_execution_time = 0")


def test_reset_and_change_user(c, my):
    rows(c, "SET @a = 1, autocommit = 0")
    c.begin()
    c._execute_command(pymysql.constants.COMMAND.COM_RESET_CONNECTION if hasattr(  # pylint: disable=protected-access
        pymysql.constants.COMMAND, "COM_RESET_CONNECTION") else 0x1F, b"")
    c._read_ok_packet()  # pylint: disable=protected-access
    assert rows(c, "SELECT @a, @@autocommit") == [(None, 1)]
    assert not in_transaction(c)


# ---- logins ----


def test_logins(my):
    with pytest.raises(pymysql.OperationalError) as e:
        my.connect(password="wrong")
    assert e.value.args[0] == 1045
    with pytest.raises(pymysql.OperationalError) as e:
        my.connect(user="nobody")
    assert e.value.args[0] == 1045
    with pytest.raises(pymysql.OperationalError) as e:
        my.connect(password="")
    assert e.value.args[0] == 1045
    with my.connect(database=None) as c:
        assert value(c, "SELECT DATABASE()") == "ha"
