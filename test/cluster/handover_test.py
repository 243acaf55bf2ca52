"""Transactions that another node runs (repl/handover.h): their clients do not notice where."""

import threading
import time

import pytest

from ha import ConnectionLost, Http, HttpError, synced, wait_until

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
                time.sleep(0.05)
        http.close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        wait_until(lambda: all(n > 100 for n in self.done.values()))
        time.sleep(1.5)  # nodes tell each other once a second whom to ask
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
