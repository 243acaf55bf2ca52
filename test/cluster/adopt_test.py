"""A log that is gone: --adopt begins a new one with the file. A copy of another node where there is no snapshot."""

import os
import shutil
import threading

import pytest

from ha import CATCH_UP_S, HttpError, assert_equal, wait_until
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


# ---- asynchronous nodes, whose files may be ahead of the log ----------------------------------------------------

ASYNC = ["--async-replication", "--replication-timeout", "1s"]


def outbox(node):
    return node.status()["databases"][0]["outbox"]


def test_a_copy_while_asynchronous_nodes_write(cluster):
    """Their outboxes are hardly ever empty by themselves: writes pause for the moment in which a copy begins."""
    server = cluster.nats()
    a, b = (cluster.node(url=server, args=ASYNC) for _ in range(2))
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    wait_until(lambda: b.query("SELECT count(*) FROM sqlite_schema WHERE name = 't'").value, CATCH_UP_S)
    over = threading.Event()
    written = [0, 0]

    def write(i, node):
        while not over.is_set():
            node.query("INSERT INTO t (id, v) VALUES (?, ?)", [2 * written[i] + i, i])
            written[i] += 1

    threads = [threading.Thread(target=write, args=(i, n)) for i, n in enumerate((a, b))]
    for t in threads:
        t.start()
    try:
        wait_until(lambda: min(written) > 50, CATCH_UP_S, "both write")
        with NatsClient(server.port) as nats:  # what both have
            least = min(n.status()["databases"][0]["seq"] for n in (a, b))
            nats.api(f"STREAM.PURGE.{STREAM}", {"seq": least})
        c = cluster.node(url=server, args=ASYNC)
        assert "copied from another node" in c.log()
        seqs = [a.post("/snapshot", "").json()["seq"] for _ in range(3)]
        assert seqs == sorted(set(seqs)), "each a snapshot of its own: writes went on"
        at_least = list(written)
    finally:
        over.set()
        for t in threads:
            t.join()
    assert min(at_least) > 0
    for n in (a, b):
        wait_until(lambda n=n: outbox(n) == 0, CATCH_UP_S, f"{n.name}: the outbox is empty")
    assert_equal(a, b, c)
    assert counted(c) == sum(written)


def test_no_copy_of_a_file_that_is_ahead_of_the_log(cluster):
    """It says so on the node that wants one, and comes as soon as the outbox is empty."""
    server = cluster.nats()
    a = cluster.node(url=server, args=ASYNC)
    fill(a, 20)
    wait_until(lambda: outbox(a) == 0, CATCH_UP_S)
    with NatsClient(server.port) as nats:
        config = nats.api(f"STREAM.INFO.{STREAM}")["config"]
        nats.api(f"STREAM.UPDATE.{STREAM}", {**config, "max_msg_size": 10})  # the log takes nothing
        a.query("INSERT INTO t (v) VALUES ('waits')")
        cut_log(server, 1)
        with pytest.raises(HttpError) as busy:
            a.post("/snapshot", "")
        assert busy.value.status == 503 and "outbox" in str(busy.value)
        b = cluster.node(url=server, wait=False)
        wait_until(lambda: "not in the log yet" in b.status()["databases"][0]["reason"])
        assert b.status()["databases"][0]["state"] == "stopped" and not b.ready()
        assert f'node \\"{a.name}\\"' in b.log()
        a.query("INSERT INTO t (v) VALUES ('writes go on')")
        nats.api(f"STREAM.UPDATE.{STREAM}", {**config, "max_msg_size": -1})
    b.wait_ready()
    wait_until(lambda: outbox(a) == 0, CATCH_UP_S)
    assert_equal(a, b)
    assert counted(b) == 22
