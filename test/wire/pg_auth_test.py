"""Who may connect and how: passwords, SCRAM, TLS, channel binding, read-only users, which node is the writer."""

import os
import re
import socket
import ssl
import subprocess

import psycopg
import psycopg2
import pytest

import ha
import pg as pg_module
import wire

# As a PostgreSQL stores the password "pencil".
SCRAM_OF_PENCIL = ("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"
                   "nQpbZ77WudtqufPwikHXGRt6g2QJ4zns8bZLw273DRM=:jn2amWP1q1h+jgjy0YTO14S6/F02SV7taipOeB7ef20=")


def make_certificate(directory, *algorithm):
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", *(algorithm or ("-newkey", "rsa:2048")), "-nodes", "-keyout", key, "-out", cert,
                    "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return str(cert), str(key)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(cluster, certificate):
    cert, key = certificate
    if not pg_module.REFERENCE:
        return pg_module.start_node(cluster, "--pg-cert", cert, "--pg-key", key)
    server = pg_module.Postgres(os.path.join(cluster.directory, "postgres"),
                                ["ssl=on", f"ssl_cert_file={cluster.directory}/c.pem",
                                 f"ssl_key_file={cluster.directory}/k.pem"])
    for source, name in ((cert, "c.pem"), (key, "k.pem")):
        with open(source, "rb") as f, open(os.path.join(cluster.directory, name), "wb") as out:
            out.write(f.read())
        os.chmod(out.name, 0o600)
        if os.geteuid() == 0:
            os.chown(out.name, 65534, 65534)
    cluster.processes.append(server)
    return server.start()


def refused(sqlstate_or_text, **keywords):
    with pytest.raises(psycopg.OperationalError) as e:
        psycopg.connect(**keywords)
    assert sqlstate_or_text in str(e.value)


def test_wrong_password_user_and_database(pg):
    k = pg.keywords()
    refused("password authentication failed", **{**k, "password": "wrong"})
    refused("password authentication failed", **{**k, "user": "nobody_here"})
    refused("no password supplied" if pg_module.REFERENCE else "password", **{**k, "password": ""})
    refused("does not exist" if pg_module.REFERENCE else "nowhere", **{**k, "dbname": "nowhere"})
    with psycopg2.connect(**k) as c:
        assert c.info.ssl_in_use is False
    # The refusals have their SQLSTATE.
    p = pg.but(password="wrong").run("psql", "-X", "-c", "SELECT 1", check=False)
    assert p.returncode == 2
    # Still there for those who know it.
    assert pg.value("SELECT 1") == "1"


def test_parameters_of_the_session(pg):
    with psycopg.connect(**pg.keywords(), application_name="mine") as c:
        status = c.info.parameter_status
        assert status("server_version").split(".")[0] == "15" and c.info.server_version // 10000 == 15
        assert status("client_encoding") == "UTF8" and status("server_encoding") == "UTF8"
        assert status("standard_conforming_strings") == "on" and status("integer_datetimes") == "on"
        assert status("DateStyle").startswith("ISO") and status("application_name") == "mine"
        assert status("in_hot_standby") == "off" and status("default_transaction_read_only") == "off"
        assert c.execute("SHOW server_version_num").fetchone()[0].startswith("15")
        assert c.execute("SELECT current_setting('server_version_num')").fetchone()[0].startswith("15")
        c.execute("SET application_name TO 'other'")
        assert status("application_name") == "other"
        assert c.execute("SHOW application_name").fetchone() == ("other",)


def test_tls_and_channel_binding(tls, certificate):
    k = {**tls.keywords(), "host": "localhost", "hostaddr": "127.0.0.1"}
    with psycopg.connect(**k, sslmode="verify-full", sslrootcert=certificate[0], channel_binding="require") as c:
        assert c.execute("SELECT 1").fetchone() == (1,)
        assert c.pgconn.ssl_in_use
    with psycopg.connect(**k, sslmode="disable") as c:
        assert not c.pgconn.ssl_in_use
    refused("password authentication failed", **{**k, "password": "wrong", "sslmode": "require"})
    # As much as several TLS records, both ways.
    with psycopg2.connect(**k, sslmode="require") as c, c.cursor() as cur:
        cur.execute("CREATE TABLE t (a TEXT)")
        cur.execute("INSERT INTO t VALUES (%s)", ("x" * 300000,))
        cur.execute("SELECT a FROM t")
        assert cur.fetchone() == ("x" * 300000,)


@pytest.mark.parametrize("algorithm", [
    ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-sha384"),
    ("-newkey", "rsa:2048", "-sha512", "-sigopt", "rsa_padding_mode:pss"),
    ("-newkey", "rsa:2048", "-sha1"),
], ids=["ecdsa-sha384", "rsa-pss-sha512", "rsa-sha1"])
def test_channel_binding_by_the_certificates_digest(cluster, ha_only, tmp_path, algorithm):
    """tls-server-end-point hashes the certificate with its own signature's digest."""
    cert, key = make_certificate(tmp_path, *algorithm)
    target = pg_module.start_node(cluster, "--pg-cert", cert, "--pg-key", key)
    assert target.python("binding.py") == 1


def test_direct_tls_and_protocol_3_2(tls, certificate, ha_only):
    assert tls.python("libpq18.py", CERT=certificate[0]) == 4


def test_direct_tls_needs_the_protocols_name(tls, ha_only):
    """A TLS client of another protocol must not be able to talk to this port by accident (ALPACA)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", tls.port), 30) as s, context.wrap_socket(s) as t:
        assert b"ALPN" in t.recv(1000) and t.recv(1000) == b""
    context.set_alpn_protocols(["http/1.1"])
    with socket.create_connection(("127.0.0.1", tls.port), 30) as s, pytest.raises(ssl.SSLError):
        context.wrap_socket(s)
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection(("127.0.0.1", tls.port), 30) as s, context.wrap_socket(s) as t:
        assert t.selected_alpn_protocol() == "postgresql"
    # Half a handshake harms nobody.
    with socket.create_connection(("127.0.0.1", tls.port), 30) as s:
        s.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert tls.value("SELECT 1") == "1"


@pytest.mark.parametrize("auth,required", [("md5", "md5"), ("password", "password")])
def test_other_ways_to_ask_for_the_password(cluster, ha_only, auth, required):
    path = os.path.join(cluster.directory, "users")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"ann secret1\nscram {SCRAM_OF_PENCIL}\n")
    target = pg_module.start_node(cluster, "--pg-auth", auth, "--pg-users", path)
    for t in (target, target.but(user="ann", password="secret1")):
        with psycopg.connect(**t.keywords()) as c:
            assert c.execute("SELECT current_user").fetchone() == (t.user,)
        refused("password authentication failed", **{**t.keywords(), "password": "wrong"})
        refused("password", **{**t.keywords(), "password": ""})
    refused("password authentication failed", **{**target.keywords(), "user": "nobody_here"})
    # Of whom only a SCRAM secret is known, he cannot prove himself in another way.
    refused("password authentication failed", **{**target.keywords(), "user": "scram", "password": "pencil"})
    assert target.python("require_auth.py", REQUIRED=required) == 2


def test_scram_secret_instead_of_a_password(cluster, ha_only):
    path = os.path.join(cluster.directory, "users")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"ann {SCRAM_OF_PENCIL} read-only\n")
    ann = pg_module.start_node(cluster, "--pg-users", path).but(user="ann", password="pencil")
    assert ann.value("SHOW transaction_read_only") == "on"
    refused("password authentication failed", **{**ann.keywords(), "password": "pen"})


def test_salt_tells_nothing_about_users(pg, ha_only):
    """Asked twice, a user who does not exist has the same salt as before, and another than others, like one who does."""
    def salt(user):
        with wire.Connection(pg.port) as c:
            c.send(wire.startup(user=user, database=pg.database))
            assert c.receive()[0] == "R"
            first = b"n,,n=,r=abcdefgh"
            c.send(wire.message("p", b"SCRAM-SHA-256\0" + len(first).to_bytes(4, "big") + first))
            return re.search(rb"s=([^,]*),i=4096", c.receive()[1]).group(1)

    assert salt("nobody") == salt("nobody") and salt(pg.user) == salt(pg.user)
    assert len({salt("nobody"), salt("somebody"), salt(pg.user)}) == 3
    assert len(salt("nobody")) == len(salt(pg.user))


def test_no_tls_where_there_is_no_certificate(pg):
    refused("SSL", **pg.keywords(), sslmode="require")
    with psycopg.connect(**pg.keywords(), sslmode="prefer") as c:
        assert not c.pgconn.ssl_in_use


def test_read_only_transaction(pg):
    pg.psql("CREATE TABLE t (a INTEGER)")
    with psycopg.connect(**pg.keywords(), autocommit=True) as c:
        c.execute("BEGIN READ ONLY")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            c.execute("INSERT INTO t VALUES (1)")
        c.execute("ROLLBACK")
        c.execute("SET default_transaction_read_only = on")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            c.execute("INSERT INTO t VALUES (1)")
        assert c.execute("SHOW transaction_read_only").fetchone() == ("on",)
    assert pg.value("SELECT count(*) FROM t") == "0"


def test_several_users(cluster, ha_only):
    path = os.path.join(cluster.directory, "users")
    with open(path, "w", encoding="utf-8") as f:
        f.write("# name password [read-only]\nann secret1\nreader secret2 read-only\n")
    os.chmod(path, 0o600)
    pg = pg_module.start_node(cluster, "--pg-users", path)
    ann, reader = pg.but(user="ann", password="secret1"), pg.but(user="reader", password="secret2")
    ann.psql("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)")
    assert reader.value("SELECT a FROM t") == "1"
    with psycopg.connect(**reader.keywords(), autocommit=True) as c:
        for sql in ("INSERT INTO t VALUES (2)", "CREATE TABLE u (a INTEGER)", "DELETE FROM t", "DROP TABLE t"):
            with pytest.raises(psycopg.Error) as e:
                c.execute(sql)
            assert e.value.sqlstate in ("42501", "25006")
    refused("password authentication failed", **{**reader.keywords(), "password": "secret1"})


def test_target_session_attrs(pg):
    for attrs in ("any", "read-write", "primary", "prefer-standby"):
        with psycopg.connect(**pg.keywords(), target_session_attrs=attrs) as c:
            assert c.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
    refused("", **pg.keywords(), target_session_attrs="standby")
    # The first of the list that nobody listens on is passed over.
    k = pg.keywords()
    k.update(host="127.0.0.1,127.0.0.1", port=f"{ha.free_port()},{pg.port}")
    with psycopg.connect(**k, target_session_attrs="read-write") as c:
        assert c.info.port == pg.port


def test_target_session_attrs_among_several_hosts(cluster, ha_only):
    """A user who may only read on the first node and write on the second: libpq goes where the session is of the wanted kind."""
    def node(mode, url=None):
        path = os.path.join(cluster.directory, f"users{mode}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"ann secret{mode}\n")
        target = pg_module.start_node(cluster, "--pg-users", path, **({"url": url} if url else {}))
        return target.but(user="ann", password="secret")

    reads = node(" read-only")
    writes = node("", reads.node)
    hosts = {**reads.keywords(), "host": "127.0.0.1,127.0.0.1", "port": f"{reads.port},{writes.port}"}
    for attrs, port in (("any", reads.port), ("read-only", reads.port), ("read-write", writes.port), ("primary", reads.port),
                        ("prefer-standby", reads.port)):
        with psycopg.connect(**hosts, target_session_attrs=attrs) as c:
            assert c.info.port == port, attrs
        p = reads.run("psql", "-X", "-At", "-c", "\\echo :PORT", env={
            "PGHOST": hosts["host"], "PGPORT": hosts["port"], "PGTARGETSESSIONATTRS": attrs})
        assert p.stdout.strip() == str(port), attrs
    refused("", **hosts, target_session_attrs="standby")
