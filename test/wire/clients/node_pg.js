// node-postgres as applications use it. Every check throws; the last line says how many there were.
'use strict';
const assert = require('assert');
const { Client, Pool } = require('pg');
const Cursor = require('pg-cursor');
const { from: copyFrom, to: copyTo } = require('pg-copy-streams');
const { pipeline } = require('stream/promises');
const { Readable } = require('stream');

const ROWS = 100000;
let passed = 0;

async function check(name, run) {
  const client = new Client();
  await client.connect();
  try {
    await run(client);
    passed++;
  } catch (e) {
    e.message = `${name}: ${e.message}`;
    throw e;
  } finally {
    await client.end();
  }
}

async function code(promise) {
  try {
    await promise;
  } catch (e) {
    return e.code;
  }
  throw new Error('it did not fail');
}

async function main() {
  await check('types', async (c) => {
    await c.query(`CREATE TABLE types (id INTEGER PRIMARY KEY, i INTEGER, b BIGINT, f DOUBLE PRECISION, s TEXT,
                   v VARCHAR(10), raw BYTEA, flag BOOLEAN, at TIMESTAMP, day DATE, n NUMERIC, j JSON)`);
    const values = [1, 42, '9223372036854775807', 0.1, 'ñ ☃ \'"\\', 'short', Buffer.from([0, 1, 255]), true,
      '2024-02-29 12:34:56.789', '2024-02-29', '12.50', '{"a": [1, null]}'];
    await c.query('INSERT INTO types VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)', values);
    await c.query('INSERT INTO types (id) VALUES ($1)', [2]);
    const { rows, fields } = await c.query('SELECT * FROM types ORDER BY id');
    const r = rows[0];
    assert.strictEqual(r.b, '9223372036854775807');
    assert.ok(r.i === 42 || r.i === '42');
    assert.strictEqual(r.f, 0.1);
    assert.strictEqual(r.s, 'ñ ☃ \'"\\');
    assert.ok(Buffer.isBuffer(r.raw) && r.raw.equals(Buffer.from([0, 1, 255])));
    assert.strictEqual(r.flag, true);
    assert.ok(r.at instanceof Date);
    assert.strictEqual(r.at.getMilliseconds(), 789);
    assert.strictEqual(Number(r.n), 12.5);
    assert.deepStrictEqual(r.j, { a: [1, null] });
    for (const f of fields.slice(1)) assert.strictEqual(rows[1][f.name], null);
  });

  await check('result', async (c) => {
    await c.query('CREATE TABLE res (id INTEGER PRIMARY KEY, v TEXT)');
    const inserted = await c.query("INSERT INTO res VALUES (1, 'a'), (2, 'b') RETURNING id, v");
    assert.strictEqual(inserted.command, 'INSERT');
    assert.strictEqual(inserted.rowCount, 2);
    assert.strictEqual(inserted.rows[1].v, 'b');
    const many = await c.query('SELECT v FROM res WHERE id = 1; SELECT v FROM res WHERE id = 2');
    assert.deepStrictEqual(many.map((m) => m.rows[0].v), ['a', 'b']);
    const array = await c.query({ text: 'SELECT id, v FROM res ORDER BY id', rowMode: 'array' });
    assert.deepStrictEqual(array.rows.map((x) => x[1]), ['a', 'b']);
    assert.strictEqual((await c.query('')).rows.length, 0);
  });

  await check('prepared', async (c) => {
    await c.query('CREATE TABLE prep (id INTEGER PRIMARY KEY, v TEXT)');
    for (let i = 0; i < 50; i++) await c.query({ name: 'put', text: 'INSERT INTO prep VALUES ($1, $2)', values: [i, `v${i}`] });
    const all = await Promise.all([...Array(50).keys()].map((i) =>
      c.query({ name: 'get', text: 'SELECT v FROM prep WHERE id = $1', values: [i] })));
    all.forEach((r, i) => assert.strictEqual(r.rows[0].v, `v${i}`));
  });

  await check('errors', async (c) => {
    await c.query('CREATE TABLE err (id INTEGER PRIMARY KEY, v TEXT NOT NULL)');
    await c.query('INSERT INTO err VALUES ($1, $2)', [1, 'x']);
    assert.strictEqual(await code(c.query('INSERT INTO err VALUES ($1, $2)', [1, 'y'])), '23505');
    assert.strictEqual(await code(c.query('INSERT INTO err VALUES ($1, $2)', [2, null])), '23502');
    assert.strictEqual(await code(c.query('SELECT * FROM missing')), '42P01');
    assert.strictEqual(await code(c.query('SELECT missing FROM err WHERE id = $1', [1])), '42703');
    assert.strictEqual(await code(c.query('SELEC 1')), '42601');
    await c.query('BEGIN');
    assert.strictEqual(await code(c.query('SELECT * FROM missing')), '42P01');
    assert.strictEqual(await code(c.query('SELECT 1')), '25P02');
    await c.query('ROLLBACK');
    assert.strictEqual((await c.query('SELECT count(*) AS n FROM err')).rows[0].n, '1');
  });

  await check('cursor', async (c) => {
    await c.query('CREATE TABLE cur (id INTEGER PRIMARY KEY)');
    await c.query('BEGIN');
    for (let i = 0; i < 500; i++) await c.query('INSERT INTO cur VALUES ($1)', [i]);
    await c.query('COMMIT');
    const cursor = c.query(new Cursor('SELECT id FROM cur WHERE id >= $1 ORDER BY id', [100]));
    assert.strictEqual((await cursor.read(10)).length, 10);
    const rest = await cursor.read(1000);
    assert.strictEqual(rest.length, 390);
    assert.strictEqual((await cursor.read(5)).length, 0);
    await cursor.close();
    const early = c.query(new Cursor('SELECT id FROM cur ORDER BY id'));
    assert.strictEqual((await early.read(1)).length, 1);
    await early.close();
    assert.strictEqual((await c.query('SELECT 7 AS seven')).rows.length, 1);
  });

  await check('copy', async (c) => {
    await c.query('CREATE TABLE cop (id INTEGER PRIMARY KEY, v TEXT)');
    const lines = function* () {
      for (let i = 0; i < ROWS; i++) yield `${i}\tvalue ${i}\n`;
    };
    await pipeline(Readable.from(lines()), c.query(copyFrom('COPY cop FROM STDIN')));
    assert.strictEqual(Number((await c.query('SELECT count(*) AS n FROM cop')).rows[0].n), ROWS);
    let bytes = 0;
    let expected = 0;
    for (const l of lines()) expected += l.length;
    for await (const chunk of c.query(copyTo('COPY cop TO STDOUT'))) bytes += chunk.length;
    assert.strictEqual(bytes, expected);
  });

  await check('pool and transactions', async () => {
    const pool = new Pool({ max: 8 });
    await pool.query('CREATE TABLE pooled (id INTEGER PRIMARY KEY, n INTEGER)');
    await pool.query('INSERT INTO pooled VALUES (1, 0)');
    await Promise.all([...Array(40).keys()].map(() => pool.query('UPDATE pooled SET n = n + 1 WHERE id = 1')));
    assert.strictEqual(Number((await pool.query('SELECT n FROM pooled')).rows[0].n), 40);
    const c = await pool.connect();
    await c.query('BEGIN');
    await c.query('UPDATE pooled SET n = 0');
    await c.query('ROLLBACK');
    c.release();
    assert.strictEqual(Number((await pool.query('SELECT n FROM pooled')).rows[0].n), 40);
    await pool.end();
  });

  console.log(`passed ${passed}`);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
