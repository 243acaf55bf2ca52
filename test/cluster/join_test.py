"""Nodes that the log alone cannot bring up to date, and logs that are not the ones that files belong to."""

import contextlib
import glob
import os
import re
import shutil
import sqlite3

import pytest

import ha
from ha import HttpError, assert_equal, wait_until
from natsclient import NatsClient
from snapshot_test import damage, fill, metas, take

STREAM = "ha_replication-ha=2Edb"


def purge(nats, keep=0):
    """Drops the log's messages, as --replication-max-age does in the course of time."""
    nats.api(f"STREAM.PURGE.{STREAM}", {"keep": keep} if keep else {})


def db_status(node):
    return node.status()["databases"][0]


def counted(node, sql="SELECT count(*) FROM t"):
    return node.query(sql).value


def stopped(node, text):
    st = db_status(node)
    return st["state"] == "stopped" and text in st["reason"]


def aside_files(node):
    return glob.glob(os.path.join(node.directory, "*.diverged-*"))


def copy_store(server, name):
    shutil.copytree(os.path.join(server.directory, "js"), os.path.join(server.directory, name))


def restore_store(server, name):
    shutil.rmtree(os.path.join(server.directory, "js"))
    shutil.copytree(os.path.join(server.directory, name), os.path.join(server.directory, "js"))


# ---- joining ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [False, True])
def test_new_node_after_the_log_was_cut(cluster, memory):
    a = cluster.node()
    fill(a, 500)
    seq = take(a)["seq"]
    fill(a, 50)  # the tail
    with NatsClient(a.nats_port) as nats:
        nats.api(f"STREAM.PURGE.{STREAM}", {"seq": seq + 1})
    b = cluster.node(url=a, memory=memory)
    assert_equal(a, b)
    assert counted(b) == 550
    st = db_status(b)
    assert st["restores"] == 1 and st["gaps"] == 1 and st["divergences"] == 0
    b.query("INSERT INTO t(v) VALUES ('from b')")
    assert_equal(a, b)
    if memory:
        fill(a, 10)
        take(a)
        with NatsClient(a.nats_port) as nats:
            purge(nats)
        b.restart()
        assert_equal(a, b)
        assert counted(b) == 561


def test_compared_with_the_others_after_a_restore(cluster):
    a, b = cluster.nodes(2)
    fill(a, 20)
    take(a)
    wait_until(lambda: ha.synced(b))
    with NatsClient(a.nats_port) as nats:
        purge(nats)
    c = cluster.node(url=a)
    found = wait_until(lambda: db_status(c)["verified"], what="compared")
    assert found["equal"] is True and found["seq"] >= 2, found
    (line,) = [s for s in c.log().splitlines() if "was compared with the other nodes: equal" in s]
    assert "nodes=3 not_compared=0" in line, line
    assert db_status(a)["verified"] is None

    # Somebody has changed the others' files, so the one that is restored is not what they hold.
    for node in (a, b):
        with contextlib.closing(sqlite3.connect(os.path.join(node.directory, "ha.db"), timeout=30)) as db:
            db.execute("UPDATE t SET v = 'spoiled' WHERE id = 1")
            db.commit()
    d = cluster.node(url=a)
    assert wait_until(lambda: db_status(d)["verified"], what="compared")["equal"] is False
    assert "is not what other nodes hold: ha verify says where" in d.log()


def test_node_that_was_away_for_too_long(cluster):
    a, b = cluster.nodes(2)
    fill(a, 300)
    wait_until(lambda: ha.synced(b))
    b.terminate()
    fill(a, 300)
    take(a)
    with NatsClient(a.nats_port) as nats:
        purge(nats)
    b.start()
    assert_equal(a, b)
    assert counted(b) == 600
    assert not aside_files(b), "an old prefix of the log need not be kept"


def test_no_copy_anywhere(cluster):
    """Neither the log nor a snapshot nor a node has what is missing: not served, and it says why; then there is one."""
    server = cluster.nats()
    a = cluster.node(url=server)
    fill(a, 10)
    a.terminate()
    with NatsClient(server.port) as nats:
        purge(nats)
    b = cluster.node(url=server, wait=False)
    wait_until(lambda: stopped(b, "messages in between are gone"))
    wait_until(lambda: "neither a snapshot nor another node" in db_status(b)["reason"])
    assert not b.ready()
    with pytest.raises(HttpError) as refused:
        b.query("SELECT 1")
    assert refused.value.status == 503 and "messages in between are gone" in str(refused.value)
    a.start()
    b.wait_ready()
    assert_equal(a, b)
    assert "from=\"another node\"" in b.log()


@pytest.mark.parametrize("memory", [False, True])
def test_copy_of_another_node(cluster, memory):
    """Without a snapshot a new node takes a living one's copy, while that goes on writing."""
    a = cluster.node()
    fill(a, 3000)
    with NatsClient(a.nats_port) as nats:
        purge(nats)
    b = cluster.node(url=a, memory=memory, wait=False)
    for n in range(50):
        a.query("INSERT INTO t(v) VALUES (?)", [n])
    b.wait_ready()
    assert_equal(a, b)
    assert counted(b) == 3050
    assert db_status(b)["restores"] == 1


def test_damaged_newest_snapshot(cluster):
    """The one before is used, for the log continues that one, too."""
    a = cluster.node()
    fill(a, 500)
    old = take(a)["seq"]
    fill(a, 500)
    take(a)
    with NatsClient(a.nats_port) as nats:
        damage(nats, metas(nats)["ha.db"]["nuid"])
        nats.api(f"STREAM.PURGE.{STREAM}", {"seq": old + 1})
    b = cluster.node(url=a)
    assert "a snapshot is damaged" in b.log()
    assert_equal(a, b)
    assert counted(b) == 1000


@pytest.mark.parametrize("behind", [10, 0])
def test_hole_in_the_log(cluster, behind):
    """One message is missing, in the middle or at the end: no node jumps over it, nor waits for it."""
    a, b = cluster.nodes(2)
    fill(a, 10)
    wait_until(lambda: ha.synced(b))
    b.terminate()
    seq = int(a.post("/query", {"sql": "INSERT INTO t(v) VALUES ('hole')"}).headers["HA-Seq"])
    fill(a, behind)
    with NatsClient(a.nats_port) as nats:
        nats.api(f"STREAM.MSG.DELETE.{STREAM}", {"seq": seq})
    b.start()
    assert f"message {seq} of the log is gone" in b.log() and "database restored" in b.log()
    assert_equal(a, b)
    assert counted(b) == 11 + behind
    b.query("INSERT INTO t(v) VALUES ('on')")
    assert_equal(a, b)
    a.restart()
    assert a.ready(sync=True)


@pytest.mark.parametrize("memory", [False, True])
def test_from_latest_snapshot(cluster, memory):
    a = cluster.node()
    fill(a, 500)
    take(a)
    fill(a, 5)
    b = cluster.node(url=a, memory=memory, args=["--from-latest-snapshot"])
    assert "database begins with a snapshot" in b.log()
    assert_equal(a, b)
    b.restart()
    assert_equal(a, b)
    assert b.log().count("database begins with a snapshot") == (2 if memory else 1)


@pytest.mark.parametrize("source", ["snapshot", "peer"])
@pytest.mark.parametrize("there,here", [(4096, 16384), (8192, 512)])
def test_pages_of_another_size(cluster, source, there, here):
    """The file of a node keeps the size of its pages, whatever the copy's was; rowids are what they were."""
    a = cluster.node(start=False)
    b = cluster.node(start=False, url=a)
    for node, size in ((a, there), (b, here)):
        c = sqlite3.connect(os.path.join(node.directory, "ha.db"))
        c.executescript(f"PRAGMA page_size = {size}; VACUUM")
        c.close()
    a.start()
    fill(a, 300)
    a.query("CREATE TABLE keyless (v)")  # an ordinary VACUUM would renumber these rows
    a.query("CREATE INDEX by_length ON t (length(v))")
    a.query("CREATE VIRTUAL TABLE words USING fts5(body)")
    a.query("INSERT INTO keyless (rowid, v) VALUES (7, 'a'), (70, 'b'), (700, 'c')")
    a.query("INSERT INTO words VALUES ('some words')")
    a.query("PRAGMA user_version = 42")
    if source == "snapshot":
        take(a)
    with NatsClient(a.nats_port) as nats:
        purge(nats)
    b.start()
    assert_equal(a, b)
    assert "given pages of the file's size" in b.log() and db_status(b)["restores"] == 1
    assert b.query("PRAGMA page_size").value == here
    assert b.query("SELECT rowid FROM keyless ORDER BY rowid").rows == [[7], [70], [700]]
    b.query("INSERT INTO t(v) VALUES ('on')")
    b.restart()
    assert_equal(a, b)
    assert not [f for f in os.listdir(b.directory) if ".restore" in f]


def test_new_log_from_the_latest_snapshot(cluster):
    """The log was deleted, and all files: the store's snapshot becomes the beginning of a new log."""
    server = cluster.nats()
    a = cluster.node(url=server)
    fill(a, 500)
    take(a)
    a.terminate()
    with NatsClient(server.port) as nats:
        nats.api(f"STREAM.DELETE.{STREAM}")
    b = cluster.node(url=server, args=["--from-latest-snapshot"])
    assert counted(b) == 500
    c = cluster.node(url=server)
    assert_equal(b, c)


@pytest.mark.parametrize("point", ["restore.loaded=kill", "restore.ready=kill", "restore.done=kill",
                                   "snapshot.loaded=kill"])
@pytest.mark.parametrize("new", [False, True])
def test_killed_while_restoring(cluster, point, new):
    a = cluster.node()
    b = cluster.node(url=a, start=False)
    if not new:
        b.start()
    fill(a, 3000)
    if not new:
        wait_until(lambda: ha.synced(b))
        b.terminate()
    fill(a, 3000)
    take(a)
    with NatsClient(a.nats_port) as nats:
        purge(nats)
    b.env["HA_FAULT"] = point
    b.may_die = True
    b.start(wait=False)
    b.wait_exit()
    del b.env["HA_FAULT"]
    b.may_die = False
    b.start()
    assert_equal(a, b)
    assert counted(b) == 6000
    assert not [f for f in os.listdir(b.directory) if ".restore" in f]


def test_readers_go_on_while_a_file_is_replaced(cluster):
    """A read transaction that has begun sees the old file to its end."""
    server = cluster.nats()
    a, b = cluster.node(url=server), cluster.node(url=server)
    fill(a, 10)
    wait_until(lambda: ha.synced(b))
    server.terminate()
    copy_store(server, "early")
    server.start()
    a.wait_ready()
    fill(a, 2000)
    wait_until(lambda: ha.synced(b))
    begun = b.post("/transactions", {}).json()["transaction"]
    tx = {"HA-Transaction": begun}
    assert b.query("SELECT count(*) FROM t", headers=tx).value == 2010
    server.terminate()
    restore_store(server, "early")
    server.start()
    wait_until(lambda: db_status(b)["restores"] == 1)
    b.wait_ready()
    assert counted(b) == 10
    assert b.query("SELECT count(*) FROM t", headers=tx).value == 2010
    b.post(f"/transactions/{begun}/rollback", "")
    assert_equal(a, b)


# ---- identity --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [False, True])
def test_stream_that_lost_its_tail(cluster, memory):
    """The log was rolled back: the nodes go back to it, and what only their files had is kept aside."""
    server = cluster.nats()
    a, b = (cluster.node(url=server, memory=memory) for _ in range(2))
    fill(a, 10)
    wait_until(lambda: ha.synced(b))
    wait_until(lambda: len(a.get("/replications").json()["replications"]) == 2)
    server.terminate()
    copy_store(server, "early")
    server.start()
    for node in (a, b):
        node.wait_ready()
    a.query("INSERT INTO t(v) VALUES ('lost')")
    wait_until(lambda: ha.synced(b))
    server.terminate()
    restore_store(server, "early")
    server.start()
    for node in (a, b):
        wait_until(lambda node=node: db_status(node)["divergences"] == 1)
        node.wait_ready()
    assert_equal(a, b)
    assert counted(a) == 10
    for node in (a, b):
        (kept,) = aside_files(node)
        assert db_status(node)["aside"] == os.path.realpath(kept)
        c = sqlite3.connect(kept)
        assert c.execute("SELECT count(*) FROM t WHERE v = 'lost'").fetchone() == (1,)
        c.close()
        lines = [line for line in node.log().splitlines() if "kept aside" in line]
        assert len(lines) == 1 and os.path.basename(kept) in lines[0]
    a.query("INSERT INTO t(v) VALUES ('goes on')")
    assert_equal(a, b)


def test_only_node_with_a_lost_tail_does_not_throw_it_away(cluster):
    server = cluster.nats()
    a = cluster.node(url=server)
    fill(a, 10)
    wait_until(lambda: a.get("/replications").json()["replications"])
    server.terminate()
    copy_store(server, "early")
    server.start()
    a.wait_ready()
    a.query("INSERT INTO t(v) VALUES ('only here')")
    server.terminate()
    restore_store(server, "early")
    server.start()
    wait_until(lambda: stopped(a, "--adopt"))
    assert "lost its end" in db_status(a)["reason"]
    assert counted(a, "SELECT count(*) FROM t WHERE v = 'only here'") == 1
    assert not aside_files(a) and not a.ready()


def test_another_message_at_the_position(cluster):
    """The log was rolled back and went on with other content while a node was away."""
    server = cluster.nats()
    a, b = cluster.node(url=server), cluster.node(url=server)
    fill(a, 10)
    wait_until(lambda: ha.synced(b))
    for node in (a, b):
        node.terminate()
    server.terminate()
    copy_store(server, "early")
    server.start()
    a.start()
    a.query("INSERT INTO t(v) VALUES ('of a')")
    a.terminate()
    server.terminate()
    restore_store(server, "early")
    server.start()
    b.start()
    for _ in range(3):
        b.query("INSERT INTO t(v) VALUES ('of b')")
    a.start(wait=False)
    wait_until(lambda: db_status(a)["divergences"] == 1)
    a.wait_ready()
    assert_equal(a, b)
    assert counted(a, "SELECT count(*) FROM t WHERE v = 'of b'") == 3
    c = sqlite3.connect(aside_files(a)[0])
    assert c.execute("SELECT count(*) FROM t WHERE v = 'of a'").fetchone() == (1,)
    c.close()


def test_a_server_whose_copy_of_the_log_differs(cluster):
    """A follower that had no room stored afterwards what the log's leader had refused. Nothing is built on that."""
    servers = cluster.nats_cluster()
    a = cluster.node(url=servers[0], replicas=3)
    b = cluster.node(url=servers[1], replicas=3, env={"HA_FAULT": "apply.other=fail@3"})
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(2):
        a.query("INSERT INTO t(v) VALUES (?)", [i])
    wait_until(lambda: counted(b) == 2)
    b.retrying(lambda: b.query("INSERT INTO t(v) VALUES ('of b')"))
    # Whichever comes first: the write that would build on it, or a tells b of its sums.
    assert "a message that the log's leader does not have" in b.log() or "has other messages than this one" in b.log()
    assert db_status(b)["divergences"] == 1 and len(aside_files(b)) == 1
    assert_equal(a, b)
    assert counted(a) == 3 and not aside_files(a)


def test_snapshot_of_a_log_that_is_no_more(cluster):
    """It is not used for the log that took its place, and not thrown away either."""
    server = cluster.nats()
    a, b = cluster.node(url=server), cluster.node(url=server)
    fill(a, 10)
    wait_until(lambda: ha.synced(b))
    server.terminate()
    copy_store(server, "early")
    server.start()
    a.wait_ready()
    for _ in range(5):
        fill(a, 10)
    lost = take(a)
    wait_until(lambda: ha.synced(b))
    kept_object = os.path.join(server.directory, "js")
    with NatsClient(server.port) as nats:
        assert int(metas(nats)["ha.db"]["metadata"]["ha-seq"]) == lost["seq"]
    server.terminate()
    # The log goes back, the object store stays.
    log = glob.glob(os.path.join(kept_object, "jetstream", "*", "streams", STREAM))[0]
    shutil.rmtree(log)
    shutil.copytree(log.replace("/js/", "/early/"), log)
    server.start()
    for node in (a, b):
        wait_until(lambda node=node: db_status(node)["divergences"] == 1)
        node.wait_ready()
    assert_equal(a, b)
    assert counted(b) == 10
    fill(a, 1)
    new = take(a)
    assert new["taken"] and new["seq"] < lost["seq"]
    with NatsClient(server.port) as nats:
        found = {k: int(m["metadata"]["ha-seq"]) for k, m in metas(nats).items()}
    assert found["ha.db"] == new["seq"]
    (aside,) = [k for k in found if k.startswith("ha.db/aside-")]
    assert found[aside] == lost["seq"]


def test_wiped_store_of_a_single_node(cluster):
    a = cluster.node()
    fill(a, 10)
    a.terminate()
    shutil.rmtree(os.path.join(a.directory, "nats"))
    a.start(wait=False)
    wait_until(lambda: stopped(a, "--adopt"))
    assert counted(a) == 10
    assert not aside_files(a)

    def lines():
        return [line for line in a.log().splitlines() if "database stopped" in line and "--adopt" in line]

    wait_until(lines)
    assert len(lines()) == 1, lines()
    assert "started anew" not in a.log(), "the server answers: it only has no such log"


def test_log_created_anew_by_somebody_else(cluster):
    """The store was wiped and another node has begun a new log: the file gives way, and is kept."""
    server = cluster.nats()
    a = cluster.node(url=server)
    fill(a, 10)
    with NatsClient(server.port) as nats:
        nats.api(f"STREAM.DELETE.{STREAM}")
    wait_until(lambda: stopped(a, "--adopt"))
    b = cluster.node(url=server)
    b.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t(v) VALUES ('new')")
    wait_until(lambda: db_status(a)["divergences"] == 1)
    a.wait_ready()
    assert_equal(a, b)
    assert counted(a) == 1
    c = sqlite3.connect(aside_files(a)[0])
    assert c.execute("SELECT count(*) FROM t").fetchone() == (10,)
    c.close()


def test_pending_transactions_go_along(cluster):
    """Asynchronous: what the log does not have yet is on top of the restored file, and reaches the log."""
    server = cluster.nats()
    a, b = (cluster.node(url=server, args=["--async-replication"]) for _ in range(2))
    fill(a, 10)
    wait_until(lambda: db_status(a)["outbox"] == 0 and ha.synced(b))
    take(a)
    server.terminate()
    copy_store(server, "early")
    server.start()
    for node in (a, b):
        node.wait_ready()
    a.query("INSERT INTO t(id, v) VALUES (100, 'lost')")
    wait_until(lambda: counted(b) == 11)
    wait_until(lambda: db_status(a)["outbox"] == 0)
    server.terminate()
    b.query("INSERT INTO t(id, v) VALUES (200, 'pending')")
    restore_store(server, "early")
    server.start()
    for node in (a, b):
        wait_until(lambda node=node: db_status(node)["divergences"] == 1)
        node.wait_ready()
        wait_until(lambda node=node: db_status(node)["outbox"] == 0)
    assert_equal(a, b)
    assert a.query("SELECT v FROM t WHERE id >= 100").rows == [["pending"]]


def test_no_snapshot_of_a_file_that_is_no_prefix(cluster):
    server = cluster.nats()
    a = cluster.node(url=server)
    fill(a, 10)
    good = take(a)
    wait_until(lambda: a.get("/replications").json()["replications"])
    server.terminate()
    copy_store(server, "early")
    server.start()
    a.wait_ready()
    fill(a, 10)
    server.terminate()
    restore_store(server, "early")
    server.start()
    wait_until(lambda: stopped(a, "lost its end"))
    with pytest.raises(HttpError) as refused:
        take(a)
    assert "not a prefix" in str(refused.value)
    with NatsClient(server.port) as nats:
        assert int(metas(nats)["ha.db"]["metadata"]["ha-seq"]) == good["seq"]


def test_metrics_tell(cluster):
    a = cluster.node()
    fill(a, 10)
    take(a)
    with NatsClient(a.nats_port) as nats:
        purge(nats)
    b = cluster.node(url=a)
    text = b.get("/metrics").body.decode()
    for name, value in (("ha_restores_total", 1), ("ha_gaps_total", 1), ("ha_divergences_total", 0)):
        assert re.search(rf'^{name}\{{db="ha.db"\}} {value}$', text, re.M), name
