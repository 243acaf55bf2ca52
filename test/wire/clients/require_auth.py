"""psycopg with libpq 18: the client insists on the way in which the server asks for its password (REQUIRED)."""

import os

import psycopg

with psycopg.connect(require_auth=os.environ["REQUIRED"]) as c:
    assert c.execute("SELECT 1").fetchone() == (1,)
try:
    psycopg.connect(require_auth="scram-sha-256")
except psycopg.OperationalError as e:
    assert "authentication method requirement" in str(e), e
else:
    raise AssertionError("the server asked by SCRAM")
print("passed 2")
