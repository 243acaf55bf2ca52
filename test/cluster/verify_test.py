"""GET /verify and `ha verify`: the nodes are compared at one and the same sequence, also while they are written to."""

import signal
import sqlite3
import subprocess
import threading

import pytest

from ha import BINARY, CATCH_UP_S, HttpError, assert_equal, stall, wait_until
from natsclient import NatsClient


def verify(node, db=None):
    path = "/verify" if db is None else f"/databases/{db}/verify"
    return node.http.ok("GET", path, timeout_s=60).json()


def command(*args):
    """(exit status, standard output, standard error) of `ha verify …`."""
    p = subprocess.run([BINARY, "verify", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
    return p.returncode, p.stdout, p.stderr


def fill(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v, w TEXT AS (v || 'x') STORED)")
    node.query("CREATE TABLE u (a TEXT PRIMARY KEY, b REAL) WITHOUT ROWID")
    node.query("CREATE VIRTUAL TABLE f USING fts5(body)")
    node.query("CREATE INDEX t_v ON t (v)")
    node.query("INSERT INTO t (v) VALUES (1), (1.5), ('a'), (x'00ff'), (NULL)")
    node.query("INSERT INTO u VALUES ('one', 1), ('two', 2e300)")
    node.query("INSERT INTO f VALUES ('some words'), ('other words')")


def spoil(node, sql):
    """Changes the file behind the node's back."""
    db = sqlite3.connect(f"{node.directory}/ha.db", timeout=30)
    db.execute(sql)
    db.commit()
    db.close()


def test_equal_nodes_are_equal(cluster):
    nodes = cluster.nodes(3)
    fill(nodes[1])
    assert_equal(*nodes)
    for n in nodes:
        v = verify(n)
        assert v["equal"] is True and v["differences"] == [] and v["problems"] == []
        assert sorted(v["nodes"]) == ["node1", "node2", "node3"]
        rows = {t["name"]: t["rows"] for t in v["tables"]}
        assert rows["t"] == 5 and rows["u"] == 2 and "(schema)" in rows and "f_content" in rows
        assert not any(name.startswith("ha_") for name in rows)
    status, out, err = command("-r", nodes[0].url)
    assert status == 0 and "equal" in out and err == "", (status, out, err)


def test_one_value_of_another_storage_class_is_found(cluster):
    nodes = cluster.nodes(3)
    fill(nodes[0])
    assert_equal(*nodes)
    spoil(nodes[1], "UPDATE t SET v = '1' WHERE id = 1")  # it was the integer 1
    v = verify(nodes[0])
    assert v["equal"] is False and v["problems"] == []
    assert [(d["node"], d["table"]) for d in v["differences"]] == [("node2", "t")]
    status, out, _ = command("-r", nodes[2].url)
    assert status == 1 and "node2" in out and '"t"' in out, out


def test_schema_and_missing_tables_are_compared(cluster):
    nodes = cluster.nodes(3)
    fill(nodes[0])
    assert_equal(*nodes)
    spoil(nodes[2], "CREATE TABLE extra (x)")
    found = {(d["node"], d["table"]) for d in verify(nodes[0])["differences"]}
    assert found == {("node3", "(schema)"), ("node3", "extra")}


def test_the_order_of_rows_in_the_file_does_not_count(cluster):
    nodes = cluster.nodes(2)
    nodes[0].query("CREATE TABLE t (a TEXT PRIMARY KEY)")
    nodes[0].query("INSERT INTO t VALUES ('x'), ('y'), ('z')")
    assert_equal(*nodes)
    spoil(nodes[1], "UPDATE t SET rowid = rowid + 100 WHERE a = 'x'")
    assert verify(nodes[0])["equal"] is True


def test_while_writes_go_on(cluster):
    nodes = cluster.nodes(3)
    fill(nodes[0])
    over = threading.Event()
    written = [0, 0]

    def write(i):
        k = 0
        while not over.is_set():
            nodes[i].retrying(lambda: nodes[i].query("INSERT INTO t (v) VALUES (?)", [f"{i}-{k}"]))
            k += 1
            written[i] = k

    threads = [threading.Thread(target=write, args=(i,)) for i in (0, 1)]
    for t in threads:
        t.start()
    try:
        wait_until(lambda: all(w > 20 for w in written), CATCH_UP_S, "both writers at work")
        before = sum(written)
        reports = [verify(nodes[2]) for _ in range(3)]
        assert sum(written) > before
    finally:
        over.set()
        for t in threads:
            t.join()
    assert all(r["equal"] for r in reports), reports
    assert reports[0]["seq"] < reports[-1]["seq"]
    assert all(len(r["nodes"]) == 3 for r in reports)
    assert_equal(*nodes)


def test_lww_with_writes(cluster):
    nodes = cluster.nodes(2, consistency="lww")
    nodes[0].query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    over = threading.Event()

    def write(i):
        while not over.is_set():
            nodes[i].retrying(lambda: nodes[i].query("INSERT INTO t (id, v) VALUES (abs(random()), ?)", [i]))

    wait_until(lambda: nodes[1].query("SELECT count(*) FROM sqlite_schema WHERE name = 't'").value, CATCH_UP_S)
    threads = [threading.Thread(target=write, args=(i,)) for i in (0, 1)]
    for t in threads:
        t.start()
    try:
        wait_until(lambda: nodes[0].query("SELECT count(*) FROM t").value > 50, CATCH_UP_S)
        assert verify(nodes[1])["equal"] is True
    finally:
        over.set()
        for t in threads:
            t.join()


def test_without_nats_there_is_one_opinion(cluster):
    n = cluster.node(nats_port=0)
    n.query("CREATE TABLE t (a)")
    v = verify(n)
    assert v["equal"] is True and v["nodes"] == ["node1"]


def test_wrong_questions(cluster):
    n = cluster.node(nats_port=0)
    for args, word in ((["-r", "nonsense"], "nonsense"), (["--bogus"], "--bogus"), (["-r"], "-r"),
                       (["extra"], "extra")):
        status, out, err = command(*args)
        assert status == 2 and word in err and err.count("\n") == 1 and out == "", (args, status, out, err)
    status, _, err = command("-r", n.url, "--database", "no.db")
    assert status == 2 and "no.db" in err
    status, out, _ = command("--help")
    assert status == 0 and "ha verify" in out


def test_a_silent_node_is_named(cluster):
    nodes = cluster.nodes(3)
    fill(nodes[0])
    assert_equal(*nodes)
    wait_until(lambda: len(nodes[0].get("/replications").json()["replications"]) == 3, what="all are on the roster")
    stall(nodes[2])
    try:
        v = verify(nodes[0])
        assert v["equal"] is True and v["complete"] is False and v["expected"] == 3
        assert sorted(v["nodes"]) == ["node1", "node2"]
        (silent,) = v["silent"]
        assert silent["name"] == "node3" and silent["seq"] > 0 and silent["last_seen"].startswith("20")
        status, out, err = command("-r", nodes[1].url)
        assert status == 1 and "NOT COMPLETE" in out and "2 of 3 nodes" in out and err == "", (status, out, err)
        assert "node node3 is silent: it was last heard of at 20" in out, out
        # Whoever asks may know better than the roster.
        for who, expected in (("2", 0), ("node1,node2", 0), ("3", 1), ("node2,node4", 1)):
            status, out, err = command("-r", nodes[0].url, "--expect-nodes", who)
            assert status == expected and err == "", (who, status, out, err)
        assert "node node4 is silent: it was never heard of" in out and "node3" not in out, out
    finally:
        nodes[2].signal(signal.SIGCONT)
    wait_until(lambda: verify(nodes[0])["complete"], what="it answers again")
    # One that has left for good is no longer expected.
    nodes[2].terminate()
    assert verify(nodes[0])["complete"] is False
    nodes[0].http.ok("DELETE", "/replications/node3")
    v = verify(nodes[0])
    assert v["complete"] is True and v["expected"] == 2 and v["silent"] == [], v


def test_what_cannot_be_expected(cluster):
    n = cluster.node(nats_port=0)
    n.query("CREATE TABLE t (a)")
    for who in ("", "a,", ",a", "a,,b"):
        status, out, err = command("-r", n.url, "--expect-nodes", who)
        assert status == 1 and "neither a number of nodes" in err and err.count("\n") == 1 and out == "", (who, err)
    for who, expected in (("1", 0), ("node1", 0), ("2", 1), ("node1,ä/b", 1)):
        status, out, err = command("-r", n.url, "--expect-nodes", who)
        assert status == expected and err == "", (who, status, out, err)
    assert "node ä/b is silent" in out, out


def test_a_node_that_does_not_follow_is_named_once(cluster):
    """It answers, but has no place in the log: a problem, and not silent."""
    server = cluster.nats()
    a = cluster.node(url=server)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    other = cluster.node("other", start=False, url=server)
    db = sqlite3.connect(f"{other.directory}/ha.db")
    db.execute("CREATE TABLE mine (x)")
    db.commit()
    db.close()
    other.start(wait=False)
    wait_until(lambda: other.status()["databases"][0]["state"] == "stopped", what="it refuses the log")
    v = verify(a)
    assert v["equal"] is False and v["nodes"] == ["node1"] and v["silent"] == [], v
    (problem,) = v["problems"]
    assert problem.startswith('node "other"') and "content of its own" in problem, problem
    status, out, _ = command("-r", a.url)
    assert status == 1 and 'node "other"' in out, out


def test_asynchronous_nodes(cluster):
    """Equal while both write, once what they have is in the log; not compared while something is not."""
    server = cluster.nats()
    nodes = [cluster.node(url=server, args=["--async-replication"]) for _ in range(2)]
    nodes[0].query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    wait_until(lambda: nodes[1].query("SELECT count(*) FROM sqlite_schema WHERE name = 't'").value, CATCH_UP_S)
    for i in range(20):
        nodes[i % 2].query("INSERT INTO t (id, v) VALUES (?, ?)", [i, f"n{i % 2}"])
        nodes[1 - i % 2].query("INSERT OR REPLACE INTO t (id, v) VALUES (?, 'the other')", [i])
    wait_until(lambda: all(n.status()["databases"][0]["outbox"] == 0 for n in nodes), CATCH_UP_S, "all is in the log")
    v = wait_until(lambda: verify(nodes[0]), what="compared")
    assert v["equal"] is True and v["complete"] is True and len(v["nodes"]) == 2, v
    spoil(nodes[1], "UPDATE t SET v = 'spoiled' WHERE id = 3")
    v = verify(nodes[0])
    assert v["equal"] is False and {d["table"] for d in v["differences"]} == {"t"}, v

    # One cannot publish: its file is ahead of the log, and nothing is said about equality.
    other = cluster.nats()  # a log of its own
    alone = cluster.node(url=other, args=["--async-replication", "--replication-timeout", "1s"])
    alone.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    wait_until(lambda: alone.status()["databases"][0]["outbox"] == 0, CATCH_UP_S)
    with NatsClient(other.port) as nats:
        config = nats.api("STREAM.INFO.ha_replication-ha=2Edb")["config"]
        nats.api("STREAM.UPDATE.ha_replication-ha=2Edb", {**config, "max_msg_size": 10})
        alone.query("INSERT INTO t VALUES (1, 'not in the log')")
        with pytest.raises(HttpError) as busy:
            verify(alone)
        assert busy.value.status == 503 and "writes that are not in the log yet" in str(busy.value)
        status, out, err = command("-r", alone.url)
        assert status == 1 and "not in the log yet" in err and out == "", (status, out, err)
        nats.api("STREAM.UPDATE.ha_replication-ha=2Edb", {**config, "max_msg_size": -1})
    wait_until(lambda: alone.status()["databases"][0]["outbox"] == 0, CATCH_UP_S, "it is in the log at last")
    assert verify(alone)["equal"] is True
