"""A program that uses Python's sqlite3: one question a line, as JSON, one answer a line.

    ["load", PATH] · ["query", SQL] · ["exit"]: at once, nothing is closed · ["fork"]: a child closes what it has inherited
    ["child"]: the process id of one that does nothing until it is killed
    ["open2", PATH], ["query2", SQL], ["close2"]: another connection to the same file, with the extension
"""

import json
import os
import signal
import sqlite3
import sys


def fork(db):
    pid = os.fork()
    if pid == 0:
        db.close()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return [[os.waitstatus_to_exitcode(status)]]


def child():
    pid = os.fork()
    while pid == 0:
        signal.pause()
    return [[pid]]


def connect():
    # Nothing is begun unasked, and errors of text that is no UTF-8 are not the point here.
    db = sqlite3.connect(sys.argv[1], isolation_level=None)
    db.text_factory = lambda b: b.decode("utf-8", "replace")
    return db


def load(db, path):
    db.enable_load_extension(True)
    db.load_extension(path)
    db.enable_load_extension(False)


others = []


def answer(db, word, *rest):
    if word == "load":
        load(db, rest[0])
        return []
    if word == "open2":
        others.append(connect())
        load(others[0], rest[0])
        return []
    if word == "close2":
        others.pop().close()
        return []
    if word == "exit":
        sys.exit(0)
    if word == "fork":
        return fork(db)
    if word == "child":
        return child()
    db = others[0] if word == "query2" else db
    return [[v.hex() if isinstance(v, bytes) else v for v in row] for row in db.execute(rest[0])]


def main():
    db = connect()
    for line in sys.stdin:
        try:
            out = {"rows": answer(db, *json.loads(line))}
        except sqlite3.Error as e:
            out = {"error": str(e)}
        print(json.dumps(out), flush=True)
    db.close()


main()
