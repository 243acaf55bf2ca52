"""What clients did, and what they were told: one Op for each call, with the times of invocation and return.

Outcomes: OK, the call succeeded; FAILED, it is known to have changed nothing; UNKNOWN, it may have happened, then or
until the end of the run, or never (the connection broke, the log did not answer).
"""

import json
import threading
import time

from ledger import FAILED, UNKNOWN

OK, PENDING = "ok", "pending"


class Op:
    FIELDS = ("process", "node", "f", "value", "invoked", "returned", "outcome", "result", "seq", "position", "note", "late")
    __slots__ = FIELDS

    def __init__(self, process, node, f, value, invoked, returned=None, outcome=PENDING, result=None, seq=None,
                 position=None, note="", late=False):
        self.process, self.node, self.f, self.value = process, node, f, value
        self.invoked, self.returned, self.outcome, self.result = invoked, returned, outcome, result
        self.seq = seq  # of a write: where the log has it (HA-Seq)
        self.position = position  # of a read: how much of the log it saw at least (HA-Position)
        self.note = note
        self.late = late  # a write that is in the log, but perhaps not yet in its own node's file

    @property
    def ok(self):
        return self.outcome == OK

    @property
    def failed(self):
        return self.outcome == FAILED

    @property
    def may_have_happened(self):
        return not self.failed

    def before(self, other):
        """Returned before the other was invoked."""
        return self.ok and self.returned < other.invoked

    def __repr__(self):
        return (f"<{self.f} {self.value!r} by {self.process} at {self.node}: {self.outcome} {self.result!r} "
                f"[{self.invoked:.4f}..{self.returned if self.returned is None else round(self.returned, 4)}]"
                f"{f' seq {self.seq}' if self.seq else ''}{f' position {self.position}' if self.position else ''}"
                f"{f' ({self.note})' if self.note else ''}>")


class History:
    """Of one workload. Times are seconds of the monotonic clock: all clients live in one process."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ops = []

    def invoke(self, process, node, f, value):
        op = Op(process, node, f, value, time.monotonic())
        with self.lock:
            self.ops.append(op)
        return op

    @staticmethod
    def done(op, outcome, result=None, seq=None, position=None, note=""):
        op.result, op.seq, op.position, op.note = result, seq, position, note
        op.returned = time.monotonic()
        op.outcome = outcome

    def tally(self):
        """(operations, ok, failed, unknown)"""
        with self.lock:
            ops = list(self.ops)
        ok, failed = sum(o.ok for o in ops), sum(o.failed for o in ops)
        return len(ops), ok, failed, len(ops) - ok - failed

    def mark_late(self, node, begin, end):
        """The node's disk was full from begin to end."""
        for o in self.ops:
            if o.node == node and o.returned is not None and begin <= o.returned and o.invoked <= end:
                o.late = True

    def mark_slow(self, seconds):
        """Writes that took so long: in lww, the log had them, but the node could not follow it up to them in time."""
        for o in self.ops:
            if o.returned is not None and o.returned - o.invoked >= seconds:
                o.late = True

    def mark_lost(self, node, since):
        """Asynchronous replication: the node's files were lost with what it had not published yet."""
        for o in self.ops:
            if o.node == node and o.ok and o.f != "read" and o.returned >= since:
                o.outcome = UNKNOWN

    def save(self, path):
        """One call a line, for people and for load()."""
        with open(path, "w", encoding="utf-8") as f:
            for o in self.ops:
                f.write(json.dumps([getattr(o, s) for s in Op.FIELDS]) + "\n")

    @staticmethod
    def load(path):
        h = History()
        with open(path, encoding="utf-8") as f:
            h.ops = [Op(*json.loads(line)) for line in f]
        return h
