"""mysql-connector-python, its C extension and its Python: literal, prepared and buffered cursors."""

import datetime
import decimal
import os

import mysql.connector

passed = 0


def check(ok, what=""):
    global passed
    assert ok, what
    passed += 1


def connect(**more):
    return mysql.connector.connect(host=os.environ["MYSQL_HOST"], port=int(os.environ["MYSQL_TCP_PORT"]),
                                   user=os.environ["MYSQL_TEST_USER"], password=os.environ["MYSQL_PWD"],
                                   database=os.environ["MYSQL_DATABASE"], **more)


ROW = (7, "ä'\\☃", 0.5, b"\0\xff\x01", datetime.datetime(2024, 2, 29, 12, 34, 56, 789000), datetime.date(2024, 2, 29),
       decimal.Decimal("12.30"), datetime.timedelta(hours=30, minutes=1), None)


def types(c, table, prepared, row):
    cur = c.cursor(prepared=prepared)
    cur.execute(f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, i BIGINT, s VARCHAR(20), f DOUBLE, b BLOB, "
                "t DATETIME(6), d DATE, n DECIMAL(10,2), e TIME, z TEXT)")
    cur.execute(f"INSERT INTO {table} (i, s, f, b, t, d, n, e, z) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", row)
    check(cur.lastrowid == 1 and cur.rowcount == 1, (cur.lastrowid, cur.rowcount))
    cur.execute(f"SELECT i, s, f, b, t, d, n, e, z FROM {table} WHERE id = %s", (1,))
    got = tuple(bytes(v) if isinstance(v, bytearray) else v for v in cur.fetchone())
    check(got == row, got)
    check(cur.fetchone() is None)
    c.commit()


for pure in (True, False):
    with connect(use_pure=pure) as c:
        types(c, f"a{int(pure)}", False, ROW)
        # Prepared, the C extension sends a timedelta as something that is no time.
        types(c, f"b{int(pure)}", True, ROW if pure else (*ROW[:7], None, None))
        cur = c.cursor(dictionary=True)
        cur.execute("SELECT COUNT(*) AS n, MAX(s) FROM a%d" % pure)
        check(cur.fetchall() == [{"n": 1, "MAX(s)": "ä'\\☃"}])
        try:
            cur.execute(f"INSERT INTO a{int(pure)} (id) VALUES (1)")
            raise AssertionError("no error")
        except mysql.connector.IntegrityError as e:
            check(e.errno == 1062 and e.sqlstate == "23000", e)
        c.rollback()
        c.ping(reconnect=False)
        c.cmd_reset_connection()
        c.cmd_change_user(os.environ["MYSQL_TEST_USER"], os.environ["MYSQL_PWD"], os.environ["MYSQL_DATABASE"])
        cur = c.cursor()
        cur.execute("SELECT DATABASE(), @@autocommit")
        check(cur.fetchone()[0] == os.environ["MYSQL_DATABASE"])
print(f"passed {passed}")
