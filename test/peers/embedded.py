"""SQLite in the client's process: by itself, and on LiteFS."""

import os
import subprocess

import ha
from system import DATABASE, SCHEMA, START_S, STATEMENTS, Program, System, peer_program, pinned


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
