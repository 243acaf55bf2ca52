"""kill -9 of nodes, of nats-servers, of both, at random moments and at every named point of the write path.

One long-lived cluster for each test is killed again and again while clients write through all three nodes; ledger.py
says what must hold afterwards. CHAOS_SEED=n repeats the choices of a run.
"""

import os
import random

import pytest

from ha import CATCH_UP_S, SLOW, assert_equal, nats_child, server_version, wait_until
from ledger import Ledger
from natsclient import NatsClient

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))

POINTS = ("group.begin", "group.ran", "commit.publish", "commit.part", "commit.acked", "commit.done", "apply.begin",
          "apply.done")

POINT_S = 60  # until a node passes the point at which it dies


def rounds(n):
    """Instrumented builds do less of the same."""
    return max(3, int(n / SLOW))


def kill_nats(node):
    pid = wait_until(lambda: nats_child(node), what=f"{node.name} has a nats-server")
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass


def embedded(cluster, mode="serializable"):
    """node1 with its own NATS, two that join it."""
    args = ["--replication-timeout", "10s"]
    if mode == "async":
        args.append("--async-replication")
    return cluster.nodes(3, consistency=None if mode == "async" else mode, args=args)


def external(cluster, mode="serializable"):
    """Three servers, and a node at each; every stream on all of them."""
    servers = cluster.nats_cluster(3)
    nodes = [cluster.node(url=s, replicas=3, consistency=mode, args=["--replication-timeout", "20s"], wait=False)
             for s in servers]
    for n in nodes:
        n.wait_ready()
    return servers, nodes


def one_round(ledger, rnd, nodes, kill, bring_back, full=False):
    since = ledger.next_id
    ledger.wait_acknowledged(rnd.randint(1, 40))
    kill()
    bring_back()
    for n in nodes:
        n.wait_ready(CATCH_UP_S)
    ledger.wait_progress()
    ledger.settle(since=since, full=full)


@pytest.mark.parametrize("mode", ("serializable", "lww", "async"))
def test_random_moments(cluster, mode):
    """Nodes, the embedded nats-server, or both, one or several at a time."""
    seed = f"{SEED} random {mode}"
    print(f"CHAOS_SEED={SEED}")
    rnd = random.Random(seed)
    nodes = embedded(cluster, mode)
    ledger = Ledger(nodes, seed, mode, codes=("IO",) if mode == "async" else ())

    def kill():
        victims[:] = rnd.sample(nodes, rnd.choice((0, 1, 1, 1, 2, 3)))
        with_nats = not victims or rnd.random() < 0.5
        first = rnd.random() < 0.5
        print(f"kill {[v.name for v in victims]}{' and the nats-server' if with_nats else ''}")
        if with_nats and first:
            kill_nats(nodes[0])
        for v in victims:
            if v is nodes[0] and with_nats and not first:
                kill_nats(v)
            v.kill9()
        if with_nats and not first and nodes[0] not in victims:
            kill_nats(nodes[0])

    def bring_back():
        for v in victims:
            v.start(wait=False)

    victims = []
    count = rounds({"serializable": 30, "lww": 15, "async": 15}[mode])
    for i in range(count):
        one_round(ledger, rnd, nodes, kill, bring_back, full=i % 10 == 9)
    ledger.finish()


def kill_at(rnd, node, point):
    """Restarts the node so that it dies at some pass of the point, and waits until it did."""
    at = rnd.randint(1, 4 if point == "commit.part" else 40)
    print(f"{node.name} dies at {point}@{at}")
    node.kill9()
    node.env["HA_FAULT"] = f"{point}=kill@{at}"
    node.may_die = True
    node.start(wait=False)
    status = node.wait_exit(POINT_S)
    assert status == -9, f"{node.name} ended with status {status}, not at {point}"
    del node.env["HA_FAULT"]
    node.may_die = False


def at_points(cluster, nodes, seed, mode, points, times):
    rnd = random.Random(seed)
    ledger = Ledger(nodes, seed, mode, big=0.02 if "commit.part" in points else 0)
    todo = [(p, n) for p in points for n in rnd.sample(nodes, times)]
    rnd.shuffle(todo)
    for i, (point, victim) in enumerate(todo):
        one_round(ledger, rnd, nodes, lambda p=point, v=victim: kill_at(rnd, v, p), victim.start, full=i % 10 == 9)
    ledger.finish()


@pytest.mark.parametrize("half", (0, 1))
def test_points_embedded(cluster, half):
    print(f"CHAOS_SEED={SEED}")
    nodes = embedded(cluster)
    at_points(cluster, nodes, f"{SEED} embedded {half}", "serializable", POINTS[half::2], 3 if SLOW == 1 else 1)


def test_points_external(cluster):
    print(f"CHAOS_SEED={SEED}")
    _, nodes = external(cluster)
    at_points(cluster, nodes, f"{SEED} external", "serializable", POINTS, 2 if SLOW == 1 else 1)


def test_points_async(cluster):
    """The commit that asks no log, and a process that dies before or behind it."""
    print(f"CHAOS_SEED={SEED}")
    nodes = embedded(cluster, "async")
    points = ("group.begin", "group.ran", "commit.local", "apply.begin", "apply.done")
    at_points(cluster, nodes, f"{SEED} points async", "async", points, 2 if SLOW == 1 else 1)


@pytest.mark.xfail(server_version() < (2, 10, 23), strict=False,
                   reason="nats-server before 2.10.23 loses or makes anew what three servers acknowledged when kills overlap; "
                          "the nodes stop then and say so")
def test_servers_of_a_cluster(cluster):
    """Servers of an R3 log, its leader among them, alone or with a node, one at a time.

    Never two at once: nats-server 2.9 may then forget what it has acknowledged (docs/operations.md).
    """
    print(f"CHAOS_SEED={SEED}")
    seed = f"{SEED} servers"
    rnd = random.Random(seed)
    servers, nodes = external(cluster)
    ledger = Ledger(nodes, seed)
    stream = nodes[0].status()["databases"][0]["stream"]

    def current():
        with NatsClient(rnd.choice(servers).port, 5) as nats:
            return nats.replicas_current(stream)

    def leader():
        with NatsClient(servers[0].port, 5) as nats:
            name = nats.stream(stream)["cluster"]["leader"]
            return next(s for s in servers if s.name == name)

    def kill():
        wait_until(current, CATCH_UP_S, "the log has all its replicas")
        server = wait_until(leader, what="a leader") if rnd.random() < 0.4 else rnd.choice(servers)
        victims[:] = [server] + ([rnd.choice(nodes)] if rnd.random() < 0.5 else [])
        rnd.shuffle(victims)
        print(f"kill {[v.name for v in victims]}")
        for v in victims:
            v.kill9()

    def bring_back():
        for v in victims:
            v.start(wait=False)
        for s in servers:
            s.wait_ready()

    victims = []
    for i in range(rounds(10)):
        one_round(ledger, rnd, nodes, kill, bring_back, full=i % 5 == 4)
    ledger.finish()


def test_a_truncated_wal_is_told(cluster):
    """SQLite takes a WAL without its end for a shorter one. The node knows what it had, says so in a line, and the log
    brings back the rest; an ordinary kill is none of that."""
    a = cluster.node()
    b = cluster.node(url=a)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(20):
        a.query("INSERT INTO t (v) VALUES (?)", [i])
    assert_equal(a, b)
    seq = b.status()["databases"][0]["seq"]

    def told():
        return {r["name"]: r["seq"] for r in a.get("/replications").json()["replications"]}.get("node2") == seq

    wait_until(told, what="it has told the others how far it is")
    b.kill9()
    b.start()
    assert_equal(a, b)
    assert "lost its end" not in b.log()
    a.query("INSERT INTO t (v) VALUES ('more')")
    assert_equal(a, b)
    seq += 1
    wait_until(told, what="it has told the others how far it is")
    b.kill9()
    wal = os.path.join(b.directory, "ha.db-wal")
    os.truncate(wal, os.path.getsize(wal) - 1)  # the last transaction; how the others lie in it is up to the batches
    b.start()
    assert_equal(a, b)
    (line,) = [s for s in wait_until(lambda: [s for s in b.log().splitlines() if "lost its end" in s], what="it says so")]
    assert "the log brings back what is missing" in line and f"was={seq}" in line, line
    assert b.query("SELECT count(*) FROM t").value == 21
