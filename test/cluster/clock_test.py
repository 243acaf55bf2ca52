"""A wall clock that is set back, or forward: what waits for a while does not wait for days."""

import itertools
import os
import signal
import threading
import time

import pytest

import ha
from ha import HttpError, assert_equal, stall, wait_until

CLOCKFAULT = os.path.join(os.path.dirname(__file__), "clockfault.c")
DAY = 86400

pytestmark = pytest.mark.skipif(bool(os.environ.get("SANITIZE")), reason="sanitizers have a pthread_cond_timedwait() of their own")


class Clock:
    """The wall clock of nodes that have its `env`."""

    def __init__(self, directory):
        library = ha.compiled(CLOCKFAULT, str(directory / "clockfault.so"), "-shared", "-fPIC")
        self.file = directory / "offset"
        self.file.write_text("0")
        self.env = {"LD_PRELOAD": library, "CLOCKFAULT_FILE": str(self.file)}

    def jump_while(self, jump, condition, at_most_s):
        """Again and again, so that it happens in the midst of whatever wait is under way."""
        end = time.monotonic() + at_most_s * ha.SLOW
        for n in itertools.count(1):
            self.file.write_text(str(n * jump))
            if not condition() or time.monotonic() > end:
                return


@pytest.mark.parametrize("jump", [-DAY, DAY])
def test_a_write_that_gets_no_answer(cluster, tmp_path, jump):
    clock = Clock(tmp_path)
    server = cluster.nats()
    a = cluster.node(url=server, args=["--replication-timeout", "2s"], env=clock.env)
    b = cluster.node(url=server)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    ended = []

    def write():
        with pytest.raises(HttpError) as failed:
            a.query("INSERT INTO t (v) VALUES (1)")
        ended.append(failed.value)

    def writing():
        thread.join(0.05)
        return thread.is_alive()

    thread = threading.Thread(target=write)
    stall(server)
    try:
        thread.start()
        clock.jump_while(jump, writing, 20)
        assert ended and (ended[0].may_retry or ended[0].outcome_unknown), ended
    finally:
        server.signal(signal.SIGCONT)
        if not ended:
            a.kill9()
        thread.join()
    a.retrying(lambda: a.query("INSERT INTO t (v) VALUES (2)"))
    wait_until(lambda: a.ready(sync=True))
    assert_equal(a, b)


def test_a_connection_that_is_lost(cluster, tmp_path):
    """The clock is set back a day while the node waits for its next attempt to connect."""
    clock = Clock(tmp_path)
    server = cluster.nats()
    a = cluster.node(url=server, env=clock.env)
    b = cluster.node(url=server)
    a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    server.terminate()
    wait_until(lambda: a.status()["nats"] == "disconnected", what="the node sees that NATS is gone")
    looks = iter(range(50))
    clock.jump_while(-DAY, lambda: next(looks, None) is not None and a.status(), 20)
    server.start()
    wait_until(lambda: a.status()["nats"] == "connected", 20, "it has connected again")
    a.retrying(lambda: a.query("INSERT INTO t (v) VALUES (2)"))
    wait_until(lambda: a.ready(sync=True))
    assert_equal(a, b)
