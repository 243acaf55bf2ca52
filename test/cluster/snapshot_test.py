"""Snapshots in the object store: taken, read by other programs, damaged, interrupted."""

import base64
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import threading
import urllib.request

import pytest

import ha
from ha import HttpError, wait_until
from natsclient import NatsClient

BUCKET = "OBJ_ha_replication_SNAPSHOTS"
NPM_DIR = os.path.join(ha.ROOT, os.environ.get("BUILD", "build"), "npm")


def fill(node, rows, size=200, db=None):
    node.script("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v)", db=db)
    for at in range(0, rows, 20000):
        n = min(20000, rows - at)
        node.query(f"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {n}) "
                   f"INSERT INTO t(v) SELECT hex(randomblob({size})) FROM c", db=db)


def take(node, db=None):
    r = node.post("/snapshot" if db is None else f"/databases/{db}/snapshot", "")
    answer = r.json()
    assert r.headers["X-Sequence"] == str(answer["seq"])
    return answer


def fetch(node, path, db=None):
    r = node.get("/snapshot" if db is None else f"/databases/{db}/snapshot")
    with open(path, "wb") as f:
        f.write(r.body)
    return r


def rows_of(path):
    c = sqlite3.connect(path)
    try:
        assert c.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return c.execute("SELECT count(*), coalesce(sum(length(v)), 0) FROM t").fetchone()
    finally:
        c.close()


def metas(nats):
    """name → meta message of the bucket's objects."""
    info = nats.api(f"STREAM.INFO.{BUCKET}", {"subjects_filter": "$O.ha_replication_SNAPSHOTS.M.>"})
    found = {}
    for subject in info["state"].get("subjects") or {}:
        message = nats.api(f"STREAM.MSG.GET.{BUCKET}", {"last_by_subj": subject})["message"]
        meta = json.loads(base64.b64decode(message["data"]))
        found[meta["name"]] = meta
    return found


def chunk_subjects(nats):
    info = nats.api(f"STREAM.INFO.{BUCKET}", {"subjects_filter": "$O.ha_replication_SNAPSHOTS.C.>"})
    return set(info["state"].get("subjects") or {})


def damage(nats, nuid):
    """Flips one bit of an object: its first chunk is deleted and comes again, changed, at the end of the stream."""
    subject = f"$O.ha_replication_SNAPSHOTS.C.{nuid}"
    message = nats.api(f"STREAM.MSG.GET.{BUCKET}", {"seq": 1, "next_by_subj": subject})["message"]
    data = bytearray(base64.b64decode(message["data"]))
    data[len(data) // 2] ^= 4
    nats.api(f"STREAM.MSG.DELETE.{BUCKET}", {"seq": message["seq"]})
    nats.publish(subject, bytes(data))


def test_round_trip(cluster, tmp_path):
    a = cluster.node()
    with pytest.raises(HttpError) as none:
        a.get("/snapshot")
    assert none.value.status == 404
    fill(a, 1000)
    first = take(a)
    assert first["taken"] and first["bytes"] > first["stored_bytes"] > 0 and first["node"] == a.name
    r = fetch(a, tmp_path / "s.db")
    assert r.headers["X-Sequence"] == str(first["seq"])
    assert r.headers["Content-Disposition"] == f'attachment; filename="ha-snapshot-{first["seq"]}.db"'
    assert len(r.body) == first["bytes"] and hashlib.sha256(r.body).hexdigest() == first["sha256"]
    assert rows_of(tmp_path / "s.db") == (1000, 400000)
    again = take(a)
    assert not again["taken"] and again["seq"] == first["seq"]
    status = a.status()["databases"][0]["snapshot"]
    assert status["seq"] == first["seq"] and status["taken"] == 1 and not status["running"]
    metrics = a.get("/metrics").body.decode()
    stamp = re.search(r'^ha_snapshot_last_success_timestamp_seconds\{db="ha.db"\} (\S+)$', metrics, re.M)
    assert float(stamp.group(1)) > 1.6e9
    assert f'ha_snapshot_seq{{db="ha.db"}} {first["seq"]}\n' in metrics


def test_curl_names_the_file(cluster, tmp_path):
    a = cluster.node()
    fill(a, 10)
    seq = take(a)["seq"]
    subprocess.run(["curl", "-sS", "-O", "-J", f"{a.url}/snapshot"], cwd=tmp_path, check=True)
    assert rows_of(tmp_path / f"ha-snapshot-{seq}.db") == (10, 4000)


def test_two_generations(cluster, tmp_path):
    a = cluster.node()
    answers = []
    for n in range(4):
        fill(a, 100)
        answers.append(take(a))
        with NatsClient(a.nats_port) as nats:
            found = metas(nats)
            want = {"ha.db": answers[n]["seq"]}
            if n > 0:
                want["ha.db/previous"] = answers[n - 1]["seq"]
            assert {k: int(m["metadata"]["ha-seq"]) for k, m in found.items()} == want
            assert chunk_subjects(nats) == {f"$O.ha_replication_SNAPSHOTS.C.{m['nuid']}" for m in found.values()}
    fetch(a, tmp_path / "s.db")
    assert rows_of(tmp_path / "s.db")[0] == 400


def test_several_databases_and_nodes(cluster, tmp_path):
    a, b = cluster.nodes(2, files=["one.db", "two.db"])
    fill(a, 50, db="one.db")
    fill(b, 70, db="two.db")
    for node, db in ((a, "one.db"), (b, "two.db"), (b, "one.db"), (a, "two.db")):
        wait_until(lambda node=node: ha.synced(node))
        take(node, db)
    for node in (a, b):
        for db, rows in (("one.db", 50), ("two.db", 70)):
            fetch(node, tmp_path / "s.db", db)
            assert rows_of(tmp_path / "s.db")[0] == rows
    with pytest.raises(HttpError) as none:
        a.post("/databases/three.db/snapshot", "")
    assert none.value.status == 404


def test_dropped_database_takes_its_snapshots_along(cluster):
    a = cluster.node(memory=True)
    a.post("/databases", {"dsn": "x.db"})
    fill(a, 10, db="x.db")
    take(a, "x.db")
    fill(a, 10, db="x.db")
    take(a, "x.db")
    a.http.ok("DELETE", "/databases/x.db")
    with NatsClient(a.nats_port) as nats:
        assert metas(nats) == {} and chunk_subjects(nats) == set()


@pytest.mark.parametrize("point", ["copied", "written", "named", "listed"])
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("by_other", [False, True])
def test_dropped_while_a_snapshot_is_taken(cluster, point, second, by_other):
    """Wherever the drop finds it, nothing stays in the store; and a new database of that name has its own."""
    a = cluster.node(memory=True)
    b = cluster.node(url=a, memory=True)
    fill(a, 1)
    other = take(a)["seq"]  # of another database: it stays
    a.post("/databases", {"dsn": "x.db"})
    fill(a, 10, db="x.db")
    if second:
        take(a, "x.db")
        fill(a, 10, db="x.db")
    wait_until(lambda: ha.synced(b))
    c = cluster.node(url=a, memory=True, env={"HA_FAULT": f"snapshot.{point}=pause:1500"})
    wait_until(lambda: ha.synced(c) and c.query("SELECT count(*) FROM t", db="x.db").value)
    ended = []

    def snapshot():
        try:
            ended.append(take(c, "x.db"))
        except HttpError as e:
            ended.append(e)

    thread = threading.Thread(target=snapshot)
    thread.start()

    def running():
        found = [d["snapshot"]["running"] for d in c.status()["databases"] if d["id"] == "x.db"]
        return ended or not found or found[0]

    wait_until(running)
    (b if by_other else c).http.ok("DELETE", "/databases/x.db")
    thread.join()
    with NatsClient(a.nats_port) as nats:
        found = metas(nats)
        assert list(found) == ["ha.db"], ended
        assert chunk_subjects(nats) == {f"$O.ha_replication_SNAPSHOTS.C.{found['ha.db']['nuid']}"}, ended
        a.post("/databases", {"dsn": "x.db"})
        fill(a, 10, db="x.db")
        new = take(a, "x.db")
        assert {k: int(m["metadata"]["ha-seq"]) for k, m in metas(nats).items()} == {"ha.db": other, "x.db": new["seq"]}


@pytest.mark.parametrize("again", (False, True))
def test_killed_while_dropping(cluster, again):
    """The log is deleted, the snapshots are not yet: the next node that starts does it. A database whose log was only lost
    keeps its own."""
    server = cluster.nats()
    folder = ["--create-db-dir", os.path.join(cluster.directory, "dbs")]
    a = cluster.node(url=server, args=folder, env={"HA_FAULT": "drop.log=kill,drop.collect=pause:5000"})
    for db in ("x.db", "lost.db"):
        a.post("/databases", {"dsn": db})
        for _ in range(2):
            fill(a, 10, db=db)
            kept = take(a, db)["seq"]
    a.may_die = True
    with pytest.raises(ha.ConnectionLost):
        a.http.ok("DELETE", "/databases/x.db")
    a.wait_exit()
    a.may_die = False
    with NatsClient(server.port) as nats:
        streams = set(nats.api("STREAM.NAMES")["streams"])
        assert not any("x=2Edb" in s for s in streams), streams
        assert {"x.db", "x.db/previous", "lost.db", "lost.db/previous"} == set(metas(nats))
        nats.api("STREAM.DELETE.ha_replication-lost=2Edb")
        del a.env["HA_FAULT"]
        a.start(wait=False)
        wait_until(lambda: set(metas(nats)) == {"lost.db", "lost.db/previous"})
        assert {s.rsplit(".", 1)[1] for s in chunk_subjects(nats)} == {m["nuid"] for m in metas(nats).values()}
        if again:
            a.retrying(lambda: a.post("/databases", {"dsn": "x.db"}))
            fill(a, 10, db="x.db")
            new = take(a, "x.db")["seq"]
            a.restart(wait=False)
            wait_until(lambda: any(d["id"] == "x.db" and d["state"] == "following" for d in a.status()["databases"]))
            # The catalog is read in order: this is behind the entries of both.
            a.post("/databases", {"dsn": "later.db"})
            names = {k: int(m["metadata"]["ha-seq"]) for k, m in metas(nats).items()}
            assert names["x.db"] == new and names["lost.db"] == kept and "x.db/previous" not in names, names


def test_interval(cluster):
    """Of two nodes with an interval one takes each snapshot, and an idle database costs nothing."""
    a, b = cluster.nodes(2, args=["--snapshot-interval", "1s"])
    fill(a, 10)
    first = wait_until(lambda: a.status()["databases"][0]["snapshot"]["seq"])
    fill(a, 10)
    wait_until(lambda: min(n.status()["databases"][0]["snapshot"]["seq"] for n in (a, b)) > first)
    taken = sum(n.status()["databases"][0]["snapshot"]["taken"] for n in (a, b))
    assert 2 <= taken <= 4, taken


def test_damaged_snapshot(cluster, tmp_path):
    a = cluster.node()
    fill(a, 2000)
    old = take(a)
    fill(a, 2000)
    new = take(a)
    with NatsClient(a.nats_port) as nats:
        damage(nats, metas(nats)["ha.db"]["nuid"])
    assert int(fetch(a, tmp_path / "s.db").headers["X-Sequence"]) == old["seq"]
    assert rows_of(tmp_path / "s.db")[0] == 2000
    assert "a snapshot is damaged" in a.log()
    # It is replaced though nothing was written meanwhile.
    mended = take(a)
    assert mended["taken"] and mended["seq"] == new["seq"]
    assert int(fetch(a, tmp_path / "s.db").headers["X-Sequence"]) == new["seq"]
    with NatsClient(a.nats_port) as nats:
        assert {k: int(m["metadata"]["ha-seq"]) for k, m in metas(nats).items()} == {
            "ha.db": new["seq"], "ha.db/previous": old["seq"]}


@pytest.mark.parametrize("point", ["snapshot.copied=kill", "snapshot.piece=kill@3", "snapshot.written=kill",
                                   "snapshot.named=kill"])
def test_killed_while_taking(cluster, tmp_path, point):
    """The store keeps what it had, and the next one succeeds."""
    a = cluster.node()
    fill(a, 5000)
    old = take(a)
    fill(a, 5000)
    a.restart()
    a.may_die = True
    a.terminate()
    a.env["HA_FAULT"] = point
    a.start()
    with pytest.raises(ha.ConnectionLost):
        a.post("/snapshot", "")
    a.wait_exit()
    del a.env["HA_FAULT"]
    a.may_die = False
    a.start()
    assert int(fetch(a, tmp_path / "s.db").headers["X-Sequence"]) == old["seq"]
    assert rows_of(tmp_path / "s.db")[0] == 5000
    new = take(a)
    assert new["taken"] and new["seq"] > old["seq"]
    fetch(a, tmp_path / "s.db")
    assert rows_of(tmp_path / "s.db")[0] == 10000
    assert not [f for f in os.listdir(a.directory) if "snapshot" in f]
    with NatsClient(a.nats_port) as nats:
        assert {k: int(m["metadata"]["ha-seq"]) for k, m in metas(nats).items()} == {
            "ha.db": new["seq"], "ha.db/previous": old["seq"]}


def rss_kib(pid, what):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(rf"{what}:\s+(\d+)", f.read()).group(1))


FLAT_MB = int(os.environ.get("HA_SNAPSHOT_MB") or 200)


@pytest.mark.limit(300 + FLAT_MB)
def test_memory_is_flat(cluster):
    """A 200 MB database goes into the store, comes out of it as a file and on a new node, in little memory."""
    a = cluster.node()
    fill(a, FLAT_MB * 500, 1000)
    a.restart()
    wait_until(lambda: ha.synced(a), 60 + FLAT_MB)
    before = rss_kib(a.pid, "VmRSS")
    with urllib.request.urlopen(urllib.request.Request(f"{a.url}/snapshot", b""), timeout=60 + FLAT_MB) as r:
        answer = json.load(r)
    assert answer["bytes"] > FLAT_MB * 1e6
    taken = rss_kib(a.pid, "VmHWM") - before
    with urllib.request.urlopen(f"{a.url}/snapshot") as r:
        size = 0
        while piece := r.read(1 << 20):
            size += len(piece)
    assert size == answer["bytes"]
    extra = rss_kib(a.pid, "VmHWM") - before
    b = cluster.node(url=a, args=["--from-latest-snapshot"], wait=False)
    b.wait_ready(60 + FLAT_MB)
    loaded = rss_kib(b.pid, "VmHWM")
    print(f"{size / 1e6:.0f} MB: {taken} KiB more to take it, {extra} KiB with reading it, {loaded} KiB in all on a new node")
    assert "database begins with a snapshot" in b.log()
    if ha.SLOW == 1:  # a sanitizer's own memory would be counted, too
        assert extra < 64 * 1024, f"{extra} KiB more"
        assert loaded < 64 * 1024, f"{loaded} KiB"


# ---- the client of the npm package `nats` ----------------------------------------------------------------------

READ_JS = r"""
const { connect } = require("nats");
const fs = require("fs");
(async () => {
  const nc = await connect({ servers: process.argv[2] });
  const os = await nc.jetstream().views.os("ha_replication_SNAPSHOTS");
  const names = (await os.list()).map((o) => o.name).sort();
  const info = await os.info("ha.db");
  const got = await os.get("ha.db");
  const out = fs.createWriteStream(process.argv[3]);
  for await (const piece of got.data) out.write(piece);
  await new Promise((done) => out.end(done));
  if (await got.error) throw await got.error;
  console.log(JSON.stringify({ names, metadata: info.metadata, size: info.size, digest: info.digest }));
  await nc.close();
})().catch((e) => { console.error(e); process.exit(1); });
"""

WRITE_JS = r"""
const { connect } = require("nats");
const fs = require("fs");
(async () => {
  const nc = await connect({ servers: process.argv[2] });
  const os = await nc.jetstream().views.os("ha_replication_SNAPSHOTS");
  const old = await os.info("ha.db");
  await os.putBlob({ name: "ha.db", metadata: old.metadata }, fs.readFileSync(process.argv[3]));
  await nc.close();
})().catch((e) => { console.error(e); process.exit(1); });
"""


@pytest.fixture(scope="module", name="npm")
def npm_client():
    """A directory in which node finds the package."""
    if not os.path.isdir(os.path.join(NPM_DIR, "node_modules", "nats")):
        os.makedirs(NPM_DIR, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", NPM_DIR, "nats@2.29.3"],
                       cwd=NPM_DIR, check=True)
    return NPM_DIR


def node_js(npm, script, *args):
    return subprocess.run(["node", "-e", script, "x", *map(str, args)], cwd=npm, check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def test_other_clients_read_and_write(cluster, npm, tmp_path):
    a = cluster.node()
    fill(a, 3000)
    take(a)
    fill(a, 3000)
    answer = take(a)
    seen = json.loads(node_js(npm, READ_JS, a.nats_url, tmp_path / "object"))
    assert seen["names"] == ["ha.db", "ha.db/previous"]
    assert seen["metadata"]["ha-seq"] == str(answer["seq"]) and seen["size"] == answer["stored_bytes"]
    subprocess.run(["zstd", "-q", "-d", str(tmp_path / "object"), "-o", str(tmp_path / "s.db")], check=True)
    assert rows_of(tmp_path / "s.db")[0] == 6000
    subprocess.run([ha.BINARY, "restore", str(tmp_path / "object"), str(tmp_path / "r.db")], check=True)
    assert rows_of(tmp_path / "r.db")[0] == 6000
    # What that client has written is read here.
    node_js(npm, WRITE_JS, a.nats_url, tmp_path / "object")
    assert int(fetch(a, tmp_path / "t.db").headers["X-Sequence"]) == answer["seq"]
    assert rows_of(tmp_path / "t.db")[0] == 6000
    assert "damaged" not in a.log()
