"""HISTORY and UNDO over HTTP: what the log's transactions are, and nodes that take them back."""

import json
import os
import random
import signal
import threading

import pytest

from bigtx_test import BIG, forget_peak, memory_kb
from ha import CATCH_UP_S, SLOW, ConnectionLost, HttpError, assert_equal, blob, difference, dump, synced, wait_until
from workload import World
from workload_test import run_clients

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))
FOREIGN_KEYS = ["--db-params", "_foreign_keys=1"]
ASYNC = ["--async-replication", "--replication-timeout", "10s"]


def last(node):
    """The sequence of the newest message that the node holds."""
    return node.query("HISTORY").rows[-1][0]


def rows(d):
    """Of a dump what undo promises: everything but sequences and statistics."""
    return {k: v for k, v in d.items() if not k.startswith("table sqlite_")}


def same(a, b):
    assert rows(a) == rows(b), difference(rows(a), rows(b))


def undo(node, n, command="UNDO", db=None):
    """The rows that it changed."""
    return node.query(f"{command} {n}", db=db).rows_affected


def refused(call, code, status):
    with pytest.raises(HttpError) as e:
        call()
    assert e.value.problem.get("code") == code and e.value.status == status, e.value
    return e.value.problem["detail"]


def write(node, sql, params=None, db=None):
    """One statement; the address of its transaction."""
    r = node.post("/query" if db is None else f"/databases/{db}", {"sql": sql, "params": params or []})
    return int(r.headers["HA-Seq"])


# ---- what it tells ---------------------------------------------------------------------------------------------


def test_history_tells_transactions(cluster):
    a, b = cluster.nodes(2)
    first = write(a, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n)")
    a.batch(["INSERT INTO t VALUES (1, 'it''s', 1.5)", "INSERT INTO t VALUES (2, 'b', NULL)"])
    wait_until(lambda: synced(b))
    b.query("UPDATE t SET v = ?, n = ? WHERE id = 1", ["a\0b", blob(b"\x00\xff")])
    wait_until(lambda: synced(a))
    a.query("DELETE FROM t WHERE id = 2")
    wait_until(lambda: synced(b))
    r = b.query(f"HISTORY {first}")
    assert r.columns == ["seq", "sql", "timestamp", "transaction", "node", "changes", "tables"]
    assert [x[0] for x in r.rows] == list(range(first, first + 4))
    assert [x[1] for x in r.rows] == [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n)",
        "INSERT INTO \"t\" (\"id\", \"v\", \"n\") VALUES (1, 'it''s', 1.5);\nINSERT INTO \"t\" (\"id\", \"v\", \"n\") VALUES (2, 'b', NULL)",
        "UPDATE \"t\" SET \"v\" = CAST(X'610062' AS TEXT), \"n\" = X'00FF' WHERE \"id\" = 1",
        "DELETE FROM \"t\" WHERE \"id\" = 2"]
    assert [x[3] for x in r.rows] == [str(s) for s in range(first, first + 4)]
    assert [x[4] for x in r.rows] == ["node1", "node1", "node2", "node1"]
    assert [x[5] for x in r.rows] == [1, 2, 1, 1]
    assert [json.loads(x[6]) for x in r.rows] == [{}, {"t": {"inserted": 2}}, {"t": {"updated": 1}}, {"t": {"deleted": 1}}]
    assert a.query("HISTORY '5m'").rows == a.query("HISTORY 1").rows == a.query("HISTORY ?", [1]).rows
    assert a.query("HISTORY").rows == a.query("HISTORY 0").rows == r.rows[-1:]
    # What is shown can be run.
    a.query("CREATE TABLE shown (id INTEGER PRIMARY KEY, v TEXT, n)")
    for text in r.rows[1][1].split(";\n") + [r.rows[2][1]]:
        a.query(text.replace('"t"', '"shown"'))
    assert a.query("SELECT * FROM shown WHERE id = 1").rows == a.query("SELECT * FROM t WHERE id = 1").rows


def test_history_as_json(cluster):
    a = cluster.node()
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(5):
        a.query("INSERT INTO t VALUES (?, ?)", [i, "x" * i])
    newest = a.get("/history?limit=2").json()
    assert [h["seq"] for h in newest["history"]] == [5, 6] and "next" not in newest
    page, seen = a.get("/history/1?limit=4").json(), []
    seen += page["history"]
    page = a.get(f"/history/{page['next']}?limit=4").json()
    seen += page["history"]
    assert [h["seq"] for h in seen] == [1, 2, 3, 4, 5, 6] and "next" not in page
    h = seen[1]
    assert h["sql"] == ['INSERT INTO "t" ("id", "v") VALUES (0, \'\')'] and h["hidden"] == 0
    assert h["node"] == "node1" and h["transaction"] == "2" and h["changes"] == 1
    assert h["tables"] == {"t": {"inserted": 1}} and h["timestamp_ns"] > 1e18
    assert len(a.get("/history/10m").json()["history"]) == 6
    assert a.get("/databases/ha.db/history/6").json()["history"] == seen[5:]
    answer = a.http.ok("POST", "/undo/5")
    assert answer.json() == {"transaction": "7", "transactions": 2, "rows": 2} and answer.headers["HA-Seq"] == "7"
    assert a.query("SELECT count(*) FROM t").value == 3
    for path, status in (("/history/x", 400), ("/history/99", 404), ("/history/1.2", 404), ("/databases/no.db/history", 404),
                         ("/history/-5m", 400)):
        assert a.http.request("GET", path).status == status, path
    for path, status in (("/undo/x", 400), ("/undo/99", 404), ("/undoe/5m", 400), ("/databases/no.db/undo/1", 404),
                         ("/undo/0m", 400)):
        assert a.http.request("POST", path).status == status, path


def test_long_transactions_are_shown_in_part(cluster):
    a = cluster.node()
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    a.query("WITH RECURSIVE i(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM i WHERE x < 5000)"
            " INSERT INTO t SELECT x, hex(zeroblob(50)) FROM i")
    h = a.get("/history/0").json()["history"][0]
    assert h["changes"] == 5000 and h["tables"] == {"t": {"inserted": 5000}}
    assert 0 < len(h["sql"]) < 5000 and len(h["sql"]) + h["hidden"] == 5000
    text = a.query("HISTORY 0").rows[0][1]
    assert text.endswith(f"-- and {h['hidden']} more") and len(text) < 200000


def test_histories_are_streamed(cluster):
    """More than the node keeps of a result, row by row."""
    a = cluster.node(args=["--max-result-size", "1MiB"])
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(60):
        a.query("INSERT INTO t VALUES (?, hex(zeroblob(20000)))", [i])
    r = a.post("/query", {"sql": "HISTORY 1"}, {"Accept": "application/x-ndjson"})
    lines = [json.loads(line) for line in r.body.splitlines()]
    assert len(r.body) > 60 * 40000 and len([x for x in lines if "error" in x]) == 0
    page = a.get("/history/1").json()
    assert 20 < len(page["history"]) < 61 and page["next"] == str(page["history"][-1]["seq"] + 1)


# ---- one by one ------------------------------------------------------------------------------------------------


def shared_message(node, b=None):
    """Writes until a message holds three transactions; their rows of HISTORY."""

    def burst():
        threads = [threading.Thread(target=lambda i=i: node.query("INSERT INTO t(v) VALUES (?)", [f"w{i}"])) for i in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        found = {}
        for h in node.query("HISTORY '10m'").rows:
            found.setdefault(h[0], []).append(h)
        return next((hs for hs in found.values() if len(hs) >= 3 and all("insert" in h[6] for h in hs)), None)

    return wait_until(burst, what="a message with three transactions")


def test_transactions_of_one_message(cluster):
    a, b = cluster.nodes(2, env={"HA_FAULT": "commit.publish=pause:20"})
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    hs = shared_message(a)
    seq = hs[0][0]
    assert [h[3] for h in hs] == [f"{seq}.{i + 1}" for i in range(len(hs))]
    second = a.query(f"HISTORY {seq}.2").rows
    assert second[0] == hs[1]
    refused(lambda: a.query(f"HISTORY {seq}.{len(hs) + 1}"), "NOT_FOUND", 404)
    refused(lambda: a.query(f"UNDO {seq}.{len(hs) + 1}"), "NOT_FOUND", 404)
    before = a.query("SELECT count(*) FROM t").value
    assert undo(a, f"{seq}.2", "UNDOE") == 1
    assert a.query("SELECT count(*) FROM t").value == before - 1
    text = hs[1][1]
    assert a.query("SELECT count(*) FROM t WHERE id = " + text.split("(")[2].split(",")[0]).value == 0
    undo(a, f"{seq}.3")  # the undo of the second is taken back as well
    left = [h[1] for h in a.query(f"HISTORY {seq}").rows[:2]]
    for text in left:
        assert a.query("SELECT count(*) FROM t WHERE id = " + text.split("(")[2].split(",")[0]).value == 1
    assert_equal(a, b)


# ---- what is taken back ----------------------------------------------------------------------------------------


def test_undo_everything_from_there_on(cluster):
    a, b = cluster.nodes(2)
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    then = dump(a)
    n = write(a, "UPDATE t SET v = 'x' WHERE id < 3")
    wait_until(lambda: synced(b))
    b.query("DELETE FROM t WHERE id = 3")
    wait_until(lambda: synced(a))
    a.retrying(lambda: a.query("INSERT INTO t VALUES (3, 'new'), (4, 'd')"))
    a.query("UPDATE t SET id = 40 WHERE id = 4")
    now = dump(a)
    wait_until(lambda: synced(b))
    b.retrying(lambda: undo(b, n))
    same(assert_equal(a, b), then)
    # It is a transaction like any other one: in the history, and taken back like any other one.
    wait_until(lambda: synced(a))
    assert a.query("HISTORY 0").rows[0][4] == "node2"
    a.retrying(lambda: undo(a, 0))
    same(assert_equal(a, b), now)
    # Once more, undo and all.
    a.retrying(lambda: undo(a, n))
    same(assert_equal(a, b), then)


def test_undo_by_time(cluster):
    a = cluster.node()
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    a.query("INSERT INTO t VALUES (1, 'a')")
    assert undo(a, "'1h'") == 1
    assert a.query("SELECT count(*) FROM t").value == 0
    assert undo(a, "'1ns'") == 0


def test_undo_of_rows(cluster):
    """UNDOE takes back what has happened to the rows that a transaction changed, UNDOT the transactions."""
    a, b = cluster.nodes(2)
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')")
    then = dump(a)
    n = write(a, "UPDATE t SET v = 'x' WHERE id = 1")
    a.batch(["UPDATE t SET v = 'y' WHERE id = 1", "UPDATE t SET v = 'y' WHERE id = 2"])
    a.query("UPDATE t SET v = 'z' WHERE id = 3")
    now = last(a)
    assert undo(a, n, "UNDOE") == 2
    assert a.query("SELECT v FROM t ORDER BY id").rows == [["a"], ["y"], ["z"], ["d"]]
    undo(a, now + 1)
    assert undo(a, n, "UNDOT") > 3  # the two of before are among the transactions that changed these rows
    assert a.query("SELECT v FROM t ORDER BY id").rows == [["a"], ["b"], ["z"], ["d"]]
    undo(a, n)
    same(assert_equal(a, b), then)


def test_undo_of_named_rows(cluster):
    """WHERE names the rows, whatever the first transaction has done; a row keeps its name when it gets another key."""
    a, b = cluster.nodes(2)
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE u (id INTEGER PRIMARY KEY, v)",
             "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')", "INSERT INTO u VALUES (1, 'a')")
    n = write(a, "UPDATE t SET v = 'x'")
    a.batch(["UPDATE t SET v = 'y' WHERE id = 2", "UPDATE u SET v = 'y' WHERE id = 1"])
    a.query("UPDATE t SET id = 7 WHERE id = 2")
    a.query("UPDATE t SET v = 'z' WHERE id = 7")
    a.query("INSERT INTO t VALUES (-4, 'new')")
    assert a.query(f"UNDOE {n} WHERE t(2, -4)").rows_affected == 5
    assert a.query("SELECT * FROM t ORDER BY id").rows == [[1, "x"], [2, "b"], [3, "x"]]
    assert a.query("SELECT v FROM u").value == "y"
    m = write(a, "INSERT INTO u VALUES (5, 'five')")
    a.batch(["UPDATE u SET v = 'k' WHERE id = 5", "UPDATE u SET v = 'k' WHERE id = 1"])
    a.query("INSERT INTO u VALUES (6, 'six')")
    assert a.query(f'UNDOT {m} WHERE "u"(1)').rows_affected == 2
    assert a.query("SELECT * FROM u ORDER BY id").rows == [[1, "y"], [5, "five"], [6, "six"]]
    assert a.query("UNDOE ? WHERE t(99)", [n]).rows_affected == 0
    assert_equal(a, b)
    assert "near \"WHERE\"" in refused(lambda: a.query(f"UNDO {n} WHERE t(1)"), "SYNTAX", 400)


def test_a_row_that_gets_another_key_is_the_same_row(cluster):
    a = cluster.node()
    a.script("CREATE TABLE t (k TEXT PRIMARY KEY, v) WITHOUT ROWID", "INSERT INTO t VALUES ('a', 1), ('b', 2)")
    n = write(a, "UPDATE t SET v = 10 WHERE k = 'a'")
    a.query("UPDATE t SET k = 'c' WHERE k = 'a'")
    a.query("UPDATE t SET v = 11 WHERE k = 'c'")
    a.query("UPDATE t SET v = 20 WHERE k = 'b'")
    assert undo(a, n, "UNDOE") == 3
    assert a.query("SELECT * FROM t").rows == [["a", 1], ["b", 20]]


def test_conflicts(cluster):
    a, b = cluster.nodes(2)
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT UNIQUE, v)", "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)",
             "CREATE TABLE other (id INTEGER PRIMARY KEY, v)")
    n = a.batch(["UPDATE t SET v = 10 WHERE id = 1", "INSERT INTO other VALUES (7, 'x')"]) and last(a)
    a.query("UPDATE other SET v = 'later' WHERE id = 7")
    before = dump(a)
    # The second transaction touches a row of the first one, so it is taken back as well. But not a row of it that others …
    m = a.batch(["UPDATE t SET v = 11 WHERE id = 1", "UPDATE t SET v = 22 WHERE id = 2"]) and last(a)
    a.query("UPDATE t SET v = 23 WHERE id = 2")
    text = refused(lambda: undo(a, n, "UNDOT"), "CHANGED", 409)
    assert "table t" in text and "id=2" in text and str(m) in text, text
    undo(a, m)
    same(dump(a), before)
    # A key that somebody else has taken.
    d = write(a, "DELETE FROM t WHERE id = 2")
    a.query("INSERT INTO t VALUES (3, 'b', 3)")
    text = refused(lambda: undo(a, d, "UNDOE"), "CHANGED", 409)
    assert "id=2" in text and "t.k" in text, text
    assert undo(a, d) == 2
    same(dump(a), before)
    # Nothing of a refused one has happened, and nothing of it is in the log.
    d, seq = write(a, "DELETE FROM t WHERE id = 2"), write(a, "INSERT INTO t VALUES (3, 'b', 3)")
    refused(lambda: undo(a, d, "UNDOT"), "CHANGED", 409)
    assert last(a) == seq and a.query("SELECT id FROM t ORDER BY id").rows == [[1], [3]]
    assert_equal(a, b)


def test_schema_changes_are_not_taken_back(cluster):
    a, b = cluster.nodes(2)
    n = write(a, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    a.query("INSERT INTO t VALUES (1, 'a')")
    a.query("CREATE INDEX i ON t(v)")
    a.query("CREATE VIEW w AS SELECT * FROM t")
    i = write(a, "INSERT INTO t VALUES (2, 'b')")
    assert undo(a, n) == 2  # the table stays
    assert a.query("SELECT count(*) FROM w").value == 0
    undo(a, 0)
    # Older rows fit a table no more that has another column since.
    m = write(a, "ALTER TABLE t ADD COLUMN w DEFAULT 7")
    text = refused(lambda: undo(a, i), "SCHEMA_CHANGED", 409)
    assert "table t" in text and str(m) in text, text
    later = write(a, "UPDATE t SET w = 8")
    assert undo(a, later) == 2
    # One that was dropped, and one of the same name and columns.
    d = write(a, "DELETE FROM t WHERE id = 1")
    a.script("DROP TABLE t", "CREATE TABLE t (id INTEGER PRIMARY KEY, v, w DEFAULT 7)")
    assert "table t" in refused(lambda: undo(a, d), "SCHEMA_CHANGED", 409)
    a.query("DROP TABLE t")
    assert "table t" in refused(lambda: undo(a, d), "SCHEMA_CHANGED", 409)
    # What leaves the rows as they are is in nobody's way.
    a.query("CREATE TABLE u (id INTEGER PRIMARY KEY, v INT)")
    n = write(a, "INSERT INTO u VALUES (1, 1)")
    a.script("ALTER TABLE u ALTER COLUMN v SET DEFAULT 5", "ANALYZE", "PRAGMA user_version = 7", "REINDEX",
             "CREATE TRIGGER r AFTER INSERT ON u BEGIN SELECT 1; END", "DROP TRIGGER r")
    assert undo(a, n) == 1
    assert_equal(a, b)


def test_triggers_do_not_fire_again(cluster):
    a, b = cluster.nodes(2)
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE log (n INTEGER PRIMARY KEY AUTOINCREMENT, what)",
             "CREATE TRIGGER ti AFTER INSERT ON t BEGIN INSERT INTO log(what) VALUES ('i' || new.id); END",
             "CREATE TRIGGER tu AFTER UPDATE ON t BEGIN INSERT INTO log(what) VALUES ('u' || new.id); END",
             "CREATE TRIGGER td BEFORE DELETE ON t BEGIN INSERT INTO log(what) VALUES ('d' || old.id);"
             " SELECT RAISE(ABORT, 'never') WHERE old.id = 1; END", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    then = dump(a)
    n = write(a, "INSERT INTO t VALUES (3, 'c')")
    a.query("UPDATE t SET v = v || 'x'")
    a.query("DELETE FROM t WHERE id = 2")
    undo(a, n)
    same(assert_equal(a, b), then)
    # The number of an AUTOINCREMENT that was given away is not given again.
    a.query("INSERT INTO t VALUES (9, 'i')")
    assert a.query("SELECT max(n) FROM log").value == 8


def test_foreign_keys(cluster):
    a, b = cluster.nodes(2, args=FOREIGN_KEYS)
    a.script("CREATE TABLE p (id INTEGER PRIMARY KEY, v)",
             "CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE"
             " INITIALLY DEFERRED, v)",
             "CREATE TABLE s (id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE SET NULL ON UPDATE CASCADE)",
             "INSERT INTO p VALUES (1, 'a'), (2, 'b')", "INSERT INTO c VALUES (1, 1, 'x'), (2, 1, 'y'), (3, 2, 'z')",
             "INSERT INTO s VALUES (1, 1)")
    then = dump(a)
    n = write(a, "UPDATE p SET id = 10 WHERE id = 1")
    a.query("DELETE FROM p WHERE id = 10")
    assert a.query("SELECT count(*) FROM c").value == 1
    undo(a, n)
    same(assert_equal(a, b), then)
    # The child first: both go, in the other order.
    n = a.batch(["INSERT INTO c VALUES (5, 5, 'early')", "INSERT INTO p VALUES (5, 'late')"]) and last(a)
    assert undo(a, n, "UNDOT") == 2
    same(dump(a), then)
    # A part that would leave rows without their parent.
    n = write(a, "INSERT INTO p VALUES (6, 'f')")
    a.query("INSERT INTO c VALUES (6, 6, 'child')")
    assert "table c" in refused(lambda: undo(a, n, "UNDOE"), "FOREIGN_KEY", 409)
    assert a.query("SELECT count(*) FROM c WHERE p = 6").value == 1
    assert undo(a, n) == 2
    same(assert_equal(a, b), then)


def test_full_text(cluster):
    """The index comes back with its rows, here and elsewhere, and can be used and written at once."""
    a, b = cluster.nodes(2)
    a.script("CREATE VIRTUAL TABLE f USING fts5(x, y)", "INSERT INTO f VALUES ('red fox', 'one'), ('blue whale', 'two')",
             "CREATE TABLE plain (id INTEGER PRIMARY KEY, v)", "INSERT INTO plain VALUES (1, 'a')")
    then = dump(a)
    n = write(a, "WITH RECURSIVE i(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM i WHERE x < 300)"
                 " INSERT INTO f SELECT 'green fox ' || x, 'many' FROM i")
    a.query("UPDATE f SET x = 'grey wolf' WHERE rowid = 1")
    m = a.batch(["DELETE FROM f WHERE rowid = 2", "UPDATE plain SET v = 'b'"]) and last(a)
    assert a.query("SELECT count(*) FROM f WHERE f MATCH 'fox'").value == 300
    text = refused(lambda: undo(a, m, "UNDOE"), "UNSUPPORTED", 400)
    assert str(m) in text and "UNDOT" in text, text
    undo(a, m, "UNDOT")
    undo(a, n)
    same(assert_equal(a, b), then)
    for node in (a, b):
        assert node.query("SELECT rowid FROM f WHERE f MATCH 'fox'").rows == [[1]]
        assert node.query("SELECT rowid FROM f WHERE f MATCH 'whale'").rows == [[2]]
    for node in (a, b):
        node.retrying(lambda node=node: node.query("INSERT INTO f(f) VALUES ('integrity-check')"))
        node.retrying(lambda node=node: node.query("INSERT INTO f VALUES ('another fox', 'x')"))
        assert node.query("SELECT count(*) FROM f WHERE f MATCH 'fox'").value >= 2
    assert_equal(a, b)


def test_values_and_keys(cluster):
    """Every storage class, rows without a key, composite keys, NULL in them, generated columns, renumbered rowids."""
    a, b = cluster.nodes(2)
    a.script("CREATE TABLE v (a, b REAL, c TEXT, d BLOB)", "CREATE TABLE k (a TEXT, b INT, v, PRIMARY KEY (a, b))",
             "CREATE TABLE w (a TEXT COLLATE NOCASE, b INT, v, PRIMARY KEY (b, a)) WITHOUT ROWID",
             "CREATE TABLE g (id INTEGER PRIMARY KEY, v INT, twice AS (v * 2) STORED, more AS (v + 1))")
    a.query("INSERT INTO v VALUES (?, ?, ?, ?), (NULL, 1, ?, ?), (1, 2.5, 'x', x'')",
            [9223372036854775807, 5e-324, "a\0b", blob(b""), "", blob(bytes(range(256)))])
    a.script("INSERT INTO v VALUES (9e999, -0.0, CAST(x'ff80' AS TEXT), zeroblob(3))",
             "INSERT INTO k VALUES ('a', 1, 1), (NULL, 1, 2), (NULL, 1, 3), ('a', 2, 4)",
             "INSERT INTO w VALUES ('a', 1, 1), ('B', 1, 2)", "INSERT INTO g(id, v) VALUES (1, 1), (2, 2)")
    then = dump(a)
    n = write(a, "UPDATE v SET a = a, b = b + 1, c = c || 'x', d = NULL")
    a.script("DELETE FROM v WHERE rowid = 2", "UPDATE v SET rowid = rowid + 100", "INSERT INTO v SELECT * FROM v",
             "UPDATE k SET v = v + 1", "DELETE FROM k WHERE a IS NULL AND v = 3", "UPDATE k SET b = b + 10",
             "UPDATE k SET rowid = rowid + 5", "UPDATE w SET a = upper(a)", "UPDATE w SET b = 2 - b", "DELETE FROM w WHERE v = 2",
             "UPDATE g SET v = v * 10", "DELETE FROM g WHERE id = 2", "REPLACE INTO g(id, v) VALUES (1, 7)")
    now = dump(a)
    undo(a, n)
    same(assert_equal(a, b), then)
    undo(a, 0)
    same(assert_equal(a, b), now)


def test_a_hidden_rowid_that_was_taken(cluster):
    a, b = cluster.nodes(2)
    a.script("CREATE TABLE t (k TEXT PRIMARY KEY, v)", "INSERT INTO t VALUES ('a', 1), ('b', 2)")
    n = write(a, "DELETE FROM t WHERE k = 'b'")
    a.query("INSERT INTO t VALUES ('c', 3)")
    assert undo(a, n, "UNDOE") == 1
    assert a.query("SELECT * FROM t ORDER BY k").rows == [["a", 1], ["b", 2], ["c", 3]]
    assert_equal(a, b)


# ---- where it is refused ---------------------------------------------------------------------------------------


def test_it_is_a_transaction_of_its_own(cluster):
    a = cluster.node()
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    refused(lambda: a.batch(["UNDO 0", "INSERT INTO t VALUES (2)"]), "TX_ACTIVE", 400)
    refused(lambda: a.batch(["INSERT INTO t VALUES (2)", "UNDO 0"]), "TX_ACTIVE", 400)
    refused(lambda: a.batch(["INSERT INTO t VALUES (2)", "HISTORY 0"]), "TX_ACTIVE", 400)
    refused(lambda: a.query("BEGIN; INSERT INTO t VALUES (3); UNDO 0; COMMIT"), "TX_ACTIVE", 400)
    token = a.post("/transactions", b"").json()["transaction"]
    refused(lambda: a.query("UNDO 0", headers={"HA-Transaction": token}), "TX_ACTIVE", 400)
    assert len(a.query("HISTORY 0", headers={"HA-Transaction": token}).rows) == 1
    a.post(f"/transactions/{token}/rollback", b"")
    assert a.query("SELECT count(*) FROM t").value == 1
    # Alone in a body, or among reads, it may stand where statements stand.
    results = a.batch(["SELECT count(*) FROM t", "HISTORY 2", "HISTORY 0"])
    assert results[0].value == 1 and results[1].rows == results[2].rows
    assert a.batch(["HISTORY 2"])[0].rows == results[1].rows
    assert a.batch(["UNDO 0"])[0].rows_affected == 1
    for text, code in (("UNDO", "SYNTAX"), ("UNDO 1 2", "SYNTAX"), ("UNDO x", "SYNTAX"), ("UNDOE '5m'", "PARAM"),
                       ("UNDO ''", "PARAM"), ("UNDO '1.2.3'", "PARAM"), ("UNDO 1.0", "PARAM"), ("UNDO -1", "SYNTAX"),
                       ("UNDO '0s'", "PARAM"), ("UNDO ?", "PARAM"), ("HISTORY nothing", "SYNTAX"), ("UNDO 99999999999999999999", "PARAM"),
                       ("UNDO '" + "9" * 500 + "'", "SYNTAX")):
        refused(lambda text=text: a.query(text), code, 400)
    # Words that are no keywords anywhere else.
    a.script("CREATE TABLE history (undo, undoe)", "INSERT INTO history(undo) VALUES (1)", "SELECT undo FROM history")


def test_what_the_log_has_no_more(cluster):
    server = cluster.nats()
    a = cluster.node(url=server, args=["--replication-max-age", "2s"])
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    n = write(a, "INSERT INTO t VALUES (1)")

    def aged():
        a.query("INSERT INTO t(id) SELECT max(id) + 1 FROM t")
        return a.query(f"HISTORY {n}").rows[0][0] > n

    wait_until(aged, what="the log forgets its first messages")
    oldest = a.query("HISTORY 1").rows[0][0]
    text = refused(lambda: undo(a, n), "TOO_OLD", 410)
    assert "oldest" in text and int(text.split()[-1]) >= oldest, text
    refused(lambda: undo(a, "'1h'"), "TOO_OLD", 410)
    count = a.query("SELECT count(*) FROM t").value
    assert a.retrying(lambda: undo(a, write(a, "INSERT INTO t(id) SELECT max(id) + 1 FROM t"))) == 1
    assert a.query("SELECT count(*) FROM t").value == count


def test_without_a_log(cluster):
    a = cluster.node(nats_port=0)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    refused(lambda: a.query("HISTORY"), "UNSUPPORTED", 400)
    refused(lambda: undo(a, 1), "UNSUPPORTED", 400)


def test_a_time_limit(cluster):
    a = cluster.node()
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    a.query("WITH RECURSIVE i(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM i WHERE x < 200000) INSERT INTO t SELECT x, x FROM i")
    n = write(a, "UPDATE t SET v = -v")
    refused(lambda: a.post("/query?timeout=20ms", {"sql": f"UNDO {n}"}), "TIMEOUT", 408)
    assert last(a) == n and a.query("SELECT count(*) FROM t WHERE v < 0").value == 200000
    assert undo(a, n) == 200000
    assert a.query("SELECT count(*) FROM t WHERE v > 0").value == 200000


def test_databases_of_their_own(cluster):
    a = cluster.node(args=["--create-db-dir", "."])
    b = cluster.node(url=a, args=["--create-db-dir", "."])
    a.post("/databases", {"dsn": "second.db"})
    wait_until(lambda: "second.db" in b.get("/databases").json()["databases"])
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    n = write(a, "CREATE TABLE t (id INTEGER PRIMARY KEY, w)", db="second.db")
    m = write(a, "INSERT INTO t VALUES (1, 'second')", db="second.db")
    a.query("INSERT INTO t VALUES (1, 'first')")
    assert a.query(f"HISTORY {n}", db="second.db").rows[-1][1].endswith("'second')")
    wait_until(lambda: b.query("SELECT count(*) FROM t", db="second.db").value == 1)
    assert b.retrying(lambda: undo(b, m, db="second.db")) == 1
    assert a.query("SELECT v FROM t").value == "first"
    assert_equal(a, b, db="second.db")


# ---- in every mode, among others -------------------------------------------------------------------------------


@pytest.mark.parametrize("args", (["--consistency", "lww"], ASYNC), ids=("lww", "async"))
def test_modes(cluster, args):
    a, b = cluster.nodes(2, args=args)
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    wait_until(lambda: synced(a) and synced(b))
    then = assert_equal(a, b)
    wait_until(lambda: len(a.query("HISTORY 1").rows) == 2)
    for i in range(20):
        a.query("UPDATE t SET v = ? WHERE id = 1", [i])
        a.query("INSERT INTO t VALUES (?, 'n')", [10 + i])
    wait_until(lambda: synced(a) and last(a) >= 3)
    now = dump(a)
    assert undo(a, 3) == 40
    same(assert_equal(a, b), then)
    wait_until(lambda: synced(b))
    assert undo(b, 0) == 40
    same(assert_equal(a, b), now)


def test_what_is_not_in_the_log_yet(cluster):
    """An asynchronous node takes back what it has committed, in the log or not."""
    a = cluster.node(args=ASYNC, start=False)
    a.arm_hold("outbox.publish")
    a.start()
    b = cluster.node(url=a, args=ASYNC)
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    wait_until(lambda: synced(b) and len(a.query("HISTORY 1").rows) == 2)
    a.query("UPDATE t SET v = 'c' WHERE id = 1")
    wait_until(lambda: len(a.query("HISTORY 1").rows) == 3)
    n = last(a)

    def held(*statements):
        a.hold(lambda: a.script(*statements))

    held("UPDATE t SET v = 'x' WHERE id = 1", "INSERT INTO t VALUES (3, 'c')", "UPDATE t SET id = 4 WHERE id = 3")
    assert last(a) == n
    now = dump(a)
    # Nothing that the log has, and all of what it has not; not what is older than that.
    assert undo(a, "'1ns'") == 0
    assert undo(a, n) == 4
    assert a.query("SELECT * FROM t").rows == [[1, "a"], [2, "b"]]
    a.let_go()
    wait_until(lambda: synced(a) and synced(b))
    wait_until(lambda: last(a) == last(b) == n + 4)
    assert a.query("SELECT * FROM t").rows == b.query("SELECT * FROM t").rows == [[1, "a"], [2, "b"]]
    assert undo(b, 0) == 4
    wait_until(lambda: synced(a) and last(a) == last(b))
    same(assert_equal(a, b), now)
    # Of rows: what a held transaction did to them.
    held("UPDATE t SET v = 'later' WHERE id = 2", "UPDATE t SET v = 'y' WHERE id = 1")
    assert f"{n}.2" in refused(lambda: undo(a, f"{n}.2"), "NOT_FOUND", 404)
    assert undo(a, n, "UNDOE") >= 2
    assert a.query("SELECT * FROM t").rows == [[1, "a"], [2, "later"], [4, "c"]]
    a.let_go()
    wait_until(lambda: synced(a) and synced(b))
    assert_equal(a, b)


def test_others_write_meanwhile(cluster):
    """Another node writes all the time, and an undo of what it has not touched goes through; then of everything."""
    a, b = cluster.nodes(2, args=["--replication-timeout", "20s"])
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE busy (id INTEGER PRIMARY KEY AUTOINCREMENT, v)",
             "INSERT INTO t VALUES (1, 'a')")
    wait_until(lambda: synced(b))
    n = write(a, "UPDATE t SET v = 'x'")
    stop, written, errors = threading.Event(), [], []

    def writer():
        while not stop.is_set():
            try:
                b.query("INSERT INTO busy(v) VALUES ('w')")
                written.append(1)
            except HttpError as e:
                if not e.may_retry:
                    errors.append(e)
                    return
        b.http.close()

    t = threading.Thread(target=writer)
    t.start()
    try:
        wait_until(lambda: len(written) > 20 or errors)
        for _ in range(5):
            assert a.retrying(lambda: undo(a, n, "UNDOE")) > 0
        assert a.query("SELECT v FROM t").value in ("a", "x")
        # Of a long range it takes longer than the other node needs for its next write; where the writer is, that one waits.
        wait_until(lambda: synced(b))
        assert b.retrying(lambda: undo(b, n)) > 20
    finally:
        stop.set()
        t.join()
    assert not errors, errors
    assert a.retrying(lambda: undo(a, n)) >= 0
    final = assert_equal(a, b)
    assert final["table busy"] == [] and [r[-1] for r in final["table t"]] == [b"a"]


@pytest.mark.parametrize("point", ("undo.gathered", "group.ran", "commit.publish", "commit.acked", "commit.done"))
def test_killed_in_the_middle(cluster, point):
    """All of it or nothing, on all nodes."""
    server = cluster.nats()
    a = cluster.node(url=server)
    b = cluster.node(url=server)
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    then = dump(a)
    n = write(a, "UPDATE t SET v = v || 'x'")
    a.query("INSERT INTO t VALUES (3, 'c')")
    now = dump(a)
    a.terminate()
    a.env["HA_FAULT"] = f"{point}=kill@1"
    a.may_die = True
    a.start()
    with pytest.raises(ConnectionLost):
        undo(a, n)
    assert a.wait_exit() == -signal.SIGKILL
    del a.env["HA_FAULT"]
    a.start()
    wait_until(lambda: synced(a))
    d = assert_equal(a, b)
    done = point in ("commit.acked", "commit.done")
    same(d, then if done else now)
    a.may_die = False
    assert a.retrying(lambda: undo(a, n)) > 0
    same(assert_equal(a, b), then)


def test_killed_at_any_time(cluster):
    server = cluster.nats()
    a, b = cluster.node(url=server), cluster.node(url=server)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    a.query("WITH RECURSIVE i(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM i WHERE x < 3000) INSERT INTO t SELECT x, 0 FROM i")
    then = dump(a)
    n = write(a, "UPDATE t SET v = v + 1")
    now = dump(a)
    rnd = random.Random(SEED)
    a.may_die = True
    for _ in range(6):
        killer = threading.Timer(rnd.random() * 0.15 * SLOW, a.kill9)
        killer.start()
        try:
            while True:
                undo(a, n)
                undo(a, 0)
        except (ConnectionLost, HttpError):
            pass
        killer.join()
        a.http.close()
        a.start()
        wait_until(lambda: synced(a))
        d = rows(assert_equal(a, b))
        assert d in (rows(then), rows(now)), f"seed {SEED}"
    a.retrying(lambda: undo(a, n))
    same(assert_equal(a, b), then)


@pytest.mark.limit(600)
def test_random_transactions(cluster):
    """Back to any of some states of a random workload on three nodes: each has the rows that it had then."""
    world = World(ddl=False, analyze=False)
    nodes = cluster.nodes(3, args=FOREIGN_KEYS)
    for s in world.setup(6, random.Random(f"{SEED} setup")):
        nodes[0].query(s)
    for n in nodes:
        wait_until(lambda n=n: synced(n))
    states = []
    for _ in range(4):
        d = assert_equal(*nodes)
        states.append((last(nodes[0]) + 1, d))
        run_clients(nodes, world, f"{SEED} {len(states)}", world.statements + int(600 / SLOW))
    rnd = random.Random(SEED)
    newest = assert_equal(*nodes)
    while states:
        place = rnd.randrange(len(states))
        n, then = states[place]
        node = rnd.choice(nodes)
        seq = last(node)
        node.retrying(lambda node=node, n=n: undo(node, n))
        try:
            same(assert_equal(*nodes), then)
            if rnd.random() < 0.5:
                node = rnd.choice(nodes)
                node.retrying(lambda node=node, seq=seq: undo(node, seq + 1))
                same(assert_equal(*nodes), newest)
            else:
                newest, states = then, states[:place + 1]
        except AssertionError as e:
            raise AssertionError(f"seed {SEED}, back to {n}: {e}") from None
        states.pop(place)
    # And on.
    run_clients(nodes, world, f"{SEED} on", world.statements + int(300 / SLOW))
    assert_equal(*nodes)


@pytest.mark.limit(600)
def test_a_transaction_in_parts(cluster):
    """Of 200 MB, in bounded memory."""
    total = int(200e6 / SLOW)
    a = cluster.node(args=["--replication-timeout", "60s"])
    b = cluster.node(url=a, args=["--replication-timeout", "60s"])
    a.query("CREATE TABLE big (id INTEGER PRIMARY KEY, v BLOB)")
    then = a.query("SELECT count(*), total(length(v)) FROM big").rows
    n = write(a, BIG, [total // 100000, 100000])
    now = a.query("SELECT count(*), total(length(v)) FROM big").rows
    assert a.query("HISTORY 0").rows[0][5] == total // 100000
    first = a.query("HISTORY 2").rows[0]
    assert first[0] == n  # 2 is one of its parts
    wait_until(lambda: synced(b), 120)
    before = memory_kb(a, "VmRSS")
    forget_peak(a)
    assert undo(a, 2) == total // 100000
    grown = memory_kb(a, "VmHWM") - before
    assert grown < 150 * 1024 * (10 if SLOW > 1 else 1), f"{grown} kB more"
    assert a.query("SELECT count(*), total(length(v)) FROM big").rows == then
    wait_until(lambda: synced(b), CATCH_UP_S * 2)
    b.retrying(lambda: undo(b, 0))
    wait_until(lambda: synced(a), CATCH_UP_S * 2)
    for node in (a, b):
        assert node.query("SELECT count(*), total(length(v)) FROM big").rows == now
