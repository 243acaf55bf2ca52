"""sql.v1.DatabaseService/Query with grpcio: sessions, as go-ha's clients use them, and what ha adds."""

import math

import pytest

import ha
import rpc
from rpc import grpc


@pytest.fixture(scope="module")
def node():
    with ha.Cluster() as cluster:
        yield cluster.node(files=["a.db", "b.db"])


@pytest.fixture
def client(node):
    with rpc.Client(node.port) as c:
        yield c


@pytest.fixture
def session(client):
    with client.session() as s:
        yield s


@pytest.fixture
def table(session):
    session.good("DROP TABLE IF EXISTS t")
    session.good("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    return "t"


VALUES = [None, 0, 1, -1, 2**63 - 1, -2**63, 0.0, 1.5, -0.0, 1e308, 5e-324, math.inf, -math.inf, "", "text", "naïve ☃ 🎈",
          "with\0nul", "x" * 100000, b"", b"\0\xff\x80", bytes(range(256)) * 1000]


def test_values_arrive_as_they_left(session, table):
    for v in VALUES:
        session.good("INSERT INTO t(v) VALUES (?)", [v])
    back = [r[0] for r in rpc.rows(session.good("SELECT v FROM t ORDER BY id"))]
    assert back == VALUES
    assert [type(b) for b in back] == [type(v) for v in VALUES]
    assert math.copysign(1, back[8]) == -1
    kinds = [r[0] for r in rpc.rows(session.good("SELECT typeof(v) FROM t ORDER BY id"))]
    names = {type(None): "null", int: "integer", float: "real", str: "text", bytes: "blob"}
    assert kinds == [names[type(v)] for v in VALUES]


def test_history_and_undo(session, table):
    session.good("INSERT INTO t VALUES (1, 'a')")
    session.good("UPDATE t SET v = 'b'")
    r = session.good("HISTORY")
    assert list(r.result_set.columns)[:3] == ["seq", "sql", "timestamp"]
    n = rpc.rows(r)[0][0]
    assert rpc.rows(r)[0][1] == "UPDATE \"t\" SET \"v\" = 'b' WHERE \"id\" = 1"
    r = session.good("UNDO ?", [n])
    assert r.rows_affected == 1 and r.txseq == n + 1
    assert rpc.rows(session.good("SELECT v FROM t")) == [["a"]]
    session.good("BEGIN")
    assert session.ask("UNDO 0").error_detail.name == "TX_ACTIVE"
    session.good("ROLLBACK")
    assert session.ask("UNDO 999999").error_detail.name == "NOT_FOUND"


def test_other_wrappers_are_taken(session):
    from google.protobuf import timestamp_pb2, wrappers_pb2 as w
    given = [w.Int32Value(value=-5), w.UInt32Value(value=2**32 - 1), w.UInt64Value(value=7), w.FloatValue(value=0.5),
             w.BoolValue(value=True), w.BoolValue(), timestamp_pb2.Timestamp(seconds=1769861096, nanos=500000000),
             timestamp_pb2.Timestamp(seconds=-62135596800)]
    r = session.good("SELECT ?, ?, ?, ?, ?, ?, ?, ?", given)
    assert rpc.rows(r) == [[-5, 2**32 - 1, 7, 0.5, 1, 0, "2026-01-31 12:04:56.500000000+00:00",
                            "0001-01-01 00:00:00+00:00"]]
    assert rpc.rows(session.good("SELECT datetime(?)", [given[6]])) == [["2026-01-31 12:04:56"]]
    for bad in [w.UInt64Value(value=2**63), timestamp_pb2.Timestamp(seconds=10**15), rpc.Request(sql="?")]:
        r = session.ask("SELECT ?", [bad])
        assert r.error and r.error_detail.name == "PARAM", bad


def test_value_that_is_cut_off_ends_the_call(client):
    broken = rpc.pack(1)
    broken.value = b"\x08"
    code, details, _ = rpc.status_of(client.execute, "SELECT ?", [broken])
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "Int64Value" in details


def test_text_that_is_no_utf8_leaves_as_bytes(session):
    assert rpc.rows(session.good("SELECT CAST(x'61ff62' AS TEXT)")) == [[b"a\xffb"]]


def test_types_of_requests(session, table):
    insert = session.good("INSERT INTO t(v) VALUES (1), (2)", type=rpc.UPDATE)
    assert not insert.HasField("result_set")
    assert (insert.rows_affected, insert.last_insert_id) == (2, 2)
    assert insert.txseq > 0
    any_read = session.good("SELECT v FROM t ORDER BY id")
    assert list(any_read.result_set.columns) == ["v"] and rpc.rows(any_read) == [[1], [2]]
    assert any_read.txseq >= insert.txseq
    no_rows = session.good("SELECT v FROM t", type=rpc.UPDATE)
    assert not no_rows.HasField("result_set")
    empty = session.good("UPDATE t SET v = 3", type=rpc.QUERY)
    assert empty.HasField("result_set") and not empty.result_set.columns and empty.rows_affected == 2
    returning = session.good("DELETE FROM t RETURNING id")
    assert rpc.rows(returning) == [[1], [2]] and returning.rows_affected == 2
    nothing = session.good("SELECT v FROM t")
    assert list(nothing.result_set.columns) == ["v"] and not nothing.result_set.rows
    assert session.good("", type=rpc.PING).ByteSize() == 0
    assert session.good("").ByteSize() <= 4 + 8  # a text without a statement, and where the node stands
    types = session.good("SELECT id, v, 1 FROM t").result_set.column_types
    assert list(types) == ["INTEGER", "", ""]


def test_texts_of_several_statements(session, table):
    r = session.good("INSERT INTO t(v) VALUES (1); SELECT 1 AS a; SELECT 2 AS b; INSERT INTO t(v) VALUES (2)")
    assert list(r.result_set.columns) == ["b"] and rpc.rows(r) == [[2]]
    assert (r.rows_affected, r.last_insert_id) == (2, 2)


@pytest.mark.parametrize("sql,params,result", [
    ("SELECT :a, @b, $c", {"a": 1, "@b": 2, "$c": 3}, [1, 2, 3]),
    ("SELECT ?2, ?1", ["one", "two"], ["two", "one"]),
    ("SELECT ?, ?", [1, None], [1, None]),
])
def test_parameters(session, sql, params, result):
    assert rpc.rows(session.good(sql, params)) == [result]


def test_parameters_come_in_any_order(session):
    r = rpc.Request(sql="SELECT ?, ?")
    r.params.add(ordinal=2, value=rpc.pack("second"))
    r.params.add(ordinal=1, value=rpc.pack("first"))
    session.send(r)
    assert rpc.rows(session.receive()) == [["first", "second"]]


@pytest.mark.parametrize("ordinals", [[0], [2], [1, 1], [-1], [1, 3], [2**62]])
def test_parameters_that_have_no_place(session, ordinals):
    r = rpc.Request(sql="SELECT ?, ?")
    for o in ordinals:
        r.params.add(ordinal=o, value=rpc.pack(1))
    session.send(r)
    assert session.receive().error_detail.name == "PARAM"
    assert rpc.rows(session.good("SELECT 1")) == [[1]]


def test_too_few_and_mixed_parameters(session):
    assert session.ask("SELECT ?, ?", [1]).error_detail.name == "PARAM"
    assert session.ask("SELECT ?", [1, 2]).error_detail.name == "PARAM"
    r = rpc.Request(sql="SELECT :a, ?")
    r.params.add(name="a", value=rpc.pack(1))
    r.params.add(ordinal=2, value=rpc.pack(1))
    session.send(r)
    assert session.receive().error_detail.name == "PARAM"
    assert rpc.rows(session.good("SELECT " + ",".join("?" * 999), [1] * 999)) == [[1] * 999]
    many = rpc.Request(sql="SELECT 1")
    for i in range(32767):
        many.params.add(ordinal=i + 1)
    session.send(many)
    assert session.receive().error_detail.name == "PARAM"


def test_error_is_an_answer_and_the_session_goes_on(session, table):
    r = session.ask("SELECT * FROM nowhere")
    d = r.error_detail
    assert r.error == "no such table: nowhere" and not r.HasField("result_set")
    assert (d.name, d.status, d.sqlstate, d.sqlite_code, d.offset) == ("NO_TABLE", 3, "42P01", 1, 0)
    session.good("INSERT INTO t(id) VALUES (1)")
    d = session.ask("INSERT INTO t(id) VALUES (1)").error_detail
    assert (d.name, d.status, d.sqlstate, d.sqlite_code) == ("UNIQUE", 6, "23505", 1555)
    d = session.ask("SELECT 1 FROM t WHERE missing = 1").error_detail
    assert d.name == "NO_COLUMN" and d.offset == len("SELECT 1 FROM t WHERE ") + 1
    assert rpc.rows(session.good("SELECT 1")) == [[1]]


def test_transaction(client, session, table):
    with client.session() as other:
        session.good("BEGIN")
        session.good("BEGIN")  # go-ha's clients may say it twice
        session.good("INSERT INTO t(v) VALUES ('mine')")
        assert rpc.rows(session.good("SELECT v FROM t")) == [["mine"]]
        assert rpc.rows(other.good("SELECT v FROM t")) == []
        seq = session.good("COMMIT").txseq
        assert rpc.rows(other.good("SELECT v FROM t", min_seq=seq)) == [["mine"]]
        for nothing in ["COMMIT", "END;", "ROLLBACK -- nothing to end"]:
            assert session.good(nothing).txseq == 0
        session.good("BEGIN")
        session.good("DELETE FROM t")
        session.good("ROLLBACK")
        assert rpc.rows(other.good("SELECT v FROM t")) == [["mine"]]
        assert session.ask("COMMIT; SELECT 1").error_detail.name == "TX_NONE"


def test_savepoints(session, table):
    session.good("BEGIN; INSERT INTO t(v) VALUES (1); SAVEPOINT s; INSERT INTO t(v) VALUES (2)")
    session.good("ROLLBACK TO s")
    assert session.ask("INSERT INTO t(id) VALUES (1)").error_detail.name == "UNIQUE"  # it alone is undone
    session.good("COMMIT")
    assert rpc.rows(session.good("SELECT v FROM t")) == [[1]]


def test_what_is_open_is_rolled_back_at_the_end(client, node, table):
    for leave in (rpc.Session.half_close, lambda s: s.call.cancel()):
        with client.session() as s:
            s.good("BEGIN IMMEDIATE")
            s.good("INSERT INTO t(v) VALUES ('gone')")
            leave(s)
            ha.wait_until(lambda: not client.execute("INSERT INTO t(v) VALUES ('there')").error, what="the lock is free")
    assert {r[0] for r in rpc.rows(client.execute("SELECT v FROM t"))} == {"there"}


def test_conflict_is_told_as_aborted(client, session, table):
    session.good("INSERT INTO t(v) VALUES (1)")
    session.good("BEGIN")
    session.good("SELECT v FROM t")
    client.execute("UPDATE t SET v = 2")
    d = session.ask("UPDATE t SET v = v + 10").error_detail
    assert (d.name, d.status, d.sqlstate) == ("CONFLICT", grpc.StatusCode.ABORTED.value[0], "40001")
    session.good("ROLLBACK")
    assert rpc.rows(session.good("SELECT v FROM t")) == [[2]]


def test_databases(client, session):
    for db in ("a.db", "b.db"):
        session.good("CREATE TABLE IF NOT EXISTS which (v)", replication_id=db)
        session.good("DELETE FROM which", replication_id=db)
        session.good("INSERT INTO which VALUES (?)", [db], replication_id=db)
    read = "SELECT v FROM which"
    assert rpc.rows(session.good(read)) == [["a.db"]]  # the first one is the default
    assert rpc.rows(session.good(read, replication_id="b.db")) == [["b.db"]]
    assert rpc.rows(client.execute(read, metadata=[("ha-database", "b.db")])) == [["b.db"]]
    assert rpc.rows(client.execute(read, metadata=[("ha-database", "b.db")], replication_id="a.db")) == [["a.db"]]
    with client.session(metadata=[("ha-database", "b.db")]) as s:
        assert rpc.rows(s.good(read)) == [["b.db"]]
    d = session.ask(read, replication_id="c.db").error_detail
    assert (d.name, d.status) == ("NO_DATABASE", 5)
    session.good("BEGIN", replication_id="b.db")
    assert rpc.rows(session.good(read)) == [["b.db"]]
    assert session.ask(read, replication_id="a.db").error_detail.name == "TX_ACTIVE"
    session.good("COMMIT")


def test_history_as_go_ha_writes_it(session, table):
    """A duration without quotes, a semicolon, any case."""
    session.good("INSERT INTO t(v) VALUES ('first')")
    seq = session.good("UPDATE t SET v = 'second'").txseq
    assert seq in [r[0] for r in rpc.rows(session.good("history 1h;", type=rpc.QUERY))]
    assert session.good(f"undo {seq};").rows_affected == 1
    assert rpc.rows(session.good("SELECT v FROM t")) == [["first"]]


@pytest.mark.parametrize("max_rows,sizes", [(0, [10]), (3, [3, 3, 3, 1]), (5, [5, 5]), (10, [10]), (100, [10])])
def test_pages(session, max_rows, sizes):
    session.send(rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10) SELECT i FROM n",
                             max_rows=max_rows))
    got = []
    while True:
        r = session.receive()
        assert not r.error
        got.append([v for v, in rpc.rows(r)])
        if not r.more:
            break
    assert sum(got, []) == list(range(1, 11))
    assert [len(p) for p in got if p] == sizes
    assert rpc.rows(session.good("SELECT 'next'")) == [["next"]]


def test_error_in_the_middle_of_pages(session):
    session.send(rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10) "
                             "SELECT CASE WHEN i = 8 THEN abs(-9223372036854775807 - 1) ELSE i END FROM n", max_rows=2))
    answers = []
    while not answers or answers[-1].more:
        answers.append(session.receive())
    assert "overflow" in answers[-1].error and sum(len(a.result_set.rows) for a in answers) >= 6
    assert rpc.rows(session.good("SELECT 'next'")) == [["next"]]


def test_requests_may_be_sent_ahead(session):
    for i in range(2000):
        session.send(rpc.request("SELECT ?", [i]))
    assert [rpc.rows(session.receive()) for _ in range(2000)] == [[[i]] for i in range(2000)]


def test_large_values_and_messages(session, table):
    big = bytes(1000003) * 20
    session.good("INSERT INTO t(v) VALUES (?)", [big])
    assert rpc.rows(session.good("SELECT v FROM t")) == [[big]]


def test_what_is_no_request_ends_the_call(node):
    with rpc.Raw(node.port) as raw:
        head = rpc.call_headers("/sql.v1.DatabaseService/Query")
        for stream, payload in [(1, b"\xff\xff\xff"), (3, b"\x12\x7fshort"), (5, b"\x00")]:
            raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, stream, head), rpc.frame(rpc.DATA, 0, stream, rpc.framed(payload)))
            trailers = raw.until(rpc.HEADERS, stream)
            assert trailers[1] & rpc.END_STREAM


# What go-ha's clients have been compiled with. A field that changes its number or its type here is one that they lose.
GO_HA = {
    "sql.v1.QueryRequest": {"type": (1, "enum"), "sql": (2, "string"), "params": (3, "repeated sql.v1.NamedValue"),
                            "replication_id": (4, "string")},
    "sql.v1.NamedValue": {"name": (1, "string"), "ordinal": (2, "int64"), "value": (3, "google.protobuf.Any")},
    "sql.v1.QueryResponse": {"result_set": (1, "sql.v1.Data"), "rows_affected": (2, "int64"), "last_insert_id": (3, "int64"),
                             "txseq": (4, "uint64"), "error": (5, "string")},
    "sql.v1.Data": {"columns": (1, "repeated string"), "rows": (2, "repeated sql.v1.Row")},
    "sql.v1.Row": {"values": (1, "repeated google.protobuf.Any")},
    "sql.v1.DataSourceNamesRequest": {},
    "sql.v1.DataSourceNamesResponse": {"dsn": (1, "repeated string")},
    "sql.v1.DownloadRequest": {"replication_id": (1, "string")},
    "sql.v1.DownloadResponse": {"data": (1, "bytes")},
    "sql.v1.LatestSnapshotRequest": {"replication_id": (1, "string")},
    "sql.v1.LatestSnapshotResponse": {"data": (1, "bytes")},
    "sql.v1.ReplicationIDsRequest": {},
    "sql.v1.ReplicationIDsResponse": {"replication_id": (1, "repeated string")},
}
METHODS = {"Query": ("QueryRequest", True, "QueryResponse", True),
           "DataSourceNames": ("DataSourceNamesRequest", False, "DataSourceNamesResponse", False),
           "Download": ("DownloadRequest", False, "DownloadResponse", True),
           "LatestSnapshot": ("LatestSnapshotRequest", False, "LatestSnapshotResponse", True),
           "ReplicationIDs": ("ReplicationIDsRequest", False, "ReplicationIDsResponse", False)}


def test_messages_are_those_of_go_ha():
    scalars = {3: "int64", 4: "uint64", 9: "string", 12: "bytes", 14: "enum"}

    def kind(f):
        what = f.message_type.full_name if f.message_type else scalars.get(f.type, str(f.type))
        return ("repeated " if f.label == f.LABEL_REPEATED else "") + what

    for name, fields in GO_HA.items():
        described = rpc.message(name).DESCRIPTOR
        known = {f.name: (f.number, kind(f)) for f in described.fields if f.number < 1000}
        assert known == fields, name
    service = rpc.POOL.FindServiceByName("sql.v1.DatabaseService")
    assert {m.name: (m.input_type.name, m.client_streaming, m.output_type.name, m.server_streaming)
            for m in service.methods} == METHODS
    types = rpc.POOL.FindEnumTypeByName("sql.v1.QueryType").values_by_name
    assert {n: v.number for n, v in types.items()} == {
        "QUERY_TYPE_UNSPECIFIED": 0, "QUERY_TYPE_EXEC_UPDATE": 1, "QUERY_TYPE_EXEC_QUERY": 2, "QUERY_TYPE_PING": 3}


def test_client_that_knows_only_go_ha(node):
    """The bytes that its stub sends for SELECT ?, and those that it gets: what it does not know is column_types."""
    with rpc.Raw(node.port) as raw:
        value = b"\x0a\x2etype.googleapis.com/google.protobuf.Int64Value" + b"\x12\x02\x08\x2a"
        param = b"\x10\x01\x1a" + bytes([len(value)]) + value
        message = b"\x08\x02\x12\x08SELECT ?\x1a" + bytes([len(param)]) + param + b"\x22\x04a.db"
        raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers("/sql.v1.DatabaseService/Query")),
                 rpc.frame(rpc.DATA, 0, 1, rpc.framed(message)))
        answer = raw.answer(1)
        row = b"\x0a" + bytes([len(value)]) + value
        types = b"\xc2\x3e\x00"  # field 1000, one empty text
        data = b"\x0a\x01?" + types + b"\x12" + bytes([len(row)]) + row
        assert answer.startswith(b"\x0a" + bytes([len(data)]) + data)
