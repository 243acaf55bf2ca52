"""A Kafka of librdkafka's making, and events as Debezium writes them."""

import json
import os
import select
import subprocess
import threading

import ha
from pg_source import state

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWER_S = 60
BEGIN_MS = 1769862896000  # 2026-01-31 12:34:56, when everything was committed


class Kafka(ha.Process):
    """One broker; what it holds is gone with it."""

    def __init__(self, cluster, name="kafka"):
        super().__init__(name, cluster.directory)
        self.lock = threading.Lock()
        program = ha.compiled(os.path.join(HERE, "kafka_mock.c"), os.path.join(cluster.directory, name), "-lrdkafka")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        cluster.processes.append(self)
        self.brokers = self._line()

    def _line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_S * ha.SLOW)
        assert ready, f"{self.name} does not answer"
        return self.process.stdout.readline().decode().strip()

    def _ask(self, line):
        with self.lock:
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
            answer = self._line()
        assert answer.startswith("ok"), f"{line}: {answer}"
        return answer[3:]

    def terminate(self, deadline_s=ha.STOP_S):
        self.process.stdin.close()
        return super().terminate(deadline_s)

    def topic(self, name, partitions=1):
        self._ask(f"topic {name} {partitions}")

    def put(self, topic, key, value, partition=0):
        """bytes, text, None, or what is to become JSON; flush() waits until they are there."""
        parts = []
        for part in (key, value):
            if part is not None and not isinstance(part, (bytes, str)):
                part = json.dumps(part)
            parts.append(part.encode() if isinstance(part, str) else part)
        sizes = [-1 if p is None else len(p) for p in parts]
        with self.lock:
            self.process.stdin.write(f"put {topic} {partition} {sizes[0]} {sizes[1]}\n".encode())
            self.process.stdin.write(b"".join(p for p in parts if p))

    def flush(self):
        self._ask("flush")

    def down(self):
        self._ask("down")

    def up(self):
        self._ask("up")

    def fail(self, api_key, error, count=1):
        self._ask(f"fail {api_key} {error} {count}")

    def committed(self, group, topic, partition=0):
        return int(self._ask(f"committed {group} {topic} {partition}"))

    def node(self, cluster, topics, *more, use_schema=True, group="ha", **options):
        return cluster.node(args=self.args(topics, *more, use_schema=use_schema, group=group), **options)

    def args(self, topics, *more, use_schema=True, group="ha"):
        args = ["--debezium-brokers", self.brokers, "--debezium-group", group, "--debezium-topics", topics, *more]
        return args + ["--proxy-use-schema"] if use_schema else args


# ---- events ----------------------------------------------------------------------------------------------------

INT, TEXT = {"type": "int64"}, {"type": "string"}
DATE = {"type": "int32", "name": "io.debezium.time.Date", "version": 1}
NUMERIC = {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "version": 1,
           "parameters": {"scale": "2", "connect.decimal.precision": "10"}}


class Table:
    """Of a PostgreSQL behind a Debezium: columns {name: schema}, the key's names."""

    def __init__(self, name, columns, key=("id",), schemas=True, prefix="shop", schema="public"):
        self.name, self.columns, self.key, self.schemas = name, columns, key, schemas
        self.prefix, self.schema = prefix, schema
        self.topic = f"{prefix}.{schema}.{name}"

    def _fields(self, names):
        return [{**self.columns[n], "optional": n not in self.key, "field": n} for n in names]

    def _with_schema(self, schema, payload):
        return {"schema": schema, "payload": payload} if self.schemas else payload

    def key_of(self, row):
        if not self.key:
            return None
        return self._with_schema({"type": "struct", "fields": self._fields(self.key), "optional": False,
                                  "name": f"{self.topic}.Key"}, {n: row[n] for n in self.key})

    def value(self, op, before, after, tx=None, **source):
        rows = [{"type": "struct", "fields": self._fields(self.columns), "optional": True, "name": f"{self.topic}.Value",
                 "field": f} for f in ("before", "after")]
        payload = {"before": before, "after": after, "op": op, "ts_ms": BEGIN_MS + 5,
                   "source": {"version": "3.6.1.Final", "connector": "postgresql", "name": self.prefix, "ts_ms": BEGIN_MS,
                              "snapshot": "true" if op == "r" else "false", "db": "shop", "schema": self.schema,
                              "table": self.name, **source},
                   "transaction": tx and {"id": tx, "total_order": 1, "data_collection_order": 1}}
        return self._with_schema({"type": "struct", "fields": rows, "optional": False, "name": f"{self.topic}.Envelope"},
                                 payload)

    def message(self, op, before, after, **more):
        """(key, value)"""
        row = after or before
        return (self.key_of(row) if row else None), self.value(op, before, after, **more)


def wait_rows(nodes, sql, rows, deadline_s=60):
    for node in nodes if isinstance(nodes, (list, tuple)) else [nodes]:
        last = [None]

        def look(node=node, last=last):
            last[0] = node.query(sql).rows
            return last[0] == rows

        try:
            ha.wait_until(look, deadline_s)
        except ha.Timeout as e:
            raise ha.Timeout(f"{node.name}: {sql}: {str(last[0])[:2000]}, not {str(rows)[:2000]}\n{state(node)}\n{e}") from None
