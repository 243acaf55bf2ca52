"""Fixtures of the tests of sources: one PostgreSQL for all tests of a worker, a database of its own for each."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "wire"))

import ha  # noqa: E402
import pg_source  # noqa: E402


@pytest.fixture(scope="session")
def pg_server():
    cluster = ha.Cluster()
    server = pg_source.server(cluster)
    yield server
    cluster.close()


@pytest.fixture
def source(pg_server):
    """A Source: an empty database of a PostgreSQL that other tests use, too."""
    s = pg_source.Source(pg_server)
    yield s
    s.drop()

