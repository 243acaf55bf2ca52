"""Databases that come and go over HTTP reach every node, also one that was away; names that look alike stay apart."""

import os
from urllib.parse import quote

import pytest

from ha import CATCH_UP_S, HttpError, assert_equal, synced, wait_until

NAMES = ["a.db", "a_db", "a=db", "a-db", "A.db", "a..db", "a b.db", "\u0434\u0430\u043d\u043d\u044b\u0435.db", "\u8868.db", "x*y.db", "x>y.db", "semi;colon", "100%.db", "=2E",
         "q'uote.db", "n" * 200, "n" * 199 + "m", "\u00e9" * 100]


def databases(node):
    return set(node.get("/databases").json()["databases"])


def has(node, *names):
    wait_until(lambda: set(names) <= databases(node), CATCH_UP_S, f"{node.name} has {names}")


def lacks(node, *names):
    wait_until(lambda: not set(names) & databases(node), CATCH_UP_S, f"{node.name} has no {names}")


def create(node, name):
    return node.post("/databases", {"dsn": name})


def drop(node, name):
    return node.http.ok("DELETE", f"/databases/{quote(name, safe='')}")


def same(nodes, name):
    return assert_equal(*nodes, db=name)


def start(cluster, count=3):
    server = cluster.nats()
    nodes = []
    for i in range(count):
        n = cluster.node(url=server, start=False)
        n.args += ["--create-db-dir", os.path.join(n.directory, "dbs")]
        n.start(wait=False)
        nodes.append(n)
    for n in nodes:
        n.wait_ready()
    return nodes


def file_of(node, name):
    return os.path.join(node.directory, "dbs", name)


def fill(node, name, *values):
    node.retrying(lambda: node.query("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY AUTOINCREMENT, v)", db=name))
    for v in values:
        node.retrying(lambda v=v: node.query("INSERT INTO t(v) VALUES (?)", [v], db=name))


def rows(node, name):
    return [v for (v,) in node.query("SELECT v FROM t ORDER BY id", db=name).rows]


def test_create_and_drop(cluster):
    nodes = a, b, c = start(cluster)
    assert create(a, "new.db").status == 201
    assert "new.db" in databases(a)
    has(b, "new.db")
    has(c, "new.db")
    fill(b, "new.db", "from b")
    for n in nodes:
        wait_until(lambda n=n: synced(n))
    fill(c, "new.db", "from c")
    same(nodes, "new.db")
    with pytest.raises(HttpError) as e:
        create(b, "new.db")
    assert e.value.status == 409 and e.value.sqlstate == "42P04"
    assert drop(c, "new.db").status == 200
    for n in nodes:
        lacks(n, "new.db")
        wait_until(lambda n=n: not os.path.exists(file_of(n, "new.db")), what="the file is gone")
        with pytest.raises(HttpError) as e:
            n.query("SELECT 1", db="new.db")
        assert e.value.status == 404
    # The default database has not noticed.
    a.query("CREATE TABLE still (here)")
    assert_equal(*nodes)
    with pytest.raises(HttpError) as e:
        drop(a, "new.db")
    assert e.value.status == 404


def test_again_under_the_same_name(cluster):
    """What was dropped does not come back with a new database of that name."""
    nodes = a, b, c = start(cluster)
    for i, n in enumerate((a, b, c, a)):
        create(n, "again.db")
        for m in nodes:
            has(m, "again.db")
        fill(n, "again.db", f"round {i}")
        same(nodes, "again.db")
        assert rows(a, "again.db") == [f"round {i}"]
        drop(nodes[i % 3], "again.db")
        for m in nodes:
            lacks(m, "again.db")


@pytest.mark.parametrize("again", (False, True))
def test_node_that_was_away(cluster, again):
    """Dropped, or dropped and created again, while a node was down: it follows when it comes back."""
    a, b, c = start(cluster)
    create(a, "away.db")
    has(c, "away.db")
    fill(a, "away.db", "old 1", "old 2", "old 3")
    same((a, b, c), "away.db")
    c.kill9()
    drop(a, "away.db")
    lacks(b, "away.db")
    if again:
        create(b, "away.db")
        has(a, "away.db")
        fill(b, "away.db", "new")
    create(a, "other.db")
    fill(a, "other.db", "x")
    c.start(wait=False)
    has(c, "other.db")
    if again:
        wait_until(lambda: rows(c, "away.db") == ["new"], CATCH_UP_S, "the node has the new database's content")
        c.wait_ready()
        fill(c, "away.db", "new 2")
        same((a, b, c), "away.db")
        assert rows(a, "away.db") == ["new", "new 2"]
    else:
        lacks(c, "away.db")
        c.wait_ready()
        # Not with the name: the files go when nobody uses the database any more.
        wait_until(lambda: not os.path.exists(file_of(c, "away.db")), CATCH_UP_S, "the file is gone")
    same((a, b, c), "other.db")


def test_new_node_gets_all(cluster):
    a, b = start(cluster, 2)
    create(a, "one.db")
    create(b, "two.db")
    create(a, "gone.db")
    fill(a, "one.db", 1)
    has(a, "two.db")
    fill(b, "two.db", 2)
    drop(a, "gone.db")
    n = cluster.node(url=a.join, start=False)
    n.args += ["--create-db-dir", os.path.join(n.directory, "dbs")]
    n.start()
    has(n, "one.db", "two.db")
    lacks(n, "gone.db")
    wait_until(lambda: n.ready(sync=True))
    same((a, b, n), "one.db")
    same((a, b, n), "two.db")


def test_names(cluster):
    """Each name a database of its own, on every node, through a restart as well."""
    nodes = a, b = start(cluster, 2)
    for i, name in enumerate(NAMES):
        create(nodes[i % 2], name)
    for n in nodes:
        has(n, *NAMES)
    streams = [d["stream"] for d in a.status()["databases"]]
    assert len(set(streams)) == len(streams)
    for i, name in enumerate(NAMES):
        fill(nodes[i % 2], name, name)
    b.restart()
    has(b, *NAMES)
    b.wait_ready()
    for name in NAMES:
        same(nodes, name)
        assert rows(b, name) == [name]
    for name in NAMES[1:]:
        drop(a, name)
    for n in nodes:
        lacks(n, *NAMES[1:])
        assert rows(n, NAMES[0]) == [NAMES[0]]


@pytest.mark.parametrize("name", ("", "../up.db", "sub/dir.db", "/tmp/x.db", ".hidden", "n" * 300, "a.db-wal", "a.db-shm?x=1", "a.db-journal"))
def test_names_refused(cluster, name):
    (a,) = start(cluster, 1)
    before = databases(a)
    with pytest.raises(HttpError) as e:
        create(a, name)
    assert e.value.status == 400, e.value
    assert databases(a) == before


def test_files_that_look_alike(cluster):
    """Two files on the command line whose names differ only in what NATS does not take."""
    a = cluster.node(files=["a.db", "a_db", "a-db"])
    b = cluster.node(url=a, files=["a.db", "a_db", "a-db"])
    for name in a.files:
        fill(a, name, name)
    wait_until(lambda: synced(b))
    for name in a.files:
        same((a, b), name)
        assert rows(b, name) == [name]


def test_a_file_that_is_no_database_is_in_the_way(cluster):
    """Refused before the cluster hears of it."""
    a, b = start(cluster, 2)
    create(a, "first.db")
    with open(file_of(a, "notes.txt"), "w", encoding="utf-8") as f:
        f.write("not a database, and long enough to be looked into\n" * 20)
    with pytest.raises(HttpError) as refused:
        create(a, "notes.txt")
    assert "notes.txt" in str(refused.value)
    create(a, "next.db")
    has(b, "first.db", "next.db")  # the catalog is in order: what comes later has come
    assert "notes.txt" not in databases(a) | databases(b)
    assert not os.path.exists(file_of(b, "notes.txt"))


@pytest.mark.parametrize("lww", [False, True])
def test_schema_changes_in_turns(cluster, lww):
    """What one node makes the other one takes away, and so on: none is stopped, and both have the same schema."""
    server = cluster.nats()
    a, b = (cluster.node(url=server, args=["--consistency", "lww"] if lww else []) for _ in range(2))
    a.query("CREATE TABLE x (id INTEGER PRIMARY KEY, a INT)")

    def turn(node, sql):
        for n in (a, b):
            wait_until(lambda n=n: synced(n), CATCH_UP_S)
        node.query(sql)

    for there, back in (("ALTER TABLE x ADD COLUMN e INT", "ALTER TABLE x DROP COLUMN e"), ("CREATE INDEX i ON x(a)", "DROP INDEX i"),
                        ("CREATE TRIGGER r AFTER INSERT ON x BEGIN SELECT 1; END", "DROP TRIGGER r"),
                        ("ALTER TABLE x RENAME COLUMN a TO z", "ALTER TABLE x RENAME COLUMN z TO a")):
        turn(a, there)
        turn(b, back)
        turn(a, there)
        turn(b, back)
    turn(a, "ALTER TABLE x ADD COLUMN e INT")
    turn(b, "INSERT INTO x (id, e) VALUES (1, 5)")
    assert_equal(a, b)
