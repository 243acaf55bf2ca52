"""The checkers of the fault suite, with histories that they must refuse: one that cannot fail proves nothing."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), d) for d in ("chaos", "cluster")]

# pylint: disable=wrong-import-position
from checkers import (check_append, check_bank, check_counter, check_equal, check_last_writer, check_log_order,  # noqa: E402
                      check_register, check_set, real_time_edges)
from history import FAILED, OK, History, Op  # noqa: E402
from ledger import UNKNOWN  # noqa: E402
from workloads import ASYNC, Own  # noqa: E402


class Clock:
    """Operations that follow each other in time, unless they say otherwise."""

    def __init__(self):
        self.now = 0.0

    def op(self, f, value, result=None, outcome=OK, process="p", node="n", at=None, until=None, seq=None, position=None):
        begin = self.now + 1 if at is None else at
        end = begin + 0.5 if until is None else until
        self.now = max(self.now, end)
        return Op(process, node, f, value, begin, end, outcome, result, seq, position)

    def txn(self, *ops, **rest):
        """("append", k, v) or ("r", k, list)"""
        value = [[f, k, None if f == "r" else v] for f, k, v in ops]
        return self.op("txn", value, [list(o) for o in ops], **rest)


@pytest.fixture
def at():
    return Clock()


def kinds(found):
    return {line.split(":")[0] for line in found}


# ---- lists -----------------------------------------------------------------------------------------------------


def test_append_accepts_what_is_right(at):
    ops = [at.txn(("append", 1, 1)), at.txn(("append", 1, 2), ("append", 2, 3)), at.txn(("r", 1, [1, 2]), ("r", 2, [3])),
           at.txn(("append", 1, 4), outcome=UNKNOWN), at.txn(("append", 1, 5), outcome=FAILED),
           at.txn(("r", 1, [1, 2]), ("append", 1, 6), ("r", 1, [1, 2, 6]))]
    assert not check_append(ops, {"a": {1: [1, 2, 6], 2: [3]}, "b": {1: [1, 2, 6], 2: [3]}})


def test_append_unknown_may_come_late(at):
    ops = [at.txn(("append", 1, 1), outcome=UNKNOWN), at.txn(("append", 1, 2)), at.txn(("r", 1, [2]))]
    assert not check_append(ops, {"a": {1: [2, 1]}})


def test_append_old_reads_of_another_node_are_allowed(at):
    ops = [at.txn(("append", 1, 1), process="p", node="a"), at.txn(("r", 1, []), process="q", node="b")]
    assert not check_append(ops, {"a": {1: [1]}})


def test_append_lost(at):
    ops = [at.txn(("append", 1, 1)), at.txn(("append", 1, 2))]
    assert "lost" in kinds(check_append(ops, {"a": {1: [1, 2]}, "b": {1: [1]}}))


def test_append_duplicate(at):
    assert "duplicate" in kinds(check_append([at.txn(("append", 1, 1))], {"a": {1: [1, 1]}}))


def test_append_invented(at):
    assert "invented" in kinds(check_append([at.txn(("append", 1, 1))], {"a": {1: [1, 9]}}))


def test_append_aborted_read(at):
    ops = [at.txn(("append", 1, 1), outcome=FAILED), at.txn(("r", 1, [1]))]
    assert "aborted but there" in kinds(check_append(ops, {}))


def test_append_intermediate_read(at):
    ops = [at.txn(("append", 1, 1), ("append", 1, 2), until=9), at.txn(("r", 1, [1]), at=1, process="q")]
    assert "cycle" in kinds(check_append(ops, {"a": {1: [1, 2]}}))


def test_append_incompatible_order(at):
    ops = [at.txn(("append", 1, 1), until=9), at.txn(("append", 1, 2), at=1, until=9, process="q"),
           at.txn(("r", 1, [1, 2]), node="a"), at.txn(("r", 1, [2, 1]), node="b")]
    assert "incompatible order" in kinds(check_append(ops, {}))


def test_append_write_skew(at):
    """Each reads what the other writes, and sees nothing of it: no order exists."""
    ops = [at.txn(("r", 1, []), ("append", 2, 1), at=1, until=9), at.txn(("r", 2, []), ("append", 1, 2), at=1, until=9,
                                                                          process="q")]
    assert "cycle" in kinds(check_append(ops, {"a": {1: [2], 2: [1]}}))


def test_append_lost_update(at):
    """Both read the same list and append to it; only the order of the list is there to say so."""
    ops = [at.txn(("r", 1, []), ("append", 1, 1), at=1, until=9), at.txn(("r", 1, []), ("append", 1, 2), at=1, until=9,
                                                                          process="q")]
    assert "cycle" in kinds(check_append(ops, {"a": {1: [1, 2]}}))


def test_append_long_fork(at):
    """Two writes without anything between them, that two readers see in different order."""
    ops = [at.txn(("append", 1, 1), at=1, until=9), at.txn(("append", 2, 2), at=1, until=9, process="q"),
           at.txn(("r", 1, [1]), ("r", 2, []), at=1, process="r"), at.txn(("r", 1, []), ("r", 2, [2]), at=1, process="s")]
    assert "cycle" in kinds(check_append(ops, {"a": {1: [1], 2: [2]}}))


def test_append_writes_out_of_real_time(at):
    """Serializable, but the later write stands before the earlier one."""
    ops = [at.txn(("append", 1, 1), process="p"), at.txn(("append", 1, 2), process="q")]
    assert "cycle" in kinds(check_append(ops, {"a": {1: [2, 1]}}))


def test_append_client_goes_back(at):
    ops = [at.txn(("append", 1, 1), process="p", node="a"), at.txn(("r", 1, []), process="p", node="a")]
    assert "cycle" in kinds(check_append(ops, {"a": {1: [1]}}))
    ops = [at.txn(("append", 1, 1), process="p", node="a"), at.txn(("r", 1, [1]), process="q", node="b"),
           at.txn(("r", 1, []), process="q", node="b")]
    assert "cycle" in kinds(check_append(ops, {"a": {1: [1]}}))


def test_what_a_full_disk_kept_out_of_the_file(at):
    """Acknowledged because the log has it; the node itself cannot show it yet. It is not lost, and not out of order."""
    ops = [at.txn(("append", 1, 1), process="p", node="a"), at.txn(("r", 1, []), process="p", node="a")]
    ops[0].late = True
    assert not check_append(ops, {"a": {1: [1]}})
    assert "lost" in kinds(check_append(ops, {"a": {}}))
    ops = [at.op("add", [1]), at.op("read", None, [])]
    ops[0].late = True
    assert not check_set(ops, {"a": [1]})
    assert "lost" in kinds(check_set(ops, {"a": []}))


def test_append_internal(at):
    ops = [at.txn(("r", 1, []), ("append", 1, 1), ("r", 1, [])), ]
    assert "internal" in kinds(check_append(ops, {"a": {1: [1]}}))
    ops = [at.txn(("append", 1, 1)), at.txn(("r", 1, []), ("r", 1, [1]))]
    assert "internal" in kinds(check_append(ops, {"a": {1: [1]}}))


def test_append_older_than_position(at):
    ops = [at.txn(("append", 1, 1), seq=7, node="a"), at.txn(("r", 1, []), position=7, node="b", process="q")]
    assert "older than HA-Position" in kinds(check_append(ops, {"a": {1: [1]}}))
    ops[1].position = 6
    assert not check_append(ops, {"a": {1: [1]}})


# ---- registers -------------------------------------------------------------------------------------------------


def cas(clock, old, new, result=True, **rest):
    return clock.op("cas", [1, old, new], result, **rest)


def test_register_accepts_what_is_right(at):
    ops = [cas(at, 0, 5), at.op("read", 1, 5), cas(at, 0, 6, result=False), cas(at, 5, 7, outcome=UNKNOWN), cas(at, 7, 8),
           cas(at, 8, 9, outcome=UNKNOWN)]
    assert not check_register(ops, {"a": {1: 8}, "b": {1: 8}})
    assert not check_register(ops, {"a": {1: 9}})


def test_register_lost_update(at):
    ops = [cas(at, 0, 5, until=9), cas(at, 0, 6, at=1, until=9, process="q")]
    assert "lost" in kinds(check_register(ops, {"a": {1: 6}}))


def test_register_lost(at):
    assert "lost" in kinds(check_register([cas(at, 0, 5), cas(at, 5, 6)], {"a": {1: 5}}))


def test_register_failed_but_there(at):
    assert "failed but there" in kinds(check_register([cas(at, 0, 5, result=False)], {"a": {1: 5}}))
    assert "failed but there" in kinds(check_register([cas(at, 0, 5, outcome=FAILED)], {"a": {1: 5}}))


def test_register_invented(at):
    assert "invented" in kinds(check_register([cas(at, 0, 5)], {"a": {1: 77}}))


def test_register_read_of_nothing(at):
    assert "read of nothing" in kinds(check_register([cas(at, 0, 5), at.op("read", 1, 6)], {"a": {1: 5}}))


def test_register_goes_back(at):
    ops = [cas(at, 0, 5), at.op("read", 1, 5, process="q"), at.op("read", 1, 0, process="q")]
    assert "cycle" in kinds(check_register(ops, {"a": {1: 5}}))


def test_register_out_of_real_time(at):
    """5 is set from 6, but was acknowledged before 6 was asked for."""
    ops = [cas(at, 6, 5), cas(at, 0, 6, process="q")]
    assert "cycle" in kinds(check_register(ops, {"a": {1: 5}}))


def test_register_nodes_differ(at):
    assert "different ends" in kinds(check_register([cas(at, 0, 5)], {"a": {1: 5}, "b": {1: 0}}))


def test_register_older_than_position(at):
    ops = [cas(at, 0, 5, seq=3, node="a"), at.op("read", 1, 0, position=3, node="b", process="q")]
    assert "older than HA-Position" in kinds(check_register(ops, {"a": {1: 5}}))


# ---- sets, sums, counters ----------------------------------------------------------------------------------------


def test_set_accepts_what_is_right(at):
    ops = [at.op("add", [1, 2]), at.op("add", [3], outcome=UNKNOWN), at.op("add", [4], outcome=FAILED), at.op("read", None, [1, 2]),
           at.op("read", None, [], process="q", node="other")]
    assert not check_set(ops, {"a": [1, 2]})
    assert not check_set(ops, {"a": [1, 2, 3]})


@pytest.mark.parametrize("kind, end", [("lost", []), ("half a transaction", [1, 3]), ("duplicate", [1, 2, 2]), ("invented", [1, 2, 9]),
                                       ("failed but there", [1, 2, 4])])
def test_set_at_the_end(at, kind, end):
    ops = [at.op("add", [1, 2], outcome=UNKNOWN if kind == "half a transaction" else OK), at.op("add", [3], outcome=UNKNOWN),
           at.op("add", [4], outcome=FAILED)]
    assert kind in kinds(check_set(ops, {"a": end}))


def test_set_goes_back(at):
    ops = [at.op("add", [1], process="q", node="a"), at.op("read", None, [1]), at.op("read", None, [])]
    assert "went back" in kinds(check_set(ops, {"a": [1]}))
    ops = [at.op("add", [1]), at.op("read", None, [])]
    assert "went back" in kinds(check_set(ops, {"a": [1]}))


def test_set_reads(at):
    assert "read of nothing" in kinds(check_set([at.op("read", None, [5])], {"a": []}))
    assert "duplicate" in kinds(check_set([at.op("add", [1]), at.op("read", None, [1, 1])], {"a": [1]}))
    ops = [at.op("add", [1], seq=4, node="a"), at.op("read", None, [], position=4, node="b", process="q")]
    assert "older than HA-Position" in kinds(check_set(ops, {"a": [1]}))


def bank(ops, ends):
    return check_bank(ops, ends, 2, 20)


def test_bank_accepts_what_is_right(at):
    ops = [at.op("transfer", [0, 1, 3], True), at.op("transfer", [0, 1, 2], outcome=UNKNOWN), at.op("transfer", [0, 1, 1], False),
           at.op("read", None, {0: 10, 1: 10})]
    assert not bank(ops, {"a": {0: 7, 1: 13}})
    assert not bank(ops, {"a": {0: 5, 1: 15}})


def test_bank_wrong(at):
    assert "wrong sum" in kinds(bank([at.op("read", None, {0: 7, 1: 10})], {}))
    assert "wrong sum" in kinds(bank([], {"a": {0: 10, 1: 11}}))
    assert "wrong sum" in kinds(bank([at.op("read", None, {0: 20})], {}))
    assert "overdrawn" in kinds(bank([at.op("read", None, {0: -1, 1: 21})], {}))


def test_bank_lost_and_invented(at):
    transfer = at.op("transfer", [0, 1, 3], True)
    assert "lost or invented transfers" in kinds(bank([transfer], {"a": {0: 10, 1: 10}}))
    assert "lost or invented transfers" in kinds(bank([], {"a": {0: 7, 1: 13}}))
    refused = at.op("transfer", [0, 1, 3], outcome=FAILED)
    assert "lost or invented transfers" in kinds(bank([refused], {"a": {0: 7, 1: 13}}))


def test_counter_accepts_what_is_right(at):
    ops = [at.op("add", 2), at.op("add", 3, outcome=UNKNOWN), at.op("add", 100, outcome=FAILED), at.op("read", None, 2),
           at.op("read", None, 0, process="q", node="other")]
    assert not check_counter(ops, {"a": 2})
    assert not check_counter(ops, {"a": 5})


def test_counter_wrong(at):
    assert "lost or invented" in kinds(check_counter([at.op("add", 2)], {"a": 0}))
    assert "lost or invented" in kinds(check_counter([at.op("add", 2)], {"a": 4}))
    assert "lost or invented" in kinds(check_counter([at.op("add", 2, outcome=FAILED)], {"a": 2}))
    assert "invented" in kinds(check_counter([at.op("read", None, 1)], {"a": 0}))
    assert "went back" in kinds(check_counter([at.op("add", 2), at.op("read", None, 0)], {"a": 2}))
    ops = [at.op("add", 2, process="q"), at.op("read", None, 2), at.op("read", None, 0)]
    assert "went back" in kinds(check_counter(ops, {"a": 2}))


# ---- last writer wins ----------------------------------------------------------------------------------------------


def test_last_writer(at):
    ops = [at.op("write", [1, 5]), at.op("write", [1, 6]), at.op("write", [1, 7], outcome=UNKNOWN), at.op("write", [1, 8], outcome=FAILED)]
    assert not check_last_writer(ops, {"a": {1: 6}})
    assert not check_last_writer(ops, {"a": {1: 7}})
    assert "overwritten by an older one" in kinds(check_last_writer(ops, {"a": {1: 5}}))
    assert "failed but there" in kinds(check_last_writer(ops, {"a": {1: 8}}))
    assert "invented" in kinds(check_last_writer(ops, {"a": {1: 9}}))
    assert "lost" in kinds(check_last_writer(ops, {"a": {}}))


def test_last_writer_at_the_same_time(at):
    ops = [at.op("write", [1, 5], at=1, until=3), at.op("write", [1, 6], at=2, until=4, process="q")]
    assert not check_last_writer(ops, {"a": {1: 5}})
    assert not check_last_writer(ops, {"a": {1: 6}})


def test_last_writer_of_the_same_node(at):
    ops = [at.op("write", [1, 5], node="n"), at.op("write", [1, 6], node="m"), at.op("write", [1, 7], node="n")]
    assert not check_last_writer(ops, {"a": {1: 6}}, same_node=True)
    assert "overwritten by an older one" in kinds(check_last_writer(ops, {"a": {1: 5}}, same_node=True))


def test_files_that_were_lost_before_they_were_published(at):
    history = History()
    history.ops = [at.op("add", [1], True), at.op("read", None, [1]), at.op("add", [2], True), at.op("add", [3], True, node="m")]
    history.mark_lost("n", 2.0)
    assert [o.outcome for o in history.ops] == [OK, OK, UNKNOWN, OK]
    assert not check_set(history.ops, {"a": [1, 3]})
    assert "lost" in kinds(check_set(history.ops, {"a": [2, 3]}))
    assert "lost" in kinds(check_set(history.ops, {"a": [1]}))


def test_own_rows(at):
    w = Own(ASYNC)
    w.history.ops = [at.op("add", 2, True, node="n"), at.op("add", 3, True, node="m"), at.op("read", None, 2, node="n")]
    assert not w.judge({"a": {"n": 2, "m": 3}})
    assert "lost or invented" in kinds(w.judge({"a": {"n": 2}}))
    assert "lost or invented" in kinds(w.judge({"a": {"n": 3, "m": 3}}))
    w.history.ops.append(at.op("read", None, 0, node="n"))
    assert "went back" in kinds(w.judge({"a": {"n": 2, "m": 3}}))


# ---- order -----------------------------------------------------------------------------------------------------


def test_log_order(at):
    ops = [at.op("add", [1], seq=4), at.op("add", [2], seq=4), at.op("add", [3], seq=9)]
    assert not check_log_order(ops)
    ops[2].seq = 3
    assert "log order" in kinds(check_log_order(ops))


def test_real_time_edges_are_complete(at):
    """Whatever returned before another began is reached over the edges, and nothing else is."""
    spans = [(0, 5), (1, 2), (3, 9), (6, 7), (8, 10), (11, 12), (2.5, 2.7)]
    ops = [at.op("add", [i], at=a, until=b) for i, (a, b) in enumerate(spans)]
    following = {id(o): set() for o in ops}
    for a, b in real_time_edges(ops):
        following[id(a)].add(id(b))

    def reaches(a, b):
        seen, todo = set(), [a]
        while todo:
            v = todo.pop()
            for w in following[v] - seen:
                seen.add(w)
                todo.append(w)
        return b in seen

    for a in ops:
        for b in ops:
            if a is not b:
                assert reaches(id(a), id(b)) == (a.returned < b.invoked), (a, b)


def test_equal():
    assert not check_equal({"a": 1, "b": 1})
    assert "different ends" in kinds(check_equal({"a": 1, "b": 1, "c": 2}))


def test_history_is_kept(tmp_path, at):
    h = History()
    h.done(h.invoke("p", "n", "add", [1]), OK, True, 5, None)
    h.done(h.invoke("p", "n", "add", [2]), FAILED, note="no")
    h.invoke("p", "n", "read", None)
    assert h.tally() == (3, 1, 1, 1)
    h.save(tmp_path / "h")
    assert [repr(o) for o in History.load(tmp_path / "h").ops] == [repr(o) for o in h.ops]
