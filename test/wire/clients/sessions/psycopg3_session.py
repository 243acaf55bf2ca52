"""What psycopg 3 sends: parameters with types, statements prepared by repetition, pipelines, binary."""
import os

import psycopg

env = os.environ
c = psycopg.connect(host=env["PGHOST"], port=env["PGPORT"], user=env["PGUSER"], dbname=env["PGDATABASE"],
                    password=env["PGPASSWORD"])
c.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT, f DOUBLE PRECISION, b BYTEA)")
for i in range(8):
    c.execute("INSERT INTO t VALUES (%s, %s, %s, %s)", (i, f"v{i} ☃", i / 4, bytes([i])))
c.commit()
for binary in (False, True):
    with c.cursor(binary=binary) as cur:
        cur.execute("SELECT * FROM t WHERE id = %s", (3,)).fetchall()
        cur.execute("SELECT id, f FROM t WHERE v = %s OR b = %s", ("v1 ☃", b"\2")).fetchall()
with c.transaction():
    c.execute("UPDATE t SET f = %s WHERE id = %s", (None, 1))
    try:
        with c.transaction():
            c.execute("INSERT INTO t (id) VALUES (%s)", (1,))
    except psycopg.errors.UniqueViolation:
        pass
c.cursor().executemany("INSERT INTO t (id, v) VALUES (%s, %s)", [(i, "many") for i in range(100, 105)])
try:
    with c.pipeline():
        c.execute("SELECT id FROM t WHERE id = %s", (1,))
        c.execute("INSERT INTO t (id) VALUES (%s)", (1,))
        c.execute("SELECT id FROM t WHERE id = %s", (2,))
except psycopg.errors.UniqueViolation:
    pass
c.rollback()
with c.cursor() as cur:
    with cur.copy("COPY t (id, v) FROM STDIN") as copy:
        for i in range(200, 203):
            copy.write_row((i, f"copied\t{i}"))
    with cur.copy("COPY (SELECT id, v FROM t WHERE id >= 200 ORDER BY id) TO STDOUT (FORMAT BINARY)") as copy:
        for _ in copy:
            pass
c.commit()
with c.cursor(name="named") as cur:
    cur.execute("SELECT id FROM t ORDER BY id")
    cur.fetchmany(3)
    cur.fetchall()
c.rollback()
c.close()
