// What node-postgres sends.
'use strict';
const { Client } = require('pg');
const Cursor = require('pg-cursor');

async function main() {
  const c = new Client();
  await c.connect();
  await c.query('CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT, b BYTEA, f DOUBLE PRECISION, ok BOOLEAN)');
  await c.query('INSERT INTO t VALUES ($1, $2, $3, $4, $5)', [1, 'one ☃', Buffer.from([0, 255]), 0.25, true]);
  await c.query('INSERT INTO t (id, v) VALUES ($1, $2) RETURNING id, v', [2, null]);
  await c.query('SELECT * FROM t ORDER BY id');
  for (let i = 0; i < 3; i++) await c.query({ name: 'byid', text: 'SELECT v, ok FROM t WHERE id = $1', values: [i] });
  for (const bad of ['SELECT * FROM missing', 'SELECT missing FROM t']) {
    await c.query(bad, []).catch(() => {});
    await c.query({ text: bad, values: [] }).catch(() => {});
  }
  await c.query('INSERT INTO t (id) VALUES ($1)', [1]).catch(() => {});
  await c.query('BEGIN');
  await c.query('UPDATE t SET v = $1', ['x']);
  await c.query('SELECT * FROM missing').catch(() => {});
  await c.query('SELECT 1').catch(() => {});
  await c.query('ROLLBACK');
  const cursor = c.query(new Cursor('SELECT id FROM t WHERE id > $1 ORDER BY id', [0]));
  await cursor.read(1);
  await cursor.read(10);
  await cursor.close();
  await c.query('');
  await c.end();
}

main();
