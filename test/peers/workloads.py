"""What is measured. A workload is a function of a Bench that reports one dictionary of figures for each round of each system.

Those of one kind of cluster share it: `SINGLE` and `SIZE` on one node of each system, `TRIO` on three. All systems of a kind run at
the same time, and rounds go in turns: the first of every system, the second of every system, … For `HUGE` one system after the
other runs by itself, all of its rounds. The others start clusters of their own.
"""

import os
import time

import ha
import load
import machine
import system as system_

MANY = 64
FILL_S = 800  # at most, for filling a table
LONE_ROWS = 2000  # what is filled in where no transaction has many rows


class Refused(Exception):
    """A system cannot do the work; the text says why."""


class Bench:
    """What a workload sees of the run: sizes, where figures go, and the names of the workloads that are wanted."""

    def __init__(self, sizes, report, wanted):
        self.sizes, self.report, self.wanted = sizes, report, wanted
        self.first = 1

    def numbers(self):
        """A start for %i that no run before had come to."""
        self.first += 100_000_000
        return self.first

    def load(self, system, work, ports=None, tolerate=False, **arguments):
        """One run of the load client; with the processor time that the system took for a request."""
        if work is None:
            raise Refused("it has no such work")
        pids = system.pids()
        before = machine.cpu_coarse_s(pids)
        arguments = {"requests": self.sizes.requests, "seconds": self.sizes.seconds, "keys": max(1, system.rows), "first": self.numbers(),
                     "warmup": max(1, self.sizes.warmup // arguments.get("connections", 1)), **arguments}
        result = load.program("load", {**system.connect(*(ports or ())), **work, **arguments}, tolerate or system.refuses_writers)
        used = machine.cpu_coarse_s(pids) - before
        if result["requests"] and pids:
            result["cpu_us"] = used * 1e6 / result["requests"]
        return result

    def turns(self, name, systems, run, rounds=None):
        """Rounds in turns; what fails once is not tried again in this workload."""
        out = set()
        for i in range(rounds or self.sizes.rounds):
            for system in systems:
                if system.name in out or (system.compares and name not in system.compares.split()):
                    continue
                try:
                    self.report(name, system, i, run(system))
                except Refused as e:
                    out.add(system.name)
                    self.report(name, system, i, {"refused": str(e)})
                except (load.LoadFailed, ha.Timeout, ha.HttpError, ha.ConnectionLost) as e:
                    out.add(system.name)
                    self.report(name, system, i, {"failed": str(e)[-600:]})


def fill(system, rows, table="fill", bytes_=10):
    """That many rows, in transactions of 100 where the system has such: how many it got."""
    batch = system.batch(table, 100) or {**(system.work(table) or {})}
    per = batch.get("batch", 1)
    if per == 1:
        rows = min(rows, LONE_ROWS)
    result = load.program("load", {**system.connect(), **batch, "requests": max(1, rows // per), "first": 0, "seconds": FILL_S,
                                   "bytes": bytes_, "connections": 1 if per > 1 or system.refuses_writers else 16})
    return result["requests"] * per


def fill_wide(system, mb):
    """So many MB more in rows of 10,000 bytes: how many these are."""
    rows = fill(system, mb * 100, "wide", 10_000)
    if rows < mb * 100:
        raise load.LoadFailed(f"only {rows / 100:.0f} of {mb} MB were there after {FILL_S} s")
    return rows


# ---- one node -------------------------------------------------------------------------------------------------


def lone(bench, systems):
    def run(s):
        return s.run(bench) if isinstance(s, Limit) else bench.load(s, s.work("insert"), connections=1)

    bench.turns("lone", systems + limits(systems, Publish), run)


def batch100(bench, systems):
    def run(s):
        result = bench.load(s, s.batch("insert", 100), connections=1, warmup=3)
        return {**result, "rate": result["rate"] * 100}  # rows, not transactions

    bench.turns("batch100", systems, run)


def writers64(bench, systems):
    def run(s):
        return s.run(bench) if isinstance(s, Limit) else bench.load(s, s.work("insert"), connections=MANY)

    bench.turns("writers64", systems + limits(systems, Group), run)


def hot16(bench, systems):
    bench.turns("hot16", systems, lambda s: bench.load(s, s.work("hot"), connections=16))


def read1(bench, systems):
    bench.turns("read1", systems, lambda s: bench.load(s, s.work("select"), connections=1))


def read64(bench, systems):
    bench.turns("read64", systems, lambda s: bench.load(s, s.work("select"), connections=MANY))


def scan(bench, systems):
    """All rows of the table of which the others read one."""

    def run(s):
        result = bench.load(s, s.work("scan"), connections=1, warmup=1)
        return {**result, "rate": result["rate"] * s.rows}

    bench.turns("scan", [s for s in systems if s.sql], run)


def mixed(bench, systems):
    """Of 100 requests 90 read a row and 10 insert one."""

    def run(s):
        second = s.work("insert", second=True)
        return bench.load(s, {**s.work("select"), **second, "share": 10} if second and s.sql else None, connections=16)

    bench.turns("mixed", [s for s in systems if s.sql], run)


# ---- limits: the bare work of a write, in turns with the systems -----------------------------------------------


class Limit:
    """Not a system, but what ours cannot be faster than, against the nats-server of its node."""

    durability, compares = "as ha", ""

    def __init__(self, node):
        self.url, self.directory, self.runs = node.nodes[0].nats_url, node.cluster.directory, 0


class Publish(Limit):
    """Of the bytes of the node's last message, which one writer wrote."""

    name = "bare-publish"

    def run(self, bench):
        return load.program("publish", {"url": self.url, "like": system_.STREAM, "subject": "ha_replication.bench=2Edb",
                                        "count": bench.sizes.publishes, "warmup": 20})


class Group(Limit):
    """64 threads, a write group around SQLite and one publish, no network front."""

    name = "bare-group"

    def run(self, bench):
        self.runs += 1
        file = os.path.join(self.directory, f"group{self.runs}.db")
        return load.program("group", {"url": self.url, "file": file, "threads": MANY, "seconds": bench.sizes.seconds})


def limits(systems, kind):
    return [kind(s) for s in systems if s.name == "ha"]


# ---- three nodes ----------------------------------------------------------------------------------------------


def one_of_three(bench, systems):
    bench.turns("one64of3", systems, lambda s: bench.load(s, s.work("insert"), connections=MANY))


def spread64(bench, systems):
    def run(s):
        if s.name == "postgres":
            raise Refused("its standbys take no writes")
        result = bench.load(s, s.work("insert"), ports=s.ports, connections=MANY)
        least = min(result["by_port"])
        return {**result, "unfair": max(result["by_port"]) / least if least else 1e9}

    bench.turns("spread64", systems, run)


def lag(bench, systems, rate, name):
    def run(s):
        if not s.sql:
            raise Refused("its nodes send every read to the leader")
        background = None
        arguments = {**s.connect(), "watch": ",".join(map(str, s.ports[1:])), "count": bench.sizes.probes, "interval_ms": 2,
                     "seconds": bench.sizes.lag_s, "first": bench.numbers(), "look": "row-", **s.work("probe"), **s.work("look", second=True)}
        if rate:
            background = load.Background({**s.connect(), **s.work("insert"), "rate": rate, "connections": 32, "warmup": 5,
                                          "seconds": 3600, "requests": bench.sizes.lag_s * rate, "first": bench.numbers()})
        try:
            result = load.program("lag", arguments)
            worst = max(result["nodes"], key=lambda n: n["p99_us"])
            figures = {k: worst[k] for k in ("p50_us", "p99_us", "p999_us", "max_us")}
            if background:
                beside = background.result()
                figures |= {"beside_rate": beside["rate"], "beside_errors": beside["errors"], "beside_p99_us": beside["p99_us"]}
            return figures
        finally:
            if background:
                background.kill()

    bench.turns(name, systems, run)


def lag_idle(bench, systems):
    lag(bench, systems, 0, "lag_idle")


def lag_busy(bench, systems):
    lag(bench, systems, bench.sizes.lag_rate, "lag_busy")


# ---- clusters of their own ------------------------------------------------------------------------------------


def own(bench, name, classes, count, run, rounds=None):
    """Each round with a new cluster of one system after the other."""

    def once(system):
        with system_.new_cluster() as cluster:
            system.start(cluster, count)
            try:
                system.setup()
                return run(system)
            finally:
                system.stop()

    bench.turns(name, [c() for c in classes if count in c.nodes_possible], once, rounds)


def failover(bench, classes):
    """Writes through a kill -9 of the node that has most to do; clients go on at another one."""

    def run(s):
        if not hasattr(s, "kill9"):
            raise Refused("nobody promotes a standby by itself")
        victim = s.busiest()
        ports = s.ports[victim:] + s.ports[:victim]
        seconds = bench.sizes.failover_s
        background = load.Background({**s.connect(*ports), **s.work("insert"), "connections": 16, "seconds": seconds, "warmup": 5,
                                      "requests": 2_000_000, "reconnect": 1, "timeline": 1, "first": bench.numbers()})
        try:
            if s.sql:
                ha.wait_until(lambda: s.count(victim, "item") > 500, 30, "some rows are there")
            else:
                ha.threading.Event().wait(2)  # nobody tells how many there are
            s.kill9(victim)
            result = background.result()
        finally:
            background.kill()
        return {"pause_ms": longest_pause(result["ends"]) * result["ends_ms"], "errors": result["errors"], "rate": result["rate"],
                "per_100ms": [sum(result["ends"][i : i + 10]) for i in range(0, len(result["ends"]), 10)]}

    own(bench, "failover", classes, 3, run, bench.sizes.failover_rounds)


def longest_pause(ends):
    """The longest stretch without a success that a success followed, in buckets."""
    longest = since = 0
    for n in ends:
        if n:
            longest, since = max(longest, since), 0
        else:
            since += 1
    return max(longest, since)


def catch_up(bench, classes):
    """A node is stopped, misses transactions of one row, and starts again."""

    def run(s):
        if not hasattr(s, "start_node"):
            raise Refused("no node of it can be asked what it holds")
        bench.load(s, s.work("insert"), seconds=1, connections=1)
        away = len(s.ports) - 1
        s.stop_node(away)
        before = s.count(0, "item")
        bench.load(s, s.work("insert"), tolerate=True, connections=MANY, requests=bench.sizes.missed, seconds=bench.sizes.missed_s)
        wanted = s.count(0, "item")
        start = time.monotonic()
        s.start_node(away)
        ha.wait_until(lambda: s.count(away, "item") >= wanted, bench.sizes.patience_s, "the node has caught up")
        seconds = time.monotonic() - start
        return {"transactions": wanted - before, "seconds": seconds, "rate": (wanted - before) / seconds}

    own(bench, "catch_up", classes, 3, run, bench.sizes.catch_up_rounds)


def join(bench, classes):
    """A new node comes to a database of some size and holds it."""

    def run(s):
        if not hasattr(s, "join"):
            raise Refused("no node of it can be asked what it holds")
        mb = bench.sizes.join_mb
        wanted = fill_wide(s, mb)
        s.take_snapshot()
        start = time.monotonic()
        new = s.join()
        ha.wait_until(lambda: s.count(new, "wide") >= wanted, bench.sizes.patience_s, "the new node holds the database")
        seconds = time.monotonic() - start
        return {"mb": mb, "seconds": seconds, "rate": mb / seconds}

    own(bench, "join", classes, 3, run, bench.sizes.join_rounds)


def idle(bench, classes):
    """Start to the first answer, and what it takes of the machine with nothing to do."""

    def run(s):
        with system_.new_cluster() as cluster:
            start = time.monotonic()
            s.start(cluster, 1)
            figures = {"first_start_s": time.monotonic() - start}
            try:
                s.setup()
                ha.wait_until(quiet(s), 30, "it is quiet")
                figures["memory_mb"] = machine.memory_mb(s.pids())
                figures["cpu_percent"] = cpu_percent(s, bench.sizes.idle_s)
                return figures
            finally:
                s.stop()

    bench.turns("idle", [c() for c in classes if c.name != "ha-pg"], run, bench.sizes.idle_rounds)


def after_many(bench, classes):
    """Memory after many transactions, however many of them fit into the time. What is refused to so many writers is no matter here."""

    def run(s):
        result = bench.load(s, s.work("insert"), tolerate=True, connections=MANY, requests=bench.sizes.many, seconds=bench.sizes.many_s)
        return {"transactions": result["requests"], "rate": result["rate"], "memory_mb": machine.memory_mb(s.pids())}

    own(bench, "after_many", [c for c in classes if c.name != "ha-pg"], 1, run, bench.sizes.many_rounds)


def quiet(s):
    """A condition: over half a second it used less than 3 % of a processor."""
    return lambda: cpu_percent(s, 0.5) < 3


def cpu_percent(s, seconds):
    before, begin = machine.cpu_s(s.pids()), time.monotonic()
    ha.threading.Event().wait(seconds)
    return max(0, machine.cpu_s(s.pids()) - before) / (time.monotonic() - begin) * 100


def many_databases(bench, classes):
    """Nodes with many databases: the second start, when all of them are there already; then writes to all of them."""
    for count in bench.sizes.databases:
        def run(s, count=count):
            if s.name != "ha":
                raise Refused("only ha is asked for many databases")
            with system_.new_cluster() as cluster:
                files = [f"file:d{i}.db" for i in range(count)]
                node = cluster.node(files=files, wait=False)
                node.wait_ready(120)
                node.terminate()
                start = time.monotonic()
                node.start(wait=False)
                node.wait_ready(120)
                figures = {"start_s": time.monotonic() - start}
                s.running = [node]
                ha.wait_until(quiet(s), 60, "it is quiet")
                figures["memory_mb"] = machine.memory_mb([node.pid])
                figures["cpu_percent"] = cpu_percent(s, bench.sizes.idle_s)
                for i in range(count):
                    node.http.ok("POST", f"/databases/d{i}.db", {"sql": system_.SCHEMA[0].format(s.identity)})
                s.ports, work = [node.port], s.work("insert")
                figures |= bench.load(s, {**work, "path": "/databases/d%r.db"}, connections=MANY, keys=count)
                s.running = []
                return figures

        bench.turns(f"databases{count}", [c() for c in classes if c.name == "ha"], run, bench.sizes.databases_rounds)


# ---- growth: latency and throughput as something grows ----------------------------------------------------------


def grow(bench, prefix, steps, systems, run):
    """run(system, step) for each step, in rounds; the results are the prefix's with the step behind."""
    for step in steps:
        bench.turns(f"{prefix}{step}", systems, lambda s, step=step: run(s, step), bench.sizes.growth_rounds)


def growth_connections(bench, systems):
    grow(bench, "connections", bench.sizes.connections, systems,
         lambda s, n: bench.load(s, s.work("insert"), connections=n, seconds=bench.sizes.growth_s))


def growth_rows(bench, systems):
    grow(bench, "row", bench.sizes.row_bytes, [s for s in systems if s.sql],
         lambda s, size: bench.load(s, s.work("wide"), connections=1, bytes=size, warmup=1, seconds=bench.sizes.growth_s))


def at_size(bench, s, mb):
    """A database of so many MB: a lone writer, 64 of them, and one reader of the rows that fill it."""
    if mb > s.wide_mb:
        fill_wide(s, mb - s.wide_mb)
        s.wide_mb = mb
    seconds = bench.sizes.growth_s
    lone_writer = bench.load(s, s.work("insert"), connections=1, seconds=seconds)
    writers = bench.load(s, s.work("insert"), connections=MANY, seconds=seconds)
    reader = bench.load(s, s.work("look_wide"), connections=1, keys=mb * 100, seconds=seconds)
    return {**lone_writer, "rate_64": writers["rate"], "read_us": reader["p50_us"]}


def growth_size(bench, systems, steps=None):
    grow(bench, "size", steps or bench.sizes.database_mb, [s for s in systems if s.sql], lambda s, mb: at_size(bench, s, mb))


def growth_huge(bench, systems):
    """The same with databases of which only one fits on the disk at a time."""
    growth_size(bench, systems, bench.sizes.huge_mb)


SINGLE = {"lone": lone, "batch100": batch100, "writers64": writers64, "hot16": hot16, "read1": read1,
          "read64": read64, "scan": scan, "mixed": mixed, "connections": growth_connections, "rows": growth_rows}
SIZE = {"size": growth_size}
HUGE = {"huge": growth_huge}
TRIO = {"one64of3": one_of_three, "spread64": spread64, "lag_idle": lag_idle, "lag_busy": lag_busy}
OWN = {"failover": failover, "catch_up": catch_up, "join": join, "idle": idle, "after_many": after_many, "databases": many_databases}
USUAL = [*SINGLE, *SIZE, *TRIO, *OWN]
ALL = [*USUAL, *HUGE]
