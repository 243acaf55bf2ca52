"""SELECT … /*+ db=<regex> */: one query over several databases of a node, over HTTP and PostgreSQL."""

import itertools
import os
import random
import sqlite3
import subprocess
import threading

import psycopg2
import pytest

from ha import BINARY, HttpError, free_port

SHARDS = ["users_a.db", "users_b.db", "users_c.db"]
TABLE = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, pay REAL, dept TEXT, n INTEGER)"
ROWS = {
    "users_a.db": [(1, "ann", 10.0, "x", 3), (2, "Bob", 20.5, "y", None), (3, "cid", None, "x", 5)],
    "users_b.db": [(1, "ANN", 1.5, "x", 3), (7, "dora", 40.0, "z", 2**53 + 1), (8, None, 7.25, None, -4)],
    "users_c.db": [],
}


@pytest.fixture(name="node")
def one_node(cluster):
    node = cluster.node(nats_port=0, files=["main.db", *SHARDS], args=["--pg-port", str(free_port())])
    fill(node)
    return node


def fill(node):
    for shard in SHARDS:
        node.query(TABLE, db=shard)
        for row in ROWS[shard]:
            node.query("INSERT INTO users VALUES (?, ?, ?, ?, ?)", list(row), db=shard)


def refused(node, sql, params=None, **options):
    with pytest.raises(HttpError) as e:
        node.query(sql, params, **options)
    return e.value.problem


def test_rows_of_all_that_match(node):
    for sql in ("SELECT id, name /*+ db=users_.* */ FROM users", "/*+ db=users_ */ SELECT id, name FROM users",
                "SELECT /*+DB= users_[abc]\\.db */ id, name FROM users; -- the end", "SELECT id, name FROM users /*+ db=^users */"):
        r = node.query(sql)
        assert r.columns == ["id", "name"]
        assert r.rows == [[1, "ann"], [2, "Bob"], [3, "cid"], [1, "ANN"], [7, "dora"], [8, None]]
    assert node.query("/*+ db=_b|_c */ SELECT id FROM users").rows == [[1], [7], [8]]
    assert node.query("/*+ db=users_c */ SELECT id AS x FROM users").columns == ["x"]
    assert node.query("SELECT '/*+ db=users_ */' AS t").value == "/*+ db=users_ */", "that is a text"
    assert node.query("SELECT 1 -- /*+ db=users_ */\n").value == 1, "that is a comment of another kind"
    assert node.query("SELECT 1 /* db=users_ */").value == 1
    assert node.query("SELECT id FROM users /*+ db=self */", db="users_c.db").rows == []
    # Of several statements in a text each has its own.
    results = node.post("/query", {"sql": "/*+ db=users_b */ SELECT id FROM users; SELECT 5 AS five; SELECT count(*) AS n FROM users /*+ db=u */"}).json()
    assert [r["rows"] for r in results["results"]] == [[[1], [7], [8]], [[5]], [[6]]]
    assert node.query("PRAGMA /*+ db=users_a|users_b */ user_version").rows == [[0], [0]]


def test_parameters(node):
    sql = "/*+ db=users_ */ SELECT name, ? AS p FROM users WHERE id >= ? ORDER BY id LIMIT ? OFFSET ?"
    assert node.query(sql, ["x", 2, 2, 1]).rows == [["cid", "x"], ["dora", "x"]]
    sql = "/*+ db=users_ */ SELECT name FROM users WHERE id >= $from ORDER BY id + :none DESC LIMIT :n"
    assert node.query(sql, {"from": 2, "n": 2, ":none": 0}).rows == [[None], ["dora"]]
    assert node.query("SELECT id /*+ db=users_ */ FROM users LIMIT ?", [2.0]).rows == [[1], [2]]
    assert node.query("SELECT id /*+ db=users_ */ FROM users ORDER BY id, pay LIMIT ? OFFSET ?", ["2", 1.0]).rows == [[1], [2]]
    assert node.query("SELECT count(*) /* a comment */, sum(n) /*+ db=users_ */ FROM users").columns[1] == "sum(n)"
    assert refused(node, "SELECT id /*+ db=users_ */ FROM users LIMIT ?", [1.5])["code"] == "MISMATCH"
    assert node.query("/*+ db=users_ */ SELECT ?2 || ?1 FROM users LIMIT 1", ["a", "b"]).value == "ba"
    p = refused(node, "/*+ db=users_ */ SELECT name FROM users WHERE id = ?", [])
    assert p["code"] == "PARAM" and "parameter ?1" in p["detail"]


def test_what_is_refused(node):
    p = refused(node, "/*+ db=.* */ SELECT name FROM users")
    assert p["code"] == "NO_TABLE" and p["detail"] == 'database "main.db": no such table: users'
    p = refused(node, "/*+ db=none */ SELECT 1")
    assert (p["code"], p["status"]) == ("NO_DATABASE", 404) and "matches db=none" in p["detail"]
    assert refused(node, "/*+ db=( */ SELECT 1")["code"] == "PARAM"
    for sql in ("INSERT /*+ db=users_ */ INTO users(id) VALUES (99)", "/*+ db=users_ */ DELETE FROM users RETURNING id",
                "/*+ db=users_ */ WITH x AS (SELECT 1) UPDATE users SET id = id", "CREATE TABLE t (a) /*+ db=users_ */",
                "/*+ db=users_ */ PRAGMA user_version = 5", "/*+ db=users_ */ VACUUM"):
        assert "may not write" in refused(node, sql)["detail"], sql
    for sql in ("SELECT dept || count(*) /*+ db=users_ */ FROM users GROUP BY dept", "SELECT *, count(*) FROM users /*+ db=u */ GROUP BY id",
                "SELECT count(*) FROM users UNION ALL SELECT 1 /*+ db=users_ */",
                "SELECT 1 UNION SELECT 2 UNION ALL SELECT 3 /*+ db=users_ */",
                "SELECT count(*) FROM users /*+ db=users_ */ GROUP BY n HAVING dept > count(*)"):
        assert refused(node, sql)["code"] == "UNSUPPORTED", sql
    p = refused(node, "SELECT nope /*+ db=users_ */ FROM users")
    assert (p["code"], p["offset"]) == ("NO_COLUMN", 7)
    sql = "SELECT id,\n /*+ db=users_ */ ? AS p, :x, nope FROM users"
    p = refused(node, f"SELECT 1; {sql}", {"x": 1})
    assert p["code"] == "NO_COLUMN" and p["offset"] == len("SELECT 1; ") + sql.index("nope"), "where the client has it"
    p = refused(node, "SELECT name /*+ db=users_ */ FROM users WHERE")
    assert p["code"] == "SYNTAX"
    node.query("ALTER TABLE users RENAME COLUMN n TO m", db="users_b.db")
    p = refused(node, "/*+ db=users_ */ SELECT * FROM users")
    assert p["code"] == "MISMATCH" and 'database "users_b.db": column 5 is "m"' in p["detail"]
    node.query("ALTER TABLE users ADD COLUMN more", db="users_b.db")
    assert 'has 6 columns' in refused(node, "/*+ db=users_ */ SELECT * FROM users")["detail"]
    p = refused(node, "/*+ db=users_ */ SELECT n FROM users ORDER BY n")
    assert p["detail"].startswith('database "users_b.db": no such column: n')
    for shard in SHARDS:
        assert node.query("SELECT count(*) FROM users", db=shard).value == len(ROWS[shard])


def test_transactions(node):
    body = [{"sql": "/*+ db=users_ */ SELECT count(*) FROM users"}, {"sql": "SELECT 1"}]
    r = node.http.request("POST", "/query", body)
    assert r.status == 400 and "send it alone" in r.json()["detail"]
    assert node.post("/query", body[:1]).json()["results"][0]["rows"] == [[6]]
    header = {"HA-Transaction": node.post("/transactions", {"database": "users_a.db"}).json()["transaction"]}
    assert node.query("/*+ db=users_ */ SELECT count(*) FROM users", headers=header).value == 6
    # Of its own database a transaction sees what it sees otherwise.
    node.query("DELETE FROM users WHERE id = 1", db="users_a.db")
    node.query("DELETE FROM users WHERE id = 1", db="users_b.db")
    assert node.query("/*+ db=users_ */ SELECT count(*) FROM users", headers=header).value == 5
    node.query("ROLLBACK", headers=header)
    header = {"HA-Transaction": node.post("/transactions", {"database": "users_a.db"}).json()["transaction"]}
    node.query("DELETE FROM users WHERE id = 2", headers=header)
    with pytest.raises(HttpError) as e:
        node.query("/*+ db=users_ */ SELECT count(*) FROM users", headers=header)
    assert "does not see what its transaction has written" in e.value.problem["detail"]
    node.query("ROLLBACK", headers=header)


# ---- as if it were one table -----------------------------------------------------------------------------------

QUERIES = [
    "SELECT count(*), count(n), sum(n), total(n), avg(pay), min(name), max(name), min(pay), max(id) FROM users",
    "SELECT count(*) AS c, dept FROM users GROUP BY dept ORDER BY c DESC, dept",
    "SELECT dept, avg(pay) AS a, count(*) FROM users GROUP BY 1 HAVING count(*) > 1 ORDER BY 1",
    "SELECT count(*) FROM users GROUP BY dept ORDER BY dept DESC",
    "SELECT lower(name) AS l, count(*) AS c FROM users GROUP BY l ORDER BY c DESC, l LIMIT 2",
    "SELECT name, count(*) FROM users GROUP BY name ORDER BY lower(name)",
    "SELECT round(avg(pay), 1) + count(*) * 2 AS x FROM users WHERE id < 8",
    "SELECT sum(pay) / count(*), max(id) - min(id) FROM users",
    "SELECT count(DISTINCT dept), count(DISTINCT name), sum(DISTINCT n) FROM users",
    "SELECT dept, count(DISTINCT name COLLATE BINARY) FROM users GROUP BY dept ORDER BY dept",
    "SELECT group_concat(id, '+' ORDER BY id DESC, pay) FROM users",
    "SELECT count(*) FILTER (WHERE pay > 5), sum(n) FILTER (WHERE n > 0), max(name) FILTER (WHERE id > 1) FROM users",
    "SELECT json_group_array(id ORDER BY id, pay) FROM users",
    "SELECT max(pay), name FROM users",
    "SELECT min(id, n), count(*) FROM users WHERE n = 5 GROUP BY id",
    "SELECT dept FROM users GROUP BY dept HAVING dept > 'x' ORDER BY dept",
    "SELECT sum(n) FROM users GROUP BY dept HAVING dept = 'x'",
    "SELECT count(*) FROM users WHERE 0",
    "SELECT dept, count(*) FROM users WHERE 0 GROUP BY dept",
    "SELECT DISTINCT dept FROM users ORDER BY dept",
    "SELECT DISTINCT lower(name) AS l FROM users ORDER BY l DESC LIMIT 2 OFFSET 1",
    "SELECT DISTINCT count(*) FROM users GROUP BY dept ORDER BY 1",
    "SELECT id, pay FROM users ORDER BY pay",
    "SELECT id, pay FROM users ORDER BY pay DESC NULLS LAST LIMIT 3",
    "SELECT pay FROM users ORDER BY name COLLATE BINARY DESC, id",
    "SELECT pay AS id FROM users ORDER BY id LIMIT -1 OFFSET 2",
    "SELECT u.pay FROM users AS u ORDER BY u.id + 0, u.pay LIMIT 2, 3",
    "SELECT id * 2 AS d FROM users ORDER BY d * -1, pay",
    "SELECT name FROM users WHERE dept IS NOT DISTINCT FROM 'x' ORDER BY pay",
    "SELECT CASE WHEN pay > 5 THEN 'much' ELSE 'little' END AS w, count(*) FROM users GROUP BY w ORDER BY w",
    "WITH big AS (SELECT * FROM users WHERE pay > 5) SELECT count(*), max(name) FROM big",
    "SELECT id FROM users WHERE pay > 15 UNION SELECT n FROM users ORDER BY 1 LIMIT 4",
    "SELECT id, (SELECT 'c') AS c FROM users UNION ALL SELECT n, dept FROM users ORDER BY 1, 2",
    "SELECT count(*) AS \"a \"\"b\"\"\" FROM users ORDER BY \"a \"\"b\"\"\"",
]


def reference(rows):
    db = sqlite3.connect(":memory:")
    db.execute(TABLE.replace("INTEGER PRIMARY KEY", "INTEGER"))
    db.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?)", rows)
    return db


def same(a, b):
    return len(a) == len(b) and all(
        x == y or (isinstance(x, float) and isinstance(y, (int, float)) and abs(x - y) < 1e-9 * max(1, abs(x)))
        or (isinstance(x, str) and isinstance(y, str) and x.lower() == y.lower())  # any of what is equal
        for r, s in zip(a, b) for x, y in itertools.zip_longest(r, s))


@pytest.mark.parametrize("sql", QUERIES)
def test_equals_one_table(shards, sql):
    node, oracle = shards
    head, rest = sql.split(" ", 1)
    got = node.query(f"{head} /*+ db=users_ */ {rest}")
    # What SQLite of this machine is too old for, the node itself answers for one table.
    want = [list(r) for r in oracle(sql)]
    assert same(got.rows, want), (got.rows, want)


@pytest.fixture(name="shards", scope="module")
def shared_shards():
    """One node for all of them: its shards, and a database with all rows in one table."""
    import ha

    with ha.Cluster() as c:
        node = c.node(nats_port=0, files=["main.db", *SHARDS])
        fill(node)
        node.query(TABLE.replace("INTEGER PRIMARY KEY", "INTEGER"))
        for row in itertools.chain(*ROWS.values()):
            node.query("INSERT INTO users VALUES (?, ?, ?, ?, ?)", list(row))
        yield node, lambda sql: node.query(sql).rows


# ---- size ------------------------------------------------------------------------------------------------------


def test_large_results_are_streamed(node):
    """More than fits into any buffer, in pieces; and a client that leaves in the middle holds nothing."""
    rows = 60000
    for shard in SHARDS:
        node.query("DELETE FROM users", db=shard)
        node.query(f"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {rows})"
                   " INSERT INTO users SELECT x, printf('%0100d', x), x, 'd' || (x % 10), x FROM c", db=shard)
    assert len(node.query("/*+ db=users_ */ SELECT id, name FROM users").rows) == 3 * rows
    got = node.query("/*+ db=users_ */ SELECT id, name FROM users ORDER BY id DESC, pay").rows
    assert [r[0] for r in got] == [i for i in range(rows, 0, -1) for _ in range(3)]
    assert node.query("/*+ db=users_ */ SELECT count(*), sum(n) FROM users").rows == [[3 * rows, 3 * rows * (rows + 1) // 2]]
    assert node.query("/*+ db=users_ */ SELECT dept, count(DISTINCT id) FROM users GROUP BY dept ORDER BY 1 LIMIT 1").rows == [["d0", rows // 10]]
    p = subprocess.run([BINARY, "-r", node.url, "--mode", "csv", "-c", "/*+ db=users_ */ SELECT id, name FROM users"], capture_output=True,
                       env={k: v for k, v in os.environ.items() if not k.startswith("HA_")}, timeout=60, check=True)
    assert p.stdout.count(b"\n") == 3 * rows + 1


@pytest.mark.parametrize("sql", ["SELECT id FROM users ORDER BY id DESC", "SELECT id FROM users", "SELECT count(*) FROM users"])
def test_one_connection_for_many(cluster, sql):
    """--concurrent-queries 1: nobody waits for what another one holds."""
    node = cluster.node(nats_port=0, files=["main.db", *SHARDS], args=["--concurrent-queries", "1"])
    fill(node)
    failures = []

    def ask():
        try:
            for _ in range(20):
                node.query(f"/*+ db=users_ */ {sql}")
        except Exception as e:  # pylint: disable=broad-except
            failures.append(e)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_it_can_be_canceled(node):
    p = refused(node, "/*+ db=users_ */ WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
                headers={"HA-Timeout": "200ms"})
    assert p["code"] == "TIMEOUT" and "users_a.db" in p["detail"]
    p = refused(node, "/*+ db=users_ */ WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c ORDER BY x",
                headers={"HA-Timeout": "200ms"})
    assert p["code"] == "TIMEOUT"


def test_a_database_that_goes(cluster):
    """Databases come and go while they are read."""
    node = cluster.node(nats_port=0, files=["main.db"], args=["--create-db-dir", "."])
    stop = threading.Event()
    wrong = []

    def ask():
        while not stop.is_set():
            try:
                node.query("/*+ db=t_ */ SELECT count(*), max(a) FROM t")
            except HttpError as e:
                if e.problem.get("code") not in ("NO_DATABASE", "NO_TABLE", "SHUTDOWN"):
                    wrong.append(e)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for i in range(30):
        node.http.ok("POST", "/databases", {"dsn": f"t_{i}.db"})
        node.query("CREATE TABLE t (a)", db=f"t_{i}.db")
        node.query("INSERT INTO t VALUES (?)", [i], db=f"t_{i}.db")
        if i >= 3:
            node.http.ok("DELETE", f"/databases/t_{i - 3}.db")
    stop.set()
    for t in threads:
        t.join()
    assert not wrong
    assert node.query("/*+ db=t_ */ SELECT count(*), max(a) FROM t").rows == [[3, 29]]


# ---- PostgreSQL ------------------------------------------------------------------------------------------------


def port_of(node):
    return int(node.args[node.args.index("--pg-port") + 1])


def test_psycopg2(node):
    c = psycopg2.connect(host="127.0.0.1", port=port_of(node), user="ha", password="ha", dbname="main.db")
    k = c.cursor()
    k.execute("SELECT id, name, pay /*+ db=users_ */ FROM users WHERE id = %s ORDER BY pay", (1,))
    assert k.fetchall() == [(1, "ANN", 1.5), (1, "ann", 10.0)]
    assert [d[0] for d in k.description] == ["id", "name", "pay"]
    k.execute("/*+ db=users_ */ SELECT count(*), sum(n), dept FROM users GROUP BY dept ORDER BY 1 DESC LIMIT 1")
    assert k.fetchall() == [(3, 11, "x")]
    with pytest.raises(psycopg2.Error) as e:
        k.execute("/*+ db=.* */ SELECT name FROM users")
    assert e.value.pgcode == "42P01" and 'database "main.db"' in str(e.value)
    c.rollback()
    with pytest.raises(psycopg2.Error) as e:
        k.execute("/*+ db=none */ SELECT name FROM users")
    assert e.value.pgcode == "3D000"
    c.rollback()
    with pytest.raises(psycopg2.Error) as e:
        k.execute("/*+ db=users_ */ UPDATE users SET pay = 0")
    assert e.value.pgcode == "0A000"
    c.rollback()
    c.close()


def test_psycopg3(node):
    """Described before it runs, where the default database has no such table; in text and binary."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(host="127.0.0.1", port=port_of(node), user="ha", password="ha", dbname="main.db", autocommit=True) as c:
        for binary in (False, True):
            got = c.execute("SELECT id, name, pay /*+ db=users_ */ FROM users WHERE id >= %s ORDER BY pay LIMIT %s", (1, 3), binary=binary).fetchall()
            assert got == [(3, "cid", None), (1, "ANN", 1.5), (8, None, 7.25)] or got[-2:] == [(8, None, 7.25), (1, "ann", 10.0)], got
            assert c.execute("/*+ db=users_ */ SELECT sum(n), count(*) FROM users", binary=binary).fetchall() == [(2**53 + 8, 6)]


def test_mysql(cluster):
    """PyMySQL, and the client, which throws comments away unless it is told not to."""
    pymysql = pytest.importorskip("pymysql")
    port = free_port()
    node = cluster.node(nats_port=0, files=["main.db", *SHARDS], args=["--mysql-port", str(port), "--mysql-pass", "ha"])
    fill(node)
    c = pymysql.connect(host="127.0.0.1", port=port, user="ha", password="ha")
    with c.cursor() as k:
        k.execute("SELECT id, name /*+ db=users_ */ FROM users WHERE id >= %s ORDER BY id DESC, pay LIMIT %s", (1, 3))
        assert k.fetchall() == ((8, None), (7, "dora"), (3, "cid"))
        k.execute("SELECT dept, count(*), group_concat(id) /*+ db=users_ */ FROM users GROUP BY dept ORDER BY dept DESC LIMIT 1")
        assert k.fetchall() == (("z", 1, "7"),)
        with pytest.raises(pymysql.Error) as e:
            k.execute("DELETE /*+ db=users_ */ FROM users")
        assert e.value.args[0] == 1235
    c.close()
    out = subprocess.run(["mysql", "--comments", "-h", "127.0.0.1", "-P", str(port), "-uha", "-pha", "--skip-ssl", "-N", "-e",
                          "SELECT count(*), sum(pay) /*+ db=users_ */ FROM users"], capture_output=True, text=True, timeout=60, check=True)
    assert out.stdout == "6\t79.25\n"


def test_psql(node):
    env = {**os.environ, "PGPASSWORD": "ha"}
    p = subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(port_of(node)), "-U", "ha", "-d", "main.db", "-At",
                        "-c", "SELECT id, name /*+ db=users_ */ FROM users ORDER BY id, pay",
                        "-c", "/*+ db=users_ */ SELECT count(*), sum(pay), avg(n) FROM users"],
                       capture_output=True, text=True, env=env, timeout=60, check=True)
    assert p.stdout.splitlines()[:6] == ["1|ANN", "1|ann", "2|Bob", "3|cid", "7|dora", "8|"]
    assert p.stdout.splitlines()[6].startswith("6|79.25|")


def test_random_queries_equal_one_table(shards):
    """Clauses put together at random."""
    node, oracle = shards
    rng = random.Random(7)
    columns = ["id", "name", "pay", "dept", "n"]
    for _ in range(150):
        where = rng.choice(["", "", " WHERE id > 1", " WHERE pay IS NOT NULL", " WHERE dept = 'x' OR n < 4"])
        keys = rng.sample(columns, rng.randint(0, 2))
        if rng.random() < 0.6:
            parts = [rng.choice(["count(*)", "count(n)", "sum(n)", "total(pay)", "avg(pay)", "min(pay)", "max(pay)", "max(id) - min(id)",
                                 "count(DISTINCT dept)", "round(avg(n), 2)", "sum(pay) FILTER (WHERE id < 7)"])
                     for _ in range(rng.randint(1, 3))]
            width = len(keys) + len(parts)
            items = keys + [f"{p} AS a{i}" for i, p in enumerate(parts)]
            sql = f"SELECT {', '.join(items)} FROM users{where}"
            if keys:
                sql += f" GROUP BY {', '.join(keys)}" + rng.choice(["", " HAVING count(*) > 1", " HAVING a0 IS NOT NULL"])
        else:
            keys = keys or ["id"]
            width = len(keys)
            sql = f"SELECT {rng.choice(['', 'DISTINCT '])}{', '.join(keys)} FROM users{where}"
        order = [f"{i + 1}{rng.choice(['', ' DESC', ' NULLS LAST'])}" for i in range(width)]
        sql += f" ORDER BY {', '.join(order)}" + rng.choice(["", " LIMIT 3", " LIMIT 2 OFFSET 1"])
        got, want = node.query(f"/*+ db=users_ */ {sql}").rows, oracle(sql)
        assert same(got, want), (sql, got, want)
