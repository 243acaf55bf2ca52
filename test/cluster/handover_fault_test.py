"""The node that runs what others have handed over to it falls silent, stops, dies; so do those that have handed over. Clients
write unique numbers on every node all the time, and at the end each is there once, or not at all, as they were told (ledger.py).

CHAOS_SEED=n repeats the choices of a run.
"""

import os
import random
import signal
import time

import pytest

from handover import RECENT, Crowd, handed_over, run_for_others, runner_of, three
from ha import CATCH_UP_S, SLOW, HttpError, stall, wait_until
from ledger import UNKNOWN, Ledger

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))
WRITERS = 4  # on each node
TIMEOUT_S = 2  # --replication-timeout where a test exceeds it
STARVED_S = 10  # in which a node that writes beside faster ones gets something done
SILENCE = "a node does not say what came of what was handed over to it"


def start(cluster, name, env=None, **options):
    """Three nodes, a, b and c, whose writers write; env: of c."""
    print(f"CHAOS_SEED={SEED}")
    nodes = three(cluster, own=({}, {}, {"env": env or {}}), **options)
    return nodes, Ledger(nodes, f"{SEED} {name}", writers_per_node=WRITERS)


def others_of(nodes, node):
    return [n for n in nodes if n is not node]


def silences(nodes):
    return sum(n.log().count(SILENCE) for n in nodes)


def unknown(ledger, node):
    """Writes of that node whose client was told that the outcome is not known."""
    with ledger.lock:
        return [note for _, outcome, note in ledger.outcomes if outcome == UNKNOWN and note.startswith(f"{node.name}:")]


def everybody_hands_over(nodes, ledger):
    """The runner, while the others hand over to it."""
    ledger.wait_progress()
    return runner_of(nodes)


@pytest.mark.limit(400)
def test_runner_killed(cluster):
    nodes, ledger = start(cluster, "runner killed")
    for _ in range(4 if SLOW == 1 else 1):
        runner = everybody_hands_over(nodes, ledger)
        runner.kill9()
        ledger.wait_progress(others_of(nodes, runner))
        runner.start()
        ledger.wait_progress()
        ledger.settle()
    ledger.finish()


@pytest.mark.limit(400)
def test_origin_killed(cluster):
    nodes, ledger = start(cluster, "origin killed")
    for _ in range(4 if SLOW == 1 else 1):
        runner = everybody_hands_over(nodes, ledger)
        origin = others_of(nodes, runner)[0]
        before = handed_over(origin)
        wait_until(lambda o=origin, b=before: handed_over(o) > b, what="it hands over")
        origin.kill9()
        ledger.wait_progress(others_of(nodes, origin))
        origin.start()
        ledger.wait_progress()
        ledger.settle()
    ledger.finish()


@pytest.mark.limit(400)
@pytest.mark.parametrize("seconds", (0.2, 3, 3 * TIMEOUT_S), ids=("short", "long", "beyond"))
def test_runner_stalls(cluster, seconds):
    """SIGSTOP: for less than an answer is waited for, for longer, for longer than --replication-timeout. What it had been given
    it finds in its memory afterwards, and does not run it again."""
    nodes, ledger = start(cluster, f"stall {seconds}", args=["--replication-timeout", f"{TIMEOUT_S}s"])
    for _ in range(3 if SLOW == 1 else 1):
        runner = everybody_hands_over(nodes, ledger)
        rest = others_of(nodes, runner)
        begin = time.monotonic()
        stall(runner)
        if seconds >= 1:
            ledger.wait_progress(rest)
        wait_until(lambda begin=begin: time.monotonic() >= begin + seconds, seconds + 10)
        if seconds >= 1:
            ledger.wait_progress(rest)
        runner.signal(signal.SIGCONT)
        ledger.wait_progress()
        ledger.settle()
    assert seconds < 1 or silences(nodes) > 0, "nothing had been handed over to it, each time"
    ledger.finish()


@pytest.mark.limit(400)
def test_origin_stalls(cluster):
    """It wakes up to answers that are long there, or to none because the runner has run things in between."""
    nodes, ledger = start(cluster, "origin stalls", args=["--replication-timeout", f"{TIMEOUT_S}s"])
    for seconds in (0.3, 3) if SLOW == 1 else (3,):
        runner = everybody_hands_over(nodes, ledger)
        origin = others_of(nodes, runner)[0]
        begin = time.monotonic()
        stall(origin)
        ledger.wait_progress(others_of(nodes, origin))
        wait_until(lambda begin=begin, s=seconds: time.monotonic() >= begin + s, seconds + 10)
        origin.signal(signal.SIGCONT)
        ledger.wait_progress()
        ledger.settle()
    ledger.finish()


def dies_as_runner(nodes, ledger, node):
    """Waits until `node` has died of its fault point. True: it ran something for the others, and they noticed."""
    seen, before = 0, silences(others_of(nodes, node))

    def look():
        nonlocal seen
        if not node.running():
            return True
        try:
            seen = max(seen, run_for_others(node))
        except Exception:  # pylint: disable=broad-except
            pass  # it dies just now
        return False

    wait_until(look, CATCH_UP_S, f"{node.name} dies of its fault point")
    assert node.wait_exit() == -signal.SIGKILL
    ledger.wait_progress(others_of(nodes, node))
    return seen > 0 and silences(others_of(nodes, node)) > before


@pytest.mark.limit(600)
@pytest.mark.parametrize("point", ("group.begin", "group.ran", "commit.publish", "commit.acked", "commit.done"))
def test_runner_dies_at(cluster, point):
    """Before the log has what it runs, the origins run it themselves, and nobody is told that the outcome is unknown; behind
    that the results are lost with it."""
    nodes, ledger = start(cluster, point)
    c = nodes[2]
    c.may_die = True
    met = 0
    told = []
    before = point in ("group.begin", "group.ran", "commit.publish")
    for count in (150, 211, 180, 97, 305, 260, 130, 411):
        assert c.terminate() == 0
        c.env["HA_FAULT"] = f"{point}=kill@{count}"
        c.start()
        met += dies_as_runner(nodes, ledger, c)
        c.env.pop("HA_FAULT")
        c.start()
        ledger.wait_progress()
        ledger.settle()
        told = [note for n in nodes[:2] for note in unknown(ledger, n)]
        if met >= 2 and (before or told):
            break
    assert met > 0, f"{point} was never met with transactions of others"
    if before:
        assert not told, told
    else:
        assert told, "the log had it, its runner was dead, and nobody was told so"
    ledger.finish()


def test_slow_node_is_not_starved(cluster):
    """It loses every race for the log's end, and a group of it that was declined once is handed over at the next occasion."""
    nodes, ledger = start(cluster, "slow", env={"HA_FAULT": "commit.publish=pause:120"})
    c = nodes[2]
    ledger.wait_progress(nodes[:2])
    for _ in range(3):
        ledger.wait_progress([c], STARVED_S)
    assert handed_over(c) > 0
    ledger.finish()


def test_nodes_far_apart(cluster):
    """Where publishes take longer than one waits for a node nearby, one waits longer."""
    nodes = three(cluster, env={"HA_FAULT": "commit.publish=pause:300"})
    with Crowd(nodes, writers=4) as crowd:
        runner = runner_of(nodes)
        for n in others_of(nodes, runner):
            before = handed_over(n)
            wait_until(lambda n=n, before=before: handed_over(n) >= before + RECENT, CATCH_UP_S, f"{n.name} hands over")
        crowd.wait(RECENT)


@pytest.mark.limit(400)
@pytest.mark.parametrize("fault", ("handover.sent=kill@20", "handover.sent=pause:300", "handover.sent=pause:1000"))
def test_origin_after_handing_over(cluster, fault):
    """It dies: what it has handed over happens once or not at all. It is slow: the answers are long there."""
    nodes, ledger = start(cluster, fault, env={"HA_FAULT": fault})
    c = nodes[2]
    c.may_die = "kill" in fault
    for _ in range(3 if c.may_die else 0):
        wait_until(lambda: not c.running(), CATCH_UP_S, "c dies")
        assert c.wait_exit() == -signal.SIGKILL
        ledger.wait_progress(nodes[:2])
        c.start(wait=False)
    if c.may_die:
        if c.running():
            c.kill9()
        else:
            c.wait_exit()
        c.env.pop("HA_FAULT")
        c.start()
    else:
        before = handed_over(c)
        wait_until(lambda: handed_over(c) >= before + 10, CATCH_UP_S, "c hands over")
    ledger.wait_progress()
    ledger.finish()
    if not c.may_die:
        assert not unknown(ledger, c), unknown(ledger, c)


def opened(node, number):
    """A transaction in which the node has written that number; None: another node was faster."""
    token = node.retrying(lambda: node.post("/transactions", b"")).json()["transaction"]
    try:
        node.query("INSERT INTO big(id, v) VALUES (?, 1)", [number], headers={"HA-Transaction": token})
        return token
    except HttpError:
        node.http.request("POST", f"/transactions/{token}/rollback", b"")
        return None


@pytest.mark.limit(400)
def test_explicit_transaction_on_the_runner(cluster):
    """It is held open: the others do not wait for it, but go on by themselves."""
    nodes, ledger = start(cluster, "explicit")
    for number in range(10**9, 10**9 + 3):
        runner = everybody_hands_over(nodes, ledger)
        rest = others_of(nodes, runner)
        token = wait_until(lambda r=runner, number=number: opened(r, number), what="a transaction has written")
        for n in rest:
            for _ in range(5):
                begin = time.monotonic()
                n.retrying(lambda n=n: n.query("UPDATE big SET v = 2 WHERE id = 1"))
                took = time.monotonic() - begin
                assert took < 2 * SLOW, f"{n.name} has waited for {took:.1f} s beside a transaction that is held open"
        ledger.wait_progress(rest)
        r = runner.http.request("POST", f"/transactions/{token}/commit", b"")
        assert r.status >= 400 and r.json()["code"] in ("CONFLICT", "TX_ABORTED", "NOT_FOUND"), (r.status, r.body)
        ledger.wait_progress()
        ledger.settle()
        for n in nodes:
            assert n.query("SELECT count(*) FROM big WHERE id = ?", [number]).value == 0
    ledger.finish()
