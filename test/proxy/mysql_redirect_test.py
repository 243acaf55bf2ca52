"""Writes of a database that mirrors a MariaDB run there, whatever protocol brings them; reads are answered here."""

import concurrent.futures
import os
import subprocess

import ha
import pymysql
import pytest
from ha import wait_until
from mysql_source import MariaDb, Source, state, wait_same, wait_state


@pytest.fixture(scope="module")
def server():
    cluster = ha.Cluster()
    yield MariaDb(cluster).start()
    cluster.close()


@pytest.fixture
def source(server):
    s = Source(server)
    s.sql("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(30) UNIQUE, n INT NOT NULL DEFAULT 0, CHECK (n < 100))",
          "CREATE TABLE c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))", "INSERT INTO t(v) VALUES ('one'), ('two')")
    yield s
    s.drop()


def client(node, **options):
    return pymysql.connect(host="127.0.0.1", port=node.mysql_port, user="ha", database="ha", **options)


def test_mysql_clients(cluster, source):
    """In MySQL's own words, with its own errors; what was written can be read at once."""
    a = source.node(cluster, "--proxy-read-your-writes")
    c = client(a, autocommit=True)
    k = c.cursor()
    k.execute("INSERT INTO t SET v = 'it\\'s', n = %s", [3])
    assert k.lastrowid == 3 and k.rowcount == 1
    k.execute("SELECT * FROM t WHERE id = 3")
    assert k.fetchall() == ((3, "it's", 3),)
    k.execute("INSERT INTO t(v) VALUES ('four'), ('five'), ('six')")
    assert (k.lastrowid, k.rowcount) == (4, 3)
    k.execute("INSERT INTO t(v, n) VALUES ('one', 1) ON DUPLICATE KEY UPDATE n = n + VALUES(n)")
    k.execute("UPDATE t SET n = 7 WHERE v IN ('four', 'five')")
    assert k.rowcount == 2
    k.execute("UPDATE t SET n = 7 WHERE v IN ('four', 'five')")
    assert k.rowcount == 2  # found, though they have it already
    k.execute("REPLACE INTO t(id, v) VALUES (6, 'SIX')")
    k.execute("DELETE FROM t WHERE v LIKE 'f%%'")
    k.execute("SELECT id, v, n FROM t ORDER BY id")
    assert k.fetchall() == ((1, "one", 1), (2, "two", 0), (3, "it's", 3), (6, "SIX", 0))
    for sql, number, part in (("INSERT INTO t(v) VALUES ('one')", 1062, "Duplicate entry 'one' for key 'v'"),
                              ("INSERT INTO t(v, n) VALUES ('x', 100)", 4025, "CONSTRAINT"), ("INSERT INTO c VALUES (1, 99)", 1452, "foreign key constraint"),
                              ("INSERT INTO nothing VALUES (1)", 1146, "doesn't exist"), ("UPDATE t SET nothing = 1", 1054, "Unknown column"),
                              ("INSERT INTO t(v) VALUES (repeat('x', 31) + 'y' || md5(", 1064, "")):
        with pytest.raises(pymysql.err.Error) as e:
            k.execute(sql)
        assert e.value.args[0] == number and part in e.value.args[1], e.value
    # A schema statement is the source's, and comes back.
    k.execute("CREATE TABLE made (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, at DATETIME(3) DEFAULT current_timestamp(3), e ENUM('a', 'b'))")
    k.execute("INSERT INTO made(e) VALUES ('b')")
    k.execute("SELECT id, e, length(at) FROM made")
    assert k.fetchall() == ((1, "b", 23),)
    k.execute("TRUNCATE TABLE made")
    k.execute("SELECT count(*) FROM made")
    assert k.fetchone() == (0,)
    wait_same(source, a, ["SELECT * FROM t ORDER BY id", "SELECT * FROM made"])


def test_transactions(cluster, source):
    a = source.node(cluster, "--proxy-read-your-writes")
    one, two = client(a), client(a)
    with one.cursor() as k, two.cursor() as m:
        k.execute("INSERT INTO t(v) VALUES ('in')")
        k.execute("SELECT count(*) FROM t")
        assert k.fetchone() == (3,)  # it reads its own rows, at the source
        m.execute("SELECT count(*) FROM t")
        assert m.fetchone() == (2,)
        two.rollback()
        k.execute("SAVEPOINT s")
        k.execute("DELETE FROM t")
        k.execute("ROLLBACK TO s")
        with pytest.raises(pymysql.err.IntegrityError):
            k.execute("INSERT INTO t(v) VALUES ('one')")
        k.execute("UPDATE t SET n = 5 WHERE v = 'in'")  # the transaction goes on
        one.commit()
        k.execute("SELECT n FROM t WHERE v = 'in'")
        assert k.fetchone() == (5,)
        one.rollback()
        k.execute("DELETE FROM t")
        one.rollback()
        k.execute("SELECT count(*) FROM t")
        assert k.fetchone() == (3,)
        one.rollback()
        # A deadlock is told as such, and the transaction is over.
        k.execute("UPDATE t SET n = n + 1 WHERE id = 1")
        m.execute("UPDATE t SET n = n + 1 WHERE id = 2")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(k.execute, "UPDATE t SET n = n + 1 WHERE id = 2")
            errors = []
            try:
                m.execute("UPDATE t SET n = n + 1 WHERE id = 1")
            except pymysql.err.OperationalError as e:
                errors.append(e.args[0])
            try:
                waiting.result(60)
            except pymysql.err.OperationalError as e:
                errors.append(e.args[0])
            assert errors == [1213]
        one.rollback()
        two.rollback()
        # A client that leaves takes back what it had done.
        k.execute("UPDATE t SET n = 50 WHERE id = 1")
    one.close()
    wait_until(lambda: source.sql("UPDATE t SET n = 60 WHERE id = 1", "SELECT n FROM t WHERE id = 1") == "60", 30, "the row is free")
    wait_same(source, a, "SELECT * FROM t ORDER BY id")


def test_http(cluster, source):
    """SQLite's way to write, for a MySQL."""
    a = source.node(cluster, "--proxy-read-your-writes", "--pg-port", str(ha.free_port()))
    r = a.query('INSERT INTO "t"(v, n) VALUES (:a || :b, :c)', {"a": "ba\\ck", "b": "'s \u00fc", "c": 1})
    assert (r.rows_affected, r.last_insert_id) == (1, 3)
    assert a.query("SELECT v FROM t WHERE id = 3").value == "ba\\ck's \u00fc"
    assert source.rows("SELECT v FROM t WHERE id = 3") == "ba\\\\ck's \u00fc"
    out = a.batch(["UPDATE t SET n = 9", ("INSERT INTO t(v, n) VALUES (?, ?), (?, ?)", ["x", 1, "y", 2]), "SELECT sum(n) FROM t"])
    assert out[0].rows_affected == 3 and out[1].last_insert_id == 5 and out[2].rows[0][0] == 30
    with pytest.raises(ha.HttpError) as e:
        a.batch(["UPDATE t SET n = 1", "INSERT INTO t(v) VALUES ('one')"])
    assert e.value.status == 409 and e.value.sqlstate == "23000" and "Duplicate entry" in e.value.problem["detail"]
    assert a.query("SELECT count(*) FROM t WHERE n = 1").value == 1  # nothing of it
    with pytest.raises(ha.HttpError) as e:
        a.batch(["INSERT INTO t(v) VALUES ('z')", "CREATE TABLE u (id INT)"])
    assert "commits with it" in e.value.problem["detail"]
    a.query("INSERT INTO t(v) VALUES (:b)", {"b": None})
    a.query("UPDATE t SET v = :b WHERE v IS NULL", {"b": "null"})
    assert a.query("SELECT count(*) FROM t WHERE v = 'null'").value == 1
    wait_same(source, a, "SELECT * FROM t ORDER BY id")


def test_psql(cluster, source):
    port = ha.free_port()
    a = source.node(cluster, "--proxy-read-your-writes", "--pg-port", str(port))

    def psql(*sql):
        out = subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "ha", "-At", *[x for s in sql for x in ("-c", s)]], capture_output=True,
                             text=True, env={**os.environ, "PGPASSWORD": "ha"}, check=False)
        return out.stdout.strip(), out.stderr

    assert psql("INSERT INTO t(v) VALUES ('p') RETURNING id")[0] == "3\nINSERT 0 1"
    assert psql("BEGIN", "UPDATE t SET n = 4 WHERE v = 'p'", "SELECT n FROM t WHERE v = 'p'", "COMMIT", "SELECT n FROM t WHERE id = 3")[0].split("\n") == [
        "BEGIN", "UPDATE 1", "4", "COMMIT", "4"]
    assert "Duplicate entry" in psql("INSERT INTO t(v) VALUES ('one')")[1]
    wait_same(source, a, "SELECT * FROM t ORDER BY id")


def test_canceled_and_timed_out(cluster, source):
    """A statement that waits at the source ends there, too."""
    a = source.node(cluster)
    holder = source.connect()
    holder.cursor().execute("UPDATE t SET n = 1 WHERE id = 1")
    c = client(a, autocommit=True)
    k = c.cursor()
    k.execute("SET max_execution_time = 700")
    with pytest.raises(pymysql.err.OperationalError) as e:
        k.execute("UPDATE t SET n = 2 WHERE id = 1")
    assert e.value.args[0] == 3024
    waiting = source.server.sql("SELECT count(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE t SET n = 2%'")
    assert waiting == "0"
    k.execute("SET max_execution_time = 0")
    k.execute("SELECT connection_id()")
    number = k.fetchone()[0]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(k.execute, "UPDATE t SET n = 3 WHERE id = 1")
        wait_until(lambda: source.server.sql("SELECT count(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'UPDATE t SET n = 3%'") == "1")
        client(a).cursor().execute(f"KILL QUERY {number}")
        with pytest.raises(pymysql.err.OperationalError) as e:
            running.result(30)
        assert e.value.args[0] == 1317
    holder.rollback()
    k.execute("UPDATE t SET n = 4 WHERE id = 1")
    wait_same(source, a, "SELECT n FROM t WHERE id = 1")


def test_source_is_away(cluster):
    """Reads go on, writes say that nothing has happened, and go on as soon as there is a source."""
    p = MariaDb(cluster).start()
    s = Source(p)
    s.sql("CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    a = s.node(cluster)
    c = client(a, autocommit=True)
    k = c.cursor()
    k.execute("INSERT INTO t VALUES (2)")
    wait_same(s, a, "SELECT * FROM t ORDER BY id")
    k.execute("BEGIN")
    k.execute("INSERT INTO t VALUES (3)")
    p.terminate(90)
    with pytest.raises(pymysql.err.Error) as e:
        k.execute("INSERT INTO t VALUES (4)")
    assert "connection to the source is lost" in e.value.args[1]
    assert a.query("SELECT count(*) FROM t").value == 2
    with pytest.raises(ha.HttpError) as e:
        a.query("INSERT INTO t VALUES (5)")
    assert e.value.status == 503 and e.value.sqlstate == "57P03" and "cannot be reached" in e.value.problem["detail"]
    p.start()
    a.retrying(lambda: a.query("INSERT INTO t VALUES (6)"))
    wait_same(s, a, "SELECT * FROM t ORDER BY id")
    assert a.query("SELECT group_concat(id) FROM t").value == "1,2,6"


def test_two_nodes_and_no_redirect(cluster, source):
    """A node that does not follow redirects, too, and waits for what it has written; --proxy-disable-redirect keeps writes here."""
    nats = cluster.nats()
    a, b = (source.node(cluster, "--proxy-read-your-writes", url=nats) for _ in range(2))
    for i, n in enumerate([a, b] * 5):
        n.query("INSERT INTO t(v, n) VALUES (:v, :n)", {"v": f"w{i}", "n": i})
        assert n.query("SELECT n FROM t WHERE v = :v", {"v": f"w{i}"}).value == i
    wait_same(source, [a, b], "SELECT * FROM t ORDER BY id")
    c = source.node(cluster, "--proxy-disable-redirect", "--mysql-proxy-id", "4711")
    c.query("INSERT INTO t(v) VALUES ('local')")
    assert source.rows("SELECT count(*) FROM t WHERE v = 'local'") == "0"
    # Without --proxy-read-your-writes a write is answered as soon as it is committed there.
    d = source.node(cluster)
    d.query("INSERT INTO t(v) VALUES ('later')")
    wait_until(lambda: d.query("SELECT count(*) FROM t WHERE v = 'later'").value == 1, what="it comes back")


def test_flags(cluster, server, source):
    """What is wrong is said at the start, or stands in /status."""
    def refused(*args, part):
        node = cluster.node(start=False, args=list(args))
        node.may_die = True
        node.start(wait=False)
        assert node.wait_exit() == 2
        said = node.log().split("\n", 1)[1]  # behind the command line
        assert part in said and "s3cret" not in said, said

    refused("--mysql-proxied", "foo", part="--mysql-proxied")
    refused("--mysql-proxied", "u:s3cret@tcp(host:99999)/db", part="--mysql-proxied")
    refused("--mysql-proxied", source.dsn(), "--mysql-include", "(", part="--mysql-include")
    refused("--mysql-proxied", source.dsn(), "--mysql-exclude", "[", part="--mysql-exclude")
    refused("--mysql-proxied", source.dsn(), "--pg-proxied", "postgres://x/y", part="one source")

    def stopped(*args, part):
        n = cluster.node(args=list(args), wait=False)
        wait_until(lambda: n.http.request("GET", "/livez").status == 200, what="the node is up")
        s = wait_state(n, "stopped", part)
        assert n.terminate() == 0
        return s

    stopped("--mysql-proxied", source.dsn(password="wrong"), part="Access denied")
    stopped("--mysql-proxied", source.dsn(), "--mysql-include", f"^{source.name}", part="lacks tables of the source")
    server.sql("CREATE USER reader IDENTIFIED BY 'r'", f"GRANT SELECT ON {source.name}.* TO reader")
    stopped("--mysql-proxied", source.dsn("reader", "r"), "--mysql-include", f"^{source.name}", "--proxy-use-schema", part="privilege")
    server.sql("GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO reader")
    a = cluster.node(args=["--mysql-proxied", source.dsn("reader", "r"), "--mysql-include", f"^{source.name}", "--proxy-use-schema", "--mysql-port", "0"])
    assert a.query("SELECT count(*) FROM t").value == 2
    with pytest.raises(ha.HttpError) as e:
        a.query("INSERT INTO t(v) VALUES ('x')")
    assert "denied" in e.value.problem["detail"]
    server.sql("DROP USER reader")


def test_which_tables(cluster, source):
    """--mysql-include, --mysql-exclude, --mysql-dump-db, --mysql-dump-include."""
    source.sql("CREATE TABLE secret (id INT PRIMARY KEY)", "INSERT INTO secret VALUES (1)", f"CREATE DATABASE {source.name}_b",
               f"CREATE TABLE {source.name}_b.t (id INT PRIMARY KEY)", f"CREATE TABLE {source.name}_b.u (id INT PRIMARY KEY)",
               f"INSERT INTO {source.name}_b.u VALUES (5)")
    try:
        a = source.node(cluster, "--mysql-exclude", "secret|_b\\.t", include=f"^{source.name}")
        tables = "SELECT group_concat(name) FROM (SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'ha%' AND name NOT LIKE 'sqlite%' ORDER BY 1)"
        assert a.query(tables).value == "c,t,u" and a.query("SELECT id FROM u").value == 5
        n = source.node(cluster, include=f"^{source.name}", wait=False)
        wait_until(lambda: n.http.request("GET", "/livez").status == 200, what="the node is up")
        wait_state(n, "stopped", "same table")
        assert n.terminate() == 0
        # Only that is copied; what comes later is followed all the same.
        b = source.node(cluster, "--mysql-exclude", "_b\\.t", "--mysql-dump-db", source.name, "--mysql-dump-include", "t, c", include=f"^{source.name}")
        assert b.query("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM secret), (SELECT count(*) FROM u)").rows == [[2, 0, 0]]
        source.sql("INSERT INTO secret VALUES (2)", f"INSERT INTO {source.name}_b.u VALUES (6)", f"UPDATE {source.name}_b.u SET id = 7 WHERE id = 5")
        wait_until(lambda: b.query("SELECT (SELECT group_concat(id) FROM secret), (SELECT group_concat(id) FROM u)").rows == [["2", "6,7"]])
        wait_until(lambda: a.query("SELECT group_concat(id) FROM u").value == "6,7")
        assert a.query(tables).value == "c,t,u"
    finally:
        source.sql(f"DROP DATABASE {source.name}_b")
