"""psql and pg_dump: what a person types."""

import os

import pytest

import pg as pg_module

SCHEMA = os.path.join(pg_module.CLIENTS, "music.sql")
TABLES = ["album", "artist", "customer", "employee", "genre", "invoice", "invoice_line", "media_type", "playlist",
          "playlist_track", "track"]
ROWS = 100000


@pytest.fixture
def music(pg):
    pg.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", SCHEMA)
    return pg


def test_output_formats(pg):
    pg.psql("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c DOUBLE PRECISION)",
            "INSERT INTO t VALUES (1, 'one', 1.5), (2, NULL, 2)")
    got = pg.psql("SELECT * FROM t ORDER BY a", flags=()).stdout
    assert got == (" a |  b  |  c  \n---+-----+-----\n 1 | one | 1.5\n 2 |     |   2\n(2 rows)\n\n")
    got = pg.psql("SELECT * FROM t WHERE a = 1", flags=("-x",)).stdout
    assert got == "-[ RECORD 1 ]\na | 1\nb | one\nc | 1.5\n\n"
    assert pg.psql("SELECT a FROM t WHERE a > 5", flags=()).stdout == " a \n---\n(0 rows)\n\n"
    assert pg.psql("UPDATE t SET b = 'x'", flags=()).stdout == "UPDATE 2\n"


def test_script_with_transactions(pg):
    script = """\\set ON_ERROR_STOP 0
CREATE TABLE t (a INTEGER PRIMARY KEY);
BEGIN;
INSERT INTO t VALUES (1);
INSERT INTO t VALUES (1);
SELECT 1;
COMMIT;
BEGIN;
INSERT INTO t VALUES (2);
SAVEPOINT s;
INSERT INTO t VALUES (3);
ROLLBACK TO s;
COMMIT;
SELECT a FROM t;
"""
    p = pg.run("psql", "-X", "-At", stdin=script)
    assert p.stdout.split("\n") == ["CREATE TABLE", "BEGIN", "INSERT 0 1", "ROLLBACK", "BEGIN", "INSERT 0 1", "SAVEPOINT",
                                    "INSERT 0 1", "ROLLBACK", "COMMIT", "2", ""]
    assert p.stderr.count("ERROR:") == 2 and "current transaction is aborted" in p.stderr


def test_error_position(pg):
    p = pg.run("psql", "-X", "-c", "SELECT 1 +\n  FROM nowhere missing here", check=False)
    assert p.returncode == 1 and "ERROR:  " in p.stderr and "LINE 2:" in p.stderr and "^" in p.stderr
    p = pg.run("psql", "-X", "-v", "VERBOSITY=verbose", "-c", "SELECT * FROM missing", check=False)
    assert "ERROR:  42P01:" in p.stderr


def test_gdesc_gexec_and_variables(pg):
    pg.psql("CREATE TABLE t (a INTEGER, b TEXT)")
    got = pg.run("psql", "-X", "-At", stdin="SELECT a, b FROM t \\gdesc\n").stdout
    assert [line.split("|")[0] for line in got.split()] == ["a", "b"] and "text" in got
    got = pg.run("psql", "-X", "-At", stdin="""
\\set n 42
SELECT :n, :'n';
SELECT 'SELECT ' || 7 \\gexec
SELECT 5 AS five \\gset
\\echo :five
""").stdout
    assert got == "42|42\n7\n5\n"


def test_fetch_count(pg):
    """psql then declares a cursor and fetches from it."""
    pg.psql("CREATE TABLE t (a INTEGER)")
    pg.run("psql", "-X", "-q", stdin="COPY t FROM STDIN;\n" + "".join(f"{i}\n" for i in range(1000)) + "\\.\n")
    got = pg.run("psql", "-X", "-At", "-v", "FETCH_COUNT=64", "-c", "SELECT a FROM t ORDER BY a").stdout
    assert got == "".join(f"{i}\n" for i in range(1000))


def test_copy_files(pg, tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    with open(source, "w", encoding="utf-8") as f:
        f.write("id,name,score\n")
        for i in range(ROWS):
            f.write(f'{i},"name ""{i}""",{i / 8!r}\n')
    pg.psql("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, score DOUBLE PRECISION)")
    assert pg.psql(f"\\copy t from '{source}' csv header").stdout == f"COPY {ROWS}\n"
    assert pg.value("SELECT count(*), min(id), max(id) FROM t") == f"{ROWS}|0|{ROWS - 1}"
    assert pg.psql(f"\\copy (select * from t order by id limit 10) to '{target}' csv header").stdout == "COPY 10\n"
    assert target.read_text().split("\n")[:3] == ["id,name,score", '0,"name ""0""",0', '1,"name ""1""",0.125']


def test_describe_every_table(music):
    listed = music.psql("\\dt").stdout
    assert [line.split("|")[1] for line in listed.split()] == TABLES
    for table in TABLES:
        out = music.psql(f"\\d {table}", flags=()).stdout
        assert f'Table "public.{table}"' in out and "Column" in out and "Indexes:" in out, out
    track = music.psql("\\d track", flags=()).stdout
    assert "track_id" in track and "not null" in track
    assert "artist" in music.psql("\\d+ album", flags=()).stdout
    for command in ("\\d", "\\dv", "\\di", "\\l", "\\df", "\\du", "\\dn", "\\ds", "\\dt+", "\\dT"):
        music.psql(command)
    assert "long_tracks" in music.psql("\\dv").stdout
    assert "track_album" in music.psql("\\di").stdout
    assert music.database in music.psql("\\l").stdout


# All that psql 15 can describe, plainly, with + and with S.
DESCRIBE = """d da dA dAc dAf dAo dAp db dc dC dconfig dd dD ddp dE des det deu dew dF dFd dFp dFt df dfn dfa dft dfw dfp dg
di dl dL dm dn do dO dp dP dPi dPt drds dRp dRs ds dt dT du dv dx dX dy l z dti dtvi dtvs""".split()
DESCRIBE_ONE = ["d track", "d+ track", 'd "track"', "d long_tracks", "d+ long_tracks", "d track_album", "d+ track_album", "d t*",
                "dt *.*", "dt public.*", "di track*", "dp track", "z track", "df now", "df+ now", "do +", "dT int4", "dC int4",
                "dn public", "dn+ public", "db pg*", "l postgres", "du tester", "da count", "dy x", "dx plpgsql", "dv *track*",
                "dd track", "dconfig work_mem", "sv long_tracks", "sv+ long_tracks", "sf lower", "conninfo", "encoding", "lo_list"]


@pytest.mark.parametrize("suffix", ["", "+", "S"])
def test_everything_that_describes(music, suffix):
    """Each answers, with nothing where there is nothing, and none of its queries fails."""
    commands = [c + suffix for c in DESCRIBE] + (DESCRIBE_ONE if suffix == "" else [])
    script = "".join(f"\\echo {c}\n\\{c}\n" for c in commands)
    p = music.run("psql", "-X", "-v", "ON_ERROR_STOP=0", stdin=script)
    assert "ERROR:" not in p.stderr, p.stderr
    if suffix == "":  # + and S do not go with every letter
        assert "invalid command" not in p.stderr, p.stderr
        assert 'TABLE "invoice_line" CONSTRAINT' in p.stdout and "SELECT" in p.stdout.split("sv long_tracks")[1]


def test_other_commands(music):
    got = music.run("psql", "-X", "-At", stdin="""
SELECT media_type_id, genre_id, count(*) FROM track WHERE genre_id IN (1, 2) GROUP BY 1, 2 ORDER BY 1, 2 \\crosstabview
SELECT genre_id FROM genre ORDER BY genre_id LIMIT 1 \\gx
SELECT 'x' \\g (format=unaligned)
SELECT * FROM nowhere;
\\errverbose
\\conninfo
""")
    assert got.stdout.startswith("1|2|1\n"), got.stdout
    assert "genre_id|1" in got.stdout and f'database "{music.database}" as user "{music.user}"' in got.stdout
    assert got.stderr.count("42P01") == 1  # of \\errverbose
    assert music.run("pg_isready").stdout.strip().endswith("accepting connections")
    assert music.database in music.run("psql", "-X", "-At", "-l").stdout


def test_password_command_fails_clearly(pg, ha_only):
    """\\password hashes the new password and says ALTER USER; users are the node's configuration."""
    p = pg.run("psql", "-X", "-c", "ALTER USER tester PASSWORD 'SCRAM-SHA-256$4096:x'", check=False)
    assert p.returncode == 1 and "--pg-users" in p.stderr, p.stderr


def test_describe_foreign_keys(music):
    track = music.psql("\\d track", flags=()).stdout
    assert "Foreign-key constraints:" in track and "album(album_id)" in track


def test_queries_of_a_real_schema(music):
    got = music.value("SELECT a.name, count(*) FROM artist a JOIN album b ON b.artist_id = a.artist_id"
                      " GROUP BY a.name ORDER BY count(*) DESC, a.name LIMIT 1")
    assert got == "The Borders|3"
    got = music.value("SELECT sum(l.unit_price * l.quantity) FROM invoice_line l JOIN invoice i USING (invoice_id)"
                      " WHERE i.customer_id = 1")
    assert float(got) == pytest.approx(4.95)
    assert music.value("SELECT count(*) FROM long_tracks") == "2"


def test_ha_commands(pg, ha_only):
    assert pg.database in pg.psql("SHOW DATABASES").stdout
    pg.psql("CREATE DATABASE another_one")
    assert "another_one" in pg.psql("SHOW DATABASES").stdout
    other = pg.but(database="another_one")
    other.psql("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (5)")
    got = pg.run("psql", "-X", "-At", stdin="SET DATABASE TO another_one;\nSELECT a FROM t;\n").stdout
    assert got.split("\n")[-2] == "5"
    pg.psql("DROP DATABASE another_one")
    p = other.psql("SELECT 1", check=False)
    assert p.returncode == 2 and "another_one" in p.stderr


def test_pg_dump_is_refused(music, ha_only):
    p = music.run("pg_dump", "--schema-only", check=False)
    assert p.returncode != 0
    # Whoever tries it learns what to do instead, not which catalog is missing.
    assert "download" in p.stderr.lower() or "ha " in p.stderr, p.stderr
