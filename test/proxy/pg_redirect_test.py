"""Writes and transactions of clients go to the PostgreSQL that is mirrored, whatever protocol they speak; reads stay."""

import subprocess
import threading

import ha
import mysql_target
import psycopg2
import pytest
from ha import blob, wait_until
from pg_source import Source, server, state, wait_same


@pytest.fixture
def node(cluster, source):
    source.sql("CREATE TABLE t (id serial PRIMARY KEY, v text UNIQUE, n int CHECK (n > 0), b bytea, ok bool, j jsonb, at timestamptz DEFAULT now())",
               "INSERT INTO t(v, n) VALUES ('first', 1)")
    return source.node(cluster, "--proxy-read-your-writes", "--mysql-port", str(ha.free_port()), "--mysql-pass", "p")


EVERY = "SELECT id, v, n, b, ok, j FROM t ORDER BY id"


def test_http(source, node):
    assert node.query("INSERT INTO t(v, n, b, ok, j) VALUES (?, ?, ?, ?, ?)", ["a", 2, blob(b"\x00\xff"), True, '{"x": 1}']).rows_affected == 1
    node.query("INSERT INTO t(v, n) VALUES (:v, @n)", {"v": "it's ?", "n": 3})
    node.query("INSERT INTO t(v, n) VALUES ($1, $2)", {"$1": "dollars", "$2": 4})
    node.query("INSERT INTO t(v, n) VALUES (?2, ?1)", [5, "numbers"])
    r = node.query("UPDATE t SET n = n + ? WHERE v = ? RETURNING id, n, b, ok, j, at", [10, "a"])
    assert r.rows[0][1:5] == [12, {"type": "blob", "base64": "AP8="}, 1, '{"x": 1}'] and r.rows[0][5].endswith("+00:00")
    node.query("UPDATE t SET j = '{\"y\": 2}'::jsonb || $1::jsonb, v = 'a:b :c' WHERE v = 'a'", {"1": '{"z": null}'})
    assert node.query("SELECT v, j FROM t WHERE n = 12").rows == [["a:b :c", '{"y": 2, "z": null}']]
    assert node.query("DELETE FROM t WHERE n > 3").rows_affected == 3
    wait_same(source, node, EVERY)
    # What only SQLite knows stays an error of PostgreSQL, with its SQLSTATE.
    for sql, sqlstate in (("INSERT INTO t(v) VALUES ('first')", "23505"), ("INSERT INTO t(v, n) VALUES ('x', 0)", "23514"),
                          ("INSERT INTO t(v, n) VALUES ('x', 'y')", "22P02"), ("INSERT INTO nowhere VALUES (1)", "42P01"),
                          ("INSERT OR REPLACE INTO t(id) VALUES (1)", "42601"), ("UPDATE t SET n = 1 / (n - n)", "22012")):
        with pytest.raises(ha.HttpError) as e:
            node.query(sql)
        assert e.value.sqlstate == sqlstate, (sql, e.value)
    with pytest.raises(ha.HttpError) as e:
        node.query("INSERT INTO t(v) VALUES (?)", [])
    assert e.value.problem["code"] == "PARAM"
    wait_same(source, node, EVERY)


def test_atomic_requests(source, node):
    results = node.batch([("INSERT INTO t(v, n) VALUES (?, 7)", ["one"]), "UPDATE t SET n = n * 2", "SELECT count(*) FROM t"])
    assert [r.rows_affected for r in results[:2]] == [1, 2] and results[2].value == 2
    with pytest.raises(ha.HttpError) as e:
        node.batch(["UPDATE t SET n = 100", ("INSERT INTO t(v) VALUES (?)", ["first"])])
    assert e.value.sqlstate == "23505"
    assert source.sql("SELECT count(*) FROM t WHERE n = 100") == "0"
    wait_same(source, node, EVERY)


def test_schema_statements(source, node):
    node.query("CREATE TABLE made (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), v int[])")
    node.query("INSERT INTO made(v) VALUES ('{1,2}')")
    wait_same(source, node, "SELECT * FROM made")
    node.query("ALTER TABLE made ADD COLUMN w text DEFAULT 'old'")
    node.query("INSERT INTO made(v, w) VALUES ('{3}', 'new')")
    wait_same(source, node, "SELECT * FROM made ORDER BY w")


def test_psql(source, node):
    """In PostgreSQL's own words, which SQLite would not take."""
    t = node.pg
    assert t.value("INSERT INTO t(v, n, at) VALUES (E'tab\\t', 3, now() - interval '1 day') RETURNING n") == "3\nINSERT 0 1"
    assert t.psql("UPDATE t AS x SET n = y.n + 1 FROM (SELECT 5 AS n) y WHERE x.v LIKE 'tab%' RETURNING x.n", flags=("-Atq",)).stdout == "6\n"
    assert t.psql("INSERT INTO t(v, n) SELECT 'g' || g, g FROM generate_series(1, 5) g ON CONFLICT (v) DO NOTHING").stdout.strip() == "INSERT 0 5"
    p = t.psql("INSERT INTO t(v) VALUES ('first')", check=False)
    assert "duplicate key value violates unique constraint" in p.stderr
    p = t.psql("\\set VERBOSITY verbose", "INSERT INTO t(v, n) VALUES ('z', 0)", check=False)
    assert "23514" in p.stderr and "t_n_check" in p.stderr
    wait_same(source, node, EVERY)
    t.psql("DELETE FROM t WHERE v LIKE 'g%'", "TRUNCATE t")
    assert t.value("SELECT count(*) FROM t") == "0"


def test_transactions(source, node):
    """From BEGIN on they are the source's: what they read, and what becomes of them."""
    with psycopg2.connect(**node.pg.keywords()) as c:
        k = c.cursor()
        k.execute("INSERT INTO t(v, n, b) VALUES (%s, %s, %s) RETURNING id", ("tx", 5, psycopg2.Binary(b"\x01\x00")))
        made = k.fetchone()[0]
        k.execute("SELECT v, n, b FROM t WHERE id = %s", (made,))
        v, n, b = k.fetchone()
        assert (v, n, bytes(b)) == ("tx", 5, b"\x01\x00")
        assert node.query("SELECT count(*) FROM t WHERE v = 'tx'").value == 0  # nobody else sees it
        k.execute("SAVEPOINT a")
        k.execute("UPDATE t SET n = 6 WHERE id = %s", (made,))
        with pytest.raises(psycopg2.errors.UniqueViolation):
            k.execute("INSERT INTO t(v) VALUES ('first')")
        k.execute("ROLLBACK TO SAVEPOINT a")
        k.execute("SELECT n FROM t WHERE id = %s", (made,))
        assert k.fetchone() == (5,)
        c.commit()
        assert node.query("SELECT n FROM t WHERE v = 'tx'").value == 5
        k.execute("DELETE FROM t")
        c.rollback()
        k.execute("SELECT count(*) FROM t")
        assert k.fetchone() == (2,)
        c.rollback()
    wait_same(source, node, EVERY)


def test_conflicts_are_the_sources(source, node):
    """Two clients of the node that want the same row, and a deadlock."""
    source.sql("INSERT INTO t(v, n) VALUES ('second', 1)")
    with psycopg2.connect(**node.pg.keywords()) as a, psycopg2.connect(**node.pg.keywords()) as b:
        ka, kb = a.cursor(), b.cursor()
        ka.execute("UPDATE t SET n = n + 1 WHERE v = 'first'")
        kb.execute("UPDATE t SET n = n + 1 WHERE v = 'second'")
        failed = []

        def cross(c, k, v):
            try:
                k.execute("UPDATE t SET n = n + 1 WHERE v = %s", (v,))
                c.commit()
            except psycopg2.OperationalError as e:
                failed.append(e.pgcode)
                c.rollback()

        threads = [threading.Thread(target=cross, args=x) for x in ((a, ka, "second"), (b, kb, "first"))]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert failed == ["40P01"]
    wait_same(source, node, EVERY)


def test_mysql_and_shell(source, node):
    my = mysql_target.Target(int(node.args[node.args.index("--mysql-port") + 1]), "ha.db", node, "ha", "p")
    my.mysql("-e", "INSERT INTO t(v, n) VALUES ('my', 3)")
    assert my.mysql("-N", "-e", "SELECT n FROM t WHERE v = 'my'").strip() == "3"
    my.mysql("-e", "BEGIN; UPDATE t SET n = 4 WHERE v = 'my'; COMMIT")
    assert source.sql("SELECT n FROM t WHERE v = 'my'") == "4"
    p = subprocess.run([node.binary, "-r", node.url, "-c", "INSERT INTO t(v, n) VALUES ('shell', 9); SELECT n FROM t WHERE v = 'shell'"],
                       capture_output=True, text=True, timeout=60 * ha.SLOW, check=False)
    assert p.returncode == 0 and "9" in p.stdout, p
    wait_same(source, node, EVERY)


def test_canceled_and_out_of_time(cluster, source, node):
    """A statement that waits for a lock ends when its client does not want it any more, and has done nothing."""
    node.query("SELECT 1")
    with psycopg2.connect(**source.target.keywords()) as c:
        c.cursor().execute("UPDATE t SET n = 50 WHERE v = 'first'")
        p = node.pg.psql("SET statement_timeout = '300ms'", "UPDATE t SET n = 2 WHERE v = 'first'", check=False)
        assert p.returncode != 0 and "timeout" in (p.stderr + p.stdout).lower() or "time" in p.stderr, p
        with psycopg2.connect(**node.pg.keywords()) as d:
            d.autocommit = True
            threading.Timer(0.5, d.cancel).start()
            with pytest.raises(psycopg2.errors.QueryCanceled):
                d.cursor().execute("UPDATE t SET n = 3 WHERE v = 'first'")
        wait_until(lambda: source.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0", what="nobody waits for it any more")
        c.rollback()
    assert source.sql("SELECT n FROM t WHERE v = 'first'") == "1"
    wait_same(source, node, EVERY)


def test_read_your_writes_on_every_node(cluster, source):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)")
    nats = cluster.nats()
    nodes = [source.node(cluster, "--proxy-read-your-writes", url=nats) for _ in range(2)]
    failures = []

    def client(node, base):
        try:
            for i in range(base, base + 40):
                node.query("INSERT INTO t VALUES (?, ?)", [i, "v"])
                if node.query("SELECT count(*) FROM t WHERE id = ?", [i]).value != 1:
                    failures.append((node.name, i))
        except Exception as e:  # pylint: disable=broad-except
            failures.append(e)

    # A connection of its own for each.
    threads = [threading.Thread(target=client, args=(n, 1000 * (k + 1))) for k, n in enumerate(nodes)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not failures
    wait_same(source, nodes, "SELECT * FROM t ORDER BY id")


def test_source_away(cluster):
    p = server(cluster)
    s = Source(p)
    s.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    a = s.node(cluster)
    a.query("INSERT INTO t VALUES (2)")
    wait_until(lambda: a.query("SELECT count(*) FROM t").value == 2)
    with psycopg2.connect(**a.pg.keywords()) as c:
        k = c.cursor()
        k.execute("INSERT INTO t VALUES (3)")
        p.terminate()
        with pytest.raises(psycopg2.Error):
            k.execute("INSERT INTO t VALUES (4)")
        c.rollback()
    assert a.query("SELECT count(*) FROM t").value == 2  # reads go on
    with pytest.raises(ha.HttpError) as e:
        a.query("INSERT INTO t VALUES (5)")
    assert e.value.status == 503 and "source" in e.value.problem["detail"]
    with pytest.raises(ha.HttpError) as e:
        a.batch(["INSERT INTO t VALUES (6)", "INSERT INTO t VALUES (7)"])
    assert e.value.status == 503
    p.start()
    a.query("INSERT INTO t VALUES (8)")
    wait_same(s, a, "SELECT * FROM t ORDER BY id")
    assert s.sql("SELECT string_agg(id::text, ',' ORDER BY id) FROM t") == "1,2,8"


def test_unknown_outcome(cluster, source, node):
    """The connection is lost while a statement runs: it says that nobody knows."""
    with psycopg2.connect(**source.target.keywords()) as c:
        c.cursor().execute("UPDATE t SET n = 50 WHERE v = 'first'")
        got = []

        def write():
            try:
                node.query("UPDATE t SET n = 60 WHERE v = 'first'")
                got.append("done")
            except ha.HttpError as e:
                got.append(e.problem["code"])

        t = threading.Thread(target=write)
        t.start()
        wait_until(lambda: source.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0", what="it waits for the row")
        source.sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted")
        t.join(60)
        c.rollback()
    # The server has said that it ended the session: that is an answer.
    assert got in (["SHUTDOWN"], ["UNKNOWN_OUTCOME"]), got
    assert source.sql("SELECT n FROM t WHERE v = 'first'") == "1"
    assert node.query("UPDATE t SET n = 70 WHERE v = 'first'").rows_affected == 1
    wait_same(source, node, EVERY)


def test_disabled(cluster, source):
    source.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    a = source.node(cluster, "--proxy-disable-redirect")
    a.query("INSERT INTO t VALUES (100)")
    assert source.sql("SELECT count(*) FROM t") == "1"
    assert a.query("SELECT count(*) FROM t").value == 2
    source.sql("INSERT INTO t VALUES (2)")
    wait_until(lambda: a.query("SELECT count(*) FROM t").value == 3)
    assert state(a)["state"] == "following"
