"""The clients of Node: node-postgres, postgres.js and Knex, at the versions of npm/package.json."""

import os
import re

import pytest

import pg as pg_module


# To be taken out with the weakness: Knex adds foreign keys by ALTER TABLE.
ADDED_KEYS = pytest.mark.xfail(not pg_module.REFERENCE, strict=True, reason="ADD FOREIGN KEY is ignored")


@pytest.mark.parametrize("script,checks", [("node_pg.js", 7), ("postgres_js.js", 8), pytest.param("knex.js", 1, marks=ADDED_KEYS)])
def test_node_client(pg, script, checks):
    assert os.path.isdir(pg_module.NODE_MODULES), f"{pg_module.NODE_MODULES} is missing: `make node-clients`"
    p = pg.run("node", os.path.join(pg_module.CLIENTS, script), env={"TZ": "UTC"})
    assert re.search(r"^passed (\d+)$", p.stdout, re.M).group(1) == str(checks)
