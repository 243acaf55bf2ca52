"""`ha diff`: what a file that was kept aside has and the live one lacks, as SQL that brings it back."""

import json
import os
import sqlite3
import subprocess

from ha import BINARY, assert_equal, wait_until
from join_test import aside_files, copy_store, db_status, restore_store
from backup_test import ha, refused


def make(path, *statements):
    db = sqlite3.connect(path)
    for s in statements:
        db.execute(s)
    db.commit()
    db.close()
    return str(path)


def diff(kept, live):
    """(lines to run, lines to read, summary)"""
    status, out, err = ha("diff", kept, live)
    assert status == 0 and err.count("\n") == 1, (status, out, err)
    lines = out.splitlines()
    return [s for s in lines if not s.startswith("--")], [s for s in lines if s.startswith("--")], err


def run(path, lines):
    db = sqlite3.connect(path)
    db.executescript("BEGIN;" + "\n".join(lines) + "COMMIT")
    db.close()


SCHEMA = ["CREATE TABLE t (id INTEGER PRIMARY KEY, v, w TEXT COLLATE NOCASE, g AS (v || 'x'))",
          'CREATE TABLE "odd "" name" (a TEXT, "b c" INT, d, PRIMARY KEY ("b c", a)) WITHOUT ROWID',
          "CREATE TABLE keyless (v)", "CREATE TABLE ha_own (v)"]


def test_every_value(tmp_path):
    """All that only the kept file has comes back as it was; the rest is for a person to read."""
    kept = make(tmp_path / "kept.db", *SCHEMA, "INSERT INTO ha_own VALUES (1)",
                "INSERT INTO t (id, v) VALUES (1, 1), (2, 2.0), (3, 1e300), (4, 'it''s'), (5, x'00ff'), (6, NULL), (7, 9e999),"
                " (8, 0.1), (9, 9223372036854775807), (10, ''), (11, x'')",
                "INSERT INTO t (id, v) VALUES (12, CAST(x'610062' AS TEXT)), (13, 'two' || char(10) || 'lines; -- '),"
                " (14, CAST(x'ff' AS TEXT)), (15, 'ü')",
                """INSERT INTO "odd "" name" VALUES ('x', 1, 'only kept'), ('x', 2, 'both')""",
                "INSERT INTO keyless VALUES (1), (1), ('1'), (1.0)",
                "CREATE TABLE fresh (k TEXT PRIMARY KEY)", "INSERT INTO fresh VALUES ('one')", "CREATE INDEX by_v ON t (v)",
                "CREATE TRIGGER tr AFTER INSERT ON fresh BEGIN SELECT 1; END", "CREATE VIRTUAL TABLE words USING fts4(body)")
    live = make(tmp_path / "live.db", *SCHEMA, """INSERT INTO "odd "" name" VALUES ('x', 2, 'both')""",
                "INSERT INTO keyless VALUES (1)")
    before = [open(f, "rb").read() for f in (kept, live)]
    statements, remarks, summary = diff(kept, live)
    assert [open(f, "rb").read() for f in (kept, live)] == before
    assert remarks == ['-- not compared: table "words", which is virtual']
    # Rows without a key count once: '1' and 1.0 were lacking.
    assert summary.startswith(f"ha diff: 19 rows only in {kept}, 0 with other values, 0 only in {live}; 4 tables"), summary
    run(live, [s for s in statements if "VIRTUAL" not in s])
    for table, columns in (("t", "id, typeof(v), quote(v), hex(v), w, g"), ('"odd "" name"', '*'), ("fresh", "*")):
        rows = []
        for file in (kept, live):
            db = sqlite3.connect(file)
            db.text_factory = bytes
            rows.append(db.execute(f"SELECT {columns} FROM {table}").fetchall())
            db.close()
        assert rows[0] == rows[1], table
    statements, _, summary = diff(kept, live)
    assert "ha diff: 0 rows" in summary and [s for s in statements if "INSERT" in s] == [], summary


def test_what_only_a_person_can_judge(tmp_path):
    kept = make(tmp_path / "kept.db", *SCHEMA, "INSERT INTO t (id, v, w) VALUES (1, 'same', 'a'), (2, 'lost', 'a'), (3, 1, 'a')",
                "INSERT INTO keyless VALUES ('gone')")
    live = make(tmp_path / "live.db", *SCHEMA, "INSERT INTO t (id, v, w) VALUES (1, 'same', 'a'), (2, 'newer', 'A'), (3, 1.0, 'a'),"
                " (4, 'new', 'b')", "INSERT INTO keyless VALUES ('came' || char(10) || 'DROP TABLE t;')")
    statements, remarks, summary = diff(kept, live)
    assert statements == ["INSERT INTO \"keyless\" (\"v\") VALUES ('gone');"]
    assert remarks == ["-- UPDATE \"t\" SET \"v\" = 'lost', \"w\" = 'a' WHERE \"id\" IS 2; -- now \"v\" is 'newer' \"w\" is 'A'",
                       '-- UPDATE "t" SET "v" = 1 WHERE "id" IS 3; -- now "v" is 1.0',
                       '-- DELETE FROM "t" WHERE "id" IS 4;',
                       "-- DELETE FROM \"keyless\" WHERE \"v\" IS CAST(x'63616d650a44524f50205441424c4520743b' AS TEXT);"]
    assert "1 rows only in" in summary and "2 with other values, 2 only in" in summary
    run(live, [s.removeprefix("-- ") for s in remarks] + statements)
    assert diff(kept, live)[:2] == ([], [])


def test_a_key_with_a_collation_of_its_own(tmp_path):
    """Rows are those that the key's index tells apart, also where the column would not, or would."""
    schema = ["CREATE TABLE t (v, a TEXT COLLATE NOCASE, PRIMARY KEY (a COLLATE BINARY, a))",
              "CREATE TABLE u (a TEXT, v, PRIMARY KEY (a COLLATE NOCASE))"]
    kept = make(tmp_path / "kept.db", *schema, "INSERT INTO t (a, v) VALUES ('a', 1), ('A', 2), ('b', 3)",
                "INSERT INTO u VALUES ('a', 1)")
    live = make(tmp_path / "live.db", *schema, "INSERT INTO t (a, v) VALUES ('a', 1), ('A', 9), ('B', 3)",
                "INSERT INTO u VALUES ('A', 1)")
    statements, remarks, _ = diff(kept, live)
    assert statements == ["INSERT INTO \"t\" (\"v\", \"a\") VALUES (3, 'b');"]
    t = "\"a\" IS '%s' COLLATE \"BINARY\" AND \"a\" IS '%s'"
    assert remarks == ["-- UPDATE \"t\" SET \"v\" = 2 WHERE " + t % ("A", "A") + "; -- now \"v\" is 9",
                       "-- DELETE FROM \"t\" WHERE " + t % ("B", "B") + ";",
                       "-- UPDATE \"u\" SET \"a\" = 'a' WHERE \"a\" IS 'A' COLLATE \"NOCASE\"; -- now \"a\" is 'A'"]
    run(live, [s.removeprefix("-- ") for s in remarks] + statements)
    assert diff(kept, live)[:2] == ([], [])


def test_other_columns(tmp_path):
    kept = make(tmp_path / "kept.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 2)")
    live = make(tmp_path / "live.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v, more)")
    assert diff(kept, live)[:2] == ([], ['-- not compared: table "t", which has other columns in each file'])
    refused("is not there", "diff", kept, tmp_path / "none.db")
    refused("file name is missing", "diff", kept)
    (tmp_path / "bad.db").write_bytes(b"no database at all, but longer than a header would be" * 20)
    status, out, err = ha("diff", tmp_path / "bad.db", live)
    assert status == 1 and err.count("\n") == 1 and out == "", (status, out, err)


def test_a_log_that_lost_its_end(cluster):
    """Both nodes had what the log has lost; both go back to the log. What docs/operations.md says brings it back."""
    server = cluster.nats()
    a, b = (cluster.node(url=server) for _ in range(2))
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    a.query("INSERT INTO t (v) VALUES ('kept'), ('changed later')")
    wait_until(lambda: len(a.get("/replications").json()["replications"]) == 2)
    assert_equal(a, b)
    server.terminate()
    copy_store(server, "early")
    server.start()
    for node in (a, b):
        node.wait_ready()
    a.query("INSERT INTO t (v) VALUES ('lost'), ('it''s lost, too')")
    a.query("UPDATE t SET v = 'changed' WHERE id = 2")
    assert_equal(a, b)
    server.terminate()
    restore_store(server, "early")
    server.start()
    for node in (a, b):
        wait_until(lambda node=node: db_status(node)["divergences"] == 1)
        node.wait_ready()
    (line,) = [s for s in b.log().splitlines() if "kept aside" in s]
    assert "ha diff FILE LIVE" in line, line
    b.query("INSERT INTO t (id, v) VALUES (100, 'went on')")
    (kept,) = aside_files(b)
    script = f"""set -e
        {BINARY} diff {kept} {os.path.join(b.directory, "ha.db")} > lost.sql
        sed -i 's/^-- UPDATE/UPDATE/' lost.sql   # what the person decided
        jq -Rs '{{sql: ("BEGIN;" + . + "COMMIT")}}' lost.sql | curl -sS -f -d @- {a.url}"""
    p = subprocess.run(["sh", "-c", script], cwd=b.directory, capture_output=True, text=True)
    assert p.returncode == 0 and json.loads(p.stdout), (p.stdout, p.stderr)
    assert_equal(a, b)
    assert a.query("SELECT id, v FROM t ORDER BY id").rows == [
        [1, "kept"], [2, "changed"], [3, "lost"], [4, "it's lost, too"], [100, "went on"]]
