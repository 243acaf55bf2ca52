"""Nodes that write at the same time hand their transactions over to one of them: clients get the answers that their own node
would have given."""

import pytest

from handover import Crowd, beside, database, handed_over, run_for_others, runner_of, three, until_handed_over
from ha import CATCH_UP_S, HttpError, assert_equal, blob, statement, wait_until

NUMBERS = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT UNIQUE, v)"


def metric(node, name):
    for line in node.get("/metrics").body.decode().splitlines():
        if line.startswith(f'{name}{{db="ha.db"}} '):
            return float(line.split()[-1])
    raise AssertionError(f"{name} is not among the metrics of {node.name}")


class Readers(Crowd):
    """After each write the same client reads it at its own node, which has not waited for it."""

    def write(self, node, number):
        super().write(node, number)
        n = node.query(f"SELECT count(*) FROM {self.table} WHERE n = ?", [number]).value
        assert n == 1, f"{node.name} has told of {number} and has it {n} times"


def test_all_write_and_none_starves(cluster):
    nodes = three(cluster)
    with Readers(nodes) as crowd:
        runner_of(nodes)
        begin = {n.name: len(crowd.told[n.name]) for n in nodes}
        crowd.wait(150)
        done = {n.name: len(crowd.told[n.name]) - begin[n.name] for n in nodes}
        runner_of(nodes)
    # What a node gets beside the others; a runner that served itself first would leave them nearly nothing.
    assert min(done.values()) * 10 >= max(done.values()), done
    total = sum(handed_over(n) for n in nodes)
    assert total > 0 and sum(run_for_others(n) for n in nodes) >= total
    for n in nodes:
        d = database(n)
        assert d["divergences"] == 0 and d["apply_errors"] == 0 and d["restores"] == 0, d
        assert metric(n, "ha_tx_handed_over_total") == d["handed_over"]
        assert metric(n, "ha_tx_run_for_others_total") == d["run_for_others"]
    assert_equal(*nodes)
    told = sorted((number, name) for name, numbers in crowd.told.items() for number in numbers)
    for n in nodes:
        assert sorted(map(tuple, n.query("SELECT n, node FROM crowd").rows)) == told, n.name


def test_a_lone_writer_runs_its_own(cluster):
    """Once the others are quiet nothing is handed over any more."""
    nodes = three(cluster, NUMBERS)
    with Crowd(nodes):
        runner_of(nodes)

    def look():
        before = handed_over(nodes[0])
        for _ in range(20):
            nodes[0].retrying(lambda: nodes[0].query("INSERT INTO t(v) VALUES (1)"))
        return handed_over(nodes[0]) == before

    wait_until(look, CATCH_UP_S, "a node that writes alone does so by itself")


def refused(node, body):
    """The problem that a request ends with."""
    try:
        node.retrying(lambda: node.post("/query", body))
    except HttpError as e:
        return e.status, e.sqlstate, e.problem
    raise AssertionError(f"{body!r} did not fail")


@pytest.fixture
def busy(cluster):
    """Two nodes write all the time; the third, which is yielded, does what the test does: see its until_handed_over()."""
    nodes = three(cluster, NUMBERS, "INSERT INTO t(k, v) VALUES ('taken', 0)",
                  "CREATE TABLE c (id INTEGER PRIMARY KEY, n INT CHECK (n >= 0))", "INSERT INTO c VALUES (1, 0)",
                  "CREATE TABLE x (i INTEGER, r REAL, s TEXT, b BLOB, n)")
    with Crowd(nodes[:2]) as crowd:
        nodes[2].until_handed_over = lambda call: until_handed_over(nodes[2], call, crowd)
        nodes[2].beside = lambda call: beside(call, crowd)
        yield nodes[2]
        crowd.raise_errors()
    assert_equal(*nodes)


def test_rows_affected_and_last_insert_id(busy):
    def insert(i):
        r = busy.retrying(lambda: busy.query("INSERT INTO t(k, v) VALUES (?, ?)", [f"k{i}", i]))
        assert r.rows_affected == 1
        assert busy.query("SELECT id FROM t WHERE k = ?", [f"k{i}"]).value == r.last_insert_id

    count = busy.until_handed_over(insert)

    def update(_):
        r = busy.retrying(lambda: busy.query("UPDATE t SET v = v + 1 WHERE k LIKE 'k%'"))
        assert r.rows_affected == count

    busy.until_handed_over(update)

    def nothing(_):
        assert busy.retrying(lambda: busy.query("UPDATE t SET v = 1 WHERE k = 'nobody'")).rows_affected == 0

    busy.until_handed_over(nothing)


def test_values_of_all_classes(busy):
    rows = [[9223372036854775807, 1.5, "", blob(b""), None], [-9223372036854775808, -0.0, "ä\n☃", blob(b"\0\xff"), 7],
            [0, 1e308, "x" * 3000, blob(bytes(range(256)) * 8), "text"], [1, 5e-324, "0", blob(b"1"), 2.5],
            [None, None, None, None, None]]

    def insert(i):
        row = rows[i % len(rows)]
        r = busy.retrying(lambda: busy.query(
            "INSERT INTO x VALUES (?, ?, ?, ?, ?) RETURNING i, r, s, b, n, typeof(i), typeof(r), typeof(s), typeof(b), typeof(n),"
            " i AS \"a name\"", row))
        assert r.columns[:5] == ["i", "r", "s", "b", "n"] and r.columns[10] == "a name", r.columns
        again = busy.query("SELECT i, r, s, b, n, typeof(i), typeof(r), typeof(s), typeof(b), typeof(n), i AS \"a name\" FROM x"
                           " WHERE rowid = (SELECT max(rowid) FROM x)")
        assert r.rows == again.rows, (r.rows, again.rows)
        if row[0] is not None:
            assert r.rows[0][5:10] == ["integer", "real", "text", "blob", ["null", "integer", "text", "real"][i % len(rows)]]
            assert r.rows[0][0] == row[0] and r.rows[0][2] == row[2]

    for first in range(len(rows)):  # each of them was run elsewhere
        busy.until_handed_over(lambda _, first=first: insert(first))
    busy.until_handed_over(insert)

    def infinite(_):
        r = busy.retrying(lambda: busy.query("INSERT INTO x(r, s) VALUES (9e999, '') RETURNING r > 1e308, typeof(r), s"))
        assert r.rows == [[1, "real", ""]]

    busy.until_handed_over(infinite)


def test_parameters(busy):
    def named(i):
        r = busy.retrying(lambda: busy.query("INSERT INTO t(k, v) VALUES (:k, @v) RETURNING k, v, :k || $w",
                                             {"k": f"named{i}", "v": i, "w": "!"}))
        assert r.rows == [[f"named{i}", i, f"named{i}!"]]

    def numbered(i):
        r = busy.retrying(lambda: busy.query("INSERT INTO t(k, v) VALUES (?2, ?1) RETURNING k, v, ?2 || ?1", [i, f"numbered{i}"]))
        assert r.rows == [[f"numbered{i}", i, f"numbered{i}{i}"]]

    def wrong(_):
        status, _, problem = refused(busy, statement("INSERT INTO t(k, v) VALUES (?, ?)", [1, 2, 3]))
        assert status == 400 and problem["code"] == "PARAM", problem

    busy.until_handed_over(named)
    busy.until_handed_over(numbered)
    busy.beside(wrong)


def test_arrays_are_one_transaction(busy):
    def several(i):
        results = busy.retrying(lambda: busy.batch([
            ("INSERT INTO t(k, v) VALUES (?, ?)", [f"s{i}", i]), "SELECT max(id) FROM t WHERE k LIKE 's%'",
            "UPDATE c SET n = n + 1", ("SELECT v FROM t WHERE k = ?", [f"s{i}"]), "SELECT last_insert_rowid()"]))
        assert results[0].rows_affected == 1 and results[2].rows_affected == 1
        assert results[1].value == results[0].last_insert_id == results[4].value
        assert results[3].value == i
        assert busy.query("SELECT n FROM c").value == i + 1

    count = busy.until_handed_over(several)

    def fails(i):
        status, sqlstate, problem = refused(busy, [statement("UPDATE c SET n = n + 1"), statement("SELECT 1"),
                                                   statement("INSERT INTO t(k) VALUES (?)", ["taken"]),
                                                   statement("UPDATE c SET n = n + 1")])
        assert (status, sqlstate, problem["code"], problem["statement"]) == (409, "23505", "UNIQUE", 2), problem
        assert "t.k" in problem["detail"], problem
        assert busy.query("SELECT n FROM c").value == count, "a part of a transaction that failed is there"

    busy.until_handed_over(fails)


def test_errors_of_the_data(busy):
    """They are the same anywhere, and are taken from the node that has met them."""
    for body, sqlstate in ((statement("INSERT INTO t(k) VALUES ('taken')"), "23505"), (statement("UPDATE c SET n = -1"), "23514")):
        answers = []

        def call(_, body=body, sqlstate=sqlstate, answers=answers):
            status, found, problem = refused(busy, body)
            assert (status, found) == (409, sqlstate) and problem.get("statement", 0) == 0, problem
            assert not answers or problem == answers[0], "another node words it differently"
            answers.append(problem)

        busy.until_handed_over(call)


def test_errors_of_the_text(busy):
    """The client's own node has the last word about these, with offsets that count from the text's beginning."""
    before = "INSERT INTO t(v) VALUES (1); UPDATE c SET n = n + 1;\n"
    bad = "INSERT INTO t(v) VALUES (nosuch)"
    for sql, sqlstate, offset in ((bad, "42703", bad.index("nosuch")), ("INSERT INTO nosuch VALUES (1)", "42P01", None),
                                  ("  INSERT INTO t(k) VALUEZ (1)", "42601", len("  INSERT INTO t(k) ")),
                                  (before + bad, "42703", len(before) + bad.index("nosuch"))):
        def call(_, sql=sql, sqlstate=sqlstate, offset=offset):
            _, found, problem = refused(busy, statement(sql))
            assert found == sqlstate, problem
            if offset is not None:
                assert problem["offset"] == offset, problem

        busy.beside(call)


def test_what_only_its_own_node_can_do(busy):
    """DDL and what is too long to travel is run at home, between what is handed over."""
    def call(i):
        busy.retrying(lambda: busy.query("INSERT INTO t(v) VALUES (?)", ["short"]))
        assert busy.retrying(lambda: busy.query("INSERT INTO x(s) VALUES (?)", ["y" * 200000])).rows_affected == 1
        r = busy.retrying(lambda: busy.query("INSERT INTO x(i, s) VALUES (?, '') RETURNING i, hex(zeroblob(300000))", [i]))
        assert r.rows[0][0] == i and len(r.rows[0][1]) == 600000
        busy.retrying(lambda: busy.query(f"CREATE TABLE ddl{i} (a)"))
        busy.retrying(lambda: busy.query(f"INSERT INTO ddl{i} VALUES (1)"))
        assert busy.query(f"SELECT a FROM ddl{i}").value == 1

    count = busy.until_handed_over(call)
    assert busy.query("SELECT count(*) FROM x WHERE length(s) = 200000").value == count


def test_seq_and_reads_elsewhere(busy, cluster):
    """HA-Seq of a write that was handed over is where it stands: whoever asks for that position finds it."""
    others = [p for p in cluster.processes if getattr(p, "join", None) and p is not busy]

    def call(i):
        r = busy.retrying(lambda: busy.post("/query", statement("INSERT INTO t(k) VALUES (?)", [f"seq{i}"])))
        seq = r.headers["HA-Seq"]
        assert int(seq) > 0
        for n in others:
            found = n.query("SELECT count(*) FROM t WHERE k = ?", [f"seq{i}"], headers={"HA-Min-Seq": seq})
            assert found.value == 1, n.name

    busy.until_handed_over(call)
    assert len(others) == 2
