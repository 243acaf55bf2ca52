"""What a user of the extension does: load it, make the table, insert the row, read."""

import os

import pytest

import ha
from hosts import EXTENSION, SUBJECT, Python, Shell, SqlError, assert_replica, position

HOSTS = pytest.mark.parametrize("host", [Shell, Python])


def test_the_statements_that_users_know(cluster):
    """Those of the guide of ha-sync, where ha.db is called ha_db, but for the port."""
    node = cluster.node()
    node.script("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)", "INSERT INTO users(name) VALUES ('HA User')")
    with Shell(cluster) as r:
        r.query(f".load {EXTENSION}")
        assert r.value("SELECT ha_info()").startswith("ha-sync version=")
        r.query(f"CREATE VIRTUAL TABLE temp.ha USING HA(servers='{node.nats_url}', timeout=30000, logger='file:ha-sync.log')")
        r.query("INSERT INTO temp.ha(subject, durable) VALUES('ha_replication.ha_db', 'my_instance')")
        assert r.query("SELECT * FROM users") == [[1, "HA User"]]
        assert r.query("SELECT * FROM temp.ha") == [["ha_replication.ha_db", "my_instance", ""]]
        assert r.query("SELECT subject, received_seq FROM ha_stats") == [["ha_replication.ha_db", position(node)]]
        r.query("DELETE FROM temp.ha WHERE durable = 'my_instance'")
        assert r.query("SELECT * FROM temp.ha") == []
        assert r.stats()["state"] == "idle"
        r.query("INSERT INTO temp.ha(subject, durable, policy) VALUES('ha_replication.ha_db', 'my_instance', "
                "'by_start_sequence=42')")
        node.query("INSERT INTO users(name) VALUES ('two')")
        assert_replica(r, node)
    with open(os.path.join(cluster.directory, "ha-sync.log"), encoding="utf-8") as f:
        assert "following the log" in f.read()


@HOSTS
@pytest.mark.parametrize("subject", [SUBJECT, "ha_replication.ha=2Edb", "ha_replication.ha_db"])
def test_names_of_a_subject(cluster, host, subject):
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with host(cluster) as r:
        r.follow(node, subject=subject)
        assert_replica(r, node)


@HOSTS
def test_every_value_and_every_kind_of_table(cluster, host):
    node = cluster.node(args=["--db-params", "_foreign_keys=1"])
    with host(cluster) as r:
        r.follow(node)
        node.script(
            "CREATE TABLE v (id INTEGER PRIMARY KEY AUTOINCREMENT, a, i INTEGER, r REAL, t TEXT, n NUMERIC, b BLOB, "
            "g TEXT GENERATED ALWAYS AS (coalesce(t, 'x') || 'y') STORED, w AS (i + 1) VIRTUAL)",
            "CREATE TABLE keyed (a TEXT, b INT, c, PRIMARY KEY (a, b)) WITHOUT ROWID",
            "CREATE TABLE strictly (k INT PRIMARY KEY, x ANY) STRICT",
            "CREATE TABLE plain (a, b UNIQUE)",
            "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
            "CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE)",
            "CREATE TABLE journal (what)",
            "CREATE TRIGGER note AFTER INSERT ON plain BEGIN INSERT INTO journal VALUES (new.a); END",
            "CREATE VIEW both AS SELECT a FROM plain UNION SELECT a FROM keyed",
            "CREATE INDEX by_a ON plain(a)",
            "CREATE VIRTUAL TABLE words USING fts5(text)",
            "CREATE VIRTUAL TABLE boxes USING rtree(id, x1, x2, y1, y2)",
            "PRAGMA user_version = 7")
        values = ["NULL", "0", "-1", "9223372036854775807", "-9223372036854775807 - 1", "1.0", "0.1", "-0.0", "5e-324",
                  "1.7976931348623157e308", "9e999", "-9e999", "''", "'a''b'", "x''", "x'00ff'", "CAST(x'610062' AS TEXT)",
                  "CAST(x'ff41' AS TEXT)", "'\u00e4\U0001f600'"]
        for v in values:
            node.query(f"INSERT INTO v(a, i, r, t, n, b) VALUES ({v}, {v}, {v}, {v}, {v}, {v})")
        node.script(
            "INSERT INTO keyed VALUES ('a', 1, 'x'), ('b', 2, NULL)", "UPDATE keyed SET b = 3 WHERE a = 'b'",
            "INSERT INTO strictly VALUES (1, 'x'), (2, 2.5), (3, x'01')",
            "INSERT INTO plain VALUES (1, 1), (2, 2)", "REPLACE INTO plain VALUES (3, 1)", "UPDATE plain SET rowid = 77 WHERE b = 2",
            "INSERT INTO parent VALUES (1), (2)", "INSERT INTO child VALUES (1, 1), (2, 1), (3, 2)", "DELETE FROM parent WHERE id = 1",
            "INSERT INTO words VALUES ('the quick brown fox'), ('the lazy dog')",
            "INSERT INTO boxes VALUES (1, 0, 1, 0, 1), (2, 5, 6, 5, 6)",
            "DELETE FROM v WHERE id = 3",
            "ALTER TABLE plain ADD COLUMN c DEFAULT 5", "ALTER TABLE plain RENAME COLUMN a TO z", "ALTER TABLE child RENAME TO kids",
            "UPDATE plain SET c = 6 WHERE b = 1", "DROP TABLE strictly")
        assert_replica(r, node)
        # Schemas have changed under the connection, and it has opened none of these tables before.
        assert r.query("SELECT rowid FROM words WHERE words MATCH 'lazy'") == [[2]]
        assert r.query("SELECT id FROM boxes WHERE x1 > 2") == [[2]]
        assert r.query("SELECT subject FROM temp.ha") == [[SUBJECT]]
        assert r.value("SELECT count(*) FROM v") == len(values) - 1
        node.query("INSERT INTO journal VALUES ('again')")
        assert_replica(r, node)


def test_two_databases_of_a_node(cluster):
    node = cluster.node(files=["a.db", "b.db"])
    node.query("CREATE TABLE t AS SELECT 'a' AS x", db="a.db")
    node.query("CREATE TABLE t AS SELECT 'b' AS x", db="b.db")
    with Python(cluster, "ra.db") as ra, Python(cluster, "rb.db") as rb:
        ra.follow(node, subject="ha_replication.a.db")
        rb.follow(node, subject="ha_replication.b.db")
        assert_replica(ra, node, "a.db")
        assert_replica(rb, node, "b.db")
        # A file is the replica of one log.
        with pytest.raises(SqlError, match="follows .ha_replication.a.db. already"):
            ra.insert("ha_replication.b.db")
        ra.query("DELETE FROM temp.ha")
        with pytest.raises(SqlError, match="replica of the log .ha_replication-a=2Edb. already"):
            ra.insert("ha_replication.b.db")
        ra.insert("ha_replication.a.db")


def test_a_readers_view_is_its_own(cluster):
    """What a transaction has begun to read stays as it is, however much is applied meanwhile."""
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster) as r:
        r.follow(node).caught_up(node)
        seq = position(node)
        r.query("BEGIN")
        assert r.value("SELECT count(*) FROM t") == 1
        node.script("INSERT INTO t VALUES (2)", "CREATE TABLE u (b)")
        ha.wait_until(lambda: int(r.value("SELECT log_seq FROM ha_stats")) > seq, what="the replica goes on")
        assert r.value("SELECT count(*) FROM t") == 1
        assert r.value("SELECT received_seq FROM ha_stats") == seq
        assert r.value(f"SELECT ha_wait({seq + 1}, 10)") == 0
        r.query("COMMIT")
        assert r.value(f"SELECT ha_wait({seq + 2}, 60000)") == 1
        assert r.value("SELECT count(*) FROM t") == 2
        assert r.query("SELECT * FROM u") == []


def test_the_row_is_inserted_in_a_transaction(cluster):
    """As Python does it, unless it is told not to; one that writes to the file stands in the replica's way."""
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster) as r:
        r.load()
        r.create(node.nats_url)
        r.query("BEGIN IMMEDIATE")
        with pytest.raises(SqlError, match="COMMIT it before"):
            r.insert()
        r.query("ROLLBACK")
        r.query("BEGIN")
        r.insert()
        r.query("COMMIT")
        assert_replica(r, node)


def test_local_writes_are_refused(cluster):
    node = cluster.node()
    node.script("CREATE TABLE t (a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES (1, 1)", "CREATE TABLE plain (x)",
                "CREATE VIRTUAL TABLE words USING fts5(text)", "INSERT INTO words VALUES ('one')")
    writes = ["INSERT INTO t VALUES (2, 2)", "UPDATE t SET b = 2", "DELETE FROM t", "REPLACE INTO t VALUES (1, 2)",
              "CREATE TABLE u (x)", "CREATE INDEX i ON t(b)", "CREATE VIEW w AS SELECT 1", "DROP TABLE t",
              "ALTER TABLE t ADD COLUMN c", "ALTER TABLE t RENAME TO z", "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END",
              "INSERT INTO words VALUES ('two')", "PRAGMA user_version = 9", "PRAGMA main.application_id = 9", "VACUUM", "ANALYZE",
              "INSERT INTO ha_position VALUES (2, 2, '', '', 0)", "DELETE FROM ha_position"]
    with Python(cluster) as r:
        r.follow(node).caught_up(node)
        for w in writes:
            with pytest.raises(SqlError, match="not authorized|authorization denied|prohibited"):
                r.query(w)
        r.query("CREATE TEMP TABLE mine (x)")
        r.query("INSERT INTO mine SELECT b FROM t")
        assert r.value("SELECT count(*) FROM mine JOIN t") == 1
        assert_replica(r, node)
        # Nothing follows, and nobody is in the way any more.
        r.query("DELETE FROM temp.ha")
        r.query("INSERT INTO plain VALUES ('local')")
    with Python(cluster) as r:
        r.follow(node, writes="allow")
        r.query("INSERT INTO plain VALUES ('local, too')")
        assert r.value("SELECT count(*) FROM plain") == 2


def test_policies(cluster):
    """Where a file begins that has not met its log yet; later its own position counts."""
    node = cluster.node()
    node.query("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    node.query("INSERT INTO t VALUES (1)")
    later = position(node)
    with Python(cluster, "new.db") as r:
        r.query("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        r.follow(node, policy="new")
        node.query("INSERT INTO t VALUES (2)")
        r.caught_up(node)
        assert r.query("SELECT a FROM t") == [[2]]
        r.query("DELETE FROM temp.ha")
        node.query("INSERT INTO t VALUES (3)")
        r.insert(policy="new")
        r.caught_up(node)
        assert r.query("SELECT a FROM t") == [[2], [3]]
    with Python(cluster, "seq.db") as r:
        r.query("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        r.follow(node, policy=f"by_start_sequence={later}")
        r.caught_up(node)
        assert r.query("SELECT a FROM t") == [[1], [2], [3]]
    with Python(cluster, "time.db") as r:
        r.follow(node, policy="by_start_time=2000-01-01 00:00:00")
        assert_replica(r, node)


def test_a_downloaded_file_goes_on(cluster):
    node = cluster.node()
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    ha.download(node, os.path.join(cluster.directory, "r.db"))
    node.query("INSERT INTO t VALUES (2)")
    with Python(cluster) as r:
        r.follow(node)
        assert r.stats()["restores"] == 0
        assert_replica(r, node)
