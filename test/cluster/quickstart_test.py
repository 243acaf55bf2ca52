"""The documented quick start, word for word over HTTP, on one, two and three nodes and in both modes.

The commands are the documentation's own text, run by a shell with curl; only the ports are replaced by free ones.
"""

import json
import os
import re
import sqlite3
import subprocess

import pytest

from ha import assert_equal, synced, wait_until

MODES = ("serializable", "lww")

CREATE_TABLE = """
curl -d '[
  {
    "sql": "CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)"
  }
]' \\
http://localhost:8080
"""

INSERT = """
curl -d '[
  {
    "sql": "INSERT INTO users(name) VALUES(:name)",
    "params": {"name": "HA User"}
  }
]' \\
http://localhost:8080
"""

BIND_PARAMETERS = """
curl -d '{
  "sql": "INSERT INTO users(name) VALUES(:name)",
  "params": {"name": "HA user"}
}' \\
http://localhost:8080/query
"""

ONE_TRANSACTION = """
curl -d '[
  {
    "sql": "INSERT INTO users(name) VALUES(:name)",
    "params": {"name": "new HA user"}
  },
  {
    "sql": "DELETE FROM users WHERE name = :name",
    "params": {"name": "new HA user"}
  },
  {
    "sql": "SELECT * FROM users"
  }
]' \\
http://localhost:8080/query
"""


def shell(node, command):
    """Runs a documented command against a node; answers what curl printed."""
    command = re.sub(r"http://localhost:8080", f"http://localhost:{node.port}", command.strip())
    command = command.replace("curl ", "curl -sS --fail-with-body ", 1)
    p = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                       cwd=node.directory, timeout=60)
    assert p.returncode == 0, f"{command}\n{p.stdout}{p.stderr}"
    return p.stdout


def users(node):
    return node.query("SELECT id, name FROM users ORDER BY id").rows


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", (1, 2, 3))
def test_quick_start(cluster, count, mode):
    nodes = cluster.nodes(count, memory=True, consistency=mode)
    first = nodes[0]

    shell(first, CREATE_TABLE)
    answer = json.loads(shell(first, INSERT))
    assert answer == {"results": [{"columns": ["rows_affected", "last_insert_id"], "rows": [[1, 1]]}]}

    for n in nodes:
        wait_until(lambda n=n: users(n) == [[1, "HA User"]], what=f"the row on {n.name}")

    # Any node takes writes, and all of them show them.
    for i, n in enumerate(nodes):
        wait_until(lambda n=n: synced(n))
        answer = json.loads(shell(n, BIND_PARAMETERS))
        assert answer == {"columns": ["rows_affected", "last_insert_id"], "rows": [[1, 2 + i]]}
    expected = [[1, "HA User"]] + [[2 + i, "HA user"] for i in range(count)]
    for n in nodes:
        wait_until(lambda n=n: users(n) == expected, what=f"all rows on {n.name}")

    last = nodes[-1]
    new = count + 2
    answer = json.loads(shell(last, ONE_TRANSACTION))
    assert answer == {"results": [
        {"columns": ["rows_affected", "last_insert_id"], "rows": [[1, new]]},
        {"columns": ["rows_affected", "last_insert_id"], "rows": [[1, new]]},
        {"columns": ["id", "name"], "rows": expected},
    ]}
    assert_equal(*nodes)


def test_documented_answers(cluster):
    """Section 5 of the documentation prints the answers of a database with two earlier rows."""
    n = cluster.node(memory=True)
    shell(n, CREATE_TABLE)
    n.query("INSERT INTO users(name) VALUES ('a'), ('b')")
    n.query("DELETE FROM users")
    assert json.loads(shell(n, BIND_PARAMETERS)) == {
        "columns": ["rows_affected", "last_insert_id"], "rows": [[1, 3]]}


def test_backup(cluster):
    n = cluster.node()
    shell(n, CREATE_TABLE)
    shell(n, INSERT)
    before = set(os.listdir(n.directory))
    shell(n, "curl -O -J http://localhost:8080/download")
    new = set(os.listdir(n.directory)) - before - {"ha.db-wal", "ha.db-shm"}
    assert len(new) == 1, f"curl -O -J saved {new}"
    with sqlite3.connect(os.path.join(n.directory, new.pop())) as db:
        assert db.execute("SELECT id, name FROM users").fetchall() == [(1, "HA User")]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_openapi_is_served(cluster):
    n = cluster.node(memory=True)
    text = shell(n, "curl http://localhost:8080/openapi.yaml")
    assert text.startswith("openapi: 3.1") or "\nopenapi: 3.1" in text or 'openapi: "3.1' in text
    for path in ("/query", "/databases/{id}", "/download", "/replications", "/healthz"):
        assert f"{path}:" in text, f"{path} is not described"


def test_replications(cluster):
    a, b = cluster.nodes(2, memory=True)
    shell(a, CREATE_TABLE)
    wait_until(lambda: synced(b))

    def names():
        return {r["name"] for r in json.loads(shell(a, "curl http://localhost:8080/replications"))["replications"]}

    wait_until(lambda: {"node1", "node2"} <= names(), what="both nodes among the replications")
    one = json.loads(shell(a, "curl http://localhost:8080/replications/node2"))
    assert "node2" in json.dumps(one)
    assert a.http.request("GET", "/replications/nobody").status == 404
    b.terminate()
    shell(a, "curl -X DELETE http://localhost:8080/replications/node2")
    wait_until(lambda: "node2" not in names(), what="node2 gone from the replications")


def test_load_existing_into_memory(cluster):
    """ha -m mydatabase.db"""
    n = cluster.node(memory=True, files=["mydatabase.db"], start=False)
    path = os.path.join(n.directory, "mydatabase.db")
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)")
        db.execute("INSERT INTO users(name) VALUES ('from the file')")
    db.close()
    n.start()
    assert users(n) == [[1, "from the file"]]
    n.query("INSERT INTO users(name) VALUES ('in memory')")
    assert users(n) == [[1, "from the file"], [2, "in memory"]]
    # The file is only read.
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM users").fetchone() == (1,)
    db.close()


def test_database_on_disk(cluster):
    """ha "file:mydatabase.db" """
    n = cluster.node(files=["file:mydatabase.db"])
    shell(n, CREATE_TABLE)
    shell(n, INSERT)
    n.restart()
    assert users(n) == [[1, "HA User"]]
    assert n.get("/databases").json() == {"databases": ["mydatabase.db"]}


@pytest.mark.parametrize("by_shell", (True, False), ids=("names", "glob"))
def test_several_databases(cluster, by_shell):
    """ha *.db, expanded by the shell or by the program."""
    names = ["a.db", "a_db", "b.db"] if by_shell else ["a.db", "b.db"]
    n = cluster.node(start=False, files=names if by_shell else ["*.db"])
    for i, name in enumerate(names):
        db = sqlite3.connect(os.path.join(n.directory, name))
        with db:
            db.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)")
            db.execute("INSERT INTO users(name) VALUES (?)", (f"user of {i}",))
        db.close()
    n.start()
    assert sorted(n.get("/databases").json()["databases"]) == sorted(names)
    for i, name in enumerate(names):
        assert n.query("SELECT name FROM users", db=name).value == f"user of {i}"
        n.query("INSERT INTO users(name) VALUES ('more')", db=name)
    for name in names:
        assert n.query("SELECT count(*) FROM users", db=name).value == 2


def test_environment_and_config_file(cluster):
    """Flag before environment before file before default."""
    n = cluster.node(start=False, args=["--config", "ha.conf"], env={"HA_CONCURRENT_QUERIES": "7"})
    with open(os.path.join(n.directory, "ha.conf"), "w", encoding="utf-8") as f:
        f.write("# a comment\nname from-file\nconcurrent-queries 3\nreplicas 3\n")
    printed = subprocess.run(n.command() + ["--print-config"], cwd=n.directory, capture_output=True, text=True,
                             env={**os.environ, "HA_CONCURRENT_QUERIES": "7"}, check=True, timeout=60).stdout
    assert re.search(r"^name node1\s+# flag$", printed, re.M), printed
    assert re.search(r"^concurrent-queries 7\s+# environment$", printed, re.M), printed
    assert re.search(r"^replicas 3\s+# file$", printed, re.M), printed
    assert re.search(r"^row-identify pk\s+# default$", printed, re.M), printed


@pytest.mark.parametrize("flag", (["--no-such-flag"], ["-p", "99999"], ["--consistency", "maybe"], ["--leader-addr", "http://x"]),
                         ids=lambda f: f[0].lstrip("-"))
def test_refused_at_start(cluster, flag):
    """What the program does not know or cannot do yet: one clear line, exit status 2."""
    n = cluster.node(start=False, args=flag)
    p = subprocess.run([n.binary, "-n", "x", "--nats-port", "0"] + flag, cwd=n.directory, capture_output=True,
                       text=True, stdin=subprocess.DEVNULL, check=False, timeout=60)
    assert p.returncode == 2, p
    assert len(p.stderr.strip().splitlines()) == 1, p.stderr
