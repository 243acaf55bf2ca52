"""A leader: writes of all clients are run by one node, and the clients do not notice where (docs/leaders.md)."""

import contextlib
import socket
import subprocess
import threading

import psycopg
import psycopg2
import pytest

import ha
from leading import Member, followers_of, grpc, leader_of, members, mysql_target, rpc, table
from tls_test import certificate


def calls(member):
    for line in member.node.get("/metrics").body.decode().splitlines():
        if line.startswith("ha_upstream_calls_total "):
            return int(line.split()[1])
    return None


# ---- a follower is as good as the leader ----------------------------------------------------------------------------


def test_http_at_a_follower(cluster):
    some = members(cluster)
    leader = leader_of(some)
    follower = followers_of(some, leader)[0]
    for m in (follower, leader):
        n, t = m.node, f"t_{m.name}"
        n.query(f"CREATE TABLE {t} (id INTEGER PRIMARY KEY AUTOINCREMENT, v UNIQUE, w NOT NULL DEFAULT 1)")
        r = n.post("/query", {"sql": f"INSERT INTO {t}(v) VALUES (:v)", "params": {"v": 1.5}})
        assert r.json()["rows"] == [[1, 1]] and int(r.headers["HA-Seq"]) > 0
        assert r.headers["HA-Leader"] == leader.address and r.headers["HA-Node"] == m.name
        assert n.query(f"SELECT v FROM {t}").value == 1.5
        with pytest.raises(ha.HttpError) as e:
            n.query(f"INSERT INTO {t}(v) VALUES (?)", [1.5])
        assert (e.value.status, e.value.sqlstate, e.value.problem["sqlite_extended_code"]) == (409, "23505", 2067)
        with pytest.raises(ha.HttpError) as e:  # the second of three, and nothing of the first
            n.batch([(f"INSERT INTO {t}(v) VALUES (2)", []), f"INSERT INTO {t}(v, w) VALUES (3, NULL)",
                     f"INSERT INTO {t}(v) VALUES (4)"])
        assert e.value.sqlstate == "23502" and e.value.problem["statement"] == 1
        with pytest.raises(ha.HttpError) as e:
            n.query(f"INSERT INTO {t}(v) VALUES (1) RETURNING nix")
        assert e.value.sqlstate == "42703"
        r = n.batch([f"INSERT INTO {t}(v) VALUES ('two')", f"SELECT count(*) FROM {t}",
                     f"UPDATE {t} SET v = id RETURNING id, v"])
        assert [x.rows for x in r[1:]] == [[[2]], [[1, 1], [2, 2]]]
        n.query(f"UPDATE {t} SET v = ? WHERE id = 2", [ha.blob(b"\0\1\2")])
        assert n.query(f"SELECT hex(v), typeof(v) FROM {t} WHERE id = 2").rows == [["000102", "blob"]]
    assert calls(leader) == 0 and calls(follower) == 7
    ha.assert_equal(*(m.node for m in some))


def test_read_your_writes(cluster):
    """What has been answered at a follower is in its file: no read there is ever older."""
    some = members(cluster, env={"HA_FAULT": "apply.begin=pause:20"})
    leader = leader_of(some)
    follower = followers_of(some, leader)[0]
    table(follower)
    with contextlib.closing(follower.pg()) as c, c.cursor() as cur:
        for i in range(40):
            follower.node.query("INSERT INTO w VALUES (?)", [i])
            assert follower.node.query("SELECT max(id) FROM w").value == i
            cur.execute("UPDATE w SET id = %s WHERE id = %s RETURNING id", [1000 + i, i])
            assert cur.fetchall() == [(1000 + i,)]
            cur.execute("SELECT max(id) FROM w")
            assert cur.fetchall() == [(1000 + i,)]
            cur.execute("DELETE FROM w")


def test_postgresql_at_a_follower(cluster):
    some = members(cluster)
    leader = leader_of(some)
    follower = followers_of(some, leader)[0]
    c = follower.pg(autocommit=False)
    with c.cursor() as cur:
        cur.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE)")
        cur.execute("INSERT INTO t (v) VALUES (%s), (%s) RETURNING id", ["a", "b"])
        assert cur.fetchall() == [(1,), (2,)]
        c.commit()
        cur.execute("SELECT count(*) FROM t")  # reads here, until it writes
        assert cur.fetchone() == (2,)
        cur.execute("SAVEPOINT s")
        with pytest.raises(psycopg2.errors.UniqueViolation) as e:
            cur.execute("INSERT INTO t (v) VALUES ('a')")
        assert e.value.diag.constraint_name and e.value.diag.sqlstate == "23505"
        cur.execute("ROLLBACK TO s")
        cur.execute("INSERT INTO t (v) VALUES ('c')")
        assert leader.node.query("SELECT count(*) FROM t").value == 2
        cur.execute("SELECT count(*) FROM t")
        assert cur.fetchone() == (3,)
        c.commit()
        assert follower.node.query("SELECT count(*) FROM t").value == 3
        cur.execute("DELETE FROM t")
        c.rollback()
        # A setting of the session, which only its own node knows.
        cur.execute("SET app.user TO 'me'")
        cur.execute("INSERT INTO t (v) SELECT current_setting('app.user')")
        cur.execute("INSERT INTO t (v) SELECT current_user || current_setting('app.user')")
        c.commit()
        cur.execute("SELECT v FROM t ORDER BY id DESC LIMIT 2")
        assert cur.fetchall() == [("hame",), ("me",)]
        c.commit()
    # What is only in its transaction can be described there, which the extended protocol does first.
    with psycopg.connect(host="127.0.0.1", port=follower.pg_port, user="ha", password="ha", dbname="ha.db") as c:
        c.execute("CREATE TABLE fresh (id INTEGER PRIMARY KEY, b BYTEA)")
        assert c.execute("INSERT INTO fresh (b) VALUES (%s) RETURNING b", [b"\0\1"]).fetchone() == (b"\0\1",)
        with c.cursor() as cur, cur.copy("COPY fresh (b) FROM STDIN") as copy:
            for _ in range(1000):
                copy.write_row((b"\2",))
        assert c.execute("SELECT count(*) FROM fresh").fetchone() == (1001,)
    ha.assert_equal(*(m.node for m in some))


def test_mysql_and_grpc_at_a_follower(cluster):
    some = members(cluster)
    follower = followers_of(some, leader_of(some))[0]
    with follower.mysql() as c:
        mysql_target.rows(c, "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(9) UNIQUE)")
        with c.cursor() as cur:
            assert cur.execute("INSERT INTO t (v) VALUES ('a'), ('b')") == 2 and cur.lastrowid == 1
        assert mysql_target.value(c, "SELECT LAST_INSERT_ID()") == 1
        mysql_target.fails(c, 1062, "INSERT INTO t (v) VALUES ('a')")
        c.begin()
        mysql_target.rows(c, "UPDATE t SET v = 'c' WHERE id = 1")
        assert mysql_target.value(c, "SELECT v FROM t WHERE id = 1") == "c"
        c.rollback()
        assert mysql_target.value(c, "SELECT v FROM t WHERE id = 1") == "a"
    with follower.grpc() as g:
        answer = g.execute("INSERT INTO t (v) VALUES (?)", ["g"])
        assert (answer.rows_affected, answer.last_insert_id) == (1, 3) and answer.txseq > 0
        with pytest.raises(grpc.RpcError) as e:
            g.execute("INSERT INTO t (v) VALUES (?)", ["g"])
        assert e.value.code() == grpc.StatusCode.ALREADY_EXISTS
        assert dict(e.value.trailing_metadata())["ha-sqlstate"] == "23505"
        answer = g.batch(rpc.request("INSERT INTO t (v) VALUES ('h')"), rpc.request("SELECT max(id) FROM t"))
        assert rpc.rows(answer.responses[1]) == [[4]]
    ha.assert_equal(*(m.node for m in some))


def test_undo_and_pragma_at_a_follower(cluster):
    some = members(cluster)
    follower = followers_of(some, leader_of(some))[0]
    table(follower)
    seq = int(follower.node.post("/query", {"sql": "INSERT INTO w VALUES (1)"}).headers["HA-Seq"])
    follower.node.query(f"UNDO {seq}")
    assert follower.node.query("SELECT count(*) FROM w").value == 0
    follower.node.query("PRAGMA user_version = 7")
    assert follower.node.query("PRAGMA user_version").value == 7
    assert calls(follower) == 4
    ha.assert_equal(*(m.node for m in some))


def test_local_writes_stay(cluster):
    some = members(cluster)
    leader = leader_of(some)
    follower = followers_of(some, leader)[0]
    table(follower)
    before = calls(follower)
    r = follower.node.post("/query?local=true", {"sql": "INSERT INTO w VALUES (1)"})
    assert int(r.headers["HA-Seq"]) > 0 and calls(follower) == before
    last = follower.node.query("HISTORY 1").rows[-1]
    assert follower.name in last
    ha.assert_equal(*(m.node for m in some))


def test_stale_transaction(cluster):
    """A transaction that has read what is not the newest any more may not write: 40001, as at one node."""
    some = members(cluster)
    leader = leader_of(some)
    follower = followers_of(some, leader)[0]
    table(follower)
    follower.node.query("INSERT INTO w VALUES (1)")
    c = follower.pg(autocommit=False)
    with c.cursor() as cur:
        cur.execute("SELECT id FROM w")
        assert cur.fetchall() == [(1,)]
        leader.node.query("UPDATE w SET id = id + 1")
        with pytest.raises(psycopg2.errors.SerializationFailure):
            cur.execute("UPDATE w SET id = id + 1")
        c.rollback()
        cur.execute("UPDATE w SET id = id + 1")  # has read nothing
        c.commit()
    assert follower.node.query("SELECT id FROM w").value == 3


def test_no_lost_update(cluster):
    """Counters that clients of all nodes read, then write, in transactions."""
    some = members(cluster)
    some[0].node.query("CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER)")
    some[0].node.query("INSERT INTO c VALUES (1, 0)")
    for m in some:
        ha.wait_until(lambda m=m: ha.synced(m.node))
    done, findings = [], []

    def work(m):
        try:
            c = m.pg(autocommit=False)
            for _ in range(25):
                while True:
                    try:
                        with c.cursor() as cur:
                            cur.execute("SELECT n FROM c WHERE id = 1")
                            n = cur.fetchone()[0]
                            cur.execute("UPDATE c SET n = %s WHERE id = 1", [n + 1])
                        c.commit()
                        done.append(1)
                        break
                    except psycopg2.errors.SerializationFailure:
                        c.rollback()
            c.close()
        except Exception as e:  # pylint: disable=broad-except
            findings.append(e)

    threads = [threading.Thread(target=work, args=(m,)) for m in some]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not findings, findings
    assert some[1].node.query("SELECT n FROM c").value == len(done) == 75


def test_endless_statement_is_ended_at_the_leader(cluster):
    """A client that leaves, or whose time is over, at a follower: the leader stops what it runs for it."""
    some = members(cluster, args=["--query-timeout", f"{int(4 * ha.SLOW)}s"])
    follower = followers_of(some, leader_of(some))[0]
    table(follower)
    endless = ("INSERT INTO w SELECT count(*) FROM "
               "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c)")
    http = ha.Http(follower.name, follower.node.port, timeout_s=0.5)
    with pytest.raises(ha.ConnectionLost):
        http.ok("POST", "/", {"sql": endless})
    http.close()
    with pytest.raises(ha.HttpError) as e:
        follower.node.query(endless)
    assert e.value.problem["code"] == "TIMEOUT"
    c = follower.pg()
    threading.Timer(0.3, c.cancel).start()
    with c.cursor() as cur, pytest.raises(psycopg2.errors.QueryCanceled):
        cur.execute(endless)
    follower.node.query("INSERT INTO w VALUES (1)")
    assert follower.node.query("SELECT count(*) FROM w").value == 1


# ---- a leader that is named -----------------------------------------------------------------------------------------


def test_static_leader(cluster):
    nats = cluster.nats()
    address = f"127.0.0.1:{ha.free_port()}"
    leader = Member(cluster, nats, leader=address)  # the same flags everywhere: it finds out that it is meant
    leader.node.port = leader.node.http.port = int(address.rsplit(":", 1)[1])
    followers = [Member(cluster, nats, leader=address) for _ in range(2)]
    for m in (leader, *followers):
        m.node.start()
    a = followers[0]
    table(a)
    leader.node.query("INSERT INTO w VALUES (1)")
    leader.node.query("INSERT INTO w VALUES (2)")
    assert leader.leader()["is_self"] and calls(leader) == 1
    a.node.query("INSERT INTO w VALUES (3)")
    assert a.leader() == {"mode": "static", "node": leader.name, "address": address, "is_self": False}

    leader.node.kill9()
    assert a.node.query("SELECT count(*) FROM w").value == 3  # reads need no leader
    with pytest.raises(ha.HttpError) as e:
        a.node.query("INSERT INTO w VALUES (4)")
    assert (e.value.status, e.value.sqlstate, e.value.problem["code"]) == (503, "57P03", "NO_LEADER")
    assert e.value.headers["Retry-After"]
    with contextlib.closing(a.pg()) as c, c.cursor() as cur, pytest.raises(psycopg2.Error) as e:
        cur.execute("INSERT INTO w VALUES (4)")
    assert e.value.pgcode == "57P03"
    with a.mysql() as c:
        mysql_target.fails(c, 1053, "INSERT INTO w VALUES (4)")
    with a.grpc() as g, pytest.raises(grpc.RpcError) as e:
        g.execute("INSERT INTO w VALUES (4)")
    assert e.value.code() == grpc.StatusCode.UNAVAILABLE
    leader.node.start()
    a.node.query("INSERT INTO w VALUES (5)")
    assert a.node.query("SELECT count(*) FROM w").value == 4
    ha.assert_equal(*(m.node for m in (leader, *followers)))


def test_token(cluster):
    nats = cluster.nats()
    leader = Member(cluster, nats, token="secret")
    leader.node.start()
    leader_of([leader])
    good = Member(cluster, nats, leader=leader.address, token="secret")
    bad = Member(cluster, nats, leader=leader.address, token="wrong")
    for m in (good, bad):
        m.node.start()
    table(good)
    good.node.query("INSERT INTO w VALUES (1)")
    ha.wait_until(lambda: ha.synced(bad.node))
    with pytest.raises(ha.HttpError) as e:
        bad.node.query("INSERT INTO w VALUES (2)")
    assert e.value.problem["code"] == "NO_LEADER" and "token" in e.value.problem["detail"]


def test_tls(cluster):
    """Without --grpc-insecure: TLS to the leader, whose certificate has to be good for its address."""
    nats = cluster.nats()
    cert, key = certificate(cluster.directory)
    other, _ = certificate(cluster.directory, "other")
    elsewhere = certificate(cluster.directory, "elsewhere", "DNS:elsewhere.example")

    def member(trusted, tls, **options):
        m = Member(cluster, nats, tls=["--cert", tls[0], "--key", tls[1]], env={"SSL_CERT_FILE": trusted}, **options)
        m.node.start(wait=False)
        ha.wait_until(lambda: m.pg().close() or True, ha.READY_S, "an answer at the PostgreSQL port")
        return m

    def failure(m):
        with contextlib.closing(m.pg()) as c, c.cursor() as cur, pytest.raises(psycopg2.Error) as e:
            cur.execute("INSERT INTO w VALUES (3)")
        assert e.value.pgcode == "57P03"
        return str(e.value)

    some = [member(cert, (cert, key)) for _ in range(2)]
    for i, m in enumerate(some):
        with contextlib.closing(m.pg()) as c, c.cursor() as cur:
            cur.execute("CREATE TABLE IF NOT EXISTS w (id INTEGER NOT NULL)")
            cur.execute("INSERT INTO w VALUES (%s)", [i])
            cur.execute("SELECT count(*) FROM w")
            assert cur.fetchone() == (i + 1,)
    leader = next(m for m in some if f"holder={m.name} " in some[0].node.log())
    assert "certificate" in failure(member(other, (cert, key), leader=leader.address))
    plain = Member(cluster, nats, leader=leader.address)
    plain.node.start()
    failure(plain)
    misplaced = member(cert, elsewhere, leader=leader.address)
    with contextlib.closing(misplaced.pg()) as c, c.cursor() as cur:
        cur.execute("INSERT INTO w VALUES (2)")  # its own certificate does not matter here
    assert "certificate" in failure(member(elsewhere[0], (cert, key), leader=misplaced.address))


def test_no_node_there(cluster):
    """Whatever listens at the address, and is no node: clients are told that there is no leader."""
    nats = cluster.nats()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        m = Member(cluster, nats, leader=f"127.0.0.1:{silent.getsockname()[1]}")
        m.node.start()
        with pytest.raises(ha.HttpError) as e:
            table(m)
        assert e.value.problem["code"] == "NO_LEADER"


@pytest.mark.parametrize("args, text", [
    (["--leader-addr", "localhost:8080"], "--cert"),
    (["--leader-addr", "a:1", "--grpc-insecure", "--cert", "x", "--key", "y"], "nothing but TLS"),
    (["--leader-addr", "localhost", "--grpc-insecure"], "host:port"),
    (["--leader-addr", "localhost:0", "--grpc-insecure"], "host:port"),
    (["--leader-addr", "a b:80", "--grpc-insecure"], "host:port"),
    (["--leader-static", "localhost:99999", "--grpc-insecure"], "host:port"),
    (["--leader-addr", "a:1", "--leader-static", "b:2", "--grpc-insecure"], "cannot be combined"),
    (["--leader-static", "a:1", "--grpc-insecure", "--nats-port", "0"], "neither"),
    (["--leader-addr", "a:1", "--grpc-insecure", "--port", "0"], "--port"),
    (["--leader-addr", "a:1", "--grpc-insecure", "--pg-proxied", "host=h dbname=d"], "source"),
])
def test_bad_flags(args, text):
    p = subprocess.run([ha.BINARY, "--check-config", *args], capture_output=True, text=True, timeout=30, check=False)
    assert p.returncode == 2 and text in p.stderr + p.stdout, p
