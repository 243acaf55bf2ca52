"""HISTORY and UNDO through MySQL clients: the command line and PyMySQL."""

import datetime

import pytest

from mysql_target import fails, rows, value

COLUMNS = ["seq", "sql", "timestamp", "transaction", "node", "changes", "tables"]


@pytest.fixture
def c(my):
    with my.connect() as connection:
        rows(connection, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))")
        rows(connection, "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        rows(connection, "UPDATE t SET v = 'x' WHERE id = 1")
        yield connection


def test_pymysql(c):
    with c.cursor() as cur:
        cur.execute("HISTORY 0")
        assert [d[0] for d in cur.description] == COLUMNS
        found = cur.fetchall()
    n = found[0][0]
    assert len(found) == 1 and isinstance(n, int) and found[0][3] == str(n) and found[0][5] == 1
    assert isinstance(found[0][2], datetime.datetime)
    assert len(rows(c, "HISTORY %s", (n - 1,))) == 2 and len(rows(c, "history '10m';")) >= 3
    with c.cursor() as cur:
        assert cur.execute("UNDO %s", (n,)) == 1
        assert value(c, "SELECT v FROM t WHERE id = 1") == "a"
        assert cur.execute(f"UNDOT {n + 1}") == 1
        assert cur.execute(f"UNDOE {n - 1}") > 2
    assert value(c, "SELECT COUNT(*) FROM t") == 0
    fails(c, 1064, "UNDO everything")
    fails(c, 1064, "UNDO")
    fails(c, 1210, "UNDOE '10m'")
    rows(c, "BEGIN")
    fails(c, 1568, "UNDO 0")
    rows(c, "ROLLBACK")
    # A row that somebody has changed since.
    rows(c, "CREATE TABLE u (id INT PRIMARY KEY, k INT UNIQUE)")
    rows(c, "INSERT INTO u VALUES (1, 5)")
    rows(c, "DELETE FROM u")
    d = rows(c, "HISTORY 0")[0][0]
    rows(c, "INSERT INTO u VALUES (2, 5)")
    assert "table u" in fails(c, 1020, f"UNDOE {d}")
    rows(c, "ALTER TABLE u ADD COLUMN w INT")
    assert "table u" in fails(c, 1412, f"UNDO {d}")


def test_command_line(my, c):
    n = rows(c, "HISTORY 0")[0][0]
    out = my.mysql("-N", "-e", f"HISTORY {n}; UNDO {n}; SELECT v FROM t WHERE id = 1")
    lines = out.split("\n")
    assert lines[0].split("\t")[0] == str(n) and lines[-2] == "a"
    p = my.mysql("-e", f"UNDO {n + 1000}", check=False)
    assert p.returncode == 1 and b"there is no transaction" in p.stderr


def test_a_reader_may_look_only(c):
    rows(c, "SET SESSION TRANSACTION READ ONLY")
    assert len(rows(c, "HISTORY 1")) >= 3
    fails(c, 1290, "UNDO 0")
