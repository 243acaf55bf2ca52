#!/usr/bin/python3
"""Sums up what `make chaos` has kept of its episodes: test/chaos/table.py [build/chaos/results.jsonl…]

A table in Markdown with a line for each version of nats-server (the last columns count episodes), and what was found.
"""

import json
import re
import sys

STARVED_S = 4  # a nats-server that hears nothing for so long holds an election


def is_late(finding):
    """Every promise was kept, but not within ten seconds of the end of a fault."""
    return finding.startswith("liveness:")


def is_starved(finding):
    """The cluster did not get the processor meanwhile."""
    waited = re.search(r"some thread waited ([\d.]+) s", finding)
    return is_late(finding) and waited and float(waited.group(1)) >= STARVED_S


def main():
    groups = {}
    for path in sys.argv[1:] or ["build/chaos/results.jsonl"]:
        with open(path, encoding="utf-8") as f:
            lines = f.readlines()
        for r in map(json.loads, lines):
            kind = r["version"] + (", overlapping kills" if r["overlapping"] else "")
            groups.setdefault((tuple(map(int, r["version"].split("."))), kind), []).append(r)
    print("| nats-server | episodes (lww, asynchronous) | minutes | operations (ok, failed, unknown) | faults | recovery: median, longest "
          "| log rolled back, noticed | later than 10 s (starved) | other findings |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (_, kind), episodes in sorted(groups.items()):
        n, ok, failed, unknown = (sum(e["operations"][i] for e in episodes) for i in range(4))
        recovery = sorted(s for e in episodes for s in e["recovery_s"]) or [0]
        lww, asynchronous = (sum(e["mode"] == mode for e in episodes) for mode in ("lww", "async"))
        print(f"| {kind} | {len(episodes)} ({lww}, {asynchronous}) | {sum(e['seconds'] for e in episodes) / 60:.0f} | {n:,} ({ok:,}, {failed:,}, {unknown:,}) "
              f"| {sum(len(e['faults']) for e in episodes)} | {recovery[len(recovery) // 2]:.1f} s, {recovery[-1]:.1f} s "
              f"| {sum(bool(e['detected']) for e in episodes)} | {sum(any(map(is_late, e['findings'])) for e in episodes)} "
              f"({sum(any(map(is_starved, e['findings'])) for e in episodes)}) "
              f"| {sum(not e['detected'] and not all(map(is_late, e['findings'])) for e in episodes)} |")
    for (_, kind), episodes in sorted(groups.items()):
        for e in episodes:
            if e["findings"]:
                print(f"\n{kind}, seed {e['seed']}: {e['mode']}, {e['nodes']} nodes, {e['topology']}")
                print("".join(f"- {f[:300]}\n" for f in e["findings"][:5]), end="")


main()
