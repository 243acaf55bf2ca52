"""The comparison with other systems still works: a run of it with tiny numbers, and the page that it makes."""

import json
import os
import subprocess
import sys

import ha

HERE = os.path.dirname(os.path.abspath(__file__))
# The measuring programs and the node that users get; under a sanitizer they are instrumented, too.
ENVIRONMENT = {**os.environ, "HA_BINARY": os.path.join(ha.ROOT, os.environ.get("BUILD", "build"), "ha")}


def script(name, *arguments):
    p = subprocess.run([sys.executable, os.path.join(HERE, name), *arguments], env=ENVIRONMENT, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=200 * ha.SLOW, check=False)
    assert p.returncode == 0, p.stdout[-6000:]
    return p.stdout


def test_smoke(tmp_path):
    """Ours over HTTP and over PostgreSQL's protocol, a peer that is always there, and SQLite; one node and three."""
    results = tmp_path / "results.jsonl"
    wanted = {"lone": {"ha", "ha-pg", "postgres", "sqlite", "bare-publish"}, "batch100": {"ha", "ha-pg", "postgres", "sqlite"},
              "mixed": {"ha", "ha-pg", "postgres"}}
    script("bench.py", "--preset", "smoke", "--rounds", "1", "--peers", "ha,ha-pg,postgres,sqlite", "--workloads", ",".join(wanted),
           "--results", str(results))
    script("bench.py", "--preset", "smoke", "--rounds", "1", "--peers", "ha", "--workloads", "spread64,lag_busy", "--results", str(results))
    wanted |= {"spread64": {"ha"}, "lag_busy": {"ha"}}
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    for workload, systems in wanted.items():
        rounds = {r["system"]: r["figures"] for r in lines if r.get("workload") == workload}
        assert set(rounds) == systems, workload
        for system, figures in rounds.items():
            assert figures["p50_us"] > 0, (workload, system, figures)
    # A smoke run is no result: only after a change of its preset does it make a page.
    assert not [r for r in lines if r.get("about", {}).get("preset", "smoke") != "smoke"]
    results.write_text(results.read_text().replace('"preset": "smoke"', '"preset": "test"'))
    page = script("report.py", "--results", str(results), "--stdout")
    assert "| ha, PostgreSQL's protocol |" in page and "64 writers over three nodes" in page
