"""The systems that are compared: how each is started, what it is asked in its own words, and how durable its answer is.

A system is started with one node or three, and offers for every kind of work the arguments of the load client
(test/bench/load.c): `work("insert")` and so on. All have the same tables but the dqlite demo, which has its own, of keys
and values, and nothing else. What a system cannot do it says by having no such work.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile

import ha
import machine
import pg
from natsclient import NatsClient

PEERS = os.path.join(ha.ROOT, "build", "peers")
BIN = os.path.join(PEERS, "bin")
DATABASE, STREAM = "bench.db", "ha_replication-bench=2Edb"
START_S = 60
FORM_S, FORM_TRIES = 15, 4  # of a cluster of nats-servers

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


class Ha(Http):
    """Ours: one node with its own nats-server, or three nodes, each with a nats-server of a cluster beside it."""

    name, title, nodes_possible = "ha", "ha, HTTP", (1, 3)
    sync, replicas = "always", 3
    arguments = ()

    @property
    def durability(self):
        if ha.server_version() < (2, 10):
            return "log written, synced every 2 min: this nats-server can do no other"
        return "every acknowledged message synced (sync_interval: always)" if self.sync == "always" else "log written, synced every 2 min"

    def missing(self):
        return None if os.access(ha.BINARY, os.X_OK) else f"{ha.BINARY} is not built"

    def version(self):
        return f"{machine.output(ha.BINARY, '--version')}, nats-server {'.'.join(map(str, ha.server_version()))}"

    def start(self, cluster, count=1):
        self.cluster, files = cluster, [f"file:{DATABASE}"]
        arguments = [*self.arguments, *self.extra_arguments()]
        if count == 1:
            self.running = [cluster.node(f"{self.name}-{len(cluster.processes)}", files=files,
                                         args=["--nats-sync", self.sync, *arguments])]
        else:
            servers = self.nats_servers(cluster, count)
            urls = ",".join(s.nats_url for s in servers)
            nodes = []
            for i in range(count):
                nodes.append(cluster.node(f"{self.name}-{len(cluster.processes)}", files=files, url=urls, wait=False,
                                          replicas=self.replicas, args=[*arguments] + (self.extra_arguments() if i else [])))
            for n in nodes:
                n.wait_ready()
            self.running = servers + nodes
        self.nodes = [p for p in self.running if isinstance(p, ha.Node)]
        for n in self.nodes:
            n.may_die = True
        self.clients = [n.http for n in self.nodes]
        self.ports = self.front_ports()
        return self

    def nats_servers(self, cluster, count):
        """A cluster of nats-servers in which streams can have replicas. Servers that start at the same time sometimes never
        learn of each other's JetStream ("no suitable peers for placement", seen for minutes with 2.10.27): others then."""
        for _ in range(FORM_TRIES):
            servers = self.some_nats_servers(cluster, count)
            try:
                for s in servers:
                    ha.wait_until(s.jetstream_ready, FORM_S, f"{s.name}: JetStream with a leader")
                with NatsClient(servers[0].port) as nats:
                    probe = {"name": "probe", "subjects": ["probe"], "num_replicas": count, "storage": "file"}
                    ha.wait_until(lambda: nats.api("STREAM.CREATE.probe", probe), FORM_S, "a stream with replicas")
                    nats.api("STREAM.DELETE.probe")
                return servers
            except ha.Timeout as e:
                failure = e
                for s in servers:
                    s.kill9()
        raise failure

    def some_nats_servers(self, cluster, count):
        routes = [ha.free_port() for _ in range(count)]
        settings = ", sync_interval: always" if self.sync == "always" and ha.server_version() >= (2, 10) else ""
        servers = [cluster.nats(f"{self.name}-nats{i}-{len(cluster.processes)}", start=False, cluster="bench", cluster_port=routes[i],
                                routes=routes[:i] + routes[i + 1:], settings=settings) for i in range(count)]
        for s in servers:
            s.may_die = True
            s.start(wait=False)
        for s in servers:
            s.wait_ready()
        return servers

    def extra_arguments(self):
        return []

    def front_ports(self):
        return [n.port for n in self.nodes]

    def execute(self, sql):
        return self.nodes[0].retrying(lambda: Http.execute(self, sql))

    def nats_of(self, i):
        """What a node's host runs besides the node: killed with it."""
        return [p for p in self.running if isinstance(p, ha.NatsServer)][i : i + 1]

    def busiest(self):
        """The node whose host leads the log."""
        servers = [p for p in self.running if isinstance(p, ha.NatsServer)]
        with NatsClient(servers[0].port) as nats:
            leader = nats.stream(STREAM)["cluster"]["leader"]
        return [s.name for s in servers].index(leader)

    def kill9(self, i):
        for p in [self.nodes[i], *self.nats_of(i)]:
            p.kill9()

    def stop_node(self, i):
        self.nodes[i].terminate()

    def start_node(self, i):
        self.nodes[i].start(wait=False)

    def join(self):
        """A further node, not waited for: the place of its client."""
        urls = ",".join(p.nats_url for p in self.running if isinstance(p, ha.NatsServer)) or self.nodes[0].nats_url
        n = self.cluster.node(f"{self.name}-{len(self.cluster.processes)}", files=[f"file:{DATABASE}"], url=urls, wait=False,
                              replicas=self.replicas if len(self.nodes) > 1 else None, args=["--from-latest-snapshot"])
        n.may_die = True
        self.nodes.append(n)
        self.running.append(n)
        self.clients.append(n.http)
        return len(self.nodes) - 1


class HaInterval(Ha):
    name, title, sync = "ha-interval", "ha, HTTP, log synced every 2 min", "interval"
    compares = "lone writers64"


class HaPg(Ha):
    name, title, protocol, nodes_possible = "ha-pg", "ha, PostgreSQL's protocol", "pg", (1,)

    def extra_arguments(self):
        self.pg_ports = getattr(self, "pg_ports", []) + [ha.free_port()]
        return ["--pg-port", str(self.pg_ports[-1]), "--pg-user", pg.USER, "--pg-pass", pg.PASSWORD]

    def start(self, cluster, count=1):
        self.pg_ports = []
        super().start(cluster, count)
        for port in self.ports:
            ha.wait_until(lambda port=port: socket.create_connection(("127.0.0.1", port), 5).close() is None, START_S, "the port")
        return self

    def front_ports(self):
        return self.pg_ports[-len(self.nodes):]

    def connect(self, *ports):
        return {**super().connect(*ports), "user": pg.USER, "password": pg.PASSWORD, "database": DATABASE}

    def work(self, kind, second=False):
        return pg_work(kind, second)

    def batch(self, kind, statements):
        return {**pg_work(kind), "batch": statements}


def pg_work(kind, second=False):
    """As prepared statements; parameters are text with tabs between."""
    sql, params = STATEMENTS[kind]
    for i in range(len(params)):
        sql = sql.replace("?", f"${i + 1}", 1)
    suffix = "2" if second else ""
    work = {"sql" + suffix: sql}
    if params:
        work["body" + suffix] = "\t".join(p.strip('"') for p in params)
    return work


class LitesqlHa(Http):
    name, title, nodes_possible = "litesql-ha", "litesql/ha, HTTP", (1, 3)
    durability = "log written, synced every 2 min (the default of the NATS in it)"

    def program(self):
        return os.path.join(BIN, "ha")

    def missing(self):
        return None if os.access(self.program(), os.X_OK) else self.not_installed()

    def version(self):
        return " ".join(machine.output(self.program(), "--version").split())

    def body(self, kind):
        """It takes parameters by name only."""
        sql, params = STATEMENTS[kind]
        for i in range(len(params)):
            sql = sql.replace("?", f":p{i}", 1)
        return '{"sql":%s,"params":{%s}}' % (json.dumps(sql), ",".join(f'"p{i}":{p}' for i, p in enumerate(params)))

    def start(self, cluster, count=1):
        self.cluster, self.running, self.clients = cluster, [], []
        nats_port = ha.free_port()
        for i in range(count):
            self.add(nats_port if i == 0 else 0, f"nats://127.0.0.1:{nats_port}" if i else None)
        return self

    def add(self, nats_port, url, *more):
        port, name = ha.free_port(), f"{self.name}-{len(self.cluster.processes)}"
        directory = os.path.join(self.cluster.directory, name)
        argv = [self.program(), "-n", name, "--port", str(port), "--nats-port", str(nats_port), *more]
        argv += ["--nats-store-dir", os.path.join(directory, "nats")] if nats_port else []
        argv += ["--replication-url", url] if url else []
        p = Program(name, directory, [*argv, f"file:{DATABASE}"])
        self.cluster.processes.append(p)
        self.running.append(p.start())
        self.ports.append(port)
        self.url = url or f"nats://127.0.0.1:{nats_port}"
        self.clients.append(ha.Http(name, port))
        if not more:
            ha.wait_until(lambda: self.clients[-1].ok("POST", self.path, {"sql": "SELECT 1"}), START_S, f"{name} ready")

    def busiest(self):
        return 0

    def kill9(self, i):
        self.running[i].kill9()

    def stop_node(self, i):
        self.running[i].terminate()

    def start_node(self, i):
        self.running[i].start()

    def join(self):
        self.add(0, self.url, "--from-latest-snapshot")
        return len(self.running) - 1


class Rqlite(System):
    name, title, nodes_possible = "rqlite", "rqlite, HTTP", (1, 3)
    durability = "every entry of the Raft log synced (its default)"

    def missing(self):
        return None if peer_program("rqlited") else self.not_installed()

    def version(self):
        return pinned("rqlite")

    def start(self, cluster, count=1):
        self.cluster, self.clients, self.running, self.ports, self.rafts = cluster, [], [], [], []
        for _ in range(count):
            self.add()
        for c in self.clients:
            ha.wait_until(lambda c=c: c.request("GET", "/readyz").status == 200, START_S, f"{c.name} ready")
        return self

    def add(self):
        port, raft, name = ha.free_port(), ha.free_port(), f"{self.name}-{len(self.cluster.processes)}"
        directory = os.path.join(self.cluster.directory, name)
        argv = [peer_program("rqlited"), "-node-id", name, "-http-addr", f"127.0.0.1:{port}", "-raft-addr", f"127.0.0.1:{raft}"]
        argv += ["-join", ",".join(f"127.0.0.1:{r}" for r in self.rafts)] if self.rafts else []
        p = Program(name, directory, [*argv, os.path.join(directory, "data")])
        self.cluster.processes.append(p)
        self.running.append(p.start())
        self.rafts.append(raft)
        self.ports.append(port)
        self.clients.append(ha.Http(name, port))
        if len(self.running) == 1:
            ha.wait_until(lambda: self.clients[0].request("GET", "/readyz").status == 200, START_S, f"{name} ready")

    def work(self, kind, second=False):
        sql, params = STATEMENTS[kind]
        read = sql.startswith("SELECT")
        one = json.dumps([sql])[:-1] + "".join("," + p for p in params) + "]"
        suffix = "2" if second else ""
        return {"path" + suffix: "/db/query?level=none" if read else "/db/execute", "body" + suffix: f"[{one}]", "refuse": '"error"'}

    def batch(self, kind, statements):
        work = self.work(kind)
        return {**work, "path": "/db/execute?transaction", "body": f"[%({work['body'][1:-1]}%)]", "batch": statements}

    def execute(self, sql):
        """Again while there is no leader; a statement of the schema may run twice."""

        def run():
            answer = self.clients[0].ok("POST", "/db/execute", [sql]).json()
            assert "error" not in json.dumps(answer), answer
            return True

        ha.wait_until(run, START_S, sql)

    def count(self, node, table):
        answer = self.clients[node].ok("POST", "/db/query?level=none", [f"SELECT count(*) FROM {table}"]).json()
        return answer["results"][0]["values"][0][0]

    def busiest(self):
        """Whoever leads."""
        nodes = self.clients[0].ok("GET", "/nodes").json()
        names = [c.name for c in self.clients]
        return next((names.index(n) for n, state in nodes.items() if state.get("leader") and n in names), 0)

    def kill9(self, i):
        self.running[i].kill9()

    def stop_node(self, i):
        self.running[i].terminate()

    def start_node(self, i):
        self.running[i].start()

    def join(self):
        self.add()
        return len(self.running) - 1

    def stop(self):
        for c in getattr(self, "clients", ()):
            c.close()
        super().stop()


class Dqlite(System):
    """The demo of go-dqlite: a table of keys and values, whatever else is asked."""

    name, title, nodes_possible, sql = "dqlite", "dqlite (go-dqlite's demo), HTTP", (1, 3), False
    durability = "every entry of the Raft log synced (it knows no other)"
    refuses_writers = True

    def missing(self):
        return None if peer_program("dqlite-demo") else self.not_installed()

    def version(self):
        text = machine.output("dpkg-query", "-W", "-f", "${Version}", "libdqlite0")
        return f"go-dqlite {pinned('dqlite')}, libdqlite {text}"

    def start(self, cluster, count=1):
        self.cluster, self.running, self.ports, rafts = cluster, [], [], []
        for _ in range(count):
            port, raft, name = ha.free_port(), ha.free_port(), f"{self.name}-{len(cluster.processes)}"
            directory = os.path.join(cluster.directory, name)
            argv = [peer_program("dqlite-demo"), "--api", f"127.0.0.1:{port}", "--db", f"127.0.0.1:{raft}", "--dir", directory]
            argv += ["--join", ",".join(rafts)] if rafts else []
            p = Program(name, directory, argv)
            cluster.processes.append(p)
            self.running.append(p.start())
            rafts.append(f"127.0.0.1:{raft}")
            self.ports.append(port)
            client = ha.Http(name, port)
            ha.wait_until(lambda c=client: c.request("GET", "/none").status == 200, START_S, f"{name} ready")
            client.close()
        return self

    def setup(self):
        pass

    def work(self, kind, second=False):
        suffix = "2" if second else ""
        if kind in ("insert", "fill"):
            key = "fill%i" if kind == "fill" else "item%i"
            return {"method": "PUT", "path" + suffix: "/" + key, "body" + suffix: "item number", "refuse": "Error:"}
        if kind == "hot":
            return {"method": "PUT", "path" + suffix: "/hot", "body" + suffix: "%i", "refuse": "Error:"}
        if kind == "select" and not second:
            return {"path": "/fill%r", "refuse": "Error:"}
        return None

    def batch(self, kind, statements):
        return None

    def busiest(self):
        return 0

    def kill9(self, i):
        self.running[i].kill9()


class Postgres(System):
    name, title, protocol, nodes_possible = "postgres", "PostgreSQL", "pg", (1, 3)
    durability = "fsync and synchronous_commit on (its default); with three nodes one standby has written it, too"
    identity = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"

    def missing(self):
        return None if pg.server_directory() else "not installed (Debian: postgresql)"

    def version(self):
        return machine.output(os.path.join(pg.server_directory(), "postgres"), "--version")

    def start(self, cluster, count=1):
        self.cluster, self.running = cluster, []
        settings = ["max_connections=2200", "max_wal_size=4GB"]
        if count > 1:
            settings += ["synchronous_standby_names=ANY 1 (*)", "synchronous_commit=local", "wal_keep_size=4GB"]
        first = pg.Postgres(os.path.join(cluster.directory, f"postgres-{len(cluster.processes)}", "server"), settings)
        first.may_die = True
        cluster.processes.append(first)
        self.running, self.targets = [first], [first.start()]
        for _ in range(count - 1):
            self.add_standby()
        if count > 1:
            self.targets[0].psql("ALTER SYSTEM SET synchronous_commit = 'on'", "SELECT pg_reload_conf()")
        self.ports = [t.port for t in self.targets]
        return self

    def add_standby(self, wait=True):
        first = self.running[0]
        standby = pg.Postgres(os.path.join(self.cluster.directory, f"postgres-{len(self.cluster.processes)}", "server"), first.settings)
        data = os.path.join(standby.directory, "data")
        os.makedirs(data, mode=0o700)
        if standby.as_user:
            shutil.chown(data, "nobody")
        environment = {**self.targets[0].environment(), "PGDATABASE": "", "HOME": "/"}
        subprocess.run([f"{standby.bin}/pg_basebackup", "-D", data, "-R", "-X", "stream", "-c", "fast"], check=True, env=environment,
                       cwd="/", stdout=subprocess.DEVNULL, **standby.as_user)
        standby.may_die = True
        self.cluster.processes.append(standby)
        self.running.append(standby)
        self.targets.append(self.targets[0].but(port=standby.port))
        self.ports = [t.port for t in self.targets]
        self.start_node(len(self.running) - 1)
        if wait:
            ha.wait_until(lambda: self.targets[-1].psql("SELECT 1", check=False).returncode == 0, START_S, "a standby ready")

    def connect(self, *ports):
        return {**super().connect(*ports), "user": pg.USER, "password": pg.PASSWORD, "database": "postgres"}

    def work(self, kind, second=False):
        return pg_work(kind, second)

    def batch(self, kind, statements):
        return {**pg_work(kind), "batch": statements}

    def execute(self, sql):
        self.targets[0].psql(sql)

    def count(self, node, table):
        return int(self.targets[node].value(f"SELECT count(*) FROM {table}"))

    def stop_node(self, i):
        self.running[i].terminate()

    def start_node(self, i):
        p = self.running[i]
        argv = [f"{p.bin}/postgres", "-D", os.path.join(p.directory, "data"), "-p", str(p.port), "-k", ""]
        for s in p.settings:
            argv += ["-c", s] if not s.startswith("synchronous_commit") else []
        with open(p.log_path, "ab") as log:
            p.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                         env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, **p.as_user)

    def join(self):
        self.add_standby(wait=False)
        return len(self.running) - 1


class Sqlite(System):
    """No server and no copy: what there is to lose."""

    name, title, protocol = "sqlite", "SQLite in the client's process, not replicated", "sqlite"
    durability = "WAL, synchronous=FULL: every commit synced"
    compares = "lone batch100 writers64 read1 scan"  # elsewhere its writers only wait for each other

    def start(self, cluster, count=1):
        self.directory = os.path.join(cluster.directory, self.name)
        os.makedirs(self.directory, exist_ok=True)
        self.ports = [0]
        return self

    def file(self):
        return os.path.join(self.directory, DATABASE)

    def connect(self, *ports):
        return {**super().connect(*ports), "database": self.file()}

    def setup(self):
        for statement in SCHEMA:
            subprocess.run(["sqlite3", self.file(), statement.format(self.identity)], check=True, stdout=subprocess.DEVNULL)

    def work(self, kind, second=False):
        sql, params = STATEMENTS[kind]
        suffix = "2" if second else ""
        return {"sql" + suffix: sql, **({"body" + suffix: "\t".join(p.strip('"') for p in params)} if params else {})}

    def batch(self, kind, statements):
        return {**self.work(kind), "batch": statements}


class LiteFs(Sqlite):
    """SQLite in the client's process, on LiteFS's file system; one node, which is the primary."""

    name, title = "litefs", "LiteFS (SQLite in the client's process)"
    durability = "WAL, synchronous=FULL; other nodes get it later (asynchronous)"

    def missing(self):
        if not peer_program("litefs"):
            return self.not_installed()
        return None if os.access("/dev/fuse", os.W_OK) and os.geteuid() == 0 else "needs FUSE and root"

    def version(self):
        return pinned("litefs")

    def start(self, cluster, count=1):
        name = f"{self.name}-{len(cluster.processes)}"
        directory = os.path.join(cluster.directory, name)
        self.directory = os.path.join(directory, "mnt")
        os.makedirs(self.directory)
        port, config = ha.free_port(), os.path.join(directory, "litefs.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'fuse:\n  dir: "{self.directory}"\ndata:\n  dir: "{directory}/data"\nhttp:\n  addr: "127.0.0.1:{port}"\n'
                    f'lease:\n  type: "static"\n  advertise-url: "http://127.0.0.1:{port}"\n  candidate: true\n')
        p = Program(name, directory, [peer_program("litefs"), "mount", "-config", config])
        cluster.processes.append(p)
        self.running, self.ports = [p.start()], [0]
        ha.wait_until(lambda: os.path.ismount(self.directory), START_S, "LiteFS mounted")
        return self


SYSTEMS = {s.name: s for s in (Ha, HaInterval, HaPg, LitesqlHa, Rqlite, Dqlite, LiteFs, Postgres, Sqlite)}
