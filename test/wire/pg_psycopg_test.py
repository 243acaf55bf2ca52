"""psycopg2 and psycopg 3, as applications use them."""

import datetime
import decimal
import math
import threading
import uuid

import psycopg
import psycopg2
import psycopg2.errors
import psycopg2.extras
import psycopg2.pool
import pytest
from psycopg.rows import dict_row

import ha

ROWS = 100000  # of the COPY tests

# (declared type, value): what must come back as it went, in text and in binary.
VALUES = [
    ("INTEGER", 0), ("INTEGER", -2147483648), ("BIGINT", 9223372036854775807), ("BIGINT", -9223372036854775808),
    ("SMALLINT", 32767), ("BOOLEAN", True), ("BOOLEAN", False),
    ("DOUBLE PRECISION", 0.1), ("DOUBLE PRECISION", -1e300), ("DOUBLE PRECISION", 5e-324), ("REAL", 0.5),
    ("DOUBLE PRECISION", math.inf), ("DOUBLE PRECISION", 3.0),
    ("NUMERIC", decimal.Decimal("12.5")), ("NUMERIC(10,2)", decimal.Decimal("-0.25")),
    ("TEXT", ""), ("TEXT", "naïve ☃ 😀 'quoted' \\ \"double\"\n\ttab"), ("VARCHAR(20)", "short"),
    ("BYTEA", b""), ("BYTEA", bytes(range(256))),
    ("DATE", datetime.date(2024, 2, 29)), ("DATE", datetime.date(1, 1, 1)),
    ("TIME", datetime.time(23, 59, 58, 123456)),
    ("TIMESTAMP", datetime.datetime(2024, 2, 29, 12, 34, 56, 789000)),
    ("TIMESTAMP", datetime.datetime(1969, 12, 31, 23, 59, 59)),
    ("UUID", uuid.UUID("123e4567-e89b-12d3-a456-426614174000")),
]


@pytest.fixture
def connection(pg):
    c = psycopg2.connect(**pg.keywords())
    yield c
    c.close()


@pytest.fixture
def session(pg):
    with psycopg.connect(**pg.keywords()) as c:
        yield c


def plain(value):
    return bytes(value) if isinstance(value, memoryview) else value


# ---- types -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("declared,value", VALUES, ids=lambda v: repr(v)[:30])
def test_types_text(connection, declared, value):
    psycopg2.extras.register_uuid()
    with connection.cursor() as cur:
        cur.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})")
        cur.execute("INSERT INTO t VALUES (1, %s), (2, NULL)", (value,))
        cur.execute("SELECT v FROM t ORDER BY id")
        (got,), (null,) = cur.fetchall()
        assert plain(got) == value and type(plain(got)) is type(value) and null is None
        cur.execute("SELECT id FROM t WHERE v = %s", (value,))
        assert cur.fetchall() == [(1,)]


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_types_extended(session, binary):
    with session.cursor(binary=binary) as cur:
        for i, (declared, value) in enumerate(VALUES):
            cur.execute(f"CREATE TABLE t{i} (id INTEGER PRIMARY KEY, v {declared})")
            form = "%b" if binary else "%s"
            cur.execute(f"INSERT INTO t{i} VALUES (1, {form}), (2, NULL)", (value,))
            (got,), (null,) = cur.execute(f"SELECT v FROM t{i} ORDER BY id").fetchall()
            assert plain(got) == value and type(plain(got)) is type(value) and null is None, declared


def test_parameters_by_number(session):
    session.execute("CREATE TABLE t (a INTEGER, b TEXT)")
    cur = psycopg.ClientCursor(session)
    cur.execute("INSERT INTO t VALUES (%s, %s)", (1, "x"))
    raw = session.pgconn.exec_params(b"SELECT $2, $1 WHERE $1 = $1", [b"one", b"two"])
    assert (raw.get_value(0, 0), raw.get_value(0, 1)) == (b"two", b"one")


def test_described_types(session):
    session.execute("CREATE TABLE t (a INTEGER, b BIGINT, c VARCHAR(9), d BYTEA, e DOUBLE PRECISION, f TIMESTAMP)")
    cur = session.execute("SELECT * FROM t")
    assert [c.type_code for c in cur.description] in ([23, 20, 1043, 17, 701, 1114], [20, 20, 1043, 17, 701, 1114])
    assert [c.name for c in cur.description] == list("abcdef")


# ---- transactions and errors -----------------------------------------------------------------------------------


BOOL, INT8, INT2, INT4, TEXT, FLOAT8, DATE, TIMESTAMP, NUMERIC, UUID = 16, 20, 21, 23, 25, 701, 1082, 1114, 1700, 2950
DESCRIBED = [
    ("SELECT sum(a), sum(id), sum(b), sum(n), avg(a), max(ts), min(d), max(a) FROM t",
     [NUMERIC, INT8, INT8, NUMERIC, NUMERIC, TIMESTAMP, DATE, INT8]),
    ("SELECT max(a), sum(a), coalesce(max(n), 0) FROM t WHERE id > 5", [INT8, NUMERIC, NUMERIC]),  # NULL tells no type
    ("SELECT id + 1, a + 1, b + b, n * 2, t.n * id, -id FROM t WHERE id > 5", [INT4, INT8, INT2, NUMERIC, NUMERIC, INT4]),  # no row
    ("SELECT id, sum(a) OVER (ORDER BY id) FROM t", [INT4, NUMERIC]),
    ("SELECT CASE WHEN flag THEN ts END, NOT flag, u = u, v || 'x', round(n, 1) FROM t", [TIMESTAMP, BOOL, BOOL, TEXT, NUMERIC]),
    ("SELECT q.s, s + 1 FROM (SELECT sum(id) AS s FROM t) q", [INT8, INT8]),
    ("SELECT * FROM (SELECT sum(a) AS s, max(ts) AS m FROM t) q", [NUMERIC, TIMESTAMP]),
    ("SELECT x.m FROM t JOIN (SELECT max(d) m FROM t) AS x ON true", [DATE]),
    ("WITH q AS (SELECT max(u::text) AS s, count(*) c FROM t), r(y) AS MATERIALIZED (SELECT n * 2 FROM t) SELECT s, c, y FROM q, r",
     [TEXT, INT8, NUMERIC]),
    ("SELECT (SELECT max(a) FROM t), EXISTS (SELECT 1), uuid 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", [INT8, BOOL, UUID]),
    ("INSERT INTO t (id, n) VALUES (7, 1) RETURNING id, n * 2, a + 1", [INT4, NUMERIC, INT8]),
    ("SELECT array_agg(a), ARRAY[a], round(n), round(a) FROM t GROUP BY a, n", [1016, 1016, NUMERIC, FLOAT8]),
    ("SELECT 1, 1.5, 'x', NULL, true, now()::date", [INT4, NUMERIC, TEXT, TEXT, BOOL, DATE]),
]


@pytest.mark.parametrize("sql,types", DESCRIBED, ids=lambda v: v if isinstance(v, str) else "")
def test_a_result_is_described_alike_everywhere(session, sql, types):
    """By Describe of the statement, of the portal, and in the answer to a simple query."""
    session.execute("CREATE TABLE t (id int PRIMARY KEY, a bigint, b smallint, n numeric(10,2), u uuid, ts timestamp, d date, flag boolean, v text)")
    session.execute("INSERT INTO t VALUES (1, 5, 2, 1.5, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '2024-01-01', '2024-01-01', true, 'x')")
    session.commit()
    c = session.pgconn
    assert c.prepare(b"p", sql.encode()).status == psycopg.pq.ExecStatus.COMMAND_OK
    for ask in (lambda: c.describe_prepared(b"p"), lambda: c.exec_(sql.encode()), lambda: c.exec_params(sql.encode(), []),
                lambda: c.exec_(f"SELECT 1; {sql}".encode())):
        c.exec_(b"BEGIN")
        r = ask()
        assert not r.error_message and [r.ftype(i) for i in range(r.nfields)] == types
        c.exec_(b"ROLLBACK")


def test_a_cursor_is_described_like_its_query(session):
    session.execute("CREATE TABLE t (n numeric, a bigint)")
    session.execute("INSERT INTO t VALUES (1, 2)")
    session.execute("DECLARE c CURSOR FOR SELECT n + 1, sum(a) OVER () FROM t")
    r = session.pgconn.exec_(b"FETCH c")
    assert [r.ftype(i) for i in range(r.nfields)] == [NUMERIC, NUMERIC] and r.get_value(0, 0) == b"2"


def test_sums_do_not_overflow(session):
    session.execute("CREATE TABLE t (id int, a bigint, f float8)")
    session.execute("INSERT INTO t VALUES (1, 9223372036854775807, 0.1), (2, 9223372036854775807, 0.2), (3, -9223372036854775807, 0.3)")
    one = lambda sql: session.execute(sql).fetchone()[0]  # noqa: E731
    assert one("SELECT sum(a) FROM t") == 2 ** 63 - 1, "what is beyond on the way does no harm"
    assert one("SELECT sum(a) FROM t WHERE id < 3") == pytest.approx(decimal.Decimal(2 ** 64 - 2))
    assert one("SELECT count(*) FROM (SELECT sum(a) AS s FROM t WHERE id < 3) q WHERE s > 5") == 1
    assert [r[0] for r in session.execute("SELECT sum(a) OVER (ORDER BY id ROWS 1 PRECEDING) FROM t ORDER BY id")] == [
        2 ** 63 - 1, pytest.approx(decimal.Decimal(2 ** 64 - 2)), 0]
    assert one("SELECT sum(DISTINCT a) FILTER (WHERE id < 3) FROM t") == 2 ** 63 - 1
    assert one("SELECT sum(a) FROM t WHERE id > 9") is None
    assert one("SELECT sum(f) FROM t") == pytest.approx(0.6)
    assert one("SELECT sum(id) FROM t HAVING sum(a) > 0") == 6


def test_a_uuid_is_kept_in_lower_case(session):
    session.execute("CREATE TABLE t (id int PRIMARY KEY, u uuid, v text)")
    ask = lambda sql: session.pgconn.exec_(sql.encode())  # noqa: E731: as literals, with no parameter of any type
    upper = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A1"
    assert ask(f"INSERT INTO t VALUES (1, '{upper}1', '{upper}1'), (2, '{{{upper}2}}', NULL)").command_tuples == 2
    ask(f"INSERT INTO t (id, v, u) VALUES (3, '{upper}3', '{upper.replace('-', '')}3')")
    ask(f"INSERT INTO t (id) VALUES (4); UPDATE t SET u = '{upper}4', v = '{upper}4' WHERE id = 4")
    kept = [[None if v is None else v for v in row] for row in session.execute("SELECT u::text, v FROM t ORDER BY id").fetchall()]
    assert kept == [[f"{upper.lower()}{i}", None if i == 2 else f"{upper}{i}"] for i in (1, 2, 3, 4)]

    def found(where):
        r = ask(f"SELECT id FROM t WHERE {where} ORDER BY id")
        assert not r.error_message, r.error_message
        return [int(r.get_value(i, 0)) for i in range(r.ntuples)]

    assert found(f"u = '{upper}1'") == found(f"'{upper}1' = t.u") == found(f"u = '{upper}1'::uuid") == [1]
    assert found(f"u IN ('{upper}2', '{upper.lower()}3')") == found(f"u BETWEEN '{upper}2' AND '{upper}3'") == [2, 3]
    assert found(f"u <> '{upper}1' AND v = '{upper}3'") == [3]
    assert found(f"v = '{upper.lower()}1'") == found(f"v = '{upper}1' AND v ILIKE 'b%'") == [], "a text is a text"
    assert ask(f"UPDATE t SET v = 'x' WHERE u = '{upper}1'").command_tuples == 1
    assert ask(f"DELETE FROM t WHERE u = '{upper}1' RETURNING id").get_value(0, 0) == b"1"


def test_transactions_and_savepoints(connection):
    cur = connection.cursor()
    cur.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    connection.commit()
    cur.execute("INSERT INTO t VALUES (1)")
    connection.rollback()
    cur.execute("INSERT INTO t VALUES (2)")
    cur.execute("SAVEPOINT s")
    cur.execute("INSERT INTO t VALUES (3)")
    cur.execute("ROLLBACK TO SAVEPOINT s")
    cur.execute("RELEASE SAVEPOINT s")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        cur.execute("INSERT INTO t VALUES (2)")
    assert connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INERROR
    with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
        cur.execute("SELECT 1")
    connection.rollback()
    cur.execute("SELECT count(*) FROM t")
    assert cur.fetchone() == (0,)


def test_savepoint_after_error(session):
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    session.commit()
    with session.transaction():
        session.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            with session.transaction():
                session.execute("INSERT INTO t VALUES (2)")
                session.execute("INSERT INTO t VALUES (1)")
        session.execute("INSERT INTO t VALUES (3)")
    assert session.execute("SELECT a FROM t ORDER BY a").fetchall() == [(1,), (3,)]


ERRORS = [
    ("SELEKT 1", "42601"), ("SELECT * FROM missing", "42P01"), ("SELECT missing FROM t", "42703"),
    ("SELECT missing(1)", "42883"), ("INSERT INTO t VALUES (1, 'x', 5)", "23505"),
    ("INSERT INTO t VALUES (2, NULL, 5)", "23502"), ("INSERT INTO t VALUES (2, 'x', -1)", "23514"),
    ("CREATE TABLE t (x INTEGER)", "42P07"), ("ROLLBACK TO SAVEPOINT nowhere", "3B001"),
    # what is no number, and what is too big a one
    ("SELECT '1e10'::int", "22P02"), ("SELECT ''::int", "22P02"), ("SELECT '1.5'::bigint", "22P02"), ("SELECT 'x'::float8", "22P02"),
    ("SELECT 1e10::int", "22003"), ("SELECT 1e30::bigint", "22003"), ("SELECT 100000::smallint", "22003"), ("SELECT '3000000000'::int", "22003"),
    ("SELECT '99999999999999999999'::bigint", "22003"), ("SELECT '1e400'::float8", "22003"), ("SELECT abs(-9223372036854775807 - 1)", "22003"),
    ("SELECT 'maybe'::boolean", "22P02"), ("SELECT 'x'::uuid", "22P02"), ("SELECT '\\xzz'::bytea", "22023"),
    ("SELECT 'x'::date", "22007"), ("SELECT 'x'::timestamp", "22007"), ("SELECT '2024-13-01'::date", "22008"), ("SELECT '25:00'::time", "22008"),
    ("SELECT a.a FROM t a, t a2 WHERE b = 'x'", "42702"), ("ALTER TABLE t ADD COLUMN b int", "42701"), ("CREATE TABLE u (a int, a int)", "42701"),
    ("DROP INDEX missing", "42704"), ("SELECT upper('a', 'b')", "42883"), ("SELECT a FROM t WHERE sum(a) > 1", "42803"),
    ("SELECT current_setting('missing')", "42704"), ("SELECT 'a' ~ '('", "2201B"),
    ("SELECT (1", "42601"), ("INSERT INTO t (a, b) VALUES (3)", "42601"), ("INSERT INTO t (a, missing) VALUES (3, 4)", "42703"),
    ("UPDATE t SET missing = 1", "42703"), ("INSERT INTO missing VALUES (1)", "42P01"), ("DROP TABLE missing", "42P01"),
]


@pytest.mark.parametrize("sql,sqlstate", ERRORS, ids=lambda v: v)
def test_sqlstates(session, sql, sqlstate):
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL, c INTEGER CHECK (c > 0))")
    session.execute("INSERT INTO t VALUES (1, 'x', 1)")
    with pytest.raises(psycopg.Error) as e:
        session.execute(sql)
    assert e.value.sqlstate == sqlstate
    assert e.value.diag.severity == "ERROR" and e.value.diag.message_primary
    session.rollback()


def test_foreign_key(session):
    session.execute("CREATE TABLE p (id INTEGER PRIMARY KEY)")
    session.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id))")
    session.commit()
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        session.execute("INSERT INTO c VALUES (1, 7)")
        session.commit()


def test_transaction_status(session):
    status = psycopg.pq.TransactionStatus
    session.autocommit = True
    assert session.info.transaction_status == status.IDLE
    session.execute("BEGIN")
    assert session.info.transaction_status == status.INTRANS
    with pytest.raises(psycopg.Error):
        session.execute("SELECT * FROM missing")
    assert session.info.transaction_status == status.INERROR
    # COMMIT of a failed transaction rolls back, and says so.
    assert session.execute("COMMIT").statusmessage == "ROLLBACK"
    assert session.info.transaction_status == status.IDLE


def test_row_counts(session):
    session.execute("CREATE TABLE t (a INTEGER)")
    assert session.execute("INSERT INTO t VALUES (1), (2), (3)").statusmessage == "INSERT 0 3"
    assert session.execute("UPDATE t SET a = a + 1 WHERE a > 1").statusmessage == "UPDATE 2"
    assert session.execute("DELETE FROM t WHERE a = 99").rowcount == 0
    assert session.execute("SELECT * FROM t").statusmessage == "SELECT 3"
    got = session.execute("INSERT INTO t VALUES (7) RETURNING a").fetchall()
    assert got == [(7,)]


# ---- statements, cursors, pipelines -----------------------------------------------------------------------------


def test_prepared_by_repetition(session):
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    for i in range(20):  # the sixth has a name
        session.execute("INSERT INTO t VALUES (%s, %s)", (i, f"row {i}"))
    session.commit()
    for i in range(20):
        assert session.execute("SELECT b FROM t WHERE a = %s", (i,)).fetchone() == (f"row {i}",)
    session.rollback()
    session.execute("DROP TABLE t")
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    assert session.execute("SELECT b FROM t WHERE a = %s", (3,), prepare=True).fetchone() is None


def test_server_cursors(session, connection):
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    session.cursor().executemany("INSERT INTO t VALUES (%s)", [(i,) for i in range(1000)])
    session.commit()
    with session.cursor(name="mine") as cur:
        cur.itersize = 100
        cur.execute("SELECT a FROM t ORDER BY a")
        assert cur.fetchone() == (0,)
        assert cur.fetchmany(10)[-1] == (10,)
        assert sum(a for a, in cur) == sum(range(11, 1000))
    with connection.cursor(name="other") as cur:
        cur.execute("SELECT a FROM t ORDER BY a")
        assert len(cur.fetchmany(300)) == 300 and len(cur.fetchall()) == 700


def test_executemany_and_pipeline(session):
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
    session.cursor().executemany("INSERT INTO t VALUES (%s, %s)", [(i, str(i)) for i in range(500)])
    with session.pipeline():
        cursors = [session.execute("SELECT b FROM t WHERE a = %s", (i,)) for i in range(100)]
    assert [c.fetchone() for c in cursors] == [(str(i),) for i in range(100)]
    session.commit()
    with pytest.raises(psycopg.errors.UniqueViolation):
        with session.pipeline():
            session.execute("INSERT INTO t VALUES (1000, 'new')")
            session.execute("INSERT INTO t VALUES (1, 'old')")
            session.execute("INSERT INTO t VALUES (1001, 'never')")
    session.rollback()
    assert session.execute("SELECT count(*) FROM t").fetchone() == (500,)


def test_execute_values(connection):
    with connection, connection.cursor() as cur:
        cur.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        got = psycopg2.extras.execute_values(cur, "INSERT INTO t VALUES %s RETURNING a", [(i, "x") for i in range(50)],
                                             fetch=True)
        assert len(got) == 50
        psycopg2.extras.execute_batch(cur, "UPDATE t SET b = %s WHERE a = %s", [(str(i), i) for i in range(50)])
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
        cur.execute("SELECT a, b FROM t WHERE a = 49")
        assert dict(cur.fetchone()) == {"a": 49, "b": "49"}


def test_several_statements_in_one_string(connection):
    with connection.cursor() as cur:
        cur.execute("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); SELECT * FROM t")
        assert cur.fetchall() == [(1,), (2,)]
        connection.commit()
        # Without a transaction the string is one of its own.
        connection.autocommit = True
        with pytest.raises(psycopg2.Error):
            cur.execute("INSERT INTO t VALUES (3); SELECT * FROM missing")
        cur.execute("SELECT count(*) FROM t")
        assert cur.fetchone() == (2,)


# ---- COPY ------------------------------------------------------------------------------------------------------


def test_copy_large_text(session):
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c DOUBLE PRECISION)")
    with session.cursor() as cur:
        with cur.copy("COPY t (a, b, c) FROM STDIN") as copy:
            for i in range(ROWS):
                copy.write_row((i, f"line\t{i}\\", i / 2 if i % 3 else None))
        assert cur.rowcount == ROWS
        session.commit()
        total = 0
        with cur.copy("COPY t TO STDOUT") as copy:
            for a, b, c in copy.rows():
                assert b == f"line\t{a}\\" and (c is None) == (int(a) % 3 == 0)
                total += 1
        assert total == ROWS
    assert session.execute("SELECT count(*), sum(a) FROM t").fetchone() == (ROWS, ROWS * (ROWS - 1) // 2)


def test_copy_binary(session):
    session.execute("CREATE TABLE t (a BIGINT PRIMARY KEY, b TEXT, c DOUBLE PRECISION, d BYTEA, e BOOLEAN)")
    rows = [(i, f"row {i}", i / 4, bytes([i % 256]), i % 2 == 0) for i in range(1000)] + [(1000, None, None, None, None)]
    types = ["int8", "text", "float8", "bytea", "bool"]
    with session.cursor() as cur:
        with cur.copy("COPY t FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(types)
            for r in rows:
                copy.write_row(r)
        assert cur.execute("SELECT * FROM t ORDER BY a").fetchall() == rows
        with cur.copy("COPY (SELECT * FROM t ORDER BY a) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(types)
            assert list(copy.rows()) == rows


def test_an_alias_without_as_changes_no_type(session):
    row = session.execute("SELECT true t, false f, true AS a, 1 = 1 e, NULL n").fetchone()
    assert row == (True, False, True, True, None)
    assert [type(v) for v in row[:4]] == [bool] * 4


def test_copy_csv_round_trip(session):
    session.execute("CREATE TABLE t (a INTEGER, b TEXT)")
    data = b'a,b\r\n1,"x, ""y""\nz"\r\n2,\r\n3,""\r\n'
    with session.cursor() as cur:
        with cur.copy("COPY t FROM STDIN WITH (FORMAT csv, HEADER true)") as copy:
            for i in range(0, len(data), 3):
                copy.write(data[i:i + 3])
        assert cur.execute("SELECT * FROM t ORDER BY a").fetchall() == [(1, 'x, "y"\nz'), (2, None), (3, "")]
        with cur.copy("COPY (SELECT a, b FROM t ORDER BY a) TO STDOUT WITH CSV HEADER DELIMITER ';'") as copy:
            got = b"".join(bytes(b) for b in copy)
        assert got == b'a;b\n1;"x, ""y""\nz"\n2;\n3;""\n'


def test_copy_errors(session):
    session.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)")
    session.commit()

    def fails(data, error, statement="COPY t FROM STDIN"):
        with pytest.raises(error) as e:
            with session.cursor() as cur, cur.copy(statement) as copy:
                copy.write(data)
        session.rollback()
        assert session.execute("SELECT count(*) FROM t").fetchone() == (0,)
        session.rollback()
        return e.value.diag

    # One transaction: nothing of it stays.
    assert "line 3" in fails("1\tx\n2\ty\n3\n", psycopg.errors.BadCopyFileFormat).context
    assert "line 2" in fails("1\tx\n1\ty\n", psycopg.errors.UniqueViolation).context
    assert "line 2" in fails("1\tx\nzwei\ty\n", psycopg.errors.InvalidTextRepresentation).context
    fails("1\t\\N\n", psycopg.errors.NotNullViolation)
    fails("1\tx\n", psycopg.errors.UndefinedTable, "COPY missing FROM STDIN")
    fails("1\tx\n", psycopg.errors.UndefinedColumn, "COPY t (a, missing) FROM STDIN")
    with pytest.raises(psycopg.errors.QueryCanceled):
        with session.cursor() as cur, cur.copy("COPY t FROM STDIN") as copy:
            copy.write("1\tx\n")
            raise ZeroDivisionError  # the driver sends CopyFail
    session.rollback()
    assert session.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_statement_timeout(pg):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with psycopg.connect(**pg.keywords(), autocommit=True) as c:
        for limit in ("50", "'50ms'", "'0.05 s'"):
            c.execute(f"SET statement_timeout = {limit}")
            with pytest.raises(psycopg.errors.QueryCanceled):
                c.execute(endless)
        with pytest.raises(psycopg.errors.QueryCanceled):
            c.execute(endless + " WHERE i > %s", (0,), prepare=True)
        assert c.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            c.execute("SET statement_timeout = 'soon'")
        c.execute("RESET statement_timeout")
        assert c.execute("SELECT count(*) FROM generate_series(1, 1000000)").fetchone() == (1000000,)
    with psycopg.connect(**pg.keywords(), options="-c statement_timeout=50") as c:
        with pytest.raises(psycopg.errors.QueryCanceled):
            c.execute(endless)


def test_psycopg2_copy_expert(connection, tmp_path):
    with connection, connection.cursor() as cur:
        cur.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        source = tmp_path / "in"
        source.write_text("".join(f"{i}\tvalue {i}\n" for i in range(5000)))
        with open(source, encoding="utf-8") as f:
            cur.copy_from(f, "t", columns=("a", "b"))
        with open(tmp_path / "out", "w", encoding="utf-8") as f:
            cur.copy_expert("COPY (SELECT * FROM t ORDER BY a) TO STDOUT", f)
    assert (tmp_path / "out").read_text() == source.read_text()


# ---- connections -----------------------------------------------------------------------------------------------


def test_cancel(pg):
    with psycopg.connect(**pg.keywords(), autocommit=True) as c:
        sql = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
               " SELECT count(*) FROM n")
        ended = threading.Event()

        def cancel():
            # Until it works: a request that comes before the statement runs is lost, as the protocol has it.
            while not ended.wait(0.05):
                c.cancel()

        t = threading.Thread(target=cancel)
        t.start()
        try:
            with pytest.raises(psycopg.errors.QueryCanceled):
                c.execute(sql)
        finally:
            ended.set()
            t.join()

        def usable():
            # The last request may still hit the next statement.
            return c.execute("SELECT 1").fetchone() == (1,)

        ha.wait_until(usable, 10)


def test_reconnect_and_pool(pg):
    pool = psycopg2.pool.ThreadedConnectionPool(1, 8, **pg.keywords())
    first = pool.getconn()
    with first, first.cursor() as cur:
        cur.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    pool.putconn(first)
    errors = []

    def work(n):
        try:
            for i in range(20):
                c = pool.getconn()
                with c, c.cursor() as cur:
                    cur.execute("INSERT INTO t VALUES (%s)", (n * 100 + i,))
                pool.putconn(c, close=i % 5 == 0)
        except Exception as e:  # pylint: disable=broad-except
            errors.append(e)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    pool.closeall()
    assert not errors
    assert pg.value("SELECT count(*) FROM t") == "160"


def test_thousand_connections(pg, tmp_path):
    """pgbench has connected all of its clients before the first of them begins."""
    pg.psql("CREATE TABLE t (a INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO t VALUES (1, 0)")
    script = tmp_path / "script"
    script.write_text("SELECT n FROM t WHERE a = 1;\n")
    p = pg.run("pgbench", "-n", "-c", "1000", "-j", "4", "-t", "3", "-f", str(script))
    assert "number of transactions actually processed: 3000/3000" in p.stdout, p.stdout
    assert pg.value("SELECT n FROM t") == "0"


def test_dict_rows_and_context(pg):
    with psycopg.connect(**pg.keywords(), row_factory=dict_row) as c:
        c.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
        c.execute("INSERT INTO users VALUES (1, 'ann')")
        assert c.execute("SELECT * FROM users").fetchone() == {"id": 1, "name": "ann"}
    with psycopg.connect(**pg.keywords()) as c:
        assert c.execute("SELECT count(*) FROM users").fetchone() == (1,)
