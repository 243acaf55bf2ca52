"""Hosts of a test: network namespaces that a program of ours joins (router.c), on one machine, as root.

    with Network(5, seed=1, directory=d) as net:
        net.hosts[0].command(["nats-server", …])     # argv that runs there
        net.hosts[0].connect(8080)                   # a socket to it that no fault of the network touches
        net.cut(0, 1); net.heal()

A test talks to a host from inside its namespace, over its loopback, so faults lie between the hosts only, and nothing
of it can meet the addresses of the machine. Namespaces are named after the process that made them: those of a process
that is no more are removed by the next one.
"""

import contextlib
import ctypes
import os
import re
import shutil
import socket
import subprocess
import threading

from ha import compiled

HERE = os.path.dirname(os.path.abspath(__file__))
PREFIX = "hachaos"
SUBNET = "10.77.0"
NAMESPACES = "/run/netns"
CLONE_NEWNET = 0x40000000

libc = ctypes.CDLL(None, use_errno=True)


class Impossible(Exception):
    """This machine or this user cannot have such a network; says why."""


def ip(*words):
    r = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if r.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {r.stderr.strip()}")
    return r.stdout


def why_impossible():
    """None if namespaces can be made here."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "cc"):
        if not shutil.which(program):
            return f"there is no program {program}"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    name = f"{PREFIX}-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        ip("netns", "delete", name)
    except OSError as e:
        return str(e)
    return None


def remove_stale():
    """Namespaces of processes that were killed before they could remove them."""
    if not os.path.isdir(NAMESPACES):
        return
    for name in os.listdir(NAMESPACES):
        m = re.match(rf"{PREFIX}-(\d+)-", name)
        if m and not os.path.exists(f"/proc/{m.group(1)}"):
            with contextlib.suppress(OSError):
                ip("netns", "delete", name)


class Host:
    """Where a process runs: ha.Process takes it."""

    def __init__(self, number):
        self.number = number
        self.name = f"{PREFIX}-{os.getpid()}-{number}"
        self.address = f"{SUBNET}.{number + 1}"

    def command(self, argv):
        return ["ip", "netns", "exec", self.name] + list(argv)

    def connect(self, port, timeout_s):
        """A connection to the host's loopback. The calling thread is there only while the socket is made."""
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"{NAMESPACES}/{self.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._enter(there)
            try:
                s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            finally:
                self._enter(own)
        finally:
            os.close(there)
            os.close(own)
        try:
            s.settimeout(timeout_s)
            s.connect(("127.0.0.1", port))
        except OSError:
            s.close()
            raise
        return s

    @staticmethod
    def _enter(fd):
        if libc.setns(fd, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Network:
    def __init__(self, count, seed, directory):
        why = why_impossible()
        if why:
            raise Impossible(why)
        remove_stale()
        self.hosts = [Host(i) for i in range(count)]
        self.lock = threading.Lock()
        self.router = None
        try:
            self._open(seed, directory)
        except BaseException:
            self.close()
            raise

    def _open(self, seed, directory):
        program = compiled(os.path.join(HERE, "router.c"), os.path.join(directory, "router"))
        interfaces = [f"hc{os.getpid()}.{h.number}" for h in self.hosts]
        self.router = subprocess.Popen([program, str(seed)] + interfaces, stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.router.stdout.readline() != "ready\n":
            raise Impossible("the router does not start")
        for h, interface in zip(self.hosts, interfaces):
            ip("netns", "add", h.name)
            ip("link", "set", interface, "netns", h.name)
            ip("-n", h.name, "address", "add", f"{h.address}/24", "dev", interface)
            ip("-n", h.name, "link", "set", "lo", "up")
            ip("-n", h.name, "link", "set", interface, "up")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        if self.router is not None:
            self.router.stdin.close()
            try:
                self.router.wait(10)
            except subprocess.TimeoutExpired:
                self.router.kill()
                self.router.wait()
            self.router.stdout.close()
            self.router = None
        for h in self.hosts:
            if os.path.exists(f"{NAMESPACES}/{h.name}"):
                with contextlib.suppress(OSError):
                    ip("netns", "delete", h.name)

    def _tell(self, text):
        with self.lock:
            self.router.stdin.write(text + "\n")
            answer = self.router.stdout.readline().split()
        if answer[:1] != ["ok"]:
            raise OSError(f"router: {text}: {answer}")
        return answer[1:]

    # -- faults; all of them until heal()

    def cut(self, source, target):
        """Nothing goes from one to the other any more; what comes back still does."""
        self._tell(f"cut {source} {target}")

    def separate(self, groups):
        """Hosts of different groups cannot reach each other; a host may be in several."""
        for a in self.hosts:
            for b in self.hosts:
                i, j = a.number, b.number
                if i != j and not any(i in g and j in g for g in groups):
                    self.cut(i, j)

    def disturb(self, loss=0.0, delay_s=0.0, jitter_s=0.0, overtake=0.0):
        """Every line loses, delays and reorders packets."""
        for a in self.hosts:
            for b in self.hosts:
                if a is not b:
                    self._tell(f"line {a.number} {b.number} {int(loss * 1e6)} {int(delay_s * 1e6)} "
                               f"{int(jitter_s * 1e6)} {int(overtake * 1e6)}")

    def heal(self):
        self._tell("heal")

    def count(self):
        """Packets forwarded, dropped, delayed, since the beginning."""
        return tuple(int(n) for n in self._tell("count"))
