"""Much at a time: long results, many streams, clients that do not read; and what it costs the node."""

import random
import threading
import time

import pytest

import ha
import rpc
from rpc import grpc

MANY = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) "
        "SELECT i, 'row ' || i, i * 0.5, NULL FROM n")


@pytest.fixture(scope="module")
def node():
    with ha.Cluster() as cluster:
        yield cluster.node()


@pytest.fixture
def client(node):
    with rpc.Client(node.port) as c:
        yield c


def memory_kib(node):
    with open(f"/proc/{node.pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def threads(node):
    with open(f"/proc/{node.pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("Threads")).split()[1])


def right(got, n):
    assert len(got) == n
    assert got[0] == [1, "row 1", 0.5, None] and got[-1] == [n, f"row {n}", n * 0.5, None]


def test_100000_rows(client):
    with client.session() as s:
        right(rpc.rows(s.good(MANY, [100000])), 100000)
        s.send(rpc.request(MANY, [100000], max_rows=1000))
        got = []
        while not got or more:
            r = s.receive()
            got += rpc.rows(r)
            more = r.more
        right(got, 100000)
    right([row for r in client.stream(MANY, [100000]) for row in rpc.rows(r)], 100000)


def test_long_stream_takes_little_memory(client, node):
    """A gigabyte, as fast as it can be read: of it all, the node holds a page and what is on its way."""
    list(client.stream(MANY, [1000]))
    before, most, total = memory_kib(node), 0, 0
    for i, r in enumerate(client.stream("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000) "
                                        "SELECT zeroblob(100000) FROM n")):
        total += len(r.result_set.rows)
        if i % 500 == 0:
            most = max(most, memory_kib(node))
    assert total == 10000
    if ha.SLOW == 1:  # a sanitizer keeps what is freed
        assert most - before < 32 * 1024, f"{before} KiB before, {most} KiB on the way"


def test_64_streams_at_a_time_on_one_connection(client, node):
    client.execute("DROP TABLE IF EXISTS t")
    client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    failed = []

    def work(k):
        try:
            with client.session(timeout=4 * rpc.CALL_S) as s:
                for i in range(20):
                    assert s.good("INSERT INTO t(v) VALUES (?)", [k * 1000 + i]).rows_affected == 1
                right([row for r in client.stream(MANY, [2000], timeout=4 * rpc.CALL_S) for row in rpc.rows(r)], 2000)
                s.good("SELECT count(*) FROM t")
        except Exception as e:  # shown by the test itself
            failed.append(repr(e))

    workers = [threading.Thread(target=work, args=(k,)) for k in range(64)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not failed, failed[:3]
    assert rpc.rows(client.execute("SELECT count(*), count(DISTINCT v) FROM t")) == [[1280, 1280]]


def test_more_streams_than_a_connection_has(node):
    """The client's library keeps the rest waiting until there is room."""
    with rpc.Client(node.port) as c:
        sessions = [c.session() for _ in range(300)]
        for s in sessions:
            s.send(rpc.request("SELECT 1"))
        for s in sessions[:200]:
            assert rpc.rows(s.receive()) == [[1]]
        for s in sessions[:200]:
            s.half_close()
        for s in sessions[200:]:
            assert rpc.rows(s.receive()) == [[1]]
        for s in sessions:
            s.close()
    ha.wait_until(lambda: threads(node) < 150, what="the threads of calls that are over have ended")


def window_of(raw, size):
    """The server may send so much on each stream from now on."""
    raw.send(rpc.frame(rpc.SETTINGS, 0, 0, b"\x00\x04" + size.to_bytes(4, "big")))


def test_client_that_does_not_read(client, node):
    """Its streams stop where its window ends; the node holds little for them, and goes on for the others."""
    before = memory_kib(node)
    with rpc.Raw(node.port) as raw:
        window_of(raw, 0)
        body = rpc.framed(rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                      "SELECT i, zeroblob(10000) FROM n").SerializeToString())
        for stream in range(1, 41, 2):
            raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, stream, rpc.call_headers("/ha.v1.Database/Stream")),
                     rpc.frame(rpc.DATA, rpc.END_STREAM, stream, body))
        for _ in range(20):
            assert raw.until(rpc.HEADERS)
        right(rpc.rows(client.execute(MANY, [1000])), 1000)
        if ha.SLOW == 1:
            assert memory_kib(node) - before < 64 * 1024
        # One of them reads on, a little at a time.
        for _ in range(3):
            raw.send(rpc.frame(rpc.WINDOW_UPDATE, 0, 1, (20000).to_bytes(4, "big")))
            got = 0
            while got < 20000:
                f = raw.until(rpc.DATA, 1)
                got += len(f[3])
            assert got == 20000
    ha.wait_until(lambda: client.execute("SELECT 1").txseq >= 0, what="it answers")


def test_client_that_sends_a_byte_at_a_time(node):
    with rpc.Raw(node.port, preface=False) as raw:
        body = rpc.framed(rpc.request("SELECT 42").SerializeToString())
        everything = (rpc.PREFACE + rpc.frame(rpc.SETTINGS) +
                      rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers()) +
                      rpc.frame(rpc.DATA, 0, 1, body[:3]) + rpc.frame(rpc.DATA, 0, 1, body[3:7]) +
                      rpc.frame(rpc.DATA, rpc.END_STREAM, 1, body[7:]))
        for i in range(len(everything)):
            raw.send(everything[i:i + 1])
        assert rpc.rows(rpc.Response.FromString(raw.answer(1))) == [[42]]


def test_many_connections(node):
    clients = [rpc.Client(node.port) for _ in range(100)]
    try:
        for c in clients:
            assert rpc.rows(c.execute("SELECT 1")) == [[1]]
        metrics = node.get("/metrics").body.decode()
        assert 'ha_connections{protocol="grpc"} ' in metrics
        open_now = int(metrics.split('ha_connections{protocol="grpc"} ')[1].split("\n")[0])
        assert open_now >= 100
    finally:
        for c in clients:
            c.channel.close()

    def closed():
        return 'ha_connections{protocol="grpc"} 0\n' in node.get("/metrics").body.decode()

    ha.wait_until(closed, what="all connections are closed")


def test_http_and_grpc_take_turns_on_the_port(node, client):
    for _ in range(50):
        assert node.query("SELECT 1").value == 1
        assert rpc.rows(client.execute("SELECT 2")) == [[2]]


def test_speed_of_small_calls(client):
    """Not a measurement: that a call does not wait for a timer or an acknowledgement anywhere."""
    start = time.monotonic()
    with client.session() as s:
        for i in range(500):
            s.good("SELECT ?", [i])
    for i in range(500):
        client.execute("SELECT ?", [i])
    assert time.monotonic() - start < 10 * ha.SLOW


def test_upload_with_many_messages_in_flight(client):
    """What is sent faster than it is run waits in the client, not in the node."""
    with client.session(timeout=4 * rpc.CALL_S) as s:
        value = bytes(300000)
        for _ in range(200):
            s.send(rpc.request("SELECT length(?)", [value]))
        assert {rpc.rows(s.receive())[0][0] for _ in range(200)} == {300000}


def test_message_limits():
    with ha.Cluster() as cluster:
        small = cluster.node(args=["--grpc-max-message-size", "100KiB"])
        with rpc.Client(small.port) as c:
            assert rpc.rows(c.execute("SELECT length(?)", ["x" * 100000])) == [[100000]]
            code, details, trailers = rpc.status_of(c.execute, "SELECT length(?)", ["x" * 110000])
            assert (code, trailers["ha-error"]) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_BIG")
            assert "102400" in details
            with c.session() as s:
                s.good("SELECT 1")
                with pytest.raises(grpc.RpcError) as e:
                    s.ask("SELECT ?", [bytes(1000000)])
                assert e.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


# ---- everything at once ----------------------------------------------------------------------------------------

EXPECTED = {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}


def one_of_many(rng, client):
    what = rng.randrange(7)
    if what == 0:
        assert rpc.rows(client.execute("SELECT ?", [what])) == [[what]]
    elif what == 1:
        call = client.stream(MANY, [rng.choice([10, 1000, 100000])])
        for _ in range(rng.randrange(5)):
            next(call, None)
        call.cancel()
    elif what == 2:
        client.execute(MANY, [100000], timeout=rng.uniform(0.0005, 0.05))
    elif what == 3:
        with client.session() as s:
            s.good("BEGIN")
            s.good("INSERT INTO churn(v) VALUES (?)", [rng.random()])
            if rng.random() < 0.5:
                s.good("COMMIT")
    elif what == 4:
        client.batch(rpc.request("INSERT INTO churn(v) VALUES (1)"), rpc.request("DELETE FROM churn WHERE v = 1"))
    elif what == 5:
        call = client.unary("/ha.v1.Database/Execute", rpc.Request, rpc.Response).future(rpc.request(MANY, [100000]))
        call.cancel()
    else:
        for r in client.sql_service("Download", True):
            if rng.random() < 0.5:
                break


def churn(port, seed, until, failed):
    """Calls of all kinds, some of which are given up, on connections some of which are closed in the middle."""
    rng = random.Random(seed)
    client = rpc.Client(port)
    while not until():
        try:
            one_of_many(rng, client)
        except grpc.RpcError as e:
            if e.code() not in EXPECTED:
                failed.append(f"{e.code()}: {e.details()}")
        except StopIteration:
            pass
        except AssertionError as e:  # what a session's statement answered
            if "database is busy" not in str(e) and "shutting down" not in str(e):
                failed.append(str(e))
        except ValueError:  # the channel was closed under a call
            pass
        if rng.random() < 0.05:
            client.channel.close()
            client = rpc.Client(port)
    client.channel.close()


def test_churn(cluster):
    """Then the node is as it was before, and in the middle of it it can be stopped."""
    node = cluster.node()
    node.query("CREATE TABLE churn (id INTEGER PRIMARY KEY, v)")
    before, failed = threads(node), []
    end = time.monotonic() + 5

    def run(until):
        workers = [threading.Thread(target=churn, args=(node.port, seed, until, failed)) for seed in range(12)]
        for w in workers:
            w.start()
        return workers

    for w in run(lambda: time.monotonic() > end):
        w.join()
    assert not failed, failed[:5]
    ha.wait_until(lambda: 'ha_connections{protocol="grpc"} 0\n' in node.get("/metrics").body.decode(),
                  what="all connections are closed")
    ha.wait_until(lambda: threads(node) <= before + 2, what="all threads have ended")
    node.query("INSERT INTO churn(v) VALUES ('still there')")
    over = threading.Event()
    workers = run(over.is_set)
    ha.wait_until(lambda: threads(node) > before + 5, what="it is busy again")
    assert node.terminate() == 0
    over.set()
    for w in workers:
        w.join()
    assert not failed, failed[:5]
