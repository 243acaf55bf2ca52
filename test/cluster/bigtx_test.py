"""One transaction of 200 MB against a server that takes messages of 1 MB: it replicates, in bounded memory, and a publisher
that dies in the middle of it leaves nothing behind."""

import threading

import pytest

from ha import CATCH_UP_S, SLOW, ConnectionLost, HttpError, assert_equal, synced, wait_until

ROW_BYTES = 100000
TOTAL_BYTES = int(200e6 / SLOW)
GROWTH_KB = 150 * 1024  # of a node's resident memory, its SQLite cache included
DEADLINE_S = 240

BIG = ("WITH RECURSIVE i(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM i WHERE x < ?)"
       " INSERT INTO big(v) SELECT randomblob(?) FROM i")


def memory_kb(node, field):
    with open(f"/proc/{node.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field))


def forget_peak(node):
    """The peak from here on."""
    with open(f"/proc/{node.pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


class Trickle:
    """A writer of small transactions that counts what was acknowledged, and what was not."""

    def __init__(self, node):
        self.node, self.stop, self.acknowledged, self.errors = node, threading.Event(), 0, []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stop.is_set():
            try:
                self.node.query("INSERT INTO small(v) VALUES (?)", [self.acknowledged])
                self.acknowledged += 1
            except HttpError as e:
                if not e.may_retry:
                    self.errors.append(e)
                    return
            self.stop.wait(0.02)
        self.node.http.close()

    def more(self, n=5):
        target = self.acknowledged + n
        wait_until(lambda: self.errors or self.acknowledged >= target, DEADLINE_S, f"{self.node.name}: small writes go on")
        assert not self.errors, self.errors

    def end(self):
        self.stop.set()
        self.thread.join()
        assert not self.errors, self.errors


def start(cluster, mode):
    a = cluster.node(name="a", consistency=mode, args=["--replication-timeout", "60s"])
    b = cluster.node(name="b", url=a, consistency=mode, args=["--replication-timeout", "60s"])
    a.script("CREATE TABLE big (id INTEGER PRIMARY KEY, v BLOB)", "CREATE TABLE small (id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    wait_until(lambda: synced(b))
    return a, b


@pytest.mark.limit(600)
@pytest.mark.parametrize("mode", ("serializable", "lww"))
def test_replicates(cluster, mode):
    a, b = start(cluster, mode)
    for n in (a, b):
        for i in range(20):
            n.query("INSERT INTO small(v) VALUES (?)", [i])
    before = {}
    for n in (a, b):
        forget_peak(n)
        before[n.name] = memory_kb(n, "VmRSS")
    trickle = Trickle(b)
    trickle.more()
    rows = TOTAL_BYTES // ROW_BYTES

    def write():
        return a.http.ok("POST", "/query", {"sql": BIG, "params": [rows, ROW_BYTES]}, timeout_s=DEADLINE_S)

    # In serializable mode it competes with the small ones, and whoever is first wins.
    if mode == "serializable":
        trickle.end()
    r = a.retrying(write, DEADLINE_S)
    assert r.json()["rows"][0][0] == rows
    a.http.close()
    if mode == "serializable":
        trickle = Trickle(b)
    wait_until(lambda: b.query("SELECT count(*) FROM big").value == rows, DEADLINE_S, "b has it")
    trickle.more()
    trickle.end()
    for n in (a, b):
        peak = memory_kb(n, "VmHWM")
        print(f"{n.name}: {before[n.name]} kB before, peak {peak} kB")
        if SLOW == 1:
            assert peak - before[n.name] < GROWTH_KB, f"{n.name} has grown by {peak - before[n.name]} kB"
    for n in (a, b):
        wait_until(lambda n=n: synced(n), DEADLINE_S)
    sums = [n.query("SELECT count(*), sum(length(v)), min(hex(substr(v, 1, 8))), max(hex(substr(v, -8))) FROM big").rows for n in (a, b)]
    assert sums[0] == sums[1]
    a.query("DELETE FROM big WHERE id > 20")  # as one transaction, too
    wait_until(lambda: b.query("SELECT count(*) FROM big").value == 20, DEADLINE_S, "b has deleted them")
    assert_equal(a, b)


@pytest.mark.limit(600)
@pytest.mark.parametrize("mode", ("serializable", "lww"))
def test_publisher_dies(cluster, mode):
    """kill -9 between two parts. The others go on at once or when they have waited long enough for the next part; nothing of
    the transaction is anywhere; the next one of that size goes through."""
    nats = cluster.nats()
    a = cluster.node(name="a", url=nats, consistency=mode, args=["--replication-timeout", "60s"], start=False)
    b = cluster.node(name="b", url=nats, consistency=mode, args=["--replication-timeout", "60s"])
    c = cluster.node(name="c", url=nats, consistency=mode, args=["--replication-timeout", "60s"])
    b.script("CREATE TABLE big (id INTEGER PRIMARY KEY, v BLOB)", "CREATE TABLE small (id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    a.env["HA_FAULT"] = "commit.part=kill@50"
    a.may_die = True
    a.start()
    wait_until(lambda: synced(a))
    rows = 1000
    try:
        a.http.ok("POST", "/query", {"sql": BIG, "params": [rows, ROW_BYTES]}, timeout_s=DEADLINE_S)
        raise AssertionError("the publisher did not die")
    except ConnectionLost:
        pass
    assert a.wait_exit(CATCH_UP_S) == -9
    for i, n in enumerate((b, c)):  # in lww nobody waits for the other's row, so the keys are given
        n.query("INSERT INTO small(id, v) VALUES (?, ?)", [i + 1, n.name])
        assert n.query("SELECT count(*) FROM big").value == 0
    del a.env["HA_FAULT"]
    a.may_die = False
    a.start()
    for n in (a, b, c):
        wait_until(lambda n=n: synced(n), DEADLINE_S)
        assert n.query("SELECT count(*) FROM big").value == 0, n.name
        assert n.query("SELECT count(*) FROM small").value == 2, n.name
    a.retrying(lambda: a.http.ok("POST", "/query", {"sql": BIG, "params": [rows // 5, ROW_BYTES]}, timeout_s=DEADLINE_S))
    a.http.close()
    for n in (b, c):
        wait_until(lambda n=n: n.query("SELECT count(*) FROM big").value == rows // 5, DEADLINE_S, f"{n.name} has the next one")
    assert_equal(a, b, c)
