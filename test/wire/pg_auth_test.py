"""Who may connect and how: passwords, SCRAM, TLS, channel binding, read-only users, which node is the writer."""

import os
import subprocess

import psycopg
import psycopg2
import pytest

import ha
import pg as pg_module


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    d = tmp_path_factory.mktemp("tls")
    cert, key = d / "cert.pem", d / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days",
                    "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return str(cert), str(key)


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
