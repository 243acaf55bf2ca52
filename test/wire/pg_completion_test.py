"""Tab in psql: what it asks the server for names with has to be answered. psql swallows the errors of those queries, so
they are looked for between psql and the server."""

import os
import pty
import select
import time

import ha
import pg as pg_module
import wire

SCHEMA = os.path.join(pg_module.CLIENTS, "music.sql")

# Beginnings of what a person types; Tab is pressed twice behind each.
LINES = r"""
SELECT * FROM tr
UPDATE 
INSERT INTO 
DELETE FROM 
ALTER TABLE 
ALTER TABLE track ALTER COLUMN 
ALTER TABLE track DROP CONSTRAINT 
ALTER INDEX 
ALTER ROLE 
ALTER VIEW 
ALTER DATABASE 
ALTER FUNCTION 
ALTER TYPE 
ALTER SEQUENCE 
ALTER SCHEMA 
ALTER PUBLICATION 
ALTER EXTENSION 
ALTER SYSTEM SET 
ANALYZE 
CLUSTER 
CLOSE 
COMMENT ON TABLE 
COMMENT ON COLUMN 
COMMENT ON CONSTRAINT 
COPY 
CREATE INDEX x ON 
CREATE INDEX x ON track (
CREATE TRIGGER x BEFORE INSERT ON 
CREATE EXTENSION 
CREATE TABLE x (a 
CREATE DATABASE x TEMPLATE 
CREATE UNIQUE INDEX x ON track USING 
CREATE POLICY p ON 
CREATE RULE r AS ON INSERT TO 
CREATE PUBLICATION p FOR TABLE 
DEALLOCATE 
DECLARE 
DROP TABLE 
DROP VIEW 
DROP INDEX 
DROP TYPE 
DROP FUNCTION 
DROP AGGREGATE 
DROP TRIGGER 
DROP TRIGGER x ON 
DROP DATABASE 
DROP ROLE 
DROP EXTENSION 
DROP SCHEMA 
DROP SEQUENCE 
DROP POLICY 
DROP LANGUAGE 
DROP OPERATOR 
DROP COLLATION 
DROP CONVERSION 
DROP DOMAIN 
DROP FOREIGN TABLE 
DROP MATERIALIZED VIEW 
DROP SERVER 
DROP TEXT SEARCH CONFIGURATION 
DROP ACCESS METHOD 
DROP EVENT TRIGGER 
DROP PUBLICATION 
DROP SUBSCRIPTION 
DROP STATISTICS 
DROP CAST 
EXECUTE 
EXPLAIN SELECT * FROM 
FETCH NEXT FROM 
GRANT SELECT ON 
GRANT x TO 
IMPORT FOREIGN SCHEMA x FROM SERVER 
LISTEN 
LOCK 
NOTIFY 
REASSIGN OWNED BY 
REFRESH MATERIALIZED VIEW 
REINDEX TABLE 
REINDEX INDEX 
RESET 
SECURITY LABEL ON TABLE 
SELECT 
SELECT * FROM track WHERE 
SET 
SET search_path TO 
SET TimeZone TO 
SET ROLE 
SET SESSION AUTHORIZATION 
SHOW 
TABLE 
TRUNCATE 
UNLISTEN 
UPDATE track SET 
UPDATE track SET name = 
VACUUM 
WITH x AS (SELECT * FROM 
\c 
\d 
\d track
\da 
\dA 
\db 
\dc 
\dconfig 
\dC 
\dd 
\dD 
\dE 
\des 
\det 
\deu 
\dew 
\df 
\dF 
\dFd 
\dFp 
\dFt 
\dg 
\di 
\dL 
\dm 
\dn 
\do 
\dO 
\dp 
\dP 
\ds 
\dS 
\dt 
\dt public.
\dT 
\du 
\dv 
\dx 
\dy 
\ef 
\ev 
\encoding 
\sf 
\sv 
\h 
\pset 
\password 
SELECT * FROM public.
SELECT * FROM pg_catalog.pg_cl
SELECT * FROM information_schema.
ALTER TABLE public.
INSERT INTO track (
ALTER TABLE track VALIDATE CONSTRAINT 
ALTER TABLE track INHERIT 
ALTER TABLE track ENABLE TRIGGER 
ALTER TABLE track SET SCHEMA 
ALTER TABLE track OWNER TO 
ALTER TABLE track SET TABLESPACE 
ALTER TABLE track RENAME COLUMN 
ALTER TABLE track ADD CONSTRAINT x UNIQUE USING INDEX 
MERGE INTO 
CALL 
SELECT * FROM track FOR UPDATE OF 
PREPARE TRANSACTION 
ROLLBACK PREPARED 
COMMIT PREPARED 
""".strip("\n").split("\n")

# No pager and no question before a long list.
INPUTRC = """set completion-query-items -1
set page-completions off
set enable-bracketed-paste off
"""


class Terminal:
    """psql on a terminal of its own."""

    def __init__(self, target, directory):
        inputrc = os.path.join(directory, "inputrc")
        with open(inputrc, "w", encoding="utf-8") as f:
            f.write(INPUTRC)
        environment = {**target.environment(), "TERM": "dumb", "PAGER": "cat", "INPUTRC": inputrc, "PSQL_HISTORY": "/dev/null"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe("psql", ["psql", "-X"], environment)

    def type(self, data):
        os.write(self.fd, data)

    def until(self, text, deadline_s=30):
        out, end = b"", time.monotonic() + deadline_s * ha.SLOW
        while text not in out:
            if not select.select([self.fd], [], [], max(0, end - time.monotonic()))[0]:
                raise ha.Timeout(f"psql did not say {text!r}; last: {out[-500:]!r}")
            out += os.read(self.fd, 65536)
        return out

    def close(self):
        self.type(b"\\q\n")
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:  # the other end of the terminal is closed
            pass
        os.close(self.fd)
        assert os.waitpid(self.pid, 0)[1] == 0


def test_completion_asks_nothing_that_fails(pg, tmp_path):
    pg.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", SCHEMA)
    proxy = wire.Recorder(pg.port)
    terminal = Terminal(pg.but(port=proxy.port), str(tmp_path))
    terminal.until(b"=> ")
    asked, failed, shown, seen = 0, [], b"", 0
    for i, line in enumerate(LINES):
        terminal.type(line.encode() + b"\t\t")
        # The line is taken back. The quotes tell the command from what it prints.
        terminal.type(b"\x01\x0b\\echo do'ne'-%d-\n" % i)
        shown += terminal.until(b"done-%d-\r\n" % i)
        messages = [m for log in proxy.connections for m in log][seen:]
        seen += len(messages)
        asked += sum(side == "c" and kind == "Q" for side, kind, _ in messages)
        failed += [(line, body) for side, kind, body in messages if side == "s" and kind == "E"]
    terminal.close()
    assert not failed, failed
    assert asked > len(LINES), "psql hardly asked: is it built with readline?"
    for name in (b"track_album", b"playlist_track", b"long_tracks", b"unit_price"):
        assert name in shown, f"{name} was never offered"
