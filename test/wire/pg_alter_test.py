"""Schema changes over the PostgreSQL port on one node, seen on another: the same schema, rows and indexes there."""

import psycopg
import psycopg.pq
import pytest

import ha
import pg as pg_module


@pytest.fixture
def nodes(cluster, ha_only):  # pylint: disable=unused-argument
    """The same database, which enforces its foreign keys, on two nodes."""
    first = pg_module.start_node(cluster)
    second = pg_module.start_node(cluster, url=first.node)
    first = pg_module.fresh_database(first)
    ha.wait_until(lambda: any(d["id"] == first.database and d["state"] == "following" for d in second.node.status()["databases"]))
    return [first, second.but(database=first.database)]


def same(nodes):
    ha.assert_equal(*(t.node for t in nodes), db=nodes[0].database)
    for t in nodes:
        assert t.node.query("PRAGMA integrity_check", db=t.database).rows == [["ok"]]


def test_altered_here_read_there(nodes):
    a, b = nodes
    a.psql("CREATE TYPE mood AS ENUM ('sad', 'ok')",
           "CREATE TABLE p (id serial PRIMARY KEY, code text NOT NULL)",
           "CREATE TABLE t (id serial PRIMARY KEY, p_id integer, n text, m mood DEFAULT 'ok')",
           "INSERT INTO p (code) VALUES ('a'), ('b')",
           "INSERT INTO t (p_id, n) SELECT 1, g FROM generate_series(1, 100) AS g")
    same(nodes)
    a.psql("ALTER TABLE t ALTER COLUMN n TYPE integer USING n::integer, ALTER n SET DEFAULT 107, ADD CONSTRAINT t_p FOREIGN KEY (p_id) "
           "REFERENCES p (id) ON DELETE CASCADE, ADD made timestamptz NOT NULL DEFAULT now(), ADD UNIQUE (n)",
           "ALTER TABLE p ADD CONSTRAINT p_code UNIQUE (code), ALTER code TYPE varchar(10)",
           "ALTER TYPE mood ADD VALUE 'great' AFTER 'ok'",
           "BEGIN; ALTER TABLE t ADD x int; ALTER TABLE t ALTER x SET DEFAULT 3; ROLLBACK",
           "INSERT INTO t (p_id) VALUES (2) RETURNING n")
    same(nodes)
    assert b.value("SELECT count(*), sum(n), min(m) FROM t") == "101|5157|ok"
    # The other node goes by the new rules.
    assert "23505" in b.psql("\\set VERBOSITY verbose", "INSERT INTO t (n) VALUES (50)", check=False).stderr
    assert "23503" in b.psql("\\set VERBOSITY verbose", "INSERT INTO t (p_id, n) VALUES (9, 1000)", check=False).stderr
    b.psql("DELETE FROM p WHERE code = 'a'", "UPDATE t SET n = DEFAULT")
    same(nodes)
    assert a.value("SELECT count(*), min(n) FROM t") == "1|107"
    b.psql("ALTER TABLE t DROP CONSTRAINT t_p, DROP COLUMN p_id, DROP CONSTRAINT t_n_key", "DROP TABLE p CASCADE",
           "ALTER TABLE t RENAME CONSTRAINT t_pkey TO t_key")
    same(nodes)


def test_a_new_column_is_seen_by_who_was_connected_before(nodes):
    """Readers keep compiled statements; a schema change on another connection, or another node, gives them other columns."""
    a, b = nodes
    a.psql("CREATE TABLE t (id serial PRIMARY KEY, n int)", "INSERT INTO t (n) VALUES (1)")
    ha.wait_until(lambda: ha.synced(b.node))
    with psycopg.connect(**b.keywords(), autocommit=True) as c:
        c.prepare_threshold = None
        assert c.execute("SELECT * FROM t").fetchall() == [(1, 1)]
        assert c.execute("SELECT * FROM t WHERE n = %s", (1,)).fetchall() == [(1, 1)]
        for k, more in enumerate((b, a), 2):
            more.psql(f"ALTER TABLE t ADD COLUMN c{k} int DEFAULT {k}")
            ha.wait_until(lambda: ha.synced(b.node))
            expected = (1, 1, *range(2, k + 1))
            cursor = c.execute("SELECT * FROM t")
            assert len(cursor.description) == len(expected) and cursor.fetchall() == [expected]
            assert c.execute("SELECT * FROM t WHERE n = %s", (1,)).fetchall() == [expected]
            assert c.execute("UPDATE t SET n = n RETURNING *").fetchall() == [expected]


def test_a_prepared_statement_whose_columns_change_is_refused(nodes):
    a = nodes[0]
    a.psql("CREATE TABLE t (id serial PRIMARY KEY)", "INSERT INTO t DEFAULT VALUES")
    with psycopg.connect(**a.keywords()) as c:
        assert c.pgconn.prepare(b"s", b"SELECT * FROM t").status == psycopg.pq.ExecStatus.COMMAND_OK
        assert c.pgconn.describe_prepared(b"s").nfields == 1
        assert c.pgconn.exec_prepared(b"s", []).ntuples == 1
        a.psql("ALTER TABLE t ADD COLUMN x int")
        result = c.pgconn.exec_prepared(b"s", [])
        assert result.status == psycopg.pq.ExecStatus.FATAL_ERROR
        assert result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == b"0A000"
        assert c.pgconn.exec_(b"SELECT * FROM t").nfields == 2
