"""A log that is gone: --adopt begins a new one with the file. A copy of another node where there is no snapshot."""

import os
import shutil

from ha import assert_equal
from natsclient import NatsClient

STREAM = "ha_replication-ha=2Edb"


def fill(node, n):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(n):
        node.query("INSERT INTO t (v) VALUES (?)", [i])


def counted(node):
    return node.query("SELECT count(*) FROM t").value


def test_adopt_after_the_store_was_wiped(cluster):
    a = cluster.node()
    fill(a, 10)
    a.terminate()
    shutil.rmtree(os.path.join(a.directory, "nats"))
    a.args = ["--adopt"]
    a.start()
    assert counted(a) == 10
    assert "begins a new log (--adopt)" in a.log()
    a.query("INSERT INTO t (v) VALUES ('after')")
    b = cluster.node(url=a)  # the new log holds everything
    assert_equal(a, b)
    assert counted(b) == 11
    a.restart()  # the flag does no harm where there is nothing to adopt
    assert a.log().count("begins a new log (--adopt)") == 1
    assert counted(a) == 11


def cut_log(server, keep):
    with NatsClient(server.port) as nats:
        nats.api(f"STREAM.PURGE.{STREAM}", {"keep": keep})


def test_a_new_node_takes_a_copy_of_a_live_one(cluster):
    """The log was cut, there is no snapshot: what another node holds is all there is."""
    server = cluster.nats()
    a, b = cluster.node(url=server), cluster.node(url=server)
    fill(a, 30)
    a.query("INSERT INTO t (v) SELECT hex(randomblob(3000)) FROM t, (SELECT 1 UNION SELECT 2 UNION SELECT 3)")
    assert_equal(a, b)
    cut_log(server, 2)
    c = cluster.node(url=server)
    assert "copied from another node" in c.log()
    assert_equal(a, b, c)
    c.query("INSERT INTO t (v) VALUES ('by the new one')")
    assert_equal(a, b, c)


def test_a_node_that_was_away_takes_a_copy(cluster):
    server = cluster.nats()
    a, b = cluster.node(url=server), cluster.node(url=server)
    fill(a, 5)
    assert_equal(a, b)
    b.kill9()
    for i in range(10):
        a.query("INSERT INTO t (v) VALUES (?)", [f"while away {i}"])
    cut_log(server, 2)
    b.start()
    assert_equal(a, b)
    assert counted(b) == 15 and "copied from another node" in b.log()
