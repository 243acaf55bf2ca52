#!/usr/bin/python3
"""Clients work through every node of a cluster while faults happen; at the end what they were told must agree with
what is there. docs/reliability.md says what is promised, and shows what this found.

    test/chaos/chaos.py [--seconds N] [--seed N] [--nemesis WORDS] [--workload WORDS] [--mode M] [--topology T] [--nodes N]

It runs episodes, a new cluster each, until the time is over. The seed of an episode gives its mode, topology, size and the
schedule of its faults, where the command line does not; the next episode has the next seed. It ends with one line of
figures; the exit status is 1 if an episode found something, 77 where no such network can be made.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "cluster")]

import ha  # noqa: E402  pylint: disable=wrong-import-position
import ledger  # noqa: E402  pylint: disable=wrong-import-position
import nemeses  # noqa: E402  pylint: disable=wrong-import-position
import workloads  # noqa: E402  pylint: disable=wrong-import-position
from cluster import EMBEDDED, EXTERNAL, REPLICATION_TIMEOUT_S, TRUSTED, Cluster, NotFormed  # noqa: E402  pylint: disable=wrong-import-position
from network import Impossible, why_impossible  # noqa: E402  pylint: disable=wrong-import-position

EPISODE_S = 60  # of faults
THINK_S = 0.05  # between two operations of a client, on average
LIVENESS_S = 10  # from the end of a fault until every node acknowledges a write
LEADER_S = 8  # more where a leader has to be found: the lease's log comes back, too, and then its span is over
GIVE_UP_S = 60  # then it counts as never
SYNC_S = 60  # until every node holds the whole log, at the end
VERIFY_S = 60  # of a comparison of all nodes
SKIPPED = 77


class Options:
    """What an episode is made of. None: the seed decides."""

    def __init__(self, seed, seconds=EPISODE_S, mode=None, topology=None, nodes=None, nemesis=None, workload=None,
                 overlapping=None, clients=1, liveness_s=LIVENESS_S, leader=False):
        rnd = random.Random(f"{seed} options")
        # All are drawn, so that one given on the command line changes no other.
        drawn = {"mode": rnd.choices((workloads.SERIALIZABLE, workloads.LWW, workloads.ASYNC), (4, 1, 1))[0],
                 "topology": rnd.choice((EXTERNAL, EMBEDDED)), "nodes": rnd.choices((3, 5), (3, 1))[0]}
        self.seed, self.seconds, self.clients, self.overlapping = seed, seconds, clients, overlapping
        self.liveness_s, self.leader = liveness_s + (LEADER_S if leader else 0), leader
        self.mode = mode or drawn["mode"]
        self.topology = topology or drawn["topology"]
        self.nodes = nodes or drawn["nodes"]
        self.nemeses = list(nemesis or nemeses.ALL)
        self.workloads = [w for w in workload or workloads.ALL if self.mode in workloads.ALL[w].modes]
        if not self.workloads:
            raise ValueError(f"none of the workloads is for {self.mode}")

    def __str__(self):
        leader = "a leader, " if self.leader else ""
        return (f"seed {self.seed}: {self.mode}, {leader}{self.nodes} nodes, {self.topology} nats-server "
                f"{'.'.join(map(str, ha.server_version()))}, {' '.join(self.workloads)} × {' '.join(self.nemeses)}")


class Report:
    def __init__(self, options):
        self.options = options
        self.findings, self.detected, self.steps, self.recovery_s = [], [], [], []
        self.operations = (0, 0, 0, 0)
        self.packets = (0, 0, 0)
        self.seconds = 0.0
        self.formed = True  # there was a cluster that could be disturbed

    @property
    def passed(self):
        return not self.findings

    def line(self):
        n, ok, failed, unknown = self.operations
        slowest = max(self.recovery_s, default=0)
        return (f"{self.seconds:.0f} s, {len(self.steps)} faults, {n} operations ({ok} ok, {failed} failed, {unknown} unknown), "
                f"recovery ≤ {slowest:.1f} s, {self.packets[1]} packets dropped, {len(self.findings)} findings"
                f"{', the log was rolled back and the nodes said so' if self.detected else ''}")

    def json(self):
        o = self.options
        return {"at": time.strftime("%FT%TZ", time.gmtime()), "load": os.getloadavg()[0], "seed": o.seed, "mode": o.mode, "topology": o.topology, "nodes": o.nodes, "workloads": o.workloads,
                "version": ".".join(map(str, ha.server_version())), "overlapping": o.overlapping, "seconds": round(self.seconds, 1),
                "faults": [name for step in self.steps for name, _ in step["faults"]], "operations": self.operations,
                "recovery_s": [round(r, 2) for r in self.recovery_s], "formed": self.formed, "findings": self.findings, "detected": self.detected}


class Episode:
    def __init__(self, options, say=print):
        self.options, self.say = options, say
        self.report = Report(options)
        self.lock = threading.Lock()

    def find(self, text):
        with self.lock:
            self.report.findings.append(text)
        self.say(f"    FOUND {text[:600]}")

    # -- the schedule

    def step(self, number, cluster):
        """Faults number so and so, from the seed alone."""
        o = self.options
        rnd = random.Random(f"{o.seed} step {number}")
        usable = [n for n in o.nemeses if not nemeses.ALL[n].why_impossible(cluster)]
        names = rnd.sample(usable, min(len(usable), rnd.choices((1, 2, 3), (6, 3, 1))[0]))
        # Two that both heal the network would end each other.
        if "partition" in names and "loss" in names:
            names.remove("loss")
        return {"calm": round(rnd.uniform(0.5, 2), 3), "seconds": round(rnd.uniform(1, 7), 3),
                "faults": [(n, nemeses.ALL[n](cluster).plan(rnd)) for n in names]}

    def harm(self, cluster, step):
        cluster.wait(step["calm"])
        self.say("    " + "; ".join(f"{n} {json.dumps(p)}" for n, p in step["faults"]) + f" for {step['seconds']} s")
        at_work = []
        try:
            for name, plan in step["faults"]:
                nemesis = nemeses.ALL[name](cluster)
                at_work.append((nemesis, plan))
                nemesis.start(plan)
            cluster.wait(step["seconds"])
        finally:
            for nemesis, plan in reversed(at_work):
                nemesis.stop(plan)
            cluster.start_all()

    # -- liveness

    def recover(self, cluster, step):
        """Every node acknowledges a write again: how long that took, or None if the log has lost what it acknowledged."""
        begun = time.monotonic()
        took, waited = {}, cluster.waited_s()

        def probe(node):
            while time.monotonic() < begun + GIVE_UP_S * ha.SLOW and not cluster.said_rolled_back():
                try:
                    number = self.next_probe()
                    node.query("INSERT INTO probe VALUES (?, ?)", [node.label, number])
                    if self.options.mode == workloads.ASYNC:  # acknowledged at once, whatever the log does
                        self.wait_seen(number, cluster, begun)
                    took[node.name] = time.monotonic() - begun
                    return
                except (ha.ConnectionLost, ha.HttpError):
                    cluster.wait(0.05)

        threads = [threading.Thread(target=probe, args=(n,)) for n in cluster.nodes]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if cluster.said_rolled_back():
            return False
        late = {n.name: took.get(n.name) for n in cluster.nodes
                if took.get(n.name, GIVE_UP_S) > self.options.liveness_s * ha.SLOW}
        for name, seconds in late.items():
            starved = max((s - waited[t] for t, s in cluster.waited_s().items() if t in waited), default=0)
            self.find(f"liveness: {name} acknowledged {f'a write after {seconds:.1f} s' if seconds else 'nothing'} "
                      f"since the end of {step['faults']}; meanwhile some thread waited {starved:.1f} s for a processor")
        self.report.recovery_s.append(max(took.values(), default=GIVE_UP_S))
        return len(took) == len(cluster.nodes)

    @staticmethod
    def wait_seen(number, cluster, begun):
        """Until another node has it."""
        while time.monotonic() < begun + GIVE_UP_S * ha.SLOW:
            if all(n.query("SELECT count(*) FROM probe WHERE n = ?", [number]).value for n in cluster.nodes):
                return
            cluster.wait(0.05)

    def next_probe(self):
        with self.lock:
            self.probes += 1
            return self.probes

    # -- all of it

    def run(self, keep=None):
        o = self.options
        directory = tempfile.mkdtemp(prefix="ha-chaos-")
        self.say(f"episode {o}")
        self.probes, self.kinds = 0, []
        begun = time.monotonic()
        try:
            cluster = Cluster(o.nodes, o.topology, o.mode, o.seed, directory, o.nemeses, o.overlapping, o.leader)
            o.overlapping = cluster.overlapping
            try:
                self._run(cluster)
            except NotFormed as e:
                self.say(f"    the nats-servers did not become a cluster: {e}")
                self.report.formed = False
            except Exception as e:  # pylint: disable=broad-except
                self.find(f"{type(e).__name__}: {e}")
            finally:
                self.report.packets = cluster.network.count()
                try:
                    cluster.stop()
                    for c in cluster.complaints():
                        self.find(f"process: {c}")
                    self.report.detected = cluster.said_rolled_back()
                    self._judge(cluster, keep)
                finally:
                    cluster.close()
        finally:
            self.report.seconds = time.monotonic() - begun
            shutil.rmtree(directory, ignore_errors=True)
        self.say("  " + self.report.line())
        return self.report

    def _judge(self, cluster, keep):
        r = self.report
        if r.findings and keep:
            folder = os.path.join(keep, f"{'.'.join(map(str, cluster.version))}-{self.options.seed}")
            os.makedirs(folder, exist_ok=True)
            cluster.keep(folder)
            for w in self.kinds:
                w.history.save(os.path.join(folder, f"{w.name}.history"))
            with open(os.path.join(folder, "report"), "w", encoding="utf-8") as f:
                f.write(f"{self.options}\n{r.line()}\n\n" + "\n".join(r.findings) + "\n\n"
                        + "\n".join(f"{t:.3f} {text}" for t, text in cluster.events) + "\n\n"
                        + "\n".join(f"{s['at']:.3f} {json.dumps(s)}" for s in r.steps) + "\n")
            self.say(f"    kept in {folder}")
        # A nats-server that is known to lose what it has acknowledged: the nodes' part is to notice, and they did.
        if r.detected and cluster.version < TRUSTED:
            r.findings = [f for f in r.findings if f.startswith(("process:", "unequal:"))]

    def _run(self, cluster):
        o = self.options
        cluster.open()
        first = cluster.nodes[0]
        first.retrying(lambda: first.query("CREATE TABLE probe (node TEXT, n INTEGER PRIMARY KEY)"))
        self.kinds = [workloads.ALL[w](o.mode) for w in o.workloads]
        for w in self.kinds:
            w.setup(first)
        for n in cluster.nodes:
            ha.wait_until(lambda n=n: ha.synced(n), SYNC_S, f"{n.name} has the tables")
        clients = [workloads.Client(f"{w.name}{i} at {n.name}", n, w, o.seed, THINK_S, self.find)
                   for w in self.kinds for n in cluster.nodes for i in range(o.clients)]
        for c in clients:
            c.start()
        try:
            self._faults(cluster)
        finally:
            for c in clients:
                c.stopping.set()
            for c in clients:
                c.join(GIVE_UP_S)
                if c.is_alive():
                    self.find(f"client {c.name} still waits for an answer")
            self.report.operations = tuple(map(sum, zip(*(w.history.tally() for w in self.kinds))))
        self._check(cluster)

    def _faults(self, cluster):
        until = time.monotonic() + self.options.seconds
        number = 0
        while time.monotonic() < until:
            step = self.step(number, cluster)
            step["at"] = time.monotonic()
            self.report.steps.append(step)
            self.harm(cluster, step)
            if not self.recover(cluster, step):
                return
            cluster.recovered()
            number += 1

    def _check(self, cluster):
        rolled_back = cluster.said_rolled_back()
        for text in rolled_back:
            self.find(f"rolled back: {text}")
        # Who joins now gets everything there is.
        cluster.guest_joins()
        nodes = cluster.nodes + [cluster.guest]
        if self.options.mode == workloads.ASYNC:
            for n in nodes:
                ha.wait_until(lambda n=n: ledger.outbox(n) == 0, SYNC_S, f"{n.name}: everything is published")
        for n in nodes:
            ha.wait_until(lambda n=n: ha.synced(n), SYNC_S, f"{n.name}: /readyz?sync")
        self._compare(nodes)
        if rolled_back:
            return  # what is lost is lost; that all hold the same is what is left to ask for
        for w in self.kinds:
            if self.options.mode != workloads.ASYNC:
                for label, begin, end in cluster.full:
                    w.history.mark_late(label, begin, end or time.monotonic())
            for label, since in cluster.lost.items() if self.options.mode == workloads.ASYNC else ():
                w.history.mark_lost(label, since)
            if self.options.mode == workloads.LWW:
                w.history.mark_slow(REPLICATION_TIMEOUT_S)
            for line in w.check({n.name: w.final(n) for n in nodes}):
                self.find(line)

    def _compare(self, nodes):
        """Row by row from outside, and as `ha verify` does it."""
        try:
            ha.assert_equal(*nodes, rowids=self.options.mode == workloads.SERIALIZABLE)
        except AssertionError as e:
            self.find(f"unequal: {e}")
        # Guests that were killed are on the roster for a while yet; they are not expected to answer.
        first, names = nodes[0], ",".join(n.name for n in nodes)
        command = [ha.BINARY, "verify", "-r", f"http://127.0.0.1:{first.port}", "--expect-nodes", names]
        until = time.monotonic() + VERIFY_S * ha.SLOW
        while True:
            p = subprocess.run(first.host.command(command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=VERIFY_S * ha.SLOW, check=False)
            # A node that came back a moment ago may not be heard yet; of one that differs once is once too often.
            if "NOT COMPLETE" not in p.stdout or time.monotonic() > until:
                break
        if p.returncode != 0:
            self.find(f"unequal: ha verify: status {p.returncode}: {p.stdout} {p.stderr}")


# ---- the command line ------------------------------------------------------------------------------------------------


def words(text, known, what):
    chosen = [w for w in text.replace(",", " ").split() if w != "all"]
    for w in chosen:
        if w not in known:
            sys.exit(f"chaos: no {what} {w}; there are {', '.join(known)}, all")
    return chosen or None


def arguments():
    env = os.environ.get
    p = argparse.ArgumentParser(description="Faults, and whether the cluster keeps its promises through them.")
    p.add_argument("--seconds", type=float, default=float(env("CHAOS_SECONDS") or 600))
    p.add_argument("--seed", type=int, default=int(env("CHAOS_SEED") or random.randrange(1 << 30)))
    p.add_argument("--nemesis", default=env("CHAOS_NEMESIS") or "all", help=", ".join(nemeses.ALL))
    p.add_argument("--workload", default=env("CHAOS_WORKLOAD") or "all", help=", ".join(workloads.ALL))
    p.add_argument("--mode", default=env("CHAOS_MODE") or None, choices=(workloads.SERIALIZABLE, workloads.LWW, workloads.ASYNC))
    p.add_argument("--topology", default=env("CHAOS_TOPOLOGY") or None, choices=(EXTERNAL, EMBEDDED))
    p.add_argument("--nodes", type=int, default=int(env("CHAOS_NODES") or 0) or None, choices=(3, 5))
    p.add_argument("--overlapping", default=env("CHAOS_OVERLAPPING") or None, choices=("yes", "no"),
                   help="several kills at once; without it, where nats-server is known to survive them")
    p.add_argument("--leader", default=env("CHAOS_LEADER") or "no", choices=("yes", "no"), help="the nodes elect a leader")
    p.add_argument("--episode", type=float, default=float(env("CHAOS_EPISODE_SECONDS") or EPISODE_S))
    p.add_argument("--keep", default=env("CHAOS_KEEP") or os.path.join(ha.ROOT, os.environ.get("BUILD") or "build", "chaos"))
    return p.parse_args()


def main():
    a = arguments()
    # Namespaces, mounts and processes are taken down again.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    why = why_impossible()
    if why:
        print(f"chaos: skipped: {why}")
        return SKIPPED
    os.makedirs(a.keep, exist_ok=True)
    nemesis, workload = words(a.nemesis, nemeses.ALL, "nemesis"), words(a.workload, workloads.ALL, "workload")
    overlapping = {"yes": True, "no": False, None: None}[a.overlapping]
    until, seed, reports = time.monotonic() + a.seconds, a.seed, []
    print(f"CHAOS_SEED={seed}", flush=True)
    while not reports or time.monotonic() < until:
        seconds = max(10, min(a.episode, until - time.monotonic()))
        options = Options(seed, seconds, a.mode, a.topology, a.nodes, nemesis, workload, overlapping,
                          leader=a.leader == "yes")
        try:
            reports.append(Episode(options, lambda text: print(text, flush=True)).run(a.keep))
        except Impossible as e:
            print(f"chaos: skipped: {e}")
            return SKIPPED
        with open(os.path.join(a.keep, "results.jsonl"), "a", encoding="utf-8") as f:
            f.write(json.dumps(reports[-1].json()) + "\n")
        seed += 1
    failed = [r for r in reports if not r.passed]
    operations = sum(r.operations[0] for r in reports)
    faults = sum(len(s["faults"]) for r in reports for s in r.steps)
    print(f"{len(reports)} episodes, {sum(r.seconds for r in reports) / 60:.1f} minutes, {operations} operations, {faults} faults, "
          f"{sum(not r.formed for r in reports)} without a cluster, {len(failed)} episodes with findings{': seeds ' + ' '.join(str(r.options.seed) for r in failed) if failed else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
