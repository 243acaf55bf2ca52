"""--interceptor: a Lua script decides what becomes of each transaction, the same on every node."""

import json
import os
import random
import signal
import subprocess
import threading

import psycopg2
import pytest

from ha import BINARY, CATCH_UP_S, HttpError, assert_equal, blob, free_port, synced, wait_until
from natsclient import NatsClient

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "interceptors")
SUBJECT = "ha_replication.ha=2Edb"

# Keeps a line of each transaction in the table seen, whether it was applied or not.
COUNTING = """
function after(cs, db, err)
    if err then return err end
    if #cs.changes > 0 and not cs.changes[1].command then
        db:exec("INSERT INTO seen (seq, tx, node, changes) VALUES (?, ?, ?, ?)", cs.seq, cs.tx, cs.node, #cs.changes)
    end
end
"""
SEEN = "CREATE TABLE seen (seq INT, tx INT, node TEXT, changes INT, PRIMARY KEY (seq, tx))"


def example(name):
    return ["--interceptor", os.path.join(EXAMPLES, name)]


def script(cluster, text, name="script.lua"):
    path = os.path.join(cluster.directory, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return ["-i", path]


def database(node):
    return node.status()["databases"][0]


def stopped(*nodes):
    """Waits until the database is stopped on all of them; the reasons."""
    for n in nodes:
        wait_until(lambda n=n: database(n)["state"] == "stopped", CATCH_UP_S, f"{n.name}: stopped")
    return [database(n)["reason"] for n in nodes]


def together(*calls):
    """Runs them at the same time; raises what one of them has raised."""
    failures = []

    def run(call):
        try:
            call()
        except BaseException as e:  # pylint: disable=broad-except
            failures.append(e)

    threads = [threading.Thread(target=run, args=(c,)) for c in calls]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]


def verify(node):
    return node.http.ok("GET", "/verify", timeout_s=60).json()


# ---- the examples ------------------------------------------------------------------------------------------------

BAD_ALTER = json.dumps({"node": "x", "changes": [{"operation": "SQL", "database": "main",
                                                  "command": "ALTER TABLE t ADD COLUMN w INT NOT NULL"}],
                        "timestamp_ns": 1, "id": "x1", "prev": "", "filename": "ha.db",
                        "txs": [{"changes": 1, "timestamp_ns": 1}], "format": 1}).encode()


def test_ignore_alter_table_errors(cluster):
    """An ALTER TABLE that rows of another node do not allow stops the database, unless the script says otherwise."""
    a, b = cluster.nodes(2, consistency="lww")
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'before')")
    assert_equal(a, b)
    with NatsClient(a.nats_port) as nats:
        nats.publish(SUBJECT, BAD_ALTER)
    for reason in stopped(a, b):
        assert "NOT NULL" in reason, reason
    for n in (a, b):
        n.args += example("ignore_alter_table_errors.lua")
        n.consistency = None
    a.restart()
    b.restart()
    b.query("INSERT INTO t VALUES (2, 'after')")
    data = assert_equal(a, b)
    assert len(data["table t"]) == 2
    # Other errors are the script's to return, and it does.
    with NatsClient(a.nats_port) as nats:
        nats.publish(SUBJECT, BAD_ALTER.replace(b"ALTER TABLE t ADD COLUMN w INT NOT NULL", b"CREATE VIEW v AS SELECT")
                     .replace(b"x1", b"x2"))
    assert all("CREATE VIEW" in reason for reason in stopped(a, b))


def test_max_wins(cluster):
    """Nodes write counters at the same time. Whatever the order, at the end each has the highest value written."""
    nodes = cluster.nodes(3, args=example("max_wins.lua"))
    nodes[0].query("CREATE TABLE counters (name TEXT PRIMARY KEY, n)")
    for n in nodes:
        wait_until(lambda n=n: synced(n))
    highest = {}
    lock = threading.Lock()

    def write(node, seed):
        rng = random.Random(seed)
        for _ in range(60):
            name, value = rng.choice("abc"), rng.randrange(100000)
            sql = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = excluded.n"
            node.query(sql, [name, value])
            with lock:
                highest[name] = max(highest.get(name, -1), value)

    together(*(lambda n=n, s=s: write(n, s) for n in nodes for s in (n.port, n.port + 1)))
    assert_equal(*nodes)
    for n in nodes:
        assert dict(n.query("SELECT name, n FROM counters").rows) == highest
    v = verify(nodes[1])
    assert v["equal"] and len(v["nodes"]) == 3, v


def test_skip_table_and_normalise(cluster):
    text = "".join(open(os.path.join(EXAMPLES, n), encoding="utf-8").read().replace("function before", f"function {f}")
                   for n, f in (("skip_table.lua", "skip"), ("normalise.lua", "normal")))
    both = script(cluster, text + "\nfunction before(cs, db) skip(cs, db) normal(cs, db) end\n")
    a, b = cluster.nodes(2, args=both)
    a.script("CREATE TABLE users (id INTEGER PRIMARY KEY, email)", "CREATE TABLE scratch (v)",
             "CREATE TABLE log (node, email)")
    assert a.query("INSERT INTO users VALUES (1, '  Some.One@Example.ORG ')").rows_affected == 1
    assert a.query("INSERT INTO scratch VALUES (1)").rows_affected == 1
    a.batch(["INSERT INTO scratch VALUES (2)", "INSERT INTO users VALUES (2, x'4142')"])
    # Who has written it finds what has become of it, too.
    assert a.query("SELECT email FROM users WHERE id = 1").value == "some.one@example.org"
    assert a.query("SELECT count(*) FROM scratch").value == 0
    wait_until(lambda: synced(b))
    b.query("DELETE FROM users WHERE id = 1")
    data = assert_equal(a, b)
    assert len(data["table users"]) == 1 and len(data["table scratch"]) == 0
    assert a.query("SELECT node, email FROM log").rows == [["node2", "some.one@example.org"]]


# ---- what a script sees ------------------------------------------------------------------------------------------

VALUES = [None, 0, -1, 2**63 - 1, -2**63, 0.5, -0.0, 1e300, 3.0, "", "text", "a\u0000b", "\U0001f600", blob(b""),
          blob(b"\x00\xff"), "x" * 100000]


def test_every_value_passes_through(cluster):
    """Each value is read, assigned anew and written by the script, and is what it was."""
    a, b = cluster.nodes(2, args=script(cluster, """
function before(cs, db)
    for _, c in ipairs(cs.changes) do
        if c.table == "t" and c.operation ~= "DELETE" then
            for name, value in pairs(c.new_values) do
                if math.type(value) == "integer" then
                    c.new_values[name] = value // 1
                elseif type(value) == "string" then
                    c.new_values[name] = value .. ""
                elseif type(value) == "userdata" then
                    c.new_values[name] = blob(tostring(value))
                else
                    c.new_values[name] = value
                end
                if name == "v" then
                    db:exec("INSERT INTO copy VALUES (?, ?)", c.new_values.id, c.new_values[2])
                end
            end
            assert(#c.new_values == 2 and c.columns[2] == "v" and c.pk_columns[1] == "id" and c.database == "main")
            assert(c.new_rowid == c.new_values.ID)
        end
    end
end
"""))
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE copy (id INTEGER PRIMARY KEY, v)")
    for value in VALUES:
        a.query("INSERT INTO t (v) VALUES (?)", [value])
    a.query("INSERT INTO t (v) VALUES (9e999), (-9e999), (CAST(x'ff80' AS TEXT))")
    data = assert_equal(a, b)
    assert len(data["table t"]) == len(VALUES) + 3
    assert a.query("SELECT count(*) FROM t JOIN copy USING (id) WHERE t.v IS copy.v AND typeof(t.v) = typeof(copy.v)"
                   ).value == len(VALUES) + 3
    assert a.query("SELECT typeof(v), hex(v) FROM t ORDER BY id DESC LIMIT 1").rows == [["text", "FF80"]]
    assert a.query("SELECT typeof(v) FROM t WHERE id = 9").value == "real"


def test_each_transaction_once(cluster):
    """However they were grouped: each is seen once, alone, on every node, and nothing that two nodes see differs."""
    nodes = cluster.nodes(2, args=script(cluster, COUNTING))
    nodes[0].script(SEEN, "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v)")
    for n in nodes:
        wait_until(lambda n=n: synced(n))

    def write(node, who):
        for i in range(10):
            node.batch([("INSERT INTO t (v) VALUES (?)", [f"{who}.{i}"]), ("INSERT INTO t (v) VALUES (?)", [i])])

    together(*(lambda k=k: write(nodes[k % 2], k) for k in range(12)))
    assert_equal(*nodes)
    assert nodes[1].query("SELECT count(*), sum(changes), count(DISTINCT node) FROM seen").rows == [[120, 240, 2]]
    assert nodes[1].query("SELECT count(DISTINCT seq) FROM seen").value <= 120


def test_a_script_remembers_nothing(cluster):
    """A variable lives for one transaction, so a node that was started later is not told from one that was not."""
    a, b = cluster.nodes(2, args=script(cluster, """
local calls = 0
total = 0
function before(cs, db)
    calls, total, string.total = calls + 1, total + 1, (string.total or 0) + 1
    for _, c in ipairs(cs.changes) do
        if c.table == "t" then
            c.new_values.calls = calls + total + string.total
        end
    end
end
"""))
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, calls)")
    a.query("INSERT INTO t (id) VALUES (1)")
    b.restart()
    a.query("INSERT INTO t (id) VALUES (2)")
    assert_equal(a, b)
    assert a.query("SELECT DISTINCT calls FROM t").rows == [[3]]


def test_explicit_transactions(cluster):
    """psql's BEGIN … COMMIT: no update of one node's own is lost, and each finds its own result in the next read."""
    port = free_port()
    a, b = cluster.nodes(2, args=script(cluster, COUNTING))
    a.args += ["--pg-port", str(port)]
    a.restart()
    a.script(SEEN, "CREATE TABLE c (id INTEGER PRIMARY KEY, n INT)", "INSERT INTO c VALUES (1, 0)")

    def add():
        with psycopg2.connect(host="127.0.0.1", port=port, user="ha", password="ha", dbname="ha.db") as c:
            for _ in range(20):
                cursor = c.cursor()
                cursor.execute("UPDATE c SET n = n + 1 WHERE id = 1 RETURNING n")
                mine = cursor.fetchone()[0]
                c.commit()
                cursor.execute("SELECT n FROM c WHERE id = 1")
                assert cursor.fetchone()[0] >= mine
                c.commit()

    together(add, add, add, lambda: [a.query("UPDATE c SET n = n + 1") for _ in range(20)])
    assert a.query("SELECT n FROM c").value == 80
    assert_equal(a, b)


REFUSED = ["SELECT random()", "SELECT hex(randomblob(4))", "SELECT datetime('now')", "SELECT date('2020-01-01')",
           "SELECT CURRENT_TIMESTAMP", "INSERT INTO stamped (id) VALUES (1)", "SELECT last_insert_rowid()",
           "PRAGMA user_version", "PRAGMA user_version = 5", "SELECT * FROM pragma_table_info('t')", "BEGIN", "COMMIT",
           "SAVEPOINT x", "ATTACH 'x' AS y", "VACUUM", "CREATE TABLE x (a)", "DROP TABLE t", "CREATE TEMP TABLE x (a)",
           "SELECT * FROM ha_position", "DELETE FROM ha_position", "SELECT * FROM f", "INSERT INTO f VALUES ('x')",
           "SELECT load_extension('x')", "ANALYZE", "SELECT 1; SELECT 2", "", "SELEC", "SELECT * FROM nonesuch",
           "SELECT * FROM sqlite_stat1", "SELECT ?", "INSERT INTO t VALUES (1, 1)"]


def test_what_a_script_may_not_ask(cluster):
    """Each statement fails, the script may catch that, and the transaction goes on."""
    calls = "\n".join(f"try({json.dumps(sql)})" for sql in REFUSED)
    a, b = cluster.nodes(2, args=script(cluster, """
function before(cs, db)
    if cs.changes[1].table ~= "t" then return end
    local n = 0
    local function try(sql)
        local ok, why = pcall(db.query, db, sql)
        assert(not ok and #why > 0, sql)
        n = n + 1
    end
    %s
    assert(db:value("SELECT count(*) FROM t WHERE id = ?", 1) == 1)
    assert(db:value("SELECT v FROM t WHERE id = 99") == nil and #db:query("SELECT 1 WHERE 0") == 0)
    local rows = db:query("SELECT id, v AS what FROM t ORDER BY id")
    assert(#rows == 1 and rows[1].id == 1 and rows[1][2] == 'one' and rows[1].what == 'one')
    assert(db:exec("UPDATE t SET v = 'changed' WHERE id = 1") == 1 and db:exec("DELETE FROM t WHERE id = 77") == 0)
    cs.changes[1].new_values.v = n
end
""" % calls))
    a.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE VIRTUAL TABLE f USING fts5 (body)",
             "CREATE TABLE stamped (id INTEGER, at DEFAULT CURRENT_TIMESTAMP)", "CREATE INDEX t_v ON t (v)", "ANALYZE")
    a.batch(["INSERT INTO stamped VALUES (0, 0)", "INSERT INTO t VALUES (1, 'one')"])
    a.query("INSERT INTO t VALUES (2, 'two')")
    assert_equal(a, b)
    assert a.query("SELECT id, v FROM t ORDER BY id").rows == [[1, "changed"], [2, len(REFUSED)]]


# ---- failures ----------------------------------------------------------------------------------------------------

BROKEN = {
    "error": ("error('no such luck')", "broken.lua:3: no such luck"),
    "nil": ("local x = nil + 1", "broken.lua:3: attempt to perform arithmetic on a nil value"),
    "loop": ("while true do end", "too many steps"),
    "caught loop": ("while true do pcall(function() while true do end end) end", "too many steps"),
    "memory": ("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", "--interceptor-memory"),
    "caught memory": ("pcall(string.rep, 'x', 1 << 40) pcall(string.rep, 'x', 1 << 30) return true",
                      "--interceptor-memory"),
    "endless SQL": ("pcall(db.value, db, 'WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n')",
                    "time limit"),
    "rollback": ("pcall(db.exec, db, 'INSERT OR ROLLBACK INTO t VALUES (1, 1), (1, 1)')", "ended the applier's"),
    "answer": ("return 'yes'", "before() answers a string"),
    "changes": ("cs.changes = {1}", "changes[1] is a number"),
    "column": ("cs.changes[1].new_values.nonesuch = 1", "broken.lua:3: this change of table t has no column nonesuch"),
    "value": ("cs.changes[1].new_values.v = {}", "a table is no SQL value"),
    "finalizer": ("setmetatable({}, {__gc = function() while true do end end})", "there is no __gc"),
    "io": ("io.open('/etc/passwd')", "global 'io'"),
    "require": ("require('os')", "global 'require'"),
    "load": ("load('return 1')", "global 'load'"),
    "chance": ("math.random()", "field 'random'"),
}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_a_script_that_fails(cluster, kind):
    """The database stops before that transaction on every node, says why, and goes on with a better script."""
    body, reason = BROKEN[kind]
    broken = script(cluster, "function before(cs, db)\n  if cs.changes[1].table ~= 't' then return end\n  %s\nend\n" % body,
                    "broken.lua")
    a, b = cluster.nodes(2, args=broken)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    wait_until(lambda: synced(b))
    assert a.query("INSERT INTO t VALUES (1, 'one')").rows_affected == 1  # it is in the log
    for n, why in zip((a, b), stopped(a, b)):
        assert reason in why, why
        assert "message 2" in why
        wait_until(lambda n=n: reason[:20] in n.log().replace('\\"', '"'), what="the log says so, too")
        assert n.query("SELECT count(*) FROM t").value == 0
        with pytest.raises(HttpError):
            n.query("INSERT INTO t VALUES (2, 'two')")
    script(cluster, "function before(cs, db) end\n", "broken.lua")
    for n in (a, b):
        n.restart()
        wait_until(lambda n=n: n.query("SELECT count(*) FROM t").value == 1, CATCH_UP_S)
    b.query("INSERT INTO t VALUES (2, 'two')")
    assert len(assert_equal(a, b)["table t"]) == 2


def test_stopping_while_a_script_loops(cluster):
    """The node's end is not kept waiting by SQL that a script runs."""
    a = cluster.node(args=script(cluster, """
function before(cs, db)
    if cs.changes[1].table == "t" then
        db:value("WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n")
    end
end
"""))
    a.query("CREATE TABLE t (v)")
    with NatsClient(a.nats_port) as nats:
        nats.publish(SUBJECT, b'{"node":"x","changes":[{"operation":"INSERT","table":"t","columns":["v"],"new_rowid":1,'
                              b'"new_values":[1]}],"timestamp_ns":1,"id":"x"}')
    assert a.terminate(deadline_s=8) == 0


BAD_FLAGS = {
    "serializable": (["--consistency", "serializable"], "", "cannot be combined with --consistency serializable"),
    "async": (["--async-replication"], "", "--async-replication"),
    "no log": (["--nats-port", "0"], "", "--interceptor needs replication"),
    "memory": (["--interceptor-memory", "100KiB"], "", "--interceptor-memory is less"),
    "syntax": ([], "function before(cs, db)\n  retrun true\nend", "bad.lua:2:"),
    "runs": ([], "\nlocal x = y.z", "bad.lua:2:"),
    "neither": ([], "function Before(cs, db) end", "defines neither before() nor after()"),
    "no function": ([], "before = 5", "before is a number"),
    "endless": ([], "while true do end", "too many steps"),
    "bytecode": ([], "\x1bLua", "bad.lua"),
}


@pytest.mark.parametrize("kind", sorted(BAD_FLAGS))
def test_bad_flags(tmp_path, kind):
    args, text, reason = BAD_FLAGS[kind]
    path = tmp_path / "bad.lua"
    path.write_text(text or "function before(cs, db) end")
    for more in ([], ["--check-config"]):
        p = subprocess.run([BINARY, "-m", "-p", str(free_port()), "--nats-port", str(free_port()), "-i", str(path), *args,
                            *more], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert p.returncode == 2 or (more == [] and p.returncode != 0), (p.returncode, p.stderr)
        assert reason in p.stderr, p.stderr


def test_no_such_script(tmp_path):
    p = subprocess.run([BINARY, "-m", "--check-config"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                       env={**os.environ, "HA_INTERCEPTOR": str(tmp_path / "nonesuch.lua")})
    assert p.returncode == 2 and "nonesuch.lua" in p.stderr, p.stderr


# ---- nodes that come, go and differ ------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["commit.publish", "apply.begin", "apply.done"])
def test_kill(cluster, point):
    """kill -9 of a node that writes, again and again: each transaction that it was told of is there once."""
    server = cluster.nats()
    args = script(cluster, COUNTING)
    a = cluster.node(url=server, args=args)
    b = cluster.node(url=server, args=args)
    a.script(SEEN, "CREATE TABLE t (id TEXT PRIMARY KEY, v)")
    wait_until(lambda: synced(b))
    told = []
    a.may_die = True
    for life in range(3):
        a.kill9()
        a.env["HA_FAULT"] = f"{point}=kill@{8 + 5 * life}"
        a.start(wait=False)

        def alive(a=a):
            return a.process.poll() is None

        wait_until(lambda: not alive() or a.http.request("GET", "/readyz").status == 200, what="ready, or dead again")
        for i in range(40):
            try:
                a.query("INSERT INTO t VALUES (?, ?)", [f"{life}.{i}", i])
                told.append(f"{life}.{i}")
            except Exception:  # pylint: disable=broad-except
                if not alive():
                    break
        b.query("INSERT INTO t VALUES (?, 'b')", [f"b{life}"])
        told.append(f"b{life}")
        assert a.wait_exit(CATCH_UP_S) == -signal.SIGKILL
    del a.env["HA_FAULT"]
    a.start()
    assert_equal(a, b)
    there = {r[0] for r in b.query("SELECT id FROM t").rows}
    assert set(told) <= there and b.query("SELECT count(*) FROM seen").value == len(there)


def test_three_servers(cluster):
    """The log has three copies, and the server that leads it dies while all nodes write."""
    servers = cluster.nats_cluster(3)
    args = script(cluster, COUNTING)
    nodes = [cluster.node(url=s, replicas=3, args=args, wait=False) for s in servers]
    for n in nodes:
        n.wait_ready()
    nodes[0].script(SEEN, "CREATE TABLE t (id TEXT PRIMARY KEY, v)")
    for n in nodes:
        wait_until(lambda n=n: synced(n))
    told = []

    def write(n):
        for i in range(60):
            try:
                n.retrying(lambda i=i: n.query("INSERT OR IGNORE INTO t VALUES (?, ?)", [f"{n.name}.{i}", i]))
                told.append(f"{n.name}.{i}")
            except HttpError as e:  # of unknown outcome
                assert e.sqlstate == "08007", e

    def kill():
        wait_until(lambda: len(told) > 20)
        with NatsClient(servers[0].port) as nats:
            leads = nats.stream("ha_replication-ha=2Edb")["cluster"]["leader"]
        victim = next(s for s in servers if s.name == leads)
        victim.kill9()
        victim.start()

    together(kill, *(lambda n=n: write(n) for n in nodes))
    assert_equal(*nodes)
    there = {r[0] for r in nodes[1].query("SELECT id FROM t").rows}
    assert set(told) <= there and nodes[2].query("SELECT count(*) FROM seen").value == len(there)
    assert verify(nodes[0])["equal"]


def test_a_leader(cluster):
    """All writes run on one node, and every node's script decides about them."""
    port = free_port()
    args = example("max_wins.lua") + ["--grpc-insecure"]
    a = cluster.node(args=args + ["--leader-addr", f"127.0.0.1:{port}"], port=port)
    b = cluster.node(url=a, args=args + ["--leader-static", f"127.0.0.1:{port}"])
    b.query("CREATE TABLE counters (name TEXT PRIMARY KEY, n)")
    for value in (5, 3, 8, 1):
        b.query("INSERT INTO counters VALUES ('a', ?) ON CONFLICT (name) DO UPDATE SET n = excluded.n", [value])
        a.query("UPDATE counters SET n = ?", [value - 1])
    assert b.query("SELECT n FROM counters").value == 8
    assert_equal(a, b)


def test_joining(cluster):
    """From the log's beginning, from a snapshot, and with a file that is behind: all hold the same."""
    args = script(cluster, COUNTING)
    a = cluster.node(args=args)
    a.script(SEEN, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    late = cluster.node(url=a, args=args)
    wait_until(lambda: synced(late))
    assert late.terminate() == 0
    for i in range(20):
        a.query("INSERT INTO t (v) VALUES (?)", [i])
    a.post("/snapshot", None)
    for i in range(20):
        a.query("INSERT INTO t (v) VALUES (?)", [i])
    replayed = cluster.node(url=a, args=args)
    copied = cluster.node(url=a, args=args + ["--from-latest-snapshot"])
    late.start()
    assert_equal(a, late, replayed, copied)
    assert copied.query("SELECT count(*) FROM seen").value == 40
    v = verify(copied)
    assert v["equal"] and len(v["nodes"]) == 4, v


def test_an_existing_file_is_not_intercepted(cluster):
    """What a file brought into the log is as it was there, on every node; what is written later is intercepted."""
    args = script(cluster, "function before(cs, db) return not cs.changes[1].command end")
    first = cluster.node("file", nats_port=0)
    first.script("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'old')")
    assert first.terminate() == 0
    path = os.path.join(first.directory, "ha.db")
    a = cluster.node(args=args, files=[path])
    b = cluster.node(url=a, args=args)
    a.query("INSERT INTO t VALUES (2, 'new')")
    assert a.query("SELECT v FROM t").rows == [["old"]]
    assert_equal(a, b)


def test_big_transactions(cluster):
    """Larger than a message may be: it passes as a whole. Larger than the script's memory: the limit can be raised."""
    args = script(cluster, COUNTING) + ["--interceptor-memory", "8MiB"]
    a, b = cluster.nodes(2, args=args)
    a.script(SEEN, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    a.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
            " INSERT INTO t SELECT i, hex(zeroblob(500)) FROM n")
    assert_equal(a, b)
    assert a.query("SELECT changes FROM seen").rows == [[3000]]
    a.query("UPDATE t SET v = v || hex(zeroblob(1000))")
    for why in stopped(a, b):
        assert "--interceptor-memory, 8 MiB" in why, why
    for n in (a, b):
        n.args[-1] = "256MiB"
        n.restart()
    assert_equal(a, b)
    assert a.query("SELECT changes FROM seen ORDER BY seq").rows == [[3000], [3000]]


def test_different_scripts_are_told(cluster):
    a, b = cluster.nodes(2, args=script(cluster, "function before(cs, db) end"))
    c = cluster.node(url=a, args=script(cluster, "function before(cs, db) return false end", "other.lua"))
    d = cluster.node(url=a, consistency="lww")
    a.query("CREATE TABLE t (v)")
    assert a.status()["interceptor"]["script"].endswith("script.lua")
    assert a.status()["interceptor"]["digest"] == b.status()["interceptor"]["digest"]
    for n, others in ((a, ["node3", "node4"]), (c, ["node1", "node2", "node4"]), (d, ["node1", "node2", "node3"])):
        def told(n=n, others=others):
            a.query("INSERT INTO t VALUES (1)")  # nodes tell when they have moved
            return sorted(n.status()["interceptor"]["unlike"]) == others
        wait_until(told, CATCH_UP_S, f"{n.name} says who is unlike it")
    assert d.status()["interceptor"]["script"] is None
    assert "another interceptor" in a.log() and "another interceptor" in d.log()
    v = verify(a)
    assert not v["equal"] and v["differences"] == [] and len(v["problems"]) == 2, v
    for n in (c, d):
        n.args = list(a.args)
        n.consistency = None
        n.restart()

    def same():
        c.query("INSERT INTO t VALUES (1)")
        d.query("INSERT INTO t VALUES (1)")
        return all(n.status()["interceptor"]["unlike"] == [] for n in (a, b, c, d))
    wait_until(same, CATCH_UP_S, "all have the same")
    assert verify(a)["equal"]


def test_a_script_that_prints(cluster):
    a = cluster.node(args=script(cluster, "function before(cs, db) print('saw', #cs.changes, cs.changes[1]) end"))
    a.query("CREATE TABLE t (v)")
    a.query("INSERT INTO t VALUES (1)")
    assert "saw 1 INSERT of table t" in a.log()


def test_the_script_is_read_once(cluster):
    """A script is read once, when the node starts."""
    args = script(cluster, "function before(cs, db) end")
    a = cluster.node(args=args)
    a.query("CREATE TABLE t (v)")
    script(cluster, "function before(cs, db) return true end")
    a.query("INSERT INTO t VALUES (1)")
    assert a.query("SELECT count(*) FROM t").value == 1
    a.restart()
    a.query("INSERT INTO t VALUES (1)")
    assert a.query("SELECT count(*) FROM t").value == 1
