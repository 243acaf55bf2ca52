"""Fixtures of the cluster and wire tests, and the logs of all processes under a test that failed."""

import ctypes
import faulthandler
import os
import sys
import threading

import pytest

# The harness lies with the cluster tests; those of the wire use it too.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "cluster"))

import ha  # noqa: E402

TEST_S = 300  # a test that takes longer hangs; @pytest.mark.limit(seconds) says otherwise


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Ends a test at its limit. It may run in any thread of an xdist worker, so no signal can do it: an exception is
    left for the thread, and the processes it may be waiting for are killed, which ends the waiting."""
    mark = item.get_closest_marker("limit")
    seconds = int((mark.args[0] if mark else TEST_S) * ha.SLOW)
    thread = threading.get_ident()

    def expire():
        item.expired = seconds
        faulthandler.dump_traceback()
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(ha.Timeout))
        for cluster in list(ha.Cluster.live):
            for process in list(cluster.processes):
                if process.process is not None:
                    process.process.kill()

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    item.failed = getattr(item, "failed", False) or report.failed
    if report.failed and hasattr(report.longrepr, "addsection"):
        if hasattr(item, "expired"):
            report.longrepr.addsection("limit", f"the test took longer than {item.expired} s and was ended")
        for cluster in ha.Cluster.live:
            for name, text in cluster.logs():
                report.longrepr.addsection(f"{name}.log", text)


@pytest.fixture
def cluster(request):
    if not os.path.exists(ha.BINARY):
        pytest.fail(f"{ha.BINARY} was not built")
    c = ha.Cluster()
    yield c
    # A test that failed has said enough.
    c.close(check=not request.node.failed)
