"""gRPC clients and the life of nodes: two of them, one that is killed, one that stops."""

import threading

import pytest

import ha
import rpc
from rpc import grpc

Code = grpc.StatusCode


def test_two_nodes(cluster):
    a, b = cluster.nodes(2)
    with rpc.Client(a.port) as ca, rpc.Client(b.port) as cb:
        ca.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        for i in range(50):
            writer, reader = (ca, cb) if i % 2 else (cb, ca)
            seq = writer.execute("INSERT INTO t(v) VALUES (?)", [i], min_seq=1).txseq
            got = reader.execute("SELECT count(*) FROM t", metadata=[("ha-min-seq", str(seq))])
            assert rpc.rows(got) == [[i + 1]] and got.txseq >= seq
        # Both begin on the same state; the second one to write has to run again.
        with ca.session() as sa, cb.session() as sb:
            for s in (sa, sb):
                s.good("BEGIN")
                s.good("SELECT max(v) FROM t")
            sa.good("UPDATE t SET v = 'a' WHERE id = 1")
            seq = sa.good("COMMIT").txseq
            cb.execute("SELECT 1", min_seq=seq)
            r = sb.ask("UPDATE t SET v = 'b' WHERE id = 1")
            assert r.error_detail.status == Code.ABORTED.value[0], r
            sb.good("ROLLBACK")
            sb.good("BEGIN")
            assert rpc.rows(sb.good("SELECT v FROM t WHERE id = 1")) == [["a"]]
            sb.good("UPDATE t SET v = 'b' WHERE id = 1")
            sb.good("COMMIT")
    ha.assert_equal(a, b)


def test_writers_on_two_nodes(cluster):
    a, b = cluster.nodes(2)
    failed = []
    with rpc.Client(a.port) as ca, rpc.Client(b.port) as cb:
        ca.execute("CREATE TABLE n (v INTEGER)")
        seq = ca.execute("INSERT INTO n VALUES (0)").txseq
        cb.execute("SELECT 1", min_seq=seq)

        def work(c):
            try:
                for _ in range(50):
                    c.execute("UPDATE n SET v = v + 1")
            except grpc.RpcError as e:
                failed.append(e)

        workers = [threading.Thread(target=work, args=(c,)) for c in (ca, cb, ca, cb)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        assert not failed, failed[0]
        ha.assert_equal(a, b)
        assert rpc.rows(ca.execute("SELECT v FROM n")) == [[200]]


def test_kill_and_reconnect(cluster):
    node = cluster.node()
    with rpc.Client(node.port) as c:
        c.execute("CREATE TABLE t (v)")
        c.execute("INSERT INTO t VALUES (1)")
        with c.session() as s:
            s.good("BEGIN")
            s.good("INSERT INTO t VALUES (2)")
            node.kill9()
            with pytest.raises(grpc.RpcError) as e:
                s.ask("SELECT 1")
            assert e.value.code() in (Code.UNAVAILABLE, Code.UNKNOWN)
        assert rpc.status_of(c.execute, "SELECT 1")[0] == Code.UNAVAILABLE
        node.start()

        # A call that waits until there is a connection: the same channel works again, the open transaction is gone.
        call = c.unary("/ha.v1.Database/Execute", rpc.Request, rpc.Response)
        r = call(rpc.request("SELECT v FROM t"), timeout=2 * rpc.CALL_S, wait_for_ready=True)
        assert rpc.rows(r) == [[1]]
        assert c.execute("INSERT INTO t VALUES (3)").rows_affected == 1


def test_stop_ends_sessions_and_lets_calls_end(cluster):
    node = cluster.node()
    with rpc.Client(node.port) as c:
        c.execute("CREATE TABLE t (v)")
        idle, busy = c.session(), c.session()
        idle.good("BEGIN")
        idle.good("INSERT INTO t VALUES (1)")
        busy.good("SELECT 1")
        busy.send(rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) "
                              "SELECT count(*) FROM n"))
        stopping = threading.Thread(target=node.terminate)
        stopping.start()
        try:
            assert rpc.rows(busy.receive()) == [[3000000]]
        except grpc.RpcError as e:  # it had not begun yet
            assert e.code() == Code.UNAVAILABLE
        for s in (idle, busy):
            with pytest.raises((grpc.RpcError, StopIteration)) as e:
                s.receive()
            assert not isinstance(e.value, grpc.RpcError) or e.value.code() == Code.UNAVAILABLE
            s.close()
        stopping.join()
        assert "node is stopped" in node.log()
    node.start()
    assert node.query("SELECT count(*) FROM t").value == 0


def test_stop_cuts_what_takes_too_long(cluster):
    node = cluster.node()
    with rpc.Client(node.port) as c:
        call = c.unary("/ha.v1.Database/Execute", rpc.Request, rpc.Response).future(
            rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"))
        c.execute("SELECT 1")
        assert node.terminate() == 0
        with pytest.raises(grpc.RpcError):
            call.result()
