"""What no driver sends: none of it may harm the server or another connection. The bytes are written by hand."""

import random
import socket
import struct
import time

import pytest

import ha
import pg as pg_module
import wire


@pytest.fixture(scope="module")
def open_server():
    """A node that asks for no password, checked at the end like every other."""
    if pg_module.REFERENCE:
        pytest.skip("tests of a node")
    cluster = ha.Cluster()
    target = pg_module.start_node(cluster, password="")
    yield target
    cluster.close()


@pytest.fixture
def ready(open_server):
    """A connection behind its startup; the server has to be well afterwards."""
    with wire.Connection(open_server.port) as c:
        assert c.start(open_server.user, open_server.database)[-1] == ("Z", b"I")
        yield c
    still_well(open_server)


def still_well(target):
    with wire.Connection(target.port) as c:
        assert c.start(target.user, target.database)[-1] == ("Z", b"I")
        assert c.ask(wire.query("SELECT 1"))[1] == ["DataRow", ["1"]]
    assert target.node.running()


def everything(connection):
    """All messages up to the end of the connection."""
    out = []
    with pytest.raises(wire.Closed):
        while True:
            out.append(connection.receive())
    return out


def ended_with(connection, sqlstate):
    last = [wire.decode(*m) for m in everything(connection)][-1]
    assert last == ["ErrorResponse", "FATAL", sqlstate]


FIRST_PACKETS = {
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: browser\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    "huge": struct.pack("!II", 0x7FFFFFFF, 196608),
    "negative": struct.pack("!iI", -1, 196608),
    "short": struct.pack("!II", 7, 196608),
    "zero": bytes(64),
    "version 2": struct.pack("!II", 12, 2 << 16) + bytes(4),
    "not terminated": struct.pack("!II", 20, 196608) + b"user\0teste",
    "no user": wire.startup(database="ha.db"),
    "odd parameters": struct.pack("!II", 14, 196608) + b"user\0\0",
    "mysql": b"\x0a5.5.5\0" + bytes(30),
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
}


@pytest.mark.parametrize("packet", FIRST_PACKETS.values(), ids=FIRST_PACKETS.keys())
def test_first_packet_of_something_else(open_server, packet):
    with wire.Connection(open_server.port) as c:
        c.send(packet)
        c.socket.shutdown(socket.SHUT_WR)
        for kind, _ in everything(c):
            assert kind == "E"
    still_well(open_server)


def test_random_bytes(open_server):
    seed = random.randrange(1 << 30)
    rnd = random.Random(seed)
    for _ in range(100):
        with wire.Connection(open_server.port) as c:
            try:
                if rnd.random() < 0.7:
                    c.start(open_server.user, open_server.database)
                data = rnd.randbytes(rnd.randrange(1, 3000))
                if rnd.random() < 0.5:  # a type and a length that are right, and then not
                    data = rnd.choice(b"QPBDECSHdcfFXp").to_bytes(1, "big") + struct.pack("!I", len(data) + 4) + data
                c.send(data)
                c.socket.shutdown(socket.SHUT_WR)
                everything(c)
            except (BrokenPipeError, ConnectionResetError, wire.Closed):
                pass
    still_well(open_server)


# What begins a comment in a comment for PostgreSQL begins nothing for SQLite, which would go on behind it.
HIDDEN = "/* /* */ ; %s; -- */"


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_a_comment_is_not_run(ready, extended):
    def ask(sql):
        if extended:
            return ready.ask(wire.parse(sql), wire.bind(), wire.execute(), wire.SYNC)
        return ready.ask(wire.query(sql))

    ready.ask(wire.query("CREATE TABLE IF NOT EXISTS hidden (a INTEGER)"))
    insert = HIDDEN % "INSERT INTO hidden VALUES (9)"
    for sql in (f"SELECT 1 {insert}", f"COPY (SELECT 1 {insert}) TO STDOUT", f"PRAGMA user_version {insert}"):
        ask(sql)
    ready.ask(wire.query("BEGIN"))
    commit = HIDDEN % "COMMIT"
    for sql in (f"INSERT INTO hidden VALUES (1) {commit}", f"SAVEPOINT a {commit}", f"/* /* */ */ RELEASE a {commit}",
                f"SELECT 1 {commit}", "/* /* COMMIT */ */ SELECT 1"):
        assert ask(sql)[-1] == ["ReadyForQuery", "T"]
    assert ready.ask(wire.query("/* /* */ */ ROLLBACK"))[-1] == ["ReadyForQuery", "I"]
    assert ready.ask(wire.query("SELECT count(*) FROM hidden"))[1] == ["DataRow", ["0"]]


@pytest.mark.parametrize("sql,status", [
    ("COMMIT /* /* */ AND CHAIN -- */", "I"),
    ("COMMIT /* /* */ PREPARED -- */", "I"),
    ("ROLLBACK /* /* */ TO a -- */", "I"),
    ("COMMIT -- AND CHAIN\r", "I"),
    ("COMMIT -- c\rAND CHAIN", "T"),
    ("ROLLBACK /* /* */ */ TO /* /* */ b -- */ a", "T"),
])
def test_words_in_a_comment_are_not_read(ready, sql, status):
    ready.ask(wire.query("BEGIN"))
    ready.ask(wire.query("SAVEPOINT /* /* */ b -- */ a"))
    answer = ready.ask(wire.query(sql))
    assert answer == [["CommandComplete", sql.split()[0]], ["ReadyForQuery", status]]
    ready.ask(wire.query("ROLLBACK"))
    ready.ask(wire.query("BEGIN /* /* */ READ ONLY -- */"))
    assert ready.ask(wire.query("CREATE TABLE IF NOT EXISTS written (a INTEGER)"))[0] == ["CommandComplete", "CREATE TABLE"]
    ready.ask(wire.query("ROLLBACK"))


def test_a_carriage_return_ends_a_pragmas_comment(ready):
    ready.ask(wire.query("PRAGMA user_version -- c\r= 7"))
    assert ["DataRow", ["7"]] in ready.ask(wire.query("PRAGMA user_version -- ="))
    ready.ask(wire.query("PRAGMA user_version = 0"))


def test_a_carriage_return_ends_a_comment(ready):
    assert ["DataRow", ["1", "2"]] in ready.ask(wire.query("SELECT 1 -- c\r, 2"))
    assert ready.ask(wire.query("SELECT 1; -- c\rSELECT 2")).count(["DataRow", ["2"]]) == 1


def test_cancel_of_nobody(open_server):
    for key in (b"", bytes(4), bytes(32), bytes(500)):
        with wire.Connection(open_server.port) as c:
            c.send(struct.pack("!III", 12 + len(key), 80877102, 4711) + key)
            assert all(kind == "E" for kind, _ in everything(c))
    still_well(open_server)


def test_slow_drips(open_server):
    """A packet a byte at a time is a packet."""
    with wire.Connection(open_server.port) as c:
        for b in wire.startup(user=open_server.user, database=open_server.database):
            c.send(bytes([b]))
        assert c.until("ZE")[-1][0] == "Z"
        for b in wire.query("SELECT 'slow'"):
            c.send(bytes([b]))
        assert c.ask()[1] == ["DataRow", ["slow"]]


def test_truncated_messages(open_server):
    whole = wire.parse("SELECT $1", "s", [25]) + wire.bind([b"x"], "", "s") + wire.execute() + wire.SYNC
    for cut in range(1, len(whole)):
        with wire.Connection(open_server.port) as c:
            c.start(open_server.user, open_server.database)
            c.send(whole[:cut])
    still_well(open_server)


def test_many_ways_to_be_malformed(ready):
    """A message of the right type and length whose inside is wrong is an error, and the connection goes on."""
    bodies = [b"", b"\0", b"x", b"\0\0", b"s\0SELECT 1\0\0\5", b"\0\0\0\1\0\2\0\0\0\0", b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0",
              b"\0\0\0\0\0\1\0\0\xff\xff\0\0", b"\0\0\0\0\xff\xff", b"\0\0\0\3\0\1\0\1\0\1\0\0\0\0", b"Z\0", b"Sx", b"S\0\0"]
    for kind in "PBDECF":
        for body in bodies:
            answers = ready.ask(wire.message(kind, body), wire.SYNC)
            # A FunctionCall has its own ReadyForQuery.
            if kind == "F":
                answers = ready.ask()
            assert answers[-1] == ["ReadyForQuery", "I"], (kind, body)
    assert ready.ask(wire.query("SELECT 2"))[1] == ["DataRow", ["2"]]


def test_unknown_type_and_impossible_length(open_server):
    for data in (b"?" + struct.pack("!I", 4), b"Q" + struct.pack("!i", 3), b"Q" + struct.pack("!i", -5),
                 b"\0" + struct.pack("!I", 100)):
        with wire.Connection(open_server.port) as c:
            c.start(open_server.user, open_server.database)
            c.send(data)
            ended_with(c, "08P01")
    still_well(open_server)


def peak_bytes(node, reset=False):
    """The most memory it has had since the last reset."""
    if reset:
        with open(f"/proc/{node.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")
    with open(f"/proc/{node.pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM:"))


def test_length_beyond_the_limit_takes_no_memory(open_server):
    def resident():
        with open(f"/proc/{open_server.node.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * 4096

    before = resident()
    connections = [wire.Connection(open_server.port) for _ in range(20)]
    for c in connections:
        c.start(open_server.user, open_server.database)
        c.send(b"B" + struct.pack("!I", 0x3FFFFFFF) + b"only a little")
    still_well(open_server)
    assert resident() - before < 200 << 20
    for c in connections:
        c.socket.close()
    still_well(open_server)


def test_too_many_statements(ready):
    answers = ready.ask(wire.query("SELECT 1;" * 200000))
    assert answers == [["ErrorResponse", "ERROR", "54000"], ["ReadyForQuery", "I"]]
    parts = [wire.parse("SELECT 1", f"s{i}") for i in range(25000)]
    for i in range(0, len(parts), 1000):
        answers = ready.ask(*parts[i:i + 1000], wire.SYNC)
    assert answers[-2] in (["ErrorResponse", "ERROR", "54000"], ["ErrorResponse", "ERROR", "53200"]), answers[-2:]
    assert ready.ask(wire.query("SELECT 3"))[1] == ["DataRow", ["3"]]


def test_pipeline_without_reading(open_server):
    """Answers that nobody fetches stop the server from reading, not from living."""
    with wire.Connection(open_server.port, 5) as c:
        c.start(open_server.user, open_server.database)
        c.socket.settimeout(1)
        big = wire.query("SELECT hex(zeroblob(100000))")
        sent = 0
        try:
            while sent < 2000:
                c.send(big)
                sent += 1
        except (socket.timeout, TimeoutError):
            pass
        still_well(open_server)
    still_well(open_server)


def test_errors_in_the_middle_of_a_pipeline(ready):
    ready.ask(wire.query("CREATE TABLE IF NOT EXISTS piped (a INTEGER PRIMARY KEY)"))
    answers = ready.ask(wire.parse("INSERT INTO piped VALUES (1)"), wire.bind(), wire.execute(),
                        wire.parse("SELECT * FROM missing"), wire.bind(), wire.execute(),
                        wire.parse("INSERT INTO piped VALUES (2)"), wire.bind(), wire.execute(), wire.SYNC)
    assert answers[-2:] == [["ErrorResponse", "ERROR", "42P01"], ["ReadyForQuery", "I"]]
    assert ["CommandComplete", "INSERT 0 1"] in answers
    # One implicit transaction up to Sync: the first went with the second.
    assert ready.ask(wire.query("SELECT count(*) FROM piped"))[1] == ["DataRow", ["0"]]


def test_copy_broken_off(open_server):
    target = open_server
    with wire.Connection(target.port) as c:
        c.start(target.user, target.database)
        c.ask(wire.query("CREATE TABLE IF NOT EXISTS copied (a INTEGER)"))
        c.send(wire.query("COPY copied FROM STDIN"))
        assert c.until("GE")[-1][0] == "G"
        c.send(wire.message("d", b"1\n2\n"))
    still_well(target)
    with wire.Connection(target.port) as c:
        c.start(target.user, target.database)

        def unlocked():
            # The writer that was broken off is gone, and nothing of it stays.
            return c.ask(wire.query("SELECT count(*) FROM copied"))[1] == ["DataRow", ["0"]] and \
                c.ask(wire.query("DELETE FROM copied"))[0] == ["CommandComplete", "DELETE 0"]

        ha.wait_until(unlocked, 20)
        # Messages of another kind end the COPY; then the connection goes on.
        c.send(wire.query("COPY copied FROM STDIN"), wire.message("d", b"1\n"), wire.query("SELECT 1"))
        got = [wire.decode(*m) for m in c.until("Z")]
        assert ["ErrorResponse", "ERROR", "08P01"] in got
        # What comes behind a COPY that failed is passed over.
        c.ask(wire.message("d", b"x\n"), wire.message("c"), wire.query("SELECT 1"))
        c.send(wire.query("COPY missing FROM STDIN"))
        assert c.ask()[0] == ["ErrorResponse", "ERROR", "42P01"]
        rows = b"".join(wire.message("d", bytes([b])) for b in b"10\n20\n30")
        c.send(wire.query("COPY copied FROM STDIN"), rows, wire.message("c"))
        assert c.ask()[-2] == ["CommandComplete", "COPY 3"]
        c.send(wire.query("COPY copied FROM STDIN"), wire.message("f", b"changed my mind\0"))
        assert c.ask()[-2] == ["ErrorResponse", "ERROR", "57014"]
        assert c.ask(wire.query("SELECT sum(a) FROM copied"))[1] == ["DataRow", ["60"]]


def test_idle_connections_hold_nobody_up(open_server):
    """Connections that never say anything, and one that is half said."""
    silent = [wire.Connection(open_server.port) for _ in range(200)]
    silent[0].send(b"\0\0")
    started = time.monotonic()
    still_well(open_server)
    assert time.monotonic() - started < 10 * ha.SLOW
    for c in silent:
        c.socket.close()


def test_protocol_versions(open_server):
    """Minor versions that are not known, and options of the protocol, are negotiated; 3.2 has longer cancel keys."""
    def open_with(version, **options):
        with wire.Connection(open_server.port) as c:
            c.send(wire.startup(version, user=open_server.user, database=open_server.database, **options))
            return dict(c.until("ZE"))

    for version, options, negotiated, key_bytes in (
            ((3, 0), {}, None, 4), ((3, 2), {}, None, 32), ((3, 1), {}, (3, 0), 4), ((3, 9999), {}, (3, 2), 32),
            ((3, 0), {"_pq_.grease": "1", "_pq_.more": "x"}, (3, 0), 4), ((3, 2), {"_pq_.grease": ""}, (3, 2), 32)):
        got = open_with(version, **options)
        names = b"".join(k.encode() + b"\0" for k in options)
        want = negotiated and struct.pack("!HHI", *negotiated, len(options)) + names
        assert got.get("v") == want, (version, options, got.get("v"))
        assert len(got["K"]) == 4 + key_bytes and "Z" in got, (version, options)
    still_well(open_server)


def test_nothing_but_the_proof_before_authentication(pg, ha_only):
    """Nobody who has not proved who he is makes the server read, or keep, what only clients send."""
    for kind, length in (("Q", 30 << 20), ("d", 1 << 20), ("B", 0x3FFFFFFF), ("p", 1 << 20), ("X", 4), ("?", 4)):
        with wire.Connection(pg.port) as c:
            c.send(wire.startup(user=pg.user, database=pg.database))
            assert c.receive()[0] == "R"
            c.send(kind.encode() + struct.pack("!I", length) + b"x" * 100)
            if kind == "p":  # too long: passed over, and no proof
                c.socket.shutdown(socket.SHUT_WR)
            got = everything(c)
            assert all(k == "E" for k, _ in got), (kind, got)
            assert kind == "p" or wire.decode(*got[-1]) == ["ErrorResponse", "FATAL", "08P01"], kind
    assert pg.value("SELECT 1") == "1"


def test_too_many_portals(ready):
    """Portals live as long as their transaction: so do ten thousand of them, and no more."""
    assert ready.ask(wire.query("BEGIN"), )[-1] == ["ReadyForQuery", "T"]
    ready.ask(wire.parse("SELECT 1", "one"), wire.SYNC)
    parts = [wire.bind((), f"p{i}", "one") for i in range(10001)]
    for i in range(0, len(parts), 1000):
        answers = ready.ask(*parts[i:i + 1000], wire.SYNC)
    assert answers == [["ErrorResponse", "ERROR", "54000"], ["ReadyForQuery", "E"]]
    assert ready.ask(wire.query("ROLLBACK"))[-1] == ["ReadyForQuery", "I"]
    ready.ask(wire.message("C", b"Sone\0"), wire.SYNC)
    assert ready.ask(wire.query("SELECT 4"))[1] == ["DataRow", ["4"]]


def test_message_beyond_its_limit_is_passed_over(ready):
    """The connection goes on behind a message that was too long, and behind the Sync that follows it."""
    long = 64 << 20
    for head, end in ((b"Q", b""), (b"P", wire.SYNC), (b"D", wire.SYNC)):
        ready.send(head + struct.pack("!I", long + 5))
        for _ in range(long >> 20):
            ready.send(b" " * (1 << 20))
        answers = ready.ask(b" ", end)
        assert answers == [["ErrorResponse", "ERROR", "08P01"], ["ReadyForQuery", "I"]], head
    assert ready.ask(wire.query("SELECT 5"))[1] == ["DataRow", ["5"]]


def test_no_portal_after_a_bind_that_failed(ready):
    """Not even where a savepoint keeps the block's other portals."""
    ready.ask(wire.query("BEGIN; SAVEPOINT s"))
    ready.ask(wire.parse("SELECT $1::text, $2::text, $3::int", "three", (25, 25, 23)), wire.SYNC)
    for portal in ("p1", ""):
        assert ready.ask(wire.bind((b"hello world", b"second", b"notanint"), portal, "three"), wire.SYNC) == \
            [["ErrorResponse", "ERROR", "22P02"], ["ReadyForQuery", "E"]]
        ready.ask(wire.query("ROLLBACK TO s"))
        assert ready.ask(wire.execute(portal), wire.SYNC) == [["ErrorResponse", "ERROR", "34000"], ["ReadyForQuery", "E"]]
        ready.ask(wire.query("ROLLBACK TO s"))
    # The name is free, and nothing of the first try is left in it.
    assert ready.ask(wire.bind((b"hello world", None, b"3"), "p1", "three"), wire.execute("p1"), wire.SYNC)[1] == \
        ["DataRow", ["hello world", None, "3"]]
    ready.ask(wire.query("ROLLBACK"))


def test_cursor_for_a_cursor(ready):
    """However many there are in one another: the statement is no query, and says so when it runs."""
    sql = "declare a cursor for " * 3000 + "select 1"
    ready.ask(wire.query("BEGIN"))
    assert ready.ask(wire.parse(sql, "nested"), wire.describe("S", "nested"), wire.SYNC) == \
        [["ParseComplete"], ["ParameterDescription", []], ["NoData"], ["ReadyForQuery", "T"]]
    assert ready.ask(wire.bind((), "", "nested"), wire.execute(), wire.SYNC)[-2:] == \
        [["ErrorResponse", "ERROR", "42601"], ["ReadyForQuery", "E"]]
    ready.ask(wire.query("ROLLBACK"))
    ready.ask(wire.message("C", b"Snested\0"), wire.SYNC)


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, hex(zeroblob(1000)) FROM n"


@pytest.mark.parametrize("end, answer, status", [
    ("ROLLBACK", ["CommandComplete", "ROLLBACK"], "I"), ("COMMIT", ["CommandComplete", "COMMIT"], "I"),
    ("FETCH 1 FROM missing", ["ErrorResponse", "ERROR", "34000"], "E"),
    ("ROLLBACK AND CHAIN", ["CommandComplete", "ROLLBACK"], "T")])
@pytest.mark.parametrize("how", ["cursor", "unread cursor", "portal"])
def test_what_a_transaction_leaves_unread_is_not_read(ready, how, end, answer, status):
    """Rows without end, some of which were fetched: the end of the transaction is the end of them."""
    ready.ask(wire.query("BEGIN"))
    if how == "portal":  # as JDBC reads with a fetch size
        got = ready.ask(wire.parse(ENDLESS), wire.bind((), "k"), wire.execute("k", 2), wire.SYNC)
        assert got[-2:] == [["PortalSuspended"], ["ReadyForQuery", "T"]]
    else:
        ready.ask(wire.query("DECLARE k CURSOR FOR " + ENDLESS))
    if how == "cursor":
        assert ready.ask(wire.query("FETCH 2 FROM k"))[-2:] == [["CommandComplete", "FETCH 2"], ["ReadyForQuery", "T"]]
    assert ready.ask(wire.query(end)) == [answer, ["ReadyForQuery", status]]
    ready.ask(wire.query("ROLLBACK"))
    assert ready.ask(wire.query("FETCH 1 FROM k"))[0] == ["ErrorResponse", "ERROR", "34000"]


def test_a_commit_keeps_what_is_held_and_no_more(ready):
    ready.ask(wire.query("BEGIN"))
    few = ENDLESS.replace("SELECT x, ", "SELECT x FROM n LIMIT 3 --")
    ready.ask(wire.query(f"DECLARE held CURSOR WITH HOLD FOR {few}"))
    ready.ask(wire.query(f"DECLARE unread CURSOR WITH HOLD FOR {few}"))
    ready.ask(wire.query("FETCH 1 FROM held"))
    ready.ask(wire.query("DECLARE endless CURSOR FOR " + ENDLESS))
    assert ready.ask(wire.query("COMMIT"))[-2:] == [["CommandComplete", "COMMIT"], ["ReadyForQuery", "I"]]
    assert [m[1] for m in ready.ask(wire.query("FETCH ALL FROM held")) if m[0] == "DataRow"] == [["2"], ["3"]]
    assert [m[1] for m in ready.ask(wire.query("FETCH ALL FROM unread")) if m[0] == "DataRow"] == [["1"], ["2"], ["3"]]
    assert ready.ask(wire.query("FETCH 1 FROM endless"))[0] == ["ErrorResponse", "ERROR", "34000"]
    ready.ask(wire.query("CLOSE ALL"))


def test_fetch_is_no_way_to_commit(ready):
    """A portal holds any statement; FETCH runs only those that say nothing about the transaction."""
    ready.ask(wire.query("CREATE TABLE IF NOT EXISTS fetched (a INTEGER)"))
    for sql in ("COMMIT", "ROLLBACK", "SAVEPOINT s", "DECLARE c CURSOR FOR SELECT 1", "SHOW server_version", ""):
        ready.ask(wire.query("BEGIN; INSERT INTO fetched VALUES (1)"))
        ready.ask(wire.parse(sql), wire.bind((), "x"), wire.SYNC)
        for fetch in ("FETCH 1 FROM x", "MOVE 1 FROM x"):
            assert ready.ask(wire.parse(fetch, "f"), wire.describe("S", "f"), wire.message("C", b"Sf\0"), wire.SYNC)[2] == \
                ["NoData"], (sql, fetch)
        assert ready.ask(wire.query(fetch)) == [["ErrorResponse", "ERROR", "34000"], ["ReadyForQuery", "E"]], sql
        ready.ask(wire.query("ROLLBACK"))
        assert ready.ask(wire.query("SELECT count(*) FROM fetched"))[1] == ["DataRow", ["0"]], sql


def test_copy_of_one_query_only(ready):
    """What stands behind it would run, too, unseen by the connection, and its rows may be of another width."""
    ready.ask(wire.query("CREATE TABLE IF NOT EXISTS copied_once (a INTEGER)"))
    for sql in ("SELECT 1; COMMIT", "SELECT 1; SELECT " + ", ".join("1" * 500), "COMMIT", "DECLARE c CURSOR FOR SELECT 1", ""):
        ready.ask(wire.query("BEGIN; INSERT INTO copied_once VALUES (1)"))
        assert ready.ask(wire.query(f"COPY ({sql}) TO STDOUT")) == \
            [["ErrorResponse", "ERROR", "42601"], ["ReadyForQuery", "E"]], sql
        ready.ask(wire.query("ROLLBACK"))
        assert ready.ask(wire.query("SELECT count(*) FROM copied_once"))[1] == ["DataRow", ["0"]], sql
    assert ready.ask(wire.query("COPY (SELECT 1 AS a;) TO STDOUT"))[1] == ["CopyData", "1\n"]


def test_a_scrolling_cursor_is_sent_as_it_is_read(open_server, ready):
    """Not collected in memory first; and backwards it is as quick as forwards."""
    rows = 40000
    ready.ask(wire.query("BEGIN"))
    ready.ask(wire.query(f"DECLARE s SCROLL CURSOR FOR WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {rows}) "
                         "SELECT x, hex(zeroblob(500)) FROM n"))
    assert ready.ask(wire.query("MOVE 1 FROM s"))[0] == ["CommandComplete", "MOVE 1"]
    for fetch, wanted in (("FETCH ALL FROM s", range(2, rows + 1)), ("FETCH BACKWARD ALL FROM s", range(rows, 0, -1))):
        before = peak_bytes(open_server.node, reset=True)
        got = ready.ask(wire.query(fetch))
        assert peak_bytes(open_server.node) - before < 20 << 20, fetch
        assert [int(m[1][0]) for m in got if m[0] == "DataRow"] == list(wanted), fetch
        assert got[-2] == ["CommandComplete", f"FETCH {len(wanted)}"]
    ready.ask(wire.query("ROLLBACK"))


def test_fetch_from_far_away(ready):
    most = 2**63 - 1
    ready.ask(wire.query("BEGIN; DECLARE s SCROLL CURSOR FOR SELECT 1 UNION SELECT 2 UNION SELECT 3"))
    for fetch, wanted in (("NEXT", ["1"]), (f"RELATIVE {most}", None), ("PRIOR", ["3"]), (f"ABSOLUTE {most}", None),
                          ("RELATIVE -1", ["3"]), (f"RELATIVE -{most}", None), ("NEXT", ["1"]), (f"ABSOLUTE -{most}", None),
                          ("NEXT", ["1"]), ("LAST", ["3"]), ("ABSOLUTE -2", ["2"])):
        got = [m[1] for m in ready.ask(wire.query(f"FETCH {fetch} FROM s")) if m[0] == "DataRow"]
        assert got == ([wanted] if wanted else []), fetch
    ready.ask(wire.query("ROLLBACK"))


def test_a_block_that_fails_behind_its_savepoints_lets_others_write(open_server, ready):
    """RELEASE gives back the way to mend it: then it is rolled back with the error, not when the client says so."""
    ready.ask(wire.query("CREATE TABLE IF NOT EXISTS released (a INTEGER)"))
    with wire.Connection(open_server.port) as other:
        other.start(open_server.user, open_server.database)
        for opened, closed in ((["s"], "S"), (["a", "b", "c"], "a"), (["a", '"a"'], "a; RELEASE a")):
            ready.ask(wire.query("BEGIN; INSERT INTO released VALUES (1)"))
            for name in opened:
                ready.ask(wire.query(f"SAVEPOINT {name}"))
            assert ready.ask(wire.query(f"RELEASE {closed}"))[-1] == ["ReadyForQuery", "T"]
            assert ready.ask(wire.query("SELECT * FROM missing"))[-1] == ["ReadyForQuery", "E"]
            assert other.ask(wire.query("INSERT INTO released VALUES (2)"))[0] == ["CommandComplete", "INSERT 0 1"]
            assert ready.ask(wire.query(f"ROLLBACK TO {opened[0]}")) == \
                [["ErrorResponse", "ERROR", "3B001"], ["ReadyForQuery", "E"]]
            ready.ask(wire.query("ROLLBACK"))
        # The outer one is still open: the block can be mended.
        ready.ask(wire.query("BEGIN; SAVEPOINT a; INSERT INTO released VALUES (3); SAVEPOINT b; RELEASE b"))
        ready.ask(wire.query("SELECT * FROM missing"))
        assert ready.ask(wire.query("ROLLBACK TO a"))[-1] == ["ReadyForQuery", "T"]
        assert ready.ask(wire.query("ROLLBACK TO b"))[-1] == ["ReadyForQuery", "E"]
        assert ready.ask(wire.query("ROLLBACK TO a; COMMIT"))[-1] == ["ReadyForQuery", "I"]
        assert ready.ask(wire.query("SELECT sum(a) FROM released"))[1] == ["DataRow", ["6"]]


def test_rolling_back_to_a_savepoint_ends_what_was_opened_since(ready):
    few = ENDLESS.replace("SELECT x, ", "SELECT x FROM n LIMIT 3 --")
    ready.ask(wire.query(f"BEGIN; DECLARE before CURSOR FOR {few}\n; SAVEPOINT s; SAVEPOINT t"))
    ready.ask(wire.query(f"DECLARE kept CURSOR FOR {few}\n; RELEASE t"))
    ready.ask(wire.query("DECLARE since CURSOR FOR " + ENDLESS))
    assert ready.ask(wire.query("ROLLBACK TO s")) == [["CommandComplete", "ROLLBACK"], ["ReadyForQuery", "T"]]
    assert ready.ask(wire.query("FETCH 1 FROM before"))[1] == ["DataRow", ["1"]]
    for name in ("since", "kept"):
        assert ready.ask(wire.query(f"FETCH 1 FROM {name}"))[0] == ["ErrorResponse", "ERROR", "34000"]
        ready.ask(wire.query("ROLLBACK TO s"))
    ready.ask(wire.query("ROLLBACK"))


def test_a_cursor_that_failed_does_not_look_like_one_at_its_end(ready):
    """What is left of it was to be put aside, where it met an error: nobody may take that for the last row."""
    sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5) " \
        "SELECT abs(CASE x WHEN 4 THEN -9223372036854775807 - 1 ELSE x END) FROM n"
    for how in ("", "SCROLL ", "EXECUTE"):
        ready.ask(wire.query("BEGIN"))
        if how == "EXECUTE":
            assert ready.ask(wire.parse(sql), wire.bind((), "k"), wire.execute("k", 2), wire.SYNC)[-2] == ["PortalSuspended"]
            again = wire.execute("k"), wire.SYNC
        else:
            ready.ask(wire.query(f"DECLARE k {how}CURSOR FOR {sql}"))
            again = (wire.query("FETCH ALL FROM k"),)
            if not how:
                assert ready.ask(wire.query("FETCH 2 FROM k"))[-2] == ["CommandComplete", "FETCH 2"]
        assert ready.ask(wire.query("SELECT 1"))[1] == ["DataRow", ["1"]]
        assert ready.ask(*again)[-2:] == [["ErrorResponse", "ERROR", "55000"], ["ReadyForQuery", "E"]], how
        ready.ask(wire.query("ROLLBACK"))


def test_a_portal_that_failed_runs_no_more(ready):
    """Not even where the error was taken back: as in PostgreSQL."""
    ready.ask(wire.query("BEGIN"))
    ready.ask(wire.parse("SELECT abs(-9223372036854775807 - 1)"), wire.bind((), "k"), wire.SYNC)
    ready.ask(wire.query("SAVEPOINT s"))
    for again in (False, True):
        error, state = ready.ask(wire.execute("k"), wire.SYNC)
        assert error[0] == "ErrorResponse" and (error[2] == "55000") == again and state == ["ReadyForQuery", "E"]
        ready.ask(wire.query("ROLLBACK TO s"))
    ready.ask(wire.query("ROLLBACK"))


def shown(connection, name):
    return connection.ask(wire.query("SHOW " + name))[1][1][0]


def reported(connection, *messages, name="TimeZone"):
    """The values of the setting that the answer reports."""
    connection.send(b"".join(messages))
    bodies = [body for kind, body in connection.until("Z") if kind == "S"]
    return [body.split(b"\0")[1] for body in bodies if body.startswith(name.encode() + b"\0")]


SETTINGS_THAT_END = {
    "local": (["BEGIN", "SET LOCAL work_mem = '9MB'", "COMMIT"], "4MB"),
    "local, rolled back": (["BEGIN", "SET LOCAL work_mem = '9MB'", "ROLLBACK"], "4MB"),
    "committed": (["BEGIN", "SET work_mem = '9MB'", "COMMIT"], "9MB"),
    "rolled back": (["BEGIN", "SET work_mem = '9MB'", "ROLLBACK"], "4MB"),
    "failed": (["BEGIN", "SET work_mem = '9MB'", "SELECT nothing", "COMMIT"], "4MB"),
    "chained": (["BEGIN", "SET LOCAL work_mem = '9MB'", "COMMIT AND CHAIN"], "4MB"),
    "reset": (["SET work_mem = '5MB'", "BEGIN", "RESET work_mem", "ROLLBACK"], "5MB"),
    "reset all": (["SET work_mem = '5MB'", "BEGIN", "RESET ALL", "ROLLBACK"], "5MB"),
    "local over session": (["BEGIN", "SET work_mem = '5MB'", "SET LOCAL work_mem = '9MB'", "COMMIT"], "5MB"),
    "session over local": (["BEGIN", "SET LOCAL work_mem = '9MB'", "SET work_mem = '5MB'", "COMMIT"], "5MB"),
    "function": (["BEGIN", "SELECT set_config('work_mem', '9MB', true)", "COMMIT"], "4MB"),
    "function, alone": (["SELECT set_config('work_mem', '9MB', true)"], "4MB"),
    "function, for the session": (["SELECT set_config('work_mem', '9MB', false)"], "9MB"),
    "one string": (["SET LOCAL work_mem = '9MB'; SELECT 1"], "4MB"),
    "one string that fails": (["SET work_mem = '9MB'; SELECT 1; SELECT abs(-9223372036854775807 - 1)"], "4MB"),
    "savepoint": (["BEGIN", "SET work_mem = '5MB'", "SAVEPOINT a", "SET work_mem = '9MB'", "SAVEPOINT b",
                   "SET LOCAL work_mem = '8MB'", "ROLLBACK TO a", "COMMIT"], "5MB"),
    "savepoint, in it": (["BEGIN", "SET LOCAL work_mem = '5MB'", "SAVEPOINT a", "SET work_mem = '9MB'", "ROLLBACK TO a"],
                         "5MB"),
    "released": (["BEGIN", "SAVEPOINT a", "SET work_mem = '5MB'", "SAVEPOINT b", "SET LOCAL work_mem = '9MB'",
                  "RELEASE b", "RELEASE a", "COMMIT"], "5MB"),
    "released, rolled back": (["BEGIN", "SAVEPOINT a", "SET work_mem = '5MB'", "SAVEPOINT b",
                               "SET LOCAL work_mem = '9MB'", "RELEASE a", "ROLLBACK"], "4MB"),
    "savepoints left open": (["BEGIN", "SET LOCAL work_mem = '7MB'", "SAVEPOINT a", "SET work_mem = '5MB'",
                              "SAVEPOINT b", "SET LOCAL work_mem = '9MB'", "COMMIT"], "5MB"),
}


@pytest.mark.parametrize("statements, value", SETTINGS_THAT_END.values(), ids=SETTINGS_THAT_END.keys())
def test_settings_end_with_their_transaction(ready, statements, value):
    for sql in statements:
        ready.ask(wire.query(sql))
    assert shown(ready, "work_mem") == value
    ready.ask(wire.query("ROLLBACK"))


def test_settings_of_ones_own_end_too(ready):
    for sql in ("SET my.own = 'a'", "BEGIN", "SET my.own = 'b'", "SET LOCAL my.other = 'c'", "ROLLBACK"):
        ready.ask(wire.query(sql))
    assert shown(ready, "my.own") == "a"
    assert shown(ready, "my.other") == ""  # known from now on, as in PostgreSQL
    for sql in ("BEGIN", "SET LOCAL my.own = 'b'", "COMMIT"):
        ready.ask(wire.query(sql))
    assert shown(ready, "my.own") == "a"


def test_what_a_local_setting_does_ends(ready):
    ready.ask(wire.query("CREATE TABLE IF NOT EXISTS set_local (a INTEGER)"))
    for sql in ("BEGIN", "SET LOCAL default_transaction_read_only = on", "SET LOCAL statement_timeout = '20ms'"):
        ready.ask(wire.query(sql))
    insert = wire.query("INSERT INTO set_local VALUES (1)")
    assert ready.ask(insert)[0] == ["ErrorResponse", "ERROR", "25006"]
    ready.ask(wire.query("COMMIT"))
    assert shown(ready, "statement_timeout") == "0"
    assert ready.ask(insert)[0] == ["CommandComplete", "INSERT 0 1"]
    count = "SELECT count(*) FROM generate_series(1, 1000000)"
    assert ready.ask(wire.query(count))[1] == ["DataRow", ["1000000"]]


def test_local_settings_outside_a_block(ready):
    local = "SET LOCAL work_mem = '9MB'"
    ready.send(wire.query(local))
    (kind, body), = [m for m in ready.until("Z") if m[0] == "N"]
    assert wire.fields(body)["S"] == "WARNING" and wire.fields(body)["C"] == "25P01"
    assert shown(ready, "work_mem") == "4MB"
    assert ["DataRow", ["9MB"]] in ready.ask(wire.query(local + "; SHOW work_mem"))
    ready.send(wire.query(local + "; SHOW work_mem"))
    assert not [m for m in ready.until("Z") if m[0] == "N"]
    steps = [m for sql in (local, "SHOW work_mem") for m in (wire.parse(sql), wire.bind(), wire.execute())]
    assert ["DataRow", ["9MB"]] in ready.ask(*steps, wire.SYNC)
    assert shown(ready, "work_mem") == "4MB"


def test_what_set_config_sets_is_reported(ready):
    for name, value, told in (("application_name", "a b", b"a b"), ("TimeZone", "Europe/Paris", b"Europe/Paris"),
                              ("DateStyle", "iso, dmy", b"ISO, MDY"), ("client_encoding", "utf-8", b"UTF8"),
                              ("default_transaction_read_only", "true", b"on")):
        ask = wire.query(f"SELECT set_config('{name}', '{value}', false)")
        assert reported(ready, ask, name=name) == [told]
        assert shown(ready, name) == told.decode()
    assert ready.ask(wire.query("CREATE TABLE refused (a INTEGER)"))[0] == ["ErrorResponse", "ERROR", "25006"]
    assert reported(ready, wire.query("SELECT set_config('work_mem', '9MB', false)"), name="work_mem") == []
    ask = [wire.parse("SELECT set_config('DEFAULT_TRANSACTION_READ_ONLY', $1, false)"), wire.bind([b"off"]), wire.execute(), wire.SYNC]
    assert reported(ready, *ask, name="default_transaction_read_only") == [b"off"]
    # A transaction's own value goes with it.
    assert reported(ready, wire.query("BEGIN; SELECT set_config('TimeZone', 'Asia/Tokyo', true)")) == [b"Asia/Tokyo"]
    assert reported(ready, wire.query("COMMIT")) == [b"Europe/Paris"]
    assert reported(ready, wire.query("RESET TimeZone")) == [b"UTC"]
    ready.ask(wire.query("RESET application_name"))
    for name, value, sqlstate in (("nothing", "x", "42704"), ("server_version", "1", "55P02"), ("client_encoding", "LATIN1", "22023")):
        ask = wire.query(f"SELECT set_config('{name}', '{value}', false)")
        assert ["ErrorResponse", "ERROR", sqlstate] in ready.ask(ask)


def test_a_setting_that_goes_back_is_reported(ready):
    assert reported(ready, wire.query("BEGIN; SET LOCAL TimeZone = 'Europe/Paris'")) == [b"Europe/Paris"]
    assert reported(ready, wire.query("COMMIT")) == [b"UTC"]
    assert reported(ready, wire.query("BEGIN; SET TimeZone = 'Europe/Paris'; SAVEPOINT a")) == [b"Europe/Paris"]
    assert reported(ready, wire.query("SET TIME ZONE 'Asia/Tokyo'")) == [b"Asia/Tokyo"]
    assert reported(ready, wire.query("ROLLBACK TO a")) == [b"Europe/Paris"]
    ready.ask(wire.query("SELECT nothing"))
    assert reported(ready, wire.query("ROLLBACK")) == [b"UTC"]
    assert shown(ready, "TimeZone") == "UTC"
