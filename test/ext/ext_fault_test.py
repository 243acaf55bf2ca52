"""What a replica makes of kills, restarts, logs that were trimmed or replaced, and of what is in its way."""

import glob
import os
import random
import shutil
import signal
import threading

import pytest

import ha
from ha import wait_until
from hosts import EXTENSION, SUBJECT, Python, Shell, SqlError, assert_replica, position
from natsclient import NatsClient

LOG = "ha_replication-ha=2Edb"
LIBRARY_THREADS = 3  # libnats keeps them for the next connection


class Writer(threading.Thread):
    """Writes at a node until it is told to stop; whatever is refused while the node is away is tried again."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.done, self.stopping = node, 0, threading.Event()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.node.batch(["INSERT INTO t(v) VALUES (hex(randomblob(20)))",
                                 "UPDATE sums SET n = n + 1, last = (SELECT max(id) FROM t)"])
                self.done += 1
            except Exception:  # pylint: disable=broad-except
                self.stopping.wait(0.05)

    def __enter__(self):
        self.node.script("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v)",
                         "CREATE TABLE IF NOT EXISTS sums (id INTEGER PRIMARY KEY, n, last)",
                         "INSERT OR IGNORE INTO sums VALUES (1, 0, 0)")
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stopping.set()
        self.join()

    def wait(self, more):
        want = self.done + more
        wait_until(lambda: self.done >= want, what=f"{more} more transactions")


def assert_prefix(host):
    """Both rows of a transaction are there, or neither, in whatever state the file is read."""
    host.query("BEGIN")
    n, rows = host.value("SELECT n FROM sums"), host.value("SELECT count(*) FROM t")
    host.query("COMMIT")
    assert int(n) == int(rows)


@pytest.mark.parametrize("host", [Shell, Python])
def test_hosts_that_are_killed(cluster, host):
    """A message that was applied twice, or left out, would not fit the next one: consistency='serializable'."""
    node = cluster.node()
    rnd = random.Random(5)
    with Writer(node) as w:
        w.wait(20)
        for _ in range(8):
            r = host(cluster)
            r.follow(node, consistency="serializable")
            w.wait(rnd.randint(1, 60))
            assert r.stats()["state"] in ("following", "behind")
            r.kill9()
        w.wait(10)
    with host(cluster) as r:
        r.follow(node, consistency="serializable")
        assert r.stats()["restores"] == 0
        assert_replica(r, node)
        assert_prefix(r)


def test_a_node_that_is_killed_and_its_server(cluster):
    """The node's nats-server ends with it: the replica is offline, can be read, and goes on by itself."""
    node = cluster.node()
    with Writer(node) as w, Python(cluster) as r:
        r.follow(node, consistency="serializable")
        for _ in range(3):
            w.wait(20)
            node.kill9()
            r.wait_state("offline")
            assert_prefix(r)
            node.start()
        w.stopping.set()
        w.join()
        r.wait_state("following")
        assert_replica(r, node)


def test_a_server_that_is_restarted(cluster):
    server = cluster.nats()
    node = cluster.node(url=server)
    with Writer(node) as w, Python(cluster) as r:
        r.follow(server, consistency="serializable")
        w.wait(20)
        server.terminate()
        r.wait_state("offline")
        server.start()
        w.wait(20)
        w.stopping.set()
        w.join()
        assert_replica(r, node)


def current(server):
    """Asked anew each time: a server without a leader says nothing, and then the connection is of no more use."""
    with NatsClient(server.port, timeout_s=2) as nats:
        return nats.replicas_current(LOG)


def test_one_of_three_servers(cluster):
    """Whichever of them is killed, the one that the replica is connected to or the log's leader among them."""
    servers = cluster.nats_cluster(3)
    url = ",".join(s.nats_url for s in servers)
    node = cluster.node(url=url, replicas=3)
    with Writer(node) as w, Python(cluster) as r:
        r.follow(node, servers=url, consistency="serializable")
        for s in servers:
            w.wait(10)
            s.kill9()
            w.wait(10)
            r.caught_up(node)
            s.start()
            wait_until(lambda s=s: current(s), what="all three have the log")
        w.stopping.set()
        w.join()
        assert_replica(r, node)
        assert r.stats()["restores"] == 0


def trim(node):
    """Everything that the log has is gone, as by age."""
    with NatsClient(node.nats_port) as nats:
        assert nats.api(f"STREAM.PURGE.{LOG}", {})["success"]


@pytest.mark.parametrize("source", ["snapshot", "node"])
def test_a_log_that_was_trimmed(cluster, source):
    """A replica that was away longer than the log remembers takes a copy; so does one that is new."""
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster) as r:
        r.follow(node).caught_up(node)
    node.script("CREATE TABLE u (b)", "INSERT INTO u VALUES (x'00'), ('two')", "DELETE FROM t")
    if source == "snapshot":
        node.post("/snapshot", "")
    trim(node)
    with Python(cluster) as r, Shell(cluster, "new.db") as new:
        r.follow(node, consistency="serializable")
        r.wait_state("following")
        assert int(r.stats()["restores"]) == 1
        new.follow(node)
        for n in range(3):
            node.query("INSERT INTO u VALUES (?)", [n])
        assert_replica(r, node)
        assert_replica(new, node)


def test_trimmed_while_a_reader_reads(cluster):
    """The copy is put in place under a connection that has the old content open."""
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster) as r, Python(cluster) as reader:
        r.follow(node).caught_up(node)
        reader.query("BEGIN")
        assert reader.value("SELECT count(*) FROM t") == 1
        r.query("DELETE FROM temp.ha")
        node.script("INSERT INTO t VALUES (2)", "CREATE TABLE u (b)")
        trim(node)
        node.query("INSERT INTO u VALUES (3)")
        r.insert()
        r.caught_up(node)
        assert reader.value("SELECT count(*) FROM t") == 1
        reader.query("COMMIT")
        assert reader.value("SELECT count(*) FROM t") == 2
        assert_replica(r, node)


def test_nobody_has_what_is_missing(cluster):
    """Neither a snapshot nor a node: the state says so, the old content stays readable, and it goes on once there is one."""
    server = cluster.nats()
    node = cluster.node(url=server)
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster) as r:
        r.follow(server).caught_up(node)
        r.query("DELETE FROM temp.ha")
        node.query("INSERT INTO t VALUES (2)")
        with NatsClient(server.port) as nats:
            assert nats.api(f"STREAM.PURGE.{LOG}", {})["success"]
        node.terminate()
        r.insert()
        r.wait_state("stopped", "neither a snapshot nor another node")
        assert r.query("SELECT a FROM t") == [[1]]
        node.start()
        assert_replica(r, node)
    node.terminate()
    # One that is new has nothing to show, and is told at once.
    with Python(cluster, "new.db") as r, pytest.raises(SqlError, match="neither a snapshot nor another node"):
        r.follow(server)


def test_a_log_that_was_replaced(cluster):
    """Another log of that name: the replica takes what it says now, and what it had is kept aside."""
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2)")
    with Python(cluster) as r:
        r.follow(node).caught_up(node)
        node.kill9()
        for path in glob.glob(os.path.join(node.directory, "ha.db*")):
            os.unlink(path)
        shutil.rmtree(os.path.join(node.directory, "nats"))
        node.start()
        r.wait_state("stopped", "created anew")
        assert r.value("SELECT count(*) FROM t") == 2
        node.script("CREATE TABLE other (b)", "INSERT INTO other VALUES (3)")
        wait_until(lambda: int(r.stats()["restores"]) == 1, what="the replica takes the new log")
        assert_replica(r, node)
        aside = r.stats()["aside"]
        assert ha.dump_file(aside)["table t"] == [(1, b"integer", 1), (2, b"integer", 2)]


def test_a_log_that_is_gone(cluster):
    """Its file may be the only copy: it stays, and says why it does not go on."""
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster) as r:
        r.follow(node).caught_up(node)
        with NatsClient(node.nats_port) as nats:
            nats.api(f"STREAM.DELETE.{LOG}", {})
        r.query("DELETE FROM temp.ha")
        node.terminate()
        with pytest.raises(SqlError, match="NATS is not connected"):
            with Python(cluster, "new.db") as new:
                new.follow(node, timeout=100)
        server = cluster.nats(port=node.nats_port)
        r.insert()
        r.wait_state("stopped", "there is no stream")
        assert r.query("SELECT a FROM t") == [[1]]
        with NatsClient(server.port) as nats:
            # Nothing was made there by somebody who only reads.
            assert LOG not in (nats.api("STREAM.NAMES", {})["streams"] or [])


def test_the_file_of_another(cluster):
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster, "own.db") as r:
        r.query("CREATE TABLE mine (a)")
        with pytest.raises(SqlError, match="content that is not of the log"):
            r.follow(node)
        # It is no replica, and so nobody is kept from writing to it.
        r.query("INSERT INTO mine VALUES (1)")
        assert r.stats() is None or r.stats()["state"] == "idle"
    with Python(cluster, "node1/ha.db") as r:
        r.follow(node)
        r.wait_state("standby", "another node")
        node.query("INSERT INTO t VALUES (2)")
        r.caught_up(node)
        assert r.value("SELECT count(*) FROM t") == 2


def test_two_hosts_of_one_file(cluster):
    """One applies, the other reads; when the first one is killed, the second one applies."""
    node = cluster.node()
    with Writer(node) as w, Python(cluster) as second:
        first = Shell(cluster)
        first.follow(node, consistency="serializable")
        second.follow(node, consistency="serializable")
        w.wait(20)
        assert first.stats()["state"] in ("following", "behind")
        assert second.stats()["state"] == "standby"
        second.caught_up(node)
        assert_prefix(second)
        first.kill9()
        w.wait(20)
        wait_until(lambda: second.stats()["state"] in ("following", "behind"), what="the second one applies")
        w.stopping.set()
        w.join()
        assert_replica(second, node)


def test_children_that_outlive_their_parent(cluster):
    """A child that was forked has inherited the file's lock, and does not keep it."""
    node = cluster.node()
    node.query("CREATE TABLE t (a)")
    first = Python(cluster)
    first.follow(node)
    child = first.ask("child")[0][0]
    try:
        with Python(cluster) as second:
            second.follow(node)
            assert second.stats()["state"] == "standby"
            first.kill9()
            second.wait_state("following")
            node.query("INSERT INTO t VALUES (1)")
            assert_replica(second, node)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_two_connections_of_one_process(cluster):
    """They share what follows, and it goes on until the last of them leaves."""
    node = cluster.node()
    node.query("CREATE TABLE t (a)")
    with Python(cluster) as r:
        r.follow(node)
        r.ask("open2", EXTENSION)
        r.ask("query2", f"CREATE VIRTUAL TABLE temp.ha USING ha(servers='{node.nats_url}')")
        r.ask("query2", f"INSERT INTO temp.ha(subject) VALUES('{SUBJECT}')")
        r.query("DELETE FROM temp.ha")
        assert r.stats()["state"] == "idle"
        node.query("INSERT INTO t VALUES (1)")
        r.caught_up(node)
        assert r.ask("query2", "SELECT state FROM ha_stats") == [["following"]]
        r.ask("close2")
        assert r.threads() <= 1 + LIBRARY_THREADS


@pytest.mark.parametrize("host", [Shell, Python])
def test_closing(cluster, host):
    """A connection that is closed, or a process that ends without closing it, leaves nothing behind, also while the
    server does not answer."""
    node = cluster.node()
    node.query("CREATE TABLE t (a)")
    with host(cluster) as r:
        r.follow(node)
        assert r.threads() > 1 + LIBRARY_THREADS
        r.query("DELETE FROM temp.ha")
        r.insert()
        r.query("DROP TABLE temp.ha")
        assert r.threads() <= 1 + LIBRARY_THREADS
    child = ha.nats_child(node)
    r = host(cluster)
    r.follow(node)
    ha.stall(node, child)
    r.close()
    os.kill(child, signal.SIGCONT)
    if host is Python:
        r = host(cluster)
        r.follow(node)
        assert r.ask("fork") == [[0]]
        r.caught_up(node)
        r.send('["exit"]')
        assert r.wait_exit() == 0
        r.process = None
    assert glob.glob(os.path.join(cluster.directory, "r.db-lock")) == []


def test_a_message_that_does_not_fit(cluster):
    """A message that cannot be applied stops the replica, with its reason; nothing is left out."""
    node = cluster.node()
    node.query("CREATE TABLE t (a INTEGER PRIMARY KEY, b)")
    with Python(cluster) as r:
        r.follow(node, consistency="serializable", writes="allow").caught_up(node)
        r.query("INSERT INTO t VALUES (1, 'local')")
        node.query("INSERT INTO t VALUES (1, 'the log''s')")
        st = r.wait_state("stopped", "INSERT")
        assert int(st["seq"]) < position(node)
        r.query("DELETE FROM t")
        assert_replica(r, node)
        assert r.wait_state("following")["reason"] == ""
        assert "INSERT" in r.value("SELECT last_error FROM ha_stats")
