"""Programs that load the extension: SQLite's own shell and Python's sqlite3, each in a process of its own, and what
the tests ask of them.

    with Python(cluster, "r.db") as r:
        r.follow(node)
        r.query("SELECT count(*) FROM t")

A host's file lies in the cluster's directory, so that it goes with it; the node's own nats-server is who it follows.
"""

import functools
import itertools
import json
import os
import re
import subprocess

import ha
from ha import Timeout, wait_until

EXTENSION = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(ha.BINARY))), "ha-sync")
SUBJECT = "ha_replication.ha.db"
HOST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "host.py")
ANSWER_S = 60


class SqlError(Exception):
    """What SQLite said."""


@functools.lru_cache
def environment():
    """A sanitizer's library has to be in the host from its start; leaks of a host are not ours to judge."""
    env = dict(os.environ)
    needed = subprocess.run(["readelf", "-d", EXTENSION + ".so"], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"\[(lib[at]san\.so[^\]]*)\]", needed)
    if libraries:
        paths = [subprocess.run(["cc", f"-print-file-name={n}"], capture_output=True, text=True, check=True).stdout.strip()
                 for n in libraries]
        env.update(LD_PRELOAD=":".join(paths), ASAN_OPTIONS="halt_on_error=1:exitcode=99:detect_leaks=0")
    return env


class Host(ha.Process):
    """A process with one connection to a file; `query` runs a statement on it."""

    numbers = itertools.count(1)

    def __init__(self, cluster, file="r.db", argv=()):
        name = f"host{next(Host.numbers)}"
        super().__init__(name, cluster.directory)
        self.path = file if file.startswith(":") else os.path.join(cluster.directory, file)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*argv, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                                            env=environment(), text=True, cwd=cluster.directory)
        cluster.processes.append(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        """Ends it as a program ends: it closes its connection. The exit status is to be 0."""
        if self.process is None:
            return
        p, self.process = self.process, None
        p.stdin.close()
        try:
            status = p.wait(ha.STOP_S * ha.SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise Timeout(f"{self.name} did not end") from None
        p.stdout.close()
        assert status == 0, f"{self.name} ended with status {status}\n{self.log()[-ha.LOG_TAIL:]}"

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def load(self):
        raise NotImplementedError

    def query(self, sql):
        raise NotImplementedError

    def value(self, sql):
        return self.query(sql)[0][0]

    # -- the replica

    def create(self, servers, **options):
        settings = {"servers": servers, **options}
        text = ", ".join(f"{k}='{v}'" for k, v in settings.items())
        self.query(f"CREATE VIRTUAL TABLE temp.ha USING HA({text})")

    def insert(self, subject=SUBJECT, durable="test", policy=None):
        policy = "NULL" if policy is None else f"'{policy}'"
        self.query(f"INSERT INTO temp.ha(subject, durable, policy) VALUES('{subject}', '{durable}', {policy})")

    def follow(self, node, subject=SUBJECT, policy=None, **options):
        """Loads the extension and starts. Options: those of CREATE VIRTUAL TABLE."""
        options.setdefault("timeout", int(30000 * ha.SLOW))
        options.setdefault("logger", "stderr")
        self.load()
        self.create(options.pop("servers", None) or node.nats_url, **options)
        self.insert(subject, policy=policy)
        return self

    def stats(self):
        rows = self.query("SELECT received_seq, state, log_seq, lag, reason, restores, aside, subject, durable, updated_at "
                          "FROM ha_stats")
        names = ["seq", "state", "log_seq", "lag", "reason", "restores", "aside", "subject", "durable", "updated_at"]
        return dict(zip(names, rows[0])) if rows else None

    def wait(self, seq, what="the replica has it"):
        """Until its connection sees the log up to `seq`."""
        wait_until(lambda: int(self.stats()["seq"] or 0) >= seq, what=f"{self.name}: {what} ({seq})")

    def caught_up(self, node, db=None):
        """Until it has what the node has now."""
        self.wait(position(node, db))
        return self

    def wait_state(self, state, reason=""):
        """Until it is in that state, for a reason that speaks of `reason`: its stats."""
        def look():
            st = self.stats()
            return st if st and st["state"] == state and reason in (st["reason"] or "") else False

        try:
            return wait_until(look, what=f"{self.name}: {state}")
        except Timeout as e:
            raise Timeout(f"{e}; {self.stats()}") from None


class Python(Host):
    """Python's sqlite3; host.py."""

    def __init__(self, cluster, file="r.db"):
        super().__init__(cluster, file, ["/usr/bin/python3", HOST])

    def ask(self, *question):
        self.send(json.dumps(question))
        line = self.process.stdout.readline()
        if not line:
            raise SqlError(f"{self.name} has ended: {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise SqlError(answer["error"])
        return answer["rows"]

    def load(self):
        self.ask("load", EXTENSION)

    def query(self, sql):
        return self.ask("query", sql)


class Shell(Host):
    """SQLite's shell. Values come as their text; NULL is None."""

    END = "--end-of-answer--"

    def __init__(self, cluster, file="r.db"):
        super().__init__(cluster, file, ["sqlite3", "-batch"])
        self.send(".mode json")

    def load(self):
        self.query(f".load {EXTENSION}")

    def query(self, sql):
        size = os.path.getsize(self.log_path)
        self.send(sql if sql.startswith(".") else sql + ";")
        self.send(f".print {self.END}")
        text = ""
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SqlError(f"{self.name} has ended: {self.process.wait()}")
            if line.strip() == self.END:
                break
            text += line
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            f.seek(size)
            errors = re.findall(r"^(?:Error|Parse error|Runtime error).*", f.read(), re.M)
        if errors:
            raise SqlError("\n".join(errors))
        return [list(r.values()) for r in json.loads(text)] if text.strip() else []


def position(node, db=None):
    """The node's position, which is that of the log as far as it knows."""
    found = [d for d in node.status()["databases"] if d["id"] == (db or "ha.db")]
    return found[0]["seq"]


def assert_replica(host, node, db=None, generated=True):
    """The replica holds what the node holds, values, storage classes and rowids; without generated columns if told so."""
    host.caught_up(node, db)
    want, got = ha.dump(node, db, generated=generated), ha.dump_file(host.path, generated=generated)
    assert got == want, ha.difference(want, got)
    return got
