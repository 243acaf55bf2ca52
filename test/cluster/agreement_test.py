"""Nodes that have read different messages at one place of the log notice it, also where the next messages are the same."""

import signal

import pytest

from ha import assert_equal, stall, wait_until
from natsclient import NatsClient

MODES = {"lww": ["--consistency", "lww"], "async": ["--async-replication"]}


def db_status(node):
    return node.status()["databases"][0]


@pytest.mark.parametrize("mode", MODES)
def test_who_has_another_message_takes_the_log_s(cluster, mode):
    server = cluster.nats()
    a = cluster.node(url=server, args=MODES[mode])
    # Its seventh message is another one than the log's: it changes nothing there and has another id.
    b = cluster.node(url=server, args=MODES[mode], env={"HA_FAULT": "apply.wrong=fail@7"})
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(20):
        a.query("INSERT INTO t(v) VALUES (?)", [i])
    wait_until(lambda: b.query("SELECT max(id) FROM t").value == 20, what="b has the last one")
    assert b.query("SELECT count(*) FROM t").value == 19, "the fault was not there"
    wait_until(lambda: db_status(b)["restores"] == 1, 40, "b restores itself")
    b.wait_ready()
    assert_equal(a, b)
    assert db_status(b)["divergences"] == 1 and db_status(a)["divergences"] == 0
    assert "not those that the file contains" in b.log()
    assert "the messages of this node are those of the log" in a.log()
    a.query("INSERT INTO t(v) VALUES ('after')")
    wait_until(lambda: b.query("SELECT count(*) FROM t").value == 21, what="b follows")


def test_a_feed_that_brings_another_message(cluster):
    """The next message shows it: the log's leader is asked for both."""
    servers = cluster.nats_cluster()
    a = cluster.node(url=servers[0], replicas=3)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(20):
        a.query("INSERT INTO t(v) VALUES (?)", [i])
    b = cluster.node(url=servers[1], replicas=3, env={"HA_FAULT": "apply.wrong=fail@5"})
    assert_equal(a, b)
    assert "the log's leader is asked" in b.log()
    b.retrying(lambda: b.query("INSERT INTO t(v) VALUES ('of b')"))
    assert_equal(a, b)
    assert b.query("SELECT count(*) FROM t").value == 21


def test_a_node_joins_a_log_that_is_broken(cluster):
    """A message does not follow the one before it, and it is the leader that says so: the others have passed it, and give a copy."""
    server = cluster.nats()
    a = cluster.node(url=server)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(20):
        a.query("INSERT INTO t(v) VALUES (?)", [i])
    b = cluster.node(url=server, env={"HA_FAULT": "apply.wrong=fail@5"})
    assert_equal(a, b)
    assert db_status(b)["restores"] == 1 and db_status(b)["gaps"] == 1 and "another node" in b.log()
    b.retrying(lambda: b.query("INSERT INTO t(v) VALUES ('of b')"))
    assert_equal(a, b)


def test_the_log_cannot_tell_any_more(cluster):
    """It does not reach back to where they differ: both say so, and go on."""
    server = cluster.nats()
    a = cluster.node(url=server, args=MODES["lww"])
    b = cluster.node(url=server, args=MODES["lww"], env={"HA_FAULT": "apply.wrong=fail@3"}, start=False)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(5):
        a.query("INSERT INTO t(v) VALUES (?)", [i])
    stall(a)  # nothing is compared meanwhile
    b.start()
    wait_until(lambda: b.query("SELECT count(*) FROM t").value == 4, what="b has all but one")
    with NatsClient(server.port) as nats:
        nats.api("STREAM.PURGE.ha_replication-ha=2Edb", {"keep": 1})
    a.signal(signal.SIGCONT)
    a.query("INSERT INTO t(v) VALUES ('after')")
    for n in (a, b):
        wait_until(lambda n=n: "the log cannot tell any more" in n.log(), 40, f"{n.name} says so")
        assert n.query("SELECT count(*) FROM t WHERE v = 'after'").value == 1
        assert db_status(n)["divergences"] == 0
