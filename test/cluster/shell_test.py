"""`ha -r URL`: the client, at a terminal and in scripts."""

import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from ha import BINARY, SLOW, Http, free_port, wait_until


@pytest.fixture(name="node")
def one_node(cluster):
    return cluster.node(nats_port=0, args=["--create-db-dir", "."])


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith("HA_")}
    env.update({"HA_HISTORY": "", "LC_ALL": "C.UTF-8", "TERM": "xterm", **more})
    return env


def client(*args, text=None, env=None, timeout=60):
    """(exit status, standard output, standard error) of the client."""
    p = subprocess.run([BINARY, *args], input=(text or "").encode(), capture_output=True, env=environment(**(env or {})),
                       timeout=timeout * SLOW)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def run(node, sql, *args):
    """Of statements that are expected to go well."""
    status, out, err = client("-r", node.url, *args, "-c", sql)
    assert (status, err) == (0, ""), (status, out, err)
    return out


# ---- scripts ---------------------------------------------------------------------------------------------------


def test_command_pipe_and_files(node, tmp_path):
    assert run(node, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)") == ""
    status, out, err = client("-r", node.url, text="INSERT INTO t(name)\n  VALUES ('a;b'), -- one;\n ('ü');\n\nSELECT *\nFROM t")
    assert (status, err) == (0, "")
    assert out == " id | name\n----+------\n  1 | a;b\n  2 | ü\n(2 rows)\n"
    one, two = tmp_path / "one.sql", tmp_path / "two.sql"
    one.write_text("/* a comment;\n on two lines */ INSERT INTO t VALUES (3, NULL);\n", "utf-8")
    two.write_text("\ufeff.mode csv\r\nSELECT * FROM t WHERE id > 1;\r\n", "utf-8")
    status, out, err = client("-r", node.url, str(one), str(two))
    assert status == 1 and f"{two}:1: near \".\"" in err, "a byte order mark makes it no command"
    two.write_text(".mode csv\r\nSELECT * FROM t WHERE id > 1;\r\n", "utf-8")
    status, out, err = client("-r", node.url, "-", str(two), text="INSERT INTO t VALUES (4, '');")
    assert (status, err) == (0, "") and out.split() == ["id,name", "2,ü", "3,", '4,""']
    assert client("-r", node.url, "-c", ".read " + str(one))[0] == 1, "it is in there already"
    status, out, err = client("-r", node.url, "/no/such/file")
    assert (status, out) == (2, "") and "/no/such/file" in err


def test_remote_from_the_environment(node):
    assert client("-c", "SELECT 42 AS n", "--mode", "csv", env={"HA_REMOTE": node.url})[:2] == (0, "n\r\n42\r\n")
    status, _, err = client("-c", "SELECT 1")
    assert status == 2 and "--command is for a client" in err


def test_modes_are_exact(node):
    sql = "SELECT 9223372036854775807 AS i, 1.0 AS r, 'a\tb' AS t, x'00ff' AS b, NULL AS n, '' AS e"
    assert json.loads(run(node, sql, "--mode", "json")) == [
        {"i": 2**63 - 1, "r": 1.0, "t": "a\tb", "b": {"type": "blob", "base64": "AP8="}, "n": None, "e": ""}]
    assert run(node, sql, "--mode", "csv") == 'i,r,t,b,n,e\r\n9223372036854775807,1.0,a\tb,AP8=,,""\r\n'
    assert run(node, sql, "--mode", "tabs") == "i\tr\tt\tb\tn\te\n9223372036854775807\t1.0\ta\\tb\tx'00ff'\tNULL\t\n"
    assert "r = 1.0\n" in run(node, sql, "--mode", "line")
    out = run(node, "SELECT 'x' AS a WHERE 0", "--mode", "json") + run(node, "SELECT 1 AS a; SELECT 2 AS a", "--mode", "jsonl")
    assert out == '[]\n{"a":1}\n{"a":2}\n'


def test_errors_have_a_place_and_a_status(node, tmp_path):
    script = tmp_path / "s.sql"
    script.write_text("SELECT 1;\n\nSELECT 'ü',\n  nope\nFROM x;\nSELECT 2;\n", "utf-8")
    node.query("CREATE TABLE x (a UNIQUE)")
    status, out, err = client("-r", node.url, str(script))
    assert status == 1 and " 2\n" not in out, "the first error ends it"
    assert err == f"ha: {script}:4: no such column: nope (42703)\n    nope\n    ^\n"
    status, out, err = client("-r", node.url, text=".bail off\nINSERT INTO x VALUES (1); INSERT INTO x VALUES (1);\nSELECT 'on';")
    assert status == 1 and "on" in out and "stdin:2: UNIQUE constraint failed: x.a (23505)" in err
    for text, message in ((".nothing", "no command .nothing"), (".mode xml", "the modes are"), (".read", "it is .read FILE"),
                          ("SET DATABASE TO none;", "no database \"none\""), ("DROP DATABASE none;", "no database \"none\""),
                          ("SET DATABASE TO ;", "the database's id is missing"), ("COMMIT;", "no transaction is active"),
                          ("SELECT 'a\0';", "NUL byte"), ("SELECT '", "unrecognized token")):
        status, out, err = client("-r", node.url, text=text)
        assert status == 1 and message in err and out == "", (text, status, out, err)
    p = subprocess.run([BINARY, "-r", node.url], input=b"SELECT '\xff';", capture_output=True, env=environment(), timeout=60)
    assert p.returncode == 1 and b"not UTF-8" in p.stderr


def test_databases(node):
    assert run(node, "CREATE DATABASE 'a.db?_foreign_keys=1'; SHOW DATABASES", "--mode", "csv") == "database\r\nha.db\r\na.db\r\n"
    run(node, "SET DATABASE TO a.db; CREATE TABLE only_a (x); INSERT INTO only_a VALUES (5)")
    assert run(node, ".tables", "--database", "a.db") == "only_a\n"
    assert run(node, "set database = a.db;\n.tables\n.schema only\\_a\nunset database;\n.tables") == "only_a\n"
    assert run(node, ".schema", "--database", "a.db") == "CREATE TABLE only_a (x);\n"
    assert run(node, "SET DATABASE TO 'a.db'; PRAGMA foreign_keys", "--mode", "tabs") == "foreign_keys\n1\n"
    assert run(node, "DROP DATABASE a.db; SHOW DATABASES; EXIT; SELECT 'never'", "--mode", "tabs") == "database\nha.db\n"
    status, _, err = client("-r", node.url, "--database", "none", "-c", "SELECT 1")
    assert status == 1 and "no database \"none\"" in err


def test_transactions(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    out = run(node, "BEGIN; INSERT INTO t VALUES (1, 1); SAVEPOINT a; INSERT INTO t VALUES (2, 2); ROLLBACK TO a;"
                    "SELECT count(*) AS n FROM t; COMMIT; BEGIN; DELETE FROM t; ROLLBACK; SELECT id FROM t", "--mode", "csv")
    assert out == "n\r\n1\r\nid\r\n1\r\n"
    # What is open at the end is rolled back, at once.
    run(node, "BEGIN IMMEDIATE; INSERT INTO t VALUES (9, 9)")
    node.query("INSERT INTO t VALUES (3, 3)")
    assert node.query("SELECT group_concat(id) FROM t").value == "1,3"
    # An error leaves the transaction open; the script ends there, and so does it.
    status, _, err = client("-r", node.url, "-c", "BEGIN; INSERT INTO t VALUES (4, 4); INSERT INTO t VALUES (1, 1); COMMIT")
    assert status == 1 and "23505" in err and node.query("SELECT count(*) FROM t WHERE id = 4").value == 0
    status, _, err = client("-r", node.url, text=".bail off\nBEGIN; INSERT INTO t VALUES (4, 4);\nINSERT INTO t VALUES (1, 1);\nCOMMIT;")
    assert status == 1 and node.query("SELECT count(*) FROM t WHERE id = 4").value == 1
    status, _, err = client("-r", node.url, "-c", "BEGIN; SET DATABASE TO ha.db")
    assert status == 1 and "inside a transaction" in err
    # BEGIN IMMEDIATE keeps others from writing in between.
    header = {"HA-Transaction": node.post("/transactions", {"mode": "immediate"}).json()["transaction"]}
    assert node.http.request("POST", "/query?timeout=200ms", {"sql": "DELETE FROM t"}).status != 200
    node.query("ROLLBACK", headers=header)
    assert node.http.request("POST", "/transactions", {"mode": "now"}).status == 400


def test_a_transaction_that_has_lost(cluster):
    a, b = cluster.nodes(2)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    shell = Terminal(a)
    shell.ask("BEGIN; INSERT INTO t VALUES (1, 1);", "ha.db*> ")
    b.retrying(lambda: b.query("INSERT INTO t VALUES (2, 2)"))
    wait_until(lambda: a.query("SELECT count(*) FROM t WHERE id = 2").value == 1)
    assert "(40001)" in shell.ask("INSERT INTO t VALUES (3, 3);", "ha.db!> ")
    shell.ask("ROLLBACK;", "ha.db> ")
    shell.end()
    assert a.query("SELECT group_concat(id) FROM t").value == "2"


def test_token(cluster):
    node = cluster.node(nats_port=0, token="s3cret")
    assert client("-r", node.url, "--token", "s3cret", "-c", "SELECT 1")[0] == 0
    assert client("-r", node.url, "-c", "SELECT 1", env={"HA_TOKEN": "s3cret"})[0] == 0
    status, _, err = client("-r", node.url, "-c", "SELECT 1")
    assert status == 1 and "token" in err


def test_urls(node):
    nobody = f"http://127.0.0.1:{free_port()}"
    status, out, err = client("-r", nobody, "-c", "SELECT 1")
    assert (status, out) == (1, "") and nobody in err
    assert run(node, "SELECT 1 AS a", "-r", f"{nobody}, {node.url}/", "--mode", "csv") == "a\r\n1\r\n"
    for url in ("localhost:8080", "ftp://localhost", f"{node.url},x"):
        status, out, err = client("-r", url, "-c", "SELECT 1")
        assert (status, out) == (2, "") and "not the URL of a node" in err


def limited():
    resource.setrlimit(resource.RLIMIT_DATA, (192 << 20, 192 << 20))


@pytest.mark.limit(600)
@pytest.mark.parametrize("mode", ["table", "csv", "jsonl"])
def test_large_results_are_not_held(node, mode):
    """A gigabyte in rows of a kilobyte, with a client that has no room for a fifth of it."""
    rows = 1_000_000 if SLOW == 1 and mode == "csv" else 250_000
    sql = (f"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {rows})"
           " SELECT x, printf('%01000d', x) AS v FROM c")
    p = subprocess.Popen([BINARY, "-r", node.url, "--mode", mode, "-c", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         env=environment(), preexec_fn=limited if SLOW == 1 else None)
    size = lines = 0
    while data := p.stdout.read(1 << 20):
        size += len(data)
        lines += data.count(b"\n")
    err = p.stderr.read()
    assert (p.wait(60), err) == (0, b"") and size > rows * 1000
    assert lines == rows + {"table": 3, "csv": 1, "jsonl": 0}[mode]


def test_nobody_reads_on(node):
    p = subprocess.Popen([BINARY, "-r", node.url, "-c", "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    p.stdout.read(10000)
    p.stdout.close()
    assert p.wait(30 * SLOW) == 1 and p.stderr.read() == b""


# ---- nodes that go -----------------------------------------------------------------------------------------------


class Breaking:
    """Answers like a node, but never one statement: it reads that whole, and closes the connection."""

    def __init__(self, fatal):
        self.fatal, self.seen = fatal, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                c = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.talk, args=(c,), daemon=True).start()

    def talk(self, c):
        f = c.makefile("rb")
        while line := f.readline():
            length = 0
            while (header := f.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = f.read(length)
            if body:
                self.seen.append(json.loads(body).get("sql"))
            if body and self.fatal in body:
                c.shutdown(socket.SHUT_RDWR)
                break
            text = (b'{"columns":["rows_affected","last_insert_id"],"types":["INTEGER","INTEGER"]}\n[1,1]\n'
                    b'{"returns_rows":false,"rows_affected":1,"last_insert_id":1,"time":0.1}\n')
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        c.close()


def test_a_write_is_never_sent_twice(node):
    """libcurl sends a request again by itself where a connection that it kept turns out to be dead."""
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    broken = Breaking(b"two")
    try:
        status, _, err = client("-r", f"{broken.url},{node.url}", "-c",
                                "INSERT INTO t(v) VALUES ('one'); INSERT INTO t(v) VALUES ('two'); SELECT 1")
    finally:
        broken.listener.close()
    assert status == 1 and "whether the statement took effect is not known" in err and "(08007)" in err
    assert [s.split("'")[1] for s in broken.seen] == ["one", "two"]
    assert node.query("SELECT count(*) FROM t").value == 0


def test_a_killed_node(cluster):
    a, b = cluster.nodes(2)
    c = cluster.node(url=a)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    shell = Terminal(b, urls=f"{b.url},{c.url}")
    shell.ask("INSERT INTO t VALUES (1, 1);", "ha.db> ")
    shell.ask("BEGIN; INSERT INTO t VALUES (2, 2);", "ha.db*> ")
    b.kill9()
    assert "the transaction is lost" in shell.ask("INSERT INTO t VALUES (3, 3);", "ha.db> ")
    out = shell.ask("SELECT group_concat(id) AS ids FROM t;", "ha.db> ")
    assert f"goes on with node {c.name} at {c.url}" in out and re.search(r"^ 1\r?$", out, re.M), out
    shell.end()


def test_a_node_that_comes_back(cluster):
    node = cluster.node()
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    shell = Terminal(node)
    shell.ask("INSERT INTO t VALUES (1, 1);", "ha.db> ")
    node.kill9()
    assert "error: " in shell.ask("INSERT INTO t VALUES (2, 2);", "ha.db> ")
    node.start()
    assert "1 row changed" in shell.ask("INSERT INTO t VALUES (3, 3);", "ha.db> ")
    shell.end()
    assert node.query("SELECT group_concat(id) FROM t").value == "1,3"


# ---- a terminal --------------------------------------------------------------------------------------------------


class Terminal:
    """The client on a terminal of its own, in a session of its own."""

    def __init__(self, node, urls=None, env=None):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(BINARY, [BINARY, "-r", urls or node.url], environment(**(env or {})))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self.greeting = self.read("> ")

    def read(self, until, deadline_s=30):
        """What comes, up to the text that it ends with."""
        out, end = b"", time.monotonic() + deadline_s * SLOW
        while not re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", out).endswith(until.encode()):
            left = end - time.monotonic()
            assert left > 0, f"no {until!r} in {out!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError as e:
                    raise AssertionError(f"it ended after {out!r}") from e
                out += data
        return out.decode("utf-8", "replace")

    def send(self, text):
        os.write(self.fd, text.encode())

    def ask(self, text, prompt):
        self.send(text + "\n")
        return self.read("\n" + prompt)

    def edits(self):
        """The line is being edited: a Ctrl-D that comes before would be eaten by the terminal."""
        return not termios.tcgetattr(self.fd)[3] & termios.ICANON

    def end(self, with_text="\x04", status=0):
        wait_until(self.edits, what="the line is edited")
        self.send(with_text)
        out = b""
        while select.select([self.fd], [], [], 30 * SLOW)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
        else:
            os.kill(self.pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == status
        os.close(self.fd)
        return out.decode("utf-8", "replace")


def test_a_conversation(node, tmp_path):
    node.query("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)")
    history = tmp_path / "history"
    shell = Terminal(node, env={"HA_HISTORY": str(history)})
    assert f"Connected to node {node.name}" in shell.greeting
    assert "1 row changed" in shell.ask("INSERT INTO customers(name) VALUES ('漢字');", "ha.db> ")
    shell.send("SELECT name,\n")
    shell.read("...> ")
    out = shell.ask("  NULL AS n FROM customers;", "ha.db> ")
    assert "\n name | n\r\n------+------\r\n 漢字 | NULL\r\n(1 row)" in out and " ms" in out
    assert "no such table: nope (42P01)" in shell.ask("SELECT * FROM nope;", "ha.db> ")
    # Tab completes tables, columns and commands; the arrow brings back the last line.
    assert "漢字" in shell.ask("SELECT na\t FROM cus\t;", "ha.db> ")
    assert "customers" in shell.ask(".tab\t", "ha.db> ")
    assert "customers" in shell.ask("\x1b[A", "ha.db> ")
    assert ".read FILE" in shell.ask(".help", "ha.db> ").replace("   ", " ").replace("  ", " ")
    # Ctrl-C gives up what is being written.
    shell.send("SELECT 'never\n")
    shell.read("...> ")
    shell.send("x\x03")
    shell.read("ha.db> ")
    assert "(1 row)" in shell.ask("SELECT 'ever';", "ha.db> ")
    shell.ask("CREATE DATABASE b.db; SET DATABASE TO b.db;", "b.db> ")
    shell.ask("UNSET DATABASE;", "ha.db> ")
    shell.end("exit\n")
    assert history.stat().st_mode & 0o777 == 0o600
    shell = Terminal(node, env={"HA_HISTORY": str(history)})
    shell.send("\x1b[A\x1b[A\x1b[A")
    shell.read("CREATE DATABASE b.db; SET DATABASE TO b.db;")
    shell.send("\x03")
    shell.read("ha.db> ")
    shell.end()


def test_ctrl_c_cancels_the_statement(node):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    shell = Terminal(node)
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"
    shell.send(f"{endless} SELECT count(*) FROM c;\n")
    wait_until(lambda: seen_running(node), what="the statement runs")
    shell.send("\x03")
    assert "canceled" in shell.read("ha.db> ")
    wait_until(lambda: not seen_running(node), what="the node has ended it")
    # In a transaction, which goes on.
    shell.ask("BEGIN; INSERT INTO t VALUES (1);", "ha.db*> ")
    shell.send(f"{endless} SELECT count(*) FROM c, t;\n")
    wait_until(lambda: seen_running(node), what="the statement runs")
    shell.send("\x03")
    assert "canceled" in shell.read("ha.db*> ")
    shell.ask("COMMIT;", "ha.db> ")
    assert node.query("SELECT group_concat(id) FROM t").value == "1"
    # A write that is interrupted takes the transaction with it.
    shell.ask("BEGIN; INSERT INTO t VALUES (2);", "ha.db*> ")
    shell.send(f"INSERT INTO t {endless} SELECT x + 10 FROM c;\n")
    wait_until(lambda: seen_running(node), what="the statement runs")
    shell.send("\x03")
    assert "takes its transaction with it" in shell.read("ha.db!> ")
    shell.ask("ROLLBACK;", "ha.db> ")
    assert node.query("SELECT group_concat(id) FROM t").value == "1"
    shell.end()


def seen_running(node):
    """Has the node been busy for a whole tenth of a second?"""

    def ticks():
        with open(f"/proc/{node.pid}/stat", encoding="utf-8") as f:
            return sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13])

    start, before = time.monotonic(), ticks()
    while time.monotonic() - start < 0.1:
        select.select([], [], [], 0.01)
    return ticks() - before >= 3


def test_ctrl_c_ends_a_script(node):
    p = subprocess.Popen([BINARY, "-r", node.url, "-c", "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c; SELECT 2"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    wait_until(lambda: seen_running(node), what="the statement runs")
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30 * SLOW)
    assert p.returncode == 130 and out == b"" and b"canceled" in err


def test_sigterm_leaves_the_terminal_as_it_was(node, tmp_path):
    history = tmp_path / "history"
    shell = Terminal(node, env={"HA_HISTORY": str(history)})
    shell.ask("SELECT 1;", "ha.db> ")
    wait_until(shell.edits, what="the line is edited")
    os.kill(shell.pid, signal.SIGTERM)
    wait_until(lambda: os.waitpid(shell.pid, os.WNOHANG)[0] == shell.pid, what="it ends")
    after = termios.tcgetattr(shell.fd)[3]
    assert after & termios.ECHO and after & termios.ICANON
    assert "SELECT" in history.read_text("utf-8")
    os.close(shell.fd)


# ---- .dump -----------------------------------------------------------------------------------------------------

DUMPED = """
CREATE TABLE "a ""b" (id INTEGER PRIMARY KEY AUTOINCREMENT, v, g AS (v || 'x') STORED, w DEFAULT 5);
CREATE TABLE child (p INTEGER NOT NULL REFERENCES parent (id), PRIMARY KEY (p)) WITHOUT ROWID;
CREATE TABLE parent (id INTEGER PRIMARY KEY, t TEXT);
CREATE TABLE untouched (x);
CREATE VIRTUAL TABLE f USING fts5 (body, title);
CREATE VIRTUAL TABLE r USING rtree (id, x0, x1);
CREATE INDEX by_v ON "a ""b" (v) WHERE v IS NOT NULL;
CREATE VIEW both AS SELECT * FROM parent JOIN child ON p = id;
CREATE TRIGGER tr AFTER INSERT ON parent BEGIN INSERT INTO untouched VALUES (new.id); END;
INSERT INTO "a ""b" (v) VALUES (NULL), (1), (-9223372036854775808), (0.1), (-0.0), (9e999), ('it''s
two lines'), (CAST(x'00ff' AS TEXT)), (x''), (x'00ff'), ('ü');
DELETE FROM "a ""b" WHERE v = 'ü';
INSERT INTO parent VALUES (7, 'seven');
INSERT INTO child VALUES (7);
INSERT INTO f (rowid, body, title) VALUES (70, 'some words', 'one'), (90, 'other words', 'two');
INSERT INTO r VALUES (3, 0.5, 2.5);
PRAGMA user_version = 42;
"""


def test_dump(cluster, tmp_path):
    a = cluster.node(nats_port=0, files=["file:a.db?_foreign_keys=1"])
    b = cluster.node(nats_port=0, files=["file:b.db?_foreign_keys=1"])
    script = tmp_path / "dump.sql"
    run(a, DUMPED)
    text = client("-r", a.url, text=".dump\n")
    assert text[0] == 0 and text[2] == "", text
    script.write_text(text[1], "utf-8")
    status, out, err = client("-r", b.url, str(script))
    assert (status, out, err) == (0, "", "")
    names = ['"a ""b"', "child", "parent", "untouched", "f", "r", "both", "sqlite_sequence"]
    for n in names:
        typed = "*, typeof(v), hex(v)" if n.startswith('"') else "rowid, *" if n == "f" else "*"
        sql = f"SELECT {typed} FROM {n}"
        assert a.query(sql).rows == b.query(sql).rows, n
    for sql in ("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'ha%' ORDER BY name", "PRAGMA user_version",
                "SELECT rowid FROM f WHERE f MATCH 'words' ORDER BY 1", "SELECT id FROM r WHERE x0 < 1"):
        assert a.query(sql).rows == b.query(sql).rows, sql
    # sqlite3 takes it, too; it is the same again; and one table alone is a part of it.
    p = subprocess.run(["sqlite3", str(tmp_path / "copy.db")], input=text[1].encode(), capture_output=True, timeout=60)
    assert p.returncode == 0 and p.stderr == b"", p.stderr
    assert client("-r", b.url, text=".dump\n")[1] == text[1]
    one = client("-r", a.url, text=".dump par%\n")[1]
    assert "seven" in one and "CREATE TRIGGER tr" in one and "child" not in one and "user_version" not in one
    assert client("-r", a.url, text=".dump a b\n")[0] == 1


def test_dump_is_of_one_moment(node):
    """Rows that come while it is read are in it all, or not at all; and it is in a transaction that is open."""
    run(node, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE u (id INTEGER PRIMARY KEY, v)")
    stop = threading.Event()

    def write():
        while not stop.is_set():
            node.batch(["INSERT INTO t (v) VALUES (hex(zeroblob(500)))", "INSERT INTO u (v) VALUES (1)"])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: node.query("SELECT count(*) FROM t").value > 50)
        for _ in range(5):
            status, out, err = client("-r", node.url, text=".dump\n")
            assert (status, err) == (0, "")
            assert out.count('INSERT INTO "t"') == out.count('INSERT INTO "u"') > 50 and out.endswith("COMMIT;\n")
    finally:
        stop.set()
        writer.join()
    status, out, _ = client("-r", node.url, text="BEGIN; DELETE FROM u;\n.dump u\nROLLBACK;\n")
    assert status == 0 and out.count("INSERT") == 0 and "CREATE TABLE u" in out
    node.kill9()
    node.may_die = True
    status, out, err = client("-r", node.url, text=".dump\n")
    assert status == 1 and out == "" and err
