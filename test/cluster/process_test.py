"""The program as a process: what it prints, its exit statuses, how it starts, stops and survives kills of its parts."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from ha import BINARY, ROOT, SLOW, ConnectionLost, HttpError, free_port, stall, wait_until


def run(*args, env=None, cwd=None, timeout_s=30):
    """The program run to its end, with no HA_ variable but those given."""
    full = {k: v for k, v in os.environ.items() if not k.startswith("HA_")}
    full.update(env or {})
    return subprocess.run([BINARY, *args], env=full, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout_s * SLOW, check=False)


def child_of(node):
    """The pid of the node's nats-server, None while there is none."""
    with open(f"/proc/{node.pid}/task/{node.pid}/children", encoding="ascii") as f:
        pids = f.read().split()
    for task in os.listdir(f"/proc/{node.pid}/task"):
        with open(f"/proc/{node.pid}/task/{task}/children", encoding="ascii") as f:
            pids += f.read().split()
    return int(pids[0]) if pids else None


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def memory_directory(node):
    """Where a node with -m keeps its files, out of what it has open."""
    for fd in os.listdir(f"/proc/{node.pid}/fd"):
        try:
            path = os.readlink(f"/proc/{node.pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if os.path.basename(path) == ".lock":
            return os.path.dirname(path)
    return None


# ---- what it says ----------------------------------------------------------------------------------------------


def test_help_and_version():
    r = run("--help")
    assert r.returncode == 0 and r.stderr == ""
    assert "-n, --name" in r.stdout and "--nats-store-dir" in r.stdout
    r = run("--version")
    assert r.returncode == 0 and r.stdout.startswith("ha ")
    assert run("--version", env={"HA_PORT": "nonsense"}).returncode == 0, "mistakes do not matter then"


def test_configuration_reference_is_up_to_date():
    """docs/configuration.md is what the flag table says."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with open(os.path.join(root, "docs/configuration.md"), encoding="utf-8") as f:
        assert run("--help-markdown").stdout == f.read(), "run `make docs`"


@pytest.mark.parametrize("args, message", [
    (["--leader-static", "x"], "host:port"),
    (["--database", "x"], "--database is for a client"),
    (["--async-replication-store-dir", "x"], "the same transaction as the data"),
    (["--port", "65536"], "0..65535"),
    (["--bogus"], "unknown flag --bogus"),
    (["--async-replication", "--consistency", "serializable"], "--async-replication"),
    (["--config", "/no/such/file"], "/no/such/file"),
    (["--replication-url", "http://localhost:4222"], "'http://'"),
])
def test_wrong_configuration(args, message):
    r = run(*args)
    assert r.returncode == 2 and r.stdout == ""
    assert message in r.stderr and r.stderr.count("\n") == 1 and r.stderr.startswith("ha: ")


def test_check_and_print_config(tmp_path):
    config = tmp_path / "ha.conf"
    config.write_text("# a node\nname one   # of three\nport 9999\ntoken s3cret\n")
    r = run("--config", str(config), "--check-config", env={"HA_PORT": "9998"})
    assert (r.returncode, r.stderr) == (0, "")
    r = run("--config", str(config), "--print-config", "-m", env={"HA_PORT": "9998"})
    assert r.returncode == 0
    lines = dict(line.split(None, 1) for line in r.stdout.splitlines())
    assert lines["name"].split() == ["one", "#", "file"]
    assert lines["port"].split() == ["9998", "#", "environment"]
    assert lines["memory"].split() == ["true", "#", "flag"]
    assert "s3cret" not in r.stdout
    config.write_text("name one\nprot 1\n")
    r = run("--config", str(config), "--check-config")
    assert r.returncode == 2 and f"{config}:2: prot" in r.stderr


@pytest.mark.parametrize("args, message", [
    (["--pg-cert", "/no/such/cert", "--pg-key", "key.pem"], "/no/such/cert"),
    (["--pg-cert", "nonsense", "--pg-key", "key.pem"], "nonsense"),
    (["--pg-cert", "cert.pem", "--pg-key", "/no/such/key"], "/no/such/key"),
    (["--pg-cert", "cert.pem", "--pg-key", "nonsense"], "nonsense"),
    (["--pg-cert", "cert.pem", "--pg-key", "other.pem"], "--pg-key \"other.pem\""),
    (["--pg-cert", "cert.pem"], "go together"),
    (["--pg-users", "/no/such/users"], "/no/such/users"),
    (["--pg-users", "nonsense"], "nonsense, line 1"),
    (["--db-params", "_journal_mode=delete"], "--db-params: database parameter"),
    (["--db-params", "nonsense=1"], "unknown database parameter nonsense"),
    (["x.db?nonsense=1"], "x.db?nonsense=1: unknown database parameter"),
    (["none*.db", "shard ?.db"], "no file matches none*.db"),
    (["--replication-url", "nats://a,http://b"], "'http://' is no scheme"),
])
def test_what_the_configuration_names_is_looked_at(tmp_path, args, message):
    """By --check-config, and by the start before it does anything."""
    for key, cert in (("key.pem", "cert.pem"), ("other.pem", "other.crt")):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                        "-out", cert, "-subj", "/CN=localhost"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "nonsense").write_text("nonsense\n")
    before = sorted(os.listdir(tmp_path))
    args = ["--pg-port", str(free_port()), "--port", str(free_port()), "--nats-port", "-1", *args]
    r = run(*args, "--check-config", cwd=tmp_path)
    assert (r.returncode, r.stdout) == (2, "") and message in r.stderr
    r = run(*args, cwd=tmp_path)
    assert r.returncode == 2 and message in r.stderr.replace("\\\"", "\"")
    assert sorted(os.listdir(tmp_path)) == before, "nothing was created"


def test_what_is_right_is_called_valid(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-subj",
                    "/CN=localhost"], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "users").write_text("# more\nann secret read-only\n")
    (tmp_path / "a.db").touch()
    r = run("--check-config", "--pg-port", "5432", "--pg-cert", "cert.pem", "--pg-key", "key.pem", "--pg-users", "users", "--db-params",
            "_fk=1", "--replication-url", "tls://u:p%40@localhost:4222,other", "*.db", "new.db?cache_size=-9", cwd=tmp_path)
    assert (r.returncode, r.stderr) == (0, "")
    r = run("--check-config", "--create-db-dir", "data", "data/*.db", cwd=tmp_path)
    assert (r.returncode, r.stderr) == (0, ""), "databases may come later"


# ---- start -----------------------------------------------------------------------------------------------------


def test_files_by_pattern_and_variable(cluster):
    node = cluster.node(start=False, env={"HA_ARGS": "'shard *.db' extra.db"})
    for name in ("shard 1.db", "shard 2.db", "other.db"):
        open(os.path.join(node.directory, name), "wb").close()
    node.start()
    listed = node.get("/databases").json()["databases"]
    assert sorted(d if isinstance(d, str) else d["id"] for d in listed) == ["extra.db", "shard 1.db", "shard 2.db"]


def test_http_port_in_use(cluster):
    with socket.create_server(("127.0.0.1", free_port())) as s:
        port = s.getsockname()[1]
        r = run("-p", str(port), "--nats-port", "-1", cwd=cluster.directory)
    assert r.returncode == 1 and f"port {port} is in use" in r.stderr
    assert os.listdir(cluster.directory) == [], "nothing was created"


@pytest.mark.parametrize("files,what", [(["no database"], "no database"), (["fine.db", "no/such/x.db"], "cannot be created"), (["folder"], "folder")])
def test_a_database_that_cannot_be_opened(cluster, files, what):
    """The node says why, and ends in order: it has a connection to NATS already."""
    server = cluster.nats()
    with open(os.path.join(cluster.directory, "no database"), "w", encoding="utf-8") as f:
        f.write("not a database, but long enough to be looked into\n" * 20)
    os.mkdir(os.path.join(cluster.directory, "folder"))
    r = run("-p", str(free_port()), "--nats-port", "0", "--replication-url", f"nats://127.0.0.1:{server.port}", *files, cwd=cluster.directory)
    assert r.returncode == 1 and what in r.stderr, (r.returncode, r.stderr)


def test_nats_directory_in_use(cluster):
    first = cluster.node()
    r = run("-n", "two", "-p", str(free_port()), "--nats-port", "-1", "--nats-store-dir",
            os.path.join(first.directory, "nats"), cwd=cluster.directory)
    assert r.returncode == 1 and "another node uses this NATS store directory" in r.stderr
    assert first.ready()


def test_stop_while_nats_port_is_in_use(cluster):
    with socket.create_server(("127.0.0.1", free_port())) as s:
        node = cluster.node(start=False, nats_port=s.getsockname()[1])
        node.start(wait=False)
        wait_until(lambda: "waiting for it" in node.log())
        assert node.terminate() == 0


def test_no_nats_server(cluster):
    r = run("-p", str(free_port()), env={"HA_NATS_SERVER": "/no/such/nats"}, cwd=cluster.directory)
    assert r.returncode == 2 and "HA_NATS_SERVER=/no/such/nats" in r.stderr


def test_users_nats_config(cluster):
    node = cluster.node(start=False)
    config = os.path.join(node.directory, "my.conf")
    with open(config, "w", encoding="ascii") as f:
        f.write(f'listen: "127.0.0.1:{node.nats_port}"\njetstream {{ store_dir: "{node.directory}/mine" }}\n'
                'authorization { user: me, password: "it\'s" }\n')
    node.args = ["--nats-config", config, "--nats-user", "me", "--nats-pass", "it's"]
    node.start()
    node.query("CREATE TABLE t(x)")
    assert os.path.isdir(os.path.join(node.directory, "mine/jetstream"))


def test_generated_credentials(cluster):
    secret = "p'as s {}#$1 \u00e9"
    node = cluster.node(args=["--nats-user", "u ser", "--nats-logs"], env={"HA_NATS_PASS": secret})
    node.query("CREATE TABLE t(x)")
    assert secret not in node.log()
    assert "Server is ready" in node.log()


def test_without_replication(cluster):
    node = cluster.node(nats_port=0)
    assert "no replication" in node.log()
    node.query("CREATE TABLE t(x)")
    node.query("INSERT INTO t VALUES (1)")
    node.restart()
    assert node.query("SELECT count(*) FROM t").value == 1


# ---- kills and stops -------------------------------------------------------------------------------------------


def test_nats_server_is_killed(cluster):
    node = cluster.node()
    node.query("CREATE TABLE t(x)")
    for i in range(5):
        pid = child_of(node)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda p=pid: child_of(node) not in (None, p))
        node.query(f"INSERT INTO t VALUES ({i})")
    assert node.query("SELECT count(*) FROM t").value == 5


def test_nats_server_that_hangs_is_started_anew(cluster):
    """Stopped, it still takes connections, for the kernel does that. What is sent to it goes nowhere."""
    node = cluster.node(args=["--replication-timeout", "2s"], timeout_s=20)
    node.query("CREATE TABLE t(x)")
    pid = child_of(node)
    stall(node, pid)

    def write(i):
        with pytest.raises(HttpError):  # and no timeout of the request
            node.query(f"INSERT INTO t VALUES (randomblob({800000 + i}))")

    for i in range(6):  # enough to fill the buffers on the way to the server
        write(i)
    wait_until(lambda: node.status()["nats"] == "disconnected", what="the connection is given up")
    wait_until(lambda: child_of(node) not in (None, pid), what="the server was started anew")
    wait_until(node.ready, what="the node follows its log")
    assert "does not answer for JetStream and is started anew" in node.log()
    node.query("INSERT INTO t VALUES (1)")


def test_nats_server_dies_with_its_node(cluster):
    node = cluster.node()
    node.query("CREATE TABLE t(x)")
    for i in range(5):
        node.query(f"INSERT INTO t VALUES ({i})")
        pid = child_of(node)
        node.kill9()
        node.start()
        assert gone(pid), "the new node waited for the old server to end"
        assert node.query("SELECT count(*) FROM t").value == i + 1


def test_nats_server_of_an_earlier_run_hangs(cluster):
    """Its node is no more, and it does not end as it was told to: the store is taken from it."""
    node = cluster.node()
    node.query("CREATE TABLE t(x)")
    node.kill9()
    reader = "import signal, sys; f = open(sys.argv[1]); print('open', flush=True); signal.pause()"
    holder = ("import fcntl, signal, sys; open('/proc/self/comm', 'w').write('nats-server'); f = open(sys.argv[1]); "
              "fcntl.flock(f, fcntl.LOCK_EX); print('open', flush=True); signal.pause()")
    processes = []
    try:
        for code in (reader, holder):
            processes.append(subprocess.Popen([sys.executable, "-c", code, os.path.join(node.directory, "nats", "server.lock")],
                                              text=True, stdout=subprocess.PIPE))
            assert processes[-1].stdout.readline() == "open\n"
        node.start()
        assert processes[1].wait(10) == -signal.SIGKILL and "does not end, and is killed" in node.log()
        assert processes[0].poll() is None, "whoever only reads the file, as a backup does, is left alone"
    finally:
        for p in processes:
            p.kill()
            p.communicate()
    node.query("INSERT INTO t VALUES (1)")


def test_second_signal_ends_at_once(cluster):
    # It joins none of its threads, which ThreadSanitizer would call a leak.
    node = cluster.node(env={"TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "") + ":report_thread_leaks=0"})
    pid = child_of(node)
    node.may_die = True
    # A statement that runs long holds up the graceful stop.
    body = json.dumps({"sql": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"})
    with socket.create_connection(("127.0.0.1", node.port)) as s:
        s.sendall(f"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        node.signal(signal.SIGTERM)
        wait_until(lambda: "stopping" in node.log())
        node.signal(signal.SIGINT)
        assert node.wait_exit() == 128 + signal.SIGINT
    wait_until(lambda: gone(pid))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_graceful_stop(cluster, number):
    node = cluster.node()
    pid = child_of(node)
    node.query("CREATE TABLE t(x)")
    node.signal(number)
    assert node.wait_exit() == 0
    assert gone(pid)
    assert not os.path.exists(os.path.join(node.directory, "ha.db-wal")), "checkpointed and closed"


def test_one_file_for_one_node(cluster):
    """A second node would apply to the file what the first one has written there."""
    nats = cluster.nats()
    a = cluster.node(name="a", url=nats)
    file = os.path.join(a.directory, "ha.db")
    b = cluster.node(name="b", url=nats, files=[f"file:{file}"], start=False)
    a.query("CREATE TABLE t(x)")
    b.may_die = True
    b.start(wait=False)
    assert b.wait_exit() == 1
    assert f"{file} is open in another node" in b.log()
    a.query("INSERT INTO t VALUES (1)")
    a.kill9()
    b.start()
    assert b.retrying(lambda: b.query("SELECT x FROM t")).value == 1
    b.terminate()
    assert not os.path.exists(file + "-lock")


def test_memory_directory_goes_with_its_node(cluster):
    node = cluster.node(memory=True)
    directory = memory_directory(node)
    node.query("CREATE TABLE t(x)")
    assert os.path.exists(os.path.join(directory, "ha.db"))
    assert not os.path.exists(os.path.join(node.directory, "ha.db"))
    node.kill9()
    assert os.path.exists(directory)
    node.start()
    assert not os.path.exists(directory), "what a killed node left is removed"
    directory = memory_directory(node)
    assert node.terminate() == 0
    assert not os.path.exists(directory)


def test_make_run_says_where_to_connect(tmp_path):
    """The lines that it prints are commands that work. The second one finds PostgreSQL's port taken."""
    ports = {"HA_PORT": free_port(), "HA_NATS_PORT": free_port(), "HA_PG_PORT": free_port()}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HA_")} | {k: str(v) for k, v in ports.items()}
    argv = [os.path.join(ROOT, "scripts", "run"), BINARY]
    with open(tmp_path / "log", "w+", encoding="utf-8") as log:
        with subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=log, stderr=log) as node:
            try:
                wait_until(lambda: 'msg="node is up"' in (tmp_path / "log").read_text(), 20, "the node is up")
                said = dict(line.split(None, 1) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("  "))
                answer = subprocess.run(said["HTTP"], shell=True, check=True, stdout=subprocess.PIPE, text=True).stdout
                assert json.loads(answer)["columns"] == ["sqlite_version()"]
                answer = subprocess.run(f"{said['PostgreSQL']} -tAc 'SELECT 6 * 7'", shell=True, check=True, stdout=subprocess.PIPE, text=True)
                assert answer.stdout == "42\n"
                assert said["NATS"].startswith(f"nats://localhost:{ports['HA_NATS_PORT']},")
            finally:
                node.terminate()
        assert node.returncode == 0


def test_cluster_example_says_which_node_ended(tmp_path):
    """examples/cluster/run with a program in place of ha, of which one ends at its start."""
    program = tmp_path / "ha"
    program.write_text("#!/bin/sh\n[ $2 = node-2 ] || exec tail -f /dev/null\necho port 8082 is in use >&2\nexit 7\n")
    program.chmod(0o755)
    r = subprocess.run([os.path.join(ROOT, "examples", "cluster", "run"), "data"], cwd=tmp_path, env={**os.environ, "HA": str(program)},
                       capture_output=True, text=True, timeout=30 * SLOW, check=False)
    assert r.returncode == 1
    assert "node-2 ended with status 7" in r.stderr and "port 8082 is in use" in r.stderr and "data/node-2/node-2.log" in r.stderr


def test_service_manager_is_told(cluster):
    """systemd's protocol: ready when caught up, alive in time, stopping."""
    path = os.path.join(cluster.directory, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(30 * SLOW)

        def told():
            return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())

        n = cluster.node(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}, start=False).start(wait=False)
        first = told()
        assert "READY" in first or first["STATUS"]
        while "READY" not in first:
            first = told()
        assert n.ready()
        n.query("CREATE TABLE t (v)")
        while "at 1, 0 behind" not in told()["STATUS"]:
            pass
        begin = time.monotonic()
        for _ in range(5):
            assert told()["WATCHDOG"] == "1"
        assert time.monotonic() - begin < 5 * 0.2 * SLOW * 4
        assert n.terminate() == 0
        last = told()
        while "STOPPING" not in last:
            last = told()


def test_a_node_for_nobody_is_quiet(cluster):
    """A socket that is not there, or no address at all: the node runs as ever."""
    for name in ("/no/such/socket", "@ha-no-such-socket", "nonsense", "/" + 200 * "x"):
        n = cluster.node(env={"NOTIFY_SOCKET": name})
        n.query("CREATE TABLE t (v)")
        assert n.terminate() == 0
