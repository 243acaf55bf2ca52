"""Nodes with a leader, and clients of every protocol that write through all of them."""

import os
import sys
import threading
import time

import psycopg2

import ha

sys.path.insert(1, os.path.join(ha.ROOT, "test", "wire"))

import mysql_target  # noqa: E402
import rpc  # noqa: E402
from rpc import grpc  # noqa: E402

FAILOVER_S = 30  # far more than the span of a lease
FLAGS = ["--pg-pass", "ha"]


class Member:
    """A node that may lead, with its ports."""

    def __init__(self, cluster, nats, args=(), leader=None, tls=(), **options):
        port, self.pg_port, self.mysql_port = ha.free_port(), ha.free_port(), ha.free_port()
        self.address = f"127.0.0.1:{port}"
        lead = ["--leader-static", leader] if leader else ["--leader-addr", self.address]
        self.node = cluster.node(start=False, port=port, url=nats,
                                 args=[*FLAGS, *lead, *(tls or ["--grpc-insecure"]), "--pg-port", str(self.pg_port), "--mysql-port",
                                       str(self.mysql_port), *args], **options)
        self.name = self.node.name

    def leader(self):
        return self.node.status().get("leader")

    def pg(self, autocommit=True):
        c = psycopg2.connect(host="127.0.0.1", port=self.pg_port, user="ha", password="ha", dbname="ha.db",
                             connect_timeout=int(30 * ha.SLOW))
        c.autocommit = autocommit
        return c

    def mysql(self):
        return mysql_target.Target(self.mysql_port, "ha.db", self.node, user="ha", password="").connect()

    def grpc(self):
        return rpc.Client(self.node.port)


def members(cluster, count=3, nats=None, **options):
    """count nodes, the i-th with the i-th of the servers first on its list; ready, and led by one of them."""
    servers = nats or [cluster.nats()]
    some = []
    for i in range(count):
        first = i % len(servers)
        urls = ",".join(s.nats_url for s in servers[first:] + servers[:first])
        some.append(Member(cluster, urls, **options))
    for m in some:
        m.node.start(wait=False)
    for m in some:
        m.node.wait_ready()
    leader_of(some)
    return some


def leader_of(some, but=None):
    """The one that leads, once all of them agree."""
    def look():
        told = [m.leader() for m in some]
        names = {t["node"] for t in told}
        if len(names) != 1 or None in names or (but and but.name in names):
            return None
        return next((m for m, t in zip(some, told) if t["is_self"]), None)

    return ha.wait_until(look, FAILOVER_S, "one leader that all know")


def table(member):
    """Of writers' rows; without a key, so that a row which is written twice shows."""
    member.node.query("CREATE TABLE w (id INTEGER NOT NULL)")


def followers_of(some, leader):
    return [m for m in some if m is not leader]


# ---- writers --------------------------------------------------------------------------------------------------------

ACKNOWLEDGED, FAILED, UNKNOWN = "acknowledged", "failed", "unknown"
SURE = {"40001", "57P03", "55P03", "57P01", "53300"}  # nothing has happened


class Writer(threading.Thread):
    """Inserts numbered rows through one node, and remembers what it was told of each."""

    def __init__(self, member, number):
        super().__init__(daemon=True)
        self.member, self.number = member, number
        self.outcomes, self.findings, self.slowest = [], [], 0.0
        self.stopping = threading.Event()

    def run(self):
        for k in range(1000000):
            if self.stopping.is_set():
                break
            row, begun = self.number * 1000000 + k, time.monotonic()
            try:
                outcome = self.write(row)
            except Exception as e:  # pylint: disable=broad-except
                self.findings.append(f"{type(self).__name__} at {self.member.name}: {row}: {e!r}")
                outcome = UNKNOWN
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.outcomes.append((row, outcome))
            if outcome != ACKNOWLEDGED:
                self.stopping.wait(0.02)  # its node may be down
        self.close()

    def close(self):
        pass

    def count(self, outcome=ACKNOWLEDGED):
        return sum(o == outcome for _, o in self.outcomes)


class HttpWriter(Writer):
    def write(self, row):
        try:
            self.member.node.query("INSERT INTO w VALUES (?)", [row])
            return ACKNOWLEDGED
        except ha.HttpError as e:
            return FAILED if e.sqlstate in SURE else self.judge(e.sqlstate)
        except ha.ConnectionLost as e:
            return FAILED if isinstance(e.__cause__, ConnectionRefusedError) else UNKNOWN

    def judge(self, sqlstate):
        assert sqlstate == "08007", sqlstate
        return UNKNOWN


class PgWriter(HttpWriter):
    """Every other row in a transaction of its own that reads first."""

    connection = None

    def write(self, row):
        try:
            self.connection = self.connection or self.member.pg()
        except psycopg2.OperationalError:
            return FAILED
        try:
            with self.connection.cursor() as cur:
                if row % 2:
                    cur.execute("BEGIN")
                    cur.execute("SELECT count(*) FROM w WHERE id = %s", [row])
                    cur.execute("INSERT INTO w VALUES (%s)", [row])
                    cur.execute("COMMIT")
                else:
                    cur.execute("INSERT INTO w VALUES (%s)", [row])
            return ACKNOWLEDGED
        except psycopg2.Error as e:
            state = e.pgcode
            if state is None or state == "57P01":  # the connection has gone
                self.close()
                return UNKNOWN
            self.roll_back()
            return FAILED if state in SURE else self.judge(state)

    def roll_back(self):
        try:
            with self.connection.cursor() as cur:
                cur.execute("ROLLBACK")
        except psycopg2.Error:  # the connection has gone meanwhile
            self.close()

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class MysqlWriter(HttpWriter):
    connection = None

    def write(self, row):
        try:
            self.connection = self.connection or self.member.mysql()
        except mysql_target.pymysql.MySQLError:
            return FAILED
        try:
            mysql_target.rows(self.connection, "INSERT INTO w VALUES (%s)", (row,))
            return ACKNOWLEDGED
        except mysql_target.pymysql.MySQLError as e:
            if e.args[0] in (1213, 1205, 1053):
                return FAILED
            if e.args[0] != 1180:
                assert e.args[0] in (0, 2006, 2013), e.args
                self.close()
            return UNKNOWN

    def close(self):
        try:
            if self.connection:
                self.connection.close()
        except mysql_target.pymysql.MySQLError:
            pass
        self.connection = None


class GrpcWriter(Writer):
    client = None

    def write(self, row):
        self.client = self.client or self.member.grpc()
        try:
            self.client.execute("INSERT INTO w VALUES (?)", [row])
            return ACKNOWLEDGED
        except grpc.RpcError as e:
            names = dict(e.trailing_metadata() or ())
            if names.get("ha-sqlstate") in SURE:
                return FAILED
            assert e.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN), e
            return UNKNOWN

    def close(self):
        if self.client:
            self.client.channel.close()


KINDS = (HttpWriter, PgWriter, MysqlWriter, GrpcWriter)


class Crowd:
    """A writer of every protocol at every node."""

    def __init__(self, some, kinds=KINDS):
        self.writers = [kind(m, i * len(kinds) + k + 1) for i, m in enumerate(some) for k, kind in enumerate(kinds)]
        for w in self.writers:
            w.start()

    def at(self, some):
        return [w for w in self.writers if w.member in some]

    def wait(self, rows, writers=None, deadline_s=120):
        """Until each of the writers has had so many more rows acknowledged."""
        begun = [(w, w.count()) for w in writers or self.writers]
        ha.wait_until(lambda: all(w.count() >= n + rows for w, n in begun), deadline_s,
                      f"{rows} more rows of each writer; of some there are " +
                      str([(type(w).__name__, w.member.name) for w, n in begun if w.count() < n + rows]))

    def stop(self):
        for w in self.writers:
            w.stopping.set()
        for w in self.writers:
            w.join(60 * ha.SLOW)
            assert not w.is_alive(), f"{type(w).__name__} at {w.member.name} hangs"

    def check(self, member):
        """Every acknowledged row is there once, no failed one is, and nothing else."""
        findings = [f for w in self.writers for f in w.findings]
        assert not findings, findings[:5]
        there = [r[0] for r in member.node.query("SELECT id FROM w").rows]
        assert len(there) == len(set(there)), "a row is there twice"
        there, told = set(there), {row: o for w in self.writers for row, o in w.outcomes}
        missing = [r for r, o in told.items() if o == ACKNOWLEDGED and r not in there]
        assert not missing, f"{len(missing)} acknowledged rows are missing: {missing[:10]}"
        wrong = [r for r, o in told.items() if o == FAILED and r in there]
        assert not wrong, f"{len(wrong)} rows that had failed are there: {wrong[:10]}"
        assert there <= set(told)
