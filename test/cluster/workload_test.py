"""A random workload on three nodes at once: all nodes equal at the end, in every mode; in serializable mode also equal
to a single SQLite that ran the committed transactions one after the other in the order of the log.

CHAOS_SEED=n repeats the choices of a run, WORKLOAD_STATEMENTS=n changes how many statements each test runs.
"""

import os
import random
import threading
import time

import pytest

from ha import CATCH_UP_S, SLOW, assert_equal, difference, dump, synced, wait_until
from ledger import outbox
from workload import COMMITTED, FAILED, UNKNOWN, Generator, World

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))
STATEMENTS = int(os.environ.get("WORKLOAD_STATEMENTS") or 24000 / SLOW)

CLIENTS_PER_NODE = 2
PARAMS = ["--db-params", "_foreign_keys=1"]
ROW_IDENTIFY = ("pk", "rowid", "full")


class Client(threading.Thread):
    """Runs transactions at one node until the World has counted enough statements; remembers each and its outcome."""

    def __init__(self, node, world, number, seed, until):
        super().__init__(daemon=True)
        self.node, self.world, self.until = node, world, until
        self.generator = Generator(world, random.Random(f"{seed} {number}"), number)
        self.done = []
        self.error = None

    def run(self):
        try:
            while self.world.statements < self.until:
                t = self.generator.transaction()
                outcome = t.run(self.node, self.world)
                self.done.append((t, outcome))
        except BaseException as e:  # pylint: disable=broad-except
            self.error = e
        finally:
            self.node.http.close()


def run_clients(nodes, world, seed, until):
    clients = [Client(n, world, i * CLIENTS_PER_NODE + j, seed, until)
               for i, n in enumerate(nodes) for j in range(CLIENTS_PER_NODE)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
        if c.error:
            raise c.error
    return clients


def report(world, started):
    failed = sum(world.failures.values())
    print(f"{world.statements} statements, {failed} transactions failed ({world.failures}), {time.monotonic() - started:.0f} s, "
          f"{len(world.tables)} tables, {len(world.triggers)} triggers")


def prepare(nodes, world, seed):
    for s in world.setup(len(nodes) * CLIENTS_PER_NODE, random.Random(f"{seed} setup")):
        nodes[0].query(s)
    for n in nodes:
        wait_until(lambda n=n: synced(n), CATCH_UP_S, f"{n.name} has the tables")


def about(committed, name, count=12):
    """The last transactions that speak of a table, for a failed test."""
    found = [t.show() for t in committed if name in t.show()]
    return "\n".join(x[:700] for x in found[-count:])


def in_log_order(node, clients):
    """The committed transactions as the log has them. A transaction of a client's own table follows the one that the client
    committed before it: nobody else sees it, so its place among the others' does not matter."""
    order = [m for (m,) in node.query("SELECT id FROM markers ORDER BY n").rows]
    marked, following, seen = {}, {None: []}, set()
    for c in clients:
        last = None
        for t, outcome in c.done:
            assert outcome != UNKNOWN, f"nothing was killed, but: {t.note} {t.show()}"
            if t.marker is None:
                following.setdefault(last, []).append(t)
            elif outcome == COMMITTED:
                marked[t.marker] = t
                last = t.marker
            else:
                seen.add(t.marker)
    assert len(order) == len(set(order)), "a transaction was committed twice"
    assert set(order) == set(marked), (f"acknowledged but not there: {sorted(set(marked) - set(order))[:5]}, "
                                       f"there but not acknowledged: {sorted(set(order) - set(marked))[:5]}")
    out = list(following[None])
    for m in order:
        out.append(marked[m])
        out.extend(following.get(m, []))
    return out


def without_own(d):
    """Without the statistics of tables whose transactions have no place among the others'."""
    return {k: [r for r in v if not (isinstance(r[1], bytes) and r[1].startswith(b"own"))] if "sqlite_stat" in k else v
            for k, v in d.items()}


@pytest.mark.limit(600)
@pytest.mark.parametrize("run", (1, 2))
def test_serializable(cluster, run):
    print(f"CHAOS_SEED={SEED}")
    seed = f"{SEED} serializable {run}"
    identify = random.Random(seed).choice(ROW_IDENTIFY)
    nodes = cluster.nodes(3, args=PARAMS + ["--row-identify", identify])
    model = cluster.node(name="model", nats_port=0, args=PARAMS)
    started = time.monotonic()
    world = World()
    prepare(nodes, world, seed)
    for s in World().setup(len(nodes) * CLIENTS_PER_NODE, random.Random(f"{seed} setup")):
        model.query(s)
    clients = run_clients(nodes, world, seed, STATEMENTS)
    report(world, started)
    everything = [t for c in clients for t, o in c.done if o == COMMITTED]
    try:
        d = assert_equal(*nodes)
    except AssertionError as e:
        names = [line.split(":")[0][6:] for line in str(e).splitlines() if line.startswith("table ")]
        raise AssertionError(f"{e}\n" + "\n".join(about(everything, n) for n in names[:2])) from None

    for i, t in enumerate(in_log_order(nodes[0], clients)):
        told = t.results
        t.once(model)
        assert t.results == told, (f"transaction {i} of the log: the client was told {told}, the model says {t.results}\n"
                                   f"{t.show()}")
    d, m = without_own(d), without_own(dump(model))
    if d != m:
        text = difference(d, m)
        names = [line.split(":")[0][6:] for line in text.splitlines() if line.startswith("table ")]
        raise AssertionError("the nodes and the model differ\n" + text + "\n" + "\n".join(about(everything, n) for n in names[:2]))
    check_health(nodes + [model])


def check_health(nodes):
    """Indexes say what their tables say. The search comes first because the check alone, on a connection that has used a
    full-text table before, looks at what it remembers of its index (SQLite 3.54)."""
    for n in nodes:
        found = n.batch(["SELECT count(*) FROM docs WHERE docs MATCH 'fox'", "PRAGMA integrity_check"])
        assert found[1].rows == [["ok"]], n.name
        n.query("INSERT INTO docs(docs) VALUES ('integrity-check')")


@pytest.mark.limit(600)
@pytest.mark.parametrize("run", (1, 2))
def test_lww(cluster, run):
    """A file is always a prefix of the log here, too, so schema changes may meet each other. Full-text and R-tree tables
    have one writer: their index rows do not merge."""
    print(f"CHAOS_SEED={SEED}")
    seed = f"{SEED} lww {run}"
    nodes = cluster.nodes(3, consistency="lww", args=PARAMS)
    started = time.monotonic()
    world = World(owner_of_virtual=0)
    prepare(nodes, world, seed)
    clients = run_clients(nodes, world, seed, STATEMENTS)
    report(world, started)
    converge(nodes, clients)


def converge(nodes, clients, rowids=True):
    for n in nodes:
        wait_until(lambda n=n: outbox(n) == 0, CATCH_UP_S, f"{n.name}: the outbox is drained")
    everything = [t for c in clients for t, o in c.done if o == COMMITTED]
    assert not any(o == UNKNOWN for c in clients for _, o in c.done)
    try:
        assert_equal(*nodes, rowids=rowids)
    except AssertionError as e:
        names = [line.split(":")[0][6:] for line in str(e).splitlines() if line.startswith("table ")]
        raise AssertionError(f"{e}\n" + "\n".join(about(everything, n) for n in names[:2])) from None
    check_health(nodes)


@pytest.mark.limit(600)
def test_async(cluster):
    """Rows from all nodes at once, acknowledged before the log has them. Schema changes come from one node while the others
    rest: a node that has already told its client about a row cannot take the column away from under it. Rowids that no
    column shows, of tables with another key, are each node's own: two of them may have given the same one."""
    print(f"CHAOS_SEED={SEED}")
    seed = f"{SEED} async"
    rnd = random.Random(seed)
    nodes = cluster.nodes(3, args=PARAMS + ["--async-replication"])
    started = time.monotonic()
    world = World(owner_of_virtual=0, ddl=False, analyze=False)
    prepare(nodes, world, seed)
    clients = []
    phases = 6
    for phase in range(phases):
        clients += run_clients(nodes, world, f"{seed} {phase}", STATEMENTS * (phase + 1) // phases)
        converge(nodes, clients, rowids=False)
        node, g = rnd.choice(nodes), Generator(world, rnd, 0)
        for _ in range(25):
            for s in g.ddl():
                status = node.http.request("POST", "/query", s.json()).status
                world.count(1)
                if status < 400:
                    world.apply(s.effects)
        converge(nodes, [], rowids=False)
    report(world, started)
