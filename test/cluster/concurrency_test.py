"""Three nodes writing at the same time: nothing acknowledged is lost, nothing appears twice, all nodes end equal."""

import random
import threading

import pytest

from ha import CATCH_UP_S, HttpError, assert_equal, synced, wait_until

THREADS_A_NODE = 3


def on_all(nodes, work):
    """Runs work(node, number) on THREADS_A_NODE threads for each node at once; the first exception is raised here."""
    errors = []

    def run(node, number):
        try:
            work(node, number)
        except BaseException as e:  # pylint: disable=broad-except
            errors.append(e)
        finally:
            node.http.close()

    threads = [threading.Thread(target=run, args=(n, i * THREADS_A_NODE + j), daemon=True)
               for i, n in enumerate(nodes) for j in range(THREADS_A_NODE)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def start(cluster, schema, mode="serializable", r3=False):
    if r3:
        nodes = [cluster.node(url=s, replicas=3, consistency=mode) for s in cluster.nats_cluster(3)]
    else:
        nodes = cluster.nodes(3, consistency=mode)
    nodes[0].script(*schema)
    for n in nodes:
        wait_until(lambda n=n: synced(n))
    return nodes


@pytest.mark.parametrize("r3", (False, True), ids=("r1", "r3"))
def test_autoincrement(cluster, r3):
    """Every acknowledged insert is there under the id that its client was told, on every node."""
    nodes = start(cluster, ["CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, writer INT, n INT)"], r3=r3)
    count, told, lock = 60, [], threading.Lock()

    def work(node, number):
        for n in range(count):
            r = node.retrying(lambda n=n: node.query("INSERT INTO t(writer, n) VALUES (?, ?)", [number, n]))
            assert r.rows_affected == 1
            with lock:
                told.append((r.last_insert_id, number, n))

    on_all(nodes, work)
    d = assert_equal(*nodes)
    assert len(told) == count * THREADS_A_NODE * 3
    assert len({t[0] for t in told}) == len(told), "two clients were told the same id"
    for n in nodes:
        rows = n.query("SELECT id, writer, n FROM t ORDER BY id").rows
        assert sorted(map(tuple, rows)) == sorted(told), n.name
    assert d["table sqlite_sequence"] == [(b"text", b"t", b"integer", max(t[0] for t in told))]


def test_unique(cluster):
    """Each key is won by exactly one of the nine writers; the others are told that it is taken."""
    nodes = start(cluster, ["CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT UNIQUE, writer INT)"])
    keys, won, lock = [f"key {i}" for i in range(80)], [], threading.Lock()

    def work(node, number):
        mine = keys[:]
        random.Random(number).shuffle(mine)
        for k in mine:
            try:
                node.retrying(lambda k=k: node.query("INSERT INTO t(k, writer) VALUES (?, ?)", [k, number]))
            except HttpError as e:
                assert e.status == 409 and e.sqlstate == "23505", e
                continue
            with lock:
                won.append((k, number))

    on_all(nodes, work)
    assert_equal(*nodes)
    assert sorted(k for k, _ in won) == sorted(keys)
    for n in nodes:
        assert sorted(map(tuple, n.query("SELECT k, writer FROM t").rows)) == sorted(won), n.name


@pytest.mark.parametrize("r3", (False, True), ids=("r1", "r3"))
def test_counter(cluster, r3):
    nodes = start(cluster, ["CREATE TABLE c (id INTEGER PRIMARY KEY, n INT)", "INSERT INTO c VALUES (1, 0)"], r3=r3)
    acknowledged, lock = [0], threading.Lock()

    def work(node, number):
        for _ in range(60):
            r = node.retrying(lambda: node.query("UPDATE c SET n = n + 1 WHERE id = 1"))
            assert r.rows_affected == 1
            with lock:
                acknowledged[0] += 1

    on_all(nodes, work)
    assert_equal(*nodes)
    for n in nodes:
        assert n.query("SELECT n FROM c").value == acknowledged[0], n.name


def test_compare_and_set(cluster):
    """Read, then write on condition of what was read: only as many succeed as the value moved."""
    nodes = start(cluster, ["CREATE TABLE c (id INTEGER PRIMARY KEY, n INT)", "INSERT INTO c VALUES (1, 0)"])
    succeeded, lock = [0], threading.Lock()

    def work(node, number):
        for _ in range(60):
            seen = node.query("SELECT n FROM c WHERE id = 1").value
            r = node.retrying(lambda seen=seen: node.query("UPDATE c SET n = n + 1 WHERE id = 1 AND n = ?", [seen]))
            with lock:
                succeeded[0] += r.rows_affected

    on_all(nodes, work)
    assert_equal(*nodes)
    assert succeeded[0] > 0
    for n in nodes:
        assert n.query("SELECT n FROM c").value == succeeded[0], n.name


def test_transfers(cluster):
    """Transactions of several statements: money moves between accounts and none is made or lost."""
    accounts = 8
    nodes = start(cluster, ["CREATE TABLE a (id INTEGER PRIMARY KEY, n INT CHECK (n >= 0))",
                            "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, src INT, dst INT, n INT)",
                            f"WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < {accounts})"
                            " INSERT INTO a SELECT x, 100 FROM i"])
    done, lock = [], threading.Lock()

    def work(node, number):
        rnd = random.Random(1000 + number)
        for _ in range(40):
            src, dst = rnd.sample(range(1, accounts + 1), 2)
            n = rnd.randint(1, 60)
            try:
                node.retrying(lambda s=src, d=dst, n=n: node.batch([
                    ("UPDATE a SET n = n + ? WHERE id = ?", [n, d]), ("UPDATE a SET n = n - ? WHERE id = ?", [n, s]),
                    ("INSERT INTO log(src, dst, n) VALUES (?, ?, ?)", [s, d, n])]))
            except HttpError as e:
                assert e.sqlstate == "23514", e
                continue
            with lock:
                done.append((src, dst, n))

    on_all(nodes, work)
    assert_equal(*nodes)
    balance = {i: 100 for i in range(1, accounts + 1)}
    for src, dst, n in done:
        balance[src] -= n
        balance[dst] += n
    for n in nodes:
        assert n.query("SELECT sum(n) FROM a").value == accounts * 100
        assert dict(n.query("SELECT id, n FROM a").rows) == balance
        assert sorted(map(tuple, n.query("SELECT src, dst, n FROM log").rows)) == sorted(done)


def test_schema_changes_meet_rows(cluster):
    """One node alters the table while the others write to it."""
    nodes = start(cluster, ["CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, writer INT)"])
    told, lock = [0], threading.Lock()

    def work(node, number):
        for i in range(30):
            if number == 0:
                node.retrying(lambda i=i: node.query(f"ALTER TABLE t ADD COLUMN c{i} DEFAULT {i}"))
            elif number == 1:
                node.retrying(lambda i=i: node.query(f"CREATE INDEX IF NOT EXISTS i{i % 5} ON t(writer, id)"))
                node.retrying(lambda i=i: node.query(f"DROP INDEX IF EXISTS i{(i + 2) % 5}"))
            else:
                node.retrying(lambda: node.query("INSERT INTO t(writer) VALUES (?)", [number]))
                with lock:
                    told[0] += 1

    on_all(nodes, work)
    d = assert_equal(*nodes)
    assert len(d["table t"]) == told[0]


def test_lww_converges(cluster):
    """Without waiting for each other the nodes may overwrite each other, but end equal (I5)."""
    nodes = start(cluster, ["CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, writer INT, n INT)",
                            "CREATE TABLE u (k TEXT UNIQUE, writer INT)", "CREATE TABLE c (id INTEGER PRIMARY KEY, n INT)",
                            "INSERT INTO c VALUES (1, 0)"], mode="lww")

    def tolerant(call):
        try:
            call()
        except HttpError as e:
            assert e.status == 409 or e.may_retry, e

    def work(node, number):
        rnd = random.Random(number)
        for n in range(50):
            tolerant(lambda n=n: node.query("INSERT INTO t(writer, n) VALUES (?, ?)", [number, n]))
            tolerant(lambda: node.query("INSERT INTO u VALUES (?, ?)", [f"k{rnd.randrange(40)}", number]))
            tolerant(lambda: node.query("UPDATE c SET n = n + 1"))
            tolerant(lambda: node.query("DELETE FROM u WHERE k = ?", [f"k{rnd.randrange(40)}"]))

    on_all(nodes, work)
    d = assert_equal(*nodes, deadline_s=CATCH_UP_S)
    assert len(d["table c"]) == 1 and len(d["table t"]) >= 50
