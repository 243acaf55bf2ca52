"""Just enough of the NATS protocol for tests that look at a log, or damage it, behind the nodes' backs."""

import json
import os
import random
import re

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
