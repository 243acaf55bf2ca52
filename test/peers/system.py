"""The systems that are compared: how each is started, what it is asked in its own words, and how durable its answer is.

A system is started with one node or three, and offers for every kind of work the arguments of the load client
(test/bench/load.c): `work("insert")` and so on. All have the same tables but the dqlite demo, which has its own, of keys
and values, and nothing else. What a system cannot do it says by having no such work.
"""

import json
import os
import shutil
import tempfile

import ha

PEERS = os.path.join(ha.ROOT, "build", "peers")
BIN = os.path.join(PEERS, "bin")
DATABASE, STREAM = "bench.db", "ha_replication-bench=2Edb"
START_S = 60

# Of every system with SQL. ? is a parameter; {} stands for the type of an id that counts up by itself.
SCHEMA = ("CREATE TABLE IF NOT EXISTS item (id {}, name TEXT, value DOUBLE PRECISION)",
          "CREATE TABLE IF NOT EXISTS big (id {}, name TEXT, value DOUBLE PRECISION)",
          "CREATE TABLE IF NOT EXISTS probe (id {}, name TEXT)",
          "CREATE TABLE IF NOT EXISTS hot (id {}, n BIGINT)",
          "CREATE TABLE IF NOT EXISTS wide (id {}, body TEXT)",
          "INSERT INTO hot (n) VALUES (0)")
STATEMENTS = {
    "insert": ("INSERT INTO item (name, value) VALUES (?, ?)", ('"item number %i"', "%i.5")),
    "fill": ("INSERT INTO big (name, value) VALUES (?, ?)", ('"item number %i"', "%i.5")),
    "probe": ("INSERT INTO probe (name) VALUES (?)", ('"row-%i"',)),
    "look": ("SELECT name FROM probe WHERE name = ?", ('"row-%i"',)),
    "wide": ("INSERT INTO wide (body) VALUES (?)", ('"%s"',)),
    "look_wide": ("SELECT body FROM wide WHERE id = ?", ("%r",)),
    "hot": ("UPDATE hot SET n = n + 1 WHERE id = 1", ()),
    "select": ("SELECT id, name, value FROM big WHERE id = ?", ("%r",)),
    "scan": ("SELECT id, name, value FROM big", ()),
}


def peer_program(name):
    """Where it was installed, or what the PATH has; None where there is none."""
    path = os.path.join(BIN, name)
    return path if os.access(path, os.X_OK) else shutil.which(name)


def new_cluster():
    """For processes of root's, and for PostgreSQL, which refuses to be root's and must find the way to its files."""
    cluster = ha.Cluster()
    for directory in (tempfile.gettempdir(), cluster.directory):
        mode = os.stat(directory).st_mode
        if not mode & 0o001 and os.stat(directory).st_uid == os.geteuid():
            os.chmod(directory, mode & 0o7777 | 0o011)
    return cluster


def pinned(name):
    """The version of a Go program that test/peers/versions asks for."""
    with open(os.path.join(ha.ROOT, "test", "peers", "versions"), encoding="utf-8") as f:
        return next((w[3] for w in map(str.split, f) if w[:2] == [name, "go"]), "")


def refused():
    """What could not be installed, and why: {name: reason}."""
    try:
        with open(os.path.join(PEERS, "refused.json"), encoding="utf-8") as f:
            return json.load(f)
    except OSError:
        return {}


class Program(ha.Process):
    """A peer's process with whatever arguments; ready when `ready()` says so."""

    def __init__(self, name, directory, argv, env=None):
        super().__init__(name, directory)
        self.argv, self.env = argv, env
        self.may_die = True  # of a peer it is no failure of this run
        os.makedirs(directory, exist_ok=True)

    def start(self):
        self.spawn(self.argv, {**os.environ, **(self.env or {})})
        return self


class System:
    name = title = durability = ""
    protocol = "http"
    nodes_possible = (1,)
    sql = True
    compares = ""  # of those that are in some workloads only: their names, with blanks between
    refuses_writers = False  # concurrent writers get errors; what succeeds is counted
    rows = 0  # of the table that is read
    wide_mb = 0  # of the table that makes it large

    def __init__(self):
        self.cluster, self.ports, self.running = None, [], []

    def missing(self):
        """Why it cannot be measured here; None where it can."""
        return None

    def not_installed(self):
        return refused().get(self.name) or "not installed"

    def version(self):
        return ""

    def start(self, cluster, count=1):
        raise NotImplementedError

    def setup(self):
        for statement in SCHEMA:
            self.execute(statement.format(self.identity))

    identity = "INTEGER PRIMARY KEY"

    def execute(self, sql):
        raise NotImplementedError

    def count(self, node, table):
        """Rows of a table at a node."""
        raise NotImplementedError

    def take_snapshot(self):
        """Where a node that joins begins with one that somebody has taken."""

    def pids(self):
        return [p.pid for p in self.running if p.running()]

    def work(self, kind, second=False):
        """Arguments of the load client; None where the system has no such work."""
        raise NotImplementedError

    def connect(self, *ports):
        return {"protocol": self.protocol, "port": ",".join(str(p) for p in ports or self.ports[:1])}

    def stop(self):
        for p in reversed(self.running):
            if p.running():
                try:
                    p.terminate()
                except ha.Timeout:
                    pass
        self.running, self.ports = [], []


class Processes:
    """A node is one process, self.running[i], and can be away for a while."""

    def kill9(self, i):
        self.running[i].kill9()

    def stop_node(self, i):
        self.running[i].terminate()

    def start_node(self, i):
        self.running[i].start()


class Http(System):
    """The HTTP interface that the project was given, and litesql/ha's."""

    path = "/query"

    def __init__(self):
        super().__init__()
        self.clients = []

    def body(self, kind):
        """A statement of a request, its parameters by position."""
        sql, params = STATEMENTS[kind]
        return '{"sql":%s,"params":[%s]}' % (json.dumps(sql), ",".join(params))

    def work(self, kind, second=False):
        suffix = "2" if second else ""
        body = f"[%({self.body(kind)}%)]" if kind in ("fill", "batch") else self.body(kind)
        return {"path" + suffix: self.path, "body" + suffix: body}

    def batch(self, kind, statements):
        return {"path": self.path, "body": f"[%({self.body(kind)}%)]", "batch": statements}

    def take_snapshot(self):
        self.clients[0].ok("POST", "/snapshot", None)

    def execute(self, sql):
        return self.clients[0].ok("POST", self.path, {"sql": sql}).json()

    def count(self, node, table):
        answer = self.clients[node].ok("POST", self.path, {"sql": f"SELECT count(*) FROM {table}"}).json()
        return answer["rows"][0][0]

    def stop(self):
        for c in self.clients:
            c.close()
        self.clients = []
        super().stop()
