"""The drivers of Go: pgx in all its query modes, and lib/pq, which Grafana has."""

import os
import shutil

import pytest

import ha

PROGRAM = os.path.join(ha.ROOT, os.environ.get("BUILD", "build"), "go", "pgclients")


@pytest.mark.skipif(not shutil.which("go"), reason="no Go compiler here")
def test_go_drivers(pg):
    assert os.path.exists(PROGRAM), f"{PROGRAM} is missing: `make go-clients`"
    assert pg.run(PROGRAM).stdout.strip() == "passed 31"
