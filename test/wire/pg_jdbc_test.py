"""pgJDBC. Its program is run from its source in one go, which takes a Java compiler."""

import os

import pg as pg_module

PROGRAM = os.path.join(pg_module.CLIENTS, "Jdbc.java")


def test_jdbc(pg):
    p = pg.run("java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp", pg_module.JDBC, PROGRAM)
    assert p.stdout.strip() == "passed 5"
