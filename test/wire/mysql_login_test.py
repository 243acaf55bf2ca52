"""Who is let in, by which method, with and without TLS, and where only a password's hash is known to the node."""

import hashlib
import os
import ssl
import subprocess

import pymysql
import pytest

import ha
import mysql_target as target
from mysql_target import rows, value

SALT, ROUNDS = "abcdefghij0123456789", 5


def stop(t):
    t.node.terminate()


def certificate(directory):
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj",
                    "/CN=ha", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return cert, key


def crypt_sha256(password, salt, rounds):
    """U. Drepper's SHA-256 crypt, which the C library has for salts of up to 16 characters, and MySQL for 20."""
    p, s = password.encode(), salt.encode()

    def sha(*parts):
        return hashlib.sha256(b"".join(parts)).digest()

    def stretch(digest, n):
        return (digest * (n // 32 + 1))[:n]

    b = sha(p, s, p)
    a, n = p + s + stretch(b, len(p)), len(p)
    while n:
        a += b if n & 1 else p
        n >>= 1
    a = sha(a)
    dp, ds = stretch(sha(p * len(p)), len(p)), stretch(sha(s * (16 + a[0])), len(s))
    for i in range(rounds):
        c = dp if i & 1 else a
        c += ds if i % 3 else b""
        c += dp if i % 7 else b""
        a = sha(c + (a if i & 1 else dp))
    alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    out = ""
    for x, y, z in ((0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14), (15, 25, 5), (6, 16, 26), (27, 7, 17), (18, 28, 8),
                    (9, 19, 29)):
        w = a[x] << 16 | a[y] << 8 | a[z]
        out += "".join(alphabet[w >> 6 * i & 63] for i in range(4))
    w = a[31] << 8 | a[30]
    return out + "".join(alphabet[w >> 6 * i & 63] for i in range(3))


def test_the_known_answer_of_the_crypt():
    """The test itself is right: what the C library answers to $5$saltstring."""
    assert crypt_sha256("Hello world!", "saltstring", 5000) == "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"


def test_tls(cluster):
    cert, key = certificate(cluster.directory)
    t = target.start_node(cluster, "--mysql-cert", cert, "--mysql-key", key)
    context = ssl.create_default_context(cafile=cert)
    with t.connect(ssl=context) as c:
        assert dict(rows(c, "SHOW STATUS LIKE 'Ssl_version'"))["Ssl_version"].startswith("TLS")
        assert value(c, "SELECT %s", ("x" * 1000000,)) == "x" * 1000000
    with t.connect(ssl_disabled=True) as c:
        assert dict(rows(c, "SHOW STATUS LIKE 'Ssl_version'")) == {"Ssl_version": ""}
    assert "TLS" in t.mysql("--ssl", f"--ssl-ca={cert}", "-N", "-e", "SHOW STATUS LIKE 'Ssl_version'")


def test_native_password(cluster):
    """Clients that know nothing newer, and nodes that are told the hash alone."""
    t = target.start_node(cluster)
    assert t.mysql("--default-auth=mysql_native_password", "-N", "-e", "SELECT 1") == "1\n"
    assert t.but(password="x").mysql("--default-auth=mysql_native_password", "-e", "SELECT 1", check=False).returncode == 1
    stop(t)
    digest = hashlib.sha1(hashlib.sha1(b"secret").digest()).hexdigest().upper()
    t = target.start_node(cluster, password="*" + digest).but(password="secret")
    assert t.mysql("--default-auth=mysql_native_password", "-N", "-e", "SELECT 1") == "1\n"


def test_full_authentication(cluster):
    """Of a password whose SHA-256 crypt is configured the node knows nothing else, until it has seen it: by RSA without TLS."""
    secret = f"$A${ROUNDS:03X}${SALT}{crypt_sha256('secret', SALT, ROUNDS * 1000)}"
    t = target.start_node(cluster, password=secret).but(password="secret")
    with pytest.raises(pymysql.OperationalError) as e:
        t.connect(password=b"wrong")
    assert e.value.args[0] == 1045
    for _ in range(2):  # the second time the quick proof is known
        with t.connect() as c:
            assert value(c, "SELECT 1") == 1
    with pytest.raises(pymysql.OperationalError):
        t.connect(password=b"wrong")
    assert t.mysql("-N", "-e", "SELECT 2") == "2\n"


def test_full_authentication_with_tls(cluster):
    cert, key = certificate(cluster.directory)
    secret = f"$A${ROUNDS:03X}${SALT}{crypt_sha256('secret', SALT, ROUNDS * 1000)}"
    t = target.start_node(cluster, "--mysql-cert", cert, "--mysql-key", key, password=secret).but(password="secret")
    with t.connect(ssl=ssl.create_default_context(cafile=cert)) as c:
        assert value(c, "SELECT 1") == 1


def test_no_password(cluster):
    t = target.start_node(cluster, password="").but(password="")
    with t.connect() as c:
        assert value(c, "SELECT CURRENT_USER()") == f"{target.USER}@%"
    assert t.mysql("-N", "-e", "SELECT 1") == "1\n"
    with pytest.raises(pymysql.OperationalError):
        t.connect(user="other")
    assert "--mysql-pass is empty" in t.node.log()


def test_configuration(cluster):
    cert, key = certificate(cluster.directory)
    for args, complaint in ((["--mysql-cert", cert], "go together"), (["--mysql-cert", key, "--mysql-key", key], "--mysql-cert"),
                            (["--mysql-pass", "x" * 300], "longer than")):
        node = cluster.node(args=["--mysql-port", str(ha.free_port()), *args], start=False)
        node.start(wait=False)
        assert node.wait_exit() != 0
        assert complaint in node.log()
