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


def test_a_new_log_ends_the_trouble_with_the_old_one(cluster):
    """A node that had stopped at message 8 follows a log that has not come as far, and never need."""
    server = cluster.nats()
    a, b = cluster.node(url=server), cluster.node(url=server)
    fill(a, 6)
    assert_equal(a, b)
    with NatsClient(server.port) as nats:
        nats.publish("ha_replication.ha=2Edb", b"garbage")
        for n in (a, b):
            wait_until(lambda n=n: n.status()["databases"][0]["state"] == "stopped", what=f"{n.name} has met the garbage")
        nats.api(f"STREAM.DELETE.{STREAM}")
    a.args = ["--adopt"]
    a.restart()
    wait_until(lambda: b.status()["databases"][0]["state"] == "following", CATCH_UP_S, "the other node follows the new log")
    assert_equal(a, b)
    b.query("INSERT INTO t (v) VALUES ('goes on')")
    assert_equal(a, b)


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


def test_adopt_while_asynchronous_clients_write(cluster):
    """The new log begins with all of the file, however many write meanwhile: another node can follow it."""
    a = cluster.node(args=ASYNC)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    a.query("INSERT INTO t (v) WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50000) SELECT hex(randomblob(20)) FROM c")
    wait_until(lambda: outbox(a) == 0, CATCH_UP_S)
    a.terminate()
    shutil.rmtree(os.path.join(a.directory, "nats"))
    a.args = [*ASYNC, "--adopt"]
    a.start(wait=False)
    over, failures = threading.Event(), []

    def write():
        while not over.is_set():
            try:
                a.query("INSERT INTO t (v) VALUES ('beside')")
            except (HttpError, OSError) as e:
                failures.append(str(e))

    wait_until(lambda: a.query("SELECT count(*) FROM t").value == 50000, CATCH_UP_S)
    threads = [threading.Thread(target=write) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        wait_until(lambda: "begins a new log (--adopt)" in a.log() and a.ready(), CATCH_UP_S, "the log is there")
    finally:
        over.set()
        for t in threads:
            t.join()
    assert not failures, failures[:3]
    wait_until(lambda: outbox(a) == 0, CATCH_UP_S, "the outbox is drained")
    b = cluster.node(url=a, args=ASYNC)
    assert_equal(a, b)
    assert counted(b) > 50000


def test_an_asynchronous_node_that_has_not_met_its_log(cluster):
    """Nobody knows yet whether what it holds begins the log or gives way to it: writes wait for that, reads do not."""
    server = cluster.nats()
    a = cluster.node(url=server, args=ASYNC)
    fill(a, 3)
    wait_until(lambda: outbox(a) == 0, CATCH_UP_S)
    server.terminate()
    b = cluster.node(url=server, args=ASYNC, wait=False)
    wait_until(lambda: b.query("SELECT 1").value == 1)
    with pytest.raises(HttpError) as refused:
        b.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    assert refused.value.status == 503
    a.query("INSERT INTO t (v) VALUES ('meanwhile')")  # it has met its log
    server.start()
    wait_until(b.ready, CATCH_UP_S)
    b.query("INSERT INTO t (v) VALUES ('now')")
    for n in (a, b):
        wait_until(lambda n=n: outbox(n) == 0, CATCH_UP_S)
    assert_equal(a, b)
    assert counted(a) == 5
