"""What psycopg2 sends."""
import datetime
import io
import os

import psycopg2
import psycopg2.extras

env = os.environ
c = psycopg2.connect(host=env["PGHOST"], port=env["PGPORT"], user=env["PGUSER"], dbname=env["PGDATABASE"],
                     password=env["PGPASSWORD"])
cur = c.cursor()
cur.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT, f DOUBLE PRECISION, b BYTEA, d DATE, ok BOOLEAN)")
cur.execute("INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s)", (1, "it's ☃ \\", 1.5, b"\0\xff", datetime.date(2024, 2, 29), True))
c.commit()
cur.execute("SELECT * FROM t")
cur.fetchall()
cur.execute("SAVEPOINT a")
for bad in ("INSERT INTO t (id) VALUES (1)", "SELECT * FROM missing", "SELECT missing FROM t"):
    try:
        cur.execute(bad)
    except psycopg2.Error:
        cur.execute("ROLLBACK TO SAVEPOINT a")
cur.execute("RELEASE SAVEPOINT a")
c.rollback()
psycopg2.extras.execute_values(cur, "INSERT INTO t (id, v) VALUES %s", [(i, f"v{i}") for i in range(2, 12)])
cur.copy_expert("COPY t (id, v) FROM STDIN WITH CSV", io.StringIO('20,"a,b"\n21,\n'))
out = io.StringIO()
cur.copy_expert("COPY (SELECT id, v FROM t ORDER BY id) TO STDOUT", out)
c.commit()
with c.cursor("named") as named:
    named.itersize = 5
    named.execute("SELECT id FROM t ORDER BY id")
    named.fetchmany(3)
    named.fetchall()
c.rollback()
c.autocommit = True
cur.execute("UPDATE t SET v = NULL WHERE id > 5")
cur.execute("DELETE FROM t WHERE id = 1 RETURNING id, d")
c.close()
