"""Fixtures of the wire tests: one server for all tests of a worker, a database of its own for each."""

import os

import pytest

import ha
import mysql_target
import pg as pg_module


@pytest.fixture(scope="session")
def pg_server():
    if not pg_module.REFERENCE and not os.path.exists(ha.BINARY):
        pytest.fail(f"{ha.BINARY} was not built")
    cluster = ha.Cluster()
    if pg_module.REFERENCE:
        server = pg_module.Postgres(os.path.join(cluster.directory, "postgres"), ["fsync=off"])
        cluster.processes.append(server)
        target = server.start()
    else:
        target = pg_module.start_node(cluster)
    yield target
    cluster.close()


@pytest.fixture
def pg(pg_server):
    """A Target: an empty database."""
    return pg_module.fresh_database(pg_server)


@pytest.fixture
def ha_only():
    if pg_module.REFERENCE:
        pytest.skip("only a node has it")


@pytest.fixture(scope="session")
def mysql_server():
    if not os.path.exists(ha.BINARY):
        pytest.fail(f"{ha.BINARY} was not built")
    cluster = ha.Cluster()
    yield mysql_target.start_node(cluster)
    cluster.close()


@pytest.fixture
def my(mysql_server):
    """A Target of the MySQL port: an empty database."""
    return mysql_target.fresh_database(mysql_server)
