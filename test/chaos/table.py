#!/usr/bin/python3
"""Sums up what `make chaos` has kept of its episodes: test/chaos/table.py [build/chaos/results.jsonl]

A table in Markdown with a line for each version of nats-server (the last columns count episodes), and what was found.
"""

import json
import sys


def is_late(finding):
    """Every promise was kept, but not within ten seconds of the end of a fault."""
    return finding.startswith("liveness:")


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "build/chaos/results.jsonl"
    groups = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            r = json.loads(line)
            kind = r["version"] + (", overlapping kills" if r["overlapping"] else "")
            groups.setdefault((tuple(map(int, r["version"].split("."))), kind), []).append(r)
    print("| nats-server | episodes | minutes | operations (ok, failed, unknown) | faults | recovery: median, longest "
          "| log rolled back, noticed | later than 10 s | other findings |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (_, kind), episodes in sorted(groups.items()):
        n, ok, failed, unknown = (sum(e["operations"][i] for e in episodes) for i in range(4))
        recovery = sorted(s for e in episodes for s in e["recovery_s"]) or [0]
        print(f"| {kind} | {len(episodes)} | {sum(e['seconds'] for e in episodes) / 60:.0f} | {n:,} ({ok:,}, {failed:,}, {unknown:,}) "
              f"| {sum(len(e['faults']) for e in episodes)} | {recovery[len(recovery) // 2]:.1f} s, {recovery[-1]:.1f} s "
              f"| {sum(bool(e['detected']) for e in episodes)} | {sum(any(map(is_late, e['findings'])) for e in episodes)} "
              f"| {sum(not all(map(is_late, e['findings'])) for e in episodes)} |")
    for (_, kind), episodes in sorted(groups.items()):
        for e in episodes:
            if e["findings"]:
                print(f"\n{kind}, seed {e['seed']}: {e['mode']}, {e['nodes']} nodes, {e['topology']}")
                print("".join(f"- {f[:300]}\n" for f in e["findings"][:5]), end="")


main()
