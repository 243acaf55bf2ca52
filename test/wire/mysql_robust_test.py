"""What is no MySQL client on the port, packets that are none, many connections, and the end of the node."""

import os
import socket
import struct
import threading

import pymysql
import pytest

import ha
import mysql_target as target
from mysql_target import rows, value

DEADLINE_S = 30


class Raw:
    """Packets as bytes."""

    def __init__(self, t):
        self.socket = socket.create_connection((t.host, t.port), DEADLINE_S * ha.SLOW)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, payload, sequence=0):
        self.socket.sendall(struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                return None
            data += more
        return data

    def receive(self):
        """The next payload; None at the end."""
        try:
            head = self.exactly(4)
            return None if head is None else self.exactly(int.from_bytes(head[:3], "little"))
        except ConnectionResetError:
            return None

    def rest(self):
        while self.receive() is not None:
            pass
        return True


def error(payload):
    return struct.unpack_from("<H", payload, 1)[0] if payload and payload[0] == 0xFF else None


def still_serves(t):
    with t.connect() as c:
        return value(c, "SELECT 1") == 1


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 100, b"\xff" * 70000, b"\x01\x00\x00\x01",
                                  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200], ids=range(5))
def test_other_protocols(my, data):
    with Raw(my) as r:
        assert r.receive()[:1] == b"\x0a"
        try:
            r.socket.sendall(data)
            r.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        assert r.rest()
    assert still_serves(my)


def test_random_bytes_instead_of_a_login(my):
    for i in range(50):
        with Raw(my) as r:
            r.receive()
            body = struct.pack("<IIB23x", 0x0FFFFFFF & ~0x800, 1 << 24, 45) + os.urandom(i * 3)
            r.send(body, 1)
            r.socket.shutdown(socket.SHUT_WR)
            r.rest()
    assert still_serves(my)


def execute(c, command, body=b""):
    c._execute_command(command, body)  # pylint: disable=protected-access
    return c._read_packet  # pylint: disable=protected-access


@pytest.mark.parametrize("command,body,number", [
    (0x00, b"", 1047), (0x05, b"x", 1047), (0x12, b"", 1047), (0x1D, b"", 1047), (0xFE, b"", 1047),  # unknown commands
    (0x17, b"", 1243), (0x17, struct.pack("<IBI", 77, 0, 1), 1243), (0x1A, struct.pack("<I", 9), 1243), (0x1C, b"\x01", 1243),
    (0x0C, b"\x01", 1835), (0x04, b"no terminator", 1835), (0x1B, b"\x07\x00", 1047), (0x03, b"", 1065), (0x16, b"", 1065),
    (0x02, b"x" * 1000, 1049)])
def test_malformed_commands(my, command, body, number):
    with my.connect() as c:
        read = execute(c, command, body)
        with pytest.raises(pymysql.MySQLError) as e:
            read()
        assert e.value.args[0] == number
        assert value(c, "SELECT 1") == 1


def test_malformed_parameters(my):
    """Every prefix of an execution, and random bytes behind its beginning: answered, whatever comes of it."""
    with my.connect() as c:
        packet = execute(c, 0x16, b"SELECT ?, ?, ?")()
        statement, columns, params = struct.unpack_from("<IHH", packet._data, 1)  # pylint: disable=protected-access
        assert (columns, params) == (3, 3)
        for _ in range(columns + params + 2):
            c._read_packet()  # pylint: disable=protected-access
        good = struct.pack("<IBI", statement, 0, 1) + b"\x00\x01" + b"\x08\x00\xfd\x00\x0c\x00" + struct.pack("<q", 5) + b"\x03abc" + \
            b"\x07\xe8\x07\x02\x1d\x0c\x22\x38"
        bodies = [good[:n] for n in range(9, len(good))] + [good[:18] + os.urandom(20) for _ in range(50)]
        for body in bodies:
            read = execute(c, 0x17, body)
            try:
                first = read()
            except pymysql.MySQLError as e:
                assert e.args[0] == 1835, e
                continue
            for _ in range(first._data[0] + 1 + 1):  # pylint: disable=protected-access
                read()
            read()
        assert value(c, "SELECT 1") == 1


def test_cursor(my):
    """COM_STMT_EXECUTE with a cursor, and COM_STMT_FETCH."""
    with my.connect() as c:
        sql = b"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i FROM n"
        packet = execute(c, 0x16, sql)()
        statement, = struct.unpack_from("<I", packet._data, 1)  # pylint: disable=protected-access
        read = c._read_packet  # pylint: disable=protected-access
        read(), read()  # the column and its EOF
        execute(c, 0x17, struct.pack("<IBI", statement, 1, 1))
        read(), read()
        status = struct.unpack_from("<H", read()._data, 3)[0]  # pylint: disable=protected-access
        assert status & 0x40
        got = []
        while True:
            execute(c, 0x1C, struct.pack("<II", statement, 4))
            while True:
                data = read()._data  # pylint: disable=protected-access
                if data[0] == 0xFE:
                    status = struct.unpack_from("<H", data, 3)[0]
                    break
                got.append(struct.unpack_from("<q", data, 2)[0])
            if status & 0x80:
                break
        assert got == list(range(1, 11))


def test_long_data(my):
    with my.connect() as c:
        packet = execute(c, 0x16, b"SELECT LENGTH(?), ? IS NULL")()
        statement, = struct.unpack_from("<I", packet._data, 1)  # pylint: disable=protected-access
        read = c._read_packet  # pylint: disable=protected-access
        for _ in range(6):
            read()
        for _ in range(10):
            c._execute_command(0x18, struct.pack("<IH", statement, 0) + b"x" * 100000)  # pylint: disable=protected-access
        c._execute_command(0x18, struct.pack("<IH", statement, 7) + b"no such parameter")  # pylint: disable=protected-access
        execute(c, 0x17, struct.pack("<IBI", statement, 0, 1) + b"\x02\x01\xfc\x00\x06\x00")
        for _ in range(4):
            read()
        row = read()._data  # pylint: disable=protected-access
        assert struct.unpack_from("<qq", row, 2) == (1000000, 1)
        read()


def test_a_client_that_leaves(my):
    with my.connect() as watcher:
        with Raw(my) as r:
            r.receive()
            r.socket.shutdown(socket.SHUT_WR)
            assert r.rest()
        c = my.connect()
        c._execute_command(0x03, b"SELECT SLEEP(600)")  # pylint: disable=protected-access
        c._force_close()  # pylint: disable=protected-access
        # Its statement ends with it, and nothing is left of it.
        ha.wait_until(lambda: len(rows(watcher, "SHOW PROCESSLIST")) == 1, what="the connection's end")


def test_many_connections(my):
    with my.connect() as c:
        rows(c, "CREATE TABLE t (a INT)")
    connections = [my.connect() for _ in range(500)]
    errors = []

    def work(some):
        try:
            for c in some:
                rows(c, "INSERT INTO t VALUES (1)")
                assert value(c, "SELECT 1") == 1
        except Exception as e:  # pylint: disable=broad-except
            errors.append(e)

    threads = [threading.Thread(target=work, args=(connections[i::10],)) for i in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert value(connections[0], "SELECT COUNT(*) FROM t") == 500
    for c in connections:
        c.close()


def test_the_end_of_the_node(cluster):
    """Who idles is told; a transaction that is open is rolled back."""
    t = target.start_node(cluster)
    c = t.connect(autocommit=False)
    rows(c, "CREATE TABLE t (a INT)")
    rows(c, "INSERT INTO t VALUES (1)")
    assert t.node.terminate() == 0
    with pytest.raises(pymysql.OperationalError) as e:
        rows(c, "SELECT 1")
    assert e.value.args[0] in (1053, 2006, 2013)
    t.node.restart()
    with t.connect() as c:
        assert rows(c, "SELECT * FROM t") == []


def test_an_idle_transaction(cluster):
    t = target.start_node(cluster, "--tx-idle-timeout", "1s")
    with t.connect() as other, t.connect() as c:
        rows(other, "CREATE TABLE t (a INT)")
        c.begin()
        rows(c, "INSERT INTO t VALUES (1)")
        # Another one's write is only possible when the idle transaction has been rolled back.
        rows(other, "INSERT INTO t VALUES (2)")
        target.fails(c, 1205, "INSERT INTO t VALUES (3)")
        rows(c, "INSERT INTO t VALUES (4)")
        assert rows(other, "SELECT a FROM t ORDER BY a") == [(2,), (4,)]
