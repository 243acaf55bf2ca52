"""Deaths in the middle, of nodes and of the source: nothing is lost, nothing comes twice, and another node takes over."""

import random
import signal

import pytest
from ha import assert_equal, wait_until
from pg_source import WRITTEN, Source, Writer, server, state, wait_done, wait_same, wait_state


def restart_after_death(node):
    wait_until(lambda: not node.running(), 60, f"{node.name} dies")
    node.process.wait()
    node.process = None
    node.env.pop("HA_FAULT")
    node.start()


# Before the slot, with half of the rows, with all of them, inside the local commit, behind it.
@pytest.mark.parametrize("point", ["pg_copy.slot", "pg_copy.rows=kill@30", "pg_copy.copied", "mirror.commit", "commit.acked", "mirror.committed"])
def test_kill_in_the_copy(cluster, source, point):
    """No half of a copy counts, or is ever seen."""
    Writer.prepare(source)
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text)", "INSERT INTO big SELECT g, md5(g::text) FROM generate_series(1, 50000) g")
    a = source.node(cluster, start=False)
    a.env["HA_FAULT"] = point if "=" in point else f"{point}=kill"
    a.may_die = True
    a.start(wait=False)
    wait_until(lambda: not a.running(), 60, "it dies")
    source.sql("INSERT INTO big VALUES (0, 'meanwhile')", "DELETE FROM big WHERE id = 77")
    with Writer(source):
        restart_after_death(a)
        assert a.query("SELECT count(*) FROM big").value >= 49999
        wait_done(source, 20)
    wait_same(source, a, [*WRITTEN, "SELECT count(*), sum(id), min(v), max(v) FROM big"])
    assert int(source.sql(f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{source.slot}'")) == 1


def test_kill_while_following(cluster, source):
    """At every step of a commit, and anywhere."""
    Writer.prepare(source)
    a = source.node(cluster)
    a.may_die = True
    with Writer(source, 1), Writer(source, 2):
        for point in ("mirror.commit", "group.ran", "commit.acked", "commit.done", "mirror.committed", "pg_follow.committed"):
            a.kill9()
            a.env["HA_FAULT"] = f"{point}=kill@{random.randint(2, 20)}"
            a.start(wait=False)
            restart_after_death(a)
            wait_done(source, 5)
        for _ in range(2):
            wait_done(source, random.randint(1, 60))
            a.kill9()
            a.start()
    wait_same(source, a, WRITTEN)
    assert "copied anew" not in a.log()


def test_disk_full_while_following(cluster, source):
    """What could not be put aside is asked for again."""
    Writer.prepare(source)
    a = source.node(cluster, start=False)
    a.env["HA_FAULT"] = "spool.write=fail@2"
    a.start()
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text)", "INSERT INTO big SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 40000) g")
    with Writer(source):
        wait_done(source, 20)
    wait_same(source, a, [*WRITTEN, "SELECT count(*), sum(length(v)) FROM big"])
    assert state(a)["failures"] == 1 and "ENOSPC" not in state(a)["reason"]


def test_source_restarts(cluster):
    """Killed, stopped, frozen: it is followed again from where it was."""
    p = server(cluster)
    s = Source(p)
    p.may_die = True
    Writer.prepare(s)
    a = s.node(cluster)
    with Writer(s, 1), Writer(s, 2):
        wait_done(s, 20)
        p.kill9()
        wait_state(a, "stopped")
        assert a.ready()  # what is here can be read
        assert a.query("SELECT count(*) FROM counter").value == 10
        p.start()
        wait_done(s, 20)
        p.terminate()
        p.start()
        wait_done(s, 20)
    wait_same(s, a, WRITTEN)
    wait_state(a, "following")
    assert "copied anew" not in a.log()


def test_no_source_at_the_start(cluster):
    """The node is up, says whom it waits for, ends when it is told to, and copies as soon as there is a source."""
    p = server(cluster)
    s = Source(p)
    Writer.prepare(s)
    p.terminate()
    a = s.node(cluster, wait=False)
    wait_until(lambda: a.http.request("GET", "/livez").status == 200, what="the node is up")
    wait_state(a, "stopped", "refused")
    assert a.http.request("GET", "/readyz").status == 503
    assert a.terminate() == 0
    a.start(wait=False)
    p.start()
    a.wait_ready(60)
    wait_same(s, a, WRITTEN)


@pytest.fixture
def three(cluster, source):
    """A nats-server and three nodes with the same source."""
    Writer.prepare(source)
    nats = cluster.nats()
    return [source.node(cluster, url=nats) for _ in range(3)]


def holder(nodes):
    """The one node that follows."""
    def look():
        states = {n: state(n)["state"] for n in nodes if n.running()}
        following = [n for n, s in states.items() if s == "following"]
        return following[0] if len(following) == 1 and all(s == "waiting" for n, s in states.items() if n not in following) else None

    return wait_until(look, 60, "one node follows, the others wait")


def test_takeover(source, three):
    """One follows; when it is gone, killed or frozen, another one goes on where it was."""
    for n in three:
        n.may_die = True
    with Writer(source, 1), Writer(source, 2):
        first = holder(three)
        others = [n for n in three if n is not first]
        wait_until(lambda: all(first.name in state(n)["reason"] and state(n)["copied"] for n in others), what="they know who follows")
        wait_done(source, 30)
        first.kill9()
        second = holder(others)
        wait_done(source, 30)
        first.start()
        second.signal(signal.SIGSTOP)  # it still believes in its lease when it wakes up
        third = holder([n for n in three if n is not second])
        wait_done(source, 30)
        second.signal(signal.SIGCONT)
        wait_done(source, 30)
        assert third.terminate() == 0
        third.start()
        wait_done(source, 30)
    wait_same(source, three, WRITTEN)
    assert_equal(*three)
    positions = wait_until(lambda: (lambda p: p if len(p) == 1 else None)({n.query("SELECT position FROM ha_proxied_tracker").value for n in three}))
    assert len(positions) == 1
    assert all("copied anew" not in n.log() for n in three)


def test_log_is_away(cluster, source):
    """Without its log a node takes nothing over, and loses nothing."""
    Writer.prepare(source)
    nats = cluster.nats()
    a = source.node(cluster, "--replication-timeout", "2s", url=nats)
    with Writer(source):
        wait_done(source, 20)
        nats.kill9()
        wait_done(source, 50)
        nats.start()
        wait_done(source, 20)
    wait_same(source, a, WRITTEN)
    assert "copied anew" not in a.log()


def test_joins_later(cluster, source, three):
    """A node that comes later gets the mirror from the log, and is as good as the others."""
    source.sql("INSERT INTO entry(writer, v) SELECT 9, md5(g::text) FROM generate_series(1, 20000) g")
    wait_same(source, three, WRITTEN)
    late = source.node(cluster, url=three[0].join)
    wait_same(source, late, WRITTEN)
    for n in three:
        n.may_die = True
        n.kill9()
    source.sql("UPDATE counter SET n = 99 WHERE id = 3")
    wait_same(source, late, WRITTEN)
    wait_state(late, "following")
    assert "copied anew" not in late.log()


def test_lww_and_asynchronous(cluster, source):
    Writer.prepare(source)
    nats = cluster.nats()
    a = source.node(cluster, "--async-replication", url=nats)
    b = source.node(cluster, "--async-replication", url=nats)
    with Writer(source):
        holder([a, b])
        wait_done(source, 50)
    wait_same(source, [a, b], WRITTEN)


def test_stop_in_the_copy(cluster, source):
    """SIGTERM while the copy runs, and while its transaction is being committed."""
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text)", "INSERT INTO big SELECT g, md5(g::text) FROM generate_series(1, 400000) g")
    a = source.node(cluster, wait=False)
    wait_until(lambda: a.http.request("GET", "/livez").status == 200, what="the node is up")
    wait_until(lambda: state(a)["copied_rows"] > 1000, 60, "rows are being copied")
    assert a.terminate() == 0
    a.start(wait=False)
    wait_until(lambda: a.http.request("GET", "/livez").status == 200 and state(a)["copied_rows"] >= 400000, 60, "all rows are put aside")
    assert a.terminate() == 0
    a.start()
    wait_same(source, a, "SELECT count(*), sum(id) FROM big")


def test_local_writes_stand_beside(cluster, source):
    """With --proxy-disable-redirect clients write here, to tables of their own, while the source is followed."""
    Writer.prepare(source)
    nats = cluster.nats()
    a = source.node(cluster, "--proxy-disable-redirect", url=nats)
    b = source.node(cluster, "--proxy-disable-redirect", url=nats)
    a.query("CREATE TABLE own (id INTEGER PRIMARY KEY, node)")
    wait_until(lambda: b.query("SELECT count(*) FROM sqlite_schema WHERE name = 'own'").value == 1)
    with Writer(source):
        for i in range(100):
            (a if i % 2 else b).retrying(lambda i=i: (a if i % 2 else b).query("INSERT INTO own(node) VALUES (?)", [i]))
    wait_same(source, [a, b], WRITTEN)
    assert a.query("SELECT count(*) FROM own").value == 100
    assert_equal(a, b)
    assert source.sql("SELECT count(*) FROM pg_class WHERE relname = 'own'") == "0"


def test_lost_connection_is_retried_without_noise(cluster, source):
    """The server ends the connection: the next try is soon, and says so once."""
    Writer.prepare(source)
    a = source.node(cluster)
    for i in range(3):
        n = state(a)["failures"]
        wait_until(lambda: source.sql(f"SELECT active FROM pg_replication_slots WHERE slot_name = '{source.slot}'") == "t", what="the slot is in use")
        source.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                   f" WHERE slot_name = '{source.slot}' AND active_pid IS NOT NULL")
        wait_until(lambda n=n: state(a)["failures"] > n, 60, "it has noticed")
        source.sql(f"UPDATE counter SET n = {i + 1}")
        wait_same(source, a, WRITTEN)
    assert a.http.request("GET", "/readyz").status == 200
    assert "terminat" in state(a)["last_error"], state(a)
