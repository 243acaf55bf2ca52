"""A node on a NATS of somebody else's: TLS and credentials in the URL; a real loadable extension."""
import os
import shutil
import subprocess

import pytest

import ha
from natsclient import Forestaller, NatsClient

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


UNAVAILABLE = (b'{"type":"io.nats.jetstream.api.v1.error",'
               b'"error":{"code":503,"err_code":10008,"description":"JetStream system temporarily unavailable"}}')
QUESTIONS = ("$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.CONSUMER.CREATE.*")


def test_a_server_that_knows_no_leader_answers_first(cluster):
    """After a partition a node's own server may say for minutes that JetStream is unavailable, while the others are fine."""
    server = cluster.nats()
    a = cluster.node(url=server)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    for i in range(20):
        a.query("INSERT INTO t (v) VALUES (?)", [i])
    with Forestaller(server.port, QUESTIONS, UNAVAILABLE) as between:
        b = cluster.node(url=f"nats://127.0.0.1:{between.port}")
        ha.assert_equal(a, b)
        b.restart()
        for i in range(50):  # each follows the other's
            (a, b)[i % 2].query("INSERT INTO t (v) VALUES (?)", [i])
        ha.assert_equal(a, b)
        assert a.query("SELECT count(*) FROM t").value == 70
        assert between.count > 0
        a.query("INSERT INTO t (v) VALUES (zeroblob(3000000))")  # in parts
        ha.assert_equal(a, b)
        server.kill9()
        ha.wait_until(lambda: b.status()["nats"] == "disconnected", what="the node sees that NATS is gone")
        server.start()
        a.query("INSERT INTO t (v) VALUES ('after')")
        ha.assert_equal(a, b)


def test_a_feed_that_goes_quiet_behind_such_a_server(cluster):
    """The consumer is gone, and with it the heartbeats: another one is made."""
    server = cluster.nats()
    a = cluster.node(url=server)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    with Forestaller(server.port, QUESTIONS, UNAVAILABLE) as between:
        b = cluster.node(url=f"nats://127.0.0.1:{between.port}")
        ha.assert_equal(a, b)
        with NatsClient(server.port) as nats:
            for name in nats.api("CONSUMER.NAMES.ha_replication-ha=2Edb")["consumers"]:
                nats.api(f"CONSUMER.DELETE.ha_replication-ha=2Edb.{name}")
        a.query("INSERT INTO t (v) VALUES ('after')")
        ha.wait_until(lambda: b.query("SELECT count(*) FROM t").value == 1, what="the node follows again")
        ha.assert_equal(a, b)


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
