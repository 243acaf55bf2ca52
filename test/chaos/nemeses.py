"""Faults. A Nemesis draws its choices from the seed (plan), does its harm (start), and takes it back (stop).

plan() draws everything and looks at nothing, so that a seed gives the same plan whatever the cluster does meanwhile;
a victim that is already down just stays down. stop() leaves every process running and every line whole.
"""

import os
import signal
import threading

from ha import nats_child, stall, wait_until
from natsclient import NatsClient

NODE, SERVER, BOTH = "node", "nats-server", "both"
CURRENT_S = 20  # until all replicas of the log hold what it holds


class Nemesis:
    name = None

    def __init__(self, cluster):
        self.cluster = cluster  # a chaos.Cluster

    @classmethod
    def why_impossible(cls, cluster):
        """None if it can be used in this cluster."""
        return None

    def plan(self, rnd):
        """What it is going to do: words and numbers."""
        return {}

    def start(self, plan):
        raise NotImplementedError

    def stop(self, plan):
        pass


class Kill(Nemesis):
    """kill -9 of a node, of a nats-server, or of both; then they are started again. Where the cluster allows it, several
    at overlapping times, up to all of them."""

    name = "kill"

    def plan(self, rnd):
        count = rnd.choices((1, 2, self.cluster.size), (6, 2, 1))[0] if self.cluster.overlapping else 1
        victims = [[rnd.choice((NODE, SERVER, BOTH)), i, round(rnd.uniform(0, 0.8), 3)]
                   for i in rnd.sample(range(self.cluster.size), count)]
        return {"victims": victims, "again": round(rnd.uniform(0.2, 3), 3)}

    def _one(self, what, i, wait_s):
        self.cluster.wait(wait_s)  # its place in the schedule
        self.cluster.kill(what, i)

    def start(self, plan):
        if not self.cluster.overlapping and not self.cluster.wait_replicas_current(CURRENT_S):
            return  # a kill now would overlap with what the last one left behind
        threads = [threading.Thread(target=self._one, args=v) for v in plan["victims"]]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.cluster.wait(plan["again"])
        self.cluster.start_all()

    def stop(self, plan):
        self.cluster.start_all()


class Pause(Nemesis):
    """SIGSTOP: a process that is alive, keeps its connections and says nothing."""

    name = "pause"

    def plan(self, rnd):
        return {"victims": [[rnd.choice((NODE, SERVER, BOTH)), i]
                            for i in rnd.sample(range(self.cluster.size), rnd.choice((1, 1, 1, 2)))]}

    def start(self, plan):
        self.pids = []
        for what, i in plan["victims"]:
            for process, pid in self.cluster.processes_of(what, i):
                self.pids.append(pid)
                stall(process, pid)

    def stop(self, plan):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


class Partition(Nemesis):
    """one: a host alone · majority: a majority here, the others there · ring: each host sees its two neighbours only
    (of three: one pair is cut) · bridge: two halves that share one host · oneway: a host that can speak but not hear."""

    name = "partition"
    KINDS = ("one", "majority", "ring", "bridge", "oneway")

    def plan(self, rnd):
        hosts = list(range(self.cluster.size))
        rnd.shuffle(hosts)
        return {"kind": rnd.choice(self.KINDS), "hosts": hosts}

    def start(self, plan):
        kind, hosts, net = plan["kind"], plan["hosts"], self.cluster.network
        n = len(hosts)
        # A guest goes with the last host.
        guests = [h.number for h in net.hosts[n:]]
        if kind == "one":
            net.separate([hosts[:1], hosts[1:] + guests])
        elif kind == "majority":
            net.separate([hosts[: n // 2], hosts[n // 2:] + guests])
        elif kind == "ring" and n > 3:
            net.separate([[hosts[i], hosts[(i + 1) % n]] for i in range(n)] + [[hosts[-1]] + guests])
        elif kind == "bridge" or kind == "ring":
            net.separate([hosts[: n // 2] + hosts[-1:], hosts[n // 2:] + guests])
        else:
            for other in hosts[1:] + guests:
                net.cut(other, hosts[0])

    def stop(self, plan):
        self.cluster.network.heal()


class Lossy(Nemesis):
    """Every line loses, delays and reorders packets."""

    name = "loss"

    def plan(self, rnd):
        delay = round(rnd.uniform(0.001, 0.06), 4)
        return {"loss": round(rnd.choice((0.0, 0.01, 0.05, 0.15)), 3), "delay_s": delay,
                "jitter_s": round(delay * rnd.random(), 4), "overtake": round(rnd.choice((0.0, 0.05, 0.25)), 3)}

    def start(self, plan):
        self.cluster.network.disturb(**plan)

    def stop(self, plan):
        self.cluster.network.heal()


class DiskFull(Nemesis):
    """The disk of a node's database, or of its part of the log, has no room left. A nats-server whose disk was full is
    started again once there is room, as its operator has to."""

    name = "diskfull"

    @classmethod
    def why_impossible(cls, cluster):
        return cluster.no_small_disk

    def plan(self, rnd):
        return {"what": rnd.choice((NODE, NODE, SERVER)), "victim": rnd.randrange(self.cluster.size)}

    def start(self, plan):
        self.cluster.fill(plan["what"], plan["victim"])

    def stop(self, plan):
        self.cluster.free(plan["what"], plan["victim"])
        if plan["what"] == SERVER:
            self.cluster.kill(SERVER, plan["victim"])
            self.cluster.start_all()


class DiskSlow(Nemesis):
    """Every write and sync of a node's database, or of a nats-server's store, takes some milliseconds longer."""

    name = "diskslow"

    def plan(self, rnd):
        return {"what": rnd.choice((NODE, SERVER)), "victim": rnd.randrange(self.cluster.size),
                "milliseconds": rnd.choice((2, 10, 50))}

    def start(self, plan):
        self.cluster.slow_disk(plan["what"], plan["victim"]).slow(plan["milliseconds"])

    def stop(self, plan):
        self.cluster.slow_disk(plan["what"], plan["victim"]).mend()


class Clock(Nemesis):
    """The wall clock of a node jumps, and jumps back. Not that of a nats-server: it asks the kernel, not the C library."""

    name = "clock"

    def plan(self, rnd):
        return {"jumps": [[rnd.randrange(self.cluster.size), rnd.choice((-86400, -3600, -5, -0.2, 0.2, 5, 3600, 86400 * 400))]
                          for _ in range(rnd.randint(1, 3))]}

    def start(self, plan):
        for victim, seconds in plan["jumps"]:
            self.cluster.nodes[victim].set_clock(seconds)

    def stop(self, plan):
        for victim, _ in plan["jumps"]:
            self.cluster.nodes[victim].set_clock(0)


class Members(Nemesis):
    """A guest joins with nothing and leaves again, or a member loses its files and comes back empty."""

    name = "members"

    def plan(self, rnd):
        return {"kind": rnd.choice(("guest", "guest", "empty")), "victim": rnd.randrange(self.cluster.size),
                "hard": rnd.random() < 0.5}

    def start(self, plan):
        if plan["kind"] == "guest":
            self.cluster.guest_joins()
        else:
            self.cluster.lose_files(plan["victim"], plan["hard"])

    def stop(self, plan):
        if plan["kind"] == "guest":
            self.cluster.guest_leaves(plan["hard"])
        self.cluster.start_all()


ALL = {n.name: n for n in (Kill, Pause, Partition, Lossy, DiskFull, DiskSlow, Clock, Members)}


def replicas_current(host, port, stream):
    """The log has a leader, and all its replicas hold what it holds."""
    with NatsClient(port, 3, host) as nats:
        return nats.replicas_current(stream)


def child_of(node):
    """The pid of a node's embedded nats-server."""
    return wait_until(lambda: nats_child(node), 10, f"{node.name} has a nats-server")
