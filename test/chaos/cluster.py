"""The cluster under test: a nats-server and a node at each host, one host more for a guest, and what can be done to them.

topology "external": nodes use the nats-server of their host, each of the two is killed and paused alone.
topology "embedded": nodes start and supervise it, with a configuration that makes one NATS cluster of all.
"""

import glob
import os
import random
import re
import shutil
import signal
import threading
import time

import ha
import nemeses
import workloads
from disks import FailingDisk, NoSlowFolder, NoSmallDisk, SlowFolder, SmallDisk
from network import Network

EXTERNAL, EMBEDDED = "external", "embedded"
NODE, SERVER, BOTH = nemeses.NODE, nemeses.SERVER, nemeses.BOTH

HTTP_PORT, NATS_PORT, ROUTE_PORT = 8080, 4222, 6222  # every host has its own
DISK_MB = 96
START_S = 60  # until a new cluster is ready
REQUEST_S = 12  # of one HTTP request of a client
REPLICATION_TIMEOUT_S = 5
SYNC_ALWAYS = (2, 10, 0)  # from this version nats-server knows sync_interval: always
TRUSTED = (2, 10, 23)  # below it three servers lose what they have acknowledged when kills overlap
POLL_S = 0.3

CLOCKFAULT = os.path.join(os.path.dirname(ha.__file__), "clockfault.c")

# What a node says when the log has lost what it had acknowledged (I8). A server that was elected a moment ago may not know
# its own log yet, so only what is said for CONFIRM_S, or acted upon, counts.
ROLLED_BACK = re.compile("rolled back and written anew|lost its end|created anew|the log is gone")
ACTED_UPON = re.compile("not a prefix of the log")
CONFIRM_S = 20


class NotFormed(Exception):
    """The nats-servers did not become a cluster."""


class Node(ha.Node):
    """A node whose disk and clock obey a test."""

    def arm(self, folder, disk_library, clock_library):
        """Before it is started. folder: of its files, as the beginning of their paths."""
        own = os.path.join(self.directory, "faults")
        os.makedirs(own, exist_ok=True)
        self.slow_disk = FailingDisk(own, disk_library)
        self.env.update(self.slow_disk.env(folder))
        self.clock = os.path.join(own, "clock")
        self.set_clock(0)
        self.env["LD_PRELOAD"] += f":{clock_library}"
        self.env["CLOCKFAULT_FILE"] = self.clock

    def set_clock(self, seconds):
        """How far its wall clock is from the machine's."""
        with open(self.clock + ".new", "w", encoding="ascii") as f:
            f.write(f"{seconds:+}\n")
        os.rename(self.clock + ".new", self.clock)


class Cluster:
    def __init__(self, size, topology, mode, seed, directory, wanted, overlapping, leader=False):
        self.leader = leader
        self.size, self.topology, self.mode, self.directory = size, topology, mode, directory
        self.version = ha.server_version()
        self.overlapping = self.version >= TRUSTED if overlapping is None else overlapping
        self.stopping = threading.Event()
        self.lock = threading.RLock()  # starting and killing
        self.processes = []
        self.events = []  # (time, text): what the nodes said about themselves
        self.rolled_back = set()  # what they said about a log that lost what it had acknowledged
        self.disks = {}
        self.full = []  # [label of the node, from, to]: when its disk was full, and had not recovered yet
        self.no_small_disk = None
        self.stores = []  # of the nats-servers, if these can be slowed
        self.published = {}  # label of a node: when it was last known to have nothing to publish
        self.lost = {}  # label of a node that lost its files: since when it may have had something to publish
        self.nodes, self.servers, self.guest, self.guests = [], [], None, 0
        self.monitor = None
        self.libraries = (FailingDisk.build(directory),
                          ha.compiled(CLOCKFAULT, os.path.join(directory, "clockfault.so"), "-shared", "-fPIC"))
        self.network = Network(size + 1, seed, directory)
        if "diskfull" in wanted:
            self._mount()
        # The kernel's way to the store is another one then, so half of the episodes do without.
        if "diskslow" in wanted and random.Random(f"{seed} stores").random() < 0.5:
            self._mount_stores()

    # -- making it

    def _mount(self):
        try:
            for i in range(self.size):
                for what in (NODE, SERVER):
                    folder = os.path.join(self.directory, f"disk-{what}-{i}")
                    self.disks[what, i] = SmallDisk(folder, DISK_MB)
        except NoSmallDisk as e:
            self.no_small_disk = str(e)

    def _mount_stores(self):
        try:
            program = SlowFolder.build(self.directory)
            for i in range(self.size):
                folder = self._folder(SERVER, i)
                self.stores.append(SlowFolder(os.path.join(folder, "store"), os.path.join(folder, "js"), program))
        except NoSlowFolder as e:
            self.note(str(e))

    def _folder(self, what, i):
        disk = self.disks.get((what, i))
        folder = disk.folder if disk else os.path.join(self.directory, f"{what}-{i}")
        os.makedirs(folder, exist_ok=True)
        return folder

    def open(self):
        """Starts it all; close() in any case."""
        hosts = self.network.hosts[: self.size]
        settings = ", sync_interval: always" if self.version >= SYNC_ALWAYS else ""
        for h in hosts:
            routes = [f"{other.address}:{ROUTE_PORT}" for other in hosts if other is not h]
            s = ha.NatsServer(f"nats{h.number}", self._folder(SERVER, h.number), cluster="chaos", cluster_port=ROUTE_PORT,
                              routes=routes, port=NATS_PORT, host=h, settings=settings)
            s.log_path = os.path.join(self.directory, f"{s.name}.log")
            self.servers.append(s)
        for h in hosts:
            self.nodes.append(self._node(f"node{h.number}", h))
        if self.topology == EXTERNAL:
            self.processes += self.servers
            for s in self.servers:
                s.start(wait=False)
            for s in self.servers:
                ha.wait_until(s.jetstream_ready, START_S, f"{s.name}: JetStream with a leader")
        for n in self.nodes:
            n.start(wait=False)
        try:
            for n in self.nodes:
                n.wait_ready(START_S)
        except ha.Timeout as e:
            # Seen with 2.10.27 and nothing disturbed: three servers that know each other refuse to place a stream, for
            # a minute and longer. There is no log then that could lose something.
            if any("no suitable peers" in n.log() for n in self.nodes):
                raise NotFormed(str(e)) from e
            raise
        self.stream = self.nodes[0].status()["databases"][0]["stream"]
        self.monitor = threading.Thread(target=self._watch, daemon=True)
        self.monitor.start()

    def _node(self, name, host):
        i = host.number
        folder = self._folder(NODE, i)
        args = ["--replication-timeout", f"{REPLICATION_TIMEOUT_S}s", "--tx-idle-timeout", "3s"]
        options = {"url": f"nats://127.0.0.1:{NATS_PORT}", "nats_port": 0}
        if i >= self.size:
            options["url"] = ",".join(f"nats://{h.address}:{NATS_PORT}" for h in self.network.hosts[: self.size])
        elif self.topology == EMBEDDED:
            config = os.path.join(self.directory, f"nats{i}.conf")
            with open(config, "w", encoding="utf-8") as f:
                f.write(self.servers[i].config() + f'log_file: "{self.servers[i].log_path}"\n')
            options = {"url": None, "nats_port": NATS_PORT}
            args += ["--nats-config", config]
        if self.leader:
            args += ["--leader-addr", f"{host.address}:{HTTP_PORT}", "--grpc-insecure"]
        consistency = self.mode
        if self.mode == workloads.ASYNC:
            consistency = workloads.LWW
            args.append("--async-replication")
        n = Node(name, os.path.join(self.directory, name), files=[os.path.join(folder, "ha.db")], args=args, host=host,
                 port=HTTP_PORT, replicas=3, consistency=consistency, timeout_s=REQUEST_S, **options)
        n.folder, n.label, n.lives = folder, name, 1
        n.arm(os.path.join(folder, "ha.db"), *self.libraries)
        self.processes.append(n)
        return n

    # -- watching it

    def note(self, text):
        self.events.append((time.monotonic(), text))

    def _watch(self):
        """Writes down what the nodes say about their databases, to whoever asks and in their logs."""
        last, read, since = {}, {}, {}
        while not self.stopping.wait(POLL_S):
            for n in list(self.nodes) + ([self.guest] if self.guest else []):
                self._read_log(n, read)
                label, asked = n.label, time.monotonic()
                try:
                    d = n.http.ok("GET", "/status", timeout_s=2).json()["databases"][0]
                    said = d["state"], d.get("reason") or ""
                except (ha.ConnectionLost, ha.HttpError, IndexError):
                    continue
                if d["outbox"] == 0:
                    self.published[label] = asked
                if last.get(n.label) != said:
                    last[n.label] = said
                    since[n.label] = time.monotonic()
                    if said[0] == "stopped" or said[1]:
                        self.note(f"{n.label}: {said[0]}: {said[1]}")
                if ROLLED_BACK.search(said[1]) and time.monotonic() - since[n.label] > CONFIRM_S * ha.SLOW:
                    self.rolled_back.add(f"{n.label}: {said[0]}: {said[1]}")

    def _read_log(self, node, read):
        """Lines that have been added to the log since the last time."""
        with open(node.log_path, encoding="utf-8", errors="replace") as f:
            f.seek(read.get(node.name, 0))
            lines = f.readlines()
            read[node.name] = f.tell()
        for line in lines:
            if ACTED_UPON.search(line):
                self.rolled_back.add(f"{node.label}: {line.strip()}")

    def said_rolled_back(self):
        return sorted(self.rolled_back)

    # -- what nemeses do

    def wait(self, seconds):
        self.stopping.wait(seconds)

    def fill(self, what, i):
        if what == NODE:
            self.full.append([self.nodes[i].label, time.monotonic(), None])
        self.disks[what, i].fill()

    def slow_disk(self, what, i):
        return self.stores[i] if what == SERVER and self.stores else self.nodes[i].slow_disk

    def free(self, what, i):
        self.disks[what, i].free()

    def recovered(self):
        """Every node has acknowledged a write again."""
        for f in self.full:
            f[2] = f[2] or time.monotonic()

    def processes_of(self, what, i):
        """[(process, pid)] of what runs."""
        out = []
        node, server = self.nodes[i], self.servers[i]
        if what in (SERVER, BOTH):
            if self.topology == EMBEDDED and node.running():
                pid = ha.nats_child(node)
                out += [(server, pid)] if pid else []
            elif server.running():
                out.append((server, server.pid))
        if what in (NODE, BOTH) and node.running():
            out.append((node, node.pid))
        return out

    def waited_s(self):
        """{(pid, thread): seconds that it has waited for a processor} of all nodes and nats-servers."""
        waited = {}
        for _, pid in [p for i in range(self.size) for p in self.processes_of(BOTH, i)]:
            for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                try:
                    with open(path, encoding="ascii") as f:
                        waited[pid, path] = int(f.read().split()[1]) / 1e9
                except (OSError, IndexError):
                    continue
        return waited

    def kill(self, what, i):
        with self.lock:
            for process, pid in self.processes_of(what, i):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                if process.running():
                    process.kill9()

    def start_all(self):
        with self.lock:
            if self.stopping.is_set():
                return
            if self.topology == EXTERNAL:
                for s in self.servers:
                    if not s.running():
                        s.process = None
                        s.start(wait=False)
            for n in self.nodes:
                if not n.running():
                    n.process = None
                    n.start(wait=False)

    def wait_replicas_current(self, deadline_s):
        """False if that does not happen."""
        host = self.network.hosts[0]
        try:
            return ha.wait_until(lambda: nemeses.replicas_current(host, NATS_PORT, self.stream), deadline_s,
                                 "the log has all its replicas")
        except ha.Timeout as e:
            self.note(str(e))
            return False

    def guest_joins(self):
        self.guests += 1
        host = self.network.hosts[self.size]
        guest = self._node(f"guest{self.guests}", host)
        guest.start(wait=False)
        self.guest = guest

    def guest_leaves(self, hard):
        guest, self.guest = self.guest, None
        if guest is None:
            return
        if hard:
            guest.kill9()
        else:
            status = guest.terminate()
            if status != 0:
                self.note(f"{guest.name} ended with status {status} after SIGTERM")
        for f in glob.glob(os.path.join(guest.folder, "ha.db*")):
            os.unlink(f)

    def lose_files(self, i, hard):
        with self.lock:
            n = self.nodes[i]
            if n.running():
                if hard:
                    n.kill9()
                else:
                    n.signal(signal.SIGCONT)  # another fault may have stopped it
                    n.terminate()
            for f in glob.glob(os.path.join(n.folder, "ha.db*")):
                os.unlink(f)
            # Whoever compares what this node said before and after compares two nodes.
            self.lost[n.label] = self.published.get(n.label, 0)
            n.lives += 1
            n.label = f"{n.name}/{n.lives}"
            n.process = None
            n.start(wait=False)

    # -- the end

    def complaints(self):
        return [c for c in (p.complaint() for p in self.processes) if c]

    def keep(self, folder):
        """Logs and files of everything, for whoever looks for the cause."""
        for p in set(self.processes + self.servers):
            if os.path.exists(p.log_path):
                shutil.copy(p.log_path, folder)
        for n in self.nodes:
            for f in glob.glob(os.path.join(n.folder, "ha.db*")):
                shutil.copy(f, os.path.join(folder, f"{n.name}-{os.path.basename(f)}"))

    def stop(self):
        """Ends all processes; their files stay until close()."""
        self.stopping.set()
        for p in reversed(self.processes):
            if isinstance(p, ha.Node):
                p.http.close()
            if p.running():
                # It may be stopped.
                p.signal(signal.SIGCONT)
                try:
                    p.terminate()
                except ha.Timeout as e:
                    self.note(str(e))

    def close(self):
        self.network.close()
        for d in self.stores:
            d.close()
        for d in self.disks.values():
            d.close()
