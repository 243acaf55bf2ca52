"""gRPC clients of the tests: grpcio with the messages that protoc has described, and HTTP/2 frames by hand."""

import os
import socket
import struct
import sys
import threading

import ha

BUILD = os.path.join(ha.ROOT, os.environ.get("BUILD") or "build")
# Behind Debian's own: the tests of PostgreSQL's drivers want those.
sys.path.append(os.path.join(BUILD, "pip"))
# The processes that the tests start use no gRPC; and a channel whose process has forked may never connect again.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import grpc  # noqa: E402
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, empty_pb2  # noqa: E402
from google.protobuf import message_factory, wrappers_pb2  # noqa: E402

DESCRIPTORS = os.path.join(BUILD, "gen", "descriptors.bin")
CALL_S = 30 * ha.SLOW  # what no call of a test should take


def _pool():
    files = descriptor_pb2.FileDescriptorSet()
    with open(DESCRIPTORS, "rb") as f:
        files.ParseFromString(f.read())
    pool = descriptor_pool.Default()
    for f in files.file:
        if not f.name.startswith("google/"):
            pool.Add(f)
    return pool


POOL = _pool()


def message(name):
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))


Request = message("sql.v1.QueryRequest")
Response = message("sql.v1.QueryResponse")
BatchRequest = message("ha.v1.BatchRequest")
BatchResponse = message("ha.v1.BatchResponse")
HealthRequest = message("grpc.health.v1.HealthCheckRequest")
HealthResponse = message("grpc.health.v1.HealthCheckResponse")
UPDATE, QUERY, PING = 1, 2, 3


# ---- values ----------------------------------------------------------------------------------------------------


def pack(value):
    """A value of Python as an Any."""
    if isinstance(value, any_pb2.Any):
        return value
    kinds = {type(None): lambda v: empty_pb2.Empty(), bool: lambda v: wrappers_pb2.BoolValue(value=v),
             int: lambda v: wrappers_pb2.Int64Value(value=v), float: lambda v: wrappers_pb2.DoubleValue(value=v),
             str: lambda v: wrappers_pb2.StringValue(value=v), bytes: lambda v: wrappers_pb2.BytesValue(value=v)}
    inner = kinds[type(value)](value) if type(value) in kinds else value
    packed = any_pb2.Any()
    packed.Pack(inner)
    return packed


def unpack(packed):
    kinds = {"Empty": empty_pb2.Empty, "Int64Value": wrappers_pb2.Int64Value, "DoubleValue": wrappers_pb2.DoubleValue,
             "StringValue": wrappers_pb2.StringValue, "BytesValue": wrappers_pb2.BytesValue}
    prefix, name = packed.type_url.rsplit("/", 1)
    assert prefix == "type.googleapis.com"
    kind = kinds[name.removeprefix("google.protobuf.")]
    inner = kind()
    assert packed.Unpack(inner)
    return None if kind is empty_pb2.Empty else inner.value


def request(sql, params=(), **fields):
    """params: a list, by place, or a dict, by name."""
    r = Request(sql=sql, **fields)
    if isinstance(params, dict):
        for name, value in params.items():
            r.params.add(name=name, value=pack(value))
    else:
        for i, value in enumerate(params):
            r.params.add(ordinal=i + 1, value=pack(value))
    return r


def rows(response):
    return [[unpack(v) for v in row.values] for row in response.result_set.rows]


# ---- grpcio ----------------------------------------------------------------------------------------------------


class Client:
    def __init__(self, port, token=None, options=(), credentials=None):
        self.metadata = (("authorization", token),) if token else ()
        defaults = {"grpc.max_receive_message_length": -1, "grpc.enable_retries": 0, "grpc.use_local_subchannel_pool": 1}
        options = list({**defaults, **dict(options)}.items())
        self.channel = (grpc.secure_channel(f"localhost:{port}", credentials, options) if credentials
                        else grpc.insecure_channel(f"127.0.0.1:{port}", options))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def unary(self, method, request_class, response_class):
        return self.channel.unary_unary(method, request_class.SerializeToString, response_class.FromString)

    def streaming(self, method, request_class, response_class):
        return self.channel.unary_stream(method, request_class.SerializeToString, response_class.FromString)

    def _options(self, metadata, timeout):
        return {"metadata": self.metadata + tuple(metadata), "timeout": timeout or CALL_S}

    def execute(self, sql, params=(), metadata=(), timeout=None, **fields):
        call = self.unary("/ha.v1.Database/Execute", Request, Response)
        return call(request(sql, params, **fields), **self._options(metadata, timeout))

    def execute_with_call(self, sql, params=(), metadata=(), timeout=None, **fields):
        call = self.unary("/ha.v1.Database/Execute", Request, Response)
        return call.with_call(request(sql, params, **fields), **self._options(metadata, timeout))

    def stream(self, sql, params=(), metadata=(), timeout=None, **fields):
        call = self.streaming("/ha.v1.Database/Stream", Request, Response)
        return call(request(sql, params, **fields), **self._options(metadata, timeout))

    def batch(self, *requests, metadata=(), timeout=None):
        call = self.unary("/ha.v1.Database/Batch", BatchRequest, BatchResponse)
        return call(BatchRequest(requests=requests), **self._options(metadata, timeout))

    def sql_service(self, method, streaming=False, timeout=None, metadata=(), **fields):
        make = self.streaming if streaming else self.unary
        call = make(f"/sql.v1.DatabaseService/{method}", message(f"sql.v1.{method}Request"),
                    message(f"sql.v1.{method}Response"))
        return call(message(f"sql.v1.{method}Request")(**fields), **self._options(metadata, timeout))

    def check(self, service="", timeout=None):
        call = self.unary("/grpc.health.v1.Health/Check", HealthRequest, HealthResponse)
        return call(HealthRequest(service=service), timeout=timeout or CALL_S).status

    def session(self, metadata=(), timeout=None):
        return Session(self, metadata, timeout)


class Session:
    """A Query stream, a request and its answer at a time."""

    def __init__(self, client, metadata=(), timeout=None):
        self.requests, self.ready, self.over = [], threading.Condition(), False
        method = client.channel.stream_stream("/sql.v1.DatabaseService/Query", Request.SerializeToString,
                                              Response.FromString)
        self.call = method(self._next(), **client._options(metadata, timeout))

    def _next(self):
        while True:
            with self.ready:
                while not self.requests and not self.over:
                    self.ready.wait()
                if not self.requests:
                    return
                out = self.requests.pop(0)
            yield out

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, r):
        with self.ready:
            self.requests.append(r)
            self.ready.notify()

    def receive(self):
        return next(self.call)

    def ask(self, sql, params=(), **fields):
        self.send(request(sql, params, **fields))
        return self.receive()

    def good(self, sql, params=(), **fields):
        r = self.ask(sql, params, **fields)
        assert not r.error, f"{sql}: {r.error}"
        return r

    def half_close(self):
        with self.ready:
            self.over = True
            self.ready.notify()

    def close(self):
        self.half_close()
        self.call.cancel()


def status_of(call, *args, **kwargs):
    """The status that a call fails with: (code, details, trailers)."""
    try:
        result = call(*args, **kwargs)
        if hasattr(result, "__next__"):
            list(result)
    except grpc.RpcError as e:
        return e.code(), e.details(), dict(e.trailing_metadata() or ())
    raise AssertionError(f"the call did not fail: {result}")


# ---- HTTP/2 by hand --------------------------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING_FRAME, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def literal(name, value):
    """A header field that nobody has to remember (RFC 7541, 6.2.2)."""

    def text(s):
        b = s if isinstance(s, bytes) else s.encode()
        if len(b) < 127:
            return bytes([len(b)]) + b
        rest, out = len(b) - 127, b"\x7f"
        while rest >= 128:
            out, rest = out + bytes([rest % 128 + 128]), rest // 128
        return out + bytes([rest]) + b

    return b"\x00" + text(name) + text(value)


def call_headers(path="/ha.v1.Database/Execute", **fields):
    head = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "test",
            "content-type": "application/grpc", "te": "trailers"}
    head.update({k.replace("_", "-"): v for k, v in fields.items()})
    return b"".join(literal(k, v) for k, v in head.items() if v is not None)


def framed(payload, compressed=0, length=None):
    return struct.pack("!BI", compressed, len(payload) if length is None else length) + payload


class Raw:
    """A connection that sends what a test wants it to."""

    def __init__(self, port, preface=True):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=CALL_S)
        self.buffer = b""
        if preface:
            self.socket.sendall(PREFACE + frame(SETTINGS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def send_as_much(self, data):
        """False: the server has closed the connection."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def receive(self):
        """(kind, flags, stream, payload); None at the end of the connection."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self.buffer += more
        n = int.from_bytes(self.buffer[:3], "big")
        head, payload = self.buffer[:9], self.buffer[9:9 + n]
        self.buffer = self.buffer[9 + n:]
        return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload

    def until(self, kind, stream=None):
        """The next frame of that kind; None where the connection ends before it comes."""
        while (f := self.receive()) is not None:
            if f[0] == kind and (stream is None or f[2] == stream):
                return f
        return None

    def answer(self, stream):
        """The next message of that stream, without its head."""
        data = b""
        while len(data) < 5 or len(data) < 5 + int.from_bytes(data[1:5], "big"):
            f = self.until(DATA, stream)
            assert f, "the connection ends before there is an answer"
            data += f[3]
        return data[5:]

    def all_frames(self):
        out = []
        while (f := self.receive()) is not None:
            out.append(f)
        return out
