"""Transcripts: what real clients said to a PostgreSQL 15 is said to a node, which has to answer the same.

test/wire/record made the files. Compared is what a message says, see wire.decode(); bodies of errors only by severity and
SQLSTATE, and neither notices nor parameter settings.
"""

import glob
import json
import os

import pytest

import ha
import pg as pg_module
import wire

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
FILES = sorted(glob.glob(os.path.join(GOLDEN, "*.jsonl")))


@pytest.fixture(scope="module")
def trusting(pg_server):
    """A server that asks for no password, so that a transcript begins behind the authentication."""
    if pg_module.REFERENCE:
        pytest.skip("the transcripts come from there")
    cluster = ha.Cluster()
    yield pg_module.start_node(cluster, password="")
    cluster.close()


def test_there_are_transcripts():
    assert {os.path.basename(f)[:-6] for f in FILES} == {"psql", "psycopg2", "psycopg3", "node-pg", "postgres.js", "pgjdbc"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: os.path.basename(p)[:-6])
def test_transcript(trusting, path):
    pg = pg_module.fresh_database(trusting)
    with open(path, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    connection, wrong, said = None, [], ""
    for number, line in enumerate(lines, 1):
        if "connection" in line:
            connection = wire.Connection(pg.port)
            assert connection.start(pg.user, pg.database)[-1][0] == "Z"
        elif "c" in line:
            kind, body = line["c"]
            said = f"{kind} {body[:200]!r}"
            connection.send(wire.message(kind, body.encode("latin-1")))
        else:
            got = connection.receive()
            while got[0] in "NSA":
                got = connection.receive()
            got = wire.decode(*got)
            if got != line["s"]:
                wrong.append(f"line {number}, after {said}:\n  PostgreSQL {line['s']}\n  node       {got}")
                # Out of step there is nothing more to compare.
                if got[0] != line["s"][0]:
                    break
    assert not wrong, "\n".join(wrong)
