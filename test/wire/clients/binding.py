"""psycopg with libpq 18, which hashes certificates of every kind for channel binding."""

import psycopg

with psycopg.connect(sslmode="require", channel_binding="require") as c:
    assert c.execute("SELECT 1").fetchone() == (1,)
print("passed 1")
