"""Every kind of table, value and DDL that replication promises: what one node does, the other holds.

A case runs statements on node a, then, once b has them, statements on b; both must then hold the same by value and
storage class, and answer the checks alike. A statement is a text, or (text, params).
"""

import struct

import pytest

from ha import HttpError, assert_equal, blob, synced, wait_until

REAL = {"type": "real"}


def real(value):
    return {"type": "real", "value": value}


class Case:
    def __init__(self, a, b=(), checks=None, rowids=True):
        self.a, self.b, self.checks, self.rowids = a, b, checks or {}, rowids


CASES = {
    "integer_pk": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
         "UPDATE t SET v = 'B' WHERE id = 2", "DELETE FROM t WHERE id = 1"],
        ["UPDATE t SET id = 30 WHERE id = 3", "INSERT INTO t(v) VALUES ('next')"],
        {"SELECT * FROM t ORDER BY id": [[2, "B"], [30, "c"], [31, "next"]]}),
    "no_pk": Case(
        ["CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, 'x'), (1, 'x'), (2, NULL), (NULL, NULL)",
         "DELETE FROM t WHERE rowid = 1"],
        ["UPDATE t SET b = 'y' WHERE a = 1", "INSERT INTO t VALUES (1, 'y')", "DELETE FROM t WHERE a IS NULL"],
        {"SELECT a, b FROM t ORDER BY rowid": [[1, "y"], [2, None], [1, "y"]]}),
    "composite_pk": Case(
        ["CREATE TABLE t (a TEXT, b INTEGER, v, PRIMARY KEY (a, b))",
         "INSERT INTO t VALUES ('x', 1, 'x1'), ('x', 2, 'x2'), ('y', 1, 'y1')", "UPDATE t SET b = 7 WHERE v = 'x2'"],
        ["DELETE FROM t WHERE a = 'y'", "UPDATE t SET v = v || '!' WHERE b = 7"],
        {"SELECT * FROM t ORDER BY a, b": [["x", 1, "x1"], ["x", 7, "x2!"]]}),
    "nullable_pk": Case(
        ["CREATE TABLE t (a TEXT PRIMARY KEY, v)", "INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('k', 3), (NULL, 4)",
         "UPDATE t SET v = 20 WHERE v = 2"],
        ["DELETE FROM t WHERE v = 1", "UPDATE t SET a = 'now' WHERE v = 4"],
        {"SELECT a, v FROM t ORDER BY v": [["k", 3], ["now", 4], [None, 20]]}),
    "without_rowid": Case(
        ["CREATE TABLE t (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID",
         ("INSERT INTO t VALUES ('a', ?), ('b', NULL)", [blob(b"\x00\x01")]),
         "CREATE TABLE u (a INT, b INT, c, PRIMARY KEY (b, a)) WITHOUT ROWID",
         "INSERT INTO u VALUES (1, 2, 'x'), (2, 1, 'y')"],
        ["UPDATE t SET k = 'z' WHERE k = 'a'", "DELETE FROM t WHERE k = 'b'",
         "INSERT OR REPLACE INTO u VALUES (1, 2, 'xx')"],
        {"SELECT k, hex(v) FROM t": [["z", "0001"]], "SELECT * FROM u ORDER BY b": [[2, 1, "y"], [1, 2, "xx"]]}),
    "strict": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, i INT, r REAL, s TEXT, b BLOB, x ANY) STRICT",
         ("INSERT INTO t VALUES (1, 5, 5, 'five', ?, '5')", [blob(b"five")])],
        ["INSERT INTO t(i, r, x) VALUES (-9223372036854775808, 1e308, 9223372036854775807)"],
        {"SELECT id, i, typeof(r), typeof(b), typeof(x) FROM t ORDER BY id":
         [[1, 5, "real", "blob", "text"], [2, -9223372036854775808, "real", "null", "integer"]]}),
    "values": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE aff (i INTEGER, r REAL, n NUMERIC, t TEXT, b BLOB)",
         ("INSERT INTO t(v) VALUES (?),(?),(?),(?)", [9223372036854775807, -9223372036854775808, 0, None]),
         ("INSERT INTO t(v) VALUES (?),(?),(?),(?),(?)",
          [real(0.1), real(1.0), real(5e-324), real(1.7976931348623157e308), real(-0.0)]),
         ("INSERT INTO t(v) VALUES (?),(?)", [real("inf"), real("-inf")]),
         ("INSERT INTO t(v) VALUES (?),(?),(?)", ["", blob(b""), blob(bytes(range(256)))]),
         ("INSERT INTO t(v) VALUES (?)", ["a\u0000b \U0001F600 \u05d0\u4e2d \u202e"]),
         "INSERT INTO t(v) VALUES (CAST(x'ff00fe41' AS TEXT)), (CAST(x'c328' AS TEXT))",
         "INSERT INTO aff VALUES ('12', '12', '12', 12, 12), (1.0, 1, 1.0, 1.0, 1.0), ('x', 'x', 'x', 'x', 'x')"],
        ["UPDATE aff SET r = 3 WHERE i = 12", "INSERT INTO t(v) SELECT v FROM t", "UPDATE t SET v = v WHERE id < 5"],
        {"SELECT typeof(v), count(*) FROM t GROUP BY 1 ORDER BY 1":
         [["blob", 4], ["integer", 6], ["null", 2], ["real", 14], ["text", 8]],
         "SELECT typeof(i), typeof(r), typeof(n), typeof(t), typeof(b) FROM aff ORDER BY rowid":
         [["integer", "real", "integer", "text", "integer"], ["integer", "real", "integer", "text", "real"],
          ["text", "text", "text", "text", "text"]]}),
    "generated": Case(
        ["CREATE TABLE t (a INT, v INT GENERATED ALWAYS AS (a * 2) VIRTUAL, id INTEGER PRIMARY KEY,"
         " s TEXT AS (a || '-' || b) STORED, b TEXT)",
         "INSERT INTO t(a, b) VALUES (1, 'x'), (2, 'y')", "CREATE INDEX t_v ON t(v)"],
        ["UPDATE t SET a = 10 WHERE v = 4", "ALTER TABLE t ADD COLUMN w AS (v + 1)",
         "INSERT INTO t(a, b) VALUES (3, 'z')"],
        {"SELECT a, v, id, s, b, w FROM t ORDER BY id":
         [[1, 2, 1, "1-x", "x", 3], [10, 20, 2, "10-y", "y", 21], [3, 6, 3, "3-z", "z", 7]]}),
    "fts5_settings": Case(
        ["CREATE VIRTUAL TABLE f USING fts5(a)", "INSERT INTO f VALUES ('hello')",
         *(f"INSERT INTO f(f, rank) VALUES ('{name}', {value})"
           for name, value in (("pgsz", 64), ("automerge", 4), ("crisismerge", 8)))],
        ["INSERT INTO f VALUES ('hello world')", "DELETE FROM f WHERE rowid = 1",
         "INSERT INTO f(f, rank) VALUES ('usermerge', 3)", "INSERT INTO f(f, rank) VALUES ('rank', 'bm25(10.0)')",
         "INSERT INTO f VALUES ('hello again')", "INSERT INTO f(f) VALUES ('integrity-check')"],
        {"SELECT a FROM f('hello') ORDER BY rowid": [["hello world"], ["hello again"]],
         "SELECT a FROM f('again') ORDER BY rank": [["hello again"]]}),
    "fts5": Case(
        ["CREATE VIRTUAL TABLE docs USING fts5(title, body)",
         "INSERT INTO docs VALUES ('one', 'the quick brown fox'), ('two', 'jumps over the lazy dog')",
         "CREATE TABLE src (id INTEGER PRIMARY KEY, t)", "CREATE VIRTUAL TABLE ext USING fts5(t, content=src, content_rowid=id)",
         "CREATE TRIGGER src_ai AFTER INSERT ON src BEGIN INSERT INTO ext(rowid, t) VALUES (new.id, new.t); END",
         "INSERT INTO src(t) VALUES ('alpha beta'), ('gamma delta')"],
        ["UPDATE docs SET body = 'the slow fox' WHERE title = 'one'", "DELETE FROM docs WHERE title = 'two'",
         "INSERT INTO docs VALUES ('three', 'another fox')", "INSERT INTO src(t) VALUES ('alpha omega')",
         "INSERT INTO docs(docs) VALUES ('optimize')"],
        {"SELECT title FROM docs WHERE docs MATCH 'fox' ORDER BY rowid": [["one"], ["three"]],
         "SELECT title FROM docs WHERE docs MATCH 'lazy'": [],
         "SELECT rowid FROM ext WHERE ext MATCH 'alpha' ORDER BY rowid": [[1], [3]],
         "INSERT INTO docs(docs) VALUES ('integrity-check')": None}),
    "rtree": Case(
        ["CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1, +label)",
         "INSERT INTO r VALUES (1, 0, 10, 0, 10, 'a'), (2, 5, 15, 5, 15, 'b'), (3, 100, 101, 100, 101, 'c')"],
        ["UPDATE r SET x1 = 200, y1 = 200 WHERE id = 2", "DELETE FROM r WHERE id = 1",
         "INSERT INTO r VALUES (4, 6, 7, 6, 7, 'd')"],
        {"SELECT id, label FROM r WHERE x0 <= 6 AND x1 >= 7 ORDER BY id": [[2, "b"], [4, "d"]]}),
    "triggers": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE log (n INTEGER PRIMARY KEY, what, id, v)",
         "CREATE TRIGGER t_ai AFTER INSERT ON t BEGIN INSERT INTO log(what, id, v) VALUES ('ins', new.id, new.v); END",
         "CREATE TRIGGER t_bu BEFORE UPDATE ON t BEGIN INSERT INTO log(what, id, v) VALUES ('upd', old.id, new.v); END",
         "CREATE TRIGGER t_ad AFTER DELETE ON t BEGIN INSERT INTO log(what, id, v) VALUES ('del', old.id, random()); END",
         "INSERT INTO t(v) VALUES (1), (2), (3)"],
        ["UPDATE t SET v = v * 10", "DELETE FROM t WHERE id = 2",
         "CREATE VIEW tv AS SELECT id, v FROM t",
         "CREATE TRIGGER tv_i INSTEAD OF INSERT ON tv BEGIN INSERT INTO t(v) VALUES (new.v + 1000); END",
         "INSERT INTO tv(v) VALUES (1)", "DROP TRIGGER t_ai", "INSERT INTO t(v) VALUES (0)"],
        {"SELECT what, id FROM log ORDER BY n":
         [["ins", 1], ["ins", 2], ["ins", 3], ["upd", 1], ["upd", 2], ["upd", 3], ["del", 2], ["ins", 4]],
         "SELECT id, v FROM t ORDER BY id": [[1, 10], [3, 30], [4, 1001], [5, 0]]}),
    "nondeterministic": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, r INT DEFAULT (random()), at TEXT DEFAULT CURRENT_TIMESTAMP, b BLOB)",
         "INSERT INTO t(b) VALUES (randomblob(32)), (randomblob(8))"],
        ["UPDATE t SET r = random() WHERE id = 1", "INSERT INTO t(at) VALUES (datetime('now'))",
         "CREATE TABLE c AS SELECT random() AS r, randomblob(4) AS b FROM t"],
        {"SELECT count(DISTINCT r) FROM t": [[3]], "SELECT count(*) FROM c": [[3]]}),
    "replace": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT UNIQUE, j TEXT UNIQUE, v)",
         "INSERT INTO t VALUES (1, 'a', 'x', 1), (2, 'b', 'y', 2), (3, 'c', 'z', 3)",
         "REPLACE INTO t VALUES (4, 'a', 'y', 4)"],
        ["INSERT OR REPLACE INTO t(k, j, v) VALUES ('c', 'new', 5)", "UPDATE OR REPLACE t SET k = 'c' WHERE id = 4"],
        {"SELECT * FROM t ORDER BY id": [[4, "c", "y", 4]]}),
    "upsert": Case(
        ["CREATE TABLE t (k TEXT PRIMARY KEY, n INT DEFAULT 1, u TEXT)",
         "INSERT INTO t(k) VALUES ('a'), ('b')",
         "INSERT INTO t(k) VALUES ('a'), ('c') ON CONFLICT(k) DO UPDATE SET n = n + 1, u = excluded.k"],
        ["INSERT INTO t(k) VALUES ('a') ON CONFLICT DO NOTHING", "INSERT OR IGNORE INTO t(k) VALUES ('b'), ('d')",
         "INSERT INTO t(k) VALUES ('a') ON CONFLICT(k) DO UPDATE SET n = n + 10 WHERE n > 1"],
        {"SELECT * FROM t ORDER BY k": [["a", 12, "a"], ["b", 1, None], ["c", 1, None], ["d", 1, None]]}),
    "identifiers": Case(
        ['CREATE TABLE "odd ""table"" name" ("select" INTEGER PRIMARY KEY, "a b" TEXT, [c]d] INT, `e``f`, "\u0434\u0430")'
         .replace("[c]d]", '"c]d"'),
         'INSERT INTO "odd ""table"" name" VALUES (1, \'x\', 2, 3, 4)',
         "CREATE TABLE [order] ([group] TEXT PRIMARY KEY)", "INSERT INTO [order] VALUES ('by')",
         "CREATE TABLE MixedCase (Id INTEGER PRIMARY KEY, V)", "insert into MIXEDCASE(v) values ('up')"],
        ['UPDATE "odd ""table"" name" SET "a b" = \'y\', `e``f` = 30', 'UPDATE mixedCASE SET V = \'down\'',
         'CREATE TABLE "" ("" INTEGER PRIMARY KEY)', 'INSERT INTO "" VALUES (5)',
         "CREATE TABLE \u8868 (\u5217 TEXT)", "INSERT INTO \u8868 VALUES ('\u5024')",
         'CREATE TABLE "a;b--c/*" (x)', 'INSERT INTO "a;b--c/*" VALUES (1)'],
        {'SELECT * FROM "odd ""table"" name"': [[1, "y", 2, 30, 4]], "SELECT * FROM MixedCase": [[1, "down"]],
         "SELECT * FROM \u8868": [["\u5024"]], 'SELECT * FROM ""': [[5]]}),
    "pragmas": Case(
        ["PRAGMA user_version = 42", "CREATE TABLE t (a)"],
        ["PRAGMA application_id = 252006674", "pragma User_Version(43)"],
        {"PRAGMA user_version": [[43]], "PRAGMA application_id": [[252006674]]}),
    "autoincrement": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT UNIQUE)",
         "INSERT INTO t(k) VALUES ('a'), ('b'), ('c')", "DELETE FROM t WHERE id = 3",
         "INSERT INTO t(id, k) VALUES (100, 'big')", "DELETE FROM t WHERE id = 100"],
        ["INSERT INTO t(k) VALUES ('d')", "INSERT OR IGNORE INTO t(k) VALUES ('a')",
         "INSERT INTO t(k) VALUES ('b') ON CONFLICT(k) DO UPDATE SET k = 'bb'", "INSERT INTO t(k) VALUES ('e')"],
        {"SELECT k FROM t WHERE id > 100 ORDER BY id": [["d"], ["e"]],
         "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 't') = max(id) FROM t": [[1]]}),
    "ctas": Case(
        ["CREATE TABLE s (a INTEGER PRIMARY KEY, b REAL, c)", "INSERT INTO s VALUES (1, 1, 'x'), (2, 2.5, NULL)",
         "CREATE TABLE t AS SELECT a, b, c, a + 1 AS d FROM s"],
        ["CREATE TABLE IF NOT EXISTS t AS SELECT 1", "create /* as select */ table u as select * from s where a > 1 -- end",
         "CREATE TABLE v AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i FROM n",
         "INSERT INTO t SELECT 9, 9, 9, 9"],
        {"SELECT * FROM t ORDER BY a": [[1, 1.0, "x", 2], [2, 2.5, None, 3], [9, 9.0, 9, 9]],
         "SELECT count(*), sum(i) FROM v": [[100, 5050]], "SELECT * FROM u": [[2, 2.5, None]]}),
    "alter": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b)", "INSERT INTO t(a, b) VALUES ('x', 1), ('y', 2)",
         "CREATE INDEX t_a ON t(a)", "CREATE VIEW w AS SELECT a, b FROM t",
         "ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'dflt' NOT NULL", "ALTER TABLE t RENAME COLUMN a TO aa",
         "UPDATE t SET b = 20 WHERE id = 2"],
        ["ALTER TABLE t RENAME TO tt", "INSERT INTO tt(aa, b) VALUES ('z', 3)",
         "UPDATE tt SET c = 'set' WHERE id = 1", "ALTER TABLE tt ADD d REAL DEFAULT 7",
         "DROP VIEW w", "DROP INDEX t_a", "ALTER TABLE tt DROP COLUMN aa", "DELETE FROM tt WHERE id = 2",
         "UPDATE tt SET d = 8 WHERE id = 3"],
        {"SELECT * FROM tt ORDER BY id": [[1, 1, "set", 7.0], [3, 3, "dflt", 8.0]]}),
    "ddl_spellings": Case(
        ["  create\n\ttable/**/if not exists T1(A)", "-- a comment\nCREATE TABLE T2(a) ;", "/* lead */ CREATE TABLE t3(a);;",
         'CREATE TABLE main.t4("x;y")', "CREATE TABLE 't5'(a); INSERT INTO t5 VALUES (1); CREATE TABLE t6 AS SELECT * FROM t5;",
         "CREATE UNIQUE INDEX IF NOT EXISTS i1 ON t1(a) WHERE a > 0"],
        ["DROP\nTABLE IF EXISTS t2", "drop table main.t4", "CREATE TABLE IF NOT EXISTS t1(other)", "DROP TABLE IF EXISTS nope",
         "INSERT INTO t1 VALUES (1)", "REINDEX", "ANALYZE",
         "CREATE TABLE t7(a); DROP TABLE t7"],
        {"SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE 'ha\\_%' ESCAPE '\\' ORDER BY 1":
         [["T1"], ["i1"], ["t3"], ["t5"], ["t6"]], "SELECT * FROM t6": [[1]]}),
    "views_indexes": Case(
        ["CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
         "CREATE VIEW v AS SELECT a * 2 AS d FROM t", "CREATE INDEX i ON t(b COLLATE NOCASE DESC)",
         "CREATE INDEX e ON t(a + 1) WHERE b IS NOT NULL"],
        ["DROP VIEW v", "CREATE VIEW v(n) AS SELECT count(*) FROM t", "DROP INDEX i", "CREATE UNIQUE INDEX u ON t(a, b)",
         "INSERT OR IGNORE INTO t VALUES (1, 'x')"],
        {"SELECT n FROM v": [[2]], "SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY 1": [["e"], ["u"]]}),
    "drop_and_create": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)", "INSERT INTO t(a) VALUES (1), (2)", "DROP TABLE t",
         "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, b, c)", "INSERT INTO t(b, c) VALUES (3, 4)"],
        ["DROP TABLE t", "CREATE TABLE t (x TEXT PRIMARY KEY) WITHOUT ROWID", "INSERT INTO t VALUES ('k')"],
        {"SELECT * FROM t": [["k"]]}),
    "delete_all": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE n (v)",
         "INSERT INTO t(v) VALUES (1), (2), (3)", "INSERT INTO n SELECT v FROM t", "DELETE FROM t"],
        ["INSERT INTO t(v) VALUES (4)", "DELETE FROM n", "INSERT INTO n VALUES (5)"],
        {"SELECT * FROM t": [[1, 4]], "SELECT rowid, v FROM n": [[1, 5]]}),
    "wide": Case(
        ["CREATE TABLE t (" + ", ".join(f"c{i}" for i in range(500)) + ")",
         "INSERT INTO t VALUES (" + ", ".join(str(i) for i in range(500)) + ")"],
        ["UPDATE t SET c499 = 'last', c0 = 'first'"],
        {"SELECT c0, c250, c499 FROM t": [["first", 250, "last"]]}),
    "returning": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t(v) VALUES ('a'), ('b') RETURNING id",
         "UPDATE t SET v = upper(v) RETURNING *"],
        ["DELETE FROM t WHERE id = 1 RETURNING v", "WITH x(v) AS (VALUES ('c')) INSERT INTO t(v) SELECT v FROM x"],
        {"SELECT * FROM t ORDER BY id": [[2, "B"], [3, "c"]]}),
    "big_values": Case(
        ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)",
         "INSERT INTO t(v) VALUES (zeroblob(3000000)), (randomblob(1500000)), (hex(randomblob(1000000)))"],
        ["UPDATE t SET v = v || 'tail' WHERE id = 3", "UPDATE t SET v = randomblob(2000000) WHERE id = 1"],
        {"SELECT id, length(v) FROM t ORDER BY id": [[1, 2000000], [2, 1500000], [3, 2000004]]}),
}


def run(node, statements):
    node.script(*statements)


@pytest.mark.parametrize("mode", ("serializable", "lww"))
@pytest.mark.parametrize("name", CASES)
def test_feature(cluster, name, mode):
    case = CASES[name]
    a, b = cluster.nodes(2, consistency=mode)
    run(a, case.a)
    wait_until(lambda: synced(b))
    run(b, case.b)
    assert_equal(a, b, rowids=case.rowids)
    for sql, rows in case.checks.items():
        for n in (a, b):
            got = n.query(sql)
            if rows is not None:
                assert got.rows == rows, f"{n.name}: {sql}"


@pytest.mark.parametrize("identify", ("pk", "rowid", "full"))
def test_row_identification(cluster, identify):
    """Each way of naming a row keeps each kind of table equal."""
    a, b = cluster.nodes(2, args=["--row-identify", identify])
    run(a, ["CREATE TABLE p (id INTEGER PRIMARY KEY, v)", "CREATE TABLE c (a, b, v, PRIMARY KEY (a, b))",
            "CREATE TABLE n (a, b)", "CREATE TABLE w (k PRIMARY KEY, v) WITHOUT ROWID",
            "INSERT INTO p(v) VALUES (1), (2.5), ('x'), (NULL)", "INSERT INTO c VALUES (1, 'a', 1), (NULL, NULL, 2), (NULL, NULL, 3)",
            "INSERT INTO n VALUES (1, 1), (1, 1), (NULL, x'00')", "INSERT INTO w VALUES ('a', 1), ('b', 2)"])
    wait_until(lambda: synced(b))
    run(b, ["UPDATE p SET id = id + 100 WHERE id = 1", "DELETE FROM p WHERE v = 2.5", "UPDATE c SET v = 30 WHERE v = 3",
            "DELETE FROM c WHERE v = 2", "DELETE FROM n WHERE rowid = 2", "UPDATE n SET a = 5 WHERE a IS NULL",
            "UPDATE w SET k = 'c' WHERE k = 'a'", "DELETE FROM w WHERE k = 'b'"])
    d = assert_equal(a, b)
    assert [len(d[f"table {t}"]) for t in "pcnw"] == [3, 2, 2, 1]


def test_foreign_key_cascades(cluster):
    a, b = cluster.nodes(2, args=["--db-params", "_foreign_keys=1"])
    run(a, ["CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT UNIQUE)",
            "CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE g (id INTEGER PRIMARY KEY, c INT REFERENCES c ON DELETE CASCADE)",
            "CREATE TABLE s (k TEXT DEFAULT 'none' REFERENCES p(k) ON DELETE SET NULL ON UPDATE SET NULL)",
            "INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c')", "INSERT INTO c VALUES (10, 1), (20, 2), (30, 3)",
            "INSERT INTO g VALUES (100, 10), (200, 20), (201, 20)", "INSERT INTO s VALUES ('a'), ('b'), ('c')"])
    wait_until(lambda: synced(b))
    run(b, ["DELETE FROM p WHERE id = 2", "UPDATE p SET id = 11 WHERE id = 1", "UPDATE p SET k = 'cc' WHERE k = 'c'"])
    with pytest.raises(HttpError) as refused:
        b.query("INSERT INTO c VALUES (40, 999)")
    assert refused.value.status == 409 and refused.value.sqlstate == "23503"
    assert_equal(a, b)
    for n in (a, b):
        assert n.query("SELECT id, p FROM c ORDER BY id").rows == [[10, 11], [30, 3]]
        assert n.query("SELECT id FROM g").rows == [[100]]
        assert n.query("SELECT k FROM s ORDER BY rowid").rows == [["a"], [None], [None]]
    # Children that a DROP TABLE takes with it travel as rows.
    run(a, ["DROP TABLE g", "DROP TABLE p"])
    assert_equal(a, b)


def test_temp_tables_stay(cluster):
    a, b = cluster.nodes(2)
    run(a, ["CREATE TABLE t (v)"])
    a.batch(["CREATE TEMP TABLE scratch (v)", "INSERT INTO scratch VALUES (1), (2)",
             "INSERT INTO t SELECT v * 10 FROM scratch", "DROP TABLE scratch"])
    d = assert_equal(a, b)
    assert "table scratch" not in d
    assert b.query("SELECT v FROM t ORDER BY v").rows == [[10], [20]]
    with pytest.raises(HttpError):
        b.query("SELECT * FROM scratch")


def test_failed_statement_undoes_its_transaction(cluster):
    a, b = cluster.nodes(2)
    run(a, ["CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL CHECK (v <> 'bad'))", "INSERT INTO t VALUES (1, 'one')"])
    for bad, sqlstate in (("INSERT INTO t VALUES (1, 'again')", "23505"), ("INSERT INTO t VALUES (3, NULL)", "23502"),
                          ("INSERT INTO t VALUES (3, 'bad')", "23514"), ("INSERT INTO nope VALUES (1)", "42P01"),
                          ("INSERT INTO t(nope) VALUES (1)", "42703"), ("INSERT INTO", "42601")):
        with pytest.raises(HttpError) as refused:
            a.batch(["INSERT INTO t VALUES (2, 'two')", bad, "INSERT INTO t VALUES (4, 'four')"])
        assert refused.value.sqlstate == sqlstate, bad
        assert 400 <= refused.value.status < 500
    # Conflict clauses that end more, or less, than their statement.
    with pytest.raises(HttpError):
        a.batch(["INSERT INTO t VALUES (2, 'two')", "INSERT OR ROLLBACK INTO t VALUES (1, 'again')"])
    with pytest.raises(HttpError):
        a.batch(["INSERT INTO t VALUES (2, 'two')", "INSERT OR FAIL INTO t VALUES (5, 'five'), (1, 'again')"])
    a.batch(["INSERT INTO t VALUES (2, 'two')", "INSERT OR IGNORE INTO t VALUES (1, 'again'), (6, 'six')"])
    assert_equal(a, b)
    assert b.query("SELECT * FROM t ORDER BY id").rows == [[1, "one"], [2, "two"], [6, "six"]]


def test_raise_in_triggers(cluster):
    a, b = cluster.nodes(2)
    run(a, ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE log (v)"])
    for action in ("ABORT", "FAIL", "ROLLBACK"):
        run(a, [f"CREATE TRIGGER t_{action} BEFORE INSERT ON t WHEN new.v = '{action}' BEGIN INSERT INTO log VALUES (new.v);"
                f" SELECT RAISE({action}, 'refused by {action}'); END"])
    run(a, ["CREATE TRIGGER t_ign BEFORE INSERT ON t WHEN new.v = 'IGNORE' BEGIN SELECT RAISE(IGNORE); END"])
    for action in ("ABORT", "FAIL", "ROLLBACK"):
        with pytest.raises(HttpError) as refused:
            a.query(f"INSERT INTO t(v) VALUES ('before'), ('{action}'), ('after')")
        assert f"refused by {action}" in str(refused.value)
    run(a, ["INSERT INTO t(v) VALUES ('kept'), ('IGNORE')"])
    assert_equal(a, b)
    assert b.query("SELECT v FROM t").rows == [["kept"]]
    assert b.query("SELECT count(*) FROM log").value == 0


@pytest.mark.parametrize("sql", (
    "ATTACH 'other.db' AS other", "DETACH main", "SELECT load_extension('x')", "VACUUM INTO 'copy.db'",
    "PRAGMA writable_schema = 1", "PRAGMA journal_mode = DELETE", "CREATE TABLE ha_mine (a)", "SELECT \"nope\""),
    ids=lambda s: s.split("'")[0].strip().replace(" ", "_"))
def test_policy(cluster, sql):
    n = cluster.node()
    with pytest.raises(HttpError) as refused:
        n.query(sql)
    assert 400 <= refused.value.status < 500, refused.value
    assert n.query("SELECT 1").value == 1


def test_doubles_are_exact(cluster):
    """Bit patterns from all over the range arrive as they left."""
    a, b = cluster.nodes(2)
    run(a, ["CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, v)"])
    values, state = [], 88172645463325252
    while len(values) < 400:
        state ^= (state << 13) & (2**64 - 1)
        state ^= state >> 7
        state ^= (state << 17) & (2**64 - 1)
        x = struct.unpack("<d", struct.pack("<Q", state))[0]
        if x == x and abs(x) != float("inf"):
            values.append(x)
    values += [1.0, -1.0, 2.0**53, 2.0**53 + 2, 2.0**63, 1e15, 1e16, 123456789012345678.0, 0.1 + 0.2]
    a.batch([("INSERT INTO t(id, r, v) VALUES (?, ?, ?)", [i, real(x), real(x)]) for i, x in enumerate(values)])
    d = assert_equal(a, b)
    got = {row[0]: (row[4], row[6]) for row in d["table t"]}
    for i, x in enumerate(values):
        assert [struct.pack("<d", g) for g in got[i]] == [struct.pack("<d", x)] * 2, x


def test_schema_and_rows_in_one_transaction(cluster):
    a, b = cluster.nodes(2)
    a.batch(["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t(v) VALUES (1), (2)", "ALTER TABLE t ADD COLUMN w DEFAULT 5",
             "UPDATE t SET w = 6 WHERE id = 2", "CREATE INDEX i ON t(w)", "CREATE TABLE u AS SELECT * FROM t", "DELETE FROM t WHERE id = 1",
             "ALTER TABLE u RENAME TO uu", "INSERT INTO uu VALUES (9, 9, 9)"])
    assert_equal(a, b)
    assert b.query("SELECT * FROM t").rows == [[2, 2, 6]]
    assert b.query("SELECT * FROM uu ORDER BY id").rows == [[1, 1, 5], [2, 2, 6], [9, 9, 9]]


def test_node_that_comes_later(cluster):
    """A node that joins, or comes back, replays what it has missed, DDL and rows in their order."""
    a, b = cluster.nodes(2)
    run(a, ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t(v) VALUES (1)", "ALTER TABLE t ADD COLUMN w"])
    wait_until(lambda: synced(b))
    assert b.terminate() == 0
    run(a, ["UPDATE t SET w = 'while away'", "ALTER TABLE t RENAME TO u", "CREATE TABLE t (other)", "INSERT INTO t VALUES (7)",
            "DROP TABLE t"])
    b.start()
    c = cluster.node(url=a)
    assert_equal(a, b, c)
    assert c.query("SELECT * FROM u").rows == [[1, 1, "while away"]]


def test_nodes_of_r3_stream(cluster):
    """Three nodes on three external servers, three replicas."""
    servers = cluster.nats_cluster(3)
    nodes = [cluster.node(url=s, replicas=3) for s in servers]
    nodes[0].query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i, n in enumerate(nodes):
        wait_until(lambda n=n: synced(n))
        n.query("INSERT INTO t(v) VALUES (?)", [i])
    d = assert_equal(*nodes)
    assert len(d["table t"]) == 3
