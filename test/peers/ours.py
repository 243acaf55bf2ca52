"""Ours: one node with its own nats-server, or three nodes, each with a nats-server of a cluster beside it."""

import os
import socket

import ha
import machine
import pg
from natsclient import NatsClient
from relational import pg_work
from system import DATABASE, START_S, STREAM, Http

FORM_S, FORM_TRIES = 15, 4  # of a cluster of nats-servers


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
