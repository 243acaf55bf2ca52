"""Deaths in the middle, of nodes and of a MariaDB source: nothing is lost, nothing comes twice, and another node takes over."""

import random
import signal

import ha
import pytest
from ha import assert_equal, wait_until
from mysql_source import WRITTEN, MariaDb, Source, Writer, state, wait_done, wait_same, wait_state


@pytest.fixture(scope="module")
def server():
    cluster = ha.Cluster()
    yield MariaDb(cluster).start()
    cluster.close()


@pytest.fixture
def source(server):
    s = Source(server)
    yield s
    s.drop()


def restart_after_death(node):
    wait_until(lambda: not node.running(), 60, f"{node.name} dies")
    node.process.wait()
    node.process = None
    node.env.pop("HA_FAULT")
    node.start()


# Before the rows, with half of them, with all of them, inside the local commit, behind it.
@pytest.mark.parametrize("point", ["my_copy.snapshot", "my_copy.rows=kill@30", "my_copy.copied", "mirror.commit", "commit.acked", "mirror.committed"])
def test_kill_in_the_copy(cluster, source, point):
    """No half of a copy counts, or is ever seen."""
    Writer.prepare(source)
    source.sql("CREATE TABLE big (id INT PRIMARY KEY, v VARCHAR(40))", "INSERT INTO big SELECT seq, md5(seq) FROM seq_1_to_50000")
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


def test_kill_while_following(cluster, source):
    """At every step of a commit, and anywhere."""
    Writer.prepare(source)
    a = source.node(cluster)
    a.may_die = True
    with Writer(source, 1), Writer(source, 2):
        for point in ("mirror.commit", "group.ran", "commit.acked", "commit.done", "mirror.committed", "my_follow.rows", "my_follow.commit"):
            a.kill9()
            a.env["HA_FAULT"] = f"{point}=kill@{random.randint(2, 20)}"
            a.start(wait=False)
            restart_after_death(a)
            wait_done(source, 20)
        for _ in range(4):
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
    before = state(a)["failures"]
    source.sql("CREATE TABLE big (id INT PRIMARY KEY, v TEXT)", "INSERT INTO big SELECT seq, repeat(md5(seq), 20) FROM seq_1_to_40000")
    with Writer(source):
        wait_done(source, 20)
    wait_same(source, a, [*WRITTEN, "SELECT count(*), sum(length(v)) FROM big"])
    assert state(a)["failures"] == before + 1


def test_source_restarts(cluster):
    """Killed, stopped, frozen, away at the start: it is followed again from where it was."""
    p = MariaDb(cluster).start()
    s = Source(p)
    p.may_die = True
    Writer.prepare(s)
    p.terminate(90)
    a = s.node(cluster, wait=False)
    wait_until(lambda: a.http.request("GET", "/livez").status == 200, what="the node is up")
    wait_state(a, "stopped", "connect")
    assert a.terminate() == 0
    a.start(wait=False)
    p.start()
    a.wait_ready(60)
    with Writer(s, 1), Writer(s, 2):
        wait_done(s, 20)
        p.kill9()
        wait_state(a, "stopped")
        assert a.ready() and a.query("SELECT count(*) FROM counter").value == 10  # what is here can be read
        p.start()
        wait_done(s, 20)
        p.restart()
        wait_done(s, 20)
        p.signal(signal.SIGSTOP)  # nothing comes, not even an end of the connection
        wait_state(a, "stopped")
        p.signal(signal.SIGCONT)
        wait_done(s, 20)
    wait_same(s, a, WRITTEN)
    wait_state(a, "following")
    assert "copied anew" not in a.log()


def test_log_is_purged(cluster):
    """What the source no longer has in its log is not skipped: everything is copied anew."""
    p = MariaDb(cluster).start()
    s = Source(p)
    s.sql("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)", "INSERT INTO t SELECT seq, 'a' FROM seq_1_to_100")
    a = s.node(cluster)
    for how in ("PURGE", "RESET"):
        assert a.terminate() == 0
        s.sql("UPDATE t SET v = concat(v, 'b') WHERE id % 2 = 0", "DELETE FROM t WHERE id % 7 = 0", "FLUSH LOGS", "INSERT INTO t VALUES (7, 'again')")
        if how == "PURGE":
            p.sql("FLUSH LOGS")
            wait_until(lambda: p.sql("SHOW BINARY LOGS").count("\n") == 0
                       or p.sql(f"PURGE BINARY LOGS TO '{p.sql('SHOW MASTER STATUS').split()[0]}'") is None, what="the log is purged")
        else:
            p.sql("RESET MASTER")
        a.start()
        wait_same(s, a, "SELECT * FROM t ORDER BY id")
        assert "copied anew" in a.log()
        s.sql("INSERT INTO t VALUES (14, 'then')", "DELETE FROM t WHERE id = 7")
        wait_same(s, a, "SELECT * FROM t ORDER BY id")


def test_idle_tables_keep_no_log(cluster, source):
    """What others write to the same server moves the tracker, too."""
    source.sql("CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE noise (v TEXT)")
    a = source.node(cluster, include=f"^{source.name}\\.t$")
    before = state(a)["position"]

    def noise():
        source.sql("INSERT INTO noise VALUES ('x')")
        return state(a)["position"] != before

    wait_until(noise, 60, "the tracker has moved")
    assert a.query("SELECT count(*) FROM sqlite_schema WHERE name = 'noise'").value == 0


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
        wait_until(lambda: all(first.name in state(n)["reason"] and state(n)["copied"] for n in others), what="the others know who follows")
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
    assert not any("copied anew" in n.log() for n in three)
