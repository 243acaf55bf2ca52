"""Several nodes behind the MySQL port: one's writes are the other's reads, conflicts are told for retrying, and a client
that has lost its node finds what was acknowledged."""

import threading

import pymysql
import pytest

import ha
import mysql_target as target
from mysql_target import rows, value


@pytest.fixture
def nodes(cluster):
    first = target.start_node(cluster)
    return [first, target.start_node(cluster, url=first.node)]


def run_all(work, targets):
    errors = []

    def guarded(t):
        try:
            work(t)
        except Exception as e:  # pylint: disable=broad-except
            errors.append(e)

    threads = [threading.Thread(target=guarded, args=(t,)) for t in targets]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors


def test_written_here_read_there(nodes):
    a, b = nodes
    with a.connect() as c:
        rows(c, "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT, v VARCHAR(20), w BLOB, x DOUBLE, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP "
                "ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (id), KEY kv (v)) ENGINE=InnoDB")
        rows(c, "INSERT INTO t (v, w, x) VALUES (%s, %s, %s)", ("☃", b"\0\1\2", 0.1))
        rows(c, "INSERT INTO t (v) SELECT CONCAT(v, UUID()) FROM t")
        rows(c, "INSERT INTO t (id, v) VALUES (1, 'x') ON DUPLICATE KEY UPDATE v = CONCAT(VALUES(v), '!')")
    ha.wait_until(lambda: ha.synced(b.node))
    with b.connect() as c:
        assert rows(c, "SELECT v, w, x FROM t WHERE id = 1") == [("x!", b"\0\1\2", 0.1)]
        assert [r[2] for r in rows(c, "SHOW INDEX FROM t")] == ["PRIMARY", "kv"]
        rows(c, "UPDATE t SET v = 'there' WHERE id = 2")
        rows(c, "ALTER TABLE t ADD COLUMN more INT NOT NULL, DROP KEY kv")
    ha.wait_until(lambda: ha.synced(a.node))
    with a.connect() as c:
        assert rows(c, "SELECT v, more FROM t WHERE id = 2") == [("there", 0)]
    ha.assert_equal(a.node, b.node)


def test_autocommit_from_both_nodes(nodes):
    """Statements outside of transactions are run again by the nodes themselves: their clients see no conflict."""
    with nodes[0].connect() as c:
        rows(c, "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
        rows(c, "INSERT INTO t VALUES (1, 0)")
    ha.wait_until(lambda: ha.synced(nodes[1].node))

    def work(t):
        with t.connect() as c:
            for i in range(100):
                rows(c, "SET @step = 1")
                rows(c, "UPDATE t SET n = n + @step, id = IF(%s >= 0, id, 0) WHERE id = 1", (i,))

    run_all(work, nodes)
    ha.assert_equal(*(t.node for t in nodes))
    with nodes[0].connect() as c:
        assert value(c, "SELECT n FROM t") == 200


def test_retry_loop(nodes):
    """Read, think, write in a transaction, again on 1213."""
    with nodes[0].connect() as c:
        rows(c, "CREATE TABLE t (id INT PRIMARY KEY, n INT)")
        rows(c, "INSERT INTO t VALUES (1, 0)")
    ha.wait_until(lambda: ha.synced(nodes[1].node))

    def work(t):
        with t.connect(autocommit=False) as c:
            done = 0
            while done < 20:
                try:
                    n = value(c, "SELECT n FROM t WHERE id = 1")
                    rows(c, "UPDATE t SET n = %s WHERE id = 1", (n + 1,))
                    c.commit()
                    done += 1
                except pymysql.OperationalError as e:
                    assert e.args[0] in (1213, 1205), e
                    c.rollback()

    run_all(work, nodes)
    ha.assert_equal(*(t.node for t in nodes))
    with nodes[1].connect() as c:
        assert value(c, "SELECT n FROM t") == 40


def test_killed_node(cluster):
    """A node is killed under a client that writes; after its restart everything that was acknowledged is there."""
    file = f"{cluster.directory}/my.db"
    t = target.start_node(cluster, files=[file])
    t.database = "my"
    acknowledged = []
    with t.connect() as c:
        rows(c, "CREATE TABLE t (id INT PRIMARY KEY)")

    def write():
        try:
            with t.connect() as c:
                for i in range(1000000):
                    rows(c, "INSERT INTO t VALUES (%s)", (i,))
                    acknowledged.append(i)
        except pymysql.MySQLError as e:
            assert e.args[0] in (2006, 2013), e

    writer = threading.Thread(target=write)
    writer.start()
    ha.wait_until(lambda: len(acknowledged) > 50, what="writes")
    t.node.kill9()
    writer.join(60 * ha.SLOW)
    assert not writer.is_alive()
    t.node.restart()
    with t.connect() as c:
        there = {r[0] for r in rows(c, "SELECT id FROM t")}
        assert there >= set(acknowledged) and len(there) <= len(acknowledged) + 1
        rows(c, "INSERT INTO t VALUES (-1)")
