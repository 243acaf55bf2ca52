"""Fixtures of the cluster tests, and the logs of all processes under a test that failed."""

import faulthandler
import os
import signal

import pytest

import ha

TEST_S = 300  # a test that takes longer hangs; @pytest.mark.limit(seconds) says otherwise


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): how long the test may take")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """Ends a test at its limit: the alarm interrupts whatever the main thread waits for."""
    mark = item.get_closest_marker("limit")
    seconds = int((mark.args[0] if mark else TEST_S) * ha.SLOW)

    def expired(signum, frame):
        faulthandler.dump_traceback()
        raise ha.Timeout(f"the test took longer than {seconds} s")

    previous = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    item.failed = getattr(item, "failed", False) or report.failed
    if report.failed and hasattr(report.longrepr, "addsection"):
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
