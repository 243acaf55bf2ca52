#!/usr/bin/python3
"""Makes of build/peers/results.jsonl what docs/performance.md shows: tables between its two marks, and docs/plots/*.svg.

    test/peers/report.py [--results FILE] [--stdout]

Each workload is taken from the newest run that had it, smoke runs left out; all its systems from that same run. Figures are
medians over the rounds; a ratio is the median of the rounds' ratios.
"""

import argparse
import json
import os
import re
import statistics
import sys

import svg

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE, PLOTS = os.path.join(ROOT, "docs", "performance.md"), os.path.join(ROOT, "docs", "plots")
BEGIN, END = "<!-- test/peers/report.py -->", "<!-- end of what test/peers/report.py writes -->"
ORDER = ("ha", "ha-pg", "ha-interval", "litesql-ha", "rqlite", "dqlite", "postgres", "mariadb", "litefs", "marmot", "sqlite", "bare-publish", "bare-group")
LIMITS = {"bare-publish": "a bare publish and its acknowledgement",
          "bare-group": "a bare write group of 64 threads"}

# What is asked for: name, workload, figure, whose, against (workload, whose), ratio, and whether it is a limit from above.
TARGETS = (
    ("lone writer, p50, against a bare publish", "lone", "p50_us", "ha", ("lone", "bare-publish"), 1.3, True),
    ("lone writer, throughput, against litesql/ha (both synced every 2 min)", "lone", "rate", "ha-interval", ("lone", "litesql-ha"), 1.5, False),
    ("64 writers, against litesql/ha (both synced every 2 min)", "writers64", "rate", "ha-interval", ("writers64", "litesql-ha"), 10, False),
    ("64 writers, against rqlite", "writers64", "rate", "ha", ("writers64", "rqlite"), 10, False),
    ("64 writers, against the bare write group", "writers64", "rate", "ha", ("writers64", "bare-group"), 0.4, False),
    ("64 writers over three nodes, against one of the three", "spread64", "rate", "ha", ("one64of3", "ha"), 1, False),
    ("point reads, 1 client, against litesql/ha", "read1", "rate", "ha", ("read1", "litesql-ha"), 5, False),
    ("point reads, 64 clients, against litesql/ha", "read64", "rate", "ha", ("read64", "litesql-ha"), 5, False),
    ("point reads, 1 client, PostgreSQL's protocol, against PostgreSQL", "read1", "rate", "ha-pg", ("read1", "postgres"), 1, False),
    ("point reads, 64 clients, PostgreSQL's protocol, against PostgreSQL", "read64", "rate", "ha-pg", ("read64", "postgres"), 1, False),
    ("lag at 2,000 tx/s, p99, against litesql/ha", "lag_busy", "p99_us", "ha", ("lag_busy", "litesql-ha"), 1 / 3, True),
    ("catch-up, against litesql/ha", "catch_up", "rate", "ha", ("catch_up", "litesql-ha"), 20, False),
    ("idle memory, against litesql/ha", "idle", "memory_mb", "ha", ("idle", "litesql-ha"), 0.5, True),
)
# Name, workload, figure, limit, unit.
BOUNDS = (
    ("unfairness of three nodes writing at once (most / least)", "spread64", "unfair", 3, ""),
    ("lag at 2,000 tx/s, p99", "lag_busy", "p99_us", 10_000, "µs"),
    ("1,000 databases: start", "databases1000", "start_s", 5, "s"),
    ("1,000 databases: memory, nats-server included", "databases1000", "memory_mb", 1024, "MB"),
    ("100 databases: processor, idle", "databases100", "cpu_percent", 0.5, "%"),
)


def number(v):
    return f"{v:,.0f}" if v >= 100 else f"{v:.3g}"


class Results:
    """rounds[workload][system] = figures, one for each round."""

    def __init__(self, path):
        runs, found = {}, {}
        with open(path, encoding="utf-8") as f:
            for line in f:
                r = json.loads(line)
                if "about" in r:
                    runs[r["run"]] = r["about"]
                elif "end" in r and r["run"] in runs:
                    runs[r["run"]]["load_after"] = r["end"]["load_average"]
                elif "workload" in r:
                    found.setdefault(r["workload"], {}).setdefault(r["run"], []).append(r)
        serious = {run for run, about in runs.items() if about["preset"] != "smoke"}
        self.rounds, self.used = {}, {}  # the figures; what is known of the runs that they come from
        for workload, by_run in found.items():
            candidates = [run for run in by_run if run in serious]
            if not candidates:
                continue
            run = max(candidates)
            self.used[run] = runs[run]
            for r in by_run[run]:
                self.rounds.setdefault(workload, {}).setdefault(r["system"], []).append(r["figures"])

    def title(self, system):
        return LIMITS.get(system) or self.about_systems().get(system, {}).get("title", system)

    def about_systems(self):
        """What is known of each, the newest run's word last."""
        return {name: s for _, a in sorted(self.used.items()) for name, s in a["systems"].items()}

    def values(self, workload, system, figure):
        return [r[figure] for r in self.rounds.get(workload, {}).get(system, ()) if figure in r]

    def median(self, workload, system, figure):
        values = self.values(workload, system, figure)
        return statistics.median(values) if values else None

    def cell(self, workload, system, figure, scale=1):
        value = self.median(workload, system, figure)
        if value is not None:
            return number(value * scale)
        rounds = self.rounds.get(workload, {}).get(system, ())
        return "failed" if any("failed" in r for r in rounds) else "–"

    def systems(self, *workloads):
        there = {s for w in workloads for s in self.rounds.get(w, ())}
        return [s for s in ORDER if s in there and any("rate" in r or "p50_us" in r or "memory_mb" in r or "pause_ms" in r
                                                      for w in workloads for r in self.rounds.get(w, {}).get(s, ()))]


def table(out, results, workloads, columns):
    """columns: (heading, workload, figure, scale)."""
    systems = results.systems(*workloads)
    if not systems:
        return
    out.append("| | " + " | ".join(c[0] for c in columns) + " |")
    out.append("|---|" + "---:|" * len(columns))
    for s in systems:
        cells = [results.cell(w, s, f, scale) for _, w, f, scale in columns]
        out.append(f"| {results.title(s)} | " + " | ".join(cells) + " |")
    out.append("")


def about(out, results):
    for run, a in sorted(results.used.items()):
        m = a["machine"]
        after = f" before, {a['load_after'][0]:.1f} after" if "load_after" in a else ""
        out.append(f"Run of {run}: `test/peers/bench.py {a['command']}` ({a['sizes']['rounds']} rounds of {a['sizes']['seconds']} s) on {m['cores']} cores "
                   f"({m['processor']}), {m['memory_gb']} GB, {m['system']}, kernel {m['kernel']}; load average {a['load_average'][0]:.1f}{after}.")
    out += ["", "| | version | durability of an acknowledged write |", "|---|---|---|"]
    systems = results.about_systems()
    for name in sorted(systems, key=lambda n: ORDER.index(n) if n in ORDER else 99):
        s = systems[name]
        out.append(f"| {s['title']} | {s['version']} | {s['durability']} |" if not s["missing"] else
                   f"| {s['title']} | | **not measured here**: {s['missing']} |")
    out.append("")


def targets(out, results):
    out += ["| target | ours | theirs | ratio | wanted | |", "|---|---:|---:|---:|---:|---|"]
    for name, workload, figure, ours, (against, theirs), wanted, most in TARGETS:
        a, b = results.values(workload, ours, figure), results.values(against, theirs, figure)
        sign = "≤" if most else "≥"
        goal = f"{sign} {wanted:.3g}"
        if not a or not b:
            out.append(f"| {name} | {number(statistics.median(a)) if a else '–'} | not measured | | {goal} | |")
            continue
        ratio = statistics.median(x / y for x, y in zip(a, b))
        met = ratio <= wanted if most else ratio >= wanted
        out.append(f"| {name} | {number(statistics.median(a))} | {number(statistics.median(b))} | {ratio:.2f} | {goal} "
                   f"| {'met' if met else '**not met**'} |")
    for name, workload, figure, limit, unit in BOUNDS:
        value = results.median(workload, "ha", figure)
        if value is not None:
            out.append(f"| {name} | {number(value)} {unit} | | | ≤ {number(limit)} {unit} | {'met' if value <= limit else '**not met**'} |")
    out.append("")


def steps_of(results, prefix):
    """What a workload that grows was measured with, and the name of each."""
    return sorted((int(w[len(prefix):]), w) for w in results.rounds if re.fullmatch(prefix + r"\d+", w))


# Prefix of the workloads, figure, plot, heading, unit, scale.
GROWTH = (
    ("connections", "rate", "growth-connections", "one-row INSERTs a second, by connections", "tx/s", 1),
    ("connections", "p99_us", "growth-connections-p99", "latency of an INSERT, p99 in ms, by connections", "ms", 1e-3),
    ("row", "p50_us", "growth-row", "median latency of an INSERT in µs, by bytes of the row", "µs", 1),
    ("row", "rate", "growth-row-rate", "INSERTs a second of one writer, by bytes of the row", "tx/s", 1),
    ("size", "p50_us", "growth-size", "median latency of an INSERT in µs, by MB of the database", "µs", 1),
    ("size", "rate_64", "growth-size-rate", "one-row INSERTs a second of 64 writers, by MB of the database", "tx/s", 1),
    ("size", "read_us", "growth-size-read", "median latency of reading a row of 10,000 bytes in µs, by MB of the database", "µs", 1),
)
# Of the workload with many databases, of ours only: figure, plot, heading, unit, scale.
DATABASES = (
    ("start_s", "growth-databases-start", "Start of a node, by databases", "s", 1),
    ("memory_mb", "growth-databases-memory", "Memory of a node with its nats-server, by databases", "MB", 1),
    ("cpu_percent", "growth-databases-cpu", "Processor of an idle node with its nats-server, by databases", "%", 1),
    ("rate", "growth-databases-rate", "64 writers to all databases, by databases", "tx/s", 1),
    ("p50_us", "growth-databases-p50", "64 writers to all databases: median latency, by databases", "ms", 1e-3),
)


def growth_plot(results, steps, systems, figure, heading, unit, scale):
    """A line for each system that has the figure; None where there is nothing to see."""
    curves = {}
    for s in systems:
        curve = [(n, v * scale) for n, w in steps for v in [results.median(w, s, figure)] if v]
        if curve:
            curves[results.title(s)] = curve
    return svg.lines(heading, heading.split(", by ")[-1], unit, curves, colours(results)) if curves and len(steps) > 1 else None


def growth(out, results, plots, prefix, figure, name, heading, unit, scale):
    """A line a system over what grows; the same as a plot."""
    steps = steps_of(results, prefix)
    systems = results.systems(*(w for _, w in steps))
    if len(steps) < 2 or not systems:
        return
    out += [f"| {heading} | " + " | ".join(f"{n:,}" for n, _ in steps) + " |", "|---|" + "---:|" * len(steps)]
    out += [f"| {results.title(s)} | " + " | ".join(results.cell(w, s, figure, scale) for _, w in steps) + " |" for s in systems] + [""]
    plots[name] = growth_plot(results, steps, systems, figure, heading, unit, scale)


def databases(out, results, plots):
    """What grows with the databases of one node; only ours is asked for many."""
    steps = steps_of(results, "databases")
    if not steps:
        return
    out += ["| databases of one node | start s | memory MB | processor % | 64 writers to all of them: tx/s | p50 ms | p99 ms |",
            "|---|" + "---:|" * 6]
    columns = (("start_s", 1), ("memory_mb", 1), ("cpu_percent", 1), ("rate", 1), ("p50_us", 1e-3), ("p99_us", 1e-3))
    out += [f"| {n:,} | " + " | ".join(results.cell(w, "ha", f, scale) for f, scale in columns) + " |" for n, w in steps] + [""]
    for figure, name, heading, unit, scale in DATABASES:
        plots[name] = growth_plot(results, steps, ["ha"], figure, heading, unit, scale)


def colours(results):
    return {results.title(s): svg.COLOURS[i % len(svg.COLOURS)] for i, s in enumerate(ORDER)}


def make_plots(results, plots):
    for name, workload, figure, heading, unit, scale in (
            ("lone-writer", "lone", "p50_us", "Lone writer: median latency of a one-row INSERT", "µs", 1),
            ("writers", "writers64", "rate", "64 writers on one node", "transactions/s", 1),
            ("reads", "read64", "rate", "Point SELECT, 64 clients", "reads/s", 1),
            ("lag", "lag_busy", "p99_us", "Lag beside 2,000 tx/s, p99", "ms", 1e-3)):
        rows = [(results.title(s), v * scale) for s in ORDER for v in [results.median(workload, s, figure)] if v]
        if rows:
            plots[name] = svg.bars(heading, unit, rows, colours(results))
    lanes = {results.title(s): r[0]["per_100ms"] for s in ORDER
             for r in [[x for x in results.rounds.get("failover", {}).get(s, ()) if "per_100ms" in x]] if r}
    if lanes:
        plots["failover"] = svg.timeline("Writes acknowledged around a kill -9 of the busiest node", "writes/s", lanes, colours(results))


def page(results):
    out, plots = [], {}
    make_plots(results, plots)
    about(out, results)
    targets(out, results)
    out += ["**Writes**, one node. Rates a second; µs; processor time of the server for a write.", ""]
    table(out, results, ["lone", "batch100", "writers64", "hot16"], [
        ("lone: tx/s", "lone", "rate", 1), ("p50", "lone", "p50_us", 1), ("p99", "lone", "p99_us", 1), ("p99.9", "lone", "p999_us", 1),
        ("processor", "lone", "cpu_us", 1), ("100 rows to a transaction: rows/s", "batch100", "rate", 1),
        ("64 writers: tx/s", "writers64", "rate", 1), ("p99", "writers64", "p99_us", 1), ("processor", "writers64", "cpu_us", 1),
        ("one hot row, 16 writers: tx/s", "hot16", "rate", 1)])
    out += ["**Reads**, one node.", ""]
    table(out, results, ["read1", "read64", "scan", "mixed"], [
        ("1 client: reads/s", "read1", "rate", 1), ("p99 µs", "read1", "p99_us", 1), ("64 clients: reads/s", "read64", "rate", 1),
        ("p99 µs", "read64", "p99_us", 1), ("processor µs", "read64", "cpu_us", 1), ("scan: rows/s", "scan", "rate", 1),
        ("90 reads to 10 writes, 16 clients: /s", "mixed", "rate", 1), ("p99 µs", "mixed", "p99_us", 1)])
    out += ["**Three nodes.** The lag is from the acknowledgement to the answer of the slower node that has the row; for the catch-up a node was away.", ""]
    table(out, results, ["one64of3", "spread64", "lag_idle", "lag_busy", "failover", "catch_up", "join"], [
        ("64 writers at one: tx/s", "one64of3", "rate", 1), ("over three: tx/s", "spread64", "rate", 1), ("most / least", "spread64", "unfair", 1),
        ("lag, idle: p50 ms", "lag_idle", "p50_us", 1e-3), ("p99 ms", "lag_idle", "p99_us", 1e-3), ("at 2,000 tx/s: p50 ms", "lag_busy", "p50_us", 1e-3),
        ("p99 ms", "lag_busy", "p99_us", 1e-3), ("kill -9: no write for s", "failover", "pause_ms", 1e-3),
        ("catch-up: tx/s", "catch_up", "rate", 1), ("join: MB/s", "join", "rate", 1)])
    out += ["**At rest**, and after the transactions of 64 writers, as many of them as the time allowed. Memory is PSS of all processes of the system.", ""]
    table(out, results, ["idle", "after_many"], [
        ("first start s", "idle", "first_start_s", 1), ("memory MB", "idle", "memory_mb", 1), ("processor %", "idle", "cpu_percent", 1),
        ("transactions", "after_many", "transactions", 1), ("memory after them MB", "after_many", "memory_mb", 1)])
    databases(out, results, plots)
    for what in GROWTH:
        growth(out, results, plots, *what)
    plots = {name: plot for name, plot in plots.items() if plot}
    out += [f"![{name}](plots/{name}.svg)" for name in plots] + [""]
    failed = sorted({(w, s, r["failed"].splitlines()[0][:160]) for w, by in results.rounds.items() for s, rs in by.items() for r in rs if "failed" in r})
    out += [f"- {results.title(s)}, {w}: failed: {text}" for w, s, text in failed]
    return "\n".join(out).strip() + "\n", plots


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--results", default=os.path.join(ROOT, "build", "peers", "results.jsonl"))
    p.add_argument("--stdout", action="store_true", help="shows the tables and writes nothing")
    a = p.parse_args()
    results = Results(a.results)
    if not results.used:
        print("no results of a run that was no smoke run")
        return 1
    text, plots = page(results)
    if a.stdout:
        print(text)
        return 0
    with open(PAGE, encoding="utf-8") as f:
        before, _, rest = f.read().partition(BEGIN)
    _, _, after = rest.partition(END)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(f"{before}{BEGIN}\n{text}{END}{after}")
    os.makedirs(PLOTS, exist_ok=True)
    for name, content in plots.items():
        with open(os.path.join(PLOTS, f"{name}.svg"), "w", encoding="utf-8") as f:
            f.write(content)
    print(f"{PAGE} and {len(plots)} plots are written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
