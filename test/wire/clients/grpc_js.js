// @grpc/grpc-js with the messages as @grpc/proto-loader reads them from proto/: GRPC_TARGET is the node, PROTO the folder.
'use strict';

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const proto = process.env.PROTO;
const load = (file) => grpc.loadPackageDefinition(loader.loadSync(path.join(proto, file),
  { includeDirs: [proto, process.env.PROTO_WELLKNOWN], longs: String, enums: String, keepCase: true, defaults: true }));
const { sql } = load('sql/v1/sql.proto');
const { ha } = load('ha/v1/database.proto');
const health = load('grpc/health/v1/health.proto').grpc.health.v1;

const target = process.env.GRPC_TARGET;
// With GRPC_CACERT, a file, over TLS.
const cacert = process.env.GRPC_CACERT;
const credentials = cacert ? grpc.credentials.createSsl(fs.readFileSync(cacert)) : grpc.credentials.createInsecure();
const options = { 'grpc.max_receive_message_length': -1 };
const session = new sql.v1.DatabaseService(target, credentials, options);
const database = new ha.v1.Database(target, credentials, options);

let passed = 0;
async function check(name, run) {
  await run();
  passed++;
}

const call = (client, method, request, metadata = new grpc.Metadata(), opts = {}) => new Promise((resolve, reject) => {
  client[method](request, metadata, opts, (error, answer) => (error ? reject(error) : resolve(answer)));
});

// What protobufjs makes of a wrapper: `value` by hand, as it packs no Any by itself.
function varint(n) {
  const out = [];
  let v = BigInt.asUintN(64, BigInt(n));
  while (v >= 128n) { out.push(Number(v & 127n) | 128); v >>= 7n; }
  out.push(Number(v));
  return Buffer.from(out);
}
const any = (type, value) => ({ type_url: `type.googleapis.com/google.protobuf.${type}`, value });
const int = (n) => any('Int64Value', Buffer.concat([Buffer.from([8]), varint(n)]));
const text = (s) => any('StringValue', Buffer.concat([Buffer.from([10]), varint(Buffer.byteLength(s)), Buffer.from(s)]));
const params = (...values) => values.map((value, i) => ({ ordinal: i + 1, value }));
function textOf(cell) {
  assert.equal(cell.type_url, 'type.googleapis.com/google.protobuf.StringValue');
  return cell.value.subarray(cell.value.length < 130 ? 2 : 3).toString();
}

class Asker {
  constructor(metadata) {
    this.stream = session.Query(metadata || new grpc.Metadata());
    this.waiting = [];
    this.stream.on('data', (r) => this.waiting.shift().resolve(r));
    this.stream.on('error', (e) => this.waiting.splice(0).forEach((w) => w.reject(e)));
    this.ended = new Promise((resolve) => this.stream.on('status', resolve));
  }

  ask(request) {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.stream.write(request);
    });
  }
}

async function main() {
  await check('execute', async () => {
    await call(database, 'Execute', { sql: 'CREATE TABLE js (id INTEGER PRIMARY KEY, v)' });
    const r = await call(database, 'Execute', { sql: 'INSERT INTO js(v) VALUES (?), (?)', params: params(text('naïve'), int(-5)) });
    assert.equal(r.rows_affected, '2');
    const back = await call(database, 'Execute', { sql: 'SELECT v FROM js ORDER BY id' });
    assert.deepEqual(back.result_set.columns, ['v']);
    assert.equal(textOf(back.result_set.rows[0].values[0]), 'naïve');
    assert.equal(back.result_set.rows[1].values[0].type_url, 'type.googleapis.com/google.protobuf.Int64Value');
  });
  await check('errors', async () => {
    const e = await call(database, 'Execute', { sql: 'SELECT * FROM nowhere' }).catch((x) => x);
    assert.equal(e.code, grpc.status.INVALID_ARGUMENT);
    assert.equal(e.details, 'no such table: nowhere');
    assert.deepEqual(e.metadata.get('ha-error'), ['NO_TABLE']);
  });
  await check('session', async () => {
    const s = new Asker();
    for (const q of ['BEGIN', "INSERT INTO js(v) VALUES ('tx')", 'COMMIT']) {
      const r = await s.ask({ sql: q });
      assert.equal(r.error, '');
    }
    const wrong = await s.ask({ sql: 'nonsense' });
    assert.equal(wrong.error_detail.sqlstate, '42601');
    const right = await s.ask({ sql: 'SELECT count(*) FROM js', type: 'QUERY_TYPE_EXEC_QUERY' });
    assert.equal(right.result_set.rows.length, 1);
    s.stream.end();
    assert.equal((await s.ended).code, grpc.status.OK);
  });
  await check('stream', async () => {
    const stream = database.Stream({
      sql: 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT i, \'row \' || i FROM n',
    });
    let rows = 0, last;
    for await (const r of stream) {
      rows += r.result_set ? r.result_set.rows.length : 0;
      last = r.result_set && r.result_set.rows.length ? r.result_set.rows[r.result_set.rows.length - 1] : last;
    }
    assert.equal(rows, 100000);
    assert.equal(textOf(last.values[1]), 'row 100000');
  });
  await check('64 streams', async () => {
    const counts = await Promise.all(Array.from({ length: 64 }, async () => {
      let rows = 0;
      for await (const r of database.Stream({ sql: 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n' })) {
        rows += r.result_set ? r.result_set.rows.length : 0;
      }
      return rows;
    }));
    assert.deepEqual(counts, Array(64).fill(1000));
  });
  const endless = { sql: 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n' };
  await check('deadline', async () => {
    const e = await call(database, 'Execute', endless, new grpc.Metadata(), { deadline: Date.now() + 300 }).catch((x) => x);
    assert.equal(e.code, grpc.status.DEADLINE_EXCEEDED);
  });
  await check('cancel', async () => {
    const stream = database.Stream(endless);
    const status = new Promise((resolve) => stream.on('error', resolve));
    setImmediate(() => stream.cancel());
    assert.equal((await status).code, grpc.status.CANCELLED);
  });
  await check('batch', async () => {
    const r = await call(database, 'Batch', { requests: [{ sql: 'DELETE FROM js' }, { sql: 'SELECT count(*) FROM js' }] });
    assert.equal(r.responses.length, 2);
    assert.equal(r.responses[0].rows_affected, '3');
  });
  await check('names and files', async () => {
    const names = await call(session, 'ReplicationIDs', {});
    let bytes = Buffer.alloc(0);
    for await (const piece of session.Download({ replication_id: names.replication_id[0] })) {
      bytes = Buffer.concat([bytes, piece.data]);
    }
    assert.equal(bytes.subarray(0, 15).toString(), 'SQLite format 3');
  });
  await check('health', async () => {
    const r = await call(new health.Health(target, credentials), 'Check', {});
    assert.equal(r.status, 'SERVING');
  });
  console.log(`passed ${passed}`);
  process.exit(0);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
