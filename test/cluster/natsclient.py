"""Just enough of the NATS protocol for tests that look at a log, or damage it, behind the nodes' backs."""

import fnmatch
import json
import os
import random
import re
import socket
import threading

from ha import Loopback


class NatsError(Exception):
    pass


class NatsClient:
    """One connection to a nats-server; requests one after the other.

        with NatsClient(node.nats_port) as nats:
            nats.publish("ha_replication.ha=2Edb", b"garbage")
    """

    def __init__(self, port, timeout_s=10, host=Loopback):
        self.socket = host.connect(port, timeout_s)
        self.file = self.socket.makefile("rb")
        self.inbox = f"_INBOX.{os.getpid()}.{random.getrandbits(64):x}"
        self.info = json.loads(self.file.readline().split(b" ", 1)[1])
        options = {"verbose": False, "headers": True, "no_responders": True, "protocol": 1}
        self._send(f"CONNECT {json.dumps(options)}\r\nSUB {self.inbox} 1\r\n".encode())

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.file.close()
        self.socket.close()

    def _send(self, data):
        self.socket.sendall(data)

    def _receive(self):
        """The payload of the next message to the inbox."""
        while True:
            line = self.file.readline()
            if not line:
                raise NatsError("the connection ended")
            word, *args = line.decode().split()
            if word == "PING":
                self._send(b"PONG\r\n")
            elif word == "-ERR":
                raise NatsError(line.decode().strip())
            elif word in ("MSG", "HMSG"):
                data = self.file.read(int(args[-1]) + 2)[:-2]
                head = int(args[-2]) if word == "HMSG" else 0
                if re.match(rb"NATS/1.0 503", data[:head]):
                    raise NatsError("no responders")
                return data[head:]

    def request(self, subject, payload=b"", headers=None):
        """The answer's payload."""
        if headers:
            head = "NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
            self._send(f"HPUB {subject} {self.inbox} {len(head.encode())} {len(head.encode()) + len(payload)}\r\n".encode()
                       + head.encode() + payload + b"\r\n")
        else:
            self._send(f"PUB {subject} {self.inbox} {len(payload)}\r\n".encode() + payload + b"\r\n")
        return self._receive()

    def api(self, name, body=None):
        """A JetStream API call, e.g. api("STREAM.INFO.ha_replication"): the answer as JSON."""
        answer = json.loads(self.request(f"$JS.API.{name}", json.dumps(body).encode() if body is not None else b""))
        if "error" in answer:
            raise NatsError(f"{name}: {answer['error']}")
        return answer

    def publish(self, subject, payload, headers=None):
        """Publishes into a stream; the message's sequence."""
        answer = json.loads(self.request(subject, payload, headers))
        if "error" in answer:
            raise NatsError(f"{subject}: {answer['error']}")
        return answer["seq"]

    def stream(self, name):
        """Configuration and state of a stream; None if there is none."""
        try:
            return self.api(f"STREAM.INFO.{name}")
        except NatsError as e:
            if "10059" in str(e):
                return None
            raise

    def replicas_current(self, name):
        """The stream has a leader, and all its replicas hold what it holds."""
        cluster = (self.stream(name) or {}).get("cluster") or {}
        return bool(cluster.get("leader")) and all(
            r.get("current") and not r.get("offline") for r in cluster.get("replicas", []))


class Forestaller:
    """Stands between clients and a nats-server, and answers some requests before the server can: as one server of a
    cluster does that knows less than the others. The server's answer comes all the same, right behind."""

    def __init__(self, port, subjects, payload):
        self.target, self.subjects, self.payload = port, subjects, payload
        self.count = 0  # answers that were given
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sockets, self.threads = [self.listener], []
        self._run(self._accept)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        for t in self.threads:
            t.join()

    def _run(self, *call):
        t = threading.Thread(target=self._quietly, args=call, daemon=True)
        self.threads.append(t)
        t.start()

    @staticmethod
    def _quietly(call, *args):
        try:
            call(*args)
        except (OSError, ValueError):  # closed
            pass

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.sockets.append(s)
            lock, subscribed = threading.Lock(), {}
            self._run(self._requests, client, server, lock, subscribed)
            self._run(self._answers, client, server, lock)

    @staticmethod
    def _frames(source):
        """(words of the line, the line and its payload)"""
        f = source.makefile("rb")
        while line := f.readline():
            words = line.decode().split() or [""]
            size = int(words[-1]) + 2 if words[0] in ("PUB", "HPUB", "MSG", "HMSG") else 0
            yield words, line + (f.read(size) if size else b"")

    def _requests(self, client, server, lock, subscribed):
        for words, frame in self._frames(client):
            if words[0] == "SUB":
                subscribed[words[-1]] = words[1]
            reply = words[2] if len(words) == (4 if words[0] == "PUB" else 5) and words[0] in ("PUB", "HPUB") else None
            if reply and any(fnmatch.fnmatch(words[1], s) for s in self.subjects):
                sid = next(k for k, v in subscribed.items() if fnmatch.fnmatch(reply, v.replace(">", "*")))
                with lock:
                    client.sendall(f"MSG {reply} {sid} {len(self.payload)}\r\n".encode() + self.payload + b"\r\n")
                self.count += 1
            server.sendall(frame)
        server.shutdown(socket.SHUT_RDWR)

    def _answers(self, client, server, lock):
        for _, frame in self._frames(server):
            with lock:
                client.sendall(frame)
        client.shutdown(socket.SHUT_RDWR)
