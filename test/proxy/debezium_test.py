"""Debezium's events, taken from a Kafka into a node."""

import json
import os
import subprocess
import urllib.parse

import pytest

import ha
import kafka as k
import mysql_source
import pg
from pg_source import state, wait_state

CORPUS = os.path.join(ha.ROOT, "test/fuzz/corpus/debezium")


@pytest.fixture
def kafka(cluster):
    return k.Kafka(cluster)


def customers(**more):
    return k.Table("customers", {"id": k.INT, "name": k.TEXT}, **more)


def put(kafka, table, *changes, partition=0):
    """changes: (op, before, after), or a row: its tombstone."""
    for c in changes:
        if isinstance(c, dict):
            kafka.put(table.topic, table.key_of(c), None, partition)
        else:
            kafka.put(table.topic, *table.message(*c), partition)
    kafka.flush()


def put_captured(kafka, *names):
    """What Debezium itself has written (test/fuzz/corpus/debezium)."""
    for name in names:
        with open(os.path.join(CORPUS, name), "rb") as f:
            topic, key, value = f.read().split(b"\n", 2)
        kafka.put(topic.decode(), key or None, value or None)
    kafka.flush()


def create(node, sql):
    """On a node that may not be ready, and never will be."""
    ha.wait_until(lambda: node.query(sql))


# ---- changes ---------------------------------------------------------------------------------------------------


def test_captured_events(cluster, kafka):
    """A snapshot and changes of a real Debezium with a real PostgreSQL."""
    for topic in ("shop.public.customers", "shop.public.every", "shop.public.doomed"):
        kafka.topic(topic)
    put_captured(kafka, "pg_read", "pg_create", "pg_types", "pg_types_nan", "pg_types_bc")
    node = kafka.node(cluster, "shop.public.customers,shop.public.every,shop.public.doomed")
    k.wait_rows(node, "SELECT * FROM customers ORDER BY id",
                [[1, "Anne", "Kretchmar", "annek@noanswer.org"], [1001, "Sally", "Thomas", "sally@acme.com"]])
    put_captured(kafka, "pg_update", "pg_delete", "pg_tombstone", "pg_create_column", "pg_types_unavailable", "pg_truncate")
    k.wait_rows(node, "SELECT id, first_name, phone FROM customers ORDER BY id",
                [[1, "Anne Marie", None], [4, "P", "0123"], [1001, "Sally", None]])
    k.wait_rows(node, "SELECT i4, big FROM every WHERE id = 9223372036854775807", [[7, "x" * 20]])
    [row] = node.query("SELECT i2, f4, f8, n, b, t, c, d, ti, ti3, tz, ts, ts3, tstz, hex(by), j, u, m, bi, b1, ia, ta"
                       " FROM every WHERE id = 9223372036854775807").rows
    assert row == [-32768, 0.1, 1e300, 12345.6789, 1, 'naïve "text" €', "ch  ", "2026-01-31", "12:34:56.789012",
                   "12:34:56.789", "10:34:56+00", "2026-01-31 12:34:56.789012", "2026-01-31 12:34:56.789",
                   "2026-01-31 10:34:56.789012+00:00", "00FF", '{"a": [1,2]}', "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                   "happy", "1011000001", 1, "{1,2,NULL}", '{a,"b,c",NULL}']
    s = state(node)
    assert json.loads(s["position"])["shop.public.customers"] == {"0": 6}, s
    assert s["source_time"].startswith("2026-11-27"), s


@pytest.mark.parametrize("schemas", [True, False])
def test_changes(cluster, kafka, schemas):
    t = customers(schemas=schemas)
    kafka.topic(t.topic, 2)
    node = kafka.node(cluster, t.topic, use_schema=schemas)
    if not schemas:
        node.query("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)")
    put(kafka, t, ("r", None, {"id": 1, "name": "a"}), ("r", None, {"id": 1, "name": "a"}))
    put(kafka, t, ("c", None, {"id": 2, "name": "b"}), ("c", None, {"id": 9223372036854775807, "name": None}), partition=1)
    k.wait_rows(node, "SELECT * FROM customers ORDER BY id", [[1, "a"], [2, "b"], [9223372036854775807, None]])
    put(kafka, t, ("u", None, {"id": 1, "name": "A"}), ("u", None, {"id": 3, "name": "of no row"}))
    put(kafka, t, ("d", {"id": 2, "name": ""}, None), {"id": 2}, partition=1)
    k.wait_rows(node, "SELECT id, name FROM customers ORDER BY id",
                [[1, "A"], [3, "of no row"], [9223372036854775807, None]])
    # Its event was compacted away, the tombstone is what is left.
    put(kafka, t, {"id": 3})
    k.wait_rows(node, "SELECT id FROM customers ORDER BY id", [[1], [9223372036854775807]])
    put(kafka, t, ("t", None, None), ("c", None, {"id": 4, "name": "d"}))
    k.wait_rows(node, "SELECT * FROM customers", [[4, "d"]])
    ha.wait_until(lambda: kafka.committed("ha", t.topic) == 7 and kafka.committed("ha", t.topic, 1) == 4)
    ha.wait_until(lambda: state(node)["lag"] == 0)


def test_schema_is_followed(cluster, kafka):
    t = k.Table("prices", {"a": k.INT, "b": k.TEXT, "price": k.NUMERIC}, key=("a", "b"))
    kafka.topic(t.topic)
    put(kafka, t, ("c", None, {"a": 1, "b": "x", "price": "MDk="}))
    node = kafka.node(cluster, t.topic)
    k.wait_rows(node, "SELECT * FROM prices", [[1, "x", 123.45]])
    wider = k.Table("prices", {**t.columns, "day": k.DATE, "stock": {**k.INT, "default": 5}}, key=("a", "b"))
    put(kafka, wider, ("u", None, {"a": 1, "b": "x", "price": None, "day": 20484, "stock": 6}),
        ("c", None, {"a": 2, "b": "x", "price": None, "day": None, "stock": 7}))
    k.wait_rows(node, "SELECT * FROM prices ORDER BY a", [[1, "x", None, "2026-01-31", 6], [2, "x", None, None, 7]])
    [[sql]] = node.query("SELECT sql FROM sqlite_schema WHERE name = 'prices'").rows
    assert "PRIMARY KEY (\"a\", \"b\")" in sql and "NUMERIC(10,2)" in sql and "DEFAULT 5" in sql, sql


def test_without_a_key(cluster, kafka):
    t = k.Table("log", {"a": k.INT, "b": k.TEXT}, key=())
    kafka.topic(t.topic)
    put(kafka, t, ("c", None, {"a": 1, "b": "x"}), ("c", None, {"a": 1, "b": "x"}), ("c", None, {"a": 2, "b": None}))
    node = kafka.node(cluster, t.topic)
    k.wait_rows(node, "SELECT * FROM log ORDER BY a", [[1, "x"], [1, "x"], [2, None]])
    put(kafka, t, ("u", {"a": 1, "b": "x"}, {"a": 3, "b": "y"}), ("d", {"a": 2, "b": None}, None))
    k.wait_rows(node, "SELECT * FROM log ORDER BY a", [[1, "x"], [3, "y"]])


def test_flattened(cluster, kafka):
    """What ExtractNewRecordState makes of events."""
    kafka.topic("flat.public.customers")
    put_captured(kafka, "flat_read", "flat_update", "flat_delete", "flat_tombstone")
    kafka.put("flat.public.customers", {"id": 7}, {"id": 7, "first_name": "no", "last_name": "more", "email": "than this"})
    kafka.flush()
    node = kafka.node(cluster, "flat.public.customers", use_schema=False, wait=False)
    wait_state(node, "stopped", "topic flat.public.customers, partition 0, offset 0: there is no table customers")
    create(node, "CREATE TABLE customers (id INTEGER PRIMARY KEY, first_name, last_name, email)")
    k.wait_rows(node, "SELECT * FROM customers ORDER BY id",
                [[1, "Anne Marie", "Kretchmar", "annek@noanswer.org"], [7, "no", "more", "than this"]])


def test_topics_of_a_pattern(cluster, kafka):
    """Topics that match are taken when they come up, and what is no row is passed over."""
    t, u = customers(), k.Table("orders", {"id": k.INT})
    kafka.topic(t.topic)
    put(kafka, t, ("c", None, {"id": 1, "name": "a"}))
    put_captured(kafka, "pg_heartbeat", "pg_transaction", "pg_message")
    node = kafka.node(cluster, r"missing,^shop\.,^__debezium-heartbeat")
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"]])
    wait_state(node, "following", "does not have these topics yet: missing")
    kafka.topic(u.topic)
    put(kafka, u, ("c", None, {"id": 5}))
    k.wait_rows(node, "SELECT * FROM orders", [[5]])
    kafka.topic("missing")
    ha.wait_until(lambda: state(node)["reason"] == "")


# ---- exactly once ----------------------------------------------------------------------------------------------

EVENTS, TABLES = 50000, 5


def put_many(kafka, topics, begin, end):
    """Events that show when one was lost, taken twice, or in the wrong order: each adds a row to a table without a key."""
    for n in range(begin, end):
        topic = topics[n % TABLES]
        table = topic.rsplit(".", 1)[1]
        kafka.put(topic, None, f'{{"op":"c","before":null,"after":{{"n":{n}}},"source":{{"table":"{table}"}}}}')


@pytest.mark.limit(600)
def test_killed_amid_events(cluster, kafka):
    topics = [f"p.s.t{i}" for i in range(TABLES)]
    for topic in topics:
        kafka.topic(topic)
    node = kafka.node(cluster, ",".join(topics), use_schema=False)
    for i in range(TABLES):
        node.query(f"CREATE TABLE t{i} (n INTEGER)")
    node.may_die = True
    # At both sides of the commit, and wherever it is just then.
    faults = ["mirror.commit=kill", "commit.acked=kill", "mirror.committed=kill", ""]
    for part, fault in enumerate(faults):
        node.kill9()
        put_many(kafka, topics, part * EVENTS // len(faults), (part + 1) * EVENTS // len(faults))
        kafka.flush()
        node.env["HA_FAULT"] = fault
        node.start(wait=False)
        if fault:
            assert node.wait_exit(60) == -9
        else:
            last = part * EVENTS // len(faults)
            ha.wait_until(lambda last=last: node.query(f"SELECT count(*) FROM t{last % TABLES} WHERE n >= {last}").value)
    node.kill9()
    node.start()
    node.may_die = False
    for i in range(TABLES):
        want = list(range(i, EVENTS, TABLES))
        k.wait_rows(node, f"SELECT count(*) FROM t{i}", [[len(want)]], deadline_s=120)
        assert [r[0] for r in node.query(f"SELECT n FROM t{i} ORDER BY rowid").rows] == want


def test_two_nodes(cluster, kafka):
    """One of them consumes; when it is gone the other one goes on where it was."""
    t = k.Table("log", {"n": k.INT}, key=(), schemas=False)
    kafka.topic(t.topic)
    nats = cluster.nats()
    a = kafka.node(cluster, t.topic, use_schema=False, url=nats)
    a.query("CREATE TABLE log (n INTEGER)")
    b = kafka.node(cluster, t.topic, use_schema=False, url=nats)
    wait_state(a, "following")
    wait_state(b, "waiting")
    put(kafka, t, *(("c", None, {"n": n}) for n in range(100)))
    k.wait_rows([a, b], "SELECT count(*), count(DISTINCT n) FROM log", [[100, 100]])
    a.kill9()
    put(kafka, t, *(("c", None, {"n": n}) for n in range(100, 200)))
    k.wait_rows(b, "SELECT count(*), count(DISTINCT n) FROM log", [[200, 200]])
    a.start()
    wait_state(a, "waiting")
    put(kafka, t, *(("c", None, {"n": n}) for n in range(200, 300)))
    k.wait_rows([a, b], "SELECT count(*), count(DISTINCT n) FROM log", [[300, 300]])


# ---- Kafka -----------------------------------------------------------------------------------------------------


def test_broker_goes_and_comes(cluster, kafka):
    t = customers()
    kafka.topic(t.topic)
    kafka.down()
    node = kafka.node(cluster, t.topic, wait=False)
    wait_state(node, "stopped", "Kafka cannot be asked")
    assert node.query("SELECT 1").value == 1 and not node.ready()
    kafka.up()
    put(kafka, t, ("c", None, {"id": 1, "name": "a"}))
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"]])
    kafka.down()
    wait_state(node, "stopped", "Kafka cannot be asked")
    kafka.up()
    put(kafka, t, ("c", None, {"id": 2, "name": "b"}))
    k.wait_rows(node, "SELECT * FROM customers ORDER BY id", [[1, "a"], [2, "b"]])
    # And one that is not there stops a node that is told to end no longer than others.
    kafka.down()
    assert node.terminate() == 0
    node.start(wait=False)
    kafka.up()
    node.wait_ready()


def test_errors_of_the_broker(cluster, kafka):
    t = customers()
    kafka.topic(t.topic)
    put(kafka, t, ("c", None, {"id": 1, "name": "a"}))
    fetch, not_authorised = 1, 29
    kafka.fail(fetch, not_authorised)
    node = kafka.node(cluster, t.topic, wait=False)
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"]])
    ha.wait_until(lambda: "uthoriz" in state(node)["last_error"])


def test_wrong_login(cluster, kafka):
    kafka.topic("t")
    brokers = kafka.brokers
    kafka.brokers += "?security.protocol=sasl_plaintext&sasl.mechanism=PLAIN&sasl.username=u&sasl.password=p%26w"
    node = kafka.node(cluster, "t", wait=False)
    wait_state(node, "stopped", "Kafka cannot be asked")
    assert "p&w" not in node.log().split("level=", 1)[1]
    kafka.brokers = brokers + "?security.protocol=ssl"
    other = kafka.node(cluster, "t", wait=False)
    wait_state(other, "stopped", "Kafka cannot be asked")


def test_what_kafka_has_deleted(cluster, kafka):
    """The mock keeps 5 MB of a partition. What is not there any more is not skipped."""
    t = k.Table("big", {"id": k.INT, "v": k.TEXT}, schemas=False)
    kafka.topic(t.topic)
    node = kafka.node(cluster, t.topic, use_schema=False)
    node.query("CREATE TABLE big (id INTEGER PRIMARY KEY, v TEXT)")
    put(kafka, t, ("c", None, {"id": 1, "v": "x"}))
    k.wait_rows(node, "SELECT * FROM big", [[1, "x"]])
    node.kill9()
    for n in range(2, 14):
        put(kafka, t, ("c", None, {"id": n, "v": "x" * 900000}))
    node.start()
    wait_state(node, "stopped", "topic shop.public.big, partition 0: what comes next")
    assert node.query("SELECT count(*) FROM big").value == 1


# ---- events that cannot be taken -------------------------------------------------------------------------------


def test_bad_events(cluster, kafka):
    """What comes before one is taken, nothing behind it, and it is told which."""
    t = customers(schemas=False)
    kafka.topic(t.topic)
    node = kafka.node(cluster, t.topic, use_schema=False)
    node.query("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)")
    put(kafka, t, ("c", None, {"id": 1, "name": "a"}))
    kafka.put(t.topic, {"id": 2}, "{\"op\":")
    put(kafka, t, ("c", None, {"id": 3, "name": "c"}))
    s = wait_state(node, "stopped", "topic shop.public.customers, partition 0, offset 1: the value: byte")
    assert json.loads(s["position"]) == {t.topic: {"0": 1}}
    assert node.query("SELECT * FROM customers").rows == [[1, "a"]]
    assert "offset 1: the value" in node.log()
    failures = s["failures"]
    ha.wait_until(lambda: state(node)["failures"] > failures, what="it is tried again")
    assert state(node)["failures"] < 20


def test_an_event_that_cannot_be_applied(cluster, kafka):
    t = customers(schemas=False)
    kafka.topic(t.topic)
    node = kafka.node(cluster, t.topic, use_schema=False)
    node.query("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'bad'))")
    put(kafka, t, *(("c", None, {"id": n, "name": "bad" if n == 57 else "good"}) for n in range(100)))
    wait_state(node, "stopped", "topic shop.public.customers, partition 0, offset 57: ")
    k.wait_rows(node, "SELECT count(*), max(id) FROM customers", [[57, 56]])
    # As soon as somebody mends it, it goes on.
    node.query("ALTER TABLE customers RENAME TO strict")
    node.query("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)")
    k.wait_rows(node, "SELECT count(*), min(id) FROM customers", [[43, 57]])
    wait_state(node, "following")


def test_one_bad_event_among_many(cluster, kafka):
    """In a group that is full, with more behind it: it is found, and nothing is left out around it."""
    t = k.Table("log", {"n": k.INT}, key=(), schemas=False)
    kafka.topic(t.topic)
    node = kafka.node(cluster, t.topic, use_schema=False)
    node.query("CREATE TABLE log (n INTEGER CHECK (n NOT IN (57, 20000)))")
    node.kill9()
    for n in range(25000):
        kafka.put(t.topic, None, f'{{"op":"c","after":{{"n":{n}}},"source":{{"table":"log"}}}}')
    kafka.flush()
    node.start(wait=False)
    for bad in (57, 20000):
        wait_state(node, "stopped", f"topic {t.topic}, partition 0, offset {bad}: ")
        k.wait_rows(node, "SELECT count(*), max(n) FROM log", [[bad, bad - 1]])
        allowed = 20000 if bad == 57 else -1
        node.batch(["ALTER TABLE log RENAME TO old", f"CREATE TABLE log (n INTEGER CHECK (n <> {allowed}))",
                    "INSERT INTO log SELECT * FROM old ORDER BY rowid", "DROP TABLE old"])
    k.wait_rows(node, "SELECT count(*) FROM log", [[25000]])
    assert [r[0] for r in node.query("SELECT n FROM log ORDER BY rowid").rows] == list(range(25000))


def test_no_row(cluster, kafka):
    kafka.topic("fulfillment.inventory.customers")
    put_captured(kafka, "mongodb_create")
    node = kafka.node(cluster, "fulfillment.inventory.customers", wait=False)
    wait_state(node, "stopped", "the event comes from MongoDB, whose documents are no rows of a table")


def test_one_name_in_two_schemas(cluster, kafka):
    t, u = customers(), customers(schema="old")
    kafka.topic(t.topic)
    kafka.topic(u.topic)
    put(kafka, t, ("c", None, {"id": 1, "name": "a"}))
    put(kafka, u, ("c", None, {"id": 2, "name": "b"}))
    node = kafka.node(cluster, f"{t.topic},{u.topic}")
    k.wait_rows(node, "SELECT * FROM customers ORDER BY id", [[1, "a"], [2, "b"]])
    ha.wait_until(lambda: "two tables of the source have one name" in node.log())


# ---- writes of clients -----------------------------------------------------------------------------------------


def test_writes_go_to_the_source(cluster, kafka, source):
    """They are not here before their events come."""
    t = customers()
    kafka.topic(t.topic)
    source.sql("CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL)")
    port = ha.free_port()
    node = kafka.node(cluster, t.topic, "--debezium-source-dsn", source.dsn(), "--pg-port", str(port), "--pg-user", pg.USER,
                      "--pg-pass", pg.PASSWORD)
    put(kafka, t, ("c", None, {"id": 1, "name": "a"}))
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"]])
    node.query("INSERT INTO customers VALUES (?, ?)", [2, "b"])
    with pytest.raises(ha.HttpError) as e:
        node.query("INSERT INTO customers(id) VALUES (3)")
    assert e.value.sqlstate == "23502"
    pg.Target(port, "ha.db", node=node).psql("BEGIN; INSERT INTO customers VALUES (4, 'd'); COMMIT")
    assert source.sql("SELECT * FROM customers ORDER BY id") == "2|b\n4|d"
    assert node.query("SELECT * FROM customers").rows == [[1, "a"]]
    put(kafka, t, ("c", None, {"id": 2, "name": "b"}), ("c", None, {"id": 4, "name": "d"}))
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"], [2, "b"], [4, "d"]])


def test_writes_go_to_mysql(cluster, kafka):
    t = customers()
    kafka.topic(t.topic)
    server = mysql_source.MariaDb(cluster).start()
    source = mysql_source.Source(server)
    source.sql("CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL)", "INSERT INTO customers VALUES (1, 'a')")
    user, password = (urllib.parse.quote(s, safe="") for s in (mysql_source.USER, mysql_source.PASSWORD))
    node = kafka.node(cluster, t.topic, "--debezium-source-dsn", f"mysql://{user}:{password}@127.0.0.1:{server.port}/{source.name}")
    put(kafka, t, ("c", None, {"id": 1, "name": "a"}))
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"]])
    node.query("INSERT INTO customers VALUES (?, ?)", [2, "b"])
    with pytest.raises(ha.HttpError) as e:
        node.query("INSERT INTO customers VALUES (1, 'again')")
    assert e.value.sqlstate == "23000"
    assert source.rows("SELECT * FROM customers ORDER BY id") == "1\ta\n2\tb"
    assert node.query("SELECT * FROM customers").rows == [[1, "a"]]
    put(kafka, t, ("c", None, {"id": 2, "name": "b"}))
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"], [2, "b"]])


def test_writes_stay_here(cluster, kafka, source):
    t = customers()
    kafka.topic(t.topic)
    node = kafka.node(cluster, t.topic, "--debezium-source-dsn", source.dsn(), "--proxy-disable-redirect")
    put(kafka, t, ("c", None, {"id": 1, "name": "a"}))
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"]])
    node.query("INSERT INTO customers VALUES (2, 'mine')")
    put(kafka, t, ("c", None, {"id": 2, "name": "theirs"}))
    k.wait_rows(node, "SELECT * FROM customers", [[1, "a"], [2, "theirs"]])


# ---- flags -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args, says", [
    (["--debezium-brokers", "h:9092"], "needs --debezium-group and --debezium-topics"),
    (["--debezium-group", "g"], "need --debezium-brokers"),
    (["--debezium-brokers", "h?client.id=%", "--debezium-group", "g", "--debezium-topics", "t"], "no name=value"),
    (["--debezium-brokers", "h?no.such=1", "--debezium-group", "g", "--debezium-topics", "t"], "no.such"),
    (["--debezium-brokers", "h?group.id=x", "--debezium-group", "g", "--debezium-topics", "t"], "is not to be changed"),
    (["--debezium-brokers", "h", "--debezium-group", "g", "--debezium-topics", "^("], "^("),
    (["--debezium-brokers", "h", "--debezium-group", "g", "--debezium-topics", ","], "no topic"),
    (["--debezium-brokers", "h", "--debezium-group", "g", "--debezium-topics", "t", "--debezium-source-dsn",
      "oracle://a:b@h:1521/FREEPDB1"], "--debezium-source-dsn"),
    (["--debezium-brokers", "h", "--debezium-group", "g", "--debezium-topics", "t", "--pg-proxied", "host=h"], "a node mirrors one source"),
    (["--debezium-brokers", "h", "--debezium-group", "g", "--debezium-topics", "t", "--debezium-source-dsn", "postgres://h/d",
      "--proxy-read-your-writes"], "--proxy-read-your-writes"),
])
def test_bad_flags(args, says):
    r = subprocess.run([ha.BINARY, "--check-config", *args], capture_output=True, text=True, timeout=60, check=False)
    assert r.returncode == 2 and says in r.stderr, r.stderr
    assert "a:b" not in r.stderr
