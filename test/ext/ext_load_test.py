"""Much of it: thousands of transactions a second, transactions of many megabytes, random SQL, several nodes that write."""

import json
import os
import random
import subprocess
import threading
import time

import pytest

import ha
from ha import SLOW
from hosts import EXTENSION, Python, Shell, assert_replica
from natsclient import NatsClient
from workload import World
from workload_test import prepare, run_clients

LOAD = os.path.join(os.path.dirname(EXTENSION), "bench/load")
SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))


def memory_mb(process):
    """The most that it has had."""
    with open(f"/proc/{process.pid}/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024


class Thread(threading.Thread):
    """Runs job(); join() raises what it raised."""

    def __init__(self, job):
        super().__init__(daemon=True)
        self.job, self.error = job, None
        self.start()

    def run(self):
        try:
            self.job()
        except BaseException as e:  # pylint: disable=broad-except
            self.error = e

    def join(self, timeout=None):
        super().join(timeout)
        if self.error:
            raise self.error


def test_thousands_of_transactions(cluster):
    """A second, for a few of them, by the benchmark's client: the replica keeps up, and its readers are refused nothing
    and see the log's prefixes only."""
    rate, seconds = int(3000 / SLOW), 4
    node = cluster.node()
    node.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE sums (id INTEGER PRIMARY KEY, n)",
                "INSERT INTO sums VALUES (1, 0)")
    body = json.dumps([{"sql": "INSERT INTO t(v) VALUES (hex(randomblob(30)))"}, {"sql": "UPDATE sums SET n = n + 1"}])
    with Python(cluster) as r, Shell(cluster) as reader:
        r.follow(node, consistency="serializable").caught_up(node)
        load = subprocess.Popen([LOAD, f"port={node.port}", "path=/query", f"body={body}", "connections=16", f"rate={rate}",
                                 f"requests={rate * seconds}", f"seconds={seconds * 4}"], stdout=subprocess.PIPE, text=True)
        seen = []
        while load.poll() is None:
            n, rows = reader.query("SELECT n, (SELECT count(*) FROM t) AS rows FROM sums")[0]
            assert n == rows
            seen.append(n)
        result = json.loads(load.communicate()[0])
        started = time.monotonic()
        r.caught_up(node)
        behind = time.monotonic() - started
        assert seen == sorted(seen) and len(set(seen)) > 2
        assert result["errors"] == 0 and result["requests"] >= rate * seconds
        assert r.value("SELECT n FROM sums") == result["requests"]
        assert_replica(r, node)
        print(f"{result['rate']:.0f} transactions/s, the replica was {behind:.2f} s behind at the end")
        assert behind < 2 * SLOW


def test_transactions_of_many_megabytes(cluster):
    """They come as many parts, and are put aside on the disk: memory stays small."""
    node = cluster.node()
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    with Python(cluster) as r:
        r.follow(node, consistency="serializable").caught_up(node)
        before = memory_mb(r)
        for size in (3, 80):
            node.query(f"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {size * 100}) "
                       "INSERT INTO t(v) SELECT randomblob(10000) FROM c")
            r.caught_up(node)
        grown = memory_mb(r) - before
        assert_replica(r, node)
        print(f"{grown:.0f} MB more")
        assert SLOW > 1 or grown < 60


@pytest.mark.parametrize("source", ["snapshot", "node"])
def test_a_copy_that_takes_its_time(cluster, source):
    """INSERT does not wait for it, and that is no error; whoever closes meanwhile does not wait, either."""
    node = cluster.node()
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for _ in range(int(6 / SLOW) or 1):
        node.query("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000) "
                   "INSERT INTO t(v) SELECT randomblob(10000) FROM c")
    if source == "snapshot":
        node.post("/snapshot", "")
    else:
        with NatsClient(node.nats_port) as nats:
            assert nats.api("STREAM.PURGE.ha_replication-ha=2Edb", {})["success"]
    with Python(cluster) as r:
        r.follow(node, timeout=0)
        r.wait_state("copying")
        started = time.monotonic()
    assert time.monotonic() - started < 10 * SLOW
    with Python(cluster) as r:
        r.follow(node, timeout=int(2000 * SLOW))
        before = memory_mb(r)
        r.caught_up(node)
        assert SLOW > 1 or memory_mb(r) - before < 60
        assert_replica(r, node)


@pytest.mark.limit(600)
@pytest.mark.parametrize("log,consistency", [("serializable", "serializable"), ("serializable", "lww"), ("lww", "lww")])
def test_random_sql(cluster, log, consistency):
    """Whatever clients of two nodes run at the same time, and however often the host is killed meanwhile. A serializable
    log may be applied either way."""
    print(f"CHAOS_SEED={SEED}")
    nodes = cluster.nodes(2, consistency=log, args=["--db-params", "_foreign_keys=1"])
    # What ANALYZE finds out is for the SQLite that did it: a host's may have been built without some of these tables.
    world = World(owner_of_virtual=0 if log == "lww" else None, analyze=False)
    prepare(nodes, world, SEED)
    over = threading.Event()
    kills = []

    def kill():
        rnd = random.Random(f"{SEED} kill")
        while not over.is_set():
            r = Python(cluster)
            r.follow(nodes[0], consistency=consistency)
            over.wait(rnd.random() * 2)
            r.kill9()
            kills.append(r)

    killer = Thread(kill)
    run_clients(nodes, world, SEED, int(12000 / SLOW))
    over.set()
    killer.join()
    ha.assert_equal(*nodes)
    with Python(cluster) as r:
        r.follow(nodes[0], consistency=consistency)
        r.wait_state("following")
        # Generated columns are the host's SQLite's; as text, an older one gives REAL values fewer digits.
        assert_replica(r, nodes[0], generated=False)
        assert r.stats()["restores"] == 0 and kills
