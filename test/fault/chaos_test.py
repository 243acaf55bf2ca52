"""A short run of the fault suite (`make chaos`) in every mode. CHAOS_SEED=n repeats the choices of a run."""

import os
import random
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(os.path.dirname(HERE), d) for d in ("chaos", "cluster")]

# pylint: disable=wrong-import-position
import chaos  # noqa: E402
import ha  # noqa: E402
from network import why_impossible  # noqa: E402

SEED = int(os.environ.get("CHAOS_SEED") or random.randrange(1 << 30))
SECONDS = 20  # of faults
# Other tests want the processors, too; `make chaos`, alone on its machine, allows 10 s.
LIVENESS_S = 40

# Without full disks, which a nats-server 2.9 may not survive.
NEMESES = ("kill", "pause", "partition", "loss", "members", "diskslow", "clock")
if os.environ.get("SANITIZE"):  # then libnats waits by the wall clock, for as long as that is wrong (src/nats/monotonic_wait.c)
    NEMESES = NEMESES[:-1]
# Nor does its log survive that two of three servers stand still. Where no message names the one before it, a node that has read
# what the log has lost is found out by its sums, and restored once that has stood for longer than an election: too long for here.
NOT_SERIALIZABLE = NEMESES if ha.server_version() >= (2, 10, 23) else tuple(n for n in NEMESES if n != "pause")


@pytest.mark.parametrize("mode, topology", (("serializable", "external"), ("lww", "embedded"), ("async", "external")))
def test_short_run(mode, topology, tmp_path):
    why = why_impossible()
    if why:
        pytest.skip(why)
    if not os.path.exists(ha.BINARY):
        pytest.fail(f"{ha.BINARY} was not built")
    print(f"CHAOS_SEED={SEED}")
    nemeses = NEMESES if mode == "serializable" else NOT_SERIALIZABLE
    options = chaos.Options(SEED, SECONDS, mode, topology, 3, nemeses, liveness_s=LIVENESS_S)
    report = chaos.Episode(options).run(str(tmp_path))
    if not report.formed:
        pytest.skip("the nats-servers did not become a cluster")
    assert report.passed, f"{options}\n{report.line()}\n" + "\n".join(report.findings) + "\n" + logs(tmp_path)
    assert report.operations[1] > 0 and report.steps


def logs(folder):
    """The ends of the logs that were kept."""
    out = []
    for top, _, names in os.walk(folder):
        for n in sorted(names):
            if n.endswith(".log"):
                with open(os.path.join(top, n), encoding="utf-8", errors="replace") as f:
                    out.append(f"--- {n}\n{f.read()[-ha.LOG_TAIL:]}")
    return "\n".join(out)
