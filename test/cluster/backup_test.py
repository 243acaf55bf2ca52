"""`ha backup`, `ha restore`, `ha force-recover`: files of nodes, made, put in place, and brought back as a new log."""

import os
import pty
import re
import shutil
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

from ha import BINARY, assert_equal, dump_file, wait_until
from natsclient import NatsClient
from verify_test import verify


def ha(*args):
    """(exit status, standard output, standard error)"""
    p = subprocess.run([BINARY, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return p.returncode, p.stdout, p.stderr


def refused(word, *args):
    status, out, err = ha(*args)
    assert status == 2 and word in err and err.count("\n") == 1 and out == "", (args, status, out, err)


def fill(node, n=20):
    node.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(n):
        node.query("INSERT INTO t (v) VALUES (?)", [i])


def counted(node):
    return node.query("SELECT count(*) FROM t").value


def test_backup_and_a_new_database_from_it(cluster, tmp_path):
    a = cluster.node()
    fill(a)
    copy = tmp_path / "copy.db"
    status, out, err = ha("backup", "-r", a.url, copy)
    assert status == 0 and "at 21 of the log" in out and err == "", (status, out, err)
    assert not os.path.exists(f"{copy}.part")
    a.query("INSERT INTO t (v) VALUES ('later')")
    refused("exists already", "backup", "-r", a.url, copy)

    # A new database, on a cluster of its own: the backup's content, not the old cluster's.
    b = cluster.node(start=False)
    status, out, _ = ha("restore", "--new", copy, os.path.join(b.directory, "ha.db"))
    assert status == 0 and "begins a new log" in out
    b.start()
    assert counted(b) == 20
    b.query("INSERT INTO t (v) VALUES ('on')")
    c = cluster.node(url=b)
    assert_equal(b, c)


def test_an_empty_file_is_no_backup(tmp_path):
    empty, target = tmp_path / "empty.db", tmp_path / "new.db"
    empty.write_bytes(b"")
    status, out, err = ha("restore", "--new", empty, target)
    assert status != 0 and "is empty" in err and out == "", (status, out, err)
    assert not target.exists()


def test_restore_for_a_stopped_node(cluster, tmp_path):
    """The file is spoiled; a backup takes its place and the log brings the rest."""
    a = cluster.node()
    b = cluster.node(url=a)
    fill(a)
    copy = tmp_path / "copy.db"
    assert ha("backup", "--remote", a.url, "--database", "ha.db", copy)[0] == 0
    a.query("INSERT INTO t (v) VALUES ('later')")
    assert_equal(a, b)
    file = os.path.join(b.directory, "ha.db")
    refused("exists already", "restore", copy, file)
    refused("in use", "restore", "--replace", copy, file)
    b.terminate()
    with open(file, "r+b") as f:
        f.seek(4096)
        f.write(b"\xff" * 4096)
    damaged = open(file, "rb").read()
    status, out, err = ha("restore", "--replace", copy, file)
    if status != 0:  # what cannot even be copied aside stays where it is
        assert open(file, "rb").read() == damaged
        os.rename(file, file + ".damaged")
        status, out, err = ha("restore", copy, file)
    assert status == 0 and "follows the log from there" in out, (out, err)
    b.start()
    assert_equal(a, b)
    assert counted(b) == 21


def test_a_damaged_backup_is_refused(cluster, tmp_path):
    a = cluster.node()
    fill(a, 200)
    a.query("INSERT INTO t (v) SELECT hex(randomblob(500)) FROM t")
    copy = tmp_path / "copy.db"
    assert ha("backup", "-r", a.url, copy)[0] == 0
    with open(copy, "r+b") as f:
        f.seek(3 * 4096)
        f.write(b"\xa5" * 4096)
    status, _, err = ha("restore", copy, tmp_path / "new.db")
    assert status == 1 and err.count("\n") == 1, err
    assert not os.path.exists(tmp_path / "new.db")


def test_force_recover(cluster):
    """The log is gone with its server; the furthest file begins a new one, the other node takes that."""
    server = cluster.nats()
    a, b = cluster.node(url=server), cluster.node(url=server)
    fill(a)
    assert_equal(a, b)
    b.terminate()
    a.query("INSERT INTO t (v) VALUES ('only a has it')")
    a.query("INSERT INTO t (v) VALUES ('and this')")
    files = [os.path.join(n.directory, "ha.db") for n in (b, a)]
    refused("in use", "force-recover", *files)
    a.terminate()
    server.terminate()
    shutil.rmtree(server.directory)
    os.makedirs(server.directory)
    before = dump_file(files[1])

    status, out, _ = ha("force-recover", "--dry-run", *files)
    assert status == 0 and f"{files[1]} ends at 23" in out and "begins a new log" not in out
    status, out, err = ha("force-recover", *files)
    assert status == 0 and f"{files[1]} begins a new log" in out and "lost:" in out, (out, err)
    refused("belongs to no log", "force-recover", files[1])

    server.start()
    a.start()
    assert dump_file(files[1]) == before
    assert counted(a) == 22
    b.start(wait=False)
    b.wait_ready()
    assert_equal(a, b)
    v = verify(a)
    assert v["equal"] and len(v["nodes"]) == 2, v
    aside = [f for f in os.listdir(b.directory) if ".diverged-" in f]
    assert len(aside) == 1
    kept = sqlite3.connect(os.path.join(b.directory, aside[0]))
    assert kept.execute("SELECT count(*) FROM t").fetchone() == (20,)
    kept.close()


def test_a_message_that_no_node_can_take(cluster):
    """It is never skipped; a log that begins anew with a file gets the database out of it, and no other log is touched."""
    server = cluster.nats()
    a, b = (cluster.node(url=server, files=["ha.db", "other.db"]) for _ in range(2))
    fill(a)
    a.query("CREATE TABLE t (a)", db="other.db")
    assert_equal(a, b)
    with NatsClient(server.port) as nats:
        nats.publish("ha_replication.ha=2Edb", b"garbage")
    for n in (a, b):
        wait_until(lambda n=n: n.status()["databases"][0]["state"] == "stopped", what=f"{n.name} has stopped")
        n.terminate()
    files = [os.path.join(n.directory, "ha.db") for n in (a, b)]
    status, out, err = ha("force-recover", "--replace-log", *files)
    assert status == 0 and "begins a new log" in out, (out, err)
    first, second = (a, b) if f"{files[0]} begins" in out else (b, a)
    first.start()
    assert "the log gives way to the file" in first.log()
    second.start()
    assert counted(first) == 20
    first.query("INSERT INTO t (v) VALUES ('goes on')")
    assert_equal(a, b)
    assert_equal(a, b, db="other.db")
    assert counted(second) == 21

    # The mark is for that log only: to another one the file is as foreign as any.
    for n in (first, second):
        n.terminate()
    assert ha("force-recover", "--replace-log", files[0])[0] == 0
    with NatsClient(server.port) as nats:
        nats.api("STREAM.DELETE.ha_replication-ha=2Edb")
        nats.api("STREAM.CREATE.ha_replication-ha=2Edb", {"name": "ha_replication-ha=2Edb", "subjects": ["ha_replication.ha=2Edb"]})
        nats.publish("ha_replication.ha=2Edb", b"another log")
    a.start(wait=False)
    wait_until(lambda: "content of its own" in a.status()["databases"][0]["reason"], what="the file is refused")
    with NatsClient(server.port) as nats:
        assert nats.stream("ha_replication-ha=2Edb")["state"]["messages"] == 1


def test_files_that_leave_no_choice(cluster, tmp_path):
    one, two = cluster.node("one"), cluster.node("two", args=["--replication-stream", "other"])
    fill(one, 3)
    fill(two, 3)
    one.terminate()
    two.terminate()
    refused("different logs", "force-recover", os.path.join(one.directory, "ha.db"),
            os.path.join(two.directory, "ha.db"))
    plain = tmp_path / "plain.db"
    db = sqlite3.connect(plain)
    db.execute("CREATE TABLE t (a)")
    db.commit()
    db.close()
    refused("belongs to no log", "force-recover", plain)


def test_files_of_two_beginnings(cluster):
    """A file left over from before its log began anew has the higher seq, and must not win by it."""
    old, new = cluster.node("old"), cluster.node("new")
    fill(old, 9)
    fill(new, 3)
    old.terminate()
    new.terminate()
    files = [os.path.join(n.directory, "ha.db") for n in (new, old)]
    before = [dump_file(f) for f in files]
    refused("different beginnings", "force-recover", *files)
    refused("different beginnings", "force-recover", *reversed(files))
    assert [dump_file(f) for f in files] == before
    status, out, err = ha("force-recover", "--dry-run", files[0])
    assert status == 0 and "ends at 4" in out, (status, out, err)


def test_wrong_usage(cluster, tmp_path):
    missing = tmp_path / "missing.db"
    for word, args in (("file name is missing", ["backup"]), ("nonsense", ["backup", "-r", "nonsense", missing]),
                       ("too much", ["backup", "a", "b"]), ("--new", ["backup", "--new", "a"]),
                       ("file name is missing", ["restore", "a"]), ("missing.db", ["restore", missing, "x.db"]),
                       ("file name is missing", ["force-recover"]), ("missing.db", ["force-recover", missing]),
                       ("--bogus", ["force-recover", "--bogus"])):
        refused(word, *args)
    a = cluster.node()
    refused("no.db", "backup", "-r", a.url, "--database", "no.db", missing)
    assert not os.path.exists(missing) and not os.path.exists(f"{missing}.part")
    for command in ("verify", "backup", "restore", "force-recover", "diff"):
        status, out, err = ha(command, "--help")
        assert status == 0 and out.startswith(f"Usage: ha {command}") and err == ""
    secret = cluster.node("secret", token="s3cret")
    status, _, err = ha("backup", "-r", secret.url, missing)
    assert status == 1 and err.count("\n") == 1
    assert ha("backup", "-r", secret.url, "--token", "s3cret", missing)[0] == 0


def test_a_backup_has_a_place(tmp_path):
    refused("local file or to s3", "backup", "ftp://host/key")
    assert os.listdir(tmp_path) == []


def test_compressed(cluster, tmp_path):
    """By its name; whatever wrote it, and whatever it is called then, it is taken as it is."""
    a = cluster.node()
    fill(a)
    a.query("INSERT INTO t (v) SELECT hex(zeroblob(5000)) FROM t")
    copy, plain = tmp_path / "copy.db.zst", tmp_path / "plain.db"
    (tmp_path / "copy.db.zst.part.db").write_bytes(b"left over by a killed one")
    status, out, err = ha("backup", "-r", a.url, copy)
    assert status == 0 and "bytes before compression, at 22 of the log" in out and err == "", (status, out, err)
    refused("exists already", "backup", "-r", a.url, copy)
    assert ha("backup", "-r", a.url, plain)[0] == 0
    assert os.path.getsize(copy) < os.path.getsize(plain) / 5
    assert sorted(os.listdir(tmp_path)) == ["copy.db.zst", "plain.db"]
    subprocess.run(["zstd", "-q", "-d", copy, "-o", tmp_path / "by-zstd.db"], check=True)
    assert dump_file(str(tmp_path / "by-zstd.db")) == dump_file(str(plain))
    # Of another program, with another name, a longer window and in two frames.
    other = tmp_path / "other"
    halves = [tmp_path / "1", tmp_path / "2"]
    data = plain.read_bytes()
    for half, part in zip(halves, (data[:9999], data[9999:])):
        half.write_bytes(part)
    subprocess.run(["zstd", "-q", "--long=27", *halves], check=True)
    other.write_bytes(b"".join((tmp_path / f"{h.name}.zst").read_bytes() for h in halves))
    for n, backup in enumerate((copy, other)):
        file = tmp_path / f"new{n}.db"
        status, out, err = ha("restore", backup, file)
        assert status == 0 and "is in place at 22" in out and err == "", (status, out, err)
        assert dump_file(str(file)) == dump_file(str(plain))
    assert not [f for f in os.listdir(tmp_path) if ".part" in f]


def test_damaged_compressed_backups(cluster, tmp_path):
    a = cluster.node()
    fill(a, 5)
    copy, bad = tmp_path / "copy.db.zst", tmp_path / "bad"
    assert ha("backup", "-r", a.url, copy)[0] == 0
    data = copy.read_bytes()
    for damage in (data[:-3], data[:4], data[:len(data) // 2] + b"\xff" + data[len(data) // 2 + 1:], data + b"rubbish"):
        bad.write_bytes(damage)
        status, out, err = ha("restore", bad, tmp_path / "x.db")
        assert status == 1 and str(bad) in err and err.count("\n") == 1 and out == "", (status, out, err)
        assert sorted(os.listdir(tmp_path)) == ["bad", "copy.db.zst"]


def on_terminal(*args):
    """(exit status, what a terminal shows of it)"""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(BINARY, [BINARY, *map(str, args)])
    shown = b""
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:  # the other side is gone
            break
        if not piece:
            break
        shown += piece
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


class Slow(BaseHTTPRequestHandler):
    """A node that takes two seconds for a backup, and for a comparison."""

    def do_GET(self):
        self.send_response(200)
        body = self.server.answers[self.path]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = len(body) // 2
        self.wfile.write(body[:half])
        self.wfile.flush()
        self.server.pause.wait(2)
        self.wfile.write(body[half:])

    def log_message(self, *args):
        pass


def test_progress_on_a_terminal(tmp_path):
    """One line, drawn anew, for whatever takes longer than half a second; blotted out at the end."""
    db = sqlite3.connect(tmp_path / "s.db")
    db.execute("CREATE TABLE t (v)")
    db.execute("INSERT INTO t VALUES (zeroblob(3000000))")
    db.commit()
    db.close()
    report = (b'{"database":"a.db","seq":7,"equal":true,"nodes":["n"],"expected":1,"complete":true,"silent":[],'
              b'"tables":[],"differences":[],"problems":[]}')
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        server.pause = threading.Event()
        server.answers = {"/download": (tmp_path / "s.db").read_bytes(), "/databases/a.db/verify": report}
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            status, shown = on_terminal("backup", "-r", url, tmp_path / "copy.db")
            assert status == 0 and re.search(r"\rcopying #+\.+ +\d+ %  \d\.\d of 3\.0 MB +\r", shown), shown
            last = shown.rstrip().rsplit("\r", 1)[1]
            assert last.startswith(str(tmp_path / "copy.db")) and "\n" not in shown.rstrip(), shown
            status, shown = on_terminal("verify", "-r", url, "--database", "a.db")
            assert status == 0 and re.search(r"\rcomparing a\.db, \d s +\r", shown) and "equal at 7" in shown, shown
        finally:
            server.shutdown()
            thread.join()


def test_verify_of_nothing_is_no_success():
    """A server that is no node, but answers with JSON."""
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.answer)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for server.answer in (b"{}", b'{"databases": []}'):
                status, out, err = ha("verify", "-r", f"http://127.0.0.1:{server.server_port}")
                assert status == 1 and "nothing was compared" in err and err.count("\n") == 1 and out == ""
        finally:
            server.shutdown()
            thread.join()
