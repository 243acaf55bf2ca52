"""A node on a NATS of somebody else's: TLS and credentials in the URL; a real loadable extension."""
import os
import shutil
import subprocess

import pytest

import ha

CONFIG = """
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{dir}/js" }}
tls {{ cert_file: "{dir}/server.pem", key_file: "{dir}/server.key" }}
authorization {{ user: u, password: "p w@x" }}
"""


def openssl(directory, *args):
    subprocess.run(["openssl", *args], cwd=directory, check=True, capture_output=True)


def certificates(directory):
    openssl(directory, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    openssl(directory, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key",
            "-out", "server.csr", "-subj", "/CN=localhost")
    (directory / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl(directory, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "ext")


def test_tls_and_credentials_in_the_url(tmp_path, cluster):
    certificates(tmp_path)
    port = ha.free_port()
    config = tmp_path / "nats.conf"
    config.write_text(CONFIG.format(port=port, dir=tmp_path))
    server = subprocess.Popen(["nats-server", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        node = cluster.node(
            "tls", url=f"tls://u:p%20w%40x@localhost:{port}",
            env={"SSL_CERT_FILE": str(tmp_path / "ca.pem")})
        node.query("CREATE TABLE t (a)")
        assert node.query("SELECT count(*) FROM t").rows == [[0]]
        events = node.log().split("\n", 1)[1]  # behind the command line
        assert "p w@x" not in events and "p%20w" not in events
    finally:
        server.kill()
        server.wait()


SOURCE = """
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1
static void twice(sqlite3_context *c, int n, sqlite3_value **v)
{
    (void)n;
    sqlite3_result_int64(c, 2 * sqlite3_value_int64(v[0]));
}
int sqlite3_extension_init(sqlite3 *db, char **error, const sqlite3_api_routines *api)
{
    (void)error;
    SQLITE_EXTENSION_INIT2(api);
    return sqlite3_create_function(db, "twice", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, 0, twice, 0, 0);
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_an_extension_serves_reads_writes_and_applying(tmp_path, cluster):
    (tmp_path / "twice.c").write_text(SOURCE)
    library = tmp_path / "twice.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-I", os.path.join(ha.ROOT, "build", "sqlite"), "-o",
                    str(library), str(tmp_path / "twice.c")], check=True)
    first = cluster.node("e1", args=["--extensions", str(library)])
    second = cluster.node("e2", url=first, args=["--extensions", str(library)])
    first.query("CREATE TABLE t (a, b AS (twice(a)) STORED)")
    first.query("CREATE INDEX i ON t (twice(a))")
    first.query("INSERT INTO t (a) VALUES (21)")
    ha.wait_until(lambda: second.query("SELECT b, twice(b) FROM t").rows == [[42, 84]])


GUARDED = """
listen: 127.0.0.1:{port}
jetstream {{ store_dir: "{dir}/js" }}
authorization {{ user: u, password: {password} }}
"""


class Guarded(ha.Process):
    """A nats-server that asks for a password."""

    def __init__(self, directory):
        super().__init__("guarded", str(directory))
        self.port = ha.free_port()

    def start(self, password):
        path = os.path.join(self.directory, "nats.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(GUARDED.format(port=self.port, dir=self.directory, password=password))
        self.spawn(["nats-server", "-c", path])


def test_credentials_that_are_refused_for_a_while(tmp_path, cluster):
    """libnats closes a connection for good when a server has refused it twice. The nodes come back all the same, with all that
    they do over NATS: writing, following, questions to each other, the catalog."""
    server = Guarded(tmp_path)
    server.start("p")
    try:
        a, b = [cluster.node(name, url=f"nats://u:p@127.0.0.1:{server.port}", args=["--create-db-dir", "."]) for name in "ab"]
        a.query("CREATE TABLE t (a INTEGER PRIMARY KEY)")
        ha.wait_until(lambda: ha.synced(b), what="b has the table")
        b.retrying(lambda: b.query("INSERT INTO t VALUES (1)"))
        server.kill9()
        server.start("q")
        for n in (a, b):
            ha.wait_until(lambda n=n: "was given up" in n.log(), what=f"the library gives {n.name}'s connection up")
            assert n.query("SELECT count(*) FROM t").columns == ["count(*)"], "reads go on"
        server.kill9()
        server.start("p")
        a.retrying(lambda: a.query("INSERT INTO t VALUES (2)"))
        b.retrying(lambda: b.query("INSERT INTO t VALUES (3)"))
        for n in (a, b):
            ha.wait_until(lambda n=n: n.query("SELECT count(*) FROM t").value == 3, what=f"{n.name} follows")
        a.retrying(lambda: a.post("/databases", {"dsn": "second.db"}))
        ha.wait_until(lambda: "second.db" in b.get("/databases").json()["databases"], what="b's catalog")
        ha.wait_until(lambda: len(a.get("/verify").json()["nodes"]) == 2, what="the nodes answer each other")
        ha.wait_until(lambda: {r["name"] for r in a.get("/replications").json()["replications"]} == {"a", "b"}, what="the roster")
        ha.assert_equal(a, b)
    finally:
        server.kill9()
