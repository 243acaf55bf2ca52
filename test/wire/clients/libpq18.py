"""psycopg with libpq 18: TLS from the first byte, protocol 3.2 with its longer cancel keys. CERT is the server's certificate."""

import os
import threading

import psycopg

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
TLS = {"host": "localhost", "hostaddr": "127.0.0.1", "sslmode": "verify-full", "sslrootcert": os.environ["CERT"]}
passed = 0


def check(condition):
    global passed
    assert condition
    passed += 1


def cancels(c):
    timer = threading.Timer(0.2, c.cancel_safe)
    timer.start()
    try:
        c.execute(ENDLESS)
    except psycopg.errors.QueryCanceled:
        c.rollback()
        return c.execute("SELECT 1").fetchone() == (1,)
    finally:
        timer.join()
    return False


assert psycopg.pq.version() >= 180000, psycopg.pq.version()
with psycopg.connect(**TLS, sslnegotiation="direct", channel_binding="require") as direct:
    check(direct.pgconn.ssl_in_use and cancels(direct))
with psycopg.connect(**TLS, max_protocol_version="3.0") as old:
    check(old.pgconn.full_protocol_version == 30000 and cancels(old))
with psycopg.connect(**TLS, min_protocol_version="3.2", max_protocol_version="3.2") as new:
    check(new.pgconn.full_protocol_version == 30002 and cancels(new))
with psycopg.connect(sslmode="disable", min_protocol_version="3.2", max_protocol_version="latest") as plain:
    check(plain.pgconn.full_protocol_version == 30002 and cancels(plain))
print("passed", passed)
