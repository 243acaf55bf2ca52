"""What no library sends: none of it may harm the node or another connection. Frames are written by hand."""

import gzip
import random
import socket
import zlib

import pytest

import ha
import rpc

NO_ERROR, PROTOCOL_ERROR, INTERNAL, FLOW_CONTROL, REFUSED, CANCEL, COMPRESSION, CALM = 0, 1, 2, 3, 7, 8, 9, 11


@pytest.fixture(scope="module")
def node():
    with ha.Cluster() as cluster:
        yield cluster.node(args=["--grpc-max-message-size", "1MiB"])


@pytest.fixture
def raw(node):
    """A connection behind its greeting; the node has to be well afterwards."""
    with rpc.Raw(node.port) as r:
        assert r.until(rpc.SETTINGS)
        r.send(rpc.frame(rpc.SETTINGS, rpc.ACK))
        yield r
    still_well(node)


def still_well(node):
    with rpc.Client(node.port) as c:
        assert rpc.rows(c.execute("SELECT 1")) == [[1]]
    assert node.running()


def ends(raw, error=None):
    """The connection ends, and says why: by GOAWAY, or by its end alone where the error may have overtaken it."""
    frames = raw.all_frames()
    codes = [int.from_bytes(f[3][4:8], "big") for f in frames if f[0] == rpc.GOAWAY]
    if error is not None and codes:
        assert codes[-1] in error, codes
    return frames


def body(sql="SELECT 1"):
    return rpc.framed(rpc.request(sql).SerializeToString())


def call(stream, payload=None, **fields):
    return (rpc.frame(rpc.HEADERS, rpc.END_HEADERS, stream, rpc.call_headers(**fields)) +
            rpc.frame(rpc.DATA, rpc.END_STREAM, stream, body() if payload is None else payload))


def answered(raw, stream):
    assert rpc.rows(rpc.Response.FromString(raw.answer(stream))) == [[1]]


def test_garbage_behind_the_preface(node):
    rng = random.Random(1)
    for n in [1, 8, 9, 10, 100, 1000, 100000]:
        for _ in range(5):
            with rpc.Raw(node.port, preface=False) as r:
                r.send_as_much(rpc.PREFACE + rng.randbytes(n))
                try:
                    r.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    continue
                ends(r)
    still_well(node)


@pytest.mark.parametrize("start", [b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM\r\n", b"PRI * HTTP/1.1\r\n\r\n", b"PRI / HTTP/2.0\r\n\r\nxx\r\n\r\n",
                                   b"PRX * HTTP/2.0\r\n\r\n", b"P", b"PR"])
def test_half_a_preface(node, start):
    with rpc.Raw(node.port, preface=False) as r:
        r.send_as_much(start)
        r.socket.shutdown(socket.SHUT_WR)
        while r.socket.recv(65536):
            pass
    still_well(node)


def test_garbage_between_frames(raw):
    rng = random.Random(2)
    raw.send(call(1))
    answered(raw, 1)
    raw.send_as_much(rng.randbytes(100000))
    ends(raw)


def test_random_frames(node):
    rng = random.Random(3)
    for _ in range(100):
        with rpc.Raw(node.port) as r:
            frames = b"".join(rpc.frame(rng.choice(list(range(10)) + [77]), rng.choice([0, 1, 4, 5, 8, 32, 255]),
                                        rng.choice([0, 1, 1, 2, 3, 5, 2**31 - 1]), rng.randbytes(rng.choice([0, 1, 4, 5, 8, 40])))
                              for _ in range(30))
            if r.send_as_much(call(1) + frames):
                try:
                    r.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    continue
                ends(r)
    still_well(node)


def test_rapid_reset(raw, node):
    """Streams that are opened and reset at once (CVE-2023-44487): the connection is ended before long, and calls that
    have begun end with it."""
    endless = rpc.framed(rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                     "SELECT count(*) FROM n").SerializeToString())
    stream = 1
    for _ in range(200):
        burst = b""
        for _ in range(50):
            burst += call(stream, endless) + rpc.frame(rpc.RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))
            stream += 2
        if not raw.send_as_much(burst):
            break
    ends(raw, [INTERNAL, CALM])
    assert threads(node) < 1000


def threads(node):
    with open(f"/proc/{node.pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("Threads")).split()[1])


def test_more_streams_than_announced(node):
    """Before the announcement may have arrived, what is too many is refused, and may be tried again; afterwards it is a
    reason to end the connection."""
    many = b"".join(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, s, rpc.call_headers("/sql.v1.DatabaseService/Query"))
                    for s in range(1, 2 * 400, 2))
    with rpc.Raw(node.port) as r:
        r.send(many)
        refused = r.until(rpc.RST_STREAM)
        assert int.from_bytes(refused[3], "big") == REFUSED
        r.send(rpc.frame(rpc.DATA, 0, 1, body()))
        answered(r, 1)
    with rpc.Raw(node.port) as r:
        assert r.until(rpc.SETTINGS)
        r.send(rpc.frame(rpc.SETTINGS, rpc.ACK) + many)
        frames = ends(r, [PROTOCOL_ERROR])
        assert any(f[0] == rpc.GOAWAY for f in frames)
    still_well(node)


@pytest.mark.parametrize("flood", [rpc.frame(rpc.SETTINGS), rpc.frame(rpc.PING_FRAME, 0, 0, bytes(8))], ids=["settings", "ping"])
def test_flood_of_what_has_to_be_answered(raw, flood):
    """The client does not read the answers: they are not kept for ever."""
    raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.socket.settimeout(rpc.CALL_S)
    for _ in range(20000):
        if not raw.send_as_much(flood * 1000):
            break
    else:
        pytest.fail("twenty million frames were taken")


def test_settings_with_many_entries(raw):
    raw.send_as_much(rpc.frame(rpc.SETTINGS, 0, 0, b"\x00\x03\x00\x00\x00\x64" * 1000))
    ends(raw, [PROTOCOL_ERROR, CALM])


def test_empty_frames(raw):
    """Each is cheap, and they are not answered."""
    raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers()))
    raw.send(rpc.frame(rpc.DATA, 0, 1) * 20000 + rpc.frame(77, 0, 0, b"x") * 1000)
    raw.send(rpc.frame(rpc.DATA, rpc.END_STREAM, 1, body()))
    answered(raw, 1)


def test_headers_that_are_too_large(raw):
    """16 KiB is what the node has announced: the call is refused, the connection stays."""
    fields = {f"x-{i}": "y" * 1000 for i in range(20)}
    payload = rpc.call_headers() + b"".join(rpc.literal(k, v) for k, v in fields.items())
    raw.send(rpc.frame(rpc.HEADERS, 0, 1, payload[:16000]), rpc.frame(rpc.CONTINUATION, rpc.END_HEADERS, 1, payload[16000:]))
    f = raw.until(rpc.HEADERS, 1)
    assert f[1] & rpc.END_STREAM
    raw.send(call(3))
    answered(raw, 3)


def test_headers_without_end(raw):
    raw.send(rpc.frame(rpc.HEADERS, 0, 1, rpc.call_headers()))
    for _ in range(2000):
        if not raw.send_as_much(rpc.frame(rpc.CONTINUATION, 0, 1, rpc.literal("x-a", "b" * 10000))):
            break
    frames = ends(raw)
    assert not any(f[0] == rpc.DATA for f in frames)


def test_one_huge_header(raw):
    payload = rpc.call_headers() + rpc.literal("x-a", "b" * 200000)
    pieces = [payload[i:i + 16384] for i in range(0, len(payload), 16384)]
    raw.send_as_much(rpc.frame(rpc.HEADERS, 0, 1, pieces[0]) +
                     b"".join(rpc.frame(rpc.CONTINUATION, 0, 1, p) for p in pieces[1:-1]) +
                     rpc.frame(rpc.CONTINUATION, rpc.END_HEADERS, 1, pieces[-1]))
    ends(raw)


def test_frame_that_is_too_large(raw):
    raw.send_as_much(rpc.frame(rpc.DATA, 0, 1, bytes(20000)))
    ends(raw, [6, PROTOCOL_ERROR])


def test_window_that_overflows(raw):
    raw.send(rpc.frame(rpc.WINDOW_UPDATE, 0, 0, (2**31 - 1).to_bytes(4, "big")) * 2)
    ends(raw, [FLOW_CONTROL])


def test_more_data_than_the_window(raw):
    """A statement runs, and what is sent behind it is not read: nobody keeps more of it than was allowed."""
    raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers("/sql.v1.DatabaseService/Query")))
    endless = rpc.framed(rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                     "SELECT count(*) FROM n").SerializeToString())
    raw.send(rpc.frame(rpc.DATA, 0, 1, endless))
    raw.send(rpc.frame(rpc.DATA, 0, 1, body() * 500) * 60)
    f = raw.until(rpc.RST_STREAM, 1)
    assert int.from_bytes(f[3], "big") == FLOW_CONTROL
    raw.send(call(3))
    answered(raw, 3)


@pytest.mark.parametrize("fields,status", [
    ({"content_type": "application/json"}, "415"), ({"content_type": None}, "415"), ({"content_type": "application/grpc-web"}, "415"),
    ({"content_type": "application/grpc+json"}, "415"), ({":method": "GET"}, "405"), ({":method": "PUT"}, "405"),
])
def test_what_is_no_call(raw, fields, status):
    raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS | rpc.END_STREAM, 1, rpc.call_headers(**fields)))
    f = raw.until(rpc.HEADERS, 1)
    assert f[1] & rpc.END_STREAM and status.encode() in decoded(f[3])
    raw.send(call(3))
    answered(raw, 3)


def decoded(block):
    """Enough of HPACK for a status: plain, or Huffman's digits."""
    codes = {"0": "00000", "1": "00001", "2": "00010", "3": "011001", "4": "011010", "5": "011011", "6": "011100",
             "7": "011101", "8": "011110", "9": "011111"}
    out = block
    for status in ("415", "405", "431"):
        bits = "".join(codes[d] for d in status)
        bits += "1" * (-len(bits) % 8)
        if int(bits, 2).to_bytes(len(bits) // 8, "big") in block:
            out += status.encode()
    return out


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x00\x00", rpc.framed(b"", length=10), rpc.framed(b"xy", length=2**31),
                                     rpc.framed(b"", length=2**32 - 1), b"\x02" + bytes(10), rpc.framed(b"x", compressed=1),
                                     rpc.framed(b"\x12\x05ab"), rpc.framed(b"\xff" * 50), rpc.framed(b"\x1a\x02\x0a\x7f")])
def test_messages_that_are_none(raw, payload):
    raw.send(call(1, payload))
    f = raw.until(rpc.HEADERS, 1)
    assert f and f[1] & rpc.END_STREAM
    raw.send(call(3))
    answered(raw, 3)


COMPRESSED = {
    "too large": (gzip.compress(bytes(2**21)), "gzip"),  # more than this node takes, once it is open
    "cut off": (gzip.compress(b"x" * 1000)[:-5], "gzip"),
    "more behind": (gzip.compress(b"x") + b"more", "gzip"),
    "none at all": (b"no gzip at all", "gzip"),
    "empty": (b"", "gzip"),
    "zlib": (zlib.compress(b"x"), "gzip"),
    "identity": (gzip.compress(b"x"), "identity"),
    "unknown": (gzip.compress(b"x"), "br"),
    "not said": (gzip.compress(b"x"), None),
}


@pytest.mark.parametrize("payload,encoding", COMPRESSED.values(), ids=COMPRESSED.keys())
def test_compressed_messages_that_are_none(raw, payload, encoding):
    raw.send(call(1, rpc.framed(payload, compressed=1), grpc_encoding=encoding))
    f = raw.until(rpc.HEADERS, 1)
    assert f[1] & rpc.END_STREAM
    raw.send(call(3, rpc.framed(gzip.compress(rpc.request("SELECT 1").SerializeToString()), compressed=1), grpc_encoding="gzip"))
    answered(raw, 3)
    raw.send(call(5, grpc_encoding="gzip"))  # it may be, it need not
    answered(raw, 5)


def test_two_messages_for_one(raw):
    raw.send(call(1, body() + body()))
    answered(raw, 1)


def test_message_larger_than_its_limit_is_refused_before_it_has_come(raw):
    raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers()),
             rpc.frame(rpc.DATA, 0, 1, rpc.framed(b"x" * 100, length=2**30)))
    f = raw.until(rpc.HEADERS, 1)
    assert f[1] & rpc.END_STREAM
    raw.send(call(3))
    answered(raw, 3)


def test_fields_that_cost_more_than_they_weigh(raw, node):
    """A megabyte of parameters, two bytes each: refused, and the memory is free again."""
    many = b"\x1a\x00" * 400000
    raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers()))
    payload = rpc.framed(many)
    for i in range(0, len(payload), 16384):
        raw.send(rpc.frame(rpc.DATA, rpc.END_STREAM if i + 16384 >= len(payload) else 0, 1, payload[i:i + 16384]))
    f = raw.until(rpc.HEADERS, 1)
    assert f[1] & rpc.END_STREAM


def test_client_that_leaves_in_the_middle(node):
    endless = rpc.framed(rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                     "SELECT count(*) FROM n").SerializeToString())
    for _ in range(60):  # more than --concurrent-queries
        with rpc.Raw(node.port) as r:
            r.send(call(1, endless))
            assert r.until(rpc.SETTINGS)
    still_well(node)


def test_greeting_that_does_not_come(node):
    """The first bytes are those of HTTP/2, and nothing follows: it holds nothing but its connection."""
    waiting = [rpc.Raw(node.port, preface=False) for _ in range(50)]
    for w in waiting:
        w.send(rpc.PREFACE)
    still_well(node)
    for w in waiting:
        w.socket.settimeout(30 * ha.SLOW)
        ends(w)
        w.socket.close()


def test_trailers_and_priorities(raw):
    raw.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers()), rpc.frame(rpc.PRIORITY, 0, 1, bytes([0, 0, 0, 0, 16])),
             rpc.frame(rpc.DATA, 0, 1, body()),
             rpc.frame(rpc.HEADERS, rpc.END_HEADERS | rpc.END_STREAM, 1, rpc.literal("x-last", "word")))
    answered(raw, 1)


def test_stream_numbers_that_go_back(raw):
    raw.send(call(5))
    answered(raw, 5)
    raw.send_as_much(call(3) + call(7))
    f = raw.receive()
    while f and f[0] not in (rpc.GOAWAY, rpc.DATA):
        assert f[2] != 3 or f[0] == rpc.RST_STREAM
        f = raw.receive()
    assert f is None or f[0] == rpc.GOAWAY or f[2] == 7


# ---- clients that have fallen silent; the node is in a hurry, two seconds stand for its two minutes --------------


@pytest.fixture(scope="module")
def hasty():
    with ha.Cluster() as cluster:
        yield cluster.node(env={"HA_FAULT": "grpc.hurry=fail"})


def pong(raw, kind):
    """The next frame of that kind; pings are answered on the way."""
    while (f := raw.receive()) is not None and f[0] != kind:
        if f[0] == rpc.PING_FRAME and not f[1] & rpc.ACK:
            raw.send(rpc.frame(rpc.PING_FRAME, rpc.ACK, 0, f[3]))
    return f


def test_client_that_takes_nothing_is_given_up(hasty):
    """It answers pings, but its window stays closed: the statement ends, and in the end so does the stream."""
    with rpc.Raw(hasty.port) as r:
        r.send(rpc.frame(rpc.SETTINGS, 0, 0, b"\x00\x04" + bytes(4)))
        endless = rpc.framed(rpc.request("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                         "SELECT zeroblob(10000) FROM n").SerializeToString())
        r.send(call(1, endless, **{":path": "/ha.v1.Database/Stream"}))
        f = pong(r, rpc.RST_STREAM)
        assert f[2] == 1 and int.from_bytes(f[3], "big") == CANCEL
    still_well(hasty)


def test_client_that_stops_in_the_middle_of_a_message(hasty):
    with rpc.Raw(hasty.port) as r:
        r.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers("/sql.v1.DatabaseService/Query")),
               rpc.frame(rpc.DATA, 0, 1, body()[:-1]))
        f = pong(r, rpc.HEADERS)
        assert f[2] == 1 and f[1] & rpc.END_STREAM


def test_call_without_a_message(hasty):
    with rpc.Raw(hasty.port) as r:
        r.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers()))
        f = pong(r, rpc.HEADERS)
        assert f[2] == 1 and f[1] & rpc.END_STREAM


def test_client_that_does_not_answer_pings(hasty):
    with rpc.Raw(hasty.port) as r:
        r.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers("/sql.v1.DatabaseService/Query")))
        kinds = [f[0] for f in r.all_frames()]
        assert rpc.PING_FRAME in kinds


def test_session_that_idles_stays(hasty):
    """Between two requests there is no hurry, as long as the client is there."""
    with rpc.Raw(hasty.port) as r:
        r.send(rpc.frame(rpc.HEADERS, rpc.END_HEADERS, 1, rpc.call_headers("/sql.v1.DatabaseService/Query")))
        for _ in range(4):  # pings, a second apart: longer than it would wait for the rest of a message
            f = r.until(rpc.PING_FRAME)
            r.send(rpc.frame(rpc.PING_FRAME, rpc.ACK, 0, f[3]))
        r.send(rpc.frame(rpc.DATA, 0, 1, body()))
        answered(r, 1)
