"""What a node does where NATS is connected and of no use: it goes to another server, starts its own one anew, or makes
another server lead a log."""

import os
import signal
import re

import pytest
from ha import assert_equal, free_port, nats_child, stall, wait_until
from natsclient import NatsClient, NatsError
from natsproxy import SwallowingProxy

HELP_S = 60  # the node waits for about 20 s before it does anything

# The routes are there, but the messages of the metadata's group go through another system account than everybody else's:
# so this server never knows a leader, and says 10008 to every question. That is what a server of 2.10.27 did after a
# partition by itself.
ODD = 'accounts { ODD: {} }\nsystem_account: ODD\n'


def config(name, port, directory, cluster_port, routes, more=""):
    urls = ", ".join(f'"nats://127.0.0.1:{r}"' for r in routes)
    return (f'server_name: {name}\nlisten: "127.0.0.1:{port}"\njetstream {{ store_dir: "{directory}/js" }}\n'
            f'cluster {{ name: hatest, listen: "127.0.0.1:{cluster_port}", routes: [{urls}] }}\n{more}')


def metric(node, name):
    found = re.search(rf"^{name} (\d+)$", node.get("/metrics").body.decode(), re.M)
    return int(found[1])


def says(port):
    """What a server answers to the question whether JetStream is there: "" = it is."""
    try:
        with NatsClient(port, timeout_s=2) as nats:
            nats.api("INFO")
        return ""
    except (NatsError, OSError) as e:
        return str(e) or repr(e)


@pytest.fixture
def cluster_with_an_odd_one(cluster):
    """Two servers that are a cluster, and the text of the configuration of a third, that is odd or not."""
    routes = [free_port() for _ in range(3)]
    two = [cluster.nats(f"nats{i + 1}", start=False, cluster="hatest", cluster_port=routes[i], routes=routes[:i] + routes[i + 1:])
           for i in range(2)]
    for s in two:
        s.start()
    for s in two:
        wait_until(s.jetstream_ready, HELP_S, f"{s.name}: JetStream with a leader")

    def third(name, port, directory, more):
        return config(name, port, directory, routes[2], routes[:2], more)

    return two, third


@pytest.mark.limit(240)
def test_a_node_leaves_a_server_that_knows_no_leader(cluster, cluster_with_an_odd_one):
    two, third = cluster_with_an_odd_one
    odd = cluster.nats("odd", start=False)
    odd.config = lambda: third("odd", odd.port, odd.directory, ODD)
    odd.start()
    wait_until(lambda: "10008" in says(odd.port), HELP_S, "the odd one says that it is temporarily unavailable")
    a = cluster.node(url=two[0])
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    b = cluster.node(url=odd, wait=False)
    wait_until(b.ready, HELP_S, "the node follows its log through another server")
    assert 1 <= metric(b, "ha_nats_moves_total") <= 8
    assert "does not answer through this nats-server but does through another" in b.log()
    b.query("INSERT INTO t VALUES (1)")
    assert_equal(a, b)
    assert metric(a, "ha_nats_moves_total") == 0


@pytest.mark.limit(280)
def test_a_node_starts_its_own_server_anew_where_others_work(cluster, cluster_with_an_odd_one):
    two, third = cluster_with_an_odd_one
    a = cluster.node(url=two[0])
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    b = cluster.node(start=False, nats_port=free_port())
    path = os.path.join(b.directory, "nats.conf")

    def write_config(more):
        with open(path, "w", encoding="utf-8") as f:
            f.write(third(b.name, b.nats_port, b.directory, more))

    write_config(ODD)
    b.args = ["--nats-config", path]
    b.start(wait=False)

    def knows_others():
        with NatsClient(b.nats_port) as nats:
            return len(nats.info.get("connect_urls", [])) == 3

    wait_until(knows_others, what="its server has told it of the others")
    pid = nats_child(b)

    # Without the others nobody knows whether it is this server that is at fault: nothing is done.
    for s in two:
        s.signal(signal.SIGSTOP)
    wait_until(lambda: "does not answer through this nats-server, nor through others" in b.log(), HELP_S, "others were asked")
    assert nats_child(b) == pid
    assert metric(b, "ha_nats_moves_total") == 0

    # With them it is clear. What is odd about it goes away with the restart, as it did when this was seen.
    write_config("")
    for s in two:
        s.signal(signal.SIGCONT)
    wait_until(b.ready, HELP_S, "the node follows its log")
    wait_until(lambda: nats_child(b) not in (None, pid), 2 * HELP_S, "the server was started anew")
    wait_until(lambda: says(b.nats_port) == "", HELP_S, "its server knows a leader")
    assert b.log().count("is started anew") == 1
    b.query("INSERT INTO t VALUES (1)")
    assert_equal(a, b)


@pytest.mark.limit(200)
def test_a_node_starts_its_own_server_anew_where_it_hangs(cluster, cluster_with_an_odd_one):
    """Its node is served by another one of the cluster meanwhile, and would never come back to it."""
    _, third = cluster_with_an_odd_one
    b = cluster.node(start=False, nats_port=free_port())
    path = os.path.join(b.directory, "nats.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(third(b.name, b.nats_port, b.directory, ""))
    b.args = ["--nats-config", path, "--replicas", "3", "--replication-timeout", "2s"]
    b.start()
    b.query("CREATE TABLE t (v)")
    pid = nats_child(b)
    stall(b, pid)
    # What is sent to it fills the buffers, which ends the connection sooner than a ping would.
    wait_until(lambda: b.query("INSERT INTO t VALUES (randomblob(800000))"), HELP_S, "another server takes a write")
    wait_until(lambda: nats_child(b) not in (None, pid), 2 * HELP_S, "the server was started anew")
    wait_until(lambda: says(b.nats_port) == "", HELP_S, "it is a part of its cluster again")
    assert b.log().count("does nothing with them, and is started anew") == 1


@pytest.mark.limit(240)
def test_a_leader_that_answers_no_publish_steps_down(cluster):
    servers = cluster.nats_cluster(3)
    with SwallowingProxy(servers[0].port, rb"ha_replication[^_]*\.ha=2Edb$", b"$JS.API.STREAM.LEADER.STEPDOWN.") as proxy:
        node = cluster.node(url=proxy, replicas=3)
        node.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        stream = node.status()["databases"][0]["stream"]
        with NatsClient(servers[0].port) as nats:
            wait_until(lambda: nats.replicas_current(stream), what="all replicas are current")
            before = nats.stream(stream)["cluster"]["leader"]
            proxy.swallowing = True
            # Longer than --replication-timeout: the first try ends with an unknown outcome.
            wait_until(lambda: node.query("INSERT OR IGNORE INTO t VALUES (1)"), HELP_S, "a write goes through")
            assert proxy.swallowed > 5
            assert proxy.seen == [f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}"]
            assert nats.stream(stream)["cluster"]["leader"] not in (before, None)
        assert metric(node, "ha_log_stepdowns_total") == 1
        assert node.log().count("it was asked to step down") == 1
        assert node.query("SELECT count(*) FROM t").value == 1
