"""`ha backup`, `ha restore`, `ha force-recover`: files of nodes, made, put in place, and brought back as a new log."""

import os
import shutil
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from ha import BINARY, assert_equal, dump_file
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
    for command in ("verify", "backup", "restore", "force-recover"):
        status, out, err = ha(command, "--help")
        assert status == 0 and out.startswith(f"Usage: ha {command}") and err == ""
    secret = cluster.node("secret", token="s3cret")
    status, _, err = ha("backup", "-r", secret.url, missing)
    assert status == 1 and err.count("\n") == 1
    assert ha("backup", "-r", secret.url, "--token", "s3cret", missing)[0] == 0


def test_a_backup_is_a_plain_file(tmp_path):
    refused("local file or to s3", "backup", "ftp://host/key")
    refused("not compressed", "backup", tmp_path / "copy.db.zst")
    assert os.listdir(tmp_path) == []


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
