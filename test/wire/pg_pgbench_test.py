"""pgbench's own schema and its TPC-B-like transactions, by each way of sending statements."""

import re

import pytest

import ha
import pg as pg_module

SCALE, CLIENTS, TRANSACTIONS = 10, 16, 25


def check_balances(pg):
    """What TPC-B promises: every delta of the history is in one account, one teller and one branch."""
    sums = pg.value("SELECT (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(tbalance) FROM pgbench_tellers),"
                    " (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(delta) FROM pgbench_history)").split("|")
    assert len(set(sums)) == 1, sums
    return int(pg.value("SELECT count(*) FROM pgbench_history"))


def run(pg, mode, *more, transactions=TRANSACTIONS):
    p = pg.run("pgbench", "-n", "-M", mode, "-c", str(CLIENTS), "-j", "2", "-t", str(transactions), *more)
    done = re.search(r"number of transactions actually processed: (\d+)/(\d+)", p.stdout)
    assert done and done.group(1) == done.group(2) == str(CLIENTS * transactions), p.stdout
    assert "number of failed transactions: 0 " in p.stdout, p.stdout
    return p


@pytest.mark.limit(400)
def test_tpcb_in_every_mode(request):
    if pg_module.REFERENCE:
        nodes = [request.getfixturevalue("pg")]
    else:
        cluster = request.getfixturevalue("cluster")
        first = pg_module.start_node(cluster)
        nodes = [first, pg_module.start_node(cluster, url=first.node)]
    pg = nodes[0]
    pg.run("pgbench", "-i", "-s", str(SCALE), "-q")
    assert pg.value("SELECT count(*) FROM pgbench_accounts") == str(SCALE * 100000)
    for n, mode in enumerate(("simple", "extended", "prepared"), 1):
        run(pg, mode)
        run(pg, mode, "-S")
        assert check_balances(pg) == n * CLIENTS * TRANSACTIONS
    if len(nodes) > 1:
        ha.assert_equal(*(t.node for t in nodes))
    for t in nodes:
        assert check_balances(t) == 3 * CLIENTS * TRANSACTIONS
