"""Bytes that are no UTF-8 do not become text: PostgreSQL's 22021, wherever they come in."""

import psycopg
import pytest

INVALID = {"lone": b"\xff", "cut": b"caf\xc3", "overlong": b"\xc0\xaf", "surrogate": b"\xed\xa0\x80", "beyond": b"\xf4\x90\x80\x80"}


@pytest.fixture
def conn(pg):
    with psycopg.connect(**pg.keywords(), autocommit=True) as c:
        c.execute("CREATE TABLE t (id INTEGER, s TEXT, v VARCHAR(20), b BYTEA)")
        yield c


def refuses(conn, call):
    with pytest.raises(psycopg.errors.CharacterNotInRepertoire) as e:
        call()
    assert "invalid byte sequence for encoding" in str(e.value)
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)


def parameters(conn, sql, values, types=None, formats=None):
    result = conn.pgconn.exec_params(sql, values, types, formats)
    if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.lookup(result.error_field(psycopg.pq.DiagnosticField.SQLSTATE).decode())(
            result.error_message.decode())


@pytest.mark.parametrize("bad", INVALID.values(), ids=INVALID.keys())
def test_in_parameters_statements_and_copies(conn, bad):
    for column in (b"s", b"v"):
        for formats in ([0], [1]):
            refuses(conn, lambda: parameters(conn, b"INSERT INTO t (%s) VALUES ($1)" % column, [bad], [25], formats))
    refuses(conn, lambda: conn.execute(b"INSERT INTO t (s) VALUES ('" + bad + b"')"))
    # Through Parse.
    refuses(conn, lambda: parameters(conn, b"INSERT INTO t (s) VALUES ('" + bad + b"')", []))

    def copy(options, data, columns="id, s"):
        with conn.cursor() as cur, cur.copy(f"COPY t ({columns}) FROM STDIN {options}") as c:
            c.write(data)

    refuses(conn, lambda: copy("", b"1\tgood\n2\t" + bad + b"\n"))
    refuses(conn, lambda: copy("(FORMAT csv)", b"1,good\n2,\"" + bad + b"\"\n"))
    refuses(conn, lambda: copy("", b"1\tgood\n2\t" + b"".join(b"\\x%02x" % x for x in bad) + b"\n"))
    binary = b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1" + len(bad).to_bytes(4, "big") + bad + b"\xff\xff"
    refuses(conn, lambda: copy("(FORMAT binary)", binary, "s"))


def test_bytes_are_bytes(conn):
    every = bytes(range(256))
    conn.execute("INSERT INTO t (id, b) VALUES (1, %s)", (every,))
    conn.execute("INSERT INTO t (id, b) VALUES (2, %b)", (every,))
    assert conn.execute("SELECT b FROM t ORDER BY id").fetchall() == [(every,), (every,)]


def test_nul_in_text(conn):
    with pytest.raises(psycopg.Error):
        parameters(conn, b"INSERT INTO t (s) VALUES ($1)", [b"a\0b"], [25], [1])
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_error_messages_are_text(conn):
    """A message that quotes what it could not read is cut between characters."""
    for n in range(96, 104):
        with pytest.raises(psycopg.errors.InvalidTextRepresentation) as e:
            parameters(conn, b"INSERT INTO t (id) VALUES ($1)", [b"x" * n + "☃".encode() * 20], [20], [0])
        assert "x" * 90 in str(e.value)
