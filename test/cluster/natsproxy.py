"""A proxy between a node and its nats-server that takes what the node publishes to some subjects and tells nobody: to the
node it is a stream's leader that answers questions and no publish."""

import re
import socket
import threading

from ha import free_port

PUBLISH = re.compile(rb"(H?PUB) (\S+) .*?(\d+)$")


class SwallowingProxy:
    """Swallows publishes to subjects that match, until it sees one that begins with `until`.

        with SwallowingProxy(server.port, rb"ha_replication\\.", rb"$JS.API.STREAM.LEADER.STEPDOWN.") as proxy:
            node = cluster.node(url=proxy.nats_url)
            proxy.swallowing = True
    """

    def __init__(self, port, subject, until):
        self.to, self.subject, self.until = port, re.compile(subject), until
        self.swallowing, self.swallowed, self.seen = False, 0, []
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def nats_url(self):
        return f"nats://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for s in [self.listener] + self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                return
            self.sockets += [client, server]
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _passes(self, subject):
        if subject.startswith(self.until):
            self.seen.append(subject.decode())
            self.swallowing = False
        swallow = self.swallowing and self.subject.match(subject)
        self.swallowed += 1 if swallow else 0
        return not swallow

    def _up(self, client, server):
        """What the node says, command by command."""
        file = client.makefile("rb")
        try:
            while line := file.readline():
                found = PUBLISH.match(line.rstrip(b"\r\n"))
                payload = file.read(int(found[3]) + 2) if found else b""
                if not found or self._passes(found[2]):
                    server.sendall(line + payload)
        except (OSError, ValueError):
            pass
        self._end(client, server)

    def _down(self, server, client):
        try:
            while data := server.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        self._end(client, server)

    @staticmethod
    def _end(*sockets):
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
