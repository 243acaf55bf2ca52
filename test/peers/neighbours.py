"""Systems that keep SQLite databases on several machines, each with an HTTP interface."""

import json
import os

import ha
import machine
from system import BIN, DATABASE, START_S, STATEMENTS, Http, Processes, Program, System, peer_program, pinned


class LitesqlHa(Processes, Http):
    name, title, nodes_possible = "litesql-ha", "litesql/ha, HTTP", (1, 3)
    durability = "log written, synced every 2 min (the default of the NATS in it)"

    def program(self):
        return os.path.join(BIN, "ha")

    def missing(self):
        return None if os.access(self.program(), os.X_OK) else self.not_installed()

    def version(self):
        """As it says itself, and what is built into it: its Docker image has SQLite in C, a build without cgo SQLite in Go."""
        built = machine.output("go", "version", "-m", self.program(), whole=True)
        own = machine.output(self.program(), "--version", whole=True).split("Version: ")[-1].split()[0]
        core = next((w[2] for w in map(str.split, built.splitlines()) if w[:2] == ["dep", "github.com/litesql/go-ha"]), "")
        sqlite = ", built without cgo: SQLite translated to Go" if "CGO_ENABLED=0" in built else ""
        return f"{own}, go-ha {core}{' (from a source tree of about that version)' if '=>' in built else ''}{sqlite}"

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

    def add(self, nats_port, url, wait=True):
        port, name = ha.free_port(), f"{self.name}-{len(self.cluster.processes)}"
        directory = os.path.join(self.cluster.directory, name)
        argv = [self.program(), "-n", name, "--port", str(port), "--nats-port", str(nats_port)]
        argv += ["--nats-store-dir", os.path.join(directory, "nats")] if nats_port else []
        argv += ["--replication-url", url] if url else []
        p = Program(name, directory, [*argv, f"file:{DATABASE}"])
        self.cluster.processes.append(p)
        self.running.append(p.start())
        self.ports.append(port)
        self.url = url or f"nats://127.0.0.1:{nats_port}"
        self.clients.append(ha.Http(name, port))
        if wait:
            ha.wait_until(lambda: self.clients[-1].ok("POST", self.path, {"sql": "SELECT 1"}), START_S, f"{name} ready")

    def busiest(self):
        return 0

    def take_snapshot(self):
        """None: with --replication-url its --from-latest-snapshot fails at every size. go-ha's LatestSnapshot closes the
        connection to that NATS before what it returns is read ("read pipe: i/o timeout")."""

    def join(self):
        """From the log, all of it."""
        self.add(0, self.url, wait=False)
        return len(self.running) - 1


class Rqlite(Processes, System):
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
