"""What is handed over to another node is answered over the PostgreSQL port as the client's own node would have answered it."""

import psycopg
import pytest

import ha
import pg as pg_module
from handover import Crowd, beside, handed_over, three, until_handed_over

pytestmark = pytest.mark.usefixtures("ha_only")

SCHEMA = ("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT UNIQUE, v)",
          "INSERT INTO t(k, v) VALUES ('taken', 0)",
          "CREATE TABLE c (id INTEGER PRIMARY KEY, n INT CHECK (n >= 0))", "INSERT INTO c VALUES (1, 0)",
          "CREATE TABLE x (i INTEGER, r REAL, s TEXT, b BLOB)", "CREATE TABLE who (k TEXT, what TEXT)")
USERS = ("ann", "bob", "cec")


@pytest.fixture
def client(cluster):
    """A connection to the third of three nodes, each with a user of its own; the other two write all the time."""
    ports = [ha.free_port() for _ in USERS]
    own = [{"args": ["--pg-port", str(p), "--pg-user", u, "--pg-pass", "secret"]} for p, u in zip(ports, USERS)]
    nodes = three(cluster, *SCHEMA, own=own)
    with Crowd(nodes[:2]) as crowd:
        target = pg_module.Target(ports[2], pg_module.default_database(nodes[2]), USERS[2], "secret", node=nodes[2])
        with psycopg.connect(**target.keywords(), autocommit=True) as c:
            c.node = nodes[2]
            c.until_handed_over = lambda call: until_handed_over(nodes[2], call, crowd)
            c.beside = lambda call: beside(call, crowd)
            yield c
        crowd.raise_errors()
    ha.assert_equal(*nodes)


def again(call):
    """Until it ends in something else than "nothing happened, try again"."""
    def look():
        try:
            return [call()]
        except psycopg.Error as e:
            if e.sqlstate in ha.RETRY_SQLSTATES:
                return None
            return [e]

    value = ha.wait_until(look, what="an answer that is final")[0]
    if isinstance(value, psycopg.Error):
        raise value
    return value


def failure(call):
    try:
        again(call)
    except psycopg.Error as e:
        return e
    raise AssertionError("it did not fail")


def test_rows_and_tags(client):
    def insert(i):
        cur = again(lambda: client.execute("INSERT INTO t(k, v) VALUES (%s, %s) RETURNING id, k, v", (f"k{i}", i)))
        assert cur.statusmessage == "INSERT 0 1" and [d.name for d in cur.description] == ["id", "k", "v"]
        row = cur.fetchone()
        assert row[1] == f"k{i}" and str(row[2]) == str(i)
        assert client.execute("SELECT id FROM t WHERE k = %s", (f"k{i}",)).fetchone()[0] == row[0]

    count = client.until_handed_over(insert)

    def update(_):
        assert again(lambda: client.execute("UPDATE t SET v = 7 WHERE k LIKE 'k%'")).rowcount == count

    client.until_handed_over(update)

    def several(i):
        cur = again(lambda: client.execute("INSERT INTO who VALUES ('a', '1'), ('b', %s) RETURNING what", (str(i),)))
        assert cur.statusmessage == "INSERT 0 2" and cur.fetchall() == [("1",), (str(i),)]

    client.until_handed_over(several)

    def delete(_):
        cur = again(lambda: client.execute("DELETE FROM who WHERE k = 'nobody' RETURNING k"))
        assert cur.statusmessage == "DELETE 0" and cur.fetchall() == []

    client.until_handed_over(delete)


def test_values_of_all_classes(client):
    rows = [(9223372036854775807, 1.5, "", b""), (-9223372036854775808, float("inf"), "ä\n☃", b"\0\xff"),
            (0, -1e308, "x" * 3000, bytes(range(256)) * 8), (None, None, None, None)]
    for row in rows:
        for binary in (False, True):
            def call(_, row=row, binary=binary):
                cur = again(lambda: client.execute("INSERT INTO x VALUES (%s, %s, %s, %s) RETURNING i, r, s, b", row, binary=binary))
                assert cur.fetchone() == row

            client.until_handed_over(call)


def test_errors(client):
    for sql, sqlstate in (("INSERT INTO t(k) VALUES ('taken')", "23505"), ("UPDATE c SET n = -1", "23514")):
        def call(_, sql=sql, sqlstate=sqlstate):
            e = failure(lambda: client.execute(sql))
            assert e.sqlstate == sqlstate, e

        client.until_handed_over(call)

    text = "INSERT INTO t(k) VALUES (nosuch)"

    def wrong(_):
        e = failure(lambda: client.execute(text))
        assert e.sqlstate == "42703" and e.diag.statement_position == str(text.index("nosuch") + 1), e

    client.beside(wrong)


def test_prepared_and_pipelined(client):
    def prepared(i):
        cur = again(lambda: client.execute("INSERT INTO who VALUES (%s, %s) RETURNING k, what", (f"p{i}", "prepared"),
                                           prepare=True))
        assert cur.fetchone() == (f"p{i}", "prepared")

    client.until_handed_over(prepared)

    def simple(i):
        # Without parameters it goes by the simple protocol: both statements are one transaction.
        again(lambda: client.execute(f"INSERT INTO who VALUES ('s', '{i}'); UPDATE c SET n = n + 1"))
        assert client.execute("SELECT n FROM c").fetchone()[0] == i + 1

    count = client.until_handed_over(simple)

    def fails(_):
        e = failure(lambda: client.execute("UPDATE c SET n = n + 1; INSERT INTO t(k) VALUES ('taken')"))
        assert e.sqlstate == "23505"
        assert client.execute("SELECT n FROM c").fetchone()[0] == count, "half of a transaction is there"

    client.until_handed_over(fails)


def test_the_origins_session(client):
    """What a statement asks about its session is answered for the client's own, wherever the statement runs."""
    database = client.execute("SELECT current_database()").fetchone()[0]
    pid = client.execute("SELECT pg_backend_pid()").fetchone()[0]

    def call(i):
        cur = again(lambda: client.execute("INSERT INTO who VALUES (current_user, %s) RETURNING k, current_database(),"
                                           " pg_backend_pid(), pg_is_in_recovery()", (str(i),)))
        assert cur.fetchone() == ("cec", database, pid, False)

    client.until_handed_over(call)

    # A setting is known to its own node only: that runs it.
    client.execute("SET application_name = 'mine'")

    def setting(i):
        cur = again(lambda: client.execute("INSERT INTO who VALUES (current_setting('application_name'), %s) RETURNING k", (str(i),)))
        assert cur.fetchone() == ("mine",)

    client.beside(setting)
    client.until_handed_over(lambda _: again(lambda: client.execute("UPDATE c SET n = n + 1")))


def test_triggers(client):
    """They run where the statement does; none may ask about the session, neither at the client's own node nor elsewhere."""
    node = client.node
    for sql in ("CREATE TABLE tu (k)", "CREATE TABLE tv (k)",
                "CREATE TRIGGER ask AFTER INSERT ON tu BEGIN INSERT INTO who VALUES (new.k, current_user()); END",
                "CREATE TRIGGER count AFTER INSERT ON tv BEGIN UPDATE c SET n = n + new.k; END"):
        node.retrying(lambda sql=sql: node.query(sql))

    def ask(i):
        e = failure(lambda: client.execute("INSERT INTO tu VALUES (%s)", (f"u{i}",)))
        assert "unsafe use of current_user()" in str(e), e

    client.beside(ask)
    assert client.execute("SELECT count(*) FROM tu").fetchone()[0] == 0

    def count(i):
        cur = again(lambda: client.execute("INSERT INTO tv VALUES (3)"))
        assert cur.statusmessage == "INSERT 0 1"
        assert client.execute("SELECT n FROM c").fetchone()[0] == 3 * (i + 1)

    client.until_handed_over(count)


def test_a_transaction_block_stays_at_home(client):
    node = client.node

    def call(i):
        def block():
            with client.transaction():
                client.execute("INSERT INTO who VALUES ('block', %s)", (str(i),))
                client.execute("UPDATE c SET n = n + 1")

        before = handed_over(node)
        again(block)
        assert handed_over(node) == before

    count = client.beside(call)
    assert client.execute("SELECT n FROM c").fetchone()[0] == count
    assert client.execute("SELECT count(*) FROM who WHERE k = 'block'").fetchone()[0] == count
