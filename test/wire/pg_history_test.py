"""HISTORY and UNDO through PostgreSQL clients: psql, psycopg2, psycopg 3, asyncpg and pg8000."""

import asyncio
import datetime
import sys

import psycopg
import psycopg2
import pytest

import pg as pg_module

sys.path.insert(0, pg_module.PYTHON_CLIENTS)

pytestmark = pytest.mark.usefixtures("ha_only")

COLUMNS = ["seq", "sql", "timestamp", "transaction", "node", "changes", "tables"]


@pytest.fixture
def table(pg):
    pg.psql("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
            "UPDATE t SET v = 'x' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    return pg


def newest(pg):
    with psycopg.connect(**pg.keywords(), autocommit=True) as c:
        return c.execute("HISTORY").fetchone()[0]


def test_psql(table):
    n = newest(table)
    p = table.psql(f"HISTORY {n}", flags=())
    head, _, row, count = p.stdout.split("\n")[:4]
    assert [c.strip() for c in head.split("|")] == COLUMNS
    cells = [c.strip() for c in row.split("|")]
    assert cells[0] == cells[3] == str(n) and cells[1] == 'DELETE FROM "t" WHERE "id" = 2' and cells[5] == "1"
    assert count == "(1 row)"
    assert table.psql(f"UNDO {n - 1};", flags=()).stdout == "UNDO 2\n"
    assert table.psql("SELECT v FROM t ORDER BY id", flags=("-At",)).stdout == "a\nb\n"
    assert table.psql("UNDO 0", flags=()).stdout == "UNDO 2\n"
    assert table.psql(f"UNDOE {n - 1}", "SELECT * FROM t", flags=("-At",)).stdout == "UNDO 3\n1|a\n"
    assert table.psql("undot 0", "SELECT count(*) FROM t WHERE v = 'x'", flags=("-At",)).stdout == "UNDO 3\n1\n"
    assert "(8 rows)" in table.psql("HISTORY '10m'", flags=()).stdout
    assert table.psql("-- a comment\nHISTORY /* and one */ 0;", flags=("-At",)).stdout.startswith(f"{n + 4}|")


def test_errors_in_psql(table):
    def error(*statements):
        p = table.run("psql", "-X", "-v", "VERBOSITY=verbose", *(x for s in statements for x in ("-c", s)), check=False)
        assert p.returncode == 1
        return p.stderr

    n = newest(table)
    assert "ERROR:  42601:" in error("UNDO") and "ERROR:  42601:" in error("UNDO everything")
    assert "ERROR:  22023:" in error("UNDOE '10m'") and "ERROR:  22023:" in error("UNDO 'x'")
    assert "ERROR:  02000:" in error("UNDO 99999") and "ERROR:  02000:" in error(f"UNDO {n}.2")
    table.psql("CREATE TABLE u (id INTEGER PRIMARY KEY, k TEXT UNIQUE)", "INSERT INTO u VALUES (1, 'a')", "DELETE FROM u")
    d = newest(table)
    table.psql("INSERT INTO u VALUES (2, 'a')")
    text = error(f"UNDOT {d}")
    assert "ERROR:  55000:" in text and "id=1" in text and "table u" in text and str(d) in text
    text = error("ALTER TABLE u ADD COLUMN n INT", f"UNDO {d}")
    assert "ERROR:  55000:" in text and "created, altered or dropped" in text
    assert "LINE 1: UNDO everything" in error("UNDO everything")


def test_blocks(table):
    n = newest(table)
    p = table.run("psql", "-X", "-At", stdin=f"BEGIN;\nHISTORY {n};\nUNDO {n};\nSELECT 1;\nROLLBACK;\nSELECT count(*) FROM t;\n",
                  check=False)
    assert p.stdout.split("\n")[0] == "BEGIN" and p.stdout.split("\n")[1].startswith(f"{n}|")
    assert "within another one" in p.stderr and "aborted" in p.stderr and p.stdout.endswith("ROLLBACK\n1\n")
    # One string with several statements.
    p = table.run("psql", "-X", "-At", "-c", f"SELECT 7; HISTORY {n}; SELECT 8", check=False)
    lines = p.stdout.split("\n")
    assert lines[0] == "7" and lines[1].startswith(f"{n}|") and lines[2] == "8"
    p = table.run("psql", "-X", "-At", "-c", f"INSERT INTO t VALUES (7, 'i'); UNDO {n}", check=False)
    assert p.returncode == 1 and table.psql("SELECT count(*) FROM t", flags=("-At",)).stdout == "1\n"


def test_cursors(table):
    script = """BEGIN;
DECLARE c SCROLL CURSOR FOR HISTORY 1;
FETCH 1 FROM c;
INSERT INTO t VALUES (50, 'meanwhile');
MOVE LAST FROM c;
FETCH ABSOLUTE 1 FROM c;
COMMIT;
"""
    p = table.run("psql", "-X", "-At", stdin=script)
    lines = p.stdout.split("\n")
    first = lines[2]
    assert first.endswith("|1|{}") and lines.count(first) == 2, p.stdout


def test_psycopg2(table):
    n = newest(table)
    c = psycopg2.connect(**table.keywords())
    c.autocommit = True
    cursor = c.cursor()
    cursor.execute("HISTORY %s", (n - 1,))
    assert [d[0] for d in cursor.description] == COLUMNS
    rows = cursor.fetchall()
    assert [r[0] for r in rows] == [n - 1, n] and cursor.statusmessage == "SELECT 2"
    age = datetime.datetime.now(datetime.timezone.utc) - rows[0][2]
    assert datetime.timedelta(0) <= age + datetime.timedelta(seconds=1) < datetime.timedelta(minutes=10)
    cursor.execute("UNDO %s", (n - 1,))
    assert cursor.statusmessage == "UNDO 2"
    cursor.execute("UNDO %s", (f"{n + 1}",))
    cursor.execute("SELECT v FROM t")
    assert cursor.fetchall() == [("x",)]
    with pytest.raises(psycopg2.Error) as e:
        cursor.execute("UNDO %s", ("x",))
    assert e.value.pgcode == "22023"
    c.autocommit = False
    with pytest.raises(psycopg2.Error) as e:
        cursor.execute("UNDO 0")
    assert e.value.pgcode == "25001"
    c.close()


@pytest.mark.parametrize("binary", (False, True))
def test_psycopg_parameters(table, binary):
    """Prepared: the number is a parameter of the statement."""
    n = newest(table)
    with psycopg.connect(**table.keywords(), autocommit=True) as c:
        cursor = c.cursor(binary=binary)
        cursor.execute("HISTORY %s", [str(n)], prepare=True)
        assert [d.name for d in cursor.description] == COLUMNS
        row = cursor.fetchone()
        assert row[0] == n and row[3] == str(n) and row[5] == 1 and row[2].tzinfo is not None
        cursor.execute("HISTORY %s", ["5m"], prepare=True)
        assert cursor.rowcount >= 4
        cursor.execute("UNDO %s", [str(n)], prepare=True)
        assert cursor.statusmessage == "UNDO 1" and cursor.description is None
        assert c.execute("SELECT count(*) FROM t").fetchone() == (2,)
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            cursor.execute("UNDO %s", ["soon"], prepare=True)
        # As transactions are read: row by row.
        with c.transaction(), c.cursor() as s:
            assert len(list(s.stream("HISTORY 1"))) >= 5


def test_asyncpg(table):
    import asyncpg  # pylint: disable=import-outside-toplevel

    async def talk():
        k = table.keywords()
        c = await asyncpg.connect(host=k["host"], port=k["port"], user=k["user"], password=k["password"], database=k["dbname"])
        rows = await c.fetch("HISTORY 1")
        assert list(rows[0].keys()) == COLUMNS and rows[0]["timestamp"].tzinfo is not None
        n = rows[-1]["seq"]
        assert isinstance(n, int)
        assert len(await c.fetch("HISTORY $1", str(n))) == 1
        async with c.transaction():  # a portal that is read in pieces
            found = [r["seq"] async for r in c.cursor("HISTORY 1", prefetch=1)]
            assert found == [r["seq"] for r in rows]
        assert await c.execute(f"UNDO {n}") == "UNDO 1"
        assert await c.fetchval("SELECT count(*) FROM t") == 2
        await c.close()

    asyncio.run(talk())


def test_pg8000(table):
    import pg8000.native  # pylint: disable=import-outside-toplevel

    k = table.keywords()
    c = pg8000.native.Connection(k["user"], host=k["host"], port=k["port"], password=k["password"], database=k["dbname"])
    rows = c.run("HISTORY 1")
    assert [x["name"] for x in c.columns] == COLUMNS
    c.run(f"UNDO {rows[-1][0]}")
    assert c.row_count == 1 and c.run("SELECT count(*) FROM t") == [[2]]
    c.close()


def test_a_reader_may_look_only(table):
    with psycopg.connect(**table.keywords(), autocommit=True) as c:
        c.execute("SET default_transaction_read_only = on")
        assert len(c.execute("HISTORY 1").fetchall()) >= 4
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            c.execute("UNDO 0")
