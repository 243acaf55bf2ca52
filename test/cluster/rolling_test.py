"""A rolling restart of three nodes, each with its own nats-server, R3: SIGTERM, start, wait until current, the next."""

import os
import re
import threading
import time

from ha import SLOW, ConnectionLost, HttpError, assert_equal, free_port, wait_until
from verify_test import verify

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "cluster")
RETRY_S = 1.0
LONGEST_S = 4.0  # of one write; with a client's own second, and an election that has to be held again
# On a machine with other work everything takes longer: for each second that the slowest write took while no node was
# restarted, as many more.
LONGER = 10


def example_cluster(cluster):
    """Three nodes with the example's configurations, on free ports."""
    ports = {}
    for i in (1, 2, 3):
        ports[f"422{i}"], ports[f"624{i}"] = free_port(), free_port()
    nodes = []
    for i in (1, 2, 3):
        with open(f"{EXAMPLE}/nats-{i}.conf", encoding="utf-8") as f:
            text = re.sub(r"\b[46]24?2?[1-3]\b|\b422[1-3]\b", lambda m: str(ports[m.group(0)]), f.read())
        assert f":{ports[f'422{i}']}" in text and str(ports[f"624{i}"]) in text
        n = cluster.node(f"node-{i}", start=False, nats_port=ports[f"422{i}"], replicas=3)
        path = os.path.join(n.directory, "nats.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        n.args = ["--nats-config", path]
        nodes.append(n)
    for n in nodes:
        n.start(wait=False)
    for n in nodes:
        n.wait_ready()
    return nodes


class Client(threading.Thread):
    """Writes until it is told to stop; a write that fails is tried again, at the next node, for a second from then on."""

    def __init__(self, nodes, number):
        super().__init__()
        self.nodes, self.number = nodes, number
        self.over = threading.Event()
        self.written, self.failures, self.longest_s = [], [], 0.0
        self.retry_s = RETRY_S

    def write(self, key):
        """INSERT OR IGNORE under a key of the client's: a repetition of what was done does no harm."""
        begin, failed = time.monotonic(), None
        while True:
            node = self.nodes[self.at % len(self.nodes)]
            try:
                node.query("INSERT OR IGNORE INTO t (k) VALUES (?)", [key])
                break
            except (HttpError, ConnectionLost) as e:
                self.at += 1
                failed = failed or time.monotonic()
                if time.monotonic() - failed > self.retry_s * SLOW:
                    self.failures.append((key, str(e)))
                    return
        self.longest_s = max(self.longest_s, time.monotonic() - begin)
        self.written.append(key)

    def run(self):
        self.at = self.number
        i = 0
        while not self.over.is_set():
            self.write(f"{self.number}-{i}")
            i += 1


def test_rolling_restart(cluster):
    nodes = example_cluster(cluster)
    nodes[0].query("CREATE TABLE t (k TEXT PRIMARY KEY)")
    for n in nodes:
        wait_until(lambda n=n: n.query("SELECT count(*) FROM sqlite_schema WHERE name = 't'").value == 1)
    clients = [Client(nodes, i) for i in range(3)]
    for c in clients:
        c.start()
    try:
        wait_until(lambda: all(len(c.written) > 20 for c in clients))
        usual = max(c.longest_s for c in clients)
        for c in clients:
            c.retry_s = RETRY_S + LONGER * usual
        for n in nodes:
            before = [len(c.written) for c in clients]
            n.restart(wait=False)
            wait_until(lambda n=n: n.running() and n.ready(sync=True), 60, f"{n.name} is current again")
            wait_until(lambda b=before: all(len(c.written) > w for c, w in zip(clients, b)))
    finally:
        for c in clients:
            c.over.set()
        for c in clients:
            c.join()
    longest = max(c.longest_s for c in clients)
    print(f"{sum(len(c.written) for c in clients)} writes, the longest {longest:.3f} s, before the restarts {usual:.3f} s")
    assert [f for c in clients for f in c.failures] == []
    assert longest < (LONGEST_S + LONGER * usual) * SLOW
    assert_equal(*nodes)
    keys = {r[0] for r in nodes[2].query("SELECT k FROM t").rows}
    assert {k for c in clients for k in c.written} <= keys

    answers = []

    def answered():
        """A node that just begins to follow the log anew has no answer, and is asked again; a difference is one."""
        answers.append(verify(nodes[0]))
        return answers[-1]["differences"] or (not answers[-1]["problems"] and len(answers[-1]["nodes"]) == 3)

    wait_until(answered, what="all nodes say what they hold")
    assert answers[-1]["equal"], answers
