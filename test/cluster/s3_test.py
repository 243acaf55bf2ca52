"""`ha backup` to and `ha restore` from S3-compatible storage.

The storage is a small server of our own, which computes every request's signature (AWS Signature Version 4) anew from
what arrived and refuses what does not match, as a real one does: path and query, the signed headers, the body's digest.
"""

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import signal
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

import pytest

from backup_test import fill
from ha import BINARY, dump_file, free_port

KEY_ID, SECRET, TOKEN, REGION = "AKIDEXAMPLE", "wJal/rXUt+nFEMI:K7MDENG", "to+ken/==", "eu-test-1"
PART = 16 * 1024


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def problem(self, status, code, message="no"):
        # A real server repeats the key's id and what was signed; nobody needs to see that.
        self.answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message>"
                            f"<AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>".encode())

    def wrong_signature(self, body):
        """What does not match, or None."""
        m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/[^/]+/s3/aws4_request), *"
                         r"SignedHeaders=([^,]+), *Signature=([0-9a-f]{64})", self.headers.get("Authorization", ""))
        if not m:
            return "Authorization"
        key_id, scope, signed, signature = m.groups()
        digest = hashlib.sha256(body).hexdigest()
        if key_id != KEY_ID or scope.split("/")[1] != REGION:
            return "Credential"
        if self.headers["x-amz-content-sha256"] != digest:
            return "x-amz-content-sha256"
        if self.headers["x-amz-security-token"] != TOKEN:
            return "x-amz-security-token"
        names = signed.split(";")
        if names != sorted(names) or not {"host", "x-amz-date", "x-amz-content-sha256",
                                          "x-amz-security-token"} <= set(names):
            return "SignedHeaders"
        split = urlsplit(self.path)
        fields = [f.partition("=")[::2] for f in split.query.split("&") if f]
        query = "&".join(sorted(f"{quote(unquote(n), safe='')}={quote(unquote(v), safe='')}" for n, v in fields))
        canonical = "\n".join([self.command, quote(unquote(split.path), safe="/"), query,
                               *(f"{n}:{' '.join(self.headers[n].split())}" for n in names), "", signed, digest])
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = b"AWS4" + SECRET.encode()
        for word in [*scope.split("/"), text]:
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        return None if hmac.compare_digest(key.hex(), signature) else "Signature"

    def handle_one(self):
        s = self.server
        if self.command in s.cut and (s.cut_after == 0 or s.calls.count(self.command) >= s.cut_after):
            self.rfile.read(min(1000, int(self.headers.get("Content-Length") or 0)))
            s.calls.append("cut")
            if s.before_cut:
                s.before_cut()
                while self.rfile.read(1):  # until the client hangs up
                    pass
            self.close_connection = True
            self.connection.shutdown(2)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        s.calls.append(self.command)
        wrong = self.wrong_signature(body)
        if wrong:
            s.wrong.append(wrong)
            return self.problem(403, "SignatureDoesNotMatch", f"not ours: {wrong}")
        split = urlsplit(self.path)
        query = dict(f.partition("=")[::2] for f in split.query.split("&") if f)
        bucket, _, key = unquote(split.path)[1:].partition("/")
        if bucket not in s.buckets:
            return self.problem(404, "NoSuchBucket", "The specified bucket\ndoes not exist")
        getattr(self, self.command.lower())(s, s.buckets[bucket], key, query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

    def get(self, s, bucket, key, query, body):
        if key not in bucket:
            return self.problem(404, "NoSuchKey", "The specified key does not exist.")
        data, tag = bucket[key]
        if self.headers.get("Range"):
            return self.answer(206, data[:1], ETag=f'"{tag}"')
        if s.truncate:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:len(data) // 2])
            self.close_connection = True
            return None
        return self.answer(200, data, ETag=f'"{tag}"')

    def head(self, s, bucket, key, query, body):
        if key not in bucket:
            return self.answer(404)
        data, tag = bucket[key]
        return self.answer(200, ETag=f'"{tag}"', **{"Content-Length": str(len(data) - s.lose)})

    def put(self, s, bucket, key, query, body):
        tag = hashlib.md5(body).hexdigest()
        if "uploadId" in query:
            s.uploads[query["uploadId"]][int(query["partNumber"])] = (body, tag)
        else:
            bucket[key] = (body, tag)
        return self.answer(200, ETag=f'"{tag}"')

    def post(self, s, bucket, key, query, body):
        if "uploads" in query:
            upload = quote(f"up/load+{len(s.uploads)}==", safe="")
            s.uploads[upload] = {}
            return self.answer(200, f"<InitiateMultipartUploadResult><UploadId>{unquote(upload)}</UploadId>"
                                    f"</InitiateMultipartUploadResult>".encode())
        if s.fail_late:
            return self.answer(200, b"<Error><Code>InternalError</Code><Message>late</Message></Error>")
        parts = s.uploads.pop(query["uploadId"])
        listed = [(int(n), t) for n, t in re.findall(
            r'<Part><PartNumber>(\d+)</PartNumber><ETag>"(\w+)"</ETag></Part>', body.decode())]
        if listed != [(n, t) for n, (_, t) in sorted(parts.items())]:
            return self.problem(400, "InvalidPart")
        s.parts = [len(b) for _, (b, _) in sorted(parts.items())]
        data = b"".join(b for _, (b, _) in sorted(parts.items()))
        tag = hashlib.md5(data).hexdigest() + f"-{len(parts)}"
        bucket[key] = (data, tag)
        return self.answer(200, f'<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>&quot;{tag}&quot;</ETag>'
                                f'</CompleteMultipartUploadResult>'.encode())

    def delete(self, s, bucket, key, query, body):
        del s.uploads[query["uploadId"]]
        return self.answer(204)


class Storage(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.buckets, self.uploads, self.calls, self.wrong, self.parts = {"bucket": {}}, {}, [], [], []
        self.cut, self.cut_after, self.truncate, self.lose, self.fail_late = (), 0, False, 0, False
        self.before_cut = None

    @property
    def bucket(self):
        return self.buckets["bucket"]

    def environment(self, **changes):
        env = dict(os.environ, AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET, AWS_SESSION_TOKEN=TOKEN,
                   AWS_REGION=REGION, AWS_ENDPOINT_URL=self.url)
        env.update(changes)
        return {k: v for k, v in env.items() if v is not None}

    def ha(self, *args, **changes):
        """(exit status, standard output, standard error)"""
        p = subprocess.run([BINARY, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=60, env=self.environment(**changes))
        for secret in (SECRET, TOKEN):
            assert secret not in p.stdout + p.stderr
        return p.returncode, p.stdout, p.stderr

    def fails(self, status, word, *args, **changes):
        got, out, err = self.ha(*args, **changes)
        assert got == status and word in err and err.count("\n") == 1 and out == "", (args, got, out, err)


@pytest.fixture
def storage():
    with Storage() as s:
        thread = threading.Thread(target=s.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield s
        finally:
            s.shutdown()
            thread.join()


@pytest.fixture
def node(cluster):
    n = cluster.node()
    fill(n)
    return n


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Whatever happens, nothing stays in the directory for temporary files."""
    directory = tmp_path / "tmpdir"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    yield
    assert os.listdir(directory) == []


def count(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT count(*) FROM t").fetchone()[0]


def test_there_and_back(storage, node, tmp_path):
    uri = "s3://bucket/daily/ü b+(1)~%2F.db"  # every kind of character that is escaped, and some that are not
    status, out, err = storage.ha("backup", "-r", node.url, uri)
    assert status == 0 and "at 21 of the log" in out and err == "", (status, out, err)
    assert list(storage.bucket) == ["daily/ü b+(1)~%2F.db"] and storage.calls == ["GET", "PUT", "HEAD"]
    storage.fails(2, "exists already", "backup", "-r", node.url, uri)
    file = tmp_path / "ha.db"
    status, out, err = storage.ha("restore", uri, file)
    assert status == 0 and "is in place at 21" in out and err == "", (status, out, err)
    assert count(file) == 20 and not os.path.exists(f"{file}.part") and storage.wrong == []
    storage.fails(2, "exists already", "restore", uri, file)
    status, out, err = storage.ha("restore", "--new", "--replace", uri, file)
    assert status == 0 and "begins a new log" in out and "is kept as" in out, (status, out, err)


def test_compressed(storage, node, tmp_path):
    node.query("INSERT INTO t (v) SELECT hex(zeroblob(3000)) FROM t")
    status, out, err = storage.ha("backup", "-r", node.url, "s3://bucket/a.db.zst")
    assert status == 0 and "before compression" in out and err == "", (status, out, err)
    data, _ = storage.bucket["a.db.zst"]
    assert data.startswith(b"\x28\xb5\x2f\xfd") and len(data) < 20000
    file = tmp_path / "ha.db"
    status, out, err = storage.ha("restore", "s3://bucket/a.db.zst", file)
    assert status == 0 and "is in place at 22" in out and err == "", (status, out, err)
    assert dump_file(str(file)) == dump_file(os.path.join(node.directory, "ha.db"))
    storage.bucket["a.db.zst"] = (data[:-5], "tag")
    storage.fails(1, "s3://bucket/a.db.zst", "restore", "s3://bucket/a.db.zst", tmp_path / "b.db")
    assert not [f for f in os.listdir(tmp_path) if f.startswith("b.db")]


def test_options_win_over_the_environment(storage, node, tmp_path):
    nobody = f"http://127.0.0.1:{free_port()}"
    args = ["--s3-endpoint", storage.url + "/", "--s3-region", REGION]
    assert storage.ha("backup", "-r", node.url, *args, "s3://bucket/a", AWS_ENDPOINT_URL=nobody, AWS_REGION="x")[0] == 0
    assert storage.ha("restore", *args, "s3://bucket/a", tmp_path / "a", AWS_ENDPOINT_URL=nobody, AWS_REGION="x")[0] == 0
    storage.fails(1, "Credential", "backup", "-r", node.url, "s3://bucket/b", AWS_REGION=None)  # us-east-1


def test_in_parts(storage, node, tmp_path):
    node.query("INSERT INTO t (v) SELECT hex(randomblob(3000)) FROM t")
    status, out, err = storage.ha("backup", "-r", node.url, "s3://bucket/big", HA_S3_PART_BYTES=str(PART))
    assert status == 0, (out, err)
    assert len(storage.parts) > 2 and set(storage.parts[:-1]) == {PART} and 0 < storage.parts[-1] <= PART
    assert storage.wrong == [] and storage.uploads == {}
    file = tmp_path / "ha.db"
    assert storage.ha("restore", "s3://bucket/big", file)[0] == 0
    assert dump_file(str(file)) == dump_file(os.path.join(node.directory, "ha.db"))


def test_an_interrupted_upload(storage, node):
    """The connection breaks in the third part: the upload is aborted, and no object is there."""
    storage.cut, storage.cut_after = ("PUT",), 2
    storage.fails(1, "s3://bucket/big", "backup", "-r", node.url, "s3://bucket/big", HA_S3_PART_BYTES="4096")
    assert storage.calls.count("PUT") == 2 and storage.calls[-1] == "DELETE"
    assert storage.uploads == {} and storage.bucket == {}


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_a_signal_during_an_upload(storage, node, number):
    """In the third part, which the storage takes no end of: the same, and no temporary file is left."""
    started = threading.Event()

    def send():
        assert started.wait(60)
        p.send_signal(number)

    storage.cut, storage.cut_after, storage.before_cut = ("PUT",), 2, send
    p = subprocess.Popen([BINARY, "backup", "-r", node.url, "s3://bucket/big"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=storage.environment(HA_S3_PART_BYTES="4096"))
    started.set()
    out, err = p.communicate(timeout=60)
    assert p.returncode == 1 and "interrupted" in err and err.count("\n") == 1 and out == "", (p.returncode, out, err)
    assert storage.calls[-1] == "DELETE" and storage.uploads == {} and storage.bucket == {}


def test_an_upload_that_cannot_be_aborted(storage, node):
    storage.cut, storage.cut_after = ("PUT", "DELETE"), 0
    storage.fails(1, "parts of it stay", "backup", "-r", node.url, "s3://bucket/big", HA_S3_PART_BYTES="4096")
    storage.cut = ("PUT",)
    storage.fails(1, "s3://bucket/one", "backup", "-r", node.url, "s3://bucket/one")
    assert storage.bucket == {}


def test_a_failure_behind_status_200(storage, node):
    storage.fail_late = True
    storage.fails(1, "InternalError: late", "backup", "-r", node.url, "s3://bucket/big", HA_S3_PART_BYTES="4096")
    assert storage.uploads == {} and storage.bucket == {}


def test_what_is_there_is_compared(storage, node):
    storage.lose = 1
    storage.fails(1, "were sent", "backup", "-r", node.url, "s3://bucket/short")


def test_wrong_signature(storage, node, tmp_path):
    for args in (["backup", "-r", node.url, "s3://bucket/a"], ["restore", "s3://bucket/a", tmp_path / "x.db"]):
        storage.fails(1, "SignatureDoesNotMatch: not ours: Signature", *args, AWS_SECRET_ACCESS_KEY="wrong")
        storage.fails(1, "not ours: Credential", *args, AWS_ACCESS_KEY_ID="wrong")
    assert storage.bucket == {} and not [f for f in os.listdir(tmp_path) if f.startswith("x.db")]


def test_what_is_missing(storage, node, tmp_path):
    file = tmp_path / "x.db"
    storage.fails(1, "NoSuchBucket", "backup", "-r", node.url, "s3://none/a")
    storage.fails(1, "NoSuchBucket", "restore", "s3://none/a", file)
    storage.fails(1, "NoSuchKey", "restore", "s3://bucket/none", file)
    nobody = f"http://127.0.0.1:{free_port()}"
    storage.fails(1, "connect", "backup", "-r", node.url, "s3://bucket/a", AWS_ENDPOINT_URL=nobody)
    storage.fails(1, "connect", "restore", "s3://bucket/a", file, AWS_ENDPOINT_URL=nobody)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        storage.fails(2, f"{name} is not set", "backup", "-r", node.url, "s3://bucket/a", **{name: None})
        storage.fails(2, f"{name} is not set", "restore", "s3://bucket/a", file, **{name: ""})
    assert not [f for f in os.listdir(tmp_path) if f.startswith("x.db")]


def test_wrong_usage(storage, tmp_path):
    file = tmp_path / "x.db"
    for uri in ("s3://", "s3://bucket", "s3://bucket/", "s3:///key", "s3://buc:ket/key", "s3://b/" + 1025 * "k"):
        storage.fails(2, "is not s3://bucket/key", "backup", uri)
        storage.fails(2, "is not s3://bucket/key", "restore", uri, file)
    storage.fails(2, "is not s3://bucket/key", "backup", "--s3-region", REGION, file)
    storage.fails(2, "is not a URL", "backup", "--s3-endpoint", "localhost:9000", "s3://bucket/a")
    storage.fails(2, "is not a URL", "backup", "--s3-endpoint", f"http://me:{SECRET}@localhost", "s3://bucket/a")
    storage.fails(2, "region", "backup", "--s3-region", "a:b", "s3://bucket/a")
    assert storage.calls == []


def test_a_damaged_or_short_object(storage, node, tmp_path):
    file = tmp_path / "x.db"
    assert storage.ha("backup", "-r", node.url, "s3://bucket/a")[0] == 0
    storage.truncate = True
    storage.fails(1, "s3://bucket/a", "restore", "s3://bucket/a", file)
    storage.truncate = False
    data, tag = storage.bucket["a"]
    storage.bucket["a"] = (data[:4096] + bytes([0xa5]) * 4096 + data[8192:], tag)
    storage.fails(1, "x.db", "restore", "s3://bucket/a", file)
    assert not [f for f in os.listdir(tmp_path) if f.startswith("x.db")]


@pytest.mark.parametrize("command", ("backup", "restore", "restore local"))
def test_a_part_that_is_left_over(storage, node, tmp_path, command):
    """It is replaced, and said; one that another process is writing is not touched."""
    local = tmp_path / "local.db"
    assert storage.ha("backup", "-r", node.url, "s3://bucket/a")[0] == 0
    assert storage.ha("backup", "-r", node.url, local)[0] == 0
    file, part = tmp_path / "x.db", tmp_path / "x.db.part"
    args = {"backup": ["backup", "-r", node.url, file], "restore": ["restore", "s3://bucket/a", file],
            "restore local": ["restore", local, file]}[command]
    part.write_bytes(b"left over")
    with open(part, "rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        storage.fails(2, "being written by another process", *args)
    assert part.read_bytes() == b"left over" and not file.exists()
    status, out, err = storage.ha(*args)
    assert status == 0 and "was left over (9 bytes, of 20" in err and err.count("\n") == 1, (status, out, err)
    assert count(file) == 20 and not part.exists()
    file.unlink()
    part.symlink_to(local)
    storage.fails(2, "not a regular file", *args)
    assert count(local) == 20 and part.is_symlink()
