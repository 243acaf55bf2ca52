"""A program that uses Python's sqlite3: one question a line, as JSON, one answer a line.

    ["load", PATH] · ["query", SQL] · ["exit"]: at once, nothing is closed · ["fork"]: a child closes what it has inherited
"""

import json
import os
import sqlite3
import sys


def fork(db):
    pid = os.fork()
    if pid == 0:
        db.close()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return [[os.waitstatus_to_exitcode(status)]]


def answer(db, word, *rest):
    if word == "load":
        db.enable_load_extension(True)
        db.load_extension(rest[0])
        db.enable_load_extension(False)
        return []
    if word == "exit":
        sys.exit(0)
    if word == "fork":
        return fork(db)
    return [[v.hex() if isinstance(v, bytes) else v for v in row] for row in db.execute(rest[0])]


def main():
    # Nothing is begun unasked, and errors of text that is no UTF-8 are not the point here.
    db = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.text_factory = lambda b: b.decode("utf-8", "replace")
    for line in sys.stdin:
        try:
            out = {"rows": answer(db, *json.loads(line))}
        except sqlite3.Error as e:
            out = {"error": str(e)}
        print(json.dumps(out), flush=True)
    db.close()


main()
