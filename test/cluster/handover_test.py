"""Transactions that another node runs (repl/handover.h): their clients do not notice where."""

import signal
import threading

import pytest

from ha import ConnectionLost, Http, HttpError, stall, synced, wait_until

ENDLESS = ("INSERT INTO t(v) SELECT count(*) FROM "
           "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c)")


class Load:
    """Writes at nodes, so that whoever else writes hands over to them."""

    def __init__(self, *nodes, threads=4):
        self.done = dict.fromkeys((n.name for n in nodes), 0)
        self.stopped = False
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in nodes for _ in range(threads)]

    def run(self, node):
        http = Http(node.name, node.port)
        while not self.stopped:
            try:
                http.ok("POST", "/", {"sql": "INSERT INTO load(v) VALUES (1)"})
                self.done[node.name] += 1
            except HttpError:
                pass
        http.close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        wait_until(lambda: all(n > 100 for n in self.done.values()))
        return self

    def __exit__(self, kind, value, trace):
        self.stopped = True
        if kind is None:
            for t in self.threads:
                t.join()


def start(cluster, args=(), env=None):
    a = cluster.node(name="a", args=args)
    b = cluster.node(name="b", url=a, args=args, env=env)
    a.script("CREATE TABLE load(id INTEGER PRIMARY KEY, v)", "CREATE TABLE t(k TEXT PRIMARY KEY, v)")
    for n in (a, b):
        wait_until(lambda n=n: synced(n))
    return a, b


def test_what_a_write_has_seen_is_there(cluster):
    """A write that changed nothing because of a row: its client finds that row at its own node."""
    a, b = start(cluster, env={"HA_FAULT": "apply.begin=pause:40"})
    with Load(a):
        for i in range(60):
            a.query("INSERT INTO t VALUES (?, 'a')", [f"k{i}"])
            b.query("INSERT OR IGNORE INTO t VALUES (?, 'b')", [f"k{i}"])
            assert b.query("SELECT v FROM t WHERE k = ?", [f"k{i}"]).value == "a"


def test_limit_of_the_result(cluster):
    """A result that the client's node would not keep is not committed by the other one."""
    a, b = start(cluster, args=("--max-result-size", "1500"))
    with Load(a, b):
        for i in range(30):
            for n in (a, b):
                with pytest.raises(HttpError) as e:
                    n.query("INSERT INTO t VALUES (?, ?) RETURNING v", [f"{n.name}{i}", "x" * 3000])
                assert e.value.problem["code"] == "TOO_BIG"
    assert a.query("SELECT count(*) FROM t").value == 0


def test_endless_statement(cluster):
    """Nobody but its client's node knows that a client has gone: a statement without end holds up no other node."""
    a, b = start(cluster)
    with Load(a, b) as load:
        for n in (a, a, b, b):
            http = Http(n.name, n.port, timeout_s=1)
            with pytest.raises(ConnectionLost):
                http.ok("POST", "/", {"sql": ENDLESS})
            http.close()
            for name in load.done:
                before = load.done[name]
                wait_until(lambda name=name, before=before: load.done[name] > before, 5, f"{name} goes on")


class Numbers:
    """Writers of numbers that nobody else writes, and what they were told of each."""

    def __init__(self, nodes, writers=3):
        self.acknowledged, self.refused, self.unknown = set(), set(), set()
        self.stopped = False
        self.next = iter(range(10**9))
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in nodes for _ in range(writers)]

    def run(self, node):
        http = Http(node.name, node.port, timeout_s=30)
        while not self.stopped:
            number = next(self.next)
            try:
                http.ok("POST", "/", {"sql": "INSERT INTO numbers(n) VALUES (?)", "params": [number]})
                self.acknowledged.add(number)
            except HttpError as e:
                lost = e.problem["code"] in ("UNKNOWN_OUTCOME", "SHUTDOWN")
                (self.unknown if lost else self.refused).add(number)
            except ConnectionLost:
                self.unknown.add(number)
                http.close()
                wait_until(lambda: self.stopped or node.running(), 60)
                http = Http(node.name, node.port, timeout_s=30)
        http.close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stopped = True
        if kind is None:
            for t in self.threads:
                t.join()


def counter(node, name):
    return node.status()["databases"][0][name]


def runner_of(nodes):
    """The node that runs the others' transactions just now."""
    before = {n.name: counter(n, "run_for_others") for n in nodes}
    found = []

    def grown():
        found[:] = [n for n in nodes if counter(n, "run_for_others") > before[n.name] + 50]
        return found

    wait_until(grown, 20, "a node runs the others' transactions")
    return found[0]


def check(nodes, numbers):
    for n in nodes:
        wait_until(lambda n=n: synced(n), 60)
    first = None
    for n in nodes:
        rows = [r[0] for r in n.query("SELECT n FROM numbers ORDER BY n").rows]
        assert len(rows) == len(set(rows)), "a number was written twice"
        there = set(rows)
        assert not numbers.acknowledged - there, "acknowledged and not there"
        assert not numbers.refused & there, "refused and there"
        assert first is None or first == rows, "two nodes hold different rows"
        first = rows


def fall_silent(cluster_nodes, numbers, how):
    """Answers how to wake it up again."""
    if how == "kill before the answer":
        wait_until(lambda: any(not n.running() for n in cluster_nodes), 60, "a node died")
        runner = next(n for n in cluster_nodes if not n.running())
        runner.wait_exit()
        runner.env = {}
        return runner.start
    runner = runner_of(cluster_nodes)
    if how == "kill":
        runner.kill9()
        return runner.start
    stall(runner)
    return lambda: runner.signal(signal.SIGCONT)


@pytest.mark.limit(240)
@pytest.mark.parametrize("how", ["kill", "stop", "kill before the answer"])
def test_runner_falls_silent(cluster, how):
    """It ends or stands still while it runs other nodes' transactions: each happens once, or not at all."""
    a = cluster.node(name="a")
    deaths = {"b": 400, "c": 800, "d": 1200} if how == "kill before the answer" else {}  # at the group of that number
    nodes = [cluster.node(name=name, url=a, env={"HA_FAULT": f"commit.done=kill@{deaths[name]}"} if deaths else None) for name in ("b", "c", "d")]
    a.script("CREATE TABLE numbers(id INTEGER PRIMARY KEY, n INTEGER)")
    for n in nodes:
        wait_until(lambda n=n: synced(n))
    with Numbers(nodes) as numbers:
        for _ in range(2):
            wake = fall_silent(nodes, numbers, how)
            before = len(numbers.acknowledged)
            wait_until(lambda before=before: len(numbers.acknowledged) > before + 200, 30, "the others go on")
            wake()
            before = len(numbers.acknowledged)
            wait_until(lambda before=before: len(numbers.acknowledged) > before + 200, 30, "all go on")
        handed = sum(counter(n, "handed_over") for n in nodes if n.running())
    for n in nodes:
        if not n.running():  # it has come to its group
            n.wait_exit()
            n.env = {}
            n.start()
    check(nodes, numbers)
    assert handed > 0
