"""The clients of Node: node-postgres, postgres.js and Knex, at the versions of npm/package.json."""

import os
import re

import pytest

import pg as pg_module


@pytest.mark.parametrize("script,checks", [("node_pg.js", 7), ("postgres_js.js", 8), ("knex.js", 1),
                                           ("sequelize.js", 4),
                                           ("typeorm.js", 1)])
def test_node_client(pg, script, checks):
    assert os.path.isdir(pg_module.NODE_MODULES), f"{pg_module.NODE_MODULES} is missing: `make node-clients`"
    p = pg.run("node", os.path.join(pg_module.CLIENTS, script), env={"TZ": "UTC"})
    assert re.search(r"^passed (\d+)$", p.stdout, re.M).group(1) == str(checks)
