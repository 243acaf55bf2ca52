"""Several nodes behind the PostgreSQL port: one's writes are the other's reads, and conflicts are told for retrying."""

import threading

import psycopg
import pytest

import ha
import pg as pg_module

pytestmark = pytest.mark.usefixtures("ha_only")


@pytest.fixture
def nodes(cluster):
    first = pg_module.start_node(cluster)
    return [first, pg_module.start_node(cluster, url=first.node)]


def test_written_here_read_there(nodes):
    a, b = nodes
    with psycopg.connect(**a.keywords()) as c:
        c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w BYTEA, x DOUBLE PRECISION)")
        c.execute("INSERT INTO t VALUES (1, %s, %s, %s)", ("☃", b"\0\1\2", 0.1))
        with c.cursor() as cur, cur.copy("COPY t (id, v) FROM STDIN") as copy:
            for i in range(2, 1002):
                copy.write_row((i, f"row {i}"))
    ha.wait_until(lambda: ha.synced(b.node))
    assert b.node.query("SELECT v, x FROM t WHERE id = 1").rows == [["☃", 0.1]]
    assert b.node.query("SELECT count(*) FROM t").value == 1001
    b.node.query("UPDATE t SET v = 'over HTTP' WHERE id = 2")
    ha.wait_until(lambda: ha.synced(a.node))
    assert a.value("SELECT v FROM t WHERE id = 2") == "over HTTP"
    ha.assert_equal(a.node, b.node)


def test_autocommit_from_both_nodes(nodes):
    """Statements outside of transactions are run again by the node itself: their clients see no conflict."""
    nodes[0].psql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO t VALUES (1, 0)")
    ha.wait_until(lambda: ha.synced(nodes[1].node))
    errors = []

    def work(target):
        try:
            with psycopg.connect(**target.keywords(), autocommit=True) as c:
                for _ in range(100):
                    c.execute("UPDATE t SET n = n + 1 WHERE id = 1")
        except Exception as e:  # pylint: disable=broad-except
            errors.append(e)

    run_all(work, nodes)
    assert not errors
    ha.assert_equal(*(t.node for t in nodes))
    assert nodes[0].value("SELECT n FROM t") == "200"


def test_retry_loop(nodes):
    """Read, think, write in a transaction, again on 40001: as PostgreSQL's documentation tells applications."""
    nodes[0].psql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", "INSERT INTO t VALUES (1, 0)")
    ha.wait_until(lambda: ha.synced(nodes[1].node))
    errors, conflicts = [], []

    def work(target):
        try:
            with psycopg.connect(**target.keywords()) as c:
                done = 0
                while done < 40:
                    try:
                        with c.transaction():
                            n, = c.execute("SELECT n FROM t WHERE id = 1").fetchone()
                            c.execute("UPDATE t SET n = %s WHERE id = 1", (n + 1,))
                        done += 1
                    except psycopg.errors.SerializationFailure:
                        conflicts.append(target.port)
        except Exception as e:  # pylint: disable=broad-except
            errors.append(e)

    run_all(work, nodes)
    assert not errors
    ha.assert_equal(*(t.node for t in nodes))
    assert nodes[1].value("SELECT n FROM t") == "80"
    assert conflicts, "two nodes that increment one counter never met: the test shows nothing"


def test_first_transaction_of_a_new_database(cluster):
    """Nobody else knows the database yet: that its log is being created meanwhile is no conflict."""
    target = pg_module.start_node(cluster)
    for i in range(40):
        target.psql(f"CREATE DATABASE new{i}")
        with psycopg.connect(**target.but(database=f"new{i}").keywords()) as c:
            # Begins with a read, and goes on writing for longer than it takes to settle the log.
            assert c.execute("SELECT count(*) FROM sqlite_schema WHERE name = 't'").fetchone() == (0,)
            c.execute("CREATE TABLE t (a INTEGER)")
            for a in range(30):
                c.execute("INSERT INTO t VALUES (%s)", (a,))
        with psycopg.connect(**target.but(database=f"new{i}").keywords()) as c:
            assert c.execute("SELECT count(*) FROM t").fetchone() == (30,)


def run_all(work, nodes):
    threads = [threading.Thread(target=work, args=(t,)) for t in nodes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def test_reconnects_after_a_restart(nodes):
    a, b = nodes
    a.psql("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    c = psycopg.connect(**b.keywords(), autocommit=True)
    ha.wait_until(lambda: ha.synced(b.node))
    assert c.execute("SELECT count(*) FROM t").fetchone() == (1,)
    assert b.node.terminate() == 0
    with pytest.raises(psycopg.OperationalError) as e:
        c.execute("SELECT 1")
    assert e.value.sqlstate in ("57P01", None)
    # A driver with both addresses goes on with the one that is there.
    k = {**a.keywords(), "host": "127.0.0.1,127.0.0.1", "port": f"{b.port},{a.port}"}
    with psycopg.connect(**k, autocommit=True) as other:
        other.execute("INSERT INTO t VALUES (2)")
    b.node.start()
    ha.wait_until(lambda: b.value("SELECT count(*) FROM t") == "2")
