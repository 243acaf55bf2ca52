"""A real MariaDB as a source, nodes that mirror it, and the comparison of what both hold."""

import os
import random
import shutil
import subprocess
import threading

import pymysql

import ha

USER, PASSWORD = "replica", "s3cret/@:"  # what a DSN has to survive
SETTINGS = ["--log-bin=bin", "--binlog-format=ROW", "--server-id=1", "--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0",
            "--innodb-buffer-pool-size=128M", "--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci", "--max-connections=300",
            "--performance-schema=OFF", "--sql-mode=", "--skip-name-resolve"]


class MariaDb(ha.Process):
    """A server in a directory of its own; keeps its port and its data over restarts."""

    def __init__(self, cluster, settings=(), name="mariadb"):
        super().__init__(name, os.path.join(cluster.directory, name))
        self.settings, self.port = list(settings), ha.free_port()
        self.data, self.socket = os.path.join(self.directory, "data"), os.path.join(self.directory, "data", "s")
        self.as_user = ["--user=nobody"] if os.geteuid() == 0 else []
        # Of its own: a server that starts removes what others have there.
        self.env = {**os.environ, "TMPDIR": os.path.join(self.directory, "tmp")}
        cluster.processes.append(self)

    def install(self):
        os.makedirs(self.data)
        os.makedirs(self.env["TMPDIR"])
        for d in (os.path.dirname(self.directory), self.directory, self.data):
            os.chmod(d, 0o755)
        if self.as_user:
            shutil.chown(self.data, "nobody")
            shutil.chown(self.env["TMPDIR"], "nobody")
        made = subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--skip-test-db",
                               "--auth-root-authentication-method=normal", *self.as_user], check=False, env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert made.returncode == 0, made.stdout[-5000:]

    def start(self):
        new = not os.path.exists(self.data)
        if new:
            self.install()
        program = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin")
        self.spawn([program, "--no-defaults", f"--datadir={self.data}", f"--port={self.port}", "--bind-address=127.0.0.1",
                    f"--socket={self.socket}", f"--pid-file={self.data}/pid", *SETTINGS, *self.settings, *self.as_user], self.env)
        ha.wait_until(lambda: self.client("SELECT 1", check=False).returncode == 0, 90, "MariaDB ready")
        if new:
            self.sql(f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'", f"GRANT ALL ON *.* TO '{USER}'@'%'")
        return self

    def restart(self):
        self.terminate(90)
        return self.start()

    def client(self, sql, database="", check=True, port=None, user="root", password=None):
        where = ["-h127.0.0.1", f"-P{port}"] if port else ["-S", self.socket]
        secret = [f"-p{password}"] if password else []
        return subprocess.run(["mariadb", "--no-defaults", "--default-character-set=utf8mb4", "-N", "-B", "--skip-reconnect", *where, f"-u{user}",
                               *secret, "-e", sql, database], check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="surrogateescape")

    def sql(self, *commands, database=""):
        out = self.client(";\n".join(commands), database, check=False)
        assert out.returncode == 0, out.stderr
        return out.stdout.strip()


class Source:
    """A database of the server, with a name of its own."""

    def __init__(self, server):
        self.server = server
        self.name = f"db{random.getrandbits(40):x}"
        server.sql(f"CREATE DATABASE {self.name}")

    def dsn(self, user=USER, password=PASSWORD):
        return f"{user}:{password}@tcp(127.0.0.1:{self.server.port})/{self.name}"

    def sql(self, *commands):
        return self.server.sql("SET time_zone = '+00:00'", *commands, database=self.name)

    def rows(self, sql):
        return self.sql(sql)

    def connect(self, **options):
        return pymysql.connect(host="127.0.0.1", port=self.server.port, user=USER, password=PASSWORD, database=self.name, **options)

    def args(self, *more, use_schema=True, include=None):
        return ["--mysql-proxied", self.dsn(), "--mysql-include", include or f"^{self.name}\\.", "--mysql-proxy-id", self.name,
                *(["--proxy-use-schema"] if use_schema else []), *more]

    def node(self, cluster, *more, use_schema=True, include=None, start=True, wait=True, **options):
        """A node that mirrors it, with the MySQL port open."""
        port = ha.free_port()
        node = cluster.node(start=start, wait=wait, args=[*self.args(*more, use_schema=use_schema, include=include), "--mysql-port", str(port)],
                            **options)
        node.mysql_port = port
        return node

    def of_node(self, node, sql, check=True):
        """What the same client shows of a node."""
        return self.server.client(sql, "ha", check=check, port=node.mysql_port, user="ha")

    def drop(self):
        self.server.sql(f"DROP DATABASE {self.name}")


def state(node):
    """What /status says of the source."""
    return node.status()["databases"][0]["source"]


def wait_state(node, wanted, part="", deadline_s=60):
    def look():
        s = state(node)
        return s if s["state"] == wanted and part in s["reason"] else None

    try:
        return ha.wait_until(look, deadline_s)
    except ha.Timeout:
        raise ha.Timeout(f"{node.name} is not {wanted} ({part}): {state(node)}") from None


def wait_same(source, nodes, queries, deadline_s=120):
    """Until each query has the same answer at the source and at every node, byte by byte as the client shows it."""
    nodes = nodes if isinstance(nodes, (list, tuple)) else [nodes]
    queries = [queries] if isinstance(queries, str) else queries
    for sql in queries:
        wanted = source.rows(sql)
        for node in nodes:
            last = [None]

            def look(node=node, sql=sql, wanted=wanted, last=last):
                out = source.of_node(node, sql, check=False)
                last[0] = out.stdout.strip() or out.stderr
                return out.returncode == 0 and out.stdout.strip() == wanted

            try:
                ha.wait_until(look, deadline_s)
            except ha.Timeout as e:
                raise ha.Timeout(f"{node.name}: {sql}\nsource: {wanted[:2000]}\nnode:   {str(last[0])[:2000]}\n"
                                 f"{state(node)}\n{e}") from None


class Writer(threading.Thread):
    """Transactions at the source until it is told to stop, some of them rolled back."""

    def __init__(self, source, number=0):
        super().__init__(daemon=True)
        self.source, self.number = source, number
        self.stopping, self.failure = threading.Event(), None

    @staticmethod
    def prepare(source):
        source.sql("CREATE TABLE counter (id INT PRIMARY KEY, n BIGINT NOT NULL, h CHAR(32))",
                   "CREATE TABLE entry (id BIGINT AUTO_INCREMENT PRIMARY KEY, writer INT, n BIGINT, v TEXT)",
                   "CREATE TABLE bare (writer INT, n BIGINT)",
                   "INSERT INTO counter VALUES " + ", ".join(f"({i}, 0, '')" for i in range(10)))

    def transaction(self, k):
        k.execute("UPDATE counter SET n = n + 1, h = md5(concat(h, n)) WHERE id = %s", [self.number])
        k.execute("SELECT n FROM counter WHERE id = %s", [self.number])
        n = k.fetchone()[0]
        k.execute("INSERT INTO entry(writer, n, v) VALUES (%s, %s, repeat(md5(%s), 5))", [self.number, n, str(n)])
        k.execute("INSERT INTO bare VALUES (%s, %s)", [self.number, n])
        if n % 5 == 0:
            k.execute("DELETE FROM entry WHERE writer = %s AND n = %s", [self.number, n - 3])
            k.execute("DELETE FROM bare WHERE writer = %s AND n = %s", [self.number, n - 2])
        return n % 7 != 0

    def run(self):
        connection = None
        try:
            while not self.stopping.is_set():
                try:
                    if connection is None:
                        connection = self.source.connect()
                    with connection.cursor() as k:
                        keep = self.transaction(k)
                    (connection.commit if keep else connection.rollback)()
                    if not keep:
                        with connection.cursor() as k:
                            k.execute("UPDATE counter SET n = n + 1 WHERE id = %s", [self.number])
                        connection.commit()
                except pymysql.err.OperationalError:  # the server is being restarted
                    connection = None
                    self.stopping.wait(0.05)
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stopping.set()
        self.join()
        assert kind or self.failure is None, self.failure


def done(source):
    return int(source.sql("SELECT sum(n) FROM counter"))


def wait_done(source, more, deadline_s=60):
    """Until the writers have come so much further."""
    goal = done(source) + more
    ha.wait_until(lambda: done(source) >= goal, deadline_s, f"{goal} transactions at the source")


WRITTEN = ["SELECT * FROM counter ORDER BY id", "SELECT count(*), sum(id), sum(n) FROM entry", "SELECT * FROM entry ORDER BY id",
           "SELECT writer, n FROM bare ORDER BY writer, n"]
