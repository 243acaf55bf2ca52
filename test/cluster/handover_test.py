"""Transactions that another node runs (repl/handover.h): their clients do not notice where."""

import pytest

from ha import ConnectionLost, Http, HttpError, synced, wait_until
from handover import Crowd, handed_over, runner_of

ENDLESS = ("INSERT INTO t(v) SELECT count(*) FROM "
           "(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c)")


def start(cluster, args=(), env=None):
    a = cluster.node(name="a", args=args)
    b = cluster.node(name="b", url=a, args=args, env=env)
    a.query("CREATE TABLE t(k TEXT PRIMARY KEY, v)")
    for n in (a, b):
        wait_until(lambda n=n: synced(n))
    return a, b


def test_what_a_write_has_seen_is_there(cluster):
    """A write that changed nothing because of a row: its client finds that row at its own node."""
    a, b = start(cluster, env={"HA_FAULT": "apply.begin=pause:40"})
    with Crowd([a]) as crowd:
        crowd.wait(1)
        for i in range(60):
            a.query("INSERT INTO t VALUES (?, 'a')", [f"k{i}"])
            b.query("INSERT OR IGNORE INTO t VALUES (?, 'b')", [f"k{i}"])
            assert b.query("SELECT v FROM t WHERE k = ?", [f"k{i}"]).value == "a"
    assert handed_over(b) > 0


def test_limit_of_the_result(cluster):
    """A result that the client's node would not keep is not committed by the other one."""
    a, b = start(cluster, args=("--max-result-size", "1500"))
    with Crowd([a, b]) as crowd:
        runner_of(crowd.nodes)
        for i in range(30):
            for n in (a, b):
                with pytest.raises(HttpError) as e:
                    n.query("INSERT INTO t VALUES (?, ?) RETURNING v", [f"{n.name}{i}", "x" * 3000])
                assert e.value.problem["code"] == "TOO_BIG"
    assert a.query("SELECT count(*) FROM t").value == 0


def test_endless_statement(cluster):
    """Nobody but its client's node knows that a client has gone: a statement without end holds up no other node."""
    a, b = start(cluster)
    with Crowd([a, b]) as crowd:
        runner_of(crowd.nodes)
        for n in (a, a, b, b):
            http = Http(n.name, n.port, timeout_s=1)
            with pytest.raises(ConnectionLost):
                http.ok("POST", "/", {"sql": ENDLESS})
            http.close()
            crowd.wait(1, 5)
