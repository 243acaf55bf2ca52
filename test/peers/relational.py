"""Database servers that are no SQLite: PostgreSQL, MariaDB."""

import os
import shutil
import subprocess

import ha
import machine
import pg
from system import START_S, STATEMENTS, Program, System


def prepared_work(kind, second=False):
    """As prepared statements; parameters are text with tabs between."""
    sql, params = STATEMENTS[kind]
    suffix = "2" if second else ""
    work = {"sql" + suffix: sql}
    if params:
        work["body" + suffix] = "\t".join(p.strip('"') for p in params)
    return work


def pg_work(kind, second=False):
    """The same with PostgreSQL's numbered parameters."""
    work = prepared_work(kind, second)
    key = "sql2" if second else "sql"
    for i in range(work[key].count("?")):
        work[key] = work[key].replace("?", f"${i + 1}", 1)
    return work


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
                                         start_new_session=p.own_session, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, **p.as_user)

    def join(self):
        self.add_standby(wait=False)
        return len(self.running) - 1


class MariaDb(System):
    name, title, protocol = "mariadb", "MariaDB", "mysql"
    durability = "innodb_flush_log_at_trx_commit=1 (its default): every commit synced; no binary log"
    identity = "BIGINT AUTO_INCREMENT PRIMARY KEY"

    def missing(self):
        return None if self.server() and shutil.which("mariadb-install-db") else "not installed (Debian: mariadb-server-core)"

    def server(self):
        return shutil.which("mariadbd")

    def version(self):
        return machine.output(self.server(), "--version")

    def start(self, cluster, count=1):
        self.cluster, name = cluster, f"{self.name}-{len(cluster.processes)}"
        directory, port = os.path.join(cluster.directory, name), ha.free_port()
        data = os.path.join(directory, "data")
        os.makedirs(data)
        as_user = ["--user=nobody"] if os.geteuid() == 0 else []
        for d in (directory, data):
            os.chmod(d, 0o755)
        if as_user:
            shutil.chown(data, "nobody")
        subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db", "--auth-root-authentication-method=normal",
                        *as_user], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        argv = [self.server(), "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
                f"--socket={data}/socket", f"--pid-file={data}/pid", "--max-connections=2200", "--innodb-buffer-pool-size=1G", *as_user]
        p = Program(name, directory, argv)
        cluster.processes.append(p)
        self.running, self.ports = [p.start()], [port]
        self.socket = f"{data}/socket"
        ha.wait_until(lambda: self.client("mysql", "SELECT 1", check=False).returncode == 0, START_S, "MariaDB ready")
        self.client("mysql", f"CREATE DATABASE bench; CREATE USER '{pg.USER}'@'127.0.0.1' IDENTIFIED BY '{pg.PASSWORD}'; "
                    f"GRANT ALL ON bench.* TO '{pg.USER}'@'127.0.0.1'")
        return self

    def client(self, database, sql, check=True):
        return subprocess.run(["mariadb", "--no-defaults", "-u", "root", "-S", self.socket, "-N", "-B", database, "-e", sql], check=check,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def execute(self, sql):
        self.client("bench", sql.replace(" body TEXT", " body LONGTEXT"))

    def count(self, node, table):
        return int(self.client("bench", f"SELECT count(*) FROM {table}").stdout)

    def connect(self, *ports):
        return {**super().connect(*ports), "user": pg.USER, "password": pg.PASSWORD, "database": "bench"}

    def work(self, kind, second=False):
        return prepared_work(kind, second)

    def batch(self, kind, statements):
        return {**prepared_work(kind), "batch": statements}
