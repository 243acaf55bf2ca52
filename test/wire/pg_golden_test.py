"""Transcripts: what real clients said to a PostgreSQL 15 is said to a node, which has to answer the same.

test/wire/record made the files. Compared is what a message says, see wire.decode(); bodies of errors only by severity and
SQLSTATE, and neither notices nor parameter settings. A node finds some errors a step later than PostgreSQL (at Execute,
where that finds them at Parse), and tells of a result's shape together with its first row: so what stands between a
message and the error that it ends in may be there or not, and nothing else may.
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


STEPS = ("ParseComplete", "BindComplete", "NoData", "RowDescription", "ParameterDescription")


def answer(connection):
    """The next message that is compared, decoded."""
    got = connection.receive()
    while got[0] in "NSA":
        got = connection.receive()
    return wire.decode(*got)


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
    connection, wrong, said, at = None, [], "", 0
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        if "connection" in line:
            connection = wire.Connection(pg.port)
            assert connection.start(pg.user, pg.database)[-1][0] == "Z"
        elif "c" in line:
            kind, body = line["c"]
            said = f"{kind} {body[:200]!r}"
            connection.send(wire.message(kind, body.encode("latin-1")))
        else:
            got, want = answer(connection), line["s"]
            while want[0] == "ErrorResponse" and got[0] in STEPS:
                got = answer(connection)
            while got[0] == "ErrorResponse" and want[0] in STEPS:
                number, at = at + 1, at + 1
                want = lines[number - 1].get("s", ["nothing"])
            if got != want:
                wrong.append(f"line {number}, after {said}:\n  PostgreSQL {want}\n  node       {got}")
                # Out of step there is nothing more to compare.
                if got[0] != want[0]:
                    break
    assert not wrong, "\n".join(wrong)
