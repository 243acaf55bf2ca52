"""The HTTP interface of real nodes: shapes, values, streaming, transactions, tokens, files."""

import base64
import csv
import errno
import http.client
import io
import json
import math
import os
import signal
import socket
import sqlite3
import struct
import threading
import time

import pytest

import ha
from ha import blob, wait_until

WRITE = ["rows_affected", "last_insert_id"]


@pytest.fixture(name="node")
def one_node(cluster):
    return cluster.node(nats_port=0)


def post(node, path, body, headers=None):
    """Any answer, its body as JSON."""
    r = node.http.request("POST", path, body, headers)
    return r.status, r.headers, json.loads(r.body) if r.body else None


def problem(node, body, path="/query", headers=None):
    status, answer_headers, value = post(node, path, body, headers)
    assert answer_headers["Content-Type"] == "application/problem+json"
    assert value["status"] == status
    return value


# ---- shapes ----------------------------------------------------------------------------------------------------


def test_object_array_and_several_statements(node):
    assert post(node, "/", {"sql": "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"})[2]["columns"] == WRITE
    _, headers, value = post(node, "/query", {"sql": "INSERT INTO t(name) VALUES(:name)", "params": {"name": "a"}})
    assert value == {"columns": WRITE, "rows": [[1, 1]]}
    assert headers["HA-Node"] == node.name
    _, headers, value = post(node, "/query", [
        {"sql": "INSERT INTO t(name) VALUES(:name)", "params": {":name": "b"}},
        {"sql": "DELETE FROM t WHERE name = ?", "params": ["b"]},
        {"sql": "SELECT * FROM t"}])
    assert value == {"results": [{"columns": WRITE, "rows": [[1, 2]]}, {"columns": WRITE, "rows": [[1, 2]]},
                                 {"columns": ["id", "name"], "rows": [[1, "a"]]}]}
    _, _, value = post(node, "/query", {"sql": "SELECT 1 AS a; SELECT 2 AS b"})
    assert value == {"results": [{"columns": ["a"], "rows": [[1]]}, {"columns": ["b"], "rows": [[2]]}]}
    assert post(node, "/query", {"sql": "SELECT 1 AS a; -- nothing"})[2] == {"columns": ["a"], "rows": [[1]]}
    assert post(node, "/query", [{"sql": "SELECT 1 AS a"}])[2] == {"results": [{"columns": ["a"], "rows": [[1]]}]}


def test_statements_that_return_rows(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    assert node.query("INSERT INTO t(v) VALUES(5) RETURNING id, v").rows == [[1, 5]]
    assert node.query("/* c */ WITH x(a) AS (VALUES(1),(2)) SELECT sum(a) FROM x").rows == [[3]]
    assert node.query("VALUES(1,'x')").rows == [[1, "x"]]
    assert node.query("-- c\nPRAGMA table_info(t)").rows[0][1] == "id"
    assert node.query("EXPLAIN QUERY PLAN SELECT * FROM t").rows


def test_array_is_one_transaction(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    p = problem(node, [{"sql": "INSERT INTO t VALUES(1)"}, {"sql": "INSERT INTO t VALUES(1)"}])
    assert (p["code"], p["sqlstate"], p["sqlite_code"], p["statement"]) == ("UNIQUE", "23505", 19, 1)
    assert p["sqlite_extended_code"] == 1555
    assert node.query("SELECT count(*) FROM t").value == 0


def test_associative_and_details(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(10))")
    node.query("INSERT INTO t(name) VALUES('x')")
    _, _, value = post(node, "/query?associative&details=true", {"sql": "SELECT id, name, 1 AS id FROM t"})
    assert value["rows"] == [{"id": 1, "name": "x", "id:1": 1}]
    assert value["types"] == ["INTEGER", "VARCHAR(10)", None]
    assert value["returns_rows"] is True and value["rows_affected"] == 0 and value["time"] >= 0
    _, _, value = post(node, "/query?details=true", {"sql": "UPDATE t SET name = 'y'"})
    assert value["returns_rows"] is False and value["rows_affected"] == 1


# ---- values ----------------------------------------------------------------------------------------------------

NUMBERS = [0, 1, -1, 2**53 + 1, 2**63 - 1, -2**63, 0.0, 1.0, 0.1, -2.5e-300, 1.7976931348623157e308, 5e-324, 1e15]


def test_every_value_arrives_as_it_left(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    texts = ["", "a", "é漢字😀", "\x01\x1f\"\\/\u2028", "x" * 100000]
    values = NUMBERS + texts + [None]
    for v in values:
        node.query("INSERT INTO t(v) VALUES(?)", [v])
    got = [r[0] for r in node.query("SELECT v FROM t ORDER BY id").rows]
    assert got == values
    assert [type(v) for v in got] == [type(v) for v in values]
    types = [r[0] for r in node.query("SELECT DISTINCT typeof(v) FROM t ORDER BY 1").rows]
    assert types == ["integer", "null", "real", "text"]


def test_values_that_json_cannot_say(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    values = [blob(b""), blob(bytes(range(256))), {"type": "real", "value": "inf"},
              {"type": "real", "value": "-inf"},
              {"type": "text", "base64": base64.b64encode(b"a\0b").decode()},
              {"type": "text", "base64": base64.b64encode(b"\xff\xfe").decode()}]
    for v in values:
        node.query("INSERT INTO t(v) VALUES(:v)", {"v": v})
    assert [r[0] for r in node.query("SELECT v FROM t ORDER BY id").rows] == values
    types = [r[0] for r in node.query("SELECT typeof(v) FROM t ORDER BY id").rows]
    assert types == ["blob", "blob", "real", "real", "text", "text"]
    assert node.query("SELECT typeof(?), typeof(?), ?", [True, {"type": "integer", "value": str(2**63 - 1)}, False]
                      ).rows == [["integer", "integer", 0]]


def test_what_cannot_be_bound_is_named(node):
    for body, says in ((b'{"sql":"SELECT :n","params":{"n":9223372036854775808}}', '"n"'),
                       (b'{"sql":"SELECT ?","params":[1e999]}', "parameter 1"),
                       (b'{"sql":"SELECT ?","params":[[1]]}', "parameter 1"),
                       (b'{"sql":"SELECT ?","params":[{"type":"date"}]}', "parameter 1")):
        p = problem(node, body)
        assert p["code"] == "PARAM" and p["status"] == 400 and says in p["detail"], p


def test_what_is_not_given_is_named(node):
    node.query("CREATE TABLE given (a, b)")
    for body, says in ((b'{"sql":"INSERT INTO given VALUES (:a, :b)","params":{"a":1,"B":2}}', ":b"),
                       (b'[{"sql":"INSERT INTO given VALUES (1, 2)"},{"sql":"INSERT INTO given VALUES (:a, 1)"}]', ":a"),
                       (b'{"sql":"SELECT ?, ?","params":[1]}', "parameter 2"), (b'{"sql":"SELECT @x"}', "@x")):
        p = problem(node, body)
        assert p["code"] == "PARAM" and p["status"] == 400 and says in p["detail"], p
    assert node.query("SELECT count(*) FROM given").value == 0
    post(node, "/query", b'{"sql":"INSERT INTO given(a) VALUES (:a); INSERT INTO given(b) VALUES (:b)","params":{"a":1,"b":null,"c":3}}')
    assert node.query("SELECT a, b FROM given ORDER BY rowid").rows == [[1, None], [None, None]]


def test_malformed_bodies(node):
    for body in (b"", b"{", b"[]", b"5", b"{}", b'{"sql":1}', b'{"sql":"SELECT 1"}x', b'[{"sql":"SELECT 1"},2]',
                 b'{"sql":"\xff"}', b'{"sql":"\\ud800"}', b"[" * 100000, b"\0", b"sql=SELECT+1"):
        p = problem(node, body)
        assert p["status"] == 400 and p["code"] == "PROTOCOL", (body[:20], p)
    assert node.query("SELECT 1").value == 1


# ---- errors ----------------------------------------------------------------------------------------------------


def test_sql_errors_have_codes_and_offsets(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, u UNIQUE, n NOT NULL, c CHECK (c > 0))")
    cases = [("SELEKT 1", 400, "42601", 0), ("SELECT * FROM nowhere", 400, "42P01", None),
             ("SELECT missing FROM t", 400, "42703", 7), ("SELECT nofunc(1)", 400, "42883", 7),
             ("INSERT INTO t VALUES(1,1,NULL,1)", 409, "23502", None),
             ("INSERT INTO t VALUES(1,1,1,0)", 409, "23514", None),
             ("ATTACH 'x.db' AS x", 400, "42501", None), ("VACUUM INTO 'x.db'", 400, "42501", None)]
    for sql, status, sqlstate, offset in cases:
        p = problem(node, {"sql": sql})
        assert (p["status"], p["sqlstate"]) == (status, sqlstate), (sql, p)
        if offset is not None:
            assert p["offset"] == offset, (sql, p)


def test_paths_and_methods(node):
    for path in ("/nothing", "/query/", "/snapshots", "/undo", "/databases/a/b"):
        assert node.http.request("GET", path).status == 404
    r = node.http.request("GET", "/query")
    assert (r.status, r.headers["Allow"]) == (405, "POST, OPTIONS")
    assert problem(node, {"sql": "SELECT 1"}, "/databases/nowhere.db")["sqlstate"] == "3D000"
    r = node.http.request("OPTIONS", "/query", headers={"Origin": "http://x"})
    assert (r.status, r.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert node.http.request("HEAD", "/healthz").headers["Content-Length"] == "3"


def test_timeout_and_recovery(node):
    endless = "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM x) SELECT count(*) FROM x"
    begin = time.monotonic()
    p = problem(node, {"sql": endless}, "/query?timeout=200ms")
    assert p["code"] == "TIMEOUT" and time.monotonic() - begin < 20 * ha.SLOW
    assert problem(node, {"sql": endless}, headers={"HA-Timeout": "0.1s"})["code"] == "TIMEOUT"
    assert problem(node, {"sql": "SELECT 1"}, "/query?timeout=x")["code"] == "PARAM"
    assert node.query("SELECT 1").value == 1


def test_a_client_that_leaves_interrupts_its_statement(node):
    node.query("CREATE TABLE t (v)")
    endless = ("WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM x) "
               "INSERT INTO t SELECT count(*) FROM x")
    body = json.dumps({"sql": endless}).encode()
    with socket.create_connection(("127.0.0.1", node.port)) as s:
        s.sendall(b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    # It holds the only write connection: this gets through once it has been interrupted.
    wait_until(lambda: node.query("INSERT INTO t VALUES(1)").rows_affected == 1)
    assert node.query("SELECT count(*) FROM t").value >= 1


# ---- large results ---------------------------------------------------------------------------------------------

SERIES = "WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM x WHERE i < {n}) SELECT i, 'row ' || i AS s FROM x"


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def test_large_results_in_every_format(node):
    n = 200000
    _, _, value = post(node, "/query", {"sql": SERIES.format(n=n)})
    assert len(value["rows"]) == n and value["rows"][-1] == [n, f"row {n}"]
    r = node.post("/query", {"sql": SERIES.format(n=n)}, {"Accept": "application/x-ndjson"})
    lines = r.body.decode().splitlines()
    assert json.loads(lines[0]) == {"columns": ["i", "s"], "types": [None, None]}
    assert len(lines) == n + 1 and json.loads(lines[-1]) == [n, f"row {n}"]
    r = node.post("/query", {"sql": SERIES.format(n=n)}, {"Accept": "text/csv"})
    rows = list(csv.reader(io.StringIO(r.body.decode(), newline="")))
    assert rows[0] == ["i", "s"] and rows[-1] == [str(n), f"row {n}"] and len(rows) == n + 1


def test_streaming_takes_no_memory_and_waits_for_a_slow_reader(node):
    before = rss_kib(node.pid)
    body = json.dumps({"sql": SERIES.format(n=10_000_000)}).encode()
    with socket.create_connection(("127.0.0.1", node.port)) as s:
        s.sendall(b"POST /query HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s"
                  % (len(body), body))
        got = 0
        while got < 20_000_000:
            got += len(s.recv(1 << 20))
        if not os.environ.get("SANITIZE"):  # what is freed is kept for a while there
            assert rss_kib(node.pid) - before < 8192
    # The connection's end ends the read.
    assert node.query("SELECT 1").value == 1


def test_csv_details(node):
    r = node.post("/query", {"sql": "SELECT NULL AS n, '' AS e, 'a\"b,c' AS q, x'0001ff' AS b, 1.0 AS r, 9e999 AS i"},
                  {"Accept": "text/csv"})
    assert r.body == b'n,e,q,b,r,i\r\n,"","a""b,c",AAH/,1.0,inf\r\n'


def test_large_bodies(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    value = "x" * 20_000_000
    assert node.query("INSERT INTO t(v) VALUES(?)", [value]).rows_affected == 1
    assert node.query("SELECT length(v) FROM t").value == len(value)
    body = [{"sql": "INSERT INTO t(v) VALUES(?)", "params": [i]} for i in range(20000)]
    assert len(post(node, "/query", body)[2]["results"]) == 20000
    assert node.query("SELECT count(*) FROM t").value == 20001


def test_deeply_nested_sql(node):
    """Stacks are small: SQLite's own limits must come first."""
    for sql in ("SELECT " + "(" * 900 + "1" + ")" * 900,
                "SELECT " + "abs(" * 900 + "1" + ")" * 900,
                "SELECT 1" + "+1" * 990,
                "SELECT " + "NOT " * 990 + "1",
                "SELECT * FROM " + "(SELECT * FROM " * 200 + "(SELECT 1)" + ")" * 200,
                "SELECT " + "(SELECT " * 200 + "1" + ")" * 200,
                "SELECT 1" + " UNION ALL SELECT 1" * 499,
                "SELECT json('" + "[" * 1000 + "]" * 1000 + "')",
                "WITH " + ",".join(f"t{i} AS (SELECT * FROM t{i - 1} JOIN t{i - 1})" if i else "t0 AS (SELECT 1)"
                                   for i in range(12)) + " SELECT 1"):
        status, _, value = post(node, "/query", {"sql": sql})
        assert status in (200, 400), (sql[:40], value)
    node.query("CREATE VIEW v0 AS SELECT 1 AS x")
    node.batch([f"CREATE VIEW v{i} AS SELECT x FROM v{i - 1}" for i in range(1, 1000)])
    assert post(node, "/query", {"sql": "SELECT x FROM v999"})[0] in (200, 400)
    assert node.query("SELECT x FROM v9").value == 1


# ---- transactions over several requests ------------------------------------------------------------------------


def begin(node, body=None):
    status, headers, value = post(node, "/transactions", body or b"")
    assert status == 201 and headers["Location"] == f"/transactions/{value['transaction']}"
    return value["transaction"]


def test_transaction(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    tx = begin(node)
    inside = {"HA-Transaction": tx}
    assert node.query("INSERT INTO t(v) VALUES('a')", headers=inside).rows == [[1, 1]]
    assert node.query("SELECT count(*) FROM t", headers=inside).value == 1
    assert node.query("SELECT count(*) FROM t").value == 0
    assert problem(node, {"sql": "INSERT INTO t(id) VALUES(1)"}, headers=inside)["code"] == "UNIQUE"
    node.query("INSERT INTO t(v) VALUES('b')", headers=inside)
    status, headers, value = post(node, f"/transactions/{tx}/commit", b"")
    assert status == 200 and value["seq"] == int(headers.get("HA-Seq", 0))
    assert node.query("SELECT count(*) FROM t").value == 2
    assert post(node, f"/transactions/{tx}/commit", b"")[0] == 404
    tx = begin(node)
    node.query("DELETE FROM t", headers={"HA-Transaction": tx})
    assert node.http.request("POST", f"/transactions/{tx}/rollback").status == 204
    assert node.query("SELECT count(*) FROM t").value == 2


def test_transaction_is_one_snapshot(node):
    node.query("CREATE TABLE t (v)")
    tx = begin(node)
    assert node.query("SELECT count(*) FROM t", headers={"HA-Transaction": tx}).value == 0
    node.query("INSERT INTO t VALUES(1)")
    assert node.query("SELECT count(*) FROM t", headers={"HA-Transaction": tx}).value == 0
    p = problem(node, {"sql": "INSERT INTO t VALUES(2)"}, headers={"HA-Transaction": tx})
    assert (p["code"], p["sqlstate"], p["status"]) == ("CONFLICT", "40001", 409)
    node.http.request("POST", f"/transactions/{tx}/rollback")
    assert node.query("SELECT count(*) FROM t").value == 1


def test_idle_transaction(cluster):
    node = cluster.node(nats_port=0, args=["--tx-idle-timeout", "300ms"])
    node.query("CREATE TABLE t (v)")
    tx = begin(node)
    node.query("INSERT INTO t VALUES(1)", headers={"HA-Transaction": tx})
    # It holds the write connection until the idle limit.
    assert node.query("INSERT INTO t VALUES(2)").rows_affected == 1
    p = problem(node, {"sql": "SELECT 1"}, headers={"HA-Transaction": tx})
    assert (p["code"], p["status"]) == ("TX_IDLE", 409)
    assert node.query("SELECT v FROM t").rows == [[2]]


def test_transaction_left_open_in_one_request(node):
    node.query("CREATE TABLE t (v)")
    p = problem(node, {"sql": "BEGIN; INSERT INTO t VALUES(1)"})
    assert p["code"] == "TX_ACTIVE"
    assert node.query("SELECT count(*) FROM t").value == 0
    assert post(node, "/query", {"sql": "BEGIN; INSERT INTO t VALUES(1); COMMIT"})[0] == 200
    assert node.query("SELECT count(*) FROM t").value == 1


# ---- replication as clients see it -----------------------------------------------------------------------------


def test_read_your_writes_on_another_node(cluster):
    a, b = cluster.nodes(2)
    _, headers, _ = post(a, "/query", {"sql": "CREATE TABLE t (id INTEGER PRIMARY KEY)"})
    for i in range(50):
        _, headers, _ = post(a, "/query", {"sql": "INSERT INTO t DEFAULT VALUES"})
        r = b.post("/query", {"sql": "SELECT count(*) FROM t"}, {"HA-Min-Seq": headers["HA-Seq"]})
        assert r.json()["rows"] == [[i + 1]]
        assert int(r.headers["HA-Position"]) >= int(headers["HA-Seq"])
    p = problem(b, {"sql": "SELECT 1"}, "/query?timeout=200ms", {"HA-Min-Seq": str(10**9)})
    assert p["status"] in (503, 408), p
    wait_until(lambda: {a.name, b.name} <= {r["name"] for r in a.get("/replications").json()["replications"]})
    assert a.get(f"/replications/{b.name}").json()["replications"]
    assert a.http.request("GET", "/replications/nobody").status == 404


def test_create_and_drop_database(cluster):
    a = cluster.node(args=["--create-db-dir", "."])
    b = cluster.node(url=a, args=["--create-db-dir", "."])
    status, _, value = post(a, "/databases", {"dsn": "orders.db"})
    assert status == 201, value
    wait_until(lambda: "orders.db" in b.get("/databases").json()["databases"])
    a.query("CREATE TABLE t (v)", db="orders.db")
    wait_until(lambda: b.query("SELECT count(*) FROM t", db="orders.db").value == 0)
    assert a.http.request("POST", "/databases", {"dsn": "orders.db"}).status == 409
    assert b.http.request("DELETE", "/databases/orders.db").status == 200
    wait_until(lambda: "orders.db" not in a.get("/databases").json()["databases"])
    assert a.http.request("DELETE", "/databases/orders.db").status == 404


# ---- everything else -------------------------------------------------------------------------------------------


def test_token(cluster):
    node = cluster.node(nats_port=0, token="s3cret")
    open_http = ha.Http("no token", node.port)
    for path, status in (("/healthz", 200), ("/livez", 200), ("/readyz", 200), ("/status", 401), ("/metrics", 401),
                         ("/databases", 401), ("/nothing", 401)):
        assert open_http.request("GET", path).status == status, path
    r = open_http.request("POST", "/query", {"sql": "SELECT 1"})
    assert (r.status, r.headers["WWW-Authenticate"]) == (401, "Bearer")
    for value, status in (("Bearer s3cret", 200), ("s3cret", 200), ("bearer s3cret", 200), ("Bearer s3cre", 401),
                          ("Bearer s3crett", 401), ("", 401)):
        r = open_http.request("POST", "/query", {"sql": "SELECT 1"}, {"Authorization": value})
        assert r.status == status, value
    open_http.close()


def test_download_is_a_database(node, tmp_path):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    node.query("INSERT INTO t(v) WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM x WHERE i < 5000) "
               "SELECT hex(randomblob(500)) FROM x")
    r = node.get("/download")
    assert r.headers["Content-Disposition"].startswith('attachment; filename="')
    path = tmp_path / "copy.db"
    path.write_bytes(r.body)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM t").fetchone() == (5000,)
    name = node.get("/databases").json()["databases"][0]
    assert len(node.get(f"/databases/{name}").body) == len(r.body)
    assert node.http.request("GET", "/databases/nowhere.db").status == 404


def test_openapi_status_metrics_version(node):
    text = node.get("/openapi.yaml").body
    with open(os.path.join(ha.ROOT, "src/wire/http/openapi.yaml"), "rb") as f:
        assert text == f.read()
    assert isinstance(node.status(), dict)
    r = node.get("/metrics")
    assert r.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert b'ha_connections{protocol="http"}' in r.body
    assert node.get("/version").json()["node"] == node.name
    assert node.get("/readyz").body == b"ok\n"


def test_many_connections_and_keep_alive(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    wrong = []

    def work(k):
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60 * ha.SLOW)
        try:
            for i in range(30):
                sql = "SELECT ?" if i % 3 else "INSERT INTO t(v) VALUES(?) RETURNING v"
                connection.request("POST", "/query", json.dumps({"sql": sql, "params": [k * 1000 + i]}))
                r = connection.getresponse()
                value = json.loads(r.read())
                if r.status != 200 or value["rows"] != [[k * 1000 + i]]:
                    wrong.append(value)
        except OSError as e:
            wrong.append(e)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong[:3]
    assert node.query("SELECT count(*) FROM t").value == 640


def test_pipelined_and_odd_requests(node):
    body = b'{"sql":"SELECT 1"}'
    one = b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_connection(("127.0.0.1", node.port), 10) as s:
        s.sendall(one * 20 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = b""
        while data := s.recv(65536):
            got += data
    assert got.count(b"HTTP/1.1 200 OK") == 21 and got.count(b"[[1]]") == 20
    for odd in (b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
                b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", node.port), 10) as s:
            s.sendall(odd)
            try:  # it may have answered and gone before it has read all of it
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError as e:
                assert e.errno in (errno.ECONNRESET, errno.ENOTCONN)
    assert node.query("SELECT 1").value == 1


def test_stopping_answers_what_runs(cluster):
    node = cluster.node(nats_port=0)
    # More than the sockets' buffers hold: it runs as long as nobody reads. And no more than a stopping node has time for.
    n = 100_000 if ha.SLOW == 1 else 30_000
    sql = (f"WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM x WHERE i < {n}) "
           "SELECT i, printf('%0300d', i) FROM x")
    body = json.dumps({"sql": sql}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60 * ha.SLOW)
    connection.request("POST", "/query", body, {"Accept": "application/x-ndjson"})
    with socket.create_connection(("127.0.0.1", node.port)) as idle, connection.getresponse() as answer:
        first = answer.readline()
        node.signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        lines = answer.read().splitlines()
    assert json.loads(first)["columns"][0] == "i"
    assert len(lines) == n and json.loads(lines[-1]) == [n, f"{n:0300d}"]
    assert node.wait_exit() == 0
    connection.close()


def connections(node):
    """How many TCP connections to it are established, as the kernel sees them."""
    count = 0
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}", encoding="ascii") as f:
            for line in f.readlines()[1:]:
                local, state = line.split()[1], line.split()[3]
                count += state == "01" and int(local.rsplit(":", 1)[1], 16) == node.port
    return count


def test_reset_connections_do_no_harm(node):
    body = json.dumps({"sql": SERIES.format(n=1_000_000)}).encode()
    for _ in range(20):
        s = socket.create_connection(("127.0.0.1", node.port))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.sendall(b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        s.recv(1000)
        s.close()  # a reset
    assert node.query("SELECT 1").value == 1
    wait_until(lambda: connections(node) <= 2)
    assert math.isclose(node.query("SELECT 0.1 + 0.2").value, 0.3)
