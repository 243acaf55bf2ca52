"""Where the PostgreSQL tests connect to: a node of ours, or a real PostgreSQL 15 as the reference.

    WIRE_REFERENCE=1 /usr/bin/python3 -m pytest test/wire -k psycopg

runs the tests against the reference, which shows that they are right; what only a node has is skipped there.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time

import ha

REFERENCE = os.environ.get("WIRE_REFERENCE") == "1"
CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
NODE_MODULES = os.path.join(ha.ROOT, os.environ.get("BUILD", "build"), "npm", "node_modules")
PYTHON_CLIENTS = os.path.join(ha.ROOT, os.environ.get("BUILD", "build"), "pip")  # newer than Debian's
JDBC = "/usr/share/java/postgresql.jar"
USER, PASSWORD = "tester", "test pass:wörd"
CLIENT_S = 120  # of one client program


def server_directory():
    """Where Debian keeps the server's programs; None where they are not installed."""
    for version in ("15", "17", "16"):
        directory = f"/usr/lib/postgresql/{version}/bin"
        if os.path.exists(os.path.join(directory, "postgres")):
            return directory
    return None


class Target:
    """One database of one server, with what clients need to reach it."""

    def __init__(self, port, database, user=USER, password=PASSWORD, host="127.0.0.1", node=None):
        self.host, self.port, self.database = host, port, database
        self.user, self.password, self.node = user, password, node

    def but(self, **changes):
        t = Target(self.port, self.database, self.user, self.password, self.host, self.node)
        for name, value in changes.items():
            setattr(t, name, value)
        return t

    def keywords(self):
        return {"host": self.host, "port": self.port, "user": self.user, "password": self.password,
                "dbname": self.database}

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        env.update(PGHOST=self.host, PGPORT=str(self.port), PGUSER=self.user, PGPASSWORD=self.password,
                   PGDATABASE=self.database, NODE_PATH=NODE_MODULES, LC_ALL="C.UTF-8", HOME="/nonexistent",
                   PGCONNECT_TIMEOUT=str(int(30 * ha.SLOW)))
        return env

    def run(self, *argv, stdin="", check=True, env=None):
        """Runs a client program with the target in its environment; answers the finished process."""
        p = subprocess.run(argv, input=stdin, env={**self.environment(), **(env or {})}, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=CLIENT_S * ha.SLOW, check=False)
        if check and p.returncode != 0:
            raise AssertionError(f"{argv}: exit status {p.returncode}\n{p.stdout[-4000:]}\n{p.stderr[-4000:]}")
        return p

    def python(self, script, **env):
        """Runs a script of clients/ with the Python clients of pip/requirements.txt; answers how many checks passed."""
        assert os.path.isdir(PYTHON_CLIENTS), f"{PYTHON_CLIENTS} is missing: `make python-clients`"
        p = self.run("/usr/bin/python3", os.path.join(CLIENTS, script), env={"PYTHONPATH": PYTHON_CLIENTS, **env})
        return int(re.search(r"^passed (\d+)$", p.stdout, re.M).group(1))

    def psql(self, *commands, check=True, flags=("-At",)):
        """Runs psql with each command as one -c; answers the finished process."""
        argv = ["psql", "-X", "-v", "ON_ERROR_STOP=1", *flags]
        for c in commands:
            argv += ["-c", c]
        return self.run(*argv, check=check)

    def value(self, sql):
        return self.psql(sql).stdout.strip()


def start_node(cluster, *more, password=PASSWORD, **options):
    """A node with the PostgreSQL port open, as a Target of its default database."""
    port = ha.free_port()
    created = tempfile.mkdtemp(dir=cluster.directory)
    node = cluster.node(args=["--pg-port", str(port), "--pg-user", USER, "--pg-pass", password, "--create-db-dir", created,
                              *more], **options)
    return Target(port, default_database(node), password=password, node=node)


def default_database(node):
    return node.get("/databases").json()["databases"][0]


class Postgres(ha.Process):
    """A real server in a temporary directory, as a user other than root, who may not run one."""

    def __init__(self, directory, settings=()):
        super().__init__("postgres", directory)
        self.port, self.settings = ha.free_port(), list(settings)
        self.bin = server_directory()
        self.as_user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        os.makedirs(directory, exist_ok=True)
        for d in (os.path.dirname(directory), directory):
            os.chmod(d, 0o755)

    def start(self):
        data, password = os.path.join(self.directory, "data"), os.path.join(self.directory, "password")
        with open(password, "w", encoding="utf-8") as f:
            f.write(PASSWORD)
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        if not os.path.exists(data):
            os.makedirs(data)
            if self.as_user:
                shutil.chown(data, "nobody")
            subprocess.run([f"{self.bin}/initdb", "-D", data, "-U", USER, "--auth=scram-sha-256", f"--pwfile={password}",
                            "-E", "UTF8", "--locale=C.UTF-8", "-N"], check=True, stdout=subprocess.DEVNULL, env=env,
                           cwd="/", **self.as_user)
        argv = [f"{self.bin}/postgres", "-D", data, "-p", str(self.port), "-k", "", "-c", "max_connections=1200"]
        for s in self.settings:
            argv += ["-c", s]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd="/",
                                            start_new_session=self.own_session, **self.as_user)
        target = Target(self.port, "postgres")
        ha.wait_until(lambda: target.psql("SELECT 1", check=False).returncode == 0, 30, "PostgreSQL ready")
        return target

    def terminate(self, deadline_s=ha.STOP_S):
        """A fast shutdown: connections end."""
        p, self.process = self.process, None
        p.send_signal(2)
        return p.wait(deadline_s * ha.SLOW)


def fresh_database(server):
    """A new empty database beside the one that the Target names."""
    name = f"t{time.monotonic_ns()}"
    if server.node:
        server.node.post("/databases", {"dsn": f"{name}?_fk=1"})
    else:
        server.psql(f"CREATE DATABASE {name}")
    return server.but(database=name)
