"""Starts real nodes and real nats-servers on loopback, talks HTTP to them and compares what they hold.

    with Cluster() as c:
        a, b = c.nodes(2)
        a.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
        assert_equal(a, b)

Every process has a directory and ports of its own, so tests run side by side. Nothing here waits for a fixed time:
wait_until() looks again and again until its deadline, which HA_TEST_SLOW (set under sanitizers) stretches.
A Cluster checks at its end that every process it started ended the way it was told to, and that no sanitizer had
anything to say; conftest.py puts the logs of its processes under a failed test.
"""

import base64
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from urllib.parse import quote

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("HA_BINARY") or os.path.join(ROOT, os.environ.get("BUILD", "build"), "test/ha")
SLOW = float(os.environ.get("HA_TEST_SLOW") or 1)

READY_S = 30  # from start to /readyz
CATCH_UP_S = 60  # until a node holds what another has
STOP_S = 30  # from SIGTERM to the end
REQUEST_S = 60  # of one HTTP request
LOG_TAIL = 6000  # characters of a log shown under a failed test

# Below the ports that the kernel gives to outgoing connections.
PORTS = range(10000, 32000)
SANITIZER = re.compile(r"(ERROR: AddressSanitizer|ERROR: LeakSanitizer|WARNING: ThreadSanitizer|runtime error: )")

NATS_SERVER = os.environ.get("HA_NATS_SERVER") or "nats-server"

# Failures that tell: nothing of it was committed, and trying again may help (see src/base/err.h).
RETRY_SQLSTATES = {"40001", "55P03", "57P03", "57P01", "53300"}


class Timeout(AssertionError):
    pass


def wait_until(condition, deadline_s=CATCH_UP_S, what=None):
    """Calls condition() until it answers something true, and answers that; Timeout at the deadline.

    An exception of condition() counts as "not yet"; the last one is shown with the Timeout.
    """
    end = time.monotonic() + deadline_s * SLOW
    pause, last = 0.002, None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = f"last answer: {value!r}"
        except Timeout:
            raise
        except Exception as e:  # pylint: disable=broad-except
            last = f"last error: {e!r}"
        if time.monotonic() >= end:
            raise Timeout(f"{what or 'condition'} not met within {deadline_s * SLOW:.0f} s; {last}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def compiled(source, target, *flags):
    """Builds a C program, or with -shared a library, that a test needs: the target's path."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, f"no C compiler to build {source} with"
    subprocess.run([compiler, "-O1", "-D_GNU_SOURCE", "-Wall", "-o", target, source, *flags, "-ldl"], check=True)
    return target


# ---- ports -----------------------------------------------------------------------------------------------------

_held_ports = []


def free_port():
    """A port nobody listens on, kept from all other test processes of this machine until this one ends.

    The claim is an abstract unix socket named after the port: atomic, and gone with its process.
    """
    while True:
        port = random.choice(PORTS)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0ha-test-port-{port}")
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        finally:
            probe.close()
        _held_ports.append(claim)
        return port


# ---- HTTP ------------------------------------------------------------------------------------------------------


class HttpError(Exception):
    """An answer that is no success. `sqlstate` is "" where the body had none."""

    def __init__(self, node, status, headers, body):
        self.node, self.status, self.headers, self.body = node, status, headers, body
        try:
            self.problem = json.loads(body)
        except ValueError:
            self.problem = {}
        if not isinstance(self.problem, dict):
            self.problem = {}
        self.sqlstate = str(self.problem.get("sqlstate") or "")
        super().__init__(f"{node}: HTTP {status}: {body[:500].decode('utf-8', 'replace')}")

    @property
    def may_retry(self):
        """Known to have changed nothing, and worth another try."""
        return self.sqlstate in RETRY_SQLSTATES

    @property
    def outcome_unknown(self):
        return self.status >= 500 and not self.may_retry


class ConnectionLost(Exception):
    """The connection broke before the whole answer was there: a write's outcome is unknown."""


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Loopback:
    """Where processes run and are reached: this machine. A host in a network of its own (test/chaos/network.py) has the
    same methods."""

    address = "127.0.0.1"

    @staticmethod
    def command(argv):
        return argv

    @staticmethod
    def connect(port, timeout_s):
        return socket.create_connection(("127.0.0.1", port), timeout_s)


class Http:
    """Keep-alive connections to one address, one for each thread."""

    def __init__(self, name, port, token=None, host=Loopback, timeout_s=REQUEST_S):
        self.name, self.port, self.token, self.host, self.timeout_s = name, port, token, host, timeout_s
        self.local = threading.local()

    def close(self):
        connection = getattr(self.local, "connection", None)
        if connection:
            connection.close()
            self.local.connection = None

    def request(self, method, path, body=None, headers=None, timeout_s=None):
        """Answers a Response with whatever status; ConnectionLost where there was no whole answer."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        elif isinstance(body, str):
            body = body.encode()
        connection = getattr(self.local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port)
            self.local.connection = connection
        try:
            if connection.sock is None:
                connection.sock = self.host.connect(self.port, (timeout_s or self.timeout_s) * SLOW)
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.request(method, path, body, headers)
            r = connection.getresponse()
            return Response(r.status, r.headers, r.read())
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise ConnectionLost(f"{self.name}: {method} {path}: {e!r}") from e

    def ok(self, method, path, body=None, headers=None, timeout_s=None):
        r = self.request(method, path, body, headers, timeout_s)
        if not 200 <= r.status < 300:
            raise HttpError(self.name, r.status, r.headers, r.body)
        return r


class Result:
    """Of one statement: columns and rows as JSON gave them, integers exact."""

    def __init__(self, value):
        self.columns, self.rows = value["columns"], value["rows"]

    @property
    def value(self):
        assert len(self.rows) == 1 and len(self.rows[0]) == 1, self.rows
        return self.rows[0][0]

    @property
    def rows_affected(self):
        assert self.columns == ["rows_affected", "last_insert_id"], self.columns
        return self.rows[0][0]

    @property
    def last_insert_id(self):
        assert self.columns == ["rows_affected", "last_insert_id"], self.columns
        return self.rows[0][1]


def blob(data):
    """A blob parameter."""
    return {"type": "blob", "base64": base64.b64encode(data).decode()}


def database_path(db):
    return "/query" if db is None else f"/databases/{quote(db, safe='')}"


def statement(sql, params=None):
    return {"sql": sql} if params is None else {"sql": sql, "params": params}


# ---- processes -------------------------------------------------------------------------------------------------


class Process:
    """A child with its log in a file; knows whether it was told to end."""

    own_session = False  # otherwise it is in that of the test run, which ends with all that is in it

    def __init__(self, name, directory, host=Loopback):
        self.name, self.directory, self.host = name, directory, host
        self.log_path = os.path.join(directory, f"{name}.log")
        self.process = None
        self.may_die = False  # a test that arms a fault point says so

    def spawn(self, argv, env=None, cwd=None):
        assert self.process is None, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            log.write(f"== {' '.join(argv)}\n".encode())
            log.flush()
            self.process = subprocess.Popen(self.host.command(argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                            cwd=cwd or self.directory, start_new_session=self.own_session)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def kill9(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number):
        self.process.send_signal(number)

    def terminate(self, deadline_s=STOP_S):
        """SIGTERM; answers the exit status."""
        p, self.process = self.process, None
        p.terminate()
        try:
            return p.wait(deadline_s * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
            raise Timeout(f"{self.name} did not end within {deadline_s * SLOW:.0f} s of SIGTERM") from None

    def wait_exit(self, deadline_s=STOP_S):
        """Waits for it to end by itself; answers the exit status (negative: the signal)."""
        try:
            status = self.process.wait(deadline_s * SLOW)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} still runs after {deadline_s * SLOW:.0f} s") from None
        self.process = None
        return status

    def complaint(self):
        """What is wrong with how it ended or what a sanitizer said; None if nothing is."""
        text = self.log() if os.path.exists(self.log_path) else ""
        found = SANITIZER.search(text)
        if found:
            return f"{self.name}: {text[found.start():found.start() + LOG_TAIL]}"
        if self.process is not None and self.process.poll() is not None and not self.may_die:
            return f"{self.name} ended by itself with status {self.process.returncode}"
        return None


class Node(Process):
    """One `ha` process.

    files: database files as on the command line, relative to the node's directory; none = the program's default.
    nats_port: 0 = no embedded server, None = an embedded one on a free port.
    url: --replication-url (a string, or a NatsServer or Node to join).
    """

    def __init__(self, name, directory, files=(), args=(), url=None, nats_port=None, port=None, env=None,
                 token=None, binary=None, memory=False, replicas=None, consistency=None, host=Loopback,
                 timeout_s=REQUEST_S):
        super().__init__(name, directory, host)
        self.files, self.args, self.env = list(files), list(args), dict(env or {})
        self.port = port or free_port()
        if nats_port is None:
            nats_port = free_port() if url is None else 0
        self.nats_port, self.join = nats_port, url
        self.memory, self.replicas, self.consistency = memory, replicas, consistency
        self.binary = binary or BINARY
        self.http = Http(name, self.port, token, host, timeout_s)
        self.token = token
        os.makedirs(directory, exist_ok=True)

    def arm_hold(self, point):
        """From its next start on hold() is possible there."""
        self.env["HA_FAULT"] = f"{point}=hold:{self._held}"

    def hold(self, bring=lambda: None):
        """Whoever comes to that fault point waits there until let_go(); bring() makes somebody come."""
        with open(self._held, "w", encoding="utf-8"):
            pass
        bring()
        wait_until(lambda: os.path.exists(self._held + ".here"), what=f"{self.name} comes to the fault point")

    def let_go(self):
        os.unlink(self._held)
        os.unlink(self._held + ".here")

    @property
    def _held(self):
        return os.path.join(self.directory, "held")

    @property
    def nats_url(self):
        return f"nats://127.0.0.1:{self.nats_port}"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def command(self):
        argv = [self.binary, "-n", self.name, "-p", str(self.port), "--nats-port", str(self.nats_port)]
        if self.nats_port:
            argv += ["--nats-store-dir", os.path.join(self.directory, "nats")]
        if self.join is not None:
            argv += ["--replication-url", self.join if isinstance(self.join, str) else self.join.nats_url]
        if self.replicas:
            argv += ["--replicas", str(self.replicas)]
        if self.consistency:
            argv += ["--consistency", self.consistency]
        if self.memory:
            argv += ["-m"]
        if self.token:
            argv += ["--token", self.token]
        return argv + self.args + self.files

    def start(self, wait=True):
        env = {k: v for k, v in os.environ.items() if not k.startswith("HA_")}
        env["HA_NATS_SERVER"] = NATS_SERVER
        env.update(self.env)
        self.spawn(self.command(), env)
        if wait:
            self.wait_ready()
        return self

    def restart(self, wait=True):
        if self.process is not None:
            status = self.terminate()
            assert status == 0, f"{self.name} ended with status {status} after SIGTERM"
        return self.start(wait)

    def ready(self, sync=False):
        return self.http.request("GET", "/readyz?sync" if sync else "/readyz").status == 200

    def wait_ready(self, deadline_s=READY_S):
        def look():
            if not self.running():
                raise Timeout(f"{self.name} ended with status {self.process.poll()} before it was ready\n"
                              f"{self.log()[-LOG_TAIL:]}")
            return self.ready()

        wait_until(look, deadline_s, f"{self.name}: /readyz")
        return self

    # -- requests

    def post(self, path, body, headers=None):
        return self.http.ok("POST", path, body, headers)

    def get(self, path, headers=None):
        return self.http.ok("GET", path, headers=headers)

    def query(self, sql, params=None, db=None, headers=None):
        """One statement, one Result."""
        return Result(self.post(database_path(db), statement(sql, params), headers).json())

    def batch(self, statements, db=None):
        """Statements (texts or (text, params)) in one transaction: their Results."""
        body = [statement(s) if isinstance(s, str) else statement(*s) for s in statements]
        return [Result(r) for r in self.post(database_path(db), body).json()["results"]]

    def script(self, *statements, db=None):
        """One after the other, each its own transaction."""
        for s in statements:
            try:
                # A text may hold several statements, and then answers several results.
                self.post(database_path(db), statement(*([s] if isinstance(s, str) else s)))
            except HttpError as e:
                raise AssertionError(f"{s!r}: {e}") from None

    def retrying(self, call, deadline_s=CATCH_UP_S):
        """call() until it succeeds; only failures that are known to have changed nothing are tried again."""
        end = time.monotonic() + deadline_s * SLOW
        while True:
            try:
                return call()
            except HttpError as e:
                if not e.may_retry or time.monotonic() > end:
                    raise

    def status(self):
        return self.get("/status").json()


def nats_child(node):
    """The pid of the nats-server that a node supervises; None while there is none."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                text = f.read()
        except OSError:
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        if name.startswith("nats-server") and int(text[text.rindex(")") + 2 :].split()[1]) == node.pid:
            return int(pid)
    return None


def stall(process, pid=None):
    """SIGSTOP, and none of its threads runs any more."""
    pid = pid or process.pid
    os.kill(pid, signal.SIGSTOP)

    def stopped():
        states = []
        for t in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{t}/stat", encoding="utf-8") as f:
                states.append(f.read().rsplit(")", 1)[1].split()[0])
        return all(s in "Tt" for s in states)

    wait_until(stopped, what=f"{process.name} is stopped")


def server_version():
    text = subprocess.run([NATS_SERVER, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(n) for n in re.search(r"(\d+)\.(\d+)\.(\d+)", text).groups())


class NatsServer(Process):
    """A nats-server with JetStream; in a cluster when it knows routes."""

    def __init__(self, name, directory, cluster=None, cluster_port=None, routes=(), port=None, host=Loopback, settings=""):
        super().__init__(name, directory, host)
        self.port, self.settings = port or free_port(), settings
        self.cluster, self.cluster_port, self.routes = cluster, cluster_port, list(routes)
        os.makedirs(directory, exist_ok=True)

    @property
    def nats_url(self):
        return f"nats://127.0.0.1:{self.port}"

    def start(self, wait=True):
        config = os.path.join(self.directory, "nats.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(self.config())
        self.spawn([NATS_SERVER, "-c", config])
        if wait:
            self.wait_ready()
        return self

    def config(self):
        """routes: ports on this machine, or host:port."""
        listen = self.host.address if self.host is Loopback else "0.0.0.0"
        text = (f'server_name: {self.name}\nlisten: "{listen}:{self.port}"\n'
                f'jetstream {{ store_dir: "{self.directory}/js" {self.settings} }}\n')
        if self.cluster:
            urls = ", ".join(f'"nats://{r if isinstance(r, str) else f"127.0.0.1:{r}"}"' for r in self.routes)
            text += (f'cluster {{ name: {self.cluster}, listen: "{self.host.address}:{self.cluster_port}", '
                     f'routes: [{urls}] }}\n')
        return text

    def wait_ready(self):
        def look():
            if not self.running():
                raise Timeout(f"{self.name} ended before it was ready\n{self.log()[-LOG_TAIL:]}")
            with self.host.connect(self.port, 2) as s:
                return s.recv(4) == b"INFO"

        wait_until(look, READY_S, f"{self.name}: listening")
        return self

    def jetstream_ready(self):
        """True once the account's JetStream answers, which in a cluster needs an elected leader."""
        with self.host.connect(self.port, 2) as s:
            inbox = f"_INBOX.{os.getpid()}.{random.getrandbits(48):x}"
            s.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n'
                      + f"SUB {inbox} 1\r\nPUB $JS.API.STREAM.NAMES {inbox} 0\r\n\r\nPING\r\n".encode())
            got = b""
            while b'"streams"' not in got and b'"total"' not in got:
                data = s.recv(65536)
                if not data or b'"error"' in got or b" 503" in got:
                    return False
                got += data
            return b'"error"' not in got


class Cluster:
    """What one test starts, in one temporary directory; stops and checks it all at the end."""

    live = []  # clusters that are open, for conftest.py

    def __init__(self, directory=None):
        self.directory = directory or tempfile.mkdtemp(prefix="ha-test-")
        self.processes = []
        self.lock = threading.Lock()
        Cluster.live.append(self)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close(check=kind is None)

    def _add(self, process):
        with self.lock:
            self.processes.append(process)
        return process

    def node(self, name=None, start=True, wait=True, **options):
        with self.lock:
            name = name or f"node{1 + sum(isinstance(p, Node) for p in self.processes)}"
        n = self._add(Node(name, os.path.join(self.directory, name), **options))
        if start:
            n.start(wait)
        return n

    def nodes(self, count, **options):
        """count nodes on one log: the first with the embedded NATS, the others join it."""
        first = self.node(**options)
        others = [self.node(url=first, wait=False, **options) for _ in range(count - 1)]
        for n in others:
            n.wait_ready()
        return [first] + others

    def nats(self, name=None, start=True, **options):
        with self.lock:
            name = name or f"nats{1 + sum(isinstance(p, NatsServer) for p in self.processes)}"
        s = self._add(NatsServer(name, os.path.join(self.directory, name), **options))
        if start:
            s.start()
        return s

    def nats_cluster(self, count=3):
        """count servers with routes to each other, ready to create streams with that many replicas."""
        routes = [free_port() for _ in range(count)]
        servers = [self.nats(f"nats{i + 1}", start=False, cluster="hatest", cluster_port=routes[i],
                             routes=routes[:i] + routes[i + 1:]) for i in range(count)]
        for s in servers:
            s.start(wait=False)
        for s in servers:
            s.wait_ready()
        for s in servers:
            wait_until(s.jetstream_ready, READY_S, f"{s.name}: JetStream with a leader")
        return servers

    def logs(self):
        """(name, end of the log) of every process, for a failed test."""
        return [(p.name, p.log()[-LOG_TAIL:]) for p in self.processes if os.path.exists(p.log_path)]

    def close(self, check=True):
        """Ends everything, nodes before the servers that they use; then raises what was wrong, if asked to."""
        wrong = [c for c in (p.complaint() for p in self.processes) if c]
        # What was started later may use what was started before it.
        for p in reversed(self.processes):
            if isinstance(p, Node):
                p.http.close()
            if not p.running():
                p.process = None
                continue
            try:
                status = p.terminate()
                if isinstance(p, Node) and status != 0:
                    wrong.append(f"{p.name} ended with status {status} after SIGTERM")
            except Timeout as e:
                wrong.append(str(e))
        wrong += [c for c in (p.complaint() for p in self.processes) if c and c not in wrong]
        if self in Cluster.live:
            Cluster.live.remove(self)
        logs = "".join(f"\n--- {name}\n{text}" for name, text in self.logs() if any(w.startswith(name) for w in wrong))
        shutil.rmtree(self.directory, ignore_errors=True)
        if wrong and check:
            raise AssertionError("\n".join(wrong) + logs)


# ---- comparing -------------------------------------------------------------------------------------------------


def download(node, path, db=None):
    """A consistent copy of a node's database, as its users get it."""
    r = node.get("/download" if db is None else f"/databases/{quote(db, safe='')}")
    with open(path, "wb") as f:
        f.write(r.body)
    return path


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def dump_file(path, rowids=True, generated=True):
    """Everything in a database file that replication promises: schema, pragmas, rows with their storage classes.

    {"schema": [...], "user_version": n, "application_id": n, "table t": sorted [(rowid, class, value, …), …]}
    The node's own ha_ tables are left out. Text is bytes, because it need not be valid UTF-8.
    """
    db = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
    db.text_factory = bytes
    try:
        out = {"user_version": db.execute("PRAGMA user_version").fetchone()[0],
               "application_id": db.execute("PRAGMA application_id").fetchone()[0]}
        schema = [r for r in db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")
                  if not r[1].startswith(b"ha_") and not r[2].startswith(b"ha_")]
        out["schema"] = sorted(schema, key=repr)
        tables = db.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type <> 'view'"
                            " AND name <> 'sqlite_schema'").fetchall()
        for name, _ in tables:
            if name.startswith(b"ha_"):
                continue
            table = name.decode()
            out[f"table {table}"] = dump_table(db, table, rowids, generated)
        return out
    finally:
        db.close()


def dump_table(db, table, rowids, generated):
    columns = [r[1].decode() for r in db.execute(f"PRAGMA table_xinfo({quoted(table)})")
               if r[6] != 1 and (generated or r[6] == 0)]
    cells = ", ".join(f"typeof({quoted(c)}), {quoted(c)}" for c in columns)
    hidden = {"rowid", "_rowid_", "oid"} - {c.lower() for c in columns}
    queries = [f"SELECT {cells} FROM {quoted(table)}"]
    # Rowids of these say in which order tables were first used, or looked at.
    own_rowids = table == "sqlite_sequence" or table.startswith("sqlite_stat")
    if rowids and hidden and not own_rowids:
        queries.insert(0, f"SELECT {min(hidden)}, {cells} FROM {quoted(table)}")
    for q in queries:
        try:
            rows = db.execute(q).fetchall()
            break
        except sqlite3.OperationalError as e:
            # WITHOUT ROWID tables have none, and virtual tables of a module that Python's SQLite lacks are
            # compared by their shadow tables.
            if "no such module" in str(e):
                return "module not available"
            if "no such column" not in str(e):
                raise
    if own_rowids:
        rows = [r for r in rows if not (isinstance(r[1], bytes) and r[1].startswith(b"ha_"))]
    return sorted(rows, key=repr)


def dump(node, db=None, rowids=True, generated=True):
    """dump_file() of a node's database, through GET /download."""
    fd, path = tempfile.mkstemp(suffix=".db", dir=node.directory)
    os.close(fd)
    try:
        return dump_file(download(node, path, db), rowids, generated)
    finally:
        os.unlink(path)


def difference(a, b):
    """Where two dumps differ, in a few lines; "" if they do not."""
    lines = []
    for key in sorted(set(a) | set(b)):
        if a.get(key) == b.get(key):
            continue
        if not isinstance(a.get(key), list) or not isinstance(b.get(key), list):
            lines.append(f"{key}: {str(a.get(key, 'missing'))[:300]} / {str(b.get(key, 'missing'))[:300]}")
            continue
        left = [r for r in a[key] if r not in b[key]][:3] if len(a[key]) < 5000 else "…"
        right = [r for r in b[key] if r not in a[key]][:3] if len(b[key]) < 5000 else "…"
        lines.append(f"{key}: {len(a[key])} rows / {len(b[key])} rows; only left: {left}; only right: {right}")
    return "\n".join(lines)


def synced(node):
    """The node holds everything that the log has now; else an error that says what is missing."""
    return node.http.ok("GET", "/readyz?sync").status == 200


def assert_equal(*nodes, db=None, deadline_s=CATCH_UP_S, rowids=True):
    """All nodes hold the same, at the latest by the deadline: the dump that they agree on.

    Every node first catches up with the log; then they must be equal at once, or become so while another's writes
    still arrive (lww: a node's own message is applied again after those that came before it).
    """
    for n in nodes:
        wait_until(lambda n=n: synced(n), deadline_s, f"{n.name}: /readyz?sync")
    dumps = []

    def look():
        dumps[:] = [dump(n, db, rowids) for n in nodes]
        return all(d == dumps[0] for d in dumps[1:])

    try:
        wait_until(look, min(deadline_s, 20), "equal nodes")
    except Timeout as e:
        found = [f"{nodes[0].name} / {n.name}:\n{difference(dumps[0], d)}" for n, d in zip(nodes[1:], dumps[1:])
                 if d != dumps[0]]
        raise AssertionError("the nodes differ\n" + "\n".join(found or [str(e)])) from None
    return dumps[0]
