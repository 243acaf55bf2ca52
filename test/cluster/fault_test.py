"""Disks that are full or fail, a log that does not answer, is gone, or is damaged: writes fail clearly or wait, reads go
on, and everything recovers without a restart of a node, or says why it does not.

CHAOS_SEED=n repeats the choices of a run.
"""

import errno
import os
import random
import signal
import tempfile
import time

import pytest

from disks import FailingDisk, NoSmallDisk, SmallDisk
from ha import CATCH_UP_S, SLOW, HttpError, assert_equal, stall, wait_until
from ledger import Ledger
from natsclient import NatsClient

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))

DISK_MB = 12
TIMEOUT_S = 2  # --replication-timeout where a test waits for it to pass
ANSWER_S = 5  # how much longer than that an answer may take
OUTAGE_S = 60  # "NATS down for a minute"

UNAVAILABLE = {"LOG_UNAVAILABLE", "UNKNOWN_OUTCOME", "BUSY"}


def database(node, id_="ha.db"):
    return next(d for d in node.status()["databases"] if d["id"] == id_)


def failure(call):
    """The HttpError that the call ends with."""
    try:
        call()
    except HttpError as e:
        return e
    raise AssertionError("it did not fail")


def both_ready(*nodes):
    """Also nodes whose databases are stopped just now."""
    for n in nodes:
        wait_until(lambda n=n: n.ready(sync=True), CATCH_UP_S, f"{n.name}: /readyz?sync")


# ---- disks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk():
    """A folder on a file system of DISK_MB."""
    folder = tempfile.mkdtemp(prefix="ha-disk-")
    try:
        disk = SmallDisk(folder, DISK_MB)
    except NoSmallDisk as e:
        pytest.skip(str(e))
    yield disk
    disk.close()


def check_failing_disk(a, b, ledger, break_it, mend_it, codes):
    """b's disk fails while both write; a goes on, b can be read, and b catches up once its disk is well again."""
    ledger.wait_acknowledged(50)
    break_it()

    def write():
        b.query("INSERT INTO big(v) VALUES (randomblob(200000))")

    # Its writes fail. One that the log has already taken may be answered with success, as it is committed.
    e = wait_until(lambda: next((x for x in [try_to(write)] if x), None), CATCH_UP_S, "a write fails")
    assert e.problem.get("code") in codes, e
    assert e.problem.get("detail"), e
    count = a.query("SELECT count(*) FROM w").value
    ledger.wait_progress([a])
    # The first acknowledgement since then may be that of a row which was counted.
    wait_until(lambda: a.query("SELECT count(*) FROM w").value > count, CATCH_UP_S, "a goes on")
    # What the others write cannot be applied any more: it says so, and can be read.
    wait_until(lambda: database(b)["state"] == "stopped", CATCH_UP_S, "the database stops")
    d = database(b)
    assert d["reason"], d
    assert b.http.request("GET", "/readyz").status == 503
    assert b.query("SELECT count(*) FROM w").value > 0
    assert b.query("SELECT n FROM c").value > 0
    e = failure(lambda: b.query("INSERT INTO big(v) VALUES (1)"))
    assert e.status == 503 and e.problem["code"] in codes | {"STOPPED"}, e
    mend_it()
    both_ready(a, b)
    ledger.wait_progress()
    ledger.finish()


def try_to(call):
    try:
        call()
    except HttpError as e:
        return e
    return None


def test_disk_full(cluster, small_disk):
    print(f"CHAOS_SEED={SEED}")
    a = cluster.node(name="a")
    folder = os.path.join(small_disk.folder, "db")
    os.mkdir(folder)
    b = cluster.node(name="b", url=a, files=[os.path.join(folder, "ha.db")])
    ledger = Ledger([a, b], f"{SEED} full", codes={"DISK_FULL", "IO", "STOPPED"})
    check_failing_disk(a, b, ledger, small_disk.fill, small_disk.free, {"DISK_FULL", "IO", "STOPPED"})


@pytest.mark.parametrize("error", ("EROFS", "EIO", "ENOSPC"))
def test_disk_fails(cluster, error):
    """A file system that has become read-only, a medium that fails, a quota."""
    print(f"CHAOS_SEED={SEED}")
    a = cluster.node(name="a")
    disk = FailingDisk(cluster.directory)
    b = cluster.node(name="b", start=False, url=a)
    b.env.update(disk.env(b.directory + "/ha.db"))
    b.start()
    codes = {"DISK_FULL", "IO", "STOPPED", "READ_ONLY"}
    ledger = Ledger([a, b], f"{SEED} {error}", codes=codes)
    check_failing_disk(a, b, ledger, lambda: disk.error(getattr(errno, error)), disk.mend, codes)


@pytest.mark.xfail(strict=False, reason="nats-server 2.9 may not use JetStream again once its disk was full; the node starts it "
                   "anew after 15 s of that, which a loaded machine stretches")
def test_log_disk_full(cluster, small_disk):
    """The disk of the nats-server is full: nothing can be committed, everything can be read, and it recovers."""
    print(f"CHAOS_SEED={SEED}")
    store = os.path.join(small_disk.folder, "nats")
    a = cluster.node(name="a", args=["--nats-store-dir", store, "--replication-timeout", f"{TIMEOUT_S}s"])
    b = cluster.node(name="b", url=a, args=["--replication-timeout", f"{TIMEOUT_S}s"])
    ledger = Ledger([a, b], f"{SEED} log full", codes={"DISK_FULL"})
    ledger.wait_acknowledged(50)
    small_disk.fill()

    def write():
        a.query("INSERT INTO big(v) VALUES (randomblob(100000))")

    e = wait_until(lambda: try_to(write), CATCH_UP_S, "a write fails")
    assert e.status == 503, e
    for n in (a, b):
        assert n.query("SELECT count(*) FROM w").value > 0
    small_disk.free()
    ledger.wait_progress()
    ledger.finish()


# ---- the log does not answer -------------------------------------------------------------------------------------


def timed(call):
    started = time.monotonic()
    e = try_to(call)
    return e, time.monotonic() - started


def test_nats_stalls(cluster):
    """A nats-server that is stopped for longer than --replication-timeout keeps its connections and answers nobody."""
    print(f"CHAOS_SEED={SEED}")
    server = cluster.nats()
    nodes = [cluster.node(url=server, args=["--replication-timeout", f"{TIMEOUT_S}s"]) for _ in range(2)]
    ledger = Ledger(nodes, f"{SEED} stall")
    for _ in range(3 if SLOW == 1 else 1):
        ledger.wait_acknowledged(50)
        stall(server)
        for n in nodes:
            e, took = timed(lambda n=n: n.query("INSERT INTO big(v) VALUES (1)"))
            assert e is not None and e.status == 503, e
            assert e.problem["code"] in UNAVAILABLE, e
            assert took < (TIMEOUT_S + ANSWER_S) * SLOW, took
            assert n.query("SELECT count(*) FROM w").value > 0
        server.signal(signal.SIGCONT)
        ledger.wait_progress()
        ledger.settle()
    ledger.finish()


@pytest.mark.limit(400)
def test_nats_down_for_a_minute(cluster):
    print(f"CHAOS_SEED={SEED}")
    server = cluster.nats()
    nodes = [cluster.node(url=server, args=["--replication-timeout", f"{TIMEOUT_S}s"]) for _ in range(2)]
    ledger = Ledger(nodes, f"{SEED} down")
    ledger.wait_acknowledged(50)
    server.kill9()
    until = time.monotonic() + OUTAGE_S
    failures = reads = 0
    while time.monotonic() < until:
        for n in nodes:
            e, took = timed(lambda n=n: n.query("INSERT INTO big(v) VALUES (1)"))
            assert e is not None and e.status == 503 and e.problem["code"] in UNAVAILABLE, e
            assert e.problem["detail"]
            assert took < (TIMEOUT_S + ANSWER_S) * SLOW, took
            assert n.query("SELECT count(*) FROM w").value > 0
            assert n.http.request("GET", "/readyz").status == 503
            assert n.http.request("GET", "/livez").status == 200
            failures, reads = failures + 1, reads + 1
    print(f"{failures} writes refused, {reads} reads answered")
    ledger.pause()
    ledger.resume()
    server.start()
    both_ready(*nodes)
    ledger.wait_progress()
    ledger.finish()


# ---- calls that fail -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ("commit.file=fail@5", "commit.file=fail", "publish.ack=fail@5", "apply.message=fail@3", "apply.commit=fail@3"))
def test_injected(cluster, fault):
    """The file's COMMIT fails behind the log's acknowledgement; the acknowledgement is lost; a message cannot be applied at
    its first try, or what was applied not be committed."""
    print(f"CHAOS_SEED={SEED}")
    a = cluster.node(name="a", args=["--replication-timeout", "10s"])
    b = cluster.node(name="b", url=a, args=["--replication-timeout", "10s"], env={"HA_FAULT": fault})
    ledger = Ledger([a, b], f"{SEED} {fault}", codes={"STOPPED"})
    ledger.wait_progress()
    ledger.wait_acknowledged(100)
    ledger.settle()
    if fault.startswith("apply"):
        assert database(b)["apply_errors"] >= 1, "the fault was not met"
    ledger.wait_acknowledged(50)
    ledger.finish()


def test_no_acknowledgement_ever(cluster):
    """Every answer of the log is lost: the outcome is unknown to the client, and then seen in the log."""
    a = cluster.node(name="a")
    b = cluster.node(name="b", url=a, args=["--replication-timeout", f"{TIMEOUT_S}s"], start=False)
    b.env["HA_FAULT"] = "publish.ack=fail"
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    b.start()
    both_ready(b)
    for i in range(2):
        e, took = timed(lambda i=i: b.query("INSERT INTO t VALUES (?)", [i]))
        assert e is not None and e.problem["code"] == "UNKNOWN_OUTCOME", e
        assert took < (TIMEOUT_S + ANSWER_S) * SLOW
        both_ready(a, b)
        for n in (a, b):
            assert n.query("SELECT count(*) FROM t").value == i + 1, "it is in the log, so it is committed"
    assert_equal(a, b)


def test_messages_under_another_id(cluster):
    """A server calls a node's messages duplicates of nothing: they go under another id, and are the same messages to all
    nodes, also to one that comes back, and to the looks at the log before a write."""
    servers = cluster.nats_cluster(3)
    a = cluster.node(name="a", url=servers[0], replicas=3)
    b = cluster.node(name="b", url=servers[1], replicas=3, env={"HA_FAULT": "publish.duplicate=fail"})
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    both_ready(a, b)
    for i in range(2):
        b.retrying(lambda i=i: b.query("INSERT INTO t(v) VALUES (?)", [f"b {i}"]))
        a.retrying(lambda i=i: a.query("INSERT INTO t(v) VALUES (?)", [f"a {i}"]))
    assert "under another id" in b.log()
    b.restart()
    a.restart()
    b.retrying(lambda: b.query("INSERT INTO t(v) VALUES ('last')"))
    both_ready(a, b)
    assert_equal(a, b)
    c = cluster.node(name="c", url=servers[2], replicas=3)
    both_ready(c)
    assert_equal(a, c)
    for n in (a, b, c):
        d = database(n)
        assert d["divergences"] == 0 and d["restores"] == 0, d
        assert n.query("SELECT count(*) FROM t").value == 5


# ---- a damaged log ---------------------------------------------------------------------------------------------------


def two_databases(cluster, **options):
    a = cluster.node(name="a", files=["one.db", "two.db"], **options)
    b = cluster.node(name="b", files=["one.db", "two.db"], url=a, **options)
    for db in ("one.db", "two.db"):
        a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", db=db)
        a.query("INSERT INTO t(v) VALUES ('before')", db=db)
    both_ready(a, b)
    return a, b


def check_stopped(nodes, db, other, word=None):
    """The database is stopped on all nodes, with a reason, and can be read; the other one goes on."""
    for n in nodes:
        wait_until(lambda n=n: database(n, db)["state"] == "stopped", CATCH_UP_S, f"{n.name}: {db} is stopped")
        reason = database(n, db)["reason"]
        assert reason and (word is None or word in reason), reason
        r = n.http.request("GET", "/readyz")
        assert r.status == 503 and db.encode() in r.body, r.body
        assert not n.status()["ready"]
        assert n.query("SELECT v FROM t WHERE id = 1", db=db).value == "before"
        e = failure(lambda n=n: n.query("INSERT INTO t(v) VALUES ('after')", db=db))
        assert e.status == 503 and e.problem["code"] == "STOPPED" and reason[:20] in e.problem["detail"], e
        assert reason in n.log() or reason.replace('"', '\\"') in n.log(), "the log does not say why"
        r = n.query("INSERT INTO t(v) VALUES (?)", [n.name], db=other)
        assert r.rows_affected == 1
    for n in nodes:
        wait_until(lambda n=n: n.query("SELECT count(*) FROM t", db=other).value == 1 + len(nodes), CATCH_UP_S)


GARBAGE = {"text": b"garbage", "empty": b"", "json": b"{\"changes\": 5}", "cut": b"{\"node\":\"a\",\"changes\":[{\"data",
           "no_table": b'{"node":"x","changes":[{"database":"main","table":"nonesuch","columns":["a"],"operation":"INSERT",'
                       b'"new_rowid":1,"new_values":[1]}],"timestamp_ns":1,"id":"x","prev":"","filename":"one.db",'
                       b'"txs":[{"changes":1,"timestamp_ns":1}],"format":1}',
           "future": b'{"node":"x","changes":[],"timestamp_ns":1,"id":"x","prev":"","filename":"one.db","txs":[],"format":99}'}


@pytest.mark.parametrize("kind", sorted(GARBAGE))
def test_message_that_cannot_be_applied(cluster, kind):
    a, b = two_databases(cluster)
    subject = database(a, "one.db")["subject"]
    with NatsClient(a.nats_port) as nats:
        nats.publish(subject, GARBAGE[kind])
    check_stopped((a, b), "one.db", "two.db")
    # Not skipped by a restart either.
    b.restart(wait=False)
    wait_until(lambda: b.http.request("GET", "/livez").status == 200, what="the node runs")
    check_still_stopped(b, "one.db")


def check_still_stopped(node, db):
    wait_until(lambda: database(node, db)["state"] == "stopped", CATCH_UP_S, f"{node.name}: {db} is stopped")
    assert node.query("SELECT v FROM t WHERE id = 1", db=db).value == "before"
    assert node.http.request("GET", "/readyz").status == 503


def test_stream_deleted(cluster):
    a, b = two_databases(cluster)
    with NatsClient(a.nats_port) as nats:
        nats.api(f"STREAM.DELETE.{database(a, 'one.db')['stream']}")
    check_stopped((a, b), "one.db", "two.db")


def test_stream_created_anew(cluster):
    """Another stream of the same name is not the log that the files belong to, though it may be as long."""
    a, b = two_databases(cluster)
    d = database(a, "one.db")
    with NatsClient(a.nats_port) as nats:
        config = nats.stream(d["stream"])["config"]
        nats.api(f"STREAM.DELETE.{d['stream']}")
        nats.api(f"STREAM.CREATE.{d['stream']}", config)
        for _ in range(5):
            nats.publish(d["subject"], GARBAGE["no_table"])
    check_stopped((a, b), "one.db", "two.db")


def test_stream_purged(cluster):
    """Messages that a node has not seen yet are gone: it does not jump over the gap, but takes the other's copy."""
    a, b = two_databases(cluster)
    b.kill9()
    for i in range(10):
        a.query("INSERT INTO t(v) VALUES (?)", [i], db="one.db")
    with NatsClient(a.nats_port) as nats:
        nats.api(f"STREAM.PURGE.{database(a, 'one.db')['stream']}", {"keep": 2})
    b.start(wait=False)
    wait_until(lambda: b.http.request("GET", "/livez").status == 200, what="the node runs")
    wait_until(lambda: database(b, "one.db")["restores"] == 1, what="a copy of the other node")
    assert database(b, "two.db")["restores"] == 0
    assert a.query("INSERT INTO t(v) VALUES ('on')", db="one.db").rows_affected == 1
    b.wait_ready()
    assert_equal(a, b, db="one.db")


def test_a_lost_feed_is_noticed_before_its_heartbeats_stay_out(cluster):
    """Among many databases heartbeats are rare: two of them that stay out would be 24 s here. But another node goes on, and says so."""
    names = [f"d{i}.db" for i in range(40)]
    a, b = cluster.nodes(2, files=[f"file:{n}" for n in names])
    db = names[7]
    a.query("CREATE TABLE t (v)", db=db)
    wait_until(lambda: database(b, db)["seq"] == 1, CATCH_UP_S, "b follows")
    with NatsClient(a.nats_port) as nats:
        stream = database(a, db)["stream"]
        for consumer in nats.api(f"CONSUMER.NAMES.{stream}", {})["consumers"]:
            nats.api(f"CONSUMER.DELETE.{stream}.{consumer}")
    a.query("INSERT INTO t VALUES (1)", db=db)
    wait_until(lambda: b.query("SELECT count(*) FROM t", db=db).value == 1, 12, "b has found out")
    b.query("INSERT INTO t VALUES (2)", db=db)  # so that a, whose feed is gone, too, has something to miss
    wait_until(lambda: a.query("SELECT count(*) FROM t", db=db).value == 2, 12, "a has found out")


def test_stops_at_once_without_a_connection(cluster):
    """Every database's thread waits for the next message of a server that does not answer."""
    server = cluster.nats()
    a = cluster.node(url=server, files=[f"file:d{i}.db" for i in range(20)])
    server.kill9()
    wait_until(lambda: database(a, "d0.db")["state"] == "offline", CATCH_UP_S, "the node has noticed")
    begin = time.monotonic()
    a.terminate()
    assert time.monotonic() - begin < ANSWER_S * SLOW
