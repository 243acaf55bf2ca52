"""A PostgreSQL is copied and followed: every type, every kind of change, big transactions, schema changes."""

import ha
import pg
import pytest
from ha import wait_until
from pg_source import WRITTEN, Peak, Source, Writer, server, state, wait_done, wait_same, wait_state

TYPES = """CREATE TABLE types (
    id int PRIMARY KEY, i2 smallint, i8 bigint, r real, d double precision, n numeric(12, 3), n2 numeric, b boolean,
    t text, v varchar(20), c char(5), by bytea, da date, ti time, ts timestamp, tz timestamptz, u uuid, j json, jb jsonb,
    ia int[], ta text[], inet inet, iv interval, dom positive, en mood, bits bit(4), m money, xm xml, r4 int4range)"""


def test_types(cluster, source):
    source.sql("CREATE DOMAIN positive AS int CHECK (value > 0)", "CREATE TYPE mood AS ENUM ('sad', 'ok')", TYPES)
    rows = """(1, -32768, 9223372036854775807, 1.5, 0.1, 123456.789, 3.14, true, 'ä''\\n" \\ end', 'v', 'c', '\\x00ff10',
               '2024-02-29', '12:34:56.789', '2024-02-29 01:02:03.000004', '2024-02-29 01:02:03+05', '6f1e2f60-0000-4000-8000-00000000000A',
               '{"a" : [1, null]}', '{"b": 1.10}', '{1,NULL,3}', '{"a b",NULL,"q\\"x"}', '10.0.0.1/8', '1 day 02:03:04', 7, 'sad', '1010', 12.5,
               '<a/>', '[1,5)'),
              (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
               NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
              (3, 0, -9223372036854775808, -0.0, 1e300, 0, -0.5, false, '', '', '', '', '0001-01-01', '00:00', 'infinity', '-infinity',
               '00000000-0000-0000-0000-000000000000', 'null', '[]', '{}', '{}', '::1', '-00:00:01', 1, 'ok', '0000', -1, '', 'empty')"""
    source.sql(f"INSERT INTO types VALUES {rows}")
    a = source.node(cluster)
    every = "SELECT * FROM types ORDER BY id"
    wait_same(source, a, every)
    # The same by way of the stream, each as a whole row, and as an update.
    source.sql("INSERT INTO types SELECT id + 10, i2, i8, r, d, n, n2, b, t, v, c, by, da, ti, ts, tz, u, j, jb, ia, ta, inet, iv, dom, en, bits, m,"
               " xm, r4 FROM types", "UPDATE types SET t = t || '!', b = NOT b, en = 'ok', dom = dom + 1 WHERE id IN (1, 13)")
    wait_same(source, a, every)
    kinds = a.query("SELECT typeof(i8), typeof(b), typeof(by), typeof(tz), typeof(u), typeof(n), typeof(dom) FROM types WHERE id = 11").rows
    assert kinds == [["integer", "integer", "blob", "text", "text", "real", "integer"]]
    assert source.sql("SELECT count(*) FROM types WHERE d = 'NaN'") == "0"
    source.sql("UPDATE types SET d = 'NaN', n2 = 'NaN' WHERE id = 1")
    wait_until(lambda: a.query("SELECT d, n2 FROM types WHERE id = 1").rows == [["NaN", "NaN"]], what="NaN is not NULL")


def test_changes(cluster, source):
    """Keys of all kinds, values that are stored apart, rows that are the same."""
    source.sql("CREATE TABLE one (id serial PRIMARY KEY, v text, big text)",
               "CREATE TABLE two (a int, b text, v int, PRIMARY KEY (b, a))",
               "CREATE TABLE bare (a int, b text)", "ALTER TABLE bare REPLICA IDENTITY FULL",
               "CREATE TABLE by_index (a int NOT NULL, b int NOT NULL, v text)", "CREATE UNIQUE INDEX ia ON by_index (a)",
               "ALTER TABLE by_index REPLICA IDENTITY USING INDEX ia",
               "CREATE TABLE swap (id int PRIMARY KEY, u int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
               "CREATE TABLE \"odd \"\"name\" (\"a b\" int PRIMARY KEY, \"select\" text)",
               "CREATE TABLE calc (id int PRIMARY KEY, x int, twice int GENERATED ALWAYS AS (x * 2) STORED)",
               "CREATE TABLE part (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
               "CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (100)",
               "CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (100) TO (1000)",
               "INSERT INTO one(v, big) SELECT 'v' || g, repeat(md5(g::text), 3000) FROM generate_series(1, 20) g",
               "INSERT INTO bare SELECT 1, 'same' FROM generate_series(1, 4)", "INSERT INTO bare VALUES (2, NULL)",
               "INSERT INTO two SELECT g, 'k' || g % 3, g FROM generate_series(1, 50) g",
               "INSERT INTO by_index SELECT g, -g, 'x' FROM generate_series(1, 9) g", "INSERT INTO swap VALUES (1, 1), (2, 2), (3, 3)",
               "INSERT INTO \"odd \"\"name\" VALUES (1, 'x')", "INSERT INTO calc VALUES (1, 2)", "INSERT INTO part VALUES (1, 'a'), (500, 'b')")
    a = source.node(cluster)
    every = ["SELECT * FROM one ORDER BY id", "SELECT * FROM two ORDER BY a, b", "SELECT * FROM bare ORDER BY a, b",
             "SELECT * FROM by_index ORDER BY a", "SELECT * FROM swap ORDER BY id", "SELECT * FROM \"odd \"\"name\"",
             "SELECT id, x FROM calc", "SELECT * FROM part_low ORDER BY id", "SELECT * FROM part_high ORDER BY id"]
    wait_same(source, a, every)
    source.sql("UPDATE one SET v = 'new' WHERE id < 5", "UPDATE one SET id = id + 100 WHERE id = 7", "DELETE FROM one WHERE id = 9",
               "UPDATE one SET big = 'short' WHERE id = 10", "UPDATE two SET b = 'moved', v = v + 1 WHERE a = 3",
               "UPDATE bare SET b = 'other' WHERE ctid = (SELECT min(ctid) FROM bare)", "DELETE FROM bare WHERE ctid = (SELECT max(ctid) FROM bare WHERE a = 1)",
               "UPDATE bare SET b = 'was null' WHERE b IS NULL", "UPDATE by_index SET v = 'y', b = 5 WHERE a = 3", "DELETE FROM by_index WHERE a = 4",
               "UPDATE swap SET u = 4 - u", "UPDATE \"odd \"\"name\" SET \"select\" = 'y', \"a b\" = 2", "UPDATE calc SET x = 5",
               "INSERT INTO part VALUES (2, 'c')", "UPDATE part SET id = 300 WHERE id = 1", "BEGIN; INSERT INTO one(v) VALUES ('gone'); ROLLBACK",
               "BEGIN; INSERT INTO one(v) VALUES ('kept'); SAVEPOINT s; INSERT INTO one(v) VALUES ('gone'); ROLLBACK TO s; COMMIT")
    wait_same(source, a, every)
    source.sql("TRUNCATE one, two", "INSERT INTO one(v) VALUES ('after')", "TRUNCATE bare CASCADE")
    wait_same(source, a, every)
    assert state(a)["state"] == "following" and state(a)["failures"] == 0
    wait_until(lambda: state(a)["lag"] == 0, what="no lag")


def test_copy_of_many_rows(cluster, source):
    """100,000 rows at the start, while others are written: what the copy has and what the stream brings fit together."""
    Writer.prepare(source)
    source.sql("CREATE TABLE big (id bigint PRIMARY KEY, v text, n numeric(10, 2))",
               "INSERT INTO big SELECT g, md5(g::text), g / 7.0 FROM generate_series(1, 100000) g")
    with Writer(source, 1), Writer(source, 2):
        a = source.node(cluster)
        wait_done(source, 200)
    wait_same(source, a, [*WRITTEN, "SELECT count(*), sum(id), min(v), max(v), sum(n) FROM big"])
    s = state(a)
    assert s["copied"] and s["copied_rows"] >= 100010 and s["kind"] == "postgresql" and s["position"]
    metrics = a.get("/metrics").body.decode()
    assert 'ha_source_following{db="ha.db"} 1' in metrics and 'ha_source_copied{db="ha.db"} 1' in metrics
    assert int(source.sql(f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{source.slot}' AND active")) == 1


def test_big_transaction_takes_bounded_memory(cluster, source):
    source.sql("CREATE TABLE big (id int PRIMARY KEY, v text)")
    a = source.node(cluster)
    with Peak(a) as before:
        wait_until(lambda: before.most > 0)
    with Peak(a) as peak:
        source.sql("INSERT INTO big SELECT g, repeat(md5(g::text), 12) FROM generate_series(1, 300000) g")  # 120 MB
        wait_same(source, a, "SELECT count(*), sum(id), sum(length(v)) FROM big", 200)
    assert peak.most - before.most < 80e6, (before.most, peak.most)


def test_schema_follows(cluster, source):
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL)", "INSERT INTO t VALUES (1, 'a')")
    a = source.node(cluster)
    every = "SELECT * FROM t ORDER BY id"
    wait_same(source, a, every)
    # What can be added is added, two at once in one transaction, too.
    source.sql("ALTER TABLE t ADD COLUMN n int", "ALTER TABLE t ADD COLUMN d text NOT NULL DEFAULT 'it''s'", "INSERT INTO t VALUES (2, 'b', 5, 'x')")
    wait_same(source, a, every)
    source.sql("BEGIN; ALTER TABLE t ADD COLUMN e1 int; INSERT INTO t VALUES (3, 'c', 1, 'y', 7); ALTER TABLE t ADD COLUMN e2 date;"
               " INSERT INTO t VALUES (4, 'd', 1, 'z', 8, '2024-01-01'); COMMIT", "INSERT INTO t VALUES (5, 'e', 1, 'z', 8, NULL)")
    wait_same(source, a, every)
    assert state(a)["failures"] == 0
    # New tables come with their rows.
    source.sql("CREATE TABLE fresh (id uuid PRIMARY KEY, at timestamptz DEFAULT now())", "INSERT INTO fresh VALUES ('6f1e2f60-0000-4000-8000-000000000001')")
    wait_same(source, a, "SELECT * FROM fresh")
    # What older rows hold is in no message: the tables are copied anew.
    for change in ("ALTER TABLE t ADD COLUMN r double precision DEFAULT random()", "ALTER TABLE t DROP COLUMN n", "ALTER TABLE t ALTER v TYPE varchar(50)",
                   "ALTER TABLE t RENAME COLUMN d TO d2", "ALTER TABLE t ADD COLUMN s serial"):
        source.sql(change, "UPDATE t SET e1 = 99 WHERE id = 1")
        wait_same(source, a, every)
    assert "random" not in a.query("SELECT sql FROM sqlite_schema WHERE name = 't'").value
    wait_state(a, "following")


def test_constraints_come_along(cluster, source):
    source.sql("CREATE TABLE t (id serial PRIMARY KEY, u text UNIQUE, a int NOT NULL DEFAULT 5, b timestamptz DEFAULT now(), c bool DEFAULT true,"
               " d numeric(8, 2) DEFAULT 1.5, e text DEFAULT 'x' || 'y', f jsonb DEFAULT '{}', g numeric(30, 0))", "CREATE INDEX by_a ON t (a, c)",
               "CREATE INDEX partly ON t (a) WHERE c", "CREATE INDEX lowered ON t (lower(u))", "CREATE TABLE wide (k numeric(30, 0) PRIMARY KEY)",
               "INSERT INTO wide VALUES (123456789012345678901234567890), (123456789012345678901234567891)")
    a = source.node(cluster, "--proxy-disable-redirect")
    a.query("INSERT INTO t(u) VALUES ('local')")
    assert a.query("SELECT a, c, d, e, f FROM t").rows == [[5, 1, 1.5, None, "{}"]]
    with pytest.raises(ha.HttpError) as e:
        a.query("INSERT INTO t(u) VALUES ('local')")
    assert e.value.status == 409
    assert a.query("SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't' ORDER BY 1)").value == "by_a,t_u_key"
    wait_same(source, a, "SELECT k FROM wide ORDER BY k")


def test_without_schema(cluster, source):
    """The tables are the user's: what is missing is named, and it goes on as soon as it is there."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)", "CREATE TABLE u (id int PRIMARY KEY)", "INSERT INTO t VALUES (1, 'a')")
    a = source.node(cluster, "--proxy-disable-redirect", use_schema=False, wait=False)
    wait_until(lambda: a.http.request("GET", "/livez").status == 200, what="the node is up")
    s = wait_state(a, "stopped", "lacks tables")
    assert "t, u" in s["reason"] and not s["copied"]
    r = a.http.request("GET", "/readyz")
    assert r.status == 503 and b"source" in r.body
    assert source.sql(f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{source.slot}'") == "0"  # it would keep the WAL
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, mine DEFAULT 'm')", "CREATE TABLE u (id INTEGER PRIMARY KEY)")
    a.wait_ready(60)
    wait_same(source, a, "SELECT id, v FROM t")
    source.sql("UPDATE t SET v = 'b'", "INSERT INTO u VALUES (7)")
    wait_same(source, a, ["SELECT id, v FROM t", "SELECT id FROM u"])
    assert a.query("SELECT mine FROM t").value == "m"
    source.sql("ALTER TABLE t ADD COLUMN w int", "INSERT INTO t VALUES (2, 'c', 5)")
    wait_state(a, "stopped", "w")
    a.query("ALTER TABLE t ADD COLUMN w")
    wait_same(source, a, "SELECT id, v, w FROM t ORDER BY id")


def test_publication_of_some(cluster, source):
    """What is published: tables, columns, rows."""
    source.sql("CREATE TABLE a (id int PRIMARY KEY, v text, secret text)", "CREATE TABLE b (id int PRIMARY KEY)", "CREATE TABLE c (id int PRIMARY KEY, v int)",
               "CREATE SCHEMA other", "CREATE TABLE other.d (id int PRIMARY KEY)", "INSERT INTO a VALUES (1, 'x', 'hush')", "INSERT INTO c VALUES (1, 1), (2, 20)",
               "INSERT INTO other.d VALUES (3)", "CREATE PUBLICATION some_of FOR TABLE a (id, v), c WHERE (v > 10), other.d")
    n = source.node(cluster, "--pg-publication", "some_of")
    source.sql("INSERT INTO a VALUES (2, 'y', 'hush')", "INSERT INTO c VALUES (3, 3), (4, 40)", "INSERT INTO b VALUES (1)", "INSERT INTO other.d VALUES (4)")
    wait_until(lambda: n.query("SELECT id, v FROM a ORDER BY id").rows == [[1, "x"], [2, "y"]]
               and n.query("SELECT id FROM c ORDER BY id").rows == [[2], [4]] and n.query("SELECT id FROM d ORDER BY id").rows == [[3], [4]],
               what="what is published is here")
    assert n.query("SELECT count(*) FROM sqlite_schema WHERE name = 'b' OR sql LIKE '%secret%'").value == 0
    wait_state(n, "following")
    source.sql("CREATE TABLE other.a (id int PRIMARY KEY)", "CREATE PUBLICATION both_of FOR TABLE a, other.a")
    m = source.node(cluster, "--pg-publication", "both_of", "--pg-slot", source.slot + "2", wait=False)
    wait_until(lambda: m.http.request("GET", "/livez").status == 200, what="the node is up")
    wait_state(m, "stopped", "same table")


def test_what_is_wrong_is_said(cluster, pg_server, source):
    """Flags are checked at the start; what the source lacks stands in /status, and is looked for again."""
    def refused(*args, part):
        node = cluster.node(start=False, args=list(args))
        node.may_die = True
        node.start(wait=False)
        assert node.wait_exit() == 2
        assert part in node.log(), node.log()

    refused("--pg-proxied", "foo=bar", part="--pg-proxied")
    refused(*source.args("--pg-slot", "Not-A-Slot"), part="--pg-slot")
    refused(*source.args("--pg-publication", ""), part="--pg-publication")

    t = pg_server.target
    plain = source.target.database + "_plain"
    t.psql(f"CREATE ROLE {plain} LOGIN PASSWORD 'p'")
    source.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)", f"GRANT SELECT, INSERT ON t TO {plain}")
    source.user, source.password = plain, "wrong"
    a = source.node(cluster, wait=False)
    wait_until(lambda: a.http.request("GET", "/livez").status == 200, what="the node is up")
    wait_state(a, "stopped", "authentication")
    t.psql(f"ALTER ROLE {plain} PASSWORD 'wrong'")
    wait_state(a, "stopped", "replication")
    t.psql(f"ALTER ROLE {plain} REPLICATION")
    wait_state(a, "stopped", "publication")
    source.sql("CREATE PUBLICATION ha_publication FOR TABLE t")
    a.wait_ready(60)
    wait_same(source, a, "SELECT * FROM t")
    # A second one with the same slot waits until it is free.
    b = source.node(cluster, wait=False)
    wait_until(lambda: b.http.request("GET", "/livez").status == 200, what="the node is up")
    wait_state(b, "stopped", "active")
    assert a.terminate() == 0
    wait_state(b, "following")
    source.sql("INSERT INTO t VALUES (2)")
    wait_same(source, b, "SELECT * FROM t ORDER BY id")
    b.terminate()
    source.sql(f"DROP OWNED BY {plain}")
    t.psql(f"DROP ROLE {plain}")


def test_wal_level(cluster):
    p = server(cluster, ["wal_level=replica"])
    s = Source(p)
    s.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    a = s.node(cluster, wait=False)
    wait_until(lambda: a.http.request("GET", "/livez").status == 200, what="the node is up")
    wait_state(a, "stopped", "wal_level")
    p.terminate()
    p.settings = [x for x in p.settings if x != "wal_level=replica"]
    p.start()
    a.wait_ready(60)
    wait_same(s, a, "SELECT * FROM t")


def test_a_slot_that_is_gone_or_ahead(cluster, source):
    """What the slot has given away is not skipped: everything is copied anew."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t SELECT g, 'a' FROM generate_series(1, 100) g")
    a = source.node(cluster)
    for how in ("SELECT pg_drop_replication_slot('{0}')", "SELECT pg_replication_slot_advance('{0}', pg_current_wal_lsn())"):
        assert a.terminate() == 0
        wait_until(lambda: source.sql(f"SELECT active FROM pg_replication_slots WHERE slot_name = '{source.slot}'") == "f")
        source.sql("UPDATE t SET v = v || 'b' WHERE id % 2 = 0", "DELETE FROM t WHERE id % 7 = 0", how.format(source.slot))
        a.start()
        wait_same(source, a, "SELECT * FROM t ORDER BY id")
        assert "copied anew" in a.log()
    # Somebody else's slot is not touched.
    assert a.terminate() == 0
    source.sql("SELECT pg_create_logical_replication_slot('other_' || current_database(), 'test_decoding')")
    b = source.node(cluster, "--pg-slot", f"other_{source.target.database}", wait=False)
    wait_until(lambda: b.http.request("GET", "/livez").status == 200, what="the node is up")
    wait_state(b, "stopped", "somebody else's")
    b.terminate()
    source.sql("SELECT pg_drop_replication_slot('other_' || current_database())")


def test_idle_source_keeps_no_wal(cluster, source):
    """What others write to the same PostgreSQL moves the slot, too."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE noise (v text)", "CREATE PUBLICATION small FOR TABLE t")
    a = source.node(cluster, "--pg-publication", "small")
    before = state(a)["position"]

    def noise():
        source.sql("INSERT INTO noise SELECT repeat(md5(g::text), 30) FROM generate_series(1, 20000) g")
        return source.sql(f"SELECT confirmed_flush_lsn > '{before}'::pg_lsn + 16777216 FROM pg_replication_slots WHERE slot_name = '{source.slot}'") == "t"

    wait_until(noise, 60, "the slot has moved")
    source.sql("INSERT INTO t VALUES (1)")
    wait_same(source, a, "SELECT * FROM t")
    a.kill9()
    a.start()
    source.sql("INSERT INTO t VALUES (2)")
    wait_same(source, a, "SELECT * FROM t ORDER BY id")
    assert "copied anew" not in a.log()


def test_local_database(cluster, source):
    """--proxy-local names the database; others are the node's own."""
    source.sql("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    a = source.node(cluster, "--proxy-local", "mirror.db", files=["own.db"])
    assert sorted(a.get("/databases").json()["databases"]) == ["mirror.db", "own.db"]
    assert a.query("SELECT id FROM t", db="mirror.db").rows == [[1]]
    a.query("CREATE TABLE mine (x)")
    a.query("INSERT INTO t VALUES (2)", db="mirror.db")
    assert source.sql("SELECT count(*) FROM t") == "2"
    wait_until(lambda: a.query("SELECT count(*) FROM t", db="mirror.db").value == 2)
    assert [d.get("source", {}).get("state") for d in a.status()["databases"]] == [None, "following"]
    assert pg.Target(a.pg.port, "mirror.db").value("SELECT count(*) FROM t") == "2"
