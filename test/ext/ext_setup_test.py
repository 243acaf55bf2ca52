"""What is said wrongly, and hosts that cannot have a replica; connections that want credentials."""

import os
import subprocess

import pytest

import ha
from external_test import SOURCE
from hosts import EXTENSION, SUBJECT, Python, Shell, SqlError, assert_replica, environment

OPTIONS = [
    ("", "servers.. is missing|\"servers\" is missing"),
    ("servers='http://localhost:1'", "no scheme of NATS"),
    ("servers='nats://localhost:port'", "'port' is no port"),
    ("servers='nats://h', nonsense=1", "no option .nonsense."),
    ("servers='nats://h', nonsense", "not key=value"),
    ("servers='nats://h', timeout=soon", "invalid .timeout."),
    ("servers='nats://h', timeout=-1", "invalid .timeout."),
    ("servers='nats://h', row_identify=name", "pk, rowid or full"),
    ("servers='nats://h', insecure=perhaps", "true or false"),
    ("servers='nats://h', consistency=eventual", "lww or serializable"),
    ("servers='nats://h', writes=maybe", "refuse or allow"),
    ("servers='nats://h', logger=here", "stdout, stderr or file:PATH"),
    ("servers='nats://h', logger='file:/no/such/directory/log'", "cannot open"),
    ("servers='nats://h', cert_file=a.pem", "belong together"),
    ("servers='nats://h', password=x", "needs .username."),
    ("servers='nats://h', token='a\"b'", ".token.: must not have double quotes"),
    ("servers='nats://h', extensions=/tmp/x.so", "may load extensions just now"),
]


@pytest.mark.parametrize("options,message", OPTIONS)
def test_options_that_are_wrong(cluster, options, message):
    with Python(cluster) as r:
        r.load()
        with pytest.raises(SqlError, match=message):
            r.query(f"CREATE VIRTUAL TABLE temp.ha USING ha({options})")
        assert r.query("SELECT name FROM sqlite_temp_schema") == []


def test_rows_that_are_wrong(cluster):
    node = cluster.node()
    with Python(cluster) as r:
        r.load()
        r.create(node.nats_url, timeout=2000)
        for subject in ("", "ha_replication", "ha_replication.", ".ha.db", "a.*", "a b.c", "x" * 65 + ".a"):
            with pytest.raises(SqlError, match="STREAM.DATABASE"):
                r.insert(subject)
        with pytest.raises(SqlError, match="subject is missing"):
            r.query("INSERT INTO temp.ha(durable) VALUES ('x')")
        for policy in ("sometimes", "by_start_sequence=x", "by_start_time=yesterday"):
            with pytest.raises(SqlError, match=f"'{policy.split('=')[-1]}' is not"):
                r.insert(policy=policy)
        with pytest.raises(SqlError, match="there is no log .ha_replication-nothing"):
            r.insert("ha_replication.nothing")
        assert r.query("SELECT * FROM temp.ha") == []
        r.insert()
        with pytest.raises(SqlError, match="UPDATE of .ha. is not supported"):
            r.query("UPDATE temp.ha SET policy = 'new'")
        with pytest.raises(SqlError, match="already"):
            r.insert()
        assert r.query("SELECT subject, durable, policy FROM temp.ha") == [[SUBJECT, "test", ""]]


def test_a_server_that_is_not_there(cluster):
    port = ha.free_port()
    with Python(cluster) as r:
        r.load()
        r.create(f"nats://127.0.0.1:{port}", timeout=300)
        with pytest.raises(SqlError, match="NATS is not connected"):
            r.insert()
        assert r.query("SELECT * FROM temp.ha") == []
    # Whoever does not want to wait gets a replica that comes about by itself.
    node = cluster.node(nats_port=port, start=False)
    with Python(cluster) as r:
        r.load()
        r.create(node.nats_url, timeout=0)
        r.insert()
        assert r.stats()["state"] in ("connecting", "offline")
        node.start()
        node.query("CREATE TABLE t (a)")
        ha.wait_until(lambda: r.stats()["seq"] is not None, what="the replica has come about")
        assert_replica(r, node)
    # One that has been a replica is one, whether or not anybody is there.
    node.terminate()
    with Python(cluster) as r:
        r.load()
        r.create(node.nats_url, timeout=3600000)
        r.insert()
        assert r.query("SELECT count(*) FROM t") == [[0]]
        assert r.wait_state("offline", "NATS is not connected")["lag"] is not None


def test_databases_that_hold_no_replica(cluster):
    with Python(cluster, ":memory:") as r:
        r.load()
        with pytest.raises(SqlError, match="the database is in memory"):
            r.create("nats://h")
    with Python(cluster) as r:
        r.load()
        with pytest.raises(SqlError, match="CREATE VIRTUAL TABLE temp.ha USING ha"):
            r.query("CREATE VIRTUAL TABLE ha USING ha(servers='nats://h')")
        assert r.query("SELECT * FROM ha_stats") == []
        with pytest.raises(SqlError, match="takes a seq"):
            r.query("SELECT ha_wait('soon')")
    with open(os.path.join(cluster.directory, "text.db"), "w", encoding="utf-8") as f:
        f.write("this is no database" * 100)
    node = cluster.node()
    with Python(cluster, "text.db") as r, pytest.raises(SqlError, match="not a database"):
        r.follow(node)


def test_what_the_tables_need(cluster, tmp_path):
    """A function in an index, which an extension of the nodes has."""
    (tmp_path / "twice.c").write_text(SOURCE)
    library = ha.compiled(str(tmp_path / "twice.c"), str(tmp_path / "twice.so"), "-shared", "-fPIC",
                          f"-I{ha.ROOT}/build/sqlite")
    node = cluster.node(args=["--extensions", library])
    node.query("CREATE TABLE t (a)")
    with Python(cluster) as r, Shell(cluster, "other.db") as other:
        r.follow(node)
        other.follow(node, extensions=library)
        node.script("CREATE INDEX i ON t (twice(a))", "INSERT INTO t VALUES (21)")
        r.wait_state("stopped", "no such function: twice")
        assert_replica(other, node)


SINGLE = """
import ctypes, sys
lib = ctypes.CDLL("libsqlite3.so.0")
assert lib.sqlite3_config(1) == 0  # SQLITE_CONFIG_SINGLETHREAD
db, why = ctypes.c_void_p(), ctypes.c_char_p()
assert lib.sqlite3_open(b":memory:", ctypes.byref(db)) == 0
lib.sqlite3_enable_load_extension(db, 1)
rc = lib.sqlite3_load_extension(db, sys.argv[1].encode(), None, ctypes.byref(why))
print(rc, why.value.decode())
"""


def test_a_sqlite_without_threads():
    p = subprocess.run(["/usr/bin/python3", "-c", SINGLE, EXTENSION], capture_output=True, text=True, check=True,
                       env=environment())
    assert p.stdout.startswith("1 ") and "is used without threads" in p.stdout


class Guarded(ha.NatsServer):
    """A server that wants something of its clients: `lines` of its configuration."""

    lines = ""

    def config(self):
        return super().config() + self.lines


def guarded(cluster, lines):
    server = Guarded("guarded", os.path.join(cluster.directory, "guarded"))
    server.lines = lines
    cluster.processes.append(server)
    return server.start()


@pytest.mark.parametrize("lines,url,right,wrong", [
    ('authorization { token: "s3cret" }\n', "s3cret@", {"token": "s3cret"}, {"token": "other"}),
    ('authorization { user: "u", password: "p" }\n', "u:p@", {"username": "u", "password": "$HA_TEST_PASS"}, {"username": "u", "password": "q"}),
])
def test_credentials(cluster, monkeypatch, lines, url, right, wrong):
    monkeypatch.setenv("HA_TEST_PASS", "p")
    environment.cache_clear()
    server = guarded(cluster, lines)
    node = cluster.node(url=f"nats://{url}127.0.0.1:{server.port}")
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster) as r:
        r.load()
        r.create(server.nats_url, timeout=1000, **wrong)
        with pytest.raises(SqlError, match="(?i)authorization"):
            r.insert()
        r.query("DROP TABLE temp.ha")
        r.create(server.nats_url, timeout=30000, **right)
        r.insert()
        assert_replica(r, node)
    with Python(cluster, "url.db") as r:
        r.follow(server, servers=f"nats://{url}127.0.0.1:{server.port}")
        assert_replica(r, node)


def test_credentials_that_change(cluster):
    """The library gives a connection up that is refused twice; the replica does not."""
    server = guarded(cluster, 'authorization { token: "one" }\n')
    node = cluster.node(url=f"nats://one@127.0.0.1:{server.port}")
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    with Python(cluster) as r:
        r.follow(server, token="one").caught_up(node)
        node.terminate()
        server.terminate()
        server.lines = 'authorization { token: "two" }\n'
        server.start()
        ha.wait_until(lambda: "uthorization" in r.stats()["reason"], what="the replica says why")
        server.terminate()
        server.lines = 'authorization { token: "one" }\n'
        server.start()
        r.wait_state("following")
        node.start()
        node.query("INSERT INTO t VALUES (2)")
        assert_replica(r, node)


def certificate(directory, name, *flags):
    key, cert = os.path.join(directory, f"{name}.key"), os.path.join(directory, f"{name}.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", f"/CN={name}", *flags], check=True, capture_output=True)
    return cert, key


def test_tls(cluster):
    cert, key = certificate(cluster.directory, "localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    mine, my_key = certificate(cluster.directory, "client")
    plain = cluster.nats()
    node = cluster.node(url=plain)
    node.script("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    # The same store behind a server that speaks TLS, and wants to see its clients' certificates.
    node.terminate()
    plain.terminate()
    server = guarded(cluster, f'tls {{ cert_file: "{cert}", key_file: "{key}", ca_file: "{mine}", verify: true }}\n'
                              f'jetstream {{ store_dir: "{plain.directory}/js" }}\n')
    url = f"tls://localhost:{server.port}"
    with Python(cluster) as r:
        r.load()
        r.create(url, timeout=1000, cert_file=mine, cert_key_file=my_key)
        with pytest.raises(SqlError, match="(?i)ssl|certificate"):
            r.insert()
        r.query("DROP TABLE temp.ha")
        r.create(url, timeout=1000, ca_file=os.path.join(cluster.directory, "none.pem"))
        with pytest.raises(SqlError, match="(?i)ssl|no such file|error"):
            r.insert()
        r.query("DROP TABLE temp.ha")
        r.create(url, timeout=30000, ca_file=cert, cert_file=mine, cert_key_file=my_key)
        r.insert()
        r.wait_state("following")
        assert r.query("SELECT a FROM t") == [[1]]
    with Python(cluster, "insecure.db") as r:
        r.follow(server, servers=url, insecure="true", cert_file=mine, cert_key_file=my_key)
        r.wait_state("following")
        assert r.query("SELECT a FROM t") == [[1]]
