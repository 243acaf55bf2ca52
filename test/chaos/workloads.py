"""What clients do, each kind in tables of its own, so that several kinds share one database.

A Workload makes its tables, chooses operations (next), runs them at a node (perform), reads what is there at the
end (final) and judges its history (check). A Client is a thread that runs one workload's operations at one node.
"""

import itertools
import random
import threading

import checkers
from ha import ConnectionLost, HttpError
from history import OK, History
from ledger import EXPECTED_CODES, FAILED, PAUSE_S, judge

SERIALIZABLE, LWW, ASYNC = "serializable", "lww", "async"  # async: --async-replication, which is lww

# What a client may be told while disks, networks and processes fail; any other code is a finding.
CODES = EXPECTED_CODES | {"STOPPED", "DISK_FULL", "IO", "READ_ONLY", "CHECK", "TIMEOUT", "TOO_MANY", "NO_LEADER"}

OLDER = "a node in a new life reads what was there before the tables"

INTERACTIVE = 0.2  # of the transactions span several requests


class Abort(Exception):
    """The client itself decides against its transaction."""


class Interactive:
    """A transaction over several requests. Until commit() is called, nothing of it can have happened."""

    def __init__(self, node):
        self.node = node
        self.committing = False

    def __enter__(self):
        self.token = self.node.post("/transactions", b"").json()["transaction"]
        return self

    def query(self, sql, params=()):
        r = self.node.post("/query", {"sql": sql, "params": list(params)}, {"HA-Transaction": self.token})
        return r.json()["rows"]

    def commit(self):
        self.committing = True
        return int(self.node.post(f"/transactions/{self.token}/commit", b"").headers.get("HA-Seq") or 0)

    def __exit__(self, kind, value, trace):
        if kind is not None and not self.committing:
            try:
                self.node.http.request("POST", f"/transactions/{self.token}/rollback", b"")
            except ConnectionLost:
                pass
            if kind is ConnectionLost:
                raise Abort(f"before the commit: {value}") from value


def run(node, statements):
    """One request, one transaction: (rows of each statement, seq, position)."""
    r = node.post("/query", [{"sql": s, "params": list(p)} for s, p in statements])
    seq, position = r.headers.get("HA-Seq"), r.headers.get("HA-Position")
    return [x["rows"] for x in r.json()["results"]], int(seq or 0) or None, int(position or 0) or None


class Workload:
    name = None
    modes = (SERIALIZABLE,)
    tables = ()
    read_share = 0.3

    def __init__(self, mode):
        self.mode = mode
        self.history = History()
        self.numbers = itertools.count(1)
        self.since = 0  # the log's end when the tables were there: what is older knows nothing of them
        self.lock = threading.Lock()

    def setup(self, node):
        for s in self.tables:
            node.retrying(lambda s=s: node.query(s))
        self.since = node.status()["databases"][0]["seq"]

    def number(self):
        with self.lock:
            return next(self.numbers)

    def next(self, rnd, client):
        """(f, value)"""
        raise NotImplementedError

    def perform(self, node, op, rnd):
        """(result, seq, position)"""
        raise NotImplementedError

    def remember(self, op, client):
        """What the client keeps in mind of an operation that has ended."""

    def final(self, node):
        raise NotImplementedError

    def check(self, finals):
        """finals: {node's name: final(node)}. Findings, each a line."""
        found = checkers.check_equal(finals) + self.judge(finals)
        if self.mode == SERIALIZABLE:
            found += checkers.check_log_order(self.history.ops)
        return [f"{self.name}: {line}" for line in found]

    def judge(self, finals):
        raise NotImplementedError


class Append(Workload):
    """Transactions that append to lists and read them. Lists with an even number are one text in one row, the others
    rows of a table without a key, in the order of their rowids."""

    name = "append"
    tables = ("CREATE TABLE list (k INTEGER PRIMARY KEY, v TEXT NOT NULL)", "CREATE TABLE item (k INTEGER, v INTEGER)",
              "CREATE INDEX item_k ON item(k)")
    KEYS, LENGTH = 5, 24

    def next(self, rnd, client):
        base = len(self.history.ops) // (self.KEYS * self.LENGTH)
        ops = []
        only_reads = rnd.random() < self.read_share
        for _ in range(rnd.randint(1, 4)):
            k = base + rnd.randrange(self.KEYS)
            if only_reads or rnd.random() < 0.4:
                ops.append(["r", k, None])
            else:
                ops.append(["append", k, self.number()])
        return "txn", ops

    @staticmethod
    def _statement(f, k, v):
        if f == "append" and k % 2 == 0:
            return ("INSERT INTO list VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = v || ',' || excluded.v", (k, str(v)))
        if f == "append":
            return "INSERT INTO item VALUES (?, ?)", (k, v)
        if k % 2 == 0:
            return "SELECT v FROM list WHERE k = ?", (k,)
        return "SELECT v FROM item WHERE k = ? ORDER BY rowid", (k,)

    @staticmethod
    def _list(k, rows):
        if k % 2:
            return [v for (v,) in rows]
        return [int(v) for v in rows[0][0].split(",")] if rows else []

    def _result(self, value, rows):
        return [[f, k, v if f == "append" else self._list(k, r)] for (f, k, v), r in zip(value, rows)]

    def perform(self, node, op, rnd):
        statements = [self._statement(*o) for o in op.value]
        if rnd.random() >= INTERACTIVE:
            rows, seq, position = run(node, statements)
            return self._result(op.value, rows), seq, position
        with Interactive(node) as t:
            rows = [t.query(*s) for s in statements]
            seq = t.commit()
        return self._result(op.value, rows), seq or None, None

    def final(self, node):
        lists = {k: [int(x) for x in v.split(",")] for k, v in node.query("SELECT k, v FROM list").rows}
        for k, v in node.query("SELECT k, v FROM item ORDER BY rowid").rows:
            lists.setdefault(k, []).append(v)
        return lists

    def judge(self, finals):
        return checkers.check_append(self.history.ops, finals)


class Bank(Workload):
    """Transfers between accounts, relative in one request or absolute from what was read; reads of all balances."""

    name = "bank"
    ACCOUNTS, BALANCE = 8, 100
    tables = ("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))",
              "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 7) "
              "INSERT INTO account SELECT i, 100 FROM n")

    def next(self, rnd, client):
        if rnd.random() < self.read_share:
            return "read", None
        a, b = rnd.sample(range(self.ACCOUNTS), 2)
        return "transfer", [a, b, rnd.randint(1, 20)]

    def perform(self, node, op, rnd):
        if op.f == "read":
            (rows,), _, position = run(node, [("SELECT id, balance FROM account", ())])
            return dict(rows), None, position
        a, b, amount = op.value
        if rnd.random() >= INTERACTIVE:
            _, seq, _ = run(node, [("UPDATE account SET balance = balance + ? WHERE id = ?", (amount, b)),
                                   ("UPDATE account SET balance = balance - ? WHERE id = ?", (amount, a))])
            return True, seq, None
        with Interactive(node) as t:
            have = dict(t.query("SELECT id, balance FROM account WHERE id IN (?, ?)", (a, b)))
            if not have and node.lives > 1:
                raise Abort(OLDER)
            if have[a] < amount:
                raise Abort("not enough")
            t.query("UPDATE account SET balance = ? WHERE id = ?", (have[a] - amount, a))
            t.query("UPDATE account SET balance = ? WHERE id = ?", (have[b] + amount, b))
            seq = t.commit()
        return True, seq, None

    def final(self, node):
        return dict(node.query("SELECT id, balance FROM account").rows)

    def judge(self, finals):
        return checkers.check_bank(self.history.ops, finals, self.ACCOUNTS, self.ACCOUNTS * self.BALANCE)


class Set(Workload):
    """Numbers that are inserted once, alone or a few together, through every node."""

    name = "set"
    modes = (SERIALIZABLE, LWW, ASYNC)
    read_share = 0.08

    @property
    def tables(self):
        # Without a key a row that is applied twice shows; in lww two nodes may choose one rowid at the same time.
        key = "INTEGER NOT NULL" if self.mode == SERIALIZABLE else "INTEGER PRIMARY KEY"
        return (f"CREATE TABLE member (id {key}, node TEXT)",)

    def next(self, rnd, client):
        if rnd.random() < self.read_share:
            return "read", None
        return "add", [self.number() for _ in range(rnd.choice((1, 1, 1, 2, 3)))]

    def perform(self, node, op, rnd):
        if op.f == "read":
            (rows,), _, position = run(node, [("SELECT id FROM member", ())])
            return [i for (i,) in rows], None, position
        _, seq, _ = run(node, [("INSERT INTO member VALUES (?, ?)", (i, node.name)) for i in op.value])
        return True, seq, None

    def final(self, node):
        return sorted(i for (i,) in node.query("SELECT id FROM member").rows)

    def judge(self, finals):
        return checkers.check_set(self.history.ops, finals)


class Register(Workload):
    """Compare-and-set from the value that the client saw last to one that was never there."""

    name = "register"
    KEYS = 5
    tables = ("CREATE TABLE register (k INTEGER PRIMARY KEY, v INTEGER NOT NULL)",
              "INSERT INTO register VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0)")

    def next(self, rnd, client):
        k = rnd.randrange(self.KEYS)
        seen = client.memory.setdefault("seen", {})
        if k not in seen or rnd.random() < 0.4:
            return "read", k
        return "cas", [k, seen[k], self.number()]

    def perform(self, node, op, rnd):
        if op.f == "read":
            (rows,), _, position = run(node, [("SELECT v FROM register WHERE k = ?", (op.value,))])
            return rows[0][0] if rows else None, None, position
        k, old, new = op.value
        if rnd.random() >= INTERACTIVE:
            r = node.post("/query", {"sql": "UPDATE register SET v = ? WHERE k = ? AND v = ?", "params": [new, k, old]})
            return r.json()["rows"][0][0] == 1, int(r.headers.get("HA-Seq") or 0) or None, None
        with Interactive(node) as t:
            if t.query("SELECT v FROM register WHERE k = ?", (k,)) != [[old]]:
                raise Abort("another value")
            t.query("UPDATE register SET v = ? WHERE k = ?", (new, k))
            seq = t.commit()
        return True, seq, None

    def remember(self, op, client):
        if op.ok and op.f == "read":
            client.memory["seen"][op.value] = op.result
        elif op.ok and op.result:
            client.memory["seen"][op.value[0]] = op.value[2]
        elif op.f == "cas":
            client.memory["seen"].pop(op.value[0], None)

    def final(self, node):
        return dict(node.query("SELECT k, v FROM register").rows)

    def judge(self, finals):
        return checkers.check_register(self.history.ops, finals)


class Counter(Workload):
    name = "counter"
    tables = ("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)", "INSERT INTO counter VALUES (1, 0)")

    def next(self, rnd, client):
        return ("read", None) if rnd.random() < self.read_share else ("add", rnd.randint(1, 5))

    def perform(self, node, op, rnd):
        if op.f == "read":
            (rows,), _, position = run(node, [("SELECT n FROM counter", ())])
            return rows[0][0] if rows else None, None, position
        r = node.post("/query", {"sql": "UPDATE counter SET n = n + ? WHERE id = 1", "params": [op.value]})
        return True, int(r.headers.get("HA-Seq") or 0) or None, None

    def final(self, node):
        return node.query("SELECT n FROM counter").value

    def judge(self, finals):
        return checkers.check_counter(self.history.ops, finals)


class Own(Workload):
    """asynchronous: every node adds to a row that nobody else writes, and finds there what it has added."""

    name = "own"
    modes = (ASYNC,)
    tables = ("CREATE TABLE own (node TEXT PRIMARY KEY, n INTEGER NOT NULL)",)

    def next(self, rnd, client):
        return ("read", None) if rnd.random() < self.read_share else ("add", rnd.randint(1, 5))

    def perform(self, node, op, rnd):
        if op.f == "read":
            (rows,), _, position = run(node, [("SELECT n FROM own WHERE node = ?", (op.node,))])
            return rows[0][0] if rows else 0, None, position
        _, seq, _ = run(node, [("INSERT INTO own VALUES (?, ?) ON CONFLICT (node) DO UPDATE SET n = n + excluded.n",
                                (op.node, op.value))])
        return True, seq, None

    def final(self, node):
        return dict(node.query("SELECT node, n FROM own").rows)

    def judge(self, finals):
        found = []
        for label in sorted({o.node for o in self.history.ops}):
            found += checkers.check_counter([o for o in self.history.ops if o.node == label],
                                            {n: rows.get(label, 0) for n, rows in finals.items()})
        return found


class Latest(Workload):
    """lww: several nodes write the same rows, and the last of them stays; of one node's, if it is asynchronous."""

    name = "latest"
    modes = (LWW, ASYNC)
    KEYS = 20
    tables = ("CREATE TABLE latest (k INTEGER PRIMARY KEY, v INTEGER)",)

    def next(self, rnd, client):
        return "write", [rnd.randrange(self.KEYS), self.number()]

    def perform(self, node, op, rnd):
        _, seq, _ = run(node, [("INSERT INTO latest VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v", op.value)])
        return True, seq, None

    def final(self, node):
        return dict(node.query("SELECT k, v FROM latest").rows)

    def judge(self, finals):
        return checkers.check_last_writer(self.history.ops, finals, same_node=self.mode == ASYNC)


ALL = {w.name: w for w in (Append, Bank, Set, Register, Counter, Latest, Own)}


class Client(threading.Thread):
    """Runs operations of one workload at one node until it is stopped."""

    def __init__(self, name, node, workload, seed, think_s, strange):
        super().__init__(daemon=True, name=name)
        self.node, self.workload, self.think_s = node, workload, think_s
        self.rnd = random.Random(f"{seed} {name}")
        self.strange = strange  # called with a finding: something that no client should be told
        self.stopping = threading.Event()
        self.memory = {}

    def run(self):
        try:
            while not self.stopping.is_set():
                answered = self._once()
                self.stopping.wait(self.rnd.expovariate(1 / self.think_s) if answered else PAUSE_S * 5)
        except Exception as e:  # pylint: disable=broad-except
            self.strange(f"client {self.name}: {e!r}")
        finally:
            self.node.http.close()

    def _once(self):
        """False if the node cannot be used just now."""
        w = self.workload
        f, value = w.next(self.rnd, self)
        op = w.history.invoke(self.name, self.node.label, f, value)
        answered = True
        try:
            result, seq, position = w.perform(self.node, op, self.rnd)
            # One that came back empty is on its way from the log's beginning.
            if self.node.lives > 1 and position is not None and position < w.since:
                raise Abort(OLDER)
            w.history.done(op, OK, result, seq, position)
        except Abort as e:
            w.history.done(op, FAILED, note=str(e))
        except (ConnectionLost, HttpError) as e:
            outcome, code = judge(e)
            w.history.done(op, outcome, note=str(e)[:300])
            answered = isinstance(e, HttpError) and e.status < 500
            # One that came back empty has no tables before it has caught up.
            reborn = code == "NO_TABLE" and self.node.lives > 1
            if isinstance(e, HttpError) and code not in CODES and not reborn:
                self.strange(f"client {self.name}: unexpected answer: {e}")
        w.remember(op, self)
        return answered
