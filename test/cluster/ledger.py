"""Clients that write uniquely numbered rows through several nodes at once and remember what they were told.

    ledger = Ledger(nodes, seed)       # creates its tables, starts its writers
    ledger.wait_acknowledged(100)
    …kill something, bring it back…
    ledger.settle(nodes)               # pauses the writers, waits until all nodes hold the whole log, checks

What must hold on every node, whatever was killed:
  - a transaction that was acknowledged is there, whole and once;
  - one that failed is not there, in no part;
  - one of unknown outcome (the log did not answer, the connection broke) is there whole and once, or not at all.
In serializable mode a trigger counts the rows, so that a lost update shows as well.
"""

import random
import threading

from ha import CATCH_UP_S, ConnectionLost, HttpError, assert_equal, synced, wait_until

ACKNOWLEDGED, FAILED, UNKNOWN = "acknowledged", "failed", "unknown"

# Failures that a client may meet while things are killed; anything else is a finding.
EXPECTED_CODES = {"CONFLICT", "LOG_UNAVAILABLE", "UNKNOWN_OUTCOME", "BUSY", "SHUTDOWN", "LAGGING", "TX_ABORTED", "TX_IDLE",
                  "NOT_FOUND"}

BIG_BYTES = 1200000  # more than one message holds

PAUSE_S = 0.01  # of a writer whose node does not answer
THINK_S = 0.005  # between two writes of a writer, on average: the tests are about kills, not about load


def outbox(node):
    """Messages that wait to be published, of all databases."""
    return sum(d["outbox"] for d in node.status()["databases"])


def judge(e):
    """What became of a write that ended with this exception: (FAILED or UNKNOWN, the problem's code or None)."""
    if isinstance(e, ConnectionLost):
        return FAILED if isinstance(e.__cause__, ConnectionRefusedError) else UNKNOWN, None
    code = e.problem.get("code")
    return UNKNOWN if code is None or code == "UNKNOWN_OUTCOME" else FAILED, code


class Ledger:
    def __init__(self, nodes, seed, mode="serializable", writers_per_node=2, big=0.0, codes=(), setup=True):
        self.nodes, self.mode, self.big = list(nodes), mode, big
        self.expected = EXPECTED_CODES | set(codes)
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()
        self.stopping = threading.Event()
        self.busy = 0
        self.next_id = 1
        self.outcomes = []  # (ids, outcome, note)
        self.acknowledged = 0
        self.by_node = {n.name: 0 for n in nodes}
        self.errors = []
        if setup:
            self.setup(nodes[0])
            for n in nodes:
                wait_until(lambda n=n: synced(n), CATCH_UP_S, f"{n.name} has the tables")
        self.threads = [threading.Thread(target=self._run, args=(n, random.Random(f"{seed} {n.name} {i}")), daemon=True)
                        for n in nodes for i in range(writers_per_node)]
        for t in self.threads:
            t.start()

    def setup(self, node):
        # Without a key a row that is applied twice shows. In lww mode two nodes may choose the same rowid at the same
        # time, and then the later row is the one that stays: there the number is the key.
        key = "INTEGER NOT NULL" if self.mode == "serializable" else "INTEGER PRIMARY KEY"
        statements = [f"CREATE TABLE w (id {key}, writer TEXT)", "CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER)",
                      "CREATE TABLE big (id INTEGER PRIMARY KEY, v BLOB)", "INSERT INTO c VALUES (1, 0)",
                      "INSERT INTO big VALUES (1, NULL)"]
        if self.mode == "serializable":
            statements.append("CREATE TRIGGER w_ai AFTER INSERT ON w BEGIN UPDATE c SET n = n + 1 WHERE id = 1; END")
        for s in statements:
            node.retrying(lambda s=s: node.query(s))

    # -- writing

    def _take_ids(self, count):
        with self.lock:
            first = self.next_id
            self.next_id += count
        return list(range(first, first + count))

    def _note(self, node, ids, outcome, note=""):
        with self.lock:
            self.outcomes.append((ids, outcome, f"{node.name}: {note}"))
            if outcome == ACKNOWLEDGED:
                self.acknowledged += 1
                self.by_node[node.name] += 1

    def _single(self, node, rnd, ids):
        return node.post("/query", {"sql": "INSERT INTO w VALUES (?, ?)", "params": [ids[0], node.name]}).headers

    def _batch(self, node, rnd, ids):
        statements = [{"sql": "INSERT INTO w VALUES (?, ?)", "params": [i, node.name]} for i in ids]
        if rnd.random() < self.big:
            statements.append({"sql": "UPDATE big SET v = randomblob(?) WHERE id = 1", "params": [BIG_BYTES]})
        return node.post("/query", statements).headers

    def _interactive(self, node, rnd, ids):
        token = node.post("/transactions", b"").json()["transaction"]
        try:
            for i in ids:
                node.post("/query", {"sql": "INSERT INTO w VALUES (?, ?)", "params": [i, node.name]},
                          {"HA-Transaction": token})
        except HttpError:
            node.http.request("POST", f"/transactions/{token}/rollback", b"")
            raise
        return node.post(f"/transactions/{token}/commit", b"").headers

    def _write(self, node, rnd):
        kind = rnd.choices([self._single, self._batch, self._interactive], [5, 4, 1])[0]
        ids = self._take_ids(1 if kind == self._single else rnd.randint(1, 4))
        try:
            headers = kind(node, rnd, ids)
            self._note(node, ids, ACKNOWLEDGED, f"HA-Seq {headers.get('HA-Seq')}")
        except (ConnectionLost, HttpError) as e:
            outcome, code = judge(e)
            self._note(node, ids, outcome, str(e))
            if isinstance(e, HttpError) and code not in self.expected:
                raise
            if isinstance(e, ConnectionLost) or e.status == 503:
                self.stopping.wait(PAUSE_S)

    def _run(self, node, rnd):
        try:
            while not self.stopping.is_set():
                if not self.gate.wait(0.1):
                    continue
                with self.lock:
                    self.busy += 1
                try:
                    if self.gate.is_set():
                        self._write(node, rnd)
                        self.stopping.wait(rnd.expovariate(1 / THINK_S))
                finally:
                    with self.lock:
                        self.busy -= 1
        except Exception as e:  # pylint: disable=broad-except
            self.errors.append(e)
        finally:
            node.http.close()

    def raise_errors(self):
        if self.errors:
            raise AssertionError(f"a writer met {self.errors[0]!r}")

    # -- waiting

    def wait_acknowledged(self, more, deadline_s=CATCH_UP_S):
        """Until that many more transactions were acknowledged."""
        target = self.acknowledged + more

        def look():
            self.raise_errors()
            return self.acknowledged >= target

        wait_until(look, deadline_s, f"{more} more acknowledged writes")

    def wait_progress(self, nodes=None, deadline_s=CATCH_UP_S):
        """Until every node has acknowledged something more."""
        before = dict(self.by_node)
        nodes = nodes or self.nodes

        def look():
            if self.errors:
                return True
            return all(self.by_node[n.name] > before[n.name] for n in nodes)

        try:
            wait_until(look, deadline_s, "every node acknowledges writes again")
        except AssertionError as e:
            found = [(n.name, self.by_node[n.name] - before[n.name], self._last(n)) for n in nodes]
            raise AssertionError(f"{e}: {found}") from None
        self.raise_errors()

    def _last(self, node):
        with self.lock:
            for ids, outcome, note in reversed(self.outcomes):
                if note.startswith(f"{node.name}:"):
                    return outcome, note[:300]
        return None

    def pause(self):
        self.gate.clear()
        wait_until(lambda: self.busy == 0, CATCH_UP_S, "all writers pause")
        self.raise_errors()

    def resume(self):
        self.gate.set()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()
        self.raise_errors()

    # -- checking

    def check(self, nodes=None, since=0):
        """What every node must hold of the transactions from number `since` on. The writers pause, the nodes are in sync."""
        for node in nodes or self.nodes:
            rows = node.query("SELECT id, count(*) FROM w WHERE id >= ? GROUP BY id", [since]).rows
            self._check_rows(node, dict(rows), since)
            if self.mode == "serializable":
                counted, n = node.query("SELECT (SELECT count(*) FROM w), n FROM c").rows[0]
                assert counted == n, f"{node.name}: {counted} rows, the counter says {n}"

    def _check_rows(self, node, found, since):
        wrong = []
        known = set()
        for ids, outcome, note in self.outcomes:
            if ids[0] < since:
                continue
            known.update(ids)
            counts = [found.get(i, 0) for i in ids]
            if outcome == ACKNOWLEDGED:
                fine = all(c == 1 for c in counts)
            elif outcome == FAILED:
                fine = not any(counts)
            else:
                fine = all(c == counts[0] for c in counts) and counts[0] <= 1
            if not fine:
                wrong.append(f"{outcome} {dict(zip(ids, counts))} ({note})")
        strange = sorted(i for i in found if i not in known)
        if strange:
            wrong.append(f"rows that nobody wrote: {strange[:10]}")
        assert not wrong, f"{node.name}: {len(wrong)} transactions are wrong: " + "; ".join(wrong[:10])

    def sync(self, nodes=None):
        """Until all nodes hold everything that was committed."""
        nodes = nodes or self.nodes
        if self.mode == "async":
            for n in nodes:
                wait_until(lambda n=n: outbox(n) == 0, CATCH_UP_S, f"{n.name}: the outbox is drained")
        for n in nodes:
            wait_until(lambda n=n: synced(n), CATCH_UP_S, f"{n.name}: /readyz?sync")

    def settle(self, nodes=None, since=0, full=False):
        """Pauses, waits until all nodes are in sync, checks, and lets the writers go on."""
        nodes = nodes or self.nodes
        self.pause()
        self.sync(nodes)
        if full:
            assert_equal(*nodes)
        self.check(nodes, since)
        self.resume()

    def finish(self, nodes=None):
        """The last check, of everything."""
        self.pause()
        self.stop()
        nodes = nodes or self.nodes
        self.sync(nodes)
        assert_equal(*nodes)
        self.check(nodes)
        counts = {o: sum(1 for x in self.outcomes if x[1] == o) for o in (ACKNOWLEDGED, FAILED, UNKNOWN)}
        print(f"transactions: {counts}")
        return counts
