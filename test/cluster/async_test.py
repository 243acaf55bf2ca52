"""--async-replication: the client is told when the file has its transaction; the log gets it when it can."""

import base64
import contextlib
import os
import random
import re
import shutil
import sqlite3
import threading
import time

import pytest

from ha import CATCH_UP_S, SLOW, HttpError, assert_equal, synced, wait_until
from ledger import Ledger, outbox
from natsclient import NatsClient

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))

ASYNC = ["--async-replication", "--replication-timeout", "5s"]


def drained(*nodes):
    for n in nodes:
        wait_until(lambda n=n: outbox(n) == 0, CATCH_UP_S, f"{n.name}: the outbox is drained")
    for n in nodes:
        wait_until(lambda n=n: synced(n), CATCH_UP_S, f"{n.name}: /readyz?sync")


def start(cluster, count=2):
    server = cluster.nats()
    nodes = [cluster.node(url=server, args=ASYNC) for _ in range(count)]
    nodes[0].script("CREATE TABLE t (id INTEGER PRIMARY KEY, node TEXT, v)", "CREATE TABLE c (id INTEGER PRIMARY KEY, n INT)",
                    "CREATE TABLE u (k TEXT PRIMARY KEY, v)")
    drained(*nodes)
    return server, nodes


def test_acknowledged_while_nats_is_down(cluster):
    server, (a, b) = start(cluster)
    server.kill9()
    wait_until(lambda: a.status()["nats"] == "disconnected", what="the node sees that NATS is gone")
    for n, first in ((a, 0), (b, 1000)):
        started = time.monotonic()
        for i in range(100):
            assert n.query("INSERT INTO t VALUES (?, ?, ?)", [first + i, n.name, i]).rows_affected == 1
        assert time.monotonic() - started < 10 * SLOW, "a write waited for NATS"
        assert n.query("SELECT count(*) FROM t").value == 100, "a node has what it was told, and no more"
        assert outbox(n) >= 1
    server.start()
    drained(a, b)
    d = assert_equal(a, b)
    assert len(d["table t"]) == 200


def test_kill_with_a_full_outbox(cluster):
    """kill -9 while nothing can be published; it is published after the restart, also if the log is back only later."""
    server, (a, b) = start(cluster)
    server.kill9()
    wait_until(lambda: a.status()["nats"] == "disconnected", what="the node sees that NATS is gone")
    for i in range(50):
        a.query("INSERT INTO t VALUES (?, 'a', ?)", [i, i])
    a.kill9()
    a.start(wait=False)
    wait_until(lambda: a.http.request("GET", "/livez").status == 200, what="the node runs without NATS")
    assert a.query("SELECT count(*) FROM t").value == 50
    for i in range(50, 100):
        a.query("INSERT INTO t VALUES (?, 'a', ?)", [i, i])
    assert b.query("SELECT count(*) FROM t").value == 0
    server.start()
    drained(a, b)
    d = assert_equal(a, b)
    assert [r[0] for r in sorted(d["table t"])] == list(range(100))


def test_killed_while_draining(cluster):
    """What was published before the kill is not there twice, what was not is published after it."""
    print(f"CHAOS_SEED={SEED}")
    rnd = random.Random(f"{SEED} draining")
    server, (a, b) = start(cluster)
    expected = 0
    for _ in range(max(2, int(6 / SLOW))):
        server.kill9()
        wait_until(lambda: a.status()["nats"] == "disconnected", what="the node sees that NATS is gone")
        for _ in range(300):
            # A counter shows what is applied once too often or in the wrong order; its only writer is here.
            a.batch([("INSERT INTO t VALUES (?, 'a', 0)", [expected]),
                     "INSERT INTO c VALUES (1, 1) ON CONFLICT(id) DO UPDATE SET n = n + 1"])
            expected += 1
        server.start()
        before = b.query("SELECT count(*) FROM t").value
        goal = before + rnd.randint(1, 290)
        wait_until(lambda g=goal: b.query("SELECT count(*) FROM t").value >= g, what="the outbox is being drained")
        a.kill9()
        a.start()
        drained(a, b)
        d = assert_equal(a, b)
        assert len(d["table t"]) == expected
        assert b.query("SELECT n FROM c").value == expected


def test_drains_thousands(cluster):
    server, (a, b) = start(cluster)
    server.kill9()
    wait_until(lambda: a.status()["nats"] == "disconnected", what="the node sees that NATS is gone")
    count = int(20000 / SLOW)
    threads = []

    def write(first):
        for i in range(first, first + count // 8):
            a.query("INSERT INTO t VALUES (?, 'a', ?)", [i, i])
        a.http.close()

    for k in range(8):
        threads.append(threading.Thread(target=write, args=(k * (count // 8),), daemon=True))
        threads[-1].start()
    for t in threads:
        t.join()
    messages = outbox(a)
    server.start()
    wait_until(lambda: a.status()["nats"] == "connected", what="NATS is back")
    started = time.monotonic()
    drained(a, b)
    print(f"{messages} messages of {count} transactions drained in {time.monotonic() - started:.2f} s")
    d = assert_equal(a, b)
    assert len(d["table t"]) == count // 8 * 8


def test_two_nodes_converge(cluster):
    """The same rows, keys and unique values from both sides at once."""
    print(f"CHAOS_SEED={SEED}")
    _, (a, b) = start(cluster)
    a.query("CREATE TABLE w (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT UNIQUE, j TEXT UNIQUE, v)")
    drained(a, b)
    errors = []

    def work(node, number):
        rnd = random.Random(f"{SEED} {number}")
        try:
            for i in range(int(400 / SLOW)):
                sql, params = rnd.choice([
                    ("INSERT OR REPLACE INTO w(k, j, v) VALUES (?, ?, ?)", [f"k{rnd.randrange(20)}", f"j{rnd.randrange(20)}", i]),
                    ("INSERT INTO w(k, v) VALUES (?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v", [f"k{rnd.randrange(20)}", i]),
                    ("UPDATE OR REPLACE w SET j = ? WHERE id % 5 = ?", [f"j{rnd.randrange(20)}", rnd.randrange(5)]),
                    ("DELETE FROM w WHERE k = ?", [f"k{rnd.randrange(20)}"]),
                    ("UPDATE w SET v = v + 1 WHERE id % 3 = ?", [rnd.randrange(3)]),
                    ("INSERT INTO u VALUES (?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v", [f"u{rnd.randrange(9)}", node.name])])
                try:
                    node.query(sql, params)
                except HttpError as e:
                    if e.status != 409:
                        raise
        except BaseException as e:  # pylint: disable=broad-except
            errors.append(e)
        finally:
            node.http.close()

    threads = [threading.Thread(target=work, args=(n, i), daemon=True) for i, n in enumerate((a, b, a, b))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    drained(a, b)
    assert_equal(a, b, rowids=False)
    for n in (a, b):
        assert n.query("PRAGMA integrity_check").rows == [["ok"]]


def test_nobody_is_set_back(cluster):
    """Messages of others come in between, on other rows: a node's own rows are never as they were before."""
    print(f"CHAOS_SEED={SEED}")
    _, nodes = start(cluster, 3)
    for i, n in enumerate(nodes):
        n.query("INSERT INTO c VALUES (?, 0)", [i])
    drained(*nodes)
    count = int(600 / SLOW)
    errors = []

    def work(node, row):
        try:
            for i in range(1, count + 1):
                r = node.query("UPDATE c SET n = n + 1 WHERE id = ? RETURNING n", [row])
                assert r.rows == [[i]], f"{node.name} was told {r.rows[0][0]} at its {i}th increment"
        except BaseException as e:  # pylint: disable=broad-except
            errors.append(e)
        finally:
            node.http.close()

    threads = [threading.Thread(target=work, args=(n, i), daemon=True) for i, n in enumerate(nodes)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    drained(*nodes)
    assert_equal(*nodes)
    assert nodes[0].query("SELECT id, n FROM c ORDER BY id").rows == [[i, count] for i in range(3)]


@pytest.mark.parametrize("point", ("commit.local=kill@20", "apply.done=kill@5"))
def test_dies_on_the_way(cluster, point):
    """Between the file and the log: the ledger says what must be there."""
    print(f"CHAOS_SEED={SEED}")
    _, nodes = start(cluster, 2)
    nodes[0].query("DROP TABLE c")
    drained(*nodes)
    ledger = Ledger(nodes, f"{SEED} {point}", mode="async")
    ledger.wait_acknowledged(20)
    victim = nodes[1]
    victim.kill9()
    victim.env["HA_FAULT"] = point
    victim.may_die = True
    victim.start(wait=False)
    assert victim.wait_exit(CATCH_UP_S) == -9
    del victim.env["HA_FAULT"]
    victim.start()
    victim.may_die = False
    ledger.wait_progress()
    ledger.finish()


# ---- what the log acknowledged and then lost ---------------------------------------------------------------------

OWED_S = 90  # suspicion takes 15 s; the fault points of these tests slow the applier down


def log_of(node):
    return node.status()["databases"][0]


def messages(server, node):
    with NatsClient(server.port) as nats:
        return nats.stream(log_of(node)["stream"])["state"]["last_seq"]


def settled(*nodes):
    for n in nodes:
        wait_until(lambda n=n: outbox(n) == 0, OWED_S, f"{n.name}: the outbox is empty")
    drained(*nodes)


def test_a_lost_message_is_repeated_in_order(cluster):
    """One message of many was acknowledged and is not in the log: what its node wrote behind it is there already, delivered
    and taken out, and the last write still wins, on all nodes; at the node itself nothing ever goes back."""
    server, (a, b) = start(cluster)
    a.query("INSERT INTO c VALUES (1, 0), (2, 0)")
    drained(a, b)
    a.env["HA_FAULT"] = "outbox.lost=fail@3"
    a.restart()
    for i in range(1, 7):  # the third one gets lost
        r = a.batch([("INSERT INTO t VALUES (?, 'a', 0)", [i]), "UPDATE c SET n = n + 1 WHERE id = 1 RETURNING n"])
        assert r[1].rows == [[i]]
    wait_until(lambda: outbox(a) > 0, what="something is owed")
    until = time.monotonic() + 30 * SLOW
    done, n, others = False, 6, 0
    while not done and time.monotonic() < until:  # it goes on writing, as does the other one
        n += 1
        assert a.query("UPDATE c SET n = n + 1 WHERE id = 1 RETURNING n").rows == [[n]]
        others += 1
        b.query("UPDATE c SET n = n + 1 WHERE id = 2")
        done = "published again" in a.log()
    assert done, "it was not noticed"
    settled(a, b)
    d = assert_equal(a, b)
    assert sorted(r[0] for r in d["table t"]) == list(range(1, 7))
    assert b.query("SELECT n FROM c ORDER BY id").rows == [[n], [others]]
    assert a.log().count("published again") == 1
    assert log_of(a)["restores"] == log_of(b)["restores"] == 0
    a.post("/snapshot", "")  # refused with a message in the outbox
    del a.env["HA_FAULT"]
    before = messages(server, a)
    a.restart()
    settled(a, b)
    assert messages(server, a) == before, "nothing is published once more"


def test_the_log_is_rolled_back_under_an_asynchronous_node(cluster):
    """nats-server comes back with an older store while a message that it acknowledged is on its way: another node's message
    stands in its place."""
    server, (a, b) = start(cluster)
    b.query("INSERT INTO t VALUES (1, 'b', 'before')")
    drained(a, b)
    a.arm_hold("apply.next")
    a.restart(wait=False)
    wait_until(lambda: log_of(a)["state"] == "following", OWED_S, "a follows the log")
    server.terminate()
    shutil.copytree(server.directory + "/js", server.directory + "/older")
    wait_until(lambda: log_of(a)["state"] == "offline", OWED_S, "a sees that NATS is gone")
    server.start()
    wait_until(lambda: log_of(a)["state"] == "following" and log_of(b)["state"] == "following", OWED_S, "both follow the log")
    last = messages(server, a)
    a.hold()  # it does not look at what the log delivers
    a.query("INSERT INTO t VALUES (2, 'a', 'lost')")
    wait_until(lambda: messages(server, a) == last + 1, what="the message is in the log")
    server.kill9()
    assert log_of(a)["seq"] == last, "it was delivered already"
    b.kill9()  # it may have got it; then its file would be aside
    shutil.rmtree(b.directory)
    os.mkdir(b.directory)
    shutil.rmtree(server.directory + "/js")
    shutil.move(server.directory + "/older", server.directory + "/js")
    server.start()
    b.start()
    b.query("INSERT INTO t VALUES (3, 'b', 'in its place')")
    wait_until(lambda: messages(server, a) == last + 1, what="b's message is in the log")
    a.let_go()
    wait_until(lambda: "published again" in a.log(), OWED_S, "a notices that its message is lost")
    settled(a, b)
    d = assert_equal(a, b)
    assert sorted(r[0] for r in d["table t"]) == [1, 2, 3]
    assert messages(server, a) == last + 2, "the lost one, once"
    assert log_of(a)["restores"] == 0


def test_a_copy_that_holds_the_message_already(cluster):
    """A message is in the log, and its node, which has not seen it there yet, is restored from a copy that holds it: it
    leaves the outbox, is not published again, and does not lie on what another node wrote behind it."""
    server, (a, b) = start(cluster)
    b.query("INSERT INTO c VALUES (1, 0)")
    drained(a, b)
    a.arm_hold("apply.next")
    a.restart(wait=False)
    wait_until(lambda: log_of(a)["state"] == "following", OWED_S, "a follows the log")
    a.hold()
    seen = log_of(a)["seq"]
    b.query("INSERT INTO t VALUES (1, 'b', 'to be erased')")
    wait_until(lambda: messages(server, b) == seen + 1, what="b's message is in the log")
    a.query("UPDATE c SET n = 1")
    wait_until(lambda: messages(server, b) == seen + 2, what="a's message is in the log")
    with NatsClient(server.port) as nats:
        nats.api(f"STREAM.MSG.DELETE.{log_of(b)['stream']}", {"seq": seen + 1})
    wait_until(lambda: b.query("SELECT n FROM c").value == 1, what="b has both")
    b.query("UPDATE c SET n = 2")
    wait_until(lambda: messages(server, b) == seen + 3, what="b's answer to it is in the log")
    server.terminate()  # what a's feed has brought already goes with it
    wait_until(lambda: log_of(a)["state"] == "offline", OWED_S, "a sees that NATS is gone")
    assert log_of(a)["seq"] == seen and outbox(a) == 1, "it was delivered already"
    a.let_go()
    server.start()
    wait_until(lambda: log_of(a)["restores"] == 1, OWED_S, "a takes a copy")
    settled(a, b)
    d = assert_equal(a, b)
    assert d["table c"][0][-1] == 2 and len(d["table t"]) == 1
    assert messages(server, b) == seen + 3, "nothing is published again"


def stored(server, node, seq):
    """Id and body of a message of the log."""
    with NatsClient(server.port) as nats:
        m = nats.api(f"STREAM.MSG.GET.{log_of(node)['stream']}", {"seq": seq})["message"]
    return re.search(r"Nats-Msg-Id: *(\S+)", base64.b64decode(m["hdrs"]).decode())[1], base64.b64decode(m["data"])


def test_a_message_that_the_file_has_passed(cluster):
    """The log has a message of the outbox before the file's position: the file was not made from this log. It is kept aside,
    and the message is not published again."""
    server, (a, b) = start(cluster)
    a.query("INSERT INTO c VALUES (1, 1)")
    drained(a, b)
    seq = log_of(a)["seq"]
    b.query("UPDATE c SET n = 2")
    drained(a, b)
    a.terminate()
    with contextlib.closing(sqlite3.connect(a.directory + "/ha.db")) as db:
        msg_id, body = stored(server, b, seq)
        db.execute("INSERT INTO ha_outbox VALUES (1, ?, 0, 0, ?)", (msg_id, body))
        db.execute("UPDATE c SET n = 1")
        db.commit()
    a.start(wait=False)
    wait_until(lambda: log_of(a)["restores"] == 1, OWED_S, "a takes a copy")
    settled(a, b)
    d = assert_equal(a, b)
    assert d["table c"][0][-1] == 2
    assert log_of(a)["divergences"] == 1 and "the file has passed it" in a.log()
    assert messages(server, b) == seq + 1, "nothing is published again"


def test_nodes_that_lose_messages_converge(cluster):
    """Two nodes write the same rows, big transactions among it, and the log loses a message of each."""
    print(f"CHAOS_SEED={SEED}")
    _, (a, b) = start(cluster)
    for n, fault in ((a, 7), (b, 13)):
        n.env["HA_FAULT"] = f"outbox.lost=fail@{fault}"
        n.restart()
    errors, over, added = [], threading.Event(), [0, 0]

    def work(node, number):
        rnd = random.Random(f"{SEED} lost {number}")

        def write(sql, params):
            node.retrying(lambda: node.query(sql, params))

        try:
            for i in range(10**6):
                if over.is_set():
                    return
                k, size = f"k{rnd.randrange(5)}", 2000000 if i % 50 == 6 else 10
                if rnd.randrange(4):
                    write("INSERT INTO u VALUES (?, ? || hex(zeroblob(?))) ON CONFLICT(k) DO UPDATE SET v = excluded.v",
                          [k, f"{node.name} {i} ", size // 2])
                else:
                    write("DELETE FROM u WHERE k = ?", [k])
                write("INSERT INTO c VALUES (?, 1) ON CONFLICT(id) DO UPDATE SET n = n + 1", [number])
                added[number] += 1
                over.wait(0.02)
        except BaseException as e:  # pylint: disable=broad-except
            errors.append(e)
        finally:
            node.http.close()

    threads = [threading.Thread(target=work, args=(n, i), daemon=True) for i, n in enumerate((a, b))]
    for t in threads:
        t.start()
    try:
        for n in (a, b):
            wait_until(lambda n=n: errors or "published again" in n.log(), OWED_S, f"{n.name} notices that a message is lost")
    finally:
        over.set()
        for t in threads:
            t.join()
    if errors:
        raise errors[0]
    settled(a, b)
    assert_equal(a, b)
    for n in (a, b):
        assert n.query("SELECT n FROM c ORDER BY id").rows == [[added[0]], [added[1]]]
        assert log_of(n)["restores"] == 0


def test_killed_while_a_message_is_owed(cluster):
    """What came without the lost message in front stays in the outbox, over a kill, and is repeated behind it."""
    _, (a, b) = start(cluster)
    a.query("INSERT INTO c VALUES (1, 0)")
    drained(a, b)
    a.env["HA_FAULT"] = "outbox.lost=fail@3"
    a.restart()
    for i in range(1, 7):
        assert a.query("UPDATE c SET n = n + 1 WHERE id = 1 RETURNING n").rows == [[i]]
    wait_until(lambda: "does not have a message that it has acknowledged" in a.log(), what="it is missed")
    wait_until(lambda: b.query("SELECT n FROM c").value > 3, what="what came behind it is at b")
    a.kill9()
    del a.env["HA_FAULT"]
    assert "published again" not in a.log()
    a.start()
    assert a.query("SELECT n FROM c").value == 6
    settled(a, b)
    d = assert_equal(a, b)
    assert d["table c"][0][-1] == 6
