"""pgJDBC, where a Java compiler is installed: scripts/install-deps does not bring one, for its size."""

import os
import shutil

import pytest

import pg as pg_module

PROGRAM = os.path.join(pg_module.CLIENTS, "Jdbc.java")


@pytest.mark.skipif(not shutil.which("javac") or not os.path.exists(pg_module.JDBC), reason="no Java compiler here")
def test_jdbc(pg):
    # From the source in one go.
    p = pg.run("java", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp", pg_module.JDBC, PROGRAM)
    assert p.stdout.strip() == "passed 5"
