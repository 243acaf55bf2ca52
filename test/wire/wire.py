"""PostgreSQL's messages as bytes and as what they say, for tests that speak the protocol themselves."""

import socket
import struct
import threading

import ha


class Closed(Exception):
    """The other side ended the connection."""


def message(kind, body=b""):
    """One message of a client."""
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def startup(version=(3, 0), **parameters):
    body = struct.pack("!HH", *version)
    for k, v in parameters.items():
        body += k.encode() + b"\0" + v.encode() + b"\0"
    body += b"\0"
    return struct.pack("!I", len(body) + 4) + body


def query(sql):
    return message("Q", sql.encode() + b"\0")


def parse(sql, name="", types=()):
    return message("P", name.encode() + b"\0" + sql.encode() + b"\0" + struct.pack(f"!H{len(types)}I", len(types), *types))


def bind(values=(), portal="", name="", formats=(), results=()):
    body = portal.encode() + b"\0" + name.encode() + b"\0" + struct.pack(f"!H{len(formats)}H", len(formats), *formats)
    body += struct.pack("!H", len(values))
    for v in values:
        body += struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v
    return message("B", body + struct.pack(f"!H{len(results)}H", len(results), *results))


def describe(what, name=""):
    return message("D", what.encode() + name.encode() + b"\0")


def execute(portal="", rows=0):
    return message("E", portal.encode() + b"\0" + struct.pack("!I", rows))


SYNC, FLUSH, TERMINATE = message("S"), message("H"), message("X")


class Stream:
    """Splits bytes, in whatever pieces they come, into messages: (type, body)."""

    def __init__(self, first_is_untyped=False):
        self.data, self.untyped = b"", first_is_untyped

    def feed(self, data):
        self.data += data
        out = []
        while True:
            head = 4 if self.untyped else 5
            if len(self.data) < head:
                return out
            length, = struct.unpack_from("!I", self.data, head - 4)
            if len(self.data) < head - 4 + length:
                return out
            out.append(("" if self.untyped else chr(self.data[0]), self.data[head:head - 4 + length]))
            self.data = self.data[head - 4 + length:]
            self.untyped = False


class Connection:
    """A client that sends what it is told. Where no password is asked for, start() ends ready for queries."""

    def __init__(self, port, timeout_s=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s * ha.SLOW)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream, self.messages = Stream(), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))
        return self

    def receive(self):
        while not self.messages:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed()
            self.messages += self.stream.feed(data)
        return self.messages.pop(0)

    def until(self, kinds):
        """Messages up to the first of one of these types."""
        out = []
        while not out or out[-1][0] not in kinds:
            out.append(self.receive())
        return out

    def start(self, user, database):
        self.send(startup(user=user, database=database))
        return self.until("ZE")

    def ask(self, *parts):
        """Sends, and answers what came up to ReadyForQuery, decoded, without notices."""
        self.send(*parts)
        return [decode(*m) for m in self.until("Z") if m[0] not in "NS"]


# ---- what a message says ----


def fields(body):
    """Of an error or notice."""
    return {chr(f[0]): f[1:].decode() for f in body.split(b"\0") if f}


def values(body):
    n, = struct.unpack_from("!H", body)
    at, out = 2, []
    for _ in range(n):
        length, = struct.unpack_from("!i", body, at)
        at += 4
        out.append(None if length < 0 else body[at:at + length].decode("latin-1"))
        at += max(length, 0)
    return out


def columns(body):
    """(name, type, format) each: what a table's OID and modifiers are is the server's own affair."""
    n, = struct.unpack_from("!H", body)
    at, out = 2, []
    for _ in range(n):
        end = body.index(b"\0", at)
        _, _, oid, _, _, form = struct.unpack_from("!IHIhiH", body, end + 1)
        out.append([body[at:end].decode(), oid, form])
        at = end + 1 + 18
    return out


def decode(kind, body):
    """A server's message as JSON has it, with what may differ from server to server left out."""
    if kind == "T":
        return ["RowDescription", columns(body)]
    if kind == "D":
        return ["DataRow", values(body)]
    if kind == "C":
        return ["CommandComplete", body[:-1].decode()]
    if kind == "E":
        f = fields(body)
        return ["ErrorResponse", f["S"], f["C"]]
    if kind == "Z":
        return ["ReadyForQuery", body.decode()]
    if kind == "t":
        n, = struct.unpack_from("!H", body)
        return ["ParameterDescription", list(struct.unpack_from(f"!{n}I", body, 2))]
    if kind in "GH":
        form, n = struct.unpack_from("!BH", body)
        return ["CopyInResponse" if kind == "G" else "CopyOutResponse", form, n]
    if kind == "d":
        return ["CopyData", body.decode("latin-1")]
    names = {"1": "ParseComplete", "2": "BindComplete", "3": "CloseComplete", "n": "NoData", "I": "EmptyQueryResponse",
             "s": "PortalSuspended", "c": "CopyDone"}
    return [names.get(kind, kind)]


class Recorder:
    """Accepts clients, hands their bytes on, and writes down both ways in the order in which they passed."""

    def __init__(self, server_port):
        self.server_port, self.connections = server_port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.server_port))
            log = []
            with self.lock:
                self.connections.append(log)
            # Of the client only what is no SSLRequest; those are answered here.
            first = client.recv(8, socket.MSG_PEEK)
            if first[4:] == b"\x04\xd2\x16\x2f":
                client.recv(8)
                client.sendall(b"N")
            for args in ((client, server, Stream(True), "c", log), (server, client, Stream(), "s", log)):
                threading.Thread(target=self.pump, args=args, daemon=True).start()

    def pump(self, source, target, stream, side, log):
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            with self.lock:
                for kind, body in stream.feed(data):
                    log.append((side, kind, body))
            if not data:
                break
            target.sendall(data)
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
