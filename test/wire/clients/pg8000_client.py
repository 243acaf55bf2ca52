"""pg8000, written in Python alone."""

import datetime
import decimal
import io
import os

import pg8000.native

passed = 0


def check(condition, what=""):
    global passed
    assert condition, what
    passed += 1


c = pg8000.native.Connection(os.environ["PGUSER"], host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]),
                             password=os.environ["PGPASSWORD"], database=os.environ["PGDATABASE"])
at = datetime.datetime(2024, 2, 29, 12, 34, 56)
c.run("CREATE TABLE p (a INTEGER, b TEXT, c NUMERIC, d TIMESTAMP, e BYTEA, f BOOLEAN)")
c.run("INSERT INTO p VALUES (:a, :b, :c, :d, :e, :f)", a=1, b="ä", c=decimal.Decimal("1.25"), d=at, e=b"\0\xff", f=True)
check(c.run("SELECT * FROM p") == [[1, "ä", decimal.Decimal("1.25"), at, b"\0\xff", True]])
prepared = c.prepare("SELECT b FROM p WHERE a = :v")
check(prepared.run(v=1) == [["ä"]])
prepared.close()
check(c.run("SELECT a FROM p WHERE a = ANY(:v)", v=[1, 2]) == [[1]])
c.run("BEGIN")
try:
    c.run("SELECT * FROM nowhere")
except pg8000.native.DatabaseError as e:
    check(e.args[0]["C"] == "42P01")
c.run("ROLLBACK")
out = io.StringIO()
c.run("COPY p (a, b) TO STDOUT WITH (FORMAT CSV)", stream=out)
check(out.getvalue() == "1,ä\n")
c.run("COPY p (a, b) FROM STDIN", stream=io.StringIO("2\tx\n3\ty\n"))
check(c.run("SELECT count(*) FROM p") == [[3]])
c.close()
print("passed", passed)
