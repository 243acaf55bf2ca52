"""Where the MySQL tests connect to: a node, its default database or a new empty one."""

import os
import re
import subprocess
import tempfile
import time
import urllib.parse

import pymysql

import ha

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
BUILD = os.path.join(ha.ROOT, os.environ.get("BUILD", "build"))
NODE_MODULES = os.path.join(BUILD, "npm", "node_modules")
PYTHON_CLIENTS = os.path.join(BUILD, "pip")
GO_CLIENTS = os.path.join(BUILD, "go", "mysqlclients")
CONNECTOR_J = os.path.join(BUILD, "java", "*")
MARIADB_JDBC = ":".join(f"/usr/share/java/{name}.jar" for name in ("mariadb-java-client", "slf4j-api", "slf4j-nop"))
USER, PASSWORD = "tester", "test pass:wörd"
CLIENT_S = 120  # of one client program


class Target:
    """One database of one node, with what clients need to reach it."""

    def __init__(self, port, database, node, user=USER, password=PASSWORD):
        self.host, self.port, self.database, self.node = "127.0.0.1", port, database, node
        self.user, self.password = user, password

    def but(self, **changes):
        t = Target(self.port, self.database, self.node, self.user, self.password)
        for name, value in changes.items():
            setattr(t, name, value)
        return t

    def connect(self, **more):
        options = {"host": self.host, "port": self.port, "user": self.user, "password": self.password.encode(),
                   "database": self.database, "autocommit": True, "connect_timeout": int(30 * ha.SLOW),
                   "read_timeout": CLIENT_S * ha.SLOW, **more}
        return pymysql.connect(**options)

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("MYSQL")}
        env.update(MYSQL_HOST=self.host, MYSQL_TCP_PORT=str(self.port), MYSQL_TEST_USER=self.user,
                   MYSQL_PWD=self.password, MYSQL_DATABASE=self.database, NODE_PATH=NODE_MODULES, LC_ALL="C.UTF-8",
                   HOME="/nonexistent", TZ="UTC",
                   MYSQL_DSN=f"{self.user}:{self.password}@tcp({self.host}:{self.port})/{self.database}")
        return env

    def jdbc(self, driver, **options):
        return f"jdbc:{driver}://{self.host}:{self.port}/{self.database}?{urllib.parse.urlencode(options)}"

    def run(self, *argv, stdin=b"", check=True, env=None):
        """Runs a client program with the target in its environment; answers the finished process."""
        p = subprocess.run(argv, input=stdin, env={**self.environment(), **(env or {})}, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, timeout=CLIENT_S * ha.SLOW, check=False)
        if check and p.returncode != 0:
            raise AssertionError(f"{argv}: exit status {p.returncode}\n{p.stdout[-4000:].decode('utf-8', 'replace')}\n"
                                 f"{p.stderr[-4000:].decode('utf-8', 'replace')}")
        return p

    def passed(self, *argv, env=None):
        """How many checks a client program says to have passed."""
        out = self.run(*argv, env=env).stdout.decode()
        return int(re.search(r"^passed (\d+)$", out, re.M).group(1))

    def mysql(self, *flags, stdin=b"", check=True, program="mysql"):
        """Runs the command line of MariaDB; its standard output as text, or the process where it may fail."""
        p = self.run(program, "--no-defaults", "-h", self.host, "-P", str(self.port), "-u", self.user, *flags,
                     *([self.database] if program == "mysql" else []), stdin=stdin, check=check)
        return p.stdout.decode() if check else p


def start_node(cluster, *more, password=PASSWORD, **options):
    """A node with the MySQL port open, as a Target of its default database."""
    port = ha.free_port()
    created = tempfile.mkdtemp(dir=cluster.directory)
    node = cluster.node(args=["--mysql-port", str(port), "--mysql-user", USER, "--mysql-pass", password,
                              "--create-db-dir", created, *more], **options)
    return Target(port, "ha", node, password=password)


def fresh_database(server):
    """A new empty database beside the one that the Target names, with foreign keys enforced."""
    name = f"t{time.monotonic_ns()}"
    server.node.post("/databases", {"dsn": f"{name}?_fk=1"})
    return server.but(database=name)


def rows(connection, sql, args=None):
    with connection.cursor() as cur:
        cur.execute(sql, args)
        return list(cur.fetchall())


def value(connection, sql, args=None):
    return rows(connection, sql, args)[0][0]


def fails(connection, number, sql, args=None):
    """The statement fails with MySQL's error of this number; answers its message."""
    try:
        rows(connection, sql, args)
    except pymysql.MySQLError as e:
        assert e.args[0] == number, e.args
        return e.args[1]
    raise AssertionError(f"{sql}: did not fail")
