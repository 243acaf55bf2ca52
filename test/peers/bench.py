#!/usr/bin/python3
"""Measures ha and its peers with the same work, in one run, in turns: `make bench-peers`, docs/performance.md.

    test/peers/bench.py [--preset smoke|short|full] [--peers a,b] [--workloads a,b] [--rounds N] [--seconds N] [--size NAME=N,…]

Results go to build/peers/results.jsonl, a line for each round of each system; test/peers/report.py makes the tables and plots of them.
A peer that is not installed is left out, and the results say why. The exit status is 1 if a system of ours failed at something.
"""

import argparse
import json
import os
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD") or "build"))
os.environ["BUILD"] = BUILD
os.environ.setdefault("HA_BINARY", os.path.join(BUILD, "ha"))
# A newer nats-server than the distribution's may be among the peers: it can sync every message.
NEWER = os.path.join(ROOT, "build", "peers", "bin", "nats-server")
if os.access(NEWER, os.X_OK):
    os.environ.setdefault("HA_NATS_SERVER", NEWER)
os.environ["PATH"] += ":/usr/sbin:/sbin"
sys.path[1:1] = [os.path.join(ROOT, "test", "wire"), os.path.join(ROOT, "test", "cluster")]

import ha  # noqa: E402
import machine  # noqa: E402
import system as system_  # noqa: E402
import systems  # noqa: E402
import workloads  # noqa: E402


class Sizes:
    """How much of everything: seconds of a run, rows, rounds."""

    PRESETS = {
        "smoke": {"rounds": 2, "seconds": 1, "requests": 300, "warmup": 1, "rows": 500, "publishes": 50, "probes": 20, "lag_s": 1, "lag_rate": 50,
                  "failover_s": 8, "failover_rounds": 1, "missed": 500, "missed_s": 2, "catch_up_rounds": 1, "join_mb": 1, "join_rounds": 1,
                  "idle_s": 1, "idle_rounds": 1, "many": 500, "many_s": 2, "many_rounds": 1, "patience_s": 60,
                  "databases": [1, 3], "databases_rounds": 1, "connections": [1, 4], "row_bytes": [1, 1000], "database_mb": [1, 2],
                  "huge_mb": [3], "growth_rounds": 1, "growth_s": 1},
        "short": {"rounds": 5, "seconds": 1, "requests": 10_000_000, "warmup": 100, "rows": 100_000, "publishes": 1500, "probes": 100, "lag_s": 3,
                  "lag_rate": 2000, "failover_s": 15, "failover_rounds": 1, "missed": 200_000, "missed_s": 10, "catch_up_rounds": 1,
                  "join_mb": 100, "join_rounds": 1, "idle_s": 5, "idle_rounds": 1, "many": 200_000, "many_s": 10, "many_rounds": 1,
                  "patience_s": 120, "databases": [1, 100, 1000], "databases_rounds": 1, "connections": [1, 16, 256, 1000],
                  "row_bytes": [1, 1000, 100_000, 1_000_000], "database_mb": [1, 100], "huge_mb": [1000], "growth_rounds": 1, "growth_s": 1},
        "full": {"rounds": 5, "seconds": 2, "requests": 10_000_000, "warmup": 200, "rows": 100_000, "publishes": 5000, "probes": 1000, "lag_s": 6,
                 "lag_rate": 2000, "failover_s": 20, "failover_rounds": 5, "missed": 1_000_000, "missed_s": 10, "catch_up_rounds": 5,
                 "join_mb": 1000, "join_rounds": 3, "idle_s": 5, "idle_rounds": 5, "many": 1_000_000, "many_s": 120, "many_rounds": 1,
                 "patience_s": 300, "databases": [1, 10, 100, 1000], "databases_rounds": 5, "connections": [1, 16, 64, 256, 1000, 2000],
                 "row_bytes": [1, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000], "database_mb": [1, 100, 1000],
                 "huge_mb": [10_000], "growth_rounds": 5, "growth_s": 1},
    }

    def __init__(self, preset, rounds=None, seconds=None, others=None):
        self.__dict__.update(self.PRESETS[preset] | (others or {}))
        self.rounds, self.seconds = rounds or self.rounds, seconds or self.seconds

    @classmethod
    def others(cls, text):
        """NAME=N with commas between; a list has colons between its numbers."""
        found = {}
        for name, value in (pair.split("=", 1) for pair in text.split(",") if pair):
            known = cls.PRESETS["full"].get(name)
            if known is None:
                raise argparse.ArgumentTypeError(f"no size {name}: there are {', '.join(cls.PRESETS['full'])}")
            found[name] = [int(v) for v in value.split(":")] if isinstance(known, list) else int(value)
        return found


class Results:
    """Lines of JSON, written as they come; tells on standard output what it writes."""

    def __init__(self, path, run):
        self.file, self.run, self.failures = open(path, "a", encoding="utf-8"), run, 0

    def write(self, record):
        self.file.write(json.dumps({"run": self.run, **record}) + "\n")
        self.file.flush()

    def __call__(self, workload, system, number, figures):
        self.write({"workload": workload, "system": system.name, "round": number, "figures": figures})
        if "failed" in figures and system.name.startswith("ha"):
            self.failures += 1
        shown = {k: round(v, 3) for k, v in figures.items() if isinstance(v, (int, float)) and k not in ("requests", "seconds")}
        print(f"  {workload:<14} {system.name:<12} {figures.get('failed') or figures.get('refused') or shown}", flush=True)


def shared(bench, classes, count, kind, rows=0):
    """The wanted workloads of a kind on one cluster of every system, all of them running; so many rows are there to be read."""
    chosen = [name for name in kind if name in bench.wanted]
    if not chosen:
        return
    with system_.new_cluster() as cluster:
        running = []
        try:
            for c in classes:
                if count not in c.nodes_possible or (c.compares and not set(chosen) & set(c.compares.split())):
                    continue
                system = c()
                running.append(system)
                try:
                    system.start(cluster, count)
                    system.setup()
                    if rows:
                        system.rows = workloads.fill(system, rows)
                except Exception as e:  # pylint: disable=broad-except  # whatever it is, the others go on
                    logs = "".join(f"\n--- {name}\n{text[-1500:]}" for name, text in cluster.logs() if name.startswith(system.name + "-"))
                    bench.report("start", system, 0, {"failed": str(e)[-600:] + logs})
                    running.remove(system)
                    system.stop()
            for name in chosen:
                kind[name](bench, running)
        finally:
            for system in running:
                system.stop()


def arguments():
    p = argparse.ArgumentParser(description="Measures ha and its peers with the same work.")
    p.add_argument("--preset", choices=list(Sizes.PRESETS), default="full")
    p.add_argument("--peers", default="", help="names with commas between; all that are installed when there is none")
    p.add_argument("--workloads", default="", help=f"of {', '.join(workloads.ALL)}; all but {', '.join(workloads.HUGE)} when there is none")
    p.add_argument("--rounds", type=int)
    p.add_argument("--seconds", type=int, help="of one run of the load client")
    p.add_argument("--size", type=Sizes.others, default={}, help="others than the preset has: missed=1000000,database_mb=1:100")
    p.add_argument("--results", default=os.path.join(ROOT, "build", "peers", "results.jsonl"))
    a = p.parse_args()
    a.peers = [n for n in a.peers.split(",") if n] or list(systems.SYSTEMS)
    a.workloads = [n for n in a.workloads.split(",") if n] or workloads.USUAL
    for n in a.peers:
        if n not in systems.SYSTEMS:
            p.error(f"no peer {n}: there are {', '.join(systems.SYSTEMS)}")
    for n in a.workloads:
        if n not in workloads.ALL:
            p.error(f"no workload {n}: there are {', '.join(workloads.ALL)}")
    return a


def main():
    a = arguments()
    os.makedirs(os.path.dirname(os.path.abspath(a.results)), exist_ok=True)
    run = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    results, sizes = Results(a.results, run), Sizes(a.preset, a.rounds, a.seconds, a.size)
    # As services have one. Linux shares the processors out among sessions first (autogroup), and each of PostgreSQL's processes makes
    # one of its own: it would have as much as all other systems and the load together. (Not in a test run, which ends its session.)
    ha.Process.own_session = a.preset != "smoke"
    classes = []
    known = {}
    for name in a.peers:
        system = systems.SYSTEMS[name]()
        missing = system.missing()
        known[name] = {"title": system.title, "missing": missing, "version": "" if missing else system.version(),
                       "durability": system.durability}
        print(f"{system.title}: {missing or known[name]['version'] or 'there'}")
        if not missing:
            classes.append(type(system))
    for name, reason in system_.refused().items():
        if name not in systems.SYSTEMS and name != "nats-server":
            known[name] = {"title": name.capitalize(), "missing": reason}
    results.write({"about": {"machine": machine.description(), "load_average": os.getloadavg(), "preset": a.preset,
                             "command": " ".join(sys.argv[1:]), "sizes": vars(sizes), "systems": known}})
    bench = workloads.Bench(sizes, results, a.workloads)
    shared(bench, classes, 1, workloads.SINGLE, sizes.rows)
    shared(bench, classes, 1, workloads.SIZE)
    for c in classes:
        shared(bench, [c], 1, workloads.HUGE)
    shared(bench, classes, 3, workloads.TRIO)
    for name, workload in workloads.OWN.items():
        if name in a.workloads:
            workload(bench, classes)
    results.write({"end": {"load_average": os.getloadavg()}})
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
