"""SQLite in the client's process: by itself, on LiteFS, and beside Marmot."""

import os
import shutil
import subprocess

import ha
from system import DATABASE, SCHEMA, START_S, STATEMENTS, Processes, Program, System, peer_program, pinned


def sqlite3(file, sql):
    return subprocess.run(["sqlite3", "-cmd", ".timeout 30000", file, sql], check=True, stdout=subprocess.PIPE, text=True).stdout


def create(file, identity):
    sqlite3(file, "PRAGMA journal_mode = WAL; " + "; ".join(SCHEMA).format(*[identity] * len(SCHEMA)))


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
        create(self.file(), self.identity)

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
        there = os.access("/dev/fuse", os.W_OK) and shutil.which("fusermount3") and os.geteuid() == 0
        return None if there else "needs /dev/fuse, Debian's fuse3 and root"

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


class Marmot(Processes, Sqlite):
    """SQLite in the client's process. Beside the file of each node a Marmot, which takes the changes out of it with triggers,
    and a NATS in it; three nodes have three replicas of the log. It replicates no schema: all begin with the same tables.
    It is not run as root: there SQLite sets the owner of a WAL that it opens, Marmot sees that, opens it, and so on for ever."""

    name, title, nodes_possible = "marmot", "Marmot (SQLite in the client's process)", (1, 3)
    durability = "WAL, synchronous=FULL; other nodes get it later (asynchronous, the last writer wins)"
    compares = Sqlite.compares + " one64of3 spread64 lag_idle lag_busy catch_up idle"

    def missing(self):
        return None if peer_program("marmot") else self.not_installed()

    def version(self):
        return pinned("marmot")

    def start(self, cluster, count=1):
        self.cluster, self.running = cluster, []
        self.directory = os.path.join(cluster.directory, f"{self.name}-{len(cluster.processes)}")
        os.makedirs(self.directory)
        self.program = shutil.copy(peer_program("marmot"), self.directory)  # where everybody may run it
        self.ports, routes = [ha.free_port() for _ in range(count)], [ha.free_port() for _ in range(count)]
        for i in range(count):
            create(self.node_file(i), self.identity)
        self.give_away()
        for i in range(count):
            self.add(i, routes)
        for i in range(count):
            ha.wait_until(lambda i=i: self.watches(i), START_S, f"Marmot {i} watches the tables")
        return self

    def watches(self, i):
        """Started again where it ended because its cluster was not complete soon enough, as a service would be."""
        if not self.running[i].running():
            self.running[i].kill9()
            self.start_node(i)
        return "marmot__" in sqlite3(self.node_file(i), ".tables")

    def give_away(self):
        if os.geteuid() == 0:
            for path in (self.directory, *(os.path.join(self.directory, name) for name in os.listdir(self.directory))):
                shutil.chown(path, "nobody")

    def add(self, i, routes):
        config, others = os.path.join(self.directory, f"marmot{i}.toml"), [r for r in routes if r != routes[i]]
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'db_path = "{self.node_file(i)}"\nseq_map_path = "{self.directory}/sequences{i}"\nnode_id = {i + 1}\n'
                    f'[replication_log]\nreplicas = {len(routes)}\n[snapshot.nats]\nreplicas = {len(routes)}\n'
                    f'[nats]\nbind_address = "127.0.0.1:{self.ports[i]}"\n')
        argv = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        argv += [self.program, "-config", config]
        if others:
            argv += ["-cluster-addr", f"127.0.0.1:{routes[i]}", "-cluster-peers", ",".join(f"nats://127.0.0.1:{r}/" for r in others)]
        p = Program(f"{self.name}-{len(self.cluster.processes)}", self.directory, argv)
        self.cluster.processes.append(p)
        self.running.append(p.start())

    def setup(self):
        """The tables have to be there before it starts."""

    def file(self):
        return os.path.join(self.directory, DATABASE)

    def node_file(self, i):
        return f"{self.file()}.{self.ports[i]}"

    def count(self, node, table):
        return int(sqlite3(self.node_file(node), f"SELECT count(*) FROM {table}"))
