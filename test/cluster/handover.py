"""For tests of nodes that hand their groups of transactions over: who has run what for whom, and writers that make it so."""

import itertools
import threading

from ha import CATCH_UP_S, ConnectionLost, HttpError, Timeout, synced, wait_until

RECENT = 16  # writes in a row after which a node counts as one that writes


def database(node, id_="ha.db"):
    return next(d for d in node.status()["databases"] if d["id"] == id_)


def handed_over(node):
    """Transactions of this node that another one has run."""
    return database(node)["handed_over"]


def run_for_others(node):
    return database(node)["run_for_others"]


def three(cluster, *schema, own=((), (), ()), **options):
    """Three nodes on a log of three servers, which outlive them; own: further options of each."""
    nodes = [cluster.node(name=name, url=s, replicas=3, wait=False, **{**options, **dict(more)})
             for name, s, more in zip("abc", cluster.nats_cluster(3), own)]
    for n in nodes:
        n.wait_ready()
    for s in schema:
        nodes[0].retrying(lambda s=s: nodes[0].query(s))
    for n in nodes:
        wait_until(lambda n=n: synced(n), CATCH_UP_S, f"{n.name} has the tables")
    return nodes


def runner_of(nodes, deadline_s=CATCH_UP_S):
    """The node that runs the others' transactions just now."""
    before = {n.name: run_for_others(n) for n in nodes}

    def look():
        # Enough of them that it was not one group by the way.
        return next((n for n in nodes if run_for_others(n) >= before[n.name] + RECENT), None)

    return wait_until(look, deadline_s, "a node runs transactions of others")


def until_handed_over(node, call, crowd, deadline_s=CATCH_UP_S):
    """call(i) for i = 0, 1, … until another node has run one of them: how many there were. They must be the only writes of this
    node, what each writes first must be able to travel, and each has to come out right, wherever it was run."""
    count = 0

    def look():
        nonlocal count
        # A node that has come to run the others' transactions goes on with it as long as it writes.
        runner_of(crowd.nodes)
        for _ in range(RECENT):
            before = handed_over(node)
            call(count)
            count += 1
            if handed_over(node) > before:
                return True
        return False

    def careful():
        try:
            return look()
        except Exception as e:  # what went wrong is the finding, not that the condition is not met
            raise Timeout(f"{node.name}, call {count}: {e!r}") from e

    try:
        wait_until(careful, deadline_s, f"{node.name} hands something over")
    except Timeout as e:
        found = {n.name: (handed_over(n), run_for_others(n), database(n)["commits"]) for n in crowd.nodes + [node]}
        raise Timeout(f"{e}; {count} calls; handed over, run for others, commits: {found}") from None
    return count


def beside(call, crowd, count=RECENT):
    """call(i) for i < count, each while another node runs transactions, which may decline it. (This one may run those of all, by then.)"""
    for i in range(count):
        runner_of(crowd.nodes)
        call(i)
    return count


class Crowd:
    """Writers that insert numbers into a table of their own until they are stopped, and fail at nothing. In a `with`."""

    def __init__(self, nodes, writers=3, table="crowd"):
        self.nodes, self.table = nodes, table
        self.stopping = threading.Event()
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.told = {n.name: [] for n in nodes}  # the numbers that were acknowledged, by node
        self.errors = []
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in nodes for _ in range(writers)]

    def __enter__(self):
        n = self.nodes[0]
        n.retrying(lambda: n.query(f"CREATE TABLE IF NOT EXISTS {self.table} (n INTEGER NOT NULL, node TEXT)"))
        for n in self.nodes:
            wait_until(lambda n=n: synced(n), CATCH_UP_S, f"{n.name} has the table")
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stopping.set()
        for t in self.threads:
            t.join()
        if kind is None:
            self.raise_errors()

    def raise_errors(self):
        if self.errors:
            raise AssertionError(f"a writer met {self.errors[0]!r}")

    def write(self, node, number):
        """May be overridden; raises what it finds."""
        r = node.retrying(lambda: node.query(f"INSERT INTO {self.table} VALUES (?, ?)", [number, node.name]))
        assert r.rows_affected == 1, r.rows

    def _run(self, node):
        try:
            while not self.stopping.is_set():
                with self.lock:
                    number = next(self.numbers)
                self.write(node, number)
                with self.lock:
                    self.told[node.name].append(number)
        except (AssertionError, HttpError, ConnectionLost) as e:
            self.errors.append(e)
        finally:
            node.http.close()

    def wait(self, count, deadline_s=CATCH_UP_S):
        """Until every node has had that many more acknowledged."""
        with self.lock:
            target = {name: len(told) + count for name, told in self.told.items()}

        def look():
            if self.errors:
                return True
            with self.lock:
                return all(len(told) >= target[name] for name, told in self.told.items())

        wait_until(look, deadline_s, f"every node has {count} more writes acknowledged")
        self.raise_errors()
