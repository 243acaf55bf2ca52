"""A real PostgreSQL as a source, nodes that mirror it, and the comparison of what both hold."""

import os
import threading
from urllib.parse import quote

import psycopg2

import ha
import pg

SETTINGS = ["wal_level=logical", "fsync=off", "max_wal_senders=40", "max_replication_slots=40", "timezone=UTC"]


def server(cluster, settings=()):
    """A PostgreSQL of the cluster's own; what Source() wants."""
    p = pg.Postgres(os.path.join(cluster.directory, "postgres"), [*SETTINGS, *settings])
    cluster.processes.append(p)
    p.target = p.start()
    return p


class Source:
    """A database of the server, with a slot and a publication of its own."""

    def __init__(self, postgres):
        self.postgres = postgres
        self.target = pg.fresh_database(postgres.target)
        self.slot = self.target.database + "_slot"
        self.user, self.password = self.target.user, self.target.password

    def dsn(self):
        return (f"postgres://{quote(self.user, safe='')}:{quote(self.password, safe='')}"
                f"@127.0.0.1:{self.target.port}/{self.target.database}?connect_timeout=10")

    def sql(self, *commands):
        return self.target.psql(*commands, flags=("-At", "-q")).stdout.strip()

    def rows(self, sql):
        return self.target.psql(sql).stdout

    def args(self, *more, use_schema=True):
        return ["--pg-proxied", self.dsn(), "--pg-slot", self.slot, *(["--proxy-use-schema"] if use_schema else []), *more]

    def node(self, cluster, *more, use_schema=True, start=True, wait=True, **options):
        """A node that mirrors it, with the PostgreSQL port open."""
        port = ha.free_port()
        args = [*self.args(*more, use_schema=use_schema), "--pg-port", str(port), "--pg-user", pg.USER,
                "--pg-pass", pg.PASSWORD]
        node = cluster.node(start=start, wait=wait, args=args, **options)
        node.pg = pg.Target(port, "ha.db", node=node)
        return node

    def drop(self):
        """The slot and the database, as soon as nobody uses them."""
        def go():
            t = self.postgres.target
            t.psql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.target.database}'")
            t.psql(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{self.slot}'")
            t.psql(f"DROP DATABASE IF EXISTS {self.target.database}")
            return True

        ha.wait_until(go, 60, "the source's database is dropped")


def state(node):
    """What /status says of the source."""
    return node.status()["databases"][0]["source"]


def last_state(node):
    """For messages."""
    node.http.close()  # it has been idle for long
    try:
        return state(node)
    except ha.ConnectionLost as e:
        return e


def wait_state(node, wanted, part="", deadline_s=60):
    def look():
        s = state(node)
        return s if s["state"] == wanted and part in s["reason"] else None

    try:
        return ha.wait_until(look, deadline_s)
    except ha.Timeout:
        raise ha.Timeout(f"{node.name} is not {wanted} ({part}): {last_state(node)}") from None


def wait_same(source, nodes, queries, deadline_s=120):
    """Until each query has the same answer at the source and at every node, byte by byte as psql shows it."""
    nodes = nodes if isinstance(nodes, (list, tuple)) else [nodes]
    queries = [queries] if isinstance(queries, str) else queries
    for sql in queries:
        wanted = source.rows(sql)
        for node in nodes:
            last = [None]

            def look(node=node, sql=sql, wanted=wanted, last=last):
                last[0] = node.pg.psql(sql).stdout
                return last[0] == wanted

            try:
                ha.wait_until(look, deadline_s)
            except ha.Timeout as e:
                raise ha.Timeout(f"{node.name}: {sql}\nsource: {wanted[:2000]}\nnode:   {str(last[0])[:2000]}\n"
                                 f"{last_state(node)}\n{e}") from None


class Writer(threading.Thread):
    """Transactions at the source until it is told to stop, some of them rolled back."""

    def __init__(self, source, number=0):
        super().__init__(daemon=True)
        self.source, self.number = source, number
        self.stopping, self.failure = threading.Event(), None

    @staticmethod
    def prepare(source):
        source.sql("CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL, h text)",
                   "CREATE TABLE entry (id bigserial PRIMARY KEY, writer int, n bigint, v text)",
                   "INSERT INTO counter SELECT g, 0, '' FROM generate_series(0, 9) g")

    def transaction(self, k):
        k.execute("UPDATE counter SET n = n + 1, h = md5(h || n) WHERE id = %s RETURNING n", [self.number])
        n = k.fetchone()[0]
        k.execute("INSERT INTO entry(writer, n, v) VALUES (%s, %s, repeat(md5(%s), 5))", [self.number, n, str(n)])
        if n % 7 == 0:
            k.execute("DELETE FROM entry WHERE writer = %s AND n < %s", [self.number, n - 50])
        if n % 5 == 0:
            k.execute("UPDATE entry SET v = 'u' || n WHERE writer = %s AND n > %s", [self.number, n - 3])

    def run(self):
        turn = 0
        while not self.stopping.is_set():
            try:
                with psycopg2.connect(**self.source.target.keywords(), connect_timeout=5) as c:
                    while not self.stopping.is_set():
                        turn += 1
                        with c.cursor() as k:
                            self.transaction(k)
                        if turn % 10 == 0:
                            c.rollback()
                        else:
                            c.commit()
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self.stopping.wait(0.1)  # the source is being started anew
            except Exception as e:  # pylint: disable=broad-except
                self.failure = e
                return

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()
        if self.failure:
            raise self.failure


WRITTEN = ["SELECT * FROM counter ORDER BY id", "SELECT * FROM entry ORDER BY id"]


def done(source):
    return int(source.sql("SELECT sum(n) FROM counter"))


def wait_done(source, more, deadline_s=60):
    """Until the writers have come so much further."""
    goal = done(source) + more
    ha.wait_until(lambda: done(source) >= goal, deadline_s, f"{goal} transactions at the source")


def resident_bytes(node):
    with open(f"/proc/{node.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


class Peak(threading.Thread):
    """The most memory that a node takes meanwhile."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.most, self.stopping = node, 0, threading.Event()

    def run(self):
        while not self.stopping.wait(0.02):
            self.most = max(self.most, resident_bytes(self.node))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()

