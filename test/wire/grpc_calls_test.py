"""ha.v1.Database, files, names, health and reflection with grpcio; metadata, statuses, deadlines, tokens."""

import json
import re
import sqlite3
import threading
import time

import pytest

import ha
import rpc
from rpc import grpc

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
Code = grpc.StatusCode


@pytest.fixture(scope="module")
def node():
    with ha.Cluster() as cluster:
        yield cluster.node(files=["a.db", "b.db"], args=["--max-result-size", "4MiB"])


@pytest.fixture
def client(node):
    with rpc.Client(node.port) as c:
        yield c


@pytest.fixture
def table(client):
    client.execute("DROP TABLE IF EXISTS t")
    client.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    return "t"


# ---- single calls ----------------------------------------------------------------------------------------------


def test_execute(client, table):
    r, call = client.execute_with_call("INSERT INTO t(v) VALUES (?) RETURNING id", ["x"])
    assert rpc.rows(r) == [[1]] and r.rows_affected == 1
    assert dict(call.trailing_metadata())["ha-seq"] == str(r.txseq)
    assert dict(call.initial_metadata())["ha-node"] == "node1"
    r, call = client.execute_with_call("SELECT v FROM t", metadata=[("ha-min-seq", str(r.txseq))])
    assert rpc.rows(r) == [["x"]] and int(dict(call.trailing_metadata())["ha-position"]) > 0
    assert client.execute("", type=rpc.PING).ByteSize() == 0


@pytest.mark.parametrize("sql,code,name,state", [
    ("SELEC 1", Code.INVALID_ARGUMENT, "SYNTAX", "42601"),
    ("SELECT * FROM nowhere", Code.INVALID_ARGUMENT, "NO_TABLE", "42P01"),
    ("INSERT INTO t(id) VALUES (1), (1)", Code.ALREADY_EXISTS, "UNIQUE", "23505"),
    ("INSERT INTO t(v) VALUES ('ü'); SELECT missing FROM t", Code.INVALID_ARGUMENT, "NO_COLUMN", "42703"),
    ("BEGIN", Code.FAILED_PRECONDITION, "TX_ACTIVE", "25001"),
    ("COMMIT", Code.FAILED_PRECONDITION, "TX_NONE", "25P01"),
    ("ATTACH 'x.db' AS x", Code.PERMISSION_DENIED, "DENIED", "42501"),
    ("SELECT 'a%b' FROM \"naïve\ttable\"", Code.INVALID_ARGUMENT, "NO_TABLE", "42P01"),
])
def test_errors_are_statuses(client, table, sql, code, name, state):
    for call in (client.execute, client.stream):
        got, details, trailers = rpc.status_of(call, sql)
        assert (got, trailers["ha-error"], trailers["ha-sqlstate"]) == (code, name, state), details
        if "naïve" in sql:
            assert details == "no such table: naïve\ttable"  # percent-encoded on the way
    assert client.execute("SELECT 1").txseq > 0


def test_error_has_sqlites_code_and_place(client, table):
    _, _, trailers = rpc.status_of(client.execute, "INSERT INTO t(id) VALUES (1), (1)")
    assert trailers["ha-sqlite-code"] == "1555"
    _, _, trailers = rpc.status_of(client.execute, "SELECT missing FROM t")
    assert trailers["ha-offset"] == "7"


def test_stream(client, table):
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i, 'row ' || i FROM n"
    pages = list(client.stream(many, [10000]))
    assert [r for p in pages for r in rpc.rows(p)] == [[i, f"row {i}"] for i in range(1, 10001)]
    assert len(pages) > 3 and [p.more for p in pages] == [True] * (len(pages) - 1) + [False]
    assert all(p.ByteSize() < 200000 for p in pages)
    assert list(pages[0].result_set.columns) == ["i", "'row ' || i"] and not pages[1].result_set.columns
    pages = list(client.stream(many, [10], max_rows=4))
    assert [len(p.result_set.rows) for p in pages] == [4, 4, 2]
    write = list(client.stream("INSERT INTO t(v) " + many.replace("'row ' || i", "i").replace("SELECT i, i", "SELECT i") +
                               " RETURNING id", [5000], max_rows=1000))
    assert [len(p.result_set.rows) for p in write if p.result_set.rows] == [1000] * 5
    assert write[-1].rows_affected == 5000 and write[-1].txseq > 0
    two = list(client.stream("SELECT 1 AS a; SELECT 2 AS b"))
    assert [(list(p.result_set.columns), rpc.rows(p)) for p in two] == [(["a"], [[1]]), (["b"], [[2]])]


def test_stream_that_fails_late(client):
    call = client.stream("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10) "
                         "SELECT CASE WHEN i = 8 THEN abs(-9223372036854775807 - 1) ELSE i END FROM n", max_rows=2)
    got = []
    with pytest.raises(grpc.RpcError) as e:
        for r in call:
            got += rpc.rows(r)
    assert got == [[1], [2], [3], [4], [5], [6]] and e.value.code() == Code.INVALID_ARGUMENT


def test_batch(client, table):
    r = client.batch(rpc.request("INSERT INTO t(v) VALUES (?)", [1]), rpc.request("INSERT INTO t(v) VALUES (?)", [2]),
                     rpc.request("SELECT id, v FROM t ORDER BY id;  -- done"), rpc.request("UPDATE t SET v = v + 1", type=rpc.QUERY),
                     rpc.request("DELETE FROM t WHERE id = 1 RETURNING v", type=rpc.UPDATE))
    a, b, c, d, e = r.responses
    assert (a.rows_affected, a.last_insert_id, b.last_insert_id) == (1, 1, 2) and not a.HasField("result_set")
    assert rpc.rows(c) == [[1, 1], [2, 2]] and d.HasField("result_set") and d.rows_affected == 2
    assert not e.HasField("result_set") and e.rows_affected == 1 and r.txseq > 0
    reads = client.batch(rpc.request("SELECT 1"), rpc.request("SELECT 2"))
    assert [rpc.rows(x) for x in reads.responses] == [[[1]], [[2]]]
    assert not client.batch().responses


def test_batch_is_all_or_nothing(client, table):
    code, _, trailers = rpc.status_of(client.batch, rpc.request("INSERT INTO t(id) VALUES (1)"),
                                      rpc.request("INSERT INTO t(id) VALUES (1)"))
    assert code == Code.ALREADY_EXISTS and trailers["ha-statement"] == "1"
    assert rpc.rows(client.execute("SELECT count(*) FROM t")) == [[0]]
    for bad in ["SELECT 1; SELECT 2", "", "-- nothing", "BEGIN"]:
        code, _, _ = rpc.status_of(client.batch, rpc.request("INSERT INTO t(id) VALUES (1)"), rpc.request(bad))
        assert code in (Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION), bad
    code, _, _ = rpc.status_of(client.batch, rpc.request("SELECT 1", replication_id="a.db"),
                               rpc.request("SELECT 1", replication_id="b.db"))
    assert code == Code.INVALID_ARGUMENT
    assert rpc.rows(client.execute("SELECT count(*) FROM t")) == [[0]]


def test_answer_that_is_too_large(client, table):
    """4 MiB is what this node allows for one answer; a stream has no such limit."""
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100) SELECT zeroblob(60000) FROM n"
    code, details, _ = rpc.status_of(client.execute, rows)
    assert code == Code.RESOURCE_EXHAUSTED and "Stream" in details
    code, _, _ = rpc.status_of(client.batch, rpc.request(rows))
    assert code == Code.RESOURCE_EXHAUSTED
    assert sum(len(r.result_set.rows) for r in client.stream(rows)) == 100
    code, _, _ = rpc.status_of(client.stream, "SELECT zeroblob(5000000)")
    assert code == Code.RESOURCE_EXHAUSTED
    with client.session() as s:
        assert s.ask(rows).error_detail.name == "TOO_BIG"
        assert len(s.good("SELECT zeroblob(3000000)").result_set.rows) == 1


# ---- deadlines and cancellation --------------------------------------------------------------------------------


def quickly(seconds=5):
    return seconds * ha.SLOW


def test_deadline_interrupts_the_statement(client, node):
    for call in (client.execute, client.stream):
        start = time.monotonic()
        assert rpc.status_of(call, ENDLESS, timeout=0.3)[0] == Code.DEADLINE_EXCEEDED
        assert time.monotonic() - start < quickly()
    for _ in range(60):  # more than --concurrent-queries
        with pytest.raises(grpc.RpcError):
            client.execute(ENDLESS, timeout=0.02)
    running(client)


def running(client):
    """Connections to the databases are few: were the statements still running, there would be none left."""
    return client.execute("SELECT 1", timeout=quickly())


def test_deadline_is_the_servers_too(node):
    """A client that does not look at its clock: the server says that the time is over."""
    with rpc.Raw(node.port) as raw:
        body = rpc.framed(rpc.request(ENDLESS).SerializeToString())
        raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers(grpc_timeout="200m")),
                 rpc.frame(rpc.DATA, rpc.END_STREAM, 1, body))
        head = raw.until(rpc.HEADERS, 1)
        assert head[1] & rpc.END_STREAM
        for bad in ["", "1", "S", "123456789S", "-1S", "1 S", "1x", "1.5S"]:
            stream = 3 + 2 * ["", "1", "S", "123456789S", "-1S", "1 S", "1x", "1.5S"].index(bad)
            raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS | rpc.END_STREAM, stream, rpc.call_headers(grpc_timeout=bad)))
            assert raw.until(rpc.HEADERS, stream)[1] & rpc.END_STREAM, bad


def test_deadline_of_a_session(client):
    with client.session(timeout=1) as s:
        s.good("SELECT 1")
        with pytest.raises(grpc.RpcError) as e:
            s.ask(ENDLESS)
        assert e.value.code() == Code.DEADLINE_EXCEEDED


def requests_so_far(node):
    return int(re.search(r"^ha_requests_total (\d+)$", node.get("/metrics").body.decode(), re.M).group(1))


def test_cancel_interrupts_the_statement(client, node):
    before = requests_so_far(node)
    execute = client.unary("/ha.v1.Database/Execute", rpc.Request, rpc.Response)
    calls = [execute.future(rpc.request(ENDLESS)) for _ in range(60)]  # more than --concurrent-queries
    streams = [client.stream(ENDLESS) for _ in range(5)]
    with client.session() as s:
        s.send(rpc.request(ENDLESS))
        ha.wait_until(lambda: requests_so_far(node) >= before + 66, what="all of them run, or wait to")
        s.call.cancel()
    for call in calls + streams:
        call.cancel()
    running(client)


def test_cancel_of_a_write_that_waits(client, table):
    with client.session() as holder:
        holder.good("BEGIN IMMEDIATE")
        call = client.unary("/ha.v1.Database/Execute", rpc.Request, rpc.Response).future(
            rpc.request("INSERT INTO t(v) VALUES ('canceled')"), timeout=0.5)
        with pytest.raises(grpc.RpcError) as e:
            call.result()
        assert e.value.code() == Code.DEADLINE_EXCEEDED
        holder.good("INSERT INTO t(v) VALUES ('held')")
        holder.good("COMMIT")
    client.execute("INSERT INTO t(v) VALUES ('later')")
    assert ["later"] in rpc.rows(client.execute("SELECT v FROM t"))


def test_timeouts_of_the_server():
    with ha.Cluster() as cluster:
        node = cluster.node(args=["--grpc-timeout", "300ms"])
        with rpc.Client(node.port) as c:
            call = c.unary("/ha.v1.Database/Execute", rpc.Request, rpc.Response)
            assert rpc.status_of(call, rpc.request(ENDLESS))[0] == Code.DEADLINE_EXCEEDED
            # A client's own deadline counts for more.
            start = time.monotonic()
            assert rpc.status_of(call, rpc.request(ENDLESS), timeout=1.5)[0] == Code.DEADLINE_EXCEEDED
            assert time.monotonic() - start > 1
        other = cluster.node(args=["--query-timeout", "200ms"])
        with rpc.Client(other.port) as c, c.session() as s:
            d = s.ask(ENDLESS).error_detail
            assert (d.name, d.status) == ("TIMEOUT", 4)
            assert rpc.rows(s.good("SELECT 1")) == [[1]]


# ---- tokens ----------------------------------------------------------------------------------------------------


def test_token():
    with ha.Cluster() as cluster:
        node = cluster.node(token="s3cret")
        for token in (None, "", "S3cret", "s3cretx", "Bearer nonsense", "Basic s3cret"):
            with rpc.Client(node.port, token) as c:
                for call in (c.execute, c.stream):
                    code, _, trailers = rpc.status_of(call, "SELECT 1")
                    assert (code, trailers["ha-error"]) == (Code.UNAUTHENTICATED, "AUTH"), token
                assert rpc.status_of(c.sql_service, "ReplicationIDs")[0] == Code.UNAUTHENTICATED
                with c.session() as s, pytest.raises(grpc.RpcError) as e:
                    s.ask("SELECT 1")
                assert e.value.code() == Code.UNAUTHENTICATED
                call = c.unary("/no.such.Service/Method", rpc.Request, rpc.Response)
                assert rpc.status_of(call, rpc.Request())[0] == Code.UNAUTHENTICATED
                assert c.check() == 1  # as /healthz
        for token in ("s3cret", "Bearer s3cret", "bearer  s3cret"):
            with rpc.Client(node.port, token) as c:
                assert rpc.rows(c.execute("SELECT 1")) == [[1]]


def test_calls_without_a_token_are_few():
    """Health checks need none, and each holds a thread: whoever opens many of them is stopped, and the others are served."""
    with ha.Cluster() as cluster:
        node = cluster.node(token="s3cret")
        with rpc.Client(node.port) as nobody, rpc.Client(node.port, "s3cret") as c:
            watch = nobody.streaming("/grpc.health.v1.Health/Watch", rpc.HealthRequest, rpc.HealthResponse)
            watching = [watch(rpc.HealthRequest()) for _ in range(64)]
            assert [next(w).status for w in watching] == [1] * 64
            assert rpc.status_of(watch, rpc.HealthRequest(), timeout=rpc.CALL_S)[0] == Code.RESOURCE_EXHAUSTED
            assert rpc.rows(c.execute("SELECT 1")) == [[1]]
            mine = c.streaming("/grpc.health.v1.Health/Watch", rpc.HealthRequest, rpc.HealthResponse)
            own = mine(rpc.HealthRequest(), metadata=c.metadata, timeout=rpc.CALL_S)
            assert next(own).status == 1
            own.cancel()
            for w in watching:
                w.cancel()

            def free_again():
                try:
                    return nobody.check() == 1
                except grpc.RpcError as e:
                    assert e.code() == Code.RESOURCE_EXHAUSTED
                    return False

            ha.wait_until(free_again, what="there is room for another one")


def test_token_of_its_own():
    with ha.Cluster() as cluster:
        node = cluster.node(token="http", args=["--grpc-token", "grpc"])
        with rpc.Client(node.port, "http") as c:
            assert rpc.status_of(c.execute, "SELECT 1")[0] == Code.UNAUTHENTICATED
        with rpc.Client(node.port, "grpc") as c:
            assert rpc.rows(c.execute("SELECT 1")) == [[1]]
        assert node.query("SELECT 1").value == 1


# ---- names and files -------------------------------------------------------------------------------------------


def test_names(client):
    assert list(client.sql_service("ReplicationIDs").replication_id) == ["a.db", "b.db"]
    assert list(client.sql_service("DataSourceNames").dsn) == ["a.db", "b.db"]


def test_download(client, table, tmp_path):
    client.execute("INSERT INTO t(v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) "
                   "SELECT zeroblob(1000) FROM n")
    for fields, metadata in (({"replication_id": "a.db"}, ()), ({}, ()), ({}, [("ha-database", "a.db")])):
        pieces = [r.data for r in client.sql_service("Download", True, metadata=metadata, **fields)]
        assert len(pieces) > 40 and max(map(len, pieces)) <= 65536
        path = tmp_path / "copy.db"
        path.write_bytes(b"".join(pieces))
        db = sqlite3.connect(path)
        assert db.execute("SELECT count(*) FROM t").fetchone() == (3000,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
    for method in ("Download", "LatestSnapshot"):
        assert rpc.status_of(client.sql_service, method, True, replication_id="no.db")[0] == Code.NOT_FOUND


def test_snapshot(client, node, table, tmp_path):
    assert rpc.status_of(client.sql_service, "LatestSnapshot", True, replication_id="b.db")[0] == Code.NOT_FOUND
    client.execute("INSERT INTO t(v) VALUES ('in it')")
    seq = node.post("/snapshot", {}).json()["seq"]
    call = client.sql_service("LatestSnapshot", True, replication_id="a.db")
    path = tmp_path / "snapshot.db"
    path.write_bytes(b"".join(r.data for r in call))
    assert dict(call.initial_metadata())["ha-seq"] == str(seq)
    db = sqlite3.connect(path)
    assert db.execute("SELECT v FROM t").fetchall() == [("in it",)]
    db.close()


# ---- health and reflection -------------------------------------------------------------------------------------


def test_health(client):
    for service in ("", "sql.v1.DatabaseService", "ha.v1.Database", "grpc.health.v1.Health", "a.db"):
        assert client.check(service) == 1
    call = client.unary("/grpc.health.v1.Health/Check", rpc.HealthRequest, rpc.HealthResponse)
    assert rpc.status_of(call, rpc.HealthRequest(service="no.such"))[0] == Code.NOT_FOUND
    watch = client.streaming("/grpc.health.v1.Health/Watch", rpc.HealthRequest, rpc.HealthResponse)
    unknown = watch(rpc.HealthRequest(service="no.such"), timeout=rpc.CALL_S)
    assert next(unknown).status == 3
    unknown.cancel()


def test_health_is_watched():
    with ha.Cluster() as cluster:
        nats = cluster.nats()
        node = cluster.node(url=nats)
        with rpc.Client(node.port) as c:
            watch = c.streaming("/grpc.health.v1.Health/Watch", rpc.HealthRequest, rpc.HealthResponse)
            seen = []
            call = watch(rpc.HealthRequest())

            def follow():
                try:
                    for r in call:
                        seen.append(r.status)
                except grpc.RpcError as e:
                    seen.append(e.code())

            follower = threading.Thread(target=follow)
            follower.start()
            ha.wait_until(lambda: seen == [1], what="it serves")
            node.terminate()
            follower.join(quickly(10))
            assert seen[-1] in (Code.UNAVAILABLE, Code.CANCELLED) and 1 in seen


def reflect(client, version, **question):
    names = (f"grpc.reflection.{version}.ServerReflection", "grpc.reflection.v1.ServerReflectionRequest",
             "grpc.reflection.v1.ServerReflectionResponse")
    ask, answer = rpc.message(names[1]), rpc.message(names[2])
    call = client.channel.stream_stream(f"/{names[0]}/ServerReflectionInfo", ask.SerializeToString, answer.FromString)
    return next(call(iter([ask(**question)]), timeout=rpc.CALL_S))


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection(client, version):
    from google.protobuf import descriptor_pb2
    services = [s.name for s in reflect(client, version, list_services="*").list_services_response.service]
    assert services == ["sql.v1.DatabaseService", "ha.v1.Database", "grpc.health.v1.Health",
                        "grpc.reflection.v1.ServerReflection"]
    # Everything that a service's file needs can be had by name, as grpcurl asks for it.
    known, wanted = {}, []
    for s in services:
        r = reflect(client, version, file_containing_symbol=s)
        wanted.append(r.file_descriptor_response.file_descriptor_proto[0])
    while wanted:
        f = descriptor_pb2.FileDescriptorProto.FromString(wanted.pop())
        known[f.name] = f
        for d in f.dependency:
            if d not in known:
                r = reflect(client, version, file_by_filename=d)
                wanted.append(r.file_descriptor_response.file_descriptor_proto[0])
    assert set(known) == {"sql/v1/sql.proto", "ha/v1/database.proto", "grpc/health/v1/health.proto",
                          "grpc/reflection/v1/reflection.proto", "google/protobuf/any.proto"}
    assert [m.name for m in known["sql/v1/sql.proto"].service[0].method] == [
        "Query", "DataSourceNames", "Download", "LatestSnapshot", "ReplicationIDs"]
    method = reflect(client, version, file_containing_symbol="sql.v1.DatabaseService.Query")
    assert len(method.file_descriptor_response.file_descriptor_proto) == 1
    for question in ({"file_by_filename": "no.proto"}, {"file_containing_symbol": "sql.v1.Nothing"},
                     {"file_containing_symbol": "nothing"}, {"file_containing_symbol": ""}):
        assert reflect(client, version, **question).error_response.error_code == 5
    assert reflect(client, version, all_extension_numbers_of_type="x").error_response.error_code == 12


# ---- what clients do on their own ------------------------------------------------------------------------------


def test_retry_policy():
    """A client may try again by itself what has failed: nothing but a status has come."""
    policy = json.dumps({"methodConfig": [{"name": [{"service": "ha.v1.Database"}], "retryPolicy": {
        "maxAttempts": 5, "initialBackoff": "0.5s", "maxBackoff": "2s", "backoffMultiplier": 2,
        "retryableStatusCodes": ["NOT_FOUND"]}}]})
    with ha.Cluster() as cluster:
        node = cluster.node(args=["--create-db-dir", "."])
        with rpc.Client(node.port, options=[("grpc.enable_retries", 1), ("grpc.service_config", policy)]) as c, \
                rpc.Client(node.port) as other:
            execute = c.unary("/ha.v1.Database/Execute", rpc.Request, rpc.Response)
            late = execute.future(rpc.request("SELECT 1", replication_id="late.db"), timeout=rpc.CALL_S)
            assert rpc.status_of(other.execute, "SELECT 1", replication_id="late.db")[0] == Code.NOT_FOUND
            node.post("/databases", {"dsn": "late.db"})
            assert rpc.rows(late.result()) == [[1]]


def test_unknown_methods(client):
    for path in ("/ha.v1.Database/Nothing", "/no.such.Service/Method", "/", "//", "/ha.v1.Database/Execute/more"):
        call = client.unary(path, rpc.Request, rpc.Response)
        assert rpc.status_of(call, rpc.Request())[0] == Code.UNIMPLEMENTED


def test_compression(client):
    call = client.unary("/ha.v1.Database/Execute", rpc.Request, rpc.Response)
    for text in ("x" * 10000, "".join(map(chr, range(32, 2000)))):
        r = call(rpc.request("SELECT ?", [text]), compression=grpc.Compression.Gzip, timeout=rpc.CALL_S)
        assert rpc.rows(r) == [[text]]
    code, details, _ = rpc.status_of(call, rpc.request("SELECT ?", ["x" * 10000]), compression=grpc.Compression.Deflate)
    assert code == Code.UNIMPLEMENTED and "gzip" in details


def test_metadata_that_says_nothing(client):
    assert rpc.status_of(client.execute, "SELECT 1", metadata=[("ha-min-seq", "soon")])[0] == Code.INVALID_ARGUMENT
    assert rpc.status_of(client.execute, "SELECT 1", metadata=[("ha-database", "no.db")])[0] == Code.NOT_FOUND
    assert rpc.status_of(client.execute, "SELECT 1", metadata=[("ha-min-seq", "1000000")], timeout=0.3)[0] == \
        Code.DEADLINE_EXCEEDED
