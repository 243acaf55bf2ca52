"""--cert and --key: HTTP and gRPC with TLS, on one port, with real clients."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import ha
import rpc
from ha import CATCH_UP_S, SLOW, wait_until
from rpc import grpc


def certificate(directory, name="server", hosts="DNS:localhost,IP:127.0.0.1"):
    cert, key = os.path.join(directory, f"{name}.pem"), os.path.join(directory, f"{name}.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj",
                    "/CN=localhost", "-addext", f"subjectAltName={hosts}"], check=True, capture_output=True)
    return cert, key


class Secure:
    """A node that speaks TLS alone, so that the harness's own requests, which are plain, do not reach it."""

    def __init__(self, cluster, **options):
        self.cert, self.key = certificate(cluster.directory)
        self.node = cluster.node(args=["--cert", self.cert, "--key", self.key, *options.pop("args", [])], start=False, **options)
        self.port = self.node.port
        self.start()

    def start(self):
        self.node.start(wait=False)
        wait_until(self.ready, ha.READY_S, "/readyz over TLS")

    def context(self):
        return ssl.create_default_context(cafile=self.cert)

    def connect(self, timeout=60):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout * SLOW)
        return self.context().wrap_socket(s, server_hostname="localhost")

    def request(self, method, path, body=None):
        c = http.client.HTTPSConnection("localhost", self.port, context=self.context(), timeout=60 * SLOW)
        try:
            c.request(method, path, body)
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def query(self, sql, params=()):
        status, body = self.request("POST", "/query", json.dumps({"sql": sql, "params": list(params)}))
        assert status == 200, body
        return json.loads(body)["rows"]

    def ready(self):
        assert self.node.running(), self.node.log()
        return self.request("GET", "/readyz")[0] == 200

    def client(self):
        with open(self.cert, "rb") as f:
            return rpc.Client(self.port, credentials=grpc.ssl_channel_credentials(f.read()))


@pytest.fixture
def secure(cluster):
    return Secure(cluster)


def curl(*args):
    return subprocess.run(["curl", "-sS", *args], capture_output=True, text=True, timeout=60 * SLOW, check=False)


def ha_client(*args, **env):
    return subprocess.run([ha.BINARY, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLOW,
                          env={**os.environ, **env}, check=False)


@pytest.mark.parametrize("version", [["--tlsv1.3"], ["--tls-max", "1.2"]])
def test_curl(secure, version):
    url = f"https://localhost:{secure.port}"
    p = curl("--cacert", secure.cert, *version, "-d", '{"sql": "SELECT 1 AS one"}', url + "/query")
    assert p.returncode == 0 and json.loads(p.stdout) == {"columns": ["one"], "rows": [[1]]}, (p.stdout, p.stderr)
    # It offers HTTP/2, too, which is gRPC's; and does not trust whom it does not know.
    p = curl("--cacert", secure.cert, *version, "--http2", "-w", "%{http_version}", url + "/readyz")
    assert p.returncode == 0 and p.stdout == "ok\n1.1", (p.stdout, p.stderr)
    assert curl(*version, url + "/readyz").returncode == 60
    assert curl("--tls-max", "1.1", "-k", url + "/readyz").returncode == 35


def test_large_bodies_both_ways(secure):
    secure.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    text = "x" * 3_000_000
    secure.query("INSERT INTO t (v) VALUES (?)", [text])
    assert secure.query("SELECT v FROM t") == [[text]]
    secure.query("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) INSERT INTO t SELECT i, i FROM n")
    assert len(secure.query("SELECT id, v FROM t WHERE id > 1")) == 49999
    status, file = secure.request("GET", "/download")
    assert status == 200 and file.startswith(b"SQLite format 3\0") and len(file) % 4096 == 0
    # A request after the other, and several at once, on one connection.
    with secure.connect() as s:
        s.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
        seen = b""
        while seen.count(b"HTTP/1.1 200") < 5:
            piece = s.recv(65536)
            assert piece, seen
            seen += piece


def test_client_and_commands(secure, tmp_path):
    url = f"https://localhost:{secure.port}"
    p = ha_client("-r", url, "--cacert", secure.cert, "--mode", "csv", "-c", "CREATE TABLE t (a); INSERT INTO t VALUES (5); SELECT * FROM t")
    assert p.returncode == 0 and p.stdout.split() == ["a", "5"], (p.stdout, p.stderr)
    p = ha_client("-r", url, "-c", "SELECT 1")
    assert p.returncode != 0 and "certificate" in p.stderr, p.stderr
    p = ha_client("-r", url, "-c", "SELECT 1", "--cacert", str(tmp_path / "nonesuch"))
    assert p.returncode != 0 and p.stderr, p.stderr
    p = ha_client("--cacert", secure.cert, "--check-config")
    assert p.returncode == 2 and "--cacert is for a client" in p.stderr
    p = ha_client("verify", "-r", url, "--cacert", secure.cert)
    assert p.returncode == 0 and "equal" in p.stdout, (p.stdout, p.stderr)
    p = ha_client("backup", "-r", url, str(tmp_path / "copy.db"), HA_CACERT=secure.cert)
    assert p.returncode == 0 and (tmp_path / "copy.db").stat().st_size > 0, p.stderr


def test_grpcio(secure):
    with secure.client() as c:
        assert c.check() == 1
        c.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        big = "y" * 2_000_000
        c.execute("INSERT INTO t VALUES (1, ?)", [big])
        assert rpc.rows(c.execute("SELECT v FROM t")) == [[big]]
        with c.session() as s:
            s.good("BEGIN")
            s.good("INSERT INTO t VALUES (2, 'two')")
            s.good("COMMIT")
        failures = []

        def work(k):
            try:
                for i in range(30):
                    c.execute("INSERT INTO t (v) VALUES (?)", [k * 100 + i])
                    assert len(list(c.stream("SELECT id, v FROM t WHERE id > 2"))) >= 1
            except Exception as e:  # pylint: disable=broad-except
                failures.append(e)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures[0]
        assert rpc.rows(c.execute("SELECT count(*) FROM t")) == [[2 + 16 * 30]]
    assert secure.query("SELECT count(*) FROM t") == [[2 + 16 * 30]]


def test_grpc_plain_to_tls(secure):
    with rpc.Client(secure.port) as c:
        code, _, _ = rpc.status_of(c.execute, "SELECT 1", timeout=5 * SLOW)
        assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def client_of_its_own(secure, *argv, **env):
    p = subprocess.run(argv, env={**os.environ, "GRPC_TARGET": f"localhost:{secure.port}", "GRPC_CACERT": secure.cert, **env},
                       capture_output=True, text=True, timeout=120 * SLOW, check=False)
    assert p.returncode == 0, p.stdout[-4000:] + p.stderr[-4000:]
    return p.stdout


def test_grpc_js(secure):
    modules = os.path.join(rpc.BUILD, "npm", "node_modules")
    assert os.path.isdir(modules), f"{modules} is missing: `make node-clients`"
    script = os.path.join(ha.ROOT, "test", "wire", "clients", "grpc_js.js")
    out = client_of_its_own(secure, "node", script, NODE_PATH=modules, PROTO=os.path.join(ha.ROOT, "proto"), PROTO_WELLKNOWN="/usr/include")
    assert "passed 10" in out


@pytest.mark.skipif(not shutil.which("go"), reason="no Go compiler here")
def test_grpc_go(secure):
    client = os.path.join(rpc.BUILD, "go", "grpcclient")
    assert os.path.exists(client), f"{client} is missing: `make go-clients`"
    assert re.search(r"^passed \d{3}$", client_of_its_own(secure, client, DESCRIPTORS=rpc.DESCRIPTORS), re.M)


def test_plain_requests_are_told(secure):
    """What is no TLS gets an answer, or the connection's end; nobody else waits for that."""
    p = curl("-w", "%{http_code}", f"http://localhost:{secure.port}/readyz")
    assert p.returncode == 0 and "this port speaks TLS" in p.stdout and p.stdout.endswith("400")
    for junk in (b"\x00" * 100, os.urandom(2000), b"\x16\x03\x01\xff\xff" + b"a" * 100, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", b"\x16"):
        with socket.create_connection(("127.0.0.1", secure.port), timeout=60 * SLOW) as s:
            try:
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            except OSError as e:  # a reset is an end, too
                assert not isinstance(e, TimeoutError)
    assert secure.ready()


def test_who_says_nothing(secure):
    """Neither a client that does not shake hands nor one that stops in the middle keeps the others waiting, or its thread."""
    silent = [socket.create_connection(("127.0.0.1", secure.port), timeout=60 * SLOW) for _ in range(40)]
    for s in silent[20:]:
        s.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    assert secure.query("SELECT 1") == [[1]]
    started = time.monotonic()
    for s in silent:
        assert s.recv(1000) == b"" or time.monotonic() - started < 30 * SLOW
        s.close()
    # One that is through with the handshake, and sends half a request, is given the idle time; a stop does not wait for it.
    with secure.connect() as s:
        s.sendall(b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert secure.node.terminate() == 0


def test_many_connections(secure):
    connections = [secure.connect() for _ in range(60)]
    for s in connections:
        s.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    for s in connections:
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
    # Ended without a word: by the network, as it were.
    for s in connections[:30]:
        s.close()
    assert secure.ready()
    with secure.client() as c:
        session = c.session()
        session.good("BEGIN")
        secure.node.signal(signal.SIGTERM)
        assert secure.node.wait_exit(CATCH_UP_S) == 0


def test_an_answer_that_nobody_takes(secure):
    """The client stops reading: the thread does not stay for ever, and the node ends in time."""
    secure.query("CREATE TABLE t (v)")
    secure.query("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO t SELECT hex(zeroblob(4000)) FROM n")
    body = b'{"sql": "SELECT v FROM t"}'
    with secure.connect() as s:
        s.sendall(b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        assert s.recv(1000)
        assert secure.query("SELECT count(*) FROM t") == [[2000]]
        assert secure.node.terminate() == 0


def test_killed_and_restarted(secure):
    secure.query("CREATE TABLE t (v)")
    with secure.connect() as s, secure.client() as c:
        s.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(4096)
        c.execute("INSERT INTO t VALUES (1)")
        secure.node.kill9()
        assert rpc.status_of(c.execute, "SELECT 1", timeout=20 * SLOW)[0] == grpc.StatusCode.UNAVAILABLE
        secure.start()
        wait_until(lambda: rpc.rows(c.execute("SELECT * FROM t")) == [[1]], CATCH_UP_S)


def test_two_nodes(cluster):
    """Each with its own certificate; what one has written with TLS the other has."""
    a = Secure(cluster)
    b = cluster.node(url=a.node)
    a.query("CREATE TABLE t (v)")
    a.query("INSERT INTO t VALUES (1)")
    wait_until(lambda: ha.synced(b))
    assert b.query("SELECT v FROM t").value == 1


BAD = {
    "no key": (["--cert", "{cert}"], "--cert and --key go together"),
    "no certificate": (["--key", "{key}"], "--cert and --key go together"),
    "missing": (["--cert", "/nonesuch.pem", "--key", "{key}"], '--cert "/nonesuch.pem"'),
    "no PEM": (["--cert", "{cert}", "--key", "{cert}"], "--key"),
    "another's key": (["--cert", "{cert}", "--key", "{other}"], "key values mismatch"),
}


@pytest.mark.parametrize("kind", sorted(BAD))
def test_bad_flags(tmp_path, kind):
    cert, key = certificate(tmp_path)
    _, other = certificate(tmp_path, "other")
    flags, reason = BAD[kind]
    flags = [f.format(cert=cert, key=key, other=other) for f in flags]
    p = subprocess.run([ha.BINARY, "-m", "--nats-port", "0", *flags, "--check-config"], cwd=tmp_path, stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=60 * SLOW, check=False)
    assert p.returncode == 2 and reason in p.stderr, (p.returncode, p.stderr)
