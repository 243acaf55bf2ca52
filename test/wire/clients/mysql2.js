// node mysql2 as applications use it. Every check throws; the last line says how many there were.
'use strict';
const assert = require('assert');
const mysql = require('mysql2/promise');

const ROWS = 100000;
const options = {
  host: process.env.MYSQL_HOST, port: Number(process.env.MYSQL_TCP_PORT), user: process.env.MYSQL_TEST_USER,
  password: process.env.MYSQL_PWD, database: process.env.MYSQL_DATABASE, supportBigNumbers: true, bigNumberStrings: false,
  timezone: 'Z', multipleStatements: true,
};
let passed = 0;

async function check(name, run) {
  const c = await mysql.createConnection(options);
  try {
    await run(c);
    passed++;
  } catch (e) {
    e.message = `${name}: ${e.message}`;
    throw e;
  } finally {
    await c.end();
  }
}

async function code(promise) {
  try {
    await promise;
  } catch (e) {
    return e.errno;
  }
  throw new Error('it did not fail');
}

async function main() {
  await check('types', async (c) => {
    await c.query(`CREATE TABLE types (id INT PRIMARY KEY AUTO_INCREMENT, i INT, b BIGINT, f DOUBLE, s TEXT, v VARCHAR(10), raw BLOB,
                   flag BOOLEAN, at DATETIME(3), day DATE, n DECIMAL(10,2), j JSON)`);
    const row = {
      i: 42, b: '9223372036854775807', f: 0.1, s: 'ñ ☃ \'"\\', v: 'short', raw: Buffer.from([0, 1, 255]), flag: true,
      at: new Date('2024-02-29T12:34:56.789Z'), day: '2024-02-29', n: '12.50', j: JSON.stringify({ a: [1, null] }),
    };
    const [r] = await c.query('INSERT INTO types SET ?', row);
    assert.strictEqual(r.insertId, 1);
    assert.strictEqual(r.affectedRows, 1);
    await c.execute('INSERT INTO types (i, b, f, s, v, raw, flag, at, day, n, j) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)', Object.values(row));
    for (const sql of ['query', 'execute'])
      for (const id of [1, 2]) {
        const [[got]] = await c[sql]('SELECT i, b, f, s, v, raw, flag, at, DATE_FORMAT(day, "%Y-%m-%d") AS day, n, j FROM types WHERE id = ?', [id]);
        assert.deepStrictEqual({ ...got, j: JSON.stringify(got.j), flag: got.flag === 1, i: Number(got.i) }, row);
      }
  });
  await check('numbers and null', async (c) => {
    const [[r]] = await c.execute('SELECT ? AS a, ? AS b, ? AS c, ? + 1 AS d', [1, 2.5, null, 41]);
    assert.deepStrictEqual({ ...r }, { a: 1, b: 2.5, c: null, d: 42 });
    const [rows, fields] = await c.query('SELECT COUNT(*), 1 AS one FROM types');
    assert.deepStrictEqual(fields.map((f) => f.name), ['COUNT(*)', 'one']);
    assert.strictEqual(rows[0]['COUNT(*)'], 2);
  });
  await check('transactions and errors', async (c) => {
    await c.query('CREATE TABLE tx (id INT PRIMARY KEY, v TEXT NOT NULL)');
    await c.beginTransaction();
    await c.query('INSERT INTO tx VALUES (1, ?)', ['x']);
    assert.strictEqual(await code(c.query('INSERT INTO tx VALUES (1, "y")')), 1062);
    assert.strictEqual(await code(c.query('INSERT INTO tx VALUES (2, NULL)')), 1048);
    await c.rollback();
    assert.strictEqual((await c.query('SELECT * FROM tx'))[0].length, 0);
    assert.strictEqual(await code(c.query('SELECT * FROM missing')), 1146);
    assert.strictEqual(await code(c.query('SELECT missing FROM tx')), 1054);
    assert.strictEqual(await code(c.query('SELEC 1')), 1064);
  });
  await check('several statements', async (c) => {
    const [results] = await c.query('SELECT 1 AS a; INSERT INTO tx VALUES (5, "five"); SELECT v FROM tx');
    assert.strictEqual(results.length, 3);
    assert.strictEqual(results[0][0].a, 1);
    assert.strictEqual(results[1].affectedRows, 1);
    assert.strictEqual(results[2][0].v, 'five');
  });
  await check('many rows', async (c) => {
    await c.query('CREATE TABLE many (id INT PRIMARY KEY, v VARCHAR(40))');
    await c.query(`INSERT INTO many WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
                   SELECT i, CONCAT('row ', i) FROM n`);
    for (const sql of ['query', 'execute']) {
      const [rows] = await c[sql]('SELECT * FROM many ORDER BY id');
      assert.strictEqual(rows.length, ROWS);
      assert.strictEqual(rows[ROWS - 1].v, `row ${ROWS}`);
    }
  });
  const pool = mysql.createPool({ ...options, connectionLimit: 10 });
  await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const [[r]] = await pool.query('SELECT ? AS i, CONNECTION_ID() AS c', [i]);
    assert.strictEqual(r.i, i);
  }));
  const c = await pool.getConnection();
  await c.changeUser({ user: options.user, password: options.password, database: options.database });
  assert.strictEqual((await c.query('SELECT DATABASE() AS d'))[0][0].d, options.database);
  await c.ping();
  c.release();
  await pool.end();
  passed++;
  console.log(`passed ${passed}`);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
