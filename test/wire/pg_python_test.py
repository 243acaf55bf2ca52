"""Clients of Python that speak the protocol themselves: asyncpg, pg8000."""

import pytest


@pytest.mark.parametrize("script,checks", [("asyncpg_client.py", 23), ("pg8000_client.py", 6)])
def test_python_client(pg, script, checks):
    assert pg.python(script) == checks
